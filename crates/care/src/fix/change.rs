//! Statements that change rows and keep them as they were, in one.
//!
//! Not for: which rows, and what becomes of them (see `mend`).

use posthaste_base::catalog::Name;
use posthaste_base::quote;
use posthaste_report::{Action, Step};

use super::mend::Mending;
use crate::integrity::tables::Table;
use crate::template::fill;

/// Whose rows, under which name they are kept.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    pub plan: &'p str,
    pub step: &'p str,
}

/// Rows of a table that get other values.
pub(super) struct Change<'c, 'a> {
    pub table: &'c Table<'a>,
    /// With clauses that `joins` and `condition` use, each as `name as (...)`.
    pub before: Vec<String>,
    /// What `set` takes from the picked row, as `expression as name`.
    pub values: Vec<String>,
    pub joins: String,
    pub condition: String,
    /// Rows are locked as they are picked; not possible where they are ranked.
    pub locks: bool,
    pub set: String,
}

impl Change<'_, '_> {
    pub(super) fn statement(&self, place: Place<'_>) -> String {
        let before: String = self.before.iter().map(|clause| format!("{clause}, ")).collect();
        let values: String = self.values.iter().map(|value| format!(", {value}")).collect();
        let joins = if self.joins.is_empty() { String::new() } else { format!("\n  {}", self.joins) };
        let lock = if self.locks { "\n  for update of t" } else { "" };
        let own = Own::of(self.table, place);
        let mut all = own.values();
        all.extend([
            ("before", before.as_str()),
            ("values", &values),
            ("joins", &joins),
            ("condition", &self.condition),
            ("lock", lock),
            ("set", &self.set),
        ]);
        fill(include_str!("../../sql/fix/change_rows.sql"), &all)
    }
}

/// Rows of a table that go.
pub(super) fn delete(table: &Table<'_>, before: &[String], condition: &str, place: Place<'_>) -> String {
    let before: String = before.iter().map(|clause| format!("{clause}, ")).collect();
    let own = Own::of(table, place);
    let mut all = own.values();
    all.extend([("before", before.as_str()), ("condition", condition)]);
    fill(include_str!("../../sql/fix/delete_rows.sql"), &all)
}

struct Own {
    from: String,
    key: String,
    key_columns: String,
    relation: String,
    plan: String,
    step: String,
}

impl Own {
    fn of(table: &Table<'_>, place: Place<'_>) -> Self {
        let key = table.primary_key().unwrap_or_default();
        let names: Vec<String> = key.iter().map(|column| quote::literal(column)).collect();
        let columns: Vec<String> =
            key.iter().map(|column| format!("t.{}", quote::identifier(column))).collect();
        Self {
            from: table.from(),
            key: if key.is_empty() { "null".into() } else { format!("row({})::text", columns.join(", ")) },
            key_columns: format!("array[{}]::text[]", names.join(", ")),
            relation: quote::literal(&table.name().quoted()),
            plan: quote::literal(place.plan),
            step: quote::literal(place.step),
        }
    }

    fn values(&self) -> Vec<(&'static str, &str)> {
        vec![
            ("from", &self.from),
            ("key", &self.key),
            ("key_columns", &self.key_columns),
            ("relation", &self.relation),
            ("plan", &self.plan),
            ("step", &self.step),
        ]
    }
}

/// The table in which rows of another one are put aside.
pub(super) fn quarantine(table: &Name) -> Name {
    let mut name = format!("{}.{}", table.schema, table.name);
    while name.len() > 63 {
        name.pop();
    }
    Name::new("posthaste_quarantine", name)
}

/// Copies the rows that this step has just deleted to where they are put aside.
pub(super) fn put_aside(table: &Table<'_>, place: Place<'_>) -> String {
    let columns: Vec<&str> = table.columns.iter().map(|col| col.column.name.as_str()).collect();
    let chosen: Vec<String> =
        columns.iter().map(|column| format!("r.{}", quote::identifier(column))).collect();
    let (plan, step) = (quote::literal(place.plan), quote::literal(place.step));
    fill(
        include_str!("../../sql/fix/put_aside.sql"),
        &[
            ("quarantine", &quarantine(table.name()).quoted()),
            ("columns", &quote::identifiers(&columns)),
            ("chosen", &chosen.join(", ")),
            ("table", &table.name().quoted()),
            ("relation", &quote::literal(&table.name().quoted())),
            ("plan", &plan),
            ("step", &step),
        ],
    )
}

/// The statements that take a step back.
pub(super) fn undo(place: Place<'_>, aside: Option<&Name>) -> Vec<String> {
    let (plan, step) = (quote::literal(place.plan), quote::literal(place.step));
    let mut all =
        vec![fill(include_str!("../../sql/fix/take_back.sql"), &[("plan", &plan), ("step", &step)])];
    all.extend(aside.map(|table| {
        let values =
            [("quarantine", quarantine(table).quoted()), ("plan", plan.clone()), ("step", step.clone())];
        let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
        fill(include_str!("../../sql/fix/forget_put_aside.sql"), &values)
    }));
    all
}

pub(super) fn settings() -> String {
    fill(include_str!("../../sql/fix/settings.sql"), &[])
}

/// Makes the place where rows are kept, and the function that puts them back.
pub(super) fn prepare(mended: &[Mending]) -> Vec<Step> {
    let schema = |name: &str| fill(include_str!("../../sql/fix/create_schema.sql"), &[("name", name)]);
    let statements = vec![
        schema("posthaste_undo"),
        fill(include_str!("../../sql/fix/create_kept_row.sql"), &[]),
        fill(include_str!("../../sql/fix/create_kept_row_index.sql"), &[]),
        fill(include_str!("../../sql/fix/create_columns_of.sql"), &[]),
        fill(include_str!("../../sql/fix/create_take_back.sql"), &[]),
    ];
    let mut step = Step::new(
        "keep-rows",
        "make the place where rows are kept as they were",
        Action::Transaction { statements },
    );
    // It holds what other plans have kept, too.
    step.needs_no_undo = true;
    let mut steps = vec![step];
    let aside = super::distinct(mended.iter().filter_map(|mending| mending.aside.clone()));
    if !aside.is_empty() {
        let mut statements = vec![schema("posthaste_quarantine")];
        statements.extend(aside.iter().map(|table| {
            let values = [("quarantine", quarantine(table).quoted()), ("table", table.quoted())];
            let values = values.each_ref().map(|(name, value)| (*name, value.as_str()));
            fill(include_str!("../../sql/fix/create_quarantine.sql"), &values)
        }));
        let mut step = Step::new(
            "put-aside",
            "make the tables in which rows are put aside",
            Action::Transaction { statements },
        );
        step.needs_no_undo = true;
        steps.push(step);
    }
    steps
}
