//! Unit files: where they lie, and the few keys of them that the simulated `systemctl` carries out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where unit files are looked for, the administrator's first.
pub const PATHS: &[&str] =
    &["/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// `Type=`. `notify`, `dbus` and `idle` are taken as `simple`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Started when it was forked.
    Simple,
    /// Started when it has ended well.
    Oneshot,
    /// Started when its first process has ended well.
    Forking,
}

/// A unit as far as it is simulated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// `npm.service`.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// `Description=`, the name if there is none.
    pub description: String,
    /// `Type=`.
    pub kind: Kind,
    /// `Type=` as written.
    pub type_name: String,
    /// `RemainAfterExit=`.
    pub remain: bool,
    /// `KillMode=process`: only the main process is stopped.
    pub main_only: bool,
    /// `ExecStartPre=`, `ExecStart=`.
    pub start: Vec<Exec>,
    /// `ExecReload=`.
    pub reload: Vec<Exec>,
    /// `ExecStop=`.
    pub stop: Vec<Exec>,
    /// `Environment=`, `EnvironmentFile=`.
    pub env: BTreeMap<String, String>,
    /// `WorkingDirectory=`.
    pub dir: Option<String>,
    /// `PIDFile=`.
    pub pid_file: Option<String>,
    /// `RuntimeDirectory=`.
    pub runtime: Vec<String>,
    /// `WantedBy=`.
    pub wanted_by: Vec<String>,
}

/// One command of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exec {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// A leading `-`: a failure does not count.
    pub may_fail: bool,
    /// True for `ExecStart=`, false for `ExecStartPre=`.
    pub main: bool,
}

/// `x` and `x.service` are the same.
pub fn full_name(name: &str) -> String {
    let has_type =
        name.rsplit_once('.').is_some_and(|(_, t)| ["service", "target", "timer", "socket", "mount"].contains(&t));
    if has_type { name.to_string() } else { format!("{name}.service") }
}

/// The file of a unit.
pub fn find(name: &str) -> Option<PathBuf> {
    PATHS.iter().map(|dir| Path::new(dir).join(name)).find(|p| p.exists())
}

/// Reads a unit's file. `None`: there is none, or it is not readable.
pub fn load(name: &str) -> Option<Unit> {
    let path = find(name)?;
    let text = std::fs::read_to_string(&path).ok()?;
    let mut unit = parse(name, &text);
    for file in env_files(&text) {
        let Ok(text) = std::fs::read_to_string(file) else { continue };
        for line in text.lines().map(str::trim).filter(|l| !l.starts_with('#')) {
            if let Some((key, value)) = line.split_once('=') {
                unit.env.insert(key.trim().into(), value.trim().trim_matches(['"', '\'']).into());
            }
        }
    }
    unit.path = path;
    Some(unit)
}

/// What a unit file says.
pub fn parse(name: &str, text: &str) -> Unit {
    let mut unit = Unit {
        name: name.into(),
        path: PathBuf::new(),
        description: name.into(),
        kind: Kind::Simple,
        type_name: "simple".into(),
        remain: false,
        main_only: false,
        start: Vec::new(),
        reload: Vec::new(),
        stop: Vec::new(),
        env: BTreeMap::new(),
        dir: None,
        pid_file: None,
        runtime: Vec::new(),
        wanted_by: Vec::new(),
    };
    for (key, value) in settings(text) {
        let yes = ["yes", "true", "on", "1"].contains(&value.as_str());
        match key.as_str() {
            "Description" => unit.description = value,
            "Type" => {
                unit.kind = match value.as_str() {
                    "oneshot" => Kind::Oneshot,
                    "forking" => Kind::Forking,
                    _ => Kind::Simple,
                };
                unit.type_name = value;
            }
            "RemainAfterExit" => unit.remain = yes,
            "KillMode" => unit.main_only = value == "process",
            "ExecStartPre" => exec(&mut unit.start, &value, false),
            "ExecStart" => exec(&mut unit.start, &value, true),
            "ExecReload" => exec(&mut unit.reload, &value, true),
            "ExecStop" => exec(&mut unit.stop, &value, true),
            "Environment" => {
                for word in words(&value) {
                    if let Some((k, v)) = word.split_once('=') {
                        unit.env.insert(k.into(), v.into());
                    }
                }
            }
            "WorkingDirectory" => unit.dir = Some(value.trim_start_matches('-').into()),
            "PIDFile" => unit.pid_file = Some(value),
            "RuntimeDirectory" => unit.runtime.extend(words(&value)),
            "WantedBy" => unit.wanted_by.extend(words(&value)),
            _ => {}
        }
    }
    unit
}

