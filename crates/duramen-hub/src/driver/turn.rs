//! One turn of the loop.

use super::{Commit, Driver, Lease, Phase, Slice};
use crate::attachment::BareAnswer;
use crate::error::HubError;
use crate::hub::Shared;
use crate::inbox::{Bare, Call, Incoming};
use duramen_backend::{Event, Hurry};
use duramen_core::checkpoint::Checkpoint;
use duramen_core::ids::{Epoch, InstanceId, PartitionId};
use duramen_core::partition::{Config, Input, Partition};
use duramen_core::request::{Refusal, Reply, Request};
use duramen_core::time::Time;
use duramen_core::work::{Answer, WorkerId};
use std::collections::VecDeque;
use std::time::Instant;

/// What one turn takes from its queue. A turn without this bound takes all that a thousand instances
/// have to say, and loop, disk and workers wait for each other in turn instead of working at once.
const INPUTS_OF_A_TURN: usize = 1024;

impl Driver {
    /// Takes what has arrived, works on it, lets out what may leave, writes what has to be written.
    pub(super) fn turn(&mut self, shared: &Shared) {
        self.look_at_the_clock(shared);
        let mut events = std::mem::take(&mut self.spare.events);
        let mut incoming = std::mem::take(&mut self.spare.incoming);
        let more = self.takes_more().then_some(&mut incoming);
        shared.inbox().take(&mut events, more);
        self.reported(shared, &mut events);
        self.spare.events = events;
        self.arrived.extend(incoming.drain(..));
        self.spare.incoming = incoming;

        self.feed(shared);
        self.tick(shared);
        self.grant(shared);
        self.let_drained_go(shared);
        self.release();
        self.write(shared);
        self.stop_when_drained(shared);
    }

    /// What the backend reports, in order.
    fn reported(&mut self, shared: &Shared, events: &mut Vec<Event>) {
        let mut commits = std::mem::take(&mut self.spare.commits);
        for event in events.drain(..) {
            if let Event::Appended { partition, number, position, .. } = event {
                // Everything up to a number is durable with it: of neighbours the last one counts.
                match commits.last_mut() {
                    Some(last) if last.partition == partition => *last = Commit { partition, number, position },
                    _ => commits.push(Commit { partition, number, position }),
                }
                continue;
            }
            self.committed(shared, &mut commits);
            self.event(shared, event);
        }
        self.committed(shared, &mut commits);
        self.spare.commits = commits;
    }

    fn committed(&mut self, shared: &Shared, commits: &mut Vec<Commit>) {
        for Commit { partition, number, position } in commits.drain(..) {
            let Some(slice) = self.slices.get_mut(partition.0 as usize) else {
                continue;
            };
            while slice.unsynced.front().is_some_and(|(first, _)| *first <= number) {
                let (_, bytes) = slice.unsynced.pop_front().expect("there is a first one");
                self.unsynced.checkpoints -= 1;
                self.unsynced.bytes -= bytes;
            }
            self.dispatcher.committed(partition, number);
            self.run(shared, partition.0 as usize, |partition, _, out| partition.committed(number, position, out));
        }
    }

    fn event(&mut self, shared: &Shared, event: Event) {
        match event {
            Event::Acquired { partition, epoch, store, outstanding } => {
                self.acquired(shared, partition, Lease { epoch, store, outstanding });
            }
            Event::Appended { .. } => unreachable!("commits are gathered before"),
            Event::Refused { reason, .. } => self.stop(shared, HubError::LostLease(reason)),
            Event::Failed(failure) => self.stop(shared, HubError::Store(failure)),
            Event::Loaded { partition, id, image } => {
                self.handle(shared, partition.0 as usize, Input::Loaded(id, image));
            }
            Event::Timers { partition, due } => self.handle(shared, partition.0 as usize, Input::Timers(due)),
            Event::Space { short } => self.short_of_space = short,
            Event::Queried { query, page } => self.pending.found(query, page),
            Event::Settled(position) => {
                for at in 0..self.slices.len() {
                    self.handle(shared, at, Input::Settled(position));
                }
            }
        }
    }

