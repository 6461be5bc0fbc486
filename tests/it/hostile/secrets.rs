//! A-SE: secrets of every channel, and not one of them in anything that leaves the process.

use super::canary::{canary, find, find_in_files, forms, watched};
use super::{Desk, Web, asking, ok, text};
use crate::support::postgres::{Server, run};
use age::secrecy::ExposeSecret as _;
use std::path::PathBuf;
use std::process::{Command, Output};

/// A desk with a secret in every input channel.
struct Campaign {
    desk: Desk,
    canaries: Vec<String>,
    /// Files that hold secrets by design.
    inputs: Vec<PathBuf>,
    environment: (String, String),
    web: Web,
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
        let (read, change) = (new("postgres read"), new("postgres change"));
        let place = Server::shared().database().await;
        let quoted = |secret: &str| secret.replace('\'', "''");
        run(
            &mut place.admin().await,
            &format!(
                "create role read_{0} login password '{1}'; create role change_{0} login password '{2}';
                 create table keys (id int, token text); insert into keys values (1, '{3}');
                 grant select on keys to read_{0}",
                place.name,
                quoted(&read),
                quoted(&change),
                quoted(&new("row"))
            ),
        )
        .await;
        // A server that answers with a token, echoes nothing, and turns some calls away.
        let token = new("reply");
        let web = Web::new(move |request| {
            if request.starts_with("GET /denied") || request.starts_with("POST /anchor-denied") {
                let body = b"no";
                return [
                    format!(
                        "HTTP/1.1 401 Unauthorized\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                        body.len()
                    )
                    .as_bytes(),
                    body,
                ]
                .concat();
            }
            ok(
                "application/json",
                serde_json::json!({"token": token, "name": "x", "list": [1, 2, 3]})
                    .to_string()
                    .as_bytes(),
            )
        });
        let mut inputs = Vec::new();
        let mut private = |name: &str, content: &str| {
            let path = desk.private(name, content);
            inputs.push(path.clone());
            path.display().to_string()
        };
        let key = age::x25519::Identity::generate();
        let identity = private("identity", key.to_string().expose_secret());
        let sealed = desk.path().join("sealed.age");
        std::fs::write(&sealed, age::encrypt(&key.to_public(), new("age").as_bytes()).unwrap()).unwrap();
        let environment = ("STARR_TEST_CANARY".to_owned(), new("environment"));
        let more = format!(
            "    journal:
      anchors:
        - https: {{ url: '{anchor_url}', bearer: {{ file: {anchor} }} }}
        - https: {{ url: '{denied_url}', bearer: {{ file: {anchor_denied} }} }}
    secrets:
      of_file: {{ file: {of_file} }}
      of_age:  {{ age: {sealed}, identity: {identity} }}
      of_env:  {{ env: STARR_TEST_CANARY }}
    http:
      endpoints:
        shop:
          url: '{url}'
          bearer: {{ file: {bearer} }}
          headers: {{ x-api-key: {{ file: {header} }} }}
    postgres:
      databases:
        orders:
          host: 127.0.0.1
          port: {port}
          database: {database}
          read:   {{ user: read_{database}, password: {{ file: {read} }} }}
          change: {{ user: change_{database}, password: {{ file: {change} }} }}
        wrong:
          host: 127.0.0.1
          port: {port}
          database: {database}
          read:   {{ user: read_{database}, password: {{ file: {wrong} }} }}
",
            anchor_url = web.url("/anchor"),
            anchor = private("anchor", &new("anchor")),
            denied_url = web.url("/anchor-denied"),
            anchor_denied = private("anchor_denied", &new("anchor that refuses")),
            of_file = private("of_file", &new("file")),
            sealed = sealed.display(),
            url = web.url(""),
            bearer = private("bearer", &new("bearer")),
            header = private("header", &new("header")),
            port = place.server.port,
            database = place.name,
            read = private("read", &read),
            change = private("change", &change),
            wrong = private("wrong", &new("wrong password")),
        );
        desk.everything(&more);
        canaries.sort();
        Self {
            desk,
            canaries,
            inputs,
            environment,
            web,
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.desk.command(words);
        command
            .args(["--config", "starr.yaml"])
            .env(&self.environment.0, &self.environment.1)
            .env("RUST_BACKTRACE", "full")
            .env("RUST_LOG", "trace")
            .env("RUST_LIB_BACKTRACE", "1");
        command
    }

