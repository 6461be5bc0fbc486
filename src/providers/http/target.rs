//! What a call is sent to: an endpoint of the configuration or a URL, with path and query put behind it.

use super::address::{Class, Guard, Range};
use super::config::{EndpointConfig, HttpConfig};
use crate::value::{Reason, Unknown, Value};
use std::net::IpAddr;
use std::sync::Arc;
use url::{Host, Url};

/// Longest URL, in bytes.
const URL_BYTES: usize = crate::limits::HTTP_URL_BYTES;

/// Something that could not be done before anything was sent.
pub fn refusal(reason: Reason, detail: impl Into<String>) -> Unknown {
    Unknown {
        reason,
        detail: detail.into(),
    }
}

/// Where a call goes.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The configured name; empty for a URL.
    pub name: String,
    pub base: Url,
    pub guard: Guard,
    pub config: Option<Arc<EndpointConfig>>,
}

/// `https://shop.example:443`: scheme, host and port, always all three, as grants name it.
pub fn origin(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}://{host}:{port}", url.scheme())
}

/// True when two URLs have the same scheme, host and port.
pub fn same_origin(one: &Url, other: &Url) -> bool {
    origin(one) == origin(other)
}

/// True when nobody between us and the server can read along: HTTPS, or a server on this machine by address or `localhost`.
pub fn is_private(url: &Url) -> bool {
    url.scheme() == "https" || is_local(url)
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The address in a URL that names one. Decimal, octal and hexadecimal forms have become addresses by now.
pub fn literal(url: &Url) -> Option<IpAddr> {
    match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(_)) | None => None,
    }
}

/// An absolute HTTP URL without user and fragment.
///
/// # Errors
/// Says what is wrong with it, without repeating it: it may hold a password.
pub fn parse(text: &str) -> Result<Url, String> {
    if text.len() > URL_BYTES {
        return Err("the URL is longer than 8 KiB".to_owned());
    }
    // The URL standard drops these silently, so that what is read is not what is sent.
    if text
        .bytes()
        .any(|byte| byte.is_ascii_control() || byte == b' ' || byte == b'\\')
    {
        return Err("the URL holds a blank, a backslash or a control character".to_owned());
    }
    // It also reads `http:x`, `http:///x` and `http://@x` as `http://x`.
    let after = text.split_once("://").map_or("", |(_, rest)| rest);
    let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() {
        return Err("not an absolute URL with a host".to_owned());
    }
    if authority.contains('@') {
        return Err(
            "a user or password in a URL is refused: it would be shown; give a secret header instead".to_owned(),
        );
    }
    let url = Url::parse(text).map_err(|problem| format!("not an absolute URL: {problem}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err("only http and https URLs can be asked".to_owned());
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("not an absolute URL with a host".to_owned());
    }
    // The same once more, on what the parser made of it.
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "a user or password in a URL is refused: it would be shown; give a secret header instead".to_owned(),
        );
    }
    if url.fragment().is_some() {
        return Err("a fragment (`#…`) is never sent; leave it out".to_owned());
    }
    Ok(url)
}

/// Checks the configuration and makes every endpoint of it.
///
/// # Errors
/// Names the endpoint and what is wrong.
pub fn endpoints(config: &HttpConfig) -> Result<Vec<Endpoint>, String> {
    guard(&config.addresses).map_err(|problem| format!("http.addresses: {problem}"))?;
    config
        .endpoints
        .iter()
        .map(|(name, endpoint)| {
            configured(name, endpoint).map_err(|problem| format!("http.endpoints.{name}: {problem}"))
        })
        .collect()
}

fn guard(ranges: &[String]) -> Result<Guard, String> {
    ranges
        .iter()
        .map(|text| Range::parse(text))
        .collect::<Result<_, _>>()
        .map(Guard)
}

