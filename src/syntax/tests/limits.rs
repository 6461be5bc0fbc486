//! Hostile and oversized input: a positioned finding in bounded time, never a panic.

use crate::source::{Sources, Span};
use crate::syntax::{Loaded, format, limits, load};
use std::time::{Duration, Instant};

/// Loads and, when there is nothing to say, formats. Far more time than needed is a failure too.
fn read(bytes: impl Into<Vec<u8>>) -> (Sources, Loaded) {
    let begin = Instant::now();
    let mut sources = Sources::default();
    let loaded = load(&mut sources, "hostile", None, bytes.into());
    let text = sources.file(loaded.id).text.clone();
    if loaded.diagnostics.is_empty() {
        format(&loaded.file, &text);
    }
    for found in &loaded.diagnostics {
        assert!(found.span.end as usize <= text.len(), "{found:?}");
        assert!(text.is_char_boundary(found.span.start as usize) && text.is_char_boundary(found.span.end as usize));
    }
    assert!(begin.elapsed() < Duration::from_secs(60), "took {:?}", begin.elapsed());
    (sources, loaded)
}

fn messages(loaded: &Loaded) -> Vec<&str> {
    loaded.diagnostics.iter().map(|found| found.message.as_str()).collect()
}

#[test]
fn ten_thousand_brackets_are_one_finding_and_the_rest_is_read() {
    for open in ["(", "[", "f(", "{a: [", "f(x: "] {
        let text = format!("let a = {}\nrunbook x \"X\" {{\n  risk\n}}\n", open.repeat(10_000));
        let (sources, loaded) = read(text);
        let found = messages(&loaded);
        assert_eq!(found.len(), 2, "{open}: {found:?}");
        assert!(found[0].contains("nested more than"), "{open}: {found:?}");
        assert_eq!(sources.line_column(loaded.diagnostics[0].span).0, 1);
        assert_eq!(sources.line_column(loaded.diagnostics[1].span).0, 3);
    }
}

#[test]
fn ten_thousand_closed_brackets_are_one_finding() {
    let text = format!("let a = {}1{}\nlet b =\n", "(".repeat(10_000), ")".repeat(10_000));
    let (_, loaded) = read(text);
    assert_eq!(loaded.diagnostics.len(), 2, "{:?}", messages(&loaded));
}

#[test]
fn nesting_up_to_the_limit_is_read() {
    let depth = limits::BRACKET_DEPTH;
    let (_, loaded) = read(format!("let a = {}1{}\n", "(".repeat(depth), ")".repeat(depth)));
    assert_eq!(messages(&loaded), Vec::<&str>::new());
    let (_, loaded) = read(format!("let a = {}1{}\n", "(".repeat(depth + 1), ")".repeat(depth + 1)));
    assert_eq!(messages(&loaded), ["brackets are nested more than 128 deep"]);
    let blocks = |depth: usize| {
        let mut text = "runbook x \"X\" {\n".to_string();
        (1..depth).for_each(|_| text.push_str("branch \"b\" {\n"));
        text.push_str("escalate\n");
        text.push_str(&"}\n".repeat(depth));
        text
    };
    let (_, loaded) = read(blocks(limits::BLOCK_DEPTH));
    assert_eq!(messages(&loaded), Vec::<&str>::new());
    let (sources, loaded) = read(blocks(limits::BLOCK_DEPTH + 1));
    assert_eq!(messages(&loaded), ["blocks are nested more than 64 deep"]);
    assert_eq!(sources.line_column(loaded.diagnostics[0].span), (65, 12));
    let (_, loaded) = read(blocks(10_000));
    assert_eq!(messages(&loaded), ["blocks are nested more than 64 deep"]);
}

