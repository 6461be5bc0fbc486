//! A PostgreSQL server of the test's own: fsync off, a socket folder and a port of its own, one database per test.
//!
//! The server refuses to run as root, so root starts it as `postgres` or `nobody`. A shell stands between the test and the
//! server: when the test's process ends, however it ends, the pipe to the shell closes, and the shell stops the server and
//! removes its files.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use starr::providers::postgres::Postgres;
use starr::providers::postgres::config::{Config, Database};
use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Longest time for anything that a server has to do.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What to do when there is no server to test against: a missing server is a failing test, never one that is left out.
const MISSING: &str = "no PostgreSQL server is installed; run: scripts/setup   (or: apt-get install postgresql)";

/// A running server.
pub struct Server {
    pub port: u16,
    pub folder: PathBuf,
    roles: tokio::sync::OnceCell<()>,
    /// Closing it ends the server.
    _life: ChildStdin,
    shell: Child,
}

/// Where the server's programs are: on the path, or where Debian puts them.
pub fn program(name: &str) -> PathBuf {
    let on_path = std::env::var_os("PATH")
        .map(|path| {
            std::env::split_paths(&path)
                .map(|folder| folder.join(name))
                .collect::<Vec<_>>()
        })
        .unwrap_or_default();
    let mut installed: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin").join(name)))
        .collect();
    installed.sort();
    installed
        .into_iter()
        .rev()
        .chain(on_path)
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{MISSING}"))
}

/// The user and group to run as, when this is root.
pub fn unprivileged() -> Option<(u32, u32)> {
    let me = std::fs::metadata("/proc/self").expect("there is a /proc").uid();
    if me != 0 {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").expect("there is a list of users");
    ["postgres", "nobody"].iter().find_map(|wanted| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next() == Some(wanted)).then_some(())?;
            let user = fields.nth(1)?.parse().ok()?;
            let group = fields.next()?.parse().ok()?;
            Some((user, group))
        })
    })
}

/// A command that runs as the unprivileged user.
pub fn lowered(program: &Path) -> Command {
    match unprivileged() {
        None => Command::new(program),
        Some((user, group)) => {
            let mut command = Command::new("setpriv");
            command
                .arg(format!("--reuid={user}"))
                .arg(format!("--regid={group}"))
                .args(["--clear-groups", "--inh-caps=-all", "--"])
                .arg(program);
            command
        }
    }
}

impl Server {
    /// Makes a data folder and starts a server on it.
    pub fn start() -> Self {
        Self::start_with(|_| Vec::new())
    }

    /// The same with more settings, which may name files that `prepare` puts into the server's folder.
    pub fn start_with(prepare: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let folder = std::env::temp_dir().join(format!(
            "starr-pg-{}-{}",
            std::process::id(),
            COUNTER.fetch_add(1, Ordering::SeqCst)
        ));
        std::fs::create_dir_all(&folder).expect("a temporary folder can be made");
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
        if let Some((user, group)) = unprivileged() {
            chown(&folder, Some(user), Some(group)).expect("root may give a folder away");
        }
        let data = folder.join("data");
        let made = lowered(&program("initdb"))
            .args([
                "--no-sync",
                "--auth-local=trust",
                "--auth-host=scram-sha-256",
                "--username=admin",
            ])
            .args(["--encoding=UTF8", "--locale=C", "--pgdata"])
            .arg(&data)
            .current_dir(&folder)
            .output()
            .unwrap_or_else(|problem| panic!("{MISSING}: {problem}"));
        assert!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .expect("there is a free port")
            .port();
        let more = prepare(&folder);
        let server = lowered(&program("postgres"));
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(
                "trap '' INT TERM HUP; log=$1; folder=$2; shift 2; \"$@\" >/dev/null 2>>\"$log\" & server=$!; \
                 cat >/dev/null; kill -QUIT $server 2>/dev/null; wait $server; rm -rf \"$folder\"",
            )
            .arg("sh")
            .arg(folder.join("log"))
            .arg(&folder)
            .arg(server.get_program())
            .args(server.get_args());
        for setting in [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
            format!("unix_socket_directories={}", folder.display()),
            "fsync=off".to_owned(),
            "synchronous_commit=off".to_owned(),
            "full_page_writes=off".to_owned(),
            "log_statement=all".to_owned(),
            "log_line_prefix=%m [%p] %u@%d ".to_owned(),
            "max_connections=60".to_owned(),
            "max_prepared_transactions=5".to_owned(),
            "wal_level=logical".to_owned(),
            "shared_preload_libraries=pg_stat_statements".to_owned(),
        ]
        .into_iter()
        .chain(more)
        {
            shell.arg("-c").arg(setting);
        }
        let mut shell = shell
            .arg("-D")
            .arg(&data)
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .spawn()
            .expect("there is a shell");
        let life = shell.stdin.take().expect("its input was asked for");
        let server = Self {
            port,
            folder,
            roles: tokio::sync::OnceCell::new(),
            _life: life,
            shell,
        };
        server.wait_until_ready();
        server
    }

