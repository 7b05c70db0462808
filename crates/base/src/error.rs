//! The one error that a user sees: a code, what was wrong, where, what was expected, what to do next.

use std::fmt;

use serde::Serialize;

use crate::Code;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One of several things that are wrong with one input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// A JSON pointer into the input (`/amount`), or a dotted path into a configuration.
    pub pointer: String,
    pub message: String,
}

/// An error that a user can see. Crates with errors of their own turn them into this one at their edge.
#[derive(Clone, Debug)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Clone, Debug)]
struct Inner {
    code: Code,
    message: String,
    field: Option<String>,
    expected: Option<String>,
    hint: Option<String>,
    violations: Vec<Violation>,
    retry_after_seconds: Option<u32>,
    cause: Option<String>,
}

impl Error {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                code,
                message: message.into(),
                field: None,
                expected: None,
                hint: None,
                violations: Vec::new(),
                retry_after_seconds: None,
                cause: None,
            }),
        }
    }

    /// The field, parameter, file position or key that the error is about.
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.inner.field = Some(field.into());
        self
    }

    /// What would have been right.
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.inner.expected = Some(expected.into());
        self
    }

    /// What to do next, where it is more than the code's own advice.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.inner.hint = Some(hint.into());
        self
    }

    pub fn violations(mut self, violations: Vec<Violation>) -> Self {
        self.inner.violations = violations;
        self
    }

    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.inner.retry_after_seconds = Some(seconds);
        self
    }

    /// The error underneath, for logs and the command line; never sent to HTTP callers.
    pub fn caused_by(mut self, cause: impl fmt::Display) -> Self {
        self.inner.cause = Some(cause.to_string());
        self
    }

    pub fn code(&self) -> Code {
        self.inner.code
    }

    pub fn message(&self) -> &str {
        &self.inner.message
    }

    pub fn field_name(&self) -> Option<&str> {
        self.inner.field.as_deref()
    }

    pub fn expectation(&self) -> Option<&str> {
        self.inner.expected.as_deref()
    }

    /// What to do next: the error's own hint, or else its code's.
    pub fn next_step(&self) -> &str {
        self.inner.hint.as_deref().unwrap_or_else(|| self.inner.code.next_step())
    }

    pub fn all_violations(&self) -> &[Violation] {
        &self.inner.violations
    }

    pub fn retry_after_seconds(&self) -> Option<u32> {
        self.inner.retry_after_seconds
    }

    pub fn cause(&self) -> Option<&str> {
        self.inner.cause.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = &self.inner.field {
            write!(f, "`{field}`: ")?;
        }
        f.write_str(&self.inner.message)?;
        if let Some(expected) = &self.inner.expected {
            write!(f, ", expected {expected}")?;
        }
        for violation in &self.inner.violations {
            write!(f, "\n  {}: {}", violation.pointer, violation.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
