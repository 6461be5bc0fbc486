//! Keys: looked at in bounded walks, changed only while they are what was looked at.

use super::connection::Link;
use super::failure::Failure;
use super::info::{odd, share, text};
use super::lock::{self, Fence};
use crate::limits::REDIS_KEYS;
use crate::value::{List, Reason, Value};
use ::redis::{Pipeline, Value as Reply, cmd, pipe};
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Keys asked for in one step of a walk: the server is held up for about this many.
const STEP: usize = 200;

/// Keys asked about at once.
const CHUNK: usize = 100;

/// How far two readings of when a key expires may lie apart: the server tells what is left, and the answer travels.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(2);

/// Kept free at the end of a call for a walk that is not through.
const REST: Duration = Duration::from_millis(500);

/// The kinds of the server, and of the interface.
const KINDS: &[(&str, &str)] = &[
    ("string", "string"),
    ("list", "list"),
    ("set", "set"),
    ("zset", "sorted_set"),
    ("hash", "hash"),
    ("stream", "stream"),
];

fn kind(word: &str) -> &'static str {
    KINDS
        .iter()
        .find(|(server, _)| *server == word)
        .map_or("other", |(_, ours)| ours)
}

/// A walk through the names of keys, a step at a time.
struct Walk<'a> {
    pattern: &'a str,
    kind: Option<&'a str>,
    cursor: String,
    /// Names seen: the server may give one twice.
    seen: BTreeSet<Vec<u8>>,
    through: bool,
}

impl<'a> Walk<'a> {
    fn new(pattern: &'a str, kind: Option<&'a str>) -> Result<Self, Failure> {
        if pattern.is_empty() || pattern.contains('\0') || pattern.len() > 1024 {
            return Err(Failure::definite(
                Reason::Unparsable,
                "`pattern` is empty, too long or holds a zero byte; all keys are `*`",
            ));
        }
        let kind = match kind {
            None => None,
            Some(ours) => Some(
                KINDS
                    .iter()
                    .find(|(_, word)| *word == ours)
                    .map(|(server, _)| *server)
                    .ok_or_else(|| Failure::definite(Reason::Unparsable, "keys of this kind cannot be looked for"))?,
            ),
        };
        Ok(Self {
            pattern,
            kind,
            cursor: "0".to_owned(),
            seen: BTreeSet::new(),
            through: false,
        })
    }

