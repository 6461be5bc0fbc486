//! The provider `github` against a server that answers as the REST interface does.

use super::{Asked, CANARY, Desk, Held, Server, held, hurried, page};
use crate::support::gated::{Gated, field, items, reason};
use serde_json::{Value as Json, json};
use starr::provider::Outcome;
use starr::providers::github::GitHub;
use starr::value::{Reason, Value};
use std::sync::{Arc, Mutex};

const KEY: &str = "<!-- starr:a-key-of-the-test -->";

/// What stands in a repository.
#[derive(Default)]
struct Kept {
    labels: Vec<Json>,
    issues: Vec<Json>,
    comments: Vec<Json>,
    /// Takes what is sent, and says nothing.
    silent: bool,
}

type Shared = Arc<Mutex<Kept>>;

fn label(name: &str) -> Json {
    json!({"id": 1, "name": name, "color": "f29513", "default": false})
}

fn issue(number: usize, body: &str) -> Json {
    json!({
        "number": number, "title": format!("Issue {number}"), "body": body, "state": "open", "labels": [label("bug")],
        "created_at": "2026-11-20T03:00:00Z", "updated_at": "2026-11-21T03:00:00Z",
        "html_url": format!("https://git.test/team/shop/issues/{number}"),
    })
}

/// As the search does: words in quotation marks stand in the issue, the others are qualifiers.
fn searched(kept: &Kept, asked: &Asked) -> Json {
    let query = &asked.query["q"];
    let (quoted, plain): (Vec<_>, Vec<_>) = query.split(' ').partition(|word| word.starts_with('"'));
    assert!(
        plain.contains(&"repo:team/shop") && plain.contains(&"is:issue"),
        "{query}"
    );
    let state = plain.iter().find_map(|word| word.strip_prefix("state:"));
    let holds = |one: &&Json, word: &str| {
        let text = format!("{} {}", one["title"], one["body"]).to_lowercase();
        text.contains(&word.trim_matches('"').to_lowercase())
    };
    let found: Vec<Json> = kept
        .issues
        .iter()
        .filter(|one| state.is_none_or(|state| one["state"] == *state))
        .filter(|one| quoted.iter().all(|word| holds(one, word)))
        .map(|one| {
            let mut one = one.clone();
            one["repository_url"] = json!("https://api.git.test/repos/Team/Shop");
            one
        })
        .collect();
    json!({"total_count": found.len(), "incomplete_results": kept.silent, "items": page(&found[..found.len().min(1000)], asked)})
}

/// Answers as `/repos/team/shop` does.
fn answer(kept: &Shared, asked: &Asked) -> Option<(u16, Json)> {
    let mut kept = kept.lock().unwrap();
    if asked.header("user-agent").is_empty() {
        return Some((403, json!({"message": "Request forbidden by administrative rules."})));
    }
    if asked.header("authorization") != format!("Bearer {CANARY}") {
        return Some((401, json!({"message": "Bad credentials"})));
    }
    assert_eq!(asked.header("accept"), "application/vnd.github+json");
    assert_eq!(asked.header("x-github-api-version"), "2022-11-28");
    if asked.path == "/search/issues" {
        return Some((200, searched(&kept, asked)));
    }
    let path = asked.path.strip_prefix("/repos/team/shop")?.to_owned();
    let sent = asked.json();
    let made = match (asked.method.as_str(), path.as_str()) {
        ("GET", "") => (200, json!({"full_name": "team/shop"})),
        ("GET", "/labels") => (200, page(&kept.labels, asked)),
        ("GET", "/issues") => {
            let state = asked.query.get("state").map_or("open", String::as_str);
            let mut found: Vec<Json> = kept
                .issues
                .iter()
                .filter(|one| state == "all" || one["state"] == *state)
                .cloned()
                .collect();
            // Newest first, unless it is asked otherwise.
            found.reverse();
            (200, page(&found, asked))
        }
        ("POST", "/issues") => {
            if !sent["title"].is_string() || !sent["labels"].is_array() {
                return Some((422, json!({"message": "Validation Failed"})));
            }
            let mut new = issue(kept.issues.len() + 1, sent["body"].as_str().unwrap());
            new["title"] = sent["title"].clone();
            new["labels"] = sent["labels"]
                .as_array()
                .unwrap()
                .iter()
                .map(|name| label(name.as_str().unwrap()))
                .collect();
            kept.issues.push(new.clone());
            (201, new)
        }
        ("GET", "/issues/1/comments") => (200, page(&kept.comments, asked)),
        ("POST", "/issues/1/comments") => {
            let new =
                json!({"body": sent["body"], "html_url": "https://git.test/c/1", "created_at": "2026-11-22T03:00:00Z"});
            kept.comments.push(new.clone());
            (201, new)
        }
        ("PATCH", "/issues/1") => {
            kept.issues[0]["state"] = sent["state"].clone();
            kept.issues[0]["state_reason"] = sent["state_reason"].clone();
            (200, kept.issues[0].clone())
        }
        _ => (404, json!({"message": "Not Found"})),
    };
    (asked.method == "GET" || !kept.silent).then_some(made)
}

