//! What happens in a store: checkpoints of every kind, with what must be there after each.

use bytes::Bytes;
use duramen_backend::conformance::{Sample, delta};
use duramen_core::checkpoint::{
    Change, Checkpoint, Delta, HistoryParts, Losses, Outstanding, PairMark, Place, Purged, Queued, RunClosed, Sent,
    Tail, Task, Text, Timer, TimerPlace,
};
use duramen_core::ids::Epoch;
use duramen_core::time::Time;
use duramen_proto::{OrchestrationStatus, Timestamp};
use duramen_shim::Chance;
use std::collections::BTreeMap;

/// The instance in which each checkpoint notes that it was there.
pub(in crate::tests) const LEDGER: &str = "ledger";

/// Everything that a store has to hold after so many checkpoints. It is kept by hand, without the code
/// that the store folds with.
#[derive(Clone, Default)]
pub(in crate::tests) struct State {
    /// Checkpoints so far, over all lives.
    pub(in crate::tests) count: u64,
    pub(in crate::tests) instances: BTreeMap<String, Instance>,
    /// By (source, target): sent, with the messages that are not acknowledged.
    outbox: BTreeMap<(u32, u32), (u64, BTreeMap<u64, Bytes>)>,
    received: BTreeMap<(u32, u32), u64>,
}

#[derive(Clone)]
pub(in crate::tests) struct Instance {
    pub(in crate::tests) sample: Sample,
    pub(in crate::tests) input: Option<Bytes>,
    pub(in crate::tests) output: Option<Bytes>,
}

impl Instance {
    fn has_ended(&self) -> bool {
        self.sample.image.tail.completed.is_some()
    }

    fn birth(&self) -> u64 {
        self.sample.image.head.birth
    }
}

/// Makes the checkpoints of one lease.
pub(in crate::tests) struct Author<'a> {
    pub(in crate::tests) state: State,
    pub(in crate::tests) chance: &'a mut Chance,
    /// The next run.
    next: u64,
}

impl<'a> Author<'a> {
    pub(in crate::tests) fn new(state: State, epoch: Epoch, chance: &'a mut Chance) -> Self {
        Self { state, chance, next: (u64::from(epoch.0) << 40) + 1 }
    }

    /// The next checkpoint; the state is then what it leaves.
    pub(in crate::tests) fn checkpoint(&mut self, number: u64) -> Checkpoint {
        let mut deltas = Vec::new();
        for _ in 0..=self.chance.draw(3) {
            deltas.extend(self.something());
        }
        self.state.count += 1;
        deltas.extend(self.note());
        Checkpoint { number, deltas }
    }

    fn note(&mut self) -> Vec<Delta> {
        let count = self.state.count;
        let run = self.run();
        let mut deltas = Vec::new();
        let ledger = self.state.instances.entry(LEDGER.to_owned()).or_insert_with(|| {
            let mut sample = Sample::new(LEDGER, run);
            deltas = sample.start(Bytes::new());
            Instance { sample, input: None, output: None }
        });
        ledger.sample.image.tail.episodes = count;
        deltas.push(delta(Change::Tail(Box::new(ledger.sample.image.tail.clone()))));
        deltas
    }

