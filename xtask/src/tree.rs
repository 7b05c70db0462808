//! The files of the repository, each read once. Not for: looking at what git ignores.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{Result, process};

/// Folders that are passed over where git cannot tell what belongs to the repository.
const NOT_OURS: &[&str] = &[".git", "target", "node_modules", ".peers", "posthaste-data"];

/// One file: its path from the root, with forward slashes, and its text (empty if it is not UTF-8).
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
}

impl Tree {
    pub(crate) fn read() -> Result<Self> {
        let root = process::root();
        let mut paths = match listed_by_git(&root) {
            Some(paths) => paths,
            None => walk(&root, "")?,
        };
        paths.sort();
        paths.dedup();
        let mut files = Vec::new();
        for path in paths {
            // A file may be listed and gone: deleted, but not yet committed so.
            let Ok(bytes) = fs::read(root.join(&path)) else { continue };
            files.push(File { path, text: String::from_utf8(bytes).unwrap_or_default() });
        }
        Ok(Self { files })
    }

    pub(crate) fn with_extension(&self, extension: &str) -> impl Iterator<Item = &File> {
        self.files.iter().filter(move |file| file.extension() == Some(extension))
    }

    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether the path is a file, or a folder with files in it.
    pub(crate) fn contains(&self, path: &str) -> bool {
        path.is_empty()
            || self.files.iter().any(|file| {
                file.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
    }

    /// A tree for tests, of paths and texts.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File { path: (*path).to_owned(), text: (*text).to_owned() };
        Self { files: files.iter().map(file).collect() }
    }
}

impl File {
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    pub(crate) fn stem(&self) -> &str {
        self.name().rsplit_once('.').map_or(self.name(), |(stem, _)| stem)
    }

    pub(crate) fn extension(&self) -> Option<&str> {
        self.name().rsplit_once('.').map(|(_, extension)| extension)
    }

    /// Whether a folder of that name is on the way to the file.
    pub(crate) fn is_under(&self, folder: &str) -> bool {
        self.path.rsplit('/').skip(1).any(|part| part == folder)
    }
}

fn listed_by_git(root: &Path) -> Option<Vec<String>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root);
    let listed = process::output(&mut git)?;
    let paths: Vec<String> = listed.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect();
    (!paths.is_empty()).then_some(paths)
}

fn walk(root: &Path, folder: &str) -> Result<Vec<String>> {
    let entries = fs::read_dir(root.join(folder)).map_err(|error| format!("`{folder}`: {error}"))?;
    let mut paths = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if !entry.path().is_dir() {
            paths.push(path);
        } else if !NOT_OURS.contains(&name.as_str()) {
            paths.extend(walk(root, &path)?);
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_is_contained_by_whole_name_only() {
        let tree = Tree::of(&[("docs/errors.md", "")]);
        assert!(tree.contains("docs") && tree.contains("docs/errors.md") && tree.contains(""));
        assert!(!tree.contains("doc") && !tree.contains("errors.md"));
    }

    #[test]
    fn repository_is_read_the_same_with_and_without_git() {
        let tree = Tree::read().unwrap();
        let walked = walk(&process::root(), "").unwrap();
        assert!(tree.file("xtask/src/tree.rs").unwrap().text.starts_with("//!"));
        assert!(walked.iter().any(|path| path == "xtask/src/tree.rs"));
        assert!(!walked.iter().any(|path| path.starts_with("target/")));
    }
}
