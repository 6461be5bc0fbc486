//! A recording as a scenario: what was answered and said, in as few words as still lead the same way.

use super::{Recording, Said, Spoken, Then};
use crate::check::{Context, Library, ModuleSource, check};
use crate::diagnostic::Level;
use crate::engine::escalation;
use crate::engine::world::{Answered, Decision, Observed, OnUnknown, Ticked};
use crate::journal::event::{Event, Purpose, ResultKind};
use crate::plan::found::operation;
use crate::program::scenario::OVERRIDE;
use crate::provider::record::{Answered as Call, Reply};
use crate::scenario::draft::DraftGiven;
use crate::scenario::{Draft, Facts, Options, Suite, run_all, write};
use crate::value::{Answer, List, Record, Type, Value};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A recording as a scenario.
#[derive(Clone, Debug)]
pub struct Converted {
    /// The scenario in its canonical form.
    pub text: String,
    /// What does not come out as it was recorded, when it is run; empty when it passes as it stands.
    pub problems: Vec<String>,
}

/// How much of each answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    /// The fields that the texts use, rounded as people say them.
    Used,
    /// Every field, rounded.
    Whole,
    /// Every field, to the last digit.
    Exact,
}

/// Writes the scenario, in the fewest words with which it passes against the recorded runbook.
///
/// # Errors
/// Says what of the recording cannot be used.
pub fn convert(recording: &Recording) -> Result<Converted, String> {
    let mut first = None;
    for detail in [Detail::Used, Detail::Whole, Detail::Exact] {
        let draft = draft(recording, detail)?;
        let text = draft.text();
        let problems = tried(recording, &draft.title, &text)?;
        let converted = Converted { text, problems };
        if converted.problems.is_empty() {
            return Ok(converted);
        }
        first.get_or_insert(converted);
    }
    first.ok_or_else(|| "the recording holds nothing".to_owned())
}

/// The recorded texts, with this scenario beside the runbook.
struct Beside<'a> {
    then: Then<'a>,
    scenario: &'a str,
}

impl Library for Beside<'_> {
    fn module(&self, path: &str) -> Option<ModuleSource> {
        self.then.module(path)
    }

    fn scenarios(&self, _file: Option<&Path>) -> Option<Vec<ModuleSource>> {
        Some(vec![ModuleSource {
            name: "the scenario".to_owned(),
            path: None,
            bytes: self.scenario.as_bytes().to_vec(),
        }])
    }
}

/// Runs the scenario against the recorded runbook.
fn tried(recording: &Recording, title: &str, scenario: &str) -> Result<Vec<String>, String> {
    let about = &recording.about;
    let text = about
        .texts
        .get(&about.file)
        .ok_or("the recording does not hold the runbook's text")?;
    let library = Beside {
        then: Then(about),
        scenario,
    };
    let context = Context {
        library: &library,
        severities: Vec::new(),
        roles: None,
        today: None,
        matrix: None,
    };
    let path = Path::new(&about.file);
    let checked = check(&about.file, Some(path), text.clone().into_bytes(), &context);
    let errors: Vec<String> = checked
        .diagnostics
        .iter()
        .filter(|finding| finding.level == Level::Error)
        .map(|finding| finding.message.clone())
        .collect();
    let Some(program) = checked.program.filter(|_| errors.is_empty()) else {
        return Ok(errors);
    };
    let facts = Facts {
        severities: about.environment.severities.clone(),
        default_severity: about.environment.default_severity.clone(),
        resources: BTreeMap::new(),
    };
    let options = Options {
        filter: Some(title.to_owned()),
        threads: 1,
        ..Options::default()
    };
    let report = run_all(&Suite::new(Arc::new(program), facts), &about.file, &options)
        .map_err(|problem| format!("cannot run the scenario: {problem}"))?;
    let mut problems = Vec::new();
    let mut ran = false;
    for result in report.results.iter().filter(|result| result.title == title) {
        ran = true;
        problems.extend(result.problems.iter().map(|problem| problem.message.clone()));
        if !result.passed && result.problems.is_empty() {
            problems.push("it does not pass".to_owned());
        }
    }
    if !ran {
        problems.push("it was not run".to_owned());
    }
    Ok(problems)
}

