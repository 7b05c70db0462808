//! What a statement does, as rules ask for it: locks, tables that it reads or writes whole, how long that takes.
//!
//! Not for: knowing it (see `model`), and for judging it (see `severity`).

mod assumed;

use posthaste_base::catalog::Name;
use posthaste_report::{Effect, Lock, LockMode, Locked};

use crate::config::Thresholds;
use crate::context::{State, locked_table};
use crate::model::{self, Effects, WorkKind};
use crate::rows;
use crate::severity::{self, Work};
use crate::statement::{Action, Alter, ColumnConstraintKind, QueryKind, Statement, TableConstraintKind};

/// Of a statement, and of each clause of an ALTER as if it stood alone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub whole: Part,
    pub parts: Vec<Part>,
    /// How long it takes, where that is known; for statements over rows by their estimated number.
    pub seconds: Option<f64>,
    /// Rows that it writes, as estimated.
    pub rows: Option<u64>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    pub locks: Vec<Lock>,
    /// Tables that it reads or writes whole; an index that is built counts for its table.
    pub works: Vec<(Name, Work)>,
    /// Whether PostgreSQL refuses it in a transaction block.
    pub stands_alone: bool,
    /// What was not known, so that the worst was assumed.
    pub depends_on: Vec<String>,
    /// Why the server refuses it, as far as its catalog says.
    pub refused: Option<String>,
}

/// Everything about a statement, before it has run.
pub(crate) fn of(statement: &Statement, state: &State, version: u32, thresholds: &Thresholds) -> Facts {
    let whole = part(statement, state, version);
    let parts = match statement {
        Statement::Alter(alter) if alter.clauses.len() > 1 => {
            alter.clauses.iter().map(|clause| alone(alter, clause, state, version)).collect()
        }
        Statement::Alter(_) => vec![whole.clone()],
        _ => Vec::new(),
    };
    let mut facts = Facts { whole, parts, seconds: None, rows: None };
    if let Statement::Alter(alter) = statement {
        facts.attribute(alter);
    }
    if let Statement::Query(query) = statement {
        let estimate = rows::of(query, state);
        facts.rows = estimate.rows;
        let writes = matches!(query.kind, QueryKind::Update | QueryKind::Delete | QueryKind::Merge);
        facts.seconds = if writes && !estimate.is_single {
            estimate.rows.map(|rows| severity::to_f64(rows) / severity::to_f64(thresholds.write_rows_per_s))
        } else {
            Some(0.0)
        };
    } else {
        facts.seconds = facts.whole.seconds(state, thresholds);
    }
    facts
}

/// What a clause would do as the only one.
fn alone(alter: &Alter, clause: &crate::statement::AlterClause, state: &State, version: u32) -> Part {
    let single = Alter { clauses: vec![clause.clone()], ..alter_without_clauses(alter) };
    part(&Statement::Alter(Box::new(single)), state, version)
}

fn part(statement: &Statement, state: &State, version: u32) -> Part {
    let mut part = Part::of(model::effects(statement, &state.catalog, version), state);
    assumed::add(&mut part, statement, state);
    if builds_index(statement) {
        for (_, work) in part.works.iter_mut().filter(|(_, work)| *work == Work::Scan) {
            *work = Work::Build;
        }
    }
    part
}

/// Whether the scan of a table is that of an index build, which sorts and writes as well.
fn builds_index(statement: &Statement) -> bool {
    let of_column = |kind: &ColumnConstraintKind| {
        matches!(kind, ColumnConstraintKind::Unique { .. } | ColumnConstraintKind::PrimaryKey { .. })
    };
    match statement {
        Statement::CreateIndex(_) | Statement::Reindex(_) => true,
        Statement::Alter(alter) => alter.clauses.iter().any(|clause| match &clause.action {
            Action::AddConstraint(constraint) => matches!(
                constraint.kind,
                TableConstraintKind::Unique { .. }
                    | TableConstraintKind::PrimaryKey { using_index: None, .. }
                    | TableConstraintKind::Exclude { .. }
            ),
            Action::AddColumn { column, .. } => column.constraints.iter().any(|c| of_column(&c.kind)),
            _ => false,
        }),
        _ => false,
    }
}

