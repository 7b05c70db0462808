//! How rows that are wrong are mended: found once, then changed in batches that keep each row as it was.
//!
//! The list of what was found is a table of ours. Batches go over it by its numbers, so that nothing depends on the
//! order, the size or the indexes of the table that is mended, and a batch finds its rows by their key. What is no
//! longer wrong when its batch comes is left alone. Not for: which rows, and what becomes of them (see `mend`).

use posthaste_base::catalog::Name;
use posthaste_base::quote;
use posthaste_report::{Action, Batches, Effect, Estimate, Lock, LockMode, Step};

use super::mend::Mending;
use crate::integrity::tables::Table;
use crate::template::fill;

macro_rules! template {
    ($name:literal) => {
        include_str!(concat!("../../sql/fix/", $name, ".sql"))
    };
}

/// Whose rows, under which name they are kept.
#[derive(Clone, Copy)]
pub(super) struct Place<'p> {
    pub plan: &'p str,
    pub step: &'p str,
}

/// Rows of a table, and what is done with them.
pub(super) struct Mend<'m, 'a> {
    pub table: &'m Table<'a>,
    pub title: String,
    /// A with clause that `joins` and `condition` use, as `name as (...)`.
    pub before: Option<String>,
    /// What is to be known of each row later, as an expression and the name that it has in `w`.
    pub values: Vec<(String, &'static str)>,
    pub joins: String,
    /// Which rows are wrong, in terms of `t`.
    pub condition: String,
    /// Whether a row is still wrong when its batch comes, in terms of `t` and of what was found, which is `w`.
    pub still: String,
    pub deed: Deed,
    pub rows: Option<u64>,
}

pub(super) enum Deed {
    /// In terms of `picked`, which has the values of `w`.
    Set(String),
    Delete,
    PutAside,
}

/// The table of ours that lists what a step has found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub table: Name,
    pub plan: String,
    pub step: String,
}

impl Found {
    fn new(place: Place<'_>) -> Self {
        // Plans of any name have lists of their own. FNV: it only has to differ.
        let hash = place.plan.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut name = format!("found_{hash:016x}_{}", place.step);
        while name.len() > 63 {
            name.pop();
        }
        let table = Name::new("posthaste_undo", name);
        Self { table, plan: place.plan.to_owned(), step: place.step.to_owned() }
    }

    /// Drops the list when all is done. The way back makes it again, of what was changed.
    pub(super) fn forget(all: &[Self]) -> Option<Step> {
        let statements: Vec<String> = all.iter().map(Self::drop).collect();
        if statements.is_empty() {
            return None;
        }
        let mut step =
            Step::new("forget-found", "drop the lists of what was found", Action::Transaction { statements });
        step.undo = all.iter().flat_map(Self::again).collect();
        Some(step)
    }

    fn drop(&self) -> String {
        fill(template!("drop_found"), &[("found", &self.table.quoted())])
    }

    fn again(&self) -> [String; 2] {
        let (found, plan, step) =
            (self.table.quoted(), quote::literal(&self.plan), quote::literal(&self.step));
        let values = [("found", found.as_str()), ("plan", &plan), ("step", &step)];
        [fill(template!("found_again"), &values), fill(template!("key_found"), &values[..1])]
    }
}

impl Mend<'_, '_> {
    /// Finds the rows, and mends them in batches.
    pub(super) fn steps(&self, place: Place<'_>) -> ([Step; 2], Found) {
        let found = Found::new(place);
        ([self.find(place, &found), self.mend(place, &found)], found)
    }

    fn find(&self, place: Place<'_>, found: &Found) -> Step {
        let before = self.before.as_ref().map_or_else(String::new, |clause| format!("with {clause}\n"));
        let values: String =
            self.values.iter().map(|(expression, name)| format!(", {expression} as {name}")).collect();
        let joins = if self.joins.is_empty() { String::new() } else { format!("\n  {}", self.joins) };
        let (identity, order) = self.identity();
        let all = [
            ("found", found.table.quoted()),
            ("plan", quote::literal(place.plan)),
            ("step", quote::literal(place.step)),
            ("before", before),
            ("order", order),
            ("identity", identity),
            ("values", values),
            ("from", self.table.from()),
            ("joins", joins),
            ("condition", self.condition.clone()),
        ];
        let all = all.each_ref().map(|(name, value)| (*name, value.as_str()));
        let statements = vec![
            fill(template!("settings"), &[]),
            found.drop(),
            fill(template!("find_rows"), &all),
            fill(template!("key_found"), &all[..1]),
            fill(template!("analyze_found"), &all[..1]),
            fill(template!("measure_found"), &all[..3]),
        ];
        let mut step = Step::new(
            format!("find-{}", place.step),
            format!("find: {}", self.title),
            Action::Transaction { statements },
        );
        step.effect = Effect::Scan;
        step.estimate = Some(Estimate {
            bytes: Some(self.table.leaves.iter().map(|leaf| leaf.size.bytes).sum()),
            rows: self.rows,
            seconds: None,
        });
        step.locks = vec![Lock::table(self.table.name(), LockMode::AccessShare)];
        step.undo = vec![found.drop()];
        step
    }

