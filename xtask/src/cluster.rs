//! Removes the throw-away PostgreSQL clusters that the tests leave behind: the tests are many processes, so none of
//! them knows that it is the last.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, fs};

use crate::{Result, process};

/// How the folder of a throw-away cluster is called.
const FOLDER_START: &str = "posthaste-test-";
/// In memory where there is such a place.
const MEMORY_FOLDER: &str = "/dev/shm";
const STOP_SECONDS_MAX: u64 = 10;

pub(crate) fn remove_left_overs() -> Result<()> {
    for parent in [PathBuf::from(MEMORY_FOLDER), env::temp_dir()] {
        for folder in left_overs(&parent) {
            remove(&folder)?;
        }
    }
    Ok(())
}

fn left_overs(parent: &Path) -> Vec<PathBuf> {
    let is_ours = |path: &PathBuf| {
        path.is_dir() && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(FOLDER_START))
    };
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    entries.flatten().map(|entry| entry.path()).filter(is_ours).collect()
}

fn remove(folder: &Path) -> Result<()> {
    eprintln!("removing {}", folder.display());
    for server in servers(folder) {
        // Nothing in it is worth a checkpoint.
        process::run(Command::new("kill").args(["-QUIT", &server]))?;
        let start = Instant::now();
        while is_server(&server) {
            if start.elapsed() > Duration::from_secs(STOP_SECONDS_MAX) {
                return Err(format!("the server of `{}` (process {server}) does not stop", folder.display()));
            }
            sleep(Duration::from_millis(20));
        }
    }
    fs::remove_dir_all(folder)
        .map_err(|error| format!("`{}` could not be removed: {error}", folder.display()))
}

/// The processes of the servers whose data lie in the folder, or one level below it.
fn servers(folder: &Path) -> Vec<String> {
    let below = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    std::iter::once(folder.to_path_buf())
        .chain(below)
        .filter_map(|data| fs::read_to_string(data.join("postmaster.pid")).ok())
        .filter_map(|text| text.lines().next().map(|line| line.trim().to_owned()))
        .filter(|process| is_server(process))
        .collect()
}

/// Whether the process lives and is a PostgreSQL server: after a crash its number may be another's.
fn is_server(process: &str) -> bool {
    let name = process::output(Command::new("ps").args(["-o", "comm=", "-p", process]));
    name.is_some_and(|name| name.contains("postgres"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_of_a_dead_server_is_removed_and_others_stay() {
        let parent = env::temp_dir().join(format!("posthaste-xtask-cluster-{}", std::process::id()));
        let (dead, other) = (parent.join("posthaste-test-x"), parent.join("posthaste-data"));
        fs::create_dir_all(dead.join("data")).unwrap();
        fs::create_dir_all(&other).unwrap();
        // This very process lives, but is no server.
        fs::write(dead.join("data/postmaster.pid"), format!("{}\n/x\n", std::process::id())).unwrap();

        assert_eq!(left_overs(&parent), std::slice::from_ref(&dead));
        assert_eq!(servers(&dead), [""; 0]);
        remove(&dead).unwrap();
        assert!(!dead.exists() && other.exists());
        fs::remove_dir_all(&parent).unwrap();
    }
}
