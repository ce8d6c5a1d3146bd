//! Expressions of `when`, `until`, `changed_when`, `failed_when`, `loop`: minijinja, strict.

use super::source::Span;
use serde_json::Value;

/// A checked expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expr {
    /// As written.
    pub text: String,
    /// Where.
    pub span: Span,
}

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExprError {
    /// One line.
    pub message: String,
}

impl Expr {
    /// Its value in a scope.
    ///
    /// # Errors
    /// Undefined names and type errors.
    pub fn value(&self, scope: &Value) -> Result<Value, ExprError> {
        let _ = scope;
        Err(ExprError { message: String::new() })
    }

    /// Its value, which must be a boolean: `'false'` is a text, not a condition.
    ///
    /// # Errors
    /// As [`value`](Self::value), and for anything but `true` and `false`.
    pub fn holds(&self, scope: &Value) -> Result<bool, ExprError> {
        let _ = scope;
        Err(ExprError { message: String::new() })
    }
}
