//! What the schema promises, as checks: keys, references, conditions, columns that are never NULL.
//!
//! A constraint that says it is validated is checked too: rows come in past it while triggers are disabled, by
//! replication and by restores, and through an index that is broken.

use posthaste_base::catalog::{Constraint, ConstraintKind, Index, Relation};
use posthaste_base::quote;
use posthaste_report::{Severity, Skipped};

use super::check::{About, Belief, Check, GroupCheck, Link, OrphanCheck, RowCheck, ticked};
use super::exclusions;
use super::tables::{Col, Table, Tables, from};

pub(super) fn checks(tables: &Tables<'_>, skipped: &mut Vec<Skipped>) -> Vec<Check> {
    let mut checks = Vec::new();
    for table in &tables.all {
        checks.extend(not_null(table));
        checks.extend(exclusions::domains(tables, table));
        for constraint in &table.relation.constraints {
            match constraint.kind {
                ConstraintKind::Check => checks.extend(condition(table, constraint)),
                ConstraintKind::ForeignKey => checks.extend(reference(table, constraint)),
                ConstraintKind::Exclusion => match exclusions::exclusion(table, constraint) {
                    Ok(check) => checks.push(check),
                    Err(why) => skipped.push(why),
                },
                _ => {}
            }
        }
        let own = table.relation.indexes.iter().map(|index| (table.relation, index));
        let of_partitions =
            table.leaves.iter().filter(|leaf| leaf.oid != table.relation.oid).flat_map(|leaf| {
                leaf.indexes.iter().filter(|index| index.parent.is_none()).map(move |index| (*leaf, index))
            });
        for (relation, index) in own.chain(of_partitions).filter(|(_, index)| index.is_unique) {
            checks.push(uniqueness(table, relation, index));
        }
    }
    checks
}

fn not_null<'a>(table: &'a Table<'_>) -> impl Iterator<Item = Check> + 'a {
    table.columns.iter().filter(|col| col.column.is_not_null).map(|col| {
        let name = &col.column.name;
        let says = format!("have no `{name}`, which is declared NOT NULL");
        Check::Row(RowCheck {
            about: About::new("not-null-violated", Severity::High, table.name(), says).columns([name]),
            // The planner answers `is null` from the declaration; a function it has to ask.
            condition: format!("num_nulls(t.{}) > 0", quote::identifier(name)),
            belief: Belief::Declared,
            beside: Vec::new(),
        })
    })
}

fn condition(table: &Table<'_>, constraint: &Constraint) -> Option<Check> {
    let condition = inside(&constraint.definition)?;
    let says = format!("break `{}`: {condition}", constraint.name);
    let about = About::new("check-violated", severity(constraint), table.name(), says);
    Some(Check::Row(RowCheck {
        about: validity(about.columns(&constraint.columns).named(&constraint.name), constraint),
        condition: format!("({condition}) is false"),
        belief: Belief::Declared,
        beside: Vec::new(),
    }))
}

/// What stands in the first brackets, as in those of a CHECK.
pub(super) fn inside(definition: &str) -> Option<&str> {
    let start = definition.find('(')?;
    definition.get(start + 1..matching(definition, start)?)
}

/// Where the bracket at `start` is closed.
pub(super) fn matching(text: &str, start: usize) -> Option<usize> {
    let (mut depth, mut quoted_by) = (0_u32, None);
    for (place, letter) in text.char_indices().skip_while(|(place, _)| *place < start) {
        match (quoted_by, letter) {
            (Some(quote), letter) if letter == quote => quoted_by = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quoted_by = Some(letter),
            (None, '(') => depth += 1,
            (None, ')') if depth == 1 => return Some(place),
            (None, ')') => depth -= 1,
            _ => {}
        }
    }
    None
}

fn reference(table: &Table<'_>, constraint: &Constraint) -> Option<Check> {
    let references = constraint.references.as_ref()?;
    let says = format!(
        "point by {} to no row of `{}.{}`, though `{}` promises it",
        ticked(&constraint.columns),
        references.table.schema,
        references.table.name,
        constraint.name
    );
    let about = About::new("orphans", severity(constraint), table.name(), says);
    Some(Check::Orphan(OrphanCheck {
        about: validity(about.columns(&constraint.columns).named(&constraint.name), constraint),
        link: Link {
            child: table.name().clone(),
            columns: constraint.columns.clone(),
            parent: references.table.clone(),
            parent_columns: references.columns.clone(),
            by_text: false,
        },
        belief: Belief::Declared,
        match_full: constraint.definition.to_uppercase().contains(" MATCH FULL"),
    }))
}

/// One that was never validated is known to be open.
pub(super) fn severity(constraint: &Constraint) -> Severity {
    if constraint.is_validated && constraint.is_enforced { Severity::High } else { Severity::Medium }
}

pub(super) fn validity(about: About, constraint: &Constraint) -> About {
    if !constraint.is_enforced {
        return about.evidence(format!("`{}` is NOT ENFORCED", constraint.name));
    }
    match constraint.is_validated {
        true => about.evidence(format!("the catalog says that `{}` is valid", constraint.name)),
        false => about.evidence(format!("`{}` was never validated (NOT VALID)", constraint.name)),
    }
}

fn uniqueness(table: &Table<'_>, relation: &Relation, index: &Index) -> Check {
    let columns: Vec<&String> = index.keys.iter().filter_map(|key| key.column.as_ref()).collect();
    let expressions = index.keys.iter().map(|key| match (&key.column, &key.expression) {
        (Some(column), _) => format!("t.{}", quote::identifier(column)),
        (None, expression) => format!("({})", expression.as_deref().unwrap_or("null")),
    });
    let kind = if index.is_primary { "primary key" } else { "unique index" };
    let of: Vec<&String> =
        index.keys.iter().filter_map(|key| key.column.as_ref().or(key.expression.as_ref())).collect();
    let says =
        format!("share their {}, though the {kind} `{}` promises otherwise", ticked(of), index.name.name);
    let severity = if index.is_valid { Severity::High } else { Severity::Medium };
    let about =
        About::new("duplicates", severity, &relation.name, says).columns(columns).named(&index.name.name);
    Check::Group(GroupCheck {
        about: match index.is_valid {
            true => about.evidence(format!("the catalog says that `{}` is valid", index.name.name)),
            false => about.evidence(format!("the index `{}` is invalid", index.name.name)),
        },
        from: from(relation),
        expressions: expressions.collect(),
        filter: index.predicate.clone(),
        nulls_are_equal: index.nulls_not_distinct,
        is_variant: false,
        can_be_parted: index.keys.iter().all(|key| {
            let column = key.column.as_ref().and_then(|name| table.column(name));
            column.is_some_and(Col::is_equal_as_text)
        }),
        belief: Belief::Declared,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_condition_is_what_stands_in_the_outer_brackets() {
        for (definition, expected) in [
            ("CHECK ((stock >= 0)) NOT VALID", Some("(stock >= 0)")),
            ("CHECK ((\"a)b\" <> ')('::text))", Some("(\"a)b\" <> ')('::text)")),
            ("CHECK (((a > 0) AND (b > 0))) NO INHERIT", Some("((a > 0) AND (b > 0))")),
            ("CHECK ((a", None),
        ] {
            assert_eq!(inside(definition), expected, "{definition}");
        }
    }
}
