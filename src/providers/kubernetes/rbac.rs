//! The least rights that operations need, as rules of a cluster's own authorization, and as manifests that grant them.

use super::Kubernetes;
use super::config::{Impersonation, Role};
use super::lock::{OF_NAMESPACE, OF_NODES};
use super::workloads::Kind;
use crate::provider::Effect;
use crate::provider::native::{Privilege, Use};
use crate::value::{Type, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A verb on a kind of objects; of one name alone, where it is known and the server can tell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    role: Login,
    group: String,
    resource: String,
    verb: &'static str,
    name: Option<String>,
    /// False when what it is about is only known in the run.
    complete: bool,
}

/// The login, in the order in which it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Login {
    Read,
    Change,
}

impl Login {
    fn word(self) -> &'static str {
        match self {
            Login::Read => "read",
            Login::Change => "change",
        }
    }

    fn role(self) -> Role {
        match self {
            Login::Read => Role::Read,
            Login::Change => Role::Change,
        }
    }
}

/// Where rules hold: in a namespace, or in the whole cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Scope {
    /// The cluster's name in the configuration; empty when there is none.
    cluster: String,
    /// The namespace's name in the cluster; `None`: the whole cluster.
    namespace: Option<String>,
    /// What grants and configurations call it.
    target: String,
}

/// Everything that is needed, with the operations that need it.
type Needed = BTreeMap<(Scope, Right), BTreeSet<String>>;

/// The workloads that a program's records can be: of which kind, and which one if that is known.
struct Workloads(Vec<(Kind, Option<String>)>);

impl Workloads {
    fn of(uses: &[&Use]) -> Self {
        let mut found = BTreeSet::new();
        for used in uses {
            let path = &*used.operation.path;
            if path != "workloads.get" && path != "workloads.list" {
                continue;
            }
            let name = used
                .arg("name")
                .and_then(Value::as_str)
                .filter(|_| path == "workloads.get");
            let kinds = match used.arg("kind").and_then(Value::as_str).and_then(Kind::of) {
                Some(kind) => vec![kind],
                None => KINDS.to_vec(),
            };
            for kind in kinds {
                found.insert((kind.word(), name.map(str::to_owned)));
            }
        }
        if found.is_empty() {
            return Self(KINDS.iter().map(|kind| (*kind, None)).collect());
        }
        // Whoever may do it to all of a kind needs no rule for one of them.
        let whole: BTreeSet<&str> = found
            .iter()
            .filter(|(_, name)| name.is_none())
            .map(|(kind, _)| *kind)
            .collect();
        Self(
            found
                .iter()
                .filter(|(kind, name)| name.is_none() || !whole.contains(kind))
                .filter_map(|(kind, name)| Some((Kind::of(kind)?, name.clone())))
                .collect(),
        )
    }
}

const KINDS: [Kind; 3] = [Kind::Deployment, Kind::StatefulSet, Kind::DaemonSet];

/// Collects the rights of one operation.
struct Rights<'a> {
    used: &'a Use,
    workloads: &'a Workloads,
    found: Vec<Right>,
}

