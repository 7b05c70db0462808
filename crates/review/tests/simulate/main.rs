//! The simulation against the real server: scripts are carried out on both, and what is there afterwards is compared.
//!
//! Not for: what the server refuses by what is in the rows.

use posthaste_base::catalog::Catalog;
use posthaste_review::difference::difference;
use posthaste_review::simulate::{apply, comparable};
use posthaste_review::{parse, statement::Located};
use posthaste_testkit::db::{TestDb, Version, versions_from};
use posthaste_testkit::pg::catalog::{CatalogOptions, read};
use posthaste_testkit::pg::{Visit, VisitOptions};

/// A database of one server, which is emptied for each script.
struct Place {
    db: TestDb,
    visit: Visit,
}

impl Place {
    async fn new(version: &Version) -> Self {
        let db = TestDb::empty_on(version).await;
        let visit = Visit::connect(&db.target, VisitOptions::named("posthaste review").read_only()).await;
        Self { visit: visit.expect("a visit"), db }
    }

    async fn run(&self, sql: &str) -> Result<(), String> {
        let client = self.db.pool.get().await.expect("a connection");
        client.batch_execute(sql).await.map_err(|error| format!("{error:?}"))
    }

    async fn empty(&self) {
        let drop = "drop schema if exists public, app, other cascade; create schema public";
        self.run(drop).await.expect("the schemas are dropped");
    }

    async fn catalog(&self) -> Catalog {
        let options = CatalogOptions { has_server_functions: false, watch_ms: 0 };
        let mut catalog = read(&self.visit, &options).await.expect("the catalog");
        catalog.search_path = vec!["public".to_owned()];
        catalog
    }
}

/// Scripts from `scripts/*.sql`: parted by lines `-- script: name`, and `-- since: 15` for those that old servers
/// cannot read.
fn scripts(text: &str) -> Vec<(String, u32, String)> {
    let parts = text.split("-- script: ").skip(1);
    let script = |part: &str| {
        let (name, sql) = part.split_once('\n').expect("a script has a name");
        let since = sql.lines().find_map(|line| line.strip_prefix("-- since: "));
        let since = since.map_or(0, |since| since.parse().expect("a version"));
        (name.to_owned(), since, sql.to_owned())
    };
    parts.map(script).collect()
}

fn statements(name: &str, sql: &str) -> Vec<Located> {
    let script = parse(sql);
    assert!(script.errors.is_empty(), "{name}: {:?}", script.errors);
    script.statements
}

/// After a script both sides must be the same; when they are not, it is done again, and compared after each statement.
async fn check(text: &str) {
    let mut problems = String::new();
    for version in versions_from(12) {
        let place = Place::new(&version).await;
        for (name, since, sql) in scripts(text) {
            let is_known = version.major >= since;
            if is_known && !compare(&place, &name, &sql, false).await.is_empty() {
                problems += &format!("{} {}", version.major, compare(&place, &name, &sql, true).await);
            }
        }
    }
    assert!(problems.is_empty(), "{problems}");
}

async fn compare(place: &Place, name: &str, sql: &str, is_each: bool) -> String {
    place.empty().await;
    let mut simulated = place.catalog().await;
    let mut problems = String::new();
    let statements = statements(name, sql);
    for (index, located) in statements.iter().enumerate() {
        let real = place.run(&located.text).await;
        let before = simulated.clone();
        let ours = apply(&mut simulated, &located.statement);
        let what = format!("{name}, line {}: {}\n", located.line, located.text);
        if ours.is_err() {
            simulated = before;
        }
        if real.is_ok() != ours.is_ok() {
            problems += &format!("{what}  the server: {real:?}\n  simulated: {ours:?}\n");
        }
        if is_each || index + 1 == statements.len() {
            let found = place.catalog().await;
            let differences = difference(&comparable(&found), &comparable(&simulated));
            if !differences.is_empty() {
                problems += &what;
                problems.extend(differences.iter().map(|one| format!("  {one}\n")));
                simulated = found;
            }
        }
    }
    problems
}

#[tokio::test]
async fn tables_and_their_constraints_are_as_on_the_server() {
    check(include_str!("scripts/tables.sql")).await;
}

#[tokio::test]
async fn partitions_are_as_on_the_server() {
    check(include_str!("scripts/partitions.sql")).await;
}

#[tokio::test]
async fn other_objects_are_as_on_the_server() {
    check(include_str!("scripts/objects.sql")).await;
}

#[tokio::test]
async fn what_the_server_refuses_is_refused() {
    check(include_str!("scripts/refused.sql")).await;
}
