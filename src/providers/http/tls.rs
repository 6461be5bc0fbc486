//! Trust: which certificates are taken, and a look at those that are not.

use super::config::{ClientConfig as Identity, EndpointConfig};
use super::target::refusal;
use crate::value::{Reason, Unknown};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    ALL_VERSIONS, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    SupportedProtocolVersion,
};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};

/// Largest file of certificates, in bytes.
const PEM_BYTES: u64 = 4 * 1024 * 1024;

/// The one implementation of cryptography.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn pem(path: &Path, what: &str) -> Result<Vec<u8>, Unknown> {
    use std::io::Read;
    let problem =
        |problem: std::io::Error| refusal(Reason::Unavailable, format!("{what} {}: {problem}", path.display()));
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(problem)?;
    file.take(PEM_BYTES + 1).read_to_end(&mut bytes).map_err(problem)?;
    if bytes.len() as u64 > PEM_BYTES {
        return Err(refusal(
            Reason::Unavailable,
            format!("{what} {} is larger than 4 MiB", path.display()),
        ));
    }
    Ok(bytes)
}

/// The certificates of a PEM file, at least one.
pub fn certificates(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>, Unknown> {
    let bytes = pem(path, what)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(refusal(
            Reason::Unavailable,
            format!("{what} {} holds no certificate in PEM form", path.display()),
        )),
    }
}

/// The private key of a PEM file.
pub fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Unknown> {
    let bytes = zeroize::Zeroizing::new(pem(path, "the key")?);
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
        refusal(
            Reason::Unavailable,
            format!("{} holds no private key in PEM form", path.display()),
        )
    })
}

/// The authorities of a PEM file.
pub fn roots(path: &Path) -> Result<RootCertStore, Unknown> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, "the CA file")? {
        roots.add(certificate).map_err(|_| {
            refusal(
                Reason::Unavailable,
                format!("the certificates in {} cannot be used", path.display()),
            )
        })?;
    }
    Ok(roots)
}

/// Who decides whether a server is who it says: the authorities of the endpoint, or else of the system.
pub fn verifier(ca: Option<&Path>) -> Result<Arc<dyn ServerCertVerifier>, Unknown> {
    let Some(path) = ca else {
        let system = rustls_platform_verifier::Verifier::new(provider());
        return match system {
            Ok(system) => Ok(Arc::new(system)),
            Err(_) => Err(refusal(
                Reason::Unavailable,
                "this machine has no certificate authorities; install ca-certificates, or name a `ca` file",
            )),
        };
    };
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots(path)?), provider())
        .build()
        .map(|verifier| -> Arc<dyn ServerCertVerifier> { verifier })
        .map_err(|_| {
            refusal(
                Reason::Unavailable,
                format!("the certificates in {} cannot be used", path.display()),
            )
        })
}

fn config(
    verifier: Arc<dyn ServerCertVerifier>,
    identity: Option<&Identity>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<ClientConfig, Unknown> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .map_err(|problem| refusal(Reason::Internal, problem.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let chain = certificates(&client.certificate, "the client certificate")?;
            let key = private_key(&client.key)?;
            builder.with_client_auth_cert(chain, key).map_err(|_| {
                refusal(
                    Reason::Unavailable,
                    "the client certificate and key do not fit together",
                )
            })?
        }
    };
    // In a resumed session neither side shows its certificate again: that would be an answer of earlier.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// The configuration of an endpoint's connections. Without TLS (`http`) nothing is read and every certificate is refused.
pub fn of_endpoint(endpoint: Option<&EndpointConfig>, secure: bool) -> Result<ClientConfig, Unknown> {
    let verifier = if secure {
        verifier(endpoint.and_then(|endpoint| endpoint.ca.as_deref()))?
    } else {
        Arc::new(Nobody)
    };
    config(
        verifier,
        endpoint
            .filter(|_| secure)
            .and_then(|endpoint| endpoint.client.as_ref()),
        ALL_VERSIONS,
    )
}

/// The configuration of connections that are not HTTP: whom to trust, and who we are.
pub fn of_client(ca: Option<&Path>, identity: Option<&Identity>) -> Result<ClientConfig, Unknown> {
    config(verifier(ca)?, identity, ALL_VERSIONS)
}

/// Why a handshake did not come about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoHandshake {
    /// The server's certificate is not trusted, and why.
    Certificate(String),
    /// It does not speak TLS as it should, or refused our certificate.
    Refused,
    /// The connection broke.
    Broke,
    /// The host cannot be the name in a certificate.
    Name,
}

/// Makes a handshake over a connection.
pub async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(
    config: ClientConfig,
    host: &str,
    stream: S,
) -> Result<tokio_rustls::client::TlsStream<S>, NoHandshake> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| NoHandshake::Name)?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    connector.connect(name, stream).await.map_err(|problem| {
        match problem
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        {
            Some(inner @ rustls::Error::InvalidCertificate(_)) => NoHandshake::Certificate(words(inner)),
            Some(_) => NoHandshake::Refused,
            None => NoHandshake::Broke,
        }
    })
}

/// What was shown in a handshake.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    /// The server's certificate, then those that vouch for it.
    pub chain: Vec<Vec<u8>>,
    /// Why a client would refuse it.
    pub trouble: Option<String>,
}

/// A configuration that takes every certificate and writes down what it saw. Only for connections over which nothing is sent.
pub fn looking(
    endpoint: Option<&EndpointConfig>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<(ClientConfig, Arc<Mutex<Shown>>), Unknown> {
    let shown = Arc::new(Mutex::new(Shown::default()));
    let looking = Looking {
        judge: verifier(endpoint.and_then(|endpoint| endpoint.ca.as_deref()))?,
        shown: shown.clone(),
    };
    // Our own certificate is not shown to a server that may be anybody.
    Ok((config(Arc::new(looking), None, versions)?, shown))
}

#[derive(Debug)]
struct Looking {
    judge: Arc<dyn ServerCertVerifier>,
    shown: Arc<Mutex<Shown>>,
}

impl ServerCertVerifier for Looking {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self
            .judge
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.chain = std::iter::once(end_entity)
            .chain(intermediates)
            .map(|certificate| certificate.to_vec())
            .collect();
        shown.trouble = verdict.err().map(|problem| words(&problem));
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.judge.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}

/// Trusts nobody: for connections that are not TLS and must not become it.
#[derive(Debug)]
struct Nobody;

impl ServerCertVerifier for Nobody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Err(CertificateError::UnknownIssuer.into())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::BadSignature.into())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// A refused certificate in words.
pub fn words(problem: &rustls::Error) -> String {
    let rustls::Error::InvalidCertificate(problem) = problem else {
        return problem.to_string();
    };
    match problem {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired".to_owned(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "it is not valid yet".to_owned(),
        CertificateError::UnknownIssuer => "nobody who is trusted vouches for it".to_owned(),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "it is for another name".to_owned()
        }
        CertificateError::Revoked => "it was revoked".to_owned(),
        other => format!("{other:?}").chars().take(200).collect(),
    }
}
