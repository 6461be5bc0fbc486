//! List operations.

use super::*;

fn sessions() -> Value {
    let session =
        |user: &str, age: i64| Value::record("Session", vec![("user", Value::text(user)), ("age", minutes(age))]);
    Value::list(vec![
        session("shop", 12),
        session("report", 3),
        session("shop", 7),
        session("shop", 1),
    ])
}

fn field_of_it(name: &str) -> Vec<Expr> {
    vec![field(it(), name)]
}

fn older_than(limit: i64) -> Vec<Expr> {
    vec![binary(BinaryOp::Greater, field(it(), "age"), literal(minutes(limit)))]
}

fn ages(list: &Value) -> Vec<Value> {
    list.as_list()
        .expect("a list")
        .items
        .iter()
        .map(|item| item.as_record().unwrap().get("age").unwrap().clone())
        .collect()
}

#[test]
fn lists_are_filtered_sorted_and_cut() {
    assert_eq!(
        ages(&method(sessions(), Method::Where, older_than(5))),
        [minutes(12), minutes(7)]
    );
    assert_eq!(
        ages(&method(sessions(), Method::SortBy, field_of_it("age"))),
        [minutes(1), minutes(3), minutes(7), minutes(12)]
    );
    let two = vec![literal(Value::Int(2))];
    assert_eq!(
        ages(&method(sessions(), Method::First, two.clone())),
        [minutes(12), minutes(3)]
    );
    assert_eq!(ages(&method(sessions(), Method::Last, two)), [minutes(7), minutes(1)]);
    assert_eq!(method(sessions(), Method::Count, vec![]), Value::Int(4));
    assert_eq!(method(sessions(), Method::Max, field_of_it("age")), minutes(12));
    assert_eq!(method(ints(&[7, 3]), Method::Min, vec![]), Value::Int(3));
    assert_eq!(method(sessions(), Method::Sum, field_of_it("age")), minutes(23));
    assert_eq!(method(ints(&[1, 2]), Method::Avg, vec![]), Value::Float(1.5));
    assert_eq!(
        method(ints(&[1, 2, 3]), Method::Without, vec![literal(ints(&[2, 9]))]),
        ints(&[1, 3])
    );
}

#[test]
fn tally_counts_like_sort_uniq() {
    let rows = method(sessions(), Method::Tally, field_of_it("user"));
    assert_eq!(
        rows,
        Value::list(vec![
            Value::record("", vec![("value", Value::text("shop")), ("count", Value::Int(3))]),
            Value::record("", vec![("value", Value::text("report")), ("count", Value::Int(1))]),
        ])
    );
    let cut = method(cut(&[1, 1, 2]), Method::Tally, vec![]);
    let first = cut.as_list().unwrap().items[0].as_record().unwrap().clone();
    assert_eq!(
        first.get("count"),
        Some(&Value::AtLeast(2)),
        "counts of a cut list are lower bounds"
    );
    let groups = method(sessions(), Method::GroupBy, field_of_it("user"));
    let shop = groups.as_list().unwrap().items[0].as_record().unwrap().clone();
    assert_eq!(shop.get("key"), Some(&Value::text("shop")));
    assert_eq!(ages(shop.get("items").unwrap()), [minutes(12), minutes(7), minutes(1)]);
}

#[test]
fn the_largest_of_lower_bounds_is_one_and_the_smallest_is_not_known() {
    let counts = |bounds: &[i64], numbers: &[i64]| {
        let bounds = bounds.iter().map(|n| Value::AtLeast(*n));
        Value::list(bounds.chain(numbers.iter().map(|n| Value::Int(*n))).collect())
    };
    for (bounds, numbers, largest) in [(&[0][..], &[7, 3][..], 7), (&[9, 2], &[7], 9), (&[0], &[], 0)] {
        let list = counts(bounds, numbers);
        assert_eq!(method(list.clone(), Method::Max, vec![]), Value::AtLeast(largest));
        assert_eq!(reason(&method(list, Method::Min, vec![])), Some(Reason::Truncated));
    }
    assert_eq!(method(counts(&[], &[7, 3]), Method::Max, vec![]), Value::Int(7));
}

#[test]
fn percentiles_are_the_nearest_rank() {
    let list = ints(&(1..=20).collect::<Vec<_>>());
    let at = |share: f64| method(list.clone(), Method::Percentile, vec![literal(Value::Ratio(share))]);
    assert_eq!(at(0.95), Value::Int(19));
    assert_eq!(at(0.5), Value::Int(10));
    assert_eq!(at(1.0), Value::Int(20));
    assert_eq!(at(0.0), Value::Int(1));
    assert_eq!(reason(&at(1.1)), Some(Reason::Arithmetic));
    assert_eq!(
        method(list, Method::Percentile, vec![literal(Value::Int(95))]),
        Value::Int(19)
    );
}

