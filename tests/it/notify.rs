//! Telling people for real: a chat and a pager on this machine that read what they are sent as the published formats have it, and a
//! mail server of another make.

mod incident;

use serde_json::{Value as Json, json};
use starr::provider::gate::{Gate, Grant, Mode};
use starr::provider::{Call, Effect, Outcome, Provider};
use starr::providers::notify::chat::Chat;
use starr::providers::notify::config::{ChatConfig, MailConfig};
use starr::providers::notify::mail::Mail;
use starr::value::{Reason, Value};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub const ROUTING_KEY: &str = "canary0routing0key0of032bytes000";
pub const HOOK: &str = "/services/T0/canary-hook-path";
pub const PASSWORD: &str = "canary-mail-password";

/// What a server answers to a request; `None`: nothing at all.
type Answer = dyn Fn(&str, &Json) -> Option<(u16, Json)> + Send + Sync;

/// A server that takes JSON documents: path and document of each.
pub struct Taker {
    pub port: u16,
    taken: Arc<Mutex<Vec<(String, Json)>>>,
}

impl Taker {
    pub fn new(answer: impl Fn(&str, &Json) -> Option<(u16, Json)> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let (mine, answer): (_, Arc<Answer>) = (taken.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (taken, answer) = (mine.clone(), answer.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &taken, &*answer));
            }
        });
        Self { port, taken }
    }

    pub fn taken(&self) -> Vec<(String, Json)> {
        self.taken.lock().unwrap().clone()
    }
}

fn serve(stream: TcpStream, taken: &Mutex<Vec<(String, Json)>>, answer: &Answer) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut first = String::new();
    reader.read_line(&mut first).unwrap();
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut kind) = (0, String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let lower = line.trim().to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if let Some(value) = lower.strip_prefix("content-type:") {
            kind = value.trim().to_owned();
        }
        if lower.is_empty() {
            break;
        }
    }
    assert_eq!(kind, "application/json");
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let document: Json = serde_json::from_slice(&body).unwrap();
    taken.lock().unwrap().push((path.clone(), document.clone()));
    let mut stream = stream;
    match answer(&path, &document) {
        None => {
            let _ = reader.read(&mut [0]);
        }
        Some((status, body)) => {
            let body = match &body {
                Json::String(text) => text.clone(),
                other => other.to_string(),
            };
            let _ = stream.write_all(
                format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                )
                .as_bytes(),
            );
        }
    }
}

/// What the published description of the Events API v2 asks of an event; the answer that it gives.
pub fn events_api(path: &str, event: &Json) -> Option<(u16, Json)> {
    let bad = |what: &str| {
        Some((
            400,
            json!({"status": "invalid event", "message": "Event object is invalid", "errors": [what]}),
        ))
    };
    if path != "/v2/enqueue" {
        return Some((404, json!({})));
    }
    let Some(object) = event.as_object() else {
        return bad("not an object");
    };
    let known = [
        "routing_key",
        "event_action",
        "dedup_key",
        "payload",
        "client",
        "client_url",
        "links",
        "images",
    ];
    if object.keys().any(|key| !known.contains(&key.as_str())) {
        return bad("unknown field");
    }
    if event["routing_key"] != ROUTING_KEY || ROUTING_KEY.len() != 32 {
        return bad("'routing_key' is invalid");
    }
    let key = event["dedup_key"].as_str().unwrap_or_default();
    if key.len() > 255 {
        return bad("'dedup_key' is too long");
    }
    match event["event_action"].as_str() {
        Some("trigger") => {
            let payload = &event["payload"];
            let text = |name: &str| payload[name].as_str().unwrap_or_default();
            if text("summary").is_empty() || text("summary").chars().count() > 1024 || text("source").is_empty() {
                return bad("'payload.summary' or 'payload.source'");
            }
            if !["critical", "warning", "error", "info"].contains(&text("severity")) {
                return bad("'payload.severity'");
            }
        }
        Some("acknowledge" | "resolve") if !key.is_empty() => {}
        _ => return bad("'event_action'"),
    }
    Some((
        202,
        json!({"status": "success", "message": "Event processed", "dedup_key": key}),
    ))
}