#[test]
fn chains_of_operators_are_limited_like_nesting() {
    let most = limits::EXPRESSION_DEPTH;
    for (link, start) in [
        (" + 1", "1"),
        (" and a", "a"),
        (".a", "a"),
        ("[1]", "a"),
        ("()", "a"),
        (" default a", "a"),
    ] {
        let (_, loaded) = read(format!("let a = {start}{}\n", link.repeat(most - 1)));
        assert_eq!(messages(&loaded), Vec::<&str>::new(), "{link}");
        for many in [most, 5_000] {
            let (_, loaded) = read(format!("let a = {start}{}\nlet b = 2\n", link.repeat(many)));
            assert_eq!(
                messages(&loaded),
                ["this expression is more than 200 levels deep"],
                "{link} {many}"
            );
            assert_eq!(loaded.file.items.len(), 2);
        }
    }
    for prefix in ["not ", "-", "- "] {
        let (_, loaded) = read(format!("let a = {}b\n", prefix.repeat(most - 1)));
        assert_eq!(messages(&loaded), Vec::<&str>::new(), "{prefix}");
        let (_, loaded) = read(format!("let a = {}b\n", prefix.repeat(5_000)));
        assert_eq!(
            messages(&loaded),
            ["this expression is more than 200 levels deep"],
            "{prefix}"
        );
    }
    let (_, loaded) = read(format!("let a = any f{}\n", "(1)".repeat(1_000)));
    assert_eq!(loaded.diagnostics.len(), 1);
    let (_, loaded) = read(format!(
        "scenario \"s\" {{ given {{ a -> 1{} }} }}\n",
        " until b then 1".repeat(1_000)
    ));
    assert_eq!(loaded.diagnostics.len(), 1);
}

#[test]
fn depth_counts_through_brackets() {
    // Each level is four nodes deep: parentheses, a call, a sum, a product.
    let text = format!("let a = {}1{}\n", "(f(1 + 2 * ".repeat(60), "))".repeat(60));
    let (_, loaded) = read(text);
    assert_eq!(messages(&loaded), ["this expression is more than 200 levels deep"]);
}

#[test]
fn types_nest_only_so_far() {
    let (_, loaded) = read(format!("record R {{\n  a: {}Int\n}}\n", "List<".repeat(10_000)));
    assert_eq!(loaded.diagnostics.len(), 1, "{:?}", messages(&loaded));
    assert!(loaded.diagnostics[0].message.starts_with("types are nested"));
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let (_, loaded) = read(vec![b'#'; 2 * 1024 * 1024]);
    assert_eq!(loaded.diagnostics.len(), 1);
    assert_eq!(loaded.diagnostics[0].rule, "file-size");
    assert!(loaded.file.items.is_empty());
    let (_, loaded) = read(format!("#{}\n", "-".repeat(1022)).repeat(limits::FILE_BYTES / 1024));
    assert_eq!(loaded.diagnostics, []);
}

