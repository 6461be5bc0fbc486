//! `starr resume` and `starr take-over`: a run whose process is gone, or is to be gone.

use super::args::{Global, Resume, TakeOver};
use super::console::Console;
use super::consult::{Directory, Here, people};
use super::output::{Output, Style};
use super::parallel::both;
use super::people::Settled;
use super::screen::Lines;
use super::{Exit, Failure, journal as look, load, run};
use crate::config::{self, Environment};
use crate::engine::world::World;
use crate::engine::{self, Outcome, Resumed, clock, random};
use crate::journal::event::{Event, Fate, Person};
use crate::journal::lease::Lease;
use crate::journal::{self, Recorded, RunHeader, Taken};
use crate::program::RunbookId;
use crate::provider::gate::Mode;
use crate::render::safe::safe;
use crate::value::{Value, tagged};
use std::path::PathBuf;
use std::sync::Arc;

/// How a run began, as far as it is needed to go on.
#[derive(PartialEq)]
struct Beginning {
    file: String,
    environment: String,
    inputs: Vec<(String, serde_json::Value)>,
}

impl Beginning {
    fn of(first: Option<&Recorded>) -> Option<Self> {
        match first?.event.as_ref()? {
            Event::RunStarted {
                file,
                environment,
                basis,
                ..
            } => Some(Self {
                file: file.clone(),
                environment: environment.clone(),
                inputs: basis.inputs.clone(),
            }),
            _ => None,
        }
    }
}

