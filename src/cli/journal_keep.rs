//! `starr journal`: verify, sign, anchor, export, copy, erase.

use super::args::Global;
use super::journal_args::{Erase, JournalCommand, Key, Rotate, Target, Verify};
use super::output::{Output, line, print};
use super::{Exit, Failure, run};
use crate::config::{self, Environment};
use crate::journal::anchor;
use crate::journal::checkpoint::{self, Statement};
use crate::journal::event::Event;
use crate::journal::judge;
use crate::journal::key::{self, Source};
use crate::journal::ledger::{self, Ledger as _};
use crate::journal::policy::{self, Demand, Place, Policy};
use crate::journal::seal::{self, Anchored, Sealing};
use crate::journal::{Found, Location, Store};
use crate::render::safe::safe;
use serde_json::json;
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The largest policy file, in bytes.
const POLICY_BYTES: u64 = 1024 * 1024;

/// Does the command.
pub fn journal(command: &JournalCommand, global: &Global, output: Output) -> Result<Exit, Failure> {
    match command {
        JournalCommand::Verify(args) => verify(args, global, output),
        JournalCommand::Export(args) => export(args, global, output),
        JournalCommand::Backup(args) => backup(args, global, output),
        JournalCommand::Key(args) => make_key(args, output),
        JournalCommand::Rotate(args) => rotate(args, global, output),
        JournalCommand::Checkpoint => checkpoint(global, output),
        JournalCommand::Anchor => anchor(global, output),
        JournalCommand::Erase(args) => erase(args, global, output),
    }
}

/// The journal of the environment, for a command that does not make one.
struct Here {
    loaded: config::Loaded,
    name: Option<String>,
    path: Location,
}

impl Here {
    fn new(global: &Global) -> Result<Self, Failure> {
        let loaded = config::load(global.config.as_deref())?;
        let (_, environment) = loaded.environment(global.env.as_deref())?;
        let path = run::journal_path(global, environment)?;
        if !path.exists() {
            return Err(Failure::usage(format!(
                "there is no journal at {}; the first `starr run` makes it",
                path.display()
            )));
        }
        Ok(Self {
            loaded,
            name: global.env.clone(),
            path,
        })
    }

    fn environment(&self) -> Result<&Environment, Failure> {
        Ok(self.loaded.environment(self.name.as_deref())?.1)
    }

    async fn sealing(&self) -> Result<Arc<Sealing>, Failure> {
        let settings = &self.environment()?.journal;
        // What nobody signs or keeps is only looked at, and that must also work where nothing can be written.
        let store = if settings.signing_key.is_none() && settings.anchors.is_empty() {
            self.path.read().await?
        } else {
            run::open_journal(&self.path).await?
        };
        // The command itself prints the line.
        let print: anchor::Print = Arc::new(|_| {});
        Ok(run::sealing(Arc::new(store), settings, print)?)
    }
}

fn read_policy(path: &Path) -> Result<Policy, Failure> {
    use std::io::Read as _;
    let shown = path.display();
    let fail = |why: String| Failure::usage(format!("the policy {shown} cannot be used: {why}"));
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(POLICY_BYTES + 1).read_to_string(&mut text))
        .map_err(|problem| fail(problem.to_string()))?;
    if text.len() as u64 > POLICY_BYTES {
        return Err(fail(format!("it is larger than {POLICY_BYTES} bytes")));
    }
    Policy::parse(&text).map_err(fail)
}

