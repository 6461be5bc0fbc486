//! The command line: one file per command.

mod answer;
mod approve;
pub mod args;
mod bundle;
mod check;
mod completions;
mod console;
mod consult;
mod diff;
mod doctor;
mod elsewhere;
mod explain;
pub mod files;
mod fmt;
mod grants;
mod guard;
mod inquiry;
mod intake;
mod journal;
mod journal_args;
mod journal_keep;
mod load;
mod offline;
mod output;
mod parallel;
mod people;
mod pins;
mod plan;
mod planned;
#[cfg(feature = "policy")]
mod policy;
mod providers;
#[cfg(feature = "aws")]
mod providers_models;
mod record;
mod references;
mod render;
mod replay;
mod request;
mod resume;
mod revision;
mod run;
mod scenario;
mod screen;
mod secret;
mod sign;
mod table;
mod test;

use args::{Cli, Command};
use clap::Parser;
use output::{Output, complain};
use std::process::ExitCode;

/// How a command ends. The numbers are documented and stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Resolved, or nothing to report.
    Good,
    /// Findings, failed tests, or not resolved.
    Findings,
    /// Wrong usage or an invalid file.
    Usage,
    /// Refused by policy, approval or grant.
    Refused,
    /// The fate of a change is unknown.
    InDoubt,
    /// The journal cannot be written.
    Journal,
}

impl Exit {
    /// How a run ended.
    fn of(outcome: &crate::engine::Outcome) -> Self {
        match outcome.exit_code() {
            0 => Exit::Good,
            1 => Exit::Findings,
            3 => Exit::Refused,
            _ => Exit::InDoubt,
        }
    }

    fn code(self) -> u8 {
        match self {
            Exit::Good => 0,
            Exit::Findings => 1,
            Exit::Usage => 2,
            Exit::Refused => 3,
            Exit::InDoubt => 4,
            Exit::Journal => 5,
        }
    }
}

/// A command that could not do its work: what to say, and how to end.
#[derive(Debug)]
struct Failure {
    exit: Exit,
    message: String,
}

impl Failure {
    fn usage(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            message: message.into(),
        }
    }
}

impl From<crate::config::Error> for Failure {
    fn from(error: crate::config::Error) -> Self {
        Self::usage(error.message)
    }
}

impl From<crate::journal::Error> for Failure {
    fn from(error: crate::journal::Error) -> Self {
        Self {
            exit: Exit::Journal,
            message: error.message,
        }
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(problem) => {
            // Help and version are not mistakes; clap knows which stream and which colour.
            let _ = problem.print();
            return ExitCode::from(if problem.use_stderr() { Exit::Usage.code() } else { 0 });
        }
    };
    let output = Output::new(&cli.global);
    guard::panics();
    guard::memory();
    let global = &cli.global;
    let done = match &cli.command {
        Command::Run(args) => run::run(args, global, output),
        Command::Resume(args) => resume::resume(args, global, output),
        Command::TakeOver(args) => resume::take_over(args, global, output),
        Command::Plan(args) => plan::plan(args, global, output),
        Command::Replay(args) => replay::replay(args, output),
        Command::Scenario(args) => scenario::scenario(args, output),
        Command::Diff(args) => diff::diff(args, output),
        Command::Grants(args) => grants::grants(args, global, output),
        Command::Check(args) => check::check(args, global, output),
        Command::Test(args) => test::test(args, global, output),
        Command::Fmt(args) => fmt::fmt(args, output),
        Command::Explain(args) => explain::explain(args, output),
        Command::Providers(args) => providers::providers(args, output),
        Command::Render(args) => render::render(args, global, output),
        Command::Answer(args) => answer::answer(args, global, output),
        Command::Approve(args) => approve::approve(args, global, output),
        #[cfg(feature = "policy")]
        Command::Policy(command) => policy::policy(command, global, output),
        Command::Runs(args) => journal::runs(args, global, output),
        Command::Show(args) => journal::show(args, global, output),
        Command::Report(args) => journal::report(args, global, output),
        Command::Bundle(args) => bundle::bundle(args, global, output),
        Command::Journal(command) => journal_keep::journal(command, global, output),
        Command::Sign(args) => sign::sign(args, global, output),
        Command::Lock(args) => pins::lock(args, output),
        Command::Secret(command) => secret::secret(command),
        Command::Doctor(args) if args.references => references::references(args, global, output),
        Command::Doctor(_) => doctor::doctor(global, output),
        Command::Completions(args) => completions::completions(args),
        Command::Man => completions::man(),
    };
    guard::forced_panic();
    output::flush();
    for warning in crate::secrets::take_warnings() {
        complain(&format!("starr: warning: {warning}"));
    }
    match done {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) => {
            if output.json {
                output::line(
                    &serde_json::json!({ "error": failure.message, "exit_code": failure.exit.code() }).to_string(),
                );
            } else {
                complain(&format!("starr: {}", failure.message));
            }
            ExitCode::from(failure.exit.code())
        }
    }
}

/// Whoever is logged in on this machine, as the journal names people.
fn login_as_person() -> crate::journal::event::Person {
    crate::journal::event::Person {
        name: login(),
        by: "login".to_owned(),
    }
}

/// The login name of whoever runs this process: the name of the real user id, or the id itself when it has no name.
pub fn login() -> String {
    let id = rustix::process::getuid().as_raw();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    passwd
        .lines()
        .find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
        })
        .unwrap_or_else(|| format!("uid {id}"))
}

/// A runtime for the commands that reach outside; built only when one does.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|problem| Failure::usage(format!("cannot start: {problem}")))
}
