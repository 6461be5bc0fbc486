//! The rights that operations need, as policies of IAM: actions from the service authorization reference, resources where they are known.

use super::config::AccountConfig;
use super::{Aws, typed};
use crate::models::aws::{Method, Service, partition};
use crate::provider::modelled::aws::{ACCOUNT, NAME, Named, find};
use crate::provider::native::{Privilege, Use};
use crate::value::Value;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// The account of a call that does not say which.
const ANY: &str = "(any)";

/// One statement, before it is written.
#[derive(Default)]
struct Statement {
    because: BTreeSet<String>,
    /// `ecs:UpdateService` by the resources it is about.
    actions: BTreeMap<BTreeSet<String>, BTreeSet<String>>,
    /// True when an action is not in the reference.
    guessed: bool,
}

/// A name that is written in the runbook, when it is the one that a placeholder of a resource asks for.
fn filled(template: &str, used: &Use) -> String {
    let mut made = String::new();
    let mut rest = template;
    while let Some((front, behind)) = rest.split_once("${") {
        let Some((name, behind)) = behind.split_once('}') else {
            break;
        };
        made.push_str(front);
        let squeezed = |text: &str| text.to_ascii_lowercase().replace(['_', '-'], "");
        let wanted = squeezed(name);
        let known = used.args.iter().find_map(|(arg, value)| {
            let arg = squeezed(arg);
            let same = arg == wanted || format!("{arg}name") == wanted || arg == format!("{wanted}name");
            let text = match value {
                Some(Value::Text(text)) if same => text,
                _ => return None,
            };
            // A name, not a pattern and not a whole ARN.
            (!text.contains(['*', '?', '$', ':'])).then(|| text.to_string())
        });
        made.push_str(known.as_deref().unwrap_or("*"));
        rest = behind;
    }
    made.push_str(rest);
    made
}

fn resources(service: &Service, method: &Method, used: &Use, region: &str, account: &str) -> BTreeSet<String> {
    let name = partition(region).map_or("aws", |partition| partition.id.as_str());
    let known: BTreeSet<String> = method
        .resources
        .iter()
        .filter_map(|kind| service.resource(kind, name, region, account))
        .map(|template| filled(&template, used))
        .collect();
    if known.is_empty() {
        BTreeSet::from(["*".to_owned()])
    } else {
        known
    }
}

fn statements(aws: &Aws, uses: &[Use]) -> BTreeMap<(String, bool), Statement> {
    let mut needed: BTreeMap<(String, bool), Statement> = BTreeMap::new();
    for used in uses.iter().filter(|used| &*used.operation.provider == NAME) {
        let path = &*used.operation.path;
        let typed = typed::calls(path);
        let paths = if typed.is_empty() { vec![path] } else { typed.to_vec() };
        for path in paths {
            one(aws, used, path, &mut needed);
        }
    }
    for ((target, _), statement) in needed.iter_mut().filter(|((_, changes), _)| *changes) {
        let meant = aws.accounts.iter().filter(|(name, _)| target == ANY || *name == target);
        meant.for_each(|(_, account)| of_lock(&account.config, statement));
    }
    needed
}

/// Adds what the lock of an account needs.
fn of_lock(config: &AccountConfig, statement: &mut Statement) {
    let Some(table) = &config.lock_table else { return };
    let region = config.region.as_str();
    let partition = partition(region).map_or("aws", |partition| partition.id.as_str());
    let account = config.id.as_deref().unwrap_or("*");
    let arn = format!("arn:{partition}:dynamodb:{region}:{account}:table/{table}");
    statement.because.insert("the lock of the account".to_owned());
    let actions = ["GetItem", "PutItem", "UpdateItem", "DeleteItem"].map(|action| format!("dynamodb:{action}"));
    statement
        .actions
        .entry(BTreeSet::from([arn]))
        .or_default()
        .extend(actions);
}

/// Adds what one operation of the models needs.
fn one(aws: &Aws, used: &Use, path: &str, needed: &mut BTreeMap<(String, bool), Statement>) {
    let Some((service, Named::Method(method) | Named::Waiter(_, method))) = find(path) else {
        return;
    };
    let target = used.arg(ACCOUNT).and_then(Value::as_str).unwrap_or(ANY).to_owned();
    let config = aws.accounts.get(&target).map(|account| &account.config);
    let region = config.map_or("*", |config| config.region.as_str());
    let account = config.and_then(|config| config.id.as_deref()).unwrap_or("*");
    let entry = needed.entry((target, !method.access.is_read())).or_default();
    entry.because.insert(used.operation.full_name());
    let prefix = service.iam_prefix().unwrap_or(&service.name);
    entry.guessed |= service.iam_prefix().is_none();
    // Nobody needs a right to ask who he is.
    if service.name == "sts" && method.name == "GetCallerIdentity" {
        return;
    }
    entry
        .actions
        .entry(resources(&service, &method, used, region, account))
        .or_default()
        .insert(format!("{prefix}:{}", method.action));
}

fn policy(statement: &Statement) -> serde_json::Value {
    let statements: Vec<_> = statement
        .actions
        .iter()
        .map(|(resources, actions)| json!({"Effect": "Allow", "Action": actions, "Resource": resources}))
        .collect();
    json!({"Version": "2012-10-17", "Statement": statements})
}

/// One policy for each account and kind of login.
pub fn privileges(aws: &Aws, uses: &[Use]) -> Vec<Privilege> {
    statements(aws, uses)
        .into_iter()
        .filter(|(_, statement)| !statement.actions.is_empty())
        .map(|((target, changes), statement)| Privilege {
            complete: target != ANY && !statement.guessed,
            target,
            login: if changes { "change" } else { "read" }.to_owned(),
            statement: policy(&statement).to_string(),
            because: statement.because.into_iter().collect(),
        })
        .collect()
}

/// The policies as one document for each, to be attached to roles.
pub fn documents(aws: &Aws, uses: &[Use]) -> String {
    let mut text = String::new();
    for ((target, changes), statement) in statements(aws, uses) {
        if statement.actions.is_empty() {
            continue;
        }
        let what = if changes { "changes" } else { "checks" };
        text.push_str(&format!("# account {target}: the role for {what}\n"));
        let policy = serde_json::to_string_pretty(&policy(&statement)).unwrap_or_default();
        text.push_str(&policy);
        text.push_str("\n\n");
    }
    text
}
