//! Connections of one login of one database: opened at the first call, a few at most, looked over before use and reset behind it.

use super::config::{Database, Login, Role, Tls};
use super::failure::{Failure, classify};
use crate::providers::names;
use crate::secrets::SecretText;
use crate::value::Reason;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Row};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// When a call must be over.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

/// Kept free at the end of every call, so that the provider can say what happened before the gate cuts it off.
const MARGIN: Duration = Duration::from_millis(150);

impl Deadline {
    /// A little before `within` from now is over.
    pub fn new(within: Duration) -> Self {
        let margin = MARGIN.min(within / 10);
        Self(Instant::now() + within.saturating_sub(margin))
    }

    /// What is left; zero when it has passed.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    /// The sooner of this and `within` from now.
    pub fn sooner(self, within: Duration) -> Self {
        Self(self.0.min(Instant::now() + within))
    }

    /// What the server is told as its own limit, in milliseconds: a little less than what is left, so that its answer arrives.
    pub fn server_millis(self) -> u64 {
        let left = self.left();
        let reply = (left / 10).min(Duration::from_millis(250));
        u64::try_from(left.saturating_sub(reply).as_millis()).map_or(u64::MAX, |millis| millis.max(1))
    }

    /// Waits for `work`, at most until the deadline.
    pub async fn wait<T>(self, what: &str, work: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::time::timeout(self.left(), work)
            .await
            .map_err(|_| Failure::definite(Reason::Timeout, format!("{what} took too long")))
    }
}

/// What a login may do, as far as it matters here. Read once per connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// This connection's process on the server, and when it began, in microseconds since 1970.
    pub identity: (i32, i64),
    pub user: String,
    pub superuser: bool,
    /// Attributes and memberships with which a check could do more than read.
    pub too_much: Vec<String>,
    /// Whether it sees what other roles' sessions do.
    pub sees_all: bool,
    /// `150004` for 15.4.
    pub version: i32,
}

/// A connection with what is known of it.
pub struct Link {
    pub connection: PgConnection,
    pub rights: Rights,
}

/// The connections of one login.
pub struct Pool {
    name: Arc<str>,
    database: Arc<Database>,
    role: Role,
    permits: Arc<Semaphore>,
    links: Arc<Mutex<Links>>,
    own: Own,
}

/// The connections of a pool.
#[derive(Default)]
struct Links {
    idle: Vec<Link>,
    /// In use, or being opened.
    busy: usize,
    /// Calls that wait for one that is in use, the longest first. One that is dropped here looks again.
    waiting: VecDeque<oneshot::Sender<(Link, Busy)>>,
}

/// What makes a session as it was when it began, behind the transaction of a call: what `DISCARD ALL` does, in the words that may stand in one message with
/// others. Nothing before it is left when what follows begins.
const RESET: &str = "ROLLBACK; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DEALLOCATE ALL; CLOSE ALL; UNLISTEN *; \
                     SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD PLANS; DISCARD TEMP; DISCARD SEQUENCES";

/// How long a call waits for a connection that is in use before it opens another: most calls are over sooner than a connection is open.
const GIVEN_BACK: Duration = Duration::from_millis(10);

/// Our own processes on the server, of both logins: number and beginning in microseconds, the last ones opened.
pub type Own = Arc<Mutex<VecDeque<(i32, i64)>>>;

/// How many own processes are remembered. One that was closed may still be seen for a moment, so they are not forgotten at once.
const OWN: usize = 256;

/// A connection in use. Dropped without [`Lease::give_back`] it is closed: nobody uses a connection in an unknown state.
pub struct Lease<'a> {
    link: Link,
    busy: Busy,
    pool: &'a Pool,
    permit: OwnedSemaphorePermit,
}

/// A connection of the pool is in use, or being opened, until this is dropped.
struct Busy(Arc<Mutex<Links>>);

impl Drop for Busy {
    fn drop(&mut self) {
        let mut links = locked(&self.0);
        links.busy -= 1;
        // Somebody who waits looks again: there may be an idle one, or room for another.
        while let Some(waiting) = links.waiting.pop_front() {
            if !waiting.is_closed() {
                break;
            }
        }
    }
}

/// What there is for a call.
enum Taken {
    /// A connection that is as when it began.
    Fresh(Link, Busy),
    /// One that another call used until now; it is reset with the first message of this one.
    Used(Link, Busy),
    /// Another is to be opened.
    Room(Busy),
}

