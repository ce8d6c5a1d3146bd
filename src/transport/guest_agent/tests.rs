//! Sessions against a guest that is a shell of this machine, and the port against recorded answers.

use super::session::{self, PIECE};
use super::*;
use crate::cmd::{ApiAnswer, Cmd, Ended, Output};
use crate::modules::{Content, FetchFile, Owner, PutFile};
use crate::pve::agent::{AgentEnd, read_pid, read_status};
use crate::secret::{Vault, mark};
use crate::transport::{Batch, Remote};
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A guest agent as the real one works: programs started here. So many answers to pieces of input get lost.
#[derive(Default)]
struct Here {
    lose: AtomicUsize,
    deaf: std::sync::atomic::AtomicBool,
    longest: AtomicUsize,
    cmdlines: Mutex<String>,
}

impl Agent for Here {
    fn exec<'a>(&'a self, argv: &'a [String], input: &'a str) -> Boxed<'a, Result<AgentEnd, AgentError>> {
        Box::pin(async move {
            if self.deaf.load(Ordering::Relaxed) {
                return Err(AgentError::Refused { why: "QEMU guest agent is not running".into() });
            }
            let piece = !input.is_empty();
            self.longest.fetch_max(input.len(), Ordering::Relaxed);
            self.cmdlines.lock().unwrap().push_str(&argv.join(" "));
            let (argv, input) = (argv.to_vec(), input.to_string());
            let ran = tokio::task::spawn_blocking(move || {
                let mut child = Command::new(&argv[0])
                    .args(&argv[1..])
                    .env_clear()
                    .env("PATH", std::env::var_os("PATH").unwrap())
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap();
                let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
                child.wait_with_output().unwrap()
            });
            let ran = ran.await.unwrap();
            let less = |n: usize| n.checked_sub(1);
            if piece && self.lose.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok() {
                return Err(AgentError::Begun { pid: 7, why: "the agent has forgotten it".into() });
            }
            let code = ran.status.code().unwrap_or(255);
            Ok(AgentEnd { code, stdout: ran.stdout, stderr: ran.stderr, cut: false })
        })
    }

    fn close(&self) -> Boxed<'_, ()> {
        Box::pin(async {})
    }
}

struct Bench {
    agent: Arc<Here>,
    dir: tempfile::TempDir,
    vault: Arc<Vault>,
    remote: AgentRemote,
}

async fn bench(agent: Here) -> Bench {
    let (agent, dir, vault) = (Arc::new(agent), tempfile::tempdir().unwrap(), Arc::new(Vault::default()));
    let settings = Settings::new(dir.path(), vault.clone());
    let remote = AgentRemote::connect("web", agent.clone(), settings).await.unwrap();
    Bench { agent, dir, vault, remote }
}

