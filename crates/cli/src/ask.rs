//! Asking before something is changed or destroyed.
//!
//! Not for: anything that runs unattended; there `--yes` is the answer, or the command refuses.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use clap::Args;
use posthaste_base::{Code, Error};

/// How a command that changes or destroys is held back.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Consent {
    /// Do it without asking.
    #[arg(long)]
    pub yes: bool,
    /// Say what would be done, and change nothing.
    #[arg(long, conflicts_with = "yes")]
    pub dry_run: bool,
}

impl Consent {
    /// Says what is about to be done, and whether to do it. Where nobody can answer, it is refused.
    pub(crate) fn get(self, what: &str) -> anyhow::Result<bool> {
        if self.dry_run {
            talk(&format!("would {what}; nothing was changed"));
            return Ok(false);
        }
        if self.yes {
            return Ok(true);
        }
        if !io::stdin().is_terminal() {
            return Err(Error::new(Code::NotConfirmed, format!("this would {what}")).into());
        }
        let mut stderr = io::stderr();
        write!(stderr, "This will {what}. Go on? [y/N] ")?;
        stderr.flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        let is_yes = matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes");
        if !is_yes {
            talk("nothing was changed");
        }
        Ok(is_yes)
    }
}

/// Says something to the person, on standard error.
pub(crate) fn talk(text: &str) {
    // When nobody listens any more there is nobody to tell.
    let _ = writeln!(io::stderr(), "{text}");
}
