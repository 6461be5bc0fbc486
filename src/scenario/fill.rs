//! Values for what a scenario leaves out: distinct, the same at every read, and never meant to decide an answer.

use crate::provider::Call;
use crate::value::types::ResourceType;
use crate::value::{Reason, Record, Secret, Series, Type, Value};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// What stands in the place of what is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filling {
    /// Small values.
    First,
    /// Entirely other ones: an answer that changes with them rests on something that was not given.
    Other,
    /// Nothing is known of these fields, each of a line of `given`; [`Filling::First`] elsewhere.
    Unknown(BTreeSet<(usize, String)>),
}

/// Where values are filled in.
pub struct Filler<'a> {
    pub filling: &'a Filling,
    pub call: &'a Call,
    /// Index of the line of `given`.
    pub line: usize,
    pub clock: Timestamp,
    /// The fields that were left out, as `session.age`.
    pub left_out: Vec<String>,
}

impl Filler<'_> {
    /// The value with everything in it that was left out.
    pub fn fill(&mut self, value: &Value, ty: &Type) -> Value {
        self.at(value, ty, "", 0)
    }

    fn at(&mut self, value: &Value, ty: &Type, path: &str, index: usize) -> Value {
        match value {
            Value::Unknown(unknown) if unknown.reason == Reason::Missing => self.left_out(value, ty, path, index),
            Value::List(list) => {
                let of = element(ty);
                let items = list
                    .items
                    .iter()
                    .enumerate()
                    .map(|(position, item)| self.at(item, of, path, index * 1000 + position))
                    .collect();
                Value::List(Arc::new(crate::value::List {
                    items,
                    truncated: list.truncated,
                }))
            }
            Value::Record(record) => {
                let declared = match core(ty) {
                    Type::Record(declared) => Some(Arc::clone(declared)),
                    _ => None,
                };
                let fields = record
                    .fields
                    .iter()
                    .map(|(name, value)| {
                        let ty = declared
                            .as_ref()
                            .and_then(|declared| declared.field(name))
                            .unwrap_or(&Type::Any);
                        let path = if path.is_empty() {
                            name.to_string()
                        } else {
                            format!("{path}.{name}")
                        };
                        (Arc::clone(name), self.at(value, ty, &path, index))
                    })
                    .collect();
                Value::Record(Arc::new(Record {
                    type_name: Arc::clone(&record.type_name),
                    fields,
                }))
            }
            Value::Series(series) => Value::Series(Arc::new(Series {
                samples: series
                    .samples
                    .iter()
                    .map(|(time, sample)| (*time, self.at(sample, element(ty), path, index)))
                    .collect(),
                ..(**series).clone()
            })),
            Value::Secret(secret) => Value::Secret(Secret::new(self.at(secret.expose(), element(ty), path, index))),
            other => other.clone(),
        }
    }

    fn left_out(&mut self, value: &Value, ty: &Type, path: &str, index: usize) -> Value {
        if !self.left_out.iter().any(|known| known == path) {
            self.left_out.push(path.to_owned());
        }
        match self.filling {
            Filling::Unknown(fields) if fields.contains(&(self.line, path.to_owned())) => value.clone(),
            Filling::Other => self.made(ty, path, index, true),
            Filling::First | Filling::Unknown(_) => self.made(ty, path, index, false),
        }
    }

    fn made(&self, ty: &Type, path: &str, index: usize, other: bool) -> Value {
        let field = path.rsplit('.').next().unwrap_or_default();
        let number = i64::try_from(index).unwrap_or(i64::MAX / 2);
        let pick = |first: f64, second: f64| if other { second } else { first };
        match ty {
            Type::Bool => Value::Bool(other),
            Type::Int => Value::Int(if other { 900_001 + number } else { 1 + number }),
            Type::Float => Value::Float(pick(0.5, 9e8)),
            Type::Text => Value::text(if other {
                format!("another {field} {}", number + 1)
            } else {
                format!("{field} {}", number + 1)
            }),
            Type::Time => {
                let before = if other { 400 * 86_400 } else { 60 } + number;
                let time = self.clock.checked_sub(SignedDuration::from_secs(before));
                Value::Time(time.unwrap_or(self.clock))
            }
            Type::Duration => Value::Duration(if other { 4_000_000 } else { 1 } * 1_000_000_000 + number),
            Type::Ratio => Value::Ratio(pick(0.01, 0.99)),
            Type::Bytes => Value::Bytes(if other { 1 << 45 } else { 1 << 10 }),
            Type::Rate => Value::Rate(pick(0.1, 1e6)),
            Type::Json => Value::Json(Arc::new(if other {
                serde_json::json!({"left": "out"})
            } else {
                serde_json::Value::Null
            })),
            Type::Enum(enumeration) => {
                let value = if other {
                    enumeration.values.last()
                } else {
                    enumeration.values.first()
                };
                value.map_or(Value::None, |value| Value::Enum(Arc::clone(value)))
            }
            Type::Optional(inner) if other => self.made(inner, path, index, other),
            Type::Optional(_) | Type::None | Type::Nothing | Type::Any | Type::Answer(_) => Value::None,
            Type::Secret(inner) => Value::Secret(Secret::new(self.made(inner, path, index, other))),
            Type::Resource(resource) => self.resource(resource, field, number),
            Type::List(inner) if other => Value::list(vec![self.made(inner, path, index, other)]),
            Type::List(_) => Value::list(Vec::new()),
            Type::Series(inner) => Value::Series(Arc::new(Series {
                samples: vec![(Timestamp::UNIX_EPOCH, self.made(inner, path, index, other))],
                until: Timestamp::MAX,
                step: i64::MAX,
            })),
            Type::Record(record) => Value::Record(Arc::new(Record {
                type_name: Arc::clone(&record.name),
                fields: record
                    .fields
                    .iter()
                    .map(|(name, ty)| {
                        let path = format!("{path}.{name}");
                        (Arc::clone(name), self.made(ty, &path, index, other))
                    })
                    .collect(),
            })),
            Type::Code(language) => Value::Code {
                language: Some(*language),
                text: "".into(),
            },
        }
    }

    /// A record that names its resource names the one that was asked.
    fn resource(&self, ty: &ResourceType, field: &str, number: i64) -> Value {
        let asked = self.call.args.iter().find_map(|(_, value)| match value {
            Value::Resource { kind, .. } if *kind == ty.name => Some(value.clone()),
            _ => None,
        });
        asked.unwrap_or_else(|| Value::Resource {
            kind: Arc::clone(&ty.name),
            name: format!("{field} {}", number + 1).into(),
        })
    }
}

