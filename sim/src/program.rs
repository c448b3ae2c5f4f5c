//! Random orchestrators: a program is all that its input says.

use crate::plan::NAMES;
use crate::rng::Rng;

/// The input of an instance: a mark that no other start has, the seed of the program, how deep its
/// children may go, and the generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) mark: String,
    pub(crate) seed: u64,
    pub(crate) depth: u64,
    pub(crate) generation: u64,
}

impl Input {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let mark = parts.next()?.to_owned();
        let mut number = || parts.next()?.parse().ok();
        Some(Self { mark, seed: number()?, depth: number()?, generation: number()? })
    }

    /// Whether a retry has the id of the first try, as in Python, or one of its own, as in JavaScript.
    pub(crate) fn repeats_ids(&self) -> bool {
        self.seed.is_multiple_of(2)
    }

    /// The seed of a child, which does with ids as its parent does.
    pub(crate) fn child_seed(&self, action: u64) -> u64 {
        self.seed.wrapping_mul(62).wrapping_add(action * 2) | (self.seed & 1)
    }

    pub(crate) fn text(&self) -> String {
        format!("{}/{}/{}/{}", self.mark, self.seed, self.depth, self.generation)
    }
}

/// How a child gets its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChildId {
    /// By the hub.
    Hub,
    /// One of the names that clients use too.
    Name(usize),
    /// From the parent's id and the action, as Python does.
    Derived,
}

/// One step of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Runs activities and waits for all of them.
    Activities {
        count: usize,
        attempts: u32,
        tolerate: bool,
    },
    /// Waits for a time.
    Timer {
        ms: u64,
    },
    /// Waits for an event, for a time or for ever.
    Event {
        name: usize,
        timeout_ms: Option<u64>,
    },
    /// Runs another orchestrator.
    Child {
        id: ChildId,
        forget: bool,
        tolerate: bool,
    },
    /// Sends an event.
    Send {
        to: usize,
        name: usize,
    },
    /// Sends an event to itself.
    SendSelf {
        name: usize,
    },
    /// Sets the custom status.
    Status(String),
    /// Terminates another instance.
    Terminate {
        to: usize,
        recurse: bool,
    },
    /// Begins something and does not wait for it.
    LeaveActivity,
    LeaveTimer {
        ms: u64,
    },
    /// Goes on as a new generation.
    Again {
        carry: bool,
    },
    /// Fails.
    Fail,
}

/// The name of an instance that clients know.
pub(crate) fn name_of(index: usize) -> String {
    format!("order-{index}")
}

pub(crate) fn event_name(index: usize) -> String {
    format!("Event{index}")
}

/// The steps of a program.
pub(crate) fn steps(input: &Input) -> Vec<Step> {
    let mut rng = Rng::new(input.seed.wrapping_add(input.generation.wrapping_mul(0x51_7cc1)));
    let mut steps = Vec::new();
    for _ in 0..rng.below(6) {
        steps.push(match rng.below(100) {
            0..30 => Step::Activities {
                count: if rng.percent(70) { 1 } else { 2 + rng.below(5) },
                attempts: 1 + rng.below(3) as u32,
                tolerate: rng.percent(40),
            },
            30..42 => Step::Timer { ms: *rng.pick(&[0, 1, 20, 1_000, 30_000, 600_000]) },
            42..58 => {
                Step::Event { name: rng.below(3), timeout_ms: rng.percent(60).then(|| *rng.pick(&[5, 2_000, 90_000])) }
            }
            58..72 if input.depth > 0 => Step::Child {
                id: match rng.below(3) {
                    0 => ChildId::Hub,
                    1 => ChildId::Name(rng.below(NAMES)),
                    _ => ChildId::Derived,
                },
                forget: rng.percent(15),
                tolerate: rng.percent(50),
            },
            72..80 => Step::Send { to: rng.below(NAMES), name: rng.below(3) },
            80..83 => Step::SendSelf { name: rng.below(3) },
            83..89 => Step::Status(if rng.percent(20) { String::new() } else { format!("at {}", rng.below(100)) }),
            89..91 => Step::Terminate { to: rng.below(NAMES), recurse: rng.percent(50) },
            91..93 => Step::LeaveActivity,
            93..95 => Step::LeaveTimer { ms: *rng.pick(&[1, 5_000]) },
            95..97 => Step::Fail,
            _ => Step::Activities { count: 1, attempts: 1, tolerate: false },
        });
    }
    if input.generation < 3 && rng.percent(25) {
        if rng.percent(20) {
            steps.push(Step::LeaveActivity);
        }
        steps.push(Step::Again { carry: rng.percent(70) });
    }
    steps
}
