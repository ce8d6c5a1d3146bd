//! The verbs of `systemctl` that are simulated.

use super::service::{self, State};
use super::unit::{self, Unit};
use super::{Options, WANTS};
use std::fs;
use std::path::Path;

/// Runs `systemctl WORDS...`; the exit status.
pub fn run(options: &Options, words: &[String]) -> u8 {
    let Some((verb, names)) = words.split_first() else {
        return list_units();
    };
    let names: Vec<String> = names.iter().map(|n| unit::full_name(n)).collect();
    let each = |f: &dyn Fn(&str) -> u8| names.iter().map(|n| f(n)).max().unwrap_or(0);
    match (verb.as_str(), names.is_empty()) {
        ("daemon-reload", true) | ("reset-failed", _) => 0,
        ("list-unit-files", true) => list_unit_files(),
        ("list-units", true) => list_units(),
        ("is-system-running", true) => {
            println!("running");
            0
        }
        ("start" | "stop" | "restart" | "reload" | "try-restart" | "reload-or-restart", false) => {
            each(&|name| change(verb, name))
        }
        ("enable" | "disable", false) => each(&|name| able(verb, name, options)),
        ("is-active", false) => any(
            &names,
            |name| {
                let state = service::state(name).active();
                say(options, state);
                state == "active"
            },
            3,
        ),
        ("is-failed", false) => any(
            &names,
            |name| {
                let state = service::state(name).active();
                say(options, state);
                state == "failed"
            },
            1,
        ),
        ("is-enabled", false) => any(&names, |name| is_enabled(name, options), 1),
        ("status", false) => each(&|name| status(name, options)),
        ("show", false) => each(&|name| show(name, options)),
        ("cat", false) => each(&|name| cat(name)),
        _ => {
            eprintln!("piton lab: not simulated: systemctl {}", words.join(" "));
            1
        }
    }
}

fn any(names: &[String], good: impl Fn(&str) -> bool, otherwise: u8) -> u8 {
    let good: Vec<bool> = names.iter().map(|n| good(n)).collect();
    if good.contains(&true) { 0 } else { otherwise }
}

fn say(options: &Options, text: &str) {
    if !options.quiet {
        println!("{text}");
    }
}

fn change(verb: &str, name: &str) -> u8 {
    let Some(unit) = unit::load(name) else {
        let how = if verb == "stop" { "loaded" } else { "found" };
        eprintln!("Failed to {verb} {name}: Unit {name} not {how}.");
        return 5;
    };
    let state = service::state(name);
    let active = state.active() == "active";
    let done = match verb {
        "start" => service::start(&unit),
        "try-restart" if !active => Ok(()),
        "reload" => return reload(&unit, state),
        "reload-or-restart" if active && !unit.reload.is_empty() => return reload(&unit, state),
        "stop" => {
            service::stop(&unit);
            Ok(())
        }
        _ => {
            service::stop(&unit);
            service::start(&unit)
        }
    };
    if done.is_ok() { 0 } else { failed(name) }
}

fn reload(unit: &Unit, state: State) -> u8 {
    let name = &unit.name;
    let State::Running(pid) = state else {
        eprintln!("{name} is not active, cannot reload.");
        return 1;
    };
    if unit.reload.is_empty() {
        eprintln!("Failed to reload {name}: Job type reload is not applicable for unit {name}.");
        return 1;
    }
    if service::reload(unit, pid).is_ok() { 0 } else { failed(name) }
}

fn failed(name: &str) -> u8 {
    eprintln!("Job for {name} failed because the control process exited with error code.");
    eprintln!("See \"systemctl status {name}\" and \"journalctl -xeu {name}\" for details.");
    1
}

fn able(verb: &str, name: &str, options: &Options) -> u8 {
    let Some(unit) = unit::load(name) else {
        eprintln!("Failed to {verb} unit: Unit file {name} does not exist.");
        return 1;
    };
    let link = Path::new(WANTS).join(name);
    let is = fs::symlink_metadata(&link).is_ok();
    if verb == "enable" && !is && !unit.wanted_by.is_empty() {
        let made = fs::create_dir_all(WANTS).and_then(|()| std::os::unix::fs::symlink(&unit.path, &link));
        if let Err(e) = made {
            eprintln!("Failed to enable unit: {e}");
            return 1;
        }
        eprintln!("Created symlink {} → {}.", link.display(), unit.path.display());
    } else if verb == "disable" && is {
        if let Err(e) = fs::remove_file(&link) {
            eprintln!("Failed to disable unit: {e}");
            return 1;
        }
        eprintln!("Removed \"{}\".", link.display());
    }
    match (options.now, verb) {
        (true, "enable") => change("start", name),
        (true, _) => change("stop", name),
        _ => 0,
    }
}

