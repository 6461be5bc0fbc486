//! Who consents to what: distinct people, policies, edited texts, overrides, and the one gate.

use super::{Setup, book, flag};
use starr::engine::consent::Emergency;
use starr::engine::world::{Consent, Texts};
use starr::provider::policy::{Asked, Policy, Refusal, Request};
use starr::value::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub fn text(approve: &str) -> String {
    let good = flag("good");
    // A change of high risk needs two people.
    let risk = if approve.contains(" and ") { "high" } else { "medium" };
    book(&format!(
        r##"{good}action wipe "Wipe it" {{
  risk    {risk}
  approve by {approve} within 5 min
  do      demo.parts.fix("x")
  undo    none because "it is gone"
  verify  good within 1 min every 30 s
  failed  -> escalate
}}
result {{
  escalation matrix
}}
"##
    ))
}

type Refuse = Box<dyn Fn(&Request) -> Option<&'static str> + Send + Sync>;

/// Refuses what its function refuses, and remembers what it was asked.
pub struct Judge {
    refuse: Refuse,
    pub asked: Mutex<Vec<Request>>,
    pub version: u8,
}

impl Judge {
    pub fn new(refuse: impl Fn(&Request) -> Option<&'static str> + Send + Sync + 'static) -> Arc<Self> {
        Self::of_version(7, refuse)
    }

    /// The same in another text, which has another digest.
    pub fn of_version(
        version: u8,
        refuse: impl Fn(&Request) -> Option<&'static str> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            refuse: Box::new(refuse),
            asked: Mutex::default(),
            version,
        })
    }

    fn words(&self) -> Vec<String> {
        self.asked
            .lock()
            .unwrap()
            .iter()
            .map(|request| format!("{} {}", request.person, request.asked.word()))
            .collect()
    }
}

impl Policy for Judge {
    fn digest(&self) -> [u8; 32] {
        [self.version; 32]
    }

    fn decide(&self, request: &Request) -> Result<(), Refusal> {
        self.asked.lock().unwrap().push(request.clone());
        match (self.refuse)(request) {
            None => Ok(()),
            Some(because) => Err(Refusal {
                by: vec!["judge".to_owned()],
                because: because.to_owned(),
            }),
        }
    }
}

fn identities(pairs: &[(&str, &str)]) -> Consent {
    Consent {
        identities: pairs
            .iter()
            .map(|(login, person)| ((*login).to_owned(), (*person).to_owned()))
            .collect(),
        ..Consent::default()
    }
}

/// A-PO-1: the operator of these runs is `olga`.
#[tokio::test]
async fn a_second_login_of_one_person_is_not_a_second_person() {
    let mut setup = Setup::new()
        .flag("good", true)
        .approves("wipe as oncall", "otto", 10)
        .approves("wipe as dba", "otto.admin", 10);
    setup.consent = identities(&[("otto.admin", "otto"), ("otto", "otto")]);
    let ran = setup.run(&text("oncall and dba")).await;
    assert_eq!(ran.sent(), Vec::<String>::new());
    assert_eq!(ran.outcome(), "refused");
    assert_eq!(ran.texts("approved", "role"), ["oncall"]);
    assert!(
        ran.texts("not_approved", "because")[0].contains("otto has approved already"),
        "{:?}",
        ran.of("not_approved")
    );
    assert_eq!(ran.of("not_counted").len(), 3, "every try is on the record");
}

#[tokio::test]
async fn the_requester_is_excluded_where_the_policy_says_so_also_by_alias() {
    for login in ["olga", "olga2"] {
        let judge = Judge::new(|request| match &request.asked {
            Asked::Approve { .. } if request.person == request.grounds.requester => Some("four eyes"),
            _ => None,
        });
        let mut setup = Setup::new().flag("good", true).approves("wipe", login, 10);
        setup.consent = identities(&[("olga2", "olga")]);
        setup.policy = Some(judge.clone());
        let ran = setup.run(&text("oncall or dba")).await;
        assert_eq!(ran.sent(), Vec::<String>::new(), "{login}");
        assert_eq!(ran.outcome(), "refused");
        assert_eq!(ran.texts("not_approved", "because"), ["four eyes"]);
        // The request says beforehand whose approval would not count.
        let requests = ran.crowd.requests.lock().unwrap();
        assert_eq!(requests[0].excludes("olga"), Some("four eyes"));
        assert_eq!(requests[0].excludes("otto"), None);
    }
}

