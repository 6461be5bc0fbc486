//! Runbooks and modules as a whole.

use super::Embedded;
use super::effects::HeaderLine;
use super::modules::{Checker, ItemRef};
use super::places::section;
use super::scope::{Body, What};
use super::steps::Around;
use crate::diagnostic::Diagnostic;
use crate::program::{
    BindingId, BindingKind, End, Header, Prevent, Program, Reflection, ResultSection, Runbook, RunbookId, Situation,
    Step, StepKind, Template,
};
use crate::source::{FileId, Span};
use crate::syntax::tree::{self, Block, Clause, ClauseKind, EndKind, ItemKind};
use crate::value::Type;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::time::Duration;

/// Most runbooks that one run may enter one inside the other, the outermost not counted.
const RUN_DEPTH: usize = crate::limits::RUN_DEPTH;

/// The runbooks a runbook runs, with the place of each call.
type Edges = Vec<Vec<(usize, Span)>>;

impl Checker<'_> {
    /// The id of a runbook in the program; it is lowered when its turn comes.
    pub fn runbook(&mut self, item: ItemRef) -> RunbookId {
        let next = RunbookId(self.runbooks.len());
        *self.runbook_ids.entry(item).or_insert_with(|| {
            self.runbooks.push(item);
            next
        })
    }

    /// Lowers the file and everything it runs.
    pub fn lower(&mut self, main: FileId) -> Program {
        let mut program = Program::default();
        let tree = self.tree(main);
        for (index, item) in tree.items.iter().enumerate() {
            let reference = ItemRef {
                file: main,
                item: index,
            };
            match &item.kind {
                ItemKind::Runbook(_) => {
                    self.runbook(reference);
                }
                ItemKind::Provider(_) => self.interface_item(reference),
                ItemKind::Resource { name, .. } | ItemKind::Record { name, .. } | ItemKind::Enum { name, .. } => {
                    self.type_of_item(reference, name.span);
                }
                ItemKind::Clause(clause) => self.module_clause(reference, clause, &mut program),
                ItemKind::Module { .. } | ItemKind::Use { .. } | ItemKind::Scenario(_) | ItemKind::Junk => {}
            }
        }
        let mut edges: Edges = Vec::new();
        while let Some(item) = self.runbooks.get(program.runbooks.len()).copied() {
            let (runbook, runs) = self.lower_runbook(item);
            program.runbooks.push(runbook);
            edges.push(runs);
        }
        self.call_cycles(&edges);
        for (id, source) in self.sources.iter() {
            let digest = match id.embedded_number() {
                None => hex::encode(Sha256::digest(source.text.as_bytes())),
                Some(number) => Embedded::digest(number).to_owned(),
            };
            program.digests.insert(source.name.clone(), digest);
        }
        program
            .digests
            .insert("stdlib".to_owned(), Embedded::stdlib_digest().to_owned());
        let verifications = std::mem::take(&mut self.verifications).into_iter();
        program.verifications = verifications
            .filter_map(|(operation, found)| Some((operation, found?.verification)))
            .collect();
        program
    }

    /// A check, action, escalation or let at the top level of the checked file.
    fn module_clause(&mut self, item: ItemRef, clause: &Clause, program: &mut Program) {
        let mut body = Body::new(self, item.file);
        match &clause.kind {
            ClauseKind::Prose(_) | ClauseKind::Junk => {}
            ClauseKind::Let { name, .. } => {
                body.module_let(item, name);
            }
            ClauseKind::Question(question) => {
                if question.kind == tree::QuestionKind::Symptom {
                    body.misplaced(clause, "a module");
                    return;
                }
                if matches!(
                    question.form,
                    tree::QuestionForm::Observed { .. } | tree::QuestionForm::Run(_)
                ) {
                    body.report(
                        Diagnostic::error(
                            "misplaced-clause",
                            clause.keyword,
                            "a check of a module asks providers, not people or runbooks",
                        )
                        .help("ask it in the runbook"),
                    );
                    return;
                }
                if let Some(id) = body.lone_check(item, question) {
                    body.examples(question, id, program);
                }
            }
            ClauseKind::Action(action) => body.lone_action(item, action),
            ClauseKind::Escalation { name, rows } => {
                let name = name.as_ref().map_or("escalation", |name| name.text.as_str());
                body.escalation(name, rows);
            }
            _ => body.misplaced(clause, "the top level of a file"),
        }
    }

    /// The operations of the checked file's provider, with their `before` and `undo`.
    fn interface_item(&mut self, item: ItemRef) {
        let Some(table) = self.provider_table(item) else {
            return;
        };
        let tree = self.tree(item.file);
        let ItemKind::Provider(provider) = &tree.items[item.item].kind else {
            return;
        };
        for member in &provider.members {
            let tree::ProviderMember::Operation(written) = member else {
                continue;
            };
            let Some(found) = table.find(&written.path.dotted()) else {
                continue;
            };
            let mut body = Body::new(self, item.file);
            body.verification(&table, &found.operation, written.path.span);
            if written.before.is_none() && written.undo.is_none() {
                continue;
            }
            body.inverse_of_interface(&table, found, written);
        }
    }

    /// Reports runbooks that run themselves, or are nested too deep.
    fn call_cycles(&mut self, edges: &Edges) {
        let count = edges.len();
        // Take away, again and again, what runs nothing that is still there; what remains runs in a circle.
        let mut waiting: Vec<usize> = edges.iter().map(Vec::len).collect();
        let mut callers: Vec<Vec<usize>> = vec![Vec::new(); count];
        for (caller, runs) in edges.iter().enumerate() {
            for (callee, _) in runs {
                callers[*callee].push(caller);
            }
        }
        let mut depth = vec![0usize; count];
        let mut done: Vec<bool> = vec![false; count];
        let mut ready: Vec<usize> = (0..count).filter(|node| waiting[*node] == 0).collect();
        while let Some(node) = ready.pop() {
            done[node] = true;
            for caller in &callers[node] {
                depth[*caller] = depth[*caller].max(depth[node] + 1);
                waiting[*caller] -= 1;
                if waiting[*caller] == 0 {
                    ready.push(*caller);
                }
            }
        }
        let mut circle: Option<usize> = None;
        for start in 0..count {
            if done[start] {
                continue;
            }
            // From any node that remains, walking on among those that remain leads into a circle.
            let mut seen = vec![false; count];
            let mut node = start;
            while !seen[node] {
                seen[node] = true;
                match edges[node].iter().find(|(callee, _)| !done[*callee]) {
                    Some((callee, _)) => node = *callee,
                    None => break,
                }
            }
            circle = Some(node);
            break;
        }
        if let Some(first) = circle {
            let mut names = Vec::new();
            let mut node = first;
            let mut last_call = None;
            loop {
                names.push(self.runbook_name(node));
                let Some((callee, span)) = edges[node].iter().find(|(callee, _)| !done[*callee]) else {
                    break;
                };
                last_call = Some(*span);
                node = *callee;
                if node == first || names.len() > count {
                    break;
                }
            }
            names.push(self.runbook_name(first));
            if let Some(span) = last_call {
                self.report(
                    Diagnostic::error("call-cycle", span, "runbooks run each other in a circle")
                        .label(names.join(" → "))
                        .help("a run must end: take one of these calls out"),
                );
            }
            return;
        }
        if depth.first().is_some_and(|depth| *depth > RUN_DEPTH)
            && let Some((_, span)) = edges[0].iter().max_by_key(|(callee, _)| depth[*callee])
        {
            self.report(
                Diagnostic::error(
                    "call-cycle",
                    *span,
                    format!("runbooks run each other more than {RUN_DEPTH} deep"),
                )
                .help("let this runbook run the inner ones itself"),
            );
        }
    }

    fn runbook_name(&self, index: usize) -> String {
        let Some(item) = self.runbooks.get(index) else {
            return String::new();
        };
        match &self.tree(item.file).items[item.item].kind {
            ItemKind::Runbook(runbook) => runbook.name.text.clone(),
            _ => String::new(),
        }
    }

    fn lower_runbook(&mut self, item: ItemRef) -> (Runbook, Vec<(usize, Span)>) {
        let tree = self.tree(item.file);
        let mut body = Body::new(self, item.file);
        let runbook = match &tree.items[item.item].kind {
            ItemKind::Runbook(runbook) => body.runbook(runbook, tree.items[item.item].span),
            _ => empty_runbook(tree.items[item.item].span),
        };
        let runs = body.runs.iter().map(|(id, span)| (id.0, *span)).collect();
        (runbook, runs)
    }
}

