//! `pve_snapshot`: a snapshot of a VM that the user names. piton's own checkpoints are the engine's, not this.

use super::{
    Action, Answer, Ask, Change, Cx, Diff, Example, Module, ModuleError, Nature, Problem, Undo, ValueChange, guest,
};
use crate::cmd::{ApiCall, Method};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;

/// The step kind.
#[derive(Debug)]
pub struct PveSnapshot;

/// What shall be of the snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// There is one of this name.
    #[default]
    Present,
    /// There is none of this name.
    Absent,
    /// The VM goes back to it, each time; a VM that ran runs again.
    RolledBack,
}

/// Parameters of `pve_snapshot`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Name of the snapshot: a letter first, 2 to 40 letters, digits, - and _.
    name: String,
    /// present, absent or `rolled_back`.
    #[serde(default)]
    state: State,
    /// What it is for.
    description: Option<String>,
    /// Keep the RAM of a running VM too.
    #[serde(default)]
    vmstate: bool,
    /// On a node: VMID of the guest.
    vmid: Option<u32>,
    /// On a node: inventory name of the guest.
    guest: Option<String>,
}

/// What the list of snapshots says.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    vmid: u32,
    /// The snapshot of this name: description, and whether it holds RAM.
    found: Option<(String, bool)>,
    running: bool,
}

/// A snapshot may have to write RAM, a rollback to read it, a deletion to merge disks.
const TASK: Duration = Duration::from_secs(30 * 60);

/// True for a name that Proxmox takes: a letter, then letters, digits, `-` and `_`, 2 to 40 in all, not `current`
/// or `pending` (recordings note 6; pve-common JSONSchema.pm `pve-configid`).
pub fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (2..=40).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(good)
        && !name.eq_ignore_ascii_case("current")
        && !name.eq_ignore_ascii_case("pending")
}

impl Params {
    fn vmid(&self, cx: &Cx) -> Result<u32, ModuleError> {
        guest::vmid(cx, self.vmid, self.guest.as_deref())
    }

    fn path(&self, vmid: u32, rest: &str) -> String {
        guest::path(vmid, &format!("snapshot/{}{rest}", self.name))
    }
}

impl Module for PveSnapshot {
    type Params = Params;
    type State = Seen;

