//! A wire between a client and the server that can be cut without either of them hearing of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    frozen: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let frozen = Arc::new(AtomicBool::new(false));
        let is_frozen = Arc::clone(&frozen);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(server).await.expect("it listens");
                let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
                tokio::spawn(forward(near_in, far_out, Arc::clone(&is_frozen)));
                tokio::spawn(forward(far_in, near_out, Arc::clone(&is_frozen)));
            }
        });
        Self { address, frozen }
    }

    /// From now on nothing goes through, and nobody is told.
    pub(crate) fn freeze(&self) {
        self.frozen.store(true, Ordering::SeqCst);
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, frozen: Arc<AtomicBool>) {
    let mut some = [0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut some).await {
        if frozen.load(Ordering::SeqCst) {
            // What is lost is lost. Both ends stay open.
            continue;
        }
        if to.write_all(&some[..read]).await.is_err() {
            return;
        }
    }
    if frozen.load(Ordering::SeqCst) {
        std::future::pending::<()>().await;
    }
}
