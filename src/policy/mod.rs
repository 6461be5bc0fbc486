//! Policies in Cedar: who may run, approve, override and change what, where and when. Default deny; read from the files that
//! the configuration names, never from a runbook's folder; loaded only where one is configured.

mod cases;
mod explain;
mod facts;

use crate::provider::policy::{Asked, Policy, Refusal, Request};
use cedar_policy::{Authorizer, Decision, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::str::FromStr;

pub use cases::{Case, Cases, Outcome};
pub use explain::Explained;

/// The schema that every policy is checked against.
pub const SCHEMA: &str = include_str!("starr.cedarschema");

/// What holds where no policy is configured.
pub const DEFAULT: &str = include_str!("default.cedar");

/// A policy's text and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// For people and for policies without an `@id`: `freeze.cedar`.
    pub name: String,
    pub text: String,
}

/// Policies that were checked against the schema, with the people they speak about.
pub struct Rules {
    policies: PolicySet,
    schema: Schema,
    /// Roles by person.
    people: BTreeMap<String, Vec<String>>,
    zone: jiff::tz::TimeZone,
    digest: [u8; 32],
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules")
            .field("digest", &hex::encode(self.digest))
            .finish_non_exhaustive()
    }
}

impl Rules {
    /// Reads policies and checks every one of them against the schema.
    ///
    /// # Errors
    /// One line per mistake, with file, line and column.
    pub fn new(
        texts: &[Text],
        people: BTreeMap<String, Vec<String>>,
        zone: jiff::tz::TimeZone,
    ) -> Result<Self, Vec<String>> {
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA)
            .map_err(|problem| vec![format!("the schema of starr cannot be read: {problem}")])?;
        let mut policies = PolicySet::new();
        let mut wrong = Vec::new();
        let mut hash = Sha256::new();
        for part in [SCHEMA, zone.iana_name().unwrap_or("UTC")] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        for text in texts {
            hash.update(text.text.len().to_be_bytes());
            hash.update(&text.text);
            match read(text) {
                Err(mistakes) => wrong.extend(mistakes),
                Ok(read) => {
                    for policy in read {
                        let name = policy.id().to_string();
                        if policies.add(policy).is_err() {
                            wrong.push(format!("{}: there is a policy `{name}` already", text.name));
                        }
                    }
                }
            }
        }
        if wrong.is_empty() {
            let checked = Validator::new(schema.clone()).validate(&policies, ValidationMode::Strict);
            wrong.extend(
                checked
                    .validation_errors()
                    .map(|problem| one_line(&problem.to_string())),
            );
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Self {
            policies,
            schema,
            people,
            zone,
            digest: hash.finalize().into(),
        })
    }

    /// The names of the policies, in alphabetical order.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.policies.policies().map(|policy| policy.id().to_string()).collect();
        names.sort();
        names
    }

    /// The decision with everything that led to it.
    pub fn explain(&self, request: &Request) -> Explained {
        let asked = match facts::asked(self, request) {
            Ok(asked) => asked,
            Err(problem) => return Explained::unusable(problem),
        };
        let response = Authorizer::new().is_authorized(&asked.request, &self.policies, &asked.entities);
        let mut by: Vec<PolicyId> = response.diagnostics().reason().cloned().collect();
        by.sort_by_key(ToString::to_string);
        let errors: Vec<String> = response
            .diagnostics()
            .errors()
            .map(|problem| one_line(&problem.to_string()))
            .collect();
        if !errors.is_empty() {
            // A policy that cannot be evaluated may be the one that forbids it.
            return Explained::unusable(errors.join("; "));
        }
        match response.decision() {
            Decision::Allow => Explained::permitted(&by),
            // A tell is let through unless a policy forbids it.
            Decision::Deny if by.is_empty() && matches!(request.asked, Asked::Tell { .. }) => Explained::permitted(&by),
            Decision::Deny => explain::refused(self, request, &asked, &by),
        }
    }
}

impl Policy for Rules {
    fn digest(&self) -> [u8; 32] {
        self.digest
    }

    fn decide(&self, request: &Request) -> Result<(), Refusal> {
        let explained = self.explain(request);
        if explained.permitted {
            return Ok(());
        }
        Err(Refusal {
            because: explained.line(),
            by: explained.by,
        })
    }
}

/// The policies of one text, each under its `@id` or as `freeze.cedar#2`.
fn read(text: &Text) -> Result<Vec<cedar_policy::Policy>, Vec<String>> {
    let set = PolicySet::from_str(&text.text).map_err(|problems| {
        problems
            .iter()
            .map(|problem| {
                format!(
                    "{}{}: {}",
                    text.name,
                    place(&text.text, problem),
                    one_line(&problem.to_string())
                )
            })
            .collect::<Vec<_>>()
    })?;
    if set.templates().next().is_some() {
        return Err(vec![format!(
            "{}: templates (`?principal`, `?resource`) are not used here",
            text.name
        )]);
    }
    let mut numbered: Vec<(usize, cedar_policy::Policy)> = set
        .policies()
        .map(|policy| {
            let number = policy
                .id()
                .to_string()
                .trim_start_matches("policy")
                .parse()
                .unwrap_or(0);
            (number, policy.clone())
        })
        .collect();
    numbered.sort_by_key(|(number, _)| *number);
    Ok(numbered
        .into_iter()
        .map(|(number, policy)| {
            let name = match policy.annotation("id") {
                Some(id) if !id.is_empty() => id.to_owned(),
                _ => format!("{}#{}", text.name, number + 1),
            };
            policy.new_id(PolicyId::new(name))
        })
        .collect())
}

/// `:3:14`, where the problem has a place.
fn place(text: &str, problem: &impl miette::Diagnostic) -> String {
    let Some(offset) = problem
        .labels()
        .and_then(|mut labels| labels.next())
        .map(|label| label.offset())
    else {
        return String::new();
    };
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!(":{line}:{column}")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
