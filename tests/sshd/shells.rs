//! Every kind of login shell carries the loop.

use crate::fixture::{Sshd, run, sh_text};
use piton::cmd::{Cmd, Ended};
use piton::transport::{Batch, Remote};
use std::fs;
use std::time::{Duration, Instant};

const NASTY: &str = "a'b\"c`d$e\\f!g%h*i?j[k]l{m}n~o#p&q;r|s<t>u(v)w^x=y z\ttab\nnew\r\u{e4}\u{1f600}\u{1e}";

async fn every_answer_is_exact(remote: &dyn Remote) {
    for code in [0, 1, 2, 126, 127, 255] {
        assert_eq!(sh_text(remote, &format!("exit {code}")).await.ended, Ended::Code(code));
    }
    assert_eq!(sh_text(remote, "kill -9 $$").await.ended, Ended::Code(137));
    assert_eq!(run(remote, Cmd::new(["piton-no-such-program"])).await.ended, Ended::Code(127));
    let output = run(remote, Cmd::shell_with("printf '[%s]' \"$@\"", [NASTY, "", "-n", "last"])).await;
    assert_eq!(output.stdout.text(), format!("[{NASTY}][][-n][last]"));
    let output = run(remote, Cmd::shell("printf %s \"$X\"; printf %s \"$Y\" >&2").env("X", NASTY).env("Y", "y")).await;
    assert_eq!((output.stdout.text().as_ref(), output.stderr.text().as_ref()), (NASTY, "y"));
    for stdin in ["one\ntwo", "one\ntwo\n", "\n\n", "\\n %s %% \\\\ \\c", NASTY, "", " lead\n  and trail  ", "x"] {
        let output = run(remote, Cmd::new(["cat"]).stdin(stdin)).await;
        assert_eq!((output.stdout.text().as_ref(), output.ended), (stdin, Ended::Code(0)));
    }
    // A command that does not read its input, and one without any.
    assert!(run(remote, Cmd::new(["true"]).stdin("line\n".repeat(50_000))).await.ok());
    assert_eq!(run(remote, Cmd::new(["cat"])).await.stdout.text(), "");
    assert_eq!(run(remote, Cmd::new(["pwd"]).cwd("/usr/bin")).await.stdout.text(), "/usr/bin\n");
    let output = run(remote, Cmd::new(["pwd"]).cwd("/nowhere")).await;
    assert_eq!(output.ended, Ended::Code(126));
    assert!(output.stderr.text().contains("/nowhere"), "{}", output.stderr.text());
    let output = sh_text(remote, "printf 'out\\036\\000\\377'; printf err >&2").await;
    assert_eq!((output.stdout.bytes.as_slice(), output.stderr.bytes.as_slice()), (&b"out\x1e\0\xff"[..], &b"err"[..]));
}

async fn with_shell(shell: &str) {
    let sshd = Sshd::start();
    let user = sshd.user(shell);
    let noise = "echo noise from the shell; echo more >/dev/stderr\n";
    for file in [".bashrc", ".profile", ".bash_profile", ".cshrc", ".tcshrc", ".login", ".shinit", ".kshrc"] {
        fs::write(user.home.join(file), noise).unwrap();
    }
    let remote = sshd.connect(&user.name).await;
    every_answer_is_exact(&remote).await;
    assert_eq!(run(&remote, Cmd::new(["id", "-un"])).await.stdout.text().trim(), user.name);
    assert_eq!(run(&remote, Cmd::new(["pwd"])).await.stdout.text().trim(), user.home.to_str().unwrap());
    remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dash() {
    with_shell("dash").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bash() {
    with_shell("bash").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn busybox() {
    with_shell("busybox").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn posh() {
    with_shell("posh").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tcsh() {
    with_shell("tcsh").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn local() {
    let run_dir = tempfile::tempdir().unwrap();
    let settings = piton::transport::Settings::new(run_dir.path(), std::sync::Arc::default());
    let remote = piton::transport::LocalRemote::start("here", None, settings).await.unwrap();
    every_answer_is_exact(&remote).await;
    remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_shell_costs_only_once() {
    let sshd = Sshd::start();
    let user = sshd.user("tcsh");
    fs::write(user.home.join(".cshrc"), "sleep 1\n").unwrap();
    let remote = sshd.connect(&user.name).await;
    sh_text(&remote, "true").await;
    let begun = Instant::now();
    for _ in 0..20 {
        assert!(run(&remote, Cmd::new(["true"])).await.ok());
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let results = remote.run(Batch::all(vec![Cmd::new(["true"]); 50])).await;
    assert!(results.iter().all(|r| r.as_ref().unwrap().ok()));
    remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shell_that_lets_nobody_in_is_said() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    crate::fixture::sh("usermod", &["-s", "/usr/sbin/nologin", &user.name]);
    let remote = sshd.connect(&user.name).await;
    let error = remote.run(Batch::one(Cmd::new(["true"]))).await.remove(0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "web cannot be reached: the login shell did not start: This account is currently not available."
    );
}
