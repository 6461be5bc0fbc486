//! Taking changes back: on an outcome, on order, at the end of the run, or by a timer.

use super::answers::View;
use super::call;
use super::consent::Consented;
use super::send::Sending;
use super::state::Run;
use super::world::{ManualOrder, Reply};
use super::{Frame, Leave, Way, limits};
use crate::eval;
use crate::journal::Event;
use crate::journal::event::Purpose;
use crate::program::{Action, ActionId, UndoKind, UndoWhen};
use crate::provider::{Call, Outcome};
use crate::value::show::show_std;
use crate::value::{Unknown, Value};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How the reason begins when a change could not be taken back.
pub(super) const NOT_TAKEN_BACK: &str = "could not be taken back";

/// An order that was sent: done, or of unknown fate.
#[derive(Debug)]
pub(super) struct SentOrder {
    pub order: usize,
    /// The id of its intent; of a manual order its name.
    pub intent: String,
}

/// An action whose changes were sent, and how they can be taken back.
#[derive(Clone, Debug)]
pub(super) struct Applied {
    pub action: ActionId,
    pub shared: Arc<AppliedShared>,
}

#[derive(Debug)]
pub(super) struct AppliedShared {
    pub name: String,
    pub scope: String,
    pub sent: Vec<SentOrder>,
    pub undos: Vec<PreparedUndo>,
    /// The approval covers the undo.
    pub consent: Consented,
}

/// An undo with the values of the moment at which its orders were sent: what it puts back must not change afterwards.
#[derive(Debug)]
pub(super) struct PreparedUndo {
    covers: Range<usize>,
    form: UndoForm,
    moment: Moment,
    /// It is being run, or was; nobody runs it twice.
    taken: AtomicBool,
}

#[derive(Debug)]
enum UndoForm {
    /// With the order each of them takes back; `None`: all of the covered ones.
    Calls(Vec<(Option<usize>, Result<Call, Unknown>)>),
    Words(String),
    None(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    OnOutcome,
    AtEnd,
    After(Duration),
}

/// An undo that is due at a time.
pub(super) struct Timer {
    pub due: Duration,
    pub taken: bool,
    applied: Arc<AppliedShared>,
    undo: usize,
}

impl Timer {
    fn open(&self) -> bool {
        !self.taken && !self.applied.undos[self.undo].taken.load(Ordering::SeqCst)
    }
}

impl PreparedUndo {
    fn new(action: &Action, index: usize, view: &View<'_>) -> Self {
        let undo = &action.undos[index];
        let form = match &undo.kind {
            UndoKind::None { because } => UndoForm::None(eval::fill(because, view)),
            UndoKind::Words(words) => UndoForm::Words(eval::fill(words, view)),
            UndoKind::Call(call) => UndoForm::Calls(vec![(None, call::prepare_one(call, view))]),
            UndoKind::Restore(calls) => UndoForm::Calls(
                calls
                    .iter()
                    .enumerate()
                    .map(|(index, call)| {
                        // One per covered order, last first.
                        let order = undo.covers.end.checked_sub(index + 1);
                        (order, call::prepare_one(call, view))
                    })
                    .collect(),
            ),
        };
        let moment = match &undo.when {
            UndoWhen::OnOutcome => Moment::OnOutcome,
            UndoWhen::AtEnd => Moment::AtEnd,
            UndoWhen::After(after) => match eval::evaluate(after, view) {
                Value::Duration(span) => Moment::After(Duration::from_nanos(u64::try_from(span).unwrap_or(0))),
                // A time that cannot be computed: at the end is the latest that the file can mean.
                _ => Moment::AtEnd,
            },
        };
        Self {
            covers: undo.covers.clone(),
            form,
            moment,
            taken: AtomicBool::new(false),
        }
    }

    fn possible(&self) -> bool {
        !matches!(self.form, UndoForm::None(_)) && !self.taken.load(Ordering::SeqCst)
    }
}

impl AppliedShared {
    pub fn new(
        action: &Action,
        scope: &str,
        sent: Vec<SentOrder>,
        consent: Consented,
        view: &View<'_>,
    ) -> AppliedShared {
        AppliedShared {
            name: action.name.clone(),
            scope: scope.to_owned(),
            sent,
            undos: (0..action.undos.len())
                .map(|index| PreparedUndo::new(action, index, view))
                .collect(),
            consent,
        }
    }

