//! Threads that never come back, and the end of a worker.

use super::harness::{Hub, Instance, PATIENCE};
use crate::prelude::*;
use duramen_core::ids::{Run, Token};
use duramen_core::work::{Answer, OrchestratorWork, Work, WorkItem};
use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{LazyLock, Mutex};
use std::time::Duration;

/// Each stuck orchestrator takes one of these and waits for its end.
static GATES: LazyLock<Mutex<Vec<Receiver<()>>>> = LazyLock::new(Mutex::default);

fn gate() -> Sender<()> {
    let (open, gate) = channel();
    GATES.lock().unwrap().push(gate);
    open
}

#[orchestrator]
async fn block(_: OrchestrationContext, _: ()) -> Result<()> {
    let gate = GATES.lock().unwrap().pop().expect("a gate");
    let _ = gate.recv_timeout(PATIENCE);
    Ok(())
}

#[orchestrator]
async fn quick(_: OrchestrationContext, _: ()) -> Result<u32> {
    Ok(1)
}

#[activity]
async fn slow(_: ActivityContext, _: ()) -> Result<()> {
    let gate = GATES.lock().unwrap().pop().expect("a gate");
    tokio::task::spawn_blocking(move || gate.recv_timeout(PATIENCE)).await??;
    Ok(())
}

fn item(hub: &mut Hub, name: &str, run: u64) -> (Token, WorkItem) {
    let mut instance = Instance::new(name, Some("null"));
    instance.session.run = Run(run);
    let token = hub.token();
    (token, WorkItem { token, work: Work::Orchestrator(OrchestratorWork { ..instance.item() }) })
}

/// One test, since the gates belong to whoever comes first.
#[test]
fn what_never_comes_back_is_written_off_and_the_rest_goes_on() {
    let app = App::new().orchestrator(Block).orchestrator(Quick).activity(Slow);
    let mut hub = Hub::with(app, |options| {
        options.stuck_after = Duration::from_millis(50);
        options.replacements = 1;
        options.drain = Duration::from_millis(1);
    });
    let first_gate = gate();
    let (blocked, block) = item(&mut hub, "Block", 1);
    let (second, behind) = item(&mut hub, "Quick", 2);
    let (third, far_behind) = item(&mut hub, "Quick", 3);
    hub.link.deliver(vec![block, behind, far_behind]);
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        match hub.answer() {
            Answer::WrittenOff(token) => assert!(token == blocked && seen.insert(token)),
            Answer::Orchestrator(token, response) => {
                assert!(!response.actions.is_empty());
                seen.insert(token);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen, BTreeSet::from([blocked, second, third]));

    // What the lost thread says when it comes back after all is heard by nobody.
    first_gate.send(()).unwrap();
    let (token, quick) = item(&mut hub, "Quick", 4);
    hub.link.deliver(vec![quick]);
    assert!(matches!(hub.answer(), Answer::Orchestrator(answered, _) if answered == token));

    // The second is not replaced: what is left goes back.
    let _second_gate = gate();
    let (blocked, block) = item(&mut hub, "Block", 5);
    let (behind, quick) = item(&mut hub, "Quick", 6);
    hub.link.deliver(vec![block, quick]);
    let mut answers = [hub.answer(), hub.answer()];
    answers.sort_by_key(Answer::token);
    assert!(matches!(answers[0], Answer::WrittenOff(token) if token == blocked));
    assert!(matches!(answers[1], Answer::Abandoned(token, _) if token == behind));

    // A shutdown does not wait for threads that were written off, but says what else is left.
    let third_gate = gate();
    let task = duramen_proto::ScheduleTaskAction { name: "Slow".into(), ..Default::default() };
    hub.begin_activity(0, task);
    let left = hub.shutdown().unwrap_err().to_string();
    assert!(left.contains("1 items in hand"), "{left}");
    drop(third_gate);
}

#[test]
fn a_shutdown_waits_for_what_is_in_hand() {
    let app = App::new().orchestrator(Quick);
    let mut hub = Hub::new(app);
    let (token, quick) = item(&mut hub, "Quick", 1);
    hub.link.deliver(vec![quick]);
    let link = hub.link.clone();
    let (late, late_item) = item(&mut hub, "Quick", 2);
    let answers = hub.shutdown_keeping_answers();
    assert!(matches!(answers.recv().unwrap(), Answer::Orchestrator(answered, _) if answered == token));
    link.deliver(vec![late_item]);
    assert!(answers.recv().is_err(), "the attachment is gone, and {late:?} with it");
}
