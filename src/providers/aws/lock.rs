//! The lock of an account: an item of a DynamoDB table in the account itself, with a holder and an expiry.
//!
//! Every write says what must stand there, so that of two that want it one is refused by the service. The service's clock
//! counts, never that of one machine or the other. Before each change the item is renewed: whoever has lost it learns that
//! there, and sends nothing.

use super::client::{Account, Again, Answered, Refused};
use super::found;
use crate::provider::lock::{Held, Holder, NotTaken, Other};
use crate::providers::failure::{Failure, excerpt};
use crate::value::{Reason, Unknown};
use futures::future::BoxFuture;
use jiff::Timestamp;
use serde_json::{Value as Json, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The table's key, as Terraform's tables for locks have it, so that one table serves both.
const KEY: &str = "LockID";

/// The item.
const ITEM: &str = "starr";

/// How long the lock of a holder that says nothing is respected, in seconds.
const SILENCE: i64 = 75;

/// How often the holder says that it is alive.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// Longest time for taking the lock, and for the service to say that it is still held.
const TAKING: Duration = Duration::from_secs(10);

/// Longest time for giving it back; behind it the expiry does it.
const GIVING_BACK: Duration = Duration::from_secs(2);

/// How often a write is tried when somebody else was faster.
const TRIES: usize = 4;

/// How an identity of ours begins; then what makes it the only one, then who it is.
const OURS: &str = "starr/";

/// What the service says when something else stands there than was demanded.
const NOT_SO: &str = "ConditionalCheckFailedException";

/// The table of an account.
#[derive(Clone)]
struct Table {
    account: Arc<Account>,
    name: String,
}

/// The item as it was read.
struct Item {
    /// Empty when it is not an item of ours.
    holder: String,
    since: String,
    /// In seconds since 1970. An item without it does not expire.
    expires: Option<i64>,
}

impl Item {
    fn of(item: &Json) -> Self {
        let text = |name: &str, kind: &str| item[name][kind].as_str().unwrap_or_default().to_owned();
        Self {
            holder: text("Holder", "S"),
            since: text("Since", "S"),
            expires: text("Expires", "N").parse().ok(),
        }
    }

    /// Whoever has it has been silent for longer than they said.
    fn free(&self, now: Timestamp) -> bool {
        !self.holder.is_empty() && self.expires.is_some_and(|expires| expires < now.as_second())
    }

    /// Another holder, as the item shows it.
    fn other(&self) -> Other {
        let who = self
            .holder
            .strip_prefix(OURS)
            .and_then(|rest| rest.split_once(' '))
            .map(|(_, line)| line);
        Other {
            shown: match who {
                Some(line) => format!("run {}", excerpt(line, 200)),
                None => "something that is no run of starr".to_owned(),
            },
            since: excerpt(&self.since, 40),
            token: self.holder.clone(),
        }
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

    /// The item, if there is one, and the service's clock.
    async fn read(&self, within: Duration) -> Result<(Option<Item>, Timestamp), Unknown> {
        let asked = json!({"Key": {KEY: {"S": ITEM}}, "ConsistentRead": true});
        let answered = self
            .ask("get_item", asked, within)
            .await
            .map_err(|refused| self.told(refused))?;
        let now = answered.clock.ok_or_else(|| {
            self.named(Unknown {
                reason: Reason::Unparsable,
                detail: "the service does not say what time it is".to_owned(),
            })
        })?;
        let item = answered.values.get("Item").filter(|item| item.is_object());
        Ok((item.map(Item::of), now))
    }

    /// Puts the item there, if nothing stands there or exactly what was read.
    async fn write(&self, found: Option<&Item>, over: bool, identity: &str, now: Timestamp) -> Result<(), Refused> {
        let mut asked = json!({"Item": {
            KEY: {"S": ITEM},
            "Holder": {"S": identity},
            "Since": {"S": now.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()},
            "Expires": {"N": expiry(now)},
        }});
        match found {
            None => {
                asked["ConditionExpression"] = json!("attribute_not_exists(#key)");
                asked["ExpressionAttributeNames"] = json!({"#key": KEY});
            }
            Some(found) => {
                asked["ConditionExpression"] = json!("#holder = :holder");
                asked["ExpressionAttributeNames"] = json!({"#holder": "Holder"});
                asked["ExpressionAttributeValues"] = json!({":holder": {"S": found.holder}});
                // Who was silent may have come back; who is to lose it loses it, alive or not.
                if let Some(expires) = found.expires.filter(|_| !over) {
                    asked["ConditionExpression"] = json!("#holder = :holder and #expires = :expires");
                    asked["ExpressionAttributeNames"]["#expires"] = json!("Expires");
                    asked["ExpressionAttributeValues"][":expires"] = json!({"N": expires.to_string()});
                }
            }
        }
        self.ask("put_item", asked, TAKING).await.map(|_| ())
    }

    /// Lets the lock live on while it is ours. Anything but a definite yes is an error.
    async fn renew(&self, identity: &str) -> Result<(), Unknown> {
        let (item, now) = self.read(TAKING).await?;
        if item.is_none_or(|item| item.holder != identity) {
            return Err(self.lost());
        }
        let asked = json!({
            "Key": {KEY: {"S": ITEM}},
            "UpdateExpression": "set #expires = :expires",
            "ConditionExpression": "#holder = :holder",
            "ExpressionAttributeNames": {"#holder": "Holder", "#expires": "Expires"},
            "ExpressionAttributeValues": {":holder": {"S": identity}, ":expires": {"N": expiry(now)}},
        });
        match self.ask("update_item", asked, TAKING).await {
            Ok(_) => Ok(()),
            Err(refused) if refused.code == NOT_SO => Err(self.lost()),
            Err(refused) => Err(self.told(refused)),
        }
    }

    async fn give_back(&self, identity: &str) {
        let asked = json!({
            "Key": {KEY: {"S": ITEM}},
            "ConditionExpression": "#holder = :holder",
            "ExpressionAttributeNames": {"#holder": "Holder"},
            "ExpressionAttributeValues": {":holder": {"S": identity}},
        });
        // What cannot be given back now expires.
        let _ = self.ask("delete_item", asked, GIVING_BACK).await;
    }

    fn named(&self, unknown: Unknown) -> Unknown {
        Unknown {
            detail: format!("the table `{}` of the lock: {}", self.name, unknown.detail),
            ..unknown
        }
    }

    fn told(&self, refused: Refused) -> Unknown {
        self.named(refused.failure.unknown)
    }

    fn lost(&self) -> Unknown {
        self.named(Unknown {
            reason: Reason::Denied,
            detail: "it says that the lock has expired or that somebody else has it".to_owned(),
        })
    }
}

fn expiry(now: Timestamp) -> String {
    now.as_second().saturating_add(SILENCE).to_string()
}

/// Takes the lock, or says who has it.
pub async fn take(
    account: &Arc<Account>,
    table: &str,
    holder: &Holder,
    take_over: Option<&str>,
) -> Result<Box<dyn Held>, NotTaken> {
    let mut nonce = [0_u8; 8];
    getrandom::fill(&mut nonce).map_err(|problem| {
        NotTaken::Unclear(Unknown {
            reason: Reason::Unavailable,
            detail: format!("no randomness: {problem}"),
        })
    })?;
    let identity = format!("{OURS}{} {}", hex::encode(nonce), holder.line());
    let table = Table {
        account: Arc::clone(account),
        name: table.to_owned(),
    };
    let mut last = None;
    for _ in 0..TRIES {
        let (item, now) = table.read(TAKING).await.map_err(NotTaken::Unclear)?;
        let mut over = false;
        if let Some(item) = &item {
            // Written before, and the answer was lost.
            if item.holder == identity {
                return Ok(held(table, identity));
            }
            over = take_over.is_some_and(|token| !token.is_empty() && token == item.holder);
            if !over && !item.free(now) {
                return Err(NotTaken::HeldBy(item.other()));
            }
        }
        match table.write(item.as_ref(), over, &identity, now).await {
            Ok(()) => return Ok(held(table, identity)),
            Err(refused) if refused.code == NOT_SO || !refused.failure.definite => last = Some(refused),
            Err(refused) => return Err(NotTaken::Unclear(table.told(refused))),
        }
    }
    Err(NotTaken::Unclear(
        last.map_or_else(|| table.lost(), |refused| table.told(refused)),
    ))
}

fn held(table: Table, identity: String) -> Box<dyn Held> {
    let identity: Arc<str> = identity.into();
    let beating = (table.clone(), Arc::clone(&identity));
    let heartbeat = tokio::spawn(async move {
        let (table, identity) = beating;
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            // A heartbeat that fails changes nothing here: the next change asks and is told.
            let _ = table.renew(&identity).await;
        }
    });
    Box::new(Lock {
        table,
        identity,
        heartbeat,
    })
}

struct Lock {
    table: Table,
    identity: Arc<str>,
    heartbeat: tokio::task::JoinHandle<()>,
}

impl Held for Lock {
    fn still_held<'a>(&'a self) -> BoxFuture<'a, Result<(), Unknown>> {
        Box::pin(self.table.renew(&self.identity))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.heartbeat.abort();
        let (table, identity) = (self.table.clone(), Arc::clone(&self.identity));
        // With a client of its own: connections belong to the runtime in which they were made.
        crate::provider::lock::give_back(GIVING_BACK, async move || {
            let account = Arc::new(Account::new(&table.account.name, &table.account.config));
            Table { account, ..table }.give_back(&identity).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use super::Item;
    use serde_json::json;

    #[test]
    fn an_item_is_free_when_its_holder_fell_silent() {
        let now = "2026-11-22T03:00:00Z".parse().unwrap();
        let free = |item: serde_json::Value| Item::of(&item).free(now);
        assert!(free(json!({"Holder": {"S": "x"}, "Expires": {"N": "1795316399"}})));
        assert!(!free(json!({"Holder": {"S": "x"}, "Expires": {"N": "1795316400"}})));
        // Without a time, with another kind of time, and without a holder it is nobody's invitation.
        assert!(!free(json!({"Holder": {"S": "x"}})));
        assert!(!free(json!({"Holder": {"S": "x"}, "Expires": {"S": "1"}})));
        assert!(!free(json!({"Info": {"S": "terraform"}, "Expires": {"N": "1"}})));
    }

    #[test]
    fn a_holder_is_shown_as_far_as_it_is_ours() {
        let item = json!({"Holder": {"S": "starr/00ff 260814-0912-kolu maria@laptop7"}, "Since": {"S": "2026-11-22 02:00:00 UTC"}});
        let ours = Item::of(&item).other();
        assert_eq!(ours.shown, "run 260814-0912-kolu maria@laptop7");
        assert_eq!(ours.since, "2026-11-22 02:00:00 UTC");
        let foreign = Item::of(&json!({"Holder": {"S": "leader-7"}})).other();
        assert_eq!(foreign.shown, "something that is no run of starr");
        assert_eq!(foreign.token, "leader-7");
    }
}
