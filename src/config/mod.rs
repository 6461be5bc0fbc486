//! `starr.yaml`: environments, provider instances, people and roles, grants.
//!
//! Found by `--config`, then `$STARR_CONFIG`, then the user's configuration folder; never beside the runbook, because whoever
//! writes a runbook may not thereby grant it rights. Without a file there is an embedded default: this machine, HTTP on
//! loopback, one operator.

mod journal;
mod journal_place;
mod secret_places;
mod signatures;

use crate::provider::Effect;
use crate::provider::gate::Grant;
use crate::secrets::SecretSource;
use crate::value::Value;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use journal::Journal;
pub use journal_place::Place as JournalPlace;
pub use signatures::Signatures;

/// Largest configuration file, in bytes.
const FILE_BYTES: u64 = crate::limits::CONFIGURATION_BYTES;

/// The whole file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The environment when `--env` names none.
    #[serde(default)]
    pub default: Option<String>,
    pub environments: BTreeMap<String, Environment>,
}

/// One environment: who is there, what can be reached, what is granted.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// True for the environment of a machine without configuration.
    #[serde(skip)]
    pub embedded: bool,
    /// Severity names, worst first.
    #[serde(default = "default_severities")]
    pub severities: Vec<String>,
    /// The severity of a runbook that has no `severity`; the last one when absent.
    #[serde(default)]
    pub default_severity: Option<String>,
    /// Who is called when, for a runbook that names no escalation.
    #[serde(default)]
    pub escalation: Option<EscalationItem>,
    /// People by login name.
    #[serde(default)]
    pub people: BTreeMap<String, Human>,
    /// Where the journal lies, who signs it, where it is anchored.
    #[serde(default)]
    pub journal: Journal,
    #[cfg(feature = "http")]
    #[serde(default)]
    pub http: crate::providers::http::config::HttpConfig,
    /// Channels of a chat.
    #[cfg(feature = "notify")]
    #[serde(default)]
    pub chat: crate::providers::notify::config::ChatConfig,
    /// Services that page people.
    #[cfg(feature = "notify")]
    #[serde(default)]
    pub pager: crate::providers::notify::config::PagerConfig,
    /// The server and the addresses of mail.
    #[cfg(feature = "notify")]
    #[serde(default)]
    pub mail: crate::providers::notify::config::MailConfig,
    /// Kubernetes clusters and namespaces.
    #[cfg(feature = "kubernetes")]
    #[serde(default)]
    pub kubernetes: crate::providers::kubernetes::config::Config,
    /// PostgreSQL databases.
    #[cfg(feature = "postgres")]
    #[serde(default)]
    pub postgres: crate::providers::postgres::config::Config,
    /// Prometheus servers.
    #[cfg(feature = "prometheus")]
    #[serde(default)]
    pub prometheus: crate::providers::prometheus::config::Config,
    /// Alertmanagers.
    #[cfg(feature = "alertmanager")]
    #[serde(default)]
    pub alertmanager: crate::providers::alertmanager::config::Config,
    /// Container engines.
    #[cfg(feature = "docker")]
    #[serde(default)]
    pub docker: crate::providers::docker::config::Config,
    /// Applications, and what each call is at each of them.
    #[cfg(feature = "app")]
    #[serde(default)]
    pub app: crate::providers::app::config::Config,
    /// Programs of this machine.
    #[cfg(feature = "exec")]
    #[serde(default)]
    pub exec: crate::providers::exec::config::Config,
    /// Name servers.
    #[cfg(feature = "dns")]
    #[serde(default)]
    pub dns: crate::providers::dns::config::Config,
    /// Keys that tokens are checked with.
    #[cfg(feature = "jwt")]
    #[serde(default)]
    pub jwt: crate::providers::jwt::config::Config,
    /// Query services of traces.
    #[cfg(feature = "jaeger")]
    #[serde(default)]
    pub jaeger: crate::providers::jaeger::config::Config,
    /// Accounts of AWS.
    #[cfg(feature = "aws")]
    #[serde(default)]
    pub aws: crate::providers::aws::config::Config,
    /// Subscriptions of Azure and what lies in them.
    #[cfg(feature = "azure")]
    #[serde(default)]
    pub azure: crate::providers::azure::config::Config,
    /// Repositories whose issues are written.
    #[cfg(feature = "github")]
    #[serde(default)]
    pub github: crate::providers::github::config::Config,
    /// Pages that customers read.
    #[cfg(feature = "notify")]
    #[serde(default)]
    pub status_page: crate::providers::status_page::config::Config,
    /// Servers that speak TLS, and certificates in files.
    #[cfg(feature = "tls")]
    #[serde(default)]
    pub tls: crate::providers::tls::config::Config,
    /// Redis servers.
    #[cfg(feature = "redis")]
    #[serde(default)]
    pub redis: crate::providers::redis::config::Config,
    /// Fields of resources: kind, name, field.
    #[serde(default)]
    pub resources: BTreeMap<String, BTreeMap<String, BTreeMap<String, Field>>>,
    /// Secrets that a person may give to a parameter by name: `--set token=NAME`.
    #[serde(default)]
    pub secrets: BTreeMap<String, SecretSource>,
    /// Whose runbooks run here.
    #[serde(default)]
    pub signatures: Signatures,
    /// What may be done here. Default nothing.
    #[serde(default)]
    pub grants: Vec<GrantItem>,
    /// Who may run, approve, override and change what, where and when. Without it the grants alone decide.
    #[serde(default)]
    pub policy: Option<PolicyItem>,
}

