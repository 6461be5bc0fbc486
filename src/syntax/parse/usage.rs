//! How each clause is written, for the help of messages.

use super::Rule;

/// A keyword and the form of its clause.
pub(super) struct Usage {
    pub(super) word: &'static str,
    pub(super) form: &'static str,
}

const fn usage(word: &'static str, form: &'static str) -> Usage {
    Usage { word, form }
}

/// Clauses of blocks and items of files.
const CLAUSES: &[Usage] = &[
    usage("module", "module a.b \"title\""),
    usage("use", "use a.b.{name, name}"),
    usage("runbook", "runbook NAME(parameter: Type) \"title\" { … }"),
    usage("provider", "provider NAME { … }"),
    usage("resource", "resource NAME { field: Type }"),
    usage("record", "record NAME { field: Type, field: Type }"),
    usage("enum", "enum NAME { value, value }"),
    usage("scenario", "scenario \"title\" { … }"),
    usage("owner", "owner \"team\""),
    usage("status", "status production"),
    usage("reviewed", "reviewed 2026-11-01 valid 90 d"),
    usage("timebox", "timebox 60 min then escalate"),
    usage("reads", "reads postgres, kubernetes"),
    usage("changes", "changes postgres.sessions"),
    usage("tells", "tells chat, pager"),
    usage("runs", "runs other_runbook"),
    usage("situation", "situation { … }"),
    usage("task", "task { … }"),
    usage("result", "result { … }"),
    usage("reflection", "reflection { … }"),
    usage("goal", "goal EXPRESSION"),
    usage("severity", "severity { sev1 when EXPRESSION … }"),
    usage("resolved", "resolved when EXPRESSION"),
    usage("escalation", "escalation NAME"),
    usage("prevent", "prevent \"what\" by \"team\" in 14 d"),
    usage("advise", "advise \"what\""),
    usage("ask", "ask NAME \"question\" { text }"),
    usage(
        "check",
        "check NAME \"question?\" { … }` or `check NAME = library_check(…)",
    ),
    usage("symptom", "symptom NAME \"question?\" { … }"),
    usage("read", "read NAME = provider.operation(…) within 10 s"),
    usage("let", "let NAME = EXPRESSION"),
    usage("yes", "yes when EXPRESSION"),
    usage("example", "example \"title\" { name = value -> yes }"),
    usage("branch", "branch \"question?\" { … }"),
    usage("cause", "cause NAME \"statement\" when EXPRESSION { … }"),
    usage("otherwise", "otherwise { … }"),
    usage("cannot", "cannot tell { … }"),
    usage("action", "action NAME \"order\" { … }"),
    usage("manual", "manual NAME \"order\" within 15 min"),
    usage("require", "require EXPRESSION else stop \"reason\""),
    usage("wait", "wait until EXPRESSION within 10 min every 30 s else escalate"),
    usage("each", "each NAME in LIST at most 10 { … }"),
    usage("run", "run runbook(argument)"),
    usage("tell", "tell chat.post(…)"),
    usage("stop", "stop \"reason\""),
    usage("escalate", "escalate"),
    usage("when", "when EXPRESSION"),
    usage("risk", "risk low"),
    usage("approve", "approve by ROLE within 15 min seeing NAME"),
    usage("refuse", "refuse above 50 sessions"),
    usage("do", "do provider.operation(…) within 5 min"),
    usage(
        "undo",
        "undo restore`, `undo provider.operation(…)` or `undo none because \"…\"",
    ),
    usage("verify", "verify EXPRESSION within 10 min every 30 s"),
    usage("failed", "failed -> undo, next cause"),
    usage("unclear", "unclear -> keep, escalate"),
    usage("not", "not approved -> escalate"),
];

