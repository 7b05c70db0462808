//! How two catalogs differ, in names and definitions: oids, sizes, counters and the order of columns are no difference.
//!
//! Used to prove that a plan ends where its migration ends, and that what goes back leads back. Not for: what it would
//! take to make them equal.

use std::collections::BTreeMap;
use std::fmt;

use posthaste_base::catalog::{Catalog, Constraint, Index, Relation};

/// One thing that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Difference {
    /// `table public.users`, `column public.users.email`, `index public.users_email_key` and so on.
    pub what: String,
    pub kind: DifferenceKind,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DifferenceKind {
    /// Only on the first side.
    Missing,
    /// Only on the second side.
    Extra,
    /// On both, and not the same.
    Changed { from: String, to: String },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            DifferenceKind::Missing => write!(f, "{} is missing", self.what),
            DifferenceKind::Extra => write!(f, "{} is left over", self.what),
            DifferenceKind::Changed { from, to } => write!(f, "{} is `{to}` and not `{from}`", self.what),
        }
    }
}

/// What the second lacks, has in excess, or has otherwise.
pub fn difference(first: &Catalog, second: &Catalog) -> Vec<Difference> {
    let (first, second) = (described(first), described(second));
    let mut differences = Vec::new();
    for (what, from) in &first {
        let kind = match second.get(what) {
            None => DifferenceKind::Missing,
            Some(to) if to == from => continue,
            Some(to) => DifferenceKind::Changed { from: from.clone(), to: to.clone() },
        };
        differences.push(Difference { what: what.clone(), kind });
    }
    let extra = second.keys().filter(|what| !first.contains_key(*what));
    differences.extend(extra.map(|what| Difference { what: what.clone(), kind: DifferenceKind::Extra }));
    differences
}

type Described = BTreeMap<String, String>;

/// Everything of the catalog that has a name, with its definition.
fn described(catalog: &Catalog) -> Described {
    let mut all = Described::new();
    for schema in &catalog.schemas {
        all.insert(format!("schema {schema}"), String::new());
    }
    for relation in &catalog.relations {
        describe_relation(&mut all, relation);
    }
    for known in &catalog.types {
        let checks: Vec<String> = known.checks.iter().map(constraint).collect();
        let definition = format!(
            "{:?} {:?} {:?} {} {:?} {checks:?}",
            known.kind, known.labels, known.base, known.is_not_null, known.default
        );
        all.insert(format!("type {}", known.name.quoted()), definition);
    }
    for function in catalog.functions.iter().filter(|function| function.name.schema != "pg_catalog") {
        let name = format!("function {}({})", function.name.quoted(), function.arguments.join(", "));
        let definition = format!(
            "{} {} {} {} {:?}",
            function.returns, function.volatility, function.kind, function.language, function.body
        );
        all.insert(name, definition);
    }
    for sequence in &catalog.sequences {
        let owner = sequence.table.as_ref().map(|table| (table.quoted(), sequence.column.clone()));
        let definition = format!(
            "{} {} {} {} {} {} {owner:?}",
            sequence.type_name,
            sequence.start,
            sequence.minimum,
            sequence.maximum,
            sequence.increment,
            sequence.cycles
        );
        all.insert(format!("sequence {}", sequence.name.quoted()), definition);
    }
    for publication in &catalog.publications {
        let definition = format!("{} {:?}", publication.all_tables, publication.tables);
        all.insert(format!("publication {}", publication.name), definition);
    }
    for extension in &catalog.extensions {
        all.insert(format!("extension {}", extension.name), extension.version.clone());
    }
    all
}

fn describe_relation(all: &mut Described, relation: &Relation) {
    let name = relation.name.quoted();
    let bound = relation.partition.as_ref().map(|partition| (partition.parent.quoted(), &partition.bound));
    let definition = format!(
        "{:?} {} {:?} {:?} {:?} {} {} {} {:?} {:?} {:?}",
        relation.kind,
        relation.is_unlogged,
        relation.parents,
        bound,
        relation.partition_key.as_ref().map(|key| &key.definition),
        relation.has_row_security,
        relation.forces_row_security,
        relation.replica_identity,
        relation.options,
        relation.rules,
        relation.policies,
    );
    all.insert(format!("table {name}"), definition);
    for column in &relation.columns {
        let definition = format!(
            "{} {}{:?} {:?} {:?} {:?}",
            column.type_name,
            if column.is_not_null { "not null " } else { "" },
            column.default,
            column.generated,
            column.identity,
            column.collation
        );
        all.insert(format!("column {name}.{}", column.name), definition);
    }
    for known in &relation.constraints {
        all.insert(format!("constraint {} of {name}", known.name), constraint(known));
    }
    for known in &relation.indexes {
        all.insert(format!("index {}", known.name.quoted()), index(known));
    }
    for trigger in relation.triggers.iter().filter(|trigger| !trigger.is_internal) {
        let definition = format!("{} {}", trigger.function.quoted(), trigger.enabled);
        all.insert(format!("trigger {} of {name}", trigger.name), definition);
    }
}

fn constraint(constraint: &Constraint) -> String {
    let timing = if constraint.is_deferrable { " deferrable" } else { "" };
    let validity = if constraint.is_validated { "" } else { " not validated" };
    let enforced = if constraint.is_enforced { "" } else { " not enforced" };
    // The definition says NOT VALID by itself, in some versions.
    let definition = constraint.definition.trim_end_matches(" NOT VALID");
    format!("{definition}{timing}{validity}{enforced}")
}

fn index(index: &Index) -> String {
    format!(
        "{} unique {} valid {} immediate {} on {:?} including {:?} where {:?} of {:?} in {:?} replica {} clustered {}",
        index.method,
        index.is_unique,
        index.is_valid && index.is_ready,
        index.is_immediate,
        index.keys,
        index.include,
        index.predicate,
        index.constraint,
        index.parent,
        index.is_replica_identity,
        index.is_clustered,
    )
}

#[cfg(test)]
mod tests {
    use posthaste_base::catalog::{Column, Name};

    use super::*;

    fn catalog(columns: &[(&str, &str)]) -> Catalog {
        let column = |(name, type_name): &(&str, &str)| Column {
            name: (*name).into(),
            type_name: (*type_name).into(),
            ..Column::default()
        };
        let columns = columns.iter().map(column).collect();
        let relation = Relation { name: Name::new("public", "t"), columns, ..Relation::default() };
        Catalog { relations: vec![relation], ..Catalog::default() }
    }

    #[test]
    fn the_order_of_columns_is_no_difference_and_a_type_is() {
        let first = catalog(&[("a", "integer"), ("b", "text")]);
        assert_eq!(difference(&first, &catalog(&[("b", "text"), ("a", "integer")])), []);
        let texts: Vec<String> = difference(&first, &catalog(&[("a", "bigint"), ("c", "text")]))
            .iter()
            .map(|difference| difference.what.clone())
            .collect();
        assert_eq!(texts, ["column public.t.a", "column public.t.b", "column public.t.c"]);
    }
}
