//! The lease as it lies on a node: its text, the script that handles it there, and how the answers are read. Pure.
//!
//! `/var/lib/piton/lease.json` is one line of JSON. Times are the *node's* clock, so that two operators whose clocks
//! differ still agree on whether a lease has run out. Whoever touches the file holds `lock` meanwhile, a symbolic link
//! to the process id of the script: `ln -s` is atomic, and a lock whose process is dead is taken away. The script is
//! POSIX `sh` with `readlink` and `date +%s`, which coreutils and busybox have.

use crate::cmd::{Cmd, Output};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// The folder on the node. It goes when nothing is left in it.
pub const DIR: &str = "/var/lib/piton";

/// How long one call may take on the node.
const PATIENCE: Duration = Duration::from_secs(20);

/// `sh -c SCRIPT piton-lease VERB DIR NONCE ...`. The nonce comes first in the file and is never from anybody's text,
/// so the one `sed` cannot be led astray by a name.
const SCRIPT: &str = r#"v=$1 d=$2 n=$3
f=$d/lease.json k=$d/lock
umask 077
read_it() { now=$(date +%s) h= hn= he=; [ -f "$f" ] || return 0
h=$(sed -n 's/^{"nonce":"\([0-9a-f]*\)","since":[0-9]*,"expires":\([0-9]*\),.*/\1 \2/p' "$f"); hn=${h%% *} he=${h##* }; }
hold() { i=0
until mkdir -p "$d" || exit 3; ln -s "$$" "$k" 2>/dev/null; do
[ ! -d "$d" ] || [ -w "$d" ] || { echo "$d is not writable" >&2; exit 3; }
p=$(readlink "$k") && ! kill -0 "$p" 2>/dev/null && rm -f "$k"
i=$((i+1)); [ "$i" -lt 60 ] || { echo "$d/lock cannot be had" >&2; exit 3; }
sleep 0.1 2>/dev/null || sleep 1; done
trap 'rm -f "$k"; rmdir "$d" 2>/dev/null' 0; trap 'exit 4' 1 2 15; read_it; }
put() { { printf '{"nonce":"%s","since":%s,"expires":%s,%s\n' "$n" "$1" "$2" "$3" >"$f.new" && mv -f "$f.new" "$f"; } ||
{ rm -f "$f.new"; exit 3; }; }
case $v in
take) hold; find "$d" -name 'broken.*' -mtime +0 -exec rm -f {} + 2>/dev/null
if [ -f "$f" ] && [ "$hn" != "$n" ]; then
if [ -z "$h" ] || { [ "$he" -gt "$now" ] && [ "$hn" != "$6" ]; }; then echo "held $now"; cat "$f"; exit 0; fi
echo "over $now"; cat "$f"; else echo "taken $now"; fi
put "$now" "$((now+$4))" "$5" ;;
renew) hold
if [ "$hn" = "$n" ]; then put "$4" "$((now+$5))" "$6"; echo "renewed $now"; else
echo "lost $now"; if [ -f "$d/broken.$n" ]; then printf 'note '; cat "$d/broken.$n"; rm -f "$d/broken.$n"; fi
if [ -f "$f" ]; then printf 'by '; cat "$f"; fi; fi ;;
release) hold; rm -f "$d/broken.$n"; if [ "$hn" = "$n" ]; then rm -f "$f"; fi; echo "released $now" ;;
break) hold
if [ -f "$f" ] && [ "$hn" = "$n" ]; then
[ -z "$n" ] || printf '%s\n' "$4" >"$d/broken.$n" || exit 3
rm -f "$f"; echo "broken $now"; elif [ -f "$f" ]; then echo "held $now"; cat "$f"; else echo "free $now"; fi ;;
show) read_it; if [ -f "$f" ]; then echo "held $now"; cat "$f"; else echo "free $now"; fi ;;
esac"#;

/// Who has a node, as written there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Sixteen hexadecimal digits: which lease it is, whoever has it.
    pub nonce: String,
    /// Seconds since the epoch, by the node's clock.
    pub since: u64,
    /// The same: after this it may be taken over.
    pub expires: u64,
    /// User who runs piton.
    pub operator: String,
    /// The machine that piton runs on.
    pub machine: String,
    /// Run.
    pub run: String,
}

/// Why a lease was broken, for the one who had it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// `user@machine`.
    pub by: String,
    /// As given.
    pub reason: String,
}

/// What the script said, with the node's time in seconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It was free (or ours already, when an answer got lost), and is ours now.
    Taken(u64),
    /// It had run out (or was taken over on purpose), and is ours now.
    Over(u64, Lease),
    /// Somebody has it. `None`: the file is there and cannot be read.
    Held(u64, Option<Lease>),
    /// Ours, for another while.
    Renewed(u64),
    /// Not ours any more.
    Lost {
        /// Why it was broken, if it was.
        note: Option<Note>,
        /// Who has it now.
        by: Option<Lease>,
    },
    /// Given back.
    Released(u64),
    /// Broken.
    Broken(u64),
    /// Nobody has it.
    Free(u64),
}

/// What one run needs to have leases.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mine {
    /// This run's on this node.
    pub nonce: String,
    /// User.
    pub operator: String,
    /// Machine.
    pub machine: String,
    /// Run.
    pub run: String,
    /// How long it holds without being renewed; whole seconds.
    pub life: Duration,
}

impl Mine {
    /// The rest of the line, after the fields that the script writes.
    fn rest(&self) -> String {
        let value = serde_json::json!({ "operator": self.operator, "machine": self.machine, "run": self.run });
        value.to_string().trim_start_matches('{').to_string()
    }