const SEVERITY: &[Usage] = &[usage(
    "",
    "sev1 when EXPRESSION`, `sev2 when cannot tell` or `sev3 otherwise",
)];
const ESCALATION: &[Usage] = &[usage(
    "",
    "sev1 -> pager.page(\"oncall\") now, chat.post(\"…\") after 10 min",
)];
const OPERATION: &[Usage] = &[
    usage("read", "read path.name(parameter: Type) -> Type"),
    usage("probe", "probe path.name(parameter: Type) -> Probe"),
    usage("change", "change path.name(parameter: Type) idempotent { … }"),
    usage("tell", "tell path.name(parameter: Type) keyed"),
];
const OPERATION_LINE: &[Usage] = &[
    usage("before", "before operation(…)"),
    usage("undo", "undo operation(…)"),
    usage("example", "example \"title\" { name = value -> yes }"),
];
const SCENARIO: &[Usage] = &[
    usage("run", "run runbook(argument: value)"),
    usage("clock", "clock 2026-11-22 03:00 UTC"),
    usage("like", "like \"title of another scenario\""),
    usage("given", "given { … }"),
    usage("operator", "operator { … }"),
    usage("expect", "expect { … }"),
];
const GIVEN: &[Usage] = &[usage("", "provider.operation(…) -> value")];
const OPERATOR: &[Usage] = &[
    usage("answer", "answer NAME yes"),
    usage("approve", "approve ACTION as ROLE after 2 min"),
    usage("refuse", "refuse ACTION as ROLE"),
    usage("leave", "leave NAME unknown"),
    usage("tick", "tick NAME after 1 min"),
    usage("retry", "retry NAME"),
    usage("undo", "undo ACTION"),
    usage("keep", "keep ACTION"),
    usage("hand", "hand over NAME to PERSON after 2 min"),
    usage("override", "override because \"…\" ticket \"…\" for 30 min as PERSON"),
];
const EXPECT: &[Usage] = &[
    usage("severity", "severity sev1"),
    usage("cause", "cause NAME, NAME"),
    usage("arm", "arm otherwise` or `arm cannot tell of \"question?\""),
    usage("answer", "answer NAME yes"),
    usage("changed", "changed NAME` or `changed nothing"),
    usage("undone", "undone NAME` or `undone nothing"),
    usage("never", "never NAME"),
    usage("told", "told provider.operation 2 times"),
    usage("outcome", "outcome resolved within 20 min"),
    usage("record", "record situation \"what it says\""),
];

/// The clauses that may stand where `again` is read.
pub(super) fn usages(again: Rule) -> &'static [Usage] {
    match again {
        Rule::try_severity => SEVERITY,
        Rule::try_escalation => ESCALATION,
        Rule::try_operation => OPERATION,
        Rule::try_operation_line => OPERATION_LINE,
        Rule::try_scenario => SCENARIO,
        Rule::try_given => GIVEN,
        Rule::try_operator => OPERATOR,
        Rule::try_expect => EXPECT,
        _ => CLAUSES,
    }
}

/// Words of other languages, and what is written here.
pub(super) fn foreign(word: &str) -> Option<&'static str> {
    Some(match word {
        "if" => "a choice is a `branch` with causes; a guard is `require EXPRESSION else …`",
        "else" | "elif" => "the other arms of a branch are `otherwise { … }` and `cannot tell { … }`",
        "for" | "foreach" | "loop" => "write `each NAME in LIST at most 10 { … }`",
        "while" | "until" | "sleep" | "retry" => "write `wait until EXPRESSION within 10 min every 30 s else …`",
        "function" | "fn" | "def" | "func" => "questions are `check`s, orders are `action`s; there are no functions",
        "set" | "var" | "const" => "write `let NAME = EXPRESSION`",
        "return" | "exit" | "abort" | "fail" | "break" => "write `stop \"reason\"` or `escalate`",
        "import" | "include" | "from" | "require_relative" => "write `use a.b.{name, name}`",
        "exec" | "shell" | "bash" | "sh" | "command" => {
            "programs that the environment declares are run with `do exec.…`"
        }
        "reflect" => "the section is called `reflection { … }`",
        "limit" => "write `refuse above 50 sessions`",
        "step" | "steps" => "steps need no word of their own: write the check, branch or action",
        "approval" => "write `approve by ROLE within 15 min`",
        "rollback" => "write `undo restore`, or `undo` with a call",
        "notify" | "send" | "page" => "write `tell` with a call",
        "assert" => "write `require EXPRESSION else stop \"reason\"`",
        "description" | "summary" => "prose stands on lines that begin with `>`",
        _ => return None,
    })
}

