//! `lab-httpd PORT DIR PIDFILE`: gives out the files of one folder on 127.0.0.1, so that the lab has a real service to check.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// In place of the port: serve on what is on standard input.
const SERVE: &str = "--serve";

/// Takes the port, then serves in the background: whoever started it may ask at once. Ends when it is killed.
pub fn main(args: &[String]) -> u8 {
    let [port, dir, pid_file] = args else {
        eprintln!("usage: lab-httpd PORT DIR PIDFILE");
        return 2;
    };
    if port == SERVE {
        return serve(dir);
    }
    let Ok(port) = port.parse::<u16>() else {
        eprintln!("lab-httpd: `{port}` is not a port");
        return 2;
    };
    let listener = match TcpListener::bind(("127.0.0.1", port)) {
        Ok(listener) => listener,
        Err(e) => {
            eprintln!("lab-httpd: port {port}: {e}");
            return 1;
        }
    };
    let child = std::env::current_exe().and_then(|own| {
        Command::new(own).arg0("lab-httpd").args([SERVE, dir, pid_file]).stdin(OwnedFd::from(listener)).spawn()
    });
    match child.and_then(|child| std::fs::write(pid_file, format!("{}\n", child.id()))) {
        Ok(()) => 0,
        Err(e) => {
            eprintln!("lab-httpd: {e}");
            1
        }
    }
}

/// Serves on the listener that came as standard input.
fn serve(dir: &str) -> u8 {
    let Ok(listener) = std::io::stdin().as_fd().try_clone_to_owned().map(TcpListener::from) else { return 1 };
    for stream in listener.incoming().flatten() {
        let dir = dir.to_string();
        std::thread::spawn(move || answer(&stream, Path::new(&dir)));
    }
    0
}

fn answer(stream: &TcpStream, dir: &Path) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut reader = BufReader::new(stream.take(16 * 1024));
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).ok()? <= 2 {
            break;
        }
    }
    let (status, body) = respond(&line, dir);
    let mut stream = stream;
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nContent-Type: text/html\r\nServer: piton-lab\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).ok()?;
    if !line.starts_with("HEAD ") {
        stream.write_all(&body).ok()?;
    }
    stream.flush().ok()
}

/// Status line and body for a request line. Only names below the folder are given out.
fn respond(request: &str, dir: &Path) -> (&'static str, Vec<u8>) {
    let mut words = request.split_whitespace();
    let (Some("GET" | "HEAD"), Some(path)) = (words.next(), words.next()) else {
        return ("400 Bad Request", b"bad request\n".to_vec());
    };
    let path = path.split(['?', '#']).next().unwrap_or("/").trim_start_matches('/');
    if path.split('/').any(|part| part == "..") {
        return ("403 Forbidden", b"forbidden\n".to_vec());
    }
    let file = if path.is_empty() || path.ends_with('/') { dir.join(path).join("index.html") } else { dir.join(path) };
    match std::fs::read(file) {
        Ok(body) => ("200 OK", body),
        Err(_) => ("404 Not Found", b"not found\n".to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_given_out_and_nothing_above_them() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("index.html"), "hello\n").unwrap();
        assert_eq!(respond("GET /?x=1 HTTP/1.1\r\n", dir.path()), ("200 OK", b"hello\n".to_vec()));
        assert_eq!(respond("GET /no HTTP/1.1\r\n", dir.path()).0, "404 Not Found");
        assert_eq!(respond("GET /../etc/passwd HTTP/1.1\r\n", dir.path()).0, "403 Forbidden");
        assert_eq!(respond("POST / HTTP/1.1\r\n", dir.path()).0, "400 Bad Request");
    }
}
