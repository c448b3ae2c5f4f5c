//! Answers whose failures are deeper than a decoder goes.
//!
//! A decoder gives up at the hundredth level of a message, and nobody who writes one does: an exception with very many
//! causes would be an answer that nobody can read, and its item would wait for ever. So what cannot be read as a whole
//! is read level by level: the chain is cut where nobody keeps more of it, and properties that are too deep are left out.

use crate::orchestrator_action::OrchestratorActionType;
use crate::{
    ActivityResponse, CompleteOrchestrationAction, OrchestratorAction, OrchestratorResponse, TaskFailureDetails,
};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::{Buf, Bytes};
use core::any::Any;
use prost::Message as _;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// Levels of a chain that are read. Whoever keeps fewer sees that there were more.
const LEVELS: usize = 40;

/// Numbers of fields.
mod field {
    pub(super) const FAILURE_OF_ACTIVITY: u32 = 4;
    pub(super) const ACTIONS: u32 = 2;
    pub(super) const COMPLETE: u32 = 6;
    pub(super) const FAILURE_OF_COMPLETE: u32 = 6;
    pub(super) const INNER_FAILURE: u32 = 4;
    pub(super) const PROPERTIES: u32 = 6;
}

/// Reads a message that is too deep, if it is one that may be.
pub(crate) fn read<U: 'static>(message: &Bytes) -> Option<U> {
    let mut read = None::<U>;
    let slot: &mut dyn Any = &mut read;
    if let Some(slot) = slot.downcast_mut() {
        *slot = activity(message);
    } else if let Some(slot) = slot.downcast_mut() {
        *slot = episode(message);
    }
    read
}

fn activity(message: &Bytes) -> Option<ActivityResponse> {
    let (rest, failure) = without(message, field::FAILURE_OF_ACTIVITY)?;
    let failure_details = Some(chain(failure?)?);
    Some(ActivityResponse { failure_details, ..ActivityResponse::decode(&*rest).ok()? })
}

fn episode(message: &Bytes) -> Option<OrchestratorResponse> {
    let mut actions = Vec::new();
    let rest = split(message, field::ACTIONS, |message| {
        actions.push(action(&message)?);
        Some(())
    })?;
    Some(OrchestratorResponse { actions, ..OrchestratorResponse::decode(&*rest).ok()? })
}

fn action(message: &Bytes) -> Option<OrchestratorAction> {
    if let Ok(action) = OrchestratorAction::decode(message.clone()) {
        return Some(action);
    }
    let (rest, complete) = without(message, field::COMPLETE)?;
    let (of_complete, failure) = without(&complete?, field::FAILURE_OF_COMPLETE)?;
    let failure_details = Some(chain(failure?)?);
    let complete =
        CompleteOrchestrationAction { failure_details, ..CompleteOrchestrationAction::decode(&*of_complete).ok()? };
    Some(OrchestratorAction {
        orchestrator_action_type: Some(OrchestratorActionType::CompleteOrchestration(complete)),
        ..OrchestratorAction::decode(&*rest).ok()?
    })
}

/// The chain of failures that begins with this one.
fn chain(outermost: Bytes) -> Option<TaskFailureDetails> {
    let mut levels = Vec::new();
    let mut next = Some(outermost);
    while let Some(message) = next
        && levels.len() < LEVELS
    {
        let (own, inner) = without(&message, field::INNER_FAILURE)?;
        levels.push(level(&own.into())?);
        next = inner;
    }
    let nest = |inner, outer| TaskFailureDetails { inner_failure: Some(Box::new(inner)), ..outer };
    levels.into_iter().rev().reduce(nest)
}

/// One failure of a chain.
fn level(own: &Bytes) -> Option<TaskFailureDetails> {
    if let Ok(failure) = TaskFailureDetails::decode(own.clone()) {
        return Some(failure);
    }
    let (plain, _) = without(own, field::PROPERTIES)?;
    let mut failure = TaskFailureDetails::decode(&*plain).ok()?;
    failure.error_message.push_str(" (its properties were left out: they are nested too deeply)");
    Some(failure)
}

/// A message without a field, and what the field held last. `None` if it is no message.
fn without(message: &Bytes, number: u32) -> Option<(Vec<u8>, Option<Bytes>)> {
    let mut last = None;
    let rest = split(message, number, |found| {
        last = Some(found);
        Some(())
    })?;
    Some((rest, last))
}