    fn covered(&self, undo: &PreparedUndo) -> impl Iterator<Item = &SentOrder> {
        let covers = undo.covers.clone();
        self.sent.iter().filter(move |sent| covers.contains(&sent.order))
    }

    /// Whether anything of it can still be taken back.
    pub fn undo_possible(&self) -> bool {
        self.undos
            .iter()
            .any(|undo| undo.possible() && self.covered(undo).next().is_some())
    }
}

impl Run {
    /// Runs one undo, for what was sent of its orders. `Err` says why the change could not be taken back.
    async fn take_back_one(&self, applied: &AppliedShared, index: usize) -> Way<Result<(), String>> {
        let undo = &applied.undos[index];
        if applied.covered(undo).next().is_none() || undo.taken.swap(true, Ordering::SeqCst) {
            return Ok(Ok(()));
        }
        let result = match &undo.form {
            UndoForm::None(_) => return Ok(Ok(())),
            UndoForm::Words(words) => self.undo_by_hand(applied, words).await?,
            UndoForm::Calls(calls) => self.undo_by_calls(applied, index, calls).await?,
        };
        if result.is_ok() {
            let mut shared = self.shared();
            for sent in applied.covered(undo) {
                shared.in_place.retain(|(id, _)| *id != sent.intent);
                shared.in_doubt.retain(|(id, _)| *id != sent.intent);
            }
        }
        let event = Event::Undone {
            action: applied.name.clone(),
            ok: result.is_ok(),
            detail: result.clone().err().unwrap_or_default(),
        };
        self.record(&applied.scope, event).await?;
        Ok(result)
    }

    async fn undo_by_calls(
        &self,
        applied: &AppliedShared,
        undo: usize,
        calls: &[(Option<usize>, Result<Call, Unknown>)],
    ) -> Way<Result<(), String>> {
        let what = format!("taking `{}` back", applied.name);
        for (place, (order, prepared)) in calls.iter().enumerate() {
            if order.is_some_and(|order| applied.sent.iter().all(|sent| sent.order != order)) {
                continue;
            }
            let call = match prepared {
                Ok(call) => call,
                Err(unknown) => return Ok(Err(unknown.to_string())),
            };
            let first = applied.sent.first().map_or("", |sent| sent.intent.as_str());
            let sent = self
                .send_through(&Sending {
                    scope: &applied.scope,
                    action: &applied.name,
                    purpose: Purpose::Undo,
                    // The same whoever comes to it first: the straight way or the timer.
                    id: format!("{first}/undo/{undo}/{place}"),
                    call,
                    before: None,
                    consent: &applied.consent,
                    what: &what,
                })
                .await?;
            match sent.outcome {
                Outcome::Done(_) => {}
                Outcome::Failed(unknown) => return Ok(Err(unknown.to_string())),
                Outcome::Unclear(unknown) => {
                    let line = format!("taking `{}` back: {unknown}", applied.name);
                    self.shared().in_doubt.push((sent.id, line));
                    return Ok(Err(unknown.to_string()));
                }
            }
        }
        Ok(Ok(()))
    }

    async fn undo_by_hand(&self, applied: &AppliedShared, words: &str) -> Way<Result<(), String>> {
        let name = format!("undo {}", applied.name);
        let order = ManualOrder {
            name: name.clone(),
            order: words.to_owned(),
            prose: Vec::new(),
            deadline: limits::PERSON,
        };
        let reply = if self.unattended() {
            Some(Reply::Nobody("this run is unattended".to_owned()))
        } else {
            self.patiently(words, limits::PERSON, self.world.people.manual(&order))
                .await
        };
        let (done, by, note) = match reply {
            Some(Reply::Given(ticked, person)) => (ticked.done, Some(person), ticked.note),
            Some(Reply::Nobody(reason)) => (false, None, reason),
            None => (
                false,
                None,
                format!("nobody ticked it within {}", show_std(limits::PERSON)),
            ),
        };
        let event = Event::Ticked {
            name,
            done,
            by,
            note: note.clone(),
        };
        self.record(&applied.scope, event).await?;
        Ok(if done {
            Ok(())
        } else {
            Err(format!("`{words}` was not done: {note}"))
        })
    }

    /// Runs every undo of an action, last first. The first that fails ends it.
    pub async fn take_back(&self, applied: &AppliedShared) -> Way<Result<(), String>> {
        self.take_back_where(applied, |_| true).await
    }

