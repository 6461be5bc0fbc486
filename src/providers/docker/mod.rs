//! Docker: containers, logs, stats, networks, volumes and compose projects of an engine, over the Engine API on its socket.

pub mod config;
mod failure;
mod group;
mod images;
mod native;
mod running;
mod socket;
mod values;

use crate::limits::DOCKER_PIECE_BYTES;
use crate::provider::native::{Privilege, Reference, Resolved, Use};
use crate::provider::{Call, Health, HealthState, Outcome, Permit, Provider};
use crate::providers::arguments::{Arguments, limited, not_fitting};
use crate::providers::bounded::{Seen, TOO_LARGE};
use crate::providers::contract::Does;
use crate::value::probe::{self, Reply};
use crate::value::{List, Reason, Value};
use bollard::Docker as Client;
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptions, ListNetworksOptions, ListVolumesOptions,
};
use config::{Config, Engine};
use failure::{Failure, classify};
use futures::future::BoxFuture;
use futures::{Stream, StreamExt};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The operations, in the order of the interface text.
const OPERATIONS: &[&str] = &[
    "ping",
    "version",
    "containers.list",
    "containers.get",
    "containers.start",
    "containers.stop",
    "containers.restart",
    "containers.pause",
    "containers.unpause",
    "containers.exec",
    "containers.ask",
    "containers.run",
    "logs.tail",
    "logs.count",
    "stats",
    "containers.remove",
    "projects.list",
    "projects.start",
    "projects.stop",
    "projects.restore",
    "projects.remove",
    "networks.list",
    "networks.remove",
    "volumes.list",
    "volumes.remove",
    "images.list",
    "images.remove",
    "images.pull",
];

/// The provider `docker`: the engines of an environment. Nothing is connected before the first call.
pub struct Docker {
    engines: BTreeMap<String, Engine>,
}

/// An engine that a call talks to, and until when.
struct Link {
    client: Client,
    seen: Seen,
    until: Instant,
}

impl Link {
    /// Waits for the engine, at most until the deadline.
    async fn wait<T>(
        &self,
        work: impl Future<Output = Result<T, bollard::errors::Error>>,
        sent: bool,
    ) -> Result<T, Failure> {
        self.seen.begin();
        self.patient(work, sent).await
    }

    /// Waits for the next piece of a reply that comes in pieces: lines, or what a log says at once.
    async fn next<T>(
        &self,
        pieces: &mut (impl Stream<Item = Result<T, bollard::errors::Error>> + Unpin),
        sent: bool,
    ) -> Result<Option<T>, Failure> {
        self.seen.allow(DOCKER_PIECE_BYTES);
        let piece = self.patient(async { pieces.next().await.transpose() }, sent).await;
        piece.map_err(|mut failure| {
            if failure.unknown.reason == Reason::Truncated {
                "a piece of the reply is larger than 2 MiB".clone_into(&mut failure.unknown.detail);
            }
            failure
        })
    }

    async fn patient<T>(
        &self,
        work: impl Future<Output = Result<T, bollard::errors::Error>>,
        sent: bool,
    ) -> Result<T, Failure> {
        match tokio::time::timeout_at(self.until, work).await {
            Ok(Err(_)) if self.seen.overflowed() => Err(Failure {
                definite: !sent,
                ..Failure::definite(Reason::Truncated, TOO_LARGE)
            }),
            Ok(result) => result.map_err(|problem| classify(&problem, sent)),
            Err(_elapsed) => Err(Failure {
                definite: !sent,
                ..Failure::definite(Reason::Timeout, "the engine took too long")
            }),
        }
    }
}

impl Docker {
    /// The engines of the configuration, by name.
    ///
    /// # Errors
    /// Names the entry that cannot be used and says why.
    pub fn new(config: Config) -> Result<Self, String> {
        config.validate()?;
        Ok(Self {
            engines: config.engines,
        })
    }

    fn engine(&self, name: &str) -> Result<&Engine, Failure> {
        self.engines.get(name).ok_or_else(|| {
            Failure::definite(
                Reason::Unavailable,
                format!("no engine `{name}` is configured in this environment"),
            )
        })
    }

    async fn link(&self, name: &str, until: Instant) -> Result<Link, Failure> {
        let socket = &self.engine(name)?.socket;
        let left = until.saturating_duration_since(Instant::now()).as_secs().max(1);
        let seen = Seen::default();
        let client = socket::client(socket, left, &seen).map_err(|problem| classify(&problem, false))?;
        let link = Link { client, seen, until };
        // The engine may speak an older version.
        let client = link.wait(link.client.clone().negotiate_version(), false).await?;
        Ok(Link { client, ..link })
    }

