//! Changes: merged where the service would replace, refused where they would hurt, found done when they are made again.

use super::server::Server;
use super::{STORE, app, cloud, document, json_of, text, texts, world};
use crate::support::gated::{field, items};
use serde_json::json;
use starr::provider::Outcome;
use starr::value::{Reason, Value};

const GROUP: &str = "Microsoft.Network/networkSecurityGroups/nsg";

#[tokio::test]
async fn parts_of_an_app_change_and_the_rest_stays() {
    let server = cloud();
    let world = world(&server);
    let scaled = world
        .done("apps.scale", &[("min", Value::Int(3)), ("max", Value::Int(10))])
        .await;
    assert_eq!(field(&scaled, "min_replicas"), Value::Int(3));
    world
        .done(
            "apps.scale_by_requests",
            &[("rule", text("http-rule")), ("concurrency", Value::Int(10))],
        )
        .await;
    let size = |memory| {
        [
            ("container", text("api")),
            ("cpu", Value::float(1.0)),
            ("memory", Value::Bytes(memory)),
        ]
    };
    world.done("apps.size", &size(2 << 30)).await;
    let (why, said) = world.refused("apps.size", &size(8 << 30)).await;
    assert_eq!(why, Reason::Unparsable);
    assert!(said.contains("only these pairs"), "{said}");
    let variables = document(json!({"LEVEL": "debug", "KEY": "secret:db"}));
    world
        .done("apps.set", &[("container", text("api")), ("variables", variables)])
        .await;
    world
        .done(
            "apps.listen",
            &[("port", Value::Int(9000)), ("transport", text("http2"))],
        )
        .await;
    let now = server.resource("Microsoft.App/containerApps/api");
    let template = &now["properties"]["template"];
    assert_eq!(template["scale"]["maxReplicas"], 10);
    assert_eq!(template["scale"]["rules"].as_array().unwrap().len(), 2);
    assert_eq!(
        template["containers"][0]["resources"],
        json!({"cpu": 1.0, "memory": "2Gi"})
    );
    assert_eq!(
        template["containers"][0]["env"],
        json!([{"name": "LEVEL", "value": "debug"}, {"name": "DB", "secretRef": "db"}, {"name": "KEY", "secretRef": "db"}])
    );
    assert!(
        template.get("revisionSuffix").is_none(),
        "the name of a revision is taken once"
    );
    assert_eq!(now["properties"]["configuration"]["ingress"]["targetPort"], 9000);
    assert_eq!(now["properties"]["configuration"]["secrets"], json!([{"name": "db"}]));
    // What is as it should be is not sent.
    let before = server.sent("PATCH").len();
    world
        .done("apps.scale", &[("min", Value::Int(3)), ("max", Value::Int(10))])
        .await;
    assert_eq!(server.sent("PATCH").len(), before);
    for wrong in [
        [("min", 5), ("max", 2)],
        [("min", -1), ("max", 2)],
        [("min", 0), ("max", 0)],
    ] {
        let wrong = wrong.map(|(name, number)| (name, Value::Int(number)));
        assert_eq!(world.refused("apps.scale", &wrong).await.0, Reason::Unparsable);
    }
}

#[tokio::test]
async fn what_answers_is_never_switched_off() {
    let server = cloud();
    let world = world(&server);
    let of = |name: &str| [("revision", text(name))];
    let (_, said) = world.refused("apps.deactivate", &of("api--1")).await;
    assert!(said.contains("100 % of the traffic"), "{said}");
    let off = world.done("apps.deactivate", &of("api--2")).await;
    assert_eq!(field(&off, "active"), Value::Bool(false));
    let (_, said) = world.refused("apps.send_traffic", &of("api--2")).await;
    assert!(said.contains("not active"), "{said}");
    world.done("apps.activate", &of("api--2")).await;
    world.done("apps.send_traffic", &of("api--2")).await;
    let now = server.resource("Microsoft.App/containerApps/api");
    assert_eq!(
        now["properties"]["configuration"]["ingress"]["traffic"],
        json!([{"revisionName": "api--2", "weight": 100}])
    );
    world.done("apps.restart", &of("api--2")).await;
    assert_eq!(
        server.resource("Microsoft.App/containerApps/api/revisions/api--2")["properties"]["restarts"],
        1
    );
    assert_eq!(world.refused("apps.restart", &of("nobody")).await.0, Reason::Missing);
}

