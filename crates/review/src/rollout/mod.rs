//! The rollout planner: a migration becomes phases of steps that disturb nobody, each of which can be read first.
//!
//! A route is what takes one form online: an index is built concurrently, a constraint is declared NOT VALID and
//! checked later, a type change goes over a successor column. What is harmless as it is stays as it was written.
//! Where there is no route, the plan says so, and what the outage costs. Not for: running a plan, and for proving
//! that it ends where the migration would (see `change`).

mod column;
mod constraint;
mod draft;
mod drop;
mod ends;
mod index;
mod inverse;
mod judge;
mod measure;
mod numbers;
mod partition;
mod rename;
mod rows;
mod template;
mod text;
mod type_change;
mod world;

use posthaste_base::catalog::{Catalog, Relation};
use posthaste_report::{Gate, Plan};

use crate::model;
use crate::script::Script;
use crate::statement::{
    Action, Alter, AlterClause, Expression, Located, ObjectKind, Query, QueryKind, Statement,
};
use draft::{Draft, Stage, Undo};
pub use ends::compare;
pub use judge::Danger;
use template::template;
use world::World;

#[derive(Clone, Debug)]
pub struct RolloutOptions {
    /// What the plan is called.
    pub title: String,
    /// The server's major version; that of the catalog when there is one.
    pub version: u32,
}

/// A statement for which there is no way without an outage.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// From 1.
    pub statement: u32,
    pub line: u32,
    /// Its first words.
    pub keyword: String,
    pub why: String,
    /// Bytes that are read or written under a lock that stops others, as far as the catalog says.
    pub outage_bytes: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct Rollout {
    pub plan: Plan,
    /// What is not in the plan.
    pub refusals: Vec<Refusal>,
    /// Steps that our own review finds dangerous. A plan with one is not to be written.
    pub dangers: Vec<Danger>,
}

/// Settings that the runner makes itself, for each step.
const TIMEOUTS: &[&str] =
    &["lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout"];

/// Why a form has no route, and what it costs to run it as it is.
pub(crate) struct NoRoute {
    why: String,
    outage_bytes: Option<u64>,
}

impl NoRoute {
    fn new(why: impl Into<String>, table: &Relation) -> Self {
        Self { why: why.into(), outage_bytes: Some(table.size.bytes + table.size.toast_bytes) }
    }

    /// It reads and writes nothing, and breaks others all the same.
    fn brief(why: impl Into<String>) -> Self {
        Self { why: why.into(), outage_bytes: Some(0) }
    }

    fn of_nothing(why: impl Into<String>) -> Self {
        Self { why: why.into(), outage_bytes: None }
    }
}

/// One clause of an ALTER TABLE, which can stand by itself.
pub(crate) struct Clause<'a> {
    alter: &'a Alter,
    clause: &'a AlterClause,
    /// Of its statement, from 1.
    number: u32,
    /// `ALTER TABLE name`, as it was written.
    head: &'a str,
    text: &'a str,
}

impl Clause<'_> {
    fn statement(&self) -> String {
        format!("{} {}", self.head.trim_end(), self.text)
    }

    fn title(&self) -> String {
        let words: Vec<&str> = self.text.split_whitespace().take(4).collect();
        format!("{}: {}", self.alter.name, words.join(" ").to_lowercase())
    }
}

/// Makes the rollout of one migration. `text` is the file that the script was parsed from.
pub fn rollout(script: &Script, text: &str, catalog: &Catalog, options: &RolloutOptions) -> Rollout {
    let version = if catalog.server.version_num > 0 { catalog.server.major() } else { options.version };
    let world = World::new(text, catalog, &script.statements, version);
    let mut draft = Draft::default();
    let mut refusals = Vec::new();
    for located in &script.statements {
        if let Err(no) = statement(&mut draft, &world, located) {
            refusals.push(Refusal {
                statement: located.number,
                line: located.line,
                keyword: located.statement.keyword(),
                why: no.why,
                outage_bytes: no.outage_bytes,
            });
        }
    }
    let notes = std::mem::take(&mut draft.notes);
    let mut plan = Plan {
        version: Plan::VERSION,
        title: options.title.clone(),
        kind: "rollout".into(),
        database: catalog.server.database.clone(),
        fingerprint: None,
        notes,
        gates: gates(),
        phases: draft.into_phases(),
    };
    measure::measure(&mut plan, catalog, version);
    let dangers = judge::judge(&mut plan, catalog, version);
    Rollout { plan, refusals, dangers }
}

/// The checklist before a change: what Posthaste sees by itself, and what a person must say.
fn gates() -> Vec<Gate> {
    let approval = |name: &str, about: &str| Gate::Approval { name: name.into(), about: about.into() };
    vec![
        Gate::Backup { max_age_s: 3_600 },
        Gate::ReplicaLag { max_ms: 10_000 },
        Gate::OldestTransaction { max_ms: 60_000 },
        approval("reviewed", "a second person has read this plan"),
        approval("staging", "it ran on a copy with data like that of production"),
        approval("team", "the team knows when it runs, and who is on call"),
    ]
}