/// The escalation matrix of an environment.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EscalationItem {
    /// A module outside the runbooks' folders that uses modules of `std` alone; relative paths begin where the configuration lies.
    pub file: PathBuf,
    /// The name of the escalation in it.
    #[serde(default = "matrix")]
    pub name: String,
}

fn matrix() -> String {
    "matrix".to_owned()
}

/// A person of the environment.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Human {
    #[serde(default)]
    pub roles: Vec<String>,
    /// Other logins and aliases of the same person: whatever is used, it is one person.
    #[serde(default)]
    pub logins: Vec<String>,
    /// The public key that approvals from elsewhere are signed with: `ed25519:…`.
    #[serde(default)]
    pub key: Option<String>,
    /// The secret of spoken answers, shared with this person's machine.
    #[serde(default)]
    pub code: Option<crate::secrets::SecretSource>,
}

/// `policy: { files: [policy.cedar], time_zone: Europe/Vienna }`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyItem {
    /// Cedar policies; a relative path begins at the folder of the configuration.
    pub files: Vec<PathBuf>,
    /// In which `context.date`, `weekday` and `minute` are told; UTC when absent.
    #[serde(default)]
    pub time_zone: Option<String>,
}

/// `{ capability: postgres.sessions, effects: [read, change], targets: [orders] }`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantItem {
    pub capability: String,
    pub effects: Vec<EffectItem>,
    /// Exact canonical names. There is no pattern; `all: true` is every target.
    #[serde(default)]
    pub targets: Vec<String>,
    #[serde(default)]
    pub all: bool,
}

/// A word of `effects`; `read` covers probes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum EffectItem {
    Read,
    Change,
    Tell,
    /// A look at what a change would do, by the target itself; it can have side effects, so it is granted by itself.
    Preview,
}

/// The value of a resource's field.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(untagged)]
pub enum Field {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

fn default_severities() -> Vec<String> {
    ["sev1", "sev2", "sev3"].map(str::to_owned).to_vec()
}

/// The 32 bytes of `ed25519:…`.
///
/// # Errors
/// How a key is written.
pub fn public_key(text: &str) -> Result<Vec<u8>, String> {
    use base64::Engine as _;
    text.strip_prefix("ed25519:")
        .and_then(|encoded| base64::engine::general_purpose::STANDARD.decode(encoded).ok())
        .filter(|bytes| bytes.len() == 32)
        .ok_or_else(|| "a key is written `ed25519:` and 32 bytes in base64".to_owned())
}

/// The configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Where, what was found, what to do.
    pub message: String,
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

fn error<T>(message: impl Into<String>) -> Result<T, Error> {
    Err(Error {
        message: message.into(),
    })
}

/// A configuration and where it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub config: Config,
    /// `None`: the embedded default.
    pub path: Option<PathBuf>,
}

