//! The language tests: Markdown files under `tests/language/check` that read as a story.
//!
//! A fenced `starr` block is checked. The fenced `findings` block behind it lists what is found in it, one line each: the
//! rule and the underlined text. Without one the sample is clean. `wrap=` puts a part of a file into a scaffold, and
//! `module=a.b` makes the block a module that the other blocks under the same heading can use.

use starr::check::{Context, Library, ModuleSource, check};
use starr::diagnostic::Level;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

/// A module with what the samples talk about.
const TEAM: &str = r##"module team "What the samples use"

use std.http.{Endpoint}

resource App { health: Endpoint, replicas: Int }
enum Stage { building, running, broken }
record Release { current: Text, previous: Text, age: Duration, stage: Stage, ticket: Text?, notes: Json }
record Pod { name: Text, age: Duration, memory: Bytes, ready: Bool, tags: List<Text>, token: Secret<Text> }

provider chat { tell post(to: Text, text: Text) }
provider pager { tell page(who: Text) }
provider metrics {
  read series(query: Promql, of: App? = none) -> Series<Float>
  read document(name: Text) -> Json
}
provider apps {
  read   release(app: App) -> Release
  read   pods(app: App, stage: Stage? = none, at_most: Int = 100) -> List<Pod>
  read   size(app: App) -> Bytes
  change scale.set(app: App, to: Int) -> Int idempotent {
    before release(app)
    undo   scale.set(app, to: app.replicas)
  }
  change pods.restart(pods: List<Pod>, hard: Bool = false)
  change token.use(app: App, token: Secret<Text>) idempotent
}

escalation matrix {
  sev1 -> pager.page("oncall") now, chat.post("#inc", "run {run.id}") after 10 min
}

let patience = 5 min

check crowded(app: App, more_than: Int = 3) "Has {app} more than {more_than} pods?" {
  read pods  = apps.pods(app)
  let  count = pods.count
  yes when count > more_than
}
check old(pod: Pod, than: Duration = patience) "Is {pod.name} old?" {
  yes when pod.age > than
}
check settled(app: App) "Is {app} settled?" {
  read release = apps.release(app)
  yes when release.age > patience
}

action restart(pods: List<Pod>, held: Bool) "Restart {pods.count} pods" {
  risk    low
  approve by oncall
  refuse  above 10 pods
  do      apps.pods.restart(pods)
  undo    none because "a pod comes back by itself"
  verify  not held within 5 min
  failed  -> escalate
}
"##;

struct Modules(HashMap<String, String>);

impl Library for Modules {
    fn module(&self, path: &str) -> Option<ModuleSource> {
        let text = if path == "team" { TEAM } else { self.0.get(path)? };
        Some(ModuleSource {
            name: format!("{path}.starr"),
            path: None,
            bytes: text.as_bytes().to_vec(),
        })
    }
}

/// For samples that talk about a database.
const DATABASE: &str = "use std.postgres.{Postgres, stuck_sessions}\n";

const HEAD: &str = r#"use std.http.{Endpoint}
use team.{App, Stage, Release, Pod, chat, pager, metrics, apps, matrix, crowded, old, settled, restart}

record Row { id: Int, name: Text, share: Ratio }

runbook sample(app: App) "A sample" {
  reads    postgres, apps, metrics, http
  changes  apps, postgres
  tells    chat, pager
"#;

/// Puts a part of a file into a whole one.
fn wrapped(wrap: &str, sample: &str) -> (String, String) {
    let steps = "  read release = apps.release(app)\n  read pods = apps.pods(app)\n";
    let head = if sample.contains("db") || sample.contains("stuck") {
        DATABASE.to_owned() + &HEAD.replace("app: App", "app: App, db: Postgres = \"orders\"")
    } else {
        HEAD.to_owned()
    };
    match wrap {
        "whole" => (String::new(), String::new()),
        "header" => (
            head.rsplit_once("\n  reads").unwrap().0.to_owned() + "\n",
            "\n}\n".to_owned(),
        ),
        "body" => (head, "\n}\n".to_owned()),
        "situation" => (format!("{head}  situation {{\n"), "\n  }\n}\n".to_owned()),
        "steps" => (format!("{head}{steps}"), "\n}\n".to_owned()),
        "action" => (
            format!(
                "{head}{steps}  check many = crowded(app)\n  action act \"Do it\" {{\n    risk low\n    approve by oncall\n"
            ),
            "\n  }\n}\n".to_owned(),
        ),
        other => panic!("no scaffold `{other}` for {sample}"),
    }
}

struct Sample {
    line: usize,
    info: String,
    text: String,
    findings: Vec<String>,
}

fn option<'a>(info: &'a str, key: &str) -> Option<&'a str> {
    info.split_whitespace()
        .find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
}