fn statement(draft: &mut Draft, world: &World<'_>, located: &Located) -> Result<(), NoRoute> {
    match &located.statement {
        // Each step has a transaction of its own.
        Statement::Transaction(_) => Ok(()),
        Statement::Set(set) if TIMEOUTS.contains(&set.name.as_str()) => Ok(()),
        Statement::Set(_) | Statement::Reset(_) => Err(NoRoute::of_nothing(
            "a setting of the session does not reach the other steps; write names with their schema in place of it",
        )),
        Statement::Alter(alter) => alter_statement(draft, world, located, alter),
        Statement::CreateIndex(create) => index::create(draft, world, located, create),
        Statement::Drop(drop) if drop.kind == ObjectKind::Index => {
            index::drop(draft, world, located, drop);
            Ok(())
        }
        Statement::Drop(drop) => {
            drop::object(draft, world, located, drop);
            Ok(())
        }
        Statement::Reindex(reindex) => index::reindex(draft, world, located, reindex),
        Statement::Query(query) => rows_statement(draft, world, located, query),
        Statement::Refresh(refresh) if !refresh.is_concurrent => {
            let Some(view) = world.filled(&refresh.view) else { return as_it_is(draft, world, located) };
            if view.indexes.iter().any(|index| index.is_unique && index.is_valid && index.predicate.is_none())
            {
                let text = template!("refresh").with(&[("view", &view.name.quoted())]);
                draft.transaction(
                    Stage::Backfill,
                    format!("fill {} anew", view.name.name),
                    vec![text],
                    Undo::WithAnother,
                );
                return Ok(());
            }
            Err(NoRoute::new("only a view with a unique index can be filled anew while it is read", view))
        }
        Statement::Cluster(_) => {
            no_way(world, located, "CLUSTER writes the table anew while nobody may read it")
        }
        Statement::Vacuum(vacuum) if vacuum.is_full => no_way(
            world,
            located,
            "VACUUM FULL writes the table anew while nobody may read it; plain VACUUM does not",
        ),
        Statement::Truncate(_) => {
            draft.manual(
                Stage::Contract,
                "make sure that the rows may go",
                "TRUNCATE takes all rows away, and they cannot be brought back but from a backup.",
            );
            let text = located_text(located);
            draft.transaction(Stage::Contract, located.statement.keyword(), vec![text], Undo::Impossible);
            Ok(())
        }
        Statement::Meta(meta) => {
            Err(NoRoute::of_nothing(format!("\\{} is for psql, and no statement of SQL", meta.name)))
        }
        Statement::Broken => Err(NoRoute::of_nothing("the statement is not understood")),
        _ => as_it_is(draft, world, located),
    }
}

/// What runs as it was written, in the first phase: it is harmless, or nobody knows a better way.
fn as_it_is(draft: &mut Draft, world: &World<'_>, located: &Located) -> Result<(), NoRoute> {
    let effects = model::effects(&located.statement, world.catalog, world.version);
    let text = located_text(located);
    let title = short(&located.text);
    if matches!(located.statement, Statement::Do(_) | Statement::Call(_) | Statement::Unknown { .. }) {
        draft.note(format!(
            "Statement {} runs code of its own ({}): what it locks is known only as far as its text shows.",
            located.number, title
        ));
    }
    match &located.statement {
        Statement::CreateTable(create) => world.makes(&create.name),
        Statement::CreateTableAs(create) => world.makes(&create.name),
        _ => {}
    }
    if !effects.may_be_in_transaction {
        draft.alone(Stage::Expand, title, text, None, inverse::of(world, &located.statement));
    } else {
        draft.transaction(Stage::Expand, title, vec![text], inverse::of(world, &located.statement));
    }
    Ok(())
}

fn no_way(world: &World<'_>, located: &Located, why: &str) -> Result<(), NoRoute> {
    let effects = model::effects(&located.statement, world.catalog, world.version);
    Err(NoRoute { why: why.to_owned(), outage_bytes: measure::bytes(&effects, world.catalog) })
}

/// Clauses that cost nothing stay together as they were written; the others go their own ways.
fn alter_statement(
    draft: &mut Draft,
    world: &World<'_>,
    located: &Located,
    alter: &Alter,
) -> Result<(), NoRoute> {
    if alter.kind == ObjectKind::Domain {
        return domain(draft, world, located, alter);
    }
    if alter.kind == ObjectKind::Type {
        return as_it_is(draft, world, located);
    }
    let Some(first) = alter.clauses.first() else { return as_it_is(draft, world, located) };
    let head = world.text.get(located.span.start..first.span.start).unwrap_or_default();
    let mut together = Vec::new();
    for clause in &alter.clauses {
        let clause = Clause { alter, clause, number: located.number, head, text: world.cut(clause.span) };
        if !take_route(draft, world, &clause)? {
            together.push(clause);
        }
    }
    if together.len() == alter.clauses.len() {
        return as_it_is(draft, world, located);
    }
    for clause in together {
        let undo = inverse::of_clause(world, alter, clause.clause);
        draft.transaction(Stage::Expand, clause.title(), vec![clause.statement()], undo);
    }
    Ok(())
}

