//! API keys, by the hash of their text.
//!
//! Not for: making keys, or knowing their text.

use jiff::Timestamp;
use posthaste_pg::driver::Row;

use crate::{Result, Session, sql};

#[derive(Clone, Debug)]
pub struct KeyRow {
    pub id: i32,
    pub name: String,
    pub scopes: Vec<String>,
    pub rate_per_second: Option<i32>,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

/// A key that is to be made.
#[derive(Clone, Copy, Debug)]
pub struct KeyWrite<'a> {
    pub name: &'a str,
    /// SHA-256 of the key's text.
    pub hash: &'a [u8],
    pub scopes: &'a [String],
    pub rate_per_second: Option<i32>,
    pub expires_at: Option<Timestamp>,
}

/// None when there is a key of that name.
pub async fn insert(session: &Session, write: KeyWrite<'_>) -> Result<Option<KeyRow>> {
    let statement = session.prepare_cached(sql!("key/insert")).await?;
    let KeyWrite { name, hash, scopes, rate_per_second, expires_at } = write;
    let row = session.query_opt(&statement, &[&name, &hash, &scopes, &rate_per_second, &expires_at]).await?;
    row.as_ref().map(key).transpose()
}

pub async fn list(session: &Session, after: &str, limit: i64) -> Result<Vec<KeyRow>> {
    let statement = session.prepare_cached(sql!("key/list")).await?;
    session.query(&statement, &[&after, &limit]).await?.iter().map(key).collect()
}

/// None when there is no key of that name.
pub async fn revoke(session: &Session, name: &str) -> Result<Option<KeyRow>> {
    let statement = session.prepare_cached(sql!("key/revoke")).await?;
    session.query_opt(&statement, &[&name]).await?.as_ref().map(key).transpose()
}

/// The key of this hash, if it is neither revoked nor expired.
pub async fn look_up(session: &Session, hash: &[u8]) -> Result<Option<KeyRow>> {
    let statement = session.prepare_cached(sql!("key/look_up")).await?;
    session.query_opt(&statement, &[&hash]).await?.as_ref().map(key).transpose()
}

fn key(row: &Row) -> Result<KeyRow> {
    Ok(KeyRow {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        scopes: row.try_get("scopes")?,
        rate_per_second: row.try_get("rate_per_second")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
        revoked_at: row.try_get("revoked_at")?,
    })
}
