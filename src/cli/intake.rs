//! `starr run --alert`: from an alert to the runbook it names and the values of its parameters; and the line that an alert carries.

use super::Failure;
use super::args::Run;
use super::output::{Output, complain, line};
use crate::intake::{self, Alert};
use crate::journal::{self, Event};
use crate::limits::{ALERT_BYTES, ALERT_RUNS};
use crate::program::{BindingKind, Program};
use crate::render::safe::safe;
use crate::value::show::show;
use crate::value::{Type, Value};
use sha2::{Digest as _, Sha256};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The alert of `--alert`, when there is one.
///
/// # Errors
/// It cannot be read, or is none.
pub fn alert(args: &Run) -> Result<Option<Alert>, Failure> {
    let Some(path) = &args.alert else { return Ok(None) };
    let shown = path.display();
    let most = ALERT_BYTES as u64 + 1;
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    read.map_err(|problem| Failure::usage(format!("cannot read the alert {shown}: {problem}")))?;
    intake::read(&bytes)
        .map(Some)
        .map_err(|problem| Failure::usage(format!("the alert {shown}: {}", safe(&problem))))
}

/// The file of the runbook that an alert names, below the folder for runbooks and nowhere else.
///
/// # Errors
/// It names none, or one that is not there.
pub fn runbook(alert: &Alert, folder: &Path) -> Result<PathBuf, Failure> {
    let Some(named) = alert.runbook() else {
        return Err(Failure::usage(format!(
            "the alert names no runbook: give it an annotation or label `{}`, such as `team/disk-full`, or name the file",
            intake::RUNBOOK
        )));
    };
    let plain = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    let name = named.strip_suffix(".starr").unwrap_or(named);
    let file = folder.join(format!("{name}.starr"));
    let inside = || {
        let file = file.canonicalize().ok()?;
        Some(file.starts_with(folder.canonicalize().ok()?))
    };
    if !name.split('/').all(plain) || inside() != Some(true) {
        return Err(Failure::usage(format!(
            "the alert names the runbook `{}`, and there is no such file below {}",
            safe(&named.chars().take(100).collect::<String>()),
            folder.display()
        )));
    }
    Ok(file)
}

/// `NAME=VALUE` for every parameter that a label of the alert has a value for and that was not given by hand.
///
/// # Errors
/// A secret would come from the alert, or the alerts of a group differ in what a parameter needs.
pub fn values(alert: &Alert, program: &Program, set: &[String]) -> Result<Vec<String>, Failure> {
    let Some(book) = program.runbooks.first() else {
        return Ok(Vec::new());
    };
    let by_hand = |name: &str| set.iter().any(|pair| pair.split('=').next() == Some(name));
    let mut values = Vec::new();
    for parameter in book.params.iter().map(|id| book.binding(*id)) {
        let name = &parameter.name;
        if by_hand(name) {
            continue;
        }
        if alert.differing.contains(name) {
            let default = matches!(&parameter.kind, BindingKind::Param { default: Some(_) });
            if default || matches!(parameter.ty, Type::Optional(_)) {
                continue;
            }
            return Err(Failure::usage(format!(
                "the alerts of this group differ in `{name}`: say which with --set {name}=…"
            )));
        }
        let Some(value) = alert.labels.get(name) else { continue };
        if parameter.ty.holds_secret() {
            return Err(Failure::usage(format!(
                "the parameter `{name}` is a secret and never comes from an alert; give it with --set {name}=NAME"
            )));
        }
        values.push(format!("{name}={value}"));
    }
    Ok(values)
}

/// Whether a value names what the run is about. A threshold or a time does not: with another one it is the same thing that is looked at.
/// A number without a unit does: it may be a port or a shard, and a second run is better than an alert that nobody looks at.
fn names_something(value: &Value) -> bool {
    !matches!(
        value,
        Value::Bool(_)
            | Value::Float(_)
            | Value::Time(_)
            | Value::Duration(_)
            | Value::Ratio(_)
            | Value::Bytes(_)
            | Value::Rate(_)
    )
}

/// What a live run is about: a runbook in an environment, with the values that name something. Dry runs are about nothing.
pub struct Subject<'a> {
    pub runbook: &'a str,
    pub environment: &'a str,
    /// The values of the parameters.
    pub arguments: &'a [(String, Value)],
}

