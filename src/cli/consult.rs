//! The people of a run beyond this terminal: a request is shown here and to every other terminal, and the first decision counts. A question to
//! somebody who is not here waits for an answer from there.

use super::console::Console;
use super::inquiry::Inquiry;
use super::offline::{self, Known, Proof, Wrong};
use super::output::Style;
use super::people::{Prepared, Terminal};
use super::request;
use crate::config::Environment;
use crate::engine::world::{ApprovalRequest, Decision, Nobody, Observe, Observed, People, Reply};
use crate::journal::Store;
use crate::journal::decisions::{Decided, Decisions, Recording, Waiting};
use crate::journal::event::{Event, Person};
use crate::render::safe::safe;
use crate::secrets::SecretSource;
use futures::future::{BoxFuture, Either};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often other terminals' decisions are looked for.
const LOOK: Duration = Duration::from_millis(250);

/// The people of an environment: who is who, who may what, with which keys.
#[derive(Default)]
pub struct Directory {
    pub identities: BTreeMap<String, String>,
    pub roles: BTreeMap<String, Vec<String>>,
    keys: BTreeMap<String, Vec<u8>>,
    codes: BTreeMap<String, SecretSource>,
}

impl Directory {
    /// The people that the configuration names.
    pub fn of(environment: &Environment) -> Self {
        let mut directory = Self {
            identities: environment.identities(),
            roles: environment.roles_by_person(),
            ..Self::default()
        };
        for (name, human) in &environment.people {
            if let Some(key) = human.key.as_deref().and_then(|key| crate::config::public_key(key).ok()) {
                directory.keys.insert(name.clone(), key);
            }
            if let Some(code) = &human.code {
                directory.codes.insert(name.clone(), code.clone());
            }
        }
        directory
    }

    /// The one name of a person.
    pub fn canonical<'a>(&'a self, name: &'a str) -> &'a str {
        self.identities.get(name).map_or(name, String::as_str)
    }

    /// Whether this person's approvals from another terminal must be signed.
    pub fn must_sign(&self, person: &str) -> bool {
        self.keys.contains_key(person)
    }

    /// Why this person cannot decide this request, if so.
    pub fn bars(&self, person: &str, request: &ApprovalRequest) -> Option<String> {
        if let Some(because) = request.excludes(person) {
            return Some(because.to_owned());
        }
        let wanted = request.acceptable();
        let lacks = !wanted.is_empty() && !wanted.iter().any(|role| self.has(person, role));
        lacks.then(|| format!("{person} does not have the role {} in this environment", request.role))
    }

    /// The roles of whoever has this login.
    pub fn roles_of(&self, login: &str) -> Vec<String> {
        self.roles.get(self.canonical(login)).cloned().unwrap_or_default()
    }

    /// Whether the configuration gives this person the role.
    pub fn has(&self, person: &str, role: &str) -> bool {
        self.roles
            .get(person)
            .is_some_and(|roles| roles.iter().any(|own| own == role))
    }

    fn known(&self, person: &str) -> Result<Known, String> {
        Ok(Known {
            public: self.keys.get(person).cloned(),
            shared: self.codes.get(person).map(SecretSource::read).transpose()?,
        })
    }

    /// Whether somebody could answer without a connection.
    fn answers_offline(&self) -> bool {
        !self.keys.is_empty() || !self.codes.is_empty()
    }
}

/// The operator at this terminal, if there is one, and everybody at other terminals.
pub struct Consulting {
    /// `None`: nobody is here, and decisions come from elsewhere.
    pub terminal: Option<Arc<Terminal>>,
    /// Everything but approvals.
    pub behind: Arc<dyn People>,
    pub console: Arc<Console>,
    pub operator: Person,
    pub directory: Arc<Directory>,
    pub decisions: Arc<dyn Decisions>,
    pub run: String,
    pub environment: String,
    pub asked: AtomicU64,
    /// Wrong answers by digest.
    pub wrong: Mutex<BTreeMap<String, u32>>,
}

