//! Where the programs of PostgreSQL are.
//!
//! Not for: running them (`cluster`, `postmaster`).

use std::path::{Path, PathBuf};
use std::process::Command;

use posthaste_base::Code;

use crate::{Error, Result};

/// A folder that holds `postgres` and `initdb`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    pub bin: PathBuf,
    /// The major version, such as 15.
    pub major: u32,
}

impl Programs {
    /// In the given folder, else where `PG_BIN` says, else where `pg_config` and the packages put them, newest
    /// first, else in `PATH`. `wanted` is the version that an existing cluster needs.
    pub fn find(given: Option<&Path>, wanted: Option<u32>) -> Result<Self> {
        let named = given
            .map(Path::to_owned)
            .or_else(|| std::env::var_os("PG_BIN").filter(|folder| !folder.is_empty()).map(PathBuf::from));
        if let Some(bin) = named {
            let Some(programs) = Self::at(&bin) else {
                return Err(missing(&format!("`{}` does not hold `postgres` and `initdb`", bin.display())));
            };
            return programs.check(wanted);
        }
        let mut found: Vec<Self> = pg_config().into_iter().filter_map(|bin| Self::at(&bin)).collect();
        let mut packaged: Vec<Self> = package_folders().iter().filter_map(|bin| Self::at(bin)).collect();
        packaged.sort_by_key(|programs| std::cmp::Reverse(programs.major));
        found.extend(packaged);
        let path = std::env::var_os("PATH").unwrap_or_default();
        found.extend(std::env::split_paths(&path).filter_map(|bin| Self::at(&bin)));
        let fits = |programs: &&Self| {
            wanted.map_or((14..=18).contains(&programs.major), |wanted| programs.major == wanted)
        };
        match (found.iter().find(fits), found.first()) {
            (Some(programs), _) => Ok(programs.clone()),
            (None, Some(other)) => other.clone().check(wanted),
            (None, None) => Err(missing("no PostgreSQL server programs were found")),
        }
    }

    /// The programs in that folder, if both are there and run.
    pub fn at(bin: &Path) -> Option<Self> {
        if !bin.join("initdb").is_file() {
            return None;
        }
        let mut command = Command::new(bin.join("postgres"));
        command.arg("--version");
        if let Some(libraries) = libraries(bin) {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        let output = command.output().ok()?;
        // `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, or `18beta2`.
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.split_whitespace().nth(2)?;
        let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
        Some(Self { bin: bin.to_owned(), major: digits.parse().ok()? })
    }

    fn check(self, wanted: Option<u32>) -> Result<Self> {
        match wanted {
            Some(wanted) if wanted != self.major => Err(Error::Local(
                posthaste_base::Error::new(
                    Code::PostgresMissing,
                    format!(
                        "the data folder was made by PostgreSQL {wanted}, and the programs in `{}` are of version {}",
                        self.bin.display(),
                        self.major
                    ),
                )
                .hint(format!("install PostgreSQL {wanted} beside it, or move the data over with pg_upgrade")),
            )),
            None if !(14..=18).contains(&self.major) => {
                Err(Error::Unsupported { version: self.major.to_string() })
            }
            _ => Ok(self),
        }
    }
}

/// Builds that can be moved about carry their libraries beside the programs.
pub(super) fn libraries(bin: &Path) -> Option<PathBuf> {
    let folder = bin.parent()?.join("lib");
    folder.join("libpq.so.5").exists().then_some(folder)
}

fn pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(folder.trim()))
}

/// Debian and Ubuntu, the PostgreSQL project's RPMs, Fedora and Alpine, Homebrew on both kinds of Mac.
fn package_folders() -> Vec<PathBuf> {
    let families = [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/usr/libexec", "postgresql", ""),
        ("/opt/homebrew/opt", "postgresql@", "bin"),
        ("/usr/local/opt", "postgresql@", "bin"),
        ("/usr/local", "pgsql", "bin"),
    ];
    let mut folders = Vec::new();
    for (parent, prefix, below) in families {
        for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                folders.push(entry.path().join(below));
            }
        }
    }
    folders
}

fn missing(message: &str) -> Error {
    let install = install_command(&std::fs::read_to_string("/etc/os-release").unwrap_or_default());
    Error::Local(posthaste_base::Error::new(Code::PostgresMissing, message).hint(format!(
        "install PostgreSQL (`{install}`), or name its folder with `--pg-bin`, or give `DATABASE_URL`"
    )))
}

fn install_command(os_release: &str) -> &'static str {
    let is = |name: &str| {
        let families =
            os_release.lines().filter(|line| line.starts_with("ID=") || line.starts_with("ID_LIKE="));
        families.flat_map(|line| line.split(['=', ' ', '"'])).any(|word| word == name)
    };
    match () {
        () if cfg!(target_os = "macos") => "brew install postgresql@17",
        () if is("alpine") => "apk add postgresql",
        () if is("fedora") || is("rhel") || is("centos") => "dnf install postgresql-server",
        () if is("suse") || is("opensuse") => "zypper install postgresql-server",
        () if is("arch") => "pacman -S postgresql",
        () => "apt-get install postgresql",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_server_says_how_to_install_it_here() {
        let error =
            posthaste_base::Error::from(Programs::find(Some(Path::new("/nowhere")), None).unwrap_err());
        assert_eq!(error.code(), Code::PostgresMissing);
        assert!(error.next_step().contains("install PostgreSQL"), "{}", error.next_step());
        assert_eq!(install_command("ID=ubuntu\nID_LIKE=debian"), "apt-get install postgresql");
        assert_eq!(
            install_command("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\""),
            "dnf install postgresql-server"
        );
        assert_eq!(install_command("NAME=x\nID=alpine\n"), "apk add postgresql");
    }

    #[test]
    fn a_cluster_of_another_version_is_not_started() {
        let programs = Programs::find(None, None).expect("PostgreSQL is installed");
        let error = posthaste_base::Error::from(programs.check(Some(12)).unwrap_err());
        assert!(error.message().contains("made by PostgreSQL 12"), "{error}");
    }
}
