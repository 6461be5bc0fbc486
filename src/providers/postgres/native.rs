//! What PostgreSQL's own words are for what runbooks need, whether what they name is there, and what a change would do.

use super::config::Preview;
use super::connection::{Deadline, Pool};
use super::failure::{Failure, classify};
use super::guard::Reading;
use super::names::{Name, names};
use super::parameters::{Bound, bind, constant, quoted};
use super::{Postgres, statement};
use crate::provider::native::{Previewed, Privilege, Reference, ReferenceKind, Resolved, Use};
use crate::provider::{Call, Effect};
use crate::providers::arguments::Arguments;
use crate::value::{Reason, Value};
use sqlx::postgres::PgArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a look at one reference may take.
const WITHIN: Duration = Duration::from_secs(10);

/// Lines of a preview that are kept.
const LINES: usize = 40;

/// The SQL text of a use, where there is one.
fn sql(used: &Use) -> Option<&str> {
    match used.arg("sql") {
        Some(Value::Code { text, .. }) => Some(text),
        _ => None,
    }
}

/// The databases that the uses name. A call whose database is only known in the run is made to one of them.
fn databases(uses: &[Use]) -> BTreeSet<String> {
    uses.iter()
        .filter(|used| &*used.operation.provider == "postgres")
        .filter_map(|used| used.arg("db").and_then(Value::as_str).map(str::to_owned))
        .collect()
}

