//! The store in PostgreSQL: the same bytes and the same tree as in a file, with a role that can add and not change.

use crate::support::postgres::{Place, Server, run};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use starr::journal::event::Event;
use starr::journal::lease::{Runner, State};
use starr::journal::machine::Machine;
use starr::journal::postgres::{self, Login, Tls};
use starr::journal::storage::Which;
use starr::journal::{Error, Journal, RunHeader, Store, Taken};
use starr::secrets::SecretText;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A journal in a database of its own, with a role that owns the tables and one that records.
pub async fn place() -> (Place, postgres::Server) {
    let place = Server::shared().database().await;
    let recorder = format!("journal_{}", place.name);
    run(
        &mut place.admin().await,
        &format!("create role {recorder} login password 'journal-secret'"),
    )
    .await;
    let login = |user: &str, password: &str| Login {
        user: user.to_owned(),
        password: Some(SecretText::new(password.to_owned())),
    };
    let server = postgres::Server {
        host: Some("127.0.0.1".to_owned()),
        socket: None,
        port: place.server.port,
        database: place.name.clone(),
        schema: "starr".to_owned(),
        tls: Tls::Disable,
        root_certificate: None,
        login: login(&recorder, "journal-secret"),
        owner: Some(login("app", "app-secret")),
        eraser: None,
        allow_unsynced: true,
    };
    (place, server)
}

/// The same as it stands behind `journal:`, with its passwords in files of this folder; `more` stands before the end.
pub fn described(server: &postgres::Server, folder: &Path, more: &str) -> String {
    let here = folder.display();
    for (name, text) in [
        ("recorder", "journal-secret"),
        ("owner", "app-secret"),
        ("eraser", "eraser-secret"),
    ] {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    format!(
        "{{ postgres: {{ host: 127.0.0.1, port: {}, database: {}, user: {}, password: {{ file: {here}/recorder }}, owner: {{ user: app, password: {{ file: {here}/owner }} }}, allow_unsynced: true{more} }} }}",
        server.port, server.database, server.login.user,
    )
}

pub async fn connected(server: &postgres::Server, login: &Login) -> sqlx::PgConnection {
    let password = login.password.as_ref().unwrap();
    PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(server.port)
        .username(&login.user)
        .password(password.expose())
        .database(&server.database)
        .connect()
        .await
        .unwrap()
}

fn step(detail: &str) -> Event {
    Event::Step {
        what: "note".to_owned(),
        detail: detail.to_owned(),
    }
}

fn ended() -> Event {
    Event::Ended {
        outcome: "resolved".to_owned(),
        reason: String::new(),
        in_place: Vec::new(),
        duration_seconds: 1.0,
    }
}

/// A machine whose time and randomness are the same every time.
#[derive(Default)]
struct Same {
    time: AtomicI64,
    random: AtomicU64,
}

impl Machine for Same {
    fn wall(&self) -> i64 {
        1_800_000_000_000_000_000 + self.time.fetch_add(1_000_000, Ordering::SeqCst)
    }

    fn since_boot(&self) -> u64 {
        1_000_000_000 + self.time.load(Ordering::SeqCst) as u64
    }

    fn boot_id(&self) -> String {
        "the same start".to_owned()
    }

    fn fill(&self, bytes: &mut [u8]) -> Result<(), Error> {
        let number = self.random.fetch_add(1, Ordering::SeqCst).to_be_bytes();
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = number[7 - index % 8].wrapping_add(index as u8);
        }
        Ok(())
    }

    fn runner(&self) -> Runner {
        Runner::default()
    }

    fn runs(&self, _: &Runner) -> Option<bool> {
        None
    }
}

/// Two runs, interleaved.
pub async fn two_runs(store: &Store) -> Vec<String> {
    let first = store.begin(RunHeader::default()).await.unwrap();
    let second = store.begin(RunHeader::default()).await.unwrap();
    first.append("", &step("one \0 größer")).await.unwrap();
    second.append("child", &step("two")).await.unwrap();
    first.append_all("", &[step("three"), step("four")]).await.unwrap();
    second.append("", &ended()).await.unwrap();
    vec![first.run_id().to_owned(), second.run_id().to_owned()]
}

async fn bytes(store: &Store) -> Vec<Vec<u8>> {
    use futures::StreamExt;
    let mut reading = store.reading().await.unwrap();
    let rows: Vec<Vec<u8>> = reading
        .reader()
        .entries(Which::All)
        .map(|row| row.unwrap().bytes)
        .collect()
        .await;
    reading.done().await.unwrap();
    rows
}

