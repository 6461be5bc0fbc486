use super::*;

fn context(library: &dyn Library) -> Context<'_> {
    Context {
        library,
        severities: ["sev1", "sev2", "sev3"].map(str::to_owned).to_vec(),
        roles: None,
        today: None,
        matrix: None,
    }
}

/// Each finding as one line: rule, underlined text, message.
fn findings(checked: &Checked) -> Vec<String> {
    checked
        .diagnostics
        .iter()
        .map(|finding| {
            let (line, column) = checked.sources.line_column(finding.span);
            let text = checked.sources.text(finding.span);
            format!("{line}:{column} {} `{text}` {}", finding.rule, finding.message)
        })
        .collect()
}

#[test]
fn the_embedded_modules_have_no_errors() {
    for path in Embedded::paths() {
        let module = Embedded.module(path).expect("its own path");
        let has_checks = String::from_utf8_lossy(&module.bytes).contains("\ncheck ");
        let checked = check(&module.name, None, module.bytes, &context(&Embedded));
        assert_eq!(findings(&checked), Vec::<String>::new(), "{path}");
        let program = checked.program.expect("no errors");
        assert_eq!(!program.examples.is_empty(), has_checks, "{path}: checks have examples");
    }
}

const TEAM: &str = r##"module team "Ours"

resource Deployment
record Release { current: Text, previous: Text, age: Duration }
record Workload { replicas: Int }

provider chat {
  tell post(to: Text, text: Text)
}
provider pager {
  tell page(who: Text)
}
provider prometheus {
  read series(query: Promql, of: Postgres? = none) -> Series<Float>
}
provider kubernetes {
  read   releases(app: Deployment) -> Release
  read   workload(app: Deployment) -> Workload
  change rollout.undo(app: Deployment, to: Text) idempotent {
    before releases(app)
    undo   rollout.undo(app, to: before.current)
  }
}

escalation matrix {
  sev1 -> pager.page("oncall") now, chat.post("#inc", "{run.id}") after 10 min
}

check released_recently(app: Deployment, within: Duration = 2 h) "Was {app} released in the last {within}?" {
  read release  = kubernetes.releases(app)
  let  previous = release.previous
  yes when release.age < within
}
"##;

struct Ours;

impl Library for Ours {
    fn module(&self, path: &str) -> Option<ModuleSource> {
        let text = match path {
            "team" => TEAM.replace(
                "resource Deployment",
                "use std.postgres.{Postgres}\n\nresource Deployment",
            ),
            _ => return None,
        };
        Some(ModuleSource {
            name: format!("{path}.starr"),
            path: None,
            bytes: text.into_bytes(),
        })
    }
}

const SAMPLE: &str = r##"use std.postgres.{Postgres, stuck_sessions, connection_use}
use team.{matrix, released_recently, Deployment, chat, kubernetes, prometheus, pager}

runbook pool_exhausted(db: Postgres, app: Deployment) "Database connection pool exhausted" {
  > Every connection is taken, so requests wait and then time out.

  owner    "team-storage"
  status   production
  reviewed 2026-11-01 valid 90 d
  timebox  60 min then escalate
  reads    postgres, kubernetes, prometheus
  changes  postgres.sessions, kubernetes.rollout
  tells    chat, pager

  situation {
    symptom pool_full "Is more than 90 % of the pool in use?" {
      read used: Series<Ratio> = prometheus.series(`db_pool_used_ratio`, of: db) within 10 s
      yes when used > 90 % for 5 min
    }
    symptom complaints "Do users report timeouts?" observed        # a person answers
    severity {
      sev1 when pool_full and complaints
      sev2 when pool_full
      sev2 when cannot tell
      sev3 otherwise
    }
  }

  task {
    > Free connections without losing committed work.
    goal not pool_full
  }

  check stuck   = stuck_sessions(db, older_than: 5 min, more_than: 5)
  check release = released_recently(app, within: 2 h)

  branch "What holds the connections?" {
    cause leak "The new release leaks connections" when stuck and release {
      action roll_back "Return {app} to {release.previous}" {
        risk    medium
        approve by oncall within 15 min
        do      kubernetes.rollout.undo(app, to: release.previous) within 10 min
        undo    restore
        verify  not stuck within 10 min every 30 s
        failed       -> undo, next cause
        unclear      -> keep, escalate
        not approved -> next cause
      }
    }
    cause abandoned "Sessions were left open" when stuck {
      action end_stuck "End {stuck.count} sessions that are idle in a transaction" {
        > Their uncommitted work is lost. The application retries it.
        risk    medium
        approve by oncall within 15 min seeing stuck.sessions
        refuse  above 50 sessions
        do      postgres.sessions.terminate(stuck.sessions)
        undo    none because "clients reconnect by themselves"
        verify  not stuck within 3 min every 15 s
        failed       -> escalate
        not approved -> escalate
      }
    }
    otherwise or cannot tell {
      tell chat.post("#inc-storage", "Pool exhausted, cause unclear. {run.evidence}")
      escalate
    }
  }

  result {
    resolved when goal for 10 min
    escalation matrix
  }

  reflection {
    prevent "Set idle_in_transaction_session_timeout to 5 min" by "team-storage" in 14 d
    advise  "Return connections in a finally block" {
      > See the code sample in the guide.
    }
    ask     "Which signal could have told us earlier?"
  }
}
"##;

