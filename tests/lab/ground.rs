//! A lab for one test, gone afterwards whatever happens.

use piton::lab::{self, Layout, Options, Reply, Request};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// The binary under test.
pub const PITON: &str = env!("CARGO_BIN_EXE_piton");

pub struct Ground {
    pub layout: Layout,
    // A short path: sockets live in it.
    _dir: tempfile::TempDir,
}

impl Ground {
    /// A directory where no lab is yet.
    pub fn empty() -> Self {
        let dir = tempfile::Builder::new().prefix("plab").tempdir_in("/tmp").unwrap();
        let layout = Layout::new(Some(&dir.path().join("lab"))).unwrap();
        Self { layout, _dir: dir }
    }

    /// A lab that is up.
    pub async fn up() -> Self {
        let ground = Self::empty();
        ground.start().await;
        ground
    }

    pub async fn start(&self) -> lab::Up {
        let options = Options { dir: Some(self.dir().to_path_buf()), piton: Some(PITON.into()) };
        lab::up(options, &|_| ()).await.unwrap_or_else(|e| panic!("the lab did not come up: {e}"))
    }

    pub fn dir(&self) -> &Path {
        self.layout.dir()
    }

    /// What a person sees who runs a shell command on a host.
    pub fn ssh(&self, host: &str, command: &str) -> Said {
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(self.layout.ssh_config()).args(["-o", "ConnectTimeout=3", host, command]);
        Said::of(ssh.output().expect("ssh is installed"))
    }

    pub async fn ask(&self, request: Request) -> Reply {
        lab::ask(&self.layout, &request).await.unwrap()
    }

    pub async fn exec(&self, host: &str, argv: &[&str]) -> Reply {
        self.ask(Request::Exec { host: host.into(), argv: argv.iter().map(ToString::to_string).collect() }).await
    }

    pub fn daemon(&self) -> i32 {
        fs::read_to_string(self.layout.file("daemon.pid")).unwrap().trim().parse().unwrap()
    }

    /// Command lines of living processes that name this lab.
    pub fn processes(&self) -> Vec<String> {
        processes()
            .into_iter()
            .filter(|(_, line)| line.contains(&self.dir().display().to_string()))
            .map(|p| p.1)
            .collect()
    }

    /// Mounts of this namespace that name this lab.
    pub fn mounts(&self) -> Vec<String> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        mounts.lines().filter(|l| l.contains(&self.dir().display().to_string())).map(String::from).collect()
    }

    pub fn ports(&self) -> Vec<u16> {
        self.layout.read().unwrap().ports.into_values().collect()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if self.dir().exists() {
            let _ = Command::new(PITON).args(["lab", "down", "--dir"]).arg(self.dir()).output();
        }
    }
}

/// Exit status and texts, to compare at once.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    pub fn is(code: i32, out: &str, err: &str) -> Self {
        Self { code, out: out.into(), err: err.into() }
    }
}

/// Living processes, zombies left out: number and command line.
pub fn processes() -> Vec<(i32, String)> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter_map(|e| e.file_name().to_str()?.parse().ok());
    let line = |pid: i32| {
        let line = fs::read(PathBuf::from(format!("/proc/{pid}/cmdline"))).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        (!line.is_empty()).then_some((pid, line))
    };
    numbers.filter_map(line).collect()
}

/// True if somebody listens on the port.
pub fn listens(port: u16) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Polls until it is so; fails after five seconds.
#[track_caller]
pub fn until(what: &str, is: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(5);
    while !is() {
        assert!(Instant::now() < end, "not within five seconds: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
