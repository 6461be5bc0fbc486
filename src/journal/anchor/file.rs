//! A file that lies elsewhere: another disk, a mount that only takes appends. One line for each checkpoint.

use super::{Kept, MOST_BYTES, Offer, Refusal, Sink, compare, statements};
use crate::journal::checkpoint::Statement;
use futures::future::BoxFuture;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Appends lines to this file.
pub struct File(pub PathBuf);

impl Sink for File {
    fn place(&self) -> String {
        format!("file {}", self.0.display())
    }

    fn keep<'a>(&'a self, offer: &'a Offer<'a>) -> BoxFuture<'a, Result<Kept, Refusal>> {
        Box::pin(async {
            let known = match read(&self.0).await {
                Ok(known) => known,
                Err(_) if !self.0.exists() => Vec::new(),
                Err(why) => return Err(Refusal::Unusable(why)),
            };
            let checkpoint = offer.checkpoint();
            if !compare(&known, &checkpoint)? {
                let (path, line) = (self.0.clone(), format!("{}\n", checkpoint.line()));
                let written = tokio::task::spawn_blocking(move || append(&path, &line)).await;
                written
                    .map_err(|error| Refusal::Unusable(error.to_string()))?
                    .map_err(|error| Refusal::Unusable(error.to_string()))?;
            }
            Ok(Kept::default())
        })
    }
}

fn append(path: &Path, line: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()
}

/// What the file says.
pub async fn read(path: &Path) -> Result<Vec<Statement>, String> {
    let path = path.to_owned();
    let text = move || -> Result<String, String> {
        let file = std::fs::File::open(&path).map_err(|error| error.to_string())?;
        if !file.metadata().map_err(|error| error.to_string())?.is_file() {
            return Err("it is not a file".to_owned());
        }
        let mut text = String::new();
        file.take(MOST_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(|error| error.to_string())?;
        if text.len() as u64 > MOST_BYTES {
            return Err(format!("it is larger than {MOST_BYTES} bytes"));
        }
        Ok(text)
    };
    let text = tokio::task::spawn_blocking(text)
        .await
        .map_err(|error| error.to_string())??;
    statements(&text)
}
