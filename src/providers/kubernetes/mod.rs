//! `kubernetes`: workloads and their rollouts, pods, events, logs, nodes, limits, and any other object of a cluster.
//!
//! Clusters and namespaces are those of the configuration; nothing is taken from a kubeconfig's current context. Every answer is
//! bounded, a refused list is never an empty one, and a change to an object only happens while it is the one that was looked at.

pub mod changes;
pub mod cluster;
pub mod config;
pub mod connection;
pub mod credentials;
pub mod doctor;
mod drain;
pub mod exchange;
mod exec;
pub mod failure;
pub mod json;
mod lock;
pub mod objects;
pub mod pods;
mod preview;
mod rbac;
mod waits;
mod watch;
pub mod workloads;
pub mod writes;

use self::config::{Config, Role};
use self::connection::{Deadline, Link};
use self::exchange::{Items, Place};
use self::failure::{Cause, Failure, cause};
use self::json::Json;
use self::preview::Dry;
use self::writes::Fared;
use crate::provider::lock::{Held, Holder, NotTaken};
use crate::provider::native::{PreviewPass, Previewed, Privilege, Use};
use crate::provider::{Call, Health, Outcome, Permit, Provider};
use crate::providers::arguments::Arguments;
use crate::value::probe::{self, Reply};
use crate::value::{List, Reason, Value};
use futures::future::BoxFuture;
use jiff::Timestamp;
use ring::hmac;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// What is implemented: exactly the operations of the interface text.
const OPERATIONS: &[&str] = &[
    "server",
    "version",
    "access.check",
    "workloads.get",
    "workloads.list",
    "rollout.history",
    "rollout.current",
    "rollout.previous",
    "rollout.wait",
    "rollout.restart",
    "rollout.undo",
    "rollout.pause",
    "rollout.resume",
    "rollout.set_paused",
    "scale.get",
    "scale.set",
    "images.get",
    "images.set",
    "resources.cpu",
    "resources.set_cpu",
    "resources.memory",
    "resources.set_memory",
    "environment.get",
    "environment.set",
    "pods.list",
    "pods.of",
    "pods.remaining",
    "pods.wait_gone",
    "pods.evict",
    "pods.delete",
    "pods.exec",
    "pods.ask",
    "pods.run",
    "events.list",
    "logs.tail",
    "logs.count",
    "nodes.list",
    "nodes.get",
    "nodes.allocation",
    "nodes.cordon",
    "nodes.uncordon",
    "nodes.set_schedulable",
    "nodes.drain",
    "services.list",
    "services.endpoints",
    "config_maps.list",
    "config_maps.get",
    "config_maps.entry",
    "config_maps.set",
    "secrets.list",
    "secrets.get",
    "secrets.set",
    "secrets.create",
    "secrets.delete",
    "autoscalers.list",
    "quotas.list",
    "disruption_budgets.list",
    "jobs.list",
    "jobs.wait",
    "jobs.run_now",
    "top.pods",
    "top.nodes",
    "objects.get",
    "objects.list",
    "objects.wait_gone",
    "objects.patch",
    "objects.apply",
    "objects.delete",
];

/// A cluster with what belongs to it alone.
struct Instance {
    link: Arc<Link>,
    /// Made when a secret is read for the first time.
    salt: OnceLock<hmac::Key>,
}

impl Instance {
    fn salt(&self) -> Result<&hmac::Key, Failure> {
        if let Some(salt) = self.salt.get() {
            return Ok(salt);
        }
        let unusable = |detail: String| Failure::definite(Reason::Unavailable, detail);
        let salt = match &self.link.cluster.secret_salt {
            Some(source) => source
                .read()
                .map_err(|problem| unusable(format!("the salt of this cluster: {problem}")))?
                .expose()
                .as_bytes()
                .to_vec(),
            None => {
                let mut salt = vec![0; 32];
                getrandom::fill(&mut salt).map_err(|_| unusable("the machine gives no random bytes".to_owned()))?;
                salt
            }
        };
        Ok(self.salt.get_or_init(|| hmac::Key::new(hmac::HMAC_SHA256, &salt)))
    }
}

