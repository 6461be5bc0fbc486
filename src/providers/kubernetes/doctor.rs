//! What `starr doctor` says about a cluster: reachable, as whom, and what of the common reads is allowed.

use super::config::{Config, Role};
use super::connection::{Deadline, Link};
use super::exchange::Place;
use super::failure::Failure;
use super::json;
use crate::provider::{Health, HealthState};
use std::time::Duration;

/// How long each line may take.
const WITHIN: Duration = Duration::from_secs(10);

/// Common reads that are asked about.
const READS: &[(&str, &str)] = &[
    ("", "pods"),
    ("", "events"),
    ("apps", "deployments"),
    ("apps", "replicasets"),
];

/// One line for a cluster.
pub async fn cluster(name: &str, link: &Link) -> Health {
    let place = Place {
        link,
        namespace: None,
        deadline: Deadline::new(WITHIN),
        dry: None,
    };
    let found: Result<String, Failure> = async {
        let version = place.get("/version", &[]).await?;
        let version = json::text(&version, "/gitVersion")
            .unwrap_or("an unknown version")
            .to_owned();
        let body = serde_json::json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
        let path = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
        let mut said = format!("Kubernetes {version}");
        for (role, words) in [(Role::Read, "checks"), (Role::Change, "changes")] {
            let who = place.review(role, path, &body).await?;
            let who = json::text(&who, "/status/userInfo/username")
                .unwrap_or("nobody")
                .to_owned();
            said.push_str(&format!(", {words} as `{who}`"));
        }
        Ok(said)
    }
    .await;
    let (state, detail) = match found {
        Ok(detail) => (HealthState::Good, detail),
        Err(failure) => (HealthState::Bad, failure.unknown.to_string()),
    };
    Health {
        subject: format!("kubernetes cluster {name}"),
        state,
        detail,
    }
}

/// One line for a namespace.
pub async fn namespace(name: &str, config: &Config, link: &Link) -> Health {
    let real = config
        .namespaces
        .get(name)
        .and_then(|namespace| namespace.namespace.as_deref())
        .unwrap_or(name);
    let place = Place {
        link,
        namespace: Some(real),
        deadline: Deadline::new(WITHIN),
        dry: None,
    };
    let mut missing = Vec::new();
    let mut problem = None;
    for (group, resource) in READS {
        let body = serde_json::json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {"namespace": real, "verb": "list", "group": group, "resource": resource}},
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        match place.review(Role::Read, path, &body).await {
            Ok(answer) if json::flag(&answer, "/status/allowed") => {}
            Ok(_) => missing.push(*resource),
            Err(failure) => {
                problem = Some(failure.unknown.to_string());
                break;
            }
        }
    }
    let (state, detail) = match problem {
        Some(problem) => (HealthState::Bad, problem),
        None if missing.is_empty() => (
            HealthState::Good,
            format!("namespace `{real}`: the common reads are allowed"),
        ),
        None => (
            HealthState::Limited,
            format!("namespace `{real}`: this login may not list {}", missing.join(", ")),
        ),
    };
    Health {
        subject: format!("kubernetes namespace {name}"),
        state,
        detail,
    }
}