/// The people of a run: at this terminal, and at others where decisions can come from there.
pub fn people(
    here: Here<'_>,
    operator: &Person,
    directory: &Arc<Directory>,
    answers: BTreeMap<String, Option<bool>>,
    decisions: &Arc<dyn Decisions>,
    store: &Arc<Store>,
    run: &str,
) -> Arc<dyn People> {
    let terminal = (!here.unattended && Console::person_is_there()).then(|| {
        Arc::new(Terminal {
            console: here.console.clone(),
            person: operator.clone(),
            roles: directory.roles_of(&operator.name),
        })
    });
    let reason = if here.unattended {
        "the run is unattended"
    } else {
        "there is no terminal to ask at"
    };
    let mut behind: Arc<dyn People> = match &terminal {
        Some(terminal) => terminal.clone(),
        None => Arc::new(Nobody { reason: reason.into() }),
    };
    if terminal.is_some() || here.elsewhere {
        behind = Arc::new(Consulting {
            terminal,
            behind,
            console: here.console.clone(),
            operator: operator.clone(),
            directory: directory.clone(),
            decisions: decisions.clone(),
            run: run.to_owned(),
            environment: here.environment.to_owned(),
            asked: Default::default(),
            wrong: Default::default(),
        });
    }
    behind = Arc::new(Announced {
        store: Arc::downgrade(store),
        run: run.to_owned(),
        behind,
    });
    if answers.is_empty() {
        behind
    } else {
        Arc::new(Prepared {
            answers,
            person: operator.clone(),
            roles: directory.roles_of(&operator.name),
            behind,
        })
    }
}

/// Who is here, and whether decisions may come from other terminals.
#[derive(Clone, Copy)]
pub struct Here<'a> {
    pub console: &'a Arc<Console>,
    /// The name of the environment.
    pub environment: &'a str,
    pub unattended: bool,
    /// Wait for other terminals although there is none here.
    pub elsewhere: bool,
}

/// What came from the prompt.
enum Typed {
    Decided(Decision),
    /// `bob 7K3Q-…`
    Answer(String, String),
    Closed,
}

/// Which of the two came first. The other is dropped before anything else is done: it may hold the connection that is needed next.
async fn first<A, B>(one: impl Future<Output = A>, other: impl Future<Output = B>) -> Either<A, B> {
    match futures::future::select(Box::pin(one), Box::pin(other)).await {
        Either::Left((one, _)) => Either::Left(one),
        Either::Right((other, _)) => Either::Right(other),
    }
}

impl Consulting {
    async fn consult(&self, asked: &ApprovalRequest) -> Reply<Decision> {
        let who = self.directory.canonical(&self.operator.name).to_owned();
        let barred = self.directory.bars(&who, asked);
        let mut shown = false;
        loop {
            // Posted first: whoever reads how to decide elsewhere can do so at once.
            let id = match self.post(&asked.digest, asked.deadline, asked).await {
                Ok(id) => id,
                Err(problem) => return Reply::Nobody(problem),
            };
            if !std::mem::replace(&mut shown, true) {
                request::show(&self.console, asked);
                self.say_how(asked, barred.as_deref());
            }
            let typed = self.typed(asked, barred.as_deref());
            let elsewhere = self.elsewhere(&id);
            let decided = match first(typed, elsewhere).await {
                Either::Right(decided) => decided,
                Either::Left(Typed::Closed) => {
                    let _ = self.decisions.settle(&self.run, Some(&id)).await;
                    return Reply::Nobody("the terminal was closed".to_owned());
                }
                Either::Left(typed) => {
                    let own = match typed {
                        Typed::Decided(Decision::Approve) => decided_by(&self.operator.name, None, ""),
                        Typed::Decided(Decision::Refuse { because }) => {
                            decided_by(&self.operator.name, Some(because), "")
                        }
                        Typed::Answer(person, code) => decided_by(&person, None, &code),
                        Typed::Closed => continue,
                    };
                    let at_this_terminal = own.proof.is_empty();
                    match self.decisions.decide(&id, &own).await {
                        Ok(Recording::Recorded) if at_this_terminal => {
                            let _ = self.decisions.settle(&self.run, Some(&id)).await;
                            return given(&own, self.operator.clone());
                        }
                        Ok(Recording::Recorded) => own,
                        Ok(Recording::Already(other)) => {
                            self.console.line(&format!(
                                "  {} has decided already; what was typed here does not count",
                                safe(&other.person)
                            ));
                            other
                        }
                        Ok(Recording::NotWaiting) => {
                            return Reply::Nobody("the time for a decision is over".to_owned());
                        }
                        Err(problem) => return Reply::Nobody(problem.message),
                    }
                }
            };
            let _ = self.decisions.settle(&self.run, Some(&id)).await;
            match self.judge(asked, &decided) {
                Ok(person) => return given(&decided, person),
                Err(because) => {
                    let line = format!(
                        "  the decision of {} is not taken: {}",
                        safe(&decided.person),
                        safe(&because)
                    );
                    self.console.styled(Style::Attention, &line);
                }
            }
        }
    }

