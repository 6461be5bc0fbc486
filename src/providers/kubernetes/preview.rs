//! What a change would do, said by the API server: it checks everything, answers what would come of it, and stores nothing.

use super::failure::crop;
use super::json::{self, Json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// Lines that are kept.
const LINES: usize = 40;

/// Characters of one value that are shown.
const SHOWN: usize = 120;

/// What was seen while a change was tried out.
#[derive(Default)]
pub struct Dry(Mutex<Vec<String>>);

impl Dry {
    fn push(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < LINES {
            lines.push(line);
        }
    }

    /// A line of its own.
    pub fn say(&self, line: impl Into<String>) {
        self.push(line.into());
    }

    /// What the server would have done. `hide`: a secret was inside, so nothing of it is repeated.
    pub fn saw(&self, method: &str, path: &str, before: Option<&Json>, after: &Json, hide: bool) {
        let what = object_of(path);
        match (method, before) {
            _ if hide => self.push(format!("{what}: would be written; what stands in it is not shown")),
            ("DELETE", _) => self.push(format!("{what}: would be deleted")),
            ("POST", _) if path.ends_with("/eviction") => self.push(format!("{what}: would be evicted")),
            ("POST", _) | (_, None) => {
                let name = json::text(after, "/metadata/name").unwrap_or_default();
                let what = if what.ends_with(name) {
                    what
                } else {
                    format!("{what}/{name}")
                };
                self.push(format!("{what}: would be made"));
            }
            (_, Some(before)) => {
                let mut changes = Vec::new();
                differences("", before, after, &mut changes);
                if changes.is_empty() {
                    self.push(format!("{what}: nothing would change"));
                }
                for change in changes {
                    self.push(format!("{what}: {change}"));
                }
            }
        }
    }

    /// How pods would fare that nothing was sent about, or that were refused.
    pub fn fared(&self, already_gone: i64, protected: i64) {
        if already_gone > 0 {
            self.push(format!("{already_gone} are gone already"));
        }
        if protected > 0 {
            self.push(format!(
                "{protected} may not go now: a disruption budget has nothing left"
            ));
        }
    }

    /// Everything that was seen; a line that says so when it was nothing.
    pub fn lines(self) -> Vec<String> {
        let lines = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        if lines.is_empty() {
            return vec!["nothing would be sent: it is so already".to_owned()];
        }
        lines
    }
}

/// The object of a path, as people name it: `deployments/web`.
fn object_of(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let front = if parts.first() == Some(&"api") { 2 } else { 3 };
    let rest = parts.get(front..).unwrap_or_default();
    let rest = match rest {
        ["namespaces", _, inside @ ..] if !inside.is_empty() => inside,
        other => other,
    };
    rest.iter().take(2).copied().collect::<Vec<_>>().join("/")
}

/// Parts of an object that its readers do not write.
const NOT_MEANT: &[&str] = &[
    "/status",
    "/metadata/managedFields",
    "/metadata/resourceVersion",
    "/metadata/generation",
    "/metadata/creationTimestamp",
    "/metadata/uid",
    "/metadata/annotations/kubectl.kubernetes.io/last-applied-configuration",
];

/// The places that differ, with both values. Values of variables are not repeated: they may be credentials.
fn differences(at: &str, before: &Json, after: &Json, out: &mut Vec<String>) {
    if before == after || NOT_MEANT.contains(&at) || out.len() > LINES {
        return;
    }
    let empty = Json::Null;
    match (before, after) {
        (Json::Object(left), Json::Object(right)) => {
            let mut keys: Vec<&String> = left.keys().chain(right.keys()).collect();
            keys.sort();
            keys.dedup();
            for key in keys {
                if out.len() > LINES {
                    return;
                }
                let (left, right) = (left.get(key).unwrap_or(&empty), right.get(key).unwrap_or(&empty));
                differences(&format!("{at}/{key}"), left, right, out);
            }
        }
        (Json::Array(left), Json::Array(right)) if named(left) && named(right) => {
            let (left, right) = (by_name(left), by_name(right));
            let names: BTreeSet<&str> = left.keys().chain(right.keys()).copied().collect();
            for name in names {
                if out.len() > LINES {
                    return;
                }
                let (left, right) = (left.get(name).copied(), right.get(name).copied());
                differences(
                    &format!("{at}[{name}]"),
                    left.unwrap_or(&empty),
                    right.unwrap_or(&empty),
                    out,
                );
            }
        }
        _ => out.push(format!("{} {}", place(at), change(at, before, after))),
    }
}

fn named(list: &[Json]) -> bool {
    !list.is_empty() && list.iter().all(|item| json::text(item, "/name").is_some())
}

/// The first of each name.
fn by_name(list: &[Json]) -> BTreeMap<&str, &Json> {
    let mut found = BTreeMap::new();
    for item in list {
        if let Some(name) = json::text(item, "/name") {
            found.entry(name).or_insert(item);
        }
    }
    found
}

fn place(at: &str) -> String {
    crop(&at.trim_start_matches('/').replace('/', "."), 200)
}

fn change(at: &str, before: &Json, after: &Json) -> String {
    if at.contains("/env[") || at.contains("/env/") || at.ends_with("/env") || at.starts_with("/stringData") {
        return match (before.is_null(), after.is_null()) {
            (true, false) => "would be set",
            (false, true) => "would be removed",
            _ => "would change",
        }
        .to_owned();
    }
    match (before.is_null(), after.is_null()) {
        (true, _) => format!("would be set to {}", shown(after)),
        (_, true) => format!("would be removed, was {}", shown(before)),
        _ => format!("{} would be {}", shown(before), shown(after)),
    }
}

fn shown(value: &Json) -> String {
    match value {
        Json::String(text) => crop(text, SHOWN),
        other => crop(&masked(other).to_string(), SHOWN),
    }
}

/// A piece of an object as it may be shown: without the values of variables, wherever in it they stand, and without the copy of
/// everything that a tool keeps in an annotation.
fn masked(value: &Json) -> Json {
    match value {
        Json::Object(fields) => fields
            .iter()
            .filter(|(name, _)| *name != "kubectl.kubernetes.io/last-applied-configuration")
            .map(|(name, inside)| {
                let inside = match (name.as_str(), inside) {
                    ("env", Json::Array(variables)) => variables
                        .iter()
                        .map(|variable| variable.get("name").cloned().unwrap_or(Json::Null))
                        .collect(),
                    ("env" | "stringData", _) => Json::from("…"),
                    _ => masked(inside),
                };
                (name.clone(), inside)
            })
            .collect(),
        Json::Array(items) => items.iter().map(masked).collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Dry, object_of};
    use serde_json::json;

    #[test]
    fn what_would_change_is_said_place_by_place_and_variables_keep_their_values() {
        let before = json!({
            "metadata": {"resourceVersion": "1", "generation": 1},
            "spec": {"replicas": 3, "template": {"spec": {"containers": [
                {"name": "main", "image": "web:1", "env": [{"name": "TOKEN", "value": "canary-1"}]},
                {"name": "side", "image": "s:1"},
            ]}}},
            "status": {"replicas": 3},
        });
        let mut after = before.clone();
        after["metadata"]["generation"] = 2.into();
        after["spec"]["replicas"] = 5.into();
        after["spec"]["template"]["spec"]["containers"][0]["image"] = "web:2".into();
        after["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] = "canary-2".into();
        let dry = Dry::default();
        let path = "/apis/apps/v1/namespaces/shop/deployments/web";
        dry.saw("PATCH", path, Some(&before), &after, false);
        dry.saw("PATCH", path, Some(&before), &before, false);
        let lines = dry.lines();
        assert_eq!(
            lines,
            [
                "deployments/web: spec.replicas 3 would be 5",
                "deployments/web: spec.template.spec.containers[main].env[TOKEN].value would change",
                "deployments/web: spec.template.spec.containers[main].image web:1 would be web:2",
                "deployments/web: nothing would change",
            ]
        );
    }

    #[test]
    fn what_comes_or_goes_as_a_whole_keeps_the_values_of_its_variables() {
        let pod = |containers: serde_json::Value| json!({"spec": {"template": {"spec": {"containers": containers}}}});
        let main = json!({"name": "main", "image": "web:1"});
        let side = json!({"name": "a", "env": [{"name": "TOKEN", "value": "canary-3"}]});
        let path = "/apis/apps/v1/namespaces/shop/deployments/web";
        let dry = Dry::default();
        let (without, with) = (pod(json!([main])), pod(json!([main, side])));
        dry.saw("PATCH", path, Some(&without), &with, false);
        dry.saw("PATCH", path, Some(&with), &without, false);
        dry.saw("PATCH", path, Some(&json!({})), &with, false);
        let annotated = json!({"metadata": {"annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": "canary-3", "team": "web",
        }}});
        dry.saw("PATCH", path, Some(&json!({"metadata": {}})), &annotated, false);
        let lines = dry.lines();
        assert!(!lines.concat().contains("canary-3"), "{lines:#?}");
        assert!(lines[0].contains("TOKEN") && lines[3].contains("team"), "{lines:#?}");
    }

    #[test]
    fn long_lists_of_names_are_compared_in_time() {
        let list = |last: &str| {
            let items: Vec<_> = (0..100_000)
                .map(|number| json!({"name": format!("n{number}")}))
                .chain([json!({"name": "z", "value": last})])
                .collect();
            json!({"spec": {"list": items}})
        };
        let dry = Dry::default();
        let begin = std::time::Instant::now();
        dry.saw("PATCH", "/api/v1/namespaces/shop", Some(&list("1")), &list("2"), false);
        assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
        assert_eq!(dry.lines(), ["namespaces/shop: spec.list[z].value 1 would be 2"]);
    }

    #[test]
    fn an_object_is_named_as_people_do() {
        assert_eq!(object_of("/api/v1/nodes/a"), "nodes/a");
        assert_eq!(object_of("/api/v1/namespaces/shop/pods/p/eviction"), "pods/p");
        assert_eq!(object_of("/apis/batch/v1/namespaces/shop/jobs"), "jobs");
        assert_eq!(object_of("/api/v1/namespaces/shop"), "namespaces/shop");
    }

    #[test]
    fn nothing_is_said_in_words_and_a_secret_is_not_repeated() {
        assert_eq!(Dry::default().lines(), ["nothing would be sent: it is so already"]);
        let dry = Dry::default();
        let after = json!({"data": {"key": "Y2FuYXJ5"}});
        dry.saw("PATCH", "/api/v1/namespaces/shop/secrets/s", None, &after, true);
        assert!(!dry.lines().concat().contains("Y2FuYXJ5"));
    }
}
