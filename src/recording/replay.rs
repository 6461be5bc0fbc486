//! The same run again: a world made of a recording alone.

use super::witness::calls;
use super::{Facts, Happened, Recording, Said, Spoken};
use crate::check;
use crate::engine::world::{
    Answered, ApprovalRequest, Ask, Clock, Consent, Decision, Environment, HeldLock, ManualOrder, Observe, Observed,
    OnHeld, OnUnclear, OnUnknown, People, Randomness, Reply, Screen, Ticked, UnclearChoice, UnknownChoice, World,
};
use crate::engine::{self, Ended, clock, random};
use crate::journal::{Error, Event, Journal, Memory, Recorded};
use crate::program::{Program, RunbookId};
use crate::provider::gate::{Gate, Mode};
use crate::provider::record::Until;
use crate::value::tagged;
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

/// What came of running again.
#[derive(Debug)]
pub struct Replayed {
    pub entries: Vec<Recorded>,
    pub ended: Ended,
    /// Calls that the recording does not hold, in their order.
    pub missed: Vec<String>,
    /// What people were asked and the recording does not hold.
    pub unheard: Vec<String>,
    /// Operations whose recorded replies nobody asked for, with how many.
    pub unasked: Vec<(String, usize)>,
}

/// The operations of every provider of this build, as its interface text has them. Made once.
static OPERATIONS: LazyLock<BTreeMap<&'static str, &'static [&'static str]>> = LazyLock::new(|| {
    crate::providers::NAMES
        .iter()
        .map(|name| {
            let paths: Vec<&'static str> = check::interface(name)
                .unwrap_or_default()
                .iter()
                .map(|operation| &*operation.path.to_string().leak())
                .collect();
            (*name, &*paths.leak())
        })
        .collect()
});

/// Runs the first runbook of a program on what was recorded. Nothing outside is touched; hours pass in no time.
///
/// # Errors
/// Says what of the recording cannot be used.
pub async fn replay(recording: &Recording, program: Arc<Program>) -> Result<Replayed, String> {
    let about = &recording.about;
    let clock = Arc::new(clock::Virtual::new(about.started));
    let mode = if about.environment.dry_run {
        Mode::DryRun
    } else {
        Mode::Live
    };
    let grants = about
        .grants
        .iter()
        .map(super::Granted::grant)
        .collect::<Result<_, _>>()?;
    let mut gate = Gate::new(grants, mode);
    let until = until(&clock);
    for (name, operations) in OPERATIONS
        .iter()
        .filter(|(name, _)| about.providers.iter().any(|known| known == *name))
    {
        let again = recording.calls.replay_timed(name, operations, until.clone());
        let exceptions = about.exceptions.get(*name).cloned().unwrap_or_default();
        gate.register(Arc::new(again.with_exceptions(exceptions)));
    }
    let now = clock.clone();
    let journal = Arc::new(Memory::with_time(&about.run, move || now.now()));
    let people = Arc::new(Again::new(recording, until.clone()));
    let (stop, interrupt) = tokio::sync::watch::channel(false);
    let world = World {
        gate: Arc::new(gate),
        people: people.clone(),
        journal: Arc::new(Paced::new(recording, journal.clone(), until.clone(), clock.clone())),
        clock: clock.clone(),
        randomness: Arc::new(Redrawn {
            bytes: Mutex::new(recording.random.iter().copied().collect()),
            rest: random::Fixed::new(0),
        }),
        screen: Arc::new(Quiet),
        environment: environment(&about.environment)?,
        consent: Consent {
            identities: about.identities.clone(),
            roles: about.roles.clone(),
            emergency: about.emergency.clone(),
            ..Consent::default()
        },
        interrupt,
    };
    // Another runbook may have other parameters: those it does not have are left out, those it has more keep their defaults.
    let known = |name: &str| {
        program
            .runbooks
            .first()
            .is_some_and(|book| book.params.iter().any(|id| book.binding(*id).name == name))
    };
    let arguments = recording
        .arguments()?
        .into_iter()
        .filter(|(name, _)| known(name))
        .collect();
    let run = engine::run(program.clone(), RunbookId(0), arguments, world);
    let interrupting = async {
        if let Some(at) = recording.interrupted {
            until(at).await;
            stop.send_replace(true);
        }
        futures::future::pending::<()>().await;
    };
    let both = async {
        match futures::future::select(Box::pin(run), Box::pin(interrupting)).await {
            futures::future::Either::Left((ended, _)) => Some(ended),
            futures::future::Either::Right(_) => None,
        }
    };
    let ended = clock
        .drive(both)
        .await
        .ok_or("the replay has no end (a mistake in starr)")?
        .map_err(|problem| problem.message)?;
    let unheard = people.unheard.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Replayed {
        entries: journal.entries(),
        ended,
        missed: recording.calls.missed(),
        unheard,
        unasked: recording.calls.unasked(),
    })
}

