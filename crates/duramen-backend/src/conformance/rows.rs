//! What every store of rows has to do: whatever is written, it answers as rows in memory do.

use super::{Sample, delta};
use crate::buffer::Buffer;
use crate::rows::{Rows, RowsError, Standing};
use crate::tables::Tables;
use crate::{Damage, Order, Query};
use bytes::Bytes;
use duramen_core::checkpoint::{
    Change, Checkpoint, CustomStatus, Delta, Head, HistoryParts, PairMark, Part, Place, Purged, Rewind, RunClosed,
    Sent, Tail, Task, TaskKey, Timer, TimerKey, TimerWindow,
};
use duramen_core::ids::{Epoch, Position, Slot, StoreId};
use duramen_core::time::Time;
use duramen_proto::{OrchestrationStatus, Timestamp};

/// Writes what a seed says to rows in which nothing is, and to rows in memory, and compares their
/// answers after each settle; in the end all is purged, and nothing may be left.
pub fn rows_agree(seed: u64, rows: &impl Rows) {
    let mut both = Both::new(rows);
    assert_eq!(rows.standing().expect("it can be read"), None, "the rows under test are new");
    let mut world = World { chance: Chance(seed), live: Vec::new(), next: 1, sent: [0; 4], runs: Vec::new() };
    let steps = 1 + world.chance.below(60);
    for step in 0..steps {
        let deltas = world.step(step);
        both.fold(deltas);
        if world.chance.one_in(2) {
            both.settle();
            world.compare(&both);
        }
    }
    both.settle();
    world.compare(&both);
    both.fold(world.live.drain(..).map(|sample| purge(&sample)).collect());
    both.settle();
    world.nothing_is_left(rows);
}

/// Changes about what is not there are refused with what is wrong, and change nothing.
pub fn rows_find_damage<R: Rows>(new: impl Fn() -> R) {
    let here = |bytes: &'static [u8]| Part::from(Place::Here(Bytes::from_static(bytes)));
    let mark = |sequence| PairMark { source: 1, target: 2, sequence };
    let key = |number| Some(TaskKey { birth: 1, number });
    let history = |first| HistoryParts { run: 1, parts: vec![here(b"x")], replace: false, first };
    let again = |id: &str, birth| {
        let head = Head { birth, run: birth, id: id.into(), begins_run: true, ..Head::default() };
        Change::Head(Box::new(head))
    };
    let task = Task { key: key(0), run: 1, event: Some(here(b"x")), ..Task::default() };
    let timer = |number| TimerKey { run: 1, number };
    let wrong = [
        again("a", 2),
        Change::Tail(Box::new(Tail { birth: 2, ..Tail::default() })),
        Change::CustomStatus(CustomStatus { birth: 2, ..CustomStatus::default() }),
        Change::Arrived(duramen_core::checkpoint::Arrived { run: 1, sequence: 1, ..Default::default() }),
        Change::Taken(duramen_core::checkpoint::Taken { run: 1, sequences: vec![9] }),
        Change::History(history(0)),
        Change::History(history(9)),
        Change::Task(task),
        Change::Task(Task { key: key(9), again: true, ..Task::default() }),
        Change::TaskClosed(TaskKey { birth: 1, number: 9 }),
        Change::Timer(Timer { key: Some(timer(0)), ..Timer::default() }),
        Change::TimerClosed(timer(9)),
        Change::Purged(Purged { birth: 2, run: 2 }),
        Change::Sent(Sent { mark: Some(mark(3)), ..Sent::default() }),
        Change::Acknowledged(mark(4)),
        Change::Received(mark(3)),
    ];
    for change in wrong {
        let rows = new();
        let mut both = Both::new(&rows);
        let mut sample = Sample::new("a", 1);
        let mut deltas = [sample.start(Bytes::from_static(b"<one")), sample.episode()].concat();
        deltas.extend(sample.arrive(Bytes::from_static(b"<two")));
        deltas.push(delta(Change::Sent(Sent { mark: Some(mark(3)), message: Bytes::new() })));
        deltas.push(delta(Change::Received(mark(3))));
        both.fold(deltas);
        both.settle();
        let before = (rows.load("a").expect("it can be read"), rows.standing().expect("it can be read"));
        let [found, expected] = both.damage(vec![delta(change.clone())]);
        assert_eq!(found, expected, "{change:?}");
        let after = (rows.load("a").expect("it can be read"), rows.standing().expect("it can be read"));
        assert_eq!(after, before, "{change:?} changed something");
    }
}

