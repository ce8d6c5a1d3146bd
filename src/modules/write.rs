//! One file of the target gets this content: what `copy`, `template` and `line` have in common.

use super::inode::{Attributes, Body, Inode, Kind};
use super::{Action, Change, Content, Diff, Mode, ModuleError, Owner, Problem, PutFile, ValueChange, inode};
use crate::cmd::{Cmd, quote};
use std::path::{Path, PathBuf};

/// The file as it shall be.
#[derive(Debug)]
pub struct Target<'a> {
    /// Absolute path.
    pub path: &'a str,
    /// Mode and owner.
    pub attributes: Attributes<'a>,
    /// Command that must end with 0 on the new content before it takes its place; `%s` is its path.
    pub validate: Option<&'a str>,
    /// Identity of the run, for the name of the file that is validated.
    pub run: &'a str,
}

/// The content as it shall be.
#[derive(Debug)]
pub enum New<'a> {
    /// Small; may hold secret marks.
    Bytes(&'a [u8]),
    /// Large: a local file.
    Large {
        /// Local path.
        path: PathBuf,
        /// Bytes.
        len: u64,
        /// Hex.
        sha256: &'a str,
    },
}

impl New<'_> {
    fn is(&self, inode: &Inode) -> bool {
        match (self, &inode.body) {
            (Self::Bytes(new), Body::Bytes(old)) => new == old,
            (Self::Large { len, sha256, .. }, Body::Sha256(old)) => inode.size == *len && old == sha256,
            _ => false,
        }
    }

    fn content(&self, path: &str) -> Result<Content, ModuleError> {
        match self {
            Self::Bytes(bytes) => inode::content(bytes)
                .ok_or_else(|| ModuleError::refused(format!("{path}: binary content cannot hold a secret"))),
            Self::Large { path, .. } => Ok(Content::Local(path.clone())),
        }
    }

    fn diff(&self, path: &str, inode: &Inode) -> Diff {
        let size = |n: u64| format!("{n} bytes");
        let old_size = (!inode.is_absent()).then(|| size(inode.size));
        let value = |new: u64| vec![ValueChange::new("size", old_size.as_deref(), Some(&size(new)))];
        match self {
            Self::Bytes(bytes) => match (std::str::from_utf8(bytes), inode.is_absent(), inode.text()) {
                (Ok(after), absent, before) if absent || before.is_some() => {
                    let (path, before) = (path.to_string(), before.map(Into::into));
                    Diff::Text { path, before, after: Some(after.to_string()) }
                }
                _ => Diff::Values(value(bytes.len() as u64)),
            },
            Self::Large { len, sha256, .. } => {
                let mut values = value(*len);
                let old = match &inode.body {
                    Body::Sha256(old) => Some(old.as_str()),
                    _ => None,
                };
                values.push(ValueChange::new("sha256", old, Some(sha256)));
                Diff::Values(values)
            }
        }
    }
}

/// What has to change for the file to have this content, mode and owner.
///
/// # Errors
/// [`ModuleError::Refused`] if something that is no file is in the way.
pub fn plan(target: &Target<'_>, inode: &Inode, new: &New<'_>) -> Result<Vec<Change>, ModuleError> {
    let path = target.path;
    match inode.kind {
        Kind::Absent | Kind::File => {}
        Kind::Directory => {
            let hint = format!("to put the file into it, write {}/", path.trim_end_matches('/'));
            return Err(ModuleError::refused(format!("{path} is a folder")).hint(hint));
        }
        _ => return Err(ModuleError::refused(format!("{path} is {}, not a file", inode.word()))),
    }
    if !inode.is_absent() && new.is(inode) {
        return Ok(inode.attributes(path, target.attributes).into_iter().collect());
    }
    let put = |path: &str, mode: Option<u32>| -> Result<Action, ModuleError> {
        let owner = if path == target.path { target.attributes.to_owner() } else { Owner::default() };
        Ok(Action::Write(PutFile { path: path.to_string(), content: new.content(path)?, mode, owner, user: None }))
    };
    let mut actions = Vec::new();
    if let Some(validate) = target.validate {
        let beside = beside(path, target.run);
        actions.push(put(&beside, Some(0o600))?);
        actions.push(Action::Run(check(validate, &beside)));
    }
    actions.push(put(path, target.attributes.mode.map(|Mode(bits)| bits))?);
    let what = if inode.is_absent() {
        format!("create {path}")
    } else {
        let also: Vec<_> = inode.differences(target.attributes).into_iter().map(|v| v.key).collect();
        let also = if also.is_empty() { String::new() } else { format!(" and its {}", also.join(", ")) };
        format!("change the content of {path}{also}")
    };
    Ok(vec![Change::new(what, actions, inode.undo(path)).diff(new.diff(path, inode))])
}

/// The hidden file beside it on which `validate` runs.
fn beside(path: &str, run: &str) -> String {
    let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
    format!("{dir}/.{name}.piton-{run}")
}

/// Runs `validate`, and takes the file away whatever it says.
fn check(validate: &str, beside: &str) -> Cmd {
    let text = validate.replace("%s", &quote(beside));
    Cmd::shell_with(&format!("(\n{text}\n)\nrc=$?\nrm -f \"$1\"\nexit $rc"), [beside])
}

/// What is wrong with `validate`.
pub fn wrong_validate(validate: Option<&str>) -> Vec<Problem> {
    match validate {
        Some(text) if !text.contains("%s") => {
            vec![Problem::at("validate", "`validate` does not say where the file is").hint("write %s for its path")]
        }
        _ => Vec::new(),
    }
}

/// The path of a file whose `dest` may be a folder, marked by a slash at its end.
pub fn into_folder(dest: &str, src: &Path) -> String {
    if !dest.ends_with('/') {
        return dest.to_string();
    }
    format!("{dest}{}", src.file_name().map(|n| n.to_string_lossy()).unwrap_or_default())
}
