//! A small model of one node with one VM, behind a line that understands the commands of the *api* carrier.

use crate::cmd::{Cmd, Output};
use crate::modules::{FetchFile, PutFile, PutTree};
use crate::transport::{Batch, Boxed, Remote, TransportError};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::time::Duration;

/// The node: one VM 102.
pub struct Node {
    pub snapshots: Vec<(String, String)>,
    pub parent: Option<String>,
    pub running: bool,
    pub config: Value,
    pub storage: &'static str,
    pub firewall: Option<String>,
    /// Exit status of the next tasks of this kind.
    pub fails: Vec<(&'static str, &'static str)>,
    /// A snapshot task ends well and leaves nothing.
    pub lies: bool,
    /// The line is lost at this call.
    pub cut_at: Option<&'static str>,
    pub done: Vec<String>,
    pub last: String,
    /// A lock that goes away after so many looks.
    pub lock: Option<(&'static str, u32)>,
    /// A snapshot that an earlier task finishes while ours fails.
    pub late: Option<(&'static str, &'static str)>,
    /// A snapshot task that runs when it is looked for the first time.
    pub earlier: Option<(&'static str, &'static str)>,
}

/// The line to it.
pub struct Fake(pub Mutex<Node>);

impl Node {
    pub fn new() -> Self {
        Self {
            snapshots: Vec::new(),
            parent: None,
            running: true,
            config: json!({"scsi0": "tank:vm-102-disk-0", "name": "intranet"}),
            storage: "lvmthin",
            firewall: Some("[OPTIONS]\n\nenable: 1\n".into()),
            fails: Vec::new(),
            lies: false,
            cut_at: None,
            done: Vec::new(),
            last: "OK".into(),
            lock: None,
            late: None,
            earlier: None,
        }
    }

    pub fn with(mut self, names: &[(&str, &str)]) -> Self {
        self.snapshots = names.iter().map(|(n, d)| ((*n).to_string(), (*d).to_string())).collect();
        self.parent = self.snapshots.last().map(|(n, _)| n.clone());
        self
    }

    fn list(&self) -> Value {
        let mut rows: Vec<Value> = Vec::new();
        for (i, (name, description)) in self.snapshots.iter().enumerate() {
            let mut row = json!({"name": name, "snaptime": 100 + i, "vmstate": 0, "description": description});
            if i > 0 {
                row["parent"] = json!(self.snapshots[i - 1].0);
            }
            rows.push(row);
        }
        let mut current = json!({"name": "current", "running": u8::from(self.running), "description": "You are here!"});
        if let Some(parent) = &self.parent {
            current["parent"] = json!(parent);
        }
        rows.push(current);
        json!(rows)
    }

    fn get(&mut self, path: &str) -> Value {
        match path {
            "/nodes/pve/qemu/102/config" => {
                let mut config = self.config.clone();
                if let Some((lock, looks)) = self.lock.take() {
                    config["lock"] = json!(lock);
                    self.lock = looks.checked_sub(1).map(|n| (lock, n));
                }
                config
            }
            "/nodes/pve/qemu/102/status/current" => {
                json!({"status": if self.running { "running" } else { "stopped" }, "vmid": 102})
            }
            "/nodes/pve/qemu/102/snapshot" => self.list(),
            "/nodes/pve/tasks" => {
                let upid = "UPID:pve:0000402A:000CBD83:6B0282B9:qmsnapshot:102:root@pam:";
                let row = json!({"upid": upid, "status": "RUNNING"});
                let other = json!({"upid": upid.replace("qmsnapshot", "vzdump"), "status": "RUNNING"});
                let ended = json!({"upid": upid, "status": "OK", "endtime": 5});
                match self.earlier.take() {
                    Some(snapshot) => {
                        self.snapshots.push((snapshot.0.into(), snapshot.1.into()));
                        json!([other, ended, row])
                    }
                    None => json!([other, ended]),
                }
            }
            "/storage" => json!([{"storage": "tank", "type": self.storage}]),
            _ if path.contains("/status") => json!({"status": "stopped", "exitstatus": self.last}),
            _ if path.contains("/log") => json!([{"n": 1, "t": "TASK OK"}]),
            other => panic!("{other}"),
        }
    }

