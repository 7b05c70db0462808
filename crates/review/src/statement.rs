//! What a script says, as our own data: the one language that the lock model, the rules and the planner read.
//!
//! `lower` makes it from the parser's tree, and nothing else sees that tree. Names are as PostgreSQL keeps them:
//! folded to lower case unless quoted, and cut at 63 bytes. Every part that a finding may point at has a [`Span`]
//! into the file. Not for: what a statement does (the lock model says that), and for whether it is wise.

mod alter;
mod data;
mod expression;
mod index;
mod name;
mod object;
mod routine;
mod session;
mod table;
mod types;

pub use alter::{
    Action, Alter, AlterClause, ConstraintChange, IdentityChange, MoveAll, ReplicaIdentity, RowSecurity,
    ToggleMode, TriggerChoice, ValuePlace,
};
pub use data::{
    Assignment, Copy, CopyPlace, InsertSource, OnConflict, Query, QueryKind, RowLock, RowLockMode, TableUse,
    TableWrite, WriteKind,
};
pub use expression::{ColumnUse, Conjunct, Expression, FunctionCall, Shape};
pub use index::{CreateIndex, IndexKey, NullsOrder};
pub use name::{Identifier, ObjectName, Span};
pub use object::{
    Comment, CreateExtension, CreateOther, CreatePolicy, CreatePublication, CreateSchema, CreateSequence,
    CreateStatistics, CreateSubscription, CreateView, Drop, DropTarget, Grant, ObjectKind, PublicationTable,
    SequenceOptions, Setting,
};
pub use routine::{
    Body, CreateEventTrigger, CreateFunction, CreateRule, CreateTrigger, Parameter, TriggerEvent,
};
pub use session::{
    Analyze, Call, Cluster, Do, Execute, Explain, LockTable, MetaCommand, Prepare, Refresh, Reindex,
    ReindexKind, Reset, Set, SetScope, Transaction, Truncate, Vacuum, VacuumTable,
};
pub use table::{
    ColumnConstraint, ColumnConstraintKind, ColumnDefinition, ConstraintTiming, CreateTable, CreateTableAs,
    ExclusionElement, ForeignKey, ForeignKeyAction, GeneratedKind, HashBound, LikeClause, OnCommit,
    PartitionBound, PartitionBy, PartitionKeyPart, Persistence, TableConstraint, TableConstraintKind,
};
pub use types::{CreateDomain, CreateType, TypeDefinition, TypeName};

/// One statement of a file, with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Located {
    pub statement: Statement,
    /// Without the `;`, and without the rows that follow a `COPY ... FROM stdin`.
    pub span: Span,
    /// From 1; of the statement's first character.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
    /// From 1, in the file; for a statement in a body from 1 in that body.
    pub number: u32,
    /// Exactly as in the file. A statement that a body executes from a literal has that literal's content here.
    pub text: String,
    /// Those since the statement before it, those within it, and one that follows it on its last line.
    pub comments: Vec<CommentText>,
    /// In a body: whether it may not run, being in a branch, a loop or a handler.
    pub is_conditional: bool,
    /// In a body: whether it may run more than once, being in a loop.
    pub is_repeated: bool,
}

/// A comment with its marks, as in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommentText {
    pub span: Span,
    pub line: u32,
    pub text: String,
    /// Whether it stands before the statement's first word.
    pub is_before: bool,
    /// Whether something else of a statement stands before it on its line.
    pub is_trailing: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    // What holds rows.
    /// Also CREATE FOREIGN TABLE and CREATE TABLE ... PARTITION OF.
    CreateTable(Box<CreateTable>),
    /// Also SELECT ... INTO.
    CreateTableAs(Box<CreateTableAs>),
    CreateIndex(Box<CreateIndex>),
    /// Views and materialized views.
    CreateView(Box<CreateView>),
    CreateSequence(Box<CreateSequence>),

    // What describes or guards them.
    CreateType(Box<CreateType>),
    CreateDomain(Box<CreateDomain>),
    /// Functions and procedures.
    CreateFunction(Box<CreateFunction>),
    CreateTrigger(Box<CreateTrigger>),
    CreateEventTrigger(Box<CreateEventTrigger>),
    CreateRule(Box<CreateRule>),
    CreatePolicy(Box<CreatePolicy>),
    CreateStatistics(Box<CreateStatistics>),
    CreatePublication(Box<CreatePublication>),
    CreateSubscription(Box<CreateSubscription>),
    CreateExtension(Box<CreateExtension>),
    CreateSchema(Box<CreateSchema>),
    /// Any other CREATE: operators, casts, roles, databases, servers, text search and so on.
    CreateOther(Box<CreateOther>),

    /// ALTER of anything.
    Alter(Box<Alter>),
    /// ALTER TABLE | INDEX | MATERIALIZED VIEW ALL IN TABLESPACE.
    MoveAll(Box<MoveAll>),
    /// DROP of anything; also DROP OWNED BY.
    Drop(Box<Drop>),
    Comment(Box<Comment>),
    /// GRANT and REVOKE; also ALTER DEFAULT PRIVILEGES.
    Grant(Box<Grant>),

    // Upkeep.
    Reindex(Box<Reindex>),
    Cluster(Box<Cluster>),
    Vacuum(Box<Vacuum>),
    Analyze(Box<Analyze>),
    Truncate(Box<Truncate>),
    Refresh(Box<Refresh>),
    Lock(Box<LockTable>),

    // Rows.
    /// SELECT, VALUES, TABLE, INSERT, UPDATE, DELETE and MERGE, with their CTEs; also the query of a cursor.
    Query(Box<Query>),
    Copy(Box<Copy>),

    // The session.
    Transaction(Transaction),
    Set(Box<Set>),
    Reset(Reset),
    Do(Box<Do>),
    Call(Box<Call>),
    Prepare(Box<Prepare>),
    Execute(Box<Execute>),
    Explain(Box<Explain>),
    /// A line for psql, such as `\connect` or `\copy`.
    Meta(Box<MetaCommand>),

    /// A statement of a body whose text is made when it runs, as in `EXECUTE format(...)`: what it does is unknown.
    Unknown {
        reason: String,
    },
    /// Parsed, and of no interest to a review: `keyword` is its first words, such as `LISTEN`.
    Opaque {
        keyword: String,
    },
    /// Not understood; the script's errors say why.
    Broken,
}

