//! When to kill.

use crate::phase::Phase;
use crate::rng::Rng;
use std::time::Duration;

/// The longest that a child lives when it is killed at random.
const LONGEST: Duration = Duration::from_secs(2);
/// A third of those live no longer than this.
const SHORT: Duration = Duration::from_millis(100);
/// The longest that a kill which is meant for a phase waits for one to begin.
const PATIENCE: Duration = Duration::from_secs(4);

/// When one child is to be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// So long after its start, whatever it does then.
    Random(Duration),
    /// In the first phase of this kind that begins after a while, and so long after its beginning.
    Phase { phase: Phase, after: Duration, into: Duration },
}

impl Aim {
    /// When the child is killed at the latest.
    pub(crate) fn limit(self) -> Duration {
        match self {
            Self::Random(delay) => delay,
            Self::Phase { after, .. } => after + PATIENCE,
        }
    }
}

/// What was hit, and how long phases last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) random: u64,
    pub(crate) steered: u64,
    /// Kills within each phase.
    pub(crate) hits: [u64; Phase::COUNT],
    /// How long the last one of each kind took.
    lasted: [Duration; Phase::COUNT],
}

impl Tally {
    /// The aim of the next kill, in a life in which settling is busy or not: six of ten at random, four at
    /// what was hit least.
    pub(crate) fn aim(&mut self, number: u64, busy: bool, rng: &mut Rng) -> Aim {
        if number % 10 < 6 {
            self.random += 1;
            let longest = if rng.once_in(3) { SHORT } else { LONGEST };
            return Aim::Random(rng.pause(longest));
        }
        self.steered += 1;
        let phases = Phase::of_life(busy).iter().copied();
        let phase = phases.min_by_key(|phase| self.hits[phase.index()]).expect("there are phases");
        // A first opening has nothing to wait for; the others come again and again.
        let after = if phase == Phase::Opening { Duration::ZERO } else { rng.pause(Duration::from_millis(500)) };
        Aim::Phase { phase, after, into: rng.pause(self.lasted[phase.index()] / 2) }
    }

    pub(crate) fn lasted(&mut self, phase: Phase, time: Duration) {
        self.lasted[phase.index()] = time;
    }

    pub(crate) fn hit(&mut self, phase: Phase) {
        self.hits[phase.index()] += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_spread_as_they_should_be() {
        let (mut tally, mut rng) = (Tally::default(), Rng::new(1));
        let (mut short, mut random) = (0, 0);
        for number in 0..3_000 {
            match tally.aim(number, number % 2 == 0, &mut rng) {
                Aim::Random(delay) => {
                    assert!(delay <= LONGEST);
                    random += 1;
                    short += u32::from(delay <= SHORT);
                }
                Aim::Phase { phase, .. } => tally.hit(phase),
            }
        }
        assert_eq!(random, 1_800);
        assert!((random / 3..random / 2).contains(&short), "{short} of {random}");
        assert!(tally.hits.iter().all(|hits| (150..=300).contains(hits)), "{:?}", tally.hits);
    }
}
