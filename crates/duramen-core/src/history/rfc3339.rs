//! Points in time as text, as RFC 3339 has them, always in UTC.

use crate::time::Time;
use alloc::format;
use alloc::string::String;

const DAY: i64 = 86_400;

/// With as many digits of a second as it takes, in groups of three: `2026-01-31T08:05:09.250Z`.
pub fn format(time: Time) -> String {
    let seconds = civil(time);
    match time.nanos() {
        0 => format!("{seconds}Z"),
        nanos if nanos % 1_000_000 == 0 => format!("{seconds}.{:03}Z", nanos / 1_000_000),
        nanos if nanos % 1_000 == 0 => format!("{seconds}.{:06}Z", nanos / 1_000),
        nanos => format!("{seconds}.{nanos:09}Z"),
    }
}

/// With seven digits of a second, as .NET's format "o" has them.
pub fn ticks(time: Time) -> String {
    format!("{}.{:07}Z", civil(time), time.nanos() / 100)
}

/// Reads what [`format()`] and [`ticks`] write.
pub fn parse(text: &str) -> Option<Time> {
    let text = text.strip_suffix('Z')?;
    let (date, clock) = text.split_once('T')?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let (year, rest) = date.split_at_checked(date.len().checked_sub(6)?)?;
    let mut parts = rest.strip_prefix('-')?.split('-');
    let (month, day): (i64, i64) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let mut parts = clock.split(':').map(str::parse::<i64>);
    let (hour, minute, second) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let inside = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second);
    if !inside || parts.next().is_some() || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut nanos: u32 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    for _ in fraction.len()..9 {
        nanos *= 10;
    }
    let seconds = days(year.parse().ok()?, month, day) * DAY + hour * 3_600 + minute * 60 + second;
    Some(Time::new(seconds, nanos))
}

fn civil(time: Time) -> String {
    let (day, second) = (time.seconds().div_euclid(DAY), time.seconds().rem_euclid(DAY));
    let (year, month, day) = date(day);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
}

/// Days since 1970 of a date of the Gregorian calendar. Years begin with March here, so that the
/// leap day is the last of its year; 400 of them are an era of 146,097 days.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days`].
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times() {
        assert_eq!(format(Time::EPOCH), "1970-01-01T00:00:00Z");
        assert_eq!(format(Time::new(951_782_400, 0)), "2000-02-29T00:00:00Z");
        assert_eq!(format(Time::MAX), "9999-12-31T23:59:59.999999999Z");
        assert_eq!(format(Time::new(-62_135_596_800, 0)), "0001-01-01T00:00:00Z");
        assert_eq!(ticks(Time::new(0, 1_234_567)), "1970-01-01T00:00:00.0012345Z");
    }

    #[test]
    fn what_is_written_reads_back() {
        let step = 86_399 * 37;
        let mut seconds = -62_135_596_800;
        while seconds < 253_402_300_799 {
            let time = Time::new(seconds, (seconds.unsigned_abs() % 1_000_000_000) as u32);
            assert_eq!(parse(&format(time)), Some(time));
            seconds += step;
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "Z", "2026-01-01", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00.xZ"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
