//! Where the hub's time comes from.

use duramen_core::time::Time;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A difference between the wall clock and the monotonic one that is worth a line in the log.
const JUMP: Duration = Duration::from_secs(60);

/// What a hub takes for the time.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The system's wall clock.
    #[default]
    Wall,
    /// A clock that stands still until nothing is left to do, and then jumps to what is due next.
    Virtual(VirtualClock),
}

impl Clock {
    /// The time it shows.
    pub fn now(&self) -> Time {
        match self {
            Self::Wall => wall(),
            Self::Virtual(clock) => clock.now(),
        }
    }
}

fn wall() -> Time {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Time::EPOCH.plus(since),
        // A clock before 1970 is a machine without one; the start of the range is as good as any.
        Err(_) => Time::EPOCH,
    }
}

/// Whom a virtual clock tells that it has moved.
pub(crate) type Told = Arc<dyn Fn() + Send + Sync>;

/// A clock for tests. While a client waits and nothing else is left to do, the hub moves it to the
/// earliest deadline, so a timer of 30 days costs no time. Clones show the same time.
#[derive(Clone)]
pub struct VirtualClock(Arc<Mutex<Virtual>>);

struct Virtual {
    now: Time,
    told: Vec<Told>,
}

impl VirtualClock {
    /// A clock that shows `start`.
    pub fn new(start: Time) -> Self {
        Self(Arc::new(Mutex::new(Virtual { now: start, told: Vec::new() })))
    }

    /// The time it shows.
    pub fn now(&self) -> Time {
        self.lock().now
    }

    /// Moves it on, whatever the hub is doing.
    pub fn advance(&self, by: Duration) {
        let told = {
            let mut clock = self.lock();
            clock.now = clock.now.plus(by);
            clock.told.clone()
        };
        told.iter().for_each(|tell| tell());
    }

    /// Moves it to `time`, unless it is there already. The hub that calls this needs no telling.
    pub(crate) fn reach(&self, time: Time) {
        let mut clock = self.lock();
        clock.now = clock.now.max(time);
    }

    pub(crate) fn tell(&self, told: Told) {
        self.lock().told.push(told);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Virtual> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for VirtualClock {
    /// A clock that shows the start of 2030.
    fn default() -> Self {
        Self::new(Time::new(1_893_456_000, 0))
    }
}

impl std::fmt::Debug for VirtualClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("VirtualClock").field(&self.now()).finish()
    }
}

/// Notices when the wall clock moves by more than time has passed.
pub(crate) struct Jumps {
    seen: Option<(Instant, Time)>,
}

impl Jumps {
    pub(crate) fn new() -> Self {
        Self { seen: None }
    }

    /// Looks at the clock, and logs when it has jumped since the last look.
    pub(crate) fn look(&mut self, at: Instant, now: Time) {
        if let Some((before, shown)) = self.seen.replace((at, now))
            && let Some((way, by)) = jump(shown.plus(at.saturating_duration_since(before)), now)
        {
            tracing::warn!(seconds = by.as_secs(), "the wall clock has jumped {way}; timers follow it");
        }
    }
}

fn jump(expected: Time, now: Time) -> Option<(&'static str, Duration)> {
    let (ahead, behind) = (now.since(expected), expected.since(now));
    if ahead > JUMP {
        Some(("ahead", ahead))
    } else if behind > JUMP {
        Some(("back", behind))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_is_more_than_a_minute_either_way() {
        let noon = Time::new(43_200, 0);
        assert_eq!(jump(noon, noon.plus(Duration::from_secs(60))), None);
        assert_eq!(jump(noon, noon.plus(Duration::from_secs(61))), Some(("ahead", Duration::from_secs(61))));
        assert_eq!(jump(noon.plus(Duration::from_secs(61)), noon), Some(("back", Duration::from_secs(61))));
    }

    #[test]
    fn a_virtual_clock_never_goes_back() {
        let clock = VirtualClock::default();
        let start = clock.now();
        clock.advance(Duration::from_secs(5));
        clock.reach(start);
        assert_eq!(clock.now(), start.plus(Duration::from_secs(5)));
    }
}
