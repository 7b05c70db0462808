//! The tables whose rows are looked at, with what the catalog says about their keys.
//!
//! Not for: reading rows.

use posthaste_base::catalog::{Catalog, Column, Constraint, ConstraintKind, Name, Relation, RelationKind};

use super::types::{self, Family};
use super::words;

pub(crate) struct Tables<'a> {
    pub catalog: &'a Catalog,
    pub all: Vec<Table<'a>>,
}

/// A table that is not a part of another one.
pub(crate) struct Table<'a> {
    pub relation: &'a Relation,
    /// What holds its rows: itself, or all of its partitions.
    pub leaves: Vec<&'a Relation>,
    pub columns: Vec<Col<'a>>,
    /// What one row is called.
    pub stem: Vec<String>,
}

pub(crate) struct Col<'a> {
    pub column: &'a Column,
    pub family: Family,
    pub words: Vec<String>,
}

impl<'a> Tables<'a> {
    pub(crate) fn of(catalog: &'a Catalog) -> Self {
        let all = catalog.relations.iter().filter(|relation| is_looked_at(relation));
        Self { catalog, all: all.map(|relation| Table::of(catalog, relation)).collect() }
    }

    pub(crate) fn find(&self, name: &Name) -> Option<&Table<'a>> {
        self.all.iter().find(|table| table.relation.name == *name)
    }
}

fn is_looked_at(relation: &Relation) -> bool {
    let schema = relation.name.schema.as_str();
    matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable)
        && relation.partition.is_none()
        && !relation.is_temporary
        && !schema.starts_with("pg_")
        && schema != "information_schema"
        // What repairs have put aside is broken on purpose.
        && !schema.starts_with("posthaste")
}

impl Col<'_> {
    /// Whether two values of it are equal exactly when their texts are: not so for `1.0` and `1.00`.
    pub(crate) fn is_equal_as_text(&self) -> bool {
        match self.family {
            Family::Integer | Family::Uuid | Family::Date => true,
            Family::Text => {
                !self.column.type_name.ends_with("citext") && !self.column.type_name.starts_with("character(")
            }
            _ => false,
        }
    }
}

impl<'a> Table<'a> {
    fn of(catalog: &'a Catalog, relation: &'a Relation) -> Self {
        let mut leaves = Vec::new();
        collect_leaves(catalog, relation, &mut leaves);
        let columns = relation.columns.iter().map(|column| Col {
            column,
            family: types::family(catalog, column),
            words: words::words(&column.name),
        });
        Self { relation, leaves, columns: columns.collect(), stem: words::stem(&relation.name.name) }
    }

    pub(crate) fn name(&self) -> &'a Name {
        &self.relation.name
    }

    /// As SQL reads all of its own rows: partitions belong to it, tables that merely inherit from it do not.
    pub(crate) fn from(&self) -> String {
        from(self.relation)
    }

    pub(crate) fn column(&self, name: &str) -> Option<&Col<'a>> {
        self.columns.iter().find(|col| col.column.name == name)
    }

    pub(crate) fn primary_key(&self) -> Option<&'a [String]> {
        self.constraints(ConstraintKind::PrimaryKey).next().map(|key| key.columns.as_slice())
    }

    pub(crate) fn constraints(&self, kind: ConstraintKind) -> impl Iterator<Item = &'a Constraint> {
        self.relation.constraints.iter().filter(move |constraint| constraint.kind == kind)
    }

    /// The sets of columns that are promised to be unique for all rows, the primary key first.
    pub(crate) fn unique_sets(&self) -> Vec<Vec<String>> {
        let mut sets: Vec<Vec<String>> = self.primary_key().map(<[String]>::to_vec).into_iter().collect();
        for index in self.relation.indexes.iter().filter(|index| index.is_unique && index.predicate.is_none())
        {
            let columns: Option<Vec<String>> = index.keys.iter().map(|key| key.column.clone()).collect();
            sets.extend(columns.filter(|columns| !columns.is_empty()));
        }
        let mut seen = Vec::new();
        sets.retain(|set| {
            !seen.contains(set) && {
                seen.push(set.clone());
                true
            }
        });
        sets
    }

    /// What names a row to a person: its key, or its place where it has none.
    pub(crate) fn identity(&self) -> Vec<String> {
        match self.primary_key() {
            Some(key) => key.to_vec(),
            None => self.plain_id().map(|col| col.column.name.clone()).into_iter().collect(),
        }
    }

    /// The column that is its key by name, declared or not: `id`, or `customer_id` in `customers`.
    pub(crate) fn plain_id(&self) -> Option<&Col<'a>> {
        let is_id = |col: &&Col<'_>| {
            let words = &col.words;
            let is_own = || words.len() == self.stem.len() + 1 && words.starts_with(&self.stem);
            col.family.is_key()
                && words.last().is_some_and(|last| ["id", "uuid", "guid"].contains(&last.as_str()))
                && (words.len() == 1 || is_own())
        };
        self.columns.iter().find(is_id)
    }
}

/// A table as it stands after FROM.
pub(crate) fn from(relation: &Relation) -> String {
    match relation.kind {
        RelationKind::PartitionedTable => relation.name.quoted(),
        _ => format!("only {}", relation.name.quoted()),
    }
}

fn collect_leaves<'a>(catalog: &'a Catalog, relation: &'a Relation, leaves: &mut Vec<&'a Relation>) {
    match relation.kind {
        RelationKind::PartitionedTable => {
            for child in catalog.children(&relation.name) {
                collect_leaves(catalog, child, leaves);
            }
        }
        RelationKind::Table => leaves.push(relation),
        _ => {}
    }
}
