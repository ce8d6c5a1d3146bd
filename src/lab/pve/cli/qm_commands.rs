//! The commands of `qm`: what they are called, which words and options they take, which API call they make.

use super::args::Takes;
use crate::lab::pve::schema::Kind;
use crate::lab::pve::vmconfig::kind_of;

/// A command that is one API call on one machine.
#[derive(Debug, Clone, Copy)]
pub struct Command {
    /// As typed; older names of one command stand beside it.
    pub names: &'static [&'static str],
    /// HTTP method.
    pub method: &'static str,
    /// Below the machine; `{}` is the second word.
    pub path: &'static str,
    /// Parameter names of the words after the VMID. The empty name is the `{}` of the path.
    pub words: &'static [&'static str],
    /// Options that take a value.
    pub values: &'static [&'static str],
    /// Options that are booleans.
    pub flags: &'static [&'static str],
    /// Takes the keys of a configuration too.
    pub config: bool,
}

const fn command(names: &'static [&'static str], method: &'static str, path: &'static str) -> Command {
    Command { names, method, path, words: &[], values: &[], flags: &[], config: false }
}

/// All of them.
pub const COMMANDS: [Command; 14] = [
    Command { flags: &["skiplock"], values: &["timeout", "machine"], ..command(&["start"], "POST", "status/start") },
    Command {
        flags: &["skiplock", "keepActive", "overrule-shutdown"],
        values: &["timeout"],
        ..command(&["stop"], "POST", "status/stop")
    },
    Command {
        flags: &["skiplock", "keepActive", "forceStop"],
        values: &["timeout"],
        ..command(&["shutdown"], "POST", "status/shutdown")
    },
    Command { values: &["timeout"], ..command(&["reboot"], "POST", "status/reboot") },
    Command { flags: &["skiplock"], ..command(&["reset"], "POST", "status/reset") },
    Command {
        flags: &["skiplock", "todisk"],
        values: &["statestorage"],
        ..command(&["suspend"], "POST", "status/suspend")
    },
    Command { flags: &["skiplock", "nocheck"], ..command(&["resume"], "POST", "status/resume") },
    Command {
        words: &["snapname"],
        values: &["description"],
        flags: &["vmstate"],
        ..command(&["snapshot"], "POST", "snapshot")
    },
    Command { words: &[""], flags: &["start"], ..command(&["rollback"], "POST", "snapshot/{}/rollback") },
    Command { words: &[""], flags: &["force"], ..command(&["delsnapshot"], "DELETE", "snapshot/{}") },
    Command { flags: &["purge", "skiplock", "destroy-unreferenced-disks"], ..command(&["destroy"], "DELETE", "") },
    Command {
        values: &["digest", "delete", "revert", "background_delay"],
        flags: &["force", "skiplock"],
        config: true,
        ..command(&["set"], "PUT", "config")
    },
    Command {
        values: &["archive", "storage", "bwlimit", "pool"],
        flags: &["force", "unique", "start", "live-restore"],
        config: true,
        ..command(&["create"], "POST", "")
    },
    Command { values: &["idlist"], flags: &["force"], ..command(&["disk unlink", "unlink"], "PUT", "unlink") },
];

impl Command {
    /// What an option takes; none if the command does not know it.
    pub fn takes(&self, option: &str) -> Option<Takes> {
        if self.flags.contains(&option) {
            return Some(Takes::MaybeValue);
        }
        if self.values.contains(&option) {
            return Some(Takes::Value);
        }
        self.config.then(|| kind_of(option)).flatten().map(|kind| match kind {
            Kind::Bool => Takes::MaybeValue,
            _ => Takes::Value,
        })
    }
}
