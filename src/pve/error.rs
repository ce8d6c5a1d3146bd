//! Why an API call could not be said, or its answer not be heard.

/// One error of the carriers. An HTTP status is not one of them: that is an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PveError {
    /// The call cannot be made as it is; nothing was sent.
    #[error("`{call}` cannot be sent: {why}")]
    Refused {
        /// The call as one would type it.
        call: String,
        /// Why.
        why: String,
    },
    /// The node did not take the request; nothing was done.
    #[error("`{call}` was not sent: {why}")]
    NotSent {
        /// The call.
        call: String,
        /// What the carrier said.
        why: String,
    },
    /// The request went out and no whole answer came back: it may or may not have been done.
    #[error("`{call}` was sent, but no answer came: {why}")]
    NoAnswer {
        /// The call.
        call: String,
        /// What the carrier said.
        why: String,
    },
    /// The node gave no ticket.
    #[error("no ticket from the node: {why}")]
    Ticket {
        /// What perl said, or what was wrong with it.
        why: String,
    },
    /// An answer without the shape that it has in Proxmox VE 8 and 9.
    #[error("{what}: {why}")]
    Shape {
        /// What was read.
        what: String,
        /// What was missing or wrong.
        why: String,
    },
}

impl PveError {
    /// True if a call that changes something may have been done.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::NoAnswer { .. })
    }

    /// Shorthand for [`PveError::Shape`].
    pub fn shape(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Shape { what: what.into(), why: why.into() }
    }
}
