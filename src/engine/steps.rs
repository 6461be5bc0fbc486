//! Steps, one after the other. On entering, what they need is asked together; a change makes everything be asked anew.

use super::questions::Root;
use super::verify::Watch;
use super::{Finish, Flow, Frame, Leave, Way};
use crate::eval;
use crate::journal::Event;
use crate::program::{
    Advice, BindingId, BindingKind, Expr, OrderKind, Outcome, Question, QuestionForm, Step, StepKind,
};
use crate::render::words::Place;
use crate::value::show::show_std;
use crate::value::{Answer, Value};
use futures::future::BoxFuture;
use std::time::Duration;

impl<'r> Frame<'r> {
    /// Runs a list of steps to its end.
    pub fn run_steps<'a>(&'a mut self, steps: &'r [Step], place: Place) -> BoxFuture<'a, Way<Flow>>
    where
        'r: 'a,
    {
        Box::pin(async move {
            let around = std::mem::replace(&mut self.place, place);
            let flow = self.in_order(steps).await;
            self.place = around;
            flow
        })
    }

    async fn in_order(&mut self, steps: &'r [Step]) -> Way<Flow> {
        let guards = self.guards.len();
        let mut entering = true;
        let mut asked_ahead = false;
        for (index, step) in steps.iter().enumerate() {
            self.run().count_step(step.span)?;
            self.check()?;
            if entering {
                let targets = self.needed_on_entering(&steps[index..]);
                self.enter(&targets, self.fresh).await?;
                self.assess().await?;
            }
            let ahead = self.evaluated(step).is_some();
            if ahead && !asked_ahead {
                self.ask_ahead(&steps[index..]).await?;
            }
            asked_ahead = ahead;
            let flow = self.step(step).await?;
            entering = self.effectful(&step.kind);
            match flow {
                Flow::Next => {}
                // In an `each` the next step is the next element.
                Flow::NextStep if !matches!(self.place, Place::Each { .. }) => {}
                Flow::NextStep | Flow::NextCause => {
                    self.guards.truncate(guards);
                    return Ok(flow);
                }
            }
        }
        self.guards.truncate(guards);
        Ok(Flow::Next)
    }

    /// What a step asks or computes, if that is all it does.
    fn evaluated(&self, step: &Step) -> Option<BindingId> {
        match &step.kind {
            StepKind::Evaluate(id) if !self.effectful(&step.kind) => Some(*id),
            _ => None,
        }
    }

    /// Questions that follow each other are asked together as far as they need neither a person nor each other: nothing happens between
    /// them. Each is then taken in its turn.
    async fn ask_ahead(&mut self, steps: &'r [Step]) -> Way<()> {
        let targets: Vec<BindingId> = steps.iter().map_while(|step| self.evaluated(step)).collect();
        if targets.len() < 2 {
            return Ok(());
        }
        self.enter(&targets, self.fresh).await
    }

    /// After these, answers from before may no longer be true.
    fn effectful(&self, kind: &StepKind) -> bool {
        match kind {
            StepKind::Branch(_)
            | StepKind::Action(_)
            | StepKind::Wait { .. }
            | StepKind::Each(_)
            | StepKind::Run { .. } => true,
            StepKind::Evaluate(id) => matches!(
                self.book().binding(*id).kind,
                BindingKind::Question(Question {
                    form: QuestionForm::Run { .. },
                    ..
                })
            ),
            StepKind::Prose(_)
            | StepKind::Require { .. }
            | StepKind::Tell(_)
            | StepKind::Advise(_)
            | StepKind::Stop(_)
            | StepKind::Escalate => false,
        }
    }

    /// What a cause, `require`, argument, title or `seeing` needs, up to the first step that changes something.
    fn needed_on_entering(&self, steps: &[Step]) -> Vec<BindingId> {
        let mut roots: Vec<Root<'_>> = Vec::new();
        for step in steps {
            match &step.kind {
                StepKind::Prose(text) | StepKind::Stop(text) => roots.push(Root::Text(text)),
                // Where it stands, if nothing here needs it.
                StepKind::Evaluate(_) | StepKind::Wait { .. } | StepKind::Escalate => {}
                StepKind::Branch(branch) => {
                    roots.push(Root::Text(&branch.title));
                    for cause in &branch.causes {
                        roots.push(Root::Condition(&cause.when));
                        roots.push(Root::Text(&cause.title));
                    }
                }
                StepKind::Action(id) => {
                    let action = self.book().action(*id);
                    roots.push(Root::Text(&action.title));
                    roots.extend(action.when.iter().map(Root::Condition));
                    roots.extend(action.refuse.iter().map(|refuse| Root::Value(&refuse.above)));
                    if let Some(approval) = &action.approve {
                        roots.extend(approval.seeing.iter().map(|(_, expr)| Root::Value(expr)));
                    }
                    for order in &action.orders {
                        if let OrderKind::Call { call, .. } = &order.kind {
                            roots.push(Root::Call(call));
                        }
                    }
                }
                StepKind::Require { condition, .. } => roots.push(Root::Condition(condition)),
                StepKind::Each(each) => {
                    roots.push(Root::Value(&each.list));
                    roots.push(Root::Value(&each.at_most));
                    roots.extend(each.batches.iter().map(Root::Value));
                }
                StepKind::Run { args, .. } => roots.extend(args.iter().map(|(_, value)| Root::Value(value))),
                StepKind::Tell(call) => roots.push(Root::Call(call)),
                StepKind::Advise(advice) => {
                    roots.push(Root::Text(&advice.title));
                    roots.extend(advice.prose.iter().map(Root::Text));
                }
            }
            if self.effectful(&step.kind) {
                break;
            }
        }
        let mut ids = Vec::new();
        for root in roots {
            root.bindings(&mut |id| ids.push(id));
        }
        ids
    }

