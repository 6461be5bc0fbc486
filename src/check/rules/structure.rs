//! Rules that need only the tree: wording, order, review, reflection, scenarios.

use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::tree::{
    Action, Block, Clause, ClauseKind, ExpectKind, ExprKind, File, ItemKind, Question, QuestionForm, Runbook, Scenario,
    ScenarioKind, Text, TextPart,
};
use crate::value::Value;
use crate::value::unit::Unit;
use std::collections::BTreeSet;

/// Looks at a whole file.
pub fn check(file: &File, tests: &[&File], today: Option<jiff::civil::Date>, found: &mut Vec<Diagnostic>) {
    for item in &file.items {
        match &item.kind {
            ItemKind::Runbook(runbook) => {
                titles(&runbook.body.clauses, found);
                header(runbook, today, found);
                reflection(runbook, found);
                acts_first(runbook, found);
                unreachable(&runbook.body.clauses, found);
            }
            ItemKind::Clause(clause) => titles(std::slice::from_ref(clause), found),
            _ => {}
        }
    }
    untested(file, tests, found);
}

/// Calls `visit` for every clause, outside in.
fn walk<'a>(clauses: &'a [Clause], visit: &mut dyn FnMut(&'a Clause)) {
    for clause in clauses {
        visit(clause);
        for block in blocks(clause) {
            walk(&block.clauses, visit);
        }
    }
}

/// The blocks of a clause.
fn blocks(clause: &Clause) -> Vec<&Block> {
    match &clause.kind {
        ClauseKind::Situation(block)
        | ClauseKind::Task(block)
        | ClauseKind::Result(block)
        | ClauseKind::Reflection(block)
        | ClauseKind::CannotTell(block) => vec![block],
        ClauseKind::Branch { body, .. } | ClauseKind::Cause { body, .. } | ClauseKind::Otherwise { body, .. } => {
            vec![body]
        }
        ClauseKind::Each(each) => vec![&each.body],
        ClauseKind::Action(action) => action.body.iter().collect(),
        ClauseKind::Manual { body, .. } | ClauseKind::Advise { body, .. } => body.iter().collect(),
        ClauseKind::Question(Question { form, .. }) => match form {
            QuestionForm::Block(block) => vec![block],
            QuestionForm::Observed { body, .. } => body.iter().collect(),
            QuestionForm::Alias(_) | QuestionForm::Run(_) => Vec::new(),
        },
        _ => Vec::new(),
    }
}

// Wording

fn titles(clauses: &[Clause], found: &mut Vec<Diagnostic>) {
    walk(clauses, &mut |clause| match &clause.kind {
        ClauseKind::Question(question) => {
            if let Some(title) = &question.title {
                asks(title, "a check asks", found);
            }
        }
        ClauseKind::Ask { title, .. } => asks(title, "this asks a person", found),
        ClauseKind::Branch { title, .. } => asks(title, "a branch asks which cause it is", found),
        ClauseKind::Reflect(title) => asks(title, "this asks the people", found),
        ClauseKind::Cause { title, .. } => does_not_ask(title, "a cause states what is the matter", found),
        ClauseKind::Action(Action { title, body, .. }) => {
            if let Some(title) = title {
                does_not_ask(title, "an action orders what to do", found);
            }
            if let Some(body) = body {
                weak_approval(body, found);
            }
        }
        ClauseKind::Manual { title, body, .. } => {
            does_not_ask(title, "a manual step orders what to do", found);
            if let Some(body) = body {
                weak_approval(body, found);
            }
        }
        _ => {}
    });
}

/// The last character of a title that is not filled in.
fn last(title: &Text) -> Option<char> {
    match title.parts.last()? {
        TextPart::Literal(text) => text.trim_end().chars().next_back(),
        TextPart::Expr(_) => Some('}'),
    }
}

/// The byte range of the last character between the quotes.
fn ending(title: &Text, length: u32) -> Option<Span> {
    let end = title.span.end.checked_sub(1)?;
    let start = end.checked_sub(length)?;
    (start > title.span.start).then_some(Span {
        start,
        end,
        ..title.span
    })
}

fn asks(title: &Text, why: &str, found: &mut Vec<Diagnostic>) {
    let Some(character) = last(title) else { return };
    if character == '?' {
        return;
    }
    let mut diagnostic = Diagnostic::note(
        "title-style",
        title.span,
        "this title does not end with a question mark",
    )
    .label(why.to_owned())
    .help("word it as a question that is answered with yes or no, or by what follows it");
    let blank = matches!(title.parts.last(), Some(TextPart::Literal(text)) if text.ends_with(char::is_whitespace));
    if !blank && let Some(place) = ending(title, u32::from(character == '.')) {
        diagnostic = diagnostic.edit(place, "?");
    }
    found.push(diagnostic);
}

