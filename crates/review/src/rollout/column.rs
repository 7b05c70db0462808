//! Columns: added without a rewrite or a scan, filled in batches, and made strict last.

use posthaste_base::catalog::Relation;
use posthaste_base::quote::identifier;

use super::draft::{Draft, Stage, Undo};
use super::rows;
use super::template::template;
use super::world::{World, default_name};
use super::{NoRoute, constraint, numbers};
use crate::model;
use crate::statement::{
    ColumnConstraint, ColumnConstraintKind as Kind, ColumnDefinition, Expression, Identifier, TypeName,
};

/// Why ADD COLUMN fails on the rows that are there, whatever is done: they have no value.
pub(super) fn fails(table: &Relation, column: &ColumnDefinition) -> Option<NoRoute> {
    let is_marked =
        |one: &ColumnConstraint| matches!(one.kind, Kind::NotNull { .. } | Kind::PrimaryKey { .. });
    let has_value = column.default().is_some_and(|default| !default.is_null())
        || column.is_identity()
        || column.generated().is_some()
        || column.type_name.as_ref().is_some_and(|name| name.serial_base().is_some());
    if has_value || !column.constraints.iter().any(is_marked) {
        return None;
    }
    let rows = table.size.rows.map_or("the rows".to_owned(), |rows| format!("the {rows} rows"));
    Some(NoRoute::at_all(format!(
        "it fails: {rows} of {} have no value for {}. Give it a default (a constant one writes nothing), or add it \
         without NOT NULL, fill it by an UPDATE, and then SET NOT NULL: each of these has an online way",
        table.name.name, column.name
    )))
}

/// Why no column of that type can be made while all goes on, when its values are checked.
pub(super) fn is_checked(world: &World<'_>, type_name: &TypeName) -> Option<NoRoute> {
    let domain = model::constrained_domain(type_name, world.catalog)?;
    let base = domain.base.as_deref().unwrap_or("its base type");
    Some(NoRoute::new(format!(
        "PostgreSQL writes the table anew for a column of {}, whose values are checked one by one. A column of {base} \
         with the domain's conditions as constraints of its own goes online",
        domain.name.name
    )))
}

/// ADD COLUMN that would rewrite or scan: bare first, then its default, its data, and its constraints.
pub(super) fn add(
    draft: &mut Draft,
    world: &World<'_>,
    table: &Relation,
    column: &ColumnDefinition,
) -> Result<(), NoRoute> {
    if column.generated().is_some() {
        return Err(NoRoute::new(
            "a generated column is computed for every row at once; add a plain one that a trigger fills",
        ));
    }
    let Some(type_name) = &column.type_name else {
        return Err(NoRoute::new("a column without a type"));
    };
    if let Some(no) = is_checked(world, type_name) {
        return Err(no);
    }
    if column.is_identity() || type_name.serial_base().is_some() {
        return numbers::add(draft, world, table, column);
    }
    let quoted = table.name.quoted();
    let name = &column.name.name;
    let volatile = column.default().filter(|default| super::is_volatile(world, default));
    let kept: Vec<&str> = column
        .constraints
        .iter()
        .filter(|c| stays_inline(c, volatile.is_some(), column.default().is_some()))
        .map(|c| world.cut(c.span))
        .collect();
    let collation = column.collation.as_ref().map(|name| format!(" collate {}", world.cut(name.span)));
    let constraints = format!("{}{}", collation.unwrap_or_default(), prefixed(&kept));
    let action = template!("typed_column").with(&[
        ("column", &identifier(name)),
        ("type", &type_name.text),
        ("constraints", &constraints),
    ]);
    let add = template!("alter_table").with(&[("table", &quoted), ("action", &action)]);
    draft.transaction(
        Stage::Expand,
        format!("add {}.{name}", table.name.name),
        vec![add],
        Undo::By(vec![drop_column(&quoted, name)]),
    );
    if let Some(default) = volatile {
        fill_with_default(draft, table, name, default);
    }
    for inline in &column.constraints {
        make_strict(draft, world, table, column, inline, volatile.is_some())?;
    }
    Ok(())
}

/// What can be said with the bare column without looking at a row.
fn stays_inline(constraint: &ColumnConstraint, is_filled_later: bool, has_default: bool) -> bool {
    match &constraint.kind {
        Kind::Default(_) | Kind::NotNull { .. } => !is_filled_later,
        Kind::Null => true,
        // Without a default there is nothing to check.
        Kind::References(_) => !is_filled_later && !has_default,
        _ => false,
    }
}