/// Whether the clause has a way of its own.
fn take_route(draft: &mut Draft, world: &World<'_>, clause: &Clause<'_>) -> Result<bool, NoRoute> {
    let table = world.filled(&clause.alter.name);
    match (&clause.clause.action, table) {
        (Action::RenameTo { to }, _) if clause.alter.kind == ObjectKind::Table => {
            drop::rename_table(draft, world, clause, to);
        }
        (Action::RenameColumn { from, to }, _) => rename::column(draft, world, clause, from, to)?,
        (Action::DropColumn { column, .. }, Some(_)) => drop::column(draft, world, clause, column),
        (Action::AttachPartition { partition, bound }, _) => {
            partition::attach(draft, world, clause, partition, bound)?;
        }
        (Action::DetachPartition { partition, is_concurrent: false, is_finalize: false }, Some(_)) => {
            partition::detach(draft, world, clause, partition);
        }
        // From here on, a table without rows needs no route.
        (_, None) => return Ok(false),
        (Action::AddColumn { column, .. }, Some(table)) => {
            if !disturbs(world, clause) {
                return Ok(false);
            }
            column::add(draft, world, table, column)?;
        }
        (Action::AddConstraint(added), Some(table)) => {
            constraint::add(draft, world, clause, table, added)?;
        }
        (Action::DropConstraint { constraint, .. }, Some(table)) => {
            constraint::drop(draft, world, clause, table, constraint);
        }
        (Action::ValidateConstraint { constraint }, Some(table)) => {
            constraint::validate(draft, &table.name, &constraint.name);
        }
        (Action::SetNotNull { column }, Some(table)) => constraint::not_null(draft, table, &column.name),
        (Action::SetType { column, type_name, collation, using }, Some(table)) => {
            if !disturbs(world, clause) {
                return Ok(false);
            }
            let change = type_change::Change {
                column,
                type_name,
                collation: collation.as_ref(),
                using: using.as_ref(),
            };
            type_change::change(draft, world, table, &change)?;
        }
        (_, Some(table)) => {
            if !disturbs(world, clause) {
                return Ok(false);
            }
            return Err(NoRoute::new(
                "it reads or writes the whole table under a lock that stops others",
                table,
            ));
        }
    }
    Ok(true)
}

/// Whether the clause, by itself, reads or writes a table whole under a lock that stops writers.
fn disturbs(world: &World<'_>, clause: &Clause<'_>) -> bool {
    let alone =
        Statement::Alter(Box::new(Alter { clauses: vec![clause.clause.clone()], ..clause.alter.clone() }));
    measure::disturbs(&model::effects(&alone, world.catalog, world.version))
}

/// A domain's constraint is declared for new values first; checking it reads every table of the domain under SHARE.
fn domain(draft: &mut Draft, world: &World<'_>, located: &Located, alter: &Alter) -> Result<(), NoRoute> {
    let effects = model::effects(&located.statement, world.catalog, world.version);
    let [AlterClause { action: Action::AddConstraint(added), .. }] = alter.clauses.as_slice() else {
        if measure::disturbs(&effects) {
            return no_way(
                world,
                located,
                "it reads every table of the domain while nobody may write to them",
            );
        }
        return as_it_is(draft, world, located);
    };
    if added.timing.is_not_valid || !measure::disturbs(&effects) {
        return as_it_is(draft, world, located);
    }
    let text = format!("{} not valid", located_text(located));
    let title = format!("declare a constraint of {} for new values", alter.name);
    draft.transaction(Stage::Validate, title, vec![text], Undo::Impossible);
    Err(NoRoute {
        why: "VALIDATE CONSTRAINT reads every table of the domain under SHARE, so that nobody may write to them \
              meanwhile; until then the constraint holds for new values only"
            .into(),
        outage_bytes: measure::bytes(&effects, world.catalog),
    })
}

fn rows_statement(
    draft: &mut Draft,
    world: &World<'_>,
    located: &Located,
    query: &Query,
) -> Result<(), NoRoute> {
    if matches!(query.kind, QueryKind::Update | QueryKind::Delete)
        && let Some(target) = &query.target
        && let Some(table) = world.filled(&target.name)
    {
        return rows::change(draft, world, located, query, table);
    }
    let title = short(&located.text);
    draft.transaction(Stage::Backfill, title, vec![located_text(located)], Undo::Impossible);
    Ok(())
}

/// Whether an expression may give another value for each row.
fn is_volatile(world: &World<'_>, expression: &Expression) -> bool {
    model::is_volatile(expression, world.catalog)
}

/// The statement as it was written, without what ends it.
fn located_text(located: &Located) -> String {
    located.text.trim().trim_end_matches(';').trim_end().to_owned()
}

/// The beginning of a statement, for a title.
fn short(text: &str) -> String {
    let head = text.split('(').next().unwrap_or_default();
    let words: Vec<&str> = head.split_whitespace().take(6).collect();
    words.join(" ").to_lowercase()
}
