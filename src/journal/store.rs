//! A journal that is open: runs begin and change hands here, and everything that is printed is read here. Where it is kept
//! is the storage's business.

use super::decisions::Decisions;
use super::entry::{Digests, Entry};
use super::event::Event;
use super::lease::Lease;
use super::machine::{self, Machine};
use super::sequencer::{About, Given, Pending, QUEUE, Request, Sequencer, Shared, Wanted};
use super::storage::{Reader, Storage, Which};
use super::{Error, Run, words};
use futures::StreamExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;

/// The largest payload, in bytes. What providers return is bounded far below it.
const PAYLOAD_LIMIT: usize = crate::limits::ENTRY_BYTES;

/// An open journal.
pub struct Store {
    pub(super) storage: Arc<dyn Storage>,
    pub(super) shared: Arc<Shared>,
    pub(super) origin: [u8; 16],
    /// `None`: opened to be looked at.
    handle: Option<Handle>,
    task: Option<JoinHandle<Result<(), Error>>>,
    /// Opened when something is read for the first time.
    pub(super) reader: Mutex<Option<Box<dyn Reader>>>,
    file: Option<PathBuf>,
}

/// What a run is started with.
#[derive(Clone, Debug, Default)]
pub struct RunHeader {
    /// What the run rests on; stands in each of its entries.
    pub digests: Digests,
    /// Who runs it, for people, such as `maria on db7, process 4711`; not part of the record.
    pub holder: String,
}

/// What came of the wish to begin a run.
pub enum Begun {
    /// The run is this process's.
    Mine(Run),
    /// This run is about the same and under way; nothing was begun.
    UnderWay(String),
}

/// What came of the wish to take a run's lease.
pub enum Taken {
    /// The lease is this process's, under the next epoch; what was to be said about it is recorded.
    Mine(Run),
    /// Somebody was quicker: the epoch is not the expected one any more. Nothing was changed.
    Others(Lease),
    /// There is no such run.
    NoSuchRun,
}

/// The way to the sequencing writer.
#[derive(Clone)]
pub(super) struct Handle {
    pub shared: Arc<Shared>,
    sender: mpsc::Sender<Request>,
}

impl Handle {
    /// Asks the writer and waits for its answer.
    pub async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Request) -> Result<T, Error> {
        self.answer(self.send(request).await?).await
    }

    /// Asks the writer and leaves the answer for later.
    pub async fn send<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, Error>>) -> Request,
    ) -> Result<oneshot::Receiver<Result<T, Error>>, Error> {
        self.shared.check()?;
        let (reply, answer) = oneshot::channel();
        self.sender.send(request(reply)).await.map_err(|_| self.gone())?;
        Ok(answer)
    }

    /// Waits for an answer of the writer.
    pub async fn answer<T>(&self, answer: oneshot::Receiver<Result<T, Error>>) -> Result<T, Error> {
        answer.await.map_err(|_| self.gone())?
    }

    fn gone(&self) -> Error {
        self.shared.fail(words::message(
            &self.shared.place,
            "record an entry",
            "the journal is closed",
            "This is a mistake in starr; please report it.",
        ))
    }

    /// Events as bytes. One that cannot be recorded is as final as a failed write: the record would have a hole.
    pub fn pending(&self, events: &[Event]) -> Result<Vec<Pending>, Error> {
        let refuse = |event: &Event, wrong: &str| {
            self.shared.fail(words::message(
                &self.shared.place,
                &format!("record an entry ({})", event.kind()),
                wrong,
                "This is a mistake in starr; please report it.",
            ))
        };
        events
            .iter()
            .map(|event| {
                let pending = Pending::new(event).map_err(|why| refuse(event, &why))?;
                if pending.bytes() > PAYLOAD_LIMIT {
                    return Err(refuse(
                        event,
                        &format!(
                            "its data has {} bytes, more than the {PAYLOAD_LIMIT} that one entry may have",
                            pending.bytes()
                        ),
                    ));
                }
                Ok(pending)
            })
            .collect()
    }
}

