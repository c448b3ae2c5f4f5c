//! Lists of instances, page by page.

use super::{Client, ClientError, Filter, Instance};
use duramen_backend::{Order, Query};
use duramen_core::time::Time;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

/// Rows of a page, unless told otherwise.
const PAGE: usize = 100;

/// A list that is being asked for. Awaiting it gives the first page, or the one at [`List::after`].
#[must_use = "nothing is asked before it is awaited"]
pub struct List {
    client: Client,
    query: Query,
    after: Option<Cursor>,
}

/// Where a page ended. It is a text, which may be kept and given back later, by another process too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(String);

impl From<String> for Cursor {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Some instances.
#[derive(Clone, Debug)]
pub struct Page {
    /// In the list's order. Their histories are not with them.
    pub instances: Vec<Instance>,
    /// Where to go on with [`List::after`]; absent when nothing is left. A page may hold fewer instances
    /// than it might, none even, and still not be the last.
    pub next: Option<Cursor>,
    /// When the instances were as they are shown. Absent when the page shows all that was on disk when it was
    /// asked for: a list waits up to a second for the store to get that far, and says so when it did not.
    pub as_of: Option<Time>,
}

impl Client {
    /// Lists instances as they are on disk, in the order in which they were created, or by id when the
    /// filter has a prefix.
    pub fn list(&self, filter: Filter) -> List {
        let query = Query { limit: PAGE, ..filter.into_query() };
        List { client: self.clone(), query, after: None }
    }
}

impl List {
    /// Instances of a page; at least 1, 100 unless told otherwise.
    pub fn page_size(mut self, size: usize) -> Self {
        self.query.limit = size.max(1);
        self
    }

    /// By the time at which they ended; those that have not ended are left out.
    pub fn by_completion(mut self) -> Self {
        self.query.order = Order::Completed;
        self
    }

    /// Goes on where a page ended.
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// All pages, one after the other, in memory.
    pub async fn all(mut self) -> Result<Vec<Instance>, ClientError> {
        let mut all = Vec::new();
        loop {
            let page = self.page().await?;
            all.extend(page.instances);
            match page.next {
                Some(next) => self.after = Some(next),
                None => return Ok(all),
            }
        }
    }

    async fn page(&self) -> Result<Page, ClientError> {
        self.client.query(&self.query, self.after.as_ref()).await
    }
}

#[cfg(feature = "hub")]
impl Page {
    pub(super) fn new(page: duramen_backend::Page) -> Self {
        let instances = page.rows.into_iter().map(|row| Instance::new(row.into_state())).collect();
        Self { instances, next: page.next.map(|next| Cursor(next.to_string())), as_of: page.as_of }
    }
}

impl Cursor {
    /// The place that it stands for in a list.
    pub(crate) fn place(&self, query: &Query) -> Result<duramen_backend::Cursor, ClientError> {
        query.place(&self.0).ok_or_else(|| ClientError::Cursor(self.0.chars().take(64).collect()))
    }
}

impl IntoFuture for List {
    type Output = Result<Page, ClientError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.page().await })
    }
}
