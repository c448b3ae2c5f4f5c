//! What a partition asks a backend to write, and what it gets back when it loads.
//!
//! A [`Checkpoint`] is a numbered list of [`Change`]s that lands whole or not at all (invariant 2).
//! A backend folds changes into rows without knowing what a history event means: whatever it has to
//! look up, order or show stands in a field here. Payloads are in a checkpoint once: a later change
//! points to the inbox entry or the history event that holds them ([`Part`], [`Text`]).
//!
//! The messages are protobuf, so that a new field is skipped by an old reader and absent for a new
//! one. Numbers of fields are never used again.

use crate::ids::InstanceId;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use duramen_proto::Timestamp;

/// Everything that one turn of a partition changed.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Checkpoint {
    /// Counts the checkpoints of one epoch of one partition, from 1.
    #[prost(uint64, tag = "1")]
    pub number: u64,
    /// In the order in which they happened.
    #[prost(message, repeated, tag = "2")]
    pub deltas: Vec<Delta>,
}

/// One change, wrapped as protobuf wants it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Delta {
    /// What changed; `None` only in data of a newer version, which a reader refuses.
    #[prost(oneof = "Change", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15")]
    pub change: Option<Change>,
}

/// What a checkpoint can change.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Change {
    /// Inserts an instance, or gives the one of this birth a new fixed part (ContinueAsNew, rewind).
    #[prost(message, boxed, tag = "1")]
    Head(Box<Head>),
    /// Replaces the moving part of an instance.
    #[prost(message, boxed, tag = "2")]
    Tail(Box<Tail>),
    /// Replaces the custom status of an instance.
    #[prost(message, tag = "3")]
    CustomStatus(CustomStatus),
    /// Puts an event into the inbox of a run.
    #[prost(message, tag = "4")]
    Arrived(Arrived),
    /// Takes events out of the inbox of a run.
    #[prost(message, tag = "5")]
    Taken(Taken),
    /// Appends to the history of a run.
    #[prost(message, tag = "6")]
    History(HistoryParts),
    /// Drops history, inbox and timers of a run. Its tasks stay.
    #[prost(message, tag = "7")]
    RunClosed(RunClosed),
    /// Opens a task, or replaces what is known of it.
    #[prost(message, tag = "8")]
    Task(Task),
    /// Closes a task.
    #[prost(message, tag = "9")]
    TaskClosed(TaskKey),
    /// Opens a timer.
    #[prost(message, tag = "10")]
    Timer(Timer),
    /// Closes a timer.
    #[prost(message, tag = "11")]
    TimerClosed(TimerKey),
    /// Removes an instance and all that it has: every run, task and timer of this birth.
    #[prost(message, tag = "12")]
    Purged(Purged),
    /// Puts a message into the outbox of a pair of slots.
    #[prost(message, tag = "13")]
    Sent(Sent),
    /// Drops the messages of a pair up to and with this sequence from its outbox.
    #[prost(message, tag = "14")]
    Acknowledged(PairMark),
    /// The highest sequence that the target slot has taken from the source slot.
    #[prost(message, tag = "15")]
    Received(PairMark),
}

