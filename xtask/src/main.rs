//! The tasks of this repository, run as `cargo xtask <task>`. Not for: anything that Posthaste itself needs to run.

mod cluster;
mod demo;
mod docs;
mod postgres;
mod process;
mod servers;
mod setup;
mod suite;
mod tidy;
mod tree;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask <task>

  setup [--pg-bin DIR]   make sure that PostgreSQL's server programs are there; install them if not
  demo [ARGUMENTS]       set up, build, and run `posthaste demo ARGUMENTS`
  test [--quick]         set up, then check formatting, lints, tidiness and documents, and run every test, those that
                         depend on the server's version on 14 to 18, when their programs can be fetched;
                         --quick leaves out the lints, the other versions, and the tests in modules named `slow`
  test --versions LIST   fetch servers of those versions, such as 14,16,17,18, and run the tests that depend on it
  tidy                   check what the compiler cannot: imports, SQL files, names, links
  docs [--check]         write the generated pages of docs/, or check that they are up to date
  servers [VERSION...]   fetch server programs of 14 to 18, or of those versions (12 and 13 too), into the target folder,
                         and print the variables that tests look for, for `eval`

The server programs are looked for in --pg-bin, PG_BIN, `pg_config --bindir`, the usual folders, and PATH.";

/// Why a task ended early, as text for a person.
type Result<T> = std::result::Result<T, String>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let Some((task, rest)) = arguments.split_first() else {
        return Err(format!("which task?\n\n{USAGE}"));
    };
    match task.as_str() {
        "setup" => setup::run(postgres::named_folder(rest)?.as_deref()).map(|_| ()),
        "demo" => demo::run(rest),
        "test" => match rest {
            [flag, list] if flag == "--versions" => suite::on_versions(list),
            rest => suite::run(switch(rest, "--quick")?),
        },
        "tidy" => tidy::run(),
        "docs" => docs::run(switch(rest, "--check")?),
        "servers" => servers::run(rest),
        "help" | "--help" | "-h" => {
            println!("{USAGE}");
            Ok(())
        }
        other => Err(format!("there is no task `{other}`\n\n{USAGE}")),
    }
}

/// Whether the one switch that a task knows was given; any other argument is refused.
fn switch(arguments: &[String], name: &str) -> Result<bool> {
    match arguments {
        [] => Ok(false),
        [only] if only == name => Ok(true),
        [first, ..] => Err(format!("unexpected argument `{first}`, expected {name} or nothing")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_task_and_argument_are_refused() {
        assert!(run(&["tset".to_owned()]).unwrap_err().contains("there is no task `tset`"));
        assert!(switch(&["--quik".to_owned()], "--quick").unwrap_err().contains("`--quik`"));
        assert_eq!(switch(&["--quick".to_owned()], "--quick"), Ok(true));
    }
}