    async fn answer(&self, call: &Call) -> Result<Value, Failure> {
        let begin = Instant::now();
        let until = begin + patience(call);
        let arguments = Arguments(call);
        let name = self.name_of(call)?;
        let path = &*call.operation.path;
        if path == "ping" {
            return self.ping(&name, begin, until).await;
        }
        let link = self.link(&name, until).await?;
        let engine = call.arg("engine");
        match path {
            "version" => {
                let found = link.wait(link.client.version(), false).await?;
                let word = |text: Option<String>| text.map_or(Value::None, Value::text);
                Ok(Value::record(
                    "Version",
                    vec![
                        ("version", word(found.version)),
                        ("api", word(found.api_version)),
                        ("system", word(found.os)),
                        ("kernel", word(found.kernel_version)),
                    ],
                ))
            }
            "containers.list" => {
                let mut filters = HashMap::new();
                let mut labels = Vec::new();
                for (argument, label) in [("project", values::PROJECT), ("service", values::SERVICE)] {
                    if let Some(text) = maybe_text(arguments, argument)? {
                        labels.push(format!("{label}={text}"));
                    }
                }
                if !labels.is_empty() {
                    filters.insert("label".to_owned(), labels);
                }
                containers(
                    &link,
                    engine,
                    filters,
                    arguments.limit("at_most", crate::limits::DOCKER_TOGETHER)?,
                )
                .await
            }
            "containers.get" => {
                let wanted = text(arguments, "name")?;
                let found = inspect(&link, wanted).await?;
                Ok(values::container(engine, &found))
            }
            "containers.ask" => {
                let seen = running::Seen::of(call.arg("container"))?;
                let contract = running::contract(call, self.engine(&seen.engine)?, Does::Read)?;
                let ended = running::under(&link, call, &seen, contract).await?;
                contract.answer(&ended).map_err(Failure::from)
            }
            "logs.tail" => running::tail(&link, call).await,
            "logs.count" => running::count(&link, call).await,
            "stats" => {
                let seen = running::Seen::of(call.arg("container"))?;
                running::stats(&link, &seen).await
            }
            "projects.list" => projects(&link).await,
            "networks.list" => networks(&link, engine, arguments.limit("at_most", 10_000)?).await,
            "volumes.list" => volumes(&link, engine, arguments.limit("at_most", 10_000)?).await,
            "images.list" => images::list(&link, call).await,
            other => Err(Failure::definite(
                Reason::Internal,
                format!("docker.{other} is not a read"),
            )),
        }
    }

    async fn ping(&self, name: &str, begin: Instant, until: Instant) -> Result<Value, Failure> {
        let asked = async {
            let link = self.link(name, until).await?;
            link.wait(link.client.ping(), false).await
        };
        let reply = match asked.await {
            Ok(_) => Reply::Answered,
            Err(failure) => match failure.unknown.reason {
                Reason::Timeout => Reply::TimedOut,
                Reason::Unreachable => Reply::Refused,
                _ => return Err(failure),
            },
        };
        Ok(probe::value(reply, begin.elapsed(), None))
    }

    fn name_of(&self, call: &Call) -> Result<String, Failure> {
        if let Some(name) = call.arg("engine").as_str() {
            return Ok(name.to_owned());
        }
        running::Seen::of(call.arg("container")).map(|seen| seen.engine)
    }

