//! The contract of every step kind, held by each of its own examples on real hosts: an unknown field is refused, a plan
//! changes nothing, a second run changes nothing, and what is said to have an undo goes back by it.

use crate::drive::{Drive, Told, same};
use crate::proxmox::{call, task};
use piton::event::{Event, RunEnd};
use piton::modules::table;
use serde_json::Value;
use std::collections::BTreeSet;

/// What stands in the examples but not in the lab. No address but this machine's own is ever spoken to.
fn in_the_lab(yaml: &str, npm_port: &str) -> String {
    yaml.replace("https://127.0.0.1/", &format!("http://127.0.0.1:{npm_port}/"))
        .replace("http://10.10.0.10:8096/health", &format!("http://127.0.0.1:{npm_port}/"))
        .replace("body_contains: Healthy", "body_contains: welcome")
        .replace("wait: { port: 8096", &format!("wait: {{ port: {npm_port}"))
        // A folder of its own, so that what is fetched is beside the runbook.
        .replace(
            "wait: { port: 22, from: here, delay: 5s }",
            &format!("wait: {{ host: 127.0.0.1, port: {npm_port}, from: here, delay: 100ms }}"),
        )
        .replace("2048]", "512]")
}

/// Which host an example is for.
fn host_of(module: &str) -> &'static str {
    if module.starts_with("pve_") || module == "fetch" { "pve" } else { "extranet" }
}

/// What the examples take for granted on the guest.
const GUEST: &str = r#"set -e
mkdir -p /etc/systemd/system /etc/nginx/sites-available /etc/nginx/sites-enabled /etc/sudoers.d /etc/sysctl.d /etc/ssl /opt/extranet
printf '[Unit]\nDescription=nginx\n[Service]\nExecStart=/bin/sleep 100000\n[Install]\nWantedBy=multi-user.target\n' > /etc/systemd/system/nginx.service
echo 'server {}' > /etc/nginx/sites-available/npm
echo old > /etc/motd.old
echo '10.0.0.9 old-server' >> /etc/hosts
printf '#!/bin/sh\necho "-- dump of $1"\n' > /usr/local/bin/mariadb-dump
chmod 755 /usr/local/bin/mariadb-dump
sed -i 's/^PasswordAuthentication no/#PasswordAuthentication yes/' /etc/ssh/sshd_config
systemctl daemon-reload; systemctl start npm
"#;

fn indented(yaml: &str) -> String {
    yaml.trim_end().replace('\n', "\n    ")
}

fn book(checkpoint: &str, host: &str, yaml: &str) -> String {
    let before = if yaml.contains("out.config.changed") {
        "\n  - name: before\n    command: \"true\"\n    register: config"
    } else {
        ""
    };
    let steps = format!("{before}\n  - name: example\n    {}\n", indented(yaml));
    let steps = steps.replace('\n', "\n    ");
    format!(
        "runbook: Example\nsections:\n- section: Example\n  hosts: [{host}]\n  checkpoint: {checkpoint}\n  steps:{steps}\n"
    )
}

fn undo_of(told: &Told) -> Vec<Value> {
    let of = |e: &Event| match e {
        Event::Planned { changes, task, .. } if task.step.0.ends_with("/example") => {
            Some(changes.iter().map(|c| serde_json::to_value(&c.undo).unwrap()).collect())
        }
        _ => None,
    };
    told.find(of).unwrap_or_default()
}

fn changed(told: &Told) -> bool {
    told.outcomes().iter().any(|o| o.starts_with("example") && o.ends_with(": changed"))
}

