//! Scenarios: their names and values against the runbook they run, and what `like` takes over.

mod lines;
mod names;
mod replies;

use super::call::Wanted;
use super::modules::Checker;
use super::scope::Body;
use crate::diagnostic::{Diagnostic, Level};
use crate::program::scenario::{Expected, Given, Said, Scenario, Stub};
use crate::program::{BindingKind, Program, RunbookId};
use crate::source::{FileId, Span};
use crate::syntax::tree::{self, ItemKind, Name, ScenarioKind};
use crate::value::{Type, Value};
use jiff::Timestamp;
use names::Names;
use std::collections::HashMap;
use std::sync::Arc;

/// When a run begins whose scenario says no time.
const CLOCK: &str = "2026-01-01T00:00:00Z";

/// Most scenarios of one runbook.
const SCENARIOS: usize = 20_000;

/// What the scenarios of one check have in common.
struct Known {
    /// Names of each runbook, made when a scenario first runs it.
    names: HashMap<RunbookId, Arc<Names>>,
    titles: HashMap<String, (usize, Span)>,
}

impl Checker<'_> {
    /// Checks the scenarios of these files; the first is the runbook's own.
    pub fn scenarios(&mut self, files: &[FileId], program: &mut Program) {
        let Some(main) = files.first().copied() else { return };
        let mut known = Known {
            names: HashMap::new(),
            titles: HashMap::new(),
        };
        // What rests on a name that was not understood would be reported once more.
        let broken = self.failed();
        for file in files {
            let tree = self.tree(*file);
            for item in &tree.items {
                match &item.kind {
                    ItemKind::Scenario(_) if broken => {}
                    ItemKind::Scenario(_) if program.scenarios.len() >= SCENARIOS => {
                        self.report(Diagnostic::error(
                            "too-large",
                            item.span,
                            format!("a runbook has more than {SCENARIOS} scenarios"),
                        ));
                        return;
                    }
                    ItemKind::Scenario(scenario) => {
                        let mut body = Body::new(self, main);
                        if let Some(lowered) = body.scenario(scenario, program, &mut known) {
                            program.scenarios.push(lowered);
                        }
                    }
                    ItemKind::Junk | ItemKind::Use { .. } => {}
                    ItemKind::Clause(clause) if matches!(clause.kind, tree::ClauseKind::Prose(_)) => {}
                    _ if *file == main => {}
                    _ => self.report(
                        Diagnostic::error(
                            "misplaced-clause",
                            item.span,
                            "a file of scenarios holds scenarios alone",
                        )
                        .help("write this in the file of the runbook, or in a module"),
                    ),
                }
            }
        }
    }

    fn failed(&self) -> bool {
        self.findings().any(|finding| finding.level == Level::Error)
    }
}

/// The clauses of a scenario, each at most once.
#[derive(Default)]
struct Clauses<'t> {
    run: Option<&'t tree::Expr>,
    clock: Option<&'t Name>,
    like: Option<&'t tree::Text>,
    given: Option<&'t [tree::GivenLine]>,
    operator: Option<&'t [tree::OperatorLine]>,
    expect: Option<(&'t [tree::ExpectLine], Span)>,
}

impl Body<'_, '_> {
    fn scenario(&mut self, written: &tree::Scenario, program: &Program, known: &mut Known) -> Option<Scenario> {
        let title = written.title.literal().unwrap_or_default();
        let clauses = self.clauses_of(written)?;
        let first = known.titles.get(&title).map(|(_, span)| *span);
        if let Some(first) = first {
            self.report(
                Diagnostic::error("duplicate-name", written.title.span, "two scenarios have this title")
                    .and(first, "first here"),
            );
            return None;
        }
        let base = match clauses.like {
            Some(like) => Some(self.like(like, program, known)?.clone()),
            None => None,
        };
        let (runbook, arguments) = match (clauses.run, &base) {
            (Some(call), _) => self.run_of_scenario(call, program)?,
            (None, Some(base)) => (base.runbook, base.arguments.clone()),
            (None, None) => {
                self.report(
                    Diagnostic::error("missing-clause", written.title.span, "this scenario runs nothing")
                        .help("write `run RUNBOOK(…)`, or `like \"…\"` with the title of a scenario above"),
                );
                return None;
            }
        };
        let sources = &self.checker.sources;
        let names = Arc::clone(
            known
                .names
                .entry(runbook)
                .or_insert_with(|| Arc::new(Names::of(program, sources, runbook))),
        );
        let clock = match clauses.clock {
            Some(clock) => self.clock_of(clock)?,
            None => base.as_ref().map_or_else(default_clock, |base| base.clock),
        };
        self.clock = clock;
        let (given, stubs) = self.given_lines(clauses.given.unwrap_or_default(), &names);
        let people = self.operator_lines(clauses.operator.unwrap_or_default(), &names);
        let Some((lines, _)) = clauses.expect else {
            self.report(
                Diagnostic::error("missing-clause", written.title.span, "this scenario expects nothing")
                    .help("say what must come of the run: `expect { outcome resolved }`"),
            );
            return None;
        };
        let expect: Vec<Expected> = self.expect_lines(lines, &names);
        let base = base.as_ref();
        known
            .titles
            .insert(title.clone(), (program.scenarios.len(), written.title.span));
        Some(Scenario {
            title,
            span: written.title.span,
            runbook,
            arguments,
            clock,
            given: merged(base.map(|base| base.given.as_slice()), given, covers),
            stubs: merged(base.map(|base| base.stubs.as_slice()), stubs, |old: &Stub, new| {
                old.name == new.name
            }),
            people: merged_people(base.map(|base| base.people.as_slice()), people),
            expect,
        })
    }

