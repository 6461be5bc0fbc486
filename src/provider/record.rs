//! Recording what a provider answered, and answering from a recording.
//!
//! A recording is lines of JSON: the first says what it is; a line with an `operation` is one call with its targets, its reply
//! and its time; every other line is a note of whoever records more than calls. Secrets are not in it. A replayer knows nothing
//! but what was recorded: each recorded reply is given once, in order, and a call that was not recorded has no answer.

use super::record_locks::{self, Locks};
use super::{Call, Health, HealthState, Outcome, Permit, Provider};
use crate::secrets::redact_json;
use crate::value::conceal::conceal;
use crate::value::show::show;
use crate::value::{Reason, Unknown, Value, tagged};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{BufRead, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The form of the lines.
const FORM: u64 = 1;

/// Longest line, and most bytes of a whole recording.
const LINE_BYTES: u64 = crate::limits::RECORDING_LINE_BYTES;
const RECORDING_BYTES: u64 = crate::limits::RECORDING_BYTES;

/// The time since the recording began.
pub type Elapsed = Box<dyn Fn() -> Duration + Send + Sync>;

/// Waits until so much time has passed since the recording began.
pub type Until = Arc<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>;

/// Where recorded lines go; several recorders share one.
pub struct Tape {
    elapsed: Elapsed,
    state: Mutex<TapeState>,
}

struct TapeState {
    writer: Box<dyn Write + Send>,
    problem: Option<String>,
    /// Calls whose targets are written down already.
    named: BTreeSet<Key>,
}

impl Tape {
    /// A tape that writes to `writer`, beginning with the line that says what it is. Every call stands at time zero.
    pub fn new(writer: Box<dyn Write + Send>) -> Arc<Self> {
        Self::timed(writer, Box::new(|| Duration::ZERO))
    }

    /// The same, with the time of every line.
    pub fn timed(writer: Box<dyn Write + Send>, elapsed: Elapsed) -> Arc<Self> {
        let tape = Self {
            elapsed,
            state: Mutex::new(TapeState {
                writer,
                problem: None,
                named: BTreeSet::new(),
            }),
        };
        tape.write(&json!({"starr_recording": FORM, "version": env!("CARGO_PKG_VERSION")}));
        Arc::new(tape)
    }

    /// The first problem of writing. The recording is then not whole; the run is not held up by it.
    pub fn problem(&self) -> Option<String> {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .problem
            .clone()
    }

    /// The time since the recording began.
    pub fn elapsed(&self) -> Duration {
        (self.elapsed)()
    }

    /// Writes down something that is no call.
    pub fn note(&self, kind: &str, content: Json) {
        let mut line = json!({});
        line[kind] = content;
        self.write(&line);
    }

    /// Writes down the targets of a call once: the grants are judged by them, also when they refuse the call.
    fn targets(&self, call: &Call, targets: &[String]) {
        let key = key(call);
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if !state.named.insert(key) {
                return;
            }
        }
        self.write(&json!({
            "operation": call.operation.full_name(),
            "args": arguments(call),
            "targets": targets,
        }));
    }

    fn write(&self, line: &Json) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.problem.is_some() {
            return;
        }
        // A line that is longer than a reader takes is not written at all.
        let mut line = line.clone();
        redact_json(&mut line);
        let text = format!("{line}\n");
        let written = if text.len() as u64 > LINE_BYTES {
            Err("a reply is too large for a recording".to_owned())
        } else {
            let writer = &mut state.writer;
            writer
                .write_all(text.as_bytes())
                .and_then(|()| writer.flush())
                .map_err(|problem| problem.to_string())
        };
        state.problem = written.err();
    }
}

/// A provider whose calls and replies are written down.
pub struct Recorder {
    inner: Arc<dyn Provider>,
    tape: Arc<Tape>,
}

impl Recorder {
    /// Records what `inner` answers.
    pub fn new(inner: Arc<dyn Provider>, tape: Arc<Tape>) -> Self {
        Self { inner, tape }
    }

    fn pending<'a>(&'a self, call: &'a Call) -> Pending<'a> {
        Pending {
            recorder: self,
            call,
            from: self.tape.elapsed(),
            reply: None,
        }
    }
}

