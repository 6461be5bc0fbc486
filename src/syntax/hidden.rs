//! Characters that a reader cannot see, or takes for others.

use crate::diagnostic::Diagnostic;
use crate::source::{FileId, Span};
use std::ops::Range;

/// Finds bidirectional controls, invisible characters, control characters and blanks that are no blanks. `plain` are the places
/// where only people read (prose, comments) and where typographic blanks do no harm.
pub fn find(id: FileId, text: &str, plain: &[Range<usize>]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut plain = plain.iter().peekable();
    while let Some(byte) = bytes.get(at) {
        // Nearly every byte is a printable ASCII character or a line break.
        if matches!(byte, b' '..=b'~' | b'\n' | b'\t') || (*byte == b'\r' && bytes.get(at + 1) == Some(&b'\n')) {
            at += 1;
            continue;
        }
        let Some(character) = text.get(at..).and_then(|rest| rest.chars().next()) else {
            break;
        };
        while plain.next_if(|range| range.end <= at).is_some() {}
        let for_people = plain.peek().is_some_and(|range| range.contains(&at));
        let before = text[..at].chars().next_back();
        if let Some(what) = hidden(character, at, before, for_people) {
            let span = Span::new(id, at, at + character.len_utf8());
            let column = text[..at].rsplit('\n').next().unwrap_or_default().chars().count() + 1;
            let code = u32::from(character);
            let help = if what == "a blank that is not the blank of the keyboard" {
                "write an ordinary blank".to_string()
            } else {
                format!("remove it; where a text needs it, write `\\u{{{code:x}}}`")
            };
            let edit = if what.starts_with("a blank") { " " } else { "" };
            found.push(
                Diagnostic::error(
                    "hidden-text",
                    span,
                    format!("U+{code:04X} in column {column} cannot be seen: {what}"),
                )
                .help(help)
                .edit(span, edit),
            );
        }
        at += character.len_utf8();
    }
    found
}

fn hidden(character: char, at: usize, before: Option<char>, for_people: bool) -> Option<&'static str> {
    match character {
        '\u{feff}' if at == 0 => None,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Some("it changes the direction in which the line is shown")
        }
        '\u{85}' | '\u{2028}' | '\u{2029}' => Some("it looks like the end of a line and is none"),
        '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\r' | '\u{e}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => {
            Some("it is a control character")
        }
        // The sign that makes a symbol an emoji, directly behind a symbol, says nothing hidden.
        '\u{fe0f}' if before.is_some_and(|before| !before.is_ascii() && before != '\u{fe0f}') => None,
        '\u{ad}'
        | '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200d}'
        | '\u{2060}'..='\u{2065}'
        | '\u{206a}'..='\u{206f}'
        | '\u{2800}'
        | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}' => Some("it has no width"),
        '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' if !for_people => {
            Some("a blank that is not the blank of the keyboard")
        }
        _ => None,
    }
}

/// Characters of other scripts that look like an ASCII letter.
const ALIKE: &[(&str, char)] = &[
    ("аɑα", 'a'),
    ("ЬƄ", 'b'),
    ("сϲᴄ", 'c'),
    ("ԁ", 'd'),
    ("еҽє", 'e'),
    ("ɡ", 'g'),
    ("һ", 'h'),
    ("іıι", 'i'),
    ("јϳ", 'j'),
    ("κк", 'k'),
    ("ӏⅼ", 'l'),
    ("м", 'm'),
    ("ոп", 'n'),
    ("оοօ", 'o'),
    ("рρ", 'p'),
    ("ԛ", 'q'),
    ("г", 'r'),
    ("ѕ", 's'),
    ("т", 't'),
    ("υս", 'u'),
    ("νѵ", 'v'),
    ("ѡԝω", 'w'),
    ("хχ", 'x'),
    ("уγ", 'y'),
    ("АΑ", 'A'),
    ("ВΒ", 'B'),
    ("СϹ", 'C'),
    ("ЕΕ", 'E'),
    ("НΗ", 'H'),
    ("ІΙ", 'I'),
    ("Ј", 'J'),
    ("КΚ", 'K'),
    ("МΜ", 'M'),
    ("Ν", 'N'),
    ("ОΟ", 'O'),
    ("РΡ", 'P'),
    ("Ѕ", 'S'),
    ("ТΤ", 'T'),
    ("ХΧ", 'X'),
    ("УΥ", 'Y'),
    ("Ζ", 'Z'),
];

/// The finding for a name with letters that are not ASCII.
pub fn mixed_script(span: Span, name: &str) -> Diagnostic {
    let plain: Option<String> = name.chars().map(alike).collect();
    let foreign = name.chars().find(|character| !character.is_ascii()).unwrap_or_default();
    let code = u32::from(foreign);
    let diagnostic = Diagnostic::error("mixed-script", span, "a name has only ASCII letters, digits and `_`");
    match plain {
        Some(plain) => diagnostic
            .label(match alike(foreign) {
                Some(letter) => format!("`{foreign}` is U+{code:04X}; it only looks like `{letter}`"),
                None => format!("`{foreign}` is U+{code:04X}"),
            })
            .help(format!("write `{plain}`"))
            .edit(span, plain),
        None => diagnostic
            .label(format!("`{foreign}` is U+{code:04X}"))
            .help("titles and prose may use every script; names are the same on every keyboard"),
    }
}

fn alike(character: char) -> Option<char> {
    if character.is_ascii() {
        return Some(character);
    }
    // The full-width forms lie at a fixed distance.
    if ('\u{ff01}'..='\u{ff5e}').contains(&character) {
        return char::from_u32(u32::from(character) - 0xfee0);
    }
    ALIKE
        .iter()
        .find(|(others, _)| others.contains(character))
        .map(|(_, letter)| *letter)
}
