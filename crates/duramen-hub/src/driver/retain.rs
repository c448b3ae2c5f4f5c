//! Purging what has come of age, on the hub's clock: a future that the loop itself polls.

use super::{Driver, Phase};
use crate::hub::Shared;
use crate::options::Options;
use duramen_core::request::Refusal;
use duramen_core::time::Time;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// When the next look is due, and the one that is under way.
pub(super) struct Retain {
    pause: Duration,
    next: Time,
    under_way: Option<UnderWay>,
}

struct UnderWay {
    look: Pin<Box<dyn Future<Output = Result<u64, Refusal>> + Send>>,
    woken: Arc<Woken>,
}

/// Brings the loop back to a look that can go on.
struct Woken {
    woken: AtomicBool,
    shared: Weak<Shared>,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        if let Some(shared) = self.shared.upgrade() {
            shared.look_again();
        }
    }
}

impl Retain {
    /// `None` when everything is kept.
    pub(super) fn new(options: &Options) -> Option<Self> {
        let pause = options.retention.pause()?;
        Some(Self { pause, next: options.clock.now().plus(pause), under_way: None })
    }

    /// When the loop has to look at the clock for it.
    pub(super) fn due(&self) -> Option<Time> {
        self.under_way.is_none().then_some(self.next)
    }
}

impl Driver {
    /// Begins a look when it is due, or goes on with the one under way when it can.
    pub(super) fn retain(&mut self, shared: &Arc<Shared>) {
        let Some(retain) = &mut self.retain else { return };
        if !matches!(self.phase, Phase::Running) {
            return;
        }
        if retain.under_way.is_none() {
            if self.now < retain.next {
                return;
            }
            let woken = Arc::new(Woken { woken: AtomicBool::new(true), shared: Arc::downgrade(shared) });
            let look = Box::pin(crate::retention::sweep(Arc::clone(shared)));
            retain.under_way = Some(UnderWay { look, woken });
        }
        let Some(UnderWay { look, woken }) = &mut retain.under_way else { return };
        if !woken.woken.swap(false, Ordering::AcqRel) {
            return;
        }
        let waker = Waker::from(Arc::clone(woken));
        let Poll::Ready(outcome) = look.as_mut().poll(&mut Context::from_waker(&waker)) else { return };
        retain.under_way = None;
        retain.next = self.now.plus(retain.pause);
        match outcome {
            Ok(0) => {}
            Ok(instances) => tracing::info!(instances, "removed what had ended and come of age"),
            Err(refusal) => tracing::warn!("failed to remove what has come of age: {refusal}; it is tried again later"),
        }
    }

    /// Gives up a look that is under way.
    pub(super) fn retain_no_more(&mut self) {
        self.retain = None;
    }
}
