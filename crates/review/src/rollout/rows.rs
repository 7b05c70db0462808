//! UPDATE and DELETE over many rows: a range of keys after the other, each a transaction of its own.

use posthaste_base::catalog::Relation;
use posthaste_base::quote::identifier;
use posthaste_report::{BATCH, Batches};

use super::NoRoute;
use super::draft::{Draft, Stage, Undo};
use super::template::template;
use super::world::World;
use crate::statement::{Located, Query, QueryKind};

/// Up to so many rows one transaction is short enough.
const ROWS_AT_ONCE_MAX: u64 = 10_000;

/// UPDATE or DELETE of a table that holds rows.
pub(super) fn change(
    draft: &mut Draft,
    world: &World<'_>,
    located: &Located,
    query: &Query,
    table: &Relation,
) -> Result<(), NoRoute> {
    let verb = if query.kind == QueryKind::Delete { "delete rows of" } else { "update rows of" };
    let title = format!("{verb} {}", table.name.name);
    if world.rows(table).is_some_and(|rows| rows <= ROWS_AT_ONCE_MAX) || query.is_positioned {
        draft.transaction(Stage::Backfill, title, vec![located.text.clone()], Undo::Impossible);
        return Ok(());
    }
    if query.has_returning || !query.ctes.is_empty() {
        return Err(NoRoute::new("a statement with RETURNING or WITH cannot be cut into ranges of keys"));
    }
    let mut batches = by_key(table);
    let called = query.target.as_ref().and_then(|target| target.alias.clone());
    batches.alias = called;
    let Some(statement) = with_batch(located, query) else {
        return Err(NoRoute::new("the place of its condition is not known"));
    };
    batches.statements = vec![statement];
    batches.left = left(world, query);
    note_whole_reads(draft, world, query);
    if batches.key.is_empty() && batches.left.is_none() {
        return Err(NoRoute::new(
            "the table has no unique key to go by, and the statement would do harm when it met a row twice",
        ));
    }
    if query.kind == QueryKind::Update && batches.left.is_none() {
        draft.note(format!(
            "What the update of {} sets depends on what it changes, so that nothing can be counted as left; each \
             range is done exactly once. Rows that are written meanwhile are changed too when their key lies ahead.",
            table.name.name
        ));
    }
    // What was only set in columns that the plan adds goes with them.
    let is_new = |assignment: &crate::statement::Assignment| {
        query.target.as_ref().is_some_and(|target| world.adds_column(&target.name, &assignment.column.name))
    };
    let is_all_new = query.kind == QueryKind::Update && query.assignments.iter().all(is_new);
    draft.batches(title, batches, if is_all_new { Undo::WithAnother } else { Undo::Impossible });
    Ok(())
}

/// A large table that the statement reads beside its own: without an index for it, each range reads all of it.
fn note_whole_reads(draft: &mut Draft, world: &World<'_>, query: &Query) {
    for read in &query.reads {
        let Some(table) = world.filled(&read.name) else { continue };
        let is_large = world.rows(table).is_none_or(|rows| rows > ROWS_AT_ONCE_MAX);
        let called = read.alias.as_deref().unwrap_or(&read.name.name);
        let is_used = |column: &str| {
            let of_it = |table: &Option<String>| table.as_deref().is_none_or(|table| table == called);
            query.columns_used.iter().any(|used| of_it(&used.table) && used.column == column)
        };
        let is_served = table.indexes.iter().any(|index| {
            let first = index.keys.first().and_then(|key| key.column.as_deref());
            index.is_valid && index.predicate.is_none() && first.is_some_and(is_used)
        });
        if is_large && !is_served {
            draft.note(format!(
                "No index of {} begins with a column that the change of {} asks for: each range reads all of {}. \
                 Build one first.",
                table.name.name,
                query.target.as_ref().map_or("the table", |target| target.name.name.as_str()),
                table.name.name
            ));
        }
    }
}

