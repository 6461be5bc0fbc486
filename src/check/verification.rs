//! The check that tells whether a change happened: what an operation of class V names behind `verifiable by`.

use super::effects::Effects;
use super::modules::ItemRef;
use super::operations::ProviderTable;
use super::runbook::empty_runbook;
use super::scope::Body;
use super::types::{described, fits};
use crate::diagnostic::Diagnostic;
use crate::program::{BindingId, BindingKind, Verification};
use crate::provider::{Idempotence, Operation};
use crate::source::Span;
use crate::syntax::tree::{self, ClauseKind, ItemKind};

/// A check that was put in place, and what it reads.
pub struct Verifying {
    pub verification: Verification,
    effects: Effects,
}

impl Body<'_, '_> {
    /// Puts the check of a verifiable operation into the program, once. What it reads is read by whoever makes the call.
    pub fn verification(&mut self, provider: &ProviderTable, operation: &Operation, site: Span) {
        let Idempotence::Verifiable(check) = &operation.idempotence else {
            return;
        };
        let name = operation.full_name();
        if !self.checker.verifications.contains_key(&name) {
            // Known before it is lowered, so that what is wrong with it is reported once.
            self.checker.verifications.insert(name.clone(), None);
            let found = self.verifying(provider.item, check, operation);
            self.checker.verifications.insert(name.clone(), found);
        }
        if let Some(Some(verifying)) = self.checker.verifications.get(&name) {
            self.effects.absorb(&verifying.effects, site);
        }
    }

    fn verifying(&mut self, provider: ItemRef, check: &str, operation: &Operation) -> Option<Verifying> {
        let span = self.declared_verification(provider, operation)?;
        let item = match self.checker.symbol(provider.file, check) {
            Some(Some(item)) if self.item_kind(item) == Some("check") => item,
            Some(None) => return None,
            _ => {
                let message = format!("there is no check `{check}` here that could tell whether it happened");
                self.report(
                    Diagnostic::error("unknown-name", span, message).help("write it in this module, or import it"),
                );
                return None;
            }
        };
        let tree = self.checker.tree(item.file);
        let ItemKind::Clause(clause) = &tree.items[item.item].kind else {
            return None;
        };
        let ClauseKind::Question(question) = &clause.kind else {
            return None;
        };
        let mut body = Body::new(self.checker, item.file);
        let id = body.lone_check(item, question)?;
        let (bindings, effects) = (body.bindings, body.effects);
        let mut right = true;
        let mut params = Vec::new();
        for (index, binding) in bindings.iter().enumerate() {
            let BindingKind::Param { default } = &binding.kind else {
                continue;
            };
            params.push(BindingId(index));
            let given = operation.params.iter().find(|param| *param.name == *binding.name);
            let label = match given {
                Some(param) if fits(&param.ty, &binding.ty) => continue,
                Some(param) => format!(
                    "its `{}` is {}, that of `{}` is {}",
                    binding.name,
                    described(&binding.ty),
                    operation.path,
                    described(&param.ty)
                ),
                None if default.is_some() => continue,
                None => format!("`{}` has no `{}`", operation.path, binding.name),
            };
            right = false;
            self.report(
                Diagnostic::error(
                    "wrong-arguments",
                    span,
                    format!("`{check}` cannot be asked about `{}`", operation.path),
                )
                .label(label)
                .help("the check gets the operation's arguments by their names"),
            );
        }
        right.then(|| Verifying {
            verification: Verification {
                check: self.checker.full_name(item.file, &question.name.text),
                book: crate::program::Runbook {
                    name: question.name.text.clone(),
                    bindings,
                    params,
                    ..empty_runbook(question.name.span)
                },
                question: id,
            },
            effects,
        })
    }

    /// Where the operation names its check.
    fn declared_verification(&self, provider: ItemRef, operation: &Operation) -> Option<Span> {
        let tree = &self.checker.entry(provider.file).tree;
        let ItemKind::Provider(provider) = &tree.items.get(provider.item)?.kind else {
            return None;
        };
        provider.members.iter().find_map(|member| match member {
            tree::ProviderMember::Operation(written) if written.path.dotted() == *operation.path => {
                match &written.idempotence {
                    Some(tree::IdempotenceItem::Verifiable(check)) => Some(check.span),
                    _ => None,
                }
            }
            _ => None,
        })
    }
}
