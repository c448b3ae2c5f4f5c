//! Threads that are there while there is something to do.
//!
//! A store has four, and a process may have many stores that are idle. So a thread goes home after a while without
//! work, and whoever puts work in calls it back. Whether it is there stands in an [`Attendance`] behind the lock of the
//! work itself: a thread leaves only with that lock in hand and after a last look, so work that comes later finds it
//! gone, and work that came before was seen.

use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long a thread stays without work. To make one costs some ten microseconds, so it need not stay long. The tests
/// of the store have it come and go all the time.
const LINGER: Duration = if cfg!(test) { Duration::from_millis(1) } else { Duration::from_secs(2) };

/// Makes the thread run. `None` if the system has none to give; the store has then failed.
type Start = Box<dyn Fn() -> Option<JoinHandle<()>> + Send + Sync>;

/// A thread that comes and goes.
#[derive(Default)]
pub(crate) struct Shift {
    wake: Condvar,
    start: OnceLock<Start>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Whether the thread is there. It belongs behind the lock of what the thread waits for.
#[derive(Debug, Default)]
pub(crate) struct Attendance {
    there: bool,
    closing: bool,
}

impl Attendance {
    /// Whether the thread is to end once all is done.
    pub(crate) fn is_closing(&self) -> bool {
        self.closing
    }

    /// Whether the thread is there.
    pub(crate) fn is_there(&self) -> bool {
        self.there
    }

    /// The thread goes, with the lock in hand, and does nothing more.
    pub(crate) fn leave(&mut self) {
        self.there = false;
    }
}

impl Shift {
    /// Says how the thread is made. Calls before this one are for nothing.
    pub(crate) fn begin(&self, start: Start) {
        // A second way would be a mistake of the caller that changes nothing of the first.
        let _ = self.start.set(start);
    }

    /// There is work: has the thread look, or makes it come, with the lock of the work in hand.
    pub(crate) fn call(&self, attendance: &mut Attendance) {
        if attendance.there {
            self.wake.notify_one();
        } else if !attendance.closing
            && let Some(start) = self.start.get()
            && let Some(thread) = start()
        {
            attendance.there = true;
            // The one before has left, with the lock in hand that the caller has now.
            *self.thread() = Some(thread);
        }
    }

    /// No thread comes any more; one that is there ends once all is done.
    pub(crate) fn close(&self, attendance: &mut Attendance) {
        attendance.closing = true;
        self.wake.notify_all();
    }

    /// Waits for the thread to end, after [`Shift::close`] and without the lock of the work.
    pub(crate) fn join(&self) {
        let thread = self.thread().take();
        if let Some(thread) = thread
            // The thread that closes may be one of the store's own, in a listener that lets go of it.
            && thread.thread().id() != thread::current().id()
            && thread.join().is_err()
        {
            tracing::error!("a thread of the store panicked");
        }
    }

    /// The thread waits for somebody, at most so long.
    pub(crate) fn wait<'a, T>(&self, work: MutexGuard<'a, T>, limit: Duration) -> MutexGuard<'a, T> {
        self.wake.wait_timeout(work, limit).unwrap_or_else(PoisonError::into_inner).0
    }

    /// The thread waits for work; says whether it has waited long enough to go home if there still is none.
    pub(crate) fn idle<'a, T>(&self, work: MutexGuard<'a, T>) -> (MutexGuard<'a, T>, bool) {
        let (work, waited) = self.wake.wait_timeout(work, LINGER).unwrap_or_else(PoisonError::into_inner);
        (work, waited.timed_out())
    }

    fn thread(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, mpsc};

    const PATIENCE: Duration = Duration::from_secs(60);

    /// Numbers that a thread takes out and tells on.
    struct Desk {
        shift: Shift,
        work: Mutex<Work>,
        came: AtomicUsize,
    }

    #[derive(Default)]
    struct Work {
        attendance: Attendance,
        numbers: Vec<usize>,
    }

    impl Desk {
        fn new() -> (Arc<Self>, mpsc::Receiver<usize>) {
            let desk = Arc::new(Self { shift: Shift::default(), work: Mutex::default(), came: AtomicUsize::new(0) });
            let (tell, told) = mpsc::channel();
            let weak = Arc::downgrade(&desk);
            desk.shift.begin(Box::new(move || {
                let (desk, tell) = (weak.upgrade()?, tell.clone());
                desk.came.fetch_add(1, Ordering::Relaxed);
                Some(thread::spawn(move || desk.run(&tell)))
            }));
            (desk, told)
        }

        fn put(&self, number: usize) {
            let mut work = self.work.lock().unwrap();
            work.numbers.push(number);
            self.shift.call(&mut work.attendance);
        }

        fn run(&self, tell: &mpsc::Sender<usize>) {
            let mut work = self.work.lock().unwrap();
            let mut tired = false;
            loop {
                if let Some(number) = work.numbers.pop() {
                    tell.send(number).unwrap();
                } else if tired || work.attendance.is_closing() {
                    return work.attendance.leave();
                } else {
                    (work, tired) = self.shift.idle(work);
                }
            }
        }

        /// Waits until the thread has gone home.
        fn gone(&self) {
            while self.work.lock().unwrap().attendance.is_there() {
                thread::yield_now();
            }
        }
    }

    #[test]
    fn a_thread_comes_when_there_is_work_and_goes_home_after_a_while() {
        let (desk, told) = Desk::new();
        for number in 0..3 {
            desk.put(number);
            assert_eq!(told.recv_timeout(PATIENCE), Ok(number));
            desk.gone();
        }
        assert_eq!(desk.came.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn nothing_is_overlooked_however_often_it_comes_and_goes() {
        let (desk, told) = Desk::new();
        thread::scope(|scope| {
            for at in 0..4 {
                let desk = &desk;
                scope.spawn(move || {
                    for number in 0..2_000 {
                        desk.put(at * 2_000 + number);
                        if number % 100 == at {
                            desk.gone();
                        }
                    }
                });
            }
        });
        let mut all: Vec<_> = (0..8_000).map(|_| told.recv_timeout(PATIENCE).expect("it was overlooked")).collect();
        all.sort_unstable();
        assert_eq!(all, (0..8_000).collect::<Vec<_>>());
        assert!(desk.came.load(Ordering::Relaxed) > 10);
    }

    #[test]
    fn none_comes_after_the_close_and_one_that_is_there_ends() {
        let (desk, told) = Desk::new();
        desk.put(1);
        desk.shift.close(&mut desk.work.lock().unwrap().attendance);
        desk.shift.join();
        assert_eq!(told.recv_timeout(PATIENCE), Ok(1), "what was there is done first");
        desk.put(2);
        assert!(!desk.work.lock().unwrap().attendance.is_there());
        assert_eq!(desk.came.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_system_without_threads_leaves_it_away() {
        let shift = Shift::default();
        let mut attendance = Attendance::default();
        shift.call(&mut attendance);
        shift.begin(Box::new(|| None));
        shift.call(&mut attendance);
        assert!(!attendance.is_there());
    }
}
