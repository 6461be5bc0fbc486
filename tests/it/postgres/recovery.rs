//! The shipped runbook `aiwf/database-recovery`, with the real binary: the tables are gone, and a real backup is put beside the database, looked at and given its
//! place. A real server, real programs of PostgreSQL under their contracts, a real container that is stopped meanwhile, and two people.

use crate::docker::Host;
use crate::exec::Bench;
use crate::support::daemon::free_port;
use crate::support::desk::{Desk, OTHER, on_a_thread};
use crate::support::postgres::{Place, Server, program, run};
use crate::support::terminal::Terminal;
use std::path::PathBuf;
use std::time::Duration;

const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/runbooks/aiwf/database-recovery.starr");

/// A database that has lost its tables, with a backup of an hour before.
struct Lost {
    place: Place,
    folder: tempfile::TempDir,
    desk: Desk,
    _bench: Bench,
    project: &'static str,
}

/// A program of PostgreSQL, as the scripts call it: as the administrator, on the server's socket.
fn tool(place: &Place, name: &str) -> String {
    let server = place.server;
    format!(
        "{} -h {} -p {} -U admin",
        program(name).display(),
        server.folder.display(),
        server.port
    )
}

/// The programs that the runbook relies on, as `docs/runbooks.md` describes them.
fn programs(place: &Place, folder: &std::path::Path) -> Bench {
    let (live, kept, saved) = (&place.name, folder.join("backups"), folder.join("saved"));
    let (kept, saved) = (kept.display(), saved.display());
    let (psql, dump, restore) = (tool(place, "psql"), tool(place, "pg_dump"), tool(place, "pg_restore"));
    let reader = program("pg_restore").display().to_string();
    let file = format!("arguments: [{{ name: file, type: Text, beneath: {kept} }}]");
    let confined = format!("confine: {{ reads: [{kept}], writes: [{saved}], network: true }}");
    let read = format!("does: read, exit: {{ ok: [0], no: [1] }}, output: none, {confined}");
    let change = format!("does: change, output: none, {confined}");
    let renamed = |from: &str, to: &str| format!("alter database {from} rename to {to};");
    // Whoever is connected is sent away first, or the server refuses: starr as well.
    let switched = |names: &str| {
        format!(
            "#!/bin/sh -e\n{psql} -X -q -v ON_ERROR_STOP=1 -d postgres -c \"select pg_terminate_backend(pid) from pg_stat_activity where datname like '{live}%'\" -c \"{names}\" >/dev/null\n"
        )
    };
    let there = renamed(live, &format!("{live}_before")) + &renamed(&format!("{live}_restored"), live);
    let back = renamed(live, &format!("{live}_restored")) + &renamed(&format!("{live}_before"), live);
    // A plain one ends with a line that says so.
    let whole = format!(
        "#!/bin/sh\nif [ \"$(head -c 5 \"$1\")\" = PGDMP ]; then {reader} --file={saved}/looked-at \"$1\" || exit 1\n\
         else tail -n 5 \"$1\" | grep -q 'PostgreSQL database dump complete' || exit 1; fi\n"
    );
    Bench::new()
        .script(
            "aiwf-newest-backup",
            &format!("does: read, output: json, schema: {{ file: Text, taken: Time, size: Bytes, format: Text }}, {confined}"),
            &format!(
                "#!/bin/sh -e\nfile=$(ls -t {kept}/* | head -n 1)\nformat=plain\nif [ \"$(head -c 5 \"$file\")\" = PGDMP ]; then format=archive; fi\n\
                 printf '{{\"file\":\"%s\",\"taken\":\"%s\",\"size\":%s,\"format\":\"%s\"}}' \"$file\" \"$(date -u -r \"$file\" +%Y-%m-%dT%H:%M:%SZ)\" \"$(stat -c %s \"$file\")\" $format\n"
            ),
        )
        .script("aiwf-backup-whole", &format!("{read}, {file}"), &whole)
        .script("aiwf-save-database", &change, &format!("#!/bin/sh -e\n{dump} -Fc -f {saved}/database.dump {live}\n"))
        .script("aiwf-saved-database-whole", &read, &format!("#!/bin/sh\n{reader} --file={saved}/looked-at {saved}/database.dump || exit 1\n"))
        .script("aiwf-create-database", &change, &format!("#!/bin/sh -e\n{psql} -X -q -d postgres -c 'create database {live}_restored owner app'\n"))
        .script("aiwf-drop-restored-database", &change, &format!("#!/bin/sh -e\n{psql} -X -q -d postgres -c 'drop database {live}_restored with (force)'\n"))
        .script("aiwf-pg-restore", &format!("{change}, {file}"), &format!("#!/bin/sh -e\n{restore} --exit-on-error --single-transaction -d {live}_restored \"$1\"\n"))
        .script("aiwf-psql-file", &format!("{change}, {file}"), &format!("#!/bin/sh -e\n{psql} -X -q -v ON_ERROR_STOP=1 --single-transaction -d {live}_restored --file \"$1\"\n"))
        .script("aiwf-switch-databases", &change, &switched(&there))
        .script("aiwf-switch-databases-back", &change, &switched(&back))
}

