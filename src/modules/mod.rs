//! Step kinds. A module never acts: it says what to ask, what the answers mean and what would have to change.
//!
//! ```text
//! Params --probe--> [Ask] ==engine==> [Answer] --read--> State --plan--> [Change] ==engine==> done
//! ```
//!
//! Check mode, diffs, sudo, secrets, journal, undo, cancel and speed are the engine's, written once. A new step
//! kind is one file in this folder and one line in [`table`]; its [`Module::EXAMPLES`] are its contract tests.

mod assert;
#[cfg(test)]
mod bench;
mod change;
mod cidr;
mod command;
mod copy;
mod duration;
mod erased;
mod fetch;
mod file;
mod guest;
mod http;
mod inode;
mod line;
mod local;
mod mode;
mod prompt;
mod pve_bridge;
mod pve_snapshot;
mod pve_vm;
mod scalar;
mod script;
mod service;
pub mod table;
mod template;
mod tree;
mod vm_option;
mod wait;
mod write;

pub use change::{
    Action, Change, Content, Diff, FetchFile, Owner, PromptKind, PutFile, PutTree, Revert, Undo, ValueChange,
};
pub use duration::{Length, read_duration};
pub use erased::{Decision, Erased, Instance, Of, ParamError};
pub use local::{LocalBody, LocalFile, Want, inside};
pub use mode::Mode;

use crate::cmd::{ApiAnswer, ApiCall, Cmd, Output};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::time::Duration;

/// One read-only question.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// A command that changes nothing.
    Cmd(Cmd),
    /// A GET call on the node of the host.
    Api(ApiCall),
}

/// What came back for an [`Ask`], in the same order.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// For [`Ask::Cmd`].
    Cmd(Output),
    /// For [`Ask::Api`].
    Api(ApiAnswer),
}

impl Answer {
    /// The output of a command.
    ///
    /// # Errors
    /// [`ModuleError::Unreadable`] if this is an API answer.
    pub fn output(&self) -> Result<&Output, ModuleError> {
        match self {
            Self::Cmd(output) => Ok(output),
            Self::Api(_) => Err(ModuleError::unreadable("a command was asked, an API answer came", "")),
        }
    }

    /// The answer of an API call.
    ///
    /// # Errors
    /// [`ModuleError::Unreadable`] if this is a command's output.
    pub fn api(&self) -> Result<&ApiAnswer, ModuleError> {
        match self {
            Self::Api(answer) => Ok(answer),
            Self::Cmd(_) => Err(ModuleError::unreadable("an API call was asked, a command's output came", "")),
        }
    }

    /// The output of a command that ended with 0; `what` was looked at.
    ///
    /// # Errors
    /// [`ModuleError::Probe`] with the last line of its standard error otherwise.
    pub fn good(&self, what: &str) -> Result<&Output, ModuleError> {
        let output = self.output()?;
        if output.ok() { Ok(output) } else { Err(ModuleError::probe(what, output.complaint())) }
    }

    /// `data` of an API answer that is [`ApiAnswer::ok`]; `what` was looked at.
    ///
    /// # Errors
    /// [`ModuleError::Probe`] with its message otherwise.
    pub fn data(&self, what: &str) -> Result<&serde_json::Value, ModuleError> {
        let answer = self.api()?;
        if answer.ok() { Ok(answer.data()) } else { Err(ModuleError::probe(what, answer.message())) }
    }
}

/// What a module may know of the host and of the machine that piton runs on.
#[derive(Debug, Clone, Default)]
pub struct Cx {
    /// Inventory name of the step's host.
    pub host: String,
    /// Address of the host.
    pub address: String,
    /// Inventory name of the node that an API call goes to; `None` for hosts that are neither node nor guest.
    pub node: Option<String>,
    /// VMID if the host is a guest.
    pub vmid: Option<u32>,
    /// Every guest of the inventory: name, node, VMID.
    pub guests: Vec<GuestRef>,
    /// Local files that the module asked for in [`Module::local_files`], in that order.
    pub files: Vec<LocalFile>,
    /// Identity of the run, for names that must be unique (`20261123-1a2b`).
    pub run: String,
}

/// A guest as modules see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestRef {
    /// Inventory name.
    pub name: String,
    /// Inventory name of its node.
    pub node: String,
    /// VMID.
    pub vmid: u32,
}

/// What kind of step this is with these parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nature {
    /// Has a state to reach: probed before, probed again after; then nothing may be left to change.
    Converges,
    /// Acts every time it runs (`command` without `creates`); the plan says "always runs".
    AlwaysRuns,
    /// Only looks (`assert`, `wait`, `http`): its verdict is its result.
    Looks,
}

/// What a probe says of a step that only looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is as the step wants it. For a step that changes things, always this.
    Holds,
    /// It is not, and this is what was seen.
    Fails(String),
}

/// A step that looks until it likes what it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poll {
    /// Pause before the first look of a run (not in a plan).
    pub first: Duration,
    /// Pause between two looks.
    pub every: Duration,
    /// After this long the step fails with the last verdict.
    pub at_most: Duration,
}

