//! What lies in a folder, in the order of names, and the texts of its files.
//!
//! Not for: which of it are migrations.

use std::path::{Path, PathBuf};

use posthaste_base::{Code, Error};

use super::Problems;

pub(super) struct Listing {
    pub(super) root: PathBuf,
    /// Names of files directly in it.
    pub(super) files: Vec<String>,
    pub(super) folders: Vec<String>,
    /// All files below it, with their folders.
    pub(super) nested: Vec<String>,
}

/// Deeper than any tool looks.
const DEPTH_MAX: usize = 8;

impl Listing {
    pub(super) fn read(root: &Path) -> Result<Self, Error> {
        let mut listing =
            Self { root: root.to_owned(), files: Vec::new(), folders: Vec::new(), nested: Vec::new() };
        listing.walk("", 0).map_err(|error| {
            Error::new(Code::InvalidFile, error.to_string())
                .field(root.display().to_string())
                .expected("a folder of migrations")
        })?;
        for names in [&mut listing.files, &mut listing.folders, &mut listing.nested] {
            names.sort();
        }
        Ok(listing)
    }

    fn walk(&mut self, below: &str, depth: usize) -> std::io::Result<()> {
        for entry in std::fs::read_dir(self.root.join(below))? {
            let entry = entry?;
            let is_folder = std::fs::metadata(entry.path()).is_ok_and(|data| data.is_dir());
            // A name that is no UTF-8 is shown as it can be, and is then not found to be a version.
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') {
                continue;
            }
            let path = if below.is_empty() { name.clone() } else { format!("{below}/{name}") };
            match (is_folder, below.is_empty()) {
                (true, is_top) => {
                    if is_top {
                        self.folders.push(name);
                    }
                    if depth < DEPTH_MAX {
                        self.walk(&path, depth + 1)?;
                    }
                }
                (false, is_top) => {
                    if is_top {
                        self.files.push(name);
                    }
                    self.nested.push(path);
                }
            }
        }
        Ok(())
    }

    pub(super) fn has(&self, path: &str) -> bool {
        self.nested.iter().any(|file| file == path)
    }

    /// The text of a file, or nothing and a problem.
    pub(super) fn text(&self, path: &str, problems: &mut Problems) -> Option<String> {
        let bytes = match std::fs::read(self.root.join(path)) {
            Ok(bytes) => bytes,
            Err(error) => {
                problems.say(path, &error.to_string());
                return None;
            }
        };
        match posthaste_review::decode(&bytes) {
            Ok(text) => Some(text.to_owned()),
            Err(error) => {
                problems.say(path, &error.to_string());
                None
            }
        }
    }

    /// Whether some .sql file has a line that begins like this.
    pub(super) fn has_line(&self, start: &str) -> bool {
        let sql = self.files.iter().filter(|name| name.ends_with(".sql"));
        sql.take(20).any(|name| {
            let text = std::fs::read(self.root.join(name)).unwrap_or_default();
            String::from_utf8_lossy(&text).lines().any(|line| line.trim_start().starts_with(start))
        })
    }

    /// Whether a file of that name is in this folder or in one of the three above it.
    pub(super) fn is_beside(&self, name: &str) -> bool {
        let root = std::fs::canonicalize(&self.root).unwrap_or_else(|_| self.root.clone());
        root.ancestors().take(4).any(|folder| folder.join(name).exists())
    }
}
