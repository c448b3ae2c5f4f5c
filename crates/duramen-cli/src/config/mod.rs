//! The configuration of `duramen serve`: flags over environment over file over defaults.
//!
//! [`Settings`] is one layer, in which everything may be missing: the command line and the environment are one, the
//! file is another. The same fields are the flags, the variables and the keys, so the three cannot drift. [`Config`] is
//! what the layers come to, with nothing missing.

mod check;
mod file;
mod layer;
mod values;

pub(crate) use layer::Settings;
pub(crate) use values::{Bind, Limit, Size, Span};

use duramen_embedded::Settling;
use duramen_hub::{OPEN_REQUESTS, Retention};
use duramen_server::{GrpcOptions, HubName};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What a server is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Config {
    pub(crate) hubs: Vec<HubName>,
    pub(crate) grpc: Vec<Bind>,
    pub(crate) http: Bind,
    pub(crate) data: PathBuf,
    pub(crate) insecure: bool,
    pub(crate) drain: Span,
    pub(crate) log: String,
    pub(crate) limits: Limits,
    pub(crate) settling: Settle,
    pub(crate) retention: Keep,
}

/// How much of what is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Limits {
    pub(crate) open_requests: usize,
    pub(crate) episode: Span,
    pub(crate) activity: Limit,
    pub(crate) unknown_wait: Span,
    pub(crate) hold_after: u32,
    pub(crate) max_inline_item_bytes: Size,
    pub(crate) fail_oversized: bool,
}

/// When what is durable is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Settle {
    pub(crate) bytes: Size,
    pub(crate) age: Span,
    pub(crate) bound: Size,
    pub(crate) reserve: Size,
}

/// How long instances that have ended are kept, by how they ended; `none` keeps them until they are purged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Keep {
    pub(crate) completed: Limit,
    pub(crate) failed: Limit,
    pub(crate) terminated: Limit,
    pub(crate) canceled: Limit,
}

impl Config {
    /// What flags and environment, a file and the defaults come to.
    pub(crate) fn new(given: Settings, file: Option<&Path>) -> anyhow::Result<Self> {
        let from_file = file.map(file::read).transpose()?.unwrap_or_default();
        let config = given.or(from_file).with_defaults()?;
        check::check(&config)?;
        Ok(config)
    }

    /// The same as a file.
    pub(crate) fn to_toml(&self) -> anyhow::Result<String> {
        Ok(toml::to_string(self)?)
    }

    /// How its hubs run.
    pub(crate) fn hub_options(&self) -> duramen_hub::Options {
        let defaults = duramen_hub::Options::default();
        let settings = duramen_core::limits::Settings {
            episode_limit: self.limits.episode.0,
            activity_limit: self.limits.activity.span(),
            unknown_wait: self.limits.unknown_wait.0,
            hold_after: self.limits.hold_after,
            fail_oversized: self.limits.fail_oversized,
            ..defaults.settings
        };
        let retention = Retention {
            completed: self.retention.completed.span(),
            failed: self.retention.failed.span(),
            terminated: self.retention.terminated.span(),
            canceled: self.retention.canceled.span(),
        };
        duramen_hub::Options { settings, queue: self.limits.open_requests, retention, ..defaults }
    }

    /// How the SDKs' protocol is served.
    pub(crate) fn grpc_options(&self) -> GrpcOptions {
        let bytes = self.limits.max_inline_item_bytes.0;
        let inline_item_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        GrpcOptions { inline_item_bytes, ..GrpcOptions::default() }
    }

    /// How their stores are opened.
    pub(crate) fn store_options(&self) -> duramen_embedded::Options {
        let Settle { bytes, age, bound, reserve } = self.settling;
        let settling = Settling { bytes: bytes.0, age: age.0, bound: bound.0, reserve: reserve.0 };
        duramen_embedded::Options { settling, ..Default::default() }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let settings = duramen_core::limits::Settings::default();
        Self {
            open_requests: OPEN_REQUESTS,
            episode: Span(settings.episode_limit),
            activity: Limit(settings.activity_limit.map(Span)),
            unknown_wait: Span(settings.unknown_wait),
            hold_after: settings.hold_after,
            max_inline_item_bytes: Size(GrpcOptions::default().inline_item_bytes as u64),
            fail_oversized: settings.fail_oversized,
        }
    }
}

impl Default for Settle {
    fn default() -> Self {
        let settling = Settling::default();
        Self {
            bytes: Size(settling.bytes),
            age: Span(settling.age),
            bound: Size(settling.bound),
            reserve: Size(settling.reserve),
        }
    }
}
