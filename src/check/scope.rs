//! The body of one runbook while it is lowered: its bindings, and which names are known where.

use super::constant::constant;
use super::effects::Effects;
use super::modules::{Checker, INLINED, ItemRef};
use crate::diagnostic::Diagnostic;
use crate::program::needs::direct;
use crate::program::{Action, ActionId, Binding, BindingId, BindingKind, Expr, ExprKind, RunbookId};
use crate::source::{FileId, Span};
use crate::syntax::tree::Name;
use crate::value::{Type, Value};
use std::collections::HashMap;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Binding(BindingId),
    Action(ActionId),
    /// An argument that stands for a parameter: index into [`Body::given`].
    Given(usize),
    /// A cause.
    Label,
    /// A declaration that failed; its uses are not reported.
    Broken,
}

/// The names that are known at one place of one file, innermost block last.
pub struct Scope {
    pub file: FileId,
    frames: Vec<HashMap<String, (What, Span)>>,
    /// Names of blocks that were left, and names that are declared further down.
    elsewhere: HashMap<String, Span>,
    /// Every name of the file's runbook, wherever it is known.
    declared: HashMap<String, Span>,
}

impl Scope {
    /// An empty scope over the top level of a file.
    pub fn new(file: FileId) -> Self {
        Self {
            file,
            frames: vec![HashMap::new()],
            elsewhere: HashMap::new(),
            declared: HashMap::new(),
        }
    }

    /// What the name stands for here.
    pub fn find(&self, name: &str) -> Option<What> {
        self.entry(name).map(|(what, _)| what)
    }

    fn entry(&self, name: &str) -> Option<(What, Span)> {
        self.frames.iter().rev().find_map(|frame| frame.get(name).copied())
    }

    /// Where a name that is not known here is declared.
    pub fn elsewhere(&self, name: &str) -> Option<Span> {
        self.elsewhere.get(name).copied()
    }

    /// Notes that a name is declared further down.
    pub fn announce(&mut self, name: &Name) {
        self.elsewhere.entry(name.text.clone()).or_insert(name.span);
    }

    /// Opens a block.
    pub fn enter(&mut self) {
        self.frames.push(HashMap::new());
    }

    /// Closes a block; its names are known no more.
    pub fn leave(&mut self) {
        if let Some(frame) = self.frames.pop() {
            for (name, (_, span)) in frame {
                self.elsewhere.insert(name, span);
            }
        }
    }

    /// Every name known here.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.frames.iter().flat_map(|frame| frame.keys().map(String::as_str))
    }
}

/// A runbook, or a library item on its own, while it is lowered.
pub struct Body<'k, 'c> {
    pub checker: &'k mut Checker<'c>,
    pub bindings: Vec<Binding>,
    /// By binding: its value, when that is known before the run.
    pub constants: Vec<Option<Value>>,
    pub actions: Vec<Action>,
    pub scope: Scope,
    pub effects: Effects,
    /// Where the outermost library item that is being put in place was called.
    pub site: Option<Span>,
    /// The library items that are being put in place, outermost first.
    pub inlining: Vec<ItemRef>,
    /// Lets of modules that were put in place.
    pub module_lets: HashMap<ItemRef, Option<BindingId>>,
    /// The type of `it`, inside a list operation.
    pub element: Option<Type>,
    /// Title of the check that is being lowered is asked by its answer alone: see `reply-as-probe`.
    pub question: bool,
    /// `goal` is written and rests on questions further down.
    pub goal_pending: bool,
    /// Arguments that stand for the parameters of an operation, in its `before` and `undo`.
    pub given: Vec<Expr>,
    /// What `now` is in values that are given: the time of the scenario.
    pub clock: jiff::Timestamp,
    /// The runbooks that are run, with the place of each call.
    pub runs: Vec<(RunbookId, Span)>,
}

impl<'k, 'c> Body<'k, 'c> {
    pub fn new(checker: &'k mut Checker<'c>, file: FileId) -> Self {
        Self {
            checker,
            bindings: Vec::new(),
            constants: Vec::new(),
            actions: Vec::new(),
            scope: Scope::new(file),
            effects: Effects::default(),
            site: None,
            inlining: Vec::new(),
            module_lets: HashMap::new(),
            element: None,
            question: false,
            goal_pending: false,
            given: Vec::new(),
            clock: jiff::Timestamp::UNIX_EPOCH,
            runs: Vec::new(),
        }
    }

    /// Adds a finding.
    pub fn report(&mut self, finding: Diagnostic) {
        self.checker.report(finding);
    }

    /// Makes a name known from here to the end of its block, and reports a second one.
    pub fn declare(&mut self, name: &Name, what: What) {
        self.declare_name(name, what, true);
    }