/// Samples and modules by heading.
fn samples(text: &str) -> Vec<(String, Vec<Sample>)> {
    let mut sections: Vec<(String, Vec<Sample>)> = vec![(String::new(), Vec::new())];
    let mut open: Option<(usize, String, String)> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => open = Some((number + 1, info.to_owned(), String::new())),
            (Some((start, info, body)), Some("")) => {
                let samples = &mut sections.last_mut().unwrap().1;
                if info.starts_with("starr") {
                    samples.push(Sample {
                        line: *start,
                        info: info.clone(),
                        text: body.clone(),
                        findings: Vec::new(),
                    });
                } else if info == "findings" {
                    let sample = samples.last_mut().expect("findings stand behind a sample");
                    sample.findings = body.lines().map(str::to_owned).collect();
                }
                open = None;
            }
            (Some((_, _, body)), _) => {
                body.push_str(line);
                body.push('\n');
            }
            (None, None) => {
                if line.starts_with('#') {
                    sections.push((line.to_owned(), Vec::new()));
                }
            }
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    sections
}

fn run(path: &Path, failures: &mut String) -> usize {
    let text = std::fs::read_to_string(path).unwrap();
    let mut count = 0;
    for (_, samples) in samples(&text) {
        let modules: HashMap<String, String> = samples
            .iter()
            .filter_map(|sample| Some((option(&sample.info, "module")?.to_owned(), sample.text.clone())))
            .collect();
        let library = Modules(modules);
        let context = Context {
            library: &library,
            severities: ["sev1", "sev2", "sev3"].map(str::to_owned).to_vec(),
            roles: Some(["oncall", "lead"].map(str::to_owned).to_vec()),
            today: None,
            matrix: None,
        };
        for sample in samples.iter().filter(|sample| option(&sample.info, "module").is_none()) {
            count += 1;
            let (before, after) = wrapped(option(&sample.info, "wrap").unwrap_or("whole"), &sample.text);
            let whole = format!("{before}{}{after}", sample.text);
            let inside = before.len()..before.len() + sample.text.len();
            let checked = check("sample.starr", None, whole.into_bytes(), &context);
            let found: Vec<String> = checked
                .diagnostics
                .iter()
                .filter(|finding| finding.level == Level::Error || finding.rule == "unused-effect")
                // The scaffold declares more than a sample uses; an error there would be a mistake of the scaffold.
                .filter(|finding| {
                    finding.level == Level::Error
                        || finding.span.file.0 == 0 && inside.contains(&(finding.span.start as usize))
                })
                .map(|finding| {
                    let text = checked.sources.text(finding.span);
                    let shown = match text.split_once('\n') {
                        Some((first, _)) => format!("{first}…"),
                        None => text.to_owned(),
                    };
                    format!("{} `{shown}` {}", finding.rule, finding.message)
                })
                .collect();
            let same = found.len() == sample.findings.len()
                && found
                    .iter()
                    .zip(&sample.findings)
                    .all(|(found, expected)| found == expected || found.starts_with(&format!("{expected} ")));
            if !same {
                let _ = write!(
                    failures,
                    "\n{}:{}\n{}  expected: {:#?}\n  found: {found:#?}\n",
                    path.display(),
                    sample.line,
                    sample.text,
                    sample.findings
                );
            }
        }
    }
    count
}

#[test]
fn samples_of_the_checker_give_exactly_their_findings() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/language/check");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut failures = String::new();
    let mut count = 0;
    for path in files {
        count += run(&path, &mut failures);
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(count > 50, "only {count} samples were found");
}
