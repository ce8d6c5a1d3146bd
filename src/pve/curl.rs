//! The *api* carrier: `curl` on the node, everything secret in its configuration on standard input.
//!
//! One `curl` process makes any number of GETs one after another on one connection, so a whole batch of probes costs
//! one round trip. The reason phrase is read from the status line: Proxmox puts the message of a 500 there.

use super::encode;
use super::error::PveError;
use super::ticket::Auth;
use crate::cmd::{ApiAnswer, ApiCall, Cmd, Ended, Method, Output};
use crate::secret;
use serde_json::Value;
use std::time::Duration;

/// Where pvedaemon listens on the node itself. Source: pve-manager `PVE/Service/pvedaemon.pm`.
pub const PVEDAEMON: &str = "http://127.0.0.1:85/api2/json";

/// Longest line of a configuration that curl 7.88 (Debian 12) reads; measured: it ends 26 above 100 KiB.
const LONGEST_LINE: usize = 100_000;

/// Seconds for one call; pvedaemon's own limit for a connection is 30 s of silence, a failed hot-unplug takes 6.
const SECONDS: u64 = 90;

/// The carrier's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Curl {
    /// URL that paths are put behind.
    pub base: String,
    /// Ticket and token, as marks.
    pub auth: Auth,
}

impl Curl {
    /// To the node's own pvedaemon.
    pub fn new(auth: Auth) -> Self {
        Self { base: PVEDAEMON.into(), auth }
    }
}

/// The command for one call of any method, or for several GETs. Runs on the node as root.
///
/// # Errors
/// [`PveError::Refused`]: several calls that are not all GETs, a secret in a path or in the query of a GET or DELETE
/// (it would stand in logs), a parameter longer than curl reads.
pub fn many_cmd(curl: &Curl, node: &str, calls: &[ApiCall], nonce: &str) -> Result<Cmd, PveError> {
    let mut config = String::new();
    for (i, call) in calls.iter().enumerate() {
        let refused = |why: &str| PveError::Refused { call: call.line(), why: why.to_string() };
        if calls.len() > 1 && call.method != Method::Get {
            return Err(refused("only GETs go out together"));
        }
        if i > 0 {
            config.push_str("next\n");
        }
        transfer(curl, node, call, nonce, &mut config).map_err(|why| refused(&why))?;
    }
    let seconds = SECONDS + 10 + 5 * calls.len() as u64;
    Ok(Cmd::new(["curl", "-q", "-K", "-"]).stdin(config).timeout(Duration::from_secs(seconds)))
}

fn transfer(curl: &Curl, node: &str, call: &ApiCall, nonce: &str, config: &mut String) -> Result<(), String> {
    let changes = call.method != Method::Get;
    let in_body = matches!(call.method, Method::Post | Method::Put);
    let path = call.path.replace("{node}", node);
    if secret::has_mark(&path) {
        return Err("a secret in the path".into());
    }
    let params: Vec<String> =
        call.params.iter().map(|(name, value)| format!("{}={}", encode::form(name), encode::form(value))).collect();
    let mut url = format!("{}{}", curl.base, encode::path(&path));
    if !in_body && !params.is_empty() {
        if params.iter().any(|p| secret::has_mark(p)) {
            return Err(format!("a secret in the query of a {}", call.method.name()));
        }
        url.push('?');
        url.push_str(&params.join("&"));
    }
    let mut lines = vec!["silent".into(), "include".into(), "globoff".into(), "path-as-is".into()];
    lines.push(option("noproxy", "*"));
    lines.push("connect-timeout = 5".into());
    lines.push(format!("max-time = {SECONDS}"));
    lines.push(option("url", &url));
    lines.push(option("header", &format!("Cookie: PVEAuthCookie={}", curl.auth.ticket)));
    if changes {
        lines.push(option("request", call.method.name()));
        lines.push(option("header", &format!("CSRFPreventionToken: {}", curl.auth.csrf)));
    }
    if in_body {
        // pvedaemon has no 100-continue, and would keep curl waiting for one.
        lines.push(option("header", "Expect:"));
        if params.is_empty() {
            lines.push(option("data-raw", ""));
        }
        lines.extend(params.iter().map(|param| option("data-raw", param)));
    }
    lines.push(option("write-out", &format!("\n{nonce} %{{exitcode}} %{{size_request}} %{{errormsg}}\n")));
    if lines.iter().any(|l| l.len() > LONGEST_LINE) {
        return Err(format!("a parameter is longer than {LONGEST_LINE} bytes once encoded"));
    }
    for line in lines {
        config.push_str(&line);
        config.push('\n');
    }
    Ok(())
}