impl Pool {
    /// A pool without connections.
    pub fn new(name: Arc<str>, database: Arc<Database>, role: Role, own: Own) -> Self {
        let permits = Arc::new(Semaphore::new(usize::from(database.connections)));
        Self {
            name,
            database,
            role,
            permits,
            links: Arc::default(),
            own,
        }
    }

    /// A connection that may be used for this role, on which the statements of `first` were run: so it answers, too.
    pub async fn lease(&self, deadline: Deadline, first: impl Fn() -> String) -> Result<Lease<'_>, Failure> {
        let permit = deadline
            .wait(
                &format!("waiting for one of the {} own connections", self.database.connections),
                Arc::clone(&self.permits).acquire_owned(),
            )
            .await?
            .map_err(|_| Failure::definite(Reason::Internal, "the own connections are closed"))?;
        let set_up = async |link: &mut Link, used: bool| {
            let first = first();
            let first = if used { format!("{RESET}; {first}") } else { first };
            let first = sqlx::raw_sql(AssertSqlSafe(first));
            deadline.wait("the server", first.execute(&mut link.connection)).await
        };
        let mut until = Some(Instant::now() + GIVEN_BACK);
        loop {
            let (mut link, busy, used) = match self.taken(&mut until, deadline).await {
                Taken::Fresh(link, busy) => (link, busy, false),
                Taken::Used(link, busy) => (link, busy, true),
                Taken::Room(busy) => {
                    let mut link = self.open(deadline).await?;
                    set_up(&mut link, false)
                        .await?
                        .map_err(|problem| classify(&problem, false, false))?;
                    return Ok(self.lent(link, busy, permit));
                }
            };
            // It may have been closed by the server since its last use. One that does not answer is dropped.
            if set_up(&mut link, used).await?.is_ok() {
                return Ok(self.lent(link, busy, permit));
            }
        }
    }

    fn lent(&self, link: Link, busy: Busy, permit: OwnedSemaphorePermit) -> Lease<'_> {
        Lease {
            link,
            busy,
            pool: self,
            permit,
        }
    }

    /// A connection that is idle, or one that is given back until `until`, which is waited for once; otherwise, and where none is open, the word that another
    /// is to be opened.
    async fn taken(&self, until: &mut Option<Instant>, deadline: Deadline) -> Taken {
        loop {
            let (waiting, given) = oneshot::channel();
            {
                let mut links = locked(&self.links);
                let idle = links.idle.pop();
                if idle.is_some() || links.busy == 0 || until.is_none() {
                    links.busy += 1;
                    let busy = Busy(Arc::clone(&self.links));
                    return match idle {
                        Some(link) => Taken::Fresh(link, busy),
                        None => Taken::Room(busy),
                    };
                }
                links.waiting.push_back(waiting);
            }
            let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
            match tokio::time::timeout(left.min(deadline.left()), given).await {
                Ok(Ok((link, busy))) => return Taken::Used(link, busy),
                Ok(Err(_dropped)) => {}
                Err(_elapsed) => *until = None,
            }
        }
    }

    /// Opens a connection and looks over what its login may do.
    async fn open(&self, deadline: Deadline) -> Result<Link, Failure> {
        let mut connection = connect(&self.database, self.role, deadline)
            .await?
            .map_err(|problem| classify(&problem, false, false))?;
        let mut rights = deadline
            .wait("the server", rights(&mut connection))
            .await?
            .map_err(|problem| classify(&problem, false, false))?;
        if self.role == Role::Change {
            rights.too_much.retain(|right| !FOR_CHANGES.contains(&right.as_str()));
        }
        if !rights.too_much.is_empty() && !self.database.allow_superuser {
            let name = &self.name;
            return Err(Failure::definite(
                Reason::Denied,
                format!(
                    "the {} login `{}` of `{name}` may do too much ({}); give it a role of its own, or accept it with `allow_superuser: true` in the configuration of `{name}`",
                    self.role.word(),
                    rights.user,
                    rights.too_much.join(", "),
                ),
            ));
        }
        remember(&self.own, rights.identity);
        Ok(Link { connection, rights })
    }
}