    /// New names of the next step.
    async fn step(&mut self, link: &mut Link) -> Result<Vec<Vec<u8>>, Failure> {
        let mut command = cmd("SCAN");
        command
            .arg(&self.cursor)
            .arg("MATCH")
            .arg(self.pattern)
            .arg("COUNT")
            .arg(STEP);
        if let Some(kind) = self.kind {
            command.arg("TYPE").arg(kind);
        }
        let Reply::Array(parts) = link.ask(&command).await? else {
            return Err(odd("SCAN"));
        };
        let [cursor, Reply::Array(names)] = parts.as_slice() else {
            return Err(odd("SCAN"));
        };
        self.cursor = text(cursor)
            .filter(|cursor| cursor.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or_else(|| odd("SCAN"))?;
        self.through = self.cursor == "0";
        let mut fresh = Vec::new();
        for name in names {
            if let Reply::BulkString(name) = name
                && self.seen.insert(name.clone())
            {
                fresh.push(name.clone());
            }
        }
        Ok(fresh)
    }

    /// True when the walk must end: through, enough seen, or hardly any time left.
    fn ends(&self, most: usize, link: &Link) -> bool {
        self.through || self.seen.len() >= most.min(REDIS_KEYS) || Instant::now() + REST >= link.until()
    }
}

/// The server's clock.
async fn clock(link: &mut Link) -> Result<Timestamp, Failure> {
    let Reply::Array(parts) = link.ask(&cmd("TIME")).await? else {
        return Err(odd("TIME"));
    };
    let number = |index: usize| {
        parts
            .get(index)
            .and_then(text)
            .and_then(|text| text.parse::<i64>().ok())
    };
    let (Some(seconds), Some(micros)) = (number(0), number(1)) else {
        return Err(odd("TIME"));
    };
    seconds
        .checked_mul(1_000_000)
        .and_then(|whole| whole.checked_add(micros))
        .and_then(|micros| Timestamp::from_microsecond(micros).ok())
        .ok_or_else(|| odd("TIME"))
}

/// When a key expires, from what the server says is left of it: `None` is gone, `Some(None)` never.
fn expiry(reply: &Reply, now: Timestamp) -> Option<Option<Timestamp>> {
    match reply {
        Reply::Int(-2) => None,
        Reply::Int(-1) => Some(None),
        Reply::Int(left) => Some(now.checked_add(SignedDuration::from_millis(*left)).ok()),
        _ => None,
    }
}

async fn in_chunks(
    link: &mut Link,
    names: &[Vec<u8>],
    ask: impl Fn(&mut Pipeline, &[u8]),
    each: usize,
) -> Result<Vec<Vec<Reply>>, Failure> {
    let mut found = Vec::with_capacity(names.len());
    for chunk in names.chunks(CHUNK) {
        let mut pipeline = pipe();
        for name in chunk {
            ask(&mut pipeline, name);
        }
        let replies = link.ask_all(&pipeline).await?;
        let replies = replies.into_iter().collect::<Result<Vec<_>, _>>()?;
        found.extend(replies.chunks(each).map(<[Reply]>::to_vec));
    }
    Ok(found)
}

/// The records of keys that are still there.
async fn details(link: &mut Link, server: &Value, names: &[Vec<u8>]) -> Result<Vec<Value>, Failure> {
    let now = clock(link).await?;
    let ask = |pipeline: &mut Pipeline, name: &[u8]| {
        pipeline.cmd("TYPE").arg(name);
        pipeline.cmd("PTTL").arg(name);
        pipeline.cmd("MEMORY").arg("USAGE").arg(name);
    };
    let replies = in_chunks(link, names, ask, 3).await?;
    let mut records = Vec::new();
    for (name, parts) in names.iter().zip(replies) {
        let [word, left, size] = parts.as_slice() else {
            return Err(odd("a question about a key"));
        };
        let word = text(word).ok_or_else(|| odd("TYPE"))?;
        let (Some(expires), Reply::Int(size)) = (expiry(left, now), size) else {
            // It has gone between the walk and the question.
            continue;
        };
        if word == "none" {
            continue;
        }
        records.push(Value::record(
            "Key",
            vec![
                ("server", server.clone()),
                (
                    "name",
                    match std::str::from_utf8(name) {
                        Ok(name) => Value::text(name),
                        Err(_) => Value::unknown(Reason::Unparsable, "the key's name is not text"),
                    },
                ),
                ("kind", Value::variant(kind(&word))),
                ("size", Value::Bytes(*size)),
                ("expires", expires.map_or(Value::None, Value::Time)),
            ],
        ));
    }
    Ok(records)
}

fn list(items: Vec<Value>, truncated: bool) -> Value {
    Value::List(Arc::new(List { items, truncated }))
}

/// `keys.scan`
pub async fn scan(
    link: &mut Link,
    server: &Value,
    pattern: &str,
    kind: Option<&str>,
    at_most: usize,
) -> Result<Value, Failure> {
    let mut walk = Walk::new(pattern, kind)?;
    let mut names = Vec::new();
    while !walk.ends(REDIS_KEYS, link) && names.len() <= at_most {
        names.extend(walk.step(link).await?);
    }
    let more = !walk.through || names.len() > at_most;
    names.truncate(at_most);
    Ok(list(details(link, server, &names).await?, more))
}

/// `keys.largest`
pub async fn largest(
    link: &mut Link,
    server: &Value,
    pattern: &str,
    at_least: i64,
    at_most: usize,
    look_at: usize,
) -> Result<Value, Failure> {
    let mut walk = Walk::new(pattern, None)?;
    let mut large: Vec<(i64, Vec<u8>)> = Vec::new();
    let ask = |pipeline: &mut Pipeline, name: &[u8]| {
        pipeline.cmd("MEMORY").arg("USAGE").arg(name);
    };
    while !walk.ends(look_at, link) {
        let names = walk.step(link).await?;
        let sizes = in_chunks(link, &names, ask, 1).await?;
        for (name, size) in names.into_iter().zip(sizes) {
            if let Some(Reply::Int(size)) = size.first()
                && *size >= at_least
            {
                large.push((*size, name));
            }
        }
    }
    large.sort_by(|one, other| other.cmp(one));
    let more = !walk.through || large.len() > at_most;
    let names: Vec<Vec<u8>> = large.into_iter().take(at_most).map(|(_, name)| name).collect();
    Ok(list(details(link, server, &names).await?, more))
}

/// `keys.expiry`
pub async fn sample(link: &mut Link, pattern: &str, look_at: usize) -> Result<Value, Failure> {
    let mut walk = Walk::new(pattern, None)?;
    let mut left: Vec<i64> = Vec::new();
    let mut without = 0_i64;
    let ask = |pipeline: &mut Pipeline, name: &[u8]| {
        pipeline.cmd("PTTL").arg(name);
    };
    while !walk.ends(look_at, link) {
        let names = walk.step(link).await?;
        for reply in in_chunks(link, &names, ask, 1).await? {
            match reply.first() {
                Some(Reply::Int(-1)) => without += 1,
                Some(Reply::Int(millis)) if *millis >= 0 => left.push(*millis),
                _ => {}
            }
        }
    }
    left.sort_unstable();
    let looked_at = without + i64::try_from(left.len()).unwrap_or(i64::MAX);
    let time = |millis: Option<&i64>| {
        millis.map_or(Value::None, |millis| {
            millis.checked_mul(1_000_000).map_or_else(
                || Value::unknown(Reason::Arithmetic, "the time is out of range"),
                Value::Duration,
            )
        })
    };
    Ok(Value::record(
        "Expiry",
        vec![
            ("looked_at", Value::Int(looked_at)),
            ("all", Value::Bool(walk.through)),
            ("without", Value::Int(without)),
            ("share_without", share(without, looked_at, "no key was looked at")),
            ("shortest", time(left.first())),
            ("median", time(left.get(left.len() / 2))),
            ("longest", time(left.last())),
        ],
    ))
}

/// `keys.count`
pub async fn count(link: &mut Link) -> Result<Value, Failure> {
    match link.ask(&cmd("DBSIZE")).await? {
        Reply::Int(count) => Ok(Value::Int(count)),
        _ => Err(odd("DBSIZE")),
    }
}

/// A key as it was when it was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub server: String,
    name: String,
    kind: String,
    expires: Option<Timestamp>,
}

