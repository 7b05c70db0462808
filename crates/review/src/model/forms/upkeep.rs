//! Rows for indexes, and for VACUUM, CLUSTER and their like.
//!
//! Not for: constraints that bring an index along (`alter_table`).

use super::super::form::{Block, Form, Source, Whom::*, always, between, since, until};
use super::{CHAPTER, form, working};
use posthaste_report::LockMode::*;

const MEASURED: Source = Source::Measured;
const CREATE: Source = Source::Documentation("CREATE INDEX");
const DROP: Source = Source::Documentation("DROP INDEX");
const ALTER: Source = Source::Documentation("ALTER INDEX");
const REINDEX_PAGE: Source = Source::Documentation("REINDEX");

pub(in crate::model) static CREATE_INDEX: Form = working(
    "CREATE INDEX",
    // An index of a partition that fits is attached.
    &[always(Named, Share), always(Partitions, Share), always(Index, Share)],
    "scan, and the index is built; nothing for ONLY on a partitioned table, and with IF NOT EXISTS when it does",
    CREATE,
);
pub(in crate::model) static CREATE_INDEX_CONCURRENTLY: Form = Form {
    block: Block::Refused,
    ..working(
        "CREATE INDEX CONCURRENTLY",
        &[always(Named, ShareUpdateExclusive)],
        "two scans, and waits for the transactions that are open; refused on a partitioned table",
        CREATE,
    )
};
pub(in crate::model) static DROP_INDEX: Form = form(
    "DROP INDEX",
    &[
        always(Named, AccessExclusive),
        always(Indexes, AccessExclusive),
        // The tables of the indexes.
        always(Written, AccessExclusive),
    ],
    DROP,
);
pub(in crate::model) static DROP_INDEX_CONCURRENTLY: Form = Form {
    block: Block::Refused,
    ..form(
        "DROP INDEX CONCURRENTLY",
        // The index is dead to all others before it goes, so that its last lock meets nobody.
        &[always(Named, ShareUpdateExclusive), always(Written, ShareUpdateExclusive)],
        DROP,
    )
};
pub(in crate::model) static RENAME_INDEX: Form =
    form("ALTER INDEX RENAME", &[always(Named, ShareUpdateExclusive)], ALTER);
/// Written as ALTER TABLE, which does not know that it is an index when it takes the lock.
pub(in crate::model) static RENAME_INDEX_AS_TABLE: Form =
    form("ALTER TABLE index RENAME", &[always(Named, AccessExclusive)], MEASURED);
pub(in crate::model) static INDEX_OPTIONS: Form =
    form("ALTER INDEX SET or RESET (option)", &[always(Named, ShareUpdateExclusive)], ALTER);
pub(in crate::model) static INDEX_STATISTICS: Form =
    form("ALTER INDEX ALTER COLUMN SET STATISTICS", &[always(Named, ShareUpdateExclusive)], ALTER);
pub(in crate::model) static INDEX_TABLESPACE: Form = working(
    "ALTER INDEX SET TABLESPACE",
    &[always(Named, AccessExclusive)],
    "its file is copied, unless it is there already",
    ALTER,
);
pub(in crate::model) static INDEX_DEPENDS: Form =
    form("ALTER INDEX DEPENDS ON EXTENSION", &[always(Named, AccessExclusive)], MEASURED);
pub(in crate::model) static ATTACH_INDEX: Form = form(
    "ALTER INDEX ATTACH PARTITION",
    &[
        always(Named, ShareUpdateExclusive),
        always(Index, AccessExclusive),
        // The tables of both.
        always(Read, AccessShare),
    ],
    ALTER,
);
pub(in crate::model) static REINDEX: Form = Form {
    block: Block::Allowed,
    ..working(
        "REINDEX INDEX, REINDEX TABLE",
        &[always(Written, Share), always(Index, AccessExclusive)],
        "scan, and the indexes are built anew",
        REINDEX_PAGE,
    )
};
pub(in crate::model) static REINDEX_PARTITIONED: Form = Form {
    block: Block::RefusedFrom(14),
    since: 14,
    ..working(
        "REINDEX of a partitioned table or index",
        &[
            always(Named, Share),
            since(14, ParentIndexes, AccessExclusive),
            since(14, Partitions, Share),
            since(14, Index, AccessExclusive),
        ],
        "each partition in its own transaction: scan, and the indexes are built anew; before 14 nothing is done",
        REINDEX_PAGE,
    )
};
/// The list of partitions is made under SHARE, which is given back at once but waits for all that write.
pub(in crate::model) static REINDEX_PARTITIONED_CONCURRENTLY: Form = Form {
    block: Block::Refused,
    ..working(
        "REINDEX CONCURRENTLY of a partitioned table or index",
        &[
            always(Named, ShareUpdateExclusive),
            since(14, ParentIndexes, ShareUpdateExclusive),
            // Of a table SHARE is on the partitions, and of an index on their indexes.
            since(14, Partitions, Share),
            since(14, Index, Share),
            since(14, Written, ShareUpdateExclusive),
            since(14, Indexes, ShareUpdateExclusive),
        ],
        "each partition by itself, as REINDEX CONCURRENTLY; before 14 nothing is done",
        MEASURED,
    )
};
pub(in crate::model) static REINDEX_ALL: Form = Form {
    block: Block::Refused,
    ..working(
        "REINDEX SCHEMA, DATABASE, SYSTEM",
        &[always(Written, Share), always(Index, AccessExclusive)],
        "each table in its own transaction: scan, and the indexes are built anew",
        REINDEX_PAGE,
    )
};
pub(in crate::model) static REINDEX_CONCURRENTLY: Form = Form {
    block: Block::Refused,
    ..working(
        "REINDEX CONCURRENTLY",
        &[always(Written, ShareUpdateExclusive), always(Index, ShareUpdateExclusive)],
        "two scans for each index, and waits for the transactions that are open",
        REINDEX_PAGE,
    )
};

