mod backup;
mod conforms;
mod faults;
mod folder;
mod lives;
mod machine;
mod space;
mod verify;

use duramen_backend::Backend;
use duramen_backend::conformance::{Probe, Sample};
use duramen_core::checkpoint::Checkpoint;
use std::sync::Arc;

/// The store behind a probe, which knows it only as a backend.
fn probe<B: Backend + 'static>(store: B) -> (Arc<B>, Probe) {
    let store = Arc::new(store);
    (store.clone(), Probe::new(store))
}

/// A checkpoint that starts an instance with an input of this size. Its id says its number.
fn start(number: u64, bytes: usize) -> Checkpoint {
    Checkpoint { number, deltas: Sample::new(&format!("i{number}"), number).start(vec![b'<'; bytes].into()) }
}
