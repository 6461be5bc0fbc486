//! The provider `azure` against a server that answers as the resource manager and the services beside it do.

mod books;
mod canaries;
mod changes;
mod cli;
mod inverses;
mod locks;
mod planes;
mod sdk;
pub mod server;

use crate::support::gated::{Gated, field, items, reason};
use serde_json::{Value as Json, json};
use server::{CLIENT, SECRET, Server};
use starr::provider::Outcome;
use starr::provider::patience::Patient;
use starr::providers::azure::Azure;
use starr::value::{Reason, Value};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub const APP: &str = "Microsoft.App/containerApps";
pub const STORE: &str = "Microsoft.DocumentDB/databaseAccounts";

pub fn named(kind: &str, name: &str) -> Value {
    Value::Resource {
        kind: kind.into(),
        name: name.into(),
    }
}

pub fn text(text: &str) -> Value {
    Value::text(text)
}

pub fn texts(all: &[&str]) -> Value {
    Value::list(all.iter().map(|one| Value::text(*one)).collect())
}

pub fn document(json: Json) -> Value {
    Value::Json(Arc::new(json))
}

pub fn json_of(value: &Value) -> Json {
    match value {
        Value::Json(json) => (**json).clone(),
        other => panic!("no document: {other:?}"),
    }
}

/// A container app as the interface shows one.
pub fn app(min: i64, max: i64) -> Json {
    json!({
        "type": "Microsoft.App/containerApps", "location": "East US",
        "identity": {"type": "SystemAssigned", "principalId": "00000000-0000-0000-0000-00000000000a", "tenantId": "00000000-0000-0000-0000-00000000000b"},
        "properties": {
            "provisioningState": "Succeeded", "runningStatus": "Running",
            "managedEnvironmentId": "/subscriptions/s/resourceGroups/g/providers/Microsoft.App/managedEnvironments/env",
            "environmentId": "/subscriptions/s/resourceGroups/g/providers/Microsoft.App/managedEnvironments/env",
            "latestRevisionName": "api--2", "latestReadyRevisionName": "api--1",
            "configuration": {
                "activeRevisionsMode": "Multiple",
                "secrets": [{"name": "db"}],
                "registries": [{"server": "acrstudio.azurecr.io", "identity": "system"}],
                "ingress": {"fqdn": "api.example.azurecontainerapps.io", "external": true, "targetPort": 8080, "transport": "Auto",
                    "traffic": [{"weight": 100, "latestRevision": true}]},
            },
            "template": {
                "revisionSuffix": "two",
                "containers": [{"name": "api", "image": "acrstudio.azurecr.io/team/api:v2", "resources": {"cpu": 0.5, "memory": "1Gi"},
                    "env": [{"name": "LEVEL", "value": "info"}, {"name": "DB", "secretRef": "db"}]}],
                "scale": {"minReplicas": min, "maxReplicas": max, "rules": [{"name": "cpu", "custom": {"type": "cpu", "metadata": {"type": "Utilization", "value": "70"}}}]},
            },
        },
    })
}

pub fn revision(active: bool, weight: i64) -> Json {
    json!({"type": "Microsoft.App/containerApps/revisions", "properties": {
        "createdTime": "2026-11-20T03:00:00+00:00", "fqdn": "", "active": active, "replicas": 2, "trafficWeight": weight,
        "healthState": "Healthy", "provisioningState": "Provisioned", "runningState": "Running",
        "template": {"containers": [{"image": "acrstudio.azurecr.io/team/api:v1", "name": "api"}]}}})
}

/// A server with an app and what belongs to it.
pub fn cloud() -> Server {
    let server = Server::new();
    server.put("Microsoft.App/containerApps/api", app(1, 3));
    server.put("Microsoft.App/containerApps/api/revisions/api--1", revision(true, 100));
    server.put("Microsoft.App/containerApps/api/revisions/api--2", revision(true, 0));
    server.put(
        "Microsoft.App/containerApps/api/revisions/api--1/replicas/r1",
        json!({"properties": {"createdTime": "2026-11-22T03:00:00Z", "runningState": "Running", "containers": [
            {"name": "api", "ready": true, "started": true, "restartCount": 2}, {"name": "side", "ready": true, "started": true, "restartCount": 1}]}}),
    );
    server.put(
        &format!("{STORE}/store"),
        json!({"location": "East US", "kind": "GlobalDocumentDB", "properties": {
            "provisioningState": "Succeeded", "documentEndpoint": "https://store.documents.azure.com:443/",
            "publicNetworkAccess": "Enabled", "primaryMasterKey": "canary-of-a-key",
            "consistencyPolicy": {"defaultConsistencyLevel": "Session"}, "backupPolicy": {"type": "Continuous"},
            "ipRules": [{"ipAddressOrRange": "203.0.113.1"}], "virtualNetworkRules": [],
            "writeLocations": [{"locationName": "East US", "provisioningState": "Succeeded"}]}}),
    );
    server
}

