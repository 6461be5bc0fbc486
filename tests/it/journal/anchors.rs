//! Anchors: what each keeps, what it refuses, and that a change waits for those that are demanded.

use super::log::{Log, approved, ended, signer, step};
use super::server::{CREDENTIAL, Server};
use starr::journal::anchor::{self, File, Git, Https, Item, Offer, Refusal, Sink, Witness};
use starr::journal::event::{Event, Purpose};
use starr::journal::ledger::Ledger as _;
use starr::journal::policy::{NOTES, Place};
use starr::journal::seal::{Sealed, Sealing};
use starr::journal::sqlite::{RunHeader, Store};
use starr::journal::verify::{Level, Trust};
use starr::journal::{Journal, judge, policy::Policy};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

fn git(folder: &Path, words: &[&str]) {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@localhost",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(words)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

async fn offer(sink: &dyn Sink, store: &Store) -> Result<(), Refusal> {
    let standing = store.head().await.unwrap();
    let note = standing.checkpoint().signed(&[&signer()]);
    store.keep(&standing.frontier, &note).await.unwrap();
    let offer = Offer {
        ledger: store,
        standing: &standing,
        note: Some(&note),
    };
    sink.keep(&offer).await.map(|_| ())
}

#[tokio::test]
async fn every_place_keeps_what_it_is_given_and_refuses_another_history() {
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("audit");
    std::fs::create_dir(&repository).unwrap();
    git(&repository, &["init", "--quiet"]);
    git(&repository, &["commit", "--quiet", "--allow-empty", "-m", "one"]);
    let server = Server::start(signer().verifier().clone(), 9);
    let lines = format!("{}/lines", server.url);
    let places = [
        (
            Box::new(File(folder.path().join("anchors"))) as Box<dyn Sink>,
            Place::File(folder.path().join("anchors")),
        ),
        (
            Box::new(Git {
                repository: repository.clone(),
                reference: NOTES.to_owned(),
                remote: None,
            }),
            Place::Git {
                repository: repository.clone(),
                reference: NOTES.to_owned(),
            },
        ),
        (
            Box::new(Https::new(&lines).unwrap()),
            Place::Https {
                url: lines.clone(),
                bearer: None,
            },
        ),
    ];
    let path = folder.path().join("journal.db");
    let store = Store::open(&path).await.unwrap();
    let run = store.begin(RunHeader::default()).await.unwrap();
    for number in 0..3 {
        run.append("", &step(&number.to_string())).await.unwrap();
        if number == 1 {
            // Another commit: the notes of the one before still count.
            git(&repository, &["commit", "--quiet", "--allow-empty", "-m", "two"]);
        }
        for (sink, place) in &places {
            offer(&**sink, &store).await.unwrap();
            // A second time is no second line, but for the server, which only listens.
            offer(&**sink, &store).await.unwrap();
            let known = anchor::read(place).await.unwrap();
            let newest = known.iter().max_by_key(|statement| statement.size).unwrap();
            let standing = store.head().await.unwrap();
            assert_eq!(
                (newest.size, &newest.origin),
                (number + 1, &standing.checkpoint().origin)
            );
            assert!(newest.agrees(&standing.frontier.root()));
        }
    }
    assert_eq!(
        std::fs::read_to_string(folder.path().join("anchors"))
            .unwrap()
            .lines()
            .count(),
        3
    );
    // An older copy that goes on: the places that compare refuse it.
    let old = folder.path().join("old.db");
    store.backup(&old).await.unwrap();
    let mut forged = super::forge::Forged::read(&old).await;
    forged.items.truncate(2);
    forged.notes.clear();
    forged.write(&old, true).await;
    let old = Store::open(&old).await.unwrap();
    for (sink, _) in &places[..2] {
        let refused = offer(&**sink, &old).await.unwrap_err();
        assert!(
            matches!(&refused, Refusal::Contradicted(why) if why.contains("3 entries were anchored there, and 2 are here"))
        );
    }
    let again = old.begin(RunHeader::default()).await.unwrap();
    again.append("", &step("another")).await.unwrap();
    for (sink, _) in &places[..2] {
        let refused = offer(&**sink, &old).await.unwrap_err();
        assert!(
            matches!(&refused, Refusal::Contradicted(why) if why.contains("the root of 3 entries is another")),
            "{refused}"
        );
    }
    // All of them as anchors of one policy.
    let text = format!(
        "anchor file {}\nanchor git {}\nanchor https {lines}\nanchors-needed 3\nrequire anchored\n",
        folder.path().join("anchors").display(),
        repository.display()
    );
    let policy = Policy::parse(&text).unwrap();
    let verified = store.verify_with(judge::trust(&policy).await).await.unwrap();
    assert_eq!(
        (verified.level, verified.reach.anchored),
        (Level::Anchored, Some(3)),
        "{verified}"
    );
    let verified = old.verify_with(judge::trust(&policy).await).await.unwrap();
    assert_eq!(verified.level, Level::Broken);
    // One that cannot be read is said, and is one fewer.
    let gone = text.replace("/anchors\n", "/gone\n");
    let verified = store
        .verify_with(judge::trust(&Policy::parse(&gone).unwrap()).await)
        .await
        .unwrap();
    assert_eq!(verified.level, Level::Intact);
    assert!(
        verified.to_string().contains("/gone: cannot be read: No such file"),
        "{verified}"
    );
    assert!(
        verified
            .to_string()
            .contains("No signature or anchor that is trusted here"),
        "{verified}"
    );
}

#[tokio::test]
async fn a_witness_takes_growth_and_nothing_else() {
    let log = Log::new().await;
    let store = Store::open(&log.store()).await.unwrap();
    let witness = Witness::new(log.server.key.clone(), &log.server.url).unwrap();
    let run = store.begin(RunHeader::default()).await.unwrap();
    for number in 0..20 {
        run.append("", &step(&number.to_string())).await.unwrap();
        if number % 3 == 0 {
            offer(&witness, &store).await.unwrap();
        }
    }
    // The store has forgotten what was cosigned: the witness says where it stands, and the proof is made from there.
    let forgetful = log.folder.path().join("forgetful.db");
    store.backup(&forgetful).await.unwrap();
    let mut forged = super::forge::Forged::read(&forgetful).await;
    forged.notes.clear();
    forged.write(&forgetful, true).await;
    offer(&witness, &Store::open(&forgetful).await.unwrap()).await.unwrap();
    // Another history of the same size, a larger one, a smaller one.
    for (entries, words) in [
        (34, "is another"),
        (40, "not the beginning"),
        (30, "were witnessed, and 30 are here"),
    ] {
        let other = log.folder.path().join(format!("{entries}.db"));
        store.backup(&other).await.unwrap();
        let mut forged = super::forge::Forged::read(&other).await;
        let last = forged.items[33].clone();
        forged.items.truncate(entries.min(33));
        forged.items.resize(entries, last);
        forged.items[20].body = b"{}".to_vec();
        forged.rehash();
        forged.notes.clear();
        forged.write(&other, true).await;
        let refused = offer(&witness, &Store::open(&other).await.unwrap()).await.unwrap_err();
        assert!(
            matches!(&refused, Refusal::Contradicted(why) if why.contains(words)),
            "{entries}: {refused}"
        );
    }
    // A key that the witness does not know.
    let stranger = Server::start(starr::journal::key::generate("stranger").unwrap().verifier().clone(), 3);
    let refused = offer(&Witness::new(stranger.key, &stranger.url).unwrap(), &store)
        .await
        .unwrap_err();
    assert_eq!(
        refused,
        Refusal::Unusable("it does not know the key that signed (403)".to_owned())
    );
    assert!(Witness::new(signer().verifier().clone(), "https://w.example").is_err());
    assert!(Https::new("http://sink.example/").is_err());
}

fn intent() -> Event {
    Event::Intent {
        id: "1".to_owned(),
        action: "restart".to_owned(),
        purpose: Purpose::Do,
        operation: "host.restart".to_owned(),
        class: "U".to_owned(),
        key: None,
        arguments: Vec::new(),
        targets: Vec::new(),
        before: None,
        approval: None,
    }
}

/// P6: without the anchors that are demanded there is no intent, and so no change.
#[tokio::test]
async fn a_change_waits_for_the_anchors_that_are_demanded() {
    let folder = tempfile::tempdir().unwrap();
    let (path, anchors) = (folder.path().join("journal.db"), folder.path().join("anchors"));
    let store = Store::open(&path).await.unwrap();
    let run = Arc::new(store.begin(RunHeader::default()).await.unwrap());
    let shown: Arc<Mutex<Vec<Event>>> = Arc::default();
    let sealing = Sealing {
        ledger: Arc::new(Store::open(&path).await.unwrap()),
        signer: Some(signer()),
        sinks: vec![
            Box::new(File(anchors.clone())),
            Box::new(File(folder.path().join("no/such/folder/anchors"))),
        ],
        needed: 2,
        every: 5,
    };
    let seen = shown.clone();
    let sealed = Sealed::new(
        run.clone(),
        Arc::new(sealing),
        Box::new(move |event| seen.lock().unwrap().push(event.clone())),
    );
    sealed.append("", &step("one")).await.unwrap();
    sealed.append("", &approved("restart")).await.unwrap();
    let refused = sealed.append("", &intent()).await.unwrap_err();
    assert!(
        refused
            .message
            .starts_with("Nothing was sent: 2 anchors are demanded before a change, and 1 of 2 took"),
        "{refused}"
    );
    let entries = store.entries(run_id(&sealed)).await.unwrap();
    let kinds: Vec<&str> = entries.iter().map(|entry| entry.kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["step", "approved", "anchor_failed"],
        "the failure is recorded, the intent is not"
    );
    assert_eq!(shown.lock().unwrap().len(), 1, "and it is shown");
    // The place is there again: the same change goes on, and everything before it is anchored.
    std::fs::create_dir_all(folder.path().join("no/such/folder")).unwrap();
    sealed.append("", &intent()).await.unwrap();
    let known = anchor::read(&Place::File(anchors.clone())).await.unwrap();
    assert_eq!(known.iter().map(|statement| statement.size).collect::<Vec<_>>(), [2, 3]);
    // Every five entries a checkpoint, and an anchor at the end.
    for number in 0..6 {
        sealed.append("", &step(&number.to_string())).await.unwrap();
    }
    sealed.append("", &ended()).await.unwrap();
    let sizes: Vec<i64> = store.checkpoints().await.unwrap().iter().map(|row| row.size).collect();
    assert_eq!(
        sizes,
        [2, 3, 8, 11],
        "before the change twice, after five entries, at the end"
    );
    let policy = format!(
        "key {}\nanchor file {}\nrequire anchored\ntail-at-most 0\n",
        signer().verifier().encode(),
        anchors.display()
    );
    let policy = Policy::parse(&policy).unwrap();
    let verified = store.verify_with(judge::trust(&policy).await).await.unwrap();
    assert_eq!(policy.demand.missing(&verified), None, "{verified}");
    assert_eq!(verified.summary(), "anchored (11)");
}

fn run_id(sealed: &Sealed) -> &str {
    sealed.run_id()
}

/// A snapshot never holds less than an anchor that was read before it, also while others write.
#[tokio::test]
async fn verifying_while_others_write_and_anchor_raises_no_false_alarm() {
    let log = Log::new().await;
    let store = Store::open(&log.store()).await.unwrap();
    let run = store.begin(RunHeader::default()).await.unwrap();
    let sealing = log.sealing(&log.store()).await;
    let policy = Policy::parse(&log.policies()[2].1).unwrap();
    let write = async {
        for number in 0..25 {
            run.append("", &step(&number.to_string())).await.unwrap();
            assert!(sealing.anchor().await.unwrap().failed.is_empty());
        }
    };
    let verify = async {
        let reader = Store::read(&log.store()).await.unwrap();
        let mut entries = 0;
        while entries < 39 {
            let verified = reader.verify_with(judge::trust(&policy).await).await.unwrap();
            assert_eq!(policy.demand.missing(&verified), None, "{verified}");
            entries = verified.entries;
        }
    };
    futures::join!(write, verify);
    let trusting = store.verify_with(Trust::default()).await.unwrap();
    assert_eq!(trusting.level, Level::Intact);
}

/// A server that demands a credential gets it from where the configuration names it; it is in no message and no reply's words.
#[tokio::test]
async fn a_credential_reaches_the_server_alone() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(signer().verifier().clone(), 9);
    let store = Store::open(&folder.path().join("journal.db")).await.unwrap();
    let run = store.begin(RunHeader::default()).await.unwrap();
    run.append("", &step("one")).await.unwrap();
    let secret = |name: &str, text: &str, mode: u32| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let right = secret("right", &format!("{CREDENTIAL}\n"), 0o600);
    let wrong = secret("wrong", "swordfish-is-wrong\n", 0o600);
    let open = secret("open", CREDENTIAL, 0o644);
    let broken = secret("broken", "two\nlines-of-a-secret\n", 0o600);
    let url = format!("{}/kept?for=ops", server.url);
    let item = |path: &Path| -> Item {
        let text = format!("https: {{ url: '{url}', bearer: {{ file: {} }} }}", path.display());
        serde_yaml::from_str(&text).unwrap()
    };
    let sink = |path: &Path| item(path).sink(Arc::new(|_| {})).unwrap();
    offer(&*sink(&right), &store).await.unwrap();
    assert_eq!(server.lines.lock().unwrap().lines().count(), 1);
    for (path, words) in [
        (&wrong, "it answered 401"),
        (&open, "chmod 600"),
        (&broken, "a character that no header can hold"),
        (&folder.path().join("none"), "cannot open"),
    ] {
        let refused = offer(&*sink(path), &store).await.unwrap_err().to_string();
        assert!(refused.contains(words), "{refused}");
        for secret in [CREDENTIAL, "swordfish", "lines-of-a-secret"] {
            assert!(!refused.contains(secret), "{refused}");
        }
    }
    assert!(!sink(&right).place().contains('?'), "{}", sink(&right).place());
    assert_eq!(
        serde_yaml::from_str::<Item>(&format!("https: {url}"))
            .unwrap()
            .sink(Arc::new(|_| {}))
            .unwrap()
            .place(),
        sink(&right).place()
    );
    let written_there =
        serde_yaml::from_str::<Item>(&format!("https: {{ url: '{url}', bearer: swordfish }}")).unwrap_err();
    assert!(!written_there.to_string().lines().next().unwrap().contains("swordfish"));

    // The verifier's policy names it by its source as well, and both verifiers read it.
    let text = |path: &Path| format!("anchor https {url} bearer file {}\nrequire anchored\n", path.display());
    let file = folder.path().join("policy");
    for (path, reached) in [(&right, Some(1)), (&wrong, None)] {
        std::fs::write(&file, text(path)).unwrap();
        let policy = Policy::parse(&text(path)).unwrap();
        let verified = store.verify_with(judge::trust(&policy).await).await.unwrap();
        assert_eq!(verified.reach.anchored, reached, "{verified}");
        assert!(!verified.to_string().contains("swordfish"), "{verified}");
        let second = &super::second::verify(&[folder.path().join("journal.db")], &file)[0];
        super::second::agree(&verified, policy.demand, second, "with a credential");
    }
    let refused = Policy::parse(&format!("anchor https {url} bearer swordfish\n")).unwrap_err();
    assert!(
        refused.contains("bearer env NAME") && !refused.contains("swordfish"),
        "{refused}"
    );
}
