//! `INFO`: lines of `name:value` in sections, and what they mean. A field that the server does not have is unknown, never zero.

use super::connection::Link;
use super::failure::Failure;
use crate::value::{Reason, Value};
use ::redis::{Value as Reply, cmd};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// The fields of one answer.
pub struct Info(BTreeMap<String, String>);

/// The text of a reply.
pub fn text(reply: &Reply) -> Option<String> {
    match reply {
        Reply::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Reply::SimpleString(text) | Reply::VerbatimString { text, .. } => Some(text.clone()),
        Reply::Int(number) => Some(number.to_string()),
        Reply::Okay => Some("OK".to_owned()),
        _ => None,
    }
}

/// The failure of a reply that is of another kind.
pub fn odd(what: &str) -> Failure {
    Failure::definite(
        Reason::Unparsable,
        format!("the server's answer to {what} is of another kind"),
    )
}

impl Info {
    /// Asks for the sections. A login that may not see one sees none.
    pub async fn ask(link: &mut Link, sections: &[&str]) -> Result<Self, Failure> {
        let mut fields = BTreeMap::new();
        for section in sections {
            let reply = link.ask(cmd("INFO").arg(*section)).await?;
            fields.extend(parse(&text(&reply).ok_or_else(|| odd("INFO"))?));
        }
        Ok(Self(fields))
    }

    /// Every field.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A field as text.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A field as a number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.get(name)?.parse().ok()
    }

    fn made(&self, name: &str, make: impl Fn(&str) -> Option<Value>) -> Value {
        match self.get(name).map(|text| (text, make(text))) {
            Some((_, Some(value))) => value,
            Some(_) => Value::unknown(Reason::Unparsable, format!("`{name}` cannot be read")),
            None => Value::unknown(Reason::Missing, format!("this server does not say `{name}`")),
        }
    }

    fn int(&self, name: &str) -> Value {
        self.made(name, |text| text.parse().ok().map(Value::Int))
    }

    fn bytes(&self, name: &str) -> Value {
        self.made(name, |text| {
            text.parse().ok().filter(|bytes| *bytes >= 0).map(Value::Bytes)
        })
    }

    fn seconds(&self, name: &str) -> Value {
        self.made(name, |text| {
            text.parse::<i64>()
                .ok()?
                .checked_mul(1_000_000_000)
                .map(Value::Duration)
        })
    }

    fn word(&self, name: &str) -> Value {
        self.made(name, |text| Some(Value::text(text)))
    }

    fn flag(&self, name: &str) -> Value {
        self.made(name, |text| match text {
            "1" | "ok" | "up" => Some(Value::Bool(true)),
            "0" | "err" | "down" => Some(Value::Bool(false)),
            _ => None,
        })
    }

    /// A share. Nothing of nothing is not a share.
    fn share(&self, part: &str, whole: &[&str], words: &str) -> Value {
        let whole: Option<Vec<i64>> = whole.iter().map(|name| self.number(name)).collect();
        match (self.number(part), whole) {
            (Some(part), Some(whole)) => share(part, whole.iter().sum(), words),
            _ => Value::unknown(Reason::Missing, format!("this server does not say `{part}`")),
        }
    }

    fn role(&self) -> Value {
        self.made("role", |text| match text {
            "master" => Some(Value::variant("primary")),
            "slave" => Some(Value::variant("replica")),
            "sentinel" => Some(Value::variant("sentinel")),
            _ => None,
        })
    }
}

/// A part of a whole; unknown when there is no whole.
pub fn share(part: i64, whole: i64, words: &str) -> Value {
    if whole <= 0 {
        return Value::unknown(Reason::Arithmetic, words);
    }
    // Far inside the range in which a float is exact enough for a share.
    Value::ratio(part as f64 / whole as f64)
}

const NO_LOOKUPS: &str = "no key was looked up";

fn parse(text: &str) -> impl Iterator<Item = (String, String)> + '_ {
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.trim_end_matches('\r').split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
}

