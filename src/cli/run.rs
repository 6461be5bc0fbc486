//! `starr run`: a runbook with a person.

use super::args::{Global, Run};
use super::console::Console;
use super::consult::{Directory, Here, people};
use super::intake::{self, Subject};
use super::output::{Output, Style, complain};
use super::planned::Planned;
use super::record::Record;
use super::screen::Lines;
use super::{Exit, Failure, load};
use crate::config::{self, Environment, JournalPlace};
use crate::engine::consent::Emergency;
use crate::engine::world::{self, World};
use crate::engine::{self, clock, random};
use crate::intake::Alert;
use crate::journal::event::Person;
use crate::journal::{self, About, Begun, Location};
use crate::program::{BindingKind, Program, QuestionForm, RunbookId};
use crate::provider::Provider;
use crate::provider::bound::{Allows, Bound};
use crate::provider::gate::{Gate, Mode};
use crate::provider::patience::Patient;
use crate::provider::record::{Recorder, Tape};
use crate::render::safe::safe;
use crate::secrets;
use crate::value::{Secret, Type, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Longest time an emergency override lasts.
const OVERRIDE_LASTS: Duration = Duration::from_secs(4 * 60 * 60);

/// The file that is to be run: the one that was named, or the one that the alert names.
fn meant(file: Option<PathBuf>, alert: Option<&Alert>, args: &Run) -> Result<PathBuf, Failure> {
    match (file, alert) {
        (None, Some(alert)) => intake::runbook(alert, &args.runbooks),
        (file, _) => Ok(file.unwrap_or_default()),
    }
}

/// The values of the parameters: what was given by hand, then what the alert says.
fn set_by(
    args: &Run,
    alert: Option<&Alert>,
    program: &Program,
    environment: &Environment,
) -> Result<Vec<(String, Value)>, Failure> {
    let mut set = args.set.clone();
    if let Some(alert) = alert {
        set.extend(intake::values(alert, program, &args.set)?);
    }
    arguments(program, &set, environment)
}

/// Tells the run that is under way for an alert what happened to it; false when there is none.
fn tell_run(
    alert: &Alert,
    args: &Run,
    global: &Global,
    (name, environment): (&str, &Environment),
    output: Output,
) -> Result<bool, Failure> {
    let path = journal_path(global, environment)?;
    if args.dry_run || !path.exists() || (args.file.is_none() && alert.runbook().is_none()) {
        return Ok(false);
    }
    let file = meant(args.file.clone(), Some(alert), args)?;
    let program = load::trusted(&file, environment, output)?;
    let Some(book) = program.runbooks.first() else {
        return Ok(false);
    };
    let arguments = set_by(args, Some(alert), &program, environment)?;
    let subject = Subject {
        runbook: &book.name,
        environment: name,
        arguments: &arguments,
    };
    Ok(super::runtime()?.block_on(subject.attach(&path, alert, output))?)
}

/// Runs a runbook to its end.
pub fn run(args: &Run, global: &Global, output: Output) -> Result<Exit, Failure> {
    let loaded = config::load(global.config.as_deref())?;
    let (name, environment) = loaded.environment(global.env.as_deref())?;
    let planned = args.plan.as_deref().map(Planned::open).transpose()?;
    let alert = intake::alert(args)?;
    if let Some(alert) = alert.as_ref().filter(|alert| !alert.firing) {
        // What happened to an alert starts nothing; a run that is under way for it is told, where there is one.
        match tell_run(alert, args, global, (name, environment), output) {
            Ok(true) => {}
            Ok(false) => complain(&format!("{}; nothing was run", safe(&alert.event()))),
            Err(problem) => complain(&format!(
                "{}; nothing was run, and whether a run is under way for it is not known: {}",
                safe(&alert.event()),
                problem.message
            )),
        }
        return Ok(Exit::Good);
    }
    let file = planned.as_ref().map(Planned::runbook).or_else(|| args.file.clone());
    let file = meant(file, alert.as_ref(), args)?;
    let program = Arc::new(load::trusted(&file, environment, output)?);
    let Some(book) = program.runbooks.first() else {
        return Err(Failure::usage(format!("{} holds no runbook", file.display())));
    };
    let (arguments, answers) = match &planned {
        Some(planned) => planned.inputs()?,
        None => (
            set_by(args, alert.as_ref(), &program, environment)?,
            answers(&program, &args.answer, environment)?,
        ),
    };
    let mode = if args.dry_run { Mode::DryRun } else { Mode::Live };
    let clock: Arc<dyn world::Clock> = Arc::new(clock::System::new());
    let record = args
        .record
        .as_deref()
        .map(|folder| Record::into(folder, &clock))
        .transpose()?;
    let bound = planned.as_ref().map(Planned::allows);
    let mut gate = gate(environment, mode, record.as_ref().map(Record::tape), bound.as_ref())?;
    let policy = govern(&mut gate, environment, &file)?;
    let emergency = emergency(args)?;
    let path = journal_path(global, environment)?;
    if let Some(planned) = &planned {
        planned.still_holds(&program, name, environment)?;
    }

    let runtime = super::runtime()?;
    let subject = Subject {
        runbook: &book.name,
        environment: name,
        arguments: &arguments,
    };
    // A rehearsal is no answer to an alert, and writes nothing into a live run.
    if let Some(alert) = alert.as_ref().filter(|_| !args.dry_run)
        && runtime.block_on(subject.attach(&path, alert, output))?
    {
        return Ok(Exit::Good);
    }
    let console = Console::new(output);
    let operator = operator();
    let directory = Arc::new(Directory::of(environment));
    let facts = world::Environment {
        occasion: alert.as_ref().map(Alert::line),
        ..facts(name, environment, &operator, args.unattended, args.dry_run)
    };
    let text = &program.sources.file(book.span.file).name;
    let digests = journal::entry::Digests {
        plan: planned.as_ref().map(Planned::once),
        ..digests(&program, text, &file, policy)
    };
    let holder = holder(&facts);
    // The look before is also for runs with other words for the same; this one is for those that begin in the same instant.
    let about = (!args.dry_run).then(|| About {
        subject: subject.digest(),
        alone: alert.is_some(),
    });

    let ended = runtime.block_on(async {
        let store = Arc::new(open_journal(&path).await?);
        if let Some(planned) = &planned {
            planned.unused(&store).await?;
        }
        let sealing = sealing(store.clone(), &environment.journal, printer(&console))?;
        let decisions = store.decisions().await?;
        correlate(&store.origin());
        let header = journal::RunHeader { digests, holder };
        let journal = match store.begin_about(header, about).await? {
            Begun::Mine(journal) => journal,
            Begun::UnderWay(id) => {
                if let Some(alert) = &alert {
                    intake::attach(&store, &id, alert, output).await?;
                }
                drop(sealing);
                if let Some(store) = Arc::into_inner(store) {
                    store.close().await?;
                }
                return Ok(None);
            }
        };
        let screen = Arc::new(Lines::new(console.clone(), journal::Journal::run_id(&journal)));
        let journal: Arc<dyn journal::Journal> = match &planned {
            None => Arc::new(journal),
            Some(planned) => planned.claim(journal, store.clone()),
        };
        let journal = sealed(journal, sealing, &screen);
        let run_id = journal.run_id().to_owned();
        let here = Here {
            console: &console,
            environment: name,
            unattended: args.unattended,
            elsewhere: args.approve_elsewhere,
        };
        let people = people(here, &operator, &directory, answers, &decisions, &store, &run_id);
        let (stop, interrupt) = tokio::sync::watch::channel(false);
        let world = World {
            gate: Arc::new(gate),
            people,
            journal,
            clock,
            randomness: Arc::new(random::System),
            screen,
            environment: facts,
            consent: consent(&directory, &program, emergency),
            interrupt,
        };
        let world = match &record {
            None => world,
            Some(record) => record.of(world, &program, &arguments, &environment.grants()),
        };
        let run = engine::run(program.clone(), RunbookId(0), arguments, world);
        let ended = watched(&console, &stop, record.as_ref(), run).await;
        // Nobody can decide any more what nobody waits for. After a failure of the journal this fails too, and says nothing new.
        let _ = decisions.settle(&run_id, None).await;
        if let Some(store) = Arc::into_inner(store)
            && let Err(problem) = store.close().await
        {
            // Everything was durable before; what is left undone is moving it into the one file.
            complain(&format!("starr: {problem}"));
        }
        ended.map(Some)
    });
    console.done_waiting();
    let ended = ended.map_err(|problem| match &planned {
        Some(planned) => planned.refusal(problem),
        None => problem.into(),
    })?;
    let Some(ended) = ended else { return Ok(Exit::Good) };
    if let Some(problem) = record.and_then(|record| record.tape().problem()) {
        complain(&format!("starr: the recording is not whole: {problem}"));
    }
    Ok(Exit::of(&ended.outcome))
}

/// Whoever runs this process.
pub fn operator() -> Person {
    Person {
        name: super::login(),
        by: "login".to_owned(),
    }
}

/// What a run is told of its environment.
pub fn facts(
    name: &str,
    environment: &Environment,
    operator: &Person,
    unattended: bool,
    dry_run: bool,
) -> world::Environment {
    world::Environment {
        name: name.to_owned(),
        operator: operator.clone(),
        severities: environment.severities.clone(),
        default_severity: environment.default_severity().to_owned(),
        occasion: None,
        unattended: unattended || !Console::person_is_there(),
        dry_run,
        resources: environment.resources(),
        host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
    }
}

/// What stands in each entry of a run.
pub fn digests(program: &Program, text: &str, file: &Path, policy: Option<[u8; 32]>) -> journal::entry::Digests {
    journal::entry::Digests {
        runbook: program
            .digests
            .get(text)
            .and_then(|digest| hex::decode(digest).ok()?.try_into().ok()),
        policy,
        modules: Some(super::pins::modules_digest(&program.sources, file)),
        ..Default::default()
    }
}

/// Who holds a run, for people.
pub fn holder(facts: &world::Environment) -> String {
    format!(
        "{} on {}, process {}",
        facts.operator.name,
        facts.host,
        std::process::id()
    )
}

/// Does the work with the display and Ctrl-C beside it.
pub async fn watched<T>(
    console: &Console,
    stop: &tokio::sync::watch::Sender<bool>,
    record: Option<&Record>,
    work: impl Future<Output = Result<T, journal::Error>>,
) -> Result<T, journal::Error> {
    let beside = async {
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        let mut asked = 0;
        loop {
            tokio::select! {
                _ = tick.tick() => console.tick(),
                _ = tokio::signal::ctrl_c() => {
                    asked += 1;
                    if let Some(record) = record {
                        record.interrupted();
                    }
                    console.styled(Style::Attention, match asked {
                        1 => "  stopping: nothing new begins; what was sent is waited for",
                        _ => "  still stopping: leaving a change that was sent would leave it in doubt",
                    });
                    let _ = stop.send(true);
                }
            }
        }
    };
    tokio::select! {
        done = work => done,
        () = beside => Err(journal::Error {
            message: "the display of the run ended before the run (a mistake in starr)".to_owned(),
        }),
    }
}

/// Takes the key by which equal secrets are recognised in this journal; it lies outside the journal. Without one the record only
/// says that there was a secret.
pub fn correlate(origin: &str) {
    let path = config::folder("XDG_CONFIG_HOME", ".config")
        .map(|folder| folder.join("starr/keys").join(format!("{origin}.secrets")));
    if let Some(problem) = path.and_then(|path| secrets::open_key(&path).err()) {
        complain(&format!("starr: warning: secrets are recorded without tags: {problem}"));
    }
}

/// The providers of an environment behind their gate.
pub fn gate(
    environment: &Environment,
    mode: Mode,
    tape: Option<&Arc<Tape>>,
    bound: Option<&Allows>,
) -> Result<Gate, Failure> {
    let mut gate = Gate::new(environment.grants(), mode);
    for provider in providers(environment)? {
        let provider: Arc<dyn Provider> = if provider.is_remote() {
            Arc::new(Patient::new(provider))
        } else {
            provider
        };
        let provider = match bound {
            None => provider,
            Some(allows) => Arc::new(Bound::new(provider, allows.clone())),
        };
        gate.register(match tape {
            None => provider,
            Some(tape) => Arc::new(Recorder::new(provider, tape.clone())),
        });
    }
    Ok(gate)
}

/// The providers of this build as the environment configures them. Nothing is connected yet.
fn providers(environment: &Environment) -> Result<Vec<Arc<dyn Provider>>, Failure> {
    let all: Vec<Arc<dyn Provider>> = vec![
        #[cfg(feature = "host")]
        Arc::new(crate::providers::host::Host::new()),
        #[cfg(feature = "http")]
        Arc::new(crate::providers::http::Http::new(&environment.http).map_err(Failure::usage)?),
        #[cfg(feature = "notify")]
        Arc::new(crate::providers::notify::chat::Chat::new(&environment.chat).map_err(Failure::usage)?),
        #[cfg(feature = "notify")]
        Arc::new(crate::providers::notify::mail::Mail::new(&environment.mail).map_err(Failure::usage)?),
        #[cfg(feature = "notify")]
        Arc::new(crate::providers::notify::pager::Pager::new(&environment.pager).map_err(Failure::usage)?),
        #[cfg(feature = "kubernetes")]
        Arc::new(
            crate::providers::kubernetes::Kubernetes::new(environment.kubernetes.clone()).map_err(Failure::usage)?,
        ),
        #[cfg(feature = "postgres")]
        Arc::new(crate::providers::postgres::Postgres::new(environment.postgres.clone()).map_err(Failure::usage)?),
        #[cfg(feature = "prometheus")]
        Arc::new(crate::providers::prometheus::Prometheus::new(&environment.prometheus).map_err(Failure::usage)?),
        #[cfg(feature = "alertmanager")]
        Arc::new(crate::providers::alertmanager::Alertmanager::new(&environment.alertmanager).map_err(Failure::usage)?),
        #[cfg(feature = "docker")]
        Arc::new(crate::providers::docker::Docker::new(environment.docker.clone()).map_err(Failure::usage)?),
        #[cfg(feature = "app")]
        Arc::new(crate::providers::app::App::new(&environment.app, &environment.exec).map_err(Failure::usage)?),
        #[cfg(feature = "exec")]
        Arc::new(crate::providers::exec::Exec::new(environment.exec.clone()).map_err(Failure::usage)?),
        #[cfg(feature = "dns")]
        Arc::new(crate::providers::dns::Dns::new(&environment.dns).map_err(Failure::usage)?),
        #[cfg(feature = "jaeger")]
        Arc::new(crate::providers::jaeger::Jaeger::new(&environment.jaeger).map_err(Failure::usage)?),
        #[cfg(feature = "aws")]
        Arc::new(crate::providers::aws::Aws::new(&environment.aws).map_err(Failure::usage)?),
        #[cfg(feature = "azure")]
        Arc::new(crate::providers::azure::Azure::new(environment.azure.clone()).map_err(Failure::usage)?),
        #[cfg(feature = "github")]
        Arc::new(crate::providers::github::GitHub::new(&environment.github).map_err(Failure::usage)?),
        #[cfg(feature = "notify")]
        Arc::new(crate::providers::status_page::StatusPage::new(&environment.status_page).map_err(Failure::usage)?),
        #[cfg(feature = "jwt")]
        Arc::new(crate::providers::jwt::Jwt::new(&environment.jwt).map_err(Failure::usage)?),
        #[cfg(feature = "tls")]
        Arc::new(crate::providers::tls::Tls::new(&environment.tls).map_err(Failure::usage)?),
        #[cfg(feature = "redis")]
        Arc::new(crate::providers::redis::Redis::new(environment.redis.clone()).map_err(Failure::usage)?),
    ];
    Ok(all)
}

/// Where the journal lies: the flag, the configuration, the user's state folder.
pub fn journal_path(global: &Global, environment: &Environment) -> Result<Location, Failure> {
    let given = match &global.journal {
        // A path that is not text can only be a file.
        Some(path) => Some(match path.to_str() {
            Some(text) => JournalPlace::from_text(text).map_err(Failure::usage)?,
            None => JournalPlace::File(path.clone()),
        }),
        None => environment.journal.place.clone(),
    };
    if let Some(journal) = given {
        return journal.location().map_err(Failure::usage);
    }
    config::folder("XDG_STATE_HOME", ".local/state")
        .map(|folder| Location::File(folder.join("starr/journal.db")))
        .ok_or_else(|| Failure {
            exit: Exit::Journal,
            message: "where is the journal to be kept? there is no home folder; name a file with --journal".to_owned(),
        })
}

/// The journal of this place, made if it does not exist.
pub async fn open_journal(place: &Location) -> Result<journal::Store, journal::Error> {
    place.open().await
}

/// What signs and anchors the journal of this environment. The key is read here, once, before anything runs.
pub fn sealing(
    store: Arc<journal::sqlite::Store>,
    settings: &config::Journal,
    print: journal::anchor::Print,
) -> Result<Arc<journal::seal::Sealing>, journal::Error> {
    let signer = settings
        .signing_key
        .as_ref()
        .map(journal::key::Source::load)
        .transpose()?;
    let sinks = settings
        .anchors
        .iter()
        .map(|item| item.sink(print.clone()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|message| journal::Error { message })?;
    Ok(Arc::new(journal::seal::Sealing {
        ledger: store,
        signer,
        sinks,
        needed: settings.anchors_before_change,
        every: settings.checkpoint_every,
    }))
}

/// The journal of a run with its checkpoints; what sealing records itself is shown too.
pub fn sealed(
    journal: Arc<dyn journal::Journal>,
    sealing: Arc<journal::seal::Sealing>,
    screen: &Arc<Lines>,
) -> Arc<dyn journal::Journal> {
    if sealing.is_idle() {
        return journal;
    }
    let screen = screen.clone();
    Arc::new(journal::seal::Sealed::new(
        journal,
        sealing,
        Box::new(move |event| world::Screen::event(&*screen, "", event)),
    ))
}

/// Prints the line for the ticket beside the run.
pub fn printer(console: &Arc<Console>) -> journal::anchor::Print {
    let console = console.clone();
    Arc::new(move |text| console.styled(Style::Faint, &format!("  anchor: {}", safe(text))))
}

/// What the engine is told of who is who, and of the texts.
pub fn consent(directory: &Directory, program: &Program, emergency: Option<Emergency>) -> world::Consent {
    world::Consent {
        identities: directory.identities.clone(),
        roles: Some(directory.roles.clone()),
        texts: Some(Arc::new(Files::of(program))),
        emergency,
    }
}

/// Puts the environment's policy over the gate, where there is one; its digest.
#[cfg(feature = "policy")]
pub fn govern(gate: &mut Gate, environment: &Environment, runbook: &Path) -> Result<Option<[u8; 32]>, Failure> {
    let Some(rules) = super::policy::of(environment, Some(runbook))? else {
        return Ok(None);
    };
    let digest = crate::provider::policy::Policy::digest(&rules);
    gate.govern(Arc::new(rules));
    Ok(Some(digest))
}

/// A policy that cannot be asked lets nothing happen.
#[cfg(not(feature = "policy"))]
pub fn govern(_: &mut Gate, environment: &Environment, _: &Path) -> Result<Option<[u8; 32]>, Failure> {
    match &environment.policy {
        None => Ok(None),
        Some(_) => Err(Failure::usage(
            "the configuration names a policy, and this starr was built without policies",
        )),
    }
}

/// The emergency override that was asked for on the command line.
fn emergency(args: &Run) -> Result<Option<Emergency>, Failure> {
    let (Some(reason), Some(ticket)) = (&args.override_reason, &args.ticket) else {
        return Ok(None);
    };
    for (flag, text) in [("--override", reason), ("--ticket", ticket)] {
        if text.trim().is_empty() {
            return Err(Failure::usage(format!("{flag} is empty")));
        }
    }
    let lasts = match crate::value::parse::from_text(&crate::value::Type::Duration, &args.override_for) {
        Ok(Value::Duration(nanoseconds)) => Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0)),
        Ok(_) => Duration::ZERO,
        Err(problem) => return Err(Failure::usage(format!("--override-for: {problem}"))),
    };
    if lasts.is_zero() || lasts > OVERRIDE_LASTS {
        return Err(Failure::usage("--override-for: more than nothing and at most 4 h"));
    }
    Ok(Some(Emergency {
        reason: reason.trim().to_owned(),
        ticket: ticket.trim().to_owned(),
        lasts,
    }))
}

