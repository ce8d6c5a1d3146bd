//! Process 1 of a lab host: builds its file system, starts its enabled units, buries the dead.
//!
//! It ends, and with it every process of the host, when its standard input does: that is the daemon's life line, so
//! a daemon killed by `kill -9` leaves nothing behind.

use super::{LabError, Layout, rootfs, systemctl};
use rustix::process::{Signal, WaitOptions, WaitStatus};
use std::io::Read;
use std::path::Path;
use std::time::Duration;

/// `DIR HOST`: becomes the host. Prints `ready PID` (seen from the daemon) when its units are started.
pub fn main(args: &[String]) -> u8 {
    let [dir, host] = args else {
        eprintln!("piton lab: process 1 of a host wants DIR and HOST");
        return 2;
    };
    match run(Path::new(dir), host) {
        Ok(()) => 0,
        Err(e) => {
            eprintln!("{host}: {e}");
            1
        }
    }
}

fn run(dir: &Path, host: &str) -> Result<(), LabError> {
    // The machine's /proc is still mounted: it names us as the daemon sees us.
    let outside = std::fs::read_link("/proc/self").map_err(LabError::io("reading /proc/self"))?;
    let sys = |what: &'static str| move |e: rustix::io::Errno| LabError::Io { what: what.into(), source: e.into() };
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(sys("asking for the death signal"))?;
    rustix::process::setsid().map_err(sys("starting a session"))?;
    let layout = Layout::new(Some(dir))?;
    rootfs::enter(&layout, host)?;
    rustix::system::sethostname(host.as_bytes()).map_err(sys("setting the host name"))?;
    std::thread::spawn(|| {
        let mut rest = Vec::new();
        let _ = std::io::stdin().read_to_end(&mut rest);
        std::process::exit(0);
    });
    systemctl::boot();
    println!("ready {}", outside.display());
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) => bury(pid.as_raw_nonzero().get(), status),
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Writes down how a process ended: `systemctl` tells `inactive` from `failed` by it.
fn bury(pid: i32, status: WaitStatus) {
    let how = match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exited {code}"),
        (None, Some(signal)) => format!("killed {signal}"),
        (None, None) => return,
    };
    systemctl::write_exit(pid, &how);
}
