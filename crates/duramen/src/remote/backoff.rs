//! Pauses between tries, so that those who lost a server do not all come back at once.

use std::time::Duration;

/// The longest first pause.
const FIRST: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(5);

/// Full jitter: each pause is anything between nothing and a bound that doubles.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    bound: Duration,
    longest: Duration,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self::between(FIRST, LONGEST)
    }

    /// With bounds of their own for the first pause and for all of them.
    pub(crate) fn between(first: Duration, longest: Duration) -> Self {
        Self { bound: first, longest }
    }

    /// How long to wait before the next try.
    pub(crate) fn next(&mut self) -> Duration {
        // The low bits of a random id are random throughout.
        let random = uuid::Uuid::new_v4().as_u128() as u32;
        let pause = self.bound.mul_f64(f64::from(random) / f64::from(u32::MAX));
        self.bound = (self.bound * 2).min(self.longest);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_stay_below_a_bound_that_doubles_up_to_the_longest() {
        let mut backoff = Backoff::new();
        for doubling in 0..20 {
            let bound = (FIRST * (1 << doubling.min(10))).min(LONGEST);
            assert!(backoff.next() <= bound, "try {doubling}");
        }
        let longest: Vec<_> = (0..50).map(|_| backoff.next()).collect();
        assert!(longest.iter().any(|pause| *pause > LONGEST / 2) && longest.iter().any(|pause| *pause < LONGEST / 2));
    }
}
