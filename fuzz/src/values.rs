//! Values that nobody should send, and some that everybody does.

use crate::rng::Rng;

/// Strings that real values are mixed with: what a seed has seen of ids, tokens, names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) instances: Vec<String>,
    pub(crate) executions: Vec<String>,
    pub(crate) tokens: Vec<String>,
    pub(crate) cursors: Vec<String>,
}

pub(crate) const NAMES: [&str; 4] = ["O", "o", "A", "Other"];

const STRINGS: [&str; 24] = [
    "",
    " ",
    "\0",
    "a\0b",
    "\u{7f}",
    "\n\r\t",
    "@",
    "@counter@key",
    "a/b",
    "a\\b",
    "#",
    "?",
    "null",
    "{\"a\":[1,2,{}]}",
    "{",
    "%s%n",
    "' OR 1=1; DROP TABLE instances; --",
    "*",
    "[a-z]*",
    "İSTANBUL",
    "ǅ",
    "\u{202e}\u{feff}",
    "𝕊𐍈",
    "ffffffffffffffff",
];

const NUMBERS: [i64; 16] = [
    0,
    1,
    -1,
    2,
    7,
    100,
    101,
    10_000,
    i32::MAX as i64,
    i32::MIN as i64,
    i32::MAX as i64 + 1,
    u32::MAX as i64,
    i64::MAX,
    i64::MIN,
    253_402_300_800,
    -62_135_596_801,
];

/// A string for a field of this name.
pub(crate) fn string(rng: &mut Rng, field: &str, known: &Known) -> String {
    let fitting = match field {
        "completionToken" => &known.tokens,
        "executionId" => &known.executions,
        "continuationToken" | "lastInstanceKey" => &known.cursors,
        name if name.to_lowercase().contains("instanceid") => &known.instances,
        _ => &known.cursors,
    };
    if !fitting.is_empty() && rng.percent(60) {
        let taken = rng.pick(fitting).clone();
        return if rng.percent(10) { taken.chars().skip(1).collect() } else { taken };
    }
    match (field, rng.below(20)) {
        ("name", 0..12) => (*rng.pick(&NAMES)).to_owned(),
        (_, 0) => "x".repeat(*rng.pick(&[99, 100, 101, 255, 256, 257, 1_023, 1_025])),
        (_, 1) => "ß".repeat(*rng.pick(&[128, 256, 257, 600])),
        (_, 2) if rng.percent(1) => "y".repeat(2 << 20),
        (_, 3..6) => format!("i{}", rng.below(6)),
        _ => (*rng.pick(&STRINGS)).to_owned(),
    }
}

pub(crate) fn number(rng: &mut Rng) -> i64 {
    if rng.percent(50) { rng.below(6) as i64 } else { *rng.pick(&NUMBERS) }
}

/// Seconds and nanoseconds of a time: near now, or at the ends of what can be said.
pub(crate) fn time(rng: &mut Rng) -> (i64, i64) {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    match rng.below(10) {
        0..4 => (now as i64 + rng.below(3) as i64 - 1, rng.below(1_000_000_000) as i64),
        4 => (0, 0),
        _ => (number(rng), number(rng)),
    }
}
