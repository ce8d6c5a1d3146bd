//! Guests for the recordings: 110 has a system that answers and runs programs, the others have nothing on their disk.

use piton::lab::pve::{Exec, GuestError, GuestOutput, Hypervisor};
use piton::transport::Boxed;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::Duration;

/// The guests of the recorded node.
#[derive(Default)]
pub struct Guests {
    pub running: Mutex<BTreeSet<u32>>,
    /// Files of guest 110 that the recordings read.
    pub files: Mutex<BTreeMap<String, String>>,
    /// Addresses of guest 110.
    pub addresses: Vec<String>,
    /// What guest 110 calls itself.
    pub host_name: Option<String>,
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
            // The paused clock of the test owns the time; no process runs anywhere.
            let line = exec.argv.join(" ");
            match line.as_str() {
                "sleep 3" | "sh -c sleep 3; echo done" => tokio::time::sleep(Duration::from_secs(3)).await,
                "sleep 30" => tokio::time::sleep(Duration::from_secs(30)).await,
                _ => {}
            }
            let printed = |text: &str| GuestOutput { code: Some(0), stdout: text.into(), ..GuestOutput::default() };
            Ok(match line.as_str() {
                "echo hi there" => printed("hi there\n"),
                "uname -r" => printed("6.1.0-56-cloud-amd64\n"),
                "sh -c sleep 3; echo done" => printed("done\n"),
                "date" => printed("Sun Nov 22 05:00:28 UTC 2026\n"),
                "cat" => printed(&String::from_utf8_lossy(&exec.stdin)),
                "sh -c echo out; echo err >&2; exit 3" => {
                    GuestOutput { code: Some(3), stderr: "err\n".into(), ..printed("out\n") }
                }
                "sh -c kill -9 $$" => GuestOutput { code: None, signal: Some(9), ..GuestOutput::default() },
                "ls /root/later" => GuestOutput {
                    code: Some(2),
                    stderr: "ls: cannot access '/root/later': No such file or directory\n".into(),
                    ..GuestOutput::default()
                },
                _ if exec.argv[0].starts_with("/no") => {
                    let why = "No such file or directory".to_owned();
                    return Err(GuestError::NoProgram { program: exec.argv[0].clone(), why });
                }
                _ => printed(""),
            })
        })
    }

    fn agent_ping(&self, vmid: u32) -> Boxed<'_, Result<(), GuestError>> {
        Box::pin(async move { if vmid == ALIVE { Ok(()) } else { Err(GuestError::Deaf) } })
    }

    fn addresses(&self, vmid: u32) -> Vec<(String, String, Vec<String>)> {
        if vmid != ALIVE {
            return Vec::new();
        }
        vec![("eth0".to_owned(), "bc:24:11:14:16:4b".to_owned(), self.addresses.clone())]
    }

    fn host_name(&self, _: u32) -> Option<String> {
        self.host_name.clone()
    }

    fn read_file<'a>(&'a self, _: u32, path: &'a str) -> Boxed<'a, Result<Vec<u8>, GuestError>> {
        Box::pin(async move {
            let known = self.files.lock().unwrap().get(path).cloned();
            let why = "No such file or directory".to_owned();
            known.map(String::into_bytes).ok_or(GuestError::NoProgram { program: path.to_owned(), why })
        })
    }
}