impl Lease<'_> {
    /// Hands the session to a call that waits for it, which resets it with its own first message; otherwise resets it and keeps it for the next
    /// call. One that cannot be reset is closed.
    pub async fn give_back(self, deadline: Deadline) {
        // Until the session is reset nobody else may take the place of this call.
        let _permit = self.permit;
        let mut given = (self.link, self.busy);
        loop {
            let waiting = locked(&self.pool.links).waiting.pop_front();
            let Some(waiting) = waiting else { break };
            match waiting.send(given) {
                Ok(()) => return,
                // It does not wait any more.
                Err(back) => given = back,
            }
        }
        let (mut link, _busy) = given;
        let reset = sqlx::raw_sql(RESET).execute(&mut link.connection);
        if let Ok(Ok(_)) = deadline.wait("the reset", reset).await {
            locked(&self.pool.links).idle.push(link);
        }
    }

    /// The connection itself.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.link.connection
    }

    /// What its login may do.
    pub fn rights(&self) -> &Rights {
        &self.link.rights
    }

    /// Our own processes on the server: their numbers, and when they began.
    pub fn own(&self) -> (Vec<i32>, Vec<i64>) {
        locked(&self.pool.own).iter().copied().unzip()
    }

    /// Denied unless this login sees what other roles' sessions do: a list with holes would look like a short list.
    pub fn needs_sight(&self) -> Result<(), Failure> {
        if self.link.rights.sees_all {
            return Ok(());
        }
        Err(Failure::definite(
            Reason::Denied,
            format!(
                "the role `{}` does not see other roles' sessions; GRANT pg_read_all_stats TO it",
                self.link.rights.user
            ),
        ))
    }
}

/// Keeps an own process in mind, so that it is never taken for somebody else's.
pub fn remember(own: &Own, identity: (i32, i64)) {
    let mut own = locked(own);
    if own.len() >= OWN {
        own.pop_front();
    }
    own.push_back(identity);
}

/// A mutex of plain data is usable after a panic elsewhere: nothing is ever left half done in it.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens a connection of its own. The outer error is ours (configuration, name, deadline); the inner one is the server's or the network's.
pub async fn connect(
    database: &Database,
    role: Role,
    deadline: Deadline,
) -> Result<Result<PgConnection, sqlx::Error>, Failure> {
    let login = database.login(role).ok_or_else(|| {
        Failure::definite(
            Reason::Unavailable,
            format!("no login for `{}` is configured for this database", role.word()),
        )
    })?;
    let options = options(database, login)?;
    let deadline = deadline.sooner(database.connect_within());
    if let Some(host) = &database.host {
        resolve(host, deadline).await?;
    }
    deadline.wait("connecting", options.connect()).await
}

/// The name has an address. An own step, because only then can "no such name" be told from "cannot be asked".
async fn resolve(host: &str, deadline: Deadline) -> Result<(), Failure> {
    match names::resolve(host.trim_matches(['[', ']']), deadline.left()).await {
        Ok(_) => Ok(()),
        Err(names::Failure::NoSuchName) => Err(Failure::definite(Reason::Missing, NO_SUCH_NAME)),
        Err(names::Failure::NoAnswer | names::Failure::Refused) => Err(Failure::definite(
            Reason::Unreachable,
            "the host's name cannot be looked up at the moment",
        )),
        Err(names::Failure::Unknown(unknown)) => Err(Failure {
            unknown,
            definite: true,
        }),
    }
}

/// The detail of a failure that means that the host's name does not exist.
pub const NO_SUCH_NAME: &str = "the host's name does not exist";

