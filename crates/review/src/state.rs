//! The database as it is between two statements of a review: the catalog, and what the review's own files made.
//!
//! Not for: the locks and the cost of a statement (see `model`).

use std::collections::BTreeSet;

use posthaste_base::catalog::{Catalog, Constraint, ConstraintKind, Name, Relation};

use crate::severity::Volume;
use crate::simulate;
use crate::statement::{Action, Alter, InsertSource, ObjectName, QueryKind, Statement, TableConstraintKind};

#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    pub catalog: Catalog,
    /// Whether the catalog is of a real database, so that what is not in it is not there.
    pub has_catalog: bool,
    /// Relations that this review's files made: nobody uses them yet.
    pub made: BTreeSet<Name>,
    /// Types, functions and sequences that this review's files made.
    pub made_others: BTreeSet<Name>,
    /// Tables that this review's files made and then filled.
    pub filled: BTreeSet<Name>,
    /// Columns that they added, by table; and those of them that are NULL everywhere.
    pub added: BTreeSet<(Name, String)>,
    pub added_null: BTreeSet<(Name, String)>,
    /// CHECKs of the files that say that a column is not NULL, with the column; and the columns of those that were
    /// proven. For tables that no catalog tells of.
    pub checks: Vec<(Name, String, String)>,
    pub proven: BTreeSet<(Name, String)>,
    /// Foreign keys that they dropped: until then they proved something.
    pub dropped_keys: Vec<(Name, Constraint)>,
}

impl State {
    /// Of a real database, or of nothing that is known.
    pub(crate) fn new(catalog: Option<&Catalog>) -> Self {
        let has_catalog = catalog.is_some();
        let mut catalog = catalog.cloned().unwrap_or_default();
        if catalog.search_path.is_empty() {
            catalog.search_path = vec!["public".to_owned()];
        }
        if !has_catalog {
            // What no file makes may be there all the same.
            catalog.unread.push("the whole database".to_owned());
        }
        Self { catalog, has_catalog, ..Self::default() }
    }

    /// The next file begins. What earlier ones made is still nobody's, when it is known that it is not there yet;
    /// without a catalog they may have run long ago.
    pub(crate) fn next_file(&mut self) {
        if !self.has_catalog {
            self.made.clear();
            self.made_others.clear();
            self.filled.clear();
            self.added.clear();
            self.added_null.clear();
            self.dropped_keys.clear();
        }
    }

    pub(crate) fn name(&self, name: &ObjectName) -> Name {
        if let Some(relation) = self.catalog.relation(name.schema.as_deref(), &name.name) {
            return relation.name.clone();
        }
        self.made_name(name)
    }

    pub(crate) fn made_name(&self, name: &ObjectName) -> Name {
        simulate::made(&self.catalog, name).unwrap_or_else(|_| name.in_schema("public"))
    }

    pub(crate) fn relation(&self, name: &Name) -> Option<&Relation> {
        self.catalog.relation(Some(&name.schema), &name.name)
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.has_catalog
    }

    /// Sizes are those of a real catalog; without one nothing is known but of what the files made.
    pub(crate) fn volume(&self, table: &Name) -> Volume {
        match self.relation(table) {
            Some(_) if self.made.contains(table) && !self.filled.contains(table) => {
                Volume::Known { rows: Some(0), heap: 0, indexes: 0 }
            }
            Some(relation) if self.has_catalog && !self.made.contains(table) => {
                Volume::of(&self.catalog, relation)
            }
            _ => Volume::Unknown,
        }
    }

    /// Carries a statement out, on the catalog; those within it come one by one. What the server would refuse is
    /// done as far as it goes: the rules say what is wrong with it, and what follows it is still looked at.
    pub(crate) fn apply(&mut self, statement: &Statement) {
        self.note(statement);
        match statement {
            Statement::Do(_) | Statement::Call(_) | Statement::Execute(_) | Statement::Query(_) => {}
            Statement::Set(_) => {}
            Statement::CreateSchema(create) => self.catalog.schemas.push(create.name.name.clone()),
            _ => drop(simulate::apply(&mut self.catalog, statement)),
        }
    }

