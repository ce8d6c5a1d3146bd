//! A local folder on the target: one `find` with `sha256sum` says which files differ, one `tar` sends those.

use super::{Action, Answer, Ask, Change, Diff, LocalBody, LocalFile, ModuleError, Owner, PutTree, Undo, ValueChange};
use crate::cmd::Cmd;
use crate::key::digest;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Hashes of all files of a folder; nothing if there is no such folder; fails where it cannot look.
const HASHES: &str = r#"if [ ! -e "$1" ]; then
  e=$(ls -ld -- "$1" 2>&1)
  case $e in *'No such file or directory' | *'Not a directory') echo absent; exit 0 ;; *) printf '%s\n' "$e" >&2; exit 1 ;; esac
fi
cd -- "$1" || exit 1
command -v sha256sum >/dev/null 2>&1 || { echo 'sha256sum is not installed' >&2; exit 1; }
echo folder
find . -type f -exec sha256sum {} + && echo end"#;

/// Names of files with another owner.
const FOREIGN: &str = r#"p=$1; shift; [ -d "$p" ] || exit 0; cd -- "$p" && find . -type f "$@""#;

/// What is in the folder on the target.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// False if there is no such folder.
    there: bool,
    /// SHA-256 by relative path.
    hashes: BTreeMap<PathBuf, String>,
    /// Relative paths of files with another owner.
    foreign: BTreeSet<PathBuf>,
}

/// What shall be there.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// Local folder.
    pub src: &'a Path,
    /// Its files.
    pub files: &'a [(PathBuf, LocalFile)],
    /// Folder on the target.
    pub dest: &'a str,
    /// Owner.
    pub owner: Owner,
    /// False: files that are there are left.
    pub force: bool,
}

/// The questions.
pub fn probe(dest: &str, owner: &Owner) -> Vec<Ask> {
    let mut asks = vec![Ask::Cmd(Cmd::shell_with(HASHES, [dest]).env("LC_ALL", "C"))];
    let mut tests = Vec::new();
    for (test, name) in [("-user", &owner.user), ("-group", &owner.group)] {
        if let Some(name) = name {
            tests.push(vec!["!".to_string(), test.to_string(), name.clone()]);
        }
    }
    if !tests.is_empty() {
        let mut args = vec![dest.to_string(), "(".to_string()];
        args.extend(tests.join(&"-o".to_string()));
        args.push(")".to_string());
        asks.push(Ask::Cmd(Cmd::shell_with(FOREIGN, args)));
    }
    asks
}

/// What the answers mean.
///
/// # Errors
/// [`ModuleError`] if the folder cannot be read.
pub fn read(dest: &str, answers: &[Answer]) -> Result<Tree, ModuleError> {
    let first = answers.first().ok_or_else(|| ModuleError::unreadable("no answer came", ""))?.good(dest)?;
    if first.stdout.is_cut() {
        let why = format!("{dest} holds more files than piton compares (about 10 000)");
        return Err(ModuleError::refused(why).hint("send an archive, or smaller folders"));
    }
    let text = first.stdout.text();
    let bad = || ModuleError::unreadable("a list of hashes was expected", &text);
    let body = match text.strip_prefix("folder\n") {
        None if text == "absent\n" => return Ok(Tree::default()),
        None => return Err(bad()),
        Some(rest) => rest.strip_suffix("end\n").ok_or_else(bad)?,
    };
    let mut tree = Tree { there: true, ..Tree::default() };
    for line in body.lines() {
        let (hash, path) = entry(line).ok_or_else(bad)?;
        tree.hashes.insert(path, hash);
    }
    if let Some(second) = answers.get(1) {
        let text = second.good(dest)?.stdout.text().into_owned();
        // Each begins with `./`, so a name may hold a line break.
        let names =
            text.strip_suffix('\n').unwrap_or(&text).strip_prefix("./").into_iter().flat_map(|t| t.split("\n./"));
        tree.foreign = names.map(PathBuf::from).collect();
    }
    Ok(tree)
}

/// `HASH  ./path`; with a backslash in front, `\\` and `\n` in the path are escapes (GNU coreutils).
fn entry(line: &str) -> Option<(String, PathBuf)> {
    let (escaped, line) = line.strip_prefix('\\').map_or((false, line), |rest| (true, rest));
    let (hash, rest) = (line.get(..64)?, line.get(64..)?);
    if !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let path = rest.strip_prefix("  ").or_else(|| rest.strip_prefix(" *"))?;
    let path = path.strip_prefix("./").unwrap_or(path);
    if !escaped {
        return Some((hash.to_string(), path.into()));
    }
    let mut plain = String::new();
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => plain.push(match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                other => other,
            }),
            other => plain.push(other),
        }
    }
    Some((hash.to_string(), plain.into()))
}

