//! Connections: one pool per endpoint, made at its first call; names resolved behind the guard; no proxy, no redirect, no retry.

use super::address::Guard;
use super::target::{Endpoint, literal, refusal};
use super::tls;
use crate::providers::names::{self, Failure};
use crate::providers::stamp::Stamps;
use crate::value::{Reason, Unknown};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Most headers of a reply.
const HEADERS: usize = crate::limits::HTTP_REPLY_HEADERS;

/// Longest wait for the resolver and for a connection; calls have their own, shorter deadline.
const CONNECT: Duration = crate::limits::HTTP_CONNECT;

/// Why no connection was tried, carried through the client's own error.
#[derive(Clone, Debug)]
pub enum Halt {
    /// The guard lets none of the addresses through.
    Guarded(Unknown),
    NoSuchName,
    /// The resolver gave no answer.
    NameServer(Unknown),
}

impl std::fmt::Display for Halt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Halt::Guarded(unknown) | Halt::NameServer(unknown) => write!(f, "{unknown}"),
            Halt::NoSuchName => f.write_str("there is no such name"),
        }
    }
}

impl std::error::Error for Halt {}

fn guarded(host: &str, address: IpAddr) -> Halt {
    Halt::Guarded(refusal(
        Reason::Unavailable,
        format!(
            "`{host}` is at {address}, which this environment does not let anybody reach; see `addresses` in its configuration"
        ),
    ))
}

/// The addresses of a name that may be connected to.
pub async fn addresses(host: &str, guard: &Guard, within: Duration) -> Result<Vec<IpAddr>, Halt> {
    if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        return if guard.allows(address) {
            Ok(vec![address])
        } else {
            Err(guarded(host, address))
        };
    }
    if !names::is_host_name(host) {
        return Err(Halt::NoSuchName);
    }
    let found = names::resolve(host, within).await.map_err(|failure| match failure {
        Failure::NoSuchName => Halt::NoSuchName,
        Failure::NoAnswer | Failure::Refused => {
            Halt::NameServer(refusal(Reason::Unreachable, "the name server does not answer"))
        }
        Failure::Unknown(problem) => Halt::NameServer(problem),
    })?;
    let allowed: Vec<IpAddr> = found.iter().copied().filter(|address| guard.allows(*address)).collect();
    match found.first() {
        Some(first) if allowed.is_empty() => Err(guarded(host, *first)),
        _ => Ok(allowed),
    }
}

struct Resolver(Guard);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.0.clone();
        Box::pin(async move {
            let found = addresses(name.as_str(), &guard, CONNECT).await?;
            // The port of the URL is put in by the client.
            let sockets: Addrs = Box::new(found.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(sockets)
        })
    }
}

/// What makes two calls use the same connections: name, whether it is TLS, whether each has a connection of its own.
type Key = (String, bool, bool);

/// A client, with the files that it was made of.
struct Made {
    client: reqwest::Client,
    files: Stamps,
}

/// The clients made so far.
#[derive(Default)]
pub struct Clients(Mutex<BTreeMap<Key, Made>>);

impl Clients {
    /// The client for an endpoint. One for calls with a connection of their `own` never uses a connection twice: one that was used before may be
    /// closed while it is used, and nobody could tell whether a change was read; and it shows a probe who the server was, not who it is.
    pub fn get(&self, endpoint: &Endpoint, own: bool) -> Result<reqwest::Client, Unknown> {
        // A client connects to an address in a URL without asking the resolver.
        if let Some(address) = literal(&endpoint.base)
            && !endpoint.guard.allows(address)
        {
            let host = endpoint.base.host_str().unwrap_or_default();
            return Err(match guarded(host, address) {
                Halt::Guarded(problem) => problem,
                other => refusal(Reason::Internal, other.to_string()),
            });
        }
        let secure = endpoint.base.scheme() == "https";
        let key = (endpoint.name.clone(), secure, own);
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = clients.get(&key).filter(|made| made.files.hold()) {
            return Ok(made.client.clone());
        }
        // Looked at before they are read: one that is written meanwhile is read again by the next call.
        let files = if secure { stamps(endpoint) } else { Stamps::default() };
        let client = build(endpoint, secure, own)?;
        let made = Made {
            client: client.clone(),
            files,
        };
        clients.insert(key, made);
        Ok(client)
    }
}

/// The files of whom is trusted there and who we are, as they are now. A certificate that is renewed during a run is used from then on.
fn stamps(endpoint: &Endpoint) -> Stamps {
    let Some(config) = endpoint.config.as_deref() else {
        return Stamps::default();
    };
    let client = config.client.iter();
    let paths = client.flat_map(|client| [&client.certificate, &client.key]);
    Stamps::of(config.ca.iter().chain(paths).map(PathBuf::as_path))
}

fn build(endpoint: &Endpoint, secure: bool, own: bool) -> Result<reqwest::Client, Unknown> {
    let builder = reqwest::Client::builder()
        .user_agent(concat!("starr/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .http1_only()
        .http1_max_headers(HEADERS)
        .connect_timeout(CONNECT)
        .dns_resolver(Arc::new(Resolver(endpoint.guard.clone())))
        .tls_backend_preconfigured(tls::of_endpoint(endpoint.config.as_deref(), secure)?);
    let builder = if own {
        builder.pool_max_idle_per_host(0)
    } else {
        builder
    };
    builder
        .build()
        .map_err(|problem| refusal(Reason::Internal, format!("no HTTP client: {}", problem.without_url())))
}
