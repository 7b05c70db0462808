//! Makes sure that PostgreSQL's server programs are there, by the system's own package manager if they are not.

use std::io::IsTerminal;
use std::path::Path;
use std::process::Command;
use std::{env, fs, io};

use crate::postgres::{self, Programs, VERSIONS};
use crate::{Result, process};

/// A package manager, and what it runs, step by step, to install the server programs.
struct Manager {
    program: &'static str,
    steps: &'static [&'static [&'static str]],
    needs_root: bool,
}

/// The variable goes by `env`, because sudo drops it otherwise, and apt would ask questions.
const APT_INSTALL: &[&str] = &[
    "env",
    "DEBIAN_FRONTEND=noninteractive",
    "apt-get",
    "install",
    "-y",
    "--no-install-recommends",
    "postgresql",
];

const MANAGERS: &[Manager] = &[
    Manager { program: "apt-get", steps: &[&["apt-get", "update"], APT_INSTALL], needs_root: true },
    Manager { program: "dnf", steps: &[&["dnf", "install", "-y", "postgresql-server"]], needs_root: true },
    Manager { program: "apk", steps: &[&["apk", "add", "postgresql"]], needs_root: true },
    Manager { program: "brew", steps: &[&["brew", "install", "postgresql@17"]], needs_root: false },
];

/// Where Debian and Ubuntu read whether a new server package makes and starts a cluster.
const CREATE_CLUSTER_FILE: &str = "/etc/postgresql-common/createcluster.conf";
const CREATE_CLUSTER_TEXT: &str = "# No cluster is made by default; delete this file to have one again.\n\
     create_main_cluster = false\n";

/// Finds the server programs, and installs them first if there are none.
pub(crate) fn run(named: Option<&Path>) -> Result<Programs> {
    if let Some(programs) = postgres::find(named)? {
        eprintln!("PostgreSQL {} is in {}", programs.version, programs.folder.display());
        return Ok(programs);
    }
    let manager = MANAGERS.iter().find(|manager| process::on_path(manager.program).is_some()).ok_or(
        "no PostgreSQL server programs were found, and none of apt-get, dnf, apk, brew either; \
         install PostgreSQL 14 to 18 and name its programs with `--pg-bin` or `PG_BIN`",
    )?;
    install(manager)?;
    postgres::find(None)?.ok_or_else(|| {
        format!(
            "`{}` installed no PostgreSQL {} to {}; see https://www.postgresql.org/download/ for \
             packages of newer versions, or name a folder with `--pg-bin` or `PG_BIN`",
            manager.program,
            VERSIONS.start(),
            VERSIONS.end()
        )
    })
}

fn install(manager: &Manager) -> Result<()> {
    let prefix =
        privilege(manager, is_root(), process::on_path("sudo").is_some(), io::stdin().is_terminal())?;
    let lines: Vec<String> = manager.steps.iter().map(|step| line(prefix, step)).collect();
    eprintln!("No PostgreSQL server programs were found. This installs them:\n    {}", lines.join("\n    "));
    if manager.program == "apt-get" {
        prevent_system_cluster(prefix)?;
    }
    for step in manager.steps {
        let words: Vec<&str> = prefix.iter().chain(step.iter()).copied().collect();
        process::run(&mut command(&words))?;
    }
    Ok(())
}

/// What to put before a command so that it may install: nothing, or sudo, which asks only where it can.
fn privilege(
    manager: &Manager,
    is_root: bool,
    has_sudo: bool,
    can_ask: bool,
) -> Result<&'static [&'static str]> {
    match (manager.needs_root && !is_root, has_sudo, can_ask) {
        (false, _, _) => Ok(&[]),
        (true, true, true) => Ok(&["sudo"]),
        (true, true, false) => Ok(&["sudo", "-n"]),
        (true, false, _) => {
            let lines: Vec<String> = manager.steps.iter().map(|step| line(&[], step)).collect();
            Err(format!(
                "no PostgreSQL server programs were found, and installing them needs root; as root, run\n    {}",
                lines.join("\n    ")
            ))
        }
    }
}

/// Debian's package would start a server of its own, on the port that others may want. A file that is there
/// already is the administrator's, and stays as it is.
fn prevent_system_cluster(prefix: &[&str]) -> Result<()> {
    let path = Path::new(CREATE_CLUSTER_FILE);
    if path.exists() {
        return Ok(());
    }
    eprintln!("Writing {CREATE_CLUSTER_FILE}, so that the package does not start a server of its own.");
    let draft = env::temp_dir().join(format!("posthaste-createcluster-{}.conf", std::process::id()));
    fs::write(&draft, CREATE_CLUSTER_TEXT).map_err(|error| format!("{}: {error}", draft.display()))?;
    let draft_name = draft.to_string_lossy();
    let words: Vec<&str> = prefix
        .iter()
        .copied()
        .chain(["install", "-D", "-m", "644", &draft_name, CREATE_CLUSTER_FILE])
        .collect();
    let written = process::run(&mut command(&words));
    fs::remove_file(&draft).map_err(|error| format!("{}: {error}", draft.display()))?;
    written
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

fn line(prefix: &[&str], step: &[&str]) -> String {
    [prefix, step].concat().join(" ")
}

fn is_root() -> bool {
    process::output(Command::new("id").arg("-u")).as_deref() == Some("0")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(program: &str, is_root: bool, has_sudo: bool, can_ask: bool) -> Result<&'static [&'static str]> {
        let manager = MANAGERS.iter().find(|manager| manager.program == program).unwrap();
        privilege(manager, is_root, has_sudo, can_ask)
    }

    #[test]
    fn root_is_got_by_sudo_only_where_it_is_needed() {
        assert_eq!(check("apt-get", true, true, true).unwrap(), [""; 0]);
        assert_eq!(check("brew", false, true, true).unwrap(), [""; 0]);
        assert_eq!(check("apt-get", false, true, true).unwrap(), ["sudo"]);
        assert_eq!(check("apt-get", false, true, false).unwrap(), ["sudo", "-n"]);
    }

    #[test]
    fn without_root_and_sudo_the_error_names_the_command() {
        let message = check("dnf", false, false, true).unwrap_err();
        assert!(message.contains("dnf install -y postgresql-server"), "{message}");
    }
}
