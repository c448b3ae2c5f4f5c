//! The worker's threads, and which of them an item goes to.

use super::lane::{Job, Lane, Remains};
use super::options::WorkerOptions;
use super::outbox::{Outbox, lock};
use super::sessions::Sessions;
use super::{activities, watch};
use crate::App;
use duramen_core::ids::Run;
#[cfg(feature = "remote")]
use duramen_core::ids::Token;
#[cfg(feature = "remote")]
use duramen_core::work::Filters;
use duramen_core::work::{Announcement, Answer, Work, WorkItem};
use std::collections::HashMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

pub(super) struct Pool {
    app: Arc<App>,
    options: WorkerOptions,
    runtime: Handle,
    pub(super) outbox: Arc<Outbox>,
    crew: Mutex<Crew>,
    pub(super) stopped: watch::Stopped,
}

/// The threads by place. A place is empty when its thread was written off and not replaced.
struct Crew {
    lanes: Vec<Option<Arc<Lane>>>,
    /// The places of those that hold the session of a run, or have items of it.
    places: HashMap<Run, usize>,
    replaced: usize,
}

impl Pool {
    pub(super) fn start(app: Arc<App>, options: WorkerOptions, runtime: Handle) -> Arc<Self> {
        let threads = options.threads.max(1);
        let crew = Crew { lanes: vec![None; threads], places: HashMap::new(), replaced: 0 };
        let pool = Arc::new(Self {
            app,
            options,
            runtime,
            outbox: Arc::default(),
            crew: Mutex::new(crew),
            stopped: watch::Stopped::default(),
        });
        for place in 0..threads {
            let lane = pool.spawn(place);
            lock(&pool.crew).lanes[place] = Some(lane);
        }
        if !pool.options.stuck_after.is_zero() {
            watch::start(&pool, pool.options.stuck_after);
        }
        pool
    }

    fn spawn(self: &Arc<Self>, place: usize) -> Arc<Lane> {
        let lane = Arc::<Lane>::default();
        let default_version = self.options.default_version.as_deref().map(Arc::from);
        let capacity = (self.options.sessions / self.options.threads.max(1)).max(1);
        let (pool, own, app) = (Arc::clone(self), Arc::clone(&lane), Arc::clone(&self.app));
        let spawned = thread::Builder::new().name(format!("duramen-orchestrators-{place}")).spawn(move || {
            let sessions = Sessions::new(app, default_version, capacity, pool.options.run_twice);
            let work = || own.run(sessions, &pool.outbox, &|gone| pool.forget(gone, place));
            // Author code cannot panic as far as here; if we do, the items must not be lost with the thread.
            let died = catch_unwind(AssertUnwindSafe(work)).is_err();
            if died && lock(&pool.crew).lanes[place].as_ref().is_some_and(|lane| Arc::ptr_eq(lane, &own)) {
                pool.write_off(place..place + 1, Duration::ZERO);
            }
        });
        if let Err(error) = spawned {
            // The items of this place are answered once the watch finds nobody; say why.
            tracing::error!(%error, "failed to start a thread for orchestrators");
        }
        lane
    }

    pub(super) fn announcement(&self) -> Announcement {
        Announcement {
            in_process: self.options.in_process,
            sessions: true,
            orchestrators: self.options.orchestrators,
            activities: self.options.activities,
            filters: self.app.filters(),
            name: self.name(),
            ..Announcement::default()
        }
    }

    /// What operators see of the worker.
    fn name(&self) -> Arc<str> {
        format!("duramen-rust/{} process {}", env!("CARGO_PKG_VERSION"), std::process::id()).into()
    }

    #[cfg(feature = "remote")]
    pub(super) fn registered(&self) -> Filters {
        self.app.registered()
    }

    pub(super) fn deliver(&self, items: Vec<WorkItem>) {
        self.outbox.took(items.len());
        if self.outbox.is_draining() {
            let reason = "the worker is shutting down";
            self.outbox.answer(items.iter().map(|item| Answer::Abandoned(item.token, reason.to_string())).collect());
            return;
        }
        let (mut episodes, mut tasks) = (Vec::new(), Vec::new());
        for item in items {
            match item.work {
                Work::Orchestrator(work) => episodes.push(Job::Episode(item.token, Box::new(work))),
                Work::Activity(work) => tasks.push((item.token, work)),
            }
        }
        activities::spawn(&self.app, &self.outbox, &self.runtime, tasks);
        self.route(episodes);
    }

