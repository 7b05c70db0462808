//! Who may import whom: the table of ARCHITECTURE.md as data, checked against every Cargo.toml.

use toml::{Table, Value};

use super::Problem;
use crate::tree::{File, Tree};

/// A crate (its folder's name), the crates of ours that it may import, and what it must not know.
struct Row {
    name: &'static str,
    imports: &'static [&'static str],
    never: &'static [&'static str],
}

/// What a crate of pure data and decisions must not know.
const IO: &[&str] = &["tokio", "tokio-util", "tokio-postgres", "hyper", "hyper-util", "axum", "clap"];
/// Decisions are functions of state, time and seed, so that they must not know chance either.
const IO_AND_CHANCE: &[&str] =
    &["tokio", "tokio-util", "tokio-postgres", "hyper", "hyper-util", "axum", "clap", "getrandom", "rand"];
const HTTP: &[&str] = &["http", "hyper", "hyper-util", "hyper-rustls", "axum", "reqwest"];
const FRONT: &[&str] = &["base", "report", "observe", "web", "broker"];

const ROWS: &[Row] = &[
    Row { name: "base", imports: &[], never: IO },
    Row { name: "report", imports: &["base"], never: IO },
    Row { name: "observe", imports: &["base"], never: IO },
    Row { name: "engine", imports: &["base"], never: IO_AND_CHANCE },
    Row { name: "review", imports: &["base", "report"], never: IO },
    Row { name: "pg", imports: &["base", "observe"], never: &["axum", "clap"] },
    Row { name: "store", imports: &["base", "observe", "pg"], never: HTTP },
    Row { name: "runner", imports: &["base", "report", "observe", "pg"], never: HTTP },
    Row { name: "change", imports: &["base", "report", "observe", "pg", "review", "runner"], never: HTTP },
    Row { name: "care", imports: &["base", "report", "observe", "pg", "runner"], never: HTTP },
    Row { name: "broker", imports: &["base", "observe", "engine", "store"], never: HTTP },
    Row { name: "deliver", imports: &["base", "observe", "engine", "broker"], never: &["axum"] },
    Row { name: "web", imports: &["base", "observe"], never: &[] },
    Row { name: "api", imports: FRONT, never: &[] },
    Row { name: "aws", imports: FRONT, never: &[] },
    Row { name: "dashboard", imports: FRONT, never: &[] },
    Row { name: "gameday", imports: &["base", "report", "observe", "pg", "broker"], never: HTTP },
    Row {
        name: "cli",
        imports: &[
            "base",
            "report",
            "observe",
            "engine",
            "review",
            "pg",
            "store",
            "runner",
            "change",
            "care",
            "broker",
            "deliver",
            "web",
            "api",
            "aws",
            "dashboard",
            "gameday",
        ],
        never: &[],
    },
    Row { name: "testkit", imports: &["base", "pg", "store", "change"], never: &[] },
    Row { name: "xtask", imports: &["base", "observe"], never: &["tokio", "clap"] },
];

/// A crate for tests, which every other one may use for its own tests.
const FOR_TESTS: &str = "testkit";

