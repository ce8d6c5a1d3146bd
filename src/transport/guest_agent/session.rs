//! The folder in a guest that stands for a channel, and the three programs that deal with it.

use super::{Agent, AgentError};
use crate::pve::agent::AgentEnd;
use crate::transport::line::nonce;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use zeroize::Zeroizing;

/// Bytes of input that go at once: in base64 and form-encoded still far from 64 KiB, which is what both the agent's
/// API and the node's HTTP server take at most.
pub const PIECE: usize = 24 * 1024;

/// Bytes of each output that come at once.
const READ: usize = 128 * 1024;

/// How long an agent that says nothing is asked again.
const PATIENCE: Duration = Duration::from_secs(20);

/// `$1` unique word, `$2` line to run, `$3` user or empty, `$4` [`STAND`]. Folder and process are answered. A program
/// of the agent has an environment nearly empty.
const START: &str = r#"umask 022
for t in base64 cat head tail mkdir; do command -v $t >/dev/null || { echo "there is no $t" >&2; exit 1; }; done
u=$(id -un); HOME=$(eval "echo ~$u"); USER=$u LOGNAME=$u SHELL=/bin/sh; export HOME USER LOGNAME SHELL
d=; for b in /run /dev/shm /tmp; do mkdir -m 700 "$b/piton-line-$1" 2>/dev/null && d=$b/piton-line-$1 && break; done
[ -n "$d" ] || { echo "no folder can be made in /run, /dev/shm or /tmp" >&2; exit 1; }
echo >"$d/new"; cat /dev/null >"$d/out"; cat /dev/null >"$d/err"
cd "$HOME" 2>/dev/null || cd /
s=$(command -v setsid)
${s:+"$s"} sh -c "$4" sh "$d" "$2" "$3" </dev/null >/dev/null 2>&1 &
echo "piton-session $d $!""#;

/// `$1` folder, `$2` line to run, `$3` user or empty (by `setpriv`, which needs no PAM; busybox has no such, but an `su`
/// that needs none either). Feeds the pieces in their order, keeps both outputs, and goes
/// away with all of it when nobody asked for a while: 20 to 40 s while it waits for input.
const STAND: &str = r#"d=$1; trap '' HUP
feed() { i=0; n=0
while :; do
if [ -f "$d/in.$i" ]; then cat "$d/in.$i" || exit 0; rm -f "$d/in.$i"; i=$((i+1)); n=0; continue; fi
[ -d "$d" ] || exit 0
if [ -f "$d/eof" ]; then [ -f "$d/in.$i" ] && continue; exit 0; fi
sleep 0.05 || sleep 1; n=$((n+1))
if [ $n -ge 400 ]; then n=0; [ -e "$d/idle" ] && exit 0; echo >"$d/idle"; fi
done; }
run() { [ -n "$1" ] || exec /bin/sh -c "$2"
g=$(id -g "$1" 2>/dev/null); set -- "$1" "$2" setpriv --reuid "$1" --regid "$g" --init-groups
if [ -n "$g" ] && "$3" "$4" "$5" "$6" "$7" "$8" true 2>/dev/null; then
HOME=$(eval "echo ~$1"); USER=$1; LOGNAME=$1; c=$2; shift 2; exec "$@" /bin/sh -c "$c"; fi
exec su -s /bin/sh "$1" -c "$2"; }
keep='echo $$ >"$1/$2.pid"; exec cat >>"$1/$2"'
{ feed 3>&- | { (run "$3" "$2") 2>&3 3>&-; echo >"$d/eof"; } | sh -c "$keep" sh "$d" out 3>&-; } 3>&1 >/dev/null | sh -c "$keep" sh "$d" err
[ -d "$d" ] && echo >"$d/end"
n=0; while [ -d "$d" ]; do sleep 1; n=$((n+1)); [ $n -lt 20 ] && continue
n=0; [ -e "$d/idle" ] && rm -rf "$d"; [ -d "$d" ] && echo >"$d/idle"; done"#;

/// `$1` folder, `$2` number of the piece on standard input or `-`, `$3` and `$4` how much of the outputs is known,
/// `$5` most to read, `$6` 1 if no more input comes, `$7` fiftieths of a second to wait for output. What stands
/// before `end` is looked at first, so that nothing comes after it.
const TURN: &str = r#"cd "$1" || { echo "piton-gone"; exit 0; }
rm -f idle
if [ "$2" != - ]; then base64 -d >"t.$2.$$" && mv -f "t.$2.$$" "in.$2" || exit 1; fi
[ "$6" = 1 ] && echo >eof
k=0; while :; do
e=0; [ -f end ] && e=1
o=$(wc -c <out); r=$(wc -c <err); o=$((o)); r=$((r))
[ $o -gt $3 ] || [ $r -gt $4 ] || [ $e = 1 ] || [ $k -ge $7 ] && break
sleep 0.02 || sleep 1; k=$((k+1)); done
p=0; for f in in.*; do [ -f "$f" ] && p=$((p+1)); done
echo "piton-turn $o $r $e $p"
tail -c +$(($3+1)) out | head -c "$5" | base64; echo .
tail -c +$(($4+1)) err | head -c "$5" | base64; echo ."#;

/// `$1` folder. What still writes to it gets SIGPIPE, as from a closed channel.
const END: &str = r#"cd "$1" 2>/dev/null || exit 0
echo >eof; k=0; while [ ! -f end ] && [ $k -lt 50 ]; do sleep 0.02 || sleep 1; k=$((k+1)); done
[ -f end ] || for f in out.pid err.pid; do [ -f $f ] && read -r p <$f && kill "$p"; done
cd / && rm -rf "$1""#;

