//! Rules for the statements in the `sql/` folders of crates: one statement a file, under a header that says what it relies on.

use super::sql_text::code_only;
use super::{Problem, line_of, whole_words};
use crate::tree::{File, Tree};

/// What the header must say, each on a line of its own.
const HEADER: &[(&str, &str)] = &[
    ("purpose", "what the statement is for"),
    ("params", "what $1, $2 and so on are, or `none`"),
    ("locks", "what it locks, and how strongly"),
    ("index", "which index it relies on, or `none` and why that is well"),
];

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let is_ours = |file: &&File| file.path.starts_with("crates/") && file.is_under("sql");
    tree.with_extension("sql").filter(is_ours).flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut say = |line: usize, message: String| problems.push(Problem::new(file, line, message));

    let unsaid = HEADER.iter().filter(|(name, _)| !header_says(&file.text, name));
    let unsaid: Vec<String> = unsaid.map(|(name, meaning)| format!("`-- {name}:` ({meaning})")).collect();
    if !unsaid.is_empty() {
        say(0, format!("its header lacks {}", unsaid.join(", ")));
    }
    let code = code_only(&file.text);
    if code.trim().trim_end_matches(';').trim().is_empty() {
        say(0, "holds no statement".to_owned());
    }
    if code.split(';').filter(|statement| !statement.trim().is_empty()).count() > 1 {
        say(0, "holds more than one statement; give each a file of its own".to_owned());
    }
    if let Some(offset) = code.find(|letter: char| letter.is_ascii_uppercase()) {
        let word =
            code[offset..].split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        say(
            line_of(&code, offset),
            format!("`{word}` is not in lower case; only quoted text needs capitals"),
        );
    }
    for keyword in ["select", "returning"] {
        for offset in
            whole_words(&code, keyword).filter(|offset| takes_every_column(&code, offset + keyword.len()))
        {
            say(line_of(&code, offset), format!("`{keyword} *` changes with the table; name the columns"));
        }
    }
    if !["claim", "sweep"].iter().any(|start| file.stem().starts_with(start)) {
        for offset in
            whole_words(&code, "skip").filter(|offset| code[offset + 4..].trim_start().starts_with("locked"))
        {
            say(
                line_of(&code, offset),
                "`skip locked` passes over rows in silence, so it belongs only in files called `claim*` or `sweep*`"
                    .to_owned(),
            );
        }
    }
    problems
}

/// Whether the comments at the top have a line `-- name: something`, the something there or on the next line.
fn header_says(text: &str, name: &str) -> bool {
    let mut header = text
        .lines()
        .map(str::trim)
        .take_while(|line| line.is_empty() || line.starts_with("--"))
        .map(|line| line.trim_start_matches('-').trim());
    let Some(said) = header.find_map(|line| line.strip_prefix(name)?.strip_prefix(':')) else { return false };
    let names_another = |line: &str| HEADER.iter().any(|(other, _)| line.starts_with(&format!("{other}:")));
    !said.trim().is_empty() || header.next().is_some_and(|line| !line.is_empty() && !names_another(line))
}

/// Whether the list of columns that starts there is `*` or `alias.*` of something that the statement does not
/// itself define: what a `with` or a sub-select names has its columns in the same file.
fn takes_every_column(code: &str, start: usize) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let word = |text: &str| text.split(|c| !is_part(c)).next().unwrap_or_default().to_owned();
    let list = code[start..].trim_start();
    let alias = word(list);
    if !alias.is_empty() {
        return list[alias.len()..].starts_with(".*") && !is_defined_within(code, &alias);
    }
    let Some(rest) = list.strip_prefix('*') else { return false };
    let source = rest.trim_start().strip_prefix("from ").map(|rest| word(rest.trim_start()));
    !source.is_some_and(|source| is_defined_within(code, &source))
}

/// Whether `name as (...)` or `(...) name` stands somewhere in the statement.
fn is_defined_within(code: &str, name: &str) -> bool {
    let opens_query = |rest: &str| {
        let rest = rest.trim_start().strip_prefix("as").unwrap_or_default().trim_start();
        let rest = rest.strip_prefix("not ").unwrap_or(rest).trim_start();
        rest.strip_prefix("materialized").unwrap_or(rest).trim_start().starts_with('(')
    };
    !name.is_empty()
        && whole_words(code, name).any(|offset| {
            let before = code[..offset].trim_end();
            let before = before.strip_suffix(" as").unwrap_or(before).trim_end();
            before.ends_with(')') || opens_query(&code[offset + name.len()..])
        })
}

#[cfg(test)]
mod tests {
    use super::super::{check_none, check_one};
    use super::*;

    const TOP: &str = "-- purpose: x\n-- params: $1 y\n-- locks: none\n-- index: z\n";

    fn one(name: &str, code: &str, expected: &str) {
        check_one(
            check,
            &[(&format!("crates/store/sql/queue/{name}.sql"), &format!("{TOP}{code}"))],
            expected,
        );
    }

    fn none(name: &str, code: &str) {
        check_none(check, &[(&format!("crates/store/sql/queue/{name}.sql"), &format!("{TOP}{code}"))]);
    }

    #[test]
    fn header_names_all_four() {
        let text = "-- purpose: x\n-- params:\n--   $1 y\n-- index: none\nselect 1";
        check_one(check, &[("crates/store/sql/a.sql", text)], "lacks `-- locks:`");
        let text = "-- purpose:\n-- params: none\n-- locks: none\n-- index: none\nselect 1";
        check_one(check, &[("crates/store/sql/a.sql", text)], "lacks `-- purpose:`");
        none("read", "select id from m where id = $1;\n");
    }

    #[test]
    fn migrations_are_not_held_to_it() {
        check_none(check, &[("crates/store/migrations/0001.sql", "CREATE TABLE a (); SELECT * FROM a;")]);
    }

    #[test]
    fn one_file_holds_one_statement() {
        one("read", "select 1; select 2;", "more than one statement");
        one("read", "", "holds no statement");
        none("read", "select ';' as a -- b; c\n;");
    }

    #[test]
    fn columns_are_named() {
        one("read", "select\n  * from m", "sql:5: `select *`");
        one("read", "select m.* from m", "`select *`");
        one("write", "delete from m returning *", "`returning *`");
        none("read", "select count(*), 2 * a from m");
    }

    #[test]
    fn what_the_statement_defines_may_be_taken_whole() {
        none("read", "with a as materialized (select id from m) select * from a union all select * from a");
        none("read", "select m.* from (select id from q) m");
        none("read", "select m.* from q cross join lateral (select id from q) as m");
        one("read", "with a as (select id from m) select * from m", "sql:5: `select *`");
    }

    #[test]
    fn skip_locked_is_for_claims_and_sweeps() {
        one("read", "select id from m for update skip locked", "`skip locked`");
        none("claim_batch", "select id from m for update skip locked");
        none("sweep_expired", "select id from m for update skip\n locked");
    }

    #[test]
    fn capitals_are_for_quoted_text() {
        one("read", "SELECT 1", "`SELECT` is not in lower case");
        none("read", "select 'A' as \"B\" -- C");
    }
}
