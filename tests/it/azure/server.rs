//! A server that answers as the resource manager and the services beside it do: tokens, versions of interfaces, operations that go on after the
//! reply, pages, `etag`, throttling, errors as documents.

use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};

pub const SUBSCRIPTION: &str = "00000000-0000-0000-0000-000000000001";
pub const TENANT: &str = "team.example";
pub const CLIENT: &str = "00000000-0000-0000-0000-000000000002";
pub const WORKSPACE: &str = "00000000-0000-0000-0000-000000000004";
/// What no output may hold.
pub const SECRET: &str = "canary-of-a-client-secret";
pub const TOKEN: &str = "canary-of-an-access-token";
pub const VALUE: &str = "canary-of-a-vault";

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Asked {
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    pub fn form(&self, name: &str) -> String {
        let mut pairs = url::form_urlencoded::parse(self.body.as_bytes());
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    }
}

/// What is answered.
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Json,
}

pub fn reply(status: u16, body: Json) -> Reply {
    Reply {
        status,
        headers: Vec::new(),
        body,
    }
}

pub fn error(status: u16, code: &str, message: &str) -> Reply {
    reply(status, json!({"error": {"code": code, "message": message}}))
}

impl Reply {
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }
}

/// What there is.
#[derive(Default)]
pub struct Kept {
    /// Resources by their id, in lower case.
    pub resources: BTreeMap<String, Json>,
    /// Operations that go on: how often they still say so, the state they end in, and what they answer then.
    pub running: BTreeMap<String, (usize, &'static str, Json)>,
    /// How often the next requests are turned away as too many.
    pub busy: usize,
    /// The wait that is named then, in seconds.
    pub hint: u64,
    /// Changes answer 202 with this header and are done later.
    pub later: Option<&'static str>,
    /// How an operation that goes on ends.
    pub ends: &'static str,
    /// How often it says before that it goes on.
    pub rounds: usize,
    /// The next page is on another server.
    pub stranger: bool,
    /// A list has no end.
    pub endless: bool,
    /// Rows of the next query.
    pub table: Json,
    /// Rows of queries in which these words stand, in the place of `table`.
    pub tables: Vec<(&'static str, Json)>,
    /// What queries and metrics answer once a resource was put, and whether the app is ready.
    pub after_put: Option<(Vec<(&'static str, Json)>, Json)>,
    pub ready: bool,
    /// How a connection string is given.
    pub connections: Json,
    pub metrics: Json,
    pub secrets: Vec<Json>,
    /// What is given as a token for blobs.
    pub storage: String,
    pub form: Vec<String>,
    pub asked: Vec<Asked>,
}

pub struct Server {
    pub port: u16,
    kept: Arc<Mutex<Kept>>,
}

impl Server {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let kept = Arc::new(Mutex::new(Kept {
            ends: "Succeeded",
            rounds: 2,
            ..Kept::default()
        }));
        let mine = kept.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = mine.clone();
                std::thread::spawn(move || while serve(stream.as_ref().unwrap(), port, &kept).is_some() {});
            }
        });
        Self { port, kept }
    }

    pub fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Puts a resource of the group there.
    pub fn put(&self, way: &str, document: Json) {
        let id = id(way);
        let mut document = document;
        let name = way.rsplit('/').next().unwrap().to_owned();
        document["id"] = json!(id);
        document["name"] = json!(name);
        self.kept().resources.insert(id.to_lowercase(), document);
    }

    pub fn resource(&self, way: &str) -> Json {
        self.kept().resources[&id(way).to_lowercase()].clone()
    }

    /// The requests of this method that were answered.
    pub fn sent(&self, method: &str) -> Vec<Asked> {
        let kept = self.kept();
        kept.asked
            .iter()
            .filter(|asked| asked.method == method && !asked.path.contains("/oauth2/"))
            .cloned()
            .collect()
    }

