//! The items that the worker has in hand, and how their answers must be addressed.

use crate::worker::lock;
use duramen_core::ids::{InstanceId, Token};
use duramen_core::work::WorkKind;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

/// What is in hand, whatever stream it came over.
#[derive(Default)]
pub(super) struct Held {
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    items: HashMap<Token, Item>,
    /// Tokens are the worker's own: the server's are texts that only it reads.
    last: u64,
    /// Executions whose code never came back. There are no more of them than threads that were written off.
    stuck: HashSet<Arc<str>>,
}

/// An item in hand.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) completion_token: String,
    pub(super) instance: InstanceId,
    pub(super) execution_id: Arc<str>,
    pub(super) kind: WorkKind,
}

impl Held {
    /// Takes an item in hand, under a token of the worker's.
    pub(super) fn take(&self, item: Item) -> Token {
        let mut table = lock(&self.table);
        table.last += 1;
        let token = Token(table.last);
        table.items.insert(token, item);
        token
    }

    /// The item is about to be answered.
    pub(super) fn answered(&self, token: Token) -> Option<Item> {
        lock(&self.table).items.remove(&token)
    }

    /// The item's code never came back: the worker will not touch its execution again.
    pub(super) fn written_off(&self, token: Token) -> Option<Item> {
        let mut table = lock(&self.table);
        let item = table.items.remove(&token)?;
        table.stuck.insert(Arc::clone(&item.execution_id));
        Some(item)
    }

    pub(super) fn is_stuck(&self, execution_id: &str) -> bool {
        lock(&self.table).stuck.contains(execution_id)
    }

    /// Everything that is in hand, which it is no longer.
    pub(super) fn give_up(&self) -> Vec<Item> {
        lock(&self.table).items.drain().map(|(_, item)| item).collect()
    }
}
