//! The corpus of forms: `forms/*.toml`, each with what must be there, the statement, and where it runs.
//!
//! Not for: what the statements do, which the servers say.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    pub(crate) name: String,
    /// A set-up of `forms/setups.toml`.
    #[serde(default = "base")]
    pub(crate) on: String,
    /// Statements that are run before, one by one, because they cannot be in a transaction with others.
    #[serde(default)]
    pub(crate) first: Vec<String>,
    /// What else is made before.
    #[serde(default)]
    pub(crate) with: String,
    /// The statement, as a person writes it.
    pub(crate) run: String,
    /// Runs on these major versions; on others both the server and the model refuse it.
    #[serde(default = "oldest")]
    pub(crate) from: u32,
    #[serde(default = "newest")]
    pub(crate) to: u32,
    /// The set-up itself needs a server of that version.
    #[serde(default = "oldest")]
    pub(crate) needs: u32,
    /// Part of the server's message where the server refuses it whatever the rows are; the model says so too.
    pub(crate) refused: Option<String>,
    /// Part of the server's message where it fails on the rows that are there, of which the model knows nothing.
    pub(crate) fails: Option<String>,
    /// The session's time zone, where that is not UTC.
    pub(crate) timezone: Option<String>,
    /// The catalog cannot tell all, so that the model gives the worst and says what it depends on.
    #[serde(default)]
    pub(crate) depends: bool,
    /// Undoes what dropping the schema leaves.
    #[serde(default)]
    pub(crate) undo: String,
}

impl Form {
    /// Forms for which this is the same can share a set-up.
    pub(crate) fn set_up(&self) -> impl Ord + '_ {
        (&self.on, &self.with, &self.first, &self.timezone)
    }
}

#[derive(Debug, Deserialize)]
struct Area {
    form: Vec<Form>,
}

/// The oldest and the newest version that the model speaks of.
pub(crate) const VERSIONS: std::ops::RangeInclusive<u32> = 12..=18;

/// The forms of one area, by the name of its file.
pub(crate) fn area(name: &str) -> Vec<Form> {
    let path = folder().join(format!("{name}.toml"));
    let text = std::fs::read_to_string(&path).expect("the file of the area");
    let area: Area = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut names: Vec<&str> = area.form.iter().map(|form| form.name.as_str()).collect();
    names.sort_unstable();
    if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        panic!("{}: `{}` is there twice", path.display(), pair[0]);
    }
    area.form
}

/// What the forms build on, by name.
pub(crate) fn setups() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(folder().join("setups.toml")).expect("the set-ups");
    toml::from_str(&text).expect("set-ups by name")
}

fn folder() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("forms")
}

fn base() -> String {
    "base".to_owned()
}

fn oldest() -> u32 {
    *VERSIONS.start()
}

fn newest() -> u32 {
    *VERSIONS.end()
}
