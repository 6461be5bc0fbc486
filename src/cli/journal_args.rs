//! The words of `starr journal`.

use clap::{ArgGroup, Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum JournalCommand {
    /// Check every entry against its hashes, and say how far signatures, anchors and witnesses reach
    Verify(Verify),
    /// Write the whole log into one file that can be verified anywhere
    Export(Target),
    /// Copy the journal, with what is still in its write-ahead log, and verify the copy
    Backup(Target),
    /// Make a signing key, or show its public half
    Key(Key),
    /// Sign from here on with another key, or go on in another journal; the log names both
    Rotate(Rotate),
    /// Sign the log as it stands
    Checkpoint,
    /// Sign the log as it stands and offer it to every anchor
    Anchor,
    /// Take payloads away; entries and hashes stay, and the log says who did it and why
    Erase(Erase),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Levels: intact < signed < anchored < witnessed. Whom to believe stands in the policy file, never in the journal.
Exit codes: 0 the required level is reached; 1 it is not, or something does not fit.

Examples:
  starr journal verify
  starr journal verify --policy /etc/starr/verify.policy --require anchored
  starr journal verify incident.export --policy verify.policy
  starr journal verify --anchor 'starr/b626… 412 15042a1a6ccff71b32d2516b5efb2046'")]
pub struct Verify {
    /// An export or a journal [default: the journal of the environment]
    pub file: Option<PathBuf>,
    /// Which keys, anchors and witnesses count, and what is required
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// The level that must be reached, instead of the policy's: intact, signed, anchored or witnessed
    #[arg(long, value_name = "LEVEL")]
    pub require: Option<String>,
    /// A line that was kept elsewhere, for example in the ticket: ORIGIN SIZE ROOT
    #[arg(long, value_name = "LINE")]
    pub anchor: Vec<String>,
    /// Ask the policy's witnesses what they saw last
    #[arg(long)]
    pub ask_witnesses: bool,
}

#[derive(Debug, Args)]
pub struct Target {
    /// The file to write; one that is there is not written over
    pub file: PathBuf,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("place").required(true).args(["file", "keyring"]))]
pub struct Key {
    /// The file of the key (mode 0600)
    pub file: Option<PathBuf>,
    /// A name in the system's keyring, instead of a file
    #[arg(long, value_name = "NAME")]
    pub keyring: Option<String>,
    /// The key's name, as verifiers see it [default: starr/ and this machine's name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Make nothing; show the public half of the key that is there
    #[arg(long)]
    pub show: bool,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("place").required(true).args(["file", "keyring", "log"]))]
pub struct Rotate {
    /// The file of the next key
    pub file: Option<PathBuf>,
    /// The name of the next key in the system's keyring
    #[arg(long, value_name = "NAME")]
    pub keyring: Option<String>,
    /// Go on in a new journal at this file, under the same key; each of the two names the other
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true).args(["run", "older_than"]), after_help = "\
Examples:
  starr journal erase --run 20261122-0314-k7f2 --payloads --reason 'personal data, request 4711'
  starr journal erase --older-than 400 --payloads --reason retention")]
pub struct Erase {
    /// One run: its id, or the beginning of it
    #[arg(long, value_name = "RUN")]
    pub run: Option<String>,
    /// Every run that ended more than so many days ago
    #[arg(long, value_name = "DAYS")]
    pub older_than: Option<u32>,
    /// What is taken away: the payloads, which is all that can be
    #[arg(long, required = true)]
    pub payloads: bool,
    /// Why; it stands in the log
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Also from a run that has not ended; it cannot be resumed then
    #[arg(long)]
    pub unfinished: bool,
}
