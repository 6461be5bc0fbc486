//! PostgreSQL: reads as a role that cannot write, changes as another, both over connections of their own.

mod activity;
mod changes;
pub mod config;
mod connection;
mod doctor;
mod failure;
mod guard;
mod lock;
mod names;
mod native;
mod parameters;
mod query;
mod server;
pub mod statement;
mod values;

use crate::provider::lock::{Held, Holder, NotTaken};
use crate::provider::native::{PreviewPass, Previewed, Privilege, Reference, Resolved, Use};
use crate::provider::{Call, Health, Outcome, Permit, Provider};
use crate::providers::arguments::Arguments;
use crate::value::probe::{self, Reply};
use crate::value::{Reason, Unknown, Value};
use changes::{Ended, Signal};
use config::{Config, Database, Role};
use connection::{Deadline, NO_SUCH_NAME, Own, Pool, connect};
use failure::{Failure, Refusal, classify, refusal};
use futures::future::BoxFuture;
use sqlx::Connection;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The operations, in the order of the interface text.
const OPERATIONS: &[&str] = &[
    "server",
    "admission",
    "connections",
    "sessions.list",
    "sessions.by_state",
    "sessions.by_client",
    "sessions.remaining",
    "sessions.terminate",
    "sessions.cancel",
    "locks.blocked",
    "locks.blockers",
    "transactions.list",
    "transactions.prepared",
    "replication.slots",
    "replication.standbys",
    "settings.get",
    "settings.of_database",
    "settings.set",
    "tables.list",
    "tables.analyze",
    "indexes.list",
    "indexes.find",
    "indexes.create_concurrently",
    "indexes.drop_concurrently",
    "statements.top",
    "query",
    "execute",
];

/// The provider `postgres`: the databases of an environment. Nothing is connected before the first call.
pub struct Postgres {
    databases: BTreeMap<String, Instance>,
}

/// One database with the connections of its two logins.
struct Instance {
    database: Arc<Database>,
    read: Pool,
    change: Pool,
    own: Own,
}

impl Postgres {
    /// The databases of the configuration, by name.
    ///
    /// # Errors
    /// Names the entry that cannot be used and says why.
    pub fn new(config: Config) -> Result<Self, String> {
        config.validate()?;
        let mut instances = BTreeMap::new();
        for (name, database) in config.databases {
            let database = Arc::new(database);
            let own = Own::default();
            let pool = |role| Pool::new(name.as_str().into(), Arc::clone(&database), role, Arc::clone(&own));
            let instance = Instance {
                read: pool(Role::Read),
                change: pool(Role::Change),
                database: Arc::clone(&database),
                own: Arc::clone(&own),
            };
            instances.insert(name, instance);
        }
        Ok(Self { databases: instances })
    }

    fn instance(&self, name: &str) -> Result<&Instance, Failure> {
        self.databases.get(name).ok_or_else(|| {
            Failure::definite(
                Reason::Unavailable,
                format!("no database `{name}` is configured in this environment"),
            )
        })
    }

    async fn answer(&self, call: &Call) -> Result<Value, Failure> {
        let deadline = Deadline::new(call.within);
        let arguments = Arguments(call);
        if &*call.operation.path == "sessions.remaining" {
            return self.remaining(arguments.value("sessions"), deadline).await;
        }
        let instance = self.instance(arguments.text("db")?)?;
        let pool = &instance.read;
        match &*call.operation.path {
            "server" => reachable(&instance.database, deadline).await,
            "admission" => admission(&instance.database, deadline).await,
            "connections" => server::connections(pool, deadline).await,
            "sessions.list" => activity::sessions(pool, arguments, deadline).await,
            "sessions.by_state" => activity::by_state(pool, arguments, deadline).await,
            "sessions.by_client" => activity::by_client(pool, arguments, deadline).await,
            "locks.blocked" => activity::blocked(pool, arguments, deadline).await,
            "locks.blockers" => activity::blockers(pool, arguments, deadline).await,
            "transactions.list" => activity::transactions(pool, arguments, deadline).await,
            "transactions.prepared" => activity::prepared(pool, deadline).await,
            "replication.slots" => server::slots(pool, deadline).await,
            "replication.standbys" => server::standbys(pool, deadline).await,
            "settings.get" => server::setting(pool, arguments, deadline).await,
            "settings.of_database" => server::database_setting(pool, arguments, deadline).await,
            "tables.list" => server::tables(pool, arguments, deadline).await,
            "indexes.list" => server::indexes(pool, arguments, deadline).await,
            "indexes.find" => server::find_index(pool, arguments, deadline).await,
            "statements.top" => server::statements(pool, arguments, deadline).await,
            "query" => query::query(pool, arguments, deadline).await,
            other => Err(Failure::definite(
                Reason::Internal,
                format!("postgres.{other} is not a read"),
            )),
        }
    }

