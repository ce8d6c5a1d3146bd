//! The two ways in which an API call reaches the node, and how one is chosen.
//!
//! *api*: `curl` to pvedaemon on the node's own 127.0.0.1:85, some 15 ms a call, and its tasks outlive the
//! connection. *pvesh*: the same paths through Proxmox' command, about 1.3 s a call; its tasks run in the
//! foreground of the command, which is detached so that it outlives the connection too.

use super::curl::{self, Curl};
use super::error::PveError;
use super::pvesh;
use crate::cmd::{ApiAnswer, ApiCall, Cmd, Output};

/// Says API calls as commands, and reads their outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carrier {
    /// `curl` with a ticket; for root.
    Api(Curl),
    /// `pvesh`, where `curl`, pvedaemon or the ticket is missing.
    Pvesh,
}

impl Carrier {
    /// `api` or `pvesh`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Api(_) => "api",
            Self::Pvesh => "pvesh",
        }
    }

    /// Commands that make these calls, on the node. More than one call only if all are GETs. `node` is the node's
    /// own name for `{node}` in paths; `nonce` a word that no answer holds, the same as for [`read`](Self::read).
    ///
    /// # Errors
    /// [`PveError::Refused`] if a call cannot be said by this carrier.
    pub fn cmds(&self, node: &str, calls: &[ApiCall], nonce: &str) -> Result<Vec<Cmd>, PveError> {
        if calls.is_empty() {
            return Ok(Vec::new());
        }
        match self {
            Self::Api(curl) => Ok(vec![curl::many_cmd(curl, node, calls, nonce)?]),
            Self::Pvesh => calls.iter().map(|call| pvesh::cmd(node, call)).collect(),
        }
    }

    /// How many outputs [`cmds`](Self::cmds) gives for this many calls.
    pub fn outputs_of(&self, calls: usize) -> usize {
        match self {
            Self::Api(_) => calls.min(1),
            Self::Pvesh => calls,
        }
    }

    /// Answers from the outputs of [`cmds`](Self::cmds): one for each call, in order.
    pub fn read(&self, calls: &[ApiCall], outputs: &[Output], nonce: &str) -> Vec<Result<ApiAnswer, PveError>> {
        match (self, outputs.first()) {
            (Self::Api(_), Some(output)) => curl::read_many(calls, output, nonce),
            (Self::Pvesh, Some(_)) if outputs.len() == calls.len() => {
                calls.iter().zip(outputs).map(|(call, output)| pvesh::read(call, output)).collect()
            }
            _ => calls
                .iter()
                .map(|call| Err(PveError::NoAnswer { call: call.line(), why: "no output".into() }))
                .collect(),
        }
    }
}

/// What a node has for carrying API calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeProbe {
    /// User id that commands run as.
    pub uid: Option<u32>,
    /// `curl` is there.
    pub curl: bool,
    /// `perl` is there.
    pub perl: bool,
    /// `pvesh` is there.
    pub pvesh: bool,
    /// Something answers HTTP on 127.0.0.1:85.
    pub pvedaemon: bool,
}

/// Asks without a ticket: `/access/domains` is answered to anyone (pve-manager `PVE/HTTPServer.pm`, `auth_handler`),
/// where anything else would take the three seconds of a refusal.
const PROBE: &str = r#"echo 'piton-probe 1'
echo "uid $(id -u)"
for p in curl perl pvesh; do if command -v "$p" >/dev/null 2>&1; then echo "has $p"; fi; done
if curl -q -s -o /dev/null -m 5 --noproxy '*' http://127.0.0.1:85/api2/json/access/domains 2>/dev/null
then echo 'has pvedaemon'; fi
:"#;

impl NodeProbe {
    /// The command that finds out.
    pub fn cmd() -> Cmd {
        Cmd::shell(PROBE)
    }

    /// Reads its output; whatever it does not say is not there.
    pub fn read(output: &Output) -> Self {
        let text = output.stdout.text();
        let has = |what: &str| text.lines().any(|l| l.strip_prefix("has ") == Some(what));
        Self {
            uid: text.lines().find_map(|l| l.strip_prefix("uid ")?.trim().parse().ok()),
            curl: has("curl"),
            perl: has("perl"),
            pvesh: has("pvesh"),
            pvedaemon: has("pvedaemon"),
        }
    }

    /// Why the *api* carrier cannot be used, `None` if it can.
    pub fn api_obstacle(&self) -> Option<&'static str> {
        match self {
            Self { uid, .. } if *uid != Some(0) => Some("not root on the node"),
            Self { curl: false, .. } => Some("no curl on the node"),
            Self { perl: false, .. } => Some("no perl on the node"),
            Self { pvedaemon: false, .. } => Some("nothing answers on 127.0.0.1:85 of the node"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_names_what_is_missing() {
        let all = "piton-probe 1\nuid 0\nhas curl\nhas perl\nhas pvesh\nhas pvedaemon\n";
        assert_eq!(NodeProbe::read(&Output::of(0, all, "")).api_obstacle(), None);
        for (without, why) in [
            ("has curl\n", "no curl on the node"),
            ("has perl\n", "no perl on the node"),
            ("has pvedaemon\n", "nothing answers on 127.0.0.1:85 of the node"),
            ("uid 0\n", "not root on the node"),
        ] {
            let probe = NodeProbe::read(&Output::of(0, &all.replace(without, ""), ""));
            assert_eq!(probe.api_obstacle(), Some(why));
            assert!(probe.pvesh);
        }
    }
}
