//! The *api* carrier with the real `curl` against a small server: quoting, secrets, connections that end.

use piton::cmd::{ApiCall, Cmd, Method, Output};
use piton::pve::curl::{Curl, many_cmd, read_many};
use piton::pve::encode;
use piton::pve::ticket::Auth;
use piton::secret::{Vault, mark};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc;

const NONCE: &str = "piton-0123456789abcdef";

#[derive(Debug, Clone)]
struct Request {
    line: String,
    headers: Vec<String>,
    body: String,
}

/// What the server does after it has read a request.
#[derive(Clone, Copy)]
enum Then {
    Say(&'static str),
    Close,
}

/// A server that takes this many requests, each answered as told, and gives back what it read.
fn server(then: Vec<Then>) -> (u16, std::thread::JoinHandle<Vec<Request>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let thread = std::thread::spawn(move || {
        let mut then = then.into_iter();
        let mut seen = Vec::new();
        let mut next = then.next();
        while next.is_some() {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            while let Some(request) = request(&mut stream) {
                seen.push(request);
                let Some(Then::Say(text)) = next.take() else { break };
                next = then.next();
                stream.get_mut().write_all(text.as_bytes()).unwrap();
                if text.contains("Connection: close") || next.is_none() {
                    break;
                }
            }
            if next.is_none() {
                next = then.next();
            }
        }
        seen
    });
    (port, thread)
}

fn request(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_string();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let line = lines.remove(0);
    let length = lines.iter().find_map(|h| h.strip_prefix("Content-Length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Request { line, headers: lines, body: String::from_utf8(body).unwrap() })
}

fn vault() -> Vault {
    let vault = Vault::default();
    vault.insert("pve-ticket-pve", "PVE:root@pam:6B0282B9::c2ln+/abc==".into()).unwrap();
    vault.insert("pve-csrf-pve", "6B0282B9:aGFzaA/+".into()).unwrap();
    vault
}

/// Runs the command as `transport` would; looks at its command line meanwhile.
fn run(cmd: &Cmd, vault: &Vault) -> (Output, String) {
    let mut child = Command::new(&cmd.argv[0])
        .args(&cmd.argv[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("these tests need curl");
    // curl waits for its configuration, so it is surely there.
    let cmdline = std::fs::read(format!("/proc/{}/cmdline", child.id())).unwrap_or_default();
    let stdin = vault.reveal(cmd.stdin.as_deref().unwrap_or_default()).unwrap();
    let (sender, receiver) = mpsc::channel();
    let mut pipe = child.stdin.take().unwrap();
    std::thread::spawn(move || {
        pipe.write_all(stdin.as_bytes()).unwrap();
        drop(pipe);
        sender.send(()).unwrap();
    });
    let out = child.wait_with_output().unwrap();
    receiver.recv().unwrap();
    let text = |bytes: &[u8]| vault.conceal_text(&String::from_utf8_lossy(bytes));
    let output = Output::of(out.status.code().unwrap(), &text(&out.stdout), &text(&out.stderr));
    (output, String::from_utf8_lossy(&cmdline).into_owned())
}

/// As pve-http-server takes a form apart: split at `&` and `;`, `+` is a space, then `%XX`.
fn decoded(text: &str) -> Vec<(String, String)> {
    let un = |t: &str| encode::unescape(&t.replace('+', " ")).into_owned();
    text.split(['&', ';']).filter_map(|p| p.split_once('=')).map(|(k, v)| (un(k), un(v))).collect()
}

fn curl(port: u16) -> Curl {
    Curl { base: format!("http://127.0.0.1:{port}/api2/json"), auth: Auth::of("pve") }
}

const ODD: [&str; 12] = [
    "plain",
    "a \"quoted\" 'value'",
    "back\\slash \\n \\\" end\\",
    "two\nlines\r\n\ttab",
    "a&b=c;d+e",
    "100 % %41 %zz",
    "é ü 日本 🦀",
    "@/etc/passwd",
    "-leading dash",
    "#comment [1-3] {a,b}",
    " spaces ",
    "$(id) `id` $HOME",
];

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"data\":\"ok\"}";
const LOCKED: &str =
    "HTTP/1.1 500 VM 901 is locked (backup)\r\nConnection: close\r\nContent-Length: 13\r\n\r\n{\"data\":null}";

#[test]
fn parameters_arrive_as_they_are_and_secrets_are_in_no_argv() {
    for method in [Method::Post, Method::Put, Method::Get, Method::Delete] {
        let (port, thread) = server(vec![Then::Say(OK)]);
        let vault = vault();
        let mut call = ApiCall::of(method, "/nodes/{node}/storage/local/content/local:iso/a b.iso");
        for (i, value) in ODD.iter().enumerate() {
            call = call.param(format!("p{i}"), *value);
        }
        let in_body = matches!(method, Method::Post | Method::Put);
        if in_body {
            for (i, value) in ODD.iter().enumerate() {
                let value = format!("s3cr3t{i} {value}");
                vault.insert(&format!("n{i}"), value.clone().into()).unwrap();
                vault.insert(&encode::form_name(&format!("n{i}")), encode::form(&value).into()).unwrap();
                call = call.param("secret", format!("<{}>", mark(&format!("n{i}"))));
            }
        }
        let cmd = many_cmd(&curl(port), "pve1", std::slice::from_ref(&call), NONCE).unwrap();
        let (output, cmdline) = run(&cmd, &vault);
        let answer = read_many(&[call], &output, NONCE).remove(0).unwrap();
        assert_eq!((answer.status, answer.data().as_str()), (200, Some("ok")));
        let seen = thread.join().unwrap().remove(0);
        let (name, rest) = seen.line.split_once(' ').unwrap();
        assert_eq!(name, method.name());
        let (path, query) = rest.strip_suffix(" HTTP/1.1").unwrap().split_once('?').unwrap_or((rest, ""));
        let path = path.trim_end_matches(" HTTP/1.1");
        assert_eq!(path, "/api2/json/nodes/pve1/storage/local/content/local:iso/a%20b.iso");
        let mut expected: Vec<(String, String)> =
            ODD.iter().enumerate().map(|(i, v)| (format!("p{i}"), (*v).to_string())).collect();
        if in_body {
            expected.extend(ODD.iter().enumerate().map(|(i, v)| ("secret".to_string(), format!("<s3cr3t{i} {v}>"))));
        }
        assert_eq!(decoded(if in_body { &seen.body } else { query }), expected, "{method:?}");
        assert!(seen.headers.contains(&"Cookie: PVEAuthCookie=PVE:root@pam:6B0282B9::c2ln+/abc==".to_string()));
        let csrf = seen.headers.contains(&"CSRFPreventionToken: 6B0282B9:aGFzaA/+".to_string());
        assert_eq!(csrf, method != Method::Get);
        assert!(cmdline.is_empty() || cmdline.starts_with("curl\0-q"), "{cmdline}");
        for hidden in ["c2ln", "aGFzaA", "s3cr3t"] {
            assert!(!cmdline.contains(hidden) && !cmd.line().contains(hidden), "{cmdline}");
        }
    }
}

#[test]
fn a_post_without_parameters_is_an_empty_form() {
    let (port, thread) = server(vec![Then::Say(LOCKED)]);
    let call = [ApiCall::of(Method::Post, "/nodes/{node}/qemu/901/status/start")];
    let cmd = many_cmd(&curl(port), "pve1", &call, NONCE).unwrap();
    let answer = read_many(&call, &run(&cmd, &vault()).0, NONCE).remove(0).unwrap();
    assert_eq!((answer.status, answer.reason.as_str()), (500, "VM 901 is locked (backup)"));
    let seen = thread.join().unwrap().remove(0);
    assert_eq!(seen.line, "POST /api2/json/nodes/pve1/qemu/901/status/start HTTP/1.1");
    assert!(seen.headers.contains(&"Content-Length: 0".to_string()), "{seen:?}");
    assert!(!seen.headers.iter().any(|h| h.starts_with("Expect")), "{seen:?}");
}

#[test]
fn a_long_parameter_goes_through_and_a_too_long_one_is_not_sent() {
    let (port, thread) = server(vec![Then::Say(OK)]);
    let of = |size: usize| [ApiCall::of(Method::Post, "/x").param("content", "y".repeat(size)).param("b", "1")];
    let cmd = many_cmd(&curl(port), "n", &of(99_000), NONCE).unwrap();
    assert!(read_many(&of(1), &run(&cmd, &vault()).0, NONCE).remove(0).unwrap().ok());
    assert_eq!(thread.join().unwrap()[0].body.len(), "content=".len() + 99_000 + "&b=1".len());
    assert!(many_cmd(&curl(port), "n", &of(100_000), NONCE).is_err());
    // Should another curl read less: it ends before it sends anything, and that is how it is read.
    let long = Cmd::new(["curl", "-q", "-K", "-"]).stdin(format!("data-raw = \"{}\"\n", "y".repeat(11_000_000)));
    let error = read_many(&of(1), &run_ignoring_stdin(&long), NONCE).remove(0).unwrap_err();
    assert!(!error.is_unknown(), "{error}");
}

/// `curl` may stop reading its configuration half way.
fn run_ignoring_stdin(cmd: &Cmd) -> Output {
    let mut child = Command::new(&cmd.argv[0])
        .args(&cmd.argv[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _ = child.stdin.take().unwrap().write_all(cmd.stdin.as_deref().unwrap().as_bytes());
    let out = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Output::of(out.status.code().unwrap(), &text(&out.stdout), &text(&out.stderr))
}

#[test]
fn a_closed_connection_is_unknown_and_sent_once_and_a_refused_one_is_not_done() {
    let (port, thread) = server(vec![Then::Close]);
    let call = [ApiCall::of(Method::Post, "/nodes/n/qemu/110/agent/exec").param("command", "/nosuch")];
    let cmd = many_cmd(&curl(port), "n", &call, NONCE).unwrap();
    let error = read_many(&call, &run(&cmd, &vault()).0, NONCE).remove(0).unwrap_err();
    assert!(error.is_unknown() && error.to_string().contains("curl 52"), "{error}");
    assert_eq!(thread.join().unwrap().len(), 1);
    // The server is gone now.
    let error = read_many(&call, &run(&cmd, &vault()).0, NONCE).remove(0).unwrap_err();
    assert!(!error.is_unknown() && error.to_string().contains("curl 7"), "{error}");
}

#[test]
fn several_gets_go_over_one_connection() {
    let (port, thread) = server(vec![Then::Say(OK), Then::Say(LOCKED), Then::Say(OK)]);
    let calls = [ApiCall::get("/a"), ApiCall::get("/b").param("x", "1&2"), ApiCall::get("/c")];
    let cmd = many_cmd(&curl(port), "n", &calls, NONCE).unwrap();
    let got = read_many(&calls, &run(&cmd, &vault()).0, NONCE);
    let status: Vec<u16> = got.iter().map(|a| a.as_ref().unwrap().status).collect();
    assert_eq!(status, [200, 500, 200]);
    let lines: Vec<String> = thread.join().unwrap().into_iter().map(|r| r.line).collect();
    let expected = ["/a", "/b?x=1%262", "/c"].map(|p| format!("GET /api2/json{p} HTTP/1.1"));
    assert_eq!(lines, expected);
}
