//! Waiting: a list, and from its version on a watch, until what is waited for is there or the time is over.
//!
//! A watch may end at any time: the server ends it, the connection breaks, its version becomes too old. It is begun again where it
//! ended, and with a new list where the server no longer knows that place. What is found at the end of the time was asked for
//! directly before: a silent connection is not taken for a world that stands still.

use super::connection::Deadline;
use super::exchange::Place;
use super::failure::{Failure, Refusal, classify};
use super::json::{self, Json};
use crate::value::Reason;
use http_body_util::BodyExt as _;
use kube::client::Body;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Longest line of a stream.
const LINE: usize = 8 * 1024 * 1024;

/// Most objects that are waited for together.
const OBJECTS: usize = 5_000;

/// Pause before a watch that ended at once is begun again; doubled up to the longest.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long one watch is asked for at most.
const STREAM: u64 = 240;

/// Objects by namespace and name.
pub type Seen = BTreeMap<(String, String), Json>;

/// What came of waiting.
pub struct Waited<T> {
    /// What was waited for; `None`: it is not there at the end of the time.
    pub found: Option<T>,
    /// What the objects are at the end.
    pub seen: Seen,
}

/// What is waited for.
pub struct Watch<'a> {
    /// The path of the kind of objects.
    pub path: &'a str,
    /// Selectors.
    pub query: &'a [(&'a str, &'a str)],
}

enum Stream {
    /// It ended, or its version is no longer known.
    Ended,
    TooOld,
    /// The time for watching is over.
    Over,
}

/// Keeps what an event shows. A server may not fill the memory with objects that come one by one.
fn keep(seen: &mut Seen, object: &Json) -> Result<(), Failure> {
    seen.insert(key(object), object.clone());
    if seen.len() > OBJECTS {
        return Err(too_many());
    }
    Ok(())
}

fn too_many() -> Failure {
    Failure::definite(Reason::Truncated, format!("more than {OBJECTS} objects to wait for"))
}

fn key(object: &Json) -> (String, String) {
    let text = |pointer: &str| json::text(object, pointer).unwrap_or_default().to_owned();
    (text("/metadata/namespace"), text("/metadata/name"))
}

