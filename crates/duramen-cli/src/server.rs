//! The life of a server: take the ports, open the hubs, say so, wait for a signal, drain, stop.

use crate::config::Bind;
use crate::listen::{Door, listen};
use crate::notify::{Told, notify};
use crate::signals::Signals;
use crate::text::Places;
use anyhow::{anyhow, bail};
use duramen_server::{GrpcOptions, GrpcServer, HubName, Hubs, HubsOptions, Opener, http};
use futures::future::join_all;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How long connections may take to end once the hubs are closed: nothing is said on them any more but goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// What to serve.
pub(crate) struct Plan {
    pub(crate) which: HubsOptions,
    /// Hubs that are opened at the start; others are when somebody names them.
    pub(crate) at_start: Vec<HubName>,
    pub(crate) open: Opener,
    pub(crate) grpc: Vec<Bind>,
    pub(crate) http: Bind,
    /// Where the data is, for people.
    pub(crate) data: String,
    /// Which hubs there are, for people.
    pub(crate) hubs: String,
    pub(crate) drain: Duration,
    pub(crate) options: GrpcOptions,
}

/// Serves until a signal comes.
pub(crate) async fn serve(plan: Plan) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::take()?;
    // The ports first: whoever starts a second server by mistake hears so, and not that the data is in use.
    let grpc = join_all(plan.grpc.iter().map(|bind| listen(*bind, "--grpc"))).await;
    let grpc = grpc.into_iter().collect::<anyhow::Result<Vec<Door>>>()?;
    let http = listen(plan.http, "--http").await?;
    let text = Places { grpc: &grpc, http: &http, data: &plan.data, hubs: &plan.hubs }.text();

    let hubs = Hubs::new(plan.which, plan.open);
    let doors = Doors::open((grpc, plan.options), http, &hubs, &text);
    let opened = tokio::select! {
        opened = open(&hubs, &plan.at_start) => opened.map(|()| None),
        signal = signals.next() => Ok(Some(signal)),
    };
    let signal = match opened {
        Ok(Some(signal)) => Ok(signal),
        Ok(None) => {
            say(&text);
            notify(Told::Ready);
            Ok(signals.next().await)
        }
        Err(error) => Err(error),
    };
    let (name, _) = match signal {
        Ok(signal) => signal,
        Err(error) => {
            hubs.shutdown(Duration::ZERO).await;
            return Err(error);
        }
    };
    tracing::info!("{name}: stopping, and waiting at most {:?} for what is with workers", plan.drain);
    notify(Told::Stopping);
    tokio::select! {
        outcome = stop(&hubs, doors, plan.drain) => outcome,
        (name, code) = signals.next() => {
            tracing::warn!("{name} again: stopping at once; nothing that was acknowledged is lost");
            Ok(ExitCode::from(code))
        }
    }
}

/// Opens hubs. One that does not open is tried again by its keeper, and keeps no other from its work; but where none
/// opens there is nothing to serve.
async fn open(hubs: &Hubs, names: &[HubName]) -> anyhow::Result<()> {
    let opened = join_all(names.iter().map(|name| hubs.get(Some(name.as_str())))).await;
    if opened.iter().any(Result::is_ok) {
        return Ok(());
    }
    let reasons: Vec<String> =
        opened.into_iter().filter_map(|opened| opened.err()).map(|error| error.to_string()).collect();
    bail!("no task hub could be opened: {}", reasons.join("; "))
}

async fn stop(hubs: &Hubs, doors: Doors, drain: Duration) -> anyhow::Result<ExitCode> {
    // The doors stay open meanwhile: workers answer through them.
    let errors = hubs.shutdown(drain).await;
    doors.close().await;
    match errors.first() {
        None => {
            tracing::info!("stopped");
            Ok(ExitCode::SUCCESS)
        }
        Some((name, error)) => Err(anyhow!("task hub {:?} did not stop well: {error}", name.as_str())),
    }
}

/// Says something on stdout, where nobody may be listening.
fn say(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// The tasks that serve connections.
struct Doors {
    tasks: JoinSet<()>,
    close: watch::Sender<bool>,
}

impl Doors {
    fn open((grpc, options): (Vec<Door>, GrpcOptions), http: Door, hubs: &Hubs, text: &str) -> Self {
        let mut doors = Self { tasks: JoinSet::new(), close: watch::Sender::new(false) };
        let server = GrpcServer::new(hubs.clone(), options);
        for listener in grpc.into_iter().flat_map(|door| door.listeners) {
            let (server, closed) = (server.clone(), doors.closed());
            doors.tasks.spawn(async move {
                if let Err(error) = server.serve(listener, closed).await {
                    tracing::error!("the gRPC door has failed: {error}");
                }
            });
        }
        for listener in http.listeners {
            let (routes, closed) = (http::routes(hubs.clone(), text.to_owned()), doors.closed());
            doors.tasks.spawn(async move {
                if let Err(error) = axum::serve(listener, routes).with_graceful_shutdown(closed).await {
                    tracing::error!("the HTTP door has failed: {error}");
                }
            });
        }
        doors
    }

    /// Waits until they are to close.
    fn closed(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut close = self.close.subscribe();
        async move {
            // A sender that is gone is a close as well.
            let _ = close.wait_for(|close| *close).await;
        }
    }

    async fn close(mut self) {
        self.close.send_replace(true);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GOODBYE, all).await.is_err() {
            tracing::debug!("connections were still open, and are cut");
        }
    }
}