    fn wait_until_ready(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ready = Command::new(program("pg_isready"))
                .args(["-h", "127.0.0.1", "-q", "-p"])
                .arg(self.port.to_string())
                .status();
            if ready.is_ok_and(|status| status.success()) {
                return;
            }
            assert!(Instant::now() < deadline, "the server does not start: {}", self.log());
            std::thread::yield_now();
        }
    }

    /// Writes a file that only the server's user can read.
    pub fn private_file(folder: &Path, name: &str, text: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, text).expect("the test's own folder");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
        if let Some((user, group)) = unprivileged() {
            chown(&path, Some(user), Some(group)).expect("root may give a file away");
        }
        path
    }

    /// The server every test of this process shares.
    pub fn shared() -> &'static Server {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(Server::start)
    }

    /// Everything the server has written, every statement included.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.folder.join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Stops the server at once, as a crash would.
    pub fn crash(&self) {
        let pid = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).expect("it runs");
        let pid = pid.lines().next().expect("the first line is the number");
        let killed = Command::new("kill")
            .args(["-QUIT", pid])
            .status()
            .expect("there is kill");
        assert!(killed.success());
    }

    /// A connection as the administrator.
    pub async fn admin(&self, database: &str) -> PgConnection {
        PgConnectOptions::new_without_pgpass()
            .host("localhost")
            .socket(&self.folder)
            .port(self.port)
            .username("admin")
            .password("")
            .database(database)
            .application_name("administrator")
            .connect()
            .await
            .expect("the administrator can always come in")
    }

    /// A database of its own with the three roles of an environment: the application, the checks, the changes.
    pub async fn database(&'static self) -> Place {
        let mut admin = self.admin("postgres").await;
        self.roles
            .get_or_init(|| async {
                run(
                    &mut admin,
                    "create role starr_read login password 'read-secret';
                     grant pg_read_all_stats to starr_read;
                     grant pg_read_all_settings to starr_read;
                     create role starr_change login password 'change-secret';
                     grant pg_read_all_stats, pg_signal_backend to starr_change;
                     create role app login password 'app-secret'",
                )
                .await;
            })
            .await;
        let name = format!("t{}", COUNTER.fetch_add(1, Ordering::SeqCst));
        run(&mut admin, &format!("create database {name} owner app")).await;
        let _ = admin.close().await;
        Place { server: self, name }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The shell goes when its input is closed, which happens after this.
        let _ = self.shell.try_wait();
    }
}

static COUNTER: AtomicUsize = AtomicUsize::new(1);

/// Runs statements; a failure is the test's failure.
pub async fn run(connection: &mut PgConnection, sql: &str) {
    if let Err(problem) = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await {
        panic!("{sql}: {problem}");
    }
}

/// A database of a test.
pub struct Place {
    pub server: &'static Server,
    pub name: String,
}

impl Place {
    /// A connection as the administrator.
    pub async fn admin(&self) -> PgConnection {
        self.server.admin(&self.name).await
    }

    /// The entry of the configuration, with passwords in files. `more` is put behind it.
    pub fn entry(&self, folder: &Path, more: &str) -> Database {
        let secret = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).expect("the test's own folder");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("it is ours");
            path.display().to_string()
        };
        let text = format!(
            "{{ host: 127.0.0.1, port: {}, database: {}, \
               read: {{ user: starr_read, password: {{ file: {} }} }}, \
               change: {{ user: starr_change, password: {{ file: {} }} }}{more} }}",
            self.server.port,
            self.name,
            secret("read", "read-secret"),
            secret("change", "change-secret"),
        );
        serde_yaml::from_str(&text).expect("the entry is valid")
    }

    /// A provider that knows this database as `orders`.
    pub fn provider(&self, folder: &Path) -> Postgres {
        self.provider_with(folder, "")
    }

    /// The same with more in its entry.
    pub fn provider_with(&self, folder: &Path, more: &str) -> Postgres {
        one(self.entry(folder, more))
    }

    /// A client in a process of its own, as an application would be.
    pub fn client(&self, application: &str) -> Client {
        Client::new(self, "app", application)
    }

    /// Waits until the question has the answer `true`.
    pub async fn until(&self, question: &str) {
        let mut admin = self.admin().await;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer: bool = sqlx::query_scalar(AssertSqlSafe(question.to_owned()))
                .fetch_one(&mut admin)
                .await
                .unwrap_or_else(|problem| panic!("{question}: {problem}"));
            if answer {
                return;
            }
            assert!(Instant::now() < deadline, "never true: {question}");
        }
    }
}

/// A provider that knows this one database, as `orders`.
pub fn one(entry: Database) -> Postgres {
    Postgres::new(Config {
        databases: BTreeMap::from([("orders".to_owned(), entry)]),
    })
    .expect("the entry is valid")
}

/// A `psql` that takes statements one at a time and stays connected until it is dropped.
pub struct Client {
    process: Child,
    input: ChildStdin,
}

impl Client {
    fn new(place: &Place, user: &str, application: &str) -> Self {
        let mut process = Command::new(program("psql"))
            .args(["-X", "-q", "-A", "-t", "-h"])
            .arg(&place.server.folder)
            .args(["-p", &place.server.port.to_string(), "-U", user, "-d", &place.name])
            .env_clear()
            .env("PGAPPNAME", application)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|problem| panic!("{MISSING}: {problem}"));
        let input = process.stdin.take().expect("its input was asked for");
        Self { process, input }
    }

    /// Sends a statement and does not wait for its end.
    pub fn send(&mut self, sql: &str) {
        writeln!(self.input, "{sql};").expect("psql is there");
        self.input.flush().expect("psql is there");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// As many clients, each idle in a transaction that it has begun and left open.
pub async fn leave_open(place: &Place, application: &str, number: usize) -> Vec<Client> {
    let clients: Vec<Client> = (0..number)
        .map(|_| {
            let mut client = place.client(application);
            client.send("begin");
            client.send("select 1");
            client
        })
        .collect();
    place
        .until(&format!(
            "select count(*) = {number} from pg_stat_activity where datname = current_database()
               and application_name = '{application}' and state = 'idle in transaction' and query = 'select 1;'"
        ))
        .await;
    clients
}
