//! `aiwf/force-cert-regeneration` with a real nginx, a real container in the place of the proxy, and OpenSSL in the place of the set-up script: a server whose
//! certificate nobody vouches for, and an authority whose key is lost. The real binary, and two people.

use super::{Nginx, authority, files, made, room};
use crate::docker::Host;
use crate::exec::Bench;
use crate::support::daemon::{file, program};
use crate::support::desk::{Desk, OTHER, on_a_thread};
use crate::support::terminal::Terminal;
use std::path::PathBuf;
use std::time::Duration;

const BOOK: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/runbooks/aiwf/force-cert-regeneration.starr"
);

/// What OpenSSL needs to know about an authority and about a server.
const SETTINGS: &str = "[req]\ndistinguished_name = name\n[name]\n[authority]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = keyCertSign\n\
                        [server]\nsubjectAltName = DNS:localhost\nbasicConstraints = CA:FALSE\n";

struct Stack {
    folder: PathBuf,
    _nginx: Nginx,
    _bench: Bench,
    desk: Desk,
    project: &'static str,
}

/// The programs that the runbook relies on, as `docs/runbooks.md` describes them.
fn programs(folder: &std::path::Path) -> Bench {
    let (shown, openssl) = (folder.display(), program("openssl").display().to_string());
    let read = format!("does: read, output: none, confine: {{ reads: [{shown}] }}");
    let change = format!("does: change, output: none, confine: {{ writes: [{shown}] }}");
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    let set_up = format!(
        "#!/bin/sh -e\nexport OPENSSL_CONF={shown}/settings\nmkdir -p {shown}/certs/ca {shown}/certs/server\ncd {shown}/certs\n\
         {openssl} req -x509 {key} -days 90 -extensions authority -subj /CN=New -keyout ca/ca.key -out ca/ca.crt\n\
         {openssl} req -new {key} -subj /CN=localhost -keyout server/localhost.key -out server/localhost.csr\n\
         {openssl} x509 -req -in server/localhost.csr -CA ca/ca.crt -CAkey ca/ca.key -CAcreateserial -days 90 -extfile {shown}/settings -extensions server -out server/localhost.crt\n\
         chmod 644 server/localhost.key\n"
    );
    let verify = format!("arguments: [verify, -CAfile, {shown}/certs/ca/ca.crt, {shown}/certs/server/localhost.crt]");
    Bench::new()
        .script(
            "aiwf-certificates-writable",
            &read,
            &format!("#!/bin/sh\ntest -d {shown}/certs\n"),
        )
        .system(
            "aiwf-chain-valid",
            &openssl,
            &format!("{read}, {verify}, exit: {{ ok: [0], no: [1, 2] }}"),
        )
        .script(
            "aiwf-move-certificates-aside",
            &change,
            &format!("#!/bin/sh -e\nmv {shown}/certs {shown}/certs-aside\n"),
        )
        .script("aiwf-setup-mtls", &change, &set_up)
        .script(
            "aiwf-put-back-certificates",
            &change,
            &format!("#!/bin/sh -e\nrm -rf {shown}/certs\nmv {shown}/certs-aside {shown}/certs\n"),
        )
}

