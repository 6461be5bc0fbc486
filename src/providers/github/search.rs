//! Looking for issues by their words, with GitHub's own search.

use super::issues::issue;
use super::{GitHub, PAGE, odd, problem};
use crate::limits::{GITHUB_ISSUES, GITHUB_QUERY_CHARACTERS};
use crate::provider::Call;
use crate::providers::arguments::{Arguments, not_fitting};
use crate::providers::failure::wrong;
use crate::providers::http::service::{Asked, Place};
use crate::value::{List, Reason, Unknown, Value};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value as Json;
use std::sync::Arc;
use tokio::time::Instant;

/// The words as GitHub takes them: each in quotation marks, so that none of them is a qualifier (`repo:`, `author:`) or an operator.
fn words(text: &str) -> Result<String, Unknown> {
    let words: Vec<String> = text
        .split(|letter: char| letter.is_whitespace() || letter.is_control() || letter == '"')
        .filter(|word| !word.is_empty())
        .map(|word| format!("\"{word}\""))
        .collect();
    match words.join(" ") {
        words if words.is_empty() => Err(not_fitting("words")),
        words if words.chars().count() > GITHUB_QUERY_CHARACTERS => Err(wrong(
            Reason::Unparsable,
            format!("`words` are more than the {GITHUB_QUERY_CHARACTERS} characters that GitHub takes"),
        )),
        words => Ok(words),
    }
}

impl GitHub {
    /// `issues.search`: cut where GitHub itself says that it did not look at everything.
    pub(super) async fn search(&self, call: &Call, until: Instant) -> Result<Value, Unknown> {
        let arguments = Arguments(call);
        let most = arguments.limit("at_most", GITHUB_ISSUES)?;
        let on = arguments.text("repository")?;
        let (base, full) = self.places.get(on).ok_or_else(|| not_fitting("repository"))?;
        let mut query = format!("{} repo:{full} is:issue", words(arguments.text("words")?)?);
        if let Some(state) = arguments.maybe_text("state")? {
            query.push_str(" state:");
            query.push_str(state);
        }
        let here = format!("/repos/{full}").to_lowercase();
        let is_of_here = |item: &Json| {
            let of = item.get("repository_url").and_then(Json::as_str);
            of.is_some_and(|of| of.to_lowercase().ends_with(&here))
        };
        let mut items: Vec<Json> = Vec::new();
        let mut truncated = false;
        for page in 1.. {
            let parameters = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("q", &query)
                .append_pair("per_page", &PAGE.to_string())
                .append_pair("page", &page.to_string())
                .finish();
            let asked = Asked {
                method: Method::GET,
                change: false,
                place: Place::Whole(&format!("{base}/search/issues?{parameters}")),
                headers: HeaderMap::new(),
                body: None,
            };
            let sent = self.service.exchange(on, asked, until).await;
            let (_, answer) = sent.map_err(|failed| failed.unknown)?;
            if answer.status != 200 {
                return Err(problem(&answer));
            }
            let said = answer.json()?;
            let (Some(total), Some(found)) = (
                said.get("total_count").and_then(Json::as_u64),
                said.get("items").and_then(Json::as_array),
            ) else {
                return Err(odd());
            };
            truncated |= said.get("incomplete_results") != Some(&Json::Bool(false));
            items.extend(found.iter().filter(|item| is_of_here(item)).cloned());
            if items.len() > most {
                items.truncate(most);
                truncated = true;
                break;
            }
            let looked_at = page * PAGE;
            if found.is_empty() || looked_at as u64 >= total {
                break;
            }
            // GitHub gives no more than the first thousand.
            if looked_at >= GITHUB_ISSUES {
                truncated = true;
                break;
            }
        }
        Ok(Value::List(Arc::new(List {
            items: items.iter().map(|one| issue(call.arg("repository"), one)).collect(),
            truncated,
        })))
    }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn no_word_is_a_qualifier() {
        assert_eq!(words("pool  exhausted").unwrap(), r#""pool" "exhausted""#);
        assert_eq!(words("repo:other/x OR \"a").unwrap(), r#""repo:other/x" "OR" "a""#);
        assert!(words(" \" \n").is_err());
        assert!(words(&"x ".repeat(200)).is_err());
    }
}
