//! The one writer of a process. It gives entries their numbers and hashes, and makes everything that waits into one durable
//! step: whoever appends while a step is under way shares the next one. Nothing is acknowledged before the step is durable.

use super::entry::{Digests, Entry};
use super::event::{Event, Part};
use super::lease::{Lease, RENEWAL, Runner};
use super::machine::Machine;
use super::note::Note;
use super::run_id::run_id;
use super::storage::{Change, LeaseChange, NewRow, Place, RunChange, Writer, signed};
use super::tree::{self, Frontier};
use super::{Error, ledger, words};
use crate::secrets::json_bytes;
use jiff::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Requests that one step takes at most.
const STEP_REQUESTS: usize = 256;

/// Payload bytes after which a step takes no more requests.
const STEP_BYTES: usize = 8 * 1024 * 1024;

/// Requests that may wait; who comes later waits for a place.
pub(super) const QUEUE: usize = 1024;

/// How long entries that nobody waits for yet wait for others, to share their step.
const GATHERING: Duration = Duration::from_millis(20);

/// Wall time that differs by more than this from the time since the machine's start was set, not drifted.
const STEP_NANOSECONDS: i128 = 1_000_000_000;

/// Drift that is no step: a clock that is being corrected slowly, in parts of the time that passed.
const DRIFT: i128 = 1_000;

/// What a store shares with its runs and its writer.
pub(super) struct Shared {
    /// For people.
    pub place: String,
    pub machine: Arc<dyn Machine>,
    /// The first failure of a write. After it nothing is written through this handle: what a failed sync left behind is unknown.
    pub failed: OnceLock<Error>,
}

impl Shared {
    /// The earlier failure of a write through this handle, if there was one.
    pub fn check(&self) -> Result<(), Error> {
        match self.failed.get() {
            None => Ok(()),
            Some(error) => Err(Error {
                message: format!("The journal failed before and is not written again. {}", error.message),
            }),
        }
    }

    /// Makes a failure final.
    pub fn fail(&self, error: Error) -> Error {
        self.failed.get_or_init(|| error.clone());
        error
    }
}

/// An event as it waits to be recorded.
pub(super) struct Pending {
    /// Entries of the run whose payloads go with this step.
    erases: Vec<u64>,
    part: Part,
    kind: &'static str,
    actor: String,
    body: Vec<u8>,
}

impl Pending {
    /// The event as bytes.
    pub fn new(event: &Event) -> Result<Self, String> {
        let erases = match event {
            Event::PayloadsErased { entries, .. } => entries.clone(),
            _ => Vec::new(),
        };
        Ok(Self {
            erases,
            part: event.part(),
            kind: event.kind(),
            actor: event.actor().to_owned(),
            body: json_bytes(event).map_err(|error| error.to_string())?,
        })
    }

    /// Size of the payload.
    pub fn bytes(&self) -> usize {
        self.body.len()
    }
}

/// What a run is about, so that a second one for the same can be told from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The same text for the same thing.
    pub subject: String,
    /// It only begins when no other run about the same is under way.
    pub alone: bool,
}

/// Which lease is wanted.
pub(super) struct Wanted {
    pub holder: String,
    /// The run and the epoch it has; `None` begins a new run.
    pub run: Option<(String, u64)>,
    /// What a new run is about.
    pub about: Option<About>,
    /// Recorded in the same step, under the new epoch.
    pub events: Vec<Pending>,
    pub digests: Digests,
    /// Wall time minus time since the machine's start at the run's last entry, where that was the same start.
    pub offset: Option<i128>,
    /// Gone when the run's handle is; the lease is renewed only until then.
    pub alive: Weak<()>,
}

/// A lease that was given, or the epoch that stands in the way.
pub(super) enum Given {
    Yes {
        run: String,
        epoch: u64,
    },
    OtherEpoch,
    /// This run is about the same, and under way.
    UnderWay(String),
}

/// What the writer is asked to do.
pub(super) enum Request {
    Append {
        run: String,
        epoch: u64,
        scope: String,
        digests: Digests,
        events: Vec<Pending>,
        /// Nobody waits for it yet.
        soon: bool,
        reply: oneshot::Sender<Result<u64, Error>>,
    },
    Lease {
        wanted: Wanted,
        reply: oneshot::Sender<Result<Given, Error>>,
    },
    /// Keeps a checkpoint.
    Keep {
        frontier: Frontier,
        note: Box<Note>,
        reply: oneshot::Sender<Result<(), Error>>,
    },
    /// Leaves nothing of what was erased.
    Scrub {
        reply: oneshot::Sender<Result<bool, Error>>,
    },
    /// The holder gives the lease back.
    Release {
        run: String,
        epoch: u64,
        reply: oneshot::Sender<Result<(), Error>>,
    },
}

