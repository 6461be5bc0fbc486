//! Schemas of the official wire formats, made of the service models when an operation is first called.
//!
//! They are kept for as long as the program runs, one for each structure, so they can refer to each other without a cycle.

use crate::models::aws::{Kind, Method, Reference, Service, Shape, Traits};
use aws_smithy_schema::traits::{HttpTrait, TimestampFormat};
use aws_smithy_schema::{Schema, ShapeId, ShapeType, shape_id};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The name of every schema: what is sent and read has names of its own.
const ID: ShapeId<'static> = shape_id!("starr.aws", "Shape");

/// A schema that is kept.
pub type Kept = &'static Schema<'static>;

/// What a schema is for: names differ between what is sent and what comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    Sent,
    Answered,
}

/// A structure: its schema and, at the same places, the shapes of its members.
#[derive(Debug)]
pub struct Structure {
    pub schema: Kept,
    pub members: Vec<MemberShape>,
}

/// A member of a structure as the codec needs it.
#[derive(Debug)]
pub struct MemberShape {
    /// The name of the interface.
    pub name: String,
    pub schema: Kept,
    pub shape: usize,
}

type Key = (String, usize, Way, String);

static STRUCTURES: Mutex<BTreeMap<Key, Arc<Structure>>> = Mutex::new(BTreeMap::new());
static NAMES: Mutex<BTreeMap<String, &'static str>> = Mutex::new(BTreeMap::new());
static ELEMENTS: Mutex<BTreeMap<Key, Kept>> = Mutex::new(BTreeMap::new());

/// The text for as long as the program runs, once for each.
fn kept(text: &str) -> &'static str {
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(text) {
        return known;
    }
    let leaked: &'static str = Box::leak(text.to_owned().into_boxed_str());
    names.insert(text.to_owned(), leaked);
    leaked
}

fn keep(schema: Schema<'static>) -> Kept {
    Box::leak(Box::new(schema))
}

fn shape_type(shape: &Shape) -> ShapeType {
    match &shape.kind {
        Kind::Text { .. } => ShapeType::String,
        Kind::Integer => ShapeType::Integer,
        Kind::Long => ShapeType::Long,
        Kind::Float => ShapeType::Float,
        Kind::Double => ShapeType::Double,
        Kind::Bool => ShapeType::Boolean,
        Kind::Blob => ShapeType::Blob,
        Kind::Time => ShapeType::Timestamp,
        Kind::Document => ShapeType::Document,
        Kind::List(_) => ShapeType::List,
        Kind::Map(..) => ShapeType::Map,
        Kind::Structure { .. } if shape.traits.union != 0 => ShapeType::Union,
        Kind::Structure { .. } => ShapeType::Structure,
    }
}

fn time_format(name: &str) -> Option<TimestampFormat> {
    match name {
        "iso8601" => Some(TimestampFormat::DateTime),
        "unixTimestamp" => Some(TimestampFormat::EpochSeconds),
        "rfc822" => Some(TimestampFormat::HttpDate),
        _ => None,
    }
}

/// `name` with a capital in front.
fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Makes schemas of one service.
#[derive(Clone, Copy)]
pub struct Maker<'a> {
    pub service: &'a Arc<Service>,
    pub way: Way,
}

