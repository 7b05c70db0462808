//! Statements over rows: what they read, what they write, and whether they are bounded.

use super::{Expression, FunctionCall, Identifier, Located, ObjectName, Setting, Span};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum QueryKind {
    #[default]
    Select,
    Values,
    /// TABLE name.
    Table,
    Insert,
    Update,
    Delete,
    Merge,
}

/// A query with all that is in it: CTEs, subqueries, joins.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    pub span: Span,
    pub text: String,
    /// Of the outermost statement; what CTEs write is in `writes`.
    pub kind: QueryKind,
    /// What the outermost statement writes; it is among the `writes` too.
    pub target: Option<TableUse>,
    /// Every table that is read, also by name in a CTE or a subquery; names of CTEs left out. The target of an
    /// UPDATE, DELETE or MERGE is not repeated here.
    pub reads: Vec<TableUse>,
    /// Every table that is written, also by CTEs.
    pub writes: Vec<TableWrite>,
    /// The outermost WHERE; for MERGE its ON.
    pub condition: Option<Expression>,
    /// FROM of an UPDATE, USING of a DELETE or MERGE: the target is joined with something.
    pub is_joined: bool,
    /// The outermost LIMIT or FETCH FIRST.
    pub has_limit: bool,
    pub has_returning: bool,
    /// INSERT's columns.
    pub columns: Vec<Identifier>,
    /// INSERT's source.
    pub source: Option<InsertSource>,
    pub on_conflict: Option<OnConflict>,
    /// UPDATE's SET.
    pub assignments: Vec<Assignment>,
    /// FOR UPDATE and its like, wherever they are.
    pub row_locks: Vec<RowLock>,
    pub functions: Vec<FunctionCall>,
    /// Columns that are named anywhere in it.
    pub columns_used: Vec<super::ColumnUse>,
    /// The names of its CTEs.
    pub ctes: Vec<String>,
    /// WHERE CURRENT OF a cursor.
    pub is_positioned: bool,
    /// What the functions run that it calls and the same file makes.
    pub runs: Vec<Located>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableUse {
    pub name: ObjectName,
    pub alias: Option<String>,
    pub is_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WriteKind {
    Insert,
    Update,
    Delete,
    Merge,
}

#[derive(Clone, Debug, PartialEq)]
pub struct TableWrite {
    pub table: TableUse,
    pub kind: WriteKind,
    /// Whether it has a WHERE (for MERGE: always).
    pub has_condition: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsertSource {
    DefaultValues,
    /// That many rows of VALUES.
    Values(usize),
    Query,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct OnConflict {
    pub columns: Vec<Identifier>,
    pub constraint: Option<Identifier>,
    /// DO UPDATE, and not DO NOTHING.
    pub is_update: bool,
}

/// `column = expression`; a list `(a, b) = (...)` gives one for each, with the whole right side.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    pub column: Identifier,
    /// `None` for DEFAULT.
    pub expression: Option<Expression>,
    pub span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RowLockMode {
    KeyShare,
    Share,
    NoKeyUpdate,
    Update,
}

#[derive(Clone, Debug, PartialEq)]
pub struct RowLock {
    pub mode: RowLockMode,
    /// OF these; empty for all.
    pub of: Vec<Identifier>,
    pub is_nowait: bool,
    pub skips_locked: bool,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Copy {
    pub table: Option<TableUse>,
    pub columns: Vec<Identifier>,
    /// COPY (query) TO.
    pub query: Option<Query>,
    /// FROM, and not TO.
    pub is_from: bool,
    pub place: CopyPlace,
    pub options: Vec<Setting>,
    pub condition: Option<Expression>,
    /// The rows that follow in the file, with the line `\.`, for FROM stdin.
    pub rows: Option<Span>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum CopyPlace {
    /// Stdin or stdout.
    Standard,
    File(String),
    Program(String),
}

impl QueryKind {
    pub fn as_str(self) -> &'static str {
        match self {
            QueryKind::Select => "SELECT",
            QueryKind::Values => "VALUES",
            QueryKind::Table => "TABLE",
            QueryKind::Insert => "INSERT",
            QueryKind::Update => "UPDATE",
            QueryKind::Delete => "DELETE",
            QueryKind::Merge => "MERGE",
        }
    }
}
