//! Rows for partitions and inheritance.
//!
//! Not for: statements that only reach partitions through their parent.

use super::super::form::{Block, Form, Source, Whom::*, always, since, until};
use super::{ALTER_TABLE, form, working};
use posthaste_report::LockMode::*;

const CREATE_TABLE: Source = Source::Documentation("CREATE TABLE");
const MEASURED: Source = Source::Measured;

pub(in crate::model) static CREATE_PARTITION: Form = working(
    "CREATE TABLE ... PARTITION OF",
    &[
        always(Parent, AccessExclusive),
        always(ParentIndexes, ShareUpdateExclusive),
        always(Default, AccessExclusive),
        // Foreign keys of the parent are made again.
        always(Referenced, ShareRowExclusive),
        since(16, ReferencedIndex, AccessShare),
        until(14, Referencing, AccessShare),
        since(15, Referencing, ShareRowExclusive),
    ],
    "the default partition, if there is one, is scanned, unless a validated CHECK proves that none of its rows belong \
     to the new one",
    CREATE_TABLE,
);
pub(in crate::model) static ATTACH: Form = working(
    "ATTACH PARTITION",
    &[
        always(Named, ShareUpdateExclusive),
        always(ParentIndexes, ShareUpdateExclusive),
        always(Partition, AccessExclusive),
        always(Default, AccessExclusive),
        // Those above the parent, when it is a partition itself.
        always(Parent, AccessShare),
        always(Referenced, ShareRowExclusive),
        since(16, ReferencedIndex, AccessShare),
        until(14, Referencing, AccessShare),
        since(15, Referencing, ShareRowExclusive),
    ],
    "scan, unless a validated CHECK proves the bounds; indexes that the parent has and the partition has not are built; \
     the default partition is scanned, unless a CHECK proves that none of its rows belong here; a foreign key of \
     the parent is checked",
    ALTER_TABLE,
);
/// The rows of the new partition are checked against the parent's foreign keys.
pub(in crate::model) static ATTACH_CHECKS_KEYS: Form = form(
    "ATTACH PARTITION to a table with a foreign key: the indexes that are read",
    &[always(Indexes, AccessShare), always(OtherIndexes, AccessShare)],
    MEASURED,
);
/// The triggers of the partition's own key go from the table to which it refers.
pub(in crate::model) static ATTACH_TAKES_KEYS: Form = form(
    "ATTACH PARTITION of a table that has the parent's foreign key already: the referenced table",
    &[always(Referenced, AccessExclusive)],
    MEASURED,
);
pub(in crate::model) static DETACH: Form = working(
    "DETACH PARTITION",
    &[
        always(Named, AccessExclusive),
        until(13, Partition, ShareUpdateExclusive),
        since(14, Partition, AccessExclusive),
        always(Index, AccessExclusive),
        always(Default, AccessExclusive),
        always(Referenced, ShareRowExclusive),
        always(Referencing, AccessExclusive),
        always(OtherIndexes, AccessShare),
    ],
    "tables that refer to the parent are scanned for rows of the partition",
    ALTER_TABLE,
);
/// The keys of others refer to it, so that it is locked as if they were dropped.
pub(in crate::model) static DETACH_REFERENCED: Form = form(
    "DETACH PARTITION of a table to which others refer: the partition",
    &[always(Partition, AccessExclusive)],
    MEASURED,
);
pub(in crate::model) static DETACH_CONCURRENTLY: Form = Form {
    block: Block::Refused,
    since: 14,
    ..form(
        "DETACH PARTITION CONCURRENTLY",
        &[
            always(Named, ShareUpdateExclusive),
            always(Partition, AccessExclusive),
            always(Index, AccessExclusive),
        ],
        ALTER_TABLE,
    )
};
pub(in crate::model) static DETACH_FINALIZE: Form = Form {
    since: 14,
    ..form(
        "DETACH PARTITION FINALIZE",
        &[
            always(Named, ShareUpdateExclusive),
            always(Partition, AccessExclusive),
            always(Index, AccessExclusive),
        ],
        ALTER_TABLE,
    )
};
pub(in crate::model) static INHERIT: Form =
    form("INHERIT", &[always(Named, AccessExclusive), always(Parent, ShareUpdateExclusive)], ALTER_TABLE);
pub(in crate::model) static NO_INHERIT: Form =
    form("NO INHERIT", &[always(Named, AccessExclusive), always(Parent, AccessShare)], ALTER_TABLE);
pub(in crate::model) static CREATE_INHERITS: Form =
    form("CREATE TABLE ... INHERITS", &[always(Parent, ShareUpdateExclusive)], MEASURED);

pub(in crate::model) static FORMS: &[&Form] = &[
    &CREATE_PARTITION,
    &ATTACH,
    &ATTACH_CHECKS_KEYS,
    &ATTACH_TAKES_KEYS,
    &DETACH,
    &DETACH_REFERENCED,
    &DETACH_CONCURRENTLY,
    &DETACH_FINALIZE,
    &INHERIT,
    &NO_INHERIT,
    &CREATE_INHERITS,
];
