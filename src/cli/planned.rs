//! A run of a plan: exactly what it holds, once, and only while what was found is still so.

use super::plan::look;
use super::{Exit, Failure};
use crate::config::Environment;
use crate::journal::sqlite::Store;
use crate::journal::{self, Event, Journal};
use crate::plan::file::{FILE_BYTES, PlanFile};
use crate::plan::found::Found;
use crate::program::{Program, RunbookId};
use crate::provider::bound::Allows;
use crate::value::Value;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A plan that is to be run.
pub struct Planned {
    file: Arc<PlanFile>,
    path: PathBuf,
    twice: Arc<AtomicBool>,
}

impl Planned {
    /// Reads a plan.
    pub fn open(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|file| file.take(FILE_BYTES).read_to_string(&mut text))
            .map_err(|problem| Failure::usage(format!("cannot read the plan {shown}: {problem}")))?;
        let file = PlanFile::read(&text).map_err(|problem| Failure::usage(format!("{shown}: {problem}")))?;
        Ok(Self {
            file: Arc::new(file),
            path: path.to_path_buf(),
            twice: Arc::default(),
        })
    }

    /// The runbook's file.
    pub fn runbook(&self) -> PathBuf {
        PathBuf::from(&self.file.file)
    }

    /// What stands in every entry of the run.
    pub fn once(&self) -> [u8; 32] {
        self.file.once()
    }

    /// The arguments and the answers that were given beforehand.
    #[allow(clippy::type_complexity)]
    pub fn inputs(&self) -> Result<(Vec<(String, Value)>, BTreeMap<String, Option<bool>>), Failure> {
        let arguments = self
            .file
            .values()
            .map_err(|problem| Failure::usage(format!("{}: {problem}", self.path.display())))?;
        Ok((arguments, self.file.answers.clone()))
    }

    /// The changes that the plan holds, and no others.
    pub fn allows(&self) -> Allows {
        let file = self.file.clone();
        Arc::new(move |call| file.holds(call))
    }

    fn refused(&self, why: &str) -> Failure {
        Failure {
            exit: Exit::Refused,
            message: format!("the plan {} is refused: {why}", self.path.display()),
        }
    }

    /// Whether texts, environment and what was found are still what they were.
    pub fn still_holds(&self, program: &Arc<Program>, name: &str, environment: &Environment) -> Result<(), Failure> {
        if name != self.file.environment {
            return Err(self.refused(&format!(
                "it was made for the environment {}, and this is {name}",
                self.file.environment
            )));
        }
        let edited = self.file.edited(&crate::plan::plan(program, RunbookId(0)));
        if !edited.is_empty() {
            return Err(self.refused(&edited.join("; ")));
        }
        let Some(found) = &self.file.found else { return Ok(()) };
        let (arguments, answers) = self.inputs()?;
        let entries = look(program, name, environment, arguments, answers)?;
        let drift = found.drift(&Found::of(&entries));
        if drift.is_empty() {
            return Ok(());
        }
        Err(self.refused(&format!(
            "what was found has changed since; nothing was sent\n  {}\nmake a new plan",
            drift.join("\n  ")
        )))
    }

    /// Whether no run was started from it.
    pub async fn unused(&self, store: &Store) -> Result<(), journal::Error> {
        match store.runs_of_plan(&self.once()).await?.first() {
            None => Ok(()),
            Some(run) => {
                self.twice.store(true, Ordering::SeqCst);
                Err(journal::Error {
                    message: format!("it was used already, for run {run}"),
                })
            }
        }
    }

    /// A journal that goes on only if this is the first run of the plan: of two that begin at once, one stops at its first entry.
    pub fn claim(&self, journal: journal::sqlite::Run, store: Arc<Store>) -> Arc<dyn Journal> {
        Arc::new(Claim {
            inner: Arc::new(journal),
            store,
            once: self.once(),
            claimed: AtomicBool::new(false),
            twice: self.twice.clone(),
        })
    }

    /// What to say when the journal stopped the run.
    pub fn refusal(&self, problem: journal::Error) -> Failure {
        if self.twice.load(Ordering::SeqCst) {
            self.refused(&problem.message)
        } else {
            problem.into()
        }
    }
}

struct Claim {
    inner: Arc<dyn Journal>,
    store: Arc<Store>,
    once: [u8; 32],
    claimed: AtomicBool,
    twice: Arc<AtomicBool>,
}

impl Claim {
    async fn check(&self) -> Result<(), journal::Error> {
        if self.claimed.load(Ordering::SeqCst) {
            return Ok(());
        }
        let runs = self.store.runs_of_plan(&self.once).await?;
        match runs.first() {
            Some(first) if first != self.inner.run_id() => {
                self.twice.store(true, Ordering::SeqCst);
                Err(journal::Error {
                    message: format!("it is being used by run {first}"),
                })
            }
            _ => {
                self.claimed.store(true, Ordering::SeqCst);
                Ok(())
            }
        }
    }
}

impl Journal for Claim {
    fn run_id(&self) -> &str {
        self.inner.run_id()
    }

    fn append<'a>(&'a self, scope: &'a str, event: &'a Event) -> BoxFuture<'a, Result<u64, journal::Error>> {
        Box::pin(async move {
            let sequence = self.inner.append(scope, event).await?;
            self.check().await?;
            Ok(sequence)
        })
    }

    fn append_all<'a>(&'a self, scope: &'a str, events: &'a [Event]) -> BoxFuture<'a, Result<u64, journal::Error>> {
        Box::pin(async move {
            let sequence = self.inner.append_all(scope, events).await?;
            self.check().await?;
            Ok(sequence)
        })
    }

    fn confirm(&self) -> BoxFuture<'_, Result<(), journal::Error>> {
        self.inner.confirm()
    }
}
