//! The words of the command line.

use super::journal_args::JournalCommand;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Runbooks as programs: checked before they run, run with approval, recorded as they happen.
#[derive(Debug, Parser)]
#[command(
    name = "starr",
    version,
    about,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  starr run runbooks/host/slow-host.starr      find out what slows this machine down
  starr check runbooks                         prove what can be proved before anything runs
  starr plan runbooks/host/slow-host.starr     what would run, on which answer
  starr report latest                          the record of the last run

Exit codes:
  0  resolved, or nothing to report       3  refused by policy, approval or grant
  1  findings, or not resolved            4  in doubt: the fate of a change is unknown
  2  wrong usage or an invalid file       5  the journal cannot be written"
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
pub struct Global {
    /// Write JSON for programs instead of text for people
    #[arg(long, global = true)]
    pub json: bool,
    /// When to use colours; NO_COLOR is respected
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
    /// The configuration file [default: $STARR_CONFIG, then starr/starr.yaml in the user's configuration folder]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The environment of the configuration
    #[arg(long, global = true, value_name = "NAME")]
    pub env: Option<String>,
    /// The journal's file [default: the configuration's, then starr/journal.db in the user's state folder]
    #[arg(long, global = true, value_name = "FILE")]
    pub journal: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a runbook with a person: look, find the cause, ask before changing, verify, record
    Run(Run),
    /// Go on with a run whose process ended, from its journal
    Resume(Resume),
    /// Take a run from the process that holds it
    TakeOver(TakeOver),
    /// Say what would run, on which answer, without running anything
    Plan(Plan),
    /// Run a recorded run again, without anything outside: the same way, or today's runbook on that day's incident
    Replay(Replay),
    /// Write a recorded run as a scenario, for `starr test`
    Scenario(Scenario),
    /// Say what a change of runbooks does to risk
    Diff(Diff),
    /// Print the least rights that a runbook needs, in the target's own words
    Grants(Grants),
    /// Prove what can be proved before anything runs
    Check(Check),
    /// Run scenarios and examples: what the systems answer is written down, nothing is contacted
    Test(Test),
    /// Bring files into their one canonical form
    Fmt(Fmt),
    /// Explain a rule of the checker
    Explain(Explain),
    /// List providers and their operations
    Providers(Providers),
    /// Render a runbook as the guide that people read, or as a diagram
    Render(Render),
    /// Answer from another terminal what a run asks of somebody who is not at its own
    Answer(Answer),
    /// Decide from another terminal what a run waits for, or answer a challenge without a connection
    Approve(Approve),
    /// Check, test and ask the policy: who may run, approve, override and change what
    #[cfg(feature = "policy")]
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// List the runs of the journal
    Runs(Runs),
    /// Show what happened in a run, line by line
    Show(RunRef),
    /// Write the incident record of a run: situation, task, action, result, reflection
    Report(Report),
    /// Put a run that has ended into one file for somebody else, or check such a file
    Bundle(Bundle),
    /// Look after the journal
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Sign a runbook, or say who signed it
    Sign(Sign),
    /// Pin the content of the modules that this project's runbooks use
    Lock(Lock),
    /// Keep secrets in the operating system's keyring
    #[command(subcommand)]
    Secret(SecretCommand),
    /// Is every provider of this environment reachable, and with which rights? Does what runbooks refer to still exist?
    Doctor(Doctor),
    /// Print completions for a shell
    Completions(Completions),
    /// Print the manual page
    Man,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  starr run runbooks/host/slow-host.starr
  starr run runbooks/sergas/db-pool-exhausted.starr --set db=orders --env production
  starr run runbooks/host/slow-host.starr --dry-run
  starr run --alert alert.json                  the runbook that the alert names, with its labels as parameters")]
pub struct Run {
    /// The runbook
    #[arg(required_unless_present_any = ["plan", "alert"])]
    pub file: Option<PathBuf>,
    /// An alert as Alertmanager or PagerDuty sends it to a web hook; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["plan"])]
    pub alert: Option<PathBuf>,
    /// Where the runbook lies that an alert names
    #[arg(long, value_name = "DIR", default_value = "runbooks", requires = "alert")]
    pub runbooks: PathBuf,
    /// Run exactly this plan (`starr plan -o FILE`), once; refused when what was found is no longer so
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "set", "answer", "dry_run"])]
    pub plan: Option<PathBuf>,
    /// Give a parameter a value
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Answer an `observed` question beforehand: yes, no or unknown
    #[arg(long = "answer", value_name = "NAME=ANSWER")]
    pub answer: Vec<String>,
    /// Look, but change nothing: no change is ever sent
    #[arg(long)]
    pub dry_run: bool,
    /// Nobody is there: ask nothing, refuse what needs approval
    #[arg(long)]
    pub unattended: bool,
    /// No terminal here: wait for `starr approve` and `starr answer` from another one instead of refusing
    #[arg(long, conflicts_with = "unattended")]
    pub approve_elsewhere: bool,
    /// Emergency: let the policy answer as in one, with a second person's consent; lowers the grade of the run
    #[arg(long = "override", value_name = "REASON", requires = "ticket")]
    pub override_reason: Option<String>,
    /// The ticket of the emergency
    #[arg(long, value_name = "TICKET", requires = "override_reason")]
    pub ticket: Option<String>,
    /// How long the override lasts, at most 4 h
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "30 min",
        requires = "override_reason"
    )]
    pub override_for: String,
    /// Record every call and reply, and what people say, into this folder
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The run is gone again from its beginning, and what is recorded is taken from the record: nothing is asked or sent twice.
It must be what it was: the same texts, parameters, environment and version; otherwise it is refused, and the differences are said.
A change that was sent and has no result is in doubt: sent again where that is harmless, otherwise somebody says what came of it.

