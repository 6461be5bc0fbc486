//! Secrets of a cluster as a source of credentials: `{ kubernetes: CLUSTER, namespace: …, secret: …, key: … }`, and what starr itself
//! shows a cluster.

use super::config::{Cluster, Config};
use super::connection::{Deadline, Link};
use super::exchange::Place;
use crate::providers::secret::fetched;
use crate::secrets::{ClusterSecret, Keeper, remember};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kube::config::AuthInfo;
use secrecy::ExposeSecret as _;
use std::collections::BTreeMap;
use std::io::Read as _;
use zeroize::Zeroizing;

/// The clusters of an environment, to read secrets from. Nothing is connected before the first one.
pub struct Source {
    clusters: BTreeMap<String, Cluster>,
}

impl Source {
    /// The clusters of this configuration.
    pub fn new(config: &Config) -> Self {
        Self {
            clusters: config.clusters.clone(),
        }
    }
}

impl Keeper<ClusterSecret> for Source {
    fn read(&self, wanted: &ClusterSecret) -> Result<Zeroizing<Vec<u8>>, String> {
        fetched(wanted, async || {
            let cluster = self.clusters.get(&wanted.cluster);
            fetch(cluster.ok_or("this environment has no such cluster")?, wanted).await
        })
    }
}

async fn fetch(cluster: &Cluster, wanted: &ClusterSecret) -> Result<Zeroizing<Vec<u8>>, String> {
    let link = Link::new(cluster.clone());
    let place = Place {
        link: &link,
        namespace: Some(&wanted.namespace),
        deadline: Deadline::new(cluster.connect_within()),
        dry: None,
    };
    let path = place
        .path("v1", "secrets", Some(&wanted.secret))
        .map_err(|failure| failure.unknown.detail)?;
    let object = place.get(&path, &[]).await.map_err(|failure| failure.unknown.detail)?;
    let value = object.get("data").and_then(|data| data.get(&wanted.key));
    let encoded = value
        .and_then(serde_json::Value::as_str)
        .ok_or("the secret has no such key")?;
    STANDARD
        .decode(encoded)
        .map(Zeroizing::new)
        .map_err(|_| "its value is not as a cluster sends it".to_owned())
}

/// Most bytes of a file of credentials that are remembered.
const FILE_BYTES: u64 = crate::limits::SECRET_BYTES;

/// Remembers what starr shows this cluster, so that no output lets it out: it comes from a kubeconfig or a pod, past the sources of
/// secrets.
pub fn remember_shown(shown: &AuthInfo) {
    let what = "a credential of the cluster";
    for secret in [&shown.token, &shown.password, &shown.client_key_data]
        .into_iter()
        .flatten()
    {
        remember(secret.expose_secret(), what);
    }
    // A key is base64 of a PEM text there.
    let key = shown
        .client_key_data
        .as_ref()
        .map(|key| STANDARD.decode(key.expose_secret()));
    if let Some(Ok(Ok(plain))) = key.map(|key| key.map(String::from_utf8)) {
        remember(&Zeroizing::new(plain), what);
    }
    for path in [&shown.token_file, &shown.client_key].into_iter().flatten() {
        let mut text = Zeroizing::new(String::new());
        let read = std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES).read_to_string(&mut text));
        if read.is_ok() && !text.trim().is_empty() {
            remember(text.trim(), what);
        }
    }
}
