//! What the operator of a hub sees and decides, as JSON. `docs/operating.md` has it for people.

use super::error::Problem;
use crate::{HubState, Hubs};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::{get, post};
use axum::{Json, Router};
use duramen_core::checkpoint::{Loss, LossCause};
use duramen_core::dispatch::{QueueRow, Unroutable, UnroutableRow};
use duramen_core::history::rfc3339;
use duramen_core::ids::InstanceId;
use duramen_core::partition::{HeldItem, HeldKey, Verdict};
use duramen_core::time::Time;
use duramen_core::work::{Announcement, Filters, WorkKind, WorkerId};
use duramen_hub::{ConnectedWorker, Hub, InFlight};
use serde::Serialize;

/// The routes.
pub(super) fn routes() -> Router<Hubs> {
    Router::new()
        .route("/hubs/{hub}/workers", get(workers))
        .route("/hubs/{hub}/workers/{worker}/drain", post(drain))
        .route("/hubs/{hub}/queues", get(queues))
        .route("/hubs/{hub}/unroutable", get(unroutable))
        .route("/hubs/{hub}/held", get(held))
        .route("/hubs/{hub}/held/{instance}/{item}/retry", post(retry))
        .route("/hubs/{hub}/held/{instance}/{item}/fail", post(fail))
}

type Answer<T> = Result<Json<Vec<T>>, Problem>;

async fn workers(State(hubs): State<Hubs>, Path(hub): Path<String>) -> Answer<WorkerJson> {
    let workers = hub_of(&hubs, &hub).await?.workers().await?;
    Ok(Json(workers.into_iter().map(WorkerJson::from).collect()))
}

async fn queues(State(hubs): State<Hubs>, Path(hub): Path<String>) -> Answer<QueueJson> {
    let queues = hub_of(&hubs, &hub).await?.queues().await?;
    Ok(Json(queues.into_iter().map(QueueJson::from).collect()))
}

async fn unroutable(State(hubs): State<Hubs>, Path(hub): Path<String>) -> Answer<UnroutableJson> {
    let rows = hub_of(&hubs, &hub).await?.unroutable().await?;
    Ok(Json(rows.into_iter().map(UnroutableJson::from).collect()))
}

async fn held(State(hubs): State<Hubs>, Path(hub): Path<String>) -> Answer<HeldJson> {
    let items = hub_of(&hubs, &hub).await?.held().await?;
    Ok(Json(items.into_iter().map(HeldJson::from).collect()))
}

async fn drain(
    State(hubs): State<Hubs>,
    headers: HeaderMap,
    Path((hub, worker)): Path<(String, u64)>,
) -> Result<StatusCode, Problem> {
    refuse_web_pages(&headers)?;
    match hub_of(&hubs, &hub).await?.drain(WorkerId(worker)).await? {
        true => Ok(StatusCode::ACCEPTED),
        false => Err(Problem::NotFound(format!("there is no worker {worker}; see /hubs/{hub}/workers"))),
    }
}

async fn retry(hubs: State<Hubs>, headers: HeaderMap, path: Path<(String, String, String)>) -> Decided {
    decide(hubs, headers, path, Verdict::Retry).await
}

async fn fail(hubs: State<Hubs>, headers: HeaderMap, path: Path<(String, String, String)>) -> Decided {
    decide(hubs, headers, path, Verdict::Fail).await
}

type Decided = Result<StatusCode, Problem>;

async fn decide(
    State(hubs): State<Hubs>,
    headers: HeaderMap,
    Path((hub, instance, item)): Path<(String, String, String)>,
    verdict: Verdict,
) -> Decided {
    refuse_web_pages(&headers)?;
    let key: HeldKey = item.parse().map_err(|error| Problem::BadRequest(format!("{item:?}: {error}")))?;
    let hub = hub_of(&hubs, &hub).await?;
    hub.decide(InstanceId::new(instance.as_str()), key, verdict).await?;
    tracing::info!(instance, item, ?verdict, "an operator has decided about a held item");
    Ok(StatusCode::NO_CONTENT)
}

/// A page of whatever site can make a browser send this. Browsers say so; other programs do not.
fn refuse_web_pages(headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(header::ORIGIN) {
        None => Ok(()),
        Some(_) => Err(Problem::Forbidden("this is not taken from web pages; use another program, like curl".into())),
    }
}

/// A hub that is there. Looking at one makes none.
async fn hub_of(hubs: &Hubs, name: &str) -> Result<Hub, Problem> {
    let names: Vec<String> = hubs.states().into_iter().map(|HubState { name, .. }| name.to_string()).collect();
    if !names.iter().any(|there| there.eq_ignore_ascii_case(name)) {
        return Err(Problem::NotFound(format!("there is no task hub {name:?}; there are: {}", names.join(", "))));
    }
    Ok(hubs.get(Some(name)).await?.hub)
}

