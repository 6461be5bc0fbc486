//! `starr explain`: the page of a rule.

use super::args::Explain;
use super::output::{Output, line, print};
use super::{Exit, Failure, table};
use crate::check::rules;
use crate::diagnostic::Level;

/// Prints a rule's page, or the list of rules.
pub fn explain(args: &Explain, output: Output) -> Result<Exit, Failure> {
    let Some(id) = &args.rule else { return list(output) };
    match rules::find(id) {
        Ok(rule) => {
            if output.json {
                line(&serde_json::json!({ "rule": rule.id, "level": rule.level, "summary": rule.summary, "page": rule.page }).to_string());
            } else {
                print(&format!("{}\n", rule.page.trim_end()));
            }
            Ok(Exit::Good)
        }
        Err(unknown) => {
            let hint = unknown
                .meant
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default();
            Err(Failure::usage(format!(
                "there is no rule `{id}`{hint} `starr explain` lists all rules"
            )))
        }
    }
}

fn list(output: Output) -> Result<Exit, Failure> {
    if output.json {
        let all: Vec<_> = rules::RULES
            .iter()
            .map(|rule| serde_json::json!({ "rule": rule.id, "level": rule.level, "summary": rule.summary }))
            .collect();
        line(&serde_json::Value::from(all).to_string());
        return Ok(Exit::Good);
    }
    let mut lines = vec![vec!["rule".to_owned(), "level".to_owned(), "finds".to_owned()]];
    lines.extend(rules::RULES.iter().map(|rule| {
        let level = match rule.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "note",
        };
        vec![rule.id.to_owned(), level.to_owned(), rule.summary.to_owned()]
    }));
    for text in table::align(&lines, output.width) {
        line(&text);
    }
    Ok(Exit::Good)
}
