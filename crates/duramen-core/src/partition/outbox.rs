//! Messages that could not be delivered in their sender's checkpoint, in order for each pair of
//! slots, and what has been received from others.
//!
//! Durable identity is by slot: when slots move between partitions the sequences go on (invariant 4).

use super::residence::Deferred;
use super::{Effect, Ledger, Partition, Wake};
use crate::checkpoint::{Change, Outstanding, PairMark, Sent};
use crate::ids::{InstanceId, Slot};
use crate::limits::RESEND_EVERY;
use crate::message::Message;
use crate::planted::{self, Bug, planted};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use bytes::Bytes;
use prost::Message as _;

/// The sender's slot and the target's.
pub(super) type Pair = (Slot, Slot);

#[derive(Default)]
pub(super) struct Outbox {
    waiting: BTreeMap<Pair, VecDeque<Unacknowledged>>,
    /// The last sequence that was given out, by pair.
    sent: BTreeMap<Pair, u64>,
    /// The last sequence that was taken, by pair, and the checkpoint that says so; 0 for one of an
    /// earlier owner.
    received: BTreeMap<Pair, (u64, u64)>,
    /// What came and waits for its target to be loaded.
    arrived: BTreeMap<Pair, VecDeque<(u64, Bytes)>>,
    /// Acknowledged sequences that go with the next checkpoint.
    acknowledged: BTreeMap<Pair, u64>,
    /// Whether a wake to send again is set.
    resending: bool,
}

#[derive(Clone)]
struct Unacknowledged {
    sequence: u64,
    message: Bytes,
    /// The checkpoint that holds it; 0 for one of an earlier owner.
    number: u64,
}

fn mark((source, target): Pair, sequence: u64) -> PairMark {
    PairMark { source: source.0.into(), target: target.0.into(), sequence }
}

fn pair(mark: PairMark) -> Pair {
    (Slot(mark.source as u8), Slot(mark.target as u8))
}

impl Outbox {
    pub(super) fn new(outstanding: &Outstanding) -> Self {
        let mut outbox = Self::default();
        for sent in &outstanding.outbox {
            let at = sent.mark.unwrap_or_default();
            let entry = Unacknowledged { sequence: at.sequence, message: sent.message.clone(), number: 0 };
            outbox.waiting.entry(pair(at)).or_default().push_back(entry);
        }
        outbox.sent = outstanding.sent.iter().map(|at| (pair(*at), at.sequence)).collect();
        outbox.received = outstanding.received.iter().map(|at| (pair(*at), (at.sequence, 0))).collect();
        outbox
    }

    /// The last sequence that was taken of a pair, and the checkpoint that says so.
    fn taken(&self, pair: Pair) -> (u64, u64) {
        self.received.get(&pair).copied().unwrap_or((0, 0))
    }

    /// Notes, for good, that a message was taken.
    fn take(&mut self, pair: Pair, sequence: u64, ledger: &mut Ledger) {
        self.received.insert(pair, (sequence, ledger.number));
        ledger.write(Change::Received(mark(pair, sequence)));
    }

    /// Messages that wait, for an acknowledgement or for their target.
    pub(super) fn held(&self) -> usize {
        let waiting: usize = self.waiting.values().map(VecDeque::len).sum();
        let arrived: usize = self.arrived.values().map(VecDeque::len).sum();
        waiting + arrived
    }

    pub(super) fn is_empty(&self, pair: Pair) -> bool {
        !self.waiting.contains_key(&pair)
    }

    /// Puts a message behind the others of its pair.
    pub(super) fn push(&mut self, pair: Pair, message: &Message, ledger: &mut Ledger) -> (PairMark, Bytes) {
        let sequence = self.sent.entry(planted::numbered_as(pair)).or_default();
        *sequence += 1;
        let at = mark(pair, *sequence);
        let message = Bytes::from(message.encode_to_vec());
        ledger.write(Change::Sent(Sent { mark: Some(at), message: message.clone() }));
        let entry = Unacknowledged { sequence: at.sequence, message: message.clone(), number: ledger.number };
        self.waiting.entry(pair).or_default().push_back(entry);
        (at, message)
    }

    fn drop_to(&mut self, pair: Pair, sequence: u64) {
        let Some(waiting) = self.waiting.get_mut(&pair) else { return };
        while waiting.front().is_some_and(|first| first.sequence <= sequence) {
            waiting.pop_front();
        }
        if waiting.is_empty() {
            self.waiting.remove(&pair);
        }
    }

    /// Another partition has taken a pair up to here. The entries go with the next checkpoint.
    pub(super) fn acknowledged(&mut self, at: PairMark) {
        let pair = pair(at);
        self.drop_to(pair, at.sequence);
        let acknowledged = self.acknowledged.entry(pair).or_default();
        *acknowledged = at.sequence.max(*acknowledged);
    }

    pub(super) fn write_acknowledged(&mut self, ledger: &mut Ledger) {
        for (pair, sequence) in core::mem::take(&mut self.acknowledged) {
            ledger.write(Change::Acknowledged(mark(pair, sequence)));
        }
    }
}

