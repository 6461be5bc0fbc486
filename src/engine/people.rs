//! Asking people: every reply has a deadline, and no reply is an unknown answer, never a yes or no.

use super::answers::{Slots, View};
use super::frame::Context;
use super::questions::Asking;
use super::world::{Answered, Ask, Observe, Observed, Reply};
use super::{Way, limits};
use crate::eval;
use crate::journal::Event;
use crate::journal::event::{Evidence, Shown};
use crate::program::{BindingId, Expr, Question, Template};
use crate::value::show::{show, show_std};
use crate::value::{Answer, Reason, Value};
use std::time::Duration;

/// What came of asking a person.
pub(super) enum Heard<T> {
    Reply(T, crate::journal::event::Person),
    /// Why there is no reply, in words.
    Silence(String),
}

impl Context<'_> {
    /// Asks a person, with a deadline; when the run is being ended, it ends here.
    pub async fn hear<T: Send>(
        &self,
        what: &str,
        within: Duration,
        work: impl Future<Output = Reply<T>> + Send,
    ) -> Way<Heard<T>> {
        // Gone again, a run that was ended while somebody was asked ends there.
        if self.run.replay.under_way()
            && let Some(leave) = self.run.ending()
        {
            return Err(leave);
        }
        let patience = self.patience(within);
        match self.run.patiently(what, patience, work).await {
            Some(Reply::Given(value, person)) => Ok(Heard::Reply(value, person)),
            Some(Reply::Nobody(reason)) => Ok(Heard::Silence(reason)),
            None => match self.run.ending() {
                Some(leave) => Err(leave),
                None => Ok(Heard::Silence(format!("nobody answered within {}", show_std(patience)))),
            },
        }
    }

    fn unattended(&self) -> bool {
        self.run.unattended()
    }

    /// `observed`: a person answers yes or no.
    pub async fn observe(
        &self,
        slots: &Slots,
        id: BindingId,
        question: &Question,
        by: Option<&str>,
        within: Duration,
        asking: &Asking,
    ) -> Way<Value> {
        let (request, title) = {
            let view = View::new(self.run, self.book, slots, asking.fresh);
            let title = eval::fill(&question.title, &view);
            let request = Observe {
                name: self.book.binding(id).name.clone(),
                question: title.clone(),
                prose: question.prose.iter().map(|prose| eval::fill(prose, &view)).collect(),
                by: by.map(str::to_owned),
                deadline: self.patience(within),
            };
            (request, title)
        };
        let heard = if self.unattended() && !self.run.world.people.answers_unattended(&request) {
            Heard::Silence("this run is unattended".to_owned())
        } else {
            self.hear(&title, within, self.run.world.people.observe(&request))
                .await?
        };
        let (value, note, person) = match heard {
            Heard::Reply(Observed { yes: Some(yes), note }, person) => (Value::Bool(yes), note, Some(person)),
            Heard::Reply(Observed { yes: None, note }, person) => {
                let value = Value::unknown(Reason::NotAnswered, format!("{} does not know", person.name));
                (value, note, Some(person))
            }
            Heard::Silence(reason) => (Value::unknown(Reason::NotAnswered, reason), String::new(), None),
        };
        let evidence = if note.is_empty() {
            Vec::new()
        } else {
            vec![Evidence {
                text: title,
                answer: eval::answer(&value),
                actual: note,
                limit: String::new(),
                detail: String::new(),
            }]
        };
        let event = {
            let view = View::new(self.run, self.book, slots, asking.fresh);
            self.answered(&view, id, question, &value, evidence, person, asking.round)
        };
        self.run.record(&self.scope, event).await?;
        Ok(value)
    }

    /// `ask NAME`: a person gives a value.
    pub async fn ask_value(
        &self,
        slots: &Slots,
        id: BindingId,
        title: &Template,
        choices: Option<&Expr>,
        within: Duration,
        asking: &Asking,
    ) -> Way<Value> {
        let name = self.book.binding(id).name.clone();
        let (question, offered) = {
            let view = View::new(self.run, self.book, slots, asking.fresh);
            let offered = match choices.map(|list| eval::evaluate(list, &view)) {
                None => None,
                Some(Value::List(list)) => Some(list.items.clone()),
                Some(Value::Unknown(unknown)) => return Ok(Value::Unknown(unknown)),
                Some(_) => return Ok(Value::unknown(Reason::Internal, "a choice needs a list")),
            };
            (eval::fill(title, &view), offered)
        };
        if offered.as_ref().is_some_and(Vec::is_empty) {
            return Ok(Value::unknown(Reason::Missing, "there is nothing to choose from"));
        }
        if self.unattended() {
            return Ok(Value::unknown(Reason::NotAnswered, "this run is unattended"));
        }
        let request = Ask {
            name: name.clone(),
            question: question.clone(),
            choices: offered.iter().flatten().map(show).collect(),
            deadline: self.patience(within),
        };
        let heard = self
            .hear(&question, within, self.run.world.people.ask(&request))
            .await?;
        let (value, person) = match heard {
            Heard::Silence(reason) => return Ok(Value::unknown(Reason::NotAnswered, reason)),
            Heard::Reply(Answered { text, choice }, person) => {
                let value = match (&offered, choice) {
                    (None, _) => Value::text(text),
                    (Some(items), Some(index)) if index < items.len() => items[index].clone(),
                    (Some(_), _) => Value::unknown(Reason::NotAnswered, "what was said is not among the choices"),
                };
                (value, person)
            }
        };
        let event = Event::Asked {
            name,
            question,
            value: Shown::of(&value),
            by: person,
        };
        self.run.record(&self.scope, event).await?;
        Ok(value)
    }

    /// Whether the operator allows a heavy read; asked once per run and operation.
    pub async fn allow_heavy(&self, operation: &str) -> Way<()> {
        if self.run.shared().heavy.contains_key(operation) {
            return Ok(());
        }
        let heard = if self.unattended() {
            Heard::Silence("this run is unattended".to_owned())
        } else {
            let what = format!("May `{operation}` be read?");
            self.hear(&what, limits::PERSON, self.run.world.people.heavy(operation))
                .await?
        };
        let (allowed, by, note) = match heard {
            Heard::Reply(allowed, person) => (allowed, person, String::new()),
            Heard::Silence(reason) => (false, self.run.operator(), reason),
        };
        self.run.shared().heavy.insert(operation.to_owned(), allowed);
        let event = Event::Choice {
            about: format!("the heavy read `{operation}`"),
            choice: if allowed { "allowed" } else { "not allowed" }.to_owned(),
            by,
            note,
        };
        self.run.record(&self.scope, event).await
    }

    /// A person answers in the place of a question that could not be asked; recorded as such.
    pub async fn answer_by_hand(
        &self,
        slots: &mut Slots,
        id: BindingId,
        yes: bool,
        note: String,
        by: crate::journal::event::Person,
        round: u32,
    ) -> Way<()> {
        let Some(question) = self.question(id) else {
            return Ok(());
        };
        let value = Value::Bool(yes);
        let event = {
            let view = View::new(self.run, self.book, slots, super::answers::Fresh::default());
            let evidence = vec![Evidence {
                text: "answered by hand".to_owned(),
                answer: if yes { Answer::Yes } else { Answer::No },
                actual: note,
                limit: String::new(),
                detail: String::new(),
            }];
            self.answered(&view, id, question, &value, evidence, Some(by), round)
        };
        slots.put(id, value, round, true);
        self.run.record(&self.scope, event).await
    }
}
