//! An incident: a release whose image cannot be had. The real binary in a terminal against the API server of the tests.

use super::server::Server;
use super::world::World;
use super::{change, deployment, done, gate, read};
use crate::support::desk::on_a_thread;
use crate::support::terminal::attended;
use starr::value::Value;
use std::path::Path;
use std::process::Command;

pub const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runbooks/rollout.starr");
const WEB: &str = "/apis/apps/v1/namespaces/shop/deployments/web";

pub struct Desk {
    folder: tempfile::TempDir,
    pub server: Server,
}

impl Desk {
    /// A deployment that was healthy, and then got an image that is not there.
    async fn new() -> Self {
        Self::with("").await
    }

    /// With more in the configuration of the cluster.
    pub async fn with(more: &str) -> Self {
        let mut world = World::new();
        world.put(WEB, deployment("web", "shop/web:1", 3));
        let server = Server::start(world).await;
        let gate = gate(&server.address);
        let workload = read(&gate, "workloads.get", &[("name", Value::text("web"))]).await;
        let release = [
            ("workload", workload),
            ("container", Value::text("main")),
            ("to", Value::text("shop/web:2-missing")),
        ];
        done(change(&gate, "images.set", &release).await);
        server.world().seen.clear();
        server.world().requests.clear();
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "environments:
  test:
    people:
      {login}: {{ roles: [oncall] }}
    kubernetes:
      clusters:
        c: {{ server: '{address}'{more} }}
      namespaces:
        shop: {{ cluster: c }}
    grants:
      - {{ capability: kubernetes,         effects: [read],   targets: [shop] }}
      - {{ capability: kubernetes.rollout, effects: [change, preview], targets: [shop] }}
",
            login = starr::cli::login(),
            address = server.address,
        );
        std::fs::write(folder.path().join("starr.yaml"), config).unwrap();
        Self { folder, server }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_starr"));
        command
            .args(words)
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            .env("TERM", "xterm-256color")
            .env("NO_COLOR", "1")
            .env("STARR_CONFIG", self.path().join("starr.yaml"));
        command
    }

    pub fn image(&self) -> String {
        let world = self.server.world();
        let image = "/spec/template/spec/containers/0/image";
        world.object(WEB).pointer(image).unwrap().as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_stuck_rollout_is_found_approved_undone_and_verified() {
    let desk = Desk::new().await;
    let seen = attended(desk.command(&["run", BOOK]), 0, |person| {
        person.approve("Take web back to revision 1")
    })
    .await;
    assert!(seen.contains("image_gone"), "{seen}");
    assert!(seen.contains("RESOLVED"), "{seen}");
    assert_eq!(desk.image(), "shop/web:1");
    let changes = desk.server.world().changes();
    assert_eq!(changes, [format!("PATCH {WEB}")], "one change, and nothing else");
    // The lock was held for the change, and given back.
    let lease = "/apis/coordination.k8s.io/v1/namespaces/shop/leases/starr";
    assert_eq!(desk.server.world().object(lease)["spec"]["holderIdentity"], "");
    let report = desk.command(&["report", "latest"]).output().unwrap();
    let report = String::from_utf8_lossy(&report.stdout).into_owned();
    for words in ["Take web back to revision 1", "resolved", "ImagePullBackOff"] {
        assert!(report.contains(words), "{words:?} is missing in\n{report}");
    }
}

#[tokio::test]
async fn a_refused_undo_changes_nothing() {
    let desk = Desk::new().await;
    let seen = attended(desk.command(&["run", BOOK]), 3, |person| {
        person.refuse("the image is being pushed")
    })
    .await;
    assert!(seen.contains("REFUSED"), "{seen}");
    assert_eq!(desk.image(), "shop/web:2-missing");
    assert!(desk.server.world().changes().is_empty());
}

/// Whoever may not list pods does not learn that there are no bad ones.
#[tokio::test]
async fn a_check_that_may_not_ask_is_unknown_and_leads_to_no_change() {
    let desk = Desk::new().await;
    desk.server.world().bans.push(super::world::Ban {
        user: "admin",
        verb: "list",
        resource: "pods",
    });
    let mut command = desk.command(&["run", BOOK, "--unattended"]);
    let output = on_a_thread(move || command.output().unwrap()).await;
    let seen = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{seen}");
    assert!(seen.contains("ESCALATED") && !seen.contains("RESOLVED"), "{seen}");
    assert!(seen.contains("not allowed to ask"), "{seen}");
    assert!(desk.server.world().changes().is_empty());
}
