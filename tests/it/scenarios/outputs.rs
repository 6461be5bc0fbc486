//! What other tools read: JUnit, code quality, annotations, LCOV, and SARIF of `starr check`, against what their schemas ask for, and against
//! the schemas themselves where they are published.

use super::{ENDED, STUCK};
use serde_json::Value;
use starr::scenario::junit::junit;
use starr::scenario::report::Report;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

/// A report with a passing and a failing scenario; what fails has everything in it that a format must escape.
fn report() -> Report {
    let text = format!(
        "{ENDED}\nscenario \"It <fails> & says \\\"why\\\", 100 % of the time: \\u{{1b}}[2J\" {{\n  like \"The old ones are ended\"\n  expect {{ outcome escalated }}\n}}\n"
    );
    Report {
        files: vec![super::report(STUCK, &text)],
    }
}

/// An element of a document, as far as a schema looks at it.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    children: Vec<Element>,
    text: String,
}

/// A strict reader of the small part of XML that is written here; anything else is a mistake.
fn parse(document: &str) -> Element {
    let body = document
        .strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
        .expect("a declaration");
    let mut open: Vec<Element> = vec![Element::default()];
    let mut rest = body;
    while let Some(at) = rest.find('<') {
        let text = &rest[..at];
        assert!(!text.contains('>'), "{text}");
        open.last_mut().unwrap().text.push_str(&unescape(text));
        let end = rest.find('>').expect("a tag is closed");
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            let done = open.pop().unwrap();
            assert_eq!(done.name, name);
            open.last_mut().unwrap().children.push(done);
            continue;
        }
        let (tag, empty) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let mut element = Element {
            name: name.to_owned(),
            ..Element::default()
        };
        while let Some((key, value)) = attributes.split_once("=\"") {
            let (value, behind) = value.split_once('"').expect("an attribute is closed");
            assert!(!value.contains('<'), "{value}");
            let twice = element.attributes.insert(key.trim().to_owned(), unescape(value));
            assert!(twice.is_none(), "{key} twice");
            attributes = behind;
        }
        assert!(attributes.trim().is_empty(), "{attributes}");
        if empty {
            open.last_mut().unwrap().children.push(element);
        } else {
            open.push(element);
        }
    }
    assert_eq!(open.len(), 1, "every element is closed");
    assert!(rest.trim().is_empty());
    let mut top = open.pop().unwrap();
    assert_eq!(top.children.len(), 1, "one element at the top");
    top.children.pop().unwrap()
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('&') {
        out.push_str(before);
        let (name, behind) = behind.split_once(';').expect("an entity is closed");
        out.push_str(match name {
            "amp" => "&",
            "lt" => "<",
            "gt" => ">",
            "quot" => "\"",
            "#10" => "\n",
            "#9" => "\t",
            _ => panic!("an unknown entity {name}"),
        });
        rest = behind;
    }
    out.push_str(rest);
    assert!(
        out.chars()
            .all(|letter| matches!(letter, '\n' | '\t') || letter >= ' ' && letter != '\u{7f}'),
        "a character that XML cannot hold: {out:?}"
    );
    out
}

