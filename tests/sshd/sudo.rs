//! Becoming another user.

use crate::fixture::{Sshd, User, run, sh_text, until};
use piton::cmd::{Cmd, Ended};
use piton::modules::{Content, Owner, PutFile};
use piton::secret::mark;
use piton::transport::{Batch, Remote, SshRemote, TransportError};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::Duration;

const PASSWORD: &str = "correct horse";

fn root(mut cmd: Cmd) -> Cmd {
    cmd.user = Some("root".into());
    cmd
}

fn set_password(user: &User) {
    let mut chpasswd = Command::new("chpasswd").stdin(Stdio::piped()).spawn().unwrap();
    writeln!(chpasswd.stdin.take().unwrap(), "{}:{PASSWORD}", user.name).unwrap();
    assert!(chpasswd.wait().unwrap().success());
}

async fn with_password(sshd: &Sshd, user: &User, password: &str) -> SshRemote {
    sshd.vault.insert("sudo", password.into()).unwrap();
    let mut target = sshd.target(&user.name);
    target.become_password = Some(mark("sudo"));
    SshRemote::connect(target, sshd.settings()).await.unwrap()
}

async fn works(remote: &dyn Remote, login: &str) {
    let cmds = vec![
        root(Cmd::new(["id", "-un"])),
        Cmd::new(["id", "-un"]),
        root(Cmd::new(["cat"]).stdin("in\n")),
        root(Cmd::new(["cat"])),
    ];
    let results = remote.run(Batch::all(cmds)).await;
    let texts: Vec<_> = results.iter().map(|r| r.as_ref().unwrap().stdout.text().into_owned()).collect();
    assert_eq!(texts, ["root\n".to_string(), format!("{login}\n"), "in\n".into(), String::new()]);
    let output = run(remote, root(Cmd::shell("echo $HOME; exit 255"))).await;
    assert_eq!((output.stdout.text().as_ref(), output.ended), ("/root\n", Ended::Code(255)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_password_where_none_is_asked() {
    let sshd = Sshd::start();
    for shell in ["bash", "tcsh"] {
        let user = sshd.user(shell);
        user.sudoers("ALL=(ALL) NOPASSWD: ALL");
        let remote = sshd.connect(&user.name).await;
        works(&remote, &user.name).await;
        remote.close().await;
        until("nothing runs there", || user.processes().is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_not_asked_for_reaches_no_command() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    user.sudoers("ALL=(ALL) NOPASSWD: ALL");
    let remote = with_password(&sshd, &user, PASSWORD).await;
    works(&remote, &user.name).await;
    remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_password() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    set_password(&user);
    user.sudoers("ALL=(ALL) ALL");
    let remote = with_password(&sshd, &user, PASSWORD).await;
    works(&remote, &user.name).await;
    // Files, deadline and cancel go the same way.
    let path = user.home.join("roots");
    let file = PutFile {
        path: path.to_str().unwrap().into(),
        content: Content::Text("x".into()),
        mode: Some(0o600),
        owner: Owner::default(),
        user: Some("root".into()),
    };
    remote.put(&file).await.unwrap();
    assert_eq!((path.metadata().unwrap().uid(), path.metadata().unwrap().mode() & 0o7777), (0, 0o600));
    let slow = root(Cmd::shell("sleep 71.5; :")).timeout(Duration::from_millis(300));
    assert_eq!(run(&remote, slow).await.ended, Ended::TimedOut);
    assert!(!crate::fixture::processes(|_| true).iter().any(|l| l == "sleep 71.5"));
    remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_said_and_nothing_is_done() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    set_password(&user);
    user.sudoers("ALL=(ALL) ALL");
    let remote = with_password(&sshd, &user, "wrong horse").await;
    let error = remote.run(Batch::one(root(Cmd::new(["true"])))).await.remove(0).unwrap_err();
    assert_eq!(error.to_string(), "cannot become root on web: sudo does not accept the password");
    // The login user's commands go on.
    assert!(sh_text(&remote, "true").await.ok());
    remote.close().await;

    let remote = sshd.connect(&user.name).await;
    let error = remote.run(Batch::one(root(Cmd::new(["true"])))).await.remove(0).unwrap_err();
    assert_eq!(error.to_string(), "cannot become root on web: sudo: a password is required");
    remote.close().await;

    let other = sshd.user("dash");
    set_password(&other);
    let remote = with_password(&sshd, &other, PASSWORD).await;
    let error = remote.run(Batch::one(root(Cmd::new(["true"])))).await.remove(0).unwrap_err();
    assert!(error.to_string().contains("is not in the sudoers file"), "{error}");
    let mut cmd = Cmd::new(["true"]);
    cmd.user = Some("a b".into());
    let error = remote.run(Batch::one(cmd)).await.remove(0).unwrap_err();
    assert!(matches!(error, TransportError::Become { .. }), "{error}");
    remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_sudo_for_the_user_that_we_are() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    let remote = sshd.connect(&user.name).await;
    let mut cmd = Cmd::new(["id", "-un"]);
    cmd.user = Some(user.name.clone());
    assert_eq!(run(&remote, cmd).await.stdout.text().trim(), user.name);
    remote.close().await;
    let remote = sshd.connect(sshd.root()).await;
    assert_eq!(run(&remote, root(Cmd::new(["id", "-un"]))).await.stdout.text(), "root\n");
    remote.close().await;
}