    async fn act(&self, call: &Call) -> Result<Value, Failure> {
        let until = Instant::now() + patience(call);
        let path = &*call.operation.path;
        if let Some(order) = group::Order::of(path) {
            let seen = group::containers(call.arg("containers"))?;
            let grace = running::grace(call).unwrap_or(0);
            let engine = one_engine(seen.iter().map(|container| container.engine.as_str()))?;
            let Some(engine) = engine else {
                return Ok(group::Handled::default().value());
            };
            let link = self.link(engine, until).await?;
            return group::carry_out(&link, &seen, order, grace)
                .await
                .map(group::Handled::value);
        }
        if let Some((kind, what)) = group::Kind::of(path) {
            let things = group::things(call.arg(what), kind, what)?;
            let Some(engine) = one_engine(things.iter().map(|thing| thing.engine.as_str()))? else {
                return Ok(group::Handled::default().value());
            };
            let link = self.link(engine, until).await?;
            return group::discard(&link, &things, kind).await.map(group::Handled::value);
        }
        if path == "images.pull" {
            let name = text(Arguments(call), "engine")?;
            let engine = self.engine(name)?;
            let link = self.link(name, until).await?;
            return images::pull(&link, engine, call).await;
        }
        let seen = running::Seen::of(call.arg("container"))?;
        if path == "containers.run" {
            let contract = running::contract(call, self.engine(&seen.engine)?, Does::Change)?;
            let link = self.link(&seen.engine, until).await?;
            let ended = running::under(&link, call, &seen, contract).await?;
            return match contract.outcome(&ended) {
                Outcome::Done(value) => Ok(value),
                Outcome::Failed(unknown) => Err(unknown.into()),
                Outcome::Unclear(unknown) => Err(Failure::from(unknown).after_sending()),
            };
        }
        if path == "containers.exec" {
            let engine = self.engine(&seen.engine)?;
            let argv = Arguments(call).words(&engine.programs, "containers")?;
            let link = self.link(&seen.engine, until).await?;
            return running::exec(&link, &seen, argv).await;
        }
        let order = running::Order::of(path)
            .ok_or_else(|| Failure::definite(Reason::Internal, format!("docker.{path} is not a change")))?;
        let link = self.link(&seen.engine, until).await?;
        running::order(&link, call, &seen, order).await
    }
}

/// The engine of everything in a list; `None` for an empty one.
fn one_engine<'a>(mut engines: impl Iterator<Item = &'a str>) -> Result<Option<&'a str>, Failure> {
    let Some(first) = engines.next() else { return Ok(None) };
    if engines.all(|other| other == first) {
        Ok(Some(first))
    } else {
        Err(Failure::definite(
            Reason::Unparsable,
            "one call is for one engine: what is given is of several",
        ))
    }
}

/// True for a text that can be the name or the id of a thing of the engine, and nothing else in a path.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('.')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

async fn inspect(link: &Link, name: &str) -> Result<bollard::models::ContainerInspectResponse, Failure> {
    if !is_name(name) {
        return Err(Failure::definite(
            Reason::Unparsable,
            "this is neither the name nor the id of a container",
        ));
    }
    link.wait(
        link.client.inspect_container(name, None::<InspectContainerOptions>),
        false,
    )
    .await
}