fn repository() -> (Shared, Server) {
    let kept: Shared = Arc::default();
    kept.lock().unwrap().labels = ["bug", "Incident"].map(label).to_vec();
    let mine = kept.clone();
    (kept, Server::new(move |asked| answer(&mine, asked)))
}

fn world(server: &Server) -> Held {
    held(|token| {
        let config = format!(
            "repositories: {{ shop: {{ repository: team/shop, token: {{ file: {} }}, url: \"{}\" }} }}",
            token.display(),
            server.url()
        );
        let provider = GitHub::new(&serde_yaml::from_str(&config).unwrap()).unwrap();
        let repository = Value::Resource {
            kind: "Repository".into(),
            name: "shop".into(),
        };
        Gated::new(
            Arc::new(provider),
            vec![
                ("repository", repository),
                ("title", Value::text("The shop is down")),
                ("number", Value::Int(1)),
            ],
        )
    })
}

fn labels(names: &[&str]) -> (&'static str, Value) {
    (
        "labels",
        Value::list(names.iter().map(|name| Value::text(*name)).collect()),
    )
}

#[tokio::test]
async fn an_issue_is_written_once_for_its_key() {
    let (kept, server) = repository();
    let world = world(&server);
    let args = [
        ("body", Value::text("@oncall 97 % <!-- starr:x -->")),
        labels(&["bug", "incident"]),
    ];
    let made = world.done("issues.create", &args).await;
    assert_eq!(
        (field(&made, "number"), field(&made, "state")),
        (Value::Int(1), Value::variant("open"))
    );
    assert_eq!(
        kept.lock().unwrap().issues[0]["body"],
        format!("@<!-- -->oncall 97 % &lt;!-- starr:x -->\n\n{KEY}\n")
    );
    let again = world.done("issues.create", &args).await;
    assert_eq!(again, made);
    assert_eq!(server.sent(), 1);
}

#[tokio::test]
async fn an_issue_that_was_sent_and_not_answered_is_found_again() {
    let (kept, server) = repository();
    let world = world(&server);
    kept.lock().unwrap().silent = true;
    let lost = hurried(&world, "issues.create", &[]).await;
    assert!(
        matches!(lost, Outcome::Unclear(ref unknown) if unknown.reason == Reason::Timeout),
        "{lost:?}"
    );
    kept.lock().unwrap().silent = false;
    // Somebody closed it in the meantime, and others were written.
    {
        let mut kept = kept.lock().unwrap();
        kept.issues[0]["state"] = json!("closed");
        let more = (2..150).map(|number| issue(number, "of others"));
        kept.issues.extend(more);
    }
    let found = world.done("issues.create", &[]).await;
    assert_eq!(
        (field(&found, "number"), field(&found, "state")),
        (Value::Int(1), Value::variant("closed"))
    );
    assert_eq!(server.sent(), 1);
}

