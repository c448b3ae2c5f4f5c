//! The task hubs of a server, opened when they are first named.

use duramen_hub::Hub;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The hub of those who name none.
pub const DEFAULT_HUB: &str = "default";

/// Hubs that a server opens at most, unless told otherwise.
pub const MOST_HUBS: usize = 32;

/// Opens, or makes, the hub of a name.
pub type OpenHub = dyn Fn(Arc<str>) -> BoxFuture<'static, Result<Hub, String>> + Send + Sync;

/// Which hubs there are.
#[derive(Clone, Debug)]
pub struct HubsOptions {
    /// Only these; any other name is refused with the list. `None` makes a hub when it is named.
    pub only: Option<Vec<String>>,
    /// Hubs that may be open.
    pub most: usize,
}

impl Default for HubsOptions {
    fn default() -> Self {
        Self { only: None, most: MOST_HUBS }
    }
}

/// The task hubs of a server. Clones are the same.
#[derive(Clone)]
pub struct Hubs {
    inner: Arc<Inner>,
}

struct Inner {
    only: Option<Vec<Arc<str>>>,
    most: usize,
    open: Box<OpenHub>,
    /// By name in lower case.
    hubs: Mutex<BTreeMap<Arc<str>, Opening>>,
}

/// A hub that is being opened, or is open. Who asked for it first may go away meanwhile.
type Opening = Shared<BoxFuture<'static, Result<Hub, Arc<str>>>>;

/// A hub and its name.
#[derive(Clone, Debug)]
pub struct NamedHub {
    /// In lower case.
    pub name: Arc<str>,
    /// The hub.
    pub hub: Hub,
}

/// Why a name gives no hub.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HubsError {
    /// The name may not be one.
    #[error("task hub name {name:?} is not allowed: use 3 to 45 letters, digits, `-` and `_`")]
    Name {
        /// The name, cut to 64 characters.
        name: String,
    },
    /// This server has no such hub, and makes none.
    #[error("no task hub {name:?} exists; there are: {}", .known.join(", "))]
    Unknown {
        /// The name.
        name: String,
        /// Those that exist.
        known: Vec<String>,
    },
    /// There are as many hubs as there may be.
    #[error("task hub {name:?} would be one too many: {most} are open already: {}", .open.join(", "))]
    TooMany {
        /// The name.
        name: String,
        /// The limit.
        most: usize,
        /// Those that are open.
        open: Vec<String>,
    },
    /// It could not be opened.
    #[error("failed to open task hub {name:?}: {reason}")]
    Open {
        /// The name.
        name: String,
        /// Why.
        reason: String,
    },
}

