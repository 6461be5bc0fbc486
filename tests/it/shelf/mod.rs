//! The shipped runbooks of *Sergas* and *GenericAiAgents* before real servers: PostgreSQL, Redis, Prometheus, an application, mail, and the API server of the tests.

mod agents;
mod outage;
mod pooler;
mod questions;
mod sergas;
mod traces;
mod traffic;

use crate::app::Shop;
use crate::kubernetes::server::Server as Cluster;
use crate::prometheus::Metrics;
use crate::redis::Server as Cache;
use crate::support::daemon::secret;
use crate::support::desk::Desk;
use crate::support::postgres::Place;
use serde_json::json;
use std::fmt::Write as _;

/// The file of a shipped runbook.
fn book(name: &str) -> String {
    format!("{}/runbooks/{name}.starr", env!("CARGO_MANIFEST_DIR"))
}

/// A workload as it runs, with one container of its name.
fn workload(kind: &str, namespace: &str, name: &str) -> serde_json::Value {
    json!({
        "apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "replicas": 2, "serviceName": name, "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{
                    "name": name, "image": format!("{name}:1"),
                    "env": [{"name": "DATABASE_POOL_SIZE", "value": "20"}, {"name": "AI__MaxConcurrentRequests", "value": "5"}],
                    "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}},
                }]},
            },
        },
    })
}

/// A node with room.
fn node() -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a"}, "spec": {},
        "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"}, "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

/// The configuration of an environment that may read whatever it names.
struct Setting {
    folder: tempfile::TempDir,
    people: String,
    sections: String,
    grants: String,
}

impl Setting {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            people: String::new(),
            sections: String::new(),
            grants: String::new(),
        }
    }

    /// A second person, who has this role.
    fn second(mut self, login: &str, role: &str) -> Self {
        writeln!(self.people, "      {login}: {{ roles: [{role}] }}").unwrap();
        self
    }

    /// `effect` is allowed with all that this capability reaches.
    fn may(mut self, capability: &str, effect: &str) -> Self {
        writeln!(
            self.grants,
            "      - {{ capability: {capability}, effects: [{effect}], all: true }}"
        )
        .unwrap();
        self
    }

    /// A section of the configuration as it stands there, indented by two blanks more than its name.
    fn section(mut self, name: &str, text: &str) -> Self {
        writeln!(self.sections, "    {name}:\n{text}").unwrap();
        self
    }

    /// A file with a secret, for the configuration to name.
    fn secret(&self, name: &str, text: &str) -> String {
        secret(self.folder.path(), name, text).display().to_string()
    }

    fn cluster(self, cluster: &Cluster) -> Self {
        let text = format!(
            "      clusters: {{ genericagents: {{ server: '{}' }} }}
      namespaces: {{ production: {{ cluster: genericagents }}, genericagents-prod: {{ cluster: genericagents }} }}",
            cluster.address
        );
        self.section("kubernetes", &text).may("kubernetes", "read")
    }

    /// The database under each of these names, at this port.
    fn database(self, place: &Place, port: u16, names: &[&str]) -> Self {
        let entry = format!(
            "host: 127.0.0.1, port: {port}, database: {}, read: {{ user: starr_read, password: {{ file: {} }} }}, change: {{ user: starr_change, password: {{ file: {} }} }}",
            place.name,
            self.secret("database", "read-secret"),
            self.secret("database-change", "change-secret"),
        );
        let mut text = "      databases:".to_owned();
        for name in names {
            write!(text, "\n        {name}: {{ {entry} }}").unwrap();
        }
        self.section("postgres", &text).may("postgres", "read")
    }

    fn cache(self, cache: &Cache) -> Self {
        let text = format!(
            "      servers: {{ sergas-cache: {} }}",
            cache.entry(self.folder.path(), "")
        );
        self.section("redis", &text).may("redis", "read")
    }

    fn metrics(self, metrics: &Metrics) -> Self {
        let text = format!(
            "      servers: {{ prometheus: {{ url: 'http://127.0.0.1:{}' }} }}",
            metrics.port
        );
        self.section("prometheus", &text).may("prometheus", "read")
    }

    /// The application under each of these names.
    fn app(self, shop: &Shop, names: &[&str]) -> Self {
        let config = shop.config("");
        let calls = config.split_once("  shop:").expect("its entry").1;
        let mut text = "      services:".to_owned();
        for name in names {
            write!(text, "\n        {name}:").unwrap();
            for line in calls.lines() {
                writeln!(text, "      {line}").unwrap();
            }
        }
        self.section("app", &text).may("app", "read")
    }

    fn endpoints(self, all: &[(&str, &str)]) -> Self {
        let mut text = "      endpoints:".to_owned();
        for (name, url) in all {
            write!(text, "\n        {name}: {{ url: '{url}' }}").unwrap();
        }
        self.section("http", &text).may("http", "read")
    }

    /// A desk that both people share.
    fn desk(&self) -> Desk {
        let desk = Desk::new(&format!(
            "{}    journal: journal.db\n{}    grants:\n{}",
            self.people, self.sections, self.grants
        ));
        desk.share();
        desk
    }
}