impl Seen {
    /// The key's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Reads the keys of a call. One that cannot be read makes the whole call a failure: nothing is sent.
pub fn seen(keys: &Value) -> Result<Vec<Seen>, Failure> {
    let wrong = |words: &str| Failure::definite(Reason::Unparsable, words);
    let items = match keys {
        Value::List(list) if list.truncated => {
            return Err(Failure::definite(Reason::Truncated, "the list of keys was cut"));
        }
        Value::List(list) => &list.items,
        Value::Unknown(unknown) => return Err((**unknown).clone().into()),
        _ => return Err(wrong("the keys are not a list")),
    };
    if items.len() > REDIS_KEYS {
        return Err(Failure::definite(Reason::Truncated, "more keys than one call takes"));
    }
    items
        .iter()
        .map(|item| {
            let record = item.as_record().ok_or_else(|| wrong("a key is not a record"))?;
            let word = |field: &str| {
                record
                    .get(field)
                    .and_then(Value::as_str)
                    .map(str::to_owned)
                    .ok_or_else(|| wrong("a key does not say what it is"))
            };
            Ok(Seen {
                server: word("server")?,
                name: word("name")?,
                kind: word("kind")?,
                expires: match record.get("expires") {
                    Some(Value::Time(time)) => Some(*time),
                    Some(Value::None) => None,
                    _ => return Err(wrong("a key does not say when it expires")),
                },
            })
        })
        .collect()
}

/// What is done to each key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Let it expire this many milliseconds from now.
    Expire(i64),
    /// Let it expire when it was to expire.
    Restore,
    Delete,
}

/// How many keys were changed, had gone, were something else by then.
#[derive(Clone, Copy, Debug, Default)]
pub struct Changed {
    pub changed: i64,
    pub already_gone: i64,
    pub moved_on: i64,
}

impl Changed {
    /// As a record.
    pub fn value(self) -> Value {
        Value::record(
            "Changed",
            vec![
                ("changed", Value::Int(self.changed)),
                ("already_gone", Value::Int(self.already_gone)),
                ("moved_on", Value::Int(self.moved_on)),
            ],
        )
    }
}

