//! A thread that runs orchestrators, and its queue.

use super::outbox::{Outbox, lock};
use super::sessions::Sessions;
use duramen_core::ids::{InstanceId, Run, Token};
use duramen_core::work::{Answer, OrchestratorWork};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Answers that leave together at most.
const BATCH: usize = 64;

pub(super) enum Job {
    Episode(Token, Box<OrchestratorWork>),
    EndSession(Run),
}

/// What the outside sees of the thread.
#[derive(Default)]
pub(super) struct Lane {
    state: Mutex<State>,
    ready: Condvar,
    load: AtomicUsize,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    running: Option<Running>,
    /// Answers and ended sessions that wait for the end of the batch. They are here and not with the
    /// thread, so that they are not lost when it never comes back.
    answers: Vec<Answer>,
    gone: Vec<Run>,
    /// The thread sleeps, so that it has to be woken; waking one that does not is a system call for nothing.
    sleeps: bool,
    written_off: bool,
    stopped: bool,
}

/// What a thread does right now.
#[derive(Clone)]
pub(super) struct Running {
    pub(super) token: Token,
    pub(super) instance: InstanceId,
    pub(super) name: Arc<str>,
    since: Instant,
}

/// What a thread that was written off leaves behind.
pub(super) struct Remains {
    pub(super) running: Running,
    pub(super) queue: VecDeque<Job>,
    pub(super) answers: Vec<Answer>,
}

impl Lane {
    /// How many items it has.
    pub(super) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    pub(super) fn push(&self, jobs: Vec<Job>) {
        self.load.fetch_add(jobs.len(), Ordering::Relaxed);
        let mut state = lock(&self.state);
        state.queue.extend(jobs);
        self.wake(state);
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let sleeps = std::mem::take(&mut state.sleeps);
        drop(state);
        if sleeps {
            self.ready.notify_one();
        }
    }

    /// Has the thread end when its queue is empty.
    pub(super) fn stop(&self) {
        let mut state = lock(&self.state);
        state.stopped = true;
        self.wake(state);
    }

    /// Takes everything from the thread if it has run one item since before `earliest`.
    pub(super) fn write_off(&self, earliest: Instant) -> Option<Remains> {
        let mut state = lock(&self.state);
        let running = state.running.take_if(|running| running.since < earliest)?;
        state.written_off = true;
        Some(Remains { running, queue: std::mem::take(&mut state.queue), answers: std::mem::take(&mut state.answers) })
    }

    /// The thread's life.
    pub(super) fn run(&self, mut sessions: Sessions, outbox: &Outbox, forget: &dyn Fn(&[Run])) {
        let mut state = lock(&self.state);
        loop {
            let batch_is_full = state.answers.len() >= BATCH || state.queue.is_empty();
            if batch_is_full && !(state.answers.is_empty() && state.gone.is_empty()) {
                let (answers, gone) = (std::mem::take(&mut state.answers), std::mem::take(&mut state.gone));
                drop(state);
                forget(&gone);
                outbox.answer(answers);
                state = lock(&self.state);
                continue;
            }
            let Some(job) = state.queue.pop_front() else {
                if state.stopped {
                    return;
                }
                state.sleeps = true;
                state = self.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            self.load.fetch_sub(1, Ordering::Relaxed);
            let (token, work) = match job {
                Job::Episode(token, work) => (token, work),
                Job::EndSession(run) => {
                    drop(state);
                    sessions.end(run);
                    state = lock(&self.state);
                    state.gone.append(&mut sessions.gone);
                    continue;
                }
            };
            state.running = Some(Running {
                token,
                instance: work.instance.clone(),
                name: Arc::clone(&work.name),
                since: Instant::now(),
            });
            drop(state);
            let answer = sessions.run(token, *work);
            state = lock(&self.state);
            if state.written_off {
                return;
            }
            state.running = None;
            state.answers.push(answer);
            state.gone.append(&mut sessions.gone);
        }
    }
}
