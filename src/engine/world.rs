//! The one bundle through which the outside enters a run. A scenario, a dry run and a live run differ only in their world.

use crate::journal::Journal;
use crate::journal::event::{Event, Fate, Person, PlannedCall, Shown};
use crate::provider::gate::Gate;
use crate::value::{Reason, Value};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// What a run can see and do.
#[derive(Clone)]
pub struct World {
    pub gate: Arc<Gate>,
    pub people: Arc<dyn People>,
    pub journal: Arc<dyn Journal>,
    pub clock: Arc<dyn Clock>,
    pub randomness: Arc<dyn Randomness>,
    /// Shows progress; never decides anything.
    pub screen: Arc<dyn Screen>,
    pub environment: Environment,
    /// Who is who, and what consent rests on besides people.
    pub consent: Consent,
    /// Set by Ctrl-C: nothing new begins; the run stops between effects.
    pub interrupt: tokio::sync::watch::Receiver<bool>,
}

/// What consent rests on besides the people who give it.
#[derive(Clone, Default)]
pub struct Consent {
    /// The one name of a person, by every login and alias the configuration knows.
    pub identities: BTreeMap<String, String>,
    /// The roles of each person; `None` where whoever answers vouches for the role, as in a scenario.
    pub roles: Option<BTreeMap<String, Vec<String>>>,
    /// The texts as they are now; `None` where they cannot change, as in a scenario.
    pub texts: Option<Arc<dyn Texts>>,
    /// An override that is asked for at the start of the run.
    pub emergency: Option<super::consent::Emergency>,
}

impl Consent {
    /// The person whom the configuration means by this login or alias; the name itself when it knows none.
    pub fn canonical<'a>(&'a self, name: &'a str) -> &'a str {
        self.identities.get(name).map_or(name, String::as_str)
    }
}

/// The texts of a program as they are now, where they came from.
pub trait Texts: Send + Sync {
    /// SHA-256 (hex) of a text; `None` for one that is no file. An error says why a file cannot be read.
    fn digest(&self, name: &str) -> Result<Option<String>, String>;
}

/// Facts of the environment a run needs, from `starr.yaml` or the embedded default.
#[derive(Clone, Debug)]
pub struct Environment {
    pub name: String,
    pub operator: Person,
    /// Severity names, worst first.
    pub severities: Vec<String>,
    pub default_severity: String,
    /// What made it start, such as an alert.
    pub occasion: Option<String>,
    /// No person is there: nobody is asked, approvals are refused unless given beforehand.
    pub unattended: bool,
    pub dry_run: bool,
    pub host: String,
    /// Fields of resources, by kind and name.
    pub resources: BTreeMap<(String, String), BTreeMap<String, Value>>,
}

impl Environment {
    /// SHA-256 (hex) over what it says to a runbook: severities, and the fields of resources.
    pub fn digest(&self) -> String {
        let resources: Vec<_> = self
            .resources
            .iter()
            .flat_map(|(resource, fields)| fields.iter().map(move |field| (resource, field)))
            .map(|(resource, (name, value))| (resource, name, crate::value::tagged::to_json(value)))
            .collect();
        super::digest::of(&(&self.name, &self.severities, &self.default_severity, resources))
    }

    /// A field of a resource; unknown when the environment does not say it.
    pub fn resource(&self, kind: &str, name: &str, field: &str) -> Value {
        self.resources
            .get(&(kind.to_owned(), name.to_owned()))
            .and_then(|fields| fields.get(field))
            .cloned()
            .unwrap_or_else(|| {
                Value::unknown(
                    Reason::Unavailable,
                    format!("this environment does not say the {field} of {kind} {name}"),
                )
            })
    }
}

/// Time. Order and validity never rest on wall time alone.
pub trait Clock: Send + Sync {
    /// Wall time, for people.
    fn now(&self) -> jiff::Timestamp;
    /// Time since an arbitrary start that never goes back; deadlines and intervals use this.
    fn elapsed(&self) -> Duration;
    /// Resolves after `duration`.
    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()>;
}

/// Random bytes, for ids, keys and salts.
pub trait Randomness: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, bytes: &mut [u8]);
}

/// The run's display. Gets every event after it is durable, and progress that is not recorded.
pub trait Screen: Send + Sync {
    /// An event was recorded, in this scope (`child.` prefix for called runbooks, empty for the outermost).
    fn event(&self, scope: &str, event: &Event);
    /// Something is being waited for; `until` is how long at most.
    fn waiting(&self, what: &str, until: Option<Duration>);
    /// The waiting is over.
    fn done_waiting(&self);
}