/// The rows under test and those in memory. Each has a buffer of its own, so that what a fold looks
/// up is compared too.
struct Both<'a, R> {
    rows: &'a R,
    memory: Tables,
    buffers: [Buffer; 2],
    position: u64,
}

impl<'a, R: Rows> Both<'a, R> {
    fn new(rows: &'a R) -> Self {
        Self { rows, memory: Tables::default(), buffers: Default::default(), position: 0 }
    }

    fn fold(&mut self, deltas: Vec<Delta>) {
        let checkpoint = Checkpoint { number: 1, deltas };
        let [buffer, model] = &mut self.buffers;
        model.fold(checkpoint.clone(), &self.memory).expect("it fits the rows in memory");
        buffer.fold(checkpoint, self.rows).expect("it fits");
    }

    fn settle(&mut self) {
        self.position += 1;
        let standing = Standing { store: StoreId(u64::MAX), position: Position(self.position), epoch: Epoch(7) };
        let [buffer, model] = &mut self.buffers;
        self.memory.write(model.changes(standing)).expect("it fits the rows in memory");
        self.rows.write(buffer.changes(standing)).expect("it fits");
        assert_eq!(self.rows.standing().expect("it can be read"), Some(standing));
        self.buffers = Default::default();
    }

    /// What is found wrong with changes, by each.
    fn damage(&mut self, deltas: Vec<Delta>) -> [Damage; 2] {
        let damage = |rows: &dyn Fn(&mut Buffer) -> Result<(), RowsError>| match rows(&mut Buffer::default()) {
            Err(RowsError::Damage(damage)) => damage,
            other => panic!("{deltas:?} gave {other:?}"),
        };
        let checkpoint = Checkpoint { number: 1, deltas: deltas.clone() };
        let standing = Standing { store: StoreId(1), position: Position(99), epoch: Epoch(99) };
        [
            damage(&|buffer| {
                buffer.fold(checkpoint.clone(), self.rows)?;
                self.rows.write(buffer.changes(standing))
            }),
            damage(&|buffer| {
                buffer.fold(checkpoint.clone(), &self.memory)?;
                self.memory.write(buffer.changes(standing))
            }),
        ]
    }
}

/// Instances that differ in all that rows keep.
struct World {
    chance: Chance,
    live: Vec<Sample>,
    /// The next birth or run.
    next: u64,
    /// The highest number sent in each of some pairs.
    sent: [u64; 4],
    /// Every (birth, run) that there was.
    runs: Vec<(u64, u64)>,
}

const NAMES: [&str; 4] = ["Greet", "Charge", "Überprüfe", "a\"b\\c"];
const PREFIXES: [&str; 6] = ["order-", "orders%", "Order_", "日本", "", "zz"];
const TIERS: [&str; 3] = ["gold", "tin \"plate\"\n", ""];

impl World {
    fn step(&mut self, at: u64) -> Vec<Delta> {
        let what = self.chance.below(16);
        if self.live.is_empty() || what < 3 {
            return self.start();
        }
        let which = self.chance.below(self.live.len() as u64) as usize;
        let event = self.payload(at);
        let sample = &mut self.live[which];
        match what {
            3..=5 => sample.arrive(event),
            6..=8 => sample.episode(),
            9 | 10 => self.end(which),
            11 => self.reborn(which, event),
            12 => self.rewind(which),
            13 => count_again(sample),
            14 => self.messages(event),
            _ => vec![purge(&self.live.swap_remove(which))],
        }
    }

    fn start(&mut self) -> Vec<Delta> {
        let birth = self.number();
        let id = format!("{}{birth}", self.chance.of(&PREFIXES));
        let chance = &mut self.chance;
        let mut sample = Sample::new(&id, birth).with(|head| {
            head.name = chance.of(&NAMES).into();
            head.version = chance.one_in(2).then(|| "1.0".into());
            head.created = Some(Timestamp { seconds: 1_000 + chance.below(3) as i64, nanos: chance.below(3) as i32 });
            if chance.one_in(3) {
                head.tags.insert("tier".into(), chance.of(&TIERS).into());
                head.tags.insert("\u{0}\"".into(), String::new());
            }
        });
        if self.chance.one_in(2) {
            sample = sample.child_of(self.chance.of(&["parent", "order-1", ""]));
        }
        let event = self.payload(birth);
        let deltas = sample.start(event);
        self.live.push(sample);
        self.runs.push((birth, birth));
        deltas
    }