#[tokio::test]
async fn the_same_bytes_and_the_same_tree_as_in_a_file() {
    let (_place, server) = place().await;
    let folder = tempfile::tempdir().unwrap();
    let there = postgres::open_on(&server, Arc::new(Same::default())).await.unwrap();
    let here = Store::open_on(&folder.path().join("journal.db"), Arc::new(Same::default()))
        .await
        .unwrap();
    let runs = two_runs(&there).await;
    assert_eq!(runs, two_runs(&here).await);
    assert_eq!(bytes(&there).await, bytes(&here).await);
    assert_eq!(bytes(&there).await.len(), 5);
    let (one, other) = (there.verify().await.unwrap(), here.verify().await.unwrap());
    assert!(one.is_intact(), "{one}");
    assert_eq!(
        (one.root, one.entries, one.runs),
        (other.root, other.entries, other.runs)
    );
    for run in runs {
        assert_eq!(there.entries(&run).await, here.entries(&run).await);
    }
    assert_eq!(there.runs(10).await, here.runs(10).await);
    there.close().await.unwrap();
    // And a second process finds it all.
    let again = postgres::read(&server).await.unwrap();
    assert_eq!(again.verify().await.unwrap().entries, 5);
    assert!(again.begin(RunHeader::default()).await.is_err());
}

#[tokio::test]
async fn the_recording_role_cannot_change_what_was_recorded() {
    let (_place, server) = place().await;
    let store = postgres::open(&server).await.unwrap();
    two_runs(&store).await;
    let mut recorder = connected(&server, &server.login).await;
    for sql in [
        "update starr.entries set kind = 'x'",
        "delete from starr.entries",
        "truncate starr.entries",
        "update starr.payloads set body = ''",
        "delete from starr.payloads",
        "truncate starr.payloads",
        "delete from starr.head",
        "truncate starr.head",
        "delete from starr.runs",
        "truncate starr.runs, starr.leases",
        "delete from starr.checkpoints",
        "insert into starr.head values (1, '', 0, '', '', '')",
        "update starr.version set version = 0",
        "drop table starr.entries",
        "alter table starr.entries disable trigger all",
        "create table starr.mine (one integer)",
        "grant update on starr.entries to current_user",
    ] {
        let refused = recorder.execute(sql).await;
        // Granting what one does not have is a warning and gives nothing.
        if sql.starts_with("grant") {
            assert!(recorder.execute("update starr.entries set kind = 'x'").await.is_err());
            continue;
        }
        let code = refused
            .unwrap_err()
            .into_database_error()
            .map(|error| error.code().map(String::from));
        assert_eq!(code, Some(Some("42501".to_owned())), "{sql}");
    }
    recorder.close().await.unwrap();
    let verified = store.verify().await.unwrap();
    assert!(verified.is_intact() && verified.entries == 5, "{verified}");
}

#[tokio::test]
async fn servers_and_roles_that_cannot_be_trusted_are_refused() {
    let (place, server) = place().await;
    let unsynced = postgres::Server {
        allow_unsynced: false,
        ..server.clone()
    };
    let error = postgres::open(&unsynced).await.err().unwrap();
    assert!(
        error.message.contains("`fsync = off`, `synchronous_commit = off`") && error.message.contains("allow_unsynced"),
        "{error}"
    );
    // Nothing was made.
    let error = postgres::read(&server).await.err().unwrap();
    assert!(error.message.contains("nothing was recorded yet"), "{error}");
    let all = postgres::Server {
        host: None,
        socket: Some(place.server.folder.clone()),
        login: Login {
            user: "admin".to_owned(),
            password: None,
        },
        owner: None,
        ..server.clone()
    };
    let error = postgres::open(&all).await.err().unwrap();
    assert!(error.message.contains("superuser"), "{error}");
    let wrong = postgres::Server {
        login: Login {
            password: Some(SecretText::new("swordfish".to_owned())),
            ..server.login.clone()
        },
        ..server.clone()
    };
    let error = postgres::open(&wrong).await.err().unwrap();
    assert!(
        error.message.contains("does not let this role in") && !error.message.contains("swordfish"),
        "{error}"
    );
    let injected = postgres::Server {
        schema: "starr\"; drop schema public; --".to_owned(),
        ..server
    };
    let error = postgres::open(&injected).await.err().unwrap();
    assert!(error.message.contains("lower-case letters"), "{error}");
}

#[tokio::test]
async fn one_role_alone_gives_up_its_rights() {
    let (_place, server) = place().await;
    let alone = postgres::Server {
        login: server.owner.clone().unwrap(),
        owner: None,
        ..server
    };
    let store = postgres::open(&alone).await.unwrap();
    two_runs(&store).await;
    assert!(store.verify().await.unwrap().is_intact());
}

