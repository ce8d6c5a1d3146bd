//! `http`: what a web server answers, asked from the target or from here. Headers and body reach `curl` over
//! standard input, so that no process list shows a token.

use super::wait::From;
use super::{Action, Answer, Ask, Change, Cx, Example, Length, Module, ModuleError, Nature, Problem, Undo, Verdict};
use crate::cmd::Cmd;
use crate::secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// The step kind.
#[derive(Debug)]
pub struct Http;

/// Parameters of `http`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Address, with http:// or https://.
    url: String,
    /// Method. GET, HEAD and OPTIONS only look; any other acts every time.
    #[serde(default = "get")]
    method: String,
    /// Status codes that are right. Redirects are not followed.
    #[serde(default = "ok")]
    status: Vec<u16>,
    /// Text that must be in the body.
    body_contains: Option<String>,
    /// Headers. May hold secrets.
    #[serde(default)]
    headers: BTreeMap<String, super::scalar::Scalar>,
    /// Body: a text, or a value that is sent as JSON. May hold secrets.
    body: Option<Value>,
    /// False: any certificate is taken.
    #[serde(default = "yes")]
    validate_certs: bool,
    /// Who asks: target or here.
    #[serde(default)]
    from: From,
    /// After this long without the whole answer it counts as none.
    #[serde(default = "thirty_seconds")]
    timeout: Length,
}

fn get() -> String {
    "GET".to_string()
}

fn ok() -> Vec<u16> {
    vec![200]
}

fn yes() -> bool {
    true
}

fn thirty_seconds() -> Length {
    Length::secs(30)
}

/// Begins the line on standard error with status and time.
const MARK: &str = "piton-http ";

/// Bytes of the body that `out.<register>.body` keeps.
const KEPT: usize = 64 * 1024;

/// Runs curl and fails unless the status is one of the arguments after the first, and the body holds the first.
const ACT: &str = r#"want=$1; shift
command -v curl >/dev/null 2>&1 || { echo 'curl is not installed here' >&2; exit 1; }
r=$(curl -q -K -; printf 'rc=%s' "$?")
rc=${r##*rc=}
r=${r%rc=*}
[ "$rc" = 0 ] || { printf '%s\n' "$r" >&2; exit 1; }
line=${r##*piton-http }
code=${line%% *}
printf '%s\n' "${r%piton-http *}"
case " $* " in *" $code "*) ;; *) echo "answered $code, not $*" >&2; exit 1 ;; esac
case $r in *"$want"*) ;; *) echo "answered $code, but without the text that was expected" >&2; exit 1 ;; esac"#;

