//! Files, what they declare and what they import.

use super::names::{listed, nearest};
use super::operations::ProviderTable;
use super::{Context, Embedded, Library, ModuleSource};
use crate::diagnostic::{Diagnostic, Level};
use crate::program::RunbookId;
use crate::source::{FileId, Sources, Span};
use crate::syntax;
use crate::syntax::tree::{ClauseKind, File, ItemKind, Name};
use crate::value::Type;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// Most bindings that library checks and actions may become in one program.
pub const INLINED: usize = 10_000;
/// Most suggestions that are looked for in one check; a file with more mistakes than that is not helped by more of them.
const SUGGESTIONS: usize = 50;
/// Deepest chain of modules that use each other.
const IMPORT_DEPTH: usize = 32;

/// An item of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ItemRef {
    pub file: FileId,
    pub item: usize,
}

/// What a name at the top level of a file stands for.
#[derive(Clone, Copy, Debug)]
pub enum Symbol {
    Item(ItemRef),
    /// Imported; `None` when the import failed and was reported.
    Imported(Option<ItemRef>),
}

/// A loaded file.
pub struct Entry {
    pub tree: Rc<File>,
    pub symbols: HashMap<String, (Symbol, Span)>,
    /// `std.postgres`, or empty.
    pub module: String,
    /// The parser reported something: what the file does not say may be in the part that was not understood.
    pub broken: bool,
}

/// Everything that is found out about a file and its modules.
pub struct Checker<'c> {
    pub context: &'c Context<'c>,
    pub sources: Sources,
    pub files: Vec<Entry>,
    modules: HashMap<String, Option<FileId>>,
    /// Modules that are being loaded, outermost first.
    loading: Vec<String>,
    diagnostics: Vec<Diagnostic>,
    reported: HashSet<(&'static str, Span)>,
    suggestions: usize,
    pub types: HashMap<ItemRef, super::types::TypeState>,
    pub providers: HashMap<ItemRef, Rc<ProviderTable>>,
    pub probe: Type,
    /// Bindings that were put in place for library checks and actions so far.
    pub inlined: usize,
    /// That they are too many was reported.
    pub exhausted: bool,
    /// Runbooks of the program, in order; those behind `lowered` are still to be lowered.
    pub runbooks: Vec<ItemRef>,
    pub runbook_ids: HashMap<ItemRef, RunbookId>,
}

/// What remains when the checker is done.
pub struct Finished {
    pub sources: Sources,
    pub files: Vec<File>,
    pub diagnostics: Vec<Diagnostic>,
}

impl<'c> Checker<'c> {
    pub fn new(context: &'c Context<'c>) -> Self {
        Self {
            context,
            sources: Sources::default(),
            files: Vec::new(),
            modules: HashMap::new(),
            loading: Vec::new(),
            diagnostics: Vec::new(),
            reported: HashSet::new(),
            suggestions: 0,
            types: HashMap::new(),
            providers: HashMap::new(),
            probe: super::types::probe(),
            inlined: 0,
            exhausted: false,
            runbooks: Vec::new(),
            runbook_ids: HashMap::new(),
        }
    }

