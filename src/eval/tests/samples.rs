//! Series: conditions over time and trends.

use super::*;
use crate::value::Series;

const STEP: i64 = 60_000_000_000;

/// One sample a minute, the newest one at the time of asking.
fn series(values: &[Value]) -> Value {
    let count = i64::try_from(values.len()).unwrap();
    Value::Series(Arc::new(Series {
        samples: values
            .iter()
            .zip(1 - count..)
            .map(|(value, minute)| (at(minute * 60), value.clone()))
            .collect(),
        until: at(0),
        step: STEP,
    }))
}

fn ratios(values: &[f64]) -> Value {
    series(&values.iter().map(|value| Value::Ratio(*value)).collect::<Vec<_>>())
}

/// `SERIES > 90 % for MINUTES min`
fn above(series: Value, lasting: i64) -> Value {
    above_at(series, lasting, at(0))
}

fn above_at(series: Value, lasting: i64, now: Timestamp) -> Value {
    let condition = binary(BinaryOp::Greater, literal(series), literal(Value::Ratio(0.9)));
    let expr = expr(ExprKind::For {
        condition: Box::new(condition),
        duration: Box::new(literal(minutes(lasting))),
    });
    let mut scope = Fixed::new(vec![]);
    scope.now = now;
    evaluate(&expr, &scope)
}

#[test]
fn it_held_throughout_failed_throughout_or_is_not_settled() {
    assert_eq!(above(ratios(&[0.95, 0.96, 0.97]), 2), yes());
    assert_eq!(
        above(ratios(&[0.1, 0.95, 0.96, 0.97]), 2),
        yes(),
        "what was before does not count"
    );
    assert_eq!(above(ratios(&[0.5, 0.6, 0.7]), 2), no());
    assert_eq!(reason(&above(ratios(&[0.95, 0.2, 0.97]), 2)), Some(Reason::Unsettled));
    assert_eq!(above(ratios(&[0.2, 0.97]), 0), yes(), "for no time at all: now");
}

#[test]
fn a_gap_a_short_history_and_old_samples_are_unknown() {
    assert_eq!(
        reason(&above(ratios(&[0.95, 0.96]), 2)),
        Some(Reason::Unsettled),
        "it does not reach back"
    );
    let gap = Value::Series(Arc::new(Series {
        samples: vec![(at(-180), Value::Ratio(0.95)), (at(0), Value::Ratio(0.95))],
        until: at(0),
        step: STEP,
    }));
    assert_eq!(reason(&above(gap, 2)), Some(Reason::Unsettled));
    let fresh = ratios(&[0.95, 0.96, 0.97]);
    assert_eq!(above_at(fresh.clone(), 1, at(60)), yes(), "one step old is new enough");
    assert_eq!(
        reason(&above_at(fresh, 1, at(61))),
        Some(Reason::Unsettled),
        "and no more"
    );
    let refused = series(&[Value::Ratio(0.95), unknown(Reason::Denied), Value::Ratio(0.95)]);
    assert_eq!(reason(&above(refused, 2)), Some(Reason::Denied));
    assert!(reason(&above(series(&[]), 2)).is_some());
}

#[test]
fn the_future_does_not_count() {
    let ahead = Value::Series(Arc::new(Series {
        samples: vec![
            (at(-60), Value::Ratio(0.95)),
            (at(0), Value::Ratio(0.95)),
            (at(60), Value::Ratio(0.1)),
        ],
        until: at(60),
        step: STEP,
    }));
    assert_eq!(above(ahead, 1), yes());
}

#[test]
fn two_series_are_put_together_where_both_are_known() {
    let failed = series(&[Value::Rate(10.0), Value::Rate(10.0), Value::Rate(10.0)]);
    let total = series(&[Value::Rate(100.0), Value::Rate(0.0), Value::Rate(20.0)]);
    let share = value(binary(BinaryOp::Divide, literal(failed), literal(total)));
    let Value::Series(share) = share else {
        panic!("a series");
    };
    assert_eq!(share.samples[0].1, Value::Ratio(0.1));
    assert_eq!(
        reason(&share.samples[1].1),
        Some(Reason::Arithmetic),
        "no traffic is unknown, not zero"
    );
    assert_eq!(share.samples[2].1, Value::Ratio(0.5));
}

#[test]
fn trends_are_straight_lines() {
    let rising = ratios(&[0.50, 0.51, 0.52, 0.53]);
    let over = vec![literal(minutes(3))];
    let Value::Rate(slope) = method(rising.clone(), Method::Slope, over) else {
        panic!("a rate");
    };
    assert!((slope - 0.01 / 60.0).abs() < 1e-12);
    let Value::Duration(left) = method(rising.clone(), Method::Reaches, vec![literal(Value::Ratio(1.0))]) else {
        panic!("a duration");
    };
    assert!((left - minutes_of(47)).abs() < 1_000_000, "{left}");
    assert_eq!(
        method(rising.clone(), Method::Reaches, vec![literal(Value::Ratio(0.1))]),
        Value::Duration(i64::MAX),
        "it leads away"
    );
    assert_eq!(
        reason(&method(rising.clone(), Method::Reaches, vec![literal(Value::Int(1))])),
        Some(Reason::Unparsable)
    );
    assert_eq!(
        reason(&method(rising.clone(), Method::Slope, vec![literal(minutes(60))])),
        Some(Reason::Unsettled)
    );
    let Value::Ratio(change) = method(rising, Method::Change, vec![literal(minutes(3))]) else {
        panic!("a ratio");
    };
    assert!((change - 0.06).abs() < 1e-9);
    assert_eq!(
        reason(&method(ratios(&[0.0, 0.5]), Method::Change, vec![literal(minutes(1))])),
        Some(Reason::Arithmetic)
    );
}