/// A call under way. When it is given up (its deadline, a cancelled run) that is what is written down.
struct Pending<'a> {
    recorder: &'a Recorder,
    call: &'a Call,
    from: Duration,
    reply: Option<Reply>,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let given_up = || {
            let unknown = Unknown {
                reason: Reason::Timeout,
                detail: "no reply before it was given up".to_owned(),
            };
            match self.call.operation.effect {
                super::Effect::Read | super::Effect::Probe => Reply::Value(Value::Unknown(Arc::new(unknown))),
                super::Effect::Change | super::Effect::Tell | super::Effect::Preview => {
                    Reply::Outcome(Outcome::Unclear(unknown))
                }
            }
        };
        let silent = self.reply.is_none();
        let reply = self.reply.take().unwrap_or_else(given_up);
        let mut line = json!({
            "operation": self.call.operation.full_name(),
            "args": arguments(self.call),
            "from": nanoseconds(self.from),
            "to": nanoseconds(self.recorder.tape.elapsed()),
        });
        if silent {
            line["given_up"] = Json::Bool(true);
        }
        let (key, content) = reply.to_json();
        line[key] = content;
        self.recorder.tape.write(&line);
    }
}

impl Provider for Recorder {
    fn inner(&self) -> Option<&dyn Provider> {
        Some(&*self.inner)
    }

    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn operations(&self) -> &'static [&'static str] {
        self.inner.operations()
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        let targets = self.inner.targets(call);
        self.tape.targets(call, &targets);
        targets
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        async move {
            let mut pending = self.pending(call);
            let value = self.inner.read(call).await;
            pending.reply = Some(Reply::Value(conceal(&call.operation.result, &value)));
            value
        }
        .boxed()
    }

    fn change<'a>(&'a self, call: &'a Call, permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        async move {
            let mut pending = self.pending(call);
            let outcome = self.inner.change(call, permit).await;
            pending.reply = Some(Reply::Outcome(match &outcome {
                Outcome::Done(value) => Outcome::Done(conceal(&call.operation.result, value)),
                other => other.clone(),
            }));
            outcome
        }
        .boxed()
    }

    fn lock<'a>(
        &'a self,
        target: &'a str,
        holder: &'a super::lock::Holder,
        take_over: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Box<dyn super::lock::Held>>, super::lock::NotTaken>> {
        async move {
            let taken = self.inner.lock(target, holder, take_over).await;
            record_locks::note(&self.tape, self.inner.name(), target, &taken);
            taken
        }
        .boxed()
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        self.inner.doctor()
    }
}

/// Arguments by name, in the order of the parameters.
fn arguments(call: &Call) -> Json {
    Json::Array(
        call.args
            .iter()
            .map(|(name, value)| json!([&**name, tagged::to_json(value)]))
            .collect(),
    )
}

/// A time as it is written.
pub fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What was answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To a read or probe.
    Value(Value),
    /// To a change or tell.
    Outcome(Outcome),
}

/// One call of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// `postgres.sessions.list`
    pub operation: String,
    pub args: Vec<(String, Value)>,
    pub reply: Reply,
    /// When it was sent and when the reply was there, since the recording began.
    pub from: Duration,
    pub to: Duration,
    /// Nobody waited for the reply any longer.
    pub given_up: bool,
}

impl Reply {
    fn to_json(&self) -> (&'static str, Json) {
        let unknown = |unknown: &Unknown| tagged::to_json(&Value::Unknown(Arc::new(unknown.clone())));
        match self {
            Reply::Value(value) => ("reply", tagged::to_json(value)),
            Reply::Outcome(Outcome::Done(value)) => ("done", tagged::to_json(value)),
            Reply::Outcome(Outcome::Failed(problem)) => ("failed", unknown(problem)),
            Reply::Outcome(Outcome::Unclear(problem)) => ("unclear", unknown(problem)),
        }
    }

    fn from_json(line: &Json) -> Result<Self, String> {
        let unknown = |json: &Json| match tagged::from_json(json)? {
            Value::Unknown(unknown) => Ok((*unknown).clone()),
            _ => Err("a change that was not done has a reason".to_owned()),
        };
        let found: Vec<(&str, &Json)> = ["reply", "done", "failed", "unclear"]
            .into_iter()
            .filter_map(|key| Some((key, line.get(key)?)))
            .collect();
        match found.as_slice() {
            [("reply", json)] => Ok(Reply::Value(tagged::from_json(json)?)),
            [("done", json)] => Ok(Reply::Outcome(Outcome::Done(tagged::from_json(json)?))),
            [("failed", json)] => Ok(Reply::Outcome(Outcome::Failed(unknown(json)?))),
            [("unclear", json)] => Ok(Reply::Outcome(Outcome::Unclear(unknown(json)?))),
            _ => Err("a line has one of `reply`, `done`, `failed`, `unclear`".to_owned()),
        }
    }
}

/// The recording cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The line, counted from 1.
    pub line: usize,
    pub message: String,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for Error {}

/// Operation and arguments as text.
type Key = (String, String);

#[derive(Debug, Default)]
struct Replies {
    targets: Vec<String>,
    waiting: VecDeque<Waiting>,
}

