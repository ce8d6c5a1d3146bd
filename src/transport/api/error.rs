//! Why an API call has no answer, told apart by what is known of its effect.

use crate::pve::PveError;
use crate::transport::TransportError;
use std::time::Duration;

/// One error of [`super::NodeApi`]. An HTTP status of 400 or 500 is an answer, not an error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The call cannot be made as it is (a secret where it would be seen); nothing was sent.
    #[error("{0}")]
    Refused(PveError),
    /// Nothing was done: the node did not take the request.
    #[error("{what} was not sent: {why}")]
    NotSent {
        /// The call.
        what: String,
        /// Why.
        why: String,
    },
    /// Nobody knows: the line was lost, or the connection to pvedaemon closed, after the call was sent.
    #[error("{what}: {why}; its outcome is unknown{}", named(.upid.as_deref()))]
    Unknown {
        /// The call.
        what: String,
        /// How it was noticed.
        why: String,
        /// The task, if its name is known: it runs on in the node.
        upid: Option<String>,
    },
    /// The line failed, and nothing was changed by that: a read, or a call that never went out.
    #[error("{what}: {error}")]
    Line {
        /// The call.
        what: String,
        /// The line's error.
        error: TransportError,
    },
    /// The node gave no answer to a read; nothing is changed by it.
    #[error("{what} got no answer: {why}")]
    NoAnswer {
        /// The call.
        what: String,
        /// How it was noticed.
        why: String,
    },
    /// The task still runs after the time that it was to be followed for.
    #[error("the task {upid} still runs after {} s", after.as_secs())]
    StillRunning {
        /// The task.
        upid: String,
        /// How long it was followed.
        after: Duration,
    },
    /// The node cannot be spoken to at all: neither carrier works, or it is not the node that the inventory says.
    #[error("the Proxmox API of {node} cannot be used: {why}")]
    Unusable {
        /// Name as given.
        node: String,
        /// Why.
        why: String,
    },
}

fn named(upid: Option<&str>) -> String {
    upid.map_or_else(String::new, |u| format!(" (task {u})"))
}

impl ApiError {
    /// True if it is not known whether something was changed, or the change is still going on.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::StillRunning { .. })
    }

    /// The task concerned, where one is known.
    pub fn upid(&self) -> Option<&str> {
        match self {
            Self::Unknown { upid, .. } => upid.as_deref(),
            Self::StillRunning { upid, .. } => Some(upid),
            _ => None,
        }
    }

    /// From the carrier's error about a call that changes something (`changes`) or not.
    pub(super) fn of_pve(error: PveError, changes: bool) -> Self {
        match error {
            PveError::NoAnswer { call: what, why } if changes => Self::Unknown { what, why, upid: None },
            PveError::NoAnswer { call: what, why } => Self::NoAnswer { what, why },
            PveError::NotSent { call: what, why } => Self::NotSent { what, why },
            other => Self::Refused(other),
        }
    }

    /// From the line's error about a call.
    pub(super) fn of_line(error: &TransportError, what: String, changes: bool) -> Self {
        if error.is_unknown() && changes {
            return Self::Unknown { what, why: error.to_string(), upid: None };
        }
        Self::Line { what, error: error.clone() }
    }
}
