//! `starr sign`, and whether the texts of a program are signed by somebody who counts.

use super::args::{Global, Sign};
use super::files::{Project, if_there, read};
use super::output::{Output, complain, line};
use super::{Exit, Failure};
use crate::config::{self, Environment};
use crate::render::safe::safe;
use crate::secrets::private_file;
use crate::source::Sources;
use crate::trust::{self, Found, SIGNATURE_BYTES, Signed, Signers};
use jiff::Timestamp;
use std::path::{Path, PathBuf};

/// Signs a file, or verifies its signature.
pub fn sign(args: &Sign, global: &Global, output: Output) -> Result<Exit, Failure> {
    let bytes = read(&args.file).map_err(Failure::usage)?.bytes;
    let Some(key) = args.key.as_ref().filter(|_| !args.check) else {
        return verify(args, &bytes, global, output);
    };
    let text = private_file(key, "private key").map_err(Failure::usage)?;
    let signature = trust::ssh::sign(text.expose(), &bytes)
        .map_err(|problem| Failure::usage(format!("{}: {problem}", key.display())))?;
    let path = beside(&args.file, "sig");
    std::fs::write(&path, signature)
        .map_err(|problem| Failure::usage(format!("cannot write {}: {problem}", path.display())))?;
    complain(&format!("wrote {}", path.display()));
    Ok(Exit::Good)
}

fn verify(args: &Sign, bytes: &[u8], global: &Global, output: Output) -> Result<Exit, Failure> {
    let loaded = config::load(global.config.as_deref())?;
    let (name, environment) = loaded.environment(global.env.as_deref())?;
    if !environment.signatures.names_somebody() {
        return Err(Failure::usage(format!(
            "the environment `{name}` names nobody who may sign; add `signatures`"
        )));
    }
    let signers = environment.signatures.signers()?;
    let signed = one(&signers, &args.file, bytes).map_err(refused)?;
    if output.json {
        line(&serde_json::json!({ "signed_by": signed.by, "key": signed.key }).to_string());
    } else {
        line(&format!("signed by {}", safe(&shown(&signed))));
    }
    Ok(Exit::Good)
}

/// Who vouches for a program: for the runbook, and for each module of the project that it uses. Empty where signatures are not
/// enforced and there is none.
///
/// The bytes are those of `sources`, from which the program was made; no file but the signatures is read here. A module is vouched for
/// by its own signature, or by that of the `starr.lock` that pins it.
pub fn vouched(sources: &Sources, path: &Path, environment: &Environment) -> Result<Vec<String>, Failure> {
    let policy = &environment.signatures;
    if !policy.names_somebody() {
        return Ok(Vec::new());
    }
    let signers = policy.signers()?;
    let project = Project::of(path);
    let mut by: Vec<String> = Vec::new();
    let mut lock: Option<Result<Signed, String>> = None;
    for (index, (_, source)) in sources.iter().enumerate() {
        let Some(file) = &source.path else { continue };
        if index > 0 && project.module_of(file).is_none() {
            continue;
        }
        let result = match one(&signers, file, source.text.as_bytes()) {
            Err(problem) if index > 0 => lock
                .get_or_insert_with(|| locked(&signers, &project))
                .clone()
                .map_err(|other| format!("{problem}; and the lock that pins it does not count: {other}")),
            result => result,
        };
        match result {
            Ok(signed) => {
                let shown = shown(&signed);
                if !by.contains(&shown) {
                    by.push(shown);
                }
            }
            Err(problem) if policy.required => return Err(refused(problem)),
            Err(_) => {}
        }
    }
    Ok(by)
}

/// Who signed the lock of the project; its pins were compared with what is used before.
fn locked(signers: &Signers, project: &Project) -> Result<Signed, String> {
    let path = project.root().join("starr.lock");
    let bytes = super::pins::read_lock(&path)?.ok_or("there is none")?;
    one(signers, &path, bytes.as_bytes())
}

/// Who signed these bytes, by the signatures that lie beside the file.
fn one(signers: &Signers, file: &Path, bytes: &[u8]) -> Result<Signed, String> {
    let named = |problem: String| format!("{}: {problem}", file.display());
    let ssh = signature(&beside(file, "sig")).map_err(named)?;
    let minisign = signature(&beside(file, "minisig")).map_err(named)?;
    let found = Found {
        ssh: ssh.as_deref(),
        minisign: minisign.as_deref(),
    };
    trust::verify(signers, bytes, found, Timestamp::now()).map_err(named)
}

fn refused(problem: String) -> Failure {
    Failure {
        exit: Exit::Refused,
        message: format!("not trusted here: {problem}"),
    }
}

fn shown(signed: &Signed) -> String {
    format!("{} ({})", signed.by, signed.key)
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

/// The bytes of a signature; `None` when there is no such file.
fn signature(path: &Path) -> Result<Option<Vec<u8>>, String> {
    if_there(
        path,
        &format!("its signature {}", path.display()),
        SIGNATURE_BYTES,
        "64 KiB",
    )
}
