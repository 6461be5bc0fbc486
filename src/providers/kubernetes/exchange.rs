//! One request and its answer: bounded, with a deadline, every refusal classified.

use super::config::Role;
use super::connection::{Deadline, Link};
use super::failure::{Failure, Refusal, broken, classify};
use super::json::{self, Json};
use super::preview::Dry;
use crate::provider::notes;
use crate::value::Reason;
use crate::value::show::show_std;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use jiff::Timestamp;
use kube::client::Body;
use std::time::Duration;

/// Most bytes of one answer.
const ANSWER: usize = 32 * 1024 * 1024;

/// Objects of one page of a list.
const PAGE: usize = 500;

/// Times that a read is asked again when the server has no room.
const AGAIN: usize = 3;

/// Ways to say what changes in an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patch {
    Merge,
    Strategic,
    Json,
    Apply,
}

impl Patch {
    fn content_type(self) -> &'static str {
        match self {
            Patch::Merge => "application/merge-patch+json",
            Patch::Strategic => "application/strategic-merge-patch+json",
            Patch::Json => "application/json-patch+json",
            Patch::Apply => "application/apply-patch+yaml",
        }
    }
}

/// A namespace or a cluster as calls reach it.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub link: &'a Link,
    /// The namespace's name in the cluster; `None` for what belongs to the whole cluster.
    pub namespace: Option<&'a str>,
    pub deadline: Deadline,
    /// What a change would do is asked for, and nothing is changed.
    pub dry: Option<&'a Dry>,
}

/// Items of a list.
pub struct Items {
    pub items: Vec<Json>,
    /// There are more than were asked for.
    pub truncated: bool,
    /// The version of the whole list: a watch goes on from here.
    pub version: String,
}

/// An answer as it came.
struct Answer {
    status: u16,
    retry_after: Option<Duration>,
    /// The server's own clock, to the second.
    date: Option<Timestamp>,
    body: Vec<u8>,
}

