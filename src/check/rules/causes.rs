//! Causes of a branch, and rows of a severity, compared with one another by truth tables.

use super::conditions::Reader;
use super::truth::{Cell, Condition, SubjectId, Subjects, TooMany};
use crate::diagnostic::Diagnostic;
use crate::program::{Branch, Cause, End, Expr, Program, Runbook, SeverityWhen, Step, StepKind};

/// Compares the causes of every branch and the rows of the severity.
pub fn check(program: &Program, found: &mut Vec<Diagnostic>) {
    for runbook in &program.runbooks {
        severity(program, runbook, found);
        steps(program, runbook, &runbook.steps, found);
    }
}

fn steps(program: &Program, runbook: &Runbook, list: &[Step], found: &mut Vec<Diagnostic>) {
    for step in list {
        match &step.kind {
            StepKind::Branch(branch) => {
                compare(program, runbook, branch, found);
                for cause in &branch.causes {
                    steps(program, runbook, &cause.steps, found);
                }
                steps(program, runbook, &branch.otherwise, found);
                if !branch.merged {
                    steps(program, runbook, &branch.cannot_tell, found);
                }
            }
            StepKind::Each(each) => steps(program, runbook, &each.steps, found),
            _ => {}
        }
    }
}

/// True when these steps always end the run.
pub fn ends(list: &[Step]) -> bool {
    list.iter().any(|step| match &step.kind {
        StepKind::Escalate | StepKind::Stop(_) => true,
        StepKind::Branch(branch) => {
            branch.causes.iter().all(|cause| ends(&cause.steps))
                && ends(&branch.otherwise)
                && (branch.merged || ends(&branch.cannot_tell))
        }
        _ => false,
    })
}

/// True when an outcome among these steps asks the branch again.
fn hands_over(runbook: &Runbook, list: &[Step]) -> bool {
    let next = |end: &End| matches!(end, End::NextCause);
    list.iter().any(|step| match &step.kind {
        StepKind::Action(id) => {
            let action = runbook.action(*id);
            next(&action.failed.end) || next(&action.unclear.end) || next(&action.not_approved.end)
        }
        StepKind::Require { otherwise, .. } | StepKind::Wait { otherwise, .. } => next(&otherwise.end),
        StepKind::Each(each) => hands_over(runbook, &each.steps),
        _ => false,
    })
}

fn compare(program: &Program, runbook: &Runbook, branch: &Branch, found: &mut Vec<Diagnostic>) {
    let result = (|| {
        let mut reader = Reader::new(program, runbook);
        let conditions: Vec<Condition> = branch
            .causes
            .iter()
            .map(|cause| reader.condition(&cause.when))
            .collect::<Result<_, _>>()?;
        let subjects = reader.subjects;
        // A cause is final when the run ends in its arm, so that no later one is asked.
        let last: Vec<bool> = branch
            .causes
            .iter()
            .map(|cause| (branch.once || ends(&cause.steps)) && !hands_over(runbook, &cause.steps))
            .collect();
        let mut out = Vec::new();
        let mut dead = Vec::new();
        for (index, condition) in conditions.iter().enumerate() {
            let cause = &branch.causes[index];
            if subjects.find(&[condition], &[])?.is_none() {
                dead.push(index);
                out.push(never_holds(&format!("the cause `{}`", cause.name), &cause.when));
                continue;
            }
            let earlier: Vec<usize> = (0..index)
                .filter(|other| last[*other] && !dead.contains(other))
                .collect();
            if let Some(before) = covered_by(&subjects, &conditions, index, &earlier)? {
                dead.push(index);
                out.push(shadowed(branch, index, &before));
            }
        }
        let alive: Vec<usize> = (0..conditions.len()).filter(|index| !dead.contains(index)).collect();
        for (position, second) in alive.iter().enumerate() {
            for first in &alive[..position] {
                overlap(&subjects, &conditions, branch, *first, *second, &mut out)?;
            }
        }
        gaps(&subjects, &conditions, branch, &alive, &mut out)?;
        Ok::<_, TooMany>(out)
    })();
    match result {
        Ok(out) => found.extend(out),
        Err(TooMany) => {
            let span = branch.causes.first().map_or(branch.span, |cause| cause.when.span);
            found.push(
                Diagnostic::note(
                    "causes-not-checked",
                    span,
                    "the causes of this branch ask too much to be compared",
                )
                .label("the first of them")
                .help("split the branch, or name a part of the conditions as a check of its own"),
            );
        }
    }
}

