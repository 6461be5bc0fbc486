//! What the official client for Python sends is what is sent here, and what it reads is what is read here.

use super::wire::{Wire, answer, request};
use crate::models::aws::service;
use base64::Engine;
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

const EXCHANGES: &str = include_str!("../../../tests/golden/aws/exchanges.jsonl");

fn bytes(json: &Json) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD
        .decode(json.as_str().unwrap())
        .unwrap()
}

/// Pairs of a form or a query, in no order.
fn pairs(text: &str) -> BTreeSet<(String, String)> {
    url::form_urlencoded::parse(text.as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

/// CBOR as a document: lengths may be said beforehand or not.
fn cbor(decoder: &mut minicbor::Decoder<'_>) -> Json {
    use minicbor::data::Type;
    match decoder.datatype().unwrap() {
        Type::Map | Type::MapIndef => {
            let length = decoder.map().unwrap();
            let mut fields = Map::new();
            for _ in 0..length.unwrap_or(u64::MAX) {
                if decoder.datatype().unwrap() == Type::Break {
                    decoder.skip().unwrap();
                    break;
                }
                let name = decoder.str().unwrap().to_owned();
                fields.insert(name, cbor(decoder));
            }
            Json::Object(fields)
        }
        Type::Array | Type::ArrayIndef => {
            let length = decoder.array().unwrap();
            let mut items = Vec::new();
            for _ in 0..length.unwrap_or(u64::MAX) {
                if decoder.datatype().unwrap() == Type::Break {
                    decoder.skip().unwrap();
                    break;
                }
                items.push(cbor(decoder));
            }
            Json::Array(items)
        }
        Type::String => json!(decoder.str().unwrap()),
        Type::Bytes => json!(decoder.bytes().unwrap()),
        Type::Bool => json!(decoder.bool().unwrap()),
        Type::Tag => {
            decoder.tag().unwrap();
            cbor(decoder)
        }
        Type::F16 | Type::F32 | Type::F64 => json!(decoder.f64().or_else(|_| decoder.f32().map(f64::from)).unwrap()),
        _ => json!(decoder.i64().unwrap() as f64),
    }
}

/// XML without what has no meaning in it.
fn xml(text: &str) -> String {
    let text = text.replace("<?xml version=\"1.0\" encoding=\"utf-8\"?>", "");
    text.replace('\n', "").replace(" />", "/>")
}

fn bodies_equal(protocol: &str, ours: &[u8], theirs: &[u8]) -> bool {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match protocol {
        _ if theirs.is_empty() => ours.is_empty(),
        "query" | "ec2" => pairs(&text(ours)) == pairs(&text(theirs)),
        "json" | "rest-json" => {
            serde_json::from_slice::<Json>(ours).ok() == serde_json::from_slice::<Json>(theirs).ok()
        }
        "smithy-rpc-v2-cbor" => cbor(&mut minicbor::Decoder::new(ours)) == cbor(&mut minicbor::Decoder::new(theirs)),
        _ => xml(&text(ours)) == xml(&text(theirs)),
    }
}

fn differs(line: &Json, wire: &Wire) -> Option<String> {
    let text = |name: &str| line[name].as_str().unwrap();
    if wire.method != text("method") {
        return Some(format!("method {}", wire.method));
    }
    let after = text("url").split_once("://").unwrap().1;
    let theirs = &after[after.find('/').unwrap()..];
    let (path, query) = theirs.split_once('?').unwrap_or((theirs, ""));
    let (our_path, our_query) = wire.path.split_once('?').unwrap_or((&wire.path, ""));
    if path != our_path || pairs(query) != pairs(our_query) {
        return Some(format!("path {} instead of {theirs}", wire.path));
    }
    for (name, value) in line["headers"].as_object().unwrap() {
        let value = value.as_str().unwrap();
        // Which letters a form is in is said by nobody else.
        let wanted = value.trim_end_matches("; charset=utf-8");
        if wire.headers.get(name).map(String::as_str) != Some(wanted) && name != "accept" {
            return Some(format!(
                "header {name}: {:?} instead of {value}",
                wire.headers.get(name)
            ));
        }
    }
    let body = bytes(&line["body"]);
    (!bodies_equal(text("protocol"), &wire.body, &body)).then(|| {
        format!(
            "body {} instead of {}",
            String::from_utf8_lossy(&wire.body),
            String::from_utf8_lossy(&body)
        )
    })
}

/// A value as it is compared: what is never shown counts as equal to what it hides.
fn same(ours: &Json, theirs: &Json) -> bool {
    match (ours, theirs) {
        (Json::String(ours), _) if ours == super::decode::HIDDEN => true,
        (Json::Array(ours), Json::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(one, other)| same(one, other))
        }
        (Json::Object(ours), Json::Object(theirs)) => {
            ours.len() == theirs.len()
                && ours
                    .iter()
                    .all(|(name, one)| theirs.get(name).is_some_and(|other| same(one, other)))
        }
        (Json::Number(one), Json::Number(other)) => one.as_f64() == other.as_f64(),
        _ => ours == theirs,
    }
}

#[test]
fn requests_and_answers_are_those_of_the_official_client() {
    let mut protocols: BTreeSet<String> = BTreeSet::new();
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in EXCHANGES.lines() {
        let line: Json = serde_json::from_str(line).unwrap();
        let (of, name) = (line["service"].as_str().unwrap(), line["operation"].as_str().unwrap());
        let service = service(of).unwrap();
        let method = service.method(name).unwrap();
        protocols.insert(service.protocol().to_owned());
        count += 1;
        match request(&service, &method, line["params"].as_object().unwrap()) {
            Ok(wire) => wrong.extend(differs(&line, &wire).map(|how| format!("{of}.{name}: {how}"))),
            Err(problem) => wrong.push(format!("{of}.{name}: {problem}")),
        }
        let headers: BTreeMap<String, String> = line["answer_headers"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str().unwrap().to_owned()))
            .collect();
        let status = u16::try_from(line["status"].as_u64().unwrap()).unwrap();
        match answer(&service, &method, status, &headers, bytes(&line["answer"])) {
            Ok(values) => {
                let ours = Json::Object(values);
                if !same(&ours, &line["parsed"]) {
                    wrong.push(format!("{of}.{name}: read {ours} instead of {}", line["parsed"]));
                }
            }
            Err(problem) => wrong.push(format!("{of}.{name}: {problem}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(
        count >= 60 && protocols.len() == 6,
        "{count} exchanges over {protocols:?}"
    );
}
