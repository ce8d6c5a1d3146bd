//! Real sshd's on the loopback, with users of their own. All of it goes away when the values are dropped.

use piton::cmd::{Cmd, Output};
use piton::secret::Vault;
use piton::transport::{Batch, Remote, Settings, SshRemote, SshTarget, TransportError};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

/// `useradd` and `userdel` do not wait for each other.
static PASSWD: Mutex<()> = Mutex::new(());
static NEXT: AtomicU32 = AtomicU32::new(0);
static CHECK: Once = Once::new();

/// Says clearly what is missing; a test that skips itself proves nothing.
fn check_machine() {
    CHECK.call_once(|| {
        let uid = rustix::process::getuid();
        assert!(uid.is_root(), "tests/sshd add users and start sshd: run them as root (CI does)");
        let missing: Vec<&str> = [
            "sshd",
            "ssh",
            "ssh-keygen",
            "useradd",
            "userdel",
            "chpasswd",
            "sudo",
            "dash",
            "bash",
            "busybox",
            "posh",
            "tcsh",
            "tar",
        ]
        .into_iter()
        .filter(|tool| which(tool).is_none())
        .collect();
        assert!(
            missing.is_empty(),
            "tests/sshd need {missing:?}: apt-get install openssh-server openssh-client sudo tcsh posh busybox"
        );
        fs::create_dir_all("/run/sshd").unwrap();
        remove_stale_users();
    });
}

/// Users of test processes that were killed.
fn remove_stale_users() {
    let _guard = PASSWD.lock().unwrap_or_else(PoisonError::into_inner);
    for line in fs::read_to_string("/etc/passwd").unwrap().lines() {
        let name = line.split(':').next().unwrap_or_default();
        let Some(pid) = name.strip_prefix("piton-t-").and_then(|r| r.split('-').next()) else { continue };
        if !Path::new("/proc").join(pid).exists() {
            let _ = Command::new("userdel").arg(name).stderr(Stdio::null()).status();
            let _ = fs::remove_file(format!("/etc/sudoers.d/{name}"));
        }
    }
}

pub fn which(tool: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].iter().map(|d| Path::new(d).join(tool)).find(|p| p.exists())
}

pub fn sh(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A user with a home folder.
pub struct User {
    pub name: String,
    pub home: PathBuf,
}

impl Drop for User {
    fn drop(&mut self) {
        let _guard = PASSWD.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = fs::remove_file(format!("/etc/sudoers.d/{}", self.name));
        let _ = Command::new("userdel").args(["-f", &self.name]).stderr(Stdio::null()).status();
    }
}

impl User {
    /// Everything that this user runs.
    pub fn processes(&self) -> Vec<String> {
        let uid = fs::metadata(&self.home).map(|m| std::os::unix::fs::MetadataExt::uid(&m)).unwrap();
        processes(|pid| {
            fs::metadata(format!("/proc/{pid}")).is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == uid)
        })
    }

    /// A line for sudoers, checked before it counts.
    pub fn sudoers(&self, line: &str) {
        let temp = self.home.join("sudoers");
        fs::write(&temp, format!("{} {line}\n", self.name)).unwrap();
        fs::set_permissions(&temp, fs::Permissions::from_mode(0o440)).unwrap();
        sh("visudo", &["-cqf", temp.to_str().unwrap()]);
        fs::copy(&temp, format!("/etc/sudoers.d/{}", self.name)).unwrap();
    }
}

