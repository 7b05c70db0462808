//! Every statement of the store, against an upgraded schema, on every server version that this machine has: it can
//! be prepared, and its plan walks no table that grows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use posthaste_base::QueueId;
use posthaste_store::Session;
use posthaste_store::segment::{self, Segment};
use posthaste_testkit::db::{TestDb, Version, versions};

/// Tables whose size is that of the declarations, or one row.
const SMALL: [&str; 9] = [
    "api_key",
    "endpoint",
    "failure_mode",
    "leader",
    "queue",
    "schema_version",
    "seal",
    "subscription",
    "topic",
];

/// Statements by area and name, the templates filled in for a segment.
fn statements(segment: Segment) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("sql");
    let filled: BTreeMap<&str, String> = segment::all_statements(segment).into_iter().collect();
    let mut statements = BTreeMap::new();
    for path in files(&folder) {
        let name = path.strip_prefix(&folder).unwrap().with_extension("").to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let is_template = text.contains("posthaste.{") && !is_utility(&text);
        let text = match name.strip_prefix("queue/").filter(|_| is_template) {
            None => text,
            Some(template) => {
                let filled = filled.get(template).cloned();
                filled.unwrap_or_else(|| panic!("`all_statements` of a segment leaves out `{template}`"))
            }
        };
        statements.insert(name, text);
    }
    assert!(statements.len() > 100, "only {} statements were found", statements.len());
    statements
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// A database with a queue of each half that statements may name.
async fn database(version: &Version) -> (TestDb, Segment) {
    let db = TestDb::posthaste_on(version).await;
    let session = db.pool.get().await.unwrap();
    let row = session
        .query_one(
            "insert into posthaste.queue (name, visibility_seconds, retention_seconds, max_receives, batch, \
             max_concurrency, worker_timeout_seconds) values ('q', 60, 3600, 3, 10, 10, 30) returning id",
            &[],
        )
        .await
        .unwrap();
    let queue = QueueId(row.get(0));
    for half in [0_i16, 1] {
        session.execute("select posthaste.create_segment($1, $2)", &[&queue.0, &half]).await.unwrap();
    }
    (db, Segment::new(queue, 0))
}

/// A command (`lock table`, `truncate`, a definition) has no plan, and a piece of other statements is in theirs.
fn is_utility(text: &str) -> bool {
    let code = text.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
    let first = code.split_whitespace().next().unwrap_or_default().to_lowercase();
    !["select", "with", "insert", "update", "delete"].contains(&first.as_str())
}

/// The tables that the generic plan of a statement reads from end to end.
async fn walked(session: &Session, name: &str, text: &str) -> Vec<String> {
    let statement = session.prepare(text).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    let nulls = vec!["null"; statement.params().len()].join(", ");
    let arguments = if nulls.is_empty() { String::new() } else { format!("({nulls})") };
    let types = statement.params().iter().map(|kind| match kind.schema() {
        "pg_catalog" => kind.name().to_owned(),
        schema => format!("{schema}.{}", kind.name()),
    });
    let types = types.collect::<Vec<_>>().join(", ");
    let types = if types.is_empty() { String::new() } else { format!("({types})") };
    session.batch_execute(&format!("prepare plan_of{types} as {text}")).await.unwrap_or_else(|error| {
        panic!("{name}: {error:?}");
    });
    let rows = session.query(&format!("explain (costs off) execute plan_of{arguments}"), &[]).await;
    session.batch_execute("deallocate plan_of").await.unwrap();
    let rows = rows.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    let lines = rows.iter().map(|row| row.get::<_, String>(0));
    lines
        .filter_map(|line| {
            let (_, table) = line.split_once("Seq Scan on ")?;
            Some(table.split_whitespace().next()?.to_owned())
        })
        .collect()
}

#[tokio::test]
async fn every_statement_can_be_prepared_on_every_version_and_walks_nothing_that_grows() {
    let versions = versions();
    println!("versions: {:?}", versions.iter().map(|version| version.major).collect::<Vec<_>>());
    for version in &versions {
        let (db, segment) = database(version).await;
        let session = db.pool.get().await.unwrap();
        for (name, text) in statements(segment) {
            if is_utility(&text) {
                // Upgrades and rotations run these in other tests.
                continue;
            }
            let walked = walked(&session, &name, &text).await;
            let growing: Vec<_> = walked.iter().filter(|table| !SMALL.contains(&table.as_str())).collect();
            assert!(growing.is_empty(), "{name} on {} walks {growing:?}", version.major);
        }
    }
}
