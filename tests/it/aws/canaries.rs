//! Keys, session tokens, values of secrets, parameters, functions and containers: in no output, record, file or message.

use super::{Moto, World, json, text};
use crate::hostile::canary::{canary, find, find_in_files};
use crate::support::daemon::secret;
use crate::support::desk::{Desk, on_a_thread};
use crate::support::terminal::Terminal;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json as j;
use starr::provider::Outcome;
use starr::value::Value;
use std::io::{Read, Write};
use std::net::TcpListener;

const BOOK: &str = r#"use std.aws.{Account}
use std.http.{Endpoint}

record About { Tags: List<Tag>? }

record Tag { Key: Text }

runbook look(account: Account = "prod", site: Endpoint = "site") "What is kept secret is looked at" {
  owner    "team-platform"
  status   production
  reviewed 2026-11-01 valid 90 d
  timebox  30 min then escalate
  reads    aws, http
  changes  aws.secretsmanager, aws.sts

  read kept = aws.secretsmanager.get_secret_value(account, SecretId: "db") within 20 s
  read set = aws.ssm.get_parameter(account, Name: "/db/password", WithDecryption: true) within 20 s
  read many = aws.ssm.get_parameters_by_path(account, Path: "/db", WithDecryption: true) within 20 s
  read code = aws.lambda.get_function_configuration(account, FunctionName: "web") within 20 s
  read task = aws.ecs.describe_task_definition(account, taskDefinition: "web") within 20 s
  read login = aws.ecr.get_authorization_token(account) within 20 s
  read said = http.get(site, query: {of: set.Parameter.Name}) within 20 s
  read gone = aws.secretsmanager.get_secret_value(account, SecretId: "nothing") within 20 s
  check untagged "Is it without a tag?" {
    read about: About = aws.secretsmanager.describe_secret(account, SecretId: "db") within 20 s
    let  tags  = about.Tags default []
    yes when tags is empty
  }
  require kept.Name is "db"
    and set.Parameter.Name is "/db/password"
    and many.Parameters is not empty
    and code.FunctionName is "web"
    and task.taskDefinition.family is "web"
    and login.authorizationData is not empty
    and said.ok else stop "the campaign reached nothing"

  action tag "Tag it" {
    > A session is opened beside it.
    risk    low
    approve by oncall within 5 min seeing kept, set, many, code, task, login, said.text, gone
    do      session = aws.sts.assume_role(
      account,
      RoleArn: "arn:aws:iam::123456789012:role/web",
      RoleSessionName: "look",
    ) within 1 min
    do      aws.secretsmanager.tag_resource(account, SecretId: "db", Tags: [{Key: "seen", Value: "yes"}]) within 1 min
    undo    none because "a tag does no harm"
    verify  not untagged within 1 min every 1 s
    failed  -> escalate
  }

  result {
    resolved when not untagged
  }

  reflection {
    prevent "Look at it less" by "team-platform" in 14 d
    ask "Who looked?"
  }
}
"#;

/// A file of a program, packed: what a function is made of.
const ZIP: &[u8] = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// A site that says this to everybody.
fn site(says: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 8192];
            let _ = stream.read(&mut request);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close";
            let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{says}", says.len());
        }
    });
    url
}

async fn made(world: &World, path: &str, args: &[(&str, Value)]) {
    let outcome = world.change(path, args).await;
    assert!(matches!(outcome, Outcome::Done(_)), "{path}: {outcome:?}");
}

