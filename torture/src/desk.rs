//! A client whose promises are written down: what it asks before it asks, what it was promised once it
//! was.

use crate::functions::{GO, Job};
use crate::witness::{Line, Told, Witness};
use duramen_backend::Query;
use duramen_core::ids::{Birth, InstanceId};
use duramen_core::request::{OnExisting, Refusal, Reply, Request, Start, Until, Wait};
use duramen_hub::Hub;
use duramen_proto::{CreateInstanceRequest, OrchestrationState, OrchestrationStatus};
use std::sync::Arc;
use std::time::Duration;

/// A client of the hub of this process.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) hub: Hub,
    pub(crate) witness: Arc<Witness>,
}

/// A start that is to be asked for.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) id: String,
    /// Whether no instance can have the id.
    pub(crate) fresh: bool,
    pub(crate) orchestrator: &'static str,
    pub(crate) job: Job,
    pub(crate) on_existing: OnExisting,
    /// How long it waits before it begins.
    pub(crate) pause: Option<Duration>,
}

impl Desk {
    /// Starts an instance, and gives its birth.
    pub(crate) async fn start(&self, order: Order) -> Result<Birth, Refusal> {
        let Order { id, fresh, orchestrator, job, on_existing, pause } = order;
        let now = self.hub.now();
        let key = job.key.clone();
        let request = CreateInstanceRequest {
            instance_id: id.clone(),
            name: orchestrator.to_owned(),
            input: Some(serde_json::to_string(&job).expect("an input is plain data")),
            request_time: Some(now.into()),
            scheduled_start_timestamp: pause.map(|pause| now.plus(pause).into()),
            ..CreateInstanceRequest::default()
        };
        self.witness.note(&Line::Starting { id: id.clone(), orchestrator: orchestrator.to_owned(), job });
        let start = Start { request, fresh, on_existing };
        match self.hub.request(Request::Start(Box::new(start))).await {
            Reply::Started { birth, .. } => {
                self.witness.note(&Line::Started { id, key, birth: birth.0 });
                Ok(birth)
            }
            other => Err(refused(other)),
        }
    }

    /// Raises an event that a job needs.
    pub(crate) async fn raise(&self, id: &str, event: String) -> Result<(), Refusal> {
        let named = |event| (id.to_owned(), event);
        let (line_id, line_event) = named(event.clone());
        self.witness.note(&Line::Raising { id: line_id, event: line_event });
        let input = Some(serde_json::to_string(&event).expect("a text is plain data"));
        self.done(Request::Raise { id: InstanceId::new(id), name: GO.to_owned(), input }).await?;
        let (id, event) = named(event);
        self.witness.note(&Line::Raised { id, event });
        Ok(())
    }

    pub(crate) async fn suspend(&self, id: &str) -> Result<(), Refusal> {
        self.witness.note(&Line::Suspending { id: id.to_owned() });
        self.done(Request::Suspend { id: InstanceId::new(id), reason: None }).await?;
        self.witness.note(&Line::Suspended { id: id.to_owned() });
        Ok(())
    }

    pub(crate) async fn resume(&self, id: &str) -> Result<(), Refusal> {
        self.witness.note(&Line::Resuming { id: id.to_owned() });
        self.done(Request::Resume { id: InstanceId::new(id), reason: None }).await?;
        self.witness.note(&Line::Resumed { id: id.to_owned() });
        Ok(())
    }

    /// Terminates an instance with its children. `output` is JSON text.
    pub(crate) async fn terminate(&self, id: &str, output: String) -> Result<(), Refusal> {
        self.witness.note(&Line::Terminating { id: id.to_owned(), output: output.clone() });
        let request = Request::Terminate { id: InstanceId::new(id), output: Some(output.clone()), recurse: true };
        self.done(request).await?;
        self.witness.note(&Line::Terminated { id: id.to_owned(), output });
        Ok(())
    }

    pub(crate) async fn rewind(&self, id: &str) -> Result<(), Refusal> {
        self.witness.note(&Line::Rewinding { id: id.to_owned() });
        self.done(Request::Rewind { id: InstanceId::new(id), reason: None }).await?;
        self.witness.note(&Line::Rewound { id: id.to_owned() });
        Ok(())
    }

