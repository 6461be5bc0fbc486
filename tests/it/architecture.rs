//! The arrows between the layers, read from the `use` lines and paths of the sources.

use std::path::{Path, PathBuf};

/// Layers from the bottom up. A layer may use what stands before it.
const LAYERS: &[&str] = &[
    "limits",
    "source",
    "diagnostic",
    "secrets",
    "value",
    "models",
    "intake",
    "syntax",
    "provider",
    "program",
    "journal",
    "eval",
    "check",
    "trust",
    "plan",
    "diff",
    "engine",
    "render",
    "scenario",
    "providers",
    "recording",
    "policy",
    "config",
    "cli",
];

/// Arrows that point up and are meant to.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    // The phrases of the guide are also those of the approval prompt.
    ("engine", "render", "words"),
    ("engine", "render", "safe"),
    // The login name is a fact of the process that the embedded default needs.
    ("config", "cli", "login"),
];

/// Layers that may not touch files, network, clock, environment or async.
const PURE: &[&str] = &[
    "limits",
    "source",
    "diagnostic",
    "value",
    "models",
    "syntax",
    "program",
    "eval",
    "check",
    "plan",
    "diff",
    "render",
];

const OUTSIDE: &[&str] = &[
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
    "tokio::",
    "reqwest::",
    "sqlx::",
    "Timestamp::now",
    "Zoned::now",
    "async fn",
    "async move",
];

fn sources() -> Vec<(String, PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    found
        .into_iter()
        // A module's tests may use what they like.
        .filter(|path| {
            !path
                .components()
                .any(|part| part.as_os_str().to_string_lossy().starts_with("tests"))
        })
        .map(|path| {
            let relative = path.strip_prefix(&root).unwrap().to_path_buf();
            let first = relative
                .components()
                .next()
                .unwrap()
                .as_os_str()
                .to_string_lossy()
                .into_owned();
            let layer = first.strip_suffix(".rs").unwrap_or(&first).to_owned();
            (layer, relative, std::fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// The code before the file's own tests, without comments.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    text[..end]
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn arrows_go_one_way() {
    let mut wrong = Vec::new();
    for (layer, path, text) in sources() {
        let Some(rank) = LAYERS.iter().position(|known| *known == layer) else {
            assert!(
                layer == "lib" || layer == "main",
                "{} is in no layer: add it to LAYERS",
                path.display()
            );
            continue;
        };
        let code = code(&text);
        for (place, _) in code.match_indices("crate::") {
            let rest = &code[place + "crate::".len()..];
            let end = rest
                .find(|character: char| !character.is_alphanumeric() && character != '_' && character != ':')
                .unwrap_or(rest.len());
            let path_used = &rest[..end];
            let mut parts = path_used.split("::");
            let target = parts.next().unwrap_or_default();
            let inner = parts.next().unwrap_or_default();
            let Some(above) = LAYERS.iter().position(|known| *known == target) else {
                continue;
            };
            let meant = EXCEPTIONS
                .iter()
                .any(|(from, to, what)| *from == layer && *to == target && *what == inner);
            if above > rank && !meant {
                wrong.push(format!("{}: crate::{path_used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "these arrows point up:\n{}", wrong.join("\n"));
}

#[test]
fn pure_layers_touch_nothing_outside() {
    let mut wrong = Vec::new();
    for (layer, path, text) in sources() {
        if !PURE.contains(&layer.as_str()) {
            continue;
        }
        let code = code(&text);
        wrong.extend(
            OUTSIDE
                .iter()
                .filter(|word| code.contains(**word))
                .map(|word| format!("{}: {word}", path.display())),
        );
    }
    assert!(wrong.is_empty(), "pure layers reach outside:\n{}", wrong.join("\n"));
}

#[test]
fn no_file_is_longer_than_a_newcomer_can_read() {
    let long: Vec<_> = sources()
        .into_iter()
        .map(|(_, path, text)| (text.lines().count(), path))
        .filter(|(lines, _)| *lines > 800)
        .collect();
    assert!(long.is_empty(), "split these by construct: {long:?}");
}
