//! What changes something: ending and cancelling sessions, indexes, statistics, settings of the database.

use super::activity::Identity;
use super::connection::{Deadline, Lease, Pool};
use super::failure::{Failure, classify};
use super::parameters::{constant, quoted};
use super::server;
use super::values::state_words;
use crate::provider::Outcome;
use crate::providers::arguments::Arguments;
use crate::value::{Reason, Value};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments as _, AssertSqlSafe, Row};
use std::collections::BTreeSet;
use std::time::Duration;

/// Most sessions one call ends.
const SESSIONS: usize = crate::limits::POSTGRES_ENDED;

/// How long to watch sessions go after they were told to.
const WATCH: Duration = Duration::from_secs(5);

/// Between two looks at sessions that are going.
const LOOK: Duration = Duration::from_millis(50);

fn done(result: Result<Value, Failure>) -> Outcome {
    result.map_or_else(Failure::outcome, Outcome::Done)
}

/// A session of a call, as it was when it was listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Target {
    identity: Identity,
    state: &'static str,
    state_since: i64,
    transaction_start: Option<i64>,
    database: String,
}

/// Reads the sessions of a call. One that cannot be read makes the whole call a failure: nothing is sent.
fn targets(sessions: &Value) -> Result<BTreeSet<Target>, Failure> {
    let list = match sessions {
        Value::List(list) if list.truncated => {
            return Err(Failure::definite(Reason::Truncated, "the list of sessions was cut"));
        }
        Value::List(list) => list,
        Value::Unknown(unknown) => return Err((**unknown).clone().into()),
        _ => return Err(Failure::definite(Reason::Unparsable, "the sessions are not a list")),
    };
    if list.items.len() > SESSIONS {
        return Err(Failure::definite(
            Reason::Unavailable,
            format!("more than {SESSIONS} sessions in one call"),
        ));
    }
    list.items
        .iter()
        .map(|item| {
            target(item).ok_or_else(|| {
                Failure::definite(
                    Reason::Unparsable,
                    "a session lacks its number, beginning, state or database",
                )
            })
        })
        .collect()
}

fn target(item: &Value) -> Option<Target> {
    let record = item.as_record()?;
    let time = |field: &str| match record.get(field) {
        Some(Value::Time(time)) => Some(time.as_microsecond()),
        _ => None,
    };
    let Some(Value::Int(pid)) = record.get("pid") else {
        return None;
    };
    Some(Target {
        identity: (*pid, time("backend_start")?),
        state: state_words(record.get("state")?.as_str()?)?,
        state_since: time("state_since")?,
        transaction_start: match record.get("transaction_start")? {
            Value::None => None,
            Value::Time(time) => Some(time.as_microsecond()),
            _ => return None,
        },
        database: record.get("database")?.as_str()?.to_owned(),
    })
}

/// The identities of the sessions of a call.
pub fn identities(sessions: &Value) -> Result<Vec<Identity>, Failure> {
    Ok(targets(sessions)?.into_iter().map(|target| target.identity).collect())
}

/// What is done to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    Cancel,
    Terminate,
}

/// How sessions fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    pub ended: i64,
    pub already_gone: i64,
    pub moved_on: i64,
    pub denied: i64,
    pub still_there: i64,
}

impl Ended {
    /// As a record of the interface text.
    pub fn value(self) -> Value {
        Value::record(
            "Ended",
            vec![
                ("ended", Value::Int(self.ended)),
                ("already_gone", Value::Int(self.already_gone)),
                ("moved_on", Value::Int(self.moved_on)),
                ("denied", Value::Int(self.denied)),
                ("still_there", Value::Int(self.still_there)),
            ],
        )
    }

    /// Adds what came of another database's sessions.
    pub fn plus(self, other: Self) -> Self {
        Self {
            ended: self.ended + other.ended,
            already_gone: self.already_gone + other.already_gone,
            moved_on: self.moved_on + other.moved_on,
            denied: self.denied + other.denied,
            still_there: self.still_there + other.still_there,
        }
    }
}

