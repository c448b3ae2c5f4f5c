//! Reads a store without a hub: what is in it when nothing works on it.

use crate::functions::Job;
use crate::house::open_store;
use duramen_backend::{Backend, Event, Query, QueryId};
use duramen_core::checkpoint::Image;
use duramen_core::ids::{InstanceId, PartitionId};
use duramen_proto::history_event::EventType;
use duramen_proto::{ExecutionStartedEvent, HistoryEvent, OrchestrationStatus};
use prost::Message;
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

/// Every instance of a store, by id.
pub(super) type Images = BTreeMap<String, Image>;

/// Opens the store, reads everything, and closes it.
pub(super) fn read(folder: &Path) -> Result<Images, Box<dyn Error>> {
    let store = open_store(folder, false)?;
    let (send, events) = channel();
    store.listen(Arc::new(move |event| drop(send.send(event))));
    let mut images = Images::new();
    let mut query = Query { limit: 1_000, ..Query::default() };
    loop {
        store.query(QueryId(0), query.clone());
        let Event::Queried { page, .. } = next(&events)? else { return Err("the store gave no page".into()) };
        for row in page.rows {
            store.load(PartitionId(0), InstanceId::new(row.head.id.as_str()));
            let Event::Loaded { image: Some(image), .. } = next(&events)? else {
                return Err(format!("instance {:?} is in the list, but cannot be loaded", row.head.id).into());
            };
            if images.insert(row.head.id.clone(), *image).is_some() {
                return Err(format!("instance {:?} is in the list twice", row.head.id).into());
            }
        }
        match page.next {
            Some(after) => query.after = Some(after),
            None => break,
        }
    }
    store.close();
    Ok(images)
}

/// The next thing that the store has to say about what it was asked.
fn next(events: &Receiver<Event>) -> Result<Event, Box<dyn Error>> {
    loop {
        match events.recv()? {
            Event::Settled(_) | Event::Space { .. } => {}
            Event::Failed(failure) => return Err(failure.into()),
            event => return Ok(event),
        }
    }
}

/// An image that was taken apart.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) image: Image,
    pub(super) history: Vec<HistoryEvent>,
    pub(super) inbox: Vec<HistoryEvent>,
    pub(super) started: Option<ExecutionStartedEvent>,
    pub(super) job: Job,
}

impl Record {
    pub(super) fn of(image: Image) -> Result<Self, prost::DecodeError> {
        let history =
            image.history.iter().map(|event| HistoryEvent::decode(&**event)).collect::<Result<Vec<_>, _>>()?;
        let inbox =
            image.inbox.iter().map(|entry| HistoryEvent::decode(&*entry.event)).collect::<Result<Vec<_>, _>>()?;
        let started = history.iter().chain(&inbox).find_map(|event| match &event.event_type {
            Some(EventType::ExecutionStarted(started)) => Some(started.clone()),
            _ => None,
        });
        let input = started.as_ref().and_then(|started| started.input.as_deref()).unwrap_or_default();
        let job = serde_json::from_str(input).unwrap_or_default();
        Ok(Self { image, history, inbox, started, job })
    }

    pub(super) fn id(&self) -> &str {
        &self.image.head.id
    }

    pub(super) fn status(&self) -> OrchestrationStatus {
        OrchestrationStatus::try_from(self.image.tail.status).unwrap_or_default()
    }

    pub(super) fn has_ended(&self) -> bool {
        crate::desk::is_ended(self.status())
    }

    /// What happened, those that no episode has taken yet among them.
    pub(super) fn events(&self) -> impl Iterator<Item = &EventType> {
        self.history.iter().chain(&self.inbox).filter_map(|event| event.event_type.as_ref())
    }

    /// The output and the failure's message.
    pub(super) fn outcome(&self) -> (Option<String>, Option<String>) {
        match self.history.last().and_then(|event| event.event_type.as_ref()) {
            Some(EventType::ExecutionCompleted(completed)) => {
                let failure = completed.failure_details.as_ref().map(|failure| failure.error_message.clone());
                (completed.result.clone(), failure)
            }
            _ => (None, None),
        }
    }
}
