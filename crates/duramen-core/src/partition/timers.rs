//! Which timers are in memory: those that are due before the end of a window, and those that are not
//! settled yet.
//!
//! A timer leaves the index once it is settled and due at or after the window's end. The end never
//! moves back. When less than half of the window is left, the end moves forward *first*, and then the
//! stretch between the old end and the new one is asked for. Nothing is lost between the two:
//!
//! - a timer that had left before the end moved is settled, so the read, which is asked for later,
//!   sees it;
//! - one that had not left is in the index, and stays there when it is settled, because it is due
//!   before the new end.
//!
//! What is read may be in the index already (the key is the same), and may be closed meanwhile: it is a
//! hint, and its instance says whether it is open.
//!
//! A read also says when the next timer behind the stretch is due ([`DueTimers::beyond`]). Until that
//! time comes near, the end follows the clock and nothing is read; a timer that is years away is one
//! read and two moments of waking.

use super::{Effect, Partition};
use crate::checkpoint::{DueTimers, Timer, TimerKey, TimerPlace, TimerWindow};
use crate::ids::{Birth, InstanceId, Run};
use crate::limits::Settings;
use crate::planted::{self, Bug};
use crate::time::Time;
use alloc::collections::{BTreeMap, VecDeque};
use core::time::Duration;

type Key = (Time, TimerKey);

/// The timers of a partition that are in memory.
pub(crate) struct Timers {
    index: BTreeMap<Key, (Birth, InstanceId)>,
    /// How far ahead of the clock the window's end is.
    ahead: Duration,
    /// The window's end.
    end: Time,
    /// Nothing that has left is due before this; absent when nothing has. It is never before the end.
    beyond: Option<Time>,
    /// Timers that were due behind the end when they were made, with the checkpoint that holds them.
    far: VecDeque<(u64, Key)>,
    reading: Reading,
}

/// How far the stretch before the end has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// To its end.
    Done,
    /// A page is asked for.
    Asked,
    /// To here. The rest is overdue, and is asked for when what has been read has been seen to.
    Paused(TimerPlace),
}

impl Timers {
    /// None yet. The stretch up to the end is to be asked for ([`Timers::first_stretch`]).
    pub(super) fn new(now: Time, settings: &Settings) -> Self {
        let ahead = settings.timer_window.max(Duration::from_millis(1));
        Self {
            index: BTreeMap::new(),
            ahead,
            end: now.plus(ahead),
            beyond: None,
            far: VecDeque::new(),
            reading: Reading::Asked,
        }
    }

    /// Everything that is due before the end.
    fn first_stretch(&self) -> TimerWindow {
        TimerWindow { after: None, before: self.end }
    }

    /// A timer is made, in the checkpoint of this number.
    pub(super) fn open(&mut self, timer: &Timer, id: &InstanceId, number: u64) {
        let key = key_of(timer);
        self.index.insert(key, (Run(timer.birth), id.clone()));
        if key.0 >= self.end {
            self.far.push_back((number, key));
        }
    }

    pub(super) fn close(&mut self, timer: &Timer) {
        self.index.remove(&key_of(timer));
    }