fn severity(program: &Program, runbook: &Runbook, found: &mut Vec<Diagnostic>) {
    let mut reader = Reader::new(program, runbook);
    let mut rows: Vec<(&str, &Expr, Condition)> = Vec::new();
    for row in &runbook.situation.severity {
        if let SeverityWhen::Holds(when) = &row.when {
            let Ok(condition) = reader.condition(when) else { return };
            rows.push((&row.name, when, condition));
        }
    }
    let conditions: Vec<Condition> = rows.iter().map(|(_, _, condition)| condition.clone()).collect();
    for (index, (name, when, condition)) in rows.iter().enumerate() {
        match reader.subjects.find(&[condition], &[]) {
            Ok(None) => {
                found.push(never_holds(&format!("this row of `{name}`"), when));
                continue;
            }
            Ok(Some(_)) => {}
            Err(TooMany) => return,
        }
        let earlier: Vec<usize> = (0..index).collect();
        if let Ok(Some(before)) = covered_by(&reader.subjects, &conditions, index, &earlier) {
            let mut diagnostic = Diagnostic::error(
                "shadowed-cause",
                when.span,
                format!("this row of `{name}` is never chosen: whenever it holds, a row before it holds"),
            )
            .label("never the first that holds");
            for other in before {
                diagnostic = diagnostic.and(rows[other].1.span, format!("`{}` is chosen here", rows[other].0));
            }
            found.push(diagnostic.help("put the narrower row first, or remove this one"));
        }
    }
}

fn never_holds(what: &str, when: &Expr) -> Diagnostic {
    Diagnostic::error("contradiction", when.span, format!("{what} can never hold"))
        .label("no answers make this a definite yes")
        .help("look for an `and` that should be an `or`, or for a limit on the wrong side")
}

/// The causes before this one that together hold whenever it holds.
fn covered_by(
    subjects: &Subjects,
    conditions: &[Condition],
    index: usize,
    earlier: &[usize],
) -> Result<Option<Vec<usize>>, TooMany> {
    for other in earlier {
        if subjects.find(&[&conditions[index]], &[&conditions[*other]])?.is_none() {
            return Ok(Some(vec![*other]));
        }
    }
    // Causes can only cover it together when they share subjects, directly or through others: with this cause, or, when
    // they leave nothing over at all, among themselves.
    let mut rest = earlier.to_vec();
    let mut needed = None;
    let mut first = true;
    while needed.is_none() && !rest.is_empty() {
        let mut group: Vec<usize> = Vec::new();
        let mut reached = if first {
            conditions[index].subjects()
        } else {
            Vec::new()
        };
        let hold: &[&Condition] = if first { &[&conditions[index]] } else { &[] };
        if !first {
            let other = rest.remove(0);
            reached = conditions[other].subjects();
            group.push(other);
        }
        first = false;
        while let Some(position) = rest.iter().position(|other| {
            conditions[*other]
                .subjects()
                .iter()
                .any(|subject| reached.contains(subject))
        }) {
            let other = rest.remove(position);
            reached.extend(conditions[other].subjects());
            group.push(other);
        }
        if group.len() > 1 {
            needed = covering(subjects, conditions, hold, group)?;
        }
    }
    Ok(needed)
}

/// Those of the group that are needed so that one of them holds whenever `hold` holds; `None` when all are not enough.
fn covering(
    subjects: &Subjects,
    conditions: &[Condition],
    hold: &[&Condition],
    group: Vec<usize>,
) -> Result<Option<Vec<usize>>, TooMany> {
    let pick = |list: &[usize]| list.iter().map(|other| &conditions[*other]).collect::<Vec<_>>();
    if subjects.find(hold, &pick(&group))?.is_some() {
        return Ok(None);
    }
    let mut needed = group.clone();
    for other in group {
        let without: Vec<usize> = needed.iter().copied().filter(|kept| *kept != other).collect();
        if subjects.find(hold, &pick(&without))?.is_none() {
            needed = without;
        }
    }
    needed.sort_unstable();
    Ok(Some(needed))
}