/// The texts of a program that came from files.
struct Files(BTreeMap<String, PathBuf>);

impl Files {
    fn of(program: &Program) -> Self {
        let files = program.sources.iter().filter_map(|(_, source)| {
            let path = source.path.as_ref()?;
            // Absolute, so that nothing depends on where the process stands later.
            Some((
                source.name.clone(),
                path.canonicalize().unwrap_or_else(|_| path.clone()),
            ))
        });
        Self(files.collect())
    }
}

impl world::Texts for Files {
    fn digest(&self, name: &str) -> Result<Option<String>, String> {
        use sha2::Digest as _;
        let Some(path) = self.0.get(name) else {
            return Ok(None);
        };
        let bytes = super::files::read(path)?;
        Ok(Some(hex::encode(sha2::Sha256::digest(&bytes.bytes))))
    }
}

/// What `--set` gives a parameter of this type: a secret by its name in the environment, anything else as it is written.
///
/// # Errors
/// Says what was expected; never what was found where a secret is due.
pub fn given_value(ty: &Type, text: &str, environment: &Environment) -> Result<Value, String> {
    match secret_type(ty) {
        Some(inner) => secret(inner, text, environment),
        None => crate::value::parse::from_text(ty, text),
    }
}

/// What a secret parameter holds; `None` for one that is no secret.
fn secret_type(ty: &Type) -> Option<&Type> {
    match ty {
        Type::Secret(inner) => Some(inner),
        Type::Optional(inner) => secret_type(inner),
        _ => None,
    }
}

