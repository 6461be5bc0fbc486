//! What the server's access list must let a login do, for what runbooks need.

use super::Redis;
use super::config::{Role, Server};
use super::lock::KEY;
use super::settings;
use crate::provider::Effect;
use crate::provider::native::{Privilege, Reference, ReferenceKind, Resolved, Use};
use crate::value::{Reason, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::time::Instant;

/// How long a look at one reference may take.
const WITHIN: Duration = Duration::from_secs(10);

/// The commands of an operation, as the access list names them, without what every login needs.
pub fn commands(operation: &str) -> &'static [&'static str] {
    match operation {
        "ping" | "latency" => &["+ping"],
        "version" | "info" | "memory" | "statistics" | "window" | "clients" | "replication" | "persistence" => {
            &["+info"]
        }
        "clients.list" => &["+client|id", "+client|list"],
        "clients.end" => &["+client|kill"],
        "slow_log" => &["+slowlog|get"],
        "keys.count" => &["+dbsize"],
        "keys.scan" | "keys.largest" => &["+scan", "+type", "+pttl", "+time", "+memory|usage"],
        "keys.expiry" => &["+scan", "+pttl"],
        "keys.remaining" => &["+type"],
        "keys.expire" => &["+eval", "+type", "+pttl", "+time", "+pexpireat"],
        "keys.restore_expiry" => &["+eval", "+type", "+pttl", "+time", "+pexpireat", "+persist"],
        "keys.delete" => &["+eval", "+type", "+pttl", "+time", "+unlink"],
        "settings.get" => &["+config|get"],
        "settings.set" => &["+config|get", "+config|set"],
        "settings.keep" => &["+config|rewrite"],
        _ => &[],
    }
}

/// The commands of the lock and its fence.
const LOCKING: &[&str] = &["+eval", "+get", "+set", "+pexpire", "+del"];

/// The commands of a transaction that the lock fences; changes of keys are scripts and need none.
const FENCED: &[&str] = &["+watch", "+multi", "+exec"];

/// The pattern of the keys of a call; `None` when it touches none.
fn keys(used: &Use) -> Option<Option<String>> {
    let path = &*used.operation.path;
    if !path.starts_with("keys.") || path == "keys.count" {
        return None;
    }
    let pattern = used.arg("pattern").and_then(Value::as_str);
    Some(
        pattern
            .filter(|pattern| !pattern.contains(char::is_whitespace))
            .map(str::to_owned),
    )
}

type Needed = BTreeMap<(String, bool, String), (bool, BTreeSet<String>)>;

impl Redis {
    /// What a call names in the server.
    pub(super) fn named(&self, used: &Use) -> Vec<Reference> {
        let names_one = matches!(&*used.operation.path, "settings.get" | "settings.set");
        let named = |argument: &str| used.arg(argument).and_then(Value::as_str);
        match (named("server"), named("name").filter(|_| names_one)) {
            (Some(on), Some(name)) => vec![Reference {
                kind: ReferenceKind::Setting,
                name: name.to_owned(),
                on: on.to_owned(),
                readable: true,
            }],
            _ => Vec::new(),
        }
    }

    /// Looks a setting up, as the login for checks. Its value is not kept.
    pub(super) async fn look_up(&self, reference: &Reference) -> Resolved {
        let found = async {
            let mut link = self.link(&reference.on, Role::Read, Instant::now() + WITHIN).await?;
            settings::current(&mut link, &reference.name).await
        };
        match found.await {
            Ok(_) => Resolved::There,
            Err(failure) if failure.unknown.reason == Reason::Missing => Resolved::Missing(failure.unknown.detail),
            Err(failure) => Resolved::Unknown(failure.unknown.to_string()),
        }
    }

    /// The least a login needs for these operations: one rule of the access list each.
    pub(super) fn least(&self, uses: &[Use]) -> Vec<Privilege> {
        let ours: Vec<&Use> = uses
            .iter()
            .filter(|used| &*used.operation.provider == "redis")
            .collect();
        let named = |used: &Use| used.arg("server").and_then(Value::as_str).map(str::to_owned);
        let all: BTreeSet<String> = ours.iter().filter_map(|used| named(used)).collect();
        let mut needed = Needed::new();
        for used in ours {
            // A call whose server is only known in the run is made to one of those that are named.
            let targets = named(used).map_or_else(|| all.clone(), |name| BTreeSet::from([name]));
            for target in targets {
                self.needs(&target, used, &mut needed);
            }
        }
        needed
            .into_iter()
            .map(|((target, change, statement), (complete, because))| Privilege {
                target,
                login: if change { "change" } else { "read" }.to_owned(),
                statement,
                complete,
                because: because.into_iter().collect(),
            })
            .collect()
    }

    fn needs(&self, target: &str, used: &Use, needed: &mut Needed) {
        let server = self.servers.get(target);
        let change = matches!(used.operation.effect, Effect::Change | Effect::Tell);
        let role = if change { Role::Change } else { Role::Read };
        let user = server
            .and_then(|server| server.login(role))
            // A login that names no user is the server's own, `default`, which mostly may do everything: one of its own is proposed.
            .and_then(|login| login.user.clone())
            .unwrap_or_else(|| format!("starr-{}", role.word()));
        let operation = used.operation.full_name();
        let mut rule = |rule: &str, complete: bool| {
            needed
                .entry((target.to_owned(), change, format!("ACL SETUSER {user} {rule}")))
                .or_insert((complete, BTreeSet::new()))
                .1
                .insert(operation.clone());
        };
        for command in commands(&used.operation.path) {
            rule(command, true);
        }
        if server.is_some_and(|server| server.database != 0) {
            rule("+select", true);
        }
        match keys(used) {
            Some(Some(pattern)) => rule(&format!("{}~{pattern}", if change { "" } else { "%R" }), true),
            Some(None) => rule(if change { "~PATTERN" } else { "%R~PATTERN" }, false),
            None => {}
        }
        if change && server.is_none_or(|server: &std::sync::Arc<Server>| server.lock) {
            let fenced = if used.operation.path.starts_with("keys.") {
                &[]
            } else {
                FENCED
            };
            for command in LOCKING.iter().chain(fenced) {
                rule(command, true);
            }
            rule(&format!("~{KEY}"), true);
        }
    }
}
