//! What waits for somebody at another terminal: the list of it, the one that is meant, and the run that takes it up.

use super::args::Global;
use super::console::Console;
use super::{Exit, Failure, run};
use crate::config::Environment;
use crate::journal::decisions::{Decisions, Waiting};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the run may take to say that it has what was said.
const TAKEN: Duration = Duration::from_secs(10);

/// The journal in which runs of this environment ask.
pub async fn open(global: &Global, environment: &Environment) -> Result<Arc<dyn Decisions>, Failure> {
    let path = run::journal_path(global, environment)?;
    if !path.exists() {
        return Err(Failure::usage(format!(
            "there is no journal at {}; the first `starr run` makes it",
            path.display()
        )));
    }
    Ok(run::open_journal(&path).await?.decisions().await?)
}

/// What waits and is of this form, of one run where it is named.
pub async fn waiting<T: DeserializeOwned>(
    store: &dyn Decisions,
    run: Option<&str>,
) -> Result<Vec<(Waiting, T)>, Failure> {
    let all = store.waiting().await?;
    let named = all
        .into_iter()
        .filter(|waiting| run.is_none_or(|run| waiting.run.starts_with(run)));
    Ok(named
        .filter_map(|waiting| {
            let asked = serde_json::from_str(&waiting.body).ok()?;
            Some((waiting, asked))
        })
        .collect())
}

/// The one that is meant; `None` when nobody is here to choose: then the list is shown, and `elsewhere` says what to do.
pub async fn choose<'a, T>(
    all: &'a [(Waiting, T)],
    console: &Console,
    elsewhere: &str,
    listed: impl Fn(&Waiting, &T) -> String,
) -> Option<&'a (Waiting, T)> {
    let here = Console::person_is_there();
    if here && let [only] = all {
        return Some(only);
    }
    for (index, (waiting, asked)) in all.iter().enumerate() {
        console.line(&format!("{:>3}  {}", index + 1, listed(waiting, asked)));
    }
    if !here {
        console.line(elsewhere);
        return None;
    }
    loop {
        let prompt = format!("  Which one? Type a number from 1 to {}:", all.len());
        let line = console.ask(&prompt).await?;
        let chosen = line.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        if let Some(chosen) = chosen.and_then(|index| all.get(index)) {
            return Some(chosen);
        }
    }
}

/// Waits until the run has what was said, and says so.
pub async fn taken(request: &str, console: &Console, store: &dyn Decisions) -> Result<Exit, Failure> {
    let deadline = Instant::now() + TAKEN;
    while !store.closed(request).await? {
        if Instant::now() > deadline {
            console.line("recorded; the run has not taken it yet: look at `starr show`");
            return Ok(Exit::Good);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    console.line("recorded, and taken by the run");
    Ok(Exit::Good)
}
