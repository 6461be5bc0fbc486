//! The people of a run: the person at the terminal, or nobody; and answers that were given beforehand.

use super::console::Console;
use super::request;
use crate::engine::world::{
    Answered, ApprovalRequest, Ask, Decision, HeldLock, InDoubt, ManualOrder, Observe, Observed, OnHeld, OnUnclear,
    OnUnknown, People, Reply, Ticked, UnclearChoice, UnknownChoice,
};
use crate::journal::event::{Fate, Person};
use crate::render::safe::safe;
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The person at the terminal.
pub struct Terminal {
    pub console: Arc<Console>,
    pub person: Person,
    pub roles: Vec<String>,
}

/// What a person said beforehand about changes that are in doubt, by the id of the intent or its end; everything else goes
/// on to `behind`.
pub struct Settled {
    pub fates: Vec<(String, Fate)>,
    pub person: Person,
    pub behind: Arc<dyn People>,
}

/// Answers to `observed` questions that were given on the command line; everything else goes on to `behind`.
pub struct Prepared {
    pub answers: BTreeMap<String, Option<bool>>,
    pub person: Person,
    /// The roles of the person.
    pub roles: Vec<String>,
    pub behind: Arc<dyn People>,
}

impl Terminal {
    fn given<T>(&self, value: T) -> Reply<T> {
        Reply::Given(value, self.person.clone())
    }

    fn closed<T>() -> Reply<T> {
        Reply::Nobody("the terminal was closed".to_owned())
    }

    fn heading(&self, text: &str) {
        request::heading(&self.console, text);
    }

    fn prose(&self, prose: &[String]) {
        request::prose(&self.console, prose);
    }

    /// Asks until the answer is one of the words; each word is given as its possible spellings.
    pub async fn choose(&self, prompt: &str, words: &[(&str, &[&str])]) -> Option<usize> {
        loop {
            let line = self.console.ask(prompt).await?.to_lowercase();
            if let Some(index) = words
                .iter()
                .position(|(word, short)| line == *word || short.contains(&line.as_str()))
            {
                return Some(index);
            }
            let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.console
                .line(&format!("  please type one of: {}", known.join(", ")));
        }
    }

    /// May this person act as the role?
    pub fn role(&self, role: &str) -> Result<(), String> {
        if self.roles.iter().any(|own| own == role) {
            Ok(())
        } else {
            Err(format!(
                "{} does not have the role {role} in this environment",
                self.person.name
            ))
        }
    }

    async fn decide(&self, request: &ApprovalRequest) -> Reply<Decision> {
        let wanted = request.acceptable();
        if !wanted.is_empty() && !wanted.iter().any(|role| self.role(role).is_ok()) {
            return Reply::Nobody(self.role(&request.role).err().unwrap_or_default());
        }
        let console = &self.console;
        request::show(console, request);
        let prompt = request::prompt(request);
        loop {
            let Some(line) = console.ask(&prompt).await else {
                return Self::closed();
            };
            match request::decision(request, &line) {
                Some(true) => return self.given(Decision::Approve),
                Some(false) => {
                    let because = console.ask("  Why not? (may be empty)").await.unwrap_or_default();
                    return self.given(Decision::Refuse { because });
                }
                None => console.line("  nothing was sent: the answer must be exactly one of the two"),
            }
        }
    }
}

impl People for Terminal {
    fn observe<'a>(&'a self, question: &'a Observe) -> BoxFuture<'a, Reply<Observed>> {
        Box::pin(async move {
            self.heading(&question.question);
            self.prose(&question.prose);
            let prompt = format!("  {}? Type yes, no or unknown:", safe(&question.name));
            let words: &[(&str, &[&str])] = &[("yes", &["y"]), ("no", &["n"]), ("unknown", &["u", "?"])];
            let Some(index) = self.choose(&prompt, words).await else {
                return Self::closed();
            };
            let Some(note) = self.console.ask("  What did you see? (a note, may be empty)").await else {
                return Self::closed();
            };
            self.given(Observed {
                yes: [Some(true), Some(false), None][index],
                note,
            })
        })
    }

    fn ask<'a>(&'a self, question: &'a Ask) -> BoxFuture<'a, Reply<Answered>> {
        Box::pin(async move {
            self.heading(&question.question);
            if question.choices.is_empty() {
                loop {
                    let Some(text) = self.console.ask(&format!("  {}:", safe(&question.name))).await else {
                        return Self::closed();
                    };
                    if !text.is_empty() {
                        return self.given(Answered { text, choice: None });
                    }
                }
            }
            for (index, choice) in question.choices.iter().enumerate() {
                self.console.line(&format!("  {}  {}", index + 1, safe(choice)));
            }
            loop {
                let prompt = format!(
                    "  {}? Type a number from 1 to {}:",
                    safe(&question.name),
                    question.choices.len()
                );
                let Some(line) = self.console.ask(&prompt).await else {
                    return Self::closed();
                };
                if let Some(index) = line.parse::<usize>().ok().and_then(|number| number.checked_sub(1))
                    && let Some(text) = question.choices.get(index)
                {
                    return self.given(Answered {
                        text: text.clone(),
                        choice: Some(index),
                    });
                }
            }
        })
    }

