//! Programs in containers of pods: word for word, without a shell, without a terminal, with nothing to read.

use super::config::{Cluster, Role};
use super::connection::Deadline;
use super::exchange::Place;
use super::failure::{Failure, broken, classify};
use super::json::{self, Json};
use super::workloads::same;
use crate::provider::Outcome;
use crate::providers::arguments::Arguments;
use crate::providers::contract::{self, Contract, Does};
use crate::value::{Reason, Value};
use futures::future::Either;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, AttachParams, AttachedProcess};
use std::pin::pin;
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Most bytes kept of each stream of a program.
const OUTPUT: usize = 1024 * 1024;

/// The container that people mean when they name none.
const DEFAULT: &str = "/metadata/annotations/kubectl.kubernetes.io~1default-container";

/// How a program ended.
pub struct Ended {
    /// `None`: its end was not seen.
    pub code: Option<i64>,
    pub out: Vec<u8>,
    pub err: Vec<u8>,
    /// It said more than is kept.
    pub cut: bool,
}

/// The pod of a call, and in which of its containers the program runs.
pub struct At {
    name: String,
    uid: String,
    container: Option<String>,
}

impl At {
    /// Reads the record of a call.
    pub fn of(arguments: Arguments<'_>) -> Result<Self, Failure> {
        let record = arguments.record("pod")?;
        let text = |field: &str| {
            record
                .get(field)
                .and_then(Value::as_str)
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
                .ok_or_else(|| Failure::definite(Reason::Unparsable, format!("the pod lacks its `{field}`")))
        };
        Ok(Self {
            name: text("name")?,
            uid: text("uid")?,
            container: super::choice(arguments, "container")?.map(str::to_owned),
        })
    }

    /// The container, in the pod as it is now.
    fn container(&self, pod: &Json) -> Result<String, Failure> {
        let names: Vec<&str> = json::list(pod, "/spec/containers")
            .iter()
            .filter_map(|container| json::text(container, "/name"))
            .collect();
        let wanted = self.container.as_deref().or_else(|| json::text(pod, DEFAULT));
        match (wanted, names.as_slice()) {
            (Some(wanted), names) if names.contains(&wanted) => Ok(wanted.to_owned()),
            (Some(_), _) => Err(Failure::definite(
                Reason::Unavailable,
                "the pod has no container of this name",
            )),
            (None, [one]) => Ok((*one).to_owned()),
            (None, _) => Err(Failure::definite(
                Reason::Unavailable,
                format!("the pod has {} containers: `container` says which", names.len()),
            )),
        }
    }
}

/// Runs a program. Whatever happens after it was begun is not known for sure.
pub async fn run(place: &Place<'_>, at: &At, argv: Vec<String>, role: Role) -> Result<Ended, Failure> {
    let pod = place.get(&place.path("v1", "pods", Some(&at.name))?, &[]).await?;
    same(&pod, &at.uid, &at.name)?;
    let container = at.container(&pod)?;
    let namespace = place
        .namespace
        .ok_or_else(|| Failure::definite(Reason::Internal, "a pod lives in a namespace"))?;
    let late = |began: bool| Failure {
        definite: !began,
        ..Failure::definite(Reason::Timeout, "the program had not ended when the time was over")
    };
    let client = tokio::time::timeout(place.deadline.left(), place.link.client(role))
        .await
        .map_err(|_| late(false))??;
    let pods: Api<Pod> = Api::namespaced(client, namespace);
    let how = AttachParams::default()
        .container(container)
        .stdin(false)
        .stdout(true)
        .stderr(true)
        .tty(false);
    let work = async {
        let process = pods
            .exec(&at.name, argv, &how)
            .await
            .map_err(|problem| refused(&problem))?;
        Ok(follow(process).await)
    };
    tokio::time::timeout(place.deadline.left(), work)
        .await
        .map_err(|_| late(true))?
}

/// The contract of a call, if it may do this.
fn declared<'a>(arguments: Arguments<'_>, cluster: &'a Cluster, does: Does) -> Result<&'a Contract, Failure> {
    let name = arguments.text("program")?;
    let contract = cluster.contracts.get(name).ok_or_else(|| {
        Failure::definite(
            Reason::Unavailable,
            format!("no contract `{name}` is declared for this cluster"),
        )
    })?;
    contract.allows(name, does, false)?;
    Ok(contract)
}

async fn under(
    place: &Place<'_>,
    arguments: Arguments<'_>,
    contract: &Contract,
    role: Role,
) -> Result<contract::Ended, Failure> {
    let at = At::of(arguments)?;
    let mut words = contract.words(arguments.value("with"))?;
    words.insert(0, contract.program.to_string_lossy().into_owned());
    let begun = Instant::now();
    let place = Place {
        deadline: Deadline::at(begun + contract.within().min(place.deadline.left())),
        ..*place
    };
    let ended = run(&place, &at, words, role).await?;
    if ended.cut {
        return Err(Failure::unclear(Reason::Truncated, "it printed more than 1 MiB"));
    }
    let Some(code) = ended.code else {
        return Err(Failure::unclear(Reason::Unsettled, "the program's end was not seen"));
    };
    Ok(contract::Ended {
        code: Some(code),
        out: ended.out,
        err: ended.err,
        cut: false,
        took: begun.elapsed(),
        confined: "container",
    })
}

