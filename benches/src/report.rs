//! What a run has shown: one line of JSON, or the same for eyes.

use crate::minutes::Minutes;
use crate::settled::Settled;
use serde::Serialize;
use serde_json::Value;

/// The figures of one run. `seconds` and everything that is counted are of the measured time, which ends when the
/// client has received and checked the last result.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) workload: String,
    pub(crate) mode: &'static str,
    pub(crate) concurrency: usize,
    pub(crate) seconds: f64,
    pub(crate) orchestrations_per_s: f64,
    pub(crate) activities_per_s: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    pub(crate) cpu_s: f64,
    pub(crate) rss_mb: f64,
    pub(crate) written_bytes: u64,
    pub(crate) syncs: u64,
    pub(crate) floor_p50_us: f64,
    pub(crate) durable: bool,
    /// Of the journal's batches, each one write and one sync: 999 in 1,000 took no longer, at most a sixteenth less.
    pub(crate) journal_p999_ms: f64,
    pub(crate) journal_max_ms: f64,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<Server>,
    /// Of one orchestration, the median; known when they run one at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) syncs_p50: Option<u64>,
    #[serde(flatten)]
    pub(crate) settled: Settled,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) ends: Option<Ends>,
    /// Of a run that was given in minutes.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) minutes: Option<Minutes>,
}

/// Of a hub in a server, which is another process than the worker and the client.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Server {
    /// A call that does nothing, the median.
    pub(crate) call_p50_us: f64,
    pub(crate) server_cpu_s: f64,
    pub(crate) server_rss_mb: f64,
}

/// How a long chain goes at its beginning and at its end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Ends {
    pub(crate) first_1000_ms: f64,
    pub(crate) last_1000_ms: f64,
    pub(crate) first_1000_cpu_ms: f64,
    pub(crate) last_1000_cpu_ms: f64,
}

/// One line, in the order of the fields.
pub(crate) fn to_json(report: &impl Serialize) -> String {
    serde_json::to_string(report).expect("numbers and texts become JSON")
}

/// A line a figure, by name.
pub(crate) fn to_text(report: &impl Serialize) -> String {
    let value = serde_json::to_value(report).expect("numbers and texts become JSON");
    let line = |(name, value): (&String, &Value)| match value.as_f64().filter(|_| value.is_f64()) {
        Some(number) => format!("{name:>22}  {number:.3}\n"),
        None => format!("{name:>22}  {}\n", value.to_string().trim_matches('"')),
    };
    value.as_object().into_iter().flatten().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_has_every_field_and_the_ends_only_where_they_are_known() {
        let mut report = Report {
            workload: "long 10".to_owned(),
            mode: "embedded",
            concurrency: 1,
            seconds: 1.5,
            orchestrations_per_s: 1.0,
            activities_per_s: 10.0,
            p50_ms: 0.5,
            p99_ms: 0.6,
            p999_ms: 0.7,
            cpu_s: 0.1,
            rss_mb: 9.0,
            written_bytes: 1024,
            syncs: 11,
            floor_p50_us: 80.0,
            durable: true,
            journal_p999_ms: 0.5,
            journal_max_ms: 0.75,
            server: None,
            syncs_p50: None,
            settled: Settled { settled_s: 0.5, unsettled_bytes_max: 7 },
            ends: None,
            minutes: None,
        };
        let short = "{\"workload\":\"long 10\",\"mode\":\"embedded\",\"concurrency\":1,\"seconds\":1.5,\
                     \"orchestrations_per_s\":1.0,\"activities_per_s\":10.0,\"p50_ms\":0.5,\"p99_ms\":0.6,\
                     \"p999_ms\":0.7,\"cpu_s\":0.1,\"rss_mb\":9.0,\"written_bytes\":1024,\"syncs\":11,\
                     \"floor_p50_us\":80.0,\"durable\":true,\"journal_p999_ms\":0.5,\
                     \"journal_max_ms\":0.75,\"settled_s\":0.5,\"unsettled_bytes_max\":7}";
        assert_eq!(to_json(&report), short);
        report.ends =
            Some(Ends { first_1000_ms: 1.0, last_1000_ms: 2.0, first_1000_cpu_ms: 3.0, last_1000_cpu_ms: 4.0 });
        assert!(to_json(&report).ends_with(
            "\"first_1000_ms\":1.0,\"last_1000_ms\":2.0,\"first_1000_cpu_ms\":3.0,\"last_1000_cpu_ms\":4.0}"
        ));
        assert!(to_text(&report).contains("first_1000_cpu_ms  3.000"));
    }
}