    /// Takes out the first timer that is due.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<(Birth, InstanceId, TimerKey)> {
        let entry = self.index.first_entry().filter(|entry| entry.key().0 <= now)?;
        let key = entry.key().1;
        let (birth, id) = entry.remove();
        Some((birth, id, key))
    }

    /// When the first timer in memory is due.
    pub(super) fn first_due(&self) -> Option<Time> {
        self.index.first_key_value().map(|((due, _), _)| *due)
    }

    /// When the window has to move because something behind it comes near.
    pub(super) fn moves_at(&self) -> Option<Time> {
        let waits = self.reading == Reading::Done && self.end < Time::MAX;
        self.beyond.filter(|_| waits).map(|beyond| beyond.minus(self.ahead / 2))
    }

    /// Moves the end with the clock. Gives the stretch that is to be read because of it.
    fn follow(&mut self, now: Time) -> Option<TimerWindow> {
        let end = now.plus(self.ahead);
        if end <= self.end || self.reading != Reading::Done {
            return None;
        }
        match self.beyond {
            Some(beyond) if now.plus(self.ahead / 2) < beyond => {
                self.end = self.end.max(end.min(beyond));
                None
            }
            None => {
                self.end = end;
                None
            }
            Some(_) => {
                // No run has the number 0: this is the place in front of all that are due at the old end.
                let after = TimerPlace { due: self.end, key: TimerKey::default() };
                self.end = end;
                self.beyond = None;
                self.reading = Reading::Asked;
                Some(TimerWindow { after: Some(after), before: end })
            }
        }
    }

    /// Takes in a page of the stretch that is being read.
    fn take(&mut self, due: DueTimers, now: Time) {
        for (id, timer) in &due.timers {
            let key = key_of(timer);
            if planted::loses_timer(key.0, now) {
                continue;
            }
            self.index.insert(key, (Run(timer.birth), InstanceId::new(id.as_str())));
        }
        match due.next {
            Some(place) => self.reading = Reading::Paused(place),
            None => {
                self.reading = Reading::Done;
                self.beyond = earlier(self.beyond, due.beyond);
            }
        }
    }

    /// The next page of the stretch that is being read. One that is overdue waits until those before
    /// it have been seen to: after a long time down there may be more than memory has room for.
    fn next_page(&mut self, now: Time) -> Option<TimerWindow> {
        let Reading::Paused(place) = self.reading else { return None };
        if place.due <= now && self.first_due().is_some_and(|due| due <= now) {
            return None;
        }
        self.reading = Reading::Asked;
        Some(TimerWindow { after: Some(place), before: self.end })
    }

    /// Lets go what is settled and due behind the end; at most `most`. Gives how many it looked at.
    pub(super) fn settle(&mut self, settled: u64, most: usize) -> usize {
        for looked in 0..most {
            let leaves = |number: u64| number <= settled || planted::has(Bug::TimerNowhere);
            let Some((_, key)) = self.far.pop_front_if(|(number, _)| leaves(*number)) else { return looked };
            if key.0 >= self.end && self.index.remove(&key).is_some() {
                self.beyond = earlier(self.beyond, Some(key.0));
            }
        }
        most
    }

    /// Whether something may leave by now.
    pub(super) fn has_settled(&self, settled: u64) -> bool {
        self.far.front().is_some_and(|(number, _)| *number <= settled)
    }

    /// Whether a read is under way.
    pub(super) fn is_reading(&self) -> bool {
        self.reading != Reading::Done
    }

    pub(super) fn held(&self) -> usize {
        self.index.len().max(self.far.len())
    }
}

fn key_of(timer: &Timer) -> Key {
    (timer.due.unwrap_or_default().into(), timer.key.unwrap_or_default())
}

fn earlier(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    one.into_iter().chain(other).min()
}

impl Partition {
    /// Asks for the timers of the first window.
    pub(super) fn take_up_timers(&mut self) {
        let stretch = self.ledger.timers.first_stretch();
        self.ledger.out.push(Effect::Timers(stretch));
    }

    /// Time has passed: the window follows.
    pub(super) fn move_window(&mut self) {
        let stretch = self.ledger.timers.follow(self.ledger.now);
        self.ledger.out.extend(stretch.map(Effect::Timers));
    }

    pub(super) fn take_timers(&mut self, due: DueTimers) {
        self.ledger.timers.take(due, self.ledger.now);
        self.read_on();
    }

    /// Asks for the next page of timers, if that is to be read now.
    pub(super) fn read_on(&mut self) {
        let stretch = self.ledger.timers.next_page(self.ledger.now);
        self.ledger.out.extend(stretch.map(Effect::Timers));
    }
}
