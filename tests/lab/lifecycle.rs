//! Up, down, and what is left behind: nothing.

use crate::ground::{Ground, PITON, Said, listens, until};
use piton::lab::{self, LabError, Options};
use std::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn up_brings_three_hosts_and_down_leaves_nothing() {
    let ground = Ground::empty();
    let up = ground.start().await;
    assert!(!up.already);
    let seen: Vec<_> = up.status.hosts.iter().map(|h| (h.name, h.vmid, h.running, h.answers.clone())).collect();
    let want =
        [("pve", None, true, Ok(())), ("extranet", Some(101), true, Ok(())), ("intranet", Some(102), true, Ok(()))];
    assert_eq!(seen, want);
    assert!(ground.start().await.already);
    let ports = ground.ports();
    assert!(ports.iter().all(|p| listens(*p)));
    // The daemon, and for each host `unshare` and its process 1.
    assert_eq!(ground.processes().len(), 7, "{:#?}", ground.processes());

    lab::down(&ground.layout).await.unwrap();
    assert!(!ground.dir().exists());
    until("the daemon has ended", || ground.processes().is_empty());
    assert_eq!(ground.mounts(), Vec::<String>::new());
    assert!(!ports.iter().any(|p| listens(*p)));
    assert!(matches!(lab::down(&ground.layout).await, Err(LabError::NoLab { .. })));
    assert!(matches!(lab::status(&ground.layout).await, Err(LabError::NoLab { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_host_is_itself_and_the_machine_is_not_touched() {
    let ground = Ground::up().await;
    for host in ["pve", "extranet", "intranet"] {
        assert_eq!(
            ground.ssh(host, "hostname; cat /etc/hostname; id -un"),
            Said::is(0, &format!("{host}\n{host}\nroot\n"), "")
        );
        let marker = ground.ssh(host, "grep HOST /etc/piton-lab");
        assert_eq!(marker, Said::is(0, &format!("HOST={host}\n"), ""));
    }
    let name = format!("piton-canary-{}", std::process::id());
    for dir in ["etc", "opt", "srv", "var", "root", "home", "tmp", "run", "usr/local"] {
        assert_eq!(ground.ssh("extranet", &format!("echo mine > /{dir}/{name}")), Said::is(0, "", ""));
        assert_eq!(ground.ssh("intranet", &format!("ls /{dir} | grep -c {name}")).out, "0\n");
        assert!(!std::path::Path::new("/").join(dir).join(&name).exists(), "/{dir} is the machine's");
    }
    for command in ["touch /usr/bin/x", "echo s > /proc/sysrq-trigger", "mknod /root/disk b 1 0"] {
        let said = ground.ssh("pve", command);
        assert_ne!(said.code, 0, "{command}: {said:?}");
    }
    assert_eq!(ground.ssh("extranet", "apt-get update"), Said::is(127, "", "piton lab: apt-get is not simulated\n"));
    let said = ground.ssh("pve", "/usr/sbin/reboot");
    assert!(said.code == 127 && said.err.contains("reboot"), "{said:?}");
    assert_ne!(ground.ssh("pve", "ip link add plab0 type dummy").code, 0);
    assert_ne!(ground.ssh("pve", "echo 1 > /proc/sys/net/ipv4/ip_forward").code, 0);
    assert_eq!(ground.ssh("intranet", "qm list").code, 127);
    lab::down(&ground.layout).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_labs_do_not_know_each_other() {
    let (one, two) = tokio::join!(Ground::up(), Ground::up());
    assert!(one.ports().iter().all(|p| !two.ports().contains(p)));
    assert_eq!(one.ssh("extranet", "echo one > /root/whose").code, 0);
    assert_eq!(two.ssh("extranet", "ls /root/whose").code, 2);
    lab::down(&one.layout).await.unwrap();
    assert_eq!(two.ssh("extranet", "hostname"), Said::is(0, "extranet\n", ""));
    lab::down(&two.layout).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_killed_with_9_takes_its_hosts_along() {
    let ground = Ground::up().await;
    let ports = ground.ports();
    assert_eq!(ground.ssh("extranet", "setsid sleep 1000 > /dev/null 2>&1 & echo begun").out, "begun\n");
    Command::new("kill").args(["-9", &ground.daemon().to_string()]).status().unwrap();
    until("every process is gone", || ground.processes().is_empty());
    until("every sshd is gone", || !ports.iter().any(|p| listens(*p)));
    assert_eq!(ground.mounts(), Vec::<String>::new());
    assert!(matches!(lab::status(&ground.layout).await, Err(LabError::Dead { .. })));
    assert!(!ground.start().await.already);
    assert_eq!(ground.ssh("extranet", "hostname"), Said::is(0, "extranet\n", ""));
    lab::down(&ground.layout).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_ends_it_in_order() {
    let ground = Ground::up().await;
    Command::new("kill").args(["-TERM", &ground.daemon().to_string()]).status().unwrap();
    until("every process is gone", || ground.processes().is_empty());
    lab::down(&ground.layout).await.unwrap();
    assert!(!ground.dir().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_with_something_else_in_it_is_left_alone() {
    let ground = Ground::empty();
    std::fs::create_dir_all(ground.dir()).unwrap();
    std::fs::write(ground.dir().join("thesis.txt"), "x").unwrap();
    let options = Options { dir: Some(ground.dir().to_path_buf()), piton: Some(PITON.into()) };
    assert!(matches!(lab::up(options, &|_| ()).await, Err(LabError::Foreign { .. })));
    assert!(matches!(lab::down(&ground.layout).await, Err(LabError::NoLab { .. })));
    assert!(ground.dir().join("thesis.txt").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_key_than_the_pinned_one_is_refused() {
    let ground = Ground::up().await;
    assert_eq!(ground.ssh("extranet", "rm /etc/ssh/ssh_host_*; ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key && systemctl reload ssh").code, 0);
    until("the new key is refused", || ground.ssh("extranet", "true").err.contains("Host key verification failed"));
    let status = lab::status(&ground.layout).await.unwrap();
    let answers: Vec<_> = status.hosts.iter().map(|h| h.answers.is_ok()).collect();
    assert_eq!(answers, [true, false, true]);
    lab::down(&ground.layout).await.unwrap();
}
