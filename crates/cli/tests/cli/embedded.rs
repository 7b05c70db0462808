//! The private PostgreSQL as its user meets it: missing programs, folders that cannot be used.
//!
//! Not for: what takes a server (see `slow`), nor for the server itself (see the tests of pg).

use super::program::Program;

#[test]
fn missing_programs_say_how_to_get_them() {
    let program = Program::alone().file("empty", "");
    let expected = ["postgres-missing", "install PostgreSQL", "--pg-bin", "DATABASE_URL"];
    let empty = program.path("empty").to_string_lossy().into_owned();
    program.run(&["serve", "--pg-bin", &empty]).check(3, &expected);
    Program::alone().env("PG_BIN", &empty).run(&["serve"]).check(3, &expected);
}

#[test]
fn a_data_folder_that_cannot_be_used_is_said() {
    let program = Program::alone().file("taken", "");
    let taken = program.path("taken").to_string_lossy().into_owned();
    for folder in ["/proc/posthaste", &taken] {
        let outcome = program.run(&["--data-dir", folder, "serve"]);
        outcome.check(3, &["postgres-failed", folder, "choose another data folder"]);
    }
}

#[test]
fn a_command_makes_no_database_by_mistake() {
    let program = Program::alone();
    program.run(&["queue", "list"]).check(4, &["schema-missing", "posthaste serve"]);
    assert!(!program.data_folder().exists());
}
