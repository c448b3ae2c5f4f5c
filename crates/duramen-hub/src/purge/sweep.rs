//! How a purge goes through instances: a walk down to descendants, and slices.

use super::ENDED;
use crate::clock::Clock;
use crate::hub::Shared;
use crate::pool::Pool;
use duramen_backend::{Page, Query};
use duramen_core::ids::InstanceId;
use duramen_core::limits::CHILD_DEPTH;
use duramen_core::request::{PurgeOne, Purged, Refusal, Reply, Request, Seen};
use duramen_core::time::Time;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How much a sweep takes of the time of all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Instances that are put to their partitions at a time; the next ones go once these have answered. Many enough to
    /// share syncs, and few enough that a turn of the loop, which takes many times as many requests, and the reads of
    /// the store are there for others too.
    slice: usize,
    /// A slice is followed by a pause of so many times what it took, but not longer than [`LONGEST_REST`]: that much of
    /// the disk's time, and of what settles it all, is for others.
    rest: u32,
}

impl Pace {
    /// Of what somebody asked for who can wait: those who work beside it are to notice little.
    pub(crate) const GENTLE: Self = Self { slice: 8, rest: 3 };
    /// Of what has to keep up with what ends meanwhile.
    pub(crate) const STEADY: Self = Self { slice: 32, rest: 1 };
}

const LONGEST_REST: Duration = Duration::from_millis(50);

/// Rows of a page of candidates.
pub(crate) const PAGE: usize = 512;

/// Instances on the way out.
pub(crate) struct Sweep<'a> {
    shared: &'a Arc<Shared>,
    pace: Pace,
    until: Time,
    progress: Box<dyn FnMut(u64) + Send>,
    purged: Purged,
    /// What is to be purged next, by how deep below what was asked for. The deeper go first, so that what
    /// is left when a purge breaks off can still be found from above.
    ready: Vec<Vec<PurgeOne>>,
    /// Whether a slice has been sent, and how long to rest before the next one.
    begun: bool,
    rest: Duration,
    /// Whether a page was read: it had everything settled that was durable before, and later ones need
    /// not wait for that again.
    has_read: bool,
}

/// Instances beside each other on the walk.
pub(crate) struct Level {
    /// Whose children they are; it goes after them.
    of: Option<PurgeOne>,
    found: VecDeque<PurgeOne>,
    /// Where to find more.
    more: Option<Query>,
}

impl Level {
    pub(super) fn of_ids(ids: Vec<InstanceId>) -> Self {
        Self { of: None, found: ids.into_iter().map(PurgeOne::from).collect(), more: None }
    }

    pub(super) fn new(of: Option<PurgeOne>, query: Query) -> Self {
        Self { of, found: VecDeque::new(), more: Some(query) }
    }

    /// The children of an instance that have ended.
    fn children(of: PurgeOne) -> Self {
        let parent = Some(of.id.as_str().to_owned());
        let statuses = ENDED.to_vec();
        Self::new(Some(of), Query { parent, statuses, limit: PAGE, bare: true, ..Query::default() })
    }
}

/// Whether the walk has come by this instance: ids can be used again, so it may stand below itself.
fn is_on_the_way(levels: &[Level], id: &InstanceId) -> bool {
    levels.len() > CHILD_DEPTH as usize || levels.iter().any(|level| level.of.as_ref().is_some_and(|of| of.id == *id))
}

impl<'a> Sweep<'a> {
    pub(crate) fn new(shared: &'a Arc<Shared>, pace: Pace, until: Time, progress: Box<dyn FnMut(u64) + Send>) -> Self {
        let purged = Purged { deleted: 0, complete: true };
        Self {
            shared,
            pace,
            until,
            progress,
            purged,
            ready: Vec::new(),
            begun: false,
            rest: Duration::ZERO,
            has_read: false,
        }
    }

