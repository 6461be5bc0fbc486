//! Approvals from the first terminal, from another one, at the same instant, and without any connection.

use super::{Desk, OTHER, between, people, terminal, text, two};

const FOUR_EYES: &str = r#"
@id("run") permit (principal, action == Starr::Action::"run", resource);
@id("change") permit (principal, action == Starr::Action::"change", resource);
@id("approve") permit (principal, action == Starr::Action::"approve", resource) when { principal in context.roles };
@id("four-eyes")
@reason("somebody else approves")
forbid (principal, action == Starr::Action::"approve", resource) when { principal == context.requester };
"#;

#[test]
fn the_second_terminal_shows_what_the_first_one_shows_and_the_run_goes_on() {
    let desk = Desk::new(&two(), "");
    let mut first = terminal(desk.run(&[]));
    first.wait_for("Approve?");
    let waiting = desk.until_waiting(1);
    assert_eq!(waiting[0]["action"], "mend");
    assert_eq!(waiting[0]["requester"], starr::cli::login().as_str());
    let mut second = terminal(desk.other(&["approve"]));
    second.wait_for("Approve?");
    // Evidence beside decision, on both, to the letter.
    let on_first = between(
        &first.seen,
        "Approval needed: Mend the shop once",
        "from another terminal",
    );
    let on_second = between(&second.seen, "Approval needed: Mend the shop once", "asked by");
    assert_eq!(on_first, on_second);
    assert!(on_first.iter().any(|line| line.contains("digest")), "{on_first:?}");
    assert!(on_first.iter().any(|line| line.contains("http.post")), "{on_first:?}");
    second.answer("yes");
    assert_eq!(second.end(), 0, "{}", second.seen);
    assert!(second.seen.contains("taken by the run"), "{}", second.seen);
    assert_eq!(first.end(), 0, "{}", first.seen);
    assert_eq!(desk.posts(), 1);
    assert!(desk.report().contains(OTHER), "{}", desk.report());
    let verified = desk.output(&["journal", "verify"]);
    assert!(verified.status.success(), "{}", text(&verified));
    // Nothing waits any more, and a late decision finds nothing.
    assert!(text(&desk.output(&["approve"])).contains("nothing waits"));
}

/// What may take a service down is not approved by a reflex, whether it can be taken back or not, and not by one person.
#[test]
fn a_change_of_high_risk_is_approved_by_its_name_alone() {
    let desk = Desk::new(
        &people(&[(&starr::cli::login(), "roles: [oncall]"), (OTHER, "roles: [dba]")]),
        "",
    );
    let book = super::BOOK
        .replace("risk    medium", "risk    high")
        .replace("approve by oncall", "approve by oncall and dba")
        .replace(
            "undo    none because \"a coffee is gone\"",
            "undo    http.post(shop, body: {text: \"unmend\"}) within 10 s",
        );
    std::fs::write(desk.book(), book).unwrap();
    let mut first = terminal(desk.run(&[]));
    first.wait_for("Type `mend` to approve");
    first.answer("yes");
    first.wait_for("must be exactly one of the two");
    first.wait_for("Type `mend` to approve");
    first.answer("mend");
    desk.until_waiting(1);
    let mut second = terminal(desk.other(&["approve"]));
    second.wait_for("Type `mend` to approve");
    assert_eq!(desk.posts(), 0);
    second.answer("mend");
    assert_eq!(second.end(), 0, "{}", second.seen);
    assert_eq!(first.end(), 0, "{}", first.seen);
    assert_eq!(desk.posts(), 1);
}

#[test]
fn a_refusal_from_another_terminal_ends_as_refused() {
    let desk = Desk::new(&two(), "");
    let mut first = terminal(desk.run(&[]));
    first.wait_for("Approve?");
    let mut second = terminal(desk.other(&["approve"]));
    second.wait_for("Approve?");
    second.answer("no");
    second.wait_for("Why not?");
    second.answer("not during the sale");
    assert_eq!(second.end(), 0, "{}", second.seen);
    assert_eq!(first.end(), 3, "{}", first.seen);
    assert_eq!(desk.posts(), 0);
    assert!(desk.report().contains("not during the sale"), "{}", desk.report());
}

/// A-CO-1: both have the request before their eyes when they press return.
#[test]
fn two_approvals_in_the_same_instant_are_one_decision_and_one_change() {
    let desk = Desk::new(&two(), "");
    let mut first = terminal(desk.run(&["--approve-elsewhere"]));
    first.wait_for("Approve?");
    let (mut one, mut other) = (terminal(desk.command(&["approve"])), terminal(desk.other(&["approve"])));
    one.wait_for("Approve?");
    other.wait_for("Approve?");
    one.answer("yes");
    other.answer("yes");
    let mut codes = [one.end(), other.end()];
    codes.sort_unstable();
    assert_eq!(codes, [0, 3], "{}\n---\n{}", one.seen, other.seen);
    let told = [&one.seen, &other.seen]
        .iter()
        .filter(|seen| {
            seen.contains("approved it already; this decision was not recorded") || seen.contains("no longer waits")
        })
        .count();
    assert_eq!(told, 1, "{}\n---\n{}", one.seen, other.seen);
    assert_eq!(first.end(), 0, "{}", first.seen);
    assert_eq!(desk.posts(), 1, "sent once");
}

