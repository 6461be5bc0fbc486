use super::*;
use crate::check::{Checked, Context, Embedded, check};

const BOOK: &str = include_str!("../../tests/runbooks/pool.starr");

fn checked(text: &str) -> Checked {
    let context = Context {
        library: &Embedded,
        severities: Vec::new(),
        roles: None,
        today: None,
        matrix: None,
    };
    check("pool.starr", None, text.as_bytes().to_vec(), &context)
}

fn between(old: &str, new: &str) -> Vec<Difference> {
    let (old, new) = (checked(old), checked(new));
    let side = |checked: &'static Checked| Side {
        program: checked.program.as_ref(),
        findings: &checked.diagnostics,
    };
    diff("pool", &side(Box::leak(Box::new(old))), &side(Box::leak(Box::new(new))))
}

fn changed(from: &str, to: &str) -> Vec<Difference> {
    let new = BOOK.replacen(from, to, 1);
    assert_ne!(BOOK, new, "{from} is not in the runbook");
    between(BOOK, &new)
}

/// The only riskier class among the differences, with its text.
fn riskier(found: &[Difference]) -> Vec<(Class, String)> {
    found
        .iter()
        .filter(|difference| difference.direction == Direction::Riskier)
        .map(|difference| (difference.class, difference.text.clone()))
        .collect()
}

#[test]
fn the_same_text_has_no_differences_and_prose_is_none() {
    assert_eq!(between(BOOK, BOOK), []);
    assert_eq!(
        changed("> Every connection is taken", "> All connections are taken"),
        []
    );
}

#[test]
fn each_weakening_has_its_class_and_says_what() {
    for (from, to, class, words) in [
        (
            "refuse  above 50 sessions",
            "refuse  above 500 sessions",
            Class::TargetWidened,
            "500",
        ),
        (" seeing stuck.sessions", "", Class::ApprovalWeakened, "no longer sees"),
        (
            "approve by oncall within",
            "approve by oncall or lead within",
            Class::ApprovalWeakened,
            "oncall or lead",
        ),
        ("risk    medium", "risk    low", Class::RiskLowered, "medium"),
        (
            "timebox 10 min",
            "timebox 30 min",
            Class::TimeLonger,
            "the timebox is 30 min",
        ),
        (
            "within 1 min seeing",
            "within 5 min seeing",
            Class::TimeLonger,
            "the longest way",
        ),
    ] {
        let found = changed(from, to);
        assert!(
            riskier(&found)
                .iter()
                .any(|(known, text)| *known == class && text.contains(words)),
            "{from} -> {to}: {found:#?}"
        );
    }
}

#[test]
fn a_way_to_an_action_that_nobody_approves_is_named() {
    let found = changed(
        "when blocked {\n      escalate",
        "when blocked {\n      manual kill \"End whoever holds the lock\" within 5 min\n      escalate",
    );
    let way = found
        .iter()
        .find(|one| one.class == Class::PathWithoutApproval)
        .unwrap();
    assert_eq!(way.subject, "kill");
    assert!(way.text.contains("on locked"), "{}", way.text);
}

#[test]
fn fewer_filters_on_the_targets_are_wider_targets() {
    let body = BOOK.find("check stuck").unwrap();
    let at = BOOK[body..].find("      application: \"shop\",\n").unwrap() + body;
    let mut wider = BOOK.to_owned();
    wider.replace_range(at..at + "      application: \"shop\",\n".len(), "");
    let found = between(BOOK, &wider);
    assert!(
        riskier(&found)
            .iter()
            .any(|(class, text)| *class == Class::TargetWidened && text.contains("application")),
        "{found:#?}"
    );
    let back = between(&wider, BOOK);
    assert!(
        back.iter()
            .any(|one| one.class == Class::TargetNarrowed && one.direction == Direction::Safer),
        "{back:#?}"
    );
}

#[test]
fn an_effect_that_comes_or_goes_is_said_in_full() {
    let without = {
        let begin = BOOK.find("    cause abandoned").unwrap();
        let end = BOOK.find("    otherwise or cannot tell").unwrap();
        format!("{}{}", &BOOK[..begin], &BOOK[end..]).replace("  changes postgres.sessions\n", "")
    };
    let added = between(&without, BOOK);
    let effect = added.iter().find(|one| one.class == Class::EffectAdded).unwrap();
    assert!(effect.text.contains("postgres.sessions.terminate") && effect.text.contains("approval by oncall"));
    assert!(
        added
            .iter()
            .any(|one| one.class == Class::CauseAdded && one.subject == "abandoned")
    );
    assert!(
        added
            .iter()
            .any(|one| one.class == Class::GrantAdded && one.text.contains("postgres.sessions"))
    );
    let removed = between(BOOK, &without);
    assert!(
        removed
            .iter()
            .any(|one| one.class == Class::EffectRemoved && one.subject == "end_stuck")
    );
    assert!(removed.iter().any(|one| one.class == Class::CauseRemoved));
}

