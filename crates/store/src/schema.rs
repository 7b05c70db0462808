//! Creating and upgrading the schema: numbered migrations, each applied once, in one transaction.
//!
//! A newer node may upgrade beside running older ones: migrations only add, under an advisory lock (so two
//! nodes do not race) and a short lock timeout with many tries (so nobody queues behind them for long). What they lock
//! and break is reviewed by our own rules, in a test of the cli: this crate knows nothing of reviews and plans.
//!
//! They do not go through the runner of plans. A migration and its row in the table of versions are one transaction, so
//! that there is nothing to journal and nothing to go on with; nodes that start at once wait here for each other, where
//! of two runners the second is refused; and a run that stopped would wait for a person, with the nodes behind it. A
//! migration that has to go over rows in batches would be another matter, and there is none.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use posthaste_base::{Code, Error};
use posthaste_pg::{Pool, Session, TransactionOptions, transaction_with};
use sha2::{Digest, Sha256};

use crate::sql;

/// One step of the schema. A test may bring steps of its own: see [`upgrade_to`].
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    pub version: i32,
    pub name: &'static str,
    pub text: &'static str,
}

/// The migrations of this program, the first one first.
pub const MIGRATIONS: &[Migration] =
    &[Migration { version: 1, name: "ground", text: include_str!("../migrations/0001_ground.sql") }];

impl Migration {
    fn checksum(&self) -> Vec<u8> {
        Sha256::digest(self.text).to_vec()
    }
}

/// As often as that a migration is tried: some two minutes, when every try waits as long as it may.
const TRIES_MAX: u32 = 80;
/// Before the second try; it doubles up to half a second.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// How long a try waits for a lock, by how many came before it: short at first, longer when that does not help, and
/// never without an end, for all who come later wait as long behind it.
fn lock_timeout_ms(tries: u32) -> u32 {
    (100 + tries * 25).min(1_000)
}

/// What an upgrade would do, or did.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SchemaState {
    /// The version in the database; 0 when there is no schema.
    pub version: i32,
    /// The version that this program brings.
    pub target: i32,
    pub pending: Vec<String>,
}

/// The version that this program is made for.
pub fn target_version() -> i32 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

