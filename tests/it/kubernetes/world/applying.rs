//! Server-side apply: who set which field, and whose fields a manifest would change. Elements of lists with a key are fields of their own.

use super::request::KINDS;
use super::{Reply, Request, Target, World, patches, reply, status};
use serde_json::{Value as Json, json};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// A field: `data`, `A`; an element of a list with a key is `[name="web"]`.
type Leaf = Vec<String>;

/// The fields of an object by who set them. Who wrote a subresource is `NAME|SUBRESOURCE|API`.
pub type Managers = BTreeMap<String, BTreeSet<Leaf>>;

/// Objects that are one field whatever is in them.
const ATOMIC: &[&str] = &["selector", "fieldRef"];

/// The name of an element of a list with a key.
fn element(key: &str, element: &Json) -> Option<String> {
    let value = element.get(key)?;
    Some(match key {
        "containerPort" => {
            let protocol = element.get("protocol").and_then(Json::as_str).unwrap_or("TCP");
            format!("[containerPort={value},protocol=\"{protocol}\"]")
        }
        _ => format!("[{key}={value}]"),
    })
}

/// The elements of a list with a key by their names; `None` for any other value.
fn elements<'a>(list: &str, json: &'a Json) -> Option<Vec<(String, &'a Json)>> {
    let key = patches::merge_key(list)?;
    json.as_array()?
        .iter()
        .map(|one| element(key, one).map(|name| (name, one)))
        .collect()
}

fn leaves(json: &Json, at: &[String], found: &mut BTreeSet<Leaf>) {
    let last = at.last().map(String::as_str).unwrap_or_default();
    let below = |name: &str| [at, &[name.to_owned()]].concat();
    match (json, elements(last, json)) {
        (_, Some(elements)) => elements.iter().for_each(|(name, one)| leaves(one, &below(name), found)),
        (Json::Object(fields), _) if !fields.is_empty() && !ATOMIC.contains(&last) => {
            for (name, value) in fields {
                leaves(value, &below(name), found);
            }
        }
        _ => {
            found.insert(at.to_vec());
        }
    }
}

/// What a manifest sets: not what names the object, and nothing by an empty object.
fn set_by(manifest: &Json) -> BTreeSet<Leaf> {
    let mut found = BTreeSet::new();
    leaves(manifest, &[], &mut found);
    let names = ["apiVersion", "kind", "metadata.name", "metadata.namespace"];
    found.retain(|leaf| !names.contains(&leaf.join(".").as_str()));
    found.retain(|leaf| value(manifest, leaf) != Some(&json!({})));
    found
}

fn value<'a>(object: &'a Json, leaf: &[String]) -> Option<&'a Json> {
    let mut at = object;
    for (index, name) in leaf.iter().enumerate() {
        at = if name.starts_with('[') {
            let mut all = elements(&leaf[index - 1], at)?.into_iter();
            all.find(|(known, _)| known == name)?.1
        } else {
            at.get(name)?
        };
    }
    Some(at)
}

/// Takes a field away, and elements of lists of which nothing is left but their key.
fn drop_leaf(object: &mut Json, leaf: &[String]) {
    let Some((first, rest)) = leaf.split_first() else {
        return;
    };
    let Some(inner) = object.get_mut(first) else { return };
    let Some((next, behind)) = rest.split_first() else {
        if let Some(fields) = object.as_object_mut() {
            fields.remove(first);
        }
        return;
    };
    if !next.starts_with('[') {
        return drop_leaf(inner, rest);
    }
    let key = patches::merge_key(first).unwrap_or_default();
    if let Some(list) = inner.as_array_mut() {
        for one in list.iter_mut().filter(|one| element(key, one).as_ref() == Some(next)) {
            drop_leaf(one, behind);
        }
        list.retain(|one| one.as_object().is_none_or(|fields| !fields.is_empty()));
    }
}

/// What the manifest says over what there is. A new element of a list with a key stands at its end.
fn merge(object: &mut Json, manifest: &Json, name: &str) {
    match (patches::merge_key(name), manifest) {
        (Some(key), Json::Array(all)) => {
            if !object.is_array() {
                *object = json!([]);
            }
            let list = object.as_array_mut().unwrap();
            for one in all {
                let known = list.iter_mut().find(|known| element(key, known) == element(key, one));
                match known {
                    Some(known) => merge(known, one, ""),
                    None => list.push(one.clone()),
                }
            }
        }
        (_, Json::Object(fields)) if !ATOMIC.contains(&name) => {
            if !object.is_object() {
                *object = json!({});
            }
            for (name, value) in fields {
                merge(&mut object[name.as_str()], value, name);
            }
        }
        _ => *object = manifest.clone(),
    }
}

/// What the server fills in where a manifest is silent, of what can stand in a conflict: a field of a pod is one of this version.
fn fill_in(json: &mut Json) {
    match json {
        Json::Array(all) => all.iter_mut().for_each(fill_in),
        Json::Object(fields) => {
            if let Some(reference) = fields.get_mut("fieldRef").and_then(Json::as_object_mut) {
                reference.entry("apiVersion").or_insert_with(|| "v1".into());
            }
            fields.values_mut().for_each(fill_in);
        }
        _ => {}
    }
}

