//! `copy`: a local file, a local folder or a given text on the target.

use super::inode::{Attributes, Inode, Reading};
use super::tree::{self, Tree};
use super::write::{self, New, Target};
use super::{
    Answer, Ask, Change, Cx, Example, LocalBody, LocalFile, Mode, Module, ModuleError, Owner, Problem, Want, inode,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The step kind.
#[derive(Debug)]
pub struct Copy;

/// Parameters of `copy`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Local file or folder, relative to `files/` or the runbook's folder. A folder's content goes into `dest`.
    src: Option<String>,
    /// The content itself, instead of `src`.
    content: Option<String>,
    /// Absolute path on the target. With a slash at its end a file keeps its name in that folder.
    dest: String,
    /// Permission bits, quoted octal: "0644". Without it those of the old file stay; a new one gets 0644.
    mode: Option<Mode>,
    /// Owner, by name or number.
    owner: Option<String>,
    /// Group, by name or number.
    group: Option<String>,
    /// Command that must end with 0 on the new content before it takes its place; `%s` is its path.
    validate: Option<String>,
    /// False: a file that is there is left as it is.
    #[serde(default = "yes")]
    force: bool,
}

fn yes() -> bool {
    true
}

impl Params {
    fn dest(&self) -> String {
        write::into_folder(&self.dest, Path::new(self.src.as_deref().unwrap_or_default().trim_end_matches('/')))
    }

    fn owner(&self) -> Owner {
        Owner { user: self.owner.clone(), group: self.group.clone() }
    }
}

/// What was seen.
#[derive(Debug)]
pub enum Seen {
    /// For a file.
    File(Inode),
    /// For a folder.
    Tree(Tree),
}

fn is_tree(cx: &Cx) -> bool {
    matches!(cx.files.first(), Some(LocalFile { body: LocalBody::Tree(_), .. }))
}

impl Module for Copy {
    type Params = Params;
    type State = Seen;

    const NAME: &'static str = "copy";
    const SUMMARY: &'static str = "a file or folder from here, or a given text";
    const EXAMPLES: &'static [Example] = &[
        Example {
            name: "a short text",
            yaml: "copy: { content: \"net.ipv4.ip_forward = 1\\n\", dest: /etc/sysctl.d/90-forward.conf, mode: \"0644\" }\n",
        },
        Example {
            name: "a file that is checked before it takes its place",
            yaml: "copy: { src: sudoers/admin, dest: /etc/sudoers.d/admin, mode: \"0440\", validate: visudo -cf %s }\n",
        },
        Example { name: "a folder", yaml: "copy: { src: npm/, dest: /opt/npm, owner: root }\n" },
    ];

    fn validate(params: &Params) -> Vec<Problem> {
        let mut out = inode::wrong_path("dest", &params.dest);
        match (&params.src, &params.content) {
            (Some(_), Some(_)) => out.push(Problem::at("content", "write either `src` or `content`, not both")),
            (None, None) => out.push(Problem::at("src", "`src` or `content` is needed")),
            (None, Some(_)) if params.dest.ends_with('/') => {
                out.push(Problem::at("dest", "`dest` is a folder, and `content` has no file name"));
            }
            (Some(src), _) if src.is_empty() => out.push(Problem::at("src", "`src` is empty")),
            _ => {}
        }
        out.extend(inode::wrong_owner(params.owner.as_deref(), params.group.as_deref()));
        out.extend(write::wrong_validate(params.validate.as_deref()));
        out
    }

    fn local_files(params: &Params) -> Vec<Want> {
        params.src.iter().map(Want::file).collect()
    }

    fn probe(params: &Params, cx: &Cx) -> Vec<Ask> {
        if is_tree(cx) {
            return tree::probe(&params.dest, &params.owner());
        }
        let reading = match cx.files.first() {
            Some(LocalFile { body: LocalBody::Large { len, .. }, .. }) => {
                Reading::ContentOrHash(LocalFile::INLINE, *len)
            }
            _ => Reading::Content(LocalFile::INLINE),
        };
        vec![Ask::Cmd(inode::look(&params.dest(), true, reading))]
    }

    fn read(params: &Params, cx: &Cx, answers: &[Answer]) -> Result<Seen, ModuleError> {
        if is_tree(cx) {
            return tree::read(&params.dest, answers).map(Seen::Tree);
        }
        let first = answers.first().ok_or_else(|| ModuleError::unreadable("no answer came", ""))?;
        inode::read(&params.dest(), first).map(Seen::File)
    }

    fn plan(params: &Params, cx: &Cx, seen: &Seen) -> Result<Vec<Change>, ModuleError> {
        let local = cx.files.first();
        let inode = match seen {
            Seen::File(inode) => inode,
            Seen::Tree(there) => {
                let Some(LocalFile { path, body: LocalBody::Tree(files), .. }) = local else {
                    return Err(ModuleError::refused("the folder to copy has not been read"));
                };
                if params.mode.is_some() || params.validate.is_some() {
                    let hint = "files keep the modes that they have here; set others with a `file` step";
                    return Err(
                        ModuleError::refused("`mode` and `validate` are for one file, not for a folder").hint(hint)
                    );
                }
                return tree::plan(
                    &tree::Wanted { src: path, files, dest: &params.dest, owner: params.owner(), force: params.force },
                    there,
                );
            }
        };
        if !params.force && !inode.is_absent() {
            return Ok(Vec::new());
        }
        let new = match (&params.content, local.map(|f| (&f.path, &f.body))) {
            (Some(text), _) => New::Bytes(text.as_bytes()),
            (None, Some((_, LocalBody::Inline(bytes)))) => New::Bytes(bytes),
            (None, Some((path, LocalBody::Large { len, sha256 }))) => {
                New::Large { path: path.clone(), len: *len, sha256 }
            }
            _ => return Err(ModuleError::refused("the file to copy has not been read")),
        };
        let dest = params.dest();
        let target = Target {
            path: &dest,
            attributes: Attributes {
                mode: params.mode,
                owner: params.owner.as_deref(),
                group: params.group.as_deref(),
            },
            validate: params.validate.as_deref(),
            run: &cx.run,
        };
        write::plan(&target, inode, &new)
    }
}

#[cfg(test)]
#[path = "copy_tests.rs"]
mod tests;
