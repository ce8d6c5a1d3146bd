//! The HTTP face on a real unix socket.

use piton::lab::pve::cli::{SocketCaller, run};
use piton::lab::pve::{Listeners, NullHypervisor, Pace, Simulator, State, serve};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

async fn send(socket: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn ask(socket: &Path, method: &str, path: &str, cookie: &str, body: &str) -> (String, Value) {
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: x\r\nCookie: PVEAuthCookie={cookie}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    let answer = send(socket, &request).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    (head.lines().next().unwrap_or_default().to_owned(), serde_json::from_str(body).unwrap_or(Value::Null))
}

async fn listening(socket: &Path) {
    for _ in 0..500 {
        if UnixStream::connect(socket).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the server does not listen");
}

#[tokio::test]
async fn a_machine_is_created_started_and_stopped_over_the_wire() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("pve.sock");
    let none = Duration::ZERO;
    let pace = Pace { start: none, stop: none, shutdown: none, snapshot: none, other: none, ..Pace::default() };
    let sim = Simulator::new(State::default(), Arc::new(NullHypervisor::default()), dir.path()).with_pace(pace);
    let sim = Arc::new(sim);
    let server = tokio::spawn(serve(Arc::clone(&sim), Listeners { unix: vec![socket.clone()], tcp: Vec::new() }));
    listening(&socket).await;

    let (head, ticket) = ask(&socket, "GET", "/lab/ticket", "", "").await;
    assert_eq!(head, "HTTP/1.1 200 OK");
    let ticket = ticket["ticket"].as_str().unwrap().to_owned();
    let (head, _) = ask(&socket, "GET", "/api2/json/version", "wrong", "").await;
    assert_eq!(head, "HTTP/1.1 401 Authentication failed!");
    let (head, version) = ask(&socket, "GET", "/api2/json/version", &ticket, "").await;
    assert_eq!((head.as_str(), &version["data"]["release"]), ("HTTP/1.1 200 OK", &json!("8.4")));
    let (head, _) = ask(&socket, "GET", "/api2/json/nodes/pve/qemu/999/config", &ticket, "").await;
    assert_eq!(head, "HTTP/1.1 500 Configuration file 'nodes/pve/qemu-server/999.conf' does not exist");

    for (path, body) in [("qemu", "vmid=100&name=a"), ("qemu/100/status/start", ""), ("qemu/100/status/stop", "")] {
        let (_, answer) = ask(&socket, "POST", &format!("/api2/json/nodes/pve/{path}"), &ticket, body).await;
        let upid = answer["data"].as_str().unwrap_or_else(|| panic!("{path}: {answer}")).to_owned();
        let (_, end) = ask(&socket, "POST", "/lab/wait", "", &json!({"upid": upid}).to_string()).await;
        assert_eq!(end["exit"], "OK", "{path}");
    }
    let (_, changes) = ask(&socket, "GET", "/lab/changes", "", "").await;
    assert_eq!(changes, json!({"qmcreate": 1, "qmstart": 1, "qmstop": 1}));

    let command = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let caller = SocketCaller::new(&socket);
    let printed = run("qm", &command(&["status", "100"]), b"", &caller).await;
    assert_eq!((printed.code, printed.out.as_str(), printed.err.as_str()), (0, "status: stopped\n", ""));
    let printed = run("qm", &command(&["start", "101"]), b"", &caller).await;
    let why = "Configuration file 'nodes/pve/qemu-server/101.conf' does not exist\n";
    assert_eq!((printed.code, printed.out.as_str(), printed.err.as_str()), (255, "", why));
    let nobody = SocketCaller::new(dir.path().join("nobody.sock"));
    let printed = run("qm", &command(&["list"]), b"", &nobody).await;
    assert_eq!(printed.code, 127);
    assert!(printed.err.ends_with("is the lab up?\n"), "{}", printed.err);

    sim.edit(|state| state.levers.cut_connections = 1);
    let (head, _) = ask(&socket, "GET", "/api2/json/version", &ticket, "").await;
    assert_eq!(head, "", "the connection is cut without an answer");
    let (head, _) = ask(&socket, "GET", "/api2/json/version", &ticket, "").await;
    assert_eq!(head, "HTTP/1.1 200 OK");
    server.abort();
}

#[tokio::test]
async fn a_task_in_the_foreground_ends_with_its_client() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("pve.sock");
    let sim = Arc::new(Simulator::new(State::default(), Arc::new(NullHypervisor::default()), dir.path()));
    let server = tokio::spawn(serve(Arc::clone(&sim), Listeners { unix: vec![socket.clone()], tcp: Vec::new() }));
    listening(&socket).await;
    sim.edit(|state| state.levers.slow_tasks_ms = 600_000);
    let body = json!({"method": "POST", "path": "/nodes/pve/qemu", "params": [["vmid", "100"]]}).to_string();
    let (_, answer) = ask(&socket, "POST", "/lab/call", "", &body).await;
    let upid = answer["data"].as_str().unwrap().to_owned();

    let mut client = UnixStream::connect(&socket).await.unwrap();
    let body = json!({"upid": upid, "foreground": true}).to_string();
    let length = body.len();
    let request = format!("POST /lab/wait HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n{body}");
    client.write_all(request.as_bytes()).await.unwrap();
    drop(client);
    let task = tokio::time::timeout(Duration::from_secs(20), sim.wait(&upid)).await.expect("it ends").unwrap();
    assert_eq!(task.exit.as_deref(), Some("broken pipe"));
    server.abort();
}