impl Loaded {
    /// The environment to use, with its name. From then on secrets of clusters are those of its clusters.
    pub fn environment(&self, name: Option<&str>) -> Result<(&str, &Environment), Error> {
        let known = || {
            self.config
                .environments
                .keys()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let name = match (name, &self.config.default) {
            (Some(name), _) => name,
            (None, Some(name)) => name,
            (None, None) if self.config.environments.len() == 1 => {
                self.config.environments.keys().next().map_or("", String::as_str)
            }
            (None, None) => {
                return error(format!(
                    "which environment? name one with --env, or write `default: NAME` into the configuration; there are: {}",
                    known()
                ));
            }
        };
        match self.config.environments.get_key_value(name) {
            Some((name, environment)) => {
                environment.reach_sources();
                Ok((name, environment))
            }
            None => error(format!("there is no environment `{name}`; there are: {}", known())),
        }
    }
}

/// Finds and reads the configuration: the flag, then `$STARR_CONFIG`, then the user's configuration folder, then the default.
pub fn load(flag: Option<&Path>) -> Result<Loaded, Error> {
    if let Some(path) = flag {
        return read(path);
    }
    if let Some(path) = std::env::var_os("STARR_CONFIG").filter(|value| !value.is_empty()) {
        return read(Path::new(&path));
    }
    if let Some(path) = folder("XDG_CONFIG_HOME", ".config").map(|folder| folder.join("starr/starr.yaml"))
        && path.exists()
    {
        return read(&path);
    }
    Ok(Loaded {
        config: embedded(),
        path: None,
    })
}

/// A folder of the user by the XDG base directory specification.
pub fn folder(variable: &str, below_home: &str) -> Option<PathBuf> {
    let absolute = |value: std::ffi::OsString| Some(PathBuf::from(value)).filter(|path| path.is_absolute());
    std::env::var_os(variable).and_then(absolute).or_else(|| {
        std::env::var_os("HOME")
            .and_then(absolute)
            .map(|home| home.join(below_home))
    })
}

fn read(path: &Path) -> Result<Loaded, Error> {
    use std::io::Read;
    let shown = path.display();
    let file = std::fs::File::open(path)
        .or_else(|problem| error(format!("cannot open the configuration {shown}: {problem}")))?;
    let mut text = String::new();
    file.take(FILE_BYTES + 1)
        .read_to_string(&mut text)
        .or_else(|problem| error(format!("cannot read the configuration {shown}: {problem}")))?;
    if text.len() as u64 > FILE_BYTES {
        return error(format!("the configuration {shown} is larger than 1 MiB"));
    }
    let mut config = parse(&text).or_else(|problem| error(format!("{shown}:{problem}")))?;
    // Never from the working directory: what is relative begins where the configuration lies.
    let folder = path
        .canonicalize()
        .ok()
        .and_then(|path| Some(path.parent()?.to_path_buf()));
    for environment in config.environments.values_mut() {
        let policies = environment.policy.iter_mut().flat_map(|policy| &mut policy.files);
        let matrix = environment.escalation.iter_mut().map(|escalation| &mut escalation.file);
        for file in policies.chain(matrix) {
            if let (true, Some(folder)) = (file.is_relative(), &folder) {
                *file = folder.join(&*file);
            }
        }
    }
    Ok(Loaded {
        config,
        path: Some(path.to_path_buf()),
    })
}

/// Reads the text of a configuration. The error begins with line and column.
pub fn parse(text: &str) -> Result<Config, Error> {
    let mut options = serde_yaml::Options::default();
    options.with_snippet = false;
    // `no` and `on` are text: only `true` and `false` are truth values.
    options.strict_booleans = true;
    options.duplicate_keys = serde_yaml::DuplicateKeyPolicy::Error;
    // No anchors and aliases: a small file must not be able to become a large one.
    if let Some(budget) = options.budget.as_mut() {
        budget.max_aliases = 0;
        budget.max_anchors = 0;
    }
    let config: Config = serde_yaml::from_str_with_options(text, options).or_else(|problem| {
        let place = problem
            .location()
            .map_or_else(|| "1:1".to_owned(), |at| format!("{}:{}", at.line(), at.column()));
        let said = problem.to_string();
        error(format!(
            "{place}: {}",
            said.lines().next().unwrap_or("cannot be read").trim()
        ))
    })?;
    for (name, environment) in &config.environments {
        environment
            .validate()
            .or_else(|problem| error(format!("1:1: environment `{name}`: {problem}")))?;
    }
    if let Some(default) = &config.default
        && !config.environments.contains_key(default)
    {
        return error(format!(
            "1:1: `default` names `{default}`, which is not among `environments`"
        ));
    }
    Ok(config)
}

impl Environment {
    fn validate(&self) -> Result<(), Error> {
        if self.severities.is_empty() {
            return error("`severities` is empty");
        }
        if let Some(default) = &self.default_severity
            && !self.severities.contains(default)
        {
            return error(format!(
                "`default_severity` is `{default}`, which is not among `severities`"
            ));
        }
        #[cfg(feature = "kubernetes")]
        self.kubernetes.validate().or_else(error)?;
        #[cfg(feature = "postgres")]
        self.postgres.validate().or_else(error)?;
        #[cfg(feature = "prometheus")]
        self.prometheus.validate().or_else(error)?;
        #[cfg(feature = "alertmanager")]
        self.alertmanager.validate().or_else(error)?;
        #[cfg(feature = "docker")]
        self.docker.validate().or_else(error)?;
        #[cfg(feature = "app")]
        self.app.validate().or_else(error)?;
        #[cfg(feature = "exec")]
        self.exec.validate().or_else(error)?;
        #[cfg(feature = "dns")]
        self.dns.validate().or_else(error)?;
        #[cfg(feature = "jwt")]
        self.jwt.validate().or_else(error)?;
        #[cfg(feature = "jaeger")]
        self.jaeger.validate().or_else(error)?;
        #[cfg(feature = "aws")]
        self.aws.validate().or_else(error)?;
        #[cfg(feature = "azure")]
        self.azure.validate().or_else(error)?;
        #[cfg(feature = "github")]
        self.github.validate().or_else(error)?;
        #[cfg(feature = "notify")]
        self.status_page.validate().or_else(error)?;
        #[cfg(feature = "tls")]
        self.tls.validate().or_else(error)?;
        #[cfg(feature = "redis")]
        self.redis.validate().or_else(error)?;
        self.validate_people()?;
        if let Some(policy) = &self.policy {
            if policy.files.is_empty() {
                return error("`policy` names no `files`");
            }
            if let Some(zone) = &policy.time_zone
                && jiff::tz::TimeZone::get(zone).is_err()
            {
                return error(format!("`policy`: there is no time zone `{zone}`"));
            }
        }
        self.signatures.validate().or_else(error)?;
        self.journal.validate().or_else(error)?;
        for grant in &self.grants {
            if grant.capability.is_empty() {
                return error("a grant has an empty `capability`");
            }
            if grant.all != grant.targets.is_empty() {
                return error(format!(
                    "the grant of `{}` needs either `targets: […]` or `all: true`",
                    grant.capability
                ));
            }
        }
        Ok(())
    }

