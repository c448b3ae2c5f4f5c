use crate::Memory;
use crate::conformance::{self, Faults, Subject};
use crate::disk::{self, Disk};
use crate::journal::SegmentSizes;
use crate::memory::MemoryOptions;
use std::sync::Arc;

fn subject() -> Subject {
    let disk = Disk::new();
    let options = MemoryOptions { sizes: SegmentSizes { first: 1 << 14, next: 1 << 16 }, ..MemoryOptions::default() };
    let on = |act: fn(&Disk)| {
        let disk = disk.clone();
        Box::new(move || act(&disk)) as Box<dyn Fn()>
    };
    let faults = Faults {
        fail_writes: on(|disk| disk.set_faults(disk::Faults { fail_writes: true, ..disk::Faults::default() })),
        fail_syncs: on(|disk| disk.set_faults(disk::Faults { fail_syncs: true, ..disk::Faults::default() })),
        kill: on(Disk::kill),
        crash: Box::new({
            let disk = disk.clone();
            move |fate| disk.crash(|_, _| fate)
        }),
    };
    let open =
        Box::new(move || Arc::new(Memory::open(disk.boot(), options).expect("it opens")) as Arc<dyn crate::Backend>);
    Subject { open, faults: Some(faults) }
}

#[test]
fn conforms() {
    for (name, test) in conformance::all() {
        eprintln!("{name}");
        test(&subject());
    }
}
