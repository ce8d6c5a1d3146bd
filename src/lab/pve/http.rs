//! The HTTP face: what pvedaemon answers on 127.0.0.1:85, here on unix sockets and TCP ports.

use crate::lab::pve::answer::{Body, Response};
use crate::lab::pve::backdoor;
use crate::lab::pve::params::{Auth, Params, Request, percent_decode};
use crate::lab::pve::simulator::Simulator;
use serde_json::Value;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

/// The longest head and the longest body that are read; more is an error, as by the real server.
const LONGEST_HEAD: usize = 64 << 10;
const LONGEST_BODY: usize = 10 << 20;

/// Why the server ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A socket cannot be opened.
    #[error("piton lab: cannot listen on {on}: {why}")]
    Listen {
        /// Path or address.
        on: String,
        /// The system's error.
        why: io::Error,
    },
}

/// Where to listen.
#[derive(Debug, Default)]
pub struct Listeners {
    /// Unix sockets; these answer the lab's own questions below `/lab/` too. An old socket file is replaced.
    pub unix: Vec<PathBuf>,
    /// TCP listeners that are open already (a port on the node's loopback).
    pub tcp: Vec<TcpListener>,
}

/// Answers on all listeners until it is dropped.
///
/// # Errors
/// A unix socket cannot be opened.
pub async fn serve(sim: Arc<Simulator>, listeners: Listeners) -> Result<(), ServeError> {
    let mut tasks = tokio::task::JoinSet::new();
    for path in listeners.unix {
        let listen = |why| ServeError::Listen { on: path.display().to_string(), why };
        if path.exists() {
            std::fs::remove_file(&path).map_err(listen)?;
        }
        let listener = UnixListener::bind(&path).map_err(listen)?;
        let sim = Arc::clone(&sim);
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(Arc::clone(&sim), stream, true));
            }
        });
    }
    for listener in listeners.tcp {
        let sim = Arc::clone(&sim);
        tasks.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(Arc::clone(&sim), stream, false));
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}

/// One connection; several requests one after another.
async fn connection<S: AsyncRead + AsyncWrite + Unpin>(sim: Arc<Simulator>, mut stream: S, private: bool) {
    let mut buffer = Vec::new();
    loop {
        let Ok(Some(wire)) = read_request(&mut stream, &mut buffer).await else { return };
        let keep = wire.keep;
        let head_only = wire.method == "HEAD";
        let waited_for = waited_for(&wire, private);
        let answer = tokio::select! {
            answer = respond(&sim, wire, private) => answer,
            () = hang_up(&mut stream, &mut buffer), if waited_for.is_some() => {
                // Who runs a task in the foreground and goes away takes the task along: recorded so.
                sim.interrupt(&waited_for.unwrap_or_default(), "broken pipe");
                return;
            }
        };
        let Some(answer) = answer else { return };
        let answer = if head_only { answer.into_head() } else { answer };
        if stream.write_all(&answer.bytes(keep)).await.is_err() || !keep {
            let _ = stream.shutdown().await;
            return;
        }
    }
}

/// The task that a command face waits for with this request.
fn waited_for(wire: &Wire, private: bool) -> Option<String> {
    if !private || wire.target != "/lab/wait" {
        return None;
    }
    let body: Value = serde_json::from_slice(&wire.body).ok()?;
    body["upid"].as_str().filter(|_| body["foreground"] == true).map(str::to_owned)
}

/// Waits until the client has gone; what it still sends is kept for later.
async fn hang_up<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) {
    while let Ok(1..) = stream.read_buf(buffer).await {}
}

/// A request off the wire.
struct Wire {
    method: String,
    target: String,
    cookie: Option<String>,
    authorization: Option<String>,
    json: bool,
    keep: bool,
    body: Vec<u8>,
}

/// None at a clean end; an error for what is not HTTP.
async fn read_request<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    buffer: &mut Vec<u8>,
) -> io::Result<Option<Wire>> {
    let broken = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let (mut wire, length, used, continues) = loop {
        if let Some(head) = parse_head(buffer)? {
            break head;
        }
        if buffer.len() > LONGEST_HEAD {
            return Err(broken("head too long"));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    if length > LONGEST_BODY {
        return Err(broken("body too long"));
    }
    if continues && buffer.len() < used + length {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
    }
    while buffer.len() < used + length {
        if stream.read_buf(buffer).await? == 0 {
            return Err(broken("body cut short"));
        }
    }
    wire.body = buffer[used..used + length].to_vec();
    buffer.drain(..used + length);
    Ok(Some(wire))
}

/// The head with the length of the body, the bytes that the head takes, and whether the client waits to send the body.
fn parse_head(buffer: &[u8]) -> io::Result<Option<(Wire, usize, usize, bool)>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut request = httparse::Request::new(&mut headers);
    let status = request.parse(buffer).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why.to_string()))?;
    let httparse::Status::Complete(used) = status else { return Ok(None) };
    let header = |name: &str| {
        let found = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| String::from_utf8_lossy(header.value).into_owned())
    };
    let length = header("content-length").and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    let old = request.version == Some(0);
    let connection = header("connection").unwrap_or_default().to_ascii_lowercase();
    let wire = Wire {
        method: request.method.unwrap_or_default().to_owned(),
        target: request.path.unwrap_or_default().to_owned(),
        cookie: header("cookie"),
        authorization: header("authorization"),
        json: header("content-type").is_some_and(|kind| kind.starts_with("application/json")),
        keep: !connection.contains("close") && (!old || connection.contains("keep-alive")),
        body: Vec::new(),
    };
    let continues = header("expect").is_some_and(|expect| expect.eq_ignore_ascii_case("100-continue"));
    Ok(Some((wire, length, used, continues)))
}

