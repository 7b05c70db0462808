//! Whether damaged pages would be noticed, and whether some were.
//!
//! Not for: damage in indexes (see `unique_index_broken`).

use posthaste_report::{Finding, Object, Severity};
use serde::Deserialize;

use crate::doctor::{Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, counted};

pub(crate) const CHECK: Check = Check {
    code: "checksums-off",
    title: "data checksums, and pages that failed theirs",
    needs: Needs::NOTHING,
    judge: Judge::Rows(include_str!("../../sql/doctor/database.sql"), judge),
};

#[derive(Deserialize)]
struct Row {
    checksum_failures: Option<i64>,
    checksum_failure_s: Option<f64>,
}

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let row: Row = rows.one()?;
    let is_on = facts.is_on("data_checksums");
    let failures = row.checksum_failures.unwrap_or_default();
    let mut outcome = Outcome::line(match is_on {
        true => format!("data checksums are on, with {}", counted(failures, "failure")),
        false => "data checksums are off".to_owned(),
    });
    let object = Object { kind: "setting".into(), name: Some("data_checksums".into()), ..Object::default() };
    if failures > 0 {
        let message =
            format!("{} read that failed the checksum: data on the disk is damaged", pages(failures));
        outcome.findings.push(
            Finding::new(CHECK.code, Severity::Critical, message)
                .about(object)
                .count("failures", failures)
                .evidence_aged("counted by the server in this database", row.checksum_failure_s)
                .remedy(
                    "take a copy of the files before anything else, find the tables in the log, and restore them from \
                     a backup that verifies; then replace the disk",
                    Vec::new(),
                ),
        );
    } else if !is_on {
        outcome.findings.push(
            Finding::new(
                CHECK.code,
                Severity::Low,
                "data checksums are off: damage by the disk goes unnoticed",
            )
            .about(object)
            .remedy(
                "switch them on with pg_checksums --enable while the server is stopped, a standby first",
                Vec::new(),
            ),
        );
    }
    Ok(outcome)
}

fn pages(count: i64) -> String {
    format!("{} {}", counted(count, "page"), if count == 1 { "was" } else { "were" })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{facts, judged};
    use super::*;

    fn check(is_on: bool, failures: Option<i64>, expected: Option<Severity>) {
        let mut facts = facts();
        let setting = json!({"value": if is_on { "on" } else { "off" }, "unit": null, "source": "default"});
        facts.settings.insert("data_checksums".into(), serde_json::from_value(setting).unwrap());
        let row = json!({"checksum_failures": failures, "checksum_failure_s": 5.0});
        let found = judged(&CHECK, &facts, json!([row])).findings;
        assert_eq!(found.first().map(|finding| finding.severity), expected);
    }

    #[test]
    fn failures_are_critical_and_off_is_a_word() {
        check(true, Some(0), None);
        check(true, Some(2), Some(Severity::Critical));
        check(false, None, Some(Severity::Low));
    }
}
