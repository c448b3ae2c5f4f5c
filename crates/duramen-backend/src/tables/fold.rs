//! Folding a checkpoint into rows.

use super::load::tasks_of;
use super::{Damage, Instance, Run, Tables};
use bytes::Bytes;
use duramen_core::checkpoint::{
    Arrived, Change, Checkpoint, CustomStatus, Head, HistoryParts, PairMark, Part, Place, Sent, Tail, Taken, Task,
    Text, Timer,
};
use duramen_core::planted::{self, Bug};
use duramen_core::time::Time;
use duramen_proto::Timestamp;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// What a checkpoint has used before it was introduced. Changes come in the order in which things
/// happened, and an event may arrive for a run before the head that names the run does.
#[derive(Default)]
struct Promised {
    /// Inputs of heads: the entry that holds each has not arrived yet.
    inputs: Vec<Input>,
    runs: Vec<(&'static str, u64)>,
    births: Vec<(&'static str, u64)>,
}

struct Input {
    birth: u64,
    run: u64,
    sequence: u64,
    start: u32,
    length: u32,
}

impl Tables {
    /// Folds a checkpoint into the rows. After an error the rows are of no use any more.
    pub fn fold(&mut self, checkpoint: Checkpoint) -> Result<(), Damage> {
        let number = checkpoint.number;
        let mut promised = Promised::default();
        for delta in checkpoint.deltas {
            self.fold_change(delta.change.ok_or(Damage::UnknownChange { number })?, &mut promised)?;
        }
        for (change, run) in promised.runs {
            if self.runs.get(&run).is_some_and(|row| row.birth == 0) {
                return Err(Damage::NoRun { change, run });
            }
        }
        for Input { birth, run, sequence, .. } in promised.inputs {
            if self.instances.get(&birth).is_some_and(|row| row.head.run == run) {
                return Err(Damage::NoRow { change: "Head", what: "inbox entry", number: sequence, of: run });
            }
        }
        for (change, birth) in promised.births {
            if !self.instances.contains_key(&birth) && self.tasks.range(tasks_of(birth)).next().is_some() {
                return Err(Damage::NoInstance { change, birth });
            }
        }
        Ok(())
    }

    fn fold_change(&mut self, change: Change, promised: &mut Promised) -> Result<(), Damage> {
        match change {
            Change::Head(head) => self.fold_head(*head, promised),
            Change::Tail(tail) => self.fold_tail(*tail),
            Change::CustomStatus(status) => self.fold_custom_status(status),
            Change::Arrived(arrived) => self.fold_arrived(arrived, promised),
            Change::Taken(taken) => self.fold_taken(&taken),
            Change::History(parts) => self.fold_history(parts, promised),
            Change::RunClosed(closed) => self.close_run("RunClosed", closed.run),
            Change::Task(task) => self.fold_task(task, promised),
            Change::TaskClosed(key) => match self.tasks.remove(&key) {
                Some(_) => Ok(()),
                None => Err(Damage::NoRow { change: "TaskClosed", what: "task", number: key.number, of: key.birth }),
            },
            Change::Timer(timer) => self.fold_timer(timer, promised),
            Change::TimerClosed(key) => match self.timers.remove(&(key.run, key.number)) {
                Some(_) => Ok(()),
                None => Err(Damage::NoRow { change: "TimerClosed", what: "timer", number: key.number, of: key.run }),
            },
            Change::Purged(purged) => self.purge(purged.birth),
            Change::Sent(sent) => self.fold_sent(sent),
            Change::Acknowledged(mark) => self.fold_acknowledged(mark),
            Change::Received(mark) => {
                let last = self.received.entry((mark.source, mark.target)).or_default();
                grow("Received", last, mark.sequence)
            }
        }
    }

    fn fold_head(&mut self, head: Head, promised: &mut Promised) -> Result<(), Damage> {
        let (birth, run) = (head.birth, head.run);
        let input = match &head.input {
            Some(Text { part: Some(Part { place: Some(Place::Inbox(sequence)) }), start, length })
                if !self.inbox.contains_key(&(run, *sequence)) =>
            {
                promised.inputs.push(Input { birth, run, sequence: *sequence, start: *start, length: *length });
                None
            }
            text => self.resolve_text("Head", text.as_ref(), birth, run)?,
        };
        self.runs.entry(head.run).or_default().birth = birth;
        let created = time(head.created);
        let parent = head.parent.as_ref().map(|parent| Arc::from(parent.id.as_str()));
        match self.instances.entry(birth) {
            Entry::Vacant(vacant) => {
                let id: Arc<str> = Arc::from(head.id.as_str());
                if let Some(other) = self.by_id.insert(id.clone(), birth) {
                    return Err(Damage::IdTaken { id: head.id, birth, other });
                }
                vacant.insert(Instance {
                    id,
                    head,
                    input,
                    tail: Tail { birth, ..Tail::default() },
                    output: None,
                    custom_status: None,
                    elder: Vec::new(),
                });
            }
            Entry::Occupied(mut occupied) => {
                let row = occupied.get_mut();
                if row.head.run != head.run && self.runs.contains_key(&row.head.run) {
                    row.elder.push(row.head.run);
                }
                self.by_created.remove(&(time(row.head.created), birth));
                if let Some(parent) = &row.head.parent {
                    self.by_parent.remove(&(Arc::from(parent.id.as_str()), birth));
                }
                row.head = head;
                row.input = input;
            }
        }
        self.by_created.insert((created, birth));
        self.by_parent.extend(parent.map(|parent| (parent, birth)));
        Ok(())
    }

    fn fold_tail(&mut self, tail: Tail) -> Result<(), Damage> {
        const CHANGE: &str = "Tail";
        let birth = tail.birth;
        let run = self.instances.get(&birth).ok_or(Damage::NoInstance { change: CHANGE, birth })?.head.run;
        let output = self.resolve_text(CHANGE, tail.output.as_ref(), birth, run)?;
        let Some(row) = self.instances.get_mut(&birth) else { unreachable!("it was there a moment ago") };
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

    fn fold_custom_status(&mut self, status: CustomStatus) -> Result<(), Damage> {
        let birth = status.birth;
        let row = self.instances.get_mut(&birth).ok_or(Damage::NoInstance { change: "CustomStatus", birth })?;
        row.custom_status = Some(status);
        Ok(())
    }

    fn fold_arrived(&mut self, arrived: Arrived, promised: &mut Promised) -> Result<(), Damage> {
        let Arrived { run, sequence, event } = arrived;
        self.run("Arrived", run, promised);
        if let Some(at) = promised.inputs.iter().position(|input| (input.run, input.sequence) == (run, sequence)) {
            let Input { birth, start, length, .. } = promised.inputs.swap_remove(at);
            let text = cut("Head", &event, birth, start, length)?;
            if let Some(row) = self.instances.get_mut(&birth).filter(|row| row.head.run == run) {
                row.input = Some(text);
            }
        }
        match self.inbox.insert((run, sequence), event) {
            None => Ok(()),
            Some(_) => Err(Damage::OutOfOrder { change: "Arrived", number: sequence, last: sequence }),
        }
    }

    fn fold_taken(&mut self, taken: &Taken) -> Result<(), Damage> {
        for &sequence in &taken.sequences {
            if self.inbox.remove(&(taken.run, sequence)).is_none() {
                return Err(Damage::NoRow { change: "Taken", what: "inbox entry", number: sequence, of: taken.run });
            }
        }
        Ok(())
    }

    fn fold_history(&mut self, history: HistoryParts, promised: &mut Promised) -> Result<(), Damage> {
        const CHANGE: &str = "History";
        let run = history.run;
        self.run(CHANGE, run, promised);
        // Parts that point into the history mean the one that was there, so all are resolved first.
        let mut events = Vec::with_capacity(history.parts.len());
        for part in history.parts {
            events.push(self.resolve(CHANGE, Some(part), run)?);
        }
        let row = self.run(CHANGE, run, promised);
        if history.replace {
            row.history = events;
        } else {
            row.history.append(&mut events);
        }
        Ok(())
    }

    fn fold_task(&mut self, mut task: Task, promised: &mut Promised) -> Result<(), Damage> {
        const CHANGE: &str = "Task";
        let key = task.key.ok_or(Damage::NoField { change: CHANGE, field: "key" })?;
        if !self.instances.contains_key(&key.birth) {
            promised.births.push((CHANGE, key.birth));
        }
        // What is known of an open task may be replaced without saying again what it is to run,
        // whose history may be gone by then.
        let kept = if task.event.is_none() {
            self.tasks.get(&key).and_then(|known| known.event.clone())
        } else {
            task.event.take()
        };
        task.event = Some(Place::Here(self.resolve(CHANGE, kept, task.run)?).into());
        self.tasks.insert(key, task);
        Ok(())
    }

    fn fold_timer(&mut self, timer: Timer, promised: &mut Promised) -> Result<(), Damage> {
        let key = timer.key.ok_or(Damage::NoField { change: "Timer", field: "key" })?;
        self.run("Timer", key.run, promised);
        self.timers.insert((key.run, key.number), timer);
        Ok(())
    }

    fn close_run(&mut self, change: &'static str, run: u64) -> Result<(), Damage> {
        let row = self.runs.remove(&run).ok_or(Damage::NoRun { change, run })?;
        if let Some(instance) = self.instances.get_mut(&row.birth) {
            instance.elder.retain(|elder| *elder != run);
        }
        remove_run(&mut self.inbox, run);
        remove_run(&mut self.timers, run);
        Ok(())
    }

    fn purge(&mut self, birth: u64) -> Result<(), Damage> {
        let row = self.instances.remove(&birth).ok_or(Damage::NoInstance { change: "Purged", birth })?;
        for run in row.elder.iter().copied().chain([row.head.run]) {
            if self.runs.contains_key(&run) {
                self.close_run("Purged", run)?;
            }
        }
        let tasks: Vec<_> = self.tasks.range(tasks_of(birth)).map(|(key, _)| *key).collect();
        for key in tasks {
            if planted::has(Bug::PurgeLeavesTask) {
                continue;
            }
            self.tasks.remove(&key);
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

    fn fold_sent(&mut self, sent: Sent) -> Result<(), Damage> {
        let mark = sent.mark.ok_or(Damage::NoField { change: "Sent", field: "mark" })?;
        grow("Sent", self.sent.entry((mark.source, mark.target)).or_default(), mark.sequence)?;
        self.outbox.insert((mark.source, mark.target, mark.sequence), sent.message);
        Ok(())
    }

    fn fold_acknowledged(&mut self, mark: PairMark) -> Result<(), Damage> {
        let sent = self.sent.get(&(mark.source, mark.target)).copied().unwrap_or(0);
        if mark.sequence > sent {
            return Err(Damage::OutOfOrder { change: "Acknowledged", number: mark.sequence, last: sent });
        }
        while let Some((&key, _)) =
            self.outbox.range((mark.source, mark.target, 0)..=(mark.source, mark.target, mark.sequence)).next()
        {
            self.outbox.remove(&key);
        }
        Ok(())
    }

    /// The row of a run, made if it is not there: its head is then to come.
    fn run(&mut self, change: &'static str, run: u64, promised: &mut Promised) -> &mut Run {
        match self.runs.entry(run) {
            Entry::Occupied(row) => row.into_mut(),
            Entry::Vacant(vacant) => {
                promised.runs.push((change, run));
                vacant.insert(Run::default())
            }
        }
    }

    fn resolve(&self, change: &'static str, part: Option<Part>, run: u64) -> Result<Bytes, Damage> {
        match part.and_then(|part| part.place).ok_or(Damage::NoField { change, field: "place of an event" })? {
            Place::Here(event) => Ok(event),
            Place::Inbox(sequence) => {
                let entry = self.inbox.get(&(run, sequence)).cloned();
                entry.ok_or(Damage::NoRow { change, what: "inbox entry", number: sequence, of: run })
            }
            Place::History(index) => {
                let history = self.runs.get(&run).map(|row| &row.history);
                let event = history.and_then(|events| events.get(usize::try_from(index).ok()?)).cloned();
                event.ok_or(Damage::NoRow { change, what: "history event", number: index, of: run })
            }
        }
    }

    fn resolve_text(
        &self,
        change: &'static str,
        text: Option<&Text>,
        birth: u64,
        run: u64,
    ) -> Result<Option<Bytes>, Damage> {
        let Some(Text { part, start, length }) = text else {
            return Ok(None);
        };
        let event = self.resolve(change, part.clone(), run)?;
        cut(change, &event, birth, *start, *length).map(Some)
    }
}

/// The text within its event; the memory is shared.
fn cut(change: &'static str, event: &Bytes, birth: u64, start: u32, length: u32) -> Result<Bytes, Damage> {
    let (first, end) = (start as usize, start as usize + length as usize);
    if end > event.len() {
        return Err(Damage::NoText { change, birth, start, length, event: event.len() });
    }
    Ok(event.slice(first..end))
}

fn grow(change: &'static str, last: &mut u64, number: u64) -> Result<(), Damage> {
    if number <= *last {
        return Err(Damage::OutOfOrder { change, number, last: *last });
    }
    *last = number;
    Ok(())
}

fn remove_run<V>(rows: &mut std::collections::BTreeMap<(u64, u64), V>, run: u64) {
    while let Some((&key, _)) = rows.range((run, 0)..=(run, u64::MAX)).next() {
        rows.remove(&key);
    }
}

pub(super) fn time(at: Option<Timestamp>) -> Time {
    at.map_or(Time::EPOCH, Time::from)
}
