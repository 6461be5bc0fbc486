//! Tokens, by Microsoft's own library. Its requests go through our transport: the same trust, address guard and limits as all others.

use super::config::{Audience, CredentialConfig, SubscriptionConfig, login_name};
use crate::providers::failure::{crop, excerpt, wrong};
use crate::providers::http::service::{Asked, Place, Service};
use crate::secrets::{SecretText, remember};
use crate::value::{Reason, Unknown};
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::{AsyncRawResponse, ClientOptions, HttpClient, Method, Request, RetryOptions, Transport};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId,
    WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use reqwest::header::HeaderMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Longest wait for a token, whatever the call's own deadline.
const PATIENCE: Duration = Duration::from_secs(30);

/// Gives the tokens of one subscription's identity.
pub struct Tokens {
    name: String,
    config: SubscriptionConfig,
    transport: Arc<Sender>,
    /// Made at the first call: it reads a secret.
    made: Mutex<Option<Arc<dyn TokenCredential>>>,
}

/// Sends what the library wants sent, and only to the servers where tokens are.
struct Sender {
    service: Arc<Service>,
    /// The origin of the cloud's server that gives tokens.
    cloud: &'static str,
    login: String,
    identity: String,
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the transport of tokens")
    }
}

fn method(of: Method) -> Option<reqwest::Method> {
    match of {
        Method::Get => Some(reqwest::Method::GET),
        Method::Post => Some(reqwest::Method::POST),
        _ => None,
    }
}

#[async_trait::async_trait]
impl HttpClient for Sender {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let odd = |text: &'static str| Error::with_message(ErrorKind::Other, text);
        let method = method(request.method()).ok_or_else(|| odd("only GET and POST ask for tokens"))?;
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers().iter() {
            let name = reqwest::header::HeaderName::from_bytes(name.as_str().as_bytes());
            let value = reqwest::header::HeaderValue::from_str(value.as_str());
            match (name, value) {
                (Ok(name), _) if name == "content-length" || name == "user-agent" => {}
                (Ok(name), Ok(mut value)) => {
                    value.set_sensitive(true);
                    headers.insert(name, value);
                }
                _ => return Err(odd("a header cannot be sent")),
            }
        }
        let body = match request.body() {
            azure_core::http::request::Body::Bytes(bytes) => bytes.to_vec(),
            _ => return Err(odd("a body that is a stream")),
        };
        // The library knows the cloud's own servers only; where they are in this environment is ours to say.
        let url = request.url();
        let to = if url.as_str().starts_with(self.cloud) {
            &self.login
        } else {
            &self.identity
        };
        let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let query: Vec<(&str, String)> = query
            .iter()
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        let asked = Asked {
            method,
            // Asking twice for a token does no harm.
            change: false,
            place: Place::Path(url.path(), &query),
            headers,
            body: (!body.is_empty()).then_some(("application/x-www-form-urlencoded", body)),
        };
        let (headers, answer) = self
            .service
            .exchange(to, asked, Instant::now() + PATIENCE)
            .await
            .map_err(|failed| Error::new(ErrorKind::Connection, NoAnswer(failed.unknown)))?;
        let mut kept = Headers::new();
        for (name, value) in &headers {
            if let Ok(value) = value.to_str() {
                kept.insert(
                    HeaderName::from(name.as_str().to_owned()),
                    HeaderValue::from(value.to_owned()),
                );
            }
        }
        Ok(AsyncRawResponse::from_bytes(answer.status.into(), kept, answer.body))
    }
}

impl Tokens {
    /// Those of a subscription; nothing is asked yet.
    pub fn new(name: &str, config: &SubscriptionConfig, service: Arc<Service>) -> Self {
        let (login, identity) = login_name(name);
        Self {
            name: name.to_owned(),
            config: config.clone(),
            transport: Arc::new(Sender {
                service,
                cloud: config.cloud.login(),
                login,
                identity,
            }),
            made: Mutex::new(None),
        }
    }

    /// The subscription's id.
    pub fn id(&self) -> &str {
        &self.config.id
    }

    fn options(&self) -> ClientOptions {
        let mut custom = CustomConfiguration::default();
        custom.authority_host = self.config.cloud.login().to_owned();
        ClientOptions {
            transport: Some(Transport::new(self.transport.clone())),
            retry: RetryOptions::none(),
            cloud: Some(Arc::new(CloudConfiguration::from(custom))),
            ..ClientOptions::default()
        }
    }

