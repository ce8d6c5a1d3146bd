//! The program that a target runs to take a change back by itself, as text, and the commands that start it. Pure.
//!
//! It lives in a folder of its own, root-only, beside copies of the files: the content never leaves the host. The
//! timer is a transient one of systemd with a unit that fires after a reboot, or a process of its own session. Access
//! lists and extended attributes are not looked at.

use crate::cmd::{Cmd, quote};
use crate::key::RunId;
use crate::modules::Revert;
use std::time::Duration;

/// Where the folders are.
const BELOW: &str = "/var/lib/piton";
/// The part that is the same for all.
const BODY: &str = include_str!("revert.sh");

/// The folder of the n-th revert of a run.
pub fn folder(run: &RunId, number: usize) -> String {
    format!("{BELOW}/revert-{run}-{number}")
}

/// The whole program.
pub fn text(folder: &str, revert: &Revert) -> String {
    let unit = format!("piton-{}", folder.rsplit('/').next().unwrap_or_default());
    let tools: Vec<String> = revert.after.iter().filter_map(|argv| tool(argv)).collect();
    let mut each = String::new();
    for (number, file) in revert.files.iter().enumerate() {
        each.push_str(&format!("  \"$1\" {number} {} || rc=1\n", quote(file)));
    }
    let (mut parses, mut after) = (String::new(), String::new());
    for argv in &revert.after {
        let line = argv.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" ");
        if let [shell, c, text] = argv.as_slice()
            && (shell == "sh" && c == "-c")
        {
            parses.push_str(&format!("  sh -n -c {} || return 1\n", quote(text)));
        }
        after.push_str(&format!("  {line} || {{ say \"exit status $? of\" {}; rc=1; }}\n", quote(&line)));
    }
    format!(
        "# Written by piton: takes a change back unless it is confirmed in time.\n\
         dir={}\nunit={}\ntools={}\n\
         each() {{\n  rc=0\n{each}  return $rc\n}}\n\
         parses() {{\n{parses}  return 0\n}}\n\
         after() {{\n  rc=0\n{after}  return $rc\n}}\n\n{BODY}",
        quote(folder),
        quote(&unit),
        quote(&tools.join(" ")),
    )
}

/// Makes the folder, puts the program there and arms it. The folder is the once-token: it must not be there yet.
pub fn arm(folder: &str, revert: &Revert, within: Duration) -> Cmd {
    const ARM: &str = "umask 077; mkdir -p \"${1%/*}\" && mkdir \"$1\" && cat > \"$1/revert.sh\" && \
                       sh -n \"$1/revert.sh\" && sh \"$1/revert.sh\" arm \"$2\"";
    let seconds = within.as_secs().max(1).to_string();
    Cmd::shell_with(ARM, [folder, &seconds]).stdin(text(folder, revert)).timeout(Duration::from_secs(60))
}

/// Says `now`, `disarm`, `status` or `clear` to it. The answer is `gone` if there is none.
pub fn tell(folder: &str, word: &str) -> Cmd {
    const TELL: &str = "[ -e \"$1/revert.sh\" ] || { echo gone; exit 0; }; exec sh \"$1/revert.sh\" \"$2\"";
    Cmd::shell_with(TELL, [folder, word]).timeout(Duration::from_secs(20))
}

/// The program that a command begins with, if that can be told.
fn tool(argv: &[String]) -> Option<String> {
    let word = match argv {
        [shell, c, text] if shell == "sh" && c == "-c" => text.split_whitespace().next()?,
        argv => argv.first()?,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    (!word.is_empty() && word.chars().all(plain)).then(|| word.to_string())
}

#[cfg(test)]
#[path = "revert_script_tests.rs"]
mod tests;
