//! Remedies as steps of plans: complete statements, what they lock, and what takes them back.
//!
//! Not for: ordering steps or carrying them out (see `fix` and the crate `runner`).

use posthaste_base::catalog::Name;
use posthaste_base::quote;
use posthaste_report::{Action, Effect, Estimate, Lock, LockMode, Step};

macro_rules! template {
    ($name:literal) => {
        include_str!(concat!("../../sql/doctor/remedy/", $name, ".sql"))
    };
}

/// A table with what a step needs to know of it.
#[derive(Clone, Debug)]
pub(crate) struct On {
    pub name: Name,
    pub pages: i64,
    pub rows: Option<f64>,
}

/// A partition's own table, for indexes that are built one partition after the other.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub name: Name,
    pub oid: i64,
    pub pages: i64,
    /// Names that are in use beside it.
    pub taken: Vec<String>,
}

/// An index to be made.
#[derive(Clone, Debug, Default)]
pub(crate) struct NewIndex {
    pub method: String,
    /// Each as SQL writes it, with its order or operator class.
    pub keys: Vec<String>,
    /// A predicate, as SQL writes it.
    pub predicate: Option<String>,
}

/// A template without the semicolon at its end.
pub(crate) fn fill(template: &str, values: &[(&str, &str)]) -> String {
    crate::template::fill(template, values).trim_end_matches(';').to_owned()
}

fn alone(id: String, title: String, statement: String) -> Step {
    Step::new(id, title, Action::Alone { statement, index: None })
}

fn transaction(id: String, title: String, statement: String) -> Step {
    Step::new(id, title, Action::Transaction { statements: vec![statement] })
}

fn scan(mut step: Step, on: &On, block_bytes: i64) -> Step {
    let rows = on.rows.filter(|rows| *rows >= 0.0).map(|rows| rows as u64);
    let bytes = u64::try_from(on.pages * block_bytes).ok();
    step.estimate = Some(Estimate { bytes, rows, seconds: None });
    step.effect = Effect::Scan;
    step
}

/// A name of at most 63 bytes that is not among `taken`.
pub(crate) fn new_name(table: &str, parts: &[String], suffix: &str, taken: &[String]) -> String {
    let whole = format!("{table}_{}", parts.join("_"));
    for number in 0.. {
        let tail = if number == 0 { format!("_{suffix}") } else { format!("_{suffix}{number}") };
        let mut end = whole.len().min(63 - tail.len());
        while !whole.is_char_boundary(end) {
            end -= 1;
        }
        let name = format!("{}{tail}", &whole[..end]);
        if !taken.contains(&name) {
            return name;
        }
    }
    unreachable!("numbers do not end")
}

/// Builds an index without stopping writes; on a partitioned table one partition after the other.
pub(crate) fn create_index(
    on: &On,
    is_partitioned: bool,
    leaves: &[Leaf],
    name: &str,
    new: &NewIndex,
    block_bytes: i64,
) -> Vec<Step> {
    if !is_partitioned {
        return vec![create_one(&on.name, on, name, new, block_bytes)];
    }
    let (schema, method, columns) = (&on.name.schema, new.method.as_str(), new.keys.join(", "));
    let parent = Name::new(schema.as_str(), name);
    let quoted = quote::identifier(name);
    let table = on.name.quoted();
    let values = [("name", quoted.as_str()), ("table", &table), ("columns", &columns), ("method", method)];
    let mut declare = transaction(
        format!("declare-index-{schema}-{name}"),
        format!("declare index {} on the parent alone", parent.quoted()),
        fill(template!("create_index_only"), &values),
    );
    declare.locks = vec![Lock::table(&on.name, LockMode::Share)];
    declare.undo = vec![fill(template!("drop_parent_index"), &[("name", &parent.quoted())])];
    declare.done_if = Some(index_is_there(&parent, false));
    let mut steps = vec![declare];
    for leaf in leaves {
        let child = new_name(&leaf.name.name, &[quote_free(&new.keys)], "idx", &leaf.taken);
        let leaf_on = On { name: leaf.name.clone(), pages: leaf.pages, rows: None };
        steps.push(create_one(&leaf.name, &leaf_on, &child, new, block_bytes));
        let child = Name::new(leaf.name.schema.as_str(), child);
        steps.push(attach(&parent, &child, leaf.oid));
    }
    steps
}

