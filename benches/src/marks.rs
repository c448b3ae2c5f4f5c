//! Where a long chain has got to, and when: the activities of `long` pass by here.

use crate::process;
use crate::report::Ends;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How many steps count as an end of the chain.
const END: u64 = 1000;

/// Step, time, processor time so far.
type Mark = (u64, Instant, Duration);

static MARKS: Mutex<Vec<Mark>> = Mutex::new(Vec::new());

/// The steps between which the clock is read: 0 and 1,000, and the last but 1,000 and the last.
fn is_mark(step: u64, of: u64) -> bool {
    of > 2 * END && [0, END, of - 1 - END, of - 1].contains(&step)
}

/// Called by each step.
pub(crate) fn pass(step: u64, of: u64) {
    if is_mark(step, of) {
        let mark = (step, Instant::now(), process::cpu_of_living_threads());
        MARKS.lock().expect("no step panics").push(mark);
    }
}

/// What the marks say, if one chain passed all of them; forgets them.
pub(crate) fn take_ends() -> Option<Ends> {
    ends(&std::mem::take(&mut *MARKS.lock().expect("no step panics")))
}

fn ends(marks: &[Mark]) -> Option<Ends> {
    // An activity may run twice, and several chains may run at a time: then the marks mean nothing.
    let [first, first_end, last, last_end] = marks else { return None };
    let ms = |from: &Mark, to: &Mark| (to.1 - from.1).as_secs_f64() * 1000.0;
    let cpu_ms = |from: &Mark, to: &Mark| to.2.saturating_sub(from.2).as_secs_f64() * 1000.0;
    Some(Ends {
        first_1000_ms: ms(first, first_end),
        last_1000_ms: ms(last, last_end),
        first_1000_cpu_ms: cpu_ms(first, first_end),
        last_1000_cpu_ms: cpu_ms(last, last_end),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_are_a_thousand_steps_each() {
        let marks: Vec<u64> = (0..10_000).filter(|step| is_mark(*step, 10_000)).collect();
        assert_eq!(marks, [0, 1000, 8999, 9999]);
        assert!(!(0..2000).any(|step| is_mark(step, 2000)));

        let start = Instant::now();
        let at = |step, ms| (step, start + Duration::from_millis(ms), Duration::from_millis(ms / 2));
        let ends = ends(&[at(0, 0), at(1000, 100), at(8999, 900), at(9999, 1020)]).expect("four marks");
        let expected =
            Ends { first_1000_ms: 100.0, last_1000_ms: 120.0, first_1000_cpu_ms: 50.0, last_1000_cpu_ms: 60.0 };
        assert_eq!(ends, expected);
        assert_eq!(super::ends(&[at(0, 0)]), None);
    }
}
