//! `awsrt/alb-target-health` end to end: a security group keeps the load balancer out, two people let it in again or do not.

use super::{Moto, World, json, text, texts};
use crate::support::desk::{Desk, OTHER, on_a_thread};
use crate::support::terminal::Terminal;
use serde_json::{Value as Json, json as j};
use starr::provider::Outcome;
use starr::value::Value;
use std::time::Duration;

const KEY: (&str, &str) = ("AKIAEXAMPLE", "swordfish-4712");
const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/runbooks/awsrt/alb-target-health.starr");
const ADDRESS: &str = "10.0.0.5";

async fn made(world: &World, path: &str, args: &[(&str, Value)]) -> Json {
    match world.change(path, args).await {
        Outcome::Done(Value::Json(json)) => (*json).clone(),
        Outcome::Done(_) => Json::Null,
        other => panic!("{path}: {other:?}"),
    }
}

fn name(answer: &Json, pointer: &str) -> String {
    let found = answer.pointer(pointer).and_then(Json::as_str);
    found.unwrap_or_else(|| panic!("{pointer}: {answer}")).to_owned()
}

/// A balancer before one task, as the guide has it, but for the port that the tasks' group lets in.
struct Balanced {
    moto: Moto,
    world: World,
    targets: String,
    balancer: String,
    service: String,
    subnet: String,
}

impl Balanced {
    async fn new() -> Self {
        let moto = Moto::with_health();
        let world = moto.world(KEY.0, KEY.1);
        let vpc = made(&world, "ec2.create_vpc", &[("CidrBlock", text("10.0.0.0/16"))]).await;
        let vpc = text(&name(&vpc, "/Vpc/VpcId"));
        let mut subnets = Vec::new();
        for (block, zone) in [("10.0.0.0/24", "eu-west-1a"), ("10.0.1.0/24", "eu-west-1b")] {
            let args = [
                ("VpcId", vpc.clone()),
                ("CidrBlock", text(block)),
                ("AvailabilityZone", text(zone)),
            ];
            let subnet = made(&world, "ec2.create_subnet", &args).await;
            subnets.push(name(&subnet, "/Subnet/SubnetId"));
        }
        let mut groups = Vec::new();
        for group in ["balancer", "tasks"] {
            let args = [
                ("GroupName", text(group)),
                ("Description", text(group)),
                ("VpcId", vpc.clone()),
            ];
            groups.push(name(
                &made(&world, "ec2.create_security_group", &args).await,
                "/GroupId",
            ));
        }
        let [balancer, service] = groups.try_into().unwrap();
        let args = [
            ("Name", text("axon")),
            (
                "Subnets",
                texts(&subnets.iter().map(String::as_str).collect::<Vec<_>>()),
            ),
            ("SecurityGroups", texts(&[&balancer])),
        ];
        let front = made(&world, "elbv2.create_load_balancer", &args).await;
        let front = name(&front, "/LoadBalancers/0/LoadBalancerArn");
        let args = [
            ("Name", text("axon")),
            ("Protocol", text("HTTP")),
            ("Port", Value::Int(8080)),
            ("VpcId", vpc),
            ("TargetType", text("ip")),
            ("HealthCheckPath", text("/health")),
        ];
        let group = made(&world, "elbv2.create_target_group", &args).await;
        let targets = name(&group, "/TargetGroups/0/TargetGroupArn");
        let forward = j!([{"Type": "forward", "TargetGroupArn": targets}]);
        let args = [
            ("LoadBalancerArn", text(&front)),
            ("Protocol", text("HTTP")),
            ("Port", Value::Int(80)),
            ("DefaultActions", json(forward)),
        ];
        made(&world, "elbv2.create_listener", &args).await;
        let subnet = subnets.swap_remove(0);
        Self {
            moto,
            world,
            targets,
            balancer,
            service,
            subnet,
        }
    }

    /// A task with an address of its own, as Fargate gives one, and with it as a target.
    async fn task(&self) {
        let args = [
            ("SubnetId", text(&self.subnet)),
            ("PrivateIpAddress", text(ADDRESS)),
            ("Groups", texts(&[&self.service])),
        ];
        made(&self.world, "ec2.create_network_interface", &args).await;
        let target = j!([{"Id": ADDRESS, "Port": 8080}]);
        let args = [("TargetGroupArn", text(&self.targets)), ("Targets", json(target))];
        made(&self.world, "elbv2.register_targets", &args).await;
    }

    /// Lets the balancer into these ports of the tasks.
    async fn open(&self, from: i64, to: i64) {
        let rule = j!([{"IpProtocol": "tcp", "FromPort": from, "ToPort": to, "UserIdGroupPairs": [{"GroupId": self.balancer}]}]);
        let args = [("GroupId", text(&self.service)), ("IpPermissions", json(rule))];
        made(&self.world, "ec2.authorize_security_group_ingress", &args).await;
    }

    /// What is let into the tasks: protocol, first port, last port, group, address.
    async fn inward(&self) -> Vec<Json> {
        let filter = j!([{"Name": "group-id", "Values": [self.service]}]);
        let args = [("Filters", json(filter))];
        let rules = self.world.json("ec2.describe_security_group_rules", &args).await;
        let mut inward: Vec<Json> = rules["SecurityGroupRules"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|rule| rule["IsEgress"] == false)
            .map(|rule| {
                j!([
                    rule["IpProtocol"],
                    rule["FromPort"],
                    rule["ToPort"],
                    rule["ReferencedGroupInfo"]["GroupId"],
                    rule["CidrIpv4"]
                ])
            })
            .collect();
        inward.sort_by_key(Json::to_string);
        inward
    }

