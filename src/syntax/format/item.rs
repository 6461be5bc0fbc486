//! What stands at the top level, and providers.

use super::clause::Pad;
use super::doc::Doc;
use super::{Formatter, STEP, padded};
use crate::source::Span;
use crate::syntax::tree::{
    Clause, Effect, FieldDef, File, IdempotenceItem, Item, ItemKind, OperationItem, ProviderItem, ProviderMember,
};

impl Formatter<'_> {
    pub(super) fn file(&mut self, file: &File) {
        // Clauses at the top level (checks, lets) are aligned as in a block.
        let clauses: Vec<&Clause> = file
            .items
            .iter()
            .filter_map(|item| match &item.kind {
                ItemKind::Clause(clause) => Some(clause),
                _ => None,
            })
            .collect();
        let mut pads = Vec::with_capacity(file.items.len());
        let mut start = 0;
        for run in file
            .items
            .chunk_by(|a, b| matches!((&a.kind, &b.kind), (ItemKind::Clause(_), ItemKind::Clause(_))))
        {
            if matches!(run[0].kind, ItemKind::Clause(_)) {
                pads.extend(self.pads(clauses[start..start + run.len()].iter().copied()));
                start += run.len();
            } else {
                pads.extend(run.iter().map(|_| Pad::default()));
            }
        }
        self.lines(
            (0, self.text.len()),
            &file.items,
            |item| item.span,
            |this, index, item| match &item.kind {
                ItemKind::Clause(clause) => this.clause(clause, pads[index]),
                _ => this.item(item),
            },
        );
    }

    fn item(&mut self, item: &Item) {
        let mut head = Vec::new();
        match &item.kind {
            ItemKind::Module { path, title } => {
                head.push(Doc::text(format!("module {}", path.dotted())));
                if let Some(title) = title {
                    head.push(Doc::text(format!(" {}", self.source(title.span))));
                }
            }
            ItemKind::Use { path, names } => {
                head.push(Doc::text(format!("use {}.", path.dotted())));
                let members = names.iter().map(|name| (name.span, self.name(name))).collect();
                let braces = self.braces_from(path.span.end as usize, item.span);
                head.push(self.members("{", "}", false, braces, members));
            }
            ItemKind::Resource { name, title, fields } => {
                head.push(Doc::text(format!("resource {}", name.text)));
                if let Some(title) = title {
                    head.push(Doc::text(format!(" {}", self.source(title.span))));
                }
                if !fields.is_empty() {
                    head.push(Doc::text(" "));
                    let after = title.as_ref().map_or(name.span.end, |title| title.span.end);
                    head.push(self.fields(fields, after as usize, item.span));
                }
            }
            ItemKind::Record { name, fields } => {
                head.push(Doc::text(format!("record {} ", name.text)));
                head.push(self.fields(fields, name.span.end as usize, item.span));
            }
            ItemKind::Enum { name, values } => {
                head.push(Doc::text(format!("enum {} ", name.text)));
                let members = values.iter().map(|value| (value.span, self.name(value))).collect();
                let braces = self.braces_from(name.span.end as usize, item.span);
                head.push(self.members("{", "}", true, braces, members));
            }
            ItemKind::Runbook(runbook) => {
                head.push(Doc::text(format!("runbook {}", runbook.name.text)));
                head.push(self.params(&runbook.params, runbook.name.span.end as usize));
                if let Some(title) = &runbook.title {
                    head.push(Doc::text(format!(" {}", self.source(title.span))));
                }
                self.put(&Doc::Concat(head));
                self.block(&runbook.body);
                return;
            }
            ItemKind::Provider(provider) => return self.provider(provider, item.span),
            ItemKind::Scenario(scenario) => return self.scenario(scenario),
            ItemKind::Clause(_) => {}
            ItemKind::Junk => head.push(Doc::text(self.source(item.span))),
        }
        self.put(&Doc::Concat(head));
    }

    /// The braces that begin behind a place and end an item.
    fn braces_from(&self, after: usize, item: Span) -> Span {
        let length = self
            .text
            .get(after..item.end as usize)
            .and_then(|rest| rest.find('{'))
            .unwrap_or(0);
        Span {
            start: u32::try_from(after + length).unwrap_or(item.start),
            ..item
        }
    }

    fn fields(&mut self, fields: &[FieldDef], after: usize, item: Span) -> Doc {
        let members = fields
            .iter()
            .map(|field| {
                (
                    field.span,
                    Doc::text(format!("{}: {}", field.name.text, self.ty(&field.ty))),
                )
            })
            .collect();
        let braces = self.braces_from(after, item);
        self.members("{", "}", true, braces, members)
    }

    fn provider(&mut self, provider: &ProviderItem, item: Span) {
        self.out.push_str(&format!("provider {}", provider.name.text));
        let width = provider
            .members
            .iter()
            .map(|member| match member {
                ProviderMember::Operation(operation) => effect(operation.effect).len(),
                ProviderMember::Prose(_) => 0,
            })
            .max()
            .unwrap_or(0);
        let braces = self.braces_from(provider.name.span.end as usize, item);
        let span = |member: &ProviderMember| match member {
            ProviderMember::Operation(operation) => operation.span,
            ProviderMember::Prose(prose) => prose.span,
        };
        self.braces(braces, &provider.members, span, |this, _, member| match member {
            ProviderMember::Operation(operation) => this.operation(operation, width),
            ProviderMember::Prose(prose) => this.prose(prose),
        });
    }

    fn operation(&mut self, operation: &OperationItem, width: usize) {
        let word = padded(effect(operation.effect), width);
        let mut head = vec![Doc::text(format!("{word} {}", operation.path.dotted()))];
        if operation.params.is_empty() {
            head.push(Doc::text("()"));
        } else {
            head.push(self.params(&operation.params, operation.path.span.end as usize));
        }
        if let Some(result) = &operation.result {
            head.push(Doc::text(format!(" -> {}", self.ty(result))));
        }
        match &operation.idempotence {
            Some(IdempotenceItem::Idempotent) => head.push(Doc::text(" idempotent")),
            Some(IdempotenceItem::Keyed) => head.push(Doc::text(" keyed")),
            Some(IdempotenceItem::Unrepeatable) => head.push(Doc::text(" unrepeatable")),
            Some(IdempotenceItem::Verifiable(check)) => {
                head.push(Doc::text(format!(" verifiable by {}", check.dotted())))
            }
            None => {}
        }
        if operation.heavy {
            head.push(Doc::text(" heavy"));
        }
        self.timing(&mut head, "within", operation.within.as_ref());
        self.put(&Doc::Concat(head));
        self.operation_block(operation);
    }

    /// The lines of an operation's block: before, undo, examples, in this order; comments among them stand first.
    fn operation_block(&mut self, operation: &OperationItem) {
        if operation.before.is_none() && operation.undo.is_none() && operation.examples.is_empty() {
            return;
        }
        self.out.push_str(" {");
        self.end_line();
        self.indent += STEP;
        let comments = self.take(operation.path.span.end as usize, operation.span.end as usize);
        for comment in comments {
            self.begin_line();
            self.out.push_str(&comment.text);
            self.end_line();
        }
        for (word, call) in [("before", &operation.before), ("undo  ", &operation.undo)] {
            if let Some(call) = call {
                self.begin_line();
                let call = self.expr(call);
                let word = if operation.before.is_some() {
                    word
                } else {
                    word.trim_end()
                };
                self.put(&Doc::Concat(vec![Doc::text(format!("{word} ")), call]));
                self.end_line();
            }
        }
        for example in &operation.examples {
            self.begin_line();
            let title = self.source(example.title.span);
            let doc = self.example(example);
            self.put(&Doc::Concat(vec![Doc::text(format!("example {title}")), doc]));
            self.end_line();
        }
        self.indent -= STEP;
        self.begin_line();
        self.out.push('}');
    }
}

fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Read => "read",
        Effect::Probe => "probe",
        Effect::Change => "change",
        Effect::Tell => "tell",
        Effect::Preview => "preview",
    }
}
