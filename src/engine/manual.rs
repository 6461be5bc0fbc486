//! A `manual`: a person does what no program can, and says so.

use super::action::{Came, Ordered};
use super::people::Heard;
use super::undo::SentOrder;
use super::world::ManualOrder;
use super::{Frame, Way};
use crate::journal::Event;
use crate::program::Action;

impl<'r> Frame<'r> {
    /// Asks the operator to do it and to tick it.
    pub async fn tick(
        &mut self,
        action: &'r Action,
        title: &str,
        orders: &[Ordered],
        sent: &mut Vec<SentOrder>,
    ) -> Way<Came<'r>> {
        let mut prose = self.fill_all(&action.prose);
        for order in orders {
            if let Ordered::Words(words) = order {
                prose.push(words.clone());
            }
        }
        let request = ManualOrder {
            name: action.name.clone(),
            order: title.to_owned(),
            prose,
            deadline: self.context.patience(action.manual_within),
        };
        let heard = if self.run().unattended() {
            Heard::Silence("this run is unattended".to_owned())
        } else {
            let people = &self.run().world.people;
            self.context
                .hear(title, action.manual_within, people.manual(&request))
                .await?
        };
        let (done, by, note) = match heard {
            Heard::Reply(ticked, person) => (ticked.done, Some(person), ticked.note),
            Heard::Silence(reason) => (false, None, reason),
        };
        self.record(Event::Ticked {
            name: action.name.clone(),
            done,
            by,
            note: note.clone(),
        })
        .await?;
        if !done {
            self.check()?;
            return Ok(Came::Failed(if note.is_empty() {
                "it was not done".to_owned()
            } else {
                format!("it was not done: {note}")
            }));
        }
        // Ticked orders are kept in mind like sent ones, so that they can be taken back and are listed at the end.
        let listed = !action.undos.is_empty();
        for order in 0..action.orders.len().max(1) {
            let intent = format!("{}/{}/{order}/{}", self.context.scope, action.name, self.applied.len());
            if listed && order == 0 {
                let line = format!("{title} (done by hand)");
                self.run().shared().in_place.push((intent.clone(), line));
            }
            sent.push(SentOrder { order, intent });
        }
        Ok(Came::Done)
    }
}
