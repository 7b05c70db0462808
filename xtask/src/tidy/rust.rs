//! Rules for Rust files: how they open, how long and how named they are, and that they hold no SQL.

use super::rust_text::Source;
use super::{Problem, line_of, whole_words};
use crate::tree::{File, Tree};

const LINES_MAX: usize = 500;

/// Files that may be longer, and why.
const LONG: &[(&str, &str)] = &[];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["common", "helper", "helpers", "misc", "shared", "util", "utils"];

/// Folders whose Rust files may hold SQL: the driver speaks to servers before there are tables, and the test kit
/// makes and breaks databases. The lock model calls forms of statements by their words, for people, and runs none.
const SQL_ALLOWED: &[&str] = &["crates/pg/", "crates/testkit/", "crates/review/src/model/"];

/// What a folder's code must not name outside its tests, and why.
const FORBIDDEN_PATHS: &[(&str, &[&str], &str)] = &[(
    "crates/engine/src/",
    &[
        "SystemTime::now",
        "Instant::now",
        "Zoned::now",
        "Timestamp::now",
        "std::env",
        "std::fs",
        "std::net",
        "std::thread",
    ],
    "decisions are pure; take time, chance and what was read as arguments",
)];

/// Code paths that only some crates may name, and who.
const OWNED_PATHS: &[(&str, &[&str])] = &[
    ("hyper_util::client", &["crates/deliver/", "crates/pg/"]),
    ("hyper::client", &["crates/deliver/", "crates/pg/"]),
];

/// Literals outside them that look like SQL to the check, by how they start, and why they may stay.
const SQL_LOOKALIKES: &[(&str, &str, &str)] = &[];

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    tree.with_extension("rs").flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Problem> {
    let source = Source::new(&file.text);
    let mut problems = Vec::new();
    let mut say = |line: usize, message: String| problems.push(Problem::new(file, line, message));

    if !file.text.starts_with("//!") {
        say(1, "does not open with `//!`; say there what the file is for, and what it is not for".to_owned());
    }
    let lines = file.text.lines().count();
    if lines > LINES_MAX && !LONG.iter().any(|(path, _)| *path == file.path) {
        say(0, format!("has {lines} lines, more than {LINES_MAX}; split it by what its parts are for"));
    }
    for name in EMPTY_NAMES {
        if file.stem() == *name || file.is_under(name) {
            say(0, format!("is called `{name}`, which says nothing; name it for what it does"));
        }
        for offset in
            whole_words(&source.code, name).filter(|offset| source.code[..*offset].ends_with("mod "))
        {
            say(
                line_of(&file.text, offset),
                format!("module `{name}` says nothing; name it for what it does"),
            );
        }
    }
    for marker in ["#[allow", "#![allow"] {
        for (offset, _) in source.code.match_indices(marker) {
            let line = line_of(&file.text, offset);
            say(line, "`allow` outlives its cause; write `#[expect(lint, reason = \"...\")]`".to_owned());
        }
    }
    for offset in whole_words(&source.code, "dbg").filter(|offset| source.code[*offset..].starts_with("dbg!"))
    {
        say(line_of(&file.text, offset), "`dbg!` is left over; remove it".to_owned());
    }
    for comment in &source.comments {
        for marker in ["TODO", "FIXME", "XXX"] {
            for offset in whole_words(comment.text, marker) {
                let line = line_of(&file.text, comment.offset + offset);
                say(
                    line,
                    format!("`{marker}` is nobody's promise; do it, or open an issue and leave it out"),
                );
            }
        }
    }
    for (path, reason) in forbidden_paths(file) {
        for offset in whole_words(&source.code, path).filter(|offset| !source.is_for_tests(*offset)) {
            say(line_of(&file.text, offset), format!("`{path}` does not belong here: {reason}"));
        }
    }
    if !is_for_tests(file) && !SQL_ALLOWED.iter().any(|folder| file.path.starts_with(folder)) {
        problems.extend(check_sql(file, &source));
    }
    problems
}

fn is_for_tests(file: &File) -> bool {
    file.stem() == "tests" || file.is_under("tests") || file.is_under("benches")
}

/// The code paths that a file must not name, each with the reason.
fn forbidden_paths(file: &File) -> Vec<(&'static str, String)> {
    if is_for_tests(file) || !file.path.starts_with("crates/") {
        return Vec::new();
    }
    let here = FORBIDDEN_PATHS.iter().filter(|(folder, _, _)| file.path.starts_with(folder));
    let of_others =
        OWNED_PATHS.iter().filter(|(_, owners)| !owners.iter().any(|owner| file.path.starts_with(owner)));
    here.flat_map(|(_, paths, reason)| paths.iter().map(|path| (*path, (*reason).to_owned())))
        .chain(
            of_others
                .map(|(path, owners)| (*path, format!("only {} call others over HTTP", owners.join(", ")))),
        )
        .collect()
}

fn check_sql(file: &File, source: &Source) -> Vec<Problem> {
    let is_excused = |text: &str| {
        SQL_LOOKALIKES.iter().any(|(path, start, _)| *path == file.path && text.starts_with(start))
    };
    let found = source.strings.iter().filter(|literal| {
        looks_like_sql(literal.text) && !is_excused(literal.text) && !source.is_for_tests(literal.offset)
    });
    let message = "looks like SQL; put it in a `.sql` file of its own and include that, or list it with a reason in \
                   xtask/src/tidy/rust.rs";
    found.map(|literal| Problem::new(file, line_of(&file.text, literal.offset), message)).collect()
}

