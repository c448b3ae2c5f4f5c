//! Scenarios at random, each from a number: clients, workers, crashes and a bad way between
//! partitions all at once. When the storm is over everything comes to its end, and nothing that was
//! accepted is lost, doubled or out of order.

use crate::common::*;
use duramen_core::work::{Announcement, WorkItem};
use std::collections::BTreeMap;

/// Knuth's generator: the same numbers on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.roll(of.len() as u64) as usize]
    }
}

fn functions(hub: &mut Hub) {
    // Gathers what it is told over its generations, until the end.
    hub.orchestrator("Gather", |o| {
        let told: Vec<_> = o.raised("n").into_iter().map(|n| raised("n", n.as_deref())).collect();
        if !o.raised("end").is_empty() {
            let all: Vec<String> = o.raised("n").into_iter().flatten().collect();
            return Some(all.join(","));
        }
        let again = o.raised("again").len();
        if again > 0 {
            o.continue_as_new(Some("again"), told);
        }
        None
    });
    // Activities, timers, children, an event to somebody; the way through depends on the input.
    hub.orchestrator("Work", |o| {
        let depth: u32 = o.input()?.parse().ok()?;
        o.custom_status = Some(format!("depth {depth}"));
        let activities = (1..=3).filter(|n| o.try_call(*n, "A", Some(&n.to_string())).is_some()).count();
        o.act(send(4, "g0", "noise", None));
        let child = match depth {
            0 => Some(()),
            _ => {
                let id = format!("{}-{depth}", o.instance);
                o.try_child(5, &id, "Work", Some(&(depth - 1).to_string())).map(|_| ())
            }
        };
        o.sleep(6, 2)?;
        child?;
        (activities == 3).then(|| "worked".into())
    });
    hub.activity("A", |input| if input == "2" { Err(failure("E", "two")) } else { Ok(input.into()) });
}

const WORKERS: [WorkerId; 3] = [WorkerId(1), WorkerId(2), WorkerId(3)];
const GATHERERS: [&str; 4] = ["g0", "g1", "g2", "g3"];
const JOBS: [&str; 5] = ["w0", "w1", "w2", "w3", "w4"];

