//! A secret goes into a template, an environment, a header, `sudo` and a VM's configuration, and is looked for
//! everywhere else: in argument lists while it runs, and afterwards in all that piton and the hosts keep.

use crate::drive::{Drive, Told, files_below};
use piton::event::RunEnd;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Looks for texts in every argument list of this machine, the lab's hosts among them, until it is told to stop.
struct Watch {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicUsize>,
    thread: std::thread::JoinHandle<Vec<String>>,
}

impl Watch {
    fn begin(text: &str) -> Self {
        let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (text, ending, counting) = (text.as_bytes().to_vec(), stop.clone(), rounds.clone());
        let thread = std::thread::spawn(move || {
            let mut seen = Vec::new();
            while !ending.load(Ordering::Relaxed) {
                for entry in fs::read_dir("/proc").unwrap().flatten() {
                    let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
                    if memchr::memmem::find(&line, &text).is_some() {
                        seen.push(String::from_utf8_lossy(&line).replace('\0', " "));
                    }
                }
                counting.fetch_add(1, Ordering::Relaxed);
            }
            seen
        });
        Self { stop, rounds, thread }
    }

    /// What was seen, and how often it looked.
    fn end(self) -> (Vec<String>, usize) {
        self.stop.store(true, Ordering::Relaxed);
        (self.thread.join().unwrap(), self.rounds.load(Ordering::Relaxed))
    }
}

/// Files below a folder that hold the text, also as JSON, HTML and shells write it: its middle is plain letters.
fn holding(folder: &std::path::Path, text: &str) -> Vec<String> {
    let with = |(_, bytes): &(_, Vec<u8>)| memchr::memmem::find(bytes, text.as_bytes()).is_some();
    files_below(folder).into_iter().filter(with).map(|(path, _)| path.display().to_string()).collect()
}

/// Files of a host that hold the text.
fn on_host(drive: &Drive, host: &str, text: &str) -> Vec<String> {
    let script =
        format!("cd /; grep -rlFs -e {text} etc opt srv var root home usr/local tmp run/user run/lock dev/shm; true");
    let mut found: Vec<String> = drive.inside(host, &script).lines().map(String::from).collect();
    found.sort();
    found
}

