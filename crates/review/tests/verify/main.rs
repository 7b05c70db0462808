//! The lock model against real servers: every form of `forms/`, every table, every index, every mode.
//!
//! Runs on the server that is found, and on those that `PG_BIN_12` to `PG_BIN_18` name. Not for: how the model comes
//! to its answer; its own tests do that.

mod compare;
mod concurrent;
mod forms;
mod measured;
mod observe;

use std::collections::BTreeMap;

use forms::Form;
use measured::Counts;
use observe::{Bench, Outcome};
use posthaste_base::catalog::{Catalog, Function};
use posthaste_review::model;
use posthaste_testkit::db::{TestDb, Version};
use posthaste_testkit::pg::catalog::{CatalogOptions, read};
use posthaste_testkit::pg::{Visit, VisitOptions};

/// A database of one server, with the sessions that a run needs.
struct Place {
    version: Version,
    db: TestDb,
    bench: Bench,
    visit: Visit,
    /// The server's own, which are read once.
    functions: Vec<Function>,
}

impl Place {
    async fn new(version: &Version) -> Self {
        let db = TestDb::empty_on(version).await;
        let bench = Bench::new(&db).await;
        bench.set_up("nothing", "").await;
        let path = format!("alter database {} set search_path to app", db.target.database());
        bench.batch("nothing", &path).await;
        let options = VisitOptions::named("posthaste review").read_only();
        let visit = Visit::connect(&db.target, options).await.expect("a visit");
        let all = CatalogOptions { has_server_functions: true, watch_ms: 0 };
        let functions = read(&visit, &all).await.expect("the catalog").functions;
        Self { version: version.clone(), db, bench, visit, functions }
    }

    async fn catalog(&self, form: &Form) -> Catalog {
        let options = CatalogOptions { has_server_functions: false, watch_ms: 0 };
        let mut catalog = read(&self.visit, &options).await.expect("the catalog");
        catalog.functions.extend(self.functions.iter().cloned());
        let zone = form.timezone.as_deref().unwrap_or("UTC");
        catalog.server.settings.insert("TimeZone".to_owned(), zone.to_owned());
        catalog
    }

    async fn set_up(&self, form: &Form, setups: &BTreeMap<String, String>) {
        let base = setups.get(&form.on).unwrap_or_else(|| panic!("{}: no set-up `{}`", form.name, form.on));
        for statement in &form.first {
            self.bench.batch(&form.name, statement).await;
        }
        self.bench.set_up(&form.name, &format!("{base};\n{}", form.with)).await;
    }
}

/// Runs all forms of an area on every server, and says how many are as the model says.
async fn verify(area: &str) {
    let setups = forms::setups();
    let mut problems = String::new();
    for version in posthaste_testkit::db::versions_from(*forms::VERSIONS.start()) {
        let mut forms = forms::area(area);
        forms.retain(|form| version.major >= form.needs);
        // Those with the same set-up come together, so that it is made once.
        forms.sort_by(|a, b| a.set_up().cmp(&b.set_up()));
        let mut place = Place::new(&version).await;
        let mut made: Option<(Form, Catalog)> = None;
        let mut counts = Counts::default();
        for form in forms {
            let same =
                made.take().filter(|(other, _)| form.set_up() == other.set_up() && other.undo.is_empty());
            let catalog = match same {
                Some((_, catalog)) => catalog,
                None => {
                    place.set_up(&form, &setups).await;
                    place.catalog(&form).await
                }
            };
            let script = posthaste_review::parse(&form.run);
            assert_eq!(script.statements.len(), 1, "{}: {:?}", form.name, script.errors);
            let effects = model::effects(&script.statements[0].statement, &catalog, version.major);
            place.bench.renew_runner(&place.db, form.timezone.as_deref().unwrap_or("UTC")).await;
            let (outcome, is_taken_back) = run(&place, &form, &setups).await;
            match compare::difference(&form, version.major, &effects, &outcome) {
                None => counts.add(&form, &outcome),
                Some(text) => {
                    let head = format!("PostgreSQL {}, {area}, {}: {}", version.major, form.name, form.run);
                    problems.push_str(&format!("{head}\n{text}\n"));
                }
            }
            if !form.undo.is_empty() {
                place.bench.batch(&form.name, &form.undo).await;
            }
            if is_taken_back {
                made = Some((form, catalog));
            }
        }
        println!("{area} {}: {counts:?}", version.major);
        if problems.is_empty()
            && let Err(message) = measured::keep(area, version.major, counts)
        {
            problems.push_str(&message);
        }
    }
    assert!(problems.is_empty(), "\n{problems}");
}

/// What the statement does; and whether all is as it was before.
async fn run(place: &Place, form: &Form, setups: &BTreeMap<String, String>) -> (Outcome, bool) {
    let inside = place.bench.in_transaction(&form.run).await;
    match inside {
        // `active_sql_transaction`: it cannot run in one.
        Outcome::Failed { message } if message.starts_with("25001") => {
            let set_up = async || {
                if !form.undo.is_empty() {
                    place.bench.batch(&form.name, &form.undo).await;
                }
                place.set_up(form, setups).await;
            };
            let has_counters = place.version.major >= 15;
            let outside =
                concurrent::outside_transaction(&place.bench, &place.db, &form.run, has_counters, set_up)
                    .await;
            (outside, false)
        }
        other => (other, true),
    }
}

macro_rules! areas {
    ($($area:ident),*) => { $(
        #[tokio::test]
        async fn $area() {
            verify(stringify!($area)).await;
        }
    )* };
}

areas!(
    add_column,
    alter_type,
    alter_table,
    constraint,
    index,
    partition,
    inheritance,
    types,
    objects,
    maintenance,
    rows
);
