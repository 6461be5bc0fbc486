//! Secrets and parameters of an account as a source of credentials: `{ aws: ACCOUNT, secret: NAME, key: NAME }`, `{ aws: ACCOUNT, parameter: NAME }`.

use super::client::Account;
use super::config::{AccountConfig, Config};
use super::found;
use crate::providers::secret::fetched;
use crate::secrets::{AccountSecret, Keeper, Kept};
use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// Longest wait for a secret, the account's own credentials included.
const PATIENCE: Duration = Duration::from_secs(30);

/// The accounts of an environment, to read secrets from. Nothing is connected before the first one.
pub struct Source {
    accounts: BTreeMap<String, AccountConfig>,
}

impl Source {
    /// The accounts of this configuration.
    pub fn new(config: &Config) -> Self {
        Self {
            accounts: config.accounts.clone(),
        }
    }
}

impl Keeper<AccountSecret> for Source {
    fn read(&self, wanted: &AccountSecret) -> Result<Zeroizing<Vec<u8>>, String> {
        fetched(wanted, async || {
            let config = self.accounts.get(&wanted.account);
            let config = config.ok_or("this environment has no such account")?;
            let account = Account::new(&wanted.account, config);
            match &wanted.kept {
                Kept::Secret { name, key } => {
                    let asked = json!({"SecretId": name});
                    let mut answer = answered(&account, "secretsmanager", "get_secret_value", asked).await?;
                    if answer.get("SecretBinary").is_some_and(|value| !value.is_null()) {
                        return Err("its value is bytes and not a text".to_owned());
                    }
                    let value = text(answer.remove("SecretString"))?;
                    match key {
                        Some(key) => of_key(&value, key),
                        None => Ok(value),
                    }
                }
                Kept::Parameter(name) => {
                    let asked = json!({"Name": name, "WithDecryption": true});
                    let mut answer = answered(&account, "ssm", "get_parameter", asked).await?;
                    let found = answer.get_mut("Parameter").and_then(|found| found.get_mut("Value"));
                    text(found.map(Json::take))
                }
            }
        })
    }
}

/// Both services speak JSON.
async fn answered(account: &Account, of: &str, path: &str, asked: Json) -> Result<Map<String, Json>, String> {
    let (service, method) = found(of, path).map_err(|unknown| unknown.detail)?;
    let asked = asked.as_object().cloned().unwrap_or_default();
    let until = Instant::now() + PATIENCE;
    let body = account.body((&service, &method), &asked, until).await;
    let body = body.map_err(|refused| refused.failure.unknown.detail)?;
    serde_json::from_slice(&body).map_err(|_| "the answer is no JSON object".to_owned())
}

fn text(found: Option<Json>) -> Result<Zeroizing<Vec<u8>>, String> {
    match found {
        Some(Json::String(text)) => Ok(Zeroizing::new(text.into_bytes())),
        _ => Err("the answer holds no value".to_owned()),
    }
}

/// One key of a secret that is a JSON object.
fn of_key(value: &[u8], key: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    // What the reader says of a value that is no JSON may quote it.
    let mut object: Map<String, Json> =
        serde_json::from_slice(value).map_err(|_| "its value is no JSON object, so it has no keys")?;
    match object.remove(key) {
        Some(Json::String(text)) => Ok(Zeroizing::new(text.into_bytes())),
        Some(_) => Err("the value of this key is not a text".to_owned()),
        None => Err("the secret has no such key".to_owned()),
    }
}
