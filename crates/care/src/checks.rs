//! Every check of the doctor: one file each, beside one query in `sql/doctor` and one page in `docs/checks`.
//!
//! Not for: running them (see `doctor`).

mod archiving;
mod autovacuum_off;
mod checksums_off;
mod connection_capacity;
mod connections_near_limit;
mod constraint_not_validated;
mod database_counters;
mod dead_rows;
mod duplicate_index;
mod foreign_key_without_index;
mod idle_in_transaction;
mod index_bloat;
mod integer_key_near_end;
mod invalid_index;
mod lock_chain;
mod long_statement;
mod missing_index;
mod no_primary_key;
mod partition_default_rows;
mod partition_differs;
mod partition_gap;
mod partition_missing_next;
mod prepared_transaction;
mod replica_health;
mod replication_lag;
mod replication_slot;
mod sequence_near_end;
mod server_settings;
mod slow_query;
mod stale_statistics;
mod table_bloat;
mod trigger_disabled;
mod unique_index_broken;
mod unlogged_table;
mod unused_index;
mod vacuum_horizon;
mod wraparound;

mod bounds;
mod density;
mod indexes;
mod statements;
mod tables;

pub(crate) use invalid_index::is_of_reindex;
use posthaste_base::catalog::Name;

use crate::doctor::{Check, Facts};

/// In the order in which they are made: what hurts now comes first.
pub(crate) const ALL: &[&Check] = &[
    &lock_chain::CHECK,
    &connections_near_limit::CHECK,
    &idle_in_transaction::CHECK,
    &long_statement::CHECK,
    &prepared_transaction::CHECK,
    &vacuum_horizon::CHECK,
    &replication_lag::CHECK,
    &replication_slot::CHECK,
    &replica_health::CHECK,
    &wraparound::CHECK,
    &archiving::CHECK,
    &server_settings::CHECK,
    &checksums_off::CHECK,
    &connection_capacity::CHECK,
    &database_counters::CHECK,
    &slow_query::CHECK,
    &unused_index::CHECK,
    &duplicate_index::CHECK,
    &invalid_index::CHECK,
    &foreign_key_without_index::CHECK,
    &dead_rows::CHECK,
    &autovacuum_off::CHECK,
    &stale_statistics::CHECK,
    &unlogged_table::CHECK,
    &no_primary_key::CHECK,
    &sequence_near_end::CHECK,
    &integer_key_near_end::CHECK,
    &partition_default_rows::CHECK,
    &partition_gap::CHECK,
    &partition_missing_next::CHECK,
    &partition_differs::CHECK,
    &constraint_not_validated::CHECK,
    &trigger_disabled::CHECK,
    &table_bloat::CHECK,
    &index_bloat::CHECK,
    &missing_index::CHECK,
    &unique_index_broken::CHECK,
];

/// The quoted name of the view of pg_stat_statements, which may be in any schema.
pub(crate) fn statements_view(facts: &Facts) -> Option<String> {
    let extension = facts.extension("pg_stat_statements")?;
    Some(Name::new(extension.schema.as_str(), "pg_stat_statements").quoted())
}

#[cfg(test)]
mod tests;
