//! A world that tests make up: providers with given answers, people with given replies, a virtual clock, a journal in memory.

use super::outside::{Dependency, Locks, Wall};
use super::stage::Stage;
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use starr::engine::clock::Virtual;
use starr::engine::world::{
    Answered, ApprovalRequest, Ask, Clock, Decision, Environment, HeldLock, InDoubt, ManualOrder, Observe, Observed,
    OnHeld, OnUnclear, OnUnknown, People, Reply, Screen, Ticked, UnclearChoice, UnknownChoice,
};
use starr::journal::event::{Fate, Person};
use starr::journal::{Error, Event, Journal, Memory};
use starr::provider::gate::{Grant, Mode};
use starr::provider::lock::{Held, Holder, NotTaken};
use starr::provider::{Call, Effect, Health, Outcome, Permit, Provider};
use starr::value::{Reason, Unknown, Value};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;

/// What was sent and when, in order: `fix a`, `set 5`, `page oncall`.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub at: Duration,
    pub what: String,
}

type Answer = Box<dyn Fn(&Past<'_>) -> Value + Send + Sync>;
type Effect1 = Box<dyn Fn(&Past<'_>) -> Outcome + Send + Sync>;

/// What a scripted answer may look at.
pub struct Past<'a> {
    /// Since the beginning of the run.
    pub now: Duration,
    /// Changes that were done, such as `fix a`.
    pub done: &'a [String],
    /// How often this was asked before.
    pub asked: usize,
}

impl Past<'_> {
    pub fn did(&self, what: &str) -> bool {
        self.done.iter().any(|done| done == what)
    }

    pub fn minutes(&self) -> u64 {
        self.now.as_secs() / 60
    }
}

#[derive(Default)]
pub struct Script {
    pub answers: BTreeMap<String, Answer>,
    pub effects: BTreeMap<String, Effect1>,
    /// How long a call takes, in seconds.
    pub delays: BTreeMap<String, u64>,
    /// Reads of this word are not answered before so many wait for an answer at once.
    pub held: Option<(String, usize)>,
}

/// How many calls are under way at once.
#[derive(Default)]
pub struct Crowded {
    now: AtomicUsize,
    pub most: AtomicUsize,
    /// As many as were waited for have come.
    enough: Notify,
}

