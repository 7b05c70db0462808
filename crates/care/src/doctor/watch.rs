//! Snapshots in a folder of our own, and what changed from one visit to the next.
//!
//! Not for: waiting between visits, which is the command's.

use std::fs;
use std::path::{Path, PathBuf};

use posthaste_base::{Code, Error};

use super::Snapshot;
use super::snapshot::Known;
use super::wording::{bytes, duration};

/// How many snapshots stay: a day, at one a minute.
const KEPT: usize = 1_440;

#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    New(Known),
    Gone(Known),
    /// The same, but better or worse.
    Moved {
        from: Known,
        to: Known,
    },
    /// What grew or shrank without being a finding.
    Number(String),
}

impl Store {
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let failed = |error: std::io::Error| {
            Error::new(Code::InvalidFile, format!("failed to use the folder {}: {error}", folder.display()))
        };
        fs::create_dir_all(folder).map_err(failed)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The newest that can be read.
    pub fn last(&self) -> Option<Snapshot> {
        let mut files = self.files();
        while let Some(file) = files.pop() {
            let text = fs::read_to_string(file).ok()?;
            if let Ok(snapshot) = Snapshot::from_json(&text) {
                return Some(snapshot);
            }
        }
        None
    }

    /// Writes it beside the others and removes the oldest when there are too many. A reader never sees half a file.
    pub fn keep(&self, snapshot: &Snapshot) -> Result<PathBuf, Error> {
        let failed = |error: std::io::Error| {
            let message = format!("failed to write to {}: {error}", self.folder.display());
            Error::new(Code::InvalidFile, message)
        };
        let path = self.folder.join(format!("{:020.0}.json", snapshot.at_s * 1_000.0));
        let unfinished = path.with_extension("unfinished");
        fs::write(&unfinished, snapshot.to_json()).map_err(failed)?;
        fs::rename(&unfinished, &path).map_err(failed)?;
        let files = self.files();
        for old in files.iter().take(files.len().saturating_sub(KEPT)) {
            // One that stays is only one more.
            let _ = fs::remove_file(old);
        }
        Ok(path)
    }

    /// Oldest first.
    fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut files: Vec<_> =
            entries.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
        files.sort();
        files
    }
}

/// What is different now.
pub fn changes(before: &Snapshot, now: &Snapshot) -> Vec<Change> {
    let mut changes = Vec::new();
    let same = |one: &Known, other: &Known| one.code == other.code && one.object == other.object;
    for finding in &now.findings {
        match before.findings.iter().find(|known| same(known, finding)) {
            None => changes.push(Change::New(finding.clone())),
            Some(known) if known.severity != finding.severity => {
                changes.push(Change::Moved { from: known.clone(), to: finding.clone() });
            }
            Some(_) => {}
        }
    }
    let gone =
        before.findings.iter().filter(|known| !now.findings.iter().any(|finding| same(known, finding)));
    changes.extend(gone.cloned().map(Change::Gone));
    changes.extend(growth(before, now).map(Change::Number));
    changes
}

/// A change of the database's size that is worth a line: over one part in a hundred, and a megabyte.
fn growth(before: &Snapshot, now: &Snapshot) -> Option<String> {
    let (old, new) = (before.database_bytes?, now.database_bytes?);
    let changed = new - old;
    let between_s = now.at_s - before.at_s;
    if changed.abs() < (old / 100).max(1 << 20) || between_s <= 0.0 {
        return None;
    }
    let word = if changed > 0 { "grew" } else { "shrank" };
    Some(format!(
        "the database {word} by {} to {} in {}",
        bytes(changed.abs()),
        bytes(new),
        duration(between_s)
    ))
}

#[cfg(test)]
mod tests {
    use posthaste_report::{Object, Severity};

    use super::*;

    fn known(code: &str, severity: Severity, name: &str) -> Known {
        let object = Object { kind: "table".into(), name: Some(name.into()), ..Object::default() };
        Known { code: code.into(), severity, object, message: String::new() }
    }

    #[test]
    fn changes_are_new_gone_and_moved() {
        let (bytes, size) = (Some(100 << 20), Some(300 << 20));
        let old = vec![
            known("a", Severity::Low, "x"),
            known("b", Severity::High, "x"),
            known("c", Severity::Low, "x"),
        ];
        let new = vec![
            known("a", Severity::High, "x"),
            known("c", Severity::Low, "x"),
            known("b", Severity::High, "y"),
        ];
        let before = Snapshot { at_s: 1.0, findings: old, database_bytes: bytes, ..Snapshot::default() };
        let now = Snapshot { at_s: 61.0, findings: new, database_bytes: size, ..Snapshot::default() };
        let found = changes(&before, &now);
        assert!(matches!(&found[0], Change::Moved { to, .. } if to.severity == Severity::High), "{found:?}");
        assert!(
            matches!(&found[1], Change::New(known) if known.object.name.as_deref() == Some("y")),
            "{found:?}"
        );
        assert!(matches!(&found[2], Change::Gone(known) if known.code == "b"), "{found:?}");
        assert_eq!(found[3], Change::Number("the database grew by 200 MB to 300 MB in 1 min 0 s".into()));
        assert_eq!(changes(&now, &now), []);
    }

    #[test]
    fn the_newest_readable_snapshot_is_the_last() {
        let folder = std::env::temp_dir().join(format!("posthaste-watch-{}", std::process::id()));
        let store = Store::open(&folder).unwrap();
        for at_s in [1.0, 3.0, 2.0] {
            store.keep(&Snapshot { version: 1, at_s, ..Snapshot::default() }).unwrap();
        }
        fs::write(folder.join("99999999999999999999.json"), "half").unwrap();
        assert_eq!(store.last().unwrap().at_s, 3.0);
        fs::remove_dir_all(&folder).unwrap();
    }
}
