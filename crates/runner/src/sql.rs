//! The statements of the runner, each in a file of its own under `sql/`.
//!
//! Not for: composing them (see `key`), and for running them.

pub(crate) mod ground {
    pub(crate) const CREATE_CONTROL: &str = include_str!("../sql/ground/create_control.sql");
    pub(crate) const CREATE_HOLDER: &str = include_str!("../sql/ground/create_holder.sql");
    pub(crate) const CREATE_NOTE: &str = include_str!("../sql/ground/create_note.sql");
    pub(crate) const CREATE_PUT_OFF: &str = include_str!("../sql/ground/create_put_off.sql");
    pub(crate) const CREATE_RUN: &str = include_str!("../sql/ground/create_run.sql");
    pub(crate) const CREATE_SCHEMA: &str = include_str!("../sql/ground/create_schema.sql");
    pub(crate) const CREATE_STEP: &str = include_str!("../sql/ground/create_step.sql");
    pub(crate) const EXISTS: &str = include_str!("../sql/ground/exists.sql");
    pub(crate) const FACTS: &str = include_str!("../sql/ground/facts.sql");
    pub(crate) const RIGHTS: &str = include_str!("../sql/ground/rights.sql");
}

pub(crate) mod journal {
    pub(crate) const ADVANCE: &str = include_str!("../sql/journal/advance.sql");
    pub(crate) const ADVANCE_PUT_OFF: &str = include_str!("../sql/journal/advance_put_off.sql");
    pub(crate) const BEGIN_STEP: &str = include_str!("../sql/journal/begin_step.sql");
    pub(crate) const BEGIN_UNDO: &str = include_str!("../sql/journal/begin_undo.sql");
    pub(crate) const COUNT_BATCH: &str = include_str!("../sql/journal/count_batch.sql");
    pub(crate) const COUNT_UNDONE: &str = include_str!("../sql/journal/count_undone.sql");
    pub(crate) const DROP_PUT_OFF: &str = include_str!("../sql/journal/drop_put_off.sql");
    pub(crate) const FAIL_STEP: &str = include_str!("../sql/journal/fail_step.sql");
    pub(crate) const FENCE: &str = include_str!("../sql/journal/fence.sql");
    pub(crate) const FIND: &str = include_str!("../sql/journal/find.sql");
    pub(crate) const FINISH_STEP: &str = include_str!("../sql/journal/finish_step.sql");
    pub(crate) const FINISH_UNDO: &str = include_str!("../sql/journal/finish_undo.sql");
    pub(crate) const FORGET_PUT_OFF: &str = include_str!("../sql/journal/forget_put_off.sql");
    pub(crate) const INSERT_CONTROL: &str = include_str!("../sql/journal/insert_control.sql");
    pub(crate) const INSERT_RUN: &str = include_str!("../sql/journal/insert_run.sql");
    pub(crate) const INSERT_STEPS: &str = include_str!("../sql/journal/insert_steps.sql");
    pub(crate) const LIST_RUNS: &str = include_str!("../sql/journal/list_runs.sql");
    pub(crate) const NEXT_PUT_OFF: &str = include_str!("../sql/journal/next_put_off.sql");
    pub(crate) const NOTE: &str = include_str!("../sql/journal/note.sql");
    pub(crate) const PUT_OFF: &str = include_str!("../sql/journal/put_off.sql");
    pub(crate) const READ_NOTES: &str = include_str!("../sql/journal/read_notes.sql");
    pub(crate) const READ_RUN: &str = include_str!("../sql/journal/read_run.sql");
    pub(crate) const READ_STEPS: &str = include_str!("../sql/journal/read_steps.sql");
    pub(crate) const SET_LEFT: &str = include_str!("../sql/journal/set_left.sql");
    pub(crate) const SET_SPEED: &str = include_str!("../sql/journal/set_speed.sql");
    pub(crate) const SET_STATE: &str = include_str!("../sql/journal/set_state.sql");
    pub(crate) const SET_WISH: &str = include_str!("../sql/journal/set_wish.sql");
    pub(crate) const SKIP_TO: &str = include_str!("../sql/journal/skip_to.sql");
    pub(crate) const START_PASS: &str = include_str!("../sql/journal/start_pass.sql");
    pub(crate) const TAKE: &str = include_str!("../sql/journal/take.sql");
    pub(crate) const UNFINISHED: &str = include_str!("../sql/journal/unfinished.sql");
}

