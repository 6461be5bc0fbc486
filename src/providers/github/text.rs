//! Texts that become Markdown on somebody else's page: nothing that was read anywhere calls people or hides anything in them.

use crate::limits::{GITHUB_BODY_CHARACTERS, GITHUB_TITLE_CHARACTERS};
use crate::providers::failure::crop;

/// The sign by which a message is known again: a comment that is not shown.
pub fn mark(key: &str) -> String {
    format!("<!-- starr:{key} -->")
}

/// True when the text ends with this sign, and so was written for this key.
pub fn is_marked(body: &str, key: &str) -> bool {
    body.trim_end().ends_with(&mark(key))
}

/// A body with its sign. Markdown has its meaning, HTML and mentions have none.
pub fn body(text: &str, key: &str) -> String {
    format!("{}\n\n{}\n", crop(&harmless(text), GITHUB_BODY_CHARACTERS), mark(key))
}

/// One line, of which nothing has a meaning.
pub fn title(text: &str) -> String {
    let line: String = text
        .trim()
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    crop(&line, GITHUB_TITLE_CHARACTERS - 1)
}

/// Whether what stands behind an ampersand may be another way to write a sign: by its number, or by its name.
fn is_sign_in_words(rest: impl Iterator<Item = char>) -> bool {
    let rest: String = rest.take(6).collect();
    rest.starts_with('#') || rest.eq_ignore_ascii_case("commat")
}

fn harmless(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let next = letters.peek().copied().unwrap_or(' ');
        match letter {
            // The beginning of a tag or of a comment; any other is a sign for "less".
            '<' if next.is_ascii_alphabetic() || matches!(next, '/' | '!' | '?') => made.push_str("&lt;"),
            '@' if next.is_alphanumeric() => made.push_str("@<!-- -->"),
            // The page reads these as the sign that calls people.
            '&' if is_sign_in_words(letters.clone()) => made.push_str("&amp;"),
            '\r' => {}
            _ if letter.is_control() && !matches!(letter, '\n' | '\t') => made.push('\u{fffd}'),
            _ => made.push(letter),
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::{body, is_marked, title};

    #[test]
    fn data_calls_nobody_and_forges_no_sign() {
        let made = body("@team <!-- starr:other --> 5 < 7 <b>x</b> a@b.example\u{1b}", "k1");
        assert_eq!(
            made,
            "@<!-- -->team &lt;!-- starr:other --> 5 < 7 &lt;b>x&lt;/b> a@<!-- -->b.example\u{fffd}\n\n<!-- starr:k1 -->\n"
        );
        assert!(is_marked(&made, "k1"));
        assert!(is_marked(&made.replace('\n', "\r\n"), "k1"));
        assert!(!is_marked(&made, "other"));
        assert!(!is_marked(&made, "k"));
        assert!(!is_marked("<!-- starr:k1 --> and more", "k1"));
    }

    #[test]
    fn a_sign_in_other_words_calls_nobody_either() {
        let made = body("&#64;team &#x40;team &commat;team a & b &lt; c", "k1");
        let first = made.lines().next().unwrap();
        assert_eq!(first, "&amp;#64;team &amp;#x40;team &amp;commat;team a & b &lt; c");
    }

    #[test]
    fn lengths_are_those_that_are_taken() {
        assert_eq!(title(" a\nb "), "a b");
        assert_eq!(title(&"ä".repeat(300)).chars().count(), 256);
        for text in ["ä", "@a", "<b", "<!"] {
            let made = body(&text.repeat(100_000), "k");
            assert!(made.chars().count() < 65_536 && is_marked(&made, "k"));
        }
    }
}