fn draft(recording: &Recording, detail: Detail) -> Result<Draft, String> {
    let about = &recording.about;
    let story = Story::of(recording);
    let title = format!(
        "{} of {}: {}",
        story.title,
        about.started.strftime("%Y-%m-%d %H:%M"),
        story.ended.as_deref().unwrap_or("not ended")
    );
    // To the minute: what was asked at second 14 would have been asked at second 0 as well.
    let second = about.started.as_second();
    let clock = Timestamp::from_second(second - second.rem_euclid(60)).unwrap_or(about.started);
    let used = Used::of(recording);
    Ok(Draft {
        title,
        prose: vec![format!(
            "Made from the recording of run {} in {}.",
            about.run, about.environment.name
        )],
        runbook: about.runbook.clone(),
        arguments: recording.arguments()?,
        clock: Some(clock),
        given: given(recording, &story, &used, detail, clock),
        operator: operator(recording, &story),
        expect: story.expect(),
    })
}

/// What happened, as far as a scenario expects it.
#[derive(Default)]
struct Story {
    title: String,
    severity: Option<String>,
    causes: Vec<String>,
    arms: Vec<(String, String)>,
    unknown: Vec<String>,
    changed: Vec<String>,
    undone: Vec<String>,
    told: BTreeMap<String, usize>,
    ended: Option<String>,
    reason: String,
    seconds: f64,
    /// When the change of an action was done, since the recording began.
    done: Vec<(String, Duration)>,
    /// Under which role an action was approved or refused.
    roles: BTreeMap<String, String>,
}

impl Story {
    fn of(recording: &Recording) -> Self {
        let mut story = Self {
            title: recording.about.runbook.clone(),
            ..Self::default()
        };
        let mut intents: BTreeMap<String, (String, Purpose)> = BTreeMap::new();
        // The operations that the environment's matrix is calling, which a scenario knows nothing of.
        let mut called: Vec<String> = Vec::new();
        let mut last: BTreeMap<String, Answer> = BTreeMap::new();
        for happened in &recording.events {
            let full = |name: &str| {
                if happened.scope.is_empty() {
                    name.to_owned()
                } else {
                    format!("{}.{name}", happened.scope)
                }
            };
            match &happened.event {
                Event::RunStarted { title, .. } if happened.scope.is_empty() => story.title.clone_from(title),
                Event::Severity { name, .. } => story.severity.clone_from(name),
                Event::Cause { name, chosen: true, .. } => story.causes.push(full(name)),
                Event::Arm { arm, branch, .. } => story.arms.push((arm.clone(), branch.clone())),
                Event::Answered { name, answer, .. } => {
                    last.insert(full(name), *answer);
                }
                Event::ApprovalRequested { action, roles, .. } => {
                    if let Some(role) = roles.first() {
                        story.roles.entry(full(action)).or_insert_with(|| role.clone());
                    }
                }
                Event::Approved { action, role, .. } => {
                    // One of several roles may stand here as `a or b`: the first is one of them.
                    let role = role.split(" or ").next().unwrap_or(role).to_owned();
                    story.roles.insert(full(action), role);
                }
                Event::Intent {
                    action,
                    purpose: Purpose::Tell,
                    operation,
                    ..
                } if recording.about.matrix.is_some() && action.starts_with(escalation::PLACE) => {
                    called.push(operation.clone());
                }
                Event::Intent {
                    id, action, purpose, ..
                } => {
                    intents.insert(id.clone(), (full(action), *purpose));
                }
                Event::Result { id, outcome, .. } => {
                    if let Some((action, Purpose::Do)) = intents.get(id)
                        && *outcome != ResultKind::Failed
                    {
                        if !story.changed.contains(action) {
                            story.changed.push(action.clone());
                        }
                        if *outcome == ResultKind::Done {
                            story.done.push((action.clone(), Duration::from_nanos(happened.at)));
                        }
                    }
                }
                Event::Ticked { name, done: true, .. } => {
                    story.changed.push(full(name));
                    story.done.push((full(name), Duration::from_nanos(happened.at)));
                }
                Event::Undone { action, ok: true, .. } => story.undone.push(full(action)),
                Event::Told { operation, ok, .. } => {
                    if let Some(at) = called.iter().position(|called| called == operation) {
                        called.remove(at);
                    } else if *ok {
                        *story.told.entry(operation.clone()).or_default() += 1;
                    }
                }
                Event::Ended {
                    outcome,
                    reason,
                    duration_seconds,
                    ..
                } if happened.scope.is_empty() => {
                    story.ended = Some(outcome.clone());
                    story.reason.clone_from(reason);
                    story.seconds = *duration_seconds;
                }
                _ => {}
            }
        }
        story.unknown = last
            .into_iter()
            .filter(|(_, answer)| *answer == Answer::Unknown)
            .map(|(name, _)| name)
            .collect();
        story
    }

