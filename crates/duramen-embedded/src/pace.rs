//! When to settle.

use crate::shift::{Attendance, Shift};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// When what is durable is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settling {
    /// Bytes of checkpoints after which it is.
    pub bytes: u64,
    /// How long after the first of them it is at the latest, whatever they amount to. It is sooner,
    /// though not within a fifth of this, as long as settling takes a quarter of the time at most.
    pub age: Duration,
    /// Bytes of checkpoints that may be durable and not settled. Beyond them appends wait, so that
    /// neither the journal nor the time to open it grows without bound.
    pub bound: u64,
    /// Bytes of the disk that are kept back at the most, so that purging works when the disk is full. As long as the
    /// tables are smaller than this, so many bytes as they have; none while they are smaller than 1 MiB.
    pub reserve: u64,
}

impl Default for Settling {
    fn default() -> Self {
        Self { bytes: 64 << 20, age: Duration::from_secs(5), bound: 256 << 20, reserve: 64 << 20 }
    }
}

/// Bytes that wait to be folded before the thread that folds is woken.
const FOLD_BYTES: u64 = 1 << 20;
/// The first pause after a settle for which there was no space, and the longest.
const SPACE_PAUSE: Duration = Duration::from_millis(100);
const SPACE_PAUSE_MAX: Duration = Duration::from_secs(5);
/// The pause between two slices of tidying, and before somebody who is in the way is looked at again.
const TIDY_PAUSE: Duration = Duration::from_millis(20);
const READER_PAUSE: Duration = Duration::from_secs(1);

/// What the thread that settles is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Fold what is durable.
    Fold,
    /// Settle it.
    Settle,
    /// Do a slice of what can wait.
    Tidy,
    /// Settle for the last time, and end.
    Close,
    /// Go home: there was nothing to do for a while.
    Leave,
}

/// How a settle ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Done; so many bytes came meanwhile and are not settled.
    Done(u64),
    /// There was no space.
    Full,
}

pub(crate) struct Pace {
    pub(crate) shift: Shift,
    settling: Settling,
    state: Mutex<State>,
    /// Appends that wait at the bound wait here.
    room: Condvar,
}

#[derive(Default)]
struct State {
    unsettled: u64,
    unsettled_max: u64,
    unfolded: u64,
    /// When the first of what is not settled came.
    since: Option<Instant>,
    /// When the settle that is under way began, and how long the last one took.
    begun: Option<Instant>,
    took: Duration,
    asked: bool,
    /// No append waits any more.
    ending: bool,
    /// There was no space, so often in a row, and then it is tried again.
    full: Option<(u32, Instant)>,
    tidy_at: Option<Instant>,
    attendance: Attendance,
}

impl Pace {
    pub(crate) fn new(settling: Settling) -> Self {
        Self { shift: Shift::default(), settling, state: Mutex::default(), room: Condvar::new() }
    }

    pub(crate) fn settling(&self) -> &Settling {
        &self.settling
    }

    /// Checkpoints have become durable.
    pub(crate) fn landed(&self, bytes: u64) {
        let mut state = self.state();
        state.unsettled += bytes;
        state.unsettled_max = state.unsettled_max.max(state.unsettled);
        let before = state.unfolded;
        state.unfolded += bytes;
        if state.since.is_none() || (before < FOLD_BYTES && state.unfolded >= FOLD_BYTES) {
            state.since.get_or_insert_with(Instant::now);
            self.shift.call(&mut state.attendance);
        }
    }

    /// Somebody waits for a settle.
    pub(crate) fn ask(&self) {
        let mut state = self.state();
        state.asked = true;
        self.shift.call(&mut state.attendance);
    }

    /// Has the thread that settles look what there is.
    pub(crate) fn begin(&self) {
        self.shift.call(&mut self.state().attendance);
    }

    /// The thread that settles ends.
    pub(crate) fn ended(&self) {
        self.state().attendance.leave();
    }

    /// Has no append wait any more: the store is closing, and on a full disk there may never be room.
    pub(crate) fn end(&self) {
        self.state().ending = true;
        self.room.notify_all();
    }

    pub(crate) fn close(&self) {
        self.shift.close(&mut self.state().attendance);
    }

    /// Bytes that are durable and not settled, and the most there ever were.
    pub(crate) fn unsettled(&self) -> (u64, u64) {
        let state = self.state();
        (state.unsettled, state.unsettled_max)
    }

    /// Whether a settle has to be done as fast as it can be.
    pub(crate) fn is_late(&self) -> bool {
        let state = self.state();
        state.attendance.is_closing() || state.asked || state.unsettled > self.settling.bound / 2
    }

    /// Whether an append may go on at once.
    pub(crate) fn has_room(&self) -> bool {
        self.state().unsettled < self.settling.bound
    }

    /// Whether the last settle found no space.
    pub(crate) fn is_full(&self) -> bool {
        self.state().full.is_some()
    }

