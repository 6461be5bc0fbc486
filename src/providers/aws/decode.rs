//! What an operation gives, as a document. What the model calls sensitive never gets into it.

use super::conceal;
use super::schema::{Maker, Structure};
use crate::limits::AWS_DEPTH;
use crate::models::aws::{Kind, Shape};
use crate::secrets::remember;
use aws_smithy_schema::Schema;
use aws_smithy_schema::serde::{SerdeError, ShapeDeserializer};
use aws_smithy_types::date_time::Format;
use aws_smithy_types::{Document, Number};
use base64::Engine;
use serde_json::{Map, Value as Json, json};

/// What stands in the place of something that is never shown.
pub const HIDDEN: &str = "(secret)";

fn number(float: f64) -> Json {
    serde_json::Number::from_f64(float).map_or_else(|| Json::String(float.to_string()), Json::Number)
}

fn document(document: Document) -> Json {
    match document {
        Document::Null => Json::Null,
        Document::Bool(yes) => json!(yes),
        Document::Number(Number::PosInt(whole)) => json!(whole),
        Document::Number(Number::NegInt(whole)) => json!(whole),
        Document::Number(Number::Float(float)) => number(float),
        Document::String(text) => Json::String(text),
        Document::Array(items) => items.into_iter().map(self::document).collect(),
        Document::Object(fields) => {
            // The reader keeps no order: a sorted one makes equal answers equal.
            let mut fields: Vec<_> = fields.into_iter().collect();
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
            fields
                .into_iter()
                .map(|(name, value)| (name, self::document(value)))
                .collect::<Map<_, _>>()
                .into()
        }
    }
}

/// A link that is itself a key: whoever has it may fetch what it names.
fn is_signed_link(text: &str) -> bool {
    text.contains("X-Amz-Signature=")
        || text.contains("X-Amz-Security-Token=")
        || text.contains("X-Amz-Credential=")
        || (text.contains("Signature=") && (text.contains("AWSAccessKeyId=") || text.contains("Key-Pair-Id=")))
}

/// Reads what an operation gives.
pub struct Reader<'a> {
    pub maker: Maker<'a>,
    /// Fields of the whole answer that are shown all the same: where the next page begins is sent back as it came.
    pub open: &'a [String],
}

