//! `docs/locks.md` shows the lock model as it is, and how it was measured. `UPDATE_GOLDEN=1` writes it.
//!
//! Not for: the measuring (`verify`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Counts {
    exact: u32,
    bounded: u32,
    refused: u32,
    failed: u32,
}

#[test]
fn page_shows_the_model_and_what_was_measured() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/locks.md");
    let page = format!("{HEAD}\n{}{}", measured(), posthaste_review::model::page::tables());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &page).expect("to write docs/locks.md");
    }
    let present = std::fs::read_to_string(&path).unwrap_or_default();
    let hint = "docs/locks.md is out of date: run this test with UPDATE_GOLDEN=1";
    assert!(present == page, "{hint}");
}

const HEAD: &str = "\
# Locks

<!-- Generated from crates/review/src/model/ by crates/review/tests/locks_page.rs with UPDATE_GOLDEN=1. -->

What each form of a statement locks, and what it scans or writes anew, on PostgreSQL 12 to 18. `posthaste review` \
decides from these rows and from the catalog of the database: which partitions, indexes, views, sequences and other \
ends of foreign keys there are, whether a new type is stored as the old one, whether a check proves what would be \
scanned for. A mode without a version holds on all of them.

One ALTER TABLE with several actions takes the strongest of their modes, on the table and on all partitions and \
inheriting tables that one of them reaches. TOAST tables follow their table, and are left out; so are the system's \
catalogs, and what the statement itself makes. The modes are those that are held when the statement has ended and its \
transaction is still open; of a statement that cannot be in a transaction they are the strongest at any time, but for \
indexes that are dead to everybody else by then.

## Measured

Every form of `crates/review/forms/` is run on real servers by `crates/review/tests/verify`, and what the server did is \
held against the model: every relation, every mode, every scan, every new file. *Exact* is the same in all. *Bounded* \
is where the catalog cannot tell (which rows a statement meets, what a function does): there the model names what it \
depends on and the worst, and the server did no more. *Refused* by the server and by the model alike. *Failed* on the \
rows that were there, of which the model does not speak. There are no others: one that differs fails the test. \
Statements that cannot be in a transaction are compared for scans on 15 and newer, and not for ACCESS SHARE.
\
\
";

fn measured() -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("forms/measured");
    let mut sums: BTreeMap<String, Counts> = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("what was measured") {
        let text = std::fs::read_to_string(entry.expect("a file").path()).expect("a file");
        let area: BTreeMap<String, Counts> = toml::from_str(&text).expect("counts by server");
        for (server, counts) in area {
            let sum = sums.entry(server).or_default();
            sum.exact += counts.exact;
            sum.bounded += counts.bounded;
            sum.refused += counts.refused;
            sum.failed += counts.failed;
        }
    }
    let mut text =
        "| PostgreSQL | forms | exact | bounded | refused | failed |\n| --- | --- | --- | --- | --- | --- |\n".to_owned();
    for (server, sum) in sums {
        let version = server.trim_start_matches("postgresql-");
        let all = sum.exact + sum.bounded + sum.refused + sum.failed;
        let _ = writeln!(
            text,
            "| {version} | {all} | {} | {} | {} | {} |",
            sum.exact, sum.bounded, sum.refused, sum.failed
        );
    }
    text
}