/// An answer for the wire.
struct Answer {
    status: u16,
    reason: String,
    kind: &'static str,
    body: Vec<u8>,
    head_only: bool,
}

impl Answer {
    fn into_head(self) -> Self {
        Self { head_only: true, ..self }
    }

    fn bytes(&self, keep: bool) -> Vec<u8> {
        let Self { status, reason, kind, body, .. } = self;
        let connection = if keep { "Keep-Alive" } else { "close" };
        let mut bytes = format!(
            "HTTP/1.1 {status} {reason}\r\nCache-Control: max-age=0\r\nConnection: {connection}\r\n\
             Server: pve-api-daemon/3.0\r\nX-Piton-Lab: simulated\r\nContent-Length: {}\r\n\
             Content-Type: {kind}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        if !self.head_only {
            bytes.extend_from_slice(body);
        }
        bytes
    }
}

/// None closes the connection.
async fn respond(sim: &Arc<Simulator>, wire: Wire, private: bool) -> Option<Answer> {
    let (path, query) = wire.target.split_once('?').unwrap_or((&wire.target, ""));
    // A client that was told to use a proxy sends the whole URL.
    let path = path.strip_prefix("http://").map_or(path, |rest| rest.find('/').map_or("/", |at| &rest[at..]));
    let json = "application/json;charset=UTF-8";
    if private && path.starts_with("/lab/") {
        let body = if wire.body.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&wire.body) };
        let result = match body {
            Ok(body) => backdoor::answer(sim, path, body).await.map_err(|why| why.to_string()),
            Err(why) => Err(format!("piton lab: {path}: {why}")),
        };
        return Some(match result {
            Ok(value) => Answer {
                status: 200,
                reason: "OK".into(),
                kind: json,
                body: value.to_string().into(),
                head_only: false,
            },
            Err(why) => Answer {
                status: 400,
                reason: "Bad Request".into(),
                kind: "text/plain",
                body: why.into(),
                head_only: false,
            },
        });
    }
    let Some(path) = path.strip_prefix("/api2/json").filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
        return Some(Answer {
            status: 501,
            reason: "piton lab: not simulated: only /api2/json".into(),
            kind: "text/plain",
            body: Vec::new(),
            head_only: false,
        });
    };
    let mut params = Params::from_form(query);
    if wire.json {
        push_json(&mut params, &wire.body);
    } else {
        for (key, value) in Params::from_form(&String::from_utf8_lossy(&wire.body)).iter() {
            params.push(key, value);
        }
    }
    let auth = auth_of(sim, &wire);
    let path = if path.is_empty() { "/".to_owned() } else { percent_decode(path) };
    let method = if wire.method == "HEAD" { "GET".to_owned() } else { wire.method };
    let response = sim.handle(Request { method, path, params, auth }).await;
    let cut = sim.read(|state| state.levers.cut_connections > 0);
    if cut {
        sim.edit(|state| state.levers.cut_connections = state.levers.cut_connections.saturating_sub(1));
        return None;
    }
    let Response { status, reason, body, .. } = response;
    let (kind, body) = match body {
        Body::Hangup => return None,
        Body::Empty => (json, Vec::new()),
        Body::Json(value) => (json, value.to_string().into_bytes()),
        Body::Text(text) => ("text/plain", text.into_bytes()),
    };
    Some(Answer { status, reason, kind, body, head_only: false })
}

/// Ticket in the cookie `PVEAuthCookie` or an API token; pvedaemon runs as root and asks for no CSRF token.
fn auth_of(sim: &Simulator, wire: &Wire) -> Auth {
    let cookie = wire.cookie.as_deref().unwrap_or_default();
    let ticket = cookie.split(';').find_map(|part| part.trim().strip_prefix("PVEAuthCookie="));
    if let Some(ticket) = ticket {
        return if percent_decode(ticket) == sim.ticket() { Auth::Valid } else { Auth::Bad };
    }
    match wire.authorization.as_deref().and_then(|text| text.strip_prefix("PVEAPIToken=")) {
        Some(token) if sim.read(|state| state.api_tokens.contains(token)) => Auth::Valid,
        Some(_) => Auth::Bad,
        None => Auth::None,
    }
}

/// A JSON object as parameters; lists become several parameters of one name.
fn push_json(params: &mut Params, body: &[u8]) {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => u8::from(*flag).to_string(),
        other => other.to_string(),
    };
    let Ok(Value::Object(map)) = serde_json::from_slice(body) else { return };
    for (key, value) in &map {
        match value {
            Value::Array(list) => list.iter().for_each(|value| params.push(key, text(value))),
            value => params.push(key, text(value)),
        }
    }
}
