//! Connecting: host keys, refusals, names, limits of the server.

use crate::fixture::{Sshd, run};
use piton::cmd::Cmd;
use piton::modules::{Content, Owner, PutFile};
use piton::transport::{Remote, SshRemote, TransportError};
use std::fs;

async fn refused(sshd: &Sshd, user: &str) -> (String, String) {
    match sshd.try_connect(user).await {
        Err(TransportError::Unreachable { host, why, hint }) => {
            assert_eq!(host, "web");
            (why, hint.unwrap_or_default())
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("connected"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_host_key_is_not_accepted() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    let known = sshd.dir.path().join("known_hosts");
    fs::write(&known, "").unwrap();
    let (why, hint) = refused(&sshd, &user.name).await;
    assert_eq!(why, "its host key is not known");
    assert_eq!(hint, format!("log in once by hand with `ssh -p {} 127.0.0.1` and compare the fingerprint", sshd.port));
    assert_eq!(fs::read_to_string(&known).unwrap(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_users_own_host_key_policy_counts() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    let known = sshd.dir.path().join("known_hosts");
    fs::write(&known, "").unwrap();
    let config = sshd.dir.path().join("ssh_config");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}  StrictHostKeyChecking accept-new\n")).unwrap();
    let remote = sshd.connect(&user.name).await;
    assert!(fs::read_to_string(&known).unwrap().contains("ssh-ed25519"));
    remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_host_key_is_an_alarm() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    let other = fs::read_to_string(sshd.dir.path().join("user.pub")).unwrap();
    fs::write(sshd.dir.path().join("known_hosts"), format!("[127.0.0.1]:{} {other}", sshd.port)).unwrap();
    let (why, hint) = refused(&sshd, &user.name).await;
    assert_eq!(why, "its host key is not the one that known_hosts holds");
    assert!(hint.contains(&format!("`ssh-keygen -R '[127.0.0.1]:{}'`", sshd.port)), "{hint}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_no_port_no_name() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    fs::remove_file(sshd.dir.path().join("keys").join(&user.name)).unwrap();
    let (why, hint) = refused(&sshd, &user.name).await;
    assert!(why.starts_with("it does not let us in (it takes: publickey"), "{why}");
    assert!(hint.contains("ssh-copy-id"), "{hint}");

    let mut target = sshd.target(&user.name);
    target.port = Some(1);
    let error = SshRemote::connect(target, sshd.settings()).await.err().unwrap();
    assert_eq!(error.to_string(), "web cannot be reached: it refuses the connection");

    let mut target = sshd.target(&user.name);
    target.address = "no-such-name.invalid".into();
    let error = SshRemote::connect(target, sshd.settings()).await.err().unwrap();
    assert_eq!(error.to_string(), "web cannot be reached: the name no-such-name.invalid is not known");

    let mut target = sshd.target(&user.name);
    target.config = Some("/nonexistent/config".into());
    let error = SshRemote::connect(target, sshd.settings()).await.err().unwrap();
    assert_eq!(error.to_string(), "the ssh configuration /nonexistent/config does not exist");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_gives_few_sessions_is_waited_for() {
    let sshd = Sshd::with("MaxSessions 2");
    let user = sshd.user("dash");
    let remote = sshd.connect(&user.name).await;
    assert!(run(&remote, Cmd::new(["true"])).await.ok());
    let files: Vec<PutFile> = (0..8)
        .map(|i| PutFile {
            path: user.home.join(format!("f{i}")).to_str().unwrap().into(),
            content: Content::Text(i.to_string()),
            mode: None,
            owner: Owner::default(),
            user: None,
        })
        .collect();
    let remote = std::sync::Arc::new(remote);
    let puts: Vec<_> = files
        .into_iter()
        .map(|file| {
            let remote = std::sync::Arc::clone(&remote);
            tokio::spawn(async move { remote.put(&file).await })
        })
        .collect();
    for (i, put) in puts.into_iter().enumerate() {
        let result = put.await.unwrap();
        result.unwrap();
        assert_eq!(fs::read_to_string(user.home.join(format!("f{i}"))).unwrap(), i.to_string());
    }
    remote.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_hosts_at_once() {
    let sshd = Sshd::start();
    let user = sshd.user("dash");
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..24 {
        let (target, settings) = (sshd.target(&user.name), sshd.settings());
        tasks.spawn(async move {
            let remote = SshRemote::connect(target, settings).await.unwrap();
            assert!(run(&remote, Cmd::new(["true"])).await.ok());
            remote.close().await;
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn through_another_host_by_the_users_own_configuration() {
    let (jump, inner) = (Sshd::start(), Sshd::start());
    let (over, user) = (jump.user("dash"), inner.user("dash"));
    let (a, b) = (jump.dir.path().display(), inner.dir.path().display());
    let known = format!(
        "{}{}",
        fs::read_to_string(jump.dir.path().join("known_hosts")).unwrap(),
        fs::read_to_string(inner.dir.path().join("known_hosts")).unwrap()
    );
    fs::write(inner.dir.path().join("known_hosts"), known).unwrap();
    let text = fs::read_to_string(inner.dir.path().join("ssh_config")).unwrap();
    let more = format!(
        "Host bastion\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityFile {a}/user\n\
         Host inner\n  HostName 127.0.0.1\n  Port {}\n  User {}\n  IdentityFile {b}/user\n  ProxyJump bastion\n",
        jump.port, over.name, inner.port, user.name
    );
    fs::write(inner.dir.path().join("ssh_config"), format!("{more}{text}")).unwrap();
    let mut target = inner.target("");
    (target.address, target.user, target.port) = ("inner".into(), None, None);
    let remote = SshRemote::connect(target, inner.settings()).await.unwrap();
    assert_eq!(run(&remote, Cmd::new(["id", "-un"])).await.stdout.text().trim(), user.name);
    assert!(jump.log().contains(&format!("Accepted publickey for {}", over.name)), "{}", jump.log());
    remote.close().await;
}
