use super::*;
use crate::source::FileId;

const POOL: &str = "runbook pool \"Pool\" {\n\tcheck full \"Is it full?\" {\n    yes when used > 90 %\n  }\n}\n";

fn at(text: &str, part: &str) -> Span {
    let start = text.find(part).expect("the part is in the text");
    Span::new(FileId(0), start, start + part.len())
}

fn sources(text: &str) -> Sources {
    let mut sources = Sources::default();
    sources.add("pool.starr", None, text);
    sources
}

fn sample() -> Diagnostic {
    Diagnostic::error(
        "series-without-for",
        at(POOL, "used > 90 %"),
        "one sample would decide this answer",
    )
    .label("`used` is a series of ratios")
    .help("say how long it must last, for example `for 5 min`")
}

fn shown(text: &str, diagnostic: Diagnostic, style: &Style) -> String {
    human(&sources(text), &[diagnostic], style)
}

/// Lines of an expected output; written as a list so that blanks can be seen.
fn lines(lines: &[&str]) -> String {
    let mut text = lines.join("\n");
    text.push_str("\n\n");
    text
}

fn unicode() -> Style {
    Style {
        unicode: true,
        ..Style::plain()
    }
}

#[test]
fn a_finding_names_rule_place_text_and_what_to_do() {
    assert_eq!(
        shown(POOL, sample(), &Style::plain()),
        lines(&[
            "error[series-without-for]: one sample would decide this answer",
            "   ,-[pool.starr:3:14]",
            " 3 |     yes when used > 90 %",
            "   :              ^^^^^|^^^^^",
            "   :                   `-- `used` is a series of ratios",
            "   `----",
            "  help: say how long it must last, for example `for 5 min`",
        ])
    );
    assert_eq!(
        shown(POOL, sample(), &unicode()),
        lines(&[
            "error[series-without-for]: one sample would decide this answer",
            "   ╭─[pool.starr:3:14]",
            " 3 │     yes when used > 90 %",
            "   ·              ─────┬─────",
            "   ·                   ╰── `used` is a series of ratios",
            "   ╰────",
            "  help: say how long it must last, for example `for 5 min`",
        ])
    );
}

#[test]
fn colour_is_added_and_nothing_else() {
    let style = Style {
        colour: true,
        ..unicode()
    };
    let text = shown(POOL, sample(), &style);
    assert!(
        text.starts_with("\u{1b}[31merror[series-without-for]:\u{1b}[0m one sample"),
        "{text:?}"
    );
    let mut bare = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find('\u{1b}') {
        bare.push_str(&rest[..at]);
        rest = rest[at..].split_once('m').expect("a colour ends with m").1;
    }
    bare.push_str(rest);
    assert_eq!(bare, shown(POOL, sample(), &unicode()));
}

#[test]
fn labels_on_one_line_on_neighbouring_lines_and_far_away() {
    let text = "one two\nthree\n\n\nfour\n";
    let found = Diagnostic::warning("shadowed-cause", at(text, "two"), "message")
        .label("here")
        .and(at(text, "one"), "and here")
        .and(at(text, "three"), "below")
        .and(at(text, "four"), "far away");
    assert_eq!(
        shown(text, found, &unicode()),
        lines(&[
            "warning[shadowed-cause]: message",
            "   ╭─[pool.starr:1:5]",
            " 1 │ one two",
            "   · ─┬─ ─┬─",
            "   ·  │   ╰── here",
            "   ·  ╰── and here",
            " 2 │ three",
            "   · ──┬──",
            "   ·   ╰── below",
            "   ╰────",
            "   ╭─[pool.starr:5:1]",
            " 5 │ four",
            "   · ──┬─",
            "   ·   ╰── far away",
            "   ╰────",
        ])
    );
}

#[test]
fn a_span_over_lines_is_shown_by_its_first() {
    let found = Diagnostic::error(
        "no-question",
        at(POOL, "{\n\tcheck full \"Is it full?\" {\n"),
        "message",
    )
    .label("begins here");
    assert_eq!(
        shown(POOL, found, &unicode()),
        lines(&[
            "error[no-question]: message",
            "   ╭─[pool.starr:1:21]",
            " 1 │ runbook pool \"Pool\" {",
            "   ·                     ┬",
            "   ·                     ╰── begins here",
            "   ╰────",
        ])
    );
}

