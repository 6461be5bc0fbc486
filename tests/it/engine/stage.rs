//! A world in which a run begins, ends in the middle, and goes on, in one process after the other.

use super::fake::{Backend, Blind, Crowd, Failing, Fake, Ran, environment, person};
use super::outside::Wall;
use futures::FutureExt;
use starr::engine::clock::Virtual;
use starr::engine::random::Fixed;
use starr::engine::world::{Clock, Environment, World};
use starr::journal::{Error, Journal};
use starr::provider::gate::{Gate, Grant, Mode};
use starr::value::Value;
use std::sync::Arc;
use std::time::Duration;

/// A world in which a run begins, ends in the middle, and goes on.
pub struct Stage {
    pub clock: Arc<Virtual>,
    pub wall: Arc<Wall>,
    /// Whose process it is.
    pub operator: String,
    pub backend: Arc<Backend>,
    pub crowd: Arc<Crowd>,
    pub journal: Arc<Failing>,
    pub(super) mode: Mode,
    pub unattended: bool,
    pub(super) interrupt_after: Option<u64>,
    pub(super) grants: Vec<Grant>,
    pub arguments: Vec<(String, Value)>,
    pub consent: starr::engine::world::Consent,
    pub policy: Option<Arc<dyn starr::provider::policy::Policy>>,
}

impl Stage {
    fn world(&self, interrupt: tokio::sync::watch::Receiver<bool>) -> World {
        self.world_on(self.journal.clone(), interrupt)
    }

    /// The world with another journal.
    pub fn world_on(&self, journal: Arc<dyn Journal>, interrupt: tokio::sync::watch::Receiver<bool>) -> World {
        let mut gate = Gate::new(self.grants.clone(), self.mode);
        if let Some(policy) = &self.policy {
            gate.govern(policy.clone());
        }
        for (name, operations) in [
            ("demo", super::OPERATIONS),
            ("chat", &["post", "mark"] as &[_]),
            ("pager", &["page"]),
            ("prometheus", &["series"]),
            ("cluster", &["releases", "rollout.undo"]),
            ("postgres", &["sessions.list", "sessions.terminate"]),
        ] {
            gate.register(Arc::new(Fake {
                name,
                operations,
                backend: self.backend.clone(),
            }));
        }
        World {
            gate: Arc::new(gate),
            people: self.crowd.clone(),
            journal,
            clock: self.wall.clone(),
            randomness: Arc::new(Fixed::new(1)),
            screen: Arc::new(Blind),
            environment: Environment {
                operator: person(&self.operator),
                ..environment(self.unattended, self.mode == Mode::DryRun)
            },
            consent: self.consent.clone(),
            interrupt,
        }
    }

    /// Runs to the end, or to where the journal fails.
    pub async fn begin(&self, program: &Arc<starr::program::Program>) -> Result<starr::engine::Ended, Error> {
        let (interrupt, receiver) = tokio::sync::watch::channel(false);
        let world = self.world(receiver);
        let book = starr::program::RunbookId(0);
        let work = starr::engine::run(program.clone(), book, self.arguments.clone(), world);
        let stop = async {
            if let Some(seconds) = self.interrupt_after {
                self.clock.sleep(Duration::from_secs(seconds)).await;
                interrupt.send_replace(true);
            }
            std::future::pending::<()>().await;
        };
        self.clock
            .drive(async {
                match futures::future::select(work.boxed(), stop.boxed()).await {
                    futures::future::Either::Left((ended, _)) => ended,
                    futures::future::Either::Right(_) => unreachable!("it never ends"),
                }
            })
            .await
    }

    /// Goes on from what is recorded, in another process.
    pub async fn resume(&self, program: &Arc<starr::program::Program>) -> Result<starr::engine::Resumed, Error> {
        let (_interrupt, receiver) = tokio::sync::watch::channel(false);
        let world = self.world(receiver);
        let recorded = self.journal.inner.entries();
        let book = starr::program::RunbookId(0);
        let work = starr::engine::resume(program.clone(), book, self.arguments.clone(), world, &recorded);
        self.clock.drive(work).await
    }

    /// Settles a run that ended in doubt, in another process.
    pub async fn settle(&self, program: &Arc<starr::program::Program>) -> Result<Option<starr::engine::Ended>, Error> {
        let (_interrupt, receiver) = tokio::sync::watch::channel(false);
        let world = self.world(receiver);
        let recorded = self.journal.inner.entries();
        let work = starr::engine::settle(program.clone(), starr::program::RunbookId(0), world, &recorded);
        self.clock.drive(work).await
    }

    /// What came of it.
    pub fn ran(&self, ended: Result<starr::engine::Ended, Error>) -> Ran {
        Ran {
            ended,
            events: self.journal.inner.events(),
            backend: self.backend.clone(),
            crowd: self.crowd.clone(),
            took: self.clock.elapsed(),
        }
    }
}
