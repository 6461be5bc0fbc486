//! Redis: memory, hit rate, keys, slow commands, clients and settings. Checks and changes have logins of their own.

mod activity;
pub mod config;
mod connection;
mod doctor;
mod failure;
mod info;
mod keys;
mod lock;
mod native;
mod preview;
mod settings;

use crate::provider::lock::{Held, Holder, NotTaken};
use crate::provider::native::{PreviewPass, Previewed, Privilege, Reference, Resolved, Use};
use crate::provider::{Call, Health, Outcome, Permit, Provider};
use crate::providers::arguments::{Arguments, not_fitting};
use crate::value::probe::{self, Reply};
use crate::value::{Reason, Value};
use config::{Config, Role, Server};
use connection::{Closed, Link, open};
use failure::{Failure, Refusal};
use futures::future::BoxFuture;
use info::Info;
use keys::{Change, Changed};
use lock::Holding;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The operations, in the order of the interface text.
const OPERATIONS: &[&str] = &[
    "ping",
    "admission",
    "version",
    "info",
    "memory",
    "statistics",
    "window",
    "clients",
    "clients.list",
    "clients.end",
    "replication",
    "persistence",
    "slow_log",
    "latency",
    "keys.count",
    "keys.scan",
    "keys.largest",
    "keys.expiry",
    "keys.remaining",
    "keys.expire",
    "keys.restore_expiry",
    "keys.delete",
    "settings.get",
    "settings.set",
    "settings.keep",
];

/// The provider `redis`: the servers of an environment. Nothing is connected before the first call.
pub struct Redis {
    servers: BTreeMap<String, Arc<Server>>,
    holding: Holding,
}

impl Redis {
    /// The servers of the configuration, by name.
    ///
    /// # Errors
    /// Names the entry that cannot be used and says why.
    pub fn new(config: Config) -> Result<Self, String> {
        config.validate()?;
        Ok(Self {
            servers: config
                .servers
                .into_iter()
                .map(|(name, server)| (name, Arc::new(server)))
                .collect(),
            holding: Holding::default(),
        })
    }

    fn server(&self, name: &str) -> Result<&Arc<Server>, Failure> {
        self.servers.get(name).ok_or_else(|| {
            Failure::definite(
                Reason::Unavailable,
                format!("no Redis server `{name}` is configured in this environment"),
            )
        })
    }

    async fn link(&self, name: &str, role: Role, until: Instant) -> Result<Link, Failure> {
        let server = self.server(name)?;
        open(server, role, server.database, until)
            .await
            .map_err(Closed::failure)
    }

    async fn answer(&self, call: &Call) -> Result<Value, Failure> {
        let begin = Instant::now();
        let until = begin + patience(call);
        let arguments = Arguments(call);
        let path = &*call.operation.path;
        if path == "keys.remaining" {
            return self.remaining(call.arg("keys"), until).await;
        }
        let given = call.arg("server");
        let name = arguments.text("server")?;
        match path {
            "ping" => return reachable(self.server(name)?, begin, until).await,
            "admission" => return admission(self.server(name)?, until).await,
            _ => {}
        }
        let mut link = self.link(name, Role::Read, until).await?;
        let link = &mut link;
        match path {
            "version" => Ok(info::version(&Info::ask(link, &["server", "replication"]).await?)),
            "info" => document(link, arguments.text("section")?).await,
            "memory" => Ok(info::memory(&Info::ask(link, &["memory"]).await?)),
            "statistics" => Ok(info::statistics(&Info::ask(link, &["stats", "server"]).await?)),
            "window" => info::window(link, arguments.duration("over")?).await,
            "clients" => Ok(info::clients(&Info::ask(link, &["clients", "stats"]).await?)),
            "clients.list" => activity::clients(link, given, arguments.limit("at_most", 10_000)?).await,
            "replication" => Ok(info::replication(&Info::ask(link, &["replication"]).await?)),
            "persistence" => Ok(info::persistence(&Info::ask(link, &["persistence"]).await?)),
            "slow_log" => activity::slow_log(link, arguments.limit("at_most", 1_000)?).await,
            "latency" => activity::latency(link, arguments.duration("over")?).await,
            "keys.count" => keys::count(link).await,
            "keys.scan" => {
                keys::scan(
                    link,
                    given,
                    arguments.text("pattern")?,
                    arguments.maybe_text("kind")?,
                    arguments.limit("at_most", 10_000)?,
                )
                .await
            }
            "keys.largest" => {
                let at_least = match call.arg("at_least") {
                    Value::Bytes(bytes) => *bytes,
                    _ => return Err(not_fitting("at_least").into()),
                };
                keys::largest(
                    link,
                    given,
                    arguments.text("pattern")?,
                    at_least,
                    arguments.limit("at_most", 1_000)?,
                    arguments.limit("look_at", crate::limits::REDIS_KEYS)?,
                )
                .await
            }
            "keys.expiry" => {
                let look_at = arguments.limit("look_at", crate::limits::REDIS_KEYS)?;
                keys::sample(link, arguments.text("pattern")?, look_at).await
            }
            "settings.get" => settings::get(link, given, arguments.text("name")?).await,
            other => Err(Failure::definite(
                Reason::Internal,
                format!("redis.{other} is not a read"),
            )),
        }
    }

