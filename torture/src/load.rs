//! Clients that keep a hub busy with everything it can do.

use crate::desk::{Desk, Order};
use crate::finish::Finisher;
use crate::functions::Job;
use crate::known::Known;
use crate::rng::Rng;
use duramen_core::request::{OnExisting, Refusal};
use duramen_proto::OrchestrationStatus;
use std::path::PathBuf;
use std::time::Duration;

/// Clients that start instances, and that bring those of earlier lives to their end.
const CLIENTS: u64 = 64;
const CARETAKERS: usize = 6;

/// More than a segment holds.
const LARGE: usize = 1_200_000;

/// The clients of one life.
pub(crate) struct Load {
    pub(crate) desk: Desk,
    pub(crate) gates: PathBuf,
    pub(crate) seed: u64,
    pub(crate) life: u64,
}

impl Load {
    /// Works until something goes wrong, and says what.
    pub(crate) async fn run(self, earlier: Known) -> Refusal {
        let Self { desk, gates, seed, life } = self;
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..CLIENTS {
            let rng = Rng::part(seed, life << 8 | number);
            let client = Client { desk: desk.clone(), gates: gates.clone(), life, number, next: 0, rng };
            tasks.spawn(client.run());
        }
        let unfinished: Vec<_> = earlier.instances.into_iter().filter(|(_, known)| !known.is_done()).collect();
        let queue = std::sync::Arc::new(std::sync::Mutex::new(unfinished));
        for _ in 0..CARETAKERS {
            let (desk, gates, queue) = (desk.clone(), gates.clone(), queue.clone());
            tasks.spawn(async move {
                loop {
                    let next = queue.lock().expect("no holder of this lock panics").pop();
                    let Some((id, known)) = next else { return std::future::pending().await };
                    // Ids that are used again have clients who see to them.
                    if known.starts.is_empty() || id.starts_with("again-") || id.starts_with("over-") {
                        continue;
                    }
                    let finisher = Finisher { desk: &desk, gates: &gates, patience: None };
                    if let Err(refusal) = finisher.finish(&id, &known).await
                        && !matches!(refusal, Refusal::NotFound(_))
                    {
                        return refusal;
                    }
                }
            });
        }
        match tasks.join_next().await {
            Some(Ok(refusal)) => refusal,
            Some(Err(panic)) => Refusal::Stopped(format!("a client panicked: {panic}")),
            None => unreachable!("there are clients"),
        }
    }
}

struct Client {
    desk: Desk,
    gates: PathBuf,
    life: u64,
    number: u64,
    next: u64,
    rng: Rng,
}

impl Client {
    async fn run(mut self) -> Refusal {
        loop {
            let done = match self.rng.below(20) {
                0..9 => self.work().await,
                9..12 => self.events().await,
                12 | 13 => self.terminate().await,
                14 | 15 => self.suspend().await,
                16 => self.again().await,
                17 => self.replace().await,
                18 => self.doomed().await,
                _ => self.attach().await,
            };
            if let Err(refusal) = done {
                return refusal;
            }
            let pause = self.rng.pause(Duration::from_millis(30));
            tokio::time::sleep(pause).await;
        }
    }

    fn job(&mut self, size: u32) -> Job {
        self.next += 1;
        let key = format!("{}-{}-{}", self.life, self.number, self.next);
        let pad = if self.rng.once_in(4) { "x".repeat(self.rng.below(6_000) as usize) } else { String::new() };
        Job { key, size, pad, got: Vec::new() }
    }

    /// An order under an id that is new: one of the client's own, or one as a random one is.
    fn order(&mut self, orchestrator: &'static str, size: u32) -> Order {
        let job = self.job(size);
        let fresh = self.rng.once_in(2);
        let id = if fresh {
            format!("{:016x}{:016x}", self.rng.next(), self.rng.next())
        } else {
            format!("own-{}", job.key)
        };
        let pause = self.rng.once_in(8).then(|| self.rng.pause(Duration::from_millis(100)));
        Order { id, fresh, orchestrator, job, on_existing: OnExisting::Reject, pause }
    }

    /// Starts what ends by itself, waits for it, and now and then purges it.
    async fn work(&mut self) -> Result<(), Refusal> {
        let (orchestrator, largest) =
            [("Chain", 8), ("Chain", 4), ("FanOut", 20), ("Timers", 4), ("Status", 6), ("Retry", 3), ("Parent", 4)]
                [self.rng.below(7) as usize];
        let size = self.rng.below(largest) as u32 + 1;
        let order = self.order(orchestrator, size);
        let (id, key) = (order.id.clone(), order.job.key.clone());
        let birth = self.desk.start(order).await?;
        if self.rng.once_in(20) && !self.desk.is_listed(&id).await? {
            return Err(Refusal::Stopped(format!("the start of {id} was acknowledged, but no list has it")));
        }
        while orchestrator == "Status" && self.rng.once_in(2) {
            self.desk.get(&id).await?;
        }
        self.desk.ended(&id, Some(birth), None).await?;
        if self.rng.once_in(10) {
            self.desk.purge(&id, &key).await?;
        }
        Ok(())
    }

