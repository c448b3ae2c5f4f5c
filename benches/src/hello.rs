//! What a call costs that does nothing: the floor of everything that goes through the server.

use crate::latencies::Latencies;
use duramen::prelude::*;
use duramen_proto::services::task_hub_sidecar_service_client::TaskHubSidecarServiceClient;
use std::time::Instant;
use tonic::transport::Endpoint;

/// Calls that are timed, and those before them.
const CALLS: usize = 2000;
const WARM_UP: usize = 200;

/// Times calls of Hello, one at a time, over a connection of their own.
pub(crate) async fn measure(address: &str) -> Result<Latencies> {
    let channel = Endpoint::from_shared(address.to_owned())?.tcp_nodelay(true).connect().await?;
    let mut client = TaskHubSidecarServiceClient::new(channel);
    let mut latencies = Latencies::default();
    for call in 0..WARM_UP + CALLS {
        let begun = Instant::now();
        client.hello(()).await?;
        if call >= WARM_UP {
            latencies.push(begun.elapsed());
        }
    }
    Ok(latencies)
}
