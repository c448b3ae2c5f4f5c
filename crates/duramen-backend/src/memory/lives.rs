//! Many lives of one store, which settles now and then and recycles its segments, each ended at a
//! random moment in a random way, and checked by the next.
//!
//! A failure prints its seed; the same seed does the same again.

use super::{Memory, MemoryOptions};
use crate::conformance::{Probe, Sample};
use crate::disk::{Disk, Fate, Faults};
use crate::journal::SegmentSizes;
use crate::{Backend, Event, Hurry};
use duramen_core::checkpoint::Checkpoint;
use std::collections::BTreeSet;
use std::sync::Arc;

/// SplitMix64: small, and the same everywhere.
struct Chance(u64);

impl Chance {
    fn draw(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below
    }
}

/// What the world outside knows of the store.
#[derive(Default)]
struct Witness {
    /// Acknowledged, or seen after an opening: there for ever.
    there: BTreeSet<String>,
    /// Submitted, and never answered.
    unsure: BTreeSet<String>,
    /// Missing after an opening: never to come back.
    gone: BTreeSet<String>,
}

impl Witness {
    fn look(&mut self, probe: &Probe, seed: u64) {
        for id in &self.there {
            assert!(probe.load(id).is_some(), "seed {seed}: {id} was believed and is lost");
        }
        for id in &self.gone {
            assert!(probe.load(id).is_none(), "seed {seed}: {id} has come back");
        }
        for id in std::mem::take(&mut self.unsure) {
            let home = if probe.load(&id).is_some() { &mut self.there } else { &mut self.gone };
            home.insert(id);
        }
    }
}

fn live(disk: &Disk, life: u64, witness: &mut Witness, chance: &mut Chance, seed: u64) {
    let options = MemoryOptions {
        sizes: SegmentSizes { first: 4_096, next: 8_192 },
        in_steps: true,
        settles_late: chance.draw(4) > 0,
        ..Default::default()
    };
    let memory = Memory::open(disk.boot(), options).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let memory = Arc::new(memory);
    let probe = Probe::new(memory.clone());
    witness.look(&probe, seed);
    if chance.draw(6) == 0 {
        return;
    }
    memory.acquire(duramen_core::ids::PartitionId(0), vec![duramen_core::ids::Slot(0)]);
    while memory.step() {}
    let Event::Acquired { partition, epoch, .. } = probe.next() else { panic!("seed {seed}: no lease") };
    let id = |number: u64| format!("{life}-{number}");
    let mut number = 0;
    for _ in 0..chance.draw(40) {
        match chance.draw(10) {
            0..4 => {
                number += 1;
                let event = vec![b'<'; chance.draw(1_500) as usize].into();
                let deltas = Sample::new(&id(number), life * 1_000 + number).start(event);
                memory.append(partition, epoch, vec![Checkpoint { number, deltas }], Hurry::Busy);
                witness.unsure.insert(id(number));
            }
            4..8 => drop(memory.step()),
            // Segments are recycled with it.
            8 => memory.settle_now(),
            // The empty batch after a time of quiet.
            _ => memory.mark_unsynced(),
        }
        while let Some(event) = probe.try_next() {
            let Event::Appended { number, .. } = event else { panic!("seed {seed}: {event:?}") };
            witness.unsure.remove(&id(number));
            witness.there.insert(id(number));
        }
    }
    match chance.draw(8) {
        0 => {
            memory.close();
            witness.look(&Probe::new(Arc::new(Memory::open(disk.boot(), options).expect("it was closed"))), seed);
        }
        1 => {
            disk.set_faults(Faults { fail_syncs: true, ..Faults::default() });
            while memory.step() {}
        }
        2 => {
            disk.set_faults(Faults { fail_writes: true, ..Faults::default() });
            while memory.step() {}
        }
        // In the middle of recycling, or of whatever comes first.
        3 | 4 => {
            disk.set_faults(Faults { dies_after: Some(chance.draw(8)), ..Faults::default() });
            memory.settle_now();
            while memory.step() {}
        }
        _ => {}
    }
}

#[test]
fn what_one_life_believes_every_later_one_finds() {
    for seed in 0..400 {
        let mut chance = Chance(seed);
        let disk = Disk::new();
        let mut witness = Witness::default();
        for life in 0..8 {
            live(&disk, life, &mut witness, &mut chance, seed);
            if chance.draw(3) == 0 {
                disk.kill();
            } else {
                disk.crash(|_, _| [Fate::Kept, Fate::Lost, Fate::Torn][chance.draw(3) as usize]);
            }
        }
        let memory =
            Memory::open(disk.boot(), MemoryOptions::default()).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        witness.look(&Probe::new(Arc::new(memory)), seed);
    }
}
