//! piton as a person drives it: a project, a state directory and a lab; and what hosts look like, to compare.

use crate::ground::{Ground, PITON, Said};
use piton::event::{Event, Outcome, Problem, RunEnd, Stamped};
use piton::lab::{self, Lever, Reply};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A lab with a project and a state directory of its own.
pub struct Drive {
    pub ground: Ground,
    dir: tempfile::TempDir,
}

/// A run as `--format json` tells it.
#[derive(Debug)]
pub struct Told {
    pub code: i32,
    pub events: Vec<Stamped>,
    pub err: String,
}

/// Path or API path, and what is there. Two of them are equal if nothing was changed, not even a time (but that of
/// `/var/lib`, where leases come and go).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looks(pub BTreeMap<String, String>);

impl Drive {
    pub async fn up() -> Self {
        let drive = Self { ground: Ground::up().await, dir: tempfile::tempdir().unwrap() };
        for folder in ["project/runbooks", "project/files", "project/templates"] {
            fs::create_dir_all(drive.dir.path().join(folder)).unwrap();
        }
        drive
    }

    pub fn project(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    pub fn state(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// Writes a file of the project.
    pub fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.project().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    pub fn inventory(&self) -> PathBuf {
        self.ground.dir().join("inventory.yml")
    }

    /// `piton ARGS`, in the project, without a terminal. `@NAME` is the runbook of that name.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(PITON);
        command
            .current_dir(self.project())
            .env("PITON_STATE_DIR", self.state())
            .env("PITON_INVENTORY", self.inventory())
            .env("USER", "tester")
            .env_remove("NO_COLOR")
            .stdin(Stdio::null())
            .args(args.iter().map(|a| a.strip_prefix('@').map_or((*a).to_string(), |n| format!("runbooks/{n}.yml"))));
        command
    }

    /// What a person reads.
    pub fn say(&self, args: &[&str]) -> Said {
        Said::of(self.command(args).output().unwrap())
    }

    /// What a program reads.
    #[track_caller]
    pub fn tell(&self, args: &[&str]) -> Told {
        let said = self.say(&[args, &["--format", "json"]].concat());
        Told { code: said.code, events: events(&said.out), err: said.err }
    }

    pub async fn pull(&self, words: &str) {
        let words: Vec<String> = words.split(' ').map(String::from).collect();
        lab::lever(&self.ground.layout, Lever::parse(&words).unwrap()).await.unwrap();
    }

    /// Every file of the host, with kind, mode, owner, time, target and digest; of the node also what its API says.
    #[track_caller]
    pub fn looks(&self, host: &str) -> Looks {
        let script = "cd /; find etc opt srv var root home usr/local -xdev \\( -type f -o -type l -o -type d \\) \
                      -printf '%p\\t%M %U:%G %T@ %l\\n'; echo --; \
                      find etc opt srv var root home usr/local -xdev -type f -print0 | xargs -0 sha256sum";
        let out = self.inside(host, script);
        let (inodes, digests) = out.split_once("--\n").unwrap();
        let mut all: BTreeMap<String, String> = inodes
            .lines()
            .map(|line| line.split_once('\t').unwrap())
            .map(|(path, about)| (path.to_string(), about.trim_end().to_string()))
            .collect();
        // A run leases the node: a folder in here comes and goes, so the time says nothing. What is in it is looked at.
        if let Some(about) = all.get_mut("var/lib") {
            *about = about.split(' ').take(2).collect::<Vec<_>>().join(" ");
        }
        for line in digests.lines() {
            let (digest, path) = line.split_once("  ").unwrap();
            all.get_mut(path).unwrap().push_str(&format!(" {digest}"));
        }
        if host == "pve" {
            let paths = Self::api_paths();
            for (path, body) in paths.iter().zip(crate::proxmox::get_all(self, &paths)) {
                all.insert(format!("api {path}"), body);
            }
        }
        Looks(all)
    }

    /// Runs a script in a host by the lab's own door, which costs less than ssh.
    #[track_caller]
    pub fn inside(&self, host: &str, script: &str) -> String {
        let argv = ["sh", "-c", script];
        let exec = self.ground.exec(host, &argv);
        match tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(exec)) {
            Reply::Ended { code: Some(0), stdout, stderr } if stderr.is_empty() => stdout,
            other => panic!("{host}: {other:?}"),
        }
    }

    fn api_paths() -> Vec<String> {
        let of = |vm: u32| [format!("/nodes/pve/qemu/{vm}/config"), format!("/nodes/pve/qemu/{vm}/snapshot")];
        let own = ["/nodes/pve/network", "/nodes/pve/tasks"].map(String::from);
        of(101).into_iter().chain(of(102)).chain(own).collect()
    }