/// A-PO-1, at the first terminal, at another one, and by a second login of the same person.
#[test]
fn nobody_approves_what_he_asked_for_under_a_four_eyes_policy() {
    let login = starr::cli::login();
    for alias in [false, true] {
        let who = if alias {
            // The other login is the same person.
            people(&[(&login, &format!("roles: [oncall], logins: [{OTHER}]"))])
        } else {
            two()
        };
        let desk = Desk::new(&who, "    policy: { files: [four-eyes.cedar] }\n");
        desk.file("config/four-eyes.cedar", FOUR_EYES);
        let mut first = terminal(desk.run(&[]));
        first.wait_for("not here:");
        first.wait_for("Waiting for the other person");
        first.answer("yes");
        first.wait_for("nothing was sent");
        let own = if alias {
            desk.other(&["approve"])
        } else {
            desk.command(&["approve"])
        };
        let mut second = terminal(own);
        assert_eq!(second.end(), 3, "{}", second.seen);
        assert!(second.seen.contains("four-eyes"), "{}", second.seen);
        assert_eq!(desk.posts(), 0);
        if alias {
            first.answer("no");
            first.wait_for("Why not?");
            first.answer("");
            assert_eq!(first.end(), 3, "{}", first.seen);
        } else {
            let mut second = terminal(desk.other(&["approve"]));
            second.wait_for("Approve?");
            second.answer("yes");
            assert_eq!(second.end(), 0, "{}", second.seen);
            assert_eq!(first.end(), 0, "{}", first.seen);
            assert_eq!(desk.posts(), 1);
        }
    }
}

/// A-TO-1
#[test]
fn a_runbook_edited_while_the_approval_waits_is_not_executed() {
    let desk = Desk::new(&two(), "");
    let mut first = terminal(desk.run(&[]));
    first.wait_for("Approve?");
    let edited = super::BOOK.replace("It costs a coffee.", "It costs nothing at all.");
    std::fs::write(desk.book(), edited).unwrap();
    let mut second = terminal(desk.other(&["approve"]));
    second.wait_for("Approve?");
    second.answer("yes");
    assert_eq!(second.end(), 0, "{}", second.seen);
    assert_eq!(first.end(), 3, "{}", first.seen);
    assert_eq!(desk.posts(), 0);
    let report = desk.report();
    assert!(
        report.contains("the approval is void") && report.contains("was edited"),
        "{report}"
    );
    let digests: std::collections::BTreeSet<&str> = report
        .split("the approval is void")
        .nth(1)
        .unwrap()
        .split(|character: char| !character.is_ascii_hexdigit())
        .filter(|word| word.len() == 64)
        .take(2)
        .collect();
    assert_eq!(digests.len(), 2, "both digests are shown:\n{report}");
}

/// The second person has another machine: no journal, no network, only a configuration and a key.
#[test]
fn four_eyes_without_any_connection() {
    let login = starr::cli::login();
    for code in [false, true] {
        let desk = Desk::new(&two(), "");
        let key = desk.path().join("bob.key").display().to_string();
        let mut words = vec!["approve", "--new-key", &key];
        if code {
            words.push("--code");
        }
        let made = desk.output(&words);
        assert!(made.status.success(), "{}", text(&made));
        let entry = if code {
            format!("code: {{ file: {key} }}")
        } else {
            let said = text(&made);
            said.lines()
                .find(|line| line.contains("ed25519:"))
                .unwrap()
                .trim()
                .to_owned()
        };
        let config = std::fs::read_to_string(desk.config()).unwrap();
        let who = people(&[
            (&login, "roles: [oncall]"),
            ("bob", &format!("roles: [oncall], {entry}")),
        ]);
        desk.configure(&config.replace(&two(), &who));

        let mut first = terminal(desk.run(&[]));
        first.wait_for("starr approve --challenge ");
        first.wait_for("Approve?");
        let challenge = first
            .seen
            .split("--challenge ")
            .nth(1)
            .unwrap()
            .split_whitespace()
            .next()
            .unwrap()
            .to_owned();
        assert_eq!(challenge.len(), 21, "{challenge}");
        // A slip of the tongue costs no try; a wrong answer does.
        let mut away = terminal(desk.command(&["approve", "--challenge", &challenge, "--as", "bob", "--key", &key]));
        away.wait_for("Type yes or no");
        away.answer("yes");
        assert_eq!(away.end(), 0, "{}", away.seen);
        let answer = away
            .seen
            .lines()
            .find_map(|line| line.trim().strip_prefix("bob "))
            .unwrap_or_else(|| panic!("no answer in {}", away.seen))
            .to_owned();
        first.answer(&format!("{login} {answer}"));
        first.wait_for("is not taken");
        // What is typed before a question is shown does not count.
        first.wait_for("Approve?");
        first.answer(&format!("bob {answer}"));
        assert_eq!(first.end(), 0, "{}", first.seen);
        assert_eq!(desk.posts(), 1);
        let json = text(&desk.output(&["show", "--json"]));
        let how = if code { "code without a connection" } else { "signature" };
        assert!(json.contains(how), "{json}");
    }
}

