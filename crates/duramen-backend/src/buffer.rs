//! Folding checkpoints into what a settle writes.
//!
//! Checkpoints are folded in journal order. Changes of one row cancel out: an instance that began and
//! ended since the last settle comes to one row and one history, and an inbox entry that arrived and
//! was taken to nothing. What a checkpoint points to is looked up here first, and then in the rows.

use crate::Damage;
use crate::rows::{Changes, InstanceChange, InstanceWrite, RowChange, Rows, RowsError, RunChange, Standing};
use bytes::Bytes;
use duramen_core::checkpoint::{
    Arrived, Change, Checkpoint, Head, HistoryParts, PairMark, Part, Place, Purged, Sent, Tail, Taken, Task, TaskKey,
    Text, Timer, TimerKey,
};
use duramen_core::planted::{self, Bug};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::RangeInclusive;

/// What the checkpoints since the last settle amount to.
#[derive(Debug, Default)]
pub struct Buffer {
    changes: Changes,
}

/// The input of a head whose inbox entry arrives later in the same checkpoint.
struct Promised {
    birth: u64,
    sequence: u64,
    text: Text,
}

/// The keys that the tasks of an instance can have.
pub(crate) fn tasks_of(birth: u64) -> RangeInclusive<TaskKey> {
    TaskKey { birth, number: 0 }..=TaskKey { birth, number: u64::MAX }
}

impl Buffer {
    /// Whether a settle would change nothing but the position.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// What a settle has to write, and what the rows stand for then.
    pub fn changes(&mut self, standing: Standing) -> &Changes {
        self.changes.standing = Some(standing);
        &self.changes
    }

    /// It is written.
    pub fn clear(&mut self) {
        self.changes = Changes::default();
    }

    /// Folds the next checkpoint. After an error the buffer is of no use any more.
    pub fn fold(&mut self, checkpoint: Checkpoint, rows: &impl Rows) -> Result<(), RowsError> {
        let number = checkpoint.number;
        let mut folding = Folding { changes: &mut self.changes, rows, promised: Vec::new() };
        for delta in checkpoint.deltas {
            folding.change(delta.change.ok_or(Damage::UnknownChange { number })?)?;
        }
        match folding.promised.first() {
            None => Ok(()),
            Some(Promised { sequence, text, .. }) => {
                Err(Damage::NoRow { change: "Head", what: "inbox entry", number: *sequence, of: text.run }.into())
            }
        }
    }
}

struct Folding<'a, R> {
    changes: &'a mut Changes,
    rows: &'a R,
    promised: Vec<Promised>,
}