    /// Nothing of these bytes, and nothing of any file, holds a canary.
    fn nothing_leaked(&self, outputs: &[(String, Vec<u8>)]) {
        let mut found = Vec::new();
        for (place, bytes) in outputs {
            find(&self.canaries, place, bytes, &mut found);
        }
        find_in_files(&self.canaries, self.desk.path(), &self.inputs, &mut found);
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    /// Everything that can be said about the runs so far.
    fn said_afterwards(&self, outputs: &mut Vec<(String, Vec<u8>)>) {
        for words in [
            &["show"][..],
            &["show", "--json"],
            &["report"],
            &["report", "--json"],
            &["report", "-o", "report.md"],
            &["runs", "--json"],
            &["journal", "verify", "--json"],
            &["journal", "anchor"],
            &["journal", "export", "evidence.export"],
            &["journal", "backup", "copy.db"],
            &["doctor"],
            &["doctor", "--json"],
            &["grants", "x.starr"],
            &["test", "x.starr"],
            &["resume", "latest", "--unattended"],
            &["replay", "tape"],
            &["replay", "tape", "--json"],
            &["scenario", "tape"],
        ] {
            let output = self.command(words).output().unwrap();
            note(outputs, &words.join(" "), &output);
        }
    }
}

fn note(outputs: &mut Vec<(String, Vec<u8>)>, place: &str, output: &Output) {
    outputs.push((format!("stdout of {place}"), output.stdout.clone()));
    outputs.push((format!("stderr of {place}"), output.stderr.clone()));
}

/// Uses every channel: parameters, headers, passwords, rows and replies; fails in the provider, in an argument and in a loop; runs a
/// program of the host.
fn book(campaign: &Campaign) -> String {
    asking(
        "shop",
        &format!(
            "  let token: Secret<Text> = odd.reply.json.token
  read with_reply = http.get(\"{url}\", authorization: token) within 20 s
  read with_file  = http.get(\"{url}\", authorization: of_file) within 20 s
  read with_age   = http.get(\"{url}\", authorization: of_age) within 20 s
  read with_env   = http.get(\"{url}\", authorization: of_env) within 20 s
  read denied     = http.get(\"{denied}\", authorization: of_file) within 20 s
  read elsewhere  = http.get(\"http://user:{user_info}@127.0.0.1:9/\", authorization: of_file) within 20 s
  read rows: List<Key> = postgres.query(orders, `select id, token from keys`) within 20 s
  read bound: List<Key> = postgres.query(orders, `select 1 / (id - id) as id, token from keys`) within 20 s
  read refused: List<Key> = postgres.query(wrong, `select 1 as id, 'x' as token`) within 20 s
  read unit = host.units.state(\"no-such-unit.service\") within 10 s
  check seen \"Did it all happen?\" {{
    yes when with_reply.ok and with_file.ok and with_age.ok and with_env.ok and rows.count is 1 and denied.status is 401
  }}
  check failed \"Did the rest fail?\" {{ yes when elsewhere.ok or bound is empty or refused is empty or unit.pid is 1 }}
  require seen else stop \"the campaign reached nothing\"
  let tokens = rows.map(it.token)
  each number in [1, 2, 3] at most 5 {{
    read again = http.get(\"{denied}\", query: {{n: number}}, authorization: of_env) within 20 s
    check turned_away \"Is {{number}} turned away?\" {{ yes when again.status is 401 }}
    require turned_away else next step
  }}
  advise \"There are {{rows.count}} keys: {{rows}}\"
  branch \"And now?\" {{
    cause so \"It is so\" when failed {{ stop \"it did not fail\" }}
    otherwise or cannot tell {{ stop \"done\" }}
  }}
",
            url = campaign.web.url("/"),
            denied = campaign.web.url("/denied"),
            user_info = "plain",
        ),
    )
    .replace(
        "runbook asking()",
        "use std.postgres.{Postgres}\n\nrecord Key { id: Int, token: Secret<Text> }\n\nrunbook asking(of_file: Secret<Text>, of_age: Secret<Text>, of_env: Secret<Text>, orders: Postgres = \"orders\", wrong: Postgres = \"wrong\")",
    )
    .replace("  reads http\n", "  reads http, postgres, host\n")
}

const SECRETS: &[&str] = &[
    "--set",
    "of_file=of_file",
    "--set",
    "of_age=of_age",
    "--set",
    "of_env=of_env",
];

async fn campaign() -> Campaign {
    let campaign = Campaign::new().await;
    campaign.desk.write("x.starr", &book(&campaign));
    let checked = campaign.command(&["check", "x.starr"]).output().unwrap();
    assert!(text(&checked).contains(" 0 errors"), "{}", text(&checked));
    campaign
}

fn watch(campaign: &Campaign, words: &[&str]) -> (Output, super::canary::Watched) {
    let command = campaign.command(&[words, SECRETS].concat());
    watched(command, &campaign.desk.path().join(".local/state/starr/journal.db-wal"))
}

/// The canaries did reach their destinations: a campaign that reaches nothing proves nothing.
fn arrived(campaign: &Campaign, least: usize) {
    let seen = campaign.web.seen().join("\n");
    let arrived = campaign
        .canaries
        .iter()
        .filter(|canary| seen.contains(canary.as_str()))
        .count();
    assert!(arrived >= least, "only {arrived} canaries arrived:\n{seen}");
}

#[tokio::test]
async fn a_se_1_a_secret_in_a_step_that_fails_is_nowhere() {
    let campaign = campaign().await;
    let (output, seen) = watch(&campaign, &["run", "x.starr", "--unattended", "--record", "tape"]);
    assert!(text(&output).contains("done"), "{}", text(&output));
    // The two of the anchors among them.
    arrived(&campaign, 8);
    assert!(
        seen.log.len() > 4096,
        "the write-ahead log was not seen: {} bytes",
        seen.log.len()
    );
    let mut outputs = vec![
        ("arguments and environments".to_owned(), seen.bytes),
        ("the write-ahead log".to_owned(), seen.log),
    ];
    note(&mut outputs, "run", &output);
    campaign.said_afterwards(&mut outputs);
    for copy in ["evidence.export", "copy.db"] {
        let written = std::fs::metadata(campaign.desk.path().join(copy)).unwrap().len();
        assert!(
            written > 4096,
            "{copy} holds the run and is searched with the other files"
        );
    }
    let tape: String = super::everything_below(&campaign.desk.path().join("tape"))
        .iter()
        .map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
        .collect();
    assert!(tape.contains("postgres.query") && tape.contains("http.get"), "{tape}");
    campaign.nothing_leaked(&outputs);
}

#[tokio::test]
async fn a_se_2_a_secret_is_in_no_argument_vector_and_no_environment_of_a_child() {
    let campaign = campaign().await;
    // A program that stays long enough to be looked at stands in the place of the one that is asked for units, where there is none.
    let (output, seen) = watch(&campaign, &["run", "x.starr", "--unattended", "--json"]);
    let mut found = Vec::new();
    find(
        &campaign.canaries,
        "arguments and environments",
        &seen.bytes,
        &mut found,
    );
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(!seen.bytes.is_empty(), "the process was not seen: {}", text(&output));
    // The providers give their children a fixed environment, whatever this process has in its own.
    let path = "src/providers/host/program.rs";
    let code = std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    assert!(code.contains(".env_clear()"), "{path}");
    for (path, code) in spawning() {
        assert!(
            code.contains("env_clear()"),
            "{path} starts a program with the environment of this process"
        );
    }
}

/// Sources of the product that start programs.
fn spawning() -> Vec<(String, String)> {
    fn walk(folder: &std::path::Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "rs") && !path.to_string_lossy().contains("test")
            {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text
                    .split("#[cfg(test)]\nmod tests")
                    .next()
                    .unwrap_or_default()
                    .to_owned();
                if code.contains("Command::new(") {
                    found.push((path.display().to_string(), code));
                }
            }
        }
    }
    let mut found = Vec::new();
    walk(
        &std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut found,
    );
    assert!(!found.is_empty());
    found
}

#[tokio::test]
async fn a_se_3_a_secret_of_a_step_that_is_not_run_is_in_no_plan() {
    let campaign = campaign().await;
    let mut outputs = Vec::new();
    for words in [
        &["plan", "x.starr"][..],
        &["plan", "x.starr", "--json"],
        &["render", "x.starr"],
        &["check", "x.starr", "--format", "json"],
    ] {
        note(
            &mut outputs,
            &words.join(" "),
            &campaign.command(words).output().unwrap(),
        );
    }
    let (output, seen) = watch(&campaign, &["run", "x.starr", "--dry-run", "--unattended"]);
    note(&mut outputs, "dry run", &output);
    outputs.push(("arguments and environments".to_owned(), seen.bytes));
    campaign.said_afterwards(&mut outputs);
    campaign.nothing_leaked(&outputs);
}

#[tokio::test]
async fn a_se_4_a_panic_and_the_loudest_output_tell_nothing() {
    let campaign = campaign().await;
    let mut outputs = Vec::new();
    for words in [
        &["run", "x.starr", "--unattended", "--json"][..],
        &["run", "x.starr", "--unattended", "--color", "always"],
    ] {
        let mut command = campaign.command(&[words, SECRETS].concat());
        // The panic's own text holds every secret that was read, in several encodings.
        let everything: Vec<String> = campaign
            .canaries
            .iter()
            .flat_map(|canary| [canary.clone(), hex::encode(canary)])
            .collect();
        command.env("STARR_DEBUG_PANIC", everything.join(" and "));
        let output = command.output().unwrap();
        let said = text(&output);
        assert!(
            said.contains("a mistake in starr") && said.contains("(secret)"),
            "{said}"
        );
        assert!(said.contains("forced_panic"), "there is no backtrace: {said}");
        // Channels that were not read in this run are not known to it: the change login and what only the server held.
        let read: Vec<String> = campaign
            .canaries
            .iter()
            .filter(|canary| !said.contains(canary.as_str()))
            .cloned()
            .collect();
        assert!(
            read.len() + 1 >= campaign.canaries.len(),
            "{} of {} were taken out: {said}",
            read.len(),
            campaign.canaries.len()
        );
        let mut found = Vec::new();
        find(&read, "the panic", said.as_bytes(), &mut found);
        assert!(found.is_empty(), "{}", found.join("\n"));
    }
    campaign.said_afterwards(&mut outputs);
    campaign.nothing_leaked(&outputs);
}

#[test]
fn a_se_1_what_is_given_on_the_command_line_is_not_repeated() {
    let desk = Desk::new();
    desk.everything("    secrets: { token: { env: STARR_TEST_CANARY } }\n");
    desk.write(
        "x.starr",
        "runbook x(token: Secret<Text>, to: Text = \"a\", number: Secret<Int>? = none) \"X\" {\n  timebox 5 min then stop \"too long\"\n  situation {\n    symptom odd \"Is it odd?\" { yes when to is \"odd\" }\n  }\n  task { goal not odd }\n}\n",
    );
    let secret = canary("command line");
    let with_password = format!("to=postgres://someone:{secret}@db.example.com/orders");
    for words in [
        vec!["--set".to_owned(), format!("token={secret}")],
        vec![
            "--set".to_owned(),
            "token=token".to_owned(),
            "--set".to_owned(),
            with_password,
        ],
        vec![
            "--set".to_owned(),
            "token=token".to_owned(),
            "--set".to_owned(),
            "number=token".to_owned(),
        ],
    ] {
        let mut command = desk.command(&["run", "x.starr", "--unattended", "--json", "--config", "starr.yaml"]);
        command.args(&words).env("STARR_TEST_CANARY", &secret);
        let output = command.output().unwrap();
        let mut found = Vec::new();
        find(
            std::slice::from_ref(&secret),
            "the output",
            &[output.stdout.clone(), output.stderr.clone()].concat(),
            &mut found,
        );
        find_in_files(std::slice::from_ref(&secret), desk.path(), &[], &mut found);
        assert!(found.is_empty(), "{words:?}: {}\n{}", found.join("\n"), text(&output));
    }
}

#[test]
fn a_short_secret_is_warned_about_and_takes_no_words_out() {
    let desk = Desk::new();
    desk.everything("    secrets: { pin: { env: STARR_TEST_PIN } }\n");
    desk.write(
        "x.starr",
        "runbook x(pin: Secret<Text>) \"The old cat\" {\n  timebox 5 min then stop \"too long\"\n  situation {\n    symptom odd \"Is one more than two?\" { yes when 1 > 2 }\n  }\n  task { goal not odd }\n}\n",
    );
    let output = desk
        .command(&[
            "run",
            "x.starr",
            "--unattended",
            "--set",
            "pin=pin",
            "--config",
            "starr.yaml",
        ])
        .env("STARR_TEST_PIN", "cat")
        .output()
        .unwrap();
    let said = text(&output);
    assert!(
        said.contains("STARR_TEST_PIN has fewer than 6 characters") && said.contains("The old cat"),
        "{said}"
    );
    assert!(forms("cat-and-dog-and-bird-1").len() > 10);
}

/// Two runs of one journal recognise the same secret; what they write down says nothing about it.
#[test]
fn equal_secrets_have_equal_tags_in_one_journal() {
    let desk = Desk::new();
    let web = Web::json(serde_json::json!([{"token": "4711", "other": "4711"}]));
    desk.write(
        "x.starr",
        &asking(
            &web.url("/"),
            "  let rows: List<Row> = odd.reply.json\n  each row in rows at most 5 {\n    advise \"Look at {row}\"\n  }\n",
        )
        .replace("runbook asking", "record Row { token: Secret<Text>, other: Secret<Text> }\n\nrunbook asking"),
    );
    let mut tags = Vec::new();
    for _ in 0..2 {
        let output = desk.starr(&["run", "x.starr", "--unattended", "--json"]);
        let said = text(&output);
        let read = said
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .find(|event| event["event"] == "read")
            .unwrap_or_else(|| panic!("{said}"));
        let tag = read["value"]["data"].as_str().unwrap_or_default().to_owned();
        assert!(
            tag.starts_with("(secret ") && tag.len() == "(secret )".len() + 16,
            "{read}"
        );
        assert!(!said.contains("4711"), "{said}");
        tags.push(tag);
    }
    let keys: Vec<_> = std::fs::read_dir(desk.path().join(".config/starr/keys"))
        .unwrap()
        .collect();
    assert_eq!(keys.len(), 1, "one key for one journal");
    assert!(
        !desk.path().join(".local/state/starr/keys").exists(),
        "the key lies beside the journal"
    );
}