    /// As [`Self::declare`]; the names inside a question are its fields and only unique within it (`unique` is false).
    pub fn declare_name(&mut self, name: &Name, what: What, unique: bool) {
        let taken = if unique {
            self.scope.declared.get(&name.text).copied().or_else(|| {
                let symbols = &self.checker.entry(self.scope.file).symbols;
                symbols
                    .get(&name.text)
                    .map(|(_, span)| *span)
                    .filter(|_| self.inlining.is_empty())
            })
        } else {
            self.scope.entry(&name.text).map(|(_, span)| span)
        };
        if let Some(first) = taken
            && first != name.span
        {
            self.report(
                Diagnostic::error(
                    "duplicate-name",
                    name.span,
                    format!("`{}` is declared twice", name.text),
                )
                .and(first, "first declared here")
                .help("names are unique in a file: choose another one"),
            );
        }
        if unique {
            self.scope.declared.entry(name.text.clone()).or_insert(name.span);
        }
        self.scope.elsewhere.remove(&name.text);
        if let Some(frame) = self.scope.frames.last_mut() {
            frame.insert(name.text.clone(), (what, name.span));
        }
    }

    /// Adds a binding and returns its id.
    pub fn bind(&mut self, name: impl Into<String>, span: Span, ty: Type, kind: BindingKind) -> BindingId {
        self.checker.inlined += usize::from(!self.inlining.is_empty());
        let known = match &kind {
            BindingKind::Let(expr) => constant(expr, &self.constants),
            _ => None,
        };
        self.constants.push(known);
        let mut binding = Binding {
            name: name.into(),
            span,
            ty,
            kind,
            needs: Vec::new(),
        };
        binding.needs = direct(&binding, &self.bindings);
        self.bindings.push(binding);
        BindingId(self.bindings.len() - 1)
    }

    /// False when library items have become too many bindings, which is reported once.
    pub fn may_inline(&mut self, place: Span) -> bool {
        let exhausted = self.checker.inlined >= INLINED;
        if exhausted && !std::mem::replace(&mut self.checker.exhausted, true) {
            let place = self.site.unwrap_or(place);
            self.report(
                Diagnostic::error(
                    "too-large",
                    place,
                    format!("library checks and actions become more than {INLINED} bindings"),
                )
                .help("split the runbook, or let the library's checks use fewer others"),
            );
        }
        !exhausted
    }

    /// The place in the checked file for what is found inside a library item: where that was called.
    pub fn place(&self, span: Span) -> Span {
        self.site.unwrap_or(span)
    }

    /// The binding of a let of a module, put in place once.
    pub fn module_let(&mut self, item: ItemRef, name: &Name) -> Expr {
        let known = self.module_lets.get(&item).copied();
        let binding = match known {
            Some(Some(binding)) => binding,
            Some(None) => {
                self.report(Diagnostic::error(
                    "call-cycle",
                    name.span,
                    format!("`{}` is computed from itself", name.text),
                ));
                return error(name.span);
            }
            None => {
                let tree = self.checker.tree(item.file);
                let crate::syntax::tree::ItemKind::Clause(clause) = &tree.items[item.item].kind else {
                    return error(name.span);
                };
                let crate::syntax::tree::ClauseKind::Let { name, ty, value } = &clause.kind else {
                    return error(name.span);
                };
                if self.module_lets.len() >= 256 {
                    self.report(Diagnostic::error(
                        "too-large",
                        name.span,
                        "more than 256 values of modules are used",
                    ));
                    return error(name.span);
                }
                self.module_lets.insert(item, None);
                let outer = std::mem::replace(&mut self.scope, Scope::new(item.file));
                let element = self.element.take();
                let value = self.value_of_let(ty.as_ref(), value);
                self.element = element;
                self.scope = outer;
                let binding = self.bind(name.text.clone(), name.span, value.ty.clone(), BindingKind::Let(value));
                self.module_lets.insert(item, Some(binding));
                binding
            }
        };
        Expr {
            ty: self.bindings[binding.0].ty.clone(),
            kind: ExprKind::Binding(binding),
            span: name.span,
        }
    }

    /// Forgets the module lets that were put in place from `first` on: those bindings belong to one element of a loop.
    pub fn forget_lets_from(&mut self, first: usize) {
        self.module_lets
            .retain(|_, binding| binding.is_none_or(|binding| binding.0 < first));
    }
}

/// An expression in the place of one that was reported: it fits everywhere.
pub fn error(span: Span) -> Expr {
    Expr {
        kind: ExprKind::Literal(Value::None),
        ty: Type::Any,
        span,
    }
}

/// A reference to a binding.
pub fn reference(id: BindingId, ty: Type, span: Span) -> Expr {
    Expr {
        kind: ExprKind::Binding(id),
        ty,
        span,
    }
}
