//! The threads that the loops of all hubs of a process share.
//!
//! A loop that has nothing to do is on none of them: it is queued when something arrives for it or
//! when its timer is due. A loop has at most one timer here.
//!
//! A loop has a home among the threads, and another thread takes it only while that one is busy: what a
//! loop allocates is then freed by the thread that allocated it, which is what allocators are good at.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

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
    wake: [Condvar; THREADS],
}

/// Tells somebody that a time has come.
struct Alarm {
    key: u64,
    ring: Mutex<Option<oneshot::Sender<()>>>,
}

impl Task for Alarm {
    fn key(&self) -> u64 {
        self.key
    }

    fn run(self: Arc<Self>) -> bool {
        if let Some(ring) = self.ring.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = ring.send(());
        }
        false
    }

    /// It rings from its turn: whoever hears it may want the pool's lock, which is held here.
    fn due(&self) -> bool {
        true
    }
}

#[derive(Default)]
struct State {
    /// By home.
    ready: [VecDeque<Arc<dyn Task>>; THREADS],
    asleep: [bool; THREADS],
    timers: BTreeMap<(Instant, u64), Arc<dyn Task>>,
    set: HashMap<u64, Instant>,
}

impl Pool {
    /// The pool of this process.
    pub(crate) fn get() -> &'static Self {
        static POOL: OnceLock<Pool> = OnceLock::new();
        static STARTED: OnceLock<()> = OnceLock::new();
        let pool = POOL.get_or_init(|| Self { state: Mutex::default(), wake: std::array::from_fn(|_| Condvar::new()) });
        STARTED.get_or_init(|| {
            for me in 0..THREADS {
                let named = std::thread::Builder::new().name(format!("duramen-hub-{me}"));
                named.spawn(move || pool.serve(me)).expect("failed to start a thread for the hub's loop");
            }
        });
        pool
    }

    /// Queues a loop that was on no thread.
    pub(crate) fn queue(&self, task: Arc<dyn Task>) {
        let mut state = self.lock();
        let thread = state.push(task);
        drop(state);
        self.wake(thread);
    }

    /// Sets the one timer of a loop, from the thread on which it runs, or clears it.
    pub(crate) fn set_timer(&self, task: &Arc<dyn Task>, at: Option<Instant>) {
        // Nobody is woken for it: the calling thread looks at the timers before it sleeps.
        self.lock().set_timer(task, at);
    }

    /// Returns after a while, with whatever polls it: no async runtime is needed.
    pub(crate) async fn sleep(&self, pause: Duration) {
        // Apart from the keys of loops, which have their homes by them.
        static KEYS: AtomicU64 = AtomicU64::new(1 << 63);
        let (ring, rung) = oneshot::channel();
        let key = KEYS.fetch_add(1, Ordering::Relaxed);
        let alarm: Arc<dyn Task> = Arc::new(Alarm { key, ring: Mutex::new(Some(ring)) });
        let sleeper = {
            let mut state = self.lock();
            state.set_timer(&alarm, Some(Instant::now() + pause));
            state.asleep.iter().position(|asleep| *asleep)
        };
        // It sleeps until a time that may be too late now. A thread that works looks before it sleeps.
        self.wake(sleeper);
        let _ = rung.await;
    }

    fn wake(&self, thread: Option<usize>) {
        if let Some(thread) = thread {
            self.wake[thread].notify_one();
        }
    }

    fn serve(&self, me: usize) {
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
                    let thread = state.push(task);
                    self.wake(thread.filter(|thread| *thread != me));
                }
            }
            if let Some(task) = state.pop(me) {
                state.set_timer(&task, None);
                // Somebody else has to look after what else is ready, and the other loops' timers.
                let more = !state.timers.is_empty() || state.ready.iter().any(|ready| !ready.is_empty());
                let other = state.asleep.iter().position(|asleep| *asleep).filter(|_| more);
                drop(state);
                self.wake(other);
                let again = Arc::clone(&task).run();
                state = self.lock();
                if again {
                    let thread = state.push(task);
                    self.wake(thread);
                }
                continue;
            }
            state.asleep[me] = true;
            let next = state.timers.first_key_value().map(|(key, _)| key.0.saturating_duration_since(now));
            state = match next {
                Some(pause) => self.wake[me].wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0,
                None => self.wake[me].wait(state).unwrap_or_else(PoisonError::into_inner),
            };
            state.asleep[me] = false;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn home(task: &Arc<dyn Task>) -> usize {
    (task.key() % THREADS as u64) as usize
}

impl State {
    /// Queues a loop; says which thread is to be woken for it, its home if that sleeps.
    fn push(&mut self, task: Arc<dyn Task>) -> Option<usize> {
        let home = home(&task);
        self.ready[home].push_back(task);
        if self.asleep[home] { Some(home) } else { self.asleep.iter().position(|asleep| *asleep) }
    }

    /// The next loop for a thread: one of its own, or one whose home is busy with another.
    fn pop(&mut self, me: usize) -> Option<Arc<dyn Task>> {
        let busy = |of: &usize| *of == me || !self.asleep[*of];
        let of = (0..THREADS).map(|step| (me + step) % THREADS).filter(busy).find(|of| !self.ready[*of].is_empty())?;
        self.ready[of].pop_front()
    }

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

    /// Holds its thread until it is told to go on.
    struct Busy {
        key: u64,
        began: Mutex<mpsc::Sender<()>>,
        go_on: Mutex<mpsc::Receiver<()>>,
    }

    impl Task for Busy {
        fn key(&self) -> u64 {
            self.key
        }

        fn run(self: Arc<Self>) -> bool {
            self.began.lock().unwrap().send(()).unwrap();
            self.go_on.lock().unwrap().recv().unwrap();
            false
        }

        fn due(&self) -> bool {
            true
        }
    }

    #[test]
    fn a_loop_whose_home_is_busy_runs_on_another_thread() {
        let ((began, begins), (go_on, waits)) = (mpsc::channel(), mpsc::channel());
        let busy = Busy { key: 0, began: Mutex::new(began), go_on: Mutex::new(waits) };
        let (other, runs) = task(THREADS as u64);
        assert_eq!(home(&other), 0, "both are at home on the same thread");
        // At once: the second is queued before its home has woken for the first.
        Pool::get().queue(Arc::new(busy));
        Pool::get().queue(other);
        begins.recv_timeout(Duration::from_secs(10)).expect("the first did not run");
        runs.recv_timeout(Duration::from_secs(10)).expect("the second waited for the first");
        go_on.send(()).unwrap();
    }

    #[tokio::test]
    async fn a_sleep_ends_and_not_before_its_time() {
        let (begun, pause) = (Instant::now(), Duration::from_millis(20));
        Pool::get().sleep(pause).await;
        assert!(begun.elapsed() >= pause);
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