/// The statement that signals one session, if it still is what it was. Looking and signalling are one statement; `$signal` is
/// the server's function.
macro_rules! signal {
    ($function:literal) => {
        concat!(
            "select c.same as same, case when c.same then pg_catalog.",
            $function,
            "(c.pid) end as signalled
               from (select a.pid,
                            coalesce(a.state, '') = $3
                            and (extract(epoch from coalesce(a.state_change, a.backend_start)) * 1000000)::bigint = $4
                            and (extract(epoch from a.xact_start) * 1000000)::bigint is not distinct from $5 as same
                       from pg_catalog.pg_stat_activity a
                      where a.pid = $1 and (extract(epoch from a.backend_start) * 1000000)::bigint = $2
                        and a.backend_type = 'client backend' and a.pid <> pg_catalog.pg_backend_pid()
                     offset 0) c"
        )
    };
}

/// Ends or cancels the sessions, one statement each. A session that has moved on is left alone.
///
/// # Errors
/// Definite when nothing was sent to any session; otherwise the fate of at least one is open.
pub async fn signal(
    pool: &Pool,
    across_databases: bool,
    signal: Signal,
    sessions: &Value,
    deadline: Deadline,
) -> Result<Ended, Failure> {
    let targets = targets(sessions)?;
    let mut result = Ended::default();
    if targets.is_empty() {
        return Ok(result);
    }
    let mut lease = begin(pool, deadline, deadline.server_millis()).await?;
    lease.needs_sight()?;
    let here: String = ask(
        &mut lease,
        deadline,
        "select current_database()::text",
        PgArguments::default(),
    )
    .await?
    .first()
    .and_then(|row| row.try_get(0).ok())
    .ok_or_else(|| Failure::definite(Reason::Unparsable, "the server does not say which database this is"))?;
    if !across_databases && targets.iter().any(|target| target.database != here) {
        return Err(Failure::definite(
            Reason::Denied,
            format!(
                "a session belongs to another database than `{here}`; allow it with `across_databases: true` in the configuration"
            ),
        ));
    }
    let mut signalled = Vec::new();
    let mut refusal = None;
    for target in &targets {
        let sent = !signalled.is_empty();
        let (pid, started) = target.identity;
        let mut arguments = PgArguments::default();
        let bound = arguments
            .add(pid)
            .and_then(|()| arguments.add(started))
            .and_then(|()| arguments.add(target.state))
            .and_then(|()| arguments.add(target.state_since))
            .and_then(|()| arguments.add(target.transaction_start));
        bound.map_err(|_| open(sent, Reason::Unparsable, "a session cannot be named to the server"))?;
        let sql = match signal {
            Signal::Cancel => signal!("pg_cancel_backend"),
            Signal::Terminate => signal!("pg_terminate_backend"),
        };
        let answer = deadline
            .wait(
                "the server",
                sqlx::query_with(sql, arguments)
                    .persistent(false)
                    .fetch_optional(lease.connection()),
            )
            .await
            .map_err(|late| {
                Failure::unclear(
                    late.unknown.reason,
                    format!("{} sessions were told; then {}", signalled.len(), late.unknown.detail),
                )
            })?;
        match answer {
            Ok(None) => result.already_gone += 1,
            Ok(Some(row)) => match (
                row.try_get::<bool, _>("same"),
                row.try_get::<Option<bool>, _>("signalled"),
            ) {
                (Ok(true), Ok(Some(true))) => signalled.push(target),
                (Ok(true), Ok(_)) => result.already_gone += 1,
                (Ok(false), Ok(_)) => result.moved_on += 1,
                _ => {
                    return Err(Failure::unclear(
                        Reason::Unparsable,
                        "the server's answer cannot be read",
                    ));
                }
            },
            Err(problem) => {
                let failure = classify(&problem, true, false);
                if !failure.definite {
                    return Err(Failure::unclear(
                        failure.unknown.reason,
                        format!(
                            "{} sessions were told; then {}",
                            signalled.len(),
                            failure.unknown.detail
                        ),
                    ));
                }
                result.denied += 1;
                refusal = Some(failure);
            }
        }
    }
    // Nobody was told, and somebody may not be: that is a refusal, not a success with nothing in it.
    if signalled.is_empty()
        && let Some(refusal) = refusal
    {
        lease.give_back(deadline).await;
        return Err(refusal);
    }
    let left = watch(&mut lease, &signalled, signal, deadline.sooner(WATCH)).await;
    let told = signalled.len() as i64;
    match left {
        Ok(left) => {
            lease.give_back(deadline).await;
            result.still_there = left;
            result.ended = told - left;
            Ok(result)
        }
        Err(failure) => Err(Failure::unclear(
            failure.unknown.reason,
            format!(
                "{told} sessions were told; whether they went is not known: {}",
                failure.unknown.detail
            ),
        )),
    }
}

