use super::token;
use super::wire::{answer, request};
use crate::models::aws::{Kind, Reference, Service, service, services};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The least value that a shape takes, or with `whole` one with every member once.
fn least(service: &Service, of: &Reference, depth: usize) -> Json {
    let shape = service.shape(of.shape).unwrap();
    match &shape.kind {
        Kind::Text { values } => values.first().map_or_else(|| json!("a"), |value| json!(value)),
        Kind::Blob => json!("a"),
        Kind::Integer | Kind::Long => json!(1),
        Kind::Float | Kind::Double => json!(1.5),
        Kind::Bool => json!(true),
        Kind::Time => json!("2026-11-22T03:00:00Z"),
        Kind::Document => json!({}),
        Kind::List(_) | Kind::Map(..) if depth == 0 => {
            if matches!(shape.kind, Kind::List(_)) {
                json!([])
            } else {
                json!({})
            }
        }
        Kind::List(of) => json!([least(service, of, depth - 1)]),
        Kind::Map(key, of) => {
            let key = least(service, key, depth - 1);
            json!({ key.as_str().unwrap(): least(service, of, depth - 1) })
        }
        Kind::Structure { members, .. } => {
            let mut fields = Map::new();
            for member in members {
                let union = shape.traits.union != 0 && fields.is_empty();
                if member.traits.required != 0 || union {
                    let of = Reference {
                        shape: member.shape,
                        traits: member.traits.clone(),
                    };
                    fields.insert(member.name.clone(), least(service, &of, depth.saturating_sub(1)));
                }
            }
            Json::Object(fields)
        }
    }
}

#[test]
fn every_operation_of_every_service_is_sent_from_its_least_input() {
    let (mut sent, mut refused) = (0, Vec::new());
    for name in services() {
        let service: Arc<Service> = service(name).unwrap();
        for method in service.methods() {
            let values = method.input.map_or_else(Map::new, |shape| {
                let of = Reference {
                    shape,
                    traits: Default::default(),
                };
                match least(&service, &of, 6) {
                    Json::Object(values) => values,
                    _ => Map::new(),
                }
            });
            let path = format!("{name}.{}", method.path);
            if let Some(because) = crate::provider::modelled::refusal("aws", &path) {
                assert!(crate::provider::modelled::operation("aws", &path).is_none());
                refused.push(because);
                continue;
            }
            match request(&service, &method, &values) {
                Ok(wire) => {
                    assert!(wire.path.starts_with('/'), "{path}: {}", wire.path);
                    sent += 1;
                }
                Err(problem) => panic!("{path}: {problem} of {}", Json::Object(values)),
            }
        }
    }
    assert!(
        sent >= 19_000 && refused.len() < 250,
        "{sent} sent, {} refused",
        refused.len()
    );
}

#[test]
fn what_answers_cannot_be_is_told_and_nothing_panics() {
    for (name, path) in [
        ("ecs", "describe_services"),
        ("ec2", "describe_instances"),
        ("s3", "list_objects_v2"),
        ("lambda", "get_function"),
        ("sts", "get_caller_identity"),
        ("iam", "list_roles"),
        ("cloudwatch", "get_metric_data"),
    ] {
        let service = service(name).unwrap();
        let method = service.method(path).unwrap();
        for body in [
            &b""[..],
            b"{",
            b"null",
            b"[]",
            b"<",
            b"<a>",
            b"<a></b>",
            b"\xff\xfe",
            b"{\"services\": 1}",
            b"{\"services\": [[[[[[",
            b"\xbf\x61",
            b"\x9f\x9f\x9f\x9f",
        ] {
            let _ = answer(&service, &method, 200, &BTreeMap::new(), body.to_vec());
        }
        let deep = "[".repeat(100_000);
        let _ = answer(&service, &method, 200, &BTreeMap::new(), deep.into_bytes());
    }
}

#[test]
fn a_secret_of_the_model_never_gets_into_an_answer() {
    let manager = service("secretsmanager").unwrap();
    let method = manager.method("get_secret_value").unwrap();
    let body = br#"{"Name": "n", "SecretString": "canary-4711"}"#;
    let values = answer(&manager, &method, 200, &BTreeMap::new(), body.to_vec()).unwrap();
    assert_eq!(Json::Object(values), json!({"Name": "n", "SecretString": "(secret)"}));
    let lambda = service("lambda").unwrap();
    let method = lambda.method("get_function").unwrap();
    let body = br#"{"Code": {"Location": "https://b.s3.amazonaws.com/f?X-Amz-Signature=canary-4711"}}"#;
    let values = answer(&lambda, &method, 200, &BTreeMap::new(), body.to_vec()).unwrap();
    assert_eq!(Json::Object(values), json!({"Code": {"Location": "(secret)"}}));
}

#[test]
fn a_key_is_always_the_same_token() {
    assert_eq!(token("run-1/action-2"), token("run-1/action-2"));
    assert_ne!(token("run-1/action-2"), token("run-1/action-3"));
    assert_eq!(token("x").len(), 36);
}

#[test]
fn what_is_nested_too_deeply_is_refused() {
    let dynamodb = service("dynamodb").unwrap();
    let method = dynamodb.method("put_item").unwrap();
    let nested = |depth: usize| {
        let deep = (0..depth).fold(json!({"S": "x"}), |inner, _| json!({"L": [inner]}));
        let values = json!({"TableName": "t", "Item": {"a": deep}});
        request(&dynamodb, &method, values.as_object().unwrap())
    };
    assert!(nested(10).is_ok());
    assert!(nested(100).unwrap_err().contains("nested"));
}
