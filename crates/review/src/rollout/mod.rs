//! The rollout planner: a migration becomes phases of steps that disturb nobody, each of which can be read first.
//!
//! A route is what takes one form online: an index is built concurrently, a constraint is declared NOT VALID and
//! checked later, a type change goes over a successor column. What is harmless as it is stays as it was written.
//! Where there is no route, the plan says so, and what the outage costs. Not for: running a plan, and for proving
//! that it ends where the migration would (see `change`).

mod body;
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
mod outage;
mod partition;
mod remade;
mod rename;
mod rows;
mod template;
mod text;
mod type_change;
mod world;

use std::collections::BTreeMap;

use posthaste_base::catalog::Catalog;
use posthaste_base::quote::identifier;
use posthaste_report::{Gate, Plan};

use crate::model;
use crate::script::Script;
use crate::statement::{
    Action, Alter, AlterClause, Expression, Located, ObjectKind, Query, QueryKind, Statement,
};
use draft::{Draft, Stage, Undo};
pub use ends::compare;
use judge::Danger;
use outage::NoRoute;
pub use outage::{NO_ONLINE_WAY, Outage, Refusal};
use template::template;
use world::World;

#[derive(Clone, Debug)]
pub struct RolloutOptions {
    /// What the plan is called.
    pub title: String,
    /// The server's major version; that of the catalog when there is one.
    pub version: u32,
}

#[derive(Clone, Debug)]
pub struct Rollout {
    pub plan: Plan,
    /// What has no online way: a step that says so, or left out.
    pub refusals: Vec<Refusal>,
}

/// Settings that the runner makes itself, for each step.
const TIMEOUTS: &[&str] =
    &["lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout"];

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

    /// As the only one of its statement.
    fn alone(&self) -> Statement {
        Statement::Alter(Box::new(Alter { clauses: vec![self.clause.clone()], ..self.alter.clone() }))
    }

    fn title(&self) -> String {
        let words: Vec<&str> = self.text.split_whitespace().take(4).collect();
        format!("{}: {}", self.alter.name, words.join(" ").to_lowercase())
    }
}

/// Why a statement goes as it was written, though by itself it has a way.
const BREAKS_ON_FILE: &str =
    "it has a way as a migration of its own, which breaks on the other statements of this file";

/// Makes the rollout of one migration. `text` is the file that the script was parsed from.
pub fn rollout(script: &Script, text: &str, catalog: &Catalog, options: &RolloutOptions) -> Rollout {
    let version = if catalog.server.version_num > 0 { catalog.server.major() } else { options.version };
    // What our own review finds dangerous in the end had no way; it goes as it was written, and says so.
    let mut without_way: BTreeMap<u32, NoRoute> = BTreeMap::new();
    loop {
        let (made, dangers) = attempt(script, text, catalog, version, &options.title, &without_way);
        if dangers.is_empty() {
            return made;
        }
        let of_file = dangers.into_iter().map(|(number, no)| {
            let alone = script.statements.iter().filter(|one| one.number == number).cloned().collect();
            let alone = Script { statements: alone, ..Script::default() };
            let (made, dangers) = attempt(&alone, text, catalog, version, &options.title, &BTreeMap::new());
            let has_way = dangers.is_empty() && made.refusals.is_empty();
            (number, if has_way { no.because_of(BREAKS_ON_FILE) } else { no })
        });
        without_way.extend(of_file);
    }
}

