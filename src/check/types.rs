//! Written types, and which types fit where.

use super::modules::{Checker, ItemRef};
use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};
use crate::syntax::tree::{FieldDef, ItemKind, TypeExpr, TypeKind};
use crate::value::types::ResourceType;
use crate::value::{CodeLanguage, EnumType, RecordType, Type};
use std::collections::HashSet;
use std::sync::Arc;

/// Deepest nesting of records in records.
const RECORD_DEPTH: usize = crate::limits::RECORD_DEPTH;
/// Most parts of a type that was written in place.
const TYPE_PARTS: usize = crate::limits::TYPE_PARTS;
/// Deepest nesting of records and lists that were written in place.
const TYPE_DEPTH: usize = crate::limits::TYPE_DEPTH;

/// How far a declared type is resolved.
#[derive(Clone)]
pub enum TypeState {
    InProgress,
    /// The type, and how deep it is nested.
    Known(Type, usize),
}

const SIMPLE: &[(&str, Type)] = &[
    ("Bool", Type::Bool),
    ("Int", Type::Int),
    ("Float", Type::Float),
    ("Text", Type::Text),
    ("Time", Type::Time),
    ("Duration", Type::Duration),
    ("Ratio", Type::Ratio),
    ("Bytes", Type::Bytes),
    ("Rate", Type::Rate),
    ("Json", Type::Json),
];

/// The words of a probe's reply.
pub const PROBE_WORDS: &[&str] = &["answered", "refused", "timed_out", "no_such_name", "bad_certificate"];

/// The type `Probe`.
pub fn probe() -> Type {
    crate::value::probe::ty()
}

/// True for the type `Probe`.
pub fn is_probe(ty: &Type) -> bool {
    matches!(ty, Type::Record(record) if &*record.name == "Probe")
}