/// The provider.
pub struct Kubernetes {
    config: Config,
    clusters: BTreeMap<String, Instance>,
}

impl Kubernetes {
    /// Nothing is connected, and no kubeconfig read, before the first call.
    ///
    /// # Errors
    /// Names the entry of the configuration that cannot be used and says why.
    pub fn new(config: Config) -> Result<Self, String> {
        config.validate()?;
        let mut clusters = BTreeMap::new();
        for (name, cluster) in &config.clusters {
            clusters.insert(
                name.clone(),
                Instance {
                    link: Arc::new(Link::new(cluster.clone())),
                    salt: OnceLock::new(),
                },
            );
        }
        Ok(Self { config, clusters })
    }

    /// What the configuration allows beyond the default, in words: it belongs into the record of every run.
    pub fn exceptions(&self) -> Vec<String> {
        let words = |name: &str, what: &str, programs: &[String]| {
            (!programs.is_empty()).then(|| format!("kubernetes `{name}`: {what} {}", programs.join(", ")))
        };
        self.config
            .clusters
            .iter()
            .flat_map(|(name, cluster)| {
                let own = words(name, "its kubeconfig may run", &cluster.allow_programs);
                let inside = words(name, "these programs may be run in pods:", &cluster.programs);
                own.into_iter().chain(inside)
            })
            .collect()
    }

    fn cluster(&self, name: &str) -> Result<&Instance, Failure> {
        self.clusters.get(name).ok_or_else(|| {
            Failure::definite(
                Reason::Unavailable,
                format!("no cluster `{name}` is configured in this environment"),
            )
        })
    }

    /// A namespace of the configuration.
    fn namespace(&self, name: &str, deadline: Deadline) -> Result<(Place<'_>, &Instance), Failure> {
        let (known, namespace) = self.config.namespaces.get_key_value(name).ok_or_else(|| {
            Failure::definite(
                Reason::Unavailable,
                format!("no namespace `{name}` is configured in this environment"),
            )
        })?;
        let instance = self.cluster(&namespace.cluster)?;
        let place = Place {
            link: &instance.link,
            namespace: Some(namespace.namespace.as_deref().unwrap_or(known)),
            deadline,
            dry: None,
        };
        Ok((place, instance))
    }

    /// Where the lock of a target lies: that of a namespace in it, that of a cluster's nodes in a namespace of the configuration.
    fn lease(&self, target: &str) -> Option<(&Instance, lock::Site)> {
        let (cluster, site) = match self.config.namespaces.get(target) {
            Some(namespace) => {
                let real = namespace.namespace.as_deref().unwrap_or(target);
                (namespace.cluster.as_str(), lock::Site::of_namespace(real))
            }
            None => (
                target,
                lock::Site::of_cluster(&self.config.clusters.get(target)?.lock_namespace),
            ),
        };
        let instance = self.clusters.get(cluster)?;
        instance.link.cluster.lock.then_some((instance, site))
    }

    /// Where a call goes: its cluster or namespace, or that of the record it is about.
    fn place(&self, arguments: Arguments, deadline: Deadline) -> Result<(Place<'_>, &Instance), Failure> {
        let whole = |name: &str| {
            let instance = self.cluster(name)?;
            let place = Place {
                link: &instance.link,
                namespace: None,
                deadline,
                dry: None,
            };
            Ok((place, instance))
        };
        match place(arguments) {
            Some((true, name)) => whole(name),
            Some((false, name)) => self.namespace(name, deadline),
            None => Err(Failure::definite(
                Reason::Unparsable,
                "the call does not say which cluster or namespace",
            )),
        }
    }

