//! What the engine says about its containers, as values.

use crate::value::{Reason, Value};
use bollard::models::{ContainerInspectResponse, ContainerStatsResponse};
use jiff::Timestamp;

/// The labels that compose puts on what it makes.
pub const PROJECT: &str = "com.docker.compose.project";
pub const SERVICE: &str = "com.docker.compose.service";

/// A time as the engine writes it; the year 1 is its word for never.
fn time(text: Option<&str>) -> Value {
    moment(text).map_or(Value::None, Value::Time)
}

/// The same, as a time.
pub fn moment(text: Option<&str>) -> Option<Timestamp> {
    text.and_then(|text| text.parse::<Timestamp>().ok())
        .filter(|time| time.as_second() > 0)
}

/// An image as a record.
pub fn image(engine: &Value, id: &str, names: &[String], size: Option<i64>, created: Option<Timestamp>) -> Value {
    // An image without a name has this one in its place.
    let names = names.iter().filter(|name| *name != "<none>:<none>");
    Value::record(
        "Image",
        vec![
            ("engine", engine.clone()),
            ("id", Value::text(id)),
            (
                "names",
                Value::list(names.map(|name| Value::text(name.as_str())).collect()),
            ),
            (
                "size",
                size.filter(|size| *size >= 0).map_or_else(
                    || Value::unknown(Reason::Missing, "the engine does not say how large the image is"),
                    Value::Bytes,
                ),
            ),
            ("created", created.map_or(Value::None, Value::Time)),
        ],
    )
}

/// The ports of a container that can be reached from outside it, lowest first.
fn ports(found: &ContainerInspectResponse) -> Value {
    let all = found
        .network_settings
        .as_ref()
        .and_then(|settings| settings.ports.as_ref());
    let mut ports: Vec<(i64, i64, String, Option<String>)> = Vec::new();
    for (inside, bindings) in all.into_iter().flatten() {
        let (inside, protocol) = inside.split_once('/').unwrap_or((inside, "tcp"));
        let Ok(inside) = inside.parse() else { continue };
        for binding in bindings.iter().flatten() {
            let Some(Ok(outside)) = binding.host_port.as_ref().map(|port| port.parse()) else {
                continue;
            };
            let address = binding.host_ip.clone().filter(|address| !address.is_empty());
            ports.push((outside, inside, protocol.to_owned(), address));
        }
    }
    ports.sort();
    Value::list(
        ports
            .into_iter()
            .map(|(outside, inside, protocol, address)| {
                Value::record(
                    "Port",
                    vec![
                        ("inside", Value::Int(inside)),
                        ("outside", Value::Int(outside)),
                        ("protocol", Value::text(protocol)),
                        ("address", address.map_or(Value::None, Value::text)),
                    ],
                )
            })
            .collect(),
    )
}

fn maybe_text(text: Option<&str>) -> Value {
    text.filter(|text| !text.is_empty()).map_or(Value::None, Value::text)
}

