//! Tests of a policy: questions with the answer that is expected, in a file of their own.

use super::Rules;
use crate::provider::policy::{Asked, Grounds, Request, Target};
use jiff::Timestamp;
use serde::Deserialize;

/// A file of tests.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    pub tests: Vec<Case>,
}

/// One question; what it does not say is empty, absent or `false`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Case {
    pub name: String,
    pub expect: Expected,
    /// The policy that must decide it.
    pub by: Option<String>,

    /// `run`, `approve`, `override`, `change`, `tell` or `take_lock`.
    pub act: String,
    pub person: String,
    pub environment: String,
    pub runbook: String,
    pub owner: Option<String>,
    /// Who started the run; the person when absent.
    pub requester: Option<String>,
    pub emergency: bool,
    pub at: Option<Timestamp>,
    pub action: String,
    pub risk: String,
    pub dry_run: bool,
    pub unattended: bool,
    pub roles: Vec<String>,
    pub operation: String,
    pub class: String,
    /// `postgres orders`
    pub target: String,
    pub count: Option<u64>,
    /// `do` when absent.
    pub purpose: Option<String>,
    pub approvers: Vec<String>,
    pub reason: String,
    pub ticket: String,
    pub second: String,
    pub seconds: u64,
}

/// What a test expects.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    Permit,
    #[default]
    Refuse,
}

/// What came of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub name: String,
    /// What was wrong; `None` when it passed.
    pub wrong: Option<String>,
}

impl Cases {
    /// Reads a file of tests. The error begins with line and column.
    ///
    /// # Errors
    /// What cannot be read, and where.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut options = serde_yaml::Options::default();
        options.with_snippet = false;
        options.duplicate_keys = serde_yaml::DuplicateKeyPolicy::Error;
        if let Some(budget) = options.budget.as_mut() {
            budget.max_aliases = 0;
            budget.max_anchors = 0;
        }
        let cases: Cases = serde_yaml::from_str_with_options(text, options).map_err(|problem| {
            let place = problem
                .location()
                .map_or_else(|| "1:1".to_owned(), |at| format!("{}:{}", at.line(), at.column()));
            let said = problem.to_string();
            format!("{place}: {}", said.lines().next().unwrap_or("cannot be read").trim())
        })?;
        if cases.tests.is_empty() {
            return Err("1:1: there are no tests in it".to_owned());
        }
        Ok(cases)
    }

    /// Asks every question.
    pub fn run(&self, rules: &Rules) -> Vec<Outcome> {
        self.tests
            .iter()
            .map(|case| Outcome {
                name: case.name.clone(),
                wrong: case.wrong(rules),
            })
            .collect()
    }
}

impl Case {
    fn wrong(&self, rules: &Rules) -> Option<String> {
        let request = match self.request() {
            Ok(request) => request,
            Err(problem) => return Some(problem),
        };
        let explained = rules.explain(&request);
        if explained.permitted != (self.expect == Expected::Permit) {
            let was = if explained.permitted { "permitted" } else { "refused" };
            return Some(format!("it is {was}: {}", explained.line()));
        }
        match &self.by {
            Some(by) if !explained.by.contains(by) => Some(format!("`{by}` did not decide it: {}", explained.line())),
            _ => None,
        }
    }

    /// The question.
    ///
    /// # Errors
    /// What is missing.
    pub fn request(&self) -> Result<Request, String> {
        if self.person.is_empty() {
            return Err("`person` is missing: who wants to do it?".to_owned());
        }
        let target = || match self.target.split_once([' ', ':']) {
            Some((provider, name)) => Ok(Target {
                provider: provider.to_owned(),
                name: name.to_owned(),
            }),
            None => Err(format!(
                "`target` is `{}`; write provider and name, as in `postgres orders`",
                self.target
            )),
        };
        let asked = match self.act.as_str() {
            "run" => Asked::Run {
                dry_run: self.dry_run,
                unattended: self.unattended,
            },
            "approve" => Asked::Approve {
                roles: self.roles.clone(),
                operations: Some(self.operation.clone())
                    .into_iter()
                    .filter(|name| !name.is_empty())
                    .collect(),
                targets: if self.target.is_empty() {
                    Vec::new()
                } else {
                    vec![target()?]
                },
                count: self.count.unwrap_or(1),
            },
            "override" => Asked::Override {
                reason: self.reason.clone(),
                ticket: self.ticket.clone(),
                second: self.second.clone(),
                seconds: self.seconds,
            },
            "change" => Asked::Change {
                operation: self.operation.clone(),
                capability: capability(&self.operation),
                class: self.class.clone(),
                target: target()?,
                count: self.count.unwrap_or(1),
            },
            "tell" => Asked::Tell {
                operation: self.operation.clone(),
                capability: capability(&self.operation),
                target: target()?,
            },
            "take_lock" => Asked::TakeLock {
                target: target()?,
                holder: String::new(),
                reason: self.reason.clone(),
            },
            other => {
                return Err(format!(
                    "`act` is `{other}`; it is run, approve, override, change, tell or take_lock"
                ));
            }
        };
        Ok(Request {
            person: self.person.clone(),
            grounds: Grounds {
                environment: self.environment.clone(),
                runbook: self.runbook.clone(),
                owner: self.owner.clone(),
                runbook_digest: String::new(),
                requester: self.requester.clone().unwrap_or_else(|| self.person.clone()),
                emergency: self.emergency,
                at: self.at,
                action: self.action.clone(),
                risk: self.risk.clone(),
                purpose: self.purpose.clone().unwrap_or_else(|| "do".to_owned()),
                approvers: self.approvers.clone(),
            },
            asked,
        })
    }
}

/// Everything before the last dot of an operation.
fn capability(operation: &str) -> String {
    operation.rsplit_once('.').map_or("", |(front, _)| front).to_owned()
}