    async fn step(&mut self, step: &'r Step) -> Way<Flow> {
        match &step.kind {
            StepKind::Prose(text) => {
                self.settle(&[Root::Text(text)], self.fresh).await?;
                let detail = self.fill(text);
                self.record(Event::Step {
                    what: "note".to_owned(),
                    detail,
                })
                .await?;
                Ok(Flow::Next)
            }
            StepKind::Evaluate(id) => {
                self.settle(&[Root::Name(*id)], self.fresh).await?;
                if self.effectful(&step.kind) {
                    self.changed();
                }
                self.assess().await?;
                Ok(Flow::Next)
            }
            StepKind::Branch(branch) => self.branch(branch).await,
            StepKind::Action(id) => self.action(*id).await,
            StepKind::Require { condition, otherwise } => self.require(condition, otherwise).await,
            StepKind::Wait {
                condition,
                within,
                every,
                otherwise,
            } => self.wait(condition, *within, *every, otherwise).await,
            StepKind::Each(each) => self.each(each).await,
            StepKind::Run { runbook, args } => {
                let roots: Vec<Root<'_>> = args.iter().map(|(_, value)| Root::Value(value)).collect();
                self.settle(&roots, self.fresh).await?;
                let arguments = args
                    .iter()
                    .map(|(name, value)| (name.to_string(), self.value(value)))
                    .collect();
                let name = self.run().program.runbooks[runbook.0].name.clone();
                self.context.run_child(*runbook, arguments, &name).await?;
                self.changed();
                Ok(Flow::Next)
            }
            StepKind::Tell(call) => {
                self.settle(&[Root::Call(call)], self.fresh).await?;
                self.tell("step", call).await?;
                Ok(Flow::Next)
            }
            StepKind::Advise(advice) => {
                self.advise(advice).await?;
                Ok(Flow::Next)
            }
            StepKind::Stop(reason) => {
                self.settle(&[Root::Text(reason)], self.fresh).await?;
                Err(Leave::End(Finish::Stopped(self.fill(reason))))
            }
            StepKind::Escalate => Err(Leave::End(Finish::Escalated("the file escalates here".to_owned()))),
        }
    }

    /// Records advice: what software cannot do.
    pub async fn advise(&mut self, advice: &'r Advice) -> Way<()> {
        let mut roots = vec![Root::Text(&advice.title)];
        roots.extend(advice.prose.iter().map(Root::Text));
        self.settle(&roots, self.fresh).await?;
        self.record(Event::Advised {
            title: self.fill(&advice.title),
            prose: self.fill_all(&advice.prose),
        })
        .await
    }

    /// A definite yes passes; anything else is `else`.
    async fn require(&mut self, condition: &'r Expr, otherwise: &'r Outcome) -> Way<Flow> {
        let value = self.answer(condition).await?;
        let text = self.run().program.sources.phrase(condition.span);
        let evidence = eval::evidence(condition, &self.view(), &self.run().program.sources);
        self.record(Event::Look {
            what: "require".to_owned(),
            condition: text.clone(),
            answer: eval::answer(&value),
            evidence,
            last: true,
        })
        .await?;
        if value != Value::Bool(true) && self.supposed() {
            return self.suppose(&format!("`{text}` is required")).await;
        }
        if value == Value::Bool(true) {
            self.guard(super::frame::GuardKind::Require(condition, otherwise));
            return Ok(Flow::Next);
        }
        let because = match value.as_unknown() {
            Some(unknown) => format!("`{text}` is required and unknown ({unknown})"),
            None => format!("`{text}` is required and does not hold"),
        };
        self.otherwise("require", otherwise, &because).await
    }

    async fn wait(
        &mut self,
        condition: &'r Expr,
        within: Duration,
        every: Duration,
        otherwise: &'r Outcome,
    ) -> Way<Flow> {
        let text = self.run().program.sources.phrase(condition.span);
        if self.supposed() {
            return self.suppose(&format!("`{text}` is waited for")).await;
        }
        let value = self
            .watch(Watch {
                what: "wait until".to_owned(),
                condition,
                within,
                every,
                until_settled: false,
            })
            .await?;
        self.aged();
        if eval::answer(&value) == Answer::Yes {
            return Ok(Flow::Next);
        }
        self.check()?;
        let because = format!("`{text}` did not come true in {}", show_std(within));
        self.otherwise("wait", otherwise, &because).await
    }

    /// What a change that was not made would have brought about is not known; a dry run goes on as if it had.
    async fn suppose(&mut self, what: &str) -> Way<Flow> {
        self.record(Event::Step {
            what: "dry run".to_owned(),
            detail: format!("{what}: not known after a change that was not made; the dry run goes on"),
        })
        .await?;
        Ok(Flow::Next)
    }

    async fn otherwise(&mut self, what: &str, outcome: &'r Outcome, because: &str) -> Way<Flow> {
        let next = self.words(&self.view()).doing_elsewhere(outcome, self.place);
        self.record(Event::Step {
            what: what.to_owned(),
            detail: format!("{because}: {next}"),
        })
        .await?;
        self.follow(what, outcome, because).await
    }
}
