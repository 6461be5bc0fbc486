//! The same attacks on a journal in PostgreSQL: a superuser changes the tables behind the back of the role that records.

use super::attacks::{A0, A1, A2, ALL, ATTACKS};
use super::forge::Forged;
use super::log::{Log, signer};
use super::second;
use crate::storage::postgres::place;
use sqlx::postgres::{PgConnection, Postgres};
use sqlx::{Connection as _, Executor as _};
use starr::journal::policy::Policy;
use starr::journal::verify::Level;
use starr::journal::{export, judge, ledger, postgres};

/// Puts everything into the tables; with `head`, also everything that is computed from the entries.
async fn write(connection: &mut PgConnection, forged: &Forged, head: bool) {
    connection
        .execute("begin; truncate entries, payloads, checkpoints")
        .await
        .unwrap();
    forged.write_to::<Postgres>(connection, head).await;
}

#[tokio::test]
async fn every_attack_by_every_attacker_at_every_level_in_postgresql() {
    let (place, server) = place().await;
    let log = Log::on(Some(server.clone())).await;
    let folder = log.folder.path();
    let mut superuser = place.admin().await;
    superuser.execute("set search_path = starr").await.unwrap();
    let original = Forged::read_from::<Postgres>(&mut superuser).await;
    assert_eq!((original.items.len(), original.notes.len()), (14, 3));
    let policies: Vec<(&str, Policy, std::path::PathBuf)> = log
        .policies()
        .iter()
        .map(|(protection, text)| {
            let file = folder.join(format!("{protection}.policy"));
            std::fs::write(&file, text).unwrap();
            (*protection, Policy::parse(text).unwrap(), file)
        })
        .collect();
    let mut exports = Vec::new();
    let mut cells = 0;
    for (number, (name, attack, found)) in ATTACKS.iter().enumerate() {
        for attacker in ALL {
            // Head and lists of the attack before are put back.
            write(&mut superuser, &original, true).await;
            let mut forged = original.clone();
            attack(&mut forged);
            match attacker {
                A0 => {}
                A1 => forged.make_consistent(None),
                A2 => forged.make_consistent(Some(&signer())),
            }
            write(&mut superuser, &forged, *attacker != A0).await;
            let store = postgres::read(&server).await.unwrap();
            let file = folder.join(format!("{number}-{attacker:?}.export"));
            ledger::export(&store, &mut std::fs::File::create(&file).unwrap())
                .await
                .unwrap();
            for (level, (protection, policy, _)) in policies.iter().enumerate() {
                let about = format!("{name}, by {attacker:?}, protected by {protection}");
                let trust = judge::trust(policy).await;
                let mut verified = store.verify_with(trust).await.unwrap();
                if *protection == "witnessed" && verified.is_intact() {
                    judge::ask_witnesses(&store, policy, &mut verified).await.unwrap();
                }
                let is_found = policy.demand.missing(&verified).is_some();
                assert_eq!(is_found, found[level].contains(attacker), "{about}:\n{verified}");
                if !is_found {
                    assert!(verified.to_string().contains("rest"), "{about}: {verified}");
                }
                cells += 1;
            }
            exports.push((format!("{name}, by {attacker:?}"), file));
        }
    }
    assert_eq!(cells, ATTACKS.len() * 3 * 4);
    // The second verifier has no database driver: it and ours judge what was exported from the changed tables.
    let files: Vec<_> = exports.iter().map(|(_, file)| file.clone()).collect();
    for (protection, policy, file) in &policies {
        let trust = judge::trust(policy).await;
        for ((about, export), second) in exports.iter().zip(&second::verify(&files, file)) {
            let mut reader = std::io::BufReader::new(std::fs::File::open(export).unwrap());
            let verified = export::verify(&mut reader, trust.clone()).unwrap();
            second::agree(
                &verified,
                policy.demand,
                second,
                &format!("{about}, protected by {protection}"),
            );
        }
    }
    superuser.close().await.unwrap();
}

/// Changes by somebody who computes nothing anew, one on top of the other: each is named.
#[tokio::test]
async fn a_broken_journal_in_postgresql_names_the_entry() {
    let (place, server) = place().await;
    let _log = Log::on(Some(server.clone())).await;
    let mut superuser = place.admin().await;
    for (statement, words) in [
        ("delete from starr.payloads where sequence = 3", "has lost its payload"),
        (
            "update starr.payloads set body = '{}' where sequence = 5",
            "entry 5 does not agree with its payload",
        ),
        (
            "update starr.entries set kind = 'other' where sequence = 6",
            "column `kind`",
        ),
        (
            "insert into starr.payloads values (99, '', '')",
            "has a payload but no entry",
        ),
        ("update starr.leases set epoch = 9", "is leased under epoch 9"),
        (
            "create view starr.entries_of_today as select * from starr.entries",
            "is not a table as starr makes it",
        ),
        ("delete from starr.entries where sequence = 7", "entry 7 is missing"),
    ] {
        let mut whole = superuser.begin().await.unwrap();
        whole.execute(statement).await.unwrap();
        whole.commit().await.unwrap();
        let verified = postgres::read(&server).await.unwrap().verify().await.unwrap();
        assert_eq!(verified.level, Level::Broken, "{statement}");
        assert!(verified.to_string().contains(words), "{statement}: {verified}");
    }
}
