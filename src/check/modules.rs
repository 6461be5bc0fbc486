//! Files, what they declare and what they import.

use super::names::{listed, nearest};
use super::operations::ProviderTable;
use super::{Context, Embedded};
use crate::diagnostic::{Diagnostic, Level};
use crate::program::RunbookId;
use crate::source::{FileId, Sources, Span};
use crate::syntax;
use crate::syntax::tree::{ClauseKind, File, ItemKind, Name};
use crate::value::Type;
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

/// Most bindings that library checks and actions may become in one program.
pub const INLINED: usize = crate::limits::INLINED;
/// Most suggestions that are looked for in one check; a file with more mistakes than that is not helped by more of them.
const SUGGESTIONS: usize = 50;
/// Deepest chain of modules that use each other.
const IMPORT_DEPTH: usize = crate::limits::IMPORT_DEPTH;

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
#[derive(Debug)]
pub struct Entry {
    pub tree: Rc<File>,
    pub symbols: HashMap<String, (Symbol, Span)>,
    /// `std.postgres`, or empty.
    pub module: String,
    /// The parser reported something: what the file does not say may be in the part that was not understood.
    pub broken: bool,
}

impl Entry {
    /// A file of which nothing but the tree is known yet.
    fn new(tree: &Rc<File>, broken: bool) -> Self {
        let module = tree.items.iter().find_map(|item| match &item.kind {
            ItemKind::Module { path, .. } => Some(path.dotted()),
            _ => None,
        });
        Self {
            tree: Rc::clone(tree),
            symbols: HashMap::new(),
            module: module.unwrap_or_default(),
            broken,
        }
    }
}

/// What is known about embedded modules. It rests on their texts alone, so one thread finds it out once.
#[derive(Default)]
struct Kept {
    /// By number.
    modules: BTreeMap<usize, Entry>,
    types: HashMap<ItemRef, super::types::TypeState>,
    providers: HashMap<ItemRef, Rc<ProviderTable>>,
}

thread_local! {
    static KEPT: Cell<Kept> = Cell::default();
}

/// Everything that is found out about a file and its modules.
pub struct Checker<'c> {
    pub context: &'c Context<'c>,
    pub sources: Sources,
    /// The files that are not embedded, by the number of their id.
    files: Vec<Entry>,
    /// The embedded modules by number, also those that this file does not use.
    embedded: BTreeMap<usize, Entry>,
    modules: HashMap<String, Option<FileId>>,
    /// Modules that are being loaded, outermost first.
    loading: Vec<String>,
    /// The file with the environment's matrix, once it is loaded.
    matrix: Option<FileId>,
    /// Only modules of `std` are found: a file of the environment takes nothing from the project of a runbook.
    outside: bool,
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
    /// The checks of verifiable operations that are used, by the full name of the operation; `None`: what is wrong was reported.
    pub verifications: BTreeMap<String, Option<super::verification::Verifying>>,
}

/// What remains when the checker is done.
pub struct Finished {
    pub sources: Sources,
    /// The tree of the checked file.
    pub tree: Rc<File>,
    pub diagnostics: Vec<Diagnostic>,
}

impl<'c> Checker<'c> {
    pub fn new(context: &'c Context<'c>) -> Self {
        let kept = KEPT.take();
        Self {
            context,
            sources: Sources::default(),
            files: Vec::new(),
            embedded: kept.modules,
            modules: HashMap::new(),
            loading: Vec::new(),
            matrix: None,
            outside: false,
            diagnostics: Vec::new(),
            reported: HashSet::new(),
            suggestions: 0,
            types: kept.types,
            providers: kept.providers,
            probe: super::types::probe(),
            inlined: 0,
            exhausted: false,
            runbooks: Vec::new(),
            runbook_ids: HashMap::new(),
            verifications: BTreeMap::new(),
        }
    }

    /// What was found so far.
    pub fn findings(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter()
    }

    /// Takes the parts out, and keeps what the next checker of this thread can use.
    pub fn finish(mut self, main: FileId) -> Finished {
        let finished = Finished {
            sources: std::mem::take(&mut self.sources),
            tree: self.tree(main),
            diagnostics: std::mem::take(&mut self.diagnostics),
        };
        self.keep();
        finished
    }

    /// Keeps what the next checker of this thread can use.
    fn keep(mut self) {
        self.types.retain(|item, _| item.file.embedded_number().is_some());
        self.providers.retain(|item, _| item.file.embedded_number().is_some());
        KEPT.set(Kept {
            modules: self.embedded,
            types: self.types,
            providers: self.providers,
        });
    }

    /// What is known about a file that was loaded.
    pub fn entry(&self, file: FileId) -> &Entry {
        match file.embedded_number() {
            None => &self.files[file.0 as usize],
            Some(number) => &self.embedded[&number],
        }
    }

