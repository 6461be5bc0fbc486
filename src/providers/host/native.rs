//! Whether the units and files that runbooks name are there.

use super::{Host, LOCAL, units};
use crate::provider::native::{Reference, ReferenceKind, Resolved, Use};
use crate::value::{Reason, Value};
use std::time::Duration;

/// How long one look may take.
const WITHIN: Duration = Duration::from_secs(10);

impl Host {
    /// The unit of a call, where it is known.
    pub(super) fn named(&self, used: &Use) -> Vec<Reference> {
        match &*used.operation.path {
            "units.state" | "units.restart" => used
                .arg("unit")
                .and_then(Value::as_str)
                .map(|unit| Reference {
                    kind: ReferenceKind::Unit,
                    name: unit.to_owned(),
                    on: used.arg("on").and_then(Value::as_str).unwrap_or(LOCAL).to_owned(),
                    readable: true,
                })
                .into_iter()
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Looks at a unit or a file.
    pub(super) async fn look_up(&self, reference: &Reference) -> Resolved {
        match reference.kind {
            ReferenceKind::Unit => match units::state(&self.machine, &reference.name, WITHIN).await {
                Ok(_) => Resolved::There,
                Err(unknown) if unknown.reason == Reason::Missing => Resolved::Missing(unknown.to_string()),
                Err(unknown) => Resolved::Unknown(unknown.to_string()),
            },
            ReferenceKind::File => match tokio::fs::symlink_metadata(&reference.name).await {
                Ok(_) => Resolved::There,
                Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => {
                    Resolved::Missing("there is no such file".to_owned())
                }
                Err(problem) => Resolved::Unknown(problem.to_string()),
            },
            _ => Resolved::Unknown("this is not on a machine".to_owned()),
        }
    }
}