impl Lost {
    /// `format` is what `pg_dump` calls the backup's own.
    async fn new(project: &'static str, format: &str) -> Self {
        let place = Server::shared().database().await;
        run(
            &mut place.admin().await,
            "create table orders (id int primary key, what text); insert into orders values (1, 'tea'), (2, 'milk'), (3, 'sugar')",
        )
        .await;
        let folder = tempfile::tempdir().unwrap();
        for room in ["backups", "saved"] {
            std::fs::create_dir(folder.path().join(room)).unwrap();
        }
        // Whatever its name ends with, the file itself says what it is.
        let backup = folder.path().join("backups/latest.sql");
        let words = tool(&place, "pg_dump");
        let made = std::process::Command::new("sh")
            .args([
                "-c",
                &format!("{words} --format={format} -f {} {}", backup.display(), place.name),
            ])
            .status()
            .unwrap();
        assert!(made.success());
        run(&mut place.admin().await, "drop table orders").await;

        let port = free_port();
        let host = Host::shared();
        let (label, service) = (
            format!("com.docker.compose.project={project}"),
            "com.docker.compose.service=api",
        );
        let serves = format!("trap 'exit 0' TERM; httpd -f -p 127.0.0.1:{port} -h /bin & wait");
        let mut words = vec!["run", "--detach", "--name", project, "--net", "host"];
        words.extend([
            "--label",
            &label,
            "--label",
            service,
            "starr-test",
            "/bin/sh",
            "-c",
            &serves,
        ]);
        host.podman(&words);
        let secret = crate::support::daemon::secret(folder.path(), "read", "read-secret");
        let entry = |name: &str| {
            format!(
                "{{ host: 127.0.0.1, port: {}, database: {name}, read: {{ user: starr_read, password: {{ file: {} }} }} }}",
                place.server.port,
                secret.display()
            )
        };
        let bench = programs(&place, folder.path());
        let desk = Desk::new(&format!(
            "      {OTHER}: {{ roles: [lead] }}
    journal: journal.db
    postgres:
      databases:
        live: {}
        restored: {}
    docker: {{ engines: {{ here: {{ socket: {} }} }} }}
    http: {{ endpoints: {{ stack: {{ url: \"http://127.0.0.1:{port}/busybox\" }} }} }}
{}    grants:
      - {{ capability: postgres,          effects: [read],   targets: [live, restored] }}
      - {{ capability: docker,            effects: [read],   targets: [here] }}
      - {{ capability: docker.containers, effects: [change], targets: [here] }}
      - {{ capability: http,              effects: [read],   targets: [\"http://127.0.0.1:{port}\"] }}
      - {{ capability: exec,              effects: [read, change], all: true }}
",
            entry(&place.name),
            entry(&format!("{}_restored", place.name)),
            host.socket().display(),
            bench.entry()
        ));
        desk.share();
        Self {
            place,
            folder,
            desk,
            _bench: bench,
            project,
        }
    }

    /// The first person approves what makes and fills the database beside, and says what takes its place; the second, a lead, `says` something to that.
    async fn recovered(&self, restore: &'static str, says: &'static str) -> (String, i32) {
        let project = format!("project={}", self.project);
        let set = ["db=live", "restored=restored", "health=stack", "engine=here", &project];
        let mut words = vec!["run", BOOK];
        words.extend(set.iter().flat_map(|one| ["--set", one]));
        let (command, other) = (self.desk.command(&words), self.desk.other(&["approve"]));
        on_a_thread(move || {
            let mut first = Terminal::start(command);
            // Only a lead may say so, and none is at this terminal: whoever is, says how it is known.
            first.wait_for("Does the owner of the data accept to lose what came after");
            first.told("yes", "she said so on the telephone");
            first.approve("Save what live holds now");
            first.approve("Make an empty database for the backup");
            first.approve(restore);
            first.wait_for("Approval needed: Let the restored database take the place of live");
            first.wait_for("Type `change_places` to approve");
            first.answer("change_places");
            first.wait_for("as lead");
            let mut second = Terminal::start(other);
            second.wait_for("Type `change_places` to approve");
            second.answer(says);
            if says == "no" {
                second.wait_for("Why not?");
                second.answer("the owner of the data looks at it first");
            }
            assert_eq!(second.end(), 0, "{}", second.seen);
            if says != "no" {
                first.wait_within("Are rows missing or damaged that were there?", Duration::from_secs(60));
                first.wait_for("Type yes, no or unknown");
                first.answer("no");
                first.wait_for("a note");
                first.answer("three orders, as in the shop");
            }
            first.wait_within("How much was lost, and how much may be lost?", Duration::from_secs(240));
            first.wait_for("may be empty");
            first.answer("one hour");
            let code = first.end();
            (first.seen, code)
        })
        .await
    }

    /// The databases of this incident, and how many orders the one has that everybody uses.
    async fn state(&self) -> (Vec<String>, Option<i64>) {
        let mut admin = self.place.server.admin("postgres").await;
        let names: Vec<String> =
            sqlx::query_scalar("select datname::text from pg_database where datname like $1 order by 1")
                .bind(format!("{}%", self.place.name))
                .fetch_all(&mut admin)
                .await
                .unwrap();
        let ours = names.into_iter().map(|name| name.replace(&self.place.name, "live"));
        let orders = sqlx::query_scalar("select count(*) from orders")
            .fetch_one(&mut self.place.admin().await)
            .await;
        (ours.collect(), orders.ok())
    }

    fn over(&self) {
        Host::shared().podman(&["rm", "--force", "--time", "0", self.project]);
    }

    fn saved(&self) -> PathBuf {
        self.folder.path().join("saved/database.dump")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_restored_beside_seen_to_be_good_and_takes_the_place_of_what_was_lost() {
    let lost = Lost::new("recovery-one", "custom").await;
    let (seen, code) = lost.recovered("Restore", "change_places").await;
    assert!(
        code == 0 && seen.contains("RESOLVED") && seen.contains("data_lost"),
        "{code} {seen}"
    );
    assert_eq!(
        lost.state().await,
        (vec!["live".to_owned(), "live_before".to_owned()], Some(3))
    );
    assert!(lost.saved().metadata().unwrap().len() > 0);
    lost.desk.reported(&[
        "data_lost",
        "pg_restore",
        "Let the restored database take the place of live",
        OTHER,
        "one hour",
    ]);
    lost.over();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_backup_is_restored_by_psql_and_without_the_second_yes_nothing_changes_its_place() {
    let lost = Lost::new("recovery-two", "plain").await;
    let (seen, code) = lost.recovered("Restore", "no").await;
    assert!(code == 3 && seen.contains("REFUSED"), "{code} {seen}");
    assert_eq!(
        lost.state().await,
        (vec!["live".to_owned(), "live_restored".to_owned()], None)
    );
    lost.desk
        .reported(&["with psql", "the owner of the data looks at it first"]);
    lost.over();
}