/// The people of a run. Implementations: the terminal, an unattended world, a scenario's `operator`. What an implementation does not
/// answer itself is asked of those behind it. The engine enforces every deadline; an implementation may be dropped at any await.
pub trait People: Send + Sync {
    /// Who is asked what this implementation leaves out.
    fn behind(&self) -> &dyn People {
        &NOBODY
    }
    /// `observed`: yes, no, or "I do not know" (`None`).
    fn observe<'a>(&'a self, question: &'a Observe) -> BoxFuture<'a, Reply<Observed>> {
        self.behind().observe(question)
    }
    /// Whether [`People::observe`] is of use in an unattended run too: the answer was given before the run, or is asked for elsewhere.
    fn answers_unattended(&self, question: &Observe) -> bool {
        self.behind().answers_unattended(question)
    }
    /// `ask NAME`.
    fn ask<'a>(&'a self, question: &'a Ask) -> BoxFuture<'a, Reply<Answered>> {
        self.behind().ask(question)
    }
    /// An approval. The refusal may have a reason.
    fn approve<'a>(&'a self, request: &'a ApprovalRequest) -> BoxFuture<'a, Reply<Decision>> {
        self.behind().approve(request)
    }
    /// A `manual` step: done, or not.
    fn manual<'a>(&'a self, order: &'a ManualOrder) -> BoxFuture<'a, Reply<Ticked>> {
        self.behind().manual(order)
    }
    /// An unknown answer stands in the way of a cause.
    fn unknown<'a>(&'a self, choice: &'a UnknownChoice) -> BoxFuture<'a, Reply<OnUnknown>> {
        self.behind().unknown(choice)
    }
    /// An action's effect is unclear: keep, or take back.
    fn unclear<'a>(&'a self, choice: &'a UnclearChoice) -> BoxFuture<'a, Reply<OnUnclear>> {
        self.behind().unclear(choice)
    }
    /// A heavy read: allowed once per run.
    fn heavy<'a>(&'a self, operation: &'a str) -> BoxFuture<'a, Reply<bool>> {
        self.behind().heavy(operation)
    }
    /// A question of the reflection; an empty answer is none.
    fn reflect<'a>(&'a self, question: &'a str) -> BoxFuture<'a, Reply<Option<String>>> {
        self.behind().reflect(question)
    }
    /// Somebody else holds the lock of a target that is to be changed.
    fn held<'a>(&'a self, held: &'a HeldLock) -> BoxFuture<'a, Reply<OnHeld>> {
        self.behind().held(held)
    }
    /// A decision of the last request does not count, with the reason; shown to whoever made it.
    fn not_counted<'a>(&'a self, person: &'a Person, because: &'a str) -> BoxFuture<'a, ()> {
        self.behind().not_counted(person, because)
    }
    /// How a runbook that this one runs ended, where somebody else has run it: then it is not run. A scenario says so; in a real
    /// run nobody has. `scope` is the path of the call, `child.grandchild`.
    fn ran(&self, scope: &str) -> Option<super::Outcome> {
        self.behind().ran(scope)
    }
    /// What was said by whoever has acknowledged the incident where it was announced, as it stands now; `None`: nobody has, or it was taken
    /// back. What cannot be looked up is no acknowledgement.
    fn acknowledged(&self) -> BoxFuture<'_, Option<String>> {
        self.behind().acknowledged()
    }
    /// A change was intended and nothing is recorded of what came of it; `None` leaves it in doubt.
    fn in_doubt<'a>(&'a self, doubt: &'a InDoubt) -> BoxFuture<'a, Reply<Option<Fate>>> {
        self.behind().in_doubt(doubt)
    }
}

/// Nobody is there, with the reason.
pub struct Nobody {
    pub reason: Cow<'static, str>,
}

/// Behind everybody.
static NOBODY: Nobody = Nobody {
    reason: Cow::Borrowed("nobody is there to answer"),
};

impl Nobody {
    fn reply<'a, T: Send + 'a>(&'a self) -> BoxFuture<'a, Reply<T>> {
        Box::pin(std::future::ready(Reply::Nobody(self.reason.clone().into_owned())))
    }
}

impl People for Nobody {
    fn observe<'a>(&'a self, _: &'a Observe) -> BoxFuture<'a, Reply<Observed>> {
        self.reply()
    }

    fn answers_unattended(&self, _: &Observe) -> bool {
        false
    }

    fn ask<'a>(&'a self, _: &'a Ask) -> BoxFuture<'a, Reply<Answered>> {
        self.reply()
    }

    fn approve<'a>(&'a self, _: &'a ApprovalRequest) -> BoxFuture<'a, Reply<Decision>> {
        self.reply()
    }

    fn manual<'a>(&'a self, _: &'a ManualOrder) -> BoxFuture<'a, Reply<Ticked>> {
        self.reply()
    }

    fn unknown<'a>(&'a self, _: &'a UnknownChoice) -> BoxFuture<'a, Reply<OnUnknown>> {
        self.reply()
    }

    fn unclear<'a>(&'a self, _: &'a UnclearChoice) -> BoxFuture<'a, Reply<OnUnclear>> {
        self.reply()
    }

    fn heavy<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Reply<bool>> {
        self.reply()
    }

    fn reflect<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Reply<Option<String>>> {
        self.reply()
    }

    fn held<'a>(&'a self, _: &'a HeldLock) -> BoxFuture<'a, Reply<OnHeld>> {
        self.reply()
    }