    /// Goes through a level, and with `recursive` through what is below it.
    pub(super) async fn walk(&mut self, first: Level, recursive: bool) -> Result<(), Refusal> {
        let mut levels = vec![first];
        while let Some(level) = levels.last_mut() {
            let next = if let Some(found) = level.found.pop_front() {
                if recursive && !is_on_the_way(&levels, &found.id) {
                    if found.seen.is_some() || has_ended(self.shared, &found.id).await? {
                        levels.push(Level::children(found));
                    }
                    continue;
                }
                found
            } else if let Some(query) = level.more.take() {
                self.read(level, query).await?;
                continue;
            } else {
                match levels.pop().and_then(|done| done.of) {
                    Some(parent) => parent,
                    None => return Ok(()),
                }
            };
            if !self.put(levels.len() - 1, next).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// A page of hints; the first one of a sweep waits until what is durable is settled.
    pub(crate) async fn page(&mut self, query: &Query) -> Result<Page, Refusal> {
        let hints = std::mem::replace(&mut self.has_read, true);
        self.shared.search(Query { hints, ..query.clone() }).await
    }

    async fn read(&mut self, level: &mut Level, query: Query) -> Result<(), Refusal> {
        let page = self.page(&query).await?;
        level.found = page
            .rows
            .iter()
            .map(|row| PurgeOne { id: InstanceId::new(row.head.id.as_str()), seen: Seen::of(&row.head, &row.tail) })
            .collect();
        level.more = page.next.map(|next| Query { after: Some(next), ..query });
        Ok(())
    }

    /// Takes one more; says whether the time has not run out.
    pub(crate) async fn put(&mut self, depth: usize, one: PurgeOne) -> Result<bool, Refusal> {
        if self.ready.len() <= depth {
            self.ready.resize_with(depth + 1, Vec::new);
        }
        let begins = self.ready[depth].is_empty();
        if begins && self.begun && self.shared.options.clock.now() >= self.until {
            self.purged.complete = false;
            self.ready.clear();
            return Ok(false);
        }
        self.ready[depth].push(one);
        if self.ready[depth].len() >= self.pace.slice {
            self.send(depth).await?;
        }
        Ok(true)
    }

    /// Sends what is left.
    pub(crate) async fn finish(mut self) -> Result<Purged, Refusal> {
        self.send(0).await?;
        Ok(self.purged)
    }

    /// Has all purged that stand at a depth or deeper.
    async fn send(&mut self, depth: usize) -> Result<(), Refusal> {
        for at in (depth..self.ready.len()).rev() {
            let slice = std::mem::take(&mut self.ready[at]);
            if slice.is_empty() {
                continue;
            }
            self.rest().await;
            self.begun = true;
            let begun = Instant::now();
            // All are on their way before the first reply is awaited.
            let asked: Vec<_> = slice.into_iter().map(|one| self.shared.submit(Request::Purge(one))).collect();
            for asked in asked {
                match asked?.reply().await {
                    // Not gone by this: it lives, or somebody else has purged it.
                    Reply::Purged(gone) => self.purged.deleted += u64::from(gone),
                    Reply::Refused(refusal) => return Err(refusal),
                    other => unreachable!("a purge was asked for, and the answer is {other:?}"),
                }
            }
            self.rest = (begun.elapsed() * self.pace.rest).min(LONGEST_REST);
            (self.progress)(self.purged.deleted);
        }
        Ok(())
    }

    async fn rest(&mut self) {
        let rest = std::mem::take(&mut self.rest);
        match self.shared.options.clock {
            Clock::Wall if !rest.is_zero() => Pool::get().sleep(rest).await,
            // A virtual clock would not see that there still is something to do.
            Clock::Wall | Clock::Virtual(_) => {}
        }
    }
}

async fn has_ended(shared: &Arc<Shared>, id: &InstanceId) -> Result<bool, Refusal> {
    match shared.submit(Request::Get(id.clone()))?.reply().await {
        Reply::State(state) => Ok(state.is_some_and(|state| ENDED.contains(&state.orchestration_status()))),
        Reply::Refused(refusal) => Err(refusal),
        other => unreachable!("a state was asked for, and the answer is {other:?}"),
    }
}