/// Why a module cannot go on. Nothing was changed when one of these is returned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModuleError {
    /// A probe answered something that this version does not understand. Never guessed.
    #[error("{what}; the answer was: {text}")]
    Unreadable {
        /// What was expected.
        what: String,
        /// The first 200 characters of the answer.
        text: String,
    },
    /// A probe itself failed.
    #[error("{what}: {why}")]
    Probe {
        /// What was looked at.
        what: String,
        /// Its error, one line.
        why: String,
    },
    /// What the step asks for cannot or must not be done here.
    #[error("{why}")]
    Refused {
        /// Why, with the values concerned.
        why: String,
        /// What to do next.
        hint: Option<String>,
    },
}

impl ModuleError {
    /// An answer that cannot be read.
    pub fn unreadable(what: impl Into<String>, text: &str) -> Self {
        Self::Unreadable { what: what.into(), text: text.chars().take(200).collect() }
    }

    /// A probe that failed.
    pub fn probe(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Probe { what: what.into(), why: why.into() }
    }

    /// A refusal.
    pub fn refused(why: impl Into<String>) -> Self {
        Self::Refused { why: why.into(), hint: None }
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(self, text: impl Into<String>) -> Self {
        match self {
            Self::Refused { why, .. } => Self::Refused { why, hint: Some(text.into()) },
            other => other,
        }
    }
}

/// A parameter that is wrong before any host is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Path in the parameters, for example `["nics", "0", "bridge"]`; empty for the step as a whole.
    pub at: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem of one parameter.
    pub fn at(field: &str, message: impl Into<String>) -> Self {
        Self { at: vec![field.to_string()], message: message.into(), hint: None }
    }

    /// The same with advice.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hint = Some(text.into());
        self
    }
}

/// A worked example of a step kind: shown by `piton modules NAME`, run by `tests/engine/contract.rs`.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    /// What it does, half a sentence.
    pub name: &'static str,
    /// The step as YAML, without the leading dash.
    pub yaml: &'static str,
}

/// A step kind.
pub trait Module: 'static {
    /// What the user writes under the module's name. `#[serde(deny_unknown_fields)]` is a must.
    type Params: DeserializeOwned + Serialize + JsonSchema + Debug + Send + Sync + 'static;
    /// What the probes found out.
    type State: Debug;

    /// The key in a step.
    const NAME: &'static str;
    /// One line for `piton modules`.
    const SUMMARY: &'static str;
    /// For `command`-like modules: the parameter that a bare string stands for (`command: uptime`).
    const SHORTHAND: Option<&'static str> = None;
    /// Examples: at least one.
    const EXAMPLES: &'static [Example];

    /// Kind of the step with these parameters.
    fn nature(_params: &Self::Params) -> Nature {
        Nature::Converges
    }

    /// True if an action that may or may not have happened can be sent again without harm. A step whose probe
    /// finds out what is left to do is repeatable.
    fn repeatable(params: &Self::Params) -> bool {
        Self::nature(params) != Nature::AlwaysRuns
    }

    /// True if a change by this step wants a checkpoint of the guest before it. Not for steps that leave the guest
    /// as it is, or that handle its snapshots themselves.
    fn needs_checkpoint(_params: &Self::Params) -> bool {
        true
    }

    /// Checks values before any host is asked.
    fn validate(_params: &Self::Params) -> Vec<Problem> {
        Vec::new()
    }

    /// Local files that the step needs.
    fn local_files(_params: &Self::Params) -> Vec<Want> {
        Vec::new()
    }

    /// The read-only questions.
    fn probe(params: &Self::Params, cx: &Cx) -> Vec<Ask>;

    /// What the answers mean.
    ///
    /// # Errors
    /// [`ModuleError`] if a probe failed or cannot be read.
    fn read(params: &Self::Params, cx: &Cx, answers: &[Answer]) -> Result<Self::State, ModuleError>;

    /// What would have to change; empty if nothing.
    ///
    /// # Errors
    /// [`ModuleError::Refused`] if it must not be done.
    fn plan(params: &Self::Params, cx: &Cx, state: &Self::State) -> Result<Vec<Change>, ModuleError>;

    /// For steps that look: what they think of what they see.
    fn verdict(_params: &Self::Params, _cx: &Cx, _state: &Self::State) -> Verdict {
        Verdict::Holds
    }

    /// What is worth reading although nothing is wrong, for example a value that waits for a restart.
    fn notes(_params: &Self::Params, _state: &Self::State) -> Vec<String> {
        Vec::new()
    }

    /// For steps that look until they like it.
    fn poll(_params: &Self::Params) -> Option<Poll> {
        None
    }

    /// Fields of `out.<register>` beyond `changed`, `failed`, `rc`, `stdout`, `stderr`.
    fn facts(_params: &Self::Params, _state: &Self::State) -> serde_json::Map<String, serde_json::Value> {
        serde_json::Map::new()
    }
}