    fn end(&mut self, which: usize) -> Vec<Delta> {
        let status = self.chance.of(&[OrchestrationStatus::Completed, OrchestrationStatus::Failed]);
        let seconds = 2_000 + self.chance.below(3) as i64;
        self.live[which].end(status, seconds)
    }

    /// The next generation: a new run of the same birth.
    fn reborn(&mut self, which: usize, event: Bytes) -> Vec<Delta> {
        let run = self.number();
        let image = &mut self.live[which].image;
        self.runs.push((image.head.birth, run));
        let left = image.tasks.iter().filter(|task| task.run == image.head.run);
        let again = |task: &Task| delta(Change::Task(Task { again: true, ..task.clone() }));
        let mut deltas: Vec<Delta> = left.map(again).collect();
        deltas.push(delta(Change::RunClosed(RunClosed { run: image.head.run })));
        image.head.run = run;
        image.head.begins_run = true;
        image.head.input = None;
        image.history.clear();
        image.inbox.clear();
        image.timers.clear();
        image.tail.completed = None;
        image.tail.output = None;
        deltas.extend(self.live[which].start(event));
        deltas
    }

    /// A new history, made of parts of the old one; what is open goes.
    fn rewind(&mut self, which: usize) -> Vec<Delta> {
        let image = &mut self.live[which].image;
        let run = image.head.run;
        let mut deltas: Vec<_> =
            image.tasks.drain(..).filter_map(|task| Some(delta(Change::TaskClosed(task.key?)))).collect();
        let kept = (0..image.history.len()).rev().step_by(2);
        let parts = kept.clone().map(|index| Place::History(index as u64).into()).collect();
        image.history = kept.map(|index| image.history[index].clone()).collect();
        image.head.rewinds.push(Rewind { at: None, reason: Some("wrong".into()), before: String::new() });
        image.head.begins_run = false;
        image.head.input = None;
        image.tail.output = None;
        image.tail.completed = None;
        image.tail.status = OrchestrationStatus::Running.into();
        image.tail.updated = Some(Timestamp { seconds: i64::MAX, nanos: -1 });
        deltas.push(delta(Change::Tail(Box::new(image.tail.clone()))));
        deltas.push(delta(Change::Head(Box::new(image.head.clone()))));
        deltas.push(delta(Change::History(HistoryParts { run, parts, replace: true, first: 0 })));
        deltas
    }

    fn messages(&mut self, message: Bytes) -> Vec<Delta> {
        let pair = self.chance.below(self.sent.len() as u64);
        let (source, target) = (pair as u32 * 60, 200 - pair as u32);
        self.sent[pair as usize] += 1 + self.chance.below(2);
        let sequence = self.sent[pair as usize];
        let mark = PairMark { source, target, sequence };
        let up_to = PairMark { sequence: self.chance.below(sequence + 1), ..mark };
        let back = PairMark { source: target, target: source, sequence };
        let mut deltas = vec![delta(Change::Sent(Sent { mark: Some(mark), message })), delta(Change::Received(back))];
        if self.chance.one_in(2) {
            deltas.push(delta(Change::Acknowledged(up_to)));
        }
        deltas
    }

    /// Mostly small; now and then none, more than a page, more than a chunk, or no text.
    fn payload(&mut self, at: u64) -> Bytes {
        match self.chance.below(12) {
            0 => Bytes::new(),
            1 => vec![b'x'; 9_000].into(),
            2 => vec![b'y'; 70_000].into(),
            3 => Bytes::from_static(b"<\xff\xfe"),
            _ => format!("<{at} déjà vu").into(),
        }
    }

    fn number(&mut self) -> u64 {
        let number = self.next;
        self.next += 1 + self.chance.below(3);
        number
    }

