//! Rows for the actions of ALTER TABLE.
//!
//! One statement with several actions takes the strongest of their modes on the table, and the same mode on all
//! descendants as soon as one of the actions reaches them. Not for: partitions (`partitions`).

use super::super::form::{Block, Form, Source, Whom::*, always, between, since, until};
use super::{ALTER_TABLE, form, working};
use posthaste_report::LockMode::*;

const MEASURED: Source = Source::Measured;

pub(in crate::model) static ADD_COLUMN: Form = working(
    "ADD COLUMN",
    &[always(Named, AccessExclusive), always(Descendants, AccessExclusive), always(Indexes, AccessExclusive)],
    "rewrite with a volatile default, a serial or identity column, a stored generated column, or a domain with \
     constraints (only then the indexes are locked, and built anew); scan with a CHECK, a UNIQUE or a PRIMARY KEY, \
     with NOT NULL and no default, and with REFERENCES and a default; else nothing",
    ALTER_TABLE,
);
pub(in crate::model) static DROP_COLUMN: Form = form(
    "DROP COLUMN",
    &[
        always(Named, AccessExclusive),
        always(Descendants, AccessExclusive),
        // Also with ONLY, where the children keep the column as their own.
        always(Children, AccessExclusive),
        always(Index, AccessExclusive),
        always(Referenced, AccessExclusive),
        always(Referencing, AccessExclusive),
        always(Dependents, AccessExclusive),
        always(Sequences, AccessExclusive),
    ],
    ALTER_TABLE,
);
pub(in crate::model) static RENAME_COLUMN: Form = form(
    "RENAME COLUMN",
    &[always(Named, AccessExclusive), always(Descendants, AccessExclusive)],
    ALTER_TABLE,
);
pub(in crate::model) static SET_TYPE: Form = working(
    "ALTER COLUMN TYPE",
    &[
        always(Named, AccessExclusive),
        always(Descendants, AccessExclusive),
        always(Index, AccessExclusive),
        always(Indexes, AccessExclusive),
        always(Referenced, AccessExclusive),
        always(Referencing, AccessExclusive),
    ],
    "rewrite, unless the new type is stored alike (widened varchar, numeric, timestamp and so on; timestamp and \
     timestamptz when TimeZone is UTC); indexes of the column are built anew when their operators or collation change, \
     or when they have an expression or a condition with it; a validated CHECK over it is scanned",
    ALTER_TABLE,
);
/// The sequence of an identity column, whose type is changed too.
pub(in crate::model) static SET_TYPE_OF_IDENTITY: Form = form(
    "ALTER COLUMN TYPE of an identity column: its sequence",
    &[always(Sequences, ShareRowExclusive)],
    MEASURED,
);
/// The default of the column is made again, and names the sequence.
pub(in crate::model) static SET_TYPE_OF_SERIAL: Form = form(
    "ALTER COLUMN TYPE of a serial column: its sequence",
    &[since(16, Sequences, AccessShare)],
    MEASURED,
);
pub(in crate::model) static SET_DEFAULT: Form = form(
    "ALTER COLUMN SET or DROP DEFAULT",
    &[always(Named, AccessExclusive), always(Descendants, AccessExclusive)],
    ALTER_TABLE,
);
pub(in crate::model) static SET_NOT_NULL: Form = working(
    "ALTER COLUMN SET NOT NULL",
    &[always(Named, AccessExclusive), always(Descendants, AccessExclusive)],
    "scan, unless a validated CHECK proves it, or it is NOT NULL already",
    ALTER_TABLE,
);
pub(in crate::model) static DROP_NOT_NULL: Form = form(
    "ALTER COLUMN DROP NOT NULL",
    &[always(Named, AccessExclusive), always(Descendants, AccessExclusive)],
    ALTER_TABLE,
);
pub(in crate::model) static SET_STATISTICS: Form = form(
    "ALTER COLUMN SET STATISTICS",
    &[always(Named, ShareUpdateExclusive), always(Descendants, ShareUpdateExclusive)],
    ALTER_TABLE,
);
pub(in crate::model) static COLUMN_OPTIONS: Form = form(
    "ALTER COLUMN SET or RESET (option)",
    &[always(Named, ShareUpdateExclusive), always(Descendants, ShareUpdateExclusive)],
    ALTER_TABLE,
);
pub(in crate::model) static SET_STORAGE: Form = form(
    "ALTER COLUMN SET STORAGE",
    &[always(Named, AccessExclusive), always(Descendants, AccessExclusive)],
    ALTER_TABLE,
);
pub(in crate::model) static SET_COMPRESSION: Form = Form {
    since: 14,
    ..form("ALTER COLUMN SET COMPRESSION", &[always(Named, AccessExclusive)], ALTER_TABLE)
};
pub(in crate::model) static SET_EXPRESSION: Form = Form {
    since: 17,
    ..working(
        "ALTER COLUMN SET EXPRESSION",
        &[
            always(Named, AccessExclusive),
            always(Descendants, AccessExclusive),
            always(Indexes, AccessExclusive),
        ],
        "rewrite of a stored column, with all indexes; nothing for a virtual one",
        ALTER_TABLE,
    )
};
pub(in crate::model) static DROP_EXPRESSION: Form = Form {
    since: 13,
    ..form(
        "ALTER COLUMN DROP EXPRESSION",
        &[always(Named, AccessExclusive), always(Descendants, AccessExclusive)],
        ALTER_TABLE,
    )
};
pub(in crate::model) static ADD_IDENTITY: Form =
    form("ALTER COLUMN ADD GENERATED AS IDENTITY", &[always(Named, AccessExclusive)], ALTER_TABLE);
