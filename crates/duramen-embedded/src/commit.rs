//! Group commit: one batch is being written at a time, and everything that waits goes into the next.

use crate::chores::{Chore, Chores};
use crate::files::{Files, Refused};
use crate::folder::Folder;
use crate::pace::Pace;
use crate::reserve::Reserve;
use crate::settle::Settles;
use crate::shift::{Attendance, Shift};
use crate::spread::Spread;
use duramen_backend::journal::{Frame, Io, Journal, Plan};
use duramen_backend::leases::Leases;
use duramen_backend::rows::Rows;
use duramen_backend::settler::Settler;
use duramen_backend::submission::{Queue, Submitted, fill};
use duramen_backend::{Failure, Hurry};
use duramen_core::ids::Position;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a batch waits for space before it is tried again.
const SPACE_PAUSE: Duration = Duration::from_millis(100);
/// How long nothing is written before an empty batch follows the last one.
const QUIET: Duration = Duration::from_millis(100);

pub(crate) struct Committer<R> {
    pub(crate) files: Files,
    pub(crate) settler: Settler<R>,
    pub(crate) pace: Pace,
    pub(crate) settles: Settles,
    pub(crate) chores: Chores,
    pub(crate) reserve: Reserve,
    /// The disk is full, or was and has not been seen to have space since.
    pub(crate) short: AtomicBool,
    /// A batch waits for a segment that there is no space for.
    pub(crate) starved: AtomicBool,
    /// How long batches took.
    pub(crate) batches: Spread,
    /// How many copies are being made of the journal: segments stay for them.
    pub(crate) copies: AtomicUsize,
    /// The writer thread.
    pub(crate) shift: Shift,
    front: Mutex<Front>,
    log: Mutex<Log>,
    /// Whoever needs a segment that is being made waits here.
    prepared: Condvar,
}

/// How long whoever writes may wait for space on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Patience {
    /// It is a thread of somebody else's, who has more to do.
    None,
    /// It is the writer thread.
    UntilThereIsSpace,
}

/// What submitters and the writer share.
struct Front {
    queue: Queue,
    /// A batch is being written, by the writer thread or by a submitter.
    writing: bool,
    attendance: Attendance,
    /// The end of the journal has no mark, and when it was written.
    unmarked_since: Option<Instant>,
    /// The writer waits for somebody, and not for a time.
    asleep: bool,
}

/// What only the one who writes touches.
struct Log {
    journal: Journal,
    frame: Frame,
    /// A segment is being made.
    preparing: bool,
    /// The last one could not be made ahead; the next is made when there is no way around it.
    gave_up: bool,
}

impl<R: Rows> Committer<R> {
    pub(crate) fn new(files: Files, journal: Journal, leases: Leases, settler: Settler<R>, pace: Pace) -> Self {
        let reserve = Reserve::look(files.folder().map(Folder::root), pace.settling().reserve);
        let unmarked_since = (!journal.is_marked()).then(Instant::now);
        Self {
            files,
            settler,
            pace,
            settles: Settles::default(),
            chores: Chores::default(),
            short: AtomicBool::new(reserve.is_spent()),
            reserve,
            starved: AtomicBool::new(false),
            batches: Spread::default(),
            copies: AtomicUsize::new(0),
            front: Mutex::new(Front {
                queue: Queue::new(leases),
                writing: false,
                attendance: Attendance::default(),
                unmarked_since,
                asleep: false,
            }),
            shift: Shift::default(),
            log: Mutex::new(Log { journal, frame: Frame::default(), preparing: false, gave_up: false }),
            prepared: Condvar::new(),
        }
    }

    /// Puts something into the queue, and has it written: by this thread if it has nothing else to
    /// do and no batch is on its way, because handing it over costs as much as a good disk's sync.
    pub(crate) fn submit(&self, hurry: Hurry, submit: impl FnOnce(&mut Queue) -> Result<(), Failure>) {
        let mut front = self.front();
        if front.attendance.is_closing() || self.settler.has_failed() {
            return;
        }
        let alone = front.queue.is_empty() && !front.writing;
        if let Err(failure) = submit(&mut front.queue) {
            drop(front);
            self.settler.fail(failure);
            self.settler.outlet().deliver();
            return;
        }
        if alone && hurry == Hurry::Idle && self.pace.has_room() {
            front = self.write(front, Patience::None);
            // Somebody has to write what came meanwhile, and the mark.
            if !front.queue.is_empty() || front.attendance.is_closing() || front.asleep || !front.attendance.is_there()
            {
                self.shift.call(&mut front.attendance);
            }
            drop(front);
            self.settler.outlet().deliver();
        } else if !front.writing {
            self.shift.call(&mut front.attendance);
        }
    }