impl Crowded {
    /// One more is under way. Waits until there were so many at once.
    async fn enter(&self, enough: usize) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        while self.most.load(Ordering::SeqCst) < enough {
            self.enough.notified().await;
        }
        self.enough.notify_waiters();
    }

    fn leave(&self) {
        self.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The state that all fake providers of a world share.
pub struct Backend {
    pub clock: Arc<Virtual>,
    pub script: Script,
    pub reads: Mutex<Vec<Seen>>,
    pub sent: Mutex<Vec<Seen>>,
    pub locks: Locks,
    pub crowded: Crowded,
    done: Mutex<Vec<String>>,
}

impl Backend {
    /// P6: nothing is changed while something that a change needs cannot be used. An undo is the lock's business as little as a
    /// message is.
    fn nothing_is_missing(&self, key: &str) {
        let needed = &self.locks.needed;
        let change = ["fix ", "grow ", "set ", "end ", "use ", "make "]
            .iter()
            .any(|word| key.starts_with(word));
        let locked = change && !key.contains(" un-") && self.locks.lasts.is_some();
        assert!(!needed.without(Dependency::Policy), "`{key}` is sent without a policy");
        assert!(
            !change || !needed.without(Dependency::Anchor),
            "`{key}` is sent without an anchor"
        );
        assert!(
            !locked || !needed.without(Dependency::Lock),
            "`{key}` is sent without its lock"
        );
    }

    /// Changes that were done.
    pub fn done(&self) -> Vec<String> {
        self.done.lock().unwrap().clone()
    }

    /// `flag a`, `things`, `set 5`: the last part of the operation and its first argument, if it is a text or number.
    fn key(call: &Call) -> String {
        let name = call.operation.path.rsplit('.').next().unwrap_or_default().to_owned();
        let first = call.args.first().map(|(_, value)| match value {
            Value::Text(text) => format!(" {text}"),
            Value::Int(number) => format!(" {number}"),
            Value::List(list) => format!(
                " {}",
                list.items
                    .iter()
                    .map(|item| match item {
                        Value::Record(record) => match record.get("id") {
                            Some(Value::Int(id)) => id.to_string(),
                            _ => "?".to_owned(),
                        },
                        _ => "?".to_owned(),
                    })
                    .collect::<Vec<_>>()
                    .join("+")
            ),
            _ => String::new(),
        });
        format!("{name}{}", first.unwrap_or_default())
    }

    fn word(key: &str) -> &str {
        key.split(' ').next().unwrap_or(key)
    }

    async fn take_time(&self, key: &str) {
        let delay = self.script.delays.get(key).or(self.script.delays.get(Self::word(key)));
        if let Some(seconds) = delay {
            self.clock.sleep(Duration::from_secs(*seconds)).await;
        }
    }

    async fn read(&self, call: &Call) -> Value {
        let key = Self::key(call);
        let asked = {
            let mut reads = self.reads.lock().unwrap();
            let asked = reads.iter().filter(|seen| seen.what == key).count();
            reads.push(Seen {
                at: self.clock.elapsed(),
                what: key.clone(),
            });
            asked
        };
        let held = self.script.held.as_ref().filter(|(word, _)| word == Self::word(&key));
        if let Some((_, enough)) = held {
            self.crowded.enter(*enough).await;
        }
        self.take_time(&key).await;
        if held.is_some() {
            self.crowded.leave();
        }
        let done = self.done.lock().unwrap().clone();
        let past = Past {
            now: self.clock.elapsed(),
            done: &done,
            asked,
        };
        match self
            .script
            .answers
            .get(&key)
            .or(self.script.answers.get(Self::word(&key)))
        {
            Some(answer) => answer(&past),
            None => Value::unknown(Reason::Unavailable, format!("the test gives no answer for `{key}`")),
        }
    }

    async fn change(&self, call: &Call) -> Outcome {
        let key = Self::key(call);
        self.nothing_is_missing(&key);
        self.sent.lock().unwrap().push(Seen {
            at: self.clock.elapsed(),
            what: key.clone(),
        });
        self.take_time(&key).await;
        let done = self.done.lock().unwrap().clone();
        let past = Past {
            now: self.clock.elapsed(),
            done: &done,
            asked: 0,
        };
        let outcome = match self
            .script
            .effects
            .get(&key)
            .or(self.script.effects.get(Self::word(&key)))
        {
            Some(effect) => effect(&past),
            None => Outcome::Done(Value::Int(1)),
        };
        if matches!(outcome, Outcome::Done(_)) {
            self.done.lock().unwrap().push(key);
        }
        outcome
    }
}

pub(super) struct Fake {
    pub name: &'static str,
    pub operations: &'static [&'static str],
    pub backend: Arc<Backend>,
}

impl Provider for Fake {
    fn name(&self) -> &'static str {
        self.name
    }

    fn operations(&self) -> &'static [&'static str] {
        self.operations
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        call.args
            .first()
            .and_then(|(_, value)| value.as_str())
            .map(|text| vec![text.to_owned()])
            .unwrap_or_default()
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        self.backend.read(call).boxed()
    }

    fn change<'a>(&'a self, call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        self.backend.change(call).boxed()
    }

    fn lock<'a>(
        &'a self,
        target: &'a str,
        holder: &'a Holder,
        take_over: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Box<dyn Held>>, NotTaken>> {
        let taken = self.backend.locks.take(&self.backend.clock, target, holder, take_over);
        std::future::ready(taken).boxed()
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        async { Vec::new() }.boxed()
    }
}

type Fates = Box<dyn Fn(&InDoubt) -> Option<Fate> + Send + Sync>;