/// The rules of the two schemas in use, where they differ the stricter one: names of attributes that must be there, of those that
/// may be, and which children in which order.
fn validate(element: &Element) {
    let is_int = |text: &str| text.parse::<u64>().is_ok();
    let is_decimal = |text: &str| text.parse::<f64>().is_ok() && !text.contains(['e', 'E']);
    let attributes = |required: &[&str], element: &Element| {
        let found: Vec<&str> = element.attributes.keys().map(String::as_str).collect();
        let mut wanted = required.to_vec();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{}", element.name);
    };
    let of = |name: &str| element.attributes[name].as_str();
    match element.name.as_str() {
        "testsuites" => {
            attributes(&[], element);
            assert!(element.children.iter().all(|child| child.name == "testsuite"));
        }
        "testsuite" => {
            attributes(
                &[
                    "errors",
                    "failures",
                    "hostname",
                    "id",
                    "name",
                    "package",
                    "tests",
                    "time",
                    "timestamp",
                ],
                element,
            );
            for name in ["errors", "failures", "id", "tests"] {
                assert!(is_int(of(name)), "{name}");
            }
            assert!(is_decimal(of("time")));
            // Ant's pattern: a local time without a zone.
            let shape: String = of("timestamp")
                .chars()
                .map(|letter| if letter.is_ascii_digit() { '0' } else { letter })
                .collect();
            assert_eq!(shape, "0000-00-00T00:00:00");
            assert!(!of("hostname").is_empty());
            let names: Vec<&str> = element.children.iter().map(|child| child.name.as_str()).collect();
            let cases = names.iter().filter(|name| **name == "testcase").count();
            let mut wanted = vec!["properties"];
            wanted.extend(std::iter::repeat_n("testcase", cases));
            wanted.extend(["system-out", "system-err"]);
            assert_eq!(names, wanted, "in this order");
            assert_eq!(of("tests"), cases.to_string());
            let failed = element
                .children
                .iter()
                .filter(|case| case.children.iter().any(|child| child.name == "failure"))
                .count();
            assert_eq!(of("failures"), failed.to_string());
        }
        "testcase" => {
            attributes(&["classname", "name", "time"], element);
            assert!(is_decimal(of("time")));
            assert!(!of("name").is_empty() && !of("classname").is_empty());
            assert!(element.children.len() <= 1);
            assert!(element.children.iter().all(|child| child.name == "failure"));
        }
        "failure" => {
            attributes(&["message", "type"], element);
            assert!(element.children.is_empty());
        }
        "properties" | "system-out" | "system-err" => {
            attributes(&[], element);
            assert!(element.children.is_empty());
        }
        other => panic!("no such element: {other}"),
    }
    element.children.iter().for_each(validate);
}

#[test]
fn junit_is_what_its_schemas_ask_for() {
    let at = "2026-11-22T03:00:00Z".parse().unwrap();
    let document = parse(&junit(&report(), at, "build-1"));
    validate(&document);
    let suite = &document.children[0];
    assert_eq!(suite.attributes["tests"], "2");
    assert_eq!(suite.attributes["failures"], "1");
    assert_eq!(suite.attributes["timestamp"], "2026-11-22T03:00:00");
    let case = &suite.children[2];
    assert_eq!(
        case.attributes["name"],
        "It <fails> & says \"why\", 100 % of the time: \u{fffd}[2J"
    );
    let failure = &case.children[0];
    assert_eq!(failure.attributes["message"], "the run ended resolved, not escalated");
    assert!(
        failure.text.contains("cause aged_things: treated, when old"),
        "{}",
        failure.text
    );
}

