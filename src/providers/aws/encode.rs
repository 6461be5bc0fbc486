//! A document as what an operation takes. Names and kinds that the model does not have are refused before anything is sent.

use super::schema::{Kept, Maker, MemberShape};
use crate::limits::AWS_DEPTH;
use crate::models::aws::{Kind, Reference};
use aws_smithy_schema::Schema;
use aws_smithy_schema::prelude::STRING;
use aws_smithy_schema::serde::{SerdeError, SerializableStruct, ShapeSerializer};
use aws_smithy_types::{Blob, DateTime, Document, Number};
use serde_json::{Map, Value as Json};

/// A structure with its values.
pub struct Node<'a> {
    pub maker: Maker<'a>,
    pub schema: Kept,
    pub members: &'a [MemberShape],
    pub values: &'a Map<String, Json>,
    /// What it is called, for people.
    pub path: String,
    pub depth: usize,
}

fn wrong(path: &str, what: &str) -> SerdeError {
    SerdeError::custom(format!("`{path}` takes {what}"))
}

/// A time: a text as RFC 3339 has it, or seconds since 1970.
pub fn time(json: &Json) -> Option<DateTime> {
    match json {
        Json::String(text) => {
            let time: jiff::Timestamp = text.parse().ok()?;
            let nanoseconds = u32::try_from(time.as_nanosecond().rem_euclid(1_000_000_000)).ok()?;
            let seconds = i64::try_from(time.as_nanosecond().div_euclid(1_000_000_000)).ok()?;
            Some(DateTime::from_secs_and_nanos(seconds, nanoseconds))
        }
        Json::Number(number) => Some(number.as_i64().map_or_else(
            || DateTime::from_secs_f64(number.as_f64().unwrap_or_default()),
            DateTime::from_secs,
        )),
        _ => None,
    }
}

fn document(json: &Json) -> Document {
    match json {
        Json::Null => Document::Null,
        Json::Bool(yes) => Document::Bool(*yes),
        Json::Number(number) => Document::Number(match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Number::PosInt(number),
            (None, Some(number)) => Number::NegInt(number),
            (None, None) => Number::Float(number.as_f64().unwrap_or_default()),
        }),
        Json::String(text) => Document::String(text.clone()),
        Json::Array(items) => Document::Array(items.iter().map(document).collect()),
        Json::Object(fields) => Document::Object(
            fields
                .iter()
                .map(|(name, value)| (name.clone(), document(value)))
                .collect(),
        ),
    }
}

impl SerializableStruct for Node<'_> {
    fn schema(&self) -> &Schema<'_> {
        self.schema
    }

    fn serialize_members(&self, serializer: &mut dyn ShapeSerializer) -> Result<(), SerdeError> {
        for member in self.members {
            match self.values.get(&member.name) {
                None | Some(Json::Null) => {}
                // EC2 has no word for a list with nothing in it: it is left out.
                Some(Json::Array(items)) if self.maker.is_ec2_sent() && items.iter().all(is_bare) => {}
                Some(value) => {
                    let of = Value {
                        maker: self.maker,
                        path: if self.path.is_empty() {
                            member.name.clone()
                        } else {
                            format!("{}.{}", self.path, member.name)
                        },
                        depth: self.depth,
                    };
                    of.write(serializer, member.schema, member.shape, value)?;
                }
            }
        }
        Ok(())
    }
}

/// True for a structure of which nothing is sent.
fn is_bare(item: &Json) -> bool {
    item.as_object().is_some_and(Map::is_empty)
}

/// Where a value stands.
struct Value<'a> {
    maker: Maker<'a>,
    path: String,
    depth: usize,
}