impl Statement {
    /// Statements that run within this one: those of a body, of a function that it calls, of what was prepared.
    pub fn runs(&self) -> &[Located] {
        match self {
            Statement::Do(block) => &block.body.statements,
            Statement::Call(call) => call.runs.as_deref().unwrap_or_default(),
            Statement::Execute(execute) => execute.runs.as_deref().unwrap_or_default(),
            Statement::Query(query) => &query.runs,
            _ => &[],
        }
    }

    /// The statement's first words in upper case, for messages: those of an index with its `CREATE`, or `UPDATE`.
    pub fn keyword(&self) -> String {
        if let Some(object) = self.created() {
            return format!("CREATE {object}");
        }
        let fixed = match self {
            Statement::Alter(alter) => return format!("ALTER {}", alter.kind.words()),
            Statement::MoveAll(all) => return format!("ALTER {}", all.kind.words()),
            Statement::Drop(drop) => return format!("DROP {}", drop.kind.words()),
            Statement::Vacuum(vacuum) if vacuum.is_full => return format!("{} FULL", "VACUUM"),
            Statement::Meta(meta) => return format!("\\{}", meta.name),
            Statement::Opaque { keyword } => return keyword.clone(),
            Statement::Comment(_) => "COMMENT",
            Statement::Grant(grant) if grant.is_revoke => "REVOKE",
            Statement::Grant(_) => "GRANT",
            Statement::Reindex(_) => "REINDEX",
            Statement::Cluster(_) => "CLUSTER",
            Statement::Vacuum(_) => "VACUUM",
            Statement::Analyze(_) => "ANALYZE",
            Statement::Truncate(_) => "TRUNCATE",
            Statement::Refresh(_) => "REFRESH MATERIALIZED VIEW",
            Statement::Lock(_) => "LOCK TABLE",
            Statement::Query(query) => query.kind.as_str(),
            Statement::Copy(_) => "COPY",
            Statement::Transaction(transaction) => transaction.as_str(),
            Statement::Set(_) => "SET",
            Statement::Reset(_) => "RESET",
            Statement::Do(_) => "DO",
            Statement::Call(_) => "CALL",
            Statement::Prepare(_) => "PREPARE",
            Statement::Execute(_) => "EXECUTE",
            Statement::Explain(_) => "EXPLAIN",
            Statement::Unknown { .. } => "EXECUTE",
            _ => "",
        };
        fixed.to_owned()
    }

    /// What a CREATE makes.
    fn created(&self) -> Option<&'static str> {
        Some(match self {
            Statement::CreateTable(create) if create.server.is_some() => "FOREIGN TABLE",
            Statement::CreateTable(_) => "TABLE",
            Statement::CreateTableAs(_) => "TABLE AS",
            Statement::CreateIndex(_) => "INDEX",
            Statement::CreateView(view) if view.is_materialized => "MATERIALIZED VIEW",
            Statement::CreateView(_) => "VIEW",
            Statement::CreateSequence(_) => "SEQUENCE",
            Statement::CreateType(_) => "TYPE",
            Statement::CreateDomain(_) => "DOMAIN",
            Statement::CreateFunction(function) if function.is_procedure => "PROCEDURE",
            Statement::CreateFunction(_) => "FUNCTION",
            Statement::CreateTrigger(_) => "TRIGGER",
            Statement::CreateEventTrigger(_) => "EVENT TRIGGER",
            Statement::CreateRule(_) => "RULE",
            Statement::CreatePolicy(_) => "POLICY",
            Statement::CreateStatistics(_) => "STATISTICS",
            Statement::CreatePublication(_) => "PUBLICATION",
            Statement::CreateSubscription(_) => "SUBSCRIPTION",
            Statement::CreateExtension(_) => "EXTENSION",
            Statement::CreateSchema(_) => "SCHEMA",
            Statement::CreateOther(create) => create.kind.words(),
            _ => return None,
        })
    }
}
