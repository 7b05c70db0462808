//! Rules in real zones, around changes of clocks.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;

fn rule(value: Value) -> Rule {
    Rule::parse(&value).unwrap()
}

fn next(rule: &Rule, after: &str, zone: &str) -> Option<Timestamp> {
    let zone = zone::parse(zone).unwrap();
    rule.next_after(after.parse().unwrap(), &zone, TIME_OF_DAY_DEFAULT).unwrap()
}

/// The occurrences that follow one another from `after` on.
fn check(value: Value, zone: &str, after: &str, expected: &[&str]) {
    let rule = rule(value.clone());
    let mut after = after.parse::<Timestamp>().unwrap().to_string();
    let mut found = Vec::new();
    for _ in expected {
        let Some(instant) = next(&rule, &after, zone) else { break };
        after = instant.to_string();
        found.push(instant);
    }
    let expected: Vec<Timestamp> = expected.iter().map(|text| text.parse().unwrap()).collect();
    assert_eq!(found, expected, "{value} in {zone}");
}

fn check_refused(value: Value, code: Code, field: Option<&str>, message: &str) {
    let error = Rule::parse(&value).expect_err("it should be refused");
    assert_eq!((error.code(), error.field_name()), (code, field), "{error}");
    assert!(error.message().contains(message), "`{}` should contain `{message}`", error.message());
}

#[test]
fn rules_read_what_they_write() {
    for value in [
        json!({"once": "2026-05-01T09:00:00"}),
        json!({"once": "2026-05-01"}),
        json!({"yearly": "03-15"}),
        json!({"cron": "0 9 * * 1-5"}),
        json!({"cron": "@daily"}),
        json!({"rrule": "FREQ=WEEKLY;BYDAY=MO", "from": "2026-01-05T09:00:00"}),
        json!({"rrule": "RRULE:FREQ=DAILY", "from": "2026-01-05"}),
    ] {
        let rule: Rule = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(serde_json::to_value(&rule).unwrap(), value);
        assert_eq!(Rule::parse(&rule.to_json()).unwrap(), rule);
    }
}

#[test]
fn rules_that_cannot_be_read_name_the_field() {
    let code = Code::InvalidSchedule;
    check_refused(json!("daily"), code, None, "is not an object");
    check_refused(json!({}), code, None, "names 0 rules");
    check_refused(json!({"yearly": "03-15", "cron": "@daily"}), code, None, "names 2 rules");
    check_refused(json!({"weekly": "MO"}), code, Some("weekly"), "is not a kind of recurrence");
    check_refused(json!({"yearly": 315}), code, Some("yearly"), "is not a text");
    check_refused(json!({"yearly": "02-30"}), code, Some("yearly"), "month 2 has 29 days");
    check_refused(json!({"cron": "0 9 30 2 *"}), code, Some("cron"), "never occurs");
    check_refused(json!({"cron": "0".repeat(501)}), code, Some("cron"), "longer than 500 bytes");
    check_refused(json!({"cron": "@daily", "from": "2026-01-05"}), code, Some("from"), "belongs to `rrule`");
    check_refused(json!({"rrule": "FREQ=DAILY"}), code, Some("from"), "needs the day");
    let code = Code::InvalidTime;
    check_refused(json!({"once": "2026-02-30T09:00"}), code, Some("once"), "28 days");
    check_refused(json!({"once": "2026-02-03T09:00Z"}), code, Some("once"), "has an offset");
    check_refused(json!({"once": "9999-12-31T09:00"}), code, Some("once"), "out of range");
    check_refused(json!({"rrule": "FREQ=DAILY", "from": "2026-02-30"}), code, Some("from"), "28 days");
}

#[test]
fn once_is_once() {
    let rule = json!({"once": "2026-05-01T09:00"});
    check(rule.clone(), "Europe/Berlin", "2026-01-01T00:00Z", &["2026-05-01T07:00Z"]);
    assert_eq!(next(&super::Rule::parse(&rule).unwrap(), "2026-05-01T07:00Z", "Europe/Berlin"), None);
    check(json!({"once": "2026-05-01"}), "Asia/Tokyo", "2026-01-01T00:00Z", &["2026-05-01T00:00Z"]);
}

