//! What each value may be is checked when it is read; here is what they may be together.

use super::{Bind, Config};
use anyhow::ensure;
use duramen_core::limits::MOST_LOSSES;
use std::collections::BTreeSet;

pub(super) fn check(config: &Config) -> anyhow::Result<()> {
    ensure!(
        !config.hubs.is_empty(),
        "`hubs` is empty: a server needs at least one task hub, such as hubs = [\"default\"]"
    );
    let mut seen = BTreeSet::new();
    for hub in &config.hubs {
        ensure!(seen.insert(hub), "`hubs` names {:?} twice; names are compared without case", hub.as_str());
    }
    ensure!(!config.grpc.is_empty(), "`grpc` is empty: workers and clients need an address, such as grpc = [8080]");
    let listening = config.grpc.iter().map(|bind| ("grpc", bind)).chain([("http", &config.http)]);
    for (key, bind) in listening {
        ensure!(config.insecure || bind.is_loopback(), "{}", reachable(key, *bind));
    }
    ensure!(config.limits.open_requests > 0, "`open_requests` in [limits] is 0: nobody could ask for anything");
    ensure!(
        (1..=MOST_LOSSES).contains(&config.limits.hold_after),
        "`hold_after` in [limits] is {}, but must be 1 to {MOST_LOSSES}",
        config.limits.hold_after
    );
    let settling = &config.settling;
    ensure!(
        settling.bytes <= settling.bound,
        "in [settling] `bytes` is {}, more than `bound`, {}: appends would wait for a settle that does not come",
        settling.bytes,
        settling.bound
    );
    Ok(())
}

fn reachable(key: &str, bind: Bind) -> String {
    format!(
        "`{key}` is {bind}, which other machines can reach, and Duramen cannot tell yet who calls: whoever reaches it could read, start and purge everything. \
         Listen on this machine only (a port alone does that), or say --insecure, DURAMEN_INSECURE=true or `insecure = true` if everyone on that network may"
    )
}
