//! Operations on lists.

use super::compare::{all, any, contains, equal};
use super::limits::LIST_ELEMENTS;
use super::machine::{Machine, Truth, kind, lift, missing};
use super::number::{self, conform, cut, magnitude, order, quantity};
use super::series;
use crate::program::{BinaryOp, Expr, Method};
use crate::value::{List, Reason, Series, Type, Unknown, Value};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

/// The elements of a list or of a list in a document.
pub(super) struct Items<'a> {
    pub list: Cow<'a, [Value]>,
    pub truncated: bool,
}

impl Items<'_> {
    pub fn values(&self) -> &[Value] {
        &self.list
    }
}

/// The elements of a value; what is wrong otherwise.
pub(super) fn items(value: &Value) -> Result<Items<'_>, Value> {
    let found = match value {
        Value::List(list) => Items {
            list: Cow::Borrowed(&list.items),
            truncated: list.truncated,
        },
        Value::Json(json) => match &**json {
            serde_json::Value::Array(elements) => Items {
                list: elements
                    .iter()
                    .map(|element| Value::Json(Arc::new(element.clone())))
                    .collect::<Vec<_>>()
                    .into(),
                truncated: false,
            },
            _ => return Err(not_a_list(value)),
        },
        Value::Unknown(_) => return Err(value.clone()),
        Value::None => return Err(Value::Unknown(missing("there is no list"))),
        _ => return Err(not_a_list(value)),
    };
    if found.list.len() > LIST_ELEMENTS {
        return Err(Value::unknown(
            Reason::Truncated,
            format!("the list has more than {LIST_ELEMENTS} elements"),
        ));
    }
    Ok(found)
}

fn not_a_list(value: &Value) -> Value {
    Value::unknown(Reason::Unparsable, format!("{} is not a list", kind(value)))
}

/// `is empty`: a list without elements, a text without characters, a document without fields.
pub(super) fn is_empty(value: &Value) -> Value {
    match value {
        Value::Text(text) => Value::Bool(text.is_empty()),
        Value::Secret(secret) => is_empty(secret.expose()),
        Value::Json(json) => match &**json {
            serde_json::Value::String(text) => Value::Bool(text.is_empty()),
            serde_json::Value::Object(fields) => Value::Bool(fields.is_empty()),
            serde_json::Value::Array(elements) => Value::Bool(elements.is_empty()),
            _ => not_a_list(value),
        },
        Value::List(list) if !list.items.is_empty() => Value::Bool(false),
        Value::List(list) if list.truncated => cut(),
        Value::List(_) => Value::Bool(true),
        Value::Unknown(_) => value.clone(),
        Value::None => Value::Unknown(missing("there is no list")),
        other => not_a_list(other),
    }
}

/// `xs[0]`, `document["name"]`
pub(super) fn index(subject: &Value, index: &Value, ty: &Type) -> Value {
    let index = lift(index);
    for side in [subject, &index] {
        match side {
            Value::Unknown(_) => return side.clone(),
            Value::None => return Value::Unknown(missing("there is no value")),
            _ => {}
        }
    }
    let absent = |detail: String| {
        if matches!(ty, Type::Optional(_)) {
            Value::None
        } else {
            Value::Unknown(missing(&detail))
        }
    };
    if let (Value::Json(json), Some(name)) = (subject, index.as_str()) {
        return match json.as_object() {
            Some(fields) => fields.get(name).map_or_else(
                || absent(format!("there is no field `{name}`")),
                |value| Value::Json(Arc::new(value.clone())),
            ),
            None => Value::unknown(Reason::Unparsable, format!("{} has no fields", kind(subject))),
        };
    }
    let Value::Int(position) = index else {
        return Value::unknown(Reason::Unparsable, "a position is a whole number");
    };
    match items(subject) {
        Ok(found) => match usize::try_from(position).ok().and_then(|at| found.values().get(at)) {
            Some(value) => value.clone(),
            None if found.truncated && position >= 0 => cut(),
            None => absent(format!("there is no element {position}")),
        },
        Err(unknown) => unknown,
    }
}