impl Bench {
    async fn run(&self, cmd: Cmd) -> Output {
        self.remote.run(Batch::one(cmd)).await.remove(0).unwrap()
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    async fn folder(&self) -> PathBuf {
        let _ = self.run(Cmd::new(["true"])).await;
        let lines = self.agent.cmdlines.lock().unwrap().clone();
        let folder = lines.split_whitespace().find(|w| w.contains("/piton-line-") && !w.contains(['$', '"']));
        PathBuf::from(folder.unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_codes_signals_and_input_are_exact() {
    let bench = bench(Here::default()).await;
    assert_eq!(bench.remote.via(), "guest-agent");
    let cmds = vec![
        Cmd::shell("printf 'a\\nb'; printf 'caf\\303\\251\\n' >&2; exit 3"),
        Cmd::shell("kill -9 $$"),
        Cmd::new(["/no/such/program"]),
        Cmd::new(["cat"]).stdin("line ü\nno newline"),
        Cmd::shell("pwd; echo \"$X\"").cwd("/usr").env("X", "it's"),
    ];
    let out = bench.remote.run(Batch::all(cmds)).await;
    let said: Vec<(Option<i32>, String, String)> = out
        .iter()
        .map(|o| o.as_ref().unwrap())
        .map(|o| (o.code(), o.stdout.text().into_owned(), o.stderr.text().into_owned()))
        .collect();
    let row = |code, out: &str, err: &str| (Some(code), out.to_string(), err.to_string());
    assert_eq!(said[0], row(3, "a\nb", "café\n"));
    assert_eq!(said[1], row(137, "", ""));
    assert_eq!(said[2].0, Some(127));
    assert_eq!(said[3], row(0, "line ü\nno newline", ""));
    assert_eq!(said[4], row(0, "/usr\nit's\n", ""));
    bench.remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_input_goes_in_pieces_and_long_output_comes_whole() {
    let bench = bench(Here::default()).await;
    for len in [PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 77] {
        let path = bench.path(&format!("file{len}"));
        let bytes: Vec<u8> = (0..len).map(|i| u8::try_from(i * 31 % 256).unwrap()).collect();
        let put = PutFile {
            path: path.clone(),
            content: Content::Bytes(bytes.clone()),
            mode: Some(0o640),
            owner: Owner::default(),
            user: None,
        };
        bench.remote.put(&put).await.unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "{len}");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o7777, 0o640);
        let dest = bench.dir.path().join("back");
        bench.remote.fetch(&FetchFile { src: path, dest: dest.clone(), user: None }).await.unwrap();
        assert_eq!(std::fs::read(dest).unwrap(), bytes, "{len}");
    }
    let long = bench.run(Cmd::shell("seq 1 100000; echo end >&2")).await;
    let want: String = (1..=100_000).map(|n| format!("{n}\n")).collect();
    assert_eq!((long.stdout.total, long.stdout.text().into_owned()), (want.len() as u64, want));
    assert_eq!(long.stderr.text(), "end\n");
    // What the API takes at most, with room for the form encoding.
    let longest = bench.agent.longest.load(Ordering::Relaxed);
    assert!(longest > PIECE && longest < crate::pve::agent::LONGEST_INPUT * 3 / 4, "{longest}");
    bench.remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_asked_again_and_nothing_is_done_twice() {
    let bench = bench(Here { lose: AtomicUsize::new(3), ..Here::default() }).await;
    let count = bench.path("count");
    let out = bench.run(Cmd::shell_with("echo once >>\"$1\"; echo done", [count.clone()])).await;
    assert_eq!((out.code(), out.stdout.text().as_ref()), (Some(0), "done\n"));
    assert_eq!(std::fs::read_to_string(count).unwrap(), "once\n");
    assert_eq!(bench.agent.lose.load(Ordering::Relaxed), 0);
    bench.remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_and_a_cancel_reach_the_program() {
    let bench = bench(Here::default()).await;
    let (tell, begun) = oneshot::channel();
    let tell = Mutex::new(Some(tell));
    let live: crate::transport::Live = Arc::new(move |_, _, line: &str| {
        if let (Ok(pid), Some(tell)) = (line.parse::<u32>(), tell.lock().unwrap().take()) {
            let _ = tell.send(pid);
        }
    });
    let cmds = vec![Cmd::shell("echo $$; exec sleep 1000"), Cmd::shell("echo never")];
    let running = bench.remote.run(Batch { cmds, live: Some(live), ..Batch::default() });
    let (out, pid) = tokio::join!(running, async {
        let pid = begun.await.unwrap();
        bench.remote.cancel(Duration::from_secs(5)).await;
        pid
    });
    let ended: Vec<Ended> = out.into_iter().map(|o| o.unwrap().ended).collect();
    assert_eq!(ended, [Ended::Cancelled, Ended::NotBegun]);
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    assert!(line.is_empty(), "{}", String::from_utf8_lossy(&line));

    let slow = Cmd::shell("trap '' HUP; sleep 1000; echo late").timeout(Duration::from_millis(300));
    assert_eq!(bench.run(slow).await.ended, Ended::TimedOut);
    assert_eq!(bench.run(Cmd::shell("echo next")).await.stdout.text(), "next\n");
    bench.remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_in_no_argument_and_concealed_in_the_output() {
    let bench = bench(Here::default()).await;
    bench.vault.insert("db", "hunter22".into()).unwrap();
    let look = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c 'hunter2[2]'; echo \"$P\"; cat";
    let out = bench.run(Cmd::shell(look).env("P", mark("db")).stdin(mark("db"))).await;
    assert_eq!(out.stdout.text(), format!("0\n{0}\n{0}", mark("db")));
    let lines = bench.agent.cmdlines.lock().unwrap().clone();
    assert!(lines.contains("piton-turn") && !lines.contains("hunter22"));
    bench.remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_when_it_is_closed() {
    let bench = bench(Here::default()).await;
    let folder = bench.folder().await;
    assert!(folder.join("out").is_file(), "{}", folder.display());
    bench.remote.close().await;
    assert!(!folder.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_gone_in_the_middle_leaves_the_outcome_unknown() {
    let bench = bench(Here::default()).await;
    let folder = bench.folder().await.display().to_string();
    let cmd = Cmd::shell_with("rm -rf \"$1\"; sleep 2; echo done", [folder.clone()]);
    let lost = bench.remote.run(Batch::one(cmd)).await.remove(0).unwrap_err();
    let TransportError::Lost { host, why } = &lost else { panic!("{lost:?}") };
    assert_eq!(host, "web");
    assert!(why.starts_with("the session in the guest is gone (the session is process "), "{why}");
    assert!(why.ends_with(&format!(" of the guest, in {folder})")), "{why}");
    bench.remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deaf_agent_is_unreachable() {
    let agent = Here::default();
    agent.deaf.store(true, Ordering::Relaxed);
    let settings = Settings::new("/nonexistent", Arc::default());
    let refused = AgentRemote::connect("web", Arc::new(agent), settings).await.err().unwrap();
    let why = "QEMU guest agent is not running".to_string();
    assert_eq!(refused, TransportError::Unreachable { host: "web".into(), why, hint: None });
}

#[test]
fn an_answer_that_is_not_whole_is_none() {
    let end = |out: &str| AgentEnd { code: 0, stdout: out.into(), stderr: Vec::new(), cut: false };
    let whole = "piton-turn 5 0 1 0\naGVs\nbG8=\n.\n.\n";
    let turn = session::read(&end(whole)).unwrap();
    assert_eq!((turn.out.as_slice(), turn.there, turn.end), (b"hello".as_slice(), (5, 0), true));
    for cut in 0..whole.len() {
        assert!(session::read(&end(&whole[..cut])).is_err(), "{:?}", &whole[..cut]);
    }
    let truncated = AgentEnd { cut: true, ..end(whole) };
    assert_eq!(session::read(&truncated).unwrap_err(), "the guest agent threw a part of the output away");
    assert_eq!(session::read(&end("piton-gone\n")).unwrap_err(), "the session in the guest is gone");
}

/// The recorded rows of `agent/exec` and `agent/exec-status`, byte for byte.
#[test]
fn recorded_answers_are_read() {
    let file = |name: &str| -> Vec<Value> {
        let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    };
    let (api, cli) = (file("api-8.4.jsonl"), file("pve-8.4.jsonl"));
    let row = |rows: &[Value], seq: u64| rows.iter().find(|r| r["seq"] == seq).unwrap().clone();
    let answer = |seq: u64| {
        let row = row(&api, seq);
        ApiAnswer {
            status: u16::try_from(row["status"].as_u64().unwrap()).unwrap(),
            reason: row["reason"].as_str().unwrap().into(),
            body: row["body"].clone(),
            task: None,
        }
    };
    let end =
        |code, out: &str, err: &str| Ok(Some(AgentEnd { code, stdout: out.into(), stderr: err.into(), cut: false }));
    assert_eq!(read_pid(&answer(740)), Ok(470));
    assert_eq!(read_status(&answer(741)), end(0, "hi there\n", ""));
    assert_eq!(read_status(&answer(743)), end(3, "out\n", "err\n"));
    assert_eq!(read_status(&answer(747)), Ok(None));
    assert_eq!(read_status(&answer(748)), end(0, "", ""));
    // `qm guest exec` prints the same `data`.
    let killed: Value = serde_json::from_str(row(&cli, 512)["stdout"].as_str().unwrap()).unwrap();
    let killed = ApiAnswer { body: serde_json::json!({ "data": killed }), ..answer(741) };
    assert_eq!(read_status(&killed), end(137, "", ""));
    let forgotten = "Agent error: Invalid parameter 'pid'";
    assert_eq!(read_status(&answer(749)), Err(forgotten.into()));
    assert_eq!(read_status(&answer(754)), Err(forgotten.into()));
    let missing = "Parameter verification failed. command: property is missing and it is not optional";
    assert_eq!(read_pid(&answer(753)), Err(missing.into()));
    assert_eq!(read_pid(&answer(764)), Err("VM 300 is not running".into()));
    let none = "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist";
    assert_eq!(read_pid(&answer(767)), Err(none.into()));
}