impl Checker<'_> {
    /// The type that is written there; what is wrong is reported and fits everything.
    pub fn resolve(&mut self, file: FileId, written: &TypeExpr) -> Type {
        self.resolve_deep(file, written, 0).0
    }

    fn resolve_deep(&mut self, file: FileId, written: &TypeExpr, depth: usize) -> (Type, usize) {
        match &written.kind {
            TypeKind::Optional(inner) => {
                let (inner, nested) = self.resolve_deep(file, inner, depth);
                let ty = match inner {
                    Type::Optional(_) | Type::Any => inner,
                    inner => Type::Optional(Box::new(inner)),
                };
                (ty, nested)
            }
            TypeKind::Named { name, args } => {
                let wrap: Option<fn(Box<Type>) -> Type> = match name.text.as_str() {
                    "List" => Some(Type::List),
                    "Series" => Some(Type::Series),
                    "Secret" => Some(Type::Secret),
                    _ => None,
                };
                if let Some(wrap) = wrap {
                    let [inner] = args.as_slice() else {
                        self.report(
                            Diagnostic::error("unknown-name", written.span, format!("`{}` takes one type", name.text))
                                .help(format!("for example `{}<Text>`", name.text)),
                        );
                        return (Type::Any, 0);
                    };
                    if depth > RECORD_DEPTH {
                        return (self.too_deep(written.span), 0);
                    }
                    let (inner, nested) = self.resolve_deep(file, inner, depth + 1);
                    if matches!(inner, Type::Any) {
                        return (Type::Any, 0);
                    }
                    return (wrap(Box::new(inner)), nested + 1);
                }
                if let Some(extra) = args.first() {
                    self.report(Diagnostic::error(
                        "unknown-name",
                        extra.span,
                        format!("`{}` takes no type in brackets", name.text),
                    ));
                    return (Type::Any, 0);
                }
                if let Some((_, ty)) = SIMPLE.iter().find(|(known, _)| *known == name.text) {
                    return (ty.clone(), 0);
                }
                if name.text == "Probe" {
                    return (self.probe.clone(), 1);
                }
                let code = CodeLanguage::from_name(&name.text).filter(|language| language.name() == name.text);
                if let Some(language) = code {
                    return (Type::Code(language), 0);
                }
                match self.symbol(file, &name.text) {
                    Some(Some(item)) => {
                        if let Some(found) = self.declared_type(item, name.span, depth) {
                            return found;
                        }
                        self.report(Diagnostic::error(
                            "unknown-name",
                            name.span,
                            format!("`{}` is not a type", name.text),
                        ));
                    }
                    Some(None) => {}
                    None => {
                        let declared: Vec<String> = self.type_names(file);
                        let known = declared
                            .iter()
                            .map(String::as_str)
                            .chain(SIMPLE.iter().map(|(known, _)| *known))
                            .chain([
                                "List", "Series", "Secret", "Probe", "Sql", "Promql", "Kql", "Regex", "Path",
                            ]);
                        let finding =
                            Diagnostic::error("unknown-name", name.span, format!("there is no type `{}`", name.text));
                        let known: Vec<&str> = known.collect();
                        let finding = match self.import(&name.text, &["resource", "record", "enum"]) {
                            Some(help) => finding.help(help),
                            None => self.suggest(finding, name, known, false),
                        };
                        self.report(finding);
                    }
                }
                (Type::Any, 0)
            }
        }
    }

    fn too_deep(&mut self, span: Span) -> Type {
        self.report(Diagnostic::error(
            "too-large",
            span,
            format!("types are nested more than {RECORD_DEPTH} deep"),
        ));
        Type::Any
    }

    fn type_names(&self, file: FileId) -> Vec<String> {
        if !self.may_suggest() {
            return Vec::new();
        }
        let symbols = &self.entry(file).symbols;
        symbols
            .keys()
            .filter(|name| name.starts_with(|first: char| first.is_uppercase()))
            .cloned()
            .collect()
    }

    /// The type an item declares; `None` when it declares something else. `depth` counts records around it.
    fn declared_type(&mut self, item: ItemRef, place: Span, depth: usize) -> Option<(Type, usize)> {
        let tree = self.tree(item.file);
        let kind = &tree.items.get(item.item)?.kind;
        match self.types.get(&item) {
            Some(TypeState::Known(_, nested)) if depth + nested > RECORD_DEPTH => {
                return Some((self.too_deep(place), 0));
            }
            Some(TypeState::Known(ty, nested)) => return Some((ty.clone(), *nested)),
            Some(TypeState::InProgress) => {
                self.report(
                    Diagnostic::error("type-cycle", place, "this type contains itself")
                        .help("a record is a tree: hold the other one's name or number instead"),
                );
                return Some((Type::Any, 0));
            }
            None => {}
        }
        if !matches!(
            kind,
            ItemKind::Record { .. } | ItemKind::Resource { .. } | ItemKind::Enum { .. }
        ) {
            return None;
        }
        if depth > RECORD_DEPTH {
            return Some((self.too_deep(place), 0));
        }
        self.types.insert(item, TypeState::InProgress);
        let (ty, nested) = match kind {
            ItemKind::Record { name, fields } => {
                let (fields, nested) = self.fields(item.file, fields, depth);
                let record = RecordType {
                    name: name.text.as_str().into(),
                    fields,
                };
                (Type::Record(Arc::new(record)), nested + 1)
            }
            ItemKind::Resource { name, fields, .. } => {
                let (fields, nested) = self.fields(item.file, fields, depth);
                let resource = ResourceType {
                    name: name.text.as_str().into(),
                    fields,
                };
                (Type::Resource(Arc::new(resource)), nested + 1)
            }
            ItemKind::Enum { name, values } => {
                let mut seen: HashSet<&str> = HashSet::new();
                for value in values {
                    if matches!(value.text.as_str(), "empty" | "missing" | "unknown" | "batches") {
                        self.report(
                            Diagnostic::error(
                                "duplicate-name",
                                value.span,
                                format!("`{}` is a word of the language", value.text),
                            )
                            .help("an enum's value needs another name, for example `other`"),
                        );
                    } else if !seen.insert(&value.text) {
                        self.report(Diagnostic::error(
                            "duplicate-name",
                            value.span,
                            format!("`{}` is declared twice", value.text),
                        ));
                    }
                }
                let enumeration = EnumType {
                    name: name.text.as_str().into(),
                    values: values.iter().map(|value| Arc::from(value.text.as_str())).collect(),
                };
                (Type::Enum(Arc::new(enumeration)), 0)
            }
            _ => (Type::Any, 0),
        };
        self.types.insert(item, TypeState::Known(ty.clone(), nested));
        Some((ty, nested))
    }

    /// The type of this name in a file, for an item known to be there; `None` when it is no type.
    pub fn type_of_item(&mut self, item: ItemRef, place: Span) -> Option<Type> {
        self.declared_type(item, place, 0).map(|(ty, _)| ty)
    }

    fn fields(&mut self, file: FileId, fields: &[FieldDef], depth: usize) -> (Vec<(Arc<str>, Type)>, usize) {
        let mut seen: HashSet<&str> = HashSet::new();
        let mut out = Vec::with_capacity(fields.len());
        let mut deepest = 0;
        for field in fields {
            if !seen.insert(&field.name.text) {
                self.report(Diagnostic::error(
                    "duplicate-name",
                    field.name.span,
                    format!("`{}` is declared twice", field.name.text),
                ));
                continue;
            }
            let (ty, nested) = self.resolve_deep(file, &field.ty, depth + 1);
            deepest = deepest.max(nested);
            out.push((Arc::from(field.name.text.as_str()), ty));
        }
        (out, deepest)
    }
}

