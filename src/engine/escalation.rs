//! The escalation clock and the background of a run: what is due is sent, whatever the straight way is waiting for.

use super::Way;
use super::answers::{Fresh, View};
use super::call;
use super::state::Run;
use crate::journal::Event;
use crate::program::{Escalation, EscalationEntry, RESOLVED};
use futures::FutureExt;
use std::time::Duration;

/// How the place of a call of a matrix begins, in an intent; the severity follows.
pub(crate) const PLACE: &str = "escalation ";

/// Which rows run, and what of them was sent.
#[derive(Default)]
pub(super) struct Escalating {
    /// When the severity was first known: all rows count from here.
    since: Option<Duration>,
    rows: Vec<Row>,
    /// The run has ended: nothing more is sent.
    over: bool,
    /// Whether it was said that there is nobody to tell.
    said_missing: bool,
    /// A health summary whose file names no severity and no escalation calls nobody.
    pub silent: bool,
}

struct Row {
    severity: String,
    entries: Vec<Entry>,
}

struct Entry {
    due: Duration,
    sent: bool,
    unless_acknowledged: bool,
    /// It was said that it is held back.
    held: bool,
}

/// How soon an entry that is held back is looked at again: an acknowledgement may be taken back.
const HELD: Duration = Duration::from_secs(10);

/// The next thing the background does.
#[derive(Clone, Copy)]
enum Due {
    Entry { row: usize, entry: usize },
    Timer(usize),
}

impl Run {
    /// The matrix of the file, or else of the environment.
    pub fn escalation(&self) -> Option<&Escalation> {
        self.outermost_book()?.result.escalation.as_ref()
    }

    /// Adds the row of this severity. Its entries count from the first known severity.
    pub fn start_row(&self, severity: &str) {
        let now = self.elapsed();
        let afters: Option<Vec<(Duration, bool)>> = self
            .escalation()
            .and_then(|escalation| escalation.rows.iter().find(|row| row.severity == severity))
            .map(|row| {
                row.entries
                    .iter()
                    .map(|entry| (entry.after, entry.unless_acknowledged))
                    .collect()
            });
        let mut shared = self.shared();
        let escalating = &mut shared.escalating;
        let since = *escalating.since.get_or_insert(now);
        if escalating.silent || escalating.rows.iter().any(|row| row.severity == severity) {
            return;
        }
        if let Some(afters) = afters {
            escalating.rows.push(Row {
                severity: severity.to_owned(),
                entries: afters
                    .into_iter()
                    .map(|(after, unless_acknowledged)| Entry {
                        due: since.saturating_add(after),
                        sent: false,
                        unless_acknowledged,
                        held: false,
                    })
                    .collect(),
            });
        }
        drop(shared);
        self.wake.notify_one();
    }

    /// Says once that nobody will be told, when there is no matrix.
    pub async fn say_without_matrix(&self) -> Way<()> {
        if self.escalation().is_some() {
            return Ok(());
        }
        {
            let mut shared = self.shared();
            if shared.escalating.said_missing || shared.escalating.silent {
                return Ok(());
            }
            shared.escalating.said_missing = true;
        }
        let event = Event::Step {
            what: "escalation".to_owned(),
            detail: "there is no escalation matrix in the file and none in the environment: nobody is told".to_owned(),
        };
        self.record("", event).await
    }

    /// `escalate`: the rest of the row of the present severity, at once.
    pub async fn escalate(&self, scope: &str, because: &str) -> Way<()> {
        self.shared().escalating.silent = false;
        if self.shared().severity.is_none() {
            let default = self.world.environment.default_severity.clone();
            self.raise(&default, "no severity was determined: the environment's default")
                .await?;
        }
        let severity = self.shared().severity.clone();
        let event = Event::Escalated {
            severity: severity.clone(),
            because: because.to_owned(),
        };
        self.record(scope, event).await?;
        self.say_without_matrix().await?;
        let Some(severity) = severity else { return Ok(()) };
        self.start_row(&severity);
        if !self.send_rest(&severity).await? && self.escalation().is_some() {
            let event = Event::Step {
                what: "escalation".to_owned(),
                detail: format!("the matrix has no row for {severity}: nobody is told"),
            };
            self.record("", event).await?;
        }
        Ok(())
    }

