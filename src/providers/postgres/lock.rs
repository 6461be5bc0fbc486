//! The lock of a database: a session-level advisory lock on a connection of its own. The server frees it when the session
//! ends; a session that is silent too long, or whose machine is gone, is ended by the server.

use super::config::{Database, Role};
use super::connection::{Deadline, Own, connect, remember};
use super::failure::{Failure, classify};
use crate::provider::lock::{Held, Holder, NotTaken, Other};
use crate::value::{Reason, Unknown};
use futures::future::BoxFuture;
use sqlx::Row;
use sqlx::postgres::PgConnection;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// The two keys of the lock: `STAR`, and the version of what is locked. Advisory locks belong to a database, so that the
/// database itself is the name, however it is called in anybody's configuration.
const KEYS: (i32, i32) = (0x5354_4152, 1);

/// Longest time for taking the lock, connecting included.
const TAKING: Duration = Duration::from_secs(10);

/// Longest time for the server to say that the lock is still held.
const ASKING: Duration = Duration::from_secs(5);

/// How often the holder says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// How long the server keeps the session of a holder that says nothing.
const SILENCE: &str = "75s";

/// How long a holder that was told to go may take.
const GOING: Duration = Duration::from_secs(5);

/// Longest name of a session on the server, in bytes.
const NAME_BYTES: usize = 63;

struct Lock {
    connection: Arc<Mutex<PgConnection>>,
    heartbeat: tokio::task::JoinHandle<()>,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // The connection closes with its last owner, and the server frees the lock with the session.
        self.heartbeat.abort();
    }
}

/// Takes the lock, or says who has it.
pub(super) async fn take(
    database: &Database,
    own: &Own,
    holder: &Holder,
    take_over: Option<&str>,
) -> Result<Box<dyn Held>, NotTaken> {
    let deadline = Deadline::new(TAKING);
    let mut connection = open(database, holder, deadline).await.map_err(unclear)?;
    remember(own, identity(&mut connection, deadline).await.map_err(unclear)?);
    if let Some(token) = take_over {
        end(&mut connection, token, deadline).await.map_err(unclear)?;
    }
    let until = tokio::time::Instant::now() + if take_over.is_some() { GOING } else { Duration::ZERO };
    while !try_lock(&mut connection, deadline).await.map_err(unclear)? {
        if tokio::time::Instant::now() >= until {
            let other = holder_of(&mut connection, deadline).await.map_err(unclear)?;
            return Err(NotTaken::HeldBy(other));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let connection = Arc::new(Mutex::new(connection));
    let beating = Arc::clone(&connection);
    let heartbeat = tokio::spawn(async move {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            let mut connection = beating.lock().await;
            // A heartbeat that fails changes nothing here: the next change asks and is told.
            let _ = tokio::time::timeout(ASKING, sqlx::Connection::ping(&mut *connection)).await;
        }
    });
    Ok(Box::new(Lock { connection, heartbeat }))
}

impl Held for Lock {
    fn still_held<'a>(&'a self) -> BoxFuture<'a, Result<(), Unknown>> {
        Box::pin(async move {
            let deadline = Deadline::new(ASKING);
            let mut connection = deadline
                .wait("the lock's own connection", self.connection.lock())
                .await
                .map_err(|failure| failure.unknown)?;
            let held = ask(&mut connection, deadline)
                .await
                .map_err(|failure| failure.unknown)?;
            if held {
                Ok(())
            } else {
                Err(Unknown {
                    reason: Reason::Denied,
                    detail: "the server says that somebody else has it".to_owned(),
                })
            }
        })
    }
}

fn unclear(failure: Failure) -> NotTaken {
    NotTaken::Unclear(failure.unknown)
}

async fn open(database: &Database, holder: &Holder, deadline: Deadline) -> Result<PgConnection, Failure> {
    let mut connection = connect(database, Role::Change, deadline)
        .await?
        .map_err(|problem| classify(&problem, false, false))?;
    let prepare = sqlx::query(
        "select set_config('application_name', $1, false),
                set_config('tcp_keepalives_idle', '15', false),
                set_config('tcp_keepalives_interval', '5', false),
                set_config('tcp_keepalives_count', '3', false),
                set_config('statement_timeout', '8s', false),
                case when current_setting('idle_session_timeout', true) is not null
                     then set_config('idle_session_timeout', $2, false) end",
    )
    .persistent(false)
    .bind(session_name(holder))
    .bind(SILENCE)
    .execute(&mut connection);
    deadline
        .wait("the server", prepare)
        .await?
        .map_err(|problem| classify(&problem, false, false))?;
    Ok(connection)
}

/// `starr 260814-0912-kolu maria@laptop7`, as the server shows it; whole characters, at most what a name may have.
fn session_name(holder: &Holder) -> String {
    let mut name = String::from("starr ");
    for character in holder.line().chars() {
        if name.len() + character.len_utf8() > NAME_BYTES {
            break;
        }
        name.push(character);
    }
    name
}