#[tokio::test]
async fn an_issue_is_looked_for_among_the_newest() {
    let (kept, server) = repository();
    kept.lock().unwrap().issues = (1..=400)
        .map(|number| issue(number, if number == 1 { KEY } else { "" }))
        .collect();
    world(&server).done("issues.create", &[]).await;
    // The 300 newest are four questions at most; the oldest is not one of them.
    assert!(server.asked().len() <= 5, "{}", server.asked().len());
    assert_eq!((server.sent(), kept.lock().unwrap().issues.len()), (1, 401));
}

#[tokio::test]
async fn a_label_that_is_missing_is_refused_before_anything_is_sent() {
    let (kept, server) = repository();
    let world = world(&server);
    let (reason, detail) = world.refused("issues.create", &[labels(&["bug", "p1"])]).await;
    assert_eq!(reason, Reason::Missing);
    assert!(detail.contains("`p1`") && !detail.contains("`bug`"), "{detail}");
    assert_eq!((server.sent(), kept.lock().unwrap().issues.len()), (0, 0));
    for odd in [labels(&[""]), labels(&["a,b"]), ("title", Value::text(" \n"))] {
        assert_eq!(world.refused("issues.create", &[odd]).await.0, Reason::Unparsable);
    }
}

#[tokio::test]
async fn comments_are_written_once_and_a_closed_issue_stays_closed() {
    let (kept, server) = repository();
    let world = world(&server);
    kept.lock().unwrap().issues.push(issue(1, ""));
    let body = [("body", Value::text("It is over"))];
    kept.lock().unwrap().silent = true;
    assert!(matches!(
        hurried(&world, "issues.comment", &body).await,
        Outcome::Unclear(_)
    ));
    kept.lock().unwrap().silent = false;
    let comment = world.done("issues.comment", &body).await;
    assert_eq!(field(&comment, "url"), Value::text("https://git.test/c/1"));
    assert_eq!(kept.lock().unwrap().comments.len(), 1);
    for _ in 0..2 {
        let closed = world
            .done("issues.close", &[("because", Value::variant("not_planned"))])
            .await;
        assert_eq!(field(&closed, "state"), Value::variant("closed"));
    }
    assert_eq!(kept.lock().unwrap().issues[0]["state_reason"], "not_planned");
    let (reason, detail) = world.refused("issues.close", &[("number", Value::Int(7))]).await;
    assert!(reason == Reason::Missing && detail.contains("Not Found"), "{detail}");
    assert_eq!(
        world.refused("issues.comment", &[("body", Value::text(" "))]).await.0,
        Reason::Unparsable
    );
}

#[tokio::test]
async fn what_there_is_too_much_of_is_cut_or_refused() {
    let (kept, server) = repository();
    let world = world(&server);
    {
        let mut kept = kept.lock().unwrap();
        kept.labels = (0..1100).map(|number| label(&format!("l{number}"))).collect();
        kept.comments = (0..1100).map(|_| json!({"body": "x"})).collect();
        kept.issues = (1..=250).map(|number| issue(number, "")).collect();
        for request in kept.issues.iter_mut().take(120) {
            request["pull_request"] = json!({"url": "x"});
        }
    }
    let all = world.read("labels", &[]).await;
    assert!(all.as_list().unwrap().truncated && all.as_list().unwrap().items.len() == 1000);
    let (reason, detail) = world.refused("issues.create", &[labels(&["l1099"])]).await;
    assert!(
        reason == Reason::Truncated && detail.contains("cannot be told"),
        "{detail}"
    );
    assert_eq!(
        world.refused("issues.comment", &[("body", Value::text("x"))]).await.0,
        Reason::Truncated
    );
    assert_eq!(server.sent(), 0);
    // Requests to take a change are no issues.
    let open = items(&world.read("issues.list", &[("at_most", Value::Int(200))]).await);
    assert_eq!(open.len(), 130);
    assert_eq!(field(&open[0], "number"), Value::Int(250));
    let few = world.read("issues.list", &[("at_most", Value::Int(5))]).await;
    assert!(few.as_list().unwrap().truncated && few.as_list().unwrap().items.len() == 5);
}

