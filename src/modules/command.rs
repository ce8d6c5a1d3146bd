//! `command`: a command or free shell text. Runs every time, unless `creates` or `removes` says when it is done.

use super::scalar::Scalar;
use super::{Action, Answer, Ask, Change, Cx, Example, Module, ModuleError, Nature, Problem, Undo};
use crate::cmd::{Cmd, quote};
use crate::secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The step kind.
#[derive(Debug)]
pub struct Command;

/// Parameters of `command`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Shell text, run by the target's POSIX `sh`.
    cmd: Option<String>,
    /// Program and arguments, without a shell; instead of `cmd`.
    argv: Option<Vec<Scalar>>,
    /// Folder to run in.
    chdir: Option<String>,
    /// Path that the command makes: if it is there, the command does not run.
    creates: Option<String>,
    /// Path that the command needs: if it is not there, the command does not run.
    removes: Option<String>,
    /// Variables added to the environment. The place for secrets.
    #[serde(default)]
    env: BTreeMap<String, Scalar>,
    /// Text for standard input. May hold secrets.
    stdin: Option<String>,
}

/// What decides whether a command is due: shared by `command` and `script`.
#[derive(Debug, Clone, Copy)]
pub struct Due<'a> {
    /// Folder that relative paths start from.
    pub chdir: Option<&'a str>,
    /// Not due if it is there.
    pub creates: Option<&'a str>,
    /// Not due if it is not there.
    pub removes: Option<&'a str>,
}

/// What was seen of `creates` and `removes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// `creates` is there.
    created: bool,
    /// `removes` is there.
    removable: bool,
}

const PRESENT: &str = r#"for p; do
  if [ -e "$p" ] || [ -L "$p" ]; then echo yes; continue; fi
  e=$(ls -ld -- "$p" 2>&1)
  case $e in *'No such file or directory' | *'Not a directory') echo no ;; *) printf '%s\n' "$e" >&2; exit 1 ;; esac
done"#;

impl Due<'_> {
    /// Converges if there is anything to look at.
    pub fn nature(self) -> Nature {
        if self.creates.is_some() || self.removes.is_some() { Nature::Converges } else { Nature::AlwaysRuns }
    }

    fn full(self, path: &str) -> String {
        match self.chdir {
            Some(dir) if !path.starts_with('/') => format!("{}/{path}", dir.trim_end_matches('/')),
            _ => path.to_string(),
        }
    }

    /// One question about both paths.
    pub fn probe(self) -> Vec<Ask> {
        let paths: Vec<_> = self.creates.into_iter().chain(self.removes).map(|p| self.full(p)).collect();
        if paths.is_empty() { Vec::new() } else { vec![Ask::Cmd(Cmd::shell_with(PRESENT, paths).env("LC_ALL", "C"))] }
    }

    /// What the answer means.
    ///
    /// # Errors
    /// [`ModuleError`] if it could not be looked at.
    pub fn read(self, answers: &[Answer]) -> Result<Seen, ModuleError> {
        let Some(answer) = answers.first() else { return Ok(Seen { created: false, removable: true }) };
        let text = answer.good("looking for `creates` and `removes`")?.stdout.text().into_owned();
        let mut lines = text.lines();
        let mut next = || match lines.next() {
            Some("yes") => Ok(true),
            Some("no") => Ok(false),
            _ => Err(ModuleError::unreadable("`yes` or `no` was expected", &text)),
        };
        // A path that is not asked for has no line.
        let created = if self.creates.is_some() { next()? } else { false };
        let removable = if self.removes.is_some() { next()? } else { true };
        Ok(Seen { created, removable })
    }

    /// What is wrong with the paths.
    pub fn wrong(self) -> Vec<Problem> {
        let mut out = Vec::new();
        for (field, path) in [("creates", self.creates), ("removes", self.removes)] {
            let Some(path) = path else { continue };
            if path.is_empty() || (!path.starts_with('/') && self.chdir.is_none()) {
                let problem = Problem::at(field, format!("`{path}` is not an absolute path"));
                out.push(problem.hint("begin it with /, or set `chdir`"));
            } else if path.contains(['*', '?']) {
                out.push(Problem::at(field, format!("`{path}`: wildcards are not expanded")).hint("name one path"));
            }
        }
        if let Some(dir) = self.chdir
            && !dir.starts_with('/')
        {
            out.push(Problem::at("chdir", format!("`{dir}` is not an absolute path")).hint("begin it with /"));
        }
        out
    }
}