/// Replies with everything that was left out of them, made once for all runs of a program: scenarios that are `like` one
/// another give the same. By their place in memory, where the program holds them for as long as this lives.
#[derive(Default)]
pub struct Made(Mutex<BTreeMap<(usize, Timestamp), Vec<Reply>>>);

/// A reply as it was filled for a call with these arguments.
struct Reply {
    args: Vec<(Arc<str>, Value)>,
    full: Value,
    left_out: Vec<String>,
}

impl Made {
    /// The reply of a call, small values in the place of what was left out, with the names of those fields.
    pub fn full(&self, given: &Value, ty: &Type, call: &Call, line: usize, clock: Timestamp) -> (Value, Vec<String>) {
        let make = || {
            let mut filler = Filler {
                filling: &Filling::First,
                call,
                line,
                clock,
                left_out: Vec::new(),
            };
            let full = filler.fill(given, ty);
            (full, filler.left_out)
        };
        let place = match given {
            Value::List(list) => Arc::as_ptr(list).addr(),
            Value::Record(record) => Arc::as_ptr(record).addr(),
            _ => return make(),
        };
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let replies = made.entry((place, clock)).or_default();
        if let Some(known) = replies.iter().find(|known| known.args == call.args) {
            return (known.full.clone(), known.left_out.clone());
        }
        let (full, left_out) = make();
        replies.push(Reply {
            args: call.args.clone(),
            full: full.clone(),
            left_out: left_out.clone(),
        });
        (full, left_out)
    }
}

/// A value of the type, for the result of a change that gives none and for a line that is to be added.
pub fn any(ty: &Type, call: &Call, clock: Timestamp) -> Value {
    let filler = Filler {
        filling: &Filling::First,
        call,
        line: usize::MAX,
        clock,
        left_out: Vec::new(),
    };
    filler.made(ty, "value", 0, false)
}

fn core(ty: &Type) -> &Type {
    match ty {
        Type::Optional(of) | Type::Secret(of) => core(of),
        other => other,
    }
}

fn element(ty: &Type) -> &Type {
    match ty {
        Type::List(of) | Type::Series(of) | Type::Secret(of) => of,
        Type::Optional(of) => element(of),
        _ => &Type::Any,
    }
}