impl Hubs {
    /// None are open yet; `open` is called when one is named first, and again if it failed.
    pub fn new(
        options: HubsOptions,
        open: impl Fn(Arc<str>) -> BoxFuture<'static, Result<Hub, String>> + Send + Sync + 'static,
    ) -> Self {
        let only = options.only.map(|names| names.iter().map(|name| name.to_lowercase().into()).collect());
        let inner = Inner { only, most: options.most, open: Box::new(open), hubs: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// The hub of a name, [`DEFAULT_HUB`] without one.
    pub async fn get(&self, name: Option<&str>) -> Result<NamedHub, HubsError> {
        let name = checked(name.filter(|name| !name.is_empty()).unwrap_or(DEFAULT_HUB))?;
        let opening = self.opening(&name)?;
        match opening.clone().await {
            Ok(hub) => Ok(NamedHub { hub, name }),
            Err(reason) => {
                self.forget(&name, &opening);
                Err(HubsError::Open { name: name.to_string(), reason: reason.to_string() })
            }
        }
    }

    /// Those that are open, by name.
    pub fn opened(&self) -> Vec<NamedHub> {
        let hubs = self.hubs();
        let opened = hubs.iter().filter_map(|(name, opening)| Some((name, opening.peek()?.as_ref().ok()?)));
        opened.map(|(name, hub)| NamedHub { name: Arc::clone(name), hub: hub.clone() }).collect()
    }

    fn hubs(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, Opening>> {
        self.inner.hubs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stops all that are open, each with the same patience for what is with its workers; says which
    /// could not end well, and why.
    pub async fn shutdown(&self, patience: Duration) -> Vec<(Arc<str>, duramen_hub::HubError)> {
        let stopping = self.opened().into_iter().map(|NamedHub { name, hub }| async move {
            let stopped = hub.shutdown(patience).await;
            stopped.err().map(|error| (name, error))
        });
        futures::future::join_all(stopping).await.into_iter().flatten().collect()
    }

    fn opening(&self, name: &Arc<str>) -> Result<Opening, HubsError> {
        let mut hubs = self.hubs();
        if let Some(opening) = hubs.get(name) {
            return Ok(opening.clone());
        }
        let texts = |names: &mut dyn Iterator<Item = &Arc<str>>| names.map(|name| name.to_string()).collect();
        if let Some(only) = &self.inner.only
            && !only.contains(name)
        {
            return Err(HubsError::Unknown { name: name.to_string(), known: texts(&mut only.iter()) });
        }
        if hubs.len() >= self.inner.most {
            let open = texts(&mut hubs.keys());
            return Err(HubsError::TooMany { name: name.to_string(), most: self.inner.most, open });
        }
        let opened = tokio::spawn((self.inner.open)(Arc::clone(name)));
        let opening = async move {
            match opened.await {
                Ok(opened) => opened.map_err(Arc::from),
                Err(_) => Err("opening it has panicked; please report it".into()),
            }
        };
        let opening = opening.boxed().shared();
        hubs.insert(Arc::clone(name), opening.clone());
        Ok(opening)
    }

    /// One that could not be opened takes no place.
    fn forget(&self, name: &str, failed: &Opening) {
        let mut hubs = self.hubs();
        // Somebody may have begun anew.
        if hubs.get(name).is_some_and(|opening| opening.ptr_eq(failed)) {
            hubs.remove(name);
        }
    }
}

impl fmt::Debug for Hubs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hubs").field("opened", &self.opened()).finish_non_exhaustive()
    }
}

/// The name in the form by which hubs are told apart.
fn checked(name: &str) -> Result<Arc<str>, HubsError> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !(3..=45).contains(&name.len()) || !name.chars().all(good) {
        return Err(HubsError::Name { name: name.chars().take(64).collect() });
    }
    Ok(name.to_ascii_lowercase().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use duramen_backend::Memory;
    use duramen_hub::Options;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn hubs(options: HubsOptions) -> (Hubs, Arc<AtomicUsize>) {
        let opened = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&opened);
        let hubs = Hubs::new(options, move |name| {
            count.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                if &*name == "broken" {
                    return Err("the disk is gone".into());
                }
                Hub::run(Arc::new(Memory::new()), Options::default()).await.map_err(|error| error.to_string())
            })
        });
        (hubs, opened)
    }

    #[tokio::test]
    async fn names_are_compared_without_case_and_a_hub_is_opened_once() {
        let (hubs, opened) = hubs(HubsOptions::default());
        let both = tokio::join!(hubs.get(Some("Orders")), hubs.get(Some("orders")));
        assert_eq!((both.0.unwrap().name, both.1.unwrap().name), ("orders".into(), "orders".into()));
        assert_eq!(hubs.get(None).await.unwrap().name, "default".into());
        assert_eq!(hubs.get(Some("")).await.unwrap().name, "default".into());
        assert_eq!(opened.load(Ordering::Relaxed), 2);
        assert!(hubs.shutdown(Duration::ZERO).await.is_empty());
    }

    #[tokio::test]
    async fn opening_goes_on_when_the_one_who_asked_goes_away() {
        let (go, gate) = tokio::sync::oneshot::channel::<()>();
        let gate = Mutex::new(Some(gate));
        let hubs = Hubs::new(HubsOptions::default(), move |_| {
            let gate = gate.lock().unwrap().take().expect("it is opened once");
            Box::pin(async move {
                gate.await.map_err(|error| error.to_string())?;
                Hub::run(Arc::new(Memory::new()), Options::default()).await.map_err(|error| error.to_string())
            })
        });
        assert!(futures::poll!(Box::pin(hubs.get(None))).is_pending());
        go.send(()).unwrap();
        hubs.get(None).await.unwrap();
    }

    #[tokio::test]
    async fn a_bad_name_says_what_a_good_one_is() {
        let (hubs, _) = hubs(HubsOptions::default());
        for bad in ["ab", "a b c", "ünicode", "../etc", &"x".repeat(46)] {
            let error = hubs.get(Some(bad)).await.unwrap_err();
            assert!(matches!(error, HubsError::Name { .. }), "{error}");
        }
    }

    #[tokio::test]
    async fn one_too_many_is_refused_with_those_that_are_open() {
        let (hubs, _) = hubs(HubsOptions { most: 2, ..HubsOptions::default() });
        hubs.get(Some("one")).await.unwrap();
        // One that cannot be opened takes no place.
        assert!(hubs.get(Some("broken")).await.unwrap_err().to_string().contains("the disk is gone"));
        hubs.get(Some("two")).await.unwrap();
        let error = hubs.get(Some("three")).await.unwrap_err().to_string();
        assert!(error.contains("one, two"), "{error}");
    }

    #[tokio::test]
    async fn a_server_with_given_hubs_makes_no_others() {
        let (hubs, opened) = hubs(HubsOptions { only: Some(vec!["Orders".into()]), ..HubsOptions::default() });
        hubs.get(Some("ORDERS")).await.unwrap();
        let error = hubs.get(None).await.unwrap_err();
        assert_eq!(error.to_string(), "no task hub \"default\" exists; there are: orders");
        assert_eq!(opened.load(Ordering::Relaxed), 1);
    }
}