/// The provider with this credential.
pub fn provider(server: &Server, credential: &str) -> Azure {
    Azure::new(serde_yaml::from_str(&server.config(credential)).unwrap()).unwrap()
}

pub struct World {
    gated: Gated,
    _folder: tempfile::TempDir,
}

impl std::ops::Deref for World {
    type Target = Gated;

    fn deref(&self) -> &Gated {
        &self.gated
    }
}

/// The provider, signed in with a client secret that is a file.
pub fn world(server: &Server) -> World {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, SECRET).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let credential = format!("{{ client: {CLIENT}, secret: {{ file: {} }} }}", path.display());
    let given = vec![
        ("group", named("Group", "studio")),
        ("subscription", named("Subscription", "production")),
        ("workspace", named("Workspace", "app")),
        ("vault", named("Vault", "kv")),
        ("registry", named("Registry", "acr")),
        ("app", text("api")),
        ("account", text("store")),
    ];
    World {
        gated: Gated::new(Arc::new(Patient::new(Arc::new(provider(server, &credential)))), given),
        _folder: folder,
    }
}

#[tokio::test]
async fn a_resource_of_any_type_is_read_in_the_version_of_its_interface() {
    let server = cloud();
    let world = world(&server);
    let found = world
        .read("resources.get", &[("type", text(APP)), ("name", text("api"))])
        .await;
    assert_eq!(json_of(&found)["properties"]["template"]["scale"]["minReplicas"], 1);
    let store = world
        .read("resources.get", &[("type", text(STORE)), ("name", text("store"))])
        .await;
    assert_eq!(json_of(&store)["properties"]["primaryMasterKey"], "(secret)");
    assert!(!store.as_unknown().is_some_and(|_| true) && !format!("{store:?}").contains("canary-of-a-key"));
    let asked = server.sent("GET");
    assert_eq!(
        asked[0].query["api-version"],
        starr::providers::azure::path::kind(APP).unwrap().version
    );
    let missing = world
        .read("resources.get", &[("type", text(APP)), ("name", text("nobody"))])
        .await;
    let (why, said) = reason(&missing);
    assert_eq!(why, Reason::Missing);
    assert!(said.contains("ResourceNotFound"), "{said}");
    let unknown = world
        .read(
            "resources.get",
            &[("type", text("Microsoft.App/containerApp")), ("name", text("x"))],
        )
        .await;
    assert!(reason(&unknown).1.contains("`Microsoft.App/containerApps` is"));
    for name in ["../x", "api/x", "a?b", ""] {
        let wrong = world
            .read("resources.get", &[("type", text(APP)), ("name", text(name))])
            .await;
        assert_eq!(reason(&wrong).0, Reason::Unparsable, "{name}");
    }
    // One token serves all of them.
    assert_eq!(server.kept().form, ["https://management.azure.com/.default"]);
}

#[tokio::test]
async fn what_answers_with_a_secret_is_not_asked_and_what_may_change_is_no_read() {
    let server = cloud();
    let world = world(&server);
    let ask = |action: &str| [("type", text(STORE)), ("name", text("store")), ("action", text(action))];
    for action in ["listKeys", "listConnectionStrings", "regenerateKey"] {
        let (why, said) = reason(&world.read("resources.ask", &ask(action)).await);
        assert_eq!(why, Reason::Denied);
        assert!(said.contains("never asked"), "{said}");
        assert_eq!(world.refused("resources.act", &ask(action)).await.0, Reason::Denied);
    }
    let (why, said) = reason(&world.read("resources.ask", &ask("offlineRegion")).await);
    assert_eq!(why, Reason::Denied);
    assert!(said.contains("belongs into an action"), "{said}");
    assert_eq!(
        reason(&world.read("resources.ask", &ask("nothing")).await).0,
        Reason::Unparsable
    );
    assert!(server.sent("POST").is_empty());
}