    /// Once every partition has its lease, all are opened: they send to each other.
    fn acquired(&mut self, shared: &Shared, partition: PartitionId, lease: Lease) {
        let Phase::Opening { acquired, .. } = &mut self.phase else {
            return;
        };
        acquired[partition.0 as usize] = Some(lease);
        if acquired.iter().any(Option::is_none) {
            return;
        }
        let Phase::Opening { acquired, opened } = std::mem::replace(&mut self.phase, Phase::Running) else {
            return;
        };
        let mut effects = Vec::new();
        for (number, lease) in (0..).zip(acquired.into_iter().flatten()) {
            let id = PartitionId(number);
            let config = Config {
                id,
                epoch: lease.epoch,
                store: lease.store,
                slots: crate::hub::slots(number, shared.options.partitions),
                settings: shared.options.settings.clone(),
            };
            self.dispatcher.opened(id, lease.epoch, self.now);
            let (partition, out) = Partition::open(config, *lease.outstanding, self.now);
            effects.push(out);
            let (unsynced, mail) = (VecDeque::new(), VecDeque::new());
            self.slices.push(Slice { id, epoch: lease.epoch, partition, unsynced, mail });
        }
        for (at, out) in effects.into_iter().enumerate() {
            self.route(shared, at, out);
        }
        // No later turn has as many effects as there may be now: their room is not kept for one.
        self.spare.effects.clear();
        let _ = opened.send(Ok(()));
    }

    /// Feeds what was taken, and what other partitions have sent, while there is room.
    fn feed(&mut self, shared: &Shared) {
        for at in 0..self.slices.len() {
            self.deliver_mail(shared, at);
        }
        for _ in 0..INPUTS_OF_A_TURN {
            if !self.takes_input() {
                return;
            }
            let Some(incoming) = self.arrived.pop_front() else { return };
            self.incoming(shared, incoming);
        }
    }

    fn incoming(&mut self, shared: &Shared, incoming: Incoming) {
        if let Phase::Stopped(reason) = &self.phase {
            return super::stop::refuse(reason, incoming);
        }
        match incoming {
            Incoming::Request(call) => {
                let Call { id, request, reply } = *call;
                if self.short_of_space && takes_space(&request) {
                    // Whoever asked may have gone.
                    let _ = reply.send(Reply::Refused(Refusal::NoSpace));
                    return;
                }
                let at = self.owner_of(target(&request));
                self.pending.asked(id, at, matches!(request, Request::Wait(_)), reply);
                self.handle(shared, at, Input::Request(id, request));
            }
            Incoming::Cancelled(id) => {
                if let Some(at) = self.pending.withdrawn(id) {
                    self.handle(shared, at, Input::Cancelled(id));
                }
            }
            Incoming::Query(search) => {
                self.pending.searched(search.id, search.reply);
                shared.backend.query(search.id, search.query);
            }
            Incoming::Answer(worker, answer) => {
                if let Answer::Abandoned(..) = &answer {
                    self.workers.gave_back(worker);
                }
                self.dispatcher.answered(worker, &answer);
                self.answered(shared, worker, answer);
            }
            Incoming::Bare(bare) => self.answered_bare(shared, *bare),
            Incoming::Sent(worker, kind, items) => self.dispatcher.sent(worker, kind, items),
            Incoming::Joined(worker, link, announcement) => {
                self.workers.joined(worker, link, announcement.in_process, self.now);
                self.dispatcher.join(worker, announcement);
            }
            Incoming::Left(worker) => self.worker_gone(shared, worker),
            Incoming::Drain(worker, told) => self.drain_worker(worker, told),
            Incoming::Look(look) => self.look(look),
            Incoming::Held(at, id, reply) => {
                self.pending.asked(id, at, false, reply);
                self.handle(shared, at, Input::ShowHeld(id));
            }
            Incoming::Shutdown(patience, done) => self.drain(patience, done),
        }
    }

    fn answered(&mut self, shared: &Shared, worker: WorkerId, answer: Answer) {
        // A token is drawn from the numbers of its partition's epoch. One of another epoch is older
        // than this hub, and so stale (invariant 5).
        let epoch = answer.token().epoch();
        match self.slices.iter().position(|slice| slice.epoch == epoch) {
            Some(at) => self.handle(shared, at, Input::Answer(worker, answer)),
            None => {
                tracing::debug!(token = %answer.token(), "an answer to an item of an earlier lease is dropped")
            }
        }
    }

    /// An answer without a token is about the one item that is out on its connection and fits.
    fn answered_bare(&mut self, shared: &Shared, bare: Bare) {
        let Bare { workers, answer, token: told } = bare;
        let token = workers.into_iter().find_map(|worker| {
            let token = match &answer {
                BareAnswer::Orchestrator(response) => self.dispatcher.token_of_episode(worker, response),
                BareAnswer::Activity(response) => self.dispatcher.token_of_activity(worker, response),
            };
            token.map(|token| (worker, token))
        });
        let _ = told.send(token.map(|(_, token)| token));
        if let Some((worker, token)) = token {
            let answer = match answer {
                BareAnswer::Orchestrator(response) => Answer::Orchestrator(token, response),
                BareAnswer::Activity(response) => Answer::Activity(token, response),
            };
            self.answered(shared, worker, answer);
        }
    }