fn hash(file: &LocalFile) -> Option<String> {
    match &file.body {
        LocalBody::Inline(bytes) => Some(digest(bytes)),
        LocalBody::Large { sha256, .. } => Some(sha256.clone()),
        LocalBody::Tree(_) | LocalBody::Missing => None,
    }
}

/// What has to change.
///
/// # Errors
/// [`ModuleError::Refused`] for a folder without files, which `tar` would not make.
pub fn plan(wanted: &Wanted<'_>, there: &Tree) -> Result<Vec<Change>, ModuleError> {
    let mut differ: Vec<(&Path, bool)> = Vec::new();
    for (path, file) in wanted.files {
        let Some(new) = hash(file) else { continue };
        match there.hashes.get(path) {
            None => differ.push((path, true)),
            Some(_) if !wanted.force => {}
            Some(old) if *old != new || there.foreign.contains(path) => differ.push((path, false)),
            Some(_) => {}
        }
    }
    if wanted.files.is_empty() && !there.there {
        let why = format!("{} holds no files", wanted.src.display());
        return Err(ModuleError::refused(why).hint("make an empty folder with a `file` step"));
    }
    if differ.is_empty() {
        return Ok(Vec::new());
    }
    let dest = wanted.dest.trim_end_matches('/');
    let value = |(path, new): &(&Path, bool)| {
        let before = if *new { None } else { Some("another content or owner") };
        ValueChange::new(path.to_string_lossy(), before, Some("as here"))
    };
    let diff = Diff::Values(differ.iter().map(value).collect());
    let changed = differ.iter().filter(|(_, new)| !new).count();
    let undo = if changed > 0 {
        Undo::Impossible(format!("the old content of {changed} files in {dest} is not kept"))
    } else {
        Undo::Actions(take_away(dest, there, differ.iter().map(|(path, _)| *path)))
    };
    let what = format!("write {} of {} files in {dest}", differ.len(), wanted.files.len());
    let action = Action::Tree(PutTree {
        src: wanted.src.to_path_buf(),
        dest: dest.to_string(),
        files: differ.iter().map(|(path, _)| path.to_path_buf()).collect(),
        owner: wanted.owner.clone(),
        user: None,
    });
    Ok(vec![Change::new(what, vec![action], undo).diff(diff)])
}

/// Removes new files, and then what folders are left empty that were not known to hold a file before.
fn take_away<'a>(dest: &str, there: &Tree, files: impl Iterator<Item = &'a Path> + Clone) -> Vec<Action> {
    let known: BTreeSet<&Path> = there.hashes.keys().flat_map(|p| p.ancestors().skip(1)).collect();
    let mut folders: Vec<&Path> = files.clone().flat_map(|p| p.ancestors().skip(1)).collect();
    folders.sort_by_key(|p| std::cmp::Reverse((p.components().count(), p.to_path_buf())));
    folders.dedup();
    folders.retain(|p| !known.contains(p) && (!there.there || *p != Path::new("")));
    let full = |p: &Path| if p == Path::new("") { dest.to_string() } else { format!("{dest}/{}", p.to_string_lossy()) };
    let files: Vec<_> = files.map(full).collect();
    let mut actions: Vec<_> = files
        .chunks(200)
        .map(|some| Action::Run(Cmd::new(["rm", "-f"].into_iter().map(str::to_string).chain(some.iter().cloned()))))
        .collect();
    if !folders.is_empty() {
        let gone = folders.into_iter().map(full);
        actions.push(Action::Run(Cmd::shell_with("for d; do rmdir \"$d\" 2>/dev/null; done; :", gone)));
    }
    actions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names_are_read() {
        let hash = "a".repeat(64);
        let plain = entry(&format!("{hash}  ./with space/x")).unwrap();
        assert_eq!(plain, (hash.clone(), "with space/x".into()));
        assert_eq!(entry(&format!("\\{hash}  ./two\\nlines\\\\n")).unwrap().1, PathBuf::from("two\nlines\\n"));
        assert_eq!(entry("short  ./x"), None);
    }
}