#[tokio::test]
async fn a_decision_that_does_not_count_does_not_end_the_request() {
    let judge = Judge::new(|request| {
        (matches!(request.asked, Asked::Approve { .. }) && request.person == "olga").then_some("four eyes")
    });
    let mut setup = Setup::new().flag("good", true);
    let in_turn = |who: &str| (5, (who.to_owned(), starr::engine::world::Decision::Approve));
    setup
        .crowd
        .decisions
        .lock()
        .unwrap()
        .insert("wipe".to_owned(), vec![in_turn("olga"), in_turn("otto")]);
    setup.policy = Some(judge);
    let ran = setup.run(&text("oncall or dba")).await;
    assert_eq!(ran.texts("not_counted", "because"), ["four eyes"]);
    assert_eq!(ran.sent()[0], "fix x");
}

#[tokio::test]
async fn a_person_without_the_role_does_not_count() {
    let mut setup = Setup::new().flag("good", true).approves("wipe", "otto", 5);
    setup.consent.roles = Some(BTreeMap::from([("otto".to_owned(), vec!["guest".to_owned()])]));
    let ran = setup.run(&text("oncall or dba")).await;
    assert_eq!(ran.sent(), Vec::<String>::new());
    assert!(ran.texts("not_approved", "because")[0].contains("does not have the role"));
}

struct Edited(Mutex<usize>);

impl Texts for Edited {
    fn digest(&self, _name: &str) -> Result<Option<String>, String> {
        *self.0.lock().unwrap() += 1;
        Ok(Some("e".repeat(64)))
    }
}

/// A-TO-1
#[tokio::test]
async fn a_runbook_edited_between_approval_and_execution_voids_the_approval_with_both_digests() {
    let texts = Arc::new(Edited(Mutex::default()));
    let mut setup = Setup::new().flag("good", true).approves("wipe", "otto", 5);
    setup.consent.texts = Some(texts.clone());
    let ran = setup.run(&text("oncall or dba")).await;
    assert_eq!(ran.sent(), Vec::<String>::new());
    assert_eq!(ran.outcome(), "refused");
    let because = &ran.texts("not_approved", "because")[0];
    let started = ran.of("run_started");
    let approved = started[0]["digests"].as_object().unwrap().values().find_map(|digest| {
        let digest = digest.as_str().unwrap();
        because.contains(digest).then_some(digest)
    });
    assert!(approved.is_some(), "the approved digest is missing in {because}");
    assert!(
        because.contains(&"e".repeat(64)),
        "the present digest is missing in {because}"
    );
    assert!(because.starts_with("the approval is void"), "{because}");
    assert_eq!(*texts.0.lock().unwrap(), 1);
}

#[tokio::test]
async fn a_changed_argument_voids_the_approval_with_both_digests() {
    let good = flag("good");
    let book = book(&format!(
        r##"{good}check many "Many?" {{
  read number = demo.number("n")
  yes when number > 0
}}
action use "Use it" {{
  when    many
  risk    low
  approve by oncall within 5 min
  do      demo.parts.use(many.number)
  undo    demo.parts.fix("back")
  verify  good within 1 min every 30 s
  failed  -> undo, escalate
}}
result {{
  escalation matrix
}}
"##
    ));
    let ran = Setup::new()
        .flag("good", true)
        .given("number n", |past| Value::Int(if past.asked == 0 { 1 } else { 2 }))
        .run(&book)
        .await;
    assert_eq!(ran.sent(), Vec::<String>::new());
    let because = &ran.texts("not_approved", "because")[0];
    let digest = &ran.texts("approval_requested", "digest")[0];
    assert!(
        because.contains("changed from 1 to 2") && because.contains(digest.as_str()),
        "{because}"
    );
    let digests: Vec<&str> = because
        .split(|character: char| !character.is_ascii_hexdigit())
        .filter(|word| word.len() == 64)
        .collect();
    assert_eq!(digests.len(), 2, "{because}");
    assert_ne!(digests[0], digests[1]);
}

/// Equal requests have different digests: an approval is used once.
#[tokio::test]
async fn the_same_action_twice_is_two_requests() {
    let text = text("oncall or dba");
    let twice = text.replacen("result {", "action again \"Wipe it\" {\n  risk    medium\n  approve by oncall or dba within 5 min\n  do      demo.parts.fix(\"x\")\n  undo    none because \"it is gone\"\n  verify  good within 1 min every 30 s\n  failed  -> escalate\n}\nresult {", 1);
    let ran = Setup::new().flag("good", true).run(&twice).await;
    let digests = ran.texts("approval_requested", "digest");
    assert_eq!(digests.len(), 2, "{:?}", ran.outcome());
    assert_ne!(digests[0], digests[1]);
    let intents = ran.texts("intent", "approval");
    assert_eq!(
        &intents[..2],
        &digests[..],
        "each intent names the approval that covers it"
    );
}

