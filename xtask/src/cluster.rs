//! Removes the throw-away PostgreSQL clusters of the tests: the tests are many processes, so none of them knows that
//! it is the last.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, fs};

use crate::{Result, process};

const MEMORY_FOLDER: &str = "/dev/shm";
const STOP_SECONDS_MAX: u64 = 10;

/// Removes the clusters of this target folder, and touches no other checkout's.
pub(crate) fn remove_throw_away() -> Result<()> {
    let target = process::target_folder()?;
    for parent in [PathBuf::from(MEMORY_FOLDER), env::temp_dir()] {
        for folder in clusters_of(&target, &parent) {
            remove(&folder)?;
        }
    }
    Ok(())
}

/// The clusters in `parent` that the test kit made for this target folder: there is one for each server version, in a
/// folder called `posthaste-test-<hash of the target folder>-<version>` (crates/testkit/src/db.rs).
fn clusters_of(target: &Path, parent: &Path) -> Vec<PathBuf> {
    let start = format!("posthaste-test-{:016x}-", hash(target));
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let is_ours = |path: &PathBuf| {
        path.is_dir() && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&start))
    };
    entries.flatten().map(|entry| entry.path()).filter(is_ours).collect()
}

/// The test kit's hash of a path, FNV.
fn hash(path: &Path) -> u64 {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    path.as_os_str().as_encoded_bytes().iter().fold(0xcbf2_9ce4_8422_2325, mix)
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
    fn only_the_clusters_of_this_target_folder_are_removed() {
        let parent = env::temp_dir().join(format!("posthaste-xtask-cluster-{}", std::process::id()));
        let (mine, other) = (Path::new("/a/target"), Path::new("/b/target"));
        let folder = |target: &Path| parent.join(format!("posthaste-test-{:016x}-15", hash(target)));
        fs::create_dir_all(folder(mine).join("data")).unwrap();
        fs::create_dir_all(folder(other)).unwrap();
        // This very process lives, but is no server, so that it must not be stopped.
        fs::write(folder(mine).join("data/postmaster.pid"), format!("{}\n/x\n", std::process::id())).unwrap();

        assert_eq!(clusters_of(mine, &parent), [folder(mine)]);
        assert_eq!(servers(&folder(mine)), [""; 0]);
        remove(&folder(mine)).unwrap();
        assert!(!folder(mine).exists() && folder(other).exists());
        fs::remove_dir_all(&parent).unwrap();
    }

    #[test]
    fn hash_is_the_published_one() {
        assert_eq!(hash(Path::new("a")), 0xaf63_dc4c_8601_ec8c);
    }
}