impl Partition {
    /// Sends again what the last owner left, and sees to the pairs within the partition.
    pub(super) fn take_up_outbox(&mut self) {
        let pairs: Vec<Pair> = self.outbox.waiting.keys().copied().collect();
        for pair in pairs {
            if self.owns(pair.1) && !planted::has(Bug::MessageOvertakes) {
                self.pump(pair);
            }
        }
        self.send_outbox();
    }

    /// Delivers the messages of a pair within the partition until one has to wait for its target.
    pub(super) fn pump(&mut self, pair: Pair) {
        while let Some(entry) = self.outbox.waiting.get(&pair).and_then(VecDeque::front).cloned() {
            let sequence = entry.sequence;
            let message = Message::decode(entry.message).expect("an outbox holds messages");
            let to = InstanceId::new(message.to.as_str());
            // A purge that was under way when the slots came together: what it took is not new.
            let (taken, _) = self.outbox.taken(pair);
            if sequence > taken {
                if self.is_away(&to, &message) {
                    return self.defer(to, Some(Deferred::Pump(pair)));
                }
                self.outbox.take(pair, sequence, &mut self.ledger);
                self.apply(message);
            }
            self.ledger.write(Change::Acknowledged(mark(pair, sequence)));
            self.outbox.drop_to(pair, sequence);
        }
    }

    /// Sends every message for a slot of another partition that is durable.
    fn send_outbox(&mut self) {
        let mut any = false;
        for (pair, waiting) in &self.outbox.waiting {
            if self.owned[usize::from(pair.1.0)] {
                continue;
            }
            any = true;
            for entry in waiting.iter().filter(|entry| entry.number <= self.committed) {
                self.ledger.out.push(Effect::Message(mark(*pair, entry.sequence), entry.message.clone()));
            }
        }
        if any {
            self.resend_later();
        }
    }

    fn resend_later(&mut self) {
        if !self.outbox.resending {
            self.outbox.resending = true;
            self.ledger.wakes.insert((self.ledger.now.plus(RESEND_EVERY), Wake::Resend));
        }
    }

    /// Puts a message behind the others of its pair and sees to it that it leaves.
    pub(super) fn queue(&mut self, pair: Pair, message: &Message) {
        let (at, bytes) = self.outbox.push(pair, message, &mut self.ledger);
        if self.owns(pair.1) {
            self.pump(pair);
        } else {
            self.ledger.hold(Effect::Message(at, bytes));
            self.resend_later();
        }
    }

    /// Sends again what nobody has acknowledged.
    pub(super) fn resend(&mut self) {
        self.outbox.resending = false;
        self.send_outbox();
    }

    /// A message from another partition: only the one after the last is taken, an older one is
    /// acknowledged again, a later one is left to be sent again.
    pub(super) fn arrive(&mut self, at: PairMark, message: Bytes) {
        let pair = pair(at);
        if !self.owns(pair.1) {
            return;
        }
        let (taken, number) = self.outbox.taken(pair);
        let waiting =
            self.outbox.arrived.get(&pair).and_then(|arrived| arrived.back()).map_or(taken, |(last, _)| *last);
        if planted::has(Bug::DuplicateMessage)
            && at.sequence == taken
            && let Ok(message) = Message::decode(message.clone())
            && !self.is_away(&InstanceId::new(message.to.as_str()), &message)
        {
            self.apply(message);
        }
        if at.sequence <= taken {
            // What was taken may not be durable yet; the acknowledgement waits for it.
            self.reply_when_durable(Effect::Acknowledge(mark(pair, taken)), number);
        } else if at.sequence == waiting + 1 {
            self.outbox.arrived.entry(pair).or_default().push_back((at.sequence, message));
            self.take_arrived(pair);
        }
    }

    pub(super) fn take_arrived(&mut self, pair: Pair) {
        let mut last = None;
        while let Some((sequence, bytes)) = self.outbox.arrived.get(&pair).and_then(VecDeque::front).cloned() {
            let Ok(message) = Message::decode(bytes) else { break };
            let to = InstanceId::new(message.to.as_str());
            if self.is_away(&to, &message) {
                self.defer(to, Some(Deferred::Arrive(pair)));
                break;
            }
            // While it waited, the same message may have come from the outbox of this partition.
            if sequence > self.outbox.received.get(&pair).map_or(0, |(taken, _)| *taken) {
                self.outbox.take(pair, sequence, &mut self.ledger);
                self.apply(message);
            }
            self.outbox.arrived.get_mut(&pair).expect("it has a front").pop_front();
            last = Some(sequence);
        }
        if self.outbox.arrived.get(&pair).is_some_and(VecDeque::is_empty) {
            self.outbox.arrived.remove(&pair);
        }
        if let Some(sequence) = last {
            planted!(AcknowledgedEarly => self.ledger.out.push(Effect::Acknowledge(mark(pair, sequence))));
            self.ledger.hold(Effect::Acknowledge(mark(pair, sequence)));
        }
    }
}