/// A session that stands.
pub struct Session {
    agent: Arc<dyn Agent>,
    folder: String,
    pid: String,
}

/// What a look at the session said.
#[derive(Debug, PartialEq, Eq)]
pub struct Turn {
    /// More of the standard output.
    pub out: Vec<u8>,
    /// More of the standard error.
    pub err: Vec<u8>,
    /// Bytes that there are of both.
    pub there: (u64, u64),
    /// True if no more comes.
    pub end: bool,
    /// Pieces that nobody has read yet.
    pub waiting: usize,
}

/// What is asked of a session.
#[derive(Debug)]
pub struct Ask<'a> {
    /// A piece of input and its number.
    pub piece: Option<(u64, &'a [u8])>,
    /// Bytes known of both outputs.
    pub known: (u64, u64),
    /// No more input comes after this.
    pub eof: bool,
    /// Fiftieths of a second to wait in the guest for output.
    pub wait: u32,
}

impl Session {
    /// Starts the line in the guest, as this user or as the agent's own, root.
    ///
    /// # Errors
    /// Why not, one line; nothing of it is left, or it goes away by itself.
    pub async fn start(agent: Arc<dyn Agent>, exec: &str, user: Option<&str>) -> Result<Self, String> {
        let nonce = nonce();
        let argv = words(START, &[&nonce, exec, user.unwrap_or_default(), STAND]);
        let end = match agent.exec(&argv, "").await {
            Ok(end) => end,
            Err(AgentError::Unknown { why }) => {
                return Err(format!("the node gave no answer when it was told to run /bin/sh in the guest ({why})"));
            }
            Err(error) => return Err(error.to_string()),
        };
        let text = String::from_utf8_lossy(&end.stdout).into_owned();
        let place = text.lines().find_map(|l| l.strip_prefix("piton-session ")?.split_once(' '));
        let Some((folder, pid)) = place.filter(|_| end.code == 0) else { return Err(complaint(&end)) };
        Ok(Self { agent, folder: folder.to_string(), pid: pid.to_string() })
    }

    /// Gives and takes. Asked again as long as the agent is silent: it changes nothing to be asked twice.
    ///
    /// # Errors
    /// Why the session is lost, with its process and folder in the guest.
    pub async fn turn(&self, ask: &Ask<'_>) -> Result<Turn, String> {
        let number = ask.piece.map_or_else(|| "-".to_string(), |(n, _)| n.to_string());
        let input = Zeroizing::new(ask.piece.map(|(_, bytes)| STANDARD.encode(bytes)).unwrap_or_default());
        let (out, err) = (ask.known.0.to_string(), ask.known.1.to_string());
        let (eof, wait, most) = (u8::from(ask.eof).to_string(), ask.wait.to_string(), READ.to_string());
        let argv = words(TURN, &[&self.folder, &number, &out, &err, &most, &eof, &wait]);
        let begun = Instant::now();
        loop {
            match self.agent.exec(&argv, &input).await {
                Ok(end) => return read(&end).map_err(|why| self.lost(&why)),
                Err(error) if begun.elapsed() >= PATIENCE => return Err(self.lost(&error.to_string())),
                Err(_) => sleep(Duration::from_millis(300)).await,
            }
        }
    }

    /// Takes the folder away. If that does not work, it goes by itself within a minute.
    pub async fn end(&self) {
        let _ = self.agent.exec(&words(END, &[&self.folder]), "").await;
    }

    fn lost(&self, why: &str) -> String {
        format!("{why} (the session is process {} of the guest, in {})", self.pid, self.folder)
    }
}

fn words(script: &str, args: &[&str]) -> Vec<String> {
    ["/bin/sh", "-c", script, "sh"].iter().chain(args).map(ToString::to_string).collect()
}

fn complaint(end: &AgentEnd) -> String {
    let said = String::from_utf8_lossy(&end.stderr);
    let said = said.lines().rev().map(str::trim).find(|l| !l.is_empty());
    said.map_or_else(|| format!("exit status {} of a program of the guest", end.code), ToString::to_string)
}

/// What [`TURN`] printed. An output that is cut off anywhere is an error, never a shorter output.
pub fn read(end: &AgentEnd) -> Result<Turn, String> {
    if end.cut {
        return Err("the guest agent threw a part of the output away".into());
    }
    let text = String::from_utf8_lossy(&end.stdout);
    if text.starts_with("piton-gone") {
        return Err("the session in the guest is gone".into());
    }
    if end.code != 0 {
        return Err(complaint(end));
    }
    let not = || "the answer of the guest's session is not whole".to_string();
    let (head, rest) = text.split_once('\n').ok_or_else(not)?;
    let numbers: Vec<u64> =
        head.strip_prefix("piton-turn ").ok_or_else(not)?.split(' ').filter_map(|n| n.parse().ok()).collect();
    let &[o, e, over, waiting] = numbers.as_slice() else { return Err(not()) };
    let mut parts = rest.split_terminator(".\n");
    let mut part = || {
        let text: String = parts.next().ok_or_else(not)?.split_whitespace().collect();
        STANDARD.decode(text).map_err(|_| not())
    };
    let (out, err) = (part()?, part()?);
    if !rest.ends_with(".\n") {
        return Err(not());
    }
    Ok(Turn { out, err, there: (o, e), end: over == 1, waiting: usize::try_from(waiting).unwrap_or(usize::MAX) })
}
