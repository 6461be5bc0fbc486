//! A service that fails: what is sent again, what is not, and what it is called.

use super::{World, text, texts};
use crate::support::daemon::secret;
use starr::provider::Outcome;
use starr::value::{Reason, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A server that answers the n-th request with what `answer` says of its body, and counts.
async fn server(answer: impl Fn(usize, &str) -> String + Send + Sync + 'static) -> (String, Arc<AtomicUsize>) {
    server_of(move |number, _, body| Some(answer(number, body))).await
}

/// The same, which sees the head of the request too; where it says nothing the request waits for ever.
pub(super) async fn server_of(
    answer: impl Fn(usize, &str, &str) -> Option<String> + Send + Sync + 'static,
) -> (String, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let (counted, answer) = (count.clone(), Arc::new(answer));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (counted, answer) = (counted.clone(), answer.clone());
            tokio::spawn(async move {
                loop {
                    let mut request = Vec::new();
                    let mut buffer = [0; 8192];
                    let (head, body) = loop {
                        let Ok(length) = stream.read(&mut buffer).await else {
                            return;
                        };
                        if length == 0 {
                            return;
                        }
                        request.extend_from_slice(&buffer[..length]);
                        let seen = String::from_utf8_lossy(&request).into_owned();
                        let Some((head, body)) = seen.split_once("\r\n\r\n") else {
                            continue;
                        };
                        let wanted = head.lines().find_map(|line| {
                            let (name, value) = line.split_once(':')?;
                            name.eq_ignore_ascii_case("content-length")
                                .then(|| value.trim().parse::<usize>().ok())?
                        });
                        if body.len() >= wanted.unwrap_or(0) {
                            break (head.to_owned(), body.to_owned());
                        }
                    };
                    let number = counted.fetch_add(1, Ordering::SeqCst) + 1;
                    let Some(said) = answer(number, &head, &body) else {
                        return std::future::pending().await;
                    };
                    if stream.write_all(said.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (url, count)
}

pub(super) fn reply(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

pub(super) fn world(url: &str) -> World {
    let folder = tempfile::tempdir().unwrap();
    let id = secret(folder.path(), "id", "AKIAEXAMPLE");
    let key = secret(folder.path(), "key", "canary-51d0aa");
    let entry = format!(
        "{{ region: eu-west-1, endpoint: \"{url}\", credentials: {{ keys: {{ id: {{ file: {} }}, secret: {{ file: {} }} }} }} }}",
        id.display(),
        key.display()
    );
    World::new(&entry, folder)
}

#[tokio::test]
async fn a_look_is_repeated_and_a_change_is_not() {
    let throttled = r#"{"__type": "ThrottlingException", "message": "slow down"}"#;
    let (url, count) = server(move |number, _| match number {
        1 | 2 => reply(500, "retry-after: 0\r\n", r#"{"__type": "ServerException"}"#),
        _ => reply(200, "", r#"{"clusterArns": ["one"]}"#),
    })
    .await;
    let found = world(&url).json("ecs.list_clusters", &[]).await;
    assert_eq!(found["clusterArns"][0], "one");
    assert_eq!(count.load(Ordering::SeqCst), 3);

    let (url, count) = server(move |_, _| reply(400, "", throttled)).await;
    let value = world(&url).read("ecs.list_clusters", &[]).await;
    // Who is asked too much is left to the patience that all providers share.
    let unknown = value.as_unknown().unwrap();
    assert!(
        unknown.reason == Reason::Throttled && unknown.detail.contains("slow down"),
        "{unknown}"
    );
    assert_eq!(count.load(Ordering::SeqCst), 1);
    let (url, count) = server(move |_, _| reply(500, "", r#"{"__type": "ServerException"}"#)).await;
    let value = world(&url).read("ecs.list_clusters", &[]).await;
    let unknown = value.as_unknown().unwrap();
    assert!(
        unknown.reason == Reason::Unavailable && unknown.detail.contains("4 attempts"),
        "{unknown}"
    );
    assert_eq!(count.load(Ordering::SeqCst), 4);

    // A change without a key is sent once, whatever comes of it; what a server fails at is unclear.
    let (url, count) = server(move |_, _| reply(500, "", r#"{"__type": "ServerException"}"#)).await;
    let args = [("service", text("web")), ("desiredCount", Value::Int(1))];
    let outcome = world(&url).change("ecs.update_service", &args).await;
    assert!(matches!(outcome, Outcome::Unclear(_)), "{outcome:?}");
    assert_eq!(count.load(Ordering::SeqCst), 1);

    // One with a key carries the same key each time.
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = seen.clone();
    let (url, _) = server(move |number, body| {
        kept.lock().unwrap().push(body.to_owned());
        if number == 1 {
            reply(500, "", r#"{"__type": "ServerException"}"#)
        } else {
            reply(200, "", r#"{"tasks": []}"#)
        }
    })
    .await;
    let outcome = world(&url)
        .change("ecs.run_task", &[("taskDefinition", text("web"))])
        .await;
    assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
    let seen = seen.lock().unwrap().clone();
    assert!(
        seen.len() == 2 && seen[0] == seen[1] && seen[0].contains("clientToken"),
        "{seen:?}"
    );
}

#[tokio::test]
async fn an_answer_without_end_is_unknown() {
    let (url, count) = server(|number, _| {
        reply(
            200,
            "",
            &format!(r#"{{"clusterArns": ["a"], "nextToken": "{number}"}}"#),
        )
    })
    .await;
    let value = world(&url).read("ecs.list_clusters", &[]).await;
    assert_eq!(value.as_unknown().unwrap().reason, Reason::Truncated, "{value:?}");
    assert_eq!(count.load(Ordering::SeqCst), 100);
    // A service that names the same page again is not followed.
    let (url, count) = server(|_, _| reply(200, "", r#"{"clusterArns": ["a"], "nextToken": "same"}"#)).await;
    let value = world(&url).read("ecs.list_clusters", &[]).await;
    assert_eq!(value.as_unknown().unwrap().reason, Reason::Unparsable, "{value:?}");
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn pages_are_followed_and_put_together() {
    let (url, count) = server(|number, body| {
        let follows = body.contains(&format!("\"nextToken\":\"{}\"", number - 1));
        assert!(number == 1 || follows, "{body}");
        if number < 3 {
            reply(
                200,
                "",
                &format!(r#"{{"clusterArns": ["{number}"], "nextToken": "{number}"}}"#),
            )
        } else {
            reply(200, "", r#"{"clusterArns": ["3"]}"#)
        }
    })
    .await;
    let found = world(&url).json("ecs.list_clusters", &[]).await;
    assert_eq!(found, serde_json::json!({"clusterArns": ["1", "2", "3"]}));
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn what_is_said_about_a_refusal_is_cut() {
    let long = "x".repeat(5000);
    let (url, _) = server(move |_, _| {
        reply(
            400,
            "",
            &format!(r#"{{"__type": "ValidationException", "message": "bad \u001b[2J{long}"}}"#),
        )
    })
    .await;
    let value = world(&url).read("ecs.list_clusters", &[]).await;
    let detail = value.as_unknown().unwrap().detail.clone();
    assert!(
        detail.starts_with("ValidationException: bad") && detail.chars().count() < 400,
        "{detail}"
    );
    assert!(!detail.contains('\u{1b}'));
}

#[tokio::test]
async fn no_secret_is_in_a_refusal_and_a_wrong_argument_is_never_sent() {
    let (url, count) = server(|_, _| {
        reply(
            403,
            "",
            r#"{"__type": "InvalidSignatureException", "message": "The String-to-Sign was canary-51d0aa"}"#,
        )
    })
    .await;
    let world = world(&url);
    let value = world.read("ecs.list_clusters", &[]).await;
    assert!(!format!("{value:?}").contains("canary"), "{value:?}");
    let sent = count.load(Ordering::SeqCst);
    let wrong = [
        ("cluster", text("a")),
        ("services", texts(&[])),
        ("include", super::json(serde_json::json!("TAGS"))),
    ];
    let value = world.read("ecs.describe_services", &wrong).await;
    assert_eq!(value.as_unknown().unwrap().reason, Reason::Unparsable, "{value:?}");
    assert_eq!(count.load(Ordering::SeqCst), sent);
}

#[tokio::test]
async fn where_the_next_page_begins_is_sent_back_although_it_is_never_shown() {
    let (url, _) = server(|_, body| match body.contains(r#""NextToken":"second-page""#) {
        false => reply(
            200,
            "",
            r#"{"DirectoryId": "d", "Users": [{"SID": "a"}], "NextToken": "second-page"}"#,
        ),
        true => reply(200, "", r#"{"DirectoryId": "d", "Users": [{"SID": "b"}]}"#),
    })
    .await;
    let asked = [
        ("DirectoryId", text("d-1234567890")),
        ("SearchString", text("a")),
        ("SearchAttributes", texts(&["GivenName"])),
    ];
    let found = world(&url).json("ds_data.search_users", &asked).await;
    assert_eq!(found["Users"].as_array().map(Vec::len), Some(2), "{found}");
    // Who says how large a page is learns that there are more, and not where they are.
    let one = [&asked[..], &[("MaxResults", Value::Int(1))]].concat();
    let page = world(&url).json("ds_data.search_users", &one).await;
    assert_eq!(page["NextToken"], "(secret)", "{page}");
}

/// A service of logs whose n-th look at a query gives this status, or nothing at all; and what was asked of it.
async fn logs(
    status: impl Fn(usize) -> Option<&'static str> + Send + Sync + 'static,
) -> (World, Arc<std::sync::Mutex<Vec<String>>>) {
    let asked: Arc<std::sync::Mutex<Vec<String>>> = Arc::default();
    let kept = asked.clone();
    let (url, _) = server_of(move |_, head, body| {
        let target = head.lines().find_map(|line| {
            let line = line.to_ascii_lowercase();
            Some(
                line.strip_prefix("x-amz-target:")?
                    .trim()
                    .rsplit('.')
                    .next()?
                    .to_owned(),
            )
        });
        let target = target.expect("the protocol names its operation in a header");
        kept.lock().unwrap().push(target.clone());
        assert!(target == "startquery" || body.contains("q-1"), "{target}: {body}");
        let looks = kept
            .lock()
            .unwrap()
            .iter()
            .filter(|name| *name == "getqueryresults")
            .count();
        Some(match target.as_str() {
            "startquery" => {
                assert!(body.contains(r#""logGroupNames":["/ecs/web","/ecs/api"]"#), "{body}");
                reply(200, "", r#"{"queryId": "q-1"}"#)
            }
            "getqueryresults" => {
                let rows = r#"[[{"field": "errors", "value": "7"}]]"#;
                let body = format!(r#"{{"status": "{}", "results": {rows}}}"#, status(looks)?);
                reply(200, "", &body)
            }
            "stopquery" => reply(200, "", r#"{"success": true}"#),
            other => panic!("{other} was asked"),
        })
    })
    .await;
    (world(&url), asked)
}

async fn ended(world: &World, within: std::time::Duration) -> Value {
    let query = [
        ("groups", texts(&["/ecs/web", "/ecs/api"])),
        ("query", text("stats count(*) as errors")),
    ];
    world.read_within("logs.query", &query, within).await
}

fn count(asked: &std::sync::Mutex<Vec<String>>, name: &str) -> usize {
    asked.lock().unwrap().iter().filter(|asked| *asked == name).count()
}

#[tokio::test]
async fn a_query_that_does_not_end_is_looked_at_again_and_ended() {
    // Within two seconds there is time for several looks.
    let (world, asked) = logs(|_| Some("Running")).await;
    let value = ended(&world, std::time::Duration::from_secs(2)).await;
    let unknown = value.as_unknown().unwrap();
    assert!(
        unknown.reason == Reason::Timeout && unknown.detail.contains("it was ended"),
        "{unknown}"
    );
    assert!(count(&asked, "getqueryresults") >= 3, "{asked:?}");
    assert_eq!((count(&asked, "startquery"), count(&asked, "stopquery")), (1, 1));

    let (world, asked) = logs(|look| Some(if look < 3 { "Scheduled" } else { "Complete" })).await;
    let value = ended(&world, std::time::Duration::from_secs(2)).await;
    let Value::Json(rows) = value else { panic!("{value:?}") };
    assert_eq!(rows[0]["errors"], "7");
    assert_eq!(count(&asked, "stopquery"), 0);
}

#[tokio::test]
async fn a_look_at_a_query_that_does_not_come_back_leaves_time_to_end_it() {
    let (world, asked) = logs(|_| None).await;
    let value = ended(&world, std::time::Duration::from_secs(2)).await;
    assert_eq!(value.as_unknown().unwrap().reason, Reason::Timeout, "{value:?}");
    assert_eq!(count(&asked, "stopquery"), 1, "{asked:?}");
}

#[tokio::test]
async fn a_query_that_failed_gives_no_rows() {
    for status in ["Failed", "Cancelled", "Timeout"] {
        let (world, asked) = logs(move |_| Some(status)).await;
        let value = ended(&world, std::time::Duration::from_secs(10)).await;
        let unknown = value.as_unknown().unwrap_or_else(|| panic!("{status}: {value:?}"));
        assert!(unknown.detail.contains(&format!("ended as `{status}`")), "{unknown}");
        assert_eq!(count(&asked, "getqueryresults"), 1);
        assert_eq!(count(&asked, "stopquery"), 0, "it has ended by itself");
    }
}
