//! Runbooks of *Sergas* repair what is broken, and leave it where somebody says no.

use super::{Setting, book, workload};
use crate::app::{Shop, shop};
use crate::kubernetes::server::Server as Cluster;
use crate::kubernetes::world::World;
use crate::people::Server;
use crate::prometheus::Metrics;
use crate::redis::Server as Cache;
use crate::support::daemon::free_port;
use crate::support::desk::{Desk, OTHER, on_a_thread};
use crate::support::gated::field;
use crate::support::postgres::{Server as Database, run};
use crate::support::terminal::{Terminal, attended};
use redis::Commands;
use serde_json::json;
use starr::value::Value;
use std::fmt::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const SERVICE: &str = "/apis/apps/v1/namespaces/production/deployments/api-server";

/// A cluster with the service, which was killed for lack of memory where `killed` says so.
async fn cluster(killed: bool) -> Cluster {
    let mut world = World::new();
    world.put(SERVICE, workload("Deployment", "production", "api-server"));
    let redis = "/apis/apps/v1/namespaces/production/statefulsets/redis";
    world.put(redis, workload("StatefulSet", "production", "redis"));
    world.release(SERVICE, "api-server:1");
    if killed {
        let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        for (_, pod) in world
            .objects
            .iter_mut()
            .filter(|(path, _)| path.contains("/pods/api-server-"))
        {
            let status = &mut pod["status"]["containerStatuses"][0];
            status["restartCount"] = 3.into();
            status["lastState"] = json!({"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": now}});
        }
    }
    Cluster::start(world).await
}

/// What the service says of itself: 300 MB of memory, and a request a second that takes no time and ends well.
fn metrics() -> Metrics {
    let now = jiff::Timestamp::now().as_second();
    let times: Vec<(i64, i64)> = (0..=244).map(|index| (15 * index, now - 3600 + 15 * index)).collect();
    let mut text = "# TYPE container_memory_working_set_bytes gauge\n".to_owned();
    let (pod, app) = (
        "namespace=\"production\",pod=\"api-server-h1-0\",container=\"api-server\"",
        "namespace=\"production\",service=\"api-server\"",
    );
    for (_, time) in &times {
        writeln!(text, "container_memory_working_set_bytes{{{pod}}} 3e8 {time}").unwrap();
    }
    text.push_str("# TYPE http_requests counter\n");
    for (count, time) in &times {
        writeln!(text, "http_requests_total{{{app},status=\"200\"}} {count} {time}").unwrap();
    }
    text.push_str("# TYPE http_request_duration_seconds histogram\n");
    for (count, time) in &times {
        for bound in ["0.1", "1", "+Inf"] {
            writeln!(
                text,
                "http_request_duration_seconds_bucket{{{app},le=\"{bound}\"}} {count} {time}"
            )
            .unwrap();
        }
        writeln!(text, "http_request_duration_seconds_count{{{app}}} {count} {time}").unwrap();
        writeln!(text, "http_request_duration_seconds_sum{{{app}}} 0.0 {time}").unwrap();
    }
    text.push_str("# EOF\n");
    Metrics::of(&text)
}

/// `starr run` of a runbook with parameters and answers.
fn started(desk: &Desk, name: &str, set: &[&str], answers: &[&str]) -> Command {
    let file = book(name);
    let mut words = vec!["run", &file];
    words.extend(set.iter().flat_map(|one| ["--set", one]));
    words.extend(answers.iter().flat_map(|one| ["--answer", one]));
    desk.command(&words)
}

/// Replicas that were killed are replaced, after somebody has looked at one of them.
#[tokio::test(flavor = "multi_thread")]
async fn memory_leak_restarts_a_service_that_was_killed() {
    let (cluster, metrics) = (cluster(true).await, metrics());
    let setting = Setting::new()
        .cluster(&cluster)
        .metrics(&metrics)
        .may("kubernetes.rollout", "change");
    let desk = setting.desk();
    let answers = ["degraded=no", "cache_grows=yes", "listeners_grow=no"];
    let seen = attended(
        started(&desk, "sergas/memory-leak", &["steady_for=1s"], &answers),
        0,
        |person| {
            person.wait_for("Take a profile of one replica of api-server");
            person.wait_for("Approve?");
            person.answer("yes");
            person.wait_for("Type done or failed");
            person.answer("done");
            person.wait_for("A note for the record");
            person.answer("profile-1.bin is on the shelf");
            person.approve("Restart api-server, a few replicas at a time");
            // Nobody sends how many files are open.
            person.wait_for("Type retry, answer or cannot tell:");
            person.answer("answer");
            person.wait_for("descriptors? Type yes or no:");
            person.answer("no");
            person.wait_for("How do you know?");
            person.answer("lsof on one replica");
            person.wait_within("RESOLVED", Duration::from_secs(120));
            person.pass("Which release began to leak");
        },
    )
    .await;
    assert!(seen.contains("used_up"), "{seen}");
    assert_eq!(cluster.world().changes(), [format!("PATCH {SERVICE}")]);
    desk.reported(&[
        "profile-1.bin is on the shelf",
        "OOMKilled",
        "Reached: yes.",
        "Give the cache a limit",
    ]);
}