    /// `azure:` of an environment that leads here; `credential` as in `starr.yaml`.
    pub fn config(&self, credential: &str) -> String {
        let url = self.url();
        format!(
            "subscriptions: {{ production: {{ id: {SUBSCRIPTION}, tenant: {TENANT}, credential: {credential}, endpoints: {{ manager: {{ url: \"{url}\" }}, \
             login: {{ url: \"{url}\" }}, logs: {{ url: \"{url}\" }}, insights: {{ url: \"{url}\" }}, graph: {{ url: \"{url}\" }} }} }} }}\n\
             groups: {{ studio: {{ subscription: production, name: rg-studio }} }}\n\
             workspaces: {{ logs: {{ subscription: production, workspace: {WORKSPACE} }}, app: {{ subscription: production, application: {WORKSPACE} }} }}\n\
             vaults: {{ kv: {{ subscription: production, name: kv-studio, server: {{ url: \"{url}\" }} }} }}\n\
             registries: {{ acr: {{ subscription: production, name: acrstudio, server: {{ url: \"{url}\" }} }} }}\n"
        )
    }
}

fn id(way: &str) -> String {
    format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/rg-studio/providers/{way}")
}

fn serve(mut stream: &TcpStream, port: u16, kept: &Mutex<Kept>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |text: &String| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let asked = Asked {
        method,
        path: path.replace("%20", " "),
        query: url::form_urlencoded::parse(query.as_bytes()).into_owned().collect(),
        headers,
        body: String::from_utf8(body).unwrap(),
    };
    let reply = {
        let mut kept = kept.lock().unwrap();
        let reply = answer(&mut kept, port, &asked);
        kept.asked.push(asked);
        reply
    };
    let body = if reply.body.is_null() {
        String::new()
    } else {
        reply.body.to_string()
    };
    let mut head = format!(
        "HTTP/1.1 {} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
        reply.status,
        body.len()
    );
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).ok()
}