#[derive(Clone, Debug)]
struct Waiting {
    reply: Reply,
    to: Duration,
    given_up: bool,
}

/// What was recorded, by operation and arguments.
#[derive(Debug)]
pub struct Recording {
    replies: Mutex<BTreeMap<Key, Replies>>,
    calls: Vec<Answered>,
    locks: Locks,
    notes: Vec<(usize, Json)>,
    /// Calls that nobody had recorded, in the order they were made.
    missed: Mutex<Vec<String>>,
}

impl Recording {
    /// Reads a whole recording.
    ///
    /// # Errors
    /// Names the line that cannot be read; a recording is taken whole or not at all.
    pub fn read(reader: impl BufRead) -> Result<Arc<Self>, Error> {
        let mut reader = reader.take(RECORDING_BYTES + 1);
        let mut replies: BTreeMap<Key, Replies> = BTreeMap::new();
        let mut calls = Vec::new();
        let locks = Locks::default();
        let mut notes = Vec::new();
        let mut text = String::new();
        for number in 1.. {
            let wrong = |message: String| Error { line: number, message };
            text.clear();
            let length = std::io::Read::take(&mut reader, LINE_BYTES + 1)
                .read_line(&mut text)
                .map_err(|problem| wrong(problem.to_string()))?;
            if length == 0 {
                if number == 1 {
                    return Err(wrong("the recording is empty".to_owned()));
                }
                break;
            }
            if reader.limit() == 0 {
                return Err(Error {
                    line: 0,
                    message: "the recording is larger than 256 MiB".to_owned(),
                });
            }
            if !text.ends_with('\n') {
                return Err(wrong("the line is cut off or longer than 16 MiB".to_owned()));
            }
            let line: Json = serde_json::from_str(&text).map_err(|problem| wrong(problem.to_string()))?;
            if number == 1 {
                if line.get("starr_recording").and_then(Json::as_u64) != Some(FORM) {
                    return Err(wrong("this is not a recording in a form that is known".to_owned()));
                }
                continue;
            }
            if let Some(lock) = line.get(record_locks::KIND) {
                locks.push(lock).map_err(wrong)?;
                continue;
            }
            if line.get("operation").is_none() {
                notes.push((number, line));
                continue;
            }
            let (key, entry) = entry(&line).map_err(wrong)?;
            let replies = replies.entry(key).or_default();
            match entry {
                Entry::Targets(targets) => replies.targets = targets,
                Entry::Answered(call) => {
                    replies.waiting.push_back(Waiting {
                        reply: call.reply.clone(),
                        to: call.to,
                        given_up: call.given_up,
                    });
                    calls.push(call);
                }
            }
        }
        Ok(Arc::new(Self {
            replies: Mutex::new(replies),
            calls,
            locks,
            notes,
            missed: Mutex::default(),
        }))
    }

    /// A stand-in for a provider that answers at once from this recording. Name and operations are those of the provider it
    /// stands for.
    pub fn replay(self: &Arc<Self>, name: &'static str, operations: &'static [&'static str]) -> Replayer {
        Replayer {
            recording: self.clone(),
            name,
            operations,
            until: None,
            exceptions: Vec::new(),
        }
    }

    /// The same, with every reply at its time.
    pub fn replay_timed(
        self: &Arc<Self>,
        name: &'static str,
        operations: &'static [&'static str],
        until: Until,
    ) -> Replayer {
        Replayer {
            until: Some(until),
            ..self.replay(name, operations)
        }
    }

    /// Every call with its reply, in the order of the replies.
    pub fn calls(&self) -> &[Answered] {
        &self.calls
    }

    /// Every line that is no call, with its number.
    pub fn notes(&self) -> &[(usize, Json)] {
        &self.notes
    }

    /// Recorded replies that nobody asked for.
    pub fn left(&self) -> usize {
        let replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
        replies.values().map(|replies| replies.waiting.len()).sum()
    }

    /// The operations of recorded replies that nobody asked for, with how many.
    pub fn unasked(&self) -> Vec<(String, usize)> {
        let replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: BTreeMap<String, usize> = BTreeMap::new();
        for ((operation, _), replies) in replies.iter().filter(|(_, replies)| !replies.waiting.is_empty()) {
            *found.entry(operation.clone()).or_default() += replies.waiting.len();
        }
        found.into_iter().collect()
    }