    fn not_counted<'a>(&'a self, _: &'a Person, _: &'a str) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }

    fn ran(&self, _: &str) -> Option<super::Outcome> {
        None
    }

    fn acknowledged(&self) -> BoxFuture<'_, Option<String>> {
        Box::pin(std::future::ready(None))
    }

    fn in_doubt<'a>(&'a self, _: &'a InDoubt) -> BoxFuture<'a, Reply<Option<Fate>>> {
        self.reply()
    }
}

/// A change that may or may not have happened, because the run ended before its result was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InDoubt {
    /// The intent.
    pub id: String,
    pub action: String,
    /// What it was for, in words.
    pub order: String,
    pub operation: String,
    /// Idempotence class.
    pub class: char,
    /// As shown.
    pub arguments: Vec<(String, String)>,
    pub targets: Vec<String>,
    /// When the intent was recorded.
    pub intended: jiff::Timestamp,
}

/// A person's reply.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply<T> {
    Given(T, Person),
    /// There is nobody to ask (no terminal, unattended), with the reason in words.
    Nobody(String),
}

#[derive(Clone, Debug)]
pub struct Observe {
    pub name: String,
    pub question: String,
    pub prose: Vec<String>,
    /// A role other than the operator of the run.
    pub by: Option<String>,
    pub deadline: Duration,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// `None`: the person does not know.
    pub yes: Option<bool>,
    pub note: String,
}

#[derive(Clone, Debug)]
pub struct Ask {
    pub name: String,
    pub question: String,
    /// Empty: free text.
    pub choices: Vec<String>,
    pub deadline: Duration,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    pub text: String,
    /// Which of the choices, when there were any.
    pub choice: Option<usize>,
}

/// Everything that stands beside a decision, in words and values. All texts may hold foreign data: escape before showing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApprovalRequest {
    pub action: String,
    /// The order as shown: "End 14 sessions that are idle in a transaction".
    pub order: String,
    pub prose: Vec<String>,
    pub risk: String,
    pub roles: Vec<String>,
    /// The role this decision is for.
    pub role: String,
    pub digest: String,
    pub calls: Vec<PlannedCall>,
    /// `seeing` and the arguments' lists, as shown.
    pub seeing: Vec<(String, Shown)>,
    /// Why this cause: its statement, the answers it rests on, and its implied part.
    pub because: Vec<String>,
    /// What happens on approval, when it works, fails, is unclear or is refused; what is undone; whether the list is frozen.
    pub consequences: Vec<String>,
    pub deadline: Duration,
    /// The approver must type this instead of `yes` (destructive actions).
    pub typed: Option<String>,
    /// Whose approval does not count here, with the reason: who has approved already, who asked for it.
    pub excluded: Vec<(String, String)>,
    /// What the digest is over.
    pub material: Box<super::consent::Material>,
}

impl ApprovalRequest {
    /// The roles of which one is needed: the one it is for, or each of `a or b`. Empty: no role, as for an override.
    pub fn acceptable(&self) -> Vec<&str> {
        if self.roles.contains(&self.role) {
            vec![&self.role]
        } else {
            self.roles.iter().map(String::as_str).collect()
        }
    }

    /// Why the approval of this person (one name, not a login) does not count.
    pub fn excludes(&self, person: &str) -> Option<&str> {
        self.excluded
            .iter()
            .find(|(excluded, _)| excluded == person)
            .map(|(_, because)| because.as_str())
    }
}

/// Somebody else holds the lock of a target. All texts come from outside: escape before showing.
#[derive(Clone, Debug)]
pub struct HeldLock {
    /// `postgres orders`
    pub target: String,
    /// Who has it.
    pub holder: String,
    /// Since when; empty when the target does not say.
    pub since: String,
    /// The order that has to wait for it.
    pub order: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnHeld {
    /// Look again.
    Wait,
    /// The other run loses it, and changes nothing there any more.
    TakeOver {
        because: String,
    },
    GiveUp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Approve,
    Refuse { because: String },
}

#[derive(Clone, Debug)]
pub struct ManualOrder {
    pub name: String,
    pub order: String,
    pub prose: Vec<String>,
    pub deadline: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticked {
    pub done: bool,
    pub note: String,
}

#[derive(Clone, Debug)]
pub struct UnknownChoice {
    /// What is to be decided: the branch's question.
    pub branch: String,
    /// The cause that cannot be decided, its statement.
    pub cause: String,
    /// The questions without an answer: name, question, why unknown.
    pub unknown: Vec<(String, String, String)>,
    /// What the `cannot tell` arm does, in words.
    pub cannot_tell: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    Retry,
    /// The person answers the question of this name; recorded as such.
    AnswerByHand {
        name: String,
        yes: bool,
        note: String,
    },
    CannotTell,
}

#[derive(Clone, Debug)]
pub struct UnclearChoice {
    pub action: String,
    pub order: String,
    pub why: String,
    pub undo_possible: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnclear {
    Keep,
    Undo,
}
