//! The worked example: the script that walks the shop from its symptoms to the report, at a twentieth of its size.

use std::path::Path;
use std::process::Command;

use posthaste_testkit::db::default_version;

use crate::program::Program;

const WALK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/techshop/walk");

#[test]
fn the_shop_is_walked_from_symptoms_to_a_report() {
    let program = Program::alone();
    let out = program.path("walked");
    // How quick a busy machine is says nothing: that pages are under 100 ms is for a run at full size to say.
    let output = Command::new(WALK)
        .args(["--scale", "0.05", "--limit-ms", "100000", "--posthaste", env!("CARGO_BIN_EXE_posthaste")])
        .arg("--out")
        .arg(&out)
        .env("PG_BIN", default_version().bin)
        .env("TMPDIR", &program.folder)
        .output()
        .expect("the script to start");
    let session = text(&out.join("session.md"));
    assert!(output.status.success(), "{}\n{session}", String::from_utf8_lossy(&output.stderr));

    let said = text(&out.join("doctor-before.txt"));
    for fault in [
        "unique-index-broken",
        "autovacuum-off",
        "stale-statistics",
        "dead-rows",
        "connections-near-limit",
        "archiving fails",
    ] {
        assert!(said.contains(fault), "{fault}: {said}");
    }
    for index in [
        "(name public.gin_trgm_ops)",
        "(order_id)",
        "(product_id)",
        "(customer_id)",
        "(category_id",
        "(status",
    ] {
        assert!(said.contains(index), "{index}: {said}");
    }
    let said = text(&out.join("integrity-before.txt"));
    assert!(said.contains("16 findings"), "{said}");
    assert!(session.contains("integrity of techshop: nothing found"), "{session}");
    assert!(session.contains("doctor of techshop: nothing found"), "{session}");
    assert!(session.contains("| product search | "), "{session}");
    let report = text(&out.join("report.md"));
    for part in [
        "orders are missing",
        "run 1 of techshop-mend is done",
        "15 rows before, 0 rows after",
        "## Prevention",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
    assert!(text(&out.join("report.html")).contains("<svg"));
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| format!("{}: {error}", path.display()))
}
