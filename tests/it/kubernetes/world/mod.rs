//! What the API server of the tests knows, and how it answers: objects by their path, versions, selectors, pages, patches, refusals
//! in the forms of the real one, and a controller that rolls deployments.

use super::patches;
use request::{GROUPS, KINDS, METRICS, Target, reply, status};
pub use request::{Reply, Request, is_of_objects, knows};
use selectors::{fielded, labelled, supported};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;

mod applying;
mod controller;
mod request;
mod rights;
mod selectors;
mod watching;

pub use rights::Rule;
pub use watching::{Event, Watching};

/// Who may not do what: `viewer` may not `list` `nodes`.
#[derive(Clone, Debug)]
pub struct Ban {
    pub user: &'static str,
    pub verb: &'static str,
    pub resource: &'static str,
}

#[derive(Default)]
pub struct World {
    /// By path.
    pub objects: BTreeMap<String, Json>,
    /// Texts by the path of the pod and the container; `None`: it has not begun.
    pub logs: BTreeMap<(String, String), Option<String>>,
    pub bans: Vec<Ban>,
    /// Users by token; without any, everybody is `admin`.
    pub tokens: BTreeMap<String, &'static str>,
    /// How often the server has no room before it has.
    pub busy: u32,
    /// Budgets: how many pods may still be evicted.
    pub evictions: Option<u32>,
    /// Continue tokens of lists are too old this often.
    pub expired: u32,
    /// Every request that came, `PATCH /apis/…`.
    pub seen: Vec<String>,
    pub bodies: Vec<Json>,
    pub acted: Vec<String>,
    /// The requests themselves.
    pub requests: Vec<Request>,
    /// Another writer is faster this often.
    pub races: u32,
    version: u64,
    /// Roll deployments.
    pub controller: bool,
    /// The server's clock runs ahead of that of this machine by so many seconds.
    pub clock_ahead: i64,
    /// Rules of users. With any, what no rule allows is refused.
    pub rules: Option<BTreeMap<String, Vec<Rule>>>,
    /// What was refused for want of a rule.
    pub denied: Vec<String>,
    /// What happened, for those who watch.
    pub events: Vec<Event>,
    /// What those who watch have been told.
    told: BTreeMap<String, Json>,
    /// So many of the next watches begin from a version that is gone.
    pub too_old: u32,
    /// So many of the next watches break at once.
    pub breaks: u32,
    /// What the next watches are told, one each, before they end.
    pub canned: Vec<Vec<Json>>,
    /// Watches begin with a bookmark.
    pub bookmarks: bool,
    /// Pods that are told to go stay until they are taken away.
    pub linger: bool,
    /// Something in the way of changes cannot be asked without changing.
    pub no_dry_run: bool,
    /// Who set which fields, by the path of the object, of those who apply.
    pub managers: BTreeMap<String, applying::Managers>,
    /// There is a server for metrics behind this one.
    pub metrics: bool,
    /// Programs in containers, by their words: what they say, what they say about errors, their exit code (none: never).
    pub programs: BTreeMap<String, (String, String, Option<i32>)>,
}

impl World {
    pub fn new() -> Self {
        Self {
            version: 100,
            controller: true,
            ..Self::default()
        }
    }

    fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    /// Puts an object there, as somebody would create it.
    pub fn put(&mut self, path: &str, mut object: Json) {
        let target = Target::of(path).unwrap();
        let metadata = &mut object["metadata"];
        if metadata["uid"].is_null() {
            let uid = format!("00000000-0000-4000-8000-{:012}", self.version + 1);
            metadata["uid"] = uid.into();
        }
        if metadata["creationTimestamp"].is_null() {
            metadata["creationTimestamp"] = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into();
        }
        if metadata["name"].is_null() {
            metadata["name"] = target.name.clone().into();
        }
        if object.get("spec").is_some() && object["metadata"]["generation"].is_null() {
            object["metadata"]["generation"] = 1.into();
        }
        let version = self.next_version();
        object["metadata"]["resourceVersion"] = version.into();
        self.objects.insert(path.to_owned(), object);
    }

    /// Puts an object there exactly as it is.
    pub fn seed(&mut self, path: &str, object: Json) {
        self.objects.insert(path.to_owned(), object);
    }

    pub fn object(&self, path: &str) -> &Json {
        self.objects.get(path).unwrap_or_else(|| panic!("nothing at {path}"))
    }

