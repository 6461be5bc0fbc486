//! Programs of this machine that the environment declares, each under its contract and confined by the kernel.

pub mod config;
mod confine;
mod processes;
mod run;

use super::arguments::{Arguments, patience};
use super::contract::{Contract, Does, Output};
use super::failure::wrong;
use crate::provider::native::{Privilege, Reference, ReferenceKind, Resolved, Use};
use crate::provider::{Call, Effect, Health, HealthState, Outcome, Permit, Provider};
use crate::value::{Reason, Unknown, Value};
use config::Config;
use confine::Kept;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// The operations, in the order of the interface text.
const OPERATIONS: &[&str] = &["ask", "document", "sample", "run", "ensure"];

/// The provider `exec`: the declared programs of an environment.
pub struct Exec {
    programs: BTreeMap<String, Contract>,
}

/// Whether a file may be trusted to be what its owner put there.
fn soundness(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let found = std::fs::metadata(path).map_err(|problem| format!("{shown}: {problem}"))?;
    if !found.is_file() {
        return Err(format!("{shown} is not a file"));
    }
    if found.mode() & 0o111 == 0 {
        return Err(format!("{shown} may not be run by anybody"));
    }
    // Whoever may write it decides what runs.
    if found.mode() & 0o002 != 0 {
        return Err(format!("{shown} may be written by everybody"));
    }
    Ok(())
}

impl Exec {
    /// The programs of the configuration, by name.
    ///
    /// # Errors
    /// Names the entry that cannot be used and says why.
    pub fn new(config: Config) -> Result<Self, String> {
        config.validate()?;
        Ok(Self {
            programs: config.programs,
        })
    }

    fn contract(&self, name: &str) -> Result<&Contract, Unknown> {
        self.programs.get(name).ok_or_else(|| {
            wrong(
                Reason::Unavailable,
                format!("no program `{name}` is declared in this environment"),
            )
        })
    }

    /// Whether this program is declared, and what it does.
    pub fn does(&self, name: &str) -> Option<Does> {
        self.programs.get(name).map(|contract| contract.does)
    }

    /// The names of the arguments that a program takes.
    pub fn takes(&self, name: &str) -> Vec<&str> {
        self.programs.get(name).map(Contract::names).unwrap_or_default()
    }

    /// Everything that is known before anything runs.
    fn prepared(&self, name: &str, with: &Value, does: Does, again: bool) -> Result<(&Contract, Vec<String>), Unknown> {
        let contract = self.contract(name)?;
        contract.allows(name, does, again)?;
        let words = contract.words(with)?;
        soundness(&contract.program).map_err(|problem| wrong(Reason::Unavailable, problem))?;
        Ok((contract, words))
    }

    /// Runs a program that looks, and says what it says: a record `Ran`.
    ///
    /// # Errors
    /// It may not run, did not end as its contract says, or said what does not fit.
    pub async fn ask(&self, name: &str, with: &Value, does: Does, within: Duration) -> Result<Value, Unknown> {
        let (contract, words) = self.prepared(name, with, does, false)?;
        let whole = contract.output == Output::None;
        let ended = run::run(contract, &words, within.min(contract.within()), whole)
            .await
            .map_err(|failed| failed.unknown)?;
        contract.answer(&ended)
    }

    /// Runs a program that changes something. `again`: one that may be run twice.
    pub async fn order(&self, name: &str, with: &Value, again: bool, within: Duration) -> Outcome {
        let (contract, words) = match self.prepared(name, with, Does::Change, again) {
            Ok(prepared) => prepared,
            Err(unknown) => return Outcome::Failed(unknown),
        };
        match run::run(contract, &words, within.min(contract.within()), true).await {
            Ok(ended) => contract.outcome(&ended),
            Err(failed) if failed.began => Outcome::Unclear(failed.unknown),
            Err(failed) => Outcome::Failed(failed.unknown),
        }
    }

    async fn look(&self, call: &Call, does: Does) -> Result<Value, Unknown> {
        self.ask(Arguments(call).text("program")?, call.arg("with"), does, patience(call))
            .await
    }

