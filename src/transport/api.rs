//! API calls of a node over the line to it: picks the carrier, keeps the ticket, follows tasks.

#[cfg(test)]
mod agent_tests;
mod error;
mod follow;
#[cfg(test)]
mod tests;

pub use error::ApiError;

use super::{Batch, Remote, TransportError};
use crate::cmd::{ApiAnswer, ApiCall, Captured, Cmd, Method, Output};
use crate::pve::carrier::{Carrier, NodeProbe};
use crate::pve::curl::Curl;
use crate::pve::ticket::{self, Auth};
use crate::pve::{PveError, Upid, encode};
use crate::secret::{self, Vault};
use secrecy::SecretString;
use serde_json::Value;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Where the lines of a task's log go while it is followed.
pub type OnLog<'a> = &'a (dyn Fn(&str) + Send + Sync);

/// Most of a batch's output that is read back from its spill file: 64 MiB.
const MOST: u64 = 64 << 20;

/// The Proxmox API of one node.
pub struct NodeApi {
    remote: Arc<dyn Remote>,
    vault: Arc<Vault>,
    node: String,
    user: Option<String>,
    carrier: Carrier,
    why: Option<String>,
    made: Mutex<Instant>,
    nonce: String,
}

/// API calls as commands of a batch, so that others can go out with them.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// Commands for the node, in order.
    pub cmds: Vec<Cmd>,
    calls: Vec<ApiCall>,
}

/// What a batch of GETs and other commands gave: one of each, in order.
#[derive(Debug)]
pub struct Looked {
    /// Answers to the GETs.
    pub answers: Vec<Result<ApiAnswer, ApiError>>,
    /// Outputs of the commands.
    pub outputs: Vec<Result<Output, TransportError>>,
}

impl NodeApi {
    /// Opens the API of the node behind a line: one round trip that finds out what is there and makes a ticket.
    ///
    /// `node` is the node's name in the API ([`crate::load::inventory::HostKind::Node`]); `user` the user to run as
    /// (`root` where the login user becomes root), `None` for the login user.
    ///
    /// # Errors
    /// [`ApiError::Unusable`] if neither carrier works or the node calls itself something else,
    /// [`ApiError::NotSent`] and [`ApiError::NoAnswer`] from the line.
    pub async fn open(
        remote: Arc<dyn Remote>,
        vault: Arc<Vault>,
        node: &str,
        user: Option<String>,
    ) -> Result<Self, ApiError> {
        let nonce = format!("piton-{:016x}", std::hash::RandomState::new().build_hasher().finish());
        let mut api = Self {
            carrier: Carrier::Pvesh,
            remote,
            vault,
            node: node.to_string(),
            user,
            why: None,
            made: Mutex::new(Instant::now()),
            nonce,
        };
        let outputs = api.run(vec![NodeProbe::cmd(), ticket::ticket_cmd()]).await;
        let mut outputs = outputs.into_iter();
        let mut next = || {
            let output = outputs.next().unwrap_or_else(|| Err(TransportError::Refused { why: "no output".into() }));
            output.map_err(|e| ApiError::of_line(&e, format!("a look at {node}"), false))
        };
        let probe = NodeProbe::read(&next()?);
        let ticket = next()?;
        match probe.api_obstacle().map_or_else(|| api.keep(&ticket), |why| Err(why.to_string())) {
            Ok(name) if name != node => {
                let why =
                    format!("the inventory calls the node `{node}`, it calls itself `{name}` (set `node: {name}`)");
                return Err(ApiError::Unusable { node: node.to_string(), why });
            }
            Ok(_) => api.carrier = Carrier::Api(Curl::new(Auth::of(api.remote.name()))),
            Err(why) if probe.pvesh => api.why = Some(why),
            Err(why) => {
                let why = format!("{why}, and there is no pvesh");
                return Err(ApiError::Unusable { node: node.to_string(), why });
            }
        }
        Ok(api)
    }

    /// Name of the node in the API.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The line that it goes over.
    pub fn remote(&self) -> &Arc<dyn Remote> {
        &self.remote
    }

