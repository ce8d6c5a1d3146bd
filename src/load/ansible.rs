//! Words that people bring along from Ansible, and what to write here instead.

/// Where a word stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// At the top of a runbook.
    Runbook,
    /// In a section.
    Section,
    /// In a step.
    Step,
}

/// What to write instead of a word of Ansible's; `None` for other words.
pub fn instead(word: &str, at: At) -> Option<&'static str> {
    let word = word.strip_prefix("ansible.builtin.").unwrap_or(word);
    Some(match (word, at) {
        ("tasks" | "pre_tasks" | "post_tasks", _) => "write `steps:`, in the order they run",
        ("handlers", _) => {
            "there are no handlers: give the step `register: x`, and the one that follows `when: out.x.changed`"
        }
        ("notify" | "listen", _) => {
            "there are no handlers: give this step `register: x`, and the one that follows `when: out.x.changed`"
        }
        ("gather_facts", _) => "no facts are gathered: remove it",
        ("block" | "rescue" | "always", At::Step) => "write a section of its own with `on_failure: rollback`",
        ("roles" | "role" | "import_role" | "include_role", _) => {
            "there are no Ansible roles: write `include: { file: x.yml, inputs: { ... } }`"
        }
        ("include_tasks" | "import_tasks" | "import_playbook" | "include_vars", _) => {
            "write `include: { file: x.yml, inputs: { ... } }`"
        }
        ("delegate_to" | "local_action", _) => {
            "give the step `hosts:` of its own; the machine that you sit at is a host with `connection: local`"
        }
        ("environment", _) => "write `env:` in the parameters of `command`",
        ("remote_user" | "connection" | "port", _) => "this belongs to the host, in the inventory",
        ("vars_files" | "vars_prompt", _) => "write `inputs:` with `prompt:`, or `vars:` in the inventory",
        ("serial" | "strategy" | "any_errors_fatal" | "max_fail_percentage", _) => {
            "steps run in lockstep on all hosts, and a failure stops the section"
        }
        (
            "with_items" | "with_list" | "with_dict" | "with_fileglob" | "with_sequence" | "with_together"
            | "loop_control",
            _,
        ) => "write `loop:`, and `{{ item }}` in the parameters",
        ("become_method", _) => "sudo is the only way: remove it",
        ("check_mode" | "diff", _) => "`piton plan` shows every change and makes none: remove it",
        ("async" | "poll", _) => "long steps are looked after by themselves; write `timeout:` to limit one",
        ("args", _) => "write the parameters in the module's mapping",
        ("name", At::Runbook) => "the title stands in `runbook:`",
        ("name", At::Section) => "the title stands in `section:`",
        ("shell", At::Step) => "write `command:`, which takes shell text; `command: { argv: [...] }` needs no shell",
        ("apt" | "package" | "yum" | "dnf" | "pip", At::Step) => {
            "there is no package module yet: write `command: { cmd: apt-get install -y NAME, creates: PATH }`"
        }
        ("systemd" | "systemd_service", At::Step) => "write `service:`",
        ("lineinfile" | "blockinfile", At::Step) => "write `line:`",
        ("uri" | "get_url", At::Step) => "write `http:`",
        ("wait_for" | "pause", At::Step) => "write `wait:`, or `prompt:` to ask the operator",
        ("stat", At::Step) => {
            "write `command: test -e PATH` with `register: x` and `failed_when: false`, then `when: out.x.rc == 0`"
        }
        ("debug", At::Step) => "write `prompt: { notice: TEXT }`",
        ("set_fact", At::Step) => "write `vars:`, or `register:` what a step gave",
        ("fail", At::Step) => "write `assert:`",
        ("reboot", At::Step) => "write `pve_vm: { state: reset }` for a guest",
        ("unarchive" | "synchronize", At::Step) => "write `copy:` with a folder",
        _ => return None,
    })
}
