//! How many dangerous forms the rules catch, and how many safe ones they cry wolf at, over the lock model's corpus.
//!
//! The tables of each form's set-up count as large and busy, whatever their test rows are. Dangerous is what scans or
//! writes a table with rows anew under a lock that blocks writers, which `verify` holds against the server, and what
//! breaks clients that run. Not for: whether the model is right.

#[expect(dead_code, reason = "`verify` uses the rest")]
#[path = "verify/forms.rs"]
mod forms;
#[path = "score/page.rs"]
mod page;
#[path = "score/plans.rs"]
mod plans;

use std::collections::BTreeMap;

use forms::Form;
use posthaste_base::catalog::{Activity, Catalog, Function, Name, Size};
use posthaste_report::{LockMode, Locked, Report, Severity};
use posthaste_review::config::Options;
use posthaste_review::model::{self, WorkKind};
use posthaste_review::statement::{Action, ObjectKind, ObjectName, QueryKind, RowSecurity, Statement};
use posthaste_review::{File, parse, review};
use posthaste_testkit::db::{TestDb, default_version};
use posthaste_testkit::pg::catalog::{CatalogOptions, read};
use posthaste_testkit::pg::{Visit, VisitOptions};

const AREAS: &[&str] = &[
    "add_column",
    "alter_table",
    "alter_type",
    "constraint",
    "index",
    "inheritance",
    "maintenance",
    "objects",
    "partition",
    "rows",
    "types",
];

#[derive(Default)]
struct Score {
    dangerous: usize,
    missed: Vec<String>,
    safe: usize,
    alarms: Vec<String>,
}

#[tokio::test(flavor = "multi_thread")]
async fn dangerous_forms_are_caught_and_safe_ones_are_left_alone() {
    let mut score = Score::default();
    let server = Server::new().await;
    let setups = forms::setups();
    let mut all: Vec<(&str, Form)> =
        AREAS.iter().flat_map(|area| forms::area(area).into_iter().map(|form| (*area, form))).collect();
    all.retain(|(_, form)| {
        form.refused.is_none()
            && form.timezone.is_none()
            && form.undo.is_empty()
            && form.needs <= server.version
            && (form.from..=form.to).contains(&server.version)
    });
    all.sort_by(|(_, a), (_, b)| a.set_up().cmp(&b.set_up()));
    let mut made: Option<(Form, Catalog)> = None;
    let mut planned = plans::Plans::default();
    for (area, form) in all {
        let same = made.take().filter(|(other, _)| form.set_up() == other.set_up());
        let catalog = match same {
            Some((_, catalog)) => catalog,
            None => server.set_up(&form, &setups[&form.on]).await,
        };
        let name = format!("{area}: {}: {}", form.name, form.run);
        judge(&name, &form, &catalog, server.version, &mut score);
        planned.look(&name, &form, &catalog, server.version);
        made = Some((form, catalog));
    }
    let caught = score.dangerous - score.missed.len();
    assert!(planned.made > 600 && planned.left_out.len() < 60, "{:#?}", planned.left_out);
    assert!(score.dangerous > 200 && score.safe > 200, "the corpus is there");
    assert!(caught * 100 >= score.dangerous * 98, "{caught} of {} are caught", score.dangerous);
    assert!(
        score.alarms.len() * 100 <= score.safe * 2,
        "{} of {} are flagged",
        score.alarms.len(),
        score.safe
    );
    page::check(server.version, &score, &planned);
}

fn judge(name: &str, form: &Form, catalog: &Catalog, version: u32, score: &mut Score) {
    let script = parse(&form.run);
    let [located] = script.statements.as_slice() else { return };
    let dangers = dangers(&located.statement, catalog, version);
    let file = File { path: "1.sql".to_owned(), text: form.run.clone(), ..File::default() };
    let report = review(&[file], Some(catalog), &Options::default(), &[]).report(None);
    let flagged = flagged(&report);
    if let Some(danger) = dangers {
        score.dangerous += 1;
        if flagged.is_empty() {
            score.missed.push(format!("{name} ({danger})"));
        }
    } else if form.fails.is_none() {
        score.safe += 1;
        if !flagged.is_empty() {
            score.alarms.push(format!("{name}: {}", flagged.join(", ")));
        }
    }
}

