//! Runbooks that come along, end to end: the real binary in a terminal, a server that answers as Azure does, a person who says yes or no.

use super::server::{SECRET, Server, TOKEN};
use super::{CLIENT, STORE, cloud};
use crate::support::desk::{Desk, on_a_thread};
use crate::support::terminal::Terminal;
use serde_json::{Value as Json, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

const THROUGHPUT: &str =
    "Microsoft.DocumentDB/databaseAccounts/cosmos-agentstudio-prod/sqlDatabases/agentstudio/throughputSettings/default";
const RULES: &str = "Microsoft.Network/networkSecurityGroups/nsg-agentstudio-prod";

/// One table of a query.
fn table(columns: &[(&str, &str)], rows: Json) -> Json {
    let columns: Vec<Json> = columns
        .iter()
        .map(|(name, kind)| json!({"name": name, "type": kind}))
        .collect();
    json!({"tables": [{"name": "PrimaryResult", "columns": columns, "rows": rows}]})
}

/// How many requests of a query were turned away, in per cent.
fn turned_away(share: f64) -> Json {
    let columns = [
        ("target", "string"),
        ("data", "string"),
        ("count", "long"),
        ("average", "real"),
        ("most", "real"),
    ];
    table(&columns, json!([["cosmos", "SELECT 1", 100, share, 3.0]]))
}

fn took(milliseconds: f64) -> Json {
    let columns = [
        ("data", "string"),
        ("average", "real"),
        ("charge", "real"),
        ("count", "long"),
    ];
    table(&columns, json!([["SELECT 1", milliseconds, 3.0, 100]]))
}

fn seen(rows: Json) -> Json {
    table(&[("what", "string"), ("count", "long")], rows)
}

/// The last half hour of a metric, minute by minute.
fn measured(value: f64) -> Json {
    let now = jiff::Timestamp::now().as_second() / 60 * 60;
    let data: Vec<Json> = (0..31)
        .rev()
        .map(|ago| {
            let time = jiff::Timestamp::from_second(now - ago * 60).unwrap();
            json!({"timeStamp": time.to_string(), "maximum": value, "average": value})
        })
        .collect();
    json!({"value": [{"errorCode": "Success", "timeseries": [{"data": data}]}]})
}

/// A desk with the runbooks of Agent Studio as they come along, but for how long the end must hold and for the question
/// of the reflection: nobody waits five minutes here, or answers. Beside it the folder with its secret.
fn desk(server: &Server) -> (Desk, tempfile::TempDir) {
    let config = server
        .config(&format!("{{ client: {CLIENT}, secret: {{ file: {{SECRET}} }} }}"))
        .replace(" app: {", " studio-app: {")
        .replace('\n', "\n      ");
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let config = config.replace("{SECRET}", secret.to_str().unwrap());
    let desk = Desk::new(&format!(
        "      somebody: {{ roles: [network_owner, security] }}\n    azure:\n      {}\n    http:\n      endpoints:\n        studio-ready: {{ url: \"{}/health/ready\" }}\n    grants:\n      - \
         {{ capability: azure, effects: [read, change], targets: [studio, studio-app] }}\n      - {{ capability: http, effects: [read], targets: [\"{}\"] }}\n",
        config.trim_end(),
        server.url(),
        server.url(),
    ));
    let there = desk.path().join("runbooks/studio");
    std::fs::create_dir_all(&there).unwrap();
    std::fs::create_dir(desk.path().join(".git")).unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("runbooks/studio");
    for name in ["common", "cosmos-throttling", "network-connectivity"] {
        let text = std::fs::read_to_string(here.join(format!("{name}.starr"))).unwrap();
        let text = text.replace("resolved when goal for 5 min", "resolved when goal");
        let lines = text.lines().filter(|line| !line.starts_with("    ask     "));
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        std::fs::write(there.join(format!("{name}.starr")), text).unwrap();
    }
    (desk, folder)
}

/// Runs a runbook in a terminal and says `yes` or `no` to the one change it asks about.
async fn asked(desk: &Desk, book: &str, title: &'static str, says: &'static str) -> (String, i32) {
    let command = desk.command(&["run", &format!("runbooks/studio/{book}.starr")]);
    on_a_thread(move || {
        let mut terminal = Terminal::start(command);
        terminal.wait_for(title);
        terminal.wait_for("Approve?");
        terminal.answer(says);
        if says == "no" {
            terminal.wait_for("Why not?");
            terminal.answer("it is asked for tomorrow");
        }
        let code = terminal.end();
        (terminal.seen, code)
    })
    .await
}

/// A store whose database is full.
fn throttled() -> Server {
    let server = cloud();
    server.put(
        THROUGHPUT,
        json!({"location": "East US", "properties": {"resource": {"autoscaleSettings": {"maxThroughput": 4000}, "minimumThroughput": "400"}}}),
    );
    let mut kept = server.kept();
    kept.tables = vec![("countif(turned)", turned_away(12.0)), ("avg(duration)", took(400.0))];
    kept.metrics = measured(100.0);
    let calm = vec![("countif(turned)", turned_away(0.5)), ("avg(duration)", took(20.0))];
    kept.after_put = Some((calm, measured(60.0)));
    drop(kept);
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn throughput_is_raised_and_the_requests_are_served() {
    let server = throttled();
    let (desk, _secrets) = desk(&server);
    let title = "Let agentstudio scale up to 10000 request units a second, from 4000";
    let (screen, code) = asked(&desk, "cosmos-throttling", title, "yes").await;
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("RESOLVED"), "{screen}");
    let now = server.resource(THROUGHPUT);
    assert_eq!(
        now["properties"]["resource"]["autoscaleSettings"]["maxThroughput"], 10_000,
        "{now}"
    );
    let report = desk.reported(&["scales_too_little", "12", "4000", "resolved"]);
    assert!(!(screen + &report).contains(TOKEN) && !report.contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn throughput_that_nobody_approves_stays() {
    let server = throttled();
    let (desk, _secrets) = desk(&server);
    let title = "Let agentstudio scale up to 10000 request units a second, from 4000";
    let (screen, code) = asked(&desk, "cosmos-throttling", title, "no").await;
    assert_eq!(code, 3, "{screen}");
    assert!(server.sent("PUT").is_empty() && server.sent("PATCH").is_empty());
    let now = server.resource(THROUGHPUT);
    assert_eq!(
        now["properties"]["resource"]["autoscaleSettings"]["maxThroughput"],
        4000
    );
}

/// A rule that lets nothing out.
fn shut() -> Server {
    let server = cloud();
    server.put(RULES, json!({"properties": {}}));
    let rule = |priority: i64, access: &str, to: &str| {
        json!({"properties": {"priority": priority, "direction": "Outbound", "access": access, "protocol": "*", "sourceAddressPrefix": "*",
            "destinationAddressPrefix": to, "sourcePortRange": "*", "destinationPortRange": "*", "provisioningState": "Succeeded"}})
    };
    server.put(&format!("{RULES}/securityRules/deny-all"), rule(200, "Deny", "*"));
    server.put(
        &format!("{RULES}/securityRules/vault"),
        rule(199, "Allow", "AzureKeyVault"),
    );
    let network = "Microsoft.Network/virtualNetworks/vnet-agentstudio-prod";
    server.put(
        network,
        json!({"etag": "W/\"1\"", "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}}}),
    );
    server.put(
        &format!("{network}/subnets/snet-apps"),
        json!({"etag": "W/\"7\"", "properties": {"addressPrefix": "10.0.1.0/24",
            "serviceEndpoints": [{"service": "Microsoft.Storage"}]}}),
    );
    server.put(
        "Microsoft.App/managedEnvironments/env-agentstudio-prod",
        json!({"location": "East US", "properties": {"provisioningState": "Succeeded",
            "vnetConfiguration": {"infrastructureSubnetId": format!("/x/{network}/subnets/snet-apps")}}}),
    );
    server.put("Microsoft.App/containerApps/agentstudio-api", super::app(1, 3));
    server.put(
        &format!("{STORE}/cosmos-agentstudio-prod"),
        json!({"location": "East US", "properties": {"provisioningState": "Succeeded", "documentEndpoint": "https://c.documents.azure.com:443/"}}),
    );
    let mut kept = server.kept();
    kept.tables = vec![
        ("dependencies", seen(json!([["Azure DocumentDB cosmos", 9]]))),
        ("exceptions", seen(json!([]))),
    ];
    let calm = vec![("dependencies", seen(json!([]))), ("exceptions", seen(json!([])))];
    kept.after_put = Some((calm, Json::Null));
    drop(kept);
    server
}

const TITLE: &str = "Let snet-apps connect to AzureCosmosDB at port 443, before the rule of priority 200";

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_put_to_the_others_at_the_next_free_place() {
    let server = shut();
    let (desk, _secrets) = desk(&server);
    let (screen, code) = asked(&desk, "network-connectivity", TITLE, "yes").await;
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("RESOLVED"), "{screen}");
    let made = server.resource(&format!("{RULES}/securityRules/AllowAzureCosmosDB"));
    assert_eq!(made["properties"]["priority"], 198, "199 is taken");
    assert_eq!(made["properties"]["destinationAddressPrefix"], "AzureCosmosDB");
    let old = server.resource(&format!("{RULES}/securityRules/deny-all"));
    assert_eq!(old["properties"]["priority"], 200, "what was there stays");
    assert_eq!(server.sent("PUT").len(), 1);
    let (report, _) = desk.run(&["report", "latest"]);
    assert!(report.contains("not let_out") && !report.contains(TOKEN), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_nobody_approves_is_not_made() {
    let server = shut();
    let (desk, _secrets) = desk(&server);
    let (screen, code) = asked(&desk, "network-connectivity", TITLE, "no").await;
    assert_eq!(code, 3, "{screen}");
    assert!(server.sent("PUT").is_empty() && server.sent("PATCH").is_empty());
}