/// One scripted reply and how many seconds it takes.
type Replies<T> = Mutex<BTreeMap<String, Vec<(u64, T)>>>;

/// People who reply as scripted, each reply once and the last again and again; without one they never answer.
pub struct Crowd {
    pub clock: Arc<Virtual>,
    pub asked: Mutex<Vec<Seen>>,
    pub requests: Mutex<Vec<ApprovalRequest>>,
    pub choices: Mutex<Vec<UnknownChoice>>,
    pub observations: Replies<Option<bool>>,
    pub answers: Replies<String>,
    /// By action, or by action and role: `wipe as dba`.
    pub decisions: Replies<(String, Decision)>,
    pub ticks: Replies<bool>,
    pub unknowns: Replies<OnUnknown>,
    pub unclears: Replies<OnUnclear>,
    pub heavies: Replies<bool>,
    pub reflections: Replies<String>,
    /// What is said where somebody else holds the lock of a target.
    pub helds: Replies<OnHeld>,
    /// What came of a change that is in doubt, as a person finds out.
    pub fates: Mutex<Option<Fates>>,
}

pub(super) fn person(name: &str) -> Person {
    Person {
        name: name.to_owned(),
        by: "test".to_owned(),
    }
}

impl Crowd {
    fn new(clock: Arc<Virtual>) -> Self {
        Self {
            clock,
            asked: Mutex::default(),
            requests: Mutex::default(),
            choices: Mutex::default(),
            observations: Mutex::default(),
            answers: Mutex::default(),
            decisions: Mutex::new(BTreeMap::from([(
                "*".to_owned(),
                vec![(0, ("otto".to_owned(), Decision::Approve))],
            )])),
            ticks: Mutex::default(),
            unknowns: Mutex::default(),
            unclears: Mutex::default(),
            heavies: Mutex::default(),
            reflections: Mutex::default(),
            helds: Mutex::default(),
            fates: Mutex::default(),
        }
    }

    fn note(&self, what: String) {
        self.asked.lock().unwrap().push(Seen {
            at: self.clock.elapsed(),
            what,
        });
    }

    async fn reply<T: Clone>(&self, replies: &Replies<T>, keys: &[&str]) -> T {
        let found = {
            let mut replies = replies.lock().unwrap();
            keys.iter().find_map(|key| {
                let queue = replies.get_mut(*key)?;
                if queue.len() > 1 {
                    Some(queue.remove(0))
                } else {
                    queue.first().cloned()
                }
            })
        };
        match found {
            Some((seconds, reply)) => {
                self.clock.sleep(Duration::from_secs(seconds)).await;
                reply
            }
            None => std::future::pending().await,
        }
    }
}

impl People for Crowd {
    fn observe<'a>(&'a self, question: &'a Observe) -> BoxFuture<'a, Reply<Observed>> {
        async move {
            self.note(format!("observe {}", question.name));
            let yes = self.reply(&self.observations, &[&question.name]).await;
            let note = String::new();
            Reply::Given(Observed { yes, note }, person("ann"))
        }
        .boxed()
    }

    fn ask<'a>(&'a self, question: &'a Ask) -> BoxFuture<'a, Reply<Answered>> {
        async move {
            self.note(format!("ask {} {:?}", question.name, question.choices));
            let text = self.reply(&self.answers, &[&question.name]).await;
            let choice = question.choices.iter().position(|choice| *choice == text);
            Reply::Given(Answered { text, choice }, person("ann"))
        }
        .boxed()
    }

    fn approve<'a>(&'a self, request: &'a ApprovalRequest) -> BoxFuture<'a, Reply<Decision>> {
        async move {
            self.note(format!("approve {} as {}", request.action, request.role));
            self.requests.lock().unwrap().push(request.clone());
            let exact = format!("{} as {}", request.action, request.role);
            let (name, decision) = self.reply(&self.decisions, &[&exact, &request.action, "*"]).await;
            Reply::Given(decision, person(&name))
        }
        .boxed()
    }

