//! Clauses: header, sections, questions, steps.

use super::{Builder, Node, Rule, inner};
use crate::diagnostic::Diagnostic;
use crate::source::Span;
use crate::syntax::tree::{
    AskForm, Block, Clause, ClauseKind, Each, EscalationEntry, EscalationRow, Example, Expr, GivenValue, Name,
    Question, QuestionForm, QuestionKind, SeverityRow, SeverityWhen, Text,
};

/// What most clauses are made of; each clause takes what it knows.
#[derive(Default)]
pub(super) struct Pieces {
    pub(super) name: Option<Name>,
    pub(super) title: Option<Text>,
    pub(super) expr: Option<Expr>,
    pub(super) within: Option<Expr>,
    pub(super) every: Option<Expr>,
    pub(super) block: Option<Block>,
}

impl Builder<'_> {
    /// The clauses of a block, from its braces.
    pub(super) fn block(&self, pair: Node) -> Block {
        let mut span = self.span(&pair);
        let mut clauses = Vec::new();
        for part in inner(pair) {
            match part.as_rule() {
                Rule::close_brace | Rule::missing_close | Rule::late_brace | Rule::same_line_prose => {
                    self.edge_of_block(&part, &mut span);
                }
                _ => clauses.push(self.clause(part)),
            }
        }
        Block { clauses, span }
    }

    /// Reports what is wrong at the braces of a block.
    pub(super) fn edge_of_block(&self, part: &Node, span: &mut Span) {
        match part.as_rule() {
            Rule::close_brace => {}
            Rule::missing_close => self.missing_close(part, *span),
            Rule::late_brace => {
                let brace = self.last_byte(part);
                *span = Span {
                    start: brace.start,
                    ..*span
                };
                self.late_brace(brace);
            }
            Rule::same_line_prose => self.same_line_prose(part),
            _ => self.unexpected(part),
        }
    }

    pub(super) fn clause(&self, pair: Node) -> Clause {
        let span = self.span(&pair);
        let keyword = self.keyword(&pair);
        let kind = self.clause_kind(pair, span);
        Clause { kind, span, keyword }
    }

    /// The word or words a clause begins with.
    fn keyword(&self, pair: &Node) -> Span {
        let span = self.span(pair);
        if pair.as_rule() == Rule::prose {
            return Span::new(self.id, span.start as usize, span.start as usize + 1);
        }
        let text = pair.as_str();
        let words = match pair.as_rule() {
            Rule::yes_when | Rule::cannot_tell | Rule::not_approved => 2,
            Rule::otherwise
                if pair
                    .clone()
                    .into_inner()
                    .any(|part| part.as_rule() == Rule::or_cannot_tell) =>
            {
                4
            }
            _ => 1,
        };
        let mut end = 0;
        for _ in 0..words {
            end += text[end..].len() - text[end..].trim_start_matches([' ', '\t']).len();
            let rest = &text[end..];
            end += rest
                .find(|character: char| !(character.is_alphanumeric() || character == '_'))
                .unwrap_or(rest.len());
        }
        let end = end.max(text.chars().next().map_or(0, char::len_utf8)).min(span.len());
        Span::new(self.id, span.start as usize, span.start as usize + end)
    }

    fn clause_kind(&self, pair: Node, span: Span) -> ClauseKind {
        match pair.as_rule() {
            Rule::prose => ClauseKind::Prose(self.prose(pair)),
            Rule::owner => self.titled(pair, span, ClauseKind::Owner),
            Rule::stop => self.titled(pair, span, ClauseKind::Stop),
            Rule::ask_question => self.titled(pair, span, ClauseKind::Reflect),
            Rule::status => self.named(pair, span, ClauseKind::Status),
            Rule::risk => self.named(pair, span, ClauseKind::Risk),
            Rule::goal => self.valued(pair, span, ClauseKind::Goal),
            Rule::resolved => self.valued(pair, span, ClauseKind::Resolved),
            Rule::yes_when => self.valued(pair, span, ClauseKind::YesWhen),
            Rule::when => self.valued(pair, span, ClauseKind::When),
            Rule::run => self.valued(pair, span, ClauseKind::Run),
            Rule::tell => self.valued(pair, span, ClauseKind::Tell),
            Rule::reads => ClauseKind::Reads(self.paths(pair)),
            Rule::changes => ClauseKind::Changes(self.paths(pair)),
            Rule::tells => ClauseKind::Tells(self.paths(pair)),
            Rule::runs => ClauseKind::Runs(self.paths(pair)),
            Rule::escalate => ClauseKind::Escalate,
            Rule::situation => ClauseKind::Situation(self.section(pair)),
            Rule::task => ClauseKind::Task(self.section(pair)),
            Rule::result => ClauseKind::Result(self.section(pair)),
            Rule::reflection => ClauseKind::Reflection(self.section(pair)),
            Rule::cannot_tell => ClauseKind::CannotTell(self.section(pair)),
            Rule::reviewed => self.reviewed(pair, span),
            Rule::timebox => self.timebox(pair, span),
            Rule::severity => self.severity(pair),
            Rule::escalation => self.escalation(pair),
            Rule::escalation_use => match inner(pair).next() {
                Some(path) => ClauseKind::EscalationUse(self.path(path)),
                None => ClauseKind::Junk,
            },
            Rule::prevent => self.prevent(pair, span),
            Rule::advise => {
                let (pieces, fits) = self.pieces(pair);
                match pieces.title {
                    Some(title) if fits => ClauseKind::Advise {
                        title,
                        body: pieces.block,
                    },
                    _ => ClauseKind::Junk,
                }
            }
            Rule::check => self.question(pair, QuestionKind::Check),
            Rule::symptom => self.question(pair, QuestionKind::Symptom),
            Rule::read => self.read(pair, span),
            Rule::let_clause => self.let_clause(pair, span),
            Rule::ask_value => self.ask(pair, span),
            Rule::example => ClauseKind::Example(self.example(pair)),
            Rule::branch | Rule::cause | Rule::otherwise | Rule::manual => self.step_with_block(pair, span),
            Rule::each_clause => self.each(pair, span),
            Rule::require | Rule::wait => self.guard(pair, span),
            Rule::bad_block => {
                let mut braces = span;
                for part in inner(pair) {
                    match part.as_rule() {
                        Rule::bad_head => self.bad_clause(&part, Rule::try_clause, true),
                        Rule::block => {
                            self.block(part);
                        }
                        Rule::trail => self.trail(&part),
                        _ => self.edge_of_block(&part, &mut braces),
                    }
                }
                ClauseKind::Junk
            }
            Rule::junk => {
                self.bad_clause(&pair, Rule::try_clause, false);
                ClauseKind::Junk
            }
            _ => self.action_clause(pair, span),
        }
    }

    fn titled(&self, pair: Node, span: Span, make: fn(Text) -> ClauseKind) -> ClauseKind {
        let title = inner(pair).find(|part| part.as_rule() == Rule::title || part.as_rule() == Rule::text);
        make(title.map_or_else(|| self.no_text(span), |title| self.text(title)))
    }

    pub(super) fn named(&self, pair: Node, span: Span, make: fn(Name) -> ClauseKind) -> ClauseKind {
        make(
            inner(pair)
                .next()
                .map_or_else(|| self.no_name(span), |name| self.name(&name)),
        )
    }

    pub(super) fn valued(&self, pair: Node, span: Span, make: fn(Expr) -> ClauseKind) -> ClauseKind {
        make(self.only_expr(pair).unwrap_or_else(|| self.error_expr(span)))
    }

    pub(super) fn paths(&self, pair: Node) -> Vec<crate::syntax::tree::Path> {
        inner(pair)
            .filter(|part| part.as_rule() == Rule::path)
            .map(|part| self.path(part))
            .collect()
    }

    /// The block of a clause that has nothing but a block.
    fn section(&self, pair: Node) -> Block {
        self.pieces(pair).0.block.unwrap_or_default()
    }

    /// Sorts the usual parts of a clause; false when its head was mistaken (and reported).
    pub(super) fn pieces(&self, pair: Node) -> (Pieces, bool) {
        let begin = pair.as_span().start();
        let mut pieces = Pieces::default();
        let mut fits = true;
        for part in inner(pair) {
            match part.as_rule() {
                Rule::name => pieces.name = Some(self.name(&part)),
                Rule::text => pieces.title = Some(self.text(part)),
                Rule::expr => pieces.expr = Some(self.expr(part)),
                Rule::block => pieces.block = Some(self.block(part)),
                Rule::trail => self.trail(&part),
                Rule::head_junk | Rule::section_junk => {
                    self.head_junk(begin, &part, Rule::try_clause);
                    fits = false;
                }
                Rule::within | Rule::every => self.timing(part, &mut pieces),
                Rule::branch_head | Rule::cause_head | Rule::or_cannot_tell => {
                    let (head, _) = self.pieces(part);
                    pieces.name = head.name;
                    pieces.title = head.title;
                    pieces.expr = head.expr;
                }
                _ => self.unexpected(&part),
            }
        }
        (pieces, fits)
    }

    /// `within D` or `every D`; twice is a mistake.
    pub(super) fn timing(&self, part: Node, pieces: &mut Pieces) {
        let slot = match part.as_rule() {
            Rule::every => &mut pieces.every,
            _ => &mut pieces.within,
        };
        self.once(part, slot);
    }

    pub(super) fn once(&self, part: Node, slot: &mut Option<Expr>) {
        let span = self.span(&part);
        if slot.is_some() {
            let word = part.as_str().split_whitespace().next().unwrap_or_default();
            self.push(
                Diagnostic::error("syntax", span, format!("`{word}` stands twice")).help("remove one of the two"),
            );
        }
        *slot = self.only_expr(part);
    }

    fn reviewed(&self, pair: Node, span: Span) -> ClauseKind {
        let mut date = None;
        let mut valid = None;
        for part in inner(pair) {
            match part.as_rule() {
                Rule::date => date = Some(self.name(&part)),
                Rule::valid => valid = self.only_expr(part),
                _ => self.unexpected(&part),
            }
        }
        ClauseKind::Reviewed {
            date: date.unwrap_or_else(|| self.no_name(span)),
            valid,
        }
    }

    fn timebox(&self, pair: Node, span: Span) -> ClauseKind {
        let mut duration = None;
        let mut then = None;
        for part in inner(pair) {
            match part.as_rule() {
                Rule::expr => duration = Some(self.expr(part)),
                Rule::outcome => then = Some(self.outcome(part)),
                _ => self.unexpected(&part),
            }
        }
        ClauseKind::Timebox {
            duration: duration.unwrap_or_else(|| self.error_expr(span)),
            then,
        }
    }

    fn severity(&self, pair: Node) -> ClauseKind {
        let begin = pair.as_span().start();
        let mut rows = Vec::new();
        for part in inner(pair) {
            match part.as_rule() {
                Rule::head_junk | Rule::section_junk => {
                    self.head_junk(begin, &part, Rule::try_clause);
                }
                Rule::trail => self.trail(&part),
                Rule::severity_block => {
                    let mut braces = self.span(&part);
                    for row in inner(part) {
                        match row.as_rule() {
                            Rule::severity_row => rows.push(self.severity_row(row)),
                            Rule::junk => self.bad_clause(&row, Rule::try_severity, false),
                            _ => self.edge_of_block(&row, &mut braces),
                        }
                    }
                }
                _ => self.unexpected(&part),
            }
        }
        ClauseKind::Severity(rows)
    }

    fn severity_row(&self, pair: Node) -> SeverityRow {
        let span = self.span(&pair);
        let mut name = None;
        let mut when = SeverityWhen::Otherwise;
        for part in inner(pair) {
            match part.as_rule() {
                Rule::name => name = Some(self.name(&part)),
                Rule::row_cannot_tell => when = SeverityWhen::CannotTell,
                Rule::expr => when = SeverityWhen::Holds(self.expr(part)),
                _ => self.unexpected(&part),
            }
        }
        SeverityRow {
            name: name.unwrap_or_else(|| self.no_name(span)),
            when,
            span,
        }
    }

    fn escalation(&self, pair: Node) -> ClauseKind {
        let begin = pair.as_span().start();
        let mut name = None;
        let mut rows = Vec::new();
        for part in inner(pair) {
            match part.as_rule() {
                Rule::escalation_head => name = inner(part).next().map(|part| self.name(&part)),
                Rule::head_junk | Rule::section_junk => {
                    self.head_junk(begin, &part, Rule::try_clause);
                }
                Rule::trail => self.trail(&part),
                Rule::escalation_block => {
                    let mut braces = self.span(&part);
                    for row in inner(part) {
                        match row.as_rule() {
                            Rule::escalation_row => rows.push(self.escalation_row(row)),
                            Rule::junk => self.bad_clause(&row, Rule::try_escalation, false),
                            _ => self.edge_of_block(&row, &mut braces),
                        }
                    }
                }
                _ => self.unexpected(&part),
            }
        }
        ClauseKind::Escalation { name, rows }
    }

    fn escalation_row(&self, pair: Node) -> EscalationRow {
        let span = self.span(&pair);
        let mut severity = None;
        let mut entries = Vec::new();
        for part in inner(pair) {
            match part.as_rule() {
                Rule::name => severity = Some(self.name(&part)),
                Rule::entry_call => {
                    let span = self.span(&part);
                    let mut call = None;
                    let mut after = None;
                    let mut unless_acknowledged = false;
                    for piece in inner(part) {
                        match piece.as_rule() {
                            Rule::expr => call = Some(self.expr(piece)),
                            Rule::entry_after => after = self.only_expr(piece),
                            Rule::entry_unless => unless_acknowledged = true,
                            _ => self.unexpected(&piece),
                        }
                    }
                    entries.push(EscalationEntry {
                        call: call.unwrap_or_else(|| self.error_expr(span)),
                        after,
                        unless_acknowledged,
                        span,
                    });
                }
                _ => self.unexpected(&part),
            }
        }
        EscalationRow {
            severity: severity.unwrap_or_else(|| self.no_name(span)),
            entries,
            span,
        }
    }

    fn prevent(&self, pair: Node, span: Span) -> ClauseKind {
        let mut title = None;
        let mut by = None;
        let mut within = None;
        for part in inner(pair) {
            match part.as_rule() {
                Rule::text => title = Some(self.text(part)),
                Rule::prevent_by => by = inner(part).next().map(|part| self.text(part)),
                Rule::prevent_in => within = self.only_expr(part),
                _ => self.unexpected(&part),
            }
        }
        ClauseKind::Prevent {
            title: title.unwrap_or_else(|| self.no_text(span)),
            by,
            within,
        }
    }

    fn question(&self, pair: Node, kind: QuestionKind) -> ClauseKind {
        let begin = pair.as_span().start();
        let mut name = None;
        let mut params = Vec::new();
        let mut title = None;
        let mut observed = None;
        let mut form = None;
        let mut body = None;
        let mut fits = true;
        for part in inner(pair) {
            match part.as_rule() {
                Rule::name => name = Some(self.name(&part)),
                Rule::params => params = self.params(part),
                Rule::text => title = Some(self.text(part)),
                Rule::block => body = Some(self.block(part)),
                Rule::trail => self.trail(&part),
                Rule::head_junk | Rule::section_junk => {
                    self.head_junk(begin, &part, Rule::try_clause);
                    fits = false;
                }
                Rule::expr => form = Some(QuestionForm::Alias(self.expr(part))),
                Rule::check_run => form = self.only_expr(part).map(QuestionForm::Run),
                Rule::observed => {
                    let mut by = None;
                    let mut pieces = Pieces::default();
                    for piece in inner(part) {
                        match piece.as_rule() {
                            Rule::observed_by => by = inner(piece).next().map(|role| self.name(&role)),
                            _ => self.timing(piece, &mut pieces),
                        }
                    }
                    observed = Some((by, pieces.within));
                }
                _ => self.unexpected(&part),
            }
        }
        let form = match (observed, form, body) {
            (Some((by, within)), _, body) => Some(QuestionForm::Observed { by, within, body }),
            (None, Some(form), _) => Some(form),
            (None, None, body) => body.map(QuestionForm::Block),
        };
        match (name, form) {
            (Some(name), Some(form)) if fits => ClauseKind::Question(Question {
                kind,
                name,
                params,
                title,
                form,
            }),
            _ => ClauseKind::Junk,
        }
    }

    fn read(&self, pair: Node, span: Span) -> ClauseKind {
        let mut pieces = Pieces::default();
        let mut ty = None;
        for part in inner(pair) {
            match part.as_rule() {
                Rule::name => pieces.name = Some(self.name(&part)),
                Rule::read_type => ty = inner(part).next().map(|part| self.ty(part)),
                Rule::expr => pieces.expr = Some(self.expr(part)),
                _ => self.timing(part, &mut pieces),
            }
        }
        ClauseKind::Read {
            name: pieces.name.unwrap_or_else(|| self.no_name(span)),
            ty,
            call: pieces.expr.unwrap_or_else(|| self.error_expr(span)),
            within: pieces.within,
        }
    }

    fn let_clause(&self, pair: Node, span: Span) -> ClauseKind {
        let mut name = None;
        let mut ty = None;
        let mut value = None;
        for part in inner(pair) {
            match part.as_rule() {
                Rule::name => name = Some(self.name(&part)),
                Rule::read_type => ty = inner(part).next().map(|part| self.ty(part)),
                Rule::expr => value = Some(self.expr(part)),
                _ => self.unexpected(&part),
            }
        }
        ClauseKind::Let {
            name: name.unwrap_or_else(|| self.no_name(span)),
            ty,
            value: value.unwrap_or_else(|| self.error_expr(span)),
        }
    }

    fn ask(&self, pair: Node, span: Span) -> ClauseKind {
        let mut pieces = Pieces::default();
        let mut form = AskForm::Text;
        for part in inner(pair) {
            match part.as_rule() {
                Rule::name => pieces.name = Some(self.name(&part)),
                Rule::text => pieces.title = Some(self.text(part)),
                Rule::ask_form => {
                    if let Some(list) = self.only_expr(part) {
                        form = AskForm::Choose(list);
                    }
                }
                _ => self.timing(part, &mut pieces),
            }
        }
        ClauseKind::Ask {
            name: pieces.name.unwrap_or_else(|| self.no_name(span)),
            title: pieces.title.unwrap_or_else(|| self.no_text(span)),
            within: pieces.within,
            form,
        }
    }

    pub(super) fn example(&self, pair: Node) -> Example {
        let span = self.span(&pair);
        let mut title = None;
        let mut given: Vec<(Name, GivenValue)> = Vec::new();
        let mut answer = None;
        let mut fields = Vec::new();
        for part in inner(pair) {
            match part.as_rule() {
                Rule::text => title = Some(self.text(part)),
                Rule::example_given => {
                    let mut pieces = inner(part);
                    if let (Some(name), Some(value)) = (pieces.next(), pieces.next()) {
                        given.push((self.name(&name), self.given_value(value)));
                    }
                }
                Rule::label => answer = Some(self.name(&part)),
                Rule::example_field => {
                    let mut pieces = inner(part);
                    if let (Some(name), Some(value)) = (pieces.next(), pieces.next()) {
                        fields.push((self.name(&name), self.expr(value)));
                    }
                }
                _ => self.unexpected(&part),
            }
        }
        Example {
            title: title.unwrap_or_else(|| self.no_text(span)),
            given,
            answer,
            fields,
            span,
        }
    }

    fn step_with_block(&self, pair: Node, span: Span) -> ClauseKind {
        let rule = pair.as_rule();
        let cannot_tell = inner(pair.clone()).any(|part| part.as_rule() == Rule::or_cannot_tell);
        let (pieces, fits) = self.pieces(pair);
        if !fits {
            return ClauseKind::Junk;
        }
        let body = pieces.block;
        let name = pieces.name.unwrap_or_else(|| self.no_name(span));
        let title = pieces.title.unwrap_or_else(|| self.no_text(span));
        match rule {
            Rule::manual => ClauseKind::Manual {
                name,
                title,
                within: pieces.within,
                body,
            },
            Rule::branch => ClauseKind::Branch {
                title,
                body: body.unwrap_or_default(),
            },
            Rule::cause => ClauseKind::Cause {
                name,
                title,
                when: pieces.expr,
                body: body.unwrap_or_default(),
            },
            _ => ClauseKind::Otherwise {
                cannot_tell,
                body: body.unwrap_or_default(),
            },
        }
    }

    fn each(&self, pair: Node, span: Span) -> ClauseKind {
        let begin = pair.as_span().start();
        let mut name = None;
        let mut list = None;
        let mut at_most = None;
        let mut batches = Vec::new();
        let mut stop_after = None;
        let mut body = None;
        let mut fits = true;
        for part in inner(pair) {
            match part.as_rule() {
                Rule::each_head => {
                    for piece in inner(part) {
                        match piece.as_rule() {
                            Rule::name => name = Some(self.name(&piece)),
                            Rule::expr => list = Some(self.expr(piece)),
                            Rule::each_most => at_most = self.only_expr(piece),
                            Rule::each_batches => batches = self.exprs(piece),
                            Rule::each_stop => stop_after = self.only_expr(piece),
                            _ => self.unexpected(&piece),
                        }
                    }
                }
                Rule::head_junk | Rule::section_junk => {
                    self.head_junk(begin, &part, Rule::try_clause);
                    fits = false;
                }
                Rule::block => body = Some(self.block(part)),
                Rule::trail => self.trail(&part),
                _ => self.unexpected(&part),
            }
        }
        match (name, list) {
            (Some(name), Some(list)) if fits => ClauseKind::Each(Each {
                name,
                list,
                at_most,
                batches,
                stop_after,
                body: body.unwrap_or(Block {
                    clauses: Vec::new(),
                    span,
                }),
            }),
            _ => ClauseKind::Junk,
        }
    }

    pub(super) fn exprs(&self, pair: Node) -> Vec<Expr> {
        inner(pair)
            .filter(|part| part.as_rule() == Rule::expr)
            .map(|part| self.expr(part))
            .collect()
    }

    fn guard(&self, pair: Node, span: Span) -> ClauseKind {
        let wait = pair.as_rule() == Rule::wait;
        let mut pieces = Pieces::default();
        let mut otherwise = None;
        for part in inner(pair) {
            match part.as_rule() {
                Rule::expr => pieces.expr = Some(self.expr(part)),
                Rule::else_clause => otherwise = inner(part).next().map(|part| self.outcome(part)),
                _ => self.timing(part, &mut pieces),
            }
        }
        let condition = pieces.expr.unwrap_or_else(|| self.error_expr(span));
        if wait {
            ClauseKind::Wait {
                condition,
                within: pieces.within,
                every: pieces.every,
                otherwise,
            }
        } else {
            ClauseKind::Require { condition, otherwise }
        }
    }
}