#[tokio::test]
async fn the_policy_is_asked_at_the_start_at_each_approval_and_before_each_change() {
    let judge = Judge::new(|_| None);
    let mut setup = Setup::new()
        .flag("good", true)
        .approves("wipe as oncall", "otto", 5)
        .approves("wipe as dba", "dora", 5);
    setup.policy = Some(judge.clone());
    let ran = setup.run(&text("oncall and dba")).await;
    assert_eq!(ran.sent()[0], "fix x");
    let words = judge.words();
    assert_eq!(words[0], "olga run");
    for asked in ["otto approve", "dora approve", "olga change"] {
        assert!(words.contains(&asked.to_owned()), "{asked} is missing in {words:?}");
    }
    let asked = judge.asked.lock().unwrap();
    let change = asked.iter().rfind(|request| request.asked.word() == "change").unwrap();
    assert_eq!(change.grounds.approvers, ["otto", "dora"]);
    assert_eq!(change.grounds.risk, "high");
    let Asked::Change { target, operation, .. } = &change.asked else {
        unreachable!()
    };
    assert_eq!((operation.as_str(), target.name.as_str()), ("demo.parts.fix", "x"));
}

#[tokio::test]
async fn what_the_policy_refuses_is_not_sent_and_the_run_is_refused() {
    for act in ["run", "change"] {
        let judge = Judge::new(move |request| (request.asked.word() == act).then_some("frozen until Monday"));
        let mut setup = Setup::new().flag("good", true);
        setup.policy = Some(judge);
        let ran = setup.run(&text("oncall or dba")).await;
        assert_eq!(ran.sent(), Vec::<String>::new(), "{act}");
        assert_eq!(ran.of("intent").len(), 0, "{act}: nothing was even intended");
        assert_eq!(ran.outcome(), "refused", "{act}");
        let all = format!("{:?}", ran.events);
        assert!(all.contains("frozen until Monday"), "{act}: {all}");
        if act == "run" {
            assert_eq!(ran.asked(), Vec::<String>::new(), "nobody is bothered");
        }
    }
}

#[tokio::test]
async fn taking_back_is_asked_about_by_its_own_word() {
    let judge = Judge::new(|request| {
        (request.asked.word() == "change" && request.grounds.purpose == "undo").then_some("no undo here")
    });
    let good = flag("good");
    let book = book(&format!(
        "{good}action mend \"Mend it\" {{\n  risk    low\n  approve by oncall within 5 min\n  do      demo.parts.fix(\"x\")\n  undo    demo.parts.fix(\"un-x\")\n  verify  good within 1 min every 30 s\n  failed  -> undo, escalate\n}}\nresult {{\n  escalation matrix\n}}\n"
    ));
    let mut setup = Setup::new().flag("good", false);
    setup.policy = Some(judge);
    let ran = setup.run(&book).await;
    assert_eq!(ran.sent()[0], "fix x");
    assert!(!ran.sent().contains(&"fix un-x".to_owned()), "{:?}", ran.sent());
    assert_eq!(
        ran.in_place().len(),
        1,
        "what could not be taken back is listed: {:?}",
        ran.in_place()
    );
}

pub fn emergency() -> Consent {
    Consent {
        emergency: Some(Emergency {
            reason: "the shop is down".to_owned(),
            ticket: "INC-4711".to_owned(),
            lasts: Duration::from_secs(1800),
        }),
        ..Consent::default()
    }
}

pub fn freeze() -> Arc<Judge> {
    Judge::new(|request| (request.asked.word() == "change" && !request.grounds.emergency).then_some("frozen"))
}

#[tokio::test]
async fn an_override_needs_a_second_person_and_is_on_the_record() {
    let mut setup = Setup::new()
        .flag("good", true)
        .approves("emergency override", "sara", 60);
    setup.consent = emergency();
    setup.policy = Some(freeze());
    let ran = setup.run(&text("oncall or dba")).await;
    assert_eq!(ran.sent()[0], "fix x");
    let overridden = ran.of("overridden");
    assert_eq!(overridden.len(), 1);
    assert_eq!(overridden[0]["ticket"], "INC-4711");
    assert_eq!(overridden[0]["second"]["name"], "sara");
    assert_eq!(overridden[0]["digest"], ran.of("approval_requested")[0]["digest"]);

    for (who, outcome) in [("olga", "refused"), ("olga2", "refused")] {
        let mut setup = Setup::new().flag("good", true).approves("emergency override", who, 60);
        setup.consent = Consent {
            identities: identities(&[("olga2", "olga")]).identities,
            ..emergency()
        };
        setup.policy = Some(freeze());
        let ran = setup.run(&text("oncall or dba")).await;
        assert_eq!(ran.outcome(), outcome, "{who} asked for it");
        assert_eq!(ran.sent(), Vec::<String>::new());
        assert_eq!(ran.of("overridden").len(), 0);
    }
}

