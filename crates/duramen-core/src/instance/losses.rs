//! Dispatches that count against the items of an instance (see `partition::held`).

use super::{Instance, task_item};
use crate::checkpoint::{Change, Loss, Losses, Task};
use crate::partition::{HeldItem, HeldKey, Ledger, Lost, Out};
use crate::planted::{self, Bug, planted};
use crate::work::ItemBytes;
use alloc::string::ToString;

impl Instance {
    /// Whether its next episode is held.
    pub(crate) fn is_held(&self) -> bool {
        is_held(self.tail.losses.as_ref())
    }

    /// Nothing counts against its next episode any more.
    pub(crate) fn clear_losses(&mut self, ledger: &mut Ledger) {
        self.returns = 0;
        self.bytes = ItemBytes::default();
        if self.tail.losses.take().is_some() {
            self.advanced = ledger.number;
            ledger.let_loose(&self.item());
            ledger.touch(self);
        }
    }

    /// A dispatch of its episode counts; says how many do now, or `None` when it is held.
    pub(crate) fn count_episode(&mut self, out: &Out, lost: Lost, ledger: &mut Ledger) -> Option<usize> {
        count(&mut self.tail.losses, out, lost, ledger);
        let losses = self.tail.losses.clone().expect("one was just counted");
        let (many, held) = (losses.all.len(), losses.held.is_some());
        planted!(CountNotWritten => return (!held).then_some(many));
        self.advanced = ledger.number;
        ledger.touch(self);
        ledger.counted(HeldItem {
            instance: self.id.clone(),
            key: HeldKey::Episode(self.run()),
            name: self.name.clone(),
            version: self.version.clone(),
            losses,
        });
        (!held).then_some(many)
    }

    /// The same for one of its tasks; `None` too when that is no longer open.
    pub(crate) fn count_task(&mut self, number: u64, (out, lost): (&Out, Lost), ledger: &mut Ledger) -> Option<usize> {
        let task = self.tasks.get_mut(&number)?;
        count(&mut task.losses, out, lost, ledger);
        let task = task.clone();
        let losses = task.losses.clone().expect("one was just counted");
        let (many, held) = (losses.all.len(), losses.held.is_some());
        ledger.counted(HeldItem {
            instance: self.id.clone(),
            key: HeldKey::Task(self.birth(), number),
            name: task.name.as_str().into(),
            version: task.runs_as.as_deref().map(Into::into),
            losses,
        });
        self.write_losses(task, ledger);
        (!held).then_some(many)
    }

    fn write_losses(&mut self, task: Task, ledger: &mut Ledger) {
        ledger.write(Change::Task(Task { again: true, event: None, ..task }));
        ledger.touch(self);
    }

    /// A held task is tried again.
    pub(crate) fn retry_task(&mut self, number: u64, ledger: &mut Ledger) {
        let Some(task) = self.tasks.get_mut(&number) else { return };
        task.losses = None;
        let task = task.clone();
        ledger.let_loose(&task_item(self.id.clone(), &task));
        ledger.returns.remove(&(self.birth(), number));
        self.write_losses(task.clone(), ledger);
        ledger.offer(self.offer_of(&task, self.touched, ItemBytes::default()));
    }
}

/// Whether the dispatches that count are too many.
pub(crate) fn is_held(losses: Option<&Losses>) -> bool {
    losses.is_some_and(|losses| losses.held.is_some()) && !planted::has(Bug::HeldGivenOut)
}

/// One more dispatch counts against an item.
fn count(losses: &mut Option<Losses>, out: &Out, lost: Lost, ledger: &Ledger) {
    let losses = losses.get_or_insert_default();
    losses.all.push(Loss {
        worker: out.name.to_string(),
        given: Some(out.since.into()),
        lost: Some(lost.at.into()),
        cause: lost.cause.into(),
    });
    if losses.all.len() >= ledger.hold_after as usize {
        losses.held = Some(ledger.now.into());
    }
}
