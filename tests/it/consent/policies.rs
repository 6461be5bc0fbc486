//! Policies and grants with the real binary: refusals that explain themselves, and nothing is sent when a policy cannot be asked.

use super::{Desk, OTHER, people, terminal, text, two};

const POLICY: &str = r#"
@id("oncall-runs")
permit (principal in Starr::Role::"oncall", action == Starr::Action::"run", resource in Starr::Environment::"test");

@id("approve-with-the-role")
permit (principal, action == Starr::Action::"approve", resource) when { principal in context.roles };

@id("approved-changes")
permit (principal, action == Starr::Action::"change", resource in Starr::Provider::"http")
when { context.count <= 10 && !context.approvers.isEmpty() };

@id("freeze")
@reason("the sale is on")
forbid (principal, action == Starr::Action::"change", resource)
when { context.now >= datetime("2020-01-01") && context.purpose == "do" }
unless { context.emergency };

@id("oncall-overrides")
permit (principal in Starr::Role::"oncall", action == Starr::Action::"override", resource)
when { context.ticket like "INC-*" && context.seconds <= 3600 };
"#;

const ON: &str = "    policy: { files: [rules.cedar], time_zone: Europe/Vienna }\n";

#[test]
fn a_freeze_refuses_with_its_name_and_an_override_of_two_people_lifts_it_on_the_record() {
    let desk = Desk::new(&two(), ON);
    desk.file("config/rules.cedar", POLICY);
    let mut first = terminal(desk.run(&[]));
    first.wait_for("Approve?");
    first.answer("yes");
    assert_eq!(first.end(), 3, "{}", first.seen);
    assert!(
        first.seen.contains("freeze") && first.seen.contains("the sale is on"),
        "{}",
        first.seen
    );
    assert_eq!(desk.posts(), 0);

    // Alone nobody overrides.
    let words = [
        "--override",
        "customers cannot pay",
        "--ticket",
        "INC-7",
        "--override-for",
        "20 min",
    ];
    let mut first = terminal(desk.run(&words));
    first.wait_for("needs a second person");
    let mut own = terminal(desk.command(&["approve"]));
    assert_eq!(own.end(), 3, "{}", own.seen);
    let mut second = terminal(desk.other(&["approve"]));
    second.wait_for("customers cannot pay");
    second.wait_for("Type `override` to approve");
    second.answer("yes");
    second.wait_for("must be exactly one of the two");
    // What is typed before the question is shown again does not count.
    second.wait_for("Type `override` to approve");
    second.answer("override");
    assert_eq!(second.end(), 0, "{}", second.seen);
    first.wait_for("Mend the shop once");
    first.wait_for("Approve?");
    first.answer("yes");
    assert_eq!(first.end(), 0, "{}", first.seen);
    assert_eq!(desk.posts(), 1);
    let report = desk.report();
    for words in ["emergency override", "customers cannot pay", "INC-7", OTHER, "rade"] {
        assert!(report.contains(words), "{words:?} is missing in\n{report}");
    }
    // A ticket that the policy does not accept.
    let mut first = terminal(desk.run(&["--override", "no reason", "--ticket", "none"]));
    first.wait_for("needs a second person");
    let mut second = terminal(desk.other(&["approve"]));
    second.wait_for("Type `override` to approve");
    second.answer("override");
    assert_eq!(second.end(), 0, "{}", second.seen);
    assert_eq!(first.end(), 3, "{}", first.seen);
    assert_eq!(desk.posts(), 1);
}

