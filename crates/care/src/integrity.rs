//! Whether the data is true: constraints that do not hold, relations and keys that nobody declared, and values that
//! make no sense.
//!
//! Rows are counted from the heap and exactly, in bounded pieces, over one guarded connection that only reads.
//! Pieces are looked at one after the other and not in one snapshot, so that nothing is held open: rows that change
//! meanwhile are seen as they are when their piece is read.
//! Not for: changing anything (see `fix`), and for the state of the server (see `doctor`).

pub(crate) mod check;
mod count;
mod declared;
mod exclusions;
mod findings;
mod links;
mod naturals;
mod rules;
mod suspects;
pub(crate) mod tables;
mod totals;
pub(crate) mod types;
mod words;

use posthaste_base::Error;
use posthaste_base::catalog::{Catalog, Name};
use posthaste_pg::{Target, Visit, VisitOptions};
use posthaste_report::{Finding, Report, Severity, Skipped};

use check::{Belief, Check, Link, OrphanCheck, RowCheck, TotalCheck};
use count::Counter;
use findings::{Verdict, judge};
use tables::Tables;

pub use rules::Rules;

/// Everything is looked at, or kinds of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// What the schema promises.
    Declared,
    /// Relations that nobody declared, and rows that point to nothing.
    Relations,
    /// Keys that nobody declared.
    Duplicates,
    /// Less than nothing, missing, blank.
    Values,
    Times,
    Totals,
    /// The user's own.
    Rules,
}

#[derive(Clone, Debug)]
pub struct Options {
    /// All kinds when it is empty.
    pub kinds: Vec<Kind>,
    /// Only these tables, as `schema.table`; all when it is empty.
    pub tables: Vec<Name>,
    pub rules: Vec<Rules>,
    /// Reads only a part, and what is then said is an estimate.
    pub sample_percent: Option<f64>,
    pub lock_timeout_ms: u32,
    pub statement_timeout_ms: u32,
    /// The part of a statement's time for which the server is left alone after it.
    pub rest: f64,
    /// Blocks of the first piece of a table; the following ones go by the time that a piece takes.
    pub piece_blocks: u32,
}

/// How far a walk over a table has come, in blocks.
#[derive(Clone, Debug)]
pub struct Progress {
    pub table: Name,
    pub what: String,
    pub done: u64,
    pub of: u64,
}

/// A finding with what was counted, for the plan that mends it.
#[derive(Clone, Debug)]
pub struct Fault {
    pub finding: Finding,
    pub(crate) check: Check,
}

#[derive(Clone, Debug)]
pub struct Outcome {
    pub report: Report,
    pub faults: Vec<Fault>,
    /// Declared and believed relations.
    pub(crate) links: Vec<Link>,
    pub catalog: Catalog,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            kinds: Vec::new(),
            tables: Vec::new(),
            rules: Vec::new(),
            sample_percent: None,
            lock_timeout_ms: 1_000,
            statement_timeout_ms: 60_000,
            rest: 0.1,
            piece_blocks: 4_096,
        }
    }
}

impl Kind {
    pub const ALL: [(&'static str, Kind); 7] = [
        ("declared", Kind::Declared),
        ("relations", Kind::Relations),
        ("duplicates", Kind::Duplicates),
        ("values", Kind::Values),
        ("times", Kind::Times),
        ("totals", Kind::Totals),
        ("rules", Kind::Rules),
    ];
}

impl Options {
    fn wants(&self, kind: Kind) -> bool {
        self.kinds.is_empty() || self.kinds.contains(&kind)
    }

