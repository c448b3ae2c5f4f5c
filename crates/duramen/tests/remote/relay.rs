//! A way to a server that can be cut.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

pub(crate) struct Relay {
    pub(crate) address: SocketAddr,
    open: Arc<Mutex<JoinSet<()>>>,
    /// How many connections there have been.
    made: watch::Receiver<usize>,
    frozen: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Relay {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let open = Arc::<Mutex<JoinSet<()>>>::default();
        let (count, made) = watch::channel(0);
        let frozen = watch::Sender::new(false);
        let (connections, freeze) = (Arc::clone(&open), frozen.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                count.send_modify(|count| *count += 1);
                let relayed = relay(socket, server, freeze.subscribe());
                connections.lock().unwrap_or_else(PoisonError::into_inner).spawn(relayed);
            }
        });
        Self { address, open, made, frozen, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Breaks all connections; new ones may be made.
    pub(crate) fn cut(&self) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }

    /// Lets nothing more through on the connections that there are, which stay open. New ones are let through.
    pub(crate) fn freeze(&self) {
        self.frozen.send_replace(true);
        self.frozen.send_replace(false);
    }

    /// How many connections there have been.
    pub(crate) fn made(&self) -> usize {
        *self.made.borrow()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn relay(mut socket: TcpStream, server: SocketAddr, mut frozen: watch::Receiver<bool>) {
    let Ok(mut there) = TcpStream::connect(server).await else { return };
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut socket, &mut there) => {}
        _ = frozen.changed() => std::future::pending().await,
    }
}
