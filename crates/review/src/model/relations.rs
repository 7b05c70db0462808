//! Ways through the catalog: partitions, children, foreign keys, views, users of a type, sequences.
//!
//! Not for: what a statement does with them.

use std::collections::BTreeSet;

use posthaste_base::catalog::{
    Catalog, Constraint, ConstraintKind, Index, Name, Relation, RelationKind, Sequence, TypeInfo, TypeKind,
};

/// Its partitions and the tables that inherit from it, at all depths, itself left out.
pub(super) fn descendants<'a>(catalog: &'a Catalog, relation: &Relation) -> Vec<&'a Relation> {
    let mut found: Vec<&Relation> = Vec::new();
    let mut open = vec![relation.name.clone()];
    while let Some(parent) = open.pop() {
        for child in catalog.relations.iter().filter(|other| other.parents.contains(&parent)) {
            if found.iter().all(|other| other.name != child.name) {
                open.push(child.name.clone());
                found.push(child);
            }
        }
    }
    found
}

/// Itself and its descendants.
pub(super) fn family<'a>(catalog: &'a Catalog, relation: &'a Relation) -> Vec<&'a Relation> {
    let mut all = vec![relation];
    all.extend(descendants(catalog, relation));
    all
}

/// Its partitions at all depths; nothing for a table that others only inherit from.
pub(super) fn partitions<'a>(catalog: &'a Catalog, relation: &Relation) -> Vec<&'a Relation> {
    match relation.kind {
        RelationKind::PartitionedTable => descendants(catalog, relation),
        _ => Vec::new(),
    }
}

/// The tables that it is a partition of, from the lowest up.
pub(super) fn ancestors<'a>(catalog: &'a Catalog, relation: &'a Relation) -> Vec<&'a Relation> {
    let mut found = Vec::new();
    let mut current = relation;
    while let Some(parent) = current.partition.as_ref().and_then(|p| by_name(catalog, &p.parent)) {
        found.push(parent);
        current = parent;
    }
    found
}

/// Whether it has rows of its own.
pub(super) fn has_rows(relation: &Relation) -> bool {
    matches!(relation.kind, RelationKind::Table | RelationKind::MaterializedView)
}

pub(super) fn by_name<'a>(catalog: &'a Catalog, name: &Name) -> Option<&'a Relation> {
    catalog.relation(Some(&name.schema), &name.name)
}

pub(super) fn default_partition<'a>(catalog: &'a Catalog, parent: &Relation) -> Option<&'a Relation> {
    let is_default =
        |r: &&Relation| r.partition.as_ref().is_some_and(|p| p.is_default && p.parent == parent.name);
    catalog.relations.iter().find(is_default)
}

/// Foreign keys of a table itself.
pub(super) fn foreign_keys(relation: &Relation) -> impl Iterator<Item = &Constraint> {
    relation.constraints.iter().filter(|c| c.kind == ConstraintKind::ForeignKey)
}

/// Foreign keys of any table that refer to it, with the tables that have them.
pub(super) fn referencing<'a>(
    catalog: &'a Catalog,
    relation: &Relation,
) -> impl Iterator<Item = (&'a Relation, &'a Constraint)> {
    let name = &relation.name;
    catalog.relations.iter().flat_map(move |other| {
        let refers = move |c: &&Constraint| c.references.as_ref().is_some_and(|r| r.table == *name);
        foreign_keys(other).filter(refers).map(move |constraint| (other, constraint))
    })
}

/// The unique index that a foreign key to these columns relies on: as PostgreSQL chooses it, the primary key when no
/// columns are named, and else one over just these columns, in any order.
pub(super) fn referenced_index<'a>(relation: &'a Relation, columns: &[String]) -> Option<&'a Index> {
    if columns.is_empty() {
        return relation.indexes.iter().find(|index| index.is_primary);
    }
    let wanted: BTreeSet<&str> = columns.iter().map(String::as_str).collect();
    relation.indexes.iter().find(|index| {
        let keys: BTreeSet<&str> = index.keys.iter().filter_map(|key| key.column.as_deref()).collect();
        index.is_unique
            && index.is_immediate
            && index.is_valid
            && index.predicate.is_none()
            && index.keys.len() == wanted.len()
            && keys == wanted
    })
}

/// Views and materialized views that read it, and those that read them, at all depths. With columns: those that
/// read one of these.
pub(super) fn views<'a>(
    catalog: &'a Catalog,
    relation: &Relation,
    column: Option<&str>,
) -> Vec<&'a Relation> {
    let mut found: Vec<&Relation> = Vec::new();
    let mut open = vec![(relation.name.clone(), column.map(str::to_owned))];
    while let Some((name, column)) = open.pop() {
        let Some(source) = by_name(catalog, &name) else { continue };
        for dependent in &source.dependents {
            let reads = match &column {
                Some(column) => dependent.columns.contains(column),
                None => true,
            };
            let is_view = matches!(dependent.kind.as_str(), "view" | "materialized-view");
            let Some(view) = by_name(catalog, &dependent.name).filter(|_| reads && is_view) else { continue };
            if found.iter().all(|other| other.name != view.name) {
                found.push(view);
                // A view goes as a whole, so that all that read it go with it.
                open.push((view.name.clone(), None));
            }
        }
    }
    found
}

