//! What takes changes back, zones of private names, and secrets that go from one place to another without being seen.

use super::server::{Server, VALUE};
use super::{CLIENT, STORE, cloud, json_of, text, texts, world};
use crate::support::gated::{field, items, reason};
use serde_json::{Value as Json, json};
use starr::secrets::{SecretSource, SecretText};
use starr::value::{Reason, Secret, Value};

const CONNECTION: &str = "AccountEndpoint=https://store.documents.azure.com:443/;AccountKey=canary-of-a-connection;";

fn records(list: &Value) -> Value {
    list.clone()
}

/// A vault with one secret in two versions.
fn vault() -> Server {
    let server = cloud();
    let id = |version: &str| format!("{}/secrets/db/{version}", server.url());
    let made = |version: &str, value: &str, created: i64| json!({"id": id(version), "value": value, "attributes": {"enabled": true, "created": created}});
    let secrets = vec![made("v1", VALUE, 1_600_000_000), made("v2", "other", 1_650_000_000)];
    server.kept().secrets = secrets;
    server.kept().connections = json!({"connectionStrings": [
        {"connectionString": "AccountKey=canary-that-reads", "description": "Primary Read-Only SQL Connection String", "keyKind": "PrimaryReadonly", "type": "Sql"},
        {"connectionString": CONNECTION, "description": "Primary SQL Connection String", "keyKind": "Primary", "type": "Sql"},
    ]});
    server
}