impl Seen {
    /// True if the command has to run.
    pub fn due(self) -> bool {
        !self.created && self.removable
    }
}

/// The one change: the command, whose effect nobody knows.
pub fn change(what: String, cmd: Cmd) -> Change {
    let undo = Undo::Impossible("what a command did is not known; a checkpoint of a guest brings it back".to_string());
    Change::new(what, vec![Action::Run(cmd)], undo)
}

/// What is wrong with the names of variables.
pub fn wrong_env(env: &BTreeMap<String, Scalar>) -> Vec<Problem> {
    let good = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let bad = env.keys().filter(|n| !good(n));
    bad.map(|n| Problem::at("env", format!("`{n}` is not the name of a variable"))).collect()
}

impl Params {
    fn due(&self) -> Due<'_> {
        Due { chdir: self.chdir.as_deref(), creates: self.creates.as_deref(), removes: self.removes.as_deref() }
    }

    fn to_cmd(&self) -> Cmd {
        let mut cmd = match (&self.cmd, &self.argv) {
            (Some(text), _) => Cmd::shell(text),
            (None, Some(argv)) => Cmd::new(argv.iter().map(|a| a.0.clone())),
            (None, None) => Cmd::default(),
        };
        cmd.cwd.clone_from(&self.chdir);
        cmd.stdin.clone_from(&self.stdin);
        cmd.env = self.env.iter().map(|(k, v)| (k.clone(), v.0.clone())).collect();
        cmd
    }

    fn what(&self) -> String {
        let text = match (&self.cmd, &self.argv) {
            (Some(text), _) => text.clone(),
            (None, Some(argv)) => argv.iter().map(|a| quote(&a.0)).collect::<Vec<_>>().join(" "),
            (None, None) => String::new(),
        };
        let mut lines = text.trim().lines();
        let first: String = lines.next().unwrap_or_default().chars().take(80).collect();
        let more = if lines.next().is_some() { " ..." } else { "" };
        format!("run `{first}{more}`")
    }
}

impl Module for Command {
    type Params = Params;
    type State = Seen;