impl Machine<'_> {
    /// A postfix operation. `outer` is the element of the enclosing operation, for plain arguments.
    pub(super) fn method(
        &self,
        subject: &Value,
        method: Method,
        args: &[Expr],
        expr: &Expr,
        outer: Option<&Value>,
    ) -> Value {
        match method {
            Method::Floor => return number::round(subject, false),
            Method::Ceil => return number::round(subject, true),
            _ => {}
        }
        if let Value::Secret(_) = subject {
            return Value::unknown(Reason::Unavailable, "a secret is not computed with");
        }
        if let Value::Series(samples) = subject {
            return self.series_method(samples, method, args, expr, outer);
        }
        if matches!(method, Method::Slope | Method::Change | Method::Reaches) {
            return match subject {
                Value::Unknown(_) => subject.clone(),
                other => Value::unknown(Reason::Internal, format!("{} is not a series", kind(other))),
            };
        }
        match items(subject) {
            Ok(found) => self.list_method(&found, method, args, expr, outer),
            Err(unknown) => unknown,
        }
    }

    fn series_method(
        &self,
        samples: &Series,
        method: Method,
        args: &[Expr],
        expr: &Expr,
        outer: Option<&Value>,
    ) -> Value {
        let argument = |position: usize| args.get(position).map(|arg| self.value(arg, outer));
        match method {
            Method::Slope => series::slope(samples, argument(0).as_ref(), self.now),
            Method::Change => series::change(samples, argument(0).as_ref(), self.now),
            Method::Reaches => series::reaches(samples, argument(0).as_ref(), argument(1).as_ref(), self.now),
            Method::Last if args.is_empty() => series::newest(samples, self.now),
            _ => {
                let values = samples.samples.iter().map(|(_, value)| value.clone()).collect();
                let all = List {
                    items: values,
                    truncated: false,
                };
                match items(&Value::List(Arc::new(all))) {
                    Ok(found) => self.list_method(&found, method, args, expr, outer),
                    Err(unknown) => unknown,
                }
            }
        }
    }

    fn list_method(&self, found: &Items, method: Method, args: &[Expr], expr: &Expr, outer: Option<&Value>) -> Value {
        let values = found.values();
        // The key of an element: the argument with `it` being the element, or the element itself.
        let key = |position: usize, element: &Value| match args.get(position) {
            Some(arg) => self.value(arg, Some(element)),
            None => element.clone(),
        };
        match method {
            Method::Where => self.filter(found, args),
            Method::SortBy => sort_by(found, |element| key(0, element)),
            Method::First | Method::Last => {
                let count = args.first().map(|arg| self.value(arg, outer));
                ends(found, count.as_ref(), method == Method::First, &expr.ty)
            }
            Method::Any => {
                let answer = any(values.iter().map(|element| key(0, element)));
                if found.truncated && answer == Value::Bool(false) {
                    cut()
                } else {
                    answer
                }
            }
            Method::All => {
                let answer = all(values.iter().map(|element| key(0, element)));
                if found.truncated && answer == Value::Bool(true) {
                    cut()
                } else {
                    answer
                }
            }
            Method::Map => list_of(values.iter().map(|element| key(0, element)).collect(), found.truncated),
            Method::Tally => tally(found, |element| key(0, element)),
            Method::GroupBy => group_by(found, |element| key(0, element)),
            Method::Count => {
                let count = i64::try_from(values.len()).unwrap_or(i64::MAX);
                if found.truncated {
                    Value::AtLeast(count)
                } else {
                    Value::Int(count)
                }
            }
            Method::Sum => {
                if found.truncated {
                    return cut();
                }
                sum(values.iter().map(|element| key(0, element)), &expr.ty)
            }
            Method::Avg => {
                if found.truncated {
                    return cut();
                }
                average(
                    &values.iter().map(|element| key(0, element)).collect::<Vec<_>>(),
                    &expr.ty,
                )
            }
            Method::Max | Method::Min => {
                if found.truncated {
                    return cut();
                }
                extreme(
                    values.iter().map(|element| key(0, element)),
                    method == Method::Max,
                    &expr.ty,
                )
            }
            Method::Percentile => {
                if found.truncated {
                    return cut();
                }
                let rank = args.first().map(|arg| self.value(arg, outer));
                percentile(values.iter().map(|element| key(1, element)).collect(), rank.as_ref())
            }
            Method::Without => {
                let others = args.first().map_or(Value::None, |arg| self.value(arg, outer));
                without(found, &others)
            }
            Method::Floor | Method::Ceil | Method::Slope | Method::Change | Method::Reaches => Value::unknown(
                Reason::Internal,
                format!("`{}` is not an operation on a list", method.name()),
            ),
        }
    }

    /// Elements for which the condition is a definite yes. One element that cannot be decided makes the list unknown.
    fn filter(&self, found: &Items, args: &[Expr]) -> Value {
        let Some(condition) = args.first() else {
            return Value::unknown(Reason::Internal, "`where` needs a condition");
        };
        let mut kept = Vec::new();
        for element in found.values() {
            match Truth::of(&self.value(condition, Some(element))) {
                Truth::Known(true) => kept.push(element.clone()),
                Truth::Known(false) => {}
                Truth::Unknown(unknown) => return Value::Unknown(unknown),
                Truth::Series(_) => return Value::unknown(Reason::Internal, "a series where one answer is needed"),
            }
        }
        list_of(kept, found.truncated)
    }
}

