//! The interface text and the code are one thing.

use super::{World, operation};
use crate::support::postgres::Server;
use starr::check::{Context, Embedded, Library, check, interface};
use starr::provider::{Effect, Idempotence};

#[tokio::test]
async fn the_code_implements_exactly_the_operations_of_the_text() {
    let world = World::new(&Server::shared().database().await);
    let provider = world.gate.providers().next().unwrap();
    let declared = interface("postgres").unwrap();
    let declared: Vec<&str> = declared.iter().map(|operation| &*operation.path).collect();
    assert_eq!(provider.operations(), declared);
}

/// What may be sent again after a crash is decided by these classes: a change of one is a decision.
#[test]
fn every_change_has_the_class_that_its_page_says() {
    let changes: Vec<(String, char)> = interface("postgres")
        .unwrap()
        .iter()
        .filter(|operation| operation.effect == Effect::Change)
        .map(|operation| (operation.path.to_string(), operation.idempotence.class()))
        .collect();
    let expected = [
        ("sessions.terminate", 'I'),
        ("sessions.cancel", 'I'),
        ("settings.set", 'I'),
        ("tables.analyze", 'I'),
        ("indexes.create_concurrently", 'V'),
        ("indexes.drop_concurrently", 'I'),
        ("execute", 'U'),
    ];
    assert_eq!(changes, expected.map(|(path, class)| (path.to_owned(), class)));
    let Idempotence::Verifiable(check) = &operation("indexes.create_concurrently").idempotence else {
        panic!("it is looked up after a crash");
    };
    assert!(check.ends_with("index_is_valid"), "{check}");
    assert!(
        interface("postgres")
            .unwrap()
            .iter()
            .all(|operation| !operation.doc.trim().is_empty()),
        "every operation says what it does"
    );
}

#[test]
fn the_examples_of_the_checks_hold() {
    let module = Embedded.module("std.postgres").unwrap();
    let context = Context {
        library: &Embedded,
        severities: Vec::new(),
        roles: None,
        today: None,
        matrix: None,
    };
    let program = check(&module.name, None, module.bytes, &context).program.unwrap();
    let results = starr::eval::examples::run(&program);
    assert!(results.len() >= 40, "{}", results.len());
    for result in results {
        assert_eq!(result.failures, Vec::<String>::new(), "{}", result.name);
    }
}