    async fn remaining(&self, sessions: &Value, deadline: Deadline) -> Result<Value, Failure> {
        let mut left = Vec::new();
        for (name, sessions) in by_database(sessions)? {
            let identities = changes::identities(&Value::list(sessions.clone()))?;
            let there = activity::remaining(&self.instance(&name)?.read, &identities, deadline).await?;
            for session in sessions {
                let identity = changes::identities(&Value::list(vec![session.clone()]))?;
                if identity.iter().all(|identity| there.contains(identity)) {
                    left.push(session);
                }
            }
        }
        Ok(Value::list(left))
    }

    async fn act(&self, call: &Call) -> Outcome {
        let deadline = Deadline::new(call.within);
        let arguments = Arguments(call);
        let signal = match &*call.operation.path {
            "sessions.terminate" => Some(Signal::Terminate),
            "sessions.cancel" => Some(Signal::Cancel),
            _ => None,
        };
        if let Some(signal) = signal {
            return match self.signal(signal, arguments.value("sessions"), deadline).await {
                Ok(ended) => Outcome::Done(ended.value()),
                Err(failure) => failure.outcome(),
            };
        }
        let instance = match arguments
            .text("db")
            .map_err(Failure::from)
            .and_then(|name| self.instance(name))
        {
            Ok(instance) => instance,
            Err(failure) => return failure.outcome(),
        };
        let pool = &instance.change;
        match &*call.operation.path {
            "settings.set" => changes::set(pool, arguments, deadline).await,
            "tables.analyze" => changes::analyze(pool, arguments, deadline).await,
            "indexes.create_concurrently" => changes::create_index(pool, arguments, deadline).await,
            "indexes.drop_concurrently" => changes::drop_index(pool, arguments, deadline).await,
            "execute" => query::execute(pool, arguments, deadline).await,
            other => Outcome::Failed(Unknown {
                reason: Reason::Internal,
                detail: format!("postgres.{other} is not a change"),
            }),
        }
    }

    async fn signal(&self, signal: Signal, sessions: &Value, deadline: Deadline) -> Result<Ended, Failure> {
        let mut total = Ended::default();
        let mut told = false;
        for (name, sessions) in by_database(sessions)? {
            let result = async {
                let instance = self.instance(&name)?;
                changes::signal(
                    &instance.change,
                    instance.database.across_databases,
                    signal,
                    &Value::list(sessions),
                    deadline,
                )
                .await
            };
            match result.await {
                Ok(ended) => {
                    told |= ended.ended + ended.still_there > 0;
                    total = total.plus(ended);
                }
                // Sessions of an earlier database are already told: the call as a whole is not undone by this failure.
                Err(failure) => {
                    return Err(Failure {
                        definite: failure.definite && !told,
                        ..failure
                    });
                }
            }
        }
        Ok(total)
    }
}

/// The sessions of a list by the database they came from.
fn by_database(sessions: &Value) -> Result<BTreeMap<String, Vec<Value>>, Failure> {
    let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    match sessions {
        Value::List(list) if !list.truncated => {
            for item in &list.items {
                let name = item
                    .as_record()
                    .and_then(|record| record.get("db"))
                    .and_then(Value::as_str)
                    .ok_or_else(|| {
                        Failure::definite(Reason::Unparsable, "a session does not say where it came from")
                    })?;
                groups.entry(name.to_owned()).or_default().push(item.clone());
            }
            Ok(groups)
        }
        Value::List(_) => Err(Failure::definite(Reason::Truncated, "the list of sessions was cut")),
        Value::Unknown(unknown) => Err(Failure {
            unknown: (**unknown).clone(),
            definite: true,
        }),
        _ => Err(Failure::definite(Reason::Unparsable, "the sessions are not a list")),
    }
}

