//! Severity: the first row that is a definite yes; it rises by itself and never falls.

use super::questions::{Noted, Root};
use super::state::Run;
use super::{Frame, Way};
use crate::eval;
use crate::journal::Event;
use crate::program::{BindingId, SeverityRow, SeverityWhen};
use crate::source::{Sources, Span};
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
        self.assess_leaving(&[]).await
    }

    /// The same after a look that is not recorded.
    pub async fn assess_leaving(&mut self, noted: &[Noted]) -> Way<()> {
        if self.context.depth > 1 {
            return Ok(());
        }
        {
            let mut shared = self.run().shared();
            shared.slots = self.slots.clone();
            for noted in noted {
                let Noted::Answered(id, at) = noted else { continue };
                shared.left.retain(|(left, _)| left != id);
                shared.left.push((*id, *at));
            }
            // A health summary without a severity of its own has none, and calls nobody.
            if shared.escalating.silent {
                return Ok(());
            }
        }
        let run = self.run();
        let Some((name, because)) = self.risen() else {
            return Ok(());
        };
        run.raise(&name, &because).await
    }

    /// The present severity, where it is worse than the one that is known, and why.
    fn risen(&self) -> Option<(String, String)> {
        let run = self.run();
        let present = self.present();
        let known = run.shared().severity.clone();
        let is_worse = known.is_none_or(|known| run.rank(present.name) < run.rank(&known));
        is_worse.then(|| (present.name.to_owned(), present.because(&run.program.sources)))
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
        if self.context.depth > 1 || self.run().shared().escalating.silent {
            return false;
        }
        self.risen().is_some()
    }

    fn present(&self) -> Present<'_> {
        let rows = self.rows();
        let default = self.run().world.environment.default_severity.as_str();
        let view = self.view();
        let mut in_the_way = None;
        for row in rows {
            match &row.when {
                SeverityWhen::Holds(expr) => match eval::answer(&eval::evaluate(expr, &view)) {
                    Answer::Yes => return Present::new(&row.name, Because::Yes(expr.span)),
                    Answer::No => {}
                    Answer::Unknown => {
                        in_the_way = Some(expr.span);
                        break;
                    }
                },
                SeverityWhen::CannotTell => {}
                SeverityWhen::Otherwise => return Present::new(&row.name, Because::NoOther),
            }
        }
        if let Some(span) = in_the_way {
            let row = rows.iter().find(|row| matches!(row.when, SeverityWhen::CannotTell));
            let name = row.map_or(default, |row| row.name.as_str());
            return Present::new(name, Because::Unknown(span));
        }
        Present::new(default, Because::Default)
    }
}

/// The severity as it would be determined now.
struct Present<'a> {
    name: &'a str,
    why: Because,
}

enum Because {
    Yes(Span),
    Unknown(Span),
    NoOther,
    Default,
}

impl<'a> Present<'a> {
    fn new(name: &'a str, why: Because) -> Self {
        Self { name, why }
    }

    fn because(&self, sources: &Sources) -> String {
        match self.why {
            Because::Yes(span) => format!("`{}` is yes", sources.phrase(span)),
            Because::Unknown(span) => format!("`{}` is unknown", sources.phrase(span)),
            Because::NoOther => "no other row holds".to_owned(),
            Because::Default => "the file names none: the environment's default".to_owned(),
        }
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
