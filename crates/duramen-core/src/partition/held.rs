//! Dispatches that count against an item, and the items that are held because of them.
//!
//! A dispatch counts when the worker's connection was lost, its thread was written off, or the item had been with it
//! for longer than the hub's limit. It is written with the checkpoint that puts the item back, so a first dispatch
//! costs nothing. After [`hold_after`](crate::limits::Settings::hold_after) of them the item is held: it stays open
//! and in nobody's queue, until an operator has it tried again or fails it. An answer that still comes under its last
//! token is as good as ever.

use super::ledger::Out;
use super::requests::wrong_status;
use super::residence::{Deferred, Residence};
use super::{Effect, Ledger, Partition};
use crate::checkpoint::{Loss, LossCause, Losses};
use crate::dispatch::Item;
use crate::event;
use crate::history::rfc3339;
use crate::ids::{Birth, InstanceId, Run};
use crate::request::{Reply, RequestId};
use crate::time::Time;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;
use duramen_proto::{ActivityResponse, TaskFailureDetails};

/// An item that is held.
#[derive(Clone, Debug, PartialEq)]
pub struct HeldItem {
    /// The instance that it belongs to.
    pub instance: InstanceId,
    /// Which of the instance's items.
    pub key: HeldKey,
    /// The function that was to run.
    pub name: Arc<str>,
    /// The version that it was to run as.
    pub version: Option<Arc<str>>,
    /// The dispatches that count against it, and since when it is held.
    pub losses: Losses,
}

/// A dispatch that has counted against an item.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    /// The instance that the item belongs to.
    pub instance: InstanceId,
    /// Which of the instance's items.
    pub key: HeldKey,
    /// The function that was to run.
    pub name: Arc<str>,
    /// The dispatch.
    pub loss: Loss,
    /// How many count by now.
    pub count: usize,
    /// Whether the item is held from now on.
    pub held: bool,
}

/// How an item was lost, and when: the instance may have to be loaded before that is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lost {
    pub(crate) cause: LossCause,
    pub(crate) at: Time,
}

/// Names a held item among those of its instance, for as long as it is open. As text it is `episode-` and the run,
/// or `activity-`, the birth and the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HeldKey {
    /// The next episode of a run.
    Episode(Run),
    /// A task of the instance of this birth.
    Task(Birth, u64),
}

impl HeldKey {
    pub(crate) fn of(item: &Item) -> Self {
        match item {
            Item::Episode { run, .. } => Self::Episode(*run),
            Item::Task { birth, number, .. } => Self::Task(*birth, *number),
        }
    }
}

impl fmt::Display for HeldKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Episode(run) => write!(f, "episode-{:x}", run.0),
            Self::Task(birth, number) => write!(f, "activity-{:x}-{number}", birth.0),
        }
    }
}

/// A text is no [`HeldKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a held item is named `episode-…` or `activity-…`, as the list of held items has it")]
pub struct NoHeldKey;

impl FromStr for HeldKey {
    type Err = NoHeldKey;

    fn from_str(text: &str) -> Result<Self, NoHeldKey> {
        let run = |text: &str| u64::from_str_radix(text, 16).map(Run).map_err(|_| NoHeldKey);
        if let Some(episode) = text.strip_prefix("episode-") {
            return run(episode).map(Self::Episode);
        }
        let (birth, number) = text.strip_prefix("activity-").and_then(|rest| rest.split_once('-')).ok_or(NoHeldKey)?;
        Ok(Self::Task(run(birth)?, number.parse().map_err(|_| NoHeldKey)?))
    }
}

/// What the operator decided about a held item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is tried again, with no dispatch counted against it.
    Retry,
    /// The orchestrator sees a failure named `PoisonedWorkItem`.
    Fail,
}

/// The items that are held, in memory or not.
#[derive(Default)]
pub(crate) struct HeldItems {
    items: BTreeMap<(InstanceId, HeldKey), HeldItem>,
    /// The last checkpoint that changed them.
    touched: u64,
}

impl HeldItems {
    pub(crate) fn count(&self) -> usize {
        self.items.len()
    }

    fn insert(&mut self, item: HeldItem) {
        self.items.insert((item.instance.clone(), item.key), item);
    }

    fn remove(&mut self, item: &Item) -> bool {
        self.items.remove(&(item.instance().clone(), HeldKey::of(item))).is_some()
    }
}

impl Ledger {
    /// An item is held no longer, if it was.
    pub(crate) fn let_loose(&mut self, item: &Item) {
        if self.held_items.remove(item) {
            self.held_items.touched = self.number;
        }
    }