#[test]
fn a_cause_behind_one_that_always_holds_is_unreachable() {
    let found = changed("when stuck {", "when blocked and stuck {");
    assert!(
        found.iter().any(|one| one.class == Class::CauseUnreachable),
        "{found:#?}"
    );
}

#[test]
fn a_threshold_that_moves_is_for_a_person_to_judge() {
    let found = changed("yes when count > 5", "yes when count > 2");
    let one = found.iter().find(|one| one.class == Class::ConditionChanged).unwrap();
    assert_eq!((one.direction, one.subject.as_str()), (Direction::Judge, "stuck"));
    assert!(one.text.contains('2') && one.text.contains('5'));
}

#[test]
fn a_text_that_is_not_valid_is_compared_no_further() {
    let found = changed("runbook pool(", "runbook pool[");
    assert_eq!(found.last().unwrap().class, Class::Invalid);
    assert!(found.iter().all(|one| one.direction == Direction::Riskier));
}

/// Where nobody knows what it was, it does not look like no difference.
#[test]
fn a_text_that_was_not_valid_is_a_difference() {
    let idle = "runbook idle() \"Idle\" {\n  timebox 5 min then escalate\n}\n";
    let found = between(&idle.replace("runbook idle(", "runbook idle["), idle);
    assert!(
        found
            .iter()
            .any(|one| one.class == Class::InvalidBefore && one.text.contains("error")),
        "{found:#?}"
    );
    assert!(found.iter().all(|one| one.class != Class::Invalid));
}

#[test]
fn every_class_has_its_word() {
    for class in Class::ALL {
        assert_eq!(Class::from_word(class.word()), Some(*class));
    }
    assert_eq!(Class::from_word("none"), None);
}

#[test]
fn who_is_called_how_soon_and_how_bad_it_is_are_differences() {
    const BOOK: &str = r##"runbook a "A" {
  timebox 10 min then stop "x"
  reads   host
  tells   chat
  situation {
    symptom full "Is it full?" {
      read load = host.load()
      yes when load.cpus > 1000
    }
    severity {
      sev1 when full
      sev1 when cannot tell
      sev2 otherwise
    }
  }
  task {
    goal not full
  }
  result {
    resolved when goal
    escalation {
      sev1 -> chat.post("#inc", "the first") now, chat.post("#lead", "the second") after 6 min
    }
  }
}
"##;
    let classes = |from: &str, to: &str| -> Vec<(Class, String)> {
        let new = BOOK.replacen(from, to, 1);
        assert_ne!(new, BOOK, "{from}");
        let found = between(BOOK, &new).into_iter();
        found.map(|one| (one.class, one.text)).collect()
    };
    let later = "after 6 min";
    for (from, to, expected) in [
        (
            ", chat.post(\"#lead\", \"the second\") after 6 min",
            "",
            vec![(Class::FewerTold, "`chat.post(\"#lead\")` is no longer called")],
        ),
        (
            later,
            "after 7 min",
            vec![(
                Class::FewerTold,
                "`chat.post(\"#lead\")` is called after 7 min, was after 6 min",
            )],
        ),
        (
            later,
            "after 6 min unless acknowledged",
            vec![(
                Class::FewerTold,
                "`chat.post(\"#lead\")` is called after 6 min unless acknowledged, was after 6 min",
            )],
        ),
        (
            later,
            "now",
            vec![(
                Class::MoreTold,
                "`chat.post(\"#lead\")` is called at once, was after 6 min",
            )],
        ),
        // Nobody is reminded any more.
        (
            "now, chat.post(\"#lead\"",
            "now, chat.post(\"#inc\", \"again\") after 9 min, chat.post(\"#lead\"",
            vec![(Class::MoreTold, "`chat.post(\"#inc\")` is called again after 9 min")],
        ),
        // Another addressee is somebody more and somebody fewer; other words are nobody's affair.
        (
            "#lead",
            "#boss",
            vec![
                (Class::FewerTold, "`chat.post(\"#lead\")` is no longer called"),
                (Class::MoreTold, "`chat.post(\"#boss\")` is called after 6 min"),
            ],
        ),
        ("the second", "the other", vec![]),
        (
            "sev2 otherwise",
            "sev3 otherwise",
            vec![
                (Class::SeverityChanged, "it no longer counts otherwise"),
                (Class::SeverityChanged, "it now counts otherwise"),
            ],
        ),
        (
            "sev1 when full\n      sev1 when cannot tell",
            "sev1 when cannot tell\n      sev1 when full",
            vec![(
                Class::SeverityChanged,
                "its rows stand in another order, and the first that holds counts",
            )],
        ),
    ] {
        let expected: Vec<(Class, String)> = expected
            .into_iter()
            .map(|(class, text)| (class, text.to_owned()))
            .collect();
        assert_eq!(classes(from, to), expected, "{from} -> {to}");
    }
}
