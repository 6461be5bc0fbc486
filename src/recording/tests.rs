use super::*;

fn read(text: &str) -> Result<Recording, Error> {
    Recording::read(text.as_bytes())
}

const HEAD: &str = "{\"starr_recording\":1,\"version\":\"0\"}\n";

#[test]
fn a_line_that_cannot_be_read_is_named() {
    let run = r#"{"run":{"run":"r","started":"2026-11-22T03:00:00Z","runbook":"b","file":"b.starr","tool_version":"0","texts":{},
        "arguments":[["db",{"text":"orders"}]],"environment":{"name":"e","operator":{"name":"a","by":"login"},"severities":["s"],
        "default_severity":"s","unattended":false,"dry_run":false,"host":"h","resources":[]},"grants":[],"providers":[]}}"#
        .replace('\n', "");
    let recording = read(&format!(
        "{HEAD}{run}\n{{\"random\":\"00ff\"}}\n{{\"interrupted\":5}}\n"
    ))
    .unwrap();
    assert_eq!(recording.random, [0, 255]);
    assert_eq!(recording.interrupted, Some(Duration::from_nanos(5)));
    assert_eq!(
        recording.arguments().unwrap(),
        [("db".to_owned(), Value::text("orders"))]
    );
    assert!(!recording.is_whole());
    for (line, wrong) in [
        ("{\"random\":\"0\"}", "hexadecimal"),
        ("{\"interrupted\":-1}", "not a time"),
        ("{\"person\":{}}", "cannot be read"),
        (
            "{\"happened\":{\"scope\":\"\",\"at\":1,\"event\":{\"event\":\"none\"}}}",
            "cannot be read",
        ),
        ("{\"surprise\":1}", "does not belong"),
        ("{}", "says nothing"),
    ] {
        let error = read(&format!("{HEAD}{run}\n{line}\n")).unwrap_err();
        assert_eq!(error.line, 3, "{line}");
        assert!(error.message.contains(wrong), "{line}: {error}");
    }
    assert!(read(HEAD).unwrap_err().message.contains("which run"));
}

#[test]
fn modules_of_a_recording_are_found_by_their_place() {
    let about = About {
        texts: BTreeMap::from([
            ("books/pool.starr".to_owned(), String::new()),
            ("team/chat.starr".to_owned(), "module team.chat \"c\"\n".to_owned()),
        ]),
        ..about()
    };
    assert_eq!(Then(&about).module("team.chat").unwrap().name, "team/chat.starr");
    assert!(Then(&about).module("chat").unwrap().name == "team/chat.starr");
    assert!(Then(&about).module("hat").is_none());
    assert!(Then(&about).module("std.host").unwrap().path.is_none());
}

fn about() -> About {
    About {
        run: "r".to_owned(),
        started: jiff::Timestamp::UNIX_EPOCH,
        runbook: "b".to_owned(),
        file: "b.starr".to_owned(),
        tool_version: "0".to_owned(),
        texts: BTreeMap::new(),
        matrix: None,
        arguments: Vec::new(),
        environment: Facts {
            name: "e".to_owned(),
            operator: Person {
                name: "a".to_owned(),
                by: "login".to_owned(),
            },
            severities: Vec::new(),
            default_severity: String::new(),
            unattended: false,
            dry_run: false,
            occasion: None,
            host: String::new(),
            resources: Vec::new(),
        },
        identities: BTreeMap::new(),
        roles: None,
        emergency: None,
        grants: Vec::new(),
        exceptions: BTreeMap::new(),
        providers: Vec::new(),
    }
}

#[test]
fn two_ways_are_laid_side_by_side() {
    let way = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let lines = compare::compare(&way(&["a", "b", "c"]), &way(&["a", "x", "c", "d"]));
    let sides: String = lines
        .iter()
        .map(|line| match line.side {
            compare::Side::Both => '=',
            compare::Side::Then => '-',
            compare::Side::Now => '+',
        })
        .collect();
    assert_eq!(sides, "=-+=+");
}
