//! Calls: arguments from expressions, shown for people, read through the gate once per round.

use super::answers::View;
use super::limits;
use super::questions::together;
use super::state::Run;
use crate::eval;
use crate::journal::event::{PlannedCall, Shown};
use crate::program::CallExpr;
use crate::provider::notes::NOTES;
use crate::provider::{Call, Effect};
use crate::secrets;
use crate::value::conceal::conceal;
use crate::value::decode::decode;
use crate::value::document;
pub(super) use crate::value::identity::unknown_in;
use crate::value::{List, Reason, Series, Type, Unknown, Value, show};
use futures::future::{BoxFuture, Either};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// A call whose arguments are known.
#[derive(Clone, Debug)]
pub(super) enum Prepared {
    One(Call),
    /// `from: each pods`: once per element; with whether the list was cut.
    Each(Vec<Call>, bool),
}

/// Evaluates the arguments. An unknown argument makes the whole call unknown.
pub(super) fn prepare(call: &CallExpr, view: &View<'_>) -> Result<Prepared, Unknown> {
    let mut args: Vec<(Arc<str>, Value)> = Vec::with_capacity(call.args.len());
    let mut repeated = None;
    for arg in &call.args {
        let value = match call.operation.effect {
            Effect::Tell => eval::evaluate_for_people(&arg.value, view),
            _ => eval::evaluate(&arg.value, view),
        };
        if let Some(unknown) = unknown_in(&value) {
            return Err(Unknown {
                reason: unknown.reason,
                detail: format!("`{}` of `{}`: {unknown}", arg.name, call.operation.full_name()),
            });
        }
        if arg.each {
            repeated = Some(args.len());
        }
        let value = if takes_document(call, &arg.name) {
            as_document(value, arg.each)?
        } else {
            value
        };
        args.push((arg.name.clone(), value));
    }
    let make = |args| Call {
        operation: call.operation.clone(),
        args,
        within: call.within,
        key: None,
    };
    let Some(position) = repeated else {
        return Ok(Prepared::One(make(args)));
    };
    let Some(list) = args[position].1.as_list().cloned() else {
        return Err(Unknown {
            reason: Reason::Internal,
            detail: format!("`{}` is not a list", args[position].0),
        });
    };
    if list.items.len() > limits::FAN_OUT {
        return Err(Unknown {
            reason: Reason::Truncated,
            detail: format!("{} elements, at most {} are asked", list.items.len(), limits::FAN_OUT),
        });
    }
    let calls = list
        .items
        .into_iter()
        .map(|item| {
            let mut args = args.clone();
            args[position].1 = item;
            make(args)
        })
        .collect();
    Ok(Prepared::Each(calls, list.truncated))
}

/// Whether a parameter takes a document.
fn takes_document(call: &CallExpr, name: &str) -> bool {
    let parameter = call.operation.params.iter().find(|parameter| *parameter.name == *name);
    parameter.is_some_and(|parameter| match &parameter.ty {
        Type::Optional(inner) => **inner == Type::Json,
        ty => *ty == Type::Json,
    })
}

/// Providers see a document where one is due, whatever the file wrote: a record, a list, a scalar.
fn as_document(value: Value, each: bool) -> Result<Value, Unknown> {
    match value {
        Value::None | Value::Json(_) => Ok(value),
        Value::List(list) if each => {
            let items = list.items.iter().cloned().map(|item| as_document(item, false));
            Ok(Value::List(Arc::new(List {
                items: items.collect::<Result<_, _>>()?,
                truncated: list.truncated,
            })))
        }
        value => Ok(Value::Json(Arc::new(document::of(&value)?))),
    }
}

/// Evaluates the arguments of a call that is made once.
pub(super) fn prepare_one(call: &CallExpr, view: &View<'_>) -> Result<Call, Unknown> {
    match prepare(call, view)? {
        Prepared::One(call) => Ok(call),
        Prepared::Each(..) => Err(Unknown {
            reason: Reason::Internal,
            detail: format!("`{}` cannot be sent once per element", call.operation.full_name()),
        }),
    }
}

/// The reads of one round: an equal call (same operation, same arguments) is made once.
#[derive(Default)]
pub(super) struct Cache(Mutex<Vec<(Call, Arc<OnceCell<Replied>>)>>);

/// An answer, and what was noted about how the call went.
pub(super) type Replied = (Value, Vec<String>);

