//! The configuration: one TOML file, with the environment and flags over it, everything wrong said at once.
//!
//! `[server]` and `[database]` are read here; what is declared (`[delivery]`, `[types]`, `[queues]`,
//! `[endpoints]`, `[subscriptions]`) is read by the broker, from the same text. Not for: applying anything.

mod origin;
mod overrides;
mod reference;
mod settings;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{OsStringValueParser, TypedValueParser};
use posthaste_base::{Code, Error};
use posthaste_broker::{BrokerOptions, Declaration, DeliverySettings, read_section};
use serde_json::json;
use toml::Table;

pub(crate) use origin::Origin;
pub(crate) use overrides::Override;
pub(crate) use reference::page as reference;
pub(crate) use settings::{ApiKeys, Database, Role, Server};
pub(crate) use view::Entry;

use crate::failure::Errors;

/// The file that is read when none is named.
const FILE: &str = "posthaste.toml";

/// What every command takes: where its configuration and its database are.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Place {
    /// The configuration file; without it, posthaste.toml where there is one.
    #[arg(
        long,
        global = true,
        env = "POSTHASTE_CONFIG",
        value_name = "FILE",
        value_parser = OsStringValueParser::new().map(PathBuf::from),
        help_heading = "Posthaste's own place"
    )]
    pub config: Option<PathBuf>,
    /// Where Posthaste keeps its own events and queues; without it, a private server in the data folder.
    #[arg(long, global = true, value_name = "URL", help_heading = "Posthaste's own place")]
    pub database_url: Option<String>,
    /// The folder of the private server.
    #[arg(long, global = true, value_name = "FOLDER", help_heading = "Posthaste's own place")]
    pub data_dir: Option<PathBuf>,
    /// The folder with PostgreSQL's programs, for the private server.
    #[arg(long, global = true, value_name = "FOLDER", help_heading = "Posthaste's own place")]
    pub pg_bin: Option<PathBuf>,
}

impl Place {
    fn overrides(&self) -> Vec<Override> {
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        let url = self.database_url.clone();
        [
            ("--database-url", "url", url),
            ("--data-dir", "data_dir", self.data_dir.as_ref().map(text)),
            ("--pg-bin", "pg_bin", self.pg_bin.as_ref().map(text)),
        ]
        .into_iter()
        .filter_map(|(flag, key, value)| Some(Override::flag(flag, ["database", key], value?)))
        .collect()
    }
}

/// The configuration, checked as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub server: Server,
    pub database: Database,
    pub declaration: Declaration,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    origins: BTreeMap<String, Origin>,
}

impl Config {
    /// Reads file, environment and flags. Everything that is wrong is said at once.
    pub(crate) fn load(place: &Place, flags: Vec<Override>) -> Result<Self, Errors> {
        let file = find(place).map_err(|error| Errors(vec![error]))?;
        let text = match &file {
            None => String::new(),
            Some(path) => std::fs::read_to_string(path).map_err(|error| {
                let message = format!("failed to read `{}`: {error}", path.display());
                Errors(vec![Error::new(Code::InvalidFile, message).expected("a configuration file")])
            })?,
        };
        let mut over = place.overrides();
        over.extend(flags);
        Self::read(file, &text, std::env::vars_os().filter_map(into_text), over)
    }

    /// From a text alone: what it says holds, whatever the environment is.
    pub(crate) fn of_text(file: PathBuf, text: &str) -> Result<Self, Errors> {
        Self::read(Some(file), text, std::iter::empty(), Vec::new())
    }

    fn read(
        file: Option<PathBuf>,
        text: &str,
        variables: impl Iterator<Item = (String, String)>,
        flags: Vec<Override>,
    ) -> Result<Self, Errors> {
        let shown = file.as_deref().map_or(FILE.into(), Path::to_string_lossy).into_owned();
        let (mut over, mut errors) = overrides::from_environment(variables, &template());
        over.extend(flags);
        let of_file = parse(text);
        if let Err(found) = &of_file {
            errors.extend(found.iter().map(|error| in_file(error, &shown)));
            return Err(Errors(errors));
        }
        let (server, database, mut declaration) = if over.is_empty() {
            of_file.map_err(Errors)?
        } else {
            let mut table: Table = text.parse().unwrap_or_default();
            for one in &over {
                overrides::put(&mut table, &one.path, one.value.clone());
            }
            let merged = toml::to_string(&table).unwrap_or_default();
            parse(&merged).map_err(|found| {
                errors.extend(found.iter().map(|error| of_override(error, &over)));
                Errors(std::mem::take(&mut errors))
            })?
        };
        let folder = file.as_deref().and_then(Path::parent).unwrap_or(Path::new("")).to_owned();
        let read_file = |path: &str| std::fs::read_to_string(folder.join(path));
        if let Err(found) = declaration.resolve(read_file, |name| std::env::var(name).ok()) {
            errors.extend(found.iter().map(|error| in_file(error, &shown)));
        }
        if !errors.is_empty() {
            return Err(Errors(errors));
        }
        let lines = origin::lines(text).into_iter();
        let mut origins: BTreeMap<String, Origin> =
            lines.map(|(path, line)| (path, Origin::File { path: shown.clone(), line })).collect();
        origins.extend(over.iter().map(|one| (one.dotted(), one.origin.clone())));
        Ok(Self { server, database, declaration, file, origins })
    }

