//! The one place that takes a checkpoint: when a change of a guest is certain, once a section and guest.

use super::Engine;
use super::lines::line_broke;
use super::prepare::Prepared;
use super::trouble::Trouble;
use crate::checkpoint::{self, CheckpointError};
use crate::compile::{CheckpointMode, Step};
use crate::event::Event;
use crate::load::inventory::HostKind;
use crate::modules::{Action, Change, GuestRef};
use crate::pve::{Marker, snapshot};
use crate::transport::api::NodeApi;
use std::sync::Arc;
use tokio::sync::Mutex;

impl Engine {
    /// The guest that a change of this step would change: its host, or the one that its parameters name.
    pub(super) fn guest_of(prepared: &Prepared) -> Option<GuestRef> {
        let cx = &prepared.cx;
        let find = |vmid: u32| cx.guests.iter().find(|g| g.vmid == vmid && Some(&g.node) == cx.node.as_ref()).cloned();
        if let Some(vmid) = cx.vmid {
            return find(vmid);
        }
        let value = prepared.instance.value();
        if let Some(name) = value.get("guest").and_then(|v| v.as_str()) {
            return cx.guests.iter().find(|g| g.name == name).cloned();
        }
        value.get("vmid").and_then(serde_json::Value::as_u64).and_then(|v| u32::try_from(v).ok()).and_then(find)
    }

    /// True if carrying these changes out makes a checkpoint due.
    pub(super) fn wants_checkpoint(step: &Step, prepared: &Prepared, changes: &[Change]) -> bool {
        let only_asks =
            changes.iter().flat_map(|c| &c.actions).all(|a| matches!(a, Action::Prompt(_) | Action::Fetch(_)));
        !only_asks && !Self::only_looks(step) && prepared.instance.needs_checkpoint()
    }

    /// The guest that a checkpoint has to be taken of before these changes are made, and that takes them back.
    pub(super) fn guarded_guest(step: &Step, prepared: &Prepared, changes: &[Change]) -> Option<GuestRef> {
        let due = !changes.is_empty() && Self::wants_checkpoint(step, prepared, changes);
        due.then(|| Self::guest_of(prepared)).flatten()
    }

    /// `changed_when: false` is how a command says that it only looks: nothing is guarded, and nothing taken back.
    pub(super) fn only_looks(step: &Step) -> bool {
        step.changed_when.as_ref().is_some_and(|e| e.text.trim() == "false")
    }

    /// Takes the checkpoint of a guest for a section unless that is done; true if it was taken now.
    ///
    /// # Errors
    /// [`Trouble`] if there can be none: the change must not be made then.
    pub(super) async fn guard(&self, section: usize, guest: &GuestRef) -> Result<bool, Trouble> {
        if self.program.sections.get(section).is_none_or(|s| s.checkpoint == CheckpointMode::Never) {
            return Ok(false);
        }
        let slot = {
            let mut guards = self.guards.lock().await;
            guards.entry((section, guest.name.clone())).or_insert_with(|| Arc::new(Mutex::new(false))).clone()
        };
        let mut done = slot.lock().await;
        if *done {
            return Ok(false);
        }
        let taken = self.take(section, guest).await;
        if let Err(trouble @ (Trouble::Failed(_) | Trouble::Unreachable(_) | Trouble::Unknown(_))) = &taken {
            let why = trouble.to_string();
            self.recorder.record(Event::CheckpointFailed { guest: guest.name.clone(), section, why: why.clone() })?;
            return Err(Trouble::Failed(format!(
                "no checkpoint of {}, so nothing was changed: {why} (mend that, or write `checkpoint: never` in the \
                 section if a way back is not needed)",
                guest.name
            )));
        }
        taken?;
        *done = true;
        Ok(true)
    }