/// What a person is stopped by. A missing lock_timeout is true of every form here, and a missing index is no form's.
fn flagged(report: &Report) -> Vec<String> {
    let is_grave = |code: &str, severity: Severity| {
        severity.is_at_least(Severity::Medium)
            && !["missing-lock-timeout", "fails-on-overflow", "foreign-key-without-index"].contains(&code)
    };
    let grave = report.findings.iter().filter(|finding| is_grave(&finding.code, finding.severity));
    grave.map(|finding| finding.code.clone()).collect()
}

fn dangers(statement: &Statement, catalog: &Catalog, version: u32) -> Option<String> {
    let effects = model::effects(statement, catalog, version);
    let has_rows = |name: &Name| rows_of(catalog, name) > 0;
    // SHARE on the partitions is for making their list alone: nothing is read or built under it.
    if matches!(statement, Statement::Reindex(reindex) if reindex.is_concurrent) {
        return None;
    }
    for work in effects.work.iter().filter(|work| !matches!(work.kind, WorkKind::Query | WorkKind::Empty)) {
        let (table, mode) = match &work.on {
            Locked::Table(table) => {
                let table = Name::new(&work.schema, table);
                let mode = effects.table_lock(&table);
                (table, mode)
            }
            Locked::Index(index) => {
                let Some((table, index)) = catalog.index(Some(&work.schema), index) else { continue };
                (table.name.clone(), effects.table_lock(&table.name).max(effects.index_lock(&index.name)))
            }
        };
        if has_rows(&table) && mode.is_some_and(LockMode::blocks_writes) {
            return Some(format!("{:?} of {}", work.kind, table.name));
        }
    }
    breakage(statement, &has_rows, catalog).map(str::to_owned)
}

/// Of a table with its partitions.
fn rows_of(catalog: &Catalog, name: &Name) -> u64 {
    let own = catalog.relation(Some(&name.schema), &name.name).and_then(|relation| relation.size.rows);
    own.unwrap_or(0) + catalog.children(name).map(|child| rows_of(catalog, &child.name)).sum::<u64>()
}