fn sample(text: &str) -> Checked {
    check("sample.starr", None, text.as_bytes().to_vec(), &context(&Ours))
}

#[test]
fn the_sample_of_the_language_page_has_no_errors() {
    let text = SAMPLE
        .replace("connection_use}", "}")
        .replace("stuck_sessions, }", "stuck_sessions}");
    let checked = sample(&text);
    assert_eq!(findings(&checked), Vec::<String>::new());
    let program = checked.program.expect("no errors");
    let runbook = &program.runbooks[0];
    let names: Vec<&str> = runbook.bindings.iter().map(|binding| binding.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "db",
            "app",
            "pool_full.used",
            "pool_full",
            "complaints",
            "goal",
            "stuck.db",
            "stuck.older_than",
            "stuck.more_than",
            "stuck.application",
            "stuck.sessions",
            "stuck.count",
            "stuck",
            "release.app",
            "release.within",
            "release.release",
            "release.previous",
            "release",
            "roll_back.before",
        ]
    );
    for (index, binding) in runbook.bindings.iter().enumerate() {
        assert!(
            binding.needs.iter().all(|needed| needed.0 < index),
            "{} refers to a later binding",
            binding.name
        );
    }
}

/// Nothing but the sample's own module, so that many files can be checked in a short time.
const SMALL: &str = r##"module small "Small"
resource App
record Pod { name: Text, age: Duration, token: Secret<Text> }
provider apps {
  read   pods(app: App) -> List<Pod>
  change restart(pods: List<Pod>) idempotent
}
provider chat { tell post(text: Text) }
check crowded(app: App, more_than: Int = 3) "Many?" {
  read pods  = apps.pods(app)
  let  count = pods.count
  yes when count > more_than
}
"##;