/// Command lines of processes.
pub fn processes(wanted: impl Fn(u32) -> bool) -> Vec<String> {
    let pids = fs::read_dir("/proc").unwrap().filter_map(|e| e.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let line = |pid: u32| {
        let text = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let text = String::from_utf8_lossy(&text).replace('\0', " ").trim().to_string();
        (!text.is_empty()).then_some(text)
    };
    pids.filter(|pid| wanted(*pid)).filter_map(line).collect()
}

/// Polls until it holds, with a message after ten seconds.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(10), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// One sshd.
pub struct Sshd {
    pub dir: tempfile::TempDir,
    pub port: u16,
    pub vault: Arc<Vault>,
    child: Child,
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Sshd {
    pub fn start() -> Self {
        Self::with("")
    }

    /// With more lines for its configuration.
    pub fn with(more: &str) -> Self {
        check_machine();
        let dir = tempfile::Builder::new().prefix("piton-sshd-").tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let path = |name: &str| dir.path().join(name);
        for key in ["host", "user"] {
            sh("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", path(key).to_str().unwrap()]);
        }
        for folder in ["keys", "home", "shells", "run"] {
            fs::create_dir(path(folder)).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let d = dir.path().display();
        let config = format!(
            "{more}\nListenAddress 127.0.0.1\nPort {port}\nHostKey {d}/host\nPidFile none\nUsePAM no\nStrictModes no\n\
             AuthorizedKeysFile {d}/keys/%u\nPermitRootLogin yes\nPasswordAuthentication no\nMaxStartups 100\n\
             PrintMotd no\nUseDNS no\n"
        );
        fs::write(path("sshd_config"), config).unwrap();
        let key = fs::read_to_string(path("host.pub")).unwrap();
        fs::write(path("known_hosts"), format!("[127.0.0.1]:{port} {key}")).unwrap();
        let client = format!(
            "Host *\n  IdentityFile {d}/user\n  IdentitiesOnly yes\n  IdentityAgent none\n  UserKnownHostsFile \
             {d}/known_hosts\n  GlobalKnownHostsFile /dev/null\n"
        );
        fs::write(path("ssh_config"), client).unwrap();
        let child = Command::new(which("sshd").unwrap())
            .args(["-D", "-E"])
            .arg(path("sshd.log"))
            .arg("-f")
            .arg(path("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let sshd = Self { dir, port, vault: Arc::default(), child };
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(10), "sshd did not start: {}", sshd.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        sshd
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("sshd.log")).unwrap_or_default()
    }

    /// A user with this login shell: `dash`, `bash`, `busybox`, `posh` or `tcsh`.
    pub fn user(&self, shell: &str) -> User {
        let program = if shell == "busybox" {
            let link = self.dir.path().join("shells/sh");
            let _ = symlink(which("busybox").unwrap(), &link);
            link
        } else {
            which(shell).unwrap()
        };
        let name = format!("piton-t-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let home = self.dir.path().join("home").join(&name);
        fs::create_dir(&home).unwrap();
        let guard = PASSWD.lock().unwrap_or_else(PoisonError::into_inner);
        let (shell, dir) = (program.to_str().unwrap(), home.to_str().unwrap());
        sh("useradd", &["-M", "-d", dir, "-s", shell, "-p", "*", &name]);
        drop(guard);
        sh("chown", &[&format!("{name}:"), dir]);
        fs::copy(self.dir.path().join("user.pub"), self.dir.path().join("keys").join(&name)).unwrap();
        User { name, home }
    }

    /// Lets root log in.
    pub fn root(&self) -> &'static str {
        fs::copy(self.dir.path().join("user.pub"), self.dir.path().join("keys/root")).unwrap();
        "root"
    }

    pub fn target(&self, user: &str) -> SshTarget {
        SshTarget {
            name: "web".into(),
            address: "127.0.0.1".into(),
            user: Some(user.into()),
            port: Some(self.port),
            config: Some(self.dir.path().join("ssh_config")),
            become_password: None,
            jump: None,
        }
    }

    pub fn settings(&self) -> Settings {
        Settings::new(self.dir.path().join("run"), Arc::clone(&self.vault))
    }

    pub async fn connect(&self, user: &str) -> SshRemote {
        self.try_connect(user).await.unwrap()
    }

    pub async fn try_connect(&self, user: &str) -> Result<SshRemote, TransportError> {
        SshRemote::connect(self.target(user), self.settings()).await
    }
}

/// Runs one command that must come back.
pub async fn run(remote: &dyn Remote, cmd: Cmd) -> Output {
    remote.run(Batch::one(cmd)).await.remove(0).unwrap()
}

/// The same for shell text.
pub async fn sh_text(remote: &dyn Remote, text: &str) -> Output {
    run(remote, Cmd::shell(text)).await
}
