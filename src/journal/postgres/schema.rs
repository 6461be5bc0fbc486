//! The tables in the database, their versions, and who may do what with them.

/// The steps from nothing to the current tables; the store's version is the number of steps it has had.
pub const STEPS: &[&str] = &[FIRST, SUBJECTS, ERASING];

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

/// The one way in which anything is taken away: the payloads that an entry names, in the transaction that records the entry. It runs with
/// the owner's rights; what it does is written in the entry, and nobody who may call it can take away more. `{schema}` is the schema's name.
const ERASING: &str = "
create function erase_payloads(said bigint) returns bigint
    language plpgsql security definer set search_path = \"{schema}\", pg_temp as $$
declare
    its_run text;
    taken   bigint;
begin
    select e.run into its_run from entries e
     where e.sequence = said and e.kind = 'payloads_erased' and e.xmin = pg_current_xact_id()::xid;
    if its_run is null then
        raise exception 'no entry of this transaction says that payloads are erased' using errcode = '42501';
    end if;
    delete from payloads p using entries e
     where e.sequence = p.sequence and e.run = its_run and e.sequence < said and e.kind <> 'payloads_erased'
       and p.sequence in (select jsonb_array_elements_text(convert_from(b.body, 'UTF8')::jsonb -> 'entries')::bigint
                            from payloads b where b.sequence = said);
    get diagnostics taken = row_count;
    return taken;
end $$;
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

/// A name as SQL writes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// What a role that records may do: add everywhere, change what is a cache or a working state, take away nothing.
pub fn rights(schema: &str, role: &str) -> String {
    let (schema, role, all) = (quoted(schema), quoted(role), TABLES.join(", "));
    format!(
        "grant usage on schema {schema} to {role};
         revoke all on {all} from {role}, public;
         revoke all on function erase_payloads(bigint) from {role}, public;
         grant select on {all} to {role};
         grant insert on entries, payloads, runs, leases, subjects, checkpoints to {role};
         grant insert, update, delete on requests, decisions to {role};
         grant update on head, runs, leases, checkpoints to {role};"
    )
}

/// What the role that erases may do beside that: have payloads taken away that an entry names.
pub fn rights_to_erase(schema: &str, role: &str) -> String {
    format!(
        "{}\n         grant execute on function erase_payloads(bigint) to {};",
        rights(schema, role),
        quoted(role)
    )
}
