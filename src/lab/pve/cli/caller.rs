//! How a command face reaches the server: over its unix socket, or in the same process (tests).

use crate::lab::pve::backdoor::{self, FaceAnswer, FaceCall, TaskEnd};
use crate::lab::pve::params::Params;
use crate::lab::pve::simulator::Simulator;
use crate::transport::Boxed;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// Why the server was not reached or did not understand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No connection, or it broke.
    #[error("piton lab: no answer from the simulated node on {socket}: {why}; is the lab up?")]
    Unreachable {
        /// Path of the socket.
        socket: String,
        /// The system's error.
        why: String,
    },
    /// The server refused the question.
    #[error("{0}")]
    Refused(String),
}

/// The line to the server.
pub trait Caller: Send + Sync {
    /// Asks one of the lab's own questions, see [`backdoor::answer`].
    fn ask<'a>(&'a self, path: &'a str, body: Value) -> Boxed<'a, Result<Value, CallError>>;
}

impl dyn Caller + '_ {
    /// Makes an API call.
    pub async fn call(&self, method: &str, path: &str, params: &Params) -> Result<FaceAnswer, CallError> {
        let params = params.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let call = FaceCall { method: method.to_owned(), path: path.to_owned(), params };
        let answer = self.ask("/lab/call", json!(call)).await?;
        serde_json::from_value(answer).map_err(|why| CallError::Refused(format!("piton lab: {why}")))
    }

    /// Waits for the end of a task.
    pub async fn wait(&self, upid: &str) -> Result<TaskEnd, CallError> {
        let answer = self.ask("/lab/wait", json!({"upid": upid})).await?;
        serde_json::from_value(answer).map_err(|why| CallError::Refused(format!("piton lab: {why}")))
    }

    /// The node's own name.
    pub async fn node(&self) -> Result<String, CallError> {
        Ok(self.ask("/lab/status", Value::Null).await?["node"].as_str().unwrap_or("pve").to_owned())
    }
}

/// In the same process.
pub struct DirectCaller(pub Arc<Simulator>);

impl Caller for DirectCaller {
    fn ask<'a>(&'a self, path: &'a str, body: Value) -> Boxed<'a, Result<Value, CallError>> {
        Box::pin(async move {
            backdoor::answer(&self.0, path, body).await.map_err(|why| CallError::Refused(why.to_string()))
        })
    }
}

/// Over the unix socket, one connection a question.
pub struct SocketCaller {
    socket: PathBuf,
}

impl SocketCaller {
    /// A caller for the server that listens there.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    async fn exchange(&self, path: &str, body: &str) -> std::io::Result<String> {
        let mut stream = UnixStream::connect(&self.socket).await?;
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

impl Caller for SocketCaller {
    fn ask<'a>(&'a self, path: &'a str, body: Value) -> Boxed<'a, Result<Value, CallError>> {
        Box::pin(async move {
            let unreachable = |why: String| CallError::Unreachable { socket: self.socket.display().to_string(), why };
            let answer = self.exchange(path, &body.to_string()).await.map_err(|why| unreachable(why.to_string()))?;
            let (head, body) =
                answer.split_once("\r\n\r\n").ok_or_else(|| unreachable("the answer was cut short".into()))?;
            if head.starts_with("HTTP/1.1 200 ") {
                serde_json::from_str(body).map_err(|why| unreachable(why.to_string()))
            } else {
                Err(CallError::Refused(body.to_owned()))
            }
        })
    }
}
