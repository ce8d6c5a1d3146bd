//! Tables for the *api* carrier; the recordings go through it in `tests/recordings`.

use super::*;
use crate::secret::mark;

fn curl() -> Curl {
    Curl::new(Auth::of("pve"))
}

fn printed(answer: &str, words: &str) -> Output {
    Output::of(0, &format!("{answer}\nN0 {words}\n"), "")
}

#[test]
fn a_post_has_everything_in_the_configuration_and_nothing_in_argv() {
    let call = ApiCall::of(Method::Post, "/nodes/{node}/qemu/100/snapshot")
        .param("snapname", "a b")
        .param("password", format!("x{}", mark("db")));
    let cmd = many_cmd(&curl(), "pve1", &[call], "N0").unwrap();
    assert_eq!(cmd.argv, ["curl", "-q", "-K", "-"]);
    let expected = format!(
        r#"silent
include
globoff
path-as-is
noproxy = "*"
connect-timeout = 5
max-time = 90
url = "http://127.0.0.1:85/api2/json/nodes/pve1/qemu/100/snapshot"
header = "Cookie: PVEAuthCookie={}"
request = "POST"
header = "CSRFPreventionToken: {}"
header = "Expect:"
data-raw = "snapname=a%20b"
data-raw = "password=x{}"
write-out = "\nN0 %{{exitcode}} %{{size_request}} %{{errormsg}}\n"
"#,
        mark("pve-ticket-pve"),
        mark("pve-csrf-pve"),
        mark("db~form"),
    );
    assert_eq!(cmd.stdin.unwrap(), expected);
}

#[test]
fn values_of_the_configuration_are_quoted() {
    assert_eq!(option("url", "a\\b\"c\nd\te\rf"), r#"url = "a\\b\"c\nd\te\rf""#);
}

#[test]
fn gets_share_one_process_and_have_their_parameters_in_the_url() {
    let calls = [ApiCall::get("/version"), ApiCall::get("/nodes/{node}/tasks").param("limit", "5").param("a", "b&c")];
    let config = many_cmd(&curl(), "n", &calls, "N0").unwrap().stdin.unwrap();
    assert_eq!(config.matches("\nnext\n").count(), 1);
    assert!(config.contains("url = \"http://127.0.0.1:85/api2/json/nodes/n/tasks?limit=5&a=b%26c\"\n"), "{config}");
    assert!(!config.contains("request = ") && !config.contains("CSRF"), "{config}");
}

#[test]
fn what_cannot_be_said_is_refused() {
    let why = |calls: &[ApiCall]| match many_cmd(&curl(), "n", calls, "N0") {
        Err(PveError::Refused { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    let post = ApiCall::of(Method::Post, "/x");
    assert_eq!(why(&[post.clone(), post]), "only GETs go out together");
    assert_eq!(why(&[ApiCall::get("/x").param("p", mark("s"))]), "a secret in the query of a GET");
    assert_eq!(why(&[ApiCall::of(Method::Delete, "/x").param("p", mark("s"))]), "a secret in the query of a DELETE");
    assert_eq!(why(&[ApiCall::get(format!("/x/{}", mark("s")))]), "a secret in the path");
    let long = ApiCall::of(Method::Post, "/x").param("p", "y".repeat(LONGEST_LINE));
    assert!(why(&[long]).contains("longer than"));
}

#[test]
fn the_reason_phrase_and_the_body_come_through() {
    let text =
        "HTTP/1.1 500 VM 901 is locked (backup)\r\nConnection: close\r\n\r\n{\"data\":null,\"message\":\"m\\n\"}";
    let got = read_many(&[ApiCall::get("/x")], &printed(text, "0 120 "), "N0").remove(0).unwrap();
    assert_eq!((got.status, got.reason.as_str()), (500, "VM 901 is locked (backup)"));
    assert_eq!(got.body["message"], "m\n");
    let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 401 No ticket\r\nConnection: close\r\n\r\n";
    let got = read_many(&[ApiCall::get("/x")], &printed(text, "0 120 "), "N0").remove(0).unwrap();
    assert_eq!((got.status, got.reason.as_str(), &got.body), (401, "No ticket", &Value::Null));
}

#[test]
fn refused_is_not_done_and_closed_is_not_known() {
    let call = [ApiCall::of(Method::Post, "/x")];
    let read = |output: &Output| read_many(&call, output, "N0").remove(0).unwrap_err();
    let refused = read(&Output::of(7, "\nN0 7 0 Failed to connect to 127.0.0.1 port 85\n", ""));
    assert!(
        matches!(&refused, PveError::NotSent { why, .. } if why == "curl 7: Failed to connect to 127.0.0.1 port 85")
    );
    let closed = read(&Output::of(52, "\nN0 52 210 Empty reply from server\n", ""));
    assert!(closed.is_unknown(), "{closed}");
    let connecting = read(&Output::of(28, "\nN0 28 0 Connection timed out\n", ""));
    assert!(matches!(connecting, PveError::NotSent { .. }));
    let silent = read(&Output::of(28, "\nN0 28 300 Operation timed out\n", ""));
    assert!(silent.is_unknown());
    assert!(matches!(read(&Output::of(127, "", "sh: curl: not found")), PveError::NotSent { .. }));
    assert!(matches!(read(&Output::of(26, "", "curl: option -K: error encountered")), PveError::NotSent { .. }));
    assert!(read(&Output::of(137, "HTTP/1.1 200 OK\r\n", "")).is_unknown());
    let killed = Output { ended: Ended::TimedOut, ..Output::of(0, "", "") };
    assert!(read(&killed).is_unknown());
}

#[test]
fn one_dead_call_of_a_batch_does_not_hide_the_others() {
    let calls = [ApiCall::get("/a"), ApiCall::get("/b"), ApiCall::get("/c"), ApiCall::get("/d")];
    let text = "HTTP/1.1 200 OK\r\n\r\n{\"data\":1}\nN0 0 9 \n\nN0 52 9 Empty reply\nHTTP/1.1 200 OK\r\n\r\n{\"data\":3}\nN0 0 9 \n";
    let got = read_many(&calls, &Output::of(0, text, ""), "N0");
    assert_eq!(got[0].as_ref().unwrap().data(), 1);
    assert!(got[1].as_ref().unwrap_err().is_unknown());
    assert_eq!(got[2].as_ref().unwrap().data(), 3);
    assert!(got[3].is_err());
}
