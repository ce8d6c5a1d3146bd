//! The exit codes, all of them, in one table.

use crate::event::RunEnd;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything done, or nothing to do.
    Done,
    /// A step failed, or a check found something.
    Failed,
    /// Bad input; no host was contacted.
    BadInput,
    /// A step failed and the guests were rolled back.
    RolledBack,
    /// The outcome of a step is unknown, or a host that was needed is gone in mid-run.
    Unknown,
    /// The operator stopped the run.
    Interrupted,
    /// A step failed and the way back failed too: a person is needed.
    RollbackFailed,
    /// A host could not be reached before anything was changed.
    Unreachable,
    /// Something on this machine: a journal that cannot be written, a full disk.
    Local,
    /// Another operator's run has a node.
    Leased,
    /// A host took a change back that was not confirmed in time.
    Reverted,
    /// Something in piton itself.
    Internal,
}

impl Exit {
    /// Every code with its number and meaning: printed by `piton explain exit`.
    pub const TABLE: &'static [(Self, u8, &'static str)] = &[
        (Self::Done, 0, "done: every step is ok, changed or skipped"),
        (Self::Failed, 1, "a step failed; what was changed before it stays, and the report says how to go back"),
        (Self::BadInput, 2, "bad input: nothing was contacted, nothing was changed"),
        (Self::RolledBack, 3, "a step failed and every guest changed in its section is back as it was"),
        (
            Self::Unknown,
            4,
            "the line was lost: a step's outcome is unknown or a host is gone in mid-run; `piton resume` goes on",
        ),
        (Self::Interrupted, 5, "interrupted by the operator"),
        (Self::RollbackFailed, 6, "a step failed and the way back failed too: a person is needed"),
        (Self::Unreachable, 7, "a host could not be reached, and nothing was changed"),
        (Self::Local, 8, "this machine: the journal cannot be written, a disk is full, a program is missing"),
        (Self::Leased, 9, "another operator has the node: nothing was changed"),
        (Self::Reverted, 10, "a change cut the line or was not confirmed, and the host took it back: it is as before"),
        (Self::Internal, 70, "a defect of piton: please report it"),
    ];

    /// The number.
    pub fn code(self) -> u8 {
        Self::TABLE.iter().find(|(e, _, _)| *e == self).map_or(70, |(_, code, _)| *code)
    }
}

impl From<RunEnd> for Exit {
    fn from(end: RunEnd) -> Self {
        match end {
            RunEnd::Done => Self::Done,
            RunEnd::Failed | RunEnd::Refused => Self::Failed,
            RunEnd::RolledBack => Self::RolledBack,
            RunEnd::RollbackFailed => Self::RollbackFailed,
            RunEnd::Unknown => Self::Unknown,
            RunEnd::Interrupted => Self::Interrupted,
            RunEnd::Reverted => Self::Reverted,
        }
    }
}