/// A word for curl's configuration file (curl's manual, `--config`).
fn word(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '\\' | '"' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

impl Params {
    fn looks(&self) -> bool {
        matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }

    fn config(&self) -> String {
        let seconds = |d: Duration| format!("{}.{:03}", d.as_secs(), d.subsec_millis());
        let mut out = String::from("silent\nshow-error\ngloboff\n");
        let mut set = |name: &str, value: &str| out.push_str(&format!("{name} = {}\n", word(value)));
        set("url", &self.url);
        set("proto", "=http,https");
        set("max-time", &seconds(self.timeout.0));
        let place = if self.looks() { "%{stderr}" } else { "\\n" };
        let status = format!("{MARK}%{{http_code}} %{{time_total}}");
        let mut json = false;
        let body = self.body.as_ref().map(|body| match body {
            Value::String(text) => text.clone(),
            other => {
                json = true;
                other.to_string()
            }
        });
        if let Some(body) = &body {
            set("data-raw", body);
        }
        let typed = self.headers.keys().any(|h| h.eq_ignore_ascii_case("content-type"));
        if json && !typed {
            set("header", "Content-Type: application/json");
        }
        for (name, value) in &self.headers {
            let line = if value.0.is_empty() { format!("{name};") } else { format!("{name}: {}", value.0) };
            set("header", &line);
        }
        if self.method != "HEAD" {
            set("request", &self.method);
        }
        out.push_str(&format!("write-out = \"{place}{status}\\n\"\n"));
        if self.method == "HEAD" {
            out.push_str("head\n");
        }
        if !self.validate_certs {
            out.push_str("insecure\n");
        }
        out
    }

    fn with_limits(&self, cmd: Cmd) -> Cmd {
        cmd.stdin(self.config())
            .env("LC_ALL", "C")
            .timeout(self.timeout.0 + Duration::from_secs(10))
            .at(self.from.place())
    }

    fn wanted(&self) -> String {
        self.status.iter().map(u16::to_string).collect::<Vec<_>>().join(" or ")
    }
}

/// What was answered; `None`: nothing was, and why.
#[derive(Debug, PartialEq)]
pub struct Seen {
    status: Option<u16>,
    seconds: f64,
    body: String,
    cut: bool,
    why: String,
}

impl Module for Http {
    type Params = Params;
    type State = Seen;

    const NAME: &'static str = "http";
    const SUMMARY: &'static str = "what a web server answers";
    const SHORTHAND: Option<&'static str> = Some("url");
    const EXAMPLES: &'static [Example] = &[
        Example {
            name: "the proxy answers on its own host",
            yaml: "http: { url: \"https://127.0.0.1/\", status: [200, 301], validate_certs: false }\n",
        },
        Example {
            name: "a page as seen from here",
            yaml: "http: { url: \"http://10.10.0.10:8096/health\", body_contains: Healthy, from: here, timeout: 5s }\n",
        },
    ];

    fn nature(params: &Params) -> Nature {
        if params.looks() { Nature::Looks } else { Nature::AlwaysRuns }
    }

    fn validate(params: &Params) -> Vec<Problem> {
        let mut out = Vec::new();
        let rest = params.url.strip_prefix("http://").or_else(|| params.url.strip_prefix("https://"));
        if rest.is_none_or(|r| r.is_empty() || r.starts_with('/')) || params.url.contains(char::is_whitespace) {
            let problem = Problem::at("url", format!("`{}` is not the address of a page", secret::shown(&params.url)));
            out.push(problem.hint("begin it with http:// or https://"));
        }
        if params.method.is_empty() || !params.method.bytes().all(|b| b.is_ascii_uppercase()) {
            out.push(Problem::at("method", format!("`{}` is not a method", params.method)).hint("write it like POST"));
        }
        if params.status.is_empty() || params.status.iter().any(|s| !(100..600).contains(s)) {
            out.push(Problem::at("status", "`status` is a list of codes from 100 to 599"));
        }
        for (name, value) in &params.headers {
            let good = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            if name.is_empty() || !name.chars().all(good) || value.0.contains(['\r', '\n', '\0']) {
                out.push(Problem::at("headers", format!("`{name}` is not a header of one line")));
            }
        }
        if params.body.is_some() && params.method == "HEAD" {
            out.push(Problem::at("body", "a HEAD request has no body"));
        }
        if !params.looks() && params.body_contains.as_deref().is_some_and(secret::has_mark) {
            out.push(Problem::at("body_contains", "a secret in a command line can be read by every user"));
        }
        if params.timeout.0 < Duration::from_millis(100) {
            out.push(Problem::at("timeout", "less than 100ms is too short for any answer"));
        }
        out
    }

    fn probe(params: &Params, _cx: &Cx) -> Vec<Ask> {
        if !params.looks() {
            return Vec::new();
        }
        vec![Ask::Cmd(params.with_limits(Cmd::new(["curl", "-q", "-K", "-"])))]
    }

    fn read(params: &Params, _cx: &Cx, answers: &[Answer]) -> Result<Seen, ModuleError> {
        let none = Seen { status: None, seconds: 0.0, body: String::new(), cut: false, why: String::new() };
        let Some(answer) = answers.first() else { return Ok(none) };
        let output = answer.output()?;
        let errors = output.stderr.text();
        if output.code() == Some(127) {
            return Err(ModuleError::refused("curl is not installed there").hint("install curl, or write `from: here`"));
        }
        let line = errors.lines().rev().find_map(|l| l.split_once(MARK).map(|(_, rest)| rest));
        if !output.ok() {
            let why = errors.lines().find(|l| !l.contains(MARK)).map_or_else(|| output.complaint(), str::to_string);
            // 2: an option that this curl does not know; 43: a defect of the call.
            if matches!(output.code(), Some(2 | 43)) {
                return Err(ModuleError::probe(&params.url, why));
            }
            return Ok(Seen { why, ..none });
        }
        let bad = || ModuleError::unreadable("status and time were expected of curl", &errors);
        let (status, seconds) = line.and_then(|l| l.trim().split_once(' ')).ok_or_else(bad)?;
        Ok(Seen {
            status: Some(status.parse().map_err(|_| bad())?),
            // Some locales write a comma.
            seconds: seconds.replace(',', ".").parse().map_err(|_| bad())?,
            body: output.stdout.text().into_owned(),
            cut: output.stdout.is_cut(),
            why: String::new(),
        })
    }

    fn plan(params: &Params, _cx: &Cx, _seen: &Seen) -> Result<Vec<Change>, ModuleError> {
        if params.looks() {
            return Ok(Vec::new());
        }
        let mut args = vec![params.body_contains.clone().unwrap_or_default()];
        args.extend(params.status.iter().map(u16::to_string));
        let action = Action::Run(params.with_limits(Cmd::shell_with(ACT, args)));
        let undo = Undo::Impossible("what the server did with the request is not known".to_string());
        Ok(vec![Change::new(format!("send {} {}", params.method, params.url), vec![action], undo)])
    }

    fn verdict(params: &Params, _cx: &Cx, seen: &Seen) -> Verdict {
        if !params.looks() {
            return Verdict::Holds;
        }
        let url = &params.url;
        let Some(status) = seen.status else { return Verdict::Fails(format!("{url} did not answer: {}", seen.why)) };
        if !params.status.contains(&status) {
            return Verdict::Fails(format!("{url} answered {status}, not {}", params.wanted()));
        }
        match &params.body_contains {
            Some(text) if !seen.body.contains(text.as_str()) => {
                let first = if seen.cut { "the first MiB of its body" } else { "its body" };
                Verdict::Fails(format!("{url} answered {status}, but {first} does not hold `{text}`"))
            }
            _ => Verdict::Holds,
        }
    }

    fn facts(_params: &Params, seen: &Seen) -> serde_json::Map<String, Value> {
        let Some(status) = seen.status else { return serde_json::Map::new() };
        let kept: String = seen.body.char_indices().take_while(|(at, _)| *at < KEPT).map(|(_, c)| c).collect();
        let mut out = serde_json::Map::new();
        out.insert("status".into(), status.into());
        out.insert("body".into(), kept.into());
        out.insert("time".into(), seen.seconds.into());
        out
    }
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
