//! AWS: every operation of every service, from the service models that are in the program; the common ones typed in `std.aws`.

mod arns;
mod client;
mod conceal;
pub mod config;
mod credentials;
mod decode;
mod encode;
mod lock;
mod pages;
mod rights;
mod schema;
pub mod secrets;
mod simulate;
mod typed;
mod waiter;
pub mod wire;

#[cfg(test)]
mod golden_tests;
#[cfg(test)]
mod tests;

use super::arguments::patience;
use super::failure::{Failure, wrong};
use crate::models::aws::{Method, Service, Waiter, service};
use crate::provider::lock::{Held, Holder, NotTaken};
use crate::provider::modelled::aws::{ACCOUNT, NAME, Named, find, given};
use crate::provider::native::{PreviewPass, Previewed, Privilege, Right, Use};
use crate::provider::{Call, Health, HealthState, Idempotence, Outcome, Permit, Provider};
use crate::value::{Reason, Type, Unknown, Value, document};
use client::{Account, Again, Refused};
use config::Config;
use futures::future::BoxFuture;
use serde_json::{Map, Value as Json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The provider `aws`: the accounts of an environment.
pub struct Aws {
    accounts: BTreeMap<String, Arc<Account>>,
}

/// A key as an idempotency token: of the length and the letters that every service takes.
fn token(key: &str) -> String {
    let digest = hex::encode(Sha256::digest(key));
    format!(
        "{}-{}-{}-{}-{}",
        &digest[..8],
        &digest[8..12],
        &digest[12..16],
        &digest[16..20],
        &digest[20..32]
    )
}

/// The arguments of a call under the names of the interface, with the key where it takes one.
fn values(service: &Service, method: &Method, call: &Call) -> Result<Map<String, Json>, Unknown> {
    let mut values = Map::new();
    for member in given(service, method) {
        match call.arg(&member.argument()) {
            Value::None => {}
            value => {
                values.insert(member.name.clone(), document::of(value)?);
            }
        }
    }
    for member in service.members(method.input) {
        if member.traits.token == 0 {
            continue;
        }
        match (&call.key, &call.operation.idempotence) {
            (Some(key), _) => {
                values.insert(member.name.clone(), Json::String(token(key)));
            }
            (None, Idempotence::Keyed) => {
                return Err(wrong(Reason::Internal, "no key was recorded for this call"));
            }
            // A look that takes one: any will do.
            (None, _) => {
                let mut bytes = [0u8; 16];
                getrandom::fill(&mut bytes).map_err(|_| wrong(Reason::Unavailable, "no randomness"))?;
                values.insert(member.name.clone(), Json::String(token(&hex::encode(bytes))));
            }
        }
    }
    Ok(values)
}

/// An operation that was found, with everything a call of it needs.
struct Found<'a> {
    account: &'a Account,
    service: Arc<Service>,
    method: Method,
    waiter: Option<Waiter>,
    values: Map<String, Json>,
    until: Instant,
}

impl Aws {
    /// The accounts of the configuration, by name.
    ///
    /// # Errors
    /// Names the entry that cannot be used and says why.
    pub fn new(config: &Config) -> Result<Self, String> {
        config.validate()?;
        let accounts = config.accounts.iter();
        Ok(Self {
            accounts: accounts
                .map(|(name, account)| (name.clone(), Arc::new(Account::new(name, account))))
                .collect(),
        })
    }

    fn account(&self, call: &Call) -> Result<&Account, Unknown> {
        match call.arg(ACCOUNT) {
            Value::Unknown(unknown) => Err((**unknown).clone()),
            value => self.named(value.as_str().unwrap_or_default()),
        }
    }

    fn named(&self, name: &str) -> Result<&Account, Unknown> {
        self.accounts.get(name).map(Arc::as_ref).ok_or_else(|| {
            wrong(
                Reason::Unavailable,
                format!("no account `{name}` is configured in this environment"),
            )
        })
    }

