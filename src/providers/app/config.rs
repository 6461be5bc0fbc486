//! `app:` in `starr.yaml`: services, and what each call of the interface is at each of them.

use crate::providers::http::config::EndpointConfig;
use serde::Deserialize;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// `app:` of an environment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// By the name of the resource.
    #[serde(default)]
    pub services: BTreeMap<String, ServiceConfig>,
}

/// One service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceConfig {
    /// Where it is, described as an endpoint of `http`; absent when all its calls are programs.
    #[serde(default)]
    pub endpoint: Option<EndpointConfig>,
    /// By the operation's path: `breakers.list`.
    pub calls: BTreeMap<String, Binding>,
}

/// What a call is at a service: a request or a program, and how the reply is read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// The path of a request, with arguments in braces: `/breakers/{name}`.
    #[serde(default)]
    pub get: Option<String>,
    #[serde(default)]
    pub post: Option<String>,
    #[serde(default)]
    pub put: Option<String>,
    #[serde(default)]
    pub patch: Option<String>,
    #[serde(default)]
    pub delete: Option<String>,
    /// A program of `exec`.
    #[serde(default)]
    pub program: Option<String>,
    /// What is sent, by the service's names: in the body, for `get` in the query, to a program as its arguments. Everything by its own name when
    /// absent.
    #[serde(default)]
    pub send: Option<BTreeMap<String, Sent>>,
    /// Where in the reply the answer lies: `/data/breakers`.
    #[serde(default)]
    pub at: Option<String>,
    /// The field that the names become, when the reply is a document with a name for each element.
    #[serde(default)]
    pub names: Option<String>,
    /// Fields that the service calls or counts otherwise.
    #[serde(default)]
    pub fields: BTreeMap<String, Field>,
}

/// An argument as it is sent.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Sent {
    /// The name of an argument.
    Name(String),
    Counted(SentIn),
}

/// An argument in a unit, or a fixed value.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentIn {
    /// The name of an argument.
    #[serde(default)]
    pub of: Option<String>,
    /// `ms`, `s`, `min`, `h`; `%`; `Ki`, `Mi`, `Gi`
    #[serde(default)]
    pub unit: Option<String>,
    /// What is sent whatever the arguments are.
    #[serde(default)]
    pub value: Option<Json>,
}

/// A field as the service has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Field {
    /// Its name there, with dots for documents in documents.
    Name(String),
    Counted(FieldIn),
}

/// A field in a unit or with other words.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FieldIn {
    /// Its name there; its own when absent.
    #[serde(default)]
    pub from: Option<String>,
    #[serde(default)]
    pub unit: Option<String>,
    /// Its words there, and what they are here.
    #[serde(default)]
    pub words: BTreeMap<String, Json>,
}

/// How a call is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way<'a> {
    Request(reqwest::Method, &'a str),
    Program(&'a str),
}

impl Binding {
    /// How the call is made.
    ///
    /// # Errors
    /// None or more than one way is written.
    pub fn way(&self) -> Result<Way<'_>, String> {
        use reqwest::Method;
        let mut ways: Vec<Way<'_>> = [
            (Method::GET, &self.get),
            (Method::POST, &self.post),
            (Method::PUT, &self.put),
            (Method::PATCH, &self.patch),
            (Method::DELETE, &self.delete),
        ]
        .into_iter()
        .filter_map(|(method, path)| path.as_deref().map(|path| Way::Request(method, path)))
        .collect();
        ways.extend(self.program.as_deref().map(Way::Program));
        match (ways.pop(), ways.is_empty()) {
            (Some(way), true) => Ok(way),
            _ => Err("exactly one of `get`, `post`, `put`, `patch`, `delete` and `program` is written".to_owned()),
        }
    }
}

/// How many base units one of `unit` is: seconds, parts of one, bytes.
pub fn unit(name: &str) -> Option<f64> {
    Some(match name {
        "ms" => 0.001,
        "s" => 1.0,
        "min" => 60.0,
        "h" => 3600.0,
        "%" => 0.01,
        "B" => 1.0,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    })
}

impl Config {
    /// Which entry is wrong and how.
    ///
    /// # Errors
    /// Names the first entry that cannot be used.
    pub fn validate(&self) -> Result<(), String> {
        for (name, service) in &self.services {
            for (path, binding) in &service.calls {
                let wrong = |problem: &str| Err(format!("app `{name}`: `{path}`: {problem}"));
                let Some((_, reads)) = super::OPERATIONS.iter().find(|(known, _)| known == path) else {
                    return wrong("there is no such call");
                };
                let way = binding
                    .way()
                    .map_err(|problem| format!("app `{name}`: `{path}`: {problem}"))?;
                if let Way::Request(method, at) = way {
                    if *reads && method != reqwest::Method::GET {
                        return wrong("it only looks: a request that changes something cannot be its way");
                    }
                    if !*reads && method == reqwest::Method::GET {
                        return wrong("it changes something: `get` cannot be its way");
                    }
                    if !at.starts_with('/') {
                        return wrong("a path begins with `/`");
                    }
                    if service.endpoint.is_none() {
                        return wrong("the service has no `endpoint`");
                    }
                }
                let sent = binding.send.iter().flatten().filter_map(|(_, sent)| match sent {
                    Sent::Name(_) => None,
                    Sent::Counted(sent) => sent.unit.as_deref(),
                });
                let read = binding.fields.values().filter_map(|field| match field {
                    Field::Name(_) => None,
                    Field::Counted(field) => field.unit.as_deref(),
                });
                if let Some(odd) = sent.chain(read).find(|name| unit(name).is_none()) {
                    return wrong(&format!("`{odd}` is not a unit"));
                }
                if binding.at.as_ref().is_some_and(|at| !at.starts_with('/')) {
                    return wrong("`at` begins with `/`");
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Config;

    #[test]
    fn mistakes_are_named() {
        let refusal = |calls: &str| {
            serde_yaml::from_str::<Config>(&format!(
                "services: {{ shop: {{ endpoint: {{ url: 'http://127.0.0.1:1' }}, calls: {calls} }} }}"
            ))
            .map_err(|problem| problem.to_string())
            .and_then(|config| config.validate())
            .unwrap_err()
        };
        assert!(refusal("{ breakers: { get: /b } }").contains("no such call"));
        assert!(refusal("{ breakers.list: {} }").contains("exactly one"));
        assert!(refusal("{ breakers.list: { get: /b, program: b } }").contains("exactly one"));
        assert!(refusal("{ breakers.list: { post: /b } }").contains("only looks"));
        assert!(refusal("{ breakers.reset: { get: /b } }").contains("changes something"));
        assert!(refusal("{ breakers.list: { get: b } }").contains("begins with `/`"));
        assert!(refusal("{ breakers.list: { get: /b, fields: { retry_in: { unit: sec } } } }").contains("`sec`"));
        assert!(refusal("{ breakers.list: { get: /b, with: {} } }").contains("with"));
    }
}