fn file_state(unit: &Unit) -> &'static str {
    if fs::symlink_metadata(Path::new(WANTS).join(&unit.name)).is_ok() {
        "enabled"
    } else if unit.wanted_by.is_empty() {
        "static"
    } else {
        "disabled"
    }
}

fn is_enabled(name: &str, options: &Options) -> bool {
    let Some(unit) = unit::load(name) else {
        eprintln!("Failed to get unit file state for {name}: No such file or directory");
        return false;
    };
    let state = file_state(&unit);
    say(options, state);
    state != "disabled"
}

fn status(name: &str, options: &Options) -> u8 {
    let Some(unit) = unit::load(name) else {
        eprintln!("Unit {name} could not be found.");
        return 4;
    };
    let state = service::state(name);
    let dot = if state == State::Failed {
        "×"
    } else if state.active() == "active" {
        "●"
    } else {
        "○"
    };
    println!("{dot} {name} - {}", unit.description);
    println!("     Loaded: loaded ({}; {}; preset: enabled)", unit.path.display(), file_state(&unit));
    println!("     Active: {} ({}) [simulated by piton lab]", state.active(), state.sub());
    if let State::Running(pid) = state {
        println!("   Main PID: {pid}");
    }
    let log = fs::read_to_string(service::log(name)).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    for line in lines.iter().skip(lines.len().saturating_sub(options.lines)) {
        println!("{line}");
    }
    if state.active() == "active" { 0 } else { 3 }
}

/// The properties in the order in which systemd gives them, whatever the order asked for.
fn show(name: &str, options: &Options) -> u8 {
    let unit = unit::load(name);
    let state = service::state(name);
    let pid = if let State::Running(pid) = state { pid } else { 0 };
    let yes = |is: bool| if is { "yes" } else { "no" }.to_string();
    let all = [
        ("Type", unit.as_ref().map_or("simple", |u| &u.type_name).to_string()),
        ("RemainAfterExit", yes(unit.as_ref().is_some_and(|u| u.remain))),
        ("MainPID", pid.to_string()),
        ("Result", if state == State::Failed { "exit-code" } else { "success" }.to_string()),
        ("Id", name.to_string()),
        ("Description", unit.as_ref().map_or(name, |u| &u.description).to_string()),
        ("LoadState", if unit.is_some() { "loaded" } else { "not-found" }.to_string()),
        ("ActiveState", state.active().to_string()),
        ("SubState", state.sub().to_string()),
        ("FragmentPath", unit.as_ref().map(|u| u.path.display().to_string()).unwrap_or_default()),
        ("UnitFileState", unit.as_ref().map(file_state).unwrap_or_default().to_string()),
        ("NeedDaemonReload", "no".to_string()),
        ("CanReload", yes(unit.is_some_and(|u| !u.reload.is_empty()))),
    ];
    if let Some(unknown) = options.properties.iter().find(|p| !all.iter().any(|(name, _)| name == p)) {
        eprintln!("piton lab: not simulated: systemctl show -p {unknown}");
        return 1;
    }
    for (key, value) in &all {
        if options.properties.is_empty() || options.properties.iter().any(|p| p == key) {
            if options.value {
                println!("{value}");
            } else {
                println!("{key}={value}");
            }
        }
    }
    0
}

fn cat(name: &str) -> u8 {
    let Some(path) = unit::find(name) else {
        eprintln!("No files found for {name}.");
        return 1;
    };
    println!("# {}", path.display());
    print!("{}", fs::read_to_string(path).unwrap_or_default());
    0
}

/// Unit files of the administrator: those of the machine are not this host's.
fn own_units() -> Vec<Unit> {
    let Ok(entries) = fs::read_dir(unit::PATHS[0]) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".service"))
        .collect();
    names.sort();
    names.iter().filter_map(|name| unit::load(name)).collect()
}

fn list_unit_files() -> u8 {
    println!("UNIT FILE STATE PRESET");
    for unit in own_units() {
        println!("{} {} enabled", unit.name, file_state(&unit));
    }
    0
}

fn list_units() -> u8 {
    println!("UNIT LOAD ACTIVE SUB DESCRIPTION");
    for unit in own_units() {
        let state = service::state(&unit.name);
        println!("{} loaded {} {} {}", unit.name, state.active(), state.sub(), unit.description);
    }
    0
}
