//! `starr bundle`: a run in one file for somebody else, and whether such a file still is what was made.

use super::args::{Bundle, Global};
use super::journal::{existing, found};
use super::output::{Output, line, print};
use super::{Exit, Failure, run};
use crate::config;
use crate::journal::event::Event;
use crate::journal::{Recorded, Store};
use crate::render;
use crate::render::safe::safe;
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// What stands first in a bundle.
const FORMAT: &str = "starr-bundle/1";

/// The largest bundle that is made or looked at, in bytes.
const BYTES: u64 = 256 * 1024 * 1024;

/// Makes a bundle, or checks one.
pub fn bundle(args: &Bundle, global: &Global, output: Output) -> Result<Exit, Failure> {
    match &args.check {
        Some(file) => check(file, global, output),
        None => make(args, global, output),
    }
}

/// Everything that is known of a run, as a document. Only what is written in the journal or said by this program is in it.
async fn document(store: &Store, entries: &[Recorded], environment: &str) -> Result<Json, Failure> {
    let verified = store.verify().await?;
    let machine = rustix::system::uname();
    let mut shown = render::show::show_json(entries);
    Ok(json!({
        "format": FORMAT,
        "run": entries.first().map(|entry| &entry.run),
        "made": jiff::Timestamp::now().to_string(),
        "by": super::login(),
        "environment": {
            "name": environment,
            "version": env!("CARGO_PKG_VERSION"),
            "system": machine.sysname().to_string_lossy(),
            "release": machine.release().to_string_lossy(),
            "machine": machine.machine().to_string_lossy(),
            "providers": crate::providers::NAMES,
        },
        "report": render::report::report_with(entries, Some(&verified)),
        "entries": shown["entries"].take(),
        "journal": {
            "summary": verified.summary(),
            "intact": verified.is_intact(),
            "entries": verified.entries,
            "root": verified.root,
        },
    }))
}

fn cannot_write(path: &Path, problem: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot write {}: {problem}", path.display()))
}

/// A new file of mode 0600, with everything on the disk.
fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).inspect_err(|_| {
        let _ = std::fs::remove_file(path);
    })
}

fn make(args: &Bundle, global: &Global, output: Output) -> Result<Exit, Failure> {
    let loaded = config::load(global.config.as_deref())?;
    let (name, environment) = loaded.environment(global.env.as_deref())?;
    let place = existing(global, environment)?;
    let (id, path, digest, size, entry) = super::runtime()?.block_on(async {
        let store = run::open_journal(&place).await?;
        let id = found(&store, &args.run).await?;
        let entries = store.entries(&id).await?;
        // A run that is under way writes its own record; this would come in between.
        if !entries.iter().any(|entry| entry.kind == "ended") {
            return Err(Failure::usage(format!(
                "run {id} has not ended; `starr report` shows it so far"
            )));
        }
        let document = document(&store, &entries, name).await?;
        let bytes = crate::secrets::json_bytes(&document)
            .map_err(|problem| Failure::usage(format!("the bundle cannot be written: {problem}")))?;
        if bytes.len() as u64 > BYTES {
            return Err(Failure::usage("the bundle would be larger than 256 MiB"));
        }
        let path = args
            .to
            .clone()
            .unwrap_or_else(|| PathBuf::from(format!("starr-{id}.json")));
        write_new(&path, &bytes).map_err(|problem| cannot_write(&path, &problem))?;
        let digest = hex::encode(Sha256::digest(&bytes));
        let event = Event::Bundled {
            digest: digest.clone(),
            bytes: bytes.len() as u64,
            by: super::login_as_person(),
        };
        // A file that the journal does not know would not be a bundle.
        let entry = store.attach(&id, &event).await.inspect_err(|_| {
            let _ = std::fs::remove_file(&path);
        })?;
        Ok((id, path, digest, bytes.len(), entry))
    })?;
    if output.json {
        line(&json!({ "run": id, "file": path, "sha256": digest, "bytes": size, "entry": entry }).to_string());
    } else {
        print(&format!(
            "run {id} is in {file}, {size} bytes, SHA-256 {digest}; entry {entry} of the journal says so. \
             `starr bundle --check {file}` checks it\n",
            file = path.display()
        ));
    }
    Ok(Exit::Good)
}

/// The bytes of a file, and the run that it says it is of.
fn read(path: &Path) -> Result<(Vec<u8>, String), Failure> {
    let fail = |why: String| Failure::usage(format!("{} is no bundle: {why}", path.display()));
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(BYTES + 1).read_to_end(&mut bytes))
        .map_err(|problem| Failure::usage(format!("cannot read {}: {problem}", path.display())))?;
    if bytes.len() as u64 > BYTES {
        return Err(fail("it is larger than 256 MiB".to_owned()));
    }
    let document: Json = serde_json::from_slice(&bytes).map_err(|problem| fail(problem.to_string()))?;
    let word = |name: &str| document.get(name).and_then(Json::as_str);
    if word("format") != Some(FORMAT) {
        return Err(fail(format!("its format is not {FORMAT}")));
    }
    let run = word("run")
        .ok_or_else(|| fail("it names no run".to_owned()))?
        .to_owned();
    Ok((bytes, run))
}

fn check(file: &Path, global: &Global, output: Output) -> Result<Exit, Failure> {
    let (bytes, run) = read(file)?;
    let digest = hex::encode(Sha256::digest(&bytes));
    let loaded = config::load(global.config.as_deref())?;
    let (_, environment) = loaded.environment(global.env.as_deref())?;
    let place = existing(global, environment)?;
    let (made, intact) = super::runtime()?.block_on(async {
        let store = place.read().await?;
        let known = store.runs(u32::MAX).await?.iter().any(|one| one.id == run);
        let entries = if known { store.entries(&run).await? } else { Vec::new() };
        let made = entries
            .into_iter()
            .find(|entry| matches!(&entry.event, Some(Event::Bundled { digest: recorded, .. }) if *recorded == digest));
        Ok::<_, Failure>((made, store.verify().await?.is_intact()))
    })?;
    let good = made.is_some() && intact;
    if output.json {
        let entry = made.as_ref().map(|entry| entry.sequence);
        line(
            &json!({ "run": run, "sha256": digest, "entry": entry, "journal_intact": intact, "good": good })
                .to_string(),
        );
        return Ok(if good { Exit::Good } else { Exit::Findings });
    }
    let about = match &made {
        Some(entry) => format!(
            "it is unchanged: entry {} of the journal names SHA-256 {digest}, made by {} at {}",
            entry.sequence,
            safe(&entry.actor),
            entry.at
        ),
        None => format!(
            "the journal knows no bundle of run {} with SHA-256 {digest}: it was changed, or made elsewhere",
            safe(&run)
        ),
    };
    let journal = if intact {
        ""
    } else {
        "; the journal itself is broken: `starr journal verify`"
    };
    print(&format!("{about}{journal}\n"));
    Ok(if good { Exit::Good } else { Exit::Findings })
}
