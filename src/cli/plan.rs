//! `starr plan`: what would run, on which answer; with `--live` what would be sent now.

use super::args::{Global, Plan};
use super::output::{Output, complain, line, print};
use super::people::Prepared;
use super::{Exit, Failure, load, run};
use crate::config::{self, Environment};
use crate::engine::world::{self, Nobody, Screen, World};
use crate::engine::{self, clock, random};
use crate::journal::event::{Person, PlannedCall};
use crate::journal::{Event, Memory, Recorded};
use crate::plan::file::{Made, PlanFile};
use crate::plan::found::{Found, Preview, operation, values};
use crate::program::{Program, RunbookId};
use crate::provider::Call;
use crate::provider::gate::Mode;
use crate::provider::native::Previewed;
use crate::value::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Prints the plan of the first runbook of a file.
pub fn plan(args: &Plan, global: &Global, output: Output) -> Result<Exit, Failure> {
    let loaded = config::load(global.config.as_deref())?;
    let (name, environment) = loaded.environment(global.env.as_deref())?;
    let program = Arc::new(load::program(&args.file, Some(environment), output)?);
    if program.runbooks.is_empty() {
        return Err(Failure::usage(format!("{} holds no runbook", args.file.display())));
    }
    let plan = crate::plan::plan(&program, RunbookId(0));
    // A plan that is only looked at needs no values.
    let kept = args.live || args.output.is_some();
    let arguments = if kept || !args.set.is_empty() {
        run::arguments(&program, &args.set, environment)?
    } else {
        Vec::new()
    };
    let answers = run::answers(&program, &args.answer, environment)?;
    let found = if args.live {
        let entries = look(&program, name, environment, arguments.clone(), answers.clone())?;
        let mut found = Found::of(&entries);
        previews(environment, &mut found)?;
        Some(found)
    } else {
        None
    };
    let mut id = [0; 16];
    world::Randomness::fill(&random::System, &mut id);
    let file = PlanFile::new(Made {
        plan: &plan,
        found,
        id: hex::encode(id),
        made: jiff::Timestamp::now(),
        file: args.file.display().to_string(),
        environment: name.to_owned(),
        arguments: &arguments,
        answers,
    });
    let json =
        || serde_json::to_string(&file).map_err(|problem| Failure::usage(format!("cannot write the plan: {problem}")));
    if let Some(path) = &args.output {
        keep(path, &json()?)?;
        complain(&format!("wrote {}, plan {}", path.display(), &file.digest[..16]));
    }
    if output.json {
        line(&json()?);
    } else {
        print(&match &file.found {
            Some(found) => crate::render::plan_live::text(&file, &plan, found),
            None => crate::render::plan::text(&plan),
        });
    }
    Ok(Exit::Good)
}

/// Asks the targets themselves what the changes would do, where that is granted.
fn previews(environment: &Environment, found: &mut Found) -> Result<(), Failure> {
    let gate = run::gate(environment, Mode::DryRun, None, None)?;
    super::runtime()?.block_on(async {
        for change in &mut found.changes {
            for planned in &change.calls {
                let preview = match call_of(planned) {
                    Some(call) => gate.preview(&call).await,
                    None => Previewed::NoPreview,
                };
                let (how, lines, shown) = match preview {
                    Previewed::NoPreview => ("no preview".to_owned(), Vec::new(), false),
                    Previewed::NotGranted(why) => (why, Vec::new(), false),
                    Previewed::Unknown(unknown) => (unknown.to_string(), Vec::new(), false),
                    Previewed::Shown { how, lines } => (how, lines, true),
                };
                change.previews.push(Preview { how, lines, shown });
            }
        }
    });
    Ok(())
}

/// A planned call as it would be made.
fn call_of(planned: &PlannedCall) -> Option<Call> {
    let operation = operation(&planned.operation)?;
    Some(Call {
        args: values(planned)
            .into_iter()
            .map(|(name, value)| (name.into(), value))
            .collect(),
        within: operation.within.min(PREVIEW),
        operation,
        key: None,
    })
}

/// Longest a preview may take.
const PREVIEW: Duration = Duration::from_secs(30);

/// Writes a plan for its owner alone: it holds what was found.
fn keep(path: &std::path::Path, text: &str) -> Result<(), Failure> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|problem| Failure::usage(format!("cannot write {}: {problem}", path.display())))
}

/// Shows nothing.
struct Quiet;

impl Screen for Quiet {
    fn event(&self, _: &str, _: &Event) {}
    fn waiting(&self, _: &str, _: Option<Duration>) {}
    fn done_waiting(&self) {}
}

/// Looks at the real systems: a dry run behind a gate that makes no permit, kept in memory. Nobody is asked.
pub fn look(
    program: &Arc<Program>,
    name: &str,
    environment: &Environment,
    arguments: Vec<(String, Value)>,
    answers: BTreeMap<String, Option<bool>>,
) -> Result<Vec<Recorded>, Failure> {
    let mut gate = run::gate(environment, Mode::DryRun, None, None)?;
    // A policy decides about a plan as about a dry run.
    if let Some(book) = program.runbooks.first() {
        let text = program.sources.file(book.span.file);
        let path = text.path.clone().unwrap_or_else(|| text.name.clone().into());
        run::govern(&mut gate, environment, &path)?;
    }
    let directory = super::consult::Directory::of(environment);
    let operator = Person {
        name: super::login(),
        by: "login".to_owned(),
    };
    let journal = Arc::new(Memory::new("plan"));
    let (_stop, interrupt) = tokio::sync::watch::channel(false);
    let world = World {
        gate: Arc::new(gate),
        people: Arc::new(Prepared {
            answers,
            person: operator.clone(),
            roles: directory.roles_of(&operator.name),
            behind: Arc::new(Nobody {
                reason: "a plan asks nobody; give it with --answer".into(),
            }),
        }),
        journal: journal.clone(),
        clock: Arc::new(clock::System::new()),
        randomness: Arc::new(random::System),
        screen: Arc::new(Quiet),
        environment: world::Environment {
            name: name.to_owned(),
            operator,
            severities: environment.severities.clone(),
            default_severity: environment.default_severity().to_owned(),
            unattended: false,
            dry_run: true,
            occasion: None,
            resources: environment.resources(),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        },
        consent: run::consent(&directory, program, None),
        interrupt,
    };
    super::runtime()?.block_on(engine::run(program.clone(), RunbookId(0), arguments, world))?;
    Ok(journal.entries())
}
