//! Text: looked at, filled in, and never read as anything else.

use super::*;
use crate::program::Part;
use crate::value::{CodeLanguage, Secret};

fn pattern(text: &str) -> Expr {
    literal(Value::Code {
        language: Some(CodeLanguage::Regex),
        text: text.into(),
    })
}

fn matches(text: &str, regex: &str) -> Value {
    value(binary(BinaryOp::Matches, literal(Value::text(text)), pattern(regex)))
}

#[test]
fn text_is_searched() {
    let contains = |whole: &str, part: &str| {
        value(binary(
            BinaryOp::Contains,
            literal(Value::text(whole)),
            literal(Value::text(part)),
        ))
    };
    assert_eq!(contains("an ERROR here", "ERROR"), yes());
    assert_eq!(contains("an error here", "ERROR"), no());
    assert_eq!(contains("a.b", "a?b"), no(), "not a pattern");
    assert_eq!(matches("pool-17 exhausted", r"pool-\d+"), yes());
    assert_eq!(matches("pool", r"^\d+$"), no());
}

#[test]
fn bad_and_huge_patterns_are_unknown() {
    assert_eq!(reason(&matches("a", "(")), Some(Reason::Unparsable));
    assert_eq!(reason(&matches("a", r"\w{100000}")), Some(Reason::Unparsable));
    assert_eq!(matches(&"a".repeat(10_000), "(a*)*b"), no(), "no catastrophic case");
    let long = "a".repeat(limits::TEXT_BYTES + 1);
    assert_eq!(reason(&matches(&long, "a")), Some(Reason::Truncated));
    let outside = value(binary(
        BinaryOp::Matches,
        literal(Value::text("a")),
        literal(Value::text("a")),
    ));
    assert_eq!(
        reason(&outside),
        Some(Reason::Internal),
        "text from outside is no pattern"
    );
}

#[test]
fn filled_in_text_is_not_filled_in_again() {
    let template = Template {
        parts: vec![
            Part::Literal("User ".to_owned()),
            Part::Expr(name(0)),
            Part::Literal(", key ".to_owned()),
            Part::Expr(name(1)),
            Part::Literal(", age ".to_owned()),
            Part::Expr(name(2)),
        ],
        span: Span::default(),
    };
    let scope = Fixed::new(vec![
        Value::text("{run.id} `select 1` {secret}"),
        Value::Secret(Secret::new(Value::text("hunter2"))),
        unknown(Reason::Timeout),
    ]);
    assert_eq!(
        fill(&template, &scope),
        "User {run.id} `select 1` {secret}, key (secret), age unknown (no reply in time)"
    );
    let long = Fixed::new(vec![
        Value::text("é".repeat(limits::FILLED_BYTES)),
        Value::None,
        Value::None,
    ]);
    let filled = fill(&template, &long);
    assert!(filled.len() <= limits::FILLED_BYTES + '…'.len_utf8());
    assert!(filled.ends_with('…'));
}

/// What is asked with, sent or compared holds no `unknown (…)`: nobody means a thing of that name.
#[test]
fn a_text_with_a_place_that_is_not_known_is_not_known() {
    let path = |place: Value| {
        let template = Template {
            parts: vec![Part::Literal("/orders/".to_owned()), Part::Expr(literal(place))],
            span: Span::default(),
        };
        typed(ExprKind::Template(template), Type::Text)
    };
    let scope = Fixed::new(Vec::new());
    assert_eq!(evaluate(&path(Value::Int(5)), &scope), Value::text("/orders/5"));
    let lists = Value::list(vec![Value::Int(1), unknown(Reason::Timeout)]);
    for (place, because) in [
        (unknown(Reason::Timeout), Reason::Timeout),
        (lists, Reason::Timeout),
        (Value::Secret(Secret::new(Value::text("hunter2"))), Reason::Denied),
        (Value::text("é".repeat(limits::FILLED_BYTES)), Reason::Truncated),
    ] {
        assert_eq!(reason(&evaluate(&path(place), &scope)), Some(because));
    }
    // People are told what is not known.
    assert_eq!(
        evaluate_for_people(&path(unknown(Reason::Timeout)), &scope),
        Value::text("/orders/unknown (no reply in time)")
    );
}

#[test]
fn secrets_are_compared_and_never_computed_with() {
    let secret = || Value::Secret(Secret::new(Value::text("hunter2")));
    assert_eq!(is(secret(), Value::text("hunter2")), yes());
    let joined = value(binary(BinaryOp::Add, literal(secret()), literal(Value::text("x"))));
    assert!(joined.as_unknown().is_some());
    let number = Value::Secret(Secret::new(Value::Int(5)));
    let sum = value(binary(BinaryOp::Add, literal(number.clone()), literal(Value::Int(1))));
    assert!(sum.as_unknown().is_some(), "arithmetic would make it plain");
    assert!(method(number, Method::Floor, vec![]).as_unknown().is_some());
    let record = Value::Secret(Secret::new(Value::record(
        "R",
        vec![("password", Value::text("hunter2"))],
    )));
    let password = value(field(literal(record), "password"));
    assert!(matches!(password, Value::Secret(_)), "a part of a secret is a secret");
    assert!(!format!("{password:?}").contains("hunter2"));
}

#[test]
fn fields_of_what_has_none_are_unknown() {
    let of = |subject: Value| value(field(literal(subject), "age"));
    assert_eq!(reason(&of(unknown(Reason::Timeout))), Some(Reason::Timeout));
    assert_eq!(reason(&of(Value::None)), Some(Reason::Missing));
    assert_eq!(reason(&of(json("5"))), Some(Reason::Unparsable));
    assert_eq!(reason(&of(json(r#"{"other": 5}"#))), Some(Reason::Missing));
    assert_eq!(of(json(r#"{"age": 5}"#)), json("5"));
    let resource = Value::Resource {
        kind: "Postgres".into(),
        name: "orders".into(),
    };
    assert_eq!(reason(&of(resource)), Some(Reason::Unavailable));
}
