//! Bugs that can be switched on, to see that the simulator's checks find them. Without the feature
//! `planted` none of them exists.

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
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 24] = [
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
    ];
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