/// A container as a record.
pub fn container(engine: &Value, found: &ContainerInspectResponse) -> Value {
    let state = found.state.as_ref();
    let config = found.config.as_ref();
    let label = |name: &str| {
        maybe_text(
            config
                .and_then(|config| config.labels.as_ref())
                .and_then(|labels| labels.get(name))
                .map(String::as_str),
        )
    };
    let must = |text: Option<&str>, what: &str| {
        text.map_or_else(
            || Value::unknown(Reason::Missing, format!("the engine does not say {what}")),
            Value::text,
        )
    };
    let status = state
        .and_then(|state| state.status)
        .map(|status| status.to_string())
        .unwrap_or_default();
    let running = state.and_then(|state| state.running).unwrap_or(false);
    Value::record(
        "Container",
        vec![
            ("engine", engine.clone()),
            ("id", must(found.id.as_deref(), "its id")),
            (
                "name",
                must(
                    found.name.as_deref().map(|name| name.trim_start_matches('/')),
                    "its name",
                ),
            ),
            (
                "image",
                must(config.and_then(|config| config.image.as_deref()), "its image"),
            ),
            (
                "state",
                match status.as_str() {
                    known @ ("created" | "running" | "paused" | "restarting" | "removing" | "exited" | "dead") => {
                        Value::variant(known)
                    }
                    // Some engines tell these two apart.
                    "stopped" => Value::variant("exited"),
                    _ => Value::unknown(Reason::Unparsable, "the engine gives no state that is known"),
                },
            ),
            (
                "health",
                match state
                    .and_then(|state| state.health.as_ref())
                    .and_then(|health| health.status)
                    .map(|status| status.to_string())
                    .as_deref()
                {
                    Some(known @ ("starting" | "healthy" | "unhealthy")) => Value::variant(known),
                    _ => Value::None,
                },
            ),
            (
                "exit_code",
                match state.and_then(|state| state.exit_code) {
                    Some(code) if !running => Value::Int(code),
                    _ => Value::None,
                },
            ),
            (
                "out_of_memory",
                Value::Bool(state.and_then(|state| state.oom_killed).unwrap_or(false)),
            ),
            ("restarts", Value::Int(found.restart_count.unwrap_or(0))),
            ("started", time(state.and_then(|state| state.started_at.as_deref()))),
            ("finished", time(state.and_then(|state| state.finished_at.as_deref()))),
            ("error", maybe_text(state.and_then(|state| state.error.as_deref()))),
            ("project", label(PROJECT)),
            ("service", label(SERVICE)),
            ("ports", ports(found)),
        ],
    )
}

fn bytes(number: Option<u64>, what: &str) -> Value {
    number.and_then(|number| i64::try_from(number).ok()).map_or_else(
        || Value::unknown(Reason::Missing, format!("the engine does not say {what}")),
        Value::Bytes,
    )
}

/// What a container uses, from one sample that holds the one before it.
pub fn stats(found: &ContainerStatsResponse) -> Value {
    let memory = found.memory_stats.as_ref();
    let limit = memory.and_then(|memory| memory.limit).filter(|limit| *limit > 0);
    let used = memory.and_then(|memory| {
        // The page cache is given back when somebody needs it.
        let cache = memory.stats.as_ref().and_then(|stats| {
            stats
                .get("inactive_file")
                .or_else(|| stats.get("total_inactive_file"))
                .copied()
        });
        Some(memory.usage?.saturating_sub(cache.unwrap_or(0)))
    });
    let share = match (used, limit) {
        // Far inside the range in which a float is exact enough for a share.
        (Some(used), Some(limit)) => Value::ratio(used as f64 / limit as f64),
        _ => Value::unknown(Reason::Missing, "the engine does not say the container's memory"),
    };
    Value::record(
        "Stats",
        vec![
            ("processor", processor(found)),
            ("memory", bytes(used, "the container's memory")),
            ("memory_limit", bytes(limit, "a limit")),
            ("memory_share", share),
            (
                "processes",
                found
                    .pids_stats
                    .as_ref()
                    .and_then(|pids| pids.current)
                    .and_then(|count| i64::try_from(count).ok())
                    .map_or(Value::None, Value::Int),
            ),
            ("received", counted(network(found, |one| one.rx_bytes))),
            ("sent", counted(network(found, |one| one.tx_bytes))),
            ("disk_read", counted(disk(found, "read"))),
            ("disk_written", counted(disk(found, "write"))),
        ],
    )
}

/// A counter that not every engine has.
fn counted(count: Option<u64>) -> Value {
    count
        .and_then(|count| i64::try_from(count).ok())
        .map_or(Value::None, Value::Bytes)
}

/// One counter over all networks of a container; nothing where there are none, or one of them is not counted.
fn network(
    found: &ContainerStatsResponse,
    of: impl Fn(&bollard::models::ContainerNetworkStats) -> Option<u64>,
) -> Option<u64> {
    let networks = found.networks.as_ref().filter(|networks| !networks.is_empty())?;
    networks
        .values()
        .map(of)
        .try_fold(0_u64, |sum, one| sum.checked_add(one?))
}

/// Bytes read or written, over all devices; engines differ in how they write the words.
fn disk(found: &ContainerStatsResponse, what: &str) -> Option<u64> {
    let devices = found.blkio_stats.as_ref()?.io_service_bytes_recursive.as_ref()?;
    devices
        .iter()
        .filter(|one| one.op.as_deref().is_some_and(|op| op.eq_ignore_ascii_case(what)))
        .try_fold(0_u64, |sum, one| sum.checked_add(one.value?))
}

