//! The names under which the piton binary stands for another program in a lab host.

use super::layout::NODE;
use super::pve::cli;
use std::path::Path;
use std::process::ExitCode;

/// Programs of every host.
const EVERYWHERE: &[&str] = &["systemctl", "lab-httpd"];

/// Programs that would act on the machine, or fail in ways that no real host shows, where the machine has them: in a
/// lab host they say that they are not simulated.
const MASKED: &[&str] = &["apt", "apt-get", "docker", "ufw", "zfs", "zpool"];

/// Programs of a node that nothing simulates yet; those that are simulated name themselves in [`cli::NAMES`].
const NOT_YET: &[&str] = &["vzdump", "qmrestore", "pve-firewall"];

/// The argument that makes piton process 1 of a host: `piton __lab-init DIR HOST`.
pub const INIT: &str = "__lab-init";

/// Names that exist in this host.
pub fn of(host: &str) -> Vec<&'static str> {
    let has = |name: &str| ["/usr/bin", "/usr/sbin"].iter().any(|dir| Path::new(dir).join(name).exists());
    let mut names = EVERYWHERE.to_vec();
    names.extend(MASKED.iter().filter(|name| has(name)));
    if host == NODE {
        names.extend(cli::NAMES.iter().chain(NOT_YET));
        if has("curl") {
            names.push("curl");
        }
    }
    names
}

/// True for the binary as the hosts of a lab have it.
fn is_in_a_host() -> bool {
    use std::os::unix::fs::MetadataExt;
    let file = |path: &Path| std::fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
    // By whatever path it was called: it is mounted over programs where there is no overlay.
    let own = file(&Path::new(super::rootfs::LAB).join("piton"));
    own.is_some() && own == file(Path::new("/proc/self/exe"))
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
        name if cli::NAMES.contains(&name) => return cli::main_for(name, rest),
        name if NOT_YET.contains(&name) => {
            eprintln!("piton lab: {name} is not simulated");
            127
        }
        _ if rest.first().is_some_and(|a| a == INIT) => super::init::main(&rest[1..]),
        // `reboot` and the like are links to systemctl on the machine, so they end up here.
        name if name != "piton" && is_in_a_host() => {
            eprintln!("piton lab: {name} is not simulated");
            127
        }
        _ => return None,
    };
    Some(ExitCode::from(code))
}
