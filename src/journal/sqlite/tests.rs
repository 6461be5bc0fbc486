use super::*;
use crate::journal::Journal as _;
use crate::journal::Taken;
use crate::journal::event::Event;
use crate::journal::verify::{Level, Trust};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

fn step(detail: &str) -> Event {
    Event::Step {
        what: "note".to_owned(),
        detail: detail.to_owned(),
    }
}

fn ended(outcome: &str) -> Event {
    Event::Ended {
        outcome: outcome.to_owned(),
        reason: String::new(),
        in_place: Vec::new(),
        duration_seconds: 1.0,
    }
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("state/journal.sqlite")
    }

    async fn store(&self) -> Store {
        Store::open(&self.path()).await.unwrap()
    }

    /// A second connection, as somebody has who edits the file.
    async fn editor(&self) -> SqliteConnection {
        SqliteConnectOptions::new()
            .filename(self.path())
            .foreign_keys(false)
            .connect()
            .await
            .unwrap()
    }

    async fn edit(&self, sql: &'static str) {
        self.editor().await.execute(sql).await.unwrap();
    }
}

/// Two runs, interleaved, six entries.
async fn two_runs(store: &Store) -> (Run, Run) {
    let first = store.begin(RunHeader::default()).await.unwrap();
    let second = store.begin(RunHeader::default()).await.unwrap();
    first.append("", &step("one")).await.unwrap();
    second.append("", &step("two")).await.unwrap();
    first.append_all("child", &[step("three"), step("four")]).await.unwrap();
    second.append("", &ended("resolved")).await.unwrap();
    first.append("", &ended("stopped")).await.unwrap();
    (first, second)
}

#[tokio::test]
async fn what_is_recorded_is_read_back_after_closing() {
    let place = Place::new();
    let (first, second) = {
        let store = place.store().await;
        let (first, second) = two_runs(&store).await;
        (first.run_id().to_owned(), second.run_id().to_owned())
    };
    let store = Store::read(&place.path()).await.unwrap();
    let entries = store.entries(&first).await.unwrap();
    let seen: Vec<_> = entries
        .iter()
        .map(|e| (e.sequence, e.run_sequence, e.scope.as_str(), e.kind.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            (0, 0, "", "step"),
            (2, 1, "child", "step"),
            (3, 2, "child", "step"),
            (5, 3, "", "ended")
        ]
    );
    assert_eq!(entries[1].event, Some(step("three")));
    assert_eq!(entries[0].run, first);
    let runs = store.runs(10).await.unwrap();
    assert_eq!(
        runs.iter().map(|run| run.id.as_str()).collect::<Vec<_>>(),
        [&second, &first]
    );
    assert_eq!(runs[0].ended.as_ref().unwrap().event, Some(ended("resolved")));
    assert_eq!(runs[0].entries, 2);
    let verified = store.verify().await.unwrap();
    assert_eq!((verified.level, verified.entries, verified.runs), (Level::Intact, 6, 2));
    assert_eq!(verified.on_this_file_alone, 6);
}

#[tokio::test]
async fn the_file_and_its_folder_are_for_this_user_alone() {
    let place = Place::new();
    let store = place.store().await;
    two_runs(&store).await;
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(place.path().parent().unwrap()), 0o700);
    for entry in std::fs::read_dir(place.path().parent().unwrap()).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
}

#[tokio::test]
async fn a_commit_is_synced() {
    let place = Place::new();
    place.store().await;
    let files = Arc::new(Files::new(&place.path(), Arc::new(System)).unwrap());
    let connection = &mut *Opening::new(&files, false).await.unwrap().connection;
    for (pragma, value) in [("synchronous", 2_i64), ("foreign_keys", 1), ("trusted_schema", 0)] {
        let row = sqlx::query(sqlx::AssertSqlSafe(format!("pragma {pragma}")))
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        assert_eq!(row.get::<i64, _>(0), value, "{pragma}");
    }
    let row = sqlx::query("pragma journal_mode")
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    assert_eq!(row.get::<String, _>(0), "wal");
}