    const NAME: &'static str = "command";
    const SUMMARY: &'static str = "a command or shell text";
    const SHORTHAND: Option<&'static str> = Some("cmd");
    const EXAMPLES: &'static [Example] = &[
        Example { name: "a line of shell", yaml: "command: uptime\n" },
        Example {
            name: "a command that runs once, because it makes a file",
            yaml: "command: { argv: [openssl, dhparam, -out, /etc/ssl/dh.pem, 2048], creates: /etc/ssl/dh.pem }\n",
        },
        Example {
            name: "a password that is in no process list",
            yaml: "command: { cmd: 'mariadb-dump app > /root/app.sql', env: { MYSQL_PWD: from-secrets }, creates: /root/app.sql }\n",
        },
    ];

    fn nature(params: &Params) -> Nature {
        params.due().nature()
    }

    fn validate(params: &Params) -> Vec<Problem> {
        let mut out = params.due().wrong();
        match (&params.cmd, &params.argv) {
            (Some(_), Some(_)) => out.push(Problem::at("argv", "write either `cmd` or `argv`, not both")),
            (None, None) => out.push(Problem::at("cmd", "`cmd` or `argv` is needed")),
            (Some(text), None) if text.trim().is_empty() => out.push(Problem::at("cmd", "`cmd` is empty")),
            (None, Some(argv)) if argv.first().is_none_or(|a| a.0.is_empty()) => {
                out.push(Problem::at("argv", "`argv` begins with the program"));
            }
            _ => {}
        }
        let words = params.argv.iter().flatten().map(|a| a.0.as_str()).chain(params.cmd.as_deref());
        if words.into_iter().any(secret::has_mark) {
            let field = if params.cmd.is_some() { "cmd" } else { "argv" };
            let message = "a secret in a command line can be read by every user of the target";
            out.push(Problem::at(field, message).hint("hand it over by `env` or `stdin`"));
        }
        out.extend(wrong_env(&params.env));
        out
    }

    fn probe(params: &Params, _cx: &Cx) -> Vec<Ask> {
        params.due().probe()
    }

    fn read(params: &Params, _cx: &Cx, answers: &[Answer]) -> Result<Seen, ModuleError> {
        params.due().read(answers)
    }

    fn plan(params: &Params, _cx: &Cx, seen: &Seen) -> Result<Vec<Change>, ModuleError> {
        Ok(if seen.due() { vec![change(params.what(), params.to_cmd())] } else { Vec::new() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench;
    use super::*;
    use serde_json::json;

    #[test]
    fn free_text_always_runs_and_is_never_repeated_by_itself() {
        let step = bench::instance("command", json!("echo hi; uptime"));
        assert_eq!((step.nature(), step.repeatable()), (Nature::AlwaysRuns, false));
        assert_eq!(step.probe(&Cx::default()), []);
        let changes = step.decide(&Cx::default(), &[]).unwrap().changes;
        assert_eq!(bench::lines(&changes[0].actions), ["sh -c 'echo hi; uptime'"]);
        assert_eq!(changes[0].what, "run `echo hi; uptime`");
        assert!(matches!(changes[0].undo, Undo::Impossible(_)));
    }

    #[test]
    fn creates_and_removes_say_when_it_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_str().unwrap();
        let once = json!({ "cmd": "echo $WORD >made", "chdir": path, "creates": "made", "env": { "WORD": 8080 } });
        let step = bench::instance("command", once);
        assert_eq!((step.nature(), step.repeatable()), (Nature::Converges, true));
        bench::round_trip(step.as_ref(), &Cx::default());
        assert_eq!(std::fs::read_to_string(dir.path().join("made")).unwrap(), "8080\n");
        let gone = json!({ "argv": ["rm", "made"], "chdir": path, "removes": format!("{path}/made") });
        bench::round_trip(bench::instance("command", gone).as_ref(), &Cx::default());
        let both = json!({ "cmd": "touch x", "chdir": path, "creates": "x", "removes": "made" });
        let step = bench::instance("command", both);
        assert_eq!(bench::decide(step.as_ref(), &Cx::default()).unwrap().changes, []);
        std::fs::write(dir.path().join("made"), "").unwrap();
        bench::round_trip(step.as_ref(), &Cx::default());
    }

    #[test]
    fn wrong_parameters_are_found_before_any_host() {
        let wrong = |v| bench::problems("command", v);
        assert_eq!(wrong(json!({})), ["`cmd` or `argv` is needed"]);
        assert_eq!(wrong(json!({ "cmd": "a", "argv": ["a"] })), ["write either `cmd` or `argv`, not both"]);
        assert_eq!(wrong(json!({ "cmd": "a", "creates": "made" })), ["`made` is not an absolute path"]);
        assert_eq!(wrong(json!({ "cmd": "a", "creates": "/x/*.ok" })), ["`/x/*.ok`: wildcards are not expanded"]);
        assert_eq!(wrong(json!({ "cmd": "a", "env": { "A-B": 1 } })), ["`A-B` is not the name of a variable"]);
        let secret = format!("mysql -p{}", secret::mark("db"));
        assert_eq!(wrong(json!({ "cmd": secret })).len(), 1);
        assert_eq!(wrong(json!({ "cmd": "mysql", "env": { "MYSQL_PWD": secret } })), Vec::<String>::new());
    }

    #[test]
    fn an_answer_that_is_neither_yes_nor_no_is_not_guessed() {
        let due = Due { chdir: None, creates: Some("/x"), removes: None };
        let answer = |text: &str| [Answer::Cmd(crate::cmd::Output::of(0, text, ""))];
        assert!(matches!(due.read(&answer("maybe\n")), Err(ModuleError::Unreadable { .. })));
        assert!(matches!(due.read(&answer("")), Err(ModuleError::Unreadable { .. })));
        assert!(!due.read(&answer("yes\n")).unwrap().due());
    }
}
