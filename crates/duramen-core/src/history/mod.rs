//! Histories as text that people read, compare and keep beside their tests.
//!
//! One line is one event: its id, its time, its kind with what it is about, and the rest by name.
//!
//! ```text
//! #-1 2026-01-31T08:00:00Z OrchestratorStarted
//! #0 2026-01-31T08:00:00Z ExecutionStarted(HelloCities) input=null
//! #0 2026-01-31T08:00:00Z TaskScheduled(SayHello) input="\"Tokyo\""
//! #-1 2026-01-31T08:00:01Z OrchestratorStarted
//! #-1 2026-01-31T08:00:01Z TaskCompleted(0) result="\"Hello Tokyo!\""
//! ```
//!
//! What is written reads back as it was. Fields that have nothing in them are left out; empty lines
//! and lines that begin with `//` are skipped.

mod events;
mod fields;
mod json;
mod reader;
pub mod rfc3339;
mod values;

pub use reader::BadText;

use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;
use duramen_proto::HistoryEvent;
use prost::Message;

/// The events of one execution, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// The events.
    pub events: Vec<HistoryEvent>,
}

impl History {
    /// Decodes the events as they are stored.
    pub fn decode(encoded: &[Bytes]) -> Result<Self, prost::DecodeError> {
        let events = encoded.iter().map(|event| HistoryEvent::decode(&**event)).collect::<Result<_, _>>()?;
        Ok(Self { events })
    }

    /// One line an event.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for event in &self.events {
            events::write(event, &mut text);
            text.push('\n');
        }
        text
    }

    /// One line of JSON an event, for other programs to read; see [`to_json`].
    pub fn to_json_lines(&self) -> String {
        self.events.iter().map(|event| to_json(event) + "\n").collect()
    }

    /// Reads what [`to_text`](Self::to_text) writes.
    pub fn from_text(text: &str) -> Result<Self, BadText> {
        let mut events = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with("//") {
                events.push(events::read(line).map_err(|problem| problem.on_line(number + 1))?);
            }
        }
        Ok(Self { events })
    }
}

/// An event in the protocol's JSON form (the one that protobuf defines for its messages): `eventId`,
/// `timestamp`, and one member that is named by the kind of the event and holds its fields. Payloads are texts
/// that hold JSON. A field with nothing in it is left out, but numbers are not. A history state, which nobody
/// writes any more, is shown as its bytes.
///
/// ```
/// # use duramen_core::history::{History, to_json};
/// let text = "#0 2026-01-31T08:00:00Z TaskScheduled(SayHello) input=\"\\\"Tokyo\\\"\"";
/// let event = &History::from_text(text)?.events[0];
/// let json = r#"{"eventId":0,"timestamp":"2026-01-31T08:00:00Z","taskScheduled":{"name":"SayHello","input":"\"Tokyo\""}}"#;
/// assert_eq!(to_json(event), json);
/// # Ok::<_, duramen_core::history::BadText>(())
/// ```
pub fn to_json(event: &HistoryEvent) -> String {
    let mut json = String::new();
    events::write_json(event, &mut json);
    json
}

/// The kind of an event, by its name: `TaskScheduled`.
pub fn kind(event: &HistoryEvent) -> &'static str {
    events::kind(event)
}

#[cfg(test)]
mod tests;
