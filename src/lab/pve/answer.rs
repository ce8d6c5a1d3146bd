//! What a call answers: the data, or why not, in the words and codes of the real API server.

use crate::lab::pve::worker::Stream;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The good end of a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// The value under `data`, and what stands beside it (`total`, `changes`).
    Data(Value, Vec<(&'static str, Value)>),
    /// A body that is not JSON (a downloaded log).
    Text(String),
    /// The server closes the connection without an answer.
    Hangup,
}

impl Reply {
    /// `{"data": null}`: a synchronous call that succeeded.
    pub fn null() -> Self {
        Self::Data(Value::Null, Vec::new())
    }

    /// A value under `data`.
    pub fn data(value: impl Into<Value>) -> Self {
        Self::Data(value.into(), Vec::new())
    }
}

/// Why a call was refused. The texts go out byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 400 with a map of parameters and what is wrong with each.
    #[error("Parameter verification failed.")]
    Invalid {
        /// Parameter name to message; format errors end with a line break.
        errors: BTreeMap<String, String>,
        /// What a command line tool ends with: an errno that happened to be left over, 255 if none.
        errno: u8,
    },
    /// 500 with the message as the reason phrase.
    #[error("{message}")]
    Died {
        /// Without the line break at the end.
        message: String,
        /// What a command line tool ends with: an errno that happened to be left over, 255 if none.
        errno: u8,
    },
    /// 501: no such path, or not with this method.
    #[error("Method '{method} {path}' not implemented")]
    NotImplemented {
        /// HTTP method.
        method: String,
        /// Path below `/api2/json`.
        path: String,
    },
    /// 501 with an empty body: a method that the server does not know at all.
    #[error("method '{0}' not available")]
    NoSuchMethod(String),
    /// 401 with an empty body.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// 401 of the login call, which does have a body.
    #[error("authentication failure")]
    LoginFailed,
    /// 501: a real node would answer; this one has no recording to go by.
    #[error("piton lab: not simulated: {0}")]
    NotSimulated(String),
}

impl Refusal {
    /// One wrong parameter.
    pub fn parameter(name: &str, message: impl Into<String>) -> Self {
        Self::Invalid { errors: BTreeMap::from([(name.to_owned(), message.into())]), errno: 255 }
    }

    /// A message with the exit status 255.
    pub fn died(message: impl Into<String>) -> Self {
        Self::Died { message: message.into(), errno: 255 }
    }

    /// A message with the exit status that a leftover errno gives.
    pub fn died_with(errno: u8, message: impl Into<String>) -> Self {
        Self::Died { message: message.into(), errno }
    }

    /// The same refusal with another exit status for the command line.
    #[must_use]
    pub fn with_errno(mut self, code: u8) -> Self {
        if let Self::Invalid { errno, .. } | Self::Died { errno, .. } = &mut self {
            *errno = code;
        }
        self
    }

    /// HTTP status and reason phrase.
    pub fn status(&self) -> (u16, String) {
        match self {
            Self::Invalid { .. } => (400, self.to_string()),
            Self::Died { message, .. } => (500, message.replace('\n', " ")),
            Self::NotImplemented { .. } | Self::NoSuchMethod(_) | Self::NotSimulated(_) => (501, self.to_string()),
            Self::Unauthorized(_) | Self::LoginFailed => (401, self.to_string()),
        }
    }

    fn body(&self) -> Body {
        match self {
            Self::Invalid { errors, .. } => {
                Body::Json(json!({"data": null, "errors": errors, "message": format!("{self}\n")}))
            }
            Self::Died { .. } | Self::LoginFailed => Body::Json(json!({"data": null, "message": format!("{self}\n")})),
            // No line break here: recorded so.
            Self::NotImplemented { .. } | Self::NotSimulated(_) => {
                Body::Json(json!({"data": null, "message": self.to_string()}))
            }
            Self::NoSuchMethod(_) | Self::Unauthorized(_) => Body::Empty,
        }
    }

    /// What a command line tool ends with after this.
    pub fn exit(&self) -> u8 {
        match self {
            Self::Invalid { errno, .. } | Self::Died { errno, .. } => *errno,
            Self::NotSimulated(_) => 127,
            _ => 255,
        }
    }
}

/// The body of an HTTP answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// Nothing.
    Empty,
    /// JSON.
    Json(Value),
    /// Plain text.
    Text(String),
    /// No answer at all: the connection is closed.
    Hangup,
}

/// A whole HTTP answer, and what only the command faces see of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// HTTP status; 0 if the connection is closed without an answer.
    pub status: u16,
    /// HTTP reason phrase.
    pub reason: String,
    /// The body.
    pub body: Body,
    /// Lines that the real code prints before it answers: a daemon loses them, `qm` shows them.
    pub console: Vec<(Stream, String)>,
    /// The whole message of a refusal, which the reason phrase may not be able to carry.
    pub message: String,
    /// What a command line tool ends with if this is a refusal.
    pub errno: u8,
    /// The refused parameters, as in the body.
    pub errors: BTreeMap<String, String>,
}

impl Response {
    /// Dresses the end of a call for the wire.
    pub fn new(outcome: Result<Reply, Refusal>, console: Vec<(Stream, String)>) -> Self {
        let plain = Self {
            status: 200,
            reason: "OK".into(),
            body: Body::Empty,
            console,
            message: String::new(),
            errno: 0,
            errors: BTreeMap::new(),
        };
        match outcome {
            Ok(Reply::Data(value, beside)) => {
                let mut body = Map::from_iter([("data".to_owned(), value)]);
                body.extend(beside.into_iter().map(|(key, value)| (key.to_owned(), value)));
                Self { body: Body::Json(Value::Object(body)), ..plain }
            }
            Ok(Reply::Text(text)) => Self { body: Body::Text(text), ..plain },
            Ok(Reply::Hangup) => Self { status: 0, reason: String::new(), body: Body::Hangup, ..plain },
            Err(refusal) => {
                let (status, reason) = refusal.status();
                let errors =
                    if let Refusal::Invalid { errors, .. } = &refusal { errors.clone() } else { BTreeMap::new() };
                let (message, errno) = (refusal.to_string(), refusal.exit());
                // The real server dies on a wide character in its reason phrase and closes the connection.
                if !message.is_ascii() {
                    return Self { status: 0, reason: String::new(), body: Body::Hangup, message, errno, ..plain };
                }
                Self { status, reason, body: refusal.body(), message, errno, errors, ..plain }
            }
        }
    }

    /// The value under `data`, null if there is none.
    pub fn data(&self) -> &Value {
        const NULL: &Value = &Value::Null;
        match &self.body {
            Body::Json(Value::Object(map)) => map.get("data").unwrap_or(NULL),
            _ => NULL,
        }
    }
}
