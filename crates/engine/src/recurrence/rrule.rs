//! Recurrence rules of iCalendar (RFC 5545): one `RRULE`, counted from a local day.

use chrono::{Datelike, TimeZone as _, Timelike};
use jiff::civil::{DateTime, Time};
use jiff::{SignedDuration, Timestamp};
use posthaste_base::{Code, Error};
use rrule::{RRule, RRuleSet, Tz, Unvalidated};

use super::{Start, TIME_OF_DAY_DEFAULT};
use crate::due;

/// Rules with a `COUNT` are counted from their start each time, so it is bounded.
const COUNT_MAX: u32 = 10_000;

/// A rule that can be read and does occur.
#[derive(Clone, Debug)]
pub struct RecurRule {
    text: String,
    from: Start,
    rule: RRule<Unvalidated>,
    /// The seconds after which the rule's periods repeat, where they all have one length.
    period_seconds: Option<i64>,
    until: Option<Until>,
}

/// Kept apart from the rule: an instant cannot be compared with local times until those are resolved.
#[derive(Clone, Copy, Debug)]
enum Until {
    Local(DateTime),
    Instant(Timestamp),
}

impl RecurRule {
    /// Reads `FREQ=WEEKLY;BYDAY=MO`, with or without `RRULE:` before it.
    pub fn parse(text: &str, from: Start) -> Result<Self, Error> {
        let parts = split(text)?;
        let part =
            |name: &str| parts.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
        let frequency = part("FREQ").ok_or_else(|| invalid("FREQ is missing"))?;
        if frequency == "SECONDLY" {
            return Err(invalid("FREQ=SECONDLY is too frequent").expected("FREQ=MINUTELY or slower"));
        }
        let interval = read_number(part("INTERVAL"), "INTERVAL", u32::from(u16::MAX))?.unwrap_or(1);
        let count = read_number(part("COUNT"), "COUNT", COUNT_MAX)?;
        let until = part("UNTIL").map(parse_until).transpose()?;
        if count.is_some() && until.is_some() {
            return Err(invalid("COUNT and UNTIL exclude each other"));
        }
        let kept: Vec<_> = parts.iter().filter(|(name, _)| name != "UNTIL").collect();
        let kept: Vec<_> = kept.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let rule =
            kept.join(";").parse().map_err(|error| invalid(format!("the rule cannot be read: {error}")))?;
        let period_seconds =
            period_seconds(frequency).filter(|_| count.is_none()).map(|s| s * i64::from(interval));
        let rule = Self { text: text.trim().to_owned(), from, rule, period_seconds, until };
        rule.check_occurs()?;
        Ok(rule)
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn from(&self) -> Start {
        self.from
    }

    /// The library resolves local times in its own way; here it sees UTC alone, which has no gaps.
    pub(super) fn local_times_after(&self, start: DateTime, at: Time) -> impl Iterator<Item = DateTime> {
        let from = self.from.local(at);
        self.set_from(self.leap(from, start))
            .into_iter()
            .flat_map(|set| set.into_iter().map_while(to_civil))
            .skip_while(move |local| *local <= start)
            .take_while(|local| !matches!(self.until, Some(Until::Local(until)) if *local > until))
    }

    pub(super) fn is_within_end(&self, instant: Timestamp) -> bool {
        !matches!(self.until, Some(Until::Instant(until)) if instant > until)
    }

    /// A later start with the same occurrences after `start`, so that an old rule is not counted through. Only
    /// rules without `COUNT`, with periods of one length, may leap; months and years are few enough to walk.
    fn leap(&self, from: DateTime, start: DateTime) -> DateTime {
        let Some(period_seconds) = self.period_seconds else { return from };
        let elapsed_seconds = start.duration_since(from).as_secs();
        // One period is left, since a week's occurrences may come before the weekday of its start.
        let periods = elapsed_seconds / period_seconds - 1;
        if periods <= 0 {
            return from;
        }
        from.saturating_add(SignedDuration::from_secs(periods * period_seconds))
    }

    /// `limit` ends a search that finds nothing.
    fn set_from(&self, from: DateTime) -> Option<RRuleSet> {
        self.rule.clone().build(to_chrono(from)?).ok().map(RRuleSet::limit)
    }

    fn check_occurs(&self) -> Result<(), Error> {
        let from = to_chrono(self.from.local(TIME_OF_DAY_DEFAULT))
            .ok_or_else(|| invalid("the rule starts out of range").field("from"))?;
        self.rule
            .clone()
            .build(from)
            .map_err(|error| invalid(format!("the rule cannot be read: {error}")))?;
        let before_start =
            self.from.date.to_datetime(Time::midnight()).saturating_sub(SignedDuration::from_secs(1));
        match self.local_times_after(before_start, TIME_OF_DAY_DEFAULT).next() {
            Some(_) => Ok(()),
            None => Err(invalid(format!("`{}` never occurs after {}", self.text, self.from))
                .expected("a rule that occurs")),
        }
    }
}

impl PartialEq for RecurRule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.from == other.from
    }
}