    fn act(&mut self, method: &str, path: &str, params: &[(String, String)]) -> Value {
        let what = path.trim_start_matches("/nodes/pve/qemu/102");
        self.done.push(format!("{method} {what}"));
        let name = what.split('/').nth(2).unwrap_or_default().to_string();
        let param = |key: &str| params.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone()).unwrap_or_default();
        let kind = match (method, what) {
            ("POST", "/snapshot") => "qmsnapshot",
            ("POST", "/status/start") => "qmstart",
            ("DELETE", _) => "qmdelsnapshot",
            _ => "qmrollback",
        };
        self.last = "OK".into();
        if let Some(at) = self.fails.iter().position(|(k, _)| *k == kind) {
            self.last = self.fails.remove(at).1.to_string();
            if let Some((name, description)) = self.late.take() {
                self.snapshots.push((name.into(), description.into()));
            }
        } else {
            match kind {
                "qmsnapshot" if !self.lies => {
                    self.snapshots.push((param("snapname"), param("description")));
                    self.parent = Some(param("snapname"));
                }
                "qmstart" => self.running = true,
                "qmdelsnapshot" => self.snapshots.retain(|(n, _)| *n != name),
                "qmrollback" if !self.lies => {
                    self.parent = Some(name);
                    self.running = false;
                }
                _ => {}
            }
        }
        json!(format!("UPID:pve:0000402A:000CBD83:6B0282B9:{kind}:102:root@pam:"))
    }
}

fn decoded(text: &str) -> Vec<(String, String)> {
    let un = |t: &str| crate::pve::encode::unescape(t).into_owned();
    text.split('&').filter_map(|p| p.split_once('=')).map(|(k, v)| (un(k), un(v))).collect()
}

impl Fake {
    fn answer(&self, cmd: &Cmd) -> Result<Output, TransportError> {
        let mut node = self.0.lock().unwrap();
        if cmd.argv[0] == "perl" {
            return Ok(Output::of(0, "piton-ticket 1\nnode pve\nticket PVE:root@pam:1::ab\ncsrf 1:ab\n", ""));
        }
        if cmd.argv[0] == "sh" {
            let text = &cmd.argv[2];
            let is_file = cmd.argv.get(4).is_some_and(|p| p == "/etc/pve/firewall/102.fw");
            return Ok(match text.split(' ').next().unwrap() {
                "echo" => Output::of(0, "uid 0\nhas curl\nhas perl\nhas pvedaemon\n", ""),
                "if" if is_file => match &node.firewall {
                    Some(content) => Output::of(0, &format!("there\n{content}"), ""),
                    None => Output::of(0, "absent\n", ""),
                },
                "cat" if is_file => {
                    node.firewall = cmd.stdin.clone();
                    Output::of(0, "", "")
                }
                "rm" if is_file => {
                    node.firewall = None;
                    Output::of(0, "", "")
                }
                other => panic!("{other}"),
            });
        }
        let config = cmd.stdin.clone().unwrap();
        let nonce = config.split("write-out = \"\\n").nth(1).unwrap().split(' ').next().unwrap().to_string();
        let mut out = String::new();
        for block in config.split("next\n") {
            let value = |key: &str| block.lines().find_map(|l| l.strip_prefix(key)?.strip_suffix('"'));
            let url = value("url = \"http://127.0.0.1:85/api2/json").unwrap();
            let path = url.split('?').next().unwrap();
            let method = value("request = \"").unwrap_or("GET");
            if node.cut_at.is_some_and(|at| format!("{method} {path}").contains(at)) {
                return Err(TransportError::Lost { host: "pve".into(), why: "cut".into() });
            }
            let data: Vec<String> = block
                .lines()
                .filter_map(|l| l.strip_prefix("data-raw = \"")?.strip_suffix('"'))
                .map(str::to_string)
                .collect();
            let data = match method {
                "GET" => node.get(path),
                _ => node.act(method, path, &decoded(&data.join("&"))),
            };
            out.push_str(&format!("HTTP/1.1 200 OK\r\n\r\n{}\n{nonce} 0 9 \n", json!({ "data": data })));
        }
        Ok(Output::of(0, &out, ""))
    }
}

impl Remote for Fake {
    fn name(&self) -> &'static str {
        "pve"
    }

    fn via(&self) -> &'static str {
        "fake"
    }

    fn run(&self, batch: Batch) -> Boxed<'_, Vec<Result<Output, TransportError>>> {
        let out = batch.cmds.iter().map(|cmd| self.answer(cmd)).collect();
        Box::pin(async move { out })
    }

    fn put<'a>(&'a self, _: &'a PutFile) -> Boxed<'a, Result<(), TransportError>> {
        unreachable!()
    }

    fn put_tree<'a>(&'a self, _: &'a PutTree) -> Boxed<'a, Result<(), TransportError>> {
        unreachable!()
    }

    fn fetch<'a>(&'a self, _: &'a FetchFile) -> Boxed<'a, Result<(), TransportError>> {
        unreachable!()
    }

    fn cancel(&self, _: Duration) -> Boxed<'_, ()> {
        unreachable!()
    }

    fn close(&self) -> Boxed<'_, ()> {
        unreachable!()
    }
}