pub fn configured(name: &str, config: &EndpointConfig) -> Result<Endpoint, String> {
    if name.is_empty() || name.contains("://") {
        return Err("an endpoint's name is a word, not a URL".to_owned());
    }
    let base = parse(&config.url)?;
    if base.query().is_some() {
        return Err("the URL of an endpoint has no query; calls give it".to_owned());
    }
    let secret = config.bearer.is_some()
        || config.secret_path.is_some()
        || config
            .headers
            .values()
            .any(|value| !matches!(value, super::config::HeaderConfig::Value(_)));
    if secret && !is_private(&base) {
        return Err("a secret would travel in the clear: use https".to_owned());
    }
    for header in config.headers.keys() {
        super::headers::name(header).map_err(|problem| format!("headers: {problem}"))?;
    }
    let guard = match (&config.addresses, literal(&base)) {
        (Some(ranges), _) => guard(ranges)?,
        // Who writes an address into the configuration means that address.
        (None, Some(address)) => Guard(vec![Range::Network(address, if address.is_ipv4() { 32 } else { 128 })]),
        (None, None) if is_local(&base) => Guard(vec![Range::Class(Class::Loopback)]),
        (None, None) => Guard(vec![Range::Class(Class::Public)]),
    };
    Ok(Endpoint {
        name: name.to_owned(),
        base,
        guard,
        config: Some(Arc::new(config.clone())),
    })
}

/// The endpoint of a URL in a runbook. Its guard is the provider's.
pub fn of_url(text: &str, addresses: &[String]) -> Result<Endpoint, Unknown> {
    let base = parse(text).map_err(|problem| refusal(Reason::Unparsable, problem))?;
    let guard = guard(addresses).map_err(|problem| refusal(Reason::Internal, problem))?;
    Ok(Endpoint {
        name: String::new(),
        base,
        guard,
        config: None,
    })
}

impl Endpoint {
    /// True when the path must not be shown.
    pub fn hidden(&self) -> bool {
        self.config.as_ref().is_some_and(|config| config.secret_path.is_some())
    }

    /// The endpoint with its secret path put in, read now. Only for the request itself.
    pub fn with_secret_path(&self) -> Result<Endpoint, Unknown> {
        let Some(source) = self.config.as_ref().and_then(|config| config.secret_path.as_ref()) else {
            return Ok(self.clone());
        };
        let secret = source.read().map_err(|problem| refusal(Reason::Unavailable, problem))?;
        let base = self
            .url(secret.expose(), &Value::None)
            .map_err(|_| refusal(Reason::Unavailable, "`secret_path` is not a path such as /services/…"))?;
        Ok(Endpoint { base, ..self.clone() })
    }

    /// A URL of this endpoint as it may be shown.
    pub fn shown(&self, url: &Url) -> String {
        if self.hidden() {
            format!("{}/(secret)", origin(url))
        } else {
            url.to_string()
        }
    }

    /// The URL of a call: path and query as data, which can change neither the origin nor leave the base path.
    pub fn url(&self, path: &str, query: &Value) -> Result<Url, Unknown> {
        let mut url = self.base.clone();
        if !path.is_empty() {
            let problem = if !path.starts_with('/') {
                Some("a path begins with `/`")
            } else if path.contains(['?', '#']) {
                Some("a path holds no `?` and no `#`; give `query` as a record")
            } else if path.contains('\\') || path.chars().any(char::is_control) {
                Some("a path holds no backslash and no control character")
            } else if path.split('/').any(is_dots) {
                Some("a path holds no `.` and `..`: it would leave the endpoint")
            } else {
                None
            };
            if let Some(problem) = problem {
                return Err(refusal(Reason::Unparsable, problem));
            }
            let base = url.path().trim_end_matches('/').to_owned();
            url.set_path(&format!("{base}{path}"));
        }
        add_query(&mut url, query)?;
        if url.as_str().len() > URL_BYTES {
            return Err(refusal(Reason::Unparsable, "the URL is longer than 8 KiB"));
        }
        if !same_origin(&url, &self.base) {
            return Err(refusal(Reason::Unparsable, "the path would lead to another origin"));
        }
        Ok(url)
    }
}

/// `.` and `..`, also in their encoded forms.
fn is_dots(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".."
}

fn add_query(url: &mut Url, query: &Value) -> Result<(), Unknown> {
    let wrong = || {
        refusal(
            Reason::Unparsable,
            "`query` is a record of texts, numbers, yes or no, and lists of them",
        )
    };
    if *query == Value::None {
        return Ok(());
    }
    let document = crate::value::document::of(query)?;
    let fields = document.as_object().ok_or_else(wrong)?;
    let mut pairs = url.query_pairs_mut();
    for (name, value) in fields {
        let several = std::slice::from_ref(value);
        for value in value.as_array().map_or(several, Vec::as_slice) {
            pairs.append_pair(name, &scalar(value).ok_or_else(wrong)?);
        }
    }
    Ok(())
}

