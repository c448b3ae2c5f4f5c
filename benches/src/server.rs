//! The server of a remote run: a process of its own, with the services that `duramen serve` has, over one folder.
//!
//! It says on a line where it listens; a line on its standard input asks for figures, and the end of the input for
//! the end.

use crate::process;
use crate::store::Figures;
use duramen::prelude::*;
use duramen_embedded::Embedded;
use duramen_hub::Hub;
use duramen_server::{GrpcOptions, GrpcServer, HubName, Hubs, HubsOptions, OpenHub, Opener};
use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// How long connections may take to end once the hub is closed.
const GOODBYE: Duration = Duration::from_secs(2);

/// What is served.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Serve {
    /// Where the store is
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
    /// Segments of the journal that are made ahead
    #[arg(long, value_name = "N", default_value_t = 0)]
    prepare: usize,
}

impl Serve {
    pub(crate) async fn run(self) -> Result<()> {
        let store = Arc::<OnceLock<Arc<Embedded>>>::default();
        let options = HubsOptions { only: Some(vec![HubName::default()]), ..HubsOptions::default() };
        let hubs = Hubs::new(options, self.opener(Arc::clone(&store)));
        hubs.get(None).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (close, closed) = oneshot::channel();
        let server = GrpcServer::new(hubs.clone(), GrpcOptions::default());
        let serving = tokio::spawn(async move {
            let closed = async {
                let _ = closed.await;
            };
            server.serve(listener, closed).await
        });
        say(&format!("http://{address}"))?;
        let store = store.get().map(Arc::clone).ok_or_else(|| Error::msg("the hub is open without a store"))?;
        // Standard input blocks, so a thread of its own reads it.
        tokio::task::spawn_blocking(move || tell(&store)).await??;
        let errors = hubs.shutdown(Duration::from_secs(30)).await;
        let _ = close.send(());
        let _ = tokio::time::timeout(GOODBYE, serving).await;
        match errors.into_iter().next() {
            None => Ok(()),
            Some((_, error)) => Err(error.into()),
        }
    }

    fn opener(&self, opened: Arc<OnceLock<Arc<Embedded>>>) -> Opener {
        let Self { folder, prepare } = self.clone();
        Box::new(move |_| {
            let (folder, opened) = (folder.clone(), Arc::clone(&opened));
            Box::pin(async move {
                let options = duramen_embedded::Options { prepare, ..Default::default() };
                let store = Arc::new(Embedded::open(folder, options).map_err(|error| error.to_string())?);
                let hub = Hub::run(store.clone(), duramen_hub::Options::default()).await;
                let hub = hub.map_err(|error| error.to_string())?;
                opened.set(store).map_err(|_| "it was opened before".to_owned())?;
                Ok(OpenHub::from(hub))
            })
        })
    }
}

fn tell(store: &Embedded) -> Result<()> {
    for line in std::io::stdin().lock().lines() {
        line?;
        let figures = Figures::new(store.counters(), process::cpu());
        say(&serde_json::to_string(&figures)?)?;
    }
    Ok(())
}

fn say(line: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    Ok(stdout.flush()?)
}