/// A runbook without anything in it.
pub(super) fn empty_runbook(span: Span) -> Runbook {
    Runbook {
        name: String::new(),
        title: Template::default(),
        span,
        header: empty_header(),
        prose: Vec::new(),
        bindings: Vec::new(),
        params: Vec::new(),
        actions: Vec::new(),
        situation: Situation::default(),
        task_prose: Vec::new(),
        goal: None,
        steps: Vec::new(),
        result: ResultSection::default(),
        reflection: Reflection::default(),
    }
}

fn empty_header() -> Header {
    Header {
        owner: None,
        status: None,
        reviewed: None,
        valid: None,
        timebox: Duration::from_secs(3600),
        timebox_then: End::Escalate,
        timebox_written: false,
        reads: Vec::new(),
        changes: Vec::new(),
        tells: Vec::new(),
        runs: Vec::new(),
    }
}

/// What is gathered while the sections of a runbook are read.
struct Gathered<'t> {
    header: Header,
    lines: Vec<HeaderLine<'t>>,
    /// End of the last header clause.
    header_end: Option<Span>,
    once: HashMap<&'static str, Span>,
    prose: Vec<Template>,
    situation: Situation,
    situation_steps: Vec<Step>,
    task_prose: Vec<Template>,
    goal: Option<BindingId>,
    /// A goal that asks what stands further down.
    pending: Option<&'t tree::Expr>,
    steps: Vec<Step>,
    result: ResultSection,
    reflection: Reflection,
}

