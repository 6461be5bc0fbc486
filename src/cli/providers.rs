//! `starr providers`: interfaces and operations.

use super::args::Providers;
use super::output::{Output, Style, line};
use super::{Exit, Failure, table};
use crate::check;
use crate::provider::{Effect, Operation};

/// Lists the providers, or the operations of one.
pub fn providers(args: &Providers, output: Output) -> Result<Exit, Failure> {
    let names: Vec<&str> = crate::providers::NAMES.to_vec();
    match &args.name {
        Some(name) if !names.contains(&name.as_str()) => Err(Failure::usage(format!(
            "there is no provider `{name}`; there are: {}",
            names.join(", ")
        ))),
        #[cfg(feature = "aws")]
        Some(name) if name == "aws" && args.service.is_some() => super::providers_models::show(
            args.service.as_deref().unwrap_or_default(),
            args.operation.as_deref(),
            output,
        ),
        Some(name) if args.service.is_some() => Err(Failure::usage(format!(
            "`{name}` has no services: all its operations are in `starr providers {name}`"
        ))),
        Some(name) => Ok(one(name, output)),
        None => Ok(all(&names, output)),
    }
}

fn operations(name: &str) -> Vec<std::sync::Arc<Operation>> {
    check::interface(name).unwrap_or_default()
}

fn signature(operation: &Operation) -> String {
    let parameters: Vec<String> = operation
        .params
        .iter()
        .map(|parameter| {
            let default = parameter
                .default
                .as_ref()
                .map(|value| format!(" = {}", crate::value::show::show(value)));
            format!("{}: {}{}", parameter.name, parameter.ty, default.unwrap_or_default())
        })
        .collect();
    format!(
        "{}({}) -> {}",
        operation.full_name(),
        parameters.join(", "),
        operation.result
    )
}

fn json(operation: &Operation) -> serde_json::Value {
    serde_json::json!({
        "operation": operation.full_name(),
        "effect": operation.effect.word(),
        "capability": operation.capability(),
        "class": operation.idempotence.class().to_string(),
        "heavy": operation.heavy,
        "within_seconds": operation.within.as_secs_f64(),
        "signature": signature(operation),
        "doc": operation.doc,
    })
}

fn all(names: &[&str], output: Output) -> Exit {
    if output.json {
        let all: serde_json::Map<String, serde_json::Value> = names
            .iter()
            .map(|name| {
                (
                    (*name).to_owned(),
                    operations(name).iter().map(|operation| json(operation)).collect(),
                )
            })
            .collect();
        line(&serde_json::Value::Object(all).to_string());
        return Exit::Good;
    }
    for name in names {
        line(&output.style(Style::Heading, name));
        let rows: Vec<Vec<String>> = std::iter::once(vec!["effect", "operation", "what it does"])
            .map(|row| row.into_iter().map(str::to_owned).collect())
            .chain(operations(name).iter().map(|operation| {
                let first = operation.doc.lines().next().unwrap_or_default().to_owned();
                vec![operation.effect.word().to_owned(), operation.full_name(), first]
            }))
            .collect();
        for text in table::align(&rows, output.width) {
            line(&format!("  {text}"));
        }
        #[cfg(feature = "aws")]
        if *name == "aws" {
            line(&format!("  {}", super::providers_models::summary()));
        }
        line("");
    }
    Exit::Good
}

fn one(name: &str, output: Output) -> Exit {
    if output.json {
        line(
            &serde_json::Value::from(
                operations(name)
                    .iter()
                    .map(|operation| json(operation))
                    .collect::<Vec<_>>(),
            )
            .to_string(),
        );
        return Exit::Good;
    }
    for operation in operations(name) {
        line(&output.style(Style::Heading, &signature(&operation)));
        for text in operation.doc.lines() {
            line(&format!("  {text}"));
        }
        let class = match operation.effect {
            Effect::Read | Effect::Probe => String::new(),
            Effect::Change | Effect::Tell | Effect::Preview => {
                format!(", idempotence class {}", operation.idempotence.class())
            }
        };
        let heavy = if operation.heavy {
            ", heavy: asked for once in a run"
        } else {
            ""
        };
        line(&output.style(
            Style::Faint,
            &format!(
                "  {} of {}{class}{heavy}, {} s unless a call says otherwise",
                operation.effect.word(),
                operation.capability(),
                operation.within.as_secs()
            ),
        ));
        line("");
    }
    #[cfg(feature = "aws")]
    if name == "aws" {
        line(&super::providers_models::summary());
    }
    Exit::Good
}
