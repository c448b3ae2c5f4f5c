//! Answers that come in several messages. .NET and Java cut what is larger than their limit.

#![expect(deprecated, reason = "the fields are deprecated in the protocol, and SDKs still send them")]

use duramen_core::ids::Token;
use duramen_core::limits::ANSWER_BYTES;
use duramen_proto::OrchestratorResponse;
use prost::Message as _;
use std::collections::HashMap;

/// Bytes of all answers of one worker of which a part has come. An answer that goes beyond them is dropped: its item
/// is handed out again.
const PARTS_BYTES: usize = 4 * ANSWER_BYTES;

/// What has come so far of the answers of one worker.
#[derive(Debug, Default)]
pub(super) struct Parts {
    begun: HashMap<Token, Begun>,
    bytes: usize,
}

#[derive(Debug)]
pub(super) struct Begun {
    whole: OrchestratorResponse,
    /// The index of the chunk that is due.
    next: i32,
    bytes: usize,
}

impl Parts {
    /// Takes a message. Gives the whole answer with its last one; `None` while more is to come, and for
    /// an answer of which a part is missing.
    pub(super) fn take(&mut self, token: Token, part: OrchestratorResponse) -> Option<OrchestratorResponse> {
        let index = part.chunk_index.unwrap_or(0);
        if is_partial(&part) {
            self.keep(token, part, index);
            return None;
        }
        match self.forget(token) {
            Some(begun) if begun.next == index => Some(begun.with(part)),
            None if index == 0 => Some(part),
            Some(_) | None => None,
        }
    }

    fn keep(&mut self, token: Token, part: OrchestratorResponse, index: i32) {
        let begun = match self.forget(token) {
            _ if index == 0 => {
                let bytes = part.encoded_len();
                Begun { whole: part, next: 1, bytes }
            }
            Some(mut begun) if begun.next == index => {
                begun.next += 1;
                begun.add(part);
                begun
            }
            // A part that came before comes again when its reply was lost.
            Some(begun) => begun,
            None => return,
        };
        if self.bytes + begun.bytes <= PARTS_BYTES {
            self.bytes += begun.bytes;
            self.begun.insert(token, begun);
        }
    }

    /// The item is no longer with the worker.
    pub(super) fn forget(&mut self, token: Token) -> Option<Begun> {
        let begun = self.begun.remove(&token)?;
        self.bytes -= begun.bytes;
        Some(begun)
    }
}

impl Begun {
    /// Beyond the limit of an answer nothing more is kept: the core will refuse what there is.
    fn add(&mut self, part: OrchestratorResponse) {
        if self.bytes <= ANSWER_BYTES {
            self.bytes += part.encoded_len();
            self.whole.actions.extend(part.actions);
        }
    }

    /// Everything but the actions is as the last part says it.
    fn with(mut self, last: OrchestratorResponse) -> OrchestratorResponse {
        let rest = OrchestratorResponse { actions: Vec::new(), is_partial: false, chunk_index: None, ..last.clone() };
        self.add(last);
        OrchestratorResponse { actions: self.whole.actions, ..rest }
    }
}

/// Whether more of the answer is to come.
pub(super) fn is_partial(part: &OrchestratorResponse) -> bool {
    part.is_partial
}

/// Whether it is all there is of the answer.
pub(super) fn is_whole(part: &OrchestratorResponse) -> bool {
    !part.is_partial && part.chunk_index.unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use duramen_proto::OrchestratorAction;

    fn part(index: Option<i32>, is_partial: bool, ids: &[i32]) -> OrchestratorResponse {
        let actions = ids.iter().map(|id| OrchestratorAction { id: *id, orchestrator_action_type: None }).collect();
        OrchestratorResponse { actions, is_partial, chunk_index: index, ..OrchestratorResponse::default() }
    }

    fn ids(response: &OrchestratorResponse) -> Vec<i32> {
        response.actions.iter().map(|action| action.id).collect()
    }

    #[test]
    fn an_answer_in_one_message_is_given_on_at_once() {
        let mut parts = Parts::default();
        assert_eq!(ids(&parts.take(Token(1), part(None, false, &[1])).unwrap()), [1]);
        assert_eq!(ids(&parts.take(Token(1), part(Some(0), false, &[1])).unwrap()), [1]);
    }

    #[test]
    fn parts_are_put_together_in_order_and_a_repeated_one_counts_once() {
        let mut parts = Parts::default();
        assert!(parts.take(Token(1), part(Some(0), true, &[1, 2])).is_none());
        assert!(parts.take(Token(2), part(Some(0), true, &[9])).is_none());
        assert!(parts.take(Token(1), part(Some(1), true, &[3])).is_none());
        assert!(parts.take(Token(1), part(Some(1), true, &[3])).is_none());
        let last = OrchestratorResponse { custom_status: Some("s".into()), ..part(Some(2), false, &[4]) };
        let whole = parts.take(Token(1), last).unwrap();
        assert_eq!((ids(&whole), whole.custom_status.as_deref()), (vec![1, 2, 3, 4], Some("s")));
        assert_eq!(parts.begun.len(), 1);
    }

    #[test]
    fn an_answer_without_one_of_its_parts_is_none() {
        let mut parts = Parts::default();
        assert!(parts.take(Token(1), part(Some(1), false, &[2])).is_none(), "the first went elsewhere");
        parts.take(Token(1), part(Some(0), true, &[1]));
        assert!(parts.take(Token(1), part(Some(2), false, &[3])).is_none());
        parts.take(Token(1), part(Some(0), true, &[1]));
        parts.forget(Token(1));
        assert!(parts.take(Token(1), part(Some(1), false, &[2])).is_none());
    }

    #[test]
    fn no_more_is_kept_than_an_answer_may_have() {
        let mut parts = Parts::default();
        let large = |index, last| OrchestratorResponse {
            instance_id: "i".repeat(ANSWER_BYTES / 4),
            ..part(Some(index), last, &[index])
        };
        (0..50).for_each(|index| assert!(parts.take(Token(1), large(index, true)).is_none()));
        let whole = parts.take(Token(1), large(50, false)).unwrap();
        assert_eq!(ids(&whole), [0, 1, 2, 3], "the fourth went over the limit");
        assert_eq!(parts.bytes, 0);
    }

    #[test]
    fn answers_that_are_begun_are_bounded_together() {
        let mut parts = Parts::default();
        let large = OrchestratorResponse { instance_id: "i".repeat(ANSWER_BYTES / 4), ..part(Some(0), true, &[0]) };
        (0..100).for_each(|token| assert!(parts.take(Token(token), large.clone()).is_none()));
        assert!(parts.bytes <= PARTS_BYTES && parts.begun.len() < 20);
        assert!(parts.take(Token(99), part(Some(1), false, &[1])).is_none(), "its first part was dropped");
        assert!(parts.take(Token(0), part(Some(1), false, &[1])).is_some());
        // One that is through makes room.
        assert!(parts.take(Token(99), large).is_none());
        assert!(parts.take(Token(99), part(Some(1), false, &[1])).is_some());
    }
}
