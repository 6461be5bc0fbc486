//! Clauses of runbooks and modules.

use super::doc::{self, Doc, WIDTH};
use super::{Formatter, aligned, padded};
use crate::source::Span;
use crate::syntax::tree::{
    Action, AskForm, Block, Clause, ClauseKind, End, EndKind, EscalationRow, Example, Expr, GivenKind, GivenValue,
    Outcome, Path, Question, QuestionForm, QuestionKind, SeverityRow, SeverityWhen, UndoKind, UndoWhen, Until,
};

/// Clauses of one family that follow each other are aligned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Family {
    Header,
    Action,
    Outcome,
    Binding,
    Reflection,
    Example,
}

/// The widths a clause is padded to.
#[derive(Clone, Copy, Default)]
pub(super) struct Pad {
    keyword: usize,
    left: usize,
}

fn family(kind: &ClauseKind) -> Option<Family> {
    Some(match kind {
        ClauseKind::Owner(_)
        | ClauseKind::Status(_)
        | ClauseKind::Reviewed { .. }
        | ClauseKind::Timebox { .. }
        | ClauseKind::Reads(_)
        | ClauseKind::Changes(_)
        | ClauseKind::Tells(_)
        | ClauseKind::Runs(_) => Family::Header,
        ClauseKind::When(_)
        | ClauseKind::Risk(_)
        | ClauseKind::Approve { .. }
        | ClauseKind::Refuse { .. }
        | ClauseKind::Do { .. }
        | ClauseKind::DoUndo(_)
        | ClauseKind::Order(_)
        | ClauseKind::Undo(_)
        | ClauseKind::Verify { .. } => Family::Action,
        ClauseKind::Failed(_) | ClauseKind::Unclear(_) | ClauseKind::NotApproved(_) => Family::Outcome,
        ClauseKind::Read { .. } | ClauseKind::Let { .. } => Family::Binding,
        ClauseKind::Question(Question {
            form: QuestionForm::Alias(_) | QuestionForm::Run(_),
            params,
            title: None,
            ..
        }) if params.is_empty() => Family::Binding,
        ClauseKind::Prevent { .. } | ClauseKind::Advise { .. } | ClauseKind::Reflect(_) => Family::Reflection,
        ClauseKind::Example(_) => Family::Example,
        _ => return None,
    })
}

/// The word an aligned clause begins with.
fn keyword(kind: &ClauseKind) -> &'static str {
    match kind {
        ClauseKind::Owner(_) => "owner",
        ClauseKind::Status(_) => "status",
        ClauseKind::Reviewed { .. } => "reviewed",
        ClauseKind::Timebox { .. } => "timebox",
        ClauseKind::Reads(_) => "reads",
        ClauseKind::Changes(_) => "changes",
        ClauseKind::Tells(_) => "tells",
        ClauseKind::Runs(_) => "runs",
        ClauseKind::When(_) => "when",
        ClauseKind::Risk(_) => "risk",
        ClauseKind::Approve { .. } => "approve",
        ClauseKind::Refuse { .. } => "refuse",
        ClauseKind::Do { .. } | ClauseKind::DoUndo(_) | ClauseKind::Order(_) => "do",
        ClauseKind::Undo(_) => "undo",
        ClauseKind::Verify { .. } => "verify",
        ClauseKind::Failed(_) => "failed",
        ClauseKind::Unclear(_) => "unclear",
        ClauseKind::NotApproved(_) => "not approved",
        ClauseKind::Read { .. } => "read",
        ClauseKind::Let { .. } => "let",
        ClauseKind::Question(question) => question_word(question.kind),
        ClauseKind::Prevent { .. } => "prevent",
        ClauseKind::Advise { .. } => "advise",
        ClauseKind::Reflect(_) => "ask",
        ClauseKind::Example(_) => "example",
        _ => "",
    }
}

fn question_word(kind: QuestionKind) -> &'static str {
    match kind {
        QuestionKind::Check => "check",
        QuestionKind::Symptom => "symptom",
    }
}

