//! Generated inputs for the pure parts of questions: whatever comes in, no panic, and not knowing never makes an answer.
//!
//! Two properties are looked at for every input: taking a value away (unknown in its place) may lose an answer and never turn it;
//! neither may cutting a list. (An element that is not known may hide an answer that the list without it gives.) Values come from the types of the inputs, half of them from the limits that the file compares
//! with and their neighbours.

use crate::eval::{self, Scope};
use crate::program::{Binding, BindingId, BindingKind, Expr, ExprKind, Program, QuestionForm, RunField};
use crate::value::{Answer, List, Reason, Record, Secret, Series, Type, Value};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// What came of the inputs of one question.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Generated {
    pub name: String,
    pub yes: usize,
    pub no: usize,
    pub unknown: usize,
    /// What did not hold, with the inputs.
    pub broken: Vec<String>,
}

/// Numbers that look random and are the same for one seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        // xorshift64* (Marsaglia 2003, Vigna 2016)
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit.max(1)).unwrap_or(1);
        usize::try_from(self.next() % limit).unwrap_or(0)
    }

    fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }
}

/// Asks every question of the program `count` times with made-up inputs.
pub fn questions(program: &Program, count: usize, seed: u64) -> Vec<Generated> {
    let mut all = Vec::new();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for book in &program.runbooks {
        for (index, _) in book.bindings.iter().enumerate() {
            one(
                &book.name,
                &book.bindings,
                BindingId(index),
                count,
                seed,
                &mut seen,
                &mut all,
            );
        }
    }
    for example in &program.examples {
        let check = example.name.split(':').next().unwrap_or_default().to_owned();
        one(
            &check,
            &example.bindings,
            example.question,
            count,
            seed,
            &mut seen,
            &mut all,
        );
    }
    all
}

fn one(
    of: &str,
    bindings: &[Binding],
    id: BindingId,
    count: usize,
    seed: u64,
    seen: &mut BTreeSet<String>,
    all: &mut Vec<Generated>,
) {
    let binding = &bindings[id.0];
    let BindingKind::Question(question) = &binding.kind else {
        return;
    };
    if !matches!(question.form, QuestionForm::YesWhen(_)) || !seen.insert(format!("{of}.{}", binding.name)) {
        return;
    }
    let asked = Asked::new(bindings, id);
    let mut numbers = Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ id.0 as u64 | 1);
    let mut generated = Generated {
        name: binding.name.clone(),
        ..Generated::default()
    };
    for _ in 0..count {
        asked.once(&mut numbers, &mut generated);
        if generated.broken.len() >= 3 {
            break;
        }
    }
    all.push(generated);
}

/// A question with what it rests on.
struct Asked<'p> {
    bindings: &'p [Binding],
    question: BindingId,
    /// Everything below the question, in the order in which it can be computed.
    below: Vec<BindingId>,
    inputs: Vec<BindingId>,
    /// Values that the file compares with.
    limits: Vec<Value>,
    /// It asks whether something is unknown: then not knowing is meant to make an answer.
    asks_unknown: bool,
}

struct Values<'v>(&'v BTreeMap<usize, Value>);

impl Scope for Values<'_> {
    fn binding(&self, id: BindingId) -> Value {
        self.0
            .get(&id.0)
            .cloned()
            .unwrap_or_else(|| Value::unknown(Reason::Internal, "a name that is not there"))
    }

    fn now(&self) -> Timestamp {
        clock()
    }

    fn run(&self, _field: RunField) -> Value {
        Value::unknown(Reason::Unavailable, "not in a run")
    }
}

