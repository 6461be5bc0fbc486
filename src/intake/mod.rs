//! Alerts as they come from outside: what Alertmanager and PagerDuty send to a web hook, as labels and annotations. Pure.
//!
//! An alert is data. It may say which runbook of a folder is meant and give values to its parameters; it can do nothing else.

#[cfg(test)]
mod tests;

use crate::limits::{ALERT_BYTES, ALERT_LABEL_BYTES, ALERT_LABELS};
use serde::Deserialize;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// The label or annotation that names a runbook.
pub const RUNBOOK: &str = "runbook";

/// Nothing is to be looked at any more.
const OVER: &str = "is over";

const FIRES: &str = "fires";

/// One alert, or a group of alerts that fire together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Who sent it: `Alertmanager` or `PagerDuty`.
    pub source: &'static str,
    /// What the sender calls it.
    pub id: String,
    pub title: String,
    /// Something is to be looked at.
    pub firing: bool,
    /// What happened to it: `fires`, `is over`, `was acknowledged by Maria`.
    pub happened: String,
    /// Whether a person has it now, where that is what happened.
    pub acknowledged: Option<bool>,
    /// What all of them have in common.
    pub labels: BTreeMap<String, String>,
    /// Labels in which the alerts of a group differ.
    pub differing: BTreeSet<String>,
    pub annotations: BTreeMap<String, String>,
}

impl Alert {
    /// The runbook that is meant, as the alert names it.
    pub fn runbook(&self) -> Option<&str> {
        let found = self.annotations.get(RUNBOOK).or_else(|| self.labels.get(RUNBOOK));
        found.map(String::as_str)
    }

    /// One line for the record.
    pub fn line(&self) -> String {
        format!("{}: {} ({})", self.source, self.title, self.id)
    }

    /// The same with what happened to it.
    pub fn event(&self) -> String {
        format!("{} {}", self.line(), self.happened)
    }
}

/// Reads what a web hook is sent.
///
/// # Errors
/// Says what was found and what was expected. Nothing of the document is repeated but short names.
pub fn read(bytes: &[u8]) -> Result<Alert, String> {
    if bytes.len() > ALERT_BYTES {
        return Err(format!("the alert is larger than {ALERT_BYTES} bytes"));
    }
    let document: Json =
        serde_json::from_slice(bytes).map_err(|problem| format!("the alert is not a JSON document: {problem}"))?;
    let alert = if document.get("alerts").is_some() {
        alertmanager(document)
    } else if document.get("event").is_some() {
        pagerduty(document)
    } else {
        Err("expected the web hook of Alertmanager (`alerts`) or of PagerDuty (`event`)".to_owned())
    }?;
    let pairs = || alert.labels.iter().chain(&alert.annotations);
    if pairs().count() > ALERT_LABELS {
        return Err(format!("the alert has more than {ALERT_LABELS} labels and annotations"));
    }
    if pairs().any(|(name, value)| name.len() > ALERT_LABEL_BYTES || value.len() > ALERT_LABEL_BYTES) {
        return Err(format!(
            "a label or annotation is longer than {ALERT_LABEL_BYTES} bytes"
        ));
    }
    Ok(alert)
}