    fn clauses_of<'t>(&mut self, written: &'t tree::Scenario) -> Option<Clauses<'t>> {
        let mut clauses = Clauses::default();
        let mut seen: HashMap<&'static str, Span> = HashMap::new();
        let mut right = true;
        for clause in &written.clauses {
            let word = match &clause.kind {
                ScenarioKind::Prose(_) => continue,
                ScenarioKind::Junk => {
                    right = false;
                    continue;
                }
                ScenarioKind::Run(_) => "run",
                ScenarioKind::Clock(_) => "clock",
                ScenarioKind::Like(_) => "like",
                ScenarioKind::Given(_) => "given",
                ScenarioKind::Operator(_) => "operator",
                ScenarioKind::Expect(_) => "expect",
            };
            if let Some(first) = seen.insert(word, clause.span) {
                self.report(
                    Diagnostic::error("duplicate-clause", clause.span, format!("`{word}` stands here twice"))
                        .and(first, "first here"),
                );
                right = false;
                continue;
            }
            match &clause.kind {
                ScenarioKind::Run(call) => clauses.run = Some(call),
                ScenarioKind::Clock(clock) => clauses.clock = Some(clock),
                ScenarioKind::Like(like) => clauses.like = Some(like),
                ScenarioKind::Given(lines) => clauses.given = Some(lines),
                ScenarioKind::Operator(lines) => clauses.operator = Some(lines),
                ScenarioKind::Expect(lines) => clauses.expect = Some((lines, clause.span)),
                ScenarioKind::Prose(_) | ScenarioKind::Junk => {}
            }
        }
        right.then_some(clauses)
    }

    /// The scenario that is taken over: one that stands above, so that none is like itself.
    fn like<'p>(&mut self, like: &tree::Text, program: &'p Program, known: &Known) -> Option<&'p Scenario> {
        let title = like.literal().unwrap_or_default();
        if let Some((index, _)) = known.titles.get(&title) {
            return program.scenarios.get(*index);
        }
        let finding = Diagnostic::error("unknown-name", like.span, "no scenario above this one has this title");
        let name = Name {
            text: title,
            span: Span {
                start: like.span.start + 1,
                end: like.span.end.saturating_sub(1),
                ..like.span
            },
        };
        let finding = self
            .checker
            .suggest(finding, &name, known.titles.keys().map(String::as_str), true);
        self.report(finding);
        None
    }

    /// `run pool_exhausted(db: "orders")`
    fn run_of_scenario(&mut self, call: &tree::Expr, program: &Program) -> Option<(RunbookId, Vec<(String, Value)>)> {
        let (callee, args) = match &call.kind {
            tree::ExprKind::Call { callee, args } => (callee.as_ref(), args.as_slice()),
            tree::ExprKind::Error => return None,
            _ => (call, &[] as &[tree::Arg]),
        };
        let tree::ExprKind::Name(name) = &callee.kind else {
            self.report(
                Diagnostic::error("type-mismatch", call.span, "a runbook is due here")
                    .help("for example `run pool_exhausted(db: \"orders\")`"),
            );
            return None;
        };
        let found = program.runbooks.iter().position(|book| book.name == name.text);
        let Some(index) = found else {
            let finding = Diagnostic::error(
                "unknown-name",
                name.span,
                format!("there is no runbook `{}`", name.text),
            );
            let known: Vec<&str> = program.runbooks.iter().map(|book| book.name.as_str()).collect();
            let finding = self.checker.suggest(finding, name, known, true);
            self.report(finding);
            return None;
        };
        let book = &program.runbooks[index];
        let wanted: Vec<Wanted> = book
            .params
            .iter()
            .map(|id| {
                let param = book.binding(*id);
                Wanted {
                    name: param.name.as_str().into(),
                    ty: param.ty.clone(),
                    optional: matches!(param.kind, BindingKind::Param { default: Some(_) })
                        || matches!(param.ty, Type::Optional(_)),
                }
            })
            .collect();
        let values = self.arguments(&book.name, &wanted, args, name.span, false);
        let mut arguments = Vec::new();
        for (param, value) in wanted.iter().zip(values) {
            let Some((expr, _)) = value else { continue };
            arguments.push((param.name.to_string(), self.literal(&expr)?));
        }
        Some((RunbookId(index), arguments))
    }

    /// `2026-11-22 03:00 UTC`, also with seconds, and with `+01:00` in the place of `UTC`.
    fn clock_of(&mut self, clock: &Name) -> Option<Timestamp> {
        let words: Vec<&str> = clock.text.split_whitespace().collect();
        let time = match words.as_slice() {
            [date, time, zone] => {
                let zone = if matches!(*zone, "UTC" | "Z") { "+00:00" } else { zone };
                let time = if time.len() == 5 {
                    format!("{time}:00")
                } else {
                    (*time).to_owned()
                };
                format!("{date}T{time}{zone}").parse::<Timestamp>().ok()
            }
            _ => None,
        };
        if time.is_none() {
            self.report(
                Diagnostic::error(
                    "unknown-value",
                    clock.span,
                    format!("`{}` is not a time", clock.text.trim()),
                )
                .help("write date, time and zone, for example `2026-11-22 03:00 UTC` or `2026-11-22 03:00 +01:00`"),
            );
        }
        time
    }
}

