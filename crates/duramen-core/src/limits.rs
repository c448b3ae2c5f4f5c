//! Every limit, in one place. What a user may change is in [`Settings`]; the rest is part of the
//! design.

use alloc::borrow::Cow;
use core::time::Duration;

/// History events that one episode may take from the inbox.
pub const EPISODE_EVENTS: usize = 1_000;
/// Bytes that one episode may take from the inbox; it takes at least one event whatever its size.
pub const EPISODE_BYTES: usize = 1 << 20;
/// Bytes of actions, history events among them, in one answer of a worker.
pub const ANSWER_BYTES: usize = 32 << 20;
/// Actions in one answer of a worker (`maxOrchestrationActions` of Durable Functions).
pub const ANSWER_ACTIONS: usize = 100_000;
/// Levels of inner failures that are kept; prost decodes 100 levels of messages.
pub const FAILURE_DEPTH: usize = 32;
/// Bytes of deltas after which a turn takes no further input.
pub const TURN_BYTES: usize = 1 << 20;
/// Bytes of checkpoints that may be on their way to disk.
pub const UNSYNCED_BYTES: usize = 16 << 20;
/// Checkpoints that may be on their way to disk.
pub const UNSYNCED_CHECKPOINTS: usize = 1_000;
/// How long a checkpoint may stay open for the outcomes of in-process episodes.
pub const OPEN_TURN: Duration = Duration::from_millis(1);
/// How long the hub waits for a worker to answer a termination before it ends the instance itself.
pub const TERMINATE_PATIENCE: Duration = Duration::from_secs(10);
/// How far the time that an episode shows may be ahead of the wall clock.
pub const EPISODE_TIME_LEAD: Duration = Duration::from_secs(60);
/// The pause before an item that a worker gave back is handed out again. It doubles with each return.
pub const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause before an item that came back is handed out again.
pub const REDELIVERY_PAUSE: Duration = Duration::from_secs(60);
/// Characters that are kept of what a worker calls itself.
pub const WORKER_NAME_CHARS: usize = 256;
/// The most that [`Settings::hold_after`] may be.
pub const MOST_LOSSES: u32 = 1_000;
/// How long an item that may be out elsewhere is kept from a connection that has not shown a token.
pub const UNSHOWN_PAUSE: Duration = Duration::from_secs(2);
/// How often an outbox with unacknowledged messages is sent again.
pub const RESEND_EVERY: Duration = Duration::from_secs(1);
/// Items of a kind on their way to the connection of a worker that takes as many as there are.
pub const SEND_WINDOW: usize = 32;
/// Characters of an instance id (Durable Functions allows 256, the hosted scheduler 100).
pub const INSTANCE_ID_CHARS: usize = 256;
/// Bytes of the name of a function, an event or a tag.
pub const NAME_BYTES: usize = 1_024;
/// Bytes of one payload (input, output, event, custom status).
pub const PAYLOAD_BYTES: usize = 32 << 20;
/// Instances and timers that leave memory in one go.
pub const LEAVE_AT_A_TIME: usize = 1_024;
/// Loads under way beyond which timers that are due wait.
pub const LOADS_UNDER_WAY: usize = 1_024;
/// Generations of parents above a child. A deeper tree is taken for a recursion without end.
pub const CHILD_DEPTH: u32 = 256;

/// What the owner of a hub may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long an orchestrator item may be with a worker before it goes to another.
    pub episode_limit: Duration,
    /// The same for an activity; `None` means for ever.
    pub activity_limit: Option<Duration>,
    /// Dispatches that count against an item before it is held; 1 to [`MOST_LOSSES`].
    pub hold_after: u32,
    /// Whether an item that is too large for every connected worker fails its instance instead of waiting for
    /// another worker.
    pub fail_oversized: bool,
    /// How long a wait for an instance that does not exist is held.
    pub unknown_wait: Duration,
    /// How long an instance that is settled stays in memory after it was last touched.
    pub idle_after: Duration,
    /// How many instances may be in memory: of more, those that are settled and not under way leave
    /// at once, the one that was touched first before the others. With 0 every instance leaves as
    /// soon as it may, which makes loading as frequent as it can be.
    pub resident: usize,
    /// How far ahead timers are in memory; at least a millisecond.
    pub timer_window: Duration,
    /// History events that are kept in memory, of those that are settled, while a worker holds an
    /// instance's session: beyond twice as many the oldest leave. At least 1.
    pub history_chunk: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            episode_limit: Duration::from_secs(300),
            activity_limit: None,
            hold_after: 20,
            fail_oversized: false,
            unknown_wait: Duration::from_secs(60),
            idle_after: Duration::from_secs(10),
            resident: 10_000,
            timer_window: Duration::from_secs(60),
            history_chunk: 256,
        }
    }
}

/// Why something that a caller sent may not be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadInput {
    /// The id is empty, too long, begins with `@` or holds a character that it may not.
    #[error(
        "instance id {id:?} {problem}; use 1 to 256 characters without `/ \\ # ?` and control characters, not beginning with `@`"
    )]
    InstanceId {
        /// The id, cut to 64 characters.
        id: alloc::string::String,
        /// What is wrong with it.
        problem: Cow<'static, str>,
    },
    /// It has the form of those that the hub makes itself.
    #[error("the {what} {id:?} has the form of those that this hub makes itself; use another, or leave it to the hub")]
    Reserved {
        /// Which id.
        what: Cow<'static, str>,
        /// The id.
        id: alloc::string::String,
    },
    /// The name of a function or event is empty or too long.
    #[error("the name of the {what} {problem}; use 1 to {NAME_BYTES} bytes")]
    Name {
        /// What the name is of.
        what: Cow<'static, str>,
        /// What is wrong with it.
        problem: Cow<'static, str>,
    },
    /// A payload is larger than [`PAYLOAD_BYTES`].
    #[error(
        "the {what} has {bytes} bytes, more than the {PAYLOAD_BYTES} allowed; store it elsewhere and pass a reference"
    )]
    Payload {
        /// Which payload.
        what: Cow<'static, str>,
        /// Its size.
        bytes: usize,
    },
}

/// Checks an id that a client or an orchestrator chose for an instance (Durable Functions' rule).
pub fn check_instance_id(id: &str) -> Result<(), BadInput> {
    let problem = if id.is_empty() {
        "is empty"
    } else if id.starts_with('@') {
        "begins with `@`, as only those of entities do"
    } else if id.chars().count() > INSTANCE_ID_CHARS {
        "is too long"
    } else if id.contains(['/', '\\', '#', '?']) {
        "holds one of `/ \\ # ?`"
    } else if id.chars().any(char::is_control) {
        "holds a control character"
    } else {
        return Ok(());
    };
    Err(BadInput::InstanceId { id: id.chars().take(64).collect(), problem: problem.into() })
}

/// Checks the name of a function or event.
pub fn check_name(what: &'static str, name: &str) -> Result<(), BadInput> {
    match name.len() {
        0 => Err(BadInput::Name { what: what.into(), problem: "is empty".into() }),
        1..=NAME_BYTES => Ok(()),
        _ => Err(BadInput::Name { what: what.into(), problem: "is too long".into() }),
    }
}

/// Checks the size of a payload.
pub fn check_payload(what: &'static str, payload: Option<&str>) -> Result<(), BadInput> {
    let bytes = payload.map_or(0, str::len);
    if bytes > PAYLOAD_BYTES { Err(BadInput::Payload { what: what.into(), bytes }) } else { Ok(()) }
}
