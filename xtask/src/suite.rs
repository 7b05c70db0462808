//! Everything that a change must pass, in one command. All steps run, also after one has failed, so that one run
//! shows all that is wrong.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Instant;

use crate::postgres::VERSIONS;
use crate::tree::Tree;
use crate::{Result, cluster, postgres, process, servers, setup, tidy};

/// Tests in modules of this name take long; `--quick` leaves them out.
const SLOW_MODULE: &str = "slow";

/// Tests that run on every server whose programs they are told of.
#[derive(Debug, PartialEq, Eq)]
struct Suite {
    package: String,
    /// The test program, and the module in it; none is all of it.
    program: String,
    module: Option<String>,
}

struct Outcome {
    step: &'static str,
    seconds: f64,
    failure: Option<String>,
}

pub(crate) fn run(is_quick: bool) -> Result<()> {
    let programs = setup::run(postgres::named_folder(&[])?.as_deref())?;
    let mut outcomes = vec![
        step("tidy", tidy::run),
        step("format", || process::run(&mut process::cargo(&["fmt", "--all", "--check"]))),
    ];
    if !is_quick {
        let arguments = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
        outcomes.push(step("lints", || process::run(&mut process::cargo(&arguments))));
    }
    let pg_bin = programs.folder.as_os_str();
    outcomes.push(step("tests", || tests(is_quick, pg_bin)));
    if !is_quick {
        // The installed one has its turn with all other tests.
        let others: Vec<u32> = VERSIONS.filter(|major| *major != programs.version).collect();
        match servers::fetch(&others) {
            Ok(found) => outcomes.push(step("versions", || tests_on(&found, pg_bin))),
            Err(message) => eprintln!(
                "\n== versions\nWARNING: NOT TESTED on PostgreSQL {others:?}: their servers could not be fetched: \
                 {message}\n`cargo xtask test --versions 14,16,17,18` does it where the registries can be reached"
            ),
        }
    }
    outcomes.push(step("clean up", cluster::remove_throw_away));
    conclude(&outcomes)
}

/// Fetches servers of these versions, and runs what depends on the version on each of them.
pub(crate) fn on_versions(list: &str) -> Result<()> {
    let versions: Vec<String> = list.split(',').map(|version| version.trim().to_owned()).collect();
    let found = servers::fetch(&servers::wanted(&versions)?)?;
    let programs = setup::run(postgres::named_folder(&[])?.as_deref())?;
    let pg_bin = programs.folder.as_os_str();
    let outcomes =
        [step("versions", || tests_on(&found, pg_bin)), step("clean up", cluster::remove_throw_away)];
    conclude(&outcomes)
}

/// Beside the installed one, on which these suites run what does not depend on the version.
fn tests_on(found: &[(u32, PathBuf)], pg_bin: &OsStr) -> Result<()> {
    let suites = on_every_version(&Tree::read()?);
    // The same packages as in the step before, so that nothing is built anew.
    let mut command = if process::output(&mut process::cargo(&["nextest", "--version"])).is_some() {
        let filters: Vec<String> = suites.iter().map(Suite::filter).collect();
        process::cargo(&[
            "nextest",
            "run",
            "--workspace",
            "--profile",
            "versions",
            "-E",
            &filters.join(" + "),
        ])
    } else {
        let mut test = process::cargo(&["test", "--workspace", "--no-fail-fast"]);
        test.args(suites.iter().flat_map(|suite| ["--test", suite.program.as_str()]));
        test
    };
    command.env("PG_BIN", pg_bin);
    command.envs(found.iter().map(|(major, bin)| (servers::variable(*major), bin)));
    process::run(&mut command)
}

/// They are known by asking the test kit for its versions, so that no list of them can be forgotten.
fn on_every_version(tree: &Tree) -> Vec<Suite> {
    let asks =
        |text: &str| [" versions()", ":versions()", "versions_from("].iter().any(|call| text.contains(call));
    let mut suites: Vec<Suite> = Vec::new();
    for file in tree.with_extension("rs").filter(|file| asks(&file.text)) {
        let parts: Vec<&str> = file.path.split('/').collect();
        let (package, program, module) = match parts.as_slice() {
            ["crates", package, "tests", program] => (package, program, None),
            ["crates", package, "tests", program, "main.rs"] => (package, program, None),
            ["crates", package, "tests", program, module, ..] => (package, program, Some(module)),
            _ => continue,
        };
        let stem = |name: &str| name.trim_end_matches(".rs").to_owned();
        suites.push(Suite {
            package: format!("posthaste-{package}"),
            program: stem(program),
            module: module.map(|module| stem(module)),
        });
    }
    suites
}

impl Suite {
    /// As nextest takes it.
    fn filter(&self) -> String {
        let program = format!("binary_id({}::{})", self.package, self.program);
        match &self.module {
            None => program,
            Some(module) => format!("({program} & test(/^{module}::/))"),
        }
    }
}

fn step(name: &'static str, work: impl FnOnce() -> Result<()>) -> Outcome {
    eprintln!("\n== {name}");
    let start = Instant::now();
    let failure = work().err();
    if let Some(message) = &failure {
        eprintln!("{message}");
    }
    Outcome { step: name, seconds: start.elapsed().as_secs_f64(), failure }
}

