//! `starr secret`: secrets of the operating system's keyring.

use super::args::SecretCommand;
use super::output::complain;
use super::{Exit, Failure};
use crate::secrets::{SecretSource, SecretText};
use std::io::{IsTerminal, Read};
use zeroize::Zeroizing;

/// Longest secret that is taken, in bytes.
const BYTES: u64 = 64 * 1024;

/// Takes a secret from standard input, so that it stands in no argument list and no shell history.
pub fn secret(command: &SecretCommand) -> Result<Exit, Failure> {
    let SecretCommand::Set(args) = command;
    let text = if std::io::stdin().is_terminal() {
        hidden_line()
    } else {
        let mut text = Zeroizing::new(String::new());
        std::io::stdin()
            .lock()
            .take(BYTES + 1)
            .read_to_string(&mut text)
            .map(|_| text)
    };
    let text = text.map_err(|_| Failure::usage("standard input is not text"))?;
    if text.len() as u64 > BYTES {
        return Err(Failure::usage("the secret is larger than 64 KiB"));
    }
    let secret = SecretText::new(text.trim_end_matches(['\r', '\n']).to_owned());
    if secret.expose().is_empty() {
        return Err(Failure::usage(
            "nothing was given; the secret is read from standard input",
        ));
    }
    SecretSource::keep_in_keyring(&args.name, &secret).map_err(Failure::usage)?;
    complain(&format!("kept in the keyring as {}", args.name));
    Ok(Exit::Good)
}

/// A line of the terminal that is not shown while it is typed.
fn hidden_line() -> std::io::Result<Zeroizing<String>> {
    use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
    let stdin = std::io::stdin();
    let before = tcgetattr(&stdin)?;
    let mut quiet = before.clone();
    quiet.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &quiet)?;
    complain("the secret (not shown):");
    let mut text = Zeroizing::new(String::new());
    let read = stdin.read_line(&mut text);
    tcsetattr(&stdin, OptionalActions::Flush, &before)?;
    read.map(|_| text)
}
