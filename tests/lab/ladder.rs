//! A guest whose sshd is dead is reached by the next rung, and the run says so.

use crate::drive::Drive;
use crate::ground::until;
use piton::event::Event;
use std::fs;

const BOOK: &str = r#"runbook: By another way
hosts: extranet
steps:
  - name: A file
    copy:
      dest: /etc/app.conf
      content: "secret {{ secrets.npm_password }}\n"
      mode: "0640"
      owner: www-data
      group: mail
  - name: Look
    command: "stat -c '%a %U:%G' /etc/app.conf; whoami; echo $HOME; seq 1 30000 | tail -n 1"
    register: look
  - name: As another
    become: true
    become_user: www-data
    command: "whoami; pwd"
    register: other
"#;

fn outputs(events: &[piton::event::Stamped]) -> Vec<String> {
    let of = |e: &piton::event::Stamped| match &e.event {
        Event::Output { line, .. } => Some(line.clone()),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_without_sshd_is_reached_by_its_agent() {
    let drive = Drive::up().await;
    drive.write("runbooks/way.yml", BOOK);
    drive.pull("ssh-deaf extranet on").await;
    assert_eq!(drive.ground.ssh("extranet", "true").code, 255);
    let secret = fs::read_to_string(drive.ground.dir().join("secret")).unwrap();
    let watch = watch_cmdlines(secret.trim().to_string());

    let told = drive.tell(&["run", "@way", "--yes"]);
    assert_eq!((told.code, told.why().as_str()), (0, ""), "{}", told.err);
    let via = told.find(|e| match e {
        Event::Connected { host, via, .. } if host == "extranet" => Some(via.clone()),
        _ => None,
    });
    assert_eq!(via.as_deref(), Some("guest-agent"));
    let said = outputs(&told.events);
    assert!(said.contains(&"640 www-data:mail".to_string()), "{said:?}");
    assert!(said.contains(&"30000".to_string()) && said.contains(&"/root".to_string()), "{said:?}");
    assert!(said.contains(&"www-data".to_string()), "{said:?}");
    let warned = told.find(|e| match e {
        Event::Warning { text } => Some(text.clone()),
        _ => None,
    });
    let warning = "extranet does not answer by ssh: going on through its guest agent, which is slower";
    assert_eq!(warned.as_deref(), Some(warning));
    assert!(!watch.seen(), "the secret stood in an argument list");
    // The report says it, too.
    let report = drive.say(&["report", &told.run()]);
    assert!(report.out.contains(warning), "{}", report.out);

    drive.pull("ssh-deaf extranet off").await;
    let file = drive.cat("extranet", "/etc/app.conf");
    assert_eq!(file, format!("secret {}\n", secret.trim()));
    let left = "ls -d /run/piton-lin[e]-* 2>/dev/null; ps ax | grep '[p]iton-line-'";
    until("nothing of the session is left", || drive.ground.ssh("extranet", left).out.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_is_named_when_no_way_leads_there_and_the_way_back_still_does() {
    let drive = Drive::up().await;
    drive.write(
        "runbooks/change.yml",
        "runbook: Change\nhosts: extranet\nsteps:\n  - copy:\n      dest: /etc/app.conf\n      content: \"new\\n\"\n",
    );
    let done = drive.tell(&["run", "@change", "--yes"]);
    assert_eq!(done.code, 0, "{}", done.err);
    drive.pull("ssh-deaf extranet on").await;
    drive.pull("guest-deaf extranet on").await;

    let told = drive.tell(&["run", "@change", "--yes"]);
    let said = format!("{:?}", told.events);
    for part in ["ssh: ", "ssh via pve: ", "guest agent: QEMU guest agent is not running", "`qm terminal 101` on pve"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_ne!(told.code, 0);

    // The snapshot lives on the node: the guest's network is not needed.
    let back = drive.tell(&["rollback", &done.run(), "--yes"]);
    assert_eq!(back.code, 0, "{} {:?}", back.err, back.events);
    assert_eq!(drive.ground.ssh("extranet", "ls /etc/app.conf").code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fixed_transport_is_kept_to() {
    let drive = Drive::up().await;
    drive.write(
        "runbooks/who.yml",
        "runbook: Who\nhosts: extranet\nsteps:\n  - command: hostname\n    changed_when: false\n",
    );
    let plain = fs::read_to_string(drive.inventory()).unwrap();
    for (transport, deaf, via) in
        [("jump", false, Some("ssh via pve")), ("agent", false, Some("guest-agent")), ("ssh", true, None)]
    {
        let text =
            plain.replace("    address: extranet\n", &format!("    address: extranet\n    transport: {transport}\n"));
        fs::write(drive.inventory(), text).unwrap();
        if deaf {
            drive.pull("ssh-deaf extranet on").await;
        }
        let told = drive.tell(&["run", "@who", "--yes"]);
        let got = told.find(|e| match e {
            Event::Connected { host, via, .. } if host == "extranet" => Some(via.clone()),
            _ => None,
        });
        assert_eq!(
            (got.as_deref(), told.code == 0),
            (via, via.is_some()),
            "{transport}: {} {:?}",
            told.err,
            told.events
        );
    }
}

/// Another way in would go round what a host key says.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_key_that_is_not_known_is_an_error_and_no_reason_to_go_another_way() {
    let drive = Drive::up().await;
    drive.write("runbooks/who.yml", "runbook: Who\nhosts: extranet\nsteps:\n  - command: hostname\n");
    let known = drive.ground.dir().join("known_hosts");
    let text = fs::read_to_string(&known).unwrap();
    let others: String = text.lines().filter(|l| !l.starts_with("extranet.")).map(|l| format!("{l}\n")).collect();
    assert_ne!(others, text);
    fs::write(&known, others).unwrap();
    let told = drive.tell(&["run", "@who", "--yes"]);
    let problems = told.find(|e| match e {
        Event::Refused { problems } => Some(problems.iter().map(|p| p.what.clone()).collect::<Vec<_>>()),
        _ => None,
    });
    let problems = problems.unwrap_or_else(|| panic!("{:?}", told.events));
    assert!(problems[0].starts_with("extranet cannot be reached: its host key is not known"), "{problems:?}");
    assert_eq!((told.code, problems.len()), (7, 1));
    let reached = told.find(|e| matches!(e, Event::Connected { host, .. } if host == "extranet").then_some(()));
    assert_eq!(reached, None);
}

/// Looks at the argument lists of all processes, the whole time.
struct Watch {
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: Option<std::thread::JoinHandle<bool>>,
}

fn watch_cmdlines(secret: String) -> Watch {
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = stop.clone();
    let thread = std::thread::spawn(move || {
        let mut seen = false;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            std::thread::sleep(std::time::Duration::from_millis(2));
            seen |= crate::ground::processes().iter().any(|(_, line)| line.contains(&secret));
        }
        seen
    });
    Watch { stop, thread: Some(thread) }
}

impl Watch {
    fn seen(mut self) -> bool {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}