#[test]
fn a_leap_day_is_28_february_in_other_years() {
    check(
        json!({"yearly": "02-29"}),
        "UTC",
        "2026-01-01T00:00Z",
        &["2026-02-28T09:00Z", "2027-02-28T09:00Z", "2028-02-29T09:00Z", "2029-02-28T09:00Z"],
    );
}

#[test]
fn a_birthday_follows_local_time() {
    check(json!({"yearly": "03-15"}), "America/New_York", "2025-03-15T13:00Z", &["2026-03-15T09:00-04:00"]);
    check(
        json!({"yearly": "12-30"}),
        "Pacific/Apia",
        "2010-12-31T00:00Z",
        &["2011-12-31T09:00+14:00", "2012-12-30T09:00+14:00"],
    );
}

#[test]
fn a_daily_time_inside_the_gap_moves_forward_once() {
    check(
        json!({"cron": "30 2 * * *"}),
        "America/New_York",
        "2026-03-07T12:00Z",
        &["2026-03-08T03:30-04:00", "2026-03-09T02:30-04:00"],
    );
    // Between the gap's end and where the skipped time has moved to, that time still lies ahead.
    check(
        json!({"cron": "30 2 * * *"}),
        "America/New_York",
        "2026-03-08T03:10-04:00",
        &["2026-03-08T03:30-04:00"],
    );
    check(
        json!({"cron": "0 0 * * *"}),
        "America/Havana",
        "2026-03-07T12:00Z",
        &["2026-03-08T01:00-04:00", "2026-03-09T00:00-04:00"],
    );
}

#[test]
fn a_time_that_comes_twice_is_the_first() {
    check(
        json!({"cron": "30 1 * * *"}),
        "America/New_York",
        "2026-10-31T12:00Z",
        &["2026-11-01T01:30-04:00", "2026-11-02T01:30-05:00"],
    );
    check(
        json!({"cron": "45 1 * * *"}),
        "America/New_York",
        "2026-11-01T01:30-05:00",
        &["2026-11-02T01:45-05:00"],
    );
}

#[test]
fn skipped_times_and_their_neighbours_give_each_instant_once_and_in_order() {
    check(
        json!({"cron": "*/30 * * * *"}),
        "America/New_York",
        "2026-03-08T01:30-05:00",
        &["2026-03-08T03:00-04:00", "2026-03-08T03:30-04:00", "2026-03-08T04:00-04:00"],
    );
    // 02:00 and 02:20 move to 02:30 and 02:50; 02:40 stays and lies between them.
    check(
        json!({"cron": "*/20 * * * *"}),
        "Australia/Lord_Howe",
        "2026-10-04T01:40+10:30",
        &[
            "2026-10-04T02:30+11:00",
            "2026-10-04T02:40+11:00",
            "2026-10-04T02:50+11:00",
            "2026-10-04T03:00+11:00",
        ],
    );
    check(
        json!({"cron": "0 12 * * *"}),
        "Pacific/Apia",
        "2011-12-29T00:00Z",
        &["2011-12-29T12:00-10:00", "2011-12-31T12:00+14:00", "2012-01-01T12:00+14:00"],
    );
}

#[test]
fn recurrence_rules_share_the_rule_for_changing_clocks() {
    let rule = json!({"rrule": "FREQ=DAILY", "from": "2026-03-01T02:30"});
    check(
        rule,
        "America/New_York",
        "2026-03-07T12:00Z",
        &["2026-03-08T03:30-04:00", "2026-03-09T02:30-04:00"],
    );
    let rule = json!({"rrule": "FREQ=DAILY;UNTIL=20260102T130000Z", "from": "2026-01-01"});
    check(rule.clone(), "America/New_York", "2026-01-01T00:00Z", &["2026-01-01T14:00Z"]);
    assert_eq!(next(&super::Rule::parse(&rule).unwrap(), "2026-01-01T14:00Z", "America/New_York"), None);
}

#[test]
fn the_end_of_the_calendar_is_an_end_and_not_a_failure() {
    for value in [
        json!({"yearly": "12-31"}),
        json!({"cron": "0 9 31 12 *"}),
        json!({"rrule": "FREQ=YEARLY", "from": "2026-12-31"}),
    ] {
        let rule = rule(value);
        for after in [Timestamp::MAX, Timestamp::MAX - SignedDuration::from_hours(1)] {
            let zone = zone::parse("Pacific/Apia").unwrap();
            assert_eq!(rule.next_after(after, &zone, TIME_OF_DAY_DEFAULT).unwrap(), None, "{rule}");
        }
    }
}

