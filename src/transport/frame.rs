//! The shell loop that runs on a host, and the frames that it is told its commands in. Pure.
//!
//! The loop is one line of POSIX `sh`, given as the exec argument of a channel: `exec /bin/sh -c '...'`. It holds
//! no newline, no `!` and no single quote, so a csh login shell passes it on as it is. It reads frames from its
//! standard input with `read -r`, which takes not one byte more than a line:
//!
//! ```text
//! ID FLAGS N_ENV N_BODY N_STDIN NEWLINE     header; FLAGS: x, b begins a batch, s stop at failure, r raw
//! export NAME='value'                       N_ENV lines, evaluated in the command's own subshell only
//! exec ${p_z:+"$p_z"} 'program' 'arg'       N_BODY lines, the same
//! text                                      N_STDIN lines; NEWLINE is 1 if the last one ends in a newline
//! ```
//!
//! and answers on both streams with marks, lines that begin with the byte 036 and a nonce:
//! `H` (hello: pid and user), `B` (begun: pid of the command, `g` if that is a process group), `E` (ended: exit
//! status, `L` if some of the group still live), `S` (skipped: `N` after a failure, `R` because the channel has
//! to be retired).
//!
//! Environment and standard input reach the command by builtins only, so no secret ever stands in an argument
//! list. A frame that did not arrive whole is not begun. Each command runs in its own session by `setsid`; what it
//! leaves behind in that session is seen, and then the loop takes no more commands, because late output would
//! land in the next answer. What made a session of its own *and* kept our streams open is not seen.
//! Where there is no `setsid` (FreeBSD), the command is known by its process only: a deadline does not reach its
//! children, and nothing left behind is noticed.

use crate::cmd::Cmd;
use crate::secret::{SecretError, Vault, has_mark};
use zeroize::Zeroizing;

/// The byte that marks begin with.
pub const MARK: u8 = 0o36;

/// `p_i` finds the pid of the subshell that it is called in; `p_g N` reads N lines into `p_t` (in blocks, so that
/// long texts are not copied once a line); `p_s` becomes the command. The pid comes back through the command
/// substitution, while the output goes past it through descriptor 3.
const LOOP: &str = concat!(
    r#"p_n=NONCE; exec 3>&1 4>&2 >/dev/null 2>&1; p_l=$(printf "\nx"); p_l=${p_l%x}; p_z=$(command -v setsid); p_r=; "#,
    r#"case $(command -v printf) in /*) p_e() { print -rn -- "$1"; } ;; *) p_e() { printf %s "$1"; } ;; esac; "#,
    r#"if [ -r /proc/self/stat ]; then p_i() { read -r p_p p_q </proc/self/stat; }; "#,
    r#"else p_i() { p_p=$(sh -c "echo \$PPID"); }; fi; "#,
    r#"p_g() { p_t=; p_u=; p_k=$1; p_j=0; while [ $p_k -gt 0 ]; do IFS= read -r p_x || exit 0; "#,
    r#"p_u=$p_u$p_x$p_l; p_k=$((p_k-1)); p_j=$((p_j+1)); "#,
    r#"if [ $p_j = 64 ]; then p_t=$p_t$p_u; p_u=; p_j=0; fi; done; p_t=$p_t$p_u; }; "#,
    r#"p_s() { p_i; printf %s $p_p; printf "\036%s B %s %s %s\n" $p_n $p_d $p_p ${p_z:+g} >&3; "#,
    r#"exec >&3 2>&4 3>&- 4>&-; eval "$p_v"; eval "$p_c"; }; "#,
    r#"printf "\036%s H %s %s\n" $p_n $$ "$(id -un)" >&3; printf "\036%s H\n" $p_n >&4; "#,
    r#"while IFS=" " read -r p_d p_f p_a p_b p_o p_y; do "#,
    r#"p_g $p_a; p_v=$p_t; p_g $p_b; p_c=$p_t; p_g $p_o; [ $p_y = 1 ] || p_t=${p_t%"$p_l"}; "#,
    r#"case $p_f in *b*) [ "$p_r" = R ] || p_r= ;; esac; "#,
    r#"if [ -n "$p_r" ]; then printf "\036%s S %s %s\n" $p_n $p_d $p_r >&3; "#,
    r#"printf "\036%s S %s %s\n" $p_n $p_d $p_r >&4; continue; fi; "#,
    r#"case $p_f$p_o in *r*) p_p=$(p_s) ;; *[a-z]0) p_p=$(p_s </dev/null) ;; *) p_p=$(p_e "$p_t" | p_s) ;; esac; "#,
    r#"p_q=$?; p_m=; if [ -n "$p_z" ] && [ -n "$p_p" ] && kill -0 -$p_p; then p_m=L; p_r=R; fi; "#,
    r#"case $p_f in *s*) [ $p_q = 0 ] || p_r=${p_r:-N} ;; esac; "#,
    r#"printf "\036%s E %s %s %s\n" $p_n $p_d $p_q $p_m >&3; printf "\036%s E %s\n" $p_n $p_d >&4; "#,
    r#"case $p_f in *r*) exit 0 ;; esac; done"#,
);

