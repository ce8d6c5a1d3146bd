//! `pve_vm`: a VM runs or not, and keys of its configuration have these values.

use super::vm_option::{self, is_disk, same, to_send};
use super::{
    Action, Answer, Ask, Change, Cx, Diff, Example, Length, Module, ModuleError, Nature, Problem, Undo, ValueChange,
    guest,
};
use crate::cmd::{ApiCall, Method};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::Duration;

/// The step kind.
#[derive(Debug)]
pub struct PveVm;

/// What the VM shall do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It runs; a paused one goes on.
    Started,
    /// It does not run: asked to shut down, and switched off after `force_after`.
    Stopped,
    /// Its reset button is pressed, each time.
    Reset,
}

/// Parameters of `pve_vm`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// On a node: VMID of the guest.
    vmid: Option<u32>,
    /// On a node: inventory name of the guest.
    guest: Option<String>,
    /// started, stopped or reset.
    state: Option<State>,
    /// For `state: stopped`: how long it may take to shut down before it is switched off.
    #[serde(default = "one_minute")]
    force_after: Length,
    /// Keys of the configuration as in `qm config`, with their values.
    #[serde(default)]
    config: Map<String, Value>,
    /// Keys of the configuration that must not be set.
    #[serde(default)]
    delete: Vec<String>,
}

fn one_minute() -> Length {
    Length::secs(60)
}

/// What the API says of the VM.
#[derive(Debug, Default)]
pub struct Seen {
    vmid: u32,
    /// `running` or `stopped`.
    status: String,
    /// What QEMU says: `running`, `paused`, ...
    qmp: String,
    lock: Option<String>,
    /// With what is pending already in it.
    config: Map<String, Value>,
    /// Keys that wait for a restart, with the value that the running VM has.
    pending: Vec<(String, Option<String>)>,
}

const START: Duration = Duration::from_secs(300);

impl Params {
    fn vmid(&self, cx: &Cx) -> Result<u32, ModuleError> {
        guest::vmid(cx, self.vmid, self.guest.as_deref())
    }

    fn configures(&self) -> bool {
        !self.config.is_empty() || !self.delete.is_empty()
    }
}

impl Seen {
    fn value(&self, key: &str) -> Option<String> {
        self.config.get(key).and_then(|v| vm_option::text(key, v))
    }

    fn runs(&self) -> bool {
        self.status == "running" && matches!(self.qmp.as_str(), "running" | "")
    }

    fn word(&self) -> &str {
        if self.status == "running" && !self.qmp.is_empty() { &self.qmp } else { &self.status }
    }

    fn act(&self, verb: &str) -> ApiCall {
        ApiCall::of(Method::Post, guest::path(self.vmid, &format!("status/{verb}"))).follow(START)
    }

    fn shutdown(&self, force_after: Duration) -> ApiCall {
        let seconds = force_after.as_secs().max(1);
        ApiCall::of(Method::Post, guest::path(self.vmid, "status/shutdown"))
            .param("timeout", seconds.to_string())
            .param("forceStop", "1")
            .follow(Duration::from_secs(seconds + 120))
    }
}

impl Module for PveVm {
    type Params = Params;
    type State = Seen;

