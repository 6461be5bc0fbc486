//! Runs the `example`s of library checks: given values in, one answer out. Nothing is asked.

use super::{Scope, answer, compare, evaluate};
use crate::program::{Binding, BindingId, BindingKind, ExampleCase, Program, QuestionForm, RunField};
use crate::source::Span;
use crate::value::show::show;
use crate::value::{Reason, Value};
use jiff::Timestamp;

/// What came of one example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExampleResult {
    /// `stuck_sessions: six`
    pub name: String,
    pub span: Span,
    /// What differs from the expectation, one line each; none: it passed.
    pub failures: Vec<String>,
}

/// Runs every example of the program.
pub fn run(program: &Program) -> Vec<ExampleResult> {
    program.examples.iter().map(run_one).collect()
}

/// Values of the bindings so far.
struct Values {
    values: Vec<Value>,
}

impl Scope for Values {
    fn binding(&self, id: BindingId) -> Value {
        self.values
            .get(id.0)
            .cloned()
            .unwrap_or_else(|| Value::unknown(Reason::Internal, "a name that is not there"))
    }

    /// Examples know no clock of their own: the time is always the same.
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn run(&self, _field: RunField) -> Value {
        Value::unknown(Reason::Unavailable, "an example is not a run")
    }
}

fn run_one(example: &ExampleCase) -> ExampleResult {
    let mut scope = Values {
        values: vec![Value::unknown(Reason::Unavailable, "not given"); example.bindings.len()],
    };
    let mut missing = Vec::new();
    settle(example, 0..example.bindings.len(), &mut scope, &mut missing);
    let mut failures = Vec::new();
    let found = scope.binding(example.question);
    if answer(&found) != example.answer {
        failures.push(format!("expected {}, found {}", example.answer.word(), show(&found)));
    }
    for (id, expected) in &example.fields {
        let found = scope.binding(*id);
        if compare::equal(&found, expected) != Value::Bool(true) {
            failures.push(format!(
                "`{}`: expected {}, found {}",
                example.bindings[id.0].name,
                show(expected),
                show(&found)
            ));
        }
    }
    if !failures.is_empty() && !missing.is_empty() {
        failures.push(format!("no value was given for {}", missing.join(", ")));
    }
    ExampleResult {
        name: example.name.clone(),
        span: example.span,
        failures,
    }
}

/// Computes a range of bindings, each of which only rests on earlier ones.
fn settle(example: &ExampleCase, range: std::ops::Range<usize>, scope: &mut Values, missing: &mut Vec<String>) {
    let mut at = range.start;
    while at < range.end {
        let id = BindingId(at);
        let binding = &example.bindings[at];
        at += 1;
        if let Some((_, value)) = example.given.iter().find(|(given, _)| *given == id) {
            scope.values[id.0] = value.clone();
            continue;
        }
        let value = match &binding.kind {
            BindingKind::Element => continue,
            BindingKind::Let(expr) => evaluate(expr, scope),
            BindingKind::Param { default: Some(default) } => evaluate(default, scope),
            BindingKind::Question(question) => match &question.form {
                QuestionForm::YesWhen(condition) => evaluate(condition, scope),
                QuestionForm::FanOut {
                    all,
                    over,
                    element,
                    question,
                    inner,
                } => fan_out(
                    example,
                    *all,
                    &evaluate(over, scope),
                    *element,
                    *question,
                    inner,
                    scope,
                    missing,
                ),
                QuestionForm::Observed { .. } | QuestionForm::Run { .. } => not_given(binding, missing),
            },
            BindingKind::Param { default: None }
            | BindingKind::Read(_)
            | BindingKind::Ask { .. }
            | BindingKind::DoResult { .. }
            | BindingKind::Before { .. } => not_given(binding, missing),
        };
        scope.values[id.0] = value;
    }
}

#[allow(clippy::too_many_arguments)]
fn fan_out(
    example: &ExampleCase,
    all: bool,
    over: &Value,
    element: BindingId,
    question: BindingId,
    inner: &std::ops::Range<usize>,
    scope: &mut Values,
    missing: &mut Vec<String>,
) -> Value {
    let Some(list) = over.as_list() else {
        return over.clone();
    };
    let mut answers = Vec::new();
    for item in &list.items {
        scope.values[element.0] = item.clone();
        settle(example, inner.clone(), scope, missing);
        answers.push(scope.binding(question));
    }
    combine(all, answers, list.truncated)
}

/// The answer of `any f(each xs)` and `all f(each xs)` from the answers of the elements. With a list that was cut only an
/// element that decides alone gives a definite answer.
pub fn combine(all: bool, answers: Vec<Value>, truncated: bool) -> Value {
    let answer = if all {
        compare::all(answers)
    } else {
        compare::any(answers)
    };
    if truncated && answer == Value::Bool(all) {
        Value::unknown(Reason::Truncated, "there are more than were seen")
    } else {
        answer
    }
}

fn not_given(binding: &Binding, missing: &mut Vec<String>) -> Value {
    let name = format!("`{}`", binding.name);
    if !missing.contains(&name) {
        missing.push(name);
    }
    Value::unknown(Reason::Unavailable, "the example does not give it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Embedded;
    use crate::render::sample;

    #[test]
    fn the_examples_of_every_embedded_module_hold() {
        let mut count = 0;
        for path in Embedded::paths() {
            for result in run(&sample::module(path)) {
                assert_eq!(result.failures, Vec::<String>::new(), "{path}: {}", result.name);
                count += 1;
            }
        }
        assert!(count > 20, "{count} examples");
    }

    #[test]
    fn one_value_of_a_series_has_stood_for_as_long_as_is_asked() {
        let text = r#"module trend "A module that asks how long"

provider metrics {
  read used(of: Text) -> Series<Ratio>
}

check full(of: Text, above: Ratio = 90 %, lasting: Duration = 5 min) "Is more than {above} of {of} used?" {
  read used = metrics.used(of)
  yes when used > above for lasting
  example "full"      { used = 97 % -> yes }
  example "room"      { used = 10 % -> no }
  example "no answer" { used = timeout -> unknown }
}
"#;
        let results = run(&sample::program(text));
        assert_eq!(results.len(), 3);
        for result in results {
            assert_eq!(result.failures, Vec::<String>::new(), "{}", result.name);
        }
    }

    #[test]
    fn a_wrong_example_says_what_differs() {
        let text = r#"module wrong "A module with a wrong example"

provider metrics {
  read count() -> Int
  read other() -> Int
}

check many(more_than: Int = 5) "Are there more than {more_than}?" {
  read count = metrics.count()
  read other = metrics.other()
  let  sum   = count + other
  yes when sum > more_than
  example "wrong answer" { count = 3, other = 2 -> yes }
  example "wrong field"  { count = 4, other = 3 -> yes, sum 8 }
  example "late"         { count = 4, other = timeout -> unknown }
}
"#;
        let results = run(&sample::program(text));
        let failures: Vec<&[String]> = results.iter().map(|result| result.failures.as_slice()).collect();
        assert_eq!(failures[0], ["expected yes, found no"]);
        assert_eq!(failures[1], ["`many.sum`: expected 8, found 7"]);
        assert_eq!(failures[2], [""; 0]);
    }
}
