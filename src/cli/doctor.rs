//! `starr doctor`: is every provider of this environment reachable, and with which rights?

use super::args::Global;
use super::output::{Output, Style, line};
use super::{Exit, Failure, run};
use crate::config;
use crate::provider::HealthState;
use crate::provider::gate::Mode;
use crate::render::safe::safe;

/// Looks at the configuration, the journal and every provider, read-only.
pub fn doctor(global: &Global, output: Output) -> Result<Exit, Failure> {
    let loaded = config::load(global.config.as_deref())?;
    let (name, environment) = loaded.environment(global.env.as_deref())?;
    let mut lines: Vec<(String, HealthState, String)> = Vec::new();
    let from = loaded
        .path
        .as_ref()
        .map_or_else(|| "embedded default".to_owned(), |path| path.display().to_string());
    lines.push((
        "configuration".to_owned(),
        HealthState::Good,
        format!("{from}, environment {name}"),
    ));

    let operator = super::login();
    let roles = environment
        .people
        .get(environment.person(&operator))
        .map(|human| human.roles.join(", "))
        .filter(|roles| !roles.is_empty());
    lines.push(match roles {
        Some(roles) => ("operator".to_owned(), HealthState::Good, format!("{operator}, with the roles {roles}")),
        None => (
            "operator".to_owned(),
            HealthState::Limited,
            format!("{operator} has no role in this environment and can approve nothing; add `people: {{ {operator}: {{ roles: […] }} }}`"),
        ),
    });

    let gate = run::gate(environment, Mode::DryRun, None, None)?;
    let path = run::journal_path(global, environment)?;
    super::runtime()?.block_on(async {
        lines.push(match run::open_journal(&path).await {
            Ok(_) => ("journal".to_owned(), HealthState::Good, path.display().to_string()),
            Err(problem) => ("journal".to_owned(), HealthState::Bad, problem.message),
        });
        for provider in gate.providers() {
            lines.extend(
                provider
                    .doctor()
                    .await
                    .into_iter()
                    .map(|health| (health.subject, health.state, health.detail)),
            );
        }
    });

    let bad = lines.iter().any(|(_, state, _)| *state == HealthState::Bad);
    if output.json {
        let all: Vec<_> = lines
            .iter()
            .map(|(subject, state, detail)| serde_json::json!({ "subject": subject, "state": word(*state), "detail": detail }))
            .collect();
        line(&serde_json::Value::from(all).to_string());
    } else {
        let widest = lines
            .iter()
            .map(|(subject, ..)| subject.chars().count())
            .max()
            .unwrap_or(0);
        for (subject, state, detail) in &lines {
            let style = match state {
                HealthState::Good => Style::Good,
                HealthState::Limited => Style::Attention,
                HealthState::Bad => Style::Bad,
            };
            let word = output.style(style, &format!("{:<8}", word(*state)));
            line(&format!("{word} {:<widest$}  {}", safe(subject), safe(detail)));
        }
    }
    Ok(if bad { Exit::Findings } else { Exit::Good })
}

fn word(state: HealthState) -> &'static str {
    match state {
        HealthState::Good => "good",
        HealthState::Limited => "limited",
        HealthState::Bad => "bad",
    }
}