/// Dependencies that cost much, or that only one place should know, and who owns them.
const OWNED: &[(&str, &[&str])] = &[
    ("tokio-postgres", &["pg"]),
    ("deadpool-postgres", &["pg"]),
    ("rustls", &["pg", "deliver"]),
    ("tokio-rustls", &["pg", "deliver"]),
    ("hyper-rustls", &["pg", "deliver"]),
    // The client is for pg and deliver alone (see rust.rs); web, testkit and the demonstration in cli serve with it.
    ("hyper-util", &["pg", "deliver", "web", "testkit", "cli"]),
    ("axum", &["web", "api", "aws", "dashboard"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("parquet", &["care"]),
    ("squawk-syntax", &["review"]),
    ("anyhow", &["cli"]),
];

/// Packages that must not even be in the lock file: one TLS stack, which builds with a C compiler alone.
const BANNED: &[&str] = &["aws-lc-rs", "aws-lc-sys", "native-tls", "openssl", "openssl-sys"];

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in &tree.files {
        match file.name() {
            "Cargo.toml" if file.path != "Cargo.toml" => check_crate(file, &mut problems),
            "Cargo.lock" => check_lock(file, &mut problems),
            _ => {}
        }
    }
    problems
}

fn check_crate(file: &File, problems: &mut Vec<Problem>) {
    let manifest: Table = match file.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return problems.push(Problem::new(file, 0, format!("cannot be read: {error}"))),
    };
    let mut say = |message: String| problems.push(Problem::new(file, 0, message));
    let folder = file.path.rsplit('/').nth(1).unwrap_or_default();
    let Some(row) = ROWS.iter().find(|row| row.name == folder) else {
        return say(format!(
            "crate `{folder}` is not in the import table; add a row to xtask/src/tidy/imports.rs and to \
             ARCHITECTURE.md, and argue it in the commit"
        ));
    };
    let package = manifest.get("package").and_then(|package| package.get("name")).and_then(Value::as_str);
    if folder != "xtask" && package != Some(&format!("posthaste-{folder}")) {
        say(format!("the package of folder `{folder}` must be called `posthaste-{folder}`"));
    }
    if manifest.get("lints").and_then(|lints| lints.get("workspace")) != Some(&Value::Boolean(true)) {
        say("does not inherit the workspace's lints; add `[lints]` with `workspace = true`".to_owned());
    }
    for (table, is_for_tests) in dependency_tables(&manifest) {
        for (name, value) in table {
            if value.get("workspace") != Some(&Value::Boolean(true)) {
                say(format!(
                    "`{name}` has a version of its own; put it in the root Cargo.toml and write `{name}.workspace = true`"
                ));
            }
            if let Some(message) = refusal(row, name, is_for_tests) {
                say(message);
            }
        }
    }
}

/// Why a crate may not depend on that package, if it may not.
fn refusal(row: &Row, dependency: &str, is_for_tests: bool) -> Option<String> {
    let name = row.name;
    if let Some(ours) = dependency.strip_prefix("posthaste-") {
        let is_allowed =
            row.imports.contains(&ours) || (is_for_tests && ours == FOR_TESTS && name != FOR_TESTS);
        return (!is_allowed).then(|| {
            format!(
                "`{name}` must not import `{ours}`; it may import {}: move the code, pass the value in, or argue \
                 the new edge in the commit that adds it to xtask/src/tidy/imports.rs and ARCHITECTURE.md",
                if row.imports.is_empty() { "none of ours".to_owned() } else { row.imports.join(", ") }
            )
        });
    }
    if is_for_tests {
        return None;
    }
    if row.never.contains(&dependency) {
        return Some(format!("`{name}` must not know `{dependency}`; do that work in a crate above it"));
    }
    let (_, owners) = OWNED.iter().find(|(owned, _)| *owned == dependency)?;
    (!owners.contains(&name)).then(|| {
        format!("`{dependency}` belongs to {}; `{name}` must use what they offer instead", owners.join(", "))
    })
}

/// Every table of dependencies, those of single platforms too, and whether it is for tests only.
fn dependency_tables(manifest: &Table) -> Vec<(&Table, bool)> {
    let platforms = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let mut tables = Vec::new();
    for holder in std::iter::once(manifest).chain(platforms.filter_map(Value::as_table)) {
        for (kind, is_for_tests) in
            [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)]
        {
            tables.extend(holder.get(kind).and_then(Value::as_table).map(|table| (table, is_for_tests)));
        }
    }
    tables
}

