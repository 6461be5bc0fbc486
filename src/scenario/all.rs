//! Running many scenarios: in parallel where there is more than one processor to do so.

use super::coverage::Coverage;
use super::faults::{Faults, Which};
use super::report::{CoverageReport, FaultReport, FileReport, Finding, TestResult};
use super::stage::Variant;
use super::suite::{Runtime, Suite};
use super::verdict::{Problem, Story, judge, reasoning};
use super::{generate, write};
use crate::program::Program;
use crate::program::scenario::Scenario;
use crate::source::Span;
use crate::value::Type;
use crate::value::types::RecordType;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What is to be done with the scenarios.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only scenarios whose title contains this.
    pub filter: Option<String>,
    pub coverage: bool,
    /// Which calls go wrong in turn; `None`: none.
    pub faults: Option<Which>,
    /// Generated inputs for each question.
    pub generate: usize,
    pub seed: u64,
    /// At most so many threads; 0: as many as there are processors.
    pub threads: usize,
}

/// Runs the scenarios and examples of a program. `file` is the name of the runbook's file.
///
/// # Errors
/// When a thread cannot be given what it needs.
pub fn run_all(suite: &Suite, file: &str, options: &Options) -> std::io::Result<FileReport> {
    let program = suite.program();
    let wanted = |title: &str| {
        options
            .filter
            .as_ref()
            .is_none_or(|filter| title.contains(filter.as_str()))
    };
    let mut report = FileReport {
        file: file.to_owned(),
        ..FileReport::default()
    };
    for example in crate::eval::examples::run(program) {
        if wanted(&example.name) {
            let problems = example
                .failures
                .iter()
                .map(|message| finding(program, example.span, message.clone()))
                .collect::<Vec<_>>();
            report.results.push(TestResult {
                passed: problems.is_empty(),
                file: program.sources.file(example.span.file).name.clone(),
                line: program.sources.line_column(example.span).0,
                title: example.name,
                problems,
                ..TestResult::default()
            });
        }
    }
    let chosen: Vec<usize> = program
        .scenarios
        .iter()
        .enumerate()
        .filter(|(_, scenario)| wanted(&scenario.title))
        .map(|(index, _)| index)
        .collect();
    let main = program.runbooks.first().map(|book| book.span.file).unwrap_or_default();
    let whole = Coverage::of(program, main, suite.severities());
    let faults = options.faults.map(|which| Faults::new(suite.clone(), which));
    let threads = if options.threads == 0 {
        std::thread::available_parallelism().map_or(1, usize::from)
    } else {
        options.threads
    };
    let next = AtomicUsize::new(0);
    let gathered: Mutex<Vec<One>> = Mutex::new(Vec::with_capacity(chosen.len()));
    let work = || -> std::io::Result<Coverage> {
        let runtime = Runtime::new()?;
        let mut coverage = whole.clone();
        loop {
            let position = next.fetch_add(1, Ordering::SeqCst);
            let Some(index) = chosen.get(position) else {
                return Ok(coverage);
            };
            let one = one(suite, *index, &runtime, &mut coverage, faults.as_ref());
            gathered.lock().unwrap_or_else(PoisonError::into_inner).push(one);
        }
    };
    // A thread costs more than a handful of scenarios.
    let threads = threads.min(chosen.len() / 8 + 1);
    let coverages: Vec<std::io::Result<Coverage>> = if threads <= 1 {
        vec![work()]
    } else {
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            running
                .into_iter()
                .map(|thread| {
                    thread
                        .join()
                        .unwrap_or_else(|_| Err(std::io::Error::other("a thread panicked")))
                })
                .collect()
        })
    };
    let mut coverage = whole;
    for one in coverages {
        coverage.add_all(&one?);
    }
    let mut gathered = gathered.into_inner().unwrap_or_else(PoisonError::into_inner);
    gathered.sort_by_key(|one| one.index);
    let mut faulted = FaultReport::default();
    for one in gathered {
        report.results.push(one.result);
        faulted.runs += one.faults.runs;
        faulted.broken.extend(one.faults.broken);
    }
    report.coverage = (options.coverage && !coverage.items.is_empty()).then(|| CoverageReport::of(program, &coverage));
    report.faults = (options.faults.is_some() && !chosen.is_empty()).then_some(faulted);
    if options.generate > 0 {
        report.generated = generate::questions(program, options.generate, options.seed);
    }
    Ok(report)
}

