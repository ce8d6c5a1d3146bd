//! What a guest really does: the lab starts and stops processes and copies files; tests have guests without insides.

use crate::transport::Boxed;
use std::collections::BTreeSet;
use std::sync::Mutex;

/// Why the guest's side of an operation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuestError {
    /// The guest agent does not answer; the reason is for the log only.
    #[error("the guest does not answer")]
    Deaf,
    /// The program cannot be run in the guest.
    #[error("Failed to execute child process “{program}” ({why})")]
    NoProgram {
        /// As asked for.
        program: String,
        /// The guest system's words, e.g. `No such file or directory`.
        why: String,
    },
    /// Something on the lab's side went wrong.
    #[error("piton lab: {what}: {why}")]
    Lab {
        /// What was tried.
        what: &'static str,
        /// The system's error.
        why: String,
    },
}

/// A program to run in a guest through its agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exec {
    /// Program and arguments, at least one.
    pub argv: Vec<String>,
    /// Its standard input.
    pub stdin: Vec<u8>,
}

/// How that program ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GuestOutput {
    /// Exit status; none if a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// The insides of the guests. Calls for one guest never overlap, except `exec` and `agent_ping`.
pub trait Hypervisor: Send + Sync {
    /// Brings the guest up; answers when its system has begun, not when it is ready.
    fn start(&self, vmid: u32) -> Boxed<'_, Result<(), GuestError>>;

    /// Takes the guest down at once. Not an error if it is down.
    fn stop(&self, vmid: u32) -> Boxed<'_, Result<(), GuestError>>;

    /// True if the guest's system is up.
    fn is_running(&self, vmid: u32) -> bool;

    /// Keeps the guest's disks as they are under a name.
    fn snapshot<'a>(&'a self, vmid: u32, name: &'a str) -> Boxed<'a, Result<(), GuestError>>;

    /// Puts the guest's disks back as they were. The guest is stopped when this is called.
    fn rollback<'a>(&'a self, vmid: u32, name: &'a str) -> Boxed<'a, Result<(), GuestError>>;

    /// Forgets a snapshot.
    fn delete_snapshot<'a>(&'a self, vmid: u32, name: &'a str) -> Boxed<'a, Result<(), GuestError>>;

    /// Forgets the guest with its disks and snapshots.
    fn destroy(&self, vmid: u32) -> Boxed<'_, Result<(), GuestError>>;

    /// Runs a program in the guest and waits for its end.
    fn exec(&self, vmid: u32, exec: Exec) -> Boxed<'_, Result<GuestOutput, GuestError>>;

    /// Asks whether the guest's agent answers. A guest that does answers ACPI too: it shuts down when asked.
    fn agent_ping(&self, vmid: u32) -> Boxed<'_, Result<(), GuestError>>;

    /// The guest's addresses as `(interface, MAC, addresses with prefix)`, loopback left out.
    fn addresses(&self, vmid: u32) -> Vec<(String, String, Vec<String>)> {
        let _ = vmid;
        Vec::new()
    }

    /// The guest's own host name, if it has a say.
    fn host_name(&self, vmid: u32) -> Option<String> {
        let _ = vmid;
        None
    }

    /// A file in the guest, read through its agent.
    fn read_file<'a>(&'a self, vmid: u32, path: &'a str) -> Boxed<'a, Result<Vec<u8>, GuestError>> {
        let argv = vec!["cat".to_owned(), path.to_owned()];
        Box::pin(async move {
            let output = self.exec(vmid, Exec { argv, stdin: Vec::new() }).await?;
            if output.code == Some(0) {
                Ok(output.stdout)
            } else {
                let why = String::from_utf8_lossy(&output.stderr);
                let why = why.trim_end().rsplit(": ").next().unwrap_or_default().to_owned();
                Err(GuestError::NoProgram { program: path.to_owned(), why })
            }
        })
    }
}

/// Guests without insides: they run when told to, and only those named answer.
#[derive(Debug, Default)]
pub struct NullHypervisor {
    running: Mutex<BTreeSet<u32>>,
    alive: Mutex<BTreeSet<u32>>,
}

impl NullHypervisor {
    /// Guests of which these have a system that answers its agent.
    pub fn with_alive(alive: impl IntoIterator<Item = u32>) -> Self {
        Self { running: Mutex::default(), alive: Mutex::new(alive.into_iter().collect()) }
    }

    fn set_running(&self, vmid: u32, running: bool) {
        let mut set = self.running.lock().expect("never held across a panic");
        if running {
            set.insert(vmid)
        } else {
            set.remove(&vmid)
        };
    }
}

impl Hypervisor for NullHypervisor {
    fn start(&self, vmid: u32) -> Boxed<'_, Result<(), GuestError>> {
        self.set_running(vmid, true);
        Box::pin(async { Ok(()) })
    }

    fn stop(&self, vmid: u32) -> Boxed<'_, Result<(), GuestError>> {
        self.set_running(vmid, false);
        Box::pin(async { Ok(()) })
    }

    fn is_running(&self, vmid: u32) -> bool {
        self.running.lock().expect("never held across a panic").contains(&vmid)
    }

    fn snapshot<'a>(&'a self, _vmid: u32, _name: &'a str) -> Boxed<'a, Result<(), GuestError>> {
        Box::pin(async { Ok(()) })
    }

    fn rollback<'a>(&'a self, _vmid: u32, _name: &'a str) -> Boxed<'a, Result<(), GuestError>> {
        Box::pin(async { Ok(()) })
    }

    fn delete_snapshot<'a>(&'a self, _vmid: u32, _name: &'a str) -> Boxed<'a, Result<(), GuestError>> {
        Box::pin(async { Ok(()) })
    }

    fn destroy(&self, vmid: u32) -> Boxed<'_, Result<(), GuestError>> {
        self.set_running(vmid, false);
        Box::pin(async { Ok(()) })
    }

    fn exec(&self, _vmid: u32, _exec: Exec) -> Boxed<'_, Result<GuestOutput, GuestError>> {
        Box::pin(async { Ok(GuestOutput { code: Some(0), ..GuestOutput::default() }) })
    }

    fn agent_ping(&self, vmid: u32) -> Boxed<'_, Result<(), GuestError>> {
        let alive = self.alive.lock().expect("never held across a panic").contains(&vmid);
        Box::pin(async move { if alive { Ok(()) } else { Err(GuestError::Deaf) } })
    }
}
