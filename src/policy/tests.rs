use super::{Cases, DEFAULT, Rules, Text};
use crate::provider::policy::{Asked, Grounds, Policy, Request, Target};
use std::collections::BTreeMap;

const POLICY: &str = r#"
@id("oncall-runs")
permit (principal in Starr::Role::"oncall", action == Starr::Action::"run", resource in Starr::Environment::"production");

@id("approve-with-the-role")
permit (principal, action == Starr::Action::"approve", resource)
when { principal in context.roles };

@id("not-your-own")
@reason("four eyes")
forbid (principal, action == Starr::Action::"approve", resource)
when { context.requester == principal };

@id("change-orders")
permit (principal, action == Starr::Action::"change", resource == Starr::Target::"postgres:orders")
when { context.count <= 50 && context.approvers.containsAny([Starr::Person::"bob", Starr::Person::"alice"]) };

@id("weekend-freeze")
forbid (principal, action == Starr::Action::"change", resource)
when { ["Sat", "Sun"].contains(context.weekday) && context.purpose == "do" }
unless { context.emergency };

@id("leads-override")
permit (principal in Starr::Role::"lead", action == Starr::Action::"override", resource)
when { context.seconds <= 3600 };
"#;

fn rules(text: &str) -> Rules {
    try_rules(text).unwrap()
}

fn try_rules(text: &str) -> Result<Rules, Vec<String>> {
    let people = BTreeMap::from([
        ("alice".to_owned(), vec!["oncall".to_owned()]),
        (
            "bob".to_owned(),
            vec!["oncall".to_owned(), "dba".to_owned(), "lead".to_owned()],
        ),
        ("eve".to_owned(), vec![]),
    ]);
    let text = Text {
        name: "p.cedar".to_owned(),
        text: text.to_owned(),
    };
    Rules::new(&[text], people, jiff::tz::TimeZone::UTC)
}

fn grounds(at: &str) -> Grounds {
    Grounds {
        environment: "production".to_owned(),
        runbook: "unblock".to_owned(),
        requester: "alice".to_owned(),
        at: Some(at.parse().unwrap()),
        action: "end_stuck".to_owned(),
        risk: "low".to_owned(),
        purpose: "do".to_owned(),
        approvers: vec!["bob".to_owned()],
        ..Grounds::default()
    }
}

/// A Friday.
const FRIDAY: &str = "2026-11-20T10:00:00Z";
const SATURDAY: &str = "2026-11-21T10:00:00Z";

fn change(target: &str, count: u64, grounds: Grounds) -> Request {
    Request {
        person: "alice".to_owned(),
        grounds,
        asked: Asked::Change {
            operation: "postgres.sessions.terminate".to_owned(),
            capability: "postgres.sessions".to_owned(),
            class: "I".to_owned(),
            target: Target {
                provider: "postgres".to_owned(),
                name: target.to_owned(),
            },
            count,
        },
    }
}

fn approve(person: &str, requester: &str) -> Request {
    Request {
        person: person.to_owned(),
        grounds: Grounds {
            requester: requester.to_owned(),
            ..grounds(FRIDAY)
        },
        asked: Asked::Approve {
            roles: vec!["oncall".to_owned()],
            operations: vec!["postgres.sessions.terminate".to_owned()],
            targets: vec![],
            count: 3,
        },
    }
}

#[test]
fn what_no_policy_permits_is_refused_and_the_nearest_condition_is_named() {
    let rules = rules(POLICY);
    assert_eq!(rules.decide(&change("orders", 3, grounds(FRIDAY))), Ok(()));
    let many = rules.decide(&change("orders", 51, grounds(FRIDAY))).unwrap_err();
    assert_eq!(many.by, Vec::<String>::new());
    assert!(
        many.because
            .starts_with("no policy permits alice to change postgres orders"),
        "{}",
        many.because
    );
    assert!(many.because.contains("`change-orders` would"), "{}", many.because);
    assert!(many.because.contains("context.count is 51"), "{}", many.because);
    assert!(
        !many.because.contains("approvers is"),
        "only what fails: {}",
        many.because
    );
    let nobody = rules
        .decide(&change(
            "orders",
            3,
            Grounds {
                approvers: vec![],
                ..grounds(FRIDAY)
            },
        ))
        .unwrap_err();
    assert!(nobody.because.contains("context.approvers is []"), "{}", nobody.because);
}