    fn compare<R: Rows>(&mut self, both: &Both<'_, R>) {
        let (rows, memory) = (both.rows, &both.memory);
        for sample in &self.live {
            let id = &sample.image.head.id;
            let loaded = rows.load(id).expect("it can be read").expect("it is there");
            assert_eq!(loaded, sample.image, "{id} is what was written");
        }
        assert_eq!(rows.load("nobody").expect("it can be read"), None);
        for slots in [0..=255, 0..=127] {
            let slots: Vec<_> = slots.map(Slot).collect();
            assert_eq!(rows.outstanding(&slots).expect("it can be read"), memory.outstanding(&slots).expect("it can"));
            let mut window = TimerWindow { after: None, before: Time::new(9_000 + self.chance.below(1_001) as i64, 0) };
            let due = rows.timers(&slots, window).expect("it can be read");
            assert_eq!(due, memory.timers(&slots, window).expect("it can be read"));
            let middle = due.timers.get(due.timers.len() / 2);
            window.after = middle.map(|(_, timer)| duramen_core::checkpoint::TimerPlace {
                due: timer.due.map_or(Time::EPOCH, Time::from),
                key: timer.key.unwrap_or_default(),
            });
            assert_eq!(
                rows.timers(&slots, window).expect("it can be read"),
                memory.timers(&slots, window).expect("it can be read")
            );
        }
        for _ in 0..4 {
            let mut query = self.query();
            // From page to page, as far as there are any.
            loop {
                let page = rows.query(&query).expect("it can be read");
                assert_eq!(page, memory.query(&query).expect("it can be read"), "{query:?}");
                query.after = page.next;
                if query.after.is_none() {
                    break;
                }
            }
        }
    }

    fn query(&mut self) -> Query {
        let chance = &mut self.chance;
        let created = |chance: &mut Chance| {
            chance.one_in(3).then(|| Time::new(1_000 + chance.below(4) as i64, chance.below(3) as u32))
        };
        let completed = |chance: &mut Chance| chance.one_in(4).then(|| Time::new(2_000 + chance.below(4) as i64, 0));
        let statuses = [
            OrchestrationStatus::Pending,
            OrchestrationStatus::Running,
            OrchestrationStatus::Completed,
            OrchestrationStatus::Failed,
            OrchestrationStatus::Suspended,
        ];
        Query {
            statuses: (0..chance.below(4)).map(|_| chance.of(&statuses)).collect(),
            created_from: created(chance),
            created_to: if chance.one_in(8) { Some(Time::MAX) } else { created(chance) },
            completed_from: completed(chance),
            completed_to: completed(chance),
            prefix: chance.one_in(3).then(|| chance.of(&["order", "order-", "orders%", "O", "日", "", "a"]).into()),
            name: chance.one_in(4).then(|| chance.of(&NAMES).into()),
            tag: chance.one_in(4).then(|| ("tier".into(), chance.of(&TIERS).into())),
            parent: chance.one_in(4).then(|| chance.of(&["parent", "order-1", ""]).into()),
            order: if chance.one_in(3) { Order::Completed } else { Order::Created },
            limit: chance.below(5) as usize,
            after: None,
            bare: chance.one_in(4),
            hints: false,
        }
    }

    /// Nothing can be read any more, of any run that there was.
    fn nothing_is_left(&self, rows: &impl Rows) {
        const IT: &str = "it can be read";
        let slots: Vec<_> = (0..=255).map(Slot).collect();
        let outstanding = rows.outstanding(&slots).expect(IT);
        assert_eq!((outstanding.ready, outstanding.tasks), (Vec::new(), Vec::new()));
        let ever = TimerWindow { after: None, before: Time::MAX };
        assert_eq!(rows.timers(&slots, ever).expect(IT), Default::default());
        for (order, prefix) in [(Order::Created, None), (Order::Created, Some(String::new())), (Order::Completed, None)]
        {
            let query = Query { order, prefix, limit: 9, ..Query::default() };
            assert_eq!(rows.query(&query).expect(IT), Default::default());
        }
        for &(birth, run) in &self.runs {
            for number in 0..4 {
                assert_eq!(rows.history(run, number).expect(IT), None, "of run {run}");
                assert_eq!(rows.arrived(run, number).expect(IT), None, "of run {run}");
                assert_eq!(rows.task(TaskKey { birth, number }).expect(IT), None, "of birth {birth}");
            }
        }
    }
}

fn purge(sample: &Sample) -> Delta {
    let Head { birth, run, .. } = sample.image.head;
    delta(Change::Purged(Purged { birth, run }))
}

/// A dispatch counts against what is open, and its action changes.
fn count_again(sample: &mut Sample) -> Vec<Delta> {
    if let Some(task) = sample.image.tasks.last_mut() {
        task.action = -3;
    }
    sample.lose()
}

/// Numbers that a seed gives (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}
