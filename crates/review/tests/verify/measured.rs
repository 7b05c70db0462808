//! How many forms were found as the model says, kept for `docs/locks.md` in `forms/measured/`.
//!
//! Not for: what is wrong with the others; then nothing is kept, and the test says why.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::forms::Form;
use crate::observe::Outcome;

/// Of one area on one server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Every lock, scan and rewrite is as the model says.
    pub(crate) exact: u32,
    /// The catalog does not tell all, and the server did no more than the worst that the model names.
    pub(crate) bounded: u32,
    /// The server refuses it, and the model says so.
    pub(crate) refused: u32,
    /// It fails on the rows that are there, of which the model does not speak.
    pub(crate) failed: u32,
}

impl Counts {
    pub(crate) fn add(&mut self, form: &Form, outcome: &Outcome) {
        let counted = match outcome {
            Outcome::Done(_) if form.depends => &mut self.bounded,
            Outcome::Done(_) => &mut self.exact,
            Outcome::Failed { .. } if form.fails.is_some() => &mut self.failed,
            Outcome::Failed { .. } => &mut self.refused,
        };
        *counted += 1;
    }
}

/// Compares with what is kept; with `UPDATE_GOLDEN=1` it is kept instead.
pub(crate) fn keep(area: &str, major: u32, counts: Counts) -> Result<(), String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("forms/measured/{area}.toml"));
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let mut kept: BTreeMap<String, Counts> =
        toml::from_str(&text).map_err(|error| format!("{area}: {error}"))?;
    let key = format!("postgresql-{major}");
    if kept.get(&key) == Some(&counts) {
        return Ok(());
    }
    if std::env::var_os("UPDATE_GOLDEN").is_none() {
        return Err(format!(
            "{area} on {major}: counted {counts:?}, and kept is {:?}; run it with UPDATE_GOLDEN=1\n",
            kept.get(&key)
        ));
    }
    kept.insert(key, counts);
    let text = toml::to_string(&kept).map_err(|error| error.to_string())?;
    std::fs::create_dir_all(path.parent().expect("a folder")).map_err(|error| error.to_string())?;
    std::fs::write(&path, format!("# Written by tests/verify with UPDATE_GOLDEN=1.\n{text}"))
        .map_err(|error| error.to_string())
}