impl Cache {
    fn cell(&self, call: &Call) -> Arc<OnceCell<Replied>> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, cell)) = entries
            .iter()
            .find(|(known, _)| known.operation == call.operation && known.args == call.args)
        {
            return cell.clone();
        }
        let cell = Arc::new(OnceCell::new());
        entries.push((call.clone(), cell.clone()));
        cell
    }
}

/// Makes a prepared read, and decodes the reply when a type was written.
pub(super) async fn read(run: &Run, cache: &Cache, prepared: &Prepared, ty: Option<&Type>) -> Replied {
    let (reply, notes) = match prepared {
        Prepared::One(call) => read_one(run, cache, call).await,
        Prepared::Each(calls, truncated) => {
            let mut work: Vec<BoxFuture<'_, Replied>> = Vec::with_capacity(calls.len());
            for call in calls {
                work.push(Box::pin(read_one(run, cache, call)));
            }
            let (items, notes): (Vec<_>, Vec<_>) = together(work, limits::CONCURRENT).await.into_iter().unzip();
            let list = Value::List(Arc::new(List {
                items,
                truncated: *truncated,
            }));
            (list, notes.into_iter().flatten().take(NOTES).collect())
        }
    };
    let value = match ty {
        Some(ty) => typed(ty, reply),
        None => reply,
    };
    (value, notes)
}

async fn read_one(run: &Run, cache: &Cache, call: &Call) -> Replied {
    let cell = cache.cell(call);
    cell.get_or_init(|| gated_read(run, call)).await.clone()
}

/// A read through the gate, with its deadline on the clock of the world.
pub(super) async fn gated_read(run: &Run, call: &Call) -> Replied {
    let work = run.world.gate.read_noting(call);
    match futures::future::select(Box::pin(work), run.world.clock.sleep(call.within)).await {
        Either::Left((replied, _)) => replied,
        Either::Right(_) => {
            let unknown = Value::unknown(
                Reason::Timeout,
                format!(
                    "`{}` did not answer within {}",
                    call.operation.full_name(),
                    show::show_std(call.within)
                ),
            );
            (unknown, Vec::new())
        }
    }
}

/// A reply as the type that was written for it.
fn typed(ty: &Type, value: Value) -> Value {
    match (ty, value) {
        (Type::Series(inner), Value::Series(series)) => {
            let samples = series
                .samples
                .iter()
                .map(|(at, sample)| (*at, number_as(inner, sample.clone())))
                .collect();
            Value::Series(Arc::new(Series {
                samples,
                ..(*series).clone()
            }))
        }
        (ty, Value::Json(json)) if *ty != Type::Json => decode(ty, &json),
        (Type::List(inner), Value::List(list)) => Value::List(Arc::new(List {
            items: list.items.iter().map(|item| typed(inner, item.clone())).collect(),
            truncated: list.truncated,
        })),
        (ty, value) => number_as(ty, value),
    }
}

/// A plain number of a source that has no units, in the unit that the file says.
fn number_as(ty: &Type, value: Value) -> Value {
    let number = match &value {
        Value::Float(number) => *number,
        // Exact up to 2^53; counters beyond that are not given in seconds, bytes or ratios.
        Value::Int(number) => *number as f64,
        _ => return value,
    };
    match ty {
        Type::Ratio => Value::ratio(number),
        Type::Rate => Value::rate(number),
        Type::Bytes if number.abs() < 9e18 => Value::Bytes(number.round() as i64),
        // Sources without units give seconds.
        Type::Duration if number.abs() < 9e9 => Value::Duration((number * 1e9).round() as i64),
        Type::Bytes | Type::Duration => Value::unknown(Reason::Arithmetic, "the number is too large"),
        Type::Float => Value::float(number),
        _ => value,
    }
}

/// A reply for people and as data, without the secrets it holds in the clear.
pub(super) fn shown_reply(prepared: &Prepared, value: &Value) -> Shown {
    match prepared {
        // What is used whole and written down as one secret is asked again when the run goes on.
        Prepared::One(call) if matches!(call.operation.result, Type::Secret(_)) => {
            Shown::of(&conceal(&call.operation.result, value))
        }
        Prepared::One(call) => Shown::kept(&conceal(&call.operation.result, value)),
        Prepared::Each(calls, _) => match (calls.first(), value) {
            (Some(call), Value::List(list)) => Shown::kept(&Value::List(Arc::new(List {
                items: list
                    .items
                    .iter()
                    .map(|item| conceal(&call.operation.result, item))
                    .collect(),
                truncated: list.truncated,
            }))),
            _ => Shown::kept(value),
        },
    }
}

