//! What a route asks: the tables that are there, those that the file makes, and names that are free.
//!
//! Not for: deciding anything about a statement.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use posthaste_base::catalog::{Catalog, Index, Name, Relation, RelationKind};
use posthaste_base::quote::identifier;

use super::remade::{Remade, mentions};
use crate::statement::{Action, ColumnDefinition, Located, ObjectName, Span, Statement};

/// PostgreSQL cuts names at so many bytes.
const NAME_BYTES_MAX: usize = 63;

pub(super) struct World<'a> {
    /// The whole file, into which spans point.
    pub text: &'a str,
    pub catalog: &'a Catalog,
    pub statements: &'a [Located],
    pub version: u32,
    /// What the file has made up to now.
    made: RefCell<BTreeSet<Name>>,
    /// Names that the plan has given away.
    taken: RefCell<BTreeSet<String>>,
    /// Names of columns that the plan has given away.
    columns: RefCell<BTreeSet<(Name, String)>>,
    /// Columns whose type the plan changes, with what their successors are called until the swap.
    successors: RefCell<BTreeMap<(Name, String), String>>,
    /// Constraints of columns whose type changes, with what those of their successors are called until the swap.
    beside: RefCell<BTreeMap<(Name, String), String>>,
    /// What the file drops and makes again; looked for once.
    pub groups: OnceCell<Vec<Remade>>,
    /// Those of them that have their place in the plan, by the statement that drops it.
    remade: RefCell<BTreeSet<u32>>,
    /// What is there only from the switch on.
    late: RefCell<BTreeSet<String>>,
}

/// What the plan has promised so far.
pub(super) struct Promises {
    successors: BTreeMap<(Name, String), String>,
    remade: BTreeSet<u32>,
    late: BTreeSet<String>,
}

impl<'a> World<'a> {
    pub(super) fn new(text: &'a str, catalog: &'a Catalog, statements: &'a [Located], version: u32) -> Self {
        Self {
            text,
            catalog,
            statements,
            version,
            made: RefCell::default(),
            taken: RefCell::default(),
            columns: RefCell::default(),
            successors: RefCell::default(),
            beside: RefCell::default(),
            groups: OnceCell::default(),
            remade: RefCell::default(),
            late: RefCell::default(),
        }
    }

    /// What the plan has promised of columns, to go back to.
    pub(super) fn mark(&self) -> Promises {
        Promises {
            successors: self.successors.borrow().clone(),
            remade: self.remade.borrow().clone(),
            late: self.late.borrow().clone(),
        }
    }

    pub(super) fn restore(&self, mark: Promises) {
        self.successors.replace(mark.successors);
        self.remade.replace(mark.remade);
        self.late.replace(mark.late);
    }

    /// True for the first who gives what is dropped there, and made again, its place in the plan.
    pub(super) fn takes(&self, from: u32) -> bool {
        self.remade.borrow_mut().insert(from)
    }

    pub(super) fn is_taken(&self, from: u32) -> bool {
        self.remade.borrow().contains(&from)
    }

    /// What is there from the switch on: nothing that names it can be said before.
    pub(super) fn makes_late(&self, name: &str) {
        self.late.borrow_mut().insert(name.to_owned());
    }

    pub(super) fn is_late(&self, text: &str) -> bool {
        self.late.borrow().iter().any(|name| mentions(text, name))
    }

    /// What was dropped is new when it comes back.
    pub(super) fn makes_again(&self, name: &Name, is_late: bool) {
        self.made.borrow_mut().insert(name.clone());
        if is_late {
            self.makes_late(&name.name);
        }
    }