/// The part of an instance that stands still within one execution.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Head {
    /// Names the instance's row.
    #[prost(uint64, tag = "1")]
    pub birth: u64,
    /// The current run.
    #[prost(uint64, tag = "2")]
    pub run: u64,
    /// The instance id; unique among the rows that exist.
    #[prost(string, tag = "3")]
    pub id: String,
    /// The current execution.
    #[prost(string, tag = "4")]
    pub execution_id: String,
    /// The orchestrator's name.
    #[prost(string, tag = "5")]
    pub name: String,
    /// Its version, as given.
    #[prost(string, optional, tag = "6")]
    pub version: Option<String>,
    /// Who waits for the result.
    #[prost(message, optional, tag = "7")]
    pub parent: Option<Parent>,
    /// As given by the client, with those of the parent below them.
    #[prost(btree_map = "string, string", tag = "8")]
    pub tags: BTreeMap<String, String>,
    /// When the instance was made.
    #[prost(message, optional, tag = "9")]
    pub created: Option<Timestamp>,
    /// When it is to begin, if a client said so.
    #[prost(message, optional, tag = "10")]
    pub scheduled: Option<Timestamp>,
    /// The input of this execution. An inbox entry that it points to may arrive later in the same
    /// checkpoint.
    #[prost(message, optional, tag = "11")]
    pub input: Option<Text>,
    /// Every rewind so far.
    #[prost(message, repeated, tag = "12")]
    pub rewinds: Vec<Rewind>,
    /// Generations of parents above it.
    #[prost(uint32, tag = "13")]
    pub depth: u32,
    /// Whether this head begins its run: nothing of the run has been written before.
    #[prost(bool, tag = "14")]
    pub begins_run: bool,
}

/// The link from a child to its parent.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Parent {
    /// The parent's instance id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The parent's run that asked; a result for another run is dropped.
    #[prost(uint64, tag = "2")]
    pub run: u64,
    /// The event id of SubOrchestrationInstanceCreated in that run.
    #[prost(int32, tag = "3")]
    pub task_scheduled_id: i32,
}

/// One rewind of an instance.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Rewind {
    /// When it was accepted.
    #[prost(message, optional, tag = "1")]
    pub at: Option<Timestamp>,
    /// The reason that was given.
    #[prost(string, optional, tag = "2")]
    pub reason: Option<String>,
    /// The execution id until then.
    #[prost(string, tag = "3")]
    pub before: String,
}

/// The part of an instance that moves with its work.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Tail {
    /// Names the instance's row.
    #[prost(uint64, tag = "1")]
    pub birth: u64,
    /// The protocol's OrchestrationStatus.
    #[prost(int32, tag = "2")]
    pub status: i32,
    /// When something last happened to it.
    #[prost(message, optional, tag = "3")]
    pub updated: Option<Timestamp>,
    /// When it ended.
    #[prost(message, optional, tag = "4")]
    pub completed: Option<Timestamp>,
    /// The output, once it has ended.
    #[prost(message, optional, tag = "5")]
    pub output: Option<Text>,
    /// The sequence that the next inbox entry of the run gets.
    #[prost(uint64, tag = "6")]
    pub next_arrival: u64,
    /// Events in the history of the run.
    #[prost(uint64, tag = "7")]
    pub history_events: u64,
    /// The number that the next task gets; never repeats within a birth.
    #[prost(uint64, tag = "8")]
    pub next_task: u64,
    /// The number that the next timer gets; never repeats within a birth.
    #[prost(uint64, tag = "9")]
    pub next_timer: u64,
    /// The time that the last answered episode showed.
    #[prost(message, optional, tag = "10")]
    pub episode_time: Option<Timestamp>,
    /// Episodes answered in this run.
    #[prost(uint64, tag = "11")]
    pub episodes: u64,
    /// Whether its children are to be terminated with it.
    #[prost(bool, tag = "12")]
    pub terminate_children: bool,
    /// The protocol's OrchestrationTraceContext as the worker last returned it, encoded.
    #[prost(bytes = "bytes", tag = "13")]
    pub trace: Bytes,
    /// Whether the instance is suspended (its status says so too, until it ends).
    #[prost(bool, tag = "14")]
    pub suspended: bool,
    /// Whether any episode of any generation has been answered; PENDING ends with it.
    #[prost(bool, tag = "15")]
    pub begun: bool,
    /// Whether its parent has had its result: one that a client rewinds says it no second time,
    /// unless the parent was rewound too.
    #[prost(bool, tag = "16")]
    pub parent_told: bool,
    /// Whether its inbox holds a termination: whoever opens the store has to see to it.
    #[prost(bool, tag = "17")]
    pub terminating: bool,
    /// Dispatches that count against its next episode, if there are any.
    #[prost(message, optional, tag = "18")]
    pub losses: Option<Losses>,
}

