//! CREATE TABLE and what it is made of: columns, constraints, partitions.

use super::{Expression, Identifier, IndexKey, ObjectName, Query, SequenceOptions, Setting, Span, TypeName};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Persistence {
    #[default]
    Permanent,
    Unlogged,
    Temporary,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnCommit {
    PreserveRows,
    DeleteRows,
    Drop,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateTable {
    pub name: ObjectName,
    pub if_not_exists: bool,
    pub persistence: Persistence,
    /// For PARTITION OF and OF these have no type: they add constraints and defaults to columns that are there.
    pub columns: Vec<ColumnDefinition>,
    /// Those of the table; a column's own are with the column.
    pub constraints: Vec<TableConstraint>,
    pub likes: Vec<LikeClause>,
    pub inherits: Vec<ObjectName>,
    /// PARTITION OF that table.
    pub partition_of: Option<ObjectName>,
    pub bound: Option<PartitionBound>,
    pub partition_by: Option<PartitionBy>,
    /// OF that composite type.
    pub of_type: Option<ObjectName>,
    pub access_method: Option<Identifier>,
    pub options: Vec<Setting>,
    pub on_commit: Option<OnCommit>,
    pub tablespace: Option<Identifier>,
    /// For a foreign table.
    pub server: Option<Identifier>,
    pub foreign_options: Vec<Setting>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct CreateTableAs {
    pub name: ObjectName,
    pub if_not_exists: bool,
    pub persistence: Persistence,
    pub columns: Vec<Identifier>,
    pub access_method: Option<Identifier>,
    pub options: Vec<Setting>,
    pub on_commit: Option<OnCommit>,
    pub tablespace: Option<Identifier>,
    pub query: Query,
    /// AS EXECUTE: what is prepared is not looked up.
    pub is_execute: bool,
    pub with_no_data: bool,
    /// SELECT ... INTO.
    pub is_select_into: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnDefinition {
    pub span: Span,
    pub name: Identifier,
    pub type_name: Option<TypeName>,
    pub collation: Option<ObjectName>,
    pub storage: Option<String>,
    pub compression: Option<String>,
    /// Inline, in the order of the text: also defaults, identity and generation.
    pub constraints: Vec<ColumnConstraint>,
    pub foreign_options: Vec<Setting>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ColumnConstraint {
    pub span: Span,
    pub name: Option<Identifier>,
    pub kind: ColumnConstraintKind,
    pub timing: ConstraintTiming,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ColumnConstraintKind {
    NotNull {
        no_inherit: bool,
    },
    Null,
    Default(Expression),
    Generated {
        kind: GeneratedKind,
        expression: Expression,
    },
    Identity {
        is_always: bool,
        options: SequenceOptions,
    },
    Check {
        expression: Expression,
        no_inherit: bool,
    },
    Unique {
        nulls_not_distinct: bool,
        include: Vec<Identifier>,
        options: Vec<Setting>,
        tablespace: Option<Identifier>,
    },
    PrimaryKey {
        include: Vec<Identifier>,
        options: Vec<Setting>,
        tablespace: Option<Identifier>,
    },
    References(ForeignKey),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GeneratedKind {
    Stored,
    Virtual,
    /// Neither word: VIRTUAL on 18 and newer, a syntax error before.
    Unmarked,
}

/// When a constraint is checked, and whether.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ConstraintTiming {
    pub is_deferrable: bool,
    pub is_initially_deferred: bool,
    pub is_not_enforced: bool,
    pub is_not_valid: bool,
}

/// A constraint of a table or a domain.
#[derive(Clone, Debug, PartialEq)]
pub struct TableConstraint {
    pub span: Span,
    pub name: Option<Identifier>,
    pub kind: TableConstraintKind,
    pub timing: ConstraintTiming,
}

#[derive(Clone, Debug, PartialEq)]
pub enum TableConstraintKind {
    Check {
        expression: Expression,
        no_inherit: bool,
    },
    /// 18 and newer; for a domain, `column` is empty.
    NotNull {
        column: Identifier,
        no_inherit: bool,
    },
    Unique {
        columns: Vec<Identifier>,
        nulls_not_distinct: bool,
        /// WITHOUT OVERLAPS on the last column.
        without_overlaps: bool,
        include: Vec<Identifier>,
        using_index: Option<Identifier>,
        options: Vec<Setting>,
        tablespace: Option<Identifier>,
    },
    PrimaryKey {
        columns: Vec<Identifier>,
        without_overlaps: bool,
        include: Vec<Identifier>,
        using_index: Option<Identifier>,
        options: Vec<Setting>,
        tablespace: Option<Identifier>,
    },
    ForeignKey {
        columns: Vec<Identifier>,
        key: ForeignKey,
    },
    Exclude {
        method: Option<Identifier>,
        elements: Vec<ExclusionElement>,
        include: Vec<Identifier>,
        predicate: Option<Expression>,
        options: Vec<Setting>,
        tablespace: Option<Identifier>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub struct ExclusionElement {
    pub key: IndexKey,
    pub operator: String,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct ForeignKey {
    pub table: ObjectName,
    /// Empty for the referenced table's primary key.
    pub columns: Vec<Identifier>,
    /// FULL, PARTIAL or SIMPLE.
    pub matching: Option<String>,
    pub on_delete: ForeignKeyAction,
    /// Columns of ON DELETE SET NULL (a, b) or SET DEFAULT (a, b).
    pub on_delete_columns: Vec<Identifier>,
    pub on_update: ForeignKeyAction,
    /// PERIOD on the last column.
    pub is_period: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ForeignKeyAction {
    #[default]
    NoAction,
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LikeClause {
    pub table: ObjectName,
    /// In lower case: `all`, `indexes`, `constraints`, `defaults`, ...
    pub including: Vec<String>,
    pub excluding: Vec<String>,
    pub span: Span,
}

/// What FOR VALUES says, in the user's own words.
#[derive(Clone, Debug, PartialEq)]
pub enum PartitionBound {
    List {
        span: Span,
        values: Vec<Expression>,
    },
    /// `MINVALUE` and `MAXVALUE` are among the values, as columns of those names.
    Range {
        span: Span,
        from: Vec<Expression>,
        to: Vec<Expression>,
    },
    Hash {
        span: Span,
        bound: HashBound,
    },
    Default {
        span: Span,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashBound {
    pub modulus: u32,
    pub remainder: u32,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PartitionBy {
    pub span: Span,
    /// `list`, `range` or `hash`.
    pub strategy: String,
    pub keys: Vec<PartitionKeyPart>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct PartitionKeyPart {
    pub column: Option<Identifier>,
    pub expression: Option<Expression>,
    pub collation: Option<ObjectName>,
    pub opclass: Option<ObjectName>,
}

impl ForeignKeyAction {
    /// As `pg_constraint.confdeltype` has it.
    pub fn code(self) -> &'static str {
        match self {
            ForeignKeyAction::NoAction => "a",
            ForeignKeyAction::Restrict => "r",
            ForeignKeyAction::Cascade => "c",
            ForeignKeyAction::SetNull => "n",
            ForeignKeyAction::SetDefault => "d",
        }
    }
}

impl PartitionBound {
    pub fn span(&self) -> Span {
        match self {
            PartitionBound::List { span, .. }
            | PartitionBound::Range { span, .. }
            | PartitionBound::Hash { span, .. }
            | PartitionBound::Default { span } => *span,
        }
    }
}

impl ColumnDefinition {
    pub fn default(&self) -> Option<&Expression> {
        self.constraints.iter().find_map(|constraint| match &constraint.kind {
            ColumnConstraintKind::Default(expression) => Some(expression),
            _ => None,
        })
    }

    pub fn is_not_null(&self) -> bool {
        self.constraints.iter().any(|constraint| {
            matches!(
                constraint.kind,
                ColumnConstraintKind::NotNull { .. }
                    | ColumnConstraintKind::PrimaryKey { .. }
                    | ColumnConstraintKind::Identity { .. }
            )
        }) || self.type_name.as_ref().is_some_and(|name| name.serial_base().is_some())
    }

    pub fn generated(&self) -> Option<(GeneratedKind, &Expression)> {
        self.constraints.iter().find_map(|constraint| match &constraint.kind {
            ColumnConstraintKind::Generated { kind, expression } => Some((*kind, expression)),
            _ => None,
        })
    }

    pub fn is_identity(&self) -> bool {
        self.constraints.iter().any(|c| matches!(c.kind, ColumnConstraintKind::Identity { .. }))
    }
}
