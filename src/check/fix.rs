//! Edits that findings offer, applied to a text.

use crate::diagnostic::{Diagnostic, Edit, Level};
use crate::source::FileId;
use crate::syntax;

/// A text after its edits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    pub text: String,
    /// Findings whose edits were made.
    pub applied: usize,
    /// Findings whose edits were not made: they overlap with another one, lie in another file, or would break the file.
    /// Checking and fixing again may make them.
    pub skipped: usize,
}

/// Makes the edits that the findings offer for one file. The edits of a finding are made together or not at all; where two
/// findings want to change the same text, the earlier finding wins. Nothing is made that adds a syntax error.
pub fn apply(file: FileId, text: &str, found: &[Diagnostic]) -> Fixed {
    let mut chosen: Vec<&[Edit]> = Vec::new();
    let mut taken: Vec<&Edit> = Vec::new();
    let mut applied = 0;
    let mut skipped = 0;
    for diagnostic in found.iter().filter(|diagnostic| !diagnostic.edits.is_empty()) {
        let edits = diagnostic.edits.as_slice();
        if edits.iter().all(|edit| taken.contains(&edit)) {
            // Two findings with one cure.
            applied += 1;
            continue;
        }
        let fits = |edit: &Edit| edit.span.file == file && text.get(edit.span.range()).is_some();
        let free = |edit: &Edit| !taken.iter().any(|other| overlap(edit, other));
        let apart = |edits: &[Edit]| {
            edits
                .iter()
                .enumerate()
                .all(|(index, edit)| !edits[..index].iter().any(|other| overlap(edit, other)))
        };
        if edits.iter().all(|edit| fits(edit) && free(edit)) && apart(edits) {
            taken.extend(edits);
            chosen.push(edits);
            applied += 1;
        } else {
            skipped += 1;
        }
    }
    let before = errors(file, text);
    let whole = make(text, &chosen);
    if chosen.is_empty() || errors(file, &whole) <= before {
        return Fixed {
            text: whole,
            applied,
            skipped,
        };
    }
    // One of them breaks the file: take them one by one.
    let mut good: Vec<&[Edit]> = Vec::new();
    for edits in chosen {
        good.push(edits);
        if errors(file, &make(text, &good)) > before {
            good.pop();
            applied -= 1;
            skipped += 1;
        }
    }
    Fixed {
        text: make(text, &good),
        applied,
        skipped,
    }
}

/// True when the order of two edits would matter.
fn overlap(one: &Edit, other: &Edit) -> bool {
    let (one, other) = (one.span, other.span);
    one.file == other.file && ((one.start < other.end && other.start < one.end) || one.start == other.start)
}

fn make(text: &str, chosen: &[&[Edit]]) -> String {
    let mut edits: Vec<&Edit> = chosen.iter().copied().flatten().collect();
    // From the bottom up, so that the places of the others stay right.
    edits.sort_by_key(|edit| std::cmp::Reverse((edit.span.start, edit.span.end)));
    let mut out = text.to_owned();
    for edit in edits {
        out.replace_range(edit.span.range(), &edit.replacement);
    }
    out
}

fn errors(file: FileId, text: &str) -> usize {
    syntax::parse(file, text)
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.level == Level::Error)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Span;

    const TEXT: &str = "runbook a \"A\" {\n  check one \"One\" observed\n  check two \"Two\" observed\n}\n";

    fn edit(found: Diagnostic, part: &str, replacement: &str) -> Diagnostic {
        let start = TEXT.find(part).expect("the part is in the text");
        found.edit(Span::new(FileId(0), start, start + part.len()), replacement)
    }

    fn finding() -> Diagnostic {
        Diagnostic::note("title-style", Span::default(), "title")
    }

    #[test]
    fn edits_are_made_whatever_their_order() {
        let found = [
            edit(finding(), "\"Two\"", "\"Is it two?\""),
            edit(finding(), "\"One\"", "\"Is it one?\""),
        ];
        let fixed = apply(FileId(0), TEXT, &found);
        let wanted = TEXT
            .replace("\"One\"", "\"Is it one?\"")
            .replace("\"Two\"", "\"Is it two?\"");
        assert_eq!(
            fixed,
            Fixed {
                text: wanted,
                applied: 2,
                skipped: 0
            }
        );
    }

    #[test]
    fn of_two_that_overlap_the_first_is_made_and_the_same_twice_is_made_once() {
        let first = edit(finding(), "\"One\"", "\"First?\"");
        let found = [first.clone(), edit(finding(), "One", "Second?"), first];
        let fixed = apply(FileId(0), TEXT, &found);
        assert_eq!(fixed.text, TEXT.replace("\"One\"", "\"First?\""));
        assert_eq!((fixed.applied, fixed.skipped), (2, 1));
    }

    #[test]
    fn the_edits_of_one_finding_belong_together() {
        let taken = edit(finding(), "\"One\"", "\"First?\"");
        let both = edit(edit(finding(), "\"One\"", "\"Other?\""), "\"Two\"", "\"Other?\"");
        let fixed = apply(FileId(0), TEXT, &[taken, both]);
        assert_eq!(fixed.text, TEXT.replace("\"One\"", "\"First?\""));
        assert_eq!((fixed.applied, fixed.skipped), (1, 1));
    }

    #[test]
    fn an_edit_that_breaks_the_file_is_left_out_and_the_others_are_made() {
        let found = [
            edit(finding(), "\"One\"", "\"Is it one?\""),
            edit(finding(), "\"Two\" observed", "\"Two"),
        ];
        let fixed = apply(FileId(0), TEXT, &found);
        assert_eq!(fixed.text, TEXT.replace("\"One\"", "\"Is it one?\""));
        assert_eq!((fixed.applied, fixed.skipped), (1, 1));
    }

    #[test]
    fn places_that_do_not_fit_are_left_alone() {
        let beyond = finding().edit(Span::new(FileId(0), 5000, 5001), "x");
        let elsewhere = finding().edit(Span::new(FileId(3), 0, 1), "x");
        let inside = Diagnostic::note("title-style", Span::default(), "é").edit(Span::new(FileId(0), 1, 1), "x");
        let fixed = apply(FileId(0), "é", &[beyond, elsewhere, inside]);
        assert_eq!((fixed.text.as_str(), fixed.applied, fixed.skipped), ("é", 0, 3));
    }
}
