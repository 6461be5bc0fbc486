//! From an alert to a run: the runbook it names, its labels as parameters, one run for one thing.

use crate::support::terminal::Terminal;
use serde_json::{Value as Json, json};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

const BOOK: &str = r##"runbook pool_full(db: Text, above: Int = 5, patience: Duration = 1 min) "Is {db} full?" {
  timebox 10 min then stop "it took too long"
  reads   host

  situation {
    symptom full "Is {db} above {above}?" {
      read load = host.load()
      yes when load.cpus > above * 1000
    }
    symptom felt "Does somebody complain?" observed by oncall within 2 min
  }
  task {
    goal not full and not felt
  }
}
"##;

struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("runbooks/team")).unwrap();
        std::fs::write(folder.path().join("runbooks/team/pool-full.starr"), BOOK).unwrap();
        std::fs::write(folder.path().join("elsewhere.starr"), BOOK).unwrap();
        let environment = format!(
            "    journal: {0}/journal.db\n    people:\n      {1}: {{ roles: [oncall] }}\n    grants:\n      - {{ capability: host, effects: [read], all: true }}\n",
            folder.path().display(),
            starr::cli::login()
        );
        let config = format!("default: test\nenvironments:\n  staging:\n{environment}  test:\n{environment}");
        std::fs::write(folder.path().join("starr.yaml"), config).unwrap();
        Self(folder)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_starr"));
        command
            .args(words)
            .current_dir(self.0.path())
            .env_clear()
            .env("HOME", self.0.path())
            .env("TERM", "xterm-256color")
            .env("NO_COLOR", "1")
            .env("STARR_CONFIG", self.0.path().join("starr.yaml"));
        command
    }

    fn starr(&self, words: &[&str]) -> (i32, String) {
        said(&self.command(words).output().unwrap())
    }

    /// The alert through standard input.
    fn alerted(&self, alert: &Json, words: &[&str]) -> (i32, String) {
        let mut all = vec!["run", "--alert", "-", "--unattended"];
        all.extend(words);
        let mut child = self
            .command(&all)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(alert.to_string().as_bytes())
            .unwrap();
        said(&child.wait_with_output().unwrap())
    }

    fn runs(&self) -> usize {
        self.starr(&["runs", "--json"])
            .1
            .matches("\"runbook\":\"pool_full\"")
            .count()
    }
}

fn said(output: &Output) -> (i32, String) {
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.code().unwrap(), text)
}

fn alert(labels: &Json, runbook: &str) -> Json {
    json!({
        "version": "4", "groupKey": "{}:{db=\"orders\"}", "status": "firing", "receiver": "starr",
        "alerts": [{"status": "firing", "labels": labels, "annotations": {"runbook": runbook}}]
    })
}

