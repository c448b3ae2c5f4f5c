//! What a seed decides before it begins: sizes, settings, and which faults there are.

use crate::rng::Rng;
use std::time::Duration;

/// Faults that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The process dies; what it wrote is still in the page cache.
    ProcessCrash,
    /// The power goes; sectors that were not synced are kept or lost.
    PowerLoss,
    /// Such sectors may be torn, too.
    TornSectors,
    /// A sync fails.
    FailedSync,
    /// A write fails.
    FailedWrite,
    /// Syncs take long.
    SlowSync,
    /// Another owner takes the slots while the old one works on.
    Takeover,
    /// The number of partitions changes at a restart.
    Repartition,
    /// An answer never arrives.
    LostAnswer,
    /// An answer arrives again.
    RepeatedAnswer,
    /// An answer arrives after its worker was given up.
    LateAnswer,
    /// A worker answers with the token of another item.
    WrongToken,
    /// A worker answers what no orchestrator would.
    Garbage,
    /// A worker gives an item back.
    Abandon,
    /// A worker goes away.
    WorkerVanish,
    /// A worker hangs for a while.
    WorkerHang,
    /// A worker forgets a session.
    SessionLost,
    /// A worker returns no tokens.
    Tokenless,
    /// The thread of an episode never comes back.
    WrittenOff,
    /// A message between partitions arrives twice.
    MessageRepeated,
    /// Messages between partitions overtake each other.
    MessageReordered,
    /// A message between partitions is lost.
    MessageLost,
    /// The clock jumps forward.
    ClockForward,
    /// The clock jumps back.
    ClockBack,
    /// What is durable is settled late.
    SettleLate,
    /// The process dies while segments are recycled.
    DiesRecycling,
    /// What is settled is said late.
    SettleLag,
    /// Instances are loaded slowly.
    SlowLoad,
    /// Many requests come at once.
    Flood,
    /// A client gives up waiting.
    ClientCancel,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 30] = [
        Self::ProcessCrash,
        Self::PowerLoss,
        Self::TornSectors,
        Self::FailedSync,
        Self::FailedWrite,
        Self::SlowSync,
        Self::Takeover,
        Self::Repartition,
        Self::LostAnswer,
        Self::RepeatedAnswer,
        Self::LateAnswer,
        Self::WrongToken,
        Self::Garbage,
        Self::Abandon,
        Self::WorkerVanish,
        Self::WorkerHang,
        Self::SessionLost,
        Self::Tokenless,
        Self::WrittenOff,
        Self::MessageRepeated,
        Self::MessageReordered,
        Self::MessageLost,
        Self::ClockForward,
        Self::ClockBack,
        Self::SettleLate,
        Self::DiesRecycling,
        Self::SettleLag,
        Self::SlowLoad,
        Self::Flood,
        Self::ClientCancel,
    ];

    /// The fault of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|fault| format!("{fault:?}") == name)
    }
}

/// What of a seed is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Without {
    /// Faults that do not happen.
    pub faults: Vec<Fault>,
    /// Instances (by their place among the names) that clients do not touch.
    pub names: Vec<usize>,
}

/// Names that clients and orchestrators use.
pub(crate) const NAMES: usize = 12;

/// How a seed is run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) faults: Vec<Fault>,
    pub(crate) names: Vec<usize>,
    pub(crate) steps: u64,
    pub(crate) births: u64,
    pub(crate) partitions: usize,
    pub(crate) resident: usize,
    pub(crate) idle_after: Duration,
    pub(crate) timer_window: Duration,
    pub(crate) history_chunk: usize,
    pub(crate) episode_limit: Duration,
    pub(crate) activity_limit: Option<Duration>,
    pub(crate) hold_after: u32,
    pub(crate) unknown_wait: Duration,
    pub(crate) segment: u64,
}

impl Plan {
    pub(crate) fn of(seed: u64, without: &Without, rng: &mut Rng) -> Self {
        let quiet = rng.percent(10);
        let mut faults: Vec<Fault> =
            Fault::ALL.into_iter().filter(|_| rng.percent(if quiet { 10 } else { 55 })).collect();
        faults.retain(|fault| !without.faults.contains(fault));
        let names = (0..NAMES).filter(|name| !without.names.contains(name)).collect();
        Self {
            faults,
            names,
            steps: 1_500,
            births: 30,
            partitions: if rng.percent(35) { 1 } else { 2 + rng.below(7) },
            resident: if rng.percent(50) { 0 } else { [4, 10_000][seed as usize % 2] },
            idle_after: Duration::from_millis([300, 10_000][seed as usize / 2 % 2]),
            timer_window: Duration::from_secs([2, 60][seed as usize / 4 % 2]),
            history_chunk: [1, 1, 3, 256][seed as usize / 8 % 4],
            episode_limit: Duration::from_secs(*rng.pick(&[5, 30, 300])),
            activity_limit: *rng.pick(&[None, Some(Duration::from_secs(8)), Some(Duration::from_secs(60))]),
            hold_after: [20, 2, 3, 1][seed as usize / 16 % 4],
            unknown_wait: Duration::from_secs(*rng.pick(&[5, 60])),
            segment: *rng.pick(&[1 << 14, 1 << 16]),
        }
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }
}