fn verify(args: &Verify, global: &Global, output: Output) -> Result<Exit, Failure> {
    let mut policy = args.policy.as_deref().map(read_policy).transpose()?.unwrap_or_default();
    for given in &args.anchor {
        let statement = Statement::parse(given).map_err(|why| Failure::usage(format!("--anchor: {why}")))?;
        policy.anchors.push(Place::Line(statement));
    }
    let mut demand = policy.demand;
    if let Some(word) = &args.require {
        let level = policy::level(word).map_err(|why| Failure::usage(format!("--require: {why}")))?;
        demand = Demand { level, ..demand };
    }
    let place = match &args.file {
        Some(path) => Location::File(path.clone()),
        None => Here::new(global)?.path,
    };
    let verified = super::runtime()?.block_on(async {
        // Read before the snapshot is taken: an anchor that is written meanwhile knows no more than the snapshot.
        let trust = judge::trust(&policy).await;
        if let Some(file) = place.file()
            && is_export(file)?
        {
            let path = file;
            if args.ask_witnesses {
                return Err(Failure::usage(
                    "--ask-witnesses needs the journal itself, not an export",
                ));
            }
            let file = std::fs::File::open(path).map_err(|problem| cannot_read(path, &problem))?;
            return crate::journal::export::verify(&mut std::io::BufReader::new(file), trust)
                .map_err(|why| Failure::usage(format!("{} is not an export that can be read: {why}", path.display())));
        }
        let store = place.read().await?;
        let mut verified = store.verify_with(trust).await?;
        if args.ask_witnesses {
            judge::ask_witnesses(&store, &policy, &mut verified)
                .await
                .map_err(Failure::usage)?;
        }
        Ok(verified)
    })?;
    let missing = demand.missing(&verified);
    if output.json {
        let mut all = serde_json::to_value(&verified).unwrap_or_default();
        if let Some(object) = all.as_object_mut() {
            object.insert("summary".to_owned(), json!(verified.summary()));
            object.insert("required".to_owned(), json!(demand.level));
            object.insert("missing".to_owned(), json!(missing));
        }
        line(&all.to_string());
    } else {
        print(&format!(
            "{}\n",
            crate::render::safe::safe_multiline(&verified.to_string())
        ));
        if let Some(missing) = missing.as_ref().filter(|_| verified.is_intact()) {
            print(&format!("Not enough: {missing}.\n"));
        }
    }
    Ok(if missing.is_none() { Exit::Good } else { Exit::Findings })
}

fn cannot_read(path: &Path, problem: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot read {}: {problem}", path.display()))
}

/// An export begins with a brace; a journal with the words of SQLite.
fn is_export(path: &Path) -> Result<bool, Failure> {
    let file = std::fs::File::open(path).map_err(|problem| cannot_read(path, &problem))?;
    let mut file = std::io::BufReader::new(file);
    let begin = file.fill_buf().map_err(|problem| cannot_read(path, &problem))?;
    Ok(begin.first() == Some(&b'{'))
}

fn export(args: &Target, global: &Global, output: Output) -> Result<Exit, Failure> {
    let here = Here::new(global)?;
    let file = create(&args.file)?;
    let written = super::runtime()?.block_on(async {
        let store = here.path.read().await?;
        let mut to = std::io::BufWriter::new(file);
        let written = ledger::export(&store, &mut to).await?;
        let file = to
            .into_inner()
            .map_err(|problem| cannot_write(&args.file, problem.error()))?;
        file.sync_all().map_err(|problem| cannot_write(&args.file, &problem))?;
        Ok::<_, Failure>(written)
    })?;
    said(
        output,
        &json!({ "file": args.file, "entries": written.entries, "checkpoints": written.checkpoints }),
        &format!(
            "{} entries and {} checkpoints are in {file}; `starr journal verify {file}` verifies it",
            written.entries,
            written.checkpoints,
            file = args.file.display()
        ),
    );
    Ok(Exit::Good)
}

fn cannot_write(path: &Path, problem: &std::io::Error) -> Failure {
    Failure::usage(format!("cannot write {}: {problem}", path.display()))
}

fn create(path: &Path) -> Result<std::fs::File, Failure> {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|problem| cannot_write(path, &problem))
}

fn said(output: Output, json: &serde_json::Value, text: &str) {
    if output.json {
        line(&json.to_string());
    } else {
        print(&format!("{text}\n"));
    }
}

fn backup(args: &Target, global: &Global, output: Output) -> Result<Exit, Failure> {
    let here = Here::new(global)?;
    let verified = super::runtime()?.block_on(async {
        here.path.read().await?.backup(&args.file).await?;
        // The copy is what has to be good.
        Ok::<_, Failure>(Store::read(&args.file).await?.verify().await?)
    })?;
    if output.json {
        line(&json!({ "file": args.file, "entries": verified.entries, "root": verified.root, "intact": verified.is_intact() }).to_string());
    } else {
        let what = if verified.is_intact() {
            "is intact"
        } else {
            "is broken as the journal itself is"
        };
        print(&format!(
            "{} entries are in {}; the copy {what}, root {}\n",
            verified.entries,
            args.file.display(),
            verified.root
        ));
    }
    Ok(if verified.is_intact() {
        Exit::Good
    } else {
        Exit::Findings
    })
}

fn source(file: Option<&PathBuf>, keyring: Option<&String>) -> Result<Source, Failure> {
    match (file, keyring) {
        (Some(path), _) => Ok(Source::File(path.clone())),
        (None, Some(name)) => Ok(Source::Keyring { keyring: name.clone() }),
        (None, None) => Err(Failure::usage("name the file of the key, or --keyring NAME")),
    }
}

