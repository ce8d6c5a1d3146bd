//! Guests for the recordings: 110 has a system that answers and runs programs, the others have nothing on their disk.

use piton::lab::pve::{Exec, GuestError, GuestOutput, Hypervisor};
use piton::transport::Boxed;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

/// The guests of the recorded node.
#[derive(Default)]
pub struct Guests {
    running: Mutex<BTreeSet<u32>>,
    /// Files of guest 110 that the recordings read.
    pub files: Mutex<BTreeMap<String, String>>,
}

/// The one with a system.
const ALIVE: u32 = 110;

fn done<T: Send + 'static>(value: T) -> Boxed<'static, Result<T, GuestError>> {
    Box::pin(async move { Ok(value) })
}

impl Hypervisor for Guests {
    fn start(&self, vmid: u32) -> Boxed<'_, Result<(), GuestError>> {
        self.running.lock().unwrap().insert(vmid);
        done(())
    }

    fn stop(&self, vmid: u32) -> Boxed<'_, Result<(), GuestError>> {
        self.running.lock().unwrap().remove(&vmid);
        done(())
    }

    fn is_running(&self, vmid: u32) -> bool {
        self.running.lock().unwrap().contains(&vmid)
    }

    fn snapshot<'a>(&'a self, _: u32, _: &'a str) -> Boxed<'a, Result<(), GuestError>> {
        done(())
    }

    fn rollback<'a>(&'a self, _: u32, _: &'a str) -> Boxed<'a, Result<(), GuestError>> {
        done(())
    }

    fn delete_snapshot<'a>(&'a self, _: u32, _: &'a str) -> Boxed<'a, Result<(), GuestError>> {
        done(())
    }

    fn destroy(&self, vmid: u32) -> Boxed<'_, Result<(), GuestError>> {
        self.stop(vmid)
    }

    fn exec(&self, _: u32, exec: Exec) -> Boxed<'_, Result<GuestOutput, GuestError>> {
        Box::pin(async move {
            // The paused clock of the test must own the time, so sleeping is not left to a process.
            let line = exec.argv.join(" ");
            if let Some(seconds) = line.strip_prefix("sleep ").and_then(|text| text.parse().ok()) {
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                return Ok(GuestOutput { code: Some(0), ..GuestOutput::default() });
            }
            if line == "sh -c sleep 3; echo done" {
                tokio::time::sleep(Duration::from_secs(3)).await;
                return Ok(GuestOutput { code: Some(0), stdout: b"done\n".to_vec(), ..GuestOutput::default() });
            }
            if line == "uname -r" {
                let stdout = b"6.1.0-56-cloud-amd64\n".to_vec();
                return Ok(GuestOutput { code: Some(0), stdout, ..GuestOutput::default() });
            }
            run(&exec)
        })
    }

    fn agent_ping(&self, vmid: u32) -> Boxed<'_, Result<(), GuestError>> {
        Box::pin(async move { if vmid == ALIVE { Ok(()) } else { Err(GuestError::Deaf) } })
    }

    fn addresses(&self, vmid: u32) -> Vec<(String, String, Vec<String>)> {
        if vmid != ALIVE {
            return Vec::new();
        }
        let addresses = vec!["10.10.10.51/24".to_owned(), "fe80::be24:11ff:fe14:164b/64".to_owned()];
        vec![("eth0".to_owned(), "bc:24:11:14:16:4b".to_owned(), addresses)]
    }

    fn read_file<'a>(&'a self, _: u32, path: &'a str) -> Boxed<'a, Result<Vec<u8>, GuestError>> {
        Box::pin(async move {
            let known = self.files.lock().unwrap().get(path).cloned();
            let why = "No such file or directory".to_owned();
            known.map(String::into_bytes).ok_or(GuestError::NoProgram { program: path.to_owned(), why })
        })
    }
}

/// Runs it here: small programs that do nothing but print.
fn run(exec: &Exec) -> Result<GuestOutput, GuestError> {
    let (program, arguments) = exec.argv.split_first().unwrap();
    let child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        let why = "No such file or directory".to_owned();
        return Err(GuestError::NoProgram { program: program.clone(), why });
    };
    child.stdin.take().unwrap().write_all(&exec.stdin).unwrap();
    let output = child.wait_with_output().unwrap();
    let (code, signal) = (output.status.code(), output.status.signal());
    Ok(GuestOutput { code, signal, stdout: output.stdout, stderr: output.stderr })
}