fn list_of(items: Vec<Value>, truncated: bool) -> Value {
    Value::List(Arc::new(List { items, truncated }))
}

/// The order for sorting: as for comparisons, and text by its characters.
fn sorting(left: &Value, right: &Value) -> Option<Ordering> {
    let (left, right) = (lift(left), lift(right));
    match (&left, &right) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => match (left.as_str(), right.as_str()) {
            (Some(a), Some(b)) => Some(a.cmp(b)),
            _ => order(&left, &right),
        },
    }
}

/// Keys that all have an order with the first one, or why not.
fn orderable<'a>(keys: impl IntoIterator<Item = &'a Value>) -> Result<(), Value> {
    let mut first: Option<&Value> = None;
    for key in keys {
        match key {
            Value::Unknown(_) => return Err(key.clone()),
            Value::None => return Err(Value::Unknown(missing("an element has no value to order by"))),
            _ => {}
        }
        let first = *first.get_or_insert(key);
        if sorting(first, key).is_none() {
            return Err(Value::unknown(
                Reason::Unparsable,
                format!("{} and {} have no order", kind(first), kind(key)),
            ));
        }
    }
    Ok(())
}

fn sort_by(found: &Items, key: impl Fn(&Value) -> Value) -> Value {
    let mut keyed: Vec<(Value, Value)> = found
        .values()
        .iter()
        .map(|element| (key(element), element.clone()))
        .collect();
    if let Err(unknown) = orderable(keyed.iter().map(|(key, _)| key)) {
        return unknown;
    }
    keyed.sort_by(|(a, _), (b, _)| sorting(a, b).unwrap_or(Ordering::Equal));
    list_of(keyed.into_iter().map(|(_, element)| element).collect(), found.truncated)
}

/// `first`, `first(n)`, `last`, `last(n)`. Of a list that was cut nobody knows which element would have stood at its end, or,
/// after sorting, at its beginning.
fn ends(found: &Items, count: Option<&Value>, front: bool, ty: &Type) -> Value {
    let values = found.values();
    match count.map(lift) {
        None => {
            let element = if front { values.first() } else { values.last() };
            match element {
                _ if found.truncated => cut(),
                Some(element) => element.clone(),
                None if matches!(ty, Type::Optional(_)) => Value::None,
                None => Value::Unknown(missing("the list is empty")),
            }
        }
        Some(Value::Int(count)) if count >= 0 => {
            let count = usize::try_from(count).unwrap_or(usize::MAX).min(values.len());
            let part = if front {
                &values[..count]
            } else {
                &values[values.len() - count..]
            };
            list_of(part.to_vec(), found.truncated)
        }
        Some(Value::Unknown(unknown)) => Value::Unknown(unknown),
        Some(_) => Value::unknown(Reason::Arithmetic, "a number of elements is zero or more"),
    }
}

