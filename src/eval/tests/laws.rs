//! Kleene's logic: its laws, and a second evaluator that is too simple to be wrong.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Formula {
    Name(usize),
    Not(Box<Formula>),
    And(Box<Formula>, Box<Formula>),
    Or(Box<Formula>, Box<Formula>),
}

const NAMES: usize = 4;

fn formula() -> impl Strategy<Value = Formula> {
    (0..NAMES).prop_map(Formula::Name).prop_recursive(6, 64, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| Formula::Not(Box::new(a))),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| Formula::And(Box::new(a), Box::new(b))),
            (inner.clone(), inner).prop_map(|(a, b)| Formula::Or(Box::new(a), Box::new(b))),
        ]
    })
}

fn answers() -> impl Strategy<Value = Vec<Answer>> {
    proptest::collection::vec(
        prop_oneof![Just(Answer::Yes), Just(Answer::No), Just(Answer::Unknown)],
        NAMES,
    )
}

impl Formula {
    fn expr(&self) -> Expr {
        match self {
            Formula::Name(id) => name(*id),
            Formula::Not(a) => not(a.expr()),
            Formula::And(a, b) => binary(BinaryOp::And, a.expr(), b.expr()),
            Formula::Or(a, b) => binary(BinaryOp::Or, a.expr(), b.expr()),
        }
    }

    /// Kleene's logic as the smaller and larger of 0, 1 and 2.
    fn rank(&self, answers: &[Answer]) -> u8 {
        match self {
            Formula::Name(id) => rank(answers[*id]),
            Formula::Not(a) => 2 - a.rank(answers),
            Formula::And(a, b) => a.rank(answers).min(b.rank(answers)),
            Formula::Or(a, b) => a.rank(answers).max(b.rank(answers)),
        }
    }

    fn evaluated(&self, answers: &[Answer]) -> u8 {
        let values = answers
            .iter()
            .map(|answer| answer_value(*answer, Reason::Timeout, ""))
            .collect();
        rank(answer(&evaluate(&self.expr(), &Fixed::new(values))))
    }
}

fn rank(answer: Answer) -> u8 {
    match answer {
        Answer::No => 0,
        Answer::Unknown => 1,
        Answer::Yes => 2,
    }
}

proptest! {
    #[test]
    fn it_agrees_with_the_simple_evaluator(formula in formula(), answers in answers()) {
        prop_assert_eq!(formula.evaluated(&answers), formula.rank(&answers));
    }

    #[test]
    fn learning_an_answer_never_changes_a_definite_one(formula in formula(), answers in answers(), at in 0..NAMES, learnt in any::<bool>()) {
        let before = formula.evaluated(&answers);
        let mut later = answers;
        if later[at] == Answer::Unknown {
            later[at] = if learnt { Answer::Yes } else { Answer::No };
            let after = formula.evaluated(&later);
            prop_assert!(before == 1 || before == after);
        }
    }

    #[test]
    fn de_morgan_and_double_negation(a in formula(), b in formula(), answers in answers()) {
        let not = |f: &Formula| Formula::Not(Box::new(f.clone()));
        let both = Formula::And(Box::new(a.clone()), Box::new(b.clone()));
        let either = Formula::Or(Box::new(not(&a)), Box::new(not(&b)));
        prop_assert_eq!(not(&both).evaluated(&answers), either.evaluated(&answers));
        prop_assert_eq!(not(&not(&a)).evaluated(&answers), a.evaluated(&answers));
        let swapped = Formula::And(Box::new(b.clone()), Box::new(a.clone()));
        prop_assert_eq!(both.evaluated(&answers), swapped.evaluated(&answers));
    }

    #[test]
    fn any_value_in_any_operation_gives_a_value(left in value_of_any_kind(), right in value_of_any_kind(), number in any::<i64>()) {
        for op in [BinaryOp::Or, BinaryOp::And, BinaryOp::Greater, BinaryOp::Less, BinaryOp::In, BinaryOp::NotIn, BinaryOp::Contains,
                   BinaryOp::Matches, BinaryOp::Add, BinaryOp::Subtract, BinaryOp::Multiply, BinaryOp::Divide] {
            let found = value(binary(op, literal(left.clone()), literal(right.clone())));
            if let Value::Float(number) | Value::Ratio(number) | Value::Rate(number) = found {
                prop_assert!(number.is_finite());
            }
        }
        for (_, operation) in Method::ALL {
            for args in [vec![], vec![literal(right.clone())], vec![literal(Value::Int(number)), it()]] {
                let _ = method(left.clone(), *operation, args);
            }
        }
    }
}

fn value_of_any_kind() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::None),
        Just(unknown(Reason::Denied)),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<i64>().prop_map(Value::AtLeast),
        any::<f64>().prop_map(Value::float),
        any::<f64>().prop_map(Value::ratio),
        any::<f64>().prop_map(Value::rate),
        any::<i64>().prop_map(Value::Duration),
        any::<i64>().prop_map(Value::Bytes),
        ".{0,8}".prop_map(|text: String| Value::text(text)),
        ".{0,8}".prop_map(|text: String| Value::Code {
            language: None,
            text: text.into()
        }),
        (-377_705_023_201_i64..253_402_207_200).prop_map(|second| Value::Time(Timestamp::from_second(second).unwrap())),
        Just(json(r#"{"a": [1, null, "x", 1.5, true, 18446744073709551615]}"#)),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            (proptest::collection::vec(inner.clone(), 0..4), any::<bool>())
                .prop_map(|(items, truncated)| Value::List(Arc::new(List { items, truncated }))),
            proptest::collection::vec(inner.clone(), 0..3)
                .prop_map(|items| Value::record("R", items.into_iter().map(|item| ("f", item)).collect())),
            (proptest::collection::vec((any::<i32>(), inner), 0..5), any::<i64>()).prop_map(|(mut items, step)| {
                items.sort_by_key(|(second, _)| *second);
                items.dedup_by_key(|(second, _)| *second);
                Value::Series(Arc::new(crate::value::Series {
                    samples: items
                        .into_iter()
                        .map(|(second, item)| (at(i64::from(second)), item))
                        .collect(),
                    until: at(0),
                    step,
                }))
            }),
        ]
    })
}