    /// Waits while too much is not settled; says for how long it did. Does not wait for a store that
    /// is closing, or has failed.
    pub(crate) fn await_room(&self, has_failed: impl Fn() -> bool) -> Option<Duration> {
        let mut state = self.state();
        if state.unsettled < self.settling.bound {
            return None;
        }
        let begun = Instant::now();
        while state.unsettled >= self.settling.bound && !state.ending && !has_failed() {
            let waited = self.room.wait_timeout(state, Duration::from_millis(100));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Some(begun.elapsed())
    }

    /// Waits for something to do.
    pub(crate) fn next(&self) -> Order {
        let mut state = self.state();
        let mut tired = false;
        loop {
            let now = Instant::now();
            if state.attendance.is_closing() {
                return Order::Close;
            }
            let wake_at = match state.order(&self.settling, now) {
                Ok(order) => return order,
                Err(wake_at) => wake_at,
            };
            match wake_at {
                Some(at) => state = self.shift.wait(state, at.saturating_duration_since(now)),
                None if tired => {
                    state.attendance.leave();
                    return Order::Leave;
                }
                None => (state, tired) = self.shift.idle(state),
            }
        }
    }

    /// A settle has ended.
    pub(crate) fn settled(&self, outcome: Outcome) {
        let mut state = self.state();
        match outcome {
            Outcome::Done(left) => {
                state.full = None;
                state.took = state.begun.take().map_or(Duration::ZERO, |begun| begun.elapsed());
                state.unsettled = left;
                state.unfolded = state.unfolded.min(left);
                state.since = (left > 0).then(Instant::now);
                state.tidy_at = Some(Instant::now());
                self.room.notify_all();
            }
            Outcome::Full => {
                let before = state.full.map_or(0, |(attempts, _)| attempts);
                let pause = SPACE_PAUSE_MAX.min(SPACE_PAUSE * 2u32.saturating_pow(before.min(16)));
                state.full = Some((before + 1, Instant::now() + pause));
            }
        }
    }

    /// Has it looked soon whether there is space again.
    pub(crate) fn look_for_space(&self) {
        let mut state = self.state();
        state.tidy_at = Some(Instant::now() + TIDY_PAUSE);
        self.shift.call(&mut state.attendance);
    }

    /// A slice has been tidied; whether there is more, and whether somebody is in the way.
    pub(crate) fn tidied(&self, more: bool, in_the_way: bool) {
        let pause = if in_the_way { READER_PAUSE } else { TIDY_PAUSE };
        self.state().tidy_at = (more || in_the_way).then(|| Instant::now() + pause);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What to do now, or when there will be something.
    fn order(&mut self, settling: &Settling, now: Instant) -> Result<Order, Option<Instant>> {
        if self.unfolded >= FOLD_BYTES {
            self.unfolded = 0;
            return Ok(Order::Fold);
        }
        // What is settled leaves memory, so it is done often, but not so often that it takes over.
        let age = (self.took * 3).clamp(settling.age / 5, settling.age);
        let due = self.since.map(|since| if self.unsettled >= settling.bytes { since } else { since + age });
        let due = if self.asked { Some(now) } else { due };
        let due = due.map(|due| self.full.map_or(due, |(_, again)| due.max(again)));
        if due.is_some_and(|due| due <= now) {
            self.asked = false;
            self.unfolded = 0;
            self.begun = Some(now);
            return Ok(Order::Settle);
        }
        if self.tidy_at.is_some_and(|at| at <= now) {
            self.tidy_at = None;
            return Ok(Order::Tidy);
        }
        Err(due.into_iter().chain(self.tidy_at).min())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLING: Settling = Settling { bytes: 4 << 20, age: Duration::from_secs(5), bound: 16 << 20, reserve: 0 };

    fn order(pace: &Pace, after: Duration) -> Result<Order, Option<Duration>> {
        let now = Instant::now() + after;
        pace.state().order(&pace.settling, now).map_err(|at| at.map(|at| at.saturating_duration_since(now)))
    }

    #[test]
    fn it_settles_after_a_while_or_when_there_is_much() {
        let pace = Pace::new(SETTLING);
        assert_eq!(order(&pace, Duration::ZERO), Err(None), "nothing is durable");
        pace.landed(10);
        assert!(matches!(order(&pace, Duration::ZERO), Err(Some(left)) if left <= Duration::from_secs(1)));
        assert_eq!(order(&pace, Duration::from_secs(1)), Ok(Order::Settle));
        pace.landed(4 << 20);
        assert_eq!(order(&pace, Duration::ZERO), Ok(Order::Fold));
        assert_eq!(order(&pace, Duration::ZERO), Ok(Order::Settle));
        pace.settled(Outcome::Done(0));
        assert_eq!(order(&pace, Duration::ZERO), Ok(Order::Tidy));
        assert_eq!(order(&pace, Duration::ZERO), Err(None));
    }

    #[test]
    fn a_full_disk_is_tried_again_later_and_later() {
        let pace = Pace::new(SETTLING);
        pace.landed(10);
        pace.ask();
        assert_eq!(order(&pace, Duration::ZERO), Ok(Order::Settle));
        pace.settled(Outcome::Full);
        pace.settled(Outcome::Full);
        pace.ask();
        let wait = order(&pace, Duration::ZERO).expect_err("not yet").expect("but later");
        assert!(wait > Duration::from_millis(150) && wait <= Duration::from_millis(200), "{wait:?}");
        assert!(pace.is_full());
        assert_eq!(order(&pace, Duration::from_secs(1)), Ok(Order::Settle));
        pace.settled(Outcome::Done(0));
        assert!(!pace.is_full());
    }

    #[test]
    fn appends_wait_at_the_bound_and_no_longer_than_the_store_lives() {
        let pace = Pace::new(SETTLING);
        assert_eq!(pace.await_room(|| false), None);
        pace.landed(16 << 20);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| pace.await_room(|| false));
            pace.settled(Outcome::Done(0));
            assert!(waiting.join().expect("it goes on").is_none_or(|waited| waited < Duration::from_secs(60)));
        });
        pace.landed(16 << 20);
        assert!(pace.await_room(|| true).is_some());
        pace.end();
        assert!(pace.await_room(|| false).is_some());
    }
}
