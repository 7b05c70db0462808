//! Statements that take most of the time, that take long each, and that take long for a page of rows.
//!
//! Of this database only, and nothing is reset. Not for: which index would help (see `missing_index`).

use posthaste_report::{Confidence, Finding, Object, Severity};

use super::statements::{Kind, SQL, Statement, of_application};
use crate::doctor::{
    Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, counted, duration, percent, shortened,
};

/// What fits on a page that somebody waits for.
const PAGE_ROWS: f64 = 100.0;
/// A share of all time from which on one statement is worth a look, however quick it is.
const TOTAL_SHARE: f64 = 0.25;
const TOTAL_MS_MIN: f64 = 60_000.0;
const FINDINGS_MAX: usize = 25;

pub(crate) const CHECK: Check = Check {
    code: "slow-query",
    title: "statements by total time, by mean time and for a page of rows",
    needs: Needs {
        extension: Some("pg_stat_statements"),
        hidden: Some("the texts of other roles' statements are hidden"),
        ..Needs::NOTHING
    },
    judge: Judge::Rows(SQL, judge),
};

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let (statements, hidden) = of_application(rows, facts)?;
    let whole_ms: f64 = statements.iter().map(|one| one.total_ms).sum();
    let mut outcome = Outcome::line(match statements.first() {
        None => "no statement of an application was counted".to_owned(),
        Some(first) => format!(
            "{} took {}, the costliest {} of it",
            counted(statements.len(), "statement"),
            duration(whole_ms / 1_000.0),
            percent(first.total_ms, whole_ms)
        ),
    });
    if hidden > 0 {
        outcome
            .skipped
            .push(format!("the texts of {} of other roles are hidden", counted(hidden, "statement")));
    }
    let mut findings: Vec<Finding> =
        statements.iter().filter_map(|one| finding(one, whole_ms, facts)).collect();
    findings.sort_by_key(|finding| (finding.severity, -finding.counts["total_ms"]));
    let more = findings.len().saturating_sub(FINDINGS_MAX);
    if more > 0 {
        outcome.skipped.push(format!("{} beyond the worst {FINDINGS_MAX}", counted(more, "slow statement")));
    }
    findings.truncate(FINDINGS_MAX);
    outcome.findings = findings;
    Ok(outcome)
}

fn finding(one: &Statement, whole_ms: f64, facts: &Facts) -> Option<Finding> {
    let limits = &facts.thresholds;
    let mean_ms = one.mean_ms();
    let is_page = one.kind() == Kind::Select && one.rows_a_call() <= PAGE_ROWS;
    let share = one.total_ms / whole_ms.max(f64::MIN_POSITIVE);
    let is_often = one.calls >= limits.slow_calls_min;
    let (severity, message) = if is_page && is_often && mean_ms >= limits.slow_mean_ms {
        let severity = if mean_ms >= 10.0 * limits.slow_mean_ms { Severity::High } else { Severity::Medium };
        let rows = one.rows_a_call();
        (severity, format!("a page of {rows:.0} rows takes {} ({})", duration(mean_ms / 1_000.0), calls(one)))
    } else if share >= TOTAL_SHARE && one.total_ms >= TOTAL_MS_MIN {
        let severity = if share >= 0.5 { Severity::Medium } else { Severity::Low };
        let part = percent(one.total_ms, whole_ms);
        (
            severity,
            format!(
                "one statement takes {part} of all time ({}, {} each)",
                calls(one),
                duration(mean_ms / 1_000.0)
            ),
        )
    } else if is_often && mean_ms >= 10.0 * limits.slow_mean_ms {
        (
            Severity::Low,
            format!("a statement takes {} each time ({})", duration(mean_ms / 1_000.0), calls(one)),
        )
    } else {
        return None;
    };
    let age_s = match &facts.baseline {
        Some(before) => Some(facts.now_s - before.at_s),
        None => one.since_s.or(facts.counters_age_s),
    };
    let blocks = one.blocks_hit + one.blocks_read;
    let a_row = blocks as f64 / one.rows.max(1) as f64;
    let mut finding = Finding::new(CHECK.code, severity, message)
        .about(Object {
            kind: "statement".into(),
            name: one.query_id.map(|id| id.to_string()),
            ..Object::default()
        })
        .count("calls", one.calls)
        .count("total_ms", one.total_ms as i64)
        .count("mean_ms", mean_ms as i64)
        .count("rows", one.rows)
        .count("blocks", blocks)
        .evidence_aged(shortened(one.text(), 300), age_s)
        .evidence(format!(
            "{} of all time, {a_row:.0} blocks read for each row, {} of them from memory",
            percent(one.total_ms, whole_ms),
            percent(one.blocks_hit as f64, blocks as f64)
        ))
        .sure(Confidence::Certain);
    if let Some(max_ms) = one.max_ms {
        finding = finding.evidence(format!("at most {}", duration(max_ms / 1_000.0)));
    }
    if one.temp_blocks_written.unwrap_or_default() > 0 {
        finding = finding.evidence("it writes temporary files: a sort or a hash does not fit work_mem");
    }
    Some(finding.remedy(
        "look at its plan with real values (EXPLAIN with analyze and buffers); missing-index proposes what its plan asks for",
        Vec::new(),
    ))
}

fn calls(one: &Statement) -> String {
    counted(one.calls, "call")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::statements::row;
    use super::super::tests::{facts, judged};
    use super::*;

    fn check(rows: Value, expected: &[Severity]) {
        let found = judged(&CHECK, &facts(), rows).findings;
        assert_eq!(found.iter().map(|one| one.severity).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_page_is_slow_from_a_tenth_of_a_second() {
        check(json!([row(1, "select * from t limit $1", 100, 40.0, 2_500)]), &[]);
        check(json!([row(1, "select * from t limit $1", 100, 140.0, 2_500)]), &[Severity::Medium]);
        // Three calls of three seconds are a page that somebody waits for.
        check(json!([row(1, "select * from t limit $1", 3, 3_000.0, 75)]), &[Severity::High]);
        check(json!([row(1, "select * from t", 1, 3_000.0, 75)]), &[]);
    }

    #[test]
    fn a_report_may_take_its_time_and_a_quick_one_may_take_most() {
        check(json!([row(1, "select * from t", 5, 3_000.0, 5_000_000)]), &[Severity::Low]);
        let quick = row(2, "update t set a = $1", 1_000_000, 1.0, 1_000_000);
        check(json!([quick, row(3, "select 1", 1_000, 0.1, 1_000)]), &[Severity::Medium]);
    }

    #[test]
    fn monitoring_is_left_out() {
        check(json!([row(1, "select * from pg_stat_activity", 500, 300.0, 500)]), &[]);
        check(json!([row(1, "vacuum t", 500, 300.0, 0)]), &[]);
    }
}
