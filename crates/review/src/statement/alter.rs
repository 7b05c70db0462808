//! ALTER of anything: one enum with every form.

use super::{
    ColumnDefinition, Expression, Identifier, ObjectKind, ObjectName, PartitionBound, PublicationTable,
    SequenceOptions, Setting, Span, TableConstraint, TypeName,
};

#[derive(Clone, Debug, PartialEq)]
pub struct Alter {
    /// As written: `ALTER TABLE` may also name an index, a view or a sequence.
    pub kind: ObjectKind,
    pub name: ObjectName,
    pub if_exists: bool,
    /// ONLY.
    pub is_only: bool,
    /// The table, for a trigger, a rule or a policy.
    pub on: Option<ObjectName>,
    /// Of a function or its like, when written.
    pub arguments: Option<Vec<TypeName>>,
    pub clauses: Vec<AlterClause>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AlterClause {
    pub span: Span,
    pub action: Action,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    // Columns.
    AddColumn {
        if_not_exists: bool,
        column: Box<ColumnDefinition>,
    },
    DropColumn {
        column: Identifier,
        if_exists: bool,
        is_cascade: bool,
    },
    SetType {
        column: Identifier,
        type_name: TypeName,
        collation: Option<ObjectName>,
        using: Option<Expression>,
    },
    SetDefault {
        column: Identifier,
        expression: Expression,
    },
    DropDefault {
        column: Identifier,
    },
    SetNotNull {
        column: Identifier,
    },
    DropNotNull {
        column: Identifier,
    },
    SetExpression {
        column: Identifier,
        expression: Expression,
    },
    DropExpression {
        column: Identifier,
        if_exists: bool,
    },
    AddIdentity {
        column: Identifier,
        is_always: bool,
        options: SequenceOptions,
    },
    SetIdentity {
        column: Identifier,
        change: IdentityChange,
    },
    DropIdentity {
        column: Identifier,
        if_exists: bool,
    },
    /// `column` is a number for an expression of an index; empty for ALTER STATISTICS. `None` for DEFAULT.
    SetStatistics {
        column: Identifier,
        target: Option<i64>,
    },
    SetColumnOptions {
        column: Identifier,
        options: Vec<Setting>,
    },
    ResetColumnOptions {
        column: Identifier,
        options: Vec<String>,
    },
    SetStorage {
        column: Identifier,
        storage: String,
    },
    SetCompression {
        column: Identifier,
        method: String,
    },
    RenameColumn {
        from: Identifier,
        to: Identifier,
    },
    /// OPTIONS of a foreign table's column.
    ColumnForeignOptions {
        column: Identifier,
        options: Vec<Setting>,
    },

    // Constraints, of tables and domains.
    AddConstraint(Box<TableConstraint>),
    AlterConstraint {
        constraint: Identifier,
        change: ConstraintChange,
    },
    ValidateConstraint {
        constraint: Identifier,
    },
    DropConstraint {
        constraint: Identifier,
        if_exists: bool,
        is_cascade: bool,
    },
    RenameConstraint {
        from: Identifier,
        to: Identifier,
    },

    // Triggers, rules, row security.
    Trigger {
        which: TriggerChoice,
        mode: ToggleMode,
    },
    Rule {
        rule: Identifier,
        mode: ToggleMode,
    },
    RowSecurity(RowSecurity),

    // The whole relation.
    ClusterOn {
        index: Identifier,
    },
    SetWithoutCluster,
    SetWithoutOids,
    /// `None` for DEFAULT.
    SetAccessMethod {
        method: Option<Identifier>,
    },
    SetTablespace {
        tablespace: Identifier,
        is_nowait: bool,
    },
    SetLogged,
    SetUnlogged,
    SetOptions {
        options: Vec<Setting>,
    },
    ResetOptions {
        options: Vec<String>,
    },
    Inherit {
        parent: ObjectName,
    },
    NoInherit {
        parent: ObjectName,
    },
    OfType {
        type_name: ObjectName,
    },
    NotOf,
    ReplicaIdentity(ReplicaIdentity),
    AttachPartition {
        partition: ObjectName,
        bound: PartitionBound,
    },
    DetachPartition {
        partition: ObjectName,
        is_concurrent: bool,
        is_finalize: bool,
    },
    /// ALTER INDEX ... ATTACH PARTITION.
    AttachIndex {
        index: ObjectName,
    },
    /// OPTIONS of a foreign table, a server, a wrapper or a user mapping.
    ForeignOptions {
        options: Vec<Setting>,
    },

    // Anything.
    RenameTo {
        to: Identifier,
    },
    SetSchema {
        schema: Identifier,
    },
    /// A role's name, or `current_user` and its like.
    OwnerTo {
        owner: Identifier,
    },
    DependsOnExtension {
        extension: Identifier,
        is_no: bool,
    },
    RefreshVersion,

    // Sequences.
    Sequence(Box<SequenceOptions>),

    // Types.
    AddValue {
        value: String,
        if_not_exists: bool,
        place: Option<ValuePlace>,
    },
    RenameValue {
        from: String,
        to: String,
    },
    AddAttribute {
        column: Box<ColumnDefinition>,
        is_cascade: bool,
    },
    DropAttribute {
        attribute: Identifier,
        if_exists: bool,
        is_cascade: bool,
    },
    AlterAttribute {
        attribute: Identifier,
        type_name: TypeName,
        collation: Option<ObjectName>,
        is_cascade: bool,
    },
    RenameAttribute {
        from: Identifier,
        to: Identifier,
        is_cascade: bool,
    },

    // Domains; their constraints are above.
    SetDomainDefault {
        expression: Expression,
    },
    DropDomainDefault,
    SetDomainNotNull,
    DropDomainNotNull,

    // Functions and procedures: each option with what it was set to, such as `volatility` and `stable`.
    FunctionOptions {
        options: Vec<Setting>,
    },

    Policy {
        roles: Vec<Identifier>,
        using: Option<Expression>,
        with_check: Option<Expression>,
    },

    // Publications and subscriptions.
    PublicationAdd {
        tables: Vec<PublicationTable>,
        schemas: Vec<Identifier>,
    },
    PublicationSet {
        tables: Vec<PublicationTable>,
        schemas: Vec<Identifier>,
    },
    PublicationDrop {
        tables: Vec<PublicationTable>,
        schemas: Vec<Identifier>,
    },
    Subscription {
        keyword: String,
    },

    // Extensions.
    UpdateExtension {
        version: Option<String>,
    },
    ExtensionMember {
        is_add: bool,
        kind: String,
    },

    /// ENABLE, DISABLE of an event trigger.
    EventTrigger {
        mode: ToggleMode,
    },

    /// A form that changes no table: roles, databases, operators, text search. `keyword` is its first words.
    Other {
        keyword: String,
    },
}

/// ALTER COLUMN ... SET GENERATED, SET option, RESTART.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IdentityChange {
    pub is_always: Option<bool>,
    pub options: SequenceOptions,
}

/// ALTER CONSTRAINT: what is not written stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConstraintChange {
    pub is_deferrable: Option<bool>,
    pub is_initially_deferred: Option<bool>,
    /// 18 and newer.
    pub is_enforced: Option<bool>,
    /// INHERIT or NO INHERIT; 18 and newer.
    pub inherits: Option<bool>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TriggerChoice {
    Named(Identifier),
    All,
    User,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ToggleMode {
    Enable,
    Disable,
    EnableReplica,
    EnableAlways,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowSecurity {
    Enable,
    Disable,
    Force,
    NoForce,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ReplicaIdentity {
    Default,
    Full,
    Nothing,
    Index(Identifier),
}

/// Where a new label of an enum goes.
#[derive(Clone, Debug, PartialEq)]
pub enum ValuePlace {
    Before(String),
    After(String),
}

/// ALTER TABLE | INDEX | MATERIALIZED VIEW ALL IN TABLESPACE a SET TABLESPACE b.
#[derive(Clone, Debug, PartialEq)]
pub struct MoveAll {
    pub kind: ObjectKind,
    pub from: Identifier,
    pub to: Identifier,
    pub owners: Vec<Identifier>,
    pub is_nowait: bool,
}
