//! What runbooks become: hosts, keys, variables, selections, includes.

use piton::compile::{self, Options, Program, explain, scope};
use piton::load::{diagnose, template};
use serde_json::{Map, Value, json};
use std::path::Path;

const INVENTORY: &str = "\
vars: { place: everywhere, shared: inventory }
roles:
  dmz: { bridge: vmbr2, cidr: 10.10.0.0/24, node_address: 10.10.0.1/24 }
nodes:
  pve: { address: 192.168.1.2, node: proxmox }
guests:
  intranet: { node: pve, vmid: 102, address: 192.168.1.10, vars: { place: host } }
  extranet: { node: pve, vmid: 101, role: dmz }
hosts:
  laptop: { connection: local }
groups:
  media: { hosts: [intranet, extranet], vars: { place: group, shared: group } }
secrets:
  db: { env: DB }
";

struct Case {
    folder: tempfile::TempDir,
    options: Options,
}

impl Case {
    fn new(runbook: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let case =
            Self { options: Options { runbook: folder.path().join("runbooks/x.yml"), ..Options::default() }, folder };
        case.file("runbooks/x.yml", runbook).file("inventory/hosts.yml", INVENTORY)
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    #[track_caller]
    fn program(&self) -> Program {
        compile::program(&self.options)
            .unwrap_or_else(|f| panic!("{}", diagnose::render(&f.diagnostics, &f.sources, false)))
    }

    #[track_caller]
    fn errors(&self) -> Vec<(&'static str, String)> {
        let Err(failed) = compile::program(&self.options) else { panic!("accepted") };
        failed.diagnostics.into_iter().map(|d| (d.code, d.message)).collect()
    }
}

fn keys(program: &Program) -> Vec<&str> {
    program.steps().map(|s| s.key.0.as_str()).collect()
}

fn left_out(program: &Program) -> Vec<Option<&str>> {
    program.steps().map(|s| s.left_out.as_deref()).collect()
}

fn rendered(program: &Program, step: usize, host: &str) -> Value {
    let step = program.steps().nth(step).unwrap();
    let scope = scope::of_step(program, step, host, &Map::new(), None);
    template::render(&step.params, &scope).unwrap()
}

#[test]
fn hosts_come_in_inventory_order_from_the_nearest_place() {
    let program = Case::new(
        "runbook: X\nhosts: [laptop, media, '!intranet']\nsections:\n  - section: A\n    steps: [{command: a}]\n  - section: B\n    hosts: guests\n    steps: [{command: b}, {command: c, hosts: 'pve,laptop'}, {command: d, hosts: '!pve'}]\n",
    )
    .program();
    let hosts: Vec<Vec<&str>> = program.steps().map(|s| s.hosts.iter().map(String::as_str).collect()).collect();
    assert_eq!(
        hosts,
        [
            vec!["extranet", "laptop"],
            vec!["intranet", "extranet"],
            vec!["pve", "laptop"],
            vec!["intranet", "extranet", "laptop"]
        ]
    );
    assert_eq!(program.inventory.api_name("pve"), Some("proxmox"));
}

#[test]
fn keys_are_unique_and_stable() {
    let program = Case::new(
        "runbook: X\nhosts: pve\nsections:\n  - section: Deux étés\n    steps: [{command: a}, {command: b}, {name: A b!, command: c}, {id: mine, command: d}]\n  - section: Deux étés\n    steps: [{command: a}]\n",
    )
    .program();
    assert_eq!(
        keys(&program),
        ["deux-etes/command", "deux-etes/command-2", "deux-etes/a-b", "mine", "deux-etes/command-3"]
    );
    let errors = Case::new("runbook: X\nhosts: pve\nsteps: [{id: a, command: x}, {id: a, command: y}]\n").errors();
    assert_eq!(errors, [("P0317", "the id `a` is there twice".to_string())]);
}

#[test]
fn the_nearest_variable_wins_and_set_wins_over_all() {
    let runbook = "runbook: X\nhosts: media\nvars: { place: runbook, low: runbook, shared: runbook, both: '{{ place }}-{{ low }}' }\nsteps:\n  - command: '{{ place }} {{ shared }} {{ low }} {{ both }}'\n  - command: '{{ place }} {{ both }}'\n    vars: { place: step }\n";
    let program = Case::new(runbook).program();
    assert_eq!(rendered(&program, 0, "intranet"), json!("host group runbook host-runbook"));
    assert_eq!(rendered(&program, 0, "extranet"), json!("group group runbook group-runbook"));
    assert_eq!(rendered(&program, 1, "intranet"), json!("step step-runbook"));
    let set = Case::new(runbook).with(|o| o.sets = vec![("place".into(), "set {{ x }}".into())]).program();
    assert_eq!(rendered(&set, 1, "intranet"), json!("set {{ x }} set {{ x }}-runbook"));
    let origins = explain::explain(&set, "intranet", "place");
    let shown: Vec<(String, Value, bool)> =
        origins.into_iter().map(|o| (o.place.split(" (").next().unwrap().to_string(), o.value, o.wins)).collect();
    assert_eq!(
        shown,
        [
            ("runbook vars".to_string(), json!("runbook"), false),
            ("inventory vars".into(), json!("everywhere"), false),
            ("group media".into(), json!("group"), false),
            ("host intranet".into(), json!("host"), false),
            ("step x/command-2, in it only".into(), json!("step"), false),
            ("--set".into(), json!("set {{ x }}"), true),
        ]
    );
}

#[test]
fn namespaces_hold_what_the_inventory_says() {
    let program = Case::new("runbook: X\nhosts: extranet\nsteps: [{command: a}]\n").program();
    let scope =
        scope::scope(&program, "extranet", &Map::from_iter([("a".to_string(), json!({"rc": 0}))]), Some(&json!(7)));
    assert_eq!(
        scope["host"],
        json!({"name": "extranet", "address": "extranet", "kind": "guest", "vmid": 101, "node": "pve", "role": "dmz", "become": false, "groups": ["media", "all", "guests"]})
    );
    assert_eq!(
        scope["roles"]["dmz"],
        json!({"bridge": "vmbr2", "cidr": "10.10.0.0/24", "node_address": "10.10.0.1/24"})
    );
    assert_eq!(scope["guests"]["intranet"], json!({"vmid": 102, "node": "pve", "address": "192.168.1.10"}));
    assert_eq!(scope["secrets"]["db"], json!(piton::secret::mark("db")));
    assert_eq!((&scope["out"]["a"]["rc"], &scope["item"], &scope["shared"]), (&json!(0), &json!(7), &json!("group")));
}

#[test]
fn tags_select_steps_as_in_ansible() {
    let runbook = "runbook: X\nhosts: pve\ntags: all-of-it\nsteps:\n  - {command: a, tags: [one, two]}\n  - {command: b, tags: two}\n  - {command: c, tags: always}\n  - {command: d, tags: never}\n";
    let out = |change: fn(&mut Options)| {
        let program = Case::new(runbook).with(change).program();
        left_out(&program).into_iter().map(|o| o.map(str::to_string)).collect::<Vec<_>>()
    };
    let no = |why: &str| Some(why.to_string());
    assert_eq!(out(|_| ()), [None, None, None, no("tag never")]);
    assert_eq!(out(|o| o.tags = vec!["one".into()]), [None, no("not in --tags one"), None, no("tag never")]);
    assert_eq!(
        out(|o| o.tags = vec!["never".into()]),
        [no("not in --tags never"), no("not in --tags never"), None, None]
    );
    assert_eq!(
        out(|o| o.skip_tags = vec!["two".into()]),
        [no("--skip-tags two"), no("--skip-tags two"), None, no("tag never")]
    );
    let wrong = Case::new(runbook).with(|o| o.tags = vec!["on".into()]).errors();
    assert_eq!(wrong, [("P0806", "--tags: no step has the tag `on`".to_string())]);
}

#[test]
fn from_until_only_and_limit() {
    let runbook = "runbook: X\nhosts: guests\nsteps: [{name: a, command: x}, {name: b, command: x}, {name: c, command: x, hosts: pve}]\n";
    let out = |change: fn(&mut Options)| {
        let program = Case::new(runbook).with(change).program();
        left_out(&program).into_iter().map(|o| o.map(str::to_string)).collect::<Vec<_>>()
    };
    let no = |why: &str| Some(why.to_string());
    assert_eq!(out(|o| o.from = Some("x/b".into())), [no("before --from"), None, None]);
    assert_eq!(out(|o| o.until = Some("b".into())), [None, None, no("after --until")]);
    assert_eq!(out(|o| o.only = vec!["b".into()]), [no("not among --only"), None, no("not among --only")]);
    assert_eq!(out(|o| o.limit = vec!["intranet".into()]), [None, None, no("no host left by --limit")]);
    let limited = Case::new(runbook).with(|o| o.limit = vec!["all".into(), "!extranet".into()]).program();
    assert_eq!(limited.steps().map(|s| s.hosts.join(",")).collect::<Vec<_>>(), ["intranet", "intranet", "pve"]);
    let wrong = Case::new(runbook).with(|o| (o.from, o.limit) = (Some("bb".into()), vec!["extrnet".into()])).errors();
    assert_eq!(
        wrong,
        [
            ("P0808", "--limit: there is no host or group `extrnet`".to_string()),
            ("P0805", "--from: there is no step `bb`".to_string())
        ]
    );
}

#[test]
fn a_selection_that_leaves_nothing_is_no_run_that_went_well() {
    let runbook = "runbook: X\nhosts: guests\nsteps: [{name: a, command: x}, {name: b, command: x}]\n";
    let wrong = |change: fn(&mut Options)| Case::new(runbook).with(change).errors();
    assert_eq!(
        wrong(|o| o.limit = vec!["pve".into()]),
        [("P0809", "nothing is left to do by --limit pve".to_string())]
    );
    assert_eq!(
        wrong(|o| (o.from, o.until) = (Some("b".into()), Some("a".into()))),
        [("P0809", "nothing is left to do by --from b and --until a".to_string())]
    );
}

#[test]
fn inputs_are_typed_and_checked() {
    let runbook = "runbook: X\nhosts: pve\ninputs:\n  name: { pattern: 'vm-*' }\n  count: { type: int, default: 2 }\n  sure: { type: bool, required: false }\n  size: { choices: [small, large], default: small }\nsteps: [{command: '{{ inputs.name }} {{ inputs.count }} {{ inputs.size }}'}]\n";
    let set = |pairs: &[(&str, &str)]| {
        let pairs: Vec<(String, String)> = pairs.iter().map(|(a, b)| ((*a).to_string(), (*b).to_string())).collect();
        Case::new(runbook).with(|o| o.sets = pairs)
    };
    let program = set(&[("name", "vm-01"), ("count", "3"), ("sure", "true")]).program();
    assert_eq!(
        program.inputs,
        *json!({"name": "vm-01", "count": 3, "sure": true, "size": "small"}).as_object().unwrap()
    );
    assert_eq!(rendered(&program, 0, "pve"), json!("vm-01 3 small"));
    assert_eq!(set(&[]).errors(), [("P0801", "the input `name` has no value".to_string())]);
    assert_eq!(
        set(&[("name", "x"), ("count", "many"), ("sure", "yes"), ("size", "larg"), ("nam", "y")])
            .errors()
            .into_iter()
            .map(|e| e.1)
            .collect::<Vec<_>>(),
        [
            "the input `name` cannot be `x`: it must match `vm-*`",
            "the input `count` must be a whole number",
            "the input `sure` must be true or false",
            "the input `size` cannot be `larg`",
            "--set nam: nothing has this name",
        ]
    );
    let case = set(&[]);
    let wanted = compile::wanted_inputs(&case.options).unwrap_or_else(|_| panic!("unreadable"));
    assert_eq!(wanted.iter().map(|w| w.name.as_str()).collect::<Vec<_>>(), ["name"]);
}

#[test]
fn includes_bring_steps_with_their_own_inputs() {
    let case = Case::new(
        "runbook: X\nhosts: guests\nvars: { base: /opt }\nsections:\n  - section: One\n    tags: outer\n    steps:\n      - command: first\n      - name: The folders\n        include: { file: parts/folder.yml, inputs: { path: '{{ base }}/{{ host.name }}' } }\n        when: host.vmid > 101\n        hosts: intranet\n        tags: inner\n      - include: { file: parts/folder.yml, inputs: { path: /srv, mode: '0700' } }\n  - include: parts/whole.yml\n",
    )
    .file(
        "runbooks/parts/folder.yml",
        "runbook: Folder\nvars: { owner: root, base: never }\ninputs: { path: {}, mode: { default: '0750' } }\nsteps:\n  - file: { path: '{{ inputs.path }}', state: directory, mode: '{{ inputs.mode }}', owner: '{{ owner }}' }\n    when: host.name != 'x'\n  - include: { file: deeper.yml, inputs: { what: '{{ inputs.path }}/deeper' } }\n",
    )
    .file("runbooks/parts/deeper.yml", "runbook: D\ninputs: { what: {} }\nsteps: [{name: deep, command: 'ls {{ inputs.what }}'}]\n")
    .file("runbooks/parts/whole.yml", "runbook: W\nsections:\n  - section: Whole\n    checkpoint: always\n    steps: [{command: last}]\n");
    let program = case.program();
    assert_eq!(
        keys(&program),
        [
            "one/command",
            "one/the-folders/file",
            "one/the-folders/deeper/deep",
            "one/folder/file",
            "one/folder/deeper/deep",
            "whole/whole/command"
        ]
    );
    assert_eq!(program.sections.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["One", "Whole"]);
    let step = program.steps().nth(1).unwrap();
    assert_eq!(step.hosts, ["intranet"]);
    assert_eq!(step.tags, ["outer", "inner"]);
    assert_eq!(step.when.as_ref().unwrap().text, "(host.vmid > 101) and (host.name != 'x')");
    assert_eq!(
        rendered(&program, 1, "intranet"),
        json!({"path": "/opt/intranet", "state": "directory", "mode": "0750", "owner": "root"})
    );
    assert_eq!(rendered(&program, 2, "intranet"), json!("ls /opt/intranet/deeper"));
    assert_eq!(rendered(&program, 3, "extranet")["mode"], json!("0700"));
    assert_eq!(rendered(&program, 4, "extranet"), json!("ls /srv/deeper"));
}

#[test]
fn results_are_known_from_the_step_that_registers_them() {
    let errors = Case::new(
        "runbook: X\nhosts: [pve, laptop]\nsteps:\n  - {command: a, register: one, hosts: pve, until: out.one.rc == 0}\n  - {command: b, register: two, run_once: true}\n  - {command: 'x {{ out.two.stdout }} {{ out.one.stdout }}'}\n  - {command: c, when: one.rc == 0}\n  - {command: d, when: out.three is defined}\n",
    )
    .errors();
    assert_eq!(
        errors,
        [
            ("P0405", "`out.one` is not there on `laptop`: it is registered on pve".to_string()),
            ("P0404", "`one` is not defined".to_string()),
        ]
    );
}

#[test]
fn loops_are_checked_item_by_item() {
    let program = Case::new(
        "runbook: X\nhosts: pve\nvars: { folders: [/a, /b] }\nsteps:\n  - file: { path: '{{ item }}', state: directory }\n    loop: folders\n  - file: { path: '{{ item.path }}', state: directory, mode: '{{ item.mode }}' }\n    loop: [{ path: /x, mode: '0700' }]\n",
    )
    .program();
    let step = program.steps().next().unwrap();
    let scope = scope::of_step(&program, step, "pve", &Map::new(), None);
    assert_eq!(step.items(&scope), Ok(vec![Some(json!("/a")), Some(json!("/b"))]));
    let errors = Case::new(
        "runbook: X\nhosts: pve\nsteps:\n  - file: { path: '{{ item }}', state: directory }\n    loop: [/a, b]\n",
    )
    .errors();
    assert_eq!(errors, [("P0504", "`file`: `b` is not an absolute path".to_string())]);
}

#[test]
fn a_condition_that_is_known_and_false_spares_the_step_the_check() {
    Case::new("runbook: X\nhosts: [intranet, extranet]\nsteps:\n  - file: { path: '{{ only }}', state: directory }\n    when: host.name == 'extranet'\n    vars: { only: /x }\n  - pve_bridge: { name: '{{ roles.dmz.bridge }}', cidr: '{{ roles.dmz.gateway }}' }\n    when: roles.dmz.gateway is defined\n    hosts: pve\n").program();
}

#[test]
fn the_inventory_is_found() {
    let case = Case::new("runbook: X\nhosts: pve\nsteps: [{command: a}]\n");
    assert!(case.program().inventory.path.ends_with("inventory/hosts.yml"));
    let inventory = case.folder.path().join("inventory");
    std::fs::rename(inventory.join("hosts.yml"), inventory.join("only.yml")).unwrap();
    assert!(case.program().inventory.path.ends_with("inventory/only.yml"));
    std::fs::write(inventory.join("other.yml"), "nodes: { pve: {} }\n").unwrap();
    assert_eq!(
        case.errors(),
        [("P0807", "no inventory is given and the project has several: only.yml, other.yml".to_string())]
    );
    let named = case.with(|o| o.inventory_env = Some(inventory.join("other.yml")));
    assert!(named.program().inventory.path.ends_with("other.yml"));
}

#[test]
fn local_files_are_read_and_rendered() {
    use piton::modules::{LocalBody, Want};
    let case = Case::new("runbook: X\nhosts: extranet\nsteps: [{template: {src: a.hbs, dest: /a}}]\n")
        .file("templates/a.hbs", "{{ host.name }} {{ secrets.db }}\n")
        .file("files/tree/sub/b", "b")
        .file("files/big", &"x".repeat(300_000));
    let program = case.program();
    let scope = scope::scope(&program, "extranet", &Map::new(), None);
    let load =
        |path: &str, template: bool| program.load_file(&Want { path: path.into(), template, optional: false }, &scope);
    assert_eq!(
        load("a.hbs", true).unwrap().body,
        LocalBody::Inline(format!("extranet {}\n", piton::secret::mark("db")).into_bytes())
    );
    assert!(
        matches!(load("big", false).unwrap().body, LocalBody::Large { len: 300_000, ref sha256 } if sha256.len() == 64)
    );
    let LocalBody::Tree(files) = load("tree", false).unwrap().body else { panic!("no tree") };
    assert_eq!(files.iter().map(|(p, _)| p.as_path()).collect::<Vec<_>>(), [Path::new("sub/b")]);
    let missing = program.load_file(&Want::optional("fetched/x"), &scope).unwrap();
    assert_eq!((missing.path, missing.body), (case.folder.path().join("fetched/x"), LocalBody::Missing));
    assert!(load("none", false).unwrap_err().to_string().contains("`none` is not there"));
}

#[test]
fn two_hundred_hosts_are_compiled_at_once() {
    let mut inventory =
        "vars: { base: /opt, where: '{{ base }}/{{ host.name }}' }\nnodes: { pve: {} }\nguests:\n".to_string();
    for i in 0..200 {
        inventory.push_str(&format!("  g{i}: {{ node: pve, vmid: {}, vars: {{ number: {i} }} }}\n", 1000 + i));
    }
    let mut runbook = "runbook: X\nhosts: guests\nsteps:\n".to_string();
    for i in 0..20 {
        runbook.push_str(&format!(
            "  - file: {{ path: '{{{{ where }}}}/{i}/{{{{ number }}}}', state: directory }}\n    when: host.vmid > 10\n"
        ));
    }
    let case = Case::new(&runbook).file("inventory/hosts.yml", &inventory);
    let start = std::time::Instant::now();
    let program = case.program();
    eprintln!("compiled in {:?}", start.elapsed());
    assert_eq!(program.steps().map(|s| s.hosts.len()).sum::<usize>(), 4000);
}