async fn containers(
    link: &Link,
    engine: &Value,
    filters: HashMap<String, Vec<String>>,
    at_most: usize,
) -> Result<Value, Failure> {
    let options = ListContainersOptions {
        all: true,
        filters: Some(filters),
        ..ListContainersOptions::default()
    };
    let found = link.wait(link.client.list_containers(Some(options)), false).await?;
    let truncated = found.len() > at_most;
    let mut items = Vec::new();
    for summary in found.iter().take(at_most) {
        let Some(id) = summary.id.as_deref() else { continue };
        match inspect(link, id).await {
            Ok(found) => items.push(values::container(engine, &found)),
            // It has gone between the list and the question.
            Err(failure) if failure.unknown.detail.contains("status 404") => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(Value::List(Arc::new(List { items, truncated })))
}

async fn projects(link: &Link) -> Result<Value, Failure> {
    let options = ListContainersOptions {
        all: true,
        filters: Some(HashMap::from([("label".to_owned(), vec![values::PROJECT.to_owned()])])),
        ..ListContainersOptions::default()
    };
    let found = link.wait(link.client.list_containers(Some(options)), false).await?;
    let mut projects: BTreeMap<String, (BTreeSet<String>, i64, i64)> = BTreeMap::new();
    for summary in &found {
        let label = |name: &str| summary.labels.as_ref().and_then(|labels| labels.get(name)).cloned();
        let Some(project) = label(values::PROJECT) else {
            continue;
        };
        let entry = projects.entry(project).or_default();
        entry.0.extend(label(values::SERVICE));
        entry.1 += 1;
        entry.2 += i64::from(summary.state.is_some_and(|state| state.to_string() == "running"));
    }
    Ok(Value::list(
        projects
            .into_iter()
            .map(|(name, (services, containers, running))| {
                Value::record(
                    "Project",
                    vec![
                        ("name", Value::text(name)),
                        ("services", Value::list(services.into_iter().map(Value::text).collect())),
                        ("containers", Value::Int(containers)),
                        ("running", Value::Int(running)),
                    ],
                )
            })
            .collect(),
    ))
}

async fn networks(link: &Link, engine: &Value, at_most: usize) -> Result<Value, Failure> {
    let found = link
        .wait(link.client.list_networks(None::<ListNetworksOptions>), false)
        .await?;
    let items = found
        .into_iter()
        .map(|network| {
            let project = network
                .labels
                .as_ref()
                .and_then(|labels| labels.get(values::PROJECT))
                .cloned();
            Value::record(
                "Network",
                vec![
                    ("engine", engine.clone()),
                    ("id", Value::text(network.id.unwrap_or_default())),
                    ("name", Value::text(network.name.unwrap_or_default())),
                    ("driver", Value::text(network.driver.unwrap_or_default())),
                    ("internal", Value::Bool(network.internal.unwrap_or(false))),
                    ("project", project.map_or(Value::None, Value::text)),
                ],
            )
        })
        .collect();
    Ok(limited(items, at_most))
}

async fn volumes(link: &Link, engine: &Value, at_most: usize) -> Result<Value, Failure> {
    let found = link
        .wait(link.client.list_volumes(None::<ListVolumesOptions>), false)
        .await?;
    let items = found
        .volumes
        .unwrap_or_default()
        .into_iter()
        .map(|volume| {
            Value::record(
                "Volume",
                vec![
                    ("engine", engine.clone()),
                    (
                        "created",
                        values::moment(volume.created_at.as_deref()).map_or(Value::None, Value::Time),
                    ),
                    (
                        "project",
                        volume
                            .labels
                            .get(values::PROJECT)
                            .map_or(Value::None, |name| Value::text(name.as_str())),
                    ),
                    ("name", Value::text(volume.name)),
                    ("driver", Value::text(volume.driver)),
                ],
            )
        })
        .collect();
    Ok(limited(items, at_most))
}

/// A little less than the call's deadline, so that the end of patience is told in our own words.
fn patience(call: &Call) -> Duration {
    call.within.mul_f64(0.95)
}

/// A name of the engine: what is empty or not printable is none.
fn maybe_text<'a>(arguments: Arguments<'a>, name: &str) -> Result<Option<&'a str>, Failure> {
    match arguments.maybe_text(name)? {
        Some(text) if text.is_empty() || text.chars().any(char::is_control) => Err(not_fitting(name).into()),
        other => Ok(other),
    }
}

fn text<'a>(arguments: Arguments<'a>, name: &str) -> Result<&'a str, Failure> {
    maybe_text(arguments, name)?.ok_or_else(|| not_fitting(name).into())
}

impl Provider for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn operations(&self) -> &'static [&'static str] {
        OPERATIONS
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        let lists = ["containers", "networks", "volumes", "images"];
        if let Some(list) = lists.into_iter().find(|name| call.arg(name).as_list().is_some()) {
            return Arguments(call).sources(list, "engine");
        }
        vec![self.name_of(call).unwrap_or_default()]
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        Box::pin(async move { Value::or_unknown(self.answer(call).await.map_err(|failure| failure.unknown)) })
    }

    fn change<'a>(&'a self, call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { self.act(call).await.map_or_else(Failure::outcome, Outcome::Done) })
    }

    fn exceptions(&self) -> Vec<String> {
        self.engines
            .iter()
            .filter(|(_, engine)| !engine.programs.is_empty())
            .map(|(name, engine)| {
                format!(
                    "docker `{name}`: these programs may be run in containers: {}",
                    engine.programs.join(", ")
                )
            })
            .collect()
    }

    // The engine knows no rights: whoever may open its socket may do everything.
    fn privileges(&self, _uses: &[Use]) -> Option<Vec<Privilege>> {
        Some(Vec::new())
    }

    fn references(&self, used: &Use) -> Vec<Reference> {
        self.named(used)
    }

    fn resolve<'a>(&'a self, reference: &'a Reference) -> BoxFuture<'a, Resolved> {
        Box::pin(self.look_up(reference))
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        Box::pin(async move {
            let mut lines = Vec::new();
            for name in self.engines.keys() {
                let asked = async {
                    let link = self.link(name, Instant::now() + Duration::from_secs(5)).await?;
                    link.wait(link.client.version(), false).await
                };
                let (state, detail) = match asked.await {
                    Ok(version) => (
                        HealthState::Good,
                        format!("version {}", version.version.unwrap_or_default()),
                    ),
                    Err(failure) => (HealthState::Bad, failure.unknown.to_string()),
                };
                lines.push(Health {
                    subject: format!("docker {name}"),
                    state,
                    detail,
                });
            }
            lines
        })
    }
}
