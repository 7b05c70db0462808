//! The failure mode that is switched on: one row for all nodes.
//!
//! Not for: what a mode does.

use crate::{Result, Session, sql};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeRow {
    pub mode: String,
    pub seed: i64,
    pub percent: i16,
    pub delay_ms: i32,
    pub endpoint: Option<String>,
}

/// None when none was ever set.
pub async fn get(session: &Session) -> Result<Option<ModeRow>> {
    let statement = session.prepare_cached(sql!("mode/get")).await?;
    let Some(row) = session.query_opt(&statement, &[]).await? else { return Ok(None) };
    Ok(Some(ModeRow {
        mode: row.try_get("mode")?,
        seed: row.try_get("seed")?,
        percent: row.try_get("percent")?,
        delay_ms: row.try_get("delay_ms")?,
        endpoint: row.try_get("endpoint")?,
    }))
}

pub async fn set(session: &Session, mode: &ModeRow) -> Result<()> {
    let statement = session.prepare_cached(sql!("mode/set")).await?;
    let ModeRow { mode, seed, percent, delay_ms, endpoint } = mode;
    session.execute(&statement, &[&mode, &seed, &percent, &delay_ms, &endpoint]).await?;
    Ok(())
}
