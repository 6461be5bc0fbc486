//! The tables of a store, their versions, and how an older store becomes a current one.

/// Marks the file as a journal of starr: the four letters `STRR`.
pub const APPLICATION_ID: i64 = 0x5354_5252;

/// The steps from an empty file to the current tables; the store's version is the number of steps it has had.
pub const STEPS: &[&str] = &[FIRST, SECOND, THIRD, DECISIONS, SUBJECTS];

/// The version this program writes.
pub const VERSION: i64 = STEPS.len() as i64;

/// From this version on there are checkpoints.
pub const WITH_CHECKPOINTS: i64 = 2;

/// From this version on a lease says who holds it.
pub const WITH_RUNNERS: i64 = 3;

/// `entries.bytes`, `payloads` and `head` are the record. The other columns of `entries` and the table `runs` are a cache of
/// what the bytes say, and verification compares them; `leases` is the working state of runners.
const FIRST: &str = "
create table head (
    one      integer primary key check (one = 1),
    origin   blob not null,
    size     integer not null,
    frontier blob not null,
    root     blob not null,
    leaf     blob not null
) strict;

create table runs (
    number   integer primary key,
    id       text not null unique,
    entries  integer not null default 0,
    started  integer,
    severity integer,
    ended    integer
) strict;

create table leases (
    run    text primary key references runs (id),
    epoch  integer not null,
    holder text not null,
    since  integer not null
) strict;

create table entries (
    sequence     integer primary key,
    run          text not null references runs (id),
    run_sequence integer not null,
    part         text not null,
    kind         text not null,
    at           integer not null,
    bytes        blob not null,
    leaf         blob not null,
    unique (run, run_sequence)
) strict;

create table payloads (
    sequence integer primary key references entries (sequence),
    salt     blob not null,
    body     blob not null
) strict;
";

/// Checkpoints of the log, as signed notes. `frontier` is a cache of what the entries say, and verification compares it;
/// `digest` is SHA-256 over the note.
const SECOND: &str = "
create table checkpoints (
    size     integer primary key,
    frontier blob not null,
    note     blob not null,
    digest   blob not null
) strict;
";

/// A lease says which process holds it and when it was last renewed. The table is made anew: a column that is added would
/// change its text, which verification compares.
const THIRD: &str = "
create temporary table old_leases as select run, epoch, holder, since from leases;

drop table leases;

create table leases (
    run      text primary key references runs (id),
    epoch    integer not null,
    holder   text not null,
    since    integer not null,
    machine  text not null default '',
    process  integer not null default 0,
    started  integer not null default 0,
    boot     text not null default '',
    renewed  integer not null default 0,
    released integer not null default 0
) strict;

insert into leases (run, epoch, holder, since) select run, epoch, holder, since from old_leases;

drop table old_leases;
";

/// The statements that make the tables of this version, as SQLite keeps them.
pub fn statements(version: i64) -> Vec<&'static str> {
    let steps = usize::try_from(version).unwrap_or(0).min(STEPS.len());
    let mut tables: Vec<(&str, &str)> = Vec::new();
    for statement in STEPS[..steps].iter().flat_map(|step| step.split(';')).map(str::trim) {
        let Some(name) = statement
            .strip_prefix("create table ")
            .and_then(|rest| rest.split_whitespace().next())
        else {
            continue;
        };
        tables.retain(|(known, _)| *known != name);
        tables.push((name, statement));
    }
    tables.into_iter().map(|(_, statement)| statement).collect()
}

/// Requests that wait for a decision from another terminal: working state like the leases, no part of the record.
const DECISIONS: &str = "
create table requests (
    id    text primary key,
    run   text not null,
    body  text not null,
    since integer not null,
    until integer not null,
    open  integer not null
) strict;

create table decisions (
    request text primary key references requests (id),
    person  text not null,
    approve integer not null,
    because text not null,
    proof   text not null,
    at      integer not null
) strict;
";

/// What runs are about: working state beside their leases, no part of the record.
const SUBJECTS: &str = "
create table subjects (
    run     text primary key references runs (id),
    subject text not null
) strict;
";