    /// The calls that were made and are not in the recording, as text, in their order.
    pub fn missed(&self) -> Vec<String> {
        self.missed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn take(&self, call: &Call) -> Option<Waiting> {
        let found = {
            let mut replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
            replies
                .get_mut(&key(call))
                .and_then(|replies| replies.waiting.pop_front())
        };
        if found.is_none() {
            let args: Vec<String> = call
                .args
                .iter()
                .filter(|(_, value)| *value != Value::None)
                .map(|(name, value)| format!("{name}: {}", show(value)))
                .collect();
            self.missed.lock().unwrap_or_else(PoisonError::into_inner).push(format!(
                "{}({})",
                call.operation.full_name(),
                args.join(", ")
            ));
        }
        found
    }
}

fn key(call: &Call) -> Key {
    (call.operation.full_name(), arguments(call).to_string())
}

enum Entry {
    Targets(Vec<String>),
    Answered(Answered),
}

fn entry(line: &Json) -> Result<(Key, Entry), String> {
    let operation = line
        .get("operation")
        .and_then(Json::as_str)
        .ok_or("`operation` is not a text")?;
    let args = line.get("args").ok_or("`args` is missing")?;
    let key = (operation.to_owned(), args.to_string());
    let args = args
        .as_array()
        .ok_or("`args` is not a list")?
        .iter()
        .map(|pair| match pair.as_array().map(Vec::as_slice) {
            Some([Json::String(name), value]) => Ok((name.clone(), tagged::from_json(value)?)),
            _ => Err("an argument is a name and a value".to_owned()),
        })
        .collect::<Result<_, String>>()?;
    if let Some(targets) = line.get("targets") {
        let targets = targets
            .as_array()
            .ok_or("`targets` is not a list")?
            .iter()
            .map(|target| target.as_str().map(str::to_owned).ok_or("a target is a text"))
            .collect::<Result<_, _>>()?;
        return Ok((key, Entry::Targets(targets)));
    }
    let time = |name: &str| -> Result<Duration, String> {
        match line.get(name) {
            Some(json) => json
                .as_u64()
                .map(Duration::from_nanos)
                .ok_or_else(|| format!("`{name}` is not a time")),
            None => Err(format!("`{name}` is missing")),
        }
    };
    let answered = Answered {
        operation: operation.to_owned(),
        args,
        reply: Reply::from_json(line)?,
        from: time("from")?,
        to: time("to")?,
        given_up: line.get("given_up") == Some(&Json::Bool(true)),
    };
    Ok((key, Entry::Answered(answered)))
}

/// Answers from a recording alone.
pub struct Replayer {
    recording: Arc<Recording>,
    name: &'static str,
    operations: &'static [&'static str],
    until: Option<Until>,
    exceptions: Vec<String>,
}

impl Replayer {
    /// The same with what the provider's configuration allowed beyond the default.
    pub fn with_exceptions(self, exceptions: Vec<String>) -> Self {
        Self { exceptions, ..self }
    }

    /// The next recorded reply, when its time has come. A call that was given up then is not answered now either.
    async fn next(&self, call: &Call) -> Option<Reply> {
        let waiting = self.recording.take(call)?;
        if let Some(until) = &self.until {
            if waiting.given_up {
                futures::future::pending::<()>().await;
            }
            until(waiting.to).await;
        }
        Some(waiting.reply)
    }
}

fn not_recorded(call: &Call) -> Unknown {
    Unknown {
        reason: Reason::Unavailable,
        detail: format!(
            "the recording has no further reply to `{}` with these arguments",
            call.operation.full_name()
        ),
    }
}

impl Provider for Replayer {
    fn name(&self) -> &'static str {
        self.name
    }

    fn operations(&self) -> &'static [&'static str] {
        self.operations
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        let replies = self.recording.replies.lock().unwrap_or_else(PoisonError::into_inner);
        replies
            .get(&key(call))
            .map(|replies| replies.targets.clone())
            .unwrap_or_default()
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        async move {
            match self.next(call).await {
                Some(Reply::Value(value)) => value,
                Some(Reply::Outcome(_)) | None => Value::Unknown(Arc::new(not_recorded(call))),
            }
        }
        .boxed()
    }

    fn change<'a>(&'a self, call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        async move {
            match self.next(call).await {
                Some(Reply::Outcome(outcome)) => outcome,
                // Nobody sent this then, so nobody knows what would have come of it.
                Some(Reply::Value(_)) | None => Outcome::Unclear(not_recorded(call)),
            }
        }
        .boxed()
    }

    fn exceptions(&self) -> Vec<String> {
        self.exceptions.clone()
    }

    fn lock<'a>(
        &'a self,
        target: &'a str,
        _holder: &'a super::lock::Holder,
        _take_over: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Box<dyn super::lock::Held>>, super::lock::NotTaken>> {
        self.recording
            .locks
            .take(self.name, target, self.until.as_ref())
            .boxed()
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        async move {
            vec![Health {
                subject: self.name.to_owned(),
                state: HealthState::Limited,
                detail: format!("a recording with {} replies left", self.recording.left()),
            }]
        }
        .boxed()
    }
}
