//! What must hold for every text.

use super::check_form;
use crate::source::FileId;
use crate::syntax::{format, parse};
use proptest::prelude::*;
use proptest::test_runner::Config;

/// Words, marks and blanks of the language, and some that are not.
const TOKENS: &[&str] = &[
    "runbook",
    "check",
    "symptom",
    "cause",
    "action",
    "branch",
    "when",
    "within",
    "every",
    "do",
    "undo",
    "restore",
    "none",
    "because",
    "verify",
    "failed",
    "not approved",
    "->",
    "escalate",
    "stop",
    "otherwise",
    "cannot tell",
    "or",
    "and",
    "not",
    "is",
    "empty",
    "in",
    "for",
    "default",
    "matches",
    "each",
    "at most",
    "scenario",
    "given",
    "expect",
    "operator",
    "provider",
    "read",
    "change",
    "record",
    "enum",
    "use",
    "module",
    "let",
    "yes",
    "severity",
    "escalation",
    "prose",
    "a",
    "b",
    "it",
    "x.y",
    "5",
    "5 min",
    "80 %",
    "5 m",
    "1.5",
    "300 /s",
    "\"text\"",
    "\"{a}\"",
    "\"",
    "`code`",
    "`",
    "```",
    "```sql\n",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "{\n",
    "}\n",
    "\n",
    "\n",
    "\n  ",
    ",",
    ":",
    "=",
    "==",
    ">",
    "<",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "?",
    ".",
    "#",
    "# c\n",
    "\n> p\n",
    ">",
    "&&",
    "!",
    "é",
    "\u{202e}",
    "\t",
    "\r\n",
    "\\",
    "'",
];

fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec((prop::sample::select(TOKENS), any::<bool>()), 0..120).prop_map(|tokens| {
        let mut text = String::new();
        for (token, blank) in tokens {
            text.push_str(token);
            if blank {
                text.push(' ');
            }
        }
        text
    })
}

/// What holds for any text: places inside it, and, when there is nothing to say, a stable form.
fn any_text(text: &str) {
    let parsed = parse(FileId(0), text);
    for found in &parsed.diagnostics {
        assert!(text.get(found.span.range()).is_some(), "{found:?} in {text:?}");
        assert!(
            !found.message.contains("does not know what to do"),
            "{found:?} in {text:?}"
        );
    }
    if parsed.diagnostics.is_empty() {
        check_form(text);
    } else {
        // Not to be shown to anybody, but it must not panic either.
        let _ = format(&parsed.file, text);
    }
}

fn corpus() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        include_str!("../../../tests/language/valid/queue_stuck.starr"),
        include_str!("../../../tests/language/valid/library.starr"),
        include_str!("../../../tests/language/valid/scenarios.starr"),
        include_str!("../../../tests/language/valid/provider.starr"),
        include_str!("../../../tests/language/format/messy.starr"),
    ])
    .prop_map(str::to_string)
}

proptest! {
    #![proptest_config(Config { cases: 256, failure_persistence: None, ..Config::default() })]

    #[test]
    fn token_soup_never_panics(text in soup()) {
        any_text(&text);
    }

    #[test]
    fn any_characters_never_panic(text in "\\PC{0,200}") {
        any_text(&text);
    }
}

proptest! {
    #![proptest_config(Config { cases: 96, failure_persistence: None, ..Config::default() })]

    #[test]
    fn mutated_files_never_panic(
        text in corpus(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, prop::sample::select(TOKENS)), 1..6),
    ) {
        let mut text = text;
        for (at, remove, insert) in edits {
            let mut start = at.index(text.len() + 1);
            while !text.is_char_boundary(start) {
                start -= 1;
            }
            let mut end = (start + remove).min(text.len());
            while !text.is_char_boundary(end) {
                end += 1;
            }
            text.replace_range(start..end, insert);
        }
        any_text(&text);
    }
}
