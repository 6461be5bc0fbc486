//! Where the texts of modules come from.

use crate::source::Source;
use sha2::{Digest, Sha256};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, OnceLock};

/// The text of a module, as it was found.
#[derive(Clone, Debug)]
pub struct ModuleSource {
    /// What to call the file in messages.
    pub name: String,
    /// Where it was read from; `None` for an embedded module.
    pub path: Option<PathBuf>,
    pub bytes: Vec<u8>,
}

/// Finds modules by their path.
pub trait Library {
    /// The module `a.b`, or `None` when there is no such module.
    fn module(&self, path: &str) -> Option<ModuleSource>;

    /// The files with scenarios that belong to a runbook's file; `None` when scenarios are not wanted at all, so that a mistake in
    /// one does not keep a runbook from running.
    fn scenarios(&self, _file: Option<&Path>) -> Option<Vec<ModuleSource>> {
        None
    }
}

/// The files below a project's root in which a module may lie, in the order in which they are looked for: `a.b_c` is `a/b_c.starr` or
/// `a/b-c.starr`, since a name of the language holds no hyphen and the name of a file often does. None for a path that would
/// leave the root.
pub fn files(module: &str) -> Vec<PathBuf> {
    let plain = |part: &str| {
        matches!(
            Path::new(part).components().collect::<Vec<_>>()[..],
            [Component::Normal(_)]
        )
    };
    let parts: Vec<&str> = module.split('.').collect();
    let Some((name, folders)) = parts.split_last().filter(|_| parts.iter().all(|part| plain(part))) else {
        return Vec::new();
    };
    let folder: PathBuf = folders.iter().collect();
    let mut names = vec![(*name).to_owned(), name.replace('_', "-")];
    names.dedup();
    names
        .into_iter()
        .map(|name| folder.join(format!("{name}.starr")))
        .collect()
}

/// The modules inside the binary: `std.host`, `std.http` and so on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Embedded;

const MODULES: &[(&str, &str)] = &[
    ("std.alertmanager", include_str!("../../stdlib/alertmanager.starr")),
    ("std.app", include_str!("../../stdlib/app.starr")),
    ("std.azure", include_str!("../../stdlib/azure.starr")),
    ("std.aws_metrics", include_str!("../../stdlib/aws_metrics.starr")),
    ("std.azure_checks", include_str!("../../stdlib/azure_checks.starr")),
    ("std.azure_metrics", include_str!("../../stdlib/azure_metrics.starr")),
    ("std.azure_queries", include_str!("../../stdlib/azure_queries.starr")),
    ("std.chat", include_str!("../../stdlib/chat.starr")),
    ("std.dns", include_str!("../../stdlib/dns.starr")),
    ("std.docker", include_str!("../../stdlib/docker.starr")),
    ("std.escalation", include_str!("../../stdlib/escalation.starr")),
    ("std.exec", include_str!("../../stdlib/exec.starr")),
    ("std.aws", include_str!("../../stdlib/aws.starr")),
    ("std.github", include_str!("../../stdlib/github.starr")),
    ("std.host", include_str!("../../stdlib/host.starr")),
    ("std.http", include_str!("../../stdlib/http.starr")),
    ("std.jaeger", include_str!("../../stdlib/jaeger.starr")),
    ("std.jwt", include_str!("../../stdlib/jwt.starr")),
    ("std.kubernetes", include_str!("../../stdlib/kubernetes.starr")),
    ("std.mail", include_str!("../../stdlib/mail.starr")),
    ("std.pager", include_str!("../../stdlib/pager.starr")),
    ("std.postgres", include_str!("../../stdlib/postgres.starr")),
    ("std.prometheus", include_str!("../../stdlib/prometheus.starr")),
    ("std.redis", include_str!("../../stdlib/redis.starr")),
    ("std.status_page", include_str!("../../stdlib/status_page.starr")),
    ("std.tls", include_str!("../../stdlib/tls.starr")),
];

impl Embedded {
    /// The paths of all embedded modules.
    pub fn paths() -> impl Iterator<Item = &'static str> {
        MODULES.iter().map(|(path, _)| *path)
    }

    /// The lines that would bring in what has this name and is one of these kinds (`check`, `resource`); `None` when no module has it.
    pub(super) fn import(name: &str, kinds: &[&str]) -> Option<String> {
        let declares = |line: &str| {
            kinds.iter().any(|kind| {
                let rest = line.strip_prefix(kind).and_then(|rest| rest.strip_prefix(' '));
                rest.and_then(|rest| rest.strip_prefix(name))
                    .is_some_and(|behind| !behind.starts_with(|next: char| next.is_alphanumeric() || next == '_'))
            })
        };
        let mut all: Vec<String> = MODULES
            .iter()
            .filter(|(_, text)| text.lines().any(declares))
            .map(|(path, _)| format!("`use {path}.{{{name}}}`"))
            .collect();
        all.sort_unstable();
        (!all.is_empty()).then(|| all.join(" or "))
    }

    /// The number of the module with this path.
    pub(super) fn number(path: &str) -> Option<usize> {
        MODULES.iter().position(|(known, _)| *known == path)
    }

    /// SHA-256 of the text of the module with this number, in hexadecimal.
    pub(super) fn digest(number: usize) -> &'static str {
        static DIGESTS: [OnceLock<String>; MODULES.len()] = [const { OnceLock::new() }; MODULES.len()];
        DIGESTS[number].get_or_init(|| hex::encode(Sha256::digest(MODULES[number].1)))
    }

    /// The text of the module with this number; the same one for everybody.
    pub(super) fn source(number: usize) -> Arc<Source> {
        static SOURCES: [OnceLock<Arc<Source>>; MODULES.len()] = [const { OnceLock::new() }; MODULES.len()];
        let source = SOURCES[number].get_or_init(|| {
            let (name, text) = MODULES[number];
            Arc::new(Source {
                name: name.to_owned(),
                path: None,
                text: text.into(),
            })
        });
        Arc::clone(source)
    }

    /// SHA-256 (hex) over all embedded modules: their paths and texts, each with its length, in the order of the paths.
    pub fn stdlib_digest() -> &'static str {
        static DIGEST: OnceLock<String> = OnceLock::new();
        DIGEST.get_or_init(|| {
            let mut modules = MODULES.to_vec();
            modules.sort_unstable();
            let mut hash = Sha256::new();
            for (path, text) in modules {
                for part in [path, text] {
                    hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                    hash.update(part.as_bytes());
                }
            }
            hex::encode(hash.finalize())
        })
    }
}

impl Library for Embedded {
    fn module(&self, path: &str) -> Option<ModuleSource> {
        let (path, text) = MODULES.iter().find(|(known, _)| *known == path)?;
        Some(ModuleSource {
            name: (*path).to_owned(),
            path: None,
            bytes: text.as_bytes().to_vec(),
        })
    }
}