    /// The writer thread.
    pub(crate) fn run(&self) {
        let mut front = self.front();
        let mut tired = false;
        while !self.settler.has_failed() {
            if front.writing {
                (front, _) = self.idle(front);
            } else if !front.queue.is_empty() {
                drop(front);
                self.await_room();
                front = self.write(self.front(), Patience::UntilThereIsSpace);
                drop(front);
                self.settler.outlet().deliver();
                (front, tired) = (self.front(), false);
            } else if front.attendance.is_closing() {
                front = self.mark(front, true);
                break;
            } else if let Some(since) = front.unmarked_since {
                let left = QUIET.saturating_sub(since.elapsed());
                front = if left.is_zero() { self.mark(front, false) } else { self.shift.wait(front, left) };
            } else if tired {
                break;
            } else {
                (front, tired) = self.idle(front);
            }
        }
        front.attendance.leave();
    }

    /// The thread for everything else.
    pub(crate) fn run_chores(&self) {
        while let Some(chore) = self.chores.next() {
            match chore {
                Chore::Recycle => self.recycle(),
                Chore::Prepare(plan) => self.prepare(plan),
            }
        }
    }

    /// Waits while too much is durable and not settled.
    fn await_room(&self) {
        if let Some(waited) = self.pace.await_room(|| self.settler.has_failed()) {
            let (unsettled, _) = self.pace.unsettled();
            tracing::warn!(
                waited_ms = waited.as_millis() as u64,
                unsettled_bytes = unsettled,
                full = self.pace.is_full(),
                "appends waited for settling: the tables do not keep up with the journal"
            );
        }
    }

    /// Takes segments out of use that hold nothing but what is settled.
    fn recycle(&self) {
        let settled = self.settler.settled();
        while self.copies.load(Ordering::SeqCst) == 0 {
            let recycling = lock(&self.log).journal.recycle(settled);
            let Some(recycling) = recycling else { return };
            let _recycle = tracing::debug_span!("recycle_segment").entered();
            if let Err(failure) = self.files.perform(&recycling.io) {
                // The journal counts on it; half of it may be done.
                self.settler.fail(failure);
                self.settler.outlet().deliver();
                return;
            }
            lock(&self.log).journal.recycled(recycling);
        }
    }

    /// Where the batch at a position and all behind it are, up to the last that is written: segments,
    /// and bytes of each.
    pub(crate) fn holding(&self, position: Position) -> Vec<(u64, u64)> {
        // A batch is written with the log locked, so none of these is half there.
        lock(&self.log).journal.holding(position)
    }

    /// Lets no more in. What was submitted is written by the writer thread, which then ends.
    pub(crate) fn close(&self) {
        self.pace.end();
        self.shift.close(&mut self.front().attendance);
    }

    /// Has the writer thread look what there is.
    pub(crate) fn begin(&self) {
        self.shift.call(&mut self.front().attendance);
    }

    /// Writes and syncs one batch of what waits, with the queue open to others meanwhile.
    fn write<'a>(&'a self, mut front: MutexGuard<'a, Front>, patience: Patience) -> MutexGuard<'a, Front> {
        front.writing = true;
        let mut waiting = front.queue.take();
        drop(front);
        let unmarked = self.commit(&mut waiting, patience);
        let mut front = self.front();
        front.queue.put_back(waiting);
        front.unmarked_since = unmarked.then(Instant::now).or(front.unmarked_since);
        front.writing = false;
        front
    }

    /// Says whether something was written.
    fn commit(&self, waiting: &mut VecDeque<Submitted>, patience: Patience) -> bool {
        let mut log = lock(&self.log);
        let batch = fill(waiting, &mut log.frame);
        let mut log = match self.make_room(log, patience) {
            Ok(log) => log,
            Err(mut log) => {
                log.frame.clear();
                batch.into_iter().rev().for_each(|submitted| waiting.push_front(submitted));
                return false;
            }
        };
        let log = &mut *log;
        if log.frame.is_empty() {
            // Nothing but refusals: there is nothing to write.
            self.settler.committed(batch, log.journal.end());
            return false;
        }
        let before = log.journal.segment();
        let (io, position) = log.journal.batch(&mut log.frame);
        let segment = log.journal.segment();
        let _change = (segment != before).then(|| tracing::debug_span!("change_segment", segment).entered());
        let begun = Instant::now();
        if let Err(failure) = self.files.perform(&io) {
            // What was written may be on disk or not, and no later sync can tell. Nothing is
            // released any more; opening again finds out.
            self.settler.fail(failure);
            return false;
        }
        log.journal.synced();
        self.batches.add(begun.elapsed());
        if !log.preparing
            && !log.gave_up
            && let Some(plan) = log.journal.plan_ahead()
        {
            log.preparing = true;
            self.chores.prepare(plan);
        }
        let landed = bytes_of(&batch);
        let asked = batch.iter().any(|submitted| matches!(submitted, Submitted::Lease { .. }));
        self.settler.committed(batch, position);
        self.pace.landed(landed);
        if asked {
            self.pace.ask();
        }
        true
    }

