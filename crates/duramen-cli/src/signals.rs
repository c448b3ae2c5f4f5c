//! The signals that stop a server.

use anyhow::Context;

/// What tells the program to stop.
pub(crate) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// From now on they do not end the process by themselves.
    #[cfg(unix)]
    pub(crate) fn take() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let take = |kind| signal(kind).context("failed to listen for signals");
        Ok(Self { terminate: take(SignalKind::terminate())?, interrupt: take(SignalKind::interrupt())? })
    }

    /// Waits for the next one; gives its name and the code with which a process ends that it ends at once.
    #[cfg(unix)]
    pub(crate) async fn next(&mut self) -> (&'static str, u8) {
        tokio::select! {
            _ = self.terminate.recv() => ("SIGTERM", 128 + 15),
            _ = self.interrupt.recv() => ("SIGINT", 128 + 2),
        }
    }

    #[cfg(not(unix))]
    pub(crate) fn take() -> anyhow::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    pub(crate) async fn next(&mut self) -> (&'static str, u8) {
        match tokio::signal::ctrl_c().await.context("failed to listen for Ctrl-C") {
            Ok(()) => ("Ctrl-C", 1),
            Err(error) => {
                tracing::error!("{error:#}");
                std::future::pending().await
            }
        }
    }
}
