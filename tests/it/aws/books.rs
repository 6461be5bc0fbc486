//! Runbooks that come along, end to end: the real binary in a terminal, the emulator, a person who says yes or no.

use super::{Moto, World, done, json, text};
use crate::support::desk::{Desk, on_a_thread};
use crate::support::terminal::Terminal;
use serde_json::json as j;

const KEY: (&str, &str) = ("AKIAEXAMPLE", "swordfish-4711");
const TABLE: &str = "agent-runtime-governance-policies";
const THROTTLING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/runbooks/awsrt/dynamodb-throttling.starr");
const BACKUP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/runbooks/awsrt/backup-verification.starr");

/// The emulator with the table of policies, which is paid for five reads and three writes a second and holds one policy.
async fn table() -> (Moto, World, Desk, tempfile::TempDir) {
    let moto = Moto::start(1_000_000);
    let world = moto.world(KEY.0, KEY.1);
    let key = json(j!([{"AttributeName": "id", "KeyType": "HASH"}]));
    let attributes = json(j!([{"AttributeName": "id", "AttributeType": "S"}]));
    let paid = json(j!({"ReadCapacityUnits": 5, "WriteCapacityUnits": 3}));
    let args = [
        ("TableName", text(TABLE)),
        ("KeySchema", key),
        ("AttributeDefinitions", attributes),
        ("ProvisionedThroughput", paid),
    ];
    done(&world, "dynamodb.create_table", &args).await;
    let item = [("TableName", text(TABLE)), ("Item", json(j!({"id": {"S": "one"}})))];
    done(&world, "dynamodb.put_item", &item).await;
    let secrets = tempfile::tempdir().unwrap();
    let desk = Desk::new(&format!(
        "    aws: {{ accounts: {{ agent-runtime: {} }} }}
    grants:
      - {{ capability: aws,          effects: [read],   targets: [agent-runtime] }}
      - {{ capability: aws.tables,   effects: [change], targets: [agent-runtime] }}
      - {{ capability: aws.dynamodb, effects: [change], targets: [agent-runtime] }}
",
        moto.entry(secrets.path(), KEY.0, KEY.1)
    ));
    (moto, world, desk, secrets)
}

/// What the service would have written down: reads were turned away, and more was taken than is paid for.
async fn turned_away(world: &World) {
    // Long enough ago that it is soon out of a window of two minutes.
    let then = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(70);
    let then = then.to_string();
    let metric = |name: &str, value: f64| j!({"MetricName": name, "Value": value, "Timestamp": then, "Dimensions": [{"Name": "TableName", "Value": TABLE}]});
    let data = json(j!([
        metric("ReadThrottleEvents", 7.0),
        metric("ConsumedReadCapacityUnits", 900.0),
        metric("ConsumedWriteCapacityUnits", 1.0),
    ]));
    let args = [("Namespace", text("AWS/DynamoDB")), ("MetricData", data)];
    done(world, "cloudwatch.put_metric_data", &args).await;
}

/// Runs a runbook; the answer to the one approval, and to the question at the end. What was on the screen, and the code.
async fn run(
    desk: &Desk,
    words: &[&str],
    title: &'static str,
    says: &'static str,
    asks: &'static str,
) -> (String, i32) {
    let command = desk.command(words);
    on_a_thread(move || {
        let mut terminal = Terminal::start(command);
        terminal.wait_for(title);
        terminal.wait_for("Approve?");
        terminal.answer(says);
        if says == "no" {
            terminal.wait_for("Why not?");
            terminal.answer("not before the release");
        }
        terminal.wait_within(asks, std::time::Duration::from_secs(150));
        terminal.wait_for("may be empty");
        terminal.answer("");
        let code = terminal.end();
        (terminal.seen, code)
    })
    .await
}

async fn mode(world: &World) -> String {
    let named = [("TableName", text(TABLE))];
    let table = world.json("dynamodb.describe_table", &named).await;
    let mode = table["Table"]["BillingModeSummary"]["BillingMode"].as_str();
    mode.unwrap_or("PROVISIONED").to_owned()
}

const PAY: [&str; 6] = ["run", THROTTLING, "--set", "over=2 min", "--answer", "slow=yes"];
const WHO: &str = "Who read or wrote more than before";

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_turns_reads_away_is_paid_by_request() {
    let (_moto, world, desk, _secrets) = table().await;
    turned_away(&world).await;
    let title = "Approval needed: Pay agent-runtime-governance-policies by request";
    let (seen, code) = run(&desk, &PAY, title, "yes", WHO).await;
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("too_small") && seen.contains("RESOLVED"), "{seen}");
    assert_eq!(mode(&world).await, "PAY_PER_REQUEST");
    let report = desk.reported(&["PROVISIONED", "PAY_PER_REQUEST", "by_request", "resolved"]);
    assert!(!(seen + &report).contains(KEY.1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_whose_change_is_refused_stays_as_it_is() {
    let (_moto, world, desk, _secrets) = table().await;
    turned_away(&world).await;
    let title = "Approval needed: Pay agent-runtime-governance-policies by request";
    let (seen, code) = run(&desk, &PAY, title, "no", WHO).await;
    // Nothing else helps: somebody is called.
    assert!(code == 1 && seen.contains("ESCALATED"), "{code}: {seen}");
    assert_eq!(mode(&world).await, "PROVISIONED");
    let (report, _) = desk.run(&["report", "latest"]);
    assert!(report.contains("not before the release"), "{report}");
}

async fn tables(world: &World) -> String {
    world.json("dynamodb.list_tables", &[]).await["TableNames"].to_string()
}

const LONG: &str = "How long did it take";

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_backup_is_made_and_the_next_run_restores_it_and_cleans_up() {
    let (_moto, world, desk, _secrets) = table().await;
    let title = "Approval needed: Make a backup of agent-runtime-governance-policies";
    let (seen, _) = run(&desk, &["run", BACKUP], title, "yes", LONG).await;
    assert!(seen.contains("no_backup") && seen.contains("STOPPED"), "{seen}");
    let named = [("TableName", text(TABLE))];
    let backups = world.json("dynamodb.list_backups", &named).await;
    assert_eq!(
        backups["BackupSummaries"].as_array().map(Vec::len),
        Some(1),
        "{backups}"
    );

    let title = "Approval needed: Restore agent-runtime-by-hand into agent-runtime-test-restore";
    let (seen, code) = run(&desk, &["run", BACKUP], title, "yes", LONG).await;
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("filled") && seen.contains("RESOLVED"), "{seen}");
    assert_eq!(tables(&world).await, j!([TABLE]).to_string(), "the copy is removed");
    let (report, _) = desk.run(&["report", "latest"]);
    assert!(
        report.contains("agent-runtime-test-restore") && !report.contains(KEY.1),
        "{report}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_nobody_wants_tried_is_not_restored() {
    let (_moto, world, desk, _secrets) = table().await;
    let args = [("TableName", text(TABLE)), ("BackupName", text("nightly"))];
    done(&world, "dynamodb.create_backup", &args).await;
    let title = "Approval needed: Restore nightly into agent-runtime-test-restore";
    let (seen, code) = run(&desk, &["run", BACKUP], title, "no", LONG).await;
    assert_eq!(code, 3, "{seen}");
    assert_eq!(tables(&world).await, j!([TABLE]).to_string());
}
