//! Where completions find the worker's stream that their item went out on.

use super::history::Past;
use super::parts;
use super::stream::WorkerStream;
use bytes::Bytes;
use duramen_core::ids::{InstanceId, Token};
use duramen_core::request::Refusal;
use duramen_core::work::{Answer, WorkItem, WorkerId};
use duramen_hub::{BareAnswer, Hub};
use duramen_proto::OrchestratorResponse;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tonic::Status;

/// Items of lost streams of which an answer over another connection is still expected.
const LOST_ITEMS: usize = 65_536;

/// A hub, and what is out of it.
pub(super) struct Desk {
    pub(super) hub: Hub,
    out: Mutex<Out>,
    /// Completions that were about nothing that is out.
    stale: AtomicU64,
}

#[derive(Default)]
struct Out {
    items: HashMap<Token, OutItem>,
    /// Of those, the ones whose stream is gone, oldest first.
    lost: VecDeque<Token>,
    /// Past events that workers fetch.
    pasts: HashMap<Token, Past>,
}

/// An item that is out, and whose it is.
struct OutItem {
    holder: Holder,
    instance: InstanceId,
}

enum Holder {
    Stream(Arc<WorkerStream>),
    /// The stream is gone. An answer counts until somebody else has the item; the core knows that.
    Gone,
}

impl Desk {
    pub(super) fn new(hub: Hub) -> Arc<Self> {
        Arc::new(Self { hub, out: Mutex::default(), stale: AtomicU64::new(0) })
    }