    fn approve<'a>(&'a self, request: &'a ApprovalRequest) -> BoxFuture<'a, Reply<Decision>> {
        Box::pin(self.decide(request))
    }

    fn manual<'a>(&'a self, order: &'a ManualOrder) -> BoxFuture<'a, Reply<Ticked>> {
        Box::pin(async move {
            self.heading(&format!("To do by hand: {}", order.order));
            self.prose(&order.prose);
            let words: &[(&str, &[&str])] = &[("done", &["d", "yes"]), ("failed", &["f", "no"])];
            let Some(index) = self.choose("  Type done or failed:", words).await else {
                return Self::closed();
            };
            let Some(note) = self.console.ask("  A note for the record (may be empty)").await else {
                return Self::closed();
            };
            self.given(Ticked { done: index == 0, note })
        })
    }

    fn unknown<'a>(&'a self, choice: &'a UnknownChoice) -> BoxFuture<'a, Reply<OnUnknown>> {
        Box::pin(async move {
            self.heading(&format!(
                "{} — it cannot be told whether: {}",
                choice.branch, choice.cause
            ));
            for (name, question, why) in &choice.unknown {
                self.console.line(&format!(
                    "  · {}: {} unknown: {}",
                    safe(name),
                    safe(question),
                    safe(why)
                ));
            }
            self.console.line("  retry        ask again");
            self.console
                .line("  answer       answer one of these questions by hand; recorded with your name");
            self.console
                .line(&format!("  cannot tell  {}", safe(&choice.cannot_tell)));
            let words: &[(&str, &[&str])] = &[
                ("retry", &["r"]),
                ("answer", &["a"]),
                ("cannot tell", &["c", "cannot", "cannot_tell"]),
            ];
            loop {
                match self.choose("  Type retry, answer or cannot tell:", words).await {
                    None => return Self::closed(),
                    Some(0) => return self.given(OnUnknown::Retry),
                    Some(2) => return self.given(OnUnknown::CannotTell),
                    Some(_) => {}
                }
                let name = match choice.unknown.as_slice() {
                    [] => continue,
                    [(name, ..)] => name.clone(),
                    several => {
                        let names: Vec<&str> = several.iter().map(|(name, ..)| name.as_str()).collect();
                        let prompt = format!("  Which one: {}?", names.join(", "));
                        let Some(line) = self.console.ask(&prompt).await else {
                            return Self::closed();
                        };
                        match names.iter().find(|name| **name == line) {
                            Some(name) => (*name).to_owned(),
                            None => continue,
                        }
                    }
                };
                let words: &[(&str, &[&str])] = &[("yes", &["y"]), ("no", &["n"])];
                let Some(index) = self.choose(&format!("  {}? Type yes or no:", safe(&name)), words).await else {
                    return Self::closed();
                };
                let Some(note) = self.console.ask("  How do you know? (for the record)").await else {
                    return Self::closed();
                };
                return self.given(OnUnknown::AnswerByHand {
                    name,
                    yes: index == 0,
                    note,
                });
            }
        })
    }

    fn unclear<'a>(&'a self, choice: &'a UnclearChoice) -> BoxFuture<'a, Reply<OnUnclear>> {
        Box::pin(async move {
            self.heading(&format!("It is not clear whether this worked: {}", choice.order));
            self.console.line(&format!("  {}", safe(&choice.why)));
            if !choice.undo_possible {
                self.console.line("  it cannot be taken back");
                return self.given(OnUnclear::Keep);
            }
            let words: &[(&str, &[&str])] = &[("keep", &["k"]), ("undo", &["u"])];
            match self
                .choose("  Type keep to leave it as it is, undo to take it back:", words)
                .await
            {
                None => Self::closed(),
                Some(0) => self.given(OnUnclear::Keep),
                Some(_) => self.given(OnUnclear::Undo),
            }
        })
    }

    fn heavy<'a>(&'a self, operation: &'a str) -> BoxFuture<'a, Reply<bool>> {
        Box::pin(async move {
            self.heading(&format!(
                "{operation} costs something or is intrusive; it is asked for once in a run"
            ));
            let words: &[(&str, &[&str])] = &[("yes", &["y"]), ("no", &["n"])];
            match self.choose("  Allow it? Type yes or no:", words).await {
                None => Self::closed(),
                Some(index) => self.given(index == 0),
            }
        })
    }

