//! Columns: their types, defaults and sequences.

use posthaste_base::catalog::{Catalog, Column, Name, Sequence};

use super::name;
use crate::statement::{ColumnConstraintKind, ColumnDefinition, GeneratedKind, SequenceOptions, TypeName};

/// Sets a column's type from what was written.
pub(super) fn set_type(catalog: &Catalog, column: &mut Column, type_name: &TypeName) {
    let written = type_name.serial_base();
    let (type_ref, canonical) = match written {
        Some(base) => {
            let internal = match base {
                "bigint" => "int8",
                "smallint" => "int2",
                _ => "int4",
            };
            (Name::new("pg_catalog", internal), base.to_owned())
        }
        None => (resolve(catalog, type_name), type_name.canonical.clone()),
    };
    let is_array = type_name.array_dimensions > 0;
    let prefix = if is_array { "_" } else { "" };
    column.type_ref = Name::new(&type_ref.schema, format!("{prefix}{}", type_ref.name));
    column.type_name = canonical;
    column.type_modifier = modifier(type_name);
    column.collation = None;
}

/// The type's own name with its schema; what is not known otherwise is the server's own.
pub(super) fn resolve(catalog: &Catalog, type_name: &TypeName) -> Name {
    let name = &type_name.name;
    if let Some(schema) = &name.schema {
        return Name::new(schema, &name.name);
    }
    let known = catalog.types.iter().map(|known| &known.name);
    let known: Vec<&Name> = known.chain(catalog.relations.iter().map(|relation| &relation.name)).collect();
    let find = |schema: &String| {
        known
            .iter()
            .find(|known| known.schema == *schema && known.name == name.name)
            .map(|known| (*known).clone())
    };
    catalog.search_path.iter().find_map(find).unwrap_or_else(|| Name::new("pg_catalog", &name.name))
}

/// `atttypmod`, of the types where one can tell it from the text.
fn modifier(type_name: &TypeName) -> i32 {
    let numbers: Option<Vec<i32>> = type_name.modifiers.iter().map(|text| text.parse().ok()).collect();
    match (type_name.name.name.as_str(), numbers.as_deref()) {
        ("varchar" | "bpchar", Some([length])) => length + 4,
        ("numeric", Some([precision, scale])) => ((precision << 16) | (scale & 0x7ff)) + 4,
        ("bit" | "varbit" | "timestamp" | "timestamptz" | "time" | "timetz", Some([length])) => *length,
        _ => -1,
    }
}

/// A column with everything that is no constraint with a name; its sequence is made with it.
pub(super) fn make(
    catalog: &mut Catalog,
    table: &Name,
    number: i16,
    definition: &ColumnDefinition,
) -> Column {
    let mut column =
        Column { name: definition.name.name.clone(), number, type_modifier: -1, ..Column::default() };
    if let Some(type_name) = &definition.type_name {
        set_type(catalog, &mut column, type_name);
        if type_name.serial_base().is_some() {
            let sequence = make_sequence(catalog, table, &column, &SequenceOptions::default());
            column.default = Some(format!("nextval('{}.{}'::regclass)", sequence.schema, sequence.name));
            column.is_not_null = true;
        }
    }
    column.collation = definition.collation.as_ref().map(|collation| collation.name.clone());
    apply_constraints(catalog, table, &mut column, definition);
    column
}

/// What the inline constraints say about the column itself.
pub(super) fn apply_constraints(
    catalog: &mut Catalog,
    table: &Name,
    column: &mut Column,
    definition: &ColumnDefinition,
) {
    for constraint in &definition.constraints {
        match &constraint.kind {
            ColumnConstraintKind::NotNull { .. } | ColumnConstraintKind::PrimaryKey { .. } => {
                column.is_not_null = true;
            }
            // DEFAULT NULL is none.
            ColumnConstraintKind::Default(expression) => {
                column.default = (!expression.is_null()).then(|| expression.text.clone());
            }
            ColumnConstraintKind::Generated { kind, expression } => {
                let letter = if *kind == GeneratedKind::Stored { "s" } else { "v" };
                column.generated = Some(letter.to_owned());
                column.default = Some(expression.text.clone());
            }
            ColumnConstraintKind::Identity { is_always, options } => {
                column.is_not_null = true;
                column.identity = Some(if *is_always { "a" } else { "d" }.to_owned());
                make_sequence(catalog, table, column, options);
            }
            _ => {}
        }
    }
}

/// The sequence of a serial or an identity column, which is the column's own.
pub(super) fn make_sequence(
    catalog: &mut Catalog,
    table: &Name,
    column: &Column,
    options: &SequenceOptions,
) -> Name {
    let named = options.name.as_ref().map(|name| name.in_schema(&table.schema));
    let name = named
        .unwrap_or_else(|| name::relation(catalog, &table.schema, &table.name, &column.name, "seq", false));
    let type_name = match column.type_ref.name.as_str() {
        "int2" => "smallint",
        "int4" => "integer",
        _ => "bigint",
    };
    let mut sequence = Sequence {
        name: name.clone(),
        type_name: type_name.to_owned(),
        table: Some(table.clone()),
        column: Some(column.name.clone()),
        ..Sequence::default()
    };
    set_sequence(&mut sequence, options, true);
    catalog.sequences.push(sequence);
    name
}

/// Options of CREATE SEQUENCE, or of ALTER SEQUENCE, where what is not said stays.
pub(super) fn set_sequence(sequence: &mut Sequence, options: &SequenceOptions, is_new: bool) {
    let largest = |type_name: &str| match type_name {
        "smallint" => i64::from(i16::MAX),
        "integer" => i64::from(i32::MAX),
        _ => i64::MAX,
    };
    let before = largest(&sequence.type_name);
    if let Some(type_name) = &options.type_name {
        sequence.type_name.clone_from(&type_name.canonical);
    }
    let most = largest(&sequence.type_name);
    if let Some(increment) = options.increment {
        sequence.increment = increment;
    } else if is_new {
        sequence.increment = 1;
    }
    let is_up = sequence.increment > 0;
    let (low, high) = if is_up { (1, most) } else { (-most - 1, -1) };
    match options.maximum {
        Some(maximum) => sequence.maximum = maximum.unwrap_or(high),
        // A bound that was the old type's own follows the type.
        None if is_new || (is_up && sequence.maximum == before && before != most) => sequence.maximum = high,
        None => {}
    }
    match options.minimum {
        Some(minimum) => sequence.minimum = minimum.unwrap_or(low),
        None if is_new || (!is_up && sequence.minimum == -before - 1 && before != most) => {
            sequence.minimum = low
        }
        None => {}
    }
    if let Some(start) = options.start {
        sequence.start = start;
    } else if is_new {
        sequence.start = if is_up { sequence.minimum } else { sequence.maximum };
    }
    if let Some(cycles) = options.cycles {
        sequence.cycles = cycles;
    }
}
