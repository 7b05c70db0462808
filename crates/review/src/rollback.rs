//! The way back of a migration: found in its file or beside it, carried out on the catalog, and compared with the
//! start.
//!
//! Not for: running it; see the test up, down, up on a scratch copy.

use posthaste_base::catalog::{Column, Constraint, ConstraintKind, Index, Name, Relation};
use posthaste_report::Object;

use crate::comment;
use crate::context::{column_object, named_object, part_object, place, shown, table_object};
use crate::parse;
use crate::state::State;
use crate::statement::{Action, Located, QueryKind, Statement};

/// What the way back leaves different.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Left {
    /// The statement of the migration that it does not take back, from 0.
    pub statement: Option<usize>,
    pub object: Object,
    pub message: String,
    pub instead: String,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Rollback {
    /// Where it begins in the file; 1 when it is a file of its own.
    pub line: u32,
    pub left: Vec<Left>,
    /// What of it cannot be read.
    pub errors: Vec<String>,
}

/// Takes the end state back by a script, and compares it with the start.
pub(crate) fn judge(start: &State, end: &State, up: &[Located], down: &str, line: u32) -> Rollback {
    let script = parse(down);
    let mut back = end.clone();
    for located in &script.statements {
        back.apply(&located.statement);
    }
    let mut left = Vec::new();
    relations(start, &back, up, &mut left);
    types(start, &back, &mut left);
    rows(start, &back, up, &mut left);
    Rollback { line, left, errors: script.errors.iter().map(ToString::to_string).collect() }
}

/// The script that is kept as comments after the last statement: what follows a line that says so.
pub(crate) fn commented(text: &str) -> Option<(String, u32)> {
    let mut script = String::new();
    let mut line_of = None;
    let mut is_announced = false;
    for (offset, comment) in comment::comments(text) {
        for (at, words) in comment::words(comment).enumerate() {
            if is_announced && (begins_statement(words) || (line_of.is_some() && !is_rule(words))) {
                // Lines are counted once alone: a dump has very many comments.
                line_of = line_of.or_else(|| u32::try_from(place(text, offset).0 as usize + at).ok());
                script.push_str(words);
                script.push('\n');
            } else if announces(words) {
                is_announced = true;
            }
        }
    }
    line_of.map(|line| (script, line))
}

fn announces(words: &str) -> bool {
    let words = words.to_lowercase();
    ["rollback", "roll back", "to revert", "down migration", "undo"].iter().any(|mark| words.contains(mark))
}

/// Lines that only draw.
fn is_rule(words: &str) -> bool {
    words.len() > 3 && words.chars().all(|c| "=-*#~".contains(c))
}

fn begins_statement(words: &str) -> bool {
    const VERBS: &[&str] = &[
        "alter", "begin", "comment", "create", "delete", "drop", "grant", "insert", "revoke", "set",
        "truncate", "update",
    ];
    let mut parts = words.split_whitespace();
    let verb = parts.next().unwrap_or_default().trim_end_matches(';').to_lowercase();
    let object = parts.next().map(str::to_lowercase).unwrap_or_default();
    let is_sentence =
        matches!(verb.as_str(), "set" | "update" | "delete" | "create" | "drop") && object == "the";
    VERBS.contains(&verb.as_str()) && !is_sentence
}

fn relations(start: &State, back: &State, up: &[Located], left: &mut Vec<Left>) {
    for relation in &start.catalog.relations {
        let name = &relation.name;
        match back.relation(name) {
            Some(now) => compare(relation, now, up, back, left),
            None => left.push(Left {
                statement: drops(up, back, name),
                object: table_object(name),
                message: format!(
                    "the rollback does not make {} again, and its rows are gone anyway",
                    shown(name)
                ),
                instead:
                    "nothing makes dropped rows again: keep the table under another name until it is certain"
                        .to_owned(),
            }),
        }
    }
    for relation in back.catalog.relations.iter().filter(|relation| start.relation(&relation.name).is_none())
    {
        // Without a catalog a table that is named need not be new.
        if !back.made.contains(&relation.name) {
            continue;
        }
        left.push(Left {
            statement: creates(up, back, &relation.name),
            object: table_object(&relation.name),
            message: format!(
                "the rollback leaves {} behind, which the migration makes",
                shown(&relation.name)
            ),
            instead: "drop it in the rollback".to_owned(),
        });
    }
}