/// `pods.ask`: a program that only looks, under its contract.
pub async fn ask(place: &Place<'_>, arguments: Arguments<'_>, cluster: &Cluster) -> Result<Value, Failure> {
    let contract = declared(arguments, cluster, Does::Read)?;
    let ended = under(place, arguments, contract, Role::Read).await?;
    contract.answer(&ended).map_err(Failure::from)
}

/// `pods.run`: a program that changes something, under its contract.
pub async fn order(place: &Place<'_>, arguments: Arguments<'_>, cluster: &Cluster) -> Result<Value, Failure> {
    let contract = declared(arguments, cluster, Does::Change)?;
    let ended = under(place, arguments, contract, Role::Change).await?;
    match contract.outcome(&ended) {
        Outcome::Done(value) => Ok(value),
        Outcome::Failed(unknown) => Err(unknown.into()),
        Outcome::Unclear(unknown) => Err(Failure::unclear(unknown.reason, unknown.detail)),
    }
}

/// A program that was not begun, or of which nobody knows.
fn refused(problem: &kube::Error) -> Failure {
    match problem {
        kube::Error::Api(status) => {
            let words = serde_json::to_vec(status).unwrap_or_default();
            classify(status.code, &with_kind(&words), false)
        }
        // An answer that is no upgrade came before anything ran.
        kube::Error::UpgradeConnection(problem) => Failure::definite(
            Reason::Unavailable,
            format!("the server did not open a stream: {problem}"),
        ),
        other => broken(other, true),
    }
}

/// The client's form of a status leaves its kind out.
fn with_kind(status: &[u8]) -> Vec<u8> {
    let mut status: Json = serde_json::from_slice(status).unwrap_or_default();
    if status.is_object() {
        status["kind"] = "Status".into();
    }
    serde_json::to_vec(&status).unwrap_or_default()
}

async fn follow(mut process: AttachedProcess) -> Ended {
    let (out, err) = (process.stdout(), process.stderr());
    let status = process.take_status();
    let (mut kept_out, mut kept_err) = (Vec::new(), Vec::new());
    let cut = {
        let (out, err) = (pin!(kept(out, &mut kept_out)), pin!(kept(err, &mut kept_err)));
        // Whoever says too much on one stream would never end the other.
        match futures::future::select(out, err).await {
            Either::Left((true, _)) | Either::Right((true, _)) => true,
            Either::Left((false, err)) => err.await,
            Either::Right((false, out)) => out.await,
        }
    };
    let code = if cut {
        process.abort();
        None
    } else {
        match status {
            Some(status) => status
                .await
                .and_then(|status| code(&serde_json::to_value(status).ok()?)),
            None => None,
        }
    };
    Ended {
        code,
        out: kept_out,
        err: kept_err,
        cut,
    }
}

/// Keeps what a stream says; true when it says more than is kept.
async fn kept(stream: Option<impl AsyncRead + Unpin>, bytes: &mut Vec<u8>) -> bool {
    let Some(stream) = stream else {
        return false;
    };
    let most = u64::try_from(OUTPUT + 1).unwrap_or(u64::MAX);
    // A stream that breaks ends here; that its end was not seen is said by the status that does not come.
    let _ = stream.take(most).read_to_end(bytes).await;
    let cut = bytes.len() > OUTPUT;
    bytes.truncate(OUTPUT);
    cut
}

/// The exit code in the status that ends a stream.
fn code(status: &Json) -> Option<i64> {
    if json::text(status, "/status") == Some("Success") {
        return Some(0);
    }
    json::list(status, "/details/causes")
        .iter()
        .find(|cause| json::text(cause, "/reason") == Some("ExitCode"))
        .and_then(|cause| json::text(cause, "/message")?.parse().ok())
}

/// What came of `pods.exec`, as a record.
pub fn executed(ended: &Ended) -> Value {
    let text = |bytes: &[u8]| Value::text(String::from_utf8_lossy(bytes).into_owned());
    Value::record(
        "Executed",
        vec![
            (
                "code",
                ended.code.map_or_else(
                    || Value::unknown(Reason::Unsettled, "the program has not ended, or its end was not seen"),
                    Value::Int,
                ),
            ),
            ("output", text(&ended.out)),
            ("errors", text(&ended.err)),
            ("cut", Value::Bool(ended.cut)),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::code;
    use serde_json::json;

    #[test]
    fn a_stream_ends_with_the_exit_code() {
        assert_eq!(code(&json!({"status": "Success"})), Some(0));
        let failed = json!({"status": "Failure", "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": "3"}]}});
        assert_eq!(code(&failed), Some(3));
        assert_eq!(code(&json!({"status": "Failure", "reason": "InternalError"})), None);
    }
}