    fn mend(&self, place: Place<'_>, found: &Found) -> Step {
        let own = Own::of(self.table, place, found);
        let mut all = own.values();
        all.push(("still", &self.still));
        let names: String = self.values.iter().map(|(_, name)| format!(", w.{name} as {name}")).collect();
        let mut statements = vec![fill(template!("hold_rows"), &all)];
        match &self.deed {
            Deed::Set(set) => {
                all.extend([("values", names.as_str()), ("set", set)]);
                statements.push(fill(template!("change_rows"), &all));
            }
            Deed::Delete => statements.push(fill(template!("delete_rows"), &all)),
            Deed::PutAside => {
                statements.push(fill(template!("delete_rows"), &all));
                statements.push(put_aside(self.table, &all));
            }
        }
        let mut batches = Batches::new(&found.table.schema, &found.table.name, vec!["no".into()]);
        batches.alias = Some("w".into());
        batches.statements = statements;
        let mut step = Step::new(place.step, self.title.clone(), Action::Batches(batches));
        step.estimate = Some(Estimate { bytes: None, rows: self.rows, seconds: None });
        step.locks = vec![Lock::table(self.table.name(), LockMode::RowExclusive)];
        let mut undo = vec![fill(template!("take_back"), &all)];
        if matches!(self.deed, Deed::PutAside) {
            let aside = quarantine(self.table.name()).quoted();
            all.push(("quarantine", &aside));
            let picks = fill(template!("picks_of_batch"), &all);
            all.push(("picks", &picks));
            undo.push(fill(template!("forget_put_aside"), &all));
        }
        step.undo = undo;
        step
    }

    /// What names a row in the list, and orders it.
    fn identity(&self) -> (String, String) {
        let Some(key) = self.table.primary_key() else {
            return (
                "t.tableoid as part, t.ctid as place, md5(row(t.*)::text) as mark".into(),
                "t.tableoid, t.ctid".into(),
            );
        };
        let columns: Vec<String> =
            key.iter().map(|column| format!("t.{}", quote::identifier(column))).collect();
        let named = columns.iter().enumerate().map(|(at, column)| format!("{column} as key_{at}"));
        (named.collect::<Vec<_>>().join(", "), columns.join(", "))
    }
}

/// That `t` is the row of `w`. One without a key is still at its place and the same, or it is not found.
fn matched(table: &Table<'_>) -> String {
    let Some(key) = table.primary_key() else {
        return "t.tableoid = w.part and t.ctid = w.place and md5(row(t.*)::text) = w.mark".into();
    };
    let pairs = key.iter().enumerate();
    let pairs = pairs.map(|(at, column)| format!("t.{} = w.key_{at}", quote::identifier(column)));
    pairs.collect::<Vec<_>>().join(" and ")
}

struct Own {
    found: String,
    matched: String,
    from: String,
    key: String,
    key_columns: String,
    relation: String,
    plan: String,
    step: String,
}

impl Own {
    fn of(table: &Table<'_>, place: Place<'_>, found: &Found) -> Self {
        let key = table.primary_key().unwrap_or_default();
        let names: Vec<String> = key.iter().map(|column| quote::literal(column)).collect();
        let columns: Vec<String> =
            key.iter().map(|column| format!("t.{}", quote::identifier(column))).collect();
        Self {
            found: found.table.quoted(),
            matched: matched(table),
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
            ("found", &self.found),
            ("matched", &self.matched),
            ("batch", "{batch}"),
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

/// Copies the rows that this batch has just deleted to where they are put aside.
fn put_aside(table: &Table<'_>, own: &[(&str, &str)]) -> String {
    let columns: Vec<&str> = table.columns.iter().map(|col| col.column.name.as_str()).collect();
    let chosen: Vec<String> =
        columns.iter().map(|column| format!("r.{}", quote::identifier(column))).collect();
    let more = [
        ("quarantine", quarantine(table.name()).quoted()),
        ("columns", quote::identifiers(&columns)),
        ("chosen", chosen.join(", ")),
        ("table", table.name().quoted()),
    ];
    let all: Vec<(&str, &str)> =
        own.iter().copied().chain(more.iter().map(|(name, value)| (*name, value.as_str()))).collect();
    fill(template!("put_aside"), &all)
}

/// Makes the place where rows are kept, and the function that puts them back.
pub(super) fn prepare(mended: &[Mending]) -> Vec<Step> {
    let schema = |name: &str| fill(template!("create_schema"), &[("name", name)]);
    let statements = vec![
        schema("posthaste_undo"),
        fill(template!("create_kept_row"), &[]),
        fill(template!("create_kept_row_index"), &[]),
        fill(template!("create_columns_of"), &[]),
        fill(template!("create_take_back"), &[]),
        fill(template!("create_measured"), &[]),
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
            fill(template!("create_quarantine"), &values)
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