pub(in crate::model) static SET_IDENTITY: Form = form(
    "ALTER COLUMN SET GENERATED, RESTART",
    &[always(Named, AccessExclusive), always(Sequences, ShareRowExclusive)],
    ALTER_TABLE,
);
pub(in crate::model) static DROP_IDENTITY: Form = form(
    "ALTER COLUMN DROP IDENTITY",
    &[always(Named, AccessExclusive), always(Sequences, AccessExclusive)],
    ALTER_TABLE,
);

pub(in crate::model) static ADD_CHECK: Form = working(
    "ADD CHECK",
    &[always(Named, AccessExclusive), always(Descendants, AccessExclusive)],
    "scan, unless NOT VALID or NOT ENFORCED",
    ALTER_TABLE,
);
pub(in crate::model) static ADD_CHECK_NO_INHERIT: Form = working(
    "ADD CHECK ... NO INHERIT",
    &[always(Named, AccessExclusive), since(18, Descendants, AccessExclusive)],
    "scan, unless NOT VALID or NOT ENFORCED",
    MEASURED,
);
pub(in crate::model) static ADD_NOT_NULL: Form = Form {
    since: 18,
    ..working(
        "ADD NOT NULL",
        &[always(Named, AccessExclusive), always(Descendants, AccessExclusive)],
        "scan, unless NOT VALID, or a validated CHECK proves it",
        ALTER_TABLE,
    )
};
pub(in crate::model) static ADD_UNIQUE: Form = working(
    "ADD UNIQUE, ADD EXCLUDE",
    &[always(Named, AccessExclusive), until(17, Partitions, Share), since(18, Descendants, AccessExclusive)],
    "scan, and the index is built",
    ALTER_TABLE,
);
pub(in crate::model) static ADD_PRIMARY_KEY: Form = working(
    "ADD PRIMARY KEY",
    &[always(Named, AccessExclusive), until(17, Partitions, Share), since(18, Descendants, AccessExclusive)],
    "scan, and the index is built; a column that is not NOT NULL yet becomes it, which reaches all descendants in \
     ACCESS EXCLUSIVE",
    ALTER_TABLE,
);
/// The key's columns become NOT NULL, in children too.
pub(in crate::model) static PRIMARY_KEY_NOT_NULL: Form = form(
    "ADD PRIMARY KEY over a column that is not NOT NULL",
    &[always(Descendants, AccessExclusive)],
    MEASURED,
);
pub(in crate::model) static ADD_USING_INDEX: Form = working(
    "ADD UNIQUE or PRIMARY KEY USING INDEX",
    &[always(Named, AccessExclusive), always(Index, AccessShare), since(18, Descendants, AccessExclusive)],
    "nothing; for a primary key a scan, unless the column is NOT NULL or a validated CHECK proves it",
    ALTER_TABLE,
);
pub(in crate::model) static USING_INDEX_RENAMED: Form = form(
    "ADD UNIQUE or PRIMARY KEY USING INDEX of another name",
    &[always(Index, ShareUpdateExclusive)],
    MEASURED,
);
pub(in crate::model) static ADD_FOREIGN_KEY: Form = working(
    "ADD FOREIGN KEY",
    &[
        always(Named, ShareRowExclusive),
        always(Partitions, ShareRowExclusive),
        since(18, Descendants, ShareRowExclusive),
        always(Referenced, ShareRowExclusive),
        since(16, ReferencedIndex, AccessShare),
        always(Indexes, AccessShare),
        always(OtherIndexes, AccessShare),
    ],
    "scan of the table, and as much of the referenced one as the plan wants, unless NOT VALID or NOT ENFORCED (then \
     no index is locked but, from 16 on, the referenced one)",
    ALTER_TABLE,
);
pub(in crate::model) static VALIDATE_CHECK: Form = working(
    "VALIDATE CONSTRAINT of a CHECK or NOT NULL",
    &[always(Named, ShareUpdateExclusive), always(Descendants, ShareUpdateExclusive)],
    "scan, unless it is valid already",
    ALTER_TABLE,
);
pub(in crate::model) static VALIDATE_FOREIGN_KEY: Form = working(
    "VALIDATE CONSTRAINT of a FOREIGN KEY",
    &[
        always(Named, ShareUpdateExclusive),
        always(Partitions, ShareUpdateExclusive),
        always(Referenced, RowShare),
        always(Indexes, AccessShare),
        always(OtherIndexes, AccessShare),
    ],
    "scan, unless it is valid already, when nothing but the table is locked",
    ALTER_TABLE,
);
/// Partitions of the referenced table are only read.
pub(in crate::model) static VALIDATE_REFERENCED_PARTITIONS: Form = form(
    "VALIDATE CONSTRAINT of a FOREIGN KEY to a partitioned table: its partitions",
    &[always(Referenced, AccessShare), since(16, ReferencedIndex, AccessShare)],
    MEASURED,
);
pub(in crate::model) static DROP_CONSTRAINT: Form = form(
    "DROP CONSTRAINT",
    &[
        always(Named, AccessExclusive),
        always(Descendants, AccessExclusive),
        always(Index, AccessExclusive),
        always(Referenced, AccessExclusive),
        always(Referencing, AccessExclusive),
    ],
    ALTER_TABLE,
);
pub(in crate::model) static RENAME_CONSTRAINT: Form = form(
    "RENAME CONSTRAINT",
    &[
        always(Named, AccessExclusive),
        always(Descendants, AccessExclusive),
        always(Index, ShareUpdateExclusive),
    ],
    ALTER_TABLE,
);
pub(in crate::model) static ALTER_CONSTRAINT: Form =
    form("ALTER CONSTRAINT", &[always(Named, AccessExclusive)], ALTER_TABLE);