#[test]
fn a_target_is_matched_exactly() {
    let rules = rules(POLICY);
    for other in [
        "orders-prod",
        "ORDERS",
        "orders/../billing",
        "order",
        "orders ",
        "",
        "postgres:orders",
        "оrders",
    ] {
        let refused = rules.decide(&change(other, 1, grounds(FRIDAY)));
        assert!(refused.is_err(), "{other:?} was permitted");
    }
}

#[test]
fn a_freeze_names_itself_and_what_it_looked_at_and_an_emergency_lifts_it() {
    let rules = rules(POLICY);
    let frozen = rules.decide(&change("orders", 1, grounds(SATURDAY))).unwrap_err();
    assert_eq!(frozen.by, ["weekend-freeze"]);
    assert!(
        frozen.because.contains("`weekend-freeze` forbids it"),
        "{}",
        frozen.because
    );
    assert!(
        frozen.because.contains("context.weekday is \"Sat\""),
        "{}",
        frozen.because
    );
    let undo = Grounds {
        purpose: "undo".to_owned(),
        ..grounds(SATURDAY)
    };
    assert_eq!(
        rules.decide(&change("orders", 1, undo)),
        Ok(()),
        "taking back is never frozen here"
    );
    let emergency = Grounds {
        emergency: true,
        ..grounds(SATURDAY)
    };
    assert_eq!(rules.decide(&change("orders", 1, emergency)), Ok(()));
}

#[test]
fn nobody_approves_what_he_asked_for() {
    let rules = rules(POLICY);
    assert_eq!(rules.decide(&approve("bob", "alice")), Ok(()));
    let own = rules.decide(&approve("alice", "alice")).unwrap_err();
    assert_eq!(own.by, ["not-your-own"]);
    assert!(
        own.because.contains("four eyes") && own.because.contains("context.requester is alice"),
        "{}",
        own.because
    );
    let without = rules.decide(&approve("eve", "alice")).unwrap_err();
    assert!(
        without.because.contains("no policy permits eve to approve unblock"),
        "{}",
        without.because
    );
}

#[test]
fn runs_and_overrides_are_asked_about_too() {
    let rules = rules(POLICY);
    let run = |person: &str, environment: &str| Request {
        person: person.to_owned(),
        grounds: Grounds {
            environment: environment.to_owned(),
            ..grounds(FRIDAY)
        },
        asked: Asked::Run {
            dry_run: false,
            unattended: false,
        },
    };
    assert_eq!(rules.decide(&run("alice", "production")), Ok(()));
    assert!(rules.decide(&run("alice", "staging")).is_err());
    assert!(rules.decide(&run("eve", "production")).is_err());
    assert!(
        rules.decide(&run("mallory", "production")).is_err(),
        "a person nobody knows"
    );
    let override_ = |person: &str, seconds: u64| Request {
        person: person.to_owned(),
        grounds: grounds(FRIDAY),
        asked: Asked::Override {
            reason: "the shop is down".to_owned(),
            ticket: "INC-1".to_owned(),
            second: "alice".to_owned(),
            seconds,
        },
    };
    assert_eq!(rules.decide(&override_("bob", 1800)), Ok(()));
    assert!(rules.decide(&override_("bob", 7200)).is_err());
    assert!(rules.decide(&override_("alice", 1800)).is_err());
}

#[test]
fn the_default_says_what_holds_without_a_policy() {
    let rules = rules(DEFAULT);
    assert_eq!(
        rules.names(),
        [
            "anybody-runs",
            "approve-with-the-role",
            "change-what-is-granted",
            "take-a-lock-over",
            "two-people-override"
        ]
    );
    assert_eq!(rules.decide(&approve("alice", "alice")), Ok(()), "a role is enough");
    assert!(rules.decide(&approve("eve", "alice")).is_err());
    assert_eq!(rules.decide(&change("anything", 1000, grounds(SATURDAY))), Ok(()));
}

