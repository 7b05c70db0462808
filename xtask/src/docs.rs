//! Writes the generated pages of `docs/`, and tells whether they are up to date.
//!
//! The configuration's page is printed by the program itself, which alone knows all settings; a test of its own says
//! when that page is out of date. Not for: pages that people write.

use std::fmt::Write as _;
use std::fs;

use posthaste_base::Code;

use crate::{Result, process};

/// Makes the text of a page.
type Maker = fn() -> String;

/// Pages, and how they are made; tidy checks them too.
pub(crate) const PAGES: &[(&str, Maker)] =
    &[("docs/errors.md", errors_page), ("docs/metrics.md", metrics_page)];
const CONFIGURATION_PATH: &str = "docs/configuration.md";

/// What the exit codes mean, for every command.
const EXIT_CODES: &[(u8, &str)] = &[
    (0, "done, and nothing to report"),
    (1, "done, with findings at or above the threshold that was asked for"),
    (2, "the command line, the configuration or the input is wrong"),
    (3, "the database or another target cannot be reached or does not work"),
    (4, "refused for safety"),
    (5, "gave up on time or limits; trying again may help"),
    (70, "an error of Posthaste itself"),
];

pub(crate) fn run(only_check: bool) -> Result<()> {
    for (path, page) in PAGES {
        keep(path, &page(), only_check)?;
    }
    let arguments = ["run", "--quiet", "--package", "posthaste-cli", "--", "config", "reference"];
    let page = process::output(&mut process::cargo(&arguments))
        .ok_or("`posthaste config reference` failed; `cargo build` says why")?;
    keep(CONFIGURATION_PATH, &format!("{page}\n"), only_check)
}

/// Writes a page, or only compares it with what is there.
fn keep(path: &str, page: &str, only_check: bool) -> Result<()> {
    let file = process::root().join(path);
    let is_there = fs::read_to_string(&file).is_ok_and(|present| present == page);
    match (is_there, only_check) {
        (true, _) => Ok(()),
        (false, true) => Err(format!("`{path}` is out of date: run `cargo xtask docs`")),
        (false, false) => {
            fs::write(&file, page).map_err(|error| format!("{}: {error}", file.display()))?;
            eprintln!("wrote {path}");
            Ok(())
        }
    }
}

/// The page of every metric.
fn metrics_page() -> String {
    format!(
        "# Metrics\n\n\
         <!-- Generated from crates/observe/src/names.rs by `cargo xtask docs`. Change it there. -->\n\n\
         `GET /metrics` answers with these in Prometheus' text format. A metric keeps its name, its labels and its \
         meaning once it is released. Numbers are those of one node: sum them. What is in queues is shown by the one \
         node that keeps the schedule (`posthaste_leader`), and by no other. What to look at first is in \
         [operations.md](operations.md).\n\n{}",
        posthaste_observe::names::reference()
    )
}

/// The page of every error code, in the order of the catalogue.
fn errors_page() -> String {
    let mut page = String::from(
        "# Error codes\n\n\
         <!-- Generated from crates/base/src/code.rs by `cargo xtask docs`. Change it there. -->\n\n\
         Every error that Posthaste shows carries one of these codes: in the `code` of an HTTP answer \
         (`application/problem+json`), in `error[code]` on the command line, and in the logs. A code keeps its \
         name and its meaning once it is released. The answer itself names the field or place, and what was \
         expected there.\n\n\
         ## Exit codes\n\n| exit code | meaning |\n| --- | --- |\n",
    );
    for (exit, meaning) in EXIT_CODES {
        let _ = writeln!(page, "| {exit} | {meaning} |");
    }
    page.push_str("\n## Codes\n\n| code | HTTP | exit | meaning |\n| --- | --- | --- | --- |\n");
    for code in Code::ALL {
        let (name, status, exit) = (code.as_str(), code.http_status(), code.exit_code());
        let _ = writeln!(page, "| [{name}](#{name}) | {status} | {exit} | {} |", code.title());
    }
    for code in Code::ALL {
        let (title, next) = (sentence(code.title()), sentence(code.next_step()));
        let _ = write!(
            page,
            "\n### {code}\n\n{title}\n\nWhat to do: {}\n\nHTTP status {}, exit code {}.\n",
            next,
            code.http_status(),
            code.exit_code()
        );
    }
    page
}

/// A fragment as a sentence: with a capital, unless it opens with code, and a full stop.
fn sentence(fragment: &str) -> String {
    let mut letters = fragment.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_section_and_a_known_exit_code() {
        let page = errors_page();
        for code in Code::ALL {
            assert!(page.contains(&format!("\n### {code}\n")), "{code}");
            assert!(EXIT_CODES.iter().any(|(exit, _)| *exit == code.exit_code()), "{code}");
        }
    }

    #[test]
    fn fragment_becomes_a_sentence() {
        assert_eq!(sentence("the body is empty"), "The body is empty.");
        assert_eq!(sentence("`x` is y"), "`x` is y.");
    }
}