/// The parts of a rule in upper case; each may come once.
fn split(text: &str) -> Result<Vec<(String, String)>, Error> {
    let text = text.trim().to_ascii_uppercase();
    let text = text.strip_prefix("RRULE:").unwrap_or(&text);
    let mut parts: Vec<(String, String)> = Vec::new();
    for part in text.trim_end_matches(';').split(';') {
        let (name, value) =
            part.split_once('=').ok_or_else(|| invalid(format!("`{part}` is not a part of a rule")))?;
        let is_written_well = |c: char| c.is_ascii_alphanumeric() || matches!(c, ',' | '+' | '-');
        if !name.chars().all(|c| c.is_ascii_alphabetic())
            || !value.chars().all(is_written_well)
            || value.is_empty()
        {
            return Err(invalid(format!("`{part}` is not a part of a rule")));
        }
        if parts.iter().any(|(found, _)| found == name) {
            return Err(invalid(format!("{name} comes twice")));
        }
        parts.push((name.to_owned(), value.to_owned()));
    }
    Ok(parts)
}

fn read_number(text: Option<&str>, name: &str, max: u32) -> Result<Option<u32>, Error> {
    let Some(text) = text else { return Ok(None) };
    match text.parse() {
        Ok(number) if (1..=max).contains(&number) => Ok(Some(number)),
        _ => {
            Err(invalid(format!("{name}={text} is not allowed"))
                .expected(format!("a number from 1 to {max}")))
        }
    }
}

fn period_seconds(frequency: &str) -> Option<i64> {
    match frequency {
        "MINUTELY" => Some(60),
        "HOURLY" => Some(3_600),
        "DAILY" => Some(86_400),
        "WEEKLY" => Some(7 * 86_400),
        _ => None,
    }
}

/// `20261231T235959Z` is an instant, `20261231T235959` a local time, `20261231` the whole of that local day.
fn parse_until(text: &str) -> Result<Until, Error> {
    let unreadable =
        || invalid(format!("UNTIL={text} is not a date")).expected("`20261231` or `20261231T235959Z`");
    let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
    let piece = |text: &str, at: usize, length: usize| {
        text.get(at..at + length).map(str::to_owned).ok_or_else(unreadable)
    };
    if date.len() != 8 || !date.is_ascii() {
        return Err(unreadable());
    }
    let date = format!("{}-{}-{}", piece(date, 0, 4)?, piece(date, 4, 2)?, piece(date, 6, 2)?);
    let date = due::parse_date(&date).map_err(|error| invalid(format!("UNTIL: {}", error.message())))?;
    let Some(time) = time else {
        return Ok(Until::Local(date.to_datetime(Time::constant(23, 59, 59, 999_999_999))));
    };
    let (time, is_instant) = time.strip_suffix('Z').map_or((time, false), |time| (time, true));
    if time.len() != 6 || !time.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(unreadable());
    }
    let time = format!("{}:{}:{}", piece(time, 0, 2)?, piece(time, 2, 2)?, piece(time, 4, 2)?);
    let local = date.to_datetime(time.parse().map_err(|_| unreadable())?);
    if !is_instant {
        return Ok(Until::Local(local));
    }
    let instant = jiff::tz::Offset::UTC.to_timestamp(local).map_err(|_| unreadable())?;
    Ok(Until::Instant(instant))
}