/// Builds one partition's part of its parent's index, and attaches it; `made` is what stands after `using`.
pub(crate) fn build_part(
    parent: &Name,
    table: &Name,
    oid: i64,
    pages: i64,
    name: &str,
    made: &str,
    block_bytes: i64,
) -> [Step; 2] {
    let child = Name::new(table.schema.as_str(), name);
    let quoted = quote::identifier(name);
    let values = [("name", quoted.as_str()), ("table", &table.quoted()), ("made", made)];
    let mut build = alone(
        format!("create-index-{oid}-{name}"),
        format!("build index {} beside the writes", child.quoted()),
        fill(template!("create_index_made"), &values),
    );
    build.action = match build.action {
        Action::Alone { statement, .. } => {
            Action::Alone { statement, index: Some(format!("{}.{name}", table.schema)) }
        }
        other => other,
    };
    build.locks = vec![Lock::table(table, LockMode::ShareUpdateExclusive)];
    build.done_if = Some(index_is_there(&child, true));
    build.undo = vec![fill(template!("drop_index"), &[("name", &child.quoted())])];
    let build = scan(build, &On { name: table.clone(), pages, rows: None }, block_bytes);
    [build, attach(parent, &child, oid)]
}

fn attach(parent: &Name, child: &Name, oid: i64) -> Step {
    let mut step = transaction(
        format!("attach-index-{oid}-{}", parent.name),
        format!("attach {} to {}", child.quoted(), parent.quoted()),
        fill(template!("attach_index"), &[("parent", &parent.quoted()), ("child", &child.quoted())]),
    );
    step.locks = vec![Lock::index(child, LockMode::AccessExclusive)];
    step.needs_no_undo = true;
    step
}

fn quote_free(keys: &[String]) -> String {
    let plain = |key: &String| key.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    keys.iter().map(plain).collect::<Vec<_>>().join("_")
}

fn create_one(table: &Name, on: &On, name: &str, new: &NewIndex, block_bytes: i64) -> Step {
    let index = Name::new(table.schema.as_str(), name);
    let statement = create_index_statement(table, name, new);
    let mut step = alone(
        format!("create-index-{}-{name}", table.schema),
        format!("build index {} beside the writes", index.quoted()),
        statement,
    );
    step.action = match step.action {
        Action::Alone { statement, .. } => {
            Action::Alone { statement, index: Some(format!("{}.{name}", table.schema)) }
        }
        other => other,
    };
    step.locks = vec![Lock::table(table, LockMode::ShareUpdateExclusive)];
    step.done_if = Some(index_is_there(&index, true));
    step.undo = vec![fill(template!("drop_index"), &[("name", &index.quoted())])];
    scan(step, on, block_bytes)
}

pub(crate) fn create_index_statement(table: &Name, name: &str, new: &NewIndex) -> String {
    let rest = new.predicate.as_ref().map_or_else(String::new, |predicate| format!(" where {predicate}"));
    let (quoted, columns) = (quote::identifier(name), new.keys.join(", "));
    fill(
        template!("create_index"),
        &[
            ("unique", ""),
            ("name", &quoted),
            ("table", &table.quoted()),
            ("method", &new.method),
            ("columns", &columns),
            ("rest", &rest),
        ],
    )
}

/// The operator classes for patterns.
pub(crate) fn create_trigram_extension() -> Step {
    let statement = fill(template!("create_extension"), &[]);
    let mut step =
        transaction("create-extension-pg_trgm".to_owned(), "install pg_trgm".to_owned(), statement);
    step.needs_no_undo = true;
    step
}

fn index_is_there(index: &Name, is_valid: bool) -> String {
    let text = fill(
        template!("index_is_valid"),
        &[("schema", &quote::literal(&index.schema)), ("name", &quote::literal(&index.name))],
    );
    if is_valid { text } else { text.replace("i.indisvalid and ", "") }
}