#[tokio::test]
async fn what_no_github_says_is_unknown_and_a_refusal_is_one() {
    for body in [json!("<html>"), json!({}), json!({"data": []}), Json::Null] {
        let server = Server::new(move |_| Some((200, body.clone())));
        let world = world(&server);
        assert_eq!(reason(&world.read("issues.list", &[]).await).0, Reason::Unparsable);
        assert_eq!(world.refused("issues.create", &[]).await.0, Reason::Unparsable);
        assert_eq!(server.sent(), 0);
    }
    // A list of what is no issue has no known parts.
    let odd = Server::new(|asked| {
        Some((
            200,
            if asked.path.ends_with("issues") {
                json!([{"state": "x"}])
            } else {
                json!([1])
            },
        ))
    });
    let found = items(&world(&odd).read("issues.list", &[]).await);
    for name in ["number", "title", "state", "labels", "created", "url"] {
        assert_eq!(reason(&field(&found[0], name)).0, Reason::Unparsable, "{name}");
    }
    assert_eq!(
        reason(&items(&world(&odd).read("labels", &[]).await)[0]).0,
        Reason::Unparsable
    );
    // After it was sent: taken is unclear, refused is a failure, and too many requests are told by a refusal.
    let sending = |status: u16, body: Json| {
        Server::new(move |asked| {
            Some(if asked.method == "GET" {
                (200, json!([]))
            } else {
                (status, body.clone())
            })
        })
    };
    for (status, body, definite) in [
        (201, json!({}), false),
        (201, json!("no"), false),
        (502, json!({"message": "bad gateway"}), false),
        (422, json!({"message": "Validation Failed"}), true),
        (410, json!({"message": "Issues are disabled for this repo"}), true),
    ] {
        let server = sending(status, body);
        let outcome = world(&server).change("issues.create", &[]).await;
        assert_eq!(matches!(outcome, Outcome::Failed(_)), definite, "{status}: {outcome:?}");
        assert_eq!(server.sent(), 1);
    }
    let throttling = sending(403, json!({"message": "You have exceeded a secondary rate limit"}));
    assert_eq!(
        world(&throttling).refused("issues.create", &[]).await.0,
        Reason::Throttled
    );
}

const BOOK: &str = r#"use std.github.{has_labels}

runbook report "Report it" {
  timebox 5 min then stop "No time is left"
  reads   github
  tells   github
  situation {
    symptom ready = has_labels("shop", first: "bug", second: "Incident")
  }
  tell github.issues.create("shop", title: "The shop is down", body: "Run {run.id}\n{run.evidence}", labels: ["bug"])
  tell github.issues.comment("shop", number: 1, body: "More")
  tell github.issues.close("shop", number: 1)
  stop "Reported"
}
"#;

#[test]
fn a_run_writes_an_issue() {
    let (kept, server) = repository();
    let environment = format!(
        "    github: {{ repositories: {{ shop: {{ repository: team/shop, token: {{ env: CANARY }}, url: \"{}\" }} }} }}
    grants:\n      - {{ capability: github, effects: [read, tell], targets: [shop] }}\n",
        server.url()
    );
    let desk = Desk::new(&environment, BOOK);
    let said = desk.said(&["run", "books/book.starr", "--unattended"]);
    let kept = kept.lock().unwrap();
    assert_eq!((kept.issues.len(), kept.comments.len()), (1, 1), "{said}");
    assert_eq!(kept.issues[0]["state"], "closed", "{said}");
    let shown = desk.said(&["show", "--json"]);
    // The key that is recorded is the one that stands in the issue.
    let body = kept.issues[0]["body"].as_str().unwrap();
    let key = body
        .rsplit("starr:")
        .next()
        .unwrap()
        .trim_end()
        .trim_end_matches(" -->");
    assert!(key.len() == 32 && shown.contains(key), "{key}\n{shown}");
    drop(kept);
    let doctor = desk.said(&["doctor"]);
    assert!(doctor.contains("github shop"), "{doctor}");
    let grants = desk.said(&["grants", "books/book.starr"]);
    assert!(grants.contains("Issues: Read and write"), "{grants}");
    desk.keeps(CANARY, &[&said, &shown, &doctor, &desk.said(&["report"])]);
}

