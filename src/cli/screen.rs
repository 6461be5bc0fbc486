//! The run screen: every recorded event as it happens, under the five headings of the record.

use super::console::Console;
use super::output::{Style, line};
use crate::engine::world::Screen;
use crate::journal::event::{Event, Part};
use crate::render::lines::{Tone, lines};
use crate::render::safe::safe;
use crate::secrets::redact_json;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Prints lines for people, or one JSON object an event with `--json`.
pub struct Lines {
    console: Arc<Console>,
    run: String,
    /// The scope and part the last line belonged to.
    place: Mutex<Option<(String, Part)>>,
}

impl Lines {
    /// A screen for the run of this id.
    pub fn new(console: Arc<Console>, run: &str) -> Self {
        Self {
            console,
            run: run.to_owned(),
            place: Mutex::new(None),
        }
    }

    fn heading(&self, scope: &str, part: Part) {
        let mut place = self.place.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // A later round asks questions again: they stand under the heading of the part the run is in.
        if place
            .as_ref()
            .is_some_and(|(here, reached)| here == scope && *reached >= part)
        {
            return;
        }
        *place = Some((scope.to_owned(), part));
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
