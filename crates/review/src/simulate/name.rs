//! The names that PostgreSQL chooses for what is not named.
//!
//! Source: `makeObjectName`, `ChooseRelationName`, `ChooseConstraintName` and `ChooseIndexName` of PostgreSQL.

use posthaste_base::catalog::{Catalog, Name};

use super::is_taken;

const NAME_BYTES_MAX: usize = 63;

/// `first_second_label`, where the longer of the two gives way when that is too long.
fn object_name(first: &str, second: &str, label: &str) -> String {
    let separators = usize::from(!second.is_empty()) + usize::from(!label.is_empty());
    let room = NAME_BYTES_MAX.saturating_sub(separators + label.len());
    let (mut first_bytes, mut second_bytes) = (first.len(), second.len());
    while first_bytes + second_bytes > room {
        if first_bytes > second_bytes {
            first_bytes -= 1;
        } else {
            second_bytes -= 1;
        }
    }
    let cut = |text: &str, mut bytes: usize| {
        while !text.is_char_boundary(bytes) {
            bytes -= 1;
        }
        text[..bytes].to_owned()
    };
    let parts = [cut(first, first_bytes), cut(second, second_bytes), label.to_owned()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
}

/// The first that is free, with a number behind the label from 1 on.
fn choose(first: &str, second: &str, label: &str, is_free: impl Fn(&str) -> bool) -> String {
    let mut label_now = label.to_owned();
    let mut number = 0;
    loop {
        let name = object_name(first, second, &label_now);
        if is_free(&name) {
            return name;
        }
        number += 1;
        label_now = format!("{label}{number}");
    }
}

/// For an index or a sequence. With `is_constraint`, names of constraints in the schema are no more free either.
pub(super) fn relation(
    catalog: &Catalog,
    schema: &str,
    first: &str,
    second: &str,
    label: &str,
    is_constraint: bool,
) -> Name {
    let is_constraint_name = |name: &str| {
        let mut tables = catalog.relations.iter().filter(|relation| relation.name.schema == schema);
        tables.any(|table| table.constraints.iter().any(|constraint| constraint.name == name))
    };
    let is_free = |name: &str| {
        let is_of_constraint = is_constraint && is_constraint_name(name);
        !is_of_constraint && !is_taken(catalog, &Name::new(schema, name))
    };
    Name::new(schema, choose(first, second, label, is_free))
}

/// For a constraint that has no index: free in the whole schema, as the server looks for it there.
pub(super) fn constraint(catalog: &Catalog, schema: &str, first: &str, second: &str, label: &str) -> String {
    let mut names: Vec<&str> = Vec::new();
    for relation in catalog.relations.iter().filter(|relation| relation.name.schema == schema) {
        names.extend(relation.constraints.iter().map(|constraint| constraint.name.as_str()));
    }
    for known in catalog.types.iter().filter(|known| known.name.schema == schema) {
        names.extend(known.checks.iter().map(|constraint| constraint.name.as_str()));
    }
    choose(first, second, label, |name| !names.contains(&name))
}

/// Names of columns, joined until they are too long.
pub(super) fn joined(columns: &[String]) -> String {
    let mut text = String::new();
    for column in columns {
        if text.len() >= NAME_BYTES_MAX {
            break;
        }
        if !text.is_empty() {
            text.push('_');
        }
        text.push_str(column);
    }
    let mut bytes = text.len().min(NAME_BYTES_MAX);
    while !text.is_char_boundary(bytes) {
        bytes -= 1;
    }
    text.truncate(bytes);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_part_gives_way() {
        let long = "a".repeat(60);
        assert_eq!(object_name("users", "email", "key"), "users_email_key");
        assert_eq!(object_name(&long, "email", "key"), format!("{}_email_key", "a".repeat(53)));
        assert_eq!(
            object_name(&long, &"b".repeat(60), "idx"),
            format!("{}_{}_idx", "a".repeat(29), "b".repeat(29))
        );
    }
}