    /// One more dispatch counts against an item, which may be held from now on.
    pub(crate) fn counted(&mut self, item: HeldItem) {
        let Losses { all, held } = &item.losses;
        let (count, held) = (all.len(), held.is_some());
        if let Some(loss) = all.last() {
            let (instance, name, loss) = (item.instance.clone(), item.name.clone(), loss.clone());
            self.out.push(Effect::Counted(Counted { instance, key: item.key, name, loss, count, held }));
        }
        if held {
            self.held_items.insert(item);
            self.held_items.touched = self.number;
        }
    }
}

impl Partition {
    /// A held item that the last owner left.
    pub(super) fn take_up_held(&mut self, item: &Item, name: Arc<str>, version: Option<Arc<str>>, losses: Losses) {
        self.ledger.held_items.insert(HeldItem {
            instance: item.instance().clone(),
            key: HeldKey::of(item),
            name,
            version,
            losses,
        });
    }

    /// A dispatch counts against an item that nobody has any more: gives how many do now, or `None` when there is
    /// nothing to offer again: it is held, or its instance has to be loaded first.
    pub(super) fn count_loss(&mut self, out: &Out, lost: Lost) -> Option<usize> {
        match &out.item {
            Item::Episode { birth, .. } => self.instances.get_mut(birth)?.count_episode(out, lost, &mut self.ledger),
            Item::Task { id, birth, number, .. } => {
                if !self.instances.contains_key(birth) && self.residence(id) == Residence::Elsewhere {
                    self.defer(id.clone(), Some(Deferred::Lost(out.clone(), lost)));
                    return None;
                }
                // One that is gone takes its tasks along.
                let instance = self.instances.get_mut(birth)?;
                instance.count_task(*number, (out, lost), &mut self.ledger)
            }
        }
    }

    /// Shows what is held, once that is durable.
    pub(super) fn show_held(&mut self, request: RequestId) {
        let items: Vec<HeldItem> = self.ledger.held_items.items.values().cloned().collect();
        let touched = self.ledger.held_items.touched;
        self.reply_when_durable(Effect::Reply(request, Reply::Held(items)), touched);
    }

    /// Does with a held item what the operator has decided.
    pub(super) fn decide(
        &mut self,
        request: RequestId,
        id: InstanceId,
        (key, verdict): (HeldKey, Verdict),
        birth: Birth,
    ) {
        let held = self.ledger.held_items.items.get(&(id.clone(), key)).map(|held| held.losses.clone());
        let Some(losses) = held else {
            let why = "it has no such held item, or has it no longer; list the held items";
            let status = self.instances[&birth].status();
            let refusal = wrong_status("a decision about a held item", &id, status, why);
            return self.show(request, birth, |_| Reply::Refused(refusal));
        };
        self.change(request, birth, |instance, ledger| match (key, verdict) {
            (HeldKey::Episode(_), Verdict::Retry) => {
                instance.clear_losses(ledger);
                instance.written_off = false;
                instance.offer_if_due(ledger);
            }
            (HeldKey::Episode(_), Verdict::Fail) => instance.fail_episode(poisoned(&losses), ledger),
            (HeldKey::Task(_, number), Verdict::Retry) => instance.retry_task(number, ledger),
            (HeldKey::Task(_, number), Verdict::Fail) => {
                let failure_details = Some(poisoned(&losses));
                let response = ActivityResponse { failure_details, ..ActivityResponse::default() };
                instance.task_answered(number, response, ledger);
            }
        });
    }
}

/// What an orchestrator, or whoever waits for one, sees of an item that the operator has failed. It is not to be
/// tried again: an operator has decided that.
fn poisoned(losses: &Losses) -> TaskFailureDetails {
    let workers: Vec<String> = losses.all.iter().map(describe).collect();
    let message = format!(
        "{} workers were given this work item and none of them answered it, so an operator has failed it. They were: {}",
        workers.len(),
        workers.join("; ")
    );
    event::failure("PoisonedWorkItem", message)
}

fn describe(loss: &Loss) -> String {
    let cause = match loss.cause() {
        LossCause::Disconnected => "its connection was lost",
        LossCause::WrittenOff => "its thread never came back",
        LossCause::Overdue => "it took too long",
        LossCause::Unknown => "it did not answer",
    };
    let worker = if loss.worker.is_empty() { "one without a name" } else { loss.worker.as_str() };
    let given = loss.given.map(|at| rfc3339::format(at.into())).unwrap_or_default();
    format!("{worker} ({cause}; given the item at {given})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    #[test]
    fn a_held_item_is_named_by_text() {
        for key in [HeldKey::Episode(Run(1 << 40 | 7)), HeldKey::Task(Run(3), 12)] {
            assert_eq!(key.to_string().parse(), Ok(key), "{key}");
        }
        assert_eq!(HeldKey::Task(Run(31), 12).to_string(), "activity-1f-12");
        for bad in ["", "episode-", "episode-x", "activity-1", "activity-1-", "activity--1", "entity-1"] {
            assert_eq!(bad.parse::<HeldKey>(), Err(NoHeldKey), "{bad}");
        }
    }
}
