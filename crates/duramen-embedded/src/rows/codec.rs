//! What stands in a row, and how it becomes again what was written.

use super::error::Trouble;
use bytes::Bytes;
use duramen_core::checkpoint::{CustomStatus, Head, Parent, Tail, Timer};
use duramen_core::time::Time;
use duramen_proto::Timestamp;
use prost::Message;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use std::collections::BTreeMap;

/// Bytes of encoded events after which a chunk of a history is closed.
const CHUNK_BYTES: usize = 64 << 10;
const SECOND: i128 = 1_000_000_000;

/// Some events of a history. As a message it is one of `repeated HistoryEvent events = 1`.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Chunk {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(super) events: Vec<Bytes>,
}

/// Cuts events into chunks, each with the place of its first.
pub(super) fn chunks(first: u64, events: &[Bytes]) -> impl Iterator<Item = (u64, &[Bytes])> {
    let mut rest = events;
    let mut next = first;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut bytes = 0;
        let full = rest.iter().position(|event| {
            bytes += event.len();
            bytes >= CHUNK_BYTES
        });
        let (chunk, behind) = rest.split_at(full.map_or(rest.len(), |last| last + 1));
        let at = next;
        (rest, next) = (behind, next + chunk.len() as u64);
        Some((at, chunk))
    })
}

/// Encodes a chunk into a buffer that is used again.
pub(super) fn encode_chunk(events: &[Bytes], into: &mut Vec<u8>) {
    into.clear();
    for event in events {
        prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, into);
        prost::encoding::encode_varint(event.len() as u64, into);
        into.extend_from_slice(event);
    }
}

/// A point in time as it is ordered in the tables: nanoseconds since 1970. What an `i64` of them does
/// not reach, before 1677 and after 2262, counts as the first or the last that it does.
pub(super) fn stamp(at: Time) -> i64 {
    let nanos = i128::from(at.seconds()) * SECOND + i128::from(at.nanos());
    nanos.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

/// The time of a stamp.
pub(super) fn time(stamp: i64) -> Time {
    let (seconds, nanos) = (stamp.div_euclid(SECOND as i64), stamp.rem_euclid(SECOND as i64));
    Time::new(seconds, nanos as u32)
}

/// The last stamp below a time.
pub(super) fn last_before(end: Time) -> i64 {
    match stamp(end) {
        i64::MAX => i64::MAX,
        end => end.saturating_sub(1),
    }
}

pub(super) fn optional_stamp(at: Option<Timestamp>) -> Option<i64> {
    at.map(|at| stamp(at.into()))
}

/// When a timer is due, and its timestamp where that does not say it.
pub(super) fn due(timer: &Timer) -> (i64, Option<Vec<u8>>) {
    let stamp = timer.due.map_or(0, |due| stamp(due.into()));
    // Without a timestamp it is empty, which no other one is that the stamp does not say.
    let said = Some(Timestamp::from(time(stamp))) == timer.due;
    (stamp, (!said).then(|| timer.due.map(|due| due.encode_to_vec()).unwrap_or_default()))
}

/// The timestamp of a timer again.
pub(super) fn due_of(stamp: i64, exact: Option<&[u8]>) -> Result<Option<Timestamp>, Trouble> {
    Ok(match exact {
        None => Some(time(stamp).into()),
        Some([]) => None,
        Some(exact) => Some(Timestamp::decode(exact)?),
    })
}

/// Tags as text.
pub(super) fn tags(tags: &BTreeMap<String, String>) -> Option<String> {
    (!tags.is_empty()).then(|| serde_json::to_string(tags).expect("texts by texts are an object of JSON"))
}

/// Tags again.
pub(super) fn tags_of(text: Option<&str>) -> Result<BTreeMap<String, String>, Trouble> {
    let read = |text| serde_json::from_str(text).map_err(|error| Trouble::Row(format!("tags {text:?}: {error}")));
    text.map_or(Ok(BTreeMap::new()), read)
}

/// What of a head has no column of its own. A field that is new must be given a place here.
pub(super) fn rest_of_head(head: &Head) -> Vec<u8> {
    let Head {
        birth: _,
        run: _,
        id: _,
        execution_id: _,
        name: _,
        version: _,
        parent,
        tags: _,
        created,
        scheduled,
        input,
        rewinds,
        depth,
        begins_run,
    } = head;
    Head {
        birth: 0,
        run: 0,
        id: String::new(),
        execution_id: String::new(),
        name: String::new(),
        version: None,
        parent: parent.as_ref().map(|Parent { id: _, run, task_scheduled_id }| Parent {
            id: String::new(),
            run: *run,
            task_scheduled_id: *task_scheduled_id,
        }),
        tags: BTreeMap::new(),
        created: *created,
        scheduled: *scheduled,
        input: input.clone(),
        rewinds: rewinds.clone(),
        depth: *depth,
        begins_run: *begins_run,
    }
    .encode_to_vec()
}

/// What of a tail has no column of its own.
pub(super) fn rest_of_tail(tail: &Tail) -> Vec<u8> {
    Tail { birth: 0, status: 0, ..tail.clone() }.encode_to_vec()
}

/// A custom status, if one was ever set.
pub(super) fn custom_status(birth: u64, set_by: Option<i64>, value: Option<String>) -> Option<CustomStatus> {
    set_by.map(|set_by| CustomStatus { birth, value, set_by: set_by.cast_unsigned() })
}

/// A payload, as the text that it is; bytes only if it is none.
pub(super) struct Payload<'a>(pub(super) &'a Bytes);

impl ToSql for Payload<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let value = match std::str::from_utf8(self.0) {
            Ok(text) => ValueRef::Text(text.as_bytes()),
            Err(_) => ValueRef::Blob(self.0),
        };
        Ok(ToSqlOutput::Borrowed(value))
    }
}

/// A payload again.
pub(super) fn payload_of(value: ValueRef<'_>) -> Result<Option<Bytes>, Trouble> {
    match value {
        ValueRef::Null => Ok(None),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Ok(Some(Bytes::copy_from_slice(bytes))),
        ValueRef::Integer(_) | ValueRef::Real(_) => Err(Trouble::Row("a payload is a number".into())),
    }
}