    /// All three hosts.
    #[track_caller]
    pub fn all(&self) -> [Looks; 3] {
        ["pve", "extranet", "intranet"].map(|host| self.looks(host))
    }

    /// Names of the snapshots of a machine, `current` left out.
    pub fn snapshots(&self, vm: u32) -> Vec<String> {
        let (_, list) = crate::proxmox::call(&self.ground, "GET", &format!("/nodes/pve/qemu/{vm}/snapshot"), &[]);
        let names = list["data"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap().to_string());
        names.filter(|name| name != "current").collect()
    }

    /// `cat FILE` on a host.
    #[track_caller]
    pub fn cat(&self, host: &str, file: &str) -> String {
        let said = self.ground.ssh(host, &format!("cat {file}"));
        assert_eq!(said.code, 0, "{said:?}");
        said.out
    }
}

/// One event a line.
#[track_caller]
pub fn events(text: &str) -> Vec<Stamped> {
    let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("not an event: {e}: {line}"));
    text.lines().map(read).collect()
}

impl Told {
    pub fn run(&self) -> String {
        self.find(|e| match e {
            Event::RunStarted { run, .. } => Some(run.to_string()),
            _ => None,
        })
        .expect("a run that has begun")
    }

    pub fn find<T>(&self, of: impl Fn(&Event) -> Option<T>) -> Option<T> {
        self.events.iter().find_map(|e| of(&e.event))
    }

    /// Guest and name of each snapshot taken.
    pub fn taken(&self) -> Vec<(String, String)> {
        let of = |e: &Stamped| match &e.event {
            Event::CheckpointTaken { guest, name, .. } => Some((guest.clone(), name.clone())),
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }

    /// `STEP on HOST: OUTCOME` in order, sections left out of the step's name.
    pub fn outcomes(&self) -> Vec<String> {
        let of = |e: &Stamped| match &e.event {
            Event::TaskEnded { task, outcome, .. } => {
                let step = task.step.0.rsplit('/').next().unwrap_or_default();
                let item = task.item.map_or(String::new(), |i| format!("[{i}]"));
                Some(format!("{step}{item} on {}: {}", task.host, outcome.word()))
            }
            _ => None,
        };
        self.events.iter().filter_map(of).collect()
    }

    /// Why the first step that failed, or is unknown, is so.
    pub fn why(&self) -> String {
        self.find(|e| match e {
            Event::TaskEnded {
                outcome: Outcome::Failed(why) | Outcome::Unknown(why) | Outcome::Ignored(why), ..
            } => Some(why.clone()),
            _ => None,
        })
        .unwrap_or_default()
    }

    /// Why it was not begun.
    pub fn problems(&self) -> Vec<Problem> {
        self.find(|e| if let Event::Refused { problems } = e { Some(problems.clone()) } else { None })
            .unwrap_or_default()
    }

    pub fn end(&self) -> Option<RunEnd> {
        self.find(|e| match e {
            Event::RunEnded { end, .. } => Some(*end),
            _ => None,
        })
    }
}

impl Looks {
    /// The same without times: what an undo gives back.
    pub fn timeless(&self) -> Self {
        let mut out = self.0.clone();
        out.retain(|path, _| !path.contains("/tasks"));
        for about in out.values_mut() {
            let words: Vec<&str> = about.split(' ').collect();
            if words.len() > 2 && words[0].len() == 10 {
                *about =
                    words.iter().enumerate().filter(|(i, _)| *i != 2).map(|(_, w)| *w).collect::<Vec<_>>().join(" ");
            }
        }
        Self(out)
    }

    /// What is another in `self` than in `before`; empty if all is the same.
    pub fn beside(&self, before: &Self) -> Vec<String> {
        let keys: std::collections::BTreeSet<_> = self.0.keys().chain(before.0.keys()).collect();
        let differs = |key: &&String| self.0.get(*key) != before.0.get(*key);
        let line = |key: &String| format!("{key}: {:?} -> {:?}", before.0.get(key), self.0.get(key));
        keys.into_iter().filter(differs).map(line).collect()
    }
}

/// Fails with what is another, if anything is.
#[track_caller]
pub fn same(now: &Looks, before: &Looks, what: &str) {
    assert_eq!(now.beside(before), Vec::<String>::new(), "{what}");
}

/// The whole content of a folder: path and bytes of each file.
pub fn files_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            out.extend(files_below(&path));
        } else if path.is_file() {
            out.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    out
}