/// Batches by the primary key, else by a unique key without NULLs, else by place.
pub(super) fn by_key(table: &Relation) -> Batches {
    let usable = |index: &&posthaste_base::catalog::Index| {
        let is_strict = |key: &posthaste_base::catalog::IndexKey| {
            let column = table.columns.iter().find(|column| Some(&column.name) == key.column.as_ref());
            column.is_some_and(|column| column.is_not_null)
        };
        index.is_unique && index.is_valid && index.predicate.is_none() && index.keys.iter().all(is_strict)
    };
    let mut indexes: Vec<_> = table.indexes.iter().filter(usable).collect();
    indexes.sort_by_key(|index| (!index.is_primary, index.keys.len()));
    let key = indexes
        .first()
        .map_or_else(Vec::new, |index| index.keys.iter().filter_map(|key| key.column.clone()).collect());
    Batches::new(&table.name.schema, &table.name.name, key)
}

/// The statement with the range as one more condition.
fn with_batch(located: &Located, query: &Query) -> Option<String> {
    let text = &located.text;
    match &query.condition {
        Some(condition) => {
            let start = condition.span.start.checked_sub(located.span.start)?;
            let end = condition.span.end.checked_sub(located.span.start)?;
            let (before, after) = (text.get(..start)?, text.get(end..)?);
            Some(format!("{before}({}) and {BATCH}{after}", condition.text))
        }
        None => Some(format!("{} where {BATCH}", text.trim_end())),
    }
}

/// What is left to do: rows that the statement would still change. Only for statements that change nothing when they
/// meet a row again.
fn left(world: &World<'_>, query: &Query) -> Option<String> {
    let target = query.target.as_ref()?;
    let name = world.name(&target.name).quoted();
    let called = target.alias.as_deref().map_or(String::new(), |alias| format!(" as {}", identifier(alias)));
    let condition = query.condition.as_ref().map(|condition| condition.text.as_str());
    if query.kind == QueryKind::Delete {
        if query.is_joined {
            return None;
        }
        let values = [
            ("table", name.as_str()),
            ("alias", called.as_str()),
            ("condition", condition.unwrap_or("true")),
        ];
        return Some(template!("count_matching").with(&values));
    }
    let is_plain = |expression: &crate::statement::Expression| {
        let reads_itself = expression.columns.iter().any(|used| {
            query.assignments.iter().any(|assignment| assignment.column.name == used.column.name)
        });
        !reads_itself && !super::is_volatile(world, expression)
    };
    let mut differences = Vec::new();
    for assignment in &query.assignments {
        let expression = assignment.expression.as_ref().filter(|expression| is_plain(expression))?;
        let of = target.alias.clone().unwrap_or_else(|| target.name.name.clone());
        // What is stored was rounded or padded to the column's type; unless the other side is too, they never meet.
        let cast = world.column_type(&target.name, &assignment.column.name).map(|name| format!("::{name}"));
        differences.push(template!("differs").with(&[
            ("column", &format!("{}.{}", identifier(&of), identifier(&assignment.column.name))),
            ("expression", &expression.text),
            ("cast", &cast.unwrap_or_default()),
        ]));
    }
    let differs = differences.join(" or ");
    let joined = joined_tables(world, query)?;
    let values = [
        ("table", name.as_str()),
        ("alias", called.as_str()),
        ("joined", joined.as_str()),
        ("condition", condition.unwrap_or("true")),
        ("differs", differs.as_str()),
    ];
    Some(template!("count_unchanged").with(&values))
}

/// The FROM of an UPDATE as a further part of one, in the user's own words; empty when there is none.
fn joined_tables(world: &World<'_>, query: &Query) -> Option<String> {
    if !query.is_joined {
        return Some(String::new());
    }
    let last = query.assignments.last()?;
    let end = query.condition.as_ref().map_or(query.span.end, |condition| condition.span.start);
    let between = world.text.get(last.span.end..end)?.trim();
    let lower = between.to_ascii_lowercase();
    let from = lower.strip_prefix("from")?;
    let tables = between.get(between.len() - from.len()..)?.trim();
    let tables = match query.condition {
        Some(_) => {
            let without = tables.len().checked_sub("where".len())?;
            tables.get(..without).filter(|_| tables.to_ascii_lowercase().ends_with("where"))?.trim_end()
        }
        None => tables,
    };
    Some(format!(", {tables}"))
}
