//! The resources that an operation is about, as ARNs: exact where the runbook says the name, `*` where only the run knows it.

use super::typed;
use crate::models::aws::{Method, Service};
use crate::provider::native::Use;
use crate::value::Value;
use std::collections::BTreeSet;

/// Most resources of one call that are written one by one.
const MOST: usize = 50;

/// What a runbook says about one call: the name of an argument as the models have it, and its texts.
pub struct Said {
    args: Vec<(String, Vec<String>)>,
}

fn squeezed(text: &str) -> String {
    text.to_ascii_lowercase().replace(['_', '-'], "")
}

/// The texts of a value; `None` when a part of it is not known, or is no text.
fn texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Text(text) => Some(vec![text.to_string()]),
        Value::List(list) => list
            .items
            .iter()
            .map(|item| Some(item.as_str()?.to_owned()))
            .collect::<Option<Vec<_>>>()
            .filter(|texts| !texts.is_empty()),
        _ => None,
    }
}

impl Said {
    /// What a use says about an operation of the models, which it calls itself or which its typed operation calls.
    pub fn of(used: &Use) -> Self {
        let told = typed::told(&used.operation.path);
        let args = if typed::calls(&used.operation.path).is_empty() {
            let args = used.args.iter();
            args.filter_map(|(name, value)| Some((squeezed(name), texts(value.as_ref()?)?)))
                .collect()
        } else {
            told.iter()
                .filter_map(|(ours, theirs)| {
                    let value = match ours.split_once('.') {
                        Some((subject, field)) => used.field(subject, field),
                        None => used.arg(ours),
                    };
                    Some((squeezed(theirs), texts(value?)?))
                })
                .collect()
        };
        Self { args }
    }

    /// The texts of an argument.
    pub fn texts(&self, name: &str) -> Option<&[String]> {
        let name = squeezed(name);
        let (_, texts) = self.args.iter().find(|(known, _)| *known == name)?;
        Some(texts)
    }
}

/// A name: not a pattern, not an alias, not a whole ARN.
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['*', '?', '$', ':'])
}

/// True when an ARN has the form of a resource, in which `${…}` and `*` stand for anything.
pub fn is_of(arn: &str, template: &str) -> bool {
    if arn.contains(['*', '?', '$']) {
        return false;
    }
    let mut pattern = String::from("^");
    let mut rest = template;
    while let Some(at) = rest.find(['$', '*']) {
        pattern.push_str(&regex::escape(&rest[..at]));
        pattern.push_str(r"[^\s]+");
        let open = rest[at..].starts_with("${");
        rest = match rest[at..].find('}').filter(|_| open) {
            Some(end) => &rest[at + end + 1..],
            None => &rest[at + 1..],
        };
    }
    pattern.push_str(&regex::escape(rest));
    pattern.push('$');
    regex::Regex::new(&pattern).is_ok_and(|pattern| pattern.is_match(arn))
}

/// What may stand in the place of `${NAME}`.
fn names(wanted: &str, service: &Service, only: bool, said: &Said) -> Vec<String> {
    let plain = squeezed(wanted);
    for (arg, texts) in &said.args {
        let singular = arg.strip_suffix('s').unwrap_or(arg);
        let same = |arg: &str| arg == plain || format!("{arg}name") == plain || *arg == format!("{plain}name");
        let with_path = plain.strip_suffix("withpath").is_some_and(|plain| arg == plain);
        let parameter = service.name == "ssm" && plain.starts_with("parametername") && singular == "name";
        let queue = plain == "queuename" && arg == "queueurl";
        // `GroupId` of an operation that is about nothing but a security group.
        let short = only && arg.ends_with("id") && arg.len() >= 6 && plain.ends_with(arg.as_str());
        if !(same(arg) || same(singular) || with_path || parameter || queue || short) {
            continue;
        }
        let mut found = Vec::new();
        for text in texts {
            let text = match text.rsplit_once('/') {
                Some((_, name)) if queue => name,
                _ if parameter => text.strip_prefix('/').unwrap_or(text),
                _ => text,
            };
            // An alias of a key is not its name in an ARN.
            if !is_name(text) || (service.name == "kms" && text.starts_with("alias/")) {
                return vec!["*".to_owned()];
            }
            found.push(text.to_owned());
            if with_path {
                found.push(format!("*/{text}"));
            }
        }
        return found;
    }
    vec!["*".to_owned()]
}

fn filled(template: &str, service: &Service, only: bool, said: &Said) -> BTreeSet<String> {
    // What names itself whole is taken as it is.
    let whole: BTreeSet<String> = said
        .args
        .iter()
        .flat_map(|(_, texts)| texts)
        .filter(|text| is_of(text, template))
        .cloned()
        .collect();
    if !whole.is_empty() {
        return whole;
    }
    let mut made = vec![String::new()];
    let mut rest = template;
    while let Some((front, behind)) = rest.split_once("${") {
        let Some((name, behind)) = behind.split_once('}') else {
            break;
        };
        let mut names = names(name, service, only, said);
        if made.len() * names.len() > MOST {
            names = vec!["*".to_owned()];
        }
        made = made
            .iter()
            .flat_map(|begun| names.iter().map(move |name| format!("{begun}{front}{name}")))
            .collect();
        rest = behind;
    }
    made.into_iter().map(|begun| format!("{begun}{rest}")).collect()
}

/// The forms of an ARN that a service asks for beside the one of the reference.
fn forms(service: &Service, kind: &str, arn: String) -> Vec<String> {
    let exact = !arn.ends_with('*');
    match (service.name.as_str(), kind) {
        // Most operations ask for the group with everything in it.
        ("logs", "log-group") if exact => vec![format!("{arn}:*"), arn],
        // The service puts six characters behind the name of a secret.
        ("secretsmanager", "Secret") if exact => vec![format!("{arn}-??????"), arn],
        _ => vec![arn],
    }
}

