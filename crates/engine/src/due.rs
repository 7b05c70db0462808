//! When an event is due, as callers write it: an instant, or a local time in a zone.
//!
//! Not for: how far ahead or back a due time may lie (the caller knows the limits), or rules that repeat.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use posthaste_base::{Code, Error};

use crate::zone;

/// A due time as it was written.
#[derive(Clone, Debug, PartialEq)]
pub enum Due {
    Instant(Timestamp),
    /// A local time; without a zone of its own it is in the subject's.
    Local {
        time: DateTime,
        zone: Option<TimeZone>,
    },
}

impl Due {
    /// The instant. A local time without a zone needs the one given here.
    pub fn resolve(&self, subject_zone: Option<&TimeZone>) -> Result<Timestamp, Error> {
        match self {
            Self::Instant(at) => Ok(*at),
            Self::Local { time, zone } => match zone.as_ref().or(subject_zone) {
                Some(zone) => zone::resolve(*time, zone),
                None => Err(Error::new(Code::InvalidTime, format!("the local time {time} names no zone"))
                    .expected("an offset, `Z`, or a time zone")),
            },
        }
    }
}

/// Reads `2026-03-01T09:00:00Z`, `2026-03-01T09:00:00+01:00`, `2026-03-01T09:00 Europe/Berlin`,
/// `2026-03-01T09:00[Europe/Berlin]`, or `2026-03-01T09:00`, which takes its zone from elsewhere.
pub fn parse_due(text: &str) -> Result<Due, Error> {
    let text = text.trim();
    let (time, zone_name) = split_zone(text);
    let zone = zone_name.map(zone::parse).transpose()?;
    match (zone, has_offset(time)) {
        (None, true) => parse_instant(time).map(Due::Instant),
        (zone, false) => parse_local(time).map(|time| Due::Local { time, zone }),
        (Some(zone), true) => {
            let instant = parse_instant(time)?;
            let there: Zoned = instant.to_zoned(zone.clone());
            // An offset that the zone does not have at that time means that one of the two is a mistake.
            if parse_local(&time[..offset_start(time).unwrap_or(time.len())])? != there.datetime() {
                let message =
                    format!("`{time}` has another offset than `{}` at that time", zone::name(&zone));
                return Err(Error::new(Code::InvalidTime, message).expected("an offset or a zone, not both"));
            }
            Ok(Due::Instant(instant))
        }
    }
}

/// Reads a local date and time, or says which part does not exist.
pub fn parse_local(text: &str) -> Result<DateTime, Error> {
    if text.len() > 10 && has_offset(text) {
        return Err(invalid(text, "has an offset where a local time is expected").expected(LOCAL));
    }
    check_date(text)?;
    if !text.contains(':') {
        let reason =
            if text.parse::<Date>().is_ok() { "has no time of day" } else { "is not a date and a time" };
        return Err(invalid(text, reason).expected(LOCAL));
    }
    text.parse().map_err(|error| invalid(text, "is not a date and a time").expected(LOCAL).caused_by(error))
}

/// Reads a date such as `2026-03-01`, or says which part does not exist.
pub fn parse_date(text: &str) -> Result<Date, Error> {
    check_date(text)?;
    text.parse().map_err(|error| {
        invalid(text, "is not a date").expected("a date such as `2026-03-01`").caused_by(error)
    })
}

const LOCAL: &str = "a local time such as `2026-03-01T09:00`";
const ANY: &str =
    "`2026-03-01T09:00:00Z`, or a local time and a zone such as `2026-03-01T09:00 Europe/Berlin`";

fn parse_instant(text: &str) -> Result<Timestamp, Error> {
    check_date(text)?;
    text.parse().map_err(|error| {
        // The last instant that can be counted is a day before the last one that can be written.
        let local = text.get(..offset_start(text).unwrap_or(text.len())).unwrap_or(text);
        let is_time = local.starts_with("9999-12-3") && local.parse::<DateTime>().is_ok();
        let reason = if is_time { "is too far ahead" } else { "is not a date and a time" };
        invalid(text, reason).expected(ANY).caused_by(error)
    })
}

fn invalid(text: &str, reason: &str) -> Error {
    let shown: String = text.chars().take(60).collect();
    Error::new(Code::InvalidTime, format!("`{shown}` {reason}"))
}

/// The zone comes after a space or in brackets, as RFC 9557 writes it.
fn split_zone(text: &str) -> (&str, Option<&str>) {
    if let Some((time, rest)) = text.split_once('[')
        && let Some(name) = rest.strip_suffix(']')
    {
        return (time.trim_end(), Some(name.trim_start_matches('!')));
    }
    // A space may also stand between date and time.
    match text.rsplit_once(' ') {
        Some((time, name)) if name.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            (time.trim_end(), Some(name))
        }
        _ => (text, None),
    }
}

fn has_offset(time: &str) -> bool {
    offset_start(time).is_some()
}

/// Where `Z` or the offset starts; the hyphens of the date are not offsets.
fn offset_start(time: &str) -> Option<usize> {
    let time_of_day = 10;
    time.get(time_of_day..)?.find(['Z', 'z', '+', '-']).map(|at| at + time_of_day)
}