/// Whether a literal opens like a statement. English also begins with "select" and "update", so that a second
/// mark of SQL is asked for.
fn looks_like_sql(literal: &str) -> bool {
    let text = literal.replace("\\n", " ").to_lowercase();
    let text = text.split_whitespace().filter(|word| *word != "\\").collect::<Vec<_>>().join(" ");
    let Some((first, rest)) = text.split_once(' ') else { return false };
    let second = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
    match first {
        "select" => {
            rest.contains(" from ")
                || rest.contains('(')
                || rest.starts_with(['*', '$', '\'', '1'])
                || ["distinct", "exists", "null", "true"].contains(&second)
        }
        "insert" => second == "into",
        "delete" => second == "from",
        "update" => rest.contains(" set "),
        "with" => second == "recursive" || rest.contains(" as (") || rest.contains(" as materialized ("),
        "create" | "alter" | "drop" => DDL_OBJECTS.contains(&second),
        "truncate" | "listen" | "unlisten" | "notify" | "vacuum" | "analyze" => {
            rest.split(' ').count() == 1 || second == "table"
        }
        _ => false,
    }
}

const DDL_OBJECTS: &[&str] = &[
    "database",
    "domain",
    "extension",
    "function",
    "index",
    "materialized",
    "or",
    "policy",
    "procedure",
    "publication",
    "role",
    "schema",
    "sequence",
    "subscription",
    "system",
    "table",
    "temp",
    "temporary",
    "trigger",
    "type",
    "unique",
    "unlogged",
    "user",
    "view",
];

#[cfg(test)]
mod tests {
    use super::super::{check_none, check_one};
    use super::*;

    fn one(text: &str, expected: &str) {
        check_one(check, &[("crates/broker/src/queue.rs", &format!("//! Queues.\n{text}"))], expected);
    }

    fn none(text: &str) {
        check_none(check, &[("crates/broker/src/queue.rs", &format!("//! Queues.\n{text}"))]);
    }

    #[test]
    fn file_opens_with_what_it_is_for() {
        check_one(check, &[("a.rs", "// Queues.\n")], "a.rs:1: does not open with `//!`");
    }

    #[test]
    fn long_file_is_refused() {
        none(&"\n".repeat(LINES_MAX - 1));
        one(&"\n".repeat(LINES_MAX), "has 501 lines");
    }

    #[test]
    fn empty_names_are_refused() {
        check_one(check, &[("crates/pg/src/utils.rs", "//! X.")], "is called `utils`");
        check_one(check, &[("crates/pg/tests/common/mod.rs", "//! X.")], "is called `common`");
        one("pub mod helpers {}", "queue.rs:2: module `helpers`");
        none("fn helpers_wanted() {} // mod util");
    }

    #[test]
    fn allow_and_dbg_are_refused_in_code_alone() {
        one("#[allow(dead_code)]\nfn a() {}", "queue.rs:2: `allow`");
        one("#![allow(dead_code)]", "`allow`");
        one("fn a() { dbg!(1); }", "`dbg!`");
        none("#[expect(dead_code, reason = \"x\")]\nfn a() { f(\"#[allow] dbg!\") } // #[allow(x)]");
    }

    #[test]
    fn unfinished_work_is_refused_in_comments() {
        one("// TODO: more", "queue.rs:2: `TODO`");
        one("/* x\nFIXME */", "queue.rs:3: `FIXME`");
        none("const MARK: &str = \"TODO\"; // TODOS are fine");
    }

    #[test]
    fn statement_in_rust_is_refused() {
        for sql in [
            "select id from t",
            "SELECT now()",
            "select 1",
            "insert into t values (1)",
            "update t set a = 1",
            "delete from t",
            "with x as (values (1)) table x",
            "create index a on b (c)",
            "alter table a add b int",
            "drop schema a",
            "  \\n select a\\n   from b",
            "listen wake_up",
        ] {
            one(&format!("fn a() {{ run(\"{sql}\") }}"), "queue.rs:2: looks like SQL");
        }
    }

    #[test]
    fn statement_over_several_lines_is_refused() {
        one("const A: &str = r#\"\n    select id\n    from t\"#;", "queue.rs:2: looks like SQL");
        one("const A: &str = \"update t \\\n    set a = 1\";", "queue.rs:2: looks like SQL");
    }

    #[test]
    fn decisions_name_no_clock() {
        let file = |text| [("crates/engine/src/due.rs", text)];
        check_one(
            check,
            &file("//! X.\nfn a() { std::time::Instant::now(); }"),
            "`Instant::now` does not belong here",
        );
        check_none(
            check,
            &file("//! X.\n// Instant::now\n#[cfg(test)]\nmod tests { fn a() { Instant::now(); } }"),
        );
        none("fn a() { Instant::now(); }");
    }

    #[test]
    fn calls_over_http_have_their_owner() {
        one("use hyper_util::client::legacy::Client;", "`hyper_util::client` does not belong here");
        check_none(
            check,
            &[("crates/deliver/src/send.rs", "//! X.\nuse hyper_util::client::legacy::Client;")],
        );
    }

    #[test]
    fn english_is_no_statement() {
        none(
            r#"const A: &[&str] = &["select a queue", "update the schema", "delete", "create a key with `x`",
               "drop it", "with the name", "alter the plan", "listen on this address", "notify those who wait"];"#,
        );
    }

    #[test]
    fn statement_is_allowed_in_tests_and_in_the_driver() {
        none("#[cfg(test)]\nmod tests { const A: &str = \"select 1\"; }");
        check_none(check, &[("crates/pg/src/server.rs", "//! X.\nconst A: &str = \"select 1\";")]);
        check_none(check, &[("crates/broker/tests/queue.rs", "//! X.\nconst A: &str = \"select 1\";")]);
    }
}
