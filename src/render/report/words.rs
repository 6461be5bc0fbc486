//! Events in words: one plain sentence each, and times as people say them. Not yet escaped: whoever shows it does that.

use crate::journal::Recorded;
use crate::journal::event::{Event, Evidence, Person, Purpose, ResultKind};
use crate::value::Answer;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};

/// A moment of the record; as data it is RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct At(pub Timestamp);

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl From<At> for Timestamp {
    fn from(at: At) -> Self {
        at.0
    }
}

impl At {
    /// Seconds since an earlier moment; negative when a clock was set back.
    pub fn seconds_since(self, earlier: At) -> f64 {
        self.0.duration_since(earlier.0).as_secs_f64()
    }
}

/// The moment as `2026-11-22 03:14:05`, in UTC.
pub fn moment(at: impl Into<Timestamp>) -> String {
    at.into()
        .to_zoned(TimeZone::UTC)
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// The time of day as `03:14:05`, in UTC.
pub fn time_of_day(at: impl Into<Timestamp>) -> String {
    at.into().to_zoned(TimeZone::UTC).strftime("%H:%M:%S").to_string()
}

/// How long a call took, and what was in its way.
pub fn took(milliseconds: u64, notes: &[String]) -> String {
    format!("{}{}", length(milliseconds as f64 / 1000.0), noted(notes))
}

fn noted(notes: &[String]) -> String {
    if notes.is_empty() {
        String::new()
    } else {
        format!(" ({})", notes.join("; "))
    }
}

/// A length of time in at most two units: `250 ms`, `4 s`, `2 min 5 s`, `1 h 3 min`, `2 d 1 h`.
pub fn length(seconds: f64) -> String {
    if !seconds.is_finite() {
        return "an unknown time".to_owned();
    }
    let sign = if seconds < 0.0 { "−" } else { "" };
    let seconds = seconds.abs();
    if seconds > 0.0 && seconds < 1.0 {
        return format!("{sign}{:.0} ms", (seconds * 1000.0).ceil());
    }
    // As a whole number of seconds; far beyond any run it saturates.
    let whole = seconds.round() as u64;
    let (large, large_unit, small, small_unit) = match whole {
        0..60 => (0, "", whole, "s"),
        60..3600 => (whole / 60, "min", whole % 60, "s"),
        3600..86400 => (whole / 3600, "h", whole % 3600 / 60, "min"),
        _ => (whole / 86400, "d", whole % 86400 / 3600, "h"),
    };
    match (large, small) {
        (0, small) => format!("{sign}{small} {small_unit}"),
        (large, 0) => format!("{sign}{large} {large_unit}"),
        (large, small) => format!("{sign}{large} {large_unit} {small} {small_unit}"),
    }
}

/// How long after the start something was: `+0 s`, `+2 min 5 s`. Before the start, when a clock was set back: `−5 s`.
pub fn after(start: impl Into<Timestamp>, at: impl Into<Timestamp>) -> String {
    let seconds = at.into().duration_since(start.into()).as_secs();
    let words = length(seconds as f64);
    if seconds < 0 { words } else { format!("+{words}") }
}

/// One or many: `1 entry`, `3 entries`.
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// An answer with its sign in the goal: `yes, bad`.
pub fn judged(answer: Answer, good: Option<bool>) -> String {
    match (answer, good) {
        (Answer::Unknown, _) | (_, None) => answer.word().to_owned(),
        (_, Some(true)) => format!("{}, good", answer.word()),
        (_, Some(false)) => format!("{}, bad", answer.word()),
    }
}

/// What decided an answer: `used > 90 %: 97 %, limit 90 %, for 12 min`.
pub fn evidence(evidence: &Evidence) -> String {
    let mut words = evidence.text.clone();
    let limit = if evidence.limit.is_empty() {
        String::new()
    } else {
        format!("limit {}", evidence.limit)
    };
    let details: Vec<&str> = [&evidence.actual, &limit, &evidence.detail]
        .into_iter()
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    if details.is_empty() {
        words.push_str(" — ");
        words.push_str(evidence.answer.word());
    } else {
        words.push_str(": ");
        words.push_str(&details.join(", "));
    }
    words
}

/// All evidence of an answer, or why there is none.
pub fn because(all: &[Evidence], reason: Option<&str>) -> String {
    let mut parts: Vec<String> = all.iter().map(evidence).collect();
    parts.extend(reason.map(str::to_owned));
    parts.join("; ")
}

/// A person and how the name was established: `maria (login)`.
pub fn person(person: &Person) -> String {
    if person.by.is_empty() {
        person.name.clone()
    } else {
        format!("{} ({})", person.name, person.by)
    }
}

/// The first letters of a digest, enough to compare by eye.
pub fn short_digest(digest: &str) -> String {
    match digest.char_indices().nth(12) {
        Some((at, _)) => format!("{}…", &digest[..at]),
        None => digest.to_owned(),
    }
}

/// What a change's result was.
pub fn result_kind(kind: ResultKind) -> &'static str {
    match kind {
        ResultKind::Done => "done",
        ResultKind::Failed => "failed",
        ResultKind::Unclear => "unclear",
    }
}