    const NAME: &'static str = "pve_snapshot";
    const SUMMARY: &'static str = "a snapshot of a VM: there, not there, or gone back to";
    const EXAMPLES: &'static [Example] = &[
        Example {
            name: "one to keep",
            yaml: "pve_snapshot: { name: before-upgrade, description: Jellyfin 10.9 works, vmid: 102 }\n",
        },
        Example {
            name: "one that is done with",
            yaml: "pve_snapshot: { name: before-upgrade, state: absent, vmid: 102 }\n",
        },
    ];

    /// A checkpoint beside the snapshot would hold nothing more, and gives none back that was removed.
    fn needs_checkpoint(params: &Params) -> bool {
        params.state == State::RolledBack
    }

    fn nature(params: &Params) -> Nature {
        if params.state == State::RolledBack { Nature::AlwaysRuns } else { Nature::Converges }
    }

    fn validate(params: &Params) -> Vec<Problem> {
        let mut out = guest::wrong(params.vmid, params.guest.as_deref());
        if !is_name(&params.name) {
            let problem = Problem::at("name", format!("`{}` cannot be the name of a snapshot", params.name));
            out.push(problem.hint("a letter, then letters, digits, - and _; 2 to 40 in all; not `current`"));
        }
        if params.state != State::Present && (params.description.is_some() || params.vmstate) {
            out.push(Problem::at("state", "`description` and `vmstate` are for `state: present`"));
        }
        out
    }

    fn probe(params: &Params, cx: &Cx) -> Vec<Ask> {
        params.vmid(cx).map(|vmid| Ask::Api(ApiCall::get(guest::path(vmid, "snapshot")))).into_iter().collect()
    }

    fn read(params: &Params, cx: &Cx, answers: &[Answer]) -> Result<Seen, ModuleError> {
        let vmid = params.vmid(cx)?;
        let data = guest::data(vmid, answers.first())?;
        let bad = || ModuleError::unreadable("a list of snapshots was expected", &data.to_string());
        let mut seen = Seen { vmid, found: None, running: false };
        let mut current = false;
        for entry in data.as_array().ok_or_else(bad)? {
            let name = entry["name"].as_str().ok_or_else(bad)?;
            if name == "current" {
                current = true;
                seen.running = entry["running"] == 1 || entry["running"] == "1";
            } else if name == params.name {
                let description = entry["description"].as_str().unwrap_or_default().trim_end().to_string();
                seen.found =
                    Some((description, matches!(&entry["vmstate"], Value::Number(n) if n.as_u64() == Some(1))));
            }
        }
        if current { Ok(seen) } else { Err(bad()) }
    }

    fn plan(params: &Params, _cx: &Cx, seen: &Seen) -> Result<Vec<Change>, ModuleError> {
        let (name, vmid) = (&params.name, seen.vmid);
        let gone = |m: Method| Action::Api(ApiCall::of(m, params.path(vmid, "")).follow(TASK));
        let change = match (params.state, &seen.found) {
            (State::Absent, None) => return Ok(Vec::new()),
            (State::Present, Some((old, _))) => {
                let Some(new) = params.description.as_deref().filter(|d| d.trim_end() != old) else {
                    return Ok(Vec::new());
                };
                let put = |text: &str| {
                    Action::Api(ApiCall::of(Method::Put, params.path(vmid, "/config")).param("description", text))
                };
                let diff = Diff::Values(vec![ValueChange::new("description", Some(old), Some(new))]);
                let what = format!("describe the snapshot {name} of VM {vmid}");
                Change::new(what, vec![put(new)], Undo::Actions(vec![put(old)])).diff(diff)
            }
            (State::Present, None) => {
                let mut call =
                    ApiCall::of(Method::Post, guest::path(vmid, "snapshot")).param("snapname", name).follow(TASK);
                if let Some(text) = &params.description {
                    call = call.param("description", text);
                }
                let ram = match (params.vmstate, seen.running) {
                    (true, true) => " with its RAM",
                    // Proxmox ignores it in silence (recordings note 6).
                    (true, false) => " (stopped, so there is no RAM to keep)",
                    (false, _) => "",
                };
                if params.vmstate && seen.running {
                    call = call.param("vmstate", "1");
                }
                let what = format!("take the snapshot {name} of VM {vmid}{ram}");
                Change::new(what, vec![Action::Api(call)], Undo::Actions(vec![gone(Method::Delete)]))
            }
            (State::Absent, Some(_)) => {
                let undo = Undo::Impossible("a removed snapshot does not come back".to_string());
                Change::new(format!("remove the snapshot {name} of VM {vmid}"), vec![gone(Method::Delete)], undo)
            }
            (State::RolledBack, None) => {
                return Err(ModuleError::refused(format!("VM {vmid} has no snapshot {name}")));
            }
            (State::RolledBack, Some((_, ram))) => {
                let back = ApiCall::of(Method::Post, params.path(vmid, "/rollback")).follow(TASK);
                let mut actions = vec![Action::Api(back)];
                // Without RAM a rollback leaves the VM stopped (recordings note 5).
                let start = seen.running && !ram;
                if start {
                    let call = ApiCall::of(Method::Post, guest::path(vmid, "status/start"));
                    actions.push(Action::Api(call.follow(Duration::from_secs(300))));
                }
                let then = if start { ", and start it again" } else { "" };
                let undo = Undo::Impossible(format!("what VM {vmid} held since the snapshot {name} is lost"));
                Change::new(format!("roll VM {vmid} back to {name}{then}"), actions, undo)
            }
        };
        Ok(vec![change])
    }

    fn facts(params: &Params, seen: &Seen) -> serde_json::Map<String, Value> {
        let mut out = serde_json::Map::new();
        out.insert("vmid".into(), seen.vmid.into());
        out.insert("name".into(), params.name.as_str().into());
        out.insert("present".into(), seen.found.is_some().into());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench;
    use super::*;
    use serde_json::json;

    fn decide(vmid: u32, mut params: Value, row: u64) -> Result<Vec<Change>, String> {
        params["vmid"] = vmid.into();
        let cx = Cx { host: "pve1".into(), node: Some("pve1".into()), ..Cx::default() };
        let step = bench::instance("pve_snapshot", params);
        assert_eq!(step.validate(), []);
        assert_eq!(step.probe(&cx), [Ask::Api(ApiCall::get(format!("/nodes/{{node}}/qemu/{vmid}/snapshot")))]);
        step.decide(&cx, &[Answer::Api(bench::recorded(row))]).map(|d| d.changes).map_err(|e| e.to_string())
    }

    fn lines(change: &Change) -> Vec<String> {
        bench::lines(&change.actions)
    }

    #[test]
    fn a_snapshot_is_taken_once_and_its_undo_removes_it() {
        assert_eq!(decide(100, json!({ "name": "base" }), 39), Ok(vec![]));
        let changes = decide(300, json!({ "name": "base", "description": "x y", "vmstate": true }), 41).unwrap();
        assert_eq!(changes[0].what, "take the snapshot base of VM 300 (stopped, so there is no RAM to keep)");
        assert_eq!(
            lines(&changes[0]),
            ["pvesh create /nodes/{node}/qemu/300/snapshot --snapname base --description 'x y'"]
        );
        let Undo::Actions(undo) = &changes[0].undo else { panic!() };
        assert_eq!(bench::lines(undo), ["pvesh delete /nodes/{node}/qemu/300/snapshot/base"]);
        let changes = decide(110, json!({ "name": "base", "vmstate": true }), 40).unwrap();
        assert_eq!(lines(&changes[0]), ["pvesh create /nodes/{node}/qemu/110/snapshot --snapname base --vmstate 1"]);
    }

    #[test]
    fn only_the_named_one_is_removed() {
        assert_eq!(decide(300, json!({ "name": "base", "state": "absent" }), 41), Ok(vec![]));
        let changes = decide(100, json!({ "name": "withram", "state": "absent" }), 39).unwrap();
        assert_eq!(lines(&changes[0]), ["pvesh delete /nodes/{node}/qemu/100/snapshot/withram"]);
    }

    #[test]
    fn a_description_is_changed_in_place() {
        assert_eq!(decide(100, json!({ "name": "base", "description": "changed" }), 39), Ok(vec![]));
        let changes = decide(100, json!({ "name": "base", "description": "new" }), 39).unwrap();
        assert_eq!(lines(&changes[0]), ["pvesh set /nodes/{node}/qemu/100/snapshot/base/config --description new"]);
    }

    #[test]
    fn a_running_vm_runs_again_after_a_rollback() {
        let with_ram = decide(110, json!({ "name": "booted", "state": "rolled_back" }), 40).unwrap();
        assert_eq!(lines(&with_ram[0]), ["pvesh create /nodes/{node}/qemu/110/snapshot/booted/rollback"]);
        let stopped = decide(100, json!({ "name": "base", "state": "rolled_back" }), 39).unwrap();
        assert_eq!(stopped[0].actions.len(), 1);
        let missing = decide(100, json!({ "name": "no-such", "state": "rolled_back" }), 39);
        assert_eq!(missing, Err("VM 100 has no snapshot no-such".into()));
        let list = json!([{ "name": "base", "vmstate": 0 }, { "name": "current", "running": 1 }]);
        let cx = Cx { node: Some("pve1".into()), vmid: Some(100), ..Cx::default() };
        let step = bench::instance("pve_snapshot", json!({ "name": "base", "state": "rolled_back" }));
        assert_eq!((step.nature(), step.repeatable()), (Nature::AlwaysRuns, false));
        let changes = step.decide(&cx, &[bench::api(list)]).unwrap().changes;
        assert_eq!(lines(&changes[0])[1], "pvesh create /nodes/{node}/qemu/100/status/start");
    }

    #[test]
    fn wrong_names_and_answers() {
        let wrong = |name: &str| bench::problems("pve_snapshot", json!({ "name": name })).len();
        for name in ["a", "1a", "current", "Pending", "a b", "é2", &"a".repeat(41)] {
            assert_eq!(wrong(name), 1, "{name}");
        }
        assert_eq!((wrong("ab"), wrong("A_b-1"), wrong(&"a".repeat(40))), (0, 0, 0));
        assert_eq!(decide(999, json!({ "name": "base" }), 42), Err("there is no VM 999 on this node".into()));
        assert!(
            decide(100, json!({ "name": "base" }), 17).unwrap_err().starts_with("a list of snapshots was expected")
        );
    }
}