#[test]
fn an_alert_finds_its_runbook_and_gives_it_its_labels() {
    let desk = Desk::new();
    let labels = json!({"alertname": "PoolFull", "db": "orders", "above": "7", "severity": "page"});
    let (code, said) = desk.alerted(&alert(&labels, "team/pool-full"), &[]);
    assert!(matches!(code, 0 | 1), "{said}");
    for words in ["Is orders full?", "started by Alertmanager: PoolFull", "above = 7"] {
        assert!(said.contains(words), "{words:?} is missing in\n{said}");
    }
    let report = desk.starr(&["report"]).1;
    assert!(report.contains("Started by") && report.contains("PoolFull"), "{report}");
    // What is given by hand counts, and so does a file.
    let words = ["elsewhere.starr", "--set", "db=billing"];
    let (_, said) = desk.alerted(&alert(&labels, "no/such/thing"), &words);
    assert!(said.contains("Is billing full?"), "{said}");
    // From a file, and by a label.
    let mut by_label = labels.clone();
    by_label["runbook"] = json!("team/pool-full.starr");
    let path = desk.0.path().join("alert.json");
    std::fs::write(
        &path,
        json!({"version": "4", "alerts": [{"status": "firing", "labels": by_label}]}).to_string(),
    )
    .unwrap();
    let (_, said) = desk.starr(&["run", "--alert", "alert.json", "--unattended"]);
    assert!(said.contains("Is orders full?"), "{said}");
    assert_eq!(desk.runs(), 3);
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_runs() {
    let desk = Desk::new();
    let good = json!({"alertname": "PoolFull", "db": "orders"});
    let refused = |alert: &Json, words: &str| {
        let (code, said) = desk.alerted(alert, &[]);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(words), "{words:?} is missing in\n{said}");
        assert!(!said.contains('\u{1b}'), "{said}");
    };
    for bad in [
        "../elsewhere",
        "/etc/passwd",
        "team/../../elsewhere",
        "team//pool-full",
        ".",
        "",
        "team/\u{1b}[2J",
    ] {
        refused(&alert(&good, bad), "no such file below runbooks");
    }
    std::os::unix::fs::symlink("../elsewhere.starr", desk.0.path().join("runbooks/link.starr")).unwrap();
    refused(&alert(&good, "link"), "no such file below runbooks");
    refused(&alert(&json!({"alertname": "PoolFull"}), "team/pool-full"), "`db`");
    refused(
        &alert(&json!({"db": "orders", "above": "many"}), "team/pool-full"),
        "above",
    );
    refused(
        &json!({"version": "4", "alerts": [{"status": "firing", "labels": good}]}),
        "names no runbook",
    );
    let two = json!({"version": "4", "commonAnnotations": {"runbook": "team/pool-full"}, "alerts": [
        {"status": "firing", "labels": {"db": "orders"}}, {"status": "firing", "labels": {"db": "billing"}}]});
    refused(&two, "differ in `db`");
    refused(&json!({"some": "thing"}), "expected the web hook of Alertmanager");
    let mut over = alert(&good, "team/pool-full");
    over["alerts"][0]["status"] = json!("resolved");
    let (code, said) = desk.alerted(&over, &[]);
    assert!(code == 0 && said.contains("is over; nothing was run"), "{said}");
    assert!(!desk.0.path().join("journal.db").exists());
}

#[test]
fn a_second_alert_for_the_same_attaches_to_the_run_that_is_under_way() {
    let desk = Desk::new();
    let orders = alert(&json!({"alertname": "PoolFull", "db": "orders"}), "team/pool-full");
    std::fs::write(desk.0.path().join("alert.json"), orders.to_string()).unwrap();
    let mut first = Terminal::start(desk.command(&["run", "--alert", "alert.json"]));
    first.wait_for("Type yes, no or unknown");
    let (code, said) = desk.alerted(&orders, &[]);
    assert!(
        code == 0
            && said.contains("is under way for the same: its record says so")
            && said.contains("nothing was started"),
        "{said}"
    );
    // A threshold makes it no other incident.
    let longer = alert(
        &json!({"alertname": "PoolFull", "db": "orders", "patience": "9 min"}),
        "team/pool-full",
    );
    let (code, said) = desk.alerted(&longer, &[]);
    assert!(code == 0 && said.contains("nothing was started"), "{said}");
    // For another database it is another incident, and for another number: it may be a port or a shard.
    let billing = alert(&json!({"alertname": "PoolFull", "db": "billing"}), "team/pool-full");
    let (_, said) = desk.alerted(&billing, &[]);
    assert!(said.contains("Is billing full?"), "{said}");
    let other = alert(
        &json!({"alertname": "PoolFull", "db": "orders", "above": "9"}),
        "team/pool-full",
    );
    let (_, said) = desk.alerted(&other, &[]);
    assert!(said.contains("Is orders above 9?"), "{said}");
    // That it is over, and that somebody took it, starts nothing and is told to the run for the same.
    let mut over = orders.clone();
    over["alerts"][0]["status"] = json!("resolved");
    let taken = json!({"event": {"event_type": "incident.acknowledged", "agent": {"summary": "Maria\u{1b}[2J"}, "data": {
        "id": "P1", "title": "Pool full", "custom_fields": [
            {"name": "runbook", "value": "team/pool-full"}, {"name": "db", "value": "orders"}]}}});
    let mut attached_to = String::new();
    for told in [&over, &taken] {
        let (code, said) = desk.alerted(told, &["--json"]);
        let said: Json = serde_json::from_str(&said).unwrap();
        assert!(code == 0 && said["entry"].is_u64(), "{said}");
        said["attached_to"].as_str().unwrap().clone_into(&mut attached_to);
    }
    let mut elsewhere = over.clone();
    elsewhere["alerts"][0]["labels"]["db"] = json!("nobody");
    let (code, said) = desk.alerted(&elsewhere, &[]);
    assert!(code == 0 && said.contains("is over; nothing was run"), "{said}");
    first.answer("no");
    first.wait_for("a note");
    first.answer("");
    assert_eq!(first.end(), 0, "{}", first.seen);
    // The record has them between what the run itself wrote, and is intact.
    let shown = desk.starr(&["show", &attached_to]).1;
    for words in [
        "while this run was under way: Alertmanager: PoolFull",
        "PoolFull ({}:{db=\"orders\"}) is over",
        "PagerDuty: Pool full (P1) was acknowledged by Maria",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains('\u{1b}'), "{shown}");
    assert_eq!(shown.matches("while this run was under way").count(), 4, "{shown}");
    let (code, said) = desk.starr(&["journal", "verify"]);
    assert_eq!(code, 0, "{said}");
    // Once it is over, an alert starts the next.
    let (_, said) = desk.alerted(&orders, &[]);
    assert!(said.contains("Is orders full?"), "{said}");
    assert_eq!(desk.runs(), 4);
}

