//! A question to somebody who is not at the terminal of the run: answered at another one, told to whoever is here, or left.

use super::{Desk, OTHER, people, terminal, text};

/// A desk whose runbook asks a lead first. `more` stands in the lead's entry.
fn desk(more: &str) -> Desk {
    let lead = format!("roles: [lead]{more}");
    let desk = Desk::new(
        &people(&[(&starr::cli::login(), "roles: [oncall]"), (OTHER, &lead)]),
        "",
    );
    let book = super::BOOK.replace(
        "  action mend",
        "  check agreed \"Does the lead agree?\" observed by lead {\n    > The lead knows the owner.\n  }\n  require agreed else stop \"Nobody agreed\"\n  action mend",
    );
    std::fs::write(desk.book(), book).unwrap();
    desk
}

#[test]
fn the_lead_answers_at_another_terminal_and_the_run_goes_on() {
    let desk = desk("");
    let mut first = terminal(desk.run(&[]));
    first.wait_for("not here");
    first.wait_for("from another terminal: starr answer");
    first.wait_for("type told or pass:");
    // Nothing is to be approved, and whoever looks for that is told so.
    let approvals = text(&desk.output(&["approve"]));
    assert!(
        approvals.contains("nothing waits") && approvals.contains("starr answer"),
        "{approvals}"
    );
    let listed: serde_json::Value = serde_json::from_slice(&desk.output(&["answer", "--json"]).stdout).unwrap();
    assert_eq!(
        (&listed["waiting"][0]["name"], &listed["waiting"][0]["role"]),
        (&serde_json::json!("agreed"), &serde_json::json!("lead"))
    );
    // Whoever does not have the role sees the question, and is not asked.
    let mut own = terminal(desk.command(&["answer"]));
    own.wait_for("does not have the role lead");
    assert_eq!(own.end(), 3, "{}", own.seen);
    let mut lead = terminal(desk.other(&["answer"]));
    lead.wait_for("Does the lead agree?");
    lead.wait_for("The lead knows the owner.");
    lead.wait_for("agreed? Type yes, no or unknown:");
    lead.answer("perhaps");
    lead.wait_for("please type one of");
    lead.answer("yes");
    lead.wait_for("What did you see?");
    lead.answer("she wrote to me");
    assert_eq!(lead.end(), 0, "{}", lead.seen);
    assert!(lead.seen.contains("taken by the run"), "{}", lead.seen);
    first.approve("Mend the shop once");
    assert_eq!(first.end(), 0, "{}", first.seen);
    assert_eq!(desk.posts(), 1);
    let report = desk.report();
    assert!(report.contains("she wrote to me") && report.contains(OTHER), "{report}");
    assert!(text(&desk.output(&["answer"])).contains("no question waits"));
}

#[test]
fn what_was_told_is_written_down_with_the_name_of_whoever_wrote_it() {
    let desk = desk("");
    let mut first = terminal(desk.run(&[]));
    first.told("no", "on the telephone");
    assert_eq!(first.end(), 1, "{}", first.seen);
    assert!(first.seen.contains("Nobody agreed"), "{}", first.seen);
    let report = desk.report();
    assert!(report.contains("in the place of lead: on the telephone"), "{report}");
    assert!(text(&desk.output(&["answer"])).contains("no question waits"));
    assert_eq!(desk.posts(), 0);
}

#[test]
fn without_an_answer_nobody_has_agreed() {
    let desk = desk("");
    let mut first = terminal(desk.run(&[]));
    first.wait_for("type told or pass:");
    first.answer("pass");
    assert_eq!(first.end(), 1, "{}", first.seen);
    assert!(first.seen.contains("goes on without lead"), "{}", first.seen);
    assert_eq!(desk.posts(), 0);
}

/// Who can write the store can claim a login: whoever has a key signs, and what was signed is one answer alone.
#[test]
fn an_answer_of_somebody_with_a_key_must_be_signed() {
    let desk = desk("");
    let key = desk.path().join("state/key").display().to_string();
    let made = text(&desk.other(&["approve", "--new-key", &key]).output().unwrap());
    let entry = made.lines().find(|line| line.contains("ed25519:")).unwrap().trim();
    let config = std::fs::read_to_string(desk.config()).unwrap();
    desk.configure(&config.replace("roles: [lead]", &format!("roles: [lead], {entry}")));
    let mut first = terminal(desk.run(&[]));
    first.wait_for("type told or pass:");
    for (words, code) in [(&["answer"][..], 2), (&["answer", "--key", &key], 0)] {
        let mut lead = terminal(desk.other(words));
        lead.wait_for("Type yes, no or unknown:");
        lead.answer("yes");
        lead.wait_for("What did you see?");
        lead.answer("");
        assert_eq!(lead.end(), code, "{}", lead.seen);
        assert!(code == 0 || lead.seen.contains("must be signed"), "{}", lead.seen);
    }
    first.approve("Mend the shop once");
    assert_eq!(first.end(), 0, "{}", first.seen);
    assert!(text(&desk.output(&["show", "--json"])).contains("signature"));
}

#[test]
fn without_a_terminal_a_run_waits_for_whoever_is_asked() {
    let desk = desk("");
    let child = desk.without_a_terminal();
    desk.until_asked();
    let listed = desk.other(&["answer"]).output().unwrap();
    assert!(text(&listed).contains("Does the lead agree?"), "{}", text(&listed));
    let mut lead = terminal(desk.other(&["answer"]));
    lead.wait_for("Type yes, no or unknown:");
    lead.answer("unknown");
    lead.wait_for("What did you see?");
    lead.answer("");
    assert_eq!(lead.end(), 0, "{}", lead.seen);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("Nobody agreed"), "{}", text(&output));
}

#[test]
fn an_answer_beforehand_is_that_of_whoever_starts_the_run() {
    let desk = desk("");
    let refused = desk.run(&["--answer", "agreed=yes"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(text(&refused).contains("asked of lead"), "{}", text(&refused));
    let config = std::fs::read_to_string(desk.config()).unwrap();
    desk.configure(&config.replacen("roles: [oncall]", "roles: [oncall, lead]", 1));
    let mut first = terminal(desk.run(&["--answer", "agreed=yes"]));
    first.approve("Mend the shop once");
    assert_eq!(first.end(), 0, "{}", first.seen);
    assert!(desk.report().contains("given on the command line"), "{}", desk.report());
}
