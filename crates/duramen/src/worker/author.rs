//! An orchestrator's future, as a replay drives it.

use super::panics::guard;
use crate::context::{Shared, Start};
use crate::{App, ContinuedAsNew, Error, OrchestrationContext, failure};
use duramen_core::replay::{self, Code, Completion, End};
use duramen_proto::{ExecutionStartedEvent, HistoryEvent, TaskFailureDetails};
use futures::future::LocalBoxFuture;
use prost::Message;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};
use tracing::dispatcher::{Dispatch, with_default};

/// One execution that is in memory.
pub(crate) struct Execution {
    shared: Rc<Shared>,
    author: Author,
}

impl Execution {
    pub(crate) fn new(app: &Arc<App>, instance_id: &str, default_version: Option<Arc<str>>) -> Self {
        let shared = Rc::new(Shared::new());
        let signal = Arc::new(Signal {
            thread: thread::current().id(),
            in_episode: AtomicBool::new(false),
            woken: AtomicBool::new(false),
            foreign: AtomicBool::new(false),
        });
        let author = Author {
            shared: Rc::clone(&shared),
            app: Arc::clone(app),
            instance_id: instance_id.to_string(),
            default_version,
            future: None,
            unknown: None,
            waker: Waker::from(Arc::clone(&signal)),
            signal,
        };
        Self { shared, author }
    }

    /// Runs one episode over encoded events.
    pub(crate) fn episode(&mut self, past: &[bytes::Bytes], new: &[bytes::Bytes]) -> Result<End, prost::DecodeError> {
        let past = past.iter().map(|event| (event, true));
        let events = past.chain(new.iter().map(|event| (event, false)));
        self.run(events.map(|(event, replaying)| Ok((HistoryEvent::decode(&**event)?, replaying))))
    }

    /// Runs one episode over events, each with whether it is replayed.
    pub(crate) fn run<E>(&mut self, events: impl Iterator<Item = Result<(HistoryEvent, bool), E>>) -> Result<End, E> {
        self.author.signal.in_episode.store(true, Ordering::Release);
        for event in events {
            let (event, replaying) = event?;
            replay::feed(&self.shared.replay, &mut self.author, event, replaying);
        }
        self.author.signal.in_episode.store(false, Ordering::Release);
        if let Some(panic) = self.shared.panicked.take() {
            self.shared.replay.borrow_mut().fail(*panic);
        }
        if self.author.signal.foreign.load(Ordering::Acquire) {
            self.fail_not_durable("it was woken by something other than its history");
        } else if self.shared.replay.borrow().is_stranded() {
            self.fail_not_durable("it waits although no task, timer or event is open that could wake it");
        }
        Ok(replay::finish(&self.shared.replay))
    }

    fn fail_not_durable(&self, how: &str) {
        let message = format!(
            "the orchestrator awaited something that is not durable: {how}; {}. Await only what the context gives, and do \
             the rest in an activity",
            self.shared.last_step()
        );
        let details = failure::details("NotDurable", message);
        self.shared.replay.borrow_mut().fail(TaskFailureDetails { is_non_retriable: true, ..details });
    }
}

struct Author {
    shared: Rc<Shared>,
    app: Arc<App>,
    instance_id: String,
    default_version: Option<Arc<str>>,
    future: Option<LocalBoxFuture<'static, Result<String, Error>>>,
    /// There is no such function.
    unknown: Option<Box<TaskFailureDetails>>,
    signal: Arc<Signal>,
    waker: Waker,
}

impl Code for Author {
    fn start(&mut self, started: ExecutionStartedEvent) {
        let found = self.app.find_orchestrator(&started.name);
        let parent = started.parent_instance.and_then(|parent| parent.orchestration_instance);
        let input = started.input.clone();
        self.shared.begin(Start {
            instance_id: std::mem::take(&mut self.instance_id),
            name: started.name,
            version: started.version,
            input: started.input,
            parent_instance_id: parent.map(|parent| parent.instance_id),
            default_version: self.default_version.take(),
        });
        match found {
            Ok(function) => self.future = Some(function(OrchestrationContext::new(Rc::clone(&self.shared)), input)),
            Err(details) => self.unknown = Some(Box::new(details)),
        }
    }

    fn poll(&mut self) -> Poll<Completion> {
        if let Some(details) = self.unknown.take() {
            return Poll::Ready(Completion::Failed(details));
        }
        let replaying = self.shared.replay.borrow().is_replaying();
        let Some(future) = &mut self.future else { return Poll::Pending };
        let mut context = Context::from_waker(&self.waker);
        let polled = loop {
            self.signal.woken.store(false, Ordering::Release);
            let polled = guard(|| {
                if replaying {
                    // What is logged while the code runs over its past was logged before.
                    with_default(&Dispatch::none(), || future.as_mut().poll(&mut context))
                } else {
                    future.as_mut().poll(&mut context)
                }
            });
            match polled {
                // Parts of the code woke each other.
                Ok(Poll::Pending) if self.signal.woken.load(Ordering::Acquire) => {}
                Ok(Poll::Pending) => return Poll::Pending,
                Ok(Poll::Ready(result)) => break Ok(result),
                Err(panic) => break Err(panic),
            }
        };
        let dropped = self.drop_future();
        Poll::Ready(match (polled, dropped) {
            (Err(panic), _) | (_, Err(panic)) => Completion::Failed(panic),
            (Ok(result), Ok(())) => self.completion(result),
        })
    }
}

impl Author {
    fn drop_future(&mut self) -> Result<(), Box<TaskFailureDetails>> {
        let future = self.future.take();
        guard(|| drop(future))
    }

    fn completion(&self, result: Result<String, Error>) -> Completion {
        let continues = match &result {
            Ok(_) => true,
            Err(error) => error.downcast_ref::<ContinuedAsNew>().is_some(),
        };
        let result = match self.shared.continued.take().filter(|_| continues) {
            Some((Ok(input), new_version)) => return Completion::ContinuedAsNew { input: Some(input), new_version },
            Some((Err(error), _)) => Err(error.into()),
            None => result,
        };
        match result {
            Ok(output) => Completion::Completed(Some(output)),
            Err(error) => Completion::Failed(Box::new(error.into_details(&self.app.errors))),
        }
    }
}

impl Drop for Author {
    fn drop(&mut self) {
        // A session that is thrown away has nobody to tell of a panic in a destructor.
        let _ = self.drop_future();
    }
}

/// The waker of an execution. Only its own thread may use it, and only during an episode.
struct Signal {
    thread: ThreadId,
    in_episode: AtomicBool,
    woken: AtomicBool,
    foreign: AtomicBool,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.in_episode.load(Ordering::Acquire) && thread::current().id() == self.thread {
            self.woken.store(true, Ordering::Release);
        } else {
            self.foreign.store(true, Ordering::Release);
        }
    }
}
