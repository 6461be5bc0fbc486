//! `starr grants`: the least rights a runbook needs, in the target's own words.

use super::args::{Global, Grants, GrantsTo};
use super::output::{Output, Style, complain, line};
use super::{Exit, Failure, load, run};
use crate::config;
use crate::plan::uses::uses;
use crate::provider::gate::{Gate, Mode};
use crate::provider::native::{Allowed, Privilege, Right, Use};
use crate::render::safe::{safe, safe_multiline};
use crate::value::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Prints what must be granted. Nothing is contacted, unless it is asked whether it is there.
pub fn grants(args: &Grants, global: &Global, output: Output) -> Result<Exit, Failure> {
    let loaded = config::load(global.config.as_deref())?;
    let (_, environment) = loaded.environment(global.env.as_deref())?;
    let program = load::program(&args.file, Some(environment), output)?;
    if program.runbooks.is_empty() {
        return Err(Failure::usage(format!("{} holds no runbook", args.file.display())));
    }
    let given = run::given(&program, &args.set, environment)?;
    let uses = uses(&program, &given);
    if args.to == GrantsTo::Config {
        configuration(&uses);
        return Ok(Exit::Good);
    }
    let gate = run::gate(environment, Mode::DryRun, None, None)?;
    if args.ask {
        return asked(args.to, &gate, &uses, output);
    }
    let mut privileges: Vec<Privilege> = Vec::new();
    let mut silent: BTreeSet<&str> = BTreeSet::new();
    // Targets that know no rights of their own: whoever reaches them may do everything.
    let mut open: BTreeSet<&str> = BTreeSet::new();
    let wanted = |name: &str| is_meant(args.to, name);
    for provider in gate.providers().filter(|provider| wanted(provider.name())) {
        if !uses.iter().any(|used| *used.operation.provider == *provider.name()) {
            continue;
        }
        match provider.privileges(&uses) {
            Some(found) => {
                if found.is_empty() {
                    open.insert(provider.name());
                }
                privileges.extend(found);
            }
            None => {
                silent.insert(provider.name());
            }
        }
    }
    if !uses.iter().any(|used| wanted(&used.operation.provider)) {
        complain("the runbook uses no provider whose rights are printed like this");
    }
    if output.json {
        line(&serde_json::json!({ "privileges": privileges, "not_known_for": silent }).to_string());
        return Ok(Exit::Good);
    }
    if matches!(args.to, GrantsTo::Rbac | GrantsTo::AzureRole | GrantsTo::Iam) {
        for provider in gate.providers().filter(|provider| wanted(provider.name())) {
            if let Some(documents) = provider.grant_documents(&uses) {
                line(safe_multiline(&documents).trim_end());
            }
        }
        return Ok(Exit::Good);
    }
    let mut place: Option<(String, String)> = None;
    for privilege in &privileges {
        let here = (privilege.target.clone(), privilege.login.clone());
        if place.as_ref() != Some(&here) {
            if place.is_some() {
                line("");
            }
            line(&output.style(
                Style::Heading,
                &format!(
                    "-- {}: the login for {}",
                    safe(&here.0),
                    if here.1 == "read" { "checks" } else { "changes" }
                ),
            ));
            place = Some(here);
        }
        let because = privilege.because.join(", ");
        let mark = if privilege.complete {
            ""
        } else {
            "; put the right name in"
        };
        line(&format!("{}  -- {}{mark}", safe(&privilege.statement), safe(&because)));
    }
    for name in open {
        complain(&format!(
            "{name}: nothing is to be granted in its target's own words; `--to config` prints what starr must be granted"
        ));
    }
    for name in silent {
        complain(&format!("{name}: what it needs in its target's own words is not known"));
    }
    Ok(Exit::Good)
}

/// True when these words are those of the provider.
fn is_meant(to: GrantsTo, name: &str) -> bool {
    match to {
        GrantsTo::All | GrantsTo::Config => true,
        GrantsTo::Sql => name == "postgres",
        GrantsTo::Acl => name == "redis",
        GrantsTo::Rbac => name == "kubernetes",
        GrantsTo::Iam => name == "aws",
        GrantsTo::AzureRole => name == "azure",
    }
}

/// What the targets say about the rights of this environment's logins. Good only when every one of them is there.
fn asked(to: GrantsTo, gate: &Gate, uses: &[Use], output: Output) -> Result<Exit, Failure> {
    let used = |name: &str| uses.iter().any(|used| *used.operation.provider == *name);
    let mut rights: Vec<Right> = Vec::new();
    let mut silent: BTreeSet<&str> = BTreeSet::new();
    super::runtime()?.block_on(async {
        for provider in gate.providers() {
            let name = provider.name();
            if !is_meant(to, name) || !used(name) {
                continue;
            }
            match provider.allowed(uses).await {
                Some(found) => rights.extend(found),
                None => {
                    silent.insert(name);
                }
            }
        }
    });
    if output.json {
        line(&serde_json::json!({ "rights": rights, "not_known_for": silent }).to_string());
    } else {
        for right in &rights {
            let (style, word, because) = match &right.allowed {
                Allowed::Yes => (Style::Good, "allowed", ""),
                Allowed::No(because) => (Style::Bad, "denied", because.as_str()),
                Allowed::Unknown(because) => (Style::Attention, "unknown", because.as_str()),
            };
            let word = output.style(style, &format!("{word:<8}"));
            let because = if because.is_empty() {
                String::new()
            } else {
                format!(": {because}")
            };
            let about = format!("{} {} on {}{because}", right.target, right.action, right.on);
            line(&format!("{word} {}", safe(&about)));
        }
        for name in &silent {
            complain(&format!("{name}: it cannot be asked what its login may do"));
        }
    }
    let all = silent.is_empty() && rights.iter().all(|right| right.allowed == Allowed::Yes);
    Ok(if all { Exit::Good } else { Exit::Findings })
}

/// The grants of an environment: capabilities and targets.
fn configuration(uses: &[Use]) {
    let mut needed: BTreeMap<(String, &'static str), (BTreeSet<String>, bool)> = BTreeMap::new();
    for used in uses {
        let effect = match used.operation.effect {
            crate::provider::Effect::Probe => "read",
            other => other.word(),
        };
        let entry = needed.entry((used.operation.capability(), effect)).or_default();
        let resources: Vec<&str> = used
            .args
            .iter()
            .filter_map(|(_, value)| match value {
                Some(Value::Resource { name, .. }) => Some(&**name),
                _ => None,
            })
            .collect();
        if resources.is_empty() {
            entry.1 = true;
        }
        entry.0.extend(resources.into_iter().map(str::to_owned));
    }
    line("grants:");
    for ((capability, effect), (targets, open)) in needed {
        let targets: Vec<String> = targets
            .iter()
            .map(|target| format!("\"{}\"", target.replace('"', "\\\"")))
            .collect();
        let comment = if open {
            "  # and the targets that are only known in the run"
        } else {
            ""
        };
        line(&format!(
            "  - {{ capability: {capability}, effects: [{effect}], targets: [{}] }}{comment}",
            targets.join(", ")
        ));
    }
}