struct Small(Vec<(&'static str, String)>);

impl Library for Small {
    fn module(&self, path: &str) -> Option<ModuleSource> {
        let own = self.0.iter().find(|(known, _)| *known == path);
        let text = match own {
            Some((_, text)) => text.clone(),
            None if path == "small" => SMALL.to_owned(),
            None => return None,
        };
        Some(ModuleSource {
            name: format!("{path}.starr"),
            path: None,
            bytes: text.into_bytes(),
        })
    }
}

fn small(text: &str) -> Checked {
    check(
        "small.starr",
        None,
        text.as_bytes().to_vec(),
        &context(&Small(Vec::new())),
    )
}

fn rules(checked: &Checked) -> Vec<&'static str> {
    checked.diagnostics.iter().map(|finding| finding.rule).collect()
}

#[test]
fn library_checks_that_multiply_are_stopped() {
    // Each level asks the one below ten times: sixteen levels would be 10^16 bindings.
    let mut text = "module deep \"Deep\"\ncheck level0(n: Int) \"?\" {\n yes when n > 1\n}\n".to_owned();
    for level in 1..8 {
        let below = level - 1;
        text += &format!("check level{level}(n: List<Int>) \"?\" = any level{below}(each n)\n");
    }
    let chain: String = (0..40)
        .map(|level| format!("check chain{}(n: Int) \"?\" = chain{level}(n)\n", level + 1))
        .collect();
    let library = Small(vec![
        ("deep", text),
        (
            "chain",
            format!("module chain \"Chain\"\ncheck chain0(n: Int) \"?\" {{\n yes when n > 1\n}}\n{chain}"),
        ),
    ]);
    let deep = "use chain.{chain40}\nrunbook r \"R\" {\n check a = chain40(3)\n require a else escalate\n}\n";
    let checked = check("r.starr", None, deep.as_bytes().to_vec(), &context(&library));
    assert_eq!(rules(&checked), ["too-large"]);

    let mut many = "use small.{App, crowded, apps}\nrunbook r(app: App) \"R\" {\n reads apps\n".to_owned();
    for line in 0..4_000 {
        many += &format!(" check c{line} = crowded(app)\n");
    }
    many += "}\n";
    let checked = small(&many);
    assert_eq!(
        rules(&checked).iter().filter(|rule| **rule == "too-large").count(),
        1,
        "{:?}",
        rules(&checked).first()
    );
}

#[test]
fn types_that_grow_are_stopped() {
    let mut chain = String::new();
    for level in 0..3_000 {
        chain += &format!("record R{level} {{ next: R{} }}\n", level + 1);
    }
    chain += "record R3000 { n: Int }\n";
    let checked = small(&chain);
    assert!(rules(&checked).iter().all(|rule| *rule == "too-large"));
    assert!(!checked.diagnostics.is_empty());

    let backwards: Vec<&str> = chain.lines().rev().collect();
    let checked = small(&(backwards.join("\n") + "\n"));
    assert!(!checked.diagnostics.is_empty());
    assert!(rules(&checked).iter().all(|rule| *rule == "too-large"));

    let mut tower = "runbook r \"R\" {\n let v0 = {a: 1, b: 1}\n".to_owned();
    for level in 0..200 {
        tower += &format!(" let v{} = {{a: v{level}, b: v{level}}}\n", level + 1);
    }
    tower += " let same = v9 is v8\n}\n";
    let checked = small(&tower);
    assert!(rules(&checked).contains(&"too-large"));
}

#[test]
fn runbooks_nest_four_deep() {
    let chain = |depth: usize| {
        let mut text = String::new();
        for level in 0..depth {
            text += &format!("runbook r{level} \"R\" {{\n  runs r{0}\n  run r{0}()\n}}\n", level + 1);
        }
        text + &format!("runbook r{depth} \"R\" {{\n  advise \"Look\"\n}}\n")
    };
    assert_eq!(rules(&small(&chain(4))), Vec::<&str>::new());
    assert_eq!(rules(&small(&chain(5))), ["call-cycle"]);
}

/// Small changes of a good file: whatever comes of them, nothing panics, and every finding lies in its text.
#[test]
fn broken_files_are_reported_and_never_panic() {
    let good = r##"use small.{App, Pod, crowded, apps, chat}

record Row { id: Int, share: Ratio? }

runbook small(app: App = "a", limit: Int = 3) "Small {limit}" {
  > Prose with {limit}.
  timebox 30 min then stop "late"
  reads   apps
  changes apps
  tells   chat
  situation {
    symptom many = crowded(app, more_than: limit)
    symptom loud "Loud?" observed by oncall within 5 min
    severity {
      sev1 when many and not loud
      sev2 when cannot tell
      sev3 otherwise
    }
  }
  task { goal not many }
  check old "Old?" {
    read pods = apps.pods(app) within 5 s
    let  aged = pods.where(it.age > 5 min)
    yes when aged.count > 3
  }
  branch "Why?" {
    cause one "They are old" when old and many.count > 3 {
      action kill "Kill {old.aged.count}" {
        when    many
        risk    medium
        approve by oncall and lead within 15 min seeing old.pods, many.count
        refuse  above 5 pods
        do      sent = apps.restart(old.aged) within 1 min
        undo    none because "they come back"
        verify  not many for 1 min within 5 min every 5 s
        failed       -> tell chat.post("failed"), next cause
        unclear      -> keep, escalate
        not approved -> stop "no"
      }
    }
    otherwise or cannot tell {
      each pod in old.aged at most 5 in batches of 1, 50 % {
        tell chat.post("{pod.name} {pod.age default 5 min}")
      }
      escalate
    }
  }
  result { resolved when goal for 1 min }
  reflection { prevent "More" by "us" in 3 d }
}
"##;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |bound: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % bound as u64).expect("smaller than a usize")
    };
    let words: Vec<&str> = good
        .split_inclusive([' ', '\n', '(', ')', '{', '}', '.', ','])
        .collect();
    for round in 0..300 {
        let mut changed: Vec<&str> = words.clone();
        for _ in 0..=round % 4 {
            let at = next(changed.len());
            match next(4) {
                0 => {
                    changed.remove(at);
                }
                1 => changed.insert(at, words[next(words.len())]),
                2 => changed[at] = words[next(words.len())],
                _ => {
                    let other = next(changed.len());
                    changed.swap(at, other);
                }
            }
        }
        let text = changed.concat();
        let checked = small(&text);
        for finding in &checked.diagnostics {
            let file = checked.sources.file(finding.span.file);
            assert!(
                file.text.get(finding.span.range()).is_some(),
                "{} lies outside its text in\n{text}",
                finding.rule
            );
        }
        assert_eq!(
            checked.program.is_none(),
            checked.diagnostics.iter().any(|finding| finding.level == Level::Error)
        );
    }
}