/// A name as SQL writes it: without quotes where that means the same.
fn identifier(name: &str) -> String {
    let plain = name
        .chars()
        .enumerate()
        .all(|(index, letter)| letter == '_' || letter.is_ascii_lowercase() || (index > 0 && letter.is_ascii_digit()));
    if plain && !name.is_empty() {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

fn table(name: &Name) -> String {
    format!(
        "{}.{}",
        identifier(name.schema.as_deref().unwrap_or("public")),
        identifier(&name.name)
    )
}

/// Privileges by statement, with the operations that need each.
#[derive(Default)]
struct Needed(BTreeMap<(String, Login, String), (bool, BTreeSet<String>)>);

/// The login, in the order in which it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Login {
    Read,
    Change,
}

impl Needed {
    fn add(&mut self, target: &str, role: Login, statement: String, complete: bool, operation: &str) {
        let entry = self
            .0
            .entry((target.to_owned(), role, statement))
            .or_insert((complete, BTreeSet::new()));
        entry.1.insert(operation.to_owned());
    }
}

impl Postgres {
    /// The least a login needs for these operations, as complete statements.
    pub(super) fn least(&self, uses: &[Use]) -> Vec<Privilege> {
        let all = databases(uses);
        let mut needed = Needed::default();
        for used in uses.iter().filter(|used| &*used.operation.provider == "postgres") {
            let named = used.arg("db").and_then(Value::as_str);
            let targets: Vec<&str> = match named {
                Some(name) => vec![name],
                None => all.iter().map(String::as_str).collect(),
            };
            for target in targets {
                self.needs(target, used, &mut needed);
            }
        }
        needed
            .0
            .into_iter()
            .map(|((target, role, statement), (complete, because))| Privilege {
                target,
                login: match role {
                    Login::Read => "read",
                    Login::Change => "change",
                }
                .to_owned(),
                statement,
                complete,
                because: because.into_iter().collect(),
            })
            .collect()
    }

    fn needs(&self, target: &str, used: &Use, needed: &mut Needed) {
        let instance = self.databases.get(target);
        let role = match used.operation.effect {
            Effect::Change | Effect::Tell => Login::Change,
            Effect::Read | Effect::Probe | Effect::Preview => Login::Read,
        };
        let user = match (role, instance) {
            (Login::Read, Some(instance)) => instance.database.read.user.clone(),
            (Login::Change, Some(instance)) => instance
                .database
                .change
                .as_ref()
                .map_or_else(|| "starr_change".to_owned(), |login| login.user.clone()),
            (Login::Read, None) => "starr_read".to_owned(),
            (Login::Change, None) => "starr_change".to_owned(),
        };
        let user = identifier(&user);
        let database = identifier(instance.map_or(target, |instance| &instance.database.database));
        let operation = used.operation.full_name();
        let mut grant = |what: String, complete: bool| {
            needed.add(target, role, format!("GRANT {what} TO {user};"), complete, &operation);
        };
        grant(format!("CONNECT ON DATABASE {database}"), true);
        match &*used.operation.path {
            "connections"
            | "sessions.list"
            | "sessions.by_state"
            | "sessions.by_client"
            | "sessions.remaining"
            | "locks.blocked"
            | "locks.blockers"
            | "transactions.list"
            | "replication.standbys"
            | "statements.top" => {
                grant("pg_read_all_stats".to_owned(), true);
            }
            "settings.get" => grant("pg_read_all_settings".to_owned(), true),
            "sessions.terminate" | "sessions.cancel" => {
                grant("pg_read_all_stats".to_owned(), true);
                grant("pg_signal_backend".to_owned(), true);
            }
            "settings.set" => grant(format!("/* the role that owns the database {database} */ app"), false),
            "tables.analyze" | "indexes.create_concurrently" | "indexes.drop_concurrently" => {
                let owned = used
                    .arg("table")
                    .or_else(|| used.arg("name"))
                    .and_then(Value::as_str)
                    .unwrap_or("the table");
                grant(
                    format!("/* the role that owns {} */ app", owned.replace("*/", "")),
                    false,
                );
            }
            "query" | "execute" => match sql(used).and_then(names) {
                Some(names) => {
                    let schemas: BTreeSet<&str> = names
                        .tables
                        .iter()
                        .map(|(name, _)| name.schema.as_deref().unwrap_or("public"))
                        .collect();
                    for schema in schemas.into_iter().filter(|schema| !built_in(schema)) {
                        grant(format!("USAGE ON SCHEMA {}", identifier(schema)), true);
                    }
                    for (name, right) in &names.tables {
                        if !name.schema.as_deref().is_some_and(built_in) {
                            grant(format!("{} ON TABLE {}", right.word(), table(name)), true);
                        }
                    }
                }
                None => grant("SELECT ON TABLE /* what the statement names */ app".to_owned(), false),
            },
            _ => {}
        }
    }

    /// What a call names in the database.
    pub(super) fn named(&self, used: &Use) -> Vec<Reference> {
        let Some(on) = used.arg("db").and_then(Value::as_str) else {
            return Vec::new();
        };
        let reference = |kind, name: String| Reference {
            kind,
            name,
            on: on.to_owned(),
            readable: true,
        };
        let text = |argument: &str| used.arg(argument).and_then(Value::as_str).map(str::to_owned);
        match &*used.operation.path {
            "query" | "execute" => {
                let Some(names) = sql(used).and_then(names) else {
                    return Vec::new();
                };
                let tables: BTreeSet<String> = names.tables.iter().map(|(name, _)| name.to_string()).collect();
                tables
                    .into_iter()
                    .map(|name| reference(ReferenceKind::Table, name))
                    .chain(
                        names
                            .functions
                            .iter()
                            .map(|name| reference(ReferenceKind::Function, name.to_string())),
                    )
                    .collect()
            }
            "tables.analyze" | "indexes.create_concurrently" => {
                let schema = text("schema").unwrap_or_else(|| "public".to_owned());
                text("table")
                    .map(|name| reference(ReferenceKind::Table, format!("{schema}.{name}")))
                    .into_iter()
                    .collect()
            }
            "settings.get" | "settings.set" | "settings.of_database" => text("name")
                .map(|name| reference(ReferenceKind::Setting, name))
                .into_iter()
                .collect(),
            _ => Vec::new(),
        }
    }

    /// Looks a reference up in the catalogue, as the login for checks.
    pub(super) async fn look_up(&self, reference: &Reference) -> Resolved {
        let instance = match self.instance(&reference.on) {
            Ok(instance) => instance,
            Err(failure) => return Resolved::Unknown(failure.unknown.to_string()),
        };
        match look_up(&instance.read, reference).await {
            Ok(true) => Resolved::There,
            Ok(false) => Resolved::Missing(format!(
                "no {} `{}` in {}, as far as its login for checks can see",
                reference.kind.word(),
                reference.name,
                reference.on
            )),
            Err(failure) => Resolved::Unknown(failure.unknown.to_string()),
        }
    }

    /// What a change would do: explained, or done and rolled back, as the configuration says.
    pub(super) async fn preview_of(&self, call: &Call) -> Previewed {
        let arguments = Arguments(call);
        let instance = match arguments
            .text("db")
            .map_err(Failure::from)
            .and_then(|name| self.instance(name))
        {
            Ok(instance) => instance,
            Err(failure) => return Previewed::Unknown(failure.unknown),
        };
        let rolled_back = instance.database.preview == Preview::RolledBack;
        let deadline = Deadline::new(call.within);
        let result = match &*call.operation.path {
            "execute" if rolled_back => tried(&instance.change, arguments, deadline).await,
            "execute" => explained(&instance.change, arguments, deadline).await,
            "settings.set" if rolled_back => {
                set(&instance.change, &instance.database.database, arguments, deadline).await
            }
            // What ends sessions and what is built concurrently cannot be rolled back.
            _ => return Previewed::NoPreview,
        };
        let how = if rolled_back {
            "done and rolled back"
        } else {
            "explained"
        };
        match result {
            Ok(lines) => Previewed::Shown {
                how: how.to_owned(),
                lines,
            },
            Err(failure) => Previewed::Unknown(failure.unknown),
        }
    }
}

fn built_in(schema: &str) -> bool {
    matches!(schema, "pg_catalog" | "information_schema")
}

async fn look_up(pool: &Pool, reference: &Reference) -> Result<bool, Failure> {
    let deadline = Deadline::new(WITHIN);
    let bound = |text: &str| -> Result<PgArguments, Failure> {
        let mut arguments = PgArguments::default();
        arguments
            .add(text)
            .map_err(|problem| Failure::definite(Reason::Internal, problem.to_string()))?;
        Ok(arguments)
    };
    let (sql, text): (&'static str, String) = match reference.kind {
        ReferenceKind::Table => (
            "select pg_catalog.to_regclass($1) is not null as there",
            match reference.name.split_once('.') {
                Some((schema, name)) => format!("{}.{}", identifier(schema), identifier(name)),
                None => identifier(&reference.name),
            },
        ),
        ReferenceKind::Function => (
            "select exists (select 1 from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
               where case when $1 like '%.%' then n.nspname || '.' || p.proname = $1
                          else p.proname = $1 and pg_catalog.pg_function_is_visible(p.oid) end) as there",
            reference.name.clone(),
        ),
        ReferenceKind::Setting => (
            "select exists (select 1 from pg_catalog.pg_settings s where lower(s.name) = lower($1)) as there",
            reference.name.clone(),
        ),
        ReferenceKind::Url
        | ReferenceKind::File
        | ReferenceKind::Unit
        | ReferenceKind::Container
        | ReferenceKind::Project => {
            return Err(Failure::definite(Reason::Internal, "this is not in a database"));
        }
    };
    let mut reading = Reading::begin(pool, deadline).await?;
    let rows = reading.rows(sql, bound(&text)?).await?;
    reading.end().await;
    rows.first()
        .ok_or_else(|| Failure::definite(Reason::Missing, "the server sent no row"))?
        .flag("there")
}