/// The text of the loop, to be given to `sh -c`.
pub fn script(nonce: &str) -> String {
    LOOP.replacen("NONCE", nonce, 1)
}

/// The exec line of a channel: the loop, run as `wrap` says (`[]`, or `sudo` and its options), in a form that
/// POSIX shells and csh read alike. The words of `wrap` are plain (checked by [`is_plain`]).
pub fn exec_line(nonce: &str, wrap: &[String]) -> String {
    let mut line = String::from("exec ");
    for word in wrap {
        line.push_str(word);
        line.push(' ');
    }
    format!("{line}/bin/sh -c '{}'", script(nonce))
}

/// True if no shell reads anything into this word: a user name, a number, a nonce.
pub fn is_plain(word: &str) -> bool {
    !word.is_empty() && !word.starts_with('-') && word.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// How a command takes part in its batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags {
    /// First of a batch: a failure of an earlier one is forgotten.
    pub first: bool,
    /// Do not begin the rest if this one fails.
    pub stop: bool,
    /// Its standard input is the rest of the channel; the loop ends after it.
    pub raw: bool,
}

/// Why a command cannot be sent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A secret would stand in an argument list, visible to every user of the host.
    #[error("a secret stands in the arguments of `{program}`; give it by `stdin` or `env`")]
    SecretInArgv {
        /// First argument.
        program: String,
    },
    /// No program.
    #[error("a command without a program")]
    Empty,
    /// A shell cannot hold it.
    #[error("a NUL byte in {what}")]
    Nul {
        /// Which part.
        what: &'static str,
    },
    /// Not a name that a shell can export.
    #[error("`{name}` cannot be the name of an environment variable")]
    EnvName {
        /// As given.
        name: String,
    },
    /// A mark without a value.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// The frame of a command, marks already replaced by values.
///
/// # Errors
/// [`FrameError`] if it cannot be sent as it is.
pub fn encode(id: u64, cmd: &Cmd, flags: Flags, vault: &Vault) -> Result<Zeroizing<Vec<u8>>, FrameError> {
    let program = cmd.argv.first().filter(|p| !p.is_empty()).ok_or(FrameError::Empty)?;
    if cmd.argv.iter().chain(&cmd.cwd).any(|word| has_mark(word)) {
        return Err(FrameError::SecretInArgv { program: program.clone() });
    }
    no_nul("an argument", cmd.argv.iter().chain(&cmd.cwd))?;
    let mut env = Zeroizing::new(String::new());
    for (name, value) in &cmd.env {
        if !is_env_name(name) {
            return Err(FrameError::EnvName { name: name.clone() });
        }
        let value = vault.reveal(value)?;
        no_nul("an environment variable", [&*value])?;
        env.push_str("export ");
        env.push_str(name);
        env.push('=');
        single_quoted(&mut env, &value);
        env.push('\n');
    }
    let mut body = String::new();
    if let Some(dir) = &cmd.cwd {
        body.push_str("CDPATH= cd -- ");
        single_quoted(&mut body, dir);
        body.push_str(" >/dev/null || exit 126; ");
    }
    body.push_str(r#"exec ${p_z:+"$p_z"}"#);
    for word in &cmd.argv {
        body.push(' ');
        single_quoted(&mut body, word);
    }
    body.push('\n');
    let stdin = match &cmd.stdin {
        Some(text) if !flags.raw => vault.reveal(text)?,
        _ => Zeroizing::new(String::new()),
    };
    no_nul("standard input", [&*stdin])?;
    let whole = stdin.is_empty() || stdin.ends_with('\n');
    let n_stdin = newlines(&stdin) + usize::from(!whole);
    let mut out = Zeroizing::new(Vec::with_capacity(64 + env.len() + body.len() + stdin.len()));
    let letters = format!(
        "x{}{}{}",
        if flags.first { "b" } else { "" },
        if flags.stop { "s" } else { "" },
        if flags.raw { "r" } else { "" }
    );
    let head = format!("{id} {letters} {} {} {n_stdin} {}\n", newlines(&env), newlines(&body), u8::from(whole));
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(env.as_bytes());
    out.extend_from_slice(body.as_bytes());
    out.extend_from_slice(stdin.as_bytes());
    if !whole {
        out.push(b'\n');
    }
    Ok(out)
}

fn newlines(text: &str) -> usize {
    memchr::memchr_iter(b'\n', text.as_bytes()).count()
}

fn no_nul<'a>(
    what: &'static str,
    texts: impl IntoIterator<Item = &'a (impl AsRef<str> + ?Sized + 'a)>,
) -> Result<(), FrameError> {
    if texts.into_iter().any(|t| t.as_ref().contains('\0')) { Err(FrameError::Nul { what }) } else { Ok(()) }
}

