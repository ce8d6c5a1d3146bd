//! The processes of a lab host as the daemon sees them: all that share the process namespace of its process 1.

use rustix::process::{Pid, Signal};
use std::fs;

/// Processes of the host whose process 1 this is, itself left out.
pub fn members(init: i32) -> Vec<i32> {
    let Ok(namespace) = fs::read_link(format!("/proc/{init}/ns/pid")) else { return Vec::new() };
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| *pid != init && fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|ns| ns == namespace))
        .collect()
}

/// True for the sshd of one connection; false for the one that listens, and for everything else.
pub fn is_ssh_session(pid: i32) -> bool {
    let title = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let title = String::from_utf8_lossy(&title);
    (title.starts_with("sshd: ") || title.starts_with("sshd-session: ")) && !title.contains("[listener]")
}

/// Sends a signal to each; one that is gone is no error.
pub fn signal(pids: &[i32], signal: Signal) {
    for pid in pids.iter().filter_map(|p| Pid::from_raw(*p)) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}