impl Rights<'_> {
    fn add(&mut self, role: Login, group: &str, resource: &str, verbs: &[&'static str], name: Option<&str>) {
        for verb in verbs {
            // What is made has no name yet, as far as the server's rules go.
            let name = name.filter(|_| *verb != "create" || resource.contains('/'));
            self.found.push(Right {
                role,
                group: group.to_owned(),
                resource: resource.to_owned(),
                verb,
                name: name.map(str::to_owned),
                complete: true,
            });
        }
    }

    fn read(&mut self, group: &str, resource: &str, verbs: &[&'static str]) {
        self.add(Login::Read, group, resource, verbs, None);
    }

    fn change(&mut self, group: &str, resource: &str, verbs: &[&'static str]) {
        self.add(Login::Change, group, resource, verbs, None);
    }

    /// An argument that names an object, when it is known.
    fn named(&mut self, role: Login, group: &str, resource: &str, verbs: &[&'static str], argument: &str) {
        let used = self.used;
        let name = used.arg(argument).and_then(Value::as_str);
        self.add(role, group, resource, verbs, name);
    }

    /// The workload that a record is. `part`: what belongs to it, as in `/scale`.
    fn workload(&mut self, role: Login, verbs: &[&'static str], part: &str, kinds: &[Kind]) {
        let workloads = self.workloads;
        for (kind, name) in workloads.0.iter().filter(|(kind, _)| kinds.contains(kind)) {
            self.add(
                role,
                "apps",
                &format!("{}{part}", kind.resource()),
                verbs,
                name.as_deref(),
            );
        }
    }

    /// Objects of a kind that the call names.
    fn object(&mut self, role: Login, verbs: &[&'static str], named: bool) {
        let used = self.used;
        let text = |argument: &str| used.arg(argument).and_then(Value::as_str);
        let name = text("name").filter(|_| named);
        match (text("api"), text("resource")) {
            (Some(api), Some(resource)) => {
                let group = api.split_once('/').map_or("", |(group, _)| group);
                self.add(role, group, resource, verbs, name);
            }
            _ => {
                let before = self.found.len();
                self.add(role, "GROUP", "RESOURCE", verbs, name);
                for right in &mut self.found[before..] {
                    right.complete = false;
                }
            }
        }
    }

    fn collect(&mut self) {
        use Login::{Change, Read};
        const SCALED: &[Kind] = &[Kind::Deployment, Kind::StatefulSet];
        const ROLLED: &[Kind] = &[Kind::Deployment];
        match &*self.used.operation.path {
            "workloads.get" => {
                let used = self.used;
                let kind = used.arg("kind").and_then(Value::as_str).and_then(Kind::of);
                let kinds = kind.map_or_else(|| KINDS.to_vec(), |kind| vec![kind]);
                for kind in kinds {
                    self.named(Read, "apps", kind.resource(), &["get"], "name");
                }
            }
            "workloads.list" => {
                let kind = self.used.arg("kind").and_then(Value::as_str).and_then(Kind::of);
                let kinds = kind.map_or_else(|| KINDS.to_vec(), |kind| vec![kind]);
                for kind in kinds {
                    self.read("apps", kind.resource(), &["list"]);
                }
            }
            "rollout.history" | "rollout.current" | "rollout.previous" => {
                self.workload(Read, &["get"], "", ROLLED);
                self.read("apps", "replicasets", &["list"]);
            }
            "rollout.wait" => self.workload(Read, &["list", "watch"], "", &KINDS),
            "rollout.undo" => {
                self.workload(Read, &["get"], "", ROLLED);
                self.read("apps", "replicasets", &["get"]);
                self.workload(Change, &["patch"], "", ROLLED);
            }
            "rollout.pause" | "rollout.resume" | "rollout.set_paused" => {
                self.workload(Read, &["get"], "", ROLLED);
                self.workload(Change, &["patch"], "", ROLLED);
            }
            "rollout.restart" | "images.set" | "resources.set_cpu" | "resources.set_memory" | "environment.set" => {
                self.workload(Read, &["get"], "", &KINDS);
                self.workload(Change, &["patch"], "", &KINDS);
            }
            "images.get" | "resources.cpu" | "resources.memory" | "environment.get" => {
                self.workload(Read, &["get"], "", &KINDS);
            }
            "scale.get" => self.workload(Read, &["get"], "/scale", SCALED),
            "scale.set" => {
                self.workload(Read, &["get"], "/scale", SCALED);
                self.workload(Change, &["update"], "/scale", SCALED);
            }
            "pods.list" | "pods.of" => self.read("", "pods", &["list"]),
            "pods.remaining" => self.read("", "pods", &["get"]),
            "pods.wait_gone" => self.read("", "pods", &["list", "watch"]),
            "pods.evict" => {
                self.read("", "pods", &["get"]);
                self.change("", "pods/eviction", &["create"]);
            }
            "pods.delete" => self.change("", "pods", &["delete"]),
            "pods.exec" | "pods.ask" | "pods.run" => {
                self.read("", "pods", &["get"]);
                let role = if self.used.operation.effect == Effect::Change {
                    Change
                } else {
                    Read
                };
                // Older servers ask for the first where the connection is made, newer ones for both.
                self.add(role, "", "pods/exec", &["get", "create"], None);
            }
            "events.list" => self.read("", "events", &["list"]),
            "logs.tail" | "logs.count" => {
                match (self.used.arg("pod"), self.used.arg("selector")) {
                    (Some(Value::None), _) => self.read("", "pods", &["list"]),
                    (_, Some(Value::None)) => self.named(Read, "", "pods", &["get"], "pod"),
                    _ => self.read("", "pods", &["get", "list"]),
                }
                self.named(Read, "", "pods/log", &["get"], "pod");
            }
            "nodes.list" => self.read("", "nodes", &["list"]),
            "nodes.get" => self.named(Read, "", "nodes", &["get"], "name"),
            "nodes.allocation" => {
                self.read("", "nodes", &["list"]);
                self.read("", "pods", &["list"]);
            }
            "nodes.cordon" | "nodes.uncordon" | "nodes.set_schedulable" => {
                self.read("", "nodes", &["get"]);
                self.change("", "nodes", &["patch"]);
            }
            "nodes.drain" => {
                self.read("", "nodes", &["get"]);
                self.read("", "pods", &["get", "list", "watch"]);
                self.change("", "nodes", &["patch"]);
                self.change("", "pods/eviction", &["create"]);
            }
            "services.list" => {
                self.read("", "services", &["list"]);
                self.read("discovery.k8s.io", "endpointslices", &["list"]);
            }
            "services.endpoints" => {
                self.named(Read, "", "services", &["get"], "service");
                self.read("discovery.k8s.io", "endpointslices", &["list"]);
            }
            "config_maps.list" => self.read("", "configmaps", &["list"]),
            "config_maps.get" | "config_maps.entry" => self.named(Read, "", "configmaps", &["get"], "name"),
            "config_maps.set" => self.named(Change, "", "configmaps", &["patch"], "name"),
            "secrets.list" => self.read("", "secrets", &["list"]),
            "secrets.get" => self.named(Read, "", "secrets", &["get"], "name"),
            "secrets.set" => self.named(Change, "", "secrets", &["patch"], "name"),
            "secrets.create" => {
                self.named(Read, "", "secrets", &["get"], "name");
                self.change("", "secrets", &["create"]);
            }
            "secrets.delete" => self.change("", "secrets", &["delete"]),
            "autoscalers.list" => self.read("autoscaling", "horizontalpodautoscalers", &["list"]),
            "quotas.list" => self.read("", "resourcequotas", &["list"]),
            "disruption_budgets.list" => self.read("policy", "poddisruptionbudgets", &["list"]),
            "jobs.list" => self.read("batch", "jobs", &["list"]),
            "jobs.wait" => self.read("batch", "jobs", &["list", "watch"]),
            "jobs.run_now" => {
                self.named(Read, "batch", "cronjobs", &["get"], "cron_job");
                self.read("batch", "jobs", &["get"]);
                self.change("batch", "jobs", &["create"]);
            }
            "top.pods" => self.read("metrics.k8s.io", "pods", &["list"]),
            "top.nodes" => {
                self.read("metrics.k8s.io", "nodes", &["list"]);
                self.read("", "nodes", &["list"]);
            }
            "objects.get" => self.object(Read, &["get"], true),
            "objects.list" => self.object(Read, &["list"], false),
            "objects.wait_gone" => self.object(Read, &["list", "watch"], true),
            "objects.patch" => self.object(Change, &["patch"], true),
            "objects.apply" => self.object(Change, &["create", "patch"], true),
            "objects.delete" => self.object(Change, &["delete"], true),
            // The version, and what a login may do, are open to everybody who may log in.
            _ => {}
        }
    }
}

/// Whether an operation is about a whole cluster.
fn of_cluster(used: &Use) -> bool {
    used.operation.params.iter().any(|param| match &param.ty {
        Type::Resource(kind) => &*kind.name == "Cluster",
        Type::Record(record) => &*record.name == "Node",
        _ => false,
    })
}

impl Kubernetes {
    /// Where a call goes; every place that the program names when this is only known in the run.
    fn scopes(&self, used: &Use, all: &[&Use]) -> Vec<Scope> {
        let argument = if of_cluster(used) { "cluster" } else { "namespace" };
        let named = |used: &Use| used.arg(argument).and_then(Value::as_str).map(str::to_owned);
        let names: BTreeSet<String> = match named(used) {
            Some(name) => BTreeSet::from([name]),
            None => all.iter().filter_map(|used| named(used)).collect(),
        };
        names
            .into_iter()
            .map(|target| {
                if argument == "cluster" {
                    return Scope {
                        cluster: target.clone(),
                        namespace: None,
                        target,
                    };
                }
                let known = self.config.namespaces.get(&target);
                Scope {
                    cluster: known.map(|known| known.cluster.clone()).unwrap_or_default(),
                    namespace: Some(
                        known
                            .and_then(|known| known.namespace.clone())
                            .unwrap_or_else(|| target.clone()),
                    ),
                    target,
                }
            })
            .collect()
    }

    fn needed(&self, uses: &[Use]) -> Needed {
        let ours: Vec<&Use> = uses
            .iter()
            .filter(|used| &*used.operation.provider == "kubernetes")
            .collect();
        let workloads = Workloads::of(&ours);
        let mut needed = Needed::new();
        for used in &ours {
            let mut rights = Rights {
                used,
                workloads: &workloads,
                found: Vec::new(),
            };
            rights.collect();
            for scope in self.scopes(used, &ours) {
                let mut add = |scope: &Scope, right: &Right| {
                    needed
                        .entry((scope.clone(), right.clone()))
                        .or_default()
                        .insert(used.operation.full_name());
                };
                for right in &rights.found {
                    add(&scope, right);
                }
                if used.operation.effect == Effect::Change {
                    self.lock_rights(&scope, &mut add);
                }
            }
        }
        needed
    }

    /// What taking and keeping the lock needs.
    fn lock_rights(&self, scope: &Scope, add: &mut impl FnMut(&Scope, &Right)) {
        let cluster = self.config.clusters.get(&scope.cluster);
        if cluster.is_some_and(|cluster| !cluster.lock) {
            return;
        }
        let (namespace, name) = match &scope.namespace {
            Some(namespace) => (namespace.clone(), OF_NAMESPACE),
            None => (
                cluster.map_or_else(|| "default".to_owned(), |cluster| cluster.lock_namespace.clone()),
                OF_NODES,
            ),
        };
        let scope = Scope {
            namespace: Some(namespace),
            ..scope.clone()
        };
        for verb in ["create", "get", "update"] {
            let right = Right {
                role: Login::Change,
                group: "coordination.k8s.io".to_owned(),
                resource: "leases".to_owned(),
                verb,
                name: (verb != "create").then(|| name.to_owned()),
                complete: true,
            };
            add(&scope, &right);
        }
    }

    /// The least a login needs for these operations: one rule each.
    pub(super) fn least(&self, uses: &[Use]) -> Vec<Privilege> {
        let mut privileges = Vec::new();
        for (scope, login, rules) in grouped(self.needed(uses)) {
            for (rule, (complete, because)) in rules {
                privileges.push(Privilege {
                    target: scope.target.clone(),
                    login: login.word().to_owned(),
                    statement: match &scope.namespace {
                        Some(namespace) => format!("namespace {namespace}: {}", rule.written()),
                        None => format!("whole cluster: {}", rule.written()),
                    },
                    complete,
                    because: because.into_iter().collect(),
                });
            }
        }
        privileges
    }

    /// Roles and their bindings, one document each, as the cluster's own tools take them.
    pub(super) fn manifests(&self, uses: &[Use]) -> String {
        let mut documents: Vec<String> = Vec::new();
        let mut acting: BTreeSet<String> = BTreeSet::new();
        for (scope, login, rules) in grouped(self.needed(uses)) {
            acting.insert(scope.cluster.clone());
            let name = format!("starr-{}", login.word());
            let (kind, metadata) = match &scope.namespace {
                Some(namespace) => (
                    "",
                    format!("{{ name: {}, namespace: {} }}", quoted(&name), quoted(namespace)),
                ),
                None => ("Cluster", format!("{{ name: {} }}", quoted(&name))),
            };
            let mut role = format!(
                "# {}: the login for {}\napiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}Role\nmetadata: {metadata}\nrules:\n",
                self.place_of(&scope),
                if login == Login::Read { "checks" } else { "changes" },
            );
            for (rule, (complete, because)) in &rules {
                let mark = if *complete { "" } else { "; put the right names in" };
                let because: Vec<&str> = because.iter().map(String::as_str).collect();
                role.push_str(&format!("- {}  # {}{mark}\n", rule.written(), because.join(", ")));
            }
            documents.push(role);
            documents.push(format!(
                "apiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}RoleBinding\nmetadata: {metadata}\n\
                 roleRef: {{ apiGroup: rbac.authorization.k8s.io, kind: {kind}Role, name: {} }}\nsubjects:\n{}",
                quoted(&name),
                self.subject(&scope.cluster, login)
            ));
        }
        for cluster in acting {
            documents.extend(self.impersonation(&cluster));
        }
        documents.join("---\n")
    }

    fn place_of(&self, scope: &Scope) -> String {
        let cluster = if scope.cluster.is_empty() {
            "a cluster"
        } else {
            &scope.cluster
        };
        match &scope.namespace {
            Some(namespace) => format!("namespace {} of {}", quoted(namespace), quoted(cluster)),
            None => format!("the whole of {}", quoted(cluster)),
        }
    }

    /// Whom starr acts as in a cluster for checks or changes.
    fn acts_as(&self, cluster: &str, login: Login) -> Option<&Impersonation> {
        self.config.clusters.get(cluster)?.acting_as(login.role())
    }

    fn subject(&self, cluster: &str, login: Login) -> String {
        match self.acts_as(cluster, login) {
            Some(acting) => format!(
                "- {{ apiGroup: rbac.authorization.k8s.io, kind: User, name: {} }}\n",
                quoted(&acting.user)
            ),
            None => "- { apiGroup: rbac.authorization.k8s.io, kind: User, name: LOGIN }  # put the login's name in\n"
                .to_owned(),
        }
    }

    /// The right to act as others, for the login of the configuration.
    fn impersonation(&self, cluster: &str) -> Vec<String> {
        let acting: Vec<&Impersonation> = [Login::Read, Login::Change]
            .into_iter()
            .filter_map(|login| self.acts_as(cluster, login))
            .collect();
        if acting.is_empty() {
            return Vec::new();
        }
        let users: BTreeSet<&str> = acting.iter().map(|acting| acting.user.as_str()).collect();
        let groups: BTreeSet<&str> = acting
            .iter()
            .flat_map(|acting| acting.groups.iter().map(String::as_str))
            .collect();
        let mut role =
            "# the login itself: it acts as the others\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\n\
                        metadata: { name: starr-acts-as }\nrules:\n"
                .to_owned();
        for (resource, names) in [("users", users), ("groups", groups)] {
            if !names.is_empty() {
                role.push_str(&format!(
                    "- {{ apiGroups: [\"\"], resources: [{resource}], resourceNames: {}, verbs: [impersonate] }}\n",
                    list(names)
                ));
            }
        }
        let binding = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: { name: starr-acts-as }\n\
                       roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: starr-acts-as }\nsubjects:\n\
                       - { apiGroup: rbac.authorization.k8s.io, kind: User, name: LOGIN }  # put the login's name in\n"
            .to_owned();
        vec![role, binding]
    }
}

/// A rule of a role: kinds of one group, of some names alone or all, and what may be done with them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rule {
    group: String,
    resource: String,
    names: BTreeSet<String>,
    verbs: BTreeSet<&'static str>,
}

impl Rule {
    fn written(&self) -> String {
        let names = if self.names.is_empty() {
            String::new()
        } else {
            format!("resourceNames: {}, ", list(&self.names))
        };
        format!(
            "{{ apiGroups: [{}], resources: [{}], {names}verbs: {} }}",
            quoted(&self.group),
            quoted(&self.resource),
            list(&self.verbs)
        )
    }
}

/// Whether everything in a rule is known, and the operations that need it.
type Why = (bool, BTreeSet<String>);

type Verbs = BTreeSet<&'static str>;

/// Group, resource, and the one name if only one is meant.
type About = (String, String, Option<String>);

/// What one login may do, by what it is about.
type ByAbout = BTreeMap<About, (Verbs, Why)>;

/// Group, resource, whether names are given, and verbs: rules that are alike in these are one.
type Alike = (String, String, bool, Verbs);

/// The rules of each login in each place: verbs together that are about the same, names together that have the same verbs.
fn grouped(needed: Needed) -> Vec<(Scope, Login, BTreeMap<Rule, Why>)> {
    let mut places: BTreeMap<(Scope, Login), ByAbout> = BTreeMap::new();
    for ((scope, right), because) in needed {
        let about = (right.group, right.resource, right.name);
        let entry = places
            .entry((scope, right.role))
            .or_default()
            .entry(about)
            .or_insert_with(|| (BTreeSet::new(), (true, BTreeSet::new())));
        entry.0.insert(right.verb);
        entry.1.0 &= right.complete;
        entry.1.1.extend(because);
    }
    places
        .into_iter()
        .map(|((scope, login), about)| {
            // A verb on all of a kind needs no rule for one of them.
            let whole: BTreeMap<(String, String), Verbs> = about
                .iter()
                .filter(|((_, _, name), _)| name.is_none())
                .map(|((group, resource, _), (verbs, _))| ((group.clone(), resource.clone()), verbs.clone()))
                .collect();
            let mut together: BTreeMap<Alike, (BTreeSet<String>, Why)> = BTreeMap::new();
            for ((group, resource, name), (mut verbs, (complete, because))) in about {
                if name.is_some()
                    && let Some(all) = whole.get(&(group.clone(), resource.clone()))
                {
                    verbs.retain(|verb| !all.contains(verb));
                }
                if verbs.is_empty() {
                    continue;
                }
                let entry = together
                    .entry((group, resource, name.is_some(), verbs))
                    .or_insert_with(|| (BTreeSet::new(), (true, BTreeSet::new())));
                entry.0.extend(name);
                entry.1.0 &= complete;
                entry.1.1.extend(because);
            }
            let rules = together
                .into_iter()
                .map(|((group, resource, _, verbs), (names, why))| {
                    (
                        Rule {
                            group,
                            resource,
                            names,
                            verbs,
                        },
                        why,
                    )
                })
                .collect();
            (scope, login, rules)
        })
        .collect()
}

fn list<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = texts.into_iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", texts.join(", "))
}

/// A text as YAML takes it: bare where that is the same.
fn quoted(text: &str) -> String {
    let plain = text.bytes().next().is_some_and(|first| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'/'))
        && !matches!(
            text,
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if plain {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}