#[test]
fn fractions_of_a_second_do_not_repeat_an_occurrence() {
    check(json!({"cron": "0 9 * * *"}), "UTC", "2026-01-01T09:00:00.5Z", &["2026-01-02T09:00Z"]);
    check(json!({"cron": "0 9 * * *"}), "UTC", "2026-01-01T08:59:59.999999Z", &["2026-01-01T09:00Z"]);
}

#[test]
fn a_time_of_day_is_read() {
    assert_eq!(parse_time_of_day("09:00").unwrap(), TIME_OF_DAY_DEFAULT);
    for text in ["", "9", "24:00", "09:60", "T09:00", "morning", "2026-01-01T09:00"] {
        assert_eq!(parse_time_of_day(text).unwrap_err().code(), Code::InvalidTime, "{text}");
    }
}

const ZONES: [&str; 12] = [
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "America/Havana",
    "Asia/Beirut",
    "Asia/Kathmandu",
    "America/St_Johns",
    "Antarctica/Troll",
    "UTC",
];

/// An instant within two days of a change of clocks (or anywhere, in a zone that has none).
fn near_a_change() -> impl Strategy<Value = (&'static str, Timestamp)> {
    let seconds = Timestamp::from_second(946_684_800).unwrap().as_second()..4_102_444_800;
    (prop::sample::select(&ZONES[..]), seconds, -172_800i64..172_800).prop_map(|(name, second, away)| {
        let instant = Timestamp::from_second(second).unwrap();
        let zone = zone::parse(name).unwrap();
        let change = zone.following(instant).next().map_or(instant, |change| change.timestamp());
        (name, change + SignedDuration::from_secs(away))
    })
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let yearly =
        (1i8..=12, 1i8..=31).prop_filter_map("a day", |(m, d)| Yearly::new(m, d).ok().map(Rule::Yearly));
    let often = (1u8..60, 0u8..24)
        .prop_map(|(step, hour)| rule(json!({"cron": format!("*/{step} {hour}-23 * * *")})));
    let daily =
        (0u8..60, 0u8..5).prop_map(|(minute, hour)| rule(json!({"cron": format!("{minute} {hour} * * *")})));
    let seconds = (0u8..60).prop_map(|s| rule(json!({"cron": format!("{s} */7 * * * *")})));
    let weekly = (1u8..4, 0u8..4, 0u8..60).prop_map(|(interval, hour, minute)| {
        let text = format!("FREQ=WEEKLY;INTERVAL={interval};BYDAY=SA,SU,WE;BYHOUR={hour};BYMINUTE={minute}");
        rule(json!({"rrule": text, "from": "1999-06-01"}))
    });
    let monthly = (-31i8..=-1).prop_map(|day| {
        rule(json!({"rrule": format!("FREQ=MONTHLY;BYMONTHDAY={day}"), "from": "1999-01-01T00:15"}))
    });
    prop_oneof![yearly, often, daily, seconds, weekly, monthly]
}

fn any_from() -> impl Strategy<Value = String> {
    (0i64..40_000).prop_map(|days| {
        let first = DateTime::constant(1990, 1, 1, 0, 17, 0, 0);
        first.saturating_add(SignedDuration::from_hours(days * 23)).to_string()
    })
}

