//! Local files that steps need: where they are looked for, and what is in them.

use super::template;
use crate::modules::{LocalBody, LocalFile, Want};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Most files of a folder.
const FILES: usize = 20_000;

/// Why a local file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocalError {
    /// It is nowhere.
    #[error("{what} `{path}` is not there")]
    Missing {
        /// `the template` or `the file`.
        what: &'static str,
        /// As written.
        path: String,
        /// Folders that were looked in, in this order.
        looked: Vec<PathBuf>,
    },
    /// It is there and cannot be read.
    #[error("{path}: {why}")]
    Unreadable {
        /// Where.
        path: String,
        /// The system's error.
        why: String,
    },
    /// It is a template and cannot be rendered.
    #[error("{message}")]
    Template {
        /// One line, with `file:line:col`.
        message: String,
    },
}

/// The folders that a relative path starts from. Templates: the runbook's folder, `templates/`, the project. Files:
/// `files/`, the runbook's folder, the project.
pub fn folders(project: &Path, runbook_dir: &Path, template: bool) -> Vec<PathBuf> {
    if template {
        vec![runbook_dir.to_path_buf(), project.join("templates"), project.to_path_buf()]
    } else {
        vec![project.join("files"), runbook_dir.to_path_buf(), project.to_path_buf()]
    }
}

/// Where a wanted file is; for one that the step writes here, where it will be.
///
/// # Errors
/// [`LocalError::Missing`].
pub fn find(project: &Path, runbook_dir: &Path, want: &Want) -> Result<PathBuf, LocalError> {
    if want.optional {
        return Ok(crate::modules::inside(project, &want.path));
    }
    let looked = folders(project, runbook_dir, want.template);
    looked.iter().map(|folder| crate::modules::inside(folder, &want.path)).find(|path| path.exists()).ok_or_else(|| {
        LocalError::Missing {
            what: if want.template { "the template" } else { "the file" },
            path: want.path.clone(),
            looked,
        }
    })
}

/// Reads a wanted file; a template is rendered with the scope. Small content comes inline, large files as size and digest,
/// folders as their files.
///
/// # Errors
/// [`LocalError`].
pub fn load_file(project: &Path, runbook_dir: &Path, want: &Want, scope: &Value) -> Result<LocalFile, LocalError> {
    if want.optional {
        let path = crate::modules::inside(project, &want.path);
        return if path.exists() { read(&path) } else { Ok(LocalFile { path, body: LocalBody::Missing, mode: 0 }) };
    }
    let path = find(project, runbook_dir, want)?;
    if !want.template {
        return read(&path);
    }
    let unreadable = |why: String| LocalError::Unreadable { path: want.path.clone(), why };
    let meta = std::fs::metadata(&path).map_err(|e| unreadable(e.to_string()))?;
    if meta.is_dir() {
        return Err(unreadable("this is a folder, a template is a file".to_string()));
    }
    if meta.len() > super::yaml::BYTES as u64 {
        return Err(unreadable("a template has at most 4 MiB".to_string()));
    }
    let text = std::fs::read(&path).map_err(|e| unreadable(e.to_string()))?;
    let text = String::from_utf8(text).map_err(|_| unreadable("a template is UTF-8 text".to_string()))?;
    let rendered =
        template::render_file(&want.path, &text, scope).map_err(|message| LocalError::Template { message })?;
    Ok(LocalFile { path, body: LocalBody::Inline(rendered.into_bytes()), mode: meta.permissions().mode() & 0o7777 })
}

fn read(path: &Path) -> Result<LocalFile, LocalError> {
    let unreadable =
        |why: std::io::Error| LocalError::Unreadable { path: path.display().to_string(), why: why.to_string() };
    let meta = std::fs::metadata(path).map_err(unreadable)?;
    let mode = meta.permissions().mode() & 0o7777;
    let body = if meta.is_dir() {
        let mut files = Vec::new();
        tree(path, Path::new(""), &mut files)?;
        files.sort_by(|a, b| a.0.cmp(&b.0));
        LocalBody::Tree(files)
    } else if meta.len() <= LocalFile::INLINE {
        LocalBody::Inline(std::fs::read(path).map_err(unreadable)?)
    } else {
        let mut file = std::fs::File::open(path).map_err(unreadable)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 64 * 1024];
        let mut len = 0;
        loop {
            let n = file.read(&mut buffer).map_err(unreadable)?;
            if n == 0 {
                break;
            }
            hash.update(&buffer[..n]);
            len += n as u64;
        }
        let sha256 = hash.finalize().iter().fold(String::new(), |hex, b| hex + &format!("{b:02x}"));
        LocalBody::Large { len, sha256 }
    };
    Ok(LocalFile { path: path.to_path_buf(), body, mode })
}

fn tree(root: &Path, inside: &Path, files: &mut Vec<(PathBuf, LocalFile)>) -> Result<(), LocalError> {
    let folder = root.join(inside);
    let unreadable = |why: String| LocalError::Unreadable { path: folder.display().to_string(), why };
    for entry in std::fs::read_dir(&folder).map_err(|e| unreadable(e.to_string()))? {
        let entry = entry.map_err(|e| unreadable(e.to_string()))?;
        let relative = inside.join(entry.file_name());
        let kind = entry.file_type().map_err(|e| unreadable(e.to_string()))?;
        // Links to folders are not followed: they may lead in a circle.
        if kind.is_dir() {
            tree(root, &relative, files)?;
        } else if entry.path().is_file() {
            files.push((relative, read(&entry.path())?));
        }
        if files.len() > FILES {
            return Err(unreadable(format!("more than {FILES} files: pack them into an archive")));
        }
    }
    Ok(())
}
