//! The `duramen` binary: `duramen dev` for a developer's machine, `duramen serve` for everything else.
//!
//! ```text
//! command line ─┐
//! environment ──┼─► Config ─► listen, open the task hubs, say what is where ─► wait for a signal ─► drain, stop
//! file ─────────┘
//! ```
//!
//! It is the only part of Duramen that names concrete backends: it gives the server a way to open a hub over one.
//! Data goes to stdout, logs and errors to stderr.

mod arguments;
mod config;
mod dev;
mod listen;
mod notify;
mod serve;
mod server;
mod signals;
mod stores;
mod text;

use anyhow::Context;
use clap::Parser;
use std::io::IsTerminal;
use std::process::ExitCode;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Memory that is free goes back to the system, whatever its neighbours do: a hub's memory is to follow what is active.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let outcome = match arguments::Duramen::parse().command {
        arguments::Command::Dev(dev) => dev::run(dev),
        arguments::Command::Serve(serve) => serve::run(*serve),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("duramen: {error:#}");
        ExitCode::FAILURE
    })
}

/// Sends what the program says about itself to stderr, as far as these directives let it.
fn log(directives: &str) -> anyhow::Result<()> {
    let targets = targets(directives).with_context(|| {
        format!(
            "failed to read {directives:?} as what to log; write a level (off, error, warn, info, debug, trace), or \
             levels of parts, such as \"info,duramen_hub=debug\""
        )
    })?;
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    tracing_subscriber::registry().with(lines).with(targets).init();
    Ok(())
}

fn targets(directives: &str) -> anyhow::Result<Targets> {
    // A word alone would be taken for a part, and a level with a slip in it would log nothing.
    for level in directives.split(',').filter(|directive| !directive.contains('=')) {
        level.trim().parse::<LevelFilter>()?;
    }
    Ok(directives.parse()?)
}

/// Runs something on threads of an async runtime, and does not wait for what it leaves behind.
fn on_runtime(run: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("duramen-net").build();
    let runtime = runtime.context("failed to start threads")?;
    let outcome = runtime.block_on(run);
    // A hub may still be opening: it is of no use to anybody any more.
    runtime.shutdown_background();
    outcome
}
