//! The names under which the piton binary stands for another program in a lab host.

use super::layout::NODE;
use std::process::ExitCode;

/// Programs of every host.
const EVERYWHERE: &[&str] = &["systemctl", "lab-httpd"];

/// Programs of the node. `curl` only where the machine has one, see [`of`].
const NODE_ONLY: &[&str] =
    &["qm", "pvesh", "pvesm", "pveversion", "pvenode", "vzdump", "qmrestore", "pve-firewall", "ifreload"];

/// The argument that makes piton process 1 of a host: `piton __lab-init DIR HOST`.
pub const INIT: &str = "__lab-init";

/// Names that exist in this host.
pub fn of(host: &str) -> Vec<&'static str> {
    let mut names = EVERYWHERE.to_vec();
    if host == NODE {
        names.extend(NODE_ONLY);
        if std::path::Path::new("/usr/bin/curl").exists() {
            names.push("curl");
        }
    }
    names
}

/// Runs the face that the program was called by. `None`: it was called as `piton`, for a person.
///
/// `main` calls this before it parses anything. `args` begins with the program's name.
pub fn run(args: &[String]) -> Option<ExitCode> {
    let name = args.first()?.rsplit('/').next()?;
    let rest = &args[1..];
    let code = match name {
        "systemctl" => super::systemctl::main(rest),
        "lab-httpd" => super::httpd::main(rest),
        "curl" => super::curl::main(rest),
        name if NODE_ONLY.contains(&name) => {
            eprintln!("piton lab: {name} is not simulated");
            127
        }
        _ if rest.first().is_some_and(|a| a == INIT) => super::init::main(&rest[1..]),
        _ => return None,
    };
    Some(ExitCode::from(code))
}