/// A name that changes with every migration: testkit keys its template databases by it.
pub fn fingerprint() -> String {
    let mut hasher = Sha256::new();
    for migration in MIGRATIONS {
        hasher.update(migration.text);
    }
    hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The text of all migrations, for people who look before they let anything change, or who apply it themselves.
pub fn script() -> String {
    let mut script =
        format!("{};\n\n{};\n", sql!("schema/create").trim(), sql!("schema/create_version").trim());
    for migration in MIGRATIONS {
        script.push_str(&format!(
            "\n-- migration {:04}_{}\n\n{}\n{};\n",
            migration.version,
            migration.name,
            migration.text,
            remembered(migration)
        ));
    }
    script
}

/// What writes down that a migration was applied, with the values in their places.
fn remembered(migration: &Migration) -> String {
    let checksum: String = migration.checksum().iter().map(|byte| format!("{byte:02x}")).collect();
    let (_, statement) = sql!("schema/insert_version").split_once("insert").unwrap_or_default();
    let statement = statement
        .replace("$1", &migration.version.to_string())
        .replace("$2", &format!("'{}'", migration.name))
        .replace("$3", &format!("'\\x{checksum}'"));
    format!("insert{}", statement.trim_end())
}

/// Looks at the schema without changing it. One that another build made, with the same numbers, is refused.
pub async fn state(pool: &Pool) -> Result<SchemaState, Error> {
    state_for(pool, MIGRATIONS).await
}

async fn state_for(pool: &Pool, migrations: &[Migration]) -> Result<SchemaState, Error> {
    let session = pool.get().await?;
    let applied = applied(&session).await?;
    for (version, name, checksum) in &applied {
        let ours = migrations.iter().find(|migration| migration.version == *version);
        if ours.is_some_and(|ours| ours.checksum() != *checksum) {
            return Err(Error::new(
                Code::SchemaDiffers,
                format!(
                    "the migration {version:04}_{name} was applied with another text than this program's"
                ),
            ));
        }
    }
    Ok(describe(applied.last().map_or(0, |(version, ..)| *version), migrations))
}

/// Refuses a schema that is missing, older or newer than this program, or another build's.
pub async fn check(pool: &Pool) -> Result<(), Error> {
    let state = state(pool).await?;
    if state.version > state.target {
        return Err(too_new(state.version));
    }
    if state.version < state.target {
        return Err(Error::new(
            Code::SchemaMissing,
            format!("the schema has version {}, this program needs {}", state.version, state.target),
        ));
    }
    Ok(())
}

/// Brings the schema to this program's version; does nothing when it is there already.
///
/// Takes an advisory lock for the whole upgrade. Each migration is a transaction of its own.
pub async fn upgrade(pool: &Pool) -> Result<SchemaState, Error> {
    upgrade_to(pool, MIGRATIONS).await
}

/// The same to these migrations: those of a newer program, which a test tries beside a running node of this one.
pub async fn upgrade_to(pool: &Pool, migrations: &[Migration]) -> Result<SchemaState, Error> {
    let before = state_for(pool, migrations).await?;
    if before.version > before.target {
        return Err(too_new(before.version));
    }
    for migration in migrations.iter().filter(|migration| migration.version > before.version) {
        let tries = &AtomicU32::new(0);
        let options = TransactionOptions {
            attempts_max: TRIES_MAX,
            delay: FIRST_PAUSE,
            ..TransactionOptions::default()
        };
        transaction_with(pool, options, async |transaction| {
            let timeout_ms = lock_timeout_ms(tries.fetch_add(1, Ordering::Relaxed));
            apply(&transaction, migration, timeout_ms).await
        })
        .await?;
        tracing::info!(version = migration.version, name = migration.name, "schema upgraded");
    }
    pool.forget_statements();
    state_for(pool, migrations).await
}

async fn apply(
    session: &Session,
    migration: &Migration,
    lock_timeout_ms: u32,
) -> Result<(), posthaste_pg::Error> {
    session.batch_execute(sql!("schema/upgrade_guard")).await?;
    // Another node may have been here while we waited for the lock.
    if applied(session).await?.last().is_some_and(|(version, ..)| *version >= migration.version) {
        return Ok(());
    }
    session.query_one(sql!("schema/upgrade_lock_timeout"), &[&format!("{lock_timeout_ms}ms")]).await?;
    if migration.version == 1 {
        session.batch_execute(sql!("schema/create")).await?;
        session.batch_execute(sql!("schema/create_version")).await?;
    }
    // However long that takes: the guard lifts the server's own limit too.
    session.without_deadline().batch_execute(migration.text).await?;
    let checksum = migration.checksum();
    session.execute(sql!("schema/insert_version"), &[&migration.version, &migration.name, &checksum]).await?;
    Ok(())
}

/// Number, name and checksum of each migration that was applied, in order.
async fn applied(session: &Session) -> Result<Vec<(i32, String, Vec<u8>)>, posthaste_pg::Error> {
    let exists: bool = session.query_one(sql!("schema/exists"), &[]).await?.get(0);
    if !exists {
        return Ok(Vec::new());
    }
    let rows = session.query(sql!("schema/applied"), &[]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))).collect()
}

fn describe(version: i32, migrations: &[Migration]) -> SchemaState {
    let pending = migrations
        .iter()
        .filter(|migration| migration.version > version)
        .map(|migration| format!("{:04}_{}", migration.version, migration.name))
        .collect();
    let target = migrations.last().map_or(0, |migration| migration.version);
    SchemaState { version, target, pending }
}

fn too_new(version: i32) -> Error {
    Error::new(
        Code::SchemaTooNew,
        format!("the schema has version {version}, this program knows up to {}", target_version()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_try_waits_long_or_without_an_end() {
        let timeouts: Vec<u32> = (0..TRIES_MAX).map(lock_timeout_ms).collect();
        assert_eq!(timeouts[0], 100);
        assert!(timeouts.is_sorted(), "{timeouts:?}");
        assert!(timeouts.iter().all(|timeout| (1..=1_000).contains(timeout)), "{timeouts:?}");
    }

    #[test]
    fn every_migration_has_its_number_and_name() {
        for (place, migration) in (1..).zip(MIGRATIONS) {
            assert_eq!(migration.version, place);
            assert!(!migration.text.trim().is_empty(), "{}", migration.name);
        }
    }
}
