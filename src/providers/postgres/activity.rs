//! Reads of what sessions are doing: `pg_stat_activity`, `pg_locks`, `pg_prepared_xacts`.

use super::connection::{Deadline, Pool};
use super::failure::Failure;
use super::guard::{Line, Reading};
use super::values::{list, maybe, moment, session, session_columns, span, state, state_words, text};
use crate::providers::arguments::Arguments;
use crate::value::{Reason, Value};
use sqlx::Arguments as _;
use sqlx::postgres::PgArguments;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Most sessions one call returns.
const SESSIONS: usize = crate::limits::POSTGRES_SESSIONS;

/// Only clients, never ourselves. `$1` and `$2` are our own processes.
macro_rules! clients {
    () => {
        "a.backend_type = 'client backend'
         and not exists (select 1 from unnest($1::int[], $2::bigint[]) as own(pid, started)
                          where own.pid = a.pid and own.started = (extract(epoch from a.backend_start) * 1000000)::bigint)"
    };
}

fn own(reading: &Reading<'_>) -> Result<PgArguments, Failure> {
    let (pids, starts) = reading.lease().own();
    let mut arguments = PgArguments::default();
    add(&mut arguments, pids)?;
    add(&mut arguments, starts)?;
    Ok(arguments)
}

fn microseconds(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

fn add<'t, T>(arguments: &mut PgArguments, value: T) -> Result<(), Failure>
where
    T: sqlx::Encode<'t, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    arguments
        .add(value)
        .map_err(|_| Failure::definite(Reason::Unparsable, "an argument cannot be sent"))
}