    async fn answer(&self, call: &Call) -> Result<Value, Failure> {
        let deadline = Deadline::new(call.within);
        let arguments = Arguments(call);
        let now = Timestamp::now();
        let what = &*call.operation.path;
        if what == "pods.remaining" || what == "pods.wait_gone" {
            let mut left = Vec::new();
            for (name, pods) in pods::named(arguments.value("pods"))? {
                let (place, _) = self.namespace(&name, deadline)?;
                let namespace = Value::Resource {
                    kind: "Namespace".into(),
                    name: name.as_str().into(),
                };
                left.extend(if what == "pods.remaining" {
                    pods::remaining(&place, &namespace, &pods, now).await?
                } else {
                    waits::pods_gone(&place, &namespace, &pods).await?
                });
            }
            return Ok(Value::list(left));
        }
        let (place, instance) = self.place(arguments, deadline)?;
        let (place, arguments) = (&place, arguments);
        match what {
            "server" => reachable(place).await,
            "version" => cluster::version(place).await,
            "access.check" => cluster::access(place, arguments).await,
            "workloads.get" => workloads::get(place, arguments, now).await,
            "workloads.list" => workloads::list(place, arguments, now).await,
            "rollout.history" | "rollout.current" | "rollout.previous" => {
                workloads::rollout(what, place, arguments, now).await
            }
            "scale.get" => workloads::scale(place, arguments).await,
            "rollout.wait" => waits::rollout(place, arguments).await,
            "images.get" | "resources.cpu" | "resources.memory" | "environment.get" => {
                workloads::of_container(what, place, arguments).await
            }
            "pods.list" => pods::list(place, arguments, now).await,
            "pods.of" => pods::of_workload(place, arguments, now).await,
            "pods.ask" => exec::ask(place, arguments, &instance.link.cluster).await,
            "events.list" => pods::events(place, arguments, now).await,
            "logs.tail" => pods::tail(place, arguments).await,
            "logs.count" => pods::count(place, arguments).await,
            "nodes.list" => cluster::nodes(place, arguments, now).await,
            "nodes.get" => cluster::one_node(place, arguments, now).await,
            "nodes.allocation" => cluster::allocation(place, arguments).await,
            "services.list" => objects::services(place, arguments).await,
            "services.endpoints" => objects::endpoints(place, arguments).await,
            "config_maps.list" => objects::config_maps(place, arguments, now).await,
            "config_maps.get" | "config_maps.entry" => objects::one_config_map(what, place, arguments, now).await,
            "secrets.list" | "secrets.get" => objects::secrets(what, place, arguments, instance.salt()?, now).await,
            "autoscalers.list" => objects::autoscalers(place, arguments).await,
            "quotas.list" => objects::quotas(place).await,
            "disruption_budgets.list" => objects::budgets(place, arguments).await,
            "jobs.list" => objects::jobs(place, arguments, now).await,
            "jobs.wait" => waits::job_end(place, arguments).await,
            "top.pods" => cluster::top_pods(place, arguments).await,
            "top.nodes" => cluster::top_nodes(place, arguments).await,
            "objects.get" => objects::get(place, arguments).await,
            "objects.list" => objects::list(place, arguments).await,
            "objects.wait_gone" => waits::object_gone(place, arguments).await,
            other => Err(Failure::definite(
                Reason::Internal,
                format!("kubernetes.{other} is not a read"),
            )),
        }
    }

