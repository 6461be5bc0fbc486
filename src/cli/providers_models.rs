//! `starr providers aws ecs UpdateService`: interfaces that come from service models.

use super::output::{Output, Style, line};
use super::{Exit, Failure, table};
use crate::models::aws::{Kind, Member, Method, Service, service, services};
use crate::provider::modelled::{self, aws::given};
use std::collections::BTreeSet;

/// Most structures that are described below an operation.
const STRUCTURES: usize = 200;

/// The services, the operations of one, or one operation.
pub fn show(of: &str, operation: Option<&str>, output: Output) -> Result<Exit, Failure> {
    let Some(found) = service(of) else {
        let near: Vec<&str> = services()
            .filter(|name| name.contains(of) || of.contains(name))
            .take(8)
            .collect();
        let hint = if near.is_empty() {
            "`starr providers aws` counts them".to_owned()
        } else {
            format!("did you mean {}?", near.join(", "))
        };
        return Err(Failure::usage(format!("AWS has no service `{of}`; {hint}")));
    };
    let Some(name) = operation else {
        return Ok(all(&found, output));
    };
    let method = found.method(name).or_else(|| found.method_named(name));
    let waiter = found.waiter(name);
    let Some(method) = method.or_else(|| found.method(&waiter.as_ref()?.operation)) else {
        let wanted = name.to_ascii_lowercase().replace('_', "");
        let near: Vec<String> = found
            .methods()
            .filter(|method| {
                method.name.to_ascii_lowercase().contains(&wanted) || wanted.contains(&method.name.to_ascii_lowercase())
            })
            .map(|method| method.path)
            .take(8)
            .collect();
        return Err(Failure::usage(format!(
            "`{of}` has no operation `{name}`{}",
            if near.is_empty() {
                String::new()
            } else {
                format!("; did you mean {}?", near.join(", "))
            }
        )));
    };
    Ok(one(&found, &method, output))
}

/// One line about all services, for the list of providers.
pub fn summary() -> String {
    format!(
        "and every operation of {} services: `starr providers aws SERVICE [OPERATION]`",
        services().count()
    )
}

fn row(service: &Service, method: &Method) -> Vec<String> {
    vec![
        if method.access.is_read() { "read" } else { "change" }.to_owned(),
        format!("aws.{}.{}", service.name, method.path),
        method.access.word().to_owned(),
    ]
}

fn all(service: &Service, output: Output) -> Exit {
    if output.json {
        let methods: Vec<serde_json::Value> = service.methods().map(|method| json(service, &method)).collect();
        line(&serde_json::Value::from(methods).to_string());
        return Exit::Good;
    }
    line(&output.style(Style::Heading, service.full_name()));
    let heading = ["effect", "operation", "access"].map(str::to_owned).to_vec();
    let methods = service.methods().map(|method| row(service, &method));
    let waits = service.waiters().map(|waiter| {
        vec![
            "read".to_owned(),
            format!("aws.{}.{}", service.name, waiter.path),
            "wait".to_owned(),
        ]
    });
    let rows: Vec<Vec<String>> = std::iter::once(heading).chain(methods).chain(waits).collect();
    for text in table::align(&rows, output.width) {
        line(&format!("  {text}"));
    }
    Exit::Good
}

fn words(service: &Service, shape: usize) -> String {
    let Some(shape) = service.shape(shape) else {
        return "anything".to_owned();
    };
    match &shape.kind {
        Kind::Text { values } if !values.is_empty() => {
            let some = values
                .iter()
                .take(12)
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(" | ");
            format!("{some}{}", if values.len() > 12 { " | …" } else { "" })
        }
        Kind::Text { .. } => "Text".to_owned(),
        Kind::Blob => "Text (bytes)".to_owned(),
        Kind::Integer | Kind::Long => "Int".to_owned(),
        Kind::Float | Kind::Double => "Float".to_owned(),
        Kind::Bool => "Bool".to_owned(),
        Kind::Time => "Time".to_owned(),
        Kind::Document => "Json".to_owned(),
        Kind::List(of) => format!("List<{}>", words(service, of.shape)),
        Kind::Map(_, of) => format!("{{name: {}}}", words(service, of.shape)),
        Kind::Structure { name, .. } => name.clone(),
    }
}