impl Watch<'_> {
    /// Waits until `done` says that it is there, or until a little before the call's time is over.
    ///
    /// # Errors
    /// The server refuses it, or it cannot be reached at the beginning or at the end.
    pub async fn until<T>(
        &self,
        place: &Place<'_>,
        mut done: impl FnMut(&Seen) -> Result<Option<T>, Failure>,
    ) -> Result<Waited<T>, Failure> {
        let (mut seen, mut version) = self.list(place).await?;
        // Kept for the last look.
        let last = (place.deadline.left() / 3).min(Duration::from_secs(5));
        let watching = Place {
            deadline: Deadline::at(Instant::now() + place.deadline.left().saturating_sub(last)),
            ..*place
        };
        let mut pause = PAUSE;
        loop {
            if let Some(found) = done(&seen)? {
                return Ok(Waited {
                    found: Some(found),
                    seen,
                });
            }
            let begun = Instant::now();
            let mut found = None;
            let ended = self
                .follow(&watching, &mut version, &mut seen, |seen| {
                    found = done(seen)?;
                    Ok(found.is_some())
                })
                .await;
            if let Some(found) = found {
                return Ok(Waited {
                    found: Some(found),
                    seen,
                });
            }
            let again = match ended {
                Ok(Stream::Over) => break,
                Ok(Stream::Ended) => false,
                Ok(Stream::TooOld) => true,
                Err(failure) if passing(&failure) => false,
                Err(failure) => return Err(failure),
            };
            if watching.deadline.left().is_zero() {
                break;
            }
            // A server that ends every watch at once is not asked without end.
            if begun.elapsed() < pause {
                tokio::time::sleep(pause.min(watching.deadline.left())).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            } else {
                pause = PAUSE;
            }
            if again {
                match self.list(&watching).await {
                    Ok((now, from)) => (seen, version) = (now, from),
                    Err(failure) if passing(&failure) => {}
                    Err(failure) => return Err(failure),
                }
            }
        }
        let (seen, _) = self.list(place).await?;
        let found = done(&seen)?;
        Ok(Waited { found, seen })
    }

    async fn list(&self, place: &Place<'_>) -> Result<(Seen, String), Failure> {
        let found = place.list(self.path, self.query, OBJECTS).await?;
        if found.truncated {
            return Err(too_many());
        }
        let seen = found.items.into_iter().map(|object| (key(&object), object)).collect();
        Ok((seen, found.version))
    }

    /// One watch, from its version on. True from `done` ends it.
    async fn follow(
        &self,
        place: &Place<'_>,
        version: &mut String,
        seen: &mut Seen,
        mut done: impl FnMut(&Seen) -> Result<bool, Failure>,
    ) -> Result<Stream, Failure> {
        let left = place.deadline.left();
        if left.is_zero() {
            return Ok(Stream::Over);
        }
        let seconds = (left.as_secs() + 1).min(STREAM).to_string();
        let mut query = self.query.to_vec();
        query.extend([
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", seconds.as_str()),
            ("resourceVersion", version.as_str()),
        ]);
        let mut lines = match place.open(self.path, &query).await {
            Ok(body) => Lines::new(body),
            Err(failure) if failure.refusal == Refusal::Gone => return Ok(Stream::TooOld),
            Err(failure) if failure.unknown.reason == Reason::Timeout && place.deadline.left().is_zero() => {
                return Ok(Stream::Over);
            }
            Err(failure) => return Err(failure),
        };
        loop {
            // Events that come without a pause would otherwise be read for ever.
            if place.deadline.left().is_zero() {
                return Ok(Stream::Over);
            }
            let line = match tokio::time::timeout(place.deadline.left(), lines.next()).await {
                Err(_) => return Ok(Stream::Over),
                Ok(line) => line?,
            };
            let Some(line) = line else {
                return Ok(Stream::Ended);
            };
            let event: Json = serde_json::from_slice(&line)
                .map_err(|_| Failure::definite(Reason::Unparsable, "an event of a watch is no JSON document"))?;
            let object = event.get("object").unwrap_or(&Json::Null);
            match json::text(&event, "/type") {
                Some("ADDED" | "MODIFIED") => {
                    keep(seen, object)?;
                }
                Some("DELETED") => {
                    seen.remove(&key(object));
                }
                // An empty object with the version that everything up to here has.
                Some("BOOKMARK") => {}
                _ if json::int(object, "/code") == Some(410) => return Ok(Stream::TooOld),
                _ => {
                    let code = json::int(object, "/code").and_then(|code| u16::try_from(code).ok());
                    let words = serde_json::to_vec(object).unwrap_or_default();
                    return Err(classify(code.unwrap_or(500), &words, false));
                }
            }
            if let Some(now) = json::text(object, "/metadata/resourceVersion").filter(|now| !now.is_empty()) {
                now.clone_into(version);
            }
            if done(seen)? {
                return Ok(Stream::Ended);
            }
        }
    }
}

/// Whether a failure may pass by itself while there is time.
fn passing(failure: &Failure) -> bool {
    matches!(
        failure.unknown.reason,
        Reason::Unreachable | Reason::Throttled | Reason::Timeout
    ) || (!failure.definite && failure.unknown.reason == Reason::Unavailable)
}

/// The lines of an answer that goes on.
struct Lines {
    body: Body,
    rest: Vec<u8>,
    /// How far `rest` was looked through.
    looked: usize,
}

impl Lines {
    fn new(body: Body) -> Self {
        Self {
            body,
            rest: Vec::new(),
            looked: 0,
        }
    }

    /// The next line; `None` at the end. What is cut off in the middle of a line is no line.
    async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            if let Some(end) = self.rest[self.looked..].iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=self.looked + end).collect();
                self.looked = 0;
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return Ok(Some(line));
            }
            self.looked = self.rest.len();
            if self.rest.len() > LINE {
                return Err(Failure::definite(Reason::Truncated, "an event of a watch is too large"));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.rest.extend_from_slice(data);
                    }
                }
                Some(Err(_)) => return Err(Failure::definite(Reason::Unreachable, "the connection broke")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{OBJECTS, Seen, keep};
    use crate::value::Reason;
    use serde_json::json;

    #[test]
    fn objects_that_come_one_by_one_are_counted_too() {
        let mut seen = Seen::new();
        let pod = |number: usize| json!({"metadata": {"namespace": "n", "name": format!("p{number}")}});
        for number in 0..OBJECTS {
            keep(&mut seen, &pod(number)).unwrap();
        }
        // The same one again is no more.
        keep(&mut seen, &pod(0)).unwrap();
        let failure = keep(&mut seen, &pod(OBJECTS)).unwrap_err();
        assert_eq!(failure.unknown.reason, Reason::Truncated);
    }
}