#[test]
fn tabs_control_characters_and_wide_ones_keep_the_mark_in_place() {
    let text = "\t\u{1b}[2J日本 bad\u{202e}\r\nnext\n";
    let found =
        Diagnostic::error("hidden-text", at(text, "bad"), "a \u{1b}[31mmessage\nin two").help("look\u{7}\nat it");
    assert_eq!(
        shown(text, found, &unicode()),
        lines(&[
            "error[hidden-text]: a \\u{1b}[31mmessage\\nin two",
            "   ╭─[pool.starr:1:9]",
            " 1 │     \\u{1b}[2J日本 bad\\u{202e}",
            "   ·                   ───",
            "   ╰────",
            "  help: look\\u{7}",
            "        at it",
        ])
    );
}

#[test]
fn places_at_and_behind_the_end_are_shown() {
    let file = FileId(0);
    for (text, expected) in [("", "1:1"), ("one", "1:4"), ("one\n", "1:4"), ("one\n\n", "2:1")] {
        let found = Diagnostic::error(
            "syntax",
            Span::new(file, text.len(), text.len()),
            "something is missing",
        )
        .label("here");
        let shown = shown(text, found, &unicode());
        assert!(shown.contains(&format!("pool.starr:{expected}]")), "{text:?}: {shown}");
        assert!(shown.contains("here"), "{shown}");
    }
    // A place that does not fit the text is our mistake, and no reason to lose the finding.
    let found = Diagnostic::error("syntax", Span::new(file, 900, 1000), "beyond");
    assert!(shown("short", found, &unicode()).contains("error[syntax]: beyond"));
    let found = Diagnostic::error("syntax", Span::new(FileId(7), 0, 1), "elsewhere").label("lost");
    assert!(shown("short", found, &unicode()).contains("error[syntax]: elsewhere"));
}

#[test]
fn a_very_long_line_is_cut_around_the_mark() {
    let text = format!("{}needle{}\n", "a".repeat(1_500_000), "é".repeat(300_000));
    let found = Diagnostic::error("syntax", at(&text, "needle"), "found it").label("here");
    let shown = shown(&text, found, &unicode());
    assert_eq!(
        shown,
        lines(&[
            "error[syntax]: found it",
            "   ╭─[pool.starr:1:1500001]",
            " 1 │ …aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaneedleéééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééééé…",
            "   ·                                      ───┬──",
            "   ·                                         ╰── here",
            "   ╰────",
        ])
    );
    let found =
        Diagnostic::error("syntax", Span::new(FileId(0), 0, text.len()), "all of it").and(at(&text, "needle"), "far");
    let shown = self::shown(&text, found, &unicode());
    assert!(shown.len() < 2000, "{}", shown.len());
}

#[test]
fn a_place_in_another_file_is_named_below() {
    let mut sources = sources(POOL);
    let library = sources.add("std/po\u{202e}st", None, "one\n  two\n");
    let found =
        Diagnostic::error("call-cycle", at(POOL, "pool"), "message").and(Span::new(library, 6, 9), "declared here");
    assert_eq!(
        human(&sources, &[found], &unicode()),
        lines(&[
            "error[call-cycle]: message",
            "   ╭─[pool.starr:1:9]",
            " 1 │ runbook pool \"Pool\" {",
            "   ·         ────",
            "   ╰────",
            "  also: std/po\\u{202e}st:2:3: declared here",
        ])
    );
}

#[test]
fn the_environment_decides_the_style() {
    let style = |terminal, variables: &[(&str, &str)]| {
        Style::of(terminal, Some(100), |name| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        })
    };
    let utf8 = ("LANG", "en_GB.UTF-8");
    assert_eq!(
        style(true, &[utf8]),
        Style {
            colour: true,
            unicode: true,
            width: 100
        }
    );
    assert!(!style(false, &[utf8]).colour);
    assert!(!style(true, &[utf8, ("NO_COLOR", "1")]).colour);
    assert!(style(true, &[utf8, ("NO_COLOR", "")]).colour);
    assert!(!style(true, &[utf8, ("LC_ALL", "C")]).unicode);
    let dumb = style(true, &[utf8, ("TERM", "dumb")]);
    assert!(!dumb.colour && !dumb.unicode);
    assert_eq!(Style::of(false, None, |_| None).width, WIDTH);
    assert_eq!(Style::of(true, Some(3), |_| None).width, 40);
}

