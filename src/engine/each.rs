//! Bounded repetition: a canary, batches, an end after so many failures.

use super::frame::GuardKind;
use super::questions::Root;
use super::{Finish, Flow, Frame, Leave, Way, limits};
use crate::journal::Event;
use crate::journal::event::Shown;
use crate::program::Each;
use crate::render::words::Place;
use crate::value::Value;

impl<'r> Frame<'r> {
    /// Treats every element of a list, or none of a list that is too long, cut or unknown.
    pub async fn each(&mut self, each: &'r Each) -> Way<Flow> {
        let mut roots = vec![Root::Value(&each.list), Root::Value(&each.at_most)];
        roots.extend(each.batches.iter().map(Root::Value));
        self.settle(&roots, self.fresh).await?;
        let items = self.elements(each)?;
        let sizes = self.batch_sizes(each, items.len())?;
        let inside = Place::Each {
            in_cause: self.place != Place::Steps && self.place != Place::Each { in_cause: false },
        };
        let mut failed = 0;
        let mut index = 0;
        for batch in 1.. {
            if index >= items.len() {
                break;
            }
            let size = sizes.get(batch - 1).or(sizes.last()).copied().unwrap_or(1).max(1);
            for item in items.iter().skip(index).take(size) {
                self.run().count_step(each.list.span)?;
                self.check()?;
                self.record(Event::Each {
                    element: Shown::of(item).text().to_owned(),
                    index: index + 1,
                    of: items.len(),
                    batch,
                })
                .await?;
                index += 1;
                let before = (self.failed_actions, self.unclear_actions);
                self.slots.forget(&each.inner);
                self.slots.set(each.element, item.clone(), self.round);
                self.guard(GuardKind::Element(each.element, &each.list));
                let flow = self.run_steps(&each.steps, inside).await?;
                self.guards.pop();
                if self.failed_actions > before.0 {
                    failed += 1;
                }
                if self.unclear_actions > before.1 {
                    return Err(escalated(format!(
                        "element {index} is unclear: no further batch begins"
                    )));
                }
                if flow == Flow::NextCause {
                    return Ok(Flow::NextCause);
                }
            }
            if failed >= each.stop_after && index < items.len() {
                return Err(escalated(format!(
                    "{failed} of {index} elements failed: no further batch begins"
                )));
            }
        }
        Ok(Flow::Next)
    }

    fn elements(&self, each: &Each) -> Way<Vec<Value>> {
        let most = match self.value(&each.at_most) {
            Value::Int(most) => usize::try_from(most.max(0)).unwrap_or(usize::MAX).min(limits::EACH),
            value => {
                let reason = value.as_unknown().map(ToString::to_string).unwrap_or_default();
                return Err(escalated(format!("how many may be treated is unknown ({reason})")));
            }
        };
        match self.value(&each.list) {
            Value::List(list) if list.items.len() > most => Err(escalated(format!(
                "the list has {} elements, at most {most} are treated: none was",
                list.items.len()
            ))),
            Value::List(list) if list.truncated => Err(escalated("the list was cut: none of it is treated".to_owned())),
            Value::List(list) => Ok(list.items.clone()),
            value => {
                let reason = value.as_unknown().map(ToString::to_string).unwrap_or_default();
                Err(escalated(format!("the list is unknown ({reason}): nothing is treated")))
            }
        }
    }

    /// Sizes as written; without them every element is a batch of its own.
    fn batch_sizes(&self, each: &Each, count: usize) -> Way<Vec<usize>> {
        each.batches
            .iter()
            .map(|size| match self.value(size) {
                Value::Int(size) if size >= 1 => Ok(usize::try_from(size).unwrap_or(usize::MAX)),
                Value::Ratio(share) if share > 0.0 => {
                    // At most the whole list, at least one: the conversion cannot leave the range.
                    Ok((share.min(1.0) * count as f64).ceil().max(1.0) as usize)
                }
                _ => Err(escalated("the size of a batch is not a positive number".to_owned())),
            })
            .collect()
    }
}

fn escalated(because: String) -> Leave {
    Leave::End(Finish::Escalated(because))
}