/// Goes on with a run from its journal.
pub fn resume(args: &Resume, global: &Global, output: Output) -> Result<Exit, Failure> {
    let fates = args
        .settle
        .iter()
        .map(|said| fate(said))
        .collect::<Result<Vec<_>, _>>()?;
    let loaded = config::load(global.config.as_deref())?;
    let (_, environment) = loaded.environment(global.env.as_deref())?;
    let path = look::existing(global, environment)?;
    let runtime = super::runtime()?;
    let (store, id, lease, first) = runtime.block_on(async {
        let store = run::open_journal(&path).await?;
        // Equal secrets are recognised by their tags.
        run::correlate(&store.origin());
        let id = look::found(&store, &args.run).await?;
        let lease = store.lease(&id).await?;
        let first = store.began(&id).await?;
        Ok::<_, Failure>((store, id, lease, first))
    })?;
    let lease = lease.ok_or_else(|| Failure::usage(format!("run {} has no lease", safe(&id))))?;
    if !lease.is_free() {
        return Err(owned(&id, &lease));
    }
    let program = |beginning: &Beginning| {
        let (name, environment) = loaded.environment(Some(global.env.as_deref().unwrap_or(&beginning.environment)))?;
        let file = args.file.clone().unwrap_or_else(|| PathBuf::from(&beginning.file));
        let program = load::trusted(&file, environment, output)?;
        Ok::<_, Failure>((name, environment, file, program))
    };
    // The runbook is read and checked while the journal is read.
    let begun = Beginning::of(first.as_ref());
    let (recorded, ready) = both(|| runtime.block_on(store.entries(&id)), || begun.as_ref().map(program));
    let recorded = recorded?;
    let over = ended(&recorded);
    if let Some(ended) = over.as_ref().filter(|ended| **ended != Outcome::InDoubt.word()) {
        return Err(Failure::usage(format!(
            "run {} has ended ({}); `starr report {0}` is its record",
            safe(&id),
            safe(ended)
        )));
    }
    let beginning = Beginning::of(recorded.first()).ok_or_else(|| {
        Failure::usage(format!(
            "run {} recorded nothing before its process ended: nothing was done; start it again with `starr run`",
            safe(&id)
        ))
    })?;
    let (name, environment, file, program) = match ready.filter(|_| begun.as_ref() == Some(&beginning)) {
        Some(ready) => ready?,
        None => program(&beginning)?,
    };
    let program = Arc::new(program);
    let arguments = arguments(&program, &beginning, &args.set, environment)?;
    let mut gate = run::gate(environment, Mode::Live, None, None)?;
    let policy = run::govern(&mut gate, environment, &file)?;
    let operator = run::operator();
    let directory = Arc::new(Directory::of(environment));
    let decisions = runtime.block_on(store.decisions())?;
    let store = Arc::new(store);
    let console = Console::new(output);
    let people = Arc::new(Settled {
        fates,
        person: operator.clone(),
        behind: people(
            Here {
                console: &console,
                environment: name,
                unattended: args.unattended,
                elsewhere: false,
            },
            &operator,
            &directory,
            std::collections::BTreeMap::new(),
            &decisions,
            &store,
            &id,
        ),
    });
    let facts = run::facts(name, environment, &operator, args.unattended, false);
    let header = RunHeader {
        digests: run::digests(&program, &beginning.file, &file, policy),
        holder: run::holder(&facts),
    };
    let resumed = Event::Resumed {
        by: operator,
        host: facts.host.clone(),
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let came = runtime.block_on(async {
        let sealing = run::sealing(store.clone(), &environment.journal, run::printer(&console))?;
        let journal = match store
            .take(&id, lease.epoch, header, std::slice::from_ref(&resumed))
            .await?
        {
            Taken::Mine(journal) => Arc::new(journal),
            Taken::Others(lease) => return Err(owned(&id, &lease)),
            Taken::NoSuchRun => return Err(Failure::usage(format!("there is no run {}", safe(&id)))),
        };
        console.styled(Style::Attention, &format!("  going on with run {}", safe(&id)));
        let (stop, interrupt) = tokio::sync::watch::channel(false);
        let screen = Arc::new(Lines::new(console.clone(), &id));
        let world = World {
            gate: Arc::new(gate),
            people,
            journal: run::sealed(journal.clone(), sealing, &screen),
            clock: Arc::new(clock::System::new()),
            randomness: Arc::new(random::System),
            screen,
            environment: facts,
            consent: run::consent(&directory, &program, None),
            interrupt,
        };
        let came = if over.is_some() {
            let settled = run::watched(
                &console,
                &stop,
                None,
                engine::settle(program, RunbookId(0), world, &recorded),
            )
            .await?;
            settled.map_or(Came::InDoubt, |ended| Came::Resumed(Resumed::Ended(ended)))
        } else {
            let work = engine::resume(program, RunbookId(0), arguments, world, &recorded);
            Came::Resumed(run::watched(&console, &stop, None, work).await?)
        };
        let _ = decisions.settle(&id, None).await;
        journal.release().await?;
        Ok(came)
    });
    console.done_waiting();
    match came? {
        Came::Resumed(came) => told(&id, came),
        Came::InDoubt => Ok(Exit::InDoubt),
    }
}

enum Came {
    Resumed(Resumed),
    /// An ended run of which something stays in doubt.
    InDoubt,
}

/// What came of going on, as an exit or in words.
fn told(id: &str, came: Resumed) -> Result<Exit, Failure> {
    match came {
        Resumed::Ended(ended) => Ok(Exit::of(&ended.outcome)),
        Resumed::InDoubt(doubt) => Err(Failure {
            exit: Exit::InDoubt,
            message: {
                let intent = doubt.id.split_once('/').map_or(doubt.id.as_str(), |(_, end)| end);
                format!(
                    "run {} stays in doubt, and nothing was sent: \"{}\" ({}, class {}) was intended at {} UTC, and nothing is \
                     recorded of what came of it. Look at the target, then `starr resume {0} --settle {5}=done` or \
                     `--settle {5}=not-done`",
                    safe(id),
                    safe(&doubt.order),
                    safe(&doubt.operation),
                    doubt.class,
                    doubt.intended.strftime("%H:%M:%S"),
                    safe(intent)
                )
            },
        }),
        Resumed::Changed(changed) => Err(Failure {
            exit: Exit::Refused,
            message: format!(
                "run {} cannot go on, because it is not what it was; nothing was sent:\n  - {}",
                safe(id),
                changed
                    .iter()
                    .map(|line| safe(line).into_owned())
                    .collect::<Vec<_>>()
                    .join("\n  - ")
            ),
        }),
        Resumed::Astray(why) => Err(Failure {
            exit: Exit::Refused,
            message: format!("run {} cannot go on; nothing was sent: {}", safe(id), safe(&why)),
        }),
    }
}

/// Takes a run from whoever holds it: the other process can record and send nothing any more.
pub fn take_over(args: &TakeOver, global: &Global, output: Output) -> Result<Exit, Failure> {
    if args.reason.trim().is_empty() {
        return Err(Failure::usage("--reason is empty; say why the run is taken over"));
    }
    let loaded = config::load(global.config.as_deref())?;
    let (_, environment) = loaded.environment(global.env.as_deref())?;
    let path = look::existing(global, environment)?;
    let by: Person = run::operator();
    super::runtime()?.block_on(async {
        let store = run::open_journal(&path).await?;
        let id = look::found(&store, &args.run).await?;
        let recorded = store.entries(&id).await?;
        if let Some(ended) = ended(&recorded) {
            return Err(Failure::usage(format!(
                "run {} has ended ({})",
                safe(&id),
                safe(&ended)
            )));
        }
        let lease = store
            .lease(&id)
            .await?
            .ok_or_else(|| Failure::usage(format!("there is no run {}", safe(&id))))?;
        let event = Event::TakenOver {
            by: by.clone(),
            from: lease.to_string(),
            because: args.reason.clone(),
        };
        let header = RunHeader {
            digests: journal::entry::Digests::default(),
            holder: format!("{}, process {}", by.name, std::process::id()),
        };
        match store
            .take(&id, lease.epoch, header, std::slice::from_ref(&event))
            .await?
        {
            Taken::Mine(run) => run.release().await?,
            Taken::Others(lease) => return Err(owned(&id, &lease)),
            Taken::NoSuchRun => return Err(Failure::usage(format!("there is no run {}", safe(&id)))),
        }
        Console::new(output).styled(
            Style::Good,
            &format!(
                "  run {} was taken over; it was {}. `starr resume {0}` goes on with it",
                safe(&id),
                safe(&lease.to_string())
            ),
        );
        Ok(Exit::Good)
    })
}

fn owned(id: &str, lease: &Lease) -> Failure {
    Failure {
        exit: Exit::Refused,
        message: format!(
            "run {} is {}; nothing was changed. If that process must not go on, `starr take-over {0} --reason …`",
            safe(id),
            safe(&lease.to_string())
        ),
    }
}

/// The outcome, when the run has ended.
fn ended(recorded: &[Recorded]) -> Option<String> {
    recorded.iter().rev().find_map(|entry| match &entry.event {
        Some(Event::Ended { outcome, .. }) if entry.scope.is_empty() => Some(outcome.clone()),
        _ => None,
    })
}

/// The parameters as they were; what is a secret has to be given again.
fn arguments(
    program: &crate::program::Program,
    beginning: &Beginning,
    set: &[String],
    environment: &Environment,
) -> Result<Vec<(String, Value)>, Failure> {
    let mut given = Vec::new();
    let mut open = Vec::new();
    for (name, input) in &beginning.inputs {
        match tagged::from_json(input) {
            Ok(value) => given.push((name.clone(), value)),
            Err(_) => open.push(name.clone()),
        }
    }
    for pair in set {
        let Some((name, text)) = pair
            .split_once('=')
            .filter(|(name, _)| open.iter().any(|open| open == name))
        else {
            return Err(Failure::usage(format!(
                "--set {}: a run goes on with the values it was started with; only secrets have to be given again{}",
                safe(pair.split_once('=').map_or(pair.as_str(), |(name, _)| name)),
                if open.is_empty() {
                    String::new()
                } else {
                    format!(" ({})", open.join(", "))
                }
            )));
        };
        let Some(book) = program.runbooks.first() else { continue };
        let parameter = book
            .params
            .iter()
            .map(|id| book.binding(*id))
            .find(|binding| binding.name == name);
        let Some(parameter) = parameter else { continue };
        let value = run::given_value(&parameter.ty, text, environment)
            .map_err(|problem| Failure::usage(format!("--set {name}: {problem}")))?;
        given.push((name.to_owned(), value));
        open.retain(|open| open != name);
    }
    match open.as_slice() {
        [] => Ok(given),
        [name, ..] => Err(Failure::usage(format!(
            "the secret parameter `{name}` is not in the journal; give it again with --set {name}=…"
        ))),
    }
}

/// `3=done`, `3=not-done`: the end of the intent's id, and what came of it.
fn fate(said: &str) -> Result<(String, Fate), Failure> {
    match said.rsplit_once('=') {
        Some((id, "done")) if !id.is_empty() => Ok((id.to_owned(), Fate::Done)),
        Some((id, "not-done")) if !id.is_empty() => Ok((id.to_owned(), Fate::NotDone)),
        _ => Err(Failure::usage(format!(
            "--settle {}: expected INTENT=done or INTENT=not-done",
            safe(said)
        ))),
    }
}