/// Whether recorded data and data of now are the same. A secret that one side no longer knows, because it is not recorded, is
/// taken for the other's; two that are known must have the same tag.
pub(super) fn same_data(recorded: &serde_json::Value, now: &serde_json::Value) -> bool {
    use serde_json::Value as Json;
    match (recorded, now) {
        (Json::Array(old), Json::Array(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| same_data(old, new))
        }
        (Json::Object(old), Json::Object(new)) => {
            old.len() == new.len()
                && old
                    .iter()
                    .all(|(name, old)| new.get(name).is_some_and(|new| same_data(old, new)))
        }
        (Json::String(old), Json::String(new)) if old == secrets::PLACEHOLDER => is_mark(new),
        (Json::String(old), Json::String(new)) if new == secrets::PLACEHOLDER => is_mark(old),
        (old, new) => old == new,
    }
}

/// Whether a text stands for a secret, with or without a tag.
fn is_mark(text: &str) -> bool {
    let opening = secrets::PLACEHOLDER.trim_end_matches(')');
    let tag = text.strip_prefix(opening).and_then(|rest| rest.strip_suffix(')'));
    tag.is_some_and(|tag| {
        tag.is_empty()
            || tag
                .strip_prefix(' ')
                .is_some_and(|tag| !tag.is_empty() && tag.chars().all(|digit| digit.is_ascii_hexdigit()))
    })
}

/// Arguments for people alone.
pub(super) fn arguments_text(call: &Call) -> Vec<(String, String)> {
    call.args
        .iter()
        .map(|(name, value)| (name.to_string(), Shown::of(value).text().to_owned()))
        .collect()
}

/// Arguments for people and as data.
pub(super) fn arguments(call: &Call) -> Vec<(String, Shown)> {
    call.args
        .iter()
        .map(|(name, value)| (name.to_string(), Shown::of(value)))
        .collect()
}

/// Arguments for people, as data, and as they are known again.
pub(super) fn arguments_kept(call: &Call) -> Vec<(String, Shown)> {
    call.args
        .iter()
        .map(|(name, value)| (name.to_string(), Shown::kept(value)))
        .collect()
}

/// A call as it is shown before it is made.
pub(super) fn planned(call: &Call) -> PlannedCall {
    PlannedCall {
        operation: call.operation.full_name(),
        arguments: call
            .args
            .iter()
            .map(|(name, value)| (name.to_string(), Shown::decided(value)))
            .collect(),
        class: class(call).to_string(),
    }
}

/// The letter that says what may happen after a crash.
pub(super) fn class(call: &Call) -> char {
    match call.operation.effect {
        Effect::Read | Effect::Probe => 'R',
        Effect::Change | Effect::Tell | Effect::Preview => call.operation.idempotence.class(),
    }
}

/// Milliseconds of a span of time.
pub(super) fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::same_data;
    use serde_json::json;

    #[test]
    fn a_secret_that_is_not_known_any_more_is_taken_for_the_one_that_was() {
        let recorded = json!([{"pid": 7, "command": "(secret 175ce7057c6d31ce)"}]);
        assert!(same_data(&recorded, &json!([{"pid": 7, "command": "(secret)"}])));
        assert!(same_data(&json!([{"pid": 7, "command": "(secret)"}]), &recorded));
        assert!(same_data(&recorded, &recorded));
    }

    #[test]
    fn anything_else_than_a_mark_must_be_the_same() {
        let recorded = json!({"pid": 7, "command": "(secret 175ce7057c6d31ce)"});
        for other in [
            json!({"pid": 8, "command": "(secret)"}),
            json!({"pid": 7, "command": "(secret 0000000000000000)"}),
            json!({"pid": 7, "command": "(secret) "}),
            json!({"pid": 7, "command": "postgres"}),
            json!({"pid": 7}),
            json!({"pid": 7, "command": "(secret)", "signal": "kill"}),
            json!([{"pid": 7, "command": "(secret)"}]),
        ] {
            assert!(!same_data(&recorded, &other), "{other}");
            assert!(!same_data(&other, &recorded), "{other}");
        }
        assert!(!same_data(&json!("(secret)"), &json!("(secret of mine)")));
        assert!(!same_data(&json!(["(secret)"]), &json!(["(secret)", "(secret)"])));
    }
}