fn shadowed(branch: &Branch, index: usize, before: &[usize]) -> Diagnostic {
    let cause = &branch.causes[index];
    let names: Vec<String> = before
        .iter()
        .map(|other| format!("`{}`", branch.causes[*other].name))
        .collect();
    let mut diagnostic = Diagnostic::error(
        "shadowed-cause",
        cause.when.span,
        format!("the cause `{}` is never reached", cause.name),
    )
    .label(format!("whenever this holds, {} holds", names.join(" or ")));
    for other in before {
        let text = if branch.once && !ends(&branch.causes[*other].steps) {
            "is taken first, and this branch is asked once"
        } else {
            "is taken first, and ends the run"
        };
        diagnostic = diagnostic.and(branch.causes[*other].when.span, text);
    }
    diagnostic.help(format!(
        "put `{}` before {}, or narrow the earlier condition",
        cause.name,
        names.join(" and ")
    ))
}

fn subset(inner: &[Cell], outer: &[Cell]) -> bool {
    inner.iter().all(|cell| outer.contains(cell))
}

/// Limits on the same value that overlap without one including the other.
fn overlap(
    subjects: &Subjects,
    conditions: &[Condition],
    branch: &Branch,
    first: usize,
    second: usize,
    out: &mut Vec<Diagnostic>,
) -> Result<(), TooMany> {
    let (a, b) = (&conditions[first], &conditions[second]);
    let in_second = b.subjects();
    for subject in a.subjects() {
        if !subjects.has_limits(subject) || !in_second.contains(&subject) {
            continue;
        }
        let (mine, theirs) = (subjects.projection(a, subject)?, subjects.projection(b, subject)?);
        if subset(&mine, &theirs) || subset(&theirs, &mine) {
            continue;
        }
        let Some(row) = subjects.find(&[a, b], &[])? else {
            continue;
        };
        let (one, two) = (&branch.causes[first], &branch.causes[second]);
        out.push(
            Diagnostic::warning(
                "overlapping-causes",
                two.when.span,
                format!(
                    "the causes `{}` and `{}` can both hold, for example with {}",
                    one.name,
                    two.name,
                    subjects.example(&row)
                ),
            )
            .label(format!("overlaps with `{}`, and neither includes the other", one.name))
            .and(one.when.span, "this one is taken, because it stands first")
            .help(format!(
                "let the limits on `{}` meet without overlapping; if the order is meant, say `and not …` here",
                subjects.name(subject)
            )),
        );
        return Ok(());
    }
    Ok(())
}