    fn reflect<'a>(&'a self, question: &'a str) -> BoxFuture<'a, Reply<Option<String>>> {
        Box::pin(async move {
            self.heading(question);
            match self.console.ask("  (may be empty)").await {
                None => Self::closed(),
                Some(text) => self.given(Some(text).filter(|text| !text.is_empty())),
            }
        })
    }

    fn in_doubt<'a>(&'a self, doubt: &'a InDoubt) -> BoxFuture<'a, Reply<Option<Fate>>> {
        Box::pin(async move {
            self.heading(&format!("In doubt: {}", doubt.order));
            let line = |text: &str| self.console.line(&format!("  {}", safe(text)));
            line(&format!(
                "The run ended between sending {} and its result ({} UTC). It may have happened, or not.",
                doubt.operation,
                doubt.intended.strftime("%Y-%m-%d %H:%M:%S")
            ));
            for (name, value) in &doubt.arguments {
                line(&format!("{name}: {value}"));
            }
            if !doubt.targets.is_empty() {
                line(&format!("on {}", doubt.targets.join(", ")));
            }
            line("Look at the target before you answer. What did not happen is asked again and then sent.");
            let words: [(&str, &[&str]); 3] = [("done", &[]), ("not done", &["not-done"]), ("leave", &["l"])];
            match self.choose("  done, not done, or leave it in doubt? ", &words).await {
                Some(0) => self.given(Some(Fate::Done)),
                Some(1) => self.given(Some(Fate::NotDone)),
                Some(_) => self.given(None),
                None => Self::closed(),
            }
        })
    }

    fn held<'a>(&'a self, held: &'a HeldLock) -> BoxFuture<'a, Reply<OnHeld>> {
        Box::pin(async move {
            let since = if held.since.is_empty() {
                String::new()
            } else {
                format!(", since {}", held.since)
            };
            self.heading(&format!(
                "{} is being changed by somebody else: {}{since}",
                held.target, held.holder
            ));
            self.console
                .line(&format!("  it waits for this: {}", safe(&held.order)));
            self.console.line("  wait       look again");
            self.console
                .line("  take over  the other run loses the lock and changes nothing there any more; what it has sent stays sent");
            self.console.line("  give up    this action is not done");
            let words: &[(&str, &[&str])] = &[
                ("wait", &["w"]),
                ("take over", &["t", "take_over"]),
                ("give up", &["g"]),
            ];
            match self.choose("  Type wait, take over or give up:", words).await {
                None => Self::closed(),
                Some(0) => self.given(OnHeld::Wait),
                Some(2) => self.given(OnHeld::GiveUp),
                Some(_) => loop {
                    let Some(because) = self.console.ask("  Why? (for the record)").await else {
                        return Self::closed();
                    };
                    if !because.is_empty() {
                        return self.given(OnHeld::TakeOver { because });
                    }
                },
            }
        })
    }
}

impl Prepared {
    /// An answer that the operator gives beforehand is the operator's; another role must answer for itself.
    fn answer(&self, question: &Observe) -> Option<Option<bool>> {
        let answer = self.answers.get(&question.name)?;
        let own = question.by.as_ref().is_none_or(|role| self.roles.contains(role));
        own.then_some(*answer)
    }
}

impl People for Prepared {
    fn behind(&self) -> &dyn People {
        &*self.behind
    }

    fn observe<'a>(&'a self, question: &'a Observe) -> BoxFuture<'a, Reply<Observed>> {
        match self.answer(question) {
            Some(yes) => {
                let observed = Observed {
                    yes,
                    note: "given on the command line".to_owned(),
                };
                Box::pin(std::future::ready(Reply::Given(observed, self.person.clone())))
            }
            _ => self.behind.observe(question),
        }
    }

    fn answers_unattended(&self, question: &Observe) -> bool {
        self.answer(question).is_some() || self.behind.answers_unattended(question)
    }
}

impl People for Settled {
    fn behind(&self) -> &dyn People {
        &*self.behind
    }

    fn in_doubt<'a>(&'a self, doubt: &'a InDoubt) -> BoxFuture<'a, Reply<Option<Fate>>> {
        let said = self
            .fates
            .iter()
            .find(|(id, _)| doubt.id == *id || doubt.id.split_once('/').is_some_and(|(_, end)| end == id));
        match said {
            Some((_, fate)) => Box::pin(std::future::ready(Reply::Given(Some(*fate), self.person.clone()))),
            None => self.behind.in_doubt(doubt),
        }
    }
}