    /// Carries a change out, or, with `dry`, asks the server what it would do.
    async fn act(&self, call: &Call, dry: Option<&Dry>) -> Result<Value, Failure> {
        let deadline = Deadline::new(call.within);
        let arguments = Arguments(call);
        let now = Timestamp::now();
        let what = &*call.operation.path;
        if matches!(what, "pods.evict" | "pods.delete") {
            return self.move_pods(arguments, what == "pods.evict", deadline, dry).await;
        }
        let (place, instance) = self.place(arguments, deadline)?;
        let (place, arguments) = (&Place { dry, ..place }, arguments);
        let key = call.key.as_deref().or(dry.map(|_| "preview"));
        match what {
            "scale.set" => changes::scale(place, arguments).await,
            "rollout.restart" => changes::restart(place, arguments, key, now).await,
            "rollout.undo" => changes::undo(place, arguments, now).await,
            "rollout.pause" => changes::pause(place, arguments, true, now).await,
            "rollout.resume" => changes::pause(place, arguments, false, now).await,
            "rollout.set_paused" => changes::pause(place, arguments, arguments.flag("to"), now).await,
            "images.set" => changes::image(place, arguments, now).await,
            "resources.set_cpu" => changes::resources(place, arguments, "cpu", now).await,
            "resources.set_memory" => changes::resources(place, arguments, "memory", now).await,
            "environment.set" => changes::variable(place, arguments, now).await,
            "nodes.cordon" => writes::schedulable(place, arguments, false, now).await,
            "nodes.uncordon" => writes::schedulable(place, arguments, true, now).await,
            "nodes.set_schedulable" => writes::schedulable(place, arguments, arguments.flag("to"), now).await,
            "nodes.drain" => drain::drain(place, arguments).await,
            "pods.exec" => {
                let at = exec::At::of(arguments)?;
                let argv = arguments.words(&instance.link.cluster.programs, "pods")?;
                Ok(exec::executed(&exec::run(place, &at, argv, Role::Change).await?))
            }
            "pods.run" => exec::order(place, arguments, &instance.link.cluster).await,
            "config_maps.set" => writes::config_map(place, arguments).await,
            "secrets.set" => writes::secret(place, arguments).await,
            "secrets.create" => writes::make_secret(place, arguments, key, instance.salt()?, now).await,
            "secrets.delete" => writes::delete_secret(place, arguments).await,
            "jobs.run_now" => writes::run_now(place, arguments, key, now).await,
            "objects.patch" => writes::patch(place, arguments).await,
            "objects.apply" => writes::apply(place, arguments).await,
            "objects.delete" => writes::delete(place, arguments).await,
            other => Err(Failure::definite(
                Reason::Internal,
                format!("kubernetes.{other} is not a change"),
            )),
        }
    }

    async fn move_pods(
        &self,
        arguments: Arguments<'_>,
        evict: bool,
        deadline: Deadline,
        dry: Option<&Dry>,
    ) -> Result<Value, Failure> {
        let groups = pods::named(arguments.value("pods"))?;
        let count: usize = groups.iter().map(|(_, pods)| pods.len()).sum();
        if count > writes::PODS {
            return Err(Failure::definite(
                Reason::Unavailable,
                format!("more than {} pods in one call", writes::PODS),
            ));
        }
        // All of them must be reachable before the first is touched.
        let mut places = Vec::new();
        for (name, pods) in groups {
            let place = self.namespace(&name, deadline)?.0;
            places.push((Place { dry, ..place }, pods));
        }
        let mut fared = Fared::default();
        for (place, pods) in &places {
            fared = writes::pods(place, pods, evict, fared).await?;
        }
        if let Some(dry) = dry {
            dry.fared(fared.already_gone, fared.protected);
        }
        Ok(if evict {
            writes::evicted(fared)
        } else {
            writes::deleted(fared)
        })
    }
}

/// `server`: the reply says what happened. Only our own mistakes (a kubeconfig that cannot be used) are unknown.
async fn reachable(place: &Place<'_>) -> Result<Value, Failure> {
    let begin = Instant::now();
    let client = place.link.client(Role::Read).await?;
    let request = http::Request::get("/version")
        .body(kube::client::Body::empty())
        .map_err(|_| Failure::definite(Reason::Internal, "the request cannot be written"))?;
    let (reply, status) = match tokio::time::timeout(place.deadline.left(), client.send(request)).await {
        Err(_) => (Reply::TimedOut, None),
        Ok(Ok(response)) => (Reply::Answered, Some(response.status().as_u16())),
        Ok(Err(kube::Error::Auth(_))) => {
            return Err(Failure::definite(
                Reason::Denied,
                "the credentials of this cluster cannot be had",
            ));
        }
        Ok(Err(problem)) => match cause(&problem) {
            Cause::Certificate => (Reply::BadCertificate, None),
            Cause::NoSuchName => (Reply::NoSuchName, None),
            _ => (Reply::Refused, None),
        },
    };
    Ok(probe::value(reply, begin.elapsed(), status))
}