/// Ranges between the limits of two causes that no cause covers.
fn gaps(
    subjects: &Subjects,
    conditions: &[Condition],
    branch: &Branch,
    alive: &[usize],
    out: &mut Vec<Diagnostic>,
) -> Result<(), TooMany> {
    let mut numbers: Vec<SubjectId> = alive.iter().flat_map(|index| conditions[*index].subjects()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    for subject in numbers.into_iter().filter(|subject| subjects.is_number(*subject)) {
        let mut covers: Vec<(usize, Vec<Cell>)> = Vec::new();
        for index in alive {
            let condition = &conditions[*index];
            if condition.subjects().contains(&subject) {
                covers.push((*index, subjects.projection(condition, subject)?));
            }
        }
        // Single values (`is 3`) leave ranges between them by design.
        if covers.iter().any(|(index, _)| conditions[*index].tests_points(subject)) {
            continue;
        }
        let cells: Vec<Cell> = subjects
            .cells(subject)?
            .into_iter()
            .filter(|cell| *cell != Cell::Unknown)
            .collect();
        let covered_in = |cell: &Cell| {
            covers
                .iter()
                .filter(|(_, list)| list.contains(cell))
                .map(|(index, _)| *index)
                .collect::<Vec<_>>()
        };
        let mut at = 0;
        while at < cells.len() {
            if !covered_in(&cells[at]).is_empty() {
                at += 1;
                continue;
            }
            let start = at;
            while at < cells.len() && covered_in(&cells[at]).is_empty() {
                at += 1;
            }
            if start == 0 || at == cells.len() {
                continue;
            }
            let (below, above) = (covered_in(&cells[start - 1]), covered_in(&cells[at]));
            // One cause on both sides is a cause about what lies outside a range.
            if below.iter().any(|index| above.contains(index)) {
                continue;
            }
            let (Some(below), Some(above)) = (below.first(), above.first()) else {
                continue;
            };
            let (first, second) = (below.min(above), below.max(above));
            let (one, two): (&Cause, &Cause) = (&branch.causes[*first], &branch.causes[*second]);
            let range = subjects.range(subject, cells[start], cells[at - 1]);
            let name = subjects.name(subject);
            out.push(
                Diagnostic::warning(
                    "gap-in-causes",
                    two.when.span,
                    format!("no cause covers `{name}` {range}"),
                )
                .label("covered on this side")
                .and(one.when.span, "and on this side")
                .help("let the two limits meet, or give the range between them a cause of its own"),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Fixture, and, enumeration, not, or};
    use super::*;
    use crate::program::BinaryOp;
    use crate::value::{Type, Value};

    fn findings(fixture: &Fixture) -> Vec<String> {
        let mut found = Vec::new();
        check(&fixture.program(), &mut found);
        found
            .iter()
            .map(|diagnostic| format!("{}: {}", diagnostic.rule, diagnostic.message))
            .collect()
    }

    #[test]
    fn a_narrow_cause_before_a_wide_one_is_clean() {
        let mut fixture = Fixture::new();
        let (stuck, release) = (fixture.question("stuck"), fixture.question("release"));
        fixture.cause("leak", and(stuck.clone(), release), false);
        fixture.cause("abandoned", stuck, false);
        assert_eq!(findings(&fixture), Vec::<String>::new());
    }

    #[test]
    fn causes_on_different_questions_may_hold_together() {
        let mut fixture = Fixture::new();
        for name in ["pool", "external", "memory", "release"] {
            let question = fixture.question(name);
            fixture.cause(name, question, false);
        }
        assert_eq!(findings(&fixture), Vec::<String>::new());
    }

    #[test]
    fn a_wide_cause_that_ends_the_run_shadows_a_narrow_one() {
        let mut fixture = Fixture::new();
        let (stuck, release) = (fixture.question("stuck"), fixture.question("release"));
        fixture.cause("wide", stuck.clone(), true);
        fixture.cause("narrow", and(stuck.clone(), release.clone()), false);
        assert_eq!(
            findings(&fixture),
            ["shadowed-cause: the cause `narrow` is never reached"]
        );
        let mut open = Fixture::new();
        let (stuck, release) = (open.question("stuck"), open.question("release"));
        open.cause("wide", stuck.clone(), false);
        open.cause("narrow", and(stuck, release), false);
        assert_eq!(findings(&open), Vec::<String>::new());
    }

    #[test]
    fn two_causes_can_cover_a_third_together() {
        let mut fixture = Fixture::new();
        let (stuck, release) = (fixture.question("stuck"), fixture.question("release"));
        let other = fixture.question("other");
        fixture.cause("first", release.clone(), true);
        fixture.cause("other", other, true);
        fixture.cause("second", not(release), true);
        fixture.cause("third", stuck, false);
        let mut found = Vec::new();
        check(&fixture.program(), &mut found);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].label, "whenever this holds, `first` or `second` holds");
        assert_eq!(found[0].labels.len(), 2);
    }

    #[test]
    fn a_condition_against_itself_never_holds() {
        let mut fixture = Fixture::new();
        let stuck = fixture.question("stuck");
        fixture.cause("odd", and(stuck.clone(), not(stuck)), false);
        let used = fixture.number("used", Type::Ratio);
        let never = and(
            used.compare(BinaryOp::Greater, Value::Ratio(0.9), "90 %"),
            used.compare(BinaryOp::Less, Value::Ratio(0.8), "80 %"),
        );
        fixture.cause("never", never, false);
        assert_eq!(
            findings(&fixture),
            [
                "contradiction: the cause `odd` can never hold",
                "contradiction: the cause `never` can never hold"
            ]
        );
    }

    #[test]
    fn overlapping_limits_are_named_with_an_example() {
        let mut fixture = Fixture::new();
        let used = fixture.number("used", Type::Ratio);
        let release = fixture.question("release");
        fixture.cause("low", used.compare(BinaryOp::Less, Value::Ratio(0.9), "90 %"), false);
        let high = used.compare(BinaryOp::Greater, Value::Ratio(0.8), "80 %");
        fixture.cause("high", and(high, release), false);
        assert_eq!(
            findings(&fixture),
            [
                "overlapping-causes: the causes `low` and `high` can both hold, for example with `used` between 80 % and 90 %, `release` yes"
            ]
        );
    }

    #[test]
    fn a_limit_on_the_other_side_of_the_sign_is_the_same_limit() {
        let mut fixture = Fixture::new();
        let used = fixture.number("used", Type::Ratio);
        fixture.cause("low", used.mirrored(BinaryOp::Greater, Value::Ratio(0.8), "80 %"), true);
        fixture.cause(
            "lower",
            used.compare(BinaryOp::LessEqual, Value::Ratio(0.7), "70 %"),
            true,
        );
        assert_eq!(
            findings(&fixture),
            ["shadowed-cause: the cause `lower` is never reached"]
        );
    }

    #[test]
    fn a_gap_is_named_and_an_outside_range_is_none() {
        let mut fixture = Fixture::new();
        let used = fixture.number("used", Type::Ratio);
        fixture.cause(
            "high",
            used.compare(BinaryOp::Greater, Value::Ratio(0.9), "90 %"),
            false,
        );
        fixture.cause("low", used.compare(BinaryOp::Less, Value::Ratio(0.8), "80 %"), false);
        assert_eq!(
            findings(&fixture),
            ["gap-in-causes: no cause covers `used` from 80 % to 90 %"]
        );

        let mut outside = Fixture::new();
        let used = outside.number("used", Type::Ratio);
        let either = or(
            used.compare(BinaryOp::Greater, Value::Ratio(0.9), "90 %"),
            used.compare(BinaryOp::Less, Value::Ratio(0.1), "10 %"),
        );
        outside.cause("odd", either, false);
        assert_eq!(findings(&outside), Vec::<String>::new());
    }

    #[test]
    fn values_of_an_enum_are_compared() {
        let mut fixture = Fixture::new();
        let state = fixture.number("state", enumeration("State", &["active", "idle", "dead"]));
        fixture.cause("active", state.is("active"), true);
        fixture.cause("not_idle", not(state.is("idle")), true);
        fixture.cause("rest", not(state.is("active")), true);
        assert_eq!(
            findings(&fixture),
            ["overlapping-causes: the causes `not_idle` and `rest` can both hold, for example with `state` `dead`"]
        );
        let mut all = Fixture::new();
        let state = all.number("state", enumeration("State", &["active", "idle"]));
        all.cause("active", state.is("active"), true);
        all.cause("idle", state.is("idle"), true);
        let other = all.question("other");
        all.cause("other", other, true);
        assert_eq!(findings(&all), ["shadowed-cause: the cause `other` is never reached"]);
    }

    #[test]
    fn too_many_limits_are_said_to_be_too_many() {
        let mut fixture = Fixture::new();
        let used = fixture.number("used", Type::Int);
        let many = (0..20)
            .map(|number| used.compare(BinaryOp::Greater, Value::Int(number * 10), "n"))
            .reduce(or)
            .unwrap();
        fixture.cause("many", many, false);
        assert_eq!(
            findings(&fixture),
            ["causes-not-checked: the causes of this branch ask too much to be compared"]
        );
    }
}