/// A number, text or truth value as text.
pub fn scalar(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        serde_json::Value::Bool(yes) => Some(yes.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{configured, literal, of_url, origin, parse};
    use crate::providers::http::config::{EndpointConfig, HttpConfig};
    use crate::value::Value;
    use std::sync::Arc;

    fn json(value: serde_json::Value) -> Value {
        Value::Json(Arc::new(value))
    }

    #[test]
    fn origins_are_written_in_one_way() {
        for (text, wanted) in [
            ("https://Shop.Example/x?y=1", "https://shop.example:443"),
            ("http://shop.example:80", "http://shop.example:80"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
            ("http://2130706433/", "http://127.0.0.1:80"),
            ("http://0x7f.1/", "http://127.0.0.1:80"),
            ("http://0177.0.0.1/", "http://127.0.0.1:80"),
            ("http://169.254.43518/", "http://169.254.169.254:80"),
        ] {
            assert_eq!(origin(&parse(text).unwrap()), wanted, "{text}");
        }
        assert!(literal(&parse("http://0xa9fea9fe/").unwrap()).is_some());
    }

    #[test]
    fn urls_that_hide_something_are_refused() {
        for bad in [
            "",
            "/health",
            "shop.example",
            "ftp://x/",
            "file:///etc/passwd",
            "javascript:1",
            "http://",
            "http:///x",
            "http:x",
            "http:/x",
            "http://@x/",
            "http://user@x/",
            "http://u:canary@x/",
            "http://x/#y",
            "http://x/ y",
            "http://x/\ny",
            "http://x\\@y/",
            "http://\u{0}/",
        ] {
            let problem = parse(bad).unwrap_err();
            assert!(!problem.contains("canary"), "{problem}");
        }
        assert!(parse(&format!("http://x/{}", "a".repeat(9000))).is_err());
    }

    #[test]
    fn a_path_is_data_and_stays_below_the_endpoint() {
        let endpoint = of_url("https://shop.example/api/", &["public".to_owned()]).unwrap();
        let url = |path: &str| endpoint.url(path, &Value::None).map(|url| url.to_string());
        assert_eq!(url("").unwrap(), "https://shop.example/api/");
        assert_eq!(url("/health").unwrap(), "https://shop.example/api/health");
        assert_eq!(
            url("//evil.example/x").unwrap(),
            "https://shop.example/api//evil.example/x"
        );
        assert_eq!(url("/a b/%41").unwrap(), "https://shop.example/api/a%20b/%41");
        for bad in [
            "health",
            "@evil.example",
            "/../admin",
            "/a/%2e%2E/b",
            "/./x",
            "/x?y=1",
            "/x#y",
            "/x\\y",
            "/x\r\ny",
        ] {
            assert!(url(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_query_is_encoded() {
        let endpoint = of_url("https://shop.example/", &["public".to_owned()]).unwrap();
        let query = json(serde_json::json!({"q": "a&b=c #?", "n": 3, "all": true, "tag": ["x", "y"]}));
        assert_eq!(
            endpoint.url("/s", &query).unwrap().as_str(),
            "https://shop.example/s?q=a%26b%3Dc+%23%3F&n=3&all=true&tag=x&tag=y"
        );
        assert!(endpoint.url("/s", &json(serde_json::json!({"q": {"x": 1}}))).is_err());
        assert!(endpoint.url("/s", &json(serde_json::json!("q"))).is_err());
    }

    #[test]
    fn a_secret_does_not_travel_in_the_clear() {
        let read = |text: &str| -> EndpointConfig { serde_yaml::from_str(text).unwrap() };
        let clear = read("url: http://shop.example\nbearer: { env: TOKEN }\n");
        assert!(configured("shop", &clear).unwrap_err().contains("https"));
        let local = read("url: http://localhost:8080\nheaders: { x-key: { env: TOKEN }, accept: text/plain }\n");
        assert!(configured("shop", &local).is_ok());
        let hop = read("url: https://shop.example\nheaders: { host: evil.example }\n");
        assert!(configured("shop", &hop).is_err());
        let wrong: Result<HttpConfig, _> =
            serde_yaml::from_str("endpoints: { shop: { url: 'https://x', adresses: [] } }");
        assert!(wrong.is_err());
    }
}