    pub(super) fn end_session(&self, run: Run) {
        let crew = lock(&self.crew);
        let lane = crew.places.get(&run).and_then(|place| crew.lanes[*place].clone());
        drop(crew);
        if let Some(lane) = lane {
            lane.push(vec![Job::EndSession(run)]);
        }
    }

    fn route(&self, episodes: Vec<Job>) {
        if episodes.is_empty() {
            return;
        }
        let mut crew = lock(&self.crew);
        let mut given: Vec<Vec<Job>> = crew.lanes.iter().map(|_| Vec::new()).collect();
        let mut homeless = Vec::new();
        for job in episodes {
            let Job::Episode(token, work) = &job else { continue };
            let run = work.session.run;
            let held = crew.places.get(&run).copied().filter(|place| crew.lanes[*place].is_some());
            let place = held.or_else(|| {
                let present = crew.lanes.iter().enumerate().filter_map(|(place, lane)| Some((place, lane.as_ref()?)));
                present.min_by_key(|(place, lane)| lane.load() + given[*place].len()).map(|(place, _)| place)
            });
            match place {
                Some(place) => {
                    crew.places.insert(run, place);
                    given[place].push(job);
                }
                None => {
                    homeless.push(Answer::Abandoned(*token, "every thread of the worker was written off".to_string()))
                }
            }
        }
        // Under the lock, so that a thread is not written off between the choice and the push.
        for (lane, jobs) in crew.lanes.iter().zip(given) {
            if let (Some(lane), false) = (lane, jobs.is_empty()) {
                lane.push(jobs);
            }
        }
        drop(crew);
        self.outbox.answer(homeless);
    }

    fn forget(&self, gone: &[Run], place: usize) {
        if gone.is_empty() {
            return;
        }
        let mut crew = lock(&self.crew);
        for run in gone {
            if crew.places.get(run) == Some(&place) {
                crew.places.remove(run);
            }
        }
    }

    /// Writes off each thread that has run one episode for longer than that.
    pub(super) fn write_off_stuck(self: &Arc<Self>, longer_than: Duration) {
        self.write_off(0..self.options.threads.max(1), longer_than);
    }

    fn write_off(self: &Arc<Self>, places: Range<usize>, longer_than: Duration) {
        let Some(earliest) = Instant::now().checked_sub(longer_than) else { return };
        let mut crew = lock(&self.crew);
        let mut remains = Vec::new();
        for place in places {
            let Some(left) = crew.lanes[place].as_ref().and_then(|lane| lane.write_off(earliest)) else { continue };
            crew.places.retain(|_, of| *of != place);
            let replace = crew.replaced < self.options.replacements;
            crew.replaced += usize::from(replace);
            crew.lanes[place] = replace.then(|| self.spawn(place));
            report(&left, longer_than, replace);
            remains.push(left);
        }
        drop(crew);
        for mut left in remains {
            left.answers.push(Answer::WrittenOff(left.running.token));
            self.outbox.answer(left.answers);
            self.route(left.queue.into());
        }
    }

    /// Takes no more items and waits until everything is answered or the time is over. Gives the number of unanswered
    /// items.
    pub(super) async fn drain(&self) -> usize {
        self.outbox.drain();
        let drained = tokio::time::timeout(self.options.drain, self.outbox.emptied()).await;
        drained.map_or_else(|_| self.outbox.in_hand(), |()| 0)
    }

    /// Answers an item unseen.
    #[cfg(feature = "remote")]
    pub(super) fn refuse(&self, token: Token, reason: String) {
        self.outbox.took(1);
        self.outbox.answer(vec![Answer::Abandoned(token, reason)]);
    }

    pub(super) fn stop(&self) {
        self.outbox.drain();
        self.outbox.detach();
        self.stopped.set();
        for lane in lock(&self.crew).lanes.iter().flatten() {
            lane.stop();
        }
    }
}

fn report(left: &Remains, longer_than: Duration, replaced: bool) {
    tracing::error!(
        orchestrator = &*left.running.name,
        instance = left.running.instance.as_str(),
        stuck_after = ?longer_than,
        replaced,
        "an orchestrator does not come back from its code: its thread was written off. Orchestrators may not block; do \
         that in an activity",
    );
}
