//! Finds PostgreSQL's server programs, in the order in which Posthaste itself looks for them.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::{Result, process};

/// The versions that Posthaste works with.
pub(crate) const VERSIONS: RangeInclusive<u32> = 14..=18;

/// Folders that packages install into; `*` stands for a version.
const USUAL_FOLDERS: &[&str] = &[
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/usr/local/pgsql*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
];

/// A folder with `initdb` and `postgres`, and their major version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Programs {
    pub(crate) folder: PathBuf,
    pub(crate) version: u32,
}

/// Finds the programs. A folder that was named must hold them; otherwise the first that is new enough is taken.
pub(crate) fn find(named: Option<&Path>) -> Result<Option<Programs>> {
    if let Some(folder) = named {
        return match inspect(folder) {
            Some(programs) if VERSIONS.contains(&programs.version) => Ok(Some(programs)),
            Some(programs) => Err(format!(
                "`{}` holds PostgreSQL {}, expected {} to {}",
                folder.display(),
                programs.version,
                VERSIONS.start(),
                VERSIONS.end()
            )),
            None => Err(format!("`{}` does not hold both `initdb` and `postgres`", folder.display())),
        };
    }
    Ok(candidates()
        .iter()
        .filter_map(|folder| inspect(folder))
        .find(|programs| VERSIONS.contains(&programs.version)))
}

/// The folder that `--pg-bin`, or else `PG_BIN`, names.
pub(crate) fn named_folder(arguments: &[String]) -> Result<Option<PathBuf>> {
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if let Some(folder) = argument.strip_prefix("--pg-bin=") {
            return Ok(Some(folder.into()));
        }
        if argument == "--pg-bin" {
            let folder = arguments.next().ok_or("`--pg-bin` needs a folder after it")?;
            return Ok(Some(folder.into()));
        }
    }
    Ok(env::var_os("PG_BIN").filter(|folder| !folder.is_empty()).map(PathBuf::from))
}

fn candidates() -> Vec<PathBuf> {
    let configured = process::output(Command::new("pg_config").arg("--bindir")).map(PathBuf::from);
    let usual = USUAL_FOLDERS.iter().flat_map(|pattern| expand(Path::new(pattern)));
    let on_path = process::on_path("initdb").and_then(|program| program.parent().map(Path::to_path_buf));
    configured.into_iter().chain(usual).chain(on_path).collect()
}

fn inspect(folder: &Path) -> Option<Programs> {
    if !folder.join("initdb").is_file() {
        return None;
    }
    let mut postgres = Command::new(folder.join("postgres"));
    // Builds that can be moved about carry their libraries beside the programs.
    let libraries =
        folder.parent().map(|parent| parent.join("lib")).filter(|lib| lib.join("libpq.so.5").exists());
    postgres.envs(libraries.map(|lib| ("LD_LIBRARY_PATH", lib)));
    let printed = process::output(postgres.arg("--version"))?;
    Some(Programs { folder: folder.to_path_buf(), version: major_version(&printed)? })
}

/// Reads `postgres (PostgreSQL) 15.14 (Debian ...)`; also `17beta1`.
fn major_version(printed: &str) -> Option<u32> {
    let number = printed.split_once("(PostgreSQL) ")?.1;
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..end].parse().ok()
}

/// The folders that a pattern with one `*` in one of its components stands for, the newest version first.
fn expand(pattern: &Path) -> Vec<PathBuf> {
    let mut parents = vec![PathBuf::new()];
    for component in pattern.components() {
        let name = component.as_os_str().to_string_lossy();
        let Some((start, end)) = name.split_once('*') else {
            parents.iter_mut().for_each(|parent| parent.push(component));
            continue;
        };
        let mut found: Vec<PathBuf> =
            parents.iter().flat_map(|parent| children(parent, start, end)).collect();
        found.sort_by_key(|path| std::cmp::Reverse(trailing_number(path)));
        parents = found;
    }
    parents
}

fn children(parent: &Path, start: &str, end: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let matches = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
    };
    entries.flatten().map(|entry| entry.path()).filter(matches).collect()
}

fn trailing_number(path: &Path) -> u32 {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_read_from_what_the_server_prints() {
        assert_eq!(major_version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 19beta1"), Some(19));
        assert_eq!(major_version("not a server"), None);
    }

    #[test]
    fn newest_version_comes_first() {
        let base = env::temp_dir().join(format!("posthaste-xtask-expand-{}", std::process::id()));
        for version in ["9", "16", "14"] {
            fs::create_dir_all(base.join(version).join("bin")).unwrap();
        }
        let found = expand(&base.join("*/bin"));
        fs::remove_dir_all(&base).unwrap();
        let expected: Vec<PathBuf> = ["16", "14", "9"].map(|version| base.join(version).join("bin")).into();
        assert_eq!(found, expected);
    }

    #[test]
    fn named_folder_without_programs_is_an_error() {
        let message = find(Some(Path::new("/nonexistent"))).unwrap_err();
        assert!(message.contains("`/nonexistent` does not hold both"), "{message}");
    }

    #[test]
    fn folder_is_read_from_the_arguments_in_both_spellings() {
        let read = |text: &str| named_folder(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(read("--keep --pg-bin /a").unwrap(), Some("/a".into()));
        assert_eq!(read("--pg-bin=/b --keep").unwrap(), Some("/b".into()));
        assert!(read("--pg-bin").is_err());
    }
}
