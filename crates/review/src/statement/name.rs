//! Names and places: what is called how, and where in the file it stands.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use posthaste_base::catalog::Name;

/// Bytes of the file, from the first to behind the last; always on the bounds of characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

/// A name of one part, as PostgreSQL keeps it. Two are equal when they name the same, wherever they stand.
#[derive(Clone, Debug, Default)]
pub struct Identifier {
    pub name: String,
    pub span: Span,
}

/// A name that may have a schema, as PostgreSQL keeps it. A database before the schema is left out. Two are equal
/// when they name the same, wherever they stand.
#[derive(Clone, Debug, Default)]
pub struct ObjectName {
    pub schema: Option<String>,
    pub name: String,
    pub span: Span,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    pub fn contains(self, other: Span) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// What stands there; empty when the span is of another text.
    pub fn of(self, text: &str) -> &str {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

impl Identifier {
    pub fn new(name: impl Into<String>, span: Span) -> Self {
        Self { name: name.into(), span }
    }

    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl ObjectName {
    pub fn new(schema: Option<&str>, name: &str) -> Self {
        Self { schema: schema.map(str::to_owned), name: name.to_owned(), span: Span::default() }
    }

    /// As the catalog has it, when the schema is written, or when it is known where the name leads.
    pub fn in_schema(&self, default: &str) -> Name {
        Name::new(self.schema.as_deref().unwrap_or(default), &self.name)
    }
}

impl PartialEq for Identifier {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Identifier {}

impl PartialEq<str> for Identifier {
    fn eq(&self, other: &str) -> bool {
        self.name == other
    }
}

impl PartialEq<&str> for Identifier {
    fn eq(&self, other: &&str) -> bool {
        self.name == *other
    }
}

impl Hash for Identifier {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl PartialEq for ObjectName {
    fn eq(&self, other: &Self) -> bool {
        (&self.schema, &self.name) == (&other.schema, &other.name)
    }
}

impl Eq for ObjectName {}

impl PartialOrd for ObjectName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ObjectName {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.schema, &self.name).cmp(&(&other.schema, &other.name))
    }
}

impl Hash for ObjectName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.schema, &self.name).hash(state);
    }
}

/// For messages: not quoted.
impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}
