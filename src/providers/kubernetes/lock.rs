//! The lock of a namespace, or of a cluster's nodes: a Lease in the cluster itself, with a holder and an expiry.
//!
//! Every write carries the version that was read, so that of two that want it one is refused by the server. The server's clock
//! counts, never that of one machine or the other. Before each change the lease is renewed: whoever has lost it learns that
//! there, and sends nothing.

use super::connection::{Deadline, Link};
use super::exchange::Place;
use super::failure::{Failure, Refusal, crop};
use super::json::{self, Json};
use crate::provider::lock::{self, Held, Holder, NotTaken, Other};
use crate::value::{Reason, Unknown};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// The lease of a namespace, in that namespace.
pub const OF_NAMESPACE: &str = "starr";

/// The lease of a cluster's nodes.
pub const OF_NODES: &str = "starr-nodes";

/// The kind of object.
pub const API: &str = "coordination.k8s.io/v1";

/// How long the lock of a holder that says nothing is respected, in seconds.
const SILENCE: i64 = 75;

/// How often the holder says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// Longest time for taking the lock, and for the server to say that it is still held.
const TAKING: Duration = Duration::from_secs(10);

/// Longest time for giving it back; behind it the expiry does it.
const GIVING_BACK: Duration = Duration::from_secs(2);

/// How often a write is tried when somebody else was faster.
const TRIES: usize = 4;

/// How an identity of ours begins; then what makes it the only one, then who it is.
const OURS: &str = "starr/";

/// Where a lease lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    pub namespace: String,
    pub name: &'static str,
}

impl Site {
    /// The lease of a namespace, by its name in the cluster.
    pub fn of_namespace(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: OF_NAMESPACE,
        }
    }

    /// The lease of a cluster's nodes, in the namespace that the configuration names.
    pub fn of_cluster(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: OF_NODES,
        }
    }

    fn place<'a>(&'a self, link: &'a Link, within: Duration) -> Place<'a> {
        Place {
            link,
            namespace: Some(&self.namespace),
            deadline: Deadline::new(within),
            dry: None,
        }
    }
}

/// A lease as it was read, and the server's clock.
struct Found {
    lease: Json,
    now: Timestamp,
}

impl Found {
    fn holder(&self) -> &str {
        json::text(&self.lease, "/spec/holderIdentity").unwrap_or_default()
    }

    /// Nobody has it, or whoever has it has been silent for longer than they said. A lease without its times does not expire.
    fn free(&self) -> bool {
        let expired = || {
            let renewed = json::time(&self.lease, "/spec/renewTime")?;
            let seconds = json::int(&self.lease, "/spec/leaseDurationSeconds")?;
            let ends = renewed.checked_add(SignedDuration::from_secs(seconds)).ok()?;
            Some(ends < self.now)
        };
        self.holder().is_empty() || expired().unwrap_or(false)
    }
}

