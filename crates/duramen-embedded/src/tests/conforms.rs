//! The conformance suite, over a disk that can be made to fail and over a real one.

use crate::files::{Files, Place};
use crate::store::Store;
use crate::{Embedded, Options, SegmentSizes, Settling};
use duramen_backend::Backend;
use duramen_backend::conformance::{self, Faults, Subject};
use duramen_backend::disk::{self, Disk};
use duramen_backend::tables::Tables;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const OPTIONS: Options = Options {
    sizes: SegmentSizes { first: 1 << 14, next: 1 << 16 },
    settling: Settling { bytes: 1 << 12, age: Duration::from_millis(20), bound: 1 << 16, reserve: 1 << 20 },
    prepare: 0,
};

pub(super) fn open(disk: &Disk) -> Store<Tables> {
    // A process of its own: what the one before still does to files and rows fails.
    let disk = disk.boot();
    let files = Files::new(Place::Simulated(disk.clone()));
    Store::open(Path::new("simulated"), files, disk.tables(), OPTIONS).expect("it opens")
}

fn simulated() -> Subject {
    let disk = Disk::new();
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
    let open = Box::new(move || Arc::new(open(&disk)) as Arc<dyn Backend>);
    Subject { open, faults: Some(faults) }
}

fn real() -> Subject {
    let folder = tempfile::tempdir().expect("there is a place for temporary files");
    let open = move || Arc::new(Embedded::open(folder.path(), OPTIONS).expect("it opens")) as Arc<dyn Backend>;
    Subject { open: Box::new(open), faults: None }
}

#[test]
fn conforms_on_a_simulated_disk() {
    for (name, test) in conformance::all() {
        eprintln!("{name}");
        test(&simulated());
    }
}

#[test]
fn conforms_on_a_real_disk() {
    for (name, test) in conformance::all() {
        eprintln!("{name}");
        test(&real());
    }
}
