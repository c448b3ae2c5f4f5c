//! The threads that the loops of all hubs of a process share.
//!
//! A loop that has nothing to do is on none of them: it is queued when something arrives for it or
//! when its timer is due. A loop has at most one timer here.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

/// A loop writes and syncs on its own thread when it is idle, so that one hub's disk does not stop
/// another hub there is more than one.
const THREADS: usize = 2;

/// A loop as the pool sees it.
pub(crate) trait Task: Send + Sync {
    /// Names its timer.
    fn key(&self) -> u64;

    /// Works until there is nothing to do or others should have a turn; then it says whether it is
    /// to be queued again at once.
    fn run(self: Arc<Self>) -> bool;

    /// Its timer is due. Says whether it is to be queued: not when it is running or queued.
    fn due(&self) -> bool;
}

/// The threads and what waits for them.
pub(crate) struct Pool {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Arc<dyn Task>>,
    timers: BTreeMap<(Instant, u64), Arc<dyn Task>>,
    set: HashMap<u64, Instant>,
    sleepers: usize,
}

impl Pool {
    /// The pool of this process.
    pub(crate) fn get() -> &'static Self {
        static POOL: OnceLock<Pool> = OnceLock::new();
        static STARTED: OnceLock<()> = OnceLock::new();
        let pool = POOL.get_or_init(|| Self { state: Mutex::default(), wake: Condvar::new() });
        STARTED.get_or_init(|| {
            for n in 0..THREADS {
                let named = std::thread::Builder::new().name(format!("duramen-hub-{n}"));
                named.spawn(move || pool.serve()).expect("failed to start a thread for the hub's loop");
            }
        });
        pool
    }

    /// Queues a loop that was on no thread.
    pub(crate) fn queue(&self, task: Arc<dyn Task>) {
        let mut state = self.lock();
        state.ready.push_back(task);
        let wake = state.sleepers > 0;
        drop(state);
        if wake {
            self.wake.notify_one();
        }
    }

    /// Sets the one timer of a loop, from the thread on which it runs, or clears it.
    pub(crate) fn set_timer(&self, task: &Arc<dyn Task>, at: Option<Instant>) {
        // Nobody is woken for it: the calling thread looks at the timers before it sleeps.
        self.lock().set_timer(task, at);
    }

    fn serve(&self) {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            while let Some(entry) = state.timers.first_entry()
                && entry.key().0 <= now
            {
                let (key, task) = entry.remove_entry();
                state.set.remove(&key.1);
                // The loop's own lock is never held while it takes the pool's, except to set its timer
                // from its own thread, which holds no other.
                if task.due() {
                    state.ready.push_back(task);
                }
            }
            if let Some(task) = state.ready.pop_front() {
                state.set_timer(&task, None);
                // Somebody else has to look after the other loops' timers and what else is ready.
                let hand_over = state.sleepers > 0 && !(state.ready.is_empty() && state.timers.is_empty());
                drop(state);
                if hand_over {
                    self.wake.notify_one();
                }
                let again = Arc::clone(&task).run();
                state = self.lock();
                if again {
                    state.ready.push_back(task);
                }
                continue;
            }
            state.sleepers += 1;
            let next = state.timers.first_key_value().map(|(key, _)| key.0.saturating_duration_since(now));
            state = match next {
                Some(pause) => self.wake.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0,
                None => self.wake.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
            state.sleepers -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn set_timer(&mut self, task: &Arc<dyn Task>, at: Option<Instant>) {
        let key = task.key();
        let before = match at {
            Some(at) => self.set.insert(key, at),
            None => self.set.remove(&key),
        };
        if let Some(before) = before {
            self.timers.remove(&(before, key));
        }
        if let Some(at) = at {
            self.timers.insert((at, key), Arc::clone(task));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    struct Once {
        key: u64,
        ran: Mutex<mpsc::Sender<Instant>>,
    }

    impl Task for Once {
        fn key(&self) -> u64 {
            self.key
        }

        fn run(self: Arc<Self>) -> bool {
            self.ran.lock().unwrap().send(Instant::now()).unwrap();
            false
        }

        fn due(&self) -> bool {
            true
        }
    }

    fn task(key: u64) -> (Arc<dyn Task>, mpsc::Receiver<Instant>) {
        let (ran, runs) = mpsc::channel();
        (Arc::new(Once { key, ran: Mutex::new(ran) }), runs)
    }

    #[test]
    fn what_is_queued_runs() {
        let (task, runs) = task(u64::MAX);
        Pool::get().queue(task);
        runs.recv_timeout(Duration::from_secs(10)).expect("the task did not run");
    }

    #[test]
    fn a_timer_runs_its_task_when_it_is_due_and_not_before() {
        let (task, runs) = task(u64::MAX - 1);
        let at = Instant::now() + Duration::from_millis(20);
        Pool::get().set_timer(&task, Some(at));
        // As a loop does: the thread that set a timer is one of the pool's and looks at it.
        let (other, _runs) = self::task(u64::MAX - 2);
        Pool::get().queue(other);
        assert!(runs.recv_timeout(Duration::from_secs(10)).expect("the timer did not fire") >= at);
    }
}
