//! Foreign text made safe to show: no control sequences, no direction tricks, nothing invisible.
//!
//! Names of pods, processes and tables, log lines and error texts come from systems that may be hostile or merely broken. Shown
//! as they are they could clear the screen, imitate a prompt, or make a line read backwards.

use std::borrow::Cow;
use std::fmt::Write;

/// One line: every control character, line breaks and tabs among them, every direction mark and every invisible character is
/// written as its code point, `\u{202e}`.
pub fn safe(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// As [`safe`], but line breaks stay, and a tab becomes four blanks.
pub fn safe_multiline(text: &str) -> Cow<'_, str> {
    if text.contains('\t') || text.contains('\r') {
        let blanks = text.replace("\r\n", "\n").replace('\t', "    ");
        return Cow::Owned(escape(&blanks, |character| character == '\n').into_owned());
    }
    escape(text, |character| character == '\n')
}

/// True for a character that is never shown as it is.
pub fn is_hidden(character: char) -> bool {
    matches!(character,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // Soft hyphen, combining grapheme joiner, Arabic letter mark, Hangul and Khmer fillers, Mongolian separators
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        // Zero-width characters, marks and embeddings of direction, line and paragraph separators
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        // Musical and tag characters, variation selectors
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Hidden characters beyond the control characters of ASCII, written as JSON writes them (`\u009b`): inside a JSON text they
/// still mean the same, and anywhere else they can be seen.
pub fn visible(text: &str) -> Cow<'_, str> {
    let found = |character: &char| *character >= '\u{7f}' && is_hidden(*character);
    if text.is_ascii() && !text.contains('\u{7f}') || !text.chars().any(|character| found(&character)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if found(&character) {
            let mut units = [0_u16; 2];
            for unit in character.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

fn escape(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(|character| is_hidden(character) && !keep(character)) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_hidden(character) && !keep(character) {
            match character {
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                _ => {
                    // Writing to a String cannot fail.
                    let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
                }
            }
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::{is_hidden, safe, safe_multiline};

    #[test]
    fn a_log_line_cannot_clear_the_screen_or_imitate_a_prompt() {
        let hostile = "ok\u{1b}[2J\u{1b}[H\nApprove? [y/N]\r";
        assert_eq!(safe(hostile), "ok\\u{1b}[2J\\u{1b}[H\\nApprove? [y/N]\\r");
        assert_eq!(safe_multiline(hostile), "ok\\u{1b}[2J\\u{1b}[H\nApprove? [y/N]\\r");
    }

    #[test]
    fn direction_tricks_and_invisible_characters_are_written_out() {
        assert_eq!(safe("a\u{202e}b\u{200b}c\u{9b}d"), "a\\u{202e}b\\u{200b}c\\u{9b}d");
    }

    #[test]
    fn ordinary_text_of_any_language_is_left_alone() {
        for text in ["plain", "größer", "日本語", "Привет", "שלום", "naïve café ✓ 97 %"] {
            assert_eq!(safe(text), text);
            assert!(!text.chars().any(is_hidden));
        }
    }
}
