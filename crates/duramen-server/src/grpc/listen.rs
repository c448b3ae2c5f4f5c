//! Serving over a listening socket.

use super::GrpcOptions;
use super::guard::Guard;
use super::service::Service;
use super::socket::Socket;
use super::upload::{CONNECTION_WINDOW, STREAM_WINDOW};
use crate::Hubs;
use duramen_proto::services::task_hub_sidecar_service_server::TaskHubSidecarServiceServer;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;

/// Calls that one connection may have open. SDKs put all of theirs on one, waits without an end among
/// them.
const CALLS_OF_A_CONNECTION: u32 = 10_000;
/// Bytes of the headers of one call.
const HEADER_BYTES: u32 = 16 << 10;
/// Calls of a connection that were given up before they were looked at. A client whose waits all run out at once is no
/// attacker, and one that goes beyond this loses its connection.
const GIVEN_UP: usize = 1_000;
/// Calls of a connection that broke the rules of HTTP/2.
const BROKEN: usize = 1_000;
/// Connections that were accepted and are not served yet.
const ACCEPTED: usize = 64;
/// The pause after a connection could not be accepted: the process may have no more files for a while.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves the SDKs' protocol. Clones serve the same hubs.
#[derive(Clone)]
pub struct GrpcServer {
    service: Arc<Service>,
    options: GrpcOptions,
}

impl GrpcServer {
    /// A server of these hubs.
    pub fn new(hubs: Hubs, options: GrpcOptions) -> Self {
        Self { service: Arc::new(Service::new(hubs, options.clone())), options }
    }

    /// Completions that were about nothing that was out of a hub since it was opened: repeated, late, or made up.
    /// They are answered OK, as the SDKs need it, and change nothing.
    pub fn stale_completions(&self) -> u64 {
        self.service.stale_completions()
    }

    /// Serves until `stop` is ready, and then until the last call has ended: shut the hubs down first
    /// ([`Hubs::shutdown`]), which ends the waits and the workers' streams.
    pub async fn serve(
        &self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> Result<(), tonic::transport::Error> {
        let service = TaskHubSidecarServiceServer::from_arc(Arc::clone(&self.service))
            .max_decoding_message_size(self.options.receive_bytes)
            .max_encoding_message_size(usize::MAX);
        let service = Guard::new(service, Arc::clone(self.service.limits()), self.options.clone());
        let places = Arc::clone(&self.service.limits().connections);
        let (accepted, incoming) = mpsc::channel(ACCEPTED);
        let accepting = Accepting(tokio::spawn(accept(listener, accepted, places, self.options.keep_alive * 2)));
        let stop = async {
            stop.await;
            drop(accepting);
        };
        Server::builder()
            .max_concurrent_streams(CALLS_OF_A_CONNECTION)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_max_header_list_size(HEADER_BYTES)
            .http2_max_pending_accept_reset_streams(Some(GIVEN_UP))
            .http2_max_local_error_reset_streams(Some(BROKEN))
            .http2_keepalive_interval(Some(self.options.keep_alive))
            .http2_keepalive_timeout(Some(self.options.keep_alive))
            .serve_with_incoming_shutdown(service, ReceiverStream::new(incoming), stop)
            .await
    }
}

impl fmt::Debug for GrpcServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcServer").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Accepts as long as it lives.
struct Accepting(tokio::task::JoinHandle<()>);

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn accept(
    listener: TcpListener,
    accepted: mpsc::Sender<Result<Socket, Infallible>>,
    places: Arc<Semaphore>,
    silence: Duration,
) {
    let mut full = false;
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                let place = Arc::clone(&places).try_acquire_owned().ok();
                let Some(place) = place else {
                    if !std::mem::replace(&mut full, true) {
                        tracing::warn!("there are as many connections as there may be; further ones are closed");
                    }
                    continue;
                };
                full = false;
                if accepted.send(Ok(Socket::new(socket, place, silence))).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