pub(crate) mod session {
    pub(crate) const BEAT: &str = include_str!("../sql/session/beat.sql");
    pub(crate) const CANCEL: &str = include_str!("../sql/session/cancel.sql");
    pub(crate) const HOLD: &str = include_str!("../sql/session/hold.sql");
    pub(crate) const HOLDER: &str = include_str!("../sql/session/holder.sql");
    pub(crate) const IDENTITY: &str = include_str!("../sql/session/identity.sql");
    pub(crate) const IS_LOCKED_OUT: &str = include_str!("../sql/session/is_locked_out.sql");
    pub(crate) const IS_THERE: &str = include_str!("../sql/session/is_there.sql");
    pub(crate) const LET_GO: &str = include_str!("../sql/session/let_go.sql");
    pub(crate) const LOCK_OUT: &str = include_str!("../sql/session/lock_out.sql");
    pub(crate) const SETTLE: &str = include_str!("../sql/session/settle.sql");
    pub(crate) const TERMINATE: &str = include_str!("../sql/session/terminate.sql");
    pub(crate) const UNLOCK: &str = include_str!("../sql/session/unlock.sql");
}

pub(crate) mod table {
    pub(crate) const ACTIVITY: &str = include_str!("../sql/table/activity.sql");
    pub(crate) const BOUNDARY: &str = include_str!("../sql/table/boundary.sql");
    pub(crate) const BUILDERS: &str = include_str!("../sql/table/builders.sql");
    pub(crate) const DROP_INDEX: &str = include_str!("../sql/table/drop_index.sql");
    pub(crate) const FACTS: &str = include_str!("../sql/table/facts.sql");
    pub(crate) const HAS_ORDER: &str = include_str!("../sql/table/has_order.sql");
    pub(crate) const INDEX: &str = include_str!("../sql/table/index.sql");
    pub(crate) const KEY: &str = include_str!("../sql/table/key.sql");
    pub(crate) const PAGES: &str = include_str!("../sql/table/pages.sql");
    pub(crate) const REINDEX_LEFTOVERS: &str = include_str!("../sql/table/reindex_leftovers.sql");
}

pub(crate) mod watch {
    pub(crate) const ARCHIVE_BACKLOG: &str = include_str!("../sql/watch/archive_backlog.sql");
    pub(crate) const ARCHIVER: &str = include_str!("../sql/watch/archiver.sql");
    pub(crate) const BLOCKING: &str = include_str!("../sql/watch/blocking.sql");
    pub(crate) const IN_THE_WAY: &str = include_str!("../sql/watch/in_the_way.sql");
    pub(crate) const INDEX_PROGRESS: &str = include_str!("../sql/watch/index_progress.sql");
    pub(crate) const NOW: &str = include_str!("../sql/watch/now.sql");
    pub(crate) const OLD_TRANSACTIONS: &str = include_str!("../sql/watch/old_transactions.sql");
    pub(crate) const OLDEST_TRANSACTION: &str = include_str!("../sql/watch/oldest_transaction.sql");
    pub(crate) const REPLICAS: &str = include_str!("../sql/watch/replicas.sql");
    pub(crate) const WAITING: &str = include_str!("../sql/watch/waiting.sql");
    pub(crate) const WAITING_FOR_US: &str = include_str!("../sql/watch/waiting_for_us.sql");
    pub(crate) const WAL_POSITION: &str = include_str!("../sql/watch/wal_position.sql");
}

/// A template without its comments: what is put in could end them.
pub(crate) fn without_header(template: &str) -> String {
    template.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n")
}