    fn say_how(&self, asked: &ApprovalRequest, barred: Option<&str>) {
        let console = &self.console;
        if let Some(because) = barred {
            console.line(&format!("  not here: {}", safe(because)));
        }
        console.line(&format!("  from another terminal: starr approve {}", safe(&self.run)));
        if self.directory.answers_offline() {
            console.line(&format!(
                "  without a connection: starr approve --challenge {}",
                offline::short(&asked.digest)
            ));
            console.line("  and type here who answers and the answer, as in: bob ABCD-EFGH-J");
        }
    }

    /// Shows other terminals what is asked, and gives the name under which it waits there.
    async fn post(&self, what: &str, lasts: Duration, asked: &impl Serialize) -> Result<String, String> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        // A run that goes on asks the same request again in another process.
        let id = format!("{}/{what}/{}-{number}", self.run, std::process::id());
        let now = Timestamp::now();
        let lasts = SignedDuration::try_from(lasts).unwrap_or(SignedDuration::from_mins(15));
        // Through the door of everything that is written: no secret stands in the store.
        let body = crate::secrets::json_bytes(asked)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or("the request cannot be shown")?;
        let waiting = Waiting {
            id: id.clone(),
            run: self.run.clone(),
            body,
            since: now,
            until: now.saturating_add(lasts).unwrap_or(now),
        };
        self.decisions.ask(&waiting).await.map_err(|problem| problem.message)?;
        Ok(id)
    }

    async fn elsewhere(&self, id: &str) -> Decided {
        loop {
            tokio::time::sleep(LOOK).await;
            // A look that fails is no decision; the journal itself says when the store is broken.
            if let Ok(Some(decided)) = self.decisions.decision(id).await {
                return decided;
            }
        }
    }

    async fn typed(&self, asked: &ApprovalRequest, barred: Option<&str>) -> Typed {
        if self.terminal.is_none() {
            return std::future::pending().await;
        }
        let console = &self.console;
        let prompt = match barred {
            None => request::prompt(asked),
            Some(_) => "  Waiting for the other person; type `no` to refuse:".to_owned(),
        };
        loop {
            let Some(line) = console.ask(&prompt).await else {
                return Typed::Closed;
            };
            if let Some((person, answer)) = line.split_once(' ')
                && self.directory.roles.contains_key(self.directory.canonical(person))
            {
                return Typed::Answer(person.to_owned(), answer.trim().to_owned());
            }
            match request::decision(asked, &line) {
                Some(false) => {
                    let because = console.ask("  Why not? (may be empty)").await.unwrap_or_default();
                    return Typed::Decided(Decision::Refuse { because });
                }
                Some(true) if barred.is_none() => return Typed::Decided(Decision::Approve),
                Some(true) => console.line(&format!("  nothing was sent: {}", safe(barred.unwrap_or_default()))),
                None => console.line("  nothing was sent: the answer must be exactly one of the two"),
            }
        }
    }

    /// Whose decision it is, and how that is known; an error when it is not to be believed.
    fn judge(&self, asked: &ApprovalRequest, decided: &Decided) -> Result<Person, String> {
        // Whoever can write the store can stop a run; a refusal needs no proof.
        if !decided.approve {
            return Ok(Person {
                name: self.directory.canonical(&decided.person).to_owned(),
                by: "another terminal".to_owned(),
            });
        }
        self.believed(decided, &asked.digest)
    }

    /// Whose word it is, and how that is known, where it must be proved; an error when it is not to be believed.
    fn believed(&self, decided: &Decided, digest: &str) -> Result<Person, String> {
        let person = self.directory.canonical(&decided.person).to_owned();
        let by = |how: &str| Person {
            name: person.clone(),
            by: how.to_owned(),
        };
        if decided.proof.is_empty() {
            if self.directory.must_sign(&person) {
                return Err(format!(
                    "what {person} says at another terminal must be signed with the key of the configuration"
                ));
            }
            return Ok(by("login at another terminal"));
        }
        let tries = self.tries(digest, 0);
        if tries >= offline::TRIES {
            return Err(format!(
                "{tries} wrong answers were given; this request takes no further one"
            ));
        }
        let known = self.directory.known(&person)?;
        match offline::check(&known, &person, digest, &decided.proof) {
            Ok(Proof::Signature) => Ok(by("signature")),
            Ok(Proof::Code) => Ok(by("code without a connection")),
            Err(Wrong::Mistyped(problem)) => Err(problem),
            Err(Wrong::Refused(problem)) => {
                let tries = self.tries(digest, 1);
                Err(format!("{problem} (wrong answer {tries} of {})", offline::TRIES))
            }
        }
    }

    /// Asks somebody who is not at this terminal; whoever is here may write down what they were told.
    async fn inquire(&self, question: &Observe, role: &str) -> Reply<Observed> {
        let inquiry = Inquiry::new(&self.run, &self.environment, &self.operator.name, role, question);
        let mut shown = false;
        loop {
            let id = match self.post(&question.name, question.deadline, &inquiry).await {
                Ok(id) => id,
                Err(problem) => return Reply::Nobody(problem),
            };
            if !std::mem::replace(&mut shown, true) {
                inquiry.show(&self.console);
                if let Some(Err(because)) = self.terminal.as_ref().map(|terminal| terminal.role(role)) {
                    self.console.line(&format!("  not here: {}", safe(&because)));
                }
                self.console
                    .line(&format!("  from another terminal: starr answer {}", safe(&self.run)));
            }
            let heard = first(self.relayed(question, role), self.elsewhere(&id)).await;
            let _ = self.decisions.settle(&self.run, Some(&id)).await;
            let decided = match heard {
                Either::Left(reply) => return reply,
                Either::Right(decided) => decided,
            };
            match self.heard(&inquiry, &decided) {
                Ok((person, said)) => return Reply::Given(said, person),
                Err(because) => {
                    let line = format!(
                        "  the answer of {} is not taken: {}",
                        safe(&decided.person),
                        safe(&because)
                    );
                    self.console.styled(Style::Attention, &line);
                }
            }
        }
    }

    /// What the person at this terminal was told by whoever is asked; never where nobody is here.
    async fn relayed(&self, question: &Observe, role: &str) -> Reply<Observed> {
        let Some(terminal) = &self.terminal else {
            return std::future::pending().await;
        };
        self.console
            .line("  told  write down what they told you; recorded with your name");
        self.console.line("  pass  go on without an answer");
        let closed = || Reply::Nobody("the terminal was closed".to_owned());
        let words: &[(&str, &[&str])] = &[("told", &["t"]), ("pass", &["p"])];
        let prompt = format!("  Waiting for {}; type told or pass:", safe(role));
        match terminal.choose(&prompt, words).await {
            None => return closed(),
            Some(0) => {}
            Some(_) => return Reply::Nobody(format!("{} goes on without {role}", self.operator.name)),
        }
        let words: &[(&str, &[&str])] = &[("yes", &["y"]), ("no", &["n"]), ("unknown", &["u", "?"])];
        let prompt = format!("  {}? Type yes, no or unknown:", safe(&question.name));
        let Some(index) = terminal.choose(&prompt, words).await else {
            return closed();
        };
        loop {
            let Some(note) = self.console.ask("  Who told you, and how? (for the record)").await else {
                return closed();
            };
            if !note.is_empty() {
                let said = Observed {
                    yes: [Some(true), Some(false), None][index],
                    note: format!("in the place of {role}: {note}"),
                };
                return Reply::Given(said, self.operator.clone());
            }
        }
    }

    /// What somebody at another terminal said, and who; an error when it does not count.
    fn heard(&self, inquiry: &Inquiry, decided: &Decided) -> Result<(Person, Observed), String> {
        let said: Observed =
            serde_json::from_str(&decided.because).map_err(|_| "it is no answer to a question".to_owned())?;
        let person = self.directory.canonical(&decided.person);
        if let Some(because) = inquiry.bars(&self.directory, person) {
            return Err(because);
        }
        let person = self.believed(decided, &inquiry.digest(&said))?;
        Ok((person, said))
    }

    fn tries(&self, digest: &str, more: u32) -> u32 {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        let tries = wrong.entry(digest.to_owned()).or_default();
        *tries += more;
        *tries
    }
}