/// Takes `?`, `Secret<…>` and `Series<…>` away: what a literal must be to fit.
pub fn core(ty: &Type) -> &Type {
    match ty {
        Type::Optional(inner) | Type::Secret(inner) | Type::Series(inner) => core(inner),
        other => other,
    }
}

/// True for the types of quantities, which are never written as bare numbers.
pub fn is_quantity(ty: &Type) -> bool {
    matches!(ty, Type::Duration | Type::Ratio | Type::Bytes | Type::Rate)
}

/// True for a number or quantity.
pub fn is_numeric(ty: &Type) -> bool {
    is_quantity(ty) || matches!(ty, Type::Int | Type::Float)
}

/// True when the two are one type. Named types are the same when they are the same declaration.
pub fn same(a: &Type, b: &Type) -> bool {
    let mut budget = TYPE_PARTS;
    same_within(a, b, &mut budget)
}

fn same_within(a: &Type, b: &Type, budget: &mut usize) -> bool {
    if *budget == 0 {
        return false;
    }
    *budget -= 1;
    match (a, b) {
        (Type::Any, _) | (_, Type::Any) => true,
        (Type::Secret(a), Type::Secret(b))
        | (Type::Series(a), Type::Series(b))
        | (Type::List(a), Type::List(b))
        | (Type::Optional(a), Type::Optional(b)) => same_within(a, b, budget),
        (Type::Record(a), Type::Record(b)) | (Type::Answer(a), Type::Answer(b)) => {
            Arc::ptr_eq(a, b)
                || (a.name.is_empty()
                    && b.name.is_empty()
                    && a.fields.len() == b.fields.len()
                    && a.fields
                        .iter()
                        .zip(&b.fields)
                        .all(|((name, ty), (other, with))| name == other && same_within(ty, with, budget)))
        }
        (Type::Enum(a), Type::Enum(b)) => Arc::ptr_eq(a, b) || a == b,
        (Type::Resource(a), Type::Resource(b)) => Arc::ptr_eq(a, b),
        (Type::Record(_) | Type::Answer(_) | Type::Enum(_) | Type::Resource(_), _) => false,
        (a, b) => a == b,
    }
}

/// True when a value of type `found` may stand where `want` is due.
pub fn fits(found: &Type, want: &Type) -> bool {
    match (found, want) {
        (Type::Any, _) | (_, Type::Any) => true,
        (Type::None, Type::Optional(_)) => true,
        (Type::Optional(found), Type::Optional(want)) => fits(found, want),
        (found, Type::Optional(want)) => fits(found, want),
        (Type::Secret(found), Type::Secret(want)) => fits(found, want),
        (found, Type::Secret(want)) => fits(found, want),
        (Type::Answer(_), Type::Bool) | (Type::Int, Type::Float) => true,
        (Type::List(found), Type::List(want)) => fits(found, want),
        (Type::Series(found), Type::Series(want)) => fits(found, want),
        (found, Type::Json) => !holds_secret(found) && is_document(found),
        (found, want) => same(found, want),
    }
}

