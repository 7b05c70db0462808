//! Every statement of the runner is understood by every server that is there.

use std::path::{Path, PathBuf};

use posthaste_testkit::db::{TestDb, versions};

use crate::ground::{options, plan};

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test]
async fn every_statement_is_prepared_on_every_version() {
    let files = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("sql"));
    assert!(files.len() > 60);
    for version in versions() {
        let db = TestDb::empty_on(&version).await;
        posthaste_runner::run(&db.target, &plan(Vec::new()), options(), |_| ()).await.expect("a journal");
        let session = db.pool.get().await.expect("a session");
        for file in &files {
            let text = std::fs::read_to_string(file).expect("a statement");
            // Templates are prepared by the tests that fill them in.
            if text.contains("template:") {
                continue;
            }
            if let Err(error) = session.prepare_cached(&text).await {
                panic!("{} on {}: {error:?}", file.display(), version.major);
            }
        }
    }
}