/// The rollout when those statements have no way, and the statements of steps that are dangerous all the same.
fn attempt(
    script: &Script,
    text: &str,
    catalog: &Catalog,
    version: u32,
    title: &str,
    without_way: &BTreeMap<u32, NoRoute>,
) -> (Rollout, BTreeMap<u32, NoRoute>) {
    let world = World::new(text, catalog, &script.statements, version);
    let mut draft = Draft::default();
    for located in &script.statements {
        draft.begin(located);
        let (before, names) = (draft.mark(), world.mark());
        if let Some(group) = remade::of(&world, located.number) {
            let no = group.numbers().find_map(|number| without_way.get(&number).cloned());
            remade::take(&mut draft, &world, located, group, no);
            continue;
        }
        let made = match without_way.get(&located.number) {
            Some(no) => Err(no.clone()),
            None => statement(&mut draft, &world, located),
        };
        if let Err(no) = made {
            draft.restore(&before);
            world.restore(names);
            let undo = inverse::of(&world, &located.statement);
            let texts = vec![located_text(located)];
            outage::settle(&mut draft, &world, no, &located.statement, texts, undo);
        }
    }
    let (notes, owners) = (std::mem::take(&mut draft.notes), std::mem::take(&mut draft.owners));
    let mut refusals = std::mem::take(&mut draft.refusals);
    let mut plan = Plan {
        version: Plan::VERSION,
        title: title.to_owned(),
        kind: "rollout".into(),
        database: catalog.server.database.clone(),
        fingerprint: None,
        notes,
        gates: gates(),
        phases: draft.into_phases(),
    };
    measure::measure(&mut plan, catalog, version);
    outage::say(&mut plan, &mut refusals, catalog);
    let dangers = judge::judge(&mut plan, catalog, version, &owners);
    let of_statement = |danger: Danger| Some((*owners.get(&danger.step)?, danger.no));
    (Rollout { plan, refusals }, dangers.into_iter().filter_map(of_statement).collect())
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
        Statement::Set(_) | Statement::Reset(_) => Err(NoRoute::at_all(
            "a setting of the session does not reach the other steps; write names with their schema in place of it",
        )),
        Statement::Alter(alter) => alter_statement(draft, world, located, alter),
        Statement::CreateIndex(create) => index::create(draft, world, located, create),
        Statement::Drop(drop) if drop.kind == ObjectKind::Index => {
            index::drop(draft, world, located, drop);
            Ok(())
        }
        Statement::Drop(drop) => drop::object(draft, world, located, drop),
        Statement::CreateTable(create) => partition::create(draft, world, located, create),
        Statement::Reindex(reindex) => index::reindex(draft, world, located, reindex),
        Statement::Query(query) => body::query(draft, world, located, query),
        Statement::Do(block) => body::block(draft, world, located, block),
        Statement::Call(_) => body::call(draft, world, located),
        // It runs nothing yet, and what runs is written out.
        Statement::Prepare(_) => Ok(()),
        Statement::Opaque { keyword } if keyword.starts_with("DEALLOCATE") => Ok(()),
        Statement::Execute(execute) => body::execute(draft, world, located, execute),
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
            Err(NoRoute::new("only a view with a unique index can be filled anew while it is read"))
        }
        Statement::Cluster(_) => Err(NoRoute::new("CLUSTER writes the table anew while nobody may read it")),
        Statement::Vacuum(vacuum) if vacuum.is_full => Err(NoRoute::new(
            "VACUUM FULL writes the table anew while nobody may read it; plain VACUUM does not",
        )),
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
            Err(NoRoute::at_all(format!("\\{} is for psql, and no statement of SQL", meta.name)))
        }
        Statement::Broken => Err(NoRoute::at_all("the statement is not understood")),
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
    if let Some(no) = remade::comes_too_early(world, located) {
        return Err(no);
    }
    let stage = stage_of(draft, world, &located.text);
    match &located.statement {
        Statement::CreateTable(create) => world.makes(&create.name),
        Statement::CreateTableAs(create) => world.makes(&create.name),
        _ => {}
    }
    if stage != Stage::Expand
        && let Some(made) = remade::made(world, &located.statement)
    {
        world.makes_late(&made.name.name);
    }
    if !effects.may_be_in_transaction {
        draft.alone(stage, title, text, None, inverse::of(world, &located.statement));
    } else {
        draft.transaction(stage, title, vec![text], inverse::of(world, &located.statement));
    }
    Ok(())
}

/// The first phase, unless it names what is not there by then.
fn stage_of(draft: &Draft, world: &World<'_>, text: &str) -> Stage {
    if world.is_late(text) { draft.latest() } else { Stage::Expand }
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
        if measure::disturbs(&model::effects(&located.statement, world.catalog, world.version)) {
            return Err(NoRoute::new("every table that holds the type is read or written anew at once"));
        }
        return as_it_is(draft, world, located);
    }
    let Some(first) = alter.clauses.first() else { return as_it_is(draft, world, located) };
    let head = world.text.get(located.span.start..first.span.start).unwrap_or_default();
    let mut together = Vec::new();
    let mut without_way = Vec::new();
    for clause in &alter.clauses {
        let clause = Clause { alter, clause, number: located.number, head, text: world.cut(clause.span) };
        let (before, names) = (draft.mark(), world.mark());
        match take_route(draft, world, &clause) {
            Ok(true) => {}
            Ok(false) => together.push(clause),
            Err(no) => {
                draft.restore(&before);
                world.restore(names);
                without_way.push((clause, no));
            }
        }
    }
    if together.len() == alter.clauses.len() {
        return as_it_is(draft, world, located);
    }
    for clause in together {
        let undo = inverse::of_clause(world, alter, clause.clause);
        let stage = stage_of(draft, world, &clause.statement());
        draft.transaction(stage, clause.title(), vec![clause.statement()], undo);
    }
    for (clause, no) in without_way {
        let undo = inverse::of_clause(world, alter, clause.clause);
        outage::settle(draft, world, no, &clause.alone(), vec![clause.statement()], undo);
    }
    Ok(())
}

