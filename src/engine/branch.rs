//! A branch: the first untreated cause that is a definite yes, until the goal holds or no cause is left.

use super::frame::GuardKind;
use super::people::Heard;
use super::questions::Root;
use super::verify::Watch;
use super::world::{OnUnknown, UnknownChoice};
use super::{Flow, Frame, Leave, Way, limits};
use crate::eval;
use crate::journal::Event;
use crate::program::{BindingId, Branch, Cause, Expr, ExprKind, Step, StepKind};
use crate::render::words::{Fate, Place};
use crate::value::show::show_std;
use crate::value::{Answer, Type, Value};

/// What the causes say.
enum Chosen {
    Cause(usize),
    /// This one cannot be decided, and no earlier one holds.
    CannotTell(usize),
    Otherwise,
}

impl<'r> Frame<'r> {
    /// Asks a branch until its goal holds, a cause or arm leaves it, or the run ends.
    pub async fn branch(&mut self, branch: &'r Branch) -> Way<Flow> {
        let question = self.fill(&branch.title);
        let mut treated = vec![false; branch.causes.len()];
        let mut round = 1;
        loop {
            self.check()?;
            self.record(Event::BranchEntered {
                question: question.clone(),
                round,
            })
            .await?;
            let flow = match self.decide(branch, &question, &treated, round).await? {
                Chosen::Cause(index) => {
                    if round > 1 {
                        self.must_fit(&branch.causes[index])?;
                    }
                    treated[index] = true;
                    self.treat(branch, index, &treated).await?
                }
                Chosen::CannotTell(index) => {
                    let steps = if branch.merged && branch.cannot_tell.is_empty() {
                        &branch.otherwise
                    } else {
                        &branch.cannot_tell
                    };
                    let because = format!("whether {} cannot be told", branch.causes[index].name);
                    return self.arm(steps, "cannot tell", &question, &because).await;
                }
                Chosen::Otherwise if treated.contains(&true) && self.supposed() => {
                    let detail = format!("{question} No other cause holds; the dry run goes on behind the branch");
                    self.record(Event::Step {
                        what: "dry run".to_owned(),
                        detail,
                    })
                    .await?;
                    return Ok(Flow::Next);
                }
                Chosen::Otherwise => {
                    let because = if treated.contains(&true) {
                        "no untreated cause holds"
                    } else {
                        "no cause holds"
                    };
                    return self.arm(&branch.otherwise, "otherwise", &question, because).await;
                }
            };
            match flow {
                Flow::NextStep => return Ok(Flow::NextStep),
                Flow::Next if branch.once => return Ok(Flow::Next),
                Flow::Next | Flow::NextCause => {}
            }
            if !branch.once && self.goal_holds().await? {
                return Ok(Flow::Next);
            }
            self.aged();
            round += 1;
        }
    }

    /// The goal, waited for while it is unsettled.
    async fn goal_holds(&mut self) -> Way<bool> {
        let Some(goal) = self.book().goal else { return Ok(false) };
        if self.supposed() {
            self.record(Event::Goal {
                text: self.goal_text(goal),
                answer: Answer::Unknown,
            })
            .await?;
            return Ok(false);
        }
        let expr = self.goal_expr(goal);
        let value = self
            .watch(Watch {
                what: "goal".to_owned(),
                condition: &expr,
                within: self.longest_for(&expr).saturating_add(limits::SETTLING),
                every: limits::EVERY,
                until_settled: true,
            })
            .await?;
        let answer = eval::answer(&value);
        self.record(Event::Goal {
            text: self.goal_text(goal),
            answer,
        })
        .await?;
        Ok(answer == Answer::Yes)
    }

    /// A dry run that came to a change: what is read from now on is the state before it.
    pub fn supposed(&self) -> bool {
        !self.run().shared().planned.is_empty()
    }

    /// The goal as a condition.
    pub fn goal_expr(&self, goal: BindingId) -> Expr {
        Expr {
            kind: ExprKind::Binding(goal),
            ty: Type::Bool,
            span: self.book().binding(goal).span,
        }
    }

    /// The goal as it is written.
    pub fn goal_text(&self, goal: BindingId) -> String {
        let sources = &self.run().program.sources;
        match &self.book().binding(goal).kind {
            crate::program::BindingKind::Let(expr) => sources.phrase(expr.span),
            _ => self.book().binding(goal).name.clone(),
        }
    }