impl Maker<'_> {
    /// EC2 sends every list flat, under names of its own.
    pub fn is_ec2_sent(&self) -> bool {
        self.service.protocol() == "ec2" && self.way == Way::Sent
    }

    fn is_rest(&self) -> bool {
        matches!(self.service.protocol(), "rest-json" | "rest-xml")
    }

    fn element_name(&self, shape: &Shape) -> Option<String> {
        match &shape.kind {
            Kind::List(of) => of.traits.wire_name.clone(),
            _ => None,
        }
    }

    /// The name of a member on the wire.
    fn name(&self, name: &str, traits: &Traits, shape: &Shape) -> String {
        if self.is_ec2_sent() {
            return traits
                .query_name
                .clone()
                .or_else(|| traits.wire_name.as_deref().map(capital))
                .unwrap_or_else(|| name.to_owned());
        }
        let flat = (traits.flattened | shape.traits.flattened) != 0;
        let xml_answer = self.way == Way::Answered || self.service.protocol() == "query";
        let spoken = matches!(self.service.protocol(), "json" | "rest-json");
        if flat
            && xml_answer
            && !spoken
            && let Some(element) = self.element_name(shape)
        {
            return element;
        }
        traits.wire_name.clone().unwrap_or_else(|| name.to_owned())
    }

    /// What is special about a value, put on its schema.
    fn dress(&self, mut schema: Schema<'static>, traits: &Traits, shape: &Shape, name: &str) -> Schema<'static> {
        let format = traits.time_format.as_deref().or(shape.traits.time_format.as_deref());
        if let Some(format) = format.and_then(time_format) {
            schema = schema.with_timestamp_format(format);
        }
        let flat = (traits.flattened | shape.traits.flattened) != 0;
        if flat || (self.is_ec2_sent() && matches!(shape.kind, Kind::List(_))) {
            schema = schema.with_xml_flattened();
        }
        if traits.xml_attribute != 0 {
            schema = schema.with_xml_attribute();
        }
        let namespace = traits.namespace.as_ref().or(shape.traits.namespace.as_ref());
        if let Some((uri, prefix)) = namespace {
            schema = schema.with_xml_namespace(kept(uri), prefix.as_deref().map(kept));
        }
        if (traits.streaming | shape.traits.streaming) != 0 {
            schema = schema.with_streaming();
        }
        if traits.json_value != 0 {
            schema = schema.with_media_type("application/json");
        }
        if self.is_rest() {
            schema = match traits.location.as_deref() {
                Some("header") => schema.with_http_header(kept(name)),
                Some("headers") => schema.with_http_prefix_headers(kept(traits.wire_name.as_deref().unwrap_or(""))),
                Some("querystring") if matches!(shape.kind, Kind::Map(..)) => schema.with_http_query_params(),
                Some("querystring") => schema.with_http_query(kept(name)),
                Some("uri") => schema.with_http_label(),
                Some("statusCode") => schema.with_http_response_code(),
                _ => schema,
            };
            if traits.payload != 0 {
                schema = schema.with_http_payload();
            }
        }
        match &shape.kind {
            Kind::List(of) => schema.with_list_member(self.inner("member", 0, of)),
            Kind::Map(key, value) => schema.with_map_members(self.inner("key", 0, key), self.inner("value", 1, value)),
            _ => schema,
        }
    }

    /// The schema of what a list or a map holds, as their member.
    fn inner(&self, name: &'static str, index: usize, of: &Reference) -> Kept {
        let Some(shape) = self.service.shape(of.shape) else {
            return &aws_smithy_schema::prelude::STRING;
        };
        let key = self.key(of.shape, format!("{name} {:?}", of.traits));
        if let Some(known) = lock(&ELEMENTS).get(&key) {
            return known;
        }
        let mut schema = Schema::new_member(ID, shape_type(&shape), name, index);
        if let Some(wire) = of.traits.wire_name.as_deref() {
            schema = schema.with_xml_name(kept(wire));
        }
        let schema = keep(self.dress(schema, &of.traits, &shape, name));
        lock(&ELEMENTS).insert(key, schema);
        schema
    }

    fn key(&self, shape: usize, what: String) -> Key {
        (self.service.name.clone(), shape, self.way, what)
    }

    /// The schema of a value on its own, as lists and maps write their elements.
    pub fn own(&self, of: &Reference) -> Kept {
        let Some(shape) = self.service.shape(of.shape) else {
            return &aws_smithy_schema::prelude::STRING;
        };
        if let Kind::Structure { .. } = shape.kind {
            return self.structure(of.shape).schema;
        }
        let key = self.key(of.shape, format!("own {:?}", of.traits));
        if let Some(known) = lock(&ELEMENTS).get(&key) {
            return known;
        }
        let schema = Schema::new(ID, shape_type(&shape));
        let schema = keep(self.dress(schema, &of.traits, &shape, "member"));
        lock(&ELEMENTS).insert(key, schema);
        schema
    }

    /// A structure of the model.
    pub fn structure(&self, number: usize) -> Arc<Structure> {
        self.made(number, "", |schema| schema)
    }

    /// The structure that an operation takes or gives.
    pub fn root(&self, method: &Method) -> Arc<Structure> {
        let number = match self.way {
            Way::Sent => method.input,
            Way::Answered => method.output,
        };
        let Some(number) = number else {
            let schema = Schema::new_struct(ID, ShapeType::Structure, &[]);
            return Arc::new(Structure {
                schema: keep(self.routed(schema, method)),
                members: Vec::new(),
            });
        };
        self.made(number, &method.name, |schema| self.routed(schema, method))
    }

    fn routed(&self, mut schema: Schema<'static>, method: &Method) -> Schema<'static> {
        if self.way == Way::Sent {
            if self.is_rest() {
                schema = schema.with_http(HttpTrait::new(kept(&method.verb), kept(&method.uri), None));
            }
            if let Some(root) = &method.root {
                schema = schema.with_xml_name(kept(root));
            }
            if let Some((uri, prefix)) = &method.namespace {
                schema = schema.with_xml_namespace(kept(uri), prefix.as_deref().map(kept));
            }
        }
        schema
    }

    fn made(&self, number: usize, what: &str, routed: impl Fn(Schema<'static>) -> Schema<'static>) -> Arc<Structure> {
        let key = self.key(number, what.to_owned());
        if let Some(known) = lock(&STRUCTURES).get(&key) {
            return Arc::clone(known);
        }
        let shape = self.service.shape(number);
        let members = self.service.members(Some(number));
        let members: Vec<MemberShape> = members
            .iter()
            .enumerate()
            .filter_map(|(index, member)| {
                let shape = self.service.shape(member.shape)?;
                let name = self.name(&member.name, &member.traits, &shape);
                let schema = Schema::new_member(ID, shape_type(&shape), kept(&name), index);
                Some(MemberShape {
                    name: member.name.clone(),
                    schema: keep(self.dress(schema, &member.traits, &shape, &name)),
                    shape: member.shape,
                })
            })
            .collect();
        let schemas: Vec<Kept> = members.iter().map(|member| member.schema).collect();
        let kind = shape.as_deref().map_or(ShapeType::Structure, shape_type);
        let kind = if kind == ShapeType::Union {
            kind
        } else {
            ShapeType::Structure
        };
        let mut schema = Schema::new_struct(ID, kind, Box::leak(schemas.into_boxed_slice()));
        if let Some(traits) = shape.as_deref().map(|shape| &shape.traits) {
            if let Some(name) = &traits.wire_name {
                schema = schema.with_xml_name(kept(name));
            }
            if let Some((uri, prefix)) = &traits.namespace {
                schema = schema.with_xml_namespace(kept(uri), prefix.as_deref().map(kept));
            }
        }
        let made = Arc::new(Structure {
            schema: keep(routed(schema)),
            members,
        });
        lock(&STRUCTURES).insert(key, Arc::clone(&made));
        made
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
