//! What the operator of a hub sees and decides: workers, queues, what nobody can take, and what is held.

use crate::hub::Hub;
use crate::inbox::{Incoming, Look};
use duramen_core::dispatch::{QueueRow, UnroutableRow};
use duramen_core::ids::InstanceId;
use duramen_core::partition::{HeldItem, HeldKey, Verdict};
use duramen_core::request::{Refusal, Reply, Request};
use duramen_core::time::Time;
use duramen_core::work::{Announcement, WorkerId};
use tokio::sync::oneshot;

/// A worker that is connected.
#[derive(Clone, Debug)]
pub struct ConnectedWorker {
    /// Its name within the hub, until it goes.
    pub worker: WorkerId,
    /// What it announced, and what it calls itself.
    pub announced: Announcement,
    /// When it connected.
    pub since: Time,
    /// Whether it is being drained.
    pub draining: bool,
    /// How many items it has given back unanswered.
    pub given_back: u64,
    /// What it has, the oldest episodes first, then the oldest activities.
    pub in_flight: Vec<InFlight>,
}

/// An item that is with a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InFlight {
    /// The instance that it belongs to.
    pub instance: InstanceId,
    /// Which of the instance's items.
    pub key: HeldKey,
    /// Since when.
    pub since: Time,
}

impl Hub {
    /// The connected workers, in the order in which they came.
    pub async fn workers(&self) -> Result<Vec<ConnectedWorker>, Refusal> {
        self.look(Look::Workers).await
    }

    /// What waits for workers, by kind, name and version.
    pub async fn queues(&self) -> Result<Vec<QueueRow>, Refusal> {
        self.look(Look::Queues).await
    }

    /// What waits and can be taken by no connected worker, with the reason. What belongs to an instance that has
    /// ended meanwhile is in it until a worker could have taken it.
    pub async fn unroutable(&self) -> Result<Vec<UnroutableRow>, Refusal> {
        self.look(Look::Unroutable).await
    }

    /// What is held: items that were lost with their workers so often that no other is given them. All of it is
    /// durable.
    pub async fn held(&self) -> Result<Vec<HeldItem>, Refusal> {
        let _open = self.shared().admit()?;
        let mut held = Vec::new();
        for partition in 0..self.shared().options.partitions as usize {
            match self.shared().look_at_held(partition).await {
                Reply::Held(mut items) => held.append(&mut items),
                Reply::Refused(refusal) => return Err(refusal),
                other => unreachable!("a look at what is held is answered by that, and not by {other:?}"),
            }
        }
        held.sort_by(|one, other| (&one.instance, one.key).cmp(&(&other.instance, other.key)));
        Ok(held)
    }

    /// Has a held item tried again, with nothing counted against it, or fails it: then its orchestrator, or whoever
    /// waits for it, sees a failure named `PoisonedWorkItem`, which no retry policy tries again.
    pub async fn decide(&self, instance: InstanceId, key: HeldKey, verdict: Verdict) -> Result<(), Refusal> {
        match self.request(Request::Decide { id: instance, key, verdict }).await {
            Reply::Done => Ok(()),
            Reply::Refused(refusal) => Err(refusal),
            other => unreachable!("a decision is done or refused, and not answered by {other:?}"),
        }
    }

    /// Drains a worker: it gets nothing more, what it has may be answered, and then it is disconnected. Says
    /// whether there is such a worker; does not wait for the end.
    pub async fn drain(&self, worker: WorkerId) -> Result<bool, Refusal> {
        let (told, known) = oneshot::channel();
        self.shared().ask(Incoming::Drain(worker, Some(told)))?;
        known.await.map_err(|_| crate::hub::gone())
    }

    async fn look<T>(&self, at: impl FnOnce(oneshot::Sender<T>) -> Look) -> Result<T, Refusal> {
        let (show, shown) = oneshot::channel();
        self.shared().ask(Incoming::Look(at(show)))?;
        shown.await.map_err(|_| crate::hub::gone())
    }
}
