//! Reads of the server itself: connections, settings, replication, tables, indexes, statements.

use super::connection::{Deadline, Pool};
use super::failure::Failure;
use super::guard::{Line, Reading};
use super::values::{list, maybe, maybe_text, milliseconds, moment, span, text};
use crate::providers::arguments::Arguments;
use crate::value::{Reason, Secret, Value};
use sqlx::Arguments as _;
use sqlx::postgres::PgArguments;

/// Bound arguments of one of our own statements.
macro_rules! bound {
    ($($value:expr),* $(,)?) => {{
        let mut arguments = PgArguments::default();
        $(arguments
            .add($value)
            .map_err(|_| Failure::definite(Reason::Unparsable, "an argument cannot be sent"))?;)*
        arguments
    }};
}

/// One statement in a transaction of its own.
async fn rows(
    pool: &Pool,
    sql: &'static str,
    bound: PgArguments,
    sight: bool,
    deadline: Deadline,
) -> Result<Vec<Line>, Failure> {
    let mut reading = Reading::begin(pool, deadline).await?;
    if sight {
        reading.lease().needs_sight()?;
    }
    let lines = reading.rows(sql, bound).await?;
    reading.end().await;
    Ok(lines)
}

fn only(lines: &[Line]) -> Result<&Line, Failure> {
    lines
        .first()
        .ok_or_else(|| Failure::definite(Reason::Missing, "the server sent no row"))
}

/// `connections`
pub async fn connections(pool: &Pool, deadline: Deadline) -> Result<Value, Failure> {
    let lines = rows(
        pool,
        "select count(*) filter (where a.backend_type = 'client backend') as used,
                count(*) filter (where a.backend_type = 'client backend' and a.datname = current_database()) as used_here,
                current_setting('max_connections')::bigint as most,
                current_setting('superuser_reserved_connections')::bigint
                  + coalesce(nullif(current_setting('reserved_connections', true), '')::bigint, 0) as reserved,
                (select nullif(d.datconnlimit, -1)::bigint from pg_catalog.pg_database d where d.datname = current_database()) as own_limit
           from pg_catalog.pg_stat_activity a",
        PgArguments::default(),
        true,
        deadline,
    )
    .await?;
    let line = only(&lines)?;
    let (used, most, reserved) = (line.int("used")?, line.int("most")?, line.int("reserved")?);
    let open = most.saturating_sub(reserved);
    let share = if open > 0 {
        Value::ratio(used as f64 / open as f64)
    } else {
        Value::unknown(Reason::Arithmetic, "every connection is reserved")
    };
    Ok(Value::record(
        "Connections",
        vec![
            ("used", Value::Int(used)),
            ("max", Value::Int(most)),
            ("reserved", Value::Int(reserved)),
            ("available", Value::Int(open.saturating_sub(used).max(0))),
            ("share", share),
            ("used_here", Value::Int(line.int("used_here")?)),
            (
                "limit",
                maybe(line.maybe_int("own_limit")?, |limit| Ok(Value::Int(limit)))?,
            ),
        ],
    ))
}

/// `replication.slots`
pub async fn slots(pool: &Pool, deadline: Deadline) -> Result<Value, Failure> {
    let lines = rows(
        pool,
        "select s.slot_name::text as name, s.slot_type = 'logical' as logical, s.database::text as database_name,
                s.active as active,
                pg_catalog.pg_wal_lsn_diff(case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
                                                else pg_catalog.pg_current_wal_lsn() end, s.restart_lsn)::bigint as behind,
                s.wal_status as status
           from pg_catalog.pg_replication_slots s order by 5 desc nulls last limit 1001",
        PgArguments::default(),
        false,
        deadline,
    )
    .await?;
    list(&lines, 1_000, |line| {
        Ok(Value::record(
            "Slot",
            vec![
                ("name", text(line, "name")?),
                ("logical", Value::Bool(line.flag("logical")?)),
                ("database", maybe_text(line, "database_name")?),
                ("active", Value::Bool(line.flag("active")?)),
                (
                    "behind",
                    maybe(line.maybe_int("behind")?, |bytes| Ok(Value::Bytes(bytes)))?,
                ),
                ("status", maybe_text(line, "status")?),
            ],
        ))
    })
}

