//! `starr approve`: decide from another terminal what a run waits for, or answer a challenge without any connection.

use super::args::{Approve, Global};
use super::console::Console;
use super::consult::Directory;
use super::inquiry::Inquiry;
use super::offline::{Challenge, Key};
use super::output::{Output, line};
use super::{Exit, Failure, elsewhere, offline, request};
use crate::config;
use crate::engine::world::ApprovalRequest;
use crate::journal::decisions::{Decided, Decisions, Recording, Waiting};
use crate::render::safe::safe;
use crate::secrets::private_file;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Lists what waits and takes a decision; or makes an answer, or a key.
pub fn approve(args: &Approve, global: &Global, output: Output) -> Result<Exit, Failure> {
    if let Some(path) = &args.new_key {
        return new_key(path, args.code);
    }
    let loaded = config::load(global.config.as_deref())?;
    let (_, environment) = loaded.environment(global.env.as_deref())?;
    let directory = Directory::of(environment);
    let console = Console::new(output);
    if let Some(text) = &args.challenge {
        return super::runtime()?.block_on(challenge(args, text, &directory, &console));
    }
    super::runtime()?.block_on(async {
        let store = elsewhere::open(global, environment).await?;
        let waiting: Vec<(Waiting, ApprovalRequest)> = elsewhere::waiting(&*store, args.run.as_deref()).await?;
        if output.json {
            let list: Vec<_> = waiting
                .iter()
                .map(|(waiting, request)| summary(waiting, request))
                .collect();
            line(&serde_json::json!({ "waiting": list }).to_string());
            return Ok(Exit::Good);
        }
        if args.written {
            for (_, request) in &waiting {
                line(&offline::whole(&request.material));
            }
            return Ok(Exit::Good);
        }
        if waiting.is_empty() {
            console.line("nothing waits for an approval");
            let asked: Vec<(Waiting, Inquiry)> = elsewhere::waiting(&*store, args.run.as_deref()).await?;
            if !asked.is_empty() {
                console.line("a question waits for an answer: starr answer");
            }
            return Ok(Exit::Good);
        }
        let here = "an approval is given at a terminal: run starr approve there";
        let Some(chosen) = elsewhere::choose(&waiting, &console, here, listed).await else {
            return Ok(Exit::Good);
        };
        decide(args, chosen, &directory, &console, &*store).await
    })
}

fn summary(waiting: &Waiting, request: &ApprovalRequest) -> serde_json::Value {
    serde_json::json!({
        "run": waiting.run,
        "action": request.action,
        "order": request.order,
        "risk": request.risk,
        "roles": request.acceptable(),
        "digest": request.digest,
        "requester": request.material.requester,
        "since": waiting.since.to_string(),
        "until": waiting.until.to_string(),
    })
}

/// What a list says of a request.
fn listed(waiting: &Waiting, request: &ApprovalRequest) -> String {
    let role = if request.role.is_empty() {
        "second person"
    } else {
        &request.role
    };
    format!(
        "{}  {} as {}, asked by {}",
        safe(&waiting.run),
        safe(&request.order),
        safe(role),
        safe(&request.material.requester)
    )
}

async fn decide(
    args: &Approve,
    (waiting, asked): &(Waiting, ApprovalRequest),
    directory: &Directory,
    console: &Console,
    store: &dyn Decisions,
) -> Result<Exit, Failure> {
    if asked.material.digest() != asked.digest || shown_otherwise(asked) {
        return Err(refused(
            "the request shows something else than what its digest is over; nothing was approved",
        ));
    }
    let login = super::login();
    let person = directory.canonical(&login).to_owned();
    console.line(&format!(
        "run {} in {}",
        safe(&waiting.run),
        safe(&asked.material.environment)
    ));
    request::show(console, asked);
    console.line(&format!("  asked by {}", safe(&asked.material.requester)));
    if let Some(because) = directory.bars(&person, asked) {
        return Err(refused(&because));
    }
    let left = waiting.until.duration_since(jiff::Timestamp::now());
    let asked = ApprovalRequest {
        deadline: Duration::try_from(left).unwrap_or_default(),
        ..asked.clone()
    };
    let (approve, because) = loop {
        let Some(line) = console.ask(&request::prompt(&asked)).await else {
            return Err(refused("the terminal was closed; nothing was decided"));
        };
        match request::decision(&asked, &line) {
            Some(true) => break (true, String::new()),
            Some(false) => {
                break (
                    false,
                    console.ask("  Why not? (may be empty)").await.unwrap_or_default(),
                );
            }
            None => console.line("  nothing was decided: the answer must be exactly one of the two"),
        }
    };
    let proof = if approve && directory.must_sign(&person) {
        key(args.key.as_deref())?.prove(&person, &asked.digest)
    } else {
        String::new()
    };
    let decided = Decided {
        person: login,
        approve,
        because,
        proof,
    };
    match store.decide(&waiting.id, &decided).await? {
        Recording::Already(other) => Err(refused(&format!(
            "{} has {} it already; this decision was not recorded",
            safe(&other.person),
            if other.approve { "approved" } else { "refused" }
        ))),
        Recording::NotWaiting => Err(refused("the run no longer waits for this; nothing was recorded")),
        Recording::Recorded => elsewhere::taken(&waiting.id, console, store).await,
    }
}