/// Refuses a date that is well written but does not exist, with the reason; leaves the rest to the reader.
fn check_date(text: &str) -> Result<(), Error> {
    let Some(date) = text.get(..10) else {
        return if text.bytes().all(|byte| byte.is_ascii_digit()) && !text.is_empty() {
            Err(invalid(text, "is a number, not a date and a time").expected(ANY))
        } else {
            Ok(())
        };
    };
    let bytes = date.as_bytes();
    let is_written_well = bytes[4] == b'-'
        && bytes[7] == b'-'
        && bytes.iter().enumerate().all(|(at, byte)| at == 4 || at == 7 || byte.is_ascii_digit());
    if !is_written_well {
        return Ok(());
    }
    let part = |range: std::ops::Range<usize>| date[range].parse::<i16>().unwrap_or(0);
    let (year, month, day) = (part(0..4), part(5..7), part(8..10));
    match Date::new(year, month as i8, 1) {
        Err(_) => Err(invalid(date, &format!("does not exist: there is no month {month}"))),
        Ok(first) if day < 1 || day > i16::from(first.days_in_month()) => {
            let length = first.days_in_month();
            let existing = format!("a day from 1 to {length}");
            Err(invalid(date, &format!("does not exist: that month has {length} days")).expected(existing))
        }
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &str) {
        let found = parse_due(text).unwrap().resolve(None).unwrap();
        assert_eq!(found, expected.parse::<Timestamp>().unwrap(), "{text}");
    }

    fn check_refused(text: &str, code: Code, message: &str) {
        let error = parse_due(text).and_then(|due| due.resolve(None)).expect_err("it should be refused");
        assert_eq!(error.code(), code, "{text}: {error}");
        assert!(error.message().contains(message), "`{}` should contain `{message}`", error.message());
    }

    #[test]
    fn instants_are_read() {
        check("2026-03-01T09:00:00Z", "2026-03-01T09:00:00Z");
        check("2026-03-01t09:00:00z", "2026-03-01T09:00:00Z");
        check("2026-03-01T09:00:00.123456+01:00", "2026-03-01T08:00:00.123456Z");
        check("2026-03-01 09:00:00-05:00", "2026-03-01T14:00:00Z");
        check(" 2024-02-29T23:59:59Z ", "2024-02-29T23:59:59Z");
    }

    #[test]
    fn local_times_are_read_with_their_zone() {
        check("2026-03-01T09:00 Europe/Berlin", "2026-03-01T08:00:00Z");
        check("2026-03-01T09:00[Europe/Berlin]", "2026-03-01T08:00:00Z");
        check("2026-03-01 09:00:30 America/New_York", "2026-03-01T14:00:30Z");
        check("2026-03-29T02:30 Europe/Berlin", "2026-03-29T01:30:00Z");
        check("2026-03-01T09:00+01:00[Europe/Berlin]", "2026-03-01T08:00:00Z");
    }

    #[test]
    fn a_local_time_without_a_zone_takes_the_subjects() {
        let zone = zone::parse("Asia/Tokyo").unwrap();
        let due = parse_due("2026-03-01T09:00").unwrap();
        assert_eq!(due.resolve(Some(&zone)).unwrap(), "2026-03-01T00:00:00Z".parse().unwrap());
        check_refused("2026-03-01T09:00", Code::InvalidTime, "names no zone");
    }

    #[test]
    fn dates_that_do_not_exist_say_so() {
        check_refused(
            "2026-02-30T09:00:00Z",
            Code::InvalidTime,
            "`2026-02-30` does not exist: that month has 28 days",
        );
        check_refused("2025-02-29T09:00 Europe/Berlin", Code::InvalidTime, "28 days");
        check_refused("2026-04-31T09:00:00Z", Code::InvalidTime, "30 days");
        check_refused("2026-13-01T09:00:00Z", Code::InvalidTime, "there is no month 13");
        check_refused("2026-00-01T09:00:00Z", Code::InvalidTime, "there is no month 0");
    }

    #[test]
    fn times_that_cannot_be_read_are_refused() {
        for text in [
            "",
            "tomorrow",
            "2026-03-01T25:00:00Z",
            "2026-03-01T09:60:00Z",
            "2026-03-01T09:00:00+99:00",
            "é".repeat(9).as_str(),
        ] {
            check_refused(text, Code::InvalidTime, "is not a date and a time");
        }
        check_refused("2026-03-01", Code::InvalidTime, "no time of day");
        check_refused("1767225600", Code::InvalidTime, "");
        check_refused("17672256", Code::InvalidTime, "is a number");
        check_refused("2026-03-01T09:00+05:00[Europe/Berlin]", Code::InvalidTime, "another offset");
        check_refused("2026-03-01T09:00 Europe/Berln", Code::UnknownZone, "`Europe/Berln`");
        check_refused("9999-12-31T23:59:59Z", Code::InvalidTime, "too far ahead");
        check_refused("9999-12-31T23:59 America/New_York", Code::InvalidTime, "out of range");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}") {
            let _ = parse_due(&text);
        }

        #[test]
        fn nearly_good_text_never_panics(text in "[0-9TtZz:+\\-\\[\\] a-zé/.]{0,32}") {
            let _ = parse_due(&text);
        }
    }
}
