//! Runbooks that run other runbooks: one clock and one severity, the outermost run's.

use super::frame::Context;
use super::{Finish, Frame, Leave, Outcome, Way, limits};
use crate::journal::Event;
use crate::program::RunbookId;
use crate::value::{Reason, Value};
use futures::future::BoxFuture;

impl Context<'_> {
    /// Runs another runbook to its end. Resolved is yes, ended otherwise no, in doubt unknown.
    pub fn run_child<'a>(
        &'a self,
        id: RunbookId,
        arguments: Vec<(String, Value)>,
        name: &'a str,
    ) -> BoxFuture<'a, Way<Value>> {
        Box::pin(async move {
            let run = self.run;
            let Some(book) = run.program.runbooks.get(id.0) else {
                return Ok(Value::unknown(Reason::Internal, "no such runbook"));
            };
            if self.depth >= limits::DEPTH {
                return Ok(Value::unknown(
                    Reason::Internal,
                    "runbooks are called more than four deep",
                ));
            }
            let scope = if self.scope.is_empty() {
                name.to_owned()
            } else {
                format!("{}.{name}", self.scope)
            };
            run.record(
                &self.scope,
                Event::ChildStarted {
                    runbook: book.name.clone(),
                    scope: scope.clone(),
                },
            )
            .await?;
            if let Some(outcome) = run.world.people.ran(&scope) {
                let ended = Event::ChildEnded {
                    runbook: book.name.clone(),
                    scope,
                    outcome: outcome.word().to_owned(),
                };
                run.record(&self.scope, ended).await?;
                return Ok(answer(&outcome, "it ended in doubt".to_owned()));
            }
            let end = run.elapsed().saturating_add(book.header.timebox).min(self.timebox_end);
            let mut frame = Frame::new(run, book, scope.clone(), self.depth + 1, end);
            let doubts = run.shared().in_doubt.len();
            let planned = run.shared().planned.len();
            let mut finish = match frame.go(arguments).await {
                Ok(()) => Finish::Reached,
                Err(Leave::End(finish)) => finish,
                Err(halt @ Leave::Halt(_)) => return Err(halt),
            };
            let decided = loop {
                // These end the whole run.
                if matches!(finish, Finish::Interrupted | Finish::UndoFailed(_)) {
                    return Err(Leave::End(finish));
                }
                match frame.decide_end(finish).await {
                    Ok(decided) => break decided,
                    Err(Leave::End(next)) => finish = next,
                    Err(halt @ Leave::Halt(_)) => return Err(halt),
                }
            };
            let in_doubt = run
                .shared()
                .in_doubt
                .get(doubts..)
                .map(<[_]>::to_vec)
                .unwrap_or_default();
            let decided = frame.first_that_applies(decided, &in_doubt);
            frame.reflection(false).await?;
            run.record(
                &self.scope,
                Event::ChildEnded {
                    runbook: book.name.clone(),
                    scope,
                    outcome: decided.outcome.word().to_owned(),
                },
            )
            .await?;
            if run.shared().planned.len() > planned {
                return Ok(Value::unknown(Reason::NotApplied, "a dry run changes nothing"));
            }
            Ok(answer(&decided.outcome, decided.reason))
        })
    }
}

/// What the end of a called runbook says to the one that runs it.
fn answer(outcome: &Outcome, reason: String) -> Value {
    match outcome {
        Outcome::Resolved => Value::Bool(true),
        Outcome::InDoubt => Value::unknown(Reason::Unavailable, reason),
        Outcome::Refused | Outcome::Escalated | Outcome::Stopped(_) | Outcome::NotPresent => Value::Bool(false),
    }
}
