//! Applications: what they say of themselves and the orders they take, over HTTP and through declared programs.

pub mod config;
mod shape;

use super::arguments::{Arguments as Given, field, patience};
use super::contract::Does;
use super::exec::Exec;
use super::failure::wrong;
use super::http::service::Service;
use crate::provider::native::{Privilege, Use};
use crate::provider::{Call, Health, HealthState, Outcome, Permit, Provider};
use crate::value::probe::{self, Reply};
use crate::value::{Reason, Type, Unknown, Value};
use config::{Binding, Config, Way};
use futures::future::BoxFuture;
use serde_json::Value as Json;
use shape::Arguments;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The operations, in the order of the interface text, and whether they only look.
pub const OPERATIONS: &[(&str, bool)] = &[
    ("ready", true),
    ("components", true),
    ("breakers.list", true),
    ("breakers.get", true),
    ("breakers.reset", false),
    ("breakers.configure", false),
    ("queues.list", true),
    ("queues.get", true),
    ("queues.scale", false),
    ("queues.resize", false),
    ("queues.press", false),
    ("pool.get", true),
    ("pool.resize", false),
    ("memory", true),
    ("collector", true),
    ("threads", true),
    ("profile", true),
    ("heap", true),
    ("limits", true),
    ("workflow", true),
    ("errors", true),
    ("latency", true),
    ("fallbacks.get", true),
    ("fallbacks.set", false),
    ("log.get", true),
    ("log.set", false),
    ("maintenance.get", true),
    ("maintenance.set", false),
    ("cache.get", true),
    ("cache.keep", false),
    ("cache.warm", false),
    ("timeouts.get", true),
    ("timeouts.set", false),
];

const NAMES: &[&str] = &{
    let mut names = [""; OPERATIONS.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = OPERATIONS[at].0;
        at += 1;
    }
    names
};

/// Which field of which read `from` is compared with, before a change is sent.
const FROM: &[(&str, &str, &str)] = &[
    ("queues.scale", "queues.get", "workers"),
    ("queues.resize", "queues.get", "most"),
    ("pool.resize", "pool.get", "most"),
    ("log.set", "log.get", "level"),
];

/// The provider `app`: the services of an environment.
pub struct App {
    service: Service,
    calls: BTreeMap<String, BTreeMap<String, Binding>>,
    exec: Exec,
}

/// What a service said: a document, or nothing at all.
type Said = Option<Json>;

impl App {
    /// The services of the configuration, by name, and the programs that they may be bound to.
    ///
    /// # Errors
    /// Names the entry that cannot be used and says why.
    pub fn new(config: &Config, programs: &super::exec::config::Config) -> Result<Self, String> {
        config.validate()?;
        let exec = Exec::new(programs.clone())?;
        let mut endpoints = BTreeMap::new();
        let mut calls = BTreeMap::new();
        for (name, service) in &config.services {
            if let Some(endpoint) = &service.endpoint {
                endpoints.insert(name.clone(), endpoint.clone());
            }
            for (path, binding) in &service.calls {
                let Some(program) = &binding.program else { continue };
                let reads = OPERATIONS.iter().any(|(known, reads)| known == path && *reads);
                let wrong = match exec.does(program) {
                    None => "is not declared under `exec`",
                    Some(Does::Change) if reads => "changes something, and this call only looks",
                    Some(Does::Read | Does::Costly) if !reads => "only looks, and this call changes something",
                    Some(_) => continue,
                };
                return Err(format!("app `{name}`: `{path}`: the program `{program}` {wrong}"));
            }
            calls.insert(name.clone(), service.calls.clone());
        }
        Ok(Self {
            service: Service::new("service", "app.services", &endpoints)?,
            calls,
            exec,
        })
    }

    fn binding(&self, on: &str, path: &str) -> Result<&Binding, Unknown> {
        let calls = self.calls.get(on).ok_or_else(|| {
            wrong(
                Reason::Unavailable,
                format!("no service `{on}` is configured in this environment"),
            )
        })?;
        calls.get(path).ok_or_else(|| {
            wrong(
                Reason::Unavailable,
                format!("the service `{on}` does not offer `{path}` in this environment"),
            )
        })
    }

    /// The service of a call: named, or that of what was looked at.
    fn on(call: &Call) -> Result<&str, Unknown> {
        match call.arg("breaker") {
            Value::None => Given(call).text("on"),
            breaker => field(breaker, "on")?
                .as_str()
                .ok_or_else(|| super::arguments::not_fitting("breaker")),
        }
    }

    fn arguments(call: &Call) -> Result<Arguments, Unknown> {
        let mut all = Vec::new();
        for (name, value) in &call.args {
            match (&**name, value) {
                ("on", _) => {}
                (_, Value::Unknown(unknown)) => return Err((**unknown).clone()),
                ("breaker", looked_at) => {
                    for name in ["name", "version"] {
                        all.push((name.to_owned(), field(looked_at, name)?.clone()));
                    }
                }
                (name, value) => all.push((name.to_owned(), value.clone())),
            }
        }
        Ok(Arguments(all))
    }

