//! Replies that hold secrets in the clear: they are used as they are, and written down without.

use super::call::Prepared;
use super::frame::Context;
use crate::eval::{self, Scope};
use crate::program::{BindingId, BindingKind, RunField, Runbook};
use crate::provider::Call;
use crate::secrets;
use crate::value::{Reason, Type, Value};
use jiff::Timestamp;
use std::sync::Arc;

/// What everything that writes a reply down must take it as: the type it is read as, or a secret as a whole where the runbook takes a
/// secret out of it later. `None`: the operation's own type says it all.
pub(super) fn record_as(
    context: &Context<'_>,
    id: Option<BindingId>,
    call: &Call,
    decode: Option<&Type>,
) -> Option<Type> {
    if id.is_some_and(|id| context.opened.contains_key(&id)) {
        return Some(Type::Secret(Box::new(call.operation.result.clone())));
    }
    decode.filter(|ty| ty.holds_secret()).cloned()
}

/// The call, marked so.
pub(super) fn marked(call: &Call, ty: Option<&Type>) -> Call {
    let mut call = call.clone();
    if let Some(ty) = ty {
        Arc::make_mut(&mut call.operation).result = ty.clone();
    }
    call
}

/// The same for a call that may be made once per element.
pub(super) fn prepared(context: &Context<'_>, id: BindingId, prepared: Prepared, decode: Option<&Type>) -> Prepared {
    match prepared {
        Prepared::One(call) => {
            let ty = record_as(context, Some(id), &call, decode);
            Prepared::One(marked(&call, ty.as_ref()))
        }
        Prepared::Each(calls, truncated) => {
            // The declared type is that of the list; what one call gives is one element of it.
            let element = decode.map(|ty| match ty {
                Type::List(inner) => &**inner,
                other => other,
            });
            let calls = calls
                .iter()
                .map(|call| marked(call, record_as(context, Some(id), call, element).as_ref()))
                .collect();
            Prepared::Each(calls, truncated)
        }
    }
}

/// Remembers the secrets of a reply, so that the second line knows them before anything is written.
pub(super) fn remember(context: &Context<'_>, id: BindingId, value: &Value, decode: Option<&Type>) {
    let mut texts = Vec::new();
    if decode.is_some_and(Type::holds_secret) {
        collect(value, false, &mut texts);
    }
    let book = context.book;
    for expr in context.opened.get(&id).into_iter().flatten() {
        collect(&eval::evaluate(expr, &Only { book, id, value }), false, &mut texts);
    }
    secrets::remember_all(texts.iter().map(|text| &**text), "a secret of a reply");
}

fn collect(value: &Value, inside: bool, texts: &mut Vec<Arc<str>>) {
    match value {
        Value::Secret(secret) => collect(secret.expose(), true, texts),
        Value::Text(text) if inside => texts.push(text.clone()),
        Value::Json(json) if inside => match json.as_str() {
            Some(text) => texts.push(text.into()),
            None => texts.push(json.to_string().into()),
        },
        Value::List(list) => list.items.iter().for_each(|item| collect(item, inside, texts)),
        Value::Record(record) => record
            .fields
            .iter()
            .for_each(|(_, value)| collect(value, inside, texts)),
        _ => {}
    }
}

/// Knows one reply and what follows from it alone.
struct Only<'a> {
    book: &'a Runbook,
    id: BindingId,
    value: &'a Value,
}

impl Scope for Only<'_> {
    fn binding(&self, id: BindingId) -> Value {
        if id == self.id {
            return self.value.clone();
        }
        match &self.book.binding(id).kind {
            BindingKind::Let(expr) if id > self.id => eval::evaluate(expr, self),
            _ => Value::unknown(Reason::Unavailable, "not looked at here"),
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn run(&self, _: RunField) -> Value {
        Value::unknown(Reason::Unavailable, "not looked at here")
    }
}