impl Body<'_, '_> {
    fn runbook(&mut self, runbook: &tree::Runbook, span: Span) -> Runbook {
        self.announce(&runbook.body);
        let mut params = Vec::with_capacity(runbook.params.len());
        for param in &runbook.params {
            let file = self.scope.file;
            let ty = self.checker.resolve(file, &param.ty);
            let default = param.default.as_ref().map(|default| self.expect(default, &ty));
            let id = self.bind(
                param.name.text.clone(),
                param.name.span,
                ty,
                BindingKind::Param { default },
            );
            self.declare(&param.name, What::Binding(id));
            params.push(id);
        }
        let title = match &runbook.title {
            Some(title) => self.template(title),
            None => {
                self.report(
                    Diagnostic::error("missing-clause", runbook.name.span, "this runbook has no title")
                        .help("write it behind the name, in double quotes"),
                );
                Template::literal(runbook.name.text.clone())
            }
        };
        let mut gathered = Gathered {
            header: empty_header(),
            lines: Vec::new(),
            header_end: None,
            once: HashMap::new(),
            prose: Vec::new(),
            situation: Situation::default(),
            situation_steps: Vec::new(),
            task_prose: Vec::new(),
            goal: None,
            pending: None,
            steps: Vec::new(),
            result: ResultSection::default(),
            reflection: Reflection::default(),
        };
        let mut highest: (usize, Span) = (0, runbook.body.span);
        for clause in &runbook.body.clauses {
            if matches!(clause.kind, ClauseKind::Junk) {
                self.effects.unclear_all = true;
                continue;
            }
            if let ClauseKind::Prose(prose) = &clause.kind
                && highest.0 <= 1
                && gathered.steps.is_empty()
            {
                let text = self.template(&prose.text);
                gathered.prose.push(text);
                continue;
            }
            let at = section(&clause.kind).unwrap_or(3);
            if at < highest.0 {
                self.out_of_order(clause, highest.1);
            } else {
                highest = (at, clause.keyword);
            }
            match at {
                0 => self.header_clause(clause, &mut gathered),
                3 => match self.step(clause, Around::default()) {
                    Some(Some(step)) => {
                        gathered.steps.push(step);
                        if let Some(goal) = gathered.pending
                            && self.all_known(goal)
                        {
                            gathered.goal = Some(self.goal(goal));
                            gathered.pending = None;
                        }
                    }
                    Some(None) => {}
                    None => self.misplaced(clause, "a runbook"),
                },
                _ => self.section(clause, &mut gathered),
            }
        }
        if let Some(goal) = gathered.pending.take() {
            gathered.goal = Some(self.goal(goal));
        }
        if gathered.goal.is_none() {
            once_each(&mut gathered.steps);
        }
        let insert_at = gathered.header_end.map_or_else(
            || {
                let start = runbook.body.span.start as usize + 1;
                Span::new(runbook.body.span.file, start, start)
            },
            |end| Span::new(end.file, end.end as usize, end.end as usize),
        );
        let broken = self.broken();
        self.compare_header(&gathered.lines, insert_at, broken);
        if gathered.result.escalation.is_none() {
            gathered.result.escalation = self.environment_matrix();
        }
        let mut steps = gathered.situation_steps;
        steps.append(&mut gathered.steps);
        Runbook {
            name: runbook.name.text.clone(),
            title,
            span,
            header: gathered.header,
            prose: gathered.prose,
            bindings: std::mem::take(&mut self.bindings),
            params,
            actions: std::mem::take(&mut self.actions),
            situation: gathered.situation,
            task_prose: gathered.task_prose,
            goal: gathered.goal,
            steps,
            result: gathered.result,
            reflection: gathered.reflection,
        }
    }