    /// What a program is given: what `send` says, or what it takes by the same name.
    fn given(&self, program: &str, binding: &Binding, arguments: &Arguments) -> Result<Value, Unknown> {
        let mut fields = arguments.sent(binding, &[])?;
        if binding.send.is_none() {
            let takes = self.exec.takes(program);
            fields.retain(|name, _| takes.contains(&name.as_str()));
        }
        Ok(Value::Json(Arc::new(Json::Object(fields))))
    }

    /// Asks a service.
    async fn ask(&self, on: &str, binding: &Binding, arguments: &Arguments, until: Instant) -> Result<Said, Unknown> {
        let unusable = |problem| wrong(Reason::Unavailable, problem);
        match binding.way().map_err(unusable)? {
            Way::Request(_, path) => {
                let (path, taken) = arguments.fill(path)?;
                let query: Vec<(String, String)> = arguments
                    .sent(binding, &taken)?
                    .into_iter()
                    .map(|(name, json)| match json {
                        Json::String(text) => (name, text),
                        other => (name, other.to_string()),
                    })
                    .collect();
                let query: Vec<(&str, String)> =
                    query.iter().map(|(name, text)| (name.as_str(), text.clone())).collect();
                let answer = self.service.get(on, &path, &query, until).await?;
                match answer.status {
                    200..=299 => answer.json().map(Some),
                    _ => Err(answer.problem()),
                }
            }
            Way::Program(program) => {
                let given = self.given(program, binding, arguments)?;
                let does = self.exec.does(program).unwrap_or(Does::Read);
                let within = until.saturating_duration_since(Instant::now());
                let ran = self.exec.ask(program, &given, does, within).await?;
                Ok(document(&ran))
            }
        }
    }

    /// The answer of a read, by its path and result type.
    async fn look(
        &self,
        on: &str,
        path: &str,
        result: &Type,
        arguments: &Arguments,
        until: Instant,
    ) -> Result<Value, Unknown> {
        let binding = self.binding(on, path)?;
        match self.ask(on, binding, arguments, until).await? {
            Some(said) => Ok(shape::reply(result, binding, &said, on, arguments)),
            None => Err(wrong(Reason::Unparsable, "it gave no document")),
        }
    }

    async fn ready(&self, call: &Call) -> Result<Value, Unknown> {
        let begin = Instant::now();
        let until = begin + patience(call);
        let on = Self::on(call)?;
        let binding = self.binding(on, "ready")?;
        let unusable = |problem| wrong(Reason::Unavailable, problem);
        let (reply, status) = match binding.way().map_err(unusable)? {
            Way::Request(_, path) => {
                let (path, _) = Arguments::default().fill(path)?;
                self.service.reach(on, &path, until).await?
            }
            Way::Program(program) => {
                let within = until.saturating_duration_since(Instant::now());
                let does = self.exec.does(program).unwrap_or(Does::Read);
                let ran = self.exec.ask(program, &Value::None, does, within).await?;
                match field(&ran, "ok")? {
                    Value::Bool(true) => (Reply::Answered, None),
                    _ => (Reply::Refused, None),
                }
            }
        };
        Ok(probe::value(reply, begin.elapsed(), status))
    }

    /// Whether what is to be changed still is what the call says it is.
    async fn fence(&self, call: &Call, on: &str, arguments: &Arguments, until: Instant) -> Result<(), Unknown> {
        let expected = arguments.get("from");
        let path = &*call.operation.path;
        let Some((_, read, name)) = FROM.iter().find(|(change, _, _)| *change == path) else {
            return Ok(());
        };
        if *expected == Value::None {
            return Ok(());
        }
        let now = self
            .look(on, read, &call.operation.result, &arguments_of_read(arguments), until)
            .await?;
        let found = field(&now, name)?;
        if found == expected {
            Ok(())
        } else {
            Err(wrong(
                Reason::Denied,
                format!("`{name}` has changed since it was looked at: it is left as it is"),
            ))
        }
    }