    /// What was found so far.
    pub fn findings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter()
    }

    /// Takes the parts out.
    pub fn finish(self) -> Finished {
        Finished {
            sources: self.sources,
            files: self
                .files
                .into_iter()
                .map(|entry| Rc::unwrap_or_clone(entry.tree))
                .collect(),
            diagnostics: self.diagnostics,
        }
    }

    /// Adds a finding, unless the same one was found at the same place before (an item that is used twice).
    pub fn report(&mut self, finding: Diagnostic) {
        if self.reported.insert((finding.rule, finding.span)) {
            self.diagnostics.push(finding);
        }
    }

    /// True while suggestions are still looked for; whoever gathers many candidates asks first.
    pub fn may_suggest(&self) -> bool {
        self.suggestions < SUGGESTIONS
    }

    /// `finding` with a suggestion and, when nothing is near, the list of what there is.
    pub fn suggest<'a>(
        &mut self,
        mut finding: Diagnostic,
        name: &Name,
        candidates: impl IntoIterator<Item = &'a str>,
        list: bool,
    ) -> Diagnostic {
        if !self.may_suggest() {
            return finding;
        }
        self.suggestions += 1;
        let mut candidates: Vec<&str> = candidates.into_iter().collect();
        candidates.sort_unstable();
        candidates.dedup();
        if let Some(near) = nearest(&name.text, candidates.iter().copied()) {
            finding = finding
                .help(format!("did you mean `{near}`?"))
                .edit(name.span, near.to_owned());
        } else if list && !candidates.is_empty() {
            finding = finding.help(format!("there is {}", listed(candidates)));
        }
        finding
    }

    /// The tree of a file.
    pub fn tree(&self, file: FileId) -> Rc<File> {
        Rc::clone(&self.files[file.0 as usize].tree)
    }

    /// Parses a file, notes what it declares, and loads what it uses.
    pub fn load(&mut self, name: &str, path: Option<&Path>, bytes: Vec<u8>) -> FileId {
        let loaded = syntax::load(&mut self.sources, name, path, bytes);
        let broken = loaded.diagnostics.iter().any(|finding| finding.level == Level::Error);
        for finding in loaded.diagnostics {
            self.report(finding);
        }
        let tree = Rc::new(loaded.file);
        let id = loaded.id;
        debug_assert_eq!(id.0 as usize, self.files.len(), "every source is a file of the checker");
        let module = tree
            .items
            .iter()
            .find_map(|item| match &item.kind {
                ItemKind::Module { path, .. } => Some(path.dotted()),
                _ => None,
            })
            .unwrap_or_default();
        self.files.push(Entry {
            tree: Rc::clone(&tree),
            symbols: HashMap::new(),
            module,
            broken,
        });
        for (index, item) in tree.items.iter().enumerate() {
            let declared = Symbol::Item(ItemRef { file: id, item: index });
            match &item.kind {
                ItemKind::Runbook(runbook) => self.declare(id, &runbook.name, declared),
                ItemKind::Provider(provider) => self.declare(id, &provider.name, declared),
                ItemKind::Resource { name, .. } | ItemKind::Record { name, .. } | ItemKind::Enum { name, .. } => {
                    self.declare(id, name, declared);
                }
                ItemKind::Clause(clause) => match &clause.kind {
                    ClauseKind::Question(question) => self.declare(id, &question.name, declared),
                    ClauseKind::Action(action) => self.declare(id, &action.name, declared),
                    ClauseKind::Let { name, .. } => self.declare(id, name, declared),
                    ClauseKind::Escalation { name: Some(name), .. } => self.declare(id, name, declared),
                    _ => {}
                },
                ItemKind::Use { .. } | ItemKind::Module { .. } | ItemKind::Scenario(_) | ItemKind::Junk => {}
            }
        }
        // A module that is checked itself is as much under way as one that is used.
        let first = self.loading.is_empty() && !self.files[id.0 as usize].module.is_empty();
        if first {
            self.loading.push(self.files[id.0 as usize].module.clone());
        }
        for item in &tree.items {
            if let ItemKind::Use { path, names } = &item.kind {
                let target = self.module(&path.dotted(), Some(path.span));
                for name in names {
                    let found = target.and_then(|target| self.exported(target, &path.dotted(), name));
                    self.declare(id, name, Symbol::Imported(found));
                }
            }
        }
        if first {
            self.loading.pop();
        }
        id
    }

    /// Loads the files with scenarios that belong to the checked one, which is the first of what is returned; `None` when they are
    /// not wanted.
    pub fn load_scenarios(&mut self, main: FileId, path: Option<&Path>) -> Option<Vec<FileId>> {
        let beside = self.context.library.scenarios(path)?;
        let mut files = vec![main];
        for source in beside {
            files.push(self.load(&source.name, source.path.as_deref(), source.bytes));
        }
        Some(files)
    }

    fn declare(&mut self, file: FileId, name: &Name, symbol: Symbol) {
        let symbols = &mut self.files[file.0 as usize].symbols;
        match symbols.get(&name.text) {
            Some((_, first)) => {
                let first = *first;
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
            None => {
                symbols.insert(name.text.clone(), (symbol, name.span));
            }
        }
    }

    fn exported(&mut self, target: FileId, path: &str, name: &Name) -> Option<ItemRef> {
        let symbols = &self.files[target.0 as usize].symbols;
        if let Some((Symbol::Item(item), _)) = symbols.get(&name.text) {
            return Some(*item);
        }
        if self.files[target.0 as usize].broken {
            return None;
        }
        let may_suggest = self.may_suggest();
        let known: Vec<String> = symbols
            .iter()
            .take_while(|_| may_suggest)
            .filter(|(_, (symbol, _))| matches!(symbol, Symbol::Item(_)))
            .map(|(known, _)| known.clone())
            .collect();
        let finding = Diagnostic::error(
            "unknown-name",
            name.span,
            format!("`{path}` exports nothing called `{}`", name.text),
        );
        let finding = self.suggest(finding, name, known.iter().map(String::as_str), true);
        self.report(finding);
        None
    }

    /// The text of a module: modules of `std` only ever come from the binary.
    fn find(&self, path: &str) -> Option<ModuleSource> {
        if let Some(module) = Embedded.module(path) {
            return Some(module);
        }
        self.context.library.module(path)
    }

    /// Loads a module once. With a place, failures are reported there.
    pub fn module(&mut self, path: &str, place: Option<Span>) -> Option<FileId> {
        if let Some(position) = self.loading.iter().position(|loading| loading == path) {
            if let Some(span) = place {
                let mut chain: Vec<String> = self.loading[position..].to_vec();
                chain.push(path.to_owned());
                self.report(
                    Diagnostic::error("import-cycle", span, format!("`{path}` uses itself"))
                        .label(chain.join(" → "))
                        .help("move what both need into a module of its own"),
                );
            }
            return None;
        }
        if let Some(known) = self.modules.get(path) {
            let known = *known;
            if known.is_none()
                && let Some(span) = place
            {
                self.no_module(path, span);
            }
            return known;
        }
        if self.loading.len() >= IMPORT_DEPTH {
            if let Some(span) = place {
                self.report(Diagnostic::error(
                    "too-large",
                    span,
                    format!("modules use each other more than {IMPORT_DEPTH} deep"),
                ));
            }
            return None;
        }
        let Some(source) = self.find(path) else {
            self.modules.insert(path.to_owned(), None);
            if let Some(span) = place {
                self.no_module(path, span);
            }
            return None;
        };
        self.loading.push(path.to_owned());
        let id = self.load(&source.name, source.path.as_deref(), source.bytes);
        self.loading.pop();
        self.modules.insert(path.to_owned(), Some(id));
        Some(id)
    }

    fn no_module(&mut self, path: &str, span: Span) {
        let finding = Diagnostic::error("unknown-name", span, format!("there is no module `{path}`"));
        let name = Name {
            text: path.to_owned(),
            span,
        };
        let finding = self.suggest(finding, &name, Embedded::paths(), path.starts_with("std."));
        self.report(finding);
    }

    /// What a name at the top level of a file stands for; the item itself when it was imported.
    /// `Some(None)`: it was imported, and the import was reported as wrong.
    pub fn symbol(&self, file: FileId, name: &str) -> Option<Option<ItemRef>> {
        match self.files[file.0 as usize].symbols.get(name)?.0 {
            Symbol::Item(item) => Some(Some(item)),
            Symbol::Imported(item) => Some(item),
        }
    }

    /// The name of an item as an outsider writes it: `std.postgres.stuck_sessions`.
    pub fn full_name(&self, file: FileId, name: &str) -> String {
        let module = &self.files[file.0 as usize].module;
        if module.is_empty() {
            name.to_owned()
        } else {
            format!("{module}.{name}")
        }
    }

    /// The operations of a provider from its embedded module.
    pub fn embedded_interface(&mut self, provider: &str) -> Option<Vec<Arc<crate::provider::Operation>>> {
        let path = format!("std.{provider}");
        Embedded.module(&path)?;
        let file = self.module(&path, None)?;
        let item = self.symbol(file, provider)??;
        let table = self.provider_table(item)?;
        Some(table.operations().collect())
    }
}
