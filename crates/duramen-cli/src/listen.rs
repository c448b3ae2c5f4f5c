//! Taking the ports.

use crate::config::Bind;
use anyhow::{Context, Error, anyhow};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::TcpListener;

/// What listens for one address of the configuration.
pub(crate) struct Door {
    /// The address as it is shown, with the port that it has got.
    pub(crate) address: String,
    pub(crate) listeners: Vec<TcpListener>,
}

/// Listens. `flag` is what the user changes when it cannot be had.
pub(crate) async fn listen(bind: Bind, flag: &str) -> anyhow::Result<Door> {
    match bind {
        Bind::Loopback(port) => {
            loopback(port).await.map_err(|(port, error)| explain(error, &format!("localhost:{port}"), port, flag))
        }
        Bind::Address(address) => {
            let listener = TcpListener::bind(address).await;
            let listener = listener.map_err(|error| explain(error, &address.to_string(), address.port(), flag))?;
            let address = listener.local_addr().context("failed to ask for the port that was given")?;
            Ok(Door { address: address.to_string(), listeners: vec![listener] })
        }
    }
}

/// Listens on both loopback addresses: some clients take "localhost" for the one, some for the other, and on the other
/// they would find somebody else.
async fn loopback(port: u16) -> Result<Door, (u16, io::Error)> {
    let failed = |error| (port, error);
    let four = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await.map_err(failed)?;
    let got = four.local_addr().map_err(failed)?.port();
    let mut listeners = vec![four];
    match TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, got))).await {
        Ok(six) => listeners.push(six),
        // Whoever lets the system choose a port hears which it is, and can do with one address.
        Err(error) if error.kind() == ErrorKind::AddrInUse && port != 0 => return Err((port, error)),
        Err(error) => tracing::debug!(port = got, "there is no IPv6 loopback address: {error}"),
    }
    Ok(Door { address: format!("localhost:{got}"), listeners })
}

fn explain(error: io::Error, address: &str, port: u16, flag: &str) -> Error {
    match error.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "{address} is taken by another program, perhaps another `duramen` (to see which: ss -ltnp 'sport = :{port}'); \
             stop it, or choose another port with {flag}"
        ),
        ErrorKind::PermissionDenied => {
            anyhow!("this user may not listen on {address}; choose a port above 1023 with {flag}")
        }
        _ => anyhow!("failed to listen on {address}: {error}; choose another address with {flag}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_is_taken_is_named_with_the_way_out() {
        let first = listen(Bind::Loopback(0), "--http").await.expect("a free port");
        let port = first.address.strip_prefix("localhost:").and_then(|port| port.parse().ok()).expect("a port");
        assert_ne!(port, 0);
        for bind in [Bind::Loopback(port), Bind::Address(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))] {
            let Err(error) = listen(bind, "--http").await else { panic!("{bind} was there twice") };
            let error = error.to_string();
            assert!(error.contains(&format!(":{port} is taken")) && error.ends_with("with --http"), "{error}");
        }
    }
}