#[test]
fn empty_lists_have_no_largest_and_no_average() {
    assert_eq!(method(ints(&[]), Method::Sum, vec![]), Value::Int(0));
    assert_eq!(
        reason(&method(ints(&[]), Method::Avg, vec![])),
        Some(Reason::Arithmetic)
    );
    assert_eq!(reason(&method(ints(&[]), Method::Max, vec![])), Some(Reason::Missing));
    assert_eq!(reason(&method(ints(&[]), Method::First, vec![])), Some(Reason::Missing));
    assert_eq!(method(ints(&[]), Method::All, vec![]), yes());
    assert_eq!(method(ints(&[]), Method::Any, vec![]), no());
    let optional = evaluate(
        &typed(
            ExprKind::Method {
                subject: Box::new(literal(ints(&[]))),
                method: Method::First,
                args: vec![],
            },
            Type::Optional(Box::new(Type::Int)),
        ),
        &Fixed::new(vec![]),
    );
    assert_eq!(optional, Value::None, "where the type says so, absence is definite");
}

#[test]
fn one_unknown_element_is_not_passed_over() {
    let list = Value::list(vec![Value::Int(1), unknown(Reason::Denied), Value::Int(9)]);
    let greater = |limit| vec![binary(BinaryOp::Greater, it(), literal(Value::Int(limit)))];
    assert_eq!(
        reason(&method(list.clone(), Method::Where, greater(5))),
        Some(Reason::Denied)
    );
    assert_eq!(
        method(list.clone(), Method::Any, greater(5)),
        yes(),
        "one yes decides `any`"
    );
    assert_eq!(
        reason(&method(list.clone(), Method::Any, greater(10))),
        Some(Reason::Denied)
    );
    assert_eq!(
        method(list.clone(), Method::All, greater(5)),
        no(),
        "one no decides `all`"
    );
    assert_eq!(
        reason(&method(list.clone(), Method::All, greater(0))),
        Some(Reason::Denied)
    );
    for operation in [Method::Sum, Method::Max, Method::Avg, Method::Tally, Method::GroupBy] {
        assert_eq!(
            reason(&method(list.clone(), operation, vec![])),
            Some(Reason::Denied),
            "{operation:?}"
        );
    }
    assert_eq!(
        method(list.clone(), Method::Count, vec![]),
        Value::Int(3),
        "it is one element all the same"
    );
    assert_eq!(
        reason(&method(ints(&[1]), Method::Without, vec![literal(list)])),
        None,
        "1 stands in the other list"
    );
}

#[test]
fn an_unknown_list_stays_unknown_in_every_operation() {
    for (name, operation) in Method::ALL {
        for args in [vec![], vec![literal(Value::Int(1))], vec![it()]] {
            let found = method(unknown(Reason::Timeout), *operation, args);
            assert_eq!(reason(&found), Some(Reason::Timeout), "{name}");
        }
    }
    for operation in [
        Method::Sum,
        Method::Avg,
        Method::Max,
        Method::Min,
        Method::First,
        Method::Last,
    ] {
        assert_eq!(
            reason(&method(cut(&[1, 2]), operation, vec![])),
            Some(Reason::Truncated),
            "{operation:?}"
        );
    }
    assert_eq!(
        reason(&method(
            cut(&[1, 2]),
            Method::Percentile,
            vec![literal(Value::Ratio(0.5))]
        )),
        Some(Reason::Truncated)
    );
}

#[test]
fn places_are_looked_up_in_lists_and_documents() {
    let index = |subject: Value, at: Value| {
        value(expr(ExprKind::Index {
            subject: Box::new(literal(subject)),
            index: Box::new(literal(at)),
        }))
    };
    assert_eq!(index(ints(&[4, 5]), Value::Int(1)), Value::Int(5));
    assert_eq!(reason(&index(ints(&[4]), Value::Int(1))), Some(Reason::Missing));
    assert_eq!(reason(&index(ints(&[4]), Value::Int(-1))), Some(Reason::Missing));
    assert_eq!(reason(&index(cut(&[4]), Value::Int(1))), Some(Reason::Truncated));
    assert_eq!(index(json("[4, 5]"), Value::Int(0)), json("4"));
    assert_eq!(index(json(r#"{"a b": 1}"#), Value::text("a b")), json("1"));
    assert_eq!(
        reason(&index(json(r#"{"a": 1}"#), Value::text("b"))),
        Some(Reason::Missing)
    );
    assert_eq!(reason(&index(json("5"), Value::text("b"))), Some(Reason::Unparsable));
}

#[test]
fn membership_is_three_valued() {
    let list = Value::list(vec![Value::Int(1), unknown(Reason::Denied)]);
    let inside = |element: Value, list: Value| value(binary(BinaryOp::In, literal(element), literal(list)));
    assert_eq!(inside(Value::Int(1), list.clone()), yes());
    assert_eq!(reason(&inside(Value::Int(2), list)), Some(Reason::Denied));
    assert_eq!(inside(Value::Int(2), ints(&[1])), no());
    assert_eq!(reason(&inside(Value::Int(2), cut(&[1]))), Some(Reason::Truncated));
    assert_eq!(
        value(binary(BinaryOp::NotIn, literal(Value::Int(2)), literal(ints(&[1])))),
        yes()
    );
}

#[test]
fn a_list_that_is_too_long_is_unknown() {
    let list = |count: usize| Value::list(vec![Value::Int(1); count]);
    let all = |count: usize| method(list(count), Method::Where, vec![literal(yes())]);
    assert_eq!(reason(&all(crate::limits::LIST_ELEMENTS)), None);
    assert_eq!(reason(&all(crate::limits::LIST_ELEMENTS + 1)), Some(Reason::Truncated));
}
