//! What happens after a step: take back or keep, tell, and where the run goes.

use super::call::Place;
use super::scope::Body;
use crate::diagnostic::Diagnostic;
use crate::program::{CallExpr, End, Outcome};
use crate::source::Span;
use crate::syntax::tree::{self, EndKind};

/// Which outcome it is: not every word is possible in each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    Failed,
    Unclear,
    NotApproved,
    /// Behind `else` of `require` and `wait until`.
    Guard,
}

impl Body<'_, '_> {
    /// An outcome as it is written. `in_cause`: there is a next cause.
    pub fn outcome(&mut self, written: &tree::Outcome, after: After, in_cause: bool) -> Outcome {
        if let Some(undo) = &written.undo
            && after != After::Failed
        {
            let (message, help) = match after {
                After::Unclear => (
                    "nobody knows what would be taken back",
                    "only the operator may choose to undo then; write `keep` or leave it out",
                ),
                After::NotApproved => ("nothing was changed", "leave `undo` out"),
                _ => ("a guard changes nothing", "leave `undo` out"),
            };
            self.report(Diagnostic::error("misplaced-clause", undo.span, message).help(help));
        }
        if let (Some(undo), Some(keep)) = (&written.undo, &written.keep) {
            self.report(
                Diagnostic::error(
                    "misplaced-clause",
                    keep.span,
                    "a change is taken back or kept, not both",
                )
                .and(undo.span, "taken back here"),
            );
        }
        let tells: Vec<CallExpr> = written
            .tells
            .iter()
            .filter_map(|tell| self.call(tell, Place::Tell))
            .map(|called| called.call)
            .collect();
        let end = match &written.end {
            None => End::Escalate,
            Some(end) => self.end(end, after, in_cause),
        };
        Outcome {
            undo: written.undo.is_some() && after == After::Failed,
            tells,
            end,
            written: true,
            span: written.span,
        }
    }

    fn end(&mut self, written: &tree::End, after: After, in_cause: bool) -> End {
        let unclear = after == After::Unclear;
        match &written.kind {
            EndKind::NextCause | EndKind::NextStep if unclear => {
                self.report(
                    Diagnostic::error(
                        "misplaced-clause",
                        written.span,
                        "the run cannot go on while an effect is unclear",
                    )
                    .help("write `escalate` or `stop \"…\"`"),
                );
                End::Escalate
            }
            EndKind::NextCause => {
                if !in_cause {
                    self.report(
                        Diagnostic::error("misplaced-clause", written.span, "there is no next cause here")
                            .help("outside a branch write `next step`, `escalate` or `stop \"…\"`"),
                    );
                }
                End::NextCause
            }
            EndKind::NextStep => End::NextStep,
            EndKind::Escalate => End::Escalate,
            EndKind::Stop(reason) => End::Stop(self.template(reason)),
        }
    }

    /// The default of an outcome that is not written.
    pub fn default_outcome(span: Span) -> Outcome {
        Outcome {
            undo: false,
            tells: Vec::new(),
            end: End::Escalate,
            written: false,
            span,
        }
    }
}