    fn wants_table(&self, name: &Name) -> bool {
        self.tables.is_empty() || self.tables.contains(name)
    }
}

/// Visits the database and checks its data.
pub async fn check(
    target: &Target,
    options: &Options,
    progress: &dyn Fn(Progress),
) -> Result<Outcome, Error> {
    let visit = VisitOptions {
        lock_timeout_ms: options.lock_timeout_ms,
        statement_timeout_ms: options.statement_timeout_ms,
        ..VisitOptions::named("posthaste integrity").read_only()
    };
    let (visit, catalog) = crate::visiting::with_catalog(target, visit).await?;
    let outcome = check_on(&visit, catalog, options, progress).await;
    visit.close().await;
    outcome
}

async fn check_on(
    visit: &Visit,
    catalog: Catalog,
    options: &Options,
    progress: &dyn Fn(Progress),
) -> Result<Outcome, Error> {
    visit.query_one(include_str!("../sql/integrity/session.sql"), &[]).await?;
    let tables = Tables::of(&catalog);
    let mut findings = Vec::new();
    let unread = catalog.unread.iter().map(|what| Skipped { what: "the catalog".into(), why: what.clone() });
    let mut counter = Counter { visit, tables: &tables, options, progress, skipped: unread.collect() };
    let mut own = Vec::new();
    for rules in &options.rules {
        own.push(rules.checks(&tables)?);
    }

    let declared = declared::checks(&tables, &mut counter.skipped);
    let mut links: Vec<Link> = declared.iter().filter_map(link_of).collect();
    let mut checks = if options.wants(Kind::Declared) { declared.clone() } else { Vec::new() };
    if [Kind::Relations, Kind::Duplicates, Kind::Totals].iter().any(|kind| options.wants(*kind)) {
        let (believed, said) = believed_links(&mut counter).await;
        if options.wants(Kind::Relations) {
            findings.extend(said.into_iter().filter(|finding| wants_finding(options, finding)));
            checks.extend(believed.iter().map(|link| Check::Orphan(inferred(link))));
        }
        links.extend(believed);
    }
    if options.wants(Kind::Duplicates) {
        checks.extend(naturals::checks(&tables, &links));
    }
    let mut suspects = suspects::checks(&tables);
    suspects.retain(|check| options.wants(kind_of(check)));
    if options.wants(Kind::Totals) {
        let totals = believed_totals(&mut counter, &links).await;
        let not_positive: Vec<Check> =
            totals.iter().filter_map(|t| totals::not_positive(t, tables.find(&t.link.parent)?)).collect();
        suspects.retain(|check| !not_positive.iter().any(|other| is_same_column(check, other)));
        suspects.extend(totals::of_items(&tables));
        suspects.extend(not_positive);
        checks.extend(totals.into_iter().map(Check::Total));
    }
    // What the schema itself says of a column is better than a guess.
    suspects.retain(|check| !declared.iter().any(|declared| says_the_same(declared, check)));
    checks.extend(suspects);
    checks.retain(|check| options.wants_table(&check.about().table));
    if options.wants(Kind::Rules) {
        for (rules, own) in options.rules.iter().zip(own) {
            prove(&counter, rules, &own).await?;
            checks.extend(own);
        }
    }
    checks.retain(|check| !options.rules.iter().any(|rules| rules.ignores(check.about())));

    let mut faults = Vec::new();
    for (check, counted) in count_all(&mut counter, checks).await {
        match judge(&tables, options, check, counted) {
            Verdict::Holds => {}
            Verdict::Broken(fault) => faults.push(*fault),
            Verdict::Meant(why) => counter.skipped.push(why),
        }
    }
    findings.extend(faults.iter().map(|fault| fault.finding.clone()));
    let target = posthaste_report::Target {
        name: catalog.server.database.clone(),
        server_version: Some(version(visit.version_num())),
    };
    let skipped = std::mem::take(&mut counter.skipped);
    let mut report = Report::new("integrity", target, findings, skipped);
    report.summary.insert("tables".into(), tables.all.len().into());
    report.summary.insert("relations".into(), links.len().into());
    Ok(Outcome { report, faults, links, catalog })
}

fn version(number: u32) -> String {
    format!("{}.{}", number / 10_000, number % 10_000)
}

fn wants_finding(options: &Options, finding: &Finding) -> bool {
    let (Some(schema), Some(table)) = (&finding.object.schema, &finding.object.table) else { return true };
    options.wants_table(&Name::new(schema, table))
}

fn link_of(check: &Check) -> Option<Link> {
    match check {
        Check::Orphan(check) => Some(check.link.clone()),
        _ => None,
    }
}

fn kind_of(check: &Check) -> Kind {
    match check.about().code {
        "time-in-future" | "times-out-of-order" => Kind::Times,
        _ => Kind::Values,
    }
}

fn is_same_column(one: &Check, other: &Check) -> bool {
    one.about().table == other.about().table
        && one.about().columns == other.about().columns
        && one.about().code == "negative-value"
}

/// Whether a CHECK speaks of the same columns as a suspicion.
fn says_the_same(declared: &Check, suspect: &Check) -> bool {
    let (one, other) = (declared.about(), suspect.about());
    let is_about_value = ["negative-value", "times-out-of-order", "total-not-positive"].contains(&other.code);
    one.code == "check-violated" && is_about_value && one.table == other.table && one.columns == other.columns
}

fn inferred(link: &Link) -> OrphanCheck {
    let says = format!(
        "point by {} to no row of `{}.{}`",
        check::ticked(&link.columns),
        link.parent.schema,
        link.parent.name
    );
    let about = check::About::new("orphans", Severity::High, &link.child, says).columns(&link.columns);
    OrphanCheck {
        about: about
            .confidence(posthaste_report::Confidence::Likely)
            .evidence("no foreign key says so; the names and the other rows do"),
        link: link.clone(),
        belief: Belief::AtMost(0.5),
        match_full: false,
    }
}

/// Looks up the values of each candidate, and believes the first of a column's that holds.
async fn believed_links(counter: &mut Counter<'_>) -> (Vec<Link>, Vec<Finding>) {
    let (mut believed, mut findings): (Vec<Link>, Vec<Finding>) = (Vec::new(), Vec::new());
    for of_column in links::candidates(counter.tables) {
        for candidate in of_column {
            let link = &candidate.link;
            let contained = match counter.contained(link).await {
                Ok(contained) => contained,
                Err(error) => {
                    let what = format!(
                        "whether `{}.{}` points to `{}`",
                        link.child.name,
                        link.columns.join(", "),
                        link.parent.name
                    );
                    counter.skip(what, &error);
                    continue;
                }
            };
            if contained.values >= candidate.values_min() && contained.share() >= candidate.share_min() {
                findings.push(findings::undeclared(&candidate, contained.values, contained.found));
                believed.push(candidate.link);
                break;
            }
        }
    }
    (believed, findings)
}

/// The sums that totals are; each total is compared with one only, that with which most agree.
async fn believed_totals(counter: &mut Counter<'_>, links: &[Link]) -> Vec<TotalCheck> {
    let mut believed: Vec<TotalCheck> = Vec::new();
    for candidates in totals::candidates(counter.tables, links) {
        if let Some(check) = counter.agreed(&candidates).await {
            believed.push(check);
        }
    }
    believed
}

/// Counts all conditions on single rows of a table in one walk, and each of the other checks by itself.
async fn count_all(counter: &mut Counter<'_>, checks: Vec<Check>) -> Vec<(Check, count::Counted)> {
    let mut counted = Vec::new();
    let tables = counter.tables;
    for table in &tables.all {
        let of_table: Vec<&Check> =
            checks.iter().filter(|check| check.about().table == *table.name()).collect();
        let rows: Vec<&RowCheck> = of_table
            .iter()
            .filter_map(|check| match check {
                Check::Row(check) => Some(check),
                _ => None,
            })
            .collect();
        let answers = counter.count_rows(table, &rows).await;
        let answers = rows.iter().zip(answers);
        counted.extend(answers.filter_map(|(check, answer)| Some((Check::Row((*check).clone()), answer?))));
        for check in of_table {
            let answer = match check {
                Check::Row(_) | Check::Query(_) => None,
                Check::Group(check) => counter.count_groups(table, check).await,
                Check::Orphan(check) => counter.count_orphans(check).await,
                Check::Total(check) => counter.count_totals(check).await,
            };
            counted.extend(answer.map(|answer| (check.clone(), answer)));
        }
    }
    // Unique indexes of single partitions, and queries, are about no table of the list.
    for check in &checks {
        let answer = match check {
            Check::Query(query) => counter.count_query(query).await,
            Check::Group(group) if tables.find(&group.about.table).is_none() => {
                let partitioned =
                    tables.all.iter().find(|t| t.leaves.iter().any(|leaf| leaf.name == group.about.table));
                match partitioned {
                    Some(table) => counter.count_groups(table, group).await,
                    None => None,
                }
            }
            _ => None,
        };
        counted.extend(answer.map(|answer| (check.clone(), answer)));
    }
    counted
}

/// The server reads the SQL of the user's own rules before anything is counted, so that a mistake is named by its
/// place in the file.
async fn prove(counter: &Counter<'_>, rules: &Rules, checks: &[Check]) -> Result<(), Error> {
    for check in checks {
        let Some((sql, start)) = counter.statement_of(check) else { continue };
        if let Err(error) = counter.visit.prepare(&sql).await {
            let Some(db) = error.db_error() else { return Err(error.into()) };
            let position = match db.position() {
                Some(posthaste_pg::driver::ErrorPosition::Original(position)) => {
                    usize::try_from(*position).ok().and_then(|position| position.checked_sub(start))
                }
                _ => None,
            };
            let name = check.about().name.clone().unwrap_or_default();
            if rules.names(&name) {
                return Err(rules.refused(&name, db.message(), position));
            }
        }
    }
    Ok(())
}