    fn found(&self, call: &Call) -> Result<Found<'_>, Unknown> {
        let path = &*call.operation.path;
        let (service, named) =
            find(path).ok_or_else(|| wrong(Reason::Internal, format!("`{NAME}.{path}` is in no model")))?;
        let (method, waiter) = match named {
            Named::Method(method) => (method, None),
            Named::Waiter(waiter, method) => (method, Some(waiter)),
        };
        Ok(Found {
            account: self.account(call)?,
            values: values(&service, &method, call)?,
            service,
            method,
            waiter,
            until: Instant::now() + patience(call),
        })
    }

    async fn look(&self, call: &Call) -> Result<Value, Unknown> {
        if typed::OPERATIONS.contains(&&*call.operation.path) {
            return self.typed_look(call).await;
        }
        let found = self.found(call)?;
        let called = (&found.service, &found.method);
        if let Some(waiter) = &found.waiter {
            return waiter::wait(found.account, (called.0, called.1, waiter), &found.values, found.until).await;
        }
        // The gate lets only looks through; this is the second line.
        if !found.method.access.is_read() {
            return Err(wrong(Reason::Internal, "this changes something"));
        }
        let answered = pages::all(found.account, called, &found.values, found.until)
            .await
            .map_err(|refused| refused.failure.unknown)?;
        Ok(Value::Json(Arc::new(Json::Object(answered.values))))
    }

    async fn send(&self, call: &Call) -> Result<Value, Failure> {
        if typed::OPERATIONS.contains(&&*call.operation.path) {
            return self.typed_change(call).await;
        }
        let found = self.found(call)?;
        if found.waiter.is_some() {
            return Err(wrong(Reason::Internal, "a wait changes nothing").into());
        }
        let again = if call.operation.idempotence == Idempotence::Keyed {
            Again::Harmless
        } else {
            Again::Never
        };
        let answered = found
            .account
            .call((&found.service, &found.method), &found.values, again, found.until)
            .await
            .map_err(|refused| refused.failure)?;
        Ok(Value::Json(Arc::new(Json::Object(answered.values))))
    }

    /// EC2 says with `DryRun` whether it would do something, and does nothing.
    async fn rehearse(&self, call: &Call) -> Previewed {
        let mut found = match self.found(call) {
            Ok(found) => found,
            Err(unknown) => return Previewed::Unknown(unknown),
        };
        let takes = found.service.members(found.method.input);
        if !takes.iter().any(|member| member.name == "DryRun") {
            return Previewed::NoPreview;
        }
        found.values.insert("DryRun".to_owned(), Json::Bool(true));
        let called = (&found.service, &found.method);
        let shown = |line: &str| Previewed::Shown {
            how: "server-side dry run".to_owned(),
            lines: vec![line.to_owned()],
        };
        match found
            .account
            .call(called, &found.values, Again::Never, found.until)
            .await
        {
            Err(Refused { code, .. }) if code == "DryRunOperation" => {
                shown("it would be done: rights and parameters are good")
            }
            Err(refused) => match refused.failure.unknown.reason {
                Reason::Denied => shown("it would be refused: the right to do it is missing"),
                _ => Previewed::Unknown(refused.failure.unknown),
            },
            Ok(_) => Previewed::Unknown(wrong(
                Reason::Unparsable,
                "the service took a dry run and did not say what would be done",
            )),
        }
    }

    async fn health(&self, account: &Account) -> Health {
        let subject = format!("aws {}", account.name);
        let until = Instant::now() + Duration::from_secs(10);
        let asked = service("sts").and_then(|sts| Some((sts.clone(), sts.method("get_caller_identity")?)));
        let Some((sts, method)) = asked else {
            return Health {
                subject,
                state: HealthState::Bad,
                detail: "the service models cannot be read (a mistake in starr)".to_owned(),
            };
        };
        let (state, detail) = match account.call((&sts, &method), &Map::new(), Again::Harmless, until).await {
            Ok(answered) => {
                let arn = answered.values.get("Arn").and_then(Json::as_str).unwrap_or_default();
                let id = answered.values.get("Account").and_then(Json::as_str);
                match (&account.config.id, id) {
                    (Some(wanted), Some(found)) if wanted != found => (
                        HealthState::Bad,
                        format!("the credentials are of account {found}, the configuration says {wanted}"),
                    ),
                    _ => (HealthState::Good, format!("{} as {arn}", account.config.region)),
                }
            }
            Err(refused) => (HealthState::Bad, refused.failure.unknown.to_string()),
        };
        Health { subject, state, detail }
    }
}

