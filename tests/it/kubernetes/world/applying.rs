//! Server-side apply: who set which field, and whose fields a manifest would change. A list is one field here, whatever its keys.

use super::{Reply, Request, Target, World, patches, reply, status};
use serde_json::{Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// The fields of an object by who set them: `[data, A]`.
pub type Managers = BTreeMap<String, BTreeSet<Vec<String>>>;

fn leaves(json: &Json, at: &[String], found: &mut BTreeSet<Vec<String>>) {
    match json {
        Json::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                leaves(value, &[at, std::slice::from_ref(name)].concat(), found);
            }
        }
        _ => {
            found.insert(at.to_vec());
        }
    }
}

/// What a manifest sets: not what names the object.
fn set_by(manifest: &Json) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    leaves(manifest, &[], &mut found);
    let names = ["apiVersion", "kind", "metadata.name", "metadata.namespace"];
    found.retain(|leaf| !names.contains(&leaf.join(".").as_str()));
    // An empty object sets nothing.
    found.retain(|leaf| value(manifest, leaf) != Some(&json!({})));
    found
}

fn value<'a>(object: &'a Json, leaf: &[String]) -> Option<&'a Json> {
    leaf.iter().try_fold(object, |json, name| json.get(name))
}

fn drop_leaf(object: &mut Json, leaf: &[String]) {
    let Some((last, before)) = leaf.split_last() else {
        return;
    };
    let parent = before.iter().try_fold(object, |json, name| json.get_mut(name));
    if let Some(fields) = parent.and_then(Json::as_object_mut) {
        fields.remove(last);
    }
}

impl World {
    pub(super) fn apply(&mut self, request: &Request, target: &Target, path: &str) -> Reply {
        let Some(manager) = request.asks("fieldManager").filter(|name| !name.is_empty()) else {
            let message =
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
            return status(422, "Invalid", message.to_owned(), Json::Null);
        };
        let manager = manager.to_owned();
        let ours = set_by(&request.body);
        let dry = request.asks("dryRun") == Some("All");
        let Some(before) = self.objects.get(path).cloned() else {
            self.put(path, request.body.clone());
            let made = self.object(path).clone();
            if dry {
                self.objects.remove(path);
            } else {
                self.managers.insert(path.to_owned(), Managers::from([(manager, ours)]));
            }
            return reply(201, made);
        };
        let mut managers = self.managers.get(path).cloned().unwrap_or_default();
        let mut conflicts: Vec<(String, Vec<String>)> = Vec::new();
        for (other, fields) in managers.iter().filter(|(other, _)| **other != manager) {
            let changed = |leaf: &&Vec<String>| value(&before, leaf) != value(&request.body, leaf);
            conflicts.extend(
                ours.intersection(fields)
                    .filter(changed)
                    .map(|leaf| (other.clone(), leaf.clone())),
            );
        }
        if !conflicts.is_empty() && request.asks("force") != Some("true") {
            return refused(&conflicts);
        }
        for (other, leaf) in conflicts {
            managers.get_mut(&other).unwrap().remove(&leaf);
        }
        let mut made = before.clone();
        if patches::strategic(&mut made, &request.body).is_err() {
            return status(400, "BadRequest", "the manifest cannot be merged".to_owned(), json!({}));
        }
        // What we set before and set no longer is gone, unless somebody else set it too.
        let was = managers.insert(manager, ours.clone()).unwrap_or_default();
        for leaf in was.difference(&ours) {
            if !managers.values().any(|fields| fields.contains(leaf)) {
                drop_leaf(&mut made, leaf);
            }
        }
        if !dry {
            self.managers.insert(path.to_owned(), managers);
        }
        self.store(path, target, dry, made)
    }
}

/// As the real server says it: one conflict on one line, several in a list for each of the others.
fn refused(conflicts: &[(String, Vec<String>)]) -> Reply {
    let field = |leaf: &[String]| format!(".{}", leaf.join("."));
    let message = match conflicts {
        [(other, leaf)] => format!(
            "Apply failed with 1 conflict: conflict with \"{other}\": {}",
            field(leaf)
        ),
        all => {
            let mut by: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            for (other, leaf) in all {
                by.entry(other).or_default().push(format!("- {}", field(leaf)));
            }
            let each: Vec<String> = by
                .iter()
                .map(|(other, fields)| format!("conflicts with \"{other}\":\n{}", fields.join("\n")))
                .collect();
            format!("Apply failed with {} conflicts: {}", all.len(), each.join("\n"))
        }
    };
    let causes: Vec<Json> = conflicts
        .iter()
        .map(|(other, leaf)| {
            json!({"reason": "FieldManagerConflict", "message": format!("conflict with \"{other}\""), "field": field(leaf)})
        })
        .collect();
    status(409, "Conflict", message, json!({"causes": causes}))
}
