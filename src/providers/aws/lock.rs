//! The lock of an account: an item of a DynamoDB table in the account itself. Every write says what must stand there.

use super::client::{Account, Again, Answered, Refused};
use super::found;
use crate::provider::Health;
use crate::provider::lock::{Held, Holder, NotTaken};
use crate::providers::failure::Failure;
use crate::providers::lock::{Found, NotDone, Note, Store};
use crate::value::{Reason, Unknown};
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The table's key, as Terraform's tables for locks have it, so that one table serves both.
const KEY: &str = "LockID";

/// The item.
const ITEM: &str = "starr";

/// What the service says when something else stands there than was demanded.
const NOT_SO: &str = "ConditionalCheckFailedException";

/// The table of an account.
#[derive(Clone)]
struct Table {
    account: Arc<Account>,
    name: String,
}

fn note_of(item: &Json) -> Note {
    let text = |name: &str, kind: &str| item[name][kind].as_str().unwrap_or_default().to_owned();
    Note {
        holder: text("Holder", "S"),
        since: text("Since", "S"),
        expires: text("Expires", "N").parse().ok(),
    }
}

/// Demands that still stands there what was found.
fn demand(asked: &mut Json, found: &Found<()>) {
    let Some(note) = &found.note else {
        asked["ConditionExpression"] = json!("attribute_not_exists(#key)");
        asked["ExpressionAttributeNames"] = json!({"#key": KEY});
        return;
    };
    asked["ConditionExpression"] = json!("#holder = :holder");
    asked["ExpressionAttributeNames"] = json!({"#holder": "Holder"});
    asked["ExpressionAttributeValues"] = json!({":holder": {"S": note.holder}});
    // Who was silent may have come back.
    if let Some(expires) = note.expires {
        asked["ConditionExpression"] = json!("#holder = :holder and #expires = :expires");
        asked["ExpressionAttributeNames"]["#expires"] = json!("Expires");
        asked["ExpressionAttributeValues"][":expires"] = json!({"N": expires.to_string()});
    }
}

impl Table {
    async fn ask(&self, path: &str, mut values: Json, within: Duration) -> Result<Answered, Refused> {
        let (service, method) = found("dynamodb", path).map_err(|unknown| Refused::from(Failure::from(unknown)))?;
        values["TableName"] = json!(self.name);
        let values = values.as_object().cloned().unwrap_or_default();
        let again = if method.access.is_read() {
            Again::Harmless
        } else {
            Again::Never
        };
        let until = Instant::now() + within;
        self.account.call((&service, &method), &values, again, until).await
    }

    fn not_done(&self, refused: Refused) -> NotDone {
        let again = refused.code == NOT_SO || !refused.failure.definite;
        let why = self.named(refused.failure.unknown);
        if again {
            NotDone::LookAgain(why)
        } else {
            NotDone::No(why)
        }
    }
}

impl Store for Table {
    type Version = ();

    async fn read(&self, within: Duration) -> Result<Found<()>, Unknown> {
        let asked = json!({"Key": {KEY: {"S": ITEM}}, "ConsistentRead": true});
        let answered = self.ask("get_item", asked, within).await;
        let answered = answered.map_err(|refused| self.named(refused.failure.unknown))?;
        let now = answered.clock.ok_or_else(|| {
            self.named(Unknown {
                reason: Reason::Unparsable,
                detail: "the service does not say what time it is".to_owned(),
            })
        })?;
        let item = answered.values.get("Item").filter(|item| item.is_object());
        Ok(Found {
            note: item.map(note_of),
            version: (),
            now,
        })
    }

    async fn write(&self, found: &Found<()>, note: &Note, within: Duration) -> Result<(), NotDone> {
        let mut asked = json!({"Item": {
            KEY: {"S": ITEM},
            "Holder": {"S": note.holder},
            "Since": {"S": note.since},
            "Expires": {"N": note.expires.unwrap_or_default().to_string()},
        }});
        demand(&mut asked, found);
        let written = self.ask("put_item", asked, within).await;
        written.map(drop).map_err(|refused| self.not_done(refused))
    }

    async fn remove(&self, found: &Found<()>, within: Duration) -> Result<(), NotDone> {
        let mut asked = json!({"Key": {KEY: {"S": ITEM}}});
        demand(&mut asked, found);
        let removed = self.ask("delete_item", asked, within).await;
        removed.map(drop).map_err(|refused| self.not_done(refused))
    }

    fn named(&self, unknown: Unknown) -> Unknown {
        Unknown {
            detail: format!("the table `{}` of the lock: {}", self.name, unknown.detail),
            ..unknown
        }
    }

    fn apart(&self) -> Self {
        let account = Account::new(&self.account.name, &self.account.config);
        Self {
            account: Arc::new(account),
            name: self.name.clone(),
        }
    }
}

impl Table {
    /// The table that this account's configuration names, if it names one.
    fn of(account: &Arc<Account>) -> Option<Self> {
        Some(Self {
            account: Arc::clone(account),
            name: account.config.lock_table.clone()?,
        })
    }
}

/// Takes the lock, or says who has it. `None`: the account has no table for it.
pub async fn take(
    account: &Arc<Account>,
    holder: &Holder,
    take_over: Option<&str>,
) -> Result<Option<Box<dyn Held>>, NotTaken> {
    match Table::of(account) {
        Some(table) => crate::providers::lock::take(table, holder, take_over).await.map(Some),
        None => Ok(None),
    }
}

/// Whether it could be taken, where there is one.
pub async fn health(account: &Arc<Account>) -> Option<Health> {
    let table = Table::of(account)?;
    Some(crate::providers::lock::health(format!("aws {} lock", account.name), &table).await)
}

#[cfg(test)]
mod tests {
    use super::note_of;
    use serde_json::json;

    #[test]
    fn what_is_no_time_is_none() {
        let expires = |item| note_of(&item).expires;
        assert_eq!(expires(json!({"Holder": {"S": "x"}, "Expires": {"N": "17"}})), Some(17));
        assert_eq!(expires(json!({"Holder": {"S": "x"}, "Expires": {"S": "17"}})), None);
        assert_eq!(note_of(&json!({"Info": {"S": "terraform"}})).holder, "");
    }
}
