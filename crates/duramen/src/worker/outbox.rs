//! Where answers leave the worker, and the count of what it still has in hand.

use duramen_core::work::Answer;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::Notify;

type Send = Box<dyn Fn(Vec<Answer>) + core::marker::Send + Sync>;
type Tell = Box<dyn Fn() + core::marker::Send + Sync>;

#[derive(Default)]
pub(crate) struct Outbox {
    target: Mutex<Target>,
    /// Answers of activities that wait for others to go with.
    gathered: Mutex<Vec<Answer>>,
    in_hand: AtomicUsize,
    draining: AtomicBool,
    empty: Notify,
}

#[derive(Default)]
struct Target {
    send: Option<Arc<Send>>,
    /// Tells the hub that the worker takes nothing more.
    drain: Option<Tell>,
    /// Answers from before the attachment was known.
    early: Vec<Answer>,
    /// Whether an answer is in hand until it is said to have arrived.
    far: bool,
    closed: bool,
}

impl Outbox {
    /// Says where answers go. Those that go far are in hand until they have [arrived](Self::arrived). `drain` is told
    /// when the worker takes nothing more.
    pub(super) fn attach(&self, far: bool, send: Send, drain: Option<Tell>) {
        let mut target = lock(&self.target);
        if target.closed {
            return;
        }
        target.drain = drain;
        target.far = far;
        let early = std::mem::take(&mut target.early);
        let send = Arc::new(send);
        target.send = Some(Arc::clone(&send));
        // Under the lock, so that nothing overtakes what came first.
        if !early.is_empty() {
            let count = early.len();
            send(early);
            drop(target);
            if !far {
                self.arrived(count);
            }
        }
    }

    /// Drops the attachment. Answers that come later have nowhere to go.
    pub(super) fn detach(&self) {
        let mut target = lock(&self.target);
        target.closed = true;
        target.early.clear();
        let (send, drain) = (target.send.take(), target.drain.take());
        drop(target);
        drop((send, drain));
    }

    /// So many items came.
    pub(super) fn took(&self, items: usize) {
        self.in_hand.fetch_add(items, Ordering::AcqRel);
    }

    pub(super) fn answer(&self, answers: Vec<Answer>) {
        if answers.is_empty() {
            return;
        }
        let count = answers.len();
        let mut target = lock(&self.target);
        let send = target.send.clone();
        match send {
            Some(send) => {
                let far = target.far;
                drop(target);
                send(answers);
                if far {
                    return;
                }
            }
            None if target.closed => {}
            None => {
                target.early.extend(answers);
                return;
            }
        }
        self.arrived(count);
    }

    /// So many answers are where they belong.
    pub(crate) fn arrived(&self, count: usize) {
        let before = self.in_hand.fetch_sub(count, Ordering::AcqRel);
        if before == count {
            self.empty.notify_waiters();
        }
    }

    /// Answers an activity, together with others that end meanwhile.
    pub(super) fn gather(self: &Arc<Self>, answer: Answer, runtime: &Handle) {
        let mut gathered = lock(&self.gathered);
        gathered.push(answer);
        if gathered.len() == 1 {
            let outbox = Arc::clone(self);
            drop(gathered);
            runtime.spawn(async move {
                // A task that was just spawned runs next: let those that are ready go first.
                tokio::task::yield_now().await;
                let answers = std::mem::take(&mut *lock(&outbox.gathered));
                outbox.answer(answers);
            });
        }
    }

    pub(super) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
        if let Some(drain) = &lock(&self.target).drain {
            drain();
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    pub(super) fn in_hand(&self) -> usize {
        self.in_hand.load(Ordering::Acquire)
    }

    /// Waits until nothing is in hand.
    pub(super) async fn emptied(&self) {
        loop {
            let empty = self.empty.notified();
            tokio::pin!(empty);
            // Registered before the count is read, so that no end is missed.
            empty.as_mut().enable();
            if self.in_hand.load(Ordering::Acquire) == 0 {
                return;
            }
            empty.await;
        }
    }
}

/// Author code never runs under these locks, so a panic cannot have left them half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