    /// Asks the causes, and the operator where an unknown answer stands in the way.
    async fn decide(&mut self, branch: &'r Branch, question: &str, treated: &[bool], round: u32) -> Way<Chosen> {
        for _ in 0..=limits::RETRIES {
            let mut targets = self.severity_needs();
            for cause in open(branch, treated) {
                targets.extend(Root::Condition(&cause.1.when).ids());
                targets.extend(Root::Text(&cause.1.title).ids());
            }
            self.enter(&targets, self.fresh).await?;
            self.assess().await?;
            let Some(index) = self.first_undecided(branch, treated, round).await? else {
                return Ok(Chosen::Otherwise);
            };
            if eval::answer(&self.value(&branch.causes[index].when)) == Answer::Yes {
                return Ok(Chosen::Cause(index));
            }
            if !self.unknown_in_the_way(branch, index, question).await? {
                return Ok(Chosen::CannotTell(index));
            }
            self.check()?;
            self.aged();
        }
        let left = open(branch, treated).find(|(_, cause)| eval::answer(&self.value(&cause.when)) == Answer::Unknown);
        Ok(Chosen::CannotTell(left.map_or(0, |(index, _)| index)))
    }

    /// The first untreated cause that is not a definite no.
    async fn first_undecided(&mut self, branch: &'r Branch, treated: &[bool], round: u32) -> Way<Option<usize>> {
        for (index, cause) in open(branch, treated) {
            let value = self.answer(&cause.when).await?;
            self.settle(&[Root::Text(&cause.title)], self.fresh).await?;
            let answer = eval::answer(&value);
            let because = match answer {
                Answer::Yes => self.implied(branch, index, treated).join("; "),
                Answer::No => "refuted".to_owned(),
                Answer::Unknown => format!(
                    "cannot be decided ({})",
                    value.as_unknown().map(ToString::to_string).unwrap_or_default()
                ),
            };
            let sources = &self.run().program.sources;
            let event = Event::Cause {
                name: cause.name.clone(),
                statement: self.fill(&cause.title),
                when: sources.phrase(cause.when.span),
                answer,
                chosen: answer == Answer::Yes,
                because,
                parts: eval::evidence(&cause.when, &self.view(), sources),
                round,
            };
            self.record(event).await?;
            if answer != Answer::No {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// What choosing this cause says about the earlier ones.
    fn implied(&self, branch: &Branch, index: usize, treated: &[bool]) -> Vec<String> {
        let fate = |earlier: usize| {
            if treated[earlier] {
                Fate::Treated
            } else {
                Fate::Refuted(String::new())
            }
        };
        self.words(&self.view()).implied(branch, index, &fate)
    }

    /// The operator's choice; true: ask again. Nobody, or nobody in time, is `cannot tell`.
    async fn unknown_in_the_way(&mut self, branch: &'r Branch, index: usize, question: &str) -> Way<bool> {
        if self.run().unattended() {
            return Ok(false);
        }
        let cause = &branch.causes[index];
        let unknown = self.unknown_questions(&cause.when);
        let steps = if branch.merged && branch.cannot_tell.is_empty() {
            &branch.otherwise
        } else {
            &branch.cannot_tell
        };
        let choice = UnknownChoice {
            branch: question.to_owned(),
            cause: self.fill(&cause.title),
            unknown: unknown
                .iter()
                .map(|id| {
                    let title = self.context.question(*id).map(|question| self.fill(&question.title));
                    let why = self.slots.get(*id).and_then(|slot| slot.value.as_unknown().cloned());
                    (
                        self.book().binding(*id).name.clone(),
                        title.unwrap_or_default(),
                        why.map(|why| why.to_string()).unwrap_or_default(),
                    )
                })
                .collect(),
            cannot_tell: self.describe(steps),
        };
        let what = format!("{question} Whether {} is not known.", cause.name);
        let people = &self.run().world.people;
        let heard = self
            .context
            .hear(&what, limits::PERSON, people.unknown(&choice))
            .await?;
        let (chosen, by) = match heard {
            Heard::Reply(chosen, by) => (chosen, by),
            Heard::Silence(_) => return Ok(false),
        };
        let (again, word, note) = match &chosen {
            OnUnknown::Retry => (true, "ask again".to_owned(), String::new()),
            OnUnknown::AnswerByHand { name, yes, note } => {
                let word = if *yes { "yes" } else { "no" };
                (true, format!("answer `{name}` by hand: {word}"), note.clone())
            }
            OnUnknown::CannotTell => (false, "cannot tell".to_owned(), String::new()),
        };
        self.record(Event::Choice {
            about: format!("`{}` is unknown", cause.name),
            choice: word,
            by: by.clone(),
            note: note.clone(),
        })
        .await?;
        if let OnUnknown::AnswerByHand { name, yes, .. } = chosen {
            let id = unknown.into_iter().find(|id| self.book().binding(*id).name == name);
            if let Some(id) = id {
                let round = self.round + 1;
                self.context
                    .answer_by_hand(&mut self.slots, id, yes, note, by, round)
                    .await?;
            }
        }
        Ok(again)
    }

    /// The questions without an answer that a condition rests on.
    fn unknown_questions(&self, condition: &Expr) -> Vec<BindingId> {
        let mut open = Root::Condition(condition).ids();
        let mut found = std::collections::BTreeSet::new();
        let mut seen = std::collections::BTreeSet::new();
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            let unknown = self
                .slots
                .get(id)
                .is_none_or(|slot| matches!(slot.value, Value::Unknown(_)));
            if unknown && self.context.question(id).is_some() {
                found.insert(id);
            }
            open.extend(&self.context.needs[id.0]);
        }
        found.into_iter().collect()
    }

    /// What a list of steps does, in words.
    fn describe(&self, steps: &[Step]) -> String {
        let parts: Vec<String> = steps
            .iter()
            .filter_map(|step| match &step.kind {
                StepKind::Tell(call) => Some(format!("telling `{}`", call.operation.full_name())),
                StepKind::Escalate => Some("escalating".to_owned()),
                StepKind::Stop(_) => Some("stopping; nobody is called".to_owned()),
                StepKind::Action(id) => Some(format!("`{}`", self.book().action(*id).name)),
                StepKind::Branch(_) => Some("asking another branch".to_owned()),
                StepKind::Run { .. } => Some("running another runbook".to_owned()),
                StepKind::Each(_) => Some("going through a list".to_owned()),
                StepKind::Wait { .. } => Some("waiting".to_owned()),
                StepKind::Prose(_) | StepKind::Evaluate(_) | StepKind::Require { .. } | StepKind::Advise(_) => None,
            })
            .collect();
        if parts.is_empty() {
            "going on behind the branch".to_owned()
        } else {
            parts.join(", then ")
        }
    }

    async fn treat(&mut self, branch: &'r Branch, index: usize, treated: &[bool]) -> Way<Flow> {
        let cause = &branch.causes[index];
        let depth = self.because.len();
        let sources = &self.run().program.sources;
        let mut because = vec![format!(
            "{}: `{}` is yes",
            self.fill(&cause.title),
            sources.phrase(cause.when.span)
        )];
        let parts = eval::evidence(&cause.when, &self.view(), sources);
        because.extend(parts.iter().map(|part| {
            let limit = if part.limit.is_empty() {
                String::new()
            } else {
                format!(", limit {}", part.limit)
            };
            // Of a question the actual value is its answer.
            let actual = Some(&part.actual).filter(|actual| **actual != part.answer.word());
            let actual = actual.map(|actual| format!(", {actual}")).unwrap_or_default();
            format!("{}: {}{actual}{limit}", part.text, part.answer.word())
        }));
        because.extend(self.implied(branch, index, treated));
        self.because.extend(because);
        self.guard(GuardKind::Cause(&cause.when, &cause.name));
        let inside = if branch.once { Place::CauseOnce } else { Place::Cause };
        let flow = self.run_steps(&cause.steps, inside).await?;
        self.guards.pop();
        self.because.truncate(depth);
        Ok(flow)
    }

    async fn arm(&mut self, steps: &'r [Step], arm: &str, question: &str, because: &str) -> Way<Flow> {
        self.record(Event::Arm {
            arm: arm.to_owned(),
            branch: question.to_owned(),
            because: because.to_owned(),
        })
        .await?;
        self.run_steps(steps, self.place).await
    }

    /// A round that no longer fits the timebox does what the timebox says at its end.
    fn must_fit(&self, cause: &Cause) -> Way<()> {
        if self.run().replay.under_way() {
            return match self.time_is_over() {
                Some(because) => Err(Leave::End(self.timebox_over(&because))),
                None => Ok(()),
            };
        }
        let path = self.longest_path(&cause.steps);
        let left = self.context.remaining();
        if path <= left {
            return Ok(());
        }
        Err(Leave::End(self.timebox_over(&format!(
            "*{}* may take {}, and {} of the timebox is left",
            cause.name,
            show_std(path),
            show_std(left)
        ))))
    }
}

fn open<'b>(branch: &'b Branch, treated: &[bool]) -> impl Iterator<Item = (usize, &'b Cause)> {
    let treated = treated.to_vec();
    branch
        .causes
        .iter()
        .enumerate()
        .filter(move |(index, _)| !treated.get(*index).copied().unwrap_or(false))
}