fn decided_by(person: &str, refused: Option<String>, proof: &str) -> Decided {
    Decided {
        person: person.to_owned(),
        approve: refused.is_none(),
        because: refused.unwrap_or_default(),
        proof: proof.to_owned(),
    }
}

fn given(decided: &Decided, person: Person) -> Reply<Decision> {
    let decision = if decided.approve {
        Decision::Approve
    } else {
        Decision::Refuse {
            because: decided.because.clone(),
        }
    };
    Reply::Given(decision, person)
}

impl People for Consulting {
    fn behind(&self) -> &dyn People {
        &*self.behind
    }

    fn approve<'a>(&'a self, request: &'a ApprovalRequest) -> BoxFuture<'a, Reply<Decision>> {
        Box::pin(self.consult(request))
    }

    fn answers_unattended(&self, question: &Observe) -> bool {
        question.by.is_some() || self.behind.answers_unattended(question)
    }

    fn observe<'a>(&'a self, question: &'a Observe) -> BoxFuture<'a, Reply<Observed>> {
        let here = |role: &str| {
            self.terminal
                .as_ref()
                .is_some_and(|terminal| terminal.role(role).is_ok())
        };
        match &question.by {
            Some(role) if !here(role) => Box::pin(self.inquire(question, role)),
            _ => self.behind.observe(question),
        }
    }