/// A run of another environment is another incident, and a rehearsal is none: it takes no alert from a run, and gives none to one.
#[test]
fn neither_another_environment_nor_a_rehearsal_takes_an_alert() {
    let desk = Desk::new();
    let orders = alert(&json!({"alertname": "PoolFull", "db": "orders"}), "team/pool-full");
    std::fs::write(desk.0.path().join("alert.json"), orders.to_string()).unwrap();
    for elsewhere in [&["--env", "staging"][..], &["--dry-run"]] {
        let mut first = Terminal::start(desk.command(&[&["run", "--alert", "alert.json"], elsewhere].concat()));
        first.wait_for("Type yes, no or unknown");
        let (_, said) = desk.alerted(&orders, &[]);
        assert!(said.contains("Is orders full?"), "{elsewhere:?}: {said}");
        first.kill();
    }
    // A live one is under way, and whoever rehearses beside it is not sent to it.
    let mut live = Terminal::start(desk.command(&["run", "--alert", "alert.json"]));
    live.wait_for("Type yes, no or unknown");
    let mut over = orders.clone();
    over["alerts"][0]["status"] = json!("resolved");
    let (_, said) = desk.alerted(&orders, &["--dry-run"]);
    assert!(said.contains("Is orders full?"), "{said}");
    let (code, said) = desk.alerted(&over, &["--dry-run"]);
    assert!(code == 0 && said.contains("is over; nothing was run"), "{said}");
    let (code, said) = desk.alerted(&orders, &[]);
    assert!(code == 0 && said.contains("nothing was started"), "{said}");
    live.kill();
    assert_eq!(desk.runs(), 6);
    let (code, said) = desk.starr(&["journal", "verify"]);
    assert_eq!(code, 0, "{said}");
}

