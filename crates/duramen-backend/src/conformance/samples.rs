//! Checkpoints to write, and what must come of them.

use bytes::Bytes;
use duramen_core::checkpoint::{
    Arrived, Change, Checkpoint, CustomStatus, Delta, Head, HistoryParts, Image, Loss, LossCause, Losses, Parent, Part,
    Place, Ready, Tail, Taken, Task, TaskKey, Text, Timer, TimerKey,
};
use duramen_proto::{OrchestrationStatus, Timestamp};

/// Wraps a change.
pub fn delta(change: Change) -> Delta {
    Delta { change: Some(change) }
}

/// An instance that is written step by step, with what a load of it has to give.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What the store is to give back.
    pub image: Image,
}

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

impl Sample {
    /// An instance of this id and birth.
    pub fn new(id: &str, birth: u64) -> Self {
        let head = Head {
            birth,
            run: birth,
            id: id.to_owned(),
            execution_id: format!("execution-{birth}"),
            name: "Greet".into(),
            created: at(1_000 + birth as i64),
            begins_run: true,
            ..Head::default()
        };
        let tail = Tail { birth, status: OrchestrationStatus::Pending.into(), updated: at(1), ..Tail::default() };
        let image = Image {
            head,
            tail,
            custom_status: None,
            history: Vec::new(),
            inbox: Vec::new(),
            tasks: Vec::new(),
            timers: Vec::new(),
        };
        Self { image }
    }

