//! SARIF 2.1.0 (OASIS), the interchange form of static analysis results.

use super::{Group, document, end_of, file_name};
use crate::check::rules::RULES;
use crate::diagnostic::Level;
use crate::source::{Sources, Span};
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// Findings as one SARIF run. Lines and columns count from 1, columns in code points.
pub fn sarif(groups: &[Group<'_>]) -> String {
    let mut used: Vec<&str> = groups
        .iter()
        .flat_map(|(_, found)| found.iter().map(|diagnostic| diagnostic.rule))
        .collect();
    used.sort_unstable();
    used.dedup();
    let rules: Vec<Value> = used
        .iter()
        .map(|id| match RULES.iter().find(|rule| rule.id == *id) {
            Some(rule) => json!({
                "id": rule.id,
                "shortDescription": {"text": rule.summary},
                "help": {"text": rule.page, "markdown": rule.page},
                "defaultConfiguration": {"level": level(rule.level)},
            }),
            None => json!({"id": id}),
        })
        .collect();
    let mut results = Vec::new();
    for (sources, found) in groups {
        for diagnostic in *found {
            let mut text = diagnostic.message.clone();
            let label = Some(&diagnostic.label).filter(|label| !label.is_empty());
            for more in label.into_iter().chain(&diagnostic.help) {
                let _ = write!(text, ". {more}");
            }
            let mut result = Map::new();
            result.insert("ruleId".into(), json!(diagnostic.rule));
            result.insert(
                "ruleIndex".into(),
                json!(used.binary_search(&diagnostic.rule).unwrap_or_default()),
            );
            result.insert("level".into(), json!(level(diagnostic.level)));
            result.insert("message".into(), message(&text));
            result.insert(
                "locations".into(),
                json!([{"physicalLocation": location(sources, diagnostic.span)}]),
            );
            if !diagnostic.labels.is_empty() {
                let related: Vec<Value> = diagnostic
                    .labels
                    .iter()
                    .map(|label| {
                        json!({"message": message(&label.text), "physicalLocation": location(sources, label.span)})
                    })
                    .collect();
                result.insert("relatedLocations".into(), Value::Array(related));
            }
            if !diagnostic.edits.is_empty() {
                let changes: Vec<Value> = diagnostic
                    .edits
                    .iter()
                    .map(|edit| {
                        json!({
                            "artifactLocation": {"uri": uri(file_name(sources, edit.span))},
                            "replacements": [{
                                "deletedRegion": region(sources, edit.span),
                                "insertedContent": {"text": edit.replacement},
                            }],
                        })
                    })
                    .collect();
                result.insert("fixes".into(), json!([{"artifactChanges": changes}]));
            }
            results.push(Value::Object(result));
        }
    }
    document(&json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "starr", "semanticVersion": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    }))
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

/// In a message brackets make a link and braces a placeholder; source text must not.
fn message(text: &str) -> Value {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '[' | ']' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            '{' | '}' => {
                out.push(character);
                out.push(character);
            }
            _ => out.push(character),
        }
    }
    json!({"text": out})
}

fn region(sources: &Sources, span: Span) -> Value {
    let (line, column) = sources.line_column(span);
    let (end_line, end_column) = end_of(sources, span);
    json!({"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column})
}

fn location(sources: &Sources, span: Span) -> Value {
    json!({"artifactLocation": {"uri": uri(file_name(sources, span))}, "region": region(sources, span)})
}

/// A path as a URI reference: everything but letters, digits and `/ . - _ ~` as percent codes. A colon in the first part would
/// read as a scheme, so it is coded as well.
fn uri(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/.-_~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