#[derive(Serialize)]
struct WorkerJson {
    id: u64,
    /// What it calls itself.
    name: String,
    since: String,
    in_process: bool,
    draining: bool,
    /// How many items of a kind it takes at a time; null is as many as there are.
    orchestrators: Option<usize>,
    activities: Option<usize>,
    /// Null takes every function.
    filters: Option<FiltersJson>,
    /// Bytes of the largest message that it takes; null takes any.
    max_item_bytes: Option<usize>,
    streams_history: bool,
    given_back: u64,
    in_flight: Vec<InFlightJson>,
}

#[derive(Serialize)]
struct FiltersJson {
    orchestrators: Vec<FilterJson>,
    activities: Vec<FilterJson>,
}

#[derive(Serialize)]
struct FilterJson {
    name: String,
    /// None listed is any.
    versions: Vec<String>,
}

#[derive(Serialize)]
struct InFlightJson {
    instance: String,
    item: String,
    since: String,
}

#[derive(Serialize)]
struct QueueJson {
    kind: &'static str,
    name: String,
    version: Option<String>,
    waiting: usize,
    /// When the oldest began to wait.
    oldest: String,
}

#[derive(Serialize)]
struct UnroutableJson {
    #[serde(flatten)]
    queue: QueueJson,
    #[serde(flatten)]
    reason: ReasonJson,
    /// Of the oldest, ten at most.
    instances: Vec<String>,
}

#[derive(Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
enum ReasonJson {
    NoWorker,
    NoWorkerForName,
    NoWorkerForVersion,
    TooLarge { bytes: usize, limit: usize },
}

#[derive(Serialize)]
struct HeldJson {
    instance: String,
    item: String,
    name: String,
    version: Option<String>,
    held_since: Option<String>,
    dispatches: Vec<LossJson>,
}

#[derive(Serialize)]
struct LossJson {
    worker: String,
    given: Option<String>,
    lost: Option<String>,
    cause: &'static str,
}

fn time(at: Time) -> String {
    rfc3339::format(at)
}

impl From<ConnectedWorker> for WorkerJson {
    fn from(worker: ConnectedWorker) -> Self {
        let ConnectedWorker { worker, announced, since, draining, given_back, in_flight } = worker;
        let Announcement {
            in_process,
            sessions: _,
            orchestrators,
            activities,
            filters,
            name,
            item_bytes,
            streams_history,
        } = announced;
        let limited = |room: usize| (room != Announcement::UNLIMITED).then_some(room);
        Self {
            id: worker.0,
            name: name.to_string(),
            since: time(since),
            in_process,
            draining,
            orchestrators: limited(orchestrators),
            activities: limited(activities),
            filters: filters.map(FiltersJson::from),
            max_item_bytes: item_bytes,
            streams_history,
            given_back,
            in_flight: in_flight.into_iter().map(InFlightJson::from).collect(),
        }
    }
}

impl From<Filters> for FiltersJson {
    fn from(filters: Filters) -> Self {
        let listed = |all: Vec<(String, Vec<String>)>| {
            all.into_iter().map(|(name, versions)| FilterJson { name, versions }).collect()
        };
        Self { orchestrators: listed(filters.orchestrators), activities: listed(filters.activities) }
    }
}

impl From<InFlight> for InFlightJson {
    fn from(item: InFlight) -> Self {
        Self { instance: item.instance.to_string(), item: item.key.to_string(), since: time(item.since) }
    }
}

impl From<QueueRow> for QueueJson {
    fn from(row: QueueRow) -> Self {
        let kind = match row.kind {
            WorkKind::Orchestrator => "orchestrator",
            WorkKind::Activity => "activity",
        };
        let version = row.version.map(|version| version.to_string());
        Self { kind, name: row.name.to_string(), version, waiting: row.waiting, oldest: time(row.oldest) }
    }
}

impl From<UnroutableRow> for UnroutableJson {
    fn from(row: UnroutableRow) -> Self {
        let reason = match row.reason {
            Unroutable::NoWorker => ReasonJson::NoWorker,
            Unroutable::NoneForName => ReasonJson::NoWorkerForName,
            Unroutable::NoneForVersion => ReasonJson::NoWorkerForVersion,
            Unroutable::TooLarge { bytes, limit } => ReasonJson::TooLarge { bytes, limit },
        };
        let instances = row.instances.iter().map(InstanceId::to_string).collect();
        Self { queue: row.queue.into(), reason, instances }
    }
}

impl From<HeldItem> for HeldJson {
    fn from(item: HeldItem) -> Self {
        Self {
            instance: item.instance.to_string(),
            item: item.key.to_string(),
            name: item.name.to_string(),
            version: item.version.map(|version| version.to_string()),
            held_since: item.losses.held.map(|at| time(at.into())),
            dispatches: item.losses.all.into_iter().map(LossJson::from).collect(),
        }
    }
}

impl From<Loss> for LossJson {
    fn from(loss: Loss) -> Self {
        let cause = match loss.cause() {
            LossCause::Disconnected => "connection_lost",
            LossCause::WrittenOff => "thread_written_off",
            LossCause::Overdue => "took_too_long",
            LossCause::Unknown => "unknown",
        };
        let at = |at: Option<_>| at.map(|at: duramen_proto::Timestamp| time(at.into()));
        Self { given: at(loss.given), lost: at(loss.lost), worker: loss.worker, cause }
    }
}
