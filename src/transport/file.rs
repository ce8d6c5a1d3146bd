//! Files there and back, each through a channel of its own.

use super::TransportError;
use super::channel::{Dial, Reader};
use super::host::Host;
use crate::cmd::{Cmd, Ended, Output};
use crate::modules::{Content, FetchFile, PutFile};
use std::io::Cursor;
use std::path::Path;

/// `$1` path, `$2` bytes to come, `$3` mode or empty, `$4` owner or empty, `$5` unique word. What was there is
/// touched by the last command only. There is no fsync: file systems that matter order a rename after the data.
const PUT: &str = r#"umask 077
p=$1; [ -L "$p" ] && p=$(readlink -f "$p")
say() { echo "$1" >&2; exit 1; }
[ -d "$p" ] && say "is a directory"
[ -e "$p" ] && [ ! -f "$p" ] && say "is not a regular file"
d=${p%/*}; d=${d:-/}
[ -d "$d" ] || say "there is no directory $d"
m=$3; o=
if [ -e "$p" ]; then
  s=$(stat -c "%a %u:%g" "$p" 2>/dev/null || stat -f "%Lp %u:%g" "$p") || say "cannot read its mode"
  m=${m:-${s% *}}; o=${s#* }
fi
t=$d/.piton-$5
trap 'rm -f "$t"' EXIT; trap 'exit 1' HUP INT TERM PIPE
set -C; : > "$t" || exit 1; set +C
cat > "$t" || exit 1
n=$(wc -c < "$t")
[ "$((n))" = "$2" ] || say "$((n)) bytes arrived, not $2"
if [ -n "$o" ] && [ "$o" != "$(stat -c %u:%g "$t" 2>/dev/null || stat -f %u:%g "$t")" ]; then
  chown "$o" "$t" || say "cannot keep its owner $o"
fi
if [ -n "$4" ]; then chown "$4" "$t" || exit 1; fi
chmod "${m:-644}" "$t" && mv -f "$t" "$p" && trap - EXIT"#;

/// `$1` path. The size comes first, in a line on stderr, so that a cut answer is noticed.
const FETCH: &str = r#"[ -d "$1" ] && { echo "is a directory" >&2; exit 1; }
[ -r "$1" ] || { cat "$1" >/dev/null; exit 1; }
n=$(wc -c < "$1") || exit 1
head -c "$((n))" "$1" || exit 1
echo "$((n))" >&2"#;

impl<D: Dial> Host<D> {
    pub(super) fn file_error(&self, path: &str, why: impl Into<String>) -> TransportError {
        TransportError::File { host: self.name().into(), path: path.into(), why: why.into() }
    }

    /// What the target said of a file, without the names of its programs and of our temporary file.
    pub(super) fn refusal(&self, path: &str, output: &Output) -> TransportError {
        let text = output.stderr.text();
        let why = match output.ended {
            Ended::TimedOut => "it took too long".into(),
            Ended::Cancelled | Ended::NotBegun => "cancelled".into(),
            Ended::Code(code) => plain_reason(&text).unwrap_or_else(|| format!("exit status {code}")),
        };
        self.file_error(path, why)
    }

    pub(super) async fn put_file(&self, file: &PutFile) -> Result<(), TransportError> {
        let local = |path: &Path, e: std::io::Error| TransportError::Local {
            what: format!("{} cannot be read", path.display()),
            why: e.to_string(),
        };
        let (source, len): (Reader, u64) = match &file.content {
            Content::Text(text) => {
                let text =
                    self.settings.vault.reveal(text).map_err(|e| TransportError::Refused { why: e.to_string() })?;
                (Box::new(Cursor::new(text.as_bytes().to_vec())), text.len() as u64)
            }
            Content::Bytes(bytes) => (Box::new(Cursor::new(bytes.clone())), bytes.len() as u64),
            Content::Local(path) => {
                let file = tokio::fs::File::open(path).await.map_err(|e| local(path, e))?;
                let meta = file.metadata().await.map_err(|e| local(path, e))?;
                if !meta.is_file() {
                    return Err(local(path, std::io::Error::other("it is not a file")));
                }
                (Box::new(file), meta.len())
            }
        };
        if !file.path.starts_with('/') {
            return Err(TransportError::Refused { why: format!("`{}` is not an absolute path", file.path) });
        }
        let mode = file.mode.map(|m| format!("{m:o}")).unwrap_or_default();
        let owner = file.owner.spec().unwrap_or_default();
        let cmd = Cmd::shell_with(PUT, [file.path.clone(), len.to_string(), mode, owner, super::line::nonce()]);
        let output = self.transfer(file.user.as_deref(), &cmd, source, None).await?;
        if output.ok() { Ok(()) } else { Err(self.refusal(&file.path, &output)) }
    }

    pub(super) async fn fetch_file(&self, file: &FetchFile) -> Result<(), TransportError> {
        let local = |e: std::io::Error| TransportError::Local {
            what: format!("{} cannot be written", file.dest.display()),
            why: e.to_string(),
        };
        let folder = file.dest.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(local)?;
        let temp = tempfile::NamedTempFile::new_in(folder).map_err(local)?;
        let save = temp.reopen().map_err(local)?;
        let cmd = Cmd::shell_with(FETCH, [file.src.clone()]);
        let empty: Reader = Box::new(tokio::io::empty());
        let output = self.transfer(file.user.as_deref(), &cmd, empty, Some(save)).await?;
        if !output.ok() {
            return Err(self.refusal(&file.src, &output));
        }
        let want = output.stderr.text().trim().parse::<u64>().ok();
        if want != Some(output.stdout.total) {
            let why = format!("{} bytes came, it has {}", output.stdout.total, output.stderr.text().trim());
            return Err(self.file_error(&file.src, why));
        }
        temp.as_file().sync_all().map_err(local)?;
        temp.persist(&file.dest).map_err(|e| local(e.error))?;
        Ok(())
    }
}

/// The system's words in what a program printed: `cat: write error: No space left on device`, dash's
/// `sh: 14: cannot create /x/.piton-1: Permission denied`.
fn plain_reason(text: &str) -> Option<String> {
    const KNOWN: [&str; 9] = [
        "No space left on device",
        "Permission denied",
        "Read-only file system",
        "Disk quota exceeded",
        "No such file or directory",
        "Operation not permitted",
        "File name too long",
        "Input/output error",
        "Text file busy",
    ];
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    // The last line is our own summary, if there is one.
    let known = lines.iter().find_map(|line| KNOWN.iter().find(|k| line.contains(**k)));
    match (known, lines.last()) {
        (Some(known), Some(last)) if last.contains(known) => Some((*known).to_string()),
        (Some(known), Some(last)) => Some(format!("{last}: {known}")),
        (None, Some(last)) => Some((*last).to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_said_in_the_systems_words() {
        let reason = |text: &str| plain_reason(text).unwrap();
        assert_eq!(reason("cat: write error: No space left on device\n"), "No space left on device");
        assert_eq!(reason("sh: 14: cannot create /x/.piton-1: Permission denied\n"), "Permission denied");
        let chown = "chown: changing ownership of '/x': Operation not permitted\ncannot keep its owner 0:0\n";
        assert_eq!(reason(chown), "cannot keep its owner 0:0: Operation not permitted");
        assert_eq!(reason("is a directory\n"), "is a directory");
        assert_eq!(plain_reason("\n"), None);
    }
}
