//! `qm`: people's own command for virtual machines.

use super::args::{Takes, read};
use super::qm_commands::{COMMANDS, Command};
use super::qm_run::{accepted, foreground, refused};
use super::usage::{QM, line};
use super::{CallError, Caller, Printed, qm_display, qm_guest};
use crate::lab::pve::params::{Params, percent_encode};
use crate::lab::pve::schema::{Kind, check};
use serde_json::json;

/// Commands of two words.
const PREFIXES: [&str; 4] = ["guest", "disk", "cloudinit", "snapshot-none"];

/// Runs `qm`.
///
/// # Errors
/// The server cannot be reached.
pub async fn run(args: &[String], stdin: &[u8], caller: &dyn Caller) -> Result<Printed, CallError> {
    let Some(first) = args.first() else {
        return Ok(Printed::failed(255, format!("ERROR: no command specified\n{QM}")));
    };
    let (name, rest) = match args.get(1) {
        Some(second) if PREFIXES.contains(&first.as_str()) => (format!("{first} {second}"), &args[2..]),
        _ => (first.clone(), &args[1..]),
    };
    let node = caller.node().await?;
    if let Some(command) = COMMANDS.iter().find(|command| command.names.contains(&name.as_str())) {
        return one_call(command, rest, &node, caller).await;
    }
    match name.as_str() {
        "list" => qm_display::list(rest, &node, caller).await,
        "status" => qm_display::status(rest, &node, caller).await,
        "config" => qm_display::config(rest, &node, caller).await,
        "pending" => qm_display::pending(rest, &node, caller).await,
        "listsnapshot" => qm_display::snapshots(rest, &node, caller).await,
        "unlock" => unlock(rest, caller).await,
        "agent" | "guest cmd" => qm_guest::command(rest, &node, caller).await,
        "guest exec" => qm_guest::exec(rest, stdin, &node, caller).await,
        "guest exec-status" => qm_guest::exec_status(rest, &node, caller).await,
        known if line(QM, &format!("qm {known}")).is_some() || ALIASES.contains(&known) => {
            Ok(Printed::not_simulated(&format!("qm {known}")))
        }
        _ => Ok(Printed::failed(255, format!("ERROR: unknown command 'qm {name}'\n{QM}"))),
    }
}

/// Older names of commands of two words.
const ALIASES: [&str; 6] = ["resize", "move_disk", "move-disk", "importdisk", "rescan", "set"];

/// The usage line of a command.
pub fn usage(name: &str) -> String {
    line(QM, &format!("qm {name}")).unwrap_or_default().to_owned()
}

/// `400 not enough arguments` and the like.
pub fn wrong_line(why: &str, usage: &str) -> Printed {
    Printed::failed(255, format!("400 {why}\n{usage}\n"))
}

/// The words of a command line, of which there must be so many.
pub fn counted(words: &[String], count: usize, usage: &str) -> Result<(), Printed> {
    match words.len().cmp(&count) {
        std::cmp::Ordering::Less => Err(wrong_line("not enough arguments", usage)),
        std::cmp::Ordering::Greater => Err(wrong_line("too many arguments", usage)),
        std::cmp::Ordering::Equal => Ok(()),
    }
}

/// That the first word is a VMID.
pub fn checked_vmid(word: &str, usage: &str) -> Result<(), Printed> {
    check("vmid", Kind::Vmid, word).map_err(|message| {
        Printed::failed(255, format!("400 Parameter verification failed.\nvmid: {message}\n{usage}\n"))
    })
}

/// Reads options or says which is unknown.
pub fn options(
    args: &[String],
    usage: &str,
    known: impl Fn(&str) -> Option<Takes>,
) -> Result<super::args::Line, Printed> {
    read(args, known).map_err(|why| Printed::failed(255, format!("{why}\n400 unable to parse option\n{usage}\n")))
}

async fn one_call(command: &Command, args: &[String], node: &str, caller: &dyn Caller) -> Result<Printed, CallError> {
    let usage = usage(command.names[0]);
    let read = match options(args, &usage, |name| command.takes(name)) {
        Ok(read) => read,
        Err(printed) => return Ok(printed),
    };
    let checked = counted(&read.words, 1 + command.words.len(), &usage);
    if let Err(printed) = checked.and_then(|()| checked_vmid(&read.words[0], &usage)) {
        return Ok(printed);
    }
    let mut params = Params::default();
    let mut path = format!("/nodes/{node}/qemu");
    if command.names == ["create"] {
        params.push("vmid", read.words[0].clone());
    } else {
        let below = command.path.replace("{}", read.words.get(1).map_or("", String::as_str));
        path = format!("{path}/{}/{below}", read.words[0]);
    }
    for (name, word) in command.words.iter().zip(&read.words[1..]).filter(|(name, _)| !name.is_empty()) {
        params.push(*name, word.clone());
    }
    for (name, value) in read.options.iter() {
        match key_file(name, value) {
            Ok(value) => params.push(name, value),
            Err(why) => return Ok(Printed::failed(255, why)),
        }
    }
    let answer = caller.call(command.method, path.trim_end_matches('/'), &params).await?;
    if !accepted(&answer) {
        return Ok(refused(&answer, &usage));
    }
    foreground(caller, &answer).await
}

/// `--sshkeys` names a file here; the API wants its content, encoded.
fn key_file(name: &str, value: &str) -> Result<String, String> {
    if name != "sshkeys" {
        return Ok(value.to_owned());
    }
    let text = std::fs::read_to_string(value).map_err(|why| format!("unable to open file '{value}' - {why}\n"))?;
    Ok(percent_encode(&text))
}

async fn unlock(args: &[String], caller: &dyn Caller) -> Result<Printed, CallError> {
    let usage = usage("unlock");
    let checked = counted(args, 1, &usage).and_then(|()| checked_vmid(&args[0], &usage));
    if let Err(printed) = checked {
        return Ok(printed);
    }
    let vmid: u32 = args[0].parse().unwrap_or(0);
    let answer = caller.ask("/lab/unlock", json!({"vmid": vmid})).await?;
    Ok(match answer["error"].as_str() {
        Some(why) => Printed::failed(2, format!("{why}\n")),
        None => Printed::default(),
    })
}