/// Drops an index. Its id carries the oid, by which the definition that takes it back is asked for later.
pub(crate) fn drop_index(oid: i64, index: &Name, table: &Name, is_partitioned: bool) -> Step {
    let (template, mode) = match is_partitioned {
        true => (template!("drop_parent_index"), LockMode::AccessExclusive),
        false => (template!("drop_index"), LockMode::ShareUpdateExclusive),
    };
    let statement = fill(template, &[("name", &index.quoted())]);
    let title = format!("remove the index {}", index.quoted());
    let id = format!("{DROP_INDEX}{oid}");
    let mut step =
        if is_partitioned { transaction(id, title, statement) } else { alone(id, title, statement) };
    step.locks = vec![Lock::table(table, mode), Lock::index(index, LockMode::AccessExclusive)];
    step.done_if = Some(fill(template!("relation_is_gone"), &[("oid", &oid.to_string())]));
    step
}

/// What the ids of steps start with that drop an index; its oid follows.
pub(crate) const DROP_INDEX: &str = "drop-index-";

pub(crate) fn reindex(oid: i64, index: &Name, table: &Name, pages: i64, block_bytes: i64) -> Step {
    let statement = fill(template!("reindex"), &[("name", &index.quoted())]);
    let mut step = alone(format!("reindex-{oid}"), format!("build index {} anew", index.quoted()), statement);
    step.locks = vec![Lock::table(table, LockMode::ShareUpdateExclusive)];
    step.needs_no_undo = true;
    scan(step, &On { name: index.clone(), pages, rows: None }, block_bytes)
}

/// Drops a constraint with its index, whose oid it is.
pub(crate) fn drop_constraint(oid: i64, table: &Name, name: &str) -> Step {
    let values = [("table", &*table.quoted()), ("name", &*quote::identifier(name))];
    let mut step = transaction(
        format!("drop-constraint-{oid}"),
        format!("drop constraint {name} of {}", table.quoted()),
        fill(template!("drop_constraint"), &values),
    );
    step.locks = vec![Lock::table(table, LockMode::AccessExclusive)];
    step.done_if = Some(fill(template!("relation_is_gone"), &[("oid", &oid.to_string())]));
    step
}

pub(crate) fn vacuum(oid: i64, on: &On, block_bytes: i64) -> Step {
    let statement = fill(template!("vacuum"), &[("table", &on.name.quoted())]);
    let mut step =
        alone(format!("vacuum-{oid}"), format!("vacuum and analyse {}", on.name.quoted()), statement);
    step.locks = vec![Lock::table(&on.name, LockMode::ShareUpdateExclusive)];
    step.needs_no_undo = true;
    scan(step, on, block_bytes)
}

pub(crate) fn vacuum_freeze(on: &On, block_bytes: i64) -> Step {
    let statement = fill(template!("vacuum_freeze"), &[("table", &on.name.quoted())]);
    let id = format!("freeze-{}-{}", on.name.schema, on.name.name);
    let mut step = alone(id, format!("freeze the rows of {}", on.name.quoted()), statement);
    step.locks = vec![Lock::table(&on.name, LockMode::ShareUpdateExclusive)];
    step.needs_no_undo = true;
    scan(step, on, block_bytes)
}

pub(crate) fn analyze(oid: i64, on: &On) -> Step {
    let statement = fill(template!("analyze"), &[("table", &on.name.quoted())]);
    let mut step = alone(format!("analyze-{oid}"), format!("analyse {}", on.name.quoted()), statement);
    step.locks = vec![Lock::table(&on.name, LockMode::ShareUpdateExclusive)];
    // It reads a sample, however large the table is.
    step.effect = Effect::None;
    step.needs_no_undo = true;
    step
}