impl Request {
    fn bytes(&self) -> usize {
        let events = match self {
            Request::Append { events, .. } => events,
            Request::Lease { wanted, .. } => &wanted.events,
            Request::Release { .. } | Request::Keep { .. } | Request::Scrub { .. } => return 0,
        };
        events.iter().map(Pending::bytes).sum()
    }
}

/// An answer that is given once the step is durable.
enum Answer {
    Appended(oneshot::Sender<Result<u64, Error>>, Result<u64, Error>),
    Leased(oneshot::Sender<Result<Given, Error>>, Result<Given, Error>),
    Done(oneshot::Sender<Result<(), Error>>, Result<(), Error>),
}

impl Answer {
    /// A receiver that is gone does not want the answer any more.
    fn give(self, failed: Option<&Error>) {
        match (self, failed) {
            (Answer::Appended(reply, answer), None) => drop(reply.send(answer)),
            (Answer::Leased(reply, answer), None) => drop(reply.send(answer)),
            (Answer::Done(reply, answer), None) => drop(reply.send(answer)),
            (Answer::Appended(reply, _), Some(error)) => drop(reply.send(Err(error.clone()))),
            (Answer::Leased(reply, _), Some(error)) => drop(reply.send(Err(error.clone()))),
            (Answer::Done(reply, _), Some(error)) => drop(reply.send(Err(error.clone()))),
        }
    }
}

/// A run of this process.
struct Held {
    epoch: u64,
    /// Wall time minus time since the machine's start, and that time, at the last entry.
    clock: Option<(i128, u64)>,
    alive: Weak<()>,
}

/// The sequencing writer.
pub(super) struct Sequencer {
    shared: Arc<Shared>,
    writer: Box<dyn Writer>,
    requests: mpsc::Receiver<Request>,
    held: BTreeMap<String, Held>,
    boot: String,
    runner: Runner,
}

/// The step that is being put together.
struct Step {
    standing: Place,
    change: Change,
    changed: BTreeMap<String, RunChange>,
}

impl Sequencer {
    pub fn new(shared: Arc<Shared>, writer: Box<dyn Writer>, requests: mpsc::Receiver<Request>) -> Self {
        let (boot, runner) = (shared.machine.boot_id(), shared.machine.runner());
        Self {
            shared,
            writer,
            requests,
            held: BTreeMap::new(),
            boot,
            runner,
        }
    }

    /// Works until nobody is left who could ask, then closes the store.
    pub async fn work(mut self) -> Result<(), Error> {
        let mut renewal = tokio::time::interval(RENEWAL);
        renewal.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        renewal.reset();
        loop {
            let request = tokio::select! {
                biased;
                request = self.requests.recv() => request,
                _ = renewal.tick(), if !self.held.is_empty() => {
                    self.renew().await;
                    continue;
                }
            };
            let Some(first) = request else { break };
            let gathered = self.gather(first).await;
            let (batch, scrub) = self.batch(gathered);
            if !batch.is_empty() {
                self.step(batch).await;
            }
            for reply in scrub {
                let done = match self.shared.check() {
                    Ok(()) => self.writer.scrub().await.map_err(|error| self.shared.fail(error)),
                    Err(error) => Err(error),
                };
                drop(reply.send(done));
            }
        }
        if self.shared.failed.get().is_some() {
            // Closing in good order would write once more.
            return Ok(());
        }
        self.writer.close().await
    }

    /// This request and, while nobody waits for what there is, those that come shortly behind it.
    async fn gather(&mut self, first: Request) -> VecDeque<Request> {
        let until = Instant::now() + GATHERING;
        let mut gathered = VecDeque::from([first]);
        let mut bytes = 0;
        while let Some(Request::Append { soon: true, .. }) = gathered.back()
            && gathered.len() < STEP_REQUESTS
            && bytes < STEP_BYTES
        {
            match tokio::time::timeout_at(until, self.requests.recv()).await {
                Ok(Some(request)) => {
                    bytes += request.bytes();
                    gathered.push_back(request);
                }
                Ok(None) | Err(_) => break,
            }
        }
        gathered
    }