    fn manual<'a>(&'a self, order: &'a ManualOrder) -> BoxFuture<'a, Reply<Ticked>> {
        async move {
            self.note(format!("manual {}", order.name));
            let done = self.reply(&self.ticks, &[&order.name]).await;
            let note = String::new();
            Reply::Given(Ticked { done, note }, person("ann"))
        }
        .boxed()
    }

    fn unknown<'a>(&'a self, choice: &'a UnknownChoice) -> BoxFuture<'a, Reply<OnUnknown>> {
        async move {
            self.note(format!("unknown {}", choice.cause));
            self.choices.lock().unwrap().push(choice.clone());
            let reply = self.reply(&self.unknowns, &[&choice.cause]).await;
            Reply::Given(reply, person("ann"))
        }
        .boxed()
    }

    fn unclear<'a>(&'a self, choice: &'a UnclearChoice) -> BoxFuture<'a, Reply<OnUnclear>> {
        async move {
            self.note(format!("unclear {}", choice.action));
            let reply = self.reply(&self.unclears, &[&choice.action]).await;
            Reply::Given(reply, person("ann"))
        }
        .boxed()
    }

    fn heavy<'a>(&'a self, operation: &'a str) -> BoxFuture<'a, Reply<bool>> {
        async move {
            self.note(format!("heavy {operation}"));
            let reply = self.reply(&self.heavies, &[operation]).await;
            Reply::Given(reply, person("ann"))
        }
        .boxed()
    }

    fn reflect<'a>(&'a self, question: &'a str) -> BoxFuture<'a, Reply<Option<String>>> {
        async move {
            self.note(format!("reflect {question}"));
            let reply = self.reply(&self.reflections, &[question]).await;
            Reply::Given(Some(reply), person("ann"))
        }
        .boxed()
    }

    fn held<'a>(&'a self, held: &'a HeldLock) -> BoxFuture<'a, Reply<OnHeld>> {
        async move {
            self.note(format!("held {}", held.target));
            let reply = self.reply(&self.helds, &[&held.target, "*"]).await;
            Reply::Given(reply, person("ann"))
        }
        .boxed()
    }

    fn in_doubt<'a>(&'a self, doubt: &'a InDoubt) -> BoxFuture<'a, Reply<Option<Fate>>> {
        self.note(format!("in doubt {}", doubt.id));
        let fate = self.fates.lock().unwrap().as_ref().map(|fates| fates(doubt));
        std::future::ready(match fate {
            Some(fate) => Reply::Given(fate, person("ann")),
            None => Reply::Nobody("nobody knows".to_owned()),
        })
        .boxed()
    }
}

pub(super) struct Blind;

impl Screen for Blind {
    fn event(&self, _scope: &str, _event: &Event) {}
    fn waiting(&self, _what: &str, _until: Option<Duration>) {}
    fn done_waiting(&self) {}
}

/// A journal that fails at the k-th step, and ever after. A step is an append, or the question before a change is sent.
pub struct Failing {
    pub inner: Memory,
    pub at: Mutex<Option<usize>>,
    pub steps: Mutex<usize>,
}

impl Failing {
    fn step(&self) -> Result<(), Error> {
        let mut steps = self.steps.lock().unwrap();
        *steps += 1;
        match *self.at.lock().unwrap() {
            Some(at) if *steps >= at => Err(Error {
                message: "the disk is full".to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

impl Journal for Failing {
    fn run_id(&self) -> &str {
        self.inner.run_id()
    }

    fn append<'a>(&'a self, scope: &'a str, event: &'a Event) -> BoxFuture<'a, Result<u64, Error>> {
        async move {
            self.step()?;
            self.inner.append(scope, event).await
        }
        .boxed()
    }

    fn append_all<'a>(&'a self, scope: &'a str, events: &'a [Event]) -> BoxFuture<'a, Result<u64, Error>> {
        async move {
            self.step()?;
            self.inner.append_all(scope, events).await
        }
        .boxed()
    }

    fn confirm(&self) -> BoxFuture<'_, Result<(), Error>> {
        std::future::ready(self.step()).boxed()
    }
}

