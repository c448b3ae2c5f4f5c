//! Instances and their histories, out of the hub and into a file.

use super::{Client, ClientError, Cursor, Filter, Instance, Selection};
use duramen_backend::Query;
use duramen_core::history::{History, to_json};
use duramen_core::request::Refusal;
use duramen_proto::HistoryEvent;
use duramen_proto::history_event::EventType;
use std::collections::VecDeque;
use std::io;

/// Ids that are looked up at a time.
const PAGE: usize = 500;

/// Why an export failed. What was written by then is of no use.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The hub did not give what was asked for.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The lines could not be written.
    #[error("failed to write the export: {0}")]
    Write(#[from] io::Error),
    /// The SQLite file could not be written.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    File(#[from] duramen_embedded::export::ExportError),
}

/// What was exported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Instances.
    pub instances: u64,
    /// Events of their histories.
    pub events: u64,
}

/// An export whose form has not been chosen yet.
#[must_use = "nothing is written before a form is chosen"]
pub struct Export {
    client: Client,
    /// Not looked at yet.
    ids: VecDeque<String>,
    /// Where to find more.
    more: Option<(Query, Option<Cursor>)>,
}

impl Client {
    /// Writes the histories of instances into a file: of one by its id, of several by theirs, or of those that
    /// pass a filter. One instance is in memory at a time. Each is as it was at one moment, but not all at the
    /// same; ids that nobody has, any more, are left out.
    ///
    /// ```
    /// # use duramen::prelude::*;
    /// # use duramen::testing::TestHub;
    /// # #[orchestrator]
    /// # async fn echo(_ctx: OrchestrationContext, text: String) -> Result<String> { Ok(text) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// # let t = TestHub::new().orchestrator(Echo);
    /// # let client = t.client();
    /// # client.start(Echo, "x").id("order-1").await?.wait().await?;
    /// let mut lines = Vec::new();
    /// client.export(Filter::new().prefix("order-")).json_lines(&mut lines).await?;
    /// for line in String::from_utf8(lines)?.lines() {
    ///     let event: serde_json::Value = serde_json::from_str(line)?;
    ///     assert_eq!(event["instanceId"], "order-1");
    /// }
    /// # #[cfg(feature = "embedded")] {
    /// // sqlite3 orders.sqlite "select timestamp, type, name, result from events where instance_id = 'order-1'"
    /// # let folder = tempfile::tempdir()?;
    /// # let file = folder.path().join("orders.sqlite");
    /// let exported = client.export(["order-1", "order-2"]).sqlite(&file).await?;
    /// assert_eq!(exported.instances, 1);
    /// # }
    /// # Ok(())
    /// # }
    /// ```
    pub fn export(&self, which: impl Into<Selection>) -> Export {
        let (ids, more) = match which.into() {
            Selection::Ids(ids) => (ids.into(), None),
            Selection::Matching(filter) => (VecDeque::new(), Some((pages(*filter), None))),
        };
        Export { client: self.clone(), ids, more }
    }
}

fn pages(filter: Filter) -> Query {
    Query { limit: PAGE, bare: true, ..filter.into_query() }
}

/// An instance with its history.
struct Exporting {
    instance: Instance,
    execution_id: Option<String>,
    history: History,
}

impl Export {
    /// One line of JSON an event: `instanceId`, `executionId` and `sequence` (the place in the history, from 0),
    /// and then the event in the protocol's JSON form, as [`to_json`] has it: `eventId`, `timestamp` and one
    /// member that is named by the kind, such as `taskScheduled`. Payloads are texts that hold JSON.
    ///
    /// The lines are written from within the calling task: give it a writer that does not block for long.
    pub async fn json_lines(mut self, mut to: impl io::Write + Send) -> Result<Exported, ExportError> {
        let mut exported = Exported::default();
        while let Some(next) = self.next().await? {
            let mut lines = String::new();
            for (sequence, event) in next.history.events.iter().enumerate() {
                let place = serde_json::json!({
                    "instanceId": next.instance.id(), "executionId": next.execution_id, "sequence": sequence,
                });
                lines.push_str(place.to_string().strip_suffix('}').expect("an object ends with a brace"));
                lines.push(',');
                lines.push_str(&to_json(event)[1..]);
                lines.push('\n');
            }
            to.write_all(lines.as_bytes())?;
            exported.count(&next);
        }
        to.flush()?;
        Ok(exported)
    }

    /// A SQLite file, which must not exist, with the tables `instances` and `events`: see
    /// [`duramen_embedded::export`] for their columns. In `events`,
    ///
    /// - `type` is the kind of the event, such as `TaskScheduled`, and `name` what it calls, starts or raises;
    /// - `event_id` is what a later event points to in its `scheduled_id`: the task, timer or child that it is about;
    /// - `input` is what went in, or the data of an event; `result` what came out;
    /// - `reason` says why: of a failure, a suspension, a rewind;
    /// - `json` is the whole event, as [`to_json`] has it, and `raw` the same as protobuf.
    ///
    /// It is written by a thread of its own, and has its name once it is whole.
    #[cfg(feature = "embedded")]
    pub async fn sqlite(mut self, path: impl AsRef<std::path::Path>) -> Result<Exported, ExportError> {
        let mut file = super::export_file::Writer::create(path.as_ref().to_owned());
        let mut exported = Exported::default();
        while let Some(next) = self.next().await? {
            exported.count(&next);
            if !file.add(&next.instance, next.execution_id, next.history).await {
                break;
            }
        }
        file.finish().await?;
        Ok(exported)
    }

    async fn next(&mut self) -> Result<Option<Exporting>, ClientError> {
        loop {
            if let Some(id) = self.ids.pop_front() {
                if let Some(found) = self.look(&id).await? {
                    return Ok(Some(found));
                }
            } else if let Some((query, after)) = self.more.take() {
                let page = self.client.query(&query, after.as_ref()).await?;
                self.ids.extend(page.instances.iter().map(|instance| instance.id().to_owned()));
                self.more = page.next.map(|next| (query, Some(next)));
            } else {
                return Ok(None);
            }
        }
    }

    async fn look(&self, id: &str) -> Result<Option<Exporting>, ClientError> {
        let history = match self.client.history(id).await {
            Ok(history) => history,
            Err(ClientError::Refused(Refusal::NotFound(_))) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(instance) = self.client.get(id).await? else { return Ok(None) };
        // The state may be a moment younger than the history, and one of another execution.
        let execution_id = history.events.iter().find_map(execution).or(instance.execution_id().map(str::to_owned));
        Ok(Some(Exporting { instance, execution_id, history }))
    }
}

impl Exported {
    fn count(&mut self, next: &Exporting) {
        self.instances += 1;
        self.events += next.history.events.len() as u64;
    }
}

fn execution(event: &HistoryEvent) -> Option<String> {
    match &event.event_type {
        Some(EventType::ExecutionStarted(started)) => started.orchestration_instance.as_ref()?.execution_id.clone(),
        _ => None,
    }
}