Examples:
  starr resume latest
  starr resume 20261122-0314-k7f2 --settle 3=done")]
pub struct Resume {
    /// The run: its id, the beginning of it, or `latest`
    pub run: String,
    /// The runbook, where it lies elsewhere now
    pub file: Option<PathBuf>,
    /// Give a secret parameter again; every other value is the one the run was started with
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Say what came of a change that is in doubt: done or not-done
    #[arg(long = "settle", value_name = "INTENT=FATE")]
    pub settle: Vec<String>,
    /// Nobody is there: ask nothing, refuse what needs approval
    #[arg(long)]
    pub unattended: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  starr take-over latest --reason \"the laptop is closed and its owner on a plane\"")]
pub struct TakeOver {
    /// The run: its id, the beginning of it, or `latest`
    pub run: String,
    /// Why; it stands in the record
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  starr answer                               what is asked; at a terminal, answer it
  starr answer 260814-0912                   the question of one run")]
pub struct Answer {
    /// The run: its id or the beginning of it
    pub run: Option<String>,
    /// Your key, where the configuration names one [default: starr/key in the user's configuration folder]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  starr approve                              what waits; at a terminal, decide it
  starr approve 260814-0912                  the request of one run
  starr approve --challenge 7K3Q-9MXA-…      answer without a connection, with your key
  starr approve --new-key ~/.config/starr/key   make a key")]
pub struct Approve {
    /// The run: its id or the beginning of it
    pub run: Option<String>,
    /// Print the challenge of the request in writing, to be pasted into a chat: whoever gets it sees all of the request
    #[arg(long)]
    pub written: bool,
    /// Answer this challenge with your key; no connection is needed
    #[arg(long, value_name = "TEXT")]
    pub challenge: Option<String>,
    /// Who you are, when the login name is another one here
    #[arg(long = "as", value_name = "PERSON", requires = "challenge")]
    pub person: Option<String>,
    /// Your key [default: starr/key in the user's configuration folder]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
    /// Make a key
    #[arg(long, value_name = "FILE", conflicts_with_all = ["challenge", "run"])]
    pub new_key: Option<PathBuf>,
    /// Make a shared secret for spoken answers instead of a key pair
    #[arg(long, requires = "new_key")]
    pub code: bool,
}

#[cfg(feature = "policy")]
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  starr policy check                  the policy of the environment fits the schema
  starr policy test policy-tests.yaml questions with expected answers
  starr policy explain change --person alice --target 'postgres orders' --operation postgres.sessions.terminate")]
pub enum PolicyCommand {
    /// Read a policy and check it against the schema
    Check {
        /// Cedar files [default: those of the environment]
        files: Vec<PathBuf>,
    },
    /// Ask a policy the questions of a file, and compare
    Test {
        /// The tests
        file: PathBuf,
        /// Cedar files [default: those of the environment]
        #[arg(long, value_name = "FILE")]
        policy: Vec<PathBuf>,
    },
    /// Ask one question, and say which policy and which attribute decided it
    Explain(PolicyExplain),
    /// Print the schema
    Schema,
}

#[cfg(feature = "policy")]
#[derive(Debug, Args)]
pub struct PolicyExplain {
    /// run, approve, override, change, tell or take_lock
    pub act: String,
    /// Who [default: you]
    #[arg(long, value_name = "NAME")]
    pub person: Option<String>,
    /// What is touched, as provider and name
    #[arg(long, value_name = "TARGET")]
    pub target: Option<String>,
    #[arg(long, value_name = "OPERATION")]
    pub operation: Option<String>,
    /// How many things the call touches
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Who approved it
    #[arg(long, value_name = "NAME")]
    pub approver: Vec<String>,
    /// The role that is asked for
    #[arg(long, value_name = "ROLE")]
    pub role: Vec<String>,
    /// The second person of an override
    #[arg(long, value_name = "NAME")]
    pub second: Option<String>,
    /// Who started the run [default: the person]
    #[arg(long, value_name = "NAME")]
    pub requester: Option<String>,
    #[arg(long, value_name = "NAME")]
    pub runbook: Option<String>,
    #[arg(long, value_name = "NAME")]
    pub action: Option<String>,
    #[arg(long, value_name = "low|medium|high")]
    pub risk: Option<String>,
    /// do or undo
    #[arg(long, value_name = "do|undo")]
    pub purpose: Option<String>,
    /// An emergency override is in force
    #[arg(long)]
    pub emergency: bool,
    /// When [default: now]
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Cedar files [default: those of the environment]
    #[arg(long, value_name = "FILE")]
    pub policy: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  starr plan runbooks/pool.starr                                   both outcomes of everything; nothing is contacted
  starr plan runbooks/pool.starr --live --set db=orders            look, and say what would be sent; reads alone
  starr plan runbooks/pool.starr --live --set db=orders -o plan.json && starr run --plan plan.json")]
pub struct Plan {
    /// The runbook
    pub file: PathBuf,
    /// Look at the real systems: reads are sent, a change is impossible
    #[arg(long)]
    pub live: bool,
    /// Give a parameter a value
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Answer an `observed` question beforehand: yes, no or unknown
    #[arg(long = "answer", value_name = "NAME=ANSWER", requires = "live")]
    pub answer: Vec<String>,
    /// Keep the plan in this file, for `starr run --plan FILE`
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  starr scenario incidents/2026-11-22
  starr scenario incidents/2026-11-22 -o runbooks/pool.scenarios.starr

Exit codes: 0 it passes as it stands, 1 it does not, with the reasons")]
pub struct Scenario {
    /// The folder of a recording (`starr run --record`), or its file
    pub recording: PathBuf,
    /// Write to this file, behind what stands in it
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  starr diff origin/main                               every runbook below this folder, against that revision
  starr diff HEAD~1 runbooks --format markdown         for a comment on a pull request
  starr diff old.starr new.starr
  starr diff origin/main --fail-on approval-weakened,path-without-approval
  starr diff origin/main --fail-on riskier")]
pub struct Diff {
    /// A revision of git, or the older of two files
    pub revision: String,
    /// Files and folders [default: this folder], or the newer of two files
    pub paths: Vec<PathBuf>,
    /// How differences are written
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<DiffFormat>,
    /// Fail (exit code 1) on these classes; `riskier` and `any` stand for many
    #[arg(long, value_name = "CLASS", value_delimiter = ',')]
    pub fail_on: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DiffFormat {
    Human,
    Json,
    Markdown,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  starr grants runbooks/sergas/db-pool-exhausted.starr --set db=orders
  starr grants runbooks/sergas/db-pool-exhausted.starr --to config     the grants for starr.yaml
  starr grants runbooks/awsrt/dynamodb-throttling.starr --to iam --ask      does the login have them?")]
pub struct Grants {
    /// The runbook
    pub file: PathBuf,
    /// Give a parameter a value
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Whose words
    #[arg(long, value_enum, default_value_t = GrantsTo::All)]
    pub to: GrantsTo,
    /// Ask the targets, read-only, whether the logins of the environment have these rights
    #[arg(long)]
    pub ask: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GrantsTo {
    /// Each target's own
    All,
    /// SQL, for PostgreSQL
    Sql,
    /// Rules of the access list, for Redis
    Acl,
    /// Roles and their bindings, for Kubernetes
    Rbac,
    /// Policies of IAM, for AWS
    Iam,
    /// A custom role, for Azure
    AzureRole,
    /// The grants of an environment, for starr.yaml
    Config,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  starr doctor                             providers, configuration, journal
  starr doctor --references runbooks       what runbooks name and no longer exists; when each branch was last taken")]
pub struct Doctor {
    /// Look up, read-only, everything that runbooks refer to
    #[arg(long)]
    pub references: bool,
    /// Runbooks and folders
    #[arg(default_value = ".", hide_default_value = true, requires = "references")]
    pub paths: Vec<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  starr replay incidents/2026-11-22                        does it go the same way again?
  starr replay incidents/2026-11-22 runbooks/pool.starr    which way would today's runbook go?

Exit codes: 0 the same way, 1 another way")]
pub struct Replay {
    /// The folder of a recording (`starr run --record`), or its file
    pub recording: PathBuf,
    /// The runbook to run on it [default: the one that was recorded]
    pub file: Option<PathBuf>,
    /// Write the report of the replayed run to this file
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Show the whole way, not only where the two differ
    #[arg(long)]
    pub all: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  starr check                     every .starr file below this folder
  starr check runbooks --fix      and make the edits that rules offer
  starr check --format sarif      for code scanning")]
pub struct Check {
    /// Files and folders
    #[arg(default_value = ".", hide_default_value = true)]
    pub paths: Vec<PathBuf>,
    /// How findings are written
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Make the edits that rules offer
    #[arg(long)]
    pub fix: bool,
    /// Warnings fail too
    #[arg(long)]
    pub strict: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Human,
    Json,
    Sarif,
    Github,
    Gitlab,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  starr test                                      every scenario and example below this folder
  starr test runbooks --coverage --min 100        and fail when a scenario is missing
  starr test runbooks --faults                    what happens when each call goes wrong in turn
  starr test runbooks --junit report.xml --format github")]
pub struct Test {
    /// Files and folders
    #[arg(default_value = ".", hide_default_value = true)]
    pub paths: Vec<PathBuf>,
    /// Only scenarios and examples whose title contains this
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// Say which causes, arms, outcomes and unknown answers no scenario reaches
    #[arg(long)]
    pub coverage: bool,
    /// Fail when the coverage is below so many percent
    #[arg(long, value_name = "PERCENT")]
    pub min: Option<usize>,
    /// Write the coverage in LCOV's form into this file
    #[arg(long, value_name = "FILE")]
    pub lcov: Option<PathBuf>,
    /// Let each provider call of each passing scenario fail, time out, be forbidden, be empty, be cut
    #[arg(
        long,
        value_name = "WHICH",
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "all"
    )]
    pub faults: Option<WhichFaults>,
    /// Ask each question so many times with made-up inputs
    #[arg(long, value_name = "COUNT")]
    pub generate: Option<usize>,
    /// Where the made-up inputs begin; the same seed gives the same inputs
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// Write a JUnit report into this file
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// How results are written
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<TestFormat>,
    /// At most so many threads [default: as many as there are processors]
    #[arg(long, value_name = "COUNT", default_value_t = 0, hide_default_value = true)]
    pub threads: usize,
}

/// Calls that go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WhichFaults {
    /// Every call in turn.
    All,
    /// Of equal calls between two changes the first and the last.
    Ends,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TestFormat {
    Human,
    Json,
    Github,
    Gitlab,
}

#[derive(Debug, Args)]
pub struct Fmt {
    /// Files and folders
    #[arg(default_value = ".", hide_default_value = true)]
    pub paths: Vec<PathBuf>,
    /// Change nothing; show what would change and fail if anything would
    #[arg(long)]
    pub check: bool,
}

#[derive(Debug, Args)]
pub struct Explain {
    /// The rule's id, for example series-without-for; without it, the list of rules
    pub rule: Option<String>,
}

#[derive(Debug, Args)]
pub struct Providers {
    /// One provider, with its operations in full
    pub name: Option<String>,
    /// A service, of a provider that has service models: `starr providers aws ecs`
    pub service: Option<String>,
    /// One operation of it: `starr providers aws ecs UpdateService`
    pub operation: Option<String>,
}

#[derive(Debug, Args)]
pub struct Render {
    /// The runbook
    pub file: PathBuf,
    /// What to make of it
    #[arg(long, value_enum, default_value_t = To::Md)]
    pub to: To,
    /// Print what an alerting rule says about this runbook instead: its name and the command, as annotations
    #[arg(long, conflicts_with_all = ["to", "output"])]
    pub alert_command: bool,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum To {
    Md,
    Html,
    Mermaid,
}

#[derive(Debug, Args)]
pub struct Runs {
    /// At most so many, newest first
    #[arg(long, default_value_t = 20)]
    pub last: usize,
}

#[derive(Debug, Args)]
pub struct RunRef {
    /// The run: its id, the beginning of it, or `latest`
    #[arg(default_value = "latest")]
    pub run: String,
}

#[derive(Debug, Args)]
pub struct Report {
    /// The run: its id, the beginning of it, or `latest`
    #[arg(default_value = "latest")]
    pub run: String,
    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  starr bundle latest --to inc-4711.json
  starr bundle --check inc-4711.json            is it what was made, as the journal has it?")]
pub struct Bundle {
    /// The run: its id, the beginning of it, or `latest`
    #[arg(default_value = "latest", conflicts_with = "check")]
    pub run: String,
    /// The new file; `starr-RUN.json` in this folder when absent
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    pub to: Option<PathBuf>,
    /// Say whether this file is a bundle that the journal knows, unchanged
    #[arg(long, value_name = "FILE")]
    pub check: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  starr sign runbooks/db.starr --key ~/.ssh/id_ed25519     writes runbooks/db.starr.sig
  starr sign runbooks/db.starr --check --env production    who signed it, and does that count there?
  ssh-keygen -Y sign -n starr-runbook -f KEY FILE          makes the same signature, also with an agent")]
pub struct Sign {
    /// The runbook or module
    pub file: PathBuf,
    /// The private SSH key to sign with
    #[arg(long, value_name = "FILE", required_unless_present = "check")]
    pub key: Option<PathBuf>,
    /// Verify the signature against the environment's signers; sign nothing
    #[arg(long, conflicts_with = "key")]
    pub check: bool,
}

#[derive(Debug, Args)]
pub struct Lock {
    /// The project's folder
    #[arg(default_value = ".", hide_default_value = true)]
    pub folder: PathBuf,
    /// Write nothing; fail if starr.lock is not what would be written
    #[arg(long)]
    pub check: bool,
}

#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Take a secret from standard input and keep it under this name, for `{ keyring: NAME }`
    Set(SecretSet),
}

#[derive(Debug, Args)]
pub struct SecretSet {
    /// The name in the configuration
    pub name: String,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  starr completions bash > ~/.local/share/bash-completion/completions/starr
  starr completions zsh > ~/.zfunc/_starr")]
pub struct Completions {
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}