    async fn events(&mut self) -> Result<(), Refusal> {
        let orchestrator = ["Events", "Eternal"][self.rng.below(2) as usize];
        let size = self.rng.below(6) as u32 + 1;
        let mut order = self.order(orchestrator, size);
        if orchestrator == "Events" && self.rng.once_in(100) {
            // No segment has room for this one.
            order.job.pad = "x".repeat(LARGE);
        }
        let (id, events) = (order.id.clone(), order.job.events().collect::<Vec<_>>());
        let birth = self.desk.start(order).await?;
        for event in events {
            self.desk.raise(&id, event).await?;
            if self.rng.once_in(3) {
                self.desk.get(&id).await?;
            }
        }
        self.desk.ended(&id, Some(birth), None).await.map(drop)
    }

    async fn terminate(&mut self) -> Result<(), Refusal> {
        let order = if self.rng.once_in(2) { self.order("Long", 0) } else { self.order("Family", 3) };
        let id = order.id.clone();
        let birth = self.desk.start(order).await?;
        if self.rng.once_in(2) {
            self.desk.started(&id, birth).await?;
        }
        self.desk.terminate(&id, format!("\"end of {id}\"")).await?;
        self.desk.ended(&id, Some(birth), None).await.map(drop)
    }

    /// Suspends what cannot end before its last event has come.
    async fn suspend(&mut self) -> Result<(), Refusal> {
        let size = self.rng.below(4) as u32 + 1;
        let order = self.order("Events", size);
        let (id, mut events) = (order.id.clone(), order.job.events().collect::<Vec<_>>());
        let birth = self.desk.start(order).await?;
        let last = events.pop().expect("there is at least one");
        for event in events {
            self.desk.raise(&id, event).await?;
        }
        self.desk.suspend(&id).await?;
        let state = self.desk.get(&id).await?;
        let status = state.map(|state| state.orchestration_status());
        if status != Some(OrchestrationStatus::Suspended) {
            return Err(Refusal::Stopped(format!("{id} was suspended and is {status:?}")));
        }
        self.desk.raise(&id, last).await?;
        let pause = self.rng.pause(Duration::from_millis(60));
        tokio::time::sleep(pause).await;
        self.desk.resume(&id).await?;
        self.desk.ended(&id, Some(birth), None).await.map(drop)
    }

    /// Uses an id of its own again and again: the next start comes when the last has ended.
    async fn again(&mut self) -> Result<(), Refusal> {
        let id = format!("again-{}", self.number);
        // One of an earlier life may still run.
        match self.desk.ended(&id, None, Some(Duration::from_millis(200))).await {
            Ok(_) | Err(Refusal::NotFound(_) | Refusal::TimedOut(_)) => {}
            Err(refusal) => return Err(refusal),
        }
        let job = self.job(3);
        let on_existing = OnExisting::Reject;
        let order = Order { id: id.clone(), fresh: false, orchestrator: "Chain", job, on_existing, pause: None };
        match self.desk.start(order).await {
            Ok(birth) => self.desk.ended(&id, Some(birth), None).await.map(drop),
            Err(Refusal::AlreadyExists { .. }) => Ok(()),
            Err(refusal) => Err(refusal),
        }
    }

    /// Replaces a live instance, with its children.
    async fn replace(&mut self) -> Result<(), Refusal> {
        let id = format!("over-{}", self.number);
        let all = vec![
            OrchestrationStatus::Running,
            OrchestrationStatus::Pending,
            OrchestrationStatus::Suspended,
            OrchestrationStatus::Completed,
            OrchestrationStatus::Failed,
            OrchestrationStatus::Terminated,
        ];
        let on_existing = OnExisting::Replace(all);
        let (old, new) = (self.job(2), self.job(2));
        let order = |orchestrator, job| Order {
            id: id.clone(),
            fresh: false,
            orchestrator,
            job,
            on_existing: on_existing.clone(),
            pause: None,
        };
        let birth = self.desk.start(order("Family", old)).await?;
        if self.rng.once_in(2) {
            self.desk.started(&id, birth).await?;
        }
        let birth = self.desk.start(order("Chain", new)).await?;
        self.desk.ended(&id, Some(birth), None).await.map(drop)
    }

    async fn doomed(&mut self) -> Result<(), Refusal> {
        let order = self.order("Doomed", 1);
        let id = order.id.clone();
        self.desk.start(order).await?;
        Finisher { desk: &self.desk, gates: &self.gates, patience: None }.rewind(&id).await
    }

    /// What a program does that is killed and run again: the same id and input each time.
    async fn attach(&mut self) -> Result<(), Refusal> {
        let id = format!("pinned-{}", self.number);
        let job = Job { key: id.clone(), size: 5, ..Job::default() };
        let on_existing = OnExisting::AttachAny;
        let order = Order { id: id.clone(), fresh: false, orchestrator: "Chain", job, on_existing, pause: None };
        let birth = self.desk.start(order).await?;
        self.desk.ended(&id, Some(birth), None).await.map(drop)
    }
}