    fn run(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn event(&mut self, mark: char) -> Bytes {
        let length = [20, 300, 3_000][self.chance.draw(3) as usize];
        let length = self.chance.draw(length) as usize;
        let text = format!("{mark}{}-", self.chance.draw(1 << 40));
        text.chars().chain(std::iter::repeat('x')).take(text.len() + length).collect::<String>().into()
    }

    fn something(&mut self) -> Vec<Delta> {
        let live = |instance: &Instance| !instance.has_ended();
        match self.chance.draw(24) {
            0..5 => self.start(),
            5..9 => self.with(live, Self::arrive),
            9..14 => self.with(live, |_, instance| instance.sample.episode()),
            14..16 => self.with(live, Self::end),
            16 => self.with(Instance::has_ended, Self::rewind),
            17 => self.with(live, Self::continue_as_new),
            18 => self.with(live, Self::count_dispatch),
            19 => self.with(live, Self::close_one),
            20 => self.purge(),
            21 => self.replace(),
            _ => self.message(),
        }
    }

    /// Does something with one of the instances that are so, if there is any.
    fn with(
        &mut self,
        so: impl Fn(&Instance) -> bool,
        act: impl FnOnce(&mut Self, &mut Instance) -> Vec<Delta>,
    ) -> Vec<Delta> {
        let Some(id) = self.choose(so) else { return Vec::new() };
        let Some(mut instance) = self.state.instances.remove(&id) else { return Vec::new() };
        let deltas = act(self, &mut instance);
        self.state.instances.insert(id, instance);
        deltas
    }

    fn choose(&mut self, so: impl Fn(&Instance) -> bool) -> Option<String> {
        let ids: Vec<_> = self
            .state
            .instances
            .iter()
            .filter(|(id, instance)| *id != LEDGER && so(instance))
            .map(|(id, _)| id)
            .collect();
        let at = (!ids.is_empty()).then(|| self.chance.draw(ids.len() as u64) as usize)?;
        Some(ids[at].clone())
    }

    fn start(&mut self) -> Vec<Delta> {
        let birth = self.run();
        let id = format!("{}-{birth:x}", self.chance.draw(1_000));
        self.begin(id, birth)
    }

    fn begin(&mut self, id: String, birth: u64) -> Vec<Delta> {
        // The births of later leases are far away, and a time should not be.
        let created = Some(Timestamp { seconds: 1_700_000_000 + self.chance.draw(1_000) as i64, nanos: 5 });
        let mut sample = Sample::new(&id, birth).with(|head| head.created = created);
        if self.chance.draw(4) == 0 {
            sample = sample.child_of("parent").with(|head| drop(head.tags.insert("tier".into(), "gold".into())));
        }
        let event = self.event('<');
        let deltas = sample.start(event.clone());
        self.state.instances.insert(id, Instance { sample, input: Some(event.slice(1..)), output: None });
        deltas
    }

    fn arrive(&mut self, instance: &mut Instance) -> Vec<Delta> {
        let event = self.event('>');
        instance.sample.arrive(event)
    }

    fn end(&mut self, instance: &mut Instance) -> Vec<Delta> {
        let status = [OrchestrationStatus::Completed, OrchestrationStatus::Failed][self.chance.draw(2) as usize];
        let deltas = instance.sample.end(status, self.chance.draw(1 << 30) as i64);
        instance.output = instance.sample.image.history.last().map(|event| event.slice(1..));
        deltas
    }

    /// Its history is made anew of the old one without its end, and it runs again.
    fn rewind(&mut self, instance: &mut Instance) -> Vec<Delta> {
        let image = &mut instance.sample.image;
        let began =
            image.history.first().zip(instance.input.as_ref()).is_some_and(|(event, input)| event[1..] == input[..]);
        if !began || !image.inbox.is_empty() {
            return Vec::new();
        }
        let run = image.head.run;
        image.history.pop();
        let mut parts: Vec<_> = (0..image.history.len() as u64).map(|index| Place::History(index).into()).collect();
        let rewound = self.event('r');
        parts.push(Place::Here(rewound.clone()).into());
        image.history.push(rewound);
        image.head.execution_id += "-again";
        image.head.begins_run = false;
        let length = image.history[0].len() as u32 - 1;
        image.head.input = Some(Text { part: Some(Place::History(0).into()), start: 1, length, run });
        let tail = &mut image.tail;
        *tail = Tail {
            status: OrchestrationStatus::Running.into(),
            completed: None,
            output: None,
            history_events: image.history.len() as u64,
            ..tail.clone()
        };
        instance.output = None;
        vec![
            delta(Change::History(HistoryParts { run, parts, replace: true, first: 0 })),
            delta(Change::Head(Box::new(image.head.clone()))),
            delta(Change::Tail(Box::new(tail.clone()))),
        ]
    }

    /// Tasks of the old run stay, with their events beside them.
    fn continue_as_new(&mut self, instance: &mut Instance) -> Vec<Delta> {
        let image = &mut instance.sample.image;
        let again = |task: &Task| delta(Change::Task(Task { again: true, ..task.clone() }));
        let mut deltas: Vec<_> = image.tasks.iter().map(again).collect();
        deltas.push(delta(Change::RunClosed(RunClosed { run: image.head.run })));
        image.head.run = self.run();
        image.head.begins_run = true;
        image.history.clear();
        image.inbox.clear();
        image.timers.clear();
        image.tail.history_events = 0;
        let event = self.event('<');
        instance.input = Some(event.slice(1..));
        deltas.extend(instance.sample.start(event));
        deltas
    }

    fn count_dispatch(&mut self, instance: &mut Instance) -> Vec<Delta> {
        instance.sample.lose()
    }

    fn close_one(&mut self, instance: &mut Instance) -> Vec<Delta> {
        let image = &mut instance.sample.image;
        let closed = if self.chance.draw(2) == 0 {
            image.tasks.pop().and_then(|task| task.key).map(Change::TaskClosed)
        } else {
            image.timers.pop().and_then(|timer| timer.key).map(Change::TimerClosed)
        };
        closed.map(delta).into_iter().collect()
    }

    fn purge(&mut self) -> Vec<Delta> {
        let Some(id) = self.choose(Instance::has_ended) else { return Vec::new() };
        let gone = self.state.instances.remove(&id);
        gone.map(|gone| purged(&gone)).into_iter().collect()
    }

    /// A new instance takes the id of another in the checkpoint that purges it.
    fn replace(&mut self) -> Vec<Delta> {
        let Some(id) = self.choose(|_| true) else { return Vec::new() };
        let mut deltas: Vec<_> = self.state.instances.remove(&id).map(|gone| purged(&gone)).into_iter().collect();
        let birth = self.run();
        deltas.extend(self.begin(id, birth));
        deltas
    }

    fn message(&mut self) -> Vec<Delta> {
        let pair = (self.chance.draw(3) as u32, 100 + self.chance.draw(2) as u32);
        let mark = |sequence| PairMark { source: pair.0, target: pair.1, sequence };
        let message = self.event('m');
        let (sent, open) = self.state.outbox.entry(pair).or_default();
        let change = match self.chance.draw(3) {
            0 if !open.is_empty() => {
                let sequence =
                    *open.keys().nth(self.chance.draw(open.len() as u64) as usize).expect("there are so many");
                open.retain(|other, _| *other > sequence);
                Change::Acknowledged(mark(sequence))
            }
            1 => {
                let highest = self.state.received.entry(pair).or_default();
                *highest += 1 + self.chance.draw(3);
                Change::Received(mark(*highest))
            }
            _ => {
                *sent += 1;
                open.insert(*sent, message.clone());
                Change::Sent(Sent { mark: Some(mark(*sent)), message })
            }
        };
        vec![delta(change)]
    }
}

fn purged(gone: &Instance) -> Delta {
    let head = &gone.sample.image.head;
    delta(Change::Purged(Purged { birth: head.birth, run: head.run }))
}

impl State {
    fn by_birth(&self) -> Vec<&Instance> {
        let mut instances: Vec<_> = self.instances.values().collect();
        instances.sort_by_key(|instance| instance.birth());
        instances
    }

