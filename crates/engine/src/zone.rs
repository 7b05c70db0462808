//! Time zones by IANA name, and what a local time means where clocks change.
//!
//! Not for: deciding which local times a rule names (`recurrence` does that).

use std::sync::LazyLock;

use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use posthaste_base::{Code, Error};

/// The zones that are built into the binary, so that all nodes agree whatever their systems have installed.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// No zone has ever moved its clocks by more than a day (Samoa and Kwajalein skipped one).
const GAP_HOURS_MAX: i64 = 25;

/// Reads an IANA name, without regard to case. An unknown one is refused with the nearest real name.
pub fn parse(name: &str) -> Result<TimeZone, Error> {
    ZONES.get(name).map_err(|_| {
        let error = Error::new(Code::UnknownZone, format!("there is no time zone `{}`", shortened(name)))
            .expected("an IANA name such as `Europe/Berlin`");
        match nearest(name) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None if looks_like_offset(name) => error.hint(
                "an offset says nothing about daylight saving: name the place, or give the time as an instant",
            ),
            None => error,
        }
    })
}

/// The IANA name of a zone that [`parse`] gave.
pub fn name(zone: &TimeZone) -> &str {
    zone.iana_name().unwrap_or("UTC")
}

/// The instant of a local time (requirements, decision 22).
///
/// A local time that a change of clocks skips moves forward by what was skipped: 02:30 becomes 03:30 where an
/// hour is missing, and a skipped day becomes the next one. A local time that comes twice is the first.
pub fn resolve(local: DateTime, zone: &TimeZone) -> Result<Timestamp, Error> {
    // jiff calls this rule "compatible", as RFC 5545 and Temporal do.
    zone.to_ambiguous_timestamp(local).compatible().map_err(|error| {
        Error::new(Code::InvalidTime, format!("the local time {local} is out of range"))
            .expected("a time in the years 1 to 9998")
            .caused_by(error)
    })
}

/// The local time after which a rule's local times may still resolve to instants later than `after`.
///
/// This is the local time of `after`, except shortly after a gap: there, a skipped local time that is earlier
/// by the clock still lies ahead, since it has moved forward.
pub(crate) fn search_start(after: Timestamp, zone: &TimeZone) -> DateTime {
    let local = zone.to_datetime(after);
    let earliest = after.saturating_sub(SignedDuration::from_hours(GAP_HOURS_MAX)).unwrap_or(Timestamp::MIN);
    let until = after.saturating_add(SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MAX);
    let mut start = local;
    for change in zone.preceding(until).take_while(|change| change.timestamp() > earliest) {
        let before = zone.to_offset(change.timestamp() - SignedDuration::from_nanos(1));
        let skipped_seconds = i64::from(change.offset().seconds()) - i64::from(before.seconds());
        if skipped_seconds > 0 {
            let skipped = SignedDuration::from_secs(skipped_seconds);
            let gap_start = before.to_datetime(change.timestamp());
            let gap_end = change.offset().to_datetime(change.timestamp());
            let still_ahead = local.saturating_sub(skipped);
            if still_ahead < gap_end {
                // One nanosecond before the gap, so that its first local time is still searched.
                let just_before = gap_start.saturating_sub(SignedDuration::from_nanos(1));
                start = start.min(still_ahead.max(just_before));
            }
        }
    }
    start
}

fn looks_like_offset(name: &str) -> bool {
    let rest = name.trim_start_matches("UTC").trim_start_matches("GMT");
    rest.starts_with(['+', '-']) && rest.contains(|c: char| c.is_ascii_digit())
}

/// The real name that is most like this one, or has it as its place (`Berlin`, `new york`).
fn nearest(name: &str) -> Option<String> {
    if looks_like_offset(name) || name.is_empty() || name.len() > 60 {
        return None;
    }
    let wanted = name.trim().to_lowercase().replace(' ', "_");
    let score = |candidate: &str| {
        let candidate = candidate.to_lowercase();
        let place = candidate.rsplit('/').next().unwrap_or(&candidate);
        let whole = strsim::normalized_damerau_levenshtein(&candidate, &wanted);
        let by_place = strsim::normalized_damerau_levenshtein(place, &wanted);
        let place_of_wanted = wanted.rsplit('/').next().unwrap_or(&wanted);
        // The right place on the wrong continent is a likely mistake too.
        let by_both_places = if place == place_of_wanted { 0.9 } else { 0.0 };
        whole.max(by_place).max(by_both_places)
    };
    ZONES
        .available()
        .map(|candidate| (score(candidate.as_str()), candidate))
        .filter(|(score, _)| *score >= 0.6)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate.as_str().to_owned())
}

