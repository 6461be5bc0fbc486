//! Requests and decisions in the database: what people at other machines see and decide.

use super::error::failure;
use super::session::patiently;
use crate::journal::Error;
use crate::journal::decisions::{Decided, Decisions, Recording, Waiting};
use futures::future::BoxFuture;
use jiff::Timestamp;
use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};
use tokio::sync::Mutex;

/// The server's clock in nanoseconds since 1970: the one that all machines share.
const NOW: &str = "(extract(epoch from clock_timestamp()) * 1e9)::bigint";

/// How long a request is kept after nobody can decide it any more, in nanoseconds: a day.
const KEPT: i64 = 86_400_000_000_000;

/// Requests and decisions on a connection of their own: nobody waits for the log here.
pub struct Desk {
    pub place: String,
    pub connection: Mutex<PgConnection>,
}

fn nanoseconds(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)
}

fn timestamp(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn decided(row: &PgRow) -> Result<Decided, sqlx::Error> {
    Ok(Decided {
        person: row.try_get(0)?,
        approve: row.try_get(1)?,
        because: row.try_get(2)?,
        proof: row.try_get(3)?,
    })
}

impl Desk {
    async fn kept(&self, request: &str) -> Result<Option<Decided>, Error> {
        let tried = "read a decision";
        let mut connection = self.connection.lock().await;
        let query =
            sqlx::query("select person, approve, because, proof from decisions where request = $1").bind(request);
        let row = patiently(&self.place, tried, query.fetch_optional(&mut *connection)).await?;
        row.map(|row| decided(&row))
            .transpose()
            .map_err(|error| failure(&self.place, tried, &error))
    }
}

impl Decisions for Desk {
    fn ask<'a>(&'a self, request: &'a Waiting) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let tried = "show a request for approval";
            let mut connection = self.connection.lock().await;
            let old = format!(
                "with old as (delete from requests where until < {NOW} - $1 returning id)
                 delete from decisions where request in (select id from old)"
            );
            let old = sqlx::query(sqlx::AssertSqlSafe(old)).bind(KEPT);
            patiently(&self.place, tried, old.execute(&mut *connection)).await?;
            let new = sqlx::query(
                "insert into requests (id, run, body, since, until, open) values ($1, $2, $3, $4, $5, true)",
            )
            .bind(&request.id)
            .bind(&request.run)
            .bind(&request.body)
            .bind(nanoseconds(request.since))
            .bind(nanoseconds(request.until));
            patiently(&self.place, tried, new.execute(&mut *connection))
                .await
                .map(drop)
        })
    }

    fn waiting<'a>(&'a self) -> BoxFuture<'a, Result<Vec<Waiting>, Error>> {
        Box::pin(async move {
            let tried = "read the requests for approval";
            let mut connection = self.connection.lock().await;
            let sql = format!(
                "select id, run, body, since, until from requests r
                  where open and until > {NOW} and not exists (select 1 from decisions d where d.request = r.id)
                  order by since, id"
            );
            let query = sqlx::query(sqlx::AssertSqlSafe(sql));
            let rows = patiently(&self.place, tried, query.fetch_all(&mut *connection)).await?;
            rows.iter()
                .map(|row| {
                    Ok(Waiting {
                        id: row.try_get(0)?,
                        run: row.try_get(1)?,
                        body: row.try_get(2)?,
                        since: timestamp(row.try_get(3)?),
                        until: timestamp(row.try_get(4)?),
                    })
                })
                .collect::<Result<_, sqlx::Error>>()
                .map_err(|error| failure(&self.place, tried, &error))
        })
    }

    fn decide<'a>(&'a self, request: &'a str, decision: &'a Decided) -> BoxFuture<'a, Result<Recording, Error>> {
        Box::pin(async move {
            // The request is the key: of two decisions in the same instant the second meets the first.
            let sql = format!(
                "insert into decisions (request, person, approve, because, proof, at)
                 select id, $2, $3, $4, $5, {NOW} from requests where id = $1 and open and until > {NOW}
                 on conflict (request) do nothing"
            );
            let query = sqlx::query(sqlx::AssertSqlSafe(sql))
                .bind(request)
                .bind(&decision.person)
                .bind(decision.approve)
                .bind(&decision.because)
                .bind(&decision.proof);
            let done = {
                let mut connection = self.connection.lock().await;
                patiently(&self.place, "record a decision", query.execute(&mut *connection)).await?
            };
            if done.rows_affected() == 1 {
                return Ok(Recording::Recorded);
            }
            Ok(match self.kept(request).await? {
                Some(earlier) => Recording::Already(earlier),
                None => Recording::NotWaiting,
            })
        })
    }

    fn decision<'a>(&'a self, request: &'a str) -> BoxFuture<'a, Result<Option<Decided>, Error>> {
        Box::pin(self.kept(request))
    }

    fn settle<'a>(&'a self, run: &'a str, request: Option<&'a str>) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            let mut connection = self.connection.lock().await;
            let query = sqlx::query("update requests set open = false where run = $1 and id = coalesce($2, id)")
                .bind(run)
                .bind(request);
            patiently(
                &self.place,
                "close a request for approval",
                query.execute(&mut *connection),
            )
            .await
            .map(drop)
        })
    }

    fn closed<'a>(&'a self, request: &'a str) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move {
            let mut connection = self.connection.lock().await;
            let query =
                sqlx::query_scalar("select not exists (select 1 from requests where id = $1 and open)").bind(request);
            patiently(
                &self.place,
                "read the requests for approval",
                query.fetch_one(&mut *connection),
            )
            .await
        })
    }
}