impl Formatter<'_> {
    /// The widths for each clause of a block.
    pub(super) fn pads<'c>(&self, clauses: impl Iterator<Item = &'c Clause>) -> Vec<Pad> {
        let clauses: Vec<&Clause> = clauses.collect();
        let mut pads = vec![Pad::default(); clauses.len()];
        let mut start = 0;
        // The width of the action clauses directly above outcomes, under which the arrows stand too.
        let mut above = 0;
        while start < clauses.len() {
            let of = family(&clauses[start].kind);
            let mut end = start + 1;
            while end < clauses.len()
                && of.is_some()
                && family(&clauses[end].kind) == of
                && !self.between(clauses[end - 1], clauses[end])
            {
                end += 1;
            }
            if let Some(of) = of {
                let run = &clauses[start..end];
                let mut keyword = run.iter().map(|clause| keyword(&clause.kind).len()).max().unwrap_or(0);
                if of == Family::Outcome && start > 0 && !self.between(clauses[start - 1], clauses[start]) {
                    keyword = keyword.max(above);
                }
                let left = aligned(run.iter().map(|clause| self.left(&clause.kind).chars().count()));
                pads[start..end].fill(Pad { keyword, left });
                above = if of == Family::Action { keyword } else { 0 };
            } else {
                above = 0;
            }
            start = end;
        }
        pads
    }

    /// True when a blank line separates two clauses.
    fn between(&self, before: &Clause, after: &Clause) -> bool {
        self.apart(before.span.end as usize, after.span.start as usize)
    }

    /// What stands between the keyword and the part that is aligned too.
    fn left(&self, kind: &ClauseKind) -> String {
        match kind {
            ClauseKind::Read { name, ty, .. } | ClauseKind::Let { name, ty, .. } => match ty {
                Some(ty) => format!("{}: {}", name.text, self.ty(ty)),
                None => name.text.clone(),
            },
            ClauseKind::Question(question) => question.name.text.clone(),
            ClauseKind::Example(example) => self.source(example.title.span).to_string(),
            _ => String::new(),
        }
    }

    /// The clauses of a block behind its head, which stands in `out` already.
    pub(super) fn block(&mut self, block: &Block) {
        if let Some(line) = self.one_line(block) {
            self.out.push_str(&line);
            return;
        }
        let pads = self.pads(block.clauses.iter());
        self.braces(
            block.span,
            &block.clauses,
            |clause| clause.span,
            |this, index, clause| this.clause(clause, pads[index]),
        );
    }

    /// A block of one short clause that was written on one line.
    fn one_line(&mut self, block: &Block) -> Option<String> {
        let [clause] = block.clauses.as_slice() else {
            return None;
        };
        if matches!(clause.kind, ClauseKind::Prose(_)) || self.source(block.span).contains('\n') {
            return None;
        }
        let inside = doc::flat(&self.leaf(clause, Pad::default())?)?;
        let line = format!(" {{ {inside} }}");
        (self.column() + line.chars().count() <= WIDTH).then_some(line)
    }

    pub(super) fn clause(&mut self, clause: &Clause, pad: Pad) {
        if let Some(doc) = self.leaf(clause, pad) {
            self.put(&doc);
            return;
        }
        match &clause.kind {
            ClauseKind::Prose(prose) => self.prose(prose),
            ClauseKind::Situation(block) => self.headed(Doc::text("situation"), block),
            ClauseKind::Task(block) => self.headed(Doc::text("task"), block),
            ClauseKind::Result(block) => self.headed(Doc::text("result"), block),
            ClauseKind::Reflection(block) => self.headed(Doc::text("reflection"), block),
            ClauseKind::CannotTell(block) => self.headed(Doc::text("cannot tell"), block),
            ClauseKind::Otherwise { cannot_tell, body } => {
                let word = if *cannot_tell {
                    "otherwise or cannot tell"
                } else {
                    "otherwise"
                };
                self.headed(Doc::text(word), body);
            }
            ClauseKind::Severity(rows) => {
                self.out.push_str("severity");
                let width = aligned(rows.iter().map(|row| row.name.text.chars().count()));
                let braces = self.inner_braces(clause.span);
                self.braces(
                    braces,
                    rows,
                    |row| row.span,
                    |this, _, row| this.severity_row(row, width),
                );
            }
            ClauseKind::Escalation { name, rows } => {
                self.out.push_str("escalation");
                if let Some(name) = name {
                    self.out.push(' ');
                    self.out.push_str(&name.text);
                }
                let width = aligned(rows.iter().map(|row| row.severity.text.chars().count()));
                let braces = self.inner_braces(clause.span);
                self.braces(
                    braces,
                    rows,
                    |row| row.span,
                    |this, _, row| this.escalation_row(row, width),
                );
            }
            ClauseKind::Advise {
                title,
                body: Some(body),
            } => {
                let word = padded("advise", pad.keyword);
                self.headed(Doc::text(format!("{word} {}", self.source(title.span))), body);
            }
            ClauseKind::Question(question) => self.question(question),
            ClauseKind::Branch { title, body } => {
                self.headed(Doc::text(format!("branch {}", self.source(title.span))), body);
            }
            ClauseKind::Cause {
                name,
                title,
                when,
                body,
            } => {
                let mut parts = vec![Doc::text(format!("cause {} {}", name.text, self.source(title.span)))];
                if let Some(when) = when {
                    // Further in than the block that follows.
                    parts.push(Doc::text(" when "));
                    parts.push(Doc::Indent(vec![self.expr(when)]));
                }
                self.headed(Doc::Concat(parts), body);
            }
            ClauseKind::Action(action) => self.action(action),
            ClauseKind::Manual {
                name,
                title,
                within,
                body: Some(body),
            } => {
                let mut parts = vec![Doc::text(format!("manual {} {}", name.text, self.source(title.span)))];
                self.timing(&mut parts, "within", within.as_ref());
                self.headed(Doc::Concat(parts), body);
            }
            ClauseKind::Each(each) => {
                let mut parts = vec![Doc::text(format!("each {} in ", each.name.text))];
                parts.push(self.expr(&each.list));
                self.timing(&mut parts, "at most", each.at_most.as_ref());
                for (index, batch) in each.batches.iter().enumerate() {
                    parts.push(Doc::text(if index == 0 { " in batches of " } else { ", " }));
                    parts.push(self.expr(batch));
                }
                if let Some(stop) = &each.stop_after {
                    self.timing(&mut parts, "stop after", Some(stop));
                    parts.push(Doc::text(" failures"));
                }
                self.headed(Doc::Concat(parts), &each.body);
            }
            // A file with junk is not formatted; should it happen, nothing is lost.
            _ => self
                .out
                .push_str(self.text.get(clause.span.range()).unwrap_or_default()),
        }
    }

    fn headed(&mut self, head: Doc, block: &Block) {
        self.put(&head);
        self.block(block);
    }

    /// The braces of a clause that ends with them.
    fn inner_braces(&self, span: Span) -> Span {
        let mut at = span.start as usize;
        // Only a name can stand before the brace, but comments may hold braces.
        while let Some(byte) = self.text.as_bytes().get(at) {
            match byte {
                b'#' => at = self.line_end(at),
                b'{' => break,
                _ => at += 1,
            }
        }
        Span {
            start: u32::try_from(at).unwrap_or(span.start),
            ..span
        }
    }

    fn question(&mut self, question: &Question) {
        let mut parts = vec![Doc::text(format!(
            "{} {}",
            question_word(question.kind),
            question.name.text
        ))];
        parts.push(self.params(&question.params, question.name.span.end as usize));
        if let Some(title) = &question.title {
            parts.push(Doc::text(format!(" {}", self.source(title.span))));
        }
        match &question.form {
            QuestionForm::Block(block) => self.headed(Doc::Concat(parts), block),
            QuestionForm::Observed { by, within, body } => {
                self.observed(&mut parts, by.as_ref().map(|by| by.text.as_str()), within.as_ref());
                match body {
                    Some(body) => self.headed(Doc::Concat(parts), body),
                    None => self.put(&Doc::Concat(parts)),
                }
            }
            QuestionForm::Alias(call) => {
                parts.push(Doc::text(" = "));
                parts.push(self.expr(call));
                self.put(&Doc::Concat(parts));
            }
            QuestionForm::Run(call) => {
                parts.push(Doc::text(" = run "));
                parts.push(self.expr(call));
                self.put(&Doc::Concat(parts));
            }
        }
    }

    fn observed(&mut self, parts: &mut Vec<Doc>, by: Option<&str>, within: Option<&Expr>) {
        parts.push(Doc::text(" observed"));
        if let Some(by) = by {
            parts.push(Doc::text(format!(" by {by}")));
        }
        self.timing(parts, "within", within);
    }

    fn action(&mut self, action: &Action) {
        let mut parts = vec![Doc::text(format!("action {}", action.name.text))];
        parts.push(self.params(&action.params, action.name.span.end as usize));
        if let Some(title) = &action.title {
            parts.push(Doc::text(format!(" {}", self.source(title.span))));
        }
        if let Some(alias) = &action.alias {
            parts.push(Doc::text(" = "));
            parts.push(self.expr(alias));
        }
        match &action.body {
            Some(body) => self.headed(Doc::Concat(parts), body),
            None => self.put(&Doc::Concat(parts)),
        }
    }

    /// ` within D` and the like, when it is there.
    pub(super) fn timing(&mut self, parts: &mut Vec<Doc>, word: &str, value: Option<&Expr>) {
        if let Some(value) = value {
            parts.push(Doc::text(format!(" {word} ")));
            parts.push(self.expr(value));
        }
    }

    fn paths(paths: &[Path]) -> Doc {
        let mut parts = Vec::new();
        for (index, path) in paths.iter().enumerate() {
            if index > 0 {
                parts.push(Doc::text(","));
                parts.push(Doc::Line);
            }
            parts.push(Doc::text(path.dotted()));
        }
        Doc::Group(vec![Doc::Indent(parts)])
    }

    /// A clause without a block, as a document; `None` for those that have one.
    fn leaf(&mut self, clause: &Clause, pad: Pad) -> Option<Doc> {
        let kind = &clause.kind;
        let word = padded(keyword(kind), pad.keyword);
        let mut parts = vec![Doc::text(format!("{word} "))];
        match kind {
            ClauseKind::Owner(text) | ClauseKind::Reflect(text) | ClauseKind::Order(text) => {
                parts.push(self.text_doc(text))
            }
            ClauseKind::Status(name) | ClauseKind::Risk(name) => parts.push(self.name(name)),
            ClauseKind::Reviewed { date, valid } => {
                parts.push(self.name(date));
                self.timing(&mut parts, "valid", valid.as_ref());
            }
            ClauseKind::Timebox { duration, then } => {
                parts.push(self.expr(duration));
                if let Some(then) = then {
                    parts.push(Doc::text(" then "));
                    parts.push(self.outcome(then));
                }
            }
            ClauseKind::Reads(paths)
            | ClauseKind::Changes(paths)
            | ClauseKind::Tells(paths)
            | ClauseKind::Runs(paths) => {
                parts.push(Self::paths(paths));
            }
            ClauseKind::When(condition) => parts.push(self.expr(condition)),
            ClauseKind::Approve {
                roles,
                all,
                within,
                seeing,
            } => {
                let roles: Vec<&str> = roles.iter().map(|role| role.text.as_str()).collect();
                parts.push(Doc::text(format!(
                    "by {}",
                    roles.join(if *all { " and " } else { " or " })
                )));
                self.timing(&mut parts, "within", within.as_ref());
                for (index, shown) in seeing.iter().enumerate() {
                    parts.push(Doc::text(if index == 0 { " seeing " } else { ", " }));
                    parts.push(self.expr(shown));
                }
            }
            ClauseKind::Refuse { above, noun } => {
                parts.push(Doc::text("above "));
                parts.push(self.expr(above));
                parts.push(Doc::text(format!(" {}", noun.text)));
            }
            ClauseKind::Do { name, call, within } => {
                if let Some(name) = name {
                    parts.push(Doc::text(format!("{} = ", name.text)));
                }
                parts.push(self.expr(call));
                self.timing(&mut parts, "within", within.as_ref());
            }
            ClauseKind::DoUndo(name) => parts.push(Doc::text(format!("undo {}", name.text))),
            ClauseKind::Undo(undo) => {
                match &undo.kind {
                    UndoKind::Restore => parts.push(Doc::text("restore")),
                    UndoKind::Call(call) => parts.push(self.expr(call)),
                    UndoKind::None(reason) => {
                        parts.push(Doc::text("none because "));
                        parts.push(self.text_doc(reason));
                    }
                    UndoKind::Order(order) => parts.push(self.text_doc(order)),
                }
                match &undo.when {
                    UndoWhen::OnOutcome => {}
                    UndoWhen::AtEnd => parts.push(Doc::text(" at end")),
                    UndoWhen::After(delay) => self.timing(&mut parts, "after", Some(delay)),
                }
                self.timing(&mut parts, "within", undo.within.as_ref());
            }
            ClauseKind::Verify {
                condition,
                within,
                every,
            } => {
                parts.push(self.expr(condition));
                self.timing(&mut parts, "within", within.as_ref());
                self.timing(&mut parts, "every", every.as_ref());
            }
            ClauseKind::Failed(outcome) | ClauseKind::Unclear(outcome) | ClauseKind::NotApproved(outcome) => {
                parts.push(Doc::text("-> "));
                parts.push(self.outcome(outcome));
            }
            ClauseKind::Read { call, within, .. } => {
                parts.push(Doc::text(format!("{} = ", padded(&self.left(kind), pad.left))));
                parts.push(self.expr(call));
                self.timing(&mut parts, "within", within.as_ref());
            }
            ClauseKind::Let { value, .. } => {
                parts.push(Doc::text(format!("{} = ", padded(&self.left(kind), pad.left))));
                parts.push(self.expr(value));
            }
            ClauseKind::Question(question) if family(kind) == Some(Family::Binding) => {
                parts.push(Doc::text(format!("{} = ", padded(&self.left(kind), pad.left))));
                match &question.form {
                    QuestionForm::Run(call) => {
                        parts.push(Doc::text("run "));
                        parts.push(self.expr(call));
                    }
                    QuestionForm::Alias(call) => parts.push(self.expr(call)),
                    _ => return None,
                }
            }
            ClauseKind::Prevent { title, by, within } => {
                parts.push(self.text_doc(title));
                if let Some(by) = by {
                    parts.push(Doc::text(" by "));
                    parts.push(self.text_doc(by));
                }
                self.timing(&mut parts, "in", within.as_ref());
            }
            ClauseKind::Advise { title, body: None } => parts.push(self.text_doc(title)),
            ClauseKind::Example(example) => {
                parts.push(Doc::text(padded(&self.left(kind), pad.left)));
                parts.push(self.example(example));
            }
            _ => {
                parts.clear();
                self.step(kind, &mut parts)?;
            }
        }
        Some(Doc::Concat(parts))
    }

    /// Short clauses that are not aligned.
    fn step(&mut self, kind: &ClauseKind, parts: &mut Vec<Doc>) -> Option<()> {
        let mut valued = |this: &mut Self, word: &str, value: &Expr| {
            parts.push(Doc::text(format!("{word} ")));
            parts.push(this.expr(value));
        };
        match kind {
            ClauseKind::Goal(value) => valued(self, "goal", value),
            ClauseKind::Resolved(value) => valued(self, "resolved when", value),
            ClauseKind::YesWhen(value) => valued(self, "yes when", value),
            ClauseKind::Run(value) => valued(self, "run", value),
            ClauseKind::Tell(value) => valued(self, "tell", value),
            ClauseKind::EscalationUse(path) => {
                parts.push(Doc::text("escalation "));
                parts.push(self.path(path));
            }
            ClauseKind::Escalate => parts.push(Doc::text("escalate")),
            ClauseKind::Stop(text) => parts.push(Doc::text(format!("stop {}", self.source(text.span)))),
            ClauseKind::Ask {
                name,
                title,
                within,
                form,
            } => {
                parts.push(Doc::text(format!("ask {} {}", name.text, self.source(title.span))));
                self.timing(parts, "within", within.as_ref());
                match form {
                    AskForm::Text => parts.push(Doc::text(" { text }")),
                    AskForm::Choose(list) => {
                        parts.push(Doc::text(" { choose from "));
                        parts.push(self.expr(list));
                        parts.push(Doc::text(" }"));
                    }
                }
            }
            ClauseKind::Manual {
                name,
                title,
                within,
                body: None,
            } => {
                parts.push(Doc::text(format!("manual {} {}", name.text, self.source(title.span))));
                self.timing(parts, "within", within.as_ref());
            }
            ClauseKind::Require { condition, otherwise } => {
                valued(self, "require", condition);
                self.otherwise(parts, otherwise.as_ref());
            }
            ClauseKind::Wait {
                condition,
                within,
                every,
                otherwise,
            } => {
                valued(self, "wait until", condition);
                self.timing(parts, "within", within.as_ref());
                self.timing(parts, "every", every.as_ref());
                self.otherwise(parts, otherwise.as_ref());
            }
            _ => return None,
        }
        Some(())
    }

    fn otherwise(&mut self, parts: &mut Vec<Doc>, outcome: Option<&Outcome>) {
        if let Some(outcome) = outcome {
            parts.push(Doc::text(" else "));
            parts.push(self.outcome(outcome));
        }
    }

    fn outcome(&mut self, outcome: &Outcome) -> Doc {
        let mut items = Vec::new();
        if outcome.undo.is_some() {
            items.push(Doc::text("undo"));
        }
        if outcome.keep.is_some() {
            items.push(Doc::text("keep"));
        }
        for tell in &outcome.tells {
            let call = self.expr(tell);
            items.push(Doc::Concat(vec![Doc::text("tell "), call]));
        }
        if let Some(End { kind, .. }) = &outcome.end {
            items.push(match kind {
                EndKind::NextCause => Doc::text("next cause"),
                EndKind::NextStep => Doc::text("next step"),
                EndKind::Escalate => Doc::text("escalate"),
                EndKind::Stop(reason) => Doc::text(format!("stop {}", self.source(reason.span))),
            });
        }
        Self::comma_separated(items)
    }

    /// Items behind each other, broken after the commas when they are too wide.
    fn comma_separated(items: Vec<Doc>) -> Doc {
        let mut parts = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            if index > 0 {
                parts.push(Doc::text(","));
                parts.push(Doc::Line);
            }
            parts.push(item);
        }
        Doc::Group(vec![Doc::Indent(parts)])
    }

    fn severity_row(&mut self, row: &SeverityRow, width: usize) {
        let mut parts = vec![Doc::text(format!("{} ", padded(&row.name.text, width)))];
        match &row.when {
            SeverityWhen::Holds(condition) => {
                parts.push(Doc::text("when "));
                parts.push(self.expr(condition));
            }
            SeverityWhen::CannotTell => parts.push(Doc::text("when cannot tell")),
            SeverityWhen::Otherwise => parts.push(Doc::text("otherwise")),
        }
        self.put(&Doc::Concat(parts));
    }

    fn escalation_row(&mut self, row: &EscalationRow, width: usize) {
        let entries = row
            .entries
            .iter()
            .map(|entry| {
                let mut parts = vec![self.expr(&entry.call)];
                match &entry.after {
                    Some(_) => self.timing(&mut parts, "after", entry.after.as_ref()),
                    None => parts.push(Doc::text(" now")),
                }
                if entry.unless_acknowledged {
                    parts.push(Doc::text(" unless acknowledged"));
                }
                Doc::Concat(parts)
            })
            .collect();
        let entries = Self::comma_separated(entries);
        self.put(&Doc::Concat(vec![
            Doc::text(format!("{} -> ", padded(&row.severity.text, width))),
            entries,
        ]));
    }

    /// ` { given -> answer, fields }` behind the title of an example.
    pub(super) fn example(&mut self, example: &Example) -> Doc {
        let mut inside = vec![Doc::Line];
        for (index, (name, value)) in example.given.iter().enumerate() {
            if index > 0 {
                inside.push(Doc::text(","));
                inside.push(Doc::Line);
            }
            inside.push(Doc::text(format!("{} = ", name.text)));
            inside.push(self.given(value));
        }
        if !example.given.is_empty() {
            inside.push(Doc::text(" "));
        }
        inside.push(Doc::text("->"));
        for (index, name) in example.answer.iter().enumerate() {
            inside.push(Doc::text(if index == 0 { " " } else { ", " }));
            inside.push(self.name(name));
        }
        for (name, value) in &example.fields {
            inside.push(Doc::text(","));
            inside.push(Doc::Line);
            inside.push(Doc::text(format!("{} ", name.text)));
            inside.push(self.expr(value));
        }
        Doc::Group(vec![Doc::text(" {"), Doc::Indent(inside), Doc::Line, Doc::text("}")])
    }

    /// A value of an example or a scenario.
    pub(super) fn given(&mut self, value: &GivenValue) -> Doc {
        match &value.kind {
            GivenKind::Expr(expr) => self.expr(expr),
            GivenKind::Of(count, of) => {
                let count = self.expr(count);
                let of = self.expr(of);
                Doc::Concat(vec![count, Doc::text(" of "), of])
            }
            GivenKind::Done { after } => {
                let mut parts = vec![Doc::text("done")];
                self.timing(&mut parts, "after", after.as_ref());
                Doc::Concat(parts)
            }
            GivenKind::Fails(text) => Doc::text(format!("fails {}", self.source(text.span))),
            GivenKind::Word(word) => self.name(word),
            GivenKind::Until { first, until, then } => {
                let mut parts = vec![self.given(first)];
                match until {
                    Until::Action(action) => parts.push(Doc::text(format!(" until {}", action.dotted()))),
                    Until::Elapsed(time) => {
                        parts.push(Doc::text(" until "));
                        parts.push(self.expr(time));
                    }
                    Until::Once => {}
                }
                parts.push(Doc::text(" then "));
                parts.push(self.given(then));
                Doc::Concat(parts)
            }
        }
    }
}
