//! The file of a plan: what it holds comes back, and what is wrong in it is named.

use super::*;
use crate::LockMode;

const TEXT: &str = r#"
version = 1
title = "Names in two columns"
kind = "rollout"
database = "shop"
fingerprint = "abc"
notes = ["read me"]

[[gates]]
gate = "backup"
max_age_s = 3600

[[phases]]
name = "backfill"
about = "copies"

[[phases.gates]]
gate = "window"
from = "22:00"
to = "04:00"
zone = "Europe/Berlin"

[[phases.watch]]
metric = "lag"
threshold = 5.0
unit = "s"
watch_s = 60
when = "while it runs"

[[phases.steps]]
id = "copy"
title = "Copies the names"
action = "batches"
schema = "public"
table = "users"
key = ["id"]
statements = ["update users set full_name = name where {batch} and full_name is distinct from name"]
left = "select count(*) from users where full_name is distinct from name"
undo = ["update users set full_name = null where {batch}"]

[phases.steps.estimate]
rows = 1000

[[phases.steps.locks]]
schema = "public"
table = "users"
mode = "ROW EXCLUSIVE"

[[phases.steps]]
id = "index"
title = "Index"
action = "alone"
statement = "create index concurrently users_name on users (full_name)"
index = "public.users_name"
undo = ["drop index concurrently if exists users_name"]

[[phases.steps]]
id = "look"
title = "Look"
action = "check"
sql = "select true"
needs_no_undo = true

[[phases.steps]]
id = "tell"
title = "Tell"
action = "manual"
about = "tell the team"

[[phases.steps]]
id = "switch"
title = "Switch"
action = "transaction"
statements = ["alter table users alter full_name set not null"]
"#;

fn refused(from: &str, to: &str, expected: &str) {
    assert!(TEXT.contains(from), "{from}");
    let error = Plan::from_toml(&TEXT.replacen(from, to, 1)).expect_err(expected);
    assert!(error.to_string().contains(expected), "{error}");
}

#[test]
fn a_plan_comes_back_from_its_file() {
    let plan = Plan::from_toml(TEXT).expect("a plan");
    assert_eq!(plan.steps().count(), 5);
    let copy = plan.steps().next().expect("a step");
    assert_eq!(copy.locks[0].mode, LockMode::RowExclusive);
    assert!(matches!(&copy.action, Action::Batches(batches) if batches.rows == 1_000));
    let again = plan.to_toml().expect("a file");
    assert_eq!(Plan::from_toml(&again).expect(&again), plan, "{again}");
}

#[test]
fn a_plan_comes_back_from_json() {
    let plan = Plan::from_toml(TEXT).expect("a plan");
    let text = serde_json::to_string(&plan).expect("JSON");
    assert_eq!(serde_json::from_str::<Plan>(&text).expect("a plan"), plan);
}

#[test]
fn what_is_misspelt_is_named_with_its_line() {
    refused("undo = [\"update", "unda = [\"update", "unknown field `unda`");
    refused("undo = [\"update", "unda = [\"update", "line 3");
    refused("max_age_s", "max_age", "unknown field `max_age`");
    refused("action = \"check\"", "action = \"chek\"", "unknown variant `chek`");
    refused("mode = \"ROW EXCLUSIVE\"", "mode = \"ROW\"", "unknown variant `ROW`");
}

#[test]
fn an_action_has_its_own_fields_and_no_others() {
    refused("sql = \"select true\"", "", "step `look`: field `sql` is missing");
    refused(
        "sql = \"select true\"",
        "sql = \"x\"\nkey = [\"id\"]",
        "`key` does not belong to action `check`",
    );
}

#[test]
fn what_cannot_run_is_refused() {
    refused("version = 1", "version = 2", "version 2");
    refused("id = \"index\"", "id = \"copy\"", "the id `copy`");
    refused("where {batch} and", "where", "lacks the batch's condition");
    refused("key = [\"id\"]\n", "rows = 0\nkey = [\"id\"]\n", "`rows` is 0");
    refused("[\"alter table users alter full_name set not null\"]", "[]", "a statement is missing");
    let without_key = TEXT.replace("key = [\"id\"]\n", "");
    assert!(Plan::from_toml(&without_key).is_ok());
    let lines: Vec<&str> = without_key.lines().filter(|line| !line.starts_with("left =")).collect();
    let error = Plan::from_toml(&lines.join("\n")).expect_err("no key and no `left`");
    assert!(error.to_string().contains("`left` is not said"), "{error}");
}
