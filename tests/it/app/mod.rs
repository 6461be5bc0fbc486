//! The provider `app` against a real service, and through programs.

mod incident;
mod service;

use crate::support::gated::Gated;
use starr::providers::app::App;
use starr::providers::app::config::Config;
use starr::value::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;

/// The service of the tests.
pub struct Shop {
    child: Child,
    pub port: u16,
    /// Closing it ends the service.
    _life: ChildStdin,
}

impl Shop {
    pub fn start(words: &[&str]) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers/shop");
        let mut child = Command::new("/usr/bin/python3")
            .arg(script)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let life = child.stdin.take().unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut first)
            .unwrap();
        Self {
            child,
            port: first.trim().parse().expect("the service says its port"),
            _life: life,
        }
    }

    /// `app:` of an environment, indented by so many blanks.
    pub fn config(&self, more: &str) -> String {
        CONFIG
            .replace("BREAKER", BREAKER)
            .replace("QUEUE", QUEUE)
            .replace("PORT", &self.port.to_string())
            .replace("MORE", more)
    }

    pub fn world(&self) -> Gated {
        world(&self.config(""))
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a configuration as the environment's file is read: `n` and `on` are names.
pub fn read(config: &str) -> Config {
    let mut options = serde_yaml::Options::default();
    options.strict_booleans = true;
    serde_yaml::from_str_with_options(config, options).unwrap()
}

/// A configuration behind a gate, with `on: shop`.
pub fn world(config: &str) -> Gated {
    Gated::new(
        Arc::new(App::new(&read(config), &Default::default()).unwrap()),
        vec![("on", shop())],
    )
}

pub fn shop() -> Value {
    Value::Resource {
        kind: "App".into(),
        name: "shop".into(),
    }
}

/// What the calls are at this service: its own names, words and units.
const CONFIG: &str = "services:
  shop:
    endpoint: { url: 'http://127.0.0.1:PORT'MORE }
    calls:
      ready:      { get: /health }
      components:
        { get: /health/detailed, at: /checks, fields: { healthy: { from: status, words: { Healthy: true, Unhealthy: false } }, detail: error } }
      breakers.list:  { get: /breakers, at: /breakers, names: name, fields: BREAKER }
      breakers.get:   { get: '/breakers/{name}', fields: BREAKER }
      breakers.reset: { post: '/breakers/{name}/reset', send: {}, fields: BREAKER }
      breakers.configure:
        post: '/breakers/{name}'
        send: { failure_threshold: threshold, recovery_timeout: { of: recovery, unit: s } }
        fields: BREAKER
      queues.list:   { get: /queues, at: /queues, fields: QUEUE }
      queues.get:    { get: '/queues/{name}', fields: QUEUE }
      queues.scale:  { post: '/queues/{name}/workers', send: { count: workers }, fields: QUEUE }
      queues.resize: { post: '/queues/{name}/size', send: { size: most }, fields: QUEUE }
      queues.press:  { put: '/queues/{name}/pressure', send: { on: pressure }, fields: QUEUE }
      pool.get:      { get: /pool, fields: { least: min_size, most: max_size } }
      pool.resize:   { post: /pool, send: { min_size: least, max_size: most } }
      memory:        { get: /memory, fields: { resident: { from: rss_mib, unit: Mi }, heap: { from: heap_mib, unit: Mi } } }
      threads:       { get: /threads, fields: { free: available_workers, free_io: available_io } }
      limits:
        get: /limits
        fields:
          requests_left: headers.x-ratelimit-remaining-requests
          tokens_left: headers.x-ratelimit-remaining-tokens
          resets_in: { from: reset_seconds, unit: s }
      workflow:
        get: '/workflows/{id}'
        fields: { state: { from: status, words: { Failed: failed } }, steps: totalSteps, failed_steps: failedSteps }
      errors:        { get: /errors, send: { minutes: { of: over, unit: min } }, fields: { name: type, count: n } }
      fallbacks.get: { get: '/fallbacks/{name}', fields: { ttl: { from: ttl_seconds, unit: s } } }
      fallbacks.set:
        put: '/fallbacks/{name}'
        send: { active: active, strategy: strategy, ttl_seconds: { of: ttl, unit: s } }
        fields: { ttl: { from: ttl_seconds, unit: s } }
      log.get:       { get: '/levels/{logger}' }
      log.set:       { put: '/levels/{logger}' }
      maintenance.get: { get: /maintenance, fields: { active: enabled } }
      maintenance.set: { put: /maintenance, send: { enabled: active, message: message }, fields: { active: enabled } }
      cache.get:     { get: /ttls, send: { pattern: pattern }, fields: { ttl: { unit: s } } }
      cache.keep:    { put: /ttls, send: { pattern: pattern, seconds: { of: ttl, unit: s } } }
      cache.warm:    { post: /warm }
      timeouts.get:  { get: '/timeouts/{service}', fields: { timeout: { from: seconds, unit: s } } }
      timeouts.set:
        put: '/timeouts/{service}'
        send: { seconds: { of: timeout, unit: s } }
        fields: { timeout: { from: seconds, unit: s } }
      heap:          { get: /heap, at: /types, fields: { name: type, objects: count, size: bytes } }
      profile:
        get: /profile
        send: { seconds: { of: over, unit: s } }
        fields: { function: name, cumulative: { from: ms, unit: ms } }
      collector:
        get: /collections
        send: { seconds: { of: over, unit: s } }
        fields: { generation_0: young, generation_1: middle, generation_2: old }
      latency:       { get: /nowhere }
";

const BREAKER: &str = "{ state: { words: { CLOSED: closed, OPEN: open, HALF_OPEN: half_open } }, failures: failure_count, error_rate: { unit: '%' }, \
    retry_in: { from: time_until_retry, unit: s }, threshold: failure_threshold, recovery: { from: recovery_timeout, unit: s }, \
    half_open: half_open_max_calls }";

const QUEUE: &str = "{ size: queue_size, most: max_size, used: { from: utilization_percent, unit: '%' }, active: active_workers, workers: max_workers, \
    pressure: pressing }";
