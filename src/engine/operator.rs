//! Who answers questions in the middle of a run.

use crate::modules::PromptKind;
use crate::transport::Boxed;

/// The person (or the flag) that answers.
pub trait Operator: Send + Sync {
    /// Asks and waits. For [`PromptKind::Confirm`] the answer is `yes` or `no`.
    fn ask<'a>(&'a self, host: &'a str, kind: &'a PromptKind) -> Boxed<'a, Result<String, NoAnswer>>;
}

/// There is nobody who could answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct NoAnswer {
    /// For example `no terminal: use --yes, or run it where somebody can answer`.
    pub why: String,
}
