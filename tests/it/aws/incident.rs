//! An incident end to end: the real binary in a terminal against the emulator, which looks at signatures and rights.

use super::{Moto, json, locks, text};
use crate::support::desk::Desk;
use crate::support::terminal::attended;
use starr::provider::Outcome;

const BOOK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runbooks/aws-table.starr");

async fn broken() -> (Moto, Desk, tempfile::TempDir) {
    let moto = Moto::start(1_000_000);
    let world = moto.world("AKIAEXAMPLE", "swordfish-4711");
    let made = world
        .change(
            "dynamodb.create_table",
            &[
                ("TableName", text("orders")),
                (
                    "KeySchema",
                    json(serde_json::json!([{"AttributeName": "id", "KeyType": "HASH"}])),
                ),
                (
                    "AttributeDefinitions",
                    json(serde_json::json!([{"AttributeName": "id", "AttributeType": "S"}])),
                ),
                (
                    "ProvisionedThroughput",
                    json(serde_json::json!({"ReadCapacityUnits": 5, "WriteCapacityUnits": 3})),
                ),
            ],
        )
        .await;
    assert!(matches!(made, Outcome::Done(_)), "{made:?}");
    locks::make_table(&world).await;
    let secrets = tempfile::tempdir().unwrap();
    let entry = moto.entry(secrets.path(), "AKIAEXAMPLE", "swordfish-4711");
    let desk = Desk::new(&format!(
        "    aws: {{ accounts: {{ prod: {} }} }}
    grants:
      - {{ capability: aws,        effects: [read],   targets: [prod] }}
      - {{ capability: aws.tables, effects: [change], targets: [prod] }}
",
        entry.replacen("{ region", "{ lock_table: starr-locks, region", 1)
    ));
    (moto, desk, secrets)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_found_approved_repaired_and_verified() {
    let (moto, desk, _secrets) = broken().await;
    let seen = attended(desk.command(&["run", BOOK]), 0, |person| {
        person.approve("Pay orders by request")
    })
    .await;
    assert!(seen.contains("capacity") && seen.contains("RESOLVED"), "{seen}");
    let world = moto.world("AKIAEXAMPLE", "swordfish-4711");
    let table = world
        .json("dynamodb.describe_table", &[("TableName", text("orders"))])
        .await;
    assert_eq!(
        table["Table"]["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST",
        "{table}"
    );
    let report = desk.reported(&["Pay orders by request", "resolved", "PROVISIONED", "PAY_PER_REQUEST"]);
    let (shown, _) = desk.run(&["show", "latest"]);
    assert!(shown.contains("lock"), "{shown}");
    assert_eq!(
        locks::items(&world).await,
        serde_json::json!([]),
        "the lock is given back"
    );
    assert!(!report.contains("swordfish") && !seen.contains("swordfish"));
    let (health, _) = desk.run(&["doctor"]);
    assert!(
        health.contains("aws prod") && health.contains("123456789012"),
        "{health}"
    );
    let (rights, code) = desk.run(&["grants", BOOK, "--to", "iam"]);
    assert_eq!(code, Some(0), "{rights}");
    for words in [
        "dynamodb:ListTables",
        "dynamodb:DescribeTable",
        "dynamodb:UpdateTable",
        // Which table is a parameter: the one that it says when nothing is said.
        "arn:aws:dynamodb:eu-west-1:*:table/orders",
        "dynamodb:PutItem",
        "table/starr-locks",
    ] {
        assert!(rights.contains(words), "{words:?} is missing in\n{rights}");
    }
}

#[test]
fn interfaces_are_shown_and_mistakes_are_named() {
    let desk = Desk::new("");
    let (shown, code) = desk.run(&["providers", "aws", "ecs", "UpdateService"]);
    assert_eq!(code, Some(0), "{shown}");
    for words in [
        "aws.ecs.update_service",
        "level of access: write",
        "desiredCount",
        "IAM action ecs:UpdateService",
        "DeploymentConfiguration",
    ] {
        assert!(shown.contains(words), "{words:?} is missing in\n{shown}");
    }
    let (shown, code) = desk.run(&["providers", "aws", "ecs"]);
    assert!(
        code == Some(0) && shown.contains("aws.ecs.wait_services_stable"),
        "{shown}"
    );
    let (shown, code) = desk.run(&["providers", "aws", "ecz"]);
    assert!(code == Some(2) && shown.contains("no service"), "{shown}");
    let (shown, code) = desk.run(&["providers", "aws", "ecs", "UpdateServic"]);
    assert!(code == Some(2) && shown.contains("update_service"), "{shown}");

    let check = |call: &str| {
        let text = format!(
            "use std.aws.{{Account}}\n\nrunbook r(account: Account = \"prod\") \"R\" {{\n  owner \"team\"\n  timebox 10 min then \
             escalate\n  reads aws\n  situation {{\n    symptom s \"Is it?\" {{\n      read x = {call}\n      yes when x.a is \
             \"b\"\n    }}\n  }}\n  task {{\n    goal not s\n  }}\n}}\n"
        );
        let file = desk.path().join("r.starr");
        std::fs::write(&file, text).unwrap();
        desk.run(&["check", file.to_str().unwrap()]).0
    };
    for (call, words) in [
        (
            "aws.ecz.list_clusters(account)",
            &["no operation", "did you mean `ecs.list_clusters`"][..],
        ),
        ("aws.ecs.list_cluster(account)", &["did you mean `ecs.list_clusters`"]),
        (
            "aws.ecs.list_tasks(account, clustr: \"a\")",
            &["takes no `clustr`", "did you mean `cluster`"],
        ),
        (
            "aws.ecs.describe_services(account)",
            &["needs more arguments", "services"],
        ),
        ("aws.ecs.list_tasks(account, cluster: 5)", &["a text"]),
        (
            "aws.ecs.list_tasks(account, launchType: \"FARGATA\")",
            &["takes no `FARGATA`", "did you mean `FARGATE`"],
        ),
        (
            "aws.ec2.describe_vpcs(account, Filters: [{Nam: \"vpc-id\"}])",
            &["has no `Nam`", "did you mean `Name`"],
        ),
        (
            "aws.ec2.describe_vpcs(account, Filters: [{Name: 5}])",
            &["`Name` takes a text"],
        ),
        (
            "aws.ecs.update_service(account, service: \"x\")",
            &["changes something"],
        ),
        ("aws.s3.get_object(account, Bucket: \"a\", Key: \"b\")", &["stream"]),
    ] {
        let shown = check(call);
        for words in words {
            assert!(shown.contains(words), "{call}: {words:?} is missing in\n{shown}");
        }
    }
}