    async fn act(&self, call: &Call, again: bool) -> Outcome {
        match Arguments(call).text("program") {
            Ok(name) => self.order(name, call.arg("with"), again, patience(call)).await,
            Err(unknown) => Outcome::Failed(unknown),
        }
    }
}

impl Provider for Exec {
    fn name(&self) -> &'static str {
        "exec"
    }

    fn is_remote(&self) -> bool {
        false
    }

    fn operations(&self) -> &'static [&'static str] {
        OPERATIONS
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        vec![call.arg("program").as_str().unwrap_or_default().to_owned()]
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        Box::pin(async move {
            let answer = match &*call.operation.path {
                "ask" => self.look(call, Does::Read).await,
                "sample" => self.look(call, Does::Costly).await,
                "document" => self.look(call, Does::Read).await.and_then(|ran| {
                    match ran.as_record().and_then(|record| record.get("document")) {
                        Some(document @ Value::Json(_)) => Ok(document.clone()),
                        _ => Err(wrong(Reason::Unavailable, "by its contract it prints no document")),
                    }
                }),
                other => Err(wrong(Reason::Internal, format!("`exec.{other}` is not a read"))),
            };
            Value::or_unknown(answer)
        })
    }

    fn change<'a>(&'a self, call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match &*call.operation.path {
                "run" => self.act(call, false).await,
                "ensure" => self.act(call, true).await,
                other => Outcome::Failed(wrong(Reason::Internal, format!("`exec.{other}` is not a change"))),
            }
        })
    }

    fn exceptions(&self) -> Vec<String> {
        self.programs
            .iter()
            .flat_map(|(name, contract)| {
                let confine = contract.confine.clone().unwrap_or_default();
                let network = confine.network.then(|| format!("exec `{name}`: may use the network"));
                let loose =
                    (!confine.required).then(|| format!("exec `{name}`: runs where the kernel cannot confine it, too"));
                network.into_iter().chain(loose)
            })
            .collect()
    }

    // The rights are those of whoever runs this program: no statement gives less.
    fn privileges(&self, _uses: &[Use]) -> Option<Vec<Privilege>> {
        Some(Vec::new())
    }

    fn references(&self, used: &Use) -> Vec<Reference> {
        let Some(name) = used.arg("program").and_then(Value::as_str) else {
            return Vec::new();
        };
        let path = self
            .programs
            .get(name)
            .map(|contract| contract.program.display().to_string());
        vec![Reference {
            kind: ReferenceKind::File,
            name: path.unwrap_or_else(|| format!("the program {name}")),
            on: name.to_owned(),
            readable: matches!(used.operation.effect, Effect::Read | Effect::Probe),
        }]
    }

    fn resolve<'a>(&'a self, reference: &'a Reference) -> BoxFuture<'a, Resolved> {
        let found = match self.programs.get(&reference.on) {
            None => Resolved::Missing("it is not declared in this environment".to_owned()),
            Some(contract) => match soundness(&contract.program) {
                Ok(()) => Resolved::There,
                Err(problem) => Resolved::Missing(problem),
            },
        };
        Box::pin(std::future::ready(found))
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        Box::pin(async move {
            if self.programs.is_empty() {
                return Vec::new();
            }
            let (state, detail) = match confine::offered() {
                Kept::Full => (HealthState::Good, "this kernel confines programs (Landlock)"),
                Kept::Part => (
                    HealthState::Limited,
                    "this kernel has an older Landlock: programs are confined in part",
                ),
                Kept::Nothing => (
                    HealthState::Limited,
                    "this kernel has no Landlock: programs that must be confined do not run",
                ),
            };
            let mut lines = vec![Health {
                subject: "exec".to_owned(),
                state,
                detail: detail.to_owned(),
            }];
            for (name, contract) in &self.programs {
                let (state, detail) = match soundness(&contract.program) {
                    Ok(()) => (HealthState::Good, format!("{} can be run", contract.program.display())),
                    Err(problem) => (HealthState::Bad, problem),
                };
                lines.push(Health {
                    subject: format!("exec {name}"),
                    state,
                    detail,
                });
            }
            lines
        })
    }
}
