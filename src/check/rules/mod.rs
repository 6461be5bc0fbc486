//! The rules: what is found without running, one page each.
//!
//! Every finding of the parser and the checker has the id of a row of [`RULES`]. The rules of this folder look at a whole
//! tree ([`tree()`]) or a whole program; those that need a single clause or expression are found where it is checked.

mod causes;
mod conditions;
mod evidence;
#[cfg(test)]
mod fixture;
mod goal;
mod structure;
mod timebox;
mod truth;

use crate::diagnostic::{Diagnostic, Level};
use crate::program::{Program, Risk, Runbook, Step, StepKind};
use crate::source::Span;
use crate::syntax::tree;
use std::collections::BTreeSet;

/// A rule: a kind of finding, with its page.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// `series-without-for`
    pub id: &'static str,
    pub level: Level,
    /// One sentence: what it finds. The page begins with the same sentence.
    pub summary: &'static str,
    /// The page in Markdown: *Avoid*, *Prefer*, *Why*.
    pub page: &'static str,
}

macro_rules! rule {
    ($id:literal, $level:ident, $summary:literal) => {
        Rule {
            id: $id,
            level: Level::$level,
            summary: $summary,
            page: include_str!(concat!("../../../docs/rules/", $id, ".md")),
        }
    };
}

/// Every rule, in the order of the index page.
#[rustfmt::skip]
pub const RULES: &[Rule] = &[
    rule!("effect-in-check", Error, "A question changes something, or a change stands outside an action."),
    rule!("undeclared-effect", Error, "The body reads, changes, tells or runs something that the header does not list."),
    rule!("unused-effect", Warning, "The header lists something that the body does not do."),
    rule!("missing-undo", Error, "An action does not say how its change is taken back."),
    rule!("missing-verify", Error, "Nobody looks whether an action had its effect."),
    rule!("missing-failed", Error, "An action does not say what happens when it fails."),
    rule!("unbounded-action", Error, "An action changes a list of targets and no line limits how many."),
    rule!("weak-approval", Error, "A change of high risk can be approved by one person."),
    rule!("unit-mismatch", Error, "Two quantities of different kinds are compared or added."),
    rule!("bare-quantity", Error, "A number without a unit stands where a quantity with a unit belongs."),
    rule!("unknown-unit", Error, "A number is followed by letters that are not a unit."),
    rule!("series-without-for", Error, "One sample of a series would decide an answer."),
    rule!("for-on-snapshot", Error, "A value of one moment is asked how long it has held."),
    rule!("reply-as-probe", Error, "A plain read asks whether something answers, so that \"no answer\" can never mean no."),
    rule!("verify-is-goal", Warning, "An action that may be taken back is verified by the goal, although another cause can keep the goal from holding."),
    rule!("missing-otherwise", Error, "A branch does not say what happens when no cause is left."),
    rule!("missing-cannot-tell", Error, "A choice does not say what happens when an answer is unknown."),
    rule!("missing-severity", Error, "The severity rows leave a case without a severity."),
    rule!("shadowed-cause", Error, "A cause is never reached, because whenever it holds an earlier one holds and ends the run."),
    rule!("contradiction", Error, "A condition can never be a definite yes."),
    rule!("overlapping-causes", Warning, "Two causes draw overlapping limits on the same value, and neither includes the other."),
    rule!("gap-in-causes", Warning, "Between two limits lies a range of values that no cause covers."),
    rule!("causes-not-checked", Note, "A branch asks too many things at once for its causes to be compared."),
    rule!("unreachable-step", Error, "A step stands behind one that always ends the run."),
    rule!("call-cycle", Error, "Runbooks run each other in a circle."),
    rule!("beyond-timebox", Error, "A cause, or a verification, cannot be finished in the time it is given."),
    rule!("secret-in-sink", Error, "A secret would be shown or sent where others can read it."),
    rule!("braces-in-text", Error, "Braces in double quotes do not hold a name."),
    rule!("unused-evidence", Warning, "A question is asked and nothing looks at its answer."),
    rule!("action-before-check", Warning, "The first thing that the runbook does is a change, before it has asked anything."),
    rule!("untested-cause", Warning, "No scenario of this file reaches a cause."),
    rule!("stale-review", Warning, "The last review is older than the time for which it is valid."),
    rule!("no-prevention", Warning, "A runbook that changes something names nothing that would make it unnecessary."),
    rule!("no-question", Warning, "A runbook that changes something asks the people nothing afterwards."),
    rule!("title-style", Note, "A title is not worded as its construct reads: checks ask, causes state, actions order."),
    rule!("unknown-name", Error, "A name, type, module or provider does not exist, or is not known at this place."),
    rule!("unknown-field", Error, "A value has no field of this name."),
    rule!("unknown-operation", Error, "A provider has no operation of this name."),
    rule!("unknown-value", Error, "A word is not one of those that are possible here."),
    rule!("wrong-arguments", Error, "A call gives too many, too few, or other arguments than are asked for."),
    rule!("type-mismatch", Error, "A value of one type stands where another is due."),
    rule!("optional-value", Error, "A value that may be missing is used as if it were there."),
    rule!("nested-list-operation", Error, "A list operation stands inside another one."),
    rule!("bad-pattern", Error, "A pattern in backticks is not a regular expression that can be used."),
    rule!("unknown-resource-type", Error, "A call names a type of resource, or an action of one, that there is not."),
    rule!("not-constant", Error, "A time or number must be known before the run, and is not."),
    rule!("too-large", Error, "Something is larger or deeper than a runbook can be."),
    rule!("misplaced-clause", Error, "A clause stands where it does not belong."),
    rule!("duplicate-clause", Error, "A clause that may stand once stands twice."),
    rule!("missing-clause", Error, "A clause that must stand here is missing."),
    rule!("duplicate-name", Error, "Two things in one file have the same name."),
    rule!("import-cycle", Error, "Modules use each other in a circle."),
    rule!("type-cycle", Error, "A record or resource contains itself."),
    rule!("hidden-text", Error, "The file holds characters that cannot be seen or that change the order in which text is shown."),
    rule!("mixed-script", Error, "A name mixes letters of different scripts, so that it can look like another one."),
    rule!("syntax", Error, "The text does not follow the grammar."),
    rule!("file-size", Error, "The file is larger than 1 MiB."),
    rule!("encoding", Error, "The file is not valid UTF-8."),
];

