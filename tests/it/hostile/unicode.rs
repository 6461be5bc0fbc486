//! A-UN: what is reviewed is what runs.

use super::{Desk, book, every_command_says_where, text};

/// Overrides, embeddings and isolates of direction, and characters that nobody sees (CVE-2021-42574 and its relatives).
const HIDDEN: &[char] = &[
    '\u{202a}',
    '\u{202b}',
    '\u{202c}',
    '\u{202d}',
    '\u{202e}',
    '\u{2066}',
    '\u{2067}',
    '\u{2068}',
    '\u{2069}',
    '\u{200b}',
    '\u{200e}',
    '\u{200f}',
    '\u{2060}',
    '\u{feff}',
    '\u{61c}',
    '\u{ad}',
    '\u{0}',
    '\u{1b}',
    '\u{e0041}',
    '\u{3164}',
];

#[test]
fn a_un_1_hidden_characters_are_refused_with_their_code_point_and_column() {
    every_command_says_where("bidi", book("1 # \u{202e}} nothing to see {").as_bytes());
    let desk = Desk::new();
    for hidden in HIDDEN {
        for (place, content) in [
            ("comment", book(&format!("1 # a{hidden}b"))),
            ("text", book(&format!("\"a{hidden}b\""))),
            ("code", book(&format!("1{hidden}"))),
            ("query", book(&format!("`a{hidden}b`"))),
            (
                "prose",
                format!("runbook hostile() \"Hostile\" {{\n  > a{hidden}b\n  timebox 5 min then escalate\n}}\n"),
            ),
        ] {
            desk.write("x.starr", &content);
            let output = desk.starr(&["check", "x.starr"]);
            let said = text(&output);
            assert_eq!(output.status.code(), Some(1), "{hidden:?} in {place}: {said}");
            let code = format!("{:04X}", u32::from(*hidden));
            assert!(
                said.to_uppercase().contains(&code),
                "{hidden:?} in {place} is not named: {said}"
            );
            assert!(!said.contains(*hidden), "{hidden:?} in {place} is shown");
            let (line, column) = position(&content, *hidden);
            assert!(
                said.contains(&format!("x.starr:{line}:{column}")),
                "{hidden:?} in {place}, {line}:{column}: {said}"
            );
        }
    }
    // Written out, it is a text like any other.
    desk.write("x.starr", &book("\"a\\u{202e}b\""));
    let said = text(&desk.starr(&["check", "x.starr"]));
    assert!(!said.contains("hidden-text"), "{said}");
}

fn position(content: &str, character: char) -> (usize, usize) {
    let line = content.lines().position(|line| line.contains(character)).unwrap();
    let column = content
        .lines()
        .nth(line)
        .unwrap()
        .chars()
        .position(|found| found == character)
        .unwrap();
    (line + 1, column + 1)
}

#[test]
fn a_un_2_names_that_look_alike_are_refused() {
    let desk = Desk::new();
    for (name, other) in [
        ("stat", "st\u{430}t"),
        ("pool", "p\u{43e}ol"),
        ("name", "n\u{3b1}me"),
        ("lock", "loc\u{212a}"),
    ] {
        let content = format!(
            "runbook alike() \"Alike\" {{\n  timebox 5 min then escalate\n  let {name} = 1\n  let {other} = 2\n}}\n"
        );
        every_command_says_where(name, content.as_bytes());
        desk.write("x.starr", &content);
        let said = text(&desk.starr(&["check", "x.starr"]));
        assert!(
            said.contains("mixed-script") && said.contains("x.starr:4:"),
            "{other}: {said}"
        );
    }
}
