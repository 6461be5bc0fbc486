//! The words that a program is given: literal ones, and named ones with a type.

use crate::providers::failure::wrong;
use crate::value::decode::decode;
use crate::value::{Reason, Type, Unknown, Value};
use serde::Deserialize;
use serde_json::Value as Json;
use std::path::PathBuf;

/// Longest text argument, in bytes.
const TEXT_BYTES: usize = 1024;

/// A word of the argument vector.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Word {
    Literal(String),
    Named(Box<Argument>),
}

/// A word that a call gives.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Argument {
    pub name: String,
    /// `Text`, `Int`, `Float`, `Bool`, `Duration`, `Ratio` or `Bytes`.
    #[serde(rename = "type")]
    pub ty: String,
    /// What stands before it: a word of its own, or, ending in `=`, the beginning of the same word.
    #[serde(default)]
    pub flag: Option<String>,
    /// May be left out; nothing is given then.
    #[serde(default)]
    pub optional: bool,
    /// What a quantity is counted in: `ms`, `s`, `min`, `h`; `%`; `B`, `Ki`, `Mi`, `Gi`.
    #[serde(default)]
    pub unit: Option<String>,
    /// What stands behind the number, as in `15m`.
    #[serde(default)]
    pub suffix: Option<String>,
    /// The only texts it may be.
    #[serde(default)]
    pub one_of: Vec<String>,
    /// An expression that the whole text matches.
    #[serde(default)]
    pub matches: Option<String>,
    /// The folder that the text is a path below.
    #[serde(default)]
    pub beneath: Option<PathBuf>,
    /// The smallest number, counted in `unit`.
    #[serde(default)]
    pub least: Option<f64>,
    /// The largest number, counted in `unit`.
    #[serde(default)]
    pub most: Option<f64>,
}

impl Argument {
    fn value_type(&self) -> Option<Type> {
        Some(match self.ty.as_str() {
            "Text" => Type::Text,
            "Int" => Type::Int,
            "Float" => Type::Float,
            "Bool" => Type::Bool,
            "Duration" => Type::Duration,
            "Ratio" => Type::Ratio,
            "Bytes" => Type::Bytes,
            _ => return None,
        })
    }

    /// How many base units one of `unit` is.
    fn unit(&self) -> Option<f64> {
        Some(match (self.ty.as_str(), self.unit.as_deref()) {
            ("Int" | "Float", None) | ("Ratio", None) | ("Bytes", None | Some("B")) => 1.0,
            ("Duration", None | Some("s")) => 1e9,
            ("Duration", Some("ms")) => 1e6,
            ("Duration", Some("min")) => 60e9,
            ("Duration", Some("h")) => 3600e9,
            ("Ratio", Some("%")) => 0.01,
            ("Bytes", Some("Ki")) => 1024.0,
            ("Bytes", Some("Mi")) => 1024.0 * 1024.0,
            ("Bytes", Some("Gi")) => 1024.0 * 1024.0 * 1024.0,
            ("Text" | "Bool", None) => 1.0,
            _ => return None,
        })
    }

    fn pattern(&self) -> Result<Option<regex::Regex>, String> {
        let Some(pattern) = &self.matches else { return Ok(None) };
        regex::RegexBuilder::new(&format!(r"\A(?:{pattern})\z"))
            .size_limit(1 << 20)
            .build()
            .map(Some)
            .map_err(|_| format!("`matches` of `{}` is no expression", self.name))
    }

    /// What is wrong with it.
    pub(super) fn validate(&self) -> Result<(), String> {
        let name = &self.name;
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if name.is_empty() || !plain {
            return Err(format!("`{name}` is not the name of an argument"));
        }
        if self.value_type().is_none() {
            return Err(format!(
                "`{name}` is of no type that an argument can have: Text, Int, Float, Bool, Duration, Ratio, Bytes"
            ));
        }
        if self.unit().is_none() {
            return Err(format!("`{name}` has a unit that does not fit its type"));
        }
        if self.ty == "Bool" && self.flag.is_none() {
            return Err(format!("`{name}` is a Bool and has no `flag`"));
        }
        let texts = !self.one_of.is_empty() || self.matches.is_some() || self.beneath.is_some();
        if texts && self.ty != "Text" {
            return Err(format!(
                "`one_of`, `matches` and `beneath` are for texts; `{name}` is none"
            ));
        }
        if self.beneath.as_ref().is_some_and(|folder| !folder.is_absolute()) {
            return Err(format!("`beneath` of `{name}` is not an absolute path"));
        }
        if let Some(flag) = &self.flag
            && (flag.is_empty() || flag.contains('\0'))
        {
            return Err(format!("`flag` of `{name}` is empty"));
        }
        self.pattern().map(|_| ())
    }

    /// The word for a value that is there.
    pub(super) fn word(&self, json: &Json) -> Result<Option<String>, Unknown> {
        let name = &self.name;
        let refuse = |what: String| Err(wrong(Reason::Unparsable, format!("the argument `{name}` {what}")));
        let ty = self.value_type().unwrap_or(Type::Text);
        let number = |value: f64| -> Result<Option<String>, Unknown> {
            let counted = value / self.unit().unwrap_or(1.0);
            if self.least.is_some_and(|least| counted < least) || self.most.is_some_and(|most| counted > most) {
                return refuse("is outside of what its contract allows".to_owned());
            }
            let rounded = counted.round();
            let near = (counted - rounded).abs() < 1e-6;
            let mut text = if near {
                format!("{rounded:.0}")
            } else {
                format!("{counted:.3}")
            };
            text.push_str(self.suffix.as_deref().unwrap_or_default());
            Ok(Some(text))
        };
        match decode(&ty, json) {
            Value::Unknown(unknown) => refuse(format!("does not fit: {}", unknown.detail)),
            Value::Bool(on) => Ok(on.then(String::new)),
            Value::Int(value) => number(value as f64),
            Value::Float(value) | Value::Ratio(value) => number(value),
            Value::Duration(value) | Value::Bytes(value) => number(value as f64),
            Value::Text(text) => {
                if text.is_empty() || text.len() > TEXT_BYTES || text.chars().any(char::is_control) {
                    return refuse("is empty, longer than 1 KiB or holds a control character".to_owned());
                }
                if !self.one_of.is_empty() && !self.one_of.iter().any(|allowed| **allowed == *text) {
                    return refuse(format!("is none of: {}", self.one_of.join(", ")));
                }
                if let Ok(Some(pattern)) = self.pattern()
                    && !pattern.is_match(&text)
                {
                    return refuse("does not match what its contract asks for".to_owned());
                }
                if let Some(folder) = &self.beneath {
                    // Who lists files names them with their folder.
                    let given = std::path::Path::new(&*text);
                    let below = given.strip_prefix(folder).unwrap_or(given);
                    let mut parts = below.components().peekable();
                    let inside =
                        parts.peek().is_some() && parts.all(|part| matches!(part, std::path::Component::Normal(_)));
                    if !inside {
                        return refuse(format!("is not a path below {}", folder.display()));
                    }
                    return Ok(Some(folder.join(below).to_string_lossy().into_owned()));
                }
                // A text that looks like a switch would be read as one.
                if text.starts_with('-') && !self.flag.as_deref().is_some_and(|flag| flag.ends_with('=')) {
                    return refuse("begins with a hyphen".to_owned());
                }
                Ok(Some(text.to_string()))
            }
            _ => refuse("does not fit".to_owned()),
        }
    }
}