/// Version 4 of Alertmanager's web hook.
#[derive(Deserialize)]
struct Group {
    version: String,
    #[serde(rename = "groupKey", default)]
    key: String,
    #[serde(rename = "commonAnnotations", default)]
    common_annotations: BTreeMap<String, String>,
    alerts: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    status: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

fn alertmanager(document: Json) -> Result<Alert, String> {
    let group: Group = serde_json::from_value(document)
        .map_err(|problem| format!("this is not the web hook of Alertmanager: {problem}"))?;
    if group.version != "4" {
        return Err(format!(
            "expected version 4 of Alertmanager's web hook, found `{}`",
            group.version.chars().take(20).collect::<String>()
        ));
    }
    // What is over says nothing about what still fires.
    let firing: Vec<&One> = group.alerts.iter().filter(|alert| alert.status == "firing").collect();
    let all: Vec<&One> = if firing.is_empty() {
        group.alerts.iter().collect()
    } else {
        firing.clone()
    };
    let Some(first) = all.first() else {
        return Err("the group holds no alert".to_owned());
    };
    let mut labels = first.labels.clone();
    let mut differing = BTreeSet::new();
    for alert in &all {
        for name in alert.labels.keys().chain(first.labels.keys()) {
            if alert.labels.get(name) != first.labels.get(name) {
                labels.remove(name);
                differing.insert(name.clone());
            }
        }
    }
    let annotations = match all.as_slice() {
        [one] => one.annotations.clone(),
        _ => group.common_annotations,
    };
    let title = labels
        .get("alertname")
        .cloned()
        .unwrap_or_else(|| "an alert".to_owned());
    Ok(Alert {
        source: "Alertmanager",
        id: group.key,
        title,
        firing: !firing.is_empty(),
        happened: if firing.is_empty() { OVER } else { FIRES }.to_owned(),
        acknowledged: None,
        labels,
        differing,
        annotations,
    })
}

/// Version 3 of PagerDuty's web hook.
#[derive(Deserialize)]
struct Hook {
    event: Happened,
}

#[derive(Deserialize)]
struct Happened {
    event_type: String,
    /// Who did it.
    #[serde(default)]
    agent: Option<Named>,
    data: Incident,
}

#[derive(Deserialize)]
struct Incident {
    id: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    urgency: Option<String>,
    #[serde(default)]
    service: Option<Named>,
    #[serde(default)]
    priority: Option<Named>,
    #[serde(default)]
    custom_fields: Option<Vec<Field>>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    summary: String,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    #[serde(default)]
    value: Json,
}

fn pagerduty(document: Json) -> Result<Alert, String> {
    let hook: Hook = serde_json::from_value(document)
        .map_err(|problem| format!("this is not the web hook of PagerDuty: {problem}"))?;
    let kind = hook.event.event_type;
    // An incident that nobody took in time is announced again, and one that was taken, noted or passed on is nothing new.
    let firing = matches!(
        kind.as_str(),
        "incident.triggered" | "incident.reopened" | "incident.unacknowledged"
    );
    let by = hook
        .event
        .agent
        .map(|agent| agent.summary)
        .filter(|name| !name.is_empty());
    let by = by.map(|name| format!(" by {name}")).unwrap_or_default();
    let happened = match kind.as_str() {
        "incident.triggered" => FIRES.to_owned(),
        "incident.resolved" => format!("{OVER}, resolved{by}"),
        _ if kind.starts_with("incident.") => {
            let word: String = kind["incident.".len()..].chars().take(60).collect();
            format!("was {}{by}", word.replace(['_', '.'], " "))
        }
        _ => {
            return Err(format!(
                "expected an event of an incident, found `{}`",
                kind.chars().take(60).collect::<String>()
            ));
        }
    };
    // Whoever closes it has it, too; whoever passes it on has it no more.
    let acknowledged = match kind.as_str() {
        "incident.acknowledged" | "incident.resolved" => Some(true),
        "incident.triggered"
        | "incident.reopened"
        | "incident.unacknowledged"
        | "incident.reassigned"
        | "incident.delegated"
        | "incident.escalated" => Some(false),
        _ => None,
    };
    let incident = hook.event.data;
    let mut labels = BTreeMap::new();
    for field in incident.custom_fields.into_iter().flatten() {
        let text = match field.value {
            Json::Null => continue,
            Json::String(text) => text,
            other => other.to_string(),
        };
        labels.insert(field.name, text);
    }
    let given = [
        ("service", incident.service.map(|service| service.summary)),
        ("priority", incident.priority.map(|priority| priority.summary)),
        ("urgency", incident.urgency),
    ];
    for (name, value) in given {
        if let Some(value) = value {
            labels.entry(name.to_owned()).or_insert(value);
        }
    }
    Ok(Alert {
        source: "PagerDuty",
        id: incident.id,
        title: incident.title,
        firing,
        happened,
        acknowledged,
        labels,
        differing: BTreeSet::new(),
        annotations: BTreeMap::new(),
    })
}
