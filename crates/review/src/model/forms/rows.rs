//! Rows for statements that read and write rows, and for LOCK TABLE.
//!
//! Not for: how much of a table they touch, which is their plan's choice.

use super::super::form::{Form, Source, Whom::*, always, since, until};
use super::{CHAPTER, form};
use posthaste_report::LockMode::*;

const MEASURED: Source = Source::Measured;

/// Planning a query opens the indexes of each table in the mode of the table; from 16 on those of a partitioned
/// table too.
pub(in crate::model) static SELECT: Form = form(
    "SELECT",
    &[
        always(Read, AccessShare),
        always(Descendants, AccessShare),
        always(Indexes, AccessShare),
        since(16, ParentIndexes, AccessShare),
    ],
    CHAPTER,
);
pub(in crate::model) static SELECT_FOR_UPDATE: Form = form(
    "SELECT ... FOR UPDATE, NO KEY UPDATE, SHARE, KEY SHARE",
    &[
        always(Read, RowShare),
        always(Descendants, RowShare),
        always(Indexes, RowShare),
        since(16, ParentIndexes, RowShare),
    ],
    CHAPTER,
);
pub(in crate::model) static INSERT: Form = form(
    "INSERT, COPY FROM",
    // The partition that a row goes to; the parent of a partition that is named.
    &[always(Written, RowExclusive), always(Partitions, RowExclusive), always(Parent, AccessShare)],
    CHAPTER,
);
pub(in crate::model) static INSERT_ON_CONFLICT_UPDATE: Form =
    form("INSERT ... ON CONFLICT DO UPDATE: the indexes", &[always(Indexes, RowExclusive)], MEASURED);
pub(in crate::model) static UPDATE: Form = form(
    "UPDATE, DELETE, MERGE",
    &[
        always(Written, RowExclusive),
        always(Descendants, RowExclusive),
        always(Indexes, RowExclusive),
        since(16, ParentIndexes, RowExclusive),
        // Of a partition that is named.
        until(13, Parent, AccessShare),
    ],
    CHAPTER,
);
/// When rows are written, the other side of a foreign key is looked up.
pub(in crate::model) static KEY_CHECK: Form = form(
    "the other side of a foreign key, of rows that are written",
    &[always(Referenced, RowShare), always(Referencing, RowShare), always(OtherIndexes, RowShare)],
    MEASURED,
);
pub(in crate::model) static KEY_CASCADE: Form = form(
    "the other side of a foreign key with CASCADE, SET NULL, SET DEFAULT",
    &[always(Referencing, RowExclusive), always(OtherIndexes, RowExclusive)],
    MEASURED,
);
pub(in crate::model) static COPY_TO: Form =
    form("COPY table TO, PREPARE", &[always(Read, AccessShare)], CHAPTER);
pub(in crate::model) static LOCK_TABLE: Form = form(
    // The mode is that of the statement.
    "LOCK TABLE",
    &[],
    Source::Documentation("LOCK"),
);

pub(in crate::model) static FORMS: &[&Form] = &[
    &SELECT,
    &SELECT_FOR_UPDATE,
    &INSERT,
    &INSERT_ON_CONFLICT_UPDATE,
    &UPDATE,
    &KEY_CHECK,
    &KEY_CASCADE,
    &COPY_TO,
    &LOCK_TABLE,
];
