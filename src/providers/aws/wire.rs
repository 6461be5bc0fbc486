//! Requests and answers in the wire formats of AWS: the official ones, on schemas of the service models.

use super::conceal;
use super::decode::Reader;
use super::encode;
use super::schema::{Maker, Way};
use crate::models::aws::{Method, Service};
use aws_smithy_cbor::protocol::RpcV2CborProtocol;
use aws_smithy_json::protocol::aws_json_rpc::AwsJsonRpcProtocol;
use aws_smithy_json::protocol::aws_rest_json_1::AwsRestJsonProtocol;
use aws_smithy_query::protocol::AwsQueryProtocol;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::http::{Request, Response, StatusCode};
use aws_smithy_schema::protocol::{ClientProtocol, ServiceShapeName};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{ConfigBag, Layer};
use aws_smithy_xml::protocol::aws_rest_xml::AwsRestXmlProtocol;
use base64::Engine;
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A request without place and signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    pub method: String,
    /// Path and query.
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

/// What a service says when it refuses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    pub code: String,
    pub message: String,
}

type Protocol = Box<dyn ClientProtocol<Request, Response>>;

fn protocol(service: &Service) -> Result<Protocol, String> {
    Ok(match service.protocol() {
        "json" => {
            let protocol = if service.json_version() == "1.1" {
                AwsJsonRpcProtocol::aws_json_1_1()
            } else {
                AwsJsonRpcProtocol::aws_json_1_0()
            };
            Box::new(protocol.with_target_prefix(service.target_prefix().unwrap_or_default()))
        }
        "rest-json" => Box::new(AwsRestJsonProtocol::new()),
        "rest-xml" => Box::new(AwsRestXmlProtocol::new().with_no_error_wrapping(service.name == "s3")),
        "query" | "ec2" => Box::new(AwsQueryProtocol::new().with_service_version(service.version().to_owned())),
        "smithy-rpc-v2-cbor" => Box::new(RpcV2CborProtocol::new()),
        other => return Err(format!("the wire format `{other}` is not known")),
    })
}

fn bag(service: &Service, method: &Method) -> ConfigBag {
    let mut layer = Layer::new("starr");
    layer.store_put(Metadata::new(method.name.clone(), service.id().to_owned()));
    if let Some(prefix) = service.target_prefix() {
        layer.store_put(ServiceShapeName::new(prefix.to_owned()));
    }
    ConfigBag::of_layers(vec![layer])
}

/// What an operation takes, as it is sent.
///
/// # Errors
/// What of the values the model does not have, or what it needs.
pub fn request(service: &Arc<Service>, method: &Method, values: &Map<String, Json>) -> Result<Wire, String> {
    let maker = Maker {
        service,
        way: Way::Sent,
    };
    let root = maker.root(method);
    if let Some(name) = values
        .keys()
        .find(|name| !root.members.iter().any(|member| member.name == **name))
    {
        return Err(format!("`{}` takes no `{name}`", method.name));
    }
    let members = service.members(method.input);
    let missing = members
        .iter()
        .find(|member| member.traits.required != 0 && values.get(&member.name).is_none_or(Json::is_null));
    if let Some(missing) = missing {
        return Err(format!("`{}` needs `{}`", method.name, missing.name));
    }
    let node = encode::root(maker, root.schema, &root.members, values);
    let request = protocol(service)?
        .serialize_request(&node, root.schema, "/", &bag(service, method))
        .map_err(|problem| problem.to_string())?;
    let mut headers: BTreeMap<String, String> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    // The client says how long a body is.
    headers.remove("content-length");
    let body = request
        .body()
        .bytes()
        .ok_or("a body that streams is not sent")?
        .to_vec();
    if service.is_query_compatible() {
        headers.insert("x-amzn-query-mode".to_owned(), "true".to_owned());
    }
    if method.checksum {
        let mut crc = flate2::Crc::new();
        crc.update(&body);
        let sum = base64::engine::general_purpose::STANDARD.encode(crc.sum().to_be_bytes());
        headers.insert("x-amz-checksum-crc32".to_owned(), sum);
        headers.insert("x-amz-sdk-checksum-algorithm".to_owned(), "CRC32".to_owned());
    }
    Ok(Wire {
        method: request.method().to_owned(),
        path: request.uri().to_owned(),
        headers,
        body,
    })
}

