//! A-SE, the channels of clusters, of the keyring, of chat, pager and mail, and of a journal in a database.

use super::canary::{canary, find, find_in_files, forms, watched};
use super::{Desk, Web, asking, ok, text};
use crate::support::postgres::{Place, Server, run};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sqlx::{AssertSqlSafe, Row as _};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

/// A mail server that takes every login and then refuses it.
struct MailServer {
    port: u16,
    seen: Arc<Mutex<String>>,
}

impl MailServer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen: Arc<Mutex<String>> = Arc::default();
        let noted = seen.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut writer = stream.try_clone().unwrap();
                let _ = writer.write_all(b"220 mail.example ESMTP\r\n");
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    noted.lock().unwrap().push_str(&format!("{line}\n"));
                    let answer: &[u8] = match line.split(' ').next().unwrap_or_default() {
                        "EHLO" => b"250-mail.example\r\n250 AUTH PLAIN LOGIN\r\n",
                        "AUTH" => b"535 5.7.8 not you\r\n",
                        "QUIT" => b"221 bye\r\n",
                        _ => b"250 ok\r\n",
                    };
                    if writer.write_all(answer).is_err() {
                        break;
                    }
                }
            }
        });
        Self { port, seen }
    }
}

struct Campaign {
    desk: Desk,
    canaries: Vec<String>,
    inputs: Vec<PathBuf>,
    web: Web,
    mail: MailServer,
    place: Place,
}

/// Without the characters that a path or a key of a service could not have.
fn plain(canary: &str) -> String {
    canary.chars().filter(char::is_ascii_alphanumeric).collect()
}