/// The dispatches that count against an item since an answer to it, or an operator, last cleared them.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Losses {
    /// Oldest first.
    #[prost(message, repeated, tag = "1")]
    pub all: Vec<Loss>,
    /// Since when the item is held: nobody is given it until an operator has decided.
    #[prost(message, optional, tag = "2")]
    pub held: Option<Timestamp>,
}

impl Losses {
    /// These, if the item is held because of them.
    pub fn of_held(losses: Option<&Self>) -> Option<Box<Self>> {
        losses.filter(|losses| losses.held.is_some()).cloned().map(Box::new)
    }
}

/// A dispatch that counts against its item.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Loss {
    /// What the worker calls itself; empty when it said nothing.
    #[prost(string, tag = "1")]
    pub worker: String,
    /// When the worker was given the item.
    #[prost(message, optional, tag = "2")]
    pub given: Option<Timestamp>,
    /// When it was taken back.
    #[prost(message, optional, tag = "3")]
    pub lost: Option<Timestamp>,
    /// Why.
    #[prost(enumeration = "LossCause", tag = "4")]
    pub cause: i32,
}

/// Why a dispatch counts against its item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum LossCause {
    /// Data of a newer version.
    Unknown = 0,
    /// The worker's connection was lost.
    Disconnected = 1,
    /// The worker's thread never came back.
    WrittenOff = 2,
    /// The worker took longer than the hub's limit.
    Overdue = 3,
}

/// A custom status and the generation that set it.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CustomStatus {
    /// Names the instance's row.
    #[prost(uint64, tag = "1")]
    pub birth: u64,
    /// The value, as given; absent when there is none.
    #[prost(string, optional, tag = "2")]
    pub value: Option<String>,
    /// The run that set it.
    #[prost(uint64, tag = "3")]
    pub set_by: u64,
}

/// Text inside an event that is stored elsewhere.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Text {
    /// Where the event is.
    #[prost(message, optional, tag = "1")]
    pub part: Option<Part>,
    /// First byte of the text within the encoded event.
    #[prost(uint32, tag = "2")]
    pub start: u32,
    /// Bytes of the text.
    #[prost(uint32, tag = "3")]
    pub length: u32,
    /// The run that the part belongs to.
    #[prost(uint64, tag = "4")]
    pub run: u64,
}

/// An encoded history event, or where it already is.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Part {
    /// The place; always set.
    #[prost(oneof = "Place", tags = "1, 2, 3")]
    pub place: Option<Place>,
}

/// Where an encoded history event is.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Place {
    /// Here.
    #[prost(bytes = "bytes", tag = "1")]
    Here(Bytes),
    /// In the inbox of the same run, under this sequence, at the time of this change.
    #[prost(uint64, tag = "2")]
    Inbox(u64),
    /// In the history of the same run, at this index, at the time of this change.
    #[prost(uint64, tag = "3")]
    History(u64),
}

impl From<Place> for Part {
    fn from(place: Place) -> Self {
        Self { place: Some(place) }
    }
}

/// An event in the inbox of a run.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Arrived {
    /// The run.
    #[prost(uint64, tag = "1")]
    pub run: u64,
    /// Its place; larger than that of every entry that the run ever had.
    #[prost(uint64, tag = "2")]
    pub sequence: u64,
    /// The encoded history event.
    #[prost(bytes = "bytes", tag = "3")]
    pub event: Bytes,
    /// The instance's row.
    #[prost(uint64, tag = "4")]
    pub birth: u64,
}

/// Events that left the inbox of a run.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Taken {
    /// The run.
    #[prost(uint64, tag = "1")]
    pub run: u64,
    /// Their sequences.
    #[prost(uint64, repeated, tag = "2")]
    pub sequences: Vec<u64>,
}