/// A text that is equal exactly for equal values; `None` for what has no identity (unknown, secrets, series).
fn identity(value: &Value) -> Option<String> {
    let value = lift(value);
    Some(match &value {
        Value::None => "none".to_owned(),
        Value::Bool(known) => format!("b{known}"),
        Value::Int(number) => format!("n{number}"),
        // A whole float is equal to the integer.
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => format!("n{}", *number as i64),
        Value::Float(number) => format!("n{number}"),
        Value::Ratio(number) => format!("r{}", number + 0.0),
        Value::Rate(number) => format!("p{}", number + 0.0),
        Value::Duration(number) => format!("d{number}"),
        Value::Bytes(number) => format!("B{number}"),
        Value::Time(time) => format!("t{time}"),
        Value::Text(text) | Value::Enum(text) => format!("s{}:{text}", text.len()),
        Value::Resource { kind, name } => format!("R{kind}/{}:{name}", name.len()),
        Value::Code { text, .. } => format!("s{}:{text}", text.len()),
        Value::Json(json) => format!("j{json}"),
        Value::List(list) if !list.truncated => {
            let parts: Option<Vec<String>> = list.items.iter().map(identity).collect();
            format!("[{}]", parts?.join(","))
        }
        Value::Record(record) => {
            let parts: Option<Vec<String>> = record
                .fields
                .iter()
                .map(|(name, value)| identity(value).map(|value| format!("{name}={value}")))
                .collect();
            format!("{{{}}}", parts?.join(","))
        }
        Value::Unknown(_) | Value::AtLeast(_) | Value::Secret(_) | Value::Series(_) | Value::List(_) => return None,
    })
}

