//! What is wrong with the broken database, as data.
//!
//! Not for: how it came there (see broken.sql).

/// A fault: the check that must see it, and the table or name by which it does.
pub(crate) struct Fault {
    pub code: &'static str,
    pub table: Option<&'static str>,
    pub name: Option<&'static str>,
    /// Exact numbers that the finding must give.
    pub counts: &'static [(&'static str, i64)],
}

const fn on(code: &'static str, table: &'static str) -> Fault {
    Fault { code, table: Some(table), name: None, counts: &[] }
}

const fn named(code: &'static str, name: &'static str) -> Fault {
    Fault { code, table: None, name: Some(name), counts: &[] }
}

const fn exactly(mut fault: Fault, counts: &'static [(&'static str, i64)]) -> Fault {
    fault.counts = counts;
    fault
}

pub(crate) const WEIRD: &str = "a\nb; drop table x --";
pub(crate) const LONG: &str = "sixty_three_bytes_of_a_name_so_that_every_new_one_must_be_cut_x";

pub(crate) const FAULTS: &[Fault] = &[
    named("duplicate-index", "customer_email_idx"),
    named("duplicate-index", "order_status_b"),
    named("duplicate-index", "order_placed"),
    named("duplicate-index", "kind \"two\""),
    exactly(named("foreign-key-without-index", "order_customer_fkey"), &[("rows", 120_000)]),
    exactly(named("foreign-key-without-index", "item_order_fkey"), &[("rows", 30_000)]),
    exactly(named("foreign-key-without-index", "fk \"ü\""), &[("rows", 15_000)]),
    exactly(on("dead-rows", "telemetry"), &[("dead", 30_000), ("live", 30_000)]),
    exactly(on("dead-rows", "archive"), &[("dead", 450_000), ("live", 50_000)]),
    on("autovacuum-off", "trip"),
    exactly(on("stale-statistics", "fuel"), &[("modified", 15_000)]),
    exactly(on("stale-statistics", "vehicle"), &[("modified", 12_000), ("rows", 15_000)]),
    exactly(on("stale-statistics", "telemetry"), &[("modified", 30_000)]),
    exactly(on("stale-statistics", "archive"), &[("modified", 450_000)]),
    on("unlogged-table", "invoice"),
    exactly(on("no-primary-key", "log"), &[("rows", 2_000)]),
    on("no-primary-key", "job"),
    on("no-primary-key", "setting"),
    on("table-bloat", "archive"),
    exactly(named("sequence-near-end", "ticket_nr"), &[("last_value", 992), ("left", 8)]),
    exactly(named("sequence-near-end", "counter_seq"), &[("end", 2_147_483_647)]),
    exactly(on("integer-key-near-end", "legacy"), &[("highest", 2_120_000_000)]),
    exactly(on("partition-default-rows", "event_rest"), &[("rows", 8_009)]),
    named("partition-gap", "event_2025_02"),
    on("partition-missing-next", "job"),
    exactly(on("partition-differs", "event_2025_04"), &[("with", 2), ("without", 1)]),
    named("invalid-index", "event_id"),
    named("invalid-index", "vehicle_model_ccnew"),
    named("invalid-index", "position_place"),
    named("constraint-not-validated", "driver_name_check"),
    named("constraint-not-validated", "trip_vehicle_fkey"),
    named("trigger-disabled", "stamp_position"),
    named("trigger-disabled", "repair_vehicle_fkey"),
    named("trigger-disabled", "session_replication_role"),
    named("unique-index-broken", "member_email_key"),
    named("replication-slot", "lost_standby"),
    exactly(on("missing-index", "position"), &[("rows", 150_000)]),
    on("missing-index", "Order"),
    Fault { code: "slow-query", table: None, name: None, counts: &[("calls", 3)] },
    named("prepared-transaction", "it's forgotten"),
    Fault { code: "idle-in-transaction", table: None, name: None, counts: &[("blocks", 1)] },
    Fault { code: "lock-chain", table: Some("vehicle"), name: None, counts: &[("waiting", 1)] },
    Fault { code: "connections-near-limit", table: None, name: Some("broken"), counts: &[("limit", 3)] },
];
