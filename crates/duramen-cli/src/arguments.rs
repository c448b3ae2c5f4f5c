//! The command line.

use crate::config::Settings;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Durable functions without the cloud: orchestrations that survive the process, for workers in any language.
#[derive(Parser)]
#[command(name = "duramen", version, propagate_version = true)]
pub(crate) struct Duramen {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a server on this machine for development: nothing to configure, data in ./.duramen
    Dev(Dev),
    /// Run a server from a configuration
    Serve(Box<Serve>),
}

#[derive(Args)]
pub(crate) struct Dev {
    /// Ports for workers and clients, on this machine only; 0 means any that is free
    #[arg(long, value_name = "PORTS", value_delimiter = ',', default_values_t = [8080, 4001])]
    pub(crate) grpc: Vec<u16>,
    /// Port for health and readiness
    #[arg(long, value_name = "PORT", default_value_t = 8082)]
    pub(crate) http: u16,
    /// Folder that keeps the task hubs
    #[arg(long, value_name = "FOLDER", default_value = ".duramen")]
    pub(crate) data: PathBuf,
    /// Keep nothing beyond the process
    #[arg(long, conflicts_with = "data")]
    pub(crate) in_memory: bool,
    /// What to log to stderr: a level, or levels of parts, such as "info,duramen_hub=debug"
    #[arg(long, value_name = "LEVELS", env = "RUST_LOG", default_value = "warn")]
    pub(crate) log: String,
}

/// Each key of the file is also a flag and a variable: `age` in `[settling]` is `--settling-age` and
/// DURAMEN_SETTLING_AGE. A flag counts before a variable, and that before the file.
#[derive(Args)]
pub(crate) struct Serve {
    /// The configuration
    #[arg(long, value_name = "FILE", env = "DURAMEN_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Print the configuration that flags, environment and file come to, as a file, and stop
    #[arg(long)]
    pub(crate) print_config: bool,
    #[command(flatten)]
    pub(crate) settings: Settings,
}
