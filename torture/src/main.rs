//! Kills a process with a task hub again and again, and looks what became of its promises.
//!
//! ```text
//! duramen-torture run --kills N ──► duramen-torture child      opens the store, runs a worker and
//!   │  SIGKILL after 0 to 2 s,  ◄── its phases, by a pipe      clients that use everything
//!   │  or within a phase                  │
//!   │                                     ├─► FOLDER/store           the task hub
//!   ▼                                     └─► FOLDER/witness.jsonl   what was promised
//!  verifier: opens the store, lets everything end, and compares
//! ```
//!
//! What is promised: an acknowledged start, event, suspension, termination, purge is there after any
//! kill; a result that a client was told is the result; no action of an execution is decided twice in
//! two ways; an activity runs only for a decision that is on disk; every history can be replayed.
//!
//! A violation is printed with the instance, the promise and what was found; its folder is kept, with
//! the store as the last kill left it in `store-as-killed`, and the exit code is 1.

mod aim;
mod arguments;
mod child;
mod desk;
mod finish;
mod functions;
mod house;
mod killer;
mod known;
mod load;
mod phase;
mod rng;
mod run;
mod verify;
mod witness;

use arguments::Command;
use std::error::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    let done = arguments::parse(std::env::args().skip(1)).map_err(Into::into).and_then(|command| match command {
        Command::Run(plan) => run::run(&plan),
        Command::Kill { folder, kills, seed, partitions } => {
            run::kill(&folder, kills, seed, &partitions).map(|()| true)
        }
        Command::Child(orders) => child::run(orders).map(|()| true),
        Command::Verify { folder, partitions } => {
            let report = verify::verify(&folder, partitions)?;
            run::print_violations(&report);
            Ok::<_, Box<dyn Error>>(report.violations.is_empty())
        }
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