#[tokio::test]
async fn an_override_expires() {
    let mut setup = Setup::new()
        .flag("good", true)
        .approves("emergency override", "sara", 60)
        .approves("wipe", "otto", 240);
    setup.consent = emergency();
    if let Some(emergency) = &mut setup.consent.emergency {
        emergency.lasts = Duration::from_secs(120);
    }
    setup.policy = Some(freeze());
    let ran = setup.run(&text("oncall or dba")).await;
    assert_eq!(ran.sent(), Vec::<String>::new());
    assert_eq!(ran.outcome(), "refused");
    assert!(
        ran.texts("not_approved", "because")[0].contains("frozen"),
        "{:?}",
        ran.of("not_approved")
    );
}

/// P12: with no grant at all nothing reaches a provider, whatever part of the engine makes the call: checks, a symptom, the
/// read before a change, actions, undos, probes, tells of outcomes, the escalation.
#[tokio::test]
async fn without_a_grant_no_part_of_the_engine_reaches_a_provider() {
    let good = flag("good");
    let book = book(&format!(
        r##"{good}check alive "Does it answer?" {{
  read reply = demo.ping("x")
  yes when reply.ok
}}
action set "Set it" {{
  risk    low
  approve by oncall within 5 min
  do      demo.parts.set(5)
  undo    restore
  verify  good within 1 min every 30 s
  failed       -> undo, tell chat.post("#inc", "failed"), escalate
  not approved -> tell chat.post("#inc", "refused"), next step
}}
tell chat.post("#inc", "behind")
result {{
  escalation matrix
}}
"##
    ));
    let mut setup = Setup::new().flag("good", true);
    setup.grants = Vec::new();
    let ran = setup.run(&book).await;
    assert!(ran.ended.is_ok());
    assert_eq!(ran.sent(), Vec::<String>::new());
    assert_eq!(ran.backend.reads.lock().unwrap().len(), 0, "a read went past the gate");
    let told = ran.of("told");
    assert!(
        !told.is_empty() && told.iter().all(|told| told["ok"] == false),
        "{told:?}"
    );
}

/// P12: the places where the code calls a provider, counted. Whoever adds one has to put it behind the gate.
#[test]
fn every_call_of_a_provider_is_in_the_gate() {
    let mut places = BTreeMap::new();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut open = vec![root.clone()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let is_code = path.extension().is_some_and(|ending| ending == "rs");
            if !is_code || path.file_stem().unwrap().to_string_lossy().ends_with("tests") {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            let relative = path.strip_prefix(&root).unwrap().display().to_string();
            for call in [
                "provider.read(",
                "provider.change(",
                "provider.lock(",
                "inner.read(",
                "inner.change(",
                "inner.lock(",
                "gate.read(",
                "gate.read_noting(",
                "gate.change(",
                "gate.change_on(",
                "gate.lock(",
                "Permit {",
            ] {
                let found = code
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//") && line.contains(call))
                    .count();
                if found > 0 {
                    *places.entry(format!("{relative} {call}")).or_insert(0) += found;
                }
            }
        }
    }
    let expected: BTreeMap<String, usize> = [
        // The engine's two doors: reads (checks, symptoms, verify, the value before a change, probes) and what is sent
        // (actions, undos, tells, escalation); and the locks.
        ("engine/call.rs gate.read_noting(", 1),
        ("engine/send.rs gate.change_on(", 1),
        ("engine/locks.rs gate.lock(", 1),
        // The gate itself, the only one that makes a permit.
        ("provider/gate.rs provider.read(", 1),
        ("provider/gate.rs provider.change(", 1),
        ("provider/gate.rs provider.lock(", 1),
        ("provider/gate.rs Permit {", 1),
        ("provider/mod.rs Permit {", 1),
        // A recorder stands behind the gate, around one provider.
        ("provider/record.rs inner.read(", 1),
        ("provider/record.rs inner.change(", 1),
        ("provider/record.rs inner.lock(", 1),
        // So does what asks again, and leaves alone.
        ("provider/patience.rs inner.read(", 2),
        ("provider/patience.rs inner.change(", 1),
        ("provider/mod.rs inner.lock(", 1),
        // So does what holds a run to its plan.
        ("provider/bound.rs inner.read(", 1),
        ("provider/bound.rs inner.change(", 1),
    ]
    .into_iter()
    .map(|(place, count)| (place.to_owned(), count))
    .collect();
    assert_eq!(places, expected);
}