    fn goal(&mut self, written: &tree::Expr) -> BindingId {
        self.goal_pending = false;
        let value = self.condition(written, false);
        let name = tree::Name {
            text: "goal".to_owned(),
            span: written.span,
        };
        let id = self.bind("goal", written.span, Type::Bool, BindingKind::Let(value));
        self.declare(&name, What::Binding(id));
        id
    }

    /// True when every name of an expression is known here, or is not declared anywhere in the runbook.
    fn all_known(&self, written: &tree::Expr) -> bool {
        let mut known = true;
        names(written, &mut |name| {
            if self.scope.find(&name.text).is_none() && self.scope.elsewhere(&name.text).is_some() {
                known = false;
            }
        });
        known
    }

    fn first<'t>(&mut self, clause: &'t Clause, word: &'static str, gathered: &mut Gathered<'t>) -> bool {
        match gathered.once.get(word) {
            Some(first) => {
                let first = *first;
                self.twice(clause, first);
                false
            }
            None => {
                gathered.once.insert(word, clause.keyword);
                true
            }
        }
    }

    fn header_clause<'t>(&mut self, clause: &'t Clause, gathered: &mut Gathered<'t>) {
        gathered.header_end = Some(clause.span);
        let word = match &clause.kind {
            ClauseKind::Owner(_) => "owner",
            ClauseKind::Status(_) => "status",
            ClauseKind::Reviewed { .. } => "reviewed",
            ClauseKind::Timebox { .. } => "timebox",
            ClauseKind::Reads(_) => "reads",
            ClauseKind::Changes(_) => "changes",
            ClauseKind::Tells(_) => "tells",
            _ => "runs",
        };
        if !self.first(clause, word, gathered) {
            return;
        }
        let dotted = |paths: &[tree::Path]| paths.iter().map(tree::Path::dotted).collect::<Vec<_>>();
        let mut line = |word: usize, entries: &'t [tree::Path]| {
            gathered.lines.push(HeaderLine {
                word,
                entries,
                span: clause.span,
            });
            dotted(entries)
        };
        match &clause.kind {
            ClauseKind::Reads(paths) => gathered.header.reads = line(0, paths),
            ClauseKind::Changes(paths) => gathered.header.changes = line(1, paths),
            ClauseKind::Tells(paths) => gathered.header.tells = line(2, paths),
            ClauseKind::Runs(paths) => gathered.header.runs = line(3, paths),
            ClauseKind::Owner(owner) => gathered.header.owner = owner.literal(),
            ClauseKind::Status(status) => gathered.header.status = Some(status.text.clone()),
            ClauseKind::Reviewed { date, valid } => {
                if date.text.parse::<jiff::civil::Date>().is_err() {
                    self.report(
                        Diagnostic::error("unknown-value", date.span, format!("`{}` is not a date", date.text))
                            .help("write year, month and day, for example `2026-11-01`"),
                    );
                }
                gathered.header.reviewed = Some(date.text.clone());
                gathered.header.valid = valid.as_ref().map(|valid| self.duration(valid));
            }
            ClauseKind::Timebox { duration, then } => {
                gathered.header.timebox = self.duration(duration);
                gathered.header.timebox_written = true;
                if let Some(then) = then {
                    gathered.header.timebox_then = self.timebox_end(then);
                }
            }
            _ => {}
        }
    }

    fn timebox_end(&mut self, then: &tree::Outcome) -> End {
        match then.end.as_ref().map(|end| (&end.kind, end.span)) {
            None | Some((EndKind::Escalate, _)) => End::Escalate,
            Some((EndKind::Stop(reason), _)) => End::Stop(self.template(reason)),
            Some((_, span)) => {
                self.report(
                    Diagnostic::error("misplaced-clause", span, "nothing comes behind the end of the timebox")
                        .help("write `then escalate` or `then stop \"…\"`"),
                );
                End::Escalate
            }
        }
    }

    fn section<'t>(&mut self, clause: &'t Clause, gathered: &mut Gathered<'t>) {
        match &clause.kind {
            ClauseKind::Situation(block) if self.first(clause, "situation", gathered) => {
                self.situation(block, gathered);
            }
            ClauseKind::Task(block) if self.first(clause, "task", gathered) => {
                self.task(block, gathered);
            }
            ClauseKind::Result(block) if self.first(clause, "result", gathered) => {
                self.result_section(block, gathered);
            }
            ClauseKind::Reflection(block) if self.first(clause, "reflection", gathered) => {
                self.reflection(block, gathered);
            }
            _ => {}
        }
    }

    fn situation<'t>(&mut self, block: &'t Block, gathered: &mut Gathered<'t>) {
        let mut severity: Option<(&'t [tree::SeverityRow], &'t Clause)> = None;
        for clause in &block.clauses {
            match &clause.kind {
                ClauseKind::Prose(prose) => {
                    let text = self.template(&prose.text);
                    gathered.situation.prose.push(text);
                }
                ClauseKind::Question(question) => {
                    let symptom = question.kind == tree::QuestionKind::Symptom;
                    if let Some(id) = self.question(question) {
                        if symptom {
                            gathered.situation.symptoms.push(id);
                        } else {
                            gathered.situation_steps.push(Step {
                                kind: StepKind::Evaluate(id),
                                span: clause.span,
                            });
                        }
                    }
                }
                ClauseKind::Read { .. } | ClauseKind::Let { .. } => {
                    if let Some(Some(step)) = self.step(clause, Around::default()) {
                        gathered.situation_steps.push(step);
                    }
                }
                ClauseKind::Severity(rows) => {
                    if let Some((_, first)) = severity {
                        self.twice(clause, first.keyword);
                    } else {
                        severity = Some((rows, clause));
                    }
                }
                ClauseKind::Junk => self.effects.unclear_all = true,
                _ => self.misplaced(clause, "`situation`"),
            }
        }
        // Severity asks the symptoms: it is read behind all of them.
        if let Some((rows, clause)) = severity {
            gathered.situation.severity = self.severity_rows(rows, clause.span, clause.keyword);
        }
    }

    fn task<'t>(&mut self, block: &'t Block, gathered: &mut Gathered<'t>) {
        let mut first: Option<Span> = None;
        for clause in &block.clauses {
            match &clause.kind {
                ClauseKind::Prose(prose) => {
                    let text = self.template(&prose.text);
                    gathered.task_prose.push(text);
                }
                ClauseKind::Goal(goal) => {
                    if let Some(first) = first {
                        self.twice(clause, first);
                        continue;
                    }
                    first = Some(clause.keyword);
                    if self.all_known(goal) {
                        gathered.goal = Some(self.goal(goal));
                    } else {
                        self.goal_pending = true;
                        gathered.pending = Some(goal);
                    }
                }
                ClauseKind::Junk => self.effects.unclear_all = true,
                _ => self.misplaced(clause, "`task`"),
            }
        }
    }

    fn result_section<'t>(&mut self, block: &'t Block, gathered: &mut Gathered<'t>) {
        if let Some(goal) = gathered.pending.take() {
            gathered.goal = Some(self.goal(goal));
        }
        let mut resolved: Option<Span> = None;
        let mut escalation: Option<Span> = None;
        for clause in &block.clauses {
            match &clause.kind {
                ClauseKind::Prose(prose) => {
                    let text = self.template(&prose.text);
                    gathered.result.prose.push(text);
                }
                ClauseKind::Resolved(condition) => {
                    if let Some(first) = resolved {
                        self.twice(clause, first);
                        continue;
                    }
                    resolved = Some(clause.keyword);
                    gathered.result.resolved = Some(self.condition(condition, true));
                }
                ClauseKind::EscalationUse(_) | ClauseKind::Escalation { .. } => {
                    if let Some(first) = escalation {
                        self.twice(clause, first);
                        continue;
                    }
                    escalation = Some(clause.keyword);
                    gathered.result.escalation = match &clause.kind {
                        ClauseKind::EscalationUse(path) => self.named_escalation(path),
                        ClauseKind::Escalation { rows, .. } => Some(self.escalation("escalation", rows)),
                        _ => None,
                    };
                }
                ClauseKind::Junk => self.effects.unclear_all = true,
                _ => self.misplaced(clause, "`result`"),
            }
        }
    }

    fn reflection<'t>(&mut self, block: &'t Block, gathered: &mut Gathered<'t>) {
        for clause in &block.clauses {
            match &clause.kind {
                ClauseKind::Prose(prose) => {
                    let text = self.template(&prose.text);
                    gathered.reflection.prose.push(text);
                }
                ClauseKind::Prevent { title, by, within } => {
                    let title = self.template(title);
                    let by = by.as_ref().map(|by| self.template(by));
                    let within = within.as_ref().map(|within| self.duration(within));
                    gathered.reflection.prevents.push(Prevent {
                        title,
                        by,
                        within,
                        span: clause.span,
                    });
                }
                ClauseKind::Advise { title, body } => {
                    let advice = self.advice(title, body.as_ref(), clause.span);
                    gathered.reflection.advice.push(advice);
                }
                ClauseKind::Reflect(question) => {
                    let question = self.template(question);
                    gathered.reflection.questions.push(question);
                }
                ClauseKind::Junk => self.effects.unclear_all = true,
                _ => self.misplaced(clause, "`reflection`"),
            }
        }
    }

    /// Notes every name of a block and its blocks, so that a use above the declaration can say so.
    fn announce(&mut self, block: &Block) {
        for clause in &block.clauses {
            match &clause.kind {
                ClauseKind::Situation(inner)
                | ClauseKind::Task(inner)
                | ClauseKind::Branch { body: inner, .. }
                | ClauseKind::Otherwise { body: inner, .. }
                | ClauseKind::CannotTell(inner) => self.announce(inner),
                ClauseKind::Cause { name, body, .. } => {
                    self.scope.announce(name);
                    self.announce(body);
                }
                ClauseKind::Each(each) => {
                    self.scope.announce(&each.name);
                    self.announce(&each.body);
                }
                ClauseKind::Question(question) => self.scope.announce(&question.name),
                ClauseKind::Read { name, .. }
                | ClauseKind::Let { name, .. }
                | ClauseKind::Ask { name, .. }
                | ClauseKind::Manual { name, .. } => self.scope.announce(name),
                ClauseKind::Action(action) => {
                    self.scope.announce(&action.name);
                    for clause in action.body.iter().flat_map(|body| &body.clauses) {
                        if let ClauseKind::Do { name: Some(name), .. } = &clause.kind {
                            self.scope.announce(name);
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

/// Without a goal nothing tells whether a cause was the right one: every branch is asked once.
fn once_each(steps: &mut [Step]) {
    for step in steps {
        match &mut step.kind {
            StepKind::Branch(branch) => {
                branch.once = true;
                for cause in &mut branch.causes {
                    once_each(&mut cause.steps);
                }
                once_each(&mut branch.otherwise);
                once_each(&mut branch.cannot_tell);
            }
            StepKind::Each(each) => once_each(&mut each.steps),
            _ => {}
        }
    }
}

/// Calls `found` for every name an expression begins with.
fn names<'t>(written: &'t tree::Expr, found: &mut dyn FnMut(&'t tree::Name)) {
    use tree::ExprKind;
    match &written.kind {
        ExprKind::Name(name) => found(name),
        ExprKind::Field { subject, .. } => names(subject, found),
        ExprKind::Not(inner) | ExprKind::Negative(inner) | ExprKind::Paren(inner) => names(inner, found),
        ExprKind::Index { subject, index } => {
            names(subject, found);
            names(index, found);
        }
        ExprKind::Call { callee, args } => {
            names(callee, found);
            args.iter().for_each(|arg| names(&arg.value, found));
        }
        ExprKind::FanOut { call, .. } => names(call, found),
        ExprKind::List(items) => items.iter().for_each(|item| names(item, found)),
        ExprKind::Record(fields) => fields.iter().for_each(|(_, value)| names(value, found)),
        ExprKind::Binary { left, right, .. } => {
            names(left, found);
            names(right, found);
        }
        ExprKind::Is { subject, what, .. } => {
            names(subject, found);
            if let tree::IsWhat::Value(value) = what {
                names(value, found);
            }
        }
        ExprKind::For { condition, duration } => {
            names(condition, found);
            names(duration, found);
        }
        ExprKind::Default { value, fallback } => {
            names(value, found);
            names(fallback, found);
        }
        ExprKind::Text(text) => {
            for part in &text.parts {
                if let tree::TextPart::Expr(inner) = part {
                    names(inner, found);
                }
            }
        }
        ExprKind::True
        | ExprKind::False
        | ExprKind::None
        | ExprKind::Number { .. }
        | ExprKind::Quantity { .. }
        | ExprKind::Code { .. }
        | ExprKind::It
        | ExprKind::Error => {}
    }
}
