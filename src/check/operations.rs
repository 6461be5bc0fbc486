//! Providers: their interface text as typed operations.

use super::modules::{Checker, ItemRef};
use super::scope::Body;
use crate::diagnostic::Diagnostic;
use crate::provider::modelled;
use crate::provider::{Effect, Idempotence, Operation, Parameter};
use crate::source::FileId;
use crate::syntax::tree::{IdempotenceItem, ItemKind, OperationItem, ProviderMember};
use crate::value::{Type, Value};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// A provider's operations.
pub struct ProviderTable {
    pub name: Arc<str>,
    pub item: ItemRef,
    order: Vec<OperationRef>,
    by_path: HashMap<String, usize>,
}

/// The member of an operation that stands in no text.
const MODELLED: usize = usize::MAX;

/// An operation, and where it is declared.
#[derive(Clone)]
pub struct OperationRef {
    pub operation: Arc<Operation>,
    /// Index of the member in the provider's item.
    pub member: usize,
}

impl ProviderTable {
    /// All operations, in the order of the text.
    pub fn operations(&self) -> impl Iterator<Item = Arc<Operation>> {
        self.order.iter().map(|entry| Arc::clone(&entry.operation))
    }

    /// The operation of this path: of the text, or of the provider's service models.
    pub fn find(&self, path: &str) -> Option<OperationRef> {
        self.by_path
            .get(path)
            .map(|index| self.order[*index].clone())
            .or_else(|| {
                modelled::operation(&self.name, path).map(|operation| OperationRef {
                    operation: self.with_own_resources(operation),
                    member: MODELLED,
                })
            })
    }

    /// The operation with the resource types of this module in the place of those of the model: a type is the one that is declared, not
    /// one of the same name.
    fn with_own_resources(&self, mut operation: Arc<Operation>) -> Arc<Operation> {
        let declared = |wanted: &Type| {
            let Type::Resource(wanted) = wanted else { return None };
            let all = self.order.iter().flat_map(|entry| &entry.operation.params);
            all.map(|param| &param.ty)
                .find(|ty| matches!(ty, Type::Resource(known) if known.name == wanted.name))
        };
        for index in 0..operation.params.len() {
            if let Some(own) = declared(&operation.params[index].ty).cloned() {
                Arc::make_mut(&mut operation).params[index].ty = own;
            }
        }
        operation
    }

    /// Every path that this one may have meant.
    pub fn candidates(&self, path: &str) -> Vec<String> {
        let text = self.order.iter().map(|entry| entry.operation.path.to_string());
        text.chain(modelled::candidates(&self.name, path)).collect()
    }

    /// True when one of the operations is a probe.
    pub fn probe(&self) -> Option<&Arc<Operation>> {
        self.order
            .iter()
            .map(|entry| &entry.operation)
            .find(|operation| operation.effect == Effect::Probe)
    }
}

