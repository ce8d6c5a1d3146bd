//! Running one program in a guest by the API of its node, to its end.

use crate::pve::agent::{self, AgentEnd};
use crate::transport::Boxed;
use crate::transport::api::{ApiError, NodeApi};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a program of ours may take; they are all short.
const ENDS: Duration = Duration::from_secs(30);

/// Between two looks whether it has ended: at first, and at most.
const LOOKS: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(200));

/// Why there is no end of a program. What was sent is never in it: that may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// It was not begun.
    #[error("{why}")]
    Refused {
        /// What the node or the agent said.
        why: String,
    },
    /// It may have begun: the node gave no answer. So it is, too, when the guest has no such program.
    #[error("{why}; whether it began is unknown")]
    Unknown {
        /// How it was noticed.
        why: String,
    },
    /// It was begun, and its end was not seen.
    #[error("{why}; process {pid} of the guest was begun, its outcome is unknown")]
    Begun {
        /// Process in the guest.
        pid: u64,
        /// How it was noticed.
        why: String,
    },
}

/// Programs in one guest.
pub trait Agent: Send + Sync + 'static {
    /// Runs one to its end, with this text as its standard input.
    fn exec<'a>(&'a self, argv: &'a [String], input: &'a str) -> Boxed<'a, Result<AgentEnd, AgentError>>;

    /// Ends the line to the node.
    fn close(&self) -> Boxed<'_, ()>;
}

/// The agent of one VM through its node.
pub struct ApiAgent {
    api: NodeApi,
    vmid: u32,
}

impl ApiAgent {
    /// The agent of this VM. The line of `api` belongs to it and is closed with it.
    ///
    /// # Errors
    /// A text if the node can only be asked by `pvesh`: what is sent would stand in its arguments.
    pub fn new(api: NodeApi, vmid: u32) -> Result<Self, String> {
        if api.carrier() != "api" {
            let why = api.why_slow().unwrap_or("its API cannot be used");
            return Err(format!("{why}; by pvesh, all that is sent would stand in an argument list of the node"));
        }
        Ok(Self { api, vmid })
    }

    async fn run(&self, argv: &[String], input: &str) -> Result<AgentEnd, AgentError> {
        let answer = self.api.call(&agent::exec_call(self.vmid, argv, input), &|_| ()).await.map_err(not_known)?;
        let pid = agent::read_pid(&answer).map_err(|why| AgentError::Refused { why })?;
        let begun = Instant::now();
        let mut pause = LOOKS.0;
        loop {
            let looked = self.api.call(&agent::status_call(self.vmid, pid), &|_| ()).await;
            let why = match looked.map_err(not_known).map(|answer| agent::read_status(&answer)) {
                Ok(Ok(Some(end))) => return Ok(end),
                Ok(Ok(None)) => String::new(),
                Ok(Err(why)) if why.contains("Invalid parameter 'pid'") => {
                    // Its end was told once, in an answer that did not come here; or the agent was started anew.
                    return Err(AgentError::Begun { pid, why: "the agent has forgotten it".into() });
                }
                // Silent for a while, as during a backup: it may come back.
                Ok(Err(why)) => why,
                Err(error) => error.to_string(),
            };
            if begun.elapsed() >= ENDS {
                let why = if why.is_empty() { format!("it did not end within {} s", ENDS.as_secs()) } else { why };
                return Err(AgentError::Begun { pid, why });
            }
            sleep(pause).await;
            pause = (pause * 2).min(LOOKS.1);
        }
    }
}

impl Agent for ApiAgent {
    fn exec<'a>(&'a self, argv: &'a [String], input: &'a str) -> Boxed<'a, Result<AgentEnd, AgentError>> {
        Box::pin(self.run(argv, input))
    }

    fn close(&self) -> Boxed<'_, ()> {
        self.api.remote().close()
    }
}

/// The reason without the call.
fn not_known(error: ApiError) -> AgentError {
    match error {
        ApiError::NotSent { why, .. } | ApiError::Unusable { why, .. } => AgentError::Refused { why },
        ApiError::Unknown { why, .. } | ApiError::NoAnswer { why, .. } => AgentError::Unknown { why },
        ApiError::Line { error, .. } => AgentError::Refused { why: error.to_string() },
        ApiError::Refused(_) => AgentError::Refused { why: "the call cannot be said to the node".into() },
        ApiError::StillRunning { .. } => AgentError::Unknown { why: "it still runs".into() },
    }
}
