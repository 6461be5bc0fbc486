//! What `starr doctor` says about a server: does it let each login in, and which version is it.

use super::config::{Role, Server};
use super::connection::{Closed, open};
use super::info::Info;
use crate::provider::{Health, HealthState};
use std::time::Duration;
use tokio::time::Instant;

/// How long each login may take to be looked at.
const WITHIN: Duration = Duration::from_secs(10);

/// One line for the login of checks, one for that of changes.
pub async fn look(name: &str, server: &Server) -> Vec<Health> {
    let mut lines = vec![line(name, server, Role::Read).await];
    if server.change.is_some() {
        lines.push(line(name, server, Role::Change).await);
    }
    lines
}

async fn line(name: &str, server: &Server, role: Role) -> Health {
    let what = if role == Role::Read { "checks" } else { "changes" };
    let subject = format!("redis {name}, {what}");
    let (state, detail) = match open(server, role, server.database, Instant::now() + WITHIN).await {
        Err(closed) => (HealthState::Bad, format!("{}: {}", server.place(), words(closed))),
        Ok(mut link) => {
            let user = server
                .login(role)
                .and_then(|login| login.user.as_deref())
                .unwrap_or("default");
            let mut limits = Vec::new();
            let version = match Info::ask(&mut link, &["server"]).await {
                Ok(info) => info
                    .fields()
                    .find(|(field, _)| *field == "redis_version")
                    .map_or_else(|| "Redis".to_owned(), |(_, version)| format!("Redis {version}")),
                Err(failure) => {
                    if role == Role::Read {
                        limits.push(format!("it may not read INFO: {}", failure.unknown));
                    }
                    "Redis".to_owned()
                }
            };
            if user == "default" {
                limits.push(
                    "it is the user `default`, which may mostly do everything; give it one of its own".to_owned(),
                );
            }
            if !server.tls() && !server.is_local() {
                limits.push("the connection is not encrypted (`tls: false`)".to_owned());
            }
            let found = format!("{version} as `{user}`");
            if limits.is_empty() {
                (HealthState::Good, found)
            } else {
                (HealthState::Limited, format!("{found}; {}", limits.join("; ")))
            }
        }
    };
    Health { subject, state, detail }
}

fn words(closed: Closed) -> String {
    closed.failure().unknown.to_string()
}
