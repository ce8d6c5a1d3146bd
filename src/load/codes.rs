//! Every code of a diagnostic, with what it means: `piton explain P0101`.
//!
//! P01 YAML, P02 inventory, P03 shape of runbooks, P04 names, templates and expressions, P05 parameters, P06 files, P07
//! advice, P08 the command line.

/// A code with its explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// `P0101`.
    pub code: &'static str,
    /// Half a sentence.
    pub title: &'static str,
    /// Why it is so and what to do.
    pub text: &'static str,
}

/// The explanation of a code, upper or lower case.
pub fn find(code: &str) -> Option<&'static Code> {
    TABLE.iter().find(|c| c.code.eq_ignore_ascii_case(code.trim()))
}

const fn code(code: &'static str, title: &'static str, text: &'static str) -> Code {
    Code { code, title, text }
}

/// All codes, sorted.
pub const TABLE: &[Code] = &[
    code(
        "P0101",
        "a key stands twice",
        "In one mapping each key may stand once. Many YAML readers silently let the second one win, so a second `hosts:` would run the step \
         somewhere else than the first line says. Remove one of the two; the other place is shown.",
    ),
    code(
        "P0102",
        "not valid YAML",
        "The file cannot be read as YAML. The caret stands where the reader gave up, the mistake is there or shortly above: a quote or bracket \
         that is never closed, a text that holds `: ` or ` #` without quotes, lines of one mapping that are indented differently.",
    ),
    code(
        "P0103",
        "a tab in the indentation",
        "YAML is indented by spaces only. Set your editor to insert spaces in .yml files.",
    ),
    code(
        "P0104",
        "YAML took `{{` for a mapping",
        "A value that begins with `{{` and has no quotes is a mapping in a mapping for YAML, and the template is gone. Put the whole value into \
         quotes: `dest: \"{{ folder }}/compose.yml\"`.",
    ),
    code(
        "P0105",
        "a number with a leading zero",
        "`0644` is 420 for YAML 1.1, 644 for YAML 1.2, and a file mode for you. Modes are texts here: write `mode: \"0644\"`. The same holds for \
         anything else whose zeros matter.",
    ),
    code(
        "P0106",
        "a merge key",
        "`<<` is not part of YAML 1.2. Write the keys out, or keep what is common in `vars:`, in a group or in an included file.",
    ),
    code(
        "P0107",
        "a key that is no text",
        "Keys are texts. `1:`, `true:` or a list as a key is most often a slip; if it is meant, put it into quotes.",
    ),
    code(
        "P0109",
        "several documents in a file",
        "One file holds one document. Put what follows `---` into a file of its own.",
    ),
    code(
        "P0110",
        "too large",
        "Files have at most 4 MiB, 64 levels of nesting and 200,000 values with all aliases resolved, runbooks at most 20,000 steps. A file beyond \
         that is a mistake or an attack, and reading it on would only fill the memory.",
    ),
    code(
        "P0111",
        "an alias without anchor",
        "`*name` repeats what `&name` marked further up in the same file. A text that begins with `*` needs quotes.",
    ),
    code(
        "P0112",
        "a number that does not fit",
        "Whole numbers have 64 bits. Serial numbers and the like are texts: put them into quotes.",
    ),
    code(
        "P0113",
        "a YAML tag",
        "Tags such as `!vault` or `!!binary` are not supported. Secrets are named in the inventory under `secrets:` and used as `{{ secrets.NAME }}`.",
    ),
    code(
        "P0202",
        "a name that cannot be used",
        "Hosts, groups and roles are named by a lower-case letter followed by lower-case letters, digits, `-` and `_`. `all`, `nodes` and `guests` are \
         groups that are always there.",
    ),
    code(
        "P0203",
        "two things with one name",
        "Nodes, guests, hosts and groups share their names, because `hosts:` takes any of them and must be clear.",
    ),
    code(
        "P0204",
        "an unknown host in the inventory",
        "A group names a host, or a guest names a node, that the inventory does not define.",
    ),
    code(
        "P0205",
        "a wrong address",
        "Networks are written `10.10.0.0/24` without host bits, addresses `10.10.0.1`, the node's own address with its prefix length `10.10.0.1/24`.",
    ),
    code("P0206", "an unknown role", "A host says `role: x`, and there is no `x` under `roles:`."),
    code(
        "P0207",
        "an incomplete guest",
        "A guest is known by its node (the inventory name) and its VMID: both are needed, for snapshots above all.",
    ),
    code(
        "P0208",
        "a secret in plain text",
        "Inventories get shared, copied and committed. Name the secret under `secrets:` with a command, file, environment variable or prompt that \
         gives its value, and use it as `{{ secrets.NAME }}`.",
    ),
    code("P0209", "an unknown secret", "`{{ secrets.NAME }}` needs an entry NAME under `secrets:` in the inventory."),
    code(
        "P0210",
        "a VMID twice",
        "On one node a VMID is one guest. Two names for one guest would take two checkpoints of it and roll it back twice.",
    ),
    code(
        "P0211",
        "a secret from nowhere or from two places",
        "Each secret has exactly one of `command`, `env`, `file` and `prompt`.",
    ),
    code(
        "P0212",
        "a role without a bridge",
        "A role stands for a network by its purpose, and the inventory says which bridge of the node it is: `dmz: { bridge: vmbr2 }`.",
    ),
    code(
        "P0213",
        "a bad bridge name",
        "Proxmox VE takes names that begin with a letter and have at most 10 letters, digits and `_`.",
    ),
    code(
        "P0214",
        "two roles on one bridge",
        "Roles are separate networks. Two of them on one bridge are one network, and a DMZ that shares the bridge of the LAN protects nothing.",
    ),
    code(
        "P0215",
        "an address outside of its network",
        "The gateway and the node's own address of a role lie inside its `cidr`.",
    ),
    code("P0301", "an unknown key", "Unknown keys are errors: a misspelt `whn:` must not make a step run everywhere."),
    code(
        "P0302",
        "a value of the wrong kind",
        "The key takes another kind of value: a text, a list, a mapping or a boolean, as the message says.",
    ),
    code(
        "P0303",
        "yes, no, on, off",
        "For Ansible (YAML 1.1) these are booleans, in YAML 1.2 they are texts. So that nothing is guessed, booleans are written true and false only.",
    ),
    code("P0304", "a number out of range", "The message says which numbers are possible."),
    code(
        "P0305",
        "a bad duration",
        "Durations are written `500ms`, `30s`, `2m`, `1h30m` or `1d`; a bare number counts seconds.",
    ),
    code("P0306", "an unknown word", "The key takes one of a few words, which are listed."),
    code(
        "P0307",
        "a name that templates could not say",
        "Variables, inputs, secrets and registered results are letters, digits and `_`, not beginning with a digit, and not one of the namespaces \
         host, roles, guests, facts, out, item, secrets, inputs. In a condition `a-b` is a subtraction.",
    ),
    code(
        "P0308",
        "a bad input declaration",
        "A choice needs `choices:`, and the default of an input is a plain value.",
    ),
    code("P0309", "nothing to do", "A runbook has `steps:`, or `sections:` with `steps:` each, and at least one step."),
    code(
        "P0310",
        "no title",
        "A runbook begins with `runbook: TITLE`, a section with `section: TITLE`: plan, report and checkpoints name them.",
    ),
    code(
        "P0311",
        "sections and steps",
        "Flat `steps:` are one section. A runbook with `sections:` keeps all of its steps in them, so that their order is plain.",
    ),
    code(
        "P0312",
        "a word of Ansible's",
        "The words that steps share with Ansible mean the same here; this one is left out on purpose, and the advice says what to write.",
    ),
    code(
        "P0313",
        "a step without module",
        "A step is one call of one module: `command`, `template`, `service`, ... `piton modules` lists them.",
    ),
    code(
        "P0314",
        "two modules in a step",
        "A step is one call of one module: it is one line of the plan, one result, one thing to take back.",
    ),
    code("P0315", "a loop over no list", "`loop:` takes a list, or an expression or template that gives one."),
    code("P0316", "an unknown module", "`piton modules` lists all modules with examples."),
    code(
        "P0317",
        "an id twice",
        "An `id:` names a step for `--from` and for the journal: it is unique in the runbook.",
    ),
    code("P0318", "no hosts", "Each step runs on the `hosts:` of the step, else of its section, else of the runbook."),
    code(
        "P0319",
        "an unknown host",
        "`hosts:` takes names of hosts and groups of the inventory, several as a list, and `!name` to leave one out.",
    ),
    code(
        "P0320",
        "no host is left",
        "The group is empty, or `!name` leaves out everything. A step that can never run is not what was meant.",
    ),
    code(
        "P0401",
        "an expression that cannot be read",
        "Conditions are expressions as in Ansible: `a == 'x' and not b`, `x in [1, 2]`, `out.y.changed`, `z is defined`.",
    ),
    code(
        "P0402",
        "braces in an expression",
        "`when`, `until`, `changed_when`, `failed_when` and `loop` are expressions already: `{{ }}` belongs into texts only.",
    ),
    code(
        "P0403",
        "a template that cannot be rendered",
        "The names are right, but a helper or a value does not fit; the message says which.",
    ),
    code(
        "P0404",
        "a name that is not defined",
        "Templates and conditions may use variables (runbook, inventory, group, host, step, `--set`) and the namespaces host, roles, guests, inputs, \
         secrets, out and, in a loop, item. A name that is not there is an error before anything runs, never an empty text.",
    ),
    code(
        "P0405",
        "a result that is not there yet",
        "`out.x` is what an earlier step on the same host kept by `register: x`; with `run_once: true` it holds for all hosts.",
    ),
    code(
        "P0406",
        "variables in a circle",
        "A variable that needs its own value, directly or through others, has none.",
    ),
    code(
        "P0407",
        "a condition that is no boolean",
        "`when: 'false'` would be true in most languages, because it is a text. A condition must give true or false: compare the value.",
    ),
    code(
        "P0408",
        "a secret in a condition",
        "The value of a secret is known only on the way to a host, so nothing here can compare it.",
    ),
    code(
        "P0409",
        "a template that cannot be read",
        "`{{ name }}` fills in a value, `{{#if x}}...{{/if}}` and `{{#each list}}...{{/each}}` are closed by their own name, `\\{{` is a literal `{{`.",
    ),
    code(
        "P0410",
        "an unknown helper",
        "Templates fill text and decide little: the helpers are if, unless, each, with, lookup, eq, ne, gt, gte, lt, lte, and, or, not, len, json, quote, indent, b64, lower, upper, join.",
    ),
    code(
        "P0501",
        "an unknown parameter",
        "The module has no such parameter. `piton modules NAME` lists them with examples.",
    ),
    code("P0502", "a missing parameter", "The module cannot work without it. `piton modules NAME` shows examples."),
    code(
        "P0503",
        "a parameter of the wrong type",
        "The value has the wrong type. A template alone in its quotes (`\"{{ port }}\"`) keeps the type of the value, with other text around it it becomes a text.",
    ),
    code(
        "P0504",
        "a parameter that cannot be right",
        "The type fits and the value cannot work; the message says why. No host was asked.",
    ),
    code(
        "P0601",
        "a file that cannot be read",
        "Runbook, inventory, included file or template: it is missing, not readable, not UTF-8 or too large.",
    ),
    code(
        "P0602",
        "an include without file",
        "`include: { file: x.yml, inputs: { a: 1 } }`, or `include: x.yml` alone. Its path starts at the folder of the file that includes it.",
    ),
    code("P0603", "includes in a circle", "A file that includes itself, directly or through others, would never end."),
    code(
        "P0604",
        "sections in a step's place",
        "A file with `sections:` is included in `sections:`; in a list of steps only flat `steps:` fit.",
    ),
    code(
        "P0605",
        "a local file that is not there",
        "Templates are looked for in the runbook's folder, then in `templates/` of the project, then in the project; files in `files/`, then in the \
         runbook's folder, then in the project. The project is the nearest folder above the runbook that has inventory/, templates/ or runbooks/.",
    ),
    code(
        "P0701",
        "changes without a checkpoint",
        "`checkpoint: never` gives up the snapshot that would bring the guest back. It is allowed, and said in plan and report.",
    ),
    code(
        "P0702",
        "a secret in the arguments of a command",
        "While a command runs, every user of the host can read its arguments in /proc. Pass secrets by `env:` or `stdin:`, or by a template file with \
         mode \"0600\".",
    ),
    code(
        "P0703",
        "a command that a module does better",
        "A command always runs and always counts as a change; the module looks first, and can be taken back.",
    ),
    code(
        "P0801",
        "an input without value",
        "The runbook declares the input as required: give it with `--set NAME=VALUE`, or let `piton run` ask for it.",
    ),
    code("P0802", "an input with a wrong value", "The value does not fit the declared type, choices or pattern."),
    code(
        "P0803",
        "an unknown input of an include",
        "The included file declares its inputs; others would be lost in silence.",
    ),
    code(
        "P0804",
        "--set of an unknown name",
        "`--set` changes inputs and variables that exist. A misspelt name would change nothing.",
    ),
    code(
        "P0805",
        "an unknown step",
        "`--from`, `--until` and `--only` take the name that `piton plan` shows, whole or its last part if that is unique.",
    ),
    code("P0806", "an unknown tag", "No step has this tag, so nothing would run, or nothing be skipped."),
    code(
        "P0807",
        "no inventory",
        "Give one with `-i FILE` or PITON_INVENTORY; without, `inventory/hosts.yml` of the project is taken, or the only file in that folder.",
    ),
    code(
        "P0808",
        "a limit that leaves nothing",
        "`--limit` takes hosts and groups of the inventory, and `!name` to leave one out.",
    ),
    code(
        "P0809",
        "a selection that leaves nothing",
        "Together `--limit`, `--tags`, `--skip-tags`, `--from`, `--until` and `--only` leave no step on any host. A run of nothing would look like one that went well.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn used(folder: &Path, codes: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                used(&path, codes);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("codes.rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap();
                for part in code.split("\"P").skip(1) {
                    if part.len() > 4 && part.as_bytes()[4] == b'"' && part[..4].bytes().all(|b| b.is_ascii_digit()) {
                        codes.insert(format!("P{}", &part[..4]));
                    }
                }
            }
        }
    }

    #[test]
    fn every_code_is_explained_and_every_explanation_is_used() {
        let mut codes = BTreeSet::new();
        used(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut codes);
        let known: BTreeSet<String> = TABLE.iter().map(|c| c.code.to_string()).collect();
        assert_eq!(codes, known);
        assert!(TABLE.windows(2).all(|w| w[0].code < w[1].code));
        assert_eq!(find("p0104").unwrap().code, "P0104");
    }
}
