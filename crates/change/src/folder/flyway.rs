//! Flyway: `V1_2__name.sql` forward, `U1_2__name.sql` back, `R__name.sql` whenever it changed, `B1_2__name.sql` in
//! place of all up to that version on a new database; also in sub-folders.
//!
//! A file is a transaction, unless it holds a statement that must not be in one, or its `.conf` says
//! `executeInTransaction=false`. Source: Flyway's documentation, "Versioned migrations", "Baseline migrations" and
//! "Script configuration files". Not for: migrations in Java.

use super::listing::Listing;
use super::placeholder::Placeholders;
use super::{Kind, Migration, Order, Problems, Source, Tool};
use crate::outline;

struct Parts<'a> {
    prefix: char,
    numbers: Vec<u64>,
    version: String,
    description: &'a str,
}

pub(super) fn is_like(listing: &Listing) -> bool {
    listing.nested.iter().any(|path| matches!(parts(path), Ok(Some(_))))
}

/// Nothing for a file that is none of Flyway's.
fn parts(path: &str) -> Result<Option<Parts<'_>>, &'static str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let Some(stem) = name.strip_suffix(".sql") else { return Ok(None) };
    let mut letters = stem.chars();
    let prefix = letters.next().unwrap_or_default();
    let rest = letters.as_str();
    if !matches!(prefix, 'V' | 'U' | 'R' | 'B') || !rest.starts_with(|c: char| c.is_ascii_digit() || c == '_')
    {
        return Err("is named neither V{version}__, U{version}__, B{version}__ nor R__");
    }
    let Some((version, description)) = rest.split_once("__") else {
        return Err("has no `__` between its version and its description");
    };
    if description.is_empty() {
        return Err("has no description");
    }
    let version = version.replace('_', ".");
    let numbers: Option<Vec<u64>> = match version.is_empty() {
        true => Some(Vec::new()),
        false => version.split('.').map(|number| number.parse().ok()).collect(),
    };
    let Some(mut numbers) = numbers else { return Err("has a version that is no number") };
    if (prefix == 'R') != numbers.is_empty() {
        return Err("has a version where there is none, or none where there is one");
    }
    // 1.0 and 1 are one version.
    while numbers.len() > 1 && numbers.last() == Some(&0) {
        numbers.pop();
    }
    Ok(Some(Parts { prefix, numbers, version, description }))
}

pub(super) fn read(listing: &Listing, problems: &mut Problems) -> Vec<Migration> {
    let placeholders = Placeholders::find(&listing.root, std::env::vars());
    let mut migrations: Vec<Migration> = Vec::new();
    let mut undo: Vec<(Vec<u64>, Source)> = Vec::new();
    for path in &listing.nested {
        let parts = match parts(path) {
            Ok(Some(parts)) => parts,
            Ok(None) => continue,
            Err(message) => {
                problems.say(path, message);
                continue;
            }
        };
        let Some(source) = source(listing, path, &placeholders, problems) else { continue };
        if parts.prefix == 'U' {
            undo.push((parts.numbers, source));
            continue;
        }
        let name = parts.description.replace('_', " ");
        let is_repeatable = parts.prefix == 'R';
        let kind = match parts.prefix {
            'R' => Kind::Repeatable,
            'B' => Kind::Baseline,
            _ => Kind::Once,
        };
        migrations.push(Migration {
            version: if is_repeatable { format!("R {name}") } else { parts.version },
            order: Order {
                is_repeatable,
                text: if is_repeatable { name.clone() } else { String::new() },
                numbers: parts.numbers,
            },
            name,
            up: source,
            down: None,
            kind,
        });
    }
    for (numbers, source) in undo {
        match migrations.iter_mut().find(|m| m.kind == Kind::Once && m.order.numbers == numbers) {
            Some(migration) => migration.down = Some(source),
            None => problems.say(&source.file, "goes back from a version that is not there"),
        }
    }
    migrations
}

fn source(
    listing: &Listing,
    path: &str,
    placeholders: &Placeholders,
    problems: &mut Problems,
) -> Option<Source> {
    let raw = listing.text(path, problems)?;
    let settings = format!("{path}.conf");
    let settings = if listing.has(&settings) { listing.text(&settings, problems)? } else { String::new() };
    let says = |key: &str| {
        let value =
            settings.lines().filter_map(|line| line.split_once('=')).find(|(name, _)| name.trim() == key);
        value.map(|(_, value)| value.trim().to_lowercase())
    };
    let is_off = says("placeholderReplacement").is_some_and(|value| value == "false");
    let text = match placeholders.fill(&raw, path, is_off) {
        Ok(text) => text,
        Err(missing) => {
            for (line, name) in missing {
                let message = match name.starts_with("flyway:") {
                    true => format!("`${{{name}}}` is known to Flyway alone: write the value out"),
                    false => format!(
                        "the placeholder `${{{name}}}` has no value: set flyway.placeholders.{name} in flyway.toml or \
                         flyway.conf, or FLYWAY_PLACEHOLDERS_{}",
                        name.to_uppercase()
                    ),
                };
                problems.say(&format!("{path}:{line}"), &message);
            }
            raw.clone()
        }
    };
    let source = Source::whole(Tool::Flyway, path, text, Some(&settings));
    let is_looked_for = source.wrapping.is_none() && !placeholders.is_mixed;
    if is_looked_for && outline::has_both(&source.text) {
        problems.doubt(
            path,
            "holds statements that must not be in a transaction beside others, which Flyway refuses: give them files \
             of their own, or a `.conf` with executeInTransaction=false",
        );
    }
    Some(Source { raw: Some(raw), ..source })
}
