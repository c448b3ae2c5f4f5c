//! One layer of the configuration: what somebody has said, and only that.

use super::{Bind, Config, Keep, Limit, Limits, Settle, Size, Span};
use anyhow::bail;
use clap::Args;
use duramen_server::HubName;
use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;

/// How long a server that is told to stop waits for what is with workers, unless told otherwise.
const DRAIN: Span = Span(Duration::from_secs(30));

#[derive(Args, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Task hubs that the server has [default: default]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', env = "DURAMEN_HUBS")]
    hubs: Option<Vec<HubName>>,
    /// Where workers and clients connect; a port alone is one of this machine only [default: 8080]
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',', env = "DURAMEN_GRPC")]
    grpc: Option<Vec<Bind>>,
    /// Where health and readiness are asked for [default: 8082]
    #[arg(long, value_name = "ADDRESS", env = "DURAMEN_HTTP")]
    http: Option<Bind>,
    /// Folder that keeps the task hubs
    #[arg(long, value_name = "FOLDER", env = "DURAMEN_DATA")]
    data: Option<PathBuf>,
    /// Listen on addresses that other machines can reach, though nobody is asked who they are
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", env = "DURAMEN_INSECURE")]
    insecure: Option<bool>,
    /// How long a server that is told to stop waits for what is with workers [default: 30s]
    #[arg(long, value_name = "SPAN", env = "DURAMEN_DRAIN")]
    drain: Option<Span>,
    /// What to log to stderr: a level, or levels of parts, such as "info,duramen_hub=debug" [default: info]
    #[arg(long, value_name = "LEVELS", env = "RUST_LOG")]
    log: Option<String>,
    #[command(flatten)]
    #[serde(default)]
    limits: LimitSettings,
    #[command(flatten)]
    #[serde(default)]
    settling: SettleSettings,
    #[command(flatten)]
    #[serde(default)]
    retention: KeepSettings,
}

#[derive(Args, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitSettings {
    /// Requests of clients that a hub has open at a time, waits among them [default: 100000]
    #[arg(long = "limits-open-requests", value_name = "NUMBER", env = "DURAMEN_LIMITS_OPEN_REQUESTS")]
    open_requests: Option<usize>,
    /// How long an orchestrator may be with a worker before it goes to another [default: 5m]
    #[arg(long = "limits-episode", value_name = "SPAN", env = "DURAMEN_LIMITS_EPISODE")]
    episode: Option<Span>,
    /// The same for an activity [default: none]
    #[arg(long = "limits-activity", value_name = "SPAN", env = "DURAMEN_LIMITS_ACTIVITY")]
    activity: Option<Limit>,
    /// How long a wait without a deadline for an instance that does not exist is held [default: 1m]
    #[arg(long = "limits-unknown-wait", value_name = "SPAN", env = "DURAMEN_LIMITS_UNKNOWN_WAIT")]
    unknown_wait: Option<Span>,
    /// How often an item may be lost with its worker before it is held for the operator [default: 20]
    #[arg(long = "limits-hold-after", value_name = "NUMBER", env = "DURAMEN_LIMITS_HOLD_AFTER")]
    hold_after: Option<u32>,
    /// Bytes of a work item in one message to a worker that does not stream histories [default: 3900KiB]
    #[arg(long = "limits-max-inline-item-bytes", value_name = "SIZE", env = "DURAMEN_LIMITS_MAX_INLINE_ITEM_BYTES")]
    max_inline_item_bytes: Option<Size>,
    /// Whether an item that is too large for every connected worker fails its instance [default: false]
    #[arg(long = "limits-fail-oversized", value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", env = "DURAMEN_LIMITS_FAIL_OVERSIZED")]
    fail_oversized: Option<bool>,
}

#[derive(Args, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SettleSettings {
    /// How much may be durable before it is settled [default: 64MiB]
    #[arg(long = "settling-bytes", value_name = "SIZE", env = "DURAMEN_SETTLING_BYTES")]
    bytes: Option<Size>,
    /// How long something may be durable before it is settled [default: 5s]
    #[arg(long = "settling-age", value_name = "SPAN", env = "DURAMEN_SETTLING_AGE")]
    age: Option<Span>,
    /// How much may be durable and not settled before appends wait [default: 256MiB]
    #[arg(long = "settling-bound", value_name = "SIZE", env = "DURAMEN_SETTLING_BOUND")]
    bound: Option<Size>,
    /// How much of the disk is kept back at the most, so that purging works when it is full [default: 64MiB]
    #[arg(long = "settling-reserve", value_name = "SIZE", env = "DURAMEN_SETTLING_RESERVE")]
    reserve: Option<Size>,
}

