//! How often each fault happened and each branch of the model was taken.

use std::collections::BTreeMap;

/// Counters by name. Every name that a run can count is listed, so that one that stays at zero is
/// seen.
#[derive(Clone, Debug, Default)]
pub struct Coverage(pub BTreeMap<&'static str, u64>);

impl Coverage {
    pub(crate) fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    /// Adds what another run counted.
    pub fn add(&mut self, other: &Self) {
        for (name, count) in &other.0 {
            *self.0.entry(name).or_default() += count;
        }
    }
}

/// What every run of a thousand seeds has to have seen.
const EXPECTED: [&str; 93] = [
    "fault: Abandon",
    "fault: ClientCancel",
    "fault: ClockBack",
    "fault: ClockForward",
    "fault: FailedSync",
    "fault: FailedWrite",
    "fault: Flood",
    "fault: Garbage",
    "fault: LateAnswer",
    "fault: LostAnswer",
    "fault: MessageLost",
    "fault: MessageReordered",
    "fault: MessageRepeated",
    "fault: PowerLoss",
    "fault: ProcessCrash",
    "fault: Repartition",
    "fault: RepeatedAnswer",
    "fault: SessionLost",
    "fault: DiesRecycling",
    "fault: SettleLag",
    "fault: SettleLate",
    "fault: SlowLoad",
    "fault: Takeover",
    "fault: Tokenless",
    "fault: TornSectors",
    "fault: WorkerHang",
    "fault: WorkerVanish",
    "fault: WrittenOff",
    "fault: WrongToken",
    "fault: a deposed owner writes",
    "model: a purge of what a list has shown",
    "model: a segment is used again",
    "model: a client asks for a child's id",
    "model: a session is used",
    "model: settled",
    "model: a stale answer",
    "model: a worker asks for the history",
    "model: a worker finds a difference",
    "model: activity's result arrived",
    "model: an answer of an earlier life",
    "model: an answer to a lease that is over",
    "model: an answer without a token finds its item",
    "model: an answer without a token is to nothing",
    "model: a dispatch counts",
    "model: a held activity is failed",
    "model: an item is held",
    "model: an operator fails",
    "model: an operator retries",
    "model: an episode is handed out again",
    "model: an episode is written off",
    "model: an item goes to a worker without tokens",
    "model: an item is handed out again",
    "model: append refused",
    "model: child made that nobody waits for",
    "model: child made",
    "model: child's result arrived",
    "model: completed",
    "model: continued as new",
    "model: ended by the hub",
    "model: episode",
    "model: failed",
    "model: message between slots",
    "model: message taken",
    "model: moved to the next run",
    "model: purged",
    "model: raised event arrived",
    "model: replayed by the real worker's side",
    "model: restarted",
    "model: rewound",
    "model: sent event arrived",
    "model: started",
    "model: suspended",
    "model: task opened",
    "model: terminated",
    "model: termination arrived",
    "model: timer fired",
    "model: waits for another at the end",
    "reply: already exists",
    "reply: attached",
    "reply: done",
    "reply: history",
    "reply: nobody",
    "reply: not found",
    "reply: not purged",
    "reply: page",
    "reply: purged",
    "reply: refused",
    "reply: replaced",
    "reply: reuse policy",
    "reply: started",
    "reply: state",
    "reply: timed out",
    "reply: wrong status",
];

/// What ten thousand seeds have to have seen: what happens in one of a thousand is too rare for less.
const RARE: [&str; 1] = ["model: an answer without a token ends another item"];

impl Coverage {
    /// What was never seen in so many seeds, and should have been.
    pub fn missing(&self, seeds: u64) -> Vec<&'static str> {
        let expected = EXPECTED.into_iter().filter(|_| seeds >= 1_000);
        let rare = RARE.into_iter().filter(|_| seeds >= 10_000);
        expected.chain(rare).filter(|name| !self.0.contains_key(name)).collect()
    }
}