/// Waits on the virtual clock until a time since the recording began.
fn until(clock: &Arc<clock::Virtual>) -> Until {
    let clock = clock.clone();
    Arc::new(move |at: Duration| {
        let clock = clock.clone();
        Box::pin(async move {
            let left = at.saturating_sub(clock.elapsed());
            if !left.is_zero() {
                clock.sleep(left).await;
            }
        })
    })
}

fn environment(facts: &Facts) -> Result<Environment, String> {
    let mut resources = BTreeMap::new();
    for (kind, name, fields) in &facts.resources {
        let fields = fields
            .iter()
            .map(|(field, value)| Ok((field.clone(), tagged::from_json(value)?)))
            .collect::<Result<_, String>>()?;
        resources.insert((kind.clone(), name.clone()), fields);
    }
    Ok(Environment {
        name: facts.name.clone(),
        operator: facts.operator.clone(),
        severities: facts.severities.clone(),
        default_severity: facts.default_severity.clone(),
        unattended: facts.unattended,
        dry_run: facts.dry_run,
        occasion: facts.occasion.clone(),
        host: facts.host.clone(),
        resources,
    })
}

/// Recorded random bytes in their order, then a fixed sequence.
struct Redrawn {
    bytes: Mutex<VecDeque<u8>>,
    rest: random::Fixed,
}

impl Randomness for Redrawn {
    fn fill(&self, bytes: &mut [u8]) {
        let mut recorded = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        for place in bytes {
            match recorded.pop_front() {
                Some(byte) => *place = byte,
                None => self.rest.fill(std::slice::from_mut(place)),
            }
        }
    }
}

/// Shows nothing.
struct Quiet;

impl Screen for Quiet {
    fn event(&self, _: &str, _: &Event) {}
    fn waiting(&self, _: &str, _: Option<Duration>) {}
    fn done_waiting(&self) {}
}

/// Longest time that writing one entry took in earnest. What came later than that waited for something else.
const WRITING: Duration = Duration::from_secs(5);

/// A journal that takes as long to write as the recorded one: what the background does then falls between the same entries.
struct Paced {
    inner: Arc<Memory>,
    /// What is still to come, in its order.
    left: Mutex<Vec<Happened>>,
    until: Until,
    clock: Arc<clock::Virtual>,
}

impl Paced {
    fn new(recording: &Recording, inner: Arc<Memory>, until: Until, clock: Arc<clock::Virtual>) -> Self {
        Self {
            inner,
            left: Mutex::new(recording.events.clone()),
            until,
            clock,
        }
    }

    async fn wait(&self, scope: &str, events: &[Event]) {
        let Some(last) = events.last() else { return };
        let at = {
            let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
            // What is written down of a value may differ from the value itself: then its kind tells which one it is.
            let found = left
                .iter()
                .position(|one| one.scope == scope && one.event == *last)
                .or_else(|| {
                    left.iter()
                        .position(|one| one.scope == scope && one.event.kind() == last.kind())
                });
            found.map(|at| Duration::from_nanos(left.remove(at).at))
        };
        if let Some(at) = at.filter(|at| at.saturating_sub(self.clock.elapsed()) <= WRITING) {
            (self.until)(at).await;
        }
    }
}

impl Journal for Paced {
    fn run_id(&self) -> &str {
        self.inner.run_id()
    }

