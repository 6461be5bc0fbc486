//! Settings of the server: reading one, changing one while it is what it was.

use super::config::{Server, is_forbidden};
use super::connection::Link;
use super::failure::{Failure, crop};
use super::info::{odd, text};
use super::lock::Fence;
use crate::value::{Reason, Value};
use ::redis::{Value as Reply, cmd};

/// Settings that may be changed: they take effect at once, and what they did is undone by setting them back.
const USUAL: &[&str] = &[
    "activedefrag",
    "active-expire-effort",
    "appendfsync",
    "client-output-buffer-limit",
    "hz",
    "latency-monitor-threshold",
    "lazyfree-lazy-eviction",
    "lazyfree-lazy-expire",
    "lazyfree-lazy-server-del",
    "lfu-decay-time",
    "lfu-log-factor",
    "maxclients",
    "maxmemory",
    "maxmemory-clients",
    "maxmemory-policy",
    "maxmemory-samples",
    "min-replicas-max-lag",
    "min-replicas-to-write",
    "repl-backlog-size",
    "save",
    "slowlog-log-slower-than",
    "slowlog-max-len",
    "stop-writes-on-bgsave-error",
    "tcp-keepalive",
    "timeout",
];

/// Settings whose value is a secret.
const SECRET: &[&str] = &[
    "requirepass",
    "masterauth",
    "tls-key-file-pass",
    "tls-client-key-file-pass",
];

/// Settings that are a number of bytes.
const SIZES: &[&str] = &[
    "auto-aof-rewrite-min-size",
    "client-query-buffer-limit",
    "maxmemory",
    "maxmemory-clients",
    "proto-max-bulk-len",
    "repl-backlog-size",
];

/// Longest value that is sent, in bytes.
const VALUE_BYTES: usize = 1024;

/// True for a text that can be the name of one setting; the server itself would take a pattern.
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn named(name: &str) -> Result<String, Failure> {
    if !is_name(name) {
        return Err(Failure::definite(
            Reason::Unparsable,
            "`name` is not the name of one setting",
        ));
    }
    let name = name.to_ascii_lowercase();
    if SECRET.contains(&name.as_str()) {
        return Err(Failure::definite(
            Reason::Denied,
            format!("the value of `{name}` is a secret and is not read"),
        ));
    }
    Ok(name)
}

/// The bytes of a size as the server writes it: `100mb`, `1gb`, `1024`.
pub fn size(text: &str) -> Option<i64> {
    const UNITS: &[(&str, i64)] = &[
        ("kb", 1 << 10),
        ("mb", 1 << 20),
        ("gb", 1 << 30),
        ("k", 1_000),
        ("m", 1_000_000),
        ("g", 1_000_000_000),
        ("b", 1),
    ];
    let text = text.trim().to_ascii_lowercase();
    let (digits, factor) = UNITS
        .iter()
        .find_map(|(unit, factor)| text.strip_suffix(unit).map(|digits| (digits.to_owned(), *factor)))
        .unwrap_or((text, 1));
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse::<i64>().ok().filter(|_| plain)?.checked_mul(factor)
}

/// Whether two texts set the same: the server gives back another text than it was given.
pub fn same(name: &str, one: &str, other: &str) -> bool {
    if SIZES.contains(&name) {
        return size(one).is_some() && size(one) == size(other);
    }
    one.trim().eq_ignore_ascii_case(other.trim())
}

async fn value(link: &mut Link, name: &str) -> Result<String, Failure> {
    let reply = link.ask(cmd("CONFIG").arg("GET").arg(name)).await?;
    let Reply::Array(pair) = reply else {
        return Err(odd("CONFIG GET"));
    };
    match pair.as_slice() {
        [] => Err(Failure::definite(
            Reason::Missing,
            format!("the server has no setting `{name}`, or this login may not see it"),
        )),
        [_, value] => text(value).ok_or_else(|| odd("CONFIG GET")),
        _ => Err(odd("CONFIG GET")),
    }
}

fn record(server: &Value, name: &str, value: &str) -> Value {
    let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
    Value::record(
        "Setting",
        vec![
            ("server", server.clone()),
            ("name", Value::text(name)),
            ("value", Value::text(value)),
            ("number", number.map_or(Value::None, Value::float)),
            (
                "size",
                match size(value).filter(|_| SIZES.contains(&name)) {
                    Some(bytes) => Value::Bytes(bytes),
                    None => Value::None,
                },
            ),
            (
                "enabled",
                match value {
                    "yes" => Value::Bool(true),
                    "no" => Value::Bool(false),
                    _ => Value::None,
                },
            ),
        ],
    )
}