fn tests(is_quick: bool, pg_bin: &OsStr) -> Result<()> {
    if process::output(&mut process::cargo(&["nextest", "--version"])).is_none() {
        return without_nextest(is_quick, pg_bin);
    }
    let mut nextest = process::cargo(&["nextest", "run", "--workspace", "--no-tests", "fail"]);
    if is_quick {
        nextest.args(["--", "--skip", &format!("{SLOW_MODULE}::")]);
    }
    process::run(nextest.env("PG_BIN", pg_bin))?;

    // nextest does not run the examples in comments, and building them all costs much where there are none.
    if has_examples_in_comments(&Tree::read()?) {
        process::run(process::cargo(&["test", "--workspace", "--doc"]).env("PG_BIN", pg_bin))?;
    }
    Ok(())
}

/// Runs the tests by `cargo test`, which calls it a success when there are none: so they are counted.
fn without_nextest(is_quick: bool, pg_bin: &OsStr) -> Result<()> {
    eprintln!("cargo-nextest is not installed; `cargo test` takes longer and does the same");
    let mut test = process::cargo(&["test", "--workspace", "--no-fail-fast"]);
    if is_quick {
        test.args(["--", "--skip", &format!("{SLOW_MODULE}::")]);
    }
    let line = process::describe(&test);
    eprintln!("+ {line}");
    let mut child = test
        .env("PG_BIN", pg_bin)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("`{line}` could not be started: {error}"))?;
    let mut passed = 0;
    if let Some(stdout) = child.stdout.take() {
        for text in BufReader::new(stdout).lines().map_while(std::result::Result::ok) {
            passed += passed_in(&text);
            println!("{text}");
        }
    }
    let status = child.wait().map_err(|error| format!("`{line}`: {error}"))?;
    match (status.success(), passed) {
        (false, _) => Err(format!("`{line}` ended with {status}")),
        (true, 0) => Err("no test was run".to_owned()),
        (true, _) => Ok(()),
    }
}

/// The number of tests that passed, by a line such as `test result: ok. 12 passed; 0 failed; ...`.
fn passed_in(line: &str) -> u32 {
    let Some(rest) = line.strip_prefix("test result: ") else { return 0 };
    let before = rest.split(" passed").next().unwrap_or_default();
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn has_examples_in_comments(tree: &Tree) -> bool {
    let opens_example = |line: &str| {
        let line = line.trim_start();
        line.strip_prefix("///").or(line.strip_prefix("//!")).is_some_and(|rest| rest.trim() == "```")
    };
    tree.with_extension("rs").any(|file| file.text.lines().any(opens_example))
}

fn conclude(outcomes: &[Outcome]) -> Result<()> {
    eprintln!();
    for outcome in outcomes {
        let verdict = if outcome.failure.is_some() { "FAILED" } else { "ok" };
        eprintln!("{:<10} {verdict:<7} {:>7.1} s", outcome.step, outcome.seconds);
    }
    let failed: Vec<&str> =
        outcomes.iter().filter(|outcome| outcome.failure.is_some()).map(|outcome| outcome.step).collect();
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join(", "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_tests_are_counted_from_summary_lines_only() {
        assert_eq!(passed_in("test result: ok. 12 passed; 0 failed; 0 ignored; finished in 0.01s"), 12);
        assert_eq!(passed_in("test result: FAILED. 3 passed; 1 failed; 0 ignored"), 3);
        assert_eq!(passed_in("test it_says_9_passed ... ok"), 0);
    }

    #[test]
    fn suites_of_every_version_are_known_by_what_they_ask() {
        let tree = Tree::of(&[
            ("crates/a/tests/one.rs", "for version in db::versions() {}"),
            ("crates/a/tests/two/main.rs", "for version in versions_from(12) {}"),
            ("crates/b/tests/three/part.rs", "for version in versions() {}"),
            ("crates/b/tests/four.rs", "with_protocol_versions()"),
            ("crates/testkit/src/db.rs", "pub fn versions() {}"),
        ]);
        let filters: Vec<String> = on_every_version(&tree).iter().map(Suite::filter).collect();
        assert_eq!(
            filters,
            [
                "binary_id(posthaste-a::one)",
                "binary_id(posthaste-a::two)",
                "(binary_id(posthaste-b::three) & test(/^part::/))"
            ]
        );
        assert!(on_every_version(&Tree::read().unwrap()).len() > 5, "those of this repository are found");
    }

    #[test]
    fn one_failed_step_fails_the_whole() {
        let outcome =
            |step, failure: Option<&str>| Outcome { step, seconds: 0.0, failure: failure.map(str::to_owned) };
        assert_eq!(conclude(&[outcome("tidy", None), outcome("tests", None)]), Ok(()));
        assert_eq!(
            conclude(&[outcome("tidy", Some("x")), outcome("tests", None)]),
            Err("failed: tidy".to_owned())
        );
    }

    #[test]
    fn examples_are_looked_for_in_comments() {
        let check = |text| has_examples_in_comments(&Tree::of(&[("a.rs", text)]));
        assert!(check("/// Adds.\n///\n/// ```\n/// add(1);\n/// ```\n"));
        assert!(!check("//! ```text\nlet fence = \"```\";\n"));
    }
}
