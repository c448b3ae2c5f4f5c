//! What is done beside the writing: making segments ahead, and taking old ones out of use.

use duramen_backend::journal::Plan;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The orders for the thread that does it.
#[derive(Default)]
pub(crate) struct Chores {
    orders: Mutex<Orders>,
    wake: Condvar,
}

#[derive(Default)]
struct Orders {
    recycle: bool,
    plan: Option<Plan>,
    closing: bool,
}

/// One thing to do.
pub(crate) enum Chore {
    /// Take segments out of use that hold nothing but what is settled.
    Recycle,
    /// Make a segment.
    Prepare(Plan),
}

impl Chores {
    pub(crate) fn recycle(&self) {
        self.orders().recycle = true;
        self.wake.notify_one();
    }

    pub(crate) fn prepare(&self, plan: Plan) {
        self.orders().plan = Some(plan);
        self.wake.notify_one();
    }

    pub(crate) fn close(&self) {
        self.orders().closing = true;
        self.wake.notify_one();
    }

    /// Waits for something to do; `None` when the store is closing and all is done.
    pub(crate) fn next(&self) -> Option<Chore> {
        let mut orders = self.orders();
        loop {
            // Somebody may be waiting for a segment.
            if let Some(plan) = orders.plan.take() {
                return Some(Chore::Prepare(plan));
            }
            if std::mem::take(&mut orders.recycle) {
                return Some(Chore::Recycle);
            }
            if orders.closing {
                return None;
            }
            orders = self.wake.wait(orders).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