fn compare(was: &Relation, now: &Relation, up: &[Located], back: &State, left: &mut Vec<Left>) {
    let table = &was.name;
    let touched = touches(up, back, table);
    let mut say = |object: Object, message: String, instead: &str| {
        left.push(Left { statement: touched, object, message, instead: instead.to_owned() });
    };
    for column in &was.columns {
        let Some(after) = now.columns.iter().find(|known| known.name == column.name) else {
            let message = format!("the rollback does not make {}.{} again", shown(table), column.name);
            say(
                column_object(table, [&column.name]),
                message,
                "add it in the rollback; its values come only from a backup",
            );
            continue;
        };
        if let Some(change) = changed(column, after) {
            let message = format!("after the rollback {}.{} {change}", shown(table), column.name);
            say(column_object(table, [&column.name]), message, "change it back in the rollback");
        }
    }
    for column in
        now.columns.iter().filter(|known| was.columns.iter().all(|column| column.name != known.name))
    {
        let message = format!("the rollback leaves the column {}.{} behind", shown(table), column.name);
        say(column_object(table, [&column.name]), message, "drop it in the rollback");
    }
    // A NOT NULL, which has a name from 18 on, was told of with its column.
    let is_told = |known: &&Constraint| known.kind == ConstraintKind::NotNull;
    for constraint in was.constraints.iter().filter(|known| !is_told(known)) {
        let after = now.constraints.iter().find(|known| known.name == constraint.name);
        let message = match after {
            None => format!(
                "the rollback does not make the constraint {} of {} again (it was {})",
                constraint.name,
                shown(table),
                constraint.definition
            ),
            Some(after) => match constraint_change(constraint, after) {
                Some(change) => format!(
                    "the rollback does not restore the constraint {} of {}: {change}",
                    constraint.name,
                    shown(table)
                ),
                None => continue,
            },
        };
        say(
            part_object("constraint", table, &constraint.name),
            message,
            "drop the new one and add the old one as it was, in the rollback",
        );
    }
    for constraint in
        now.constraints.iter().filter(|known| was.constraints.iter().all(|c| c.name != known.name))
    {
        if constraint.name.is_empty() || is_told(&constraint) {
            continue;
        }
        let message =
            format!("the rollback leaves the constraint {} of {} behind", constraint.name, shown(table));
        say(part_object("constraint", table, &constraint.name), message, "drop it in the rollback");
    }
    let differs = |a: &Index, b: &Index| a.name.name == b.name.name;
    for index in was.indexes.iter().filter(|index| !now.indexes.iter().any(|known| differs(index, known))) {
        let message =
            format!("the rollback does not build the index {} of {} again", index.name.name, shown(table));
        say(part_object("index", table, &index.name.name), message, "build it in the rollback, CONCURRENTLY");
    }
    for index in now.indexes.iter().filter(|index| !was.indexes.iter().any(|known| differs(index, known))) {
        if index.constraint.is_some() {
            continue;
        }
        let message = format!("the rollback leaves the index {} of {} behind", index.name.name, shown(table));
        say(part_object("index", table, &index.name.name), message, "drop it in the rollback, CONCURRENTLY");
    }
    for trigger in was.triggers.iter().filter(|trigger| !trigger.is_internal) {
        if now.triggers.iter().all(|known| known.name != trigger.name) {
            let message =
                format!("the rollback does not make the trigger {} of {} again", trigger.name, shown(table));
            say(part_object("trigger", table, &trigger.name), message, "create it in the rollback");
        }
    }
    for trigger in
        now.triggers.iter().filter(|known| was.triggers.iter().all(|trigger| trigger.name != known.name))
    {
        let message = format!("the rollback leaves the trigger {} of {} behind", trigger.name, shown(table));
        say(part_object("trigger", table, &trigger.name), message, "drop it in the rollback");
    }
}