    /// Takes it. `over` is the nonce of a lease that is taken over though it has not run out.
    pub fn take(&self, over: Option<&str>) -> Cmd {
        let life = self.life.as_secs().max(1).to_string();
        command("take", &self.nonce, &[&life, &self.rest(), over.unwrap_or_default()])
    }

    /// Makes it hold for another life; `since` as it was when it was taken.
    pub fn renew(&self, since: u64) -> Cmd {
        let life = self.life.as_secs().max(1).to_string();
        command("renew", &self.nonce, &[&since.to_string(), &life, &self.rest()])
    }

    /// Gives it back. Somebody else's is left alone.
    pub fn release(&self) -> Cmd {
        command("release", &self.nonce, &[])
    }
}

/// Only looks.
pub fn show() -> Cmd {
    command("show", "", &[])
}

/// Breaks the lease with this nonce (empty: one that cannot be read) and leaves a note for who had it.
pub fn break_it(nonce: &str, note: &Note) -> Cmd {
    command("break", nonce, &[&serde_json::json!(note).to_string()])
}

fn command(verb: &str, nonce: &str, more: &[&str]) -> Cmd {
    let argv = ["sh", "-c", SCRIPT, "piton-lease", verb, DIR, nonce];
    Cmd::new(argv.iter().chain(more).copied()).timeout(PATIENCE)
}

impl Reply {
    /// Reads what the script said.
    ///
    /// # Errors
    /// One line: what the node complained of.
    pub fn read(output: &Output) -> Result<Self, String> {
        if !output.ok() {
            return Err(output.complaint());
        }
        let text = output.stdout.text();
        let mut lines = text.lines();
        let strange = || format!("an answer that is none: {:?}", text.lines().next().unwrap_or_default());
        let (word, now) = lines.next().and_then(|l| l.split_once(' ')).ok_or_else(strange)?;
        let now: u64 = now.parse().map_err(|_| strange())?;
        let rest: Vec<&str> = lines.collect();
        let lease = || rest.first().and_then(|line| serde_json::from_str(line).ok());
        let after = |word: &str| rest.iter().find_map(|l| l.strip_prefix(word));
        Ok(match word {
            "taken" => Self::Taken(now),
            "over" => Self::Over(now, lease().ok_or_else(strange)?),
            "held" => Self::Held(now, lease()),
            "renewed" => Self::Renewed(now),
            "lost" => Self::Lost {
                note: after("note ").and_then(|t| serde_json::from_str(t).ok()),
                by: after("by ").and_then(|t| serde_json::from_str(t).ok()),
            },
            "released" => Self::Released(now),
            "broken" => Self::Broken(now),
            "free" => Self::Free(now),
            _ => return Err(strange()),
        })
    }
}

impl Lease {
    /// `user@machine`.
    pub fn who(&self) -> String {
        format!("{}@{}", self.operator, self.machine)
    }

    /// For a sentence: `root@laptop since 2026-11-23 04:12:33 UTC (run 20261123-041233-1a2b)`.
    pub fn told(&self) -> String {
        format!("{} since {} UTC (run {})", self.who(), super::clock::utc(self.since), self.run)
    }

    /// As an object, for programs.
    pub fn value(&self) -> Value {
        serde_json::json!(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease() -> Lease {
        Lease {
            nonce: "0a1b".into(),
            since: 1_795_408_353,
            expires: 1_795_408_473,
            operator: "root".into(),
            machine: "laptop".into(),
            run: "20261123-041233-1a2b".into(),
        }
    }

    #[test]
    fn answers_are_read() {
        let line = serde_json::to_string(&lease()).unwrap();
        let read = |text: &str| Reply::read(&Output::of(0, text, ""));
        assert_eq!(read("taken 5\n"), Ok(Reply::Taken(5)));
        assert_eq!(read(&format!("over 5\n{line}\n")), Ok(Reply::Over(5, lease())));
        assert_eq!(read(&format!("held 5\n{line}\n")), Ok(Reply::Held(5, Some(lease()))));
        assert_eq!(read("held 5\nrubbish\n"), Ok(Reply::Held(5, None)));
        let note = Note { by: "b@c".into(), reason: "it is \"mine\"".into() };
        let lost = format!("lost 5\nnote {}\nby {line}\n", serde_json::json!(note));
        assert_eq!(read(&lost), Ok(Reply::Lost { note: Some(note), by: Some(lease()) }));
        assert_eq!(read("lost 5\n"), Ok(Reply::Lost { note: None, by: None }));
        assert!(read("").is_err() && read("taken soon\n").is_err() && read("over 5\n").is_err());
        let complaint = Reply::read(&Output::of(3, "", "mkdir: cannot create directory: No space left\n"));
        assert_eq!(complaint, Err("mkdir: cannot create directory: No space left".into()));
    }

    #[test]
    fn the_file_begins_with_what_the_script_reads() {
        let text = serde_json::to_string(&lease()).unwrap();
        assert!(text.starts_with(r#"{"nonce":"0a1b","since":1795408353,"expires":1795408473,"#), "{text}");
        let rest =
            Mine { nonce: "a".into(), operator: "r\"o".into(), machine: "m".into(), run: "x".into(), life: PATIENCE };
        assert_eq!(rest.rest(), r#""operator":"r\"o","machine":"m","run":"x"}"#);
    }

    #[test]
    fn it_names_who_from_where_since_when_and_which_run() {
        assert_eq!(lease().told(), "root@laptop since 2026-11-23 04:32:33 UTC (run 20261123-041233-1a2b)");
    }
}