/// A message without a field, of which each that is there is told. `None` if it is no message, or one that is told
/// gives that.
fn split(message: &Bytes, number: u32, mut tell: impl FnMut(Bytes) -> Option<()>) -> Option<Vec<u8>> {
    let mut rest = Vec::new();
    let mut left = message.clone();
    while left.has_remaining() {
        let before = left.clone();
        let (tag, wire_type) = decode_key(&mut left).ok()?;
        if tag == number && wire_type == WireType::LengthDelimited {
            let length = usize::try_from(decode_varint(&mut left).ok()?).ok()?;
            if length > left.remaining() {
                return None;
            }
            tell(left.split_to(length))?;
        } else {
            skip_field(wire_type, tag, &mut left, DecodeContext::default()).ok()?;
            rest.extend_from_slice(&before[..before.len() - left.len()]);
        }
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ListValue, Value, value};
    use alloc::string::String;
    use alloc::{format, vec};

    /// The bytes of a chain of so many failures, the outermost first: none that can be read at once.
    fn failures(count: usize, innermost: TaskFailureDetails) -> Vec<u8> {
        let mut bytes = innermost.encode_to_vec();
        for number in (0..count - 1).rev() {
            let mut outer = failure(number).encode_to_vec();
            length_delimited(field::INNER_FAILURE, &bytes, &mut outer);
            bytes = outer;
        }
        bytes
    }

    fn failure(number: usize) -> TaskFailureDetails {
        let properties = [("n".into(), number_value(number))].into();
        TaskFailureDetails { error_message: format!("m{number}"), properties, ..Default::default() }
    }

    fn number_value(number: usize) -> Value {
        Value { kind: Some(value::Kind::NumberValue(number as f64)) }
    }

    fn length_delimited(number: u32, bytes: &[u8], into: &mut Vec<u8>) {
        prost::encoding::encode_key(number, WireType::LengthDelimited, into);
        prost::encoding::encode_varint(bytes.len() as u64, into);
        into.extend_from_slice(bytes);
    }

    fn messages(failure: &TaskFailureDetails) -> Vec<&str> {
        core::iter::successors(Some(failure), |failure| failure.inner_failure.as_deref())
            .map(|failure| &*failure.error_message)
            .collect()
    }

    #[test]
    fn the_failure_of_an_activity_is_cut_and_the_rest_is_as_it_was() {
        for count in [100, 5_000] {
            let plain = ActivityResponse { task_id: 7, completion_token: "t".into(), ..Default::default() };
            let mut bytes = plain.encode_to_vec();
            length_delimited(field::FAILURE_OF_ACTIVITY, &failures(count, failure(count)), &mut bytes);
            assert!(ActivityResponse::decode(&*bytes).is_err());
            let read: ActivityResponse = read(&bytes.into()).expect("it is read by its levels");
            let details = read.failure_details.as_ref().expect("it failed");
            assert_eq!(messages(details), (0..LEVELS).map(|number| format!("m{number}")).collect::<Vec<_>>());
            assert_eq!(details.properties["n"], number_value(0));
            assert_eq!(ActivityResponse { failure_details: None, ..read }, plain);
        }
    }

    #[test]
    fn an_episode_keeps_its_other_actions() {
        let other = OrchestratorAction { id: 1, ..Default::default() };
        let plain = OrchestratorResponse { actions: vec![other.clone()], ..Default::default() };
        let mut complete =
            CompleteOrchestrationAction { details: Some("d".into()), ..Default::default() }.encode_to_vec();
        length_delimited(field::FAILURE_OF_COMPLETE, &failures(120, failure(120)), &mut complete);
        let mut action = OrchestratorAction { id: 2, ..Default::default() }.encode_to_vec();
        length_delimited(field::COMPLETE, &complete, &mut action);
        let mut bytes = plain.encode_to_vec();
        length_delimited(field::ACTIONS, &action, &mut bytes);
        let last = OrchestratorResponse { completion_token: "t".into(), ..Default::default() };
        bytes.extend(last.encode_to_vec());
        assert!(OrchestratorResponse::decode(&*bytes).is_err());

        let read: OrchestratorResponse = read(&bytes.into()).expect("it is read by its levels");
        let [first, second] = &*read.actions else { panic!("{read:?}") };
        assert_eq!((first, second.id, &*read.completion_token), (&other, 2, "t"));
        let Some(OrchestratorActionType::CompleteOrchestration(complete)) = &second.orchestrator_action_type else {
            panic!("{second:?}")
        };
        assert_eq!(complete.details.as_deref(), Some("d"));
        assert_eq!(messages(complete.failure_details.as_ref().expect("it failed")).len(), LEVELS);
    }

    #[test]
    fn properties_that_are_too_deep_are_left_out() {
        let mut deep = number_value(0);
        for _ in 0..60 {
            deep = Value { kind: Some(value::Kind::ListValue(ListValue { values: vec![deep] })) };
        }
        let innermost = TaskFailureDetails { properties: [("d".into(), deep)].into(), ..failure(1) };
        let mut bytes = Vec::new();
        length_delimited(field::FAILURE_OF_ACTIVITY, &failures(2, innermost), &mut bytes);
        assert!(ActivityResponse::decode(&*bytes).is_err());
        let read: ActivityResponse = read(&bytes.into()).expect("it is read by its levels");
        let outer = read.failure_details.expect("it failed");
        assert_eq!(outer.properties["n"], number_value(0));
        let inner = outer.inner_failure.expect("a cause");
        assert_eq!(inner.error_message, "m1 (its properties were left out: they are nested too deeply)");
        assert!(inner.properties.is_empty());
    }

    #[test]
    fn what_is_no_message_stays_unread() {
        for garbage in [&b"\xff"[..], b"\x22\x05a", b"\x12\x02\x32\x01", b"\x0c"] {
            let garbage = Bytes::copy_from_slice(garbage);
            assert_eq!(read::<ActivityResponse>(&garbage), None, "{garbage:?}");
            assert_eq!(read::<OrchestratorResponse>(&garbage), None, "{garbage:?}");
        }
        // Nor is any other message read this way.
        let fine =
            Bytes::from(ActivityResponse { instance_id: String::from("i"), ..Default::default() }.encode_to_vec());
        assert_eq!(read::<crate::CreateInstanceRequest>(&fine), None);
    }
}
