//! Writing down what is not a call: people, random bytes, events.

use super::{Happened, Said, Spoken};
use crate::engine::world::{
    Answered, ApprovalRequest, Ask, Decision, HeldLock, ManualOrder, Observe, Observed, OnHeld, OnUnclear, OnUnknown,
    People, Randomness, Reply, Ticked, UnclearChoice, UnknownChoice,
};
use crate::journal::{Error, Event, Journal};
use crate::provider::record::{Tape, nanoseconds};
use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::Value as Json;
use std::sync::Arc;

fn json(value: &impl Serialize) -> Json {
    serde_json::to_value(value).expect("what people say is text, numbers and lists")
}

/// People whose replies are written down.
pub struct Heard {
    pub inner: Arc<dyn People>,
    pub tape: Arc<Tape>,
}

/// A question under way. When nobody waits for the reply any longer, that is what is written down.
struct Waiting<'a> {
    tape: &'a Tape,
    said: Said,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.said.to = nanoseconds(self.tape.elapsed());
        self.tape.note("person", json(&self.said));
    }
}

impl Heard {
    async fn hear<T: Serialize>(&self, kind: &str, name: &str, about: Json, work: BoxFuture<'_, Reply<T>>) -> Reply<T> {
        let mut waiting = Waiting {
            tape: &self.tape,
            said: Said {
                kind: kind.to_owned(),
                name: name.to_owned(),
                about,
                reply: Spoken::Silence,
                from: nanoseconds(self.tape.elapsed()),
                to: 0,
            },
        };
        let reply = work.await;
        waiting.said.reply = match &reply {
            Reply::Given(value, by) => Spoken::Given {
                value: json(value),
                by: by.clone(),
            },
            Reply::Nobody(reason) => Spoken::Nobody(reason.clone()),
        };
        reply
    }
}

/// What an approval is for: every call with its arguments.
pub(super) fn calls(request: &ApprovalRequest) -> Json {
    json(&request.calls)
}

impl People for Heard {
    fn behind(&self) -> &dyn People {
        &*self.inner
    }

    fn observe<'a>(&'a self, question: &'a Observe) -> BoxFuture<'a, Reply<Observed>> {
        let work = self.inner.observe(question);
        Box::pin(self.hear("observe", &question.name, Json::Null, work))
    }

    fn ask<'a>(&'a self, question: &'a Ask) -> BoxFuture<'a, Reply<Answered>> {
        let work = self.inner.ask(question);
        Box::pin(self.hear("ask", &question.name, Json::Null, work))
    }

    fn approve<'a>(&'a self, request: &'a ApprovalRequest) -> BoxFuture<'a, Reply<Decision>> {
        let work = self.inner.approve(request);
        Box::pin(self.hear("approve", &request.action, calls(request), work))
    }

    fn manual<'a>(&'a self, order: &'a ManualOrder) -> BoxFuture<'a, Reply<Ticked>> {
        let work = self.inner.manual(order);
        Box::pin(self.hear("manual", &order.name, Json::Null, work))
    }

    fn unknown<'a>(&'a self, choice: &'a UnknownChoice) -> BoxFuture<'a, Reply<OnUnknown>> {
        let work = self.inner.unknown(choice);
        Box::pin(self.hear("unknown", &choice.cause, Json::Null, work))
    }

    fn unclear<'a>(&'a self, choice: &'a UnclearChoice) -> BoxFuture<'a, Reply<OnUnclear>> {
        let work = self.inner.unclear(choice);
        Box::pin(self.hear("unclear", &choice.action, Json::Null, work))
    }

    fn heavy<'a>(&'a self, operation: &'a str) -> BoxFuture<'a, Reply<bool>> {
        let work = self.inner.heavy(operation);
        Box::pin(self.hear("heavy", operation, Json::Null, work))
    }

    fn reflect<'a>(&'a self, question: &'a str) -> BoxFuture<'a, Reply<Option<String>>> {
        let work = self.inner.reflect(question);
        Box::pin(self.hear("reflect", question, Json::Null, work))
    }

    fn held<'a>(&'a self, held: &'a HeldLock) -> BoxFuture<'a, Reply<OnHeld>> {
        let work = self.inner.held(held);
        Box::pin(self.hear("held", &held.target, Json::Null, work))
    }
}

/// Random bytes that are written down.
pub struct Drawn {
    pub inner: Arc<dyn Randomness>,
    pub tape: Arc<Tape>,
}

impl Randomness for Drawn {
    fn fill(&self, bytes: &mut [u8]) {
        self.inner.fill(bytes);
        self.tape.note("random", Json::String(hex::encode(&*bytes)));
    }
}

/// A journal whose events are written down, each once it is durable.
pub struct Kept {
    pub inner: Arc<dyn Journal>,
    pub tape: Arc<Tape>,
}

impl Kept {
    fn keep(&self, scope: &str, events: &[Event]) {
        for event in events {
            let happened = Happened {
                scope: scope.to_owned(),
                at: nanoseconds(self.tape.elapsed()),
                event: event.clone(),
            };
            self.tape.note("happened", json(&happened));
        }
    }
}

impl Journal for Kept {
    fn run_id(&self) -> &str {
        self.inner.run_id()
    }

    fn append<'a>(&'a self, scope: &'a str, event: &'a Event) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(async move {
            let sequence = self.inner.append(scope, event).await?;
            self.keep(scope, std::slice::from_ref(event));
            Ok(sequence)
        })
    }

    fn append_all<'a>(&'a self, scope: &'a str, events: &'a [Event]) -> BoxFuture<'a, Result<u64, Error>> {
        Box::pin(async move {
            let sequence = self.inner.append_all(scope, events).await?;
            self.keep(scope, events);
            Ok(sequence)
        })
    }

    fn confirm(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.inner.confirm()
    }
}