    const NAME: &'static str = "pve_vm";
    const SUMMARY: &'static str = "a VM: running or not, keys of its configuration";
    const EXAMPLES: &'static [Example] = &[
        Example { name: "it runs", yaml: "pve_vm: { state: started, vmid: 102 }\n" },
        Example {
            name: "memory, start at boot and tags",
            yaml: "pve_vm: { vmid: 102, config: { memory: 4096, onboot: true, tags: [media, intranet] } }\n",
        },
        Example {
            name: "its network card moves to another bridge and keeps its MAC address",
            yaml: "pve_vm: { vmid: 101, config: { net0: \"virtio,bridge=vmbr2,firewall=1\" } }\n",
        },
    ];

    fn nature(params: &Params) -> Nature {
        if params.state == Some(State::Reset) { Nature::AlwaysRuns } else { Nature::Converges }
    }

    fn validate(params: &Params) -> Vec<Problem> {
        let mut out = guest::wrong(params.vmid, params.guest.as_deref());
        if params.state.is_none() && !params.configures() {
            let message = "`state`, `config` or `delete` is needed";
            out.push(Problem { at: Vec::new(), message: message.to_string(), hint: None });
        }
        let keys = params.config.keys().map(|k| ("config", k)).chain(params.delete.iter().map(|k| ("delete", k)));
        for (field, key) in keys {
            let at = |message: String| Problem { at: vec![field.to_string(), key.clone()], message, hint: None };
            if is_disk(key) {
                let hint = "disks are made, moved and removed with `qm` in a `command` step";
                out.push(at(format!("`{key}` is a disk: a slip here would lose data")).hint(hint));
            } else if key == "cipassword" {
                out.push(at("`cipassword` cannot be read back, so nobody can tell whether it is set".into()));
            } else if matches!(key.as_str(), "digest" | "delete" | "force" | "skiplock" | "lock" | "revert") {
                out.push(at(format!("`{key}` is not a key of the configuration")));
            } else if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
                out.push(at(format!("`{key}` cannot be a key of the configuration")));
            }
        }
        for (key, value) in &params.config {
            let at = vec!["config".to_string(), key.clone()];
            if vm_option::text(key, value).is_none_or(|t| t.is_empty()) {
                let message = format!("`{key}` needs a text, a number, a boolean or a list");
                out.push(Problem { at, message, hint: Some("to unset a key name it in `delete`".into()) });
            }
        }
        if let Some(key) = params.delete.iter().find(|k| params.config.contains_key(*k)) {
            out.push(Problem::at("delete", format!("`{key}` is set and deleted at the same time")));
        }
        out
    }

    fn probe(params: &Params, cx: &Cx) -> Vec<Ask> {
        let Ok(vmid) = params.vmid(cx) else { return Vec::new() };
        let get = |rest: &str| Ask::Api(ApiCall::get(guest::path(vmid, rest)));
        let mut asks = vec![get("status/current")];
        if params.configures() {
            asks.extend([get("config"), get("pending")]);
        }
        asks
    }

    fn read(params: &Params, cx: &Cx, answers: &[Answer]) -> Result<Seen, ModuleError> {
        let vmid = params.vmid(cx)?;
        let status = guest::data(vmid, answers.first())?;
        let word = |key: &str| status[key].as_str().unwrap_or_default().to_string();
        let mut seen = Seen { vmid, status: word("status"), qmp: word("qmpstatus"), ..Seen::default() };
        seen.lock = Some(word("lock")).filter(|l| !l.is_empty());
        if !matches!(seen.status.as_str(), "running" | "stopped") {
            return Err(ModuleError::unreadable("the status of a VM was expected", &status.to_string()));
        }
        if !params.configures() {
            return Ok(seen);
        }
        let config = guest::data(vmid, answers.get(1))?;
        let bad = |value: &Value| ModuleError::unreadable("the configuration of a VM was expected", &value.to_string());
        let keys = config.as_object().filter(|c| c.contains_key("digest")).ok_or_else(|| bad(config))?;
        seen.config.clone_from(keys);
        let pending = guest::data(vmid, answers.get(2))?;
        for entry in pending.as_array().ok_or_else(|| bad(pending))? {
            let key = entry["key"].as_str().ok_or_else(|| bad(pending))?;
            if entry.get("pending").is_some() || entry.get("delete").is_some() {
                let running = entry.get("value").and_then(|v| vm_option::text(key, v));
                seen.pending.push((key.to_string(), running));
            }
        }
        Ok(seen)
    }

    fn plan(params: &Params, _cx: &Cx, seen: &Seen) -> Result<Vec<Change>, ModuleError> {
        let config = configuring(params, seen);
        let running = running(params, seen)?;
        let resumes = seen.lock.as_deref() == Some("suspended") && config.is_none();
        if let Some(lock) = &seen.lock
            && (config.is_some() || running.is_some())
            && !(resumes && params.state == Some(State::Started))
        {
            let hint = format!("wait for its task to end; if none runs, `qm unlock {}` takes the lock away", seen.vmid);
            return Err(ModuleError::refused(format!("VM {} is locked ({lock})", seen.vmid)).hint(hint));
        }
        // What is changed on a stopped VM is not pending: stop first, start last.
        let mut out = Vec::from_iter(config);
        match params.state {
            Some(State::Stopped) => out.splice(0..0, running).for_each(drop),
            _ => out.extend(running),
        }
        Ok(out)
    }

    fn notes(params: &Params, seen: &Seen) -> Vec<String> {
        let mine = |key: &str| params.config.contains_key(key) || params.delete.iter().any(|k| k == key);
        let note = |(key, running): &(String, Option<String>)| {
            let now = running.as_ref().map_or("not set".to_string(), |v| format!("`{v}`"));
            let then = seen.value(key).map_or("not set".to_string(), |v| format!("`{v}`"));
            format!("{key} of VM {} is still {now}; it is {then} once the VM was stopped and started", seen.vmid)
        };
        seen.pending.iter().filter(|(key, _)| mine(key)).map(note).collect()
    }

    fn facts(_params: &Params, seen: &Seen) -> Map<String, Value> {
        let mut out = Map::new();
        out.insert("vmid".into(), seen.vmid.into());
        out.insert("status".into(), seen.word().into());
        if !seen.config.is_empty() {
            out.insert("config".into(), Value::Object(seen.config.clone()));
            let keys: Vec<_> = seen.pending.iter().map(|(k, _)| k.clone()).collect();
            out.insert("needs_restart".into(), (!keys.is_empty()).into());
            out.insert("pending".into(), keys.into());
        }
        out
    }
}

