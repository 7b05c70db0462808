//! A wrong command line or configuration ends with 2, before any database is touched.

use super::program::Program;

/// Each configuration is refused with exit code 2, and says all of `texts`.
#[track_caller]
fn check(config: &str, texts: &[&str]) {
    Program::alone().config(config).run(&["config", "check"]).check(2, texts);
}

#[test]
fn a_misspelt_key_suggests_the_right_one() {
    check("[server]\nlissen = \"x\"\n", &["`server.lissen`: posthaste.toml: line 2", "expected `listen`"]);
    check("[queus.low]\nbatch = 3\n", &["unknown-config-key", "expected `queues`"]);
    check("[queues.low]\nvisibilty_seconds = 300\n", &["line 2", "expected `visibility_seconds`"]);
}

#[test]
fn a_visibility_below_the_timeout_is_refused() {
    let expected = ["invalid-queue", "`queues.low.visibility_seconds`", "expected at least 210"];
    check("[queues.low]\nvisibility_seconds = 100\n", &expected);
}

#[test]
fn a_retention_shorter_than_the_delay_is_refused() {
    let expected = ["invalid-queue", "`queues.low.retention_seconds`", "expected more than 200"];
    check("[queues.low]\nretention_seconds = 100\ndelay_seconds = 200\n", &expected);
}

#[test]
fn an_endpoint_without_a_scheme_or_with_credentials_is_refused() {
    check("[endpoints.a]\nurl = \"shop.example\"\n", &["`endpoints.a.url`", "has no scheme"]);
    check("[endpoints.a]\nurl = \"https://u:p@shop.example\"\n", &["holds a user name or password"]);
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    check("[server]\nlisten = 1\n[queues.low]\nbatch = 0\n[endpoints.a]\n", &["listen", "batch", "no `url`"]);
}

#[test]
fn wrong_toml_and_a_missing_file_are_said() {
    check("[server\n", &["posthaste.toml: line 1"]);
    Program::alone()
        .run(&["--config", "no.toml", "config", "check"])
        .check(2, &["there is no file `no.toml`"]);
}

#[test]
fn a_right_one_is_counted() {
    let program = Program::alone().config("[types.ping]\n[queues.review]\n");
    program.run(&["config", "check"]).check(0, &["2 types, 5 queues, 0 endpoints, 0 subscriptions"]);
    Program::alone().run(&["config", "check"]).check(0, &["the defaults hold"]);
}

#[test]
fn each_value_says_where_it_comes_from() {
    let program = Program::alone().config("[server]\nmetrics = false\n").env("RUST_LOG", "debug");
    let shown = program.run(&["config", "show", "server", "--origin"]).check(0, &[]).stdout;
    let origin = |key: &str| shown.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
    assert!(origin("server.metrics").ends_with("# posthaste.toml:2"), "{shown}");
    assert!(origin("server.log_filter").ends_with("# environment RUST_LOG"), "{shown}");
    assert!(origin("server.listen").ends_with("# default"), "{shown}");
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    let program = Program::alone();
    program.run(&["nonesuch"]).check(2, &["unrecognized subcommand"]);
    program.run(&[]).check(2, &["Usage: posthaste"]);
    program.run(&["queue", "receive", "low", "--wait-seconds", "100"]).check(2, &["not in 0..=20"]);
    program.run(&["--help"]).check(0, &["Exit codes: 0 done"]);
    program.run(&["--version"]).check(0, &["posthaste "]);
}

#[test]
fn completions_are_printed_for_each_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        Program::alone().run(&["completions", shell]).check(0, &["dlq"]);
    }
}
