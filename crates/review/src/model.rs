//! The lock model: what a statement does to a database, decided from its catalog and its version.
//!
//! Which form takes which mode is data ([`form`], shown in `docs/locks.md`). Code is there only for what has to be
//! computed: which relations a form reaches, whether a new type rewrites, whether a check proves what is asked.
//! `tests/verify` holds every answer against real servers. Not for: whether a statement is wise (rules), and how
//! long it takes (sizes).
//!
//! What is listed: tables, partitioned tables, foreign tables, views, materialized views, sequences, composite types
//! and indexes that were there before the statement. Left out by rule: TOAST tables and their indexes, which follow
//! their table and which nobody names, the system's own catalogs, and what the statement itself makes, which nobody
//! else can see yet. The modes are those that are held when the statement has ended and its transaction is open,
//! and for statements that are their own transactions the strongest at any time.

mod alter;
mod alter_column;
mod alter_object;
mod builder;
mod column;
mod constraint;
mod create;
mod domain;
mod drop;
pub mod form;
mod forms;
mod index;
pub mod page;
mod partition;
mod proof;
mod query;
mod relations;
mod statement;
mod syntax;
pub mod type_change;
mod upkeep;
mod volatility;

use posthaste_base::catalog::{Catalog, Name, TypeInfo, TypeKind};
use posthaste_report::{Effect, Lock, LockMode, Locked};

use crate::statement::{Expression, Statement, TypeName};
use builder::Builder;

/// What a statement does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// The strongest mode for each relation, by name.
    pub locks: Vec<Lock>,
    /// What is read or written as a whole; what is not here is neither.
    pub work: Vec<Work>,
    /// Whether it may run in a transaction block.
    pub may_be_in_transaction: bool,
    /// Why the server refuses it outright, whatever rows are there. Locks are then those of the time before.
    pub refused: Option<String>,
    /// What the catalog does not know and the answer depends on; then the answer is the worst that can be.
    pub depends_on: Vec<String>,
}

/// What happens to one relation as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Work {
    pub schema: String,
    pub on: Locked,
    pub kind: WorkKind,
}

/// From the lightest to the heaviest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkKind {
    /// A query reads or writes it, whose plan decides how much.
    Query,
    /// All its rows are read.
    Scan,
    /// It gets a new, empty file.
    Empty,
    /// An index is built: one that was there before is built anew.
    Build,
    /// All its rows are read and written to a new file.
    Rewrite,
}

/// What a statement does. `catalog` may be empty, when there is no database: then much depends.
pub fn effects(statement: &Statement, catalog: &Catalog, version_major: u32) -> Effects {
    let mut builder = Builder::new(catalog, version_major);
    statement::apply(&mut builder, statement);
    builder.finish()
}

impl Effects {
    pub fn lock_on(&self, on: &Locked, schema: &str) -> Option<LockMode> {
        self.locks.iter().find(|lock| lock.schema == schema && lock.on == *on).map(|lock| lock.mode)
    }

    /// The lock on a table, a view or a sequence.
    pub fn table_lock(&self, name: &Name) -> Option<LockMode> {
        self.lock_on(&Locked::Table(name.name.clone()), &name.schema)
    }

    pub fn index_lock(&self, name: &Name) -> Option<LockMode> {
        self.lock_on(&Locked::Index(name.name.clone()), &name.schema)
    }

    /// What happens to a table as a whole.
    pub fn table_work(&self, name: &Name) -> Option<WorkKind> {
        let is_it = |work: &&Work| work.schema == name.schema && work.on == Locked::Table(name.name.clone());
        self.work.iter().find(is_it).map(|work| work.kind)
    }

    /// The strongest of all modes.
    pub fn strongest(&self) -> Option<LockMode> {
        self.locks.iter().map(|lock| lock.mode).max()
    }

    /// In the words of findings: the heaviest of what happens to tables.
    pub fn effect(&self) -> Effect {
        let of_tables = self.work.iter().filter(|work| matches!(work.on, Locked::Table(_)));
        match of_tables.map(|work| work.kind).max() {
            Some(WorkKind::Rewrite) => Effect::Rewrite,
            Some(WorkKind::Scan | WorkKind::Build) => Effect::Scan,
            Some(WorkKind::Empty | WorkKind::Query) | None => Effect::None,
        }
    }
}

/// Whether an expression may give another value for each row, also when a function in it is not known.
pub fn is_volatile(expression: &Expression, catalog: &Catalog) -> bool {
    volatility::of_expression(catalog, expression) != volatility::Volatility::Fixed
}

/// The domain of that name, where its values are checked.
pub(crate) fn constrained_domain<'a>(name: &TypeName, catalog: &'a Catalog) -> Option<&'a TypeInfo> {
    let info = relations::type_info(catalog, name.name.schema.as_deref(), &name.name.name)?;
    let is_it = info.kind == TypeKind::Domain && name.array_dimensions == 0;
    (is_it && relations::is_constrained(catalog, info)).then_some(info)
}