fn is_env_name(name: &str) -> bool {
    // The loop's own names: `p_` and a letter.
    if name.len() == 3 && name.starts_with("p_") {
        return false;
    }
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn single_quoted(out: &mut String, word: &str) {
    out.push('\'');
    let mut rest = word;
    while let Some(at) = rest.find('\'') {
        out.push_str(&rest[..at]);
        out.push_str(r"'\''");
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('\'');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::mark;

    fn text(cmd: &Cmd, flags: Flags) -> String {
        String::from_utf8(encode(7, cmd, flags, &Vault::default()).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn the_exec_line_is_one_that_csh_takes() {
        let line = exec_line("00ff", &["sudo".into(), "-n".into()]);
        assert!(line.starts_with("exec sudo -n /bin/sh -c 'p_n=00ff; "), "{line}");
        assert_eq!(line.matches('\'').count(), 2);
        assert!(!line.contains('\n') && !line.contains('!') && !line.contains("NONCE"));
    }

    #[test]
    fn a_plain_command() {
        let cmd = Cmd::new(["echo", "it's", ""]);
        let want = "7 xbs 0 1 0 1\nexec ${p_z:+\"$p_z\"} 'echo' 'it'\\''s' ''\n";
        assert_eq!(text(&cmd, Flags { first: true, stop: true, raw: false }), want);
    }

    #[test]
    fn lines_are_counted_and_the_last_newline_is_kept_apart() {
        let cmd = Cmd::new(["a\nb"]).env("X", "1\n2").cwd("/o'k").stdin("one\ntwo");
        let want = "7 x 2 2 2 0\nexport X='1\n2'\nCDPATH= cd -- '/o'\\''k' >/dev/null || exit 126; \
                    exec ${p_z:+\"$p_z\"} 'a\nb'\none\ntwo\n";
        assert_eq!(text(&cmd, Flags::default()), want);
        assert!(text(&Cmd::new(["a"]).stdin("one\n"), Flags::default()).starts_with("7 x 0 1 1 1\n"));
        assert!(text(&Cmd::new(["a"]).stdin(""), Flags::default()).starts_with("7 x 0 1 0 1\n"));
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let vault = Vault::default();
        vault.insert("db", "hunter22".into()).unwrap();
        let no = |cmd: Cmd| encode(1, &cmd, Flags::default(), &vault).unwrap_err();
        assert_eq!(no(Cmd::default()), FrameError::Empty);
        assert_eq!(no(Cmd::new(["a", "b\0"])), FrameError::Nul { what: "an argument" });
        assert_eq!(no(Cmd::new(["a"]).stdin("\0")), FrameError::Nul { what: "standard input" });
        assert_eq!(no(Cmd::new(["a"]).env("A-B", "")), FrameError::EnvName { name: "A-B".into() });
        assert_eq!(no(Cmd::new(["a"]).env("p_c", "")), FrameError::EnvName { name: "p_c".into() });
        assert_eq!(no(Cmd::new(["a".to_string(), mark("db")])), FrameError::SecretInArgv { program: "a".into() });
        let missing = no(Cmd::new(["a"]).env("X", mark("other")));
        assert_eq!(missing, FrameError::Secret(SecretError::Unknown { name: "other".into() }));
    }

    #[test]
    fn secrets_become_values_here() {
        let vault = Vault::default();
        vault.insert("db", "hun'ter".into()).unwrap();
        let cmd = Cmd::new(["a"]).env("X", mark("db")).stdin(mark("db"));
        let frame = encode(1, &cmd, Flags::default(), &vault).unwrap();
        let want = "1 x 1 1 1 0\nexport X='hun'\\''ter'\nexec ${p_z:+\"$p_z\"} 'a'\nhun'ter\n";
        assert_eq!(String::from_utf8_lossy(&frame), want);
    }
}
