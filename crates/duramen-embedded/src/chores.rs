//! What is done beside the writing: folding into the tables, and making segments ahead.

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
    settle: bool,
    plan: Option<Plan>,
    closing: bool,
}

/// One thing to do.
pub(crate) enum Chore {
    /// Fold what is durable into the tables.
    Settle,
    /// Make a segment.
    Prepare(Plan),
}

impl Chores {
    pub(crate) fn settle(&self) {
        let mut orders = self.orders();
        if !orders.settle {
            orders.settle = true;
            self.wake.notify_one();
        }
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
            if std::mem::take(&mut orders.settle) {
                return Some(Chore::Settle);
            }
            if let Some(plan) = orders.plan.take() {
                return Some(Chore::Prepare(plan));
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
