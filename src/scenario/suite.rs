//! The scenarios of one checked program, and the running of them.

use super::deciding::LookedAt;
use super::fill::Made;
use super::stage::{Called, Held, Missing, Stage, Variant};
use super::world;
use crate::engine::world::World;
use crate::engine::{self, Ended};
use crate::journal::{self, Event, Journal, Recorded};
use crate::program::scenario::Scenario;
use crate::program::{
    BindingKind, CallExpr, ExprKind, OrderKind, Outcome, Program, QuestionForm, RunbookId, Step, StepKind, UndoKind,
};
use crate::provider::{Call, Operation};
use crate::value::{Type, Value};
use futures::future::{Either, select};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Facts of the environment that scenarios run in.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Severity names, worst first.
    pub severities: Vec<String>,
    /// Of runbooks that name none.
    pub default_severity: String,
    /// Fields of resources, by kind and name.
    pub resources: BTreeMap<(String, String), BTreeMap<String, Value>>,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            severities: ["sev1", "sev2", "sev3"].map(str::to_owned).to_vec(),
            default_severity: "sev3".to_owned(),
            resources: BTreeMap::new(),
        }
    }
}

/// What every run of a program needs, made once.
pub struct Prepared {
    pub program: Arc<Program>,
    pub facts: Facts,
    /// Providers with the operations that the program calls.
    pub providers: Vec<(&'static str, &'static [&'static str])>,
    /// Calls among the orders of each action, by its name with those of called runbooks before it.
    orders: BTreeMap<String, usize>,
    /// Calls whose reply is read as a type of its own: operation, literal arguments, type.
    typed: Vec<(Arc<Operation>, Literals, Type)>,
    /// Which fields of replies the program looks at.
    pub looked_at: LookedAt,
    /// Replies with what was left out of them.
    pub made: Made,
}

type Literals = Vec<(Arc<str>, Value)>;

/// What came of one run.
pub struct Ran {
    pub ended: Result<Ended, journal::Error>,
    pub entries: Vec<Recorded>,
    /// From the beginning of the run to its decision.
    pub duration: Duration,
    /// Lines that would have had to be there.
    pub missing: Vec<Missing>,
    /// Own lines about people that nothing asked for: indices.
    pub unused: Vec<usize>,
    pub calls: Vec<Called>,
    /// Fields that were left out and filled in, with their line of `given`.
    pub left_out: Vec<(usize, String)>,
    pub sent_after_journal: usize,
    /// Where the run has left the world.
    pub held: Held,
}

/// A program with its scenarios.
#[derive(Clone)]
pub struct Suite {
    pub prepared: Arc<Prepared>,
}

/// A thread's own runtime; runs of scenarios wait for nothing outside.
pub struct Runtime(tokio::runtime::Runtime);

impl Runtime {
    /// A runtime of this thread.
    ///
    /// # Errors
    /// When the operating system gives none.
    pub fn new() -> std::io::Result<Self> {
        // Time is enabled because the gate sets its own deadline, which no scenario reaches.
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .map(Self)
    }
}

impl Suite {
    /// Prepares the scenarios of a program.
    pub fn new(program: Arc<Program>, facts: Facts) -> Self {
        let mut operations: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut typed = Vec::new();
        for book in &program.runbooks {
            for_each_call(book, &mut |call| {
                operations
                    .entry(call.operation.provider.to_string())
                    .or_default()
                    .insert(call.operation.path.to_string());
                if let Some(ty) = &call.decode {
                    let literals = call
                        .args
                        .iter()
                        .filter_map(|arg| match &arg.value.kind {
                            ExprKind::Literal(value) => Some((Arc::clone(&arg.name), value.clone())),
                            _ => None,
                        })
                        .collect();
                    typed.push((Arc::clone(&call.operation), literals, ty.clone()));
                }
            });
        }
        let providers = operations
            .into_iter()
            .map(|(name, paths)| (intern(&name), intern_all(&paths)))
            .collect();
        let mut orders = BTreeMap::new();
        for index in 0..program.runbooks.len() {
            count_orders(&program, RunbookId(index), "", 5, &mut orders);
        }
        Self {
            prepared: Arc::new(Prepared {
                looked_at: LookedAt::by(&program),
                program,
                facts,
                providers,
                orders,
                typed,
                made: Made::default(),
            }),
        }
    }

    /// The severities of the environment, worst first.
    pub fn severities(&self) -> &[String] {
        &self.prepared.facts.severities
    }

    /// The program.
    pub fn program(&self) -> &Program {
        &self.prepared.program
    }

    /// The same world with another program of the same calls.
    pub fn with_program(&self, program: Arc<Program>) -> Self {
        Self {
            prepared: Arc::new(Prepared {
                program,
                facts: self.prepared.facts.clone(),
                providers: self.prepared.providers.clone(),
                orders: self.prepared.orders.clone(),
                typed: self.prepared.typed.clone(),
                looked_at: self.prepared.looked_at.clone(),
                made: Made::default(),
            }),
        }
    }

    /// Runs until the run has ended. Each time it is handed over, the process that has it is gone as after a crash, and
    /// somebody else takes the run over and goes on with what is recorded.
    async fn to_its_end(
        &self,
        scenario: &Scenario,
        stage: &Arc<Stage>,
        mut world: World,
        journal: &Arc<world::Observer>,
    ) -> Result<Ended, journal::Error> {
        let program = || self.prepared.program.clone();
        let arguments = || scenario.arguments.clone();
        let begun = engine::run(program(), scenario.runbook, arguments(), world.clone());
        let mut handed = match select(Box::pin(begun), Box::pin(stage.handed_over())).await {
            Either::Left((ended, _)) => return ended,
            Either::Right((handed, _)) => handed,
        };
        loop {
            let (from, to) = handed;
            let by = world::person(&to.to);
            let events = [
                Event::TakenOver {
                    by: by.clone(),
                    from,
                    because: to.because,
                },
                Event::Resumed {
                    by: by.clone(),
                    host: world.environment.host.clone(),
                    tool_version: env!("CARGO_PKG_VERSION").to_owned(),
                },
            ];
            journal.append_all("", &events).await?;
            world.environment.operator = by;
            let recorded = journal.memory.entries();
            let resumed = engine::resume(program(), scenario.runbook, arguments(), world.clone(), &recorded);
            handed = match select(Box::pin(resumed), Box::pin(stage.handed_over())).await {
                Either::Left((resumed, _)) => {
                    let message = match resumed? {
                        engine::Resumed::Ended(ended) => return Ok(ended),
                        engine::Resumed::InDoubt(doubt) => format!("`{}` was in doubt", doubt.action),
                        engine::Resumed::Changed(what) => what.join("; "),
                        engine::Resumed::Astray(why) => why,
                    };
                    return Err(journal::Error {
                        message: format!("handed over, it does not go on: {message}"),
                    });
                }
                Either::Right((handed, _)) => handed,
            };
        }
    }

    /// Runs one scenario to its end.
    pub fn run(&self, index: usize, variant: Variant, runtime: &Runtime) -> Ran {
        let (stop, interrupt) = tokio::sync::watch::channel(false);
        let stage = Arc::new(Stage::new(self.prepared.clone(), index, variant, stop));
        let (world, journal) = world::world(&stage, interrupt);
        let scenario = stage.scenario();
        let run = self.to_its_end(scenario, &stage, world, &journal);
        let ended = runtime.0.block_on(stage.clock.drive(run));
        let entries = journal.memory.take();
        let duration = entries
            .iter()
            .rev()
            .find_map(|entry| match &entry.event {
                Some(Event::Ended { duration_seconds, .. }) => Duration::try_from_secs_f64(*duration_seconds).ok(),
                _ => None,
            })
            .unwrap_or_default();
        Ran {
            ended,
            entries,
            duration,
            missing: stage.take_missing(),
            unused: stage.unused(),
            calls: stage.calls(),
            left_out: stage.left_out(),
            sent_after_journal: stage.sent_after_journal(),
            held: stage.held(),
        }
    }
}

impl Prepared {
    /// How many calls an action orders; by its name with those of called runbooks before it.
    pub fn orders(&self, action: &str) -> usize {
        self.orders.get(action).copied().unwrap_or(1)
    }

    /// What a call's reply is read as.
    pub fn reply(&self, call: &Call) -> Type {
        self.typed
            .iter()
            .find(|(operation, literals, _)| {
                operation.is_named_as(&call.operation) && literals.iter().all(|(name, value)| call.arg(name) == value)
            })
            .map_or_else(|| call.operation.result.clone(), |(_, _, ty)| ty.clone())
    }
}

fn count_orders(program: &Program, id: RunbookId, prefix: &str, depth: usize, found: &mut BTreeMap<String, usize>) {
    let Some(book) = program.runbooks.get(id.0) else { return };
    if depth == 0 {
        return;
    }
    for action in &book.actions {
        let calls = action
            .orders
            .iter()
            .filter(|order| matches!(order.kind, OrderKind::Call { .. }))
            .count();
        found.entry(format!("{prefix}{}", action.name)).or_insert(calls);
    }
    for (name, runbook) in children(program, book) {
        count_orders(program, runbook, &format!("{prefix}{name}."), depth - 1, found);
    }
}

/// The runbooks that a runbook runs, by the name of the call.
pub fn children(program: &Program, book: &crate::program::Runbook) -> Vec<(String, RunbookId)> {
    let mut found = Vec::new();
    for binding in &book.bindings {
        if let BindingKind::Question(question) = &binding.kind
            && let QuestionForm::Run { runbook, .. } = &question.form
        {
            found.push((binding.name.clone(), *runbook));
        }
    }
    for_each_step(&book.steps, &mut |step| {
        if let StepKind::Run { runbook, .. } = &step.kind
            && let Some(child) = program.runbooks.get(runbook.0)
        {
            found.push((child.name.clone(), *runbook));
        }
    });
    found
}

/// Calls `visit` for every step, outside in.
pub fn for_each_step<'a>(steps: &'a [Step], visit: &mut dyn FnMut(&'a Step)) {
    for step in steps {
        visit(step);
        match &step.kind {
            StepKind::Branch(branch) => {
                for cause in &branch.causes {
                    for_each_step(&cause.steps, visit);
                }
                for_each_step(&branch.otherwise, visit);
                for_each_step(&branch.cannot_tell, visit);
            }
            StepKind::Each(each) => for_each_step(&each.steps, visit),
            _ => {}
        }
    }
}

/// Calls `visit` for every call of a runbook.
pub fn for_each_call(book: &crate::program::Runbook, visit: &mut dyn FnMut(&CallExpr)) {
    for binding in &book.bindings {
        if let BindingKind::Read(call) = &binding.kind {
            visit(call);
        }
    }
    let outcome = |outcome: &Outcome, visit: &mut dyn FnMut(&CallExpr)| outcome.tells.iter().for_each(visit);
    for action in &book.actions {
        for order in &action.orders {
            if let OrderKind::Call { call, before } = &order.kind {
                visit(call);
                if let Some((_, read)) = before {
                    visit(read);
                }
            }
        }
        for undo in &action.undos {
            match &undo.kind {
                UndoKind::Restore(calls) => calls.iter().for_each(&mut *visit),
                UndoKind::Call(call) => visit(call),
                UndoKind::None { .. } | UndoKind::Words(_) => {}
            }
        }
        for one in [&action.failed, &action.unclear, &action.not_approved] {
            outcome(one, visit);
        }
    }
    for row in book.result.escalation.iter().flat_map(|escalation| &escalation.rows) {
        row.entries.iter().for_each(|entry| visit(&entry.call));
    }
    for_each_step(&book.steps, &mut |step| match &step.kind {
        StepKind::Tell(call) => visit(call),
        StepKind::Require { otherwise, .. } | StepKind::Wait { otherwise, .. } => outcome(otherwise, visit),
        _ => {}
    });
}

/// A name that lives as long as the process: providers have such names, and scenarios make up providers. Each is kept once, and
/// there are no more than the programs of the process call.
fn intern(name: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return known;
    }
    let kept: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(kept);
    kept
}

fn intern_all(names: &BTreeSet<String>) -> &'static [&'static str] {
    static LISTS: Mutex<BTreeSet<&'static [&'static str]>> = Mutex::new(BTreeSet::new());
    let list: Vec<&'static str> = names.iter().map(|name| intern(name)).collect();
    let mut lists = LISTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = lists.get(list.as_slice()) {
        return known;
    }
    let kept: &'static [&'static str] = Box::leak(list.into_boxed_slice());
    lists.insert(kept);
    kept
}

/// Whether a reply of a scenario stands for good only when somebody has looked: time or calls decide, not actions alone.
pub fn timed(program: &Program, index: usize) -> bool {
    program.scenarios[index].given.iter().any(|given| {
        given.replies.iter().any(|reply| {
            matches!(
                reply.until,
                Some(crate::program::scenario::Until::Elapsed(_) | crate::program::scenario::Until::Once)
            )
        })
    })
}
