//! Text put into Markdown so that it stays text: no table breaks, no HTML, no links or pictures that data brings along.

use super::safe::safe;
use std::fmt::Write;

/// Characters of one foreign text that a report shows; the rest is cut with a note.
pub const SHOWN: usize = 2_000;

/// One line of plain text; everything that Markdown or HTML would take for markup is escaped. Cut after [`SHOWN`] characters.
pub fn text(text: &str) -> String {
    let (text, note) = cut(text, SHOWN);
    let mut out = escape(&safe(text), |character, before, after| match character {
        '`' | '*' | '[' | ']' | '<' | '|' | '~' => true,
        // Inside a word it marks nothing: `idle_in_transaction` stays readable.
        '_' => !(before.is_some_and(char::is_alphanumeric) && after.is_some_and(char::is_alphanumeric)),
        '&' => after.is_some_and(|after| after.is_alphanumeric() || after == '#'),
        '\\' => after.is_none_or(|after| after.is_ascii_punctuation()),
        // At the beginning they would begin a heading, a list or a quote.
        '#' | '-' | '+' | '>' | '=' => before.is_none(),
        _ => false,
    });
    out.push_str(&note);
    out
}

/// Lines of the runbook's own prose: emphasis, lists and code stay, HTML, links and pictures do not, for values are filled in.
pub fn prose(text: &str) -> Vec<String> {
    let (text, note) = cut(text, SHOWN * 10);
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| {
            escape(&safe(line), |character, _, after| match character {
                '[' | ']' | '<' => true,
                '&' => after.is_some_and(|after| after.is_alphanumeric() || after == '#'),
                '\\' => after.is_none_or(|after| "[]<&\\".contains(after)),
                _ => false,
            })
        })
        .collect();
    if !note.is_empty() {
        lines.push(note);
    }
    lines
}

/// A code span, also inside a table.
pub fn code(text: &str) -> String {
    let (text, note) = cut(text, SHOWN);
    // A table would end its cell at a bar even inside code; it is shown as its code point.
    let text = safe(text).replace('|', "\\u{7c}");
    let longest = text
        .split(|character| character != '`')
        .map(str::len)
        .max()
        .unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if text.is_empty() || text.starts_with('`') || text.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{fence}{pad}{text}{pad}{fence}{note}")
}

/// The beginning of a text, and a note about what was left out.
pub fn cut(text: &str, limit: usize) -> (&str, String) {
    match text.char_indices().nth(limit) {
        None => (text, String::new()),
        Some((at, _)) => {
            let left_out = text.len() - at;
            (
                &text[..at],
                format!(" … (cut; {left_out} more bytes are in the journal)"),
            )
        }
    }
}

fn escape(text: &str, special: impl Fn(char, Option<char>, Option<char>) -> bool) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut before = None;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if special(character, before, characters.peek().copied()) {
            out.push('\\');
        }
        out.push(character);
        before = Some(character);
    }
    out
}

/// A table; cells are Markdown already.
pub fn table(out: &mut String, header: &[&str], rows: &[Vec<String>]) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "| {} |", header.join(" | "));
    let _ = writeln!(out, "|{}", " --- |".repeat(header.len()));
    for row in rows {
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn markup_in_data_stays_text() {
        for (data, shown) in [
            ("plain, 97 % (ok)", "plain, 97 % (ok)"),
            ("idle_in_transaction", "idle_in_transaction"),
            ("_a_", "\\_a\\_"),
            ("a | b", "a \\| b"),
            ("</script><b>", "\\</script>\\<b>"),
            ("![x](http://evil)", "!\\[x\\](http://evil)"),
            ("a\nb", "a\\nb"),
            ("a\\|b", "a\\\\\\|b"),
            ("ends in \\", "ends in \\\\"),
            ("# no heading", "\\# no heading"),
            ("&lt; & co", "\\&lt; & co"),
            ("\u{202e}x\u{1b}[2J", "\\u{202e}x\\u{1b}\\[2J"),
            ("**bold** ~~x~~ `c`", "\\*\\*bold\\*\\* \\~\\~x\\~\\~ \\`c\\`"),
        ] {
            assert_eq!(text(data), shown, "{data:?}");
        }
    }

    #[test]
    fn code_holds_whatever_is_in_it() {
        assert_eq!(code("a_b"), "`a_b`");
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(code("a|b"), "`a\\u{7c}b`");
    }

    #[test]
    fn prose_keeps_emphasis_and_loses_links() {
        assert_eq!(
            prose("**Do not** restart.\n- one <img src=x>\n[click](http://evil)"),
            ["**Do not** restart.", "- one \\<img src=x>", "\\[click\\](http://evil)"]
        );
    }

    #[test]
    fn a_long_text_is_cut_with_a_note() {
        let shown = text(&"é".repeat(600_000));
        assert!(
            shown.ends_with("é … (cut; 1196000 more bytes are in the journal)"),
            "{}",
            shown.len()
        );
        assert!(shown.len() < 5_000);
    }

    proptest! {
        #[test]
        fn no_text_breaks_its_cell(data in any::<String>()) {
            for shown in [text(&data), code(&data)] {
                prop_assert!(!shown.chars().any(crate::render::safe::is_hidden));
                // Every bar is escaped by an odd number of backslashes.
                let mut backslashes = 0;
                for character in shown.chars() {
                    if character == '|' { prop_assert!(backslashes % 2 == 1, "{}", shown); }
                    backslashes = if character == '\\' { backslashes + 1 } else { 0 };
                }
            }
        }
    }
}
