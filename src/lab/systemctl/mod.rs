//! `systemctl` in a light lab host: a simulator over real unit files and real processes.
//!
//! Texts and codes are those of systemd 252 (Debian 12), where `is-active` of an unknown unit ends 3 (systemd issue
//! 25680; later ones end 4). What it does not know it refuses with
//! `piton lab: not simulated`, it never makes up an answer.

mod service;
mod unit;
mod verbs;

use std::fs;
use std::path::Path;

/// `PATH` of units and of the guest agent.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where enabled units are linked.
const WANTS: &str = "/etc/systemd/system/multi-user.target.wants";

/// Runs one call.
pub fn main(args: &[String]) -> u8 {
    match options(args) {
        Ok((options, words)) => verbs::run(&options, &words),
        Err(option) => {
            eprintln!("piton lab: not simulated: systemctl {option}");
            1
        }
    }
}

/// Starts every enabled unit, in the order of names; failures are in its state, as after a real boot.
pub fn boot() {
    let Ok(entries) = fs::read_dir(WANTS) else { return };
    let mut names: Vec<String> = entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    for unit in names.iter().filter_map(|name| unit::load(name)) {
        let _ = service::start(&unit);
    }
}

/// Process 1 notes how a process ended: `exited CODE` or `killed SIGNAL`.
pub fn write_exit(pid: i32, how: &str) {
    let _ = fs::write(Path::new(super::rootfs::LAB).join("exit").join(pid.to_string()), how);
}

/// Options that are understood.
#[derive(Debug, Default)]
struct Options {
    quiet: bool,
    now: bool,
    value: bool,
    lines: usize,
    properties: Vec<String>,
}

fn options(args: &[String]) -> Result<(Options, Vec<String>), String> {
    let (mut options, mut words) = (Options { lines: 10, ..Options::default() }, Vec::new());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_string())),
            _ => (arg.as_str(), None),
        };
        match name {
            "-q" | "--quiet" => options.quiet = true,
            "--now" => options.now = true,
            "--value" => options.value = true,
            "-p" | "--property" => {
                let list = value.or_else(|| args.next().cloned()).ok_or_else(|| arg.clone())?;
                options.properties.extend(list.split(',').map(String::from));
            }
            "-n" | "--lines" => {
                let lines = value.or_else(|| args.next().cloned()).ok_or_else(|| arg.clone())?;
                options.lines = lines.parse().map_err(|_| arg.clone())?;
            }
            "--no-pager" | "--plain" | "--full" | "-l" | "--no-ask-password" | "--system" | "--no-legend" => {}
            _ if arg.starts_with("-p") && !arg.starts_with("--") => {
                options.properties.extend(arg[2..].split(',').map(String::from));
            }
            _ if arg.starts_with('-') => return Err(arg.clone()),
            _ => words.push(arg.clone()),
        }
    }
    Ok((options, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_option_is_refused() {
        let args = ["--user", "start", "x"].map(String::from);
        assert_eq!(options(&args).unwrap_err(), "--user");
        let args = ["show", "-p", "A,B", "--property=C", "x", "-pD"].map(String::from);
        let (options, words) = options(&args).unwrap();
        assert_eq!(options.properties, ["A", "B", "C", "D"]);
        assert_eq!(words, ["show", "x"]);
    }
}