    /// Has a segment into which the frame fits: waits for the one that is being made, or makes one. `Err` if there is
    /// none, and then nothing of the batch is written: on a full disk, and when the store cannot go on.
    fn make_room<'a>(
        &'a self,
        mut log: MutexGuard<'a, Log>,
        patience: Patience,
    ) -> Result<MutexGuard<'a, Log>, MutexGuard<'a, Log>> {
        while !log.journal.has_room(&log.frame) {
            if log.preparing {
                log = self.prepared.wait(log).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let here = &mut *log;
            let plan = here.journal.plan_for(&here.frame);
            match self.files.attempt(&plan.io) {
                Ok(()) => {
                    log.journal.prepared(plan);
                    // There may be space for the next one too.
                    log.gave_up = false;
                }
                Err(Refused { failure, full }) => {
                    self.remove_leftovers(&plan);
                    if !full || self.front().attendance.is_closing() {
                        self.settler.fail(failure);
                        return Err(log);
                    }
                    if self.fall_short() {
                        continue;
                    }
                    self.starved.store(true, Ordering::Relaxed);
                    self.pace.look_for_space();
                    match patience {
                        Patience::None => return Err(log),
                        // Meanwhile a segment may be recycled.
                        Patience::UntilThereIsSpace => {
                            let waited = self.prepared.wait_timeout(log, SPACE_PAUSE);
                            log = waited.unwrap_or_else(PoisonError::into_inner).0;
                        }
                    }
                }
            }
        }
        self.starved.store(false, Ordering::Relaxed);
        Ok(log)
    }

    fn mark<'a>(&'a self, mut front: MutexGuard<'a, Front>, sync: bool) -> MutexGuard<'a, Front> {
        if front.unmarked_since.take().is_none() {
            return front;
        }
        front.writing = true;
        drop(front);
        let io = lock(&self.log).journal.mark(sync);
        if let Err(failure) = self.files.perform(&io) {
            self.settler.fail(failure);
            self.settler.outlet().deliver();
        }
        let mut front = self.front();
        front.writing = false;
        front
    }

    fn prepare(&self, plan: Plan) {
        let mut made = self.files.attempt(&plan.io);
        if made.as_ref().is_err_and(|refused| refused.full) {
            if self.fall_short() {
                made = self.files.attempt(&plan.io);
            }
            self.pace.look_for_space();
        }
        let mut log = lock(&self.log);
        log.preparing = false;
        match made {
            Ok(()) => log.journal.prepared(plan),
            Err(Refused { failure, .. }) => {
                log.gave_up = true;
                tracing::warn!(%failure, "a segment of the journal could not be made ahead of its use");
                self.remove_leftovers(&plan);
            }
        }
        drop(log);
        self.prepared.notify_all();
        self.settler.outlet().deliver();
    }

    /// What there is of a segment that could not be made only takes up space; opening would remove it too.
    fn remove_leftovers(&self, plan: &Plan) {
        let leftovers = plan.io.iter().filter_map(|io| {
            if let Io::Create { file, .. } = io { Some(Io::Remove { file: file.clone() }) } else { None }
        });
        let _ = self.files.perform(&leftovers.collect::<Vec<_>>());
    }

    /// The writer waits for somebody; says whether that took long.
    fn idle<'a>(&self, mut front: MutexGuard<'a, Front>) -> (MutexGuard<'a, Front>, bool) {
        front.asleep = true;
        let (mut front, tired) = self.shift.idle(front);
        front.asleep = false;
        (front, tired)
    }

    fn front(&self) -> MutexGuard<'_, Front> {
        lock(&self.front)
    }
}

/// Bytes of the checkpoints in a batch.
fn bytes_of(batch: &[Submitted]) -> u64 {
    let bytes = |submitted: &Submitted| match submitted {
        Submitted::Append { checkpoint, .. } => checkpoint.len() as u64,
        Submitted::Lease { .. } | Submitted::Refused { .. } => 0,
    };
    batch.iter().map(bytes).sum()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
