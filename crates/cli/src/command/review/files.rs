//! What is given to a review: files as they are named, and of a folder what its tool would apply next.
//!
//! Not for: how tools keep their folders and tables (see `posthaste_change`).

use std::path::{Path, PathBuf};

use posthaste_base::{Code, Error};
use posthaste_change::folder::{self, Folder, Kind, Migration, Tool};
use posthaste_change::history::{self, Entry, State, Status};
use posthaste_pg::Visit;
use posthaste_report::Skipped;
use posthaste_review::File;

use crate::ask::talk;

/// In the order in which they will run.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub files: Vec<File>,
    /// What is there and not looked at, with the reason.
    pub skipped: Vec<Skipped>,
}

/// Reads files and folders. With a database, what its tool says is applied is left out.
pub(super) async fn read(
    paths: &[PathBuf],
    tool: Option<Tool>,
    visit: Option<&Visit>,
) -> Result<Given, Error> {
    let mut given = Given::default();
    for path in paths {
        if path.is_dir() {
            given.folder(path, tool, visit).await?;
        } else {
            given.files.push(file(path)?);
        }
    }
    for file in &mut given.files {
        let (text, runs) = posthaste_review::thin(std::mem::take(&mut file.text));
        file.text = text;
        for run in runs {
            let what = format!("{}: {} lines from line {} on", file.path, run.count, run.line);
            given.skipped.push(Skipped { what, why: format!("as many before them are alike: {}", run.head) });
        }
    }
    let has_only_bases = given.files.iter().all(|file| file.is_base) && !given.files.is_empty();
    if has_only_bases {
        let path = given.files.first().map(|file| file.path.clone()).unwrap_or_default();
        return Err(Error::new(
            Code::InvalidFile,
            "it is the schema that is there, and there is nothing to review",
        )
        .field(path)
        .expected("migrations beside it, as files of SQL"));
    }
    Ok(given)
}

/// Whether all of it can be read at all.
pub(super) fn check(paths: &[PathBuf]) -> Result<(), Error> {
    for path in paths {
        if path.is_dir() {
            folder::detect(path)?;
        } else {
            text(path)?;
        }
    }
    Ok(())
}

impl Given {
    async fn folder(&mut self, path: &Path, tool: Option<Tool>, visit: Option<&Visit>) -> Result<(), Error> {
        let candidates = match tool {
            Some(tool) => vec![tool],
            None => folder::detect(path)?,
        };
        let tool = match visit {
            Some(visit) => history::choose(visit, &candidates).await?,
            None => candidates.first().copied(),
        };
        let folder = folder::look(path, tool.unwrap_or_default())?;
        if candidates.len() > 1 {
            talk(&format!(
                "{} is read as a folder of {}; `--tool` names another one",
                path.display(),
                folder.tool
            ));
        }
        for doubt in &folder.doubts {
            self.skip(format!("{}: {}", path.display(), doubt.pointer), doubt.message.clone());
        }
        if let Some(base) = &folder.base {
            self.files.push(File { is_base: true, ..file_of(&folder, &base.file, base.text.clone()) });
        }
        let status = match visit {
            Some(visit) => self.status(&folder, visit).await?,
            None => None,
        };
        match status {
            Some(status) => self.pending(&folder, &status),
            None => self.all(&folder, visit.is_some()),
        }
        Ok(())
    }

