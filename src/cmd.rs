//! Commands and API calls as data: what the pure stages say, and what `transport` and `pve` carry out.
//!
//! Texts in here may hold *secret marks* (see [`crate::secret`]) in `stdin`, `env` and API parameters,
//! never in `argv`. Marks become values at the very edge, when the bytes are written to the wire.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Where a command runs, seen from the host that a step is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// The host of the step.
    #[default]
    Target,
    /// The Proxmox node of the guest; a node is its own node.
    Node,
    /// The machine that piton runs on.
    Here,
}

/// One command: no shell unless the program is one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cmd {
    /// Program and arguments. Never holds a secret mark: `transport` refuses it.
    pub argv: Vec<String>,
    /// Text for standard input, without NUL bytes; `None` is an empty one. May hold secret marks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<String>,
    /// Variables added to the environment. Values may hold secret marks.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Directory to run in; the login directory if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// User to run as (`become_user`); the login user if `None`. Set by the engine, not by modules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// After this the remote process group is killed; the engine's default deadline if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// Where it runs.
    #[serde(default)]
    pub at: Place,
}

impl Cmd {
    /// A command from program and arguments.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Free shell text, run by the target's POSIX `sh`.
    pub fn shell(text: impl Into<String>) -> Self {
        Self::new(["sh".to_string(), "-c".to_string(), text.into()])
    }

    /// Shell text with positional arguments: quoting is never needed for what the user wrote.
    pub fn shell_with<S: Into<String>>(text: &str, args: impl IntoIterator<Item = S>) -> Self {
        let mut argv = vec!["sh".into(), "-c".into(), text.to_string(), "sh".into()];
        argv.extend(args.into_iter().map(Into::into));
        Self { argv, ..Self::default() }
    }

    /// The same with this text on standard input.
    #[must_use]
    pub fn stdin(mut self, text: impl Into<String>) -> Self {
        self.stdin = Some(text.into());
        self
    }

    /// The same with one more environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// The same, run in this directory.
    #[must_use]
    pub fn cwd(mut self, dir: impl Into<String>) -> Self {
        self.cwd = Some(dir.into());
        self
    }

    /// The same with a deadline of its own.
    #[must_use]
    pub fn timeout(mut self, after: Duration) -> Self {
        self.timeout = Some(after);
        self
    }

    /// The same, run there.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.at = place;
        self
    }

    /// The command as one would type it, for screens and reports.
    pub fn line(&self) -> String {
        self.argv.iter().map(|a| quote(a)).collect::<Vec<_>>().join(" ")
    }
}

/// Quotes one word for a POSIX shell; plain words stay as they are.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_string();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Exit status as the shell gives it; 128 + n for signal n.
    Code(i32),
    /// The deadline passed and the process group was killed.
    TimedOut,
    /// The operator cancelled and the process group was killed.
    Cancelled,
    /// Not begun, because an earlier command of the same batch failed.
    NotBegun,
}

/// One output stream. At most [`Captured::KEEP`] bytes stay in memory; all of it is in `spill` when there was more.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Captured {
    /// The first bytes, secrets already replaced by their marks.
    pub bytes: Vec<u8>,
    /// How many bytes there were in all.
    pub total: u64,
    /// The file with the whole output (owner-only), if it was longer than what is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spill: Option<PathBuf>,
}

impl Captured {
    /// Bytes of one stream that are kept in memory: 1 MiB.
    pub const KEEP: usize = 1 << 20;

    /// From a short text.
    pub fn from_text(text: impl Into<String>) -> Self {
        let bytes = text.into().into_bytes();
        Self { total: bytes.len() as u64, bytes, spill: None }
    }

    /// What is kept, as text; invalid UTF-8 is replaced.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.bytes)
    }

    /// True if some of the output is not in `bytes`.
    pub fn is_cut(&self) -> bool {
        self.total > self.bytes.len() as u64
    }
}

/// What a command that was seen to end gave back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// How it ended.
    pub ended: Ended,
    /// Standard output.
    pub stdout: Captured,
    /// Standard error.
    pub stderr: Captured,
    /// Wall time on our clock.
    #[serde(default)]
    pub took: Duration,
}

impl Output {
    /// An output as tests and simulators write it.
    pub fn of(code: i32, stdout: &str, stderr: &str) -> Self {
        Self {
            ended: Ended::Code(code),
            stdout: Captured::from_text(stdout),
            stderr: Captured::from_text(stderr),
            took: Duration::ZERO,
        }
    }

    /// The exit status, if it ended by itself.
    pub fn code(&self) -> Option<i32> {
        match self.ended {
            Ended::Code(code) => Some(code),
            _ => None,
        }
    }

    /// True for exit status 0.
    pub fn ok(&self) -> bool {
        self.ended == Ended::Code(0)
    }

