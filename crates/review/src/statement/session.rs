//! Statements about the session and the upkeep of tables: transactions, settings, DO, VACUUM, LOCK and so on.

use super::{Body, Expression, Identifier, Located, ObjectName, Setting, Span, TableUse};

#[derive(Clone, Debug, PartialEq)]
pub enum Transaction {
    /// BEGIN and START TRANSACTION, with their modes in lower case: `read only`, `isolation level serializable`.
    Begin {
        modes: Vec<String>,
    },
    /// COMMIT and END.
    Commit {
        and_chain: bool,
    },
    /// ROLLBACK and ABORT.
    Rollback {
        and_chain: bool,
    },
    Savepoint {
        name: Identifier,
    },
    ReleaseSavepoint {
        name: Identifier,
    },
    RollbackTo {
        name: Identifier,
    },
    Prepare {
        id: String,
    },
    CommitPrepared {
        id: String,
    },
    RollbackPrepared {
        id: String,
    },
    /// SET TRANSACTION; `is_session` for SET SESSION CHARACTERISTICS.
    Set {
        is_session: bool,
        modes: Vec<String>,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SetScope {
    #[default]
    Session,
    Local,
}

/// SET name TO value; also SET TIME ZONE (`timezone`), SET ROLE (`role`), SET SESSION AUTHORIZATION
/// (`session_authorization`), SET NAMES (`client_encoding`), SET SCHEMA (`search_path`), SET CONSTRAINTS
/// (`constraints`), and `SELECT set_config('name', 'value', is_local)` with constants.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Set {
    pub scope: SetScope,
    /// In lower case.
    pub name: String,
    /// Strings without their quotes; empty for DEFAULT.
    pub values: Vec<String>,
    pub span: Span,
}

/// RESET name, or RESET ALL (`None`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reset {
    pub name: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Do {
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub procedure: ObjectName,
    pub arguments: Vec<Expression>,
    /// What the procedure runs, where the same file makes it.
    pub runs: Option<Vec<Located>>,
}

/// PREPARE: nothing runs yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Prepare {
    pub name: String,
    pub statement: Box<Located>,
}

/// EXECUTE of what was prepared.
#[derive(Clone, Debug, PartialEq)]
pub struct Execute {
    pub name: String,
    /// What it runs, where the same file prepares it.
    pub runs: Option<Vec<Located>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Explain {
    /// EXPLAIN ANALYZE runs the statement.
    pub is_analyze: bool,
    pub statement: Box<Located>,
}

/// A line that psql carries out by itself. `\copy` is recognised and not looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaCommand {
    /// Without the backslash: `connect`, `i`, `gexec`.
    pub name: String,
    /// The rest of the line.
    pub arguments: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReindexKind {
    Index,
    Table,
    Schema,
    Database,
    System,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Reindex {
    pub kind: ReindexKind,
    /// Not there for the current database.
    pub name: Option<ObjectName>,
    pub is_concurrent: bool,
    pub tablespace: Option<Identifier>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cluster {
    /// Not there for all tables that were clustered before.
    pub table: Option<ObjectName>,
    pub index: Option<Identifier>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct VacuumTable {
    pub name: ObjectName,
    /// ONLY, 18 and newer.
    pub is_only: bool,
    pub columns: Vec<Identifier>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vacuum {
    pub is_full: bool,
    pub is_freeze: bool,
    pub is_analyze: bool,
    /// All of them, also those of the old form without parentheses, in lower case.
    pub options: Vec<Setting>,
    /// Empty for the whole database.
    pub tables: Vec<VacuumTable>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Analyze {
    pub options: Vec<Setting>,
    pub tables: Vec<VacuumTable>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truncate {
    pub tables: Vec<TableUse>,
    pub restarts_identity: bool,
    pub is_cascade: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refresh {
    pub view: ObjectName,
    pub is_concurrent: bool,
    pub with_no_data: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct LockTable {
    pub tables: Vec<TableUse>,
    /// In upper case, as the documentation writes it; `ACCESS EXCLUSIVE` when none is written.
    pub mode: String,
    pub is_nowait: bool,
}

impl Transaction {
    pub fn as_str(&self) -> &'static str {
        match self {
            Transaction::Begin { .. } => "BEGIN",
            Transaction::Commit { .. } => "COMMIT",
            Transaction::Rollback { .. } => "ROLLBACK",
            Transaction::Savepoint { .. } => "SAVEPOINT",
            Transaction::ReleaseSavepoint { .. } => "RELEASE SAVEPOINT",
            Transaction::RollbackTo { .. } => "ROLLBACK TO SAVEPOINT",
            Transaction::Prepare { .. } => "PREPARE TRANSACTION",
            Transaction::CommitPrepared { .. } => "COMMIT PREPARED",
            Transaction::RollbackPrepared { .. } => "ROLLBACK PREPARED",
            Transaction::Set { .. } => "SET TRANSACTION",
        }
    }
}
