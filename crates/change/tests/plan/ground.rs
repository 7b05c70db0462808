//! A shop on a server of one version, and a scratch server beside it that proves plans for the shop.

use posthaste_base::catalog::Catalog;
use posthaste_change::plan::{Migration, Planned};
use posthaste_change::prove::prove;
use posthaste_change::scratch::{Scratch, run_script, schema_of};
use posthaste_pg::catalog::{CatalogOptions, read};
use posthaste_pg::{Target, Visit, VisitOptions};
use posthaste_testkit::db::{TestDb, Version, default_version};

pub(crate) struct Ground {
    /// As the shop has it, with sizes.
    pub(crate) catalog: Catalog,
    schema: Target,
    scratch: Scratch,
    // The shop goes with it.
    _db: TestDb,
}

impl Ground {
    pub(crate) async fn open(version: &Version, shop: &str) -> Self {
        let db = TestDb::empty_on(version).await;
        run_script(&db.target, shop).await.expect("the shop");
        // Servers of other versions come without their `pg_dump`; what it would leave out are the rows.
        let is_schema = |line: &&str| !line.trim_start().starts_with("insert into");
        let schema = match *version == default_version() {
            true => schema_of(&db.target, None).await.expect("pg_dump"),
            false => shop.lines().filter(is_schema).collect::<Vec<_>>().join("\n"),
        };
        let scratch = Scratch::start(Some(&version.bin)).await.expect("a scratch server");
        let schema = scratch.load(&schema).await.expect("the schema");
        let visit = Visit::connect(&db.target, VisitOptions::named("test")).await.expect("a visit");
        let catalog = read(&visit, &CatalogOptions::default()).await.expect("the catalog");
        Self { catalog, schema, scratch, _db: db }
    }

    /// Why the plan is not proven; none when it is.
    pub(crate) async fn why_unproven(&self, migration: &Migration, planned: &Planned) -> Option<String> {
        match prove(&self.scratch, &self.schema, &migration.script, &planned.plan).await {
            Err(error) => Some(format!("{} {:?}", error.message(), error.cause())),
            Ok(proof) if !proof.holds() => Some(format!("{:#?}\n  {:#?}", proof.end, proof.undo)),
            Ok(_) => None,
        }
    }

    pub(crate) async fn close(self) {
        self.scratch.remove().await.expect("it stops");
    }
}
