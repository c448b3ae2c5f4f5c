//! What hubs keep their instances in: the one place that names concrete backends.

use duramen_backend::{Backend, Memory};
use duramen_embedded::Embedded;
use duramen_hub::Hub;
use duramen_server::{HubName, OpenHub, Opener, StoreState};
use futures::FutureExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Opens hubs that keep nothing beyond the process.
pub(crate) fn in_memory(hub: duramen_hub::Options) -> Opener {
    Box::new(move |_| {
        let options = hub.clone();
        async move {
            let hub = Hub::run(Arc::new(Memory::new()), options).await.map_err(|error| error.to_string())?;
            Ok(OpenHub { hub, store: Arc::new(StoreState::default) })
        }
        .boxed()
    })
}

/// Opens hubs that have a folder each.
pub(crate) fn in_folder(data: PathBuf, hub: duramen_hub::Options, store: duramen_embedded::Options) -> Opener {
    Box::new(move |name| {
        let (folder, options) = (folder(&data, &name), hub.clone());
        async move {
            // Opening reads a journal, which is no work for the threads of the network.
            let opened = tokio::task::spawn_blocking(move || Embedded::open(folder, store)).await;
            let store = Arc::new(opened.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?);
            let backend = Arc::clone(&store) as Arc<dyn Backend>;
            let hub = Hub::run(backend, options).await.map_err(|error| error.to_string())?;
            let state = move || {
                let counters = store.counters();
                StoreState { unsettled_bytes: counters.unsettled_bytes, no_space: counters.no_space }
            };
            Ok(OpenHub { hub, store: Arc::new(state) })
        }
        .boxed()
    })
}

fn folder(data: &Path, name: &HubName) -> PathBuf {
    data.join("hubs").join(name.as_str())
}

/// The hubs that have a folder already.
pub(crate) fn there(data: &Path) -> Vec<HubName> {
    let Ok(folders) = std::fs::read_dir(data.join("hubs")) else { return Vec::new() };
    let names = folders.flatten().filter_map(|folder| folder.file_name().to_str()?.parse().ok());
    // A folder whose name is not in lower case was not made by us, and is never opened.
    let mut names: Vec<HubName> = names.filter(|name| folder(data, name).is_dir()).collect();
    names.sort();
    names
}
