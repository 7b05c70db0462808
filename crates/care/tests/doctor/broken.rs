//! Every fault of the broken database is found, with exact counts, and nothing else is called bad; the steps mend it.

use posthaste_care::doctor::{Options, Thresholds};
use posthaste_pg::Target;
use posthaste_report::{Finding, Severity};
use posthaste_testkit::db::{Version, versions};

use super::faults::{FAULTS, Fault, LONG, WEIRD};
use super::{connect, database, diagnosed, explained, run, server_on, shown, statements};

/// Sessions are as old as the test, and the table that is bloated is no larger than it must be.
fn options() -> Options {
    let thresholds = Thresholds {
        idle_in_transaction_s: 3_600.0,
        prepared_transaction_s: 0.0,
        bloat_bytes_min: 5 << 20,
        slot_bytes: 16 << 20,
        ..Thresholds::default()
    };
    Options { thresholds, statement_timeout_ms: 60_000, ..Options::default() }
}

fn is_it(fault: &Fault, finding: &Finding) -> bool {
    let object = &finding.object;
    finding.code == fault.code
        && fault.table.is_none_or(|table| object.table.as_deref() == Some(table))
        && fault.name.is_none_or(|name| object.name.as_deref() == Some(name))
}

/// Queries as an application sends them, more than once.
async fn use_it(target: &Target) {
    let session = connect(target).await;
    for _ in 0..3 {
        run(&session, "select count(place) from fleet.position where vehicle_id = 17").await;
        run(&session, "select id, seen_at from fleet.position where place like '%abcde%'").await;
        run(
            &session,
            "select o.nr from \"Sales\".\"Customer\" c join \"Sales\".\"Order\" o on o.customer_id = c.id \
             where c.email = 'customer7@example.com'",
        )
        .await;
        run(&session, "select id, pg_sleep(0.15) from fleet.depot where id = 1").await;
    }
}

#[tokio::test]
async fn every_fault_is_found_and_nothing_else_on_every_version_that_is_here() {
    for version in versions() {
        score_on(&version).await;
    }
}

async fn score_on(version: &Version) {
    let server = server_on(version).await;
    let target = database(&server, "broken", include_str!("broken.sql")).await;
    use_it(&target).await;
    let session = connect(&target).await;
    run(&session, "begin; insert into fleet.log values (now(), 'x'); prepare transaction 'it''s forgotten'")
        .await;
    run(&session, "alter database broken connection limit 3").await;
    run(&session, "begin; update fleet.vehicle set model = 'x' where id = 1").await;
    let waiting = connect(&target).await;
    let pid: i32 = waiting.query_one("select pg_backend_pid()", &[]).await.expect("a pid").get(0);
    let waiter = tokio::spawn(async move {
        // It is ended by the step that ends whom it waits for.
        let _ = waiting.batch_execute("update fleet.vehicle set model = 'y' where id = 1").await;
    });
    until_waiting(&target, pid).await;

    let diagnosis = diagnosed(&target, &options()).await;
    let findings = &diagnosis.report.findings;
    let (mut found, mut missed, mut wrong) = (0, Vec::new(), Vec::new());
    for fault in FAULTS {
        match findings.iter().find(|finding| is_it(fault, finding)) {
            None => missed.push(format!("{} {:?} {:?}", fault.code, fault.table, fault.name)),
            Some(finding) => {
                found += 1;
                let is_off = |(name, count): &&(&str, i64)| finding.counts.get(*name) != Some(count);
                let off: Vec<_> = fault.counts.iter().filter(is_off).collect();
                if !off.is_empty() {
                    wrong.push(format!("{} has {:?}, expected {off:?}", shown(finding), finding.counts));
                }
            }
        }
    }
    let is_false = |finding: &&Finding| {
        finding.severity.is_at_least(Severity::Medium) && !FAULTS.iter().any(|fault| is_it(fault, finding))
    };
    let falsely: Vec<String> = findings.iter().filter(is_false).map(shown).collect();
    println!(
        "score on {}: {found} of {} faults found, {} counts wrong, {} false",
        version.major,
        FAULTS.len(),
        wrong.len(),
        falsely.len()
    );
    let skipped: Vec<_> =
        diagnosis.report.skipped.iter().map(|one| format!("{}: {}", one.what, one.why)).collect();
    assert!(
        missed.is_empty() && wrong.is_empty() && falsely.is_empty(),
        "on {}: missed: {missed:#?}\nwrong: {wrong:#?}\nfalse: {falsely:#?}\nskipped: {skipped:#?}",
        version.major
    );

    the_steps_mend_it(&target, findings).await;
    waiter.await.expect("the one that waited");
    server.remove().await;
}

async fn until_waiting(target: &Target, pid: i32) {
    let session = connect(target).await;
    let query = "select exists (select from pg_locks where pid = $1 and not granted)";
    for _ in 0..1_000 {
        if session.query_one(query, &[&pid]).await.expect("locks").get::<_, bool>(0) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("{pid} does not wait");
}

/// Runs the steps of what steps alone can mend, and looks again.
async fn the_steps_mend_it(target: &Target, findings: &[Finding]) {
    // The first of them end the sessions that would be in the way.
    const MENDED: &[&str] = &[
        "lock-chain",
        "prepared-transaction",
        "duplicate-index",
        "invalid-index",
        "foreign-key-without-index",
        "autovacuum-off",
        "dead-rows",
        "stale-statistics",
        "unlogged-table",
        "sequence-near-end",
        "constraint-not-validated",
        "trigger-disabled",
        "replication-slot",
        "missing-index",
    ];
    let mut session = connect(target).await;
    for code in MENDED {
        for finding in findings.iter().filter(|finding| finding.code == *code) {
            for step in finding.remedy.iter().flat_map(|remedy| &remedy.steps) {
                for statement in statements(step) {
                    if let Err(error) = session.batch_execute(&statement).await {
                        // An index that another finding proposed too is there already.
                        let text = explained(error);
                        assert!(text.contains("already exists"), "{}\n{statement}\n{text}", shown(finding));
                        session = connect(target).await;
                    }
                }
                if let Some(done) = &step.done_if {
                    let is_done: bool = session.query_one(done, &[]).await.expect(done).get(0);
                    assert!(is_done, "{}: {done}", step.id);
                }
            }
        }
    }
    run(&session, "analyze").await;
    let after = diagnosed(target, &options()).await.report.findings;
    // A column that is too narrow, and a setting of a role, are for a person.
    let for_a_person = |finding: &Finding| {
        ["counter_seq", "session_replication_role"]
            .iter()
            .any(|name| finding.object.name.as_deref() == Some(name))
    };
    let left: Vec<String> = after
        .iter()
        .filter(|finding| MENDED.contains(&finding.code.as_str()) && !for_a_person(finding))
        .filter(|finding| finding.severity.is_at_least(Severity::Low))
        .map(shown)
        .collect();
    assert!(left.is_empty(), "{left:#?}");

    // What is dropped can be made again.
    let dropped = findings.iter().find(|finding| finding.object.name.as_deref() == Some("kind \"two\""));
    let step = &dropped.expect("the duplicate").remedy.as_ref().expect("a remedy").steps[0];
    run(&session, &step.undo[0]).await;
    let again = diagnosed(target, &options()).await.report.findings;
    let twice = again.iter().find(|finding| finding.code == "duplicate-index").expect("it is there again");
    assert_eq!(twice.object.table.as_deref(), Some(LONG));
    assert!(findings.iter().any(|finding| finding.object.table.as_deref() == Some(WEIRD)));
}