/// A library that wants scenarios checked.
struct WithScenarios(&'static str);

impl Library for WithScenarios {
    fn module(&self, path: &str) -> Option<ModuleSource> {
        Embedded.module(path)
    }

    fn scenarios(&self, _file: Option<&std::path::Path>) -> Option<Vec<ModuleSource>> {
        Some(vec![ModuleSource {
            name: "book.scenarios.starr".to_owned(),
            path: None,
            bytes: self.0.as_bytes().to_vec(),
        }])
    }
}

const BOOK: &str = r#"use std.postgres.{Postgres, stuck_sessions}

runbook stuck_book(db: Postgres = "orders") "Sessions are stuck" {
  reads   postgres
  changes postgres.sessions
  situation {
    symptom stuck = stuck_sessions(db)
    symptom slow "Is it slow?" observed
  }
  task { goal not stuck }
  branch "What holds them?" {
    cause left_open "Sessions were left open" when stuck {
      action end_them "End {stuck.count} sessions" {
        risk    low
        approve by oncall
        refuse  above 50 sessions
        do      postgres.sessions.terminate(stuck.sessions)
        undo    none because "they come back"
        verify  not stuck within 3 min every 15 s
        failed       -> escalate
      }
    }
    otherwise or cannot tell { escalate }
  }
  reflection {
    prevent "Set a limit"
    ask     "Why?"
  }
}
"#;

fn with_scenarios(scenarios: &'static str) -> Checked {
    let library = WithScenarios(scenarios);
    let context = Context {
        library: &library,
        severities: Vec::new(),
        roles: None,
        today: None,
        matrix: None,
    };
    check("book.starr", None, BOOK.as_bytes().to_vec(), &context)
}

#[test]
fn scenarios_are_merged_and_their_values_have_the_types_of_the_replies() {
    let checked = with_scenarios(
        r#"scenario "They are ended" {
  run   stuck_book(db: "main")
  clock 2026-11-22 03:00 UTC
  given {
    postgres.sessions.list(state: idle_in_transaction) -> 14 of {age: 12 min} until end_them then none
    postgres.sessions.terminate -> done after 1 min
  }
  operator {
    answer slow yes
    approve end_them as oncall after 2 min
  }
  expect { cause left_open }
}

scenario "Silence" {
  like  "They are ended"
  given { postgres.sessions.list(state: idle_in_transaction) -> timeout then 2 of {age: 1 h, backend_start: now - 1 h} until 5 min then none }
  operator {
    refuse end_them as oncall because "not now"
    leave stuck unknown
  }
  expect { outcome escalated }
}
"#,
    );
    assert_eq!(checked.diagnostics, Vec::new(), "{:#?}", checked.diagnostics);
    let program = checked.program.unwrap();
    let [first, second] = program.scenarios.as_slice() else {
        panic!("two scenarios");
    };
    assert_eq!(first.arguments.len(), 1);
    assert_eq!(second.clock, first.clock);
    assert_eq!(second.given.len(), 2);
    let list = second
        .given
        .iter()
        .find(|given| &*given.operation.path == "sessions.list")
        .unwrap();
    assert_eq!(list.replies.len(), 3);
    assert_eq!(list.replies[0].until, Some(crate::program::scenario::Until::Once));
    let own: Vec<(&str, bool)> = second
        .people
        .iter()
        .map(|said| (said.name.as_str(), said.own))
        .collect();
    assert_eq!(own, [("slow", false), ("end_them", true), ("stuck", true)]);
}