#[tokio::test]
async fn addresses_of_a_store_are_merged() {
    let server = cloud();
    let world = world(&server);
    let of = |address: &str| [("address", text(address))];
    let now = world.done("cosmos.allow", &of("198.51.100.7")).await;
    assert_eq!(
        items(&field(&now, "addresses")),
        [text("203.0.113.1"), text("198.51.100.7")]
    );
    for wide in ["40.112.0.0/16", "0.0.0.0"] {
        assert_eq!(
            world.refused("cosmos.allow", &of(wide)).await.0,
            Reason::Unparsable,
            "{wide}"
        );
    }
    world.done("cosmos.disallow", &of("203.0.113.1")).await;
    let (_, said) = world.refused("cosmos.disallow", &of("198.51.100.7")).await;
    assert!(said.contains("last address"), "{said}");
    world
        .done("cosmos.set_public_access", &[("to", Value::variant("disabled"))])
        .await;
    assert_eq!(
        server.resource(&format!("{STORE}/store"))["properties"]["publicNetworkAccess"],
        "Disabled"
    );
}

#[tokio::test]
async fn throughput_is_set_in_the_kind_that_it_has() {
    let server = cloud();
    let place = format!("{STORE}/store/sqlDatabases/shop/throughputSettings/default");
    let manual =
        json!({"location": "East US", "properties": {"resource": {"throughput": 400, "minimumThroughput": "400"}}});
    server.put(&place, manual);
    let world = world(&server);
    let database = ("database", text("shop"));
    let found = world.read("cosmos.throughput", std::slice::from_ref(&database)).await;
    assert_eq!(field(&found, "manual"), Value::Int(400));
    assert_eq!(field(&found, "autoscale_max"), Value::None);
    let set = |to, kind: &str| [database.clone(), ("to", Value::Int(to)), ("kind", Value::variant(kind))];
    let (_, said) = world.refused("cosmos.set_throughput", &set(4000, "autoscale")).await;
    assert!(said.contains("migrate it first"), "{said}");
    world.done("cosmos.set_throughput", &set(800, "manual")).await;
    assert_eq!(server.resource(&place)["properties"]["resource"]["throughput"], 800);
    let moved = world
        .done(
            "cosmos.migrate_throughput",
            &[database.clone(), ("to", Value::variant("autoscale"))],
        )
        .await;
    assert_eq!(field(&moved, "autoscale_max"), Value::Int(4000));
    for wrong in [450, 100, 4100] {
        assert_eq!(
            world.refused("cosmos.set_throughput", &set(wrong, "autoscale")).await.0,
            Reason::Unparsable
        );
    }
}

fn network() -> Server {
    let server = cloud();
    server.put(GROUP, json!({"properties": {}}));
    server.put(
        &format!("{GROUP}/securityRules/deny-all"),
        json!({"properties": {"priority": 200, "direction": "Outbound", "access": "Deny", "protocol": "*", "sourceAddressPrefix": "*",
            "destinationAddressPrefix": "*", "sourcePortRange": "*", "destinationPortRange": "*", "provisioningState": "Succeeded"}}),
    );
    server.put(
        "Microsoft.Network/virtualNetworks/net",
        json!({"etag": "W/\"1\"", "location": "East US", "properties": {"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
            "dhcpOptions": {"dnsServers": ["10.0.0.4"]}, "subnets": [{"name": "apps"}]}}),
    );
    server.put(
        "Microsoft.Network/virtualNetworks/net/subnets/apps",
        json!({"etag": "W/\"7\"", "properties": {"addressPrefix": "10.0.1.0/24", "networkSecurityGroup": {"id": "/x/nsg"},
            "serviceEndpoints": [{"service": "Microsoft.Storage", "locations": ["eastus"]}]}}),
    );
    server
}

