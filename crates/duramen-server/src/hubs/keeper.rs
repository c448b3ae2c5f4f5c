//! Keeps one hub open.

use super::{HubName, Phase, Registry};
use duramen_hub::HubError;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// The pause before a hub that is closed is opened again the first time, and the longest: each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Opens the hub, again and again if need be, until the server stops; then shuts it down.
pub(super) async fn keep(registry: Arc<Registry>, name: HubName, say: watch::Sender<Phase>) -> Result<(), HubError> {
    let mut stop = registry.stop.subscribe();
    let mut pause = FIRST_PAUSE;
    let ended = loop {
        let opened = tokio::select! {
            opened = (registry.open)(name.clone()) => opened,
            _ = stop.wait_for(Option::is_some) => break Ok(()),
        };
        let reason = match opened {
            Ok(open) => {
                tracing::info!(hub = %name, "open");
                pause = FIRST_PAUSE;
                let hub = open.hub.clone();
                say.send_replace(Phase::Open(open));
                let stopped = tokio::select! {
                    reason = hub.stopped() => Err(reason.to_string()),
                    patience = stop.wait_for(Option::is_some) => Ok(patience.ok().and_then(|patience| *patience)),
                };
                match stopped {
                    Err(reason) => reason,
                    Ok(patience) => break hub.shutdown(patience.unwrap_or_default()).await,
                }
            }
            Err(reason) => reason,
        };
        let reason: Arc<str> = reason.into();
        // The same again and again is said once.
        if !matches!(&*say.borrow(), Phase::Closed(before) if *before == reason) {
            tracing::error!(hub = %name, "not open, and tried again every few seconds: {reason}");
        }
        say.send_replace(Phase::Closed(reason));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(Option::is_some) => break Ok(()),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    };
    say.send_replace(Phase::Ended);
    ended
}