    fn credential(&self) -> Result<Arc<dyn TokenCredential>, Unknown> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(credential) = &*made {
            return Ok(credential.clone());
        }
        let refused = |problem: Error| wrong(Reason::Unavailable, format!("no credential: {}", said(&problem)));
        let tenant = self.config.tenant.as_str();
        let credential: Arc<dyn TokenCredential> = match &self.config.credential {
            CredentialConfig::Secret { client, secret } => {
                let secret = secret.read().map_err(|problem| wrong(Reason::Unavailable, problem))?;
                let options = ClientSecretCredentialOptions {
                    client_options: self.options(),
                };
                let secret = Secret::new(secret.expose().to_owned());
                ClientSecretCredential::new(tenant, client.clone(), secret, Some(options)).map_err(refused)?
            }
            CredentialConfig::Workload {
                workload_identity,
                token_file,
            } => {
                let options = WorkloadIdentityCredentialOptions {
                    credential_options: ClientAssertionCredentialOptions {
                        client_options: self.options(),
                    },
                    client_id: Some(workload_identity.clone()),
                    tenant_id: Some(tenant.to_owned()),
                    token_file_path: Some(token_file.clone()),
                };
                WorkloadIdentityCredential::new(Some(options)).map_err(refused)?
            }
            CredentialConfig::Managed { managed_identity } => {
                let options = ManagedIdentityCredentialOptions {
                    user_assigned_id: (managed_identity != "system")
                        .then(|| UserAssignedId::ClientId(managed_identity.clone())),
                    client_options: self.options(),
                };
                ManagedIdentityCredential::new(Some(options)).map_err(refused)?
            }
            CredentialConfig::Cli { .. } => {
                let options = AzureCliCredentialOptions {
                    tenant_id: Some(tenant.to_owned()),
                    ..AzureCliCredentialOptions::default()
                };
                AzureCliCredential::new(Some(options)).map_err(refused)?
            }
        };
        *made = Some(credential.clone());
        Ok(credential)
    }

    /// A token for a service, and remembered so that no output lets it out.
    pub async fn token(&self, audience: Audience, until: Instant) -> Result<SecretText, Unknown> {
        let credential = self.credential()?;
        let scopes = [self.config.cloud.scope(audience)];
        let asking = credential.get_token(&scopes, None);
        match tokio::time::timeout_at(until.min(Instant::now() + PATIENCE), asking).await {
            Ok(Ok(token)) => {
                let text = token.token.secret().to_owned();
                remember(&text, "an access token of Azure");
                Ok(SecretText::new(text))
            }
            Ok(Err(problem)) => Err(wrong(
                reason(&problem),
                format!("no token for the subscription `{}`: {}", self.name, said(&problem)),
            )),
            Err(_elapsed) => Err(wrong(
                Reason::Timeout,
                format!("no token for the subscription `{}` in time", self.name),
            )),
        }
    }
}

/// Our transport got no answer: the library carries it along as the cause of its own error.
#[derive(Debug)]
struct NoAnswer(Unknown);

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for NoAnswer {}

/// Whether it is a no, or nobody could be asked: the library calls everything a failed authentication.
fn reason(problem: &Error) -> Reason {
    let causes = std::iter::successors(Some(problem as &(dyn std::error::Error + 'static)), |cause| {
        cause.source()
    });
    for cause in causes {
        if let Some(NoAnswer(unknown)) = cause.downcast_ref() {
            return unknown.reason;
        }
        match cause.downcast_ref::<Error>().map(Error::kind) {
            Some(ErrorKind::HttpResponse { status, .. }) => {
                return match u16::from(*status) {
                    429 => Reason::Throttled,
                    408 | 504 => Reason::Timeout,
                    500.. => Reason::Unavailable,
                    _ => Reason::Denied,
                };
            }
            Some(ErrorKind::DataConversion) => return Reason::Unparsable,
            _ => {}
        }
    }
    match problem.kind() {
        ErrorKind::Credential => Reason::Denied,
        _ => Reason::Unavailable,
    }
}

/// The first words of the library's own.
fn said(problem: &Error) -> String {
    let mut text = problem.to_string();
    let mut source = std::error::Error::source(problem);
    while let Some(inner) = source {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = inner.source();
    }
    crop(&excerpt(&text, 400), 400)
}