pub(in crate::model) static ENFORCE: Form = Form {
    since: 18,
    ..working(
        "ALTER CONSTRAINT ENFORCED",
        &[
            always(Named, AccessExclusive),
            always(Referenced, ShareRowExclusive),
            always(ReferencedIndex, AccessShare),
            always(Indexes, AccessShare),
            always(OtherIndexes, AccessShare),
        ],
        "scan",
        MEASURED,
    )
};
pub(in crate::model) static NOT_ENFORCED: Form = Form {
    since: 18,
    ..form(
        "ALTER CONSTRAINT NOT ENFORCED",
        &[always(Named, AccessExclusive), always(Referenced, AccessExclusive)],
        MEASURED,
    )
};

pub(in crate::model) static RENAME: Form = form("RENAME TO", &[always(Named, AccessExclusive)], ALTER_TABLE);
pub(in crate::model) static SET_SCHEMA: Form =
    form("SET SCHEMA", &[always(Named, AccessExclusive), always(Sequences, AccessExclusive)], ALTER_TABLE);
pub(in crate::model) static OWNER: Form = form(
    "OWNER TO",
    &[always(Named, AccessExclusive), always(Indexes, AccessExclusive), always(Sequences, AccessExclusive)],
    ALTER_TABLE,
);
pub(in crate::model) static SET_OPTIONS: Form =
    form("SET or RESET (option)", &[always(Named, ShareUpdateExclusive)], ALTER_TABLE);
pub(in crate::model) static SET_STRONG_OPTIONS: Form =
    form("SET or RESET (user_catalog_table)", &[always(Named, AccessExclusive)], ALTER_TABLE);
pub(in crate::model) static CLUSTER_ON: Form = form(
    "CLUSTER ON",
    &[always(Named, ShareUpdateExclusive), always(Index, ShareUpdateExclusive)],
    ALTER_TABLE,
);
pub(in crate::model) static SET_WITHOUT_CLUSTER: Form =
    form("SET WITHOUT CLUSTER", &[always(Named, ShareUpdateExclusive)], ALTER_TABLE);