    async fn health(&self) -> Json {
        let args = [("TargetGroupArn", text(&self.targets))];
        let health = self.world.json("elbv2.describe_target_health", &args).await;
        health["TargetHealthDescriptions"][0]["TargetHealth"]["State"].clone()
    }

    /// A desk for two people: one on call, one of security.
    fn desk(&self, secrets: &std::path::Path) -> Desk {
        let here = format!("http://127.0.0.1:{}", self.moto.port);
        let desk = Desk::new(&format!(
            "      {OTHER}: {{ roles: [security] }}
    journal: journal.db
    aws: {{ accounts: {{ agent-runtime: {} }} }}
    http: {{ endpoints: {{ agent-runtime: {{ url: \"{here}\" }} }} }}
    grants:
      - {{ capability: aws,     effects: [read],   targets: [agent-runtime] }}
      - {{ capability: aws.ec2, effects: [change], targets: [agent-runtime] }}
      - {{ capability: http,    effects: [read],   targets: [\"{here}\"] }}
",
            self.moto.entry(secrets, KEY.0, KEY.1)
        ));
        desk.share();
        desk
    }

    fn words(&self) -> Vec<String> {
        let mut words = vec!["run".to_owned(), BOOK.to_owned()];
        for (name, value) in [
            ("targets", &self.targets),
            ("balancer_group", &self.balancer),
            ("service_group", &self.service),
            ("subnet", &self.subnet),
        ] {
            words.extend(["--set".to_owned(), format!("{name}={value}")]);
        }
        words
    }
}

/// The first types the name of the change; the second, at a terminal of his own, what is asked for here. What was on the first screen, and the code.
async fn run(balanced: &Balanced, desk: &Desk, says: &'static str) -> (String, i32) {
    let words = balanced.words();
    let command = desk.command(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let other = desk.other(&["approve"]);
    let title = format!(
        "Approval needed: Let {} into port 8080 of {}",
        balanced.balancer, balanced.service
    );
    on_a_thread(move || {
        let mut first = Terminal::start(command);
        first.wait_for(&title);
        first.wait_for("Approve?");
        first.answer("let_in");
        first.wait_for("as security");
        let mut second = Terminal::start(other);
        second.wait_for(&title);
        second.wait_for("Approve?");
        second.answer(says);
        if says == "no" {
            second.wait_for("Why not?");
            second.answer("it was closed on purpose");
        }
        assert_eq!(second.end(), 0, "{}", second.seen);
        first.wait_within("Who changed a security group", Duration::from_secs(150));
        first.wait_for("may be empty");
        first.answer("");
        let code = first.end();
        (first.seen, code)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_that_is_kept_out_is_let_in_through_one_narrow_door() {
    let balanced = Balanced::new().await;
    balanced.task().await;
    balanced.open(8081, 9000).await;
    assert_eq!(balanced.health().await, "unhealthy", "it is kept out of 8080");
    let secrets = tempfile::tempdir().unwrap();
    let desk = balanced.desk(secrets.path());
    let (seen, code) = run(&balanced, &desk, "let_in").await;
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("kept_out") && seen.contains("RESOLVED"), "{seen}");
    assert_eq!(balanced.health().await, "healthy");
    let group = &balanced.balancer;
    assert_eq!(
        balanced.inward().await,
        [
            j!(["tcp", 8080, 8080, group, null]),
            j!(["tcp", 8081, 9000, group, null])
        ],
        "one port, for what has the group of the balancer"
    );
    let (report, _) = desk.run(&["report", "latest"]);
    for words in ["kept_out", "let_in", "Target.Timeout", OTHER, "resolved"] {
        assert!(report.contains(words), "{words:?} is missing in\n{report}");
    }
    assert!(!(seen + &report).contains(KEY.1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_that_security_wants_out_stays_out() {
    let balanced = Balanced::new().await;
    balanced.task().await;
    balanced.open(8081, 9000).await;
    let before = balanced.inward().await;
    let secrets = tempfile::tempdir().unwrap();
    let desk = balanced.desk(secrets.path());
    let (seen, code) = run(&balanced, &desk, "no").await;
    assert!(code == 1 && seen.contains("ESCALATED"), "{code}: {seen}");
    assert_eq!(balanced.inward().await, before);
    assert_eq!(balanced.health().await, "unhealthy");
    let (report, _) = desk.run(&["report", "latest"]);
    assert!(
        report.contains("it was closed on purpose") && report.contains(OTHER),
        "{report}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_door_and_a_group_without_targets_change_nothing() {
    let balanced = Balanced::new().await;
    balanced.open(8080, 8080).await;
    let before = balanced.inward().await;
    let secrets = tempfile::tempdir().unwrap();
    let desk = balanced.desk(secrets.path());
    let mut words = balanced.words();
    words.push("--unattended".to_owned());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (seen, code) = desk.run(&words);
    assert!(
        code == Some(1) && seen.contains("nothing_there") && seen.contains("ESCALATED"),
        "{seen}"
    );
    // With a task the targets are well. The site does not answer as it should all the same: somebody else is needed.
    balanced.task().await;
    assert_eq!(balanced.health().await, "healthy");
    let (seen, code) = desk.run(&words);
    for words in [
        "unhealthy  no",
        "refuted: Nothing is registered",
        "group_closed  no",
        "ESCALATED",
    ] {
        assert!(seen.contains(words), "{words:?} is missing in\n{seen}");
    }
    assert_eq!(code, Some(1), "{seen}");
    assert_eq!(balanced.inward().await, before);
}
