//! The form of a code quality report: a subset of Code Climate's, as GitLab reads it.

use super::{Group, file_name};
use crate::diagnostic::Level;
use crate::render::safe::safe;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Findings as one list of issues. A finding keeps its fingerprint when its line moves.
pub fn gitlab(groups: &[Group<'_>]) -> String {
    let mut seen: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    let mut issues = Vec::new();
    for (sources, found) in groups {
        for diagnostic in *found {
            let path = file_name(sources, diagnostic.span);
            let (line, _) = sources.line_column(diagnostic.span);
            let mut text = diagnostic.message.clone();
            if let Some(help) = &diagnostic.help {
                text.push_str(". ");
                text.push_str(help);
            }
            let about = format!(
                "{}\0{path}\0{}\0{}",
                diagnostic.rule,
                diagnostic.message,
                sources.text(diagnostic.span)
            );
            // Of two equal findings in one file only the first would be shown.
            let nth = seen.entry(about.clone()).or_default();
            *nth += 1;
            let fingerprint = hex::encode(Sha256::digest(format!("{about}\0{nth}")));
            issues.push(json!({
                "description": safe(&text),
                "check_name": diagnostic.rule,
                "fingerprint": &fingerprint[..32],
                "severity": match diagnostic.level {
                    Level::Error => "critical",
                    Level::Warning => "minor",
                    Level::Note => "info",
                },
                "location": {"path": path.trim_start_matches("./"), "lines": {"begin": line}},
            }));
        }
    }
    format!("{}\n", Value::Array(issues))
}
