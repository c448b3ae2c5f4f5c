//! The task hubs of a server: which there are, opening them, and stopping them.
//!
//! Each hub that somebody has asked for has a keeper, a task that opens it, looks whether it still runs, opens it again
//! after a pause when it could not be opened or has stopped itself, and shuts it down at the end. Whoever asks for a hub
//! looks at what its keeper says: waits while it opens, gets it, or hears why there is none.

mod keeper;
mod name;

pub use name::{HubName, NameError};

use crate::nearest;
use duramen_hub::{Hub, HubError};
use futures::future::BoxFuture;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Task hubs that a server has at most which makes them when they are named, unless told otherwise.
pub const MOST_HUBS: usize = 32;

/// Opens a hub, or says why it cannot be.
pub type Opener = Box<dyn Fn(HubName) -> BoxFuture<'static, Result<OpenHub, String>> + Send + Sync>;

/// A hub that is open.
#[derive(Clone)]
pub struct OpenHub {
    /// It.
    pub hub: Hub,
    /// Tells how its store is.
    pub store: Arc<dyn Fn() -> StoreState + Send + Sync>,
}

impl From<Hub> for OpenHub {
    /// A hub of whose store nothing is known.
    fn from(hub: Hub) -> Self {
        Self { hub, store: Arc::new(StoreState::default) }
    }
}

/// How the store of a hub is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct StoreState {
    /// Bytes that are durable and not settled.
    pub unsettled_bytes: u64,
    /// Settling waits for space on the disk. Nothing is lost, but once too much is not settled appends wait.
    pub no_space: bool,
}

/// A hub and its name.
#[derive(Clone, Debug)]
pub struct NamedHub {
    /// Its name.
    pub name: HubName,
    /// The hub. It may be another one the next time, if it had to be opened again.
    pub hub: Hub,
}

/// Which hubs a server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubsOptions {
    /// These and no others. `None` makes a hub when it is named.
    pub only: Option<Vec<HubName>>,
    /// Hubs that were made before, of a server that makes them.
    pub there: Vec<HubName>,
    /// Hubs that a server has at most which makes them.
    pub most: usize,
}

impl Default for HubsOptions {
    fn default() -> Self {
        Self { only: None, there: Vec::new(), most: MOST_HUBS }
    }
}

/// Why somebody does not get a hub.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HubsError {
    /// What was given is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The server has no such hub, and makes none.
    #[error("there is no task hub {name:?}{}; there are: {}", meant(.near.as_deref()), .there.join(", "))]
    Unknown {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        near: Option<String>,
        /// What there is.
        there: Vec<String>,
    },
    /// The server makes no more hubs.
    #[error(
        "there are {} task hubs, and {name:?} would be one too many; use one of: {}; or stop the server and remove the folder of one that is not needed",
        .there.len(), .there.join(", ")
    )]
    TooMany {
        /// What was asked for.
        name: String,
        /// What there is.
        there: Vec<String>,
    },
    /// It could not be opened, or has stopped itself; it will be tried again by itself.
    #[error("task hub {name:?} is not open: {reason}. It is tried again every few seconds")]
    Closed {
        /// Which.
        name: String,
        /// Why.
        reason: String,
    },
    /// The server is going down.
    #[error("the server is stopping; try again when it is back")]
    Stopping,
}

fn meant(near: Option<&str>) -> String {
    near.map(|near| format!(", did you mean {near:?}?")).unwrap_or_default()
}

/// What a hub is doing.
#[derive(Clone)]
pub enum Phase {
    /// It is being opened.
    Opening,
    /// It runs.
    Open(OpenHub),
    /// It could not be opened, or has stopped itself.
    Closed(Arc<str>),
    /// It was shut down.
    Ended,
}

/// A hub and what it is doing.
pub struct HubState {
    /// Its name.
    pub name: HubName,
    /// `None` if nobody has asked for it yet.
    pub phase: Option<Phase>,
}

/// The task hubs of a server. Clones are handles of the same ones.
#[derive(Clone)]
pub struct Hubs {
    registry: Arc<Registry>,
}

struct Registry {
    open: Opener,
    /// How many there may be, if it makes hubs.
    most: Option<usize>,
    hubs: Mutex<BTreeMap<HubName, Option<Kept>>>,
    /// Once it is set, with the patience: keepers stop.
    stop: watch::Sender<Option<Duration>>,
}

/// A hub that somebody has asked for.
struct Kept {
    phase: watch::Receiver<Phase>,
    /// Until somebody waits for it to end.
    keeper: Option<JoinHandle<Result<(), HubError>>>,
}

