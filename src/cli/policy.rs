//! `starr policy`: check a policy, test it, and ask it why.

use super::args::{Global, PolicyCommand, PolicyExplain};
use super::output::{Output, line};
use super::{Exit, Failure};
use crate::config::{self, Environment};
use crate::policy::{Case, Cases, DEFAULT, Rules, SCHEMA, Text};
use crate::render::safe::safe;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Largest policy and test file, in bytes.
const FILE_BYTES: u64 = 1024 * 1024;

/// The policy of an environment; `None` where it names none. `runbook` is the file that is run: a policy in its folder is
/// refused, because whoever writes a runbook may not thereby permit it anything.
pub fn of(environment: &Environment, runbook: Option<&Path>) -> Result<Option<Rules>, Failure> {
    let Some(item) = &environment.policy else {
        return Ok(None);
    };
    let mut texts = Vec::new();
    for file in &item.files {
        super::files::outside(file, runbook, "policy").map_err(Failure::usage)?;
        texts.push(text(file)?);
    }
    rules(&texts, environment).map(Some)
}

fn rules(texts: &[Text], environment: &Environment) -> Result<Rules, Failure> {
    let zone = match environment
        .policy
        .as_ref()
        .and_then(|policy| policy.time_zone.as_deref())
    {
        Some(name) => jiff::tz::TimeZone::get(name)
            .map_err(|problem| Failure::usage(format!("the time zone of the policy: {problem}")))?,
        None => jiff::tz::TimeZone::UTC,
    };
    Rules::new(texts, environment.roles_by_person(), zone)
        .map_err(|mistakes| Failure::usage(format!("the policy cannot be used:\n  {}", mistakes.join("\n  "))))
}

fn text(path: &Path) -> Result<Text, Failure> {
    let shown = path.display();
    let file =
        std::fs::File::open(path).map_err(|problem| Failure::usage(format!("cannot open {shown}: {problem}")))?;
    let mut text = String::new();
    file.take(FILE_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(|problem| Failure::usage(format!("cannot read {shown}: {problem}")))?;
    if text.len() as u64 > FILE_BYTES {
        return Err(Failure::usage(format!("{shown} is larger than 1 MiB")));
    }
    let name = path
        .file_name()
        .map_or_else(|| shown.to_string(), |name| name.to_string_lossy().into_owned());
    Ok(Text { name, text })
}

/// The files that were named, or the policy of the environment, or the default.
fn named(files: &[PathBuf], environment: &Environment) -> Result<Rules, Failure> {
    if !files.is_empty() {
        let texts = files.iter().map(|file| text(file)).collect::<Result<Vec<_>, _>>()?;
        return rules(&texts, environment);
    }
    match of(environment, None)? {
        Some(rules) => Ok(rules),
        None => rules(
            &[Text {
                name: "default".to_owned(),
                text: DEFAULT.to_owned(),
            }],
            environment,
        ),
    }
}

/// One of the commands.
pub fn policy(command: &PolicyCommand, global: &Global, output: Output) -> Result<Exit, Failure> {
    if matches!(command, PolicyCommand::Schema) {
        line(SCHEMA.trim_end());
        return Ok(Exit::Good);
    }
    let loaded = config::load(global.config.as_deref())?;
    let (name, environment) = loaded.environment(global.env.as_deref())?;
    match command {
        PolicyCommand::Schema => Ok(Exit::Good),
        PolicyCommand::Check { files } => {
            let rules = named(files, environment)?;
            let names = rules.names();
            if output.json {
                let digest = crate::provider::policy::Policy::digest(&rules);
                line(&serde_json::json!({ "policies": names, "digest": hex::encode(digest) }).to_string());
            } else {
                let from = if files.is_empty() && environment.policy.is_none() {
                    " (the default: no policy is configured)"
                } else {
                    ""
                };
                line(&format!("{} policies fit the schema{from}:", names.len()));
                for name in names {
                    line(&format!("  {}", safe(&name)));
                }
            }
            Ok(Exit::Good)
        }
        PolicyCommand::Test { file, policy } => {
            let rules = named(policy, environment)?;
            let Text { text, .. } = text(file)?;
            let cases =
                Cases::parse(&text).map_err(|problem| Failure::usage(format!("{}:{problem}", file.display())))?;
            test(&cases, &rules, output)
        }
        PolicyCommand::Explain(asked) => explain(asked, name, environment, output),
    }
}

fn test(cases: &Cases, rules: &Rules, output: Output) -> Result<Exit, Failure> {
    let outcomes = cases.run(rules);
    let failed = outcomes.iter().filter(|outcome| outcome.wrong.is_some()).count();
    if output.json {
        let list: Vec<_> = outcomes
            .iter()
            .map(|outcome| serde_json::json!({ "name": outcome.name, "wrong": outcome.wrong }))
            .collect();
        line(&serde_json::json!({ "tests": list, "failed": failed }).to_string());
    } else {
        for outcome in &outcomes {
            match &outcome.wrong {
                None => line(&format!("ok      {}", safe(&outcome.name))),
                Some(wrong) => line(&format!("failed  {}: {}", safe(&outcome.name), safe(wrong))),
            }
        }
        line(&format!(
            "{} of {} tests passed",
            outcomes.len() - failed,
            outcomes.len()
        ));
    }
    Ok(if failed == 0 { Exit::Good } else { Exit::Findings })
}

fn explain(asked: &PolicyExplain, name: &str, environment: &Environment, output: Output) -> Result<Exit, Failure> {
    let rules = named(&asked.policy, environment)?;
    let at = match &asked.at {
        None => jiff::Timestamp::now(),
        Some(text) => text
            .parse()
            .map_err(|_| Failure::usage(format!("--at {text}: expected a time such as 2026-11-21T10:00:00Z")))?,
    };
    let person = asked.person.clone().unwrap_or_else(super::login);
    let canonical = |name: &str| environment.person(name).to_owned();
    let case = Case {
        act: asked.act.clone(),
        person: canonical(&person),
        environment: name.to_owned(),
        runbook: asked.runbook.clone().unwrap_or_default(),
        requester: asked.requester.as_deref().map(canonical),
        emergency: asked.emergency,
        at: Some(at),
        action: asked.action.clone().unwrap_or_default(),
        risk: asked.risk.clone().unwrap_or_default(),
        roles: asked.role.clone(),
        operation: asked.operation.clone().unwrap_or_default(),
        target: asked.target.clone().unwrap_or_default(),
        count: asked.count,
        purpose: asked.purpose.clone(),
        approvers: asked.approver.iter().map(|name| canonical(name)).collect(),
        second: asked.second.as_deref().map(canonical).unwrap_or_default(),
        ..Case::default()
    };
    let request = case.request().map_err(Failure::usage)?;
    let explained = rules.explain(&request);
    if output.json {
        let by = &explained.by;
        line(
            &serde_json::json!({ "permitted": explained.permitted, "by": by, "because": explained.because })
                .to_string(),
        );
    } else {
        line(if explained.permitted { "permitted" } else { "refused" });
        for because in &explained.because {
            line(&format!("  {}", safe(because)));
        }
    }
    Ok(if explained.permitted { Exit::Good } else { Exit::Refused })
}