    fn not_counted<'a>(&'a self, person: &'a Person, because: &'a str) -> BoxFuture<'a, ()> {
        let line = format!(
            "  the approval of {} does not count: {}",
            safe(&person.name),
            safe(because)
        );
        self.console.styled(Style::Attention, &line);
        Box::pin(std::future::ready(()))
    }
}

/// What is said of the run elsewhere, behind its own way: whether somebody has acknowledged the incident.
pub struct Announced {
    /// Not held: whoever opened the journal closes it.
    pub store: std::sync::Weak<Store>,
    pub run: String,
    pub behind: Arc<dyn People>,
}

impl People for Announced {
    fn behind(&self) -> &dyn People {
        &*self.behind
    }

    fn acknowledged(&self) -> BoxFuture<'_, Option<String>> {
        Box::pin(async {
            // A look that fails is no acknowledgement: whoever is to be called is called.
            let entries = self.store.upgrade()?.entries(&self.run).await.ok()?;
            let last = entries.into_iter().rev().find_map(|entry| match entry.event {
                Some(Event::AlertAttached {
                    alert,
                    acknowledged: Some(acknowledged),
                    ..
                }) => Some((alert, acknowledged)),
                _ => None,
            });
            last.filter(|(_, acknowledged)| *acknowledged).map(|(alert, _)| alert)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::first;
    use futures::future::Either;
    use std::future::pending;
    use std::time::Duration;

    /// What is typed while a look at the store is under way is taken: the look lets go of the connection.
    #[tokio::test]
    async fn who_comes_second_holds_nothing_any_more() {
        let connection = tokio::sync::Mutex::new(());
        let (says_held, is_held) = tokio::sync::oneshot::channel();
        let looking = async {
            let _held = connection.lock().await;
            says_held.send(()).expect("somebody types");
            pending::<()>().await;
        };
        let typing = async {
            is_held.await.expect("the look is under way");
            "yes"
        };
        match first(typing, looking).await {
            Either::Left(typed) => {
                let taken = tokio::time::timeout(Duration::from_secs(20), connection.lock()).await;
                assert!(taken.is_ok(), "`{typed}` waits for a look that nobody goes on with");
            }
            Either::Right(()) => unreachable!("it never ends"),
        }
    }
}
