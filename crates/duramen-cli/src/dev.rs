//! `duramen dev`.

use crate::arguments::Dev;
use crate::config::Bind;
use crate::server::{Plan, serve};
use crate::stores;
use anyhow::Context;
use duramen_server::{GrpcOptions, HubName, HubsOptions, MOST_HUBS};
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// A developer who stops the server does not want to wait long for activities.
const DRAIN: Duration = Duration::from_secs(5);

pub(crate) fn run(dev: Dev) -> anyhow::Result<ExitCode> {
    crate::log(&dev.log)?;
    let options = duramen_hub::Options::default();
    let (open, data, there) = if dev.in_memory {
        (stores::in_memory(options), "in memory: gone when this process ends".to_owned(), Vec::new())
    } else {
        make_folder(&dev.data)?;
        let folder = dev.data.canonicalize().with_context(|| format!("failed to look at {}", dev.data.display()))?;
        let data = format!("{} (stays; remove the folder to begin anew)", folder.display());
        let there = stores::there(&folder);
        (stores::in_folder(folder, options, duramen_embedded::Options::default()), data, there)
    };
    let plan = Plan {
        which: HubsOptions { there, ..HubsOptions::default() },
        at_start: vec![HubName::default()],
        open,
        grpc: dev.grpc.into_iter().map(Bind::Loopback).collect(),
        http: Bind::Loopback(dev.http),
        data,
        hubs: format!("default, and others as soon as somebody names them, at most {MOST_HUBS}"),
        drain: DRAIN,
        options: GrpcOptions::default(),
    };
    crate::on_runtime(serve(plan))
}

/// A folder of data in the middle of somebody's sources is not to be committed by mistake.
fn make_folder(data: &Path) -> anyhow::Result<()> {
    let made = !data.exists();
    fs::create_dir_all(data)
        .with_context(|| format!("failed to make the folder {}; choose another with --data", data.display()))?;
    if made {
        let ignore = data.join(".gitignore");
        fs::write(&ignore, "*\n").with_context(|| format!("failed to write {}", ignore.display()))?;
    }
    Ok(())
}
