//! What a durable step says to a host: POSIX `sh` texts that start a job once, look at it, end it and clear it away.
//!
//! A job is a folder, owner-only, whose `mkdir` is the once-token: `start` may be sent as often as one likes.
//!
//! | file | what |
//! | --- | --- |
//! | `script` | the words of the command, for people |
//! | `begun` | a folder: the job has begun, or somebody claimed that it never will |
//! | `who` | process number, its start in clock ticks, boot id |
//! | `out`, `err` | what it prints |
//! | `rc` | exit status, by rename: it is there whole or not at all |
//!
//! Standard input and environment go from the starting shell to the job by pipe and by inheritance, never by a file.

use crate::cmd::{Cmd, Output};

/// Most bytes of one stream in one look: 256 KiB.
const CHUNK: u64 = 256 << 10;

/// Where jobs are, and what is asked of a folder in more than one text.
const COMMON: &str = r#"if [ -n "$PITON_JOBS" ]; then b=$PITON_JOBS
elif [ "$(id -u)" = 0 ]; then b=/var/lib/piton/jobs
else b=$HOME/.local/state/piton/jobs; fi
boot() { cat /proc/sys/kernel/random/boot_id; }
born() {
  s=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  s=${s##*) }
  set -- $s
  [ "$1" != Z ] && echo "${20}"
}
alive() { read -r p s t <"$1/who" && [ "$t" = "$(boot)" ] && [ "$s" = "$(born "$p")" ]; }
state() {
  if [ -f "$1/rc" ]; then echo "done $(cat "$1/rc")"
  elif [ -f "$1/who" ]; then
    if alive "$1"; then echo running 0
    elif [ -f "$1/rc" ]; then echo "done $(cat "$1/rc")"
    else echo gone 0; fi
  elif [ -d "$1" ]; then echo new 0
  else echo absent 0; fi
}
"#;

/// The job's own shell: a session of its own, so that nothing that happens to the line reaches it.
const RUNNER: &str = r#"
trap : HUP INT TERM
d=$1; shift
echo "$$ $(born $$) $(boot)" >"$d/who.tmp" && mv "$d/who.tmp" "$d/who" && mkdir "$d/begun" || exit 1
umask "$PITON_UMASK"; unset PITON_UMASK
( trap - HUP INT TERM; exec "$@" ) >"$d/out" 2>"$d/err"
echo $? >"$d/rc.tmp" && mv "$d/rc.tmp" "$d/rc"
"#;

const START: &str = r#"
d=$b/$1; run=$2; shift 2
command -v setsid >/dev/null || { echo "a durable step needs the program setsid (package util-linux)" >&2; exit 125; }
PITON_UMASK=$(umask); export PITON_UMASK; umask 077
made=
for try in 1 2 3; do
  mkdir -p "$b" && mkdir "$d" 2>/dev/null && made=yes && break
  [ -d "$d" ] && exit 0
done
[ -n "$made" ] || { echo "$d cannot be made" >&2; exit 125; }
printf '%s\n' "$@" >"$d/script" || exit 125
in=$(cat; printf x)
{ printf %s "${in%x}" | setsid sh -c "$run" sh "$d" "$@"; } </dev/null >/dev/null 2>&1 &
"#;

const LOOK: &str = r#"
d=$b/$1
size() { if [ -f "$1" ]; then wc -c <"$1"; else echo 0; fi; }
part() { tail -c "+$(($2 + 1))" "$1" 2>/dev/null | head -c "$3"; }
take() {
  n=$(($(size "$1") - $2))
  [ "$n" -gt "$most" ] && n=$most
  if [ "$open" = yes ] && [ "$n" -gt 0 ] && [ "$n" -lt "$most" ] && [ "$(part "$1" "$2" "$n" | tail -c 1 | wc -l)" -eq 0 ]
  then n=$((n - $(part "$1" "$2" "$n" | tail -n 1 | wc -c))); fi
  echo "$n"
}
most=$4
st=$(state "$d")
case $st in running* | new*) open=yes ;; *) open= ;; esac
o=$(take "$d/out" "$2"); e=$(take "$d/err" "$3")
echo "$st" "$o" "$e" $(($(size "$d/out") - $2 - o + $(size "$d/err") - $3 - e))
[ "$o" -gt 0 ] && part "$d/out" "$2" "$o"
[ "$e" -gt 0 ] && part "$d/err" "$3" "$e" >&2
exit 0
"#;