#[tokio::test]
async fn runs_are_found_by_prefix_and_as_latest() {
    let place = Place::new();
    let store = place.store().await;
    assert_eq!(store.find("latest").await.unwrap(), Found::Nothing);
    let (first, second) = two_runs(&store).await;
    // A run that recorded nothing is not there.
    store.begin(RunHeader::default()).await.unwrap();
    assert_eq!(
        store.find("latest").await.unwrap(),
        Found::One(second.run_id().to_owned())
    );
    assert_eq!(
        store.find(first.run_id()).await.unwrap(),
        Found::One(first.run_id().to_owned())
    );
    assert_eq!(store.find("19").await.unwrap(), Found::Nothing);
    assert_eq!(store.find("%").await.unwrap(), Found::Nothing);
    assert_eq!(
        store.find("20").await.unwrap(),
        Found::Several(vec![second.run_id().to_owned(), first.run_id().to_owned()])
    );
}

#[tokio::test]
async fn several_writers_keep_one_chain() {
    let place = Place::new();
    let path = place.path();
    // None of them finds a store: they also race for making it.
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let path = path.clone();
            tokio::spawn(async move {
                let store = Store::open(&path).await.unwrap();
                let run = store.begin(RunHeader::default()).await.unwrap();
                for number in 0..25 {
                    run.append("", &step(&format!("{writer} {number}"))).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let verified = Store::read(&path).await.unwrap().verify().await.unwrap();
    assert_eq!((verified.entries, verified.runs), (100, 4));
    assert!(verified.is_intact(), "{verified}");
}

#[tokio::test]
async fn a_dropped_append_leaves_the_chain_whole() {
    let place = Place::new();
    let store = place.store().await;
    let run = store.begin(RunHeader::default()).await.unwrap();
    for polls in 0..40 {
        let event = step(&format!("{polls}"));
        let mut append = run.append("", &event);
        for _ in 0..polls {
            if futures::poll!(&mut append).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(append);
    }
    run.append("", &ended("resolved")).await.unwrap();
    let verified = store.verify().await.unwrap();
    assert!(verified.is_intact(), "{verified}");
}

#[tokio::test]
async fn a_later_version_is_refused_and_left_alone() {
    let place = Place::new();
    two_runs(&place.store().await).await;
    place.edit("pragma user_version = 99").await;
    for error in [
        Store::open(&place.path()).await.err().unwrap(),
        Store::read(&place.path()).await.err().unwrap(),
    ] {
        assert_eq!(
            error.message,
            format!(
                "Journal {}: cannot open it: it was written by a later starr (its tables have version 99, this starr knows {}). \
                 Use that version of starr; nothing was changed.",
                place.path().display(),
                schema::VERSION
            )
        );
    }
}

#[tokio::test]
async fn an_older_version_is_brought_up_to_date() {
    let mut steps = schema::STEPS.to_vec();
    steps.push("create table later (one integer) strict");
    let steps: &'static [&'static str] = steps.leak();
    let place = Place::new();
    two_runs(&place.store().await).await;
    let mut editor = place.editor().await;
    migrate(&mut editor, steps, &System).await.unwrap();
    let row = sqlx::query(
        "select (select user_version from pragma_user_version), (select size from head), (select count(*) from later)",
    )
    .fetch_one(&mut editor)
    .await
    .unwrap();
    assert_eq!(
        (row.get::<i64, _>(0), row.get::<i64, _>(1), row.get::<i64, _>(2)),
        (schema::VERSION + 1, 6, 0)
    );
    // A second time changes nothing.
    migrate(&mut editor, steps, &System).await.unwrap();
}

#[tokio::test]
async fn what_is_not_a_journal_is_refused_in_words() {
    let place = Place::new();
    let folder = place.folder.path();
    let text = folder.join("notes.txt");
    std::fs::write(
        &text,
        "This is not a database, but long enough to have a header. ".repeat(20),
    )
    .unwrap();
    let other = folder.join("other.sqlite");
    SqliteConnectOptions::new()
        .filename(&other)
        .create_if_missing(true)
        .connect()
        .await
        .unwrap()
        .execute("create table theirs (one integer)")
        .await
        .unwrap();
    let cases = [
        (text.clone(), "the file is not a journal (not an SQLite database)"),
        (other, "the file is an SQLite database of some other program"),
        (folder.to_owned(), "it is not a file"),
        (text.join("below/journal.sqlite"), "Not a directory"),
    ];
    for (path, words) in cases {
        let before = std::fs::read(&path).ok();
        let error = Store::open(&path).await.err().unwrap();
        assert!(error.message.contains(words), "{error}");
        assert_eq!(std::fs::read(&path).ok(), before);
    }
    let missing = Store::read(&folder.join("no/journal.sqlite")).await.err().unwrap();
    assert!(missing.message.contains("there is no such file"), "{missing}");
    assert!(!folder.join("no").exists());
}

#[tokio::test]
async fn a_store_that_can_only_be_read_takes_no_entry() {
    let place = Place::new();
    two_runs(&place.store().await).await;
    let store = Store::read(&place.path()).await.unwrap();
    let error = store.begin(RunHeader::default()).await.err().unwrap();
    assert!(error.message.contains("cannot begin a run"), "{error}");
    assert!(error.message.contains("it can only be read"), "{error}");
}

/// A store that may not grow.
struct Small(Sqlite);

impl Storage for Small {
    fn backup<'a>(&'a self, to: &'a Path) -> BoxFuture<'a, Result<(), Error>> {
        self.0.backup(to)
    }

    fn place(&self) -> String {
        self.0.place()
    }

    fn writer(&self) -> BoxFuture<'_, Result<Box<dyn Writer>, Error>> {
        Box::pin(async move {
            let files = &self.0.0;
            let mut opening = Opening::new(files, false).await?;
            opening.connection.execute("pragma max_page_count = 1").await.unwrap();
            let origin = opening.origin().await?;
            Ok(Box::new(writer::Connected {
                files: Arc::clone(files),
                connection: opening.connection,
                origin,
                boot: String::new(),
            }) as Box<dyn Writer>)
        })
    }

    fn reader(&self) -> BoxFuture<'_, Result<Box<dyn Reader>, Error>> {
        self.0.reader()
    }
}

#[tokio::test]
async fn a_full_store_is_final_for_the_handle() {
    let place = Place::new();
    place.store().await.close().await.unwrap();
    let files = Arc::new(Files::new(&place.path(), Arc::new(System)).unwrap());
    let store = Store::over(Arc::new(Small(Sqlite(files))), Arc::new(System))
        .await
        .unwrap();
    let run = store.begin(RunHeader::default()).await.unwrap();
    run.append("", &step("fits")).await.unwrap();
    let large = step(&"x".repeat(100_000));
    let error = run.append("", &large).await.unwrap_err();
    assert!(error.message.contains("there is no space left"), "{error}");
    assert!(error.message.contains("Free some space"), "{error}");
    // A small one would fit, but what the failure left behind is not known: this handle writes no more.
    let again = run.append("", &step("late")).await.unwrap_err();
    assert!(again.message.starts_with("The journal failed before"), "{again}");
    assert!(store.begin(RunHeader::default()).await.is_err());
    // A new handle finds everything that was acknowledged, and nothing else.
    let store = place.store().await;
    let verified = store.verify().await.unwrap();
    assert_eq!((verified.is_intact(), verified.entries), (true, 1));
}

#[tokio::test]
async fn a_deleted_or_replaced_file_is_noticed() {
    for replace in [false, true] {
        let place = Place::new();
        let store = place.store().await;
        let run = store.begin(RunHeader::default()).await.unwrap();
        run.append("", &step("one")).await.unwrap();
        let copy = place.folder.path().join("copy");
        std::fs::copy(place.path(), &copy).unwrap();
        std::fs::remove_file(place.path()).unwrap();
        if replace {
            std::fs::rename(&copy, place.path()).unwrap();
        }
        let error = run.append("", &step("two")).await.unwrap_err();
        assert!(error.message.contains("deleted or replaced"), "{error}");
        assert!(run.append("", &step("three")).await.is_err());
    }
}

#[tokio::test]
async fn a_writer_that_was_taken_over_is_refused() {
    let place = Place::new();
    let store = place.store().await;
    let run = store.begin(RunHeader::default()).await.unwrap();
    run.append("", &step("one")).await.unwrap();
    place.edit("update leases set epoch = 2").await;
    let error = run.append("", &step("two")).await.unwrap_err();
    assert!(
        error
            .message
            .contains("was taken over by another process (it has epoch 2, this one 1)"),
        "{error}"
    );
}

#[tokio::test]
async fn edits_of_the_file_are_found_and_named() {
    let cases: [(&'static str, Option<u64>, &str); 14] = [
        ("delete from entries where sequence = 2", Some(2), "is missing"),
        (
            "delete from entries where sequence = 5",
            Some(5),
            "the head counts 6 entries, 5 are there",
        ),
        (
            "update entries set bytes = (select bytes from entries where sequence = 1) where sequence = 4",
            Some(4),
            "does not agree with its stored hash",
        ),
        (
            "update entries set sequence = -1 where sequence = 2; update entries set sequence = 2 where sequence = 3;
             update entries set sequence = 3 where sequence = -1",
            Some(2),
            "says that it is entry 3",
        ),
        (
            "update entries set kind = 'told' where sequence = 3",
            Some(3),
            "column `kind`",
        ),
        (
            "update entries set at = at + 1 where sequence = 3",
            Some(3),
            "column `at`",
        ),
        (
            "delete from payloads where sequence = 1",
            Some(1),
            "has lost its payload",
        ),
        (
            "update payloads set body = cast(replace(cast(body as text), 'three', 'other') as blob) where sequence = 2",
            Some(2),
            "does not agree with its payload",
        ),
        (
            "update runs set ended = null where ended = 4",
            None,
            "is listed otherwise",
        ),
        ("delete from runs where number = 1", None, "is not listed"),
        ("update leases set epoch = 7", None, "leased under epoch 7"),
        (
            "update head set root = zeroblob(32)",
            Some(5),
            "the head's root does not agree",
        ),
        (
            "create trigger quiet after insert on entries begin delete from payloads; end",
            None,
            "`quiet` is not a table as starr makes it",
        ),
        (
            "insert into payloads values (77, zeroblob(32), x'00')",
            Some(77),
            "has a payload but no entry",
        ),
    ];
    for (sql, entry, what) in cases {
        let place = Place::new();
        two_runs(&place.store().await).await;
        place.edit(sql).await;
        let verified = Store::read(&place.path()).await.unwrap().verify().await.unwrap();
        assert_eq!(verified.level, Level::Broken, "{sql}");
        let found = verified
            .findings
            .iter()
            .any(|finding| finding.what.contains(what) && (entry.is_none() || finding.entry == entry));
        assert!(found, "{sql}: {verified}");
    }
}

#[tokio::test]
async fn a_damaged_entry_is_not_shown() {
    for (sql, words) in [
        (
            "update payloads set body = cast('{\"event\":\"not_present\"}' as blob) where sequence = 2",
            "the payload of entry 2 does not agree with its hash",
        ),
        (
            "update entries set leaf = zeroblob(32) where sequence = 3",
            "entry 3 does not agree with its hash",
        ),
        (
            "delete from entries where sequence = 2",
            "entry 1 of the run is missing",
        ),
        ("delete from entries where sequence = 5", "3 of 4 entries are there"),
    ] {
        let place = Place::new();
        let (run, _) = two_runs(&place.store().await).await;
        place.edit(sql).await;
        let error = Store::read(&place.path())
            .await
            .unwrap()
            .entries(run.run_id())
            .await
            .unwrap_err();
        assert!(error.message.contains(words), "{error}");
    }
}

#[tokio::test]
async fn verifying_reads_one_snapshot_while_others_write() {
    let place = Place::new();
    let store = place.store().await;
    let run = store.begin(RunHeader::default()).await.unwrap();
    let reader = Store::read(&place.path()).await.unwrap();
    let write = async {
        for number in 0..60 {
            run.append("", &step(&number.to_string())).await.unwrap();
        }
    };
    let verify = async {
        let mut seen = 0;
        while seen < 60 {
            let verified = reader.verify().await.unwrap();
            assert!(verified.is_intact(), "{verified}");
            assert!(verified.entries >= seen);
            seen = verified.entries;
        }
    };
    futures::join!(write, verify);
}

/// The events of the store in `tests/golden`.
fn golden() -> Vec<Event> {
    vec![
        Event::Goal {
            text: "not pool_full".to_owned(),
            answer: crate::value::Answer::Unknown,
        },
        step("größer than 90 %"),
        Event::Severity {
            name: Some("sev1".to_owned()),
            was: None,
            because: "pool_full".to_owned(),
        },
        step("in a called runbook"),
        ended("resolved"),
    ]
}

/// A journal that an earlier build wrote, in a folder of its own.
fn golden_place() -> Place {
    let place = Place::new();
    std::fs::create_dir(place.path().parent().unwrap()).unwrap();
    std::fs::write(place.path(), include_bytes!("../../../tests/golden/journal-1.sqlite")).unwrap();
    place
}

#[tokio::test]
async fn a_journal_of_format_1_is_read_and_verified() {
    let place = golden_place();
    let store = Store::read(&place.path()).await.unwrap();
    let verified = store.verify().await.unwrap();
    assert!(verified.is_intact(), "{verified}");
    assert_eq!(
        (
            verified.root.as_str(),
            verified.origin.as_str(),
            verified.entries,
            verified.runs
        ),
        (
            "15042a1a6ccff71b32d2516b5efb2046dd303b4d89f52f2e3207b1a7de22a633",
            "b626035996513942643ea206056b9351",
            6,
            2
        )
    );
    let entries = store.entries("20261122-0508-eb8h").await.unwrap();
    let events: Vec<Event> = entries.into_iter().filter_map(|entry| entry.event).collect();
    assert_eq!(events, golden());
}

#[tokio::test]
async fn a_flipped_bit_anywhere_in_the_file_is_found_or_changes_nothing() {
    const RUN: &str = "20261122-0508-eb8h";
    let bytes = include_bytes!("../../../tests/golden/journal-1.sqlite");
    let whole = Store::read(&golden_place().path())
        .await
        .unwrap()
        .entries(RUN)
        .await
        .unwrap();
    let mut found = 0;
    // A stride that is prime to the page size: every region of the file is met.
    for bit in (0..bytes.len() * 8).step_by(1_009) {
        let place = golden_place();
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(place.path(), &flipped).unwrap();
        let Ok(store) = Store::read(&place.path()).await else {
            found += 1;
            continue;
        };
        match store.verify().await {
            Ok(verified) if verified.is_intact() => {
                assert_eq!(store.entries(RUN).await.as_ref(), Ok(&whole), "byte {}", bit / 8);
            }
            _ => found += 1,
        }
    }
    assert!(found > 20, "{found}");
}

#[tokio::test]
async fn erased_payloads_are_gone_from_every_byte_and_the_log_still_verifies() {
    const CANARY: &str = "canary-4f1d9c07b2";
    let place = Place::new();
    let store = place.store().await;
    let run = store.begin(RunHeader::default()).await.unwrap();
    for number in 0..30 {
        run.append("", &step(&format!("{CANARY} {number} {}", "x".repeat(3000))))
            .await
            .unwrap();
    }
    let other = store.begin(RunHeader::default()).await.unwrap();
    other.append("", &step("stays")).await.unwrap();
    let bytes = || {
        let wal = place.path().with_extension("sqlite-wal");
        let wal = std::fs::read(place.path().parent().unwrap().join(wal.file_name().unwrap())).unwrap_or_default();
        [std::fs::read(place.path()).unwrap(), wal].concat()
    };
    let seen = |bytes: Vec<u8>| bytes.windows(CANARY.len()).any(|part| part == CANARY.as_bytes());
    assert!(seen(bytes()));
    let by = crate::journal::event::Person {
        name: "maria".to_owned(),
        by: "login".to_owned(),
    };
    let erased = store.erase(run.run_id(), "retention", &by).await.unwrap();
    assert_eq!((erased.payloads, erased.entry, erased.gone), (30, Some(31), true));
    assert!(!seen(bytes()), "a payload is still in the file");
    let verified = store.verify().await.unwrap();
    assert!(verified.is_intact(), "{verified}");
    assert_eq!((verified.payloads_erased, verified.entries), (30, 32));
    let entries = store.entries(run.run_id()).await.unwrap();
    assert!(entries[..30].iter().all(|entry| entry.event.is_none()));
    assert!(matches!(&entries[30].event, Some(Event::PayloadsErased { because, .. }) if because == "retention"));
    assert_eq!(entries[30].actor, "maria");
    // A second time there is nothing to do, and nothing is recorded.
    let again = store.erase(run.run_id(), "retention", &by).await.unwrap();
    assert_eq!((again.payloads, again.entry), (0, None));
    // A payload that is lost without an entry that says so is found.
    place.edit("delete from payloads where sequence = 30").await;
    let verified = store.verify().await.unwrap();
    assert!(
        verified.to_string().contains("entry 30 has lost its payload"),
        "{verified}"
    );
    assert!(store.erase("nobody", "x", &by).await.is_err());
}

#[tokio::test]
async fn a_backup_holds_what_is_only_in_the_write_ahead_log() {
    let place = Place::new();
    let store = place.store().await;
    two_runs(&store).await;
    let copy = place.folder.path().join("copy.sqlite");
    store.backup(&copy).await.unwrap();
    let (here, there) = (
        store.verify().await.unwrap(),
        Store::read(&copy).await.unwrap().verify().await.unwrap(),
    );
    assert!(there.is_intact(), "{there}");
    assert_eq!((here.root, here.entries), (there.root, there.entries));
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let again = store.backup(&copy).await.unwrap_err();
    assert!(again.message.contains("exists"), "{again}");
}

#[tokio::test]
async fn checkpoints_are_kept_and_verified() {
    use crate::journal::key;
    use crate::journal::ledger::Ledger as _;
    let place = Place::new();
    let store = place.store().await;
    let signer = key::generate("ops").unwrap();
    let other = key::generate("later").unwrap();
    two_runs(&store).await;
    let standing = store.head().await.unwrap();
    for signers in [[&signer], [&other]] {
        let note = standing.checkpoint().signed(&signers);
        store.keep(&standing.frontier, &note).await.unwrap();
    }
    let trust = || Trust {
        keys: vec![signer.verifier().clone()],
        ..Trust::default()
    };
    let verified = store.verify_with(trust()).await.unwrap();
    assert_eq!(
        (verified.level, verified.on_this_file_alone),
        (Level::Signed, 0),
        "{verified}"
    );
    assert_eq!(verified.reach.unknown_keys.len(), 1);
    // Without the key in the policy the log is intact, not more.
    let verified = store.verify().await.unwrap();
    assert_eq!(
        (verified.level, verified.on_this_file_alone),
        (Level::Intact, 6),
        "{verified}"
    );
    for (sql, words) in [
        (
            "update checkpoints set frontier = zeroblob(64)",
            "stored with another frontier",
        ),
        ("update checkpoints set size = 5", "says size 6"),
        (
            "update checkpoints set digest = zeroblob(32)",
            "does not agree with its hash",
        ),
        (
            "update checkpoints set note = x'00', digest = x'00'",
            "does not agree with its hash",
        ),
    ] {
        let broken = Place::new();
        std::fs::create_dir(broken.path().parent().unwrap()).unwrap();
        store.backup(&broken.path()).await.unwrap();
        broken.edit(sql).await;
        let verified = Store::read(&broken.path())
            .await
            .unwrap()
            .verify_with(trust())
            .await
            .unwrap();
        assert_eq!(verified.level, Level::Broken, "{sql}");
        assert!(verified.to_string().contains(words), "{sql}: {verified}");
    }
}

#[tokio::test]
async fn a_journal_of_the_first_version_is_brought_up_to_date_and_goes_on() {
    let place = golden_place();
    let store = place.store().await;
    let run = store.begin(RunHeader::default()).await.unwrap();
    assert_eq!(run.append("", &step("newer")).await, Ok(6));
    let verified = store.verify().await.unwrap();
    assert!(verified.is_intact(), "{verified}");
    let lease = store.lease("20261122-0508-eb8h").await.unwrap().unwrap();
    assert_eq!((lease.epoch, lease.is_free()), (1, false));
}

#[tokio::test]
async fn of_two_who_take_a_run_one_succeeds_and_the_epoch_keeps_the_old_one_out() {
    let place = Place::new();
    let store = place.store().await;
    let other = place.store().await;
    let run = store.begin(RunHeader::default()).await.unwrap();
    let id = run.run_id().to_owned();
    run.append("", &step("one")).await.unwrap();
    let lease = other.lease(&id).await.unwrap().unwrap();
    // This process holds it and it runs.
    assert_eq!((lease.epoch, &lease.state), (1, &crate::journal::lease::State::Held));
    let header = |holder: &str| RunHeader {
        holder: holder.to_owned(),
        ..RunHeader::default()
    };
    let note = [step("taken over by maria: the first one hangs")];
    let (first, second) = futures::join!(
        other.take(&id, 1, header("maria"), &note),
        store.take(&id, 1, header("otto"), &note),
    );
    let (mine, lease) = match (first.unwrap(), second.unwrap()) {
        (Taken::Mine(run), Taken::Others(lease)) | (Taken::Others(lease), Taken::Mine(run)) => (run, lease),
        _ => panic!("one of the two takes it, the other is told"),
    };
    assert_eq!((mine.epoch(), lease.epoch), (2, 2));
    assert!(
        lease.to_string().starts_with("owned by maria since 2")
            || lease.to_string().starts_with("owned by otto since 2"),
        "{lease}"
    );
    let error = run.append("", &step("late")).await.unwrap_err();
    assert!(error.message.contains("was taken over"), "{error}");
    mine.append("", &step("on")).await.unwrap();
    let kinds: Vec<u64> = store
        .entries(&id)
        .await
        .unwrap()
        .iter()
        .map(|entry| entry.run_sequence)
        .collect();
    assert_eq!(kinds, [0, 1, 2]);
    assert!(store.verify().await.unwrap().is_intact());
    assert!(matches!(
        store.take("no-such-run", 1, header("maria"), &note).await.unwrap(),
        Taken::NoSuchRun
    ));
    mine.release().await.unwrap();
    let lease = store.lease(&id).await.unwrap().unwrap();
    assert!(lease.is_free(), "{lease}");
}
