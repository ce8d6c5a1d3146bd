//! The lab's hosts as the simulated Proxmox moves them. A VM that has no system of its own (made by `qm create`) runs
//! empty: it can be started and stopped, and its agent never answers.

use super::hosts::guest;
use super::pve::hypervisor::{Exec, GuestError, GuestOutput, Hypervisor};
use super::{Hosts, LabError};
use crate::transport::Boxed;
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::sync::{Arc, Mutex, PoisonError};

/// The hypervisor of the lab.
#[derive(Debug)]
pub struct Guests {
    hosts: Arc<Hosts>,
    empty: Mutex<BTreeSet<u32>>,
}

impl Guests {
    /// Moves these hosts.
    pub fn new(hosts: Arc<Hosts>) -> Self {
        Self { hosts, empty: Mutex::default() }
    }

    fn run_empty(&self, vmid: u32, running: bool) {
        let mut set = self.empty.lock().unwrap_or_else(PoisonError::into_inner);
        if running {
            set.insert(vmid)
        } else {
            set.remove(&vmid)
        };
    }
}

fn failed(what: &'static str) -> impl FnOnce(LabError) -> GuestError {
    move |e| GuestError::Lab { what, why: e.to_string() }
}

impl Hypervisor for Guests {
    fn start(&self, vmid: u32) -> Boxed<'_, Result<(), GuestError>> {
        Box::pin(async move {
            let Some(host) = guest(vmid) else {
                self.run_empty(vmid, true);
                return Ok(());
            };
            self.hosts.start(host).await.map_err(failed("starting the guest"))
        })
    }

    fn stop(&self, vmid: u32) -> Boxed<'_, Result<(), GuestError>> {
        Box::pin(async move {
            self.run_empty(vmid, false);
            let Some(host) = guest(vmid) else { return Ok(()) };
            self.hosts.stop(host).await.map_err(failed("stopping the guest"))
        })
    }

    fn is_running(&self, vmid: u32) -> bool {
        guest(vmid).is_some_and(|host| self.hosts.is_running(host))
            || self.empty.lock().unwrap_or_else(PoisonError::into_inner).contains(&vmid)
    }

    fn snapshot<'a>(&'a self, vmid: u32, name: &'a str) -> Boxed<'a, Result<(), GuestError>> {
        Box::pin(async move {
            let Some(host) = guest(vmid) else { return Ok(()) };
            self.hosts.snapshot(host, name).await.map_err(failed("copying the guest's files"))
        })
    }

    fn rollback<'a>(&'a self, vmid: u32, name: &'a str) -> Boxed<'a, Result<(), GuestError>> {
        Box::pin(async move {
            let Some(host) = guest(vmid) else { return Ok(()) };
            self.hosts.rollback(host, name).await.map_err(failed("putting the guest's files back"))
        })
    }

    fn delete_snapshot<'a>(&'a self, vmid: u32, name: &'a str) -> Boxed<'a, Result<(), GuestError>> {
        Box::pin(async move {
            let Some(host) = guest(vmid) else { return Ok(()) };
            self.hosts.delete_snapshot(host, name).await.map_err(failed("removing the snapshot"))
        })
    }

    fn destroy(&self, vmid: u32) -> Boxed<'_, Result<(), GuestError>> {
        Box::pin(async move {
            self.run_empty(vmid, false);
            let Some(host) = guest(vmid) else { return Ok(()) };
            self.hosts.destroy(host).await.map_err(failed("removing the guest's files"))
        })
    }

    fn exec(&self, vmid: u32, exec: Exec) -> Boxed<'_, Result<GuestOutput, GuestError>> {
        Box::pin(async move {
            let host = guest(vmid).filter(|host| !self.hosts.is_deaf(host)).ok_or(GuestError::Deaf)?;
            let output = self.hosts.exec(host, &exec.argv, &exec.stdin).await.map_err(failed("running a program"))?;
            let program = exec.argv.first().cloned().unwrap_or_default();
            let stderr = String::from_utf8_lossy(&output.stderr);
            if let Some(why) = stderr.strip_prefix(&format!("nsenter: failed to execute {program}: ")) {
                return Err(GuestError::NoProgram { program, why: why.trim_end().to_string() });
            }
            Ok(GuestOutput {
                code: output.status.code(),
                signal: output.status.signal(),
                stdout: output.stdout,
                stderr: output.stderr,
            })
        })
    }

    fn agent_ping(&self, vmid: u32) -> Boxed<'_, Result<(), GuestError>> {
        let answers = guest(vmid).is_some_and(|host| self.hosts.is_running(host) && !self.hosts.is_deaf(host));
        Box::pin(async move { if answers { Ok(()) } else { Err(GuestError::Deaf) } })
    }

    fn host_name(&self, vmid: u32) -> Option<String> {
        guest(vmid).map(String::from)
    }
}
