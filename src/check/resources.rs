//! Types and actions of resources that calls of `azure` name: known before anything is sent.

use crate::diagnostic::Diagnostic;
use crate::program::{ArgExpr, Expr, ExprKind};
use crate::provider::resource_types::{self, Kind, Level};
use crate::provider::{Effect, Operation};
use crate::value::Value;

const RULE: &str = "unknown-resource-type";

/// The text that stands in the file.
fn written(expr: &Expr) -> Option<&str> {
    match &expr.kind {
        ExprKind::Literal(value @ Value::Text(_)) => value.as_str(),
        _ => None,
    }
}

fn verb(operation: &Operation) -> Option<&'static str> {
    match &*operation.path {
        "resources.get" => Some("get"),
        "resources.list" => Some("list"),
        "resources.update" => Some("patch"),
        "resources.put" => Some("put"),
        "resources.delete" => Some("delete"),
        _ => None,
    }
}

/// What is wrong with the type or the action that a call names.
pub fn finding(operation: &Operation, args: &[ArgExpr]) -> Option<Diagnostic> {
    if &*operation.provider != "azure" {
        return None;
    }
    let arg = |name: &str| args.iter().find(|arg| &*arg.name == name).map(|arg| &arg.value);
    let expr = arg("type")?;
    let Some(name) = written(expr) else {
        return operation.path.starts_with("resources.").then(|| {
            Diagnostic::error(
                RULE,
                expr.span,
                "the type of a resource is written in the file, never computed",
            )
            .help("for example `\"Microsoft.App/containerApps\"`")
        });
    };
    let Some(kind) = resource_types::find(name) else {
        let finding = Diagnostic::error(RULE, expr.span, "there is no resource of this type");
        return Some(match resource_types::nearest(name) {
            Some(near) => finding.help(format!("there is `{near}`")),
            None => finding.help("a type begins with its namespace, for example `Microsoft.App/containerApps`"),
        });
    };
    if let Some(problem) = verb(operation).and_then(|verb| kind.cannot(verb)) {
        return Some(Diagnostic::error(RULE, expr.span, problem).help(format!("it can {}", able(kind))));
    }
    action(operation, kind, arg("action")?)
}

fn able(kind: &Kind) -> String {
    let mut words: Vec<String> = kind.verbs.iter().map(|verb| (*verb).to_owned()).collect();
    let actions = kind.actions.iter().filter(|action| action.level != Level::Secret);
    words.extend(actions.map(|action| format!("`{}`", action.name)));
    words.join(", ")
}

fn action(operation: &Operation, kind: &Kind, expr: &Expr) -> Option<Diagnostic> {
    let Some(name) = written(expr) else {
        let finding = "the action of a resource is written in the file, never computed";
        return Some(Diagnostic::error(RULE, expr.span, finding));
    };
    let found = kind
        .actions
        .iter()
        .find(|action| action.name.eq_ignore_ascii_case(name));
    let problem = match found.map(|action| action.level) {
        None => format!("`{}` has no action `{name}`", kind.name),
        Some(Level::Secret) => format!("`{name}` answers with a secret: it is never asked"),
        Some(Level::Change) if operation.effect == Effect::Read => {
            format!("`{name}` may change something: it belongs into an action, as `azure.resources.act`")
        }
        Some(_) => return None,
    };
    let finding = Diagnostic::error(RULE, expr.span, problem);
    let known: Vec<String> = kind
        .actions
        .iter()
        .filter(|action| action.level != Level::Secret)
        .map(|action| format!("`{}`", action.name))
        .collect();
    Some(if known.is_empty() || found.is_some() {
        finding
    } else {
        finding.help(format!("there is {}", known.join(", ")))
    })
}
