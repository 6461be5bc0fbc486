mod corpus;
mod findings;
mod limits;
mod properties;

use super::parse;
use super::tree::{ClauseKind, ItemKind, QuestionForm};
use crate::source::FileId;

#[test]
fn a_runbook_becomes_a_tree_without_findings() {
    let text = r#"
use std.postgres.{Postgres, stuck_sessions}

runbook pool(db: Postgres, limit: Int = 5) "The pool is full" {
  > Requests to {db} wait.
  owner "team"
  timebox 60 min then escalate
  reads postgres
  situation {
    symptom full "Is the pool full?" {
      read used: Series<Ratio> = prometheus.series(`up{job="db"}`, of: db) within 10 s
      yes when used > 90 % for 5 min
    }
  }
  task { goal not full }
  check stuck = stuck_sessions(db, older_than: 5 min,
    more_than: limit)   # a comment
  branch "Why?" {
    cause leak "It leaks" when stuck {
      action end "End {stuck.count} sessions" {
        risk    low
        approve by oncall within 15 min seeing stuck.sessions
        refuse  above 50 sessions
        do      postgres.sessions.terminate(stuck.sessions)
        undo    none because "clients reconnect"
        verify  not stuck within 3 min every 15 s
        failed  -> undo, tell chat.post("x"), next cause
        not approved -> escalate
      }
    }
    otherwise or cannot tell { escalate }
  }
}
"#;
    let parsed = parse(FileId(0), text);
    assert_eq!(parsed.diagnostics, []);
    let ItemKind::Runbook(runbook) = &parsed.file.items[1].kind else {
        panic!("not a runbook")
    };
    assert_eq!(runbook.name.text, "pool");
    assert_eq!(runbook.params.len(), 2);
    assert_eq!(runbook.body.clauses.len(), 8);
    let ClauseKind::Question(question) = &runbook.body.clauses[6].kind else {
        panic!("not a check")
    };
    assert!(matches!(question.form, QuestionForm::Alias(_)));
    assert_eq!(&text[runbook.body.clauses[6].keyword.range()], "check");
}

#[test]
fn is_empty_ends_an_operand() {
    let parsed = parse(
        FileId(0),
        "let a = x is not empty and not y is missing or z is unknown for 5 min\n",
    );
    assert_eq!(parsed.diagnostics, []);
}

/// A tree without its places: two texts that mean the same give the same.
fn shape(file: &super::tree::File) -> String {
    let debug = format!("{:?}", file.items);
    let mut out = String::with_capacity(debug.len() / 2);
    let mut rest = debug.as_str();
    while let Some(at) = rest.find("Span {") {
        out.push_str(&rest[..at]);
        let end = rest[at..].find('}').expect("a span is closed");
        rest = &rest[at + end + 1..];
    }
    out.push_str(rest);
    out
}

/// The texts of the comments, sorted: the formatter may move them.
fn comments(file: &super::tree::File) -> Vec<String> {
    let mut texts: Vec<String> = file.comments.iter().map(|comment| comment.text.clone()).collect();
    texts.sort();
    texts
}

/// What must hold for the canonical form of every file without syntax errors. Returns the form.
fn check_form(text: &str) -> String {
    let first = parse(FileId(0), text);
    assert_eq!(first.diagnostics, [], "in:\n{text}");
    let form = super::format(&first.file, text);
    let second = parse(FileId(0), &form);
    assert_eq!(second.diagnostics, [], "the form of:\n{text}\nis:\n{form}");
    assert_eq!(
        shape(&first.file),
        shape(&second.file),
        "the tree of:\n{text}\nchanged in:\n{form}"
    );
    assert_eq!(
        comments(&first.file),
        comments(&second.file),
        "the comments of:\n{text}\nchanged in:\n{form}"
    );
    assert_eq!(
        super::format(&second.file, &form),
        form,
        "the form of:\n{text}\nis not stable"
    );
    form
}