fn does_not_ask(title: &Text, why: &str, found: &mut Vec<Diagnostic>) {
    if last(title) != Some('?') {
        return;
    }
    found.push(
        Diagnostic::note("title-style", title.span, "this title ends with a question mark")
            .label(why.to_owned())
            .help("word it without a question"),
    );
}

// Approval

fn weak_approval(block: &Block, found: &mut Vec<Diagnostic>) {
    let risk = block.clauses.iter().find_map(|clause| match &clause.kind {
        ClauseKind::Risk(name) if name.text == "high" => Some(name.span),
        _ => None,
    });
    let Some(risk) = risk else { return };
    let approve = block.clauses.iter().find_map(|clause| match &clause.kind {
        ClauseKind::Approve { roles, all, .. } => Some((clause.span, roles, *all)),
        _ => None,
    });
    // Without the line, whether an approval is needed at all is another rule's business, or a library's.
    let Some((span, roles, all)) = approve else { return };
    let distinct: BTreeSet<&str> = roles.iter().map(|role| role.text.as_str()).collect();
    if all && distinct.len() > 1 {
        return;
    }
    let mut diagnostic = Diagnostic::error("weak-approval", span, "one person can approve a change of high risk")
        .label(if distinct.len() > 1 {
            "one of them is enough"
        } else {
            "only one approver"
        })
        .and(risk, "high risk")
        .help("name two roles that must both approve, for example `approve by oncall and dba`");
    // `a or b` has two roles already; that both are meant is likely, and the file says it with one word.
    if let [first, second] = roles.as_slice()
        && distinct.len() == 2
    {
        let between = Span {
            start: first.span.end,
            end: second.span.start,
            ..first.span
        };
        diagnostic = diagnostic.edit(between, " and ");
    }
    found.push(diagnostic);
}

// Review

fn header(runbook: &Runbook, today: Option<jiff::civil::Date>, found: &mut Vec<Diagnostic>) {
    let Some(today) = today else { return };
    for clause in &runbook.body.clauses {
        let ClauseKind::Reviewed {
            date,
            valid: Some(valid),
        } = &clause.kind
        else {
            continue;
        };
        let Ok(reviewed) = date.text.parse::<jiff::civil::Date>() else {
            continue;
        };
        let ExprKind::Quantity { number, unit } = &valid.kind else {
            continue;
        };
        let duration = number
            .parse()
            .ok()
            .and_then(|number| Unit::find(&unit.text)?.value(number));
        let Some(Value::Duration(nanoseconds)) = duration else {
            continue;
        };
        let days = nanoseconds / 86_400_000_000_000;
        let Ok(until) = jiff::Span::new()
            .try_days(days)
            .and_then(|span| reviewed.checked_add(span))
        else {
            continue;
        };
        if until < today {
            found.push(
                Diagnostic::warning(
                    "stale-review",
                    clause.span,
                    format!("the review of {reviewed} was valid until {until}"),
                )
                .label(format!("today is {today}"))
                .help("read the runbook against the system it is about, then write the new date"),
            );
        }
    }
}

// Reflection

fn reflection(runbook: &Runbook, found: &mut Vec<Diagnostic>) {
    let mut changes = false;
    let mut section = None;
    let (mut prevents, mut asks) = (false, false);
    walk(&runbook.body.clauses, &mut |clause| match &clause.kind {
        ClauseKind::Action(_) | ClauseKind::Manual { .. } => changes = true,
        ClauseKind::Reflection(_) => section = section.or(Some(clause.keyword)),
        ClauseKind::Prevent { .. } => prevents = true,
        ClauseKind::Reflect(_) => asks = true,
        _ => {}
    });
    if !changes {
        return;
    }
    let place = section.unwrap_or(runbook.name.span);
    let label = if section.is_some() { "" } else { "has no `reflection`" };
    if !prevents {
        found.push(
            Diagnostic::warning(
                "no-prevention",
                place,
                "nothing is named that would make this runbook unnecessary",
            )
            .label(label)
            .help("write `prevent \"…\" by \"team\" in 14 d` in `reflection`"),
        );
    }
    if !asks {
        found.push(
            Diagnostic::warning("no-question", place, "the people are asked nothing afterwards")
                .label(label)
                .help("write `ask \"…?\"` in `reflection`: what does the record not know?"),
        );
    }
}

// Order

