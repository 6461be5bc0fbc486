//! A request for a decision as every terminal shows it: evidence beside decision.

use super::console::Console;
use super::output::Style;
use crate::engine::world::ApprovalRequest;
use crate::journal::event::Shown;
use crate::render::safe::{safe, safe_multiline};

/// Rows of a list that a prompt shows before it says how many more there are.
const ROWS: usize = 60;

/// A heading for something that a person must look at.
pub fn heading(console: &Console, text: &str) {
    console.line("");
    console.styled(Style::Attention, &safe(text));
}

/// The prose of the file.
pub fn prose(console: &Console, prose: &[String]) {
    for text in prose {
        for line in safe_multiline(text).lines() {
            console.line(&format!("  │ {line}"));
        }
    }
}

fn value(console: &Console, name: &str, shown: &Shown) {
    match shown.data() {
        serde_json::Value::Array(rows) if rows.iter().any(serde_json::Value::is_object) => {
            console.line(&format!("  {} ({})", safe(name), rows.len()));
            for line in super::table::rows(rows, ROWS, console.output.width) {
                console.line(&format!("    {}", safe(&line)));
            }
        }
        _ => {
            let text = safe_multiline(shown.text()).into_owned();
            let mut lines = text.lines();
            console.line(&format!("  {}: {}", safe(name), lines.next().unwrap_or_default()));
            for line in lines {
                console.line(&format!("    {line}"));
            }
        }
    }
}

/// Everything that stands beside the decision.
pub fn show(console: &Console, request: &ApprovalRequest) {
    heading(console, &format!("Approval needed: {}", request.order));
    prose(console, &request.prose);
    let role = if request.role.is_empty() {
        "second person"
    } else {
        &request.role
    };
    console.line(&format!(
        "  action {} · risk {} · as {} · digest {}",
        safe(&request.action),
        safe(&request.risk),
        safe(role),
        request.digest.get(..12).unwrap_or(&request.digest)
    ));
    if !request.because.is_empty() {
        console.styled(Style::Heading, "  Why");
        for line in &request.because {
            console.line(&format!("  · {}", safe(line)));
        }
    }
    if !request.seeing.is_empty() {
        console.styled(Style::Heading, "  What is known");
        for (name, shown) in &request.seeing {
            value(console, name, shown);
        }
    }
    if !request.calls.is_empty() {
        console.styled(Style::Heading, "  What would be sent");
    }
    for call in &request.calls {
        console.line(&format!("  {} (class {})", safe(&call.operation), safe(&call.class)));
        for (name, shown) in &call.arguments {
            let seen = request.seeing.iter().find(|(_, other)| other.data() == shown.data());
            match seen {
                Some((other, _)) => console.line(&format!("    {}: exactly {} above", safe(name), safe(other))),
                None => value(console, &format!("  {name}"), shown),
            }
        }
    }
    if !request.consequences.is_empty() {
        console.styled(Style::Heading, "  What follows");
        for line in &request.consequences {
            console.line(&format!("  · {}", safe(line)));
        }
    }
}

/// The question at the end.
pub fn prompt(request: &ApprovalRequest) -> String {
    let left = crate::value::show::show(&crate::value::Value::duration(request.deadline));
    match request.typed.as_deref() {
        Some(typed) => format!(
            "  Approve? Type `{}` to approve, `no` to refuse; {left} left:",
            safe(typed)
        ),
        None => format!("  Approve? Type yes or no; {left} left, silence is refusal:"),
    }
}

/// What a line at the prompt means; `None` when it is neither.
pub fn decision(request: &ApprovalRequest, line: &str) -> Option<bool> {
    let approved = match request.typed.as_deref() {
        Some(typed) => line == typed,
        None => line.eq_ignore_ascii_case("yes"),
    };
    if approved {
        return Some(true);
    }
    line.eq_ignore_ascii_case("no").then_some(false)
}
