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
    /// What the server says, and all.
    frozen: [watch::Sender<bool>; 2],
    accepting: JoinHandle<()>,
}

impl Relay {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let open = Arc::<Mutex<JoinSet<()>>>::default();
        let (count, made) = watch::channel(0);
        let frozen = [false; 2].map(watch::Sender::new);
        let (connections, freeze) = (Arc::clone(&open), frozen.clone());
        let accepting = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                count.send_modify(|count| *count += 1);
                let relayed = relay(socket, server, freeze.each_ref().map(watch::Sender::subscribe));
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

    /// Lets nothing more through on the connections that there are, which stay open; with `heard`, nothing more of what
    /// the server says. New ones are let through.
    pub(crate) fn freeze(&self, heard: bool) {
        let way = &self.frozen[usize::from(!heard)];
        way.send_replace(true);
        way.send_replace(false);
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

async fn relay(mut socket: TcpStream, server: SocketAddr, [mut muted, mut frozen]: [watch::Receiver<bool>; 2]) {
    let Ok(mut there) = TcpStream::connect(server).await else { return };
    let ((mut asked, mut told), (mut replies, mut asks)) = (socket.split(), there.split());
    let there = tokio::io::copy(&mut asked, &mut asks);
    let back = async {
        tokio::select! {
            ended = tokio::io::copy(&mut replies, &mut told) => ended,
            _ = muted.changed() => std::future::pending().await,
        }
    };
    tokio::select! {
        // Either side's end is that of both.
        _ = there => {}
        _ = back => {}
        _ = frozen.changed() => std::future::pending().await,
    }
}
