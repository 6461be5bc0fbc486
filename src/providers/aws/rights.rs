//! The rights that operations need, as policies of IAM: actions from the service authorization reference, resources where they are known.

use super::arns::{self, Said};
use super::config::AccountConfig;
use super::{Aws, typed};
use crate::models::aws::{Method, Service, partition};
use crate::provider::modelled::aws::{ACCOUNT, NAME, Named, find};
use crate::provider::native::{Privilege, Use};
use crate::value::Value;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// The account of a call that does not say which.
pub const ANY: &str = "(any)";

/// Conditions of a statement: by operator and key.
pub type Conditions = BTreeMap<&'static str, BTreeMap<&'static str, BTreeSet<String>>>;

/// One statement, before it is written.
#[derive(Default)]
pub struct Statement {
    because: BTreeSet<String>,
    /// `ecs:UpdateService` by the resources it is about and the conditions it needs.
    pub actions: BTreeMap<(BTreeSet<String>, Conditions), BTreeSet<String>>,
    /// True when an action is not in the reference.
    guessed: bool,
}

/// Actions of ECS that know the cluster, by the service authorization reference.
const OF_CLUSTERS: &[&str] = &[
    "CreateExpressGatewayService",
    "CreateService",
    "CreateTaskSet",
    "DeleteAttributes",
    "DeleteExpressGatewayService",
    "DeleteService",
    "DeleteTaskSet",
    "DescribeContainerInstances",
    "DescribeExpressGatewayService",
    "DescribeServiceDeployments",
    "DescribeServiceRevisions",
    "DescribeServices",
    "DescribeTaskSets",
    "DescribeTasks",
    "ExecuteCommand",
    "GetTaskProtection",
    "ListServiceDeployments",
    "ListServices",
    "ListTasks",
    "PutAttributes",
    "RunTask",
    "StartTask",
    "StopServiceDeployment",
    "StopTask",
    "UpdateContainerAgent",
    "UpdateContainerInstancesState",
    "UpdateExpressGatewayService",
    "UpdateService",
    "UpdateServicePrimaryTaskSet",
    "UpdateTaskProtection",
    "UpdateTaskSet",
];

/// That it is asked for in this region.
fn of_region(region: &str) -> Conditions {
    let here = BTreeMap::from([("aws:RequestedRegion", BTreeSet::from([region.to_owned()]))]);
    BTreeMap::from([("StringEquals", here)])
}

/// What else must hold: the region, the cluster, whose bucket it is.
fn conditions(service: &Service, method: &Method, said: &Said, config: Option<&AccountConfig>) -> Conditions {
    let Some(config) = config else {
        return Conditions::new();
    };
    let region = config.region.as_str();
    let account = config.id.as_deref().unwrap_or("*");
    let name = partition(region).map_or("aws", |partition| partition.id.as_str());
    // A service of the whole partition is asked in a region of its own.
    let mut conditions = match service.place(region) {
        Some(place) if place.signing_region == region => of_region(region),
        _ => Conditions::new(),
    };
    let mut add = |operator, key, value: String| {
        let keys = conditions.entry(operator).or_default();
        keys.entry(key).or_default().insert(value);
    };
    if service.name == "ecs"
        && OF_CLUSTERS.contains(&method.action.as_str())
        && let Some([cluster]) = said.texts("cluster")
    {
        if arns::is_name(cluster) {
            let arn = format!("arn:{name}:ecs:{region}:{account}:cluster/{cluster}");
            add("ArnLike", "ecs:cluster", arn);
        } else if arns::is_of(cluster, &format!("arn:{name}:ecs:{region}:*:cluster/*")) {
            add("ArnLike", "ecs:cluster", cluster.clone());
        }
    }
    // The ARN of a bucket does not say whose it is.
    if service.name == "s3" && !method.resources.is_empty() && account != "*" {
        add("StringEquals", "aws:ResourceAccount", account.to_owned());
    }
    conditions
}

/// What these operations need, by account and by whether it is for changes.
pub fn statements(aws: &Aws, uses: &[Use]) -> BTreeMap<(String, bool), Statement> {
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
    let actions = ["GetItem", "PutItem", "DeleteItem"].map(|action| format!("dynamodb:{action}"));
    statement
        .actions
        .entry((BTreeSet::from([arn]), of_region(region)))
        .or_default()
        .extend(actions);
}

/// Adds what one operation of the models needs.
fn one(aws: &Aws, used: &Use, path: &str, needed: &mut BTreeMap<(String, bool), Statement>) {
    let Some((service, Named::Method(method) | Named::Waiter(_, method))) = find(path) else {
        return;
    };
    // What a typed change is about says whose it is.
    let subject = || {
        let mut parts = used.parts.iter();
        parts.find_map(|(_, value)| value.as_record()?.get(ACCOUNT)?.as_str())
    };
    let target = used.arg(ACCOUNT).and_then(Value::as_str).or_else(subject);
    let target = target.unwrap_or(ANY).to_owned();
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
    let name = partition(region).map_or("aws", |partition| partition.id.as_str());
    let said = Said::of(used);
    let about = arns::resources(&service, &method, &said, (name, region, account));
    entry
        .actions
        .entry((about, conditions(&service, &method, &said, config)))
        .or_default()
        .insert(format!("{prefix}:{}", method.action));
}

fn policy(statement: &Statement) -> serde_json::Value {
    let statements: Vec<_> = statement
        .actions
        .iter()
        .map(|((resources, conditions), actions)| {
            let mut written = json!({"Effect": "Allow", "Action": actions, "Resource": resources});
            if !conditions.is_empty() {
                written["Condition"] = json!(conditions);
            }
            written
        })
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
