//! Ids and random numbers that are the same each time.

use duramen_core::history::rfc3339;
use duramen_core::time::Time;
use uuid::{Uuid, uuid};

/// The namespace of DTFx.
const NAMESPACE: Uuid = uuid!("9e952958-5e33-4daf-827f-2fa12937b875");

/// DTFx's rule: a UUIDv5 of the instance, the time with seven digits of a second, and a counter.
pub(super) fn guid(instance_id: &str, now: Time, number: u32) -> Uuid {
    let name = format!("{instance_id}_{}_{number}", rfc3339::ticks(now));
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// Built on what a rewind keeps, unlike the execution's id.
pub(super) fn random(instance_id: &str, started_at: Time, number: u64) -> u64 {
    let mut state: u64 = 0xcbf2_9ce4_8422_2325;
    let start = started_at.seconds().to_le_bytes().into_iter().chain(started_at.nanos().to_le_bytes());
    for byte in instance_id.bytes().chain(start) {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    // SplitMix64, at the given place of its sequence.
    let mut mixed = state.wrapping_add(number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn guids_follow_the_rule_of_dtfx() {
        let now = Time::new(1_577_836_800, 123_456_700);
        let expected = Uuid::new_v5(&NAMESPACE, b"order-1_2020-01-01T00:00:00.1234567Z_0");
        assert_eq!(guid("order-1", now, 0), expected);
        assert_ne!(guid("order-1", now, 1), expected);
    }

    #[test]
    fn random_numbers_differ_by_place_instance_and_start() {
        let mut seen = BTreeSet::new();
        for number in 0..1_000 {
            seen.insert(random("a", Time::EPOCH, number));
        }
        seen.insert(random("b", Time::EPOCH, 0));
        seen.insert(random("a", Time::new(0, 1), 0));
        assert_eq!(seen.len(), 1_002);
        assert_eq!(random("a", Time::EPOCH, 7), random("a", Time::EPOCH, 7));
    }
}