/// Whether the clause has a way of its own.
fn take_route(draft: &mut Draft, world: &World<'_>, clause: &Clause<'_>) -> Result<bool, NoRoute> {
    let table = world.filled(&clause.alter.name);
    if let Action::SetType { column, .. } | Action::DropColumn { column, is_cascade: false, .. } =
        &clause.clause.action
        && let Some(relation) = world.relation(&clause.alter.name)
        && !(table.is_some()
            && (disturbs(world, clause) || matches!(clause.clause.action, Action::DropColumn { .. })))
        && remade::change_under_views(draft, world, clause, relation, &column.name)?
    {
        return Ok(true);
    }
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
        (Action::AddColumn { column, if_not_exists }, Some(table)) => {
            let is_there = table.columns.iter().any(|known| known.name == column.name.name);
            if let Some(no) = column::fails(table, column).filter(|_| !(*if_not_exists && is_there)) {
                return Err(no);
            }
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
                number: clause.number,
                column,
                type_name,
                collation: collation.as_ref(),
                using: using.as_ref(),
            };
            type_change::change(draft, world, table, &change)?;
        }
        (_, Some(_)) => {
            if !disturbs(world, clause) {
                return Ok(false);
            }
            return Err(NoRoute::new("it reads or writes the whole table under a lock that stops others"));
        }
    }
    Ok(true)
}

/// Whether the clause, by itself, reads or writes a table whole under a lock that stops writers.
fn disturbs(world: &World<'_>, clause: &Clause<'_>) -> bool {
    measure::disturbs(&model::effects(&clause.alone(), world.catalog, world.version))
}

/// A domain's constraint is declared for new values first; checking it reads every table of the domain under SHARE.
fn domain(draft: &mut Draft, world: &World<'_>, located: &Located, alter: &Alter) -> Result<(), NoRoute> {
    if !measure::disturbs(&model::effects(&located.statement, world.catalog, world.version)) {
        return as_it_is(draft, world, located);
    }
    let why = "it reads every table of the domain under SHARE, so that nobody may write to them meanwhile";
    let [AlterClause { action: Action::AddConstraint(added), .. }] = alter.clauses.as_slice() else {
        return Err(NoRoute::new(why));
    };
    let Some(name) = added.name.as_ref().filter(|_| !added.timing.is_not_valid) else {
        return Err(NoRoute::new(why));
    };
    let domain = world.type_name(&alter.name).quoted();
    let with = [("domain", domain.as_str()), ("constraint", &identifier(&name.name))];
    let text = format!("{} not valid", located_text(located));
    let title = format!("declare a constraint of {} for new values", alter.name);
    let undo = Undo::By(vec![template!("drop_domain_constraint").with(&with)]);
    draft.transaction(Stage::Validate, title, vec![text], undo);
    let text = template!("validate_domain").with(&with);
    let check = crate::parse(&text).statements;
    let check = check.first().map_or(&located.statement, |located| &located.statement);
    outage::settle(draft, world, NoRoute::new(why), check, vec![text], Undo::WithAnother);
    Ok(())
}

fn rows_statement(
    draft: &mut Draft,
    world: &World<'_>,
    located: &Located,
    query: &Query,
) -> Result<(), NoRoute> {
    if let Some(no) = remade::comes_too_early(world, located) {
        return Err(no);
    }
    if matches!(query.kind, QueryKind::Update | QueryKind::Delete)
        && !world.is_late(&located.text)
        && let Some(target) = &query.target
        && let Some(table) = world.filled(&target.name)
    {
        return rows::change(draft, world, located, query, table);
    }
    let title = short(&located.text);
    let stage = if world.is_late(&located.text) { draft.latest() } else { Stage::Backfill };
    draft.transaction(stage, title, vec![located_text(located)], Undo::Impossible);
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
