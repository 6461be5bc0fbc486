//! What a change does to risk, which rights a runbook needs, what it refers to: the real binary, git, a real PostgreSQL.

use crate::incident::{BOOK, Desk, on_a_thread, pids, text};
use crate::support::postgres::{Place, Server, leave_open};
use crate::support::terminal::Terminal;
use sqlx::AssertSqlSafe;
use std::path::Path;
use std::process::{Command, Output};

fn starr(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_starr"))
        .args(words)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", folder)
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

fn git(folder: &Path, words: &[&str]) {
    let output = Command::new("git")
        .args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.org",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(words)
        .current_dir(folder)
        .env("HOME", folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{words:?}: {}", text(&output));
}

#[test]
fn a_change_is_compared_with_a_revision() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let book = std::fs::read_to_string(BOOK).unwrap();
    std::fs::create_dir(at.join("runbooks")).unwrap();
    let path = at.join("runbooks/pool.starr");
    std::fs::write(&path, &book).unwrap();
    git(at, &["init", "-q"]);
    git(at, &["add", "."]);
    git(at, &["commit", "-qm", "first"]);

    let same = starr(at, &["diff", "HEAD", "--fail-on", "any"]);
    assert_eq!(same.status.code(), Some(0), "{}", text(&same));
    assert!(text(&same).contains("no difference"), "{}", text(&same));

    std::fs::write(
        &path,
        book.replace("approve by oncall within", "approve by oncall or lead within"),
    )
    .unwrap();
    let human = starr(at, &["diff", "HEAD"]);
    assert_eq!(human.status.code(), Some(0), "{}", text(&human));
    for words in [
        "runbooks/pool.starr",
        "riskier",
        "approval-weakened",
        "pool.end_stuck: approval by oncall or lead, was by oncall",
    ] {
        assert!(
            text(&human).contains(words),
            "{words:?} is missing in\n{}",
            text(&human)
        );
    }
    let markdown = starr(at, &["diff", "HEAD", "runbooks", "--format", "markdown"]);
    let said = text(&markdown);
    assert!(
        said.starts_with("### Runbooks: ") && said.contains("| **riskier** |"),
        "{said}"
    );
    for (class, code) in [
        ("approval-weakened", 1),
        ("verify-removed,approval-weakened", 1),
        ("riskier", 1),
        ("verify-removed", 0),
        ("nonsense", 2),
    ] {
        let gated = starr(at, &["diff", "HEAD", "--fail-on", class]);
        assert_eq!(gated.status.code(), Some(code), "{class}: {}", text(&gated));
    }
    let json = starr(at, &["diff", "HEAD", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json[0]["differences"][0]["direction"], "riskier", "{json}");

    // From a folder below, a file that is gone, and a revision that is none.
    let below = starr(&at.join("runbooks"), &["diff", "HEAD", "--fail-on", "riskier"]);
    assert_eq!(below.status.code(), Some(1), "{}", text(&below));
    std::fs::remove_file(&path).unwrap();
    let gone = starr(at, &["diff", "HEAD", "--fail-on", "effect-removed"]);
    assert_eq!(gone.status.code(), Some(1), "{}", text(&gone));
    assert!(text(&gone).contains("the runbook is gone"), "{}", text(&gone));
    for wrong in ["nowhere", "--output=x", "-h^{commit}"] {
        let output = starr(at, &["diff", "--", wrong]);
        assert_eq!(output.status.code(), Some(2), "{wrong}: {}", text(&output));
    }

    let (old, new) = (at.join("old.starr"), at.join("new.starr"));
    std::fs::write(&old, &book).unwrap();
    std::fs::write(&new, book.replace("risk    medium", "risk    low")).unwrap();
    let two = starr(at, &["diff", "old.starr", "new.starr"]);
    assert!(text(&two).contains("risk-lowered"), "{}", text(&two));

    // What cannot be compared is not without a difference.
    std::fs::write(at.join("broken.starr"), book.replace("runbook pool(", "runbook pool[")).unwrap();
    for (sides, extra, code, words) in [
        (["old.starr", "broken.starr"], "verify-removed", 2, "invalid"),
        (["old.starr", "broken.starr"], "any", 1, "invalid"),
        (["broken.starr", "broken.starr"], "verify-removed", 2, "invalid"),
        (["broken.starr", "new.starr"], "verify-removed", 0, "invalid-before"),
        (["broken.starr", "new.starr"], "invalid-before", 1, "invalid-before"),
    ] {
        let found = starr(at, &["diff", sides[0], sides[1], "--fail-on", extra]);
        assert_eq!(found.status.code(), Some(code), "{sides:?} {extra}: {}", text(&found));
        assert!(text(&found).contains(words), "{sides:?}: {}", text(&found));
    }
}

/// Runs a statement of the administrator in the database of this place.
async fn admin(place: &Place, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut place.admin().await)
        .await
        .unwrap_or_else(|problem| panic!("{sql}: {problem}"));
}

/// A desk whose two logins are these roles.
async fn desk_as(place: &Place, read: &str, change: &str) -> Desk {
    let desk = Desk::new(place).await;
    let path = desk.path().join("starr.yaml");
    let config = std::fs::read_to_string(&path).unwrap();
    let config = config
        .replace("user: starr_read,", &format!("user: {read},"))
        .replace("user: starr_change,", &format!("user: {change},"));
    std::fs::write(&path, config).unwrap();
    desk
}

async fn unattended(desk: &Desk) -> (Option<i32>, String) {
    let mut command = desk.run(&["--unattended", "--answer", "complaints=no"]);
    let output = on_a_thread(move || command.output().unwrap()).await;
    (output.status.code(), text(&output))
}

/// Approves what is asked, and gives the exit code.
async fn approved(desk: &Desk) -> (i32, String) {
    let command = desk.run(&["--answer", "complaints=no"]);
    on_a_thread(move || {
        let mut terminal = Terminal::start(command);
        terminal.wait_for("Approve?");
        terminal.answer("yes");
        terminal.wait_for("may be empty");
        terminal.answer("");
        let code = terminal.end();
        (code, terminal.seen)
    })
    .await
}

/// The grants that are printed are enough, and each of them is needed.
#[tokio::test]
async fn the_printed_grants_are_enough_and_each_is_needed() {
    let place = Server::shared().database().await;
    let (read, change) = (format!("{}_read", place.name), format!("{}_change", place.name));
    for (role, password) in [(&read, "read-secret"), (&change, "change-secret")] {
        admin(&place, &format!("create role {role} login password '{password}'")).await;
    }
    admin(
        &place,
        &format!("revoke connect on database {} from public", place.name),
    )
    .await;
    let desk = desk_as(&place, &read, &change).await;
    let printed = desk.output(&["grants", BOOK]);
    let grants: Vec<String> = printed
        .lines()
        .filter_map(|line| Some(line.split_once(';')?.0.to_owned()))
        .filter(|line| line.starts_with("GRANT "))
        .collect();
    assert_eq!(grants.len(), 5, "{printed}");
    for grant in &grants {
        admin(&place, grant).await;
    }
    for without in grants.iter().filter(|grant| grant.ends_with(&format!("TO {read}"))) {
        let _stuck = leave_open(&place, "shop", 12).await;
        let (code, said) = unattended(&desk).await;
        assert_eq!(code, Some(3), "with all grants the way leads to the approval:\n{said}");
        assert!(said.contains("stuck  yes"), "{said}");
        admin(&place, &without.replace("GRANT", "REVOKE").replace(" TO ", " FROM ")).await;
        let (code, said) = unattended(&desk).await;
        assert_ne!(code, Some(3), "without {without}:\n{said}");
        assert!(
            said.contains("unknown") && !said.contains("stuck  yes"),
            "without {without}:\n{said}"
        );
        admin(&place, without).await;
        drop(_stuck);
        nobody(&place).await;
    }
    for without in grants.iter().filter(|grant| grant.ends_with(&format!("TO {change}"))) {
        let _stuck = leave_open(&place, "shop", 12).await;
        admin(&place, &without.replace("GRANT", "REVOKE").replace(" TO ", " FROM ")).await;
        let (code, said) = if without.contains("CONNECT") {
            // The lock in the database cannot be taken, so nobody is asked.
            let (code, said) = unattended(&desk).await;
            assert!(said.contains("could not be taken"), "without {without}:\n{said}");
            (code.unwrap_or_default() - 2, said)
        } else {
            approved(&desk).await
        };
        assert_eq!(code, 1, "without {without}:\n{said}");
        assert_eq!(pids(&place, "shop").await.len(), 12, "without {without}:\n{said}");
        admin(&place, without).await;
        drop(_stuck);
        nobody(&place).await;
    }
    let _stuck = leave_open(&place, "shop", 12).await;
    let (code, said) = approved(&desk).await;
    assert_eq!(code, 0, "{said}");
    assert!(pids(&place, "shop").await.is_empty());
}

async fn nobody(place: &Place) {
    place
        .until("select count(*) = 0 from pg_stat_activity where datname = current_database() and application_name = 'shop'")
        .await;
}

const CLEAN: &str = r#"use std.postgres.{Postgres}

runbook clean(db: Postgres = "orders") "Old jobs pile up" {
  owner   "team-storage"
  timebox 30 min then escalate
  reads   postgres
  changes postgres

  task {
    goal not old
  }

  check old "Are there old jobs?" {
    read rows = postgres.query(db, `select id from jobs where state = 'old'`) within 10 s
    yes when rows is not empty
  }

  branch "What piles up?" {
    cause jobs_pile "Old jobs are not removed" when old {
      action remove_old "Remove the old jobs" {
        risk    medium
        approve by oncall within 15 min
        do      postgres.execute(db, `delete from jobs where state = 'old'`)
        undo    none because "they are not needed any more"
        verify  not old within 1 min every 5 s
        failed  -> escalate
      }
    }
    otherwise or cannot tell {
      escalate
    }
  }
}
"#;

#[tokio::test]
async fn a_preview_is_a_class_of_its_own_and_changes_nothing() {
    let place = Server::shared().database().await;
    admin(
        &place,
        "create table jobs (id int, state text); insert into jobs select n, case when n < 8 then 'old' else 'new' end
           from generate_series(1, 20) n;
         grant select on jobs to starr_read; grant select, delete on jobs to starr_change",
    )
    .await;
    let desk = Desk::new(&place).await;
    std::fs::write(desk.path().join("clean.starr"), CLEAN).unwrap();
    let config = std::fs::read_to_string(desk.path().join("starr.yaml")).unwrap();
    let write = |text: String| std::fs::write(desk.path().join("starr.yaml"), text).unwrap();
    let changes = "- { capability: postgres.sessions, effects: [change], targets: [orders] }";
    let with = |effects: &str| {
        let more = format!("{changes}\n      - {{ capability: postgres, effects: [{effects}], targets: [orders] }}");
        config.replace(changes, &more)
    };
    let granted = with("change, preview");
    assert_ne!(config, granted);
    write(with("change"));
    let plan = async || {
        let mut command = desk.command(&["plan", "clean.starr", "--live"]);
        let output = on_a_thread(move || command.output().unwrap()).await;
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        text(&output)
    };

    // Not granted: nothing is asked.
    let begin = place.server.log().len();
    let said = plan().await;
    assert!(said.contains("[simulated]") && !said.contains("[previewed]"), "{said}");
    assert!(
        !place.server.log()[begin..].contains("EXPLAIN"),
        "a preview that nobody granted was asked for"
    );

    write(granted.clone());
    let said = plan().await;
    assert!(
        said.contains("[previewed]") && said.contains("Delete on jobs"),
        "{said}"
    );

    write(granted.replace(
        "          database: ",
        "          preview: rolled_back\n          database: ",
    ));
    let said = plan().await;
    assert!(said.contains("done and rolled back: would touch 7 rows"), "{said}");
    let left: i64 = sqlx::query_scalar("select count(*) from jobs")
        .fetch_one(&mut place.admin().await)
        .await
        .unwrap();
    assert_eq!(left, 20, "a preview changed something");
}

#[tokio::test]
async fn what_runbooks_name_and_what_is_gone() {
    let place = Server::shared().database().await;
    admin(
        &place,
        "create table jobs (id int, state text); grant select on jobs to starr_read",
    )
    .await;
    let desk = Desk::new(&place).await;
    std::fs::create_dir(desk.path().join("books")).unwrap();
    std::fs::write(desk.path().join("books/clean.starr"), CLEAN).unwrap();
    std::fs::copy(BOOK, desk.path().join("books/pool.starr")).unwrap();
    let look = async |words: &'static [&'static str]| {
        let mut command = desk.command(words);
        on_a_thread(move || command.output().unwrap()).await
    };
    let good = look(&["doctor", "--references", "books"]).await;
    let said = text(&good);
    assert_eq!(good.status.code(), Some(0), "{said}");
    assert!(said.contains("there    postgres table jobs in orders"), "{said}");
    assert!(said.contains("clean.jobs_pile") && said.contains("never"), "{said}");

    // A run exercises the branches that it takes.
    let _stuck = leave_open(&place, "shop", 12).await;
    unattended(&desk).await;
    admin(&place, "drop table jobs").await;
    let gone = look(&["doctor", "--references", "books", "--json"]).await;
    assert_eq!(gone.status.code(), Some(1), "{}", text(&gone));
    let json: serde_json::Value = serde_json::from_slice(&gone.stdout).unwrap();
    let state = |name: &str| {
        json["references"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["name"] == name)
            .map(|one| one["state"].clone())
    };
    assert_eq!(state("jobs"), Some("missing".into()), "{json}");
    let branch = |name: &str| {
        let all = json["branches"].as_array().unwrap();
        all.iter().find(|one| one["branch"] == name).unwrap()["days"].clone()
    };
    assert_eq!(branch("abandoned"), serde_json::json!(0), "{json}");
    assert_eq!(branch("locked"), serde_json::Value::Null, "{json}");
}