    /// One login belongs to one person, and a key is a key.
    fn validate_people(&self) -> Result<(), Error> {
        let mut owner: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, human) in &self.people {
            for login in std::iter::once(name).chain(&human.logins) {
                if let Some(other) = owner.insert(login, name).filter(|other| *other != name) {
                    return error(format!("the login `{login}` belongs to both {other} and {name}"));
                }
            }
            if let Some(key) = &human.key
                && let Err(problem) = public_key(key)
            {
                return error(format!("the `key` of {name}: {problem}"));
            }
        }
        Ok(())
    }

    /// The one name of a person, by every login and alias.
    pub fn identities(&self) -> BTreeMap<String, String> {
        self.people
            .iter()
            .flat_map(|(name, human)| {
                human
                    .logins
                    .iter()
                    .chain([name])
                    .map(|login| (login.clone(), name.clone()))
            })
            .collect()
    }

    /// The person of a login; the login itself when the configuration knows none.
    pub fn person<'a>(&'a self, login: &'a str) -> &'a str {
        self.people
            .iter()
            .find(|(name, human)| *name == login || human.logins.iter().any(|other| other == login))
            .map_or(login, |(name, _)| name.as_str())
    }

    /// The roles of each person.
    pub fn roles_by_person(&self) -> BTreeMap<String, Vec<String>> {
        self.people
            .iter()
            .map(|(name, human)| (name.clone(), human.roles.clone()))
            .collect()
    }

    /// The grants as the gate takes them.
    pub fn grants(&self) -> Vec<Grant> {
        self.grants
            .iter()
            .map(|item| Grant {
                capability: item.capability.clone(),
                effects: item
                    .effects
                    .iter()
                    .flat_map(|effect| match effect {
                        EffectItem::Read => vec![Effect::Read, Effect::Probe],
                        EffectItem::Change => vec![Effect::Change],
                        EffectItem::Tell => vec![Effect::Tell],
                        EffectItem::Preview => vec![Effect::Preview],
                    })
                    .collect(),
                targets: (!item.all).then(|| item.targets.clone()),
            })
            .collect()
    }

