//! RENAME of a column: both names serve until nobody uses the old one.
//!
//! A second column stands for the new name, and a trigger keeps the two in step in both ways. In the end it goes, and
//! the old column takes the new name in the same moment: with its indexes, its constraints and all that hangs on it,
//! so that nothing needs to be built twice for good. Not for: tables (see `drop`).

use posthaste_base::catalog::{Column, Index, Name, Relation, RelationKind};
use posthaste_base::quote::identifier;

use super::draft::{Draft, Stage, Undo};
use super::template::template;
use super::world::{World, index_definition};
use super::{Clause, NoRoute, index, rows};
use crate::statement::Identifier;

/// BEFORE triggers for each row of a partitioned table came with it.
const TRIGGERS_OF_PARTITIONED_SINCE: u32 = 13;

pub(super) fn column(
    draft: &mut Draft,
    world: &World<'_>,
    clause: &Clause<'_>,
    from: &Identifier,
    to: &Identifier,
) -> Result<(), NoRoute> {
    let Some(table) = world.filled(&clause.alter.name) else {
        draft.transaction(Stage::Switch, clause.title(), vec![clause.statement()], Undo::Impossible);
        return Ok(());
    };
    let known = table.columns.iter().find(|known| *from == known.name.as_str());
    let Some(known) = known else {
        return Err(NoRoute::new("a column that the file itself adds; give it its name there"));
    };
    refuse(world, clause, table, known, to)?;
    add_second(draft, table, known, to);
    let indexes: Vec<&Index> = table
        .indexes
        .iter()
        .filter(|index| index.keys.iter().any(|key| key.column.as_ref() == Some(&known.name)))
        .collect();
    for old in indexes {
        index_second(draft, world, table, known, to, old);
    }
    contract(draft, table, known, to);
    Ok(())
}

fn refuse(
    world: &World<'_>,
    clause: &Clause<'_>,
    table: &Relation,
    column: &Column,
    to: &Identifier,
) -> Result<(), NoRoute> {
    let is_partitioned = table.kind == RelationKind::PartitionedTable;
    let inherits = !table.parents.is_empty() || world.catalog.children(&table.name).next().is_some();
    let names_both = |text: &str| text.contains(table.name.name.as_str()) && text.contains(to.as_str());
    let mut later = world.statements.iter().filter(|located| located.number > clause.number);
    let why = if !matches!(table.kind, RelationKind::Table | RelationKind::PartitionedTable) {
        "it is no plain table, so that no trigger can keep two columns in step".to_owned()
    } else if is_partitioned && world.version < TRIGGERS_OF_PARTITIONED_SINCE {
        "before PostgreSQL 13 no trigger of a partitioned table can change a row".to_owned()
    } else if inherits && !is_partitioned {
        "its table inherits or is inherited from, and every member would need its trigger".to_owned()
    } else if column.generated.is_some() {
        "nothing may be written to a generated column".to_owned()
    } else if later.any(|located| names_both(&located.text)) {
        format!("later statements of the file use {to}; put them in a migration of their own")
    } else {
        return Ok(());
    };
    Err(NoRoute::new(format!(
        "clients that name {} fail from the moment in which it is called {to}, and both names cannot serve together: {why}",
        column.name
    )))
}

/// The names that statements are filled with.
struct Names {
    table: String,
    from: String,
    to: String,
    function: String,
    trigger: String,
}

impl Names {
    fn new(table: &Relation, column: &Column, to: &Identifier) -> Self {
        let name = format!("{}_{}_same", table.name.name, column.name);
        Self {
            table: table.name.quoted(),
            from: identifier(&column.name),
            to: identifier(&to.name),
            function: Name::new(&table.name.schema, &name).quoted(),
            trigger: identifier(&format!("zzz_{name}")),
        }
    }

    fn values(&self) -> [(&str, &str); 7] {
        [
            ("table", &self.table),
            ("column", &self.to),
            ("from", &self.from),
            ("to", &self.to),
            ("expression", &self.from),
            ("function", &self.function),
            ("trigger", &self.trigger),
        ]
    }
}

fn add_second(draft: &mut Draft, table: &Relation, column: &Column, to: &Identifier) {
    let names = Names::new(table, column, to);
    let values = names.values();
    let collation = column.collation.as_ref().map(|name| format!(" collate {name}")).unwrap_or_default();
    let mut typed = values.to_vec();
    let type_text = format!("{}{collation}", column.type_name);
    typed.push(("type", &type_text));
    draft.transaction(
        Stage::Expand,
        format!(
            "add {}.{to} beside {}, kept in step by a trigger in both ways",
            table.name.name, column.name
        ),
        vec![
            template!("add_column").with(&typed),
            template!("same_function").with(&values),
            template!("sync_trigger").with(&values),
        ],
        Undo::By(vec![
            template!("drop_trigger").with(&values),
            template!("drop_function").with(&values),
            template!("drop_column_if_exists").with(&values),
        ]),
    );
    let mut batches = rows::by_key(table);
    batches.statements = vec![template!("backfill").with(&values)];
    batches.left = Some(template!("count_behind").with(&values));
    draft.batches(format!("fill {}.{to}", table.name.name), batches, Undo::WithAnother);
}

/// For clients that ask by the new name; it goes with its column.
fn index_second(
    draft: &mut Draft,
    world: &World<'_>,
    table: &Relation,
    column: &Column,
    to: &Identifier,
    old: &Index,
) {
    if old.is_partitioned || old.is_exclusion {
        draft.note(format!(
            "Until the end no index stands for {to} in the place of {}: queries that name {to} read more.",
            old.name.name
        ));
        return;
    }
    let mut second = old.clone();
    for key in second.keys.iter_mut().filter(|key| key.column.as_ref() == Some(&column.name)) {
        key.column = Some(to.name.clone());
    }
    let name = Name::new(&old.name.schema, world.free_name(&format!("{}_new", old.name.name)));
    let unique = if old.is_unique { "unique " } else { "" };
    index::build(draft, Stage::Validate, unique, &name, &table.name, &index_definition(&second));
}

fn contract(draft: &mut Draft, table: &Relation, column: &Column, to: &Identifier) {
    let names = Names::new(table, column, to);
    let values = names.values();
    draft.manual(
        Stage::Contract,
        format!("make sure that nothing uses {}.{}", table.name.name, column.name),
        format!(
            "Until here both names serve. Every version of the application that runs must say {to} and not {} from \
             now on, also where it reads with `select *`.",
            column.name
        ),
    );
    let rename = |from: &str, to: &str| {
        template!("rename_column").with(&[("table", &names.table), ("column", from), ("to", to)])
    };
    draft.transaction(
        Stage::Contract,
        format!("let {}.{} take the name {to}", table.name.name, column.name),
        vec![
            template!("drop_trigger").with(&values),
            template!("drop_function").with(&values),
            template!("drop_column").with(&values),
            rename(&names.from, &names.to),
        ],
        Undo::By(vec![rename(&names.to, &names.from)]),
    );
}