#[tokio::test]
async fn rules_and_lists_of_a_network_are_merged() {
    let server = network();
    let world = world(&server);
    let rule = |name: &str, priority: i64| {
        vec![
            ("security_group", text("nsg")),
            ("name", text(name)),
            ("priority", Value::Int(priority)),
            ("access", Value::variant("allow")),
            ("direction", Value::variant("outbound")),
            ("ports", texts(&["443"])),
            ("destinations", texts(&["AzureCosmosDB"])),
        ]
    };
    let (_, said) = world.refused("network.add_rule", &rule("store", 200)).await;
    assert!(said.contains("that of the rule `deny-all`"), "{said}");
    let (_, said) = world.refused("network.add_rule", &rule("deny-all", 100)).await;
    assert!(said.contains("another meaning"), "{said}");
    let asked = [
        ("security_group", text("nsg")),
        ("direction", Value::variant("outbound")),
        ("port", Value::Int(443)),
        ("peer", text("AzureCosmosDB")),
    ];
    let says = async || {
        let says = world.read("network.verdict", &asked).await;
        ["access", "rule", "priority"].map(|name| field(&says, name))
    };
    assert_eq!(says().await, [text("Deny"), text("deny-all"), Value::Int(200)]);
    world.done("network.add_rule", &rule("store", 110)).await;
    world.done("network.add_rule", &rule("store", 110)).await;
    assert_eq!(says().await, [text("Allow"), text("store"), Value::Int(110)]);
    assert_eq!(server.sent("PUT").len(), 1, "made once");
    let rules = items(&world.read("network.rules", &[("security_group", text("nsg"))]).await);
    assert_eq!(rules.len(), 2);
    let subnet = [("network", text("net")), ("subnet", text("apps"))];
    let mut more = subnet.to_vec();
    more.push(("services", texts(&["Microsoft.AzureCosmosDB", "microsoft.storage"])));
    let now = world.done("network.add_service_endpoints", &more).await;
    assert_eq!(
        items(&field(&now, "service_endpoints")),
        [text("Microsoft.Storage"), text("Microsoft.AzureCosmosDB")]
    );
    assert_eq!(items(&field(&now, "addresses")), [text("10.0.1.0/24")]);
    let put = server.sent("PUT").pop().unwrap();
    assert_eq!(put.headers["if-match"], "W/\"7\"");
    let dns = [("network", text("net")), ("servers", texts(&[]))];
    let now = world.done("network.set_dns", &dns).await;
    assert_eq!(items(&field(&now, "dns_servers")), Vec::<Value>::new());
    assert_eq!(
        field(&world.read("network.get", &[("network", text("net"))]).await, "state"),
        text("Succeeded")
    );
    let gone = [("security_group", text("nsg")), ("name", text("store"))];
    assert_eq!(world.done("network.remove_rule", &gone).await, Value::Bool(true));
    assert_eq!(world.done("network.remove_rule", &gone).await, Value::Bool(true));
}

#[tokio::test]
async fn another_version_is_not_overwritten() {
    let server = network();
    let world = world(&server);
    let put = |version: &str| {
        [
            ("type", text("Microsoft.Network/virtualNetworks")),
            ("name", text("net")),
            (
                "to",
                document(json!({"properties": {"dhcpOptions": {"dnsServers": []}}})),
            ),
            ("version", text(version)),
        ]
    };
    let (_, said) = world.refused("resources.put", &put("W/\"0\"")).await;
    assert!(said.contains("412") && said.contains("PreconditionFailed"), "{said}");
    let now = json_of(&world.done("resources.put", &put("W/\"1\"")).await);
    assert_eq!(now["properties"]["dhcpOptions"]["dnsServers"], json!([]));
}

#[tokio::test]
async fn a_private_endpoint_a_role_and_a_ticket_are_made_once() {
    let server = network();
    let world = world(&server);
    let store = server.resource(&format!("{STORE}/store"))["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let endpoint = [
        ("name", text("pe-store")),
        ("network", text("net")),
        ("subnet", text("apps")),
        ("target", text(&store)),
        ("kind", text("Sql")),
        ("location", text("East US")),
    ];
    world.done("network.add_private_endpoint", &endpoint).await;
    world.done("network.add_private_endpoint", &endpoint).await;
    assert_eq!(server.sent("PUT").len(), 1);
    let role = format!(
        "/subscriptions/{}/providers/Microsoft.Authorization/roleDefinitions/r",
        super::server::SUBSCRIPTION
    );
    let assign = |at: &str| {
        [
            ("at", text(at)),
            ("principal", text("00000000-0000-0000-0000-00000000000a")),
            ("role", text(&role)),
        ]
    };
    let (_, said) = world.refused("roles.assign", &assign("")).await;
    assert!(said.contains("one resource"), "{said}");
    assert_eq!(
        world
            .refused("roles.assign", &assign("/subscriptions/other/providers/x/y/z"))
            .await
            .0,
        Reason::Denied
    );
    let first = world.done("roles.assign", &assign(&store)).await;
    let second = world.done("roles.assign", &assign(&store)).await;
    assert_eq!(
        field(&first, "name"),
        field(&second, "name"),
        "the name follows from the key"
    );
    let id = field(&first, "id");
    let id = id.as_str().unwrap();
    assert_eq!(world.done("roles.remove", &[("id", text(id))]).await, Value::Bool(true));
    assert_eq!(
        world.refused("roles.remove", &[("id", text(&store))]).await.0,
        Reason::Unparsable
    );
    let contact = json!({"first_name": "A", "last_name": "B", "email": "a@team.example", "time_zone": "UTC", "country": "usa", "language": "en-us"});
    let ticket = |contact: serde_json::Value| {
        [
            ("title", text("Quota")),
            ("description", text("More")),
            ("severity", Value::variant("minimal")),
            ("service", text("s")),
            ("problem", text("p")),
            ("contact", document(contact)),
        ]
    };
    let (_, said) = world.refused("support.open", &ticket(json!({}))).await;
    assert!(said.contains("`first_name`"), "{said}");
    let made = world.done("support.open", &ticket(contact.clone())).await;
    assert_eq!(field(&made, "title"), text("Quota"));
    let before = server.sent("PUT").len();
    world.done("support.open", &ticket(contact)).await;
    assert_eq!(server.sent("PUT").len(), before);
    assert_eq!(items(&world.read("support.tickets", &[]).await).len(), 1);
}

