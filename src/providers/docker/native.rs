//! Whether the containers and compose projects that runbooks name are there.

use super::{Docker, inspect, values};
use crate::provider::native::{Reference, ReferenceKind, Resolved, Use};
use crate::value::Value;
use bollard::query_parameters::ListContainersOptions;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// How long a look at one reference may take.
const WITHIN: Duration = Duration::from_secs(10);

impl Docker {
    /// What a call names in the engine.
    pub(super) fn named(&self, used: &Use) -> Vec<Reference> {
        let text = |argument: &str| used.arg(argument).and_then(Value::as_str);
        let (kind, argument) = match &*used.operation.path {
            "containers.get" => (ReferenceKind::Container, "name"),
            "containers.list" => (ReferenceKind::Project, "project"),
            _ => return Vec::new(),
        };
        match (text("engine"), text(argument)) {
            (Some(on), Some(name)) => vec![Reference {
                kind,
                name: name.to_owned(),
                on: on.to_owned(),
                readable: true,
            }],
            _ => Vec::new(),
        }
    }

    /// Looks a container or a project up.
    pub(super) async fn look_up(&self, reference: &Reference) -> Resolved {
        let found = async {
            let link = self.link(&reference.on, Instant::now() + WITHIN).await?;
            if reference.kind == ReferenceKind::Container {
                return inspect(&link, &reference.name).await.map(|_| true);
            }
            let label = format!("{}={}", values::PROJECT, reference.name);
            let options = ListContainersOptions {
                all: true,
                limit: Some(1),
                filters: Some(HashMap::from([("label".to_owned(), vec![label])])),
                ..ListContainersOptions::default()
            };
            let found = link.wait(link.client.list_containers(Some(options)), false).await?;
            Ok(!found.is_empty())
        };
        match found.await {
            Ok(true) => Resolved::There,
            Ok(false) => Resolved::Missing(format!("no container of the project `{}`", reference.name)),
            Err(failure) if failure.unknown.detail.contains("status 404") => Resolved::Missing(failure.unknown.detail),
            Err(failure) => Resolved::Unknown(failure.unknown.to_string()),
        }
    }
}