fn default_clock() -> Timestamp {
    CLOCK.parse().expect("a time of our own")
}

/// Keys are the same when they name the same operation with the same arguments.
fn same_key(old: &Given, new: &Given) -> bool {
    old.args.len() == new.args.len() && covers(old, new)
}

/// An own line is about every call that its key names: without arguments, about all of the operation.
fn covers(old: &Given, new: &Given) -> bool {
    old.operation == new.operation && new.args.iter().all(|arg| old.args.contains(arg))
}

/// What is taken over, each replaced by the own line with its key, then the other own lines.
fn merged<T: Clone>(base: Option<&[T]>, own: Vec<T>, same: impl Fn(&T, &T) -> bool) -> Vec<T> {
    let mut all: Vec<T> = base
        .unwrap_or_default()
        .iter()
        .filter(|old| !own.iter().any(|new| same(old, new)))
        .cloned()
        .collect();
    all.extend(own);
    all
}

/// An own line takes the place of the lines about the same thing: of an approval for a role that of the same role, and a line
/// that leaves something open of everything that was said about it.
fn merged_people(base: Option<&[Said]>, own: Vec<Said>) -> Vec<Said> {
    let base: Option<Vec<Said>> = base.map(|base| {
        base.iter()
            .map(|said| Said {
                own: false,
                ..said.clone()
            })
            .collect()
    });
    merged(base.as_deref(), own, |old, new| {
        old.name == new.name
            && undo_of(old) == undo_of(new)
            && (topic(old) == topic(new) || topic(old) == 0 || topic(new) == 0)
            && match (role_of(old), role_of(new)) {
                (Some(old), Some(new)) => old == new,
                _ => true,
            }
    })
}

fn role_of(said: &Said) -> Option<&String> {
    use crate::program::scenario::SaidKind;
    match &said.kind {
        SaidKind::Approve { role, .. } | SaidKind::Refuse { role, .. } => role.as_ref(),
        _ => None,
    }
}

/// What a line is about; 0 for everything that may be said of a name.
fn topic(said: &Said) -> u8 {
    use crate::program::scenario::SaidKind;
    match said.kind {
        SaidKind::Silent { .. } => 0,
        SaidKind::Answer(_) | SaidKind::Value(_) => 1,
        SaidKind::Approve { .. } | SaidKind::Refuse { .. } => 2,
        SaidKind::Tick { .. } => 3,
        SaidKind::Retry => 4,
        SaidKind::Undo | SaidKind::Keep => 5,
        SaidKind::HandOver { .. } => 6,
        SaidKind::Override { .. } => 7,
        SaidKind::Acknowledge { .. } => 8,
    }
}

fn undo_of(said: &Said) -> bool {
    use crate::program::scenario::SaidKind;
    matches!(
        said.kind,
        SaidKind::Tick { undo: true, .. } | SaidKind::Silent { undo: true }
    )
}