/// Puts the canaries where programs have them.
async fn kept(world: &World, secret: &str, parameter: &str, function: &str, container: &str) {
    let args = [("Name", text("db")), ("SecretString", text(secret))];
    made(world, "secretsmanager.create_secret", &args).await;
    let args = [
        ("Name", text("/db/password")),
        ("Type", text("SecureString")),
        ("Value", text(parameter)),
    ];
    made(world, "ssm.put_parameter", &args).await;
    let trust = r#"{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}"#;
    let args = [("RoleName", text("web")), ("AssumeRolePolicyDocument", text(trust))];
    made(world, "iam.create_role", &args).await;
    let args = [
        ("FunctionName", text("web")),
        ("Runtime", text("python3.12")),
        ("Handler", text("web.main")),
        ("Role", text("arn:aws:iam::123456789012:role/web")),
        ("Code", json(j!({"ZipFile": STANDARD.encode(ZIP)}))),
        ("Environment", json(j!({"Variables": {"CONNECTION_STRING": function}}))),
    ];
    made(world, "lambda.create_function", &args).await;
    let containers = j!([{"name": "web", "image": "web:1", "memory": 128,
        "environment": [{"name": "DATABASE_URL", "value": container}, {"name": "PORT", "value": "8080"}],
        "secrets": [{"name": "TOKEN", "valueFrom": "arn:aws:ssm:eu-west-1:123456789012:parameter/db/password"}]}]);
    let args = [("family", text("web")), ("containerDefinitions", json(containers))];
    made(world, "ecs.register_task_definition", &args).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_aws_keeps_secret_is_nowhere() {
    let moto = Moto::start(1_000_000);
    let canaries: Vec<String> = ["secret", "parameter", "function", "container", "key", "session"]
        .iter()
        .map(|channel| canary(channel))
        .collect();
    let [value, parameter, function, container, key, session] = canaries.as_slice() else {
        panic!("six of them");
    };
    kept(&moto.world("AKIAEXAMPLE", key), value, parameter, function, container).await;

    let outside = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| secret(outside.path(), name, text).display().to_string();
    // What the service told once is said again by somebody else, who is asked after it.
    let site = site(format!("the password is {parameter}"));
    let desk = Desk::new(&format!(
        "    aws: {{ accounts: {{ prod: {{ region: eu-west-1, endpoint: \"http://127.0.0.1:{}\", credentials: {{ keys: {{ id: {{ file: {} }}, \
         secret: {{ file: {} }}, session: {{ file: {} }} }} }} }} }} }}
    http: {{ endpoints: {{ site: {{ url: \"{site}\" }} }} }}
    journal: journal.db
    grants:
      - {{ capability: aws,  effects: [read, change], targets: [prod] }}
      - {{ capability: http, effects: [read],         targets: [\"{site}\"] }}
",
        moto.port,
        file("id", "AKIAEXAMPLE"),
        file("key", key),
        file("session", session),
    ));
    std::fs::write(desk.path().join("book.starr"), BOOK).unwrap();
    let (checked, code) = desk.run(&["check", "book.starr"]);
    assert_eq!(code, Some(0), "{checked}");

    let command = desk.command(&["run", "book.starr", "--record", "tape"]);
    let screen = on_a_thread(move || {
        let mut terminal = Terminal::start(command);
        terminal.wait_for("Approve?");
        terminal.answer("yes");
        terminal.pass("Who looked?");
        assert_eq!(terminal.end(), 0, "{}", terminal.seen);
        terminal.seen
    })
    .await;
    // They were read, and stand in the record under their names.
    let (told, _) = desk.run(&["show", "--json"]);
    for words in [
        "SecretString",
        "CONNECTION_STRING",
        "DATABASE_URL",
        "SessionToken",
        "authorizationToken",
        "(secret)",
    ] {
        assert!(told.contains(words), "{words:?} is missing in\n{told}");
    }

    let mut all = canaries.clone();
    // What the emulator makes itself: the login of the registry, the session of the role.
    all.push(STANDARD.encode("AWS:123456789012-auth-token"));
    all.push("AQoEXAMPLEH4aoAH0gNCAPyJxz4BlCFFxWNE1OPTgk5TthT".to_owned());
    let mut found = Vec::new();
    find(&all, "the screen", screen.as_bytes(), &mut found);
    let mut command = desk.command(&["run", "book.starr", "--unattended"]);
    command.env("STARR_DEBUG_PANIC", format!("{key} and {session}"));
    let panicked = command.output().unwrap();
    find(&all, "a panic", &panicked.stderr, &mut found);
    assert!(String::from_utf8_lossy(&panicked.stderr).contains("(secret)"));
    for words in [
        &["show"][..],
        &["show", "--json"],
        &["report"],
        &["report", "--json"],
        &["runs", "--json"],
        &["journal", "export", "evidence.export"],
        &["bundle", "--to", "bundle.json"],
        &["replay", "tape"],
        &["scenario", "tape"],
        &["render", "book.starr"],
        &["plan", "book.starr"],
        &["plan", "book.starr", "--json"],
        &["grants", "book.starr"],
        &["grants", "book.starr", "--to", "iam"],
        &["doctor", "--json"],
    ] {
        let (said, _) = desk.run(words);
        assert!(!said.is_empty(), "{words:?}");
        find(&all, &words.join(" "), said.as_bytes(), &mut found);
    }
    for copy in ["evidence.export", "bundle.json"] {
        let written = std::fs::metadata(desk.path().join(copy)).unwrap().len();
        assert!(
            written > 4096,
            "{copy} holds the run and is searched with the other files"
        );
    }
    find_in_files(&all, desk.path(), &[], &mut found);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[tokio::test]
async fn what_was_read_without_its_secrets_is_not_written() {
    let moto = Moto::start(1_000_000);
    let world = moto.world("AKIAEXAMPLE", "swordfish-4713");
    kept(&world, "canary-1", "canary-2", "canary-3", "canary-4").await;
    let named = [("taskDefinition", text("web"))];
    let read = world.json("ecs.describe_task_definition", &named).await;
    let containers = read["taskDefinition"]["containerDefinitions"].clone();
    assert_eq!(containers[0]["environment"][0]["value"], "(secret)", "{containers}");
    let args = [("family", text("web")), ("containerDefinitions", json(containers))];
    let outcome = world.change("ecs.register_task_definition", &args).await;
    let Outcome::Failed(why) = outcome else {
        panic!("{outcome:?}");
    };
    assert!(why.detail.contains("never shown"), "{why}");
    let now = world.json("ecs.describe_task_definition", &named).await;
    assert_eq!(now["taskDefinition"]["revision"], 1, "{now}");
}
