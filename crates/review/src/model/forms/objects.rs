//! Rows for CREATE and DROP, and for views, sequences, types, triggers, policies, publications, comments, grants.
//!
//! Not for: partitions and indexes, which have files of their own.

use super::super::form::{Block, Form, Source, Whom::*, always, since};
use super::{CHAPTER, form, working};
use posthaste_report::LockMode::*;

const MEASURED: Source = Source::Measured;

pub(in crate::model) static CREATE_TABLE: Form = form(
    "CREATE TABLE",
    &[
        // For REFERENCES; LIKE only reads.
        always(Referenced, ShareRowExclusive),
        since(16, ReferencedIndex, AccessShare),
        always(Read, AccessShare),
    ],
    MEASURED,
);
pub(in crate::model) static CREATE_TABLE_AS: Form =
    form("CREATE TABLE AS, CREATE MATERIALIZED VIEW", &[always(Read, AccessShare)], CHAPTER);
pub(in crate::model) static CREATE_VIEW: Form = form("CREATE VIEW", &[always(Read, AccessShare)], MEASURED);
pub(in crate::model) static REPLACE_VIEW: Form =
    form("CREATE OR REPLACE VIEW", &[always(Named, AccessExclusive)], MEASURED);
pub(in crate::model) static DROP_TABLE: Form = form(
    "DROP TABLE, VIEW, MATERIALIZED VIEW, SEQUENCE",
    &[
        always(Named, AccessExclusive),
        always(Indexes, AccessExclusive),
        always(Descendants, AccessExclusive),
        always(Sequences, AccessExclusive),
        always(Referenced, AccessExclusive),
        // With CASCADE, those whose foreign keys, views or defaults go too.
        always(Referencing, AccessExclusive),
        always(Dependents, AccessExclusive),
        always(Users, AccessExclusive),
        // Of a partition.
        always(Parent, AccessExclusive),
        always(Default, AccessExclusive),
    ],
    CHAPTER,
);
pub(in crate::model) static CREATE_FUNCTION: Form = form(
    "CREATE FUNCTION in SQL",
    // Its body is checked when it is made; that of PL/pgSQL is not.
    &[always(Read, AccessShare)],
    MEASURED,
);

pub(in crate::model) static ALTER_VIEW: Form = form("ALTER VIEW", &[always(Named, AccessExclusive)], CHAPTER);
pub(in crate::model) static CREATE_SEQUENCE: Form =
    form("CREATE SEQUENCE OWNED BY", &[always(Read, AccessShare)], MEASURED);
pub(in crate::model) static ALTER_SEQUENCE: Form = form(
    "ALTER SEQUENCE",
    // The table that is to own it.
    &[always(Named, ShareRowExclusive), always(Read, AccessShare)],
    Source::Documentation("ALTER SEQUENCE"),
);
pub(in crate::model) static MOVE_SEQUENCE: Form =
    form("ALTER SEQUENCE RENAME, SET SCHEMA, OWNER, SET LOGGED", &[always(Named, AccessExclusive)], MEASURED);
pub(in crate::model) static NEXT_VALUE: Form =
    form("nextval(), setval()", &[always(Named, RowExclusive)], MEASURED);
pub(in crate::model) static CREATE_TRIGGER: Form = form(
    "CREATE TRIGGER",
    // Of a partitioned table, when it is for each row; and the table after FROM of a constraint trigger.
    &[always(Named, ShareRowExclusive), always(Partitions, ShareRowExclusive), always(Read, AccessShare)],
    CHAPTER,
);
pub(in crate::model) static DROP_TRIGGER: Form = form(
    "DROP TRIGGER, ALTER TRIGGER RENAME",
    &[always(Named, AccessExclusive), always(Partitions, AccessExclusive)],
    MEASURED,
);
pub(in crate::model) static RULE_OR_POLICY: Form = form(
    "CREATE, ALTER and DROP of RULE and POLICY",
    // What a policy's condition reads.
    &[always(Named, AccessExclusive), always(Read, AccessShare)],
    MEASURED,
);
pub(in crate::model) static PUBLICATION_TABLES: Form = form(
    "CREATE PUBLICATION FOR TABLE, ALTER PUBLICATION ADD, SET, DROP TABLE",
    &[always(Named, ShareUpdateExclusive)],
    MEASURED,
);
pub(in crate::model) static STATISTICS: Form =
    form("CREATE STATISTICS, DROP STATISTICS", &[always(Named, ShareUpdateExclusive)], CHAPTER);
pub(in crate::model) static COMMENT: Form =
    form("COMMENT ON TABLE, COLUMN, INDEX, VIEW, SEQUENCE", &[always(Named, ShareUpdateExclusive)], CHAPTER);
pub(in crate::model) static COMMENT_ON_PART: Form =
    form("COMMENT ON CONSTRAINT, TRIGGER, RULE, POLICY", &[always(Named, AccessShare)], MEASURED);
pub(in crate::model) static GRANT: Form =
    form("GRANT, REVOKE on a table or sequence", &[since(18, Named, AccessShare)], MEASURED);
pub(in crate::model) static DOMAIN_CHECK: Form = working(
    "ALTER DOMAIN ADD or VALIDATE CONSTRAINT, SET NOT NULL",
    &[always(Users, Share)],
    "every table with a column of the domain, or of a domain over it, is scanned, unless NOT VALID",
    MEASURED,
);
pub(in crate::model) static DROP_TYPE: Form = form(
    "DROP TYPE, DROP DOMAIN CASCADE",
    &[always(Users, AccessExclusive), always(Index, AccessExclusive), always(Dependents, AccessExclusive)],
    MEASURED,
);
pub(in crate::model) static ALTER_COMPOSITE: Form = working(
    "ALTER TYPE ADD, DROP, ALTER, RENAME ATTRIBUTE",
    &[always(Named, AccessExclusive)],
    "tables of that type are altered too, with CASCADE",
    MEASURED,
);
pub(in crate::model) static DROP_FUNCTION: Form = form(
    "DROP FUNCTION CASCADE",
    // Whose triggers go too.
    &[always(Users, AccessExclusive)],
    MEASURED,
);
pub(in crate::model) static OUTSIDE: Form = Form {
    block: Block::Refused,
    ..form("CREATE and DROP of DATABASE and TABLESPACE, ALTER SYSTEM, DISCARD ALL", &[], MEASURED)
};

pub(in crate::model) static CREATE_AND_DROP: &[&Form] = &[
    &CREATE_TABLE,
    &CREATE_TABLE_AS,
    &CREATE_VIEW,
    &REPLACE_VIEW,
    &CREATE_FUNCTION,
    &DROP_TABLE,
    &DROP_TYPE,
    &DROP_FUNCTION,
];
pub(in crate::model) static OTHERS: &[&Form] = &[
    &ALTER_VIEW,
    &CREATE_SEQUENCE,
    &ALTER_SEQUENCE,
    &MOVE_SEQUENCE,
    &NEXT_VALUE,
    &CREATE_TRIGGER,
    &DROP_TRIGGER,
    &RULE_OR_POLICY,
    &PUBLICATION_TABLES,
    &STATISTICS,
    &COMMENT,
    &COMMENT_ON_PART,
    &GRANT,
    &DOMAIN_CHECK,
    &ALTER_COMPOSITE,
    &OUTSIDE,
];