/// The structures that are named below a shape, in the order in which they are met.
fn below(service: &Service, shape: usize, seen: &mut BTreeSet<usize>, found: &mut Vec<usize>) {
    let Some(kind) = service.shape(shape).map(|shape| shape.kind.clone()) else {
        return;
    };
    match kind {
        Kind::List(of) | Kind::Map(_, of) => below(service, of.shape, seen, found),
        Kind::Structure { members, .. } if found.len() < STRUCTURES && seen.insert(shape) => {
            found.push(shape);
            for member in members {
                below(service, member.shape, seen, found);
            }
        }
        _ => {}
    }
}

fn member(service: &Service, member: &Member) -> Vec<String> {
    vec![
        format!("  {}", member.name),
        words(service, member.shape),
        if member.traits.required != 0 { "required" } else { "" }.to_owned(),
    ]
}

fn structures(service: &Service, of: &[Member], output: Output) {
    let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
    for member in of {
        below(service, member.shape, &mut seen, &mut found);
    }
    for shape in found {
        line(&format!("  {}", output.style(Style::Heading, &words(service, shape))));
        let rows: Vec<_> = service
            .members(Some(shape))
            .iter()
            .map(|one| member(service, one))
            .collect();
        for text in table::align(&rows, output.width) {
            line(&format!("  {text}"));
        }
    }
}

fn facts(service: &Service, method: &Method) -> Vec<String> {
    let path = format!("{}.{}", service.name, method.path);
    let mut facts = vec![format!("level of access: {}", method.access.word())];
    if let Some(operation) = modelled::operation("aws", &path) {
        facts.push(format!("{} of {}", operation.effect.word(), operation.capability()));
        facts.push(format!("idempotence class {}", operation.idempotence.class()));
    }
    if let Some(refusal) = modelled::refusal("aws", &path) {
        facts.push(refusal);
    }
    if let Some(prefix) = service.iam_prefix() {
        facts.push(format!("IAM action {prefix}:{}", method.action));
    }
    if method.pages.is_some() {
        facts.push("all pages".to_owned());
    }
    if service
        .members(method.input)
        .iter()
        .any(|member| member.name == "DryRun")
    {
        facts.push("preview: server-side dry run".to_owned());
    }
    let waits: Vec<String> = service
        .waiters()
        .filter(|waiter| waiter.operation == method.path)
        .map(|waiter| format!("aws.{}.{}", service.name, waiter.path))
        .collect();
    if !waits.is_empty() {
        facts.push(format!("waits: {}", waits.join(", ")));
    }
    if method.deprecated {
        facts.push("deprecated".to_owned());
    }
    facts
}

fn json(service: &Service, method: &Method) -> serde_json::Value {
    let parameters: Vec<serde_json::Value> = given(service, method)
        .iter()
        .map(|member| {
            serde_json::json!({
                "name": member.argument(),
                "type": words(service, member.shape),
                "required": member.traits.required != 0,
            })
        })
        .collect();
    serde_json::json!({
        "operation": format!("aws.{}.{}", service.name, method.path),
        "name": method.name,
        "access": method.access.word(),
        "parameters": parameters,
        "facts": facts(service, method),
    })
}

fn one(service: &Service, method: &Method, output: Output) -> Exit {
    if output.json {
        line(&json(service, method).to_string());
        return Exit::Good;
    }
    let name = format!("aws.{}.{}", service.name, method.path);
    line(&output.style(
        Style::Heading,
        &format!("{name}: {} of {}", method.name, service.full_name()),
    ));
    for fact in facts(service, method) {
        line(&output.style(Style::Faint, &format!("  {fact}")));
    }
    let parameters = given(service, method);
    let heading = |text: &str| line(&output.style(Style::Heading, text));
    heading("Takes");
    let account = vec!["  account".to_owned(), "Account".to_owned(), "required".to_owned()];
    let rows: Vec<_> = std::iter::once(account)
        .chain(parameters.iter().map(|one| member(service, one)))
        .collect();
    for text in table::align(&rows, output.width) {
        line(&text);
    }
    structures(service, &parameters, output);
    let results = service.members(method.output);
    if !results.is_empty() {
        heading("Gives");
        let rows: Vec<_> = results.iter().map(|one| member(service, one)).collect();
        for text in table::align(&rows, output.width) {
            line(&text);
        }
        structures(service, &results, output);
    }
    Exit::Good
}