const CLAIM: &str = r#"mkdir "$b/$1/begun" 2>/dev/null && echo never || echo begun"#;

const END: &str = r#"
d=$b/$1
alive "$d" || exit 0
q=$p; i=0
kill -s TERM -- "-$q" 2>/dev/null
while [ "$i" -lt "$2" ] && alive "$d"; do sleep 0.1; i=$((i + 1)); done
kill -s KILL -- "-$q" 2>/dev/null
exit 0
"#;

const CLEAR: &str = r#"
for n; do rm -rf "$b/$n"; done
rmdir "$b" 2>/dev/null && rmdir "${b%/*}" 2>/dev/null
exit 0
"#;

const LIST: &str = r#"
[ -d "$b" ] || exit 0
for d in "$b"/*; do [ -d "$d" ] && echo "${d##*/} $(state "$d")"; done
exit 0
"#;

/// What a look at a job found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// There is no such job.
    Absent,
    /// Its folder is there, and it has not begun.
    New,
    /// It runs.
    Running,
    /// It ended with this exit status.
    Done(i32),
    /// It began, does not run, and left no exit status: the host was restarted, or somebody killed it.
    Gone,
}

/// What one look gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Where the job stands.
    pub state: JobState,
    /// Bytes of standard output and error that this look brought, as they lie on the host.
    pub took: (u64, u64),
    /// Bytes that are there and were not brought.
    pub left: u64,
    /// New standard output. Secrets in it are marks, so its length may be another.
    pub out: Vec<u8>,
    /// New standard error.
    pub err: Vec<u8>,
}

fn text(script: &str, args: Vec<String>) -> Cmd {
    Cmd::shell_with(&format!("{COMMON}{script}"), args)
}

/// Starts the job, or does nothing if its folder is there. Fails with 125 if it cannot be started.
pub fn start(name: &str, cmd: &Cmd) -> Cmd {
    let mut args = vec![name.to_string(), format!("{COMMON}{RUNNER}")];
    args.extend(cmd.argv.iter().cloned());
    let (env, stdin, cwd, at) = (cmd.env.clone(), cmd.stdin.clone(), cmd.cwd.clone(), cmd.at);
    Cmd { env, stdin, cwd, at, user: cmd.user.clone(), ..text(START, args) }
}

/// Looks at the job, and brings what it printed from these offsets on. While it runs only whole lines come.
pub fn look(name: &str, from: (u64, u64)) -> Cmd {
    text(LOOK, vec![name.into(), from.0.to_string(), from.1.to_string(), CHUNK.to_string()])
}

/// Sees to it that a job that has not begun never will; prints `never`, or `begun` if it has.
pub fn claim(name: &str) -> Cmd {
    text(CLAIM, vec![name.into()])
}

/// Ends the job's processes: TERM, and KILL after so many tenths of a second.
pub fn end(name: &str, tenths: u32) -> Cmd {
    text(END, vec![name.into(), tenths.to_string()])
}

/// Takes the folders of jobs away.
pub fn clear(names: &[String]) -> Cmd {
    text(CLEAR, names.to_vec())
}

/// Lists the jobs of this user: name and state, one a line.
pub fn list() -> Cmd {
    text(LIST, vec![])
}

/// Reads what [`look`] printed.
pub fn read_look(output: &Output) -> Option<Look> {
    let bytes = &output.stdout.bytes;
    let end = bytes.iter().position(|b| *b == b'\n')?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let words: Vec<&str> = head.split_whitespace().collect();
    let [word, code, out, err, left] = words[..] else { return None };
    let state = state(word, code)?;
    let took = (out.parse().ok()?, err.parse().ok()?);
    let (out, err) = (bytes[end + 1..].to_vec(), output.stderr.bytes.clone());
    Some(Look { state, took, left: left.parse().ok()?, out, err })
}

/// Reads what [`list`] printed.
pub fn read_list(output: &Output) -> Vec<(String, JobState)> {
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, word, code] = words[..] else { return None };
        Some((name.to_string(), state(word, code)?))
    };
    output.stdout.text().lines().filter_map(line).collect()
}

fn state(word: &str, code: &str) -> Option<JobState> {
    Some(match word {
        "absent" => JobState::Absent,
        "new" => JobState::New,
        "running" => JobState::Running,
        "gone" => JobState::Gone,
        "done" => JobState::Done(code.parse().ok()?),
        _ => return None,
    })
}

#[cfg(test)]
#[path = "job_script_tests.rs"]
mod tests;
