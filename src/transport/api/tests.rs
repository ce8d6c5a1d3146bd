//! The API over a scripted line: recorded answers, a paused clock.

use super::*;
use crate::modules::{FetchFile, PutFile, PutTree};
use crate::transport::{Boxed, TransportError};
use serde_json::json;
use std::collections::VecDeque;
use std::sync::Mutex as Sync;
use std::time::Duration;

const UPID: &str = "UPID:pve1:00004073:000CBE7D:6B0282BC:qmsnapshot:901:root@pam:";
const PROBE: &str = "piton-probe 1\nuid 0\nhas curl\nhas perl\nhas pvesh\nhas pvedaemon\n";
const TICKET: &str = "piton-ticket 1\nnode pve1\nticket PVE:root@pam:6B0282B9::c2ln\ncsrf 6B0282B9:aGFzaA\n";

/// One answer of a node, as HTTP or as something that is none.
#[derive(Clone)]
pub(super) enum Says {
    Http(u16, &'static str, Value),
    Words(&'static str),
    Lost,
}

/// A line whose far end says what a test wrote down, in order, one for each URL asked.
#[derive(Default)]
pub(super) struct Fake {
    says: Sync<VecDeque<Says>>,
    pub(super) probe: Sync<String>,
    pub(super) asked: Sync<Vec<String>>,
    tickets: Sync<usize>,
}

impl Fake {
    pub(super) fn new(says: Vec<Says>) -> Arc<Self> {
        Arc::new(Self { says: Sync::new(says.into()), probe: Sync::new(PROBE.into()), ..Self::default() })
    }

    fn curl(&self, cmd: &Cmd) -> Result<Output, TransportError> {
        let config = cmd.stdin.clone().unwrap();
        let nonce = config.split("write-out = \"\\n").nth(1).unwrap().split(' ').next().unwrap().to_string();
        let mut out = String::new();
        for block in config.split("next\n") {
            let url = block.lines().find_map(|l| l.strip_prefix("url = \"http://127.0.0.1:85/api2/json")).unwrap();
            let method = block.lines().find_map(|l| l.strip_prefix("request = \"")).unwrap_or("GET\"");
            self.asked.lock().unwrap().push(format!("{} {}", method.trim_end_matches('"'), url.trim_end_matches('"')));
            match self.says.lock().unwrap().pop_front().expect("a test's script is too short") {
                Says::Http(status, reason, body) => {
                    out.push_str(&format!("HTTP/1.1 {status} {reason}\r\n\r\n{body}\n{nonce} 0 9 \n"));
                }
                Says::Words(words) => out.push_str(&format!("\n{nonce} {words}\n")),
                Says::Lost => return Err(TransportError::Lost { host: "pve".into(), why: "cut".into() }),
            }
        }
        Ok(Output::of(0, &out, ""))
    }
}

impl Remote for Fake {
    fn name(&self) -> &'static str {
        "pve"
    }

    fn via(&self) -> &'static str {
        "fake"
    }

    fn run(&self, batch: Batch) -> Boxed<'_, Vec<Result<Output, TransportError>>> {
        let answer = |cmd: &Cmd| match cmd.argv[0].as_str() {
            "sh" => Ok(Output::of(0, &self.probe.lock().unwrap(), "")),
            "perl" => {
                *self.tickets.lock().unwrap() += 1;
                Ok(Output::of(0, TICKET, ""))
            }
            "curl" => self.curl(cmd),
            "pvesh" => {
                self.asked.lock().unwrap().push(cmd.line());
                match self.says.lock().unwrap().pop_front().unwrap() {
                    Says::Words(stdout) => Ok(Output::of(0, stdout, "")),
                    _ => Err(TransportError::Lost { host: "pve".into(), why: "cut".into() }),
                }
            }
            other => panic!("{other}"),
        };
        let out = batch.cmds.iter().map(answer).collect();
        Box::pin(async move { out })
    }

    fn put<'a>(&'a self, _: &'a PutFile) -> Boxed<'a, Result<(), TransportError>> {
        unreachable!()
    }

    fn put_tree<'a>(&'a self, _: &'a PutTree) -> Boxed<'a, Result<(), TransportError>> {
        unreachable!()
    }

    fn fetch<'a>(&'a self, _: &'a FetchFile) -> Boxed<'a, Result<(), TransportError>> {
        unreachable!()
    }

    fn cancel(&self, _: Duration) -> Boxed<'_, ()> {
        unreachable!()
    }

    fn close(&self) -> Boxed<'_, ()> {
        unreachable!()
    }
}

pub(super) async fn open(fake: &Arc<Fake>) -> NodeApi {
    NodeApi::open(fake.clone(), Arc::new(Vault::default()), "pve1", None).await.unwrap()
}

pub(super) fn ok(data: Value) -> Says {
    Says::Http(200, "OK", json!({ "data": data }))
}

fn snapshot() -> ApiCall {
    ApiCall::of(Method::Post, "/nodes/{node}/qemu/901/snapshot")
        .param("snapname", "one")
        .follow(Duration::from_secs(60))
}

