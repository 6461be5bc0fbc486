//! The provider `chat`: messages to channels through incoming web hooks, in the form that Slack reads and others took over.

use super::config::ChatConfig;
use super::{cut, failed, named, no_read, not_posted, ready, text, until};
use crate::limits::CHAT_CHARACTERS;
use crate::provider::{Call, Health, Outcome, Permit, Provider};
use crate::providers::http::sink::{Sink, refused};
use crate::value::{Reason, Value};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::json;
use std::collections::BTreeMap;

/// The operations, as in `stdlib/chat.starr`.
const OPERATIONS: &[&str] = &["post"];

/// Chat as an environment configures it.
pub struct Chat {
    channels: BTreeMap<String, Sink>,
}

impl Chat {
    /// The provider of this configuration.
    ///
    /// # Errors
    /// Names the channel that cannot be used, and why.
    pub fn new(config: &ChatConfig) -> Result<Self, String> {
        let channels = config
            .channels
            .iter()
            .map(|(name, endpoint)| {
                Sink::new(name, endpoint)
                    .map(|sink| (name.clone(), sink))
                    .map_err(|problem| format!("chat.channels.{name}: {problem}"))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { channels })
    }

    async fn post(&self, call: &Call) -> Outcome {
        let name = text(call, "channel");
        let Some(sink) = self.channels.get(name) else {
            return failed(Reason::Unavailable, "the configuration has no channel of this name");
        };
        let message = escaped(&cut(text(call, "text"), CHAT_CHARACTERS));
        let posted = match sink.post("", &json!({ "text": message }), until(call)).await {
            Ok(posted) => posted,
            Err(problem) => return not_posted(problem),
        };
        if let Some(problem) = refused(posted.status, &cut(&posted.text, 200)) {
            return not_posted(problem);
        }
        Outcome::Done(Value::record(
            "Posted",
            vec![("status", Value::Int(posted.status.into()))],
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
        named(self.channels.contains_key(name), name)
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        std::future::ready(no_read(call)).boxed()
    }

    fn change<'a>(&'a self, call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        self.post(call).boxed()
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        let lines = self.channels.iter();
        let lines = lines.map(|(name, sink)| ready(format!("chat {name}"), sink, Ok(())));
        std::future::ready(lines.collect()).boxed()
    }
}
