//! One look at a path of the target: what it is, whose, which mode, and as much of its content as is wanted.
//!
//! The probe is one POSIX `sh` script for GNU coreutils, busybox and FreeBSD (whose `stat` takes other options).
//! It never prints the path, so any name is safe. Answer: a line with the kind (`-` absent, `f`, `d`, `l`, `o`),
//! a line with `mode uid gid size user:group`, then for a link its target, and for a file a line `none`,
//! `sha256 HEX` or `content` with the content after it.

use super::{Action, Answer, Change, Content, Diff, Mode, ModuleError, Owner, Problem, PutFile, Undo, ValueChange};
use crate::cmd::{Cmd, Output};
use crate::secret;

const LOOK: &str = r#"p=$1
case $2 in follow) L=-L ;; *) L= ;; esac
if [ -z "$L" ] && [ -L "$p" ]; then k=l
elif [ -f "$p" ]; then k=f
elif [ -d "$p" ]; then k=d
elif [ -e "$p" ]; then k=o
else
  e=$(ls -ld $L -- "$p" 2>&1) && { echo "cannot tell what this is: $e" >&2; exit 1; }
  case $e in
    *'No such file or directory' | *'Not a directory') echo -; exit 0 ;;
    *) printf '%s\n' "$e" >&2; exit 1 ;;
  esac
fi
s=$(stat $L -c '%a %u %g %s %U:%G' -- "$p" 2>/dev/null) || s=$(stat $L -f '%Mp%Lp %u %g %z %Su:%Sg' -- "$p") || exit 1
printf '%s\n%s\n' "$k" "$s"
case $k in l) readlink -- "$p"; exit ;; f) ;; *) exit 0 ;; esac
set -- $s "$3" "$4"
size=$4
shift $(($# - 2))
if [ "$size" -le "$1" ]; then
  exec 3<"$p" || exit 1
  echo content; cat <&3
elif [ "$2" = any ] || [ "$2" = "$size" ]; then
  if command -v sha256sum >/dev/null 2>&1; then h=$(sha256sum <"$p") || exit 1
  elif command -v sha256 >/dev/null 2>&1; then h=$(sha256 -q <"$p") || exit 1
  else echo 'neither sha256sum nor sha256 is installed' >&2; exit 1; fi
  echo "sha256 ${h%% *}"
else echo none; fi"#;

/// How much of a regular file a look brings back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Nothing of its content.
    Nothing,
    /// The content of a file of at most this many bytes.
    Content(u64),
    /// The content up to the first number of bytes; the SHA-256 of a larger one that has the second number of bytes.
    ContentOrHash(u64, u64),
    /// The SHA-256, whatever the size.
    Hash,
}

/// What a path of the target is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Nothing there.
    Absent,
    /// A regular file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link to this text.
    Link(String),
    /// A socket, a device, a pipe.
    Other,
}

/// What was asked for of a file's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Not asked for, or too large.
    Unknown,
    /// All of it, secrets as marks.
    Bytes(Vec<u8>),
    /// SHA-256 in lower-case hex.
    Sha256(String),
}

/// What one look at a path found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inode {
    /// What it is.
    pub kind: Kind,
    /// Permission bits with set-id and sticky.
    pub mode: u32,
    /// Number of the owner.
    pub uid: u32,
    /// Number of the group.
    pub gid: u32,
    /// Name of the owner.
    pub user: String,
    /// Name of the group.
    pub group: String,
    /// Bytes on the target.
    pub size: u64,
    /// Content of a regular file.
    pub body: Body,
}

/// The command that looks at a path; `follow` looks through a link.
pub fn look(path: &str, follow: bool, reading: Reading) -> Cmd {
    let (keep, hash) = match reading {
        Reading::Nothing => (-1, String::new()),
        Reading::Content(keep) => (i64::try_from(keep).unwrap_or(i64::MAX), String::new()),
        Reading::ContentOrHash(keep, size) => (i64::try_from(keep).unwrap_or(i64::MAX), size.to_string()),
        Reading::Hash => (-1, "any".to_string()),
    };
    let follow = if follow { "follow" } else { "" };
    Cmd::shell_with(LOOK, [path, follow, &keep.to_string(), &hash]).env("LC_ALL", "C")
}

/// What a look found.
///
/// # Errors
/// [`ModuleError::Probe`] if the path could not be looked at, [`ModuleError::Unreadable`] for another answer.
pub fn read(path: &str, answer: &Answer) -> Result<Inode, ModuleError> {
    parse(answer.good(path)?)
}