/// Rules from all parts that there are, whether they make sense together or not.
fn any_rrule() -> impl Strategy<Value = String> {
    let frequency = prop::sample::select(&["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY"][..]);
    let part = prop_oneof![
        (1u32..2_000).prop_map(|n| format!("INTERVAL={n}")),
        (1u32..500).prop_map(|n| format!("COUNT={n}")),
        (2_000u32..2_100).prop_map(|year| format!("UNTIL={year}0615")),
        (1u8..=12, 1u8..=12).prop_map(|(a, b)| format!("BYMONTH={a},{b}")),
        (-31i8..=31).prop_map(|day| format!("BYMONTHDAY={day}")),
        (-366i16..=366).prop_map(|day| format!("BYYEARDAY={day}")),
        (-53i8..=53).prop_map(|week| format!("BYWEEKNO={week}")),
        prop::sample::select(&["MO", "TU,SU", "1FR", "-1SA", "5WE", "WE,+2TH"][..])
            .prop_map(|d| format!("BYDAY={d}")),
        (0u8..24, 0u8..24).prop_map(|(a, b)| format!("BYHOUR={a},{b}")),
        (0u8..60).prop_map(|minute| format!("BYMINUTE={minute}")),
        (0u8..60).prop_map(|second| format!("BYSECOND={second}")),
        (-5i8..5).prop_map(|n| format!("BYSETPOS={n}")),
        prop::sample::select(&["MO", "SU"][..]).prop_map(|day| format!("WKST={day}")),
    ];
    (frequency, prop::collection::vec(part, 0..4))
        .prop_map(|(f, parts)| format!("FREQ={f};{}", parts.join(";")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn occurrences_rise_and_are_what_the_rule_says((name, after) in near_a_change(), rule in any_rule()) {
        let zone = zone::parse(name).unwrap();
        let mut last = after;
        for _ in 0..8 {
            let Some(instant) = rule.next_after(last, &zone, TIME_OF_DAY_DEFAULT).unwrap() else { break };
            prop_assert!(instant > last, "{rule} in {name}: {instant} is not after {last}");
            // The clock shows what the rule says, or what it says was skipped and has moved here.
            let shown = zone.to_datetime(instant);
            let day_before = shown.saturating_sub(SignedDuration::from_hours(25));
            let is_named = rule
                .local_times_after(day_before, TIME_OF_DAY_DEFAULT)
                .take_while(|local| *local <= shown)
                .any(|local| zone::resolve(local, &zone).unwrap() == instant);
            prop_assert!(is_named, "{rule} in {name}: {shown} is none of its times");
            last = instant;
        }
    }

    #[test]
    fn no_occurrence_is_passed_over((name, after) in near_a_change(), rule in any_rule()) {
        let zone = zone::parse(name).unwrap();
        let next = rule.next_after(after, &zone, TIME_OF_DAY_DEFAULT).unwrap();
        let shown = zone.to_datetime(after);
        let expected = rule
            .local_times_after(shown.saturating_sub(SignedDuration::from_hours(30)), TIME_OF_DAY_DEFAULT)
            .take_while(|local| *local < shown.saturating_add(SignedDuration::from_hours(24 * 800)))
            .take(4_000)
            .map(|local| zone::resolve(local, &zone).unwrap())
            .filter(|instant| *instant > after)
            .min();
        prop_assert_eq!(next, expected, "{} in {} after {}", rule, name, after);
    }

    #[test]
    fn a_yearly_rule_occurs_once_for_each_year((name, after) in near_a_change(), month in 1i8..=12, day in 1i8..=31) {
        prop_assume!(Yearly::new(month, day).is_ok());
        let rule = Rule::Yearly(Yearly::new(month, day).unwrap());
        let zone = zone::parse(name).unwrap();
        let mut last = rule.next_after(after, &zone, TIME_OF_DAY_DEFAULT).unwrap().unwrap();
        for _ in 0..10 {
            let next = rule.next_after(last, &zone, TIME_OF_DAY_DEFAULT).unwrap().unwrap();
            prop_assert_eq!(zone.to_datetime(next).year(), zone.to_datetime(last).year() + 1);
            last = next;
        }
    }

    #[test]
    fn no_recurrence_rule_panics_or_goes_back((name, after) in near_a_change(), text in any_rrule(), from in any_from()) {
        let zone = zone::parse(name).unwrap();
        let Ok(rule) = Rule::parse(&json!({"rrule": text, "from": from})) else { return Ok(()) };
        let mut last = after;
        for _ in 0..3 {
            let Some(next) = rule.next_after(last, &zone, TIME_OF_DAY_DEFAULT).unwrap() else { break };
            prop_assert!(next > last, "{rule} in {name}: {next} is not after {last}");
            last = next;
        }
    }

    #[test]
    fn no_text_makes_a_rule_panic(cron in "[0-9*/,\\-LW#? A-Z@]{0,24}", parts in "(FREQ=(DAILY|HOURLY|YEARLY|MONTHLY|WEEKLY);)?[A-Z0-9=;,+\\-]{0,24}") {
        let _ = Rule::parse(&json!({"cron": cron}));
        let _ = Rule::parse(&json!({"rrule": parts, "from": "2026-01-05"}));
    }
}