fn token(kept: &mut Kept, asked: &Asked) -> Reply {
    assert_eq!(asked.path, format!("/{TENANT}/oauth2/v2.0/token"));
    kept.form.push(asked.form("scope"));
    let right = match asked.form("client_assertion").as_str() {
        "" => asked.form("client_secret") == SECRET,
        assertion => assertion == SECRET,
    };
    if asked.form("client_id") != CLIENT || !right {
        let body = json!({"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret provided.", "error_codes": [7000215]});
        return reply(401, body);
    }
    let token = match asked.form("scope").as_str() {
        "https://storage.azure.com/.default" => &kept.storage,
        _ => TOKEN,
    };
    reply(
        200,
        json!({"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token}),
    )
}

fn answer(kept: &mut Kept, port: u16, asked: &Asked) -> Reply {
    if asked.path.contains("/oauth2/v2.0/token") {
        return token(kept, asked);
    }
    // The identity of an app of the platform.
    if asked.path == "/msi/token" {
        assert_eq!(asked.headers["x-identity-header"], "header-of-the-platform");
        let soon = jiff::Timestamp::now().as_second() + 3_600;
        return reply(
            200,
            json!({"access_token": TOKEN, "expires_on": soon.to_string(), "resource": asked.query["resource"], "token_type": "Bearer"}),
        );
    }
    // The app's own word for whether it reaches what it needs.
    if asked.path == "/health/ready" {
        return reply(if kept.ready { 200 } else { 503 }, json!({"status": kept.ready}));
    }
    if asked.path.starts_with("/oauth2/") {
        return registry_token(asked);
    }
    let bearer = asked
        .headers
        .get("authorization")
        .map(String::as_str)
        .unwrap_or_default();
    if asked.path.starts_with("/acr/") {
        return match bearer {
            "Bearer canary-of-the-registry" => reply(
                200,
                json!({"registry": "acrstudio", "imageName": "team/api", "tags": [
                {"name": "v2", "digest": "sha256:2", "createdTime": "2026-11-21T03:00:00.1Z", "lastUpdateTime": "2026-11-21T03:00:00.1Z"},
                {"name": "v1", "digest": "sha256:1", "createdTime": "2026-11-20T03:00:00.1Z", "lastUpdateTime": "2026-11-20T03:00:00.1Z"}]}),
            ),
            _ => reply(
                401,
                json!({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}),
            ),
        };
    }
    if bearer != format!("Bearer {TOKEN}") {
        return error(401, "AuthenticationFailed", "Authentication failed.");
    }
    if kept.busy > 0 {
        kept.busy -= 1;
        return error(429, "TooManyRequests", "The request is being throttled.").with("Retry-After", kept.hint);
    }
    if asked.path.ends_with("/query") {
        assert!(
            asked.json()["timespan"]
                .as_str()
                .is_some_and(|span| span.starts_with("PT"))
        );
        let body = asked.json();
        let query = body["query"].as_str().unwrap_or_default();
        let found = kept.tables.iter().find(|(words, _)| query.contains(words));
        return reply(
            200,
            found.map_or_else(|| kept.table.clone(), |(_, table)| table.clone()),
        );
    }
    if asked.path.starts_with("/v1.0/") {
        return graph(kept, asked);
    }
    let Some(version) = asked.query.get("api-version") else {
        return error(
            400,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        );
    };
    if asked.path.starts_with("/secrets") {
        return secrets(kept, asked, port);
    }
    assert!(version.starts_with("20"), "{version}");
    manager(kept, port, asked)
}

fn registry_token(asked: &Asked) -> Reply {
    assert_eq!(asked.form("service"), "127.0.0.1");
    match asked.path.as_str() {
        "/oauth2/exchange" if asked.form("access_token") == TOKEN => {
            reply(200, json!({"refresh_token": "canary-of-a-refresh"}))
        }
        "/oauth2/token" if asked.form("refresh_token") == "canary-of-a-refresh" => {
            assert_eq!(asked.form("scope"), "repository:team/api:metadata_read");
            reply(200, json!({"access_token": "canary-of-the-registry"}))
        }
        _ => reply(
            401,
            json!({"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}),
        ),
    }
}

fn graph(kept: &mut Kept, asked: &Asked) -> Reply {
    let Some(application) = kept.resources.get_mut("graph") else {
        return error(404, "Request_ResourceNotFound", "Resource does not exist.");
    };
    match asked.method.as_str() {
        "GET" => reply(200, application.clone()),
        _ => {
            application["requiredResourceAccess"] = asked.json()["requiredResourceAccess"].clone();
            reply(204, Json::Null)
        }
    }
}

fn secrets(kept: &mut Kept, asked: &Asked, port: u16) -> Reply {
    let parts: Vec<&str> = asked
        .path
        .trim_start_matches("/secrets")
        .split('/')
        .filter(|part| !part.is_empty())
        .collect();
    let id = |name: &str, version: &str| format!("http://127.0.0.1:{port}/secrets/{name}/{version}");
    let without = |secret: &Json| {
        let mut shown = secret.clone();
        shown.as_object_mut().unwrap().remove("value");
        shown
    };
    match (asked.method.as_str(), parts.as_slice()) {
        ("GET", []) => reply(
            200,
            json!({"value": kept.secrets.iter().map(without).collect::<Vec<_>>(), "nextLink": null}),
        ),
        ("GET", [name, "versions"]) => {
            let of = format!("/secrets/{name}/");
            let found: Vec<Json> = kept
                .secrets
                .iter()
                .filter(|one| one["id"].as_str().unwrap().contains(&of))
                .map(without)
                .collect();
            reply(200, json!({"value": found, "nextLink": null}))
        }
        ("GET", [name, version]) => match kept.secrets.iter().find(|one| one["id"] == id(name, version)) {
            Some(found) => reply(200, found.clone()),
            None => error(404, "SecretNotFound", "A secret with this version was not found."),
        },
        ("GET", [name]) => {
            let of = format!("/secrets/{name}/");
            let newest = kept
                .secrets
                .iter()
                .rfind(|one| one["id"].as_str().unwrap().contains(&of));
            newest.map_or_else(
                || error(404, "SecretNotFound", "A secret with this name was not found."),
                |newest| reply(200, newest.clone()),
            )
        }
        ("PATCH", [name, version]) => {
            let id = id(name, version);
            let found = kept.secrets.iter_mut().find(|one| one["id"] == id).unwrap();
            merge(found, &asked.json());
            reply(200, without(found))
        }
        ("PUT", [name]) => {
            let number = kept.secrets.len() + 1;
            let sent = asked.json();
            let made = json!({"id": id(name, &format!("v{number}")), "value": sent["value"], "contentType": sent["contentType"],
                "attributes": {"enabled": true, "created": 1_700_000_000 + number, "updated": 1_700_000_000 + number, "exp": sent["attributes"]["exp"]}});
            kept.secrets.push(made.clone());
            reply(200, made)
        }
        _ => error(404, "NotFound", "There is no such way."),
    }
}

/// The end of an operation that goes on.
fn finish(kept: &mut Kept, asked: &Asked, port: u16) -> Reply {
    let name = asked.path.rsplit('/').next().unwrap().to_owned();
    let by_status = asked.path.contains("/operationStatuses/");
    let (left, ends, made) = kept.running.get_mut(&name).expect("an operation that was named");
    if *left > 0 {
        *left -= 1;
        return if by_status {
            reply(200, json!({"name": name, "status": "InProgress"})).with("Retry-After", 0)
        } else {
            reply(202, Json::Null).with("Retry-After", 0).with(
                "Location",
                format!("http://127.0.0.1:{port}{}?api-version=2024-01-01", asked.path),
            )
        };
    }
    match (by_status, *ends) {
        (true, "Succeeded") => reply(200, json!({"name": name, "status": "Succeeded"})),
        (true, state) => reply(
            200,
            json!({"name": name, "status": state, "error": {"code": "QuotaExceeded", "message": "There is no room."}}),
        ),
        (false, _) => reply(200, made.clone()),
    }
}

fn merge(into: &mut Json, from: &Json) {
    match (into, from) {
        (Json::Object(into), Json::Object(from)) => {
            for (name, value) in from {
                if value.is_null() {
                    into.remove(name);
                } else {
                    merge(into.entry(name.clone()).or_insert(Json::Null), value);
                }
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn manager(kept: &mut Kept, port: u16, asked: &Asked) -> Reply {
    if asked.path.contains("/operationStatuses/") || asked.path.contains("/operationResults/") {
        return finish(kept, asked, port);
    }
    let key = asked.path.to_lowercase();
    if key.ends_with("/providers/microsoft.insights/metrics") {
        assert!(
            ["metricnames", "timespan", "interval", "aggregation"]
                .iter()
                .all(|name| asked.query.contains_key(*name))
        );
        return reply(200, kept.metrics.clone());
    }
    let missing = || error(404, "ResourceNotFound", "The Resource was not found.");
    match asked.method.as_str() {
        "GET" => match kept.resources.get(&key) {
            Some(found) => reply(200, found.clone()),
            None => listed(kept, port, asked, &key),
        },
        "PUT" | "PATCH" => {
            let there = kept.resources.get(&key).cloned();
            if asked.method == "PATCH" && there.is_none() {
                return missing();
            }
            let mut document = if asked.method == "PATCH" {
                there.clone().unwrap()
            } else {
                json!({})
            };
            if let Some(wanted) = asked.headers.get("if-match")
                && there.as_ref().and_then(|there| there["etag"].as_str()) != Some(wanted)
            {
                return error(412, "PreconditionFailed", "The condition of If-Match is not met.");
            }
            merge(&mut document, &asked.json());
            document["id"] = json!(asked.path);
            document["name"] = json!(asked.path.rsplit('/').next());
            document["properties"]["provisioningState"] = json!("Succeeded");
            kept.resources.insert(key, document.clone());
            if let Some((tables, metrics)) = kept.after_put.take() {
                (kept.tables, kept.metrics, kept.ready) = (tables, metrics, true);
            }
            let status = if there.is_some() { 200 } else { 201 };
            later(kept, port, asked, status, document)
        }
        "DELETE" => match kept.resources.remove(&key) {
            Some(_) => later(kept, port, asked, 200, Json::Null),
            None => reply(204, Json::Null),
        },
        _ => action(kept, port, asked),
    }
}

/// A list: everything one level below.
fn listed(kept: &Kept, port: u16, asked: &Asked, key: &str) -> Reply {
    if key.contains("/supporttickets/") {
        return error(404, "ResourceNotFound", "The Resource was not found.");
    }
    if key.ends_with("/supporttickets") || key.contains("/eventtypes/") || key.ends_with("/roleassignments") {
        let found: Vec<&Json> = kept
            .resources
            .iter()
            .filter(|(id, _)| id.contains(key))
            .map(|(_, one)| one)
            .collect();
        return reply(200, json!({ "value": found }));
    }
    let below: Vec<&Json> = kept
        .resources
        .iter()
        .filter(|(id, _)| {
            id.strip_prefix(&format!("{key}/"))
                .is_some_and(|rest| !rest.contains('/'))
        })
        .map(|(_, one)| one)
        .collect();
    let parent = key.rsplit_once('/').map(|(front, _)| front).unwrap_or_default();
    if below.is_empty()
        && !kept.resources.contains_key(parent)
        && parent.contains("/providers/")
        && parent.matches('/').count() > 6
    {
        return error(404, "ResourceNotFound", "The Resource was not found.");
    }
    let page: usize = asked.query.get("$skiptoken").map_or(0, |text| text.parse().unwrap());
    let shown: Vec<&Json> = if kept.endless {
        below.clone()
    } else {
        below.iter().skip(page * 2).take(2).copied().collect()
    };
    let mut body = json!({ "value": shown });
    if kept.endless || below.len() > (page + 1) * 2 {
        let host = if kept.stranger {
            "http://127.0.0.2:9".to_owned()
        } else {
            format!("http://127.0.0.1:{port}")
        };
        body["nextLink"] = json!(format!(
            "{host}{}?api-version={}&$skiptoken={}",
            asked.path,
            asked.query["api-version"],
            page + 1
        ));
    }
    reply(200, body)
}

/// Answers now, or says that it goes on.
fn later(kept: &mut Kept, port: u16, asked: &Asked, status: u16, document: Json) -> Reply {
    let Some(header) = kept.later else {
        return reply(if document.is_null() { 200 } else { status }, document);
    };
    let name = format!("op{}", kept.running.len());
    kept.running
        .insert(name.clone(), (kept.rounds, kept.ends, document.clone()));
    let place = if header == "Azure-AsyncOperation" {
        "operationStatuses"
    } else {
        "operationResults"
    };
    let version = &asked.query["api-version"];
    let url = format!(
        "http://127.0.0.1:{port}/subscriptions/{SUBSCRIPTION}/providers/X/locations/here/{place}/{name}?api-version={version}"
    );
    let body = if header == "Azure-AsyncOperation" {
        document
    } else {
        Json::Null
    };
    let status = if header == "Azure-AsyncOperation" && asked.method == "PUT" {
        201
    } else {
        202
    };
    reply(status, body).with(header, url).with("Retry-After", 0)
}

fn action(kept: &mut Kept, port: u16, asked: &Asked) -> Reply {
    let (way, action) = asked.path.rsplit_once('/').unwrap();
    let key = way.to_lowercase();
    if action == "whatIf" {
        let changes = json!({"properties": {"changes": [{"resourceId": "/subscriptions/x", "changeType": "Create"}]}, "status": "Succeeded"});
        return later(kept, port, asked, 200, changes);
    }
    let Some(resource) = kept.resources.get_mut(&key) else {
        return error(404, "ResourceNotFound", "The Resource was not found.");
    };
    match action {
        "listConnectionStrings" => return reply(200, kept.connections.clone()),
        // The interface answers these at once.
        "activate" | "deactivate" => {
            resource["properties"]["active"] = json!(action == "activate");
            return reply(200, Json::Null);
        }
        "restart" => {
            let times = resource["properties"]["restarts"].as_i64().unwrap_or(0);
            resource["properties"]["restarts"] = json!(times + 1);
            return reply(200, Json::Null);
        }
        "migrateToAutoscale" => {
            resource["properties"]["resource"] =
                json!({"autoscaleSettings": {"maxThroughput": 4000}, "minimumThroughput": "400"})
        }
        "retrieveContinuousBackupInformation" => {
            let told = json!({"continuousBackupInformation": {"latestRestorableTimestamp": "1763780400"}});
            return later(kept, port, asked, 200, told);
        }
        "checkNameAvailability" | "listUpgradeNotifications" => return reply(200, json!({"nameAvailable": true})),
        _ => {}
    }
    later(kept, port, asked, 200, Json::Null)
}
