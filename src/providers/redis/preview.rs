//! What a change would do: looked at with the login for checks, by the rules of the change itself. Nothing is sent that changes
//! anything, so nothing of it is a promise: it is what would happen now.

use super::config::Role;
use super::connection::{Closed, Link, open};
use super::failure::Failure;
use super::info::Info;
use super::keys::{self, Change, Now};
use super::{Redis, activity, settings};
use crate::provider::Call;
use crate::provider::native::Previewed;
use crate::providers::arguments::{Arguments, not_fitting};
use crate::value::Value;
use crate::value::show::{show, show_duration};
use std::collections::BTreeSet;
use tokio::time::Instant;

/// How it was asked, for the plan.
const HOW: &str = "looked at, nothing sent";

/// Names that stand in a line.
const NAMES: usize = 5;

/// `a, b and 3 more`
fn some(names: &[&str]) -> String {
    let shown = names.iter().take(NAMES).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

impl Redis {
    /// What the call would do now.
    pub(super) async fn preview_of(&self, call: &Call) -> Previewed {
        let until = Instant::now() + super::patience(call);
        let lines = match &*call.operation.path {
            "settings.set" => self.setting(call, until).await,
            "keys.expire" | "keys.restore_expiry" | "keys.delete" => self.looked_at(call, until).await,
            "clients.end" => self.connected(call, until).await,
            _ => return Previewed::NoPreview,
        };
        match lines {
            Ok(lines) => Previewed::Shown {
                how: HOW.to_owned(),
                lines,
            },
            Err(failure) => Previewed::Unknown(failure.unknown),
        }
    }

    async fn setting(&self, call: &Call, until: Instant) -> Result<Vec<String>, Failure> {
        let arguments = Arguments(call);
        let (server, name, to) = (
            arguments.text("server")?,
            arguments.text("name")?,
            arguments.text("to")?,
        );
        let from = arguments.maybe_text("from")?;
        if let Err(refusal) = settings::may_change(self.server(server)?, name, to) {
            return Ok(vec![format!("would be refused: {}", refusal.unknown.detail)]);
        }
        let mut link = self.link(server, Role::Read, until).await?;
        let (name, now) = settings::current(&mut link, name).await?;
        if let Some(from) = from
            && !settings::same(&name, &now, from)
        {
            return Ok(vec![format!("would be refused: `{name}` is `{now}` and not `{from}`")]);
        }
        if settings::same(&name, &now, to) {
            return Ok(vec![format!("`{name}` is `{now}` already: nothing would change")]);
        }
        let mut lines = vec![format!("`{name}` is `{now}` and would be `{to}`")];
        if name == "maxmemory"
            && let Some(limit) = settings::size(to).filter(|limit| *limit > 0)
        {
            lines.extend(less_than_used(&mut link, limit).await?);
        }
        Ok(lines)
    }

    async fn looked_at(&self, call: &Call, until: Instant) -> Result<Vec<String>, Failure> {
        let all = keys::seen(call.arg("keys"))?;
        let (change, what) = match &*call.operation.path {
            "keys.delete" => (Change::Delete, "would be deleted".to_owned()),
            "keys.restore_expiry" => (Change::Restore, "would expire when they were to".to_owned()),
            _ => {
                let after = match call.arg("after") {
                    Value::Duration(nanoseconds) => *nanoseconds,
                    _ => return Err(not_fitting("after").into()),
                };
                (
                    Change::Expire(after / 1_000_000),
                    format!("would expire in {}", show_duration(after)),
                )
            }
        };
        let servers: BTreeSet<&str> = all.iter().map(|key| key.server.as_str()).collect();
        let mut lines = Vec::new();
        for server in servers {
            let here: Vec<_> = all.iter().filter(|key| key.server == server).cloned().collect();
            let mut link = self.link(server, Role::Read, until).await?;
            let now = keys::now(&mut link, &here, change).await?;
            let of = |wanted: Now| -> Vec<&str> {
                here.iter()
                    .zip(&now)
                    .filter(|(_, now)| **now == wanted)
                    .map(|(key, _)| key.name())
                    .collect()
            };
            let same = of(Now::Same);
            lines.push(match same.len() {
                0 => format!("none of {} keys {what}", here.len()),
                count => format!("{count} of {} keys {what}: {}", here.len(), some(&same)),
            });
            for (state, words) in [
                (Now::Gone, "gone"),
                (Now::MovedOn, "something else by now, and left alone"),
            ] {
                let names = of(state);
                if !names.is_empty() {
                    lines.push(format!("{words}: {}", some(&names)));
                }
            }
        }
        Ok(lines)
    }

    async fn connected(&self, call: &Call, until: Instant) -> Result<Vec<String>, Failure> {
        let clients = activity::listed(call.arg("clients"))?;
        let servers: BTreeSet<&str> = clients.iter().map(|client| client.server.as_str()).collect();
        let mut lines = Vec::new();
        for name in servers {
            let server = self.server(name)?;
            let mut link = open(server, Role::Read, 0, until).await.map_err(Closed::failure)?;
            let there = activity::addresses(&mut link).await?;
            let here: Vec<_> = clients.iter().filter(|client| client.server == name).collect();
            let ended: Vec<&str> = here
                .iter()
                .filter(|client| there.contains(&client.who()))
                .map(|client| client.address())
                .collect();
            lines.push(match ended.len() {
                0 => format!("none of {} clients is there any more", here.len()),
                count => format!("{count} of {} clients would be ended: {}", here.len(), some(&ended)),
            });
        }
        Ok(lines)
    }
}

/// What follows when the limit is set below what is used.
async fn less_than_used(link: &mut Link, limit: i64) -> Result<Option<String>, Failure> {
    let memory = Info::ask(link, &["memory"]).await?;
    let (Some(used), Some(policy)) = (memory.number("used_memory"), memory.get("maxmemory_policy")) else {
        return Ok(Some("how much memory is used is not known".to_owned()));
    };
    Ok((used > limit).then(|| {
        let used = show(&Value::Bytes(used));
        match policy {
            "noeviction" => format!("{used} are used, which is more: writes would be refused"),
            policy => format!("{used} are used, which is more: keys would be thrown out ({policy})"),
        }
    }))
}
