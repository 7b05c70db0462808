//! How a command that fails says so, on standard error, and with which exit code it ends.
//!
//! Not for: deciding what is an error. Exit codes are an interface: `posthaste_base::Code` has them.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;

use posthaste_base::Error;

/// The command did what it was asked and found something to report.
pub(crate) const FINDINGS: u8 = 1;
/// An error that nobody has given a code.
const BUG: u8 = 70;

/// Several errors at once, such as all that is wrong with a configuration.
#[derive(Debug)]
pub(crate) struct Errors(pub(crate) Vec<Error>);

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&texts.join("; "))
    }
}

impl std::error::Error for Errors {}

/// Says what went wrong and gives the exit code. A reader that went away is no error.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    let is_coloured = is_coloured(&io::stderr());
    let (text, code) = describe(error, is_coloured);
    // Nobody is left to tell when this fails.
    let _ = io::stderr().write_all(text.as_bytes());
    ExitCode::from(code)
}

/// What the command line's parser says: help and version are no errors, everything else is one of usage.
pub(crate) fn of_usage(error: &clap::Error) -> ExitCode {
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

/// Whether to write colours there: only to a terminal that wants them.
pub(crate) fn is_coloured(stream: &impl IsTerminal) -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    !is_set("NO_COLOR") && (is_set("CLICOLOR_FORCE") || (stream.is_terminal() && !is_dumb))
}

fn describe(error: &anyhow::Error, is_coloured: bool) -> (String, u8) {
    let mut text = String::new();
    if let Some(Errors(errors)) = error.downcast_ref::<Errors>() {
        for error in errors {
            write_error(&mut text, error, is_coloured);
        }
        let code = errors.iter().map(|error| error.code().exit_code()).max().unwrap_or(BUG);
        return (text, code);
    }
    let coded = error.chain().find_map(|cause| cause.downcast_ref::<Error>());
    let from_database = error.chain().any(|cause| cause.is::<posthaste_pg::Error>());
    match coded {
        Some(coded) => {
            write_error(&mut text, coded, is_coloured);
            (text, coded.code().exit_code())
        }
        None => {
            let _ = writeln!(text, "{} {error:#}", label("internal", is_coloured));
            (text, if from_database { 3 } else { BUG })
        }
    }
}

fn write_error(text: &mut String, error: &Error, is_coloured: bool) {
    let _ = writeln!(text, "{} {error}", label(error.code().as_str(), is_coloured));
    if let Some(cause) = error.cause() {
        let _ = writeln!(text, "  cause: {cause}");
    }
    let _ = writeln!(text, "  next: {}", error.next_step());
}

fn label(code: &str, is_coloured: bool) -> String {
    if is_coloured { format!("\x1b[1;31merror[{code}]:\x1b[0m") } else { format!("error[{code}]:") }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is_pipe = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    error.downcast_ref::<io::Error>().is_some_and(is_pipe)
}

#[cfg(test)]
mod tests {
    use posthaste_base::Code;

    use super::*;

    #[test]
    fn every_code_ends_with_its_own_exit_code_and_says_what_is_next() {
        for code in Code::ALL {
            let error = Error::new(*code, "a thing is wrong").field("a.b").expected("another");
            let (text, exit) = describe(&error.into(), false);
            let expected = format!(
                "error[{code}]: `a.b`: a thing is wrong, expected another\n  next: {}\n",
                code.next_step()
            );
            assert_eq!((text, exit), (expected, code.exit_code()));
        }
    }

    #[test]
    fn several_errors_are_all_said() {
        let errors = ["one", "two"].map(|text| Error::new(Code::InvalidConfig, text)).to_vec();
        let (text, exit) = describe(&Errors(errors).into(), false);
        assert_eq!((text.matches("error[invalid-config]").count(), exit), (2, 2));
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let gone = anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(is_broken_pipe(&gone));
        assert!(!is_broken_pipe(&anyhow::Error::new(io::Error::from(io::ErrorKind::NotFound))));
    }
}
