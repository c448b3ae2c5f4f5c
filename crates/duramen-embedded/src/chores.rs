//! What is done beside the writing: making segments ahead, and taking old ones out of use.

use crate::shift::{Attendance, Shift};
use duramen_backend::journal::Plan;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The orders for the thread that does it.
#[derive(Default)]
pub(crate) struct Chores {
    pub(crate) shift: Shift,
    orders: Mutex<Orders>,
}

#[derive(Default)]
struct Orders {
    recycle: bool,
    plan: Option<Plan>,
    attendance: Attendance,
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
        let mut orders = self.orders();
        orders.recycle = true;
        self.shift.call(&mut orders.attendance);
    }

    pub(crate) fn prepare(&self, plan: Plan) {
        let mut orders = self.orders();
        orders.plan = Some(plan);
        self.shift.call(&mut orders.attendance);
    }

    /// Has the thread look what there is.
    pub(crate) fn begin(&self) {
        self.shift.call(&mut self.orders().attendance);
    }

    pub(crate) fn close(&self) {
        self.shift.close(&mut self.orders().attendance);
    }

    /// Waits for something to do; `None` when all is done and the thread is to end: the store is closing, or there was
    /// nothing to do for a while.
    pub(crate) fn next(&self) -> Option<Chore> {
        let mut orders = self.orders();
        let mut tired = false;
        loop {
            // Somebody may be waiting for a segment.
            if let Some(plan) = orders.plan.take() {
                return Some(Chore::Prepare(plan));
            }
            if std::mem::take(&mut orders.recycle) {
                return Some(Chore::Recycle);
            }
            if tired || orders.attendance.is_closing() {
                orders.attendance.leave();
                return None;
            }
            (orders, tired) = self.shift.idle(orders);
        }
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