/// A mail server that was started for a test.
pub struct Smtp {
    child: Child,
    pub port: u16,
    lines: BufReader<std::process::ChildStdout>,
}

impl Smtp {
    pub fn start(folder: &Path, words: &[&str]) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(folder.join("mail.pem"), made.cert.pem()).unwrap();
        std::fs::write(folder.join("mail.key"), made.signing_key.serialize_pem()).unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/smtp");
        let mut child = Command::new("/usr/bin/python3")
            .arg(script)
            .args([folder.join("mail.pem"), folder.join("mail.key")])
            .args(words)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        let port = first.trim().parse().unwrap_or_else(|_| {
            panic!("the mail server does not start; scripts/setup installs what it needs (python3-aiosmtpd)")
        });
        Self { child, port, lines }
    }

    pub fn message(&mut self) -> Json {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

impl Drop for Smtp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder with a runbook, secrets, and a configuration that names the three.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new(chat: &Taker, pager: &Taker, mail: u16, server: &str, steps: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let login = starr::cli::login();
        let place = folder.path().display();
        let config = format!(
            "environments:
  test:
    journal: {place}/journal.db
    people:
      {login}: {{ roles: [oncall] }}
    chat:
      channels:
        \"#incidents\": {{ url: \"http://127.0.0.1:{}\", secret_path: {{ env: HOOK }} }}
    pager:
      services:
        oncall: {{ routing_key: {{ env: ROUTING_KEY }}, url: \"http://127.0.0.1:{}\" }}
    mail:
      server: {{ host: localhost, port: {mail}, from: \"starr <starr@example.org>\", {server} }}
      boxes:
        leadership: [\"Lea <lea@example.org>\", max@example.org]
    grants:
      - {{ capability: host, effects: [read], all: true }}
      - {{ capability: chat, effects: [tell], targets: [\"#incidents\"] }}
      - {{ capability: pager, effects: [tell], targets: [oncall] }}
      - {{ capability: mail, effects: [tell], targets: [leadership] }}
",
            chat.port, pager.port
        );
        let book = format!(
            "runbook telling \"Tell\" {{
  timebox 5 min then escalate
  reads   host
  tells   chat, pager, mail

  situation {{
    symptom up \"Has this machine a processor?\" {{
      read load = host.load()
      yes when load.cpus >= 1
    }}
  }}
{steps}
  result {{
    escalation {{
      sev3 -> pager.page(\"oncall\") now, chat.post(\"#incidents\", \"nobody answers\") after 1 h
    }}
  }}
}}
"
        );
        std::fs::create_dir(folder.path().join("books")).unwrap();
        std::fs::write(folder.path().join("starr.yaml"), config).unwrap();
        std::fs::write(folder.path().join("books/tell.starr"), book).unwrap();
        Self(folder)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_starr"));
        command
            .args(words)
            .current_dir(self.0.path())
            .env_clear()
            .env("HOME", self.0.path())
            .env("NO_COLOR", "1")
            .env("STARR_CONFIG", self.0.path().join("starr.yaml"))
            .env("ROUTING_KEY", ROUTING_KEY)
            .env("HOOK", HOOK)
            .env("MAIL_PASSWORD", PASSWORD);
        command
    }

    fn starr(&self, words: &[&str]) -> std::process::Output {
        self.command(words).output().unwrap()
    }

    fn run(&self) -> String {
        let output = self.starr(&["run", "books/tell.starr", "--unattended"]);
        text(&output)
    }

    fn report(&self) -> String {
        text(&self.starr(&["report"]))
    }
}

fn text(output: &std::process::Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

pub fn fine() -> Taker {
    Taker::new(|_, _| Some((200, json!("ok"))))
}

const MAIL: &str = "ca: CA, user: starr, password: { env: MAIL_PASSWORD }";

fn trusting(folder: &Path, entry: &str) -> String {
    entry.replace("CA", &folder.join("mail.pem").display().to_string())
}

#[test]
fn a_run_tells_a_chat_a_pager_and_a_mailbox() {
    let place = tempfile::tempdir().unwrap();
    let (chat, pager) = (fine(), Taker::new(events_api));
    let mut mail = Smtp::start(place.path(), &["--user", "starr", "--password", PASSWORD]);
    let desk = Desk::new(
        &chat,
        &pager,
        mail.port,
        &trusting(place.path(), MAIL),
        "  tell chat.post(\"#incidents\", \"<!channel> {up.load.cpus} processors & more\")
  tell pager.page(\"oncall\", summary: \"The shop is down\", severity: error, source: \"shop\", key: run.id, details: {full: true})
  tell pager.acknowledge(\"oncall\", key: run.id)
  tell mail.send(\"leadership\", subject: \"Störung\", text: \"Line one\\n.\\nFrom here on: Grüße\")
  tell pager.resolve(\"oncall\", key: run.id)
",
    );
    let said = desk.run();
    let report = desk.report();
    let show = text(&desk.starr(&["show", "--json"]));
    let posted = chat.taken();
    assert_eq!(posted.len(), 1, "{said}");
    assert_eq!(posted[0].0, HOOK);
    let message = posted[0].1["text"].as_str().unwrap();
    // No data rouses a whole channel.
    assert!(
        message.starts_with("&lt;!channel&gt; ") && message.ends_with("processors &amp; more"),
        "{message}"
    );
    let events: Vec<Json> = pager.taken().into_iter().map(|(_, event)| event).collect();
    let actions: Vec<&str> = events
        .iter()
        .map(|event| event["event_action"].as_str().unwrap())
        .collect();
    // The first is the escalation's own.
    assert_eq!(
        actions.iter().filter(|action| **action == "trigger").count(),
        2,
        "{events:?}"
    );
    let own: Vec<&Json> = events
        .iter()
        .filter(|event| event["dedup_key"].as_str().unwrap().starts_with("20"))
        .collect();
    assert_eq!(own.len(), 3, "{events:?}");
    assert!(
        own.iter().all(|event| event["dedup_key"] == own[0]["dedup_key"]),
        "{own:?}"
    );
    assert_eq!(own[0]["payload"]["severity"], "error");
    assert_eq!(own[0]["payload"]["custom_details"], json!({"full": true}));
    assert_eq!(
        (&own[1]["event_action"], &own[2]["event_action"]),
        (&json!("acknowledge"), &json!("resolve"))
    );
    // A page without a key has the recorded one: sent again after a crash, it is the same page.
    let page = events
        .iter()
        .find(|event| event["payload"]["source"] == "starr")
        .unwrap();
    let key = page["dedup_key"].as_str().unwrap();
    assert!(key.len() == 32 && show.contains(key), "{key}\n{show}");
    assert!(
        page["payload"]["summary"]
            .as_str()
            .unwrap()
            .starts_with("A runbook needs a person")
    );
    let got = mail.message();
    assert_eq!((&got["secure"], &got["authenticated"]), (&json!(true), &json!(true)));
    assert_eq!(got["to"], json!(["lea@example.org", "max@example.org"]));
    assert_eq!(got["subject"], "Störung");
    assert_eq!(
        got["text"].as_str().unwrap().replace("\r\n", "\n").trim_end(),
        "Line one\n.\nFrom here on: Grüße"
    );
    // Secrets are on the wire alone.
    let journal = std::fs::read(desk.0.path().join("journal.db-wal"))
        .or_else(|_| std::fs::read(desk.0.path().join("journal.db")))
        .unwrap();
    for secret in [ROUTING_KEY, HOOK, PASSWORD] {
        assert!(
            !said.contains(secret) && !report.contains(secret),
            "{secret}\n{said}\n{report}"
        );
        assert!(
            !journal.windows(secret.len()).any(|window| window == secret.as_bytes()),
            "{secret}"
        );
    }
    let doctor = text(&desk.starr(&["doctor"]));
    for words in [
        "chat #incidents",
        "pager oncall",
        "somebody would be told",
        "mail localhost",
        "nothing was sent",
    ] {
        assert!(doctor.contains(words), "{words:?} is missing in\n{doctor}");
    }
}

#[test]
fn a_message_that_does_not_arrive_is_said_and_the_next_entry_is_called() {
    let place = tempfile::tempdir().unwrap();
    let mail = Smtp::start(place.path(), &["--refuse", "max@example.org"]);
    let refusing = Taker::new(|_, _| Some((429, json!({"status": "throttle exceeded", "message": "slow down"}))));
    let chat = fine();
    let entry = trusting(place.path(), "ca: CA");
    let steps = "  tell mail.send(\"leadership\", subject: \"x\", text: \"y\")\n  escalate\n";
    let desk = Desk::new(&chat, &refusing, mail.port, &entry, steps);
    let said = desk.run();
    let report = desk.report();
    assert!(report.contains("slow down"), "{said}\n{report}");
    // The page failed, so the next of the row is told now, not in an hour.
    assert_eq!(chat.taken().len(), 1, "{report}");
    // Of two addresses one is refused: nobody gets it, and that is said.
    assert!(report.contains("there is nobody of this name"), "{report}");
}

/// Calls a tell of a provider with a short deadline.
async fn tell(provider: Arc<dyn Provider>, path: &str, given: &[(&str, Value)]) -> Outcome {
    let name = provider.name();
    let operation = starr::check::interface(name)
        .unwrap()
        .into_iter()
        .find(|operation| &*operation.path == path)
        .unwrap();
    let args = operation.params.iter().map(|param| {
        let value = given.iter().find(|(given, _)| *given == &*param.name);
        let value = value.map(|(_, value)| value.clone()).or(param.default.clone());
        (param.name.clone(), value.unwrap_or(Value::None))
    });
    let call = Call {
        args: args.collect(),
        operation: operation.clone(),
        within: Duration::from_secs(1),
        key: Some("recorded".into()),
    };
    let mut gate = Gate::new(
        vec![Grant {
            capability: name.to_owned(),
            effects: vec![Effect::Tell],
            targets: None,
        }],
        Mode::Live,
    );
    gate.register(provider);
    gate.change(&call).await
}

#[tokio::test]
async fn silence_is_unclear_and_ends_at_the_deadline() {
    let place = tempfile::tempdir().unwrap();
    let mail = Smtp::start(place.path(), &["--silent-after-data"]);
    let silent = Taker::new(|_, _| None);
    let chat: ChatConfig = serde_json::from_value(json!({
        "channels": {"#x": {"url": format!("http://127.0.0.1:{}", silent.port)}}
    }))
    .unwrap();
    let begin = Instant::now();
    let posted = tell(
        Arc::new(Chat::new(&chat).unwrap()),
        "post",
        &[("channel", Value::text("#x")), ("text", Value::text("z"))],
    )
    .await;
    assert!(
        matches!(&posted, Outcome::Unclear(why) if why.reason == Reason::Timeout),
        "{posted:?}"
    );
    assert_eq!(silent.taken().len(), 1, "what may have arrived is not sent again");
    let config: MailConfig = serde_json::from_value(json!({
        "server": {"host": "localhost", "port": mail.port, "from": "a@example.org", "ca": place.path().join("mail.pem")},
        "boxes": {"team": ["b@example.org"]}
    }))
    .unwrap();
    let written = [
        ("to", Value::text("team")),
        ("subject", Value::text("x")),
        ("text", Value::text("y")),
    ];
    let sent = tell(Arc::new(Mail::new(&config).unwrap()), "send", &written).await;
    assert!(
        matches!(&sent, Outcome::Unclear(why) if why.detail.contains("did not say in time")),
        "{sent:?}"
    );
    // A server that is not there has taken nothing.
    drop(mail);
    let sent = tell(Arc::new(Mail::new(&config).unwrap()), "send", &written).await;
    assert!(matches!(&sent, Outcome::Failed(_)), "{sent:?}");
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[test]
fn nothing_is_sent_in_the_clear_or_to_a_name_nobody_granted() {
    let place = tempfile::tempdir().unwrap();
    let mail = Smtp::start(place.path(), &["--without-starttls"]);
    let (chat, pager) = (fine(), Taker::new(events_api));
    let entry = trusting(place.path(), "ca: CA");
    let steps = "  tell mail.send(\"leadership\", subject: \"x\", text: \"y\")\n  tell chat.post(\"#other\", \"z\")\n";
    let desk = Desk::new(&chat, &pager, mail.port, &entry, steps);
    let said = desk.run();
    let report = desk.report();
    assert!(report.contains("offers no STARTTLS"), "{said}\n{report}");
    assert_eq!(chat.taken(), [], "{report}");
    let config = |from: &str, to: &str| {
        let path = desk.0.path().join("starr.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace(from, to)).unwrap();
        let said = desk.run();
        std::fs::write(&path, text).unwrap();
        said
    };
    let port = pager.port;
    let said = config(
        &format!("url: \"http://127.0.0.1:{port}\""),
        "url: \"http://pager.example\"",
    );
    assert!(said.contains("the routing key would travel in the clear"), "{said}");
    let said = config("host: localhost,", "host: mail.example, tls: none,");
    assert!(said.contains("is for this machine only"), "{said}");
    let said = config("max@example.org", "max at example");
    assert!(
        said.contains("mail.boxes.leadership") && said.contains("is not a mail address"),
        "{said}"
    );
}

#[tokio::test]
async fn mail_goes_over_tls_from_the_first_byte_to_a_server_that_is_trusted() {
    let place = tempfile::tempdir().unwrap();
    let mut mail = Smtp::start(place.path(), &["--wrapped", "--user", "starr", "--password", PASSWORD]);
    crate::support::daemon::secret(place.path(), "password", PASSWORD);
    let config = |more: Json| {
        let mut server = json!({
            "host": "localhost", "port": mail.port, "tls": "wrapped", "from": "a@example.org",
            "user": "starr", "password": {"file": place.path().join("password")}
        });
        server
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let all = json!({"server": server, "boxes": {"team": ["b@example.org"]}});
        serde_json::from_value::<MailConfig>(all).unwrap()
    };
    let written = [
        ("to", Value::text("team")),
        ("subject", Value::text("x")),
        ("text", Value::text("y")),
    ];
    let (trusting, strange) = (config(json!({"ca": place.path().join("mail.pem")})), config(json!({})));
    let plain = config(json!({"ca": place.path().join("mail.pem"), "tls": "starttls"}));
    let sent = tell(Arc::new(Mail::new(&trusting).unwrap()), "send", &written).await;
    assert!(matches!(&sent, Outcome::Done(_)), "{sent:?}");
    let message = mail.message();
    assert_eq!(
        (&message["authenticated"], message["text"].as_str().map(str::trim)),
        (&json!(true), Some("y")),
        "{message}"
    );
    // A server that nobody vouches for gets neither the login nor the message; one that is spoken to in the wrong way says so.
    let sent = tell(Arc::new(Mail::new(&strange).unwrap()), "send", &written).await;
    assert!(
        matches!(&sent, Outcome::Failed(why) if why.detail.contains("not trusted")),
        "{sent:?}"
    );
    let sent = tell(Arc::new(Mail::new(&plain).unwrap()), "send", &written).await;
    assert!(matches!(&sent, Outcome::Failed(_)), "{sent:?}");
}