    fn entry_mut(&mut self, file: FileId) -> &mut Entry {
        match file.embedded_number() {
            None => &mut self.files[file.0 as usize],
            Some(number) => self
                .embedded
                .get_mut(&number)
                .expect("every id belongs to a loaded file"),
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

    /// The line that would bring in what a module of the library has under this name; as often as there are suggestions.
    pub fn import(&mut self, name: &str, kinds: &[&str]) -> Option<String> {
        if !self.may_suggest() {
            return None;
        }
        let found = Embedded::import(name, kinds)?;
        self.suggestions += 1;
        Some(found)
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
        Rc::clone(&self.entry(file).tree)
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
        self.files.push(Entry::new(&tree, broken));
        self.declarations(id, &tree);
        // A module that is checked itself is as much under way as one that is used.
        let module = self.entry(id).module.clone();
        let first = self.loading.is_empty() && !module.is_empty();
        if first {
            self.loading.push(module);
        }
        self.imports(id, &tree);
        if first {
            self.loading.pop();
        }
        id
    }

    /// The file with the environment's matrix.
    pub fn matrix_file(&mut self, source: &super::ModuleSource) -> FileId {
        if let Some(known) = self.matrix {
            return known;
        }
        self.outside = true;
        let id = self.load(&source.name, source.path.as_deref(), source.bytes.clone());
        self.outside = false;
        self.matrix = Some(id);
        id
    }

    /// Loads an embedded module, or takes what is known about it.
    fn load_embedded(&mut self, number: usize) -> FileId {
        let id = FileId::embedded(number);
        let source = Embedded::source(number);
        if let Some(known) = self.embedded.get(&number) {
            // The modules that it uses belong to the sources too.
            let tree = Rc::clone(&known.tree);
            for item in &tree.items {
                if let ItemKind::Use { path, .. } = &item.kind {
                    self.module(&path.dotted(), None);
                }
            }
        } else {
            let parsed = syntax::parse(id, &source.text);
            let broken = parsed.diagnostics.iter().any(|finding| finding.level == Level::Error);
            for finding in parsed.diagnostics {
                self.report(finding);
            }
            let tree = Rc::new(parsed.file);
            self.embedded.insert(number, Entry::new(&tree, broken));
            self.declarations(id, &tree);
            self.imports(id, &tree);
        }
        self.sources.embed(id, source);
        id
    }

    /// Notes what a file declares.
    fn declarations(&mut self, id: FileId, tree: &File) {
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
    }

    /// Loads what a file uses, and notes the names it takes from there.
    fn imports(&mut self, id: FileId, tree: &File) {
        for item in &tree.items {
            if let ItemKind::Use { path, names } = &item.kind {
                let target = self.module(&path.dotted(), Some(path.span));
                for name in names {
                    let found = target.and_then(|target| self.exported(target, &path.dotted(), name));
                    self.declare(id, name, Symbol::Imported(found));
                }
            }
        }
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
        let symbols = &mut self.entry_mut(file).symbols;
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
        let symbols = &self.entry(target).symbols;
        if let Some((Symbol::Item(item), _)) = symbols.get(&name.text) {
            return Some(*item);
        }
        if self.entry(target).broken {
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
        // The text of a module: those of `std` only ever come from the binary.
        let id = if let Some(number) = Embedded::number(path) {
            self.loading.push(path.to_owned());
            self.load_embedded(number)
        } else if self.outside {
            if let Some(span) = place {
                self.no_module(path, span);
            }
            return None;
        } else if let Some(source) = self.context.library.module(path) {
            self.loading.push(path.to_owned());
            self.load(&source.name, source.path.as_deref(), source.bytes)
        } else {
            self.modules.insert(path.to_owned(), None);
            if let Some(span) = place {
                self.no_module(path, span);
            }
            return None;
        };
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
        match self.entry(file).symbols.get(name)?.0 {
            Symbol::Item(item) => Some(Some(item)),
            Symbol::Imported(item) => Some(item),
        }
    }

    /// The name of an item as an outsider writes it: `std.postgres.stuck_sessions`.
    pub fn full_name(&self, file: FileId, name: &str) -> String {
        let module = &self.entry(file).module;
        if module.is_empty() {
            name.to_owned()
        } else {
            format!("{module}.{name}")
        }
    }

    /// The operations of a provider from its embedded module.
    pub fn embedded_interface(mut self, provider: &str) -> Option<Vec<Arc<crate::provider::Operation>>> {
        let path = format!("std.{provider}");
        Embedded::number(&path)?;
        let file = self.module(&path, None)?;
        let item = self.symbol(file, provider)??;
        let table = self.provider_table(item)?;
        let operations = table.operations().collect();
        self.keep();
        Some(operations)
    }
}