#[test]
fn an_xml_reader_of_somebody_else_reads_junit() {
    let at = "2026-11-22T03:00:00Z".parse().unwrap();
    let text = junit(&report(), at, "build-1");
    let mut child = Command::new("python3")
        .args(["-c", "import sys, xml.dom.minidom as m; d = m.parse(sys.stdin.buffer); print(len(d.getElementsByTagName('testcase')))"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "2");
}

#[test]
fn a_code_quality_report_has_the_fields_that_are_read() {
    let issues: Value = serde_json::from_str(&report().gitlab()).unwrap();
    let issues = issues.as_array().unwrap();
    assert!(issues.len() > 5);
    check_quality(issues);
    let checks: Vec<&str> = issues
        .iter()
        .map(|issue| issue["check_name"].as_str().unwrap())
        .collect();
    assert!(checks.contains(&"scenario") && checks.contains(&"coverage"));
}

fn check_quality(issues: &[Value]) {
    let mut fingerprints = Vec::new();
    for issue in issues {
        assert!(!issue["description"].as_str().unwrap().is_empty());
        assert!(!issue["description"].as_str().unwrap().contains('\u{1b}'));
        assert!(!issue["check_name"].as_str().unwrap().is_empty());
        assert!(["info", "minor", "major", "critical", "blocker"].contains(&issue["severity"].as_str().unwrap()));
        let path = issue["location"]["path"].as_str().unwrap();
        assert!(!path.starts_with("./") && !path.is_empty(), "{path}");
        assert!(issue["location"]["lines"]["begin"].as_u64().unwrap() >= 1);
        fingerprints.push(issue["fingerprint"].as_str().unwrap().to_owned());
    }
    let count = fingerprints.len();
    fingerprints.sort_unstable();
    fingerprints.dedup();
    assert_eq!(fingerprints.len(), count, "each finding has a fingerprint of its own");
}

#[test]
fn an_annotation_is_one_line_and_begins_no_other_command() {
    let text = report().github();
    for line in text.lines() {
        let rest = line.strip_prefix("::").unwrap_or_else(|| panic!("{line}"));
        let (head, message) = rest.split_once("::").unwrap();
        assert!(head.starts_with("error ") || head.starts_with("warning "), "{head}");
        assert!(!message.is_empty() && !message.contains('\u{1b}'));
    }
    assert!(text.contains("::error file=book.scenarios.starr,line="), "{text}");
    assert!(text.contains("100 %25 of the time"), "{text}");
    assert!(text.contains("%0Acause aged_things"), "{text}");
}

#[test]
fn lcov_counts_add_up() {
    let text = report().lcov();
    let mut files = 0;
    for record in text.split("end_of_record\n").filter(|record| !record.is_empty()) {
        files += 1;
        let of = |key: &str| -> Vec<Vec<String>> {
            record
                .lines()
                .filter_map(|line| line.strip_prefix(&format!("{key}:")))
                .map(|values| values.split(',').map(str::to_owned).collect())
                .collect()
        };
        assert_eq!(of("SF"), [["book.starr"]]);
        let lines = of("DA");
        let hit = lines.iter().filter(|line| line[1] != "0").count();
        assert_eq!(of("LF"), [[lines.len().to_string()]]);
        assert_eq!(of("LH"), [[hit.to_string()]]);
        let branches = of("BRDA");
        let taken = branches
            .iter()
            .filter(|branch| !matches!(branch[3].as_str(), "0" | "-"))
            .count();
        assert_eq!(of("BRF"), [[branches.len().to_string()]]);
        assert_eq!(of("BRH"), [[taken.to_string()]]);
        for branch in &branches {
            // A line that was never reached says so of each of its branches.
            let line = lines.iter().find(|line| line[0] == branch[0]).unwrap();
            assert_eq!(branch[3] == "-", line[1] == "0", "{branch:?} {line:?}");
        }
    }
    assert_eq!(files, 1);
}

fn starr(folder: &Path, words: &[&str], summary: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_starr"))
        .args(words)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("GITHUB_STEP_SUMMARY", summary)
        .output()
        .unwrap()
}

const BOOK: &str = r#"runbook calm() "All is calm" {
  timebox 5 min then stop "it took too long"
  reads   host
  check strange "Is the number of processors below one?" {
    read load = host.load()
    yes when load.cpus < 1
  }
  branch "Is it strange?" {
    cause odd "It is" when strange { stop "odd" }
    otherwise { stop "even" }
    cannot tell { stop "unknown" }
  }
}
"#;

const EVEN: &str = r#"scenario "It is even" {
  run    calm()
  given  { host.load -> {cpus: 4} }
  expect { outcome stopped "even" }
}
"#;

#[test]
fn the_command_ends_as_documented_and_writes_what_it_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("calm.starr"), BOOK).unwrap();
    std::fs::write(at("calm.scenarios.starr"), EVEN).unwrap();
    let code = |words: &[&str]| starr(folder.path(), words, "").status.code();
    assert_eq!(code(&["test"]), Some(0));
    assert_eq!(
        code(&["test", "calm.scenarios.starr"]),
        Some(0),
        "the file of scenarios stands for its runbook"
    );
    assert_eq!(code(&["test", "--min", "100"]), Some(1));
    assert_eq!(code(&["test", "--min", "25"]), Some(0));
    assert_eq!(code(&["test", "--min", "101"]), Some(2));
    assert_eq!(code(&["test", "--filter", "even"]), Some(0));
    assert_eq!(code(&["test", "--filter", "odd"]), Some(2), "nothing was tested");
    assert_eq!(code(&["test", "nowhere"]), Some(2));
    let output = starr(
        folder.path(),
        &["test", "--junit", "junit.xml", "--lcov", "lcov.info", "--json"],
        "",
    );
    assert_eq!(output.status.code(), Some(0));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["tests"], 1);
    assert_eq!(json["files"][0]["results"][0]["outcome"], "stopped");
    assert_eq!(json["coverage"]["all"], 4);
    validate(&parse(&std::fs::read_to_string(at("junit.xml")).unwrap()));
    assert!(
        std::fs::read_to_string(at("lcov.info"))
            .unwrap()
            .contains("SF:calm.starr")
    );

    std::fs::write(at("calm.scenarios.starr"), EVEN.replace("stopped \"even\"", "resolved")).unwrap();
    assert_eq!(code(&["test"]), Some(1));
    let summary = at("summary.md");
    let output = starr(
        folder.path(),
        &["test", "--format", "github"],
        summary.to_str().unwrap(),
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("::error file=calm.scenarios.starr,line=4,"));
    assert!(
        std::fs::read_to_string(&summary)
            .unwrap()
            .contains("| **failed** | It is even | stopped |")
    );

    // A mistake in a scenario fails the check and the test of it, and keeps no runbook from running.
    std::fs::write(at("calm.scenarios.starr"), EVEN.replace("host.load", "host.lod")).unwrap();
    let output = starr(folder.path(), &["check"], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("did you mean `host.load`?"));
    assert_eq!(code(&["test"]), Some(2));
    assert_eq!(code(&["plan", "calm.starr"]), Some(0));
}

