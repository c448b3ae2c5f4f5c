//! How an instance begins, and how its next generation does.

use super::{Entry, History, Instance};
use crate::checkpoint::{Change, Head, Parent, RunClosed, Tail, Task, Text, Timer, TimerKey};
use crate::event::{self, Kind, Payload};
use crate::ids::InstanceId;
use crate::partition::Ledger;
use crate::planted::planted;
use crate::time::Time;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use bytes::Bytes;
use duramen_proto::history_event::EventType;
use duramen_proto::{ExecutionStartedEvent, OrchestrationStatus};

/// What an instance begins with.
pub(crate) struct Beginning {
    pub(crate) id: InstanceId,
    /// Without an instance; one with an execution id keeps it.
    pub(crate) started: ExecutionStartedEvent,
    pub(crate) execution_id: Option<String>,
    pub(crate) parent: Option<Parent>,
    pub(crate) depth: u32,
}

impl Instance {
    /// Makes an instance and writes that it is there.
    pub(crate) fn begin(beginning: Beginning, ledger: &mut Ledger) -> Self {
        let Beginning { id, mut started, execution_id, parent, depth } = beginning;
        let run = ledger.numbers.run();
        let execution_id = execution_id.filter(|id| !id.is_empty()).unwrap_or_else(|| ledger.numbers.execution_id());
        started.orchestration_instance = Some(event::instance_of(&id, &execution_id));
        let now = ledger.now;
        // A time that has passed means now (JavaScript sends 1970 when it means nothing).
        let scheduled = started.scheduled_start_timestamp.filter(|at| Time::from(*at) > now);
        let head = Head {
            birth: run.0,
            run: run.0,
            id: id.to_string(),
            execution_id,
            name: started.name.clone(),
            version: started.version.clone(),
            parent,
            tags: started.tags.clone(),
            created: Some(now.into()),
            scheduled,
            input: None,
            rewinds: Vec::new(),
            depth,
            begins_run: true,
        };
        let tail = Tail {
            birth: run.0,
            status: OrchestrationStatus::Pending.into(),
            updated: Some(now.into()),
            ..Tail::default()
        };
        let mut instance = Self::new(id, head, tail);
        let started = event::execution_started(now, started);
        instance.write_head(&started, ledger);
        if let Some(due) = scheduled {
            instance.open_timer(due.into(), None, ledger);
        }
        instance.receive(Kind::Started, started, ledger);
        instance
    }

    /// Writes the head for an ExecutionStarted that is the next event in the inbox.
    fn write_head(&mut self, started: &Bytes, ledger: &mut Ledger) {
        let place = crate::checkpoint::Place::Inbox(self.tail.next_arrival);
        self.head.input = event::locate(started, Payload::Input).map(|(start, length)| Text {
            part: Some(place.into()),
            start,
            length,
            run: self.head.run,
        });
        self.head.begins_run = true;
        ledger.write(Change::Head(Box::new(self.head.clone())));
    }

    /// Opens a timer; one without an event id holds back a scheduled start.
    pub(super) fn open_timer(&mut self, due: Time, event_id: Option<i32>, ledger: &mut Ledger) {
        let number = self.tail.next_timer;
        self.tail.next_timer += 1;
        let timer = Timer {
            key: Some(TimerKey { run: self.head.run, number }),
            birth: self.head.birth,
            due: Some(due.into()),
            event_id,
        };
        ledger.write(Change::Timer(timer.clone()));
        ledger.open_timer(&timer, &self.id);
        self.timers.insert(number, timer);
    }

    /// Goes on as a new generation: new run, new execution, empty history. The inbox begins with
    /// what is carried over; what arrived meanwhile and is meant for the instance follows.
    pub(super) fn continue_as_new(&mut self, next: NextGeneration, ledger: &mut Ledger) {
        let started_before = self.started_event();
        self.close_timers(ledger);
        self.write_left_behind(ledger);
        ledger.write(Change::RunClosed(RunClosed { run: self.head.run }));
        let waiting = core::mem::take(&mut self.inbox);
        self.history = History::default();
        self.largest_action = -1;
        self.session = None;

        self.head.run = ledger.numbers.run().0;
        self.head.execution_id = ledger.numbers.execution_id();
        self.execution_id = self.head.execution_id.as_str().into();
        if let Some(version) = next.version {
            self.version = Some(version.as_str().into());
            self.head.version = Some(version);
        }
        self.head.scheduled = None;
        let started = ExecutionStartedEvent {
            version: self.head.version.clone(),
            input: next.input,
            orchestration_instance: Some(event::instance_of(&self.id, &self.head.execution_id)),
            scheduled_start_timestamp: None,
            ..started_before
        };
        self.tail.history_events = 0;
        self.tail.episodes = 0;
        let started = event::execution_started(ledger.now, started);
        self.write_head(&started, ledger);
        self.put(Kind::Started, started, ledger);
        for event in next.carried {
            self.put(Kind::Raised, event, ledger);
        }
        self.move_to_new_run(waiting, ledger);
    }

    /// Writes the open tasks of this run again, with their events: the history that holds those goes.
    pub(super) fn write_left_behind(&self, ledger: &mut Ledger) {
        for task in self.tasks.values().filter(|task| task.run == self.head.run) {
            ledger.write(Change::Task(Task { again: true, ..task.clone() }));
        }
    }

    fn move_to_new_run(&mut self, waiting: VecDeque<Entry>, ledger: &mut Ledger) {
        for entry in waiting {
            planted!(InboxDroppedAtContinueAsNew => continue);
            match entry.kind {
                Kind::Suspended | Kind::Resumed | Kind::Terminated | Kind::Raised => {
                    self.put(entry.kind, entry.event, ledger);
                }
                // Results name the run that asked for them, and that run is over.
                Kind::Started | Kind::Rewound | Kind::Fired | Kind::Result => {}
            }
        }
    }

    /// ExecutionStarted of the current run, wherever it is.
    pub(crate) fn started_event(&self) -> ExecutionStartedEvent {
        let in_inbox = self.inbox.iter().find(|entry| entry.kind == Kind::Started);
        match in_inbox.map(|entry| event::decode_type(&entry.event)) {
            Some(EventType::ExecutionStarted(started)) => started,
            _ => self.history.started().expect("a run begins with ExecutionStarted"),
        }
    }
}

/// What a new generation begins with.
pub(super) struct NextGeneration {
    pub(super) input: Option<String>,
    pub(super) version: Option<String>,
    /// Encoded EventRaised, in order.
    pub(super) carried: Vec<Bytes>,
}