    /// What the database says of the folder; or, where it cannot be asked, why.
    async fn status(&mut self, folder: &Folder, visit: &Visit) -> Result<Option<Status>, Error> {
        if matches!(folder.tool, Tool::Psql | Tool::Atlas | Tool::Rails) {
            return Ok(None);
        }
        match history::read(visit, folder.tool).await {
            Ok(history) => Ok(Some(history::compare(folder, &history))),
            Err(error) if matches!(error.code(), Code::MigrationsDisagree | Code::MissingRight) => {
                let what = format!("which migrations of {} are applied", folder.path.display());
                self.skip(what, format!("{}; all of them are reviewed", error.message()));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn pending(&mut self, folder: &Folder, status: &Status) {
        let mut applied: Vec<&Entry> = Vec::new();
        for (migration, entry) in folder.migrations.iter().zip(&status.migrations) {
            match entry.state {
                State::Pending | State::OutOfOrder | State::Failed => self.migration(folder, migration),
                State::Applied if entry.note.is_none() => applied.push(entry),
                _ => {
                    let why = entry.note.clone().unwrap_or_else(|| entry.state.as_str().to_owned());
                    self.skip(
                        path_in(folder, &migration.up.file),
                        format!("{}: {why}", entry.state.as_str()),
                    );
                }
            }
        }
        if let (Some(first), Some(last)) = (applied.first(), applied.last()) {
            let table = status.table.as_deref().unwrap_or("the database");
            let what = match applied.len() {
                1 => format!("{}: migration {}", folder.path.display(), first.version),
                count => {
                    format!(
                        "{}: {count} migrations, {} to {}",
                        folder.path.display(),
                        first.version,
                        last.version
                    )
                }
            };
            self.skip(what, format!("{table} says that they are applied"));
        }
    }

    /// Without knowing what is applied. A baseline is then what is there, or what only new databases meet.
    fn all(&mut self, folder: &Folder, has_database: bool) {
        let baseline = folder.baseline();
        let is_base = |baseline: &Migration| {
            !has_database
                && !folder.migrations.iter().any(|m| m.kind == Kind::Once && folder.is_below(m, baseline))
        };
        for migration in &folder.migrations {
            if migration.kind != Kind::Baseline {
                self.migration(folder, migration);
            } else if baseline.is_some_and(|last| std::ptr::eq(last, migration) && is_base(last)) {
                let text = migration.up.text.clone();
                self.files.push(File { is_base: true, ..file_of(folder, &migration.up.file, text) });
            } else {
                let why = "a baseline, which only a new database begins with".to_owned();
                self.skip(path_in(folder, &migration.up.file), why);
            }
        }
    }

    fn migration(&mut self, folder: &Folder, migration: &Migration) {
        let up = &migration.up;
        // A file with both ways is read whole, so that places and ignores are those of the file.
        let has_sections = matches!(folder.tool, Tool::Goose | Tool::Dbmate);
        let text = up.raw.as_ref().filter(|_| has_sections).unwrap_or(&up.text);
        let down = migration.down.as_ref().filter(|_| !has_sections).map(|down| down.text.clone());
        self.files.push(File { down, wrapping: up.wrapping, ..file_of(folder, &up.file, text.clone()) });
    }

    fn skip(&mut self, what: String, why: String) {
        self.skipped.push(Skipped { what, why });
    }
}

fn path_in(folder: &Folder, file: &str) -> String {
    folder.path.join(file).display().to_string()
}

fn file_of(folder: &Folder, file: &str, text: String) -> File {
    File { path: path_in(folder, file), text, tool: Some(folder.tool), ..File::default() }
}

/// A dump of the schema that is there.
pub(super) fn base(path: &Path) -> Result<File, Error> {
    Ok(File { is_base: true, path: path.display().to_string(), text: text(path)?, ..File::default() })
}

/// A file with what stands beside it: its way back, and the settings of its tool.
fn file(path: &Path) -> Result<File, Error> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let beside = |other: &str| std::fs::read(path.with_file_name(other)).ok();
    let down = if name == "up.sql" {
        beside("down.sql")
    } else if let Some(stem) = name.strip_suffix(".up.sql") {
        beside(&format!("{stem}.down.sql"))
    } else if let Some(rest) = name.strip_prefix('V').filter(|rest| rest.contains("__")) {
        beside(&format!("U{rest}"))
    } else {
        name.strip_suffix(".sql").and_then(|stem| beside(&format!("{stem}.down.sql")))
    };
    let settings = if name == "up.sql" { beside("metadata.toml") } else { beside(&format!("{name}.conf")) };
    let text_of = |bytes: Option<Vec<u8>>| bytes.and_then(|bytes| decoded(path, bytes).ok());
    Ok(File {
        path: path.display().to_string(),
        text: text(path)?,
        settings: text_of(settings),
        down: text_of(down),
        ..File::default()
    })
}

pub(super) fn text(path: &Path) -> Result<String, Error> {
    let bytes = std::fs::read(path).map_err(|error| {
        Error::new(Code::InvalidFile, error.to_string())
            .field(path.display().to_string())
            .expected("a file of SQL, or a folder of them")
    })?;
    decoded(path, bytes)
}

/// The bytes become the text, without a second copy of them: dumps are large.
fn decoded(path: &Path, bytes: Vec<u8>) -> Result<String, Error> {
    if let Some(error) = posthaste_review::decode(&bytes).err() {
        return Err(Error::new(Code::InvalidFile, format!("line {}: {}", error.line, error.message))
            .field(path.display().to_string())
            .hint(error.hint.unwrap_or_else(|| "save it as UTF-8".to_owned())));
    }
    String::from_utf8(bytes)
        .map_err(|error| Error::new(Code::InvalidFile, error.to_string()).field(path.display().to_string()))
}