/// `version`
pub fn version(info: &Info) -> Value {
    Value::record(
        "Version",
        vec![
            ("version", info.word("redis_version")),
            ("mode", info.word("redis_mode")),
            ("role", info.role()),
            ("uptime", info.seconds("uptime_in_seconds")),
        ],
    )
}

/// `memory`
pub fn memory(info: &Info) -> Value {
    let limit = info.number("maxmemory");
    Value::record(
        "Memory",
        vec![
            ("used", info.bytes("used_memory")),
            ("peak", info.bytes("used_memory_peak")),
            ("resident", info.bytes("used_memory_rss")),
            (
                "fragmentation",
                info.share("used_memory_rss", &["used_memory"], "nothing is used"),
            ),
            (
                "limit",
                match limit {
                    // The server's word for no limit.
                    Some(0) => Value::None,
                    _ => info.bytes("maxmemory"),
                },
            ),
            (
                "share",
                match limit {
                    Some(0) => Value::None,
                    _ => info.share("used_memory", &["maxmemory"], "there is no limit"),
                },
            ),
            ("policy", info.word("maxmemory_policy")),
        ],
    )
}

/// `statistics`
pub fn statistics(info: &Info) -> Value {
    Value::record(
        "Statistics",
        vec![
            ("hits", info.int("keyspace_hits")),
            ("misses", info.int("keyspace_misses")),
            (
                "hit_rate",
                info.share("keyspace_hits", &["keyspace_hits", "keyspace_misses"], NO_LOOKUPS),
            ),
            ("evicted", info.int("evicted_keys")),
            ("expired", info.int("expired_keys")),
            ("rejected", info.int("rejected_connections")),
            ("refused_commands", info.int("total_error_replies")),
            ("commands", info.int("total_commands_processed")),
            (
                "commands_per_second",
                info.made("instantaneous_ops_per_sec", |text| text.parse().ok().map(Value::Rate)),
            ),
            ("since", info.seconds("uptime_in_seconds")),
        ],
    )
}

/// Counters of which two readings make a `Window`.
const COUNTERS: &[(&str, &str)] = &[
    ("hits", "keyspace_hits"),
    ("misses", "keyspace_misses"),
    ("evicted", "evicted_keys"),
    ("expired", "expired_keys"),
    ("rejected", "rejected_connections"),
    ("commands", "total_commands_processed"),
];

/// `window`: two readings and what happened between them.
pub async fn window(link: &mut Link, over: Duration) -> Result<Value, Failure> {
    let begin = Instant::now();
    if begin + over >= link.until() {
        return Err(Failure::definite(Reason::Timeout, "`over` does not fit into `within`"));
    }
    let first = Info::ask(link, &["stats", "server"]).await?;
    tokio::time::sleep_until(begin + over).await;
    let second = Info::ask(link, &["stats", "server"]).await?;
    let took = begin.elapsed();
    let restarted = first.get("run_id") != second.get("run_id");
    let grown = |name: &str| {
        let (Some(before), Some(after)) = (first.number(name), second.number(name)) else {
            return Err(Value::unknown(
                Reason::Missing,
                format!("this server does not say `{name}`"),
            ));
        };
        if restarted || after < before {
            return Err(Value::unknown(
                Reason::Unsettled,
                "the server was restarted or its counters were set back",
            ));
        }
        Ok(after - before)
    };
    let mut fields: Vec<(&str, Value)> = COUNTERS
        .iter()
        .map(|(field, name)| (*field, grown(name).map_or_else(|unknown| unknown, Value::Int)))
        .collect();
    let hit_rate = match (grown("keyspace_hits"), grown("keyspace_misses")) {
        (Ok(hits), Ok(misses)) => share(hits, hits.saturating_add(misses), NO_LOOKUPS),
        (Err(unknown), _) | (_, Err(unknown)) => unknown,
    };
    fields.push(("hit_rate", hit_rate));
    fields.push(("over", Value::duration(took)));
    Ok(Value::record("Window", fields))
}