    async fn take_back_where(&self, applied: &AppliedShared, due: impl Fn(Moment) -> bool) -> Way<Result<(), String>> {
        for index in (0..applied.undos.len()).rev() {
            if due(applied.undos[index].moment)
                && let Err(why) = self.take_back_one(applied, index).await?
            {
                return Ok(Err(why));
            }
        }
        Ok(Ok(()))
    }

    /// Says beside a change in place why it is not taken back.
    pub fn note_permanent(&self, applied: &AppliedShared) {
        let mut shared = self.shared();
        for undo in &applied.undos {
            let UndoForm::None(because) = &undo.form else { continue };
            for sent in applied.covered(undo) {
                for (id, line) in &mut shared.in_place {
                    if *id == sent.intent {
                        line.push_str(": it is not taken back because ");
                        line.push_str(because);
                    }
                }
            }
        }
    }

    /// Starts the timers of an action's undos.
    pub async fn schedule(&self, applied: &Arc<AppliedShared>) -> Way<()> {
        for (index, undo) in applied.undos.iter().enumerate() {
            let Moment::After(after) = undo.moment else { continue };
            if applied.covered(undo).next().is_none() || !undo.possible() {
                continue;
            }
            let event = Event::UndoScheduled {
                action: applied.name.clone(),
                after_seconds: after.as_secs(),
            };
            // The time counts from before the entry: a run that goes on behind it must not begin the time anew.
            let due = self.elapsed().saturating_add(after);
            self.record(&applied.scope, event).await?;
            self.shared().timers.push(Timer {
                due,
                taken: false,
                applied: applied.clone(),
                undo: index,
            });
            self.wake.notify_one();
        }
        Ok(())
    }

    /// A timer's time has come. An undo that fails ends the run.
    pub async fn timer_due(&self, index: usize) -> Way<()> {
        let (applied, undo) = {
            let mut shared = self.shared();
            let Some(timer) = shared.timers.get_mut(index) else {
                return Ok(());
            };
            timer.taken = true;
            (timer.applied.clone(), timer.undo)
        };
        if let Err(why) = self.take_back_one(&applied, undo).await? {
            self.undo_failed(format!("`{}` {NOT_TAKEN_BACK}: {why}", applied.name));
        }
        Ok(())
    }

    /// The next timer that still has something to take back.
    pub fn open_timer(&self) -> Option<(Duration, usize)> {
        self.shared()
            .timers
            .iter()
            .enumerate()
            .filter(|(_, timer)| timer.open())
            .map(|(index, timer)| (timer.due, index))
            .min()
    }

    /// Undos that wait for their time, in words.
    pub fn pending_undos(&self) -> Vec<String> {
        let now = self.elapsed();
        self.shared()
            .timers
            .iter()
            .filter(|timer| timer.open())
            .map(|timer| {
                let rest = timer.due.saturating_sub(now);
                format!("taking `{}` back, due in {}", timer.applied.name, show_std(rest))
            })
            .collect()
    }
}

impl Frame<'_> {
    /// Takes back what an action changed, however often it was done; what was taken back before stays so.
    pub async fn undo_action(&mut self, id: ActionId) -> Way<Result<(), String>> {
        let applied: Vec<Arc<AppliedShared>> = self
            .applied
            .iter()
            .rev()
            .filter(|applied| applied.action == id)
            .map(|applied| applied.shared.clone())
            .collect();
        for applied in applied {
            if let Err(why) = self.run().take_back(&applied).await? {
                return Ok(Err(why));
            }
        }
        self.changed();
        Ok(Ok(()))
    }

    /// Undos `at end`, the last change first.
    pub async fn undo_at_end(&mut self) -> Way<()> {
        let applied: Vec<Arc<AppliedShared>> = self.applied.iter().rev().map(|one| one.shared.clone()).collect();
        for applied in applied {
            let result = self
                .run()
                .take_back_where(&applied, |moment| moment == Moment::AtEnd)
                .await?;
            if let Err(why) = result {
                let because = format!("`{}` {NOT_TAKEN_BACK}: {why}", applied.name);
                return Err(Leave::End(super::Finish::UndoFailed(because)));
            }
        }
        Ok(())
    }

    /// Undos `at end` that were not run, in words.
    pub fn pending_at_end(&self) -> Vec<String> {
        self.applied
            .iter()
            .filter(|applied| {
                applied
                    .shared
                    .undos
                    .iter()
                    .any(|undo| undo.moment == Moment::AtEnd && undo.possible())
            })
            .map(|applied| format!("taking `{}` back, due at the end", applied.shared.name))
            .collect()
    }
}