#[derive(Args, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeepSettings {
    /// How long an instance that has completed is kept, with its history [default: none, which is for ever]
    #[arg(long = "retention-completed", value_name = "SPAN", env = "DURAMEN_RETENTION_COMPLETED")]
    completed: Option<Limit>,
    /// The same for one that has failed [default: none]
    #[arg(long = "retention-failed", value_name = "SPAN", env = "DURAMEN_RETENTION_FAILED")]
    failed: Option<Limit>,
    /// The same for one that was terminated [default: none]
    #[arg(long = "retention-terminated", value_name = "SPAN", env = "DURAMEN_RETENTION_TERMINATED")]
    terminated: Option<Limit>,
    /// The same for one that was canceled [default: none]
    #[arg(long = "retention-canceled", value_name = "SPAN", env = "DURAMEN_RETENTION_CANCELED")]
    canceled: Option<Limit>,
}

impl Settings {
    /// This layer over another.
    pub(super) fn or(self, below: Self) -> Self {
        Self {
            hubs: self.hubs.or(below.hubs),
            grpc: self.grpc.or(below.grpc),
            http: self.http.or(below.http),
            data: self.data.or(below.data),
            insecure: self.insecure.or(below.insecure),
            drain: self.drain.or(below.drain),
            log: self.log.or(below.log),
            limits: LimitSettings {
                open_requests: self.limits.open_requests.or(below.limits.open_requests),
                episode: self.limits.episode.or(below.limits.episode),
                activity: self.limits.activity.or(below.limits.activity),
                unknown_wait: self.limits.unknown_wait.or(below.limits.unknown_wait),
                hold_after: self.limits.hold_after.or(below.limits.hold_after),
                max_inline_item_bytes: self.limits.max_inline_item_bytes.or(below.limits.max_inline_item_bytes),
                fail_oversized: self.limits.fail_oversized.or(below.limits.fail_oversized),
            },
            settling: SettleSettings {
                bytes: self.settling.bytes.or(below.settling.bytes),
                age: self.settling.age.or(below.settling.age),
                bound: self.settling.bound.or(below.settling.bound),
                reserve: self.settling.reserve.or(below.settling.reserve),
            },
            retention: KeepSettings {
                completed: self.retention.completed.or(below.retention.completed),
                failed: self.retention.failed.or(below.retention.failed),
                terminated: self.retention.terminated.or(below.retention.terminated),
                canceled: self.retention.canceled.or(below.retention.canceled),
            },
        }
    }

    /// This layer over the defaults.
    pub(super) fn with_defaults(self) -> anyhow::Result<Config> {
        let Some(data) = self.data else {
            bail!("nothing says where the data lives: give --data FOLDER, DURAMEN_DATA or `data` in the file");
        };
        let (limits, settle) = (Limits::default(), Settle::default());
        Ok(Config {
            hubs: self.hubs.unwrap_or_else(|| vec![HubName::default()]),
            grpc: self.grpc.unwrap_or_else(|| vec![Bind::Loopback(8080)]),
            http: self.http.unwrap_or(Bind::Loopback(8082)),
            data,
            insecure: self.insecure.unwrap_or(false),
            drain: self.drain.unwrap_or(DRAIN),
            log: self.log.unwrap_or_else(|| "info".to_owned()),
            limits: Limits {
                open_requests: self.limits.open_requests.unwrap_or(limits.open_requests),
                episode: self.limits.episode.unwrap_or(limits.episode),
                activity: self.limits.activity.unwrap_or(limits.activity),
                unknown_wait: self.limits.unknown_wait.unwrap_or(limits.unknown_wait),
                hold_after: self.limits.hold_after.unwrap_or(limits.hold_after),
                max_inline_item_bytes: self.limits.max_inline_item_bytes.unwrap_or(limits.max_inline_item_bytes),
                fail_oversized: self.limits.fail_oversized.unwrap_or(limits.fail_oversized),
            },
            settling: Settle {
                bytes: self.settling.bytes.unwrap_or(settle.bytes),
                age: self.settling.age.unwrap_or(settle.age),
                bound: self.settling.bound.unwrap_or(settle.bound),
                reserve: self.settling.reserve.unwrap_or(settle.reserve),
            },
            retention: Keep {
                completed: self.retention.completed.unwrap_or_default(),
                failed: self.retention.failed.unwrap_or_default(),
                terminated: self.retention.terminated.unwrap_or_default(),
                canceled: self.retention.canceled.unwrap_or_default(),
            },
        })
    }
}