fn running(params: &Params, seen: &Seen) -> Result<Option<Change>, ModuleError> {
    let vm = format!("VM {}", seen.vmid);
    let values = |after: &str| Diff::Values(vec![ValueChange::new("status", Some(seen.word()), Some(after))]);
    let back = |call: ApiCall| Undo::Actions(vec![Action::Api(call)]);
    let stop = seen.shutdown(params.force_after.0);
    Ok(Some(match params.state {
        None => return Ok(None),
        Some(State::Started) if seen.runs() => return Ok(None),
        Some(State::Started) if seen.status == "running" => {
            let undo = back(seen.act("suspend"));
            Change::new(format!("let {vm} go on"), vec![Action::Api(seen.act("resume"))], undo).diff(values("running"))
        }
        Some(State::Started) => {
            Change::new(format!("start {vm}"), vec![Action::Api(seen.act("start"))], back(stop)).diff(values("running"))
        }
        Some(State::Stopped) if seen.status == "stopped" => return Ok(None),
        Some(State::Stopped) => {
            let what = format!("shut {vm} down, and switch it off after {}", params.force_after);
            Change::new(what, vec![Action::Api(stop)], back(seen.act("start"))).diff(values("stopped"))
        }
        Some(State::Reset) if seen.status == "running" => {
            Change::new(format!("reset {vm}"), vec![Action::Api(seen.act("reset"))], Undo::Nothing)
        }
        Some(State::Reset) => {
            return Err(
                ModuleError::refused(format!("{vm} is stopped: it cannot be reset")).hint("write `state: started`")
            );
        }
    }))
}

fn configuring(params: &Params, seen: &Seen) -> Option<Change> {
    let (mut values, mut set, mut unset) = (Vec::new(), Vec::new(), Vec::new());
    let (mut set_back, mut unset_back) = (Vec::new(), Vec::new());
    for (key, value) in &params.config {
        let old = seen.value(key);
        let Some(wanted) = vm_option::text(key, value) else { continue };
        let new = to_send(key, &wanted, old.as_deref());
        if old.as_ref().is_some_and(|old| same(key, &new, old)) {
            continue;
        }
        values.push(ValueChange::new(key, old.as_deref(), Some(&new)));
        set.push((key.clone(), new));
        match old {
            Some(old) => set_back.push((key.clone(), old)),
            None => unset_back.push(key.clone()),
        }
    }
    for key in &params.delete {
        let Some(old) = seen.value(key) else { continue };
        values.push(ValueChange::new(key, Some(&old), None));
        unset.push(key.clone());
        set_back.push((key.clone(), old));
    }
    if values.is_empty() {
        return None;
    }
    let put = |set: Vec<(String, String)>, unset: Vec<String>| {
        let mut call = ApiCall::of(Method::Put, guest::path(seen.vmid, "config"));
        call.params = set;
        if !unset.is_empty() {
            call = call.param("delete", unset.join(","));
        }
        call
    };
    let mut call = put(set, unset);
    // With it Proxmox refuses the edit if somebody else made one since (recorded: 500 `checksum mismatch`).
    if let Some(digest) = seen.config.get("digest").and_then(Value::as_str) {
        call = call.param("digest", digest);
    }
    let undo = Undo::Actions(vec![Action::Api(put(set_back, unset_back))]);
    let keys: Vec<_> = values.iter().map(|v| v.key.as_str()).collect();
    let what = format!("configure VM {}: {}", seen.vmid, keys.join(", "));
    Some(Change::new(what, vec![Action::Api(call)], undo).diff(Diff::Values(values)))
}

#[cfg(test)]
#[path = "pve_vm_tests.rs"]
mod tests;