    /// Whether a value is not the default one.
    pub(crate) fn is_said(&self, path: &str) -> bool {
        self.origins.contains_key(path)
    }

    /// All of the broker's options but the key, which may be in a file.
    pub(crate) fn broker_options(&self) -> BrokerOptions {
        let delivery = &self.declaration.delivery;
        BrokerOptions {
            key_ttl_days: delivery.key_ttl_days,
            attempt_retention_days: delivery.attempt_retention_days,
            default_type: delivery.default_type.clone(),
            strict_types: delivery.strict_types,
            failure_modes: self.server.failure_modes,
            ..BrokerOptions::default()
        }
    }
}

/// All sections of a text, or all that is wrong with them.
fn parse(text: &str) -> Result<(Server, Database, Declaration), Vec<Error>> {
    let server = read_section::<Server>(text, "server", &json!(Server::default()));
    let database = read_section::<Database>(text, "database", &json!(Database::default()));
    let declaration = Declaration::parse(text);
    let mut errors = Vec::new();
    let mut said = BTreeSet::new();
    let found = [
        server.as_ref().map_or_else(Clone::clone, |server| below("server", text, server.check())),
        database.as_ref().map_or_else(Clone::clone, |database| below("database", text, database.check())),
        declaration.as_ref().err().cloned().unwrap_or_default(),
    ];
    // Each section's reader says what is wrong with the syntax; once is enough.
    for error in found.into_iter().flatten() {
        if said.insert(error.to_string()) {
            errors.push(error);
        }
    }
    match (server, database, declaration) {
        (Ok(server), Ok(database), Ok(declaration)) if errors.is_empty() => {
            Ok((server, database, declaration))
        }
        _ => Err(errors),
    }
}

/// Errors about a section's fields, with their lines as the broker's reader gives them.
fn below(section: &str, text: &str, errors: Vec<Error>) -> Vec<Error> {
    let lines = origin::lines(text);
    let place = |error: &Error| {
        let path = format!("{section}.{}", error.field_name().unwrap_or_default());
        let line = lines.get(&path).map_or(String::new(), |line| format!("line {line}: "));
        renamed(error, format!("{line}{}", error.message()), path)
    };
    errors.iter().map(place).collect()
}

fn in_file(error: &Error, file: &str) -> Error {
    let message = format!("{file}: {}", error.message());
    match error.field_name() {
        Some(field) => renamed(error, message, field.to_owned()),
        None => Error::new(error.code(), message)
            .expected(error.expectation().unwrap_or("a configuration file"))
            .hint(error.next_step().to_owned()),
    }
}

/// The file was right by itself, so what is wrong came from the environment or a flag.
fn of_override(error: &Error, over: &[Override]) -> Error {
    let message = error.message();
    let message = match message.split_once(": ") {
        Some((line, rest)) if line.starts_with("line ") => rest,
        _ => message,
    };
    let field = error.field_name().unwrap_or_default();
    let name = over.iter().rev().find(|one| field.starts_with(&one.dotted())).map(|one| &one.origin);
    let name = match name {
        Some(Origin::Environment { variable }) => variable.clone(),
        Some(Origin::Flag { flag }) => flag.clone(),
        _ => field.to_owned(),
    };
    renamed(error, message.to_owned(), name)
}

fn renamed(error: &Error, message: String, field: String) -> Error {
    let renamed = Error::new(error.code(), message)
        .field(field)
        .violations(error.all_violations().to_vec())
        .hint(error.next_step().to_owned());
    match error.expectation() {
        Some(expected) => renamed.expected(expected),
        None => renamed,
    }
}

/// Every key with its default, by which the environment's texts are read.
fn template() -> serde_json::Value {
    let (server, database) = (Server::default(), Database::default());
    json!({"server": server, "database": database, "delivery": DeliverySettings::default()})
}

fn find(place: &Place) -> Result<Option<PathBuf>, Error> {
    // A variable that is empty says nothing.
    match place.config.as_ref().filter(|path| !path.as_os_str().is_empty()) {
        Some(path) if path.exists() => Ok(Some(path.clone())),
        Some(path) => Err(Error::new(Code::InvalidFile, format!("there is no file `{}`", path.display()))
            .field("--config")
            .expected("a configuration file")),
        None => Ok(Path::new(FILE).exists().then(|| PathBuf::from(FILE))),
    }
}

fn into_text((name, value): (std::ffi::OsString, std::ffi::OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.into_string().ok()?))
}

#[cfg(test)]
mod tests;