fn alter_without_clauses(alter: &Alter) -> Alter {
    Alter {
        kind: alter.kind,
        name: alter.name.clone(),
        if_exists: alter.if_exists,
        is_only: alter.is_only,
        on: alter.on.clone(),
        arguments: alter.arguments.clone(),
        clauses: Vec::new(),
    }
}

impl Facts {
    /// What no clause would do alone is the first one's that may: dropping the proof in the same ALTER makes SET NOT
    /// NULL read the table.
    fn attribute(&mut self, alter: &Alter) {
        let may_work = |action: &Action| {
            matches!(action, Action::SetNotNull { .. } | Action::AddConstraint(_) | Action::SetType { .. })
        };
        let Some(at) = alter.clauses.iter().position(|clause| may_work(&clause.action)) else { return };
        for (table, work) in &self.whole.works {
            let is_said = self
                .parts
                .iter()
                .any(|part| part.works.iter().any(|(name, known)| name == table && known >= work));
            if !is_said && let Some(part) = self.parts.get_mut(at) {
                part.works.push((table.clone(), *work));
            }
        }
    }
}

impl Part {
    fn of(effects: Effects, state: &State) -> Self {
        let mut works = Vec::new();
        for work in &effects.work {
            let kind = match work.kind {
                WorkKind::Query | WorkKind::Empty => continue,
                WorkKind::Scan => Work::Scan,
                WorkKind::Build => Work::Build,
                WorkKind::Rewrite => Work::Rewrite,
            };
            match &work.on {
                Locked::Table(table) => works.push((Name::new(&work.schema, table), kind)),
                Locked::Index(index) => {
                    if let Some((table, _)) = state.catalog.index(Some(&work.schema), index) {
                        works.push((table.name.clone(), kind.min(Work::Build)));
                    }
                }
            }
        }
        works.sort();
        // The heaviest of each table is last.
        works.reverse();
        works.dedup_by(|later, first| later.0 == first.0);
        works.reverse();
        Self {
            locks: effects.locks,
            works,
            stands_alone: !effects.may_be_in_transaction,
            depends_on: effects.depends_on,
            refused: effects.refused,
        }
    }

    /// The strongest lock that it takes on a table.
    pub(crate) fn mode(&self, table: &Name) -> Option<LockMode> {
        let on_it = self.locks.iter().filter(|lock| locked_table(lock).as_ref() == Some(table));
        on_it.map(|lock| lock.mode).max()
    }

    pub(crate) fn effect(&self) -> Effect {
        self.works.iter().map(|(_, work)| work.effect()).max().unwrap_or_default()
    }

    /// Tables that it locks, with the strongest mode of each.
    pub(crate) fn tables(&self) -> Vec<(Name, LockMode)> {
        let mut tables: Vec<(Name, LockMode)> = Vec::new();
        for lock in &self.locks {
            let Some(name) = locked_table(lock) else { continue };
            match tables.iter_mut().find(|(known, _)| *known == name) {
                Some((_, mode)) => *mode = (*mode).max(lock.mode),
                None => tables.push((name, lock.mode)),
            }
        }
        tables
    }

    /// How long its work takes, when all sizes are known.
    fn seconds(&self, state: &State, thresholds: &Thresholds) -> Option<f64> {
        let mut total = 0.0;
        let server = state.has_catalog.then_some(&state.catalog.server);
        for (table, work) in &self.works {
            if state.made.contains(table) && !state.filled.contains(table) {
                continue;
            }
            let bytes = state.volume(table).bytes(*work)?;
            total += severity::seconds(bytes, *work, server, thresholds).0;
        }
        Some(total)
    }
}