    fn out(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Items go to a worker.
    pub(super) fn handed(&self, stream: &Arc<WorkerStream>, items: &[WorkItem]) {
        let mut out = self.out();
        if stream.is_gone() {
            // The hub has not heard of that yet; it will take them back.
            return;
        }
        out.items.extend(items.iter().map(|item| {
            let (holder, instance) = (Holder::Stream(Arc::clone(stream)), item.work.instance().clone());
            (item.token, OutItem { holder, instance })
        }));
    }

    /// A worker is to fetch the past of an item.
    pub(super) fn keep_past(&self, token: Token, past: Past) {
        let mut out = self.out();
        if out.items.contains_key(&token) {
            out.pasts.insert(token, past);
        }
    }

    /// The past events of an item that is out: best of one that these workers have, and of the newest. An item that
    /// was taken back from its worker is out until that one has answered, and its past is shorter.
    pub(super) fn past(&self, instance: &str, execution: Option<&str>, to: &[WorkerId]) -> Option<Vec<Bytes>> {
        let out = self.out();
        let is_theirs = |token: &Token| match out.items.get(token).map(|item| &item.holder) {
            Some(Holder::Stream(stream)) => stream.worker().is_some_and(|worker| to.contains(&worker)),
            Some(Holder::Gone) | None => false,
        };
        let pasts = out.pasts.iter().filter(|(_, past)| past.is_of(instance, execution));
        let pasts = pasts.map(|(token, past)| (is_theirs(token), *token, past));
        let (_, _, past) = pasts
            .filter(|(theirs, _, past)| *theirs || !past.early)
            .max_by_key(|(theirs, token, _)| (*theirs, *token))?;
        Some(past.events.clone())
    }

    /// A stream has ended.
    pub(super) fn lost(&self, stream: &Arc<WorkerStream>) {
        let mut guard = self.out();
        let out = &mut *guard;
        stream.set_gone();
        for (token, item) in &mut out.items {
            if matches!(&item.holder, Holder::Stream(with) if Arc::ptr_eq(with, stream)) {
                item.holder = Holder::Gone;
                out.lost.push_back(*token);
                out.pasts.remove(token);
            }
        }
        while out.lost.len() > LOST_ITEMS
            && let Some(oldest) = out.lost.pop_front()
        {
            out.items.remove(&oldest);
        }
    }

    /// An episode was answered, or part of one was.
    pub(super) async fn episode(&self, token: Token, response: OrchestratorResponse) -> Result<(), Status> {
        let holder = match self.out().items.get(&token).map(|item| &item.holder) {
            Some(Holder::Stream(stream)) => Some(Arc::clone(stream)),
            Some(Holder::Gone) | None => None,
        };
        let (is_part, is_whole) = (parts::is_partial(&response), parts::is_whole(&response));
        let named = response.instance_id.clone();
        let whole = match &holder {
            Some(stream) => stream.parts().take(token, response),
            // Parts are dropped with their stream.
            None => is_whole.then_some(response),
        };
        match whole {
            Some(whole) => self.done(token, Answer::Orchestrator(token, whole), &named).await,
            None if is_part => Ok(()),
            None => {
                self.given_back(token, Answer::Abandoned(token, "a part of its answer is missing".into()));
                Ok(())
            }
        }
    }

    /// An item was done. Returns when that is on disk: what a worker was told is done is never lost. What is out no
    /// longer, or never was, is counted and dropped: an SDK that were told so would drop its stream.
    pub(super) async fn done(&self, token: Token, answer: Answer, named: &str) -> Result<(), Status> {
        let Some((holder, instance)) = self.taken(token) else {
            return self.landed(named).await;
        };
        let worker = match &holder {
            Holder::Stream(stream) => stream.worker(),
            Holder::Gone => None,
        };
        self.hub.answer_and_land(worker, answer, instance).await.map_err(not_landed)
    }

    /// An item was given back, which nobody waits for.
    pub(super) fn given_back(&self, token: Token, answer: Answer) {
        match self.taken(token) {
            Some((Holder::Stream(stream), _)) => stream.answer(answer),
            Some((Holder::Gone, _)) => self.hub.answer_late(vec![answer]),
            None => {}
        }
    }

    /// An item that was answered is out no longer.
    fn taken(&self, token: Token) -> Option<(Holder, InstanceId)> {
        let item = {
            let mut out = self.out();
            out.pasts.remove(&token);
            out.items.remove(&token)
        };
        let Some(OutItem { holder, instance }) = item else {
            self.stale(&token.to_string());
            return None;
        };
        if let Holder::Stream(stream) = &holder {
            stream.parts().forget(token);
        }
        Some((holder, instance))
    }

    /// An answer without a token came over the connection of these workers. Returns when it is on disk.
    pub(super) async fn done_bare(
        &self,
        workers: Vec<WorkerId>,
        answer: BareAnswer,
        named: &str,
    ) -> Result<(), Status> {
        let found = if workers.is_empty() { None } else { self.hub.answer_bare(workers, answer).await };
        let Some(token) = found else {
            self.stale("none");
            return self.landed(named).await;
        };
        let item = self.out().items.remove(&token);
        match item {
            Some(item) => self.hub.landed(item.instance).await.map_err(not_landed),
            None => self.landed(named).await,
        }
    }

    /// A completion names no item that there could be.
    pub(super) async fn done_of_nothing(&self, token: &str, named: &str) -> Result<(), Status> {
        self.stale(token);
        self.landed(named).await
    }

    /// One that repeats itself waits for what it said first, by the instance that it names.
    async fn landed(&self, named: &str) -> Result<(), Status> {
        if named.is_empty() {
            return Ok(());
        }
        self.hub.landed(InstanceId::new(named)).await.map_err(not_landed)
    }

    /// How many completions were about nothing that was out.
    pub(super) fn stale_completions(&self) -> u64 {
        self.stale.load(Ordering::Relaxed)
    }

    /// A completion is about nothing that is out.
    pub(super) fn stale(&self, token: &str) {
        self.stale.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(token, "a completion of nothing that is out is dropped");
    }
}

fn not_landed(refusal: Refusal) -> Status {
    Status::unavailable(format!("{refusal}; if it was lost, the item is handed out again"))
}

/// A token as text.
pub(super) fn parse(token: &str) -> Option<Token> {
    (token.len() == 16).then(|| u64::from_str_radix(token, 16).ok().map(Token)).flatten()
}