/// Events for the end of a run's history.
#[derive(Clone, PartialEq, prost::Message)]
pub struct HistoryParts {
    /// The run.
    #[prost(uint64, tag = "1")]
    pub run: u64,
    /// In order.
    #[prost(message, repeated, tag = "2")]
    pub parts: Vec<Part>,
    /// Whether the history that was there goes first (rewind). Parts that point into the history
    /// mean the one that was there.
    #[prost(bool, tag = "3")]
    pub replace: bool,
    /// The index that the first part gets in the history; 0 when it replaces.
    #[prost(uint64, tag = "4")]
    pub first: u64,
}

/// A run whose history, inbox and timers go. Tasks that it leaves behind have been written again
/// before, with their events [`Place::Here`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct RunClosed {
    /// The run.
    #[prost(uint64, tag = "1")]
    pub run: u64,
}

/// Names a task.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Message)]
pub struct TaskKey {
    /// The instance's row.
    #[prost(uint64, tag = "1")]
    pub birth: u64,
    /// The task's number in it.
    #[prost(uint64, tag = "2")]
    pub number: u64,
}

/// An activity that is to be run.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Task {
    /// Its name.
    #[prost(message, optional, tag = "1")]
    pub key: Option<TaskKey>,
    /// The run that asked for it.
    #[prost(uint64, tag = "2")]
    pub run: u64,
    /// The execution that asked for it.
    #[prost(string, tag = "3")]
    pub execution_id: String,
    /// The encoded TaskScheduled: in the history of its run, or here. A task that is loaded has it
    /// here. Absent in a task that is written again, it stays what it was.
    #[prost(message, optional, tag = "4")]
    pub event: Option<Part>,
    /// The orchestration's version: an activity without one runs as that.
    #[prost(string, optional, tag = "6")]
    pub version: Option<String>,
    /// The function that is to run.
    #[prost(string, tag = "7")]
    pub name: String,
    /// The version that it runs as: its own, or the orchestration's.
    #[prost(string, optional, tag = "8")]
    pub runs_as: Option<String>,
    /// Whether the task is open already and is written again. Not kept in its row.
    #[prost(bool, tag = "9")]
    pub again: bool,
    /// The event id of its TaskScheduled.
    #[prost(sint32, tag = "10")]
    pub action: i32,
    /// Dispatches that count against it, if there are any.
    #[prost(message, optional, tag = "11")]
    pub losses: Option<Losses>,
}

/// Names a timer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Message)]
pub struct TimerKey {
    /// The run.
    #[prost(uint64, tag = "1")]
    pub run: u64,
    /// The timer's number in its instance.
    #[prost(uint64, tag = "2")]
    pub number: u64,
}

/// Something that is to happen to an instance at a time.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Timer {
    /// Its name.
    #[prost(message, optional, tag = "1")]
    pub key: Option<TimerKey>,
    /// The instance's row.
    #[prost(uint64, tag = "2")]
    pub birth: u64,
    /// When.
    #[prost(message, optional, tag = "3")]
    pub due: Option<Timestamp>,
    /// The event id of its TimerCreated; absent for the timer of a scheduled start.
    #[prost(int32, optional, tag = "4")]
    pub event_id: Option<i32>,
}

/// An instance that goes.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Purged {
    /// Its row.
    #[prost(uint64, tag = "1")]
    pub birth: u64,
    /// Its current run.
    #[prost(uint64, tag = "2")]
    pub run: u64,
}

/// A message from an instance of one slot to one of another.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Sent {
    /// The sender's slot, the target's, and the place among the messages of this pair.
    #[prost(message, optional, tag = "1")]
    pub mark: Option<PairMark>,
    /// The encoded message.
    #[prost(bytes = "bytes", tag = "2")]
    pub message: Bytes,
}