    fn row_of(&self, severity: &str) -> Option<usize> {
        self.shared()
            .escalating
            .rows
            .iter()
            .position(|row| row.severity == severity)
    }

    /// Takes the next entry of a row that was not sent, so that nobody else sends it.
    fn take_next(&self, row: usize) -> Option<usize> {
        let mut shared = self.shared();
        let entries = &mut shared.escalating.rows.get_mut(row)?.entries;
        let index = entries.iter().position(|entry| !entry.sent)?;
        entries[index].sent = true;
        Some(index)
    }

    async fn send_entry(&self, row: usize, entry: usize) -> Way<()> {
        let severity = match self.shared().escalating.rows.get(row) {
            Some(row) => row.severity.clone(),
            None => return Ok(()),
        };
        let Some(EscalationEntry { call, .. }) = self
            .escalation()
            .and_then(|escalation| escalation.rows.iter().find(|row| row.severity == severity))
            .and_then(|row| row.entries.get(entry))
        else {
            return Ok(());
        };
        let prepared = self.prepare_escalation(call);
        let place = format!("{PLACE}{severity}");
        // The same whoever comes to it first: `escalate` or the clock.
        let id = format!("{}/page/{severity}/{entry}", self.world.journal.run_id());
        let ok = self.tell("", &place, id, call, prepared).await?;
        if !ok {
            // Nobody was reached: the next one is called now.
            let now = self.elapsed();
            let mut shared = self.shared();
            if let Some(row) = shared.escalating.rows.get_mut(row)
                && let Some(next) = row.entries.iter_mut().find(|entry| !entry.sent)
            {
                next.due = next.due.min(now);
            }
        }
        Ok(())
    }

    /// The matrix sees the outermost runbook's names.
    fn prepare_escalation(
        &self,
        call: &crate::program::CallExpr,
    ) -> Result<crate::provider::Call, crate::value::Unknown> {
        let slots = self.shared().slots.clone();
        match self.outermost_book() {
            Some(book) => call::prepare_one(call, &View::new(self, book, &slots, Fresh::default())),
            None => Err(crate::value::Unknown {
                reason: crate::value::Reason::Internal,
                detail: "no runbook".to_owned(),
            }),
        }
    }

    /// Stops the clock. What was due by now is still sent: `now` means now, however soon the run ended.
    pub async fn stop_escalating(&self) -> Way<()> {
        // What the background is sending comes first.
        drop(self.sending.lock().await);
        while let Some((row, entry)) = self.due_now() {
            self.due_entry(row, entry).await?;
        }
        self.shared().escalating.over = true;
        self.wake.notify_one();
        Ok(())
    }

    /// The run ended well: whoever was told before is told so, by the row that the matrix has for it.
    pub async fn tell_resolved(&self) -> Way<()> {
        let told = {
            let shared = self.shared();
            let mut entries = shared.escalating.rows.iter().flat_map(|row| &row.entries);
            entries.any(|entry| entry.sent)
        };
        if !told {
            return Ok(());
        }
        self.start_row(RESOLVED);
        self.send_rest(RESOLVED).await?;
        Ok(())
    }

    /// Sends what is left of a row; false when there is no such row.
    async fn send_rest(&self, severity: &str) -> Way<bool> {
        let Some(row) = self.row_of(severity) else {
            return Ok(false);
        };
        while let Some(entry) = self.take_next(row) {
            self.send_entry(row, entry).await?;
        }
        Ok(true)
    }

    /// The first entry that is due.
    fn due_now(&self) -> Option<(usize, usize)> {
        let now = self.elapsed();
        let shared = self.shared();
        if shared.escalating.over {
            return None;
        }
        let mut rows = shared.escalating.rows.iter().enumerate();
        rows.find_map(|(index, row)| {
            let due = row.entries.iter().position(|entry| !entry.sent && entry.due <= now)?;
            Some((index, due))
        })
    }