impl Place<'_> {
    /// The path of a kind of objects (`v1`, `pods`), or of one of them, or of something that belongs to it.
    ///
    /// # Errors
    /// When a part could not be part of a path.
    pub fn path(&self, api: &str, resource: &str, name: Option<&str>) -> Result<String, Failure> {
        let (group, version) = match api.split_once('/') {
            Some((group, version)) => (Some(group), version),
            None => (None, api),
        };
        let mut path = match group {
            Some(group) => format!("/apis/{}/{}", segment(group)?, segment(version)?),
            None => format!("/api/{}", segment(version)?),
        };
        if let Some(namespace) = self.namespace {
            path.push_str(&format!("/namespaces/{}", segment(namespace)?));
        }
        path.push_str(&format!("/{}", segment(resource)?));
        if let Some(name) = name {
            path.push_str(&format!("/{}", segment(name)?));
        }
        Ok(path)
    }

    /// Reads one document.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Json, Failure> {
        let answer = self.ask(path, query).await?;
        document(&answer.body, true)
    }

    /// Reads a text, at most so long as the server was asked to make it. `None`: the server has nothing to give.
    pub async fn text(&self, path: &str, query: &[(&str, &str)]) -> Result<String, Failure> {
        let answer = self.ask(path, query).await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    async fn ask(&self, path: &str, query: &[(&str, &str)]) -> Result<Answer, Failure> {
        let mut attempts = 0;
        loop {
            let answer = self.exchange(Role::Read, "GET", path, query, None).await?;
            if answer.status < 300 {
                return Ok(answer);
            }
            attempts += 1;
            // The server says when to come again; only then, and only when there is time.
            match answer.retry_after {
                Some(wait) if answer.status == 429 && attempts < AGAIN && wait < self.deadline.left() => {
                    notes::note(format!(
                        "too many requests; again after {}, as the server asks",
                        show_std(wait)
                    ));
                    tokio::time::sleep(wait).await;
                }
                _ => return Err(classify(answer.status, &answer.body, false)),
            }
        }
    }

    /// Reads a list page by page, at most so many items.
    ///
    /// # Errors
    /// Every refusal: a list that may not be read is not an empty one.
    pub async fn list(&self, path: &str, query: &[(&str, &str)], at_most: usize) -> Result<Items, Failure> {
        let mut items: Vec<Json> = Vec::new();
        let mut go_on: Option<String> = None;
        let mut restarted = false;
        loop {
            let limit = PAGE.min(at_most + 1 - items.len()).to_string();
            let mut query = query.to_vec();
            query.push(("limit", &limit));
            if let Some(token) = &go_on {
                query.push(("continue", token));
            }
            let page = match self.get(path, &query).await {
                // The first pages have become too old while the later ones were read: once more from the beginning.
                Err(failure) if failure.refusal == Refusal::Gone && go_on.is_some() && !restarted => {
                    restarted = true;
                    items.clear();
                    go_on = None;
                    continue;
                }
                other => other?,
            };
            let Some(found) = page.pointer("/items").and_then(Json::as_array) else {
                // Lists without anything in them may come with `null`.
                if page.get("items").is_some_and(Json::is_null) {
                    return Ok(Items {
                        items,
                        truncated: false,
                        version: version_of(&page),
                    });
                }
                return Err(Failure::definite(Reason::Unparsable, "the server's answer is no list"));
            };
            let empty = found.is_empty();
            items.extend(found.iter().cloned());
            go_on = json::text(&page, "/metadata/continue")
                .filter(|token| !token.is_empty())
                .map(str::to_owned);
            if items.len() > at_most || go_on.is_none() {
                let truncated = items.len() > at_most || go_on.is_some();
                items.truncate(at_most);
                return Ok(Items {
                    items,
                    truncated,
                    version: version_of(&page),
                });
            }
            if empty {
                return Err(Failure::definite(
                    Reason::Unparsable,
                    "the server gives an empty page and says that there are more",
                ));
            }
        }
    }

    /// Sends a patch.
    pub async fn patch(&self, path: &str, kind: Patch, query: &[(&str, &str)], body: &Json) -> Result<Json, Failure> {
        self.send("PATCH", path, query, kind.content_type(), body, false).await
    }

    /// Creates, replaces or deletes.
    pub async fn write(&self, method: &'static str, path: &str, body: &Json) -> Result<Json, Failure> {
        let query: &[(&str, &str)] = if method == "DELETE" {
            &[]
        } else {
            &[("fieldManager", MANAGER)]
        };
        self.send(method, path, query, "application/json", body, false).await
    }

    /// Asks a review, which is written like a creation and changes nothing.
    pub async fn review(&self, role: Role, path: &str, body: &Json) -> Result<Json, Failure> {
        let answer = self
            .exchange(role, "POST", path, &[], Some(("application/json", body)))
            .await?;
        if answer.status >= 300 {
            return Err(classify(answer.status, &answer.body, false));
        }
        document(&answer.body, true)
    }

    /// Sends a change. `hide`: a secret is inside.
    pub async fn send(
        &self,
        method: &'static str,
        path: &str,
        query: &[(&str, &str)],
        content_type: &str,
        body: &Json,
        hide: bool,
    ) -> Result<Json, Failure> {
        if let Some(dry) = self.dry {
            return self.try_out(dry, method, path, query, (content_type, body), hide).await;
        }
        let answer = self
            .exchange(Role::Change, method, path, query, Some((content_type, body)))
            .await?;
        if answer.status >= 300 {
            return Err(classify(answer.status, &answer.body, hide));
        }
        document(&answer.body, false)
    }

    /// Asks the server what a change would do: all of its checks, and nothing is stored.
    async fn try_out(
        &self,
        dry: &Dry,
        method: &'static str,
        path: &str,
        query: &[(&str, &str)],
        (content_type, body): (&str, &Json),
        hide: bool,
    ) -> Result<Json, Failure> {
        // What holds secrets is not fetched to be compared; and what is made was not there.
        let before = match method {
            "POST" => None,
            _ if hide => None,
            _ => match self.get(path, &[]).await {
                Ok(before) => Some(before),
                Err(failure) if failure.refusal == Refusal::Missing => None,
                Err(failure) => return Err(failure),
            },
        };
        let mut query = query.to_vec();
        query.push(("dryRun", "All"));
        let answer = self
            .exchange(Role::Change, method, path, &query, Some((content_type, body)))
            .await?;
        if answer.status >= 300 {
            return Err(classify(answer.status, &answer.body, hide));
        }
        let after = document(&answer.body, true)?;
        dry.saw(method, path, before.as_ref(), &after, hide);
        Ok(after)
    }

    /// Begins an answer that goes on until one side ends it: the stream of a watch.
    pub async fn open(&self, path: &str, query: &[(&str, &str)]) -> Result<Body, Failure> {
        let late = || Failure::definite(Reason::Timeout, "the API server took too long");
        let opened = async {
            let client = self.link.client(Role::Read).await?;
            let request = http::Request::get(address(path, query))
                .header("accept", "application/json")
                .body(Body::empty())
                .map_err(|_| Failure::definite(Reason::Unparsable, "the request cannot be written"))?;
            let response = client.send(request).await.map_err(|problem| broken(&problem, false))?;
            let status = response.status().as_u16();
            let body = response.into_body();
            if status < 300 {
                return Ok(body);
            }
            let words = Limited::new(body, ANSWER)
                .collect()
                .await
                .map_err(|problem| cut(&*problem, false))?;
            Err(classify(status, &words.to_bytes(), false))
        };
        tokio::time::timeout(self.deadline.left(), opened)
            .await
            .map_err(|_| late())?
    }

    /// Looks or writes with the login for changes, whatever is only tried out; with the server's clock.
    pub async fn as_change(
        &self,
        method: &'static str,
        path: &str,
        body: Option<&Json>,
    ) -> Result<(Json, Option<Timestamp>), Failure> {
        let query: &[(&str, &str)] = if body.is_some() {
            &[("fieldManager", MANAGER)]
        } else {
            &[]
        };
        let body = body.map(|body| ("application/json", body));
        let answer = self.exchange(Role::Change, method, path, query, body).await?;
        if answer.status >= 300 {
            return Err(classify(answer.status, &answer.body, false));
        }
        Ok((document(&answer.body, body.is_none())?, answer.date))
    }

    async fn exchange(
        &self,
        role: Role,
        method: &'static str,
        path: &str,
        query: &[(&str, &str)],
        body: Option<(&str, &Json)>,
    ) -> Result<Answer, Failure> {
        let changes = role == Role::Change && body.is_some();
        let late = |sent: bool| Failure {
            definite: !(changes && sent),
            ..Failure::definite(Reason::Timeout, "the API server took too long")
        };
        let client = tokio::time::timeout(self.deadline.left(), self.link.client(role))
            .await
            .map_err(|_| late(false))??;
        let mut request = http::Request::builder()
            .method(method)
            .uri(address(path, query))
            .header("accept", "application/json");
        let content = match body {
            None => Vec::new(),
            Some((content_type, body)) => {
                request = request.header("content-type", content_type);
                serde_json::to_vec(body)
                    .map_err(|_| Failure::definite(Reason::Unparsable, "the request cannot be written"))?
            }
        };
        let request = request
            .body(Body::from(content))
            .map_err(|_| Failure::definite(Reason::Unparsable, "the request cannot be written"))?;
        let exchange = async {
            let response = client
                .send(request)
                .await
                .map_err(|problem| broken(&problem, changes))?;
            let status = response.status().as_u16();
            let (retry_after, date) = {
                let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
                let retry_after = header("retry-after").and_then(|value| value.parse().ok());
                let date = header("date").and_then(|value| DATES.parse_timestamp(value).ok());
                (retry_after.map(Duration::from_secs), date)
            };
            let body = Limited::new(response.into_body(), ANSWER)
                .collect()
                .await
                .map_err(|problem| cut(&*problem, changes))?;
            Ok(Answer {
                status,
                retry_after,
                date,
                body: body.to_bytes().to_vec(),
            })
        };
        tokio::time::timeout(self.deadline.left(), exchange)
            .await
            .map_err(|_| late(true))?
    }
}

