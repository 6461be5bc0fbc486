//! Every provider that reaches something, pointed at one server, with a canary for its credential.

use super::peer::Peer;
use super::{CANARY, interface, is_read};
use starr::provider::Provider;
use starr::providers::alertmanager::Alertmanager;
use starr::providers::app::App;
use starr::providers::aws::Aws;
use starr::providers::azure::Azure;
use starr::providers::dns::Dns;
use starr::providers::docker::Docker;
use starr::providers::github::GitHub;
use starr::providers::http::Http;
use starr::providers::jaeger::Jaeger;
use starr::providers::jwt::Jwt;
use starr::providers::kubernetes::Kubernetes;
use starr::providers::notify::chat::Chat;
use starr::providers::notify::mail::Mail;
use starr::providers::notify::pager::Pager;
use starr::providers::postgres::Postgres;
use starr::providers::prometheus::Prometheus;
use starr::providers::redis::Redis;
use starr::providers::status_page::StatusPage;
use starr::providers::tls::Tls;
use starr::value::{Secret, Value};
use std::sync::Arc;

/// The name of everything in the configurations below.
pub const HERE: &str = "here";

/// How the server of a provider speaks.
pub struct Wire {
    /// The beginning of an answer that never ends.
    pub endless: &'static [u8],
    /// An answer that is none.
    pub nonsense: &'static [u8],
    /// What comes before an error of the protocol.
    pub error: &'static [u8],
    /// What never ends here is not the protocol's: it is no answer before it is too long.
    pub endless_is_nonsense: bool,
}

/// A document that never ends.
const HTTP: Wire = Wire {
    endless: b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"a\":\"",
    nonsense: b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 12\r\n\r\n <html>\x00{]\xff\xfe",
    error: b"HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\n\r\n",
    endless_is_nonsense: false,
};

/// A provider and what its calls are given besides what is harmless.
pub struct Target {
    pub provider: Arc<dyn Provider>,
    pub wire: Wire,
    /// By parameter, or by operation and parameter (`settings.set.to`).
    pub given: Vec<(&'static str, Value)>,
    /// Operations that ask nobody.
    pub asks_nobody: &'static [&'static str],
    /// Whether the server sees the credential as it is: not where it signs, or waits for the server to speak first.
    pub shows_credential: bool,
}

fn json(name: &'static str, document: serde_json::Value) -> (&'static str, Value) {
    (name, Value::Json(Arc::new(document)))
}

fn texts(name: &'static str, all: &[&str]) -> (&'static str, Value) {
    (name, Value::list(all.iter().map(|text| Value::text(*text)).collect()))
}

/// An hour.
fn hour(name: &'static str) -> (&'static str, Value) {
    (name, Value::Duration(3_600_000_000_000))
}

/// A program in a container or pod.
const PROGRAMS: &str = "programs: [/bin/true], contracts: { look: { program: /bin/true, does: read }, change: { program: /bin/true, does: change } }";

fn program(name: &'static str, program: &str) -> (&'static str, Value) {
    let (kind, program) = ("Program".into(), program.into());
    (name, Value::Resource { kind, name: program })
}

fn text(name: &'static str, text: &str) -> (&'static str, Value) {
    (name, Value::text(text))
}

/// The names of the providers that reach nothing beyond this machine.
pub const WITHOUT: &[&str] = &["host", "exec"];