impl Checker<'_> {
    /// True when the item declares a provider.
    pub fn is_provider(&self, item: ItemRef) -> bool {
        let tree = &self.entry(item.file).tree;
        matches!(
            tree.items.get(item.item).map(|item| &item.kind),
            Some(ItemKind::Provider(_))
        )
    }

    /// The provider that a file means by this name: its own, an imported one, or the embedded one.
    pub fn provider(&mut self, file: FileId, name: &str) -> Option<Rc<ProviderTable>> {
        if let Some(found) = self.symbol(file, name) {
            let item = found?;
            return self.provider_table(item);
        }
        let path = format!("std.{name}");
        let module = self.module(&path, None)?;
        let item = self.symbol(module, name)??;
        self.provider_table(item)
    }

    /// The operations of a provider item, typed once; `None` when the item is no provider.
    pub fn provider_table(&mut self, item: ItemRef) -> Option<Rc<ProviderTable>> {
        if let Some(known) = self.providers.get(&item) {
            return Some(Rc::clone(known));
        }
        let tree = self.tree(item.file);
        let ItemKind::Provider(provider) = &tree.items.get(item.item)?.kind else {
            return None;
        };
        let name: Arc<str> = provider.name.text.as_str().into();
        let mut table = ProviderTable {
            name: Arc::clone(&name),
            item,
            order: Vec::new(),
            by_path: HashMap::new(),
        };
        let mut doc = String::new();
        for (member, declared) in provider.members.iter().enumerate() {
            match declared {
                ProviderMember::Prose(prose) => {
                    doc = prose.text.literal().unwrap_or_default();
                }
                ProviderMember::Operation(written) => {
                    let operation = self.operation(item.file, &name, written, std::mem::take(&mut doc));
                    let path = operation.path.to_string();
                    if table.by_path.contains_key(&path) {
                        self.report(Diagnostic::error(
                            "duplicate-name",
                            written.path.span,
                            format!("`{name}.{path}` is declared twice"),
                        ));
                        continue;
                    }
                    table.by_path.insert(path, table.order.len());
                    table.order.push(OperationRef {
                        operation: Arc::new(operation),
                        member,
                    });
                }
            }
        }
        let table = Rc::new(table);
        self.providers.insert(item, Rc::clone(&table));
        Some(table)
    }

    fn operation(&mut self, file: FileId, provider: &Arc<str>, written: &OperationItem, doc: String) -> Operation {
        let mut params: Vec<Parameter> = Vec::with_capacity(written.params.len());
        let mut body = Body::new(self, file);
        for param in &written.params {
            if params.iter().any(|known| *known.name == *param.name.text) {
                body.report(Diagnostic::error(
                    "duplicate-name",
                    param.name.span,
                    format!("`{}` is declared twice", param.name.text),
                ));
                continue;
            }
            let ty = body.checker.resolve(file, &param.ty);
            let default = param.default.as_ref().map(|default| {
                let value = body.expect(default, &ty);
                body.literal(&value)
            });
            params.push(Parameter {
                name: param.name.text.as_str().into(),
                ty,
                default: default.flatten(),
            });
        }
        let result = written
            .result
            .as_ref()
            .map_or(Type::Nothing, |result| body.checker.resolve(file, result));
        let looks = matches!(written.effect, Effect::Read | Effect::Probe);
        let within = match &written.within {
            Some(within) => body.duration(within),
            None if written.effect == Effect::Change => Duration::from_secs(300),
            None => Duration::from_secs(30),
        };
        let idempotence = match &written.idempotence {
            _ if looks => Idempotence::Read,
            Some(IdempotenceItem::Idempotent) => Idempotence::Idempotent,
            Some(IdempotenceItem::Keyed) => Idempotence::Keyed,
            Some(IdempotenceItem::Verifiable(check)) => Idempotence::Verifiable(check.dotted()),
            Some(IdempotenceItem::Unrepeatable) | None => Idempotence::Unrepeatable,
        };
        Operation {
            provider: Arc::clone(provider),
            path: written.path.dotted().into(),
            effect: written.effect,
            params,
            result,
            idempotence,
            heavy: written.heavy,
            within,
            doc,
        }
    }
}

impl Body<'_, '_> {
    /// The value of an expression that is known before the run: literals, lists and records of them.
    pub fn literal(&mut self, expr: &crate::program::Expr) -> Option<Value> {
        use crate::program::ExprKind;
        if matches!(expr.ty, Type::Any) {
            return None;
        }
        let value = self.literal_value(expr);
        if value.is_none() && !matches!(expr.kind, ExprKind::Literal(_)) {
            self.report(
                Diagnostic::error("not-constant", expr.span, "this must be known before the run")
                    .help("write the value itself"),
            );
        }
        value
    }

    fn literal_value(&self, expr: &crate::program::Expr) -> Option<Value> {
        use crate::program::ExprKind;
        match &expr.kind {
            ExprKind::List(items) => {
                let items: Option<Vec<Value>> = items.iter().map(|item| self.literal_value(item)).collect();
                items.map(Value::list)
            }
            ExprKind::Record(fields) => {
                let mut values = Vec::with_capacity(fields.len());
                for (name, value) in fields {
                    values.push((Arc::clone(name), self.literal_value(value)?));
                }
                let type_name = match &expr.ty {
                    Type::Record(record) => Arc::clone(&record.name),
                    _ => "".into(),
                };
                Some(Value::Record(Arc::new(crate::value::Record {
                    type_name,
                    fields: values,
                })))
            }
            _ => super::constant::constant(expr, &self.constants),
        }
    }
}
