//! Which account runs the server: our own, or when we are root another one, because PostgreSQL refuses root.
//!
//! Not for: accounts inside the database.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::failed;
use crate::{Error, Result};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
    /// We are root, and the server runs as somebody else.
    pub is_other: bool,
}

impl Account {
    /// The named account, or `postgres`, or `nobody` when we are root; ourselves otherwise.
    pub fn choose(named: Option<&str>) -> Result<Self> {
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        Self::choose_from(&passwd, rustix::process::geteuid().as_raw(), named)
    }

    fn choose_from(passwd: &str, own_uid: u32, named: Option<&str>) -> Result<Self> {
        let entries = || passwd.lines().filter_map(entry);
        if own_uid != 0 {
            let own = entries().find(|account| account.uid == own_uid);
            let own = own.or_else(|| {
                // Accounts of a directory service are not in the file.
                let name = std::env::var("USER").ok()?;
                Some(Account {
                    name,
                    uid: own_uid,
                    gid: rustix::process::getegid().as_raw(),
                    is_other: false,
                })
            });
            return own.ok_or_else(|| failed(format!("the account with id {own_uid} has no name")));
        }
        let wanted = match named {
            Some(name) => vec![name],
            None => vec!["postgres", "nobody"],
        };
        let found = wanted.iter().find_map(|name| entries().find(|account| account.name == *name));
        match found {
            Some(account) if account.uid == 0 => Err(failed("PostgreSQL does not run as root")),
            Some(account) => Ok(Self { is_other: true, ..account }),
            None => Err(Error::Local(
                posthaste_base::Error::new(
                    posthaste_base::Code::PostgresFailed,
                    format!("PostgreSQL does not run as root, and there is no account `{}`", wanted.join("` or `")),
                )
                .hint("make one (`useradd --system postgres`), or start as another user, or give `DATABASE_URL`"),
            )),
        }
    }

    /// A command that runs as this account.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        if self.is_other {
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Makes the folder with mode 0700 for this account. One that is there has to be ours already.
    pub(super) fn own_folder(&self, folder: &Path) -> Result<()> {
        let wrong = |what: &str| {
            Error::Local(
                posthaste_base::Error::new(
                    posthaste_base::Code::PostgresFailed,
                    format!("the folder `{}` {what}", folder.display()),
                )
                .hint("choose another data folder, or correct its owner and permissions"),
            )
        };
        if std::fs::symlink_metadata(folder).is_err() {
            std::fs::create_dir_all(folder).map_err(|error| wrong(&format!("cannot be made: {error}")))?;
            self.own(folder, 0o700)?;
        }
        let metadata =
            std::fs::metadata(folder).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
        if !metadata.is_dir() {
            return Err(wrong("is a file"));
        }
        let is_empty = || std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
        if metadata.uid() != self.uid && self.is_other && metadata.uid() == 0 && is_empty() {
            // A mount point or a folder that the operator made for us.
            self.own(folder, 0o700)?;
        } else if metadata.uid() != self.uid {
            return Err(wrong(&format!(
                "belongs to the user with id {}, not to `{}`",
                metadata.uid(),
                self.name
            )));
        } else if metadata.mode() & 0o077 != 0 {
            self.own(folder, 0o700)?;
        }
        self.check_can_enter(folder)
    }

    pub(super) fn own(&self, path: &Path, mode: u32) -> Result<()> {
        let change = || {
            if self.is_other {
                chown(path, Some(self.uid), Some(self.gid))?;
            }
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        };
        change()
            .map_err(|error| failed(format!("could not set owner and mode of `{}`: {error}", path.display())))
    }

    /// The server has to get through every folder above its own; `/root` is the usual obstacle.
    fn check_can_enter(&self, folder: &Path) -> Result<()> {
        let resolved = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        for parent in resolved.ancestors().skip(1) {
            let Ok(metadata) = std::fs::metadata(parent) else { continue };
            let mode = metadata.mode();
            let bit = match () {
                () if metadata.uid() == self.uid => 0o100,
                () if metadata.gid() == self.gid => 0o010,
                () => 0o001,
            };
            if mode & bit == 0 {
                return Err(Error::Local(
                    posthaste_base::Error::new(
                        posthaste_base::Code::PostgresFailed,
                        format!("`{}` cannot be entered by the account `{}`", parent.display(), self.name),
                    )
                    .expected("a data folder whose parents let that account through (mode o+x)")
                    .hint("choose a data folder elsewhere, such as `/var/lib/posthaste`"),
                ));
            }
        }
        Ok(())
    }
}

fn entry(line: &str) -> Option<Account> {
    let fields: Vec<_> = line.split(':').collect();
    let [name, _, uid, gid, ..] = fields.as_slice() else { return None };
    Some(Account {
        name: (*name).to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        is_other: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\nann:x:1000:1000::/home/ann:/bin/sh\n";

    fn check(passwd: &str, own_uid: u32, named: Option<&str>, expected: Option<(&str, bool)>) {
        let chosen = Account::choose_from(passwd, own_uid, named).ok();
        assert_eq!(chosen.as_ref().map(|account| (account.name.as_str(), account.is_other)), expected);
    }

    #[test]
    fn root_hands_over_and_others_stay_themselves() {
        let with_postgres = format!("{PASSWD}postgres:x:101:104::/:/bin/bash\n");
        check(&with_postgres, 0, None, Some(("postgres", true)));
        check(PASSWD, 0, None, Some(("nobody", true)));
        check(PASSWD, 0, Some("ann"), Some(("ann", true)));
        check(PASSWD, 0, Some("bob"), None);
        check(PASSWD, 0, Some("root"), None);
        check(PASSWD, 1000, Some("nobody"), Some(("ann", false)));
        check("", 0, None, None);
    }
}