fn silent(_: &str) {}

#[tokio::test(start_paused = true)]
async fn a_task_is_followed_with_its_log() {
    let fake = Fake::new(vec![
        ok(json!(UPID)),
        ok(json!({"status": "running"})),
        ok(json!([{"n": 1, "t": "no content"}])),
        ok(json!({"status": "running"})),
        ok(json!([{"n": 1, "t": "snapshotting 'drive-scsi0'"}])),
        ok(json!({"status": "stopped", "exitstatus": "OK"})),
        ok(json!([{"n": 2, "t": "TASK OK"}])),
    ]);
    let api = open(&fake).await;
    let seen = Sync::new(Vec::new());
    let begun = Instant::now();
    let answer = api.call(&snapshot(), &|line| seen.lock().unwrap().push(line.to_string())).await.unwrap();
    assert!(answer.ok());
    assert_eq!(answer.task.unwrap().log, ["snapshotting 'drive-scsi0'", "TASK OK"]);
    assert_eq!(*seen.lock().unwrap(), ["snapshotting 'drive-scsi0'", "TASK OK"]);
    assert_eq!(begun.elapsed(), Duration::from_millis(50 + 75 + 113));
    let asked = fake.asked.lock().unwrap();
    assert_eq!(asked[0], "POST /nodes/pve1/qemu/901/snapshot");
    assert_eq!(asked[1], format!("GET /nodes/pve1/tasks/{UPID}/status"));
    assert_eq!(asked[6], format!("GET /nodes/pve1/tasks/{UPID}/log?start=1&limit=500"));
}

#[tokio::test(start_paused = true)]
async fn the_rhythm_slows_down_to_a_second_and_ends_at_the_limit() {
    let mut says = vec![ok(json!(UPID))];
    for _ in 0..100 {
        says.extend([ok(json!({"status": "running"})), ok(json!([]))]);
    }
    let fake = Fake::new(says);
    let api = open(&fake).await;
    let begun = Instant::now();
    let got = api.call(&snapshot(), &silent).await.unwrap_err();
    assert_eq!(got, ApiError::StillRunning { upid: UPID.into(), after: Duration::from_secs(60) });
    assert!(got.is_unknown());
    assert_eq!(begun.elapsed(), Duration::from_secs(60));
    // Eight looks from 50 to 854 ms after one another, then one a second, and a last one when the time is up.
    assert_eq!((fake.asked.lock().unwrap().len() - 1) / 2, 8 + 57 + 1);
}

#[tokio::test(start_paused = true)]
async fn a_failed_task_is_an_answer_that_is_not_ok() {
    let fake = Fake::new(vec![
        ok(json!(UPID)),
        ok(json!({"status": "stopped", "exitstatus": "VM is locked (backup)"})),
        ok(json!([{"n": 1, "t": "TASK ERROR: VM is locked (backup)"}])),
    ]);
    let answer = open(&fake).await.call(&snapshot(), &silent).await.unwrap();
    assert!(!answer.ok());
    assert_eq!(answer.message(), "VM is locked (backup)");
}

#[tokio::test(start_paused = true)]
async fn what_is_known_after_each_kind_of_end() {
    let sent = |says: Vec<Says>| async move {
        let fake = Fake::new(says);
        open(&fake).await.call(&snapshot(), &silent).await.unwrap_err()
    };
    let refused = sent(vec![Says::Words("7 0 Failed to connect")]).await;
    assert!(matches!(&refused, ApiError::NotSent { .. }) && !refused.is_unknown(), "{refused}");
    let closed = sent(vec![Says::Words("52 200 Empty reply from server")]).await;
    assert!(closed.is_unknown() && closed.upid().is_none(), "{closed}");
    assert!(sent(vec![Says::Lost]).await.is_unknown());
    let following = sent(vec![ok(json!(UPID)), Says::Lost]).await;
    assert_eq!(following.upid(), Some(UPID));
    assert!(following.is_unknown());
    let gone = json!({"data": null, "errors": {"upid": "no such task"}});
    let forgotten =
        sent(vec![ok(json!(UPID)), Says::Http(400, "Parameter verification failed.", gone), ok(json!([]))]).await;
    assert!(forgotten.is_unknown() && forgotten.to_string().contains("no such task"), "{forgotten}");
}

