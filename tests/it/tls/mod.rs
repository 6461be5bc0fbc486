//! The provider `tls` against real servers (nginx, OpenSSL) with certificates of the tests.

mod anew;
mod hostile;
mod incident;
mod mutual;
mod renewed;
mod servers;

use crate::support::daemon::{Daemon, file, folder, free_port};
use crate::support::gated::Gated;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use starr::providers::tls::Tls;
use starr::value::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Who signs.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

pub fn authority(name: &str) -> Authority {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Authority {
        pem: params.self_signed(&key).unwrap().pem(),
        issuer: Issuer::new(params, key),
    }
}

/// Certificate and key, in PEM.
pub struct Made {
    pub certificate: String,
    pub key: String,
}

/// A certificate that holds from one day to another, counted from today.
pub fn made(authority: &Authority, subject: &str, names: &[&str], days: (i64, i64)) -> Made {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, subject);
    let date = |days: i64| {
        let at = jiff::Zoned::now().date() + jiff::Span::new().days(days);
        rcgen::date_time_ymd(at.year().into(), at.month().unsigned_abs(), at.day().unsigned_abs())
    };
    params.not_before = date(days.0);
    params.not_after = date(days.1);
    let key = KeyPair::generate().unwrap();
    Made {
        certificate: params.signed_by(&key, &authority.issuer).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

/// A certificate and its key as files that the server's user can read.
pub fn files(folder: &Path, name: &str, made: &Made) -> (PathBuf, PathBuf) {
    (
        file(folder, &format!("{name}.crt"), &made.certificate),
        file(folder, &format!("{name}.key"), &made.key),
    )
}

/// nginx with a server for each block: what stands in it beside `listen`.
pub struct Nginx {
    pub ports: Vec<u16>,
    pub daemon: Daemon,
}

impl Nginx {
    pub fn start(folder: PathBuf, blocks: &[String]) -> Self {
        let ports: Vec<u16> = blocks.iter().map(|_| free_port()).collect();
        let servers: String = ports
            .iter()
            .zip(blocks)
            .map(|(port, block)| {
                format!("  server {{ listen 127.0.0.1:{port} ssl; {block} location / {{ return 200 well; }} }}\n")
            })
            .collect();
        let rooms: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|room| format!("  {room}_temp_path {}/{room};\n", folder.display()))
            .concat();
        let config = format!(
            "daemon off;\nmaster_process off;\npid {}/pid;\nevents {{}}\nhttp {{\n  access_log off;\n{rooms}{servers}}}\n",
            folder.display()
        );
        let config = file(&folder, "nginx.conf", &config);
        let words = ["-e", "stderr", "-p", &folder.display().to_string(), "-c"].map(str::to_owned);
        let mut words = words.to_vec();
        words.push(config.display().to_string());
        let daemon = Daemon::start("nginx", folder, &words);
        for port in &ports {
            daemon.wait_for_port(*port);
        }
        Self { ports, daemon }
    }
}

/// `tls:` of an environment, behind a gate.
pub fn world(config: &str) -> Gated {
    Gated::new(Arc::new(tls(config)), vec![])
}

pub fn tls(config: &str) -> Tls {
    Tls::new(&serde_yaml::from_str(config).unwrap()).unwrap()
}

pub fn server(name: &str) -> (&'static str, Value) {
    (
        "server",
        Value::Resource {
            kind: "TlsServer".into(),
            name: name.into(),
        },
    )
}

pub fn kept(name: &str) -> (&'static str, Value) {
    (
        "file",
        Value::Resource {
            kind: "CertificateFile".into(),
            name: name.into(),
        },
    )
}

/// How long a list is, and its first record.
pub fn first(list: &Value) -> (usize, Value) {
    let list = list.as_list().unwrap_or_else(|| panic!("no list: {list:?}"));
    (list.items.len(), list.items[0].clone())
}

/// The server's own folder.
pub fn room() -> PathBuf {
    folder("tls")
}