fn prefixed(parts: &[&str]) -> String {
    parts.iter().map(|part| format!(" {part}")).collect()
}

/// New rows get the default from now on; the old ones in batches.
fn fill_with_default(draft: &mut Draft, table: &Relation, column: &str, default: &Expression) {
    let quoted = table.name.quoted();
    let column_quoted = identifier(column);
    let values = [
        ("table", quoted.as_str()),
        ("column", column_quoted.as_str()),
        ("expression", default.text.as_str()),
    ];
    draft.transaction(
        Stage::Expand,
        format!("give new rows of {} their {column}", table.name.name),
        vec![template!("set_default").with(&values)],
        Undo::WithAnother,
    );
    let mut batches = rows::by_key(table);
    batches.statements = vec![template!("fill_empty").with(&values)];
    batches.left = Some(template!("count_null").with(&values));
    draft.batches(format!("fill {}.{column}", table.name.name), batches, Undo::WithAnother);
}

pub(super) fn make_strict(
    draft: &mut Draft,
    world: &World<'_>,
    table: &Relation,
    column: &ColumnDefinition,
    inline: &ColumnConstraint,
    is_filled_later: bool,
) -> Result<(), NoRoute> {
    let name = &column.name.name;
    match &inline.kind {
        Kind::NotNull { .. } if is_filled_later => constraint::not_null(draft, table, name),
        Kind::Check { expression, .. } => {
            let names: Vec<&str> = expression.columns.iter().map(|used| used.column.as_str()).collect();
            let of_one = names.iter().all(|other| *other == name);
            let fallback = default_name(&table.name.name, if of_one { name } else { "" }, "check");
            let check = inline.name.as_ref().map_or(fallback, |name| name.name.clone());
            let quoted = table.name.quoted();
            let add = template!("add_check").with(&[
                ("table", &quoted),
                ("constraint", &identifier(&check)),
                ("expression", &expression.text),
            ]);
            draft.transaction(
                Stage::Validate,
                format!("declare {check} on {}, for new rows", table.name.name),
                vec![add],
                Undo::By(vec![constraint::drop_constraint(&quoted, &check)]),
            );
            constraint::validate(draft, &table.name, &check);
        }
        Kind::Unique { nulls_not_distinct, .. } => constraint::unique_column(
            draft,
            table,
            inline.name.as_ref(),
            &column.name,
            *nulls_not_distinct,
            inline.timing,
        )?,
        Kind::PrimaryKey { .. } => {
            return Err(NoRoute::new("a primary key over a column that is still to be filled"));
        }
        Kind::References(_) if is_filled_later => {
            return Err(NoRoute::new(
                "a foreign key whose column gets a value for every row; add the key in a statement of its own",
            ));
        }
        Kind::References(_) if column.default().is_some() => {
            let fallback = default_name(&table.name.name, name, "fkey");
            let key = inline.name.as_ref().map_or(fallback, |name| name.name.clone());
            let from = inline.name.as_ref().map_or(inline.span.start, |name| name.span.end);
            let references = world.text.get(from..inline.span.end).unwrap_or_default();
            let definition = template!("inline_reference")
                .with(&[("column", &identifier(name)), ("references", references.trim())]);
            constraint::declare_and_validate(draft, table, &key, &definition);
        }
        _ => {}
    }
    Ok(())
}

pub(super) fn drop_column(table: &str, column: &str) -> String {
    template!("drop_column").with(&[("table", table), ("column", &identifier(column))])
}

/// SET DEFAULT and DROP DEFAULT go back to what the catalog knows.
pub(super) fn undo_default(table: &Relation, column: &Identifier) -> Undo {
    let quoted = table.name.quoted();
    let column_quoted = identifier(&column.name);
    let known = table.columns.iter().find(|known| *column == known.name.as_str());
    let Some(known) = known else { return Undo::WithAnother };
    Undo::By(vec![match &known.default {
        Some(default) => template!("set_default").with(&[
            ("table", &quoted),
            ("column", &column_quoted),
            ("expression", default),
        ]),
        None => template!("drop_default").with(&[("table", &quoted), ("column", &column_quoted)]),
    }])
}