fn make_key(args: &Key, output: Output) -> Result<Exit, Failure> {
    let source = source(args.file.as_ref(), args.keyring.as_ref())?;
    let signer = if args.show {
        source.load()?
    } else {
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let name = args.name.clone().unwrap_or_else(|| format!("starr/{machine}"));
        let signer = key::generate(&name).map_err(|error| Failure::usage(error.message))?;
        source.keep(&signer)?;
        signer
    };
    let public = signer.verifier().encode();
    if output.json {
        line(&json!({ "key": public }).to_string());
        return Ok(Exit::Good);
    }
    line(&public);
    if !args.show {
        super::output::complain(
            "The line above is the public half: put it into the verifier's policy as `key …`. Name the key in starr.yaml \
             as `journal: { signing_key: … }`.",
        );
    }
    Ok(Exit::Good)
}

fn rotate(args: &Rotate, global: &Global, output: Output) -> Result<Exit, Failure> {
    let here = Here::new(global)?;
    if let Some(log) = &args.log {
        return go_on_in(&here, log, output);
    }
    let next = source(args.file.as_ref(), args.keyring.as_ref())?.load()?;
    let settings = here.environment()?.journal.clone();
    let old = settings.signing_key.as_ref().map(Source::load).transpose()?;
    if old.as_ref().is_some_and(|old| old.verifier() == next.verifier()) {
        return Err(Failure::usage("this key signs the journal already"));
    }
    let (entry, size) = super::runtime()?.block_on(async {
        let store = run::open_journal(&here.path).await?;
        let entry = store
            .note(&seal::key_changed(old.as_ref(), &next, super::login_as_person()))
            .await?;
        let signers: Vec<_> = old.iter().chain([&next]).collect();
        Ok::<_, Failure>((entry, seal::sign_both(&store, &signers).await?))
    })?;
    let public = next.verifier().encode();
    said(
        output,
        &json!({ "entry": entry, "size": size, "key": public }),
        &format!(
            "entry {entry} names the next key, and the checkpoint of {size} entries is signed by both. Now put the key into \
             starr.yaml, and its public half into the verifier's policy beside the old one:\nkey {public}"
        ),
    );
    Ok(Exit::Good)
}

/// Begins a new journal that goes on from this one. The old one names the new one's origin and is signed and anchored for the
/// last time; the new one begins with the old one's end.
fn go_on_in(here: &Here, log: &Path, output: Output) -> Result<Exit, Failure> {
    if log.exists() {
        return Err(Failure::usage(format!("{} is there already", log.display())));
    }
    let (next, end) = super::runtime()?.block_on(async {
        let old = run::open_journal(&here.path).await?;
        let new = Store::open(log).await?;
        let next = checkpoint::origin_line(&new.head().await?.origin);
        let changed = |from: Option<String>, to: Option<String>| Event::LogChanged {
            from,
            to,
            by: super::login_as_person(),
        };
        old.note(&changed(None, Some(next.clone()))).await?;
        let anchored = here.sealing().await?.anchor().await?;
        if !anchored.failed.is_empty() {
            super::output::complain(
                "not every anchor took the old journal's end; `starr journal anchor` tries them again",
            );
        }
        // The whole root: this line is to find out whoever holds the key, too.
        let end = old.head().await?;
        let end = format!(
            "{} {} {}",
            checkpoint::origin_line(&end.origin),
            end.frontier.size(),
            hex::encode(end.frontier.root())
        );
        new.note(&changed(Some(end.clone()), None)).await?;
        Ok::<_, Failure>((next, end))
    })?;
    said(
        output,
        &json!({ "file": log, "log": next, "end": end }),
        &format!(
            "{} goes on from the old journal, which ends as\n{end}\nNow put the file into starr.yaml, and `log {next}` into the \
             verifier's policy; the old journal is verified with --anchor '{end}'",
            log.display()
        ),
    );
    Ok(Exit::Good)
}

fn checkpoint(global: &Global, output: Output) -> Result<Exit, Failure> {
    let here = Here::new(global)?;
    let (standing, note) =
        super::runtime()?.block_on(async { Ok::<_, Failure>(here.sealing().await?.checkpoint().await?) })?;
    let Some(note) = note else {
        return Err(Failure::usage(
            "nothing was signed: no `journal.signing_key` is configured, or the journal is empty; `starr journal key` makes a key",
        ));
    };
    let size = standing.frontier.size();
    if output.json {
        line(&json!({ "size": size, "note": note.encode() }).to_string());
    } else {
        print(&note.encode());
    }
    Ok(Exit::Good)
}

