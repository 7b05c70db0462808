//! The server: its settings, who is connected, who replicates, and how much is written.
//!
//! Not for: what is in the database.

use std::collections::HashMap;

use posthaste_base::catalog::{Catalog, Replica};

use super::get;
use super::reader::Reader;
use crate::{Result, Visit};

/// Settings that a review, a check or a plan asks for.
const SETTINGS: &[&str] = &[
    "TimeZone",
    "archive_command",
    "archive_mode",
    "autovacuum",
    "autovacuum_analyze_scale_factor",
    "autovacuum_freeze_max_age",
    "autovacuum_max_workers",
    "autovacuum_multixact_freeze_max_age",
    "autovacuum_naptime",
    "autovacuum_vacuum_cost_delay",
    "autovacuum_vacuum_cost_limit",
    "autovacuum_vacuum_insert_scale_factor",
    "autovacuum_vacuum_insert_threshold",
    "autovacuum_vacuum_scale_factor",
    "autovacuum_vacuum_threshold",
    "block_size",
    "checkpoint_timeout",
    "data_checksums",
    "deadlock_timeout",
    "default_table_access_method",
    "default_toast_compression",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "effective_cache_size",
    "full_page_writes",
    "hot_standby_feedback",
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    "log_lock_waits",
    "log_min_duration_statement",
    "maintenance_work_mem",
    "max_connections",
    "max_locks_per_transaction",
    "max_parallel_maintenance_workers",
    "max_prepared_transactions",
    "max_replication_slots",
    "max_slot_wal_keep_size",
    "max_standby_streaming_delay",
    "max_wal_size",
    "random_page_cost",
    "reserved_connections",
    "row_security",
    "server_encoding",
    "session_replication_role",
    "shared_buffers",
    "shared_preload_libraries",
    "statement_timeout",
    "superuser_reserved_connections",
    "synchronous_commit",
    "synchronous_standby_names",
    "temp_file_limit",
    "track_activities",
    "track_counts",
    "transaction_timeout",
    "vacuum_cost_delay",
    "wal_level",
    "work_mem",
];

/// Reads it, and answers the size of a block.
pub(super) async fn read(reader: &mut Reader<'_>, catalog: &mut Catalog) -> Result<u64> {
    let row = reader.visit.query_one(include_str!("../../sql/catalog/server.sql"), &[]).await?;
    let server = &mut catalog.server;
    let count = |value: i32| u32::try_from(value).unwrap_or_default();
    server.version_num = count(get(&row, "version_num")?);
    server.database = get(&row, "database")?;
    server.read_at = get(&row, "read_at")?;
    server.is_replica = get(&row, "is_replica")?;
    server.connections_max = Some(count(get(&row, "connections_max")?));
    server.connections = get::<Option<i32>>(&row, "backends")?.map(count);
    server.counted_since = get(&row, "counted_since")?;
    catalog.search_path = get(&row, "search_path")?;
    let block_bytes = u64::from(count(get(&row, "block_bytes")?));

    let sql = include_str!("../../sql/catalog/settings.sql");
    for row in reader.rows("settings", sql, &[&SETTINGS]).await? {
        catalog.server.settings.insert(get(&row, "name")?, get(&row, "value")?);
    }
    read_sessions(reader, catalog).await?;
    read_replicas(reader, catalog).await?;
    Ok(block_bytes)
}

/// A role that does not see others' sessions gets no age, for the oldest one may be hidden.
async fn read_sessions(reader: &mut Reader<'_>, catalog: &mut Catalog) -> Result<()> {
    let sql = include_str!("../../sql/catalog/sessions.sql");
    for row in reader.rows("sessions", sql, &[]).await? {
        if get::<i32>(&row, "hidden")? > 0 {
            reader.unread(
                "the age of open transactions: other sessions are hidden from this role, grant it pg_monitor",
            );
            continue;
        }
        catalog.server.connections = u32::try_from(get::<i32>(&row, "clients")?).ok();
        let age_ms = get::<Option<i64>>(&row, "longest_transaction_ms")?.unwrap_or_default();
        catalog.server.longest_transaction_ms = Some(u64::try_from(age_ms).unwrap_or_default());
    }
    Ok(())
}

async fn read_replicas(reader: &mut Reader<'_>, catalog: &mut Catalog) -> Result<()> {
    let positive = |value: Option<i64>| value.map(|value| u64::try_from(value).unwrap_or_default());
    let sql = include_str!("../../sql/catalog/replicas.sql");
    for row in reader.rows("replicas", sql, &[]).await? {
        if get(&row, "is_hidden")? {
            reader.unread("the lag of replicas: it is hidden from this role, grant it pg_monitor");
        }
        catalog.server.replicas.push(Replica {
            name: get::<Option<String>>(&row, "name")?.unwrap_or_default(),
            lag_bytes: positive(get(&row, "lag_bytes")?),
            lag_ms: positive(get(&row, "lag_ms")?),
        });
    }
    Ok(())
}

/// Counters at one time; two of these make a rate.
pub(super) struct Sample {
    at_ms: i64,
    wal_bytes: Option<i64>,
    writes: HashMap<u32, i64>,
}

impl Sample {
    /// Outside of a transaction, in which the counters would stand still.
    pub(super) async fn take(visit: &Visit) -> Result<Self> {
        let rows = visit.query(include_str!("../../sql/catalog/write_counts.sql"), &[]).await?;
        let writes = rows
            .iter()
            .map(|row| Ok((get(row, "oid")?, get::<Option<i64>>(row, "writes")?.unwrap_or_default())))
            .collect::<Result<_>>()?;
        let row = visit.query_one(include_str!("../../sql/catalog/wal_position.sql"), &[]).await?;
        Ok(Self { at_ms: get(&row, "at_ms")?, wal_bytes: get(&row, "bytes")?, writes })
    }

    pub(super) fn compare(&self, before: &Self, catalog: &mut Catalog) {
        let seconds = (self.at_ms - before.at_ms) as f64 / 1000.0;
        if seconds <= 0.0 {
            return;
        }
        if let (Some(after), Some(before)) = (self.wal_bytes, before.wal_bytes) {
            catalog.server.wal_bytes_per_s = Some(((after - before).max(0) as f64 / seconds) as u64);
        }
        for relation in &mut catalog.relations {
            if let (Some(after), Some(before)) =
                (self.writes.get(&relation.oid), before.writes.get(&relation.oid))
            {
                relation.activity.writes_per_s = Some((after - before).max(0) as f64 / seconds);
            }
        }
    }
}
