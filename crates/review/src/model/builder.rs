//! Collects what a statement does: the strongest mode and the heaviest work for each relation.
//!
//! Not for: deciding anything.

use std::collections::{BTreeMap, BTreeSet};

use posthaste_base::catalog::{Catalog, Index, Name, Relation};
use posthaste_report::{Lock, LockMode, Locked};

use super::form::{Form, Whom};
use super::{Effects, Work, WorkKind};
use crate::statement::ObjectName;

pub(super) struct Builder<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) version: u32,
    locks: BTreeMap<(String, Locked), LockMode>,
    work: BTreeMap<(String, Locked), WorkKind>,
    may_be_in_transaction: bool,
    refused: Option<String>,
    depends_on: BTreeSet<String>,
}

/// What a name leads to.
pub(super) enum Found<'a> {
    Relation(&'a Relation),
    Index(&'a Relation, &'a Index),
    Sequence(&'a Name),
    /// The catalog is whole and has none of that name.
    Nothing,
    /// There is no catalog to say.
    Unknown(Name),
}

impl<'a> Builder<'a> {
    pub(super) fn new(catalog: &'a Catalog, version: u32) -> Self {
        Self {
            catalog,
            version,
            locks: BTreeMap::new(),
            work: BTreeMap::new(),
            may_be_in_transaction: true,
            refused: None,
            depends_on: BTreeSet::new(),
        }
    }

    /// Whether the catalog was read from a database, so that what is not in it is not there.
    pub(super) fn is_known(&self) -> bool {
        self.catalog.server.version_num > 0
    }

    pub(super) fn find(&self, name: &ObjectName) -> Found<'a> {
        let schema = name.schema.as_deref();
        if let Some(relation) = self.catalog.relation(schema, &name.name) {
            return Found::Relation(relation);
        }
        if let Some((relation, index)) = self.catalog.index(schema, &name.name) {
            return Found::Index(relation, index);
        }
        if let Some(sequence) = self.sequence(name) {
            return Found::Sequence(sequence);
        }
        if self.is_known() { Found::Nothing } else { Found::Unknown(self.full_name(name)) }
    }

    fn sequence(&self, name: &ObjectName) -> Option<&'a Name> {
        let find = |schema: &str| {
            let mut sequences = self.catalog.sequences.iter();
            sequences.find(|s| s.name.name == name.name && s.name.schema == schema).map(|s| &s.name)
        };
        match &name.schema {
            Some(schema) => find(schema),
            None => self.catalog.search_path.iter().find_map(|schema| find(schema)),
        }
    }

    /// A table, a view or what else has columns. What is not there refuses the statement; what is unknown is locked
    /// by its name, in the mode of the form, and depends.
    pub(super) fn relation(&mut self, name: &ObjectName, form: &Form) -> Option<&'a Relation> {
        match self.find(name) {
            Found::Relation(relation) => Some(relation),
            Found::Unknown(full) => {
                self.lock_unknown(&full, form);
                None
            }
            Found::Index(..) | Found::Sequence(_) => {
                self.refuse(format!("`{name}` is not a table"));
                None
            }
            Found::Nothing => {
                self.refuse(format!("relation `{name}` does not exist"));
                None
            }
        }
    }

    pub(super) fn lock_unknown(&mut self, name: &Name, form: &Form) {
        if let Some(mode) = form.mode(Whom::Named, self.version) {
            self.lock(Lock::table(name, mode));
        }
        self.depends(format!("what `{}.{}` is, which no catalog tells", name.schema, name.name));
    }

    /// Where a name without a schema leads when nothing of that name is there.
    pub(super) fn full_name(&self, name: &ObjectName) -> Name {
        let first = self.catalog.search_path.first();
        name.in_schema(first.map_or("public", String::as_str))
    }

    pub(super) fn lock(&mut self, lock: Lock) {
        let strongest = self.locks.entry((lock.schema, lock.on)).or_insert(lock.mode);
        *strongest = lock.mode.max(*strongest);
    }

    pub(super) fn lock_table(&mut self, name: &Name, mode: LockMode) {
        self.lock(Lock::table(name, mode));
    }

    pub(super) fn lock_index(&mut self, name: &Name, mode: LockMode) {
        self.lock(Lock::index(name, mode));
    }

    /// In the mode that the form has for them, if it has one.
    pub(super) fn take(&mut self, form: &Form, whom: Whom, name: &Name) {
        if let Some(mode) = form.mode(whom, self.version) {
            self.lock_table(name, mode);
        }
    }

    pub(super) fn take_index(&mut self, form: &Form, whom: Whom, name: &Name) {
        if let Some(mode) = form.mode(whom, self.version) {
            self.lock_index(name, mode);
        }
    }

    pub(super) fn take_indexes(&mut self, form: &Form, whom: Whom, relation: &Relation) {
        for index in &relation.indexes {
            self.take_index(form, whom, &index.name);
        }
    }

    /// Notes whether the form may run in a transaction block.
    pub(super) fn block(&mut self, form: &Form) {
        self.may_be_in_transaction &= form.may_be_in_transaction(self.version);
    }

    pub(super) fn work_on_table(&mut self, name: &Name, kind: WorkKind) {
        self.add_work(name.schema.clone(), Locked::Table(name.name.clone()), kind);
    }

    pub(super) fn work_on_index(&mut self, name: &Name, kind: WorkKind) {
        self.add_work(name.schema.clone(), Locked::Index(name.name.clone()), kind);
    }

    fn add_work(&mut self, schema: String, on: Locked, kind: WorkKind) {
        let heaviest = self.work.entry((schema, on)).or_insert(kind);
        *heaviest = kind.max(*heaviest);
    }

    /// The first reason is the one that the server gives.
    pub(super) fn refuse(&mut self, reason: impl Into<String>) {
        self.refused.get_or_insert(reason.into());
    }

    /// Refuses a form that the version does not know.
    pub(super) fn needs(&mut self, version: u32, what: &str) {
        if self.version < version {
            self.refuse(format!("{what} needs PostgreSQL {version}"));
        }
    }

    pub(super) fn depends(&mut self, on: impl Into<String>) {
        self.depends_on.insert(on.into());
    }

    /// What a statement that is part of this one does is added to it.
    pub(super) fn absorb(&mut self, other: Effects) {
        for lock in other.locks {
            self.lock(lock);
        }
        for work in other.work {
            self.add_work(work.schema, work.on, work.kind);
        }
        self.may_be_in_transaction &= other.may_be_in_transaction;
        self.depends_on.extend(other.depends_on);
        if let Some(reason) = other.refused {
            self.refuse(reason);
        }
    }

    pub(super) fn finish(self) -> Effects {
        let lock = |((schema, on), mode)| Lock { schema, on, mode };
        let work = |((schema, on), kind)| Work { schema, on, kind };
        Effects {
            locks: self.locks.into_iter().map(lock).collect(),
            work: self.work.into_iter().map(work).collect(),
            may_be_in_transaction: self.may_be_in_transaction,
            refused: self.refused,
            depends_on: self.depends_on.into_iter().collect(),
        }
    }
}