/// The name of a setting as the server writes it, and its value. Secret ones are refused.
pub async fn current(link: &mut Link, name: &str) -> Result<(String, String), Failure> {
    let name = named(name)?;
    let value = value(link, &name).await?;
    Ok((name, value))
}

/// `settings.get`
pub async fn get(link: &mut Link, server: &Value, name: &str) -> Result<Value, Failure> {
    let (name, value) = current(link, name).await?;
    Ok(record(server, &name, &value))
}

/// Whether this environment lets the setting be changed. Looked at before anybody is connected.
pub fn may_change(server: &Server, name: &str, to: &str) -> Result<(), Failure> {
    let name = named(name)?;
    if is_forbidden(&name) {
        return Err(Failure::definite(
            Reason::Denied,
            format!("`{name}` is never changed from here: it decides who may come in, what is run or where files lie"),
        ));
    }
    let extra = server.settings.iter().any(|extra| extra.eq_ignore_ascii_case(&name));
    if !extra && !USUAL.contains(&name.as_str()) {
        return Err(Failure::definite(
            Reason::Denied,
            format!(
                "`{name}` is not among the settings that this environment lets be changed; see `settings` in its configuration"
            ),
        ));
    }
    if to.len() > VALUE_BYTES || to.chars().any(char::is_control) {
        return Err(Failure::definite(
            Reason::Unparsable,
            "`to` holds control characters or is longer than 1 KiB",
        ));
    }
    Ok(())
}

/// `settings.set`. With `from` only while the setting is that.
pub async fn set(
    link: &mut Link,
    fence: Option<&Fence>,
    server: &Value,
    name: &str,
    to: &str,
    from: Option<&str>,
) -> Result<Value, Failure> {
    let name = named(name)?;
    super::lock::watch(link, fence).await?;
    let now = value(link, &name).await?;
    if let Some(from) = from
        && !same(&name, &now, from)
    {
        return Err(Failure::definite(
            Reason::Denied,
            crop(
                &format!("`{name}` is `{now}` by now and not `{from}`: it is left as it is"),
                200,
            ),
        ));
    }
    if !same(&name, &now, to) {
        super::lock::fenced(link, fence, cmd("CONFIG").arg("SET").arg(&name).arg(to)).await?;
    }
    // What the server made of it; the change itself has been confirmed.
    let value = value(link, &name).await.unwrap_or_else(|_| to.to_owned());
    Ok(record(server, &name, &value))
}

/// `settings.keep`
pub async fn keep(link: &mut Link, fence: Option<&Fence>) -> Result<Value, Failure> {
    super::lock::watch(link, fence).await?;
    super::lock::fenced(link, fence, cmd("CONFIG").arg("REWRITE")).await?;
    Ok(Value::None)
}

#[cfg(test)]
mod tests {
    use super::{is_name, may_change, same, size};

    #[test]
    fn sizes_are_compared_as_sizes() {
        assert_eq!(size("100mb"), Some(104_857_600));
        assert_eq!(size("1k"), Some(1_000));
        assert_eq!(size("-1"), None);
        assert_eq!(size("mb"), None);
        assert_eq!(size("99999999999gb"), None);
        assert!(same("maxmemory", "100mb", "104857600"));
        assert!(
            !same("maxmemory", "lots", "lots"),
            "what cannot be read is not known to be the same"
        );
        assert!(same("maxmemory-policy", "noeviction", "NoEviction"));
        assert!(!same("timeout", "100", "1000"));
    }

    #[test]
    fn a_name_is_no_pattern_and_no_secret() {
        assert!(is_name("maxmemory-policy"));
        for odd in ["", "max*", "a b", "[a]", "a\n", "?"] {
            assert!(!is_name(odd), "{odd:?}");
        }
        let server = serde_yaml::from_str("{ host: 127.0.0.1, settings: [proto-max-bulk-len] }").unwrap();
        assert!(may_change(&server, "MAXMEMORY", "1gb").is_ok());
        assert!(may_change(&server, "proto-max-bulk-len", "1gb").is_ok());
        for name in [
            "requirepass",
            "dir",
            "tls-port",
            "enable-debug-command",
            "databases",
            "max*",
        ] {
            assert!(may_change(&server, name, "x").is_err(), "{name}");
        }
        assert!(may_change(&server, "timeout", "1\r\nFLUSHALL").is_err());
    }
}
