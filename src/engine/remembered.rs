//! People of a run that goes on: what they said before counts, and they are not asked again.

use super::replay::{Replay, reason_of};
use super::world::{
    Answered, ApprovalRequest, Ask, Decision, ManualOrder, Observe, Observed, OnUnclear, OnUnknown, People, Reply,
    Ticked, UnclearChoice, UnknownChoice,
};
use crate::journal::event::{Event, Person};
use crate::value::Answer;
use futures::future::BoxFuture;
use std::sync::Arc;

/// People who answer from the record first, and then by themselves.
pub(super) struct Remembered {
    pub replay: Arc<Replay>,
    pub behind: Arc<dyn People>,
}

/// The recorded reply, nobody's when something else is recorded, or `None` where the record ends.
fn reply<T>(remembered: &Remembered, of: impl FnOnce(Event) -> Option<Reply<T>>) -> Option<Reply<T>> {
    let (_, event) = remembered.replay.peek()?;
    Some(of(event).unwrap_or_else(|| Reply::Nobody("nobody answered".to_owned())))
}

fn given<T>(value: T, by: Person) -> Option<Reply<T>> {
    Some(Reply::Given(value, by))
}

fn ready<'a, T: Send + 'a>(
    known: Option<Reply<T>>,
    ask: impl FnOnce() -> BoxFuture<'a, Reply<T>>,
) -> BoxFuture<'a, Reply<T>> {
    match known {
        Some(reply) => Box::pin(std::future::ready(reply)),
        None => ask(),
    }
}

impl People for Remembered {
    fn behind(&self) -> &dyn People {
        &*self.behind
    }

    fn observe<'a>(&'a self, question: &'a Observe) -> BoxFuture<'a, Reply<Observed>> {
        let known = reply(self, |event| match event {
            Event::Answered {
                name,
                answer,
                evidence,
                reason,
                by,
                ..
            } if name == question.name => match by {
                Some(by) => {
                    let yes = match answer {
                        Answer::Yes => Some(true),
                        Answer::No => Some(false),
                        Answer::Unknown => None,
                    };
                    let note = evidence.into_iter().next().map(|part| part.actual);
                    let note = note.unwrap_or_default();
                    given(Observed { yes, note }, by)
                }
                None => Some(Reply::Nobody(reason_of(&reason.unwrap_or_default()).detail)),
            },
            _ => None,
        });
        ready(known, || self.behind.observe(question))
    }

    fn ask<'a>(&'a self, question: &'a Ask) -> BoxFuture<'a, Reply<Answered>> {
        let known = reply(self, |event| match event {
            Event::Asked { name, value, by, .. } if name == question.name => {
                let choice = question.choices.iter().position(|choice| *choice == value.text());
                let text = value.data().as_str().map_or(value.text().to_owned(), str::to_owned);
                given(Answered { text, choice }, by)
            }
            _ => None,
        });
        ready(known, || self.behind.ask(question))
    }

    fn approve<'a>(&'a self, request: &'a ApprovalRequest) -> BoxFuture<'a, Reply<Decision>> {
        let known = reply(self, |event| match event {
            Event::Approved { action, by, .. } | Event::NotCounted { action, by, .. } if action == request.action => {
                given(Decision::Approve, by)
            }
            // The second person of an override.
            Event::Overridden { second, .. } => given(Decision::Approve, second),
            Event::NotApproved {
                action, because, by, ..
            } if action == request.action => match by {
                Some(by) => {
                    let said = because.strip_prefix(&format!("{} refused: ", by.name)).unwrap_or("");
                    let because = said.to_owned();
                    given(Decision::Refuse { because }, by)
                }
                None => Some(Reply::Nobody(because)),
            },
            _ => None,
        });
        ready(known, || self.behind.approve(request))
    }

    fn manual<'a>(&'a self, order: &'a ManualOrder) -> BoxFuture<'a, Reply<Ticked>> {
        let ticked = |event| match event {
            Event::Ticked { name, done, by, note } if name == order.name => match by {
                Some(by) => given(Ticked { done, note }, by),
                None => Some(Reply::Nobody(note)),
            },
            _ => None,
        };
        let known = if order.name.starts_with("undo ") {
            self.replay.loose(&format!("ticked {}", order.name)).and_then(ticked)
        } else {
            reply(self, ticked)
        };
        ready(known, || self.behind.manual(order))
    }

    fn unknown<'a>(&'a self, choice: &'a UnknownChoice) -> BoxFuture<'a, Reply<OnUnknown>> {
        let known = reply(self, |event| match event {
            Event::Choice {
                about,
                choice,
                by,
                note,
            } if about.ends_with(" is unknown") => {
                let by_hand = choice.strip_prefix("answer `").and_then(|rest| {
                    let (name, rest) = rest.split_once("` by hand: ")?;
                    Some(OnUnknown::AnswerByHand {
                        name: name.to_owned(),
                        yes: rest == "yes",
                        note,
                    })
                });
                let chosen = match choice.as_str() {
                    "ask again" => Some(OnUnknown::Retry),
                    "cannot tell" => Some(OnUnknown::CannotTell),
                    _ => by_hand,
                };
                chosen.and_then(|chosen| given(chosen, by))
            }
            _ => None,
        });
        ready(known, || self.behind.unknown(choice))
    }

    fn unclear<'a>(&'a self, choice: &'a UnclearChoice) -> BoxFuture<'a, Reply<OnUnclear>> {
        let known = reply(self, |event| match event {
            Event::Choice { about, choice, by, .. } if about.starts_with("the unclear effect of ") => given(
                if choice == "take it back" {
                    OnUnclear::Undo
                } else {
                    OnUnclear::Keep
                },
                by,
            ),
            _ => None,
        });
        ready(known, || self.behind.unclear(choice))
    }

    fn heavy<'a>(&'a self, operation: &'a str) -> BoxFuture<'a, Reply<bool>> {
        let known = reply(self, |event| match event {
            Event::Choice {
                about,
                choice,
                by,
                note,
                ..
            } if about == format!("the heavy read `{operation}`") => {
                // What nobody was asked is recorded as the operator's, with the reason.
                if choice != "allowed" && !note.is_empty() {
                    Some(Reply::Nobody(note))
                } else {
                    given(choice == "allowed", by)
                }
            }
            _ => None,
        });
        ready(known, || self.behind.heavy(operation))
    }

    fn reflect<'a>(&'a self, question: &'a str) -> BoxFuture<'a, Reply<Option<String>>> {
        let known = reply(self, |event| match event {
            Event::Reflection {
                answer, by: Some(by), ..
            } => given(answer, by),
            _ => None,
        });
        ready(known, || self.behind.reflect(question))
    }

    fn not_counted<'a>(&'a self, person: &'a Person, because: &'a str) -> BoxFuture<'a, ()> {
        if self.replay.under_way() {
            return Box::pin(std::future::ready(()));
        }
        self.behind.not_counted(person, because)
    }
}