/// `server`: the reply says what happened. Only our own mistakes (a login that cannot be read) are unknown.
async fn reachable(database: &Database, deadline: Deadline) -> Result<Value, Failure> {
    let begin = Instant::now();
    let reply = match connect(database, Role::Read, deadline).await {
        Ok(Ok(connection)) => {
            let _ = tokio::time::timeout(Duration::from_secs(1), connection.close()).await;
            Reply::Answered
        }
        Ok(Err(problem)) => match refusal(&problem) {
            Some(Refusal::TooManyConnections | Refusal::NotAccepting) => Reply::Refused,
            Some(Refusal::Login | Refusal::NoSuchDatabase) => Reply::Answered,
            None if bad_certificate(&problem) => Reply::BadCertificate,
            None => match &problem {
                sqlx::Error::Io(problem) if problem.kind() == std::io::ErrorKind::TimedOut => Reply::TimedOut,
                sqlx::Error::Io(problem) if problem.kind() != std::io::ErrorKind::PermissionDenied => Reply::Refused,
                _ => return Err(classify(&problem, false, false)),
            },
        },
        Err(failure) if failure.unknown.reason == Reason::Timeout => Reply::TimedOut,
        Err(failure) if failure.unknown.detail == NO_SUCH_NAME => Reply::NoSuchName,
        Err(failure) => return Err(failure),
    };
    Ok(probe::value(reply, begin.elapsed(), None))
}

/// Whether the server's certificate was the reason.
fn bad_certificate(problem: &sqlx::Error) -> bool {
    let sqlx::Error::Io(problem) = problem else {
        return false;
    };
    problem
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        .is_some_and(|inner| matches!(inner, rustls::Error::InvalidCertificate(_)))
}

/// `admission`
async fn admission(database: &Database, deadline: Deadline) -> Result<Value, Failure> {
    let connected = connect(database, Role::Read, deadline).await?;
    let word = match connected {
        Ok(connection) => {
            let _ = tokio::time::timeout(Duration::from_secs(1), connection.close()).await;
            "admitted"
        }
        Err(problem) => match refusal(&problem) {
            Some(Refusal::TooManyConnections) => "too_many_connections",
            Some(Refusal::NotAccepting) => "not_accepting",
            Some(Refusal::Login) => "login_refused",
            Some(Refusal::NoSuchDatabase) => "no_such_database",
            None => return Err(classify(&problem, false, false)),
        },
    };
    Ok(Value::variant(word))
}

impl Provider for Postgres {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn operations(&self) -> &'static [&'static str] {
        OPERATIONS
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        if let Some(name) = call.arg("db").as_str() {
            return vec![name.to_owned()];
        }
        Arguments(call).sources("sessions", "db")
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        Box::pin(async move { Value::or_unknown(self.answer(call).await.map_err(|failure| failure.unknown)) })
    }

    fn change<'a>(&'a self, call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        Box::pin(self.act(call))
    }

    fn exceptions(&self) -> Vec<String> {
        let mut exceptions = Vec::new();
        for (name, instance) in &self.databases {
            if instance.database.allow_superuser {
                exceptions.push(format!(
                    "postgres `{name}`: checks may run with a login that could change anything"
                ));
            }
            if instance.database.across_databases {
                exceptions.push(format!(
                    "postgres `{name}`: sessions of other databases on the server may be ended"
                ));
            }
        }
        exceptions
    }

    fn lock<'a>(
        &'a self,
        target: &'a str,
        holder: &'a Holder,
        take_over: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Box<dyn Held>>, NotTaken>> {
        Box::pin(async move {
            let Some(instance) = self.databases.get(target) else {
                return Ok(None);
            };
            // Without a login for changes nothing is changed, and without `lock` the configuration wants none.
            if instance.database.change.is_none() || !instance.database.lock {
                return Ok(None);
            }
            lock::take(&instance.database, &instance.own, holder, take_over)
                .await
                .map(Some)
        })
    }

    fn preview<'a>(&'a self, call: &'a Call, _pass: &'a PreviewPass) -> BoxFuture<'a, Previewed> {
        Box::pin(self.preview_of(call))
    }

    fn privileges(&self, uses: &[Use]) -> Option<Vec<Privilege>> {
        Some(self.least(uses))
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
            for (name, instance) in &self.databases {
                lines.extend(doctor::look(name, &instance.database, &instance.read, &instance.change).await);
            }
            lines
        })
    }
}
