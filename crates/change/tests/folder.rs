//! Folders of real tools are read as the tools read them, and what is wrong with one is said with its file.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use posthaste_change::folder::{self, Folder, Tool, Wrapping};

/// A folder with files, which goes with it.
struct Made(PathBuf);

impl Made {
    fn with(files: &[(&str, &str)]) -> Self {
        let made = Self::empty();
        for (name, text) in files {
            made.write(name, text.as_bytes());
        }
        made
    }

    fn empty() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("posthaste-folder-{}-{count}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("a folder");
        Self(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn read(path: &Path, tool: Tool) -> Folder {
    folder::read(path, tool).unwrap_or_else(|error| panic!("{tool}: {error}"))
}

/// `version|name|wrapping|has a way back` of each, under the tool that is detected.
fn check(files: &[(&str, &str)], tool: Tool, expected: &[&str]) {
    let made = Made::with(files);
    assert_eq!(folder::detect(&made.0).expect("a tool").first(), Some(&tool));
    let shown: Vec<String> = read(&made.0, tool)
        .migrations
        .iter()
        .map(|m| {
            let wrapping = match m.up.wrapping() {
                Wrapping::Transaction => "transaction",
                Wrapping::OneQuery => "query",
                Wrapping::Nothing => "nothing",
            };
            format!("{}|{}|{wrapping}|{}", m.version, m.name, m.down.is_some())
        })
        .collect();
    assert_eq!(shown, expected, "{tool}");
}

fn check_refused(files: &[(&str, &str)], tool: Tool, says: &[&str]) {
    let made = Made::with(files);
    let error = folder::read(&made.0, tool).expect_err("it is refused");
    for text in says {
        assert!(error.to_string().contains(text), "{text}: {error}");
    }
}

const INDEX: &str = "create index concurrently i on t (a);";

#[test]
fn goose_takes_variables_where_a_file_says_so() {
    let made = Made::with(&[(
        "1_a.sql",
        "-- +goose Up\nselect '${POSTHASTE_IS_NOT_SET:-one}';\n-- +goose ENVSUB ON\n\
         select '${POSTHASTE_IS_NOT_SET:-two}';\n-- +goose Down\nselect '${POSTHASTE_IS_NOT_SET-three}';\n",
    )]);
    let folder = read(&made.0, Tool::Goose);
    let [migration] = folder.migrations.as_slice() else { panic!("{folder:?}") };
    assert!(migration.up.text.contains("'${POSTHASTE_IS_NOT_SET:-one}'"), "{}", migration.up.text);
    assert!(migration.up.text.contains("select 'two'"), "{}", migration.up.text);
    assert!(migration.down.as_ref().is_some_and(|down| down.text.contains("select 'three'")));
}

#[test]
fn each_tool_has_its_own_files() {
    check(
        &[
            ("010_b.sql", INDEX),
            ("009_a.sql", "select 1;"),
            ("009_a.down.sql", "select 2;"),
            ("README.md", "x"),
        ],
        Tool::Plain,
        &["009|a|transaction|true", "010|b|nothing|false"],
    );
    check(
        &[("000002_b.up.sql", INDEX), ("000001_a.up.sql", "select 1;"), ("000001_a.down.sql", "select 2;")],
        Tool::GolangMigrate,
        &["1|a|query|true", "2|b|query|false"],
    );
    check(
        &[
            ("20260102000000_b/migration.sql", "select 1;"),
            ("20260101000000_a/migration.sql", "select 1;"),
            ("migration_lock.toml", "provider = \"postgresql\""),
        ],
        Tool::Prisma,
        &["20260101000000_a|a|query|false", "20260102000000_b|b|query|false"],
    );
    check(
        &[
            ("V10__ten.sql", "select 1;"),
            ("V2_1__two_one.sql", INDEX),
            ("U10__ten.sql", "select 2;"),
            ("more/V2.0__two.sql", "select 1;"),
            ("V3__three.sql", "select 1;"),
            ("V3__three.sql.conf", "executeInTransaction=false\n"),
            ("R__all_views.sql", "select 3;"),
        ],
        Tool::Flyway,
        &[
            "2.0|two|transaction|false",
            "2.1|two one|nothing|false",
            "3|three|nothing|false",
            "10|ten|transaction|true",
            "R all views|all views|transaction|false",
        ],
    );
    check(
        &[
            ("2026-01-02-000000_b/up.sql", INDEX),
            ("2026-01-02-000000_b/metadata.toml", "run_in_transaction = false # it cannot\n"),
            ("2026-01-01-000000_a/up.sql", "select 1;"),
            ("2026-01-01-000000_a/down.sql", "select 2;"),
        ],
        Tool::Diesel,
        &["20260101000000|a|transaction|true", "20260102000000|b|query|false"],
    );
    check(
        &[
            ("20260101_a.sql", "-- migrate:up\nselect 1;\n-- migrate:down\nselect 2;\n"),
            ("20260102_b.sql", &format!("-- migrate:up transaction:false\n{INDEX}\n")),
        ],
        Tool::Dbmate,
        &["20260101|a|transaction|true", "20260102|b|query|false"],
    );
    check(
        &[
            ("00001_a.sql", "-- +goose Up\nselect 1;\n-- +goose Down\nselect 2;\n"),
            ("00002_b.sql", &format!("-- +goose NO TRANSACTION\n-- +goose Up\n{INDEX}\n")),
        ],
        Tool::Goose,
        &["1|a|transaction|true", "2|b|nothing|false"],
    );
    check(
        &[
            ("Cargo.toml", ""),
            ("1_first_one.sql", "select 1;"),
            ("2_b.up.sql", &format!("-- no-transaction\n{INDEX}")),
            ("2_b.down.sql", "select 2;"),
        ],
        Tool::Sqlx,
        &["1|first one|transaction|false", "2|b|query|true"],
    );
}

#[test]
fn a_part_of_a_file_knows_where_it_begins() {
    let text = "-- about\n-- +goose Up\nselect 1;\n\n-- +goose Down\nselect 2;\n";
    let made = Made::with(&[("1_a.sql", text)]);
    let folder = read(&made.0, Tool::Goose);
    let migration = &folder.migrations[0];
    assert_eq!((migration.up.first_line, migration.up.text.as_str()), (2, "-- +goose Up\nselect 1;\n\n"));
    let down = migration.down.as_ref().expect("a way back");
    assert_eq!((down.first_line, down.text.as_str()), (5, "-- +goose Down\nselect 2;\n"));
}

#[test]
fn a_dump_of_rails_is_a_base() {
    let text = "create table a ();\nINSERT INTO \"schema_migrations\" (version) VALUES\n('20260101');\n";
    let made = Made::with(&[("structure.sql", text)]);
    assert_eq!(folder::detect(&made.0).expect("a tool"), [Tool::Rails]);
    let base = read(&made.0, Tool::Rails).base.expect("a base");
    assert_eq!(base.versions, ["20260101"]);
}

#[test]
fn tools_with_the_same_names_are_both_said() {
    let made = Made::with(&[("1_a.up.sql", "select 1;"), ("1_a.down.sql", "select 1;")]);
    let tools = folder::detect(&made.0).expect("tools");
    assert_eq!(tools, [Tool::GolangMigrate, Tool::Plain, Tool::Sqlx]);
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    check_refused(
        &[
            ("1_a.up.sql", "select 1;"),
            ("01_b.up.sql", "select 1;"),
            ("nothing.sql", "select 1;"),
            ("4_d.down.sql", ""),
        ],
        Tool::GolangMigrate,
        &[
            "1_a.up.sql: has the version 1 of",
            "nothing.sql: does not begin with a number",
            "4_d.down.sql: goes back",
        ],
    );
    let three = |middle| [("001_a.sql", "select 1;"), (middle, "select 1;"), ("004_c.sql", "select 1;")];
    check_refused(&three("002_b.sql"), Tool::Plain, &["002_b.sql: is followed by no version 3"]);
    check_refused(&[("001_a.sql", "-- nothing yet\n")], Tool::Plain, &["001_a.sql: holds no statement"]);
    check_refused(&[("99999999999999999999_a.sql", "select 1;")], Tool::Sqlx, &["number that is too large"]);
    check_refused(&[("1_a.sql", "select 1;")], Tool::Dbmate, &["has no line `-- migrate:up`"]);
    check_refused(&[("1_a.sql", "select 1;")], Tool::Goose, &["has no line `-- +goose Up`"]);
    check_refused(&[("init/up.sql", "select 1;")], Tool::Diesel, &["init: does not begin with a number"]);
    check_refused(&[("20260101_a/x.sql", "select 1;")], Tool::Prisma, &["holds no migration.sql"]);
    check_refused(
        &[
            ("V1_a.sql", "select 1;"),
            ("Vx__a.sql", "select 1;"),
            ("V1__.sql", "select 1;"),
            ("U9__a.sql", "select 1;"),
        ],
        Tool::Flyway,
        &[
            "no `__` between",
            "Vx__a.sql: is named neither",
            "V1__.sql: has no description",
            "a version that is not there",
        ],
    );
    check_refused(
        &[("V1__a.sql", "select 1,\n'${x}';")],
        Tool::Flyway,
        &["V1__a.sql:2: the placeholder `${x}` has no value"],
    );
    check_refused(
        &[("1_a.sql", "-- +goose Up\n-- +goose ENVSUB ON\nselect '$POSTHASTE_IS_NOT_SET';")],
        Tool::Goose,
        &["1_a.sql:3: the variable POSTHASTE_IS_NOT_SET is not set"],
    );
    check_refused(
        &[("V1__a.sql", "select 1;"), ("V1.0__b.sql", "select 1;")],
        Tool::Flyway,
        &["has the version 1 of V1.0__b.sql"],
    );
}

#[test]
fn other_encodings_and_other_folders_are_refused() {
    let made = Made::empty();
    made.write("001_a.sql", b"select '\xe9';");
    let error = folder::read(&made.0, Tool::Plain).expect_err("it is Latin-1");
    assert!(error.to_string().contains("001_a.sql: line 1, column 9: byte 0xe9"), "{error}");
    let made = Made::empty();
    let error = folder::detect(&made.0).expect_err("it is empty");
    assert!(error.to_string().contains("no migrations"), "{error}");
    let error = folder::detect(&made.0.join("nowhere")).expect_err("it is not there");
    assert!(error.to_string().contains("a folder of migrations"), "{error}");
}
