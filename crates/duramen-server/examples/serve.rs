//! Serves task hubs to the Durable Task SDKs until Ctrl-C: `serve [ADDRESS] [FOLDER]`. Without a folder they
//! are kept in memory.

use duramen_backend::{Backend, Memory};
use duramen_embedded::Embedded;
use duramen_hub::{Hub, Options};
use duramen_server::{GrpcOptions, GrpcServer, Hubs, HubsOptions, OpenHub};
use futures::FutureExt;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:4001".into());
    let folder = arguments.next().map(PathBuf::from);
    let open = move |name: duramen_server::HubName| {
        let folder = folder.as_ref().map(|folder| folder.join("hubs").join(name.as_str()));
        open(folder).boxed()
    };
    let hubs = Hubs::new(HubsOptions::default(), open);
    let listener = TcpListener::bind(&address).await?;
    println!("serving on {}", listener.local_addr()?);
    let server = GrpcServer::new(hubs.clone(), GrpcOptions::default());
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
        for (name, error) in hubs.shutdown(Duration::from_secs(10)).await {
            eprintln!("{name}: {error}");
        }
    };
    server.serve(listener, stop).await?;
    Ok(())
}

async fn open(folder: Option<PathBuf>) -> Result<OpenHub, String> {
    let store: Arc<dyn Backend> = match folder {
        None => Arc::new(Memory::new()),
        Some(folder) => {
            std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
            let opened = tokio::task::spawn_blocking(move || Embedded::open(folder, Default::default()));
            Arc::new(opened.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?)
        }
    };
    let hub = Hub::run(store, Options::default()).await.map_err(|error| error.to_string())?;
    Ok(hub.into())
}
