use super::*;
use crate::render::sample;

fn everything() -> Plan {
    plan(&sample::everything(), RunbookId(0))
}

#[test]
fn the_digest_is_the_same_for_the_same_text_and_no_other() {
    let first = everything();
    assert_eq!(first, everything());
    assert_eq!(first.digest(), everything().digest());
    assert_eq!(first.digest().len(), 64);
    let text = include_str!("../render/testdata/everything.starr");
    for (written, changed) in [
        ("refuse  above 5 nodes", "refuse  above 6 nodes"),
        ("for 5 min", "for 6 min"),
        ("-> undo, next cause", "-> next cause"),
        ("seeing stale", ""),
    ] {
        assert!(text.contains(written));
        let other = plan(&sample::program(&text.replacen(written, changed, 1)), RunbookId(0));
        assert_ne!(first.digest(), other.digest(), "{written}");
    }
}

#[test]
fn effects_name_what_decides_about_them() {
    let plan = everything();
    let restart = &plan.effects[1];
    assert_eq!(restart.action, "restart");
    let approval = restart.approval.as_ref().unwrap();
    assert!(approval.all && approval.roles == ["oncall", "lead"] && approval.seeing == ["stale"]);
    assert_eq!(restart.refuse_above.as_deref(), Some("5 nodes"));
    assert_eq!(restart.calls[0].class, "U");
    assert_eq!(restart.calls[0].label, Label::Simulated);
    assert_eq!(
        plan.effects[0].calls[0].label,
        Label::Previewed,
        "the old value is read before"
    );
    assert_eq!(plan.effects[2].calls[0].label, Label::Unknowable, "done by hand");
    assert_eq!(restart.verify.as_ref().unwrap().label, Label::UnknownUntilApplied);
}

#[test]
fn every_outcome_of_an_action_is_a_way() {
    fn actions<'a>(steps: &'a [Step], found: &mut Vec<&'a Step>) {
        for step in steps {
            if step.kind == "action" {
                found.push(step);
            }
            for way in &step.ways {
                actions(&way.steps, found);
            }
        }
    }
    let plan = everything();
    let mut found = Vec::new();
    actions(&plan.steps, &mut found);
    assert_eq!(found.len(), 2);
    for action in found {
        let ways: Vec<&str> = action.ways.iter().map(|way| way.on.as_str()).collect();
        assert_eq!(ways, ["not needed", "not approved", "works", "fails", "unclear"]);
        let fails = action.ways[3].then.as_ref().unwrap();
        assert_eq!(fails.undo, action.name == "roll_back");
    }
    let branch = plan.steps.iter().find(|step| step.kind == "branch").unwrap();
    let ways: Vec<&str> = branch.ways.iter().map(|way| way.on.as_str()).collect();
    assert_eq!(
        ways,
        [
            "leak: `release` and not `complaints`",
            "hung: `complaints`, and not leak",
            "otherwise",
            "cannot tell"
        ]
    );
    let wait = plan.steps.iter().find(|step| step.kind == "wait").unwrap();
    assert_eq!(wait.label, Some(Label::UnknownUntilApplied), "it stands behind changes");
}

#[test]
fn the_longest_way_counts_every_deadline() {
    let longest = everything().longest;
    let part = |name: &str| longest.parts.iter().find(|(known, _)| known == name).unwrap().1;
    assert_eq!(part("approvals"), (15 + 10) * 60);
    assert_eq!(part("verification"), (10 + 5) * 60);
    assert_eq!(part("waiting"), 10 * 60);
    // A complaint, the ticket, and the order by hand.
    assert_eq!(part("people"), (15 + 15 + 20) * 60);
    assert_eq!(
        longest.seconds,
        longest.parts.iter().map(|(_, seconds)| seconds).sum::<u64>()
    );
    assert!(longest.beyond_timebox && longest.complete);
}

#[test]
fn needs_are_the_grants_to_give() {
    let needs: Vec<(&str, String)> = everything()
        .needs
        .iter()
        .map(|need| (need.effect, need.capability.clone()))
        .collect();
    let expected = [
        ("change", "deploy.nodes"),
        ("change", "deploy.release"),
        ("probe", "deploy"),
        ("read", "deploy"),
        ("read", "metrics"),
        ("tell", "chat"),
        ("tell", "pager"),
    ];
    assert_eq!(
        needs,
        expected.map(|(effect, capability)| (effect, capability.to_owned()))
    );
}
