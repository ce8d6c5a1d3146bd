//! What a module wants changed, as data: the diff that is shown is the list that runs.

use crate::cmd::{ApiCall, Cmd};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// One change: what people read, what runs, and the way back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What it does, in the imperative: `create the bridge vmbr2`.
    pub what: String,
    /// Before and after.
    pub diff: Diff,
    /// In this order; the first that fails ends the change.
    pub actions: Vec<Action>,
    /// How to take it back.
    pub undo: Undo,
    /// Set where the change can cut the line to the host: the target reverts it unless confirmed within this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm_within: Option<Duration>,
    /// Inventory name of the guest that it changes where the engine knows one, also if the step's host is the node: a
    /// rollback of that guest takes it back. Set by the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest: Option<String>,
    /// What the target puts back then. Without it nothing is armed, whatever `confirm_within` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revert: Option<Revert>,
}

/// What a target needs to take a change back without anybody's help: files, and what makes them hold again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Revert {
    /// Absolute paths of plain files. One that is not there before the change is removed again.
    pub files: Vec<String>,
    /// Run in this order once the files are back; program and arguments each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Vec<String>>,
}

impl Revert {
    /// Takes in what another one has and this one has not.
    pub fn merge(&mut self, other: &Self) {
        for file in other.files.iter().filter(|f| !self.files.contains(f)).cloned().collect::<Vec<_>>() {
            self.files.push(file);
        }
        for line in other.after.iter().filter(|l| !self.after.contains(l)).cloned().collect::<Vec<_>>() {
            self.after.push(line);
        }
    }
}

impl Change {
    /// A change without diff, undone by nothing (say why).
    pub fn new(what: impl Into<String>, actions: Vec<Action>, undo: Undo) -> Self {
        Self { what: what.into(), diff: Diff::None, actions, undo, confirm_within: None, revert: None, guest: None }
    }

    /// The same with a diff.
    #[must_use]
    pub fn diff(mut self, diff: Diff) -> Self {
        self.diff = diff;
        self
    }
}

/// Before and after, as people read it. Secrets are marks in here.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Diff {
    /// Nothing to show.
    None,
    /// A text file: `None` is a file that is not there.
    Text {
        /// Path on the target.
        path: String,
        /// Old content.
        before: Option<String>,
        /// New content.
        after: Option<String>,
    },
    /// Named values.
    Values(Vec<ValueChange>),
}

/// One named value of a [`Diff::Values`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ValueChange {
    /// For example `memory`, `mode`, `owner`.
    pub key: String,
    /// `None`: not set.
    pub before: Option<String>,
    /// `None`: will not be set.
    pub after: Option<String>,
}

impl ValueChange {
    /// From plain texts.
    pub fn new(key: impl Into<String>, before: Option<&str>, after: Option<&str>) -> Self {
        Self { key: key.into(), before: before.map(Into::into), after: after.map(Into::into) }
    }
}

/// The way back from a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// These actions give the old state back.
    Actions(Vec<Action>),
    /// Nothing to take back.
    Nothing,
    /// Only a checkpoint brings it back, or nothing does: why.
    Impossible(String),
}

/// What the engine knows how to carry out. The list is closed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Runs a command; exit status 0 is success.
    Run(Cmd),
    /// Makes an API call on the node; success as [`crate::cmd::ApiAnswer::ok`] says.
    Api(ApiCall),
    /// Writes a file: beside it first, with mode and owner, then `mv`.
    Write(PutFile),
    /// Writes a folder by one `tar`.
    Tree(PutTree),
    /// Brings a file here.
    Fetch(FetchFile),
    /// Asks the operator.
    Prompt(PromptKind),
}

impl Action {
    /// The action as one would type it.
    pub fn line(&self) -> String {
        match self {
            Self::Run(cmd) => cmd.line(),
            Self::Api(call) => call.line(),
            Self::Write(file) => format!("write {}", file.path),
            Self::Tree(tree) => format!("write the folder {}", tree.dest),
            Self::Fetch(file) => format!("fetch {} to {}", file.src, file.dest.display()),
            Self::Prompt(kind) => format!("ask the operator: {}", kind.text()),
        }
    }
}

/// A file to write on the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutFile {
    /// Absolute path on the target. A link is followed: the file behind it is replaced.
    pub path: String,
    /// What is written.
    pub content: Content,
    /// Permission bits; `None` keeps those of a file that is there, else `0644`.
    pub mode: Option<u32>,
    /// Owner; `None` keeps.
    #[serde(default)]
    pub owner: Owner,
    /// Written as this user (`become_user`); set by the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// Owner and group by name or number.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Owner {
    /// User; `None` keeps.
    pub user: Option<String>,
    /// Group; `None` keeps.
    pub group: Option<String>,
}

impl Owner {
    /// `user`, `user:group` or `:group` for `chown`; `None` if both are kept.
    pub fn spec(&self) -> Option<String> {
        match (&self.user, &self.group) {
            (None, None) => None,
            (user, None) => user.clone(),
            (user, Some(group)) => Some(format!("{}:{group}", user.as_deref().unwrap_or(""))),
        }
    }
}

/// What goes into a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A text; may hold secret marks.
    Text(String),
    /// Small binary content.
    Bytes(Vec<u8>),
    /// A local file, streamed.
    Local(PathBuf),
}

/// A local folder to write on the target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutTree {
    /// Local folder.
    pub src: PathBuf,
    /// Folder on the target.
    pub dest: String,
    /// Relative paths of the files to send; those that differ.
    pub files: Vec<PathBuf>,
    /// Owner of all of it.
    #[serde(default)]
    pub owner: Owner,
    /// Written as this user; set by the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// A file to bring here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchFile {
    /// Path on the target.
    pub src: String,
    /// Local path; parent folders are made.
    pub dest: PathBuf,
    /// Read as this user; set by the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

/// What the operator is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptKind {
    /// Yes or no; no stops the run.
    Confirm(String),
    /// A line of text, with a default.
    Ask {
        /// The question.
        text: String,
        /// Used for an empty answer.
        default: Option<String>,
    },
    /// Something to do by hand, then Enter.
    Manual(String),
    /// A text to read; nothing is asked.
    Notice(String),
    /// The name must be typed to go on.
    Typed {
        /// The question.
        text: String,
        /// What has to be typed.
        name: String,
    },
}

impl PromptKind {
    /// The text that is shown.
    pub fn text(&self) -> &str {
        match self {
            Self::Confirm(text)
            | Self::Manual(text)
            | Self::Notice(text)
            | Self::Ask { text, .. }
            | Self::Typed { text, .. } => text,
        }
    }
}
