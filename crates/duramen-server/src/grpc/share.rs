//! What all connections share, and how it is shared.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A bound over all connections: calls, workers, bytes. Whoever holds some of it already must leave as much free as it
/// holds: so one connection never has more than half, and however many take all that they can, the next one finds
/// something.
#[derive(Debug)]
pub(super) struct Share {
    all: usize,
    taken: AtomicUsize,
}

/// What one connection holds of a share.
pub(super) type Mine = Arc<AtomicUsize>;

impl Share {
    pub(super) fn new(all: usize) -> Arc<Self> {
        Arc::new(Self { all, taken: AtomicUsize::new(0) })
    }

    /// Takes an amount for a connection, if that may have it.
    pub(super) fn take(self: &Arc<Self>, mine: &Mine, amount: usize) -> Option<Held> {
        let had = mine.load(Ordering::Relaxed);
        let taken = |taken: usize| {
            let left = self.all.saturating_sub(taken).checked_sub(amount)?;
            (had <= left).then_some(taken + amount)
        };
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, taken).ok()?;
        mine.fetch_add(amount, Ordering::Relaxed);
        Some(Held { share: Arc::clone(self), mine: Arc::clone(mine), amount })
    }

    /// How much there is of it.
    pub(super) fn all(&self) -> usize {
        self.all
    }
}

/// Some of a share. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    share: Arc<Share>,
    mine: Mine,
    amount: usize,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.share.taken.fetch_sub(self.amount, Ordering::AcqRel);
        self.mine.fetch_sub(self.amount, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_connection_has_half_at_most_and_the_next_finds_something() {
        let (share, one, two) = (Share::new(100), Mine::default(), Mine::default());
        let of_one: Vec<_> = std::iter::from_fn(|| share.take(&one, 1)).collect();
        assert_eq!(of_one.len(), 50);
        let of_two: Vec<_> = std::iter::from_fn(|| share.take(&two, 1)).collect();
        assert_eq!(of_two.len(), 25);
        assert!(share.take(&one, 1).is_none() && share.take(&Mine::default(), 25).is_some());
        drop((of_one, of_two));
        assert!(share.take(&two, 100).is_some(), "all of it, where nobody has any");
        assert!(share.take(&two, 101).is_none());
        assert_eq!((one.load(Ordering::Relaxed), two.load(Ordering::Relaxed)), (0, 0));
    }
}
