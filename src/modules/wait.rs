//! `wait`: until a port, a path or a command is as it should be, or the time is up.

use super::{Answer, Ask, Change, Cx, Example, Length, Module, ModuleError, Nature, Poll, Problem, Verdict, inode};
use crate::cmd::{Cmd, Ended, Place};
use crate::secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The step kind.
#[derive(Debug)]
pub struct Wait;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The port takes connections; for a path the same as present.
    #[default]
    Started,
    /// The port takes no connections; for a path the same as absent.
    Stopped,
    /// The path is there; for a port the same as started.
    Present,
    /// The path is not there; for a port the same as stopped.
    Absent,
}

/// Who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum From {
    /// The host of the step.
    #[default]
    Target,
    /// The machine that piton runs on.
    Here,
}

impl From {
    /// For a command.
    pub fn place(self) -> Place {
        match self {
            Self::Target => Place::Target,
            Self::Here => Place::Here,
        }
    }
}

/// Parameters of `wait`: exactly one of port, path and command.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// TCP port.
    port: Option<u16>,
    /// Name or address for `port`; by default the host of the step.
    host: Option<String>,
    /// Who tries the port: target or here.
    #[serde(default)]
    from: From,
    /// Absolute path on the target.
    path: Option<String>,
    /// Shell text that changes nothing, run on the target until it ends with 0.
    command: Option<String>,
    /// started, stopped, present or absent.
    #[serde(default)]
    state: State,
    /// After this long the step fails.
    #[serde(default = "five_minutes")]
    timeout: Length,
    /// Pause before the first look.
    #[serde(default = "no_time")]
    delay: Length,
    /// Pause between two looks.
    #[serde(default = "one_second")]
    sleep: Length,
}

fn five_minutes() -> Length {
    Length::secs(300)
}

fn no_time() -> Length {
    Length::secs(0)
}

fn one_second() -> Length {
    Length::secs(1)
}

/// Tries a TCP connection with what the host has. Prints `open`, `closed WHY` or `no tool`. bash may be built
/// without /dev/tcp, and then says that there is no such file.
const PORT: &str = r#"h=$1 p=$2
closed() { w=$(printf '%s' "$w" | tail -n 1); echo "closed ${w##*: }"; exit 0; }
if command -v timeout >/dev/null 2>&1; then
  if command -v bash >/dev/null 2>&1; then
    w=$(timeout 5 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$h" "$p" 2>&1) && { echo open; exit 0; }
    [ $? -eq 124 ] && { w='no answer within 5 seconds'; closed; }
    case $w in *'/dev/tcp/'*'No such file'*) ;; *) w=${w%%
*}; closed ;; esac
  fi
  if command -v python3 >/dev/null 2>&1; then
    w=$(timeout 5 python3 -c 'import socket,sys; socket.create_connection((sys.argv[1],int(sys.argv[2])),5)' "$h" "$p" 2>&1) && { echo open; exit 0; }
    closed
  fi
fi
if command -v nc >/dev/null 2>&1; then
  w=$(nc -z -w 5 "$h" "$p" 2>&1 </dev/null) && { echo open; exit 0; }
  case $w in *'invalid option'* | *'illegal option'* | *'unrecognized'* | *[Uu]sage*) ;; *) closed ;; esac
fi
if command -v perl >/dev/null 2>&1; then
  w=$(perl -MIO::Socket::IP -e 'IO::Socket::IP->new(PeerHost=>$ARGV[0],PeerPort=>$ARGV[1],Timeout=>5) or die "$@\n"' "$h" "$p" 2>&1) && { echo open; exit 0; }
  closed
fi
echo 'no tool'"#;

impl Params {
    fn wants_it(&self) -> bool {
        matches!(self.state, State::Started | State::Present)
    }

    fn host<'a>(&'a self, cx: &'a Cx) -> &'a str {
        match (&self.host, self.from) {
            (Some(host), _) => host,
            (None, From::Target) => "127.0.0.1",
            (None, From::Here) => &cx.address,
        }
    }

    fn subject(&self, cx: &Cx) -> String {
        match (&self.port, &self.path, &self.command) {
            (Some(port), _, _) => format!("port {port} of {}", self.host(cx)),
            (_, Some(path), _) => path.clone(),
            (_, _, command) => format!("`{}`", command.as_deref().unwrap_or_default().trim()),
        }
    }
}

/// What one look saw: whether it is there, and how it looked.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    is: bool,
    how: String,
}

