//! How commands that find something print their report, and with which exit code they end.
//!
//! Not for: the forms themselves (see `posthaste_report`), nor for listings (see `output`).

use std::io;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use posthaste_report::{Format, RenderOptions, Report, RuleText, Severity, render};

use crate::failure::{FINDINGS, is_coloured};
use crate::output;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Blocks of lines, the worst first.
    #[default]
    Human,
    /// One JSON document.
    Json,
    /// SARIF 2.1.0, for code hosts and editors.
    Sarif,
    /// Workflow commands of GitHub Actions.
    Github,
    /// A comment for a pull request.
    Markdown,
    /// A page that stands alone.
    Html,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Critical,
    #[default]
    High,
    Medium,
    Low,
    Info,
    /// Whatever is found.
    Never,
}

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ReportOutput {
    /// How to print what is found.
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    /// The severity from which findings end the command with exit code 1; without it, what the configuration says, or
    /// high.
    #[arg(long, value_enum, value_name = "SEVERITY")]
    fail_on: Option<FailOn>,
}

impl ReportOutput {
    /// With what the configuration says, where the command line says nothing; no severity is never.
    pub(crate) fn unless_said(mut self, configured: Option<Option<Severity>>) -> Self {
        let configured = configured.map(|severity| match severity {
            Some(Severity::Critical) => FailOn::Critical,
            Some(Severity::High) => FailOn::High,
            Some(Severity::Medium) => FailOn::Medium,
            Some(Severity::Low) => FailOn::Low,
            Some(Severity::Info) => FailOn::Info,
            None => FailOn::Never,
        });
        self.fail_on = self.fail_on.or(configured);
        self
    }

    /// Prints the report. `rules` is what there is to say of them, for the forms that explain them.
    pub(crate) fn print(self, report: &Report, rules: &[RuleText]) -> anyhow::Result<ExitCode> {
        let format = match self.format {
            Form::Human => Format::Human,
            Form::Json => Format::Json,
            Form::Sarif => Format::Sarif,
            Form::Github => Format::Github,
            Form::Markdown => Format::Markdown,
            Form::Html => Format::Html,
        };
        let options = RenderOptions {
            is_colored: is_coloured(&io::stdout()),
            width: width(),
            tool_version: env!("CARGO_PKG_VERSION"),
            rules,
        };
        output::text(&render(report, format, &options))?;
        Ok(self.exit_code(report))
    }

    fn exit_code(self, report: &Report) -> ExitCode {
        let threshold = match self.fail_on.unwrap_or_default() {
            FailOn::Critical => Severity::Critical,
            FailOn::High => Severity::High,
            FailOn::Medium => Severity::Medium,
            FailOn::Low => Severity::Low,
            FailOn::Info => Severity::Info,
            FailOn::Never => return ExitCode::SUCCESS,
        };
        let is_bad = report.worst().is_some_and(|worst| worst.is_at_least(threshold));
        if is_bad { ExitCode::from(FINDINGS) } else { ExitCode::SUCCESS }
    }
}

/// Of the terminal, where it says so.
fn width() -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
    said.unwrap_or(100).clamp(40, 160)
}