    pub(super) fn owner_of(&self, id: &str) -> usize {
        match self.slices.len() {
            1 => 0,
            partitions => crate::hub::owner(InstanceId::new(id).slot(), partitions as u32) as usize,
        }
    }

    fn tick(&mut self, shared: &Shared) {
        for at in 0..self.slices.len() {
            if self.slices[at].partition.deadline().is_some_and(|due| due <= self.now) {
                self.run(shared, at, |partition, now, out| partition.tick(now, out));
            }
        }
    }

    /// Grants what is offered to whom has room, until nothing more can be granted.
    fn grant(&mut self, shared: &Shared) {
        // What a worker answers has to be written.
        if !matches!(self.phase, Phase::Running) || self.short_of_space {
            return;
        }
        loop {
            let mut grants = std::mem::take(&mut self.spare.grants);
            self.dispatcher.grants(self.now, &mut grants);
            self.see_to_oversized(shared);
            let granted = !grants.is_empty();
            for (partition, grant) in grants.drain(..) {
                self.workers.granted(grant.worker);
                self.handle(shared, partition.0 as usize, Input::Granted(grant));
            }
            self.spare.grants = grants;
            if !granted {
                return;
            }
        }
    }

    /// Lets out what has gathered for clients and workers: before the write, which may take a while.
    pub(super) fn release(&mut self) {
        self.workers.release();
        self.pending.release();
    }

    /// Cuts a checkpoint of each partition that has something to write, and hands them over.
    fn write(&mut self, shared: &Shared) {
        if matches!(self.phase, Phase::Stopped(_)) {
            return;
        }
        let now = self.time_of_cuts();
        let mut before: Option<(PartitionId, Epoch, Checkpoint)> = None;
        for slice in &mut self.slices {
            let bytes = slice.partition.turn_bytes();
            let Some(checkpoint) = slice.partition.cut(now) else {
                continue;
            };
            slice.unsynced.push_back((checkpoint.number, bytes));
            self.unsynced.checkpoints += 1;
            self.unsynced.bytes += bytes;
            if let Some((id, epoch, checkpoint)) = before.replace((slice.id, slice.epoch, checkpoint)) {
                shared.backend.append(id, epoch, vec![checkpoint], Hurry::Busy);
            }
        }
        if let Some((id, epoch, checkpoint)) = before {
            // Only the last may be written on this thread, and only if nobody waits for the thread, nor will
            // before the write is done: a loop that stands still while answers come in cannot prepare the next
            // batch.
            let idle = self.arrived.is_empty() && !self.workers.are_busy() && shared.inbox().is_empty();
            let hurry = if idle { Hurry::Idle } else { Hurry::Busy };
            shared.backend.append(id, epoch, vec![checkpoint], hurry);
        }
    }

    /// The hub's time, or on a virtual clock the end of an open turn that has been open for as long as it may
    /// in real time.
    fn time_of_cuts(&mut self) -> Time {
        match self.nudge {
            Some((at, due)) if at <= Instant::now() => {
                self.nudge = None;
                self.now.max(due)
            }
            _ => self.now,
        }
    }

    fn look_at_the_clock(&mut self, shared: &Shared) {
        match &shared.options.clock {
            crate::Clock::Wall => {
                self.now = shared.options.clock.now();
                self.jumps.look(Instant::now(), self.now);
            }
            crate::Clock::Virtual(clock) => {
                self.now = clock.now();
            }
        }
    }
}

/// Whether a request makes more to be stored. Ending what runs and purging what has ended are how there comes to be
/// space again.
fn takes_space(request: &Request) -> bool {
    match request {
        Request::Start(_) | Request::Raise { .. } | Request::Restart { .. } | Request::Rewind { .. } => true,
        Request::Suspend { .. }
        | Request::Resume { .. }
        | Request::Terminate { .. }
        | Request::End { .. }
        | Request::Purge(_)
        | Request::Get(_)
        | Request::Wait(_)
        | Request::History(_)
        | Request::Landed(_)
        | Request::Decide { .. } => false,
    }
}

/// The id by whose slot a request finds its partition.
pub(super) fn target(request: &Request) -> &str {
    match request {
        Request::Start(start) => &start.request.instance_id,
        Request::Wait(wait) => wait.id.as_str(),
        Request::Get(id) | Request::History(id) | Request::Landed(id) => id.as_str(),
        Request::Purge(purge) => purge.id.as_str(),
        Request::Raise { id, .. }
        | Request::Suspend { id, .. }
        | Request::Resume { id, .. }
        | Request::Terminate { id, .. }
        | Request::End { id, .. }
        | Request::Rewind { id, .. }
        | Request::Restart { id, .. }
        | Request::Decide { id, .. } => id.as_str(),
    }
}