/// One option with its value in double quotes, as curl's manual has it for `--config`.
fn option(name: &str, value: &str) -> String {
    let mut out = format!("{name} = \"");
    for c in value.chars() {
        match c {
            '\\' | '"' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Reads what the command of [`many_cmd`] printed: one answer for each call.
pub fn read_many(calls: &[ApiCall], output: &Output, nonce: &str) -> Vec<Result<ApiAnswer, PveError>> {
    let mut rest: &[u8] = &output.stdout.bytes;
    let marker = format!("\n{nonce} ").into_bytes();
    calls
        .iter()
        .map(|call| {
            let Some(at) = find(rest, &marker) else {
                return Err(unheard(call, output));
            };
            let text = &rest[..at];
            let after = &rest[at + marker.len()..];
            let Some(end) = after.iter().position(|b| *b == b'\n') else {
                return Err(unheard(call, output));
            };
            rest = &after[end + 1..];
            transferred(call, text, &String::from_utf8_lossy(&after[..end]))
        })
        .collect()
}

/// One transfer: what was received, and curl's words about it (`exitcode size_request errormsg`).
fn transferred(call: &ApiCall, text: &[u8], words: &str) -> Result<ApiAnswer, PveError> {
    let mut words = words.splitn(3, ' ');
    let code = words.next().unwrap_or_default();
    let sent = words.next().and_then(|n| n.parse::<u64>().ok());
    let why = format!("curl {code}: {}", words.next().unwrap_or_default().trim());
    let call_line = call.line();
    if code != "0" {
        // 3 bad URL, 5 and 6 names, 7 refused: before anything was sent. Source: curl's manual, "Exit codes".
        let before = matches!(code, "3" | "5" | "6" | "7") || sent == Some(0);
        return Err(if before {
            PveError::NotSent { call: call_line, why }
        } else {
            PveError::NoAnswer { call: call_line, why }
        });
    }
    http(text).ok_or_else(|| PveError::NoAnswer {
        call: call_line,
        why: format!("no HTTP answer: {}", String::from_utf8_lossy(&text[..text.len().min(80)]).trim()),
    })
}

/// Status line, headers and body.
fn http(text: &[u8]) -> Option<ApiAnswer> {
    let mut text = text;
    loop {
        let end = find(text, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&text[..end]).into_owned();
        text = &text[end + 4..];
        let line = head.lines().next()?;
        let mut words = line.strip_prefix("HTTP/")?.splitn(3, ' ');
        words.next()?;
        let status: u16 = words.next()?.parse().ok()?;
        if status < 200 {
            continue;
        }
        let reason = words.next().unwrap_or_default().trim_end().to_string();
        return Some(ApiAnswer { status, reason, body: body(text), task: None });
    }
}

/// JSON where it is some; empty is `null`; any other text is a string.
fn body(bytes: &[u8]) -> Value {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Value::Null;
    }
    serde_json::from_slice(bytes).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()))
}

/// There is no word of curl's about this call.
fn unheard(call: &ApiCall, output: &Output) -> PveError {
    let call = call.line();
    let said = output.stderr.text();
    let said = said.lines().next().unwrap_or_default();
    match output.ended {
        Ended::NotBegun => PveError::NotSent { call, why: "not begun".into() },
        Ended::Code(126 | 127) => PveError::NotSent { call, why: format!("curl cannot be run: {said}") },
        // 2: usage or configuration, 26: the configuration could not be read. Nothing was sent before that.
        Ended::Code(code @ (2 | 26)) if output.stdout.total == 0 => {
            PveError::NotSent { call, why: format!("curl {code}: {said}") }
        }
        Ended::Code(code) => PveError::NoAnswer { call, why: format!("curl ended {code} without a word about it") },
        Ended::TimedOut => PveError::NoAnswer { call, why: "curl took too long and was killed".into() },
        Ended::Cancelled => PveError::NoAnswer { call, why: "cancelled".into() },
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|w| w == what)
}

#[cfg(test)]
#[path = "curl_tests.rs"]
mod tests;