/// The resources of one call; `*` when the operation is about none in particular.
pub fn resources(service: &Service, method: &Method, said: &Said, place: (&str, &str, &str)) -> BTreeSet<String> {
    let (partition, region, account) = place;
    // Narrower than all of them it does not show all that it is asked for.
    let whole = service.name == "cloudwatch" && method.name == "DescribeAlarms";
    let nothing = Said { args: Vec::new() };
    let said = if whole { &nothing } else { said };
    let only = method.resources.len() == 1;
    let mut known = BTreeSet::new();
    for kind in &method.resources {
        let Some(template) = service.resource(kind, partition, region, account) else {
            continue;
        };
        for arn in filled(&template, service, only, said) {
            known.extend(forms(service, kind, arn));
        }
    }
    if known.is_empty() {
        BTreeSet::from(["*".to_owned()])
    } else {
        known
    }
}

#[cfg(test)]
mod tests {
    use super::{Said, is_of, resources};
    use crate::models::aws::service;

    fn named(of: &str, path: &str, args: &[(&str, &[&str])]) -> Vec<String> {
        let service = service(of).unwrap();
        let method = service.method(path).unwrap();
        let said = Said {
            args: args
                .iter()
                .map(|(name, texts)| {
                    (
                        super::squeezed(name),
                        texts.iter().map(|text| (*text).to_owned()).collect(),
                    )
                })
                .collect(),
        };
        let place = ("aws", "eu-west-1", "123456789012");
        resources(&service, &method, &said, place).into_iter().collect()
    }

    #[test]
    fn what_the_runbook_names_is_exact() {
        let here = "eu-west-1:123456789012";
        assert_eq!(
            named("dynamodb", "describe_table", &[("TableName", &["orders"])]),
            [format!("arn:aws:dynamodb:{here}:table/orders")]
        );
        assert_eq!(
            named(
                "ecs",
                "describe_services",
                &[("cluster", &["shop"]), ("services", &["web", "api"])]
            ),
            [
                format!("arn:aws:ecs:{here}:service/shop/api"),
                format!("arn:aws:ecs:{here}:service/shop/web")
            ]
        );
        assert_eq!(
            named("logs", "filter_log_events", &[("logGroupName", &["/ecs/web"])]),
            [
                format!("arn:aws:logs:{here}:log-group:/ecs/web"),
                format!("arn:aws:logs:{here}:log-group:/ecs/web:*")
            ]
        );
        assert_eq!(
            named("secretsmanager", "get_secret_value", &[("SecretId", &["db"])]),
            [
                format!("arn:aws:secretsmanager:{here}:secret:db"),
                format!("arn:aws:secretsmanager:{here}:secret:db-??????")
            ]
        );
        assert_eq!(
            named("ssm", "get_parameter", &[("Name", &["/db/password"])]),
            [format!("arn:aws:ssm:{here}:parameter/db/password")]
        );
        assert_eq!(
            named("iam", "list_attached_role_policies", &[("RoleName", &["web"])]),
            [
                "arn:aws:iam::123456789012:role/*/web".to_owned(),
                "arn:aws:iam::123456789012:role/web".to_owned()
            ]
        );
        assert_eq!(
            named("ec2", "authorize_security_group_ingress", &[("GroupId", &["sg-1"])]),
            [format!("arn:aws:ec2:{here}:security-group/sg-1")]
        );
        let queue = "https://sqs.eu-west-1.amazonaws.com/123456789012/orders";
        assert_eq!(
            named("sqs", "get_queue_attributes", &[("QueueUrl", &[queue])]),
            [format!("arn:aws:sqs:{here}:orders")]
        );
        let group = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/axon/1a";
        assert_eq!(
            named("elbv2", "register_targets", &[("TargetGroupArn", &[group])]),
            [group]
        );
    }

    #[test]
    fn what_only_the_run_knows_is_any() {
        let here = "eu-west-1:123456789012";
        let any = [format!("arn:aws:dynamodb:{here}:table/*")];
        assert_eq!(named("dynamodb", "describe_table", &[]), any);
        for odd in ["*", "orders*", "${x}", "", "a:b"] {
            assert_eq!(
                named("dynamodb", "describe_table", &[("TableName", &[odd])]),
                any,
                "{odd}"
            );
        }
        // The key behind an alias has another name.
        assert_eq!(
            named("kms", "describe_key", &[("KeyId", &["alias/shop"])]),
            [format!("arn:aws:kms:{here}:key/*")]
        );
        // Of more than fifty one name is not written.
        let many: Vec<String> = (0..60).map(|number| format!("s{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(
            named(
                "ecs",
                "describe_services",
                &[("cluster", &["shop"]), ("services", &many)]
            ),
            [format!("arn:aws:ecs:{here}:service/shop/*")]
        );
        assert_eq!(named("ecs", "list_clusters", &[]), ["*"]);
        assert_eq!(
            named("cloudwatch", "describe_alarms", &[("AlarmNames", &["web"])]),
            [format!("arn:aws:cloudwatch:{here}:alarm:*")]
        );
    }

    #[test]
    fn an_arn_has_the_form_of_its_resource() {
        let template = "arn:aws:elasticloadbalancing:eu-west-1:*:targetgroup/${TargetGroupName}/${TargetGroupId}";
        let of = |arn: &str| is_of(arn, template);
        assert!(of(
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/axon/1a"
        ));
        for other in [
            "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/axon/1a",
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/axon/1a",
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/axon",
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup//",
            "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/axon/*",
            "axon",
            "",
        ] {
            assert!(!of(other), "{other}");
        }
    }
}
