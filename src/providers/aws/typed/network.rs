//! Who may reach what: rules of security groups, network ACLs, and whether flows are written down.

use super::{Talk, int, list, maybe_int, maybe_text, not_there, odd, text};
use crate::value::{Unknown, Value};
use serde_json::{Value as Json, json};

/// The word for a protocol, the same wherever it stands: groups write words, ACLs write numbers.
fn protocol(json: &Json, name: &str) -> Value {
    match json.get(name).and_then(Json::as_str) {
        Some("-1") => Value::text("all"),
        Some("1") => Value::text("icmp"),
        Some("6") => Value::text("tcp"),
        Some("17") => Value::text("udp"),
        Some("58") => Value::text("icmpv6"),
        _ => text(json, name),
    }
}

/// Whether this protocol has types and codes instead of ports.
fn has_types(protocol: &Value) -> bool {
    ["icmp", "icmpv6"]
        .into_iter()
        .any(|word| *protocol == Value::text(word))
}

/// The rules of a security group, one for each other side: an address range, a group, a list of ranges.
pub(super) async fn rules(talk: &Talk<'_>, group: &str) -> Result<Value, Unknown> {
    let answer = talk
        .read("ec2", "describe_security_groups", json!({"GroupIds": [group]}))
        .await?;
    let found = list(&answer, "SecurityGroups")?
        .first()
        .ok_or_else(|| not_there("security group", group))?;
    let mut rules = Vec::new();
    for (name, inbound) in [("IpPermissions", true), ("IpPermissionsEgress", false)] {
        for permission in list(found, name)? {
            let protocol = protocol(permission, "IpProtocol");
            // A group writes the type and the code of ICMP where the ports of others stand.
            let pair = || (maybe_int(permission, "FromPort"), maybe_int(permission, "ToPort"));
            let nothing = (Value::None, Value::None);
            let (ports, icmp) = if has_types(&protocol) {
                (nothing, pair())
            } else {
                (pair(), nothing)
            };
            for (sides, id) in [
                ("IpRanges", "CidrIp"),
                ("Ipv6Ranges", "CidrIpv6"),
                ("UserIdGroupPairs", "GroupId"),
                ("PrefixListIds", "PrefixListId"),
            ] {
                let sides = permission.get(sides).and_then(Json::as_array);
                rules.extend(sides.into_iter().flatten().map(|side| {
                    Value::record(
                        "Rule",
                        vec![
                            ("group", Value::text(group)),
                            ("inbound", Value::Bool(inbound)),
                            ("protocol", protocol.clone()),
                            ("from", ports.0.clone()),
                            ("to", ports.1.clone()),
                            ("icmp_type", icmp.0.clone()),
                            ("icmp_code", icmp.1.clone()),
                            ("other", text(side, id)),
                            ("description", maybe_text(side, "Description")),
                        ],
                    )
                }));
            }
        }
    }
    Ok(Value::list(rules))
}

/// The entries of the network ACL of a subnet, in the order in which they are looked at.
pub(super) async fn acl(talk: &Talk<'_>, subnet: &str) -> Result<Value, Unknown> {
    let values = json!({"Filters": [{"Name": "association.subnet-id", "Values": [subnet]}]});
    let answer = talk.read("ec2", "describe_network_acls", values).await?;
    let found = list(&answer, "NetworkAcls")?
        .first()
        .ok_or_else(|| not_there("network ACL of the subnet", subnet))?;
    let mut entries: Vec<&Json> = list(found, "Entries")?.iter().collect();
    entries.sort_by_key(|entry| {
        (
            entry.get("Egress").and_then(Json::as_bool),
            entry.get("RuleNumber").and_then(Json::as_i64),
        )
    });
    let entries = entries.into_iter().map(|entry| {
        let ports = entry.get("PortRange").cloned().unwrap_or_default();
        let icmp = entry.get("IcmpTypeCode").cloned().unwrap_or_default();
        let range = match entry.get("CidrBlock") {
            Some(_) => text(entry, "CidrBlock"),
            None => text(entry, "Ipv6CidrBlock"),
        };
        let egress = entry
            .get("Egress")
            .and_then(Json::as_bool)
            .ok_or_else(|| odd("Egress"))?;
        let allow = match entry.get("RuleAction").and_then(Json::as_str) {
            Some("allow") => true,
            Some("deny") => false,
            _ => return Err(odd("RuleAction")),
        };
        Ok(Value::record(
            "AclEntry",
            vec![
                ("acl", text(found, "NetworkAclId")),
                ("inbound", Value::Bool(!egress)),
                ("number", int(entry, "RuleNumber")),
                ("allow", Value::Bool(allow)),
                ("protocol", protocol(entry, "Protocol")),
                ("from", maybe_int(&ports, "From")),
                ("to", maybe_int(&ports, "To")),
                ("icmp_type", maybe_int(&icmp, "Type")),
                ("icmp_code", maybe_int(&icmp, "Code")),
                ("range", range),
            ],
        ))
    });
    Ok(Value::list(entries.collect::<Result<_, Unknown>>()?))
}

/// The flow logs of a network, a subnet or an interface.
pub(super) async fn flow_logs(talk: &Talk<'_>, resource: &str) -> Result<Value, Unknown> {
    let values = json!({"Filter": [{"Name": "resource-id", "Values": [resource]}]});
    let answer = talk.read("ec2", "describe_flow_logs", values).await?;
    let logs = list(&answer, "FlowLogs")?.iter().map(|log| {
        let destination = match log.get("LogDestination").and_then(Json::as_str) {
            Some(_) => maybe_text(log, "LogDestination"),
            None => maybe_text(log, "LogGroupName"),
        };
        Value::record(
            "FlowLog",
            vec![
                ("id", text(log, "FlowLogId")),
                ("resource", text(log, "ResourceId")),
                ("status", text(log, "FlowLogStatus")),
                ("traffic", maybe_text(log, "TrafficType")),
                ("destination", destination),
                ("delivered", maybe_text(log, "DeliverLogsStatus")),
                ("problem", maybe_text(log, "DeliverLogsErrorMessage")),
            ],
        )
    });
    Ok(Value::list(logs.collect()))
}
