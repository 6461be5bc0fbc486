//! GitHub: the issues of a repository, over its REST interface. What it writes is a tell: it never decides the way of a run.

pub mod config;
mod issues;
mod search;
mod text;

use super::arguments::{Arguments, patience};
use super::failure::wrong;
use super::http::service::{Answer, Asked, Place, Service};
use crate::provider::native::{Privilege, Use};
use crate::provider::{Call, Effect, Health, Outcome, Permit, Provider};
use crate::value::{Reason, Unknown, Value};
use config::Config;
use futures::future::BoxFuture;
use reqwest::Method;
use reqwest::header::{HeaderMap, LINK};
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use tokio::time::Instant;

/// The operations, in the order of the interface text.
const OPERATIONS: &[&str] = &[
    "labels",
    "issues.list",
    "issues.search",
    "issues.create",
    "issues.comment",
    "issues.close",
];

/// Things on one page: the most that GitHub gives.
const PAGE: usize = 100;

/// Most pages of one listing: a server that gives empty ones is not asked for ever.
const PAGES: usize = 100;

/// The provider `github`: the repositories of an environment.
pub struct GitHub {
    service: Service,
    /// By name: the interface's own address, and owner and name as GitHub has them.
    places: BTreeMap<String, (String, String)>,
}

fn odd() -> Unknown {
    wrong(Reason::Unparsable, "the server does not answer as GitHub does")
}

/// What a status other than a good one means: too many requests are told by a refusal.
fn problem(answer: &Answer) -> Unknown {
    let unknown = answer.problem();
    let throttled = unknown.reason == Reason::Denied && unknown.detail.to_ascii_lowercase().contains("rate limit");
    Unknown {
        reason: if throttled { Reason::Throttled } else { unknown.reason },
        detail: unknown.detail,
    }
}

/// The address of the page behind this one, as the server gives it.
fn next(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(LINK)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|link| {
            let (address, says) = link.trim().strip_prefix('<')?.split_once('>')?;
            says.split(';')
                .any(|word| matches!(word.trim(), "rel=\"next\"" | "rel=next"))
                .then(|| address.to_owned())
        })
}

/// Things that were found, and whether there are more of them.
struct Listed {
    items: Vec<Json>,
    more: bool,
}

impl GitHub {
    /// The repositories of the configuration, by name.
    ///
    /// # Errors
    /// Names the entry that cannot be used and says why.
    pub fn new(config: &Config) -> Result<Self, String> {
        let endpoints = config.repositories.iter();
        let endpoints = endpoints.map(|(name, repository)| (name.clone(), repository.endpoint()));
        let service = Service::new("repository", "github.repositories", &endpoints.collect())?;
        let place = |repository: &config::RepositoryConfig| {
            let base = repository.url.trim_end_matches('/').to_owned();
            (base, repository.repository.clone())
        };
        let places = config.repositories.iter();
        let places = places.map(|(name, repository)| (name.clone(), place(repository)));
        Ok(Self {
            service,
            places: places.collect(),
        })
    }

    /// The first `most` things of a listing that are wanted, page by page.
    async fn list(
        &self,
        on: &str,
        path: &str,
        query: &[(&str, String)],
        most: usize,
        wanted: impl Fn(&Json) -> bool,
        until: Instant,
    ) -> Result<Listed, Unknown> {
        let mut items = Vec::new();
        let mut looked_at: usize = 0;
        let mut behind: Option<String> = None;
        for page in 1..=PAGES {
            let mut query = query.to_vec();
            query.push(("per_page", PAGE.to_string()));
            query.push(("page", page.to_string()));
            let asked = Asked {
                method: Method::GET,
                change: false,
                place: match &behind {
                    Some(next) => Place::Whole(next),
                    None => Place::Path(path, &query),
                },
                headers: HeaderMap::new(),
                body: None,
            };
            let sent = self.service.exchange(on, asked, until).await;
            let (headers, answer) = sent.map_err(|failed| failed.unknown)?;
            if answer.status != 200 {
                return Err(problem(&answer));
            }
            let Json::Array(found) = answer.json()? else {
                return Err(odd());
            };
            let full = found.len() >= PAGE;
            looked_at += found.len();
            items.extend(found.into_iter().filter(|item| wanted(item)));
            if items.len() > most {
                items.truncate(most);
                return Ok(Listed { items, more: true });
            }
            behind = next(&headers);
            // A page may hold less than was asked for, and not be the last. Without a word about that a full one may have one behind it.
            if behind.is_none() && !full {
                return Ok(Listed { items, more: false });
            }
            // Of things that are not wanted there may be pages without end.
            if looked_at >= most.saturating_mul(4).max(PAGE) {
                break;
            }
        }
        Ok(Listed { items, more: true })
    }