impl Hubs {
    /// None of them is open yet.
    pub fn new(
        options: HubsOptions,
        open: impl Fn(HubName) -> BoxFuture<'static, Result<OpenHub, String>> + Send + Sync + 'static,
    ) -> Self {
        let most = options.only.is_none().then_some(options.most);
        let hubs = options.only.unwrap_or(options.there).into_iter().map(|name| (name, None)).collect();
        let stop = watch::Sender::new(None);
        Self { registry: Arc::new(Registry { open: Box::new(open), most, hubs: Mutex::new(hubs), stop }) }
    }

    /// The hub of this name; the default one without a name, or with an empty one. Opens it if nobody has asked for it
    /// before.
    pub async fn get(&self, name: Option<&str>) -> Result<NamedHub, HubsError> {
        let name = name.filter(|name| !name.is_empty()).map_or_else(|| Ok(HubName::default()), str::parse)?;
        let mut phase = self.registry.phase(&name)?;
        let phase = phase.wait_for(|phase| !matches!(phase, Phase::Opening)).await;
        match phase.as_deref() {
            Ok(Phase::Open(open)) => Ok(NamedHub { hub: open.hub.clone(), name }),
            Ok(Phase::Closed(reason)) => Err(HubsError::Closed { name: name.to_string(), reason: reason.to_string() }),
            // A keeper that is gone without a word was ended with its runtime.
            Ok(Phase::Ended) | Err(_) => Err(HubsError::Stopping),
            Ok(Phase::Opening) => unreachable!("it was waited for"),
        }
    }

    /// All hubs, by name, and what they are doing.
    pub fn states(&self) -> Vec<HubState> {
        let hubs = self.registry.hubs();
        let phase = |kept: &Kept| kept.phase.borrow().clone();
        hubs.iter().map(|(name, kept)| HubState { name: name.clone(), phase: kept.as_ref().map(phase) }).collect()
    }

    /// Whether [`Hubs::shutdown`] was called.
    pub fn is_stopping(&self) -> bool {
        self.registry.stop.borrow().is_some()
    }

    /// Shuts all hubs down and lets none open again. What is with workers may be answered for as long as `patience`, so
    /// a hub that is open is still given to those who ask for it; it takes nothing else any more.
    /// Gives the errors of those that did not close well.
    pub async fn shutdown(&self, patience: Duration) -> Vec<(HubName, HubError)> {
        self.registry.stop.send_replace(Some(patience));
        let keepers: Vec<_> = {
            let mut hubs = self.registry.hubs();
            hubs.iter_mut().filter_map(|(name, kept)| Some((name.clone(), kept.as_mut()?.keeper.take()?))).collect()
        };
        let mut errors = Vec::new();
        for (name, keeper) in keepers {
            match keeper.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => errors.push((name, error)),
                Err(panic) => errors.push((name, HubError::Internal(panic.to_string()))),
            }
        }
        errors
    }
}

impl Registry {
    /// What the keeper of a hub says; there is one from now on.
    fn phase(self: &Arc<Self>, name: &HubName) -> Result<watch::Receiver<Phase>, HubsError> {
        let mut hubs = self.hubs();
        if let Some(Some(kept)) = hubs.get(name) {
            return Ok(kept.phase.clone());
        }
        // Under the lock of the hubs: whoever shuts down says so before it looks which keepers there are.
        if self.stop.borrow().is_some() {
            return Err(HubsError::Stopping);
        }
        if !hubs.contains_key(name) {
            self.may_make(name, &hubs)?;
        }
        let (say, phase) = watch::channel(Phase::Opening);
        let keeper = tokio::spawn(keeper::keep(Arc::clone(self), name.clone(), say));
        hubs.insert(name.clone(), Some(Kept { phase: phase.clone(), keeper: Some(keeper) }));
        Ok(phase)
    }

    fn may_make(&self, name: &HubName, hubs: &BTreeMap<HubName, Option<Kept>>) -> Result<(), HubsError> {
        let there = || hubs.keys().map(HubName::to_string).collect();
        let near = || nearest(name.as_str(), hubs.keys().map(HubName::as_str)).map(str::to_owned);
        match self.most {
            Some(most) if hubs.len() < most => Ok(()),
            Some(_) => Err(HubsError::TooMany { name: name.to_string(), there: there() }),
            None => Err(HubsError::Unknown { name: name.to_string(), near: near(), there: there() }),
        }
    }

    fn hubs(&self) -> MutexGuard<'_, BTreeMap<HubName, Option<Kept>>> {
        self.hubs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
