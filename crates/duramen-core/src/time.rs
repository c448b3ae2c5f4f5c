//! Points in time, as the protocol has them: nanoseconds, and years beyond the range of an `i64` of
//! them.

use core::time::Duration;
use duramen_proto::Timestamp;

/// A point in time in UTC. Arithmetic saturates at the ends of the protocol's range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    seconds: i64,
    nanos: u32,
}

impl Time {
    /// The start of 1970.
    pub const EPOCH: Self = Self { seconds: 0, nanos: 0 };
    /// The first moment of the year 1, the beginning of the protocol's range.
    pub const MIN: Self = Self { seconds: -62_135_596_800, nanos: 0 };
    /// The last moment of the year 9999, the end of the protocol's range.
    pub const MAX: Self = Self { seconds: 253_402_300_799, nanos: 999_999_999 };

    /// `seconds` since the start of 1970 and `nanos` (below 1,000,000,000) on top.
    pub fn new(seconds: i64, nanos: u32) -> Self {
        Self { seconds: seconds.saturating_add(i64::from(nanos / 1_000_000_000)), nanos: nanos % 1_000_000_000 }
    }

    /// Whole seconds since the start of 1970.
    pub fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds beyond the whole second.
    pub fn nanos(self) -> u32 {
        self.nanos
    }

    /// `self + duration`, or [`Time::MAX`].
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let nanos = self.nanos + duration.subsec_nanos();
        let whole = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let seconds = self.seconds.saturating_add(whole).saturating_add(i64::from(nanos / 1_000_000_000));
        Self { seconds, nanos: nanos % 1_000_000_000 }.min(Self::MAX)
    }

    /// `self - duration`, or [`Time::MIN`].
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let borrow = u32::from(self.nanos < duration.subsec_nanos());
        let whole = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let seconds = self.seconds.saturating_sub(whole).saturating_sub(i64::from(borrow));
        let nanos = self.nanos + borrow * 1_000_000_000 - duration.subsec_nanos();
        Self { seconds, nanos }.max(Self::MIN)
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        if self <= earlier {
            return Duration::ZERO;
        }
        let borrow = u32::from(self.nanos < earlier.nanos);
        let seconds = self.seconds - earlier.seconds - i64::from(borrow);
        Duration::new(seconds.unsigned_abs(), self.nanos + borrow * 1_000_000_000 - earlier.nanos)
    }
}

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        // What is beyond the protocol's range (years 1 to 9999, 0 ≤ nanos < 10⁹) is brought into it, not
        // refused.
        Self::new(at.seconds, u32::try_from(at.nanos).unwrap_or(0)).clamp(Self::MIN, Self::MAX)
    }
}

impl From<Time> for Timestamp {
    fn from(at: Time) -> Self {
        Self { seconds: at.seconds, nanos: at.nanos as i32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_and_subtracting_agree() {
        let start = Time::new(10, 900_000_000);
        let later = start.plus(Duration::from_millis(1_250));
        assert_eq!(later, Time::new(12, 150_000_000));
        assert_eq!(later.since(start), Duration::from_millis(1_250));
        assert_eq!(start.since(later), Duration::ZERO);
        assert_eq!(later.minus(Duration::from_millis(1_250)), start);
        assert_eq!(start.minus(Duration::from_millis(400)), Time::new(10, 500_000_000));
    }

    #[test]
    fn timestamps_out_of_range_are_brought_into_it() {
        for (seconds, nanos) in [(i64::MAX, i32::MAX), (i64::MIN, i32::MIN), (i64::MAX, 0), (i64::MIN, -1)] {
            let time = Time::from(Timestamp { seconds, nanos });
            assert!((Time::MIN..=Time::MAX).contains(&time), "{time:?}");
            assert_eq!(Time::MAX.since(time).max(time.since(Time::MIN)), Time::MAX.since(Time::MIN));
        }
    }

    #[test]
    fn time_ends_with_the_year_9999() {
        assert_eq!(Time::EPOCH.plus(Duration::MAX), Time::MAX);
        assert_eq!(Time::EPOCH.minus(Duration::MAX), Time::MIN);
    }
}
