//! What came, what goes back, and which object a path is about.

use serde_json::{Value as Json, json};

/// What another server behind this one serves, where there is one.
pub const METRICS: &str = "metrics.k8s.io/v1beta1";

/// Kinds of objects by group and plural.
pub const KINDS: &[(&str, &str, &str)] = &[
    ("v1", "namespaces", "Namespace"),
    ("v1", "pods", "Pod"),
    ("v1", "nodes", "Node"),
    ("v1", "events", "Event"),
    ("v1", "services", "Service"),
    ("v1", "configmaps", "ConfigMap"),
    ("v1", "secrets", "Secret"),
    ("v1", "resourcequotas", "ResourceQuota"),
    ("v1", "serviceaccounts", "ServiceAccount"),
    ("apps/v1", "deployments", "Deployment"),
    ("apps/v1", "replicasets", "ReplicaSet"),
    ("apps/v1", "statefulsets", "StatefulSet"),
    ("apps/v1", "daemonsets", "DaemonSet"),
    ("apps/v1", "controllerrevisions", "ControllerRevision"),
    ("batch/v1", "jobs", "Job"),
    ("batch/v1", "cronjobs", "CronJob"),
    ("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    ("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget"),
    ("discovery.k8s.io/v1", "endpointslices", "EndpointSlice"),
    ("networking.k8s.io/v1", "ingresses", "Ingress"),
    ("coordination.k8s.io/v1", "leases", "Lease"),
    (METRICS, "pods", "PodMetrics"),
    (METRICS, "nodes", "NodeMetrics"),
];

/// Groups that the server knows, with or without kinds of ours.
pub const GROUPS: &[&str] = &[
    "authorization.k8s.io",
    "authentication.k8s.io",
    "rbac.authorization.k8s.io",
];

#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: Vec<(String, String)>,
    pub content_type: String,
    pub token: String,
    pub acting_as: Option<String>,
    /// The key of a request that wants a stream instead of an answer.
    pub upgrade: Option<String>,
    pub body: Json,
}

impl Request {
    /// A query string, decoded.
    pub fn query_of(text: &str) -> Vec<(String, String)> {
        text.split('&')
            .filter(|part| !part.is_empty())
            .map(|part| {
                let (name, value) = part.split_once('=').unwrap_or((part, ""));
                (decoded(name), decoded(value))
            })
            .collect()
    }

    /// Every value of a parameter that may be given more than once.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.query
            .iter()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    pub fn watches(&self) -> bool {
        self.method == "GET" && self.asks("watch") == Some("true")
    }

    pub fn dry(&self) -> bool {
        self.asks("dryRun") == Some("All")
    }

    pub fn asks(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

pub fn decoded(text: &str) -> String {
    let bytes = text.replace('+', " ").into_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match (bytes[at], hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).unwrap()
}

/// An answer; a text body is a JSON string here, no body is null.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub body: Json,
    pub retry_after: Option<u64>,
}

pub fn reply(status: u16, body: Json) -> Reply {
    Reply {
        status,
        body,
        retry_after: None,
    }
}

/// A path, taken apart.
#[derive(Clone, Debug)]
pub struct Target {
    pub api: String,
    pub group: String,
    pub namespace: Option<String>,
    pub resource: String,
    pub name: Option<String>,
    pub subresource: Option<String>,
}

impl Target {
    pub fn of(path: &str) -> Option<Self> {
        let mut parts = path.split('/').skip(1);
        let (api, group) = match parts.next()? {
            "api" => (parts.next()?.to_owned(), String::new()),
            "apis" => {
                let group = parts.next()?.to_owned();
                (format!("{group}/{}", parts.next()?), group)
            }
            _ => return None,
        };
        let mut rest: Vec<&str> = parts.collect();
        let namespace = (rest.first() == Some(&"namespaces") && rest.len() > 2).then(|| rest[1].to_owned());
        if namespace.is_some() {
            rest.drain(..2);
        }
        let mut rest = rest.into_iter().map(str::to_owned);
        Some(Self {
            api,
            group,
            namespace,
            resource: rest.next()?,
            name: rest.next(),
            subresource: rest.next(),
        })
    }

    pub fn qualified(&self) -> String {
        match self.group.as_str() {
            "" => self.resource.clone(),
            group => format!("{}.{group}", self.resource),
        }
    }

    pub fn kind(&self) -> Option<&'static str> {
        KINDS
            .iter()
            .find(|(api, resource, _)| *api == self.api && *resource == self.resource)
            .map(|(_, _, kind)| *kind)
    }

    pub fn details(&self) -> Json {
        let mut details = json!({"name": self.name});
        if !self.group.is_empty() {
            details["group"] = self.group.as_str().into();
        }
        details["kind"] = self.resource.as_str().into();
        details
    }
}

pub fn status(code: u16, reason: &str, message: String, details: Json) -> Reply {
    let mut body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    if !details.is_null() {
        body["details"] = details;
    }
    reply(code, body)
}

/// Whether the server knows the kind of objects that a path is about.
pub fn knows(path: &str) -> bool {
    Target::of(path).is_some_and(|target| target.kind().is_some())
}

/// Whether a path is about objects at all.
pub fn is_of_objects(path: &str) -> bool {
    Target::of(path).is_some()
}