async fn identity(connection: &mut PgConnection, deadline: Deadline) -> Result<(i32, i64), Failure> {
    let asked = sqlx::query(
        "select pg_catalog.pg_backend_pid() as pid,
                coalesce((select (extract(epoch from a.backend_start) * 1000000)::bigint
                   from pg_catalog.pg_stat_activity a where a.pid = pg_catalog.pg_backend_pid()), 0) as started",
    )
    .persistent(false)
    .fetch_one(connection);
    let row = deadline
        .wait("the server", asked)
        .await?
        .map_err(|problem| classify(&problem, false, false))?;
    Ok((column(&row, "pid")?, column(&row, "started")?))
}

fn column<'r, T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>>(
    row: &'r sqlx::postgres::PgRow,
    name: &str,
) -> Result<T, Failure> {
    row.try_get(name).map_err(|problem| classify(&problem, false, false))
}

async fn try_lock(connection: &mut PgConnection, deadline: Deadline) -> Result<bool, Failure> {
    let asked = sqlx::query_scalar("select pg_catalog.pg_try_advisory_lock($1, $2)")
        .persistent(false)
        .bind(KEYS.0)
        .bind(KEYS.1)
        .fetch_one(connection);
    deadline
        .wait("the server", asked)
        .await?
        .map_err(|problem| classify(&problem, false, false))
}

async fn ask(connection: &mut PgConnection, deadline: Deadline) -> Result<bool, Failure> {
    let asked = sqlx::query_scalar(
        "select exists (select 1 from pg_catalog.pg_locks l
                         where l.locktype = 'advisory' and l.classid::bigint = $1 and l.objid::bigint = $2
                           and l.objsubid = 2 and l.granted and l.pid = pg_catalog.pg_backend_pid())",
    )
    .persistent(false)
    .bind(i64::from(KEYS.0))
    .bind(i64::from(KEYS.1))
    .fetch_one(connection);
    deadline
        .wait("the server", asked)
        .await?
        .map_err(|problem| classify(&problem, false, false))
}

/// Who has it. Between the try and this question it may have become free; then nobody is named.
async fn holder_of(connection: &mut PgConnection, deadline: Deadline) -> Result<Other, Failure> {
    let asked = sqlx::query(
        "select l.pid, coalesce(a.application_name, '') as name, coalesce(a.usename::text, '') as who,
                coalesce(pg_catalog.host(a.client_addr), 'the server itself') as address,
                coalesce(pg_catalog.to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS \"UTC\"'), '') as since,
                coalesce((extract(epoch from a.backend_start) * 1000000)::bigint, 0) as started
           from pg_catalog.pg_locks l
           left join pg_catalog.pg_stat_activity a on a.pid = l.pid
          where l.locktype = 'advisory' and l.classid::bigint = $1 and l.objid::bigint = $2 and l.objsubid = 2
            and l.granted
            and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())",
    )
    .persistent(false)
    .bind(i64::from(KEYS.0))
    .bind(i64::from(KEYS.1))
    .fetch_optional(connection);
    let row = deadline
        .wait("the server", asked)
        .await?
        .map_err(|problem| classify(&problem, false, false))?;
    let Some(row) = row else {
        return Ok(Other {
            shown: "somebody who has just gone".to_owned(),
            since: String::new(),
            token: String::new(),
        });
    };
    let name: String = column(&row, "name")?;
    let shown = match name.strip_prefix("starr ") {
        Some(holder) if !holder.is_empty() => format!("run {holder}"),
        _ => format!(
            "a session of {} from {}",
            column::<String>(&row, "who")?,
            column::<String>(&row, "address")?
        ),
    };
    Ok(Other {
        shown,
        since: column(&row, "since")?,
        token: format!("{}/{}", column::<i32>(&row, "pid")?, column::<i64>(&row, "started")?),
    })
}

/// Ends exactly the session of the token, if it is still there.
async fn end(connection: &mut PgConnection, token: &str, deadline: Deadline) -> Result<(), Failure> {
    let Some((pid, started)) = token
        .split_once('/')
        .and_then(|(pid, started)| Some((pid.parse::<i32>().ok()?, started.parse::<i64>().ok()?)))
    else {
        // Nobody was named: there is nobody to end.
        return Ok(());
    };
    let ended = sqlx::query(
        "select pg_catalog.pg_terminate_backend(a.pid) from pg_catalog.pg_stat_activity a
          where a.pid = $1 and (extract(epoch from a.backend_start) * 1000000)::bigint = $2",
    )
    .persistent(false)
    .bind(pid)
    .bind(started)
    .execute(connection);
    deadline
        .wait("the server", ended)
        .await?
        .map_err(|problem| classify(&problem, false, false))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{NAME_BYTES, session_name};
    use crate::provider::lock::Holder;

    #[test]
    fn the_name_of_the_session_says_who_and_fits() {
        let holder = |who: &str| Holder {
            run: "260814-0912-kolu".to_owned(),
            who: who.to_owned(),
            host: "laptop7".to_owned(),
        };
        assert_eq!(session_name(&holder("maria")), "starr 260814-0912-kolu maria@laptop7");
        let long = session_name(&holder(&"ä".repeat(100)));
        assert!(long.len() <= NAME_BYTES, "{}", long.len());
        assert!(long.starts_with("starr 260814-0912-kolu ää"), "{long}");
    }
}