/// What a view or materialized view reads, one level down.
pub(super) fn sources<'a>(catalog: &'a Catalog, view: &Relation) -> Vec<&'a Relation> {
    let reads = |source: &&Relation| {
        let mut dependents = source.dependents.iter();
        dependents.any(|d| d.name == view.name && matches!(d.kind.as_str(), "view" | "materialized-view"))
    };
    catalog.relations.iter().filter(reads).collect()
}

/// Sequences that belong to a column of it, or to that column.
pub(super) fn sequences<'a>(
    catalog: &'a Catalog,
    relation: &'a Relation,
    column: Option<&'a str>,
) -> impl Iterator<Item = &'a Sequence> {
    catalog.sequences.iter().filter(move |sequence| {
        let is_of = sequence.table.as_ref() == Some(&relation.name);
        is_of && column.is_none_or(|column| sequence.column.as_deref() == Some(column))
    })
}

/// A type that somebody made, by its name.
pub(super) fn type_info<'a>(catalog: &'a Catalog, schema: Option<&str>, name: &str) -> Option<&'a TypeInfo> {
    let find = |schema: &str| catalog.types.iter().find(|t| t.name.name == name && t.name.schema == schema);
    match schema {
        Some(schema) => find(schema),
        None => catalog.search_path.iter().find_map(|schema| find(schema)),
    }
}

/// The domain itself and the domains over it, at all depths.
pub(super) fn domains_over<'a>(catalog: &'a Catalog, domain: &'a TypeInfo) -> Vec<&'a TypeInfo> {
    let mut found = vec![domain];
    let mut next = 0;
    while let Some(base) = found.get(next).map(|domain| domain.name.clone()) {
        let qualified = format!("{}.{}", base.schema, base.name);
        let over = catalog.types.iter().filter(|t| t.kind == TypeKind::Domain);
        let over =
            over.filter(|t| t.base.as_deref().is_some_and(|text| text == qualified || text == base.name));
        for domain in over {
            if found.iter().all(|other| other.name != domain.name) {
                found.push(domain);
            }
        }
        next += 1;
    }
    found
}

/// The domain below, when a domain is over another one.
pub(super) fn domain_below<'a>(catalog: &'a Catalog, domain: &TypeInfo) -> Option<&'a TypeInfo> {
    let base = domain.base.as_deref()?;
    let is_it = |t: &&TypeInfo| {
        t.kind == TypeKind::Domain
            && (format!("{}.{}", t.name.schema, t.name.name) == base || t.name.name == base)
    };
    catalog.types.iter().find(is_it)
}

/// Whether values of it are checked: it or a domain below it has a constraint.
pub(super) fn is_constrained(catalog: &Catalog, domain: &TypeInfo) -> bool {
    let mut current = Some(domain);
    while let Some(domain) = current {
        if domain.is_not_null || !domain.checks.is_empty() {
            return true;
        }
        current = domain_below(catalog, domain);
    }
    false
}

/// Whether an index uses a column: as a key, in an expression or in its condition, or as one that it includes.
pub(super) fn index_uses(index: &Index, column: &str) -> bool {
    index.keys.iter().any(|key| key.column.as_deref() == Some(column))
        || index.include.iter().any(|included| included == column)
        || index_computes(index, column)
}

/// Whether an expression or the condition of an index uses a column.
pub(super) fn index_computes(index: &Index, column: &str) -> bool {
    let expressions = index.keys.iter().filter_map(|key| key.expression.as_deref());
    expressions.chain(index.predicate.as_deref()).any(|text| mentions(text, column))
}

/// Whether a text that PostgreSQL wrote names a column, quoted or not.
pub(super) fn mentions(text: &str, column: &str) -> bool {
    let quoted = format!("\"{}\"", column.replace('"', "\"\""));
    if text.contains(&quoted) {
        return true;
    }
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    text.match_indices(column).any(|(start, _)| {
        let before = text[..start].chars().next_back();
        let after = text[start + column.len()..].chars().next();
        !before.is_some_and(|c| is_word(c) || c == '\'') && !after.is_some_and(|c| is_word(c) || c == '(')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_is_found_as_a_word_alone() {
        assert!(mentions("((a > 0) AND (b < 1))", "a"));
        assert!(mentions("lower(\"Name\")", "Name"));
        assert!(!mentions("(aa > 0)", "a"));
        assert!(!mentions("lower(b)", "lower"));
    }
}
