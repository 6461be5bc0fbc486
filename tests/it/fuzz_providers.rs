//! What the fuzzed readers do with replies of providers and with policies: any document through every decoder of an API server's
//! objects, any text through the readers of policies and of their tests.

use jiff::Timestamp;
use serde_json::Value as Json;
use starr::policy::{Rules, Text};
use starr::providers::kubernetes::workloads::Kind;
use starr::providers::kubernetes::{cluster, json, objects, pods, workloads};
use starr::value::{Value, show, tagged};
use std::collections::BTreeMap;

/// A decoded reply can be shown and written down like every value.
fn shown(value: &Value) {
    let back = tagged::from_json(&tagged::to_json(value));
    assert!(back.is_ok(), "{back:?}");
    let _ = show::show(value);
}

/// Any document as an object of a cluster.
pub fn as_object(object: &Json, now: Timestamp) {
    let place = Value::text("shop");
    shown(&pods::pod(&place, object, now));
    shown(&pods::event(object, pods::latest(object).unwrap_or(now), now));
    shown(&cluster::node(&place, object, now));
    if let Ok(value) = cluster::access_value(object) {
        shown(&value);
    }
    for word in ["deployment", "statefulset", "daemonset", "replicaset", "cronjob"] {
        if let Some(kind) = Kind::of(word) {
            shown(&workloads::workload(&place, kind, object, now));
            assert!(!workloads::state(kind, object).is_empty());
        }
    }
    shown(&workloads::revision(object, Some(2), now));
    shown(&workloads::scale_value(object));
    let _ = workloads::container_of(object, "app");
    let _ = workloads::same(object, "uid", "app");
    shown(&objects::service(&place, object, 1, 0));
    shown(&objects::endpoint(object));
    shown(&objects::config_map(&place, object, now));
    shown(&objects::autoscaler(&place, object));
    for (_, value) in objects::quota(object) {
        shown(&value);
    }
    shown(&objects::budget(object));
    shown(&objects::job(object, now));
    let salt = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"salt");
    shown(&objects::secret(&place, object, &salt, now));
    let _ = objects::without_fields(object.clone());
    let _ = json::selector(object);
}

/// Any text as a policy, as tests of one, as a quantity.
pub fn as_policy(text: &str) {
    let text_of = Text {
        name: "x.cedar".to_owned(),
        text: text.to_owned(),
    };
    match Rules::new(&[text_of], BTreeMap::new(), jiff::tz::TimeZone::UTC) {
        Ok(rules) => {
            if let Ok(cases) = starr::policy::Cases::parse("tests: [{ name: a, expect: permit, act: run, person: p }]")
            {
                let _ = cases.run(&rules);
            }
        }
        Err(mistakes) => assert!(!mistakes.is_empty() && mistakes.iter().all(|mistake| !mistake.contains('\n'))),
    }
    if let Err(problem) = starr::policy::Cases::parse(text) {
        let place = problem.split(':').take(2).all(|part| part.parse::<u32>().is_ok());
        assert!(place, "no place: {problem}");
    }
    if let Some(number) = json::quantity(text) {
        assert!(!number.is_nan(), "{text}");
    }
}
