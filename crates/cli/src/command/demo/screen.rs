//! How the demonstration gets on: one table that is written over on a terminal, a line now and then elsewhere.

use std::io::{self, IsTerminal as _};

use tokio::time::Instant;

use super::account::Account;
use super::cast::{CALENDAR, TYPES};
use super::receiver::Receiver;
use crate::output::{aligned, text};

pub(super) struct Screen {
    started: Instant,
    is_terminal: bool,
    /// Lines of the table that the cursor stands under.
    lines: usize,
    said: String,
}

impl Screen {
    pub(super) fn new(started: Instant) -> Self {
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { started, is_terminal: io::stdout().is_terminal() && !is_dumb, lines: 0, said: String::new() }
    }

    pub(super) fn show(
        &mut self,
        account: &Account,
        receiver: &Receiver,
        breaker: &str,
    ) -> anyhow::Result<()> {
        if self.is_terminal { self.redraw(account, receiver, breaker) } else { self.tell(account, breaker) }
    }

    /// Leaves the table where it is; what follows is written under it.
    pub(super) fn leave(&mut self) {
        self.lines = 0;
    }

    fn redraw(&mut self, account: &Account, receiver: &Receiver, breaker: &str) -> anyhow::Result<()> {
        let mut rows = vec![["  TYPE", "ACCEPTED", "DELIVERED"].map(str::to_owned).to_vec()];
        for (event_type, _) in TYPES {
            let (accepted, delivered) = account.of_type(event_type, receiver);
            rows.push(vec![format!("  {event_type}"), accepted.to_string(), bar(delivered, accepted)]);
        }
        let table = format!("{}  {}\n", aligned(&rows), state(self.started, account, breaker));
        let up = if self.lines > 0 { format!("\x1b[{}A", self.lines) } else { String::new() };
        let drawn: String = table.lines().map(|line| format!("\x1b[2K{line}\n")).collect();
        self.lines = table.lines().count();
        text(&format!("{up}{drawn}"))
    }

    /// A line when something has changed.
    fn tell(&mut self, account: &Account, breaker: &str) -> anyhow::Result<()> {
        let (delivered, _) = account.totals();
        let now = format!("{delivered} {} {} {breaker}", account.dead(), account.discarded);
        if now == self.said {
            return Ok(());
        }
        self.said = now;
        text(&format!("  {}\n", state(self.started, account, breaker)))
    }
}

fn state(started: Instant, account: &Account, breaker: &str) -> String {
    let (delivered, accepted) = account.totals();
    format!(
        "{:>4.1} s  delivered {delivered} of {accepted}  waiting {}  dead {}  archived {}  breaker of {CALENDAR}: {breaker}",
        started.elapsed().as_secs_f32(),
        account.open().max(0),
        account.dead(),
        account.discarded
    )
}

/// `######....  6`
fn bar(part: usize, whole: usize) -> String {
    let filled = "#".repeat(part);
    let empty = ".".repeat(whole.saturating_sub(part));
    format!("{filled}{empty}  {part}")
}