#[tokio::test(start_paused = true)]
async fn a_restart_of_pvedaemon_under_a_task_is_borne_and_a_long_silence_is_not() {
    let silence = || Says::Words("7 0 Failed to connect");
    let fake = Fake::new(vec![
        ok(json!(UPID)),
        silence(),
        silence(),
        ok(json!({"status": "stopped", "exitstatus": "OK"})),
        ok(json!([])),
    ]);
    assert!(open(&fake).await.call(&snapshot(), &silent).await.unwrap().ok());
    let mut says = vec![ok(json!(UPID))];
    says.extend((0..100).map(|_| silence()));
    let fake = Fake::new(says);
    let begun = Instant::now();
    let got = open(&fake).await.call(&snapshot(), &silent).await.unwrap_err();
    assert_eq!(got.upid(), Some(UPID));
    assert!(begun.elapsed() < Duration::from_secs(32), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_ticket_is_renewed_after_ninety_minutes_and_when_it_is_refused() {
    let fake = Fake::new(vec![ok(json!(1)), ok(json!(2)), Says::Http(401, "No ticket", Value::Null), ok(json!(3))]);
    let api = open(&fake).await;
    let version = ApiCall::get("/version");
    api.call(&version, &silent).await.unwrap();
    tokio::time::advance(Duration::from_secs(89 * 60)).await;
    assert_eq!(*fake.tickets.lock().unwrap(), 1);
    tokio::time::advance(Duration::from_secs(2 * 60)).await;
    api.call(&version, &silent).await.unwrap();
    assert_eq!(*fake.tickets.lock().unwrap(), 2);
    assert_eq!(api.call(&version, &silent).await.unwrap().data(), 3);
    assert_eq!(*fake.tickets.lock().unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn several_gets_are_one_command_and_a_lost_line_is_no_unknown_change() {
    let fake =
        Fake::new(vec![ok(json!(1)), Says::Http(500, "no such VM", json!({"data": null})), ok(json!(3)), Says::Lost]);
    let api = open(&fake).await;
    let calls = [ApiCall::get("/a"), ApiCall::get("/b"), ApiCall::get("/c")];
    let prepared = api.prepare(&calls).await.unwrap();
    assert_eq!(prepared.cmds.len(), 1);
    let got = api.gets(&calls).await;
    assert_eq!(got[0].as_ref().unwrap().data(), 1);
    assert_eq!(got[1].as_ref().unwrap().message(), "no such VM");
    let lost = api.gets(&calls).await;
    assert_eq!(lost.len(), 3);
    assert!(lost.iter().all(|r| matches!(r, Err(e @ ApiError::Line { .. }) if !e.is_unknown())));
    assert!(api.gets(&[]).await.is_empty());
}

#[tokio::test]
async fn the_carrier_is_chosen_by_what_the_node_has() {
    let fake = Fake::new(vec![Says::Words("\"100\"\n"), Says::Words("[]\n")]);
    *fake.probe.lock().unwrap() = PROBE.replace("has pvedaemon\n", "");
    let api = open(&fake).await;
    assert_eq!((api.carrier(), api.why_slow()), ("pvesh", Some("nothing answers on 127.0.0.1:85 of the node")));
    let got = api.gets(&[ApiCall::get("/cluster/nextid"), ApiCall::get("/nodes/{node}/tasks")]).await;
    assert_eq!((got[0].as_ref().unwrap().data(), got[1].as_ref().unwrap().data()), (&json!("100"), &json!([])));
    assert_eq!(fake.asked.lock().unwrap()[1], "pvesh get /nodes/pve1/tasks --output-format json");
    let secret = ApiCall::of(Method::Put, "/x").param("cipassword", secret::mark("s"));
    api.vault.insert("s", "correct horse".into()).unwrap();
    assert!(matches!(api.call(&secret, &silent).await, Err(ApiError::Refused(_))));

    *fake.probe.lock().unwrap() = "piton-probe 1\nuid 0\n".into();
    let none = NodeApi::open(fake.clone(), Arc::new(Vault::default()), "pve1", None).await.err().unwrap();
    assert!(none.to_string().contains("no pvesh"), "{none}");
    *fake.probe.lock().unwrap() = PROBE.into();
    let other = NodeApi::open(fake, Arc::new(Vault::default()), "pve", None).await.err().unwrap();
    assert!(other.to_string().contains("it calls itself `pve1`"), "{other}");
}

#[tokio::test]
async fn secrets_go_encoded_and_never_in_argv_and_come_back_as_marks() {
    let fake = Fake::new(vec![Says::Http(500, "bad p\"w&d", json!({"message": "no p\"w&d\n"}))]);
    let api = open(&fake).await;
    api.vault.insert("db", "p\"w&d".into()).unwrap();
    let call = ApiCall::of(Method::Put, "/x").param("cipassword", format!("a{}", secret::mark("db")));
    let prepared = api.prepare(std::slice::from_ref(&call)).await.unwrap();
    let stdin = api.vault.reveal(prepared.cmds[0].stdin.as_ref().unwrap()).unwrap();
    assert!(stdin.contains("data-raw = \"cipassword=ap%22w%26d\"\n"), "{}", *stdin);
    assert!(stdin.contains("Cookie: PVEAuthCookie=PVE:root@pam:6B0282B9::c2ln\""));
    assert!(!prepared.cmds[0].line().contains("p\"w"));
    let answer = api.call(&call, &silent).await.unwrap();
    assert_eq!(answer.reason, format!("bad {}", secret::mark("db")));
    assert_eq!(answer.body["message"], format!("no {}\n", secret::mark("db")));
    let unknown = ApiCall::of(Method::Put, "/x").param("p", secret::mark("none"));
    assert!(matches!(api.call(&unknown, &silent).await, Err(ApiError::NotSent { .. })));
}