/// `replication.standbys`
pub async fn standbys(pool: &Pool, deadline: Deadline) -> Result<Value, Failure> {
    let lines = rows(
        pool,
        "select coalesce(r.application_name, '') as application, coalesce(host(r.client_addr), 'local') as client,
                coalesce(r.state, '') as state,
                pg_catalog.pg_wal_lsn_diff(case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
                                                else pg_catalog.pg_current_wal_lsn() end, r.replay_lsn)::bigint as behind,
                (extract(epoch from r.replay_lag) * 1000000)::bigint as lag
           from pg_catalog.pg_stat_replication r order by 4 desc nulls last limit 1001",
        PgArguments::default(),
        true,
        deadline,
    )
    .await?;
    list(&lines, 1_000, |line| {
        Ok(Value::record(
            "Standby",
            vec![
                ("application", text(line, "application")?),
                ("client", text(line, "client")?),
                ("state", text(line, "state")?),
                (
                    "behind",
                    maybe(line.maybe_int("behind")?, |bytes| Ok(Value::Bytes(bytes)))?,
                ),
                ("lag", maybe(line.maybe_int("lag")?, span)?),
            ],
        ))
    })
}

/// `settings.get`
pub async fn setting(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Result<Value, Failure> {
    let name = arguments.text("name")?;
    let lines = rows(
        pool,
        "select s.name as name, s.setting as setting, current_setting(s.name) as shown, s.unit as unit,
                s.vartype as kind, s.source as source, s.pending_restart as pending
           from pg_catalog.pg_settings s where s.name = lower($1)",
        bound!(name),
        false,
        deadline,
    )
    .await?;
    let line = lines.first().ok_or_else(|| {
        Failure::definite(
            Reason::Missing,
            "there is no such setting, or this role may not see it (GRANT pg_read_all_settings TO it)",
        )
    })?;
    let raw = line.text("setting")?;
    let kind = line.text("kind")?;
    let unit = line.maybe_text("unit")?;
    let number = matches!(kind.as_str(), "integer" | "real")
        .then(|| raw.parse::<f64>().ok())
        .flatten();
    let scaled = |factor: Option<f64>| number.zip(factor).map(|(number, factor)| number * factor);
    let duration = scaled(unit.as_deref().and_then(time_unit));
    let size = scaled(unit.as_deref().and_then(size_unit));
    Ok(Value::record(
        "Setting",
        vec![
            ("name", text(line, "name")?),
            ("value", text(line, "shown")?),
            ("number", number.map_or(Value::None, Value::float)),
            (
                "enabled",
                match (kind.as_str(), raw.as_str()) {
                    ("bool", "on") => Value::Bool(true),
                    ("bool", "off") => Value::Bool(false),
                    _ => Value::None,
                },
            ),
            ("duration", milliseconds(duration)),
            (
                "size",
                // Settings are at most 2^31 units of 16 MiB: far below the range of an i64.
                size.map_or(Value::None, |bytes| Value::Bytes(bytes as i64)),
            ),
            ("source", text(line, "source")?),
            ("needs_restart", Value::Bool(line.flag("pending")?)),
        ],
    ))
}

/// Milliseconds of a unit of `pg_settings`.
fn time_unit(unit: &str) -> Option<f64> {
    Some(match unit {
        "us" => 0.001,
        "ms" => 1.0,
        "s" => 1_000.0,
        "min" => 60_000.0,
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    })
}

/// Bytes of a unit of `pg_settings`: `B`, `kB`, `8kB`, `16MB`.
fn size_unit(unit: &str) -> Option<f64> {
    let digits = unit.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = unit.split_at(digits);
    let factor = match unit {
        "B" => 1.0,
        "kB" => 1024.0,
        "MB" => 1024.0 * 1024.0,
        "GB" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    if number.is_empty() {
        Some(factor)
    } else {
        number.parse::<f64>().ok().map(|number| number * factor)
    }
}

/// `settings.of_database`
pub async fn database_setting(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Result<Value, Failure> {
    let name = arguments.text("name")?;
    let lines = rows(
        pool,
        "select (select substr(entry, length($1) + 2)
                   from pg_catalog.pg_db_role_setting s
                   join pg_catalog.pg_database d on d.oid = s.setdatabase and d.datname = current_database(),
                        unnest(s.setconfig) as entry
                  where s.setrole = 0 and lower(left(entry, length($1) + 1)) = lower($1) || '=') as own",
        bound!(name),
        false,
        deadline,
    )
    .await?;
    let line = only(&lines)?;
    Ok(Value::record(
        "DatabaseSetting",
        vec![("name", Value::text(name)), ("value", maybe_text(line, "own")?)],
    ))
}

/// `tables.list`
pub async fn tables(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Result<Value, Failure> {
    let limit = arguments.limit("at_most", 10_000)?;
    let lines = rows(
        pool,
        "select t.schemaname::text as schema_name, t.relname::text as name, t.n_live_tup as live, t.n_dead_tup as dead,
                pg_catalog.pg_total_relation_size(t.relid) as size, t.seq_scan as scans,
                t.seq_tup_read::float8 / nullif(t.seq_scan, 0) as rows_per_scan,
                coalesce(t.idx_scan, 0) as index_scans,
                (extract(epoch from greatest(t.last_analyze, t.last_autoanalyze)) * 1000000)::bigint as analyzed,
                (extract(epoch from greatest(t.last_vacuum, t.last_autovacuum)) * 1000000)::bigint as vacuumed
           from pg_catalog.pg_stat_user_tables t order by t.seq_tup_read desc, t.relid limit $1",
        bound!(limit as i64 + 1),
        false,
        deadline,
    )
    .await?;
    list(&lines, limit, |line| {
        Ok(Value::record(
            "Table",
            vec![
                ("schema", text(line, "schema_name")?),
                ("name", text(line, "name")?),
                ("rows", Value::Int(line.int("live")?)),
                ("dead_rows", Value::Int(line.int("dead")?)),
                // Null when the table was dropped between the two looks.
                (
                    "size",
                    line.maybe_int("size")?
                        .map_or_else(|| Value::unknown(Reason::Missing, "the table is gone"), Value::Bytes),
                ),
                ("sequential_scans", Value::Int(line.int("scans")?)),
                (
                    "rows_per_scan",
                    maybe(line.maybe_float("rows_per_scan")?, |rows| Ok(Value::float(rows)))?,
                ),
                ("index_scans", Value::Int(line.int("index_scans")?)),
                ("analyzed", maybe(line.maybe_int("analyzed")?, moment)?),
                ("vacuumed", maybe(line.maybe_int("vacuumed")?, moment)?),
            ],
        ))
    })
}

/// The columns of an index; `valid` is false while it is built and when building it failed.
macro_rules! index_rows {
    ($rest:literal) => {
        concat!(
            "select n.nspname::text as schema_name, t.relname::text as table_name, c.relname::text as name,
                    i.indisvalid and i.indisready and i.indislive as valid, i.indisunique as is_unique, i.indisprimary as is_primary,
                    coalesce(s.idx_scan, 0) as scans, pg_catalog.pg_relation_size(c.oid) as size,
                    coalesce(left(pg_catalog.pg_get_indexdef(c.oid), 2000), '') as definition
               from pg_catalog.pg_index i
               join pg_catalog.pg_class c on c.oid = i.indexrelid
               join pg_catalog.pg_class t on t.oid = i.indrelid
               join pg_catalog.pg_namespace n on n.oid = c.relnamespace
               left join pg_catalog.pg_stat_all_indexes s on s.indexrelid = i.indexrelid ",
            $rest
        )
    };
}

/// An index as a record.
pub fn index(line: &Line) -> Result<Value, Failure> {
    Ok(Value::record(
        "Index",
        vec![
            ("schema", text(line, "schema_name")?),
            ("table", text(line, "table_name")?),
            ("name", text(line, "name")?),
            ("valid", Value::Bool(line.flag("valid")?)),
            ("unique", Value::Bool(line.flag("is_unique")?)),
            ("primary", Value::Bool(line.flag("is_primary")?)),
            ("scans", Value::Int(line.int("scans")?)),
            (
                "size",
                line.maybe_int("size")?
                    .map_or_else(|| Value::unknown(Reason::Missing, "the index is gone"), Value::Bytes),
            ),
            ("definition", text(line, "definition")?),
        ],
    ))
}

/// `indexes.list`
pub async fn indexes(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Result<Value, Failure> {
    let limit = arguments.limit("at_most", 10_000)?;
    let lines = rows(
        pool,
        index_rows!(
            "where n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_toast'
             order by 8 desc nulls last, 1, 3 limit $1"
        ),
        bound!(limit as i64 + 1),
        false,
        deadline,
    )
    .await?;
    list(&lines, limit, index)
}

/// `indexes.find`
pub async fn find_index(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Result<Value, Failure> {
    let lines = rows(
        pool,
        index_rows!("where c.relname = $1 and n.nspname = $2 limit 2"),
        bound!(arguments.text("name")?, arguments.text("schema")?),
        false,
        deadline,
    )
    .await?;
    list(&lines, 2, index)
}

/// The statement for `statements.top`; `$mean`, `$max` and `$total` are the columns of this version of the extension.
macro_rules! statements {
    ($mean:literal, $max:literal, $total:literal, $order:literal) => {
        concat!(
            "select left(s.query, 4096) as query, coalesce(r.rolname::text, '') as user_name, s.calls as calls, s.rows as row_count, s.",
            $mean,
            " as mean, s.",
            $max,
            " as longest, s.",
            $total,
            " as total from pg_stat_statements s
              left join pg_catalog.pg_roles r on r.oid = s.userid
             where s.dbid = (select d.oid from pg_catalog.pg_database d where d.datname = current_database())
             order by s.",
            $order,
            " desc limit $1"
        )
    };
}

/// `statements.top`
pub async fn statements(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Result<Value, Failure> {
    let limit = arguments.limit("at_most", crate::limits::POSTGRES_STATEMENTS)?;
    let order = arguments.maybe_text("by")?.unwrap_or("mean_time");
    let mut reading = Reading::begin(pool, deadline).await?;
    reading.lease().needs_sight()?;
    let there = reading
        .rows(
            "select exists (select 1 from pg_catalog.pg_extension e where e.extname = 'pg_stat_statements') as installed",
            PgArguments::default(),
        )
        .await?;
    if !only(&there)?.flag("installed")? {
        reading.end().await;
        return Err(Failure::definite(
            Reason::Unavailable,
            "the extension pg_stat_statements is not installed in this database: preload it and CREATE EXTENSION pg_stat_statements",
        ));
    }
    // The columns were renamed in PostgreSQL 13.
    let new = reading.lease().rights().version >= 130_000;
    let sql = match (new, order) {
        (true, "mean_time") => statements!("mean_exec_time", "max_exec_time", "total_exec_time", "mean_exec_time"),
        (true, "total_time") => statements!("mean_exec_time", "max_exec_time", "total_exec_time", "total_exec_time"),
        (true, "calls") => statements!("mean_exec_time", "max_exec_time", "total_exec_time", "calls"),
        (false, "mean_time") => statements!("mean_time", "max_time", "total_time", "mean_time"),
        (false, "total_time") => statements!("mean_time", "max_time", "total_time", "total_time"),
        (false, "calls") => statements!("mean_time", "max_time", "total_time", "calls"),
        _ => return Err(Failure::definite(Reason::Unparsable, "there is no such order")),
    };
    let lines = reading.rows(sql, bound!(limit as i64 + 1)).await?;
    reading.end().await;
    // The list is what was asked for, the costliest: it is not cut.
    let items = lines
        .iter()
        .take(limit)
        .map(|line| {
            Ok(Value::record(
                "Statement",
                vec![
                    ("query", Value::Secret(Secret::new(maybe_text(line, "query")?))),
                    ("user", text(line, "user_name")?),
                    ("calls", Value::Int(line.int("calls")?)),
                    ("rows", Value::Int(line.int("row_count")?)),
                    ("mean", milliseconds(line.maybe_float("mean")?)),
                    ("max", milliseconds(line.maybe_float("longest")?)),
                    ("total", milliseconds(line.maybe_float("total")?)),
                ],
            ))
        })
        .collect::<Result<Vec<_>, Failure>>()?;
    Ok(Value::list(items))
}

#[cfg(test)]
mod tests {
    use super::{size_unit, time_unit};

    #[test]
    fn units_of_settings_are_read() {
        assert_eq!(time_unit("min"), Some(60_000.0));
        assert_eq!(time_unit("8kB"), None);
        assert_eq!(size_unit("8kB"), Some(8_192.0));
        assert_eq!(size_unit("B"), Some(1.0));
        assert_eq!(size_unit("16MB"), Some(16.0 * 1024.0 * 1024.0));
        assert_eq!(size_unit("ms"), None);
        assert_eq!(size_unit(""), None);
    }
}
