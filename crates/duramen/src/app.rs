//! The functions that a worker can run.

use crate::callee::{Activity, Orchestrator};
use crate::failure::{self, DurableError, DurableErrors};
use crate::{ActivityContext, Error, OrchestrationContext};
use duramen_core::work::Filters;
use duramen_proto::TaskFailureDetails;
use futures::future::{BoxFuture, LocalBoxFuture};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

pub(crate) type ActivityFn =
    Arc<dyn Fn(ActivityContext, Option<String>) -> BoxFuture<'static, Result<String, Error>> + Send + Sync>;
pub(crate) type OrchestratorFn =
    Arc<dyn Fn(OrchestrationContext, Option<String>) -> LocalBoxFuture<'static, Result<String, Error>> + Send + Sync>;

/// The orchestrators and activities of a program. Names are compared without case.
///
/// ```
/// # use duramen::prelude::*;
/// # #[activity]
/// # async fn say_hello(_: ActivityContext, name: String) -> Result<String> { Ok(name) }
/// # #[orchestrator]
/// # async fn hello_cities(_: OrchestrationContext, _: ()) -> Result<()> { Ok(()) }
/// let app = App::new().orchestrator(HelloCities).activity(SayHello);
/// ```
#[derive(Clone, Default)]
pub struct App {
    orchestrators: Registry<OrchestratorFn>,
    activities: Registry<ActivityFn>,
    pub(crate) errors: DurableErrors,
    only_registered: bool,
}

/// Activities that share what they need, as an `impl` under `#[activities]` makes them.
pub trait Activities: Send + Sync + 'static {
    /// Adds each of them.
    fn register(self: Arc<Self>, app: App) -> App;
}

impl App {
    /// One that can run nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an orchestrator.
    ///
    /// # Panics
    ///
    /// When there is one of this name.
    #[must_use]
    pub fn orchestrator<F: Orchestrator>(mut self, _: F) -> Self {
        self.orchestrators.add("orchestrator", F::NAME, Arc::new(F::invoke));
        self
    }

    /// Adds an activity.
    ///
    /// # Panics
    ///
    /// When there is one of this name.
    #[must_use]
    pub fn activity<F: Activity>(mut self, _: F) -> Self {
        self.activities.add("activity", F::NAME, Arc::new(F::invoke));
        self
    }

    /// Adds the activities of an `impl` under `#[activities]`, with the value they work on.
    ///
    /// # Panics
    ///
    /// When there is one of the same name as one of them.
    #[must_use]
    pub fn activities(self, value: impl Activities) -> Self {
        Arc::new(value).register(self)
    }

    /// Makes errors of this type travel whole also out of functions that return [`crate::Result`].
    #[must_use]
    pub fn error<E: DurableError>(mut self) -> Self {
        self.errors.add::<E>();
        self
    }

    /// Takes only work for the functions that were added. Otherwise work for an unknown function
    /// fails with the nearest name; with this it waits for another worker.
    #[must_use]
    pub fn only_registered(mut self) -> Self {
        self.only_registered = true;
        self
    }

    /// Adds an activity by hand: what `#[activities]` expands to.
    #[doc(hidden)]
    #[must_use]
    pub fn activity_fn<F>(mut self, name: &str, run: F) -> Self
    where
        F: Fn(ActivityContext, Option<String>) -> BoxFuture<'static, Result<String, Error>> + Send + Sync + 'static,
    {
        self.activities.add("activity", name, Arc::new(run));
        self
    }

    /// Puts an activity in the place of one of the same name, or adds it: for mocks.
    #[cfg_attr(not(feature = "testing"), expect(dead_code, reason = "for the testing kit"))]
    pub(crate) fn replace_activity(&mut self, name: &str, run: ActivityFn) {
        self.activities.0.insert(name.to_lowercase(), (name.to_string(), run));
    }

    /// Puts an orchestrator in the place of one of the same name, or adds it: for mocks.
    #[cfg_attr(not(feature = "testing"), expect(dead_code, reason = "for the testing kit"))]
    pub(crate) fn replace_orchestrator(&mut self, name: &str, run: OrchestratorFn) {
        self.orchestrators.0.insert(name.to_lowercase(), (name.to_string(), run));
    }

    pub(crate) fn find_orchestrator(&self, name: &str) -> Result<OrchestratorFn, TaskFailureDetails> {
        self.orchestrators
            .find(name)
            .ok_or_else(|| self.orchestrators.unknown("orchestrator", "OrchestratorTaskNotFound", name))
    }

    pub(crate) fn find_activity(&self, name: &str) -> Result<ActivityFn, TaskFailureDetails> {
        self.activities.find(name).ok_or_else(|| self.activities.unknown("activity", "ActivityTaskNotFound", name))
    }

    pub(crate) fn filters(&self) -> Option<Filters> {
        self.only_registered.then(|| self.registered())
    }

    /// Filters for the functions that were added.
    pub(crate) fn registered(&self) -> Filters {
        Filters {
            orchestrators: self.orchestrators.names().map(|name| (name, Vec::new())).collect(),
            activities: self.activities.names().map(|name| (name, Vec::new())).collect(),
        }
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("orchestrators", &self.orchestrators.names().collect::<Vec<_>>())
            .field("activities", &self.activities.names().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

/// By name in lower case, with the name as it was given.
#[derive(Clone)]
struct Registry<F>(HashMap<String, (String, F)>);

impl<F> Default for Registry<F> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<F: Clone> Registry<F> {
    fn add(&mut self, what: &'static str, name: &str, run: F) {
        if let Err(problem) = duramen_core::limits::check_name(what, name) {
            panic!("{problem}");
        }
        let before = self.0.insert(name.to_lowercase(), (name.to_string(), run));
        assert!(before.is_none(), "two functions were added as {what} {name:?}; give one of them another name");
    }

    fn find(&self, name: &str) -> Option<F> {
        self.0.get(&name.to_lowercase()).map(|(_, run)| run.clone())
    }

    fn names(&self) -> impl Iterator<Item = String> {
        let mut names: Vec<String> = self.0.values().map(|(name, _)| name.clone()).collect();
        names.sort();
        names.into_iter()
    }

    fn unknown(&self, what: &str, error_type: &str, name: &str) -> TaskFailureDetails {
        let near = self.names().min_by_key(|known| distance(&known.to_lowercase(), &name.to_lowercase()));
        let hint = match near {
            Some(near) => format!("the nearest that it has is {near:?}"),
            None => "it has none at all".to_string(),
        };
        let message = format!("the worker has no {what} named {name:?}; {hint}. Add it to the App, or mend the name");
        TaskFailureDetails { is_non_retriable: true, ..failure::details(error_type, message) }
    }
}

/// How many characters must be put in, taken out or changed to make one text the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let changed = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_the_one_with_the_least_changes() {
        assert_eq!(distance("sayhello", "sayhelo"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    #[should_panic(expected = "two functions were added as activity \"a\"")]
    fn a_name_is_given_once() {
        let run = |_, _| Box::pin(async { Ok(String::new()) }) as BoxFuture<'static, _>;
        let _ = App::new().activity_fn("A", run).activity_fn("a", run);
    }
}
