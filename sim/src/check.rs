//! How a check says that something is wrong.

use std::fmt;

/// A rule that was broken.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The name of the check; the same for every seed.
    pub check: &'static str,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.check, self.what)
    }
}

/// Ends the run of this seed.
pub(crate) fn fail(check: &'static str, what: String) -> ! {
    std::panic::panic_any(Violation { check, what })
}

/// `ensure!(condition, "check", "what was seen {}", …)`
macro_rules! ensure {
    ($condition:expr, $check:expr, $($what:tt)+) => {
        if !$condition {
            $crate::check::fail($check, format!($($what)+));
        }
    };
}
pub(crate) use ensure;
