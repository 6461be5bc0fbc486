//! The run screen: every recorded event as it happens, under the five headings of the record.

use super::console::Console;
use super::output::{Style, line};
use crate::engine::world::Screen;
use crate::journal::event::{Event, Part};
use crate::render::lines::{Tone, lines};
use crate::render::safe::safe;
use crate::secrets::redact_json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Prints lines for people, or one JSON object an event with `--json`.
pub struct Lines {
    console: Arc<Console>,
    run: String,
    place: Mutex<Place>,
}

/// Where the last line stood.
#[derive(Default)]
struct Place {
    /// The scope it belonged to.
    here: Option<String>,
    /// How far each scope has come. A called runbook and the one that calls it may speak in turns.
    reached: BTreeMap<String, Part>,
}

impl Place {
    /// The heading that the next line needs above it, if any.
    fn enter(&mut self, scope: &str, part: Part) -> Option<Part> {
        // A later round asks questions again: they stand under the heading of the part the run is in.
        let before = self.reached.get(scope).copied();
        let now = before.map_or(part, |before| before.max(part));
        let same = self.here.as_deref() == Some(scope) && before == Some(now);
        self.here = Some(scope.to_owned());
        self.reached.insert(scope.to_owned(), now);
        (!same).then_some(now)
    }
}

impl Lines {
    /// A screen for the run of this id.
    pub fn new(console: Arc<Console>, run: &str) -> Self {
        Self {
            console,
            run: run.to_owned(),
            place: Mutex::default(),
        }
    }

    fn heading(&self, scope: &str, part: Part) {
        let mut place = self.place.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let Some(part) = place.enter(scope, part) else {
            return;
        };
        let title = match part {
            Part::Situation => "SITUATION",
            Part::Task => "TASK",
            Part::Action => "ACTION",
            Part::Result => "RESULT",
            Part::Reflection => "REFLECTION",
        };
        let scope = if scope.is_empty() {
            String::new()
        } else {
            format!("  in {}", safe(scope))
        };
        self.console.line("");
        self.console.styled(Style::Heading, &format!("{title}{scope}"));
    }
}

impl Screen for Lines {
    fn event(&self, scope: &str, event: &Event) {
        self.console.done_waiting();
        if self.console.output.json {
            let mut object = serde_json::json!({ "run": self.run, "scope": scope });
            if let (Some(object), Ok(serde_json::Value::Object(event))) =
                (object.as_object_mut(), serde_json::to_value(event))
            {
                object.extend(event);
            }
            // Before it is text: what is a text inside a document is escaped once more there.
            redact_json(&mut object);
            line(&object.to_string());
            return;
        }
        let shown = lines(event);
        if shown.is_empty() {
            return;
        }
        if let Event::RunStarted { .. } = event {
            if scope.is_empty() {
                self.console.styled(Style::Faint, &format!("run {}", safe(&self.run)));
            }
            // It begins, perhaps once more.
            let mut place = self.place.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            place.reached.remove(scope);
        } else if !matches!(event, Event::Advised { .. }) {
            self.heading(scope, event.part());
        }
        for line in shown {
            let indent = if matches!(event, Event::RunStarted { .. }) {
                ""
            } else {
                "  "
            };
            let text = format!("{indent}{}{}", "    ".repeat(line.depth), line.text);
            match line.tone {
                Tone::Plain => self.console.line(&text),
                Tone::Heading => self.console.styled(Style::Heading, &text),
                Tone::Faint => self.console.styled(Style::Faint, &text),
                Tone::Good => self.console.styled(Style::Good, &text),
                Tone::Bad => self.console.styled(Style::Bad, &text),
                Tone::Attention => self.console.styled(Style::Attention, &text),
            }
        }
        if let Event::Ended { .. } = event
            && scope.is_empty()
        {
            super::run::where_is_the_record(&self.console, &self.run);
        }
    }

    fn waiting(&self, what: &str, until: Option<Duration>) {
        self.console.waiting(&safe(what), until);
    }

    fn done_waiting(&self) {
        self.console.done_waiting();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_stands_where_something_else_begins_and_a_scope_never_goes_back() {
        let mut place = Place::default();
        let said: Vec<Option<Part>> = [
            ("", Part::Situation),
            ("", Part::Situation),
            ("", Part::Action),
            ("", Part::Situation),
            ("child", Part::Situation),
            ("child", Part::Action),
            ("", Part::Action),
            ("child", Part::Situation),
            ("child", Part::Action),
        ]
        .map(|(scope, part)| place.enter(scope, part))
        .to_vec();
        let (situation, action) = (Some(Part::Situation), Some(Part::Action));
        assert_eq!(
            said,
            [situation, None, action, None, situation, action, action, action, None]
        );
    }
}
