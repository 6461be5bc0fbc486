//! What happened, told to those who watch.

use super::World;
use super::request::{Reply, Request, Target};
use super::selectors::{fielded, labelled};
use serde_json::{Value as Json, json};

/// Something that happened to an object.
#[derive(Clone, Debug)]
pub struct Event {
    pub version: u64,
    pub kind: &'static str,
    pub path: String,
    pub object: Json,
}

/// How a watch goes on.
pub enum Watching {
    /// An answer like others: it was refused.
    Answered(Reply),
    /// The connection ends before anything is said.
    Broken,
    /// These lines, and the version behind them. `true`: the stream ends here.
    Lines(Vec<Json>, u64, bool),
}

fn version_of(object: &Json) -> Option<u64> {
    object["metadata"]["resourceVersion"].as_str()?.parse().ok()
}

impl World {
    /// Compares what is with what was told.
    fn tell(&mut self) {
        if self.controller {
            self.roll();
        }
        let mut news: Vec<Event> = Vec::new();
        for (path, object) in &self.objects {
            let kind = match self.told.get(path) {
                None => "ADDED",
                Some(told) if told == object => continue,
                Some(_) => "MODIFIED",
            };
            news.push(Event {
                version: version_of(object).unwrap_or(self.version),
                kind,
                path: path.clone(),
                object: object.clone(),
            });
        }
        let gone: Vec<String> = self
            .told
            .keys()
            .filter(|path| !self.objects.contains_key(*path))
            .cloned()
            .collect();
        for path in gone {
            let mut object = self.told[&path].clone();
            let version = self.next_version();
            object["metadata"]["resourceVersion"] = version.as_str().into();
            news.push(Event {
                version: version.parse().unwrap(),
                kind: "DELETED",
                path,
                object,
            });
        }
        news.sort_by_key(|event| event.version);
        self.events.extend(news);
        self.told = self.objects.clone();
    }

    /// The beginning of a watch.
    pub fn watch(&mut self, request: &Request) -> Watching {
        self.tell();
        let refused = self.answer(request);
        if refused.status >= 300 {
            return Watching::Answered(refused);
        }
        if self.breaks > 0 {
            self.breaks -= 1;
            return Watching::Broken;
        }
        if !self.canned.is_empty() {
            return Watching::Lines(self.canned.remove(0), 0, true);
        }
        if self.too_old > 0 {
            self.too_old -= 1;
            let gone = json!({"kind": "Status", "status": "Failure", "reason": "Expired", "code": 410,
                              "message": "too old resource version: 1 (2)"});
            return Watching::Lines(vec![json!({"type": "ERROR", "object": gone})], 0, true);
        }
        let from = request
            .asks("resourceVersion")
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        let mut lines = Vec::new();
        if self.bookmarks {
            // The zero object of the kind, with a version.
            let zero = json!({"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"resourceVersion": from.to_string()},
                              "spec": {"replicas": 0, "selector": null, "template": {"spec": {"containers": null}}}});
            lines.push(json!({"type": "BOOKMARK", "object": zero}));
        }
        let (more, version) = self.since(request, from);
        lines.extend(more);
        Watching::Lines(lines, version, false)
    }

    /// What happened behind this version, and the version behind it.
    pub fn since(&mut self, request: &Request, from: u64) -> (Vec<Json>, u64) {
        self.tell();
        let target = Target::of(&request.path).unwrap();
        let under = format!("{}/", request.path);
        let inside = |path: &str| match &target.namespace {
            Some(_) => path.strip_prefix(&under).is_some_and(|rest| !rest.contains('/')),
            None => Target::of(path).is_some_and(|of| of.api == target.api && of.resource == target.resource),
        };
        let chosen = |object: &Json| {
            request
                .asks("labelSelector")
                .is_none_or(|labels| labelled(object, labels))
                && request
                    .asks("fieldSelector")
                    .is_none_or(|fields| fielded(object, fields))
        };
        let mut version = from;
        let mut lines = Vec::new();
        for event in self.events.iter().filter(|event| event.version > from) {
            version = version.max(event.version);
            if inside(&event.path) && chosen(&event.object) {
                lines.push(json!({"type": event.kind, "object": event.object}));
            }
        }
        (lines, version)
    }
}
