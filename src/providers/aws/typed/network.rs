//! Who may reach what: rules of security groups, network ACLs, and whether flows are written down.

use super::{Talk, int, list, maybe_int, maybe_text, not_there, odd, text};
use crate::value::{Unknown, Value};
use serde_json::{Value as Json, json};

/// How the service writes "any protocol".
const ANY: &str = "-1";

fn protocol(json: &Json, name: &str) -> Value {
    match json.get(name).and_then(Json::as_str) {
        Some(ANY) => Value::text("all"),
        _ => text(json, name),
    }
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
                            ("protocol", protocol(permission, "IpProtocol")),
                            ("from", maybe_int(permission, "FromPort")),
                            ("to", maybe_int(permission, "ToPort")),
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