/// True when a value of this type can be written as Json.
fn is_document(ty: &Type) -> bool {
    match ty {
        Type::Series(_) | Type::Nothing => false,
        Type::List(inner) | Type::Optional(inner) => is_document(inner),
        _ => true,
    }
}

/// True when Json of the right shape can be read as this type.
pub fn decodable(ty: &Type) -> bool {
    match ty {
        Type::Resource(_) | Type::Answer(_) | Type::Series(_) | Type::Code(_) | Type::Nothing | Type::None => false,
        Type::List(inner) | Type::Optional(inner) | Type::Secret(inner) => decodable(inner),
        _ => true,
    }
}

/// True when a part of the type is a secret.
pub fn holds_secret(ty: &Type) -> bool {
    fn walk(ty: &Type, seen: &mut HashSet<*const RecordType>) -> bool {
        match ty {
            Type::Secret(_) => true,
            Type::List(inner) | Type::Series(inner) | Type::Optional(inner) => walk(inner, seen),
            Type::Record(record) => {
                seen.insert(Arc::as_ptr(record)) && record.fields.iter().any(|(_, ty)| walk(ty, seen))
            }
            _ => false,
        }
    }
    walk(ty, &mut HashSet::new())
}

/// True when a type written in place is small enough to be walked as often as needed.
pub fn is_small(ty: &Type) -> bool {
    fn walk(ty: &Type, depth: usize, budget: &mut usize) -> bool {
        if depth > TYPE_DEPTH || *budget == 0 {
            return false;
        }
        *budget -= 1;
        match ty {
            Type::Secret(inner) | Type::Series(inner) | Type::List(inner) | Type::Optional(inner) => {
                walk(inner, depth + 1, budget)
            }
            Type::Record(record) if record.name.is_empty() => {
                record.fields.iter().all(|(_, ty)| walk(ty, depth + 1, budget))
            }
            _ => true,
        }
    }
    walk(ty, 0, &mut TYPE_PARTS.clone())
}

/// The type in words a reader knows: `a ratio`, `a list of Session`.
pub fn described(ty: &Type) -> String {
    match ty {
        Type::Bool => "a yes or no".to_owned(),
        Type::Int => "a whole number".to_owned(),
        Type::Float => "a number".to_owned(),
        Type::Text => "a text".to_owned(),
        Type::Time => "a point in time".to_owned(),
        Type::Duration => "a duration".to_owned(),
        Type::Ratio => "a ratio".to_owned(),
        Type::Bytes => "a size in bytes".to_owned(),
        Type::Rate => "a rate".to_owned(),
        Type::Json => "Json".to_owned(),
        Type::Answer(_) => "an answer".to_owned(),
        Type::Secret(inner) => format!("a secret ({inner})"),
        Type::Series(inner) => format!("a series of {}", plural(inner)),
        Type::List(inner) => format!("a list of {}", plural(inner)),
        Type::Optional(inner) => format!("{} or nothing", described(inner)),
        Type::Record(record) if record.name.is_empty() => "a record".to_owned(),
        Type::Record(record) => format!("a `{}`", record.name),
        Type::Enum(enumeration) => format!("a `{}`", enumeration.name),
        Type::Resource(resource) => format!("a `{}`", resource.name),
        Type::Code(language) => format!("{} text", language.name()),
        Type::None => "`none`".to_owned(),
        Type::Nothing => "nothing".to_owned(),
        Type::Any => "anything".to_owned(),
    }
}

fn plural(ty: &Type) -> String {
    match ty {
        Type::Bool => "answers".to_owned(),
        Type::Int | Type::Float => "numbers".to_owned(),
        Type::Text => "texts".to_owned(),
        Type::Time => "points in time".to_owned(),
        Type::Duration => "durations".to_owned(),
        Type::Ratio => "ratios".to_owned(),
        Type::Bytes => "sizes".to_owned(),
        Type::Rate => "rates".to_owned(),
        Type::Record(record) if record.name.is_empty() => "records".to_owned(),
        Type::Record(record) => format!("`{}`", record.name),
        Type::Enum(enumeration) => format!("`{}`", enumeration.name),
        Type::Resource(resource) => format!("`{}`", resource.name),
        Type::List(_) => "lists".to_owned(),
        other => described(other),
    }
}
