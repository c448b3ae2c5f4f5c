//! What a call says beside its message.

use super::socket::Connection;
use duramen_core::extension::TIMEOUT;
use duramen_core::time::Time;
use std::time::Duration;
use tonic::Request;
use tonic::metadata::MetadataMap;

/// The hub that a call names: scheduler-flavoured SDKs do, plain ones do not.
pub(super) fn hub_name(metadata: &MetadataMap) -> Option<&str> {
    // What is no text is no name either, and is refused as one.
    metadata.get("taskhub").map(|name| name.to_str().unwrap_or("?"))
}

/// Who a worker says that it is.
pub(super) fn worker_name(metadata: &MetadataMap) -> Option<&str> {
    metadata.get("workerid").or_else(|| metadata.get("user-agent")).and_then(|name| name.to_str().ok())
}

/// The connection that a call came over.
pub(super) fn connection<T>(request: &Request<T>) -> Connection {
    request.extensions().get::<Connection>().cloned().unwrap_or_default()
}

/// A number that a client of our own gives beside its message.
pub(super) fn number(metadata: &MetadataMap, key: &'static str) -> Option<u64> {
    metadata.get(key)?.to_str().ok()?.parse().ok()
}

/// How long the caller waits, if it says so: exactly as long as one of our own says, otherwise a little less, so that
/// an answer still reaches it.
pub(super) fn patience(metadata: &MetadataMap) -> Option<Duration> {
    if let Some(nanos) = number(metadata, TIMEOUT) {
        return Some(Duration::from_nanos(nanos));
    }
    let given = timeout(metadata.get("grpc-timeout")?.to_str().ok()?)?;
    Some(given.saturating_sub((given / 10).min(Duration::from_millis(100))))
}

/// A `grpc-timeout`: at most eight digits and a unit.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number.saturating_mul(3600))),
        "M" => Some(Duration::from_secs(number.saturating_mul(60))),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// An empty string counts as absent.
pub(super) fn given(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// A time that the caller may have given.
pub(super) fn time(at: Option<duramen_proto::Timestamp>) -> Option<Time> {
    at.map(Time::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_have_units() {
        let all = [("1H", 3_600_000), ("2M", 120_000), ("3S", 3_000), ("4m", 4), ("99999999S", 99_999_999_000)];
        for (text, millis) in all {
            assert_eq!(timeout(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for bad in ["", "S", "1", "1x", "-1S", "1ß"] {
            assert_eq!(timeout(bad), None, "{bad}");
        }
    }

    #[test]
    fn patience_ends_a_little_before_the_callers() {
        let mut metadata = MetadataMap::new();
        assert_eq!(patience(&metadata), None);
        metadata.insert("grpc-timeout", "30S".parse().unwrap());
        assert_eq!(patience(&metadata), Some(Duration::from_millis(29_900)));
        metadata.insert("grpc-timeout", "100m".parse().unwrap());
        assert_eq!(patience(&metadata), Some(Duration::from_millis(90)));
        metadata.insert(TIMEOUT, "100".parse().unwrap());
        assert_eq!(patience(&metadata), Some(Duration::from_nanos(100)));
    }
}
