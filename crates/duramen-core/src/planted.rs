//! Bugs that can be switched on, to see that the simulator's checks find them. Without the feature
//! `planted` none of them exists.
//!
//! Where one is, a line of `planted!` says what it does; where that is a value, a function of this
//! module has its name.

use crate::ids::{Birth, Epoch, Position, Slot};
use crate::time::Time;
use core::time::Duration;

/// `planted!(Bug => what it does)`: does it while the bug is switched on.
macro_rules! planted {
    ($bug:ident => $($does:tt)+) => {
        if $crate::planted::has($crate::planted::Bug::$bug) { $($does)+; }
    };
}
pub(crate) use planted;

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Bug {
    /// An effect is released before its checkpoint is durable.
    EffectBeforeDurable = 1,
    /// A completion under an old token is accepted.
    OldToken,
    /// Inbox entries are dropped at ContinueAsNew.
    InboxDroppedAtContinueAsNew,
    /// A message that comes twice is applied twice.
    DuplicateMessage,
    /// Messages are numbered by partition instead of by slot.
    SequencePerPartition,
    /// A session is used after recovery.
    SessionAfterRecovery,
    /// A timer that is due late is not taken up.
    TimerLost,
    /// A purge leaves tasks behind.
    PurgeLeavesTask,
    /// An activity of a replaced instance answers the new one.
    ReplacedActivityAnswers,
    /// A reply shows what is not durable.
    ReplyNotDurable,
    /// A checkpoint is applied twice at recovery.
    AppliedTwice,
    /// An append of a deposed owner is accepted.
    DeposedAppend,
    /// A parent is not told of a termination.
    ParentNotTold,
    /// Events for a suspended instance are lost.
    SuspendedEventsLost,
    /// The time of episodes goes back with the clock.
    EpisodeTimeBack,
    /// A session survives a lost lease.
    SessionSurvivesLease,
    /// A session survives a rewind.
    SessionSurvivesRewind,
    /// Two slots of a pair come together, and a message overtakes what waits.
    MessageOvertakes,
    /// An unsynced tail is believed at opening and not made durable.
    UnsyncedTailBelieved,
    /// A message is acknowledged before it is durable.
    AcknowledgedEarly,
    /// An item that is handed out again takes other events.
    EpisodeNotFixed,
    /// A refused grant keeps the worker's credit.
    CreditLost,
    /// A replacement leaves those who wait for just the replaced one.
    WaitersLeft,
    /// A timer fires early.
    TimerEarly,
    /// A connection that has shown no token gets two items that it cannot tell apart.
    BookingIgnored,
    /// What may be out elsewhere goes at once to a connection that has shown no token.
    PauseIgnored,
    /// The child of an action whose id was used before is taken for new.
    ChildTakenForNew,
    /// An episode that never came back is handed out again.
    WrittenOffAgain,
    /// A second worker's answer is taken while the first is at it.
    SecondAnswer,
    /// The tables say that they hold one batch more than they do.
    PositionAhead,
    /// A segment is used again as soon as another follows it.
    SegmentStillNeeded,
    /// An instance leaves memory when it is durable, and not yet settled.
    LeavesUnsettled,
    /// A far timer leaves memory when it is durable, and not yet settled.
    TimerNowhere,
    /// What is appended to a history is folded twice.
    FoldedTwice,
    /// What a list has shown of an instance is taken for what it is.
    RowBelieved,
    /// A dispatch that counts against an episode is not written.
    CountNotWritten,
    /// An item that is held is given out.
    HeldGivenOut,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 37] = [
        Self::EffectBeforeDurable,
        Self::OldToken,
        Self::InboxDroppedAtContinueAsNew,
        Self::DuplicateMessage,
        Self::SequencePerPartition,
        Self::SessionAfterRecovery,
        Self::TimerLost,
        Self::PurgeLeavesTask,
        Self::ReplacedActivityAnswers,
        Self::ReplyNotDurable,
        Self::AppliedTwice,
        Self::DeposedAppend,
        Self::ParentNotTold,
        Self::SuspendedEventsLost,
        Self::EpisodeTimeBack,
        Self::SessionSurvivesLease,
        Self::SessionSurvivesRewind,
        Self::MessageOvertakes,
        Self::UnsyncedTailBelieved,
        Self::AcknowledgedEarly,
        Self::EpisodeNotFixed,
        Self::CreditLost,
        Self::WaitersLeft,
        Self::TimerEarly,
        Self::BookingIgnored,
        Self::PauseIgnored,
        Self::ChildTakenForNew,
        Self::WrittenOffAgain,
        Self::SecondAnswer,
        Self::PositionAhead,
        Self::SegmentStillNeeded,
        Self::LeavesUnsettled,
        Self::TimerNowhere,
        Self::FoldedTwice,
        Self::RowBelieved,
        Self::CountNotWritten,
        Self::HeldGivenOut,
    ];
}

/// How long before it is due a timer fires.
pub(crate) fn early() -> Duration {
    if has(Bug::TimerEarly) { Duration::from_secs(1) } else { Duration::ZERO }
}

/// Whether a timer that is still outstanding is forgotten.
pub(crate) fn loses_timer(due: Time, now: Time) -> bool {
    has(Bug::TimerLost) && due.since(now) > Duration::from_secs(10)
}

/// The instance that the result of an activity goes to, if its id has begun anew.
pub(crate) fn answered(birth: Birth, anew: impl FnOnce() -> Option<Birth>) -> Birth {
    if has(Bug::ReplacedActivityAnswers) { anew().unwrap_or(birth) } else { birth }
}

/// The lease that a session names.
pub(crate) fn session_epoch(epoch: Epoch) -> Epoch {
    if has(Bug::SessionSurvivesLease) { Epoch(1) } else { epoch }
}

/// The position that the tables say they stand for.
pub fn stands_for(position: Position) -> Position {
    if has(Bug::PositionAhead) { Position(position.0 + 1) } else { position }
}

/// The last checkpoint whose instances may leave memory.
pub(crate) fn rested(settled: u64, committed: u64) -> u64 {
    if has(Bug::LeavesUnsettled) { committed } else { settled }
}

/// The pair under which a message is numbered.
pub(crate) fn numbered_as(pair: (Slot, Slot)) -> (Slot, Slot) {
    if has(Bug::SequencePerPartition) { (Slot(0), pair.1) } else { pair }
}

#[cfg(feature = "planted")]
static CHOSEN: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(0);

/// Switches a bug on for the whole process, or all off.
#[cfg(feature = "planted")]
pub fn plant(bug: Option<Bug>) {
    CHOSEN.store(bug.map_or(0, |bug| bug as u32), core::sync::atomic::Ordering::Relaxed);
}

/// Whether a bug is switched on.
#[cfg(feature = "planted")]
pub fn has(bug: Bug) -> bool {
    CHOSEN.load(core::sync::atomic::Ordering::Relaxed) == bug as u32
}

/// Whether a bug is switched on: never.
#[cfg(not(feature = "planted"))]
pub const fn has(_: Bug) -> bool {
    false
}