#[test]
fn code_quality_of_the_checker_has_the_fields_that_are_read() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("calm.starr"), BOOK.replace("load.cpus", "load.cpu")).unwrap();
    let output = starr(folder.path(), &["check", "--format", "gitlab"], "");
    let issues: Value = serde_json::from_slice(&output.stdout).unwrap();
    check_quality(issues.as_array().unwrap());
    assert_eq!(issues[0]["check_name"], "unknown-field");
}

/// What the SARIF 2.1.0 schema requires of the objects that are written: the properties that must be there, the types and the
/// words that are allowed. The published schema is not read from the network in a test.
#[test]
fn sarif_has_what_its_schema_requires() {
    let folder = tempfile::tempdir().unwrap();
    let text = BOOK
        .replace("load.cpus", "load.cpu")
        .replace("timebox 5 min", "timebox 5 m");
    std::fs::write(folder.path().join("a b.starr"), text).unwrap();
    let output = starr(folder.path(), &["check", "--format", "sarif"], "");
    let log: Value = serde_json::from_slice(&output.stdout).unwrap();
    only(&log, &["$schema", "version", "runs"]);
    assert_eq!(log["version"], "2.1.0");
    let runs = log["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 1);
    let run = &runs[0];
    only(run, &["tool", "columnKind", "results"]);
    assert!(["utf16CodeUnits", "unicodeCodePoints"].contains(&run["columnKind"].as_str().unwrap()));
    only(&run["tool"], &["driver"]);
    let driver = &run["tool"]["driver"];
    only(driver, &["name", "semanticVersion", "rules"]);
    assert!(!driver["name"].as_str().unwrap().is_empty());
    let rules = driver["rules"].as_array().unwrap();
    let mut ids = Vec::new();
    for rule in rules {
        only(rule, &["id", "shortDescription", "help", "defaultConfiguration"]);
        ids.push(rule["id"].as_str().unwrap());
        message(&rule["shortDescription"]);
        message(&rule["help"]);
        level(&rule["defaultConfiguration"]["level"]);
    }
    let results = run["results"].as_array().unwrap();
    assert!(results.len() >= 2);
    for result in results {
        only(
            result,
            &[
                "ruleId",
                "ruleIndex",
                "level",
                "message",
                "locations",
                "relatedLocations",
                "fixes",
            ],
        );
        assert_eq!(
            ids[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()],
            result["ruleId"]
        );
        level(&result["level"]);
        message(&result["message"]);
        for place in result["locations"].as_array().unwrap() {
            only(place, &["physicalLocation"]);
            location(&place["physicalLocation"]);
        }
        for fix in result["fixes"].as_array().unwrap_or(&Vec::new()) {
            let changes = fix["artifactChanges"].as_array().unwrap();
            assert!(!changes.is_empty());
            for change in changes {
                only(change, &["artifactLocation", "replacements"]);
                uri(&change["artifactLocation"]["uri"]);
                let replacements = change["replacements"].as_array().unwrap();
                assert!(!replacements.is_empty());
                for replacement in replacements {
                    only(replacement, &["deletedRegion", "insertedContent"]);
                    region(&replacement["deletedRegion"]);
                    assert!(replacement["insertedContent"]["text"].is_string());
                }
            }
        }
    }
}

/// No property that the schema does not know: it forbids others.
fn only(object: &Value, known: &[&str]) {
    for name in object.as_object().unwrap().keys() {
        assert!(known.contains(&name.as_str()), "{name}");
    }
}

fn level(value: &Value) {
    assert!(["none", "note", "warning", "error"].contains(&value.as_str().unwrap()));
}

fn message(value: &Value) {
    only(value, &["text", "markdown"]);
    assert!(!value["text"].as_str().unwrap().is_empty());
}

fn uri(value: &Value) {
    let uri = value.as_str().unwrap();
    assert!(uri.is_ascii() && !uri.contains([' ', '\\']), "{uri}");
}

fn region(value: &Value) {
    only(value, &["startLine", "startColumn", "endLine", "endColumn"]);
    let of = |name: &str| value[name].as_u64().unwrap();
    assert!(of("startLine") >= 1 && of("startColumn") >= 1);
    assert!((of("endLine"), of("endColumn")) >= (of("startLine"), of("startColumn")));
}

fn location(value: &Value) {
    only(value, &["artifactLocation", "region"]);
    only(&value["artifactLocation"], &["uri"]);
    uri(&value["artifactLocation"]["uri"]);
    region(&value["region"]);
}

/// A published schema; it is not part of this repository.
fn schema(name: &str) -> std::path::PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(
        || Path::new(&std::env::var_os("HOME").expect("a home folder")).join(".cache"),
        std::path::PathBuf::from,
    );
    let path = cache.join("starr/schemas").join(name);
    assert!(path.is_file(), "{} is not there; run: scripts/schemas", path.display());
    path
}