/// A world before its run.
pub struct Setup {
    pub clock: Arc<Virtual>,
    pub script: Script,
    pub crowd: Crowd,
    pub mode: Mode,
    pub unattended: bool,
    pub fail_at: Option<usize>,
    /// Ctrl-C after so many seconds.
    pub interrupt_after: Option<u64>,
    pub grants: Vec<Grant>,
    pub arguments: Vec<(String, Value)>,
    pub consent: starr::engine::world::Consent,
    pub policy: Option<Arc<dyn starr::provider::policy::Policy>>,
    /// How long locks in the targets last; without it there are none.
    pub locks_last: Option<u64>,
}

/// What came of a run.
pub struct Ran {
    pub ended: Result<starr::engine::Ended, Error>,
    pub events: Vec<(String, Event)>,
    pub backend: Arc<Backend>,
    pub crowd: Arc<Crowd>,
    pub took: Duration,
}

impl Setup {
    pub fn new() -> Self {
        let clock = Arc::new(Virtual::new(Timestamp::UNIX_EPOCH));
        Self {
            script: Script::default(),
            crowd: Crowd::new(clock.clone()),
            clock,
            mode: Mode::Live,
            unattended: false,
            fail_at: None,
            interrupt_after: None,
            grants: vec![everything("demo"), everything("chat"), everything("pager")],
            arguments: Vec::new(),
            consent: Default::default(),
            policy: None,
            locks_last: None,
        }
    }