/// Everything explicit: the client library would fill gaps from the user's environment.
fn options(database: &Database, login: &Login) -> Result<PgConnectOptions, Failure> {
    let tls = database.tls();
    let mut inherited = vec!["PGOPTIONS"];
    if tls != Tls::Disable {
        if database.root_certificate.is_none() {
            inherited.push("PGSSLROOTCERT");
        }
        if login.client_certificate.is_none() {
            inherited.extend(["PGSSLCERT", "PGSSLKEY"]);
        }
    }
    if let Some(variable) = inherited.iter().find(|name| std::env::var_os(name).is_some()) {
        return Err(Failure::definite(
            Reason::Unavailable,
            format!("the variable {variable} is set; a database is described in the configuration only: unset it"),
        ));
    }
    let password = match &login.password {
        Some(source) => source
            .read()
            .map_err(|problem| Failure::definite(Reason::Unavailable, problem))?,
        None => SecretText::new(String::new()),
    };
    let mut options = PgConnectOptions::new_without_pgpass()
        .port(database.port)
        .username(&login.user)
        .password(password.expose())
        .database(&database.database)
        .application_name("starr")
        .statement_cache_capacity(0)
        .extra_float_digits(None)
        .ssl_mode(match tls {
            Tls::Disable => PgSslMode::Disable,
            Tls::Require => PgSslMode::Require,
            Tls::VerifyCa => PgSslMode::VerifyCa,
            Tls::VerifyFull => PgSslMode::VerifyFull,
        });
    options = match (&database.socket, &database.host) {
        (Some(socket), _) => options.host("localhost").socket(socket),
        (None, Some(host)) => options.host(host.trim_matches(['[', ']'])),
        (None, None) => {
            return Err(Failure::definite(
                Reason::Unavailable,
                "neither host nor socket is configured",
            ));
        }
    };
    if let Some(path) = &database.root_certificate {
        options = options.ssl_root_cert(path);
    }
    if let (Some(certificate), Some(key)) = (&login.client_certificate, &login.client_key) {
        options = options.ssl_client_cert(certificate).ssl_client_key(key);
    }
    Ok(options.disable_statement_logging())
}

/// Memberships with which a read could write, run programs, read files or act on others.
const MIGHTY: [&str; 8] = [
    "pg_checkpoint",
    "pg_create_subscription",
    "pg_execute_server_program",
    "pg_maintain",
    "pg_read_server_files",
    "pg_signal_backend",
    "pg_write_all_data",
    "pg_write_server_files",
];

/// What this login is, with its attributes and one answer for each of [`MIGHTY`]. A role that this version of the server does not have is
/// `null`, of which nobody is a member. A connection that has read no catalog yet takes longest for views: this needs one.
fn rights_sql() -> String {
    let member = MIGHTY.map(|role| {
        format!(
            "coalesce(pg_catalog.pg_has_role(session_user, pg_catalog.to_regrole('{role}')::oid, 'MEMBER')
                   or pg_catalog.pg_has_role(current_user, pg_catalog.to_regrole('{role}')::oid, 'MEMBER'), false)"
        )
    });
    format!(
        "
select pg_catalog.pg_backend_pid() as pid,
       coalesce((select (extract(epoch from a.backend_start) * 1000000)::bigint
                   from pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) a), 0) as started,
       current_user::text as user_name,
       bool_or(r.rolsuper) as superuser,
       bool_or(r.rolcreaterole) as createrole,
       bool_or(r.rolreplication) as replication,
       bool_or(r.rolbypassrls) as bypassrls,
       array[{}] as member_of,
       pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') as sees_all,
       current_setting('server_version_num')::int as version
  from pg_catalog.pg_roles r
 where r.rolname in (session_user, current_user)",
        member.join(", ")
    )
}

/// What a login for changes may have: changes are made with it.
const FOR_CHANGES: &[&str] = &[
    "createrole",
    "pg_signal_backend",
    "pg_maintain",
    "pg_checkpoint",
    "pg_write_all_data",
];

async fn rights(connection: &mut PgConnection) -> Result<Rights, sqlx::Error> {
    let row = sqlx::query(AssertSqlSafe(rights_sql()))
        .persistent(false)
        .fetch_one(connection)
        .await?;
    let superuser = row.try_get::<Option<bool>, _>("superuser")?.unwrap_or(false);
    let mut too_much = Vec::new();
    if superuser {
        // A superuser is a member of everything; one word says it.
        too_much.push("superuser".to_owned());
    } else {
        for attribute in ["createrole", "replication", "bypassrls"] {
            if row.try_get::<Option<bool>, _>(attribute)?.unwrap_or(false) {
                too_much.push(attribute.to_owned());
            }
        }
        let member = row.try_get::<Vec<bool>, _>("member_of")?;
        let member = MIGHTY.iter().zip(member).filter(|(_, yes)| *yes);
        too_much.extend(member.map(|(role, _)| (*role).to_owned()));
    }
    Ok(Rights {
        identity: (row.try_get("pid")?, row.try_get("started")?),
        user: row.try_get("user_name")?,
        superuser,
        too_much,
        sees_all: row.try_get("sees_all")?,
        version: row.try_get("version")?,
    })
}
