//! `duramen serve`.

use crate::arguments::Serve;
use crate::config::Config;
use crate::server::{Plan, serve};
use crate::stores;
use duramen_server::{HubName, HubsOptions};
use std::io::Write;
use std::process::ExitCode;

pub(crate) fn run(arguments: Serve) -> anyhow::Result<ExitCode> {
    let config = Config::new(arguments.settings, arguments.config.as_deref())?;
    if arguments.print_config {
        std::io::stdout().write_all(config.to_toml()?.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    crate::log(&config.log)?;
    for hub in stores::there(&config.data).iter().filter(|hub| !config.hubs.contains(hub)) {
        tracing::warn!(%hub, data = %config.data.display(), "this task hub has data and is not in `hubs`: its work stands still");
    }
    let names: Vec<&str> = config.hubs.iter().map(HubName::as_str).collect();
    let plan = Plan {
        which: HubsOptions { only: Some(config.hubs.clone()), ..HubsOptions::default() },
        at_start: config.hubs.clone(),
        open: stores::in_folder(config.data.clone(), config.hub_options(), config.store_options()),
        grpc: config.grpc.clone(),
        http: config.http,
        data: config.data.display().to_string(),
        hubs: names.join(", "),
        drain: config.drain.0,
        options: config.grpc_options(),
    };
    crate::on_runtime(serve(plan))
}
