//! What a server says about itself: on stdout when it has started, and at `/`.

use crate::listen::Door;
use duramen_server::HubName;
use std::fmt::Write;

/// Where everything is.
pub(crate) struct Places<'a> {
    pub(crate) grpc: &'a [Door],
    pub(crate) http: &'a Door,
    /// Where the data is and how long it stays.
    pub(crate) data: &'a str,
    /// Which hubs there are.
    pub(crate) hubs: &'a str,
}

impl Places<'_> {
    /// The text.
    pub(crate) fn text(&self) -> String {
        let version = env!("CARGO_PKG_VERSION");
        let grpc: Vec<&str> = self.grpc.iter().map(|door| door.address.as_str()).collect();
        let mut text = format!("duramen {version}: durable functions without the cloud\n\n");
        let mut line = |what: &str, value: String| {
            // A String takes whatever is written to it.
            let _ = writeln!(text, "  {what:<10} {value}");
        };
        line("gRPC", format!("{} (workers and clients of the Durable Task SDKs)", grpc.join(", ")));
        line("HTTP", format!("http://{} (/healthz, /readyz)", self.http.address));
        line("data", self.data.to_owned());
        line("task hubs", self.hubs.to_owned());
        line("connect", connection_string(&self.grpc[0].address));
        text
    }
}

/// What clients that speak to the hosted scheduler are given.
fn connection_string(address: &str) -> String {
    format!("Endpoint=http://{address};Authentication=None;TaskHub={}", HubName::default())
}