impl Module for Wait {
    type Params = Params;
    type State = Seen;

    const NAME: &'static str = "wait";
    const SUMMARY: &'static str = "until a port, a path or a command is as it should be";
    const EXAMPLES: &'static [Example] = &[
        Example { name: "a service answers on its own host", yaml: "wait: { port: 8096, timeout: 2m }\n" },
        Example { name: "a guest is reachable from here", yaml: "wait: { port: 22, from: here, delay: 5s }\n" },
        Example { name: "a lock goes away", yaml: "wait: { path: /var/lib/dpkg/lock-frontend, state: absent }\n" },
        Example {
            name: "a command succeeds",
            yaml: "wait: { command: systemctl is-system-running --quiet, sleep: 2s }\n",
        },
    ];

    fn nature(_params: &Params) -> Nature {
        Nature::Looks
    }

    fn validate(params: &Params) -> Vec<Problem> {
        let mut out = Vec::new();
        let given = [params.port.is_some(), params.path.is_some(), params.command.is_some()];
        if given.into_iter().filter(|g| *g).count() != 1 {
            let message = "exactly one of `port`, `path` and `command` is needed";
            out.push(Problem { at: Vec::new(), message: message.to_string(), hint: None });
        }
        if params.port == Some(0) {
            out.push(Problem::at("port", "ports begin with 1"));
        }
        if let Some(path) = &params.path {
            out.extend(inode::wrong_path("path", path));
        }
        if params.port.is_none() && params.host.is_some() {
            out.push(Problem::at("host", "`host` is for `port`"));
        }
        if params.port.is_none() && params.from == From::Here {
            out.push(Problem::at("from", "`from: here` is for `port`"));
        }
        if params.host.as_deref().is_some_and(|h| h.is_empty() || h.starts_with('-') || h.contains(['/', ' '])) {
            out.push(Problem::at("host", "`host` is a name or an address"));
        }
        if params.command.as_deref().is_some_and(|c| c.trim().is_empty()) {
            out.push(Problem::at("command", "`command` is empty"));
        }
        if params.command.as_deref().is_some_and(secret::has_mark) {
            let message = "a secret in a command line can be read by every user of the target";
            out.push(Problem::at("command", message));
        }
        if params.command.is_some() && !params.wants_it() {
            out.push(Problem::at("state", "a command is waited for until it ends with 0"));
        }
        if params.sleep.0 < Duration::from_millis(100) {
            out.push(Problem::at("sleep", "less than 100ms between two looks would only load the host"));
        }
        out
    }

    fn probe(params: &Params, cx: &Cx) -> Vec<Ask> {
        let cmd = match (&params.port, &params.path, &params.command) {
            (Some(port), _, _) => {
                let cmd = Cmd::shell_with(PORT, [params.host(cx), &port.to_string()]);
                cmd.env("LC_ALL", "C").timeout(Duration::from_secs(30)).at(params.from.place())
            }
            (_, Some(path), _) => inode::look(path, false, inode::Reading::Nothing),
            (_, _, command) => Cmd::shell(command.clone().unwrap_or_default()),
        };
        vec![Ask::Cmd(cmd)]
    }

    fn read(params: &Params, cx: &Cx, answers: &[Answer]) -> Result<Seen, ModuleError> {
        let first = answers.first().ok_or_else(|| ModuleError::unreadable("no answer came", ""))?;
        if params.port.is_some() {
            let subject = params.subject(cx);
            let text = first.good(&subject)?.stdout.text();
            let text = text.trim();
            return match text.split_once(' ').unwrap_or((text, "")) {
                ("open", "") => Ok(Seen { is: true, how: "open".into() }),
                ("closed", why) => Ok(Seen { is: false, how: format!("closed: {why}") }),
                ("no", "tool") => {
                    let why = format!("cannot try {subject}: no bash, python3, nc or perl there");
                    Err(ModuleError::refused(why).hint("write `from: here`, or install netcat"))
                }
                _ => Err(ModuleError::unreadable("`open` or `closed` was expected", text)),
            };
        }
        if let Some(path) = &params.path {
            let inode = inode::read(path, first)?;
            let how = if inode.is_absent() { "not there" } else { "there" };
            return Ok(Seen { is: !inode.is_absent(), how: how.to_string() });
        }
        let output = first.output()?;
        let how = match output.ended {
            Ended::Code(code) if output.stderr.total == 0 => format!("exit status {code}"),
            Ended::Code(code) => format!("exit status {code}: {}", output.complaint()),
            _ => output.complaint(),
        };
        Ok(Seen { is: output.ok(), how })
    }

    fn plan(_params: &Params, _cx: &Cx, _seen: &Seen) -> Result<Vec<Change>, ModuleError> {
        Ok(Vec::new())
    }

    fn verdict(params: &Params, cx: &Cx, seen: &Seen) -> Verdict {
        if seen.is == params.wants_it() {
            return Verdict::Holds;
        }
        Verdict::Fails(format!("{}: {}", params.subject(cx), seen.how))
    }

    fn poll(params: &Params) -> Option<Poll> {
        Some(Poll { first: params.delay.0, every: params.sleep.0, at_most: params.timeout.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench;
    use super::*;
    use serde_json::json;

    fn verdict(params: serde_json::Value) -> Verdict {
        let cx = Cx { address: "127.0.0.1".into(), ..Cx::default() };
        bench::decide(bench::instance("wait", params).as_ref(), &cx).unwrap().verdict
    }

    #[test]
    fn a_real_port_opens_and_closes() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        for from in ["target", "here"] {
            assert_eq!(verdict(json!({ "port": port, "from": from })), Verdict::Holds);
        }
        let open = Verdict::Fails(format!("port {port} of 127.0.0.1: open"));
        assert_eq!(verdict(json!({ "port": port, "state": "stopped" })), open);
        drop(listener);
        let closed = Verdict::Fails(format!("port {port} of 127.0.0.1: closed: Connection refused"));
        assert_eq!(verdict(json!({ "port": port })), closed);
        assert_eq!(verdict(json!({ "port": port, "state": "absent" })), Verdict::Holds);
    }

    #[test]
    fn a_host_without_any_tool_is_not_called_closed() {
        let params = bench::params::<Wait>(json!({ "port": 80 }));
        let answer = |text: &str| [Answer::Cmd(crate::cmd::Output::of(0, text, ""))];
        let error = Wait::read(&params, &Cx::default(), &answer("no tool\n")).unwrap_err();
        assert!(error.to_string().starts_with("cannot try port 80 of 127.0.0.1"));
        let error = Wait::read(&params, &Cx::default(), &answer("perhaps\n")).unwrap_err();
        assert!(matches!(error, ModuleError::Unreadable { .. }));
        // The script itself, where no program is found.
        let Ask::Cmd(mut cmd) = Wait::probe(&params, &Cx::default()).remove(0) else { panic!() };
        cmd.argv[0] = "/bin/sh".into();
        assert_eq!(bench::run(&cmd.env("PATH", "/nowhere")).stdout.text(), "no tool\n");
    }

    #[test]
    fn paths_and_commands() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a b");
        assert_eq!(verdict(json!({ "path": path, "state": "absent" })), Verdict::Holds);
        assert_eq!(verdict(json!({ "path": path })), Verdict::Fails(format!("{}: not there", path.display())));
        std::fs::write(&path, "").unwrap();
        assert_eq!(verdict(json!({ "path": path, "state": "present" })), Verdict::Holds);
        assert_eq!(verdict(json!({ "command": "true" })), Verdict::Holds);
        let fails = Verdict::Fails("`echo not yet >&2; exit 3`: exit status 3: not yet".into());
        assert_eq!(verdict(json!({ "command": "echo not yet >&2; exit 3" })), fails);
    }

    #[test]
    fn rhythm_and_wrong_parameters() {
        let step = bench::instance("wait", json!({ "port": 22, "timeout": "2m", "delay": 3, "sleep": "500ms" }));
        let poll = Poll {
            first: Duration::from_secs(3),
            every: Duration::from_millis(500),
            at_most: Duration::from_secs(120),
        };
        assert_eq!(step.poll(), Some(poll));
        let wrong = |v| bench::problems("wait", v);
        assert_eq!(wrong(json!({})), ["exactly one of `port`, `path` and `command` is needed"]);
        assert_eq!(
            wrong(json!({ "port": 22, "path": "/x" })),
            ["exactly one of `port`, `path` and `command` is needed"]
        );
        assert_eq!(wrong(json!({ "path": "x" })), ["`x` is not an absolute path"]);
        assert_eq!(wrong(json!({ "path": "/x", "host": "a" })), ["`host` is for `port`"]);
        assert_eq!(wrong(json!({ "port": 70000 })).len(), 1);
        assert_eq!(wrong(json!({ "port": 22, "timeout": "soon" })).len(), 1);
    }
}
