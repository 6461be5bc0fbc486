//! Who may do what: bans of the tests, and rules as roles state them.

use super::World;
use super::request::{Reply, Request, Target, reply, status};
use serde_json::{Value as Json, json};

/// One rule of a role that a user has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// `None`: in the whole cluster.
    pub namespace: Option<String>,
    pub group: String,
    /// With its part: `pods/eviction`.
    pub resource: String,
    /// Empty: of any name.
    pub names: Vec<String>,
    pub verbs: Vec<String>,
}

/// What somebody wants to do.
struct Wanted<'a> {
    namespace: Option<&'a str>,
    group: &'a str,
    resource: &'a str,
    name: Option<&'a str>,
    verb: &'a str,
}

impl Rule {
    fn allows(&self, wanted: &Wanted) -> bool {
        let named = self.names.is_empty()
            || wanted
                .name
                .is_some_and(|name| self.names.iter().any(|known| known == name));
        (self.namespace.is_none() || self.namespace.as_deref() == wanted.namespace)
            && self.group == wanted.group
            && self.resource == wanted.resource
            && named
            && self.verbs.iter().any(|verb| verb == wanted.verb)
    }
}

impl World {
    fn may(&self, user: &str, wanted: &Wanted) -> bool {
        let Some(rules) = &self.rules else { return true };
        rules
            .get(user)
            .is_some_and(|rules| rules.iter().any(|rule| rule.allows(wanted)))
    }

    /// Whether a request would be refused to a user, and nothing else of it.
    pub fn would_refuse(&mut self, request: &Request, user: &str) -> bool {
        Target::of(&request.path).is_some_and(|target| self.refused(request, &target, user).is_some())
    }

    /// The verbs that a request needs, all of them: a stream into a container is two.
    fn verbs(request: &Request, target: &Target) -> &'static [&'static str] {
        match (request.method.as_str(), &target.name) {
            _ if request.watches() => &["watch"],
            ("GET", Some(_)) if target.subresource.as_deref() == Some("exec") => &["get", "create"],
            ("GET", None) => &["list"],
            ("GET", Some(_)) => &["get"],
            ("POST", _) => &["create"],
            ("PUT", _) => &["update"],
            ("PATCH", _) => &["patch"],
            _ => &["delete"],
        }
    }

    pub(super) fn refused(&mut self, request: &Request, target: &Target, user: &str) -> Option<Reply> {
        // What everybody may ask who may log in.
        if target.resource.starts_with("selfsubject") {
            return None;
        }
        let resource = match &target.subresource {
            Some(part) => format!("{}/{part}", target.resource),
            None => target.resource.clone(),
        };
        // The server's rules know the name in a selector of this field.
        let selected = request
            .asks("fieldSelector")
            .and_then(|fields| fields.strip_prefix("metadata.name="));
        let name = target.name.as_deref().or(selected);
        for verb in Self::verbs(request, target) {
            let banned = self
                .bans
                .iter()
                .any(|ban| ban.user == user && ban.verb == *verb && ban.resource == target.resource);
            let wanted = Wanted {
                namespace: target.namespace.as_deref(),
                group: &target.group,
                resource: &resource,
                name,
                verb,
            };
            if !banned && self.may(user, &wanted) {
                continue;
            }
            let (shown, place) = (
                target
                    .name
                    .as_ref()
                    .map(|name| format!(" \"{name}\""))
                    .unwrap_or_default(),
                match &target.namespace {
                    Some(namespace) => format!(" in the namespace \"{namespace}\""),
                    None => " at the cluster scope".to_owned(),
                },
            );
            let message = format!(
                "{}{shown} is forbidden: User \"{user}\" cannot {verb} resource \"{resource}\" in API group \"{}\"{place}",
                target.qualified(),
                target.group
            );
            self.denied.push(format!("{user} {verb} {resource}"));
            let mut details = target.details();
            if target.name.is_none() {
                details.as_object_mut().unwrap().remove("name");
            }
            return Some(status(403, "Forbidden", message, details));
        }
        None
    }

    pub(super) fn review(&self, request: &Request, user: &str) -> Reply {
        let asked = &request.body["spec"]["resourceAttributes"];
        let text = |field: &str| asked[field].as_str().filter(|text| !text.is_empty());
        let banned = self
            .bans
            .iter()
            .any(|ban| ban.user == user && asked["verb"] == ban.verb && asked["resource"] == ban.resource);
        let resource = match text("subresource") {
            Some(part) => format!("{}/{part}", text("resource").unwrap_or_default()),
            None => text("resource").unwrap_or_default().to_owned(),
        };
        let wanted = Wanted {
            namespace: text("namespace"),
            group: text("group").unwrap_or_default(),
            resource: &resource,
            name: text("name"),
            verb: text("verb").unwrap_or_default(),
        };
        let mut body: Json = request.body.clone();
        body["status"] = json!({"allowed": !banned && self.may(user, &wanted)});
        reply(201, body)
    }
}
