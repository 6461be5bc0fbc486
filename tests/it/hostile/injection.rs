//! A-TI: data never becomes code.

use super::{Desk, Web, asking, everything_below, text};
use serde_json::json;
use std::time::{Duration, Instant};

/// Every template language that could be hiding somewhere. The product is a number that appears nowhere by chance.
const POLYGLOT: &str = "{{ 7907*7919 }} ${7907*7919} <%= 7907*7919 %> #{7907*7919} {run.id} {7907 * 7919} `7907*7919` $(expr 7907 \\* 7919) %{7907*7919} [[7907*7919]]";
const PRODUCT: &str = "62615533";

#[test]
fn a_ti_1_what_a_provider_says_is_never_a_template() {
    let web = Web::json(json!({ "name": POLYGLOT }));
    let desk = Desk::new();
    let steps = format!(
        "  let name: Text = odd.reply.json.name
  check literal \"Is it what was sent?\" {{ yes when name contains \"7907*7919\" and name contains \"<%=\" }}
  require literal else stop \"it was changed\"
  read again = http.get(\"{}\", query: {{q: name}}) within 20 s
  check passed \"Was it passed on?\" {{ yes when again.status is 200 }}
  require passed else stop \"it was not passed on\"
  advise \"Look at {{name}}\" {{
    > {{name}}
  }}
",
        web.url("/passed")
    );
    desk.write("polyglot.starr", &asking(&web.url("/"), &steps));
    let run = desk.starr(&["run", "polyglot.starr", "--unattended"]);
    let mut all = text(&run);
    assert!(all.contains("7907*7919"), "{all}");
    for words in [
        &["show"][..],
        &["report"],
        &["show", "--json"],
        &["report", "--json"],
        &["runs"],
    ] {
        let said = text(&desk.starr(words));
        assert!(words[0] == "runs" || said.contains("7907"), "{words:?}: {said}");
        all.push_str(&said);
    }
    for (path, bytes) in everything_below(desk.path()) {
        assert!(!String::from_utf8_lossy(&bytes).contains(PRODUCT), "{}", path.display());
    }
    assert!(!all.contains(PRODUCT), "{all}");
    // Nothing but the text itself was passed on: percent-decoded it is the same.
    let passed = web
        .seen()
        .into_iter()
        .find(|request| request.starts_with("GET /passed"))
        .expect("it was passed on");
    let query = passed
        .split(' ')
        .nth(1)
        .unwrap()
        .split_once("?q=")
        .unwrap()
        .1
        .to_owned();
    assert_eq!(decoded(&query), POLYGLOT);
}

fn decoded(query: &str) -> String {
    let bytes = query.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                out.push(u8::from_str_radix(&query[at + 1..at + 3], 16).unwrap());
                at += 2;
            }
            b'+' => out.push(b' '),
            byte => out.push(byte),
        }
        at += 1;
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn a_ti_2_a_parameter_changes_no_condition() {
    let desk = Desk::new();
    desk.write(
        "named.starr",
        "runbook named(name: Text) \"Named {name}\" {\n  timebox 5 min then stop \"too long\"\n  situation {\n    symptom odd \"Is it odd?\" { yes when name is \"odd\" or name matches `^odd$` or (name is empty) }\n  }\n  task { goal not odd }\n}\n",
    );
    for given in [
        "\") or true or (\"",
        "odd\" or true #",
        "{true}",
        "`) or true or (`",
        "odd\n\" or \"x",
        "true",
    ] {
        let output = desk.starr(&["run", "named.starr", "--unattended", "--set", &format!("name={given}")]);
        assert_eq!(output.status.code(), Some(0), "{given}: {}", text(&output));
        assert!(text(&output).contains("NOT PRESENT"), "{given}: {}", text(&output));
    }
    let output = desk.starr(&["run", "named.starr", "--unattended", "--set", "name=odd"]);
    assert!(!text(&output).contains("NOT PRESENT"), "{}", text(&output));
}

#[test]
fn a_ti_3_evaluation_without_end_is_bounded_and_names_the_step() {
    let desk = Desk::new();
    // A text that doubles sixty times would have 10^18 characters.
    let mut doubling = String::from("  let t0 = \"starr\"\n");
    for level in 1..60 {
        doubling.push_str(&format!("  let t{level} = \"{{t{}}}{{t{}}}\"\n", level - 1, level - 1));
    }
    let web = Web::json(json!({}));
    desk.write(
        "doubling.starr",
        &asking(&web.url("/"), &format!("{doubling}  advise \"It says {{t59}}\"\n")),
    );
    // Three loops of 300 would begin 27 million steps.
    let list = |count: usize| {
        (0..count)
            .map(|number| number.to_string())
            .collect::<Vec<_>>()
            .join(", ")
    };
    desk.write(
        "loops.starr",
        &asking(
            &web.url("/"),
            &format!(
                "  let many = [{}]\n  each a in many at most 300 {{\n    each b in many at most 300 {{\n      each c in many at most 300 {{\n        advise \"Once more {{c}}\"\n      }}\n    }}\n  }}\n",
                list(300)
            ),
        ),
    );
    for (file, limit) in [
        ("doubling.starr", "there may be more"),
        ("loops.starr", "more than 10000 steps; the next one stands in line "),
    ] {
        let begin = Instant::now();
        let mut command = std::process::Command::new("prlimit");
        command
            .arg(format!("--as={}", super::address_space()))
            .arg(env!("CARGO_BIN_EXE_starr"))
            .args(["run", file, "--unattended"])
            .current_dir(desk.path())
            .env_clear()
            .env("HOME", desk.path());
        let output = command.output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(1),
            "{file}: {}",
            text(&output).chars().take(2000).collect::<String>()
        );
        let said = text(&output);
        let end: String = said
            .chars()
            .rev()
            .take(3000)
            .collect::<Vec<_>>()
            .into_iter()
            .rev()
            .collect();
        assert!(said.contains(limit), "{file}: {end}");
        assert!(
            begin.elapsed() < Duration::from_secs(300),
            "{file} took {:?}",
            begin.elapsed()
        );
    }
}