#[test]
fn a_run_to_which_an_alert_was_attached_goes_on_after_its_process_ended() {
    let desk = Desk::new();
    let orders = alert(&json!({"alertname": "PoolFull", "db": "orders"}), "team/pool-full");
    std::fs::write(desk.0.path().join("alert.json"), orders.to_string()).unwrap();
    let mut first = Terminal::start(desk.command(&["run", "--alert", "alert.json"]));
    first.wait_for("Type yes, no or unknown");
    let (_, said) = desk.alerted(&orders, &["--json"]);
    let said: Json = serde_json::from_str(&said).unwrap();
    let id = said["attached_to"].as_str().unwrap().to_owned();
    first.kill();
    let mut second = Terminal::start(desk.command(&["resume", &id]));
    second.wait_for("Type yes, no or unknown");
    second.answer("no");
    second.wait_for("a note");
    second.answer("");
    assert_eq!(second.end(), 0, "{}", second.seen);
    let shown = desk.starr(&["show", &id]).1;
    assert_eq!(shown.matches("while this run was under way").count(), 1, "{shown}");
    let (code, said) = desk.starr(&["journal", "verify"]);
    assert_eq!(code, 0, "{said}");
}

/// Asks for so long that every process of one instant meets the one that is first.
const SLOW: &str = r##"runbook slow(db: Text) "Is {db} full?" {
  timebox 10 min then stop "it took too long"
  reads   host

  situation {
    symptom full "Is {db} full?" {
      read use = host.cpu(over: 20 s) within 60 s
      yes when use.busy > 99.99 %
    }
  }
  task {
    goal not full
  }
}
"##;

/// Several real processes at once; the number of runs that came of it.
fn all_at_once(desk: &Desk) -> usize {
    std::fs::write(desk.0.path().join("runbooks/team/slow.starr"), SLOW).unwrap();
    let orders = alert(&json!({"alertname": "Slow", "db": "orders"}), "team/slow");
    std::fs::write(desk.0.path().join("alert.json"), orders.to_string()).unwrap();
    // The tables are there: making them would let one process in after the other.
    let (_, before) = desk.alerted(&alert(&json!({"db": "before"}), "team/pool-full"), &[]);
    assert!(before.contains("Is before full?"), "{before}");
    let children: Vec<_> = (0..4)
        .map(|_| {
            desk.command(&["run", "--alert", "alert.json", "--unattended"])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let ended: Vec<(i32, String)> = children
        .into_iter()
        .map(|child| said(&child.wait_with_output().unwrap()))
        .collect();
    let ran = ended
        .iter()
        .filter(|(_, said)| said.contains("Is orders full?"))
        .count();
    let attached = ended
        .iter()
        .filter(|(code, said)| *code == 0 && said.contains("is under way for the same: its record says so"))
        .count();
    assert_eq!((ran, attached), (1, 3), "{ended:#?}");
    let (_, listed) = desk.starr(&["runs", "--json"]);
    assert!(desk.starr(&["journal", "verify"]).1.contains("intact"));
    listed.matches("\"runbook\":\"slow\"").count()
}

#[test]
fn of_alerts_in_the_same_instant_one_starts_a_run() {
    assert_eq!(all_at_once(&Desk::new()), 1);
}

#[tokio::test]
async fn of_alerts_in_the_same_instant_one_starts_a_run_with_a_journal_in_postgresql() {
    use crate::storage::postgres::{described, place};
    let (_place, server) = place().await;
    let desk = Desk::new();
    let path = desk.0.path().join("starr.yaml");
    let file = format!("journal: {}/journal.db", desk.0.path().display());
    let database = format!("journal: {}", described(&server, desk.0.path(), ""));
    let config = std::fs::read_to_string(&path).unwrap();
    assert!(config.contains(&file));
    std::fs::write(&path, config.replace(&file, &database)).unwrap();
    let runs = tokio::task::spawn_blocking(move || {
        let runs = all_at_once(&desk);
        assert!(!desk.0.path().join("journal.db").exists(), "a file was made beside");
        runs
    });
    assert_eq!(runs.await.unwrap(), 1);
}

#[test]
fn the_line_for_an_alerting_rule_names_the_runbook_and_quotes_its_labels() {
    let desk = Desk::new();
    let (code, said) = desk.starr(&["render", "runbooks/team/pool-full.starr", "--alert-command"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("runbook: team/pool-full\n"), "{said}");
    assert!(
        said.contains("command: 'starr run runbooks/team/pool-full.starr --set db={{ reReplaceAll \"[^a-zA-Z0-9._:/@%+-]\" \"_\" $labels.db }}'"),
        "{said}"
    );
}

/// The same with people to call.
const PAGED: &str = r##"use std.chat.{Channel}

runbook pool_full(db: Text) "Is {db} full?" {
  timebox 10 min then stop "it took too long"
  reads   host
  tells   chat

  situation {
    symptom full "Is {db} full?" {
      read load = host.load()
      yes when load.cpus > 1000
    }
    symptom felt "Does somebody complain?" observed by oncall within 2 min
    severity {
      sev1 when cannot tell
      sev1 otherwise
    }
  }
  task {
    goal not full and not felt
  }
  result {
    resolved when goal
    escalation {
      sev1 -> chat.post("#inc", "the first") now, chat.post("#inc", "the second") after 6 s unless acknowledged
    }
  }
}
"##;

/// A chat that takes everything, and what came.
fn chat() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let posts = Arc::new(Mutex::new(Vec::new()));
    let taken = posts.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut seen = Vec::new();
            let mut part = [0; 4096];
            while !String::from_utf8_lossy(&seen).contains("\"text\"") {
                let count = stream.read(&mut part).unwrap();
                assert!(count > 0, "{}", String::from_utf8_lossy(&seen));
                seen.extend_from_slice(&part[..count]);
            }
            taken.lock().unwrap().push(String::from_utf8_lossy(&seen).into_owned());
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
                .unwrap();
        }
    });
    (port, posts)
}