impl Subject<'_> {
    /// Name and shown value of what names something, in a fixed order.
    fn named(&self) -> Vec<(&String, String)> {
        let named = self.arguments.iter().filter(|(_, value)| names_something(value));
        let mut named: Vec<(&String, String)> = named.map(|(name, value)| (name, show(value))).collect();
        named.sort();
        named
    }

    /// The same text for the same, and nothing of the values in it.
    pub fn digest(&self) -> String {
        let text = serde_json::json!([self.runbook, self.environment, self.named()]).to_string();
        hex::encode(Sha256::digest(text.as_bytes()))
    }

    /// The run that is under way for the same, by a process that is still there.
    ///
    /// # Errors
    /// The journal cannot be read.
    async fn under_way(&self, store: &journal::Store) -> Result<Option<String>, journal::Error> {
        let named = self.named();
        for run in store.runs(ALERT_RUNS).await? {
            if run.ended.is_some() {
                continue;
            }
            let Some(Event::RunStarted {
                runbook,
                environment,
                parameters,
                dry_run: false,
                ..
            }) = run.started.and_then(|entry| entry.event)
            else {
                continue;
            };
            let same = |(wanted, value): &(&String, String)| {
                let found = parameters.iter().find(|(name, _)| name == *wanted);
                found.is_some_and(|(_, found)| found == value)
            };
            if runbook != self.runbook || environment != self.environment || !named.iter().all(same) {
                continue;
            }
            if store.lease(&run.id).await?.is_some_and(|lease| !lease.is_free()) {
                return Ok(Some(run.id));
            }
        }
        Ok(None)
    }

    /// Attaches an alert to the run that is under way for the same; false when there is none.
    ///
    /// # Errors
    /// The journal cannot be read or written.
    pub async fn attach(
        &self,
        journal: &journal::Location,
        alert: &Alert,
        output: Output,
    ) -> Result<bool, journal::Error> {
        let store = super::run::open_journal(journal).await?;
        let found = self.under_way(&store).await?;
        if let Some(id) = &found {
            attach(&store, id, alert, output).await?;
        }
        store.close().await?;
        Ok(found.is_some())
    }
}

/// Longest wait for the first entry of a run that began in this instant.
const FIRST_ENTRY: Duration = Duration::from_secs(5);

/// Writes an alert into the record of the run that is under way for the same, and says so. The run's way is not changed by it.
///
/// # Errors
/// The journal cannot be written.
pub async fn attach(store: &journal::Store, id: &str, alert: &Alert, output: Output) -> Result<(), journal::Error> {
    let event = Event::AlertAttached {
        alert: alert.event(),
        acknowledged: alert.acknowledged,
        by: super::login_as_person(),
    };
    let until = Instant::now() + FIRST_ENTRY;
    while store.entries(id).await?.is_empty() && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let entry = store.attach(id, &event).await?;
    if output.json {
        line(&serde_json::json!({ "attached_to": id, "entry": entry }).to_string());
    } else {
        complain(&format!(
            "run {0} of this runbook is under way for the same: its record says so (entry {entry}), and nothing was started. \
             `starr show {0}` is what it does",
            safe(id)
        ));
    }
    Ok(())
}

/// What an alerting rule says about this runbook: its name, and the command with the labels that it needs.
pub fn annotations(program: &Program, file: &Path) -> String {
    let mut command = format!("starr run {}", file.display());
    if let Some(book) = program.runbooks.first() {
        for parameter in book.params.iter().map(|id| book.binding(*id)) {
            let needed = !matches!(&parameter.kind, BindingKind::Param { default: Some(_) })
                && !matches!(parameter.ty, Type::Optional(_));
            if !needed {
                continue;
            }
            let name = &parameter.name;
            // What a label holds must not become a second command where somebody pastes the line into a shell.
            command.push_str(&if parameter.ty.holds_secret() {
                format!(" --set {name}=NAME")
            } else {
                format!(" --set {name}={{{{ reReplaceAll \"[^a-zA-Z0-9._:/@%+-]\" \"_\" $labels.{name} }}}}")
            });
        }
    }
    // As `--alert` looks for it: below the folder for runbooks.
    let parts: Vec<&str> = file.iter().filter_map(|part| part.to_str()).collect();
    let below = parts
        .iter()
        .rposition(|part| *part == "runbooks")
        .map_or(0, |at| at + 1);
    let name = parts[below..].join("/");
    let name = name.strip_suffix(".starr").unwrap_or(&name);
    format!("runbook: {name}\ncommand: '{command}'\n")
}
