//! Requests and decisions in the embedded store.

use super::connection::Held;
use super::error::failure;
use super::files::Files;
use crate::journal::Error;
use crate::journal::decisions::{Decided, Decisions, Recording, Waiting};
use futures::future::BoxFuture;
use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection as _, Row as _};
use std::sync::Arc;
use tokio::sync::Mutex;

/// How long a request is kept after nobody can decide it any more, in nanoseconds: a day.
const KEPT: i64 = 86_400_000_000_000;

fn nanoseconds(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}

fn timestamp(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn decided(row: &SqliteRow) -> Result<Decided, sqlx::Error> {
    Ok(Decided {
        person: row.try_get("person")?,
        approve: row.try_get("approve")?,
        because: row.try_get("because")?,
        proof: row.try_get("proof")?,
    })
}

const DECISION: &str = "select person, approve, because, proof from decisions where request = ?";

/// Requests and decisions on a connection of their own: nobody waits for the log here.
pub(super) struct Desk {
    files: Arc<Files>,
    connection: Mutex<Held>,
}

impl Desk {
    pub(super) fn new(files: Arc<Files>, connection: Held) -> Self {
        Self {
            files,
            connection: Mutex::new(connection),
        }
    }

    fn deciding(&self, tried: &str, error: &sqlx::Error) -> Error {
        failure(&self.files.path, tried, error)
    }
}

impl Decisions for Desk {
    fn ask<'a>(&'a self, request: &'a Waiting) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let fail = |error: sqlx::Error| self.deciding("show a request for approval", &error);
            let mut connection = self.connection.lock().await;
            let mut transaction = connection.begin_with("begin immediate").await.map_err(fail)?;
            for old in [
                "delete from decisions where request in (select id from requests where until < ?)",
                "delete from requests where until < ?",
            ] {
                sqlx::query(old)
                    .bind(self.files.machine.wall().saturating_sub(KEPT))
                    .execute(&mut *transaction)
                    .await
                    .map_err(fail)?;
            }
            sqlx::query("insert into requests (id, run, body, since, until, open) values (?, ?, ?, ?, ?, 1)")
                .bind(&request.id)
                .bind(&request.run)
                .bind(&request.body)
                .bind(nanoseconds(request.since))
                .bind(nanoseconds(request.until))
                .execute(&mut *transaction)
                .await
                .map_err(fail)?;
            transaction.commit().await.map_err(fail)
        })
    }

    fn waiting<'a>(&'a self) -> BoxFuture<'a, Result<Vec<Waiting>, Error>> {
        Box::pin(async move {
            let fail = |error: sqlx::Error| self.deciding("read the requests for approval", &error);
            let mut connection = self.connection.lock().await;
            let rows = sqlx::query(
                "select id, run, body, since, until from requests r
                  where open = 1 and until > ? and not exists (select 1 from decisions d where d.request = r.id)
                  order by since, id",
            )
            .bind(self.files.machine.wall())
            .fetch_all(&mut **connection)
            .await
            .map_err(fail)?;
            rows.iter()
                .map(|row| {
                    Ok(Waiting {
                        id: row.try_get("id")?,
                        run: row.try_get("run")?,
                        body: row.try_get("body")?,
                        since: timestamp(row.try_get("since")?),
                        until: timestamp(row.try_get("until")?),
                    })
                })
                .collect::<Result<_, sqlx::Error>>()
                .map_err(fail)
        })
    }

    fn decide<'a>(&'a self, request: &'a str, decision: &'a Decided) -> BoxFuture<'a, Result<Recording, Error>> {
        Box::pin(async move {
            let fail = |error: sqlx::Error| self.deciding("record a decision", &error);
            let mut connection = self.connection.lock().await;
            // One writer at a time: of two decisions in the same instant, the second sees the first.
            let mut transaction = connection.begin_with("begin immediate").await.map_err(fail)?;
            let earlier = sqlx::query(DECISION)
                .bind(request)
                .fetch_optional(&mut *transaction)
                .await
                .map_err(fail)?;
            if let Some(row) = earlier {
                return Ok(Recording::Already(decided(&row).map_err(fail)?));
            }
            let open = sqlx::query("select 1 from requests where id = ? and open = 1 and until > ?")
                .bind(request)
                .bind(self.files.machine.wall())
                .fetch_optional(&mut *transaction)
                .await
                .map_err(fail)?;
            if open.is_none() {
                return Ok(Recording::NotWaiting);
            }
            sqlx::query(
                "insert into decisions (request, person, approve, because, proof, at) values (?, ?, ?, ?, ?, ?)",
            )
            .bind(request)
            .bind(&decision.person)
            .bind(decision.approve)
            .bind(&decision.because)
            .bind(&decision.proof)
            .bind(self.files.machine.wall())
            .execute(&mut *transaction)
            .await
            .map_err(fail)?;
            transaction.commit().await.map_err(fail)?;
            Ok(Recording::Recorded)
        })
    }

    fn decision<'a>(&'a self, request: &'a str) -> BoxFuture<'a, Result<Option<Decided>, Error>> {
        Box::pin(async move {
            let fail = |error: sqlx::Error| self.deciding("read a decision", &error);
            let mut connection = self.connection.lock().await;
            let row = sqlx::query(DECISION)
                .bind(request)
                .fetch_optional(&mut **connection)
                .await
                .map_err(fail)?;
            row.map(|row| decided(&row)).transpose().map_err(fail)
        })
    }

    fn settle<'a>(&'a self, run: &'a str, request: Option<&'a str>) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let fail = |error: sqlx::Error| self.deciding("close a request for approval", &error);
            let mut connection = self.connection.lock().await;
            sqlx::query("update requests set open = 0 where run = ? and (? is null or id = ?)")
                .bind(run)
                .bind(request)
                .bind(request)
                .execute(&mut **connection)
                .await
                .map(|_| ())
                .map_err(fail)
        })
    }

    fn closed<'a>(&'a self, request: &'a str) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move {
            let fail = |error: sqlx::Error| self.deciding("read the requests for approval", &error);
            let mut connection = self.connection.lock().await;
            let open = sqlx::query("select 1 from requests where id = ? and open = 1")
                .bind(request)
                .fetch_optional(&mut **connection)
                .await
                .map_err(fail)?;
            Ok(open.is_none())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::sqlite::Store;

    fn waiting(id: &str) -> Waiting {
        let now = Timestamp::now();
        Waiting {
            id: id.to_owned(),
            run: "a-run".to_owned(),
            body: "{}".to_owned(),
            since: now,
            until: now + jiff::SignedDuration::from_mins(15),
        }
    }

    fn decision(person: &str) -> Decided {
        Decided {
            person: person.to_owned(),
            approve: true,
            because: String::new(),
            proof: String::new(),
        }
    }

    /// A-CO-1: the decisions come over connections of their own, as from two processes.
    #[tokio::test]
    async fn of_two_decisions_in_the_same_instant_one_is_recorded_and_the_other_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let store = Store::open(&path).await.unwrap();
        let run = store.decisions().await.unwrap();
        for round in 0..20 {
            let id = format!("r{round}");
            run.ask(&waiting(&id)).await.unwrap();
            let (first, second) = (store.decisions().await.unwrap(), store.decisions().await.unwrap());
            let (alice, bob) = (decision("alice"), decision("bob"));
            let (one, other) = tokio::join!(first.decide(&id, &alice), second.decide(&id, &bob));
            let kept = run.decision(&id).await.unwrap().unwrap();
            let results = [one.unwrap(), other.unwrap()];
            assert_eq!(
                results.iter().filter(|result| **result == Recording::Recorded).count(),
                1,
                "{results:?}"
            );
            assert!(results.contains(&Recording::Already(kept)), "{results:?}");
        }
    }

    #[tokio::test]
    async fn what_is_closed_over_or_unknown_takes_no_decision() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("journal.db")).await.unwrap();
        let store = store.decisions().await.unwrap();
        assert_eq!(
            store.decide("nothing", &decision("alice")).await.unwrap(),
            Recording::NotWaiting
        );
        store.ask(&waiting("a")).await.unwrap();
        store.ask(&waiting("b")).await.unwrap();
        let mut over = waiting("c");
        over.until = over.since - jiff::SignedDuration::from_secs(1);
        store.ask(&over).await.unwrap();
        let ids = |waiting: Vec<Waiting>| waiting.into_iter().map(|one| one.id).collect::<Vec<_>>();
        assert_eq!(ids(store.waiting().await.unwrap()), ["a", "b"]);
        store.settle("a-run", Some("a")).await.unwrap();
        assert!(store.closed("a").await.unwrap() && !store.closed("b").await.unwrap());
        assert_eq!(
            store.decide("a", &decision("alice")).await.unwrap(),
            Recording::NotWaiting
        );
        assert_eq!(
            store.decide("c", &decision("alice")).await.unwrap(),
            Recording::NotWaiting
        );
        assert_eq!(
            store.decide("b", &decision("alice")).await.unwrap(),
            Recording::Recorded
        );
        assert_eq!(ids(store.waiting().await.unwrap()), Vec::<String>::new());
        store.settle("a-run", None).await.unwrap();
        assert!(store.closed("b").await.unwrap());
        assert_eq!(store.decision("b").await.unwrap(), Some(decision("alice")));
    }
}
