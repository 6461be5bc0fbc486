//! Severity: the first row that is a definite yes; it rises by itself and never falls.

use super::questions::Root;
use super::state::Run;
use super::{Frame, Way};
use crate::eval;
use crate::journal::Event;
use crate::program::{BindingId, SeverityRow, SeverityWhen};
use crate::value::Answer;

impl Frame<'_> {
    fn rows(&self) -> &[SeverityRow] {
        // One severity for the whole run: the outermost runbook's.
        if self.context.depth == 1 {
            &self.book().situation.severity
        } else {
            &[]
        }
    }

    /// What the severity rests on.
    pub fn severity_needs(&self) -> Vec<BindingId> {
        let mut ids = Vec::new();
        for row in self.rows() {
            if let SeverityWhen::Holds(expr) = &row.when {
                expr.bindings(&mut |id| ids.push(id));
            }
        }
        ids
    }

    /// Determines the severity from what is known, without asking anybody.
    pub async fn assess(&mut self) -> Way<()> {
        if self.context.depth > 1 {
            return Ok(());
        }
        {
            let mut shared = self.run().shared();
            shared.values = self.slots.values();
            // A health summary without a severity of its own has none, and calls nobody.
            if shared.escalating.silent {
                return Ok(());
            }
        }
        let (name, because) = self.present();
        self.run().raise(&name, &because).await
    }

    /// Like [`Frame::assess`], and asks people where they can still change the answer. Meanwhile the `cannot tell` row counts.
    pub async fn assess_with_people(&mut self) -> Way<()> {
        self.assess().await?;
        for index in 0..self.rows().len() {
            let book = self.book();
            if self.context.depth > 1 {
                break;
            }
            let SeverityWhen::Holds(expr) = &book.situation.severity[index].when else {
                continue;
            };
            self.settle(&[Root::Condition(expr)], self.fresh).await?;
            self.assess().await?;
            if eval::answer(&self.value(expr)) == Answer::Yes {
                break;
            }
        }
        Ok(())
    }

    /// Whether [`Frame::assess`] would make the severity worse.
    pub fn severity_would_rise(&self) -> bool {
        let known = {
            let shared = self.run().shared();
            if self.context.depth > 1 || shared.escalating.silent {
                return false;
            }
            shared.severity.clone()
        };
        let (name, _) = self.present();
        known.is_none_or(|known| self.run().rank(&name) < self.run().rank(&known))
    }

    fn present(&self) -> (String, String) {
        let rows = self.rows();
        let default = self.run().world.environment.default_severity.clone();
        let sources = &self.run().program.sources;
        let view = self.view();
        let mut in_the_way = None;
        for row in rows {
            match &row.when {
                SeverityWhen::Holds(expr) => match eval::answer(&eval::evaluate(expr, &view)) {
                    Answer::Yes => return (row.name.clone(), format!("`{}` is yes", sources.phrase(expr.span))),
                    Answer::No => {}
                    Answer::Unknown => {
                        in_the_way = Some(sources.phrase(expr.span));
                        break;
                    }
                },
                SeverityWhen::CannotTell => {}
                SeverityWhen::Otherwise => return (row.name.clone(), "no other row holds".to_owned()),
            }
        }
        if let Some(text) = in_the_way {
            let row = rows.iter().find(|row| matches!(row.when, SeverityWhen::CannotTell));
            let name = row.map_or(default, |row| row.name.clone());
            return (name, format!("`{text}` is unknown"));
        }
        (default, "the file names none: the environment's default".to_owned())
    }
}

impl Run {
    /// 0 is the worst.
    fn rank(&self, name: &str) -> usize {
        let severities = &self.world.environment.severities;
        severities
            .iter()
            .position(|known| known == name)
            .unwrap_or(severities.len())
    }

    /// Makes the severity at least this bad. A rise adds its escalation row.
    pub async fn raise(&self, name: &str, because: &str) -> Way<()> {
        let was = self.shared().severity.clone();
        if was.as_deref().is_some_and(|was| self.rank(was) <= self.rank(name)) {
            return Ok(());
        }
        self.shared().severity = Some(name.to_owned());
        let event = Event::Severity {
            name: Some(name.to_owned()),
            was,
            because: because.to_owned(),
        };
        self.record("", event).await?;
        self.start_row(name);
        // The background sends what is due now before the way goes on.
        self.let_background_begin().await;
        Ok(())
    }

    /// One severity up, if there is one.
    pub async fn raise_by_one(&self, because: &str) -> Way<()> {
        let Some(was) = self.shared().severity.clone() else {
            return Ok(());
        };
        let rank = self.rank(&was);
        let Some(name) = rank
            .checked_sub(1)
            .and_then(|rank| self.world.environment.severities.get(rank))
            .cloned()
        else {
            return Ok(());
        };
        self.raise(&name, because).await
    }
}
