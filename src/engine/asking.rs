//! Sends a module's questions: the commands of a place in one batch, the API calls of a node in one request.

use super::Engine;
use super::lines::{is_gone, line_broke};
use super::patience::Patience;
use super::trouble::Trouble;
use crate::cmd::{Cmd, Ended, Place};
use crate::modules::{Answer, Ask};
use crate::transport::{Batch, HERE, TransportError};
use std::time::Duration;

/// Who asks: the step's host, and whom its commands run as.
#[derive(Debug, Clone)]
pub struct Asker {
    /// Inventory name of the step's host.
    pub host: String,
    /// User of the commands on the target.
    pub user: Option<String>,
    /// Waits for a line that is lost; false for those who look again by themselves.
    pub patient: bool,
}

impl Asker {
    /// The command as it is sent: `become` holds on the target only.
    pub fn dress(&self, mut cmd: Cmd) -> Cmd {
        if cmd.at == Place::Target && cmd.user.is_none() {
            cmd.user.clone_from(&self.user);
        }
        cmd
    }
}

impl Engine {
    /// The host that a place means for a step on `host`.
    ///
    /// # Errors
    /// A host without a node.
    pub(super) fn place(&self, host: &str, place: Place) -> Result<String, Trouble> {
        match place {
            Place::Target => Ok(host.to_string()),
            Place::Here => Ok(HERE.to_string()),
            Place::Node => self.node_of(host),
        }
    }

    /// Inventory name of the host's node.
    ///
    /// # Errors
    /// A host that is neither node nor guest.
    pub(super) fn node_of(&self, host: &str) -> Result<String, Trouble> {
        self.program.inventory.node_of(host).map(str::to_string).ok_or_else(|| {
            Trouble::Failed(format!("{host} is neither a node nor a guest of one: it has no Proxmox API"))
        })
    }

    /// Asks everything and gives the answers in the same order. A broken line is opened anew: questions change
    /// nothing, so they may be asked twice.
    ///
    /// # Errors
    /// [`Trouble`]; a command that fails is an answer, not an error.
    pub(super) async fn ask(&self, asker: &Asker, asks: &[Ask]) -> Result<Vec<Answer>, Trouble> {
        let mut answers: Vec<Option<Answer>> = vec![None; asks.len()];
        for place in [Place::Target, Place::Node, Place::Here] {
            let (numbers, cmds): (Vec<usize>, Vec<Cmd>) = asks
                .iter()
                .enumerate()
                .filter_map(|(i, ask)| match ask {
                    Ask::Cmd(cmd) if cmd.at == place => Some((i, asker.dress(cmd.clone()))),
                    _ => None,
                })
                .unzip();
            if cmds.is_empty() {
                continue;
            }
            let host = self.place(&asker.host, place)?;
            for (number, output) in numbers.into_iter().zip(self.look(asker, &host, cmds).await?) {
                answers[number] = Some(Answer::Cmd(output));
            }
        }
        let (numbers, calls): (Vec<usize>, Vec<_>) = asks
            .iter()
            .enumerate()
            .filter_map(|(i, ask)| match ask {
                Ask::Api(call) => Some((i, call.clone())),
                Ask::Cmd(_) => None,
            })
            .unzip();
        if !calls.is_empty() {
            let node = self.node_of(&asker.host)?;
            for (number, answer) in numbers.into_iter().zip(self.get(asker, &node, &calls).await?) {
                answers[number] = Some(Answer::Api(answer));
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    pub(super) async fn look(
        &self,
        asker: &Asker,
        host: &str,
        cmds: Vec<Cmd>,
    ) -> Result<Vec<crate::cmd::Output>, Trouble> {
        let mut patience = self.patience_of(asker);
        loop {
            let remote =
                if asker.patient { self.lines.remote(host).await? } else { self.lines.remote_at_once(host).await? };
            let results = remote.run(Batch::all(cmds.clone())).await;
            let outputs: Result<Vec<_>, TransportError> = results.into_iter().collect();
            match outputs {
                Ok(outputs) if outputs.iter().any(|o| o.ended == Ended::Cancelled) => return Err(Trouble::Interrupted),
                Ok(outputs) => {
                    if let Some(late) = outputs.iter().position(|o| o.ended == Ended::TimedOut) {
                        return Err(Trouble::Failed(format!("no answer in time from: {}", cmds[late].line())));
                    }
                    return Ok(outputs);
                }
                Err(error) if is_gone(&error) => {
                    let why = error.to_string();
                    self.lines.lost(host, &remote, &why).await;
                    // A line that stands and then cannot be used will not be better for waiting.
                    let useless = matches!(error, TransportError::Unreachable { .. }) && !patience.is_fresh();
                    if useless || !self.lines.again(host, &mut patience, &why).await? {
                        return Err(Trouble::looking(&error));
                    }
                }
                Err(error) => return Err(Trouble::looking(&error)),
            }
        }
    }

    async fn get(
        &self,
        asker: &Asker,
        node: &str,
        calls: &[crate::cmd::ApiCall],
    ) -> Result<Vec<crate::cmd::ApiAnswer>, Trouble> {
        let mut patience = self.patience_of(asker);
        loop {
            let api = self.lines.node(node).await?;
            let answers: Result<Vec<_>, _> = api.gets(calls).await.into_iter().collect();
            match answers {
                Ok(answers) => return Ok(answers),
                Err(error) if line_broke(&error) => {
                    let why = error.to_string();
                    self.lines.lost(node, api.remote(), &why).await;
                    if !self.lines.again(node, &mut patience, &why).await? {
                        return Err(Trouble::Unreachable(why));
                    }
                }
                Err(error) => return Err(Trouble::Failed(error.to_string())),
            }
        }
    }

    fn patience_of(&self, asker: &Asker) -> Patience {
        if asker.patient { self.lines.after_a_loss() } else { Patience::after_a_loss(Duration::ZERO) }
    }
}