    pub fn changes(&self) -> Vec<String> {
        self.seen
            .iter()
            .filter(|line| !line.starts_with("GET ") && !line.starts_with("WATCH ") && !line.contains("reviews"))
            .filter(|line| !line.contains("/leases"))
            .cloned()
            .collect()
    }

    pub fn answer(&mut self, request: &Request) -> Reply {
        let method = if request.watches() { "WATCH" } else { &request.method };
        self.seen.push(format!("{method} {}", request.path));
        self.bodies.push(request.body.clone());
        self.acted.push(request.acting_as.clone().unwrap_or_default());
        self.requests.push(request.clone());
        let login = if self.tokens.is_empty() {
            "admin"
        } else {
            match self.tokens.get(&request.token) {
                Some(user) => *user,
                None => return status(401, "Unauthorized", "Unauthorized".to_owned(), Json::Null),
            }
        };
        // Only the administrator may act as somebody else.
        let user = match &request.acting_as {
            Some(other) if login == "admin" => other.as_str(),
            _ => login,
        };
        if self.busy > 0 {
            self.busy -= 1;
            return Reply {
                retry_after: Some(0),
                ..reply(429, "Too many requests, please try again later.\n".into())
            };
        }
        if request.path == "/version" {
            return reply(200, json!({"gitVersion": "v1.36.2", "platform": "linux/amd64"}));
        }
        let Some(target) = Target::of(&request.path) else {
            return reply(404, "404 page not found\n".into());
        };
        if let Some(refused) = self.refused(request, &target, user) {
            return refused;
        }
        match target.resource.as_str() {
            "selfsubjectaccessreviews" => return self.review(request, user),
            "selfsubjectreviews" => {
                return reply(
                    201,
                    json!({"kind": "SelfSubjectReview", "status": {"userInfo": {"username": user}}}),
                );
            }
            _ => {}
        }
        let served = |api: &str| api != METRICS || self.metrics;
        let known = KINDS
            .iter()
            .any(|(api, ..)| served(api) && api.split('/').next() == Some(target.group.as_str()))
            || target.group.is_empty()
            || GROUPS.contains(&target.group.as_str());
        let Some(kind) = target.kind().filter(|_| served(&target.api)) else {
            return if known {
                status(
                    404,
                    "NotFound",
                    "the server could not find the requested resource".to_owned(),
                    json!({}),
                )
            } else {
                reply(404, "404 page not found\n".into())
            };
        };
        if self.controller {
            self.roll();
        }
        if request.dry() && self.no_dry_run {
            let message = "admission webhook \"audit.example.org\" does not support dry run";
            return status(400, "BadRequest", message.to_owned(), Json::Null);
        }
        match (request.method.as_str(), &target.name) {
            ("GET", None) => self.list(request, kind, &target),
            ("GET", Some(_)) => self.get(request, &target),
            ("POST", None) => self.create(request, &target),
            ("POST", Some(_)) if target.subresource.as_deref() == Some("eviction") => self.evict(request, &target),
            ("PUT", Some(_)) => self.replace(request, &target),
            ("PATCH", Some(_)) => self.patch(request, &target),
            ("DELETE", Some(_)) => self.delete(request, &target),
            _ => status(
                405,
                "MethodNotAllowed",
                "the server does not allow this method on the requested resource".to_owned(),
                json!({}),
            ),
        }
    }

    fn missing(target: &Target) -> Reply {
        let message = format!(
            "{} \"{}\" not found",
            target.qualified(),
            target.name.as_deref().unwrap_or_default()
        );
        status(404, "NotFound", message, target.details())
    }

    fn path(request: &Request, target: &Target) -> String {
        match &target.subresource {
            Some(subresource) => request.path.trim_end_matches(&format!("/{subresource}")).to_owned(),
            None => request.path.clone(),
        }
    }

    fn get(&self, request: &Request, target: &Target) -> Reply {
        let path = Self::path(request, target);
        let subresource = target.subresource.as_deref();
        let scalable = matches!(target.resource.as_str(), "deployments" | "statefulsets" | "replicasets");
        let known = match subresource {
            None | Some("status") => true,
            Some("scale") => scalable,
            Some("log") => target.resource == "pods",
            Some("exec") => target.resource == "pods" && request.upgrade.is_some(),
            Some(_) => false,
        };
        if !known {
            return status(
                404,
                "NotFound",
                "the server could not find the requested resource".to_owned(),
                json!({}),
            );
        }
        let Some(object) = self.objects.get(&path) else {
            return Self::missing(target);
        };
        match subresource {
            Some("scale") => reply(200, scale(object)),
            Some("log") => self.log(request, &path, object),
            _ => reply(200, object.clone()),
        }
    }

