//! Answers that come in pages, put together, with an end.

use super::client::{Account, Again, Answered, Refused};
use super::decode::HIDDEN;
use crate::limits::{AWS_ELEMENTS, AWS_PAGES};
use crate::models::aws::{Method, Pages, Service};
use crate::providers::failure::Failure;
use crate::value::Reason;
use serde_json::{Map, Value as Json};
use std::sync::Arc;
use tokio::time::Instant;

/// What an expression of the models finds in a document; `None` for nothing.
pub fn find(expression: &str, json: &Json) -> Option<Json> {
    let found = jmespath::compile(expression).ok()?.search(json).ok()?;
    let found = serde_json::to_value(&*found).ok()?;
    (!found.is_null()).then_some(found)
}

/// What stands at a path of plain names.
fn at<'a>(json: &'a mut Json, path: &str) -> Option<&'a mut Json> {
    path.split('.').try_fold(json, |json, name| json.get_mut(name))
}

/// Puts what stands at a path of the next page behind what is known.
fn put(known: &mut Json, page: &mut Json, path: &str) {
    let Some(more) = at(page, path).map(Json::take) else {
        return;
    };
    match (at(known, path), more) {
        (Some(Json::Array(known)), Json::Array(more)) => known.extend(more),
        (Some(Json::Object(known)), Json::Object(more)) => known.extend(more),
        (Some(Json::Number(known)), Json::Number(more)) => {
            if let (Some(one), Some(other)) = (known.as_i64(), more.as_i64()) {
                *known = one.saturating_add(other).into();
            }
        }
        (None, more) if !path.contains('.') => {
            if let Json::Object(known) = known {
                known.insert(path.to_owned(), more);
            }
        }
        _ => {}
    }
}

/// Where the next page begins; empty at the end.
fn tokens(pages: &Pages, json: &Json) -> Vec<Option<Json>> {
    if let Some(more) = &pages.more
        && find(more, json).is_none_or(|more| more == Json::Bool(false))
    {
        return Vec::new();
    }
    let found: Vec<Option<Json>> = pages.output.iter().map(|expression| find(expression, json)).collect();
    let is_end = |token: &Option<Json>| match token {
        None => true,
        Some(Json::String(text)) => text.is_empty(),
        Some(_) => false,
    };
    if found.iter().all(is_end) { Vec::new() } else { found }
}

/// An answer without what says where the next page begins, where the models call that sensitive.
fn shown(mut answered: Answered, service: &Service, method: &Method) -> Answered {
    for member in service.members(method.output) {
        let sensitive = || {
            service
                .shape(member.shape)
                .is_some_and(|shape| shape.traits.sensitive != 0)
        };
        if let Some(value) = answered.values.get_mut(&member.name)
            && sensitive()
        {
            *value = Json::String(HIDDEN.to_owned());
        }
    }
    answered
}

/// All pages of an answer. A call that says how large a page is gets one page, with what it says about the next one.
pub async fn all(
    account: &Account,
    (service, method): (&Arc<Service>, &Method),
    values: &Map<String, Json>,
    until: Instant,
) -> Result<Answered, Refused> {
    let first = account.call((service, method), values, Again::Harmless, until).await?;
    let Some(pages) = &method.pages else {
        return Ok(first);
    };
    if pages.limit.as_ref().is_some_and(|limit| values.contains_key(limit)) {
        return Ok(shown(first, service, method));
    }
    let (status, clock) = (first.status, first.clock);
    let mut known = Json::Object(first.values);
    let mut next = tokens(pages, &known);
    let mut asked = values.clone();
    let mut count = 1;
    while !next.is_empty() {
        count += 1;
        let elements: usize = pages
            .results
            .iter()
            .filter_map(|path| at(&mut known, path)?.as_array().map(Vec::len))
            .sum();
        if count > AWS_PAGES || elements > AWS_ELEMENTS {
            return Err(Failure::definite(
                Reason::Truncated,
                format!(
                    "`{}` has more than {AWS_PAGES} pages or {AWS_ELEMENTS} elements: ask for less",
                    method.name
                ),
            )
            .into());
        }
        let before = asked.clone();
        for (name, token) in pages.input.iter().zip(&next) {
            match token {
                Some(token) => asked.insert(name.clone(), token.clone()),
                None => asked.remove(name),
            };
        }
        if before == asked {
            return Err(Failure::definite(
                Reason::Unparsable,
                format!("`{}` names the same next page again", method.name),
            )
            .into());
        }
        let page = account.call((service, method), &asked, Again::Harmless, until).await?;
        let mut page = Json::Object(page.values);
        next = tokens(pages, &page);
        for path in &pages.results {
            put(&mut known, &mut page, path);
        }
    }
    // What was put together has no next page.
    if let Json::Object(known) = &mut known {
        for name in &pages.output {
            known.remove(name);
        }
    }
    match known {
        Json::Object(values) => Ok(Answered { status, values, clock }),
        _ => Ok(Answered {
            status,
            values: Map::new(),
            clock,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::{find, put, tokens};
    use crate::models::aws::Pages;
    use serde_json::json;

    #[test]
    fn pages_are_put_together() {
        let mut known = json!({"Items": [1], "Count": 1, "Inner": {"List": ["a"]}});
        let mut page = json!({"Items": [2, 3], "Count": 2, "Inner": {"List": ["b"]}, "New": [1]});
        for path in ["Items", "Count", "Inner.List", "New", "Absent"] {
            put(&mut known, &mut page, path);
        }
        assert_eq!(
            known,
            json!({"Items": [1, 2, 3], "Count": 3, "Inner": {"List": ["a", "b"]}, "New": [1]})
        );
    }

    #[test]
    fn the_end_is_known() {
        let pages = |more: Option<&str>| Pages {
            input: vec!["Marker".to_owned()],
            output: vec!["NextMarker || Contents[-1].Key".to_owned()],
            results: Vec::new(),
            more: more.map(str::to_owned),
            limit: None,
        };
        assert!(tokens(&pages(None), &json!({})).is_empty());
        assert!(tokens(&pages(None), &json!({"NextMarker": ""})).is_empty());
        assert_eq!(
            tokens(&pages(None), &json!({"Contents": [{"Key": "a"}, {"Key": "b"}]})),
            [Some(json!("b"))]
        );
        assert!(
            tokens(
                &pages(Some("IsTruncated")),
                &json!({"NextMarker": "x", "IsTruncated": false})
            )
            .is_empty()
        );
        assert_eq!(
            find("length(a[?b == `1`])", &json!({"a": [{"b": 1}, {"b": 2}]})),
            Some(json!(1))
        );
    }
}