/// Statements that take long over a table without an index: it is built while others work.
#[tokio::test(flavor = "multi_thread")]
async fn slow_response_times_builds_the_index_that_is_missing() {
    let place = Database::shared().database().await;
    run(
        &mut place.admin().await,
        "create extension pg_stat_statements;
         create table users (id serial primary key, email text);
         insert into users (email) select 'u' || n from generate_series(1, 20000) n;
         analyze users;
         alter table users owner to app;
         grant app to starr_change",
    )
    .await;
    run(
        &mut place.admin().await,
        "select count(*), pg_sleep(0.7) from users where email = 'u7'",
    )
    .await;
    let (cluster, metrics, cache, service) = (cluster(false).await, metrics(), Cache::start(), Shop::start(&[]));
    let setting = Setting::new()
        .cluster(&cluster)
        .metrics(&metrics)
        .cache(&cache)
        .app(&service, &["sergas"])
        .database(&place, place.server.port, &["sergas"])
        .may("postgres.indexes", "change")
        .may("postgres.tables", "change");
    let desk = setting.desk();
    let set = ["steady_for=1s", "external=search", "answers=user:*"];
    // Both find the answers quick again: whoever says no leaves the tables as they are.
    for says in ["no", "yes"] {
        let seen = attended(
            started(&desk, "sergas/slow-response-times", &set, &["complaints=yes"]),
            0,
            move |person| {
                person.wait_within(
                    "Approval needed: Build the index idx_users_email on users",
                    Duration::from_secs(90),
                );
                if says == "no" {
                    person.refuse("the nightly import runs");
                } else {
                    person.wait_for("Approve?");
                    person.answer("yes");
                }
                person.wait_within("RESOLVED", Duration::from_secs(120));
                person.pass("What became slower first");
            },
        )
        .await;
        assert!(seen.contains("missing_index"), "{seen}");
        let valid =
            "select exists (select from pg_index where indexrelid = to_regclass('idx_users_email') and indisvalid)";
        let there: bool = sqlx::query_scalar(valid)
            .fetch_one(&mut place.admin().await)
            .await
            .unwrap();
        assert_eq!(there, says == "yes", "{seen}");
    }
    desk.reported(&["Build the index", "email", "Reached: yes."]);
}

/// The service ends for lack of memory: it may use more, and its health check answers again.
#[tokio::test(flavor = "multi_thread")]
async fn high_error_rates_raises_a_limit_that_is_too_low() {
    let place = Database::shared().database().await;
    run(
        &mut place.admin().await,
        "create table error_logs (message text, created_at timestamptz); grant select on error_logs to starr_read;
         insert into error_logs values ('out of memory', now())",
    )
    .await;
    let (cluster, metrics, service) = (cluster(true).await, metrics(), Shop::start(&[]));
    let limit = "/spec/template/spec/containers/0/resources/limits/memory";
    let seen = cluster.clone();
    let site = Server::new(move |asked| {
        assert_eq!(asked.path, "/health/ready");
        let small = seen.world().object(SERVICE).pointer(limit).unwrap() == "512Mi";
        Some((if small { 503 } else { 200 }, json!({})))
    });
    let setting = Setting::new()
        .cluster(&cluster)
        .metrics(&metrics)
        .app(&service, &["sergas"])
        .database(&place, place.server.port, &["sergas"])
        .endpoints(&[("sergas-api", &site.url())])
        .may("kubernetes.resources", "change");
    let desk = setting.desk();
    let set = ["steady_for=1s", "breaker=search"];
    let seen = attended(started(&desk, "sergas/high-error-rates", &set, &[]), 0, |person| {
        person.wait_within(
            "Approval needed: Let api-server of api-server use 4 Gi",
            Duration::from_secs(90),
        );
        person.wait_for("Approve?");
        person.answer("yes");
        person.wait_within("RESOLVED", Duration::from_secs(120));
        person.pass("When is the post-mortem");
        person.pass("What changed before the errors began");
    })
    .await;
    assert!(seen.contains("memory"), "{seen}");
    assert_eq!(cluster.world().object(SERVICE).pointer(limit).unwrap(), "4Gi");
    desk.reported(&["OOMKilled", "Reached: yes."]);
}

