//! What people and their tools are told: issues, the page that customers read, signed web hooks; and the traces they look at. Servers on this
//! machine answer as the published interfaces do, and hold each request against them.

mod bundle;
mod github;
mod incident;
mod jaeger;
mod signed;
pub mod status_page;

use serde_json::Value as Json;
use starr::provider::Outcome;
use starr::value::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::gated::Gated;

/// No output, record or message may hold it.
pub const CANARY: &str = "canary-of-a-token-0123456789";

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    /// What stands behind `?`, decoded.
    pub query: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Asked {
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    /// The number of the page that is asked for, 1 when none is named, and how many stand on one.
    pub fn page(&self) -> (usize, usize) {
        let number = |name: &str, other: usize| self.query.get(name).map_or(other, |text| text.parse().unwrap());
        (number("page", 1), number("per_page", 30))
    }
}

/// What is answered; `None`: nothing at all.
type Answer = dyn Fn(&Asked) -> Option<(u16, Json)> + Send + Sync;

/// Lines of the head of a reply, each with its end.
type Head = dyn Fn(&Asked) -> String + Send + Sync;

/// A server of a test.
pub struct Server {
    pub port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    pub fn new(answer: impl Fn(&Asked) -> Option<(u16, Json)> + Send + Sync + 'static) -> Self {
        Self::with_head(answer, |_| String::new())
    }

    /// The same with more lines in the head of each reply.
    pub fn with_head(
        answer: impl Fn(&Asked) -> Option<(u16, Json)> + Send + Sync + 'static,
        head: impl Fn(&Asked) -> String + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (mine, answer, head): (_, Arc<Answer>, Arc<Head>) = (asked.clone(), Arc::new(answer), Arc::new(head));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (asked, answer, head) = (mine.clone(), answer.clone(), head.clone());
                std::thread::spawn(
                    move || while serve(stream.as_ref().unwrap(), &asked, &*answer, &*head).is_some() {},
                );
            }
        });
        Self { port, asked }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// How often something other than a question came.
    pub fn sent(&self) -> usize {
        self.asked().iter().filter(|asked| asked.method != "GET").count()
    }
}

/// One request of a connection; `None` when there are no more.
fn serve(mut stream: &TcpStream, all: &Mutex<Vec<Asked>>, answer: &Answer, more: &Head) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |text: &String| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let asked = Asked {
        method,
        path: path.to_owned(),
        query,
        headers,
        body: String::from_utf8(body).unwrap(),
    };
    all.lock().unwrap().push(asked.clone());
    let Some((status, body)) = answer(&asked) else {
        let _ = reader.read(&mut [0]);
        return None;
    };
    let body = match &body {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\n{}content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        more(&asked),
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).ok()
}

/// The items of one page.
pub fn page(items: &[Json], asked: &Asked) -> Json {
    let (page, size) = asked.page();
    assert!((1..=100).contains(&size));
    Json::Array(items.iter().skip((page - 1) * size).take(size).cloned().collect())
}

/// A provider, and the folder with the secret that it reads.
pub struct Held {
    gated: Gated,
    _folder: tempfile::TempDir,
}

impl std::ops::Deref for Held {
    type Target = Gated;

    fn deref(&self) -> &Gated {
        &self.gated
    }
}

/// A provider whose secret is a file of this machine, named to `make`.
pub fn held(make: impl FnOnce(&Path) -> Gated) -> Held {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, CANARY).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    Held {
        gated: make(&path),
        _folder: folder,
    }
}

/// A change with a short deadline.
pub async fn hurried(world: &Gated, path: &str, args: &[(&str, Value)]) -> Outcome {
    world
        .gate
        .change(&world.call(path, args, Duration::from_millis(800)))
        .await
}

/// A folder with a configuration and a runbook.
pub struct Desk(tempfile::TempDir);

impl Desk {
    /// `environment` are lines of the environment, `book` is the runbook.
    pub fn new(environment: &str, book: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let login = starr::cli::login();
        let config = format!(
            "environments:\n  test:\n    journal: {}/journal.db\n    people:\n      {login}: {{ roles: [oncall] }}\n{environment}",
            folder.path().display()
        );
        std::fs::write(folder.path().join("starr.yaml"), config).unwrap();
        std::fs::create_dir(folder.path().join("books")).unwrap();
        std::fs::write(folder.path().join("books/book.starr"), book).unwrap();
        Self(folder)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn starr(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_starr"))
            .args(words)
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            .env("NO_COLOR", "1")
            .env("STARR_CONFIG", self.path().join("starr.yaml"))
            .env("CANARY", CANARY)
            .env("SIGNING", signed::SECRET)
            .output()
            .unwrap()
    }

    pub fn said(&self, words: &[&str]) -> String {
        let output = self.starr(words);
        format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    }

    /// No file of the folder but the configuration holds it, and nothing that is said.
    pub fn keeps(&self, secret: &str, said: &[&str]) {
        for text in said {
            assert!(!text.contains(secret), "{text}");
        }
        for entry in std::fs::read_dir(self.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() && !path.ends_with("starr.yaml") {
                let bytes = std::fs::read(&path).unwrap();
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{}", path.display());
            }
        }
    }
}