    /// The answer of a read, such as `flag a`.
    pub fn given(mut self, key: &str, answer: impl Fn(&Past<'_>) -> Value + Send + Sync + 'static) -> Self {
        self.script.answers.insert(key.to_owned(), Box::new(answer));
        self
    }

    /// A flag that is always the same.
    pub fn flag(self, name: &str, value: bool) -> Self {
        self.given(&format!("flag {name}"), move |_| Value::Bool(value))
    }

    /// A flag that is set until `fix NAME` was done.
    pub fn until_fixed(self, name: &'static str) -> Self {
        self.given(&format!("flag {name}"), move |past| {
            Value::Bool(!past.did(&format!("fix {name}")))
        })
    }

    /// A flag that nobody can tell.
    pub fn silent(self, name: &str) -> Self {
        self.given(&format!("flag {name}"), |_| Value::unknown(Reason::Timeout, ""))
    }

    /// What comes of a change, such as `fix a`.
    pub fn effect(mut self, key: &str, effect: impl Fn(&Past<'_>) -> Outcome + Send + Sync + 'static) -> Self {
        self.script.effects.insert(key.to_owned(), Box::new(effect));
        self
    }

    pub fn fails(self, key: &str) -> Self {
        self.effect(key, |_| Outcome::Failed(unknown(Reason::Denied)))
    }

    pub fn unclear(self, key: &str) -> Self {
        self.effect(key, |_| Outcome::Unclear(unknown(Reason::Timeout)))
    }

    pub fn takes(mut self, key: &str, seconds: u64) -> Self {
        self.script.delays.insert(key.to_owned(), seconds);
        self
    }

    /// Reads of this word are not answered before so many wait for an answer at once.
    pub fn held_until(mut self, word: &str, enough: usize) -> Self {
        self.script.held = Some((word.to_owned(), enough));
        self
    }

    pub fn observes(self, name: &str, replies: &[(u64, Option<bool>)]) -> Self {
        self.crowd
            .observations
            .lock()
            .unwrap()
            .insert(name.to_owned(), replies.to_vec());
        self
    }

    pub fn says(self, name: &str, text: &str) -> Self {
        let reply = vec![(1, text.to_owned())];
        self.crowd.answers.lock().unwrap().insert(name.to_owned(), reply);
        self
    }

    /// `key` is an action, or `ACTION as ROLE`.
    pub fn approves(self, key: &str, who: &str, seconds: u64) -> Self {
        self.decides(key, who, seconds, Decision::Approve)
    }

    pub fn refuses(self, key: &str, who: &str) -> Self {
        let because = "not now".to_owned();
        self.decides(key, who, 1, Decision::Refuse { because })
    }

    /// Nobody approves anything that is not said otherwise.
    pub fn silence(self) -> Self {
        self.crowd.decisions.lock().unwrap().remove("*");
        self
    }

    fn decides(self, key: &str, who: &str, seconds: u64, decision: Decision) -> Self {
        let reply = vec![(seconds, (who.to_owned(), decision))];
        self.crowd.decisions.lock().unwrap().insert(key.to_owned(), reply);
        self
    }

    pub fn ticks(self, name: &str, seconds: u64, done: bool) -> Self {
        self.crowd
            .ticks
            .lock()
            .unwrap()
            .insert(name.to_owned(), vec![(seconds, done)]);
        self
    }

    pub fn on_unknown(self, cause: &str, replies: Vec<OnUnknown>) -> Self {
        let replies = replies.into_iter().map(|reply| (1, reply)).collect();
        self.crowd.unknowns.lock().unwrap().insert(cause.to_owned(), replies);
        self
    }

    pub fn on_unclear(self, action: &str, reply: OnUnclear) -> Self {
        self.crowd
            .unclears
            .lock()
            .unwrap()
            .insert(action.to_owned(), vec![(1, reply)]);
        self
    }

    pub fn unattended(mut self) -> Self {
        self.unattended = true;
        self
    }

    pub fn dry(mut self) -> Self {
        self.mode = Mode::DryRun;
        self
    }

    /// Runs a runbook text to its end.
    pub async fn run(self, text: &str) -> Ran {
        let program = super::program(text);
        self.run_program(program).await
    }

    /// Runs a checked program to its end.
    pub async fn run_program(self, program: Arc<starr::program::Program>) -> Ran {
        let stage = self.stage();
        let ended = stage.begin(&program).await;
        let ran = stage.ran(ended);
        ran.check_invariants();
        ran
    }

    /// The world as it stands before its run.
    pub fn stage(self) -> Stage {
        let backend = Arc::new(Backend {
            clock: self.clock.clone(),
            script: self.script,
            reads: Mutex::default(),
            sent: Mutex::default(),
            crowded: Crowded::default(),
            locks: Locks {
                lasts: self.locks_last.map(Duration::from_secs),
                ..Locks::default()
            },
            done: Mutex::default(),
        });
        let wall = Wall::new(self.clock.clone());
        let stamp = wall.clone();
        let journal = Arc::new(Failing {
            inner: Memory::with_time("test-run", move || stamp.now()),
            at: Mutex::new(self.fail_at),
            steps: Mutex::default(),
        });
        Stage {
            clock: self.clock,
            wall,
            operator: "olga".to_owned(),
            backend,
            crowd: Arc::new(self.crowd),
            journal,
            mode: self.mode,
            unattended: self.unattended,
            interrupt_after: self.interrupt_after,
            grants: self.grants,
            arguments: self.arguments,
            consent: self.consent,
            policy: self.policy,
        }
    }
}

fn unknown(reason: Reason) -> Unknown {
    Unknown {
        reason,
        detail: "scripted".to_owned(),
    }
}

fn everything(capability: &str) -> Grant {
    Grant {
        capability: capability.to_owned(),
        effects: vec![Effect::Read, Effect::Probe, Effect::Change, Effect::Tell],
        targets: None,
    }
}

pub(super) fn environment(unattended: bool, dry_run: bool) -> Environment {
    Environment {
        name: "test".to_owned(),
        operator: person("olga"),
        severities: ["sev1", "sev2", "sev3"].map(str::to_owned).to_vec(),
        default_severity: "sev3".to_owned(),
        unattended,
        dry_run,
        occasion: None,
        host: "testhost".to_owned(),
        resources: BTreeMap::new(),
    }
}
