//! `script`: a local script, run on the target. It goes over standard input, so nothing is left behind there.

use super::command::{self, Due, Seen};
use super::scalar::Scalar;
use super::{Answer, Ask, Change, Cx, Example, LocalBody, LocalFile, Module, ModuleError, Nature, Problem, Want};
use crate::cmd::Cmd;
use crate::secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The step kind.
#[derive(Debug)]
pub struct Script;

/// Parameters of `script`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The script: a local file of at most 256 KiB, relative to `files/` or the runbook's folder.
    src: String,
    /// Its arguments.
    #[serde(default)]
    args: Vec<Scalar>,
    /// Interpreter on the target, with its options; by default the one of the `#!` line, else `sh`.
    executable: Option<String>,
    /// Folder to run in.
    chdir: Option<String>,
    /// Path that the script makes: if it is there, the script does not run.
    creates: Option<String>,
    /// Path that the script needs: if it is not there, the script does not run.
    removes: Option<String>,
    /// Variables added to the environment. The place for secrets.
    #[serde(default)]
    env: BTreeMap<String, Scalar>,
}

/// Reads the script whole before it begins, so that commands in it cannot eat the rest of it from standard input.
const WHOLE: &str = "s=$(cat) && eval \"$s\"";

impl Params {
    fn due(&self) -> Due<'_> {
        Due { chdir: self.chdir.as_deref(), creates: self.creates.as_deref(), removes: self.removes.as_deref() }
    }

    fn to_cmd(&self, text: &str) -> Cmd {
        let mut argv = self.executable.as_deref().map_or_else(|| interpreter(text), words);
        let program = argv.first().map_or("", |p| p.rsplit('/').next().unwrap_or(p));
        if matches!(program, "sh" | "bash" | "dash" | "ash" | "ksh" | "mksh" | "zsh" | "posh" | "yash") {
            argv.extend(["-c".to_string(), WHOLE.to_string(), self.src.clone()]);
        } else {
            argv.push("-".to_string());
        }
        argv.extend(self.args.iter().map(|a| a.0.clone()));
        let mut cmd = Cmd::new(argv).stdin(text);
        cmd.cwd.clone_from(&self.chdir);
        cmd.env = self.env.iter().map(|(k, v)| (k.clone(), v.0.clone())).collect();
        cmd
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_string).collect()
}

/// Interpreter of the `#!` line; `/usr/bin/env` in front of it is left out, because the target's PATH is used.
fn interpreter(text: &str) -> Vec<String> {
    let mut argv = text.lines().next().and_then(|l| l.strip_prefix("#!")).map(words).unwrap_or_default();
    if argv.first().is_some_and(|p| p.ends_with("/env")) {
        argv.remove(0);
        if argv.first().is_some_and(|p| p == "-S") {
            argv.remove(0);
        }
    }
    if argv.is_empty() { vec!["sh".to_string()] } else { argv }
}

impl Module for Script {
    type Params = Params;
    type State = Seen;

    const NAME: &'static str = "script";
    const SUMMARY: &'static str = "a local script, run on the target";
    const EXAMPLES: &'static [Example] = &[
        Example {
            name: "a script with an argument",
            yaml: "script: { src: extranet/prepare.sh, args: [npm], creates: /opt/npm/ready }\n",
        },
        Example { name: "another interpreter", yaml: "script: { src: audit.py, executable: /usr/bin/python3 }\n" },
    ];

    fn nature(params: &Params) -> Nature {
        params.due().nature()
    }

    fn validate(params: &Params) -> Vec<Problem> {
        let mut out = params.due().wrong();
        if params.src.is_empty() {
            out.push(Problem::at("src", "`src` is empty"));
        }
        if params.executable.as_deref().is_some_and(|e| words(e).is_empty()) {
            out.push(Problem::at("executable", "`executable` is empty"));
        }
        if params.args.iter().any(|a| secret::has_mark(&a.0)) {
            let message = "a secret in a command line can be read by every user of the target";
            out.push(Problem::at("args", message).hint("hand it over by `env`"));
        }
        out.extend(command::wrong_env(&params.env));
        out
    }

    fn local_files(params: &Params) -> Vec<Want> {
        vec![Want::file(&params.src)]
    }

    fn probe(params: &Params, _cx: &Cx) -> Vec<Ask> {
        params.due().probe()
    }

    fn read(params: &Params, _cx: &Cx, answers: &[Answer]) -> Result<Seen, ModuleError> {
        params.due().read(answers)
    }

    fn plan(params: &Params, cx: &Cx, seen: &Seen) -> Result<Vec<Change>, ModuleError> {
        if !seen.due() {
            return Ok(Vec::new());
        }
        let text = match cx.files.first() {
            Some(LocalFile { body: LocalBody::Inline(bytes), .. }) => std::str::from_utf8(bytes).ok(),
            _ => None,
        };
        let Some(text) = text.filter(|t| !t.contains('\0')) else {
            let why = format!("{} is not a script: a text of at most 256 KiB is needed", params.src);
            return Err(ModuleError::refused(why).hint("send a program with `copy`, then run it with `command`"));
        };
        Ok(vec![command::change(format!("run the script {}", params.src), params.to_cmd(text))])
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench;
    use super::*;
    use serde_json::json;

    fn ran(params: serde_json::Value, text: &str) -> String {
        let cx = Cx { files: vec![bench::local("/p/files/x.sh", text)], ..Cx::default() };
        let changes = bench::decide(bench::instance("script", params).as_ref(), &cx).unwrap().changes;
        let super::super::Action::Run(cmd) = &changes[0].actions[0] else { panic!() };
        assert_eq!(cmd.stdin.as_deref(), Some(text));
        let output = bench::run(cmd);
        format!("{}{}{:?}", output.stdout.text(), output.stderr.text(), output.code().unwrap())
    }

    #[test]
    fn arguments_arrive_and_stdin_is_not_the_script() {
        let text = "#!/bin/sh\ncat\nprintf '<%s>' \"$@\"\nexit 3\n";
        assert_eq!(ran(json!({ "src": "x.sh", "args": ["a b", "-n", 5] }), text), "<a b><-n><5>3");
    }

    #[test]
    fn the_first_line_names_the_interpreter() {
        let bash = "#!/usr/bin/env bash\nset -eu\na=(one two)\necho ${a[1]}\nfalse\necho not here\n";
        assert_eq!(ran(json!({ "src": "x.sh" }), bash), "two\n1");
        assert_eq!(interpreter("#!/usr/bin/env -S python3 -u\n"), ["python3", "-u"]);
        assert_eq!(interpreter("echo\n"), ["sh"]);
    }

    #[test]
    fn other_interpreters_read_from_a_dash() {
        let cmd = bench::params::<Script>(json!({ "src": "a.py", "executable": "/usr/bin/python3 -u", "args": ["x"] }))
            .to_cmd("");
        assert_eq!(cmd.argv, ["/usr/bin/python3", "-u", "-", "x"]);
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let cx = Cx { files: vec![bench::local("/p/x", "a\0b")], ..Cx::default() };
        let error = bench::decide(bench::instance("script", json!({ "src": "x" })).as_ref(), &cx).unwrap_err();
        assert_eq!(error.to_string(), "x is not a script: a text of at most 256 KiB is needed");
    }
}