    /// `api` or `pvesh`.
    pub fn carrier(&self) -> &'static str {
        self.carrier.name()
    }

    /// Why it is not the fast carrier, `None` if it is.
    pub fn why_slow(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// Makes one call. With [`ApiCall::follow`] the task that it starts is followed to its end, and its log goes to
    /// `on_log` line by line; [`ApiAnswer::ok`] then says how the task ended.
    ///
    /// # Errors
    /// [`ApiError`]; a status of 400 or 500 is an answer.
    pub async fn call(&self, call: &ApiCall, on_log: OnLog<'_>) -> Result<ApiAnswer, ApiError> {
        let answer = self.several(std::slice::from_ref(call)).await.pop();
        let nothing = || ApiError::NotSent { what: call.line(), why: "no answer slot".into() };
        let mut answer = answer.ok_or_else(nothing)??;
        if let Some(at_most) = call.follow
            && answer.status < 300
            && let Some(upid) = Upid::of(answer.data())
        {
            answer.task = Some(self.follow(&upid, at_most, on_log).await?);
        }
        Ok(answer)
    }

    /// Makes several GETs, by the *api* carrier in one process and one round trip. One result each, in order.
    pub async fn gets(&self, calls: &[ApiCall]) -> Vec<Result<ApiAnswer, ApiError>> {
        self.several(calls).await
    }

    /// The calls as commands, to go out in one batch with others: give the outputs back to [`read`](Self::read).
    ///
    /// # Errors
    /// [`ApiError::Refused`] if a call cannot be said, [`ApiError::NotSent`] if a secret has no value or a new ticket
    /// was due and could not be made.
    pub async fn prepare(&self, calls: &[ApiCall]) -> Result<Prepared, ApiError> {
        self.refresh_if_due().await?;
        self.encode_secrets(calls)?;
        let cmds = self.carrier.cmds(&self.node, calls, &self.nonce).map_err(ApiError::Refused)?;
        Ok(Prepared { cmds: self.as_user(cmds), calls: calls.to_vec() })
    }

    /// Answers to what was prepared, from the outputs of its commands.
    pub async fn read(
        &self,
        prepared: &Prepared,
        outputs: Vec<Result<Output, TransportError>>,
    ) -> Vec<Result<ApiAnswer, ApiError>> {
        let changes = |call: &ApiCall| call.method != Method::Get;
        let mut heard = Vec::new();
        for output in outputs {
            match output {
                Ok(output) => heard.push(Ok(whole(output).await)),
                Err(e) => heard.push(Err(e)),
            }
        }
        let calls = &prepared.calls;
        let per_call = self.carrier.outputs_of(2) == 2;
        let groups: Vec<&[ApiCall]> = if per_call { calls.chunks(1).collect() } else { vec![calls.as_slice()] };
        let mut out = Vec::new();
        for (i, group) in groups.into_iter().enumerate() {
            match heard.get(i) {
                Some(Ok(output)) => {
                    let answers = self.carrier.read(group, std::slice::from_ref(output), &self.nonce);
                    for (call, answer) in group.iter().zip(answers) {
                        out.push(answer.map(|a| self.concealed(a)).map_err(|e| ApiError::of_pve(e, changes(call))));
                    }
                }
                Some(Err(e)) => out.extend(group.iter().map(|c| Err(ApiError::of_line(e, c.line(), changes(c))))),
                None => out.extend(group.iter().map(|c| {
                    Err(ApiError::of_pve(PveError::NoAnswer { call: c.line(), why: "no output".into() }, changes(c)))
                })),
            }
        }
        out
    }

    /// Makes the calls; once more with a new ticket if the node does not take the old one. A 401 is given before
    /// anything is done, so that is safe for any method.
    async fn several(&self, calls: &[ApiCall]) -> Vec<Result<ApiAnswer, ApiError>> {
        let answers = self.once(calls).await;
        if self.is_refused(&answers) && self.refresh().await.is_ok() {
            return self.once(calls).await;
        }
        answers
    }

    /// True if the node does not take the ticket.
    fn is_refused(&self, answers: &[Result<ApiAnswer, ApiError>]) -> bool {
        matches!(self.carrier, Carrier::Api(_)) && answers.iter().any(|a| a.as_ref().is_ok_and(|a| a.status == 401))
    }

    async fn once(&self, calls: &[ApiCall]) -> Vec<Result<ApiAnswer, ApiError>> {
        match self.prepare(calls).await {
            Ok(prepared) => {
                let batch = Batch::all(prepared.cmds.clone());
                let outputs = if batch.cmds.is_empty() { Vec::new() } else { self.remote.run(batch).await };
                self.read(&prepared, outputs).await
            }
            Err(e) => calls.iter().map(|_| Err(e.clone())).collect(),
        }
    }

    /// GETs and other commands on the node in one batch: one round trip for both.
    pub async fn gets_and_run(&self, calls: &[ApiCall], cmds: Vec<Cmd>) -> Looked {
        let prepared = match self.prepare(calls).await {
            Ok(prepared) => prepared,
            Err(e) => {
                let outputs = self.run(cmds).await;
                return Looked { answers: calls.iter().map(|_| Err(e.clone())).collect(), outputs };
            }
        };
        let mut batch = prepared.cmds.clone();
        let at = batch.len();
        batch.extend(self.as_user(cmds));
        let mut outputs = self.remote.run(Batch::all(batch)).await;
        let others = outputs.split_off(at.min(outputs.len()));
        let mut answers = self.read(&prepared, outputs).await;
        if self.is_refused(&answers) && self.refresh().await.is_ok() {
            answers = self.once(calls).await;
        }
        Looked { answers, outputs: others }
    }

    /// A command of another kind on the node, as the same user.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn run_one(&self, cmd: Cmd) -> Result<Output, TransportError> {
        let none = || TransportError::Refused { why: "no output".into() };
        self.run(vec![cmd]).await.pop().ok_or_else(none)?
    }

    async fn run(&self, cmds: Vec<Cmd>) -> Vec<Result<Output, TransportError>> {
        self.remote.run(Batch::all(self.as_user(cmds))).await
    }

    fn as_user(&self, mut cmds: Vec<Cmd>) -> Vec<Cmd> {
        for cmd in &mut cmds {
            cmd.user.clone_from(&self.user);
        }
        cmds
    }

    async fn refresh_if_due(&self) -> Result<(), ApiError> {
        let due = self.made.lock().await.elapsed() >= ticket::REFRESH_AFTER;
        if due && matches!(self.carrier, Carrier::Api(_)) { self.refresh().await } else { Ok(()) }
    }

    async fn refresh(&self) -> Result<(), ApiError> {
        let mut made = self.made.lock().await;
        let what = || "a new ticket".to_string();
        let output = self.run(vec![ticket::ticket_cmd()]).await.pop();
        let output = output.ok_or_else(|| ApiError::NotSent { what: what(), why: "no output".into() })?;
        let output = output.map_err(|e| ApiError::of_line(&e, what(), false))?;
        self.keep(&output).map_err(|why| ApiError::NotSent { what: what(), why })?;
        *made = Instant::now();
        Ok(())
    }

    /// Puts a new ticket into the vault; the node's name for itself.
    fn keep(&self, output: &Output) -> Result<String, String> {
        let got = ticket::read_ticket(output).map_err(|e| e.to_string())?;
        // By inventory name: two nodes that stand alone may both call themselves `pve`.
        let host = self.remote.name();
        for (name, value) in [(ticket::ticket_name(host), got.ticket), (ticket::csrf_name(host), got.csrf)] {
            if let Some(value) = value {
                self.vault.insert(&name, value).map_err(|e| e.to_string())?;
            }
        }
        Ok(got.node)
    }

    /// Puts the percent-encoded values of the secrets that these calls use into the vault, beside the values.
    fn encode_secrets(&self, calls: &[ApiCall]) -> Result<(), ApiError> {
        for call in calls {
            for name in call.params.iter().flat_map(|(_, value)| encode::mark_names(value)) {
                let no = |e: secret::SecretError| ApiError::NotSent { what: call.line(), why: e.to_string() };
                let value = self.vault.reveal(&secret::mark(&name)).map_err(no)?;
                let encoded = SecretString::from(encode::form(&value));
                self.vault.insert(&encode::form_name(&name), encoded).map_err(no)?;
            }
        }
        Ok(())
    }

    /// JSON escapes can hide a value from the line's own concealing, so texts are looked at once more.
    fn concealed(&self, mut answer: ApiAnswer) -> ApiAnswer {
        answer.reason = self.vault.conceal_text(&answer.reason);
        conceal(&self.vault, &mut answer.body);
        answer
    }
}

fn conceal(vault: &Vault, value: &mut Value) {
    match value {
        Value::String(text) => *text = vault.conceal_text(text),
        Value::Array(items) => items.iter_mut().for_each(|v| conceal(vault, v)),
        Value::Object(map) => map.values_mut().for_each(|v| conceal(vault, v)),
        _ => {}
    }
}

/// The output with what was spilled to disk read back, so that a long list is not cut off.
async fn whole(output: Output) -> Output {
    let Some(spill) = output.stdout.spill.as_ref().filter(|_| output.stdout.is_cut() && output.stdout.total <= MOST)
    else {
        return output;
    };
    match tokio::fs::read(spill).await {
        Ok(bytes) => Output { stdout: Captured { total: bytes.len() as u64, bytes, spill: None }, ..output },
        Err(_) => output,
    }
}