fn check_lock(file: &File, problems: &mut Vec<Problem>) {
    for (index, line) in file.text.lines().enumerate() {
        let name = line.strip_prefix("name = \"").and_then(|rest| rest.strip_suffix('"'));
        if let Some(name) = name.filter(|name| BANNED.contains(name)) {
            let message = format!(
                "`{name}` is banned, since rustls with ring is the one TLS stack; `cargo tree -i {name}` shows who \
                 brings it, and a feature that leaves it out is usually near"
            );
            problems.push(Problem::new(file, index + 1, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{check_none, check_one};
    use super::*;

    fn manifest(name: &str, rest: &str) -> String {
        format!("[package]\nname = \"posthaste-{name}\"\n[lints]\nworkspace = true\n{rest}")
    }

    fn one(name: &str, rest: &str, expected: &str) {
        check_one(check, &[(&format!("crates/{name}/Cargo.toml"), &manifest(name, rest))], expected);
    }

    fn none(name: &str, rest: &str) {
        check_none(check, &[(&format!("crates/{name}/Cargo.toml"), &manifest(name, rest))]);
    }

    #[test]
    fn edge_outside_the_table_is_refused() {
        one("api", "[dependencies]\nposthaste-store.workspace = true", "`api` must not import `store`");
        one("base", "[dependencies]\nposthaste-pg.workspace = true", "it may import none of ours");
        none("api", "[dependencies]\nposthaste-broker.workspace = true\naxum.workspace = true");
    }

    #[test]
    fn edges_for_tests_and_single_platforms_count_too() {
        one("api", "[dev-dependencies]\nposthaste-pg.workspace = true", "`api` must not import `pg`");
        one("deliver", "[target.'cfg(unix)'.dependencies]\nposthaste-pg.workspace = true", "import `pg`");
        one("api", "[build-dependencies]\nposthaste-pg.workspace = true", "import `pg`");
    }

    #[test]
    fn testkit_is_for_tests_alone() {
        none("api", "[dev-dependencies]\nposthaste-testkit.workspace = true");
        one("cli", "[dependencies]\nposthaste-testkit.workspace = true", "`cli` must not import `testkit`");
    }

    #[test]
    fn costly_dependency_has_its_owner() {
        one("store", "[dependencies]\ntokio-postgres.workspace = true", "`tokio-postgres` belongs to pg");
        one("deliver", "[dependencies]\nclap.workspace = true", "`clap` belongs to cli");
        none("pg", "[dependencies]\ntokio-postgres.workspace = true");
    }

    #[test]
    fn pure_crate_must_not_know_tokio() {
        one("engine", "[dependencies]\ntokio.workspace = true", "`engine` must not know `tokio`");
        one("engine", "[dependencies]\ngetrandom.workspace = true", "`engine` must not know `getrandom`");
        none("observe", "[dependencies]\ngetrandom.workspace = true");
        none("engine", "[dev-dependencies]\nproptest.workspace = true");
    }

    #[test]
    fn crate_outside_the_table_is_refused() {
        one("helper", "", "crate `helper` is not in the import table");
    }

    #[test]
    fn lints_versions_and_package_names_are_the_workspace_s() {
        check_one(check, &[("crates/pg/Cargo.toml", "[package]\nname = \"posthaste-pg\"")], "lints");
        one("pg", "[dependencies]\nbytes = \"1\"", "`bytes` has a version of its own");
        check_one(
            check,
            &[("crates/pg/Cargo.toml", &manifest("postgres", ""))],
            "must be called `posthaste-pg`",
        );
    }

    #[test]
    fn banned_package_is_found_in_the_lock_file() {
        check_one(
            check,
            &[("Cargo.lock", "[[package]]\nname = \"openssl-sys\"\n")],
            "Cargo.lock:2: `openssl-sys`",
        );
        check_none(check, &[("Cargo.lock", "[[package]]\nname = \"openssl-probe\"\n")]);
    }

    #[test]
    fn table_only_goes_downward() {
        for (index, row) in ROWS.iter().enumerate().filter(|(_, row)| row.name != FOR_TESTS) {
            for import in row.imports {
                let place = ROWS.iter().position(|other| other.name == *import);
                assert!(place.is_some_and(|place| place < index), "{} imports {import}", row.name);
            }
        }
    }
}