fn env_files(text: &str) -> Vec<String> {
    let files = settings(text).into_iter().filter(|(key, _)| key == "EnvironmentFile");
    files.map(|(_, value)| value.trim_start_matches('-').to_string()).collect()
}

/// Key and value of every line, continued lines joined, comments left out.
fn settings(text: &str) -> Vec<(String, String)> {
    let joined = text.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with(['#', ';', '[']));
    lines.filter_map(|l| l.split_once('=')).map(|(k, v)| (k.trim().into(), v.trim().into())).collect()
}

/// An empty value clears the list, as in systemd.
fn exec(list: &mut Vec<Exec>, value: &str, main: bool) {
    let command = value.trim_start_matches(['-', '@', ':', '+', '!']);
    let may_fail = value[..value.len() - command.len()].contains('-');
    let argv = words(command);
    if argv.is_empty() {
        list.retain(|e| e.main != main);
    } else {
        list.push(Exec { argv, may_fail, main });
    }
}

/// Words, with single and double quotes.
fn words(text: &str) -> Vec<String> {
    let (mut out, mut word, mut quote, mut open) = (Vec::new(), String::new(), None, false);
    for c in text.chars() {
        match quote {
            Some(q) if c == q => quote = None,
            None if c == '"' || c == '\'' => (quote, open) = (Some(c), true),
            None if c.is_whitespace() => {
                if open || !word.is_empty() {
                    out.push(std::mem::take(&mut word));
                }
                open = false;
            }
            _ => word.push(c),
        }
    }
    if open || !word.is_empty() {
        out.push(word);
    }
    out
}

/// The words of a command with `$NAME`, `${NAME}` and `$MAINPID` put in. `$NAME` alone becomes several words.
pub fn expand(argv: &[String], env: &BTreeMap<String, String>) -> Vec<String> {
    let mut out = Vec::new();
    for word in argv {
        match word.strip_prefix('$') {
            Some(name) if !name.starts_with('{') => out.extend(words(env.get(name).map_or("", String::as_str))),
            _ => {
                let mut word = word.clone();
                for (name, value) in env {
                    word = word.replace(&format!("${{{name}}}"), value);
                }
                out.push(word);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SSH: &str = "[Unit]\nDescription=OpenBSD Secure Shell server\n# comment\n[Service]\nEnvironment=\"A=b c\" D=e\nExecStartPre=/usr/sbin/sshd -t\nExecStart=/usr/sbin/sshd -D $SSHD_OPTS\nExecReload=-/bin/kill -HUP $MAINPID\nKillMode=process\nType=notify\n[Install]\nWantedBy=multi-user.target\n";

    #[test]
    fn debians_ssh_unit_is_understood() {
        let unit = parse("ssh.service", SSH);
        assert_eq!((unit.kind, unit.main_only), (Kind::Simple, true));
        assert_eq!(unit.description, "OpenBSD Secure Shell server");
        assert_eq!(unit.start[1].argv, ["/usr/sbin/sshd", "-D", "$SSHD_OPTS"]);
        assert!(!unit.start[0].main && unit.reload[0].may_fail);
        assert_eq!(unit.env["A"], "b c");
        assert_eq!(unit.wanted_by, ["multi-user.target"]);
    }

    #[test]
    fn names_become_words() {
        let env = BTreeMap::from([("OPTS".to_string(), "-p 22".to_string()), ("MAINPID".into(), "7".into())]);
        let argv = ["x", "$OPTS", "${MAINPID}", "$NONE"].map(String::from);
        assert_eq!(expand(&argv, &env), ["x", "-p", "22", "7"]);
        assert_eq!(words(r#"sh -c 'a  b' """#), ["sh", "-c", "a  b", ""]);
        assert_eq!((full_name("a.b").as_str(), full_name("x.target").as_str()), ("a.b.service", "x.target"));
    }
}