fn minutes_of(count: i64) -> i64 {
    count * 60_000_000_000
}

#[test]
fn evidence_tells_value_limit_and_since_when() {
    let mut sources = crate::source::Sources::default();
    let text = "used > 90 % for 2 min";
    let file = sources.add("t.starr", None, text);
    let condition = Expr {
        span: crate::source::Span::new(file, 0, 11),
        ..binary(
            BinaryOp::Greater,
            literal(ratios(&[0.2, 0.95, 0.96, 0.97])),
            literal(Value::Ratio(0.9)),
        )
    };
    let whole = Expr {
        span: crate::source::Span::new(file, 0, text.len()),
        ..expr(ExprKind::For {
            condition: Box::new(condition),
            duration: Box::new(literal(minutes(2))),
        })
    };
    let found = evidence(&whole, &Fixed::new(vec![]), &sources);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].text, text);
    assert_eq!(found[0].answer, Answer::Yes);
    assert_eq!((found[0].actual.as_str(), found[0].limit.as_str()), ("97 %", "90 %"));
    assert_eq!(found[0].detail, "for 2 min");

    // What never was another has no beginning that could be told.
    let constant = Value::Series(Arc::new(Series {
        samples: vec![(jiff::Timestamp::MIN, Value::Ratio(0.97))],
        until: jiff::Timestamp::MAX,
        step: i64::MAX,
    }));
    let constant = binary(BinaryOp::Greater, literal(constant), literal(Value::Ratio(0.9)));
    let found = evidence(&constant, &Fixed::new(vec![]), &sources);
    assert_eq!(
        (found[0].actual.as_str(), found[0].detail.as_str()),
        ("97 %", "at all times")
    );

    let both = binary(BinaryOp::And, name(0), not(name(1)));
    let scope = Fixed::new(vec![yes(), unknown(Reason::Timeout)]);
    let found = evidence(&both, &scope, &sources);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].actual, "yes");
    assert_eq!(
        (found[1].answer, found[1].detail.as_str()),
        (Answer::Unknown, "no reply in time")
    );
}

/// A "no" alone does not say whether nobody is there or somebody answers with an error.
#[test]
fn the_evidence_of_an_attempt_says_how_it_ended() {
    use crate::value::Record;
    use crate::value::probe::{Reply, value as probe};
    let sources = crate::source::Sources::default();
    let told = |attempt: Value, field: &str| {
        let asked = expr(ExprKind::Field {
            subject: Box::new(literal(attempt)),
            name: field.into(),
        });
        let found = evidence(&asked, &Fixed::new(vec![]), &sources).remove(0);
        (found.actual, found.detail)
    };
    let no_time = std::time::Duration::ZERO;
    for (attempt, actual, detail) in [
        (probe(Reply::Answered, no_time, Some(503)), "no", "answered, status 503"),
        (
            probe(Reply::Answered, no_time, Some(200)),
            "yes",
            "answered, status 200",
        ),
        (probe(Reply::BadCertificate, no_time, None), "no", "bad_certificate"),
    ] {
        assert_eq!(told(attempt, "ok"), (actual.to_owned(), detail.to_owned()));
    }
    let record = |fields: &[(&str, Value)]| {
        Value::Record(Arc::new(Record {
            type_name: "Ran".into(),
            fields: fields
                .iter()
                .map(|(name, value)| ((*name).into(), value.clone()))
                .collect(),
        }))
    };
    let ran = record(&[("ok", Value::Bool(false)), ("code", Value::Int(2))]);
    assert_eq!(told(ran.clone(), "ok"), ("no".to_owned(), "exit code 2".to_owned()));
    // Of anything else nothing is guessed.
    assert_eq!(told(ran, "code").1, "");
    assert_eq!(told(record(&[("ok", Value::Bool(true))]), "ok").1, "");
}

#[test]
fn series_that_are_too_long_together_are_unknown() {
    let series = |count: usize| {
        Value::Series(Arc::new(crate::value::Series {
            samples: (0..count as i64).map(|second| (at(second), Value::Int(1))).collect(),
            until: at(count as i64),
            step: 1_000_000_000,
        }))
    };
    let half = crate::limits::SERIES_SAMPLES / 2;
    let first = |left: &Value, right: &Value| super::series::pointwise(left, right, &|left, _| left.clone());
    assert_eq!(reason(&first(&series(half), &series(half))), None);
    assert_eq!(
        reason(&first(&series(half), &series(half + 1))),
        Some(Reason::Truncated)
    );
}

#[test]
fn the_evidence_of_one_answer_is_limited() {
    let comparisons = |count: i64| {
        let one = |number| binary(BinaryOp::Greater, literal(Value::Int(number)), literal(Value::Int(0)));
        let all = (2..=count).fold(one(1), |before, number| binary(BinaryOp::And, before, one(number)));
        let sources = crate::source::Sources::default();
        super::evidence(&all, &Fixed::new(vec![]), &sources).len()
    };
    assert_eq!(comparisons(40), 40);
    assert_eq!(comparisons(60), crate::limits::EVIDENCE);
}
