//! The `posthaste` binary: reads the command line, runs one command, and ends with an exit code that means something.
//!
//! Not for: what commands do (see `command`), or anything that another front would need too.

mod ask;
mod command;
mod config;
mod database;
mod failure;
mod node;
mod output;
mod report;
mod seal;
mod visit;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use command::Cli;

/// Threads that work: half of the processors, for the other half is PostgreSQL's; fewer of them also wake each other
/// less. TOKIO_WORKER_THREADS sets another number.
fn threads() -> usize {
    let said = std::env::var("TOKIO_WORKER_THREADS").ok().and_then(|text| text.parse().ok());
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    said.unwrap_or(processors / 2).max(1)
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return failure::of_usage(&error),
    };
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().worker_threads(threads()).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return failure::report(&anyhow::Error::new(error).context("failed to start")),
        };
    let outcome = runtime.block_on(command::run(cli));
    // What still blocks (a read from the terminal, say) must not keep the process alive.
    runtime.shutdown_timeout(Duration::from_millis(200));
    match outcome {
        Ok(code) => code,
        Err(error) => failure::report(&error),
    }
}