/// A name with the called runbook it belongs to: `child.leak`.
pub fn scoped(scope: &str, name: &str) -> String {
    if scope.is_empty() {
        name.to_owned()
    } else {
        format!("{scope}.{name}")
    }
}

/// A text with its tail, when there is one: `failed: connection refused`.
fn tail(separator: &str, text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("{separator}{text}")
    }
}

fn by(person: Option<&Person>) -> String {
    person.map(|person| format!(" by {}", person.name)).unwrap_or_default()
}

fn list(items: &[String]) -> String {
    match items {
        [] => "nothing".to_owned(),
        items if items.len() > 5 => format!("{} and {} more", items[..5].join(", "), items.len() - 5),
        items => items.join(", "),
    }
}

fn pairs<'a, V: AsRef<str> + 'a>(pairs: impl IntoIterator<Item = (&'a String, V)>) -> String {
    pairs
        .into_iter()
        .map(|(name, value)| format!("{name}: {}", value.as_ref()))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A call as it reads: `kubernetes.rollout.undo(app: shop/orders-api, to: v42)`.
pub fn call<'a, V: AsRef<str> + 'a>(operation: &str, arguments: impl IntoIterator<Item = (&'a String, V)>) -> String {
    format!("{operation}({})", pairs(arguments))
}

/// What an entry says, as one sentence without its scope.
pub fn sentence(entry: &Recorded) -> String {
    match &entry.event {
        Some(event) => event_sentence(event),
        None => format!("{}: what it said was erased", entry.kind.replace('_', " ")),
    }
}

/// As [`sentence`], with the called runbook it belongs to.
pub fn scoped_sentence(entry: &Recorded) -> String {
    if entry.scope.is_empty() {
        sentence(entry)
    } else {
        format!("{}: {}", entry.scope, sentence(entry))
    }
}

fn event_sentence(event: &Event) -> String {
    match event {
        Event::RunStarted {
            runbook,
            operator,
            environment,
            dry_run,
            ..
        } => {
            let dry = if *dry_run { " as a dry run" } else { "" };
            format!("{operator} started {runbook}{dry} in {environment}")
        }
        Event::Read {
            name,
            operation,
            value,
            notes,
            ..
        } => format!("read {name} with {operation}{}: {}", noted(notes), value.text()),
        Event::Answered {
            name,
            answer,
            good,
            evidence,
            reason,
            by: who,
            ..
        } => format!(
            "{name} {}{}{}",
            judged(*answer, *good),
            by(who.as_ref()),
            tail(": ", &because(evidence, reason.as_deref()))
        ),
        Event::Asked { name, value, by, .. } => format!("{} gave {name}: {}", by.name, value.text()),
        Event::Severity { name, was, because } => {
            let now = name.as_deref().unwrap_or("not known");
            let was = was.as_ref().map(|was| format!(", was {was}")).unwrap_or_default();
            format!("severity {now}{was}{}", tail(", because ", because))
        }
        Event::NotPresent => "the problem is not present".to_owned(),
        Event::Task { goal: Some(goal), .. } => format!("the task: {goal}"),
        Event::Task { goal: None, .. } => "the task has no goal".to_owned(),
        Event::Goal { text, answer } => format!("goal {text}: {}", answer.word()),
        Event::BranchEntered { question, round } => {
            let again = if *round > 1 {
                format!(" (round {round})")
            } else {
                String::new()
            };
            format!("asked: {question}{again}")
        }
        Event::Cause {
            name,
            statement,
            answer,
            chosen,
            because,
            ..
        } => {
            let chosen = if *chosen { "taken" } else { "not taken" };
            let because = if because.is_empty() { answer.word() } else { because };
            format!("cause {name} {chosen}, {because}: {statement}")
        }
        Event::Arm { arm, branch, because } => format!("took `{arm}` of \"{branch}\"{}", tail(", because ", because)),
        Event::Choice {
            about,
            choice,
            by,
            note,
        } => {
            format!("{} chose about {about}: {choice}{}", by.name, tail(" — ", note))
        }
        Event::ActionStarted { name, order, risk, .. } => format!("action {name}, risk {risk}: {order}"),
        Event::NotNeeded { name, because } => format!("{name} is not needed{}", tail(", ", because)),
        Event::ApprovalRequested {
            action,
            roles,
            deadline_seconds,
            ..
        } => format!(
            "{action} waits for approval by {} within {}",
            whom(roles),
            length(*deadline_seconds as f64)
        ),
        Event::Approved {
            action,
            by,
            role,
            digest,
            ..
        } => format!("{} approved {action} as {role} ({})", by.name, short_digest(digest)),
        Event::NotApproved {
            action,
            because,
            by: who,
            ..
        } => {
            format!("{action} was not approved{}{}", by(who.as_ref()), tail(": ", because))
        }
        Event::NotCounted {
            action, by, because, ..
        } => format!(
            "the approval of {action} by {} does not count{}",
            by.name,
            tail(": ", because)
        ),
        Event::Overridden {
            reason,
            ticket,
            by,
            second,
            lasts_seconds,
            ..
        } => format!(
            "emergency override by {} with {} for {}, ticket {ticket}{}",
            by.name,
            second.name,
            length(*lasts_seconds as f64),
            tail(": ", reason)
        ),
        Event::LockTakenOver {
            target,
            from,
            by,
            because,
        } => format!(
            "{} took the lock of {target} from {from}{}",
            by.name,
            tail(": ", because)
        ),
        Event::Dropped {
            action,
            targets,
            because,
        } => format!(
            "{} of {action} taken out{}: {}",
            count(targets.len(), "target", "targets"),
            tail(", ", because),
            list(targets)
        ),
        Event::Intent {
            purpose,
            operation,
            arguments,
            ..
        } => {
            let verb = match purpose {
                Purpose::Do => "do",
                Purpose::Undo => "undo",
                Purpose::Tell => "tell",
            };
            format!(
                "{verb} {}",
                call(operation, arguments.iter().map(|(name, value)| (name, value.text())))
            )
        }
        Event::Result {
            operation,
            outcome,
            value,
            detail,
            milliseconds,
            notes,
            ..
        } => format!(
            "{operation} {} in {}{}{}{}",
            result_kind(*outcome),
            length(*milliseconds as f64 / 1000.0),
            noted(notes),
            value.as_ref().map(|value| tail(": ", value.text())).unwrap_or_default(),
            tail(" — ", detail)
        ),
        Event::Look {
            what,
            condition,
            answer,
            evidence,
            ..
        } => {
            let condition = if condition.is_empty() {
                String::new()
            } else {
                format!(" {condition}")
            };
            format!(
                "{what}{condition}: {}{}",
                answer.word(),
                tail(", ", &because(evidence, None))
            )
        }
        Event::ActionEnded {
            name, outcome, next, ..
        } => format!("{name} {outcome}{}", tail("; ", next)),
        Event::Undone { action, ok, detail } => {
            let how = if *ok {
                "was taken back"
            } else {
                "could not be taken back"
            };
            format!("{action} {how}{}", tail(": ", detail))
        }
        Event::UndoScheduled { action, after_seconds } => {
            format!("{action} will be taken back after {}", length(*after_seconds as f64))
        }
        Event::Ticked {
            name,
            done,
            by: who,
            note,
        } => {
            let done = if *done { "was done" } else { "was not done" };
            format!("{name} {done}{}{}", by(who.as_ref()), tail(" — ", note))
        }
        Event::Each {
            element,
            index,
            of,
            batch,
            ..
        } => format!("{element}: {index} of {of}, batch {batch}"),
        Event::Step { what, detail } => format!("{what}{}", tail(": ", detail)),
        Event::Told {
            operation,
            arguments,
            ok,
            detail,
        } => {
            let ok = if *ok { "told" } else { "could not tell" };
            let arguments = arguments.iter().map(|(name, value)| (name, value));
            format!("{ok} {}{}", call(operation, arguments), tail(" — ", detail))
        }
        Event::Escalated { severity, because } => {
            let severity = severity
                .as_ref()
                .map(|severity| format!(" as {severity}"))
                .unwrap_or_default();
            format!("escalated{severity}{}", tail(", ", because))
        }
        Event::Advised { title, .. } => format!("advice: {title}"),
        Event::ChildStarted { runbook, .. } => format!("runs {runbook}"),
        Event::ChildEnded { runbook, outcome, .. } => format!("{runbook} ended: {outcome}"),
        Event::ClockStep { seconds } => crate::journal::event::clock_step(*seconds),
        Event::Interrupted { because, pending } => {
            let pending = if pending.is_empty() {
                String::new()
            } else {
                format!("; still open: {}", list(pending))
            };
            format!("interrupted, {because}{pending}")
        }
        Event::Resumed { by: who, host, .. } => format!("{} goes on with the run on {host}", who.name),
        Event::TakenOver { by: who, from, because } => format!("{} took the run over from {from}: {because}", who.name),
        Event::Settled {
            operation,
            fate,
            how,
            by: who,
            note,
            ..
        } => {
            let fate = fate.words();
            format!(
                "{operation} was in doubt: {fate}, by {how}{}{}",
                by(who.as_ref()),
                tail(" — ", note)
            )
        }
        Event::Ended {
            outcome,
            reason,
            duration_seconds,
            ..
        } => format!("{outcome} after {}{}", length(*duration_seconds), tail(": ", reason)),
        Event::AnchorFailed { place, size, because } => format!("no anchor at {place} for {size} entries: {because}"),
        Event::KeyChanged { to, .. } => format!("the journal's key is {to} from here on"),
        Event::LogChanged { from, to, .. } => crate::render::words::log_changed(from.as_deref(), to.as_deref()),
        Event::PayloadsErased { entries, because, .. } => {
            format!("{} erased: {because}", count(entries.len(), "payload", "payloads"))
        }
        Event::AlertAttached { alert, .. } => format!("while this run was under way: {alert}"),
        Event::Bundled { digest, bytes, .. } => format!("a bundle of {bytes} bytes was made, SHA-256 {digest}"),
        Event::Prevention { title, by, due } => {
            let by = by.as_ref().map(|by| format!(", by {by}")).unwrap_or_default();
            let due = due.as_ref().map(|due| format!(", due {due}")).unwrap_or_default();
            format!("prevent: {title}{by}{due}")
        }
        Event::Reflection {
            question,
            answer,
            by: who,
        } => match answer {
            Some(answer) => format!("{question} — {answer}{}", tail(",", &by(who.as_ref()))),
            None => format!("{question} — no answer"),
        },
    }
}

/// Whose approval is waited for; an override names no role.
fn whom(roles: &[String]) -> String {
    if roles.is_empty() {
        "a second person".to_owned()
    } else {
        roles.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_two_units_at_most() {
        for (seconds, words) in [
            (0.0, "0 s"),
            (0.25, "250 ms"),
            (0.0001, "1 ms"),
            (4.4, "4 s"),
            (59.9, "1 min"),
            (125.0, "2 min 5 s"),
            (3780.0, "1 h 3 min"),
            (176_400.0, "2 d 1 h"),
            (-5.0, "−5 s"),
            (f64::NAN, "an unknown time"),
            (f64::INFINITY, "an unknown time"),
        ] {
            assert_eq!(length(seconds), words, "{seconds}");
        }
        assert!(length(f64::MAX).ends_with(" h"));
    }

    #[test]
    fn times_are_relative_and_in_utc() {
        let start: Timestamp = "2026-11-22T03:14:05Z".parse().unwrap();
        let later: Timestamp = "2026-11-22T03:16:10.9Z".parse().unwrap();
        assert_eq!(moment(start), "2026-11-22 03:14:05");
        assert_eq!(after(start, later), "+2 min 5 s");
        assert_eq!(after(later, start), "−2 min 5 s");
        assert_eq!(after(Timestamp::MIN, Timestamp::MAX).chars().next(), Some('+'));
    }

    #[test]
    fn evidence_reads_as_a_line() {
        let mut one = Evidence {
            text: "used > 90 %".to_owned(),
            answer: Answer::Yes,
            actual: "97 %".to_owned(),
            limit: "90 %".to_owned(),
            detail: "for 12 min".to_owned(),
        };
        assert_eq!(evidence(&one), "used > 90 %: 97 %, limit 90 %, for 12 min");
        (one.actual, one.limit, one.detail) = Default::default();
        assert_eq!(evidence(&one), "used > 90 % — yes");
    }
}
