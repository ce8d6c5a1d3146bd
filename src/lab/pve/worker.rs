//! Worker tasks: forked by a call, logged, ended, interrupted; and the lock files that they take.

use crate::lab::pve::simulator::Simulator;
use crate::lab::pve::vm::Vm;
use serde_json::Value;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;

/// How a worker ends: well, or with the text that becomes the task's exit status.
pub type Work = Result<(), String>;

/// Where printed lines go: a task's log, or the console of a call that answers at once.
pub trait Console: Send {
    /// A line on standard output.
    fn out(&mut self, line: String);
    /// A line on standard error.
    fn err(&mut self, line: String);
}

/// The stream of a printed line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

impl Console for Vec<(Stream, String)> {
    fn out(&mut self, line: String) {
        self.push((Stream::Out, line));
    }

    fn err(&mut self, line: String) {
        self.push((Stream::Err, line));
    }
}

/// The worker's own end of its task.
#[derive(Clone)]
pub struct Worker {
    /// The simulator that it works on.
    pub sim: Arc<Simulator>,
    upid: String,
}

impl Console for Worker {
    fn out(&mut self, line: String) {
        self.say(line);
    }

    // A worker's two streams end in the same log.
    fn err(&mut self, line: String) {
        self.say(line);
    }
}

impl Worker {
    /// Writes to the task's log; line breaks make several lines.
    pub fn say(&self, line: impl AsRef<str>) {
        self.sim.edit(|state| {
            if let Some(task) = state.task_mut(&self.upid) {
                task.log.extend(line.as_ref().split('\n').map(str::to_owned));
            }
        });
    }
}

impl Simulator {
    /// Starts a task and answers its UPID at once.
    pub(crate) fn fork<F, Fut>(self: &Arc<Self>, kind: &str, id: &str, body: F) -> Value
    where
        F: FnOnce(Worker) -> Fut + Send + 'static,
        Fut: Future<Output = Work> + Send + 'static,
    {
        let now = self.now();
        let (upid, failure) = self.edit(|state| {
            state.changes.count(kind);
            (state.open_task(kind, id, now), state.levers.take_failure(kind))
        });
        let worker = Worker { sim: Arc::clone(self), upid: upid.clone() };
        let sim = Arc::clone(self);
        let name = upid.clone();
        let handle = tokio::spawn(async move {
            let result = match failure {
                Some(message) => {
                    sim.take(sim.pace.other).await;
                    Err(message)
                }
                None => body(worker).await,
            };
            sim.end_task(&name, result);
        });
        self.workers.lock().expect("never held across a panic").insert(upid.clone(), handle.abort_handle());
        Value::String(upid)
    }

    /// Ends a task, once.
    pub(crate) fn end_task(&self, upid: &str, result: Work) {
        let now = self.now();
        self.edit(|state| {
            if let Some(task) = state.task_mut(upid) {
                task.finish(now, result);
            }
        });
        self.workers.lock().expect("never held across a panic").remove(upid);
        self.ended.notify_waiters();
    }

    /// Interrupts a task; nothing if it has ended.
    pub(crate) fn interrupt(&self, upid: &str, why: &str) {
        let handle = self.workers.lock().expect("never held across a panic").remove(upid);
        if let Some(handle) = handle {
            handle.abort();
        }
        // The worker may have ended in this moment, or before the lab was restarted: then this changes nothing.
        self.end_task(upid, Err(why.to_owned()));
    }

    /// Takes the lock file of a virtual machine. Who has to wait says so; after ten seconds it is an error.
    pub(crate) async fn lock_vm(&self, vmid: u32, console: &mut dyn Console) -> Result<OwnedMutexGuard<()>, String> {
        let lock = Arc::clone(self.locks.lock().expect("never held across a panic").entry(vmid).or_default());
        let held = self.read(|state| state.levers.held_locks.contains(&vmid));
        if !held && let Ok(guard) = Arc::clone(&lock).try_lock_owned() {
            return Ok(guard);
        }
        console.err("trying to acquire lock...".into());
        let got = if held {
            tokio::time::sleep(self.pace.lock_timeout).await;
            None
        } else {
            timeout(self.pace.lock_timeout, lock.lock_owned()).await.ok()
        };
        let why = format!("can't lock file '/var/lock/qemu-server/lock-{vmid}.conf' - got timeout");
        let guard = got.ok_or(why)?;
        console.err(" OK".into());
        Ok(guard)
    }

    /// Looks at a machine, with the error of code that loads its configuration.
    pub(crate) fn load<T>(&self, vmid: u32, look: impl FnOnce(&Vm) -> T) -> Result<T, String> {
        self.read(|state| state.vms.get(&vmid).map(look).ok_or_else(|| no_config(&state.node.name, vmid)))
    }

    /// Changes a machine, with the same error.
    pub(crate) fn change<T>(&self, vmid: u32, change: impl FnOnce(&mut Vm) -> T) -> Result<T, String> {
        self.edit(|state| {
            let name = state.node.name.clone();
            state.vms.get_mut(&vmid).map(change).ok_or_else(|| no_config(&name, vmid))
        })
    }

    /// The other error for a machine that is not there: of code that only looks whether it runs.
    pub(crate) fn unfound(&self, vmid: u32) -> String {
        self.read(|state| format!("unable to find configuration file for VM {vmid} on node '{}'", state.node.name))
    }
}

/// The error of loading a configuration that is not there.
pub(crate) fn no_config(node: &str, vmid: u32) -> String {
    format!("Configuration file 'nodes/{node}/qemu-server/{vmid}.conf' does not exist")
}