/// Whether a document is valid by the published schema of JUnit, as the tool that everybody uses sees it.
fn valid_junit(document: &str) -> Result<(), String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), document).unwrap();
    let output = Command::new("xmllint")
        .args(["--noout", "--nonet", "--schema"])
        .args([&schema("junit-10.xsd"), file.path()])
        .output()
        .expect("xmllint is not there; run: apt-get install libxml2-utils");
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[test]
fn junit_is_valid_by_its_published_schema() {
    let at = "2026-11-22T03:00:00Z".parse().unwrap();
    let text = junit(&report(), at, "build-1");
    assert_eq!(valid_junit(&text), Ok(()));
    // It is the schema that decides.
    let wrong = valid_junit(&text.replace("<properties/>", "<property/>")).unwrap_err();
    assert!(wrong.contains("property"), "{wrong}");
    let wrong = valid_junit(&text.replace(" type=\"scenario\"", " kind=\"scenario\"")).unwrap_err();
    assert!(wrong.contains("kind"), "{wrong}");
}

/// A Python that has the module `jsonschema`.
fn python() -> &'static str {
    ["python3", "/usr/bin/python3"]
        .into_iter()
        .find(|python| {
            let found = Command::new(python).args(["-c", "import jsonschema"]).output();
            found.is_ok_and(|output| output.status.success())
        })
        .expect("the Python module jsonschema is not there; run: apt-get install python3-jsonschema")
}

fn valid_sarif(document: &str) -> Result<(), String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), document).unwrap();
    let program = "import json, sys, jsonschema\n\
        schema, document = (json.load(open(name)) for name in sys.argv[1:])\n\
        jsonschema.Draft7Validator.check_schema(schema)\n\
        problems = [f'{list(p.path)}: {p.message[:300]}' for p in jsonschema.Draft7Validator(schema).iter_errors(document)]\n\
        sys.exit('\\n'.join(problems) or 0)";
    let output = Command::new(python())
        .args(["-c", program])
        .args([&schema("sarif-2.1.0.json"), file.path()])
        .output()
        .unwrap();
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[test]
fn sarif_is_valid_by_its_published_schema() {
    let folder = tempfile::tempdir().unwrap();
    // Errors, warnings and notes, edits, a name with blanks and signs, and a file that is no text.
    std::fs::write(
        folder.path().join("a b & ü.starr"),
        BOOK.replace("timebox 5 min", "timebox 5 m"),
    )
    .unwrap();
    std::fs::write(folder.path().join("calm.starr"), BOOK.replace("reads   host", "")).unwrap();
    std::fs::write(folder.path().join("bytes.starr"), [0xff, 0xfe, 0x00]).unwrap();
    let output = starr(folder.path(), &["check", "--format", "sarif", "."], "");
    let text = String::from_utf8(output.stdout).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert!(document["runs"][0]["results"].as_array().unwrap().len() >= 3, "{text}");
    assert_eq!(valid_sarif(&text), Ok(()));
    // It is the schema that decides.
    let wrong = valid_sarif(&text.replacen("\"startLine\"", "\"beginLine\"", 1)).unwrap_err();
    assert!(wrong.contains("beginLine"), "{wrong}");
}