/// The items of a list as values.
pub fn listed(items: &Items, make: impl FnMut(&Json) -> Value) -> Value {
    Value::List(Arc::new(List {
        items: items.items.iter().map(make).collect(),
        truncated: items.truncated,
    }))
}

/// A text that chooses among objects. An empty one would choose all of them, which nobody has asked for.
pub fn choice<'a>(arguments: Arguments<'a>, name: &str) -> Result<Option<&'a str>, Failure> {
    match arguments.maybe_text(name)? {
        Some(text) if text.trim().is_empty() => Err(Failure::definite(
            Reason::Unparsable,
            format!("`{name}` is empty; leave it out to mean all"),
        )),
        other => Ok(other),
    }
}

/// The resource a call is about: whether it is a whole cluster, and its name.
fn place<'a>(arguments: Arguments<'a>) -> Option<(bool, &'a str)> {
    let inside = |argument: &str, field: &str| {
        arguments
            .value(argument)
            .as_record()
            .and_then(|record| record.get(field))
            .and_then(Value::as_str)
    };
    None.or_else(|| arguments.value("cluster").as_str().map(|name| (true, name)))
        .or_else(|| arguments.value("namespace").as_str().map(|name| (false, name)))
        .or_else(|| inside("workload", "namespace").map(|name| (false, name)))
        .or_else(|| inside("pod", "namespace").map(|name| (false, name)))
        .or_else(|| inside("secret", "namespace").map(|name| (false, name)))
        .or_else(|| inside("node", "cluster").map(|name| (true, name)))
}

impl Provider for Kubernetes {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn operations(&self) -> &'static [&'static str] {
        OPERATIONS
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        if let Some((_, name)) = place(Arguments(call)) {
            return vec![name.to_owned()];
        }
        Arguments(call).sources("pods", "namespace")
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        Box::pin(async move { Value::or_unknown(self.answer(call).await.map_err(|failure| failure.unknown)) })
    }

    fn change<'a>(&'a self, call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { self.act(call, None).await.map_or_else(Failure::outcome, Outcome::Done) })
    }

    fn lock<'a>(
        &'a self,
        target: &'a str,
        holder: &'a Holder,
        take_over: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Box<dyn Held>>, NotTaken>> {
        Box::pin(async move {
            let Some((instance, site)) = self.lease(target) else {
                return Ok(None);
            };
            lock::take(&instance.link, site, holder, take_over).await.map(Some)
        })
    }

    fn preview<'a>(&'a self, call: &'a Call, _pass: &'a PreviewPass) -> BoxFuture<'a, Previewed> {
        Box::pin(async move {
            // A program has no rehearsal.
            if matches!(&*call.operation.path, "pods.exec" | "pods.run") {
                return Previewed::NoPreview;
            }
            let dry = Dry::default();
            match self.act(call, Some(&dry)).await {
                Ok(_) => Previewed::Shown {
                    how: "server-side dry run".to_owned(),
                    lines: dry.lines(),
                },
                Err(failure) => Previewed::Unknown(failure.unknown),
            }
        })
    }

    fn privileges(&self, uses: &[Use]) -> Option<Vec<Privilege>> {
        Some(self.least(uses))
    }

    fn grant_documents(&self, uses: &[Use]) -> Option<String> {
        Some(self.manifests(uses))
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        Box::pin(async move {
            let mut lines = Vec::new();
            for (name, instance) in &self.clusters {
                lines.push(doctor::cluster(name, &instance.link).await);
            }
            for (name, namespace) in &self.config.namespaces {
                if let Ok(instance) = self.cluster(&namespace.cluster) {
                    lines.push(doctor::namespace(name, &self.config, &instance.link).await);
                }
            }
            lines
        })
    }
}
