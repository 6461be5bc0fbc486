//! What a patch makes of an object.

use serde_json::{Map, Value as Json};

/// A merge patch: objects are merged, null removes, everything else replaces.
pub fn merge(object: &mut Json, patch: &Json) {
    let Json::Object(patch) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = Json::Object(Map::new());
    }
    let fields = object.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            fields.remove(key);
        } else {
            merge(fields.entry(key.clone()).or_insert(Json::Null), value);
        }
    }
}

/// The key by which a list's elements are told apart, as the schema has it.
pub fn merge_key(list: &str) -> Option<&'static str> {
    Some(match list {
        "containers" | "initContainers" | "env" | "volumes" => "name",
        "ports" => "containerPort",
        "conditions" => "type",
        _ => return None,
    })
}

/// A strategic merge patch: like a merge patch, but lists with a key are merged element by element. An element without the key is a
/// failure of the server.
pub fn strategic(object: &mut Json, patch: &Json) -> Result<(), u16> {
    let Json::Object(patch) = patch else {
        *object = patch.clone();
        return Ok(());
    };
    if !object.is_object() {
        *object = Json::Object(Map::new());
    }
    let fields = object.as_object_mut().unwrap();
    for (key, value) in patch {
        if key.starts_with('$') {
            continue;
        }
        match (value, merge_key(key)) {
            (Json::Null, _) => {
                fields.remove(key);
            }
            (Json::Array(elements), Some(merge_key)) => {
                let list = fields.entry(key.clone()).or_insert_with(|| Json::Array(Vec::new()));
                let list = list.as_array_mut().ok_or(422_u16)?;
                let mut front = 0;
                for element in elements {
                    let name = element.get(merge_key).ok_or(500_u16)?;
                    let place = list.iter().position(|known| known.get(merge_key) == Some(name));
                    let gone = element.get("$patch").is_some_and(|word| word == "delete");
                    match (place, gone) {
                        (Some(place), true) => {
                            list.remove(place);
                        }
                        (None, true) => {}
                        (Some(place), false) => {
                            strategic(&mut list[place], element)?;
                            front = place + 1;
                        }
                        (None, false) => {
                            let mut made = Json::Null;
                            strategic(&mut made, element)?;
                            // A new element stands behind the one that the patch names before it.
                            list.insert(front, made);
                            front += 1;
                        }
                    }
                }
                if list.is_empty() {
                    fields.remove(key);
                }
            }
            (Json::Array(elements), None) => {
                // A list without a key is replaced as a whole; words to the server are not kept.
                let mut elements = elements.clone();
                for element in &mut elements {
                    if let Some(fields) = element.as_object_mut() {
                        fields.retain(|key, _| !key.starts_with('$'));
                    }
                }
                fields.insert(key.clone(), Json::Array(elements));
            }
            _ => strategic(fields.entry(key.clone()).or_insert(Json::Null), value)?,
        }
    }
    Ok(())
}

/// A JSON patch of the steps `test`, `replace`, `add` and `remove`; all or nothing.
pub fn json(object: &mut Json, steps: &Json) -> Result<(), u16> {
    let mut made = object.clone();
    for step in steps.as_array().ok_or(400_u16)? {
        let path = step["path"].as_str().ok_or(400_u16)?;
        let value = step.get("value").cloned().unwrap_or(Json::Null);
        let (parent, key) = path.rsplit_once('/').ok_or(400_u16)?;
        let key = key.replace("~1", "/").replace("~0", "~");
        match step["op"].as_str() {
            Some("test") => {
                if made.pointer(path) != Some(&value) {
                    return Err(422);
                }
            }
            Some("replace") => *made.pointer_mut(path).ok_or(422_u16)? = value,
            Some("add") => match made.pointer_mut(parent).ok_or(422_u16)? {
                Json::Object(fields) => {
                    fields.insert(key, value);
                }
                Json::Array(list) => list.push(value),
                _ => return Err(422),
            },
            Some("remove") => {
                let fields = made.pointer_mut(parent).and_then(Json::as_object_mut).ok_or(422_u16)?;
                fields.remove(&key).ok_or(422_u16)?;
            }
            _ => return Err(400),
        }
    }
    *object = made;
    Ok(())
}
