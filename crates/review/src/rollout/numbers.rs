//! ADD COLUMN of a serial or an identity: new rows get their number from a sequence at once, the old ones in batches.
//!
//! Not for: columns that are there already.

use posthaste_base::catalog::{Name, Relation};
use posthaste_base::quote::{identifier, literal};

use super::column::{drop_column, make_strict};
use super::draft::{Draft, Stage, Undo};
use super::template::template;
use super::world::{World, default_name};
use super::{NoRoute, constraint, rows};
use crate::statement::{ColumnConstraintKind as Kind, ColumnDefinition};

pub(super) fn add(
    draft: &mut Draft,
    world: &World<'_>,
    table: &Relation,
    column: &ColumnDefinition,
) -> Result<(), NoRoute> {
    let Some(type_name) = &column.type_name else {
        return Err(NoRoute::new("a column without a type"));
    };
    let identity = column.constraints.iter().find(|one| matches!(one.kind, Kind::Identity { .. }));
    let has_options = matches!(
        identity.map(|one| &one.kind),
        Some(Kind::Identity { options, .. }) if *options != Default::default()
    );
    if has_options {
        return Err(NoRoute::new(
            "an identity with options of its own numbers every row at once; write it without them, and alter its \
             sequence afterwards",
        ));
    }
    let name = &column.name.name;
    let type_text = type_name.serial_base().map_or_else(|| type_name.text.clone(), str::to_owned);
    let wanted = default_name(&table.name.name, name, "seq");
    // The sequence of an identity is the server's to make, under that name; until then there is another.
    let sequence = if identity.is_some() { world.free_name(&format!("{wanted}_fill")) } else { wanted };
    let sequence = Name::new(&table.name.schema, sequence);
    let quoted = table.name.quoted();
    let value = template!("next_value").with(&[("sequence", &literal(&sequence.quoted()))]);
    let values = [
        ("table", quoted.as_str()),
        ("column", &identifier(name)),
        ("type", &type_text),
        ("sequence", &sequence.quoted()),
        ("expression", &value),
    ];
    draft.transaction(
        Stage::Expand,
        format!("add {}.{name}, numbered for new rows", table.name.name),
        vec![
            template!("add_column").with(&values),
            template!("create_sequence").with(&values),
            template!("set_default").with(&values),
        ],
        Undo::By(vec![drop_column(&quoted, name)]),
    );
    let mut batches = rows::by_key(table);
    batches.statements = vec![template!("fill_empty").with(&values)];
    batches.left = Some(template!("count_null").with(&values));
    draft.batches(format!("number the rows of {} by {name}", table.name.name), batches, Undo::WithAnother);
    if column.constraints.iter().any(|one| matches!(one.kind, Kind::PrimaryKey { .. })) {
        let named = column.constraints.iter().find(|one| matches!(one.kind, Kind::PrimaryKey { .. }));
        constraint::primary_key_column(draft, table, named.and_then(|one| one.name.as_ref()), &column.name)?;
    } else {
        constraint::not_null(draft, table, name);
    }
    if let Some(identity) = identity {
        let with = [values.as_slice(), &[("identity", world.cut(identity.span))]].concat();
        let from = sequence.quoted();
        let made =
            literal(&Name::new(&table.name.schema, default_name(&table.name.name, name, "seq")).quoted());
        draft.transaction(
            Stage::Switch,
            format!("let {}.{name} number its rows by itself", table.name.name),
            vec![
                template!("drop_default").with(&values),
                template!("number_rows").with(&with),
                template!("go_on_counting").with(&[("from", &from), ("to", &made)]),
                template!("drop_sequence").with(&values),
            ],
            // What is left goes with the column.
            Undo::By(vec![template!("drop_identity").with(&values)]),
        );
    }
    let is_done =
        |kind: &Kind| matches!(kind, Kind::PrimaryKey { .. } | Kind::NotNull { .. } | Kind::Identity { .. });
    for inline in column.constraints.iter().filter(|one| !is_done(&one.kind)) {
        make_strict(draft, world, table, column, inline, true)?;
    }
    Ok(())
}