fn acts_first(runbook: &Runbook, found: &mut Vec<Diagnostic>) {
    let mut symptoms = false;
    for clause in &runbook.body.clauses {
        if let ClauseKind::Situation(block) = &clause.kind {
            symptoms |= block
                .clauses
                .iter()
                .any(|inner| matches!(inner.kind, ClauseKind::Question(_)));
        }
    }
    if symptoms {
        return;
    }
    for clause in &runbook.body.clauses {
        let (name, body) = match &clause.kind {
            ClauseKind::Action(action) => (&action.name, action.body.as_ref()),
            // Without a block it is a line of a check list, not a change of the run's own.
            ClauseKind::Manual {
                name, body: Some(body), ..
            } => (name, Some(body)),
            ClauseKind::Question(_)
            | ClauseKind::Branch { .. }
            | ClauseKind::Require { .. }
            | ClauseKind::Wait { .. }
            | ClauseKind::Read { .. }
            | ClauseKind::Ask { .. }
            | ClauseKind::Run(_)
            | ClauseKind::Each(_) => return,
            _ => continue,
        };
        let guarded = |block: &Block| {
            block
                .clauses
                .iter()
                .any(|inner| matches!(inner.kind, ClauseKind::When(_)))
        };
        if body.is_some_and(guarded) {
            return;
        }
        found.push(
            Diagnostic::warning(
                "action-before-check",
                name.span,
                format!("`{}` is done before anything was asked", name.text),
            )
            .label("the first step")
            .help("ask first: a `symptom`, a `check` before it, a `require`, or a `when` in the action"),
        );
        return;
    }
}

/// True when this step always ends the run.
fn ends(clause: &Clause) -> bool {
    let all = |block: &Block| block.clauses.iter().any(ends);
    match &clause.kind {
        ClauseKind::Escalate | ClauseKind::Stop(_) => true,
        ClauseKind::Branch { body, .. } => {
            let mut otherwise = false;
            body.clauses.iter().all(|arm| match &arm.kind {
                ClauseKind::Cause { body, .. } | ClauseKind::CannotTell(body) => all(body),
                ClauseKind::Otherwise { body, .. } => {
                    otherwise = true;
                    all(body)
                }
                _ => true,
            }) && otherwise
        }
        _ => false,
    }
}

fn is_step(clause: &Clause) -> bool {
    matches!(
        clause.kind,
        ClauseKind::Read { .. }
            | ClauseKind::Let { .. }
            | ClauseKind::Question(_)
            | ClauseKind::Ask { .. }
            | ClauseKind::Branch { .. }
            | ClauseKind::Action(_)
            | ClauseKind::Manual { .. }
            | ClauseKind::Require { .. }
            | ClauseKind::Wait { .. }
            | ClauseKind::Each(_)
            | ClauseKind::Run(_)
            | ClauseKind::Tell(_)
            | ClauseKind::Advise { .. }
            | ClauseKind::Stop(_)
            | ClauseKind::Escalate
    )
}

fn unreachable(clauses: &[Clause], found: &mut Vec<Diagnostic>) {
    let mut end: Option<&Clause> = None;
    for clause in clauses {
        if let Some(end) = end
            && is_step(clause)
        {
            found.push(
                Diagnostic::error("unreachable-step", clause.keyword, "this step is never reached")
                    .label("stands behind the end of the run")
                    .and(end.keyword, "the run always ends here")
                    .help("move it in front of the end, or remove it"),
            );
            // One finding for a whole tail.
            return;
        }
        match &clause.kind {
            ClauseKind::Branch { body, .. } => {
                for arm in &body.clauses {
                    blocks(arm)
                        .into_iter()
                        .for_each(|block| unreachable(&block.clauses, found));
                }
            }
            ClauseKind::Each(each) => unreachable(&each.body.clauses, found),
            _ => {}
        }
        if end.is_none() && ends(clause) {
            end = Some(clause);
        }
    }
}

// Scenarios

