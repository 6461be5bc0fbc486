//! Shapes: what a parameter or an answer is made of.

use serde::Deserialize;
use serde_json::Value as Json;

/// How a member is written on the wire, as far as it differs from its name.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub struct Traits {
    #[serde(rename = "n")]
    pub wire_name: Option<String>,
    /// `header`, `headers`, `querystring`, `uri`, `statusCode`
    #[serde(rename = "l")]
    pub location: Option<String>,
    #[serde(rename = "q")]
    pub query_name: Option<String>,
    #[serde(rename = "t")]
    pub time_format: Option<String>,
    #[serde(rename = "x")]
    pub xml_attribute: u8,
    #[serde(rename = "f")]
    pub flattened: u8,
    /// An idempotency token.
    #[serde(rename = "k")]
    pub token: u8,
    #[serde(rename = "h")]
    pub host_label: u8,
    /// A document as text in a header.
    #[serde(rename = "j")]
    pub json_value: u8,
    #[serde(rename = "st")]
    pub streaming: u8,
    #[serde(rename = "e")]
    pub event_payload: u8,
    #[serde(rename = "es")]
    pub event_stream: u8,
    #[serde(rename = "r")]
    pub required: u8,
    /// The member is the body.
    #[serde(rename = "p")]
    pub payload: u8,
    #[serde(rename = "ns")]
    pub namespace: Option<(String, Option<String>)>,
    /// Never shown.
    #[serde(rename = "s")]
    pub sensitive: u8,
    /// One of its members at a time.
    #[serde(rename = "u")]
    pub union: u8,
    #[serde(rename = "d")]
    pub document: u8,
    #[serde(rename = "c")]
    pub code: Option<String>,
    #[serde(rename = "X")]
    pub exception: u8,
}

/// A shape by its number, with what is special where it is used.
#[derive(Clone, Debug)]
pub struct Reference {
    pub shape: usize,
    pub traits: Traits,
}

/// A member of a structure.
#[derive(Clone, Debug)]
pub struct Member {
    pub name: String,
    pub shape: usize,
    pub traits: Traits,
}

impl Member {
    /// The name on the wire.
    pub fn wire_name(&self) -> &str {
        self.traits.wire_name.as_deref().unwrap_or(&self.name)
    }

    /// The name as an argument: a letter that a name cannot hold is an underscore.
    pub fn argument(&self) -> String {
        self.name
            .chars()
            .map(|letter| if letter.is_alphanumeric() { letter } else { '_' })
            .collect()
    }
}

/// What a shape is.
#[derive(Clone, Debug)]
pub enum Kind {
    Text {
        values: Vec<String>,
    },
    Integer,
    Long,
    Float,
    Double,
    Bool,
    Blob,
    Time,
    /// Anything that JSON can say.
    Document,
    List(Reference),
    Map(Reference, Reference),
    Structure {
        name: String,
        members: Vec<Member>,
    },
}

/// A shape, with what is special about it wherever it is used.
#[derive(Clone, Debug)]
pub struct Shape {
    pub kind: Kind,
    pub traits: Traits,
}

fn traits(json: Option<&Json>) -> Option<Traits> {
    json.map_or_else(|| Some(Traits::default()), |json| Traits::deserialize(json).ok())
}

fn number(json: &Json) -> Option<usize> {
    json.as_u64().and_then(|number| usize::try_from(number).ok())
}

fn reference(json: &Json) -> Option<Reference> {
    if let Some(shape) = number(json) {
        return Some(Reference {
            shape,
            traits: Traits::default(),
        });
    }
    Some(Reference {
        shape: number(json.get(0)?)?,
        traits: traits(json.get(1))?,
    })
}

fn member(json: &Json) -> Option<Member> {
    Some(Member {
        name: json.get(0)?.as_str()?.to_owned(),
        shape: number(json.get(1)?)?,
        traits: traits(json.get(2))?,
    })
}

impl Shape {
    /// Reads one line of the file.
    pub(super) fn read(line: &str) -> Option<Self> {
        let json: Json = serde_json::from_str(line).ok()?;
        let scalar = |kind: Kind| {
            Some(Self {
                kind,
                traits: traits(json.get(1))?,
            })
        };
        match json.get(0)?.as_str()? {
            "s" => scalar(Kind::Text {
                values: json.get(2).and_then(Json::as_array).map_or_else(Vec::new, |values| {
                    values
                        .iter()
                        .filter_map(|value| value.as_str().map(str::to_owned))
                        .collect()
                }),
            }),
            "i" => scalar(Kind::Integer),
            "l" => scalar(Kind::Long),
            "f" => scalar(Kind::Float),
            "d" => scalar(Kind::Double),
            "b" => scalar(Kind::Bool),
            "B" => scalar(Kind::Blob),
            "T" => scalar(Kind::Time),
            "L" => Some(Self {
                kind: Kind::List(reference(json.get(2)?)?),
                traits: traits(json.get(3))?,
            }),
            "M" => Some(Self {
                kind: Kind::Map(reference(json.get(1)?)?, reference(json.get(2)?)?),
                traits: traits(json.get(3))?,
            }),
            "S" => {
                let traits = traits(json.get(3))?;
                let members = json.get(2)?.as_array()?;
                Some(Self {
                    kind: if traits.document != 0 {
                        Kind::Document
                    } else {
                        Kind::Structure {
                            name: json.get(1)?.as_str()?.to_owned(),
                            members: members.iter().map(member).collect::<Option<_>>()?,
                        }
                    },
                    traits,
                })
            }
            _ => None,
        }
    }
}