fn parse(output: &Output) -> Result<Inode, ModuleError> {
    let bytes = &output.stdout.bytes;
    let bad = || ModuleError::unreadable("a look at a path was expected", &output.stdout.text());
    let (kind, rest) = line(bytes).ok_or_else(bad)?;
    let absent = Inode {
        kind: Kind::Absent,
        mode: 0,
        uid: 0,
        gid: 0,
        user: String::new(),
        group: String::new(),
        size: 0,
        body: Body::Unknown,
    };
    if kind == "-" {
        return Ok(absent);
    }
    let (stat, rest) = line(rest).ok_or_else(bad)?;
    let mut words = stat.splitn(5, ' ');
    let mut word = || words.next().ok_or_else(bad);
    let mode = u32::from_str_radix(word()?, 8).map_err(|_| bad())?;
    let uid = word()?.parse().map_err(|_| bad())?;
    let gid = word()?.parse().map_err(|_| bad())?;
    let size = word()?.parse().map_err(|_| bad())?;
    let (user, group) = word()?.split_once(':').ok_or_else(bad)?;
    let mut inode = Inode { mode, uid, gid, size, user: user.into(), group: group.into(), ..absent };
    inode.kind = match kind {
        "f" => Kind::File,
        "d" => Kind::Directory,
        "o" => Kind::Other,
        "l" => {
            let target = rest.strip_suffix(b"\n").ok_or_else(bad)?;
            Kind::Link(String::from_utf8_lossy(target).into_owned())
        }
        _ => return Err(bad()),
    };
    if inode.kind == Kind::File {
        let (what, rest) = line(rest).ok_or_else(bad)?;
        inode.body = match what {
            "none" => Body::Unknown,
            "content" if output.stdout.is_cut() => Body::Unknown,
            "content" => Body::Bytes(rest.to_vec()),
            _ => match what.strip_prefix("sha256 ") {
                Some(hex) if hex.len() == 64 && hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
                    Body::Sha256(hex.to_ascii_lowercase())
                }
                _ => return Err(bad()),
            },
        };
    }
    Ok(inode)
}

fn line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().position(|b| *b == b'\n')?;
    Some((std::str::from_utf8(&bytes[..end]).ok()?, &bytes[end + 1..]))
}

/// Mode and owner that a step wants; what is `None` is left alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attributes<'a> {
    /// Permission bits.
    pub mode: Option<Mode>,
    /// Owner by name or number.
    pub owner: Option<&'a str>,
    /// Group by name or number.
    pub group: Option<&'a str>,
}

impl Attributes<'_> {
    /// For [`PutFile`].
    pub fn to_owner(self) -> Owner {
        Owner { user: self.owner.map(Into::into), group: self.group.map(Into::into) }
    }
}

fn is(wanted: &str, name: &str, number: u32) -> bool {
    wanted == name || wanted.parse() == Ok(number)
}

impl Inode {
    /// True if there is nothing.
    pub fn is_absent(&self) -> bool {
        self.kind == Kind::Absent
    }

