//! A-TY: values keep their meaning.

use super::{Desk, Web, asking, book, every_command_says_where, text};
use serde_json::{Value, json};

/// Texts that careless readers take for truth values, numbers and dates.
const TEXTS: &[&str] = &[
    "no",
    "on",
    "yes",
    "off",
    "y",
    "1e3",
    "0x10",
    "012",
    "1_000",
    "2024-01-01",
    "~",
    "null",
    "NaN",
];

#[test]
fn a_ty_1_text_stays_text_unless_the_schema_says_otherwise() {
    let desk = Desk::new();
    desk.write(
        "named.starr",
        "runbook named(name: Text) \"Named\" {\n  timebox 5 min then stop \"too long\"\n  situation {\n    symptom odd \"Is it odd?\" { yes when name is empty }\n  }\n  task { goal not odd }\n}\n",
    );
    for given in TEXTS {
        let output = desk.starr(&[
            "run",
            "named.starr",
            "--unattended",
            "--json",
            "--set",
            &format!("name={given}"),
        ]);
        let first = text(&output);
        let started: Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
        assert_eq!(started["parameters"], json!([["name", given]]), "{given}");
    }
    // Where a number is due, only a number is one.
    desk.write(
        "counted.starr",
        "runbook counted(count: Int) \"Counted\" {\n  timebox 5 min then stop \"too long\"\n  situation {\n    symptom odd \"Is it odd?\" { yes when count > 5 }\n  }\n  task { goal not odd }\n}\n",
    );
    for given in ["no", "0x10", "1e3", "2024-01-01", "1_000", ""] {
        let output = desk.starr(&[
            "run",
            "counted.starr",
            "--unattended",
            "--set",
            &format!("count={given}"),
        ]);
        assert_eq!(output.status.code(), Some(2), "{given}: {}", text(&output));
    }
    // In the configuration too: an unquoted word that is no truth value, number or null of YAML 1.2 is text.
    for given in TEXTS
        .iter()
        .filter(|given| !["~", "null", "NaN", "1e3", "0x10", "012", "1_000"].contains(given))
    {
        let config = starr::config::parse(&format!(
            "environments:\n  a:\n    resources:\n      Broker:\n        events: {{ address: {given} }}\n"
        ))
        .unwrap_or_else(|problem| panic!("{given}: {problem}"));
        let field = &config.environments["a"].resources["Broker"]["events"]["address"];
        assert_eq!(*field, starr::config::Field::Text((*given).to_owned()), "{given}");
    }
    // What could be read as two numbers is never the octal one.
    let config = starr::config::parse("environments:\n  a:\n    resources:\n      B:\n        e: { port: 012 }\n");
    if let Ok(config) = config {
        let field = &config.environments["a"].resources["B"]["e"]["port"];
        assert_ne!(*field, starr::config::Field::Int(10), "012 was read as octal");
    }
}

#[test]
fn a_ty_2_six_kinds_of_nothing_are_six_different_things() {
    let names = ["missing", "nothing", "empty", "zero", "no", "list"];
    let web = Web::json(json!({"nothing": null, "empty": "", "zero": 0, "no": false, "list": []}));
    let desk = Desk::new();
    let mut checks = String::new();
    for left in names {
        for right in names {
            checks.push_str(&format!(
                "  check {left}_{right} \"Is {left} the same as {right}?\" {{ yes when odd.reply.json.{left} is odd.reply.json.{right} }}\n"
            ));
        }
        checks.push_str(&format!(
            "  check is_missing_{left} \"Is {left} missing?\" {{ yes when odd.reply.json.{left} is missing }}\n"
        ));
    }
    let all: Vec<String> = names
        .iter()
        .flat_map(|left| names.iter().map(move |right| format!("{left}_{right}")))
        .chain(names.iter().map(|name| format!("is_missing_{name}")))
        .collect();
    let book = asking(
        &web.url("/"),
        &format!(
            "{checks}  branch \"Which?\" {{\n    cause one \"One\" when {} {{ stop \"seen\" }}\n    otherwise or cannot tell {{ stop \"seen\" }}\n  }}\n",
            all.join(" and ")
        ),
    );
    desk.write("six.starr", &book);
    let output = desk.starr(&["run", "six.starr", "--unattended", "--json"]);
    let answers: std::collections::BTreeMap<String, String> = text(&output)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|event| event["event"] == "answered")
        .map(|event| {
            let word = |key: &str| event[key].as_str().unwrap().to_ascii_lowercase();
            (word("name"), word("answer"))
        })
        .collect();
    for left in names {
        for right in names {
            let expected = match (left, right) {
                ("missing", _) | (_, "missing") => "unknown",
                _ if left == right => "yes",
                _ => "no",
            };
            let found = answers.get(&format!("{left}_{right}"));
            assert_eq!(
                found.map(String::as_str),
                Some(expected),
                "{left} is {right}: {}",
                text(&output)
            );
        }
        let expected = if left == "missing" { "yes" } else { "no" };
        let found = answers.get(&format!("is_missing_{left}"));
        assert_eq!(found.map(String::as_str), Some(expected), "{left} is missing");
    }
}

#[test]
fn a_ty_3_text_has_no_order_and_is_not_compared_with_numbers() {
    every_command_says_where("texts", book("\"10\" < \"9\"").as_bytes());
    every_command_says_where("mixed", book("\"10\" < 9").as_bytes());
    every_command_says_where("equal", book("\"10\" is 10").as_bytes());
}
