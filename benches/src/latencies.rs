//! How long things took: every value is kept, so the percentiles are exact.

use std::time::Duration;

/// Durations of one kind, in any order: in tenths of a microsecond, so that those of a long run take little of the
/// memory that it measures.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies(Vec<u32>);

/// Nanoseconds of a unit.
const UNIT: u64 = 100;

impl Latencies {
    pub(crate) fn push(&mut self, took: Duration) {
        self.0.push(u32::try_from(took.as_nanos() / u128::from(UNIT)).unwrap_or(u32::MAX));
    }

    pub(crate) fn append(&mut self, mut other: Latencies) {
        self.0.append(&mut other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The same in milliseconds.
    pub(crate) fn ms(&mut self, parts: usize) -> f64 {
        self.per_mille(parts).as_secs_f64() * 1000.0
    }

    /// The smallest value that at least `parts` in 1,000 of all do not exceed (nearest rank); zero when there are none.
    pub(crate) fn per_mille(&mut self, parts: usize) -> Duration {
        self.0.sort_unstable();
        let rank = (self.0.len() * parts).div_ceil(1000).max(1);
        Duration::from_nanos(self.0.get(rank - 1).map_or(0, |took| u64::from(*took) * UNIT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let mut latencies = Latencies::default();
        (1..=1000).rev().for_each(|ms| latencies.push(Duration::from_millis(ms)));
        let all = [500, 990, 999].map(|parts| latencies.per_mille(parts).as_millis());
        assert_eq!(all, [500, 990, 999]);
        let mut one = Latencies::default();
        one.push(Duration::from_millis(7));
        assert_eq!(one.per_mille(500).as_millis(), 7);
        assert_eq!(Latencies::default().per_mille(999), Duration::ZERO);
    }
}
