//! Writing what a settle changes.

use super::{Contents, Instance};
use crate::Damage;
use crate::buffer::{drop_range, tasks_of};
use crate::rows::{Changes, InstanceChange, InstanceWrite, RowChange, RunChange};
use bytes::Bytes;
use duramen_core::checkpoint::{Head, Tail};
use duramen_core::planted::{self, Bug};
use duramen_core::time::Time;
use duramen_proto::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

impl Contents {
    /// Writes changes. After an error the rows are of no use any more.
    pub(super) fn apply(&mut self, changes: Changes) -> Result<(), Damage> {
        for (birth, _) in changes.instances.iter().filter(|(_, change)| **change == InstanceChange::Gone) {
            self.purge(*birth)?;
        }
        for (run, _) in changes.runs.iter().filter(|(_, change)| change.closed) {
            self.close_run(*run);
        }
        for (birth, change) in changes.instances {
            if let InstanceChange::Written(write) = change {
                self.write_instance(birth, *write)?;
            }
        }
        for (run, change) in changes.runs {
            if !change.closed {
                self.write_history(run, change)?;
            }
        }
        write(&mut self.inbox, changes.inbox, |(run, number)| ("inbox entry", number, run))?;
        write(&mut self.tasks, changes.tasks, |key| ("task", key.number, key.birth))?;
        write(&mut self.timers, changes.timers, |(run, number)| ("timer", number, run))?;
        for (pair, sequence) in changes.sent {
            grow("Sent", self.sent.entry(pair).or_default(), sequence)?;
        }
        for (pair, sequence) in changes.received {
            grow("Received", self.received.entry(pair).or_default(), sequence)?;
        }
        self.outbox.extend(changes.outbox);
        for (pair, sequence) in changes.acknowledged {
            let last = self.sent.get(&pair).copied().unwrap_or(0);
            if sequence > last {
                return Err(Damage::OutOfOrder { change: "Acknowledged", number: sequence, last });
            }
            drop_range(&mut self.outbox, (pair.0, pair.1, 0)..=(pair.0, pair.1, sequence));
        }
        self.standing = changes.standing.or(self.standing);
        Ok(())
    }

    fn purge(&mut self, birth: u64) -> Result<(), Damage> {
        let row = self.instances.remove(&birth).ok_or(Damage::NoInstance { change: "Purged", birth })?;
        if !planted::has(Bug::PurgeLeavesTask) {
            drop_range(&mut self.tasks, tasks_of(birth));
        }
        self.by_id.remove(&row.id);
        self.by_created.remove(&(time(row.head.created), birth));
        if row.tail.completed.is_some() {
            self.by_completed.remove(&(time(row.tail.completed), row.id));
        }
        if let Some(parent) = row.head.parent {
            self.by_parent.remove(&(Arc::from(parent.id), birth));
        }
        Ok(())
    }

    fn close_run(&mut self, run: u64) {
        self.histories.remove(&run);
        drop_range(&mut self.inbox, (run, 0)..=(run, u64::MAX));
        drop_range(&mut self.timers, (run, 0)..=(run, u64::MAX));
    }

    fn write_instance(&mut self, birth: u64, write: InstanceWrite) -> Result<(), Damage> {
        let InstanceWrite { new, head, tail, custom_status } = write;
        if let Some((head, input)) = head {
            self.write_head(birth, new, head, input)?;
        }
        if let Some((tail, output)) = tail {
            self.write_tail(birth, tail, output)?;
        }
        if let Some(status) = custom_status {
            let row = self.instances.get_mut(&birth).ok_or(Damage::NoInstance { change: "CustomStatus", birth })?;
            row.custom_status = Some(status);
        }
        Ok(())
    }

    fn write_head(&mut self, birth: u64, new: bool, head: Head, input: Option<Bytes>) -> Result<(), Damage> {
        let created = time(head.created);
        let parent = head.parent.as_ref().map(|parent| Arc::from(parent.id.as_str()));
        if new {
            let id: Arc<str> = Arc::from(head.id.as_str());
            if let Some(other) = self.by_id.insert(id.clone(), birth) {
                return Err(Damage::IdTaken { id: head.id, birth, other });
            }
            let tail = Tail { birth, ..Tail::default() };
            let row = Instance { id, head, input, tail, output: None, custom_status: None };
            self.instances.insert(birth, row);
        } else {
            let row = self.instances.get_mut(&birth).ok_or(Damage::NoInstance { change: "Head", birth })?;
            self.by_created.remove(&(time(row.head.created), birth));
            if let Some(parent) = &row.head.parent {
                self.by_parent.remove(&(Arc::from(parent.id.as_str()), birth));
            }
            row.head = head;
            row.input = input;
        }
        self.by_created.insert((created, birth));
        self.by_parent.extend(parent.map(|parent| (parent, birth)));
        Ok(())
    }

    fn write_tail(&mut self, birth: u64, tail: Tail, output: Option<Bytes>) -> Result<(), Damage> {
        let row = self.instances.get_mut(&birth).ok_or(Damage::NoInstance { change: "Tail", birth })?;
        if row.tail.completed != tail.completed {
            if row.tail.completed.is_some() {
                self.by_completed.remove(&(time(row.tail.completed), row.id.clone()));
            }
            if tail.completed.is_some() {
                self.by_completed.insert((time(tail.completed), row.id.clone()), birth);
            }
        }
        row.tail = tail;
        row.output = output;
        Ok(())
    }

    fn write_history(&mut self, run: u64, change: RunChange) -> Result<(), Damage> {
        if change.events.is_empty() && !change.rewritten {
            return Ok(());
        }
        let history = self.histories.entry(run).or_default();
        if change.rewritten {
            history.clear();
        }
        let last = history.len() as u64;
        if change.first != last {
            return Err(Damage::OutOfOrder { change: "History", number: change.first, last });
        }
        history.extend(change.events);
        Ok(())
    }
}

/// Writes rows of one kind; `name` says what a key stands for: the kind, its number, and whose it is.
fn write<K: Ord + Copy, T>(
    rows: &mut BTreeMap<K, T>,
    changes: BTreeMap<K, RowChange<T>>,
    name: impl Fn(K) -> (&'static str, u64, u64),
) -> Result<(), Damage> {
    for (key, change) in changes {
        let expected = !matches!(change, RowChange::New(_));
        let found = match change {
            RowChange::New(row) | RowChange::Replaced(row) => rows.insert(key, row).is_some(),
            RowChange::Gone => rows.remove(&key).is_some(),
        };
        let (what, number, of) = name(key);
        match (expected, found) {
            (true, false) => return Err(Damage::NoRow { change: "a settle", what, number, of }),
            (false, true) => return Err(Damage::OutOfOrder { change: "a settle", number, last: number }),
            (true, true) | (false, false) => {}
        }
    }
    Ok(())
}

fn grow(change: &'static str, last: &mut u64, number: u64) -> Result<(), Damage> {
    if number <= *last {
        return Err(Damage::OutOfOrder { change, number, last: *last });
    }
    *last = number;
    Ok(())
}

pub(super) fn time(at: Option<Timestamp>) -> Time {
    at.map_or(Time::EPOCH, Time::from)
}