    /// These requests and those that wait behind them; apart what is done between two steps.
    fn batch(&mut self, mut gathered: VecDeque<Request>) -> (Vec<Request>, Vec<oneshot::Sender<Result<bool, Error>>>) {
        let (mut batch, mut scrub) = (Vec::new(), Vec::new());
        let (mut bytes, mut next) = (0, gathered.pop_front());
        while let Some(request) = next {
            bytes += request.bytes();
            match request {
                Request::Scrub { reply } => scrub.push(reply),
                request => batch.push(request),
            }
            next = gathered.pop_front();
            if next.is_none() && batch.len() < STEP_REQUESTS && bytes < STEP_BYTES {
                next = self.requests.try_recv().ok();
            }
        }
        (batch, scrub)
    }

    async fn step(&mut self, batch: Vec<Request>) {
        if let Err(error) = self.shared.check() {
            for request in batch {
                refuse(request, &error);
            }
            return;
        }
        let candidates = match self.candidates(&batch) {
            Ok(candidates) => candidates,
            Err(error) => {
                for request in batch {
                    refuse(request, &error);
                }
                return;
            }
        };
        let mut runs: Vec<String> = batch.iter().filter_map(existing).collect();
        runs.extend(candidates.iter().flatten().cloned());
        runs.sort();
        runs.dedup();
        let standing = match self.writer.begin(&runs).await {
            Ok(standing) => standing,
            Err(error) => {
                let error = self.shared.fail(error);
                for request in batch {
                    refuse(request, &error);
                }
                return;
            }
        };
        let mut step = Step {
            standing,
            change: Change::default(),
            changed: BTreeMap::new(),
        };
        let mut answers = Vec::with_capacity(batch.len());
        for (request, names) in batch.into_iter().zip(candidates) {
            answers.extend(self.answer(request, &names, &mut step).await);
        }
        let failed = match self.finish(step).await {
            Ok(()) => None,
            Err(error) => Some(self.shared.fail(error)),
        };
        for answer in answers {
            answer.give(failed.as_ref());
        }
    }

    /// For every request that begins a run the ids it may get.
    fn candidates(&self, batch: &[Request]) -> Result<Vec<Vec<String>>, Error> {
        let begins = |request: &Request| matches!(request, Request::Lease { wanted, .. } if wanted.run.is_none());
        let now = Timestamp::from_nanosecond(i128::from(self.shared.machine.wall())).unwrap_or(Timestamp::UNIX_EPOCH);
        batch
            .iter()
            .map(|request| {
                let count = if begins(request) { 8 } else { 0 };
                (0..count)
                    .map(|_| {
                        let mut random = [0; 4];
                        self.shared.machine.fill(&mut random)?;
                        Ok(run_id(now, random))
                    })
                    .collect()
            })
            .collect()
    }

    async fn answer(&mut self, request: Request, names: &[String], step: &mut Step) -> Option<Answer> {
        match request {
            Request::Append {
                run,
                epoch,
                scope,
                digests,
                events,
                soon: _,
                reply,
            } => {
                let answer = self
                    .may(step, &run, epoch)
                    .and_then(|()| self.append(step, &run, epoch, &scope, &digests, events));
                Some(Answer::Appended(reply, answer))
            }
            Request::Lease { wanted, reply } => {
                let answer = match self.under_way(step, wanted.about.as_ref()).await {
                    Ok(None) => self.lease(step, wanted, names),
                    Ok(Some(run)) => Ok(Given::UnderWay(run)),
                    Err(error) => Err(error),
                };
                Some(Answer::Leased(reply, answer))
            }
            Request::Release { run, epoch, reply } => {
                self.held.remove(&run);
                step.change.released.push((run, epoch));
                Some(Answer::Done(reply, Ok(())))
            }
            Request::Keep { frontier, note, reply } => {
                let there = step
                    .change
                    .checkpoints
                    .iter()
                    .find(|row| row.size == signed(frontier.size()));
                let there = match there {
                    Some(row) => Ok(Some(row.note.clone())),
                    None => self.writer.checkpoint(frontier.size()).await,
                };
                let answer = there.map(|there| {
                    let row = ledger::row(&frontier, &note, there.as_deref());
                    step.change.checkpoints.retain(|other| other.size != row.size);
                    step.change.checkpoints.push(row);
                });
                Some(Answer::Done(reply, answer))
            }
            Request::Scrub { .. } => None,
        }
    }

    /// The run that keeps one about the same from beginning. The log is this writer's until the step ends: of two that want to
    /// begin in the same instant, the second sees the first.
    async fn under_way(&mut self, step: &Step, about: Option<&About>) -> Result<Option<String>, Error> {
        let Some(About { subject, alone: true }) = about else {
            return Ok(None);
        };
        if let Some((run, _)) = step.change.subjects.iter().find(|(_, known)| known == subject) {
            return Ok(Some(run.clone()));
        }
        let leases = self.writer.about(subject).await?.into_iter();
        let mut leases = leases.map(|row| Lease::judge(row, &*self.shared.machine));
        Ok(leases.find(|lease| !lease.is_free()).map(|lease| lease.run))
    }

