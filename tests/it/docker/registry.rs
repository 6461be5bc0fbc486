//! A registry that has one image of one empty layer: enough for an engine to fetch it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub struct Registry {
    host: String,
}

fn digest(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(bytes) {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

impl Registry {
    pub async fn start() -> Self {
        Self::asking_for(None).await
    }

    /// One that lets in nobody but with this `user:password`.
    pub async fn asking_for(login: Option<&str>) -> Self {
        use base64::Engine as _;
        let wanted = login.map(|login| {
            let code = base64::engine::general_purpose::STANDARD.encode(login);
            format!("authorization: basic {code}").to_lowercase()
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // The end of an archive of nothing.
        let layer = vec![0_u8; 1024];
        let config = serde_json::json!({
            "architecture": "amd64", "os": "linux", "created": "2026-01-02T03:04:05Z",
            // The images of two registries are two images: an engine knows them by their content.
            "config": { "Labels": { "registry": port.to_string() } },
            "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
        })
        .to_string()
        .into_bytes();
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest(&config), "size": config.len(),
            },
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest(&layer), "size": layer.len(),
            }],
        })
        .to_string()
        .into_bytes();
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let mut answers: BTreeMap<String, (&str, Vec<u8>)> = BTreeMap::new();
        answers.insert("/v2/".to_owned(), ("application/json", b"{}".to_vec()));
        for reference in ["v1".to_owned(), digest(&manifest)] {
            let path = format!("/v2/shop/api/manifests/{reference}");
            answers.insert(path, (kind, manifest.clone()));
        }
        for blob in [config, layer] {
            let path = format!("/v2/shop/api/blobs/{}", digest(&blob));
            answers.insert(path, ("application/octet-stream", blob));
        }
        let answers = Arc::new(answers);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answers, wanted) = (Arc::clone(&answers), wanted.clone());
                tokio::spawn(async move {
                    let mut asked = Vec::new();
                    let mut buffer = [0; 4096];
                    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                        asked.extend_from_slice(&buffer[..length]);
                        if !asked.ends_with(b"\r\n\r\n") {
                            continue;
                        }
                        let head = String::from_utf8_lossy(&asked).into_owned();
                        asked.clear();
                        let mut words = head.split(' ');
                        let method = words.next().unwrap_or_default();
                        let path = words.next().unwrap_or_default();
                        let shut_out = wanted
                            .as_ref()
                            .is_some_and(|wanted| !head.lines().any(|line| line.to_lowercase() == *wanted));
                        let reply = match answers.get(path) {
                            _ if shut_out => b"HTTP/1.1 401 Unauthorized\r\nwww-authenticate: Basic realm=\"shop\"\r\ncontent-length: 0\r\n\r\n".to_vec(),
                            Some((kind, body)) => {
                                let mut reply = format!(
                                    "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ndocker-content-digest: {}\r\ncontent-length: {}\r\n\r\n",
                                    digest(body),
                                    body.len()
                                )
                                .into_bytes();
                                if method != "HEAD" {
                                    reply.extend_from_slice(body);
                                }
                                reply
                            }
                            None => b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(),
                        };
                        if stream.write_all(&reply).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self {
            host: format!("127.0.0.1:{port}"),
        }
    }

    /// The full name of an image of this registry.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.host)
    }

    /// Its host and port.
    pub fn host(&self) -> &str {
        &self.host
    }
}