/// What clients notice without any lock.
fn breakage(
    statement: &Statement,
    has_rows: &dyn Fn(&Name) -> bool,
    catalog: &Catalog,
) -> Option<&'static str> {
    let rows = |name: &ObjectName| {
        catalog.relation(name.schema.as_deref(), &name.name).is_some_and(|relation| has_rows(&relation.name))
    };
    let is_there = |name: &ObjectName| {
        let (schema, name) = (name.schema.as_deref().unwrap_or("app"), name.name.as_str());
        let is_it = |known: &Name| known.schema == schema && known.name == name;
        catalog.relation(Some(schema), name).is_some()
            || catalog.schemas.iter().any(|known| known == name)
            || catalog.types.iter().any(|known| is_it(&known.name))
            || catalog.functions.iter().any(|known| is_it(&known.name))
            || catalog.sequences.iter().any(|known| is_it(&known.name))
    };
    match statement {
        Statement::Drop(drop) => {
            let is_quiet = matches!(
                drop.kind,
                ObjectKind::Index
                    | ObjectKind::Trigger
                    | ObjectKind::Rule
                    | ObjectKind::Policy
                    | ObjectKind::Statistics
            ) || (drop.kind == ObjectKind::Schema && !drop.is_cascade);
            (!is_quiet && drop.targets.iter().any(|target| is_there(&target.name))).then_some("drops it")
        }
        Statement::Truncate(truncate) => {
            truncate.tables.iter().any(|t| rows(&t.name)).then_some("empties it")
        }
        Statement::Lock(lock) => {
            let mode = LockMode::ALL.into_iter().find(|mode| mode.as_str() == lock.mode);
            mode.is_some_and(LockMode::blocks_writes).then_some("locks it")
        }
        Statement::CreateRule(_) => Some("rewrites what clients send"),
        Statement::Alter(alter) if is_there(&alter.name) => {
            let relation = catalog.relation(alter.name.schema.as_deref(), &alter.name.name);
            alter.clauses.iter().find_map(|clause| match &clause.action {
                Action::DropColumn { column, .. } => {
                    let is_there = relation.is_some_and(|r| r.columns.iter().any(|c| c.name == column.name));
                    is_there.then_some("drops a column")
                }
                Action::RenameColumn { .. } | Action::RenameAttribute { .. } => Some("renames a column"),
                Action::RenameValue { .. } => Some("renames a label"),
                Action::RenameTo { .. } if alter.on.is_none() => Some("renames it"),
                Action::SetSchema { .. } => Some("moves it"),
                Action::RowSecurity(RowSecurity::Enable | RowSecurity::Force) => Some("hides rows"),
                Action::NoInherit { .. } if rows(&alter.name) => Some("hides rows"),
                _ => None,
            })
        }
        Statement::Query(query) => {
            // A join that names no constant finds whatever matches.
            let is_constant = |c: char| c.is_ascii_digit() || c == '\'';
            let has_constant = query.condition.as_ref().is_some_and(|c| c.text.contains(is_constant));
            let target = query.target.as_ref().filter(|_| !has_constant)?;
            let is_bulk = matches!(query.kind, QueryKind::Update | QueryKind::Delete) && rows(&target.name);
            is_bulk.then_some("writes all rows")
        }
        _ => None,
    }
}

struct Server {
    db: TestDb,
    visit: Visit,
    version: u32,
    /// The server's own, which are read once.
    functions: Vec<Function>,
}

impl Server {
    async fn new() -> Self {
        let db = TestDb::empty().await;
        let visit =
            Visit::connect(&db.target, VisitOptions::named("posthaste review")).await.expect("a visit");
        visit
            .batch_execute("set search_path to app; set client_min_messages to error")
            .await
            .expect("settings");
        let functions = read(&visit, &CatalogOptions::default()).await.expect("a catalog").functions;
        Self { db, version: default_version().major, visit, functions }
    }

    /// The catalog of a set-up, whose tables count as large and busy.
    async fn set_up(&self, form: &Form, base: &str) -> Catalog {
        let anew = "drop schema if exists app cascade; drop schema if exists other cascade; create schema app; \
                    create schema other";
        let session = self.db.pool.get().await.expect("a session");
        let path = "set search_path to app; set client_min_messages to error";
        for statements in
            [path, anew, base, &form.with].into_iter().chain(form.first.iter().map(String::as_str))
        {
            session
                .batch_execute(statements)
                .await
                .unwrap_or_else(|error| panic!("{}: {error:?}", form.name));
        }
        let options = CatalogOptions { has_server_functions: false, watch_ms: 0 };
        let mut catalog = read(&self.visit, &options).await.expect("a catalog");
        catalog.functions.extend(self.functions.iter().cloned());
        catalog.search_path = vec!["app".to_owned()];
        for relation in &mut catalog.relations {
            let is_empty =
                relation.size.rows.unwrap_or(relation.activity.live_rows) == 0 && relation.size.bytes == 0;
            if !is_empty {
                relation.size = Size { rows: Some(10_000_000), bytes: 4 << 30, toast_bytes: 0 };
                relation.activity = Activity { writes_per_s: Some(500.0), ..Activity::default() };
            }
        }
        catalog
    }
}

#[test]
fn counts_of_the_corpus_are_not_a_few() {
    let count: BTreeMap<&str, usize> = AREAS.iter().map(|area| (*area, forms::area(area).len())).collect();
    assert!(count.values().sum::<usize>() > 250, "{count:?}");
}
