//! `curl` on the lab's node: the machine's own, but what goes to `http://127.0.0.1:85` goes to this lab's API.
//!
//! The hosts share the machine's loopback, so no lab can listen on port 85; everything else is the real thing.

use super::rootfs::LAB;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

/// Runs the real curl.
pub fn main(args: &[String]) -> u8 {
    let socket = format!("{LAB}/api/pve.sock");
    let mut config = None;
    if reads_stdin_config(args) {
        let mut text = Vec::new();
        if std::io::stdin().read_to_end(&mut text).is_err() {
            return 26;
        }
        config = Some(redirect_config(text, &socket));
    }
    let mut command = Command::new(format!("{LAB}/machine/curl"));
    command.args(redirect_args(args, &socket));
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

/// The socket is an option of one transfer, so it is said again after each `next`.
fn redirect_config(text: Vec<u8>, socket: &str) -> Vec<u8> {
    if !text.split(|b| *b == b'\n').any(|line| is_api(&String::from_utf8_lossy(line))) {
        return text;
    }
    let option = format!("unix-socket = \"{socket}\"\n").into_bytes();
    let mut out = option.clone();
    for line in text.split_inclusive(|b| *b == b'\n') {
        out.extend_from_slice(line);
        if line.trim_ascii() == b"next" {
            out.extend_from_slice(&option);
        }
    }
    out
}

/// Likewise for a URL among the arguments; `-q` counts only as the first.
fn redirect_args(args: &[String], socket: &str) -> Vec<String> {
    if !args.iter().any(|a| is_api(a)) {
        return args.to_vec();
    }
    let option = ["--unix-socket".to_string(), socket.to_string()];
    let first = usize::from(args.first().is_some_and(|a| a == "-q" || a == "--disable"));
    let mut out = args[..first].to_vec();
    out.extend(option.clone());
    for arg in &args[first..] {
        out.push(arg.clone());
        if arg == "--next" || arg == "-:" {
            out.extend(option.clone());
        }
    }
    out
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
    fn the_socket_is_said_for_every_transfer() {
        let api = "http://127.0.0.1:85/api2/json/version";
        let args = ["-q", "-s", api, "--next", api].map(String::from);
        assert_eq!(
            redirect_args(&args, "S"),
            ["-q", "--unix-socket", "S", "-s", api, "--next", "--unix-socket", "S", api]
        );
        assert_eq!(redirect_args(&["https://x/".into()], "S"), ["https://x/"]);
        let config = format!("url = \"{api}\"\nnext\nurl = \"{api}\"\n");
        let socket = "unix-socket = \"S\"\n";
        let want = format!("{socket}url = \"{api}\"\nnext\n{socket}url = \"{api}\"\n");
        assert_eq!(redirect_config(config.into_bytes(), "S"), want.into_bytes());
        assert_eq!(redirect_config(b"url = x".to_vec(), "S"), b"url = x");
    }

    #[test]
    fn only_the_api_and_only_a_config_on_stdin_are_ours() {
        let args = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(reads_stdin_config(&args(&["-sK", "-", "x"])) && reads_stdin_config(&args(&["--config", "-"])));
        assert!(!reads_stdin_config(&args(&["-K", "file"])) && !reads_stdin_config(&args(&["-d", "-"])));
        assert!(is_api("url = \"http://127.0.0.1:85/api2/json/version\""));
        assert!(!is_api("http://127.0.0.1:8500/") && !is_api("https://127.0.0.1:85/"));
    }
}