fn changed(was: &Column, now: &Column) -> Option<String> {
    if was.type_name != now.type_name {
        return Some(format!("is {} and not {}", now.type_name, was.type_name));
    }
    if was.is_not_null != now.is_not_null {
        return Some(if now.is_not_null { "is still NOT NULL" } else { "is no longer NOT NULL" }.to_owned());
    }
    match (&was.default, &now.default) {
        (Some(_), None) => Some("has no default any more".to_owned()),
        (None, Some(default)) => Some(format!("still has the default {default}")),
        _ => None,
    }
}

/// What differs in meaning; texts of the catalog and of a file are written in different ways.
fn constraint_change(was: &Constraint, now: &Constraint) -> Option<String> {
    if was.kind != now.kind {
        return Some("it is of another kind".to_owned());
    }
    let (Some(old), Some(new)) = (&was.references, &now.references) else { return None };
    if old.table != new.table {
        return Some(format!("it refers to {} and not to {}", shown(&new.table), shown(&old.table)));
    }
    let actions = [("DELETE", &old.on_delete, &new.on_delete), ("UPDATE", &old.on_update, &new.on_update)];
    let change = actions.into_iter().find(|(_, old, new)| old != new)?;
    Some(format!("it stays ON {} {}, and was {}", change.0, action(change.2), action(change.1)))
}

fn action(code: &str) -> &'static str {
    match code {
        "r" => "RESTRICT",
        "c" => "CASCADE",
        "n" => "SET NULL",
        "d" => "SET DEFAULT",
        _ => "NO ACTION",
    }
}

fn types(start: &State, back: &State, left: &mut Vec<Left>) {
    for known in &start.catalog.types {
        let Some(now) = back.catalog.types.iter().find(|now| now.name == known.name) else { continue };
        let more: Vec<&str> =
            now.labels.iter().filter(|label| !known.labels.contains(label)).map(String::as_str).collect();
        if !more.is_empty() {
            left.push(Left {
                statement: None,
                object: named_object("type", &known.name),
                message: format!(
                    "the rollback leaves the labels {} of {}: no statement removes them",
                    more.join(", "),
                    shown(&known.name)
                ),
                instead: "leave them unused; or make a new type and change the columns to it".to_owned(),
            });
        }
    }
}

/// Rows that the migration overwrites or removes: no statement brings them back.
fn rows(start: &State, back: &State, up: &[Located], left: &mut Vec<Left>) {
    for (at, located) in up.iter().enumerate() {
        match &located.statement {
            Statement::Query(query) => {
                let Some(target) = &query.target else { continue };
                let table = start.name(&target.name);
                let Some(relation) = start.relation(&table).filter(|_| back.relation(&table).is_some())
                else {
                    continue;
                };
                let there = |column: &str| relation.columns.iter().any(|known| known.name == column);
                let written: Vec<&str> = query
                    .assignments
                    .iter()
                    .map(|assignment| assignment.column.as_str())
                    .filter(|column| there(column))
                    .collect();
                let message = match query.kind {
                    QueryKind::Update if !written.is_empty() => format!(
                        "the rollback does not restore the values of {}.{} that line {} overwrites",
                        shown(&table),
                        written.join(", "),
                        located.line
                    ),
                    QueryKind::Delete => {
                        format!(
                            "the rollback does not restore the rows of {} that line {} deletes",
                            shown(&table),
                            located.line
                        )
                    }
                    _ => continue,
                };
                left.push(Left {
                    statement: Some(at),
                    object: column_object(&table, written),
                    message,
                    instead: "keep what was there in a table of its own before it is overwritten".to_owned(),
                });
            }
            Statement::Alter(alter) => {
                let table = start.name(&alter.name);
                let (Some(was), Some(now)) = (start.relation(&table), back.relation(&table)) else {
                    continue;
                };
                for clause in &alter.clauses {
                    let Action::DropColumn { column, .. } = &clause.action else { continue };
                    let has = |relation: &Relation| {
                        relation.columns.iter().any(|known| known.name == column.as_str())
                    };
                    if has(was) && has(now) {
                        left.push(Left {
                            statement: Some(at),
                            object: column_object(&table, [column.as_str()]),
                            message: format!(
                                "the rollback adds {}.{column} again, without its values",
                                shown(&table)
                            ),
                            instead: "drop it in a later migration, when nobody will go back any more"
                                .to_owned(),
                        });
                    }
                }
            }
            _ => {}
        }
    }
}

