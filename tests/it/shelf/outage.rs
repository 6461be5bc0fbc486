//! `genericai/critical-system-failure`: a release that does not work is taken back by the runbook for it, and a database that is gone is told to everybody.
//! Real PostgreSQL, mail, chat, pager and the page that customers read; the API server of the tests.

use super::{Setting, book, node, workload};
use crate::kubernetes::server::Server as Cluster;
use crate::kubernetes::world::World;
use crate::notify::{HOOK, PASSWORD, ROUTING_KEY, Smtp, Taker, events_api, fine};
use crate::people::{CANARY, Server, status_page};
use crate::support::daemon::free_port;
use crate::support::desk::{Desk, on_a_thread};
use crate::support::postgres::{Place, Server as Database};
use crate::support::terminal::attended;
use serde_json::json;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const AGENTS: &str = "/apis/apps/v1/namespaces/genericagents-prod/deployments/agent-api";

struct Agents {
    cluster: Cluster,
    chat: Taker,
    pager: Taker,
    mail: Smtp,
    page: Arc<Mutex<status_page::Kept>>,
    _page: Server,
    _health: Server,
    _ai: Server,
    _setting: Setting,
    desk: Desk,
}

/// The image that runs.
fn image(cluster: &Cluster) -> String {
    let world = cluster.world();
    let image = "/spec/template/spec/containers/0/image";
    world
        .object(AGENTS)
        .pointer(image)
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned()
}

impl Agents {
    /// Its second release has just come, and answers nothing but errors. The database is at this port.
    async fn new(place: &Place, port: u16) -> Self {
        let mut world = World::new();
        world.metrics = true;
        world.put(AGENTS, workload("Deployment", "genericagents-prod", "agent-api"));
        world.put("/api/v1/nodes/node-a", node());
        let cluster = Cluster::start(world).await;
        cluster.world().release(AGENTS, "agent-api:2");
        let seen = cluster.clone();
        let health = Server::new(move |_| match image(&seen).as_str() {
            "agent-api:1" => Some((200, json!({"status": "Healthy"}))),
            _ => Some((503, json!({"status": "Unhealthy"}))),
        });
        let ai = Server::new(|_| Some((401, json!({"error": "no key"}))));
        let setting = Setting::new();
        let (chat, pager) = (fine(), Taker::new(events_api));
        let mail = Smtp::start(setting.folder.path(), &["--user", "starr", "--password", PASSWORD]);
        let (page, server) = status_page::service();
        let (hook, routing) = (setting.secret("hook", HOOK), setting.secret("routing", ROUTING_KEY));
        let channel = format!(
            "{{ url: 'http://127.0.0.1:{}', secret_path: {{ file: {hook} }} }}",
            chat.port
        );
        let team = format!(
            "{{ routing_key: {{ file: {routing} }}, url: 'http://127.0.0.1:{}' }}",
            pager.port
        );
        let pages = format!(
            "      pages: {{ genericagents: {{ page: p1, api_key: {{ file: {} }}, url: '{}' }} }}",
            setting.secret("page", CANARY),
            server.url()
        );
        let letters = format!(
            "      server: {{ host: localhost, port: {}, from: 'starr <starr@example.org>', ca: {}, user: starr, password: {{ file: {} }} }}
      boxes: {{ team-agents: [lea@example.org] }}",
            mail.port,
            setting.folder.path().join("mail.pem").display(),
            setting.secret("mail", PASSWORD),
        );
        let setting = setting
            .cluster(&cluster)
            .may("kubernetes.rollout", "change")
            .may("kubernetes.scale", "change")
            .database(place, port, &["agents_production"])
            .endpoints(&[("health", &health.url()), ("ai", &ai.url())])
            .section("status_page", &pages)
            .may("status_page", "read, tell")
            .section(
                "chat",
                &format!("      channels: {{ '#incidents': {channel}, '#alerts': {channel} }}"),
            )
            .may("chat", "tell")
            .section(
                "pager",
                &format!("      services: {{ oncall: {team}, all-engineers: {team} }}"),
            )
            .may("pager", "tell")
            .section("mail", &letters)
            .may("mail", "tell");
        let desk = setting.desk();
        Self {
            cluster,
            chat,
            pager,
            mail,
            page,
            _page: server,
            _health: health,
            _ai: ai,
            _setting: setting,
            desk,
        }
    }

    fn command(&self, more: &[&str]) -> Command {
        let file = book("genericai/critical-system-failure");
        let set = ["--set", "health=health", "--set", "ai=ai", "--set", "steady_for=1s"];
        let words = [&["run", &file][..], &set, more].concat();
        self.desk.command(&words)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_does_not_work_is_taken_back_by_the_runbook_for_it() {
    let place = Database::shared().database().await;
    let mut agents = Agents::new(&place, place.server.port).await;
    let command = agents.command(&["--answer", "one_way=no", "--answer", "wrong=no"]);
    let seen = attended(command, 0, |person| {
        person.approve("Take agent-api back from revision 2 to 1");
        person.wait_within("Approval needed: Let 3 pods of agent-api run", Duration::from_secs(120));
        person.wait_for("Approve?");
        person.answer("yes");
        person.wait_within("RESOLVED after", Duration::from_secs(120));
        person.pass("What did customers notice, and when did we?");
    })
    .await;
    assert_eq!(image(&agents.cluster), "agent-api:1", "{seen}");
    assert_eq!(agents.cluster.world().object(AGENTS)["spec"]["replicas"], 3);
    assert_eq!(agents.mail.message()["subject"], "GenericAiAgents is in trouble");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_database_is_gone_everybody_is_told_and_nothing_is_changed() {
    let place = Database::shared().database().await;
    let agents = Agents::new(&place, free_port()).await;
    let mut command = agents.command(&["--unattended"]);
    let output = on_a_thread(move || command.output().unwrap()).await;
    let seen = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.code() == Some(1) && seen.contains("ESCALATED"), "{seen}");
    assert!(agents.cluster.world().changes().is_empty());
    assert_eq!(agents.page.lock().unwrap().told, ["We are looking into it."]);
    assert!(
        agents.chat.taken()[0].1["text"]
            .as_str()
            .unwrap()
            .contains("GenericAiAgents is down")
    );
    assert_eq!(agents.pager.taken().len(), 2);
}