    /// Refuses a writer whose run has another holder by now.
    fn may(&self, step: &Step, run: &str, epoch: u64) -> Result<(), Error> {
        let refuse = |why: String| {
            Err(words::message(
                &self.shared.place,
                "record an entry",
                &why,
                "This process changes nothing more; look at `starr show` for what the other one does.",
            ))
        };
        match step.standing.runs.get(run) {
            Some(standing) if standing.epoch == epoch => Ok(()),
            Some(standing) => refuse(format!(
                "run {run} was taken over by another process (it has epoch {}, this one {epoch})",
                standing.epoch
            )),
            None => refuse(format!("run {run} is not there any more")),
        }
    }

    fn append(
        &mut self,
        step: &mut Step,
        run: &str,
        epoch: u64,
        scope: &str,
        digests: &Digests,
        events: Vec<Pending>,
    ) -> Result<u64, Error> {
        let mut all = Vec::with_capacity(events.len() + 1);
        all.extend(self.clock_step(run)?.map(|pending| ("", pending)));
        all.extend(events.into_iter().map(|pending| (scope, pending)));
        // Everything that can fail comes first: a refused request leaves nothing in the step.
        let salts = all
            .iter()
            .map(|_| {
                let mut salt = [0; 32];
                self.shared.machine.fill(&mut salt).map(|()| salt)
            })
            .collect::<Result<Vec<[u8; 32]>, Error>>()?;
        for ((scope, pending), salt) in all.into_iter().zip(salts) {
            self.push(step, run, epoch, scope, digests, pending, salt);
        }
        Ok(step.standing.frontier.size().saturating_sub(1))
    }