    async fn remaining(&self, given: &Value, until: Instant) -> Result<Value, Failure> {
        let all = keys::seen(given)?;
        let items = given.as_list().map(|list| list.items.clone()).unwrap_or_default();
        let mut left = Vec::new();
        let names: BTreeSet<&str> = all.iter().map(|key| key.server.as_str()).collect();
        for name in names {
            let mut link = self.link(name, Role::Read, until).await?;
            let (here, values): (Vec<_>, Vec<_>) = all
                .iter()
                .cloned()
                .zip(&items)
                .filter(|(key, _)| key.server == name)
                .unzip();
            let there = keys::remaining(&mut link, &here).await?;
            left.extend(
                values
                    .into_iter()
                    .zip(there)
                    .filter(|(_, there)| *there)
                    .map(|(key, _)| key.clone()),
            );
        }
        Ok(Value::list(left))
    }

    async fn act(&self, call: &Call) -> Result<Value, Failure> {
        let until = Instant::now() + patience(call);
        let arguments = Arguments(call);
        match &*call.operation.path {
            "settings.set" => {
                let (name, setting, to) = (
                    arguments.text("server")?,
                    arguments.text("name")?,
                    arguments.text("to")?,
                );
                let from = arguments.maybe_text("from")?;
                let server = self.server(name)?;
                settings::may_change(server, setting, to)?;
                let mut link = open(server, Role::Change, 0, until).await.map_err(Closed::failure)?;
                let fence = self.holding.of(name);
                settings::set(&mut link, fence.as_ref(), call.arg("server"), setting, to, from).await
            }
            "settings.keep" => {
                let name = arguments.text("server")?;
                let mut link = open(self.server(name)?, Role::Change, 0, until)
                    .await
                    .map_err(Closed::failure)?;
                settings::keep(&mut link, self.holding.of(name).as_ref()).await
            }
            "clients.end" => {
                let clients = activity::listed(call.arg("clients"))?;
                let mut total = Changed::default();
                let names: BTreeSet<&str> = clients.iter().map(|client| client.server.as_str()).collect();
                for name in names {
                    let here: Vec<_> = clients.iter().filter(|client| client.server == name).cloned().collect();
                    let work = async {
                        let mut link = open(self.server(name)?, Role::Change, 0, until)
                            .await
                            .map_err(Closed::failure)?;
                        activity::end(&mut link, self.holding.of(name).as_ref(), &here).await
                    };
                    total = plus(total, work.await)?;
                }
                Ok(total.value())
            }
            "keys.expire" => {
                let after =
                    i64::try_from(arguments.duration("after")?.as_millis()).map_err(|_| not_fitting("after"))?;
                if after < 1_000 {
                    return Err(Failure::definite(
                        Reason::Unparsable,
                        "`after` is less than a second: that would be a deletion",
                    ));
                }
                self.keys(call, Change::Expire(after), until).await
            }
            "keys.restore_expiry" => self.keys(call, Change::Restore, until).await,
            "keys.delete" => self.keys(call, Change::Delete, until).await,
            other => Err(Failure::definite(
                Reason::Internal,
                format!("redis.{other} is not a change"),
            )),
        }
    }

    async fn keys(&self, call: &Call, change: Change, until: Instant) -> Result<Value, Failure> {
        let all = keys::seen(call.arg("keys"))?;
        let mut total = Changed::default();
        let names: BTreeSet<&str> = all.iter().map(|key| key.server.as_str()).collect();
        for name in names {
            let here: Vec<_> = all.iter().filter(|key| key.server == name).cloned().collect();
            let work = async {
                let database = self.server(name)?.database;
                let mut link = self.link(name, Role::Change, until).await?;
                keys::change(&mut link, self.holding.of(name).as_ref(), database, &here, change).await
            };
            total = plus(total, work.await)?;
        }
        Ok(total.value())
    }
}

/// Adds what was done on one more server. What was done on earlier ones is not undone by a failure.
fn plus(total: Changed, result: Result<Changed, Failure>) -> Result<Changed, Failure> {
    match result {
        Ok(more) => Ok(Changed {
            changed: total.changed + more.changed,
            already_gone: total.already_gone + more.already_gone,
            moved_on: total.moved_on + more.moved_on,
        }),
        Err(failure) if total.changed > 0 => Err(failure.after_sending()),
        Err(failure) => Err(failure),
    }
}

/// A little less than the call's deadline, so that the end of patience is told in our own words.
fn patience(call: &Call) -> Duration {
    call.within.mul_f64(0.95)
}

