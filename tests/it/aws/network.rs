//! Who may reach what, what calls a function, what a task is made of: typed looks and their change, against the emulator.

use super::{Moto, World, done, json, text, texts};
use crate::support::desk::{Desk, on_a_thread};
use crate::support::terminal::Terminal;
use serde_json::json as j;
use starr::provider::Outcome;
use starr::value::{Reason, Value};

fn field<'a>(value: &'a Value, name: &str) -> &'a Value {
    let record = value.as_record().unwrap_or_else(|| panic!("{value:?}"));
    record.get(name).unwrap_or_else(|| panic!("`{name}` in {value:?}"))
}

fn items(value: &Value) -> &[Value] {
    &value.as_list().unwrap_or_else(|| panic!("{value:?}")).items
}

/// What a rule lets through: the protocol, its ports, its type and code.
fn reach(rule: &Value) -> [Value; 5] {
    ["protocol", "from", "to", "icmp_type", "icmp_code"].map(|name| field(rule, name).clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_acls_and_flow_logs() {
    let moto = Moto::start(1_000_000);
    let world = moto.world("AKIAEXAMPLE", "any");
    let made = done(&world, "ec2.create_vpc", &[("CidrBlock", text("10.0.0.0/16"))]).await;
    let vpc = made["Vpc"]["VpcId"].as_str().unwrap().to_owned();
    let args = [("VpcId", text(&vpc)), ("CidrBlock", text("10.0.1.0/24"))];
    let made = done(&world, "ec2.create_subnet", &args).await;
    let subnet = made["Subnet"]["SubnetId"].as_str().unwrap().to_owned();
    let args = [
        ("GroupName", text("tasks")),
        ("Description", text("d")),
        ("VpcId", text(&vpc)),
    ];
    let made = done(&world, "ec2.create_security_group", &args).await;
    let group = made["GroupId"].as_str().unwrap().to_owned();
    let permissions = json(j!([
        {"IpProtocol": "tcp", "FromPort": 8080, "ToPort": 8081, "IpRanges": [{"CidrIp": "10.0.0.0/16", "Description": "balancer"}]},
        {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "UserIdGroupPairs": [{"GroupId": group}]},
        {"IpProtocol": "icmp", "FromPort": 8, "ToPort": -1, "IpRanges": [{"CidrIp": "10.0.0.0/16"}]},
    ]));
    let args = [("GroupId", text(&group)), ("IpPermissions", permissions)];
    done(&world, "ec2.authorize_security_group_ingress", &args).await;

    let rules = world.read("groups.rules", &[("group", text(&group))]).await;
    let seen: Vec<String> = items(&rules)
        .iter()
        .map(|rule| {
            ["inbound", "protocol", "from", "to", "other", "description"]
                .map(|name| format!("{:?}", field(rule, name)))
                .join(" ")
        })
        .collect();
    assert_eq!(items(&rules).len(), 4, "{seen:#?}");
    assert!(
        seen[0].contains("Bool(true)") && seen[0].contains("8081") && seen[0].contains("balancer"),
        "{seen:#?}"
    );
    assert!(seen[1].contains(&group), "{seen:#?}");
    assert_eq!(
        reach(&items(&rules)[0]),
        [
            text("tcp"),
            Value::Int(8080),
            Value::Int(8081),
            Value::None,
            Value::None
        ]
    );
    assert_eq!(
        reach(&items(&rules)[2]),
        [text("icmp"), Value::None, Value::None, Value::Int(8), Value::Int(-1)],
        "a type and a code are no ports"
    );
    assert_eq!(field(&items(&rules)[3], "inbound"), &Value::Bool(false));
    assert_eq!(
        field(&items(&rules)[3], "protocol"),
        &text("all"),
        "what leaves is free at first"
    );
    let none = world.read("groups.rules", &[("group", text("sg-00000000"))]).await;
    assert_eq!(none.as_unknown().unwrap().reason, Reason::Missing, "{none:?}");

    let entries = world.read("acls.entries", &[("subnet", text(&subnet))]).await;
    let order: Vec<(&Value, &Value, &Value)> = items(&entries)
        .iter()
        .map(|entry| (field(entry, "inbound"), field(entry, "number"), field(entry, "allow")))
        .collect();
    let (yes, no) = (&Value::Bool(true), &Value::Bool(false));
    let (first, last) = (&Value::Int(100), &Value::Int(32767));
    assert_eq!(
        order,
        [(yes, first, yes), (yes, last, no), (no, first, yes), (no, last, no)]
    );
    let acl = field(&items(&entries)[0], "acl").clone();
    for (number, protocol, more) in [
        (10, "6", ("PortRange", j!({"From": 443, "To": 444}))),
        (11, "17", ("PortRange", j!({"From": 53, "To": 53}))),
        (12, "1", ("IcmpTypeCode", j!({"Type": 3, "Code": -1}))),
        (13, "58", ("IcmpTypeCode", j!({"Type": -1, "Code": -1}))),
        (14, "50", ("PortRange", j!({"From": 0, "To": 65535}))),
    ] {
        let args = [
            ("NetworkAclId", acl.clone()),
            ("RuleNumber", Value::Int(number)),
            ("Protocol", text(protocol)),
            ("RuleAction", text("allow")),
            ("Egress", Value::Bool(false)),
            ("CidrBlock", text("10.0.0.0/16")),
            (more.0, json(more.1)),
        ];
        done(&world, "ec2.create_network_acl_entry", &args).await;
    }
    let entries = world.read("acls.entries", &[("subnet", text(&subnet))]).await;
    let seen: Vec<[Value; 5]> = items(&entries)[..6].iter().map(reach).collect();
    let (int, none) = (Value::Int, || Value::None);
    assert_eq!(seen[0], [text("tcp"), int(443), int(444), none(), none()]);
    assert_eq!(seen[1], [text("udp"), int(53), int(53), none(), none()]);
    // The emulator loses types and codes of entries: no answer has them.
    assert_eq!((&seen[2][0], &seen[3][0]), (&text("icmp"), &text("icmpv6")), "{seen:?}");
    assert_eq!((&seen[4][0], &seen[5][0]), (&text("50"), &text("all")));
    let none = world.read("acls.entries", &[("subnet", text("subnet-0"))]).await;
    assert_eq!(none.as_unknown().unwrap().reason, Reason::Missing, "{none:?}");

    let resource = [("resource", text(&vpc))];
    assert_eq!(items(&world.read("flow_logs.list", &resource).await).len(), 0);
    done(
        &world,
        "s3.create_bucket",
        &[
            ("Bucket", text("flows")),
            (
                "CreateBucketConfiguration",
                json(j!({"LocationConstraint": "eu-west-1"})),
            ),
        ],
    )
    .await;
    let args = [
        ("ResourceIds", texts(&[&vpc])),
        ("ResourceType", text("VPC")),
        ("TrafficType", text("REJECT")),
        ("LogDestinationType", text("s3")),
        ("LogDestination", text("arn:aws:s3:::flows")),
    ];
    done(&world, "ec2.create_flow_logs", &args).await;
    let logs = world.read("flow_logs.list", &resource).await;
    let one = &items(&logs)[0];
    assert_eq!(
        (field(one, "status"), field(one, "traffic"), field(one, "destination")),
        (&text("ACTIVE"), &text("REJECT"), &text("arn:aws:s3:::flows")),
        "{logs:?}"
    );
    let me = world.read("identity.get", &[]).await;
    assert_eq!(field(&me, "number"), &text("123456789012"));
}

/// A function `govern` that is called with what comes into a queue, whose name is given back.
async fn triggered(world: &World) -> String {
    let trust = j!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]});
    let args = [
        ("RoleName", text("govern")),
        ("AssumeRolePolicyDocument", text(&trust.to_string())),
    ];
    let role = done(world, "iam.create_role", &args).await;
    let args = [
        ("FunctionName", text("govern")),
        ("Runtime", text("python3.12")),
        ("Role", text(role["Role"]["Arn"].as_str().unwrap())),
        ("Handler", text("a.b")),
        ("Code", json(j!({"ZipFile": "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA=="}))),
    ];
    done(world, "lambda.create_function", &args).await;
    let queue = done(world, "sqs.create_queue", &[("QueueName", text("decisions"))]).await;
    let url = text(queue["QueueUrl"].as_str().unwrap());
    let attributes = world
        .json(
            "sqs.get_queue_attributes",
            &[("QueueUrl", url), ("AttributeNames", texts(&["QueueArn"]))],
        )
        .await;
    let arn = attributes["Attributes"]["QueueArn"].as_str().unwrap().to_owned();
    let args = [
        ("FunctionName", text("govern")),
        ("EventSourceArn", text(&arn)),
        ("BatchSize", Value::Int(5)),
    ];
    done(world, "lambda.create_event_source_mapping", &args).await;
    arn
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_is_switched_off_and_on_again() {
    let moto = Moto::start(1_000_000);
    let world = moto.world("AKIAEXAMPLE", "any");
    let arn = triggered(&world).await;
    let triggers = world.read("triggers.list", &[("function", text("govern"))]).await;
    let trigger = items(&triggers)[0].clone();
    assert_eq!(
        (
            field(&trigger, "enabled"),
            field(&trigger, "source"),
            field(&trigger, "batch")
        ),
        (&Value::Bool(true), &text(&arn), &Value::Int(5)),
        "{trigger:?}"
    );
    for to in [false, true] {
        let set = world
            .change(
                "triggers.set_enabled",
                &[("trigger", trigger.clone()), ("to", Value::Bool(to))],
            )
            .await;
        assert!(
            matches!(&set, Outcome::Done(now) if field(now, "enabled") == &Value::Bool(to)),
            "{set:?}"
        );
        let id = [("id", field(&trigger, "id").clone())];
        assert_eq!(
            field(&world.read("triggers.get", &id).await, "enabled"),
            &Value::Bool(to)
        );
    }
    let none = world.read("triggers.get", &[("id", text("no-such"))]).await;
    assert_eq!(none.as_unknown().unwrap().reason, Reason::Missing, "{none:?}");
}

