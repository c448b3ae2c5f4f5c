//! Running activities, on the async runtime.

use super::outbox::Outbox;
use super::panics::guard;
use crate::activity::Facts;
use crate::{ActivityContext, App};
use duramen_core::ids::Token;
use duramen_core::work::{ActivityWork, Answer};
use duramen_proto::history_event::EventType;
use duramen_proto::{ActivityResponse, HistoryEvent, TaskFailureDetails};
use futures::future::BoxFuture;
use prost::Message;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use tokio::runtime::Handle;

/// Runs each in a task of its own.
pub(super) fn spawn(app: &Arc<App>, outbox: &Arc<Outbox>, runtime: &Handle, mut items: Vec<(Token, ActivityWork)>) {
    let Some(last) = items.pop() else { return };
    let ways = Ways { app: Arc::clone(app), outbox: Arc::clone(outbox), runtime: runtime.clone() };
    // The caller is the hub's loop: it hands all over at once, and the runtime's own threads, for which that is
    // cheaper, make the tasks. The last needs none: it has this one.
    runtime.spawn(async move {
        for item in items {
            ways.runtime.spawn(ways.clone().run(item));
        }
        ways.run(last).await;
    });
}

#[derive(Clone)]
struct Ways {
    app: Arc<App>,
    outbox: Arc<Outbox>,
    runtime: Handle,
}

impl Ways {
    async fn run(self, (token, work): (Token, ActivityWork)) {
        let answer = answer(&self.app, token, work).await;
        self.outbox.gather(answer, &self.runtime);
    }
}

async fn answer(app: &App, token: Token, work: ActivityWork) -> Answer {
    let instance_id = work.instance.as_str().to_string();
    let (task_id, scheduled) = match HistoryEvent::decode(&*work.scheduled) {
        Ok(HistoryEvent { event_id, event_type: Some(EventType::TaskScheduled(scheduled)), .. }) => {
            (event_id, scheduled)
        }
        Ok(_) => {
            return Answer::Abandoned(token, format!("an activity of instance {instance_id} has no TaskScheduled"));
        }
        Err(error) => {
            return Answer::Abandoned(token, format!("an activity of instance {instance_id} does not parse: {error}"));
        }
    };
    let name = scheduled.name.clone();
    let context = ActivityContext::new(Facts {
        instance_id: instance_id.clone(),
        execution_id: work.execution_id.to_string(),
        version: scheduled.version.or_else(|| work.orchestration_version.as_deref().map(str::to_string)),
        name: scheduled.name,
        task_id,
        tags: scheduled.tags,
    });
    let outcome = match app.find_activity(&name) {
        Ok(activity) => run(app, || activity(context, scheduled.input)).await,
        Err(unknown) => Err(unknown),
    };
    let (result, failure_details) = match outcome {
        Ok(output) => (Some(output), None),
        Err(details) => (None, Some(details)),
    };
    Answer::Activity(token, ActivityResponse { instance_id, task_id, result, failure_details, ..Default::default() })
}

type Running = BoxFuture<'static, Result<String, crate::Error>>;

async fn run(app: &App, begin: impl FnOnce() -> Running) -> Result<String, TaskFailureDetails> {
    let mut running = guard(begin).map_err(|panic| *panic)?;
    let ended = poll_fn(|context| match guard(|| running.as_mut().poll(context)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await;
    let dropped = guard(|| drop(running));
    match (ended, dropped) {
        (Err(panic), _) | (_, Err(panic)) => Err(*panic),
        (Ok(Ok(output)), Ok(())) => Ok(output),
        (Ok(Err(error)), Ok(())) => Err(error.into_details(&app.errors)),
    }
}
