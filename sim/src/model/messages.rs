//! Messages between slots: numbered without a gap, taken once and in order.

use super::{Judge, State};
use crate::check::ensure;
use duramen_core::checkpoint::{PairMark, Sent};

impl State {
    pub(super) fn sent(&mut self, sent: &Sent, judge: Option<&mut Judge<'_>>) {
        let mark = sent.mark.unwrap_or_default();
        let last = self.sent.entry((mark.source, mark.target)).or_default();
        ensure!(
            mark.sequence == *last + 1,
            "messages of a pair of slots are numbered without a gap",
            "{mark:?} after {last}"
        );
        *last += 1;
        self.outbox.insert((mark.source, mark.target, mark.sequence), sent.message.clone());
        self.ever.messages.insert((mark.source, mark.target, mark.sequence), sent.message.clone());
        judge.into_iter().for_each(|judge| judge.cover.count("model: message between slots"));
    }

    pub(super) fn receive(&mut self, mark: &PairMark, judge: Option<&mut Judge<'_>>) {
        let last = self.received.entry((mark.source, mark.target)).or_default();
        ensure!(
            mark.sequence == *last + 1,
            "messages of a pair of slots are taken once and in order",
            "{mark:?} after {last}"
        );
        *last += 1;
        if let Some(judge) = judge {
            let key = (mark.source, mark.target, mark.sequence);
            judge.cover.count("model: message taken");
            ensure!(
                judge.messages.contains_key(&key) || self.outbox.contains_key(&key),
                "a message that is taken was sent",
                "{mark:?}"
            );
        }
    }
}