/// `clients`
pub fn clients(info: &Info) -> Value {
    Value::record(
        "Clients",
        vec![
            ("connected", info.int("connected_clients")),
            ("max", info.int("maxclients")),
            (
                "share",
                info.share("connected_clients", &["maxclients"], "there is no limit"),
            ),
            ("blocked", info.int("blocked_clients")),
            ("rejected", info.int("rejected_connections")),
        ],
    )
}

/// `replication`
pub fn replication(info: &Info) -> Value {
    let replica = info.get("role") == Some("slave");
    let of_replica = |value: Value| if replica { value } else { Value::None };
    Value::record(
        "Replication",
        vec![
            ("role", info.role()),
            ("replicas", info.int("connected_slaves")),
            ("linked", of_replica(info.flag("master_link_status"))),
            (
                "silent",
                of_replica(match info.number("master_last_io_seconds_ago") {
                    // The server's word for never.
                    Some(-1) => Value::None,
                    _ => info.seconds("master_last_io_seconds_ago"),
                }),
            ),
        ],
    )
}

/// `persistence`
pub fn persistence(info: &Info) -> Value {
    let append_only = info.get("aof_enabled") == Some("1");
    Value::record(
        "Persistence",
        vec![
            ("loading", info.flag("loading")),
            (
                "last_save",
                info.made("rdb_last_save_time", |text| {
                    jiff::Timestamp::from_second(text.parse().ok()?).ok().map(Value::Time)
                }),
            ),
            ("last_save_ok", info.flag("rdb_last_bgsave_status")),
            ("unsaved_changes", info.int("rdb_changes_since_last_save")),
            ("append_only", info.flag("aof_enabled")),
            (
                "append_only_ok",
                if append_only {
                    info.flag("aof_last_write_status")
                } else {
                    Value::None
                },
            ),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::{Info, memory, parse, replication, share, statistics};
    use crate::value::Value;

    fn info(text: &str) -> Info {
        Info(parse(text).collect())
    }

    fn field(record: &Value, name: &str) -> Value {
        record.as_record().unwrap().get(name).unwrap().clone()
    }

    #[test]
    fn nothing_of_nothing_is_unknown_and_not_zero() {
        let quiet = statistics(&info("keyspace_hits:0\r\nkeyspace_misses:0\r\n"));
        assert!(field(&quiet, "hit_rate").as_unknown().is_some());
        assert_eq!(field(&quiet, "hits"), Value::Int(0));
        assert!(
            field(&quiet, "evicted").as_unknown().is_some(),
            "a field that is not there is not zero"
        );
        let busy = statistics(&info("keyspace_hits:3\r\nkeyspace_misses:1\r\n"));
        assert_eq!(field(&busy, "hit_rate"), Value::ratio(0.75));
        assert!(share(1, -1, "").as_unknown().is_some());
    }

    #[test]
    fn no_limit_is_none_and_not_a_limit_of_zero() {
        let open = memory(&info(
            "used_memory:100\r\nused_memory_rss:150\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n",
        ));
        assert_eq!(field(&open, "limit"), Value::None);
        assert_eq!(field(&open, "share"), Value::None);
        assert_eq!(field(&open, "fragmentation"), Value::ratio(1.5));
        let tight = memory(&info("used_memory:100\r\nmaxmemory:200\r\n"));
        assert_eq!(field(&tight, "share"), Value::ratio(0.5));
        // A login that may not see the section.
        assert!(field(&memory(&info("")), "share").as_unknown().is_some());
    }

    #[test]
    fn a_primary_has_no_link() {
        let primary = replication(&info("role:master\r\nconnected_slaves:0\r\n"));
        assert_eq!(field(&primary, "linked"), Value::None);
        let replica = replication(&info(
            "role:slave\r\nconnected_slaves:0\r\nmaster_link_status:down\r\nmaster_last_io_seconds_ago:-1\r\n",
        ));
        assert_eq!(field(&replica, "linked"), Value::Bool(false));
        assert_eq!(field(&replica, "silent"), Value::None);
        assert_eq!(field(&replica, "role"), Value::variant("replica"));
    }
}
