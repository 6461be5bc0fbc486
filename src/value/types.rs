//! Types of the language.

use std::fmt;
use std::sync::Arc;

/// A type.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// Something that was already reported; fits everything, so that one mistake gives one finding.
    Any,
    Bool,
    Int,
    Float,
    Text,
    Time,
    Duration,
    Ratio,
    Bytes,
    /// Per second.
    Rate,
    Json,
    Secret(Box<Type>),
    Series(Box<Type>),
    List(Box<Type>),
    Optional(Box<Type>),
    Record(Arc<RecordType>),
    Enum(Arc<EnumType>),
    /// A resource of this kind, for example `Postgres`.
    Resource(Arc<ResourceType>),
    Code(CodeLanguage),
    /// The answer of a question, with its reads and lets as fields; in a condition it is a `Bool`.
    Answer(Arc<RecordType>),
    /// The word `none`: fits every optional type.
    None,
    /// An operation without a result.
    Nothing,
}

impl Type {
    /// True when a part of the type is a secret.
    pub fn holds_secret(&self) -> bool {
        match self {
            Type::Secret(_) => true,
            Type::Series(inner) | Type::List(inner) | Type::Optional(inner) => inner.holds_secret(),
            Type::Record(record) | Type::Answer(record) => record.fields.iter().any(|(_, ty)| ty.holds_secret()),
            _ => false,
        }
    }
}

/// A record type. Two record types are the same when their names and fields are the same.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordType {
    /// Empty for a record written in place.
    pub name: Arc<str>,
    pub fields: Vec<(Arc<str>, Type)>,
}

impl RecordType {
    /// The type of a field.
    pub fn field(&self, name: &str) -> Option<&Type> {
        self.fields.iter().find(|(field, _)| &**field == name).map(|(_, ty)| ty)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnumType {
    pub name: Arc<str>,
    pub values: Vec<Arc<str>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ResourceType {
    pub name: Arc<str>,
    /// Fields whose values come from the environment.
    pub fields: Vec<(Arc<str>, Type)>,
}

/// The language of a code literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodeLanguage {
    Sql,
    Promql,
    Kql,
    Regex,
    JsonPath,
    Path,
}

impl CodeLanguage {
    /// The type's name as it is written.
    pub fn name(self) -> &'static str {
        match self {
            CodeLanguage::Sql => "Sql",
            CodeLanguage::Promql => "Promql",
            CodeLanguage::Kql => "Kql",
            CodeLanguage::Regex => "Regex",
            CodeLanguage::JsonPath => "JsonPath",
            CodeLanguage::Path => "Path",
        }
    }

    /// The language of this name, in any letter case.
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Sql,
            Self::Promql,
            Self::Kql,
            Self::Regex,
            Self::JsonPath,
            Self::Path,
        ]
        .into_iter()
        .find(|language| language.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Any => f.write_str("anything"),
            Type::Bool => f.write_str("Bool"),
            Type::Int => f.write_str("Int"),
            Type::Float => f.write_str("Float"),
            Type::Text => f.write_str("Text"),
            Type::Time => f.write_str("Time"),
            Type::Duration => f.write_str("Duration"),
            Type::Ratio => f.write_str("Ratio"),
            Type::Bytes => f.write_str("Bytes"),
            Type::Rate => f.write_str("Rate"),
            Type::Json => f.write_str("Json"),
            Type::Secret(inner) => write!(f, "Secret<{inner}>"),
            Type::Series(inner) => write!(f, "Series<{inner}>"),
            Type::List(inner) => write!(f, "List<{inner}>"),
            Type::Optional(inner) => write!(f, "{inner}?"),
            Type::Record(record) if record.name.is_empty() => {
                f.write_str("{")?;
                for (index, (name, ty)) in record.fields.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{name}: {ty}")?;
                }
                f.write_str("}")
            }
            Type::Record(record) => f.write_str(&record.name),
            Type::Enum(enumeration) => f.write_str(&enumeration.name),
            Type::Resource(resource) => f.write_str(&resource.name),
            Type::Code(language) => f.write_str(language.name()),
            Type::Answer(_) => f.write_str("an answer"),
            Type::None => f.write_str("none"),
            Type::Nothing => f.write_str("nothing"),
        }
    }
}
