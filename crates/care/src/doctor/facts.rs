//! What every judge may ask about the server, the role and the database; read once, before the checks.
//!
//! Not for: numbers that only one check needs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::{Declared, Snapshot};

#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Facts {
    pub version_num: u32,
    pub version: String,
    pub database: String,
    pub role_name: String,
    pub reads_all_stats: bool,
    pub is_replica: bool,
    pub now_s: f64,
    pub up_s: Option<f64>,
    /// Since the counters of this database were reset; not there when nobody knows.
    pub counters_age_s: Option<f64>,
    pub block_bytes: i64,
    #[serde(default)]
    pub settings: BTreeMap<String, Setting>,
    #[serde(default)]
    pub extensions: BTreeMap<String, Extension>,
    /// Tables and indexes of this database that somebody locks exclusively, or waits to.
    #[serde(default)]
    pub exclusively_locked: Vec<i64>,
    #[serde(default)]
    pub replicas: i64,
    #[serde(skip)]
    pub thresholds: Thresholds,
    /// What was counted earlier, to be subtracted.
    #[serde(skip)]
    pub baseline: Option<Arc<Snapshot>>,
    #[serde(skip)]
    pub declared: Declared,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Setting {
    pub value: Option<String>,
    pub unit: Option<String>,
    pub source: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Extension {
    pub schema: String,
}

/// From when on something is worth a word. The pages in `docs/checks/` say where each number comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Thresholds {
    pub long_statement_s: f64,
    pub idle_in_transaction_s: f64,
    pub prepared_transaction_s: f64,
    /// Of the connections that ordinary roles may use.
    pub connections_share: f64,
    pub slow_mean_ms: f64,
    pub slow_calls_min: i64,
    /// Below it, a table is read as quickly without an index.
    pub table_rows_min: f64,
    pub dead_rows_min: i64,
    pub dead_share: f64,
    pub modified_share: f64,
    pub modified_rows_min: i64,
    pub bloat_share: f64,
    pub bloat_bytes_min: i64,
    /// Counters younger than this say little about what is not used.
    pub unused_counters_s: f64,
    pub run_out_share: f64,
    pub replication_lag_s: f64,
    pub replication_lag_bytes: i64,
    pub slot_bytes: i64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            long_statement_s: 300.0,
            idle_in_transaction_s: 60.0,
            prepared_transaction_s: 300.0,
            connections_share: 0.8,
            slow_mean_ms: 100.0,
            slow_calls_min: 2,
            table_rows_min: 1_000.0,
            dead_rows_min: 10_000,
            dead_share: 0.2,
            modified_share: 0.2,
            modified_rows_min: 1_000,
            bloat_share: 0.4,
            bloat_bytes_min: 10 << 20,
            unused_counters_s: 7.0 * 86_400.0,
            run_out_share: 0.75,
            replication_lag_s: 10.0,
            replication_lag_bytes: 64 << 20,
            slot_bytes: 1 << 30,
        }
    }
}

impl Facts {
    pub(crate) fn major(&self) -> u32 {
        self.version_num / 10_000
    }

    pub(crate) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name)?.value.as_deref()
    }

    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.setting(name)?.parse().ok()
    }

    /// Of a setting that is a size, whatever its unit.
    pub(crate) fn bytes(&self, name: &str) -> Option<i64> {
        let unit = match self.settings.get(name)?.unit.as_deref() {
            None | Some("B") => 1,
            Some("kB") => 1 << 10,
            Some("8kB") => self.block_bytes,
            Some("MB") => 1 << 20,
            Some("16MB") => 16 << 20,
            Some(_) => return None,
        };
        Some(self.number(name)? as i64 * unit)
    }

    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.setting(name) == Some("on")
    }

    pub(crate) fn extension(&self, name: &str) -> Option<&Extension> {
        self.extensions.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        let json = serde_json::json!({
            "version_num": 150018, "version": "15.18", "database": "d", "role_name": "r", "reads_all_stats": true, "is_replica": false, "now_s": 1.0, "up_s": 1.0,
            "counters_age_s": null, "block_bytes": 8192, "replicas": 0, "exclusively_locked": [7],
            "settings": {"shared_buffers": {"value": "16384", "unit": "8kB", "source": "default"},
                         "work_mem": {"value": "4096", "unit": "kB", "source": "default"},
                         "fsync": {"value": "on", "unit": null, "source": "default"}},
        });
        let facts: Facts = serde_json::from_value(json).unwrap();
        assert_eq!(facts.bytes("shared_buffers"), Some(128 << 20));
        assert_eq!(facts.bytes("work_mem"), Some(4 << 20));
        assert!(facts.is_on("fsync") && facts.exclusively_locked == [7]);
        assert_eq!(facts.major(), 15);
    }
}