/// A provider with the server as its only target.
///
/// # Panics
/// For a provider that is not here: each that is new has its row.
pub fn target(name: &str, peer: &Peer) -> Target {
    let secret = peer.secret("secret", CANARY).display().to_string();
    let (port, file) = (peer.port, format!("{{ file: {secret} }}"));
    let url = format!("http://127.0.0.1:{port}");
    let endpoint = format!("{{ url: \"{url}\", bearer: {file} }}");
    let servers = format!("servers: {{ {HERE}: {endpoint} }}");
    let http = |provider: Arc<dyn Provider>| Target {
        provider,
        wire: HTTP,
        given: Vec::new(),
        asks_nobody: &[],
        shows_credential: true,
    };
    match name {
        "http" => Target {
            given: vec![text("origin", "https://app.example.org"), text("method", "POST")],
            // A plain endpoint has none.
            asks_nobody: &["certificate"],
            ..http(Arc::new(
                Http::new(&yaml(&format!("endpoints: {{ {HERE}: {endpoint} }}"))).unwrap(),
            ))
        },
        "chat" => http(Arc::new(
            Chat::new(&yaml(&format!(
                "channels: {{ {HERE}: {{ url: \"{url}\", secret_path: {{ file: {} }} }} }}",
                peer.secret("path", &format!("/services/{CANARY}")).display()
            )))
            .unwrap(),
        )),
        "pager" => http(Arc::new(
            Pager::new(&yaml(&format!("services: {{ {HERE}: {{ url: \"{url}\", routing_key: {file} }} }}"))).unwrap(),
        )),
        "mail" => Target {
            wire: Wire {
                endless: b"220-",
                nonsense: b"\x00\xff<html>\r\n",
                error: b"554 ",
                ..HTTP
            },
            // The server speaks first, and a login is said only to one that knows how.
            shows_credential: false,
            ..http(Arc::new(
                Mail::new(&yaml(&format!(
                    "server: {{ host: 127.0.0.1, port: {port}, tls: none, from: a@example.org, user: u, password: {file} }}\n\
                     boxes: {{ {HERE}: [b@example.org] }}"
                )))
                .unwrap(),
            ))
        },
        "kubernetes" => Target {
            given: vec![
                text("resource", "pods"),
                text("api", "v1"),
                text("verb", "get"),
                text("to", "2"),
                text("name", "web"),
                text("key", "k"),
                text("selector", "app=web"),
                json("patch", serde_json::json!({"spec": {"a": 1}})),
                json(
                    "manifest",
                    serde_json::json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}}),
                ),
                texts("argv", &["/bin/true"]),
                program("pods.ask.program", "look"),
                program("pods.run.program", "change"),
            ],
            ..http(Arc::new(
                Kubernetes::new(yaml(&format!(
                    "clusters: {{ cluster: {{ server: \"{url}\", token: {file}, {PROGRAMS} }} }}\nnamespaces: {{ {HERE}: {{ cluster: cluster }} }}"
                )))
                .unwrap(),
            ))
        },
        "postgres" => Target {
            given: vec![text("settings.set.name", "work_mem"), text("settings.set.to", "4MB")],
            wire: Wire {
                // Let in without a password; then a parameter of 2 GiB.
                endless: b"R\0\0\0\x08\0\0\0\0S\x7f\xff\xff\xff",
                nonsense: b"\x00\xff<html>\r\n",
                error: b"E\0\0\x10\0SFATAL\0C28P01\0M",
                ..HTTP
            },
            shows_credential: false,
            ..http(Arc::new(
                Postgres::new(yaml(&format!(
                    "databases: {{ {HERE}: {{ host: 127.0.0.1, port: {port}, database: d, read: {{ user: r, password: {file} }}, \
                     change: {{ user: c, password: {file} }} }} }}"
                )))
                .unwrap(),
            ))
        },
        "prometheus" => Target {
            given: vec![text("histogram", "request_seconds")],
            ..http(Arc::new(Prometheus::new(&yaml(&servers)).unwrap()))
        },
        "alertmanager" => Target {
            given: vec![json("matching", serde_json::json!({"alertname": "A"})), hour("lasting")],
            ..http(Arc::new(Alertmanager::new(&yaml(&servers)).unwrap()))
        },
        "jaeger" => Target {
            given: vec![text("id", "abc")],
            ..http(Arc::new(Jaeger::new(&yaml(&servers)).unwrap()))
        },
        "docker" => Target {
            given: vec![
                texts("argv", &["/bin/true"]),
                program("containers.ask.program", "look"),
                program("containers.run.program", "change"),
                text("images.pull.name", "shop/api:v1"),
                (
                    "volumes",
                    Value::list(vec![Value::record(
                        "Volume",
                        vec![
                            (
                                "engine",
                                Value::Resource {
                                    kind: "Engine".into(),
                                    name: HERE.into(),
                                },
                            ),
                            ("name", Value::text("data")),
                            ("driver", Value::text("local")),
                            ("project", Value::None),
                            ("created", Value::Time(jiff::Timestamp::UNIX_EPOCH)),
                        ],
                    )]),
                ),
            ],
            shows_credential: false,
            ..http(Arc::new(
                Docker::new(yaml(&format!("engines: {{ {HERE}: {{ socket: {}, {PROGRAMS} }} }}", peer.socket.display()))).unwrap(),
            ))
        },
        "app" => {
            let nothing = App::new(&Default::default(), &Default::default()).unwrap();
            let calls: Vec<String> = interface(&nothing)
                .iter()
                .map(|operation| {
                    let method = if is_read(operation) { "get" } else { "post" };
                    format!("{}: {{ {method}: /x }}", operation.path)
                })
                .collect();
            let config = format!(
                "services: {{ {HERE}: {{ endpoint: {endpoint}, calls: {{ {} }} }} }}",
                calls.join(", ")
            );
            http(Arc::new(App::new(&yaml(&config), &Default::default()).unwrap()))
        }
        "dns" => Target {
            wire: Wire {
                // Asked again over TCP: there a reply has 64 KiB, the most there is.
                endless: b"\xff\xff",
                nonsense: b"\xff\xff\xff\xff",
                error: b"",
                endless_is_nonsense: true,
            },
            given: vec![text("name", "example.org")],
            shows_credential: false,
            ..http(Arc::new(
                Dns::new(&yaml(&format!("servers: {{ {HERE}: {{ address: 127.0.0.1, port: {port} }} }}"))).unwrap(),
            ))
        },
        "jwt" => Target {
            given: vec![(
                "token",
                Value::Secret(Secret::new(Value::text(
                    "eyJhbGciOiJFZERTQSIsImtpZCI6Im9uZSJ9.eyJzdWIiOiJhIn0.AAAA",
                ))),
            )],
            asks_nobody: &["decode"],
            ..http(Arc::new(
                Jwt::new(&yaml(&format!(
                    "keys: {{ {HERE}: {{ endpoint: {endpoint}, algorithms: [EdDSA] }} }}"
                )))
                .unwrap(),
            ))
        },
        "aws" => Target {
            given: vec![json("dimensions", serde_json::json!({"Service": "web"}))],
            shows_credential: false,
            ..http(Arc::new(
                Aws::new(&yaml(&format!(
                    "accounts: {{ {HERE}: {{ region: eu-west-1, endpoint: \"{url}\", credentials: {{ keys: {{ id: {{ file: {} }}, secret: {file} }} }} }} }}",
                    peer.secret("id", "AKIAIOSFODNN7EXAMPLE").display()
                )))
                .unwrap(),
            ))
        },
        "azure" => {
            const SCOPE: &str = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg/providers/Microsoft.App/containerApps/api";
            let contact = serde_json::json!({"first_name": "A", "last_name": "B", "email": "a@b.example", "time_zone": "UTC", "country": "usa",
                "language": "en-us"});
            let given = vec![
                text("type", "Microsoft.App/containerApps"),
                text("action", "start"),
                text("resources.ask.type", "Microsoft.App/managedEnvironments"),
                text("resources.ask.action", "checkNameAvailability"),
                json("resources.update.to", serde_json::json!({"properties": {}})),
                json("resources.put.to", serde_json::json!({"properties": {}})),
                json("template", serde_json::json!({"resources": []})),
                hour("over"),
                json("variables", serde_json::json!({"LEVEL": "info"})),
                ("cosmos.set_throughput.to", Value::Int(400)),
                text("address", "203.0.113.7"),
                ("priority", Value::Int(200)),
                texts("servers", &["10.0.0.4"]),
                text("target", SCOPE),
                text("at", SCOPE),
                (
                    "id",
                    Value::text(format!(
                        "{SCOPE}/providers/Microsoft.Authorization/roleAssignments/00000000-0000-0000-0000-000000000005"
                    )),
                ),
                text("origin", "https://app.example.org"),
                text("signalr.set_mode.to", "Default"),
                json("contact", contact),
                ("unless_in", Value::list(Vec::new())),
                json("as_in", serde_json::json!([{"name": "no-such-thing.invalid"}])),
                (
                    "apps.split_traffic.to",
                    Value::list(vec![Value::record(
                        "TrafficShare",
                        vec![
                            ("revision", Value::text("api--1")),
                            ("weight", Value::Int(100)),
                            ("label", Value::None),
                        ],
                    )]),
                ),
            ];
            let place = format!("{{ subscription: {HERE}, name: abc, server: {{ url: \"{url}\" }} }}");
            Target {
            given,
            ..http(Arc::new(
                Azure::new(yaml(&format!(
                    "subscriptions: {{ {HERE}: {{ id: 00000000-0000-0000-0000-000000000001, tenant: 00000000-0000-0000-0000-000000000002, \
                     credential: {{ client: 00000000-0000-0000-0000-000000000003, secret: {file} }}, \
                     endpoints: {{ manager: {{ url: \"{url}\" }}, login: {{ url: \"{url}\" }}, logs: {{ url: \"{url}\" }}, insights: {{ url: \"{url}\" }}, \
                     graph: {{ url: \"{url}\" }} }} }} }}\n\
                     groups: {{ {HERE}: {{ subscription: {HERE}, name: rg }} }}\n\
                     workspaces: {{ {HERE}: {{ subscription: {HERE}, workspace: 00000000-0000-0000-0000-000000000004 }} }}\n\
                     vaults: {{ {HERE}: {place} }}\nregistries: {{ {HERE}: {place} }}"
                )))
                .unwrap(),
            ))
            }
        }
        "github" => http(Arc::new(
            GitHub::new(&yaml(&format!(
                "repositories: {{ {HERE}: {{ repository: a/b, token: {file}, url: \"{url}\" }} }}"
            )))
            .unwrap(),
        )),
        "status_page" => http(Arc::new(
            StatusPage::new(&yaml(&format!("pages: {{ {HERE}: {{ page: abc, api_key: {file}, url: \"{url}\" }} }}"))).unwrap(),
        )),
        "tls" => Target {
            wire: Wire {
                // A handshake record of the greatest length there is, and another.
                endless: b"\x16\x03\x03\x40\x00",
                nonsense: b"\x00\xff<html>\r\n",
                error: b"\x15\x03\x03\0\x02\x02\x28",
                endless_is_nonsense: true,
            },
            shows_credential: false,
            // Files of this machine.
            asks_nobody: &["files.read", "files.verify", "files.fits_key"],
            ..http(Arc::new(
                Tls::new(&yaml(&format!("servers: {{ {HERE}: {{ host: 127.0.0.1, port: {port} }} }}"))).unwrap(),
            ))
        },
        "redis" => Target {
            given: vec![hour("after"), text("settings.set.name", "maxmemory"), text("settings.set.to", "1")],
            wire: Wire {
                endless: b"$536870912\r\n",
                nonsense: b"\x00\xff<html>\r\n",
                error: b"-ERR ",
                ..HTTP
            },
            ..http(Arc::new(
                Redis::new(yaml(&format!(
                    "servers: {{ {HERE}: {{ host: 127.0.0.1, port: {port}, read: {{ user: r, password: {file} }}, \
                     change: {{ user: c, password: {file} }}, settings: [maxmemory] }} }}"
                )))
                .unwrap(),
            ))
        },
        other => panic!("`{other}` has no row: point it at the server"),
    }
}

fn yaml<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_yaml::from_str(text).unwrap_or_else(|problem| panic!("{problem}\n{text}"))
}
