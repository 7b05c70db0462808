//! Whether WAL leaves the server, and what is known of backups.
//!
//! Not for: proving that a backup can be restored, which no query can.

use posthaste_report::{Confidence, Finding, Object, Severity};
use serde::Deserialize;

use crate::doctor::{Check, Facts, Judge, Needs, Outcome, Rows, Told, Unseen, counted, duration};

pub(crate) const CHECK: Check = Check {
    code: "archiving",
    title: "WAL archiving and backups",
    needs: Needs { primary: true, ..Needs::NOTHING },
    judge: Judge::Rows(include_str!("../../sql/doctor/archiver.sql"), judge),
};

#[derive(Deserialize)]
struct Row {
    archived: i64,
    last_archived_wal: Option<String>,
    archived_s: Option<f64>,
    failed: i64,
    last_failed_wal: Option<String>,
    failed_s: Option<f64>,
    counted_s: Option<f64>,
    has_backup_session: bool,
}

fn judge(rows: &Rows, facts: &Facts) -> Result<Outcome, Unseen> {
    let row: Row = rows.one()?;
    let mode = facts.setting("archive_mode").unwrap_or("unknown");
    let object = || Object { kind: "setting".into(), name: Some("archive_mode".into()), ..Object::default() };
    let mut outcome = Outcome::line(match row.archived_s {
        _ if mode == "off" => "archive_mode is off".to_owned(),
        Some(age_s) => format!("the last WAL segment was archived {} ago", duration(age_s)),
        None => "no WAL segment has been archived".to_owned(),
    });
    if mode == "off" {
        outcome.findings.push(
            Finding::new(CHECK.code, Severity::Low, "WAL is not archived here: no point in time can be restored from it")
                .about(object())
                .sure(Confidence::Possible)
                .evidence("archive_mode is off")
                .depends_on("whether backups are taken another way: by the provider, by streaming, by snapshots of the disk")
                .remedy("archive WAL with a tool that also takes base backups, and restore one regularly", Vec::new()),
        );
        return Ok(outcome);
    }
    // The newest try counts: one that failed and then went through is over.
    let is_failing = row.failed > 0
        && match (row.failed_s, row.archived_s) {
            (Some(failed_s), Some(archived_s)) => failed_s < archived_s,
            (Some(_), None) => true,
            _ => false,
        };
    if is_failing {
        let since =
            row.archived_s.map_or_else(|| "yet".to_owned(), |age_s| format!("for {}", duration(age_s)));
        let message = format!("archiving fails: nothing was archived {since}, and WAL piles up on the disk");
        outcome.findings.push(
            Finding::new(CHECK.code, Severity::Critical, message)
                .about(object())
                .count("failed", row.failed)
                .count("archived", row.archived)
                .evidence_aged(
                    format!("failed last at {}", row.last_failed_wal.as_deref().unwrap_or("a segment")),
                    row.failed_s,
                )
                .evidence_aged(format!("{} counted", counted(row.failed, "failure")), row.counted_s)
                .remedy(
                    "read the server's log for the archive command's message, and correct it",
                    Vec::new(),
                ),
        );
    } else if row.archived == 0 && row.last_archived_wal.is_none() {
        outcome.findings.push(
            Finding::new(CHECK.code, Severity::Low, "archiving is on, and nothing has been archived yet")
                .about(object())
                .evidence_aged("no segment since the counters were reset", row.counted_s)
                .remedy(
                    "see that archive_command is set and that a segment arrives (pg_switch_wal)",
                    Vec::new(),
                ),
        );
    }
    if !row.has_backup_session {
        outcome.skipped.push(
            "when the last base backup was taken and whether it can be restored is not known to the server"
                .to_owned(),
        );
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{facts, judged};
    use super::*;

    fn check(mode: &str, archived_s: Option<f64>, failed_s: Option<f64>, expected: Option<Severity>) {
        let mut facts = facts();
        let setting = json!({"value": mode, "unit": null, "source": "default"});
        facts.settings.insert("archive_mode".into(), serde_json::from_value(setting).unwrap());
        let row = json!({"archived": archived_s.map_or(0, |_| 5), "last_archived_wal": archived_s.map(|_| "01"),
            "archived_s": archived_s, "failed": failed_s.map_or(0, |_| 3), "last_failed_wal": null,
            "failed_s": failed_s, "counted_s": 1.0, "has_backup_session": false});
        let found = judged(&CHECK, &facts, json!([row])).findings;
        assert_eq!(
            found.first().map(|finding| finding.severity),
            expected,
            "{mode} {archived_s:?} {failed_s:?}"
        );
    }

    #[test]
    fn on_is_not_archiving() {
        check("off", None, None, Some(Severity::Low));
        check("on", Some(10.0), None, None);
        check("on", Some(10.0), Some(500.0), None);
        check("on", Some(500.0), Some(10.0), Some(Severity::Critical));
        check("on", None, Some(10.0), Some(Severity::Critical));
        check("on", None, None, Some(Severity::Low));
    }
}
