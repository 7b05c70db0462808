//! The command line: one file a command, and the tree of them.
//!
//! Not for: what commands do; each of them reads its flags, asks the broker, and prints.

mod apply;
mod archive;
mod bench;
mod catalog;
mod completions;
mod config;
mod demo;
mod dlq;
mod doctor;
mod endpoint;
mod event;
mod failure_mode;
mod fix;
mod health_view;
mod incident;
mod integrity;
mod keys;
mod maintain;
mod migrate;
mod plan;
mod queue;
mod redrive;
mod review;
mod run;
mod runs;
mod schedule;
mod schema;
mod serve;
mod subject;
mod subscription;
mod topic;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Place;

/// Delivers events, changes a database without an outage, and cares for it: on PostgreSQL.
#[derive(Parser, Debug)]
#[command(
    name = "posthaste",
    version,
    before_long_help = "Examples:\n  \
        posthaste demo             # show what it does, and clean up\n  \
        posthaste serve            # start a node, with a private PostgreSQL\n  \
        posthaste queue list       # what waits, and how old the oldest is\n  \
        posthaste dlq triage       # dead letters by cause, and what to do\n  \
        posthaste review 0042.sql  # what a migration locks, rewrites, breaks, loses\n  \
        posthaste doctor           # what is wrong with a database, worst first",
    after_long_help = "Exit codes: 0 done, 1 findings, 2 usage or configuration, 3 database unreachable, \
        4 refused for safety, 5 gave up on time or limits, 70 a bug of ours.\n\
        Data goes to standard output, talk to standard error. NO_COLOR is respected.",
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = false,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub place: Place,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Demo(demo::Demo),
    Serve(serve::Serve),
    Apply(apply::Apply),
    #[command(subcommand)]
    Config(config::Config),
    #[command(subcommand)]
    Schema(schema::Schema),
    #[command(subcommand)]
    Event(event::Event),
    #[command(subcommand)]
    Schedule(schedule::Schedule),
    #[command(subcommand)]
    Subject(subject::Subject),
    #[command(subcommand)]
    Queue(queue::Queue),
    #[command(subcommand)]
    Topic(topic::Topic),
    #[command(subcommand)]
    Endpoint(endpoint::Endpoint),
    #[command(subcommand)]
    Subscription(subscription::Subscription),
    #[command(subcommand)]
    Dlq(dlq::Dlq),
    #[command(subcommand)]
    Redrive(redrive::Redrive),
    #[command(subcommand)]
    FailureMode(failure_mode::Mode),
    #[command(subcommand)]
    Keys(keys::Keys),
    #[command(subcommand)]
    Catalog(catalog::Catalog),
    Review(Box<review::Review>),
    #[command(subcommand)]
    Migrate(Box<migrate::Migrate>),
    Doctor(Box<doctor::Doctor>),
    Plan(Box<plan::Plan>),
    Run(run::Run),
    #[command(subcommand)]
    Runs(runs::Runs),
    Integrity(integrity::Integrity),
    #[command(subcommand)]
    Fix(fix::Fix),
    #[command(subcommand)]
    Archive(archive::Archive),
    #[command(subcommand)]
    Maintain(Box<maintain::Maintain>),
    #[command(subcommand)]
    Incident(incident::Incident),
    #[command(subcommand)]
    HealthView(health_view::HealthView),
    #[command(subcommand)]
    Bench(bench::Bench),
    Completions(completions::Completions),
}

/// Runs one command. Its exit code is that of its findings; errors have their own.
pub(crate) async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let place = &cli.place;
    match cli.command {
        Command::Demo(command) => command.run(place).await,
        Command::Serve(command) => command.run(place).await,
        Command::Apply(command) => command.run(place).await,
        Command::Config(command) => command.run(place),
        Command::Schema(command) => command.run(place).await,
        Command::Event(command) => command.run(place).await,
        Command::Schedule(command) => command.run(place).await,
        Command::Subject(command) => command.run(place).await,
        Command::Queue(command) => command.run(place).await,
        Command::Topic(command) => command.run(place).await,
        Command::Endpoint(command) => command.run(place).await,
        Command::Subscription(command) => command.run(place).await,
        Command::Dlq(command) => command.run(place).await,
        Command::Redrive(command) => command.run(place).await,
        Command::FailureMode(command) => command.run(place).await,
        Command::Keys(command) => command.run(place).await,
        Command::Catalog(command) => command.run().await,
        Command::Review(command) => command.run(place).await,
        Command::Migrate(command) => command.run(place).await,
        Command::Doctor(command) => command.run().await,
        Command::Plan(command) => command.run().await,
        Command::Run(command) => command.run().await,
        Command::Runs(command) => command.run().await,
        Command::Integrity(command) => command.run().await,
        Command::Fix(command) => command.run().await,
        Command::Archive(command) => command.run().await,
        Command::Maintain(command) => command.run().await,
        Command::Incident(command) => command.run(),
        Command::HealthView(command) => command.run().await,
        Command::Bench(command) => command.run(place).await,
        Command::Completions(command) => command.run(),
    }
}

/// Who does what a command does, for records that keep it.
pub(crate) fn operator() -> String {
    let name = std::env::var("USER").ok().filter(|name| !name.is_empty());
    name.map_or_else(|| "command line".to_owned(), |name| format!("{name} (command line)"))
}

/// Everything of a listing that goes by name, page by page.
pub(crate) async fn all_by_name<T>(
    page: impl AsyncFn(Option<String>, usize) -> posthaste_base::Result<Vec<T>>,
    name: impl Fn(&T) -> &str,
) -> anyhow::Result<Vec<T>> {
    let limit = posthaste_base::limits::PAGE_MAX;
    let mut all: Vec<T> = Vec::new();
    loop {
        let found = page(all.last().map(|last| name(last).to_owned()), limit).await?;
        let is_last = found.len() < limit;
        all.extend(found);
        if is_last {
            return Ok(all);
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_tree_of_commands_contradicts_itself_nowhere() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            command.get_subcommands().filter(|command| command.get_name() != "help").for_each(check);
        }
        check(&Cli::command());
    }

    /// A line that a terminal wraps cannot be copied, and words behind a command are taken for arguments.
    #[test]
    fn examples_fit_80_columns_and_their_remarks_are_remarks() {
        fn check(command: &clap::Command) {
            let help = command.get_before_long_help().map(ToString::to_string).unwrap_or_default();
            for line in help.lines() {
                assert!(line.chars().count() <= 80, "{line}");
                let is_command = line.starts_with("  posthaste ");
                assert!(!is_command || !line.contains("   ") || line.contains("  # "), "{line}");
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }

    #[test]
    fn every_flag_says_what_it_is_for() {
        fn check(command: &clap::Command) {
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
            }
            command.get_subcommands().filter(|command| command.get_name() != "help").for_each(check);
        }
        check(&Cli::command());
    }
}