const BOOK: &str = r#"
runbook: Canary
vars: { port: 0 }
sections:
  - section: Guest
    hosts: [extranet]
    steps:
      - name: template
        template: { src: secret.hbs, dest: /opt/secret.conf, mode: "0600" }
        become: true
      - name: a file that had it goes
        copy: { content: "nothing\n", dest: /opt/old.conf }
        become: true
      - name: environment
        command:
          cmd: |
            a=$(printf %s "$CANARY" | cut -c1-11); b=$(printf %s "$CANARY" | cut -c12-)
            echo "out $CANARY."; echo "err $CANARY." >&2
            printf %s "split $a"; sleep 0.3; printf '%s\n' "$b"
            printf %s "split $a" >&2; sleep 0.3; printf '%s\n' "$b" >&2
            test "$(printf %s "$CANARY" | wc -c)" = LENGTH
          env: { CANARY: "{{ secrets.canary }}" }
        register: echoed
      - name: header
        http: { url: "http://127.0.0.1:{{ port }}/", headers: { Authorization: "Bearer {{ secrets.canary }}" } }
      - name: header from here
        http: { url: "http://127.0.0.1:{{ port }}/", from: here, headers: { Authorization: "Bearer {{ secrets.canary }}" } }
      - name: as root
        command: { cmd: "id -un > /root/who" }
        become: true
  - section: Node
    hosts: [pve]
    steps:
      - name: machine
        pve_vm: { vmid: 102, config: { description: "key {{ secrets.canary }}" } }
  - section: End
    hosts: [extranet]
    steps:
      - name: fails and says it
        command: { cmd: 'echo "no: $CANARY" >&2; exit 7', env: { CANARY: "{{ secrets.canary }}" } }
        changed_when: "false"
        ignore_errors: true
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_where_it_was_sent_and_nowhere_else() {
    let drive = Drive::up().await;
    let core = format!("Canary{:x}{:x}", std::process::id(), std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos());
    let value = format!("k'{core}\"$h w\\");
    let secret = drive.state().with_file_name("canary");
    let keep = |value: &str| {
        fs::write(&secret, format!("{value}\n")).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    };
    keep(&value);
    drive.write("templates/secret.hbs", "key={{ secrets.canary }}\nhost={{ host.name }}\n");
    drive.write("runbooks/canary.yml", &BOOK.replace("LENGTH", &value.len().to_string()));
    let inventory = fs::read_to_string(drive.inventory()).unwrap();
    let port = inventory.lines().find_map(|l| l.trim().strip_prefix("npm_port: ")).unwrap().to_string();
    let inventory =
        inventory.replace("secrets:\n", &format!("secrets:\n  canary:\n    file: \"{}\"\n", secret.display())).replace(
            "    address: extranet\n",
            "    address: extranet\n    user: admin\n    become_password: \"{{ secrets.canary }}\"\n",
        );
    fs::write(drive.inventory(), inventory).unwrap();

    // A login user who needs a password for sudo; the password is the secret. It goes in by standard input.
    let hash = {
        use std::io::Write as _;
        let mut openssl = std::process::Command::new("openssl");
        let openssl = openssl.args(["passwd", "-6", "-stdin"]);
        let mut openssl =
            openssl.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
        openssl.stdin.take().unwrap().write_all(value.as_bytes()).unwrap();
        String::from_utf8(openssl.wait_with_output().unwrap().stdout).unwrap().trim().to_string()
    };
    drive.inside(
        "extranet",
        &format!(
            "set -e; echo 'admin:x:4711:4711::/home/admin:/bin/sh' >> /etc/passwd; echo 'admin:x:4711:' >> /etc/group; \
             echo 'admin:{hash}:19000:0:99999:7:::' >> /etc/shadow; mkdir -p /home/admin/.ssh /etc/sudoers.d; \
             cp /root/.ssh/authorized_keys /home/admin/.ssh/; chown -R 4711:4711 /home/admin; chmod 700 /home/admin/.ssh; \
             printf 'root ALL=(ALL:ALL) ALL\\n@includedir /etc/sudoers.d\\n' > /etc/sudoers; chmod 440 /etc/sudoers; \
             mkdir -p /etc/pam.d; printf 'auth required pam_unix.so\\naccount required pam_unix.so\\nsession required pam_permit.so\\n' > /etc/pam.d/sudo; \
             echo 'admin ALL=(ALL) ALL' > /etc/sudoers.d/admin; chmod 440 /etc/sudoers.d/admin; systemctl start npm"
        ),
    );
    // Where the secret was before: its diff must not show it.
    fs::write(drive.ground.layout.tree("extranet").join("opt/old.conf"), format!("old={value}\n")).unwrap();
    assert_eq!(on_host(&drive, "extranet", &core), ["opt/old.conf"]);

    // The watch sees what is in an argument list.
    let watch = Watch::begin(&core);
    let mut planted = std::process::Command::new("sh").args(["-c", "sleep 1; :", &core]).spawn().unwrap();
    while watch.rounds.load(Ordering::Relaxed) < 3 {
        std::thread::yield_now();
    }
    planted.kill().unwrap();
    planted.wait().unwrap();
    assert!(!watch.end().0.is_empty(), "a watch that sees nothing proves nothing");

    let watch = Watch::begin(&core);
    let set = format!("port={port}");
    let plan = drive.say(&["plan", "@canary", "-v", "--set", &set]);
    let run = drive.say(&["run", "@canary", "-v", "--set", &set]);
    let again = drive.say(&["run", "@canary", "--format", "json", "--set", &set]);
    let (seen, rounds) = watch.end();
    assert_eq!(seen, Vec::<String>::new(), "in an argument list");
    assert!(rounds > 100, "{rounds} looks");

    // It worked: the values arrived, whole.
    assert_eq!((plan.code, run.code, again.code), (0, 0, 0), "{plan:#?}\n{run:#?}\n{again:#?}");
    let again = Told { code: 0, events: crate::drive::events(&again.out), err: again.err };
    assert_eq!(again.end(), Some(RunEnd::Done));
    assert_eq!(again.outcomes()[0], "template on extranet: ok", "what is there compares equal to its mark");
    assert!(again.outcomes().contains(&"machine on pve: ok".to_string()), "{:?}", again.outcomes());
    assert_eq!(drive.inside("extranet", "cat /opt/secret.conf"), format!("key={value}\nhost=extranet\n"));
    assert_eq!(drive.inside("extranet", "cat /root/who"), "root\n");
    let mark = "‹secret:canary›";
    for shown in [format!("out {mark}."), format!("err {mark}."), format!("split {mark}"), format!("no: {mark}")] {
        assert!(run.out.contains(&shown), "{shown}\n{}", run.out);
    }

    // It is nowhere else.
    let reports = ["text", "md", "html", "json"].map(|f| drive.say(&["report", "--format", f, "-v"]));
    for said in reports.iter().chain([&plan, &run]) {
        assert_eq!(said.code, 0, "{said:?}");
        assert!(!said.out.contains(&core) && !said.err.contains(&core), "{said:?}");
    }
    assert!(!format!("{again:?}").contains(&core));
    assert!(files_below(&drive.state()).len() > 4);
    assert_eq!(holding(&drive.state(), &core), Vec::<String>::new());
    assert_eq!(holding(&drive.project(), &core), Vec::<String>::new());
    assert_eq!(on_host(&drive, "extranet", &core), ["opt/secret.conf"]);
    assert_eq!(on_host(&drive, "intranet", &core), Vec::<String>::new());
    assert_eq!(on_host(&drive, "pve", &core), Vec::<String>::new());
    let config = crate::proxmox::get_all(&drive, &["/nodes/pve/qemu/102/config".to_string()]).remove(0);
    assert!(config.contains(&core), "{config}");
    // This scan finds what is there.
    fs::write(drive.state().join("planted"), format!("x{value}")).unwrap();
    assert_eq!(holding(&drive.state(), &core), [drive.state().join("planted").display().to_string()]);

    // A wrong password is named as what it is, and nothing is done.
    keep("not-the-password");
    let wrong = drive.tell(&["run", "@canary", "--only", "guest/as-root"]);
    assert_ne!(wrong.code, 0);
    let why = format!("{:?}", wrong.problems());
    assert!(why.contains("password") && why.contains("sudo"), "{why}");
    assert!(!format!("{wrong:?}").contains("not-the-password"));
}