/// There is no rule of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSuchRule {
    /// The rule that was probably meant.
    pub meant: Option<&'static str>,
}

/// The rule of this id; for a misspelt one, the id that comes nearest.
pub fn find(id: &str) -> Result<&'static Rule, NoSuchRule> {
    if let Some(rule) = RULES.iter().find(|rule| rule.id == id) {
        return Ok(rule);
    }
    // Ids are short; a long text is not a misspelt one and would only cost time.
    let ids: Vec<&'static str> = RULES.iter().map(|rule| rule.id).collect();
    let wanted: String = id.chars().take(60).flat_map(char::to_lowercase).collect();
    let wanted = wanted.replace(['_', ' '], "-");
    let meant = similar::get_close_matches(wanted.as_str(), &ids, 1, 0.6)
        .first()
        .copied();
    Err(NoSuchRule { meant })
}

/// The page of a rule, in Markdown.
pub fn explain(id: &str) -> Option<&'static str> {
    find(id).ok().map(|rule| rule.page)
}

/// Findings that need only the tree. `tests` are the files with its scenarios, itself among them; none when they are not looked
/// at. `today` is the day on which a review is judged; without it none is.
pub fn tree(file: &tree::File, tests: &[&tree::File], today: Option<jiff::civil::Date>, found: &mut Vec<Diagnostic>) {
    structure::check(file, tests, today, found);
}

/// Findings that need a checked program.
pub fn program(program: &Program, found: &mut Vec<Diagnostic>) {
    causes::check(program, found);
    goal::check(program, found);
    timebox::check(program, found);
    evidence::check(program, found);
    weak_approvals(program, found);
}

/// The approvals of actions whose risk and approvers come from different places: a library's action with clauses replaced.
fn weak_approvals(program: &Program, found: &mut Vec<Diagnostic>) {
    for runbook in &program.runbooks {
        let sites = sites(runbook);
        for (action, site) in runbook.actions.iter().zip(sites) {
            let Some(approve) = &action.approve else { continue };
            let distinct: BTreeSet<&String> = approve.roles.iter().collect();
            if action.risk < Risk::High || (approve.all && distinct.len() > 1) {
                continue;
            }
            let inside = |span: Span| span.file == site.file && span.start >= site.start && span.end <= site.end;
            // Where both lines stand in one block, the tree's rule has said so at the exact place.
            if found
                .iter()
                .any(|diagnostic| diagnostic.rule == "weak-approval" && inside(diagnostic.span))
            {
                continue;
            }
            found.push(
                Diagnostic::error("weak-approval", site, "one person can approve a change of high risk")
                    .label(format!("`{}` is of high risk", action.name))
                    .help("name two roles that must both approve, for example `approve by oncall and dba`"),
            );
        }
    }
}

/// Where each action stands among the steps, by its id. A library's action has its own lines in another file; what is wrong
/// with its use is shown where it is used.
fn sites(runbook: &Runbook) -> Vec<Span> {
    fn collect(steps: &[Step], sites: &mut [Span]) {
        for step in steps {
            match &step.kind {
                StepKind::Action(id) => sites[id.0] = step.span,
                StepKind::Branch(branch) => {
                    branch.causes.iter().for_each(|cause| collect(&cause.steps, sites));
                    collect(&branch.otherwise, sites);
                    collect(&branch.cannot_tell, sites);
                }
                StepKind::Each(each) => collect(&each.steps, sites),
                _ => {}
            }
        }
    }
    let mut sites: Vec<Span> = runbook.actions.iter().map(|action| action.span).collect();
    collect(&runbook.steps, &mut sites);
    sites
}

/// A place in the file of `site`, or else `site` itself.
fn place(span: Span, site: Span) -> Span {
    if span.file == site.file { span } else { site }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_pages_begin_with_id_and_summary() {
        for (index, rule) in RULES.iter().enumerate() {
            assert!(
                RULES[..index].iter().all(|other| other.id != rule.id),
                "{} twice",
                rule.id
            );
            let mut paragraphs = rule.page.split("\n\n");
            assert_eq!(paragraphs.next(), Some(format!("# {}", rule.id).as_str()));
            assert_eq!(
                paragraphs.next().map(|text| text.replace('\n', " ")).as_deref(),
                Some(rule.summary)
            );
        }
    }

    #[test]
    fn a_misspelt_id_is_answered_with_the_nearest() {
        assert_eq!(find("verify-is-goal").map(|rule| rule.level), Ok(Level::Warning));
        assert_eq!(
            find("Series_without_for").map(|rule| rule.id),
            Err(NoSuchRule {
                meant: Some("series-without-for")
            })
        );
        assert_eq!(
            find("shadow-cause").map(|rule| rule.id),
            Err(NoSuchRule {
                meant: Some("shadowed-cause")
            })
        );
        assert_eq!(find("zzz").map(|rule| rule.id), Err(NoSuchRule { meant: None }));
    }
}