/// Positions of the elements of each key, in the order in which the keys first appear.
fn grouped(found: &Items, key: impl Fn(&Value) -> Value) -> Result<Vec<(Value, Vec<usize>)>, Value> {
    let mut groups: Vec<(Value, Vec<usize>)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (position, element) in found.values().iter().enumerate() {
        let key = key(element);
        if let Value::Unknown(_) = key {
            return Err(key);
        }
        let Some(identity) = identity(&key) else {
            return Err(Value::unknown(
                Reason::Unavailable,
                format!("{} cannot be counted by its value", kind(&key)),
            ));
        };
        let place = *places.entry(identity).or_insert_with(|| {
            groups.push((key, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(position);
    }
    Ok(groups)
}

/// `sort | uniq -c | sort -rn`: equal counts keep the order of first appearance.
fn tally(found: &Items, key: impl Fn(&Value) -> Value) -> Value {
    match grouped(found, key) {
        Ok(mut groups) => {
            groups.sort_by_key(|(_, positions)| std::cmp::Reverse(positions.len()));
            let rows = groups.into_iter().map(|(value, positions)| {
                let seen = i64::try_from(positions.len()).unwrap_or(i64::MAX);
                let count = if found.truncated {
                    Value::AtLeast(seen)
                } else {
                    Value::Int(seen)
                };
                Value::record("", vec![("value", value), ("count", count)])
            });
            list_of(rows.collect(), found.truncated)
        }
        Err(unknown) => unknown,
    }
}

fn group_by(found: &Items, key: impl Fn(&Value) -> Value) -> Value {
    match grouped(found, key) {
        Ok(groups) => {
            let rows = groups.into_iter().map(|(key, positions)| {
                let members = positions.iter().map(|at| found.values()[*at].clone()).collect();
                Value::record("", vec![("key", key), ("items", list_of(members, found.truncated))])
            });
            list_of(rows.collect(), found.truncated)
        }
        Err(unknown) => unknown,
    }
}

fn sum(values: impl Iterator<Item = Value>, ty: &Type) -> Value {
    let mut total: Option<Value> = None;
    for value in values {
        let value = lift(&value);
        total = Some(match total {
            None => match &value {
                Value::Unknown(_) => return value,
                Value::None => return Value::Unknown(missing("an element has no number")),
                _ if magnitude(&value).is_some() => value,
                other => return Value::unknown(Reason::Unparsable, format!("{} cannot be added", kind(other))),
            },
            Some(total) => match number::arithmetic(BinaryOp::Add, &total, &value, &Type::Any) {
                unknown @ Value::Unknown(_) => return unknown,
                total => total,
            },
        });
    }
    conform(
        total.unwrap_or_else(|| match ty {
            Type::Float => Value::Float(0.0),
            Type::Ratio => Value::Ratio(0.0),
            Type::Rate => Value::Rate(0.0),
            Type::Duration => Value::Duration(0),
            Type::Bytes => Value::Bytes(0),
            _ => Value::Int(0),
        }),
        ty,
    )
}

fn average(values: &[Value], ty: &Type) -> Value {
    let Some(first) = values.first() else {
        return Value::unknown(Reason::Arithmetic, "an empty list has no average");
    };
    match sum(values.iter().cloned(), &Type::Any) {
        unknown @ Value::Unknown(_) => unknown,
        total => match magnitude(&total) {
            Some(number) => conform(quantity(number / values.len() as f64, &lift(first)), ty),
            None => Value::unknown(Reason::Internal, "the sum is not a number"),
        },
    }
}

/// The largest or smallest. Where a number is a lower bound, so is the largest of all of them; nobody knows the smallest.
fn extreme(values: impl Iterator<Item = Value>, largest: bool, ty: &Type) -> Value {
    let mut keys: Vec<Value> = values.map(|value| lift(&value)).collect();
    let mut bound = false;
    for key in &mut keys {
        if let Value::AtLeast(seen) = *key {
            if !largest {
                return cut();
            }
            *key = Value::Int(seen);
            bound = true;
        }
    }
    if let Err(unknown) = orderable(&keys) {
        return unknown;
    }
    let found = keys.into_iter().reduce(|best, key| {
        let order = sorting(&key, &best).unwrap_or(Ordering::Equal);
        let better = if largest {
            order == Ordering::Greater
        } else {
            order == Ordering::Less
        };
        if better { key } else { best }
    });
    match found {
        Some(Value::Int(seen)) if bound => Value::AtLeast(seen),
        Some(value) => match ty {
            Type::Optional(inner) => conform(value, inner),
            ty => conform(value, ty),
        },
        None if matches!(ty, Type::Optional(_)) => Value::None,
        None => Value::Unknown(missing("the list is empty")),
    }
}

/// Nearest rank: the smallest value that at least this share of the values does not exceed.
fn percentile(values: Vec<Value>, rank: Option<&Value>) -> Value {
    let share = match rank.map(lift) {
        Some(Value::Ratio(share)) => share,
        Some(Value::Int(percent)) => percent as f64 / 100.0,
        Some(Value::Float(percent)) => percent / 100.0,
        Some(Value::Unknown(unknown)) => return Value::Unknown(unknown),
        _ => return Value::unknown(Reason::Internal, "`percentile` needs a share"),
    };
    if !(0.0..=1.0).contains(&share) {
        return Value::unknown(Reason::Arithmetic, "a percentile lies between 0 % and 100 %");
    }
    let mut keys: Vec<Value> = values.iter().map(lift).collect();
    if let Err(unknown) = orderable(&keys) {
        return unknown;
    }
    if keys.is_empty() {
        return Value::Unknown(missing("the list is empty"));
    }
    keys.sort_by(|a, b| sorting(a, b).unwrap_or(Ordering::Equal));
    // 95 % of 20 values is rank 19 although 0.95 * 20 is a little more than 19 as a float.
    let rank = ((share * keys.len() as f64) - 1e-9).ceil().max(1.0) as usize;
    keys[rank.min(keys.len()) - 1].clone()
}

/// Elements that do not stand in the other list. When that one was cut or holds unknown elements, nobody knows which.
fn without(found: &Items, others: &Value) -> Value {
    let single;
    let removed = match items(others) {
        Ok(removed) => removed,
        Err(_) if others.as_unknown().is_none() && !matches!(others, Value::None) => {
            single = [others.clone()];
            Items {
                list: Cow::Borrowed(&single),
                truncated: false,
            }
        }
        Err(unknown) => return unknown,
    };
    if removed.truncated {
        return cut();
    }
    let identities: Option<std::collections::HashSet<String>> = removed.values().iter().map(identity).collect();
    let mut kept = Vec::new();
    for element in found.values() {
        let gone = match (&identities, identity(element)) {
            (Some(identities), Some(identity)) => Value::Bool(identities.contains(&identity)),
            _ => contains(&list_of(removed.values().to_vec(), false), element),
        };
        match gone {
            Value::Bool(true) => {}
            Value::Bool(false) => kept.push(element.clone()),
            unknown => return unknown,
        }
    }
    list_of(kept, found.truncated)
}

/// Whether two values are the same, as an answer; for tests of membership outside expressions.
pub fn same(left: &Value, right: &Value) -> Result<bool, Arc<Unknown>> {
    match Truth::of(&equal(left, right)) {
        Truth::Known(known) => Ok(known),
        Truth::Unknown(unknown) => Err(unknown),
        Truth::Series(_) => Err(missing("a series has no identity")),
    }
}
