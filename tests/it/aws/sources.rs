//! Secrets and parameters of an account as a source of what the configuration needs.

use super::{Moto, World, done, text};
use crate::hostile::canary::{canary, find, find_in_files};
use crate::support::daemon::secret;
use crate::support::desk::{Desk, on_a_thread};
use serde_json::json as j;
use starr::providers::aws::secrets::Source;
use starr::secrets::{AccountSecret, SecretSource, reach, redact};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

async fn put(world: &World, name: &str, value: &str) {
    let args = [("Name", text(name)), ("SecretString", text(value))];
    done(world, "secretsmanager.create_secret", &args).await;
}

async fn set(world: &World, name: &str, kind: &str, value: &str) {
    let args = [("Name", text(name)), ("Type", text(kind)), ("Value", text(value))];
    done(world, "ssm.put_parameter", &args).await;
}

fn reached(moto: &Moto, key: &str) -> (Source, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let entry = moto.entry(folder.path(), "AKIAEXAMPLE", key);
    let config = serde_yaml::from_str(&format!("accounts: {{ prod: {entry} }}")).unwrap();
    (Source::new(&config), folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_and_parameters_of_an_account_are_sources() {
    let moto = Moto::start(1_000_000);
    let world = moto.world("AKIAEXAMPLE", "any");
    put(&world, "plain", "swordfish-of-aws\n").await;
    let fields = j!({"password": "catfish-of-aws", "port": 5432, "empty": ""});
    put(&world, "team/fields", &fields.to_string()).await;
    // Nothing that another test of this process writes is a part of it.
    let large: String = (0..8192).map(|number| format!("{number:08x}")).collect();
    put(&world, "large", &large).await;
    let bytes = [("Name", text("bytes")), ("SecretBinary", text("AAECAw=="))];
    done(&world, "secretsmanager.create_secret", &bytes).await;
    set(&world, "/db/password", "SecureString", "dogfish-of-aws").await;
    set(&world, "/db/host", "String", "db.example").await;
    let (source, _folder) = reached(&moto, "any");
    reach::<AccountSecret>(Arc::new(source));
    let read = |text: &str| serde_yaml::from_str::<SecretSource>(text).unwrap().read();

    let of = |text: &str| {
        read(text)
            .unwrap_or_else(|problem| panic!("{problem}"))
            .expose()
            .to_owned()
    };
    assert_eq!(of("{ aws: prod, secret: plain }"), "swordfish-of-aws");
    assert_eq!(
        of("{ aws: prod, secret: team/fields, key: password }"),
        "catfish-of-aws"
    );
    assert_eq!(of("{ aws: prod, parameter: /db/password }"), "dogfish-of-aws");
    assert_eq!(of("{ aws: prod, parameter: /db/host }"), "db.example");
    // The largest that the service keeps.
    assert_eq!(of("{ aws: prod, secret: large }").len(), 65_536);
    let said = "swordfish-of-aws, catfish-of-aws, dogfish-of-aws";
    assert_eq!(redact(said), "(secret), (secret), (secret)");

    for (wanted, named, because) in [
        (
            "{ aws: prod, secret: none }",
            "secret `none` of the account `prod`",
            "ResourceNotFound",
        ),
        (
            "{ aws: prod, parameter: /none }",
            "parameter `/none`",
            "ParameterNotFound",
        ),
        (
            "{ aws: elsewhere, secret: plain }",
            "account `elsewhere`",
            "no such account",
        ),
        (
            "{ aws: prod, secret: plain, key: password }",
            "key `password`",
            "no JSON object",
        ),
        (
            "{ aws: prod, secret: team/fields, key: none }",
            "key `none`",
            "no such key",
        ),
        (
            "{ aws: prod, secret: team/fields, key: port }",
            "key `port`",
            "not a text",
        ),
        (
            "{ aws: prod, secret: team/fields, key: empty }",
            "key `empty`",
            "is empty",
        ),
        ("{ aws: prod, secret: bytes }", "secret `bytes`", "bytes and not a text"),
    ] {
        let refusal = read(wanted).unwrap_err();
        assert!(
            refusal.contains(named) && refusal.contains(because),
            "{wanted}: {refusal}"
        );
        assert!(
            !refusal.contains("fish-of-aws") && !refusal.contains("5432"),
            "{refusal}"
        );
    }
}

const BOOK: &str = r#"use std.http.{Endpoint}

runbook look(site: Endpoint = "site") "Is the site there?" {
  timebox 5 min then stop "too long"
  reads   http

  situation {
    symptom gone "Is it gone?" {
      read said = http.probe(site) within 30 s
      yes when not said.ok
    }
  }

  task {
    goal not gone
  }
}
"#;

/// A site, and what it is shown as authority.
fn site() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let shown: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&shown);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let authority = lines
                .by_ref()
                .take_while(|line| !line.is_empty())
                .find_map(|line| line.strip_prefix("authorization: ").map(str::to_owned));
            seen.lock().unwrap().extend(authority);
            let _ = (&stream).write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        }
    });
    (url, shown)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_account_keeps_reaches_the_site_and_nothing_else() {
    let moto = Moto::start(1_000_000);
    let world = moto.world("AKIAEXAMPLE", "any");
    let canaries: Vec<String> = ["field", "parameter"].iter().map(|name| canary(name)).collect();
    put(&world, "site", &j!({"token": canaries[0], "user": "starr"}).to_string()).await;
    set(&world, "/site/token", "SecureString", &canaries[1]).await;
    let (url, shown) = site();
    let outside = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| secret(outside.path(), name, text).display().to_string();
    let account = format!(
        "region: eu-west-1, endpoint: \"http://127.0.0.1:{}\", credentials: {{ keys: {{ id: {{ file: {} }}, secret: {{ file: {} }} }} }}",
        moto.port,
        file("id", "AKIAEXAMPLE"),
        file("key", "any"),
    );
    let mut found = Vec::new();
    for (source, canary) in [
        ("{ aws: prod, secret: site, key: token }", &canaries[0]),
        ("{ aws: prod, parameter: /site/token }", &canaries[1]),
    ] {
        let desk = Desk::new(&format!(
            "    aws: {{ accounts: {{ prod: {{ {account} }} }} }}
    http: {{ endpoints: {{ site: {{ url: \"{url}\", bearer: {source} }} }} }}
    journal: journal.db
    grants: [{{ capability: http, effects: [read], targets: [\"{url}\"] }}]
"
        ));
        std::fs::write(desk.path().join("book.starr"), BOOK).unwrap();
        let desk = on_a_thread(move || {
            let (said, code) = desk.run(&["run", "book.starr", "--unattended", "--record", "tape"]);
            assert_eq!(code, Some(0), "{said}");
            (desk, said)
        });
        let (desk, said) = desk.await;
        assert_eq!(*shown.lock().unwrap(), [format!("Bearer {canary}")], "{said}");
        find(&canaries, "the screen", said.as_bytes(), &mut found);
        for words in [
            &["show", "--json"][..],
            &["report"],
            &["bundle", "--to", "bundle.json"],
            &["journal", "export", "evidence.export"],
            &["replay", "tape"],
            &["doctor", "--json"],
        ] {
            let (said, _) = desk.run(words);
            find(&canaries, &words.join(" "), said.as_bytes(), &mut found);
        }
        // The doctor looks at the site too.
        shown.lock().unwrap().clear();
        find_in_files(&canaries, desk.path(), &[], &mut found);
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    // Without the right nothing is asked of the site, and it is said what is missing.
    moto.look_at_rights();
    let desk = Desk::new(&format!(
        "    aws: {{ accounts: {{ prod: {{ {account} }} }} }}
    http: {{ endpoints: {{ site: {{ url: \"{url}\", bearer: {{ aws: prod, secret: site, key: token }} }} }} }}
    journal: journal.db
    grants: [{{ capability: http, effects: [read], targets: [\"{url}\"] }}]
"
    ));
    std::fs::write(desk.path().join("book.starr"), BOOK).unwrap();
    let (said, code) = desk.run(&["run", "book.starr", "--unattended"]);
    assert_ne!(code, Some(0), "{said}");
    assert!(
        said.contains("the key `token` of the secret `site` of the account `prod` cannot be read"),
        "{said}"
    );
    assert!(shown.lock().unwrap().is_empty(), "{said}");
}