/// Looks at a key once more and changes it, in one piece: nothing else runs in between, and it runs when the memory is full.
///
/// Keys: the key, the lock. Arguments: what stands in the lock while it is ours (empty: no lock), the database of the keys, the
/// kind, when it expires in milliseconds since 1970 (-1 never, empty: not looked at), the tolerance, the order and its argument.
const CHANGE: &str = "#!lua flags=allow-oom
if ARGV[1] ~= '' then
  if ARGV[2] ~= '0' then redis.call('select', '0') end
  local held = redis.call('get', KEYS[2])
  if ARGV[2] ~= '0' then redis.call('select', ARGV[2]) end
  if held ~= ARGV[1] then return 'lost' end
end
local kind = redis.call('type', KEYS[1])['ok']
if kind == 'none' then return 'gone' end
if kind ~= ARGV[3] then return 'moved_on' end
local left = redis.call('pttl', KEYS[1])
local time = redis.call('time')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
if ARGV[4] ~= '' then
  local wanted = tonumber(ARGV[4])
  if (wanted < 0) ~= (left < 0) then return 'moved_on' end
  if wanted >= 0 and math.abs(now + left - wanted) > tonumber(ARGV[5]) then return 'moved_on' end
end
if ARGV[6] == 'delete' then redis.call('unlink', KEYS[1])
elseif ARGV[6] == 'persist' then redis.call('persist', KEYS[1])
elseif ARGV[6] == 'at' then redis.call('pexpireat', KEYS[1], ARGV[7])
else redis.call('pexpireat', KEYS[1], string.format('%.0f', now + tonumber(ARGV[7]))) end
return 'changed'";

/// Changes the keys of one server, each only while it is what was looked at.
pub async fn change(
    link: &mut Link,
    fence: Option<&Fence>,
    database: u16,
    keys: &[Seen],
    change: Change,
) -> Result<Changed, Failure> {
    let mut total = Changed::default();
    for key in keys {
        match one(link, fence, database, key, change).await.as_deref() {
            Ok("changed") => total.changed += 1,
            Ok("gone") => total.already_gone += 1,
            Ok("moved_on") => total.moved_on += 1,
            Ok("lost") if total.changed == 0 => return Err(lock::lost()),
            Ok("lost") => return Err(lock::lost().after_sending()),
            Ok(_) => return Err(odd("a script").after_sending()),
            // Keys before this one are changed: the call as a whole is not undone by this failure.
            Err(failure) if total.changed > 0 => return Err(failure.clone().after_sending()),
            Err(failure) => return Err(failure.clone()),
        }
    }
    Ok(total)
}

fn not_changed() -> Failure {
    Failure::definite(Reason::Unparsable, "keys of this kind are not changed")
}

async fn one(
    link: &mut Link,
    fence: Option<&Fence>,
    database: u16,
    key: &Seen,
    change: Change,
) -> Result<String, Failure> {
    let word = KINDS
        .iter()
        .find(|(_, ours)| *ours == key.kind)
        .map(|(server, _)| *server)
        .ok_or_else(not_changed)?;
    let expires = key.expires.map_or(-1, Timestamp::as_millisecond);
    let looked_at = if change == Change::Restore {
        String::new()
    } else {
        expires.to_string()
    };
    let (order, argument) = match change {
        Change::Delete => ("delete", 0),
        Change::Restore if key.expires.is_none() => ("persist", 0),
        Change::Restore => ("at", expires),
        Change::Expire(after) => ("after", after),
    };
    let mut command = cmd("EVAL");
    command
        .arg(CHANGE)
        .arg(2)
        .arg(&key.name)
        .arg(lock::KEY)
        .arg(fence.map_or("", |fence| &**fence))
        .arg(database)
        .arg(word)
        .arg(looked_at)
        .arg(TOLERANCE.as_millis().to_string())
        .arg(order)
        .arg(argument);
    text(&link.change(&command).await?).ok_or_else(|| odd("a script").after_sending())
}

/// What has become of a key since it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Now {
    /// A change would be made to it.
    Same,
    Gone,
    /// Of another kind, or with another expiry: a change leaves it alone.
    MovedOn,
}