struct One {
    index: usize,
    result: TestResult,
    faults: super::faults::Faulted,
}

fn one(suite: &Suite, index: usize, runtime: &Runtime, coverage: &mut Coverage, faults: Option<&Faults>) -> One {
    let began = Instant::now();
    let program = suite.program();
    let scenario = &program.scenarios[index];
    let ran = suite.run(index, Variant::default(), runtime);
    let story = Story::of(&ran);
    let mut problems = judge(scenario, &ran, &story);
    if problems.is_empty() {
        problems.extend(left_out(program, scenario, &suite.deciding(index, &ran, runtime)));
    }
    coverage.count(program, scenario.runbook, &ran.entries);
    let reasoning = if problems.is_empty() {
        Vec::new()
    } else {
        reasoning(&ran)
    };
    let milliseconds = began.elapsed().as_secs_f64() * 1000.0;
    let faulted = match faults {
        Some(faults) if problems.is_empty() => faults.of(index, &ran, runtime),
        _ => super::faults::Faulted::default(),
    };
    let result = TestResult {
        title: scenario.title.clone(),
        file: program.sources.file(scenario.span.file).name.clone(),
        line: program.sources.line_column(scenario.span).0,
        passed: problems.is_empty(),
        outcome: story.outcome,
        run_seconds: ran.duration.as_secs_f64(),
        milliseconds,
        problems: problems
            .into_iter()
            .map(|problem| finding(program, problem.span, problem.message))
            .collect(),
        reasoning,
    };
    One {
        index,
        result,
        faults: faulted,
    }
}

fn finding(program: &Program, span: Span, message: String) -> Finding {
    let (line, column) = program.sources.line_column(span);
    Finding {
        file: program.sources.file(span.file).name.clone(),
        line,
        column,
        message,
    }
}

/// An answer that rests on a field nobody gave: the line with the field in it.
fn left_out(program: &Program, scenario: &Scenario, deciding: &[(usize, String)]) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    let mut lines: Vec<usize> = deciding.iter().map(|(line, _)| *line).collect();
    lines.sort_unstable();
    lines.dedup();
    for line in lines {
        let given = &scenario.given[line];
        let fields: Vec<&str> = deciding
            .iter()
            .filter(|(known, _)| *known == line)
            .map(|(_, field)| field.as_str())
            .collect();
        let written = program.sources.text(given.span);
        let added: Vec<String> = fields
            .iter()
            .map(|field| {
                let ty = field_type(&given.ty, field);
                let call = crate::provider::Call {
                    operation: given.operation.clone(),
                    args: Vec::new(),
                    within: given.operation.within,
                    key: None,
                };
                let value = super::fill::any(&ty, &call, scenario.clock);
                let value = write::expression(&value, &ty, scenario.clock).unwrap_or_else(|| "…".to_owned());
                format!("{}: {value}", field.rsplit('.').next().unwrap_or(field))
            })
            .collect();
        let suggestion = match written.rfind('}') {
            Some(at) => {
                let before = written[..at].trim_end();
                let comma = if before.ends_with('{') { "" } else { ", " };
                format!("{before}{comma}{}{}", added.join(", "), &written[at..])
            }
            None => format!("{written} with {}", added.join(", ")),
        };
        problems.push(Problem {
            span: given.span,
            message: format!(
                "an answer rests on {}, which {} not given: give it\n  given {{\n    {suggestion}\n  }}",
                listed(&fields),
                if fields.len() == 1 { "is" } else { "are" }
            ),
        });
    }
    problems
}

fn listed(fields: &[&str]) -> String {
    let fields: Vec<String> = fields.iter().map(|field| format!("`{field}`")).collect();
    fields.join(", ")
}

fn field_type(ty: &Type, path: &str) -> Type {
    let mut ty = inner(ty);
    for name in path.split('.') {
        let next = match &ty {
            Type::Record(record) => RecordType::field(record, name).cloned(),
            _ => None,
        };
        let Some(next) = next else { return Type::Any };
        ty = inner_keeping_last(&next);
    }
    ty
}

fn inner(ty: &Type) -> Type {
    match ty {
        Type::List(of) | Type::Series(of) | Type::Optional(of) | Type::Secret(of) => inner(of),
        other => other.clone(),
    }
}

fn inner_keeping_last(ty: &Type) -> Type {
    match ty {
        Type::Optional(of) | Type::Secret(of) => inner_keeping_last(of),
        other => other.clone(),
    }
}