fn prepared(arguments: Arguments<'_>) -> Result<(String, Bound), Failure> {
    let text = super::query::literal(arguments)?;
    let text = statement::change(text).map_err(|why| Failure::definite(Reason::Denied, why))?;
    let bound = bind(arguments.value("parameters"))?;
    Ok((text, bound))
}

/// The plan of a statement. It is not run: options stand in parentheses, so that a text that begins with `analyze` is no option; what planning itself does (functions that are called while planning) is rolled back.
async fn explained(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Result<Vec<String>, Failure> {
    let (text, bound) = prepared(arguments)?;
    let mut lease = super::changes::begin(pool, deadline, 1_000).await?;
    let work = async {
        sqlx::raw_sql("BEGIN READ ONLY").execute(lease.connection()).await?;
        sqlx::query_with(AssertSqlSafe(format!("EXPLAIN (FORMAT TEXT) {text}")), bound.arguments)
            .persistent(false)
            .fetch_all(lease.connection())
            .await
    };
    let rows = deadline
        .wait("the server", work)
        .await?
        .map_err(|problem| classify(&problem, false, bound.secret))?;
    let lines = rows
        .iter()
        .take(LINES)
        .map(|row| row.try_get_unchecked::<String, _>(0))
        .collect::<Result<_, _>>()
        .map_err(|problem| classify(&problem, false, bound.secret))?;
    lease.give_back(deadline).await;
    Ok(lines)
}

/// Runs a statement in a transaction that is rolled back. Triggers run, locks are held for that long, and sequences move on.
async fn tried(pool: &Pool, arguments: Arguments<'_>, deadline: Deadline) -> Result<Vec<String>, Failure> {
    let (text, bound) = prepared(arguments)?;
    let rows = rolled_back(pool, deadline, text, bound.arguments, bound.secret).await?;
    Ok(vec![format!(
        "would touch {rows} {}",
        if rows == 1 { "row" } else { "rows" }
    )])
}

async fn set(
    pool: &Pool,
    database: &str,
    arguments: Arguments<'_>,
    deadline: Deadline,
) -> Result<Vec<String>, Failure> {
    let name = arguments.text("name")?;
    let database = quoted(database)?;
    // A name with a dot is a setting of an extension: each part is a name of its own.
    let setting = name.split('.').map(quoted).collect::<Result<Vec<_>, _>>()?.join(".");
    let to = match arguments.maybe_text("to")? {
        Some(to) => format!("SET {setting} TO {}", constant(to)?),
        None => format!("RESET {setting}"),
    };
    let text = format!("ALTER DATABASE {database} {to}");
    rolled_back(pool, deadline, text.clone(), PgArguments::default(), false).await?;
    Ok(vec![format!("the server takes: {text}")])
}

async fn rolled_back(
    pool: &Pool,
    deadline: Deadline,
    text: String,
    arguments: PgArguments,
    secret: bool,
) -> Result<u64, Failure> {
    let mut lease = super::changes::begin(pool, deadline, 1_000).await?;
    let work = async {
        sqlx::raw_sql("BEGIN").execute(lease.connection()).await?;
        let done = sqlx::query_with(AssertSqlSafe(text), arguments)
            .persistent(false)
            .execute(lease.connection())
            .await?;
        sqlx::raw_sql("ROLLBACK").execute(lease.connection()).await?;
        Ok::<u64, sqlx::Error>(done.rows_affected())
    };
    // A lease that is not given back is closed, and the server rolls back whatever was open on it.
    let rows = deadline
        .wait("the server", work)
        .await?
        .map_err(|problem| classify(&problem, false, secret))?;
    lease.give_back(deadline).await;
    Ok(rows)
}
