//! `sergas/kill-switch`: all traffic is cut, and comes back. A real application with its switch, the page that customers read, the API server of the tests,
//! and two people.

use super::{Setting, book, workload};
use crate::app::{Shop, shop};
use crate::kubernetes::server::Server as Cluster;
use crate::kubernetes::world::World;
use crate::people::{CANARY, Server, status_page};
use crate::support::desk::{Desk, OTHER, on_a_thread};
use crate::support::gated::field;
use crate::support::terminal::Terminal;
use starr::value::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const FRONT: &str = "/apis/apps/v1/namespaces/production/deployments/api-gateway";

struct Sergas {
    cluster: Cluster,
    service: Shop,
    page: Arc<Mutex<status_page::Kept>>,
    _page: Server,
    _setting: Setting,
    desk: Desk,
}

impl Sergas {
    async fn new() -> Self {
        let mut world = World::new();
        world.put(FRONT, workload("Deployment", "production", "api-gateway"));
        let cluster = Cluster::start(world).await;
        let service = Shop::start(&[]);
        let (page, server) = status_page::service();
        let setting = Setting::new();
        let text = format!(
            "      pages: {{ sergas: {{ page: p1, api_key: {{ file: {} }}, url: '{}' }} }}",
            setting.secret("page", CANARY),
            server.url()
        );
        let setting = setting
            .second(OTHER, "incident_lead")
            .cluster(&cluster)
            .may("kubernetes.scale", "change")
            .app(&service, &["sergas"])
            .may("app", "change")
            .section("status_page", &text)
            .may("status_page", "tell");
        let desk = setting.desk();
        Self {
            cluster,
            service,
            page,
            _page: server,
            _setting: setting,
            desk,
        }
    }

    fn replicas(&self) -> i64 {
        self.cluster.world().object(FRONT)["spec"]["replicas"].as_i64().unwrap()
    }

    async fn maintenance(&self) -> Value {
        field(
            &self.service.world().read("maintenance.get", &[("on", shop())]).await,
            "active",
        )
    }

    fn shown(&self) -> String {
        let page = self.page.lock().unwrap();
        page.components[0]["status"].as_str().unwrap().to_owned()
    }

    /// Somebody says what the lead said, and types the name of what cuts; the lead `says` something to it.
    async fn run(&self, says: &'static str) -> (String, i32) {
        let (command, other) = (
            self.desk.command(&["run", &book("sergas/kill-switch")]),
            self.desk.other(&["approve"]),
        );
        let (again, answers) = (self.desk.other(&["approve"]), self.desk.other(&["answer"]));
        on_a_thread(move || {
            let mut first = Terminal::start(command);
            first.wait_for("Has somebody who may decide it asked to cut all traffic?");
            if says == "no" {
                first.told("yes", "the lead said so in the call");
            } else {
                first.wait_for("type told or pass:");
                let mut lead = Terminal::start(answers);
                lead.wait_for("asked of incident_lead");
                lead.wait_for("Type yes, no or unknown:");
                lead.answer("yes");
                lead.wait_for("What did you see?");
                lead.answer("the owner of the data asked for it");
                assert_eq!(lead.end(), 0, "{}", lead.seen);
            }
            first.approve("Put the maintenance page on");
            first.wait_for("Approval needed: Stop 2 replicas of api-gateway");
            first.wait_for("Type `cut` to approve");
            first.answer("cut");
            first.wait_for("as incident_lead");
            second(other, "cut", says);
            if says == "cut" {
                first.wait_for("Type done or failed");
                first.answer("done");
                first.wait_for("A note for the record");
                first.answer("the key that leaked is revoked");
                first.wait_for("Type `let_in` to approve");
                first.answer("let_in");
                first.wait_for("as incident_lead");
                second(again, "let_in", "let_in");
                first.wait_within("RESOLVED", Duration::from_secs(60));
            }
            first.pass("Could less than everything have been cut");
            let code = first.end();
            (first.seen, code)
        })
        .await
    }
}

/// The lead at another terminal.
fn second(command: std::process::Command, asked: &str, says: &str) {
    let mut lead = Terminal::start(command);
    lead.wait_for(&format!("Type `{asked}` to approve"));
    lead.answer(says);
    if says == "no" {
        lead.wait_for("Why not?");
        lead.answer("only one customer is to be cut off");
    }
    assert_eq!(lead.end(), 0, "{}", lead.seen);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_traffic_is_cut_and_comes_back_as_it_was() {
    let sergas = Sergas::new().await;
    let (seen, code) = sergas.run("cut").await;
    assert_eq!(code, 0, "{seen}");
    assert_eq!(
        (sergas.replicas(), sergas.shown().as_str()),
        (2, "operational"),
        "{seen}"
    );
    assert_eq!(sergas.maintenance().await, Value::Bool(false));
    // Once down and once up, and nothing else.
    let changes = sergas.cluster.world().changes();
    assert_eq!(changes.len(), 2, "{changes:?}");
    sergas.desk.reported(&[
        "Stop 2 replicas of api-gateway",
        "the owner of the data asked for it",
        "the key that leaked is revoked",
        "under_maintenance",
        OTHER,
        "Resolved",
    ]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_leads_yes_traffic_goes_on() {
    let sergas = Sergas::new().await;
    let (seen, code) = sergas.run("no").await;
    assert!(code == 3 && seen.contains("REFUSED"), "{code} {seen}");
    assert_eq!(sergas.replicas(), 2);
    assert!(sergas.cluster.world().changes().is_empty());
    sergas.desk.reported(&[
        "in the place of incident_lead: the lead said so in the call",
        "only one customer is to be cut off",
    ]);
}