    /// Fields of resources, by kind and name.
    pub fn resources(&self) -> BTreeMap<(String, String), BTreeMap<String, Value>> {
        let value = |field: &Field| match field {
            Field::Bool(value) => Value::Bool(*value),
            Field::Int(value) => Value::Int(*value),
            Field::Float(value) => Value::float(*value),
            Field::Text(value) => Value::text(value.as_str()),
        };
        self.resources
            .iter()
            .flat_map(|(kind, names)| names.iter().map(move |(name, fields)| (kind, name, fields)))
            .map(|(kind, name, fields)| {
                let fields = fields
                    .iter()
                    .map(|(field, given)| (field.clone(), value(given)))
                    .collect();
                ((kind.clone(), name.clone()), fields)
            })
            .collect()
    }

    /// The severity of a runbook that names none.
    pub fn default_severity(&self) -> &str {
        self.default_severity
            .as_deref()
            .or_else(|| self.severities.last().map(String::as_str))
            .unwrap_or_default()
    }

    /// Every role that somebody has.
    pub fn roles(&self) -> Vec<String> {
        let mut roles: Vec<String> = self.people.values().flat_map(|human| human.roles.clone()).collect();
        roles.sort();
        roles.dedup();
        roles
    }
}

/// The environment of a machine without configuration: reads of this machine, HTTP to loopback, changes to this machine's
/// processes and units after approval by whoever is logged in.
pub fn embedded() -> Config {
    let grant = |capability: &str, effects: &[EffectItem], targets: &[&str]| GrantItem {
        capability: capability.to_owned(),
        effects: effects.to_vec(),
        targets: targets.iter().map(|target| (*target).to_owned()).collect(),
        all: targets.is_empty(),
    };
    let local = Environment {
        embedded: true,
        severities: default_severities(),
        default_severity: None,
        escalation: None,
        people: BTreeMap::from([(
            crate::cli::login(),
            Human {
                roles: vec!["operator".to_owned()],
                ..Human::default()
            },
        )]),
        journal: Journal::default(),
        #[cfg(feature = "http")]
        http: Default::default(),
        #[cfg(feature = "notify")]
        chat: Default::default(),
        #[cfg(feature = "notify")]
        pager: Default::default(),
        #[cfg(feature = "notify")]
        mail: Default::default(),
        #[cfg(feature = "kubernetes")]
        kubernetes: Default::default(),
        #[cfg(feature = "postgres")]
        postgres: Default::default(),
        #[cfg(feature = "prometheus")]
        prometheus: Default::default(),
        #[cfg(feature = "alertmanager")]
        alertmanager: Default::default(),
        #[cfg(feature = "docker")]
        docker: Default::default(),
        #[cfg(feature = "app")]
        app: Default::default(),
        #[cfg(feature = "exec")]
        exec: Default::default(),
        #[cfg(feature = "dns")]
        dns: Default::default(),
        #[cfg(feature = "jwt")]
        jwt: Default::default(),
        #[cfg(feature = "jaeger")]
        jaeger: Default::default(),
        #[cfg(feature = "aws")]
        aws: Default::default(),
        #[cfg(feature = "azure")]
        azure: Default::default(),
        #[cfg(feature = "github")]
        github: Default::default(),
        #[cfg(feature = "notify")]
        status_page: Default::default(),
        #[cfg(feature = "tls")]
        tls: Default::default(),
        #[cfg(feature = "redis")]
        redis: Default::default(),
        resources: BTreeMap::new(),
        secrets: BTreeMap::new(),
        signatures: Signatures::default(),
        grants: vec![
            grant("host", &[EffectItem::Read, EffectItem::Change], &[]),
            // The provider's own address guard lets nothing but loopback through unless the configuration says so.
            grant("http", &[EffectItem::Read], &[]),
        ],
        policy: None,
    };
    Config {
        default: None,
        environments: BTreeMap::from([("local".to_owned(), local)]),
    }
}

#[cfg(test)]
mod tests {
    use super::{EffectItem, parse};
    use crate::provider::Effect;

    const GOOD: &str = "
default: production
environments:
  production:
    severities: [sev1, sev2]
    people:
      alice: { roles: [oncall] }
    grants:
      - { capability: postgres.sessions, effects: [read, change], targets: [orders] }
";

