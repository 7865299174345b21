//! Times as Falco prints them.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;

fn timestamp(nanos: u64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(nanos)).ok()
}

fn local(nanos: u64) -> Option<jiff::civil::DateTime> {
    Some(TimeZone::system().to_datetime(timestamp(nanos)?))
}

/// `HH:MM:SS.nnnnnnnnn` in local time (`evt.time`); without the fraction when `fraction` is false. `nanos` counts from
/// the epoch.
pub fn time_of_day(nanos: u64, fraction: bool, out: &mut String) {
    let Some(at) = local(nanos) else { return };
    // Writing to a string cannot fail.
    let _ = write!(out, "{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second());
    if fraction {
        let _ = write!(out, ".{:09}", at.subsec_nanosecond());
    }
}

/// `YYYY-MM-DD HH:MM:SS.nnnnnnnnn` in local time (`evt.datetime`); without the fraction when `fraction` is false.
pub fn datetime(nanos: u64, fraction: bool, out: &mut String) {
    let Some(at) = local(nanos) else { return };
    let _ = write!(out, "{:04}-{:02}-{:02} ", at.year(), at.month(), at.day());
    time_of_day(nanos, fraction, out);
}

/// `YYYY-MM-DDTHH:MM:SS.nnnnnnnnn` in UTC, followed by `suffix` (`+0000` in `evt.time.iso8601`, `Z` in JSON).
pub fn iso8601(nanos: u64, suffix: &str, out: &mut String) {
    let Some(at) = timestamp(nanos) else { return };
    let at = TimeZone::UTC.to_datetime(at);
    let _ = write!(
        out,
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}{suffix}",
        at.year(),
        at.month(),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.subsec_nanosecond()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utc_has_nine_digits_and_the_suffix() {
        let mut out = String::new();
        iso8601(1_700_000_000_000_000_042, "+0000", &mut out);
        assert_eq!(out, "2023-11-14T22:13:20.000000042+0000");
    }

    #[test]
    fn local_time_has_its_parts() {
        let (mut full, mut short, mut date) = (String::new(), String::new(), String::new());
        time_of_day(1_700_000_000_000_000_042, true, &mut full);
        time_of_day(1_700_000_000_000_000_042, false, &mut short);
        datetime(1_700_000_000_000_000_042, true, &mut date);
        assert_eq!(full, format!("{short}.000000042"));
        assert!(short.ends_with(":20"), "{short}");
        assert!(date.starts_with("2023-11-1") && date.ends_with(&full), "{date}");
    }
}
