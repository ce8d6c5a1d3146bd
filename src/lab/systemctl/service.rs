//! Starting and stopping the processes of a unit for real, and knowing what became of them.

use super::unit::{Exec, Kind, Unit, expand};
use crate::lab::rootfs::LAB;
use rustix::process::{Pid, Signal};
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// `ActiveState` and `SubState`, as far as they occur here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// `active (running)` with its main process.
    Running(i32),
    /// `active (exited)`.
    Exited,
    /// `inactive (dead)`.
    Dead,
    /// `failed (failed)`.
    Failed,
}

impl State {
    /// `active`, `inactive`, `failed`.
    pub fn active(self) -> &'static str {
        match self {
            Self::Running(_) | Self::Exited => "active",
            Self::Dead => "inactive",
            Self::Failed => "failed",
        }
    }

    /// `running`, `exited`, `dead`, `failed`.
    pub fn sub(self) -> &'static str {
        match self {
            Self::Running(_) => "running",
            Self::Exited => "exited",
            Self::Dead => "dead",
            Self::Failed => "failed",
        }
    }
}

/// What a unit is now. The record says what was started; `/proc` and process 1's notes say what became of it.
pub fn state(name: &str) -> State {
    let Ok(record) = fs::read_to_string(record(name)) else { return State::Dead };
    let words: Vec<&str> = record.split_whitespace().collect();
    match words.as_slice() {
        ["exited"] => State::Exited,
        ["failed"] => State::Failed,
        ["pid", pid, born] => {
            let Ok(pid) = pid.parse() else { return State::Dead };
            if born_at(pid).is_some_and(|b| b == *born) {
                return State::Running(pid);
            }
            match exit_of(pid) {
                Some(how) if how != "exited 0" && how != "killed 15" => State::Failed,
                _ => State::Dead,
            }
        }
        _ => State::Dead,
    }
}

/// How a process ended. Process 1 notes that a moment after the process is gone, so it is waited for, a second at most.
fn exit_of(pid: i32) -> Option<String> {
    let note = Path::new(LAB).join("exit").join(pid.to_string());
    let until = Instant::now() + Duration::from_secs(1);
    loop {
        match fs::read_to_string(&note) {
            Ok(how) if !how.is_empty() => return Some(how),
            _ if Instant::now() > until => return None,
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Starts it. `Err`: its control process failed.
pub fn start(unit: &Unit) -> Result<(), ()> {
    if matches!(state(&unit.name), State::Running(_) | State::Exited) {
        return Ok(());
    }
    for dir in &unit.runtime {
        let _ = fs::create_dir_all(Path::new("/run").join(dir));
    }
    let fail = || {
        write(&record(&unit.name), "failed");
        Err(())
    };
    for exec in &unit.start {
        let long = exec.main && unit.kind == Kind::Simple;
        let Some(mut child) = spawn(unit, exec, 0) else {
            if exec.may_fail {
                continue;
            }
            return if long { write(&record(&unit.name), "failed").then_some(()).ok_or(()) } else { fail() };
        };
        if long {
            let pid = i32::try_from(child.id()).unwrap_or(0);
            write(&record(&unit.name), &format!("pid {pid} {}", born_at(pid).unwrap_or("gone".into())));
            return Ok(());
        }
        if !child.wait().is_ok_and(|s| s.success()) && !exec.may_fail {
            return fail();
        }
    }
    match (unit.kind, pid_from_file(unit)) {
        (Kind::Forking, Some(pid)) => {
            write(&record(&unit.name), &format!("pid {pid} {}", born_at(pid).unwrap_or("gone".into())));
        }
        (Kind::Forking, None) => {
            write(&record(&unit.name), "exited");
        }
        _ if unit.remain => {
            write(&record(&unit.name), "exited");
        }
        _ => {
            let _ = fs::remove_file(record(&unit.name));
        }
    }
    Ok(())
}

/// Stops it: `ExecStop=`, then SIGTERM, after ten seconds SIGKILL.
pub fn stop(unit: &Unit) {
    if let State::Running(pid) = state(&unit.name) {
        for exec in &unit.stop {
            if let Some(mut child) = spawn(unit, exec, pid) {
                let _ = child.wait();
            }
        }
        end(pid, Signal::TERM, unit.main_only);
        if !gone(pid, Duration::from_secs(10)) {
            end(pid, Signal::KILL, unit.main_only);
            gone(pid, Duration::from_secs(5));
        }
    }
    let _ = fs::remove_file(record(&unit.name));
}

/// Carries out `ExecReload=`. `Err`: it failed.
pub fn reload(unit: &Unit, pid: i32) -> Result<(), ()> {
    for exec in &unit.reload {
        let done = spawn(unit, exec, pid).is_some_and(|mut c| c.wait().is_ok_and(|s| s.success()));
        if !done && !exec.may_fail {
            return Err(());
        }
    }
    Ok(())
}

/// Where the output of a unit goes.
pub fn log(name: &str) -> PathBuf {
    Path::new(LAB).join("log").join(name)
}

fn spawn(unit: &Unit, exec: &Exec, main_pid: i32) -> Option<std::process::Child> {
    let mut env = unit.env.clone();
    if main_pid != 0 {
        env.insert("MAINPID".into(), main_pid.to_string());
    }
    let argv = expand(&exec.argv, &env);
    let log = File::options().create(true).append(true).open(log(&unit.name)).ok()?;
    let mut command = Command::new(argv.first()?);
    command.args(&argv[1..]).env_clear().envs(&env).env("PATH", super::PATH).env("LANG", "C.UTF-8");
    command.current_dir(unit.dir.as_deref().unwrap_or("/")).process_group(0);
    command.stdin(Stdio::null()).stdout(log.try_clone().ok()?).stderr(log);
    command.spawn().ok()
}

fn record(name: &str) -> PathBuf {
    Path::new(LAB).join("units").join(name)
}

fn write(path: &Path, text: &str) -> bool {
    fs::write(path, text).is_ok()
}

fn pid_from_file(unit: &Unit) -> Option<i32> {
    fs::read_to_string(unit.pid_file.as_ref()?).ok()?.trim().parse().ok()
}

/// Start time of a process in clock ticks: field 22 of its `stat`. `None` for a process that is gone or a zombie.
fn born_at(pid: i32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    (fields.first()? != &"Z").then(|| fields.get(19).map(ToString::to_string))?
}

fn end(pid: i32, signal: Signal, main_only: bool) {
    let Some(pid) = Pid::from_raw(pid) else { return };
    let _ = if main_only {
        rustix::process::kill_process(pid, signal)
    } else {
        rustix::process::kill_process_group(pid, signal)
    };
}

fn gone(pid: i32, within: Duration) -> bool {
    let until = Instant::now() + within;
    while born_at(pid).is_some() {
        if Instant::now() > until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}