    fn expect(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(severity) = &self.severity {
            lines.push(format!("severity {severity}"));
        }
        if !self.causes.is_empty() {
            lines.push(format!("cause {}", self.causes.join(", ")));
        }
        for (arm, branch) in &self.arms {
            lines.push(format!("arm {arm} of {}", write::quoted(branch)));
        }
        for name in &self.unknown {
            lines.push(format!("answer {name} unknown"));
        }
        let changed = if self.changed.is_empty() {
            "nothing".to_owned()
        } else {
            self.changed.join(", ")
        };
        lines.push(format!("changed {changed}"));
        if !self.undone.is_empty() {
            lines.push(format!("undone {}", self.undone.join(", ")));
        }
        for (operation, times) in &self.told {
            let times = if *times > 1 {
                format!(" {times} times")
            } else {
                String::new()
            };
            lines.push(format!("told {operation}{times}"));
        }
        if let Some(outcome) = &self.ended {
            // Half as long again, in whole minutes: how quick people are is not what is tested.
            let minutes = ((self.seconds * 1.5) / 60.0).ceil().max(1.0);
            let word = outcome.split_once(" \"").map_or(outcome.as_str(), |(word, _)| word);
            lines.push(format!("outcome {word} within {minutes} min"));
        }
        lines
    }
}

/// The names of fields that the texts of the program use.
struct Used {
    texts: Vec<String>,
}

impl Used {
    fn of(recording: &Recording) -> Self {
        let mut texts: Vec<String> = recording.about.texts.values().cloned().collect();
        let operations: BTreeSet<&str> = recording
            .calls
            .calls()
            .iter()
            .filter_map(|call| call.operation.split('.').next())
            .collect();
        for provider in operations {
            if let Some(module) = crate::check::Embedded.module(&format!("std.{provider}"))
                && recording
                    .about
                    .texts
                    .values()
                    .any(|text| text.contains(&format!("std.{provider}")))
            {
                texts.push(String::from_utf8_lossy(&module.bytes).into_owned());
            }
        }
        Self { texts }
    }

    fn field(&self, name: &str) -> bool {
        let dotted = format!(".{name}");
        self.texts.iter().any(|text| {
            text.match_indices(&dotted).any(|(at, _)| {
                let behind = text[at + dotted.len()..].chars().next();
                !behind.is_some_and(|letter| letter.is_alphanumeric() || letter == '_' || letter == '(')
            })
        })
    }
}

/// The calls of one line: operation, arguments, and each call in its order.
type Group<'a> = (String, Vec<(String, Value)>, Vec<&'a Call>);

/// One stretch of equal replies.
struct Stretch {
    text: String,
    count: usize,
    from: Duration,
    /// When the last of them was asked for.
    last: Duration,
}

fn given(recording: &Recording, story: &Story, used: &Used, detail: Detail, clock: Timestamp) -> Vec<DraftGiven> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for call in recording.calls.calls() {
        let change = matches!(call.reply, Reply::Outcome(_));
        let known = groups
            .iter_mut()
            .find(|(operation, args, _)| *operation == call.operation && (change || *args == call.args));
        match known {
            Some((_, _, calls)) => calls.push(call),
            None => groups.push((call.operation.clone(), call.args.clone(), vec![call])),
        }
    }
    groups
        .iter()
        .map(|(name, args, calls)| {
            let declared = operation(name);
            let ty = declared
                .as_ref()
                .map_or(Type::Any, |operation| operation.result.clone());
            // Arguments only where they tell this line from another of the same operation.
            let others: Vec<&Vec<(String, Value)>> = groups
                .iter()
                .filter(|(other, other_args, _)| other == name && other_args != args)
                .map(|(_, args, _)| args)
                .collect();
            let args = args
                .iter()
                .filter(|(name, value)| {
                    *value != Value::None
                        && others
                            .iter()
                            .any(|other| other.iter().any(|(known, other)| known == name && other != value))
                })
                .map(|(name, value)| {
                    let ty = declared
                        .as_ref()
                        .and_then(|operation| operation.params.iter().find(|param| *param.name == **name))
                        .map_or(Type::Any, |param| param.ty.clone());
                    (name.clone(), value.clone(), ty)
                })
                .collect();
            DraftGiven {
                operation: name.clone(),
                args,
                replies: replies(
                    &stretches(calls, &ty, used, detail, clock, recording.about.started),
                    story,
                ),
            }
        })
        .collect()
}