#[test]
fn bytes_that_are_no_text_have_a_place() {
    let (sources, loaded) = read(b"let a = 1\nlet b = \"\xff\"\n".to_vec());
    assert_eq!(loaded.diagnostics[0].rule, "encoding");
    assert_eq!(sources.line_column(loaded.diagnostics[0].span), (2, 10));
    let (_, loaded) = read(vec![0xff; 100]);
    assert_eq!(loaded.diagnostics.len(), 1);
    let (_, loaded) = read("runbook".encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    assert!(loaded.diagnostics.iter().any(|found| found.rule == "hidden-text"));
}

#[test]
fn hidden_characters_are_found_wherever_they_stand() {
    for (text, column) in [
        ("# a \u{202e}comment\n", 5),
        ("> prose \u{2066}\n", 9),
        ("let a = \"x\u{200b}y\"\n", 11),
        ("let a = `x\u{200d}`\n", 11),
        ("let a\u{a0}= 1\n", 6),
        ("let a = 1\u{0}\n", 10),
        ("let a = 1\r\rlet b = 2\n", 10),
        ("let a = \"\u{1b}[2J\"\n", 10),
        ("let a = \"\u{e0041}\"\n", 10),
    ] {
        let (sources, loaded) = read(text);
        let first = &loaded.diagnostics[0];
        assert_eq!(first.rule, "hidden-text", "{text:?}: {:?}", messages(&loaded));
        assert_eq!(sources.line_column(first.span), (1, column), "{text:?}");
        assert!(first.message.contains("U+"), "{text:?}");
        assert!(
            loaded.diagnostics.iter().all(|found| found.rule == "hidden-text"),
            "{text:?}: {:?}",
            messages(&loaded)
        );
    }
    for fine in [
        "# größer, 大\n> ⚠️ prose\u{a0}: “quoted” – fine\nlet a = \"\\u{202e} é ⚠️\"\n",
        "let a = 1\r\nlet b = 2\r\n",
        "\u{feff}let a = 1\n",
    ] {
        assert_eq!(read(fine).1.diagnostics, [], "{fine:?}");
    }
}

#[test]
fn look_alike_names_are_found() {
    let (sources, loaded) = read("let p\u{43e}ol = 1\nlet a = \"{p\u{43e}ol}\"\nlet b = größe\n");
    let rules: Vec<&str> = loaded.diagnostics.iter().map(|found| found.rule).collect();
    assert_eq!(rules, ["mixed-script"; 3]);
    assert_eq!(sources.text(loaded.diagnostics[0].span), "p\u{43e}ol");
    assert_eq!(loaded.diagnostics[0].edits[0].replacement, "pool");
    assert_eq!(sources.line_column(loaded.diagnostics[1].span), (2, 11));
    assert!(loaded.diagnostics[2].edits.is_empty());
}

#[test]
fn at_most_a_hundred_mistakes_are_shown() {
    let (_, loaded) = read("risk\n".repeat(1_000));
    assert_eq!(loaded.diagnostics.len(), limits::ERRORS + 1);
    assert_eq!(
        loaded.diagnostics[limits::ERRORS].message,
        "900 more mistakes are not shown"
    );
}

#[test]
fn forty_lone_braces_do_not_hide_a_mistake_above() {
    let (sources, loaded) = read(format!("risk\n{}\n", "{ ".repeat(40)));
    assert_eq!(sources.line_column(loaded.diagnostics[0].span).0, 1);
    assert!(loaded.diagnostics.len() <= 3, "{:?}", messages(&loaded));
}

/// Doubling the input must not much more than double the time.
#[test]
fn time_grows_with_the_size_of_the_input() {
    let good = "  check a \"Is it?\" {\n    read x = foo.bar(db, limit: 5 min) within 10 s\n    yes when x.one > 5 and not x.two is missing\n  }\n";
    let nested = "branch \"b\" {\n".repeat(30);
    let cases: [(&str, String, &str); 8] = [
        ("good", good.to_string(), ""),
        ("bad lines", "  risk a b c (\n".to_string(), ""),
        ("bad heads", "  cause one when x {\n    risk\n  }\n".to_string(), ""),
        ("open blocks", format!("{nested}risk\n"), ""),
        ("open brackets", "  do a.b(c, [d, {e: f\n".to_string(), ""),
        (
            "trailing text",
            "  cause one \"a\" { escalate } x } y {\n".to_string(),
            "",
        ),
        ("open texts", "  do a.b(\"c\n".to_string(), ""),
        ("open code", "  read a = b(```sql\n".to_string(), ""),
    ];
    for (what, unit, end) in cases {
        let time = |copies: usize| {
            let text = format!("runbook x \"X\" {{\n{}{end}}}\n", unit.repeat(copies));
            let best = (0..3).map(|_| {
                let begin = Instant::now();
                let parsed = crate::syntax::parse(crate::source::FileId(0), &text);
                assert_eq!(parsed.file.length, text.len());
                begin.elapsed()
            });
            best.min().unwrap_or_default()
        };
        let copies = (2_500 / unit.len()).max(1);
        let (small, large) = (time(copies), time(copies * 4));
        assert!(
            large < small * 16 + Duration::from_millis(50),
            "{what}: four times the text took {small:?} and then {large:?}"
        );
    }
}

#[test]
fn spans_are_inside_the_text() {
    let (_, loaded) = read("runbook x \"X\" {\n  risk\n");
    let end = loaded.file.length;
    assert!(
        loaded
            .diagnostics
            .iter()
            .all(|found| found.span <= Span::new(loaded.id, end, end))
    );
}
