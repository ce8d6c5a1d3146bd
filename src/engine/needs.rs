//! What a run needs of each host before its first change: who must answer, as whom, which guests must be free for a
//! checkpoint, and which nodes are to be leased.

use super::Engine;
use crate::checkpoint::GuestRef;
use crate::compile::{CheckpointMode, Step};
use crate::load::inventory::{Host, HostKind};
use crate::load::node::Kind;
use crate::load::template::is_template;
use crate::state::{RunState, TaskState};
use std::collections::{BTreeMap, BTreeSet};

/// What the run needs of one host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Need {
    /// Inventory name.
    pub host: String,
    /// It must answer; otherwise it is only asked for a lease.
    pub answers: bool,
    /// A lease is to be taken.
    pub lease: bool,
    /// The run changes its network.
    pub bridge: bool,
    /// Users that steps become, `root` first.
    pub users: Vec<String>,
    /// Guests of this node that get a checkpoint before a change.
    pub guests: Vec<GuestRef>,
}

/// Step kinds that only look, or ask a person.
const LOOKING: &[&str] = &["assert", "prompt", "wait", "http"];

impl Engine {
    /// What the steps that are left need, in the order of the inventory.
    pub(super) async fn needs(&self) -> Vec<Need> {
        let mut needs = BTreeMap::new();
        let mut excused = BTreeSet::new();
        for section in &self.program.sections {
            for step in section.steps.iter().filter(|s| s.left_out.is_none()) {
                let hosts = if step.run_once { &step.hosts[..1.min(step.hosts.len())] } else { &step.hosts[..] };
                for host in hosts.iter().filter(|h| !self.is_done(step, h)) {
                    self.step_needs(section.checkpoint, step, host, &mut needs, &mut excused).await;
                }
                excused.extend(hosts.iter().flat_map(|host| self.started_by(step, host)));
            }
        }
        self.in_order(needs)
    }

    async fn step_needs(
        &self,
        checkpoint: CheckpointMode,
        step: &Step,
        host: &str,
        needs: &mut BTreeMap<String, Need>,
        excused: &mut BTreeSet<String>,
    ) {
        let node = self.program.inventory.node_of(host).map(str::to_string);
        if let Some(node) = &node {
            need(needs, node).lease = self.options.lease.is_some();
        }
        if !self.options.preflight {
            return;
        }
        let module = step.module.name();
        // A step of Proxmox's own speaks to the node only, whatever guest it is for.
        let target = if module.starts_with("pve_") { node.clone() } else { Some(host.to_string()) };
        let Some(target) = target else { return };
        if module == "wait" && !needs.get(&target).is_some_and(|n| n.answers) {
            excused.insert(target.clone());
        }
        let from_here = matches!(step.params.get("from").map(|n| &n.kind), Some(Kind::Str(text, _)) if text == "here");
        if excused.contains(&target) || step.ignore_errors || from_here || matches!(module, "assert" | "prompt") {
            return;
        }
        if matches!(self.due(step, host, None).await, Ok(Some(_))) {
            return;
        }
        let becomes = step.r#become.or(self.program.inventory.host(&target).map(|h| h.r#become)).unwrap_or(false);
        let entry = need(needs, &target);
        entry.answers = true;
        entry.bridge |= module == "pve_bridge";
        if becomes && !entry.users.contains(&step.become_user) {
            let at = if step.become_user == "root" { 0 } else { entry.users.len() };
            entry.users.insert(at, step.become_user.clone());
        }
        let only_looks = step.changed_when.as_ref().is_some_and(|e| e.text.trim() == "false");
        let changes = !only_looks && !LOOKING.contains(&module) && !module.starts_with("pve_");
        if changes
            && checkpoint != CheckpointMode::Never
            && let (Some(node), Some(vmid)) = (node, self.program.inventory.host(host).and_then(Host::vmid))
        {
            let guests = &mut need(needs, &node).guests;
            if !guests.iter().any(|g| g.vmid == vmid) {
                guests.push(GuestRef::new(host, vmid));
            }
        }
    }

    /// Nodes of what an earlier run changed: its way back needs their leases, and does without anything else.
    pub(super) fn needs_of_back(&self, old: &RunState) -> Vec<Need> {
        let hosts = old.checkpoints.iter().map(|c| &c.guest).chain(old.applied.iter().map(|a| &a.task.host));
        self.needs_of_hosts(hosts)
    }

    /// Leases of the nodes of these hosts.
    pub(super) fn needs_of_hosts<'a>(&self, hosts: impl IntoIterator<Item = &'a String>) -> Vec<Need> {
        let mut needs = BTreeMap::new();
        for node in hosts.into_iter().filter_map(|host| self.program.inventory.node_of(host)) {
            need(&mut needs, node).lease = self.options.lease.is_some();
        }
        self.in_order(needs)
    }

    fn in_order(&self, mut needs: BTreeMap<String, Need>) -> Vec<Need> {
        let hosts = self.program.inventory.hosts.iter();
        let wanted = |n: &Need| n.answers || n.lease || !n.guests.is_empty();
        hosts.filter_map(|h| needs.remove(&h.name)).filter(wanted).collect()
    }

    /// Done before the run was cut off.
    fn is_done(&self, step: &Step, host: &str) -> bool {
        let mut tasks = self.before.tasks.iter().filter(|(k, _)| k.step == step.key && k.host == *host).peekable();
        tasks.peek().is_some()
            && tasks.all(|(_, t)| !t.taken_back && matches!(&t.state, TaskState::Ended(o) if !o.stops()))
    }

    /// Guests that this step starts: they may be down before it. A name that is not known yet may be any of the node's.
    fn started_by(&self, step: &Step, host: &str) -> Vec<String> {
        let inventory = &self.program.inventory;
        if step.module.name() != "pve_vm" || step.params.get("state").is_none() {
            return Vec::new();
        }
        let is_guest = inventory.host(host).is_some_and(|h| h.vmid().is_some());
        let (guest, vmid) = (step.params.get("guest"), step.params.get("vmid"));
        if guest.is_none() && vmid.is_none() && is_guest {
            return vec![host.to_string()];
        }
        let Some(node) = inventory.node_of(host) else { return Vec::new() };
        let fits = |name: &str, id: u32| match (guest.map(|n| &n.kind), vmid.map(|n| &n.kind)) {
            (Some(Kind::Str(text, _)), _) if !is_template(text) => text == name,
            (None, Some(Kind::Int(number))) => *number == i64::from(id),
            _ => true,
        };
        let guests = inventory.hosts.iter().filter_map(|h| match &h.kind {
            HostKind::Guest { node: its, vmid } if its == node && fits(&h.name, *vmid) => Some(h.name.clone()),
            _ => None,
        });
        guests.collect()
    }
}

fn need<'a>(needs: &'a mut BTreeMap<String, Need>, host: &str) -> &'a mut Need {
    needs.entry(host.to_string()).or_insert_with(|| Need { host: host.to_string(), ..Need::default() })
}