impl Reader<'_> {
    /// The members of a structure.
    pub fn structure(
        &self,
        reader: &mut dyn ShapeDeserializer,
        structure: &Structure,
    ) -> Result<Map<String, Json>, SerdeError> {
        self.members(reader, structure, AWS_DEPTH)
    }

    fn members(
        &self,
        reader: &mut dyn ShapeDeserializer,
        structure: &Structure,
        depth: usize,
    ) -> Result<Map<String, Json>, SerdeError> {
        let mut fields: Vec<Option<Json>> = structure.members.iter().map(|_| None).collect();
        let mut hidden: Vec<String> = Vec::new();
        reader.read_struct(structure.schema, &mut |schema, reader| {
            let index = schema.member_index().unwrap_or(usize::MAX);
            let (Some(member), Some(field)) = (structure.members.get(index), fields.get_mut(index)) else {
                return reader.skip_value();
            };
            if reader.is_null() {
                return reader.read_null();
            }
            let shown = depth == AWS_DEPTH && self.open.contains(&member.name);
            let mut value = self.value(reader, member.schema, member.shape, depth)?;
            if !shown && self.is_sensitive(member.shape) {
                if let Json::String(text) = value {
                    if conceal::is_secret(&member.name) {
                        remember(&text, "a secret of AWS");
                    }
                    hidden.push(text);
                }
                value = Json::String(HIDDEN.to_owned());
            }
            match (field.as_mut(), value) {
                // A flat list may come in parts.
                (Some(Json::Array(known)), Json::Array(more)) => known.extend(more),
                (Some(Json::Object(known)), Json::Object(more)) => known.extend(more),
                (_, value) => *field = Some(value),
            }
            Ok(())
        })?;
        let named = || structure.members.iter().zip(&fields);
        // Of the parameters of Systems Manager only those of this type are secrets; no other is looked for elsewhere.
        if named().any(|(member, value)| member.name == "Type" && *value == Some(json!("SecureString"))) {
            hidden.iter().for_each(|text| remember(text, "a secret of AWS"));
        }
        Ok(structure
            .members
            .iter()
            .zip(fields)
            .filter_map(|(member, field)| Some((member.name.clone(), field?)))
            .collect())
    }

    fn value(
        &self,
        reader: &mut dyn ShapeDeserializer,
        schema: &Schema<'_>,
        shape: usize,
        depth: usize,
    ) -> Result<Json, SerdeError> {
        let Some(found) = self.maker.service.shape(shape) else {
            reader.skip_value()?;
            return Ok(Json::Null);
        };
        if depth == 0 {
            return Err(SerdeError::custom("the answer is nested too deeply"));
        }
        self.plain(reader, schema, (&found, shape), depth)
    }

    /// The value of an element of a list or a map.
    fn element(
        &self,
        reader: &mut dyn ShapeDeserializer,
        schema: &Schema<'_>,
        shape: usize,
        depth: usize,
    ) -> Result<Json, SerdeError> {
        let value = self.value(reader, schema, shape, depth)?;
        Ok(if self.is_sensitive(shape) {
            Json::String(HIDDEN.to_owned())
        } else {
            value
        })
    }

    fn is_sensitive(&self, shape: usize) -> bool {
        self.maker
            .service
            .shape(shape)
            .is_some_and(|found| found.traits.sensitive != 0)
    }

    fn plain(
        &self,
        reader: &mut dyn ShapeDeserializer,
        schema: &Schema<'_>,
        (found, shape): (&Shape, usize),
        depth: usize,
    ) -> Result<Json, SerdeError> {
        Ok(match &found.kind {
            Kind::Text { .. } => {
                let text = reader.read_string(schema)?;
                if is_signed_link(&text) {
                    Json::String(HIDDEN.to_owned())
                } else {
                    Json::String(text)
                }
            }
            Kind::Integer => json!(reader.read_integer(schema)?),
            Kind::Long => json!(reader.read_long(schema)?),
            // What has 32 bits is shown as it was written, not as the nearest of 64.
            Kind::Float => reader
                .read_float(schema)?
                .to_string()
                .parse::<f64>()
                .map_or(Json::Null, number),
            Kind::Double => number(reader.read_double(schema)?),
            Kind::Bool => json!(reader.read_boolean(schema)?),
            Kind::Blob => {
                let blob = reader.read_blob(schema)?;
                // A body that is all there is of an answer is text; anything else is bytes.
                if schema.streaming() {
                    Json::String(
                        String::from_utf8(blob.into_inner())
                            .map_err(|_| SerdeError::custom("what the function answered is not text"))?,
                    )
                } else {
                    Json::String(base64::engine::general_purpose::STANDARD.encode(blob))
                }
            }
            Kind::Time => {
                let time = reader.read_timestamp(schema)?;
                Json::String(
                    time.fmt(Format::DateTime)
                        .map_err(|_| SerdeError::custom("a time is out of range"))?,
                )
            }
            Kind::Document => document(reader.read_document(schema)?),
            Kind::List(of) => {
                let own = self.maker.own(of);
                let mut items = Vec::new();
                reader.read_list(schema, &mut |reader| {
                    if reader.is_null() {
                        items.push(Json::Null);
                        return reader.read_null();
                    }
                    items.push(self.element(reader, own, of.shape, depth - 1)?);
                    Ok(())
                })?;
                Json::Array(items)
            }
            Kind::Map(_, of) => {
                let own = self.maker.own(of);
                let mut fields = Map::new();
                reader.read_map(schema, &mut |name, reader| {
                    if reader.is_null() {
                        return reader.read_null();
                    }
                    let value = self.element(reader, own, of.shape, depth - 1)?;
                    fields.insert(name, value);
                    Ok(())
                })?;
                Json::Object(fields)
            }
            Kind::Structure { .. } => Json::Object(self.members(reader, &self.maker.structure(shape), depth - 1)?),
        })
    }
}
