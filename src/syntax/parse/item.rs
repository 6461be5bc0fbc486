//! What stands at the top level of a file.

use super::{Builder, Node, Rule, inner};
use crate::source::Span;
use crate::syntax::tree::{
    Effect, FieldDef, IdempotenceItem, Item, ItemKind, OperationItem, ProviderItem, ProviderMember, Runbook,
};

impl Builder<'_> {
    pub(super) fn items(&self, file: Node) -> Vec<Item> {
        inner(file)
            .filter(|part| part.as_rule() != Rule::EOI)
            .map(|part| {
                self.unclosed.set(false);
                let span = self.span(&part);
                Item {
                    kind: self.item(part, span),
                    span,
                }
            })
            .collect()
    }

    fn item(&self, pair: Node, span: Span) -> ItemKind {
        match pair.as_rule() {
            Rule::module_item => {
                let mut path = None;
                let mut title = None;
                for part in inner(pair) {
                    match part.as_rule() {
                        Rule::path => path = Some(self.path(part)),
                        Rule::text => title = Some(self.text(part)),
                        _ => self.unexpected(&part),
                    }
                }
                path.map_or(ItemKind::Junk, |path| ItemKind::Module { path, title })
            }
            Rule::use_item => {
                let mut path = None;
                let mut names = Vec::new();
                for part in inner(pair) {
                    match part.as_rule() {
                        Rule::use_path => path = Some(self.path(part)),
                        Rule::name => names.push(self.name(&part)),
                        _ => self.unexpected(&part),
                    }
                }
                path.map_or(ItemKind::Junk, |path| ItemKind::Use { path, names })
            }
            Rule::resource_item | Rule::record_item => {
                let record = pair.as_rule() == Rule::record_item;
                let mut name = None;
                let mut title = None;
                let mut fields = Vec::new();
                for part in inner(pair) {
                    match part.as_rule() {
                        Rule::name => name = Some(self.name(&part)),
                        Rule::text => title = Some(self.text(part)),
                        Rule::fields => fields = self.fields(part),
                        _ => self.unexpected(&part),
                    }
                }
                match name {
                    Some(name) if record => ItemKind::Record { name, fields },
                    Some(name) => ItemKind::Resource { name, title, fields },
                    None => ItemKind::Junk,
                }
            }
            Rule::enum_item => {
                let mut names = inner(pair).map(|part| self.name(&part));
                match names.next() {
                    Some(name) => ItemKind::Enum {
                        name,
                        values: names.collect(),
                    },
                    None => ItemKind::Junk,
                }
            }
            Rule::runbook_item => self.runbook(pair, span),
            Rule::provider_item => self.provider(pair),
            Rule::scenario_item => ItemKind::Scenario(self.scenario(pair)),
            Rule::record_bad | Rule::enum_bad | Rule::resource_bad => {
                self.bad_clause(&pair, Rule::try_clause, false);
                ItemKind::Junk
            }
            Rule::stray_close => {
                self.stray_close(span);
                ItemKind::Junk
            }
            _ => ItemKind::Clause(self.clause(pair)),
        }
    }

    fn fields(&self, pair: Node) -> Vec<FieldDef> {
        inner(pair)
            .filter_map(|part| {
                let span = self.span(&part);
                let mut pieces = inner(part);
                let name = self.name(&pieces.next()?);
                let ty = self.ty(pieces.next()?);
                Some(FieldDef { name, ty, span })
            })
            .collect()
    }

    fn runbook(&self, pair: Node, start: Span) -> ItemKind {
        let begin = pair.as_span().start();
        let mut runbook = Runbook {
            name: self.no_name(start),
            params: Vec::new(),
            title: None,
            body: Default::default(),
        };
        let mut fits = true;
        for part in inner(pair) {
            match part.as_rule() {
                Rule::runbook_head => {
                    for piece in inner(part) {
                        match piece.as_rule() {
                            Rule::name => runbook.name = self.name(&piece),
                            Rule::params => runbook.params = self.params(piece),
                            Rule::text => runbook.title = Some(self.text(piece)),
                            _ => self.unexpected(&piece),
                        }
                    }
                }
                Rule::head_junk | Rule::section_junk => {
                    self.head_junk(begin, &part, Rule::try_clause);
                    fits = false;
                }
                Rule::block => runbook.body = self.block(part),
                Rule::trail => self.trail(&part),
                _ => self.unexpected(&part),
            }
        }
        if fits {
            ItemKind::Runbook(runbook)
        } else {
            ItemKind::Junk
        }
    }

    fn provider(&self, pair: Node) -> ItemKind {
        let begin = pair.as_span().start();
        let mut name = None;
        let mut members = Vec::new();
        for part in inner(pair) {
            match part.as_rule() {
                Rule::provider_head => name = inner(part).next().map(|part| self.name(&part)),
                Rule::head_junk | Rule::section_junk => {
                    self.head_junk(begin, &part, Rule::try_clause);
                }
                Rule::trail => self.trail(&part),
                Rule::provider_block => {
                    let mut braces = self.span(&part);
                    for member in inner(part) {
                        match member.as_rule() {
                            Rule::prose => members.push(ProviderMember::Prose(self.prose(member))),
                            Rule::operation => members.push(ProviderMember::Operation(self.operation(member))),
                            Rule::junk => self.bad_clause(&member, Rule::try_operation, false),
                            _ => self.edge_of_block(&member, &mut braces),
                        }
                    }
                }
                _ => self.unexpected(&part),
            }
        }
        name.map_or(ItemKind::Junk, |name| {
            ItemKind::Provider(ProviderItem { name, members })
        })
    }

    fn operation(&self, pair: Node) -> OperationItem {
        let begin = pair.as_span().start();
        let span = self.span(&pair);
        let mut operation = OperationItem {
            effect: Effect::Read,
            path: crate::syntax::tree::Path {
                parts: Vec::new(),
                span,
            },
            params: Vec::new(),
            result: None,
            idempotence: None,
            heavy: false,
            within: None,
            before: None,
            undo: None,
            examples: Vec::new(),
            span,
        };
        for part in inner(pair) {
            match part.as_rule() {
                Rule::effect => {
                    operation.effect = match part.as_str().trim_end() {
                        "probe" => Effect::Probe,
                        "change" => Effect::Change,
                        "tell" => Effect::Tell,
                        _ => Effect::Read,
                    };
                }
                Rule::path => operation.path = self.path(part),
                Rule::params => operation.params = self.params(part),
                Rule::result_type => operation.result = inner(part).next().map(|part| self.ty(part)),
                Rule::attribute => self.attribute(part, &mut operation),
                Rule::head_junk => self.head_junk(begin, &part, Rule::try_operation),
                Rule::trail => self.trail(&part),
                Rule::operation_block => {
                    let mut braces = self.span(&part);
                    for line in inner(part) {
                        match line.as_rule() {
                            Rule::before_line => self.once(line, &mut operation.before),
                            Rule::undo_line => self.once(line, &mut operation.undo),
                            Rule::example => operation.examples.push(self.example(line)),
                            Rule::junk => self.bad_clause(&line, Rule::try_operation_line, false),
                            _ => self.edge_of_block(&line, &mut braces),
                        }
                    }
                }
                _ => self.unexpected(&part),
            }
        }
        operation
    }

    fn attribute(&self, pair: Node, operation: &mut OperationItem) {
        let span = self.span(&pair);
        let Some(kind) = inner(pair).next() else { return };
        let class = match kind.as_rule() {
            Rule::within => return self.once(kind, &mut operation.within),
            Rule::a_heavy => {
                operation.heavy = true;
                return;
            }
            Rule::a_idempotent => IdempotenceItem::Idempotent,
            Rule::a_keyed => IdempotenceItem::Keyed,
            Rule::a_unrepeatable => IdempotenceItem::Unrepeatable,
            _ => match inner(kind).next() {
                Some(path) => IdempotenceItem::Verifiable(self.path(path)),
                None => return,
            },
        };
        if operation.idempotence.is_some() {
            self.push(
                crate::diagnostic::Diagnostic::error("syntax", span, "an operation has one idempotence class")
                    .help("keep one of `idempotent`, `keyed`, `verifiable by CHECK`, `unrepeatable`"),
            );
        }
        operation.idempotence = Some(class);
    }
}