    pub(super) fn cut(&self, span: Span) -> &'a str {
        span.of(self.text)
    }

    /// The name with its schema: of what is there, or else of the first schema that is searched.
    pub(super) fn name(&self, name: &ObjectName) -> Name {
        if let Some(relation) = self.catalog.relation(name.schema.as_deref(), &name.name) {
            return relation.name.clone();
        }
        if let Some((_, index)) = self.catalog.index(name.schema.as_deref(), &name.name) {
            return index.name.clone();
        }
        self.in_path(name)
    }

    /// The name in the first schema that is searched, when it has none.
    pub(super) fn in_path(&self, name: &ObjectName) -> Name {
        let first = self.catalog.search_path.iter().find(|schema| *schema != "pg_catalog");
        name.in_schema(first.map_or("public", String::as_str))
    }

    /// The name of a type or a domain with its schema.
    pub(super) fn type_name(&self, name: &ObjectName) -> Name {
        let of = |schema: &String| {
            let named = Name::new(schema, &name.name);
            self.catalog.types.iter().any(|known| known.name == named).then_some(named)
        };
        let found = match &name.schema {
            Some(schema) => of(schema),
            None => self.catalog.search_path.iter().find_map(of),
        };
        found.unwrap_or_else(|| self.name(name))
    }

    /// What is there and may hold rows. Nothing for a table that the file makes, or that is known to be empty:
    /// whatever is done to it is nobody's outage.
    pub(super) fn filled(&self, name: &ObjectName) -> Option<&'a Relation> {
        let found = self.name(name);
        if self.made.borrow().contains(&found) {
            return None;
        }
        self.relation(name).filter(|relation| !self.is_empty(relation))
    }

    pub(super) fn relation(&self, name: &ObjectName) -> Option<&'a Relation> {
        self.catalog.relation(name.schema.as_deref(), &name.name)
    }

    pub(super) fn is_empty(&self, relation: &Relation) -> bool {
        let leaf_is_empty = |relation: &Relation| relation.size.rows == Some(0) && relation.size.bytes == 0;
        match relation.kind {
            RelationKind::PartitionedTable => self.leaves(relation).iter().all(|leaf| leaf_is_empty(leaf)),
            _ => leaf_is_empty(relation) && self.catalog.children(&relation.name).next().is_none(),
        }
    }

    /// The partitions that hold rows, however deep.
    pub(super) fn leaves(&self, relation: &'a Relation) -> Vec<&'a Relation> {
        let children = self.catalog.children(&relation.name);
        children
            .flat_map(|child| match child.kind {
                RelationKind::PartitionedTable => self.leaves(child),
                _ => vec![child],
            })
            .collect()
    }

    /// Rows, those of partitions together; `None` when they were never counted.
    pub(super) fn rows(&self, relation: &'a Relation) -> Option<u64> {
        match relation.kind {
            RelationKind::PartitionedTable => self.leaves(relation).iter().map(|leaf| leaf.size.rows).sum(),
            _ => relation.size.rows,
        }
    }

    pub(super) fn makes(&self, name: &ObjectName) {
        let name = self.name(name);
        self.made.borrow_mut().insert(name);
    }

    pub(super) fn put_successor(&self, table: &Name, column: &str, successor: &str) {
        self.successors.borrow_mut().insert((table.clone(), column.to_owned()), successor.to_owned());
    }

    /// What stands beside a column whose type the plan changes.
    pub(super) fn successor(&self, table: &Name, column: &str) -> Option<String> {
        self.successors.borrow().get(&(table.clone(), column.to_owned())).cloned()
    }

    /// Whether the file changes the type of one of the columns.
    pub(super) fn retypes(&self, table: &Name, columns: &[String]) -> bool {
        let clauses = self.statements.iter().filter_map(|located| match &located.statement {
            Statement::Alter(alter) if self.name(&alter.name) == *table => Some(&alter.clauses),
            _ => None,
        });
        clauses.flatten().any(|clause| match &clause.action {
            Action::SetType { column, .. } => columns.iter().any(|known| *column == known.as_str()),
            _ => false,
        })
    }

    /// A column's type: of one that is there, or that the file adds.
    pub(super) fn column_type(&self, table: &ObjectName, column: &str) -> Option<String> {
        let found =
            self.relation(table).and_then(|table| table.columns.iter().find(|known| known.name == column));
        if let Some(found) = found {
            return Some(found.type_name.clone());
        }
        let added = self.added_column(table, column)?;
        added.type_name.as_ref().map(|name| name.canonical.clone())
    }

    /// Whether the file adds that column.
    pub(super) fn adds_column(&self, table: &ObjectName, column: &str) -> bool {
        self.added_column(table, column).is_some()
    }

    fn added_column(&self, table: &ObjectName, column: &str) -> Option<&'a ColumnDefinition> {
        let name = self.name(table);
        let clauses = self.statements.iter().filter_map(|located| match &located.statement {
            Statement::Alter(alter) if self.name(&alter.name) == name => Some(&alter.clauses),
            _ => None,
        });
        clauses.flatten().find_map(|clause| match &clause.action {
            Action::AddColumn { column: added, .. } if added.name == column => Some(added.as_ref()),
            _ => None,
        })
    }

    /// A name that nothing in the schema has, made from that one, within the limit of bytes.
    pub(super) fn free_name(&self, base: &str) -> String {
        let is_used = |name: &str| {
            self.taken.borrow().contains(name)
                || self.catalog.relations.iter().any(|relation| {
                    relation.name.name == name
                        || relation.indexes.iter().any(|index| index.name.name == name)
                        || relation.constraints.iter().any(|constraint| constraint.name == name)
                })
                || self.catalog.sequences.iter().any(|sequence| sequence.name.name == name)
        };
        let name = first_free(base, is_used);
        self.taken.borrow_mut().insert(name.clone());
        name
    }

    /// A name that no column of the table has, nor gets by the file.
    pub(super) fn free_column(&self, table: &Relation, base: &str) -> String {
        let named = ObjectName::new(Some(&table.name.schema), &table.name.name);
        let of = |column: &str| (table.name.clone(), column.to_owned());
        let column = first_free(base, |column| {
            table.columns.iter().any(|known| known.name == column)
                || self.adds_column(&named, column)
                || self.columns.borrow().contains(&of(column))
        });
        self.columns.borrow_mut().insert(of(&column));
        column
    }

    /// What the constraint is called, until the swap, that does for a successor what that one does.
    pub(super) fn beside(&self, table: &Name, constraint: &str) -> String {
        let key = (table.clone(), constraint.to_owned());
        let known = self.beside.borrow().get(&key).cloned();
        known.unwrap_or_else(|| {
            let name = self.free_name(&format!("{constraint}_new"));
            self.beside.borrow_mut().insert(key, name.clone());
            name
        })
    }

    /// Whether a statement after this one adds a constraint of that name to that table again.
    pub(super) fn adds_constraint_later(&self, number: u32, table: &Name, constraint: &str) -> bool {
        let later = self.statements.iter().filter(|located| located.number > number);
        later
            .filter_map(|located| match &located.statement {
                Statement::Alter(alter) if self.name(&alter.name) == *table => Some(&alter.clauses),
                _ => None,
            })
            .flatten()
            .any(|clause| match &clause.action {
                Action::AddConstraint(added) => added.name.as_ref().is_some_and(|name| *name == constraint),
                _ => false,
            })
    }

    /// Whether a statement before this one took that constraint from that table.
    pub(super) fn dropped_constraint_before(&self, number: u32, table: &Name, constraint: &str) -> bool {
        let earlier = self.statements.iter().filter(|located| located.number < number);
        earlier.filter_map(|located| match &located.statement {
            Statement::Alter(alter) if self.name(&alter.name) == *table => Some(&alter.clauses),
            _ => None,
        })
        .flatten()
        .any(|clause| matches!(&clause.action, Action::DropConstraint { constraint: name, .. } if *name == constraint))
    }
}

