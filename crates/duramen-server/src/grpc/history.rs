//! StreamInstanceHistory: for clients, and for workers whose items come without their history.

use super::call;
use super::desk::Desk;
use super::service::Service;
use super::share::Held;
use super::status::not;
use bytes::Bytes;
use duramen_core::ids::InstanceId;
use duramen_core::request::{Reply, Request as Ask};
use duramen_proto::history_event::EventType;
use duramen_proto::{HistoryEvent, StreamInstanceHistoryRequest, raw};
use prost::Message as _;
use tonic::{Request, Status};

/// Bytes of a chunk; the SDKs receive 4 MiB in one message. One event may be larger.
const CHUNK_BYTES: usize = 1 << 20;

/// The past events of an item that its worker fetches.
pub(super) struct Past {
    pub(super) instance: String,
    pub(super) execution: String,
    pub(super) events: Vec<Bytes>,
    /// It may hold what is not durable: only the worker that has the item may see it (invariant 1).
    pub(super) early: bool,
}

impl Past {
    pub(super) fn is_of(&self, instance: &str, execution: Option<&str>) -> bool {
        self.instance == instance && execution.is_none_or(|execution| execution == self.execution)
    }
}

/// The chunks of a history, made one by one as they are sent.
pub(super) type Chunks = tokio_stream::Iter<Cut>;

impl Service {
    pub(super) async fn stream_history(
        &self,
        request: Request<StreamInstanceHistoryRequest>,
    ) -> Result<Chunks, Status> {
        let desk = self.desk(request.metadata()).await?;
        let connection = call::connection(&request);
        let StreamInstanceHistoryRequest { instance_id, execution_id, for_work_item_processing } = request.into_inner();
        let execution = execution_id.filter(|id| !id.is_empty());
        let _read = self.limits().read().await;
        let events = if for_work_item_processing {
            let workers = connection.workers(&desk);
            desk.past(&instance_id, execution.as_deref(), &workers).ok_or_else(|| {
                let text = "no work item of it is with a worker that streams histories";
                Status::not_found(format!("no history of instance {instance_id:?} to process: {text}"))
            })?
        } else {
            whole(&desk, &instance_id, execution.as_deref()).await?
        };
        let held = self.limits().reply(&connection, events.iter().map(Bytes::len).sum())?;
        Ok(tokio_stream::iter(Cut { events: events.into_iter().peekable(), _held: held }))
    }
}

async fn whole(desk: &Desk, id: &str, execution: Option<&str>) -> Result<Vec<Bytes>, Status> {
    let events = match desk.hub.request(Ask::History(InstanceId::new(id))).await {
        Reply::History(events) => events,
        other => return Err(not(other)),
    };
    match execution {
        Some(asked) if !events.iter().any(|event| begins(event, asked)) && !events.is_empty() => {
            let text = format!("execution {asked:?} of instance {id:?} is not its current one");
            Err(Status::not_found(format!("{text}, whose history is the only one that is kept")))
        }
        _ => Ok(events),
    }
}

/// Whether an event is the ExecutionStarted of an execution.
fn begins(event: &Bytes, execution: &str) -> bool {
    match HistoryEvent::decode(event.clone()).ok().and_then(|event| event.event_type) {
        Some(EventType::ExecutionStarted(started)) => {
            started.orchestration_instance.is_some_and(|of| of.execution_id.as_deref() == Some(execution))
        }
        _ => false,
    }
}

/// Cuts a history by bytes.
pub(super) struct Cut {
    events: std::iter::Peekable<std::vec::IntoIter<Bytes>>,
    /// As long as the client has not read it.
    _held: Option<Held>,
}

impl Iterator for Cut {
    type Item = Result<raw::HistoryChunk, Status>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut events = vec![self.events.next()?];
        let mut bytes = events[0].len();
        while let Some(next) = self.events.next_if(|next| bytes + next.len() <= CHUNK_BYTES) {
            bytes += next.len();
            events.push(next);
        }
        Some(Ok(raw::HistoryChunk { events }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(events: Vec<Bytes>) -> Cut {
        Cut { events: events.into_iter().peekable(), _held: None }
    }

    #[test]
    fn a_history_is_cut_by_bytes_with_at_least_one_event_in_a_chunk() {
        let sizes = [10, CHUNK_BYTES - 10, 1, CHUNK_BYTES * 2, 5, 5];
        let events: Vec<Bytes> = sizes.iter().map(|size| vec![0; *size].into()).collect();
        let chunks = cut(events);
        let sizes: Vec<Vec<usize>> =
            chunks.map(|chunk| chunk.unwrap().events.iter().map(Bytes::len).collect()).collect();
        assert_eq!(sizes, [vec![10, CHUNK_BYTES - 10], vec![1], vec![CHUNK_BYTES * 2], vec![5, 5]]);
        assert_eq!(cut(Vec::new()).count(), 0);
    }
}
