//! Selectors of labels and of fields.

use serde_json::Value as Json;

pub fn supported(field: &str) -> bool {
    field.starts_with("metadata.name")
        || field.starts_with("involvedObject.")
        || matches!(
            field,
            "type" | "reason" | "spec.nodeName" | "status.phase" | "metadata.namespace"
        )
}

/// Whether an object's labels fit a selector: `a=b`, `a!=b`, `a in (b,c)`, `a notin (b,c)`, `a`, `!a`.
pub fn labelled(object: &Json, selector: &str) -> bool {
    let mut parts = Vec::new();
    let mut depth = 0;
    let mut part = String::new();
    for letter in selector.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if letter == ',' && depth == 0 {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(letter);
        }
    }
    parts.push(part);
    parts.iter().all(|part| {
        let part = part.trim();
        let label = |key: &str| object["metadata"]["labels"].get(key.trim()).and_then(Json::as_str);
        let within = |list: &str, value: Option<&str>| {
            let list = list.trim().trim_matches(['(', ')']);
            value.is_some_and(|value| list.split(',').any(|known| known.trim() == value))
        };
        if let Some((key, list)) = part.split_once(" notin ") {
            !within(list, label(key))
        } else if let Some((key, list)) = part.split_once(" in ") {
            within(list, label(key))
        } else if let Some((key, value)) = part.split_once("!=") {
            label(key) != Some(value.trim())
        } else if let Some((key, value)) = part.split_once('=') {
            label(key) == Some(value.trim_start_matches('=').trim())
        } else if let Some(key) = part.strip_prefix('!') {
            label(key).is_none()
        } else {
            label(part).is_some()
        }
    })
}

/// Whether an object's fields fit a selector: `a=b`, `a!=b`.
pub fn fielded(object: &Json, selector: &str) -> bool {
    selector.split(',').all(|part| {
        let (field, value, equal) = match part.split_once("!=") {
            Some((field, value)) => (field, value, false),
            None => {
                let (field, value) = part.split_once('=').unwrap();
                (field, value.trim_start_matches('='), true)
            }
        };
        let pointer = format!("/{}", field.replace('.', "/"));
        let is = object.pointer(&pointer).and_then(Json::as_str).unwrap_or_default() == value;
        is == equal
    })
}