fn to_chrono(local: DateTime) -> Option<chrono::DateTime<Tz>> {
    let (date, time) = (local.date(), local.time());
    Tz::UTC
        .with_ymd_and_hms(
            i32::from(date.year()),
            u32::try_from(date.month()).ok()?,
            u32::try_from(date.day()).ok()?,
            u32::try_from(time.hour()).ok()?,
            u32::try_from(time.minute()).ok()?,
            u32::try_from(time.second()).ok()?,
        )
        .single()
}

/// `None` beyond the last year of the calendar.
fn to_civil(local: chrono::DateTime<Tz>) -> Option<DateTime> {
    DateTime::new(
        i16::try_from(local.year()).ok()?,
        i8::try_from(local.month()).ok()?,
        i8::try_from(local.day()).ok()?,
        i8::try_from(local.hour()).ok()?,
        i8::try_from(local.minute()).ok()?,
        i8::try_from(local.second()).ok()?,
        0,
    )
    .ok()
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(Code::InvalidSchedule, message)
        .field("rrule")
        .expected("a rule such as `FREQ=WEEKLY;BYDAY=MO`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str, from: &str) -> RecurRule {
        RecurRule::parse(text, Start::parse(from).unwrap()).unwrap()
    }

    fn check(text: &str, from: &str, after: &str, expected: &[&str]) {
        let rule = rule(text, from);
        let times = rule.local_times_after(after.parse().unwrap(), TIME_OF_DAY_DEFAULT);
        let found: Vec<_> = times.take(expected.len().max(1)).map(|local| local.to_string()).collect();
        assert_eq!(found, expected, "{text} from {from}");
    }

    fn check_refused(text: &str, message: &str) {
        let error = RecurRule::parse(text, Start::parse("2026-01-05T09:00").unwrap()).expect_err(text);
        assert_eq!((error.code(), error.field_name()), (Code::InvalidSchedule, Some("rrule")));
        assert!(error.message().contains(message), "`{}` should contain `{message}`", error.message());
    }

    #[test]
    fn rules_occur_when_they_say() {
        check(
            "FREQ=WEEKLY;BYDAY=MO",
            "2026-01-05T09:00",
            "2026-01-01T00:00",
            &["2026-01-05T09:00:00", "2026-01-12T09:00:00"],
        );
        check("RRULE:FREQ=MONTHLY;BYDAY=-1FR", "2026-01-01", "2026-01-01T00:00", &["2026-01-30T09:00:00"]);
        check(
            "FREQ=MONTHLY;BYMONTHDAY=31",
            "2026-01-01",
            "2026-01-31T09:00",
            &["2026-03-31T09:00:00", "2026-05-31T09:00:00"],
        );
        check(
            "freq=yearly;bymonth=2;bymonthday=29",
            "2026-01-01",
            "2026-01-01T00:00",
            &["2028-02-29T09:00:00"],
        );
        check(
            "FREQ=DAILY;BYHOUR=8,20;BYMINUTE=30",
            "2026-01-01",
            "2026-01-01T08:30",
            &["2026-01-01T20:30:00"],
        );
    }

    #[test]
    fn an_interval_counts_from_the_start_however_old_it_is() {
        check(
            "FREQ=DAILY;INTERVAL=3",
            "1990-01-01T07:00",
            "2026-01-01T00:00",
            &["2026-01-01T07:00:00", "2026-01-04T07:00:00"],
        );
        check(
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU",
            "2025-12-31",
            "2026-06-01T00:00",
            &["2026-06-02T09:00:00", "2026-06-07T09:00:00", "2026-06-16T09:00:00"],
        );
        check("FREQ=HOURLY;INTERVAL=5", "2000-01-01T00:00", "2026-01-01T00:00", &["2026-01-01T02:00:00"]);
        check("FREQ=MINUTELY;INTERVAL=90", "2026-01-01T00:00", "2026-01-01T02:00", &["2026-01-01T03:00:00"]);
    }

    #[test]
    fn leaping_ahead_changes_nothing() {
        for text in [
            "FREQ=DAILY;INTERVAL=7",
            "FREQ=WEEKLY;INTERVAL=3;BYDAY=MO,SU;WKST=SU",
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SA;BYSETPOS=-1",
            "FREQ=DAILY;BYMONTH=2,5;BYDAY=FR",
            "FREQ=HOURLY;INTERVAL=7;BYMINUTE=5,50",
        ] {
            let leaping = rule(text, "2025-01-01T09:00");
            let walking = RecurRule { period_seconds: None, ..leaping.clone() };
            for day in 0..120 {
                let start = DateTime::constant(2025, 4, 1, 0, 0, 0, 0)
                    .saturating_add(SignedDuration::from_hours(day * 31));
                let next = |rule: &RecurRule| {
                    rule.local_times_after(start, TIME_OF_DAY_DEFAULT).take(5).collect::<Vec<_>>()
                };
                assert_eq!(next(&leaping), next(&walking), "{text} after {start}");
            }
        }
    }

    #[test]
    fn rules_end_with_their_count_or_their_last_day() {
        check("FREQ=DAILY;COUNT=2", "2026-01-05", "2026-01-05T09:00", &["2026-01-06T09:00:00"]);
        check("FREQ=DAILY;COUNT=2", "2026-01-05", "2026-01-06T09:00", &[]);
        check("FREQ=DAILY;UNTIL=20260106", "2026-01-05", "2026-01-05T09:00", &["2026-01-06T09:00:00"]);
        check("FREQ=DAILY;UNTIL=20260106", "2026-01-05", "2026-01-06T09:00", &[]);
        check("FREQ=DAILY;UNTIL=20260106T085959", "2026-01-05", "2026-01-05T09:00", &[]);
        assert!(
            rule("FREQ=DAILY;UNTIL=20260106T120000Z", "2026-01-05")
                .is_within_end("2026-01-06T12:00Z".parse().unwrap())
        );
        assert!(
            !rule("FREQ=DAILY;UNTIL=20260106T120000Z", "2026-01-05")
                .is_within_end("2026-01-06T12:01Z".parse().unwrap())
        );
    }

    #[test]
    fn rules_that_cannot_be_read_are_refused() {
        check_refused("", "is not a part of a rule");
        check_refused("BYDAY=MO", "FREQ is missing");
        check_refused("FREQ=SOMETIMES", "cannot be read");
        check_refused("FREQ=SECONDLY", "too frequent");
        check_refused("FREQ=DAILY;FREQ=WEEKLY", "FREQ comes twice");
        check_refused("FREQ=DAILY;INTERVAL=0", "INTERVAL=0 is not allowed");
        check_refused("FREQ=DAILY;COUNT=0", "COUNT=0 is not allowed");
        check_refused("FREQ=DAILY;COUNT=4000000000", "is not allowed");
        check_refused("FREQ=DAILY;COUNT=1;UNTIL=20270101", "exclude each other");
        check_refused("FREQ=DAILY;UNTIL=20260230", "28 days");
        check_refused("FREQ=DAILY;UNTIL=tomorrow", "is not a date");
        check_refused("FREQ=DAILY;BYHOUR=24", "cannot be read");
        check_refused("FREQ=WEEKLY;BYMONTHDAY=1", "cannot be read");
        check_refused("FREQ=DAILY;BYCOLOUR=RED", "cannot be read");
        check_refused("FREQ=DAILY\nDTSTART:20200101", "is not a part of a rule");
    }

    #[test]
    fn rules_that_never_occur_are_refused() {
        check_refused("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never occurs");
        check_refused("FREQ=DAILY;UNTIL=20250101", "never occurs");
        check_refused("FREQ=HOURLY;INTERVAL=24;BYHOUR=5", "never occurs");
    }
}