fn shortened(name: &str) -> String {
    name.chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(zone: &str, local: &str, expected: &str) {
        let zone = parse(zone).unwrap();
        let found = resolve(local.parse().unwrap(), &zone).unwrap();
        let expected: Timestamp = expected.parse().unwrap();
        assert_eq!(found, expected, "{local} in {}: {}", name(&zone), found.to_zoned(zone.clone()));
    }

    fn check_unknown(zone: &str, hint: &str) {
        let error = parse(zone).expect_err("it should be refused");
        assert_eq!(error.code(), Code::UnknownZone);
        assert!(error.next_step().contains(hint), "`{}` should contain `{hint}`", error.next_step());
    }

    #[test]
    fn names_are_read_without_regard_to_case() {
        for (text, real) in
            [("Europe/Berlin", "Europe/Berlin"), ("america/new_york", "America/New_York"), ("UTC", "UTC")]
        {
            assert_eq!(name(&parse(text).unwrap()), real);
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest_real_one() {
        check_unknown("Europe/Berln", "`Europe/Berlin`");
        check_unknown("Europa/Berlin", "`Europe/Berlin`");
        check_unknown("Berlin", "`Europe/Berlin`");
        check_unknown("New York", "`America/New_York`");
        check_unknown("Amercia/Sao_Paulo", "`America/Sao_Paulo`");
        check_unknown("+02:00", "offset");
        check_unknown("UTC+2", "offset");
        check_unknown("", "IANA");
        check_unknown("Middle/Earth and everything beyond the western sea, and more", "IANA");
        check_unknown("../../etc/passwd", "");
        check_unknown("Europe/Berlin\0", "");
    }

    #[test]
    fn an_hour_that_is_missing_moves_forward_by_an_hour() {
        check("America/New_York", "2026-03-08T01:59:59", "2026-03-08T06:59:59Z");
        check("America/New_York", "2026-03-08T02:00", "2026-03-08T07:00Z");
        check("America/New_York", "2026-03-08T02:30", "2026-03-08T03:30-04:00");
        check("America/New_York", "2026-03-08T03:00", "2026-03-08T07:00Z");
        check("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T03:30+02:00");
    }

    #[test]
    fn an_hour_that_comes_twice_is_the_first() {
        check("America/New_York", "2026-11-01T01:30", "2026-11-01T01:30-04:00");
        check("America/New_York", "2026-11-01T02:00", "2026-11-01T02:00-05:00");
        check("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T02:30+02:00");
    }

    #[test]
    fn lord_howe_shifts_by_half_an_hour() {
        check("Australia/Lord_Howe", "2026-10-04T02:10", "2026-10-04T02:40+11:00");
        check("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-05T01:45+11:00");
    }

    #[test]
    fn casablanca_changes_around_ramadan() {
        check("Africa/Casablanca", "2026-03-22T02:30", "2026-03-22T03:30+01:00");
        check("Africa/Casablanca", "2026-02-15T02:30", "2026-02-15T02:30+01:00");
    }

    #[test]
    fn sao_paulo_skipped_midnight_until_2018_and_has_no_changes_now() {
        check("America/Sao_Paulo", "2018-11-04T00:00", "2018-11-04T01:00-02:00");
        check("America/Sao_Paulo", "2018-02-17T23:30", "2018-02-17T23:30-02:00");
        check("America/Sao_Paulo", "2026-11-01T00:00", "2026-11-01T00:00-03:00");
    }

    #[test]
    fn midnight_is_missing_in_havana_and_beirut() {
        check("America/Havana", "2026-03-08T00:00", "2026-03-08T01:00-04:00");
        check("America/Havana", "2026-11-01T00:30", "2026-11-01T00:30-04:00");
        check("Asia/Beirut", "2026-03-29T00:15", "2026-03-29T01:15+03:00");
    }

    #[test]
    fn apia_skipped_a_day_and_so_do_its_times() {
        check("Pacific/Apia", "2011-12-29T23:59", "2011-12-29T23:59-10:00");
        check("Pacific/Apia", "2011-12-30T09:00", "2011-12-31T09:00+14:00");
        check("Pacific/Apia", "2011-12-31T09:00", "2011-12-31T09:00+14:00");
    }

    #[test]
    fn times_at_the_end_of_the_calendar_are_errors() {
        let zone = parse("America/New_York").unwrap();
        let error = resolve(DateTime::MAX, &zone).unwrap_err();
        assert_eq!(error.code(), Code::InvalidTime);
    }

    #[test]
    fn a_search_starts_inside_the_gap_shortly_after_it() {
        let zone = parse("America/New_York").unwrap();
        let start = |after: &str| search_start(after.parse().unwrap(), &zone).to_string();
        assert_eq!(start("2026-03-08T06:59Z"), "2026-03-08T01:59:00");
        assert_eq!(start("2026-03-08T07:10Z"), "2026-03-08T02:10:00");
        assert_eq!(start("2026-03-08T08:00Z"), "2026-03-08T04:00:00");
        assert_eq!(start("2026-11-01T06:30Z"), "2026-11-01T01:30:00");
    }
}