/// What an example takes away has to be there first.
fn before(drive: &Drive, what: &str) {
    match what {
        "pve_bridge: a bridge that is not needed any more" => {
            let params = [("iface", "vmbr99"), ("type", "bridge"), ("autostart", "1")];
            assert_eq!(call(&drive.ground, "POST", "/nodes/pve/network", &params).0, 200);
            assert_eq!(task(&drive.ground, "PUT", "/nodes/pve/network", &[]), "OK");
        }
        "pve_snapshot: one that is done with" => {
            let params = [("snapname", "before-upgrade")];
            assert_eq!(task(&drive.ground, "POST", "/nodes/pve/qemu/102/snapshot", &params), "OK");
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_for_guests_keeps_the_contract() {
    examples(|name| host_of(name) == "extranet").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_for_the_node_keeps_the_contract() {
    examples(|name| host_of(name) == "pve").await;
}

async fn examples(ours: impl Fn(&str) -> bool) {
    let drive = Drive::up().await;
    let inventory = std::fs::read_to_string(drive.inventory()).unwrap();
    let npm_port = inventory.lines().find_map(|l| l.trim().strip_prefix("npm_port: ")).unwrap().to_string();
    let said = drive.ground.ssh("extranet", GUEST);
    assert_eq!(said.code, 0, "{said:?}");
    drive.write("files/sudoers/admin", "admin ALL=(ALL) NOPASSWD: ALL\n");
    drive.write("files/npm/conf.d/site.conf", "server { listen 80; }\n");
    drive.write("files/npm/README", "what npm needs\n");
    drive.write("files/extranet/prepare.sh", "#!/bin/sh\nset -e\nmkdir -p /opt/npm\necho \"$1\" > /opt/npm/ready\n");
    drive.write("files/audit.py", "import os\nprint(os.uname().sysname)\n");
    drive.write("templates/extranet/compose.yml.hbs", "# {{ host.name }}\npassword: {{ secrets.npm_password }}\n");
    let mut seen = BTreeSet::new();
    for module in table::ALL.iter().filter(|m| ours(m.name())) {
        for example in module.examples() {
            let what = format!("{}: {}", module.name(), example.name);
            seen.insert(module.name());
            let yaml = in_the_lab(example.yaml, &npm_port);
            let host = host_of(module.name());

            before(&drive, &what);

            // An unknown field is refused before anything is contacted.
            let wrong = book("never", host, &format!("{}: {{ no_such_field: 1 }}", module.name()));
            drive.write("runbooks/wrong.yml", &wrong);
            let said = drive.say(&["check", "@wrong"]);
            assert_eq!(said.code, 2, "{what}: {said:?}");
            assert!(said.err.contains("no_such_field") || said.out.contains("no_such_field"), "{what}: {said:?}");

            drive.write("runbooks/example.yml", &book("never", host, &yaml));
            let hosts = ["pve", "extranet"].map(|h| drive.looks(h));
            let plan = drive.tell(&["plan", "@example"]);
            assert_eq!(plan.code, 0, "{what}\n{yaml}");
            for (name, before) in ["pve", "extranet"].iter().zip(&hosts) {
                same(&drive.looks(name), before, &format!("{what}: a plan changed {name}"));
            }

            let run = drive.tell(&["run", "@example", "--yes"]);
            if module.name() == "prompt" && !example.yaml.starts_with("prompt: Is") {
                // Nobody is there to type: the step fails, and nothing was done.
                assert_eq!((run.code, run.end()), (1, Some(RunEnd::Failed)), "{what}: {}", run.why());
                continue;
            }
            assert_eq!(run.code, 0, "{what}: {}", run.why());
            let nature = run.find(|e| match e {
                Event::Planned { nature, task, .. } if task.step.0.ends_with("/example") => Some(format!("{nature:?}")),
                _ => None,
            });
            let after = ["pve", "extranet"].map(|h| drive.looks(h));
            match nature.as_deref() {
                None => {
                    // Looks only, or was so already.
                    for (now, before) in after.iter().zip(&hosts) {
                        same(now, before, &what);
                    }
                    let already = ["pve_vm: it runs"];
                    let looks = ["assert", "http", "wait"].contains(&module.name());
                    assert!(looks || already.contains(&what.as_str()), "{what}: changes nothing, so it shows nothing");
                    continue;
                }
                Some("Converges") => {
                    assert!(changed(&run), "{what}: {:?}", run.outcomes());
                    let again = drive.tell(&["run", "@example", "--yes"]);
                    assert_eq!(again.code, 0, "{what}: {}", again.why());
                    assert!(again.outcomes().iter().any(|o| o.starts_with("example") && o.ends_with(": ok")), "{what}");
                    for (name, before) in ["pve", "extranet"].iter().zip(&after) {
                        same(&drive.looks(name), before, &format!("{what}: a second run changed {name}"));
                    }
                }
                Some(_) => {
                    assert_eq!(drive.tell(&["run", "@example", "--yes"]).code, 0, "{what}");
                    continue;
                }
            }

            // The way back without a checkpoint is the undo, or is said to be none.
            let undo = undo_of(&run);
            let back = drive.tell(&["rollback", &run.run(), "--yes"]);
            if undo.iter().any(|u| u.get("impossible").is_some()) {
                assert_eq!((back.code, back.end()), (6, Some(RunEnd::RollbackFailed)), "{what}");
                let named = |e: &Event| matches!(e, Event::UndoEnded { failed: Some(_), .. }).then_some(());
                assert!(back.find(named).is_some(), "{what}");
                continue;
            }
            assert_eq!((back.code, back.end(), back.err.as_str()), (0, Some(RunEnd::Done), ""), "{what}: {back:?}");
            for (name, before) in ["pve", "extranet"].iter().zip(&hosts) {
                let left: Vec<_> = drive
                    .looks(name)
                    .timeless()
                    .beside(&before.timeless())
                    .into_iter()
                    // Proxmox writes its network file in its own layout.
                    .filter(|line| !line.starts_with("etc/network/interfaces:"))
                    .collect();
                assert_eq!(left, Vec::<String>::new(), "{what}: the undo left {name} different");
            }
        }
    }
    assert!(!seen.is_empty());
}