impl Stack {
    fn new(project: &'static str) -> Self {
        let folder = room();
        let shown = folder.display().to_string();
        for room in ["certs", "certs/ca", "certs/server"] {
            std::fs::create_dir(folder.join(room)).unwrap();
        }
        let (ours, theirs) = (authority("Lost"), authority("Somebody Else"));
        let ca = file(&folder, "certs/ca/ca.crt", &ours.pem).display().to_string();
        files(
            &folder,
            "certs/server/localhost",
            &made(&theirs, "old", &["localhost"], (-1, 90)),
        );
        file(&folder, "settings", SETTINGS);
        let block = format!(
            "ssl_certificate {shown}/certs/server/$ssl_server_name.crt; ssl_certificate_key {shown}/certs/server/$ssl_server_name.key;"
        );
        let nginx = Nginx::start(folder.clone(), &[block]);
        let bench = programs(&folder);
        let waits = "trap 'exit 0' TERM; while true; do sleep 0.1; done";
        Host::shared().container_with(project, project, "caddy", &[], waits);
        let site = format!("https://localhost:{}", nginx.ports[0]);
        let desk = Desk::new(&format!(
            "      {OTHER}: {{ roles: [lead] }}
    journal: journal.db
    http: {{ endpoints: {{ site: {{ url: '{site}', ca: {ca}, addresses: [loopback] }} }} }}
    docker: {{ engines: {{ here: {{ socket: {socket} }} }} }}
{programs}    grants:
      - {{ capability: http,              effects: [read],   targets: ['{site}'] }}
      - {{ capability: docker,            effects: [read],   targets: [here] }}
      - {{ capability: docker.containers, effects: [change], targets: [here] }}
      - {{ capability: exec,              effects: [read, change], all: true }}
",
            socket = Host::shared().socket().display(),
            programs = bench.entry()
        ));
        desk.share();
        Self {
            folder,
            _nginx: nginx,
            _bench: bench,
            desk,
            project,
        }
    }

    /// The first person says what a lead said, and approves; the second, a lead, `says` something to it. What was on the first screen, and the code.
    async fn run(&self, says: &'static str) -> (String, i32) {
        let project = format!("project={}", self.project);
        let set = ["site=site", "engine=here", &project].map(|one| ["--set", one]);
        let mut words = vec!["run", BOOK, "--answer", "lost=yes", "--answer", "exposed=no"];
        words.extend(set.as_flattened());
        let (command, other) = (self.desk.command(&words), self.desk.other(&["approve"]));
        on_a_thread(move || {
            let mut first = Terminal::start(command);
            first.told("yes", "the list of clients is signed off");
            first.wait_for("Type `make_anew` to approve");
            first.answer("make_anew");
            first.wait_for("as lead");
            let mut second = Terminal::start(other);
            second.wait_for("Type `make_anew` to approve");
            second.answer(says);
            if says == "no" {
                second.wait_for("Why not?");
                second.answer("not before the clients are told");
            } else {
                first.wait_for("Approval needed: Give every client the new authority");
                first.wait_for("Approve?");
                first.answer("yes");
                first.wait_for("Type done or failed");
                first.answer("done");
                first.wait_for("A note for the record");
                first.answer("all nine clients get in");
                first.wait_within("RESOLVED", Duration::from_secs(120));
            }
            assert_eq!(second.end(), 0, "{}", second.seen);
            first.pass("How did the key get lost or known");
            let code = first.end();
            (first.seen, code)
        })
        .await
    }

    fn authority(&self) -> String {
        std::fs::read_to_string(self.folder.join("certs/ca/ca.crt")).unwrap()
    }

    fn over(&self) {
        Host::shared().podman(&["rm", "--force", "--time", "0", self.project]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_is_made_anew_shown_and_trusted_and_the_old_one_kept_aside() {
    let stack = Stack::new("anew-one");
    let before = stack.authority();
    let (seen, code) = stack.run("make_anew").await;
    assert!(code == 0 && seen.contains("must_be"), "{code} {seen}");
    assert_ne!(stack.authority(), before);
    let aside = std::fs::read_to_string(stack.folder.join("certs-aside/ca/ca.crt")).unwrap();
    assert_eq!(aside, before);
    stack.desk.reported(&[
        "ran.ok: no, exit code 2",
        "ran.ok: yes, exit code 0",
        OTHER,
        "Give every client the new authority",
    ]);
    stack.over();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_leads_yes_nothing_is_moved() {
    let stack = Stack::new("anew-two");
    let before = stack.authority();
    let (seen, code) = stack.run("no").await;
    assert!(code == 3 && seen.contains("REFUSED"), "{code} {seen}");
    assert_eq!(stack.authority(), before);
    assert!(!stack.folder.join("certs-aside").exists());
    stack.over();
}
