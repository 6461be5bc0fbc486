//! `starr answer`: say from another terminal what a run asks of somebody who is not at its own.

use super::approve::{key, refused};
use super::args::{Answer, Global};
use super::console::Console;
use super::consult::Directory;
use super::inquiry::Inquiry;
use super::output::{Output, line};
use super::{Exit, Failure, elsewhere};
use crate::config;
use crate::engine::world::Observed;
use crate::journal::decisions::{Decided, Decisions, Recording, Waiting};
use crate::render::safe::safe;

/// Lists what is asked and takes an answer.
pub fn answer(args: &Answer, global: &Global, output: Output) -> Result<Exit, Failure> {
    let loaded = config::load(global.config.as_deref())?;
    let (_, environment) = loaded.environment(global.env.as_deref())?;
    let directory = Directory::of(environment);
    let console = Console::new(output);
    super::runtime()?.block_on(async {
        let store = elsewhere::open(global, environment).await?;
        let waiting: Vec<(Waiting, Inquiry)> = elsewhere::waiting(&*store, args.run.as_deref()).await?;
        if output.json {
            let list: Vec<_> = waiting.iter().map(|(waiting, asked)| summary(waiting, asked)).collect();
            line(&serde_json::json!({ "waiting": list }).to_string());
            return Ok(Exit::Good);
        }
        if waiting.is_empty() {
            console.line("no question waits for an answer");
            return Ok(Exit::Good);
        }
        let here = "a question is answered at a terminal: run starr answer there";
        let Some(chosen) = elsewhere::choose(&waiting, &console, here, listed).await else {
            return Ok(Exit::Good);
        };
        say(args, chosen, &directory, &console, &*store).await
    })
}

fn summary(waiting: &Waiting, asked: &Inquiry) -> serde_json::Value {
    serde_json::json!({
        "run": waiting.run,
        "name": asked.name,
        "question": asked.question,
        "role": asked.role,
        "requester": asked.requester,
        "since": waiting.since.to_string(),
        "until": waiting.until.to_string(),
    })
}

fn listed(waiting: &Waiting, asked: &Inquiry) -> String {
    format!(
        "{}  {} asked of {}, by {}",
        safe(&waiting.run),
        safe(&asked.question),
        safe(&asked.role),
        safe(&asked.requester)
    )
}

async fn say(
    args: &Answer,
    (waiting, asked): &(Waiting, Inquiry),
    directory: &Directory,
    console: &Console,
    store: &dyn Decisions,
) -> Result<Exit, Failure> {
    let login = super::login();
    let person = directory.canonical(&login).to_owned();
    console.line(&format!("run {} in {}", safe(&asked.run), safe(&asked.environment)));
    asked.show(console);
    console.line(&format!("  asked by {}", safe(&asked.requester)));
    if let Some(because) = asked.bars(directory, &person) {
        return Err(refused(&because));
    }
    let closed = || refused("the terminal was closed; nothing was answered");
    let yes = loop {
        let prompt = format!("  {}? Type yes, no or unknown:", safe(&asked.name));
        match console.ask(&prompt).await.ok_or_else(closed)?.to_lowercase().as_str() {
            "yes" | "y" => break Some(true),
            "no" | "n" => break Some(false),
            "unknown" | "u" | "?" => break None,
            _ => console.line("  please type one of: yes, no, unknown"),
        }
    };
    let note = console.ask("  What did you see? (a note, may be empty)").await;
    let said = Observed {
        yes,
        note: note.ok_or_else(closed)?,
    };
    let proof = if directory.must_sign(&person) {
        key(args.key.as_deref())?.prove(&person, &asked.digest(&said))
    } else {
        String::new()
    };
    let decided = Decided {
        person: login,
        approve: yes == Some(true),
        because: serde_json::to_string(&said).map_err(|problem| Failure::usage(problem.to_string()))?,
        proof,
    };
    match store.decide(&waiting.id, &decided).await? {
        Recording::Already(other) => Err(refused(&format!(
            "{} has answered it already; this answer was not recorded",
            safe(&other.person)
        ))),
        Recording::NotWaiting => Err(refused("the run no longer waits for this; nothing was recorded")),
        Recording::Recorded => elsewhere::taken(&waiting.id, console, store).await,
    }
}
