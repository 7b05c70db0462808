//! What goes, and what is called otherwise: last, after somebody has made sure that nobody needs it.
//!
//! Not for: indexes (see `index`) and constraints (see `constraint`).

use posthaste_base::catalog::{Name, RelationKind};
use posthaste_base::quote::{identifier, identifiers, literal};

use super::draft::{Draft, Stage, Undo};
use super::template::template;
use super::world::World;
use super::{Clause, NoRoute, located_text, model};
use crate::statement::{Drop, Identifier, Located, ObjectKind};

/// How long nobody must have read a table before it goes, in days.
const UNUSED_DAYS: u32 = 7;

pub(super) fn column(draft: &mut Draft, world: &World<'_>, clause: &Clause<'_>, column: &Identifier) {
    let table = world.name(&clause.alter.name);
    draft.manual(
        Stage::Contract,
        format!("make sure that nothing uses {}.{column}", table.name),
        format!(
            "No version of the application that runs may name {}.{column}, also not by `select *` into a fixed list. \
             Its data cannot be brought back but from a backup.",
            table.name
        ),
    );
    draft.transaction(
        Stage::Contract,
        format!("take {}.{column} away", table.name),
        vec![clause.statement()],
        Undo::Impossible,
    );
}

/// DROP of anything but an index.
pub(super) fn object(
    draft: &mut Draft,
    world: &World<'_>,
    located: &Located,
    drop: &Drop,
) -> Result<(), NoRoute> {
    let names: Vec<String> = drop.targets.iter().map(|target| target.name.to_string()).collect();
    let names = names.join(", ");
    let is_there = drop.targets.iter().any(|target| world.relation(&target.name).is_some());
    if matches!(drop.kind, ObjectKind::Table | ObjectKind::View | ObjectKind::MaterializedView) && is_there {
        draft.manual(
            Stage::Contract,
            format!("make sure that nothing uses {names}"),
            "No version of the application that runs may name it. Its data cannot be brought back but from a backup.",
        );
        // Before 16 the server does not say when a table was read last.
        if drop.kind == ObjectKind::Table && world.version >= 16 {
            for target in &drop.targets {
                let name = literal(&world.name(&target.name).quoted());
                let days = UNUSED_DAYS.to_string();
                let sql = template!("is_unused").with(&[("table", &name), ("days", &days)]);
                draft.check(Stage::Contract, format!("nobody read {} for {days} days", target.name), sql);
            }
        }
    }
    let title = format!("take {} {names} away", drop.kind.words().to_lowercase());
    if model::effects(&located.statement, world.catalog, world.version).may_be_in_transaction {
        draft.transaction(Stage::Contract, title, vec![located_text(located)], Undo::Impossible);
        return Ok(());
    }
    if drop.kind == ObjectKind::Database {
        let here = &world.catalog.server.database;
        if drop.targets.iter().any(|target| target.name.name == *here) {
            return Err(NoRoute::at_all("nobody can drop the database to which they are connected"));
        }
        draft.manual(
            Stage::Contract,
            format!("make sure that nothing uses {names}"),
            "Its data cannot be brought back but from a backup. The drop fails while anybody is connected to it.",
        );
    }
    draft.alone(Stage::Contract, title, located_text(located), None, Undo::Impossible);
    Ok(())
}

/// RENAME of a table: a view under the old name serves those who still know it.
pub(super) fn rename_table(draft: &mut Draft, world: &World<'_>, clause: &Clause<'_>, to: &Identifier) {
    world.makes_late(&to.name);
    let Some(table) = world.filled(&clause.alter.name) else {
        return as_it_is(draft, clause);
    };
    if !matches!(table.kind, RelationKind::Table | RelationKind::PartitionedTable) {
        return as_it_is(draft, clause);
    }
    let new = Name::new(&table.name.schema, &to.name);
    let view = table.name.quoted();
    let columns = identifiers(table.columns.iter().map(|column| column.name.as_str()));
    let rename = |from: &Name, to: &str| {
        template!("rename_table").with(&[("table", &from.quoted()), ("to", &identifier(to))])
    };
    let stand_in =
        template!("stand_in_view").with(&[("view", &view), ("columns", &columns), ("table", &new.quoted())]);
    let drop_view = template!("drop_view").with(&[("view", &view)]);
    draft.transaction(
        Stage::Switch,
        format!("call {} {to}, with a view under the old name", table.name.name),
        vec![rename(&table.name, &to.name), stand_in],
        Undo::By(vec![drop_view.clone(), rename(&new, &table.name.name)]),
    );
    draft.note(format!(
        "The view {} has no grants of the table's: give them to the roles that still use the old name, in the same \
         step. INSERT ... ON CONFLICT and COPY work on the table only.",
        table.name.name
    ));
    draft.manual(
        Stage::Contract,
        format!("make sure that nothing uses the name {}", table.name.name),
        "Every version of the application that runs must know the new name.",
    );
    draft.transaction(
        Stage::Contract,
        format!("take the view {} away", table.name.name),
        vec![drop_view],
        Undo::By(vec![template!("stand_in_view").with(&[
            ("view", &view),
            ("columns", &columns),
            ("table", &new.quoted()),
        ])]),
    );
}

fn as_it_is(draft: &mut Draft, clause: &Clause<'_>) {
    draft.transaction(Stage::Switch, clause.title(), vec![clause.statement()], Undo::Impossible);
}