/// `sessions.list`
pub async fn sessions(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Result<Value, Failure> {
    let db = arguments.value("db");
    let wanted = match arguments.maybe_text("state")? {
        None => None,
        Some(variant) => Some(
            state_words(variant)
                .ok_or_else(|| Failure::definite(Reason::Unparsable, "there is no such session state"))?,
        ),
    };
    let limit = arguments.limit("at_most", SESSIONS)?;
    let mut reading = Reading::begin(pool, deadline).await?;
    reading.lease().needs_sight()?;
    let mut bound = own(&reading)?;
    add(&mut bound, wanted)?;
    add(
        &mut bound,
        arguments.maybe_duration("older_than")?.map_or(0, microseconds),
    )?;
    add(
        &mut bound,
        arguments.maybe_duration("transaction_older_than")?.map(microseconds),
    )?;
    add(&mut bound, arguments.maybe_text("application")?)?;
    add(&mut bound, arguments.maybe_text("user")?)?;
    add(&mut bound, arguments.maybe_text("database")?)?;
    add(&mut bound, arguments.flag("all_databases"))?;
    add(&mut bound, limit as i64 + 1)?;
    let lines = reading
        .rows(
            concat!(
                "select ",
                session_columns!(),
                " from pg_catalog.pg_stat_activity a where ",
                clients!(),
                " and ($3::text is null or coalesce(a.state, '') = $3 or a.state = 'disabled')
                  and pg_catalog.clock_timestamp() - coalesce(a.state_change, a.backend_start) >= $4 * interval '1 microsecond'
                  and ($5::bigint is null or pg_catalog.clock_timestamp() - a.xact_start >= $5 * interval '1 microsecond')
                  and ($6::text is null or a.application_name = $6)
                  and ($7::text is null or a.usename = $7)
                  and (case when $8::text is not null then a.datname = $8 else $9 or a.datname = current_database() end)
                order by coalesce(a.state_change, a.backend_start), a.pid
                limit $10"
            ),
            bound,
        )
        .await?;
    reading.end().await;
    // A session that does not track its activity could be in the state that was asked for: then the list is not known.
    if wanted.is_some_and(|wanted| wanted != "disabled")
        && lines
            .iter()
            .any(|line| line.maybe_text("state").ok().flatten().as_deref() == Some("disabled"))
    {
        return Err(Failure::definite(
            Reason::Unavailable,
            "a session does not track what it does (`track_activities` is off)",
        ));
    }
    list(&lines, limit, |line| session(db, line))
}

/// `sessions.by_state`
pub async fn by_state(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Result<Value, Failure> {
    let mut reading = Reading::begin(pool, deadline).await?;
    reading.lease().needs_sight()?;
    let mut bound = own(&reading)?;
    add(&mut bound, arguments.flag("all_databases"))?;
    let lines = reading
        .rows(
            concat!(
                "select a.state as state, count(*) as sessions,
                        max(greatest(0, (extract(epoch from pg_catalog.clock_timestamp() - coalesce(a.state_change, a.backend_start)) * 1000000)::bigint)) as oldest
                   from pg_catalog.pg_stat_activity a where ",
                clients!(),
                " and ($3 or a.datname = current_database()) group by 1 order by 2 desc, 1 limit 100"
            ),
            bound,
        )
        .await?;
    reading.end().await;
    list(&lines, 100, |line| {
        Ok(Value::record(
            "StateCount",
            vec![
                ("state", state(line.maybe_text("state")?.as_deref())),
                ("count", Value::Int(line.int("sessions")?)),
                ("oldest", span(line.int("oldest")?)?),
            ],
        ))
    })
}

/// `sessions.by_client`
pub async fn by_client(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Result<Value, Failure> {
    let mut reading = Reading::begin(pool, deadline).await?;
    reading.lease().needs_sight()?;
    let mut bound = own(&reading)?;
    add(&mut bound, arguments.flag("all_databases"))?;
    let lines = reading
        .rows(
            concat!(
                "select coalesce(a.application_name, '') as application, coalesce(a.usename::text, '') as user_name,
                        coalesce(a.datname::text, '') as database_name, coalesce(host(a.client_addr), 'local') as client,
                        count(*) as sessions,
                        (sum(count(*)) over (partition by coalesce(a.application_name, '')))::bigint as of_application,
                        count(*) filter (where a.state = 'idle') as idle,
                        count(*) filter (where a.state like 'idle in transaction%') as idle_in_transaction,
                        max(greatest(0, (extract(epoch from pg_catalog.clock_timestamp() - a.backend_start) * 1000000)::bigint)) as oldest,
                        (extract(epoch from max(a.state_change)) * 1000000)::bigint as last_activity
                   from pg_catalog.pg_stat_activity a where ",
                clients!(),
                " and ($3 or a.datname = current_database())
                 group by 1, 2, 3, 4 order by 5 desc, 1, 2, 3, 4 limit 1001"
            ),
            bound,
        )
        .await?;
    reading.end().await;
    list(&lines, 1_000, |line| {
        Ok(Value::record(
            "ClientCount",
            vec![
                ("application", text(line, "application")?),
                ("user", text(line, "user_name")?),
                ("database", text(line, "database_name")?),
                ("client", text(line, "client")?),
                ("count", Value::Int(line.int("sessions")?)),
                ("of_application", Value::Int(line.int("of_application")?)),
                ("idle", Value::Int(line.int("idle")?)),
                ("idle_in_transaction", Value::Int(line.int("idle_in_transaction")?)),
                ("oldest", span(line.int("oldest")?)?),
                ("last_activity", maybe(line.maybe_int("last_activity")?, moment)?),
            ],
        ))
    })
}

/// What identifies a session for as long as the server runs: number and beginning, in microseconds.
pub type Identity = (i64, i64);

/// Those of these sessions that are still there.
pub async fn remaining(
    pool: &Pool,
    identities: &[Identity],
    deadline: Deadline,
) -> Result<BTreeSet<Identity>, Failure> {
    let mut reading = Reading::begin(pool, deadline).await?;
    reading.lease().needs_sight()?;
    let (pids, starts): (Vec<i64>, Vec<i64>) = identities.iter().copied().unzip();
    let mut bound = PgArguments::default();
    add(&mut bound, pids)?;
    add(&mut bound, starts)?;
    let lines = reading
        .rows(
            "select a.pid::bigint as pid, (extract(epoch from a.backend_start) * 1000000)::bigint as started
               from pg_catalog.pg_stat_activity a
               join unnest($1::bigint[], $2::bigint[]) as wanted(pid, started)
                 on wanted.pid = a.pid and wanted.started = (extract(epoch from a.backend_start) * 1000000)::bigint",
            bound,
        )
        .await?;
    reading.end().await;
    lines
        .iter()
        .map(|line| Ok((line.int("pid")?, line.int("started")?)))
        .collect()
}

/// `transactions.list`
pub async fn transactions(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Result<Value, Failure> {
    let db = arguments.value("db");
    let mut reading = Reading::begin(pool, deadline).await?;
    reading.lease().needs_sight()?;
    let mut bound = own(&reading)?;
    add(
        &mut bound,
        arguments.maybe_duration("older_than")?.map_or(0, microseconds),
    )?;
    add(&mut bound, arguments.flag("all_databases"))?;
    add(&mut bound, SESSIONS as i64 + 1)?;
    let lines = reading
        .rows(
            concat!(
                "select ",
                session_columns!(),
                " from pg_catalog.pg_stat_activity a where ",
                clients!(),
                " and a.xact_start is not null
                  and pg_catalog.clock_timestamp() - a.xact_start >= $3 * interval '1 microsecond'
                  and ($4 or a.datname = current_database())
                order by a.xact_start, a.pid limit $5"
            ),
            bound,
        )
        .await?;
    reading.end().await;
    list(&lines, SESSIONS, |line| session(db, line))
}

/// `transactions.prepared`
pub async fn prepared(pool: &Pool, deadline: Deadline) -> Result<Value, Failure> {
    let mut reading = Reading::begin(pool, deadline).await?;
    let lines = reading
        .rows(
            "select left(p.gid, 200) as name, p.owner::text as owner, p.database::text as database_name,
                    (extract(epoch from p.prepared) * 1000000)::bigint as prepared,
                    greatest(0, (extract(epoch from pg_catalog.clock_timestamp() - p.prepared) * 1000000)::bigint) as age
               from pg_catalog.pg_prepared_xacts p order by p.prepared limit 1001",
            PgArguments::default(),
        )
        .await?;
    reading.end().await;
    list(&lines, 1_000, |line| {
        Ok(Value::record(
            "PreparedTransaction",
            vec![
                ("name", text(line, "name")?),
                ("owner", text(line, "owner")?),
                ("database", text(line, "database_name")?),
                ("prepared", moment(line.int("prepared")?)?),
                ("age", span(line.int("age")?)?),
            ],
        ))
    })
}

/// Sessions that wait for a lock, and all sessions that somebody waits for.
struct Waiting {
    lines: Vec<Line>,
}

/// The statement for who waits for whom; `$since` is when a session began to wait.
macro_rules! waits {
    ($since:literal) => {
        concat!(
            "with waiting as materialized (
               select a.pid, pg_catalog.pg_blocking_pids(a.pid) as blockers, ",
            $since,
            " as since
                 from pg_catalog.pg_stat_activity a
                where a.wait_event_type = 'Lock' and a.backend_type = 'client backend' and a.datname = current_database()),
             involved as (select pid from waiting union select unnest(blockers) from waiting)
             select ",
            session_columns!(),
            ", a.backend_type = 'client backend' as is_client, w.pid is not null as is_waiting,
               coalesce(w.blockers, '{}')::bigint[] as blockers,
               greatest(0, (extract(epoch from pg_catalog.clock_timestamp() - w.since) * 1000000)::bigint) as waiting
              from (select pid from involved where pid <> 0) i
              join pg_catalog.pg_stat_activity a on a.pid = i.pid
              left join waiting w on w.pid = a.pid
             order by w.since nulls last, a.pid limit 10000"
        )
    };
}

/// Who waits for whom. The server's own answer (`pg_blocking_pids`): a join over `pg_locks` blames the wrong ones.
async fn waiting(pool: &Pool, deadline: Deadline) -> Result<Waiting, Failure> {
    let mut reading = Reading::begin(pool, deadline).await?;
    reading.lease().needs_sight()?;
    let sql = if reading.lease().rights().version >= 140_000 {
        waits!(
            "coalesce((select max(l.waitstart) from pg_catalog.pg_locks l where l.pid = a.pid and not l.granted), a.query_start)"
        )
    } else {
        waits!("a.query_start")
    };
    let lines = reading.rows(sql, PgArguments::default()).await?;
    reading.end().await;
    Ok(Waiting { lines })
}

/// `locks.blocked`
pub async fn blocked(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Result<Value, Failure> {
    let db = arguments.value("db");
    let waiting = waiting(pool, deadline).await?;
    let mut items = Vec::new();
    for line in &waiting.lines {
        // A session that got its lock between the two looks has nobody in its way any more.
        let by: BTreeSet<i64> = line.ints("blockers")?.into_iter().collect();
        if !line.flag("is_waiting")? || by.is_empty() {
            continue;
        }
        items.push(Value::record(
            "Blocked",
            vec![
                ("session", session(db, line)?),
                (
                    "by",
                    Value::list(by.iter().filter(|pid| **pid != 0).map(|pid| Value::Int(*pid)).collect()),
                ),
                // The server names a prepared transaction by the number 0.
                ("by_prepared", Value::Bool(by.contains(&0))),
                ("waiting", span(line.maybe_int("waiting")?.unwrap_or(0))?),
            ],
        ));
    }
    Ok(Value::list(items))
}

/// `locks.blockers`
pub async fn blockers(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Result<Value, Failure> {
    let db = arguments.value("db");
    let waiting = waiting(pool, deadline).await?;
    let mut lines = BTreeMap::new();
    let mut edges = BTreeMap::new();
    for line in &waiting.lines {
        let pid = line.int("pid")?;
        if line.flag("is_waiting")? {
            edges.insert(pid, line.ints("blockers")?);
        }
        lines.insert(pid, line);
    }
    let mut found = Vec::new();
    for (root, behind) in roots(&edges) {
        let Some(line) = lines.get(&root) else { continue };
        if !line.flag("is_client")? {
            continue;
        }
        let mut sessions = Vec::new();
        let mut longest = 0;
        for pid in &behind {
            if let Some(line) = lines.get(pid) {
                longest = longest.max(line.maybe_int("waiting")?.unwrap_or(0));
                sessions.push(session(db, line)?);
            }
        }
        let count = sessions.len();
        found.push((
            count,
            Value::record(
                "Blocker",
                vec![
                    ("session", session(db, line)?),
                    ("waiting", Value::list(sessions)),
                    ("count", Value::Int(count as i64)),
                    ("longest", span(longest)?),
                ],
            ),
        ));
    }
    found.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    Ok(Value::list(found.into_iter().map(|(_, blocker)| blocker).collect()))
}

/// The sessions that somebody waits for and that wait for nobody, each with all that wait for it, directly or behind others.
/// `edges` are the waiting sessions with those in front of them.
fn roots(edges: &BTreeMap<i64, Vec<i64>>) -> BTreeMap<i64, BTreeSet<i64>> {
    let mut behind: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    for waiter in edges.keys() {
        let mut seen = BTreeSet::from([*waiter]);
        let mut next = vec![*waiter];
        while let Some(pid) = next.pop() {
            match edges.get(&pid).filter(|front| !front.is_empty()) {
                Some(front) => next.extend(front.iter().filter(|pid| seen.insert(**pid))),
                None if pid != *waiter => {
                    behind.entry(pid).or_default().insert(*waiter);
                }
                None => {}
            }
        }
    }
    behind
}

#[cfg(test)]
mod tests {
    use super::roots;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn the_root_of_a_chain_has_everybody_behind_it() {
        // 1 holds; 2 waits for 1; 3 for 2; 4 for 2 and for 9, which waits for nobody.
        let edges = BTreeMap::from([(2, vec![1]), (3, vec![2]), (4, vec![2, 9])]);
        let found = roots(&edges);
        assert_eq!(found[&1], BTreeSet::from([2, 3, 4]));
        assert_eq!(found[&9], BTreeSet::from([4]));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_circle_has_no_root_and_ends() {
        assert!(roots(&BTreeMap::from([(1, vec![2]), (2, vec![1])])).is_empty());
    }

    #[test]
    fn a_session_that_got_its_lock_meanwhile_blocks_those_behind_it() {
        let edges = BTreeMap::from([(2, vec![]), (3, vec![2])]);
        assert_eq!(roots(&edges), BTreeMap::from([(2, BTreeSet::from([3]))]));
    }
}
