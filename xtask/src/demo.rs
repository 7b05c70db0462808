//! Sets up, builds the binary, and becomes `posthaste demo`.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::{Result, postgres, process, setup};

/// The profile of the demonstration's binary, and its folder in the target folder. The development profile is
/// built in a fraction of the time, and the demonstration is not a benchmark.
const PROFILE: &str = "dev";
const PROFILE_FOLDER: &str = "debug";

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let programs = setup::run(postgres::named_folder(arguments)?.as_deref())?;
    process::run(&mut process::cargo(&["build", "--package", "posthaste-cli", "--profile", PROFILE]))?;

    let mut demo = Command::new(process::target_folder()?.join(PROFILE_FOLDER).join("posthaste"));
    demo.arg("demo").args(arguments).env("PG_BIN", programs.folder);
    eprintln!("+ {}", process::describe(&demo));

    // Replacing this process leaves nobody between the terminal's signals and the demonstration.
    Err(format!("`posthaste demo` could not be started: {}", demo.exec()))
}