    /// What the owner of all slots has to be told.
    pub(in crate::tests) fn outstanding(&self) -> Outstanding {
        let mut expected = Outstanding::default();
        for instance in self.by_birth() {
            let image = &instance.sample.image;
            if !image.inbox.is_empty() {
                expected.ready.push(instance.sample.ready());
            }
            expected.tasks.extend(image.tasks.iter().map(|task| Queued {
                key: task.key.expect("it has one"),
                id: image.head.id.as_str().into(),
                name: task.name.as_str().into(),
                runs_as: task.runs_as.as_deref().map(Into::into),
                action: task.action,
                held: Losses::of_held(task.losses.as_ref()),
            }));
        }
        for (&(source, target), (sent, open)) in &self.outbox {
            let mark = |sequence| PairMark { source, target, sequence };
            expected.sent.extend((*sent > 0).then(|| mark(*sent)));
            let messages =
                open.iter().map(|(sequence, message)| Sent { mark: Some(mark(*sequence)), message: message.clone() });
            expected.outbox.extend(messages);
        }
        let received = |(&(source, target), &sequence): (&(u32, u32), &u64)| PairMark { source, target, sequence };
        expected.received = self.received.iter().map(received).collect();
        expected
    }

    /// All timers, in order, with the ids of their instances.
    pub(in crate::tests) fn timers(&self) -> Vec<(String, Timer)> {
        let place = |timer: &Timer| TimerPlace {
            due: timer.due.map_or(Time::EPOCH, |due: Timestamp| Time::from(due)),
            key: timer.key.expect("it has one"),
        };
        let of = |instance: &Instance| {
            let image = &instance.sample.image;
            image.timers.iter().map(|timer| (image.head.id.clone(), timer.clone())).collect::<Vec<_>>()
        };
        let mut timers: Vec<_> = self.instances.values().flat_map(of).collect();
        timers.sort_by_key(|(_, timer)| place(timer));
        timers
    }

    /// The ids in order of creation.
    pub(in crate::tests) fn created(&self) -> Vec<&str> {
        let mut heads: Vec<_> = self.instances.values().map(|instance| &instance.sample.image.head).collect();
        heads.sort_by_key(|head| (head.created.map(Time::from), head.birth));
        heads.into_iter().map(|head| head.id.as_str()).collect()
    }
}