/// A place in the sequence of messages from one slot to another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, prost::Message)]
pub struct PairMark {
    /// The sender's slot.
    #[prost(uint32, tag = "1")]
    pub source: u32,
    /// The target's slot.
    #[prost(uint32, tag = "2")]
    pub target: u32,
    /// Counts from 1.
    #[prost(uint64, tag = "3")]
    pub sequence: u64,
}

/// An instance as a backend gives it back: what all its settled changes amount to.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// The last head.
    pub head: Head,
    /// The last tail.
    pub tail: Tail,
    /// The last custom status, if one was ever set.
    pub custom_status: Option<CustomStatus>,
    /// The history of the current run.
    pub history: Vec<Bytes>,
    /// The inbox of the current run, by sequence.
    pub inbox: Vec<Arrived>,
    /// The open tasks of all runs, by number; their events are [`Place::Here`].
    pub tasks: Vec<Task>,
    /// The open timers of the current run, by number.
    pub timers: Vec<Timer>,
}

/// What a list shows of an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The last head.
    pub head: Head,
    /// The last tail.
    pub tail: Tail,
    /// The last custom status, if one was ever set.
    pub custom_status: Option<CustomStatus>,
    /// The input's text.
    pub input: Option<Bytes>,
    /// The output's text.
    pub output: Option<Bytes>,
    /// The encoded ExecutionCompleted of an instance that has ended: its last history event.
    pub last_event: Option<Bytes>,
}

/// What was under way when a partition was last left, in a fixed order. Timers are not in it: they
/// are asked for by stretches of time ([`TimerWindow`]).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outstanding {
    /// Instances with something in the inbox, by birth.
    pub ready: Vec<Ready>,
    /// Open tasks by (birth, number).
    pub tasks: Vec<Queued>,
    /// Unacknowledged messages by (source, target, sequence).
    pub outbox: Vec<Sent>,
    /// The highest sequence received, by (source, target).
    pub received: Vec<PairMark>,
    /// The highest sequence ever sent, by (source, target): numbers go on from there.
    pub sent: Vec<PairMark>,
}

/// An instance with something in its inbox. There may be a million: names that occur more than once are shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Its row.
    pub birth: u64,
    /// Its current run.
    pub run: u64,
    /// Its id.
    pub id: InstanceId,
    /// Its orchestrator.
    pub name: Arc<str>,
    /// The orchestrator's version.
    pub version: Option<Arc<str>>,
    /// Whether a termination is in the inbox.
    pub terminating: bool,
    /// The dispatches of an episode that is held.
    pub held: Option<Box<Losses>>,
}

/// An open task, without its event. There may be a million: ids and names that occur more than once are shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// The task.
    pub key: TaskKey,
    /// The instance's id.
    pub id: InstanceId,
    /// The function that is to run.
    pub name: Arc<str>,
    /// The version that it runs as.
    pub runs_as: Option<Arc<str>>,
    /// The event id of its TaskScheduled.
    pub action: i32,
    /// The dispatches of a task that is held.
    pub held: Option<Box<Losses>>,
}

/// A stretch of timers: those due before a time, behind a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerWindow {
    /// Where the stretch before ended.
    pub after: Option<TimerPlace>,
    /// Only those due before this.
    pub before: Time,
}

/// The place of a timer among all: by time, then by key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimerPlace {
    /// When it is due.
    pub due: Time,
    /// Its name.
    pub key: TimerKey,
}

/// Timers of a stretch, as they are settled. Each is a hint: its instance says whether it is open.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DueTimers {
    /// In order of their places, each with the id of its instance.
    pub timers: Vec<(String, Timer)>,
    /// Where to go on; absent when the stretch is done.
    pub next: Option<TimerPlace>,
    /// Once the stretch is done: nothing settled in these slots that is behind the stretch is due
    /// before this; absent when nothing is behind it. It may be earlier than the first timer there.
    pub beyond: Option<Time>,
}
