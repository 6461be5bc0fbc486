//! What tells whether a change in doubt happened: the check that its operation names (class V), asked of the target.

use super::questions::Noted;
use super::send::Verdict;
use super::state::Run;
use super::{Frame, Way};
use crate::eval::{self, Scope};
use crate::journal::Event;
use crate::journal::event::Fate;
use crate::value::{Answer, Value};
use std::sync::Arc;
use std::time::Duration;

impl Run {
    /// Asks the check of a verifiable operation what came of the change with this intent. `None`: there is none, or it does not know.
    ///
    /// What it reads is no step of the runbook and not recorded as one: what came of it stands in the verdict.
    pub async fn look_up(
        &self,
        intent: &str,
        operation: &str,
        arguments: &[(Arc<str>, Value)],
    ) -> Way<Option<Verdict>> {
        let Some(verification) = self.program.verifications.get(operation) else {
            return Ok(None);
        };
        // A scope that nothing recorded has, so that no answer of the runbook is taken for one of these.
        let scope = format!("{intent} in doubt");
        let mut frame = Frame::new(self, &verification.book, scope.clone(), 1, Duration::MAX);
        frame.set_parameters(
            arguments
                .iter()
                .map(|(name, value)| (name.to_string(), value.clone()))
                .collect(),
        );
        self.world.screen.waiting(&format!("`{}`", verification.check), None);
        // Reads alone: nobody is asked whether a heavy one may be made.
        let asking = frame.asking(frame.fresh);
        let targets = [verification.question];
        let mut noted = Vec::new();
        let asked = frame
            .context
            .wave(&mut frame.slots, &targets, &asking, &mut noted)
            .await;
        self.world.screen.done_waiting();
        self.forget_evidence(&scope);
        asked?;
        let fate = match eval::answer(&frame.view().binding(verification.question)) {
            Answer::Yes => Fate::Done,
            Answer::No => Fate::NotDone,
            Answer::Unknown => return Ok(None),
        };
        Ok(Some(Verdict {
            fate,
            how: format!("its check `{}`", verification.check),
            by: None,
            note: seen(noted),
        }))
    }
}

/// What the check saw, in words.
fn seen(noted: Vec<Noted>) -> String {
    let parts = noted.into_iter().filter_map(|noted| match noted {
        Noted::Event(Event::Answered { evidence, .. }) => Some(evidence),
        _ => None,
    });
    let parts: Vec<String> = parts
        .flatten()
        .map(|part| match part.actual.as_str() {
            "" => format!("{}: {}", part.text, part.answer.word()),
            actual => format!("{}: {} ({actual})", part.text, part.answer.word()),
        })
        .collect();
    parts.join("; ")
}