    /// What it is, in words.
    pub fn word(&self) -> &'static str {
        match self.kind {
            Kind::Absent => "nothing",
            Kind::File => "a file",
            Kind::Directory => "a folder",
            Kind::Link(_) => "a link",
            Kind::Other => "a device, socket or pipe",
        }
    }

    /// The content, if it is known.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.body {
            Body::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The content as text, if it is known and a text.
    pub fn text(&self) -> Option<&str> {
        self.bytes().and_then(|b| std::str::from_utf8(b).ok())
    }

    /// Values of mode, owner and group that differ from what is wanted.
    pub fn differences(&self, wanted: Attributes<'_>) -> Vec<ValueChange> {
        let mut out = Vec::new();
        if let Some(mode) = wanted.mode
            && mode.0 != self.mode
            && !matches!(self.kind, Kind::Link(_))
        {
            out.push(ValueChange::new("mode", Some(&Mode(self.mode).to_string()), Some(&mode.to_string())));
        }
        if let Some(owner) = wanted.owner
            && !is(owner, &self.user, self.uid)
        {
            out.push(ValueChange::new("owner", Some(&self.user), Some(owner)));
        }
        if let Some(group) = wanted.group
            && !is(group, &self.group, self.gid)
        {
            out.push(ValueChange::new("group", Some(&self.group), Some(group)));
        }
        out
    }

    /// The change that gives an existing path its mode and owner; `None` if it has them.
    pub fn attributes(&self, path: &str, wanted: Attributes<'_>) -> Option<Change> {
        let values = self.differences(wanted);
        if values.is_empty() {
            return None;
        }
        let (mut actions, mut undo) = (Vec::new(), Vec::new());
        let link = matches!(self.kind, Kind::Link(_));
        if values.iter().any(|v| v.key != "mode")
            && let Some(spec) = wanted.to_owner().spec()
        {
            actions.push(Action::Run(chown(path, &spec, link)));
            undo.push(Action::Run(chown(path, &format!("{}:{}", self.uid, self.gid), link)));
        }
        // After chown, which takes set-id bits away.
        if !link && let Some(mode) = wanted.mode {
            actions.push(Action::Run(chmod(path, mode)));
        }
        if !link {
            undo.push(Action::Run(chmod(path, Mode(self.mode))));
        }
        let keys: Vec<_> = values.iter().map(|v| v.key.as_str()).collect();
        let what = format!("set {} of {path}", keys.join(", "));
        Some(Change::new(what, actions, Undo::Actions(undo)).diff(Diff::Values(values)))
    }

    /// What gives a file, or its absence, back as it was seen here.
    pub fn undo(&self, path: &str) -> Undo {
        match (&self.kind, &self.body) {
            (Kind::Absent, _) => Undo::Actions(vec![Action::Run(remove(path))]),
            (Kind::File, Body::Bytes(bytes)) => match content(bytes) {
                Some(content) => Undo::Actions(vec![Action::Write(PutFile {
                    path: path.to_string(),
                    content,
                    mode: Some(self.mode),
                    owner: Owner { user: Some(self.uid.to_string()), group: Some(self.gid.to_string()) },
                    user: None,
                })]),
                None => Undo::Impossible(format!("the old {path} is binary and holds a secret")),
            },
            (Kind::File, _) => {
                Undo::Impossible(format!("the old {path} ({} bytes) is too large to be kept here", self.size))
            }
            _ => Undo::Impossible(format!("{path} was {}", self.word())),
        }
    }
}

/// Bytes as the content of a write: text where they are one. `None` for binary bytes that hold a secret's mark,
/// which could not become its value again.
pub fn content(bytes: &[u8]) -> Option<Content> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(Content::Text(text.to_string())),
        Err(_) if secret::has_mark(&String::from_utf8_lossy(bytes)) => None,
        Err(_) => Some(Content::Bytes(bytes.to_vec())),
    }
}

/// What is wrong with a path of the target: it must be absolute, and is never a secret.
pub fn wrong_path(field: &str, path: &str) -> Vec<Problem> {
    let message = if !path.starts_with('/') {
        format!("`{path}` is not an absolute path")
    } else if path.contains('\0') {
        "a path cannot hold a NUL".to_string()
    } else if secret::has_mark(path) {
        "a path cannot hold a secret: it is shown everywhere".to_string()
    } else {
        return Vec::new();
    };
    let problem = Problem::at(field, message);
    vec![if path.starts_with('/') { problem } else { problem.hint("begin it with /") }]
}

/// What is wrong with owner and group.
pub fn wrong_owner(owner: Option<&str>, group: Option<&str>) -> Vec<Problem> {
    let mut out = Vec::new();
    for (field, name) in [("owner", owner), ("group", group)] {
        if let Some(name) = name
            && (name.is_empty() || name.starts_with('-') || name.contains([':', '\n', '\0']))
        {
            out.push(Problem::at(field, format!("`{name}` is not a name")));
        }
    }
    out
}

/// `chmod`. Of a folder GNU takes the set-id bits away only if five digits say so.
pub fn chmod(path: &str, mode: Mode) -> Cmd {
    Cmd::new(["chmod", &format!("{:05o}", mode.0), path])
}

/// `chown`, of the link itself if it is one.
pub fn chown(path: &str, spec: &str, link: bool) -> Cmd {
    if link { Cmd::new(["chown", "-h", spec, path]) } else { Cmd::new(["chown", spec, path]) }
}

/// `rm -f` of one file.
pub fn remove(path: &str) -> Cmd {
    Cmd::new(["rm", "-f", path])
}

#[cfg(test)]
#[path = "inode_tests.rs"]
mod tests;
