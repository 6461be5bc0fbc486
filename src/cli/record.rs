//! `--record`: a run whose calls, people, dice, events and time are written down.

use super::Failure;
use crate::engine::world::{Clock, World};
use crate::program::Program;
use crate::provider::gate::Grant;
use crate::provider::record::{Tape, nanoseconds};
use crate::recording::witness::{Drawn, Heard, Kept};
use crate::recording::{About, FILE, Facts, Granted, texts};
use crate::value::{Value, tagged};
use std::path::Path;
use std::sync::Arc;

/// A recording under way.
pub struct Record {
    tape: Arc<Tape>,
    started: jiff::Timestamp,
}

impl Record {
    /// Begins a recording in this folder; one that is there already is not written over.
    pub fn into(folder: &Path, clock: &Arc<dyn Clock>) -> Result<Self, Failure> {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        let path = folder.join(FILE);
        let made = std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .and_then(|()| {
                std::fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(&path)
            });
        let file =
            made.map_err(|problem| Failure::usage(format!("cannot record into {}: {problem}", path.display())))?;
        let (clock, start) = (clock.clone(), clock.elapsed());
        let started = clock.now();
        let elapsed = Box::new(move || clock.elapsed().saturating_sub(start));
        Ok(Self {
            tape: Tape::timed(Box::new(file), elapsed),
            started,
        })
    }

    /// Where the recorders of the providers write to.
    pub fn tape(&self) -> &Arc<Tape> {
        &self.tape
    }

    /// Writes down what the run is started with, and gives it a world that is written down.
    pub fn of(&self, world: World, program: &Program, arguments: &[(String, Value)], grants: &[Grant]) -> World {
        let book = program.runbooks.first();
        let about = About {
            run: world.journal.run_id().to_owned(),
            started: self.started,
            runbook: book.map(|book| book.name.clone()).unwrap_or_default(),
            file: book
                .map(|book| program.sources.file(book.span.file).name.clone())
                .unwrap_or_default(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            texts: texts(&program.sources),
            matrix: book.and_then(|book| {
                let escalation = book.result.escalation.as_ref()?;
                let file = program.sources.file(escalation.environment?);
                Some((file.name.clone(), escalation.name.clone()))
            }),
            arguments: arguments
                .iter()
                .map(|(name, value)| (name.clone(), tagged::to_json(value)))
                .collect(),
            environment: Facts::of(&world.environment),
            identities: world.consent.identities.clone(),
            roles: world.consent.roles.clone(),
            emergency: world.consent.emergency.clone(),
            exceptions: world
                .gate
                .providers()
                .map(|provider| (provider.name().to_owned(), provider.exceptions()))
                .filter(|(_, exceptions)| !exceptions.is_empty())
                .collect(),
            grants: grants.iter().map(Granted::of).collect(),
            providers: world
                .gate
                .providers()
                .map(|provider| provider.name().to_owned())
                .collect(),
        };
        self.tape.note(
            "run",
            serde_json::to_value(about).expect("facts are text, numbers and lists"),
        );
        World {
            people: Arc::new(Heard {
                inner: world.people,
                tape: self.tape.clone(),
            }),
            journal: Arc::new(Kept {
                inner: world.journal,
                tape: self.tape.clone(),
            }),
            randomness: Arc::new(Drawn {
                inner: world.randomness,
                tape: self.tape.clone(),
            }),
            ..world
        }
    }

    /// The run is being interrupted.
    pub fn interrupted(&self) {
        self.tape.note("interrupted", nanoseconds(self.tape.elapsed()).into());
    }
}