/// The password in an address such as `postgres://user:password@host`.
fn password(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    // The last `@` before the path: a password that was not encoded may hold one.
    let (user, _) = rest.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password)
}

/// The secret of this name in the environment. What was given instead of a name may be the secret itself: it is not repeated.
fn secret(inner: &Type, given: &str, environment: &Environment) -> Result<Value, String> {
    let Some((name, source)) = environment.secrets.get_key_value(given) else {
        let known: Vec<&str> = environment.secrets.keys().map(String::as_str).collect();
        let known = match known.as_slice() {
            [] => "this environment has none under `secrets`".to_owned(),
            known => format!("there are: {}", known.join(", ")),
        };
        return Err(format!(
            "a secret is given by its name in the environment, never as it is; {known}"
        ));
    };
    let text = source
        .read()
        .map_err(|problem| format!("the secret `{name}`: {problem}"))?;
    // The problem would quote what it could not read.
    let value = crate::value::parse::from_text(inner, text.expose())
        .map_err(|_| format!("the secret `{name}` is not a value of type {inner}"))?;
    Ok(Value::Secret(Secret::new(value)))
}

/// `--set` values by the types of the parameters, as far as they are given.
pub fn given(program: &Program, set: &[String], environment: &Environment) -> Result<Vec<(String, Value)>, Failure> {
    let Some(book) = program.runbooks.first() else {
        return Ok(Vec::new());
    };
    let parameters: Vec<_> = book.params.iter().map(|id| book.binding(*id)).collect();
    let mut given: Vec<(String, Value)> = Vec::new();
    for pair in set {
        let Some((name, text)) = pair.split_once('=') else {
            return Err(Failure::usage(format!("--set {pair}: expected NAME=VALUE")));
        };
        let Some(parameter) = parameters.iter().find(|parameter| parameter.name == name) else {
            let known: Vec<&str> = parameters.iter().map(|parameter| parameter.name.as_str()).collect();
            let known = if known.is_empty() {
                "it has none".to_owned()
            } else {
                format!("it has {}", known.join(", "))
            };
            return Err(Failure::usage(format!(
                "--set {name}: `{}` has no such parameter; {known}",
                book.name
            )));
        };
        if let Some(password) = password(text) {
            secrets::remember(password, &format!("the password in --set {name}"));
        }
        if given.iter().any(|(other, _)| other == name) {
            return Err(Failure::usage(format!("--set {name} is given twice")));
        }
        let value = given_value(&parameter.ty, text, environment)
            .map_err(|problem| Failure::usage(format!("--set {name}: {problem}")))?;
        given.push((name.to_owned(), value));
    }
    Ok(given)
}