#[tokio::test]
async fn many_writers_of_several_processes_keep_one_chain() {
    let (place, server) = place().await;
    let stores = [
        Arc::new(postgres::open(&server).await.unwrap()),
        Arc::new(postgres::open(&server).await.unwrap()),
    ];
    let writers: Vec<_> = (0..64)
        .map(|writer: usize| {
            let store = stores[writer % 2].clone();
            tokio::spawn(async move {
                let run = store.begin(RunHeader::default()).await.unwrap();
                for number in 0..5 {
                    run.append("", &step(&format!("{writer} {number}"))).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let verified = stores[0].verify().await.unwrap();
    assert!(verified.is_intact(), "{verified}");
    assert_eq!((verified.entries, verified.runs), (320, 64));
    // Entries that came together went together: far fewer transactions than entries.
    let steps: i64 = sqlx::query_scalar("select count(distinct xmin::text) from starr.entries")
        .fetch_one(&mut place.admin().await)
        .await
        .unwrap();
    assert!(steps < 160, "{steps} transactions for 320 entries");
}

#[tokio::test]
async fn a_lease_changes_hands_once() {
    let (_place, server) = place().await;
    let store = postgres::open(&server).await.unwrap();
    let other = postgres::open(&server).await.unwrap();
    let run = store.begin(RunHeader::default()).await.unwrap();
    run.append("", &step("one")).await.unwrap();
    let id = run.run_id().to_owned();
    let lease = other.lease(&id).await.unwrap().unwrap();
    assert_eq!((lease.epoch, lease.state), (1, State::Held));
    let note = [step("taken over")];
    let (first, second) = futures::join!(
        other.take(&id, 1, RunHeader::default(), &note),
        store.take(&id, 1, RunHeader::default(), &note)
    );
    let mine = match (first.unwrap(), second.unwrap()) {
        (Taken::Mine(run), Taken::Others(_)) | (Taken::Others(_), Taken::Mine(run)) => run,
        _ => panic!("one of the two takes it"),
    };
    let error = run.append("", &step("late")).await.unwrap_err();
    assert!(error.message.contains("was taken over"), "{error}");
    mine.append("", &step("on")).await.unwrap();
    mine.release().await.unwrap();
    assert_eq!(store.lease(&id).await.unwrap().unwrap().state, State::Released);
    assert!(store.verify().await.unwrap().is_intact());
}

#[tokio::test]
async fn what_the_owner_edits_is_found() {
    for (sql, what) in [
        ("delete from starr.entries where sequence = 2", "is missing"),
        (
            "update starr.entries set kind = 'told' where sequence = 3",
            "column `kind`",
        ),
        (
            "update starr.payloads set body = 'x' where sequence = 1",
            "does not agree with its payload",
        ),
        ("delete from starr.payloads where sequence = 1", "has lost its payload"),
        ("update starr.head set root = '\\x00'", "the head's root does not agree"),
        ("update starr.runs set ended = null", "is listed otherwise"),
        ("update starr.leases set epoch = 7", "leased under epoch 7"),
        (
            "insert into starr.payloads values (77, '', '')",
            "has a payload but no entry",
        ),
        (
            "create table starr.more (one integer)",
            "`more` is not a table as starr makes it",
        ),
        (
            "create rule quiet as on delete to starr.entries do instead nothing",
            "`quiet` is not a table as starr makes it",
        ),
    ] {
        let (place, server) = place().await;
        let store = postgres::open(&server).await.unwrap();
        two_runs(&store).await;
        place
            .admin()
            .await
            .execute(AssertSqlSafe(sql.to_owned()))
            .await
            .unwrap();
        let verified = postgres::read(&server).await.unwrap().verify().await.unwrap();
        assert!(
            !verified.is_intact() && verified.to_string().contains(what),
            "{sql}: {verified}"
        );
    }
}

#[tokio::test]
async fn a_later_version_is_refused() {
    let (place, server) = place().await;
    two_runs(&postgres::open(&server).await.unwrap()).await;
    run(&mut place.admin().await, "update starr.version set version = 99").await;
    for error in [
        postgres::open(&server).await.err().unwrap(),
        postgres::read(&server).await.err().unwrap(),
    ] {
        assert!(error.message.contains("written by a later starr"), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_goes_away_is_final_for_the_handle() {
    let (place, server) = place().await;
    let store = postgres::open(&server).await.unwrap();
    let run = store.begin(RunHeader::default()).await.unwrap();
    run.append("", &step("one")).await.unwrap();
    let sql = "select count(pg_terminate_backend(pid)) from pg_stat_activity
                where application_name = 'starr journal' and datname = current_database()";
    place.admin().await.execute(sql).await.unwrap();
    let error = run.append("", &step("two")).await.unwrap_err();
    assert!(error.message.contains("cannot record an entry"), "{error}");
    let again = run.append("", &step("three")).await.unwrap_err();
    assert!(again.message.starts_with("The journal failed before"), "{again}");
    let verified = postgres::read(&server).await.unwrap().verify().await.unwrap();
    assert_eq!((verified.is_intact(), verified.entries), (true, 1));
}

#[tokio::test]
async fn every_command_works_on_it() {
    use std::os::unix::fs::PermissionsExt;
    let (place, server) = place().await;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (name, text) in [("recorder", "journal-secret"), ("owner", "app-secret")] {
        std::fs::write(path(name), text).unwrap();
        std::fs::set_permissions(path(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    std::fs::write(
        path("starr.yaml"),
        format!(
            "environments:
  test:
    journal:
      postgres:
        host: 127.0.0.1
        port: {port}
        database: {database}
        user: {user}
        password: {{ file: {recorder} }}
        owner: {{ user: app, password: {{ file: {owner} }} }}
        allow_unsynced: true
    grants:
      - {{ capability: host, effects: [read], all: true }}
",
            port = server.port,
            database = place.name,
            user = server.login.user,
            recorder = path("recorder").display(),
            owner = path("owner").display(),
        ),
    )
    .unwrap();
    let book = "runbook calm \"All is calm\" {\n  timebox 5 min then stop \"late\"\n  reads   host\n\n  situation {\n    \
                symptom strange \"Is the number of processors below one?\" {\n      read load = host.load()\n      \
                yes when load.cpus < 1\n    }\n  }\n\n  task {\n    goal not strange\n  }\n}\n";
    std::fs::write(path("calm.starr"), book).unwrap();
    let starr = |words: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_starr"))
            .args(words)
            .current_dir(folder.path())
            .env_clear()
            .env("HOME", folder.path())
            .env("STARR_CONFIG", path("starr.yaml"))
            .output()
            .unwrap();
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert_eq!(output.status.code(), Some(0), "{words:?}: {said}");
        assert!(
            !said.contains("journal-secret") && !said.contains("app-secret"),
            "{said}"
        );
        said
    };
    assert!(starr(&["run", "calm.starr"]).contains("NOT PRESENT"));
    assert!(starr(&["runs"]).contains("calm"));
    assert!(starr(&["show", "latest"]).contains("strange"));
    assert!(starr(&["report", "latest"]).contains("All is calm"));
    assert!(starr(&["journal", "verify"]).contains("intact"));
    assert!(!folder.path().join(".local").exists(), "a file was made beside");
}

/// What a chunk says is what its rows say, one by one: in a file and in a database.
#[tokio::test]
async fn what_is_read_many_at_once_is_what_is_read_one_by_one() {
    use futures::StreamExt;
    let (_place, server) = place().await;
    let folder = tempfile::tempdir().unwrap();
    let there = postgres::open(&server).await.unwrap();
    let here = Store::open(&folder.path().join("journal.db")).await.unwrap();
    for store in [&there, &here] {
        let (one, other) = (
            store.begin(RunHeader::default()).await.unwrap(),
            store.begin(RunHeader::default()).await.unwrap(),
        );
        let many: Vec<Event> = (0..700)
            .map(|number| step(&format!("größer als \0 ; {number}")))
            .collect();
        one.append_all("", &many).await.unwrap();
        other.append_all("", &many[..500]).await.unwrap();
        one.append("", &step(&"x".repeat(70_000))).await.unwrap();
        other.append_all("", &many[..40]).await.unwrap();
        let erased = Event::PayloadsErased {
            entries: vec![3, 4, 5],
            by: starr::journal::event::Person {
                name: "ann".to_owned(),
                by: "login".to_owned(),
            },
            because: "a test".to_owned(),
        };
        // The role that records into a database takes nothing away.
        let in_a_file = store.path().is_some();
        let last = if in_a_file { &erased } else { &many[0] };
        one.append("", last).await.unwrap();
        let mut reading = store.reading().await.unwrap();
        let reader = reading.reader();
        let rows: Vec<_> = reader.entries(Which::All).map(Result::unwrap).collect().await;
        assert_eq!(reader.extent().await.unwrap(), Some(1242));
        assert_eq!(rows.len(), 1242);
        let large = 1200;
        for first in (0..1242).step_by(100) {
            let count = 100.min(1242 - first);
            let chunk = reader.chunk(first, count).await.unwrap();
            let Some(many) = chunk.rows() else {
                assert!((first..first + count).contains(&large), "{first}");
                continue;
            };
            assert!(!(first..first + count).contains(&large), "{first}");
            assert_eq!(many.len() as u64, count);
            for (view, row) in many.iter().zip(&rows[usize::try_from(first).unwrap()..]) {
                let one = row.view();
                assert_eq!(
                    (
                        view.sequence,
                        view.run,
                        view.run_sequence,
                        view.part,
                        view.kind,
                        view.at
                    ),
                    (one.sequence, one.run, one.run_sequence, one.part, one.kind, one.at)
                );
                assert_eq!(
                    (view.bytes, view.leaf, view.salt, view.body),
                    (one.bytes, one.leaf, one.salt, one.body)
                );
            }
        }
        // Beyond the end there is none, and nobody is told that there were.
        assert!(reader.chunk(1242, 1).await.unwrap().rows().is_none());
        reading.done().await.unwrap();
        let verified = store.verify().await.unwrap();
        assert!(verified.is_intact() && verified.entries == 1242, "{verified}");
        assert_eq!(verified.payloads_erased, if in_a_file { 3 } else { 0 });
    }
}

/// Of runs that are to be alone one begins, whoever asks; when it is over or its holder is gone the next one does.
#[tokio::test]
async fn of_runs_about_the_same_one_begins() {
    use starr::journal::{About, Begun};
    let (_place, server) = place().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let two = [
        (
            postgres::open(&server).await.unwrap(),
            postgres::open(&server).await.unwrap(),
        ),
        (Store::open(&path).await.unwrap(), Store::open(&path).await.unwrap()),
    ];
    for (one, other) in two {
        let about = |subject: &str, alone: bool| {
            Some(About {
                subject: subject.to_owned(),
                alone,
            })
        };
        for round in 0..10 {
            let subject = format!("round {round}");
            // From two connections, and twice from the same one: those may share a step.
            let begin = async |store: &Store| store.begin_about(RunHeader::default(), about(&subject, true)).await;
            let (a, b, c, d) = tokio::join!(begin(&one), begin(&other), begin(&one), begin(&other));
            let mut mine = Vec::new();
            let mut named = Vec::new();
            for begun in [a, b, c, d] {
                match begun.unwrap() {
                    Begun::Mine(run) => mine.push(run),
                    Begun::UnderWay(run) => named.push(run),
                }
            }
            assert_eq!((mine.len(), named.len()), (1, 3));
            assert!(named.iter().all(|run| run == mine[0].run_id()), "{named:?}");
            // One that need not be alone begins beside it, and another subject is another thing.
            for begun in [about(&subject, false), about("something else", false), None] {
                let begun = other.begin_about(RunHeader::default(), begun).await.unwrap();
                let Begun::Mine(run) = begun else {
                    panic!("it need not be alone")
                };
                run.release().await.unwrap();
            }
            mine.remove(0).release().await.unwrap();
            match begin(&other).await.unwrap() {
                Begun::Mine(run) => run.release().await.unwrap(),
                Begun::UnderWay(run) => panic!("{run} is over"),
            }
        }
    }
}

/// A-CO-1: the decisions come over connections of their own, as from two machines.
#[tokio::test]
async fn of_two_decisions_in_the_same_instant_one_is_recorded() {
    use starr::journal::decisions::{Decided, Recording, Waiting};
    let (_place, server) = place().await;
    let store = postgres::open(&server).await.unwrap();
    let run = store.decisions().await.unwrap();
    let decision = |person: &str| Decided {
        person: person.to_owned(),
        approve: true,
        because: String::new(),
        proof: String::new(),
    };
    let (first, second) = (store.decisions().await.unwrap(), store.decisions().await.unwrap());
    for round in 0..20 {
        let id = format!("r{round}");
        let since = jiff::Timestamp::now();
        let waiting = Waiting {
            id: id.clone(),
            run: "a-run".to_owned(),
            body: "{}".to_owned(),
            since,
            until: since + jiff::SignedDuration::from_mins(15),
        };
        run.ask(&waiting).await.unwrap();
        let (alice, bob) = (decision("alice"), decision("bob"));
        let (one, other) = tokio::join!(first.decide(&id, &alice), second.decide(&id, &bob));
        let kept = run.decision(&id).await.unwrap().unwrap();
        let results = [one.unwrap(), other.unwrap()];
        let recorded = results.iter().filter(|result| **result == Recording::Recorded).count();
        assert_eq!(recorded, 1, "{results:?}");
        assert!(results.contains(&Recording::Already(kept)), "{results:?}");
    }
}
