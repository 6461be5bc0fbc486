//! What 100 runs at once in one process cost: memory at the peak, and how long they take together. Each asks one service that answers
//! only when all of them have asked, so that every run is under way at the same moment; all write one journal.
//! `cargo bench --bench runs [RUNS]`; prints `peak MiB N` and what it is made of.

#![allow(clippy::unwrap_used, reason = "a measurement that fails has failed")]

use futures::future::BoxFuture;
use starr::check;
use starr::engine::world::{
    Answered, ApprovalRequest, Ask, Consent, Decision, Environment, ManualOrder, Observe, Observed, OnUnclear,
    OnUnknown, People, Reply, Screen, Ticked, UnclearChoice, UnknownChoice, World,
};
use starr::journal::event::{Event, Person};
use starr::journal::sqlite::{RunHeader, Store};
use starr::program::RunbookId;
use starr::provider::Effect;
use starr::provider::gate::{Gate, Grant, Mode};
use starr::providers::http::{Http, config::HttpConfig};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Barrier;

/// Nobody is there.
struct Nobody;

fn nobody<'a, T: Send + 'a>() -> BoxFuture<'a, Reply<T>> {
    Box::pin(async { Reply::Nobody("nobody is there".to_owned()) })
}

impl People for Nobody {
    fn observe<'a>(&'a self, _: &'a Observe) -> BoxFuture<'a, Reply<Observed>> {
        nobody()
    }
    fn ask<'a>(&'a self, _: &'a Ask) -> BoxFuture<'a, Reply<Answered>> {
        nobody()
    }
    fn approve<'a>(&'a self, _: &'a ApprovalRequest) -> BoxFuture<'a, Reply<Decision>> {
        nobody()
    }
    fn manual<'a>(&'a self, _: &'a ManualOrder) -> BoxFuture<'a, Reply<Ticked>> {
        nobody()
    }
    fn unknown<'a>(&'a self, _: &'a UnknownChoice) -> BoxFuture<'a, Reply<OnUnknown>> {
        nobody()
    }
    fn unclear<'a>(&'a self, _: &'a UnclearChoice) -> BoxFuture<'a, Reply<OnUnclear>> {
        nobody()
    }
    fn heavy<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Reply<bool>> {
        nobody()
    }
    fn reflect<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Reply<Option<String>>> {
        nobody()
    }
}

impl Screen for Nobody {
    fn event(&self, _: &str, _: &Event) {}
    fn waiting(&self, _: &str, _: Option<Duration>) {}
    fn done_waiting(&self) {}
}

/// A service that answers when so many have asked.
async fn service(runs: usize) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let all = Arc::new(Barrier::new(runs));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let all = Arc::clone(&all);
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(1..) = stream.read(&mut buffer).await {
                    all.wait().await;
                    let reply = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
                    if stream.write_all(reply).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    url
}

/// A line of this process's status, in MiB.
fn memory(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    let kibibytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes / 1024.0
}

fn program(url: &str) -> Arc<starr::program::Program> {
    let text = format!(
        "runbook one \"Does the service answer?\" {{\n  reads http\n\n  task {{\n    goal answers\n  }}\n\n  \
         check answers \"Does it answer?\" {{\n    read reply = http.get(\"{url}/health\") within 60 s\n    \
         yes when reply.status is 200\n  }}\n}}\n"
    );
    let context = check::Context {
        library: &check::Embedded,
        severities: ["sev1", "sev2", "sev3"].map(str::to_owned).to_vec(),
        roles: None,
        today: None,
        matrix: None,
    };
    let checked = check::check("one.starr", None, text.into_bytes(), &context);
    Arc::new(
        checked
            .program
            .unwrap_or_else(|| panic!("the runbook is not valid: {:?}", checked.diagnostics)),
    )
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let given = std::env::args().skip(1).find_map(|word| word.parse().ok());
    let runs: usize = given.unwrap_or(100);
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("journal.db")).await.unwrap();
    let url = service(runs).await;
    let program = program(&url);
    let alone = memory("VmRSS:");
    let begin = Instant::now();
    let work = (0..runs).map(|_| {
        let program = Arc::clone(&program);
        let store = &store;
        async move {
            let (_interrupt, interrupt) = tokio::sync::watch::channel(false);
            let grant = Grant {
                capability: "http".to_owned(),
                effects: vec![Effect::Read, Effect::Probe],
                targets: None,
            };
            let mut gate = Gate::new(vec![grant], Mode::Live);
            gate.register(Arc::new(Http::new(&HttpConfig::default()).unwrap()));
            let world = World {
                gate: Arc::new(gate),
                people: Arc::new(Nobody),
                journal: Arc::new(store.begin(RunHeader::default()).await.unwrap()),
                clock: Arc::new(starr::engine::clock::System::new()),
                randomness: Arc::new(starr::engine::random::System),
                screen: Arc::new(Nobody),
                environment: Environment {
                    name: "bench".to_owned(),
                    operator: Person {
                        name: "bench".to_owned(),
                        by: "login".to_owned(),
                    },
                    severities: ["sev1", "sev2", "sev3"].map(str::to_owned).to_vec(),
                    default_severity: "sev3".to_owned(),
                    occasion: None,
                    unattended: true,
                    dry_run: false,
                    host: "bench".to_owned(),
                    resources: BTreeMap::new(),
                },
                consent: Consent::default(),
                interrupt,
            };
            starr::engine::run(program, RunbookId(0), Vec::new(), world)
                .await
                .unwrap()
        }
    });
    let ended = futures::future::join_all(work).await;
    let took = begin.elapsed();
    for one in &ended {
        assert_eq!(one.outcome, starr::engine::Outcome::Resolved, "a run was not well");
    }
    println!("peak MiB {:.1}", memory("VmHWM:"));
    println!("{runs} runs at once took {} ms", took.as_millis());
    println!("before they began {alone:.1} MiB");
    println!(
        "at the end {:.1} MiB of its own, {:.1} MiB of its file",
        memory("RssAnon:"),
        memory("RssFile:")
    );
}