impl Value<'_> {
    fn write(
        &self,
        serializer: &mut dyn ShapeSerializer,
        schema: Kept,
        shape: usize,
        value: &Json,
    ) -> Result<(), SerdeError> {
        let Some(found) = self.maker.service.shape(shape) else {
            return Err(wrong(&self.path, "something that the model does not say"));
        };
        if self.depth == 0 {
            return Err(wrong(&self.path, "less deeply nested structures"));
        }
        let path = self.path.as_str();
        match &found.kind {
            Kind::Text { .. } => {
                let text = value.as_str().ok_or_else(|| wrong(path, "a text"))?;
                serializer.write_string(schema, text)
            }
            Kind::Integer => {
                let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
                serializer.write_integer(schema, number.ok_or_else(|| wrong(path, "a whole number of 32 bits"))?)
            }
            Kind::Long => serializer.write_long(schema, value.as_i64().ok_or_else(|| wrong(path, "a whole number"))?),
            Kind::Float => {
                #[allow(clippy::cast_possible_truncation, reason = "the interface has 32 bits")]
                let number = value.as_f64().ok_or_else(|| wrong(path, "a number"))? as f32;
                serializer.write_float(schema, number)
            }
            Kind::Double => serializer.write_double(schema, value.as_f64().ok_or_else(|| wrong(path, "a number"))?),
            Kind::Bool => {
                serializer.write_boolean(schema, value.as_bool().ok_or_else(|| wrong(path, "true or false"))?)
            }
            Kind::Blob => {
                let text = value.as_str().ok_or_else(|| wrong(path, "a text"))?;
                serializer.write_blob(schema, Blob::new(text.as_bytes()))
            }
            Kind::Time => {
                let time = time(value).ok_or_else(|| wrong(path, "a time"))?;
                serializer.write_timestamp(schema, &time)
            }
            Kind::Document => serializer.write_document(schema, &document(value)),
            Kind::List(of) => {
                let items = value.as_array().ok_or_else(|| wrong(path, "a list"))?;
                let own = self.maker.own(of);
                serializer.write_list_with_length(schema, items.len(), &|serializer| {
                    items
                        .iter()
                        .enumerate()
                        .try_for_each(|(index, item)| self.element(serializer, own, of, item, &format!("[{index}]")))
                })
            }
            Kind::Map(_, of) => {
                let fields = value.as_object().ok_or_else(|| wrong(path, "a record"))?;
                let own = self.maker.own(of);
                serializer.write_map_with_length(schema, fields.len(), &|serializer| {
                    fields.iter().try_for_each(|(name, item)| {
                        serializer.write_string(&STRING, name)?;
                        self.element(serializer, own, of, item, &format!(".{name}"))
                    })
                })
            }
            Kind::Structure { name, members } => {
                let values = value.as_object().ok_or_else(|| wrong(path, "a record"))?;
                for field in values.keys() {
                    if !members.iter().any(|member| member.name == *field) {
                        return Err(SerdeError::custom(format!("`{path}` ({name}) has no `{field}`")));
                    }
                }
                let missing = members
                    .iter()
                    .find(|member| member.traits.required != 0 && values.get(&member.name).is_none_or(Json::is_null));
                if let Some(missing) = missing {
                    return Err(SerdeError::custom(format!(
                        "`{path}` ({name}) needs `{}`",
                        missing.name
                    )));
                }
                let structure = self.maker.structure(shape);
                let node = Node {
                    maker: self.maker,
                    schema: structure.schema,
                    members: &structure.members,
                    values,
                    path: self.path.clone(),
                    depth: self.depth - 1,
                };
                serializer.write_struct(schema, &node)
            }
        }
    }

    fn element(
        &self,
        serializer: &mut dyn ShapeSerializer,
        own: Kept,
        of: &Reference,
        item: &Json,
        place: &str,
    ) -> Result<(), SerdeError> {
        if item.is_null() {
            return serializer.write_null(own);
        }
        let element = Value {
            maker: self.maker,
            path: format!("{}{place}", self.path),
            depth: self.depth - 1,
        };
        element.write(serializer, own, of.shape, item)
    }
}

/// The root of what is sent.
pub fn root<'a>(maker: Maker<'a>, schema: Kept, members: &'a [MemberShape], values: &'a Map<String, Json>) -> Node<'a> {
    Node {
        maker,
        schema,
        members,
        values,
        path: String::new(),
        depth: AWS_DEPTH,
    }
}