impl Campaign {
    async fn new() -> Self {
        let desk = Desk::new();
        let mut canaries = Vec::new();
        let mut new = |channel: &str| {
            let secret = canary(channel);
            canaries.push(secret.clone());
            secret
        };
        let (recorder, owner) = (new("journal recorder"), new("journal owner"));
        let place = Server::shared().database().await;
        let name = &place.name;
        run(
            &mut place.admin().await,
            &format!(
                "create role recorder_{name} login password '{recorder}'; create role owner_{name} login password '{owner}';
                 grant create on database {name} to owner_{name}"
            ),
        )
        .await;
        let in_cluster = new("secret of the cluster");
        let document =
            serde_json::json!({"kind": "Secret", "data": {"password": STANDARD.encode(&in_cluster)}}).to_string();
        let web = Web::new(move |request| {
            let json = |body: &str| ok("application/json", body.as_bytes());
            match request.split(' ').nth(1).unwrap_or_default() {
                "/api/v1/namespaces/shop/secrets/orders" => json(&document),
                "/version" => json(r#"{"gitVersion": "v1.33.1", "platform": "linux/amd64"}"#),
                path if path.starts_with("/refused") => {
                    b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno".to_vec()
                }
                path if path.contains("enqueue") => json(r#"{"status": "success", "message": "m", "dedup_key": "k"}"#),
                _ => json("{}"),
            }
        });
        let mail = MailServer::start();
        let mut inputs = Vec::new();
        let mut private = |name: &str, content: &str| {
            let path = desk.private(name, content);
            inputs.push(path.clone());
            path.display().to_string()
        };
        // The keyring of this machine where there is one; a file where there is none.
        let keyring = new("keyring");
        let entry = format!("starr-test-{}", plain(&canary("name of the entry")));
        let kept = desk
            .command(&["secret", "set", &entry])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .and_then(|mut child| {
                child.stdin.take().expect("it is piped").write_all(keyring.as_bytes())?;
                child.wait_with_output()
            })
            .unwrap();
        let mut found = Vec::new();
        find(
            std::slice::from_ref(&keyring),
            "secret set",
            text(&kept).as_bytes(),
            &mut found,
        );
        assert!(found.is_empty(), "{found:?}");
        let of_keyring = if kept.status.success() {
            format!("{{ keyring: {entry} }}")
        } else {
            format!("{{ file: {} }}", private("of_keyring", &keyring))
        };
        // A login with a token and a key, one whose key is none, and one that is turned away.
        let kubeconfig = |token: &str, key: &str, server: &str| {
            format!(
                "apiVersion: v1\nkind: Config\nclusters:\n  - name: c\n    cluster: {{ server: '{server}' }}\ncontexts:\n  - name: it\n    context: {{ cluster: c, user: u }}\nusers:\n  - name: u\n    user: {{ token: '{token}'{key} }}\n"
            )
        };
        let (listed, broken, key, refused) = (
            new("kubeconfig"),
            new("kubeconfig, broken"),
            new("client key"),
            new("refused"),
        );
        let (direct, salt) = (new("token of the cluster"), new("salt"));
        let no_key = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            plain(&key)
        );
        let broken_key = format!(
            ", client-certificate-data: {0}, client-key-data: {0}",
            STANDARD.encode(&no_key)
        );
        let (hook, routing, mail_password) = (plain(&new("chat")), plain(&new("pager")), new("mail"));
        let refused_hook = plain(&new("chat that refuses"));
        let more = format!(
            "      - {{ capability: kubernetes, effects: [read], all: true }}
      - {{ capability: chat, effects: [tell], all: true }}
      - {{ capability: pager, effects: [tell], all: true }}
      - {{ capability: mail, effects: [tell], all: true }}
    journal:
      postgres:
        host: 127.0.0.1
        port: {port}
        database: {name}
        user: recorder_{name}
        password: {{ file: {recorder} }}
        owner: {{ user: owner_{name}, password: {{ file: {owner} }} }}
        allow_unsynced: true
    secrets:
      of_cluster: {{ kubernetes: direct, namespace: shop, secret: orders, key: password }}
      of_keyring: {of_keyring}
    kubernetes:
      clusters:
        direct: {{ server: '{url}', token: {{ file: {direct} }}, secret_salt: {{ file: {salt} }} }}
        listed: {{ kubeconfig: {listed}, context: it }}
        broken: {{ kubeconfig: {broken}, context: it }}
        refused: {{ kubeconfig: {refused}, context: it }}
    chat:
      channels:
        \"#inc\": {{ url: '{url}', secret_path: {{ file: {hook} }} }}
        \"#refused\": {{ url: '{url}', secret_path: {{ file: {refused_hook} }} }}
    pager:
      services:
        oncall: {{ routing_key: {{ file: {routing} }}, url: '{url}' }}
    mail:
      server: {{ host: localhost, port: {mail_port}, tls: none, from: \"starr <starr@example.org>\", user: starr, password: {{ file: {mail_password} }} }}
      boxes:
        leaders: [\"lea@example.org\"]
",
            port = place.server.port,
            recorder = private("recorder", &recorder),
            owner = private("owner", &owner),
            url = web.url(""),
            direct = private("direct", &direct),
            salt = private("salt", &salt),
            listed = private("listed", &kubeconfig(&listed, "", &web.url(""))),
            broken = private("broken", &kubeconfig(&broken, &broken_key, &web.url(""))),
            refused = private("refused", &kubeconfig(&refused, "", &web.url("/refused"))),
            hook = private("hook", &format!("/services/{hook}")),
            refused_hook = private("refused_hook", &format!("/refused/{refused_hook}")),
            routing = private("routing", &routing),
            mail_port = mail.port,
            mail_password = private("mail_password", &mail_password),
        );
        desk.everything(&more);
        Self {
            desk,
            canaries,
            inputs,
            web,
            mail,
            place,
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.desk.command(words);
        command
            .args(["--config", "starr.yaml"])
            .env("RUST_BACKTRACE", "full")
            .env("RUST_LOG", "trace")
            .env("RUST_LIB_BACKTRACE", "1");
        command
    }

    /// Everything that the tables of the journal hold.
    async fn tables(&self) -> Vec<u8> {
        let mut connection = self.place.admin().await;
        let mut bytes = Vec::new();
        for table in [
            "version",
            "head",
            "runs",
            "leases",
            "subjects",
            "entries",
            "payloads",
            "checkpoints",
            "requests",
            "decisions",
        ] {
            let rows = sqlx::query(AssertSqlSafe(format!("select t::text from starr.{table} t")))
                .fetch_all(&mut connection)
                .await
                .unwrap();
            bytes.extend(rows.iter().flat_map(|row| row.get::<String, _>(0).into_bytes()));
        }
        // The payloads are JSON, which the text of a column shows in hexadecimal.
        let bodies = sqlx::query("select body from starr.payloads")
            .fetch_all(&mut connection)
            .await
            .unwrap();
        bytes.extend(bodies.iter().flat_map(|row| row.get::<Vec<u8>, _>(0)));
        bytes
    }
}

fn note(outputs: &mut Vec<(String, Vec<u8>)>, place: &str, output: &Output) {
    outputs.push((format!("stdout of {place}"), output.stdout.clone()));
    outputs.push((format!("stderr of {place}"), output.stderr.clone()));
}

fn book(campaign: &Campaign) -> String {
    asking(
        &campaign.web.url("/"),
        &format!(
            "  read with_cluster = http.get(\"{url}\", authorization: of_cluster) within 20 s
  read with_keyring = http.get(\"{url}\", authorization: of_keyring) within 20 s
  read direct  = kubernetes.version(\"direct\") within 20 s
  read listed  = kubernetes.version(\"listed\") within 20 s
  read broken  = kubernetes.version(\"broken\") within 20 s
  read refused = kubernetes.version(\"refused\") within 20 s
  check seen \"Did it all happen?\" {{
    yes when with_cluster.ok and with_keyring.ok and direct.version is \"v1.33.1\" and listed.version is \"v1.33.1\"
  }}
  check failed \"Did the rest fail?\" {{ yes when broken.version is \"x\" or refused.version is \"x\" }}
  require seen else stop \"the campaign reached nothing\"
  tell chat.post(\"#inc\", \"hello\")
  tell chat.post(\"#refused\", \"hello\")
  tell pager.page(\"oncall\", summary: \"hello\", key: run.id)
  tell mail.send(\"leaders\", subject: \"hello\", text: \"hello\")
  branch \"And now?\" {{
    cause so \"It is so\" when failed {{ stop \"it did not fail\" }}
    otherwise or cannot tell {{ stop \"done\" }}
  }}
",
            url = campaign.web.url("/"),
        ),
    )
    .replace(
        "runbook asking()",
        "runbook asking(of_cluster: Secret<Text>, of_keyring: Secret<Text>)",
    )
    .replace(
        "  reads http\n",
        "  reads http, kubernetes\n  tells chat, pager, mail\n",
    )
}

const SECRETS: &[&str] = &["--set", "of_cluster=of_cluster", "--set", "of_keyring=of_keyring"];

#[tokio::test]
async fn a_se_1_credentials_of_clusters_journals_and_messages_are_nowhere() {
    let campaign = Campaign::new().await;
    campaign.desk.write("x.starr", &book(&campaign));
    let checked = campaign.command(&["check", "x.starr"]).output().unwrap();
    assert!(text(&checked).contains(" 0 errors"), "{}", text(&checked));
    let mut outputs = Vec::new();
    let words = [&["run", "x.starr", "--unattended", "--record", "tape"][..], SECRETS].concat();
    let (output, seen) = watched(campaign.command(&words), &campaign.desk.path().join("no-file-is-made"));
    assert!(text(&output).contains("done"), "{}", text(&output));
    note(&mut outputs, "run", &output);
    outputs.push(("arguments and environments".to_owned(), seen.bytes));
    // They did reach their destinations: a campaign that reaches nothing proves nothing.
    let sent = format!(
        "{}\n{}",
        campaign.web.seen().join("\n"),
        campaign.mail.seen.lock().unwrap()
    );
    let arrived = |secret: &String| {
        forms(secret)
            .iter()
            .chain([&plain(secret)])
            .any(|form| sent.contains(form.as_str()))
    };
    let reached = campaign.canaries.iter().filter(|canary| arrived(canary)).count();
    // All but the two of the journal, the salt, and the login whose key is none with its key.
    assert!(
        reached + 5 >= campaign.canaries.len(),
        "only {reached} arrived:\n{sent}"
    );

    // A panic after everything was read, and the loudest output.
    let words = [&["run", "x.starr", "--unattended", "--color", "always"][..], SECRETS].concat();
    let everything: Vec<String> = campaign
        .canaries
        .iter()
        .flat_map(|canary| [canary.clone(), hex::encode(canary)])
        .collect();
    let mut command = campaign.command(&words);
    command.env("STARR_DEBUG_PANIC", everything.join(" and "));
    let panicked = command.output().unwrap();
    let said = text(&panicked);
    assert!(
        said.contains("a mistake in starr") && said.contains("(secret)"),
        "{said}"
    );
    // What a service is shown in another form than here, the salt that nothing asked for, the owner whose tables were made, and
    // the key that is none were not read in this run as they stand there.
    let shown: Vec<&String> = campaign
        .canaries
        .iter()
        .filter(|canary| said.contains(canary.as_str()))
        .collect();
    assert!(
        shown.len() <= 6,
        "{} of {} are shown: {said}",
        shown.len(),
        campaign.canaries.len()
    );

    for words in [
        &["show"][..],
        &["show", "--json"],
        &["report"],
        &["report", "--json"],
        &["runs", "--json"],
        &["journal", "verify", "--json"],
        &["journal", "export", "evidence.export"],
        &["resume", "latest", "--unattended"],
        &["replay", "tape"],
        &["scenario", "tape"],
        &["plan", "x.starr"],
        &["plan", "x.starr", "--json"],
        &["grants", "x.starr"],
        &["doctor"],
        &["doctor", "--json"],
    ] {
        let output = campaign.command(words).output().unwrap();
        note(&mut outputs, &words.join(" "), &output);
    }
    let dry = [&["run", "x.starr", "--unattended", "--dry-run", "--json"][..], SECRETS].concat();
    note(&mut outputs, "dry run", &campaign.command(&dry).output().unwrap());
    let tables = campaign.tables().await;
    assert!(
        tables.len() > 4096,
        "the journal holds the runs: {} bytes",
        tables.len()
    );
    outputs.push(("the tables of the journal".to_owned(), tables));
    let written = std::fs::metadata(campaign.desk.path().join("evidence.export"))
        .unwrap()
        .len();
    assert!(written > 4096, "the export is searched with the other files");
    let mut found = Vec::new();
    for (place, bytes) in &outputs {
        find(&campaign.canaries, place, bytes, &mut found);
    }
    find_in_files(&campaign.canaries, campaign.desk.path(), &campaign.inputs, &mut found);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Wrong credentials of the journal's own database: refused, and repeated nowhere.
#[tokio::test]
async fn a_se_1_wrong_credentials_of_the_journal_are_not_repeated() {
    let campaign = Campaign::new().await;
    campaign.desk.write("x.starr", &book(&campaign));
    let wrong = canary("wrong password of the journal");
    campaign.desk.private("recorder", &wrong);
    campaign.desk.private("owner", &wrong);
    run(
        &mut campaign.place.admin().await,
        &format!("alter role recorder_{} nologin", campaign.place.name),
    )
    .await;
    let mut found = Vec::new();
    for words in [
        &[&["run", "x.starr", "--unattended"][..], SECRETS].concat()[..],
        &["runs"],
        &["journal", "verify"],
        &["doctor"],
    ] {
        let output = campaign.command(words).output().unwrap();
        assert!(
            output.status.code() != Some(0) || words[0] == "doctor",
            "{words:?}: {}",
            text(&output)
        );
        find(
            std::slice::from_ref(&wrong),
            &words.join(" "),
            text(&output).as_bytes(),
            &mut found,
        );
        find(
            &campaign.canaries,
            &words.join(" "),
            text(&output).as_bytes(),
            &mut found,
        );
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
