//! A journal with three runs, signed, anchored and witnessed at 4, 8 and 12 entries, and two entries after that.

use super::server::Server;
use starr::journal::anchor::{File, Sink, Witness};
use starr::journal::event::{Event, Person};
use starr::journal::note::{Algorithm, Signer};
use starr::journal::seal::Sealing;
use starr::journal::sqlite::{RunHeader, Store};
use starr::journal::{Journal, ledger, postgres};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The key that signs it.
pub fn signer() -> Signer {
    Signer::new("ops.example/journal", Algorithm::Ed25519, [42; 32]).unwrap()
}

pub fn person(name: &str) -> Person {
    Person {
        name: name.to_owned(),
        by: "login".to_owned(),
    }
}

pub fn step(detail: &str) -> Event {
    Event::Step {
        what: "note".to_owned(),
        detail: detail.to_owned(),
    }
}

pub fn approved(action: &str) -> Event {
    Event::Approved {
        action: action.to_owned(),
        digest: "ab".repeat(32),
        by: person("maria"),
        role: "dba".to_owned(),
    }
}

pub fn ended() -> Event {
    Event::Ended {
        outcome: "resolved".to_owned(),
        reason: String::new(),
        in_place: Vec::new(),
        duration_seconds: 1.0,
    }
}

pub struct Log {
    pub folder: tempfile::TempDir,
    pub server: Server,
    /// Where it lies when it is no file.
    database: Option<postgres::Server>,
}

impl Log {
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("journal.db")
    }

    pub fn anchors(&self) -> PathBuf {
        self.folder.path().join("anchors")
    }

    /// Fourteen entries, with all the protection there is.
    pub async fn new() -> Self {
        Self::on(None).await
    }

    /// The same in a database, where one is given.
    pub async fn on(database: Option<postgres::Server>) -> Self {
        let log = Self {
            folder: tempfile::tempdir().unwrap(),
            server: Server::start(signer().verifier().clone(), 7),
            database,
        };
        let store = log.open(&log.store()).await;
        let (first, second) = (
            store.begin(RunHeader::default()).await.unwrap(),
            store.begin(RunHeader::default()).await.unwrap(),
        );
        let third = store.begin(RunHeader::default()).await.unwrap();
        let sealing = log.sealing(&log.store()).await;
        for number in 0..4 {
            first.append("", &step(&format!("first {number}"))).await.unwrap();
        }
        anchor(&sealing).await;
        second.append("", &step("second")).await.unwrap();
        second.append("", &approved("restart")).await.unwrap();
        second.append("", &step("second again")).await.unwrap();
        first.append("", &step("between")).await.unwrap();
        anchor(&sealing).await;
        second.append("", &ended()).await.unwrap();
        first.append("", &step("near the end")).await.unwrap();
        first.append("", &step("nearer")).await.unwrap();
        first.append("", &ended()).await.unwrap();
        anchor(&sealing).await;
        third.append("", &step("third")).await.unwrap();
        third.append("", &ended()).await.unwrap();
        store.close().await.unwrap();
        log
    }

    async fn open(&self, file: &Path) -> Store {
        match &self.database {
            Some(server) => postgres::open(server).await.unwrap(),
            None => Store::open(file).await.unwrap(),
        }
    }

    pub async fn sealing(&self, store: &Path) -> Sealing {
        let sinks: Vec<Box<dyn Sink>> = vec![
            Box::new(File(self.anchors())),
            Box::new(Witness::new(self.server.key.clone(), &self.server.url).unwrap()),
        ];
        Sealing {
            ledger: Arc::new(self.open(store).await),
            signer: Some(signer()),
            sinks,
            needed: 0,
            every: 100,
        }
    }

    /// The verifier's policies, one for each level of protection.
    pub fn policies(&self) -> [(&'static str, String); 4] {
        let key = format!("key {}\n", signer().verifier().encode());
        let anchor = format!("anchor file {}\n", self.anchors().display());
        let witness = format!("witness {} {}\n", self.server.key.encode(), self.server.url);
        let demand = |level: &str| format!("require {level}\ntail-at-most 3\n");
        [
            ("hashes", String::new()),
            ("signed", format!("{key}{}", demand("signed"))),
            ("anchored", format!("{key}{anchor}{}", demand("anchored"))),
            ("witnessed", format!("{key}{witness}{}", demand("witnessed"))),
        ]
    }

    /// The whole log as one file.
    pub async fn export(store: &Path, to: &Path) -> Result<(), starr::journal::Error> {
        let store = Store::read(store).await?;
        let mut file = std::fs::File::create(to).unwrap();
        ledger::export(&store, &mut file).await?;
        Ok(())
    }
}

async fn anchor(sealing: &Sealing) {
    let anchored = sealing.anchor().await.unwrap();
    assert!(anchored.failed.is_empty(), "{anchored:?}");
    assert_eq!(anchored.kept.len(), 2);
}