impl<R: Rows> Folding<'_, R> {
    fn change(&mut self, change: Change) -> Result<(), RowsError> {
        match change {
            Change::Head(head) => self.head(*head),
            Change::Tail(tail) => self.tail(*tail),
            Change::CustomStatus(status) => {
                let write = self.instance("CustomStatus", status.birth)?;
                write.custom_status = Some(status);
                Ok(())
            }
            Change::Arrived(arrived) => self.arrived(arrived),
            Change::Taken(taken) => self.taken(&taken),
            Change::History(parts) => self.history(parts),
            Change::RunClosed(closed) => {
                self.close_run(closed.run);
                Ok(())
            }
            Change::Task(task) => self.task(task),
            Change::TaskClosed(key) => self.task_closed(key),
            Change::Timer(timer) => self.timer(timer),
            Change::TimerClosed(key) => self.timer_closed(key),
            Change::Purged(purged) => self.purged(purged),
            Change::Sent(sent) => self.sent(sent),
            Change::Acknowledged(mark) => self.acknowledged(mark),
            Change::Received(mark) => grow("Received", &mut self.changes.received, mark),
        }
    }

    /// The write of an instance that exists.
    fn instance(&mut self, change: &'static str, birth: u64) -> Result<&mut InstanceWrite, Damage> {
        let entry = self.changes.instances.entry(birth);
        match entry.or_insert_with(|| InstanceChange::Written(Box::default())) {
            InstanceChange::Written(write) => Ok(write),
            InstanceChange::Gone => Err(Damage::NoInstance { change, birth }),
        }
    }

    fn head(&mut self, head: Head) -> Result<(), RowsError> {
        const CHANGE: &str = "Head";
        let Head { birth, run, begins_run, .. } = head;
        if begins_run {
            let begun = RunChange { new: true, ..RunChange::default() };
            if self.changes.runs.insert(run, begun).is_some() {
                return Err(Damage::OutOfOrder { change: CHANGE, number: run, last: run }.into());
            }
        }
        let input = match &head.input {
            Some(text) => self.input(birth, text)?,
            None => None,
        };
        let write = self.instance(CHANGE, birth)?;
        write.new |= begins_run && birth == run;
        write.head = Some((head, input));
        Ok(())
    }

    /// The text of an input, unless its event is still to arrive.
    fn input(&mut self, birth: u64, text: &Text) -> Result<Option<Bytes>, RowsError> {
        if let Some(Part { place: Some(Place::Inbox(sequence)) }) = text.part
            && !self.changes.inbox.contains_key(&(text.run, sequence))
        {
            self.promised.push(Promised { birth, sequence, text: text.clone() });
            return Ok(None);
        }
        self.text("Head", birth, text).map(Some)
    }

    fn tail(&mut self, tail: Tail) -> Result<(), RowsError> {
        const CHANGE: &str = "Tail";
        let birth = tail.birth;
        let output = tail.output.as_ref().map(|text| self.text(CHANGE, birth, text)).transpose()?;
        self.instance(CHANGE, birth)?.tail = Some((tail, output));
        Ok(())
    }

    fn arrived(&mut self, arrived: Arrived) -> Result<(), RowsError> {
        let Arrived { birth, run, sequence, event } = arrived;
        if let Some(at) =
            self.promised.iter().position(|promised| (promised.text.run, promised.sequence) == (run, sequence))
        {
            let Promised { birth, text, .. } = self.promised.swap_remove(at);
            let input = cut("Head", &event, birth, &text)?;
            if let Some((head, place)) = &mut self.instance("Head", birth)?.head
                && head.run == run
            {
                *place = Some(input);
            }
        }
        match self.changes.inbox.insert((run, sequence), RowChange::New((birth, event))) {
            None => Ok(()),
            Some(_) => Err(Damage::OutOfOrder { change: "Arrived", number: sequence, last: sequence }.into()),
        }
    }

    fn taken(&mut self, taken: &Taken) -> Result<(), RowsError> {
        for &sequence in &taken.sequences {
            if !remove(&mut self.changes.inbox, (taken.run, sequence)) {
                let of = taken.run;
                return Err(Damage::NoRow { change: "Taken", what: "inbox entry", number: sequence, of }.into());
            }
        }
        Ok(())
    }

    fn history(&mut self, history: HistoryParts) -> Result<(), RowsError> {
        const CHANGE: &str = "History";
        let HistoryParts { run, parts, replace, first } = history;
        // Parts that point into the history mean the one that was there, so all are resolved first.
        let mut events = Vec::with_capacity(parts.len());
        for part in parts {
            events.push(self.event(CHANGE, Some(part), run)?);
        }
        let row = self.changes.runs.entry(run).or_default();
        if row.closed {
            return Err(Damage::NoRun { change: CHANGE, run }.into());
        }
        if replace {
            *row = RunChange { new: row.new, rewritten: !row.new, events, ..RunChange::default() };
            return Ok(());
        }
        let begun = row.new || row.rewritten || !row.events.is_empty();
        let end = row.first + row.events.len() as u64;
        if begun && first != end {
            return Err(Damage::OutOfOrder { change: CHANGE, number: first, last: end }.into());
        }
        if !begun {
            row.first = first;
        }
        if planted::has(Bug::FoldedTwice) {
            row.events.extend_from_slice(&events);
        }
        row.events.append(&mut events);
        Ok(())
    }

    fn task(&mut self, mut task: Task) -> Result<(), RowsError> {
        const CHANGE: &str = "Task";
        let key = task.key.ok_or(Damage::NoField { change: CHANGE, field: "key" })?;
        let unknown = || Damage::NoRow { change: CHANGE, what: "task", number: key.number, of: key.birth };
        let known = match self.changes.tasks.remove(&key) {
            None if task.again => RowChange::Replaced(self.rows.task(key)?.ok_or_else(unknown)?),
            Some(RowChange::Gone) => return Err(unknown().into()),
            None => RowChange::New(Task::default()),
            Some(known) => known,
        };
        task.again = false;
        let change = match known {
            RowChange::New(known) => RowChange::New(merge(task, known)),
            RowChange::Replaced(known) => RowChange::Replaced(merge(task, known)),
            RowChange::Gone => unreachable!("it was refused above"),
        };
        if let RowChange::New(task) | RowChange::Replaced(task) = &change {
            let (event, run) = (task.event.clone(), task.run);
            self.event(CHANGE, event, run)?;
        }
        self.changes.tasks.insert(key, change);
        Ok(())
    }

    fn task_closed(&mut self, key: TaskKey) -> Result<(), RowsError> {
        match remove(&mut self.changes.tasks, key) {
            true => Ok(()),
            false => {
                Err(Damage::NoRow { change: "TaskClosed", what: "task", number: key.number, of: key.birth }.into())
            }
        }
    }

    fn timer(&mut self, timer: Timer) -> Result<(), RowsError> {
        let key = timer.key.ok_or(Damage::NoField { change: "Timer", field: "key" })?;
        match self.changes.timers.insert((key.run, key.number), RowChange::New(timer)) {
            None => Ok(()),
            Some(_) => Err(Damage::OutOfOrder { change: "Timer", number: key.number, last: key.number }.into()),
        }
    }

    fn timer_closed(&mut self, key: TimerKey) -> Result<(), RowsError> {
        match remove(&mut self.changes.timers, (key.run, key.number)) {
            true => Ok(()),
            false => {
                Err(Damage::NoRow { change: "TimerClosed", what: "timer", number: key.number, of: key.run }.into())
            }
        }
    }

    /// What the run has gathered here goes; what the rows have of it goes with the settle.
    fn close_run(&mut self, run: u64) {
        let of_run = (run, 0)..=(run, u64::MAX);
        drop_range(&mut self.changes.inbox, of_run.clone());
        drop_range(&mut self.changes.timers, of_run);
        match self.changes.runs.entry(run) {
            Entry::Occupied(occupied) if occupied.get().new => drop(occupied.remove()),
            entry => *entry.or_default() = RunChange { closed: true, ..RunChange::default() },
        }
    }

    fn purged(&mut self, purged: Purged) -> Result<(), RowsError> {
        let Purged { birth, run } = purged;
        let new = self.instance("Purged", birth)?.new;
        if new {
            self.changes.instances.remove(&birth);
        } else {
            self.changes.instances.insert(birth, InstanceChange::Gone);
        }
        self.close_run(run);
        if !planted::has(Bug::PurgeLeavesTask) {
            drop_range(&mut self.changes.tasks, tasks_of(birth));
        }
        Ok(())
    }

    fn sent(&mut self, sent: Sent) -> Result<(), RowsError> {
        let mark = sent.mark.ok_or(Damage::NoField { change: "Sent", field: "mark" })?;
        grow("Sent", &mut self.changes.sent, mark)?;
        self.changes.outbox.insert((mark.source, mark.target, mark.sequence), sent.message);
        Ok(())
    }

    fn acknowledged(&mut self, mark: PairMark) -> Result<(), RowsError> {
        let pair = (mark.source, mark.target);
        let last = self.changes.sent.get(&pair).copied();
        if let Some(last) = last.filter(|last| mark.sequence > *last) {
            return Err(Damage::OutOfOrder { change: "Acknowledged", number: mark.sequence, last }.into());
        }
        drop_range(&mut self.changes.outbox, (pair.0, pair.1, 0)..=(pair.0, pair.1, mark.sequence));
        let highest = self.changes.acknowledged.entry(pair).or_default();
        *highest = (*highest).max(mark.sequence);
        Ok(())
    }

    /// The bytes of an event, wherever it is now.
    fn event(&self, change: &'static str, part: Option<Part>, run: u64) -> Result<Bytes, RowsError> {
        match part.and_then(|part| part.place) {
            None => Err(Damage::NoField { change, field: "place" }.into()),
            Some(Place::Here(event)) => Ok(event),
            Some(Place::Inbox(number)) => {
                let row = || Damage::NoRow { change, what: "inbox entry", number, of: run };
                match self.changes.inbox.get(&(run, number)) {
                    Some(RowChange::New((_, event)) | RowChange::Replaced((_, event))) => Ok(event.clone()),
                    Some(RowChange::Gone) => Err(row().into()),
                    None => self.rows.arrived(run, number)?.ok_or_else(|| row().into()),
                }
            }
            Some(Place::History(index)) => {
                let row = || Damage::NoRow { change, what: "history event", number: index, of: run };
                let gathered = self.changes.runs.get(&run);
                let here = gathered.filter(|run| index >= run.first && !run.events.is_empty());
                if let Some(run) = here {
                    let at = usize::try_from(index - run.first).unwrap_or(usize::MAX);
                    return run.events.get(at).cloned().ok_or_else(|| row().into());
                }
                if gathered.is_some_and(|run| run.new || run.closed || run.rewritten) {
                    return Err(row().into());
                }
                self.rows.history(run, index)?.ok_or_else(|| row().into())
            }
        }
    }

    fn text(&self, change: &'static str, birth: u64, text: &Text) -> Result<Bytes, RowsError> {
        let event = self.event(change, text.part.clone(), text.run)?;
        Ok(cut(change, &event, birth, text)?)
    }
}

