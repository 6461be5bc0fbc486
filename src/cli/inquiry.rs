//! A question to somebody who is not at the terminal of the run, as it waits there for an answer.

use super::console::Console;
use super::consult::Directory;
use super::request;
use crate::engine::world::{Observe, Observed};
use crate::render::safe::safe;
use crate::secrets::redact;
use serde::{Deserialize, Serialize};

/// What is asked, by whom and of whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inquiry {
    pub run: String,
    pub environment: String,
    /// The operator of the run.
    pub requester: String,
    /// The name of the question in the runbook.
    pub name: String,
    pub question: String,
    pub prose: Vec<String>,
    /// Who is asked.
    pub role: String,
}

impl Inquiry {
    /// What this run asks, as it may be written down.
    pub fn new(run: &str, environment: &str, requester: &str, role: &str, question: &Observe) -> Self {
        Self {
            run: run.to_owned(),
            environment: environment.to_owned(),
            requester: requester.to_owned(),
            name: question.name.clone(),
            question: redact(&question.question).into_owned(),
            prose: question.prose.iter().map(|line| redact(line).into_owned()).collect(),
            role: role.to_owned(),
        }
    }

    /// SHA-256 (hex) over the question together with what was said to it: a signature under one answer is none under another.
    pub fn digest(&self, said: &Observed) -> String {
        crate::engine::digest::of(&("starr answer 1", self, said))
    }

    /// Why this person (one name, not a login) cannot answer, if so.
    pub fn bars(&self, directory: &Directory, person: &str) -> Option<String> {
        let role = &self.role;
        (!directory.has(person, role)).then(|| format!("{person} does not have the role {role} in this environment"))
    }

    /// The question as every terminal shows it.
    pub fn show(&self, console: &Console) {
        request::heading(console, &self.question);
        request::prose(console, &self.prose);
        console.line(&format!("  asked of {}", safe(&self.role)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_signature_under_one_answer_is_none_under_another() {
        let question = Observe {
            name: "agreed".to_owned(),
            question: "Does the lead agree?".to_owned(),
            prose: Vec::new(),
            by: Some("lead".to_owned()),
            deadline: Duration::from_secs(60),
        };
        let said = |yes, note: &str| Observed {
            yes,
            note: note.to_owned(),
        };
        let digests: std::collections::BTreeSet<String> = [
            ("r1", said(Some(true), "")),
            ("r1", said(Some(false), "")),
            ("r1", said(None, "")),
            ("r1", said(Some(true), "by mail")),
            ("r2", said(Some(true), "")),
        ]
        .iter()
        .map(|(run, said)| Inquiry::new(run, "production", "ann", "lead", &question).digest(said))
        .collect();
        assert_eq!(digests.len(), 5);
    }
}