#[tokio::test]
async fn lists_are_read_page_by_page_and_only_from_this_server() {
    let server = cloud();
    for name in ["a", "b", "c", "d", "e"] {
        server.put(
            &format!("Microsoft.Network/privateDnsZones/{name}"),
            json!({"properties": {}}),
        );
    }
    let world = world(&server);
    let zones = [("type", text("Microsoft.Network/privateDnsZones"))];
    let found = json_of(&world.read("resources.list", &zones).await);
    assert_eq!(found.as_array().unwrap().len(), 5);
    assert_eq!(server.sent("GET").len(), 3);
    let mut few = zones.to_vec();
    few.push(("at_most", Value::Int(3)));
    assert_eq!(json_of(&world.read("resources.list", &few).await)["truncated"], true);
    server.kept().stranger = true;
    let (why, said) = reason(&world.read("resources.list", &zones).await);
    assert_eq!(why, Reason::Denied);
    assert!(said.contains("another server"), "{said}");
}

#[tokio::test]
async fn a_list_without_end_is_cut() {
    let server = cloud();
    server.put("Microsoft.Network/privateDnsZones/a", json!({"properties": {}}));
    server.kept().endless = true;
    let world = world(&server);
    let found = world
        .read("resources.list", &[("type", text("Microsoft.Network/privateDnsZones"))])
        .await;
    assert_eq!(json_of(&found)["truncated"], true);
    assert_eq!(server.sent("GET").len(), starr::limits::AZURE_PAGES);
}

#[tokio::test]
async fn more_than_is_allowed_is_refused_or_cut() {
    let server = cloud();
    let world = world(&server);
    let too_many = Value::Int(i64::try_from(starr::limits::AZURE_ITEMS).unwrap() + 1);
    let found = world
        .read("resources.list", &[("type", text(APP)), ("at_most", too_many)])
        .await;
    assert_eq!(reason(&found).0, Reason::Unparsable);
    for number in 0..=starr::limits::AZURE_LISTED {
        server.put(
            &format!("Microsoft.App/containerApps/api/revisions/x{number}"),
            revision(false, 0),
        );
    }
    let found = world.read_within("apps.revisions", &[], Duration::from_secs(120)).await;
    let list = found.as_list().unwrap_or_else(|| panic!("{found:?}"));
    // Pages of two: a hundred of them are fewer than a thousand.
    assert!(list.truncated && list.items.len() <= starr::limits::AZURE_LISTED);
}

#[tokio::test]
async fn a_busy_service_is_asked_again_as_it_says() {
    let server = cloud();
    let world = world(&server);
    server.kept().busy = 1;
    let found = world.read("apps.get", &[]).await;
    assert_eq!(field(&found, "min_replicas"), Value::Int(1));
    assert_eq!(server.sent("GET").len(), 2);
    server.kept().busy = 100;
    let before = server.sent("GET").len();
    let (why, said) = reason(&world.read("apps.get", &[]).await);
    assert_eq!(why, Reason::Throttled);
    assert!(said.contains("TooManyRequests"), "{said}");
    // The patience that all providers share, and no other beneath it.
    assert_eq!(server.sent("GET").len(), before + 3);
    // A change that was turned away was not made: it may be sent again.
    server.kept().busy = 1;
    world
        .done("apps.scale", &[("min", Value::Int(2)), ("max", Value::Int(5))])
        .await;
    // A hint beyond the deadline is not waited for.
    (server.kept().busy, server.kept().hint) = (1, 3_600);
    let begin = Instant::now();
    let (why, said) = reason(&world.read_within("apps.get", &[], Duration::from_secs(20)).await);
    assert_eq!(why, Reason::Throttled);
    assert!(said.contains("3600 s"), "{said}");
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_change_is_followed_to_its_end_by_both_headers() {
    for header in ["Azure-AsyncOperation", "Location"] {
        let server = cloud();
        let world = world(&server);
        server.kept().later = Some(header);
        let scaled = world
            .done("apps.scale", &[("min", Value::Int(2)), ("max", Value::Int(5))])
            .await;
        assert_eq!(field(&scaled, "max_replicas"), Value::Int(5), "{header}");
        let looked = server
            .sent("GET")
            .iter()
            .filter(|asked| asked.path.contains("/operation"))
            .count();
        assert_eq!(looked, 3, "{header}");
        let made = json_of(
            &world
                .read("resources.what_if", &[("template", document(json!({"resources": []})))])
                .await,
        );
        assert_eq!(made[0]["changeType"], "Create");
    }
}

#[tokio::test]
async fn what_did_not_end_well_or_in_time_is_unclear() {
    let server = cloud();
    let world = world(&server);
    server.kept().later = Some("Azure-AsyncOperation");
    server.kept().ends = "Failed";
    let scale = [("min", Value::Int(2)), ("max", Value::Int(5))];
    let Outcome::Unclear(unknown) = world.change("apps.scale", &scale).await else {
        panic!("it ended as Failed");
    };
    assert!(unknown.detail.contains("QuotaExceeded There is no room."), "{unknown}");
    let server = cloud();
    server.kept().later = Some("Location");
    server.kept().rounds = 100_000;
    let world = self::world(&server);
    let call = world.call("apps.scale", &scale, Duration::from_secs(3));
    let Outcome::Unclear(unknown) = world.gate.change(&call).await else {
        panic!("it had no time to end");
    };
    assert_eq!(unknown.reason, Reason::Timeout);
}

#[tokio::test]
async fn a_wrong_secret_and_a_server_that_is_away_are_told_without_it() {
    let server = cloud();
    let wrong = provider(&server, &format!("{{ client: {CLIENT}, secret: {{ env: PATH }} }}"));
    let world = Gated::new(
        Arc::new(wrong),
        vec![("group", named("Group", "studio")), ("app", text("api"))],
    );
    let (why, said) = reason(&world.read("apps.get", &[]).await);
    assert_eq!(why, Reason::Denied);
    assert!(said.contains("AADSTS7000215"), "{said}");
    let away = provider(
        &server,
        &format!("{{ client: {CLIENT}, secret: {{ env: STARR_NO_SUCH }} }}"),
    );
    let world = Gated::new(
        Arc::new(away),
        vec![("group", named("Group", "studio")), ("app", text("api"))],
    );
    let (why, said) = reason(&world.read("apps.get", &[]).await);
    assert_eq!(why, Reason::Unavailable);
    assert!(said.contains("STARR_NO_SUCH"), "{said}");
    let nobody = world.read("apps.get", &[("group", named("Group", "other"))]).await;
    assert!(reason(&nobody).1.contains("no resource group `other`"));
}

#[tokio::test]
async fn a_workload_identity_is_exchanged_for_a_token() {
    let server = cloud();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, SECRET).unwrap();
    let credential = format!("{{ workload_identity: {CLIENT}, token_file: {} }}", path.display());
    let world = Gated::new(
        Arc::new(provider(&server, &credential)),
        vec![("group", named("Group", "studio")), ("app", text("api"))],
    );
    assert_eq!(field(&world.read("apps.get", &[]).await, "state"), text("Succeeded"));
}