#[test]
fn after_three_wrong_answers_a_request_takes_no_further_one() {
    let login = starr::cli::login();
    let desk = Desk::new(&two(), "");
    let (right, wrong) = (
        desk.path().join("right").display().to_string(),
        desk.path().join("wrong").display().to_string(),
    );
    for key in [&right, &wrong] {
        assert!(desk.output(&["approve", "--new-key", key, "--code"]).status.success());
    }
    let config = std::fs::read_to_string(desk.config()).unwrap();
    let entry = format!("roles: [oncall], code: {{ file: {right} }}");
    desk.configure(&config.replace(&two(), &people(&[(&login, "roles: [oncall]"), ("bob", &entry)])));
    let mut first = terminal(desk.run(&[]));
    first.wait_for("starr approve --challenge ");
    first.wait_for("Approve?");
    let challenge = first
        .seen
        .split("--challenge ")
        .nth(1)
        .unwrap()
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();
    let answer = |key: &str| {
        let mut away = terminal(desk.command(&["approve", "--challenge", &challenge, "--as", "bob", "--key", key]));
        away.wait_for("Type yes or no");
        away.answer("yes");
        assert_eq!(away.end(), 0, "{}", away.seen);
        away.seen
            .lines()
            .find_map(|line| line.trim().strip_prefix("bob ").map(str::to_owned))
            .unwrap()
    };
    let (good, bad) = (answer(&right), answer(&wrong));
    for number in 1..=3 {
        first.answer(&format!("bob {bad}"));
        first.wait_for(&format!("wrong answer {number} of 3"));
        first.wait_for("Approve?");
    }
    first.answer(&format!("bob {good}"));
    first.wait_for("takes no further one");
    first.wait_for("Approve?");
    assert_eq!(desk.posts(), 0);
    first.answer("no");
    first.wait_for("Why not?");
    first.answer("");
    assert_eq!(first.end(), 3, "{}", first.seen);
}

/// Whoever has a key in the configuration must sign from another terminal: a login alone is not believed.
#[test]
fn an_approval_of_somebody_with_a_key_must_be_signed() {
    let login = starr::cli::login();
    let desk = Desk::new(&two(), "");
    let key = desk.path().join("state/key").display().to_string();
    let made = desk.other(&["approve", "--new-key", &key]).output().unwrap();
    assert!(made.status.success(), "{}", text(&made));
    let said = text(&made);
    let entry = said.lines().find(|line| line.contains("ed25519:")).unwrap().trim();
    let config = std::fs::read_to_string(desk.config()).unwrap();
    let who = people(&[
        (&login, "roles: [oncall]"),
        (OTHER, &format!("roles: [oncall], {entry}")),
    ]);
    desk.configure(&config.replace(&two(), &who));
    let mut first = terminal(desk.run(&[]));
    first.wait_for("Approve?");
    let mut without = terminal(desk.other(&["approve"]));
    without.wait_for("Approve?");
    without.answer("yes");
    assert_eq!(without.end(), 2, "{}", without.seen);
    assert!(without.seen.contains("must be signed"), "{}", without.seen);
    let mut with = terminal(desk.other(&["approve", "--key", &key]));
    with.wait_for("Approve?");
    with.answer("yes");
    assert_eq!(with.end(), 0, "{}", with.seen);
    assert_eq!(first.end(), 0, "{}", first.seen);
    assert_eq!(desk.posts(), 1);
    assert!(text(&desk.output(&["show", "--json"])).contains("signature"));
}

#[test]
fn without_a_terminal_a_run_can_wait_for_another_one() {
    let desk = Desk::new(&two(), "");
    let child = desk.without_a_terminal();
    desk.until_waiting(1);
    // Without a terminal `starr approve` only lists.
    let listed = desk.other(&["approve"]).output().unwrap();
    assert!(text(&listed).contains("Mend the shop once"), "{}", text(&listed));
    let mut second = terminal(desk.other(&["approve"]));
    second.wait_for("Approve?");
    second.answer("yes");
    assert_eq!(second.end(), 0, "{}", second.seen);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(desk.posts(), 1);
}