fn clock() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl<'p> Asked<'p> {
    fn new(bindings: &'p [Binding], question: BindingId) -> Self {
        let mut below = BTreeSet::new();
        let mut inputs = BTreeSet::new();
        let mut limits = Vec::new();
        let mut asks_unknown = false;
        let mut open = vec![question];
        while let Some(id) = open.pop() {
            if !below.insert(id) {
                continue;
            }
            let binding = &bindings[id.0];
            match expression(binding) {
                Some(expr) => {
                    expr.bindings(&mut |needed| open.push(needed));
                    expr.walk(&mut |part| match &part.kind {
                        ExprKind::Literal(value) => limits.push(value.clone()),
                        ExprKind::IsUnknown { .. } => asks_unknown = true,
                        _ => {}
                    });
                }
                None => {
                    inputs.insert(id);
                }
            }
        }
        Self {
            bindings,
            question,
            below: below.into_iter().collect(),
            inputs: inputs.into_iter().collect(),
            limits,
            asks_unknown,
        }
    }

    fn once(&self, numbers: &mut Numbers, generated: &mut Generated) {
        let inputs: Vec<(BindingId, Value)> = self
            .inputs
            .iter()
            .map(|id| (*id, self.value(&self.bindings[id.0].ty, numbers, 0)))
            .collect();
        let Some(answer) = self.answer(&inputs, generated) else {
            return;
        };
        match answer {
            Answer::Yes => generated.yes += 1,
            Answer::No => generated.no += 1,
            Answer::Unknown => generated.unknown += 1,
        }
        if self.asks_unknown {
            return;
        }
        for index in 0..inputs.len() {
            let (id, value) = &inputs[index];
            let mut less = vec![Value::unknown(Reason::Timeout, "taken away")];
            if let Value::List(list) = value {
                less.push(Value::List(Arc::new(List {
                    items: list.items[..list.items.len() / 2].to_vec(),
                    truncated: true,
                })));
            }
            for less in less {
                let mut inputs = inputs.clone();
                let word = if matches!(less, Value::List(_)) {
                    "cut"
                } else {
                    "taken away"
                };
                inputs[index].1 = less;
                let Some(again) = self.answer(&inputs, generated) else {
                    return;
                };
                if again != Answer::Unknown && answer != Answer::Unknown && again != answer {
                    generated.broken.push(format!(
                        "with `{}` {word} the answer turned from {} to {}: {}",
                        self.bindings[id.0].name,
                        answer.word(),
                        again.word(),
                        self.shown(&inputs)
                    ));
                }
            }
        }
    }

    fn shown(&self, inputs: &[(BindingId, Value)]) -> String {
        let inputs: Vec<String> = inputs
            .iter()
            .map(|(id, value)| format!("{} = {}", self.bindings[id.0].name, crate::value::show::show(value)))
            .collect();
        inputs.join(", ")
    }

    /// The answer; `None` when the evaluation panicked, which is noted.
    fn answer(&self, inputs: &[(BindingId, Value)], generated: &mut Generated) -> Option<Answer> {
        let computed = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let mut values: BTreeMap<usize, Value> = inputs.iter().map(|(id, value)| (id.0, value.clone())).collect();
            for id in &self.below {
                if let Some(expr) = expression(&self.bindings[id.0]) {
                    let value = eval::evaluate(expr, &Values(&values));
                    values.insert(id.0, value);
                }
            }
            eval::answer(&Values(&values).binding(self.question))
        }));
        if computed.is_err() {
            generated
                .broken
                .push(format!("the evaluation panicked: {}", self.shown(inputs)));
        }
        computed.ok()
    }

    fn value(&self, ty: &Type, numbers: &mut Numbers, depth: usize) -> Value {
        if numbers.chance(12) {
            return Value::unknown(Reason::Timeout, "made up");
        }
        if numbers.chance(2)
            && let Some(value) = self.near_limit(ty, numbers)
        {
            return value;
        }
        let number = i64::try_from(numbers.below(200)).unwrap_or(0) - 20;
        let magnitude = [1_i64, 1_000, 1_000_000, 1_000_000_000, 60_000_000_000][numbers.below(5)];
        match ty {
            Type::Bool | Type::Answer(_) => Value::Bool(numbers.chance(2)),
            Type::Int => Value::Int(number.saturating_mul(if numbers.chance(8) { i64::MAX / 300 } else { 1 })),
            Type::Float => Value::float(number as f64 / 7.0),
            Type::Text => Value::text(["", "a", "idle", "\u{202e}x", "0"][numbers.below(5)]),
            Type::Time => {
                let span = SignedDuration::from_secs(number.saturating_mul(60));
                Value::Time(clock().checked_sub(span).unwrap_or(clock()))
            }
            Type::Duration => Value::Duration(number.abs().saturating_mul(magnitude)),
            Type::Ratio => Value::ratio(number as f64 / 100.0),
            Type::Bytes => Value::Bytes(number.abs().saturating_mul(magnitude)),
            Type::Rate => Value::rate(number.abs() as f64),
            Type::Json => Value::Json(Arc::new(serde_json::json!([{"a": number}, null, "x"]))),
            Type::Enum(enumeration) => enumeration
                .values
                .get(numbers.below(enumeration.values.len()))
                .map_or(Value::None, |value| Value::Enum(Arc::clone(value))),
            Type::Optional(_) if numbers.chance(3) => Value::None,
            Type::Optional(inner) => self.value(inner, numbers, depth),
            Type::Secret(inner) => Value::Secret(Secret::new(self.value(inner, numbers, depth))),
            Type::Resource(resource) => Value::Resource {
                kind: Arc::clone(&resource.name),
                name: "made up".into(),
            },
            Type::List(inner) => {
                let count = match depth {
                    0 if numbers.chance(4) => numbers.below(60),
                    0 | 1 => numbers.below(5),
                    _ => 1,
                };
                let items = (0..count).map(|_| self.value(inner, numbers, depth + 1)).collect();
                Value::list(items)
            }
            Type::Series(inner) => {
                let mut samples = Vec::new();
                for minutes in (0..numbers.below(8)).rev() {
                    let span = SignedDuration::from_mins(i64::try_from(minutes).unwrap_or(0));
                    let time = clock().checked_sub(span).unwrap_or(clock());
                    samples.push((time, self.value(inner, numbers, depth + 1)));
                }
                Value::Series(Arc::new(Series {
                    samples,
                    until: clock(),
                    step: 120_000_000_000,
                }))
            }
            Type::Record(record) => Value::Record(Arc::new(Record {
                type_name: Arc::clone(&record.name),
                fields: record
                    .fields
                    .iter()
                    .map(|(name, ty)| (Arc::clone(name), self.value(ty, numbers, depth + 1)))
                    .collect(),
            })),
            Type::Code(language) => Value::Code {
                language: Some(*language),
                text: "".into(),
            },
            Type::Any | Type::None | Type::Nothing => Value::None,
        }
    }

    /// A limit of the file, or just beside one.
    fn near_limit(&self, ty: &Type, numbers: &mut Numbers) -> Option<Value> {
        let fitting: Vec<&Value> = self
            .limits
            .iter()
            .filter(|value| crate::value::conform::conforms(value, ty).is_ok() && !matches!(value, Value::None))
            .collect();
        let limit = fitting.get(numbers.below(fitting.len()))?;
        let step = i64::try_from(numbers.below(3)).unwrap_or(1) - 1;
        Some(match limit {
            Value::Int(number) => Value::Int(number.saturating_add(step)),
            Value::Duration(span) => Value::Duration(span.saturating_add(step)),
            Value::Bytes(size) => Value::Bytes(size.saturating_add(step)),
            Value::Ratio(number) => Value::ratio(number + step as f64 * 1e-9),
            other => (*other).clone(),
        })
    }
}

/// What a name is computed from; `None` for what comes from outside.
fn expression(binding: &Binding) -> Option<&Expr> {
    match &binding.kind {
        BindingKind::Let(expr) => Some(expr),
        BindingKind::Question(question) => match &question.form {
            QuestionForm::YesWhen(expr) => Some(expr),
            _ => None,
        },
        _ => None,
    }
}