#[test]
fn whoever_may_not_run_is_told_why_and_nothing_is_asked() {
    let login = starr::cli::login();
    let desk = Desk::new(&people(&[(&login, "roles: [guest]"), (OTHER, "roles: [oncall]")]), ON);
    desk.file("config/rules.cedar", POLICY);
    let output = desk.run(&[]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    let said = text(&output);
    assert!(
        said.contains(&format!("no policy permits {login} to run slow_shop")),
        "{said}"
    );
    assert!(!said.contains("busy  yes"), "nothing was looked at: {said}");
    assert_eq!(desk.posts(), 0);
}

/// P6: a policy that is missing, wrong, writable by others, or in the runbook's own folder stops the run before anything is asked.
#[test]
fn a_policy_that_cannot_be_used_lets_nothing_happen() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new(&two(), ON);
    let run = |expected: &str| {
        let output = desk.run(&[]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", text(&output));
        assert!(
            text(&output).contains(expected),
            "{expected:?} is missing in {}",
            text(&output)
        );
        assert_eq!(desk.posts(), 0);
    };
    run("cannot open the policy");
    let file = desk.file(
        "config/rules.cedar",
        "permit (principal, action, resource) when { context.nothing };",
    );
    run("rules.cedar");
    let file2 = desk.file("config/rules.cedar", POLICY);
    assert_eq!(file, file2);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
    run("can be written by others");
    let inside = desk.file("books/rules.cedar", POLICY);
    let config = std::fs::read_to_string(desk.config()).unwrap();
    desk.configure(&config.replace("rules.cedar", &inside.display().to_string()));
    run("lies in the folder of the runbook");
    // A hostile configuration and policy beside the runbook and in the working directory are never looked at.
    for folder in ["books", "."] {
        desk.file(&format!("{folder}/starr.yaml"), "nonsense: true");
        desk.file(
            &format!("{folder}/policy.cedar"),
            "permit (principal, action, resource);",
        );
    }
    run("lies in the folder of the runbook");
}

/// A-PO-2 through `starr run`: the grant is for one server, the runbook addresses others that look like it.
#[test]
fn a_grant_matches_one_canonical_target_alone() {
    let desk = Desk::new(&two(), "");
    let book = desk.book().display().to_string();
    let port: u16 = desk.shop.rsplit(':').next().unwrap().parse().unwrap();
    for other in [
        format!("http://localhost:{port}"),
        format!("http://127.0.0.2:{port}"),
        format!("http://127.0.0.1:{}", port - 1),
        format!("http://[::1]:{port}"),
        format!("https://127.0.0.1:{port}"),
    ] {
        let shop = format!("shop={other}");
        let output = desk.command(&["run", &book, "--set", &shop]).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{other}: {}", text(&output));
        assert!(
            text(&output).contains("does not grant change `http` on"),
            "{other}: {}",
            text(&output)
        );
        assert_eq!(desk.posts(), 0, "{other}");
    }
    // Another way to write the granted one is the granted one.
    let shop = format!("shop=HTTP://127.0.0.1:{port}/a/../b");
    let output = desk.command(&["run", &book, "--set", &shop]).output().unwrap();
    assert!(!text(&output).contains("does not grant"), "{}", text(&output));
}

#[test]
fn a_policy_is_checked_tested_and_asked_from_the_command_line() {
    let desk = Desk::new(&two(), ON);
    desk.file("config/rules.cedar", POLICY);
    let login = starr::cli::login();
    let check = desk.output(&["policy", "check"]);
    assert!(
        check.status.success() && text(&check).contains("freeze"),
        "{}",
        text(&check)
    );
    let explain = desk.output(&[
        "policy",
        "explain",
        "change",
        "--target",
        "http http://shop:80",
        "--operation",
        "http.post",
        "--approver",
        OTHER,
        "--purpose",
        "undo",
    ]);
    assert_eq!(explain.status.code(), Some(0), "{}", text(&explain));
    let frozen = desk.output(&[
        "policy",
        "explain",
        "change",
        "--target",
        "http http://shop:80",
        "--operation",
        "http.post",
    ]);
    assert_eq!(frozen.status.code(), Some(3), "{}", text(&frozen));
    let said = text(&frozen);
    assert!(
        said.contains("`freeze` forbids it (the sale is on)") && said.contains("context.now is"),
        "{said}"
    );
    let nobody = desk.output(&[
        "policy",
        "explain",
        "run",
        "--person",
        "mallory",
        "--runbook",
        "slow_shop",
    ]);
    assert!(
        text(&nobody).contains("no policy permits mallory to run slow_shop"),
        "{}",
        text(&nobody)
    );

    let tests = desk.file(
        "tests.yaml",
        &format!(
            "tests:
  - {{ name: on call may run, act: run, person: {login}, environment: test, runbook: slow_shop, expect: permit, by: oncall-runs }}
  - {{ name: the sale, act: change, person: {login}, environment: test, target: http x, approvers: [nobody],
      at: 2026-11-20T10:00:00Z, expect: refuse, by: freeze }}
"
        ),
    );
    let tests = tests.display().to_string();
    let passed = desk.output(&["policy", "test", &tests]);
    assert_eq!(passed.status.code(), Some(0), "{}", text(&passed));
    assert!(text(&passed).contains("2 of 2 tests passed"), "{}", text(&passed));
    // The tests notice a policy that was loosened.
    let loose = POLICY.replace("forbid", "permit");
    let loose = desk.file("loose.cedar", &loose).display().to_string();
    let failed = desk.output(&["policy", "test", &tests, "--policy", &loose]);
    assert_eq!(failed.status.code(), Some(1), "{}", text(&failed));
    let schema = desk.output(&["policy", "schema"]);
    assert!(text(&schema).contains("action \"change\""), "{}", text(&schema));
}

#[test]
fn the_digest_of_the_policy_stands_in_the_first_entry() {
    let desk = Desk::new(&two(), ON);
    desk.file("config/rules.cedar", POLICY);
    let mut command = desk.run(&["--unattended"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    let checked: serde_json::Value =
        serde_json::from_slice(&desk.output(&["policy", "check", "--json"]).stdout).unwrap();
    let digest = hex::decode(checked["digest"].as_str().unwrap()).unwrap();
    let bytes = std::fs::read(desk.path().join("state/journal.db")).unwrap();
    let wal = std::fs::read(desk.path().join("state/journal.db-wal")).unwrap_or_default();
    let found = [bytes, wal]
        .iter()
        .any(|bytes| bytes.windows(digest.len()).any(|window| window == digest));
    assert!(found, "the digest {} is in no entry", hex::encode(digest));
}

/// The samples of docs/policy.md: the policy fits the schema, its tests pass, the explanation is the one that is printed.
#[test]
fn the_samples_of_the_page_are_true() {
    let page = include_str!("../../../docs/policy.md");
    let block = |mark: &str| {
        let rest = page.split(mark).nth(1).unwrap_or_else(|| panic!("no {mark}"));
        rest.split("```").next().unwrap().to_owned()
    };
    let desk = Desk::new(
        &people(&[("alice", "roles: [oncall]"), ("bob", "roles: [oncall]")]),
        "    policy: { files: [page.cedar], time_zone: Europe/Vienna }\n",
    );
    desk.file("config/page.cedar", &block("```cedar\n"));
    let config = std::fs::read_to_string(desk.config())
        .unwrap()
        .replace("  test:", "  production:");
    desk.configure(&config);
    let tests = desk
        .file("tests.yaml", &format!("tests:{}", block("```yml\ntests:")))
        .display()
        .to_string();
    let passed = desk.output(&["policy", "test", &tests]);
    assert_eq!(passed.status.code(), Some(0), "{}", text(&passed));
    let explained = desk.output(&[
        "policy",
        "explain",
        "change",
        "--person",
        "alice",
        "--target",
        "postgres orders",
        "--operation",
        "postgres.sessions.terminate",
        "--count",
        "60",
        "--approver",
        "bob",
        "--at",
        "2026-11-20T10:00:00Z",
    ]);
    assert_eq!(explained.status.code(), Some(3));
    assert_eq!(
        text(&explained).trim_end(),
        block("```\nrefused").trim_end().replacen("\n", "refused\n", 1)
    );
}