    fn log(&self, request: &Request, path: &str, pod: &Json) -> Reply {
        let containers: Vec<&str> = pod["spec"]["containers"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|container| container["name"].as_str())
            .collect();
        let bad = |message: String| status(400, "BadRequest", message, Json::Null);
        let name = pod["metadata"]["name"].as_str().unwrap_or_default();
        let container = match request.asks("container") {
            Some(container) if !containers.contains(&container) => {
                return bad(format!("container {container} is not valid for pod {name}"));
            }
            Some(container) => container,
            None if containers.len() > 1 => {
                return bad(format!("a container name must be specified for pod {name}"));
            }
            None => containers.first().copied().unwrap_or_default(),
        };
        if pod["spec"]["nodeName"].is_null() {
            return reply(204, Json::Null);
        }
        let mut key = container.to_owned();
        if request.asks("previous") == Some("true") {
            key.push_str("/previous");
        }
        match self.logs.get(&(path.to_owned(), key)) {
            Some(Some(text)) => {
                let lines: Vec<&str> = text.lines().collect();
                let tail = request.asks("tailLines").and_then(|text| text.parse().ok());
                let from = lines.len().saturating_sub(tail.unwrap_or(lines.len()));
                let mut text: String = lines[from..].iter().map(|line| format!("{line}\n")).collect();
                if let Some(limit) = request.asks("limitBytes").and_then(|text| text.parse().ok()) {
                    text.truncate(limit);
                }
                reply(200, text.into())
            }
            Some(None) => bad(format!(
                "container \"{container}\" in pod \"{name}\" is waiting to start"
            )),
            None => bad(format!(
                "previous terminated container \"{container}\" in pod \"{name}\" not found"
            )),
        }
    }

