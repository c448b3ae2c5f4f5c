//! One episode: events in, one at a time, the code polled after each, actions out.

use super::machine::{Applied, Completion, Replay};
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::task::Poll;
use duramen_proto::{ExecutionStartedEvent, HistoryEvent, OrchestratorAction};

/// Author code, as the one who drives a replay sees it. The code asks for things by way of the same
/// [`Replay`], so neither method is called while that is borrowed.
pub trait Code {
    /// Makes the author's future; it is not polled here.
    fn start(&mut self, started: ExecutionStartedEvent);
    /// Runs the code until it waits or returns. When it returns, its future is dropped before this
    /// does, so that events it did not read are back in line.
    fn poll(&mut self) -> Poll<Completion>;
}

/// What an episode ends with.
#[derive(Debug, Default)]
pub struct End {
    /// For the answer.
    pub actions: Vec<OrchestratorAction>,
    /// For the answer: the value of the whole replay.
    pub custom_status: Option<String>,
    /// Whether the execution is over, so that nothing of it needs to be kept.
    pub ended: bool,
}

/// Applies one event and lets the code go on.
pub fn feed(replay: &RefCell<Replay>, code: &mut dyn Code, event: HistoryEvent, replaying: bool) {
    let applied = replay.borrow_mut().apply(event, replaying);
    match applied {
        Applied::Nothing => {}
        Applied::Started(started) => {
            code.start(*started);
            poll(replay, code);
        }
        Applied::Wake(waker) => {
            waker.wake();
            poll(replay, code);
        }
        Applied::Resumed(held) => {
            // A held event may end the execution; the rest then only fills the inbox.
            for event in held {
                feed(replay, code, event, replaying);
            }
        }
    }
}

fn poll(replay: &RefCell<Replay>, code: &mut dyn Code) {
    if replay.borrow().is_over() {
        return;
    }
    if let Poll::Ready(completion) = code.poll() {
        replay.borrow_mut().complete(completion);
    }
}

/// Ends the episode and takes the actions that the history does not have.
pub fn finish(replay: &RefCell<Replay>) -> End {
    replay.borrow_mut().finish()
}