    async fn answer(&self, call: &Call) -> Result<Value, Unknown> {
        let until = Instant::now() + patience(call);
        let arguments = Arguments(call);
        match &*call.operation.path {
            "labels" => self.labels(arguments, until).await,
            "issues.list" => self.issues(call, until).await,
            "issues.search" => self.search(call, until).await,
            other => Err(wrong(Reason::Internal, format!("`github.{other}` is not a read"))),
        }
    }
}

/// What a token needs, in the words of the page on which it is made.
fn privileges(uses: &[Use]) -> Vec<Privilege> {
    let mut needed: BTreeMap<(String, bool), BTreeSet<String>> = BTreeMap::new();
    for used in uses {
        let target = used.arg("repository").and_then(Value::as_str).unwrap_or("(any)");
        let writes = !matches!(used.operation.effect, Effect::Read | Effect::Probe);
        let because = needed.entry((target.to_owned(), writes)).or_default();
        because.insert(used.operation.full_name());
    }
    let right = |((target, writes), because): ((String, bool), BTreeSet<String>)| Privilege {
        complete: target != "(any)",
        target,
        login: "token".to_owned(),
        statement: format!(
            "Repository permissions: Issues: {}",
            if writes { "Read and write" } else { "Read-only" }
        ),
        because: because.into_iter().collect(),
    };
    needed.into_iter().map(right).collect()
}

impl Provider for GitHub {
    fn name(&self) -> &'static str {
        "github"
    }

    fn operations(&self) -> &'static [&'static str] {
        OPERATIONS
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        vec![call.arg("repository").as_str().unwrap_or_default().to_owned()]
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        Box::pin(async move { Value::or_unknown(self.answer(call).await) })
    }

    fn change<'a>(&'a self, call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            let done = match &*call.operation.path {
                "issues.create" => self.create(call).await,
                "issues.comment" => self.comment(call).await,
                "issues.close" => self.close(call).await,
                other => Err(Outcome::Failed(wrong(
                    Reason::Internal,
                    format!("`github.{other}` is not a change"),
                ))),
            };
            done.map_or_else(|outcome| outcome, Outcome::Done)
        })
    }

    fn privileges(&self, uses: &[Use]) -> Option<Vec<Privilege>> {
        Some(privileges(uses))
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        Box::pin(self.service.doctor("github", ""))
    }
}

#[cfg(test)]
mod tests {
    use super::next;
    use reqwest::header::{HeaderMap, HeaderValue, LINK};

    #[test]
    fn the_next_page_is_the_one_that_is_named_so() {
        let named = |links: &[&str]| {
            let mut headers = HeaderMap::new();
            for link in links {
                headers.append(LINK, HeaderValue::from_str(link).unwrap());
            }
            next(&headers)
        };
        let (first, second) = (
            "<https://h/x?page=1>; rel=\"prev\"",
            "<https://h/x?page=3>; rel=\"next\"",
        );
        assert_eq!(named(&[]), None);
        assert_eq!(named(&[first]), None);
        assert_eq!(
            named(&[&format!("{first}, {second}")]).as_deref(),
            Some("https://h/x?page=3")
        );
        assert_eq!(named(&[first, second]).as_deref(), Some("https://h/x?page=3"));
        for odd in ["", "<", "<a", "a; rel=next", "<a>; rel=\"nextish\"", ",,;<>"] {
            assert_eq!(named(&[odd]), None, "{odd}");
        }
    }
}