#[test]
fn names_that_the_runbook_does_not_have_are_findings_with_suggestions() {
    let checked = with_scenarios(
        r#"scenario "Wrong" {
  run stuck_book(db: "main")
  given {
    postgres.sessions.lst -> none
    postgres.locks.blocked -> none
    postgres.sessions.list -> {age: 12 min} until end_then then none
    postgres.sessions.list(stat: idle) -> none
  }
  operator {
    answer slo yes
    answer slow maybe
    approve end_the as oncall
    tick end_them
  }
  expect {
    cause left_opn
    answer stuck 5
    never end_thm
    told pager.page
    outcome resolved
  }
}

scenario "Other" {
  like "Wrng"
  expect { outcome resolved }
}
"#,
    );
    let found: Vec<(&str, &str, String)> = checked
        .diagnostics
        .iter()
        .map(|finding| {
            (
                finding.rule,
                checked.sources.text(finding.span),
                finding.help.clone().unwrap_or_default(),
            )
        })
        .collect();
    let has = |rule: &str, text: &str, help: &str| {
        assert!(
            found
                .iter()
                .any(|(r, t, h)| *r == rule && *t == text && h.contains(help)),
            "{rule} {text} {help}: {found:#?}"
        );
    };
    has(
        "unknown-operation",
        "postgres.sessions.lst",
        "did you mean `postgres.sessions.list`?",
    );
    has("unknown-operation", "postgres.locks.blocked", "there is");
    has("unknown-name", "end_then", "did you mean `end_them`?");
    has("wrong-arguments", "stat", "did you mean `state`?");
    has("unknown-name", "slo", "did you mean `slow`?");
    has("unknown-value", "maybe", "`yes`, `no` or `unknown`");
    has("unknown-name", "end_the", "did you mean `end_them`?");
    has("unknown-name", "end_them", "");
    has("unknown-name", "left_opn", "did you mean `left_open`?");
    has("unknown-value", "5", "`yes`, `no` or `unknown`");
    has("unknown-name", "end_thm", "did you mean `end_them`?");
    has("unknown-name", "pager.page", "there is");
    has("unknown-name", "\"Wrng\"", "did you mean `Wrong`?");
}

#[test]
fn what_a_module_has_is_named_with_the_line_that_brings_it_in() {
    let checked = small(
        "runbook slow(cache: Redis, plain: Redi) \"Slow\" {\n  timebox 30 min then escalate\n  situation {\n    check full = \
         memory_full(cache)\n    symptom busy \"Busy?\" {\n      yes when end_sessions(cache)\n    }\n  }\n  task {\n    goal not busy\n  }\n}\n",
    );
    let help = |text: &str| {
        let finding = checked
            .diagnostics
            .iter()
            .find(|finding| checked.sources.text(finding.span) == text);
        finding.and_then(|finding| finding.help.clone()).unwrap_or_default()
    };
    assert_eq!(help("Redis"), "`use std.redis.{Redis}`");
    assert_eq!(help("memory_full"), "`use std.redis.{memory_full}`");
    assert!(!help("Redi").contains("use "), "{}", help("Redi"));
}
