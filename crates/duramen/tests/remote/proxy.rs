//! A way to a server that can be broken.

use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What happens on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Everything passes.
    Open,
    /// What the server says stays here.
    Mute,
    /// Nothing passes, and who comes is turned away.
    Cut,
}

/// Stands before a server. When it is dropped, its connections break.
pub(crate) struct Proxy {
    address: SocketAddr,
    way: watch::Sender<Way>,
    accepting: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Proxy {
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let (way, watched) = watch::channel(Way::Open);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if *watched.borrow() == Way::Cut {
                    continue;
                }
                let Ok(server) = TcpStream::connect(server).await else { continue };
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                tokio::spawn(pump(from_client, to_server, watched.clone(), false));
                tokio::spawn(pump(from_server, to_client, watched.clone(), true));
            }
        });
        Self { address, way, accepting }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on the server hears what is said, and is not heard.
    pub(crate) fn mute(&self) {
        self.way.send_replace(Way::Mute);
    }

    /// Breaks all connections; new ones go through.
    pub(crate) async fn shake(&self) {
        self.way.send_replace(Way::Cut);
        // Each pump ends; what remains is who accepts.
        while self.way.receiver_count() > 1 {
            tokio::task::yield_now().await;
        }
        self.way.send_replace(Way::Open);
    }
}

/// Passes bytes on until the way is cut.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: watch::Receiver<Way>, replies: bool) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let now = *way.borrow_and_update();
        match now {
            Way::Cut => return,
            Way::Mute if replies => {
                if way.changed().await.is_err() {
                    return;
                }
                continue;
            }
            Way::Mute | Way::Open => {}
        }
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            changed = way.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        match read {
            Ok(bytes @ 1..) if to.write_all(&buffer[..bytes]).await.is_ok() => {}
            _ => return,
        }
    }
}