/// Puts settings of a table back; `said` are they with their values.
pub(crate) fn reset_options(oid: i64, table: &Name, said: &[(String, String)]) -> Step {
    let names: Vec<&str> = said.iter().map(|(name, _)| name.as_str()).collect();
    let pairs: Vec<String> = said.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    let values = [("table", &*table.quoted()), ("options", &*names.join(", "))];
    let mut step = transaction(
        format!("reset-options-{oid}"),
        format!("put {} of {} back to the server's", names.join(", "), table.quoted()),
        fill(template!("reset_options"), &values),
    );
    let values = [("table", &*table.quoted()), ("options", &*pairs.join(", "))];
    step.undo = vec![fill(template!("set_options"), &values)];
    step.locks = vec![Lock::table(table, LockMode::ShareUpdateExclusive)];
    step
}

pub(crate) fn validate_constraint(oid: i64, on: &On, name: &str, block_bytes: i64) -> Step {
    let values = [("table", &*on.name.quoted()), ("name", &*quote::identifier(name))];
    let mut step = transaction(
        format!("validate-constraint-{oid}"),
        format!("validate constraint {name} of {}", on.name.quoted()),
        fill(template!("validate_constraint"), &values),
    );
    step.done_if = Some(fill(template!("constraint_is_valid"), &[("oid", &oid.to_string())]));
    step.locks = vec![Lock::table(&on.name, LockMode::ShareUpdateExclusive)];
    step.needs_no_undo = true;
    scan(step, on, block_bytes)
}

pub(crate) fn enable_trigger(oid: i64, table: &Name, name: &str) -> Step {
    let values = [("table", &*table.quoted()), ("name", &*quote::identifier(name))];
    let mut step = transaction(
        format!("enable-trigger-{oid}"),
        format!("enable trigger {name} of {}", table.quoted()),
        fill(template!("enable_trigger"), &values),
    );
    step.undo = vec![fill(template!("disable_trigger"), &values)];
    step.locks = vec![Lock::table(table, LockMode::ShareRowExclusive)];
    step
}

pub(crate) fn set_logged(oid: i64, on: &On, block_bytes: i64) -> Step {
    let values = [("table", &*on.name.quoted())];
    let mut step = transaction(
        format!("set-logged-{oid}"),
        format!("make {} durable", on.name.quoted()),
        fill(template!("set_logged"), &values),
    );
    step.undo = vec![fill(template!("set_unlogged"), &values)];
    step.locks = vec![Lock::table(&on.name, LockMode::AccessExclusive)];
    let mut step = scan(step, on, block_bytes);
    step.effect = Effect::Rewrite;
    step
}

pub(crate) fn create_partition(parent: &Name, name: &str, bound: &str, default: Option<&Name>) -> Step {
    let partition = Name::new(parent.schema.as_str(), name);
    let values = [("name", &*partition.quoted()), ("parent", &*parent.quoted()), ("bound", bound)];
    let mut step = transaction(
        format!("create-partition-{}-{name}", parent.schema),
        format!("make partition {} {bound}", partition.quoted()),
        fill(template!("create_partition"), &values),
    );
    step.undo = vec![fill(template!("drop_table"), &[("name", &partition.quoted())])];
    step.locks = vec![Lock::table(parent, LockMode::ShareUpdateExclusive)];
    if let Some(default) = default {
        step.locks.push(Lock::table(default, LockMode::AccessExclusive));
        step.effect = Effect::Scan;
    }
    step
}

pub(crate) fn extend_sequence(oid: i64, sequence: &Name, from: i64, to: i64) -> Step {
    let values = |maximum: i64| {
        let maximum = maximum.to_string();
        fill(template!("extend_sequence"), &[("name", &sequence.quoted()), ("maximum", &maximum)])
    };
    let mut step = transaction(
        format!("extend-sequence-{oid}"),
        format!("let {} count to {to}", sequence.quoted()),
        values(to),
    );
    step.undo = vec![values(from)];
    step
}

/// Ends a session, and no later one that got its number, nor one whose transaction is another one by then. What it
/// runs is cancelled first.
pub(crate) fn terminate(pid: i64, backend_start: &str, transaction_start: Option<&str>) -> Step {
    let title = format!("end the session of process {pid}");
    let since = Since { text: transaction_start, is_statement: false };
    end_session(format!("terminate-{pid}"), title, pid, backend_start, &since)
}