/// `ping`: the reply says what happened. Only our own mistakes (a login that cannot be read) are unknown.
async fn reachable(server: &Server, begin: Instant, until: Instant) -> Result<Value, Failure> {
    let reply = match open(server, Role::Read, server.database, until).await {
        Ok(mut link) => match link.ask(&::redis::cmd("PING")).await {
            Ok(_) => Reply::Answered,
            Err(failure) if failure.unknown.reason == Reason::Timeout => Reply::TimedOut,
            // Refused for want of a right, busy, or reading its data: it has answered.
            Err(failure) if failure.unknown.reason != Reason::Unreachable => Reply::Answered,
            Err(_) => Reply::Refused,
        },
        Err(Closed::Late) => Reply::TimedOut,
        Err(Closed::NoSuchName) => Reply::NoSuchName,
        Err(Closed::NobodyThere) => Reply::Refused,
        Err(Closed::Certificate(_)) => Reply::BadCertificate,
        Err(Closed::Turned(Refusal::TooManyClients, _)) => Reply::Refused,
        Err(Closed::Turned(..)) => Reply::Answered,
        Err(Closed::Other(failure)) => return Err(failure),
    };
    Ok(probe::value(reply, begin.elapsed(), None))
}

/// `admission`
async fn admission(server: &Server, until: Instant) -> Result<Value, Failure> {
    let word = match open(server, Role::Read, server.database, until).await {
        Ok(mut link) => match link.ask(&::redis::cmd("PING")).await {
            Ok(_) => "admitted",
            Err(failure) if failure.unknown.detail.contains("LOADING") => "loading",
            Err(failure) => return Err(failure),
        },
        Err(Closed::Turned(refusal, _)) => match refusal {
            Refusal::TooManyClients => "too_many_clients",
            Refusal::Login => "login_refused",
            Refusal::Loading => "loading",
            Refusal::Protected => "protected",
        },
        Err(closed) => return Err(closed.failure()),
    };
    Ok(Value::variant(word))
}

/// `info`
async fn document(link: &mut Link, section: &str) -> Result<Value, Failure> {
    let plain = !section.is_empty() && section.bytes().all(|byte| byte.is_ascii_lowercase());
    if !plain {
        return Err(Failure::definite(
            Reason::Unparsable,
            "`section` is a word such as memory, stats, clients, keyspace, commandstats",
        ));
    }
    let info = Info::ask(link, &[section]).await?;
    let fields: serde_json::Map<String, serde_json::Value> = info
        .fields()
        .map(|(name, value)| {
            let value = value
                .parse::<i64>()
                .map_or_else(|_| serde_json::Value::from(value), serde_json::Value::from);
            (name.to_owned(), value)
        })
        .collect();
    if fields.is_empty() && section != "keyspace" {
        return Err(Failure::definite(
            Reason::Missing,
            format!("the server has no section `{section}`"),
        ));
    }
    Ok(Value::Json(Arc::new(serde_json::Value::Object(fields))))
}

impl Provider for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn operations(&self) -> &'static [&'static str] {
        OPERATIONS
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        if let Some(name) = call.arg("server").as_str() {
            return vec![name.to_owned()];
        }
        let name = ["keys", "clients"]
            .into_iter()
            .find(|name| call.arg(name).as_list().is_some());
        Arguments(call).sources(name.unwrap_or("keys"), "server")
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        Box::pin(async move { Value::or_unknown(self.answer(call).await.map_err(|failure| failure.unknown)) })
    }

    fn change<'a>(&'a self, call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { self.act(call).await.map_or_else(Failure::outcome, Outcome::Done) })
    }

    fn lock<'a>(
        &'a self,
        target: &'a str,
        holder: &'a Holder,
        take_over: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Box<dyn Held>>, NotTaken>> {
        Box::pin(async move {
            let Some(server) = self.servers.get(target) else {
                return Ok(None);
            };
            // Without a login for changes nothing is changed, and without `lock` the configuration wants none.
            if server.change.is_none() || !server.lock {
                return Ok(None);
            }
            lock::take(server, target, &self.holding, holder, take_over)
                .await
                .map(Some)
        })
    }

    fn exceptions(&self) -> Vec<String> {
        self.servers
            .iter()
            .filter(|(_, server)| !server.settings.is_empty())
            .map(|(name, server)| {
                format!(
                    "redis `{name}`: these settings may be changed too: {}",
                    server.settings.join(", ")
                )
            })
            .chain(
                self.servers
                    .iter()
                    .filter(|(_, server)| !server.tls() && !server.is_local())
                    .map(|(name, _)| format!("redis `{name}`: the connection is not encrypted")),
            )
            .collect()
    }

    fn privileges(&self, uses: &[Use]) -> Option<Vec<Privilege>> {
        Some(self.least(uses))
    }

    fn preview<'a>(&'a self, call: &'a Call, _pass: &'a PreviewPass) -> BoxFuture<'a, Previewed> {
        Box::pin(self.preview_of(call))
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
            for (name, server) in &self.servers {
                lines.extend(doctor::look(name, server).await);
            }
            lines
        })
    }
}