#[tokio::test]
async fn a_connection_string_goes_into_a_vault_and_out_again() {
    let server = vault();
    let world = world(&server);
    let string = world.read("cosmos.connection_string", &[]).await;
    assert!(matches!(&string, Value::Secret(_)), "it is a secret");
    assert!(!format!("{string:?}").contains("canary"), "{string:?}");
    let db = ("name", text("db"));
    let newest = world.read("vault.newest", std::slice::from_ref(&db)).await;
    assert_eq!(field(&newest, "version"), text("v2"));
    let value = ("value", string.clone());
    assert_eq!(
        world.read("vault.holds", &[db.clone(), value.clone()]).await,
        Value::Bool(false)
    );
    world.done("vault.set", &[db.clone(), value.clone()]).await;
    assert_eq!(server.kept().secrets.last().unwrap()["value"], CONNECTION);
    assert_eq!(world.read("vault.holds", &[db.clone(), value]).await, Value::Bool(true));
    let back = world
        .done("vault.put_back", &[db.clone(), ("version", text("v2"))])
        .await;
    assert!(!format!("{back:?}").contains("other"), "{back:?}");
    assert_eq!(server.kept().secrets.last().unwrap()["value"], "other");
    // A secret that was not there before is switched off.
    let none = world.read("vault.newest", &[("name", text("fresh"))]).await;
    assert_eq!(field(&none, "version"), Value::None);
    let fresh = [
        ("name", text("fresh")),
        (
            "value",
            Value::Secret(Secret::new(Value::text("canary-of-a-fresh-one"))),
        ),
    ];
    world.done("vault.set", &fresh).await;
    world
        .done("vault.put_back", &[("name", text("fresh")), ("version", Value::None)])
        .await;
    let last = server.kept().secrets.last().unwrap().clone();
    assert_eq!(last["attributes"]["enabled"], false, "{last}");
    let reads = world
        .read("cosmos.connection_string", &[("read_only", Value::Bool(true))])
        .await;
    match reads {
        Value::Secret(secret) => assert_eq!(secret.expose().as_str(), Some("AccountKey=canary-that-reads")),
        other => panic!("{other:?}"),
    }
    server.kept().connections = json!({"connectionStrings": []});
    let (why, said) = reason(&world.read("cosmos.connection_string", &[]).await);
    assert!(why == Reason::Missing && !said.contains("canary"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_is_a_source_of_secrets() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = vault();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, super::SECRET).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let credential = format!("{{ client: {CLIENT}, secret: {{ file: {} }} }}", path.display());
    let config: starr::providers::azure::config::Config = serde_yaml::from_str(&server.config(&credential)).unwrap();
    let source = starr::providers::azure::credentials::Source::new(&config);
    starr::secrets::reach::<starr::secrets::VaultSecret>(std::sync::Arc::new(source));
    let read = |text: &str| serde_yaml::from_str::<SecretSource>(text).unwrap().read();
    let found: Result<SecretText, String> = read("{ vault: kv, secret: db }");
    assert_eq!(found.unwrap().expose(), "other", "the newest version");
    for (wanted, words) in [
        ("{ vault: kv, secret: nobody }", "SecretNotFound"),
        ("{ vault: elsewhere, secret: db }", "no vault `elsewhere`"),
        ("{ vault: kv, secret: ../keys }", "cannot be read"),
    ] {
        let refusal = read(wanted).unwrap_err();
        assert!(refusal.contains(words) && !refusal.contains(VALUE), "{refusal}");
    }
    // What a vault is reached with cannot lie in one.
    let circle = server.config(&format!("{{ client: {CLIENT}, secret: {{ vault: kv, secret: db }} }}"));
    let circle: starr::providers::azure::config::Config = serde_yaml::from_str(&circle).unwrap();
    assert!(circle.validate().unwrap_err().contains("does not lie in a vault"));
}

#[tokio::test]
async fn throughput_sizes_and_rules_of_an_app_are_set_back() {
    let server = cloud();
    let world = world(&server);
    let one = world.read("apps.container", &[("container", text("api"))]).await;
    assert_eq!(field(&one, "memory"), Value::Bytes(1 << 30));
    let rule = [("rule", text("by-requests"))];
    let before = world.read("apps.rule", &rule).await;
    assert_eq!(field(&before, "concurrency"), Value::None);
    let mut more = rule.to_vec();
    more.push(("concurrency", Value::Int(20)));
    world.done("apps.scale_by_requests", &more).await;
    assert_eq!(
        field(&world.read("apps.rule", &rule).await, "concurrency"),
        Value::Int(20)
    );
    let mut back = rule.to_vec();
    back.push(("concurrency", Value::None));
    world.done("apps.set_rule", &back).await;
    let rules = server.resource("Microsoft.App/containerApps/api")["properties"]["template"]["scale"]["rules"].clone();
    assert_eq!(rules.as_array().unwrap().len(), 1, "the other rule stays: {rules}");
    let traffic = world.read("apps.traffic", &[]).await;
    world.done("apps.send_traffic", &[("revision", text("api--1"))]).await;
    world.done("apps.split_traffic", &[("to", records(&traffic))]).await;
    let ingress = server.resource("Microsoft.App/containerApps/api")["properties"]["configuration"]["ingress"].clone();
    assert_eq!(ingress["traffic"], json!([{"weight": 100, "latestRevision": true}]));
    // Variables get what the earlier revision has, and nobody is shown it.
    let mut old = super::revision(true, 0);
    old["properties"]["template"]["containers"][0]["env"] = json!([{"name": "LEVEL", "value": "canary-of-a-variable"}]);
    server.put("Microsoft.App/containerApps/api/revisions/api--2", old);
    let set = [
        ("container", text("api")),
        ("variables", super::document(json!({"LEVEL": "debug", "NEW": "1"}))),
    ];
    world.done("apps.set", &set).await;
    let mut back = set.to_vec();
    back.push(("revision", text("api--2")));
    let shown = world.done("apps.set_as_in", &back).await;
    assert!(!format!("{shown:?}").contains("canary"));
    let now =
        server.resource("Microsoft.App/containerApps/api")["properties"]["template"]["containers"][0]["env"].clone();
    assert_eq!(
        now,
        json!([{"name": "LEVEL", "value": "canary-of-a-variable"}, {"name": "DB", "secretRef": "db"}])
    );
    let off = [("revision", text("api--2")), ("to", Value::Bool(false))];
    world.done("apps.set_active", &off).await;
    let before = server.sent("POST").len();
    world.done("apps.set_active", &off).await;
    assert_eq!(server.sent("POST").len(), before, "it was so already");
}

#[tokio::test]
async fn what_was_there_before_stays_when_a_change_is_taken_back() {
    let server = cloud();
    let world = world(&server);
    let keep = |address: &str, as_in: &[&str]| vec![("address", text(address)), ("as_in", texts(as_in))];
    world.done("cosmos.allow", &[("address", text("198.51.100.7"))]).await;
    world
        .done("cosmos.keep_address", &keep("203.0.113.1", &["203.0.113.1"]))
        .await;
    world
        .done("cosmos.keep_address", &keep("198.51.100.7", &["203.0.113.1"]))
        .await;
    let rules = server.resource(&format!("{STORE}/store"))["properties"]["ipRules"].clone();
    assert_eq!(rules, json!([{"ipAddressOrRange": "203.0.113.1"}]));
    let (_, said) = world.refused("cosmos.keep_address", &keep("203.0.113.1", &[])).await;
    assert!(said.contains("last address"), "{said}");
    // The first rule of an account that is open to all would shut the others out.
    let mut open = server.resource(&format!("{STORE}/store"));
    open["properties"]["ipRules"] = json!([]);
    server.put(&format!("{STORE}/store"), open);
    let (_, said) = world
        .refused("cosmos.allow", &[("address", text("198.51.100.7"))])
        .await;
    assert!(said.contains("lets everybody connect"), "{said}");

    let subnet = "Microsoft.Network/virtualNetworks/net/subnets/apps";
    let services = json!([{"service": "Microsoft.Storage"}, {"service": "Microsoft.KeyVault"}]);
    server.put(
        "Microsoft.Network/virtualNetworks/net",
        json!({"properties": {"addressSpace": {"addressPrefixes": []}}}),
    );
    server.put(
        subnet,
        json!({"etag": "W/\"7\"", "properties": {"serviceEndpoints": services}}),
    );
    world
        .done(
            "network.keep_service_endpoints",
            &[
                ("network", text("net")),
                ("subnet", text("apps")),
                ("services", texts(&["Microsoft.Storage", "microsoft.keyvault"])),
                ("as_in", texts(&["Microsoft.Storage"])),
            ],
        )
        .await;
    let now = server.resource(subnet)["properties"]["serviceEndpoints"].clone();
    assert_eq!(now, json!([{"service": "Microsoft.Storage"}]));
    // One that was there has gone, and one that was not has come: the list is as long as it was.
    server.put(
        subnet,
        json!({"etag": "W/\"8\"", "properties": {"serviceEndpoints": [{"service": "Microsoft.KeyVault"}]}}),
    );
    world
        .done(
            "network.keep_service_endpoints",
            &[
                ("network", text("net")),
                ("subnet", text("apps")),
                ("services", texts(&["Microsoft.Storage", "Microsoft.KeyVault"])),
                ("as_in", texts(&["Microsoft.Storage"])),
            ],
        )
        .await;
    let now = server.resource(subnet)["properties"]["serviceEndpoints"].clone();
    assert_eq!(now, json!([{"service": "Microsoft.Storage"}]));

    let nsg = "Microsoft.Network/networkSecurityGroups/nsg";
    server.put(nsg, json!({"properties": {}}));
    let rule = json!({"properties": {"priority": 200, "direction": "Outbound", "access": "Deny", "protocol": "*", "sourcePortRange": "1-2",
        "sourceAddressPrefix": "*", "destinationAddressPrefix": "*", "destinationPortRange": "*", "provisioningState": "Succeeded"}});
    server.put(&format!("{nsg}/securityRules/old"), rule);
    let group = ("security_group", text("nsg"));
    let rules = world.read("network.rules", std::slice::from_ref(&group)).await;
    let withdraw = [group.clone(), ("name", text("old")), ("unless_in", rules)];
    assert_eq!(world.done("network.withdraw_rule", &withdraw).await, Value::Bool(false));
    let all = world
        .read(
            "resources.list",
            &[
                ("type", text("Microsoft.Network/networkSecurityGroups/securityRules")),
                ("parent", text("nsg")),
            ],
        )
        .await;
    let named = [group.clone(), ("name", text("old"))];
    world.done("network.remove_rule", &named).await;
    let mut back = named.to_vec();
    back.push(("as_in", all));
    assert_eq!(world.done("network.put_rule_back", &back).await, Value::Bool(true));
    let made = server.resource(&format!("{nsg}/securityRules/old"));
    assert_eq!(made["properties"]["sourcePortRange"], "1-2", "all of it is as it was");
    back[1] = ("name", text("never"));
    assert_eq!(world.done("network.put_rule_back", &back).await, Value::Bool(false));
}

#[tokio::test]
async fn a_role_and_a_permission_are_taken_away_only_when_they_are_new() {
    let server = cloud();
    let world = world(&server);
    let store = server.resource(&format!("{STORE}/store"))["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let role = "7f951dda-4ed3-4680-a7ca-43fe172d538d";
    let given = [
        ("at", text(&store)),
        ("principal", text("00000000-0000-0000-0000-00000000000a")),
        ("role", text(role)),
    ];
    let made = world.done("roles.assign", &given).await;
    assert!(field(&made, "role").as_str().unwrap().ends_with(role));
    // The service says where it was assigned.
    let id = field(&made, "id").as_str().unwrap().to_owned();
    let way = id.split("/providers/").skip(1).collect::<Vec<_>>().join("/providers/");
    let mut document = server.resource(&way);
    document["properties"]["scope"] = json!(store);
    server.kept().resources.insert(id.to_lowercase(), document);
    let listed = world.read("roles.list", &given[..2]).await;
    assert_eq!(items(&listed).len(), 1);
    let mut take = given.to_vec();
    take.push(("unless_in", listed));
    assert_eq!(world.done("roles.unassign", &take).await, Value::Bool(false));
    take[3] = ("unless_in", Value::list(Vec::new()));
    assert_eq!(world.done("roles.unassign", &take).await, Value::Bool(true));
    assert!(items(&world.read("roles.list", &given[..2]).await).is_empty());
    server.kept().resources.insert(
        "graph".to_owned(),
        json!({"id": "o1", "appId": "a1", "displayName": "Studio", "requiredResourceAccess": [
            {"resourceAppId": "api", "resourceAccess": [{"id": "read", "type": "Scope"}, {"id": "write", "type": "Scope"}]}]}),
    );
    let app = ("app", text("a1"));
    let all = field(
        &world.read("graph.application", std::slice::from_ref(&app)).await,
        "permissions",
    );
    let wanted = |unless: Value| {
        [
            app.clone(),
            ("api", text("api")),
            ("permission", text("write")),
            ("kind", text("Scope")),
            ("unless_in", unless),
        ]
    };
    let stays = world.done("graph.withdraw_permission", &wanted(all)).await;
    assert_eq!(items(&field(&stays, "permissions")).len(), 2);
    let gone = world
        .done("graph.withdraw_permission", &wanted(Value::list(Vec::new())))
        .await;
    assert_eq!(items(&field(&gone, "permissions")).len(), 1);
}

#[tokio::test]
async fn names_of_private_endpoints_stand_in_zones() {
    let server = cloud();
    server.put(
        "Microsoft.Network/virtualNetworks/net",
        json!({"properties": {"addressSpace": {"addressPrefixes": []}}}),
    );
    let world = world(&server);
    let zone = ("zone", text("privatelink.documents.azure.com"));
    let none = world.read("network.zones", &[]).await;
    assert!(items(&none).is_empty());
    world.done("network.add_zone", std::slice::from_ref(&zone)).await;
    world.done("network.add_zone", std::slice::from_ref(&zone)).await;
    assert_eq!(server.sent("PUT").len(), 1, "made once");
    let link = [zone.clone(), ("name", text("net")), ("network", text("net"))];
    let before = world.read("network.zone_links", std::slice::from_ref(&zone)).await;
    world.done("network.link_zone", &link).await;
    let links = items(&world.read("network.zone_links", std::slice::from_ref(&zone)).await);
    assert_eq!(field(&links[0], "network"), text("net"));
    let (_, said) = world
        .refused(
            "network.link_zone",
            &[zone.clone(), ("name", text("net")), ("network", text("other"))],
        )
        .await;
    assert!(said.contains("of something else"), "{said}");
    let endpoint = ("endpoint", text("pe"));
    let group = [endpoint.clone(), zone.clone()];
    assert_eq!(world.refused("network.add_zone_group", &group).await.0, Reason::Missing);
    server.put(
        "Microsoft.Network/privateEndpoints/pe",
        json!({"properties": {"provisioningState": "Succeeded"}}),
    );
    world.done("network.add_zone_group", &group).await;
    let groups = items(&world.read("network.zone_groups", std::slice::from_ref(&endpoint)).await);
    assert_eq!(
        items(&field(&groups[0], "zones")),
        [text("privatelink.documents.azure.com")]
    );
    let remove = [endpoint, ("unless_in", Value::list(Vec::new()))];
    assert_eq!(
        world.done("network.remove_zone_group", &remove).await,
        Value::Bool(true)
    );
    let unlink = [zone.clone(), ("name", text("net")), ("unless_in", before)];
    assert_eq!(world.done("network.unlink_zone", &unlink).await, Value::Bool(true));
    let kept = world.read("network.zones", &[]).await;
    let keep = [zone.clone(), ("unless_in", kept)];
    assert_eq!(
        world.done("network.remove_zone", &keep).await,
        Value::Bool(false),
        "it was there before"
    );
    let away = [zone, ("unless_in", none)];
    assert_eq!(world.done("network.remove_zone", &away).await, Value::Bool(true));
    let found: Json = json_of(
        &world
            .read("resources.list", &[("type", text("Microsoft.Network/privateDnsZones"))])
            .await,
    );
    assert_eq!(found, json!([]));
}
