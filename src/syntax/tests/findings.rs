//! The findings that trying the grammar gave, one by one.

use super::{check_form, parse, shape};
use crate::source::FileId;
use crate::syntax::tree::{BinaryOp, ClauseKind, Expr, ExprKind, GivenKind, ItemKind, ScenarioKind, UndoKind};
use crate::value::unit;

fn findings(text: &str) -> Vec<(String, String)> {
    parse(FileId(0), text)
        .diagnostics
        .iter()
        .map(|found| (text[found.span.range()].to_string(), found.message.clone()))
        .collect()
}

fn fits(text: &str) -> bool {
    findings(text).is_empty()
}

/// The value of `let a = …`.
fn value(text: &str) -> Expr {
    let parsed = parse(FileId(0), &format!("let a = {text}\n"));
    assert_eq!(parsed.diagnostics, [], "{text}");
    match parsed.file.items.into_iter().next().map(|item| item.kind) {
        Some(ItemKind::Clause(clause)) => match clause.kind {
            ClauseKind::Let { value, .. } => value,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

/// Two expressions that must be the same tree, apart from the parentheses.
fn same(left: &str, right: &str) {
    let tree = |text: &str| {
        let parsed = parse(FileId(0), &format!("let a = {text}\n"));
        assert_eq!(parsed.diagnostics, [], "{text}");
        shape(&parsed.file)
            .replace("Paren(Expr { kind: ", "(")
            .replace([' ', ','], "")
    };
    let bare = |tree: String| {
        tree.replace(['(', ')', '{', '}'], "")
            .replace("Expr", "")
            .replace("kind:", "")
            .replace("span:", "")
    };
    assert_eq!(bare(tree(left)), bare(tree(right)), "{left} and {right}");
}

/// G1: a keyword ends at a word boundary. Each clause below begins with a keyword; with a letter behind it, it is none.
#[test]
fn a_keyword_with_a_letter_appended_is_no_keyword() {
    let clauses = [
        "owner \"a\"",
        "status a",
        "reviewed 2026-01-01",
        "timebox 1 h",
        "reads a",
        "changes a",
        "tells a",
        "runs a",
        "situation {}",
        "task {}",
        "result {}",
        "reflection {}",
        "goal a",
        "severity {}",
        "resolved when a",
        "escalation a",
        "prevent \"a\"",
        "advise \"a\"",
        "ask \"a\"",
        "check a = b",
        "symptom a = b",
        "read a = b()",
        "let a = b",
        "yes when a",
        "example \"a\" { -> yes }",
        "branch \"a\" {}",
        "cause a \"a\" {}",
        "otherwise {}",
        "cannot tell {}",
        "action a \"a\" {}",
        "manual a \"a\"",
        "require a",
        "wait until a",
        "each a in b {}",
        "run a()",
        "tell a()",
        "stop \"a\"",
        "escalate",
        "when a",
        "risk a",
        "approve by a",
        "refuse above 5 a",
        "do a()",
        "undo restore",
        "verify a",
        "failed -> escalate",
        "unclear -> escalate",
        "not approved -> escalate",
        "module a.b",
        "use a.{b}",
        "runbook a {}",
        "provider a {}",
        "resource a",
        "record a { b: Int }",
        "enum a { b }",
        "scenario \"a\" {}",
    ];
    for clause in clauses {
        assert!(fits(&format!("{clause}\n")), "{clause}: {:?}", findings(clause));
        let (word, rest) = clause.split_once(' ').unwrap_or((clause, ""));
        for letter in ["x", "_", "9", "é"] {
            let text = format!("{word}{letter} {rest}\n");
            let found = findings(&text);
            assert!(!found.is_empty(), "{text}");
            // Without the blank between them as well, unless a mark ends the word anyway.
            if rest.starts_with(|next: char| next.is_alphanumeric()) {
                assert!(!fits(&format!("{word}{rest}\n")), "{word}{rest}");
            }
        }
    }
    // Inside a clause: the modifier ends at a word boundary too.
    for (good, bad) in [
        ("verify a within 5 min", "verify a withinx 5 min"),
        ("verify a every 5 min", "verify a everyx 5 min"),
        ("let a = any f(each xs)", "let a = anyx f(each xs)"),
        ("let a = b and c", "let a = b andc"),
        ("let a = b is c", "let a = b isc"),
        ("let a = b is not empty", "let a = b is notempty c"),
        ("let a = b for 5 min", "let a = b forx 5 min"),
        ("let a = b default c", "let a = b defaultx c"),
        ("let a = b contains c", "let a = b containsx c"),
        ("let a = b matches c", "let a = b matchesx c"),
        ("let a = b in c", "let a = b inx c"),
        ("undo restore at end", "undo restore at endx"),
        ("approve by a or b", "approve by a orb"),
        ("failed -> next cause", "failed -> next causex"),
        ("failed -> undo, escalate", "failed -> undox, escalate"),
        ("require a else escalate", "require a elsex escalate"),
    ] {
        assert!(fits(good), "{good}: {:?}", findings(good));
        assert!(!fits(bad), "{bad}");
    }
    // `do undone(x)` is a call, `foo(eachother)` an argument.
    assert!(fits("do undone(x)\n"));
    let ExprKind::Call { args, .. } = value("foo(eachother)").kind else {
        panic!()
    };
    assert!(!args[0].each);
}

/// G2: only reserved words cannot be names.
#[test]
fn keywords_are_names_where_no_clause_begins() {
    for text in [
        "let when = when.limit",
        "check check = check(check)",
        "read read = read.read(read: read)",
        "each each in each at most 5 {}",
        "let within = within within",
        "action do \"do\" {}",
    ] {
        assert_eq!(
            fits(&format!("{text}\n")),
            text != "let within = within within",
            "{text}: {:?}",
            findings(text)
        );
    }
    for word in [
        "and", "or", "not", "is", "in", "matches", "contains", "default", "it", "true", "false", "none",
    ] {
        assert!(!fits(&format!("let {word} = 1\n")), "{word}");
        assert!(fits(&format!("let a = b.{word}\n")), "{word} may be a field");
    }
}

/// G3: a `}` inside a comment, a text or code does not end a block, in junk either.
#[test]
fn junk_knows_comments_texts_and_code() {
    let found = findings("runbook a \"A\" {\n  rsk } # }\n  risk \"}\" `}`\n  foo ```sql\n  }\n  ``` x\n  risk\n}\n");
    assert_eq!(found.len(), 5, "{found:?}");
    let found = findings("runbook a \"A\" {\n  foo # }\n  risk \"}\" `}`\n  foo ```sql\n  }\n  ``` x\n  risk\n}\n");
    assert_eq!(found.len(), 4, "{found:?}");
}

/// G5: a missing `}` is closed by a top-level word in the first column, or by the end of the file.
#[test]
fn a_missing_brace_hides_nothing() {
    let found = findings("runbook a \"A\" {\ntask {\ngoal x\nrunbook b \"B\" {\n  risk\n}\n");
    let messages: Vec<&str> = found.iter().map(|(_, message)| message.as_str()).collect();
    assert_eq!(messages.len(), 2, "{found:?}");
    assert!(messages[0].contains("missing"), "{found:?}");
    assert_eq!(found[1].0, "risk");
    let found = findings("runbook a \"A\" {");
    assert_eq!(found.len(), 1, "{found:?}");
}

/// G8, G26: where a line may be broken.
#[test]
fn lines_break_behind_operators_commas_brackets_and_before_and_or() {
    for text in [
        "let a = b +\n  c *\n  d\n",
        "let a = b\n  and c\n  or d\n",
        "let a = b  # comment\n  # comment\n  and c\n",
        "let a = f(\n  1,\n  2,\n)\n",
        "let a = [\n  1,  # one\n  2\n]\n",
        "let a = {\n  b: 1,\n  c: 2,\n}\n",
        "reads a,\n  b\n",
        "failed -> undo,\n  next cause\n",
        "let a =\n  b\n",
    ] {
        assert!(fits(text), "{text}: {:?}", findings(text));
        check_form(text);
    }
    assert_eq!(findings("let a = b\n  + c\n")[0].0, "+");
}

/// G11, G12: the units of the grammar are those of the language, no more and no less.
#[test]
fn units_are_those_of_the_language() {
    for unit in unit::UNITS {
        for text in [
            format!("5 {}", unit.name),
            format!("5{}", unit.name),
            format!("5.5 {}", unit.name),
        ] {
            let ExprKind::Quantity { unit: found, .. } = value(&text).kind else {
                panic!("{text}")
            };
            assert_eq!(found.text, unit.name);
        }
    }
    for word in ["m", "sec", "mins", "hours", "KB", "gb", "pct", "x", "percent", "PiB"] {
        let text = format!("let a = 5 {word}\n");
        let parsed = parse(FileId(0), &text);
        assert_eq!(parsed.diagnostics.len(), 1, "{text}");
        assert_eq!(parsed.diagnostics[0].rule, "unknown-unit", "{text}");
        if let Some(nearest) = unit::nearest(word) {
            let help = parsed.diagnostics[0].help.clone().unwrap_or_default();
            assert!(help.contains(nearest), "{text}: {help}");
        }
    }
    assert!(matches!(
        value("300 / s").kind,
        ExprKind::Binary {
            op: BinaryOp::Divide,
            ..
        }
    ));
    assert!(matches!(
        value("bytes /s").kind,
        ExprKind::Binary {
            op: BinaryOp::Divide,
            ..
        }
    ));
    assert!(matches!(
        value("20 Mi / 1 h").kind,
        ExprKind::Binary {
            op: BinaryOp::Divide,
            ..
        }
    ));
    assert!(matches!(
        value("20 Mi /h").kind,
        ExprKind::Binary {
            op: BinaryOp::Divide,
            ..
        }
    ));
    assert!(matches!(value("300 /s").kind, ExprKind::Quantity { .. }));
}

/// G14, G15, G16: what binds how tightly.
#[test]
fn precedence() {
    same("not used > 90 % for 5 min", "not ((used > 90 %) for 5 min)");
    same("not a and b", "(not a) and b");
    same("a or b and c", "a or (b and c)");
    same("a and b or c", "(a and b) or c");
    same("not a is missing", "not (a is missing)");
    same("x is not a or b", "(x is not a) or b");
    same("a + b * c - d", "(a + (b * c)) - d");
    same("-a.b + c", "(-(a.b)) + c");
    same("a - b - c", "(a - b) - c");
    same("a default b + 1", "a default (b + 1)");
    same("a.b default 2 and c", "((a.b) default 2) and c");
    assert!(matches!(
        value("not a and b").kind,
        ExprKind::Binary { op: BinaryOp::And, .. }
    ));
    assert!(matches!(value("not a > b").kind, ExprKind::Not(_)));
    assert!(matches!(value("a > b for 5 min").kind, ExprKind::For { .. }));
    assert!(matches!(
        value("a + b > c").kind,
        ExprKind::Binary {
            op: BinaryOp::Greater,
            ..
        }
    ));
    let ExprKind::Is { negated, .. } = value("a is (not b)").kind else {
        panic!()
    };
    assert!(!negated);
    let ExprKind::Is { negated, .. } = value("a is not b").kind else {
        panic!()
    };
    assert!(negated);
    assert_eq!(
        check_form("let a = (b) and ((c or d))\n"),
        "let a = (b) and ((c or d))\n"
    );
}

/// G17: `is not empty` before `is not`, and `in batches` is no operator.
#[test]
fn words_of_two_parts() {
    assert!(fits(
        "each a in [1] at most 5 in batches of 1, 10 % stop after 2 failures {}\n"
    ));
    assert!(matches!(
        value("a is not empty").kind,
        ExprKind::Is { negated: true, .. }
    ));
    assert!(matches!(value("a is emptyish").kind, ExprKind::Is { .. }));
    assert!(matches!(
        value("a not in b").kind,
        ExprKind::Binary {
            op: BinaryOp::NotIn,
            ..
        }
    ));
}

/// G18: `undo none` says why.
#[test]
fn undo_none_needs_a_reason() {
    assert_eq!(
        findings("undo none\n"),
        [("none".to_string(), "an action without an undo says why".to_string())]
    );
    let parsed = parse(FileId(0), "undo none because \"x\"\n");
    let ItemKind::Clause(clause) = &parsed.file.items[0].kind else {
        panic!()
    };
    assert!(matches!(&clause.kind, ClauseKind::Undo(undo) if matches!(undo.kind, UndoKind::None(_))));
}

/// G19: `any` is a fan-out before a name, otherwise a name.
#[test]
fn any_and_all_are_names_too() {
    assert!(matches!(
        value("any foo(each xs)").kind,
        ExprKind::FanOut { all: false, .. }
    ));
    assert!(matches!(
        value("all a.b(from: each xs)").kind,
        ExprKind::FanOut { all: true, .. }
    ));
    assert!(matches!(value("any(xs)").kind, ExprKind::Call { .. }));
    assert!(matches!(value("any.x").kind, ExprKind::Field { .. }));
    assert!(matches!(value("xs.any(it.a)").kind, ExprKind::Call { .. }));
}

/// G20: comments and blanks do not reach the Pratt parser.
#[test]
fn comments_inside_expressions() {
    for text in [
        "let a = b +  # c\n  d\n",
        "let a = f(  # c\n  b,  # d\n  # e\n  c  # f\n  # g\n)\n",
        "let a = [  # c\n]\n",
        "let a = b  # c\n  and  # d\n  not  # e\n  c\n",
        "runbook a \"A\" {  # b\n  # c\n}  # d\n# e\n",
        "record R {  # a\n  b: Int,  # c\n  # d\n}\n",
        "provider a {\n  change b(  # c\n    d: Int,  # e\n  ) idempotent {\n    # f\n    before g()  # h\n  }\n}\n",
        "scenario \"a\" {\n  given {  # b\n    c -> 1  # d\n    # e\n  }\n}\n",
    ] {
        check_form(text);
    }
}

/// G21, G22, G23 and the places of their messages are in `tests/language/invalid`; here that code takes everything.
#[test]
fn code_is_taken_as_it_is() {
    let ExprKind::Code { text, fenced, language } = value("`{job=\"a\"} \\d # x`").kind else {
        panic!()
    };
    assert_eq!(text, "{job=\"a\"} \\d # x");
    assert!(!fenced && language.is_none());
    let ExprKind::Code { text, fenced, language } = value("```sql\n  select {1}\n    # no comment\n  ```").kind else {
        panic!()
    };
    assert_eq!(text, "  select {1}\n    # no comment\n  ");
    assert!(fenced);
    assert_eq!(language.map(|name| name.text).as_deref(), Some("sql"));
}

/// Words of scenarios are values of their own only where they stand alone.
#[test]
fn words_of_scenarios() {
    let text = "scenario \"a\" {\n  given {\n    a -> timeout\n    b -> State.timeout\n    c -> timeout until d then none\n    e -> yes\n  }\n}\n";
    let parsed = parse(FileId(0), text);
    assert_eq!(parsed.diagnostics, []);
    let ItemKind::Scenario(scenario) = &parsed.file.items[0].kind else {
        panic!()
    };
    let ScenarioKind::Given(lines) = &scenario.clauses[0].kind else {
        panic!()
    };
    assert!(matches!(&lines[0].value.kind, GivenKind::Word(word) if word.text == "timeout"));
    assert!(matches!(&lines[1].value.kind, GivenKind::Expr(_)));
    assert!(matches!(&lines[2].value.kind, GivenKind::Until { .. }));
    assert!(matches!(&lines[3].value.kind, GivenKind::Word(_)));
}

#[test]
fn keyword_spans_cover_all_words() {
    let text = "not approved -> escalate\nyes when a\notherwise or cannot tell {}\ncannot  tell {}\notherwise {}\nrisk low\n> prose\n";
    let parsed = parse(FileId(0), text);
    let words: Vec<&str> = parsed
        .file
        .items
        .iter()
        .map(|item| match &item.kind {
            ItemKind::Clause(clause) => &text[clause.keyword.range()],
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        words,
        [
            "not approved",
            "yes when",
            "otherwise or cannot tell",
            "cannot  tell",
            "otherwise",
            "risk",
            ">"
        ]
    );
}