fn stretches(
    calls: &[&Call],
    ty: &Type,
    used: &Used,
    detail: Detail,
    clock: Timestamp,
    started: Timestamp,
) -> Vec<Stretch> {
    let mut found: Vec<Stretch> = Vec::new();
    for call in calls {
        let text = reply(call, ty, used, detail, clock, started);
        match found.last_mut() {
            Some(stretch) if stretch.text == text => {
                stretch.count += 1;
                stretch.last = call.from;
            }
            _ => found.push(Stretch {
                text,
                count: 1,
                from: call.from,
                last: call.from,
            }),
        }
    }
    found
}

/// What ends each stretch: an action that was done in between, the number of calls, or the time.
fn replies(stretches: &[Stretch], story: &Story) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for (index, stretch) in stretches.iter().enumerate() {
        let Some(next) = stretches.get(index + 1) else {
            lines.push((stretch.text.clone(), String::new()));
            break;
        };
        let action = story
            .done
            .iter()
            .find(|(_, at)| *at >= stretch.last && *at <= next.from)
            .map(|(action, _)| action.clone());
        match action {
            Some(action) => lines.push((stretch.text.clone(), format!("until {action}"))),
            // One call each: so it is written as often as it was asked.
            None if stretch.count <= 5 => {
                for _ in 0..stretch.count {
                    lines.push((stretch.text.clone(), String::new()));
                }
            }
            None => {
                let middle = (stretch.last + next.from) / 2;
                let seconds = Duration::from_secs(middle.as_secs().max(1));
                lines.push((stretch.text.clone(), format!("until {}", write::span(seconds))));
            }
        }
    }
    lines
}

fn reply(call: &Call, ty: &Type, used: &Used, detail: Detail, clock: Timestamp, started: Timestamp) -> String {
    if call.given_up {
        return "timeout".to_owned();
    }
    match &call.reply {
        Reply::Value(value) => {
            let value = simplified(value, used, detail, true);
            // Times are written as seen from the clock of the scenario, which is that of the recording but for the seconds.
            let now = if detail == Detail::Exact { clock } else { started };
            write::given(&value, ty, now).unwrap_or_else(|| "unknown".to_owned())
        }
        Reply::Outcome(crate::provider::Outcome::Done(_)) => {
            let took = rounded(call.to.saturating_sub(call.from));
            if took.is_zero() {
                "done".to_owned()
            } else {
                format!("done after {}", write::span(took))
            }
        }
        Reply::Outcome(crate::provider::Outcome::Failed(unknown)) => {
            format!("fails {}", write::quoted(&unknown.detail))
        }
        Reply::Outcome(crate::provider::Outcome::Unclear(unknown)) => match write::word(unknown.reason) {
            "unknown" => "timeout".to_owned(),
            word => word.to_owned(),
        },
    }
}

/// The value with what a reader needs.
fn simplified(value: &Value, used: &Used, detail: Detail, top: bool) -> Value {
    match value {
        Value::List(list) => {
            let items: Vec<Value> = list
                .items
                .iter()
                .map(|item| simplified(item, used, detail, false))
                .collect();
            Value::List(Arc::new(List {
                items: if detail == Detail::Used { alike(items) } else { items },
                truncated: list.truncated,
            }))
        }
        Value::Record(record) if &*record.type_name != "Probe" => {
            let fields: Vec<_> = record
                .fields
                .iter()
                .filter(|(name, value)| {
                    !matches!(value, Value::Secret(_))
                        && (detail != Detail::Used || used.field(name))
                        && !(detail == Detail::Used && !top && matches!(value, Value::Resource { .. }))
                })
                .map(|(name, value)| (name.clone(), simplified(value, used, detail, false)))
                .collect();
            Value::Record(Arc::new(Record {
                type_name: record.type_name.clone(),
                fields,
            }))
        }
        Value::Duration(span) if detail != Detail::Exact => {
            let span = Duration::from_nanos(u64::try_from(*span).unwrap_or(0));
            Value::duration(rounded(span))
        }
        Value::Ratio(number) if detail != Detail::Exact => Value::ratio((number * 1000.0).round() / 1000.0),
        other => other.clone(),
    }
}