fn storm(seed: u64, mode: Mode) {
    let mut dice = Dice(seed);
    let mut hub = Hub::new(mode);
    hub.reopen(1 + dice.roll(3) as usize);
    functions(&mut hub);
    let mut way = Dice(seed ^ 0x5555);
    let bad = dice.roll(2) == 1;
    hub.link = Box::new(move |_| match way.roll(6) {
        0 if bad => Fate::Lost,
        1 if bad => Fate::Twice,
        2 if bad => Fate::Early,
        _ => Fate::Once,
    });
    for id in GATHERERS {
        hub.start(id, "Gather", None);
    }
    let mut told: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut here = vec![WORKER];
    let mut stale: Vec<(WorkerId, WorkItem)> = Vec::new();
    for step in 0..120u64 {
        let gatherer = dice.pick(&GATHERERS);
        let job = dice.pick(&JOBS);
        match dice.roll(20) {
            0..=5 => {
                hub.raise(gatherer, "n", Some(&step.to_string()));
                told.entry(gatherer).or_default().push(step.to_string());
            }
            6 => hub.raise(gatherer, "again", None),
            7 => hub.suspend(gatherer),
            8 => hub.resume(gatherer),
            9 | 10 => {
                let policy = match dice.roll(3) {
                    0 => OnExisting::Reject,
                    1 => OnExisting::Attach,
                    _ => OnExisting::Replace(vec![
                        Status::Pending,
                        Status::Running,
                        Status::Suspended,
                        Status::Completed,
                        Status::Failed,
                        Status::Terminated,
                    ]),
                };
                hub.start_with(create(job, "Work", Some(&dice.roll(3).to_string())), policy);
            }
            11 => {
                let recurse = dice.roll(2) == 0;
                hub.ask(Request::Terminate { id: job.into(), output: Some("storm".into()), recurse });
            }
            12 => drop(hub.ask(Request::Purge(job.into()))),
            13 => drop(hub.ask(Request::Restart { id: job.into(), new_id: None })),
            14 => {
                let worker = WORKERS[dice.roll(3) as usize];
                match here.iter().position(|there| *there == worker) {
                    Some(place) => {
                        here.remove(place);
                        hub.leave(worker);
                        // What it had is lost with it, or is answered much later.
                        let (gone, held) = std::mem::take(&mut hub.held).into_iter().partition(|(at, _)| *at == worker);
                        hub.held = held;
                        stale.extend::<Vec<_>>(gone);
                    }
                    None => {
                        here.push(worker);
                        let room = 1 + dice.roll(4) as usize;
                        let in_process = worker != WORKERS[2] && dice.roll(2) == 0;
                        let sessions = in_process || worker == WORKERS[1];
                        let announcement = Announcement {
                            in_process,
                            sessions,
                            orchestrators: room,
                            activities: room,
                            ..Announcement::default()
                        };
                        hub.join(worker, announcement);
                    }
                }
            }
            15 => {
                if dice.roll(2) == 0 {
                    hub.hold(dice.pick(&["Work", "Gather", "A"]));
                } else {
                    hub.held_names.clear();
                    let names: Vec<String> = hub.held.iter().map(|(_, item)| name_of(item)).collect();
                    names.iter().for_each(|name| hub.release(name));
                }
            }
            16 if !hub.held.is_empty() => {
                let place = dice.roll(hub.held.len() as u64) as usize;
                let (worker, item) = hub.held.remove(place);
                hub.answer(worker, Answer::Abandoned(item.token, "storm".into()));
            }
            16 => {
                // A result that comes long after its worker has gone.
                let activity = stale.iter().position(|(_, item)| name_of(item) == "A");
                if let Some((worker, item)) = activity.map(|place| stale.remove(place)) {
                    let answer = hub.perform(worker, &item);
                    hub.answer(worker, answer);
                }
            }
            17 => {
                hub.held.clear();
                hub.reopen(1 + dice.roll(3) as usize);
                hub.run();
            }
            18 => {
                let wait = hub.wait(job, None, Until::Completed, Some(dice.roll(10)));
                if hub.reply(wait).is_none() && dice.roll(2) == 0 {
                    hub.cancel(wait);
                }
            }
            _ => hub.advance(std::time::Duration::from_millis(dice.roll(3_000))),
        }
    }
    calm(&mut hub, &here);
    for id in GATHERERS {
        let all = told.remove(id).unwrap_or_default().join(",");
        assert_eq!(hub.outcome(id), format!("COMPLETED {all}"), "seed {seed}, {mode:?}: {id}");
    }
    for id in JOBS {
        let outcome = hub.outcome(id);
        let known = ["none", "COMPLETED worked", "TERMINATED storm"];
        assert!(known.contains(&outcome.as_str()), "seed {seed}, {mode:?}: {id} is {outcome}");
    }
}

/// Workers for everything, a good way, and time: then nothing is left to do.
fn calm(hub: &mut Hub, here: &[WorkerId]) {
    here.iter().for_each(|worker| hub.leave(*worker));
    hub.held.clear();
    hub.held_names.clear();
    hub.link = Box::new(|_| Fate::Once);
    hub.join(WorkerId(10), in_process());
    hub.join(WorkerId(11), remote());
    for id in GATHERERS {
        hub.resume(id);
        hub.raise(id, "end", None);
    }
    hub.advance_seconds(400);
    hub.settle();
    hub.advance_seconds(10);
    for id in 0..hub.partitions() as u32 {
        assert!(hub.partition(id).idle(), "partition {id} is at rest");
        let held = hub.partition(id).footprint();
        assert!(held.is_empty(), "nothing is outstanding, so nothing is held: {held:?}");
    }
    assert_eq!(hub.deadline(), None, "nothing is left to wait for");
}

/// Runs `DURAMEN_STORMS` seeds, or a few.
fn storms(mode: Mode, first: u64) {
    let count = std::env::var("DURAMEN_STORMS").ok().and_then(|count| count.parse().ok()).unwrap_or(50);
    for seed in first..first + count {
        println!("seed {seed}");
        storm(seed, mode);
    }
}

#[test]
fn plain() {
    storms(Mode::Plain, 0);
}

#[test]
fn with_evictions() {
    storms(Mode::Evict, 1_000_000);
}

#[test]
fn with_slow_checkpoints() {
    storms(Mode::Slow, 2_000_000);
}

#[test]
fn with_late_settling() {
    storms(Mode::Late, 4_000_000);
}

#[test]
fn with_a_crash_after_every_checkpoint() {
    storms(Mode::Crash, 3_000_000);
}