/// A cache with two values of more than ten megabytes, and somebody who looks up what is there.
struct Full {
    cache: Cache,
    over: Arc<AtomicBool>,
}

impl Full {
    fn new() -> Self {
        let cache = Cache::start();
        cache.set("hot", "1");
        for name in ["large:1", "large:2"] {
            cache.set(name, &"x".repeat(12_000_000));
        }
        let mut admin = cache.admin();
        redis::cmd("CONFIG")
            .arg("SET")
            .arg("maxmemory")
            .arg("27mb")
            .exec(&mut admin)
            .unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let (mut client, ends) = (cache.admin(), over.clone());
        std::thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) && client.get::<_, String>("hot").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self { cache, over }
    }
}

impl Drop for Full {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cache_performance_deletes_large_copies_where_two_people_say_so() {
    let (full, cluster) = (Full::new(), cluster(false).await);
    let setting = Setting::new()
        .second(OTHER, "team_lead")
        .cluster(&cluster)
        .cache(&full.cache)
        .may("redis.keys", "change");
    let desk = setting.desk();
    for (says, code, left) in [("no", 1, 2), ("drop_large", 0, 0)] {
        let answers = ["complaints=no", "only_cache=yes"];
        let command = started(&desk, "sergas/cache-performance", &["steady_for=1s"], &answers);
        let other = desk.other(&["approve"]);
        let (seen, ended) = on_a_thread(move || {
            let mut first = Terminal::start(command);
            first.wait_within("redis.keys.largest costs something", Duration::from_secs(90));
            first.wait_for("Type yes or no:");
            first.answer("yes");
            // How long keys live is another walk, and not needed for this.
            first.wait_for("redis.keys.expiry costs something");
            first.wait_for("Type yes or no:");
            first.answer("no");
            first.wait_within(
                "Approval needed: Delete keys of 10 MB and more (2)",
                Duration::from_secs(90),
            );
            first.wait_for("Type `drop_large` to approve");
            first.answer("drop_large");
            first.wait_for("as team_lead");
            let mut lead = Terminal::start(other);
            lead.wait_for("Type `drop_large` to approve");
            lead.answer(says);
            if says == "no" {
                lead.wait_for("Why not?");
                lead.answer("they are asked for in a minute");
            }
            assert_eq!(lead.end(), 0, "{}", lead.seen);
            first.wait_within("What began to be asked for", Duration::from_secs(180));
            first.wait_for("may be empty");
            first.answer("");
            let code = first.end();
            (first.seen, code)
        })
        .await;
        assert_eq!(ended, code, "{seen}");
        let there: usize = full.cache.admin().exists(&["large:1", "large:2"]).unwrap();
        assert_eq!(there, left, "{seen}");
    }
    desk.reported(&["large_values", "large:1", OTHER, "Reached: yes."]);
}

/// A breaker that has not noticed that the service behind is well again, and one behind which nobody answers.
#[tokio::test(flavor = "multi_thread")]
async fn circuit_breaker_is_reset_where_the_service_behind_is_well_and_covered_where_it_is_not() {
    let cluster = cluster(false).await;
    let external = Server::new(|_| Some((200, json!({"status": "ok"}))));
    let dead = format!("http://127.0.0.1:{}", free_port());
    for (url, title, code, state) in [
        (&external.url(), "Reset the circuit breaker search", 0, "closed"),
        (&dead, "Let the fallback of search answer", 1, "open"),
    ] {
        let service = Shop::start(&["--open-breaker", "search"]);
        let setting = Setting::new()
            .cluster(&cluster)
            .app(&service, &["sergas"])
            .endpoints(&[("external-service", url)])
            .may("app", "change");
        let desk = setting.desk();
        let set = ["breaker=search", "watch_for=1s", "steady_for=1s", "behind=api-server"];
        let command = started(&desk, "sergas/circuit-breaker-stuck-open", &set, &["degraded=yes"]);
        let seen = attended(command, code, move |person| {
            person.approve(title);
            person.wait_within("What opened it", Duration::from_secs(120));
            person.wait_for("may be empty");
            person.answer("");
        })
        .await;
        let world = service.world();
        let breaker = world
            .read("breakers.get", &[("name", Value::text("search")), ("on", shop())])
            .await;
        assert_eq!(field(&breaker, "state"), Value::variant(state), "{seen}");
        desk.reported(&[title]);
    }
}
