//! How spans of time, sizes and addresses are written.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// A span of time: `250ms`, `5s`, `10m`, `2h`, `30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(pub(crate) Duration);

/// A span of time, or `none`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limit(pub(crate) Option<Span>);

/// Bytes: `512B`, `64KiB`, `256MiB`, `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(pub(crate) u64);

/// Where to listen: a port of this machine alone, or an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bind {
    /// A port of the loopback addresses.
    Loopback(u16),
    /// An address.
    Address(SocketAddr),
}

/// Units and what they are worth, the largest first.
const SPANS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads a number with a unit.
fn measure(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let at = text.find(|sign: char| !sign.is_ascii_digit())?;
    let (number, unit) = text.split_at(at);
    let (_, worth) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*worth)
}

/// Writes a number in the largest unit that it is a multiple of.
fn write(f: &mut fmt::Formatter<'_>, number: u64, units: &[(&str, u64)]) -> fmt::Result {
    let [.., smallest] = units else { unreachable!("there are units") };
    let fits = |(_, worth): &&(&str, u64)| number > 0 && number.is_multiple_of(*worth);
    let (unit, worth) = units.iter().find(fits).unwrap_or(smallest);
    write!(f, "{}{unit}", number / worth)
}

/// What is written as text.
trait Value: FromStr<Err = String> {
    /// What to write, with an example.
    const EXPECTED: &'static str;
}

impl Value for Span {
    const EXPECTED: &'static str = "a span of time with its unit (ms, s, m, h, d), such as \"5s\"";
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let millis = measure(text, &SPANS).ok_or_else(|| format!("{text:?} is not {}", Self::EXPECTED))?;
        Ok(Self(Duration::from_millis(millis)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX), &SPANS)
    }
}

impl Limit {
    /// The span, if there is one.
    pub(crate) fn span(self) -> Option<Duration> {
        self.0.map(|span| span.0)
    }
}

impl Value for Limit {
    const EXPECTED: &'static str = "\"none\", or a span of time with its unit (ms, s, m, h, d), such as \"5s\"";
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self(None)),
            span => {
                span.parse().map(|span| Self(Some(span))).map_err(|_| format!("{text:?} is not {}", Self::EXPECTED))
            }
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(span) => span.fmt(f),
            None => f.write_str("none"),
        }
    }
}

impl Size {
    /// For what is in memory.
    pub(crate) fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Value for Size {
    const EXPECTED: &'static str = "a number of bytes with its unit (B, KiB, MiB, GiB), such as \"64MiB\"";
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        measure(text, &SIZES).map(Self).ok_or_else(|| format!("{text:?} is not {}", Self::EXPECTED))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, self.0, &SIZES)
    }
}

impl Bind {
    /// Whether only this machine can reach it.
    pub(crate) fn is_loopback(self) -> bool {
        match self {
            Self::Loopback(_) => true,
            Self::Address(address) => address.ip().is_loopback(),
        }
    }
}

impl Value for Bind {
    const EXPECTED: &'static str =
        "a port, or an address with its port, such as \"8080\", \"127.0.0.1:8080\" or \"[::1]:8080\"";
}

impl FromStr for Bind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = text.strip_prefix("localhost:").unwrap_or(text).parse().map(Self::Loopback);
        let bind = port.or_else(|_| text.parse().map(Self::Address));
        bind.map_err(|_| format!("{text:?} is not {}", Self::EXPECTED))
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback(port) => write!(f, "localhost:{port}"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

/// Reads a value from a file.
struct Text<V>(PhantomData<V>);

impl<V: Value> Visitor<'_> for Text<V> {
    type Value = V;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(V::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<V, E> {
        text.parse().map_err(E::custom)
    }

    // A port may be written as a number; whatever has a unit is then not understood, and says what it needs.
    fn visit_i64<E: Error>(self, number: i64) -> Result<V, E> {
        self.visit_str(&number.to_string())
    }
}

macro_rules! as_text {
    ($($value:ty),*) => {$(
        impl<'de> Deserialize<'de> for $value {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                from.deserialize_any(Text::<$value>(PhantomData))
            }
        }

        impl Serialize for $value {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }
    )*};
}

as_text!(Span, Limit, Size, Bind);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_they_are_read() {
        for text in ["0ms", "250ms", "5s", "90s", "10m", "36h", "30d"] {
            assert_eq!(text.parse::<Span>().expect(text).to_string(), text);
        }
        assert_eq!("60s".parse::<Span>().expect("seconds").to_string(), "1m", "in the largest unit that fits");
        for text in ["0B", "512B", "3KiB", "64MiB", "1GiB"] {
            assert_eq!(text.parse::<Size>().expect(text).to_string(), text);
        }
        for text in ["none", "1h"] {
            assert_eq!(text.parse::<Limit>().expect(text).to_string(), text);
        }
        for text in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "0.0.0.0:1"] {
            assert_eq!(text.parse::<Bind>().expect(text).to_string(), text);
        }
        assert_eq!("8080".parse(), Ok(Bind::Loopback(8080)));
    }

    #[test]
    fn what_is_not_understood_says_what_would_be() {
        for text in ["", "5", "s", "5 weeks", "-1s", "1.5s", "99999999999999999d"] {
            let error = text.parse::<Span>().expect_err(text);
            assert!(error.ends_with("such as \"5s\""), "{error}");
        }
        for text in ["64", "64MB", "99999999999GiB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
        for text in ["", "70000", "localhost", "example.com:80", "127.0.0.1"] {
            assert!(text.parse::<Bind>().is_err(), "{text}");
        }
    }

    #[test]
    fn who_listens_where_others_can_call_is_known() {
        for (text, loopback) in
            [("8080", true), ("127.9.9.9:1", true), ("[::1]:1", true), ("0.0.0.0:1", false), ("[::]:1", false)]
        {
            assert_eq!(text.parse::<Bind>().expect(text).is_loopback(), loopback, "{text}");
        }
    }
}
