//! Plans against a real server: what is printed, what is sent, and that a kept plan is run once and only while it is still true.

use crate::incident::{BOOK, Desk, on_a_thread, pids, text};
use crate::support::postgres::{Place, Server, leave_open};
use crate::support::terminal::attended;

/// Sessions the application leaves open.
const STUCK: usize = 12;

/// What the two roles sent to this database since `begin`, an entry of the server's own log each.
fn sent(place: &Place, begin: usize) -> Vec<String> {
    let log = place.server.log();
    let log = log.get(begin..).unwrap_or(&log);
    let mut entries: Vec<String> = Vec::new();
    for line in log.lines() {
        match entries.last_mut() {
            Some(entry) if !line.starts_with("20") => entry.push_str(line),
            _ => entries.push(line.to_owned()),
        }
    }
    let ours = format!("@{} ", place.name);
    entries
        .into_iter()
        .filter(|entry| entry.contains(&ours) && entry.contains(" starr_"))
        .collect()
}

fn hook(desk: &Desk) -> String {
    format!("hook={}", desk.hook)
}

#[tokio::test]
async fn a_live_plan_sends_reads_alone_and_fits_on_a_screen() {
    let place = Server::shared().database().await;
    let desk = Desk::new(&place).await;
    let _stuck = leave_open(&place, "shop", STUCK).await;
    let before = pids(&place, "shop").await;
    let begin = place.server.log().len();
    let hook = hook(&desk);
    let mut command = desk.command(&["plan", BOOK, "--live", "--set", &hook, "--answer", "complaints=yes"]);
    let output = on_a_thread(move || command.output().unwrap()).await;
    let said = text(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    println!("{said}");
    assert_eq!(pids(&place, "shop").await, before, "a plan changed something");
    assert!(desk.told().is_empty());

    let lines: Vec<&str> = said.lines().collect();
    assert!(lines.len() <= 50, "{} lines:\n{said}", lines.len());
    for line in &lines {
        assert!(
            line.chars().count() <= 100,
            "{} columns: {line}\n{said}",
            line.chars().count()
        );
    }
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    // What a stranger needs: what would be sent to whom, who decides, how it is seen to work, what follows, and why.
    for words in [
        "Nothing was changed",
        "End 12 sessions that are idle in a transaction",
        "postgres.sessions.terminate(",
        "12 of them",
        "by oncall",
        "at most 50 sessions",
        "clients reconnect by themselves",
        "not approved",
        "http.webhook",
        "complaints  yes",
        "pool_full   yes      Are more than 10 sessions of the application idle in a transaction? 12, limit 10",
        "http.webhook(to: hook, body: {text: \"Ending the sessions was not approved\"})",
        "sev1",
        "cause abandoned: Sessions were left open",
        "[simulated]",
        "[observed]",
        "[unknown until applied]",
        "change postgres.sessions",
        "longest way",
    ] {
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(&words), "{words:?} is missing in\n{said}");
    }
    for pid in &before {
        assert!(said.contains(&pid.to_string()), "session {pid} is not named:\n{said}");
    }

    let sent = sent(&place, begin);
    assert!(sent.iter().any(|line| line.contains("pg_stat_activity")), "{sent:?}");
    for line in &sent {
        assert!(
            !line.contains(" starr_change@"),
            "the role for changes was used: {line}"
        );
        for word in [
            "pg_terminate_backend",
            "pg_cancel_backend",
            "insert ",
            "update ",
            "delete ",
            "alter ",
            "create ",
            "drop ",
        ] {
            assert!(!line.to_lowercase().contains(word), "not a read: {line}");
        }
    }
}

/// Makes a plan of the incident and keeps it.
async fn plan(desk: &Desk, file: &str) -> serde_json::Value {
    let hook = hook(desk);
    let mut command = desk.command(&[
        "plan",
        BOOK,
        "--live",
        "--set",
        &hook,
        "--answer",
        "complaints=no",
        "--json",
        "-o",
        file,
    ]);
    let output = on_a_thread(move || command.output().unwrap()).await;
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn run_plan(desk: &Desk, file: &str) -> (Option<i32>, String) {
    let mut command = desk.command(&["run", "--plan", file, "--unattended"]);
    let output = on_a_thread(move || command.output().unwrap()).await;
    (output.status.code(), text(&output))
}

#[tokio::test]
async fn a_plan_is_run_once() {
    let place = Server::shared().database().await;
    let desk = Desk::new(&place).await;
    let _stuck = leave_open(&place, "shop", STUCK).await;
    let first = plan(&desk, "plan.json").await;
    let second = plan(&desk, "other.json").await;
    assert_eq!(
        first["digest"], second["digest"],
        "the digest says what was planned, not when"
    );
    assert_ne!(first["id"], second["id"]);

    let seen = attended(desk.command(&["run", "--plan", "plan.json"]), 0, |person| {
        person.wait_for("Approve?");
        person.answer("yes");
        person.wait_for("may be empty");
        person.answer("");
    })
    .await;
    assert!(seen.contains("RESOLVED"), "{seen}");
    assert!(pids(&place, "shop").await.is_empty());

    let (code, said) = run_plan(&desk, "plan.json").await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("refused"), "{said}");
}

#[tokio::test]
async fn a_used_plan_is_refused_although_nothing_drifted() {
    let place = Server::shared().database().await;
    let desk = Desk::new(&place).await;
    let _stuck = leave_open(&place, "shop", STUCK).await;
    let before = pids(&place, "shop").await;
    plan(&desk, "plan.json").await;
    // Unattended nobody approves: the run ends refused, and the plan is used.
    let (code, said) = run_plan(&desk, "plan.json").await;
    assert_eq!(code, Some(3), "{said}");
    assert!(!said.contains("used already"), "{said}");
    let (code, said) = run_plan(&desk, "plan.json").await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("used already, for run"), "{said}");
    assert_eq!(pids(&place, "shop").await, before);
}

#[tokio::test]
async fn a_plan_that_is_no_longer_true_is_refused_and_says_what_drifted() {
    let place = Server::shared().database().await;
    let desk = Desk::new(&place).await;
    let stuck = leave_open(&place, "shop", STUCK).await;
    plan(&desk, "plan.json").await;

    // One more session: a target that the plan does not hold.
    let mut more = place.client("shop");
    more.send("begin");
    more.send("select 1");
    place
        .until(
            "select count(*) = 13 from pg_stat_activity where datname = current_database()
               and application_name = 'shop' and state = 'idle in transaction'",
        )
        .await;
    let all = pids(&place, "shop").await;
    let (code, said) = run_plan(&desk, "plan.json").await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("`sessions` was not to hold"), "{said}");
    assert_eq!(pids(&place, "shop").await, all);

    // Fewer sessions: the question is answered otherwise.
    drop(more);
    drop(stuck);
    place
        .until("select count(*) = 0 from pg_stat_activity where datname = current_database() and application_name = 'shop'")
        .await;
    let (code, said) = run_plan(&desk, "plan.json").await;
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("pool_full was yes"), "{said}");

    // A plan that somebody edited.
    let path = desk.path().join("plan.json");
    let edited = std::fs::read_to_string(&path)
        .unwrap()
        .replace("\"complaints\":false", "\"complaints\":true");
    std::fs::write(&path, edited).unwrap();
    let (code, said) = run_plan(&desk, "plan.json").await;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("was edited"), "{said}");
}
