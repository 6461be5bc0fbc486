//! What `starr doctor` says about a database: reachable, and with which rights.

use super::config::{Database, Tls};
use super::connection::{Deadline, Pool, Rights};
use super::failure::Failure;
use super::guard::Reading;
use crate::provider::{Health, HealthState};
use sqlx::postgres::PgArguments;
use std::time::Duration;

/// How long each login may take to be looked at.
const WITHIN: Duration = Duration::from_secs(10);

/// One line for the login of checks, one for that of changes.
pub async fn look(name: &str, database: &Database, read: &Pool, change: &Pool) -> Vec<Health> {
    let mut lines = vec![line(format!("postgres {name}, checks"), reading(database, read).await)];
    if database.change.is_some() {
        lines.push(line(format!("postgres {name}, changes"), changing(change).await));
    }
    lines
}

fn line(subject: String, found: Result<(HealthState, String), Failure>) -> Health {
    let (state, detail) = found.unwrap_or_else(|failure| (HealthState::Bad, failure.unknown.to_string()));
    Health { subject, state, detail }
}

fn version(rights: &Rights) -> String {
    format!("PostgreSQL {} as `{}`", rights.version / 10_000, rights.user)
}

async fn reading(database: &Database, pool: &Pool) -> Result<(HealthState, String), Failure> {
    let mut reading = Reading::begin(pool, Deadline::new(WITHIN)).await?;
    let rights = reading.lease().rights().clone();
    let writable = reading
        .rows(
            "select count(*) as writable from pg_catalog.pg_class c
              where c.relkind in ('r', 'p') and c.relnamespace not in
                    (select n.oid from pg_catalog.pg_namespace n where n.nspname in ('pg_catalog', 'information_schema') or n.nspname ~ '^pg_(toast|temp)')
                and pg_catalog.has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')",
            PgArguments::default(),
        )
        .await?
        .first()
        .map_or(Ok(0), |line| line.int("writable"))?;
    reading.end().await;
    let mut limits = Vec::new();
    if !rights.too_much.is_empty() {
        limits.push(format!(
            "this login may do too much ({}), accepted by `allow_superuser`",
            rights.too_much.join(", ")
        ));
    }
    if writable > 0 {
        limits.push(format!(
            "this login may write to {writable} tables; give checks a role that cannot write"
        ));
    }
    if !rights.sees_all {
        limits.push(format!(
            "it does not see other roles' sessions: GRANT pg_read_all_stats TO {}",
            rights.user
        ));
    }
    if database.tls() == Tls::Require {
        limits.push("the server's identity is not verified (`tls: require`)".to_owned());
    }
    if database.tls() == Tls::Disable && !database.is_local() {
        limits.push("the connection is not encrypted (`tls: disable`)".to_owned());
    }
    Ok(summary(version(&rights), limits))
}

async fn changing(pool: &Pool) -> Result<(HealthState, String), Failure> {
    let deadline = Deadline::new(WITHIN);
    let lease = pool.lease(deadline, || "SELECT 1".to_owned()).await?;
    let rights = lease.rights().clone();
    lease.give_back(deadline).await;
    let mut limits = Vec::new();
    if !rights.too_much.is_empty() {
        limits.push(format!(
            "this login may do too much ({}), accepted by `allow_superuser`",
            rights.too_much.join(", ")
        ));
    }
    if !rights.sees_all {
        limits.push(format!(
            "it cannot end sessions: GRANT pg_signal_backend, pg_read_all_stats TO {}",
            rights.user
        ));
    }
    Ok(summary(version(&rights), limits))
}

fn summary(found: String, limits: Vec<String>) -> (HealthState, String) {
    if limits.is_empty() {
        (HealthState::Good, found)
    } else {
        (HealthState::Limited, format!("{found}; {}", limits.join("; ")))
    }
}
