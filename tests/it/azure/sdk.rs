//! The server of these tests, read by Microsoft's own clients: what they make of it is what we make of it.

use super::cloud;
use super::server::{SUBSCRIPTION, TOKEN, WORKSPACE};
use serde_json::{Value as Json, json};
use std::path::Path;
use std::process::Command;

/// Where `scripts/setup` puts the clients.
const CLIENTS: &str = "/opt/starr-tests/azure";

#[test]
fn the_official_clients_read_the_same_server_without_complaint() {
    assert!(
        Path::new(CLIENTS).join("azure/mgmt/appcontainers").is_dir(),
        "run scripts/setup"
    );
    let server = cloud();
    server.put("Microsoft.Network/networkSecurityGroups/nsg", json!({"properties": {}}));
    server.put(
        "Microsoft.Network/networkSecurityGroups/nsg/securityRules/deny-all",
        json!({"properties": {"priority": 200, "direction": "Outbound", "access": "Deny", "protocol": "*", "sourceAddressPrefix": "*",
            "destinationAddressPrefix": "*", "sourcePortRange": "*", "destinationPortRange": "*", "provisioningState": "Succeeded"}}),
    );
    server.put(
        "Microsoft.Cache/redis/cache",
        json!({"location": "East US", "properties": {"provisioningState": "Succeeded", "hostName": "cache.redis.cache.windows.net", "port": 6379,
            "sslPort": 6380, "enableNonSslPort": false, "sku": {"name": "Standard", "family": "C", "capacity": 1}}}),
    );
    server.put(
        "Microsoft.SignalRService/signalR/hub",
        json!({"location": "East US", "properties": {"provisioningState": "Succeeded", "hostName": "hub.service.signalr.net",
            "features": [{"flag": "ServiceMode", "value": "Default"}], "cors": {"allowedOrigins": ["https://app.example.org"]}}}),
    );
    server.kept().later = Some("Azure-AsyncOperation");
    let output = Command::new("python3")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/azure/sdk.py"))
        .args([&server.url(), SUBSCRIPTION, TOKEN, WORKSPACE])
        .env("PYTHONPATH", CLIENTS)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let said: Json = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{errors}"));
    assert_eq!(said["app"], json!(["api", 1, 8080, "1Gi"]));
    assert_eq!(said["revisions"], json!([["api--1", true], ["api--2", true]]));
    assert_eq!(said["scaled"], 7);
    assert_eq!(said["missing"], json!([404, "ResourceNotFound"]));
    assert_eq!(said["store"], json!(["store", "Continuous", "203.0.113.1"]));
    assert_eq!(said["rules"], json!([["deny-all", 200, "Deny"]]));
    assert_eq!(said["cache"], json!(["cache.redis.cache.windows.net", 6380]));
    assert_eq!(
        said["hub"],
        json!(["hub.service.signalr.net", ["https://app.example.org"]])
    );
    assert_eq!(said["roles"], 0);
}
