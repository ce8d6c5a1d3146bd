//! A folder by one `tar` through one channel.
//!
//! Not atomic: when it fails in the middle, some files are new and some are old. Each file is complete or
//! missing, because `tar` removes an old file before it writes the new one.

use super::TransportError;
use super::channel::{Dial, Reader};
use super::host::Host;
use super::{Batch, Remote};
use crate::cmd::Cmd;
use crate::modules::{Owner, PutTree};
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// `$1` folder, `$2` owner of new folders as numbers, or empty, then the folders inside. Files get the owner out of
/// the archive, or stay with whoever extracts them.
const EXTRACT: &str = r#"umask 022
p=$1 o=$2; shift 2
new() { mkdir "$1" || exit 1; [ -z "$o" ] || chown "$o" "$1" || exit 1; }
[ -d "$p" ] || { mkdir -p "${p%/*}/" && new "$p"; } || exit 1
cd "$p" || exit 1
for d; do [ -d "./$d" ] || new "./$d"; done
if [ -n "$o" ]; then exec tar -xpf -; else exec tar -xpof -; fi"#;

/// `$1` user, `$2` group; says who we are and the numbers of those.
const WHO: &str = r#"u=$1 g=$2
case $u in *[!0-9]*) u=$(id -u "$u") || exit 1;; esac
case $g in *[!0-9]*) g=$( (getent group "$g" || grep "^$g:" /etc/group) 2>/dev/null | head -n 1 | cut -d: -f3)
[ -n "$g" ] || { echo "there is no group $2" >&2; exit 1; };; esac
me=$(id -u) mine=$(id -g)
echo "$me $mine ${u:-$me} ${g:-$mine}""#;

impl<D: Dial> Host<D> {
    pub(super) async fn put_folder(&self, tree: &PutTree) -> Result<(), TransportError> {
        if tree.files.is_empty() {
            return Ok(());
        }
        let dest = match tree.dest.trim_end_matches('/') {
            "" => "/",
            dest => dest,
        };
        if !dest.starts_with('/') {
            return Err(TransportError::Refused { why: format!("`{}` is not an absolute path", tree.dest) });
        }
        let (list, folders) = names(&tree.src, &tree.files)?;
        let owner = self.numbers(tree).await?;
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(&tree.src).args(["--no-recursion", "--dereference", "--numeric-owner"]);
        if let Some((user, group)) = &owner {
            tar.arg(format!("--owner=:{user}")).arg(format!("--group=:{group}"));
        }
        // Options after `-T` would hold for what follows it only.
        tar.args(["-cf", "-", "--null", "-T", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        tar.process_group(0).kill_on_drop(true);
        let local = |why: &dyn std::fmt::Display| TransportError::Local {
            what: format!("{} cannot be packed by tar", tree.src.display()),
            why: why.to_string(),
        };
        let mut child = tar.spawn().map_err(|e| local(&e))?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(local(&"its streams are missing"));
        };
        let feed = async move {
            // An error here is one of tar's, which says it better.
            let _ = stdin.write_all(&list).await;
        };
        let spec = owner.map(|(user, group)| format!("{user}:{group}")).unwrap_or_default();
        let mut args = vec![dest.to_string(), spec];
        args.extend(folders);
        let cmd = Cmd::shell_with(EXTRACT, args);
        let source: Reader = Box::new(stdout);
        let (output, packed, ()) =
            tokio::join!(self.transfer(tree.user.as_deref(), &cmd, source, None), child.wait_with_output(), feed);
        let output = output?;
        let packed = packed.map_err(|e| local(&e))?;
        // A signal is the broken pipe after the other side gave up, which then says why.
        if packed.status.code().is_some_and(|code| code != 0) {
            let said = String::from_utf8_lossy(&packed.stderr);
            let said = said.lines().next().unwrap_or_default();
            return Err(self.file_error(dest, format!("only a part was sent, tar on this machine said: {said}")));
        }
        if output.ok() { Ok(()) } else { Err(self.refusal(dest, &output)) }
    }

    /// Numbers of the owner there, and an error now rather than files that belong to somebody else.
    async fn numbers(&self, tree: &PutTree) -> Result<Option<(String, String)>, TransportError> {
        let Owner { user, group } = &tree.owner;
        if user.is_none() && group.is_none() {
            return Ok(None);
        }
        let mut cmd = Cmd::shell_with(WHO, [user.clone().unwrap_or_default(), group.clone().unwrap_or_default()]);
        cmd.user.clone_from(&tree.user);
        let output = self.run(Batch::one(cmd)).await.remove(0)?;
        if !output.ok() {
            return Err(self.refusal(&tree.dest, &output));
        }
        let text = output.stdout.text();
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            [me, mine, user, group] if *me == "0" || (me == user && mine == group) => {
                Ok(Some(((*user).to_string(), (*group).to_string())))
            }
            [_, _, user, group] => {
                Err(self.file_error(&tree.dest, format!("only root can give files to {user}:{group}")))
            }
            _ => Err(self.file_error(&tree.dest, format!("cannot read who owns what: {text}"))),
        }
    }
}

/// The list for `tar`, and the folders that have to be there, outermost first. What cannot be read is said before
/// anything is sent.
fn names(src: &Path, files: &[PathBuf]) -> Result<(Vec<u8>, Vec<String>), TransportError> {
    let mut list = Vec::new();
    let mut folders = BTreeSet::new();
    for file in files {
        let inside = file.components().all(|c| matches!(c, Component::Normal(_)));
        let (true, Some(name)) = (inside, file.to_str()) else {
            return Err(TransportError::Refused { why: format!("{} cannot be sent in a folder", file.display()) });
        };
        let local =
            |why: String| TransportError::Local { what: format!("{} cannot be read", src.join(file).display()), why };
        let open = std::fs::File::open(src.join(file)).map_err(|e| local(e.to_string()))?;
        if !open.metadata().is_ok_and(|m| m.is_file()) {
            return Err(local("it is not a file".into()));
        }
        list.extend_from_slice(name.as_bytes());
        list.push(0);
        let parents = file.ancestors().skip(1).filter_map(Path::to_str).filter(|p| !p.is_empty());
        folders.extend(parents.map(String::from));
    }
    Ok((list, folders.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_come_outermost_first() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/-c"), "").unwrap();
        std::fs::write(dir.path().join("d"), "").unwrap();
        let (list, folders) = names(dir.path(), &["a/b/-c".into(), "d".into()]).unwrap();
        assert_eq!(list, b"a/b/-c\0d\0");
        assert_eq!(folders, ["a", "a/b"]);
    }

    #[test]
    fn nothing_outside_of_the_folder_and_nothing_unreadable() {
        let dir = tempfile::tempdir().unwrap();
        let kind = |file: &str| names(dir.path(), &[file.into()]).unwrap_err();
        assert!(matches!(kind("../x"), TransportError::Refused { .. }));
        assert!(matches!(kind("/x"), TransportError::Refused { .. }));
        assert!(matches!(kind("x"), TransportError::Local { .. }));
    }
}
