//! `starr doctor --references`: does what runbooks name still exist, and when was each branch last taken?

use super::args::{Doctor, Global};
use super::files::{collect, read};
use super::load::{check_bytes, complain_errors};
use super::output::{Output, Style, complain, line};
use super::{Exit, Failure, run};
use crate::config;
use crate::journal::Event;
use crate::plan::uses::uses;
use crate::program::{Program, Step, StepKind};
use crate::provider::gate::Mode;
use crate::provider::native::{Reference, ReferenceKind, Resolved};
use crate::render::safe::safe;
use crate::value::{CodeLanguage, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long one reference is looked for.
const WITHIN: Duration = Duration::from_secs(15);

/// Runs of the journal that are looked through, newest first.
const RUNS: u32 = 1_000;

/// A branch of a runbook: its cause, or its arm with the question.
type Branch = (String, String);

/// When a branch was last taken, and in which run.
type Taken = BTreeMap<Branch, (jiff::Timestamp, String)>;

/// Looks everything up, read-only.
pub fn references(args: &Doctor, global: &Global, output: Output) -> Result<Exit, Failure> {
    let loaded = config::load(global.config.as_deref())?;
    let (_, environment) = loaded.environment(global.env.as_deref())?;
    let gate = run::gate(environment, Mode::DryRun, None, None)?;
    let mut wanted: BTreeMap<(String, Reference), BTreeSet<String>> = BTreeMap::new();
    let mut books: Vec<(String, Program)> = Vec::new();
    let mut left_out = false;
    for path in collect(&args.paths).map_err(Failure::usage)? {
        let bytes = read(&path).map_err(Failure::usage)?;
        let name = bytes.name.clone();
        let checked = check_bytes(bytes, Some(environment));
        complain_errors(&checked, output);
        let Some(program) = checked.program else {
            complain(&format!("{name} is not valid and is left out"));
            left_out = true;
            continue;
        };
        if program.runbooks.is_empty() {
            continue;
        }
        for used in uses(&program, &[]) {
            for provider in gate
                .providers()
                .filter(|provider| *provider.name() == *used.operation.provider)
            {
                for reference in provider.references(&used) {
                    wanted
                        .entry((provider.name().to_owned(), reference))
                        .or_default()
                        .insert(name.clone());
                }
            }
            for (_, value) in &used.args {
                if let Some(Value::Code {
                    language: Some(CodeLanguage::Path),
                    text,
                }) = value
                    && *used.operation.provider == *"host"
                {
                    let file = Reference {
                        kind: ReferenceKind::File,
                        name: text.to_string(),
                        on: "local".to_owned(),
                        readable: true,
                    };
                    wanted
                        .entry(("host".to_owned(), file))
                        .or_default()
                        .insert(name.clone());
                }
            }
        }
        books.push((name, program));
    }
    let path = run::journal_path(global, environment)?;
    let (resolved, taken) = super::runtime()?.block_on(async {
        let mut resolved = Vec::new();
        for ((provider, reference), files) in &wanted {
            let found = gate.resolve(provider, reference, WITHIN).await;
            resolved.push((provider, reference, files, found));
        }
        let taken = if path.exists() {
            taken(&path).await?
        } else {
            BTreeMap::new()
        };
        Ok::<_, Failure>((resolved, taken))
    })?;
    let now = jiff::Timestamp::now();
    let missing = resolved.iter().any(|(.., found)| matches!(found, Resolved::Missing(_)));
    if output.json {
        let references: Vec<_> = resolved
            .iter()
            .map(|(provider, reference, files, found)| {
                let (state, detail) = words(found);
                serde_json::json!({
                    "provider": provider, "kind": reference.kind, "name": reference.name, "on": reference.on,
                    "state": state, "detail": detail, "files": files,
                })
            })
            .collect();
        let branches: Vec<_> = books
            .iter()
            .flat_map(|(file, program)| branches(program).into_iter().map(move |branch| (file, branch)))
            .map(|(file, (runbook, branch))| {
                let last = taken.get(&(runbook.clone(), branch.clone()));
                serde_json::json!({
                    "file": file, "runbook": runbook, "branch": branch,
                    "days": last.map(|(at, _)| days(now, *at)), "run": last.map(|(_, run)| run),
                })
            })
            .collect();
        line(&serde_json::json!({ "references": references, "branches": branches }).to_string());
    } else {
        line(&output.style(Style::Heading, "What runbooks refer to"));
        if resolved.is_empty() {
            line("  nothing that is known before a run");
        }
        for (provider, reference, files, found) in &resolved {
            let (state, detail) = words(found);
            let style = match found {
                Resolved::There => Style::Good,
                Resolved::Missing(_) => Style::Bad,
                Resolved::Unknown(_) => Style::Attention,
            };
            let mark = output.style(style, &format!("{state:<8}"));
            let on = if reference.on.is_empty() {
                String::new()
            } else {
                format!(" in {}", reference.on)
            };
            line(&format!(
                "  {mark} {provider} {} {}{}",
                reference.kind.word(),
                safe(&reference.name),
                safe(&on)
            ));
            if !detail.is_empty() {
                line(&format!("           {}", safe(&detail)));
            }
            if !matches!(found, Resolved::There) {
                let files: Vec<&str> = files.iter().map(String::as_str).collect();
                line(&format!("           named by {}", safe(&files.join(", "))));
            }
        }
        line("");
        line(&output.style(Style::Heading, "When each branch was last taken"));
        for (file, program) in &books {
            line(&format!("  {}", safe(file)));
            for (runbook, branch) in branches(program) {
                let when = match taken.get(&(runbook.clone(), branch.clone())) {
                    Some((at, run)) => match days(now, *at) {
                        0 => format!("today, run {run}"),
                        1 => format!("1 day ago, run {run}"),
                        days => format!("{days} days ago, run {run}"),
                    },
                    None => "never".to_owned(),
                };
                line(&format!(
                    "    {:<40} {}",
                    safe(&format!("{runbook}.{branch}")),
                    safe(&when)
                ));
            }
        }
    }
    Ok(if missing || left_out {
        Exit::Findings
    } else {
        Exit::Good
    })
}

fn words(found: &Resolved) -> (&'static str, String) {
    match found {
        Resolved::There => ("there", String::new()),
        Resolved::Missing(why) => ("missing", why.clone()),
        Resolved::Unknown(why) => ("unknown", why.clone()),
    }
}

fn days(now: jiff::Timestamp, then: jiff::Timestamp) -> i64 {
    now.duration_since(then).as_secs().max(0) / 86_400
}

/// Every cause and arm of a program, by runbook.
fn branches(program: &Program) -> Vec<Branch> {
    fn walk(runbook: &str, steps: &[Step], found: &mut Vec<Branch>) {
        for step in steps {
            match &step.kind {
                StepKind::Branch(branch) => {
                    for cause in &branch.causes {
                        found.push((runbook.to_owned(), cause.name.clone()));
                        walk(runbook, &cause.steps, found);
                    }
                    for (arm, steps) in [("otherwise", &branch.otherwise), ("cannot tell", &branch.cannot_tell)] {
                        found.push((runbook.to_owned(), arm.to_owned()));
                        walk(runbook, steps, found);
                    }
                }
                StepKind::Each(each) => walk(runbook, &each.steps, found),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    for book in &program.runbooks {
        walk(&book.name, &book.steps, &mut found);
    }
    let mut once = BTreeSet::new();
    found.retain(|branch| once.insert(branch.clone()));
    found
}

/// When each branch was last taken in a real run, by the journal alone. Dry runs exercise nothing.
async fn taken(path: &crate::journal::Location) -> Result<Taken, Failure> {
    let store = path.read().await?;
    let mut found = Taken::new();
    for summary in store.runs(RUNS).await? {
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        for entry in store.entries(&summary.id).await? {
            let branch = match &entry.event {
                Some(Event::RunStarted { dry_run: true, .. }) => break,
                Some(Event::RunStarted { runbook, .. }) => {
                    names.insert(entry.scope.clone(), runbook.clone());
                    continue;
                }
                Some(Event::ChildStarted { runbook, scope }) => {
                    names.insert(scope.clone(), runbook.clone());
                    continue;
                }
                Some(Event::Cause { name, chosen: true, .. }) => name.clone(),
                Some(Event::Arm { arm, .. }) => arm.clone(),
                _ => continue,
            };
            let runbook = names.get(&entry.scope).cloned().unwrap_or_default();
            let key = (runbook, branch);
            // Runs come newest first.
            match found.get(&key) {
                Some((at, _)) if *at >= entry.at => {}
                _ => {
                    found.insert(key, (entry.at, summary.id.clone()));
                }
            }
        }
    }
    Ok(found)
}