/// A task that is written again keeps its event if none comes with it.
fn merge(task: Task, known: Task) -> Task {
    Task { event: task.event.or(known.event), ..task }
}

/// Takes a row away: one that the rows do not have is forgotten. Says whether there can have been one.
fn remove<K: Ord, T>(changes: &mut BTreeMap<K, RowChange<T>>, key: K) -> bool {
    match changes.entry(key) {
        Entry::Vacant(vacant) => drop(vacant.insert(RowChange::Gone)),
        Entry::Occupied(mut occupied) => match occupied.get() {
            RowChange::New(_) => drop(occupied.remove()),
            RowChange::Replaced(_) => drop(occupied.insert(RowChange::Gone)),
            RowChange::Gone => return false,
        },
    }
    true
}

pub(crate) fn drop_range<K: Ord + Copy, T>(changes: &mut BTreeMap<K, T>, range: RangeInclusive<K>) {
    while let Some((&key, _)) = changes.range(range.clone()).next() {
        changes.remove(&key);
    }
}

/// The text within its event; the memory is shared.
fn cut(change: &'static str, event: &Bytes, birth: u64, text: &Text) -> Result<Bytes, Damage> {
    let (start, length) = (text.start, text.length);
    let (first, end) = (start as usize, start as usize + length as usize);
    if end > event.len() {
        return Err(Damage::NoText { change, birth, start, length, event: event.len() });
    }
    Ok(event.slice(first..end))
}

fn grow(change: &'static str, pairs: &mut BTreeMap<(u32, u32), u64>, mark: PairMark) -> Result<(), RowsError> {
    let last = pairs.entry((mark.source, mark.target)).or_default();
    if mark.sequence <= *last {
        return Err(Damage::OutOfOrder { change, number: mark.sequence, last: *last }.into());
    }
    *last = mark.sequence;
    Ok(())
}
