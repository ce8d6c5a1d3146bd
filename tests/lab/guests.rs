//! Guests are real: stopped they do not answer, rolled back their files are as they were.

use crate::ground::{Ground, Said};
use piton::lab::{self, Lever, Reply, Request};
use std::process::{Command, Stdio};

const FILES: &str =
    "stat -c '%n %a %u:%g %Y' /opt/app/* /etc/app.conf; cat /etc/app.conf /opt/app/data; readlink /opt/app/link";

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_brings_content_mode_owner_time_and_links_back() {
    let ground = Ground::up().await;
    let make = "mkdir /opt/app && echo one > /opt/app/data && chmod 640 /opt/app/data && chown 33:8 /opt/app/data && \
                touch -d 2020-02-02 /opt/app/data && ln -s data /opt/app/link && echo conf > /etc/app.conf";
    assert_eq!(ground.ssh("extranet", make), Said::is(0, "", ""));
    let before = ground.ssh("extranet", FILES);
    assert_eq!(before.code, 0);
    let (host, name) = ("extranet".to_string(), "before".to_string());
    ground.ask(Request::Snapshot { host: host.clone(), name: name.clone() }).await;

    let spoil = "echo two > /opt/app/data; rm /opt/app/link /etc/app.conf; echo x > /srv/new; rm -rf /etc/network; sleep 1000 > /dev/null 2>&1 & echo ok";
    assert_eq!(ground.ssh("extranet", spoil).out, "ok\n");
    assert_eq!(ground.ssh("intranet", "echo other > /srv/kept").code, 0);
    ground.ask(Request::Rollback { host: host.clone(), name }).await;
    assert_eq!(ground.ask(Request::Status).await, Reply::Running(vec!["pve".into(), "intranet".into()]));
    assert_eq!(ground.ssh("extranet", "true").code, 255);

    ground.ask(Request::Start { host }).await;
    assert_eq!(ground.ssh("extranet", FILES), before);
    assert_eq!(
        ground.ssh("extranet", "ls /srv/new; ls -d /etc/network; ps ax | grep -c '[s]leep 1000'").out,
        "/etc/network\n0\n"
    );
    assert_eq!(ground.ssh("intranet", "cat /srv/kept").out, "other\n");
    lab::down(&ground.layout).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_guest_does_not_answer_and_a_started_one_kept_its_files() {
    let ground = Ground::up().await;
    assert_eq!(ground.ssh("intranet", "echo kept > /root/file; echo gone > /run/file; echo gone > /tmp/file").code, 0);
    let host = "intranet".to_string();
    ground.ask(Request::Stop { host: host.clone() }).await;
    assert_eq!(ground.ssh("intranet", "true").code, 255);
    let refused = lab::ask(&ground.layout, &Request::Exec { host: host.clone(), argv: vec!["true".into()] }).await;
    assert_eq!(refused.unwrap_err().to_string(), "intranet is not running");
    ground.ask(Request::Start { host }).await;
    assert_eq!(ground.ssh("intranet", "cat /root/file; cat /run/file /tmp/file 2>/dev/null").out, "kept\n");
    lab::down(&ground.layout).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_runs_programs_in_the_guest() {
    let ground = Ground::up().await;
    let said = ground.exec("intranet", &["sh", "-c", "hostname; pwd; id -u; echo no >&2; exit 7"]).await;
    assert_eq!(said, Reply::Ended { code: Some(7), stdout: "intranet\n/\n0\n".into(), stderr: "no\n".into() });
    let said = ground.exec("intranet", &["sh", "-c", "kill -9 $$"]).await;
    assert_eq!(said, Reply::Ended { code: None, stdout: String::new(), stderr: String::new() });
    assert_ne!(
        ground.exec("intranet", &["ip", "link", "add", "plab1", "type", "dummy"]).await,
        Reply::Ended { code: Some(0), stdout: String::new(), stderr: String::new() }
    );
    lab::down(&ground.layout).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn levers_make_a_guest_deaf_and_cut_its_connections() {
    let ground = Ground::up().await;
    let mut session = Command::new("ssh")
        .arg("-F")
        .arg(ground.layout.ssh_config())
        .args(["extranet", "echo begun; sleep 1000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(session.stdout.take().unwrap()), &mut line).unwrap();
    assert_eq!(line, "begun\n");
    let said = lab::lever(&ground.layout, Lever::Cut { host: "extranet".into() }).await.unwrap();
    assert!(!said.starts_with('0') && said.ends_with("sshd processes of extranet killed"), "{said}");
    assert_eq!(session.wait().unwrap().code(), Some(255));
    assert_eq!(ground.ssh("extranet", "echo new").out, "new\n");

    let deaf = |on| Lever::GuestDeaf { host: "extranet".into(), on };
    lab::lever(&ground.layout, deaf(true)).await.unwrap();
    let said = ground.ssh("extranet", "true");
    assert!(said.code == 255 && said.err.contains("timed out"), "{said:?}");
    lab::lever(&ground.layout, deaf(false)).await.unwrap();
    assert_eq!(ground.ssh("extranet", "echo back").out, "back\n");
    lab::down(&ground.layout).await.unwrap();
}
