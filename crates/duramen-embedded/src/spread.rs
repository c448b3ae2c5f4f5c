//! How long something takes, over a store's whole life and in little memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Parts that a doubling is divided into: what is told of a duration is at most a sixteenth too long.
const PARTS: u64 = 16;
/// Places for durations up to a day.
const PLACES: usize = 34 * PARTS as usize;

/// Counts durations by their size, in microseconds.
#[derive(Debug)]
pub(crate) struct Spread {
    places: Box<[AtomicU64]>,
    max: AtomicU64,
}

impl Default for Spread {
    fn default() -> Self {
        Self { places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(), max: AtomicU64::new(0) }
    }
}

impl Spread {
    pub(crate) fn add(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.places[place(micros)].fetch_add(1, Ordering::Relaxed);
        self.max.fetch_max(micros, Ordering::Relaxed);
    }

    /// The longest.
    pub(crate) fn max(&self) -> Duration {
        Duration::from_micros(self.max.load(Ordering::Relaxed))
    }

    /// What at least `parts` in 1,000 of all do not exceed; zero when there are none.
    pub(crate) fn per_mille(&self, parts: u64) -> Duration {
        let counts: Vec<u64> = self.places.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let rank = (counts.iter().sum::<u64>() * parts).div_ceil(1000);
        let mut seen = 0;
        let found = counts.iter().position(|count| {
            seen += count;
            rank > 0 && seen >= rank
        });
        found.map_or(Duration::ZERO, |place| Duration::from_micros(longest(place)).min(self.max()))
    }
}

/// Where a number of microseconds is counted: each below 16 for itself, then 16 places a doubling.
fn place(micros: u64) -> usize {
    let doublings = (micros / PARTS).checked_ilog2().map_or(0, |doublings| u64::from(doublings) + 1);
    let within = if doublings == 0 { micros } else { (micros >> (doublings - 1)) - PARTS };
    usize::try_from(doublings * PARTS + within).map_or(PLACES - 1, |place| place.min(PLACES - 1))
}

/// The longest that is counted in a place.
fn longest(place: usize) -> u64 {
    let (doublings, within) = (place as u64 / PARTS, place as u64 % PARTS);
    if doublings == 0 { within } else { ((PARTS + within + 1) << (doublings - 1)) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_holds_what_is_at_most_a_sixteenth_shorter_than_its_longest() {
        for micros in (0..5_000).chain((12..36).flat_map(|bits| [(1 << bits) - 1, 1 << bits, (1 << bits) + 1])) {
            let longest = longest(place(micros));
            assert!(micros <= longest && longest - micros <= micros / PARTS, "{micros} is told as {longest}");
        }
        assert_eq!(place(u64::MAX), PLACES - 1);
    }

    #[test]
    fn ranks_are_those_of_the_sorted_durations() {
        let spread = Spread::default();
        assert_eq!((spread.per_mille(999), spread.max()), (Duration::ZERO, Duration::ZERO));
        (1..=1_000).for_each(|ms| spread.add(Duration::from_millis(ms)));
        for (parts, exact) in [(500, 500), (999, 999), (1_000, 1_000)] {
            let told = spread.per_mille(parts).as_millis();
            assert!((exact..=exact + exact / 16).contains(&told), "{parts} in 1,000: {told} ms");
        }
        assert_eq!((spread.per_mille(1_000), spread.max()), (Duration::from_secs(1), Duration::from_secs(1)));
    }
}