/// Cancels what a session runs, unless it runs something else by then.
pub(crate) fn cancel(pid: i64, backend_start: &str, statement_start: Option<&str>) -> Step {
    let title = format!("cancel what process {pid} runs");
    let since = Since { text: statement_start, is_statement: true };
    end_session(format!("cancel-{pid}"), title, pid, backend_start, &since)
}

/// When that began for which a session is ended.
struct Since<'s> {
    text: Option<&'s str>,
    is_statement: bool,
}

fn end_session(id: String, title: String, pid: i64, backend_start: &str, since: &Since<'_>) -> Step {
    let began = since.text.map_or_else(|| "null".to_owned(), quote::literal);
    let (pid, start) = (pid.to_string(), quote::literal(backend_start));
    let (is_statement, terminates) = (since.is_statement.to_string(), (!since.is_statement).to_string());
    let values = [
        ("pid", pid.as_str()),
        ("backend_start", &start),
        ("since", &began),
        ("is_statement", &is_statement),
        ("terminates", &terminates),
    ];
    let statements = vec![
        fill(include_str!("../../sql/fix/create_schema.sql"), &[("name", "posthaste_undo")]),
        fill(include_str!("../../sql/fix/create_session_end.sql"), &[]),
        fill(include_str!("../../sql/fix/end_session.sql"), &values),
    ];
    let mut step = Step::new(id, title, Action::Transaction { statements });
    step.needs_no_undo = true;
    step
}

pub(crate) fn rollback_prepared(gid: &str) -> Step {
    let name = quote::literal(gid);
    let mut step = alone(
        format!("rollback-prepared-{gid}"),
        format!("roll back the prepared transaction {gid}"),
        fill(template!("rollback_prepared"), &[("name", &name)]),
    );
    step.done_if = Some(fill(template!("prepared_is_gone"), &[("name", &name)]));
    step
}

pub(crate) fn drop_slot(slot: &str) -> Step {
    let name = quote::literal(slot);
    let mut step = transaction(
        format!("drop-slot-{slot}"),
        format!("drop the replication slot {slot}"),
        fill(template!("drop_slot"), &[("name", &name)]),
    );
    step.done_if = Some(fill(template!("slot_is_gone"), &[("name", &name)]));
    step
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_are_free() {
        let long = "x".repeat(60);
        let name = new_name(&long, &["customer".into()], "idx", &[]);
        assert_eq!((name.len(), name.ends_with("_idx")), (63, true));
        let taken = vec!["orders_customer_idx".to_owned()];
        assert_eq!(new_name("orders", &["customer".into()], "idx", &taken), "orders_customer_idx1");
        assert!(new_name(&"é".repeat(31), &["a".into()], "idx", &[]).len() <= 63);
    }

    #[test]
    fn statements_are_whole() {
        let on = On { name: Name::new("Sales", "Order Item"), pages: 10, rows: Some(5.0) };
        let new = NewIndex { method: "btree".into(), keys: vec!["order_id".into()], predicate: None };
        let steps = create_index(&on, false, &[], "order_item_idx", &new, 8192);
        let Action::Alone { statement, index } = &steps[0].action else { panic!("{steps:?}") };
        assert_eq!(
            statement,
            "create index concurrently order_item_idx on \"Sales\".\"Order Item\" using btree (order_id)"
        );
        assert_eq!(index.as_deref(), Some("Sales.order_item_idx"));
        let step = terminate(7, "2026-01-01 00:00:00+00", Some("2026-01-01 00:00:09+00"));
        let Action::Transaction { statements } = &step.action else { panic!("{step:?}") };
        for part in [
            "s.pid = 7 and s.backend_start = '2026-01-01 00:00:00+00'::timestamptz",
            "'2026-01-01 00:00:09+00'",
        ] {
            assert!(statements[2].contains(part), "{}", statements[2]);
        }
    }
}