/// Under whose name the server records what starr writes.
pub const MANAGER: &str = "starr";

/// How a server writes its clock.
const DATES: jiff::fmt::rfc2822::DateTimeParser = jiff::fmt::rfc2822::DateTimeParser::new();

fn version_of(list: &Json) -> String {
    json::text(list, "/metadata/resourceVersion")
        .unwrap_or_default()
        .to_owned()
}

fn cut(problem: &(dyn std::error::Error + 'static), changes: bool) -> Failure {
    let (reason, detail) = if problem.downcast_ref::<LengthLimitError>().is_some() {
        (Reason::Truncated, "the server's answer is too large")
    } else {
        (Reason::Unreachable, "the connection broke")
    };
    Failure {
        definite: !changes,
        ..Failure::definite(reason, detail)
    }
}

fn document(body: &[u8], read: bool) -> Result<Json, Failure> {
    serde_json::from_slice(body).map_err(|_| Failure {
        definite: read,
        ..Failure::definite(Reason::Unparsable, "the server's answer is no JSON document")
    })
}

/// A part of a path, if it can be one: nothing that would lead elsewhere.
fn segment(text: &str) -> Result<&str, Failure> {
    let fits = (1..=253).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':'))
        && text.bytes().any(|byte| byte != b'.');
    if fits {
        Ok(text)
    } else {
        Err(Failure::definite(
            Reason::Unparsable,
            "a name holds what no name of the cluster holds",
        ))
    }
}

fn address(path: &str, query: &[(&str, &str)]) -> String {
    let mut address = path.to_owned();
    for (number, (name, value)) in query.iter().enumerate() {
        address.push(if number == 0 { '?' } else { '&' });
        address.push_str(name);
        address.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                address.push(char::from(byte));
            } else {
                address.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::{address, segment};

    #[test]
    fn a_name_that_leads_elsewhere_is_no_name() {
        for bad in ["", ".", "..", "a/b", "a?b", "a%2fb", "a b", "ä", "a\n"] {
            assert!(segment(bad).is_err(), "{bad:?}");
        }
        assert!(segment("system:node-proxier").is_ok());
        assert!(segment("api-5cdb68f76-r7hxv.18ea400c60ee1500").is_ok());
    }

    #[test]
    fn what_is_asked_for_is_encoded() {
        assert_eq!(
            address("/api/v1/pods", &[("labelSelector", "app in (a,b)&x=y"), ("limit", "5")]),
            "/api/v1/pods?labelSelector=app%20in%20%28a%2Cb%29%26x%3Dy&limit=5"
        );
    }
}
