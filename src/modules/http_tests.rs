//! Against a real server of a few lines, by the real curl of this machine, and answers as a table.

use super::super::bench;
use super::*;
use serde_json::json;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};

/// Answers one request after another with what `answer` makes of it: (request line, headers, body).
fn server(answer: fn(&str, &[String], &str) -> String) -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                lines.read_line(&mut line).unwrap();
                match line.trim() {
                    "" => break,
                    text => head.push(text.to_string()),
                }
            }
            let length = head.iter().find_map(|h| h.strip_prefix("Content-Length: ")).map_or(0, |n| n.parse().unwrap());
            let mut body = vec![0; length];
            lines.read_exact(&mut body).unwrap();
            let text = answer(&head[0], &head, std::str::from_utf8(&body).unwrap());
            let _ = stream.write_all(text.as_bytes());
        }
    });
    format!("http://{address}/a?b[1]={{x}}")
}

fn have_curl() -> bool {
    bench::run(&Cmd::new(["curl", "--version"])).ok()
}

fn look(params: Value) -> (Verdict, serde_json::Map<String, Value>) {
    let decision = bench::decide(bench::instance("http", params).as_ref(), &Cx::default()).unwrap();
    assert_eq!(decision.changes, []);
    (decision.verdict, decision.facts)
}

#[test]
fn status_body_and_headers_of_a_real_server() {
    assert!(have_curl(), "these tests need curl");
    let url = server(|line, head, _| {
        assert_eq!(line, "GET /a?b[1]={x} HTTP/1.1");
        let token = head.iter().find(|h| h.starts_with("X-Token")).unwrap();
        format!("HTTP/1.1 404 Not Found\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{token}", token.len())
    });
    let mut params =
        json!({ "url": url, "status": [404], "headers": { "X-Token": "a \"b\\c" }, "body_contains": "b\\c" });
    let (verdict, facts) = look(params.clone());
    assert_eq!(verdict, Verdict::Holds);
    assert_eq!((&facts["status"], &facts["body"]), (&json!(404), &json!("X-Token: a \"b\\c")));
    assert!(facts["time"].as_f64().unwrap() > 0.0);
    params["body_contains"] = "zzz".into();
    assert_eq!(look(params.clone()).0, Verdict::Fails(format!("{url} answered 404, but its body does not hold `zzz`")));
    params["status"] = json!([200, 301]);
    assert_eq!(look(params).0, Verdict::Fails(format!("{url} answered 404, not 200 or 301")));
}

#[test]
fn a_secret_is_not_in_the_command_line() {
    let params = json!({ "url": "http://x/", "headers": { "Authorization": format!("Bearer {}", secret::mark("t")) } });
    let Ask::Cmd(cmd) = bench::instance("http", params).probe(&Cx::default()).remove(0) else { panic!() };
    assert_eq!(cmd.argv, ["curl", "-q", "-K", "-"]);
    assert!(secret::has_mark(cmd.stdin.as_deref().unwrap()));
}

#[test]
fn no_server_is_a_verdict_and_no_curl_is_an_error() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/");
    let (verdict, facts) = look(json!({ "url": url }));
    let Verdict::Fails(why) = verdict else { panic!() };
    assert!(why.starts_with(&format!("{url} did not answer: curl: (7) ")), "{why}");
    assert!(facts.is_empty());
    let step = bench::instance("http", json!("http://x/"));
    let answer = Answer::Cmd(crate::cmd::Output::of(127, "", "curl: not found\n"));
    assert_eq!(step.decide(&Cx::default(), &[answer]).unwrap_err().to_string(), "curl is not installed there");
}

#[test]
fn what_sends_something_is_never_a_probe() {
    let url = server(|line, head, body| {
        assert!(head.iter().any(|h| h == "Content-Type: application/json"));
        let status = if line.starts_with("POST") { "201 Created" } else { "500 No" };
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
    });
    let step = |status: u16, text: &str| {
        let params =
            json!({ "url": url, "method": "POST", "body": { "a": 1 }, "status": [200, status], "body_contains": text });
        bench::instance("http", params)
    };
    let run = |step: Box<dyn super::super::Instance>| {
        assert_eq!((step.nature(), step.probe(&Cx::default())), (Nature::AlwaysRuns, vec![]));
        let Action::Run(cmd) =
            bench::decide(step.as_ref(), &Cx::default()).unwrap().changes.remove(0).actions.remove(0)
        else {
            panic!()
        };
        bench::run(&cmd)
    };
    let good = run(step(201, "\"a\":1"));
    assert_eq!((good.code(), good.stdout.text().trim()), (Some(0), "{\"a\":1}"));
    let other = run(step(204, ""));
    assert_eq!((other.code(), other.complaint().as_str()), (Some(1), "answered 201, not 200 204"));
    assert_eq!(run(step(201, "zzz")).code(), Some(1));
}

#[test]
fn wrong_parameters_are_found_before_any_host() {
    let wrong = |v| bench::problems("http", v);
    assert_eq!(wrong(json!("ftp://x")), ["`ftp://x` is not the address of a page"]);
    assert_eq!(wrong(json!("http:///x")), ["`http:///x` is not the address of a page"]);
    assert_eq!(wrong(json!({ "url": "http://x", "method": "get" })), ["`get` is not a method"]);
    assert_eq!(wrong(json!({ "url": "http://x", "status": [20] })), ["`status` is a list of codes from 100 to 599"]);
    assert_eq!(wrong(json!({ "url": "http://x", "headers": { "A": "b\nc" } })), ["`A` is not a header of one line"]);
}