async fn read(place: &Place<'_>, site: &Site) -> Result<Option<Found>, Failure> {
    match place
        .as_change("GET", &place.path(API, "leases", Some(site.name))?, None)
        .await
    {
        Ok((lease, now)) => Ok(Some(Found {
            lease,
            now: now.unwrap_or_else(Timestamp::now),
        })),
        Err(failure) if failure.refusal == Refusal::Missing => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn moment(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Writes the lease with the version that was read.
async fn replace(place: &Place<'_>, site: &Site, found: &Found, changes: &[(&str, Json)]) -> Result<(), Failure> {
    let mut lease = found.lease.clone();
    if let Some(metadata) = lease.get_mut("metadata").and_then(Json::as_object_mut) {
        metadata.remove("managedFields");
    }
    if !lease["spec"].is_object() {
        lease["spec"] = json!({});
    }
    for (field, value) in changes {
        lease["spec"][*field] = value.clone();
    }
    let path = place.path(API, "leases", Some(site.name))?;
    place.as_change("PUT", &path, Some(&lease)).await.map(|_| ())
}

/// Makes the lease, or takes one that is free or is to be taken over.
async fn write(place: &Place<'_>, site: &Site, found: Option<&Found>, identity: &str) -> Result<(), Failure> {
    let now = found.map_or_else(Timestamp::now, |found| found.now);
    let spec = |transitions: i64| {
        [
            ("holderIdentity", json!(identity)),
            ("leaseDurationSeconds", json!(SILENCE)),
            ("acquireTime", json!(moment(now))),
            ("renewTime", json!(moment(now))),
            ("leaseTransitions", json!(transitions)),
        ]
    };
    if let Some(found) = found {
        let transitions = json::int(&found.lease, "/spec/leaseTransitions").unwrap_or(0);
        return replace(place, site, found, &spec(transitions.saturating_add(1))).await;
    }
    let fields: serde_json::Map<String, Json> = spec(0)
        .into_iter()
        .map(|(field, value)| (field.to_owned(), value))
        .collect();
    let lease = json!({
        "apiVersion": API,
        "kind": "Lease",
        "metadata": {"name": site.name, "namespace": site.namespace},
        "spec": fields,
    });
    place
        .as_change("POST", &place.path(API, "leases", None)?, Some(&lease))
        .await
        .map(|_| ())
}

/// Takes the lock, or says who has it.
pub async fn take(
    link: &Arc<Link>,
    site: Site,
    holder: &Holder,
    take_over: Option<&str>,
) -> Result<Box<dyn Held>, NotTaken> {
    let unclear = |failure: Failure| NotTaken::Unclear(failure.unknown);
    let mut nonce = [0_u8; 8];
    getrandom::fill(&mut nonce).map_err(|problem| {
        NotTaken::Unclear(Unknown {
            reason: Reason::Unavailable,
            detail: format!("no randomness: {problem}"),
        })
    })?;
    let identity = format!("{OURS}{} {}", hex::encode(nonce), holder.line());
    let place = site.place(link, TAKING);
    let mut last = None;
    for _ in 0..TRIES {
        let found = read(&place, &site).await.map_err(unclear)?;
        if let Some(found) = &found {
            // Written before, and the answer was lost.
            if found.holder() == identity {
                return Ok(held(link, site, identity));
            }
            if !found.free() && take_over != Some(found.holder()) {
                return Err(NotTaken::HeldBy(other(found)));
            }
        }
        match write(&place, &site, found.as_ref(), &identity).await {
            Ok(()) => {
                // A lease that was not there has no clock of the server yet: the first renewal sets it right.
                if found.is_none() {
                    renew(link, &site, &identity).await.map_err(NotTaken::Unclear)?;
                }
                return Ok(held(link, site, identity));
            }
            Err(failure)
                if !failure.definite || matches!(failure.refusal, Refusal::Conflict | Refusal::AlreadyExists) =>
            {
                last = Some(failure);
            }
            Err(failure) => return Err(unclear(failure)),
        }
    }
    Err(NotTaken::Unclear(last.map_or_else(
        || Unknown {
            reason: Reason::Unavailable,
            detail: "the lease changes all the time".to_owned(),
        },
        |failure| failure.unknown,
    )))
}

fn held(link: &Arc<Link>, site: Site, identity: String) -> Box<dyn Held> {
    let identity: Arc<str> = identity.into();
    let beating = (Arc::clone(link), site.clone(), Arc::clone(&identity));
    let heartbeat = tokio::spawn(async move {
        let (link, site, identity) = beating;
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            // A heartbeat that fails changes nothing here: the next change asks and is told.
            let _ = renew(&link, &site, &identity).await;
        }
    });
    Box::new(Lock {
        link: Arc::clone(link),
        site,
        identity,
        heartbeat,
    })
}

/// Another holder, as the lease shows it.
fn other(found: &Found) -> Other {
    let token = found.holder().to_owned();
    let who = token
        .strip_prefix(OURS)
        .and_then(|rest| rest.split_once(' '))
        .map(|(_, line)| line);
    let since = json::time(&found.lease, "/spec/acquireTime");
    Other {
        shown: match who {
            Some(line) => format!("run {}", crop(line, 200)),
            None => format!("`{}`, which is no run of starr", crop(&token, 200)),
        },
        since: since.map_or_else(String::new, |since| since.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()),
        token,
    }
}

/// Lets the lock live on while it is ours. Anything but a definite yes is an error.
async fn renew(link: &Link, site: &Site, identity: &str) -> Result<(), Unknown> {
    let place = site.place(link, TAKING);
    let lost = |detail: &str| Unknown {
        reason: Reason::Denied,
        detail: detail.to_owned(),
    };
    for _ in 0..TRIES {
        let found = read(&place, site).await.map_err(|failure| failure.unknown)?;
        let Some(found) = found else {
            return Err(lost("the lease of this lock was deleted"));
        };
        if found.holder() != identity {
            return Err(lost("the lease says that it has expired or that somebody else has it"));
        }
        let renewed = [("renewTime", json!(moment(found.now)))];
        match replace(&place, site, &found, &renewed).await {
            Ok(()) => return Ok(()),
            // Our own heartbeat, or somebody who takes it: look again.
            Err(failure) if !failure.definite || failure.refusal == Refusal::Conflict => {}
            Err(failure) => return Err(failure.unknown),
        }
    }
    Err(Unknown {
        reason: Reason::Unavailable,
        detail: "the lease could not be renewed".to_owned(),
    })
}

struct Lock {
    link: Arc<Link>,
    site: Site,
    identity: Arc<str>,
    heartbeat: tokio::task::JoinHandle<()>,
}

impl Held for Lock {
    fn still_held<'a>(&'a self) -> BoxFuture<'a, Result<(), Unknown>> {
        Box::pin(renew(&self.link, &self.site, &self.identity))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.heartbeat.abort();
        // With a connection of its own: this one belongs to the runtime in which it was made.
        let (cluster, site) = (self.link.cluster.clone(), self.site.clone());
        let identity = Arc::clone(&self.identity);
        lock::give_back(GIVING_BACK, async move || {
            give_back(&Link::new(cluster), &site, &identity).await;
        });
    }
}

