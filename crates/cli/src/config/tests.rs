//! What the configuration takes and what it refuses, through `read`.

use super::*;

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, Errors> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::read(None, text, variables, Vec::new())
}

fn check(text: &str, variables: &[(&str, &str)], expected: &[&str]) {
    let errors = read(text, variables).expect_err(text).0;
    let told: Vec<_> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for expected in expected {
        assert!(told.iter().any(|told| told.contains(expected)), "`{expected}` is not in {told:#?}");
    }
}

#[test]
fn nothing_at_all_is_a_configuration() {
    let config = read("", &[]).unwrap();
    assert_eq!((config.server, config.database), (Server::default(), Database::default()));
    assert_eq!(config.declaration.queues.len(), 4);
}

#[test]
fn a_misspelt_key_is_named_with_its_line_and_the_right_one() {
    check("[server]\n\nlissen = \"x\"\n", &[], &["`server.lissen`: posthaste.toml: line 3: there is no key"]);
    check("[sever]\n", &[], &["expected `server`"]);
    check("[database]\npoolsize = 3\n", &[], &["expected `pool_size`"]);
}

#[test]
fn everything_wrong_is_said_at_once() {
    let text = "[server]\nlisten = \"nowhere\"\nroles = [\"judge\"]\n[queues.low]\nvisibility_seconds = 10\n";
    check(text, &[], &["`server.roles`", "`queues.low.visibility_seconds`"]);
    check("[server]\nlisten = \"nowhere\"\nshutdown_seconds = 0\n", &[], &["line 2", "line 3"]);
}

#[test]
fn wrong_syntax_is_said_once() {
    check("[server\n", &[], &["line 1"]);
}

#[test]
fn the_environment_is_over_the_file() {
    let text = "[server]\nlisten = \"127.0.0.1:1\"\nmetrics = false\n[queues.low]\nbatch = 3\n";
    let variables = [("POSTHASTE_SERVER__LISTEN", "127.0.0.1:2"), ("POSTHASTE_QUEUES__LOW__BATCH", "7")];
    let config = read(text, &variables).unwrap();
    assert_eq!(config.server.listen, "127.0.0.1:2");
    assert_eq!(config.declaration.queues["low"].batch, 7);
    assert!(!config.server.metrics);
}

#[test]
fn an_error_in_the_environment_names_the_variable() {
    check("", &[("POSTHASTE_SERVER__LISTEN", "x")], &["`POSTHASTE_SERVER__LISTEN`: `x` is not an address"]);
    check(
        "",
        &[("POSTHASTE_SERVER__LISSEN", "x")],
        &["`POSTHASTE_SERVER__LISSEN`: there is no key `lissen`"],
    );
    check("", &[("DATABASE_URL", "mysql://u:hunter2@h/d")], &["`DATABASE_URL`"]);
}

#[test]
fn each_value_tells_where_it_came_from() {
    let config =
        read("[server]\nmetrics = false\n", &[("DATABASE_URL", "postgres://u:hunter2@h/d")]).unwrap();
    let entries = config.entries();
    let origin =
        |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| entry.origin.to_string());
    assert_eq!(origin("server.metrics").as_deref(), Some("posthaste.toml:2"));
    assert_eq!(origin("server.listen").as_deref(), Some("default"));
    assert_eq!(origin("database.url").as_deref(), Some("environment DATABASE_URL"));
    assert!(!serde_json::to_string(&entries).unwrap().contains("hunter2"));
}

#[test]
fn no_secret_is_shown() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let text = format!(
        "[endpoints.shop]\nurl = \"https://shop.example/hook\"\nsecret = \"{secret}\"\n\
         headers = {{ authorization = \"Bearer hunter2\" }}\n"
    );
    let shown = serde_json::to_string(&read(&text, &[]).unwrap().entries()).unwrap();
    assert!(!shown.contains("MfKQ") && !shown.contains("hunter2") && shown.contains("***"), "{shown}");
}

#[test]
fn the_example_is_a_configuration() {
    let text = include_str!("../../../../posthaste.example.toml");
    read(text, &[]).unwrap();
}
