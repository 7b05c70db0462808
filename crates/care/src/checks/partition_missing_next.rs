//! Tables partitioned by time whose last partition ends soon, or has ended.
//!
//! Not for: gaps before it (see `partition_gap`).

use posthaste_report::{Finding, Severity, Step};

use super::bounds::{Point, Range, Row, SQL, by_parent, ranges, written};
use crate::doctor::{
    Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, counted, duration, remedy, table,
};

/// A table whose last partition ended so many of its lengths ago is not written any more.
const RETIRED: f64 = 6.0;

pub(crate) const CHECK: Check = Check {
    code: "partition-missing-next",
    title: "time partitions that end soon",
    needs: Needs::NOTHING,
    judge: Judge::Rows(SQL, judge),
};

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let rows: Vec<Row> = rows.of()?;
    let mut outcome = Outcome::default();
    let (mut looked, mut soonest) = (0, f64::INFINITY);
    for of_parent in by_parent(&rows).values() {
        let Some(first) = of_parent.first().filter(|row| row.is_time()) else { continue };
        let Some(ranges) = ranges(of_parent).filter(|ranges| !ranges.is_empty()) else { continue };
        let last = &ranges[ranges.len() - 1];
        let (Point::At(from, _), Point::At(to, _)) = (&last.from, &last.to) else { continue };
        looked += 1;
        soonest = soonest.min(to - facts.now_s);
        outcome.findings.extend(finding(first, of_parent, last, *from, *to, facts));
    }
    outcome.line = match soonest {
        soonest if soonest.is_infinite() => "no table is partitioned by time".to_owned(),
        soonest if soonest < 0.0 => {
            format!(
                "of {}, one ended {} ago",
                counted(looked, "table partitioned by time"),
                duration(-soonest)
            )
        }
        soonest => format!(
            "the partitions of {} last for {} at least",
            counted(looked, "table partitioned by time"),
            duration(soonest)
        ),
    };
    Ok(outcome)
}

fn finding(
    parent: &Row,
    of_parent: &[&Row],
    last: &Range,
    from: f64,
    to: f64,
    facts: &Facts,
) -> Option<Finding> {
    let length = to - from;
    let left = to - facts.now_s;
    if left >= length || left < -RETIRED * length {
        return None;
    }
    let is_written = last.inserted > 0;
    let falls = if parent.has_default { "fall into the default partition" } else { "are refused" };
    let (severity, message) = if left <= 0.0 {
        let severity = if parent.has_default { Severity::High } else { Severity::Critical };
        let severity = if is_written { severity } else { Severity::Medium };
        (
            severity,
            format!(
                "the last partition of {} ended {} ago: new rows {falls}",
                parent.parent_name,
                duration(-left)
            ),
        )
    } else {
        let severity = if left < 0.25 * length { Severity::High } else { Severity::Medium };
        (
            severity,
            format!(
                "the last partition of {} ends in {}, and there is none after it: rows then {falls}",
                parent.parent_name,
                duration(left)
            ),
        )
    };
    let steps = next(parent, of_parent, last, to, length);
    Some(
        Finding::new(CHECK.code, severity, message)
            .about(table(&parent.parent_schema, &parent.parent_name))
            .count("seconds_left", left as i64)
            .evidence(format!("{} ends at {}", last.name, last.to.text()))
            .evidence_aged(format!("{} into it", counted(last.inserted, "row")), facts.counters_age_s)
            .remedy("make the next partitions, and have a schedule that makes them ahead", steps),
    )
}

/// One more of the same kind: a calendar month or year where the last one is that, else of the same length.
fn next(parent: &Row, of_parent: &[&Row], last: &Range, to: f64, length: f64) -> Vec<Step> {
    let Some(end) = end_of_next(to, length) else { return Vec::new() };
    let Some(end) = written(end, parent.key_type.as_deref().unwrap_or_default()) else { return Vec::new() };
    let taken: Vec<String> = of_parent.iter().filter_map(|row| row.name.clone()).collect();
    let plain: String = last.to.text().chars().filter(char::is_ascii_digit).take(8).collect();
    let name = remedy::new_name(&parent.parent_name, &[plain], "next", &taken);
    let default = of_parent.iter().find(|row| row.is_default == Some(true)).and_then(|row| row.child());
    let bound = format!("for values from ({}) to ({end})", last.to.text());
    vec![remedy::create_partition(&parent.parent(), &name, &bound, default.as_ref())]
}

fn end_of_next(to: f64, length: f64) -> Option<f64> {
    use jiff::{Span, Timestamp, tz::TimeZone};
    let start = Timestamp::from_second(to as i64).ok()?.to_zoned(TimeZone::UTC);
    let span = match length / 86_400.0 {
        days if (28.0..=31.0).contains(&days) && start.day() == 1 => Span::new().months(1),
        days if (89.0..=92.0).contains(&days) && start.day() == 1 => Span::new().months(3),
        days if (365.0..=366.0).contains(&days) && start.day_of_year() == 1 => Span::new().years(1),
        _ => Span::new().seconds(length as i64),
    };
    Some(start.checked_add(span).ok()?.timestamp().as_second() as f64)
}

#[cfg(test)]
mod tests {
    use posthaste_report::Action;
    use serde_json::json;

    use super::super::bounds::row;
    use super::super::tests::{facts, judged};
    use super::*;

    const NOVEMBER_2026: f64 = 1_793_491_200.0;

    fn check(now_s: f64, has_default: bool, expected: Option<Severity>) -> Vec<Finding> {
        let mut facts = facts();
        facts.now_s = now_s;
        let mut row = row(2, "a", "FOR VALUES FROM ('2026-11-01 00:00:00+00') TO ('2026-12-01 00:00:00+00')");
        row["has_default"] = json!(has_default);
        let found = judged(&CHECK, &facts, json!([row])).findings;
        assert_eq!(found.first().map(|one| one.severity), expected, "{now_s}");
        found
    }

    #[test]
    fn the_end_comes_nearer_and_passes() {
        let day = 86_400.0;
        check(NOVEMBER_2026 - day, false, None);
        check(NOVEMBER_2026 + 10.0 * day, false, Some(Severity::Medium));
        check(NOVEMBER_2026 + 25.0 * day, false, Some(Severity::High));
        check(NOVEMBER_2026 + 40.0 * day, false, Some(Severity::Critical));
        check(NOVEMBER_2026 + 40.0 * day, true, Some(Severity::High));
        check(NOVEMBER_2026 + 400.0 * day, true, None);
    }

    #[test]
    fn the_next_month_is_a_whole_one() {
        let found = check(NOVEMBER_2026 + 10.0, false, Some(Severity::Medium));
        let Action::Transaction { statements } = &found[0].remedy.as_ref().unwrap().steps[0].action else {
            panic!("{found:?}")
        };
        let bound = "from ('2026-12-01 00:00:00+00') to ('2027-01-01 00:00:00+00')";
        assert!(statements[0].ends_with(bound), "{statements:?}");
    }
}
