//! The backend that forgets: for tests, and for hubs whose work need not outlive them.

use crate::leases::Leases;
use crate::outlet::Outlet;
use crate::tables::{Damage, Settling};
use crate::{Backend, Event, Events, Failure, Hurry, Query, QueryId};
use duramen_core::checkpoint::Checkpoint;
use duramen_core::ids::{Epoch, InstanceId, PartitionId, Position, Slot, StoreId};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A store in memory. Calls are answered at once, in the calling thread.
#[derive(Default)]
pub struct Memory {
    outlet: Outlet,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    leases: Leases,
    settling: Settling,
    position: Position,
    stopped: bool,
}

impl Memory {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, act: impl FnOnce(&mut State, &Outlet) -> Result<(), Failure>) {
        let mut state = self.state();
        if !state.stopped
            && let Err(failure) = act(&mut state, &self.outlet)
        {
            state.stopped = true;
            self.outlet.put([Event::Failed(failure)]);
        }
        drop(state);
        self.outlet.deliver();
    }
}

fn damaged(damage: Damage) -> Failure {
    Failure {
        what: "failed to fold a checkpoint into the tables".into(),
        reason: damage.to_string(),
    }
}

impl Backend for Memory {
    fn listen(&self, events: Events) {
        self.outlet.listen(events);
    }

    fn acquire(&self, partition: PartitionId, slots: Vec<Slot>) {
        self.with(|state, outlet| {
            let epoch = state.leases.next_epoch().ok_or_else(|| Failure {
                what: "failed to give out a lease".into(),
                reason: "all epochs are used up".into(),
            })?;
            let outstanding = Box::new(state.settling.tables().outstanding(&slots));
            state.leases.grant(partition, epoch, slots);
            outlet.put([Event::Acquired {
                partition,
                epoch,
                store: StoreId(1),
                outstanding,
            }]);
            Ok(())
        });
    }

    fn append(&self, partition: PartitionId, epoch: Epoch, checkpoints: Vec<Checkpoint>, _hurry: Hurry) {
        self.with(|state, outlet| {
            for checkpoint in checkpoints {
                let number = checkpoint.number;
                if let Err(reason) = state.leases.admit(partition, epoch, number) {
                    outlet.put([Event::Refused {
                        partition,
                        epoch,
                        number,
                        reason,
                    }]);
                    continue;
                }
                state.position.0 += 1;
                let position = state.position;
                state.settling.durable(position, checkpoint);
                outlet.put([Event::Appended {
                    partition,
                    epoch,
                    number,
                    position,
                }]);
            }
            let before = state.settling.settled();
            let settled = state.settling.settle_all().map_err(damaged)?;
            outlet.put((settled > before).then_some(Event::Settled(settled)));
            Ok(())
        });
    }

    fn load(&self, partition: PartitionId, id: InstanceId) {
        self.with(|state, outlet| {
            let image = state.settling.tables().load(id.as_str()).map(Box::new);
            outlet.put([Event::Loaded { partition, id, image }]);
            Ok(())
        });
    }

    fn query(&self, query: QueryId, what: Query) {
        self.with(|state, outlet| {
            outlet.put([Event::Queried {
                query,
                page: state.settling.tables().query(&what),
            }]);
            Ok(())
        });
    }

    fn settle(&self, position: Position) {
        self.with(|state, outlet| {
            let settled = state.settling.settled();
            outlet.put((settled >= position).then_some(Event::Settled(settled)));
            Ok(())
        });
    }

    fn close(&self) {
        self.state().stopped = true;
    }
}