    /// Why it did not end with 0, one line: the last line of standard error, or how it ended.
    pub fn complaint(&self) -> String {
        let text = self.stderr.text();
        if let Some(line) = text.lines().rev().map(str::trim).find(|l| !l.is_empty()) {
            let chars: Vec<char> = line.chars().collect();
            if chars.len() <= 300 {
                return line.to_string();
            }
            // The reason stands at the end.
            let (head, tail) = (&chars[..100], &chars[chars.len() - 195..]);
            return format!("{} ... {}", String::from_iter(head), String::from_iter(tail));
        }
        match self.ended {
            Ended::Code(code) => format!("exit status {code}"),
            Ended::TimedOut => "it ran out of time".to_string(),
            Ended::Cancelled => "it was cancelled".to_string(),
            Ended::NotBegun => "it was not begun".to_string(),
        }
    }
}

/// HTTP method of an API call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads; the only method that a probe may use.
    Get,
    /// Creates or starts something.
    Post,
    /// Changes.
    Put,
    /// Deletes.
    Delete,
}

impl Method {
    /// `GET`, `POST`, `PUT`, `DELETE`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    /// The `pvesh` verb for it.
    pub fn pvesh(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "create",
            Self::Put => "set",
            Self::Delete => "delete",
        }
    }
}

/// One call to the Proxmox API, made on the node of the step's host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiCall {
    /// Method.
    pub method: Method,
    /// Path below `/api2/json`, for example `/nodes/{node}/qemu/102/config`. `{node}` is the node's own name.
    pub path: String,
    /// Parameters, form-encoded by the carrier. Values may hold secret marks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<(String, String)>,
    /// For a call that answers with a UPID: how long to follow the task. `None`: do not follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<Duration>,
}

impl ApiCall {
    /// A GET.
    pub fn get(path: impl Into<String>) -> Self {
        Self::of(Method::Get, path)
    }

    /// Any method, without parameters.
    pub fn of(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), params: Vec::new(), follow: None }
    }

    /// The same with one more parameter.
    #[must_use]
    pub fn param(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.params.push((name.into(), value.into()));
        self
    }

    /// The same, and the task that it starts is followed to its end, at most this long.
    #[must_use]
    pub fn follow(mut self, at_most: Duration) -> Self {
        self.follow = Some(at_most);
        self
    }

    /// The call as one would type it with `pvesh`, for screens and reports.
    pub fn line(&self) -> String {
        let mut out = format!("pvesh {} {}", self.method.pvesh(), self.path);
        for (name, value) in &self.params {
            out.push_str(&format!(" --{name} {}", quote(value)));
        }
        out
    }
}

/// The answer to an [`ApiCall`], whichever carrier brought it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApiAnswer {
    /// HTTP status; the *pvesh* carrier maps its outcome to one.
    pub status: u16,
    /// HTTP reason phrase: Proxmox puts the message of a 500 here.
    pub reason: String,
    /// The body: `data`, and beside it `errors` or `changes`.
    pub body: serde_json::Value,
    /// The finished task, if the call was followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskEnd>,
}

impl ApiAnswer {
    /// `data` of the body, `Null` if there is none.
    pub fn data(&self) -> &serde_json::Value {
        self.body.get("data").unwrap_or(&serde_json::Value::Null)
    }

    /// True if the call was accepted and, where a task was followed, that ended well.
    pub fn ok(&self) -> bool {
        self.status < 300 && self.task.as_ref().is_none_or(TaskEnd::ok)
    }

    /// Why it is not [`ok`](Self::ok): reason phrase, error map or exit status of the task.
    pub fn message(&self) -> String {
        if let Some(task) = &self.task
            && !task.ok()
        {
            return task.exitstatus.clone();
        }
        let mut text = self.reason.trim().to_string();
        if let Some(errors) = self.body.get("errors").and_then(|e| e.as_object()) {
            for (name, why) in errors {
                let why = why.as_str().map_or_else(|| why.to_string(), str::to_string);
                text.push_str(&format!(" {name}: {}", why.trim()));
            }
        }
        text
    }
}

/// How a Proxmox task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskEnd {
    /// `UPID:node:pid:pstart:starttime:type:id:user:`
    pub upid: String,
    /// `OK`, `WARNINGS: n`, or the error. Source: pve-common `src/PVE/RESTEnvironment.pm`.
    pub exitstatus: String,
    /// Last lines of its log.
    pub log: Vec<String>,
}

impl TaskEnd {
    /// `OK` and `WARNINGS: n` are success; the warnings are shown.
    pub fn ok(&self) -> bool {
        self.exitstatus == "OK" || self.exitstatus.starts_with("WARNINGS: ")
    }
}
