//! A scenario that is being written, by the tool for a person: from a recording, or from a run that failed.

use super::write;
use crate::source::FileId;
use crate::syntax;
use crate::value::{Type, Value};
use jiff::Timestamp;

/// The parts of a scenario in the order in which they are written.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    pub title: String,
    /// What the scenario is about, a line each, in Markdown.
    pub prose: Vec<String>,
    pub runbook: String,
    pub arguments: Vec<(String, Value)>,
    pub clock: Option<Timestamp>,
    pub given: Vec<DraftGiven>,
    /// Lines of `operator` as they are written: `approve roll_back as oncall`.
    pub operator: Vec<String>,
    /// Lines of `expect` as they are written: `outcome resolved`.
    pub expect: Vec<String>,
}

/// A line of `given`.
#[derive(Clone, Debug)]
pub struct DraftGiven {
    /// `postgres.sessions.list`
    pub operation: String,
    /// Arguments that must be equal, with their types.
    pub args: Vec<(String, Value, Type)>,
    /// Values as they are written ([`write::given`], `done after 1 min`, `fails "…"`), each with how long it stands
    /// (`until roll_back`, `until 5 min`; empty: for one call). The last stands for good.
    pub replies: Vec<(String, String)>,
}

impl DraftGiven {
    /// The line.
    pub fn line(&self, now: Timestamp) -> String {
        let args: Vec<String> = self
            .args
            .iter()
            .filter_map(|(name, value, ty)| Some(format!("{name}: {}", write::expression(value, ty, now)?)))
            .collect();
        let args = if args.is_empty() {
            String::new()
        } else {
            format!("({})", args.join(", "))
        };
        let mut line = format!("{}{args} -> ", self.operation);
        for (index, (value, until)) in self.replies.iter().enumerate() {
            if index > 0 {
                line.push_str(" then ");
            }
            line.push_str(value);
            if index + 1 < self.replies.len() && !until.is_empty() {
                line.push(' ');
                line.push_str(until);
            }
        }
        line
    }
}

impl Draft {
    /// The scenario in its canonical form.
    pub fn text(&self) -> String {
        let now = self.clock.unwrap_or(Timestamp::UNIX_EPOCH);
        let mut out = format!("scenario {} {{\n", write::quoted(&self.title));
        for line in &self.prose {
            out.push_str(&format!("  > {}\n", line.replace(['\n', '\r'], " ")));
        }
        let arguments: Vec<String> = self
            .arguments
            .iter()
            .filter_map(|(name, value)| Some(format!("{name}: {}", write::expression(value, &Type::Any, now)?)))
            .collect();
        out.push_str(&format!("  run {}({})\n", self.runbook, arguments.join(", ")));
        if let Some(clock) = self.clock {
            out.push_str(&format!("  clock {}\n", clock.strftime("%Y-%m-%d %H:%M:%S UTC")));
        }
        let given: Vec<String> = self.given.iter().map(|line| line.line(now)).collect();
        for (word, lines) in [
            ("given", &given),
            ("operator", &self.operator),
            ("expect", &self.expect),
        ] {
            if lines.is_empty() {
                continue;
            }
            out.push_str(&format!("  {word} {{\n"));
            for line in lines {
                out.push_str(&format!("    {line}\n"));
            }
            out.push_str("  }\n");
        }
        out.push_str("}\n");
        let parsed = syntax::parse(FileId(0), &out);
        if parsed.diagnostics.is_empty() {
            syntax::format(&parsed.file, &out)
        } else {
            out
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draft_is_a_scenario_in_its_canonical_form() {
        let draft = Draft {
            title: "A leak".to_owned(),
            prose: vec!["Recorded.".to_owned()],
            runbook: "pool".to_owned(),
            arguments: vec![("db".to_owned(), Value::text("orders"))],
            clock: Some("2026-11-22T03:00:00Z".parse().unwrap()),
            given: vec![
                DraftGiven {
                    operation: "postgres.sessions.list".to_owned(),
                    args: vec![("state".to_owned(), Value::variant("idle"), Type::Any)],
                    replies: vec![
                        ("14 of {age: 12 min}".to_owned(), "until end_idle".to_owned()),
                        ("none".to_owned(), String::new()),
                    ],
                },
                DraftGiven {
                    operation: "postgres.connections".to_owned(),
                    args: Vec::new(),
                    replies: vec![
                        ("{share: 97 %}".to_owned(), String::new()),
                        ("timeout".to_owned(), String::new()),
                    ],
                },
            ],
            operator: vec!["approve end_idle as oncall after 2 min".to_owned()],
            expect: vec!["cause idle".to_owned(), "outcome resolved within 20 min".to_owned()],
        };
        let text = draft.text();
        assert_eq!(
            text,
            r#"scenario "A leak" {
  > Recorded.
  run   pool(db: "orders")
  clock 2026-11-22 03:00:00 UTC
  given {
    postgres.sessions.list(state: idle) -> 14 of {age: 12 min} until end_idle then none
    postgres.connections                -> {share: 97 %} then timeout
  }
  operator {
    approve end_idle as oncall after 2 min
  }
  expect {
    cause   idle
    outcome resolved within 20 min
  }
}
"#
        );
        let parsed = syntax::parse(FileId(0), &text);
        assert!(parsed.diagnostics.is_empty());
        assert_eq!(syntax::format(&parsed.file, &text), text);
    }
}
