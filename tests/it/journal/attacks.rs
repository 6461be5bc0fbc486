//! Every attack on a stored log, by every attacker, at every level of protection, through both verifiers.
//!
//! A0 damages the file without computing anything anew. A1 can write the whole file and computes everything anew, but has no
//! key. A2 has the signing key too. Nobody of them can write the anchor or the witness.

use super::forge::Forged;
use super::log::{Log, approved, signer, step};
use super::second;
use starr::journal::judge;
use starr::journal::note::{Algorithm, Signer};
use starr::journal::policy::Policy;
use starr::journal::sqlite::Store;
use starr::journal::verify::Level;
use std::path::PathBuf;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attacker {
    A0,
    A1,
    A2,
}

pub use Attacker::{A0, A1, A2};

/// What is done to the entries.
pub type Attack = fn(&mut Forged);

/// Who is found out under hashes alone, with signatures, with an anchor, with a witness.
pub type Found = [&'static [Attacker]; 4];

const NOBODY: &[Attacker] = &[];
const ACCIDENT: &[Attacker] = &[A0];
const NO_KEY: &[Attacker] = &[A0, A1];
pub const ALL: &[Attacker] = &[A0, A1, A2];

const USUAL: Found = [ACCIDENT, NO_KEY, ALL, ALL];
/// An older checkpoint is still valid: no signature tells that the end is gone.
const END: Found = [ACCIDENT, ACCIDENT, ALL, ALL];

pub const ATTACKS: [(&str, Attack, Found); 12] = [
    ("nothing at all", |_| {}, [NOBODY, NOBODY, NOBODY, NOBODY]),
    (
        "edit one entry's payload",
        |log| log.items[5].body = serde_json::to_vec(&approved("drop everything")).unwrap(),
        USUAL,
    ),
    (
        "edit who did it",
        |log| {
            log.items[5].entry.actor = "mallory".to_owned();
            let at = log.items[5].bytes.windows(5).position(|part| part == b"maria").unwrap();
            log.items[5].bytes[at] = b'M';
        },
        USUAL,
    ),
    (
        "delete in the middle",
        |log| {
            log.items.remove(5);
        },
        USUAL,
    ),
    ("reorder", |log| log.items.swap(4, 7), USUAL),
    (
        "repeat an entry",
        |log| {
            let again = log.items[5].clone();
            log.items.insert(6, again);
        },
        USUAL,
    ),
    (
        "insert and date back",
        |log| {
            let mut item = log.items[4].clone();
            item.body = serde_json::to_vec(&step("was always here")).unwrap();
            item.entry.wall_nanoseconds -= 3_600_000_000_000;
            log.items.insert(5, item);
        },
        USUAL,
    ),
    (
        "drop a whole run",
        |log| {
            let run = log.items[4].entry.run.clone();
            log.items.retain(|item| item.entry.run != run);
        },
        USUAL,
    ),
    (
        "move an approval to another run",
        |log| log.items[5].entry.run = log.items[0].entry.run.clone(),
        // The table's cache of the run is all that changes when nothing is hashed anew.
        USUAL,
    ),
    ("cut the tail at a checkpoint", |log| log.items.truncate(8), END),
    (
        "put back an old copy and go on, to a smaller size",
        |log| {
            log.items.truncate(10);
            for item in &mut log.items[8..] {
                item.body = serde_json::to_vec(&step("another history")).unwrap();
            }
        },
        END,
    ),
    (
        "show somebody a log that differs after the eighth entry",
        |log| {
            for item in &mut log.items[8..] {
                item.body = serde_json::to_vec(&step("another history")).unwrap();
            }
        },
        USUAL,
    ),
];

#[tokio::test]
async fn every_attack_by_every_attacker_at_every_level() {
    let log = Log::new().await;
    let folder = log.folder.path();
    let mut cells = Vec::new();
    for (number, (name, attack, found)) in ATTACKS.iter().enumerate() {
        for attacker in ALL {
            let path = folder.join(format!("{number}-{attacker:?}.db"));
            forge(&log, &path, *attack, *attacker).await;
            cells.push((format!("{name}, by {attacker:?}"), *attacker, *found, path));
        }
    }
    for (level, (protection, text)) in log.policies().iter().enumerate() {
        let file = folder.join(format!("{protection}.policy"));
        std::fs::write(&file, text).unwrap();
        let policy = Policy::parse(text).unwrap();
        let paths: Vec<PathBuf> = cells.iter().map(|(.., path)| path.clone()).collect();
        let seconds = second::verify(&paths, &file);
        let mut exports = Vec::new();
        for ((about, attacker, found, path), second) in cells.iter().zip(&seconds) {
            let about = format!("{about}, protected by {protection}");
            let trust = judge::trust(&policy).await;
            let store = Store::read(path).await.unwrap();
            let mut verified = store.verify_with(trust.clone()).await.unwrap();
            second::agree(&verified, policy.demand, second, &about);
            // The export says what the store says, but for the caches, which it does not have.
            if verified.is_intact() {
                let export = folder.join(format!("{}.export", exports.len()));
                let _ = std::fs::remove_file(&export);
                Log::export(path, &export).await.unwrap();
                let mut reader = std::io::BufReader::new(std::fs::File::open(&export).unwrap());
                let exported = starr::journal::export::verify(&mut reader, trust).unwrap();
                assert_eq!(exported, verified, "{about}");
                exports.push((about.clone(), export, exported));
            }
            if *protection == "witnessed" && verified.is_intact() {
                judge::ask_witnesses(&store, &policy, &mut verified).await.unwrap();
            }
            let is_found = policy.demand.missing(&verified).is_some();
            assert_eq!(is_found, found[level].contains(attacker), "{about}:\n{verified}");
            if !is_found {
                // Whoever is not found out is told about: the tail is always said.
                assert!(verified.to_string().contains("rest"), "{about}: {verified}");
            }
        }
        let paths: Vec<PathBuf> = exports.iter().map(|(_, path, _)| path.clone()).collect();
        for ((about, _, exported), second) in exports.iter().zip(&second::verify(&paths, &file)) {
            second::agree(exported, policy.demand, second, about);
        }
    }
    // The witness was asked about every forged log. It took the true one, whose last two entries were signed since.
    assert_eq!(log.server.seen.lock().unwrap().values().next().unwrap().0, 14);
}

async fn forge(log: &Log, path: &std::path::Path, attack: Attack, attacker: Attacker) {
    Store::read(&log.store()).await.unwrap().backup(path).await.unwrap();
    let mut forged = Forged::read(path).await;
    attack(&mut forged);
    match attacker {
        A0 => forged.write(path, false).await,
        A1 => {
            forged.make_consistent(None);
            forged.write(path, true).await;
        }
        A2 => {
            forged.make_consistent(Some(&signer()));
            forged.write(path, true).await;
        }
    }
}

/// Trusted keys come from the policy: a log that is whole and signed, by a key that nobody trusts.
#[tokio::test]
async fn another_key_is_not_believed() {
    let log = Log::new().await;
    let mine = Signer::new("ops.example/journal", Algorithm::Ed25519, [66; 32]).unwrap();
    let path = log.folder.path().join("swapped.db");
    Store::read(&log.store()).await.unwrap().backup(&path).await.unwrap();
    let mut forged = Forged::read(&path).await;
    forged.items.remove(5);
    forged.rehash();
    forged.notes.clear();
    forged.sign(&mine, &[4, 8, 12, 13]);
    forged.write(&path, true).await;
    for (protection, text) in &log.policies()[1..] {
        let file = log.folder.path().join("policy");
        std::fs::write(&file, text).unwrap();
        let policy = Policy::parse(text).unwrap();
        let verified = Store::read(&path)
            .await
            .unwrap()
            .verify_with(judge::trust(&policy).await)
            .await
            .unwrap();
        assert!(verified.reach.signed.is_none() && !verified.reach.unknown_keys.is_empty());
        assert!(policy.demand.missing(&verified).is_some(), "{protection}");
        second::agree(
            &verified,
            policy.demand,
            &second::verify(std::slice::from_ref(&path), &file)[0],
            protection,
        );
    }
}

/// A-AU-2: a middle entry is deleted, the rest numbered and hashed anew, without the key.
#[tokio::test]
async fn a_au_2_a_deleted_entry_fails_at_the_signed_level() {
    let log = Log::new().await;
    let path = log.folder.path().join("deleted.db");
    forge(&log, &path, |log| drop(log.items.remove(5)), A1).await;
    let store = Store::read(&path).await.unwrap();
    assert_eq!(store.verify().await.unwrap().level, Level::Intact);
    let policy = Policy::parse(&log.policies()[1].1).unwrap();
    let verified = store.verify_with(judge::trust(&policy).await).await.unwrap();
    let missing = policy.demand.missing(&verified).unwrap();
    assert_eq!(missing, "9 entries lie beyond what is signed, and at most 3 may");
}

/// A-AU-3: two entries are swapped, or one is there twice.
#[tokio::test]
async fn a_au_3_swapped_and_repeated_entries_fail() {
    let log = Log::new().await;
    for (name, attack) in [
        ("swapped", (|log| log.items.swap(4, 5)) as Attack),
        ("repeated", |log| {
            let again = log.items[5].clone();
            log.items.insert(6, again);
        }),
    ] {
        let path = log.folder.path().join(format!("{name}.db"));
        forge(&log, &path, attack, A0).await;
        let verified = Store::read(&path).await.unwrap().verify().await.unwrap();
        assert_eq!(verified.level, Level::Broken, "{name}");
        assert!(matches!(verified.findings[0].entry, Some(4..=6)), "{name}: {verified}");
    }
}

/// A-AU-4: the last three entries are gone. Without an anchor that is said; with one it fails, with both sizes.
#[tokio::test]
async fn a_au_4_a_cut_tail_is_never_a_plain_ok() {
    let log = Log::new().await;
    let path = log.folder.path().join("cut.db");
    forge(&log, &path, |log| log.items.truncate(11), A1).await;
    let store = Store::read(&path).await.unwrap();
    let plain = store.verify().await.unwrap().to_string();
    assert!(
        plain.contains("No signature or anchor that is trusted here covers the log: 11 entries rest"),
        "{plain}"
    );
    assert!(plain.contains("could have cut its end"), "{plain}");
    let policy = Policy::parse(&log.policies()[2].1).unwrap();
    let verified = store.verify_with(judge::trust(&policy).await).await.unwrap();
    assert_eq!(verified.level, Level::Broken);
    assert!(
        verified.to_string().contains("knows 12 entries, 11 are there"),
        "{verified}"
    );
    let file = log.folder.path().join("policy");
    std::fs::write(&file, &log.policies()[2].1).unwrap();
    let second = &second::verify(std::slice::from_ref(&path), &file)[0];
    assert!(
        second["findings"][0]
            .as_str()
            .unwrap()
            .contains("knows 12 entries, 11 are there"),
        "{second}"
    );
}
