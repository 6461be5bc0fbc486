//! What was done to the resources of a group.

use super::Azure;
use super::client::Ask;
use super::shape::{self, Shape};
use crate::limits::AZURE_ITEMS;
use crate::provider::Call;
use crate::providers::arguments::Arguments;
use crate::providers::failure::wrong;
use crate::value::{Reason, Unknown, Value};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::Value as Json;
use tokio::time::Instant;

const SHAPE: Shape = &[
    ("at", "/eventTimestamp"),
    ("operation", "/operationName/value"),
    ("status", "/status/value"),
    ("caller", "/caller"),
    ("resource", "/resourceId"),
    ("level", "/level"),
];

/// `activity.list`
pub async fn list(azure: &Azure, call: &Call, until: Instant) -> Result<Value, Unknown> {
    let arguments = Arguments(call);
    let group = azure.group(call)?;
    let most = arguments.limit("at_most", AZURE_ITEMS)?;
    let over = SignedDuration::try_from(arguments.duration("over")?).ok();
    let end = Timestamp::now();
    let begin = over
        .filter(|over| *over <= SignedDuration::from_hours(89 * 24))
        .and_then(|over| end.checked_sub(over).ok())
        .ok_or_else(|| wrong(Reason::Unparsable, "the activity log goes back 89 days"))?;
    let subscription = azure.tokens(&group.subscription)?.id().to_owned();
    let way = format!("/subscriptions/{subscription}/providers/Microsoft.Insights/eventtypes/management/values");
    let mut ask = Ask::manager(&group.subscription, Method::GET, way, "2015-04-01");
    // The name of a group holds no quote.
    ask.query.push((
        "$filter",
        format!(
            "eventTimestamp ge '{begin:.0}' and eventTimestamp le '{end:.0}' and resourceGroupName eq '{}'",
            group.name
        ),
    ));
    let containing = arguments.text("containing")?.to_ascii_lowercase();
    let (mut events, more) = azure.pages(&ask, AZURE_ITEMS, until).await?;
    events.retain(|event| {
        let operation = event.pointer("/operationName/value").and_then(Json::as_str);
        operation.unwrap_or_default().to_ascii_lowercase().contains(&containing)
    });
    let time = |event: &Json| {
        event
            .get("eventTimestamp")
            .and_then(Json::as_str)
            .and_then(|text| text.parse::<Timestamp>().ok())
    };
    events.sort_by_key(|event| std::cmp::Reverse(time(event)));
    let cut = events.len() > most;
    events.truncate(most);
    Ok(shape::list(call, SHAPE, &events, more || cut))
}