/// `--set` values, with every parameter that has no default among them.
pub fn arguments(
    program: &Program,
    set: &[String],
    environment: &Environment,
) -> Result<Vec<(String, Value)>, Failure> {
    let given = given(program, set, environment)?;
    let Some(book) = program.runbooks.first() else {
        return Ok(given);
    };
    for parameter in book.params.iter().map(|id| book.binding(*id)) {
        let has_default = matches!(&parameter.kind, BindingKind::Param { default: Some(_) });
        let optional = matches!(parameter.ty, crate::value::Type::Optional(_));
        if !has_default && !optional && !given.iter().any(|(name, _)| *name == parameter.name) {
            return Err(Failure::usage(format!(
                "the parameter `{0}` ({1}) has no value; give it with --set {0}=…",
                parameter.name, parameter.ty
            )));
        }
    }
    Ok(given)
}

/// `--answer` values; only for `observed` questions that exist.
pub fn answers(
    program: &Program,
    given: &[String],
    environment: &Environment,
) -> Result<BTreeMap<String, Option<bool>>, Failure> {
    let observed: Vec<(&str, Option<&str>)> = program
        .runbooks
        .iter()
        .flat_map(|book| &book.bindings)
        .filter_map(|binding| match &binding.kind {
            BindingKind::Question(question) => match &question.form {
                QuestionForm::Observed { by, .. } => Some((binding.name.as_str(), by.as_deref())),
                _ => None,
            },
            _ => None,
        })
        .collect();
    let own = Directory::of(environment).roles_of(&super::login());
    let may = |by: Option<&str>| by.is_none_or(|role| own.iter().any(|own| own == role));
    let mut answers = BTreeMap::new();
    for pair in given {
        let Some((name, word)) = pair.split_once('=') else {
            return Err(Failure::usage(format!(
                "--answer {pair}: expected NAME=yes, NAME=no or NAME=unknown"
            )));
        };
        let asked: Vec<Option<&str>> = observed
            .iter()
            .filter(|(known, _)| *known == name)
            .map(|(_, by)| *by)
            .collect();
        if asked.is_empty() {
            let known = if observed.is_empty() {
                "there are none here".to_owned()
            } else {
                let names: Vec<&str> = observed.iter().map(|(name, _)| *name).collect();
                names.join(", ")
            };
            return Err(Failure::usage(format!(
                "--answer {name}: there is no `observed` question of that name: {known}"
            )));
        }
        if !asked.iter().any(|by| may(*by)) {
            let roles: Vec<&str> = asked.into_iter().flatten().collect();
            return Err(Failure::usage(format!(
                "--answer {name}: this is asked of {}, a role that {} does not have in this environment; it is answered with `starr answer`, or written \
                 down at the terminal of the run as it was told",
                roles.join(" and of "),
                super::login()
            )));
        }
        let answer = match word {
            "yes" => Some(true),
            "no" => Some(false),
            "unknown" => None,
            _ => {
                return Err(Failure::usage(format!(
                    "--answer {name}: expected yes, no or unknown, found `{word}`"
                )));
            }
        };
        if answers.insert(name.to_owned(), answer).is_some() {
            return Err(Failure::usage(format!("--answer {name} is given twice")));
        }
    }
    Ok(answers)
}

/// Says where the record is, after a run.
pub fn where_is_the_record(console: &Console, run: &str) {
    console.styled(Style::Faint, &format!("  the record: starr report {}", safe(run)));
}