impl Provider for Aws {
    fn name(&self) -> &'static str {
        NAME
    }

    fn operations(&self) -> &'static [&'static str] {
        typed::OPERATIONS
    }

    fn targets(&self, call: &Call) -> Vec<String> {
        if let Some(name) = call.arg(ACCOUNT).as_str() {
            return vec![name.to_owned()];
        }
        // What a typed change is about says whose it is.
        let subject = call
            .args
            .iter()
            .find_map(|(_, value)| value.as_record()?.get("account")?.as_str());
        vec![subject.unwrap_or_default().to_owned()]
    }

    fn read<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Value> {
        Box::pin(async move { Value::or_unknown(self.look(call).await) })
    }

    fn change<'a>(&'a self, call: &'a Call, _permit: &'a Permit) -> BoxFuture<'a, Outcome> {
        Box::pin(async move {
            match self.send(call).await {
                // What the service says beside its promise to say nothing is of no use.
                Ok(_) if call.operation.result == Type::Nothing => Outcome::Done(Value::None),
                Ok(value) => Outcome::Done(value),
                Err(failure) => failure.outcome(),
            }
        })
    }

    fn lock<'a>(
        &'a self,
        target: &'a str,
        holder: &'a Holder,
        take_over: Option<&'a str>,
    ) -> BoxFuture<'a, Result<Option<Box<dyn Held>>, NotTaken>> {
        Box::pin(async move {
            let Some(account) = self.accounts.get(target) else {
                return Ok(None);
            };
            lock::take(account, holder, take_over).await
        })
    }

    fn exceptions(&self) -> Vec<String> {
        let elsewhere = self.accounts.values().filter_map(|account| {
            let endpoint = account.config.endpoint.as_ref()?;
            Some(format!("aws {}: everything is sent to {endpoint}", account.name))
        });
        elsewhere.collect()
    }

    fn preview<'a>(&'a self, call: &'a Call, _pass: &'a PreviewPass) -> BoxFuture<'a, Previewed> {
        Box::pin(self.rehearse(call))
    }

    fn privileges(&self, uses: &[Use]) -> Option<Vec<Privilege>> {
        Some(rights::privileges(self, uses))
    }

    fn grant_documents(&self, uses: &[Use]) -> Option<String> {
        Some(rights::documents(self, uses))
    }

    fn allowed<'a>(&'a self, uses: &'a [Use]) -> BoxFuture<'a, Option<Vec<Right>>> {
        Box::pin(async move { Some(simulate::rights(self, uses).await) })
    }

    fn doctor<'a>(&'a self) -> BoxFuture<'a, Vec<Health>> {
        Box::pin(async move {
            let of = async |account: &Arc<Account>| [Some(self.health(account).await), lock::health(account).await];
            let lines = futures::future::join_all(self.accounts.values().map(of)).await;
            lines.into_iter().flatten().flatten().collect()
        })
    }
}

/// An operation of the models.
fn found(of: &str, path: &str) -> Result<(Arc<Service>, Method), Unknown> {
    service(of)
        .and_then(|service| {
            let method = service.method(path)?;
            Some((service, method))
        })
        .ok_or_else(|| wrong(Reason::Internal, format!("`{of}.{path}` is in no model")))
}
