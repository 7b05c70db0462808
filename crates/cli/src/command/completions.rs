//! `posthaste completions <shell>`: prints the completion script of a shell.

use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::output;

/// Print a shell's completion script.
#[derive(Args, Debug)]
#[command(before_long_help = "Examples:\n  \
    posthaste completions bash > /etc/bash_completion.d/posthaste\n  \
    posthaste completions zsh > ~/.zfunc/_posthaste\n  \
    posthaste completions fish > ~/.config/fish/completions/posthaste.fish")]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::Cli::command(), "posthaste", &mut script);
        output::text(&String::from_utf8_lossy(&script))?;
        Ok(ExitCode::SUCCESS)
    }
}