/// Whole seconds, whole minutes from ten minutes on: as people say it.
fn rounded(span: Duration) -> Duration {
    let seconds = (span.as_millis() + 500) / 1000;
    let seconds = u64::try_from(seconds).unwrap_or(u64::MAX);
    if seconds >= 600 {
        Duration::from_secs((seconds + 30) / 60 * 60)
    } else {
        Duration::from_secs(seconds)
    }
}

/// Elements that differ only in how long something has gone on are said to be alike: each field of time is that of the middle one.
fn alike(items: Vec<Value>) -> Vec<Value> {
    let Some(middle) = items.get(items.len() / 2).and_then(|item| item.as_record().cloned()) else {
        return items;
    };
    items
        .into_iter()
        .map(|item| {
            let Some(record) = item.as_record() else { return item };
            let fields = record
                .fields
                .iter()
                .map(|(name, value)| {
                    let value = match (value, middle.get(name)) {
                        (Value::Duration(_), Some(Value::Duration(span))) => Value::Duration(*span),
                        _ => value.clone(),
                    };
                    (name.clone(), value)
                })
                .collect();
            Value::Record(Arc::new(Record {
                type_name: record.type_name.clone(),
                fields,
            }))
        })
        .collect()
}

fn operator(recording: &Recording, story: &Story) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut said: BTreeSet<(String, String)> = BTreeSet::new();
    lines.extend(overridden(recording));
    for one in recording.people.iter().filter(|one| one.name != OVERRIDE) {
        let Some(line) = line(one, story) else { continue };
        // A person says a thing once; said again it is the same line.
        if said.insert((one.kind.clone(), one.name.clone())) {
            lines.push(line);
        }
    }
    lines
}

/// The emergency override that was asked for, with who consented to it.
fn overridden(recording: &Recording) -> Option<String> {
    let emergency = recording.about.emergency.as_ref()?;
    let second = recording.events.iter().find_map(|happened| match &happened.event {
        Event::Overridden { second, .. } => Some(format!(" as {}", word(&second.name))),
        _ => None,
    });
    Some(format!(
        "override because {} ticket {} for {}{}",
        write::quoted(&emergency.reason),
        write::quoted(&emergency.ticket),
        write::span(emergency.lasts),
        second.unwrap_or_default()
    ))
}

/// A person's name as one word of the language.
fn word(name: &str) -> String {
    let word: String = name
        .chars()
        .map(|letter| if letter.is_alphanumeric() { letter } else { '_' })
        .collect();
    if word.starts_with(|first: char| first.is_alphabetic()) {
        word
    } else {
        format!("person_{word}")
    }
}

fn line(said: &Said, story: &Story) -> Option<String> {
    let name = &said.name;
    let after = rounded(Duration::from_nanos(said.to.saturating_sub(said.from)));
    let after = if after.is_zero() {
        String::new()
    } else {
        format!(" after {}", write::span(after))
    };
    let value = match &said.reply {
        Spoken::Given { value, .. } => value.clone(),
        Spoken::Nobody(_) | Spoken::Silence => {
            return match said.kind.as_str() {
                "observe" | "unknown" => Some(format!("leave {name} unknown")),
                _ => None,
            };
        }
    };
    let role = story
        .roles
        .get(name)
        .map(|role| format!(" as {role}"))
        .unwrap_or_default();
    Some(match said.kind.as_str() {
        "observe" => match serde_json::from_value::<Observed>(value).ok()?.yes {
            Some(true) => format!("answer {name} yes"),
            Some(false) => format!("answer {name} no"),
            None => format!("leave {name} unknown"),
        },
        "ask" => {
            let answered: Answered = serde_json::from_value(value).ok()?;
            format!("answer {name} {}", write::quoted(&answered.text))
        }
        "approve" => match serde_json::from_value::<Decision>(value).ok()? {
            Decision::Approve => format!("approve {name}{role}{after}"),
            Decision::Refuse { because } if because.is_empty() => format!("refuse {name}{role}{after}"),
            Decision::Refuse { because } => format!("refuse {name}{role}{after} because {}", write::quoted(&because)),
        },
        "manual" => {
            let ticked: Ticked = serde_json::from_value(value).ok()?;
            if !ticked.done {
                return None;
            }
            format!("tick {name}{after}")
        }
        "unknown" => match serde_json::from_value::<OnUnknown>(value).ok()? {
            OnUnknown::AnswerByHand { name, yes, .. } => format!("answer {name} {}", if yes { "yes" } else { "no" }),
            OnUnknown::Retry | OnUnknown::CannotTell => return None,
        },
        _ => return None,
    })
}
