//! Server-side apply, held against what a real API server answered to several people.

use super::super::world::World;
use super::{Exchange, Json, exchanges};

/// Whether everything of `ours` is in `theirs`: the real server fills in more.
fn is_within(ours: &Json, theirs: &Json) -> bool {
    match (ours, theirs) {
        (Json::Object(ours), Json::Object(theirs)) => ours
            .iter()
            .all(|(name, value)| theirs.get(name).is_some_and(|theirs| is_within(value, theirs))),
        (Json::Array(ours), Json::Array(theirs)) => {
            ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(ours, theirs)| is_within(ours, theirs))
        }
        (ours, theirs) => ours == theirs,
    }
}

/// What several people apply to one object, one after the other: the same statuses, the same data, the same conflicts, in maps and in lists with keys, with dry
/// runs and with a scale that somebody wrote in between. The schema's own refusals are not known to this server.
#[test]
fn the_server_of_the_tests_applies_manifests_as_the_real_one_does() {
    let Some(exchanges) = exchanges() else { return };
    let mut world = World::new();
    world.controller = false;
    let (mut compared, mut conflicts) = (0, 0);
    let about = |exchange: &&Exchange| {
        let name = exchange.name.strip_prefix("apply/").unwrap_or_default();
        let path = &exchange.request.path;
        let of = |end: &str| path.ends_with(end);
        exchange.request.token == "<ADMIN_TOKEN>"
            && exchange.request.body.is_object()
            && !["019", "020"].iter().any(|schema| name.starts_with(schema))
            && match exchange.request.method.as_str() {
                "PATCH" => {
                    exchange.request.content_type.contains("apply-patch")
                        && !name.is_empty()
                        && (of("/configmaps/settings") || of("/deployments/web") || of("/deployments/cli"))
                }
                "PUT" => !name.is_empty() && of("/deployments/web/scale"),
                _ => false,
            }
    };
    for exchange in exchanges.iter().filter(about) {
        let mut request = exchange.request.clone();
        if request.method == "PATCH" {
            request.content_type = "application/apply-patch+yaml".to_owned();
        }
        let reply = world.answer(&request);
        assert_eq!(reply.status, exchange.status, "{}: {}", exchange.name, reply.body);
        for pointer in ["/data", "/message", "/details/causes"] {
            let of = |answer: &Json| answer.pointer(pointer).cloned().unwrap_or_default();
            if exchange.status != 422 {
                assert_eq!(of(&reply.body), of(&exchange.answer), "{}: {pointer}", exchange.name);
            }
        }
        let spec = |answer: &Json| answer.get("spec").cloned().unwrap_or_default();
        let (ours, theirs) = (spec(&reply.body), spec(&exchange.answer));
        assert!(is_within(&ours, &theirs), "{}: {ours} {theirs}", exchange.name);
        compared += 1;
        conflicts += usize::from(exchange.status == 409);
    }
    assert!(
        compared >= 18 && conflicts >= 5,
        "only {compared} manifests and {conflicts} conflicts"
    );
}