/// Whether what is displayed differs from what the digest is over.
fn shown_otherwise(asked: &ApprovalRequest) -> bool {
    let material = &asked.material;
    asked.action != material.action
        || asked.order != material.order
        || asked.risk != material.risk
        || asked.roles != material.roles
        || asked.calls != material.calls
        || asked.seeing != material.seeing
        || asked.because != material.because
}

pub(super) fn refused(because: &str) -> Failure {
    Failure {
        exit: Exit::Refused,
        message: because.to_owned(),
    }
}

/// The key of the person at this machine.
pub(super) fn key(named: Option<&Path>) -> Result<Key, Failure> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => config::folder("XDG_CONFIG_HOME", ".config")
            .map(|folder| folder.join("starr/key"))
            .ok_or_else(|| Failure::usage("there is no home folder with a key; name one with --key"))?,
    };
    let text = private_file(&path, "key").map_err(|problem| {
        Failure::usage(format!(
            "{problem}; what must be signed needs it (starr approve --new-key FILE)"
        ))
    })?;
    Key::parse(&text).map_err(Failure::usage)
}

/// Shows what a challenge stands for, as far as it says so, and answers it with the person's key.
async fn challenge(args: &Approve, text: &str, directory: &Directory, console: &Arc<Console>) -> Result<Exit, Failure> {
    let challenge = Challenge::parse(text).map_err(Failure::usage)?;
    let login = super::login();
    let person = args.person.clone().unwrap_or(login);
    let person = directory.canonical(&person).to_owned();
    let key = key(args.key.as_deref())?;
    if !Console::person_is_there() {
        return Err(Failure::usage("a challenge is answered at a terminal, by a person"));
    }
    match &challenge {
        Challenge::Whole(material) => {
            if material.requester == person {
                return Err(refused(&format!("{person} asked for it; somebody else must answer")));
            }
            let asked = ApprovalRequest {
                action: material.action.clone(),
                order: material.order.clone(),
                prose: Vec::new(),
                risk: material.risk.clone(),
                roles: material.roles.clone(),
                role: material.roles.join(" or "),
                digest: material.digest(),
                calls: material.calls.clone(),
                seeing: material.seeing.clone(),
                because: material.because.clone(),
                consequences: Vec::new(),
                deadline: Duration::ZERO,
                typed: None,
                excluded: Vec::new(),
                material: material.clone(),
            };
            console.line(&format!(
                "run {} in {}",
                safe(&material.run),
                safe(&material.environment)
            ));
            request::show(console, &asked);
            console.line(&format!("  asked by {}", safe(&material.requester)));
        }
        Challenge::Short(_) => {
            console.line("This challenge stands for one request that cannot be seen from here.");
            console.line(
                "Let the other person read to you: the run, the order, what would be sent, to which target, and why.",
            );
        }
    }
    console.line(&format!(
        "  compare with the other person: challenge {}",
        challenge.short()
    ));
    loop {
        let prompt = format!("  Approve it as {}? Type yes or no:", safe(&person));
        let Some(typed) = console.ask(&prompt).await else {
            return Err(refused("the terminal was closed; there is no answer"));
        };
        match typed.to_lowercase().as_str() {
            "yes" => break,
            "no" => return Err(refused("refused; there is no answer to give")),
            _ => {}
        }
    }
    console.line("The answer, to be typed at the waiting run:");
    line(&format!("{person} {}", key.answer(&person, &challenge)));
    Ok(Exit::Good)
}

fn new_key(path: &Path, shared: bool) -> Result<Exit, Failure> {
    let (text, entry) = Key::draw(shared).map_err(Failure::usage)?;
    let failed = |problem: std::io::Error| Failure::usage(format!("cannot make the key {}: {problem}", path.display()));
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.write_all(text.expose().as_bytes())
        .and_then(|()| file.write_all(b"\n"))
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    line(&format!(
        "made {}; the person's entry in starr.yaml takes:",
        path.display()
    ));
    line(&format!("  {entry}"));
    Ok(Exit::Good)
}