    fn note(&mut self, statement: &Statement) {
        match statement {
            Statement::CreateTable(create) => self.make(&create.name, create.if_not_exists),
            Statement::CreateTableAs(create) => {
                self.make(&create.name, create.if_not_exists);
                if !create.with_no_data {
                    self.fill(&create.name);
                }
            }
            Statement::CreateView(create) => {
                self.make(&create.name, create.or_replace || create.if_not_exists)
            }
            Statement::CreateType(create) => self.make_other(&create.name),
            Statement::CreateDomain(create) => self.make_other(&create.name),
            Statement::CreateSequence(create) => self.make_other(&create.name),
            Statement::CreateFunction(create) if !create.or_replace => self.make_other(&create.name),
            Statement::Query(query) => {
                // A few rows of VALUES are no volume.
                let fills = query.kind == QueryKind::Insert && query.source == Some(InsertSource::Query);
                if let Some(target) = query.target.as_ref().filter(|_| fills) {
                    self.fill(&target.name);
                }
            }
            Statement::Copy(copy) if copy.is_from => {
                if let Some(table) = &copy.table {
                    self.fill(&table.name);
                }
            }
            Statement::Alter(alter) => self.note_alter(alter),
            Statement::Set(set) if set.name == "search_path" => {
                let path = set.values.iter().filter(|schema| *schema != "$user").cloned();
                self.catalog.search_path = path.collect();
                if self.catalog.search_path.is_empty() {
                    self.catalog.search_path.push("public".to_owned());
                }
            }
            _ => {}
        }
    }

    /// What replaces or leaves something that is there makes nothing new.
    fn make(&mut self, name: &ObjectName, may_be_there: bool) {
        let name = self.made_name(name);
        if !(may_be_there && self.relation(&name).is_some()) {
            self.made.insert(name);
        }
    }

    fn make_other(&mut self, name: &ObjectName) {
        let name = self.made_name(name);
        self.made_others.insert(name);
    }

    fn fill(&mut self, name: &ObjectName) {
        let name = self.name(name);
        self.filled.insert(name);
    }

    fn note_alter(&mut self, alter: &Alter) {
        let table = self.name(&alter.name);
        for clause in &alter.clauses {
            match &clause.action {
                Action::AddColumn { column, .. } => {
                    let key = (table.clone(), column.name.name.clone());
                    let has_value = column.default().is_some_and(|default| !default.is_null())
                        || column.is_identity()
                        || column.generated().is_some();
                    if !has_value {
                        self.added_null.insert(key.clone());
                    }
                    self.added.insert(key);
                }
                Action::DropConstraint { constraint, .. } => {
                    let dropped = self.relation(&table).and_then(|relation| {
                        let is_it = |known: &&Constraint| {
                            known.kind == ConstraintKind::ForeignKey && known.name == constraint.as_str()
                        };
                        relation.constraints.iter().find(is_it).cloned()
                    });
                    self.dropped_keys.extend(dropped.map(|dropped| (table.clone(), dropped)));
                }
                Action::AddConstraint(constraint) => {
                    let TableConstraintKind::Check { expression, .. } = &constraint.kind else { continue };
                    for column in expression.not_null_columns() {
                        if !constraint.timing.is_not_valid {
                            self.proven.insert((table.clone(), column.to_owned()));
                        } else if let Some(name) = &constraint.name {
                            self.checks.push((table.clone(), name.name.clone(), column.to_owned()));
                        }
                    }
                }
                Action::ValidateConstraint { constraint } => {
                    let is_it =
                        |check: &&(Name, String, String)| check.0 == table && check.1 == constraint.name;
                    let columns =
                        self.checks.iter().filter(is_it).map(|check| (table.clone(), check.2.clone()));
                    self.proven.extend(columns.collect::<Vec<_>>());
                }
                Action::RenameTo { to } if self.made.contains(&table) => {
                    self.made.insert(Name::new(&table.schema, &to.name));
                }
                _ => {}
            }
        }
    }
}
