//! Files of this machine that steps ask for before they decide.

use std::path::{Path, PathBuf};

/// A local file that a step needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFile {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub body: LocalBody,
    /// Permission bits (`0o644`).
    pub mode: u32,
}

/// Content of a [`LocalFile`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalBody {
    /// A text or small file, at most [`LocalFile::INLINE`] bytes; a rendered template may hold secret marks.
    Inline(Vec<u8>),
    /// Too large to hold: its size in bytes and SHA-256 in hex.
    Large {
        /// Bytes.
        len: u64,
        /// Lower-case hex.
        sha256: String,
    },
    /// A folder: its files, relative paths sorted, each with mode and body.
    Tree(Vec<(PathBuf, LocalFile)>),
    /// Not there, for a [`Want`] that may be missing.
    Missing,
}

impl LocalFile {
    /// Files up to this many bytes are held inline and shown as a diff: 256 KiB.
    pub const INLINE: u64 = 256 * 1024;
}

/// A local file wanted by a step: path as the user wrote it, relative to the runbook's project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// As written, relative to `files/`, `templates/` or the runbook's folder (load says where it looked).
    pub path: String,
    /// Rendered as a Handlebars template of the step's scope.
    pub template: bool,
    /// For a file that the step writes here: it may be missing ([`LocalBody::Missing`]), and its path starts from
    /// the project folder, not from `files/`.
    pub optional: bool,
}

impl Want {
    /// A file that is sent as it is.
    pub fn file(path: impl Into<String>) -> Self {
        Self { path: path.into(), template: false, optional: false }
    }

    /// A template.
    pub fn template(path: impl Into<String>) -> Self {
        Self { path: path.into(), template: true, optional: false }
    }

    /// A file that may be missing.
    pub fn optional(path: impl Into<String>) -> Self {
        Self { path: path.into(), template: false, optional: true }
    }
}

/// Where the parameters' relative paths start on this machine.
pub fn inside(base: &Path, path: &str) -> PathBuf {
    let path = Path::new(path);
    if path.is_absolute() { path.to_path_buf() } else { base.join(path) }
}