/// 100 % is one processor. Without two readings nothing is known.
fn processor(found: &ContainerStatsResponse) -> Value {
    let reading = |stats: Option<&bollard::models::ContainerCpuStats>| {
        let stats = stats?;
        Some((
            stats.cpu_usage.as_ref()?.total_usage?,
            stats.system_cpu_usage?,
            stats.online_cpus,
        ))
    };
    let unknown = || Value::unknown(Reason::Unsettled, "the engine has no two readings of the processor yet");
    let (Some((used, all, processors)), Some((used_before, all_before, _))) =
        (reading(found.cpu_stats.as_ref()), reading(found.precpu_stats.as_ref()))
    else {
        return unknown();
    };
    let (Some(used), Some(all)) = (used.checked_sub(used_before), all.checked_sub(all_before)) else {
        return unknown();
    };
    if all == 0 || all_before == 0 {
        return unknown();
    }
    Value::ratio(used as f64 / all as f64 * f64::from(processors.unwrap_or(1).max(1)))
}

#[cfg(test)]
mod tests {
    use super::{container, stats};
    use crate::value::Value;
    use bollard::models::{ContainerInspectResponse, ContainerStatsResponse};

    fn field(record: &Value, name: &str) -> Value {
        record.as_record().unwrap().get(name).unwrap().clone()
    }

    #[test]
    fn what_the_engine_leaves_out_is_not_zero() {
        let found = container(&Value::text("here"), &ContainerInspectResponse::default());
        assert!(field(&found, "id").as_unknown().is_some());
        assert!(field(&found, "state").as_unknown().is_some());
        assert_eq!(field(&found, "exit_code"), Value::None);
        let found = stats(&ContainerStatsResponse::default());
        assert!(field(&found, "processor").as_unknown().is_some());
        assert!(field(&found, "memory_share").as_unknown().is_some());
        for name in ["received", "sent", "disk_read", "disk_written"] {
            assert_eq!(field(&found, name), Value::None, "{name}");
        }
    }

    #[test]
    fn what_went_in_and_out_is_summed_over_networks_and_devices() {
        let text = r#"{
            "networks": {"eth0": {"rx_bytes": 7, "tx_bytes": 1}, "eth1": {"rx_bytes": 5, "tx_bytes": 2}},
            "blkio_stats": {"io_service_bytes_recursive": [
                {"major": 8, "minor": 0, "op": "read", "value": 100}, {"major": 8, "minor": 0, "op": "write", "value": 10},
                {"major": 8, "minor": 16, "op": "Read", "value": 1}, {"major": 8, "minor": 16, "op": "Total", "value": 1000}
            ]}
        }"#;
        let found = stats(&serde_json::from_str(text).unwrap());
        let counts = ["received", "sent", "disk_read", "disk_written"].map(|name| field(&found, name));
        assert_eq!(counts, [12, 3, 101, 10].map(Value::Bytes));
        // A network that is not counted: nobody knows the sum.
        let text = r#"{"networks": {"eth0": {"rx_bytes": 7}, "eth1": {}}}"#;
        let found = stats(&serde_json::from_str(text).unwrap());
        assert_eq!(field(&found, "received"), Value::None);
    }

    #[test]
    fn shares_are_of_one_processor_and_without_the_cache() {
        let text = r#"{
            "cpu_stats": {"cpu_usage": {"total_usage": 300}, "system_cpu_usage": 2000, "online_cpus": 2},
            "precpu_stats": {"cpu_usage": {"total_usage": 100}, "system_cpu_usage": 1000, "online_cpus": 2},
            "memory_stats": {"usage": 600, "limit": 1000, "stats": {"inactive_file": 100}}
        }"#;
        let found = stats(&serde_json::from_str(text).unwrap());
        assert_eq!(field(&found, "processor"), Value::ratio(0.4));
        assert_eq!(field(&found, "memory"), Value::Bytes(500));
        assert_eq!(field(&found, "memory_share"), Value::ratio(0.5));
    }
}