/// Leaves the lease there, with nobody holding it.
async fn give_back(link: &Link, site: &Site, identity: &str) {
    let place = site.place(link, GIVING_BACK);
    for _ in 0..TRIES {
        let Ok(Some(found)) = read(&place, site).await else {
            return;
        };
        if found.holder() != identity {
            return;
        }
        let free = [
            ("holderIdentity", json!("")),
            ("leaseDurationSeconds", json!(1)),
            ("renewTime", json!(moment(found.now))),
        ];
        match replace(&place, site, &found, &free).await {
            Err(failure) if failure.refusal == Refusal::Conflict => {}
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, other};
    use serde_json::json;

    fn found(spec: serde_json::Value) -> Found {
        Found {
            lease: json!({"spec": spec}),
            now: "2026-11-22T03:00:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn a_lease_is_free_when_nobody_has_it_or_its_holder_fell_silent() {
        let of = |holder: &str, renewed: &str| {
            found(json!({"holderIdentity": holder, "leaseDurationSeconds": 75, "renewTime": renewed})).free()
        };
        assert!(of("", "2026-11-22T02:59:59.000000Z"));
        assert!(of("x", "2026-11-22T02:58:44.000000Z"));
        assert!(!of("x", "2026-11-22T02:58:46.000000Z"));
        // A clock that runs ahead, and a lease that does not say how long it is good for, are nobody's invitation.
        assert!(!of("x", "2026-11-22T09:00:00.000000Z"));
        assert!(!found(json!({"holderIdentity": "x"})).free());
    }

    #[test]
    fn a_holder_is_shown_as_far_as_it_is_ours() {
        let ours = other(&found(json!({
            "holderIdentity": "starr/00ff 260814-0912-kolu maria@laptop7", "acquireTime": "2026-11-22T02:00:00.000000Z",
        })));
        assert_eq!(ours.shown, "run 260814-0912-kolu maria@laptop7");
        assert_eq!(ours.since, "2026-11-22 02:00:00 UTC");
        let foreign = other(&found(json!({"holderIdentity": "leader-7"})));
        assert_eq!(foreign.shown, "`leader-7`, which is no run of starr");
        assert_eq!((foreign.since.as_str(), foreign.token.as_str()), ("", "leader-7"));
    }
}