#[tokio::test]
async fn origins_and_modes_of_signalr_and_permissions_of_an_application() {
    let server = cloud();
    server.put(
        "Microsoft.SignalRService/signalR/hub",
        json!({"properties": {"provisioningState": "Succeeded", "hostName": "hub.service.signalr.net",
            "features": [{"flag": "ServiceMode", "value": "Serverless"}, {"flag": "EnableMessagingLogs", "value": "True"}],
            "cors": {"allowedOrigins": ["https://old.example.org"]}}}),
    );
    let world = world(&server);
    let hub = ("name", text("hub"));
    let now = world
        .done(
            "signalr.allow_origin",
            &[hub.clone(), ("origin", text("https://app.example.org"))],
        )
        .await;
    assert_eq!(items(&field(&now, "origins")).len(), 2);
    assert_eq!(
        world
            .refused("signalr.allow_origin", &[hub.clone(), ("origin", text("*"))])
            .await
            .0,
        Reason::Unparsable
    );
    let now = world
        .done("signalr.set_mode", &[hub.clone(), ("to", text("Default"))])
        .await;
    assert_eq!(field(&now, "mode"), text("Default"));
    let features = server.resource("Microsoft.SignalRService/signalR/hub")["properties"]["features"].clone();
    assert_eq!(features.as_array().unwrap().len(), 2);
    server.kept().resources.insert(
        "graph".to_owned(),
        json!({"id": "o1", "appId": "a1", "displayName": "Studio", "requiredResourceAccess": [
            {"resourceAppId": "api", "resourceAccess": [{"id": "read", "type": "Scope"}]}]}),
    );
    let app = ("app", text("a1"));
    let found = world.read("graph.application", std::slice::from_ref(&app)).await;
    assert_eq!(items(&field(&found, "permissions")).len(), 1);
    let ask = [app, ("api", text("api")), ("permission", text("write"))];
    let now = world.done("graph.request_permission", &ask).await;
    assert_eq!(items(&field(&now, "permissions")).len(), 2);
    world.done("graph.request_permission", &ask).await;
    assert_eq!(
        server
            .sent("PATCH")
            .iter()
            .filter(|asked| asked.path.contains("/v1.0/"))
            .count(),
        1
    );
}

#[tokio::test]
async fn any_type_is_changed_and_removed_as_its_table_allows() {
    let server = cloud();
    let world = world(&server);
    let of = |kind: &str, name: &str| vec![("type", text(kind)), ("name", text(name))];
    let mut update = of(super::APP, "api");
    update.push(("to", document(json!({"tags": {"a": "b"}}))));
    assert_eq!(
        json_of(&world.done("resources.update", &update).await)["tags"]["a"],
        "b"
    );
    let mut wrong = of("Microsoft.App/containerApps/revisions", "api/api--1");
    wrong.push(("to", document(json!({}))));
    assert_eq!(world.refused("resources.update", &wrong).await.0, Reason::Unparsable);
    let mut act = of("Microsoft.App/containerApps/revisions", "api/api--1");
    act.push(("action", text("restart")));
    world.done("resources.act", &act).await;
    assert_eq!(
        world.done("resources.delete", &of(super::APP, "api")).await,
        Value::Bool(true)
    );
    assert_eq!(
        world.done("resources.delete", &of(super::APP, "api")).await,
        Value::Bool(true)
    );
    // A server error after sending: nobody knows.
    server.put("Microsoft.App/containerApps/api", app(1, 3));
    let call = world.call("resources.update", &update, std::time::Duration::from_secs(30));
    assert!(matches!(world.gate.change(&call).await, Outcome::Done(_)));
}