impl World {
    /// Somebody wrote these fields of a subresource: they are theirs from now on.
    pub(super) fn taken_over(&mut self, request: &Request, target: &Target, path: &str, leaf: &[&str]) {
        let (Some(manager), Some(managers)) = (request.asks("fieldManager"), self.managers.get_mut(path)) else {
            return;
        };
        let leaf: Leaf = leaf.iter().map(|name| (*name).to_owned()).collect();
        for fields in managers.values_mut() {
            fields.remove(&leaf);
        }
        let subresource = target.subresource.as_deref().unwrap_or_default();
        let who = format!("{manager}|{subresource}|{}", target.api);
        managers.entry(who).or_default().insert(leaf);
    }

    pub(super) fn apply(&mut self, request: &Request, target: &Target, path: &str) -> Reply {
        let Some(manager) = request.asks("fieldManager").filter(|name| !name.is_empty()) else {
            let message =
                "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch";
            return status(422, "Invalid", message.to_owned(), Json::Null);
        };
        let word = |name: &str| request.body.get(name).and_then(Json::as_str).unwrap_or_default();
        let kind = KINDS
            .iter()
            .find(|(api, resource, _)| *api == target.api && *resource == target.resource);
        if let (Some((api, _, kind)), true) = (kind, request.body.get("apiVersion").is_some())
            && (*api, *kind) != (word("apiVersion"), word("kind"))
        {
            let group = if word("apiVersion").contains('/') { "" } else { "/" };
            let message = format!(
                "invalid object type: {group}{}, Kind={}",
                word("apiVersion"),
                word("kind")
            );
            return status(400, "BadRequest", message, Json::Null);
        }
        let manager = manager.to_owned();
        let ours = set_by(&request.body);
        let dry = request.asks("dryRun") == Some("All");
        let Some(before) = self.objects.get(path).cloned() else {
            let mut body = request.body.clone();
            fill_in(&mut body);
            self.put(path, body);
            let made = self.object(path).clone();
            if dry {
                self.objects.remove(path);
            } else {
                self.managers.insert(path.to_owned(), Managers::from([(manager, ours)]));
            }
            return reply(201, made);
        };
        let mut managers = self.managers.get(path).cloned().unwrap_or_default();
        let mut conflicts: Vec<(String, Leaf)> = Vec::new();
        for (other, fields) in managers.iter().filter(|(other, _)| **other != manager) {
            let changed = |leaf: &&Leaf| value(&before, leaf) != value(&request.body, leaf);
            conflicts.extend(
                ours.intersection(fields)
                    .filter(changed)
                    .map(|leaf| (other.clone(), leaf.clone())),
            );
        }
        conflicts.sort_by(|(one, left), (other, right)| one.cmp(other).then_with(|| as_listed(left, right)));
        if !conflicts.is_empty() && request.asks("force") != Some("true") {
            return refused(&conflicts);
        }
        for (other, leaf) in conflicts {
            managers.get_mut(&other).unwrap().remove(&leaf);
        }
        let mut made = before.clone();
        merge(&mut made, &request.body, "");
        fill_in(&mut made);
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

/// Fields of one object come before what is further in.
fn as_listed(left: &Leaf, right: &Leaf) -> Ordering {
    for (index, (one, other)) in left.iter().zip(right).enumerate() {
        if one != other {
            let ends = |leaf: &Leaf| leaf.len() > index + 1;
            return ends(left).cmp(&ends(right)).then_with(|| one.cmp(other));
        }
    }
    left.len().cmp(&right.len())
}

/// As the real server says it: one conflict on one line, several in a list for each of the others.
fn refused(conflicts: &[(String, Leaf)]) -> Reply {
    let field = |leaf: &[String]| {
        let named = leaf.iter().map(|name| {
            if name.starts_with('[') {
                name.clone()
            } else {
                format!(".{name}")
            }
        });
        named.collect::<String>()
    };
    let who = |other: &str| match *other.split('|').collect::<Vec<_>>() {
        [name, subresource, api] => format!("\"{name}\" with subresource \"{subresource}\" using {api}"),
        _ => format!("\"{other}\""),
    };
    let message = match conflicts {
        [(other, leaf)] => format!(
            "Apply failed with 1 conflict: conflict with {}: {}",
            who(other),
            field(leaf)
        ),
        all => {
            let mut by: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            for (other, leaf) in all {
                by.entry(other).or_default().push(format!("- {}", field(leaf)));
            }
            let each: Vec<String> = by
                .iter()
                .map(|(other, fields)| format!("conflicts with {}:\n{}", who(other), fields.join("\n")))
                .collect();
            format!("Apply failed with {} conflicts: {}", all.len(), each.join("\n"))
        }
    };
    let causes: Vec<Json> = conflicts
        .iter()
        .map(|(other, leaf)| {
            json!({"reason": "FieldManagerConflict", "message": format!("conflict with {}", who(other)), "field": field(leaf)})
        })
        .collect();
    status(409, "Conflict", message, json!({"causes": causes}))
}