    /// Sends an entry whose time has come, or holds it back while somebody has acknowledged the incident.
    async fn due_entry(&self, row: usize, entry: usize) -> Way<()> {
        let conditional = self.on_entry(row, entry, |entry| entry.unless_acknowledged);
        if conditional == Some(true)
            && let Some(said) = self.world.people.acknowledged().await
        {
            let later = self.elapsed().saturating_add(HELD);
            let already = self.on_entry(row, entry, |entry| {
                entry.due = later;
                std::mem::replace(&mut entry.held, true) || entry.sent
            });
            if already != Some(false) {
                return Ok(());
            }
            let severity = self.shared().escalating.rows[row].severity.clone();
            let event = Event::Step {
                what: "escalation".to_owned(),
                detail: format!("entry {} of {severity} is held back: {said}", entry + 1),
            };
            return self.record("", event).await;
        }
        // Taken, so that nobody else sends it.
        let sent = self.on_entry(row, entry, |entry| std::mem::replace(&mut entry.sent, true));
        if sent != Some(false) {
            return Ok(());
        }
        self.send_entry(row, entry).await
    }

    fn on_entry<T>(&self, row: usize, entry: usize, look: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let mut shared = self.shared();
        shared.escalating.rows.get_mut(row)?.entries.get_mut(entry).map(look)
    }

    /// Entries that were not sent, for the record of an interruption.
    pub fn pending_entries(&self) -> usize {
        self.shared()
            .escalating
            .rows
            .iter()
            .flat_map(|row| &row.entries)
            .filter(|entry| !entry.sent)
            .count()
    }

    /// Sends what is due until the run has ended.
    pub async fn background(&self) {
        let mut stopped = self.stopped.subscribe();
        {
            // What the record has of it is found when its time comes; until the run is live nothing is due.
            let stop = stopped.wait_for(|set| *set).boxed();
            futures::future::select(stop, self.replay.ended().boxed()).await;
        }
        loop {
            if *stopped.borrow() {
                return;
            }
            let now = self.elapsed();
            let next = self.next_due();
            if let Some((due, what)) = next
                && due <= now
            {
                let sending = self.sending.lock().await;
                let done = self.do_due(what).await;
                drop(sending);
                // A journal that cannot be written ends the run by itself; here it only ends the sending.
                if done.is_err() {
                    let _ = stopped.wait_for(|set| *set).await;
                    return;
                }
                continue;
            }
            let stop = async {
                let _ = stopped.wait_for(|set| *set).await;
            };
            let woken = self.wake.notified();
            let time = async {
                match next {
                    Some((due, _)) => self.world.clock.sleep(due.saturating_sub(now)).await,
                    None => std::future::pending().await,
                }
            };
            let either = futures::future::select(woken.boxed(), time.boxed());
            futures::future::select(stop.boxed(), either).await;
        }
    }

    fn next_due(&self) -> Option<(Duration, Due)> {
        let mut shared = self.shared();
        let over = shared.escalating.over;
        let entry = shared
            .escalating
            .rows
            .iter()
            .enumerate()
            .filter(|_| !over)
            .flat_map(|(row, known)| {
                known
                    .entries
                    .iter()
                    .enumerate()
                    .filter(|(_, entry)| !entry.sent)
                    .map(move |(index, entry)| (entry.due, Due::Entry { row, entry: index }))
            })
            .min_by_key(|(due, _)| *due);
        let timer = shared
            .timers
            .iter_mut()
            .enumerate()
            .filter(|(_, timer)| !timer.taken)
            .map(|(index, timer)| (timer.due, Due::Timer(index)))
            .min_by_key(|(due, _)| *due);
        match (entry, timer) {
            (Some(entry), Some(timer)) if timer.0 < entry.0 => Some(timer),
            (Some(entry), _) => Some(entry),
            (None, timer) => timer,
        }
    }

    async fn do_due(&self, what: Due) -> Way<()> {
        match what {
            Due::Entry { row, entry } => self.due_entry(row, entry).await,
            Due::Timer(index) => self.timer_due(index).await,
        }
    }
}