/// The name itself, or with a number.
fn first_free(base: &str, is_used: impl Fn(&str) -> bool) -> String {
    let numbered = (1_u32..).map(|number| cut_name(base, &number.to_string()));
    let mut names = std::iter::once(cut_name(base, "")).chain(numbered);
    names.find(|name| !is_used(name)).unwrap_or_else(|| base.to_owned())
}

/// `base` and `end` joined, the base cut so that both fit.
fn cut_name(base: &str, end: &str) -> String {
    let mut length = base.len().min(NAME_BYTES_MAX - end.len());
    while !base.is_char_boundary(length) {
        length -= 1;
    }
    format!("{}{end}", &base[..length])
}

/// The name that PostgreSQL gives to what has none: `table_column_end`, its parts cut as `makeObjectName` does.
pub(super) fn default_name(table: &str, columns: &str, end: &str) -> String {
    let overhead = 1 + end.len() + usize::from(!columns.is_empty());
    let available = NAME_BYTES_MAX - overhead;
    let (mut first, mut second) = (table.len(), columns.len());
    while first + second > available {
        if first > second { first -= 1 } else { second -= 1 }
    }
    while !table.is_char_boundary(first) {
        first -= 1;
    }
    while !columns.is_char_boundary(second) {
        second -= 1;
    }
    let middle = if columns.is_empty() { String::new() } else { format!("_{}", &columns[..second]) };
    format!("{}{middle}_{end}", &table[..first])
}

/// What follows the table's name in the definition of an index that is there: its method, keys and condition.
pub(super) fn index_definition(index: &Index) -> String {
    let key = |key: &posthaste_base::catalog::IndexKey| {
        let mut text = match (&key.column, &key.expression) {
            (Some(column), _) => identifier(column),
            (None, expression) => format!("({})", expression.as_deref().unwrap_or_default()),
        };
        if let Some(collation) = &key.collation {
            text.push_str(&format!(" collate {collation}"));
        }
        if !key.opclass.is_empty() {
            text.push_str(&format!(" {}", key.opclass));
        }
        if key.is_descending {
            text.push_str(" desc");
        }
        // What is not the default of the direction is said.
        match (key.is_descending, key.is_nulls_first) {
            (true, false) => text.push_str(" nulls last"),
            (false, true) => text.push_str(" nulls first"),
            _ => {}
        }
        text
    };
    let keys: Vec<String> = index.keys.iter().map(key).collect();
    let mut text = format!("using {} ({})", identifier(&index.method), keys.join(", "));
    if !index.include.is_empty() {
        text.push_str(&format!(" include ({})", posthaste_base::quote::identifiers(&index.include)));
    }
    if index.nulls_not_distinct {
        text.push_str(" nulls not distinct");
    }
    if let Some(predicate) = &index.predicate {
        text.push_str(&format!(" where {predicate}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_names_are_those_of_postgresql() {
        assert_eq!(default_name("users", "email", "key"), "users_email_key");
        assert_eq!(default_name("users", "", "pkey"), "users_pkey");
        let long = default_name(&"t".repeat(60), &"c".repeat(60), "idx");
        assert_eq!(long.len(), 63);
        assert_eq!(long, format!("{}_{}_idx", "t".repeat(29), "c".repeat(29)));
    }

    #[test]
    fn names_are_cut_within_their_limit() {
        assert_eq!(cut_name(&"ä".repeat(40), "12").len(), 62);
    }
}