    /// Its name, tags and parent, before it is started.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Head)) -> Self {
        change(&mut self.image.head);
        self
    }

    /// Says that a parent waits for it.
    #[must_use]
    pub fn child_of(self, parent: &str) -> Self {
        self.with(|head| head.parent = Some(Parent { id: parent.into(), run: 1, task_scheduled_id: 0 }))
    }

    /// It begins, with an event of these bytes in its inbox whose text is all of them but the first.
    pub fn start(&mut self, event: Bytes) -> Vec<Delta> {
        if !event.is_empty() {
            let part = Some(Place::Inbox(self.image.tail.next_arrival).into());
            let (length, run) = (event.len() as u32 - 1, self.image.head.run);
            self.image.head.input = Some(Text { part, start: 1, length, run });
        }
        // The head points to an entry that arrives behind it.
        let mut deltas = vec![delta(Change::Head(Box::new(self.image.head.clone())))];
        deltas.extend(self.arrive(event));
        deltas
    }

    /// What an owner of its slot is told while something is in its inbox.
    pub fn ready(&self) -> Ready {
        let head = &self.image.head;
        Ready {
            birth: head.birth,
            run: head.run,
            id: head.id.as_str().into(),
            name: head.name.as_str().into(),
            version: head.version.as_deref().map(Into::into),
            terminating: self.image.tail.terminating,
            held: Losses::of_held(self.image.tail.losses.as_ref()),
        }
    }

    /// An event arrives.
    pub fn arrive(&mut self, event: Bytes) -> Vec<Delta> {
        let Head { birth, run, .. } = self.image.head;
        let arrived = Arrived { birth, run, sequence: self.image.tail.next_arrival, event };
        self.image.tail.next_arrival += 1;
        self.image.inbox.push(arrived.clone());
        vec![delta(Change::Arrived(arrived)), self.tail()]
    }

    /// A dispatch counts against its next episode, and one against its last task, which keeps its event.
    pub fn lose(&mut self) -> Vec<Delta> {
        count_loss(&mut self.image.tail.losses);
        let mut deltas = vec![self.tail()];
        if let Some(task) = self.image.tasks.last_mut() {
            count_loss(&mut task.losses);
            deltas.push(delta(Change::Task(Task { again: true, event: None, ..task.clone() })));
        }
        deltas
    }

    /// An episode takes the whole inbox, schedules a task, and opens a timer.
    pub fn episode(&mut self) -> Vec<Delta> {
        let (run, birth) = (self.image.head.run, self.image.head.birth);
        let taken: Vec<_> = std::mem::take(&mut self.image.inbox);
        let scheduled = Bytes::from(format!("task {}", self.image.tail.next_task));
        let mut parts: Vec<Part> = taken.iter().map(|entry| Place::Inbox(entry.sequence).into()).collect();
        parts.push(Place::Here(scheduled.clone()).into());
        let first = self.image.history.len() as u64;
        self.image.history.extend(taken.iter().map(|entry| entry.event.clone()));
        let index = self.image.history.len() as u64;
        self.image.history.push(scheduled.clone());
        let mut task = Task {
            key: Some(TaskKey { birth, number: self.image.tail.next_task }),
            run,
            execution_id: self.image.head.execution_id.clone(),
            event: Some(Place::History(index).into()),
            name: "Charge".into(),
            ..Task::default()
        };
        let number = self.image.tail.next_timer;
        let due = at(10_000 - number as i64);
        let timer = Timer { key: Some(TimerKey { run, number }), birth, due, event_id: Some(number as i32) };
        self.image.tail.losses = None;
        self.image.tail.history_events = self.image.history.len() as u64;
        self.image.tail.next_task += 1;
        self.image.tail.next_timer += 1;
        self.image.tail.status = OrchestrationStatus::Running.into();
        let status = CustomStatus { birth, value: Some(format!("at {index}")), set_by: run };
        self.image.custom_status = Some(status.clone());
        let deltas = vec![
            delta(Change::History(HistoryParts { run, parts, replace: false, first })),
            delta(Change::Taken(Taken { run, sequences: taken.iter().map(|entry| entry.sequence).collect() })),
            delta(Change::Task(task.clone())),
            delta(Change::Timer(timer.clone())),
            delta(Change::CustomStatus(status)),
            self.tail(),
        ];
        task.event = Some(Place::Here(scheduled).into());
        self.image.tasks.push(task);
        self.image.timers.push(timer);
        deltas
    }

    /// It ends, with everything open in it.
    pub fn end(&mut self, status: OrchestrationStatus, seconds: i64) -> Vec<Delta> {
        let run = self.image.head.run;
        let ending = Bytes::from(format!("|ended {status:?}"));
        let index = self.image.history.len() as u64;
        self.image.history.push(ending.clone());
        let mut deltas: Vec<_> =
            self.image.tasks.drain(..).filter_map(|task| Some(delta(Change::TaskClosed(task.key?)))).collect();
        deltas.extend(self.image.timers.drain(..).filter_map(|timer| Some(delta(Change::TimerClosed(timer.key?)))));
        let length = ending.len() as u32 - 1;
        deltas.push(delta(Change::History(HistoryParts {
            run,
            parts: vec![Place::Here(ending).into()],
            replace: false,
            first: index,
        })));
        self.image.tail.history_events = self.image.history.len() as u64;
        self.image.tail.status = status.into();
        self.image.tail.completed = at(seconds);
        self.image.tail.output = Some(Text { part: Some(Place::History(index).into()), start: 1, length, run });
        deltas.push(self.tail());
        deltas
    }

    fn tail(&self) -> Delta {
        delta(Change::Tail(Box::new(self.image.tail.clone())))
    }
}

/// A checkpoint.
pub(super) fn checkpoint(number: u64, deltas: Vec<Delta>) -> Checkpoint {
    Checkpoint { number, deltas }
}

/// A checkpoint that starts an instance.
pub(super) fn start(number: u64, id: &str) -> Checkpoint {
    checkpoint(number, Sample::new(id, number).start(Bytes::from_static(b"<input")))
}

/// Checkpoints in a row, from number 1.
pub(super) fn numbered(all: impl IntoIterator<Item = Vec<Delta>>) -> Vec<Checkpoint> {
    all.into_iter().zip(1..).map(|(deltas, number)| checkpoint(number, deltas)).collect()
}

/// An encoded event, as far as a backend can tell.
pub(super) fn event(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// One more dispatch counts against an item; from the third on it is held.
fn count_loss(losses: &mut Option<Losses>) {
    let at = Timestamp { seconds: 1_000, nanos: 1 };
    let losses = losses.get_or_insert_default();
    let loss = Loss {
        worker: format!("worker-{}", losses.all.len()),
        given: Some(at),
        lost: Some(at),
        cause: LossCause::Disconnected.into(),
    };
    losses.all.push(loss);
    losses.held = (losses.all.len() > 2).then_some(at);
}
