//! The provider `chat`: messages to channels through incoming web hooks, in the form that Slack reads and others took over.

use super::config::ChatConfig;
use super::{cut, named, no_read, ready, text, turned_away, unknown, until};
use crate::limits::CHAT_CHARACTERS;
use crate::provider::{Call, Health, Outcome, Permit, Provider};
use crate::providers::http::service::Service;
use crate::value::{Reason, Value};
use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::Method;
use serde_json::json;

/// The operations, as in `stdlib/chat.starr`.
const OPERATIONS: &[&str] = &["post"];

/// Chat as an environment configures it.
pub struct Chat {
    channels: Service,
}

impl Chat {
    /// The provider of this configuration.
    ///
    /// # Errors
    /// Names the channel that cannot be used, and why.
    pub fn new(config: &ChatConfig) -> Result<Self, String> {
        Service::new("channel", "chat.channels", &config.channels).map(|channels| Self { channels })
    }

    async fn post(&self, call: &Call) -> Outcome {
        let message = json!({ "text": escaped(&cut(text(call, "text"), CHAT_CHARACTERS)) });
        let channel = text(call, "channel");
        let sent = self
            .channels
            .send(channel, Method::POST, "", &[], Some(&message), until(call));
        let answer = match sent.await {
            Ok(answer) => answer,
            Err(problem) => return problem.outcome(),
        };
        if let Some(outcome) = turned_away(&answer, &String::from_utf8_lossy(&answer.body)) {
            return outcome;
        }
        if answer.is_page() {
            return Outcome::Unclear(unknown(
                Reason::Unparsable,
                format!(
                    "the server answered with status {}, and a page for people: was it the chat who answered?",
                    answer.status
                ),
            ));
        }
        Outcome::Done(Value::record(
            "Posted",
            vec![("status", Value::Int(answer.status.into()))],
        ))
    }
}

/// Data is text: nothing in it names people, channels or links. The three characters are all that the format gives a meaning.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl Provider for Chat {
    fn name(&self) -> &'static str {
        "chat"
    }

    fn operations(&self) -> &'static [&'static str] {
        OPERATIONS
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        let name = text(call, "channel");
        named(self.channels.names().any(|known| known == name), name)
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        std::future::ready(no_read(call)).boxed()
    }

    fn change<'a>(&'a self, call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        self.post(call).boxed()
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        let line = |name: &str| {
            let found = self.channels.ready(name).map_err(|problem| problem.to_string());
            ready(format!("chat {name}"), found)
        };
        std::future::ready(self.channels.names().map(line).collect()).boxed()
    }
}