    async fn take(&self, section: usize, guest: &GuestRef) -> Result<(), Trouble> {
        let datasets = self.program.inventory.host(&guest.name).map(|h| h.datasets.clone()).unwrap_or_default();
        let at = checkpoint::GuestRef::new(&guest.name, guest.vmid);
        let mut api = self.lines.node(&guest.node).await?;
        let look = [(at.clone(), datasets)];
        let mut covered = checkpoint::coverages(&api, &look).await.pop();
        if let Some(Err(error)) = &covered {
            api = self.node_again(&guest.node, &api, error).await?;
            covered = checkpoint::coverages(&api, &look).await.pop();
        }
        let coverage = covered.ok_or_else(|| Trouble::Failed("no answer".into()))?.map_err(|e| failed(&e))?;
        let possible = coverage.possible;
        let why = coverage.unprotected.join("; ");
        self.recorder.record(Event::Covered { coverage })?;
        if !possible {
            return Err(Trouble::Failed(why));
        }
        // A checkpoint that was begun before the run was cut off keeps its name: if it is there, it is found.
        let begun = |c: &crate::state::Checkpoint| c.guest == guest.name && c.section == section && !c.rolled_back;
        let old = self.before.checkpoints.iter().find(|c| begun(c));
        if old.is_some_and(|c| c.taken) {
            return Ok(());
        }
        let number = self.recorder.with_state(|s| s.checkpoints.len()) + 1;
        let marker = Marker {
            run: self.options.run.clone(),
            section: self.program.sections[section].name.clone(),
            by: self.options.operator.clone(),
        };
        let fresh = || snapshot::name(&self.options.run, u32::try_from(number).unwrap_or(u32::MAX));
        let name = old.map_or_else(fresh, |c| c.name.clone());
        let new = checkpoint::NewCheckpoint { name: name.clone(), marker };
        self.recorder.record(Event::CheckpointStarted { guest: guest.name.clone(), section, name: name.clone() })?;
        let recorder = self.recorder.clone();
        let host = guest.name.clone();
        let on_log = move |line: &str| {
            recorder.progress(Event::TaskLog { host: host.clone(), line: line.to_string() });
        };
        let taken = match checkpoint::take(&api, &at, &new, &on_log).await {
            Ok(taken) => taken,
            // May be taken twice: the second time finds what the first made.
            Err(error) => {
                let api = self.node_again(&guest.node, &api, &error).await?;
                checkpoint::take(&api, &at, &new, &on_log).await.map_err(|e| failed(&e))?
            }
        };
        if !taken.warnings.is_empty() {
            let text = format!("the snapshot of {} was taken with {}", guest.name, taken.warnings);
            self.recorder.record(Event::Warning { text })?;
        }
        self.recorder.record(Event::CheckpointTaken {
            guest: guest.name.clone(),
            section,
            name,
            firewall: taken.firewall,
            running: taken.running,
        })?;
        Ok(())
    }

    /// A new line to a node for what may be done twice, if it was the line that failed the first time.
    ///
    /// # Errors
    /// [`Trouble`]: the first error where a new line does not help.
    pub(super) async fn node_again(
        &self,
        node: &str,
        old: &NodeApi,
        error: &CheckpointError,
    ) -> Result<Arc<NodeApi>, Trouble> {
        if !error.api_error().is_some_and(line_broke) {
            return Err(failed(error));
        }
        self.lines.lost(node, old.remote(), &error.to_string()).await;
        match self.lines.node(node).await {
            Err(Trouble::Unreachable(_) | Trouble::Interrupted) if error.is_unknown() => Err(failed(error)),
            other => other,
        }
    }

    /// Every guest of a section that `checkpoint: always` is for.
    pub(super) fn guests_of_section(&self, section: usize) -> Vec<GuestRef> {
        crate::compile::guards::guests(&self.program, section)
            .into_iter()
            .filter_map(|name| match &self.program.inventory.host(&name)?.kind {
                HostKind::Guest { node, vmid } => Some(GuestRef { node: node.clone(), vmid: *vmid, name }),
                _ => None,
            })
            .collect()
    }
}

fn failed(error: &CheckpointError) -> Trouble {
    if error.is_unknown() { Trouble::Unknown(error.to_string()) } else { Trouble::Failed(error.to_string()) }
}