pub(in crate::model) static VACUUM: Form = Form {
    block: Block::Refused,
    ..working(
        "VACUUM",
        &[always(Named, ShareUpdateExclusive), always(Index, RowExclusive)],
        "reads what is not known to be clean; to give empty pages at the end back, it takes ACCESS EXCLUSIVE for a \
         moment when nobody is in the way",
        CHAPTER,
    )
};
/// With ANALYZE the indexes are only read after that.
pub(in crate::model) static VACUUM_FULL: Form = Form {
    block: Block::Refused,
    ..working(
        "VACUUM FULL",
        &[always(Named, AccessExclusive), always(Indexes, AccessExclusive)],
        "rewrite with all indexes",
        CHAPTER,
    )
};
pub(in crate::model) static CLUSTER: Form = working(
    "CLUSTER",
    &[always(Named, AccessExclusive), always(Indexes, AccessExclusive)],
    "rewrite with all indexes",
    CHAPTER,
);
pub(in crate::model) static CLUSTER_ALL: Form = Form {
    block: Block::Refused,
    ..working(
        "CLUSTER without a table, or of a partitioned one",
        &[
            always(Named, AccessExclusive),
            always(Indexes, AccessExclusive),
            since(15, Parent, AccessExclusive),
        ],
        "rewrite of each table that was clustered before",
        CHAPTER,
    )
};
pub(in crate::model) static ANALYZE: Form = working(
    "ANALYZE",
    &[
        always(Named, ShareUpdateExclusive),
        always(Indexes, AccessShare),
        always(Partitions, ShareUpdateExclusive),
        // Children are read for the parent's statistics; from 18 on they get their own too.
        until(17, Descendants, AccessShare),
        since(18, Descendants, ShareUpdateExclusive),
    ],
    "reads a sample",
    CHAPTER,
);
pub(in crate::model) static TRUNCATE: Form = working(
    "TRUNCATE",
    &[
        always(Named, AccessExclusive),
        always(Descendants, AccessExclusive),
        always(Indexes, AccessExclusive),
        // With CASCADE.
        always(Referencing, AccessExclusive),
        // With RESTART IDENTITY.
        always(Sequences, AccessExclusive),
        between(12, 13, Parent, AccessShare),
    ],
    "an empty file for the table and each index",
    CHAPTER,
);
pub(in crate::model) static REFRESH: Form = working(
    "REFRESH MATERIALIZED VIEW",
    &[always(Named, AccessExclusive), always(Indexes, AccessExclusive), always(Read, AccessShare)],
    "rewrite with all indexes; what it reads as its plan wants",
    CHAPTER,
);
pub(in crate::model) static REFRESH_CONCURRENTLY: Form = working(
    "REFRESH MATERIALIZED VIEW CONCURRENTLY",
    &[always(Named, Exclusive), always(Indexes, RowExclusive), always(Read, AccessShare)],
    "the view is read and compared with a new copy",
    CHAPTER,
);

pub(in crate::model) static INDEXES: &[&Form] = &[
    &CREATE_INDEX,
    &CREATE_INDEX_CONCURRENTLY,
    &DROP_INDEX,
    &DROP_INDEX_CONCURRENTLY,
    &RENAME_INDEX,
    &RENAME_INDEX_AS_TABLE,
    &INDEX_OPTIONS,
    &INDEX_STATISTICS,
    &INDEX_TABLESPACE,
    &INDEX_DEPENDS,
    &ATTACH_INDEX,
    &REINDEX,
    &REINDEX_PARTITIONED,
    &REINDEX_PARTITIONED_CONCURRENTLY,
    &REINDEX_ALL,
    &REINDEX_CONCURRENTLY,
];
pub(in crate::model) static UPKEEP: &[&Form] =
    &[&VACUUM, &VACUUM_FULL, &CLUSTER, &CLUSTER_ALL, &ANALYZE, &TRUNCATE, &REFRESH, &REFRESH_CONCURRENTLY];