#[tokio::test]
async fn what_runs_is_read_as_records() {
    let server = cloud();
    let world = world(&server);
    let found = world.read("apps.get", &[]).await;
    assert_eq!(field(&found, "latest_revision"), text("api--2"));
    assert_eq!(field(&found, "environment"), text("env"));
    assert_eq!(field(&found, "port"), Value::Int(8080));
    assert_eq!(items(&field(&found, "registries")), [text("acrstudio.azurecr.io")]);
    let containers = items(&world.read("apps.containers", &[]).await);
    assert_eq!(field(&containers[0], "memory"), Value::Bytes(1 << 30));
    assert_eq!(items(&field(&containers[0], "variables")), [text("LEVEL"), text("DB")]);
    let revisions = items(&world.read("apps.revisions", &[]).await);
    assert_eq!(field(&revisions[0], "traffic"), Value::ratio(1.0));
    let replicas = items(&world.read("apps.replicas", &[("revision", text("api--1"))]).await);
    assert_eq!(field(&replicas[0], "restarts"), Value::Int(3));
    assert_eq!(field(&replicas[0], "ready"), Value::Bool(true));
    let store = world.read("cosmos.account", &[]).await;
    assert_eq!(field(&store, "backup"), text("Continuous"));
    assert_eq!(items(&field(&store, "addresses")), [text("203.0.113.1")]);
    let backup = [
        ("database", text("shop")),
        ("container", text("orders")),
        ("location", text("East US")),
    ];
    server.put(
        &format!("{STORE}/store/sqlDatabases/shop/containers/orders"),
        json!({"properties": {"resource": {"id": "orders", "partitionKey": {"paths": ["/tenant"]}, "defaultTtl": -1}}}),
    );
    let time = world.read("cosmos.latest_backup", &backup).await;
    assert_eq!(time, Value::Time(jiff::Timestamp::from_second(1_763_780_400).unwrap()));
    let container = world.read("cosmos.container", &backup[..2]).await;
    assert_eq!(items(&field(&container, "partition_key")), [text("/tenant")]);
    let reply = world.read("manager", &[]).await;
    assert!(format!("{reply:?}").contains("answered"), "{reply:?}");
}
