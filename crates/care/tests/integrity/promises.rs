//! Promises that are neither keys nor references: what an exclusion constraint keeps apart, and what a domain says.

use posthaste_care::integrity::{Kind, Options};
use posthaste_testkit::db::TestDb;

use super::score::{check, run, score};

const SCHEMA: &str = "
    create domain grade as integer;
    create domain \"Code\" as text check (value ~ '^[A-Z]');
    create table booking (id integer primary key, during int4range not null, exclude using gist (during with &&));
    create table badge (
      id integer primary key, holder \"Code\", grade grade, is_gone boolean not null default false,
      constraint \"one each\" exclude using btree ((lower(holder)) with =) where (not is_gone)
    );
    insert into booking select n, int4range(n * 10, n * 10 + 5) from generate_series(1, 50) as n;
    insert into badge select n, 'H' || n, n from generate_series(1, 50) as n;";

/// What comes in while an index is not told, and a condition that was added later.
const FAULTS: &str = "
    update pg_index set indisready = false where indexrelid in ('booking_during_excl'::regclass, '\"one each\"'::regclass);
    insert into booking values (51, '[12,13)'), (52, '[21,32)'), (53, '[600,700)');
    insert into badge values (51, 'H7', 1, false), (52, 'H8x', 1, true), (53, 'H9', 1, true);
    update pg_index set indisready = true where indexrelid in ('booking_during_excl'::regclass, '\"one each\"'::regclass);
    alter domain grade add constraint above_zero check (value > 3) not valid;";

const EXPECTED: &str = r#"
[[finding]]
code = "exclusion-violated"
table = "booking"
columns = ["during"]
counts = { rows = 5 }

[[finding]]
code = "exclusion-violated"
table = "badge"
columns = []
counts = { rows = 2 }

[[finding]]
code = "check-violated"
table = "badge"
columns = ["grade"]
counts = { rows = 6 }
"#;

#[tokio::test]
async fn exclusions_and_domains_are_held_against_the_rows() {
    let db = TestDb::empty().await;
    run(&db, SCHEMA).await;
    let options = Options { kinds: vec![Kind::Declared], ..Options::default() };
    score(&check(&db, &options).await, "finding = []");
    run(&db, FAULTS).await;
    let outcome = check(&db, &options).await;
    score(&outcome, EXPECTED);
    let messages: Vec<&str> =
        outcome.report.findings.iter().map(|finding| finding.message.as_str()).collect();
    let says =
        |part: &str| assert!(messages.iter().any(|message| message.contains(part)), "{part}: {messages:#?}");
    says("2 rows of `public.badge` are not kept apart by `one each`");
    says("break `above_zero` of the domain `grade` by `grade`: (VALUE > 3)");
}