/// What a rule is called in a message; `None` for rules that only help the grammar.
pub(super) fn called(rule: Rule) -> Called {
    use Called::{Ignored, Word};
    match rule {
        Rule::EOI | Rule::trail => Called::End,
        Rule::name | Rule::label | Rule::path | Rule::arg_name | Rule::name_primary | Rule::use_path => Word("a name"),
        Rule::text | Rule::title => Word("a text in double quotes"),
        Rule::p_quote => Word("`\"`"),
        Rule::quantity | Rule::number => Word("a number"),
        Rule::unit => Word("a unit"),
        Rule::r#type => Word("a type"),
        Rule::params => Word("parameters in parentheses"),
        Rule::block | Rule::p_brace => Word("`{`"),
        Rule::fields => Word("`{`"),
        Rule::p_unbrace | Rule::close_brace => Word("`}`"),
        Rule::p_close => Word("`)`"),
        Rule::p_unlist => Word("`]`"),
        Rule::p_comma => Word("`,`"),
        Rule::p_colon | Rule::read_type => Word("`:`"),
        Rule::p_equals | Rule::param_default => Word("`=`"),
        Rule::p_arrow | Rule::result_type => Word("`->`"),
        Rule::p_greater => Word("`>`"),
        Rule::p_open => Word("`(`"),
        Rule::p_dot => Word("`.`"),
        Rule::date => Word("a date like `2026-11-01`"),
        Rule::clock => Word("a time like `2026-11-22 03:00 UTC`"),
        Rule::outcome | Rule::outcome_item => Word("an outcome"),
        Rule::o_undo => Word("`undo`"),
        Rule::o_keep => Word("`keep`"),
        Rule::o_tell => Word("`tell`"),
        Rule::o_next_cause => Word("`next cause`"),
        Rule::o_next_step => Word("`next step`"),
        Rule::o_escalate => Word("`escalate`"),
        Rule::o_stop => Word("`stop \"…\"`"),
        Rule::outcome_word => Word("one of `resolved`, `escalated`, `stopped`, `refused`, `in doubt`, `not present`"),
        Rule::within => Word("`within`"),
        Rule::every => Word("`every`"),
        Rule::else_clause => Word("`else`"),
        Rule::valid => Word("`valid`"),
        Rule::seeing => Word("`seeing`"),
        Rule::observed => Word("`observed`"),
        Rule::observed_by | Rule::prevent_by => Word("`by`"),
        Rule::prevent_in => Word("`in`"),
        Rule::each_most => Word("`at most`"),
        Rule::each_batches => Word("`in batches of`"),
        Rule::each_stop => Word("`stop after`"),
        Rule::role_and => Word("`and`"),
        Rule::role_or => Word("`or`"),
        Rule::undo_when => Word("`at end` or `after`"),
        Rule::or_cannot_tell => Word("`or cannot tell`"),
        Rule::undo_restore => Word("`restore`"),
        Rule::p_tick
        | Rule::p_fence
        | Rule::w_true
        | Rule::w_false
        | Rule::w_none
        | Rule::w_it
        | Rule::paren
        | Rule::list
        | Rule::fence
        | Rule::code
        | Rule::record
        | Rule::fan_kind
        | Rule::fan_out
        | Rule::expr
        | Rule::given_value
        | Rule::given_one
        | Rule::op_not
        | Rule::op_negative
        | Rule::refuse_limit => Called::Value,
        Rule::op_or
        | Rule::op_and
        | Rule::op_greater
        | Rule::op_less
        | Rule::op_add
        | Rule::op_or_next
        | Rule::op_and_next
        | Rule::op_greater_equal
        | Rule::op_less_equal
        | Rule::op_is
        | Rule::op_is_empty
        | Rule::op_for
        | Rule::op_in
        | Rule::op_not_in
        | Rule::op_contains
        | Rule::op_matches
        | Rule::op_default
        | Rule::op_subtract
        | Rule::op_multiply
        | Rule::op_divide
        | Rule::field
        | Rule::call
        | Rule::index => Called::Operator,
        rule if super::silent(rule) => Called::Keyword,
        _ => Ignored,
    }
}

/// A name of a rule for people, or the group it belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Called {
    Word(&'static str),
    /// A keyword; its text is the rule's name without `k_`.
    Keyword,
    /// Something an expression begins with.
    Value,
    /// Something an expression goes on with.
    Operator,
    /// The end of the line.
    End,
    Ignored,
}
