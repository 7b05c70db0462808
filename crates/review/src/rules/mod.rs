//! The rules, one file each, and what they share. Each has a page in `docs/rules`.
//!
//! A rule looks at a statement in its context and says what it found. It decides from what the statement does to the
//! database that is there, and not from its words. Not for: locks (see `model`), and sizes (see `severity`).

use posthaste_base::catalog::Name;
use posthaste_report::{Confidence, Effect, Finding, LockMode};

use crate::context::{Context, FileContext, shown, table_object};
use crate::facts::Part;
use crate::probe::Probe;
use crate::severity;
use crate::statement::Span;

macro_rules! rules {
    ($($module:ident)+) => {
        $(mod $module;)+
        /// In the order of their codes.
        pub(crate) const ALL: &[&Rule] = &[$(&$module::RULE),+];
    };
}

rules! {
    add_check
    add_column_check
    add_column_domain
    add_column_generated
    add_column_not_null
    add_column_serial
    add_column_unique
    add_column_volatile_default
    add_exclusion
    add_foreign_key
    add_unique
    attach_partition
    bulk_delete
    bulk_update
    change_type
    concurrently_on_partitioned
    constraint_before_backfill
    create_index
    create_rule
    default_partition_scan
    detach_partition
    domain_constraint
    drop_cascade
    drop_column
    drop_index
    drop_object
    drop_table
    dynamic_sql
    enable_row_security
    enforce_constraint
    enum_value_in_transaction
    fails_on_check
    fails_on_dependents
    fails_on_duplicates
    fails_on_nulls
    fails_on_orphans
    fails_on_overflow
    foreign_key_without_index
    if_not_exists_invalid_index
    ignore_unknown_rule
    ignore_unused
    ignore_without_reason
    index_before_backfill
    int4_key
    lock_queue
    lock_table
    locks_held
    missing_lock_timeout
    missing_object
    move_object
    no_inherit
    no_window
    not_approved
    not_in_transaction
    object_exists
    primary_key_using_index
    psql_command
    query_reads_added_column
    redundant_index
    refresh_materialized_view
    refused_by_server
    reindex
    rename_column
    rename_enum_value
    rename_object
    rename_table
    rewrite_table
    rewrite_under_replicas
    rollback_incomplete
    rollback_missing
    set_expression
    set_not_null
    set_null_on_not_null
    subquery_per_row
    syntax_error
    truncate
    validate_in_transaction
}

/// What a rule is.
pub(crate) struct Rule {
    /// Stable: it is an API.
    pub code: &'static str,
    /// What it says, in a line without a full stop.
    pub title: &'static str,
    pub page: &'static str,
    pub check: Check,
}

pub(crate) enum Check {
    /// Once for each statement.
    Statement(fn(&Context<'_>, &mut Findings)),
    /// Once for each file, when all of it is known.
    File(fn(&FileContext<'_>, &mut Findings)),
    /// Told of the ignores themselves, when all others are known.
    Ignores,
}

/// The page of a rule, by its code.
macro_rules! page {
    ($code:literal) => {
        include_str!(concat!("../../../../docs/rules/", $code, ".md"))
    };
}
use page;

/// A finding, with the question whose answer would settle it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found {
    pub finding: Finding,
    pub probe: Option<Probe>,
}

#[derive(Debug, Default)]
pub(crate) struct Findings(pub Vec<Found>);

impl Findings {
    pub(crate) fn push(&mut self, finding: Finding) {
        self.0.push(Found { finding, probe: None });
    }

    pub(crate) fn push_with(&mut self, finding: Finding, probe: Option<Probe>) {
        self.0.push(Found { finding, probe });
    }
}

pub(crate) use refused_by_server::known_not_immutable;

pub fn codes() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|rule| rule.code)
}

pub fn is_known(code: &str) -> bool {
    codes().any(|known| known == code)
}

/// What a rule is about, in a line, and its page.
pub fn explain(code: &str) -> Option<(&'static str, &'static str)> {
    ALL.iter().find(|rule| rule.code == code).map(|rule| (rule.title, rule.page))
}

/// What a blocking statement is called, and what to do instead.
struct Blocking<'a> {
    code: &'static str,
    span: Span,
    part: &'a Part,
    /// The beginning of the message: `adding the check \`c\``.
    what: String,
    remedy: String,
}

/// A finding for each table that is worked over under a lock that clients wait for.
fn blocking(ctx: &Context<'_>, about: &Blocking<'_>, found: &mut Findings) {
    for (table, work) in about.part.works.clone() {
        let Some(mode) = about.part.mode(&table).filter(|mode| mode.blocks_writes()) else { continue };
        let effect = work.effect();
        let Some(verdict) = ctx.judge(&table, mode, work) else { continue };
        let time =
            verdict.seconds.map_or_else(String::new, |s| format!(" for about {}", severity::duration(s)));
        let message = format!(
            "{} {} {} under {mode}{time}: {} wait",
            about.what,
            if effect == Effect::Rewrite { "rewrites" } else { "reads all of" },
            shown(&table),
            waiters(mode)
        );
        let mut finding = ctx.verdict(about.code, about.span, verdict, message);
        finding.object = table_object(&table);
        finding.effect = effect;
        finding.locks.clone_from(&about.part.locks);
        if !about.part.depends_on.is_empty() {
            finding.confidence = Confidence::Possible;
            finding.depends_on.extend(about.part.depends_on.iter().cloned());
        }
        finding.remedy = crate::context::remedy(about.remedy.clone());
        found.push(finding);
    }
}

/// Who waits for a lock of that mode.
fn waiters(mode: LockMode) -> &'static str {
    if mode.blocks_reads() { "readers and writers" } else { "writers" }
}

/// The other tables of a list of locks, for messages: what else is locked so that writers wait.
fn also_locked(part: &Part, but: &Name) -> Vec<String> {
    let others = part.tables().into_iter().filter(|(name, mode)| name != but && mode.blocks_writes());
    others.map(|(name, _)| shown(&name)).collect()
}

#[cfg(test)]
mod tests;
