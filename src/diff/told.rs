//! Who is called, how soon, and how bad it is taken to be.

use super::{Class, Difference, difference};
use crate::program::{EscalationEntry, Program, Runbook, SeverityWhen};
use crate::value::show::show_std;
use std::collections::BTreeMap;
use std::time::Duration;

/// When an entry of a matrix is sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct When {
    after: Duration,
    unless_acknowledged: bool,
}

impl When {
    fn of(entry: &EscalationEntry) -> Self {
        Self {
            after: entry.after,
            unless_acknowledged: entry.unless_acknowledged,
        }
    }

    /// Never sooner than the other, and never where the other is not sent.
    fn is_less_than(self, other: Self) -> bool {
        self.after > other.after || (self.unless_acknowledged && !other.unless_acknowledged)
    }

    fn words(self) -> String {
        let mut words = if self.after.is_zero() {
            "at once".to_owned()
        } else {
            format!("after {}", show_std(self.after))
        };
        if self.unless_acknowledged {
            words.push_str(" unless acknowledged");
        }
        words
    }
}

/// Compares severity rows and matrices of one runbook.
pub(super) fn compare(old: (&Program, &Runbook), new: (&Program, &Runbook), found: &mut Vec<Difference>) {
    let mut push = |class: Class, subject: &str, text: String| {
        found.push(difference(class, &new.1.name, subject, text));
    };
    let (before, after) = (severities(old), severities(new));
    let had = before.len();
    for (name, when) in after.iter().filter(|row| !before.contains(row)) {
        push(Class::SeverityChanged, name, format!("it now counts {when}"));
    }
    for (name, when) in before.iter().filter(|row| !after.contains(row)) {
        push(Class::SeverityChanged, name, format!("it no longer counts {when}"));
    }
    if before != after && had == after.len() && before.iter().all(|row| after.contains(row)) {
        push(
            Class::SeverityChanged,
            "",
            "its rows stand in another order, and the first that holds counts".to_owned(),
        );
    }
    let (before, after) = (entries(old), entries(new));
    let nothing = Vec::new();
    for key @ (severity, who) in before
        .keys()
        .chain(after.keys().filter(|key| !before.contains_key(*key)))
    {
        let was = before.get(key).unwrap_or(&nothing);
        let is = after.get(key).unwrap_or(&nothing);
        for nth in 0..was.len().max(is.len()) {
            let again = if nth == 0 { "" } else { " again" };
            match (was.get(nth), is.get(nth)) {
                (Some(_), None) => push(Class::FewerTold, severity, format!("{who} is no longer called{again}")),
                (None, Some(is)) => push(
                    Class::MoreTold,
                    severity,
                    format!("{who} is called{again} {}", is.words()),
                ),
                (Some(was), Some(is)) if was != is => {
                    let class = if is.is_less_than(*was) {
                        Class::FewerTold
                    } else {
                        Class::MoreTold
                    };
                    let text = format!("{who} is called{again} {}, was {}", is.words(), was.words());
                    push(class, severity, text);
                }
                _ => {}
            }
        }
    }
}

/// The rows of `severity`, as they are written.
fn severities((program, book): (&Program, &Runbook)) -> Vec<(String, String)> {
    let rows = book.situation.severity.iter();
    rows.map(|row| {
        let when = match &row.when {
            SeverityWhen::Holds(condition) => format!("when {}", program.sources.phrase(condition.span)),
            SeverityWhen::CannotTell => "when an unknown answer stands in the way".to_owned(),
            SeverityWhen::Otherwise => "otherwise".to_owned(),
        };
        (row.name.clone(), when)
    })
    .collect()
}

/// When each operation is called for each addressee, the soonest first, by severity. What is said is no matter: who is told, and when.
fn entries((program, book): (&Program, &Runbook)) -> BTreeMap<(String, String), Vec<When>> {
    let mut all: BTreeMap<(String, String), Vec<When>> = BTreeMap::new();
    for row in book.result.escalation.iter().flat_map(|matrix| &matrix.rows) {
        for entry in &row.entries {
            let to = entry.call.args.first();
            let to = to.map_or_else(String::new, |to| program.sources.phrase(to.value.span));
            let who = format!("`{}({to})`", entry.call.operation.full_name());
            let times = all.entry((row.severity.clone(), who)).or_default();
            times.push(When::of(entry));
            times.sort();
        }
    }
    all
}