    /// Purges an instance that has ended.
    pub(crate) async fn purge(&self, id: &str, key: &str) -> Result<(), Refusal> {
        self.witness.note(&Line::Purging { id: id.to_owned(), key: key.to_owned() });
        match self.hub.request(Request::Purge(InstanceId::new(id).into())).await {
            Reply::Purged(_) => {
                self.witness.note(&Line::Purged { id: id.to_owned(), key: key.to_owned() });
                Ok(())
            }
            other => Err(refused(other)),
        }
    }

    /// The state of an instance; what it shows is written down.
    pub(crate) async fn get(&self, id: &str) -> Result<Option<Arc<OrchestrationState>>, Refusal> {
        match self.hub.request(Request::Get(InstanceId::new(id))).await {
            Reply::State(state) => {
                if let Some(state) = &state {
                    self.saw(state);
                }
                Ok(state)
            }
            other => Err(refused(other)),
        }
    }

    /// Whether a list has the instance: it shows what was durable when it was asked for, unless it says
    /// that it is older, because settling took too long; then it is asked for again.
    pub(crate) async fn is_listed(&self, id: &str) -> Result<bool, Refusal> {
        loop {
            let query = Query { prefix: Some(id.to_owned()), limit: 10, ..Query::default() };
            let page = self.hub.query(query).await?;
            let is_listed = page.rows.iter().any(|row| row.head.id == id);
            if is_listed || page.as_of.is_none() {
                return Ok(is_listed);
            }
        }
    }

    /// Waits until an instance runs.
    pub(crate) async fn started(&self, id: &str, birth: Birth) -> Result<(), Refusal> {
        self.wait(id, Some(birth), Until::Started, None).await.map(drop)
    }

    /// Waits for the end of an instance, and writes down how it was.
    pub(crate) async fn ended(
        &self,
        id: &str,
        birth: Option<Birth>,
        timeout: Option<Duration>,
    ) -> Result<Arc<OrchestrationState>, Refusal> {
        self.wait(id, birth, Until::Completed, timeout).await
    }

    async fn wait(
        &self,
        id: &str,
        birth: Option<Birth>,
        until: Until,
        timeout: Option<Duration>,
    ) -> Result<Arc<OrchestrationState>, Refusal> {
        let wait = Wait { id: InstanceId::new(id), birth, until, timeout };
        match self.hub.request(Request::Wait(wait)).await {
            Reply::State(Some(state)) => {
                self.saw(&state);
                Ok(state)
            }
            Reply::State(None) => Err(Refusal::NotFound(id.to_owned())),
            other => Err(refused(other)),
        }
    }

    fn saw(&self, state: &OrchestrationState) {
        let key = job(state).key;
        if let Some(count) = state.custom_status.as_ref().and_then(|status| status.parse().ok()) {
            self.witness.note(&Line::Seen { id: state.instance_id.clone(), key: key.clone(), count });
        }
        if has_ended(state) {
            self.witness.note(&Line::Told(told(state, key)));
        }
    }

    async fn done(&self, request: Request) -> Result<(), Refusal> {
        match self.hub.request(request).await {
            Reply::Done => Ok(()),
            other => Err(refused(other)),
        }
    }
}

/// The job that an instance was started with.
pub(crate) fn job(state: &OrchestrationState) -> Job {
    serde_json::from_str(state.input.as_deref().unwrap_or_default()).unwrap_or_default()
}

/// How an instance that has ended is shown.
pub(crate) fn told(state: &OrchestrationState, key: String) -> Told {
    Told {
        id: state.instance_id.clone(),
        key,
        execution: state.execution_id.clone().unwrap_or_default(),
        status: state.orchestration_status().as_str_name().to_owned(),
        output: state.output.clone(),
        failure: state.failure_details.as_ref().map(|failure| failure.error_message.clone()),
    }
}

/// Whether a state is that of an instance that has ended.
pub(crate) fn has_ended(state: &OrchestrationState) -> bool {
    is_ended(state.orchestration_status())
}

pub(crate) fn is_ended(status: OrchestrationStatus) -> bool {
    match status {
        OrchestrationStatus::Completed
        | OrchestrationStatus::Failed
        | OrchestrationStatus::Terminated
        | OrchestrationStatus::Canceled => true,
        OrchestrationStatus::Running
        | OrchestrationStatus::Pending
        | OrchestrationStatus::ContinuedAsNew
        | OrchestrationStatus::Suspended => false,
    }
}

fn refused(reply: Reply) -> Refusal {
    match reply {
        Reply::Refused(refusal) => refusal,
        other => Refusal::Stopped(format!("it gave an answer that does not belong to the request: {other:?}")),
    }
}
