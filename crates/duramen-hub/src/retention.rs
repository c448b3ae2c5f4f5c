//! Purging what ended long ago.

use crate::hub::Shared;
use crate::purge::{PAGE, Pace, Sweep};
use duramen_backend::{Order, Query};
use duramen_core::checkpoint::Parent;
use duramen_core::ids::InstanceId;
use duramen_core::request::{PurgeOne, Refusal, Seen};
use duramen_core::time::Time;
use duramen_proto::OrchestrationStatus;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The pauses between two looks at what has come of age: an eighth of the shortest age, but not less and not
/// more than these.
const SHORTEST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// How long an instance that has ended is kept, by how it ended and counted from when it did; `None`, as all are
/// unless told otherwise, keeps it until it is purged by hand.
///
/// The hub looks in the background for what has come of age: for the first time a minute to an hour after it
/// was opened, then as often, so an instance may stay for that much longer (an eighth of the shortest age,
/// within those bounds). Each instance goes by itself, at its own age. A child stays while the run that has
/// called it lives or has failed: rewinding that may need it, and would run it again if it were gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Of those that completed.
    pub completed: Option<Duration>,
    /// Of those that failed.
    pub failed: Option<Duration>,
    /// Of those that were terminated.
    pub terminated: Option<Duration>,
    /// Of those that were canceled.
    pub canceled: Option<Duration>,
}

impl Retention {
    /// The same for all.
    pub fn all(age: Duration) -> Self {
        let age = Some(age);
        Self { completed: age, failed: age, terminated: age, canceled: age }
    }

    fn ages(&self) -> impl Iterator<Item = (OrchestrationStatus, Duration)> {
        let ages = [
            (OrchestrationStatus::Completed, self.completed),
            (OrchestrationStatus::Failed, self.failed),
            (OrchestrationStatus::Terminated, self.terminated),
            (OrchestrationStatus::Canceled, self.canceled),
        ];
        ages.into_iter().filter_map(|(status, age)| Some((status, age?)))
    }

    fn age(&self, status: OrchestrationStatus) -> Option<Duration> {
        self.ages().find(|(of, _)| *of == status).map(|(_, age)| age)
    }

    fn shortest(&self) -> Option<Duration> {
        self.ages().map(|(_, age)| age).min()
    }

    /// How long until the next look; `None` when there is nothing to look for.
    pub(crate) fn pause(&self) -> Option<Duration> {
        self.shortest().map(|age| (age / 8).clamp(SHORTEST_PAUSE, LONGEST_PAUSE))
    }
}

/// Purges what has come of age; says how many that were.
pub(crate) async fn sweep(shared: Arc<Shared>) -> Result<u64, Refusal> {
    let retention = shared.options.retention;
    let Some(shortest) = retention.shortest() else { return Ok(0) };
    let now = shared.options.clock.now();
    let statuses = retention.ages().map(|(status, _)| status).collect();
    let mut sweep = Sweep::new(&shared, Pace::STEADY, Time::MAX, Box::new(|_| {}));
    let oldest = Query { statuses, order: Order::Completed, limit: PAGE, bare: true, ..Query::default() };
    let mut more = Some(oldest);
    while let Some(query) = more.take() {
        let page = sweep.page(&query).await?;
        more = page.next.map(|next| Query { after: Some(next), ..query });
        let mut parents = HashMap::new();
        for row in page.rows {
            let Some(seen) = Seen::of(&row.head, &row.tail) else { continue };
            if seen.completed.plus(shortest) > now {
                // And so are all that come after it.
                more = None;
                break;
            }
            let is_old = retention.age(seen.status).is_some_and(|age| seen.completed.plus(age) <= now);
            if is_old && !is_wanted(&mut sweep, &mut parents, row.head.parent).await? {
                sweep.put(0, PurgeOne { id: InstanceId::new(row.head.id), seen: Some(seen) }).await?;
            }
        }
    }
    Ok(sweep.finish().await?.deleted)
}

/// Whether the run that has called an instance may still ask for it, as far as the tables know: a hint, since
/// nothing is wrong with an instance that goes, or stays, a little too early.
async fn is_wanted(
    sweep: &mut Sweep<'_>,
    known: &mut HashMap<String, Option<u64>>,
    parent: Option<Parent>,
) -> Result<bool, Refusal> {
    let Some(parent) = parent else { return Ok(false) };
    let asking = match known.get(&parent.id) {
        Some(asking) => *asking,
        None => {
            let asking = asking_run(sweep, &parent.id).await?;
            known.insert(parent.id, asking);
            asking
        }
    };
    Ok(asking == Some(parent.run))
}

/// The run of an instance, if it may still ask for its children.
async fn asking_run(sweep: &mut Sweep<'_>, id: &str) -> Result<Option<u64>, Refusal> {
    // Under a prefix a list goes by id, so the one whose id is the prefix comes first.
    let query = Query { prefix: Some(id.to_owned()), limit: 1, bare: true, ..Query::default() };
    let row = sweep.page(&query).await?.rows.into_iter().next().filter(|row| row.head.id == id);
    let asks = |status: i32| match OrchestrationStatus::try_from(status) {
        Ok(OrchestrationStatus::Completed | OrchestrationStatus::Terminated | OrchestrationStatus::Canceled) => false,
        Ok(
            OrchestrationStatus::Running
            | OrchestrationStatus::ContinuedAsNew
            | OrchestrationStatus::Failed
            | OrchestrationStatus::Pending
            | OrchestrationStatus::Suspended,
        )
        | Err(_) => true,
    };
    Ok(row.filter(|row| asks(row.tail.status)).map(|row| row.head.run))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    #[test]
    fn looks_are_rare_and_not_rarer_than_an_hour() {
        let pause = |age| Retention { failed: Some(age), completed: Some(30 * DAY), ..Retention::default() }.pause();
        assert_eq!(Retention::default().pause(), None);
        assert_eq!(pause(Duration::ZERO), Some(Duration::from_secs(60)));
        assert_eq!(pause(Duration::from_secs(3600)), Some(Duration::from_secs(450)));
        assert_eq!(pause(7 * DAY), Some(Duration::from_secs(3600)));
    }
}