impl Store {
    /// Opens a journal for recording. Must be called inside a runtime: its writer works beside the caller.
    pub async fn over(storage: Arc<dyn Storage>, machine: Arc<dyn Machine>) -> Result<Self, Error> {
        let (mut store, writer) = Self::apart(storage, machine).await?;
        store.task = Some(tokio::spawn(writer));
        Ok(store)
    }

    /// The same with the writer apart, for who wants to drive it: nothing is recorded unless it is polled.
    pub async fn apart(
        storage: Arc<dyn Storage>,
        machine: Arc<dyn Machine>,
    ) -> Result<(Self, impl Future<Output = Result<(), Error>> + Send + 'static), Error> {
        let writer = storage.writer().await?;
        let origin = writer.origin();
        let (sender, requests) = mpsc::channel(QUEUE);
        let mut store = Self::closed(storage, machine);
        store.origin = origin;
        store.handle = Some(Handle {
            shared: Arc::clone(&store.shared),
            sender,
        });
        let sequencer = Sequencer::new(Arc::clone(&store.shared), writer, requests);
        Ok((store, sequencer.work()))
    }

    /// Opens a journal to look at it; nothing can be written through it.
    pub async fn look(storage: Arc<dyn Storage>) -> Result<Self, Error> {
        let mut reader = storage.reader().await?;
        reader.begin().await?;
        let origin = reader.head().await?.origin;
        reader.end().await?;
        let mut store = Self::closed(storage, Arc::new(machine::System));
        store.origin = origin.try_into().map_err(|_| {
            words::message(
                &store.shared.place,
                "read the head",
                "the log's origin is damaged",
                "Keep a copy of the journal as it is, and begin a new one.",
            )
        })?;
        store.reader = Mutex::new(Some(reader));
        Ok(store)
    }

    fn closed(storage: Arc<dyn Storage>, machine: Arc<dyn Machine>) -> Self {
        let shared = Shared {
            place: storage.place(),
            machine,
            failed: OnceLock::new(),
        };
        Self {
            storage,
            shared: Arc::new(shared),
            origin: [0; 16],
            handle: None,
            task: None,
            reader: Mutex::new(None),
            file: None,
        }
    }

    pub(super) fn with_file(mut self, path: &Path) -> Self {
        self.file = Some(path.to_owned());
        self
    }

    /// Requests that wait for a decision from another terminal, and the decisions.
    pub async fn decisions(&self) -> Result<Arc<dyn Decisions>, Error> {
        self.storage.decisions().await
    }

    /// The log's random name, in hexadecimal.
    pub fn origin(&self) -> String {
        hex::encode(self.origin)
    }

    /// Which store this is, for people.
    pub fn place(&self) -> &str {
        &self.shared.place
    }