/// Somebody takes the page, and later gives it back: what is for nobody else then is sent after all.
#[test]
fn an_acknowledgement_holds_back_the_rest_of_a_row_for_as_long_as_it_stands() {
    let desk = Desk::new();
    let (port, posts) = chat();
    let hook = desk.0.path().join("hook");
    std::fs::write(&hook, "/services/T0").unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o600)).unwrap();
    let config = desk.0.path().join("starr.yaml");
    let text = std::fs::read_to_string(&config).unwrap()
        + &format!(
            "      - {{ capability: chat, effects: [tell], all: true }}\n    chat:\n      channels:\n        \"#inc\": {{ url: \"http://127.0.0.1:{port}\", secret_path: {{ file: {} }} }}\n",
            hook.display()
        );
    std::fs::write(&config, text).unwrap();
    let book = PAGED;
    std::fs::write(desk.0.path().join("runbooks/team/pool-full.starr"), book).unwrap();
    let incident = |happened: &str| {
        json!({"event": {"event_type": format!("incident.{happened}"), "agent": {"summary": "Maria"}, "data": {
            "id": "P1", "title": "Pool full", "custom_fields": [
                {"name": "runbook", "value": "team/pool-full"}, {"name": "db", "value": "orders"}]}}})
    };
    std::fs::write(desk.0.path().join("alert.json"), incident("triggered").to_string()).unwrap();
    let mut run = Terminal::start(desk.command(&["run", "--alert", "alert.json"]));
    run.wait_for("Type yes, no or unknown");
    let (code, said) = desk.alerted(&incident("acknowledged"), &[]);
    assert_eq!(code, 0, "{said}");
    run.wait_for("entry 2 of sev1 is held back: PagerDuty: Pool full (P1) was acknowledged by Maria");
    assert_eq!(posts.lock().unwrap().len(), 1);
    let (code, said) = desk.alerted(&incident("unacknowledged"), &[]);
    assert_eq!(code, 0, "{said}");
    run.wait_for("told chat.post");
    run.answer("no");
    run.wait_for("a note");
    run.answer("");
    assert_eq!(run.end(), 0, "{}", run.seen);
    let posts = posts.lock().unwrap();
    assert!(posts.len() == 2 && posts[1].contains("the second"), "{posts:?}");
    let (code, said) = desk.starr(&["journal", "verify"]);
    assert_eq!(code, 0, "{said}");
}