    fn append<'a>(&'a self, scope: &'a str, event: &'a Event) -> BoxFuture<'a, Result<u64, Error>> {
        self.append_all(scope, std::slice::from_ref(event))
    }

    fn append_all<'a>(&'a self, scope: &'a str, events: &'a [Event]) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(async move {
            self.wait(scope, events).await;
            self.inner.append_all(scope, events).await
        })
    }

    fn confirm(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.inner.confirm()
    }
}

/// The people of a recording: each reply once, in its order and at its time.
struct Again {
    said: Mutex<BTreeMap<(String, String), VecDeque<Said>>>,
    unheard: Mutex<Vec<String>>,
    until: Until,
}

impl Again {
    fn new(recording: &Recording, until: Until) -> Self {
        let mut said: BTreeMap<(String, String), VecDeque<Said>> = BTreeMap::new();
        for one in &recording.people {
            said.entry((one.kind.clone(), one.name.clone()))
                .or_default()
                .push_back(one.clone());
        }
        Self {
            said: Mutex::new(said),
            unheard: Mutex::default(),
            until,
        }
    }

    async fn again<T: DeserializeOwned>(&self, kind: &str, name: &str, about: Json) -> Reply<T> {
        let next = {
            let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            said.get_mut(&(kind.to_owned(), name.to_owned()))
                .and_then(VecDeque::pop_front)
        };
        let missing = |reason: &str| {
            self.unheard
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(format!("{kind} {name}: {reason}"));
            Reply::Nobody(reason.to_owned())
        };
        let Some(said) = next else {
            return missing("nobody was asked this then");
        };
        // An approval is for exactly what was shown, then as now.
        if said.about != about {
            return missing("what was decided then was about something else");
        }
        if said.reply == Spoken::Silence {
            return futures::future::pending().await;
        }
        (self.until)(Duration::from_nanos(said.to)).await;
        match said.reply {
            Spoken::Given { value, by } => match serde_json::from_value(value) {
                Ok(value) => Reply::Given(value, by),
                Err(problem) => missing(&format!("the recorded reply cannot be read: {problem}")),
            },
            Spoken::Nobody(reason) => Reply::Nobody(reason),
            Spoken::Silence => futures::future::pending().await,
        }
    }
}

impl People for Again {
    fn observe<'a>(&'a self, question: &'a Observe) -> BoxFuture<'a, Reply<Observed>> {
        Box::pin(self.again("observe", &question.name, Json::Null))
    }

    // Whoever was asked then is asked now: of an unattended run that is what had been answered before it.
    fn answers_unattended(&self, question: &Observe) -> bool {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.get(&("observe".to_owned(), question.name.clone()))
            .is_some_and(|said| !said.is_empty())
    }

    fn ask<'a>(&'a self, question: &'a Ask) -> BoxFuture<'a, Reply<Answered>> {
        Box::pin(self.again("ask", &question.name, Json::Null))
    }

    fn approve<'a>(&'a self, request: &'a ApprovalRequest) -> BoxFuture<'a, Reply<Decision>> {
        Box::pin(self.again("approve", &request.action, calls(request)))
    }

    fn manual<'a>(&'a self, order: &'a ManualOrder) -> BoxFuture<'a, Reply<Ticked>> {
        Box::pin(self.again("manual", &order.name, Json::Null))
    }

    fn unknown<'a>(&'a self, choice: &'a UnknownChoice) -> BoxFuture<'a, Reply<OnUnknown>> {
        Box::pin(self.again("unknown", &choice.cause, Json::Null))
    }

    fn unclear<'a>(&'a self, choice: &'a UnclearChoice) -> BoxFuture<'a, Reply<OnUnclear>> {
        Box::pin(self.again("unclear", &choice.action, Json::Null))
    }

    fn heavy<'a>(&'a self, operation: &'a str) -> BoxFuture<'a, Reply<bool>> {
        Box::pin(self.again("heavy", operation, Json::Null))
    }

    fn reflect<'a>(&'a self, question: &'a str) -> BoxFuture<'a, Reply<Option<String>>> {
        Box::pin(self.again("reflect", question, Json::Null))
    }

    fn held<'a>(&'a self, held: &'a HeldLock) -> BoxFuture<'a, Reply<OnHeld>> {
        Box::pin(self.again("held", &held.target, Json::Null))
    }
}