    #[test]
    fn a_whole_file_is_read() {
        let config = parse(GOOD).unwrap();
        let environment = &config.environments["production"];
        assert_eq!(environment.default_severity(), "sev2");
        assert_eq!(environment.roles(), ["oncall"]);
        let grants = environment.grants();
        assert_eq!(grants[0].effects, [Effect::Read, Effect::Probe, Effect::Change]);
        assert_eq!(grants[0].targets.as_deref(), Some(["orders".to_owned()].as_slice()));
        assert_eq!(environment.grants[0].effects, [EffectItem::Read, EffectItem::Change]);
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let unknown = parse(&GOOD.replace("capability:", "capabilty:")).unwrap_err();
        assert!(unknown.message.starts_with("9:"), "{unknown}");
        assert!(unknown.message.contains("capabilty"), "{unknown}");
        let twice = parse(&format!("{GOOD}default: other\n")).unwrap_err();
        assert!(twice.message.contains("default"), "{twice}");
        let both = parse(&GOOD.replace("targets: [orders]", "targets: [orders], all: true")).unwrap_err();
        assert!(both.message.contains("either `targets"), "{both}");
        let neither = parse(&GOOD.replace(", targets: [orders]", "")).unwrap_err();
        assert!(neither.message.contains("either `targets"), "{neither}");
        let environment = parse(&GOOD.replace("default: production", "default: prodution")).unwrap_err();
        assert!(environment.message.contains("prodution"), "{environment}");
    }

    #[test]
    fn a_journal_is_a_path_or_a_whole_block() {
        let journal = |entry: &str| {
            let config = parse(&format!("environments:\n  local:\n    journal: {entry}\n"))?;
            Ok::<_, super::Error>(config.environments["local"].journal.clone())
        };
        let path = journal("/var/lib/starr/journal.db").unwrap();
        assert_eq!(
            (path.path().unwrap().to_str(), path.checkpoint_every),
            (Some("/var/lib/starr/journal.db"), 100)
        );
        let key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let whole = journal(
            "\n      signing_key: /etc/starr/key\n      checkpoint_every: 20\n      anchors_before_change: 1\n      anchors:\n        \
             - stdout\n        - file: /mnt/anchors\n        - git: { repository: /srv/audit }\n        - https: https://sink.example/starr",
        )
        .unwrap();
        assert_eq!(
            (whole.path(), whole.anchors.len(), whole.anchors_before_change),
            (None, 4, 1)
        );
        assert!(journal("{ signing_key: { keyring: starr-journal } }").is_ok());
        for (entry, words) in [
            ("{ checkpoint_every: 0 }".to_owned(), "covers at least one entry"),
            ("{ anchors_before_change: 1 }".to_owned(), "and 0 anchors are named"),
            (
                "{ anchors: [{ https: http://sink.example }] }".to_owned(),
                "without TLS",
            ),
            (
                format!("{{ anchors: [{{ witness: {{ key: {key}, url: https://w.example }} }}] }}"),
                "cosignature key",
            ),
            ("{ singing_key: /etc/key }".to_owned(), "unknown field `singing_key`"),
        ] {
            let problem = journal(&entry).unwrap_err();
            assert!(problem.message.contains(words), "{entry}: {problem}");
        }
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn a_database_that_cannot_be_used_is_named() {
        let with = |entry: &str| {
            parse(&format!(
                "environments:\n  local:\n    postgres: {{ databases: {{ orders: {entry} }} }}\n"
            ))
        };
        let good = with("{ host: db.example.org, database: orders, read: { user: r } }").unwrap();
        assert!(good.environments["local"].postgres.databases.contains_key("orders"));
        let bad = with("{ database: orders, read: { user: r } }").unwrap_err();
        assert!(bad.message.contains("`orders`: neither `host` nor `socket`"), "{bad}");
        let key = with("{ host: h, database: orders, read: { user: r }, pasword: x }").unwrap_err();
        assert!(
            key.message.starts_with("3:") && key.message.contains("pasword"),
            "{key}"
        );
    }

    #[test]
    fn aliases_are_refused_quickly() {
        let mut bomb = String::from("a: &a [x, x]\n");
        for (from, to) in ["a", "b", "c", "d", "e", "f", "g", "h"]
            .iter()
            .zip(["b", "c", "d", "e", "f", "g", "h", "i"])
        {
            bomb.push_str(&format!(
                "{to}: &{to} [*{from}, *{from}, *{from}, *{from}, *{from}, *{from}, *{from}, *{from}, *{from}]\n"
            ));
        }
        let begin = std::time::Instant::now();
        assert!(parse(&bomb).is_err());
        assert!(begin.elapsed() < std::time::Duration::from_millis(500));
    }

    #[test]
    fn the_embedded_default_is_valid() {
        let config = super::embedded();
        config.environments["local"].validate().unwrap();
    }
}