    /// The file, when the journal is one.
    pub fn path(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    pub(super) fn handle(&self, tried: &str) -> Result<&Handle, Error> {
        self.handle.as_ref().ok_or_else(|| {
            words::message(
                &self.shared.place,
                tried,
                "it was opened to be looked at; it can only be read",
                "This is a mistake in starr; please report it.",
            )
        })
    }

    /// Starts a run: draws its id and takes its lease. Nothing is recorded until the first entry.
    pub async fn begin(&self, header: RunHeader) -> Result<Run, Error> {
        match self.begin_about(header, None).await? {
            Begun::Mine(run) => Ok(run),
            Begun::UnderWay(_) => Err(self.has_a_holder()),
        }
    }

    /// The same for a run that is about something. Where it is to be alone it begins only when no other run about the same is under
    /// way; of several that want to begin in the same instant, in whatever process, one does.
    pub async fn begin_about(&self, header: RunHeader, about: Option<About>) -> Result<Begun, Error> {
        let handle = self.handle("begin a run")?;
        match self.lease_for(handle, None, about, header, Vec::new(), None).await? {
            (Given::Yes { run, epoch }, run_of) => Ok(Begun::Mine(run_of(run, epoch))),
            (Given::UnderWay(run), _) => Ok(Begun::UnderWay(run)),
            (Given::OtherEpoch, _) => Err(self.has_a_holder()),
        }
    }

    fn has_a_holder(&self) -> Error {
        words::message(
            &self.shared.place,
            "begin a run",
            "it has a holder already",
            "This is a mistake in starr; please report it.",
        )
    }

    /// Takes the lease of a run whose epoch is still `epoch` and records `events` under the next one, in one durable step: to go
    /// on with a run that was left, or to take it over from somebody. Whether that is allowed is the caller's to decide, from
    /// [`Store::lease`]; of two who try at once one succeeds.
    pub async fn take(&self, run: &str, epoch: u64, header: RunHeader, events: &[Event]) -> Result<Taken, Error> {
        let handle = self.handle("take over a run")?;
        if events.is_empty() {
            // A lease whose epoch no entry has would look like damage, and nobody would know who took it and why.
            return Err(words::message(
                &self.shared.place,
                "take over a run",
                "nothing was to be recorded about it",
                "This is a mistake in starr; please report it.",
            ));
        }
        let events = handle.pending(events)?;
        let offset = self.last_offset(run).await?;
        let wanted = Some((run.to_owned(), epoch));
        match self.lease_for(handle, wanted, None, header, events, offset).await? {
            (Given::Yes { run, epoch }, run_of) => Ok(Taken::Mine(run_of(run, epoch))),
            (Given::OtherEpoch | Given::UnderWay(_), _) => {
                Ok(self.lease(run).await?.map_or(Taken::NoSuchRun, Taken::Others))
            }
        }
    }

    async fn lease_for(
        &self,
        handle: &Handle,
        run: Option<(String, u64)>,
        about: Option<About>,
        header: RunHeader,
        events: Vec<Pending>,
        offset: Option<i128>,
    ) -> Result<(Given, impl FnOnce(String, u64) -> Run), Error> {
        let alive = Arc::new(());
        let wanted = Wanted {
            holder: header.holder,
            run,
            about,
            events,
            digests: header.digests.clone(),
            offset,
            alive: Arc::downgrade(&alive),
        };
        let given = handle.ask(|reply| Request::Lease { wanted, reply }).await?;
        let handle = handle.clone();
        let digests = header.digests;
        Ok((given, move |id, epoch| Run::new(handle, id, digests, epoch, alive)))
    }

    /// The lease of a run; `None` when there is no such run.
    pub async fn lease(&self, run: &str) -> Result<Option<Lease>, Error> {
        let mut reading = self.reading().await?;
        let rows = reading.reader().leases(Some(run)).await?;
        reading.done().await?;
        Ok(rows
            .into_iter()
            .next()
            .map(|row| Lease::judge(row, &*self.shared.machine)))
    }

    /// Wall time minus time since the machine's start at a run's last entry, when that was this start of the machine.
    async fn last_offset(&self, run: &str) -> Result<Option<i128>, Error> {
        let mut reading = self.reading().await?;
        let last = reading.reader().entries(Which::LastOf(run)).next().await.transpose()?;
        reading.done().await?;
        let boot = self.shared.machine.boot_id();
        Ok(last
            .and_then(|row| Entry::decode(&row.bytes).ok())
            .filter(|entry| entry.boot == boot && !boot.is_empty())
            .map(|entry| i128::from(entry.wall_nanoseconds) - i128::from(entry.boot_nanoseconds)))
    }

    /// Closes the store in good order, when no run is left that uses it; what waits is recorded first.
    pub async fn close(mut self) -> Result<(), Error> {
        let (handle, task) = (self.handle.take(), self.task.take());
        let last = handle.as_ref().is_none_or(|handle| handle.sender.strong_count() == 1);
        drop(handle);
        drop(self);
        match task {
            // A run still holds it; the last owner closes it.
            Some(task) if last => task.await.unwrap_or(Ok(())),
            _ => Ok(()),
        }
    }
}