    async fn act(&self, call: &Call) -> Outcome {
        let until = Instant::now() + patience(call);
        let prepared = (|| {
            let on = Self::on(call)?;
            Ok::<_, Unknown>((on, self.binding(on, &call.operation.path)?, Self::arguments(call)?))
        })();
        let (on, binding, arguments) = match prepared {
            Ok(prepared) => prepared,
            Err(unknown) => return Outcome::Failed(unknown),
        };
        if let Err(unknown) = self.fence(call, on, &arguments, until).await {
            return Outcome::Failed(unknown);
        }
        let said = match self.order(on, binding, &arguments, until).await {
            Ok(said) => said,
            Err(outcome) => return outcome,
        };
        let result = &call.operation.result;
        let shaped = said.map(|said| shape::reply(result, binding, &said, on, &arguments));
        // It says that it was done. What it is now is one more question, where the reply does not tell.
        if let Some(value @ Value::Record(_)) = &shaped
            && super::contract::first_unknown(value).is_none()
        {
            return Outcome::Done(value.clone());
        }
        let front = call.operation.path.rsplit_once('.').map_or("", |(front, _)| front);
        let again = self
            .look(
                on,
                &format!("{front}.get"),
                result,
                &arguments_of_read(&arguments),
                until,
            )
            .await;
        Outcome::Done(match (again, shaped) {
            (Ok(value), _) => value,
            (Err(_), Some(value)) => value,
            (Err(_), None) => shape::reply(
                result,
                &Binding::default(),
                &Json::Object(Default::default()),
                on,
                &arguments,
            ),
        })
    }

    async fn order(&self, on: &str, binding: &Binding, arguments: &Arguments, until: Instant) -> Result<Said, Outcome> {
        let unsent = Outcome::Failed;
        match binding
            .way()
            .map_err(|problem| unsent(wrong(Reason::Unavailable, problem)))?
        {
            Way::Request(method, path) => {
                let (path, taken) = arguments.fill(path).map_err(unsent)?;
                let body = Json::Object(arguments.sent(binding, &taken).map_err(unsent)?);
                let version = arguments.get("version").as_str();
                let sent = self
                    .service
                    .send_if(on, method, &path, &[], Some(&body), version, until)
                    .await;
                match sent {
                    Ok(answer) if (200..=299).contains(&answer.status) && answer.is_page() => {
                        Err(Outcome::Unclear(wrong(
                            Reason::Unparsable,
                            "the answer is a page for people: was it the service who answered?",
                        )))
                    }
                    Ok(answer) if (200..=299).contains(&answer.status) => Ok(answer.json().ok()),
                    Ok(answer) => Err(answer.refused()),
                    Err(failed) => Err(failed.outcome()),
                }
            }
            Way::Program(program) => {
                let given = self.given(program, binding, arguments).map_err(unsent)?;
                let within = until.saturating_duration_since(Instant::now());
                match self.exec.order(program, &given, true, within).await {
                    Outcome::Done(ran) => Ok(document(&ran)),
                    other => Err(other),
                }
            }
        }
    }

    async fn doctors(&self) -> Vec<Health> {
        let mut lines = Vec::new();
        for (name, calls) in &self.calls {
            let until = Instant::now() + Duration::from_secs(5);
            let (state, detail) = match calls.get("ready").and_then(|binding| binding.get.as_deref()) {
                None => (
                    HealthState::Limited,
                    format!(
                        "{} calls are bound; none of them tells whether it answers (`ready`)",
                        calls.len()
                    ),
                ),
                Some(path) => match self.service.reach(name, path, until).await {
                    Ok((_, Some(200..=299))) => {
                        (HealthState::Good, format!("answers; {} calls are bound", calls.len()))
                    }
                    Ok((_, Some(status))) => (HealthState::Bad, format!("answers with status {status}")),
                    Ok((reply, None)) => (HealthState::Bad, reply.word().replace('_', " ")),
                    Err(unknown) => (HealthState::Bad, unknown.to_string()),
                },
            };
            lines.push(Health {
                subject: format!("app {name}"),
                state,
                detail,
            });
        }
        lines
    }
}

/// Of a change's arguments those that say what is looked at.
fn arguments_of_read(arguments: &Arguments) -> Arguments {
    const NAMING: &[&str] = &["name", "logger", "pattern", "service"];
    Arguments(
        arguments
            .0
            .iter()
            .filter(|(name, _)| NAMING.contains(&name.as_str()))
            .cloned()
            .collect(),
    )
}

fn document(ran: &Value) -> Said {
    match ran.as_record().and_then(|record| record.get("document")) {
        Some(Value::Json(json)) => Some((**json).clone()),
        _ => None,
    }
}

impl Provider for App {
    fn name(&self) -> &'static str {
        "app"
    }

    fn operations(&self) -> &'static [&'static str] {
        NAMES
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        vec![Self::on(call).unwrap_or_default().to_owned()]
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        Box::pin(async move {
            let answer = async {
                let path = &*call.operation.path;
                if path == "ready" {
                    return self.ready(call).await;
                }
                let until = Instant::now() + patience(call);
                let (on, arguments) = (Self::on(call)?, Self::arguments(call)?);
                self.look(on, path, &call.operation.result, &arguments, until).await
            };
            Value::or_unknown(answer.await)
        })
    }

    fn change<'a>(&'a self, call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        Box::pin(self.act(call))
    }

    // What a credential may do is the service's own affair.
    fn privileges(&self, _uses: &[Use]) -> Option<Vec<Privilege>> {
        Some(Vec::new())
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        Box::pin(self.doctors())
    }
}
