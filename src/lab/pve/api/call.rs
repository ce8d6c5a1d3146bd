//! One call on its way through a resource: its parameters, its console, the simulator.

use crate::lab::pve::answer::{Refusal, Reply};
use crate::lab::pve::params::Params;
use crate::lab::pve::schema::{Kind, Param, check, verify};
use crate::lab::pve::simulator::Simulator;
use crate::lab::pve::vm::Vm;
use crate::lab::pve::worker::Stream;
use std::sync::Arc;

/// How a call ends.
pub type Outcome = Result<Reply, Refusal>;

/// A call.
pub struct Call {
    /// The simulator.
    pub sim: Arc<Simulator>,
    /// What was sent.
    pub params: Params,
    /// What the real code prints before it answers: lost by a daemon, shown by `qm`.
    pub console: Vec<(Stream, String)>,
}

impl Call {
    /// Checks the parameters against the names and types of this call.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] with every wrong parameter.
    pub fn verify(&self, schema: &[Param]) -> Result<(), Refusal> {
        verify(&self.params, schema, |_| None)
    }

    /// The VMID of a path, which is checked like a parameter.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] if it is none.
    pub fn vmid(text: &str) -> Result<u32, Refusal> {
        check("vmid", Kind::Vmid, text).map_err(|message| Refusal::parameter("vmid", message))?;
        text.parse().map_err(|_| Refusal::died("VMID out of range"))
    }

    /// Counts an accepted change.
    pub fn changed(&self, kind: &str) {
        self.sim.edit(|state| state.changes.count(kind));
    }

    /// That the machine exists, for calls that load its configuration first.
    ///
    /// # Errors
    /// The error of a configuration that is not there.
    pub fn must_exist(&self, vmid: u32) -> Result<(), Refusal> {
        self.sim.load(vmid, |_| ()).map_err(|message| Refusal::died_with(2, message))
    }

    /// That the machine exists and runs, for calls that ask QEMU first.
    ///
    /// # Errors
    /// The error of a machine that is not there, or does not run.
    pub fn must_run(&self, vmid: u32) -> Result<(), Refusal> {
        let running = self.sim.load(vmid, Vm::is_running);
        match running {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::died_with(2, format!("VM {vmid} not running"))),
            Err(_) => Err(Refusal::died_with(2, self.sim.unfound(vmid))),
        }
    }
}
