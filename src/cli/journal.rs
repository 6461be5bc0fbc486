//! `starr runs`, `show` and `report`: everything here is rebuilt from the journal alone.

use super::args::{Global, Report, RunRef, Runs};
use super::output::{Output, complain, line, print, write_file};
use super::{Exit, Failure, run};
use crate::config;
use crate::journal::{Found, Location, Recorded, Store};
use crate::render;
use std::future::Future;

/// Opens the journal to look at it, and does the work. Looking never makes a journal.
fn look<T, W: Future<Output = Result<T, Failure>>>(
    global: &Global,
    work: impl FnOnce(Store) -> W,
) -> Result<T, Failure> {
    let loaded = config::load(global.config.as_deref())?;
    let (_, environment) = loaded.environment(global.env.as_deref())?;
    let path = existing(global, environment)?;
    super::runtime()?.block_on(async {
        let store = path.read().await?;
        work(store).await
    })
}

/// The path of the journal, which must be there.
pub fn existing(global: &Global, environment: &config::Environment) -> Result<Location, Failure> {
    let path = run::journal_path(global, environment)?;
    if path.exists() {
        return Ok(path);
    }
    let hint = "the first `starr run` makes it";
    Err(Failure::usage(format!(
        "there is no journal at {}; {hint}",
        path.display()
    )))
}

/// The entries of the run that is meant.
async fn entries(store: &Store, name: &str) -> Result<Vec<Recorded>, Failure> {
    let id = found(store, name).await?;
    Ok(store.entries(&id).await?)
}

/// The id of the run that is meant.
pub async fn found(store: &Store, name: &str) -> Result<String, Failure> {
    match store.find(name).await? {
        Found::One(id) => Ok(id),
        Found::Nothing => {
            let hint = "`starr runs` lists the runs";
            Err(Failure::usage(format!("the journal holds no run `{name}`; {hint}")))
        }
        Found::Several(ids) => Err(Failure::usage(format!(
            "`{name}` begins the ids of several runs: {}",
            ids.join(", ")
        ))),
    }
}

/// Lists runs, newest first.
pub fn runs(args: &Runs, global: &Global, output: Output) -> Result<Exit, Failure> {
    let most = u32::try_from(args.last).unwrap_or(u32::MAX);
    let runs = look(global, |store| async move { Ok(store.runs(most).await?) })?;
    if output.json {
        line(&render::show::runs_json(&runs).to_string());
    } else {
        print(&render::runs(&runs));
    }
    Ok(Exit::Good)
}

/// Shows a run line by line.
pub fn show(args: &RunRef, global: &Global, output: Output) -> Result<Exit, Failure> {
    let entries = look(global, |store| async move { entries(&store, &args.run).await })?;
    if output.json {
        line(&render::show::show_json(&entries).to_string());
    } else {
        print(&render::show(&entries));
    }
    Ok(Exit::Good)
}

/// Writes the incident record of a run, with how far the journal vouches for it.
pub fn report(args: &Report, global: &Global, output: Output) -> Result<Exit, Failure> {
    let (entries, verified) = look(global, |store| async move {
        Ok((entries(&store, &args.run).await?, store.verify().await?))
    })?;
    let text = if output.json {
        format!("{}\n", render::report::json(&entries, Some(&verified)))
    } else {
        render::report::report_with(&entries, Some(&verified))
    };
    match &args.output {
        None => print(&text),
        Some(path) => {
            write_file(path, &text)
                .map_err(|problem| Failure::usage(format!("cannot write {}: {problem}", path.display())))?;
            complain(&format!("wrote {}", path.display()));
        }
    }
    Ok(Exit::Good)
}
