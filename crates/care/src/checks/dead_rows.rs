//! Tables whose dead rows autovacuum does not keep up with, TOAST too.
//!
//! Dead rows are not bloat: after VACUUM there are none of the first, and all of the second. Not for: that
//! (see `table_bloat`).

use posthaste_report::{Confidence, Finding, Severity};

use super::tables::{SQL, Table};
use crate::doctor::{
    Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, counted, duration, percent, remedy, table,
};

pub(crate) const CHECK: Check = Check {
    code: "dead-rows",
    title: "dead rows that VACUUM does not keep up with",
    needs: Needs { primary: true, ..Needs::NOTHING },
    judge: Judge::Rows(SQL, judge),
};

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let tables: Vec<Table> = rows.of()?;
    let (live, dead) = tables.iter().fold((0, 0), |(live, dead), one| (live + one.live, dead + one.dead));
    let mut outcome = Outcome::line(format!(
        "{} of the rows of {} are dead",
        percent(dead as f64, (live + dead) as f64),
        counted(tables.len(), "table")
    ));
    for one in &tables {
        outcome.findings.extend(finding(one, facts, one.live, one.dead, ""));
        outcome.findings.extend(finding(one, facts, one.toast_live, one.toast_dead, "the TOAST table of "));
    }
    Ok(outcome)
}

fn finding(one: &Table, facts: &Facts, live: i64, dead: i64, of: &str) -> Option<Finding> {
    let limits = &facts.thresholds;
    let share = dead as f64 / (live + dead).max(1) as f64;
    if dead < limits.dead_rows_min || share < limits.dead_share {
        return None;
    }
    let severity = match (share, dead) {
        (share, dead) if share >= 0.5 && dead >= 1_000_000 => Severity::High,
        _ => Severity::Medium,
    };
    let message = format!(
        "{} of {of}{} are dead: {}, against {} alive",
        percent(dead as f64, (live + dead) as f64),
        one.table_name,
        counted(dead, "row"),
        counted(live, "row")
    );
    let vacuumed = one.vacuumed_s.map_or_else(
        || "no VACUUM since the counters were reset".to_owned(),
        |age_s| format!("the last VACUUM was {} ago", duration(age_s)),
    );
    let threshold = threshold(one, facts);
    let why = if Table::is_switched_off(&one.options) {
        "autovacuum is switched off for this table".to_owned()
    } else if !facts.is_on("autovacuum") && facts.setting("autovacuum").is_some() {
        "autovacuum is switched off".to_owned()
    } else if (dead as f64) < threshold {
        format!("autovacuum begins at {} here", counted(threshold as i64, "dead row"))
    } else {
        format!(
            "autovacuum should have begun at {} and does not keep up",
            counted(threshold as i64, "dead row")
        )
    };
    Some(
        Finding::new(CHECK.code, severity, message)
            .about(table(&one.schema, &one.table_name))
            .count("dead", dead)
            .count("live", live)
            .sure(Confidence::Likely)
            .evidence_aged(vacuumed, one.vacuumed_s)
            .evidence(why)
            .remedy(
                "end what holds the vacuum horizon (vacuum-horizon), then VACUUM; give the table a smaller \
                 autovacuum_vacuum_scale_factor",
                vec![remedy::vacuum(one.oid, &one.on(), facts.block_bytes)],
            ),
    )
}

/// From how many dead rows on autovacuum takes the table.
fn threshold(one: &Table, facts: &Facts) -> f64 {
    let number = |name: &str, default: f64| {
        let own = Table::option(&one.options, name).and_then(|value| value.parse().ok());
        own.or_else(|| facts.number(name)).unwrap_or(default)
    };
    number("autovacuum_vacuum_threshold", 50.0)
        + number("autovacuum_vacuum_scale_factor", 0.2) * one.tuples.max(0.0)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tables::row;
    use super::super::tests::{facts, judged};
    use super::*;

    fn check(more: Value, expected: &[Severity]) {
        let found = judged(&CHECK, &facts(), json!([row("t", more.clone())])).findings;
        assert_eq!(found.iter().map(|one| one.severity).collect::<Vec<_>>(), expected, "{more}");
    }

    #[test]
    fn both_the_number_and_the_share_count() {
        check(json!({"live": 100, "dead": 900}), &[]);
        check(json!({"live": 1_000_000, "dead": 20_000}), &[]);
        check(json!({"live": 40_000, "dead": 20_000}), &[Severity::Medium]);
        check(json!({"live": 1_000_000, "dead": 2_000_000}), &[Severity::High]);
        check(json!({"toast_live": 10_000, "toast_dead": 20_000}), &[Severity::Medium]);
    }

    #[test]
    fn the_cause_is_named() {
        let more = json!({"live": 10_000, "dead": 20_000, "options": ["autovacuum_enabled=off"]});
        let found = judged(&CHECK, &facts(), json!([row("t", more)])).findings;
        assert_eq!(found[0].evidence[1].text, "autovacuum is switched off for this table");
    }
}