const PAUSE: &str = r#"use std.aws.{Account}

runbook pause(account: Account = "prod") "Decisions are stopped while they are looked at" {
  owner    "team-platform"
  status   production
  reviewed 2026-11-01 valid 90 d
  timebox  30 min then escalate
  reads    aws
  changes  aws.triggers

  read all   = aws.triggers.list(account, function: "govern") within 20 s
  let  first = all.first
  check calm "Is it calm?" {
    read now_is = aws.triggers.get(account, id: first.id) within 20 s
    # What would be calm never comes.
    yes when (now_is.batch default 0) > 1000
  }

  action stop_it "Switch the trigger off" {
    risk    low
    approve by oncall within 5 min seeing first
    do      aws.triggers.set_enabled(first, to: false) within 1 min
    undo    restore
    verify  calm within 2 s every 1 s
    failed  -> undo, escalate
  }

  result {
    resolved when calm
  }

  reflection {
    prevent "Let them be stopped one by one" by "team-platform" in 14 d
    ask     "Who was waiting?"
  }
}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_was_switched_off_in_vain_is_switched_on_again() {
    let moto = Moto::start(1_000_000);
    let world = moto.world("AKIAEXAMPLE", "swordfish-4711");
    triggered(&world).await;
    let secrets = tempfile::tempdir().unwrap();
    let desk = Desk::new(&format!(
        "    aws: {{ accounts: {{ prod: {} }} }}
    grants: [{{ capability: aws, effects: [read, change], targets: [prod] }}]
",
        moto.entry(secrets.path(), "AKIAEXAMPLE", "swordfish-4711")
    ));
    std::fs::write(desk.path().join("pause.starr"), PAUSE).unwrap();
    let command = desk.command(&["run", "pause.starr"]);
    let screen = on_a_thread(move || {
        let mut terminal = Terminal::start(command);
        terminal.wait_for("Approve?");
        terminal.answer("yes");
        terminal.pass("Who was waiting?");
        assert_ne!(terminal.end(), 0, "{}", terminal.seen);
        terminal.seen
    })
    .await;
    assert!(screen.contains("taken back"), "{screen}");
    let triggers = world.read("triggers.list", &[("function", text("govern"))]).await;
    assert_eq!(field(&items(&triggers)[0], "enabled"), &Value::Bool(true), "{screen}");
    // It was off in between: the record says what was sent.
    let (record, _) = desk.run(&["report"]);
    assert!(
        record.contains("triggers.set_enabled") && record.contains("to: no"),
        "{record}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_definition_a_certificate_and_a_query() {
    let moto = Moto::start(1_000_000);
    let world = moto.world("AKIAEXAMPLE", "any");
    let containers = json(
        j!([{"name": "web", "image": "shop:7", "cpu": 256, "memory": 512, "environment": [{"name": "K", "value": "swordfish-4712"}]}]),
    );
    let args = [("family", text("shop")), ("containerDefinitions", containers)];
    done(&world, "ecs.register_task_definition", &args).await;
    let definition = world.read("definitions.get", &[("name", text("shop"))]).await;
    let container = &items(field(&definition, "containers"))[0];
    assert_eq!(
        (
            field(&definition, "revision"),
            field(container, "image"),
            field(container, "memory")
        ),
        (&Value::Int(1), &text("shop:7"), &Value::Int(512)),
        "{definition:?}"
    );
    assert!(!format!("{definition:?}").contains("swordfish"));
    let none = world.read("definitions.get", &[("name", text("none"))]).await;
    assert!(none.as_unknown().is_some(), "{none:?}");

    let made = done(
        &world,
        "acm.request_certificate",
        &[("DomainName", text("shop.example"))],
    )
    .await;
    let arn = [("arn", text(made["CertificateArn"].as_str().unwrap()))];
    assert_eq!(items(&world.read("certificates.used_by", &arn).await).len(), 0);

    for group in ["/shop", "/shop/jobs"] {
        done(&world, "logs.create_log_group", &[("logGroupName", text(group))]).await;
    }
    let named = [("logGroupName", text("/shop")), ("logStreamName", text("web"))];
    done(&world, "logs.create_log_stream", &named).await;
    let now = jiff::Timestamp::now().as_millisecond();
    let events: Vec<_> = (0..3)
        .map(|number| j!({"timestamp": now - 60_000 + number, "message": format!("error {number}")}))
        .collect();
    let args = [
        ("logGroupName", text("/shop")),
        ("logStreamName", text("web")),
        ("logEvents", json(j!(events))),
    ];
    done(&world, "logs.put_log_events", &args).await;
    let query = |most: i64| {
        [
            ("groups", texts(&["/shop", "/shop/jobs"])),
            ("query", text("fields @timestamp, @message")),
            ("at_most", Value::Int(most)),
        ]
    };
    let rows = world.json("logs.query", &query(10)).await;
    assert_eq!(rows.as_array().map(Vec::len), Some(3), "{rows}");
    assert!(
        rows.to_string().contains("error 2") && rows[0].get("@ptr").is_none(),
        "{rows}"
    );
    let many = world.read("logs.query", &query(2)).await;
    assert_eq!(many.as_unknown().unwrap().reason, Reason::Truncated, "{many:?}");
    // The service gives no more than so many: whether there are more could not be told.
    let all = world.read("logs.query", &query(10_000)).await;
    assert_eq!(all.as_unknown().unwrap().reason, Reason::Unparsable, "{all:?}");
    let of = async |groups: &[&str]| {
        let none = [("groups", texts(groups)), ("query", text("fields @message"))];
        let none = world.read("logs.query", &none).await;
        none.as_unknown().unwrap_or_else(|| panic!("{none:?}")).reason
    };
    assert_eq!(of(&["/none"]).await, Reason::Missing);
    assert_eq!(of(&[]).await, Reason::Unparsable);
    assert_eq!(of(&["/shop"; 51]).await, Reason::Unparsable);
}