#[test]
fn an_annotation_cannot_begin_a_command_of_its_own() {
    let text = "a, b: 100 %\n";
    let mut sources = Sources::default();
    sources.add("odd,name:1\n::error::x.starr", None, text);
    let found = Diagnostic::warning("title-style", at(text, "b"), "100 % of\r\n::stop-commands::x")
        .label("la%0Abel")
        .help("one\ntwo");
    assert_eq!(
        github(&sources, &[found]),
        "::warning file=odd%2Cname%3A1\\n%3A%3Aerror%3A%3Ax.starr,line=1,endLine=1,col=4,endColumn=5,title=title-style::\
         100 %25 of\\r\\n::stop-commands::x: la%250Abel%0Aone%0Atwo\n"
    );
    let note = Diagnostic::note("title-style", Span::new(FileId(0), 0, text.len()), "all");
    let line = github(&sources, &[note]);
    assert!(line.starts_with("::notice file="), "{line}");
    assert!(
        line.contains(",line=1,endLine=2,col=1,title=title-style::all\n"),
        "{line}"
    );
}

#[test]
fn json_has_places_in_lines_and_bytes_and_no_raw_control_characters() {
    let sources = sources("a\u{202e}b\n");
    let found = [
        Diagnostic::error(
            "hidden-text",
            Span::new(FileId(0), 1, 4),
            "hidden \u{202e}\u{9b}\u{e0001}",
        )
        .edit(Span::new(FileId(0), 1, 4), ""),
        Diagnostic::note("title-style", Span::new(FileId(0), 0, 1), "note"),
    ];
    let text = render(&[(&sources, &found)], Format::Json, &Style::plain());
    assert!(text.contains("hidden \\u202e\\u009b\\udb40\\udc01"), "{text}");
    assert!(
        !text
            .chars()
            .any(|character| character != '\n' && crate::render::safe::is_hidden(character))
    );
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["errors"], 1);
    assert_eq!(value["notes"], 1);
    assert_eq!(value["findings"][0]["message"], "hidden \u{202e}\u{9b}\u{e0001}");
    assert_eq!(
        value["findings"][0]["at"],
        json!({"file": "pool.starr", "line": 1, "column": 2, "end_line": 1, "end_column": 3, "start": 1, "end": 4})
    );
    assert_eq!(value["findings"][0]["edits"][0]["replacement"], "");
    assert_eq!(value["findings"][1]["level"], "note");
}

#[test]
fn sarif_has_rules_results_and_fixes() {
    let mut sources = Sources::default();
    sources.add("a b:c/[x].starr", None, "one {two}\n");
    let found = [
        Diagnostic::warning("verify-is-goal", Span::new(FileId(0), 4, 9), "see {two} [here](x)")
            .label("label")
            .and(Span::new(FileId(0), 0, 3), "other")
            .help("do this")
            .edit(Span::new(FileId(0), 4, 9), "three"),
        Diagnostic::error("not-in-the-table", Span::new(FileId(0), 0, 3), "message"),
    ];
    let value: Value = serde_json::from_str(&render(&[(&sources, &found)], Format::Sarif, &Style::plain())).unwrap();
    assert_eq!(value["version"], "2.1.0");
    let run = &value["runs"][0];
    assert_eq!(run["tool"]["driver"]["name"], "starr");
    assert_eq!(run["tool"]["driver"]["rules"][0], json!({"id": "not-in-the-table"}));
    assert_eq!(run["tool"]["driver"]["rules"][1]["id"], "verify-is-goal");
    assert_eq!(
        run["tool"]["driver"]["rules"][1]["defaultConfiguration"]["level"],
        "warning"
    );
    let region = json!({"startLine": 1, "startColumn": 5, "endLine": 1, "endColumn": 10});
    let other = json!({"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 4});
    let artifact = json!({"uri": "a%20b%3Ac/%5Bx%5D.starr"});
    assert_eq!(
        run["results"][0],
        json!({
            "ruleId": "verify-is-goal",
            "ruleIndex": 1,
            "level": "warning",
            "message": {"text": "see {{two}} \\[here\\](x). label. do this"},
            "locations": [{"physicalLocation": {"artifactLocation": artifact, "region": region}}],
            "relatedLocations": [{
                "message": {"text": "other"},
                "physicalLocation": {"artifactLocation": artifact, "region": other},
            }],
            "fixes": [{"artifactChanges": [{
                "artifactLocation": artifact,
                "replacements": [{"deletedRegion": region, "insertedContent": {"text": "three"}}],
            }]}],
        })
    );
    assert_eq!(run["results"][1]["ruleIndex"], 0);
    assert_eq!(run["results"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_summary_counts_by_level() {
    let span = Span::default();
    let found = [
        Diagnostic::note("title-style", span, ""),
        Diagnostic::error("syntax", span, ""),
        Diagnostic::error("syntax", span, ""),
    ];
    assert_eq!(summary(&found), "2 errors, 1 note");
    assert_eq!(summary(&[]), "");
    assert_eq!(Format::from_name("sarif"), Some(Format::Sarif));
    assert_eq!(Format::from_name("xml"), None);
}
