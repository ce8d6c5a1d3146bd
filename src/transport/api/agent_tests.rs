//! Programs in a guest by the API: recorded answers, a paused clock.

use super::tests::{Fake, Says, ok, open};
use crate::pve::agent::AgentEnd;
use crate::transport::guest_agent::{Agent, AgentError, ApiAgent};
use serde_json::json;

async fn exec(says: Vec<Says>) -> (Result<AgentEnd, AgentError>, Vec<String>) {
    let fake = Fake::new(says);
    let agent = ApiAgent::new(open(&fake).await, 110).unwrap();
    let end = agent.exec(&["sh".into(), "-c".into(), "x".into()], "from stdin\n").await;
    let asked = fake.asked.lock().unwrap().clone();
    (end, asked)
}

fn silent() -> Says {
    Says::Http(500, "QEMU guest agent is not running", json!({"data": null}))
}

const AGAIN: &str = "GET /nodes/pve1/qemu/110/agent/exec-status?pid=472";

#[tokio::test(start_paused = true)]
async fn a_program_is_begun_once_and_asked_until_it_has_ended() {
    let ended = json!({"exitcode": 3, "err-truncated": 0, "out-data": "out\n", "exited": 1, "err-data": "err\n"});
    let says = vec![ok(json!({"pid": 472})), ok(json!({"exited": 0})), silent(), Says::Lost, ok(ended)];
    let (end, asked) = exec(says).await;
    assert_eq!(end, Ok(AgentEnd { code: 3, stdout: "out\n".into(), stderr: "err\n".into(), cut: false }));
    assert_eq!(asked, ["POST /nodes/pve1/qemu/110/agent/exec", AGAIN, AGAIN, AGAIN, AGAIN]);
}

/// The node told the end, in an answer that was lost.
#[tokio::test(start_paused = true)]
async fn an_end_that_was_told_to_nobody_is_unknown() {
    let forgotten = Says::Http(500, "Agent error: Invalid parameter 'pid'", json!({"data": null}));
    let (end, _) = exec(vec![ok(json!({"pid": 476})), Says::Lost, forgotten]).await;
    assert_eq!(end, Err(AgentError::Begun { pid: 476, why: "the agent has forgotten it".into() }));
}

#[tokio::test(start_paused = true)]
async fn a_deaf_agent_did_nothing_and_one_that_falls_silent_is_unknown() {
    let (end, asked) = exec(vec![silent()]).await;
    assert_eq!(end, Err(AgentError::Refused { why: "QEMU guest agent is not running".into() }));
    assert_eq!(asked.len(), 1);
    let mut says = vec![ok(json!({"pid": 9}))];
    says.extend(std::iter::repeat_n(silent(), 200));
    let (end, _) = exec(says).await;
    assert_eq!(end, Err(AgentError::Begun { pid: 9, why: "QEMU guest agent is not running".into() }));
}

/// As pvedaemon does when the guest has no such program.
#[tokio::test(start_paused = true)]
async fn a_closed_connection_is_unknown_and_holds_nothing_of_what_was_sent() {
    let (end, _) = exec(vec![Says::Words("52 210 Empty reply from server")]).await;
    let end = end.unwrap_err();
    assert_eq!(end, AgentError::Unknown { why: "curl 52: Empty reply from server".into() });
    assert!(!end.to_string().contains("stdin"));
}

#[tokio::test(start_paused = true)]
async fn by_pvesh_it_is_refused() {
    let fake = Fake::new(Vec::new());
    *fake.probe.lock().unwrap() = "piton-probe 1\nuid 0\nhas pvesh\n".into();
    let why = ApiAgent::new(open(&fake).await, 110).err().unwrap();
    assert!(why.ends_with("by pvesh, all that is sent would stand in an argument list of the node"), "{why}");
}