fn anchor(global: &Global, output: Output) -> Result<Exit, Failure> {
    let here = Here::new(global)?;
    let (anchored, needed) = super::runtime()?.block_on(async {
        let sealing = here.sealing().await?;
        let anchored = sealing.anchor().await?;
        let failures = anchored.events();
        if !failures.is_empty() {
            let store = run::open_journal(&here.path).await?;
            for failure in &failures {
                store.note(failure).await?;
            }
        }
        Ok::<_, Failure>((anchored, sealing.needed.max(1)))
    })?;
    show_anchored(&anchored, output);
    let good = anchored.failed.is_empty() && anchored.kept.len() >= needed;
    Ok(if good { Exit::Good } else { Exit::Findings })
}

fn show_anchored(anchored: &Anchored, output: Output) {
    if output.json {
        let failed: Vec<_> = anchored
            .failed
            .iter()
            .map(|(place, why)| json!({ "place": place, "because": why.to_string() }))
            .collect();
        line(
            &json!({ "line": anchored.line, "size": anchored.size, "kept": anchored.kept, "failed": failed })
                .to_string(),
        );
        return;
    }
    print(&format!("{}\n", anchored.line));
    for place in &anchored.kept {
        print(&format!("kept by {}\n", safe(place)));
    }
    for (place, why) in &anchored.failed {
        print(&format!("not kept by {}: {}\n", safe(place), safe(&why.to_string())));
    }
    if anchored.kept.is_empty() && anchored.failed.is_empty() {
        print("no anchors are configured; keep the line above in the ticket\n");
    }
}

fn erase(args: &Erase, global: &Global, output: Output) -> Result<Exit, Failure> {
    if args.reason.trim().is_empty() {
        return Err(Failure::usage(
            "--reason is empty; it stands in the log for whoever asks later",
        ));
    }
    let here = Here::new(global)?;
    let erased = super::runtime()?.block_on(async {
        let store = here.path.open_to_erase().await?;
        let runs = store.runs(u32::MAX).await?;
        let chosen: Vec<_> = match (&args.run, args.older_than) {
            (Some(name), _) => {
                let id = match store.find(name).await? {
                    Found::One(id) => id,
                    Found::Nothing => return Err(Failure::usage(format!("the journal holds no run `{}`", safe(name)))),
                    Found::Several(ids) => {
                        return Err(Failure::usage(format!("`{}` begins several ids: {}", safe(name), ids.join(", "))));
                    }
                };
                runs.into_iter().filter(|run| run.id == id).collect()
            }
            (None, days) => {
                let age = jiff::SignedDuration::from_hours(24 * i64::from(days.unwrap_or(u32::MAX)));
                let before = jiff::Timestamp::now().checked_sub(age).unwrap_or(jiff::Timestamp::MIN);
                let old = |run: &crate::journal::sqlite::RunSummary| {
                    run.ended.as_ref().is_some_and(|ended| ended.at < before)
                };
                runs.into_iter().filter(old).collect()
            }
        };
        let mut erased = Vec::new();
        for run in chosen {
            if run.ended.is_none() && !args.unfinished {
                return Err(Failure::usage(format!(
                    "run {} has not ended; with its payloads erased it cannot be resumed. --unfinished does it all the same",
                    run.id
                )));
            }
            let done = store.erase(&run.id, &args.reason, &super::login_as_person()).await?;
            if done.payloads > 0 {
                erased.push((run.id, done));
            }
        }
        Ok(erased)
    })?;
    if output.json {
        let all: Vec<_> = erased
            .iter()
            .map(|(run, done)| json!({ "run": run, "payloads": done.payloads, "entry": done.entry, "gone": done.gone }))
            .collect();
        line(&json!({ "erased": all }).to_string());
        return Ok(Exit::Good);
    }
    if erased.is_empty() {
        print("there was nothing to erase\n");
    }
    for (run, done) in &erased {
        print(&format!(
            "{run}: {} payloads erased; entry {} says so\n",
            done.payloads,
            done.entry.unwrap_or(0)
        ));
    }
    if erased.iter().any(|(_, done)| !done.gone) {
        print(match here.path.file() {
            Some(_) => {
                "somebody is reading the journal: the write-ahead log may hold them until it is next written back\n"
            }
            None => "the server keeps them until it has vacuumed, and in its own log and backups\n",
        });
    }
    Ok(Exit::Good)
}