/// The last statement that changes a table.
fn touches(up: &[Located], state: &State, table: &Name) -> Option<usize> {
    up.iter().rposition(|located| match &located.statement {
        Statement::Alter(alter) => state.name(&alter.name) == *table,
        Statement::CreateIndex(create) => state.name(&create.table) == *table,
        Statement::CreateTrigger(create) => state.name(&create.table) == *table,
        _ => false,
    })
}

fn drops(up: &[Located], state: &State, table: &Name) -> Option<usize> {
    up.iter().position(|located| match &located.statement {
        Statement::Drop(drop) => drop.targets.iter().any(|target| state.name(&target.name) == *table),
        Statement::Alter(alter) => state.made_name(&alter.name) == *table,
        _ => false,
    })
}

fn creates(up: &[Located], state: &State, table: &Name) -> Option<usize> {
    up.iter().position(|located| match &located.statement {
        Statement::CreateTable(create) => state.made_name(&create.name) == *table,
        Statement::CreateTableAs(create) => state.made_name(&create.name) == *table,
        Statement::CreateView(create) => state.made_name(&create.name) == *table,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commented_script_is_found_after_its_heading() {
        let text = "alter table a add b int;\n-- =====\n-- ROLLBACK SCRIPT\n-- =====\n--\n-- To rollback, run:\n--\n\
                    -- ALTER TABLE a\n--   DROP COLUMN b;\n";
        let (script, line) = commented(text).unwrap();
        assert_eq!(script.trim(), "ALTER TABLE a\nDROP COLUMN b;");
        assert_eq!(line, 8);
        assert_eq!(commented("-- drop table a;\nselect 1;"), None, "nothing announces it");
        assert_eq!(commented("-- rollback: ask the team\nselect 1;"), None, "no statement follows");
    }

    fn check(start: &str, up: &str, down: &str, expected: &[&str]) {
        let mut state = State::new(Some(&posthaste_base::catalog::Catalog::default()));
        parse(start).statements.iter().for_each(|located| state.apply(&located.statement));
        state.made.clear();
        let mut end = state.clone();
        let up = parse(up);
        up.statements.iter().for_each(|located| end.apply(&located.statement));
        let rollback = judge(&state, &end, &up.statements, down, 1);
        let messages: Vec<&str> = rollback.left.iter().map(|left| left.message.as_str()).collect();
        assert_eq!(messages.len(), expected.len(), "{messages:?}");
        for (message, expected) in messages.iter().zip(expected) {
            assert!(message.contains(expected), "{message}");
        }
    }

    const START: &str = "create table a (id int primary key, b int not null); create table c (id int primary key, \
                         a_id int constraint c_a references a (id) on delete cascade);";

    #[test]
    fn whole_way_back_leaves_nothing() {
        check(START, "alter table a add d int;", "alter table a drop column d;", &[]);
        check(START, "create table e (id int);", "drop table e;", &[]);
        check(START, "create index i on a (b);", "drop index i;", &[]);
    }

    #[test]
    fn what_is_left_behind_is_told() {
        check(
            START,
            "alter table a add d int; create index i on a (b);",
            "drop index i;",
            &["leaves the column a.d"],
        );
        check(START, "create table e (id int);", "", &["leaves e behind"]);
        check(START, "alter table a alter b drop not null;", "", &["a.b is no longer NOT NULL"]);
    }

    #[test]
    fn foreign_key_with_another_action_is_not_restored() {
        let up = "alter table c drop constraint c_a; alter table c add constraint c_a foreign key (a_id) references a (id) \
                  on delete set null;";
        check(START, up, "select 1;", &["stays ON DELETE SET NULL, and was CASCADE"]);
    }

    #[test]
    fn rows_do_not_come_back() {
        check(START, "update a set b = 1;", "select 1;", &["values of a.b that line 1 overwrites"]);
        check(START, "delete from a;", "select 1;", &["rows of a that line 1 deletes"]);
        check(
            START,
            "alter table a drop column b;",
            "alter table a add b int not null;",
            &["again, without its values"],
        );
        check(START, "alter table a add d int; update a set d = 1;", "alter table a drop column d;", &[]);
    }
}