/// The part of a host name that an operation puts in front, with its labels filled in.
///
/// # Errors
/// The label that is missing or no part of a host name.
pub fn host_prefix(method: &Method, values: &Map<String, Json>) -> Result<String, String> {
    let Some(template) = &method.host_prefix else {
        return Ok(String::new());
    };
    let mut made = String::new();
    let mut rest = template.as_str();
    while let Some((front, behind)) = rest.split_once('{') {
        let (label, behind) = behind.split_once('}').ok_or("a host label has no end")?;
        let value = values.get(label).and_then(Json::as_str).unwrap_or_default();
        let good =
            (1..=63).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !good {
            return Err(format!("`{label}` becomes a part of a host name and `{value}` is none"));
        }
        made.push_str(front);
        made.push_str(value);
        rest = behind;
    }
    made.push_str(rest);
    Ok(made)
}

/// An answer as the official formats take it.
fn response(status: u16, headers: &BTreeMap<String, String>, body: Vec<u8>) -> Result<Response, String> {
    let status = StatusCode::try_from(status).map_err(|_| "the status is none".to_owned())?;
    let mut response = Response::new(status, SdkBody::from(body));
    for (name, value) in headers {
        // A header that cannot be one is not there.
        let _ = response.headers_mut().try_insert(name.clone(), value.clone());
    }
    Ok(response)
}

/// What an operation gave.
///
/// # Errors
/// Why the answer cannot be read.
pub fn answer(
    service: &Arc<Service>,
    method: &Method,
    status: u16,
    headers: &BTreeMap<String, String>,
    body: Vec<u8>,
) -> Result<Map<String, Json>, String> {
    let maker = Maker {
        service,
        way: Way::Answered,
    };
    let root = maker.root(method);
    if root.members.is_empty() {
        return Ok(Map::new());
    }
    let bag = bag(service, method);
    let response = response(status, headers, body)?;
    let protocol = protocol(service)?;
    let mut reader = protocol
        .deserialize_response(&response, root.schema, &bag)
        .map_err(|problem| problem.to_string())?;
    let open = method.pages.as_ref().map_or(&[][..], |pages| &pages.output);
    let mut values = Reader { maker, open }
        .structure(&mut *reader, &root)
        .map_err(|problem| problem.to_string())?;
    conceal::answer(&service.name, &mut values, open);
    Ok(values)
}

fn between(text: &str, tag: &str) -> Option<String> {
    let from = text.find(&format!("<{tag}>"))? + tag.len() + 2;
    let inside = &text[from..];
    let inside = &inside[..inside.find(&format!("</{tag}>"))?];
    Some(
        inside
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&apos;", "'")
            .replace("&amp;", "&"),
    )
}

/// The last part of a name: `com.amazonaws.ecs#ClusterNotFoundException:http://…` is known by its middle.
fn short(code: &str) -> String {
    let code = code.split(':').next().unwrap_or_default();
    code.rsplit('#').next().unwrap_or_default().trim().to_owned()
}

/// What a status other than a good one says. The form of the body decides: a proxy in front may not speak as the service does.
pub fn refusal(
    service: &Arc<Service>,
    method: &Method,
    status: u16,
    headers: &BTreeMap<String, String>,
    body: &[u8],
) -> Refusal {
    let mut found = Refusal::default();
    let text = String::from_utf8_lossy(body);
    if text.trim_start().starts_with('<') {
        found.code = between(&text, "Code").unwrap_or_default();
        found.message = between(&text, "Message").unwrap_or_default();
    } else if let Ok(json) = serde_json::from_slice::<Json>(body) {
        let text = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| json.get(name).and_then(Json::as_str))
                .unwrap_or_default()
                .to_owned()
        };
        found.code = short(&text(&["__type", "code", "Code"]));
        found.message = text(&["message", "Message", "errorMessage"]);
    } else if let (Ok(protocol), Ok(response)) = (protocol(service), response(status, headers, body.to_vec()))
        && let Ok(metadata) = protocol.parse_error_metadata(&response, &bag(service, method))
    {
        let metadata = metadata.build();
        found.code = metadata.code().map(short).unwrap_or_default();
        found.message = metadata.message().unwrap_or_default().to_owned();
    }
    if let Some(named) = headers.get("x-amzn-errortype").filter(|named| !named.is_empty()) {
        found.code = short(named);
    }
    // Services that once spoke another format still name their errors by it.
    if let Some(named) = headers
        .get("x-amzn-query-error")
        .filter(|_| service.is_query_compatible())
    {
        found.code = named.split(';').next().unwrap_or_default().to_owned();
    }
    found
}
