//! Waiting for several things.

use futures::stream::{FuturesUnordered, Stream};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Of [`super::OrchestrationContext::all`].
#[must_use = "it waits only when it is awaited"]
pub struct All<F, T, E>
where
    F: Future<Output = Result<T, E>>,
{
    running: FuturesUnordered<Placed<F>>,
    ended: Vec<Option<Result<T, E>>>,
}

impl<F, T, E> All<F, T, E>
where
    F: Future<Output = Result<T, E>>,
{
    pub(super) fn new(tasks: impl IntoIterator<Item = F>) -> Self {
        let running: FuturesUnordered<_> =
            tasks.into_iter().enumerate().map(|(place, task)| Placed { place, task: Box::pin(task) }).collect();
        let ended = (0..running.len()).map(|_| None).collect();
        Self { running, ended }
    }
}

impl<F, T, E> Unpin for All<F, T, E> where F: Future<Output = Result<T, E>> {}

impl<F, T, E> Future for All<F, T, E>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<Vec<T>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        loop {
            match Pin::new(&mut this.running).poll_next(cx) {
                Poll::Ready(Some((place, result))) => this.ended[place] = Some(result),
                Poll::Ready(None) => return Poll::Ready(this.ended.drain(..).flatten().collect()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<F, T, E> fmt::Debug for All<F, T, E>
where
    F: Future<Output = Result<T, E>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("All").field("running", &self.running.len()).finish_non_exhaustive()
    }
}

/// A future that remembers where it stood.
struct Placed<F> {
    place: usize,
    task: Pin<Box<F>>,
}

impl<F: Future> Future for Placed<F> {
    type Output = (usize, F::Output);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let place = self.place;
        self.task.as_mut().poll(cx).map(|output| (place, output))
    }
}

/// Of [`super::OrchestrationContext::any`].
#[must_use = "it waits only when it is awaited"]
pub struct Any<F> {
    tasks: Vec<F>,
}

impl<F: Future + Unpin> Any<F> {
    pub(super) fn new(tasks: impl IntoIterator<Item = F>) -> Self {
        Self { tasks: tasks.into_iter().collect() }
    }
}

impl<F: Future + Unpin> Future for Any<F> {
    type Output = (usize, F::Output);

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let tasks = self.get_mut().tasks.iter_mut().enumerate();
        for (place, task) in tasks {
            if let Poll::Ready(output) = Pin::new(task).poll(cx) {
                return Poll::Ready((place, output));
            }
        }
        Poll::Pending
    }
}

impl<F> fmt::Debug for Any<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Any").field("tasks", &self.tasks.len()).finish_non_exhaustive()
    }
}
