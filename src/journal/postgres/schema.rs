//! The tables in the database, their versions, and who may do what with them.

/// The steps from nothing to the current tables; the store's version is the number of steps it has had.
pub const STEPS: &[&str] = &[FIRST, SUBJECTS];

/// The version this program writes.
pub const VERSION: i64 = STEPS.len() as i64;

/// The same tables as in a file. There are no foreign keys: checking them would need rights that nobody is to have, and
/// verification checks more than they would.
const FIRST: &str = "
create table version (
    one     integer primary key check (one = 1),
    version bigint not null
);
create table head (
    one      integer primary key check (one = 1),
    origin   bytea not null,
    size     bigint not null,
    frontier bytea not null,
    root     bytea not null,
    leaf     bytea not null
);
create table runs (
    number   bigint generated always as identity primary key,
    id       text not null unique,
    entries  bigint not null default 0,
    started  bigint,
    severity bigint,
    ended    bigint
);
create table leases (
    run      text primary key,
    epoch    bigint not null,
    holder   text not null,
    since    bigint not null,
    machine  text not null,
    process  bigint not null,
    started  bigint not null,
    renewed  timestamptz not null default clock_timestamp(),
    released boolean not null default false
);
create table entries (
    sequence     bigint primary key,
    run          text not null,
    run_sequence bigint not null,
    part         text not null,
    kind         text not null,
    at           bigint not null,
    bytes        bytea not null,
    leaf         bytea not null,
    unique (run, run_sequence)
);
create table payloads (
    sequence bigint primary key,
    salt     bytea not null,
    body     bytea not null
);
create table checkpoints (
    size     bigint primary key,
    frontier bytea not null,
    note     bytea not null,
    digest   bytea not null
);
create table requests (
    id    text primary key,
    run   text not null,
    body  text not null,
    since bigint not null,
    until bigint not null,
    open  boolean not null
);
create table decisions (
    request text primary key,
    person  text not null,
    approve boolean not null,
    because text not null,
    proof   text not null,
    at      bigint not null
);
";

/// What runs are about: working state beside their leases, no part of the record.
const SUBJECTS: &str = "
create table subjects (
    run     text primary key,
    subject text not null
);
";

/// Names of the tables; nothing else belongs into the schema.
pub const TABLES: [&str; 10] = [
    "version",
    "head",
    "runs",
    "leases",
    "subjects",
    "entries",
    "payloads",
    "checkpoints",
    "requests",
    "decisions",
];

/// What the recording role may do: add everywhere, change what is a cache or a working state, take away nothing.
pub fn rights(schema: &str, role: &str) -> String {
    let role = format!("\"{}\"", role.replace('"', "\"\""));
    let all = TABLES.join(", ");
    format!(
        "grant usage on schema \"{schema}\" to {role};
         revoke all on {all} from {role}, public;
         grant select on {all} to {role};
         grant insert on entries, payloads, runs, leases, subjects, checkpoints to {role};
         grant insert, update, delete on requests, decisions to {role};
         grant update on head, runs, leases, checkpoints to {role};"
    )
}
