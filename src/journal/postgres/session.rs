//! Connections: everything explicit, and a look at what the server promises before anything is recorded.

use super::error::failure;
use super::{Login, Role, Server, Tls};
use crate::journal::{Error, words};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, Row as _};
use std::time::Duration;

/// Longest time to connect.
const CONNECT: Duration = Duration::from_secs(10);

/// Longest time for one message. The server gives up before (`statement_timeout`).
pub const PATIENCE: Duration = Duration::from_secs(45);

/// Waits for the server, not for ever.
pub async fn patiently<T>(
    place: &str,
    tried: &str,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done.map_err(|error| failure(place, tried, &error)),
        Err(_) => Err(words::message(
            place,
            tried,
            &format!("the server did not answer within {} s", PATIENCE.as_secs()),
            "Whether the last entry was recorded is not known; look at `starr runs` when the server answers again.",
        )),
    }
}

/// A connection whose unqualified names are those of the journal's schema.
pub async fn connect(server: &Server, login: &Login) -> Result<PgConnection, Error> {
    let place = server.place();
    let tried = "open it";
    let valid = |name: &str| {
        !name.is_empty()
            && name.len() < 60
            && !name.starts_with("pg_")
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            && !name.starts_with(|first: char| first.is_ascii_digit())
    };
    if !valid(&server.schema) {
        return Err(words::message(
            &place,
            tried,
            "the schema's name is not made of lower-case letters, digits and `_`",
            "Choose another name for the journal's `schema` in the configuration.",
        ));
    }
    let options = options(server, login)?;
    let connected = tokio::time::timeout(CONNECT, options.connect()).await;
    let mut connection = match connected {
        Ok(done) => done.map_err(|error| failure(&place, tried, &error))?,
        Err(_) => {
            return Err(words::message(
                &place,
                tried,
                &format!("the server did not answer within {} s", CONNECT.as_secs()),
                "Check host and port of the journal in the configuration.",
            ));
        }
    };
    let settings = format!(
        "set search_path = \"{}\";
         set lock_timeout = '10s';
         set statement_timeout = '40s';
         set idle_in_transaction_session_timeout = '60s';
         -- The statements are small. Without statistics of the tables the server starts workers and compiles for each of them.
         set max_parallel_workers_per_gather = 0;
         set jit = off;",
        server.schema
    );
    patiently(&place, tried, connection.execute(AssertSqlSafe(settings))).await?;
    Ok(connection)
}

fn options(server: &Server, login: &Login) -> Result<PgConnectOptions, Error> {
    let refuse = |wrong: &str, advice: &str| words::message(&server.place(), "open it", wrong, advice);
    // The client library would fill gaps from the user's environment.
    let mut inherited = vec!["PGOPTIONS", "PGSSLCERT", "PGSSLKEY"];
    if server.root_certificate.is_none() {
        inherited.push("PGSSLROOTCERT");
    }
    if let Some(variable) = inherited.iter().find(|name| std::env::var_os(name).is_some()) {
        return Err(refuse(
            &format!("the variable {variable} is set"),
            "The journal is described in the configuration only: unset it.",
        ));
    }
    let mut options = PgConnectOptions::new_without_pgpass()
        .port(server.port)
        .username(&login.user)
        .password(login.password.as_ref().map_or("", |password| password.expose()))
        .database(&server.database)
        .application_name("starr journal")
        .extra_float_digits(None)
        .ssl_mode(match server.tls {
            Tls::Disable => PgSslMode::Disable,
            Tls::Require => PgSslMode::Require,
            Tls::VerifyCa => PgSslMode::VerifyCa,
            Tls::VerifyFull => PgSslMode::VerifyFull,
        });
    options = match (&server.socket, &server.host) {
        (Some(socket), _) => options.host("localhost").socket(socket),
        (None, Some(host)) => options.host(host.trim_matches(['[', ']'])),
        (None, None) => return Err(refuse("neither host nor socket is given", "Name one of them.")),
    };
    if let Some(path) = &server.root_certificate {
        options = options.ssl_root_cert(path);
    }
    Ok(options.disable_statement_logging())
}

/// Refuses a server that acknowledges what is not on its disk.
pub async fn must_sync(server: &Server, connection: &mut PgConnection) -> Result<(), Error> {
    if server.allow_unsynced {
        return Ok(());
    }
    let place = server.place();
    let row = patiently(
        &place,
        "open it",
        sqlx::query(
            "select current_setting('fsync'), current_setting('synchronous_commit'), current_setting('full_page_writes')",
        )
        .fetch_one(&mut *connection),
    )
    .await?;
    let names = ["fsync", "synchronous_commit", "full_page_writes"];
    let mut off = Vec::new();
    for (column, name) in names.iter().enumerate() {
        let value: String = row
            .try_get(column)
            .map_err(|error| failure(&place, "open it", &error))?;
        if value == "off" {
            off.push(format!("`{name} = off`"));
        }
    }
    if off.is_empty() {
        return Ok(());
    }
    Err(words::message(
        &place,
        "open it",
        &format!(
            "the server is set to {}: it acknowledges what a crash can still take away",
            off.join(", ")
        ),
        "Set it to `on` for this database and role, or accept it with `allow_unsynced: true` in the configuration.",
    ))
}

/// Refuses a role that could change or take away what was recorded.
pub async fn must_not_change(
    server: &Server,
    role: Role,
    login: &Login,
    connection: &mut PgConnection,
) -> Result<(), Error> {
    let place = server.place();
    let found: Vec<String> = patiently(
        &place,
        "open it",
        sqlx::query_scalar(
            "select lower(right_) || ' on ' || table_
               from unnest(array['UPDATE', 'DELETE', 'TRUNCATE']) right_,
                    unnest(array['entries', 'payloads']) table_
              where has_table_privilege(current_user, table_::regclass, right_)
             union all
             select 'execute on erase_payloads'
              where not $1 and has_function_privilege(current_user, 'erase_payloads(bigint)', 'EXECUTE')
             union all
             select 'superuser' from pg_catalog.pg_roles where rolname = current_user and rolsuper",
        )
        .bind(role == Role::Eraser)
        .fetch_all(&mut *connection),
    )
    .await?;
    if found.is_empty() {
        return Ok(());
    }
    let found = if found.iter().any(|right| right == "superuser") {
        "superuser".to_owned()
    } else {
        found.join(", ")
    };
    Err(words::message(
        &place,
        "open it",
        &format!("the role `{}` may change what was recorded ({found})", login.user),
        "Give the journal a role of its own that is no superuser, and the role that makes the tables as `owner`.",
    ))
}