/// What has become of these keys, by the rules of a change of them.
pub async fn now(link: &mut Link, keys: &[Seen], change: Change) -> Result<Vec<Now>, Failure> {
    if keys.iter().any(|key| !KINDS.iter().any(|(_, ours)| *ours == key.kind)) {
        return Err(not_changed());
    }
    let names: Vec<Vec<u8>> = keys.iter().map(|key| key.name.clone().into_bytes()).collect();
    let now = clock(link).await?;
    let ask = |pipeline: &mut Pipeline, name: &[u8]| {
        pipeline.cmd("TYPE").arg(name);
        pipeline.cmd("PTTL").arg(name);
    };
    let replies = in_chunks(link, &names, ask, 2).await?;
    keys.iter()
        .zip(replies)
        .map(|(key, parts)| {
            let [word, left] = parts.as_slice() else {
                return Err(odd("a question about a key"));
            };
            let word = text(word).ok_or_else(|| odd("TYPE"))?;
            let Reply::Int(_) = left else { return Err(odd("PTTL")) };
            Ok(match expiry(left, now) {
                _ if word == "none" => Now::Gone,
                None => Now::Gone,
                _ if kind(&word) != key.kind => Now::MovedOn,
                _ if change == Change::Restore => Now::Same,
                Some(expires) if same_expiry(expires, key.expires) => Now::Same,
                Some(_) => Now::MovedOn,
            })
        })
        .collect()
}

/// Whether two readings of when a key expires mean the same.
fn same_expiry(one: Option<Timestamp>, other: Option<Timestamp>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.duration_since(other).abs() <= TOLERANCE,
        _ => false,
    }
}

/// `keys.remaining`: those that are still there, of the same kind.
pub async fn remaining(link: &mut Link, keys: &[Seen]) -> Result<Vec<bool>, Failure> {
    let names: Vec<Vec<u8>> = keys.iter().map(|key| key.name.clone().into_bytes()).collect();
    let ask = |pipeline: &mut Pipeline, name: &[u8]| {
        pipeline.cmd("TYPE").arg(name);
    };
    let replies = in_chunks(link, &names, ask, 1).await?;
    keys.iter()
        .zip(replies)
        .map(|(key, reply)| {
            let word = reply.first().and_then(text).ok_or_else(|| odd("TYPE"))?;
            Ok(word != "none" && kind(&word) == key.kind)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{REDIS_KEYS, Walk, expiry, same_expiry, seen};
    use crate::value::{List, Value};
    use ::redis::Value as Reply;
    use jiff::Timestamp;
    use std::sync::Arc;

    #[test]
    fn an_expiry_is_never_confused_with_none() {
        let now = Timestamp::UNIX_EPOCH;
        assert_eq!(expiry(&Reply::Int(-2), now), None);
        assert_eq!(expiry(&Reply::Int(-1), now), Some(None));
        let soon = expiry(&Reply::Int(1500), now).unwrap();
        assert_eq!(soon.unwrap().as_millisecond(), 1500);
    }

    #[test]
    fn two_readings_of_an_expiry_are_compared_to_two_seconds() {
        let at = |millis: i64| Some(Timestamp::from_millisecond(millis).unwrap());
        assert!(same_expiry(None, None));
        assert!(same_expiry(at(10_000), at(12_000)) && same_expiry(at(12_000), at(10_000)));
        assert!(!same_expiry(at(10_000), at(12_001)));
        assert!(!same_expiry(None, at(10_000)) && !same_expiry(at(10_000), None));
    }

    #[test]
    fn a_list_that_was_cut_or_an_odd_key_sends_nothing() {
        let cut = Value::List(Arc::new(List {
            items: Vec::new(),
            truncated: true,
        }));
        assert!(seen(&cut).is_err());
        assert!(seen(&Value::list(vec![Value::Int(1)])).is_err());
        assert!(seen(&Value::text("user:*")).is_err());
        assert_eq!(seen(&Value::list(Vec::new())).unwrap(), []);
    }

    #[test]
    fn a_call_takes_only_so_many_keys() {
        let key = Value::record(
            "Key",
            vec![
                ("server", Value::text("cache")),
                ("name", Value::text("k")),
                ("kind", Value::variant("string")),
                ("expires", Value::None),
            ],
        );
        let keys = |count: usize| Value::list(vec![key.clone(); count]);
        assert_eq!(seen(&keys(REDIS_KEYS)).unwrap().len(), REDIS_KEYS);
        assert!(seen(&keys(REDIS_KEYS + 1)).is_err());
    }

    #[test]
    fn an_empty_pattern_is_a_mistake() {
        assert!(Walk::new("", None).is_err());
        assert!(Walk::new("user:*", Some("blob")).is_err());
        assert!(Walk::new("user:*", Some("sorted_set")).is_ok());
    }
}