/// Definite as long as nothing was sent.
fn open(sent: bool, reason: Reason, detail: &str) -> Failure {
    if sent {
        Failure::unclear(reason, detail)
    } else {
        Failure::definite(reason, detail)
    }
}

/// How many of the sessions are still there (or, cancelled, still at the same thing) when they had time to go.
async fn watch(lease: &mut Lease<'_>, told: &[&Target], signal: Signal, deadline: Deadline) -> Result<i64, Failure> {
    if told.is_empty() {
        return Ok(0);
    }
    loop {
        let mut arguments = PgArguments::default();
        let (pids, starts): (Vec<i64>, Vec<i64>) = told.iter().map(|target| target.identity).unzip();
        let since: Vec<i64> = told.iter().map(|target| target.state_since).collect();
        arguments
            .add(pids)
            .and_then(|()| arguments.add(starts))
            .and_then(|()| arguments.add(since))
            .and_then(|()| arguments.add(signal == Signal::Cancel))
            .map_err(|_| Failure::definite(Reason::Unparsable, "the sessions cannot be named to the server"))?;
        let rows = ask(
            lease,
            deadline,
            "select count(*) as remaining
               from pg_catalog.pg_stat_activity a
               join unnest($1::bigint[], $2::bigint[], $3::bigint[]) as told(pid, started, since)
                 on told.pid = a.pid and told.started = (extract(epoch from a.backend_start) * 1000000)::bigint
                and (not $4 or told.since = (extract(epoch from coalesce(a.state_change, a.backend_start)) * 1000000)::bigint)",
            arguments,
        )
        .await?;
        let left: i64 = rows
            .first()
            .and_then(|row| row.try_get("remaining").ok())
            .ok_or_else(|| Failure::definite(Reason::Unparsable, "the server does not say which sessions remain"))?;
        if left == 0 || deadline.left() <= LOOK * 2 {
            return Ok(left);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// A connection for changes with the server's own limits set.
pub(super) async fn begin(pool: &Pool, deadline: Deadline, lock_millis: u64) -> Result<Lease<'_>, Failure> {
    let setup = || {
        format!(
            "SET statement_timeout = {};
             SET lock_timeout = {};
             SET idle_in_transaction_session_timeout = 60000;
             SET standard_conforming_strings = on",
            deadline.server_millis().min(2_000_000_000),
            lock_millis.clamp(1, 2_000_000_000)
        )
    };
    pool.lease(deadline, setup).await
}

/// A read on the connection for changes.
async fn ask(
    lease: &mut Lease<'_>,
    deadline: Deadline,
    sql: &'static str,
    arguments: PgArguments,
) -> Result<Vec<PgRow>, Failure> {
    deadline
        .wait(
            "the server",
            sqlx::query_with(sql, arguments)
                .persistent(false)
                .fetch_all(lease.connection()),
        )
        .await?
        .map_err(|problem| classify(&problem, false, false))
}

/// Longest a change waits for a lock: whoever waits for a strong lock makes everybody behind it wait too.
const LOCK: Duration = crate::limits::POSTGRES_LOCK_WAIT;

/// Sends one statement and returns its number of rows.
///
/// # Errors
/// Definite before it was sent and when the server refused it; otherwise its fate is open.
pub async fn send(
    pool: &Pool,
    deadline: Deadline,
    sql: String,
    arguments: PgArguments,
    secret: bool,
) -> Result<u64, Failure> {
    let lock = LOCK.min(deadline.left()).as_millis() as u64;
    send_with(pool, deadline, sql, arguments, secret, lock).await
}

async fn send_with(
    pool: &Pool,
    deadline: Deadline,
    sql: String,
    arguments: PgArguments,
    secret: bool,
    lock_millis: u64,
) -> Result<u64, Failure> {
    let mut lease = begin(pool, deadline, lock_millis).await?;
    let sent = deadline
        .wait(
            "the server",
            sqlx::query_with(AssertSqlSafe(sql), arguments)
                .persistent(false)
                .execute(lease.connection()),
        )
        .await
        .map_err(|late| Failure {
            definite: false,
            ..late
        })?;
    match sent {
        Ok(result) => {
            lease.give_back(deadline).await;
            Ok(result.rows_affected())
        }
        Err(problem) => {
            let failure = classify(&problem, true, secret);
            if failure.definite {
                lease.give_back(deadline).await;
            }
            Err(failure)
        }
    }
}

/// `schema.name` in quotes.
fn qualified(arguments: Arguments<'_>, name: &str) -> Result<String, Failure> {
    let schema = quoted(arguments.text("schema")?)?;
    let name = quoted(arguments.text(name)?)?;
    Ok(format!("{schema}.{name}"))
}

/// `tables.analyze`
pub async fn analyze(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Outcome {
    done(analyzed(pool, arguments, deadline).await)
}

async fn analyzed(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Result<Value, Failure> {
    let table = qualified(arguments, "table")?;
    let mut lease = begin(pool, deadline, 1_000).await?;
    let sql = if lease.rights().version >= 170_000 {
        "select pg_catalog.pg_has_role(c.relowner, 'USAGE') or pg_catalog.has_table_privilege(c.oid, 'MAINTAIN')
             or (select pg_catalog.pg_has_role(d.datdba, 'USAGE') from pg_catalog.pg_database d where d.datname = current_database()) as may
           from pg_catalog.pg_class c where c.oid = pg_catalog.to_regclass($1)"
    } else {
        "select pg_catalog.pg_has_role(c.relowner, 'USAGE')
             or (select pg_catalog.pg_has_role(d.datdba, 'USAGE') from pg_catalog.pg_database d where d.datname = current_database()) as may
           from pg_catalog.pg_class c where c.oid = pg_catalog.to_regclass($1)"
    };
    let mut bound = PgArguments::default();
    bound
        .add(table.as_str())
        .map_err(|_| Failure::definite(Reason::Unparsable, "the table cannot be named to the server"))?;
    let rows = ask(&mut lease, deadline, sql, bound).await?;
    lease.give_back(deadline).await;
    let may: Option<bool> = rows.first().and_then(|row| row.try_get("may").ok());
    match may {
        None => return Err(Failure::definite(Reason::Missing, format!("there is no table {table}"))),
        // The server would answer with a warning and a success.
        Some(false) => {
            return Err(Failure::definite(
                Reason::Denied,
                format!("only the owner of {table} or of the database may analyze it"),
            ));
        }
        Some(true) => {}
    }
    send(
        pool,
        deadline,
        format!("ANALYZE {table}"),
        PgArguments::default(),
        false,
    )
    .await?;
    Ok(Value::None)
}

/// `indexes.create_concurrently`
pub async fn create_index(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Outcome {
    done(created(pool, arguments, deadline).await)
}

async fn created(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Result<Value, Failure> {
    let table = qualified(arguments, "table")?;
    let name = quoted(arguments.text("name")?)?;
    let mut columns = Vec::new();
    match arguments.value("columns") {
        Value::List(list) if !list.truncated && !list.items.is_empty() => {
            for item in &list.items {
                let column = item
                    .as_str()
                    .ok_or_else(|| Failure::definite(Reason::Unparsable, "a column's name is not a text"))?;
                columns.push(quoted(column)?);
            }
        }
        _ => {
            return Err(Failure::definite(
                Reason::Unparsable,
                "an index needs at least one column",
            ));
        }
    }
    if !found(pool, arguments, deadline).await?.is_empty() {
        return Err(Failure::definite(
            Reason::Unavailable,
            format!("there is already an index {name}"),
        ));
    }
    let unique = if arguments.flag("unique") { "UNIQUE " } else { "" };
    let sql = format!(
        "CREATE {unique}INDEX CONCURRENTLY {name} ON {table} ({})",
        columns.join(", ")
    );
    // It waits for every transaction that is open, by design: the deadline alone limits it.
    let millis = deadline.server_millis();
    if let Err(failure) = send_with(pool, deadline, sql, PgArguments::default(), false, millis).await {
        if !failure.definite {
            return Err(failure);
        }
        // The call's own time may be used up: a look at what was left behind gets a little of its own.
        let left_behind = found(pool, arguments, Deadline::new(WATCH)).await;
        let detail = match left_behind {
            Ok(indexes) if indexes.is_empty() => format!("{}; nothing was left behind", failure.unknown.detail),
            Ok(_) => format!(
                "{}; an invalid index {name} was left behind: remove it with indexes.drop_concurrently",
                failure.unknown.detail
            ),
            Err(_) => format!(
                "{}; whether an invalid index {name} was left behind could not be seen",
                failure.unknown.detail
            ),
        };
        return Err(Failure::definite(failure.unknown.reason, detail));
    }
    match found(pool, arguments, deadline).await {
        Ok(mut indexes) if indexes.len() == 1 => Ok(indexes.remove(0)),
        Ok(_) => Err(Failure::unclear(
            Reason::Missing,
            format!("the server says that it built {name}, and it is not there"),
        )),
        // It was built; only its description is not known.
        Err(failure) => Ok(Value::unknown(failure.unknown.reason, failure.unknown.detail)),
    }
}

async fn found(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Result<Vec<Value>, Failure> {
    match server::find_index(pool, arguments, deadline).await? {
        Value::List(list) => Ok(list.items.clone()),
        _ => Err(Failure::definite(Reason::Internal, "a list of indexes is not a list")),
    }
}

/// `indexes.drop_concurrently`
pub async fn drop_index(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Outcome {
    let sql = match qualified(arguments, "name") {
        Ok(name) => format!("DROP INDEX CONCURRENTLY IF EXISTS {name}"),
        Err(failure) => return failure.outcome(),
    };
    let millis = deadline.server_millis();
    done(
        send_with(pool, deadline, sql, PgArguments::default(), false, millis)
            .await
            .map(|_| Value::None),
    )
}

/// Settings whose value is a list of names, or that decide who a session is: not settable here.
const REFUSED_SETTINGS: &[&str] = &[
    "role",
    "session_authorization",
    "search_path",
    "temp_tablespaces",
    "local_preload_libraries",
    "session_preload_libraries",
    "shared_preload_libraries",
    "unix_socket_directories",
];

/// `settings.set`
pub async fn set(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Outcome {
    done(was_set(pool, arguments, deadline).await)
}

async fn was_set(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Result<Value, Failure> {
    let name = arguments.text("name")?.to_ascii_lowercase();
    let plain = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'.'));
    if !plain || REFUSED_SETTINGS.contains(&name.as_str()) {
        return Err(Failure::definite(
            Reason::Denied,
            "this setting cannot be set for a database",
        ));
    }
    let setting = quoted(&name)?;
    let mut lease = begin(pool, deadline, 1_000).await?;
    let rows = ask(
        &mut lease,
        deadline,
        "select current_database()::text as here",
        PgArguments::default(),
    )
    .await?;
    lease.give_back(deadline).await;
    let here: String = rows
        .first()
        .and_then(|row| row.try_get("here").ok())
        .ok_or_else(|| Failure::definite(Reason::Unparsable, "the server does not say which database this is"))?;
    let here = quoted(&here)?;
    let sql = match arguments.maybe_text("to")? {
        Some(value) => {
            let value = constant(value)?;
            format!("ALTER DATABASE {here} SET {setting} TO {value}")
        }
        None => format!("ALTER DATABASE {here} RESET {setting}"),
    };
    send(pool, deadline, sql, PgArguments::default(), false).await?;
    Ok(Value::None)
}

#[cfg(test)]
mod tests {
    use super::{Ended, identities, targets};
    use crate::value::{List, Value};
    use std::sync::Arc;

    fn session(pid: i64) -> Value {
        let time = Value::Time(jiff::Timestamp::from_microsecond(1_700_000_000_000_000).unwrap());
        Value::record(
            "Session",
            vec![
                ("pid", Value::Int(pid)),
                ("backend_start", time.clone()),
                ("state", Value::variant("idle_in_transaction")),
                ("state_since", time.clone()),
                ("transaction_start", time),
                ("database", Value::text("orders")),
            ],
        )
    }

    #[test]
    fn sessions_are_read_once_each() {
        let list = Value::list(vec![session(7), session(7), session(8)]);
        assert_eq!(
            identities(&list).unwrap(),
            [(7, 1_700_000_000_000_000), (8, 1_700_000_000_000_000)]
        );
    }

    #[test]
    fn a_session_without_its_identity_stops_the_whole_call() {
        let broken = Value::record("Session", vec![("pid", Value::Int(7))]);
        assert!(targets(&Value::list(vec![session(1), broken])).is_err());
        assert!(targets(&Value::Int(7)).is_err());
        let cut = Value::List(Arc::new(List {
            items: vec![session(1)],
            truncated: true,
        }));
        assert!(targets(&cut).is_err());
        assert!(targets(&Value::list((0..1_001).map(session).collect())).is_err());
    }

    #[test]
    fn counts_add_up() {
        let one = Ended {
            ended: 1,
            moved_on: 2,
            ..Ended::default()
        };
        assert_eq!(one.plus(one).moved_on, 4);
        assert_eq!(one.value().as_record().unwrap().get("ended"), Some(&Value::Int(1)));
    }
}