    fn list(&mut self, request: &Request, kind: &str, target: &Target) -> Reply {
        let bad = |message: &str| status(400, "BadRequest", message.to_owned(), Json::Null);
        for (name, limit) in [("limit", true), ("resourceVersion", false)] {
            if request.asks(name).is_some_and(|text| text.parse::<u64>().is_err()) {
                return bad(if limit {
                    "limit is no number"
                } else {
                    "invalid resource version"
                });
            }
        }
        let under = format!("{}/", request.path);
        let inside = |path: &str| match &target.namespace {
            Some(_) => path.strip_prefix(&under).is_some_and(|rest| !rest.contains('/')),
            // Of the whole cluster: also what lives in namespaces.
            None => Target::of(path).is_some_and(|of| of.api == target.api && of.resource == target.resource),
        };
        let (labels, fields) = (request.asks("labelSelector"), request.asks("fieldSelector"));
        let broken = |labels: &str| {
            let value = labels
                .split_once('=')
                .map(|(_, value)| value.trim())
                .unwrap_or_default();
            labels.matches('(').count() != labels.matches(')').count()
                || (!labels.contains('(') && !labels.contains(',') && value.contains(' '))
        };
        if labels.is_some_and(broken) {
            return bad("unable to parse requirement");
        }
        if let Some(fields) = fields {
            for part in fields.split(',') {
                let Some((field, _)) = part.split_once('=') else {
                    return bad("invalid selector");
                };
                if !supported(field.trim_end_matches('!')) {
                    return bad(&format!("field label not supported: {field}"));
                }
            }
        }
        let found: Vec<Json> = self
            .objects
            .iter()
            .filter(|(path, _)| inside(path))
            .map(|(_, object)| object)
            .filter(|object| labels.is_none_or(|labels| labelled(object, labels)))
            .filter(|object| fields.is_none_or(|fields| fielded(object, fields)))
            .cloned()
            .collect();
        let start = match request.asks("continue") {
            None => 0,
            Some(_) if self.expired > 0 => {
                self.expired -= 1;
                let message = "The provided continue parameter is too old to display a consistent list result.";
                let mut gone = status(410, "Expired", message.to_owned(), Json::Null);
                gone.body["metadata"]["continue"] = "0".into();
                return gone;
            }
            Some(token) => match token.parse::<usize>() {
                Ok(start) => start,
                Err(_) => return bad("invalid continue token: continue key is not valid"),
            },
        };
        let limit = request
            .asks("limit")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0_usize);
        let end = if limit == 0 {
            found.len()
        } else {
            (start + limit).min(found.len())
        };
        let mut metadata = json!({"resourceVersion": self.version.to_string()});
        if end < found.len() {
            metadata["continue"] = end.to_string().into();
            // With a selector the server does not know how many are left.
            if labels.is_none() && fields.is_none() {
                metadata["remainingItemCount"] = (found.len() - end).into();
            }
        }
        let items: Vec<Json> = found[start.min(end)..end]
            .iter()
            .map(|object| {
                let mut item = object.clone();
                let fields = item.as_object_mut().unwrap();
                fields.remove("kind");
                fields.remove("apiVersion");
                item
            })
            .collect();
        reply(
            200,
            json!({"kind": format!("{kind}List"), "apiVersion": target.api, "metadata": metadata, "items": items}),
        )
    }

    fn create(&mut self, request: &Request, target: &Target) -> Reply {
        let Some(name) = request.body["metadata"]["name"].as_str() else {
            return status(
                422,
                "Invalid",
                "name or generateName is required".to_owned(),
                Json::Null,
            );
        };
        let target = Target {
            name: Some(name.to_owned()),
            ..target.clone()
        };
        let path = format!("{}/{name}", request.path);
        if self.objects.contains_key(&path) {
            let message = format!("{} \"{name}\" already exists", target.qualified());
            return status(409, "AlreadyExists", message, target.details());
        }
        self.put(&path, request.body.clone());
        let made = self.object(&path).clone();
        if request.dry() {
            self.objects.remove(&path);
        }
        reply(201, made)
    }

    fn conflict(target: &Target) -> Reply {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{}\": the object has been modified; please apply your changes to the latest version and try again",
            target.qualified(),
            target.name.as_deref().unwrap_or_default()
        );
        status(409, "Conflict", message, target.details())
    }

    /// Stores what a change made, unless it was made from something old.
    fn store(&mut self, path: &str, target: &Target, dry: bool, mut made: Json) -> Reply {
        let before = self.objects[path].clone();
        if self.races > 0 {
            self.races -= 1;
            let version = self.next_version();
            self.objects.get_mut(path).unwrap()["metadata"]["resourceVersion"] = version.into();
            return Self::conflict(target);
        }
        for field in ["resourceVersion", "uid"] {
            let (now, then) = (&before["metadata"][field], &made["metadata"][field]);
            if !then.is_null() && !now.is_null() && now != then {
                return Self::conflict(target);
            }
        }
        if made["spec"]["replicas"].as_i64().is_some_and(|replicas| replicas < 0) {
            return status(
                422,
                "Invalid",
                "must be greater than or equal to 0".to_owned(),
                target.details(),
            );
        }
        // A container without an image is refused: that is what a merge patch of a list ends in.
        let containers = made.pointer("/spec/template/spec/containers").and_then(Json::as_array);
        if containers.is_some_and(|all| all.iter().any(|container| container["image"].is_null())) {
            return status(422, "Invalid", "image: Required value".to_owned(), target.details());
        }
        // What is off is left out.
        if made.pointer("/spec/paused") == Some(&json!(false)) {
            made["spec"].as_object_mut().unwrap().remove("paused");
        }
        // A deployment's annotations count as well.
        let annotated =
            target.resource == "deployments" && made["metadata"]["annotations"] != before["metadata"]["annotations"];
        if (made["spec"] != before["spec"] || annotated) && before["metadata"]["generation"].is_i64() {
            let generation = before["metadata"]["generation"].as_i64().unwrap();
            made["metadata"]["generation"] = (generation + 1).into();
        }
        if made != before && !dry {
            let version = self.next_version();
            made["metadata"]["resourceVersion"] = version.into();
        }
        if !dry {
            self.objects.insert(path.to_owned(), made.clone());
        }
        reply(200, made)
    }

    fn replace(&mut self, request: &Request, target: &Target) -> Reply {
        let path = Self::path(request, target);
        let Some(before) = self.objects.get(&path).cloned() else {
            return Self::missing(target);
        };
        let dry = request.asks("dryRun") == Some("All");
        if target.subresource.as_deref() == Some("scale") {
            let mut made = before;
            made["spec"]["replicas"] = request.body["spec"]["replicas"].clone();
            for field in ["resourceVersion", "uid"] {
                if let Some(value) = request.body["metadata"].get(field) {
                    made["metadata"][field] = value.clone();
                }
            }
            if !dry {
                self.taken_over(request, target, &path, &["spec", "replicas"]);
            }
            return as_scale(self.store(&path, target, dry, made));
        }
        let mut made = request.body.clone();
        made["metadata"]["creationTimestamp"] = before["metadata"]["creationTimestamp"].clone();
        self.store(&path, target, dry, made)
    }

    fn patch(&mut self, request: &Request, target: &Target) -> Reply {
        let path = Self::path(request, target);
        if request.content_type == "application/apply-patch+yaml" && target.subresource.is_none() {
            return self.apply(request, target, &path);
        }
        let Some(before) = self.objects.get(&path).cloned() else {
            return Self::missing(target);
        };
        let mut made = before.clone();
        let scaled = target.subresource.as_deref() == Some("scale");
        let result = match request.content_type.as_str() {
            "application/merge-patch+json" => {
                patches::merge(&mut made, &request.body);
                Ok(())
            }
            "application/strategic-merge-patch+json" => patches::strategic(&mut made, &request.body),
            "application/json-patch+json" => patches::json(&mut made, &request.body),
            _ => Err(415),
        };
        match result {
            Ok(()) => {
                if target.subresource.as_deref() == Some("status") {
                    made["spec"] = before["spec"].clone();
                }
                let answer = self.store(&path, target, request.asks("dryRun") == Some("All"), made);
                if scaled { as_scale(answer) } else { answer }
            }
            Err(422) => {
                let message = "the server rejected our request due to an error in our request";
                status(422, "Invalid", message.to_owned(), json!({}))
            }
            Err(500) => {
                let mut failed = status(
                    500,
                    "",
                    "map does not contain declared merge key: name".to_owned(),
                    Json::Null,
                );
                failed.body.as_object_mut().unwrap().remove("reason");
                failed
            }
            Err(code) => status(
                code,
                "UnsupportedMediaType",
                "the body of the request was in an unknown format".to_owned(),
                json!({}),
            ),
        }
    }

    fn delete(&mut self, request: &Request, target: &Target) -> Reply {
        let Some(object) = self.objects.get(&request.path).cloned() else {
            return Self::missing(target);
        };
        let uid = &request.body["preconditions"]["uid"];
        if !uid.is_null() && *uid != object["metadata"]["uid"] {
            return status(
                409,
                "Conflict",
                "the UID in the precondition does not match the UID in record".to_owned(),
                target.details(),
            );
        }
        if target.resource == "pods" {
            return reply(200, self.end(&request.path, object, request.dry()));
        }
        if !request.dry() {
            self.objects.remove(&request.path);
        }
        let mut details = target.details();
        details["uid"] = object["metadata"]["uid"].clone();
        reply(
            200,
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}),
        )
    }

    /// A pod that is told to go.
    fn end(&mut self, path: &str, mut pod: Json, dry: bool) -> Json {
        pod["metadata"]["deletionTimestamp"] = "2026-11-22T03:00:00Z".into();
        if dry {
            return pod;
        }
        if self.linger {
            pod["metadata"]["resourceVersion"] = self.next_version().into();
            self.objects.insert(path.to_owned(), pod.clone());
        } else {
            self.objects.remove(path);
        }
        pod
    }

    fn evict(&mut self, request: &Request, target: &Target) -> Reply {
        let path = Self::path(request, target);
        let Some(pod) = self.objects.get(&path).cloned() else {
            return Self::missing(target);
        };
        let uid = &request.body["deleteOptions"]["preconditions"]["uid"];
        if !uid.is_null() && *uid != pod["metadata"]["uid"] {
            return Self::conflict(target);
        }
        if self.evictions == Some(0) {
            return status(
                429,
                "TooManyRequests",
                "Cannot evict pod as it would violate the pod's disruption budget.".to_owned(),
                json!({"causes": [{"reason": "DisruptionBudget", "message": "The disruption budget needs 2 healthy pods"}]}),
            );
        }
        if !request.dry() {
            self.evictions = self.evictions.map(|left| left - 1);
        }
        self.end(&path, pod, request.dry());
        reply(
            201,
            json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}),
        )
    }
}

fn as_scale(answer: Reply) -> Reply {
    if answer.status < 300 {
        Reply {
            body: scale(&answer.body),
            ..answer
        }
    } else {
        answer
    }
}

fn scale(object: &Json) -> Json {
    let metadata = &object["metadata"];
    let selector: Vec<String> = object["spec"]["selector"]["matchLabels"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"], "creationTimestamp": metadata["creationTimestamp"],
        },
        "spec": {"replicas": object["spec"]["replicas"]},
        "status": {"replicas": object["status"]["replicas"], "selector": selector.join(",")},
    })
}