#[tokio::test]
async fn a_page_that_is_shorter_than_was_asked_for_is_not_the_last_when_another_is_named() {
    // Pages of forty, however many are asked for, and the next one by an address of the server's own.
    let own = |asked: &Asked| {
        asked
            .query
            .get("after")
            .map_or(0, |text| text.parse::<usize>().unwrap())
    };
    let server = |last: usize, elsewhere: Option<&'static str>| {
        Server::with_head(
            move |asked| {
                let begin = own(asked);
                let names = (begin..last.min(begin + 40)).map(|number| label(&format!("label-{number}")));
                Some((200, Json::Array(names.collect())))
            },
            move |asked| {
                let next = own(asked) + 40;
                let host = elsewhere.map_or_else(|| asked.header("host").to_owned(), str::to_owned);
                if next < last {
                    format!(
                        "link: <http://{host}/repos/team/shop/labels?per_page=100&after=0>; rel=\"first\", \
                         <http://{host}/repos/team/shop/labels?per_page=100&after={next}>; rel=\"next\"\r\n"
                    )
                } else {
                    String::new()
                }
            },
        )
    };
    let labels = async |server: &Server| world(server).read("labels", &[("at_most", Value::Int(100))]).await;
    for (there, pages) in [(30, 1), (40, 1), (95, 3)] {
        let server = server(there, None);
        assert_eq!(items(&labels(&server).await).len(), there);
        assert_eq!(server.asked().len(), pages);
    }
    // More than is wanted is said; another server gets nothing of ours.
    let many = labels(&server(200, None)).await;
    assert!(many.as_list().unwrap().truncated, "{many:?}");
    let other = Server::new(|_| Some((200, json!([]))));
    let away: &'static str = Box::leak(format!("127.0.0.1:{}", other.port).into_boxed_str());
    let led_away = labels(&server(95, Some(away))).await;
    assert_eq!(reason(&led_away).0, Reason::Denied);
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn issues_are_looked_for_by_their_words() {
    let (kept, server) = repository();
    let world = world(&server);
    let mut closed = issue(3, "the pool is exhausted, again");
    closed["state"] = json!("closed");
    kept.lock().unwrap().issues = vec![issue(1, "pool exhausted"), issue(2, "pool"), closed];
    let numbers = |list: &Value| items(list).iter().map(|one| field(one, "number")).collect::<Vec<_>>();
    let words = |text: &str| ("words", Value::text(text));
    let found = world.read("issues.search", &[words("Pool exhausted")]).await;
    assert_eq!(numbers(&found), [Value::Int(1), Value::Int(3)]);
    let open = [words("exhausted"), ("state", Value::variant("open"))];
    assert_eq!(numbers(&world.read("issues.search", &open).await), [Value::Int(1)]);
    // What looks like a qualifier or an operator is a word, and stands nowhere.
    for odd in ["repo:other/x", "pool OR is:open", "\"pool\" NOT-there"] {
        assert!(
            numbers(&world.read("issues.search", &[words(odd)]).await).is_empty(),
            "{odd}"
        );
    }
    for odd in ["", " \" ", &"x ".repeat(100)] {
        let unknown = reason(&world.read("issues.search", &[words(odd)]).await);
        assert_eq!(unknown.0, Reason::Unparsable, "{odd}");
    }
    // More than are wanted, more than GitHub gives, and what GitHub did not look at: a list that was cut, not one that is short.
    kept.lock().unwrap().issues = (1..=1200).map(|number| issue(number, "pool")).collect();
    for (most, count) in [(150, 150), (1000, 1000)] {
        let found = world
            .read("issues.search", &[words("pool"), ("at_most", Value::Int(most))])
            .await;
        let list = found.as_list().unwrap();
        assert_eq!((list.items.len(), list.truncated), (count, true));
    }
    kept.lock().unwrap().issues.truncate(1);
    kept.lock().unwrap().silent = true;
    let found = world.read("issues.search", &[words("pool")]).await;
    assert!(found.as_list().unwrap().truncated, "{found:?}");
}
