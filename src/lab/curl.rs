//! `curl` on the lab's node: the machine's own, but what goes to `http://127.0.0.1:85` goes to this lab's API.
//!
//! The hosts share the machine's loopback, so no lab can listen on port 85; everything else is the real thing.

use super::rootfs::LAB;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// Runs the real curl.
pub fn main(args: &[String]) -> u8 {
    let mut config = None;
    if reads_stdin_config(args) {
        let mut text = Vec::new();
        if std::io::stdin().read_to_end(&mut text).is_err() {
            return 26;
        }
        config = Some(text);
    }
    let text = config.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    let mut command = Command::new(format!("{LAB}/machine/curl"));
    if args.iter().any(|a| is_api(a)) || text.lines().any(is_api) {
        command.args(["--unix-socket", &format!("{LAB}/api/pve.sock")]);
    }
    command.args(args);
    if config.is_some() {
        command.stdin(Stdio::piped());
    }
    let Ok(mut child) = command.spawn() else {
        eprintln!("curl: not found");
        return 127;
    };
    if let (Some(mut stdin), Some(text)) = (child.stdin.take(), config) {
        let _ = stdin.write_all(&text);
    }
    child.wait().ok().and_then(|s| s.code()).and_then(|c| u8::try_from(c).ok()).unwrap_or(2)
}

/// `-K -`, `-K-`, `--config -`, `--config=-`, also behind other short options as in `-sK -`.
fn reads_stdin_config(args: &[String]) -> bool {
    let flag = |a: &str| a == "--config" || (a.starts_with('-') && !a.starts_with("--") && a.ends_with('K'));
    args.windows(2).any(|pair| flag(&pair[0]) && pair[1] == "-")
        || args.iter().any(|a| a == "--config=-" || (a.starts_with('-') && !a.starts_with("--") && a.ends_with("K-")))
}

fn is_api(text: &str) -> bool {
    ["http://127.0.0.1:85/", "http://localhost:85/"].iter().any(|url| text.contains(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_api_and_only_a_config_on_stdin_are_ours() {
        let args = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(reads_stdin_config(&args(&["-sK", "-", "x"])) && reads_stdin_config(&args(&["--config", "-"])));
        assert!(!reads_stdin_config(&args(&["-K", "file"])) && !reads_stdin_config(&args(&["-d", "-"])));
        assert!(is_api("url = \"http://127.0.0.1:85/api2/json/version\""));
        assert!(!is_api("http://127.0.0.1:8500/") && !is_api("https://127.0.0.1:85/"));
    }
}
