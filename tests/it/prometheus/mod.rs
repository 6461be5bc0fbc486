//! The providers `prometheus` and `alertmanager` against real servers, with data backfilled by `promtool`.

mod alerts;
mod incident;
mod reads;

use crate::support::daemon::{Daemon, file, folder, free_port, program};
use crate::support::gated::Gated;
use crate::support::postgres::lowered;
use starr::providers::alertmanager::Alertmanager;
use starr::providers::prometheus::Prometheus;
use starr::value::Value;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;

/// A status and a body over plain HTTP, for what a test does to a server.
pub fn http(port: u16, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let status = reply.split(' ').nth(1).unwrap().parse().unwrap();
    (status, reply)
}

fn wait_until_ready(daemon: &Daemon, port: u16) {
    daemon.wait_for_port(port);
    daemon.wait_until("it is not ready", || http(port, "GET", "/-/ready", "").0 == 200);
}

/// A server of metrics with an hour of data behind it.
pub struct Metrics {
    pub port: u16,
    _daemon: Daemon,
}

/// An hour of samples, 15 s apart, the last one a little in the future.
fn history() -> String {
    let now = jiff::Timestamp::now().as_second();
    let times: Vec<i64> = (0..=244).map(|index| now - 3600 + index * 15).collect();
    let mut text = String::new();
    let mut metric = |name: &str, kind: &str, lines: &mut dyn FnMut(&mut String, i64, i64)| {
        writeln!(text, "# TYPE {name} {kind}").unwrap();
        for (index, time) in times.iter().enumerate() {
            lines(&mut text, i64::try_from(index).unwrap(), *time);
        }
    };
    metric("pool_used_ratio", "gauge", &mut |text, index, time| {
        // Full for the last half hour.
        let used = if index > 120 { 0.97 } else { 0.41 };
        writeln!(text, "pool_used_ratio{{service=\"shop\"}} {used} {time}").unwrap();
        writeln!(text, "pool_used_ratio{{service=\"quiet \\\"one\\\"\"}} 0.1 {time}").unwrap();
    });
    metric("gappy", "gauge", &mut |text, _, time| {
        // Nobody sent it between 25 and 10 min ago.
        if !(now - 1500..now - 600).contains(&time) {
            writeln!(text, "gappy 1 {time}").unwrap();
        }
    });
    metric("request_seconds", "histogram", &mut |text, index, time| {
        for (bound, count) in [("0.1", 50), ("0.5", 90), ("1", 100), ("+Inf", 100)] {
            writeln!(
                text,
                "request_seconds_bucket{{le=\"{bound}\"}} {} {time}",
                count * index
            )
            .unwrap();
        }
        writeln!(text, "request_seconds_count {} {time}", 100 * index).unwrap();
        writeln!(text, "request_seconds_sum {} {time}", 20 * index).unwrap();
    });
    metric("idle_seconds", "histogram", &mut |text, _, time| {
        for bound in ["0.1", "+Inf"] {
            writeln!(text, "idle_seconds_bucket{{le=\"{bound}\"}} 0 {time}").unwrap();
        }
        writeln!(text, "idle_seconds_count 0 {time}").unwrap();
        writeln!(text, "idle_seconds_sum 0 {time}").unwrap();
    });
    text.push_str("# EOF\n");
    text
}

impl Metrics {
    pub fn start() -> Self {
        Self::of(&history())
    }

    /// With this data behind it, as the exposition format of OpenMetrics has it.
    pub fn of(history: &str) -> Self {
        let port = free_port();
        let folder = folder("prometheus");
        let rules = "groups:
  - name: shop
    rules:
      - alert: PoolFull
        expr: pool_used_ratio > 0.9
        labels: { severity: page }
        annotations: { summary: the pool is full }
      - alert: Quiet
        expr: pool_used_ratio > 7
      - alert: Broken
        expr: pool_used_ratio * on() pool_used_ratio
      - record: pool:max
        expr: max(pool_used_ratio)
";
        let config = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}
rule_files: [rules.yml]
scrape_configs:
  - job_name: itself
    static_configs: [{{ targets: ['127.0.0.1:{port}'] }}]
  - job_name: dead
    static_configs: [{{ targets: ['127.0.0.1:1'] }}]
"
        );
        file(&folder, "rules.yml", rules);
        let config = file(&folder, "prometheus.yml", &config);
        let history = file(&folder, "history.txt", history);
        let made = lowered(&program("promtool"))
            .args(["tsdb", "create-blocks-from", "openmetrics", "--quiet"])
            .arg(&history)
            .arg(folder.join("data"))
            .current_dir(&folder)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let words = [
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", folder.join("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--log.level=error".to_owned(),
        ];
        let daemon = Daemon::start("prometheus", folder, &words);
        wait_until_ready(&daemon, port);
        Self { port, _daemon: daemon }
    }

    /// The server as `prometheus`, behind a gate.
    pub fn world(&self) -> Gated {
        metrics_at(self.port)
    }
}

/// Whatever is at the port, as `prometheus`.
pub fn metrics_at(port: u16) -> Gated {
    let config = format!("servers: {{ prometheus: {{ url: 'http://127.0.0.1:{port}' }} }}");
    let provider = Prometheus::new(&serde_yaml::from_str(&config).unwrap()).unwrap();
    Gated::new(Arc::new(provider), Vec::new())
}

/// A server of alerts.
pub struct Alerts {
    pub port: u16,
    _daemon: Daemon,
}

impl Alerts {
    pub fn start() -> Self {
        let port = free_port();
        let folder = folder("alertmanager");
        let config = file(
            &folder,
            "a.yml",
            "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n",
        );
        let words = [
            format!("--config.file={}", config.display()),
            format!("--storage.path={}", folder.join("data").display()),
            format!("--web.listen-address=127.0.0.1:{port}"),
            "--cluster.listen-address=".to_owned(),
            "--log.level=error".to_owned(),
        ];
        let daemon = Daemon::start("prometheus-alertmanager", folder, &words);
        wait_until_ready(&daemon, port);
        Self { port, _daemon: daemon }
    }

    /// The server as `alertmanager`, behind a gate.
    pub fn world(&self) -> Gated {
        alerts_at(self.port)
    }

    /// Lets an alert sound.
    pub fn sound(&self, name: &str, service: &str) {
        let body = format!(
            r#"[{{"labels": {{"alertname": "{name}", "service": "{service}"}}, "annotations": {{"summary": "s"}}}}]"#
        );
        let (status, reply) = http(self.port, "POST", "/api/v2/alerts", &body);
        assert_eq!(status, 200, "{reply}");
    }
}

/// Whatever is at the port, as `alertmanager`.
pub fn alerts_at(port: u16) -> Gated {
    let config = format!("servers: {{ alertmanager: {{ url: 'http://127.0.0.1:{port}' }} }}");
    let provider = Alertmanager::new(&serde_yaml::from_str(&config).unwrap()).unwrap();
    Gated::new(Arc::new(provider), Vec::new())
}

/// A code literal.
pub fn promql(text: &str) -> Value {
    Value::Code {
        language: Some(starr::value::CodeLanguage::Promql),
        text: text.into(),
    }
}

/// A record as a document.
pub fn document(json: serde_json::Value) -> Value {
    Value::Json(Arc::new(json))
}

/// A server of the test that answers everything with this status and body.
pub async fn fake(status: u16, body: &'static str) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 16384];
                while let Ok(1..) = stream.read(&mut buffer).await {
                    let reply = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                    if status == 0 || stream.write_all(reply.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}