#[test]
fn mistakes_are_found_before_anything_runs_and_have_a_place() {
    let wrong = |text: &str| try_rules(text).unwrap_err().join("\n");
    let syntax = wrong("permit (principal, action, resource)\nwhen { context.count < };");
    assert!(syntax.starts_with("p.cedar:2:"), "{syntax}");
    let attribute =
        wrong("permit (principal, action == Starr::Action::\"change\", resource) when { context.cuont < 5 };");
    assert!(attribute.contains("cuont"), "{attribute}");
    let kind =
        wrong("permit (principal, action == Starr::Action::\"change\", resource) when { context.count < \"5\" };");
    assert!(!kind.is_empty());
    let missing = wrong("permit (principal, action == Starr::Action::\"chnage\", resource);");
    assert!(missing.contains("chnage"), "{missing}");
    let template = wrong("permit (principal == ?principal, action, resource);");
    assert!(template.contains("templates"), "{template}");
    let twice =
        wrong("@id(\"a\") permit (principal, action, resource); @id(\"a\") forbid (principal, action, resource);");
    assert!(twice.contains("`a` already"), "{twice}");
}

#[test]
fn a_policy_without_text_refuses_everything_and_its_digest_is_its_own() {
    let empty = rules("");
    assert!(empty.decide(&change("orders", 1, grounds(FRIDAY))).is_err());
    assert_ne!(empty.digest(), rules(POLICY).digest());
    assert_eq!(rules(POLICY).digest(), rules(POLICY).digest());
    assert_ne!(rules(POLICY).digest(), rules(&format!("{POLICY} ")).digest());
}

#[test]
fn a_policy_that_cannot_be_evaluated_refuses() {
    // An overflow: the permit before it must not win.
    let text = "permit (principal, action, resource);
                forbid (principal, action == Starr::Action::\"change\", resource)
                when { context.count + 9223372036854775807 > 0 };";
    let refused = rules(text).decide(&change("orders", 1, grounds(FRIDAY))).unwrap_err();
    assert!(
        refused.because.contains("could not be evaluated"),
        "{}",
        refused.because
    );
}

#[test]
fn times_are_those_of_the_configured_zone() {
    let text = Text {
        name: "p".to_owned(),
        text: "permit (principal, action, resource) ; @id(\"night\") forbid (principal, action == Starr::Action::\"change\", resource)
               when { context.minute >= 1320 || context.now >= datetime(\"2027-01-01T00:00:00Z\") };"
            .to_owned(),
    };
    let vienna = Rules::new(
        std::slice::from_ref(&text),
        BTreeMap::new(),
        jiff::tz::TimeZone::fixed(jiff::tz::offset(1)),
    )
    .unwrap();
    let utc = Rules::new(&[text], BTreeMap::new(), jiff::tz::TimeZone::UTC).unwrap();
    let late = change("orders", 1, grounds("2026-11-20T21:30:00Z"));
    assert!(vienna.decide(&late).is_err(), "it is 22:30 there");
    assert_eq!(utc.decide(&late), Ok(()));
    assert!(
        utc.decide(&change("orders", 1, grounds("2027-01-02T10:00:00Z")))
            .is_err()
    );
}

#[test]
fn tests_of_a_policy_pass_and_fail() {
    let rules = rules(POLICY);
    let cases = Cases::parse(
        "tests:
  - { name: fine, act: change, person: alice, target: postgres orders, operation: postgres.sessions.terminate,
      approvers: [bob], at: 2026-11-20T10:00:00Z, expect: permit, by: change-orders }
  - { name: frozen, act: change, person: alice, target: postgres orders, operation: postgres.sessions.terminate,
      approvers: [bob], at: 2026-11-21T10:00:00Z, expect: refuse, by: weekend-freeze }
  - { name: wrong, act: change, person: alice, target: postgres orders, approvers: [bob], at: 2026-11-20T10:00:00Z }
  - { name: nobody, act: run, expect: refuse }
",
    )
    .unwrap();
    let wrong: Vec<Option<String>> = cases.run(&rules).into_iter().map(|outcome| outcome.wrong).collect();
    assert_eq!(wrong[0], None);
    assert_eq!(wrong[1], None);
    assert!(wrong[2].as_deref().unwrap().contains("it is permitted"), "{wrong:?}");
    assert!(
        wrong[3].as_deref().unwrap().contains("`person` is missing"),
        "{wrong:?}"
    );
    assert!(Cases::parse("tests: []").unwrap_err().contains("no tests"));
    assert!(Cases::parse("tests:\n  - { nmae: x }").unwrap_err().starts_with("2:"));
}
