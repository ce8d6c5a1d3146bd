//! `check`, `vars`, `render`, and what `plan`, `run` and `rollback` refuse before they contact anything.

use crate::builder::Test;

const INVENTORY: &str = "nodes:
  pve: { address: 10.10.0.1 }
guests:
  intranet: { node: pve, vmid: 102, address: 10.10.0.12 }
  extranet: { node: pve, vmid: 101, address: 10.20.0.11, vars: { port: 8443 } }
vars: { port: 80 }
secrets:
  db_password: { command: [sh, -c, 'echo >&2 fetched; exit 3'] }
";

const RUNBOOK: &str = "runbook: Configure
inputs:
  release: { prompt: Which release, default: \"1\" }
sections:
  - section: NPM
    hosts: [extranet]
    steps:
      - name: compose file
        template: { src: compose.hbs, dest: /opt/compose.yml, mode: \"0640\" }
      - name: up
        command: { argv: [docker, compose, up] }
        tags: [slow]
";

fn project() -> Test {
    Test::new()
        .file("inventory/hosts.yml", INVENTORY)
        .file("site.yml", RUNBOOK)
        .file("templates/compose.hbs", "port: {{ port }}\npassword: {{ secrets.db_password }}\n")
}

#[test]
fn check_counts_steps_and_hosts() {
    project().args(["check", "site.yml"]).stdout("ok: 2 steps on 1 host\n").run();
    project().args(["check", "-q", "site.yml"]).run();
}

#[test]
fn check_v_names_the_steps_and_says_why_some_are_left_out() {
    project()
        .args(["check", "-v", "site.yml", "--skip-tags", "slow"])
        .stdout(
            "npm/compose-file  template  extranet\nnpm/up            command   extranet  (--skip-tags slow)\n\
             ok: 1 step on 1 host\n",
        )
        .run();
}

#[test]
fn a_missing_runbook_is_bad_input() {
    let got = project().args(["check", "nowhere.yml"]).any_output().status(2).run();
    assert!(got.stderr.contains("nowhere.yml"), "{}", got.stderr);
    assert_eq!(got.stdout, "");
}

#[test]
fn set_wants_name_and_value() {
    let got = project().args(["check", "site.yml", "--set", "port"]).any_output().status(2).run();
    assert!(got.stderr.contains("write it as NAME=VALUE"), "{}", got.stderr);
}

#[test]
fn vars_of_a_host_and_where_one_comes_from() {
    project().args(["vars", "site.yml", "extranet"]).stdout("extranet:\n  port  8443\n").run();
    project()
        .args(["vars", "site.yml", "extranet", "--explain", "port", "--set", "port=9"])
        .stdout(
            "port on extranet:\n      inventory vars (inventory/hosts.yml:6:9)  80\n      host extranet \
             (inventory/hosts.yml:5:66)  8443\n  =>  --set                                     9\n",
        )
        .run();
    project()
        .args(["--format", "json", "vars", "site.yml"])
        .stdout("{\"pve\":{\"port\":80},\"intranet\":{\"port\":80},\"extranet\":{\"port\":8443}}\n")
        .run();
}

#[test]
fn vars_that_nothing_sets_and_unknown_hosts_are_bad_input() {
    let got = project().args(["vars", "site.yml", "extranet", "--explain", "prot"]).any_output().status(2).run();
    assert!(got.stderr.starts_with("error: nothing sets the variable `prot`\n"), "{}", got.stderr);
    project()
        .args(["vars", "site.yml", "extrante"])
        .status(2)
        .stderr("error: there is no host `extrante` in the inventory\n  hint: there are: pve, intranet, extranet\n")
        .run();
}

#[test]
fn render_shows_parameters_and_templates_with_secrets_as_names() {
    project()
        .args(["render", "site.yml", "compose-file"])
        .stdout(
            "# npm/compose-file on extranet
template: {
  \"src\": \"compose.hbs\",
  \"dest\": \"/opt/compose.yml\",
  \"mode\": \"0640\"
}

# compose.hbs
port: 8443
password: ‹secret:db_password›
",
        )
        .run();
}

#[test]
fn render_of_an_unknown_step_is_bad_input() {
    project()
        .args(["render", "site.yml", "down"])
        .status(2)
        .stderr("error: there is no step `down`\n  hint: `piton check -v` shows the names of all steps\n")
        .run();
}

#[test]
fn a_secret_that_cannot_be_had_stops_plan_and_run_before_anything_is_contacted() {
    for command in ["plan", "run"] {
        let got = project()
            .args([command, "site.yml"])
            .status(2)
            .stderr("fetched\nerror: secret `db_password`: `sh` ended with exit status: 3\n")
            .run();
        let runs = got.folder.path().join("home/.local/state/piton/runs");
        assert!(!runs.exists() || std::fs::read_dir(runs).unwrap().next().is_none(), "{command} left a run behind");
    }
}

#[test]
fn a_host_that_cannot_be_reached_is_told_as_such_and_nothing_was_changed() {
    let inventory = INVENTORY.replace("10.20.0.11", "127.0.0.1, port: 1").replace("exit 3", "echo hunter22");
    for (command, status) in [("plan", 7), ("run", 7)] {
        let got = project()
            .file("inventory/hosts.yml", &inventory)
            .args([command, "site.yml", "--yes"])
            .any_output()
            .status(status)
            .run();
        assert!(got.stdout.contains("extranet"), "{command}: {}", got.stdout);
        assert!(!got.stdout.contains("hunter22"), "{command}: {}", got.stdout);
    }
}

#[test]
fn rollback_refuses_what_it_cannot_take_back() {
    project()
        .args(["rollback", "ffff"])
        .status(2)
        .stderr(
            "error: there is no run `ffff` in [DIR]/home/.local/state/piton/runs\n  \
             hint: `piton runs list` shows the runs there are\n",
        )
        .run();
    project()
        .args(["rollback", "nobody/piton-1a2b-01"])
        .status(2)
        .stderr("error: `nobody` is no guest of the inventory [DIR]/inventory/hosts.yml\n")
        .run();
    project()
        .args(["rollback", "pve/piton-1a2b-01"])
        .status(2)
        .stderr("error: `pve` is no guest of the inventory [DIR]/inventory/hosts.yml\n")
        .run();
}

#[test]
fn rollback_wants_a_confirmation() {
    let got = project()
        .journal("20261123-030000-beef", "unknown.jsonl")
        .args(["rollback", "beef", "-i", "inventory/hosts.yml"])
        .status(2)
        .stderr("error: no terminal to ask at; `--yes` confirms without asking\n")
        .run();
    let runs = got.folder.path().join("home/.local/state/piton/runs");
    assert_eq!(std::fs::read_dir(runs).unwrap().count(), 1, "a way back that was not taken left a run behind");
}

#[test]
fn levers_and_hosts_of_the_lab_are_checked() {
    let got = Test::new().args(["lab", "lever", "explode"]).any_output().status(2).run();
    assert!(got.stderr.starts_with("error: `explode` is no lever"), "{}", got.stderr);
    let got = Test::new().args(["lab", "status"]).any_output().status(8).run();
    assert!(got.stderr.contains("no lab in [DIR]/home/.local/state/piton/lab"), "{}", got.stderr);
}