    #[allow(clippy::too_many_arguments, reason = "what stands in every entry")]
    fn push(
        &self,
        step: &mut Step,
        run: &str,
        epoch: u64,
        scope: &str,
        digests: &Digests,
        pending: Pending,
        salt: [u8; 32],
    ) {
        let machine = &self.shared.machine;
        let Some(place) = step.standing.runs.get_mut(run) else {
            return;
        };
        let sequence = step.standing.frontier.size();
        let entry = Entry {
            origin: self.writer.origin(),
            sequence,
            run: run.to_owned(),
            run_sequence: place.entries,
            part: pending.part,
            kind: pending.kind.to_owned(),
            scope: scope.to_owned(),
            actor: pending.actor,
            digests: digests.clone(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            wall_nanoseconds: machine.wall(),
            boot: self.boot.clone(),
            boot_nanoseconds: machine.since_boot(),
            epoch,
            payload: tree::hash(&[&salt, &pending.body]),
            previous: step.standing.previous,
        };
        let bytes = entry.encode();
        let leaf = tree::leaf(&bytes);
        place.entries += 1;
        step.standing.frontier.push(leaf);
        step.standing.previous = leaf;
        let changed = step.changed.entry(run.to_owned()).or_insert_with(|| RunChange {
            id: run.to_owned(),
            entries: 0,
            started: None,
            severity: None,
            ended: None,
        });
        changed.entries = place.entries;
        // Where the newest event of a kind stands that the list of runs shows; a called runbook's are its own.
        if scope.is_empty() {
            match pending.kind {
                "run_started" => changed.started = Some(sequence),
                "severity" => changed.severity = Some(sequence),
                "ended" => changed.ended = Some(sequence),
                _ => {}
            }
        }
        if !pending.erases.is_empty() {
            step.change.erased.push((run.to_owned(), pending.erases));
        }
        step.change.rows.push(NewRow {
            entry,
            bytes,
            leaf,
            salt,
            body: pending.body,
        });
    }

    /// An entry that says that the wall clock was set since the run's last entry, if it was.
    fn clock_step(&mut self, run: &str) -> Result<Option<Pending>, Error> {
        let machine = &self.shared.machine;
        let (wall, since_boot) = (machine.wall(), machine.since_boot());
        let offset = i128::from(wall) - i128::from(since_boot);
        let Some(held) = self.held.get_mut(run) else {
            return Ok(None);
        };
        let Some((before, at)) = held.clock.replace((offset, since_boot)) else {
            return Ok(None);
        };
        let tolerated = STEP_NANOSECONDS + i128::from(since_boot.saturating_sub(at)) / DRIFT;
        let step = offset - before;
        if step.abs() <= tolerated {
            return Ok(None);
        }
        let event = Event::ClockStep {
            seconds: (step as f64 / 1e9 * 1000.0).round() / 1000.0,
        };
        Pending::new(&event).map(Some).map_err(|why| {
            words::message(
                &self.shared.place,
                "record a step of the clock",
                &why,
                "This is a mistake in starr; please report it.",
            )
        })
    }

    fn lease(&mut self, step: &mut Step, wanted: Wanted, names: &[String]) -> Result<Given, Error> {
        let (run, epoch) = match wanted.run {
            Some((run, epoch)) => {
                let current = step.standing.runs.get(&run).map(|standing| standing.epoch);
                if current != Some(epoch) {
                    return Ok(Given::OtherEpoch);
                }
                (run, epoch + 1)
            }
            None => {
                let free = names.iter().find(|name| !step.standing.runs.contains_key(*name));
                let Some(free) = free else {
                    return Err(words::message(
                        &self.shared.place,
                        "begin a run",
                        "all the ids that were drawn are taken already",
                        "Too many runs start in this minute; wait for the next.",
                    ));
                };
                step.change.begun.push(free.clone());
                step.change
                    .subjects
                    .extend(wanted.about.map(|about| (free.clone(), about.subject)));
                (free.clone(), 1)
            }
        };
        let machine = &self.shared.machine;
        let since_boot = machine.since_boot();
        let offset = match (&wanted.offset, epoch) {
            (Some(offset), _) => Some((*offset, since_boot)),
            (None, 1) => Some((i128::from(machine.wall()) - i128::from(since_boot), since_boot)),
            (None, _) => None,
        };
        step.change.leases.push(LeaseChange {
            run: run.clone(),
            epoch,
            holder: wanted.holder,
            runner: self.runner.clone(),
            since: machine.wall(),
        });
        let entries = step.standing.runs.get(&run).map_or(0, |standing| standing.entries);
        step.standing
            .runs
            .insert(run.clone(), super::storage::RunStanding { entries, epoch });
        self.held.insert(
            run.clone(),
            Held {
                epoch,
                clock: offset,
                alive: wanted.alive,
            },
        );
        if !wanted.events.is_empty() {
            self.append(step, &run, epoch, "", &wanted.digests, wanted.events)?;
        }
        Ok(Given::Yes { run, epoch })
    }

    async fn finish(&mut self, step: Step) -> Result<(), Error> {
        let Step {
            standing,
            mut change,
            changed,
        } = step;
        change.runs = changed.into_values().collect();
        if !change.rows.is_empty() {
            change.head = Some((standing.frontier, standing.previous));
        }
        let nothing = change.rows.is_empty()
            && change.begun.is_empty()
            && change.leases.is_empty()
            && change.checkpoints.is_empty()
            && change.renewed.is_empty()
            && change.released.is_empty();
        if nothing {
            self.writer.rollback().await
        } else {
            self.writer.commit(change).await
        }
    }

    /// Says that the runs of this process still run. A failure is as final as any other.
    async fn renew(&mut self) {
        if self.shared.failed.get().is_some() {
            return;
        }
        self.held.retain(|_, held| held.alive.strong_count() > 0);
        if self.held.is_empty() {
            return;
        }
        let renewed: Vec<(String, u64)> = self.held.iter().map(|(run, held)| (run.clone(), held.epoch)).collect();
        let done = match self.writer.begin(&[]).await {
            Ok(_) => {
                self.writer
                    .commit(Change {
                        renewed,
                        ..Change::default()
                    })
                    .await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            self.shared.fail(error);
        }
    }
}

/// The run that a request is about.
fn existing(request: &Request) -> Option<String> {
    match request {
        Request::Append { run, .. } | Request::Release { run, .. } => Some(run.clone()),
        Request::Lease { wanted, .. } => wanted.run.as_ref().map(|(run, _)| run.clone()),
        Request::Keep { .. } | Request::Scrub { .. } => None,
    }
}

fn refuse(request: Request, error: &Error) {
    match request {
        Request::Append { reply, .. } => drop(reply.send(Err(error.clone()))),
        Request::Lease { reply, .. } => drop(reply.send(Err(error.clone()))),
        Request::Release { reply, .. } | Request::Keep { reply, .. } => drop(reply.send(Err(error.clone()))),
        Request::Scrub { reply } => drop(reply.send(Err(error.clone()))),
    }
}

#[cfg(test)]
mod tests;