/// `tests` are the files that hold the scenarios of this one.
fn untested(file: &File, tests: &[&File], found: &mut Vec<Diagnostic>) {
    let own = [file];
    let files = if tests.is_empty() { &own } else { tests };
    let scenarios: Vec<&Scenario> = files
        .iter()
        .flat_map(|file| &file.items)
        .filter_map(|item| match &item.kind {
            ItemKind::Scenario(scenario) => Some(scenario),
            _ => None,
        })
        .collect();
    let mut run: BTreeSet<&str> = BTreeSet::new();
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    for clause in scenarios.iter().flat_map(|scenario| &scenario.clauses) {
        match &clause.kind {
            ScenarioKind::Run(call) => {
                let callee = match &call.kind {
                    ExprKind::Call { callee, .. } => callee,
                    _ => call,
                };
                if let ExprKind::Name(name) = &callee.kind {
                    run.insert(&name.text);
                }
            }
            ScenarioKind::Expect(lines) => {
                for line in lines {
                    if let ExpectKind::Cause(paths) = &line.kind {
                        reached.extend(
                            paths
                                .iter()
                                .filter_map(|path| path.parts.last())
                                .map(|name| name.text.as_str()),
                        );
                    }
                }
            }
            _ => {}
        }
    }
    for item in &file.items {
        let ItemKind::Runbook(runbook) = &item.kind else {
            continue;
        };
        if !run.contains(runbook.name.text.as_str()) {
            continue;
        }
        walk(&runbook.body.clauses, &mut |clause| {
            if let ClauseKind::Cause { name, .. } = &clause.kind
                && !reached.contains(name.text.as_str())
            {
                found.push(
                    Diagnostic::warning(
                        "untested-cause",
                        name.span,
                        format!("no scenario reaches the cause `{}`", name.text),
                    )
                    .label("never expected")
                    .help(format!("write a scenario that expects `cause {}`", name.text)),
                );
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileId;

    /// Rule and underlined text of every finding.
    fn findings(text: &str) -> Vec<(&'static str, String)> {
        let parsed = crate::syntax::parse(FileId(0), text);
        assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics);
        let mut found = Vec::new();
        check(&parsed.file, &[], Some(jiff::civil::date(2026, 11, 22)), &mut found);
        found
            .iter()
            .map(|finding| (finding.rule, text[finding.span.range()].to_owned()))
            .collect()
    }

    fn steps(body: &str) -> Vec<(&'static str, String)> {
        findings(&format!(
            "runbook a \"A\" {{\n  check c \"Is it?\" observed\n{body}\n}}\n"
        ))
    }

    #[test]
    fn a_review_runs_out_on_the_day_after() {
        let review = |line: &str| findings(&format!("runbook a \"A\" {{\n  {line}\n}}\n"));
        assert_eq!(review("reviewed 2026-11-01 valid 21 d"), []);
        assert_eq!(
            review("reviewed 2026-11-01 valid 20 d"),
            [("stale-review", "reviewed 2026-11-01 valid 20 d".to_owned())]
        );
        assert_eq!(review("reviewed 2020-01-01"), []);
        assert_eq!(review("reviewed 2026-11-01 valid 99999999 d"), []);
        assert_eq!(review("reviewed 2026-11-01 valid 5 %"), []);
    }

    #[test]
    fn a_tail_behind_the_end_is_reported_once() {
        assert_eq!(
            steps("  escalate\n  advise \"One\"\n  advise \"Two\""),
            [("unreachable-step", "advise".to_owned())]
        );
        assert_eq!(steps("  advise \"One\"\n  stop \"done\""), []);
    }

    #[test]
    fn a_branch_ends_the_run_when_all_its_arms_do() {
        let branch = |arm: &str| {
            steps(&format!(
                "  branch \"Which?\" {{\n    cause a \"It is a\" when c {{\n      {arm}\n    }}\n    otherwise or cannot tell {{\n      escalate\n    }}\n  }}\n  advise \"Behind\""
            ))
        };
        assert_eq!(branch("escalate"), [("unreachable-step", "advise".to_owned())]);
        assert_eq!(branch("advise \"Look\""), []);
    }

    #[test]
    fn sections_behind_the_steps_are_no_steps() {
        assert_eq!(steps("  escalate\n  result {\n    resolved when c\n  }"), []);
    }

    #[test]
    fn a_title_that_ends_with_a_full_stop_gets_a_question_mark_in_its_place() {
        let text = "runbook a \"A\" {\n  check c \"Is it full.\" observed\n}\n";
        let parsed = crate::syntax::parse(FileId(0), text);
        let mut found = Vec::new();
        check(&parsed.file, &[], None, &mut found);
        let fixed = crate::check::fix::apply(FileId(0), text, &found);
        assert_eq!(fixed.text, text.replace("full.", "full?"));
    }

    #[test]
    fn two_roles_of_the_same_name_are_one_approver() {
        let action = |approve: &str| {
            let body = format!("    risk high\n    approve by {approve}\n    do \"x\"\n");
            steps(&format!(
                "  manual m \"Do it\" {{\n{body}  }}\n  reflection {{\n    prevent \"p\"\n    ask \"Why?\"\n  }}"
            ))
        };
        assert_eq!(action("oncall and dba"), []);
        assert_eq!(
            action("oncall and oncall"),
            [("weak-approval", "approve by oncall and oncall".to_owned())]
        );
        assert_eq!(
            action("oncall or dba"),
            [("weak-approval", "approve by oncall or dba".to_owned())]
        );
        assert_eq!(action("oncall"), [("weak-approval", "approve by oncall".to_owned())]);
    }

    #[test]
    fn a_symptom_is_a_question_asked_before_the_first_action() {
        let text = |situation: &str| {
            format!(
                "runbook a \"A\" {{\n{situation}\n  manual m \"Do it\" {{\n    do \"x\"\n  }}\n  reflection {{\n    prevent \"p\"\n    ask \"Why?\"\n  }}\n}}\n"
            )
        };
        assert_eq!(findings(&text("")), [("action-before-check", "m".to_owned())]);
        assert_eq!(
            findings(&text("  situation {\n    symptom s \"Is it?\" observed\n  }")),
            []
        );
    }
}
