//! Rules that hold in every scenario: nothing leaves before it is durable (invariant 1), and every
//! episode is in the form that all SDKs take (traps 2 and 18).

use super::text::{decode, line};
use duramen_core::checkpoint::{Change, Checkpoint, Image, PairMark};
use duramen_core::request::Reply;
use duramen_core::time::Time;
use duramen_core::work::{ActivityWork, OrchestratorWork};
use duramen_proto::HistoryEvent;
use duramen_proto::history_event::EventType;
use std::collections::{BTreeMap, BTreeSet};

/// What the durable checkpoints said.
#[derive(Default)]
pub struct Audit {
    births: BTreeSet<u64>,
    ids: BTreeSet<String>,
    sent: BTreeSet<PairMark>,
    received: BTreeMap<(u32, u32), u64>,
}

impl Audit {
    pub fn committed(&mut self, checkpoint: &Checkpoint) {
        for delta in &checkpoint.deltas {
            match delta.change.as_ref().expect("a delta changes something") {
                Change::Head(head) => {
                    self.births.insert(head.birth);
                    self.ids.insert(head.id.clone());
                }
                Change::Sent(sent) => {
                    self.sent.insert(sent.mark.expect("a message has its mark"));
                }
                Change::Received(mark) => {
                    let before = self.received.insert((mark.source, mark.target), mark.sequence).unwrap_or(0);
                    assert_eq!(mark.sequence, before + 1, "messages are taken in order and once (invariant 4)");
                }
                _ => {}
            }
        }
    }

    pub fn message(&self, mark: &PairMark) {
        assert!(self.sent.contains(mark), "{mark:?} left before its checkpoint (invariant 1)");
    }

    pub fn acknowledgement(&self, mark: &PairMark) {
        let taken = self.received.get(&(mark.source, mark.target)).copied().unwrap_or(0);
        assert!(mark.sequence <= taken, "{mark:?} was acknowledged before it was durable (invariant 1)");
    }

    /// A reply shows nothing that is not durable.
    pub fn reply(&self, reply: &Reply, durable: impl FnOnce(&str) -> Option<Image>) {
        match reply {
            Reply::Started { birth, .. } => {
                assert!(self.births.contains(&birth.0), "a start was answered before it was durable: {reply:?}");
            }
            Reply::State(Some(state)) => {
                let id = &state.instance_id;
                assert!(self.ids.contains(id), "{id} was shown before it was durable");
                let Some(image) = durable(id).filter(|image| image.head.created == state.created_timestamp) else {
                    return;
                };
                let updated = |at: Option<duramen_proto::Timestamp>| Time::from(at.expect("it is always set"));
                assert!(updated(image.tail.updated) >= updated(state.last_updated_timestamp), "{state:?} is ahead");
                assert!(state.completed_timestamp.is_none() || image.tail.completed.is_some(), "{state:?} is ahead");
            }
            Reply::Held(items) => {
                if let Some(item) = items.first() {
                    let image = durable(item.instance.as_str()).expect("the instance of a held item is durable");
                    let held = image.tasks.iter().map(|task| &task.losses).chain([&image.tail.losses]);
                    let shown = Some(&item.losses);
                    assert!(held.into_iter().any(|losses| losses.as_ref() == shown), "{item:?} is ahead of {image:?}");
                }
            }
            Reply::History(_) | Reply::State(None) | Reply::Done | Reply::Purged(_) | Reply::Refused(_) => {}
        }
    }

    /// An activity goes out once it is durable.
    pub fn activity(&self, work: &ActivityWork, durable: Option<Image>) {
        use duramen_core::checkpoint::Place;
        let image = durable.expect("the instance of an activity is durable");
        let stored = image.tasks.iter().filter_map(|task| task.event.as_ref()?.place.as_ref());
        let mut stored = stored.filter(|place| matches!(place, Place::Here(event) if *event == work.scheduled));
        assert!(stored.next().is_some(), "an activity left before its checkpoint (invariant 1)");
    }

    /// So does an episode, to a remote worker that keeps no sessions.
    pub fn remote_episode(&self, work: &OrchestratorWork, durable: Option<Image>) {
        let image = durable.expect("the instance of a remote episode is durable");
        let past = work.past.as_ref().expect("who keeps no session is shown the past");
        assert_eq!(*past, image.history, "the past of a remote episode is what is stored (invariant 1)");
        for event in &work.new[1..] {
            let there = image.inbox.iter().any(|arrived| arrived.event == *event);
            assert!(there, "a remote episode shows what is not durable (invariant 1)");
        }
    }
}

/// What is true of every episode, given the whole past.
pub fn episode(work: &OrchestratorWork, past: &[HistoryEvent]) {
    let new = decode(&work.new);
    new.iter().for_each(|event| drop(line(event)));
    let is_rewound = |event: &HistoryEvent| matches!(event.event_type, Some(EventType::ExecutionRewound(_)));
    assert!(!past.iter().chain(&new).any(is_rewound), "workers are not shown rewinds (trap 12)");
    let is_start = |event: &HistoryEvent| matches!(event.event_type, Some(EventType::OrchestratorStarted(_)));
    let time = |event: &HistoryEvent| Time::from(event.timestamp.expect("every event has a time"));
    let first = new.first().expect("new events are never empty");
    assert!(is_start(first), "an episode begins with OrchestratorStarted");
    assert_eq!(new.iter().filter(|event| is_start(event)).count(), 1);
    let rewound = work.session.rewinds > 0;
    if past.is_empty() {
        assert!(matches!(new[1].event_type, Some(EventType::ExecutionStarted(_))), "the first episode: {new:?}");
    } else {
        assert!(new.len() > 1 || rewound, "an episode has something to tell");
        let before = past.iter().rev().find(|event| is_start(event)).map(time).expect("it had an episode");
        assert!(time(first) > before, "the time of episodes rises: {before:?} then {:?}", time(first));
    }
    for event in &new[1..] {
        match &event.event_type {
            Some(EventType::ExecutionStarted(started)) => {
                assert!(past.is_empty(), "ExecutionStarted comes once");
                let instance = started.orchestration_instance.as_ref().expect("it names the instance");
                assert_eq!(instance.execution_id.as_deref(), Some(&*work.execution_id), "one execution id (trap 4)");
                assert!(time(first) >= time(event), "an episode is not before its start");
            }
            Some(EventType::TimerFired(fired)) => {
                let due = Time::from(fired.fire_at.expect("it says when"));
                assert!(time(first) >= due, "a timer is never early");
            }
            _ => {}
        }
    }
}