pub(in crate::model) static SET_LOGGED: Form = working(
    "SET LOGGED, SET UNLOGGED",
    &[always(Named, AccessExclusive), always(Indexes, AccessExclusive)],
    "rewrite with all indexes, unless it is so already, when only the table is locked",
    ALTER_TABLE,
);
pub(in crate::model) static SET_ACCESS_METHOD: Form = Form {
    since: 15,
    ..working(
        "SET ACCESS METHOD",
        &[always(Named, AccessExclusive), always(Indexes, AccessExclusive)],
        "rewrite with all indexes, unless it is so already, when only the table is locked",
        ALTER_TABLE,
    )
};
pub(in crate::model) static SET_TABLESPACE: Form = working(
    "SET TABLESPACE",
    &[always(Named, AccessExclusive)],
    "its file is copied, unless it is there already; indexes stay where they are",
    ALTER_TABLE,
);
pub(in crate::model) static REPLICA_IDENTITY: Form =
    form("REPLICA IDENTITY", &[always(Named, AccessExclusive), always(Index, Share)], ALTER_TABLE);
pub(in crate::model) static ROW_SECURITY: Form =
    form("ENABLE, DISABLE or FORCE ROW LEVEL SECURITY", &[always(Named, AccessExclusive)], ALTER_TABLE);
pub(in crate::model) static TOGGLE_TRIGGER: Form = form(
    "ENABLE or DISABLE TRIGGER",
    // Partitions that have the trigger too.
    &[always(Named, ShareRowExclusive), always(Partitions, ShareRowExclusive)],
    ALTER_TABLE,
);
pub(in crate::model) static TOGGLE_RULE: Form =
    form("ENABLE or DISABLE RULE", &[always(Named, AccessExclusive)], ALTER_TABLE);
pub(in crate::model) static OF_TYPE: Form =
    form("OF type", &[always(Named, AccessExclusive), always(Read, AccessShare)], ALTER_TABLE);
pub(in crate::model) static NOT_OF: Form = form("NOT OF", &[always(Named, AccessExclusive)], ALTER_TABLE);
pub(in crate::model) static FOREIGN_OPTIONS: Form =
    form("OPTIONS (...)", &[always(Named, AccessExclusive)], ALTER_TABLE);
pub(in crate::model) static MOVE_ALL: Form = Form {
    block: Block::Allowed,
    ..working(
        "ALTER TABLE ALL IN TABLESPACE",
        &[between(12, 18, Named, AccessExclusive)],
        "the file of each is copied; which they are, only the server knows",
        ALTER_TABLE,
    )
};

pub(in crate::model) static COLUMNS: &[&Form] = &[
    &ADD_COLUMN,
    &DROP_COLUMN,
    &RENAME_COLUMN,
    &SET_TYPE,
    &SET_TYPE_OF_IDENTITY,
    &SET_TYPE_OF_SERIAL,
    &SET_DEFAULT,
    &SET_NOT_NULL,
    &DROP_NOT_NULL,
    &SET_STATISTICS,
    &COLUMN_OPTIONS,
    &SET_STORAGE,
    &SET_COMPRESSION,
    &SET_EXPRESSION,
    &DROP_EXPRESSION,
    &ADD_IDENTITY,
    &SET_IDENTITY,
    &DROP_IDENTITY,
];
pub(in crate::model) static CONSTRAINTS: &[&Form] = &[
    &ADD_CHECK,
    &ADD_CHECK_NO_INHERIT,
    &ADD_NOT_NULL,
    &ADD_UNIQUE,
    &ADD_PRIMARY_KEY,
    &PRIMARY_KEY_NOT_NULL,
    &ADD_USING_INDEX,
    &USING_INDEX_RENAMED,
    &ADD_FOREIGN_KEY,
    &VALIDATE_CHECK,
    &VALIDATE_FOREIGN_KEY,
    &VALIDATE_REFERENCED_PARTITIONS,
    &DROP_CONSTRAINT,
    &RENAME_CONSTRAINT,
    &ALTER_CONSTRAINT,
    &ENFORCE,
    &NOT_ENFORCED,
];
pub(in crate::model) static TABLE: &[&Form] = &[
    &RENAME,
    &SET_SCHEMA,
    &OWNER,
    &SET_OPTIONS,
    &SET_STRONG_OPTIONS,
    &CLUSTER_ON,
    &SET_WITHOUT_CLUSTER,
    &SET_LOGGED,
    &SET_ACCESS_METHOD,
    &SET_TABLESPACE,
    &REPLICA_IDENTITY,
    &ROW_SECURITY,
    &TOGGLE_TRIGGER,
    &TOGGLE_RULE,
    &OF_TYPE,
    &NOT_OF,
    &FOREIGN_OPTIONS,
    &MOVE_ALL,
];
