//! Serving over a listening socket.

use super::GrpcOptions;
use super::service::Service;
use super::socket::Socket;
use crate::Hubs;
use duramen_proto::services::task_hub_sidecar_service_server::TaskHubSidecarServiceServer;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;

/// Calls that one connection may have open. SDKs put all of theirs on one, waits without an end among
/// them.
const CALLS_OF_A_CONNECTION: u32 = 10_000;
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
        let (accepted, incoming) = mpsc::channel(ACCEPTED);
        let accepting = Accepting(tokio::spawn(accept(listener, accepted)));
        let stop = async {
            stop.await;
            drop(accepting);
        };
        Server::builder()
            .max_concurrent_streams(CALLS_OF_A_CONNECTION)
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

async fn accept(listener: TcpListener, accepted: mpsc::Sender<Result<Socket, Infallible>>) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                if accepted.send(Ok(Socket::new(socket))).await.is_err() {
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
